//! The numbers under `/metrics`. Names carry their unit; `docs/src/metrics.md` lists all of them, and a test compares.
//!
//! What happens here is counted here; what others count is read when the numbers are asked for ([`Readings`]).
//!
//! Invariant: no metric has a tenant label, nor any that grows with use, so their number is fixed.

use app::budget::Budget;
use prometheus::core::Collector;
use prometheus::{
    Counter, Encoder, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry, TextEncoder,
};

/// What other parts of this process count, as it stands now. Counters only grow.
#[derive(Debug, Clone, Default)]
pub struct Readings {
    pub keys: KeyReadings,
    pub pools: Vec<PoolReading>,
    /// Commits that held refreshes, and how many refreshes those were: both count since the start.
    pub refresh_commits: u64,
    pub committed_refreshes: u64,
    /// Rows removed by the sweep, by table.
    pub swept: Vec<(&'static str, u64)>,
    pub sweep_failures: u64,
    /// Fetches of a JWKS that were counted for no verifier.
    pub untold_fetches: u64,
    /// When the certificate of the public listener ends, in seconds since the epoch; 0 without one.
    pub certificate_ends_at: u64,
    /// Times that files of the listener's had changed and could not be used.
    pub tls_failures: u64,
    /// Attempts to hand a mail over, by what came of them.
    pub mails: Vec<(&'static str, u64)>,
}

/// About the keys of this node.
#[derive(Debug, Clone, Default)]
pub struct KeyReadings {
    /// Tenants whose rings are in memory, and of those the ones whose private keys are open.
    pub awake: u64,
    pub unsealed: u64,
    pub activations: u64,
    pub restarts: u64,
    pub passivations: u64,
    /// Keys of the rings in memory, by state.
    pub states: Vec<(&'static str, u64)>,
    /// Rings that were due when the clock looked last; those that have failed and are left alone for a while; all failures.
    pub due: u64,
    pub resting: u64,
    pub failures: u64,
    pub rsa_ready: u64,
    /// Tenants whose secrets did not open when they were last needed.
    pub sealed_away: u64,
}

/// About one pool of database connections.
#[derive(Debug, Clone)]
pub struct PoolReading {
    pub name: &'static str,
    pub idle: u64,
    pub busy: u64,
    pub most: u64,
}

const LOGIN_OUTCOMES: [&str; 7] =
    ["succeeded", "bad_credentials", "too_many_attempts", "tenant_suspended", "password_change_required", "busy", "fault"];
const REFRESH_OUTCOMES: [&str; 7] = ["rotated", "replayed", "replaced", "reused", "slow_down", "refused", "fault"];

/// All metrics of one process.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    pub(crate) requests: IntCounterVec,
    pub(crate) request_seconds: HistogramVec,
    pub(crate) logins: IntCounterVec,
    pub(crate) refreshes: IntCounterVec,
    pub(crate) used_up: IntCounterVec,
    pub(crate) busy_seconds: Counter,
    pub(crate) login_seconds: Histogram,
    pub(crate) http_connections: IntGaugeVec,
    hashing_queue: IntGauge,
    hashing_busy: IntGauge,
    keys: KeyMetrics,
    connections: IntGaugeVec,
    connections_most: IntGaugeVec,
    refresh_commits: IntCounter,
    committed_refreshes: IntCounter,
    swept: IntCounterVec,
    sweep_failures: IntCounter,
    untold_fetches: IntCounter,
    certificate_ends_at: IntGauge,
    tls_failures: IntCounter,
    mails: IntCounterVec,
}

#[derive(Debug)]
struct KeyMetrics {
    awake: IntGauge,
    unsealed: IntGauge,
    activations: IntCounter,
    restarts: IntCounter,
    passivations: IntCounter,
    states: IntGaugeVec,
    due: IntGauge,
    resting: IntGauge,
    failures: IntCounter,
    rsa_ready: IntGauge,
    sealed_away: IntGauge,
}

/// Makes metrics and registers them. Names and labels are constants, distinct and well-formed, so neither can fail; if
/// registering ever did, the metric would count without being shown.
struct Maker<'a>(&'a Registry);

const GOOD: &str = "the name and the labels are constants that prometheus accepts";

impl Maker<'_> {
    fn registered<M: Collector + Clone + 'static>(&self, metric: M) -> M {
        if let Err(error) = self.0.register(Box::new(metric.clone())) {
            tracing::error!(%error, "a metric could not be registered");
        }
        metric
    }

    fn counter(&self, name: &str, help: &str) -> IntCounter {
        self.registered(IntCounter::new(name, help).expect(GOOD))
    }

    fn counters(&self, name: &str, help: &str, labels: &[&str]) -> IntCounterVec {
        self.registered(IntCounterVec::new(Opts::new(name, help), labels).expect(GOOD))
    }

    fn gauge(&self, name: &str, help: &str) -> IntGauge {
        self.registered(IntGauge::new(name, help).expect(GOOD))
    }

    fn gauges(&self, name: &str, help: &str, labels: &[&str]) -> IntGaugeVec {
        self.registered(IntGaugeVec::new(Opts::new(name, help), labels).expect(GOOD))
    }
}

const SECONDS: [f64; 15] = [0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0];

impl Metrics {
    pub(crate) fn new() -> Self {
        let registry = Registry::new();
        let make = Maker(&registry);
        let seconds = |name: &str, help: &str| HistogramOpts::new(name, help).buckets(SECONDS.to_vec());
        let keys = KeyMetrics {
            awake: make.gauge("claviger_key_actors", "Tenants whose keys are in memory."),
            unsealed: make.gauge("claviger_key_actors_unsealed", "Tenants whose private keys are open in memory."),
            activations: make.counter("claviger_key_actor_activations_total", "Tenants whose keys were read into memory since the start."),
            restarts: make.counter("claviger_key_actor_restarts_total", "Key actors that had died and were started anew."),
            passivations: make
                .counter("claviger_key_actor_passivations_total", "Key actors that left, idle or because their tenant is gone."),
            states: make.gauges("claviger_keys", "Keys of the rings that are in memory here, by state.", &["state"]),
            due: make.gauge("claviger_key_rings_due", "Rings that were due when this node's rotation clock looked last."),
            resting: make.gauge("claviger_key_rings_resting", "Rings that could not be advanced and are left alone for a while."),
            failures: make.counter("claviger_key_ring_failures_total", "Times a ring that was due could not be advanced."),
            rsa_ready: make.gauge("claviger_rsa_keys_ready", "RSA keys made in advance."),
            sealed_away: make.gauge("claviger_key_sealed_away_tenants", "Tenants whose secrets did not open when they were last needed."),
        };
        let this = Self {
            requests: make.counters(
                "claviger_http_requests_total",
                "Requests by route pattern, method and status.",
                &["route", "method", "status"],
            ),
            logins: make.counters("claviger_logins_total", "Logins by outcome.", &["outcome"]),
            refreshes: make.counters("claviger_refreshes_total", "Refreshes by outcome.", &["outcome"]),
            used_up: make.counters(
                "claviger_budget_refusals_total",
                "Requests that were refused because their tenant's budget was used up, by budget.",
                &["budget"],
            ),
            busy_seconds: make.registered(
                Counter::new("claviger_busy_seconds_total", "Time in which a worker worked for nine tenths of it or more, of all workers.")
                    .expect(GOOD),
            ),
            request_seconds: make.registered(
                HistogramVec::new(
                    seconds("claviger_http_request_duration_seconds", "Time to answer by route pattern and method."),
                    &["route", "method"],
                )
                .expect(GOOD),
            ),
            login_seconds: make.registered(
                Histogram::with_opts(seconds("claviger_login_duration_seconds", "Time of a login, its hash and its wait included."))
                    .expect(GOOD),
            ),
            http_connections: make.gauges("claviger_http_connections", "Open HTTP connections by listener.", &["listener"]),
            hashing_queue: make.gauge("claviger_hashing_queue_length", "Passwords that wait for a hashing thread."),
            hashing_busy: make.gauge("claviger_hashing_threads_busy", "Threads that hash a password."),
            keys,
            connections: make.gauges("claviger_database_connections", "Open database connections by pool and state.", &["pool", "state"]),
            connections_most: make.gauges("claviger_database_connections_max", "The most connections a pool opens.", &["pool"]),
            refresh_commits: make.counter("claviger_refresh_commits_total", "Commits that held one or more refreshes."),
            committed_refreshes: make.counter("claviger_refresh_committed_total", "Refreshes that those commits held."),
            swept: make.counters("claviger_swept_rows_total", "Rows that were over and have been removed, by table.", &["table"]),
            sweep_failures: make.counter("claviger_sweep_failures_total", "Sweeps of one table that did not finish."),
            untold_fetches: make.counter(
                "claviger_jwks_fetches_untold_total",
                "Fetches of a JWKS that were counted for no verifier, because too many tenants were asked for at once.",
            ),
            certificate_ends_at: make.gauge(
                "claviger_tls_certificate_expiry_timestamp_seconds",
                "When the certificate of the public listener ends, since the epoch; 0 without one.",
            ),
            tls_failures: make.counter(
                "claviger_tls_reload_failures_total",
                "Times that changed files of the TLS listener could not be used, and those before stayed.",
            ),
            mails: make.counters("claviger_mails_total", "Attempts to hand a mail over, by what came of them.", &["outcome"]),
            registry: registry.clone(),
        };
        make.gauges("claviger_build_info", "1, with the version that runs.", &["version"])
            .with_label_values(&[env!("CARGO_PKG_VERSION")])
            .set(1);
        // There from the start, so that the first one is seen as an increase.
        for outcome in LOGIN_OUTCOMES {
            this.logins.with_label_values(&[outcome]);
        }
        for outcome in REFRESH_OUTCOMES {
            this.refreshes.with_label_values(&[outcome]);
        }
        for budget in Budget::ALL {
            this.used_up.with_label_values(&[budget.name()]);
        }
        #[cfg(target_os = "linux")]
        if let Err(error) = registry.register(Box::new(prometheus::process_collector::ProcessCollector::for_self())) {
            tracing::error!(%error, "the process metrics could not be registered");
        }
        this
    }

    /// The exposition text, with what others count as of now.
    pub(crate) fn text(&self, hashing: &app::credentials::hash_pool::HashPool, readings: &Readings) -> Vec<u8> {
        self.hashing_queue.set(number(hashing.waiting() as u64));
        self.hashing_busy.set(number(hashing.busy() as u64));
        self.keys.take(&readings.keys);
        for PoolReading { name, idle, busy, most } in &readings.pools {
            self.connections.with_label_values(&[name, "idle"]).set(number(*idle));
            self.connections.with_label_values(&[name, "busy"]).set(number(*busy));
            self.connections_most.with_label_values(&[name]).set(number(*most));
        }
        catch_up(&self.refresh_commits, readings.refresh_commits);
        catch_up(&self.committed_refreshes, readings.committed_refreshes);
        for (table, rows) in &readings.swept {
            catch_up(&self.swept.with_label_values(&[table]), *rows);
        }
        catch_up(&self.sweep_failures, readings.sweep_failures);
        catch_up(&self.untold_fetches, readings.untold_fetches);
        self.certificate_ends_at.set(number(readings.certificate_ends_at));
        catch_up(&self.tls_failures, readings.tls_failures);
        for (outcome, mails) in &readings.mails {
            catch_up(&self.mails.with_label_values(&[outcome]), *mails);
        }
        let mut text = Vec::new();
        if let Err(error) = TextEncoder::new().encode(&self.registry.gather(), &mut text) {
            tracing::error!(%error, "the metrics could not be written");
        }
        text
    }
}

impl KeyMetrics {
    fn take(&self, keys: &KeyReadings) {
        self.awake.set(number(keys.awake));
        self.unsealed.set(number(keys.unsealed));
        catch_up(&self.activations, keys.activations);
        catch_up(&self.restarts, keys.restarts);
        catch_up(&self.passivations, keys.passivations);
        for (state, count) in &keys.states {
            self.states.with_label_values(&[state]).set(number(*count));
        }
        self.due.set(number(keys.due));
        self.resting.set(number(keys.resting));
        catch_up(&self.failures, keys.failures);
        self.rsa_ready.set(number(keys.rsa_ready));
        self.sealed_away.set(number(keys.sealed_away));
    }
}

fn number(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// Brings a counter up to what is counted elsewhere.
fn catch_up(counter: &IntCounter, now: u64) {
    counter.inc_by(now.saturating_sub(counter.get()));
}
