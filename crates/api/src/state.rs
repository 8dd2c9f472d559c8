//! What handlers share.

use std::net::IpAddr;
use std::sync::Arc;

use app::ctx::Ctx;

use crate::metrics::Metrics;

/// How the edge behaves; from the settings.
#[derive(Debug, Clone)]
pub struct ApiSettings {
    /// Peers whose `X-Forwarded-For` is believed. Everybody else's is ignored.
    pub trusted_proxies: Vec<IpAddr>,
    /// The largest request body that is read.
    pub max_body_bytes: usize,
}

/// Numbers about the keys that are read when the metrics are scraped.
#[derive(Debug, Clone, Copy, Default)]
pub struct KeyGauges {
    pub awake: u64,
    pub activations: u64,
    pub restarts: u64,
    /// Tenants whose secrets do not open.
    pub sealed_away: u64,
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

    /// Tells where to look for the numbers about keys.
    #[must_use]
    pub fn with_key_gauges(mut self, gauges: impl Fn() -> KeyGauges + Send + Sync + 'static) -> Self {
        self.key_gauges = Arc::new(gauges);
        self
    }
}
