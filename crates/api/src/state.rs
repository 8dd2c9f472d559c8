//! What handlers share.

use std::any::Any;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::Extensions;
use app::ctx::Ctx;

use crate::connection::Connection;
use crate::metrics::Metrics;

/// How the edge behaves; from the settings.
#[derive(Debug, Clone)]
pub struct ApiSettings {
    /// Peers whose `X-Forwarded-For` is believed. Everybody else's is ignored.
    pub trusted_proxies: Vec<IpAddr>,
    /// The largest request body that is read.
    pub max_body_bytes: usize,
    /// The largest request head (address and headers) that is answered by anything but a refusal.
    pub max_head_bytes: usize,
    /// The longest that a request's body and its handler may take together.
    pub request_timeout: Duration,
}

/// Numbers about the keys that are read when the metrics are scraped.
#[derive(Debug, Clone, Copy, Default)]
pub struct KeyGauges {
    pub awake: u64,
    pub activations: u64,
    pub restarts: u64,
}

/// The use cases and what is counted about them. Cheap to clone.
#[derive(Clone)]
pub struct ApiState {
    pub(crate) ctx: Arc<Ctx>,
    pub(crate) settings: Arc<ApiSettings>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) key_gauges: Arc<dyn Fn() -> KeyGauges + Send + Sync>,
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
        Self { ctx, settings: Arc::new(settings), metrics: Arc::new(Metrics::new()), key_gauges: Arc::new(KeyGauges::default) }
    }

    /// What is done with every new connection of a listener, named for the metrics: it is counted, and closed when no request
    /// began or was answered on it for longer than `patience`. For [`actix_web::HttpServer::on_connect`].
    pub fn on_connect(&self, listener: &str, patience: Duration) -> impl Fn(&dyn Any, &mut Extensions) + Send + Sync + 'static {
        let open = self.metrics.connections.with_label_values(&[listener]);
        move |io, data| Connection::watch(io, data, patience, open.clone())
    }

    /// Tells where to look for the numbers about keys.
    #[must_use]
    pub fn with_key_gauges(mut self, gauges: impl Fn() -> KeyGauges + Send + Sync + 'static) -> Self {
        self.key_gauges = Arc::new(gauges);
        self
    }
}
