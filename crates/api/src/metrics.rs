//! The numbers under `/metrics`. Names carry their unit.
//!
//! Invariant: no metric has a tenant label, so their number does not grow with the tenants.

use prometheus::{Encoder, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, Opts, Registry, TextEncoder};

/// All metrics of one process.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    pub(crate) requests: IntCounterVec,
    pub(crate) request_seconds: HistogramVec,
    pub(crate) logins: IntCounterVec,
    pub(crate) refreshes: IntCounterVec,
    pub(crate) login_seconds: Histogram,
    hashing_queue: IntGauge,
    keys_awake: IntGauge,
    keys_sealed_away: IntGauge,
    key_activations: IntCounter,
    key_restarts: IntCounter,
}

/// Registers a metric. The names below are distinct and well-formed, so neither step can fail; if one ever did, the metric would
/// count without being shown.
fn registered<M: prometheus::core::Collector + Clone + 'static>(registry: &Registry, metric: M) -> M {
    if let Err(error) = registry.register(Box::new(metric.clone())) {
        tracing::error!(%error, "a metric could not be registered");
    }
    metric
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let registry = Registry::new();
        let fast = vec![0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0];
        let counter = |name: &str, help: &str, labels: &[&str]| {
            registered(
                &registry,
                IntCounterVec::new(Opts::new(name, help), labels).expect("the name and labels are constants that prometheus accepts"),
            )
        };
        let gauge = |name: &str, help: &str| {
            registered(&registry, IntGauge::new(name, help).expect("the name is a constant that prometheus accepts"))
        };
        let total = |name: &str, help: &str| {
            registered(&registry, IntCounter::new(name, help).expect("the name is a constant that prometheus accepts"))
        };
        let this = Self {
            requests: counter(
                "claviger_http_requests_total",
                "Requests by route pattern, method and status.",
                &["route", "method", "status"],
            ),
            logins: counter("claviger_logins_total", "Logins by outcome.", &["outcome"]),
            refreshes: counter("claviger_refreshes_total", "Refreshes by outcome.", &["outcome"]),
            request_seconds: registered(
                &registry,
                HistogramVec::new(
                    HistogramOpts::new("claviger_http_request_duration_seconds", "Time to answer by route pattern and method.")
                        .buckets(fast.clone()),
                    &["route", "method"],
                )
                .expect("the name and labels are constants that prometheus accepts"),
            ),
            login_seconds: registered(
                &registry,
                Histogram::with_opts(
                    HistogramOpts::new("claviger_login_duration_seconds", "Time of a login, its hash and its wait included.").buckets(fast),
                )
                .expect("the name is a constant that prometheus accepts"),
            ),
            hashing_queue: gauge("claviger_hashing_queue_length", "Passwords that wait for a hashing thread."),
            keys_awake: gauge("claviger_key_actors", "Tenants whose keys are in memory."),
            keys_sealed_away: gauge("claviger_key_sealed_away_tenants", "Tenants whose secrets did not open when they were last needed."),
            key_activations: total("claviger_key_actor_activations_total", "Tenants whose keys were read into memory since the start."),
            key_restarts: total("claviger_key_actor_restarts_total", "Key actors that had died and were started anew."),
            registry,
        };
        #[cfg(target_os = "linux")]
        if let Err(error) = this.registry.register(Box::new(prometheus::process_collector::ProcessCollector::for_self())) {
            tracing::error!(%error, "the process metrics could not be registered");
        }
        this
    }

    /// The exposition text, with the gauges read now.
    pub(crate) fn text(&self, hashing_queue: usize, keys: crate::state::KeyGauges) -> Vec<u8> {
        let number = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
        self.hashing_queue.set(i64::try_from(hashing_queue).unwrap_or(i64::MAX));
        self.keys_awake.set(number(keys.awake));
        self.keys_sealed_away.set(number(keys.sealed_away));
        // Counted elsewhere: brought up to what it is now.
        self.key_activations.inc_by(keys.activations.saturating_sub(self.key_activations.get()));
        self.key_restarts.inc_by(keys.restarts.saturating_sub(self.key_restarts.get()));
        let mut text = Vec::new();
        if let Err(error) = TextEncoder::new().encode(&self.registry.gather(), &mut text) {
            tracing::error!(%error, "the metrics could not be written");
        }
        text
    }
}
