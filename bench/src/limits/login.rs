//! Logging in, beside raw argon2id with the same parameters on as many threads as there are cores.

use std::time::{Duration, Instant};

use argon2::Block;

use crate::claviger::{Claviger, Place};
use crate::limits::{Plan, Rows};
use crate::load::window;
use crate::table::{Aim, Row, Unit};
use crate::{Outcome, machine, progress, stage};

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
    let turns = plan.in_turns(|| window(claviger.target(), &mut logins, plan.span), || hashes_per_second(plan.span))?;
    Ok(vec![Row {
        what: format!("Login of {USERS} users in turn, {} connections", logins.len()),
        unit: Unit::PerSecond,
        claviger: turns.ours,
        beside: Some((turns.beside, format!("argon2id hashes on {} threads", machine::cores()))),
        aim: Aim::RatioAtLeast(0.9),
        detail: turns.detail,
    }])
}

/// What all cores hash when they do nothing else. Each thread keeps its memory, which is the fastest way.
fn hashes_per_second(span: Duration) -> Outcome<f64> {
    let hash = || -> Outcome<f64> {
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
        Ok(f64::from(hashes) / begun.elapsed().as_secs_f64())
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..machine::cores()).map(|_| scope.spawn(hash)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap_or_else(|_| Err("a hashing thread panicked".into()))).sum()
    })
}
