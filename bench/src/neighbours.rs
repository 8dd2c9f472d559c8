//! Whether a tenant notices what another one goes through: its refreshes alone, and while the other is attacked.
//!
//! Victims refresh at a modest, fixed rate. Their time counts from the moment at which they were to ask, not from when they got to, so
//! that a server which stands still is not left out of the count. Attackers ask at a rate, too, but do not catch up on what they
//! missed. The server has one core to itself, and both ask from the others: what attackers use of a processor is not the server's in
//! life either, and would be measured as if it had kept the victims waiting.
//!
//! Invariant: ends within a bound of time, whatever the server does; a victim that is refused is counted, and said.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use clap::Args;
use futures_util::future::{join_all, try_join_all};
use serde_json::{Value, json};
use tokio::time::{sleep_until, timeout};

use crate::claviger::{Admin, Claviger, Kind, Place};
use crate::http::{self, Answer, Connection, Line};
use crate::load::Talk;
use crate::stage::{self, Session};
use crate::table::{Aim, Row, Table, Unit};
use crate::{Outcome, claviger, machine, progress, stats};

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// How long each window is, in seconds.
    #[arg(long, default_value_t = 6, value_parser = clap::value_parser!(u64).range(1..=60))]
    seconds: u64,
    /// How often everything is looked at; what counts is the window in the middle, by its p99.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=15))]
    rounds: u32,
    /// The database to measure on. PostgreSQL is started for it.
    #[arg(long, value_enum, default_value = "sqlite")]
    database: Kind,
    /// Write the table to this file, too.
    #[arg(long, value_name = "FILE")]
    markdown: Option<PathBuf>,
}

/// The tenants next door: each has so many sessions, and each session is refreshed so often.
const VICTIMS: usize = 3;
const SESSIONS: usize = 4;
const EVERY: Duration = Duration::from_millis(100);
/// The attack goes on for this long before the victims are looked at: until the server has taken its measures.
const RAMP: Duration = Duration::from_millis(2_000);
/// How long an attacker waits for an answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// Own sessions of the attacked tenant.
const OWN: usize = 32;
const ATTACKED: &str = "attacked";
const USER: &str = "alice";

/// What the attacked tenant goes through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Attack {
    Passwords,
    Refreshes,
    Junk,
    Jwks,
    Changes,
}

impl Attack {
    const ALL: [Self; 5] = [Self::Passwords, Self::Refreshes, Self::Junk, Self::Jwks, Self::Changes];

    const fn what(self) -> &'static str {
        match self {
            Self::Passwords => "wrong passwords from everywhere",
            Self::Refreshes => "a storm of its own refreshes",
            Self::Junk => "junk instead of refresh tokens",
            Self::Jwks => "a flood of JWKS fetches",
            Self::Changes => "a flood of its administrator's changes",
        }
    }

    /// Connections, and requests a second of all of them: far beyond what the server does of it.
    const fn size(self) -> (usize, u32) {
        match self {
            Self::Passwords => (256, 600),
            Self::Refreshes => (OWN, 20_000),
            Self::Junk | Self::Jwks => (64, 40_000),
            Self::Changes => (64, 10_000),
        }
    }
}

pub(crate) fn run(options: &Options) -> Outcome<()> {
    claviger::binary()?;
    let folder = tempfile::Builder::new().prefix("claviger-bench-").tempdir()?;
    let (place, _cluster) = Place::new(options.database, &folder.path().join("neighbours"))?;
    // Sources are told by the header that only a trusted proxy may send.
    let place = place.with("SERVER__TRUSTED_PROXIES", "127.0.0.1");
    let span = Duration::from_secs(options.seconds);
    let mut facts = machine::facts(folder.path());
    facts.push(("database", options.database.to_string()));
    facts.push((
        "victims",
        format!(
            "{VICTIMS} tenants with {SESSIONS} sessions each, {} refreshes/s in all; windows of {} s, {} s after the attack began",
            (VICTIMS * SESSIONS) as u128 * 1_000 / EVERY.as_millis(),
            span.as_secs(),
            RAMP.as_secs()
        ),
    ));
    facts.push((
        "attackers",
        "and victims ask from other cores than the server's one; offered rates are upper bounds, each connection waits for its answer"
            .to_owned(),
    ));

    let mut sessions = None;
    let mut sides = Vec::new();
    let cores = machine::Halves::take()?;
    for is_on in [true, false] {
        let place = if is_on { place.clone() } else { place.clone().with("BUDGETS__ENFORCED", "false") };
        let claviger = Claviger::start_on(&cores, &place)?;
        progress(format_args!("==> budgets {}", if is_on { "on" } else { "off" }));
        let (victims, own) = match &mut sessions {
            Some(known) => known,
            unknown => unknown.insert(prepare(&claviger)?),
        };
        let token = administrator(claviger.target().addr)?;
        let mut windows = [const { Vec::new() }; 1 + Attack::ALL.len()];
        for _ in 0..options.rounds {
            for (attack, windows) in std::iter::once(None).chain(Attack::ALL.map(Some)).zip(&mut windows) {
                let seen = look(&claviger, attack, victims, own, &token, span)?;
                progress(format_args!("    {}: {seen}", attack.map_or("alone", Attack::what)));
                windows.push(seen);
            }
        }
        claviger.stop()?;
        let mut windows = windows.into_iter().map(Windows::new);
        let alone = windows.next().ok_or("nothing was looked at")?;
        sides.push((alone, windows.collect()));
    }
    let rows = rows(&sides);
    let table = Table { title: "Refreshes of tenants next to one that is attacked".to_owned(), facts, rows };
    crate::print(&table, options.markdown.as_deref())
}

/// The same, looked at several times.
struct Windows {
    /// By their p99.
    sorted: Vec<Seen>,
}

impl Windows {
    fn new(mut seen: Vec<Seen>) -> Self {
        seen.sort_by(|one, other| one.p99.total_cmp(&other.p99));
        Self { sorted: seen }
    }

    fn middle(&self) -> &Seen {
        &self.sorted[self.sorted.len() / 2]
    }

    fn p99(&self) -> f64 {
        self.middle().p99
    }
}

impl std::fmt::Display for Windows {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.middle())?;
        match self.sorted.as_slice() {
            [best, .., worst] => write!(f, " (p99 of the windows: {:.1} to {:.1} ms)", best.p99, worst.p99),
            _ => Ok(()),
        }
    }
}

fn rows(sides: &[(Windows, Vec<Windows>)]) -> Vec<Row> {
    let [(alone, on), (alone_off, off)] = sides else { return Vec::new() };
    let row = |((attack, on), off): ((Attack, &Windows), &Windows)| Row {
        what: format!("p99 next to {}", attack.what()),
        unit: Unit::Milliseconds,
        claviger: on.p99(),
        beside: Some((alone.p99(), "alone".to_owned())),
        aim: Aim::RatioAtMost(2.0),
        detail: format!(
            "{on}. Alone: {alone}. Budgets off: {off}; ratio {:.2} to {:.1} ms alone",
            stats::ratio(off.p99(), alone_off.p99()).unwrap_or(f64::NAN),
            alone_off.p99()
        ),
    };
    Attack::ALL.into_iter().zip(on).zip(off).map(row).collect()
}

/// What was seen in one window.
#[derive(Debug)]
struct Seen {
    /// Milliseconds of the victims' refreshes.
    p50: f64,
    p99: f64,
    /// Victims' refreshes that were refused or not answered.
    denied: usize,
    /// What attackers got in a second: answers of substance, 429 and 503, and none.
    answered: f64,
    refused: f64,
    lost: f64,
}

impl std::fmt::Display for Seen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "p50 {:.1} ms, p99 {:.1} ms", self.p50, self.p99)?;
        if self.denied > 0 {
            write!(f, ", {} refreshes DENIED", self.denied)?;
        }
        if self.answered + self.refused > 0.0 {
            write!(f, "; attackers: {:.0}/s answered, {:.0}/s refused", self.answered, self.refused)?;
        }
        if self.lost > 0.0 {
            write!(f, ", {:.0}/s without an answer", self.lost)?;
        }
        Ok(())
    }
}

/// All tenants and their sessions: the victims', and the attacked one's own.
fn prepare(claviger: &Claviger) -> Outcome<(Vec<Session>, Vec<Session>)> {
    let mut admin = claviger.admin()?;
    let mut line = Line::open(claviger.target().addr)?;
    let mut sessions = |admin: &mut Admin, slug: &str, count: usize, roles: &[&str]| -> Outcome<Vec<Session>> {
        admin.post("/admin/v1/tenants", &json!({ "slug": slug, "name": slug }))?;
        let phc = stage::phc(domain::password::Argon2Params::default())?;
        let user = json!({ "username": USER, "password_hash": phc, "roles": roles });
        admin.post(&format!("/admin/v1/tenants/{slug}/users"), &user)?;
        (0..count).map(|_| stage::log_in(&mut line, slug, USER)).collect()
    };
    let own = sessions(&mut admin, ATTACKED, OWN, &["claviger:admin"])?;
    let mut victims = Vec::new();
    for number in 0..VICTIMS {
        victims.extend(sessions(&mut admin, &format!("victim-{number}"), SESSIONS, &[])?);
    }
    Ok((victims, own))
}

/// The access token of the attacked tenant's administrator.
fn administrator(addr: SocketAddr) -> Outcome<String> {
    let mut request = Vec::new();
    let body = json!({ "username": USER, "password": stage::PASSWORD, "scope": "account admin" }).to_string();
    http::request(&mut request, "POST", &format!("/t/{ATTACKED}/login"), stage::JSON, body.as_bytes());
    let mut line = Line::open(addr)?;
    let answer = line.exchange(&request)?;
    answer.insist(200)?;
    let tokens: Value = serde_json::from_slice(answer.body)?;
    Ok(tokens["access_token"].as_str().ok_or("no access token")?.to_owned())
}

/// Counts of the attackers while the window is open.
#[derive(Debug, Default)]
struct Counts {
    is_open: AtomicBool,
    is_over: AtomicBool,
    answered: AtomicU64,
    refused: AtomicU64,
    lost: AtomicU64,
}

/// Looks at the victims for `span`, during an attack or without one.
fn look(
    claviger: &Claviger,
    attack: Option<Attack>,
    victims: &mut [Session],
    own: &mut [Session],
    token: &str,
    span: Duration,
) -> Outcome<Seen> {
    let addr = claviger.target().addr;
    let counts = Counts::default();
    let (heard, denied) = std::thread::scope(|scope| {
        let counts = &counts;
        let attacking = attack.map(|attack| scope.spawn(move || assail(addr, attack, own, token, counts)));
        let watched = watch(addr, victims, counts, span);
        counts.is_over.store(true, Ordering::Relaxed);
        if let Some(attacking) = attacking {
            attacking.join().map_err(|_| "an attacker panicked")??;
        }
        watched
    })?;
    let mut micros = heard;
    let mut millis = |share| stats::percentile(&mut micros, share).map(|micros| f64::from(micros) / 1_000.0);
    let nothing = "not one refresh of a victim was answered";
    let (p50, p99) = (millis(0.5).ok_or(nothing)?, millis(0.99).ok_or(nothing)?);
    let a_second = |count: &AtomicU64| count.load(Ordering::Relaxed) as f64 / span.as_secs_f64();
    let (answered, refused, lost) = (a_second(&counts.answered), a_second(&counts.refused), a_second(&counts.lost));
    Ok(Seen { p50, p99, denied, answered, refused, lost })
}

/// The victims' part: the microseconds of each answered refresh, and how many were denied.
fn watch(addr: SocketAddr, victims: &mut [Session], counts: &Counts, span: Duration) -> Outcome<(Vec<u32>, usize)> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let opens = Instant::now() + RAMP;
        let all = victims.len() as u32;
        // One after the other, not all at the same moment.
        let each = victims.iter_mut().enumerate().map(|(at, session)| refresh(addr, session, EVERY * at as u32 / all, opens, span));
        let open = async {
            sleep_until(opens.into()).await;
            counts.is_open.store(true, Ordering::Relaxed);
            sleep_until((opens + span).into()).await;
            counts.is_open.store(false, Ordering::Relaxed);
            Ok(())
        };
        let (heard, ()) = futures_util::try_join!(try_join_all(each), open)?;
        let denied = heard.iter().map(|(_, denied)| denied).sum();
        Ok((heard.into_iter().flat_map(|(micros, _)| micros).collect(), denied))
    })
}

async fn refresh(addr: SocketAddr, session: &mut Session, offset: Duration, opens: Instant, span: Duration) -> Outcome<(Vec<u32>, usize)> {
    let mut connection = Connection::open(addr).await?;
    let (mut request, mut micros, mut denied) = (Vec::new(), Vec::new(), 0);
    let mut due = Instant::now() + offset;
    while due < opens + span {
        sleep_until(due.into()).await;
        session.ask(&mut request);
        let is_answered = match timeout(PATIENCE, connection.exchange(&request)).await {
            Ok(Ok(answer)) if answer.status == 200 => {
                session.hear(&answer)?;
                true
            }
            Ok(Ok(answer)) if matches!(answer.status, 429 | 503) => false,
            Ok(Ok(answer)) => return answer.insist(200).map(|()| (micros, denied)),
            Ok(Err(_)) | Err(_) => {
                connection = Connection::open(addr).await?;
                false
            }
        };
        if due >= opens {
            if is_answered {
                micros.push(u32::try_from(due.elapsed().as_micros()).unwrap_or(u32::MAX));
            } else {
                denied += 1;
            }
        }
        due += EVERY;
    }
    Ok((micros, denied))
}

/// The attackers' part, until it is over.
fn assail(addr: SocketAddr, attack: Attack, own: &mut [Session], token: &str, counts: &Counts) -> Outcome<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (connections, rate) = attack.size();
    let every = Duration::from_secs(1) * connections as u32 / rate;
    let mut own = own.iter_mut();
    let attackers = (0..connections).map(|number| Attacker { attack, number, asked: 0, session: own.next(), token });
    runtime.block_on(async {
        join_all(attackers.enumerate().map(|(at, attacker)| attacker.go_on(addr, every, every * at as u32 / connections as u32, counts)))
            .await;
    });
    Ok(())
}

struct Attacker<'a> {
    attack: Attack,
    number: usize,
    asked: usize,
    session: Option<&'a mut Session>,
    token: &'a str,
}

impl Attacker<'_> {
    fn ask(&mut self, request: &mut Vec<u8>) {
        self.asked += 1;
        let (number, asked) = (self.number, self.asked);
        match (self.attack, &mut self.session) {
            (Attack::Passwords, _) => {
                let source = format!("{}x-forwarded-for: 10.{}.{}.{}\r\n", stage::JSON, number % 256, asked / 256 % 256, asked % 256);
                let body = json!({ "username": format!("user-{number}-{asked}"), "password": "not-the-password-of-anybody" });
                http::request(request, "POST", &format!("/t/{ATTACKED}/login"), &source, body.to_string().as_bytes());
            }
            (Attack::Refreshes, Some(session)) => session.ask(request),
            (Attack::Refreshes | Attack::Junk, _) => {
                let body = format!("grant_type=refresh_token&client_id=first-party&refresh_token=rt1_{:0>96}", number * 1_000_000 + asked);
                http::request(request, "POST", &format!("/t/{ATTACKED}/oauth/token"), stage::FORM, body.as_bytes());
            }
            (Attack::Jwks, _) => http::request(request, "GET", &format!("/t/{ATTACKED}/.well-known/jwks.json"), "", b""),
            (Attack::Changes, _) => {
                let headers = format!("{}authorization: Bearer {}\r\n", stage::JSON, self.token);
                let body = json!({ "name": format!("Name {number} {asked}") }).to_string();
                http::request(request, "PATCH", &format!("/admin/v1/tenants/{ATTACKED}"), &headers, body.as_bytes());
            }
        }
    }

    fn hear(&mut self, answer: &Answer<'_>) -> Outcome<()> {
        match &mut self.session {
            Some(session) if self.attack == Attack::Refreshes && answer.status == 200 => session.hear(answer),
            _ => Ok(()),
        }
    }

    /// Asks every so often; what it could not ask in time, it leaves out.
    async fn go_on(mut self, addr: SocketAddr, every: Duration, offset: Duration, counts: &Counts) {
        let mut connection = None;
        let mut request = Vec::new();
        let mut due = Instant::now() + offset;
        while !counts.is_over.load(Ordering::Relaxed) {
            sleep_until(due.into()).await;
            let count = match self.once(addr, &mut connection, &mut request).await {
                Some(429 | 503) => &counts.refused,
                Some(_) => &counts.answered,
                None => {
                    connection = None;
                    &counts.lost
                }
            };
            if counts.is_open.load(Ordering::Relaxed) {
                count.fetch_add(1, Ordering::Relaxed);
            }
            due = (due + every).max(Instant::now());
        }
    }

    async fn once(&mut self, addr: SocketAddr, connection: &mut Option<Connection>, request: &mut Vec<u8>) -> Option<u16> {
        let connection = match connection {
            Some(connection) => connection,
            none => none.insert(Connection::open(addr).await.ok()?),
        };
        self.ask(request);
        let answer = timeout(PATIENCE, connection.exchange(request)).await.ok()?.ok()?;
        self.hear(&answer).ok()?;
        Some(answer.status)
    }
}
