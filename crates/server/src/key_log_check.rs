//! Checks a tenant's key log from outside: over HTTP, without the database, trusting nothing but one verifier key.
//!
//! What is wrong with the log is a finding, in plain words; that it could not be looked at is an error.
//!
//! Invariant: no entry is believed before the root over all of them is the one that was signed.

use std::fmt;
use std::str::FromStr;

use domain::keys::log::{LogEntry, LoggedKey, Replay};
use domain::keys::ring::{KeyState, Kid};
use domain::time::{Timestamp, Ttl};
use reqwest::header::CACHE_CONTROL;
use reqwest::{Client, Response, StatusCode};
use serde_json::Value;
use transparency::note::{self, Head, NoteRefused, Vkey};
use transparency::tile::{Tile, unbundle};
use transparency::tree::{Frontier, leaf_hash};

/// How much later than the longest max-age a key may come into the JWKS or leave it: nodes hear of changes by their sweep.
const SLACK: Ttl = Ttl::minutes(1);
/// The largest answers that are read: of texts, and of a bundle with 256 entries of the largest size.
const MOST_TEXT: usize = 1 << 20;
const MOST_BUNDLE: usize = 256 * (2 + 65_535);

/// What a check that found nothing wrong leaves for the next one: whom it trusted, and what it saw.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    pub vkey: Vkey,
    /// The signed checkpoint.
    pub checkpoint: String,
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\n{}", self.vkey, self.checkpoint)
    }
}

impl FromStr for Seen {
    type Err = NotChecked;

    fn from_str(text: &str) -> Result<Self, NotChecked> {
        let damaged = |why: &dyn fmt::Display| NotChecked(format!("the checkpoint of the last time is damaged: {why}"));
        let (vkey, checkpoint) = text.split_once('\n').ok_or_else(|| damaged(&"it has one line only"))?;
        let vkey: Vkey = vkey.parse().map_err(|error| damaged(&error))?;
        note::open(checkpoint, &vkey).map_err(|error| damaged(&error))?;
        Ok(Self { vkey, checkpoint: checkpoint.to_owned() })
    }
}

/// The log could not be looked at; nothing is said about it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NotChecked(String);

/// Something that must not be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Alarm {
    #[error("CHANGED LOG KEY: the checkpoint is not signed with the trusted key {trusted}; the log now says its key is {published}")]
    ChangedVkey { trusted: String, published: String },
    #[error("FORGED CHECKPOINT: {0}")]
    Forged(NoteRefused),
    #[error("ANOTHER LOG: the checkpoint is that of {found}, not of {expected}")]
    AnotherLog { found: String, expected: String },
    #[error("ROLLBACK: the log had {before} entries the last time and has {now} now")]
    Rollback { before: u64, now: u64 },
    #[error("FORK: two signed checkpoints of {size} entries have different roots; somebody else is shown another log")]
    Fork { size: u64 },
    #[error("REWRITTEN PAST: the first {size} entries are not those that were signed the last time")]
    Rewritten { size: u64 },
    #[error("MISSING ENTRIES: the log does not hold what its checkpoint covers (tile/{tile})")]
    Missing { tile: String },
    #[error("CHANGED ENTRIES: the {size} entries do not give the root that the checkpoint signs")]
    WrongRoot { size: u64 },
    #[error("IMPOSSIBLE ENTRY: entry {number}: {why}")]
    Impossible { number: u64, why: String },
    #[error("UNKNOWN KEY: the JWKS publishes {kid}, which the log does not know: somebody put it there behind the log's back")]
    UnknownKey { kid: String },
    #[error("SWAPPED KEY: the JWKS publishes another key as {kid} than the log knows by this name")]
    SwappedKey { kid: Kid },
    #[error("DEAD KEY: {kid} was {state} at {at}, and the JWKS still publishes it")]
    DeadKey { kid: Kid, state: &'static str, at: Timestamp },
    #[error("HIDDEN KEY: the log has published {kid} since {since}, and the JWKS does not show it")]
    HiddenKey { kid: Kid, since: Timestamp },
}

/// What a check found.
#[derive(Debug)]
pub struct Report {
    pub alarms: Vec<Alarm>,
    /// The signed head, if there is one to be believed.
    pub head: Option<Head>,
    /// How many entries were new since the last time.
    pub new: u64,
    /// Keys in the JWKS.
    pub published: usize,
    /// What to keep for the next time; nothing when something is wrong.
    pub seen: Option<Seen>,
    /// Whether the log itself was asked whose signature to expect, because nobody else had said it.
    pub is_first_use: bool,
    /// What the log was called the last time, if that was another name.
    pub renamed_from: Option<String>,
}

/// One check of the log of `issuer`.
#[expect(missing_debug_implementations, reason = "it holds a closure, and is consumed where it is made")]
pub struct Check<'a> {
    pub http: &'a Client,
    /// The tenant's issuer: scheme, host and path.
    pub issuer: &'a str,
    /// The key to trust, if it was given; else that of the last time; else the log is asked.
    pub vkey: Option<Vkey>,
    pub before: Option<&'a Seen>,
    pub now: Timestamp,
    /// Told how many entries were read, and of how many.
    pub progress: &'a dyn Fn(u64, u64),
}

impl Check<'_> {
    /// Fetches the JWKS, the checkpoint and all entries, and compares everything with everything.
    ///
    /// # Errors
    /// When something could not be fetched.
    pub async fn run(self) -> Result<Report, NotChecked> {
        let mut report =
            Report { alarms: Vec::new(), head: None, new: 0, published: 0, seen: None, is_first_use: false, renamed_from: None };
        if let Err(alarm) = self.look(&mut report).await? {
            report.alarms.push(alarm);
        }
        if !report.alarms.is_empty() {
            report.seen = None;
        }
        Ok(report)
    }

    /// The inner result is an alarm after which nothing else can be believed.
    async fn look(&self, report: &mut Report) -> Result<Result<(), Alarm>, NotChecked> {
        // Before the checkpoint: what is published was in the log by then.
        let (jwks, max_age) = self.jwks().await?;
        report.published = jwks.len();
        let checkpoint = self.text(&self.log("checkpoint")).await?;
        let expected = self.log("");
        let expected = expected.split_once("://").map_or(expected.as_str(), |(_, rest)| rest).trim_end_matches('/');
        let vkey = match (&self.vkey, self.before) {
            (Some(given), _) => given.clone(),
            // The key is what was trusted. An issuer with another address has the same log under another name.
            (None, Some(before)) => before.vkey.named(expected).unwrap_or_else(|| before.vkey.clone()),
            (None, None) => {
                report.is_first_use = true;
                self.published_vkey().await?.parse().map_err(|error| NotChecked(format!("{}: {error}", self.log("vkey"))))?
            }
        };
        if let Some(before) = self.before {
            if !before.vkey.is_same_key(&vkey) {
                return Ok(Err(Alarm::ChangedVkey { trusted: before.vkey.to_string(), published: vkey.to_string() }));
            }
            report.renamed_from = (before.vkey != vkey).then(|| before.vkey.name().to_owned());
        }
        let head = match note::open(&checkpoint, &vkey) {
            Ok(head) => head,
            Err(refused) => {
                let published = self.published_vkey().await?;
                let elsewhere = published.parse::<Vkey>().ok().filter(|published| published.is_same_key(&vkey));
                return Ok(Err(match elsewhere.map(|published| note::open(&checkpoint, &published)) {
                    _ if published == vkey.to_string() => Alarm::Forged(refused),
                    Some(Ok(head)) => Alarm::AnotherLog { found: head.origin, expected: expected.to_owned() },
                    _ => Alarm::ChangedVkey { trusted: vkey.to_string(), published },
                }));
            }
        };
        if head.origin != expected {
            return Ok(Err(Alarm::AnotherLog { found: head.origin, expected: expected.to_owned() }));
        }
        // Its signature was verified when it was read.
        let before = self.before.and_then(|before| note::open(&before.checkpoint, &before.vkey).ok());
        report.new = head.size.saturating_sub(before.as_ref().map_or(0, |before| before.size));
        report.head = Some(head.clone());
        match &before {
            Some(before) if head.size < before.size => return Ok(Err(Alarm::Rollback { before: before.size, now: head.size })),
            Some(before) if head.size == before.size && head.root != before.root => return Ok(Err(Alarm::Fork { size: head.size })),
            _ => {}
        }
        let replay = match self.entries(&head, before.as_ref()).await? {
            Ok(replay) => replay,
            Err(alarm) => return Ok(Err(alarm)),
        };
        report.alarms.extend(compare(&jwks, &replay, max_age.max(replay.jwks_max_age).plus(SLACK), self.now));
        report.seen = Some(Seen { vkey, checkpoint });
        Ok(Ok(()))
    }

    /// Reads all entries, and what they amount to once they are known to be the signed ones.
    async fn entries(&self, head: &Head, before: Option<&Head>) -> Result<Result<Replay, Alarm>, NotChecked> {
        let mut frontier = Frontier::default();
        let mut entries = Vec::new();
        let is_as_before =
            |frontier: &Frontier| before.is_none_or(|before| before.size != frontier.size() || before.root == frontier.root());
        for tile in Tile::bundles(head.size) {
            let missing = Alarm::Missing { tile: tile.to_string() };
            let url = self.log(&format!("tile/{tile}"));
            let response = self.sent(&url).await?;
            if response.status() == StatusCode::NOT_FOUND {
                return Ok(Err(missing));
            }
            let bytes = whole(&url, response, MOST_BUNDLE).await?;
            let Some(bundle) = unbundle(&bytes).filter(|bundle| bundle.len() as u64 == tile.width) else { return Ok(Err(missing)) };
            for entry in bundle {
                frontier.push(leaf_hash(entry));
                if !is_as_before(&frontier) {
                    return Ok(Err(Alarm::Rewritten { size: frontier.size() }));
                }
                // Read for real below, when the whole is known to be genuine.
                entries.push(serde_json::from_slice::<LogEntry>(entry).map_err(|error| error.to_string()));
            }
            (self.progress)(frontier.size(), head.size);
        }
        if frontier.root() != head.root {
            return Ok(Err(Alarm::WrongRoot { size: head.size }));
        }
        let mut replay = Replay::default();
        for (number, entry) in (0..).zip(entries) {
            let added = entry.and_then(|entry| {
                if entry.v > LogEntry::VERSION {
                    return Err(format!("it is of version {}; use a newer claviger", entry.v));
                }
                replay.add(&entry).map_err(|error| error.to_string())
            });
            if let Err(why) = added {
                return Ok(Err(Alarm::Impossible { number, why }));
            }
        }
        Ok(Ok(replay))
    }

    fn log(&self, what: &str) -> String {
        format!("{}/.well-known/key-log/{what}", self.issuer.trim_end_matches('/'))
    }

    /// The published keys, and how long they may be kept.
    async fn jwks(&self) -> Result<(Vec<Value>, Ttl), NotChecked> {
        let url = format!("{}/.well-known/jwks.json", self.issuer.trim_end_matches('/'));
        let response = self.sent(&url).await?;
        let cache = response.headers().get(CACHE_CONTROL).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let max_age = cache.split([',', ' ']).find_map(|part| part.strip_prefix("max-age=")?.parse().ok()).unwrap_or(0);
        let bytes = whole(&url, response, MOST_TEXT).await?;
        let set: Value = serde_json::from_slice(&bytes).map_err(|error| NotChecked(format!("{url}: {error}")))?;
        let keys = set["keys"].as_array().ok_or_else(|| NotChecked(format!("{url} is no JWK Set")))?;
        Ok((keys.clone(), Ttl::seconds(max_age)))
    }

    async fn published_vkey(&self) -> Result<String, NotChecked> {
        Ok(self.text(&self.log("vkey")).await?.trim_end().to_owned())
    }

    async fn text(&self, url: &str) -> Result<String, NotChecked> {
        let bytes = whole(url, self.sent(url).await?, MOST_TEXT).await?;
        String::from_utf8(bytes).map_err(|_| NotChecked(format!("{url} is no text")))
    }

    async fn sent(&self, url: &str) -> Result<Response, NotChecked> {
        let request = self.http.get(url).header(CACHE_CONTROL, "no-cache");
        request.send().await.map_err(|error| NotChecked(format!("{url} does not answer: {error}")))
    }
}

/// The body of a good answer, if it is no longer than `most`.
async fn whole(url: &str, mut response: Response, most: usize) -> Result<Vec<u8>, NotChecked> {
    if response.status() != StatusCode::OK {
        return Err(NotChecked(format!("{url} answers {}", response.status())));
    }
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| NotChecked(format!("{url}: half an answer: {error}")))? {
        bytes.extend_from_slice(&chunk);
        if bytes.len() > most {
            return Err(NotChecked(format!("{url} answers with more than {most} bytes")));
        }
    }
    Ok(bytes)
}

/// Whether the published JWK is the one that the log knows, in all that matters to a verifier.
fn is_same(jwk: &Value, logged: &LoggedKey) -> bool {
    let Ok(Value::Object(members)) = serde_json::to_value(&logged.jwk) else { return false };
    members.iter().all(|(name, value)| jwk.get(name) == Some(value)) && jwk["alg"] == logged.alg.name()
}

/// What the JWKS and the log say of each other. A change may take `grace` to show.
fn compare(jwks: &[Value], replay: &Replay, grace: Ttl, now: Timestamp) -> Vec<Alarm> {
    let mut alarms = Vec::new();
    for jwk in jwks {
        let name = jwk["kid"].as_str().unwrap_or("a key without a kid");
        let Some((kid, logged)) = name.parse::<Kid>().ok().and_then(|kid| replay.keys.get_key_value(&kid)) else {
            alarms.push(Alarm::UnknownKey { kid: name.to_owned() });
            continue;
        };
        if !is_same(jwk, logged) {
            alarms.push(Alarm::SwappedKey { kid: kid.clone() });
        }
        if let Some((state, at)) = logged.ended.filter(|(_, at)| now > at.plus(grace)) {
            alarms.push(Alarm::DeadKey { kid: kid.clone(), state: KeyState::name(state), at });
        }
    }
    for (kid, logged) in replay.keys.iter().filter(|(_, logged)| logged.ended.is_none() && now > logged.published_at.plus(grace)) {
        if !jwks.iter().any(|jwk| jwk["kid"] == kid.as_str()) {
            alarms.push(Alarm::HiddenKey { kid: kid.clone(), since: logged.published_at });
        }
    }
    alarms
}
