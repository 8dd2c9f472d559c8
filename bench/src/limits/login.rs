//! Logging in, beside raw argon2id with the same parameters on as many threads as there are cores.

use std::time::{Duration, Instant};

use argon2::Block;

use crate::claviger::{Claviger, Place};
use crate::limits::{Plan, Rows};
use crate::load::window;
use crate::table::{Aim, Row, Unit};
use crate::{Outcome, machine, progress, stage, stats};

/// Enough that no core waits for somebody to ask.
pub(super) fn connections() -> usize {
    (machine::cores() * 2).max(8)
}

/// So many that the same one does not come back soon.
pub(super) const USERS: usize = 512;

pub(super) fn measure(plan: &Plan) -> Rows {
    let claviger = Claviger::start(&Place::sqlite(&plan.place("login")))?;
    let mut admin = claviger.admin()?;
    stage::tenant(&mut admin)?;
    progress(format_args!("    {USERS} users"));
    let users = stage::users(&mut admin, "user", USERS)?;
    let mut logins = stage::logins(&users, connections());
    let mut hash_millis = Vec::new();
    let turns = plan.in_turns(
        || window(claviger.target(), &mut logins, plan.span),
        || {
            let before = machine::cpu_seconds(std::process::id())?;
            let (hashes, per_second) = hashes(plan.span)?;
            hash_millis.push((machine::cpu_seconds(std::process::id())? - before) * 1_000.0 / f64::from(hashes));
            Ok(per_second)
        },
    )?;
    Ok(vec![
        Row {
            what: format!("Login of {USERS} users in turn, {} connections", logins.len()),
            unit: Unit::PerSecond,
            claviger: turns.ours,
            beside: Some((turns.beside, format!("argon2id hashes on {} threads", machine::cores()))),
            aim: Aim::RatioAtLeast(0.9),
            detail: turns.detail,
        },
        Row {
            what: "Login, the server's processor time for each".to_owned(),
            unit: Unit::Milliseconds,
            claviger: turns.server_micros / 1_000.0,
            beside: stats::median(&hash_millis).map(|millis| (millis, "argon2id hash".to_owned())),
            aim: Aim::None,
            detail: String::new(),
        },
    ])
}

/// What all cores hash when they do nothing else: how many, and how many a second. Each thread keeps its memory, which is the
/// fastest way.
fn hashes(span: Duration) -> Outcome<(u32, f64)> {
    let hash = || -> Outcome<(u32, f64)> {
        let argon2 = stage::argon2()?;
        let mut memory = vec![Block::default(); argon2.params().block_count()];
        let mut out = [0; 32];
        let begun = Instant::now();
        let mut hashes = 0_u32;
        while begun.elapsed() < span {
            argon2.hash_password_into_with_memory(b"a password", &[7; 16], &mut out, &mut memory).map_err(|error| error.to_string())?;
            std::hint::black_box(&out);
            hashes += 1;
        }
        Ok((hashes, f64::from(hashes) / begun.elapsed().as_secs_f64()))
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..machine::cores()).map(|_| scope.spawn(hash)).collect();
        threads.into_iter().try_fold((0, 0.0), |(all, rate), thread| {
            let (hashes, per_second) = thread.join().unwrap_or_else(|_| Err("a hashing thread panicked".into()))?;
            Ok((all + hashes, rate + per_second))
        })
    })
}
