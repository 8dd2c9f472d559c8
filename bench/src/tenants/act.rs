//! What is measured at one size.
//!
//! Invariant: everything is asked of the real `claviger serve`; only for the rotation its clock is set forward, by a server of this
//! very program.

use std::time::{Duration, Instant};

use domain::keys::plan::{DUE_BATCH, DUE_BATCHES};

use crate::claviger::{Claviger, Place};
use crate::http::{self, Answer, Line};
use crate::load::{Talk, window};
use crate::stage::{self, Session};
use crate::tenants::chance::{Chance, Spread};
use crate::tenants::grow::{USER, slug};
use crate::tenants::{Mark, Marks, Options};
use crate::{Outcome, progress, stats};

/// Connections of a window.
const CONNECTIONS: usize = 8;
/// How often each thing that is measured one by one is asked for.
const SAMPLES: usize = 300;
const STARTS: usize = 5;
/// How unevenly tenants are asked for.
const ZIPF: f64 = 1.1;
/// Where the rotation is looked at: past the default of 90 days.
const DAYS_AHEAD: u32 = 91;
/// Rings that one sweep takes at most.
const SWEPT: usize = (DUE_BATCH * DUE_BATCHES) as usize;

fn jwks(number: usize) -> String {
    format!("/t/{}/.well-known/jwks.json", slug(number))
}

/// Milliseconds that `work` takes.
fn timed<T>(work: impl FnOnce() -> Outcome<T>) -> Outcome<f64> {
    let begun = Instant::now();
    work()?;
    Ok(begun.elapsed().as_secs_f64() * 1_000.0)
}

fn megabytes(claviger: &Claviger) -> Outcome<f64> {
    Ok(claviger.resident_bytes()? as f64 / 1e6)
}

/// The middle one and the one that one in a hundred exceeds.
fn keep(marks: &mut Marks, p50: Mark, p99: Mark, millis: &[f64]) -> Outcome<()> {
    let mut micros: Vec<_> = millis.iter().map(|millis| (millis * 1_000.0) as u32).collect();
    for (mark, share) in [(p50, 0.5), (p99, 0.99)] {
        marks.insert(mark, f64::from(stats::percentile(&mut micros, share).ok_or("nothing was measured")?) / 1_000.0);
    }
    Ok(())
}

pub(super) fn measure(place: &Place, size: usize, options: &Options) -> Outcome<Marks> {
    let mut marks = Marks::new();
    let mut chance = Chance::new(size as u64);
    progress("    starting");
    let mut starts = Vec::new();
    for _ in 1..STARTS {
        let (claviger, took) = Claviger::start_timed(place)?;
        starts.push(took.as_secs_f64() * 1_000.0);
        claviger.stop()?;
    }
    let (claviger, took) = Claviger::start_timed(place)?;
    starts.push(took.as_secs_f64() * 1_000.0);
    marks.insert(Mark::Ready, stats::median(&starts).ok_or("no starts")?);
    std::thread::sleep(Duration::from_secs(options.settle));
    marks.insert(Mark::IdleMemory, megabytes(&claviger)?);

    progress("    administering");
    let mut admin = claviger.admin()?;
    let mut millis = Vec::new();
    // Each with a name of its own, also in a run that goes on with the installation of another one.
    let run = std::process::id();
    for number in 0..SAMPLES {
        // As those that were imported: no RSA keys are made in the background of what is measured next.
        let body = serde_json::json!({ "slug": format!("new-{run}-{size}-{number}"), "name": "New", "key_policy": { "algs": ["ES256"] } });
        millis.push(timed(|| admin.post("/admin/v1/tenants", &body))?);
    }
    keep(&mut marks, Mark::CreateP50, Mark::CreateP99, &millis)?;
    let (mut listed, mut found) = (Vec::new(), Vec::new());
    for number in 0..SAMPLES {
        let at = slug(chance.below(size) + 1);
        listed.push(timed(|| admin.get(&format!("/admin/v1/tenants?limit=50&after={at}")))?);
        // By all but the last digit: one to ten are found, by their slug or by their name.
        let search = if number % 2 == 0 { at[..at.len() - 1].to_owned() } else { format!("tenant%20{}", &at[1..at.len() - 1]) };
        found.push(timed(|| {
            let page = admin.get(&format!("/admin/v1/tenants?search={search}"))?;
            let count = page["items"].as_array().map_or(0, Vec::len);
            if (1..=10).contains(&count) { Ok(()) } else { Err(format!("{count} were found by {search}").into()) }
        })?);
    }
    keep(&mut marks, Mark::ListP50, Mark::ListP99, &listed)?;
    keep(&mut marks, Mark::SearchP50, Mark::SearchP99, &found)?;

    progress(format_args!("    logging in, {} sessions", options.sessions));
    let mut sessions = sessions(&claviger, size, options.sessions)?;
    let mut line = Line::open(claviger.target().addr)?;
    for (number, session) in &mut sessions {
        refresh(&mut line, session)?;
        fetch(&mut line, *number)?;
    }
    marks.insert(Mark::ActiveMemory, megabytes(&claviger)?);

    // Whoever is asked for at all is asked for again: it is not the first request for each that is measured here.
    progress("    waking everybody");
    for number in 1..=size {
        fetch(&mut line, number)?;
    }
    let span = Duration::from_secs(options.seconds);
    for (mark, spread) in [(Mark::JwksZipf, Spread::zipf(size, ZIPF)), (Mark::JwksUniform, Spread::Uniform(size))] {
        let mut talks: Vec<_> =
            (0..CONNECTIONS).map(|talk| Fetches { spread: spread.clone(), chance: Chance::new(talk as u64), size }).collect();
        let warming = window(claviger.target(), &mut talks, Duration::from_secs(options.warm_up))?;
        let load = window(claviger.target(), &mut talks, span)?;
        progress(format_args!("    {}: {:.0}/s, {:.0}/s before; {}", mark.what(), load.per_second, warming.per_second, load.detail()));
        marks.insert(mark, load.per_second);
    }
    // Session after session to connection after connection, so that each has some of those that are asked for the most.
    let mut shares: Vec<Vec<(usize, Session)>> = (0..CONNECTIONS).map(|_| Vec::new()).collect();
    for (place, session) in sessions.into_iter().enumerate() {
        shares[place % CONNECTIONS].push(session);
    }
    for (mark, is_zipf) in [(Mark::RefreshZipf, true), (Mark::RefreshUniform, false)] {
        let share = shares[0].len();
        let spread = if is_zipf { Spread::zipf(share, ZIPF) } else { Spread::Uniform(share) };
        let mut talks: Vec<_> = shares
            .iter_mut()
            .enumerate()
            .map(|(talk, sessions)| Refreshes { sessions, spread: spread.clone(), chance: Chance::new(talk as u64), at: 0 })
            .collect();
        let load = window(claviger.target(), &mut talks, span)?;
        progress(format_args!("    {}: {:.0}/s; {}", mark.what(), load.per_second, load.detail()));
        marks.insert(mark, load.per_second);
    }
    claviger.stop()?;

    let mut sessions: Vec<_> = shares.into_iter().flatten().collect();
    cold(place, size, &mut sessions, &mut marks)?;
    crawl(place, size, &mut sessions, options, &mut marks)?;
    if size >= SWEPT / 2 {
        rotate(place, size, &mut marks)?;
    }
    Ok(marks)
}

/// Logs users of tenants from all over in, four at a time. With fewer tenants than sessions, each has several.
fn sessions(claviger: &Claviger, size: usize, count: usize) -> Outcome<Vec<(usize, Session)>> {
    let tenants = size.min(count);
    let numbers: Vec<_> = (0..count).map(|session| (session % tenants) * size / tenants + 1).collect();
    let addr = claviger.target().addr;
    std::thread::scope(|scope| {
        let log_in = |numbers: &[usize]| {
            let mut line = Line::open(addr)?;
            numbers.iter().map(|number| Ok((*number, stage::log_in(&mut line, &slug(*number), USER)?))).collect::<Outcome<Vec<_>>>()
        };
        let parts: Vec<_> = numbers.chunks(count.div_ceil(4)).map(|part| scope.spawn(move || log_in(part))).collect();
        let mut all = Vec::with_capacity(count);
        for part in parts {
            all.extend(part.join().map_err(|_| "a login panicked")??);
        }
        Ok(all)
    })
}

fn fetch(line: &mut Line, number: usize) -> Outcome<()> {
    let mut request = Vec::new();
    http::request(&mut request, "GET", &jwks(number), "", b"");
    line.exchange(&request)?.insist(200)
}

fn refresh(line: &mut Line, session: &mut Session) -> Outcome<()> {
    let mut request = Vec::new();
    session.ask(&mut request);
    session.hear(&line.exchange(&request)?)
}

/// The first request for a tenant that sleeps. When there are not enough tenants, the server is started again and they sleep again.
fn cold(place: &Place, size: usize, sessions: &mut [(usize, Session)], marks: &mut Marks) -> Outcome<()> {
    progress("    waking tenants");
    let (mut fetched, mut refreshed) = (Vec::new(), Vec::new());
    while fetched.len() < SAMPLES {
        let claviger = Claviger::start(place)?;
        let mut line = warm(&claviger)?;
        let count = size.min(SAMPLES);
        for at in 0..count {
            fetched.push(timed(|| fetch(&mut line, at * size / count + 1))?);
        }
        claviger.stop()?;
    }
    let mut seen = std::collections::BTreeSet::new();
    while refreshed.len() < SAMPLES {
        let claviger = Claviger::start(place)?;
        let mut line = warm(&claviger)?;
        seen.clear();
        for (number, session) in sessions.iter_mut() {
            if seen.len() < SAMPLES && seen.insert(*number) {
                refreshed.push(timed(|| refresh(&mut line, session))?);
            }
        }
        claviger.stop()?;
    }
    keep(marks, Mark::ColdJwksP50, Mark::ColdJwksP99, &fetched)?;
    keep(marks, Mark::ColdRefreshP50, Mark::ColdRefreshP99, &refreshed)
}

/// A connection to a server whose database has been spoken to: it is tenants that are to be cold.
fn warm(claviger: &Claviger) -> Outcome<Line> {
    let mut line = Line::open(claviger.target().addr)?;
    let mut request = Vec::new();
    http::request(&mut request, "GET", "/t/nobody/.well-known/jwks.json", "", b"");
    for _ in 0..20 {
        line.exchange(&request)?.insist(404)?;
    }
    Ok(line)
}

/// Fetches everybody's public keys, as crawlers do, and looks at what becomes of those who sign.
fn crawl(place: &Place, size: usize, sessions: &mut [(usize, Session)], options: &Options, marks: &mut Marks) -> Outcome<()> {
    const AWAKE: &str = "claviger_key_actors";
    const UNSEALED: &str = "claviger_key_actors_unsealed";
    const ACTIVATIONS: &str = "claviger_key_actor_activations_total";
    let claviger = Claviger::start(place)?;
    let mut line = warm(&claviger)?;
    for (_, session) in sessions.iter_mut() {
        refresh(&mut line, session)?;
    }
    let (awake, unsealed) = (claviger.metric(AWAKE)?, claviger.metric(UNSEALED)?);
    let before = megabytes(&claviger)?;
    let begun = Instant::now();
    for number in 1..=size {
        fetch(&mut line, number)?;
    }
    let seconds = begun.elapsed().as_secs_f64();
    let after = megabytes(&claviger)?;
    let awake_after = claviger.metric(AWAKE)?;
    let activations = claviger.metric(ACTIVATIONS)?;
    let opened = claviger.metric(UNSEALED)? - unsealed;
    for (_, session) in sessions.iter_mut() {
        refresh(&mut line, session)?;
    }
    let lost = claviger.metric(ACTIVATIONS)? - activations;
    progress(format_args!(
        "    crawled {size} in {seconds:.1} s: {awake} awake before ({unsealed} unsealed, {before:.1} MB), {awake_after} after \
         ({after:.1} MB); {opened} were unsealed by it, {lost} of {} sessions found their tenant asleep",
        sessions.len()
    ));
    if opened != 0.0 || lost != 0.0 {
        return Err("a crawler of public keys must neither unseal anybody nor push out who signs".into());
    }
    if awake_after - awake >= 1_000.0 {
        marks.insert(Mark::AwakeBytes, (after - before) * 1e3 / (awake_after - awake));
    }
    marks.insert(Mark::CrawledMemory, after);
    if size >= options.sessions {
        marks.insert(Mark::Crawl, size as f64 / seconds);
    }
    claviger.stop()
}

/// One sweep of the rotation clock on a day on which all rings are due.
fn rotate(place: &Place, size: usize, marks: &mut Marks) -> Outcome<()> {
    let wanted = size.min(SWEPT) as f64;
    let claviger = Claviger::start_ahead(place, DAYS_AHEAD)?;
    let before = claviger.cpu_seconds()?;
    let begun = Instant::now();
    // The gauge is written at the end of a sweep.
    while claviger.metric("claviger_key_rings_due")? == 0.0 {
        if begun.elapsed() > Duration::from_secs(120) {
            return Err("the rotation clock did not end its sweep".into());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    let (seconds, cpu) = (begun.elapsed().as_secs_f64(), claviger.cpu_seconds()? - before);
    let rings = claviger.metric("claviger_key_rings_due")?;
    progress(format_args!("    rotated {rings} rings in {seconds:.1} s, {:.2} ms of processor time each", cpu * 1_000.0 / rings));
    if rings < wanted.min(100.0) || claviger.metric("claviger_key_ring_failures_total")? > 0.0 {
        return Err(format!("{rings} rings were rotated instead of {wanted}").into());
    }
    marks.insert(Mark::Rotation, rings / seconds);
    claviger.stop()
}

/// Fetches the keys of tenants from all over.
struct Fetches {
    spread: Spread,
    chance: Chance,
    size: usize,
}

impl Talk for Fetches {
    fn ask(&mut self, request: &mut Vec<u8>) {
        // A step that shares no divisor with any size of tens, so that those who are asked for the most lie apart.
        let number = self.spread.pick(&mut self.chance) * 7_919 % self.size + 1;
        http::request(request, "GET", &jwks(number), "", b"");
    }

    fn hear(&mut self, answer: &Answer<'_>) -> Outcome<()> {
        answer.insist(200)
    }
}

/// Refreshes one of its sessions after the other.
struct Refreshes<'s> {
    sessions: &'s mut [(usize, Session)],
    spread: Spread,
    chance: Chance,
    at: usize,
}

impl Talk for Refreshes<'_> {
    fn ask(&mut self, request: &mut Vec<u8>) {
        self.at = self.spread.pick(&mut self.chance).min(self.sessions.len() - 1);
        self.sessions[self.at].1.ask(request);
    }

    fn hear(&mut self, answer: &Answer<'_>) -> Outcome<()> {
        self.sessions[self.at].1.hear(answer)
    }
}
