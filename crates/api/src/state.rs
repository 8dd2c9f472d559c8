//! What handlers share.

use std::any::Any;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use actix_web::dev::Extensions;
use app::budget::{Budgets, Limits};
use app::ctx::Ctx;

use crate::connection::Connection;
use crate::metrics::{Metrics, Readings};
use crate::oauth::mtls::CertificateHeader;
use crate::proxies::Proxy;

/// How the edge behaves; from the settings.
#[derive(Debug, Clone)]
pub struct ApiSettings {
    /// Peers whose `X-Forwarded-For` is believed. Everybody else's is ignored.
    pub trusted_proxies: Vec<Proxy>,
    /// Whether they say in `X-Forwarded-Host` which host was asked for, and let nobody else say so.
    pub believes_forwarded_host: bool,
    /// Whose word about the certificates of clients is believed.
    pub certificates: CertificateHeader,
    /// The largest request body that is read.
    pub max_body_bytes: usize,
    /// The largest request head (address and headers) that is answered by anything but a refusal.
    pub max_head_bytes: usize,
    /// The longest that a request's body and its handler may take together.
    pub request_timeout: Duration,
    /// What each tenant may ask of this node.
    pub budgets: Limits,
}

/// Makes a span part of the trace that a `traceparent` header names (W3C Trace Context).
pub type FollowTrace = fn(&tracing::Span, &str);

/// The use cases and what is counted about them. Cheap to clone.
#[derive(Clone)]
pub struct ApiState {
    pub(crate) ctx: Arc<Ctx>,
    pub(crate) settings: Arc<ApiSettings>,
    pub(crate) budgets: Arc<Budgets>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) readings: Arc<dyn Fn() -> Readings + Send + Sync>,
    pub(crate) follow_trace: Option<FollowTrace>,
    is_leaving: Arc<AtomicBool>,
}

impl std::fmt::Debug for ApiState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ApiState").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl ApiState {
    /// # Panics
    /// Never in practice: only if two metrics had the same name.
    pub fn new(ctx: Arc<Ctx>, settings: ApiSettings) -> Self {
        let (metrics, readings) = (Arc::new(Metrics::new()), Arc::new(Readings::default));
        let budgets = Arc::new(Budgets::new(settings.budgets));
        Self { ctx, settings: Arc::new(settings), budgets, metrics, readings, follow_trace: None, is_leaving: Arc::default() }
    }

    /// What is done with every new connection of a listener, named for the metrics: it is counted, and closed when no request
    /// began or was answered on it for longer than `patience`. For [`actix_web::HttpServer::on_connect`].
    pub fn on_connect(&self, listener: &str, patience: Duration) -> impl Fn(&dyn Any, &mut Extensions) + Send + Sync + 'static {
        let open = self.metrics.http_connections.with_label_values(&[listener]);
        move |io, data| Connection::watch(io, data, patience, open.clone())
    }

    /// From now on `/health/ready` says that this node is going, and each answer is the last one on its connection.
    pub fn leave(&self) {
        self.is_leaving.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_leaving(&self) -> bool {
        self.is_leaving.load(Ordering::Relaxed)
    }

    /// Tells where to look for what other parts count.
    #[must_use]
    pub fn with_readings(mut self, readings: impl Fn() -> Readings + Send + Sync + 'static) -> Self {
        self.readings = Arc::new(readings);
        self
    }

    /// Tells how to go on with a trace that a trusted proxy has begun. Without it every request begins one.
    #[must_use]
    pub fn with_traces(mut self, follow: FollowTrace) -> Self {
        self.follow_trace = Some(follow);
        self
    }
}
