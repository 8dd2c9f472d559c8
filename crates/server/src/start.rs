//! Starts the server inside this process: the database, the keys, two listeners and the sweep. Stopping it is the reverse.
//!
//! Invariant: no connection is accepted before everything behind it is ready, and nothing behind it ends before the last request did.

use std::any::Any;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use actix_tls::accept::rustls_0_23::TlsStream;
use actix_web::dev::{Extensions, Server, ServerHandle};
use actix_web::rt::net::TcpStream;
use actix_web::web::ServiceConfig;
use actix_web::{App, HttpServer};
use api::{ApiSettings, ApiState, PeerCertificate};
use app::access::PlatformToken;
use app::authorize::by_reference::Fetches;
use app::clients::documents::Documents;
use app::clients::key_sets::KeySets;
use app::clients::origins::ClientOrigins;
use app::credentials::hash_pool::HashPool;
use app::ctx::Ctx;
use app::fault::Fault;
use app::ports::store::StoreError;
use app::ports::world::Clock;
use app::resources::DetailTypes;
use app::tenants::TenantCache;
use app::verifiers::VerifierTally;
use domain::time::Ttl;
use keys::KeyDirectory;
use rustls::ServerConfig;
use storage::SqlStore;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::counted::CountedMails;
use crate::settings::Settings;
use crate::sweep::Sweep;
use crate::telemetry;
use crate::tls::Tls;
use crate::wire::{self, SystemClock, SystemEntropy, Upgrade, WireError};
use crate::{custody, reload};

/// Connections that the system holds for us while all threads are busy.
const BACKLOG: u32 = 1_024;

/// Why the server did not start; the text says what to do.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(transparent)]
    Wire(#[from] WireError),
    #[error("cannot listen on {addr}: {source}. Is another server running there? Set {setting} to a free address")]
    Bind { addr: SocketAddr, setting: &'static str, source: std::io::Error },
    #[error(
        "the keys cannot be opened: {0}. Set keys.kek_file (CLAVIGER__KEYS__KEK_FILE) or keys.keks to the key-encryption keys that this \
         database was sealed with; `claviger doctor` says more"
    )]
    Keys(Fault),
    #[error("the installation's keys cannot be had: {0}. Mend that, and start again; `claviger doctor` says more")]
    KeysAway(String),
}

/// A server that runs. [`Running::stop`] ends it in order; dropping it does not.
pub struct Running {
    /// What issuers begin with.
    pub base_url: String,
    /// Where the public listener is.
    pub public_url: String,
    pub management_url: String,
    pub ctx: Arc<Ctx>,
    state: ApiState,
    keys: Arc<KeyDirectory>,
    store: SqlStore,
    tls: Arc<Tls>,
    handles: [ServerHandle; 2],
    servers: [JoinHandle<std::io::Result<()>>; 2],
    sweep: Arc<Sweep>,
    background: Vec<JoinHandle<()>>,
    /// Dropping the sender ends the task, after it has written down what is left.
    notes: (oneshot::Sender<()>, JoinHandle<()>),
}

impl std::fmt::Debug for Running {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Running").field("base_url", &self.base_url).field("management_url", &self.management_url).finish_non_exhaustive()
    }
}

/// Installs the cryptography that TLS and JWT verification use. Doing it twice is harmless.
pub fn install_crypto() {
    // An error says that one is installed already.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let _ = jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER.install_default();
}

/// Starts everything and answers when it listens. Port 0 takes a free port. Must be called inside an actix `System`.
///
/// # Errors
/// See [`StartError`]; nothing keeps running then.
pub async fn start(settings: Settings) -> Result<Running, StartError> {
    start_at(settings, Arc::new(SystemClock)).await
}

/// Like [`start`], by another clock: for tests and the demo, which cannot wait for five minutes to pass.
///
/// # Errors
/// As for [`start`].
pub async fn start_at(settings: Settings, clock: Arc<dyn Clock>) -> Result<Running, StartError> {
    install_crypto();
    // First, because it is what fails most often and costs nothing: the addresses.
    let public = listen(settings.server.public_addr, "server.public_addr").await?;
    let management = listen(settings.server.management_addr, "server.management_addr").await?;
    let base_url =
        if settings.server.base_url.is_empty() { url_of(wire::scheme(&settings), &public.1) } else { settings.server.base_url.clone() };

    // Before anything is made or changed.
    let tls = Tls::open(&settings.tls, Arc::clone(&clock)).map_err(WireError::from)?;
    custody::given(&settings).map_err(WireError::from)?;
    let store = SqlStore::new(wire::open_or_make(&settings, Upgrade::Rolling).await?);
    if store.database().passes_row_security().await.map_err(wire::database_error(&settings))? {
        tracing::warn!("{}", wire::PASSES_ROW_SECURITY);
    }
    let started = start_on(store.clone(), settings, clock, [public, management], base_url, tls).await;
    if started.is_err() {
        // What is worth telling is why it did not start.
        let _ = store.database().close().await;
    }
    started
}

/// Starts everything that stands on the database.
async fn start_on(
    store: SqlStore,
    settings: Settings,
    clock: Arc<dyn Clock>,
    [public, management]: [(TcpListener, SocketAddr); 2],
    base_url: String,
    tls: Arc<Tls>,
) -> Result<Running, StartError> {
    let outbound = wire::outbound(&settings)?;
    let mail = Arc::new(CountedMails::new(wire::mail(&settings, &base_url)?));
    let custody = Arc::new(custody::open_or_new(&settings, &store).await.map_err(WireError::from)?);
    custody::check_primary(&custody, &store).await.map_err(WireError::from)?;
    let shared: Arc<dyn app::ports::store::Store> = Arc::new(store.clone());
    let directory = KeyDirectory::start(
        wire::key_settings(&settings, Arc::clone(&custody), base_url.clone(), settings.keys.rsa_pool),
        Arc::clone(&shared),
        Arc::clone(&clock),
        Arc::new(SystemEntropy),
    );
    // A wrong key-encryption key shall be noticed now, not at the first login.
    let verifiers = match VerifierTally::new(&*directory).await {
        Ok(verifiers) => verifiers,
        Err(fault) => {
            directory.shutdown().await;
            return Err(match Fault::from(fault) {
                Fault::Unavailable(why) => StartError::KeysAway(why),
                fault => StartError::Keys(fault),
            });
        }
    };
    let ctx = Arc::new(Ctx {
        store: shared,
        keys: Arc::clone(&directory) as Arc<dyn app::ports::keys::Keys>,
        clock,
        entropy: Arc::new(SystemEntropy),
        outbound,
        mail: Arc::clone(&mail) as Arc<dyn app::ports::mail::Mailer>,
        hashing: HashPool::start(wire::hashing_threads(&settings), settings.hashing.queue),
        tenants: TenantCache::new(settings.keys.most_awake),
        verifiers,
        key_sets: KeySets::new(KEY_SETS),
        documents: Documents::new(DOCUMENTS),
        request_fetches: Fetches::new(settings.keys.most_awake),
        mutual_tls: wire::mutual_tls(&settings, &tls),
        origins: ClientOrigins::new(settings.keys.most_awake),
        detail_types: DetailTypes::new(settings.keys.most_awake),
        hosts: wire::hosts(&settings, &base_url),
        base_url: base_url.clone(),
    });
    directory.start_clock();
    if store.database().has_notices() {
        directory.start_feed(Box::new(store.clone()));
    }

    let sweep = Arc::new(Sweep::new(Arc::clone(&ctx), settings.audit.retention_days));
    let api_settings = ApiSettings {
        trusted_proxies: settings.server.trusted_proxies.clone(),
        believes_forwarded_host: settings.server.forwarded_host,
        certificates: wire::certificate_header(&settings.tls),
        max_body_bytes: settings.server.max_body_bytes,
        max_head_bytes: settings.server.max_head_bytes,
        request_timeout: Duration::from_secs(settings.server.request_timeout_seconds),
        budgets: settings.budgets.limits(),
    };
    let (keys, database, swept, counted) = (Arc::clone(&directory), store.database().clone(), Arc::clone(&sweep), Arc::clone(&ctx));
    let (shown, posted) = (Arc::clone(&tls), mail);
    let state = ApiState::new(Arc::clone(&ctx), api_settings)
        .with_readings(move || wire::readings(&keys, &database, &swept, &counted.verifiers, &shown, &posted))
        .with_traces(telemetry::follow);

    // Whoever neither begins a request nor takes an answer for as long as both may last, is not going to.
    let patience = Duration::from_secs(settings.server.keep_alive_seconds + settings.server.request_timeout_seconds);
    let public_state = state.clone();
    let greeting = greeting(state.on_connect("public", patience));
    let public_server =
        serving(public.0, &settings, workers(&settings), tls.config(), greeting, move |config| api::public(public_state.clone())(config))
            .map_err(|source| StartError::Bind { addr: public.1, setting: "server.public_addr", source })?;
    let management_state = state.clone();
    let management_server = serving(management.0, &settings, 1, None, state.on_connect("management", patience), move |config| {
        api::management(management_state.clone())(config)
    })
    .map_err(|source| StartError::Bind { addr: management.1, setting: "server.management_addr", source })?;

    let background = vec![
        actix_web::rt::spawn(Arc::clone(&sweep).forever()),
        actix_web::rt::spawn(reload::on_hangup(custody)),
        actix_web::rt::spawn(Arc::clone(&tls).watch()),
        actix_web::rt::spawn(tell(Arc::clone(&ctx), "logouts", async |ctx| app::logouts::deliver(ctx).await)),
        actix_web::rt::spawn(tell(Arc::clone(&ctx), "answers", async |ctx| app::pings::deliver(ctx).await)),
        actix_web::rt::spawn(tell(Arc::clone(&ctx), "mails", async |ctx| app::mail::deliver(ctx).await)),
        actix_web::rt::spawn(make_ahead(Arc::clone(&directory))),
    ];
    let (end_notes, notes_end) = oneshot::channel();
    let notes = (end_notes, actix_web::rt::spawn(note_verifiers_until(Arc::clone(&ctx), notes_end)));
    Ok(Running {
        base_url,
        public_url: url_of(wire::scheme(&settings), &public.1),
        management_url: url_of("http", &management.1),
        ctx,
        state,
        keys: directory,
        store,
        tls,
        handles: [public_server.handle(), management_server.handle()],
        servers: [spawned(public_server), spawned(management_server)],
        sweep,
        background,
        notes,
    })
}

impl Running {
    /// A token for the platform's administrator.
    ///
    /// # Errors
    /// When the installation's secret cannot be had.
    pub async fn admin_token(&self, ttl: Ttl) -> Result<String, Fault> {
        PlatformToken::issue(self.ctx.keys.as_ref(), self.ctx.id_entropy(), ttl, self.ctx.now()).await
    }

    /// Sweeps now what would be swept within a minute.
    pub async fn sweep(&self) {
        self.sweep.once().await;
    }

    /// Looks now for keys that other nodes have changed, as each sweep does.
    pub async fn catch_up(&self) {
        self.keys.catch_up().await;
    }

    /// Looks now at the files of the TLS listener, as is done every minute.
    pub fn reread_certificates(&self) {
        self.tls.reread();
    }

    /// Writes down now which verifiers have fetched, as is done every ten seconds.
    pub async fn note_verifiers(&self) {
        noted(app::verifiers::flush(&*self.ctx.store, &self.ctx.verifiers).await);
    }

    /// Ends when one of the listeners does, which it should not before it is asked to.
    pub async fn ended(&mut self) {
        let [public, management] = &mut self.servers;
        tokio::select! {
            _ = public => {}
            _ = management => {}
        }
    }

    /// Says on `/health/ready` that this node is going, and goes on serving for as long as it takes the load balancer to see it.
    pub async fn drain(&self, span: Duration) {
        self.state.leave();
        tokio::time::sleep(span).await;
    }

    /// Accepts nothing new, lets requests in flight finish within the grace, then ends the keys and closes the database.
    pub async fn stop(self) {
        let [public, management] = self.handles;
        public.stop(true).await;
        management.stop(true).await;
        for task in self.background {
            task.abort();
        }
        let (end, notes) = self.notes;
        drop(end);
        // An error says that it has panicked: there is nothing left to wait for.
        let _ = notes.await;
        self.keys.shutdown().await;
        if let Err(error) = self.store.database().close().await {
            tracing::warn!(%error, "the database was not closed in order; nothing is lost");
        }
    }
}

/// Clients whose keys this node remembers; each takes a few kilobytes.
const KEY_SETS: usize = 2_000;

/// Addresses of clients of which this node remembers when it asked; each takes some hundred bytes.
const DOCUMENTS: usize = 10_000;

/// How long a fetch of the JWKS is remembered by this process alone.
const NOTE_EVERY: Duration = Duration::from_secs(10);

async fn note_verifiers_until(ctx: Arc<Ctx>, mut end: oneshot::Receiver<()>) {
    let mut turns = tokio::time::interval(NOTE_EVERY);
    turns.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut goes_on = true;
    while goes_on {
        tokio::select! {
            _ = turns.tick() => {}
            _ = &mut end => goes_on = false,
        }
        // Whoever refreshes has the database for nine tenths of the time; at the end nobody waits.
        let pause = async |took: Duration| {
            if goes_on {
                tokio::select! {
                    () = tokio::time::sleep(took * 9) => {}
                    _ = &mut end => goes_on = false,
                }
            }
        };
        noted(app::verifiers::flush_gently(&*ctx.store, &ctx.verifiers, pause).await);
    }
    // What was counted while the last of it was written.
    noted(app::verifiers::flush(&*ctx.store, &ctx.verifiers).await);
}

fn noted(written: Result<u64, StoreError>) {
    if let Err(error) = written {
        tracing::warn!(%error, "which verifiers have fetched could not be written down; it is kept for the next time");
    }
}

/// How often a node looks whether anything is to be told to somebody outside.
const TELL_EVERY: Duration = Duration::from_secs(1);

/// Has told what waits, as long as there is something.
async fn tell(ctx: Arc<Ctx>, what: &'static str, deliver: impl AsyncFn(&Ctx) -> Result<usize, Fault>) {
    let mut turns = tokio::time::interval(TELL_EVERY);
    turns.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        turns.tick().await;
        loop {
            match deliver(&ctx).await {
                Ok(0) => break,
                Ok(_) => {}
                Err(error) => {
                    tracing::warn!(what, %error, "what waits could not be told; it goes on in a second");
                    break;
                }
            }
        }
    }
}

/// How long the cores are left to the listeners that come up.
const QUIET_START: Duration = Duration::from_millis(100);

/// Makes ahead what takes a core for long, so that nobody waits for it: the cryptographic library's entropy (30 ms, once) and the
/// RSA keys. Whoever wants one of them before has it made on the spot.
async fn make_ahead(keys: Arc<KeyDirectory>) {
    tokio::time::sleep(QUIET_START).await;
    // An error is a panic, and the next one who wants randomness tells what is wrong with it.
    let _ = tokio::task::spawn_blocking(|| aws_lc_rs::rand::fill(&mut [0])).await;
    keys.fill_pool();
}

async fn listen(addr: SocketAddr, setting: &'static str) -> Result<(TcpListener, SocketAddr), StartError> {
    let bound = async {
        let socket = if addr.is_ipv4() { tokio::net::TcpSocket::new_v4() } else { tokio::net::TcpSocket::new_v6() }?;
        socket.set_reuseaddr(true)?;
        socket.bind(addr)?;
        let listener = socket.listen(BACKLOG)?.into_std()?;
        let at = listener.local_addr()?;
        Ok((listener, at))
    };
    bound.await.map_err(|source| StartError::Bind { addr, setting, source })
}

fn url_of(scheme: &str, addr: &SocketAddr) -> String {
    format!("{scheme}://{addr}")
}

fn workers(settings: &Settings) -> usize {
    match settings.server.workers {
        0 => std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
        workers => workers,
    }
}

/// Passes on what a new connection is, with TLS taken off, and puts the certificate of its peer beside it.
fn greeting(
    told: impl Fn(&dyn Any, &mut Extensions) + Send + Sync + 'static,
) -> impl Fn(&dyn Any, &mut Extensions) + Send + Sync + 'static {
    move |io, data| {
        let Some(stream) = io.downcast_ref::<TlsStream<TcpStream>>() else { return told(io, data) };
        let (socket, session) = stream.get_ref();
        told(socket, data);
        if let Some(chain) = session.peer_certificates() {
            data.insert(PeerCertificate::new(chain.iter().map(|certificate| certificate.to_vec())));
        }
    }
}

/// A server for one listener; it runs once it is polled.
fn serving(
    listener: TcpListener,
    settings: &Settings,
    workers: usize,
    tls: Option<ServerConfig>,
    on_connect: impl Fn(&dyn Any, &mut Extensions) + Send + Sync + 'static,
    configure: impl Fn(&mut ServiceConfig) + Clone + Send + 'static,
) -> std::io::Result<Server> {
    let server = HttpServer::new(move || App::new().configure(configure.clone()))
        .workers(workers)
        .max_connections((settings.server.max_connections / workers).max(1))
        .client_request_timeout(Duration::from_secs(settings.server.head_timeout_seconds))
        .tls_handshake_timeout(Duration::from_secs(settings.server.head_timeout_seconds))
        .keep_alive(Duration::from_secs(settings.server.keep_alive_seconds))
        .on_connect(on_connect)
        .shutdown_timeout(settings.server.shutdown_grace_seconds)
        .disable_signals();
    let server = match tls {
        Some(config) => server.listen_rustls_0_23(listener, config)?,
        None => server.listen(listener)?,
    };
    Ok(server.run())
}

fn spawned(server: Server) -> JoinHandle<std::io::Result<()>> {
    actix_web::rt::spawn(server)
}
