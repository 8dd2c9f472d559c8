//! Resident memory of the server's process: idle, and some seconds after it has worked.

use crate::claviger::{Claviger, Place};
use crate::limits::{Plan, Rows, login};
use crate::load::window;
use crate::table::{Aim, Row, Unit};
use crate::{bare, progress, stage};

const SESSIONS: usize = 32;

pub(super) fn measure(plan: &Plan) -> Rows {
    let claviger = Claviger::start(&Place::sqlite(&plan.place("memory")))?;
    let mut admin = claviger.admin()?;
    stage::tenant(&mut admin)?;
    let (_, jwks) = claviger.get(stage::JWKS)?;
    let (mut process, addr) = bare::spawn(plan.folder(), &jwks, &[])?;
    process.first_answer(addr, stage::JWKS)?;
    let (idle_wait, after_wait) = plan.settle;
    progress(format_args!("    idle for {} s", idle_wait.as_secs()));
    std::thread::sleep(idle_wait);
    let (idle, bare) = (megabytes(claviger.resident_bytes()?), megabytes(process.resident_bytes()?));

    progress("    refreshing, then logging in");
    let mut sessions = stage::sessions(&claviger, &mut admin, SESSIONS)?;
    let users = stage::users(&mut admin, "user", login::USERS)?;
    let before = megabytes(claviger.resident_bytes()?);
    let refreshing = window(claviger.target(), &mut sessions, plan.span)?;
    let after_refreshing = megabytes(claviger.resident_bytes()?);
    let logging_in = window(claviger.target(), &mut stage::logins(&users, login::connections()), plan.span)?;
    let at_once = megabytes(claviger.resident_bytes()?);
    progress(format_args!("    {at_once:.1} MB; idle for {} s", after_wait.as_secs()));
    std::thread::sleep(after_wait);
    let after = megabytes(claviger.resident_bytes()?);

    let row = |what: String, claviger, beside, most, detail| Row {
        what,
        unit: Unit::Megabytes,
        claviger,
        beside,
        aim: Aim::AtMost(most),
        detail,
    };
    Ok(vec![
        row(
            format!("Memory, idle for {} s, one tenant", idle_wait.as_secs()),
            idle,
            Some((bare, "bare actix-web".to_owned())),
            20.0,
            String::new(),
        ),
        row(
            format!("Memory, {} s after the load", after_wait.as_secs()),
            after,
            None,
            40.0,
            format!(
                "{before:.1} MB before it, {after_refreshing:.1} MB right after {:.0} refreshes/s, {at_once:.1} MB right after {:.1} logins/s",
                refreshing.per_second, logging_in.per_second
            ),
        ),
    ])
}

fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}
