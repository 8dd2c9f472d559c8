//! `claviger doctor`: looks at everything a server needs, changes nothing, and says what to do.
//!
//! Invariant: makes no file, no table and no key-encryption key (what the first format sealed is sealed anew when it is opened, here
//! as everywhere); a check that could not be made is said to be so.

use std::sync::Arc;
use std::time::Duration;

use app::ports::keys::{KeyFault, Keys, TokenSigner};
use app::ports::store::Store;
use app::ports::world::Clock;
use domain::client::KeptSecret;
use domain::ids::TenantId;
use keys::Custody;
use storage::{Fit, SqlStore};

use super::{Failed, say};
use crate::custody;
use crate::settings::{BadSettings, Settings};
use crate::tls;
use crate::wire::{self, SystemClock};

/// 2026-01-01 and 2100-01-01: outside of these it is the clock that is wrong.
const SANE_SECONDS: std::ops::Range<i64> = 1_767_225_600..4_102_444_800;

const PATIENCE: Duration = Duration::from_secs(3);

#[derive(Default)]
struct Report {
    failed: u32,
}

impl Report {
    fn line<T, E: std::fmt::Display>(&mut self, what: &str, outcome: Result<(T, String), E>) -> Result<Option<T>, Failed> {
        match outcome {
            Ok((value, detail)) => {
                say(format_args!("ok    {what:<14} {detail}"))?;
                Ok(Some(value))
            }
            Err(error) => {
                self.failed += 1;
                say(format_args!("FAIL  {what:<14} {error}"))?;
                Ok(None)
            }
        }
    }
}

pub(super) async fn run(settings: Result<Settings, BadSettings>) -> Result<(), Failed> {
    let mut report = Report::default();
    let settings =
        report.line("configuration", settings.map(|settings| (settings, "every setting is known and makes sense".to_owned())))?;
    report.line("clock", clock())?;
    if let Some(settings) = settings {
        report.line("tls", tls::examine(&settings, SystemClock.now()).map(|said| ((), said)))?;
        report.line("traces", collector(&settings.telemetry.otlp_endpoint).await)?;
        let custody = match custody::given(&settings) {
            Ok(None) if is_new(&settings) => {
                skipped("kek", format_args!("{}: the first `claviger serve` makes it", settings.keys.kek_file.display()))?;
                None
            }
            Ok(None) => report.line("kek", Err::<(Arc<Custody>, _), _>(kek_lost(&settings)))?,
            Ok(Some(_)) => report.line("kek", kek(&settings).await)?,
            Err(error) => report.line("kek", Err(error))?,
        };
        if is_new(&settings) {
            skipped("database", format_args!("{}: the first `claviger serve` makes it", settings.database.shown()))?;
        } else if let Some(store) = report.line("database", database(&settings).await)? {
            if store.database().kind() == "postgres" {
                report.line("role", role(&store).await)?;
                report.line("clocks", clocks(&settings, &store).await)?;
            }
            let is_migrated = report.line("schema", schema(&settings, &store).await)?.is_some();
            if let (Some(custody), true) = (custody, is_migrated) {
                report.line("keys", sealed(&settings, custody, &store).await)?;
            } else {
                skipped("keys", "not looked at: needs the kek, the database and its schema")?;
            }
            report.line("close", store.database().close().await.map(|()| ((), "the database was closed in order".to_owned())))?;
        }
    }
    match report.failed {
        0 => Ok(()),
        failed => Err(format!("doctor: {failed} of the checks failed").into()),
    }
}

/// Says that there was nothing to check, and why.
fn skipped(what: &str, why: impl std::fmt::Display) -> Result<(), Failed> {
    say(format_args!("-     {what:<14} {why}"))
}

/// Whether there is nothing yet: on SQLite, the first start makes all.
fn is_new(settings: &Settings) -> bool {
    settings.database.sqlite_file().is_some_and(|file| !file.exists())
}

fn kek_lost(settings: &Settings) -> String {
    format!(
        "the key-encryption key {} is missing, but there is a database. Bring the file back from where you keep its copy, or set \
         keys.kek_file (CLAVIGER__KEYS__KEK_FILE) to where it is; only a database that has never served gets a new one, by `claviger serve`",
        settings.keys.kek_file.display()
    )
}

fn clock() -> Result<((), String), String> {
    let now = SystemClock.now();
    if SANE_SECONDS.contains(&now.as_seconds()) {
        Ok(((), format!("it is {now}")))
    } else {
        Err(format!("this machine thinks it is {now}: set its clock, for example with chrony or systemd-timesyncd"))
    }
}

/// Whether somebody listens where the traces are to go. Sends nothing.
async fn collector(endpoint: &str) -> Result<((), String), String> {
    if endpoint.is_empty() {
        return Ok(((), "none are sent (telemetry.otlp_endpoint)".to_owned()));
    }
    let uri = endpoint.parse::<actix_web::http::Uri>().map_err(|error| error.to_string())?;
    let port = uri.port_u16().unwrap_or(if uri.scheme_str() == Some("https") { 443 } else { 80 });
    let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
    match tokio::time::timeout(PATIENCE, tokio::net::TcpStream::connect((host, port))).await {
        Ok(Ok(_)) => Ok(((), format!("somebody listens at {host}:{port}"))),
        Ok(Err(error)) => Err(format!("nobody listens at {host}:{port} ({error}): start the collector, or set telemetry.otlp_endpoint")),
        Err(_) => Err(format!("{host}:{port} does not answer: start the collector, or set telemetry.otlp_endpoint")),
    }
}

async fn database(settings: &Settings) -> Result<(SqlStore, String), String> {
    let store = SqlStore::new(wire::open(settings).await.map_err(|error| error.to_string())?);
    store.ping().await.map_err(|error| format!("{} does not answer: {error}", settings.database.shown()))?;
    Ok((store, format!("{} answers", settings.database.shown())))
}

/// Whether this machine and PostgreSQL's agree about the time, as nodes and verifiers must.
async fn clocks(settings: &Settings, store: &SqlStore) -> Result<((), String), String> {
    let before = SystemClock.now();
    let there = store.database().server_time().await.map_err(|error| error.to_string())?.unwrap_or(before);
    // Its answer is of some moment between these two.
    let after = SystemClock.now();
    let apart = (before.as_micros() - there.as_micros()).max(there.as_micros() - after.as_micros()).max(0) / 1_000_000;
    let allowed = settings.keys.clock_skew_seconds;
    if apart <= i64::from(allowed) {
        return Ok(((), format!("{apart} s apart, this machine's and the database server's")));
    }
    Err(format!(
        "this machine's clock and the database server's are {apart} s apart, and keys.clock_skew_seconds allows {allowed}: set both, for \
         example with chrony or systemd-timesyncd"
    ))
}

/// Whether row-level security holds for whom we are to PostgreSQL.
async fn role(store: &SqlStore) -> Result<((), String), String> {
    match store.database().passes_row_security().await.map_err(|error| error.to_string())? {
        true => Err(wire::PASSES_ROW_SECURITY.to_owned()),
        false => Ok(((), "row-level security holds for it".to_owned())),
    }
}

async fn schema(settings: &Settings, store: &SqlStore) -> Result<((), String), String> {
    match wire::fitting(settings, store.database()).await.map_err(|error| error.to_string())? {
        Fit::Behind { pending, is_rolling } => {
            let (count, steps) = (pending.len(), pending.join(", "));
            let advice = if is_rolling { "start `claviger serve`, or run" } else { "stop all nodes, then run" };
            Err(format!("{count} steps are pending ({steps}): {advice} `claviger migrate`"))
        }
        Fit::Ahead { level } => Ok(((), format!("at level {level}, of a later release; this one may run on it"))),
        _ => Ok(((), "up to date".to_owned())),
    }
}

/// Whether the key-encryption keys are there and work.
async fn kek(settings: &Settings) -> Result<(Arc<Custody>, String), String> {
    let custody = custody::open(settings).await.map_err(|error| error.to_string())?;
    let keks = custody.keks();
    let mut said = Vec::new();
    for kek in keks.iter() {
        keys::kek::check(&**kek).await.map_err(|fault| format!("{} ({}) does not work: {fault}", kek.id(), kek.provider()))?;
        said.push(format!("{} ({})", kek.id(), kek.provider()));
    }
    Ok((Arc::new(custody), format!("{} work; the primary one is {}", said.join(", "), keks.primary().id())))
}

/// Whether the key-encryption keys open what lies in this database: the data key and the secrets of every tenant.
async fn sealed(settings: &Settings, custody: Arc<Custody>, store: &SqlStore) -> Result<((), String), String> {
    let is_there = custody::has_sealed_anything(store).await.map_err(|error| error.to_string())?;
    if !is_there {
        return Ok(((), "nothing is sealed yet".to_owned()));
    }
    let shared: Arc<dyn Store> = Arc::new(store.clone());
    let directory = wire::visit(settings, custody, Arc::clone(&shared));
    let outcome = all_open(&*shared, directory.as_ref()).await;
    directory.shutdown().await;
    outcome.map(|count| ((), format!("the secrets of {count} tenants and of the installation open")))
}

/// Opens the secrets that clients of this tenant sign with.
async fn client_secrets_open(store: &dyn Store, signer: &dyn TokenSigner, tenant: TenantId) -> Result<(), String> {
    const PAGE: u32 = 500;
    let mut after = None;
    loop {
        let page = async { store.begin_read(tenant).await?.clients_page(after.as_ref(), PAGE).await }.await;
        let page = page.map_err(|error| format!("the clients cannot be read: {error}"))?;
        for client in &page {
            for secret in &client.secrets {
                if let KeptSecret::Sealed(sealed) = &secret.kept {
                    let opened = signer.open_client_secret(&client.id, secret.id, &sealed.bytes().unwrap_or_default());
                    opened.map_err(|fault| fault.to_string())?;
                }
            }
        }
        let Some(last) = page.last() else { return Ok(()) };
        after = Some(last.id.clone());
    }
}

/// Opens everything, one tenant after the other; the first ten that do not open are named.
async fn all_open(store: &dyn Store, keys: &dyn Keys) -> Result<u64, String> {
    const PAGE: u32 = 500;
    let look = |what: String| move |error: &dyn std::fmt::Display| format!("{what}: {error}");
    let wanted = "the installation's own secrets do not open: set keys.kek_file (CLAVIGER__KEYS__KEK_FILE) or keys.keks to the keys they were \
                  sealed with";
    keys.installation_mac(b"doctor").await.map_err(|fault| look(wanted.to_owned())(&fault))?;
    let (mut opened, mut shut, mut after) = (0, Vec::new(), None);
    loop {
        let page = async { store.begin_platform().await?.data_keys_page(None, after, PAGE).await }.await;
        let page = page.map_err(|error| look("the data keys cannot be read".to_owned())(&error))?;
        let Some(last) = page.last() else { break };
        after = Some(last.owner);
        for tenant in page.iter().map(|key| key.owner).filter(|owner| *owner != TenantId::INSTALLATION) {
            match keys.signer(tenant, 0).await {
                Ok(signer) => match client_secrets_open(store, signer.as_ref(), tenant).await {
                    Ok(()) => opened += 1,
                    Err(why) => shut.push(format!("{tenant} ({why})")),
                },
                // Deleted in between.
                Err(KeyFault::NoRing) => {}
                Err(fault) => shut.push(format!("{tenant} ({fault})")),
            }
            keys.forget(tenant);
        }
    }
    if shut.is_empty() {
        return Ok(opened);
    }
    let (count, first) = (shut.len(), shut.iter().take(10).cloned().collect::<Vec<_>>().join("; "));
    Err(format!("{opened} tenants open, {count} do not: {first}. Bring the keys they were sealed with, or restore their rows"))
}
