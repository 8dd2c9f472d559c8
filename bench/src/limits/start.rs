//! From the birth of the process to its first 200, on an empty folder and on one that is there.

use std::time::Duration;

use crate::claviger::{Claviger, Place};
use crate::limits::{Plan, Rows};
use crate::table::{Aim, Row, Unit};
use crate::{bare, progress, stats};

pub(super) fn measure(plan: &Plan) -> Rows {
    let (mut firsts, mut seconds, mut bares) = (Vec::new(), Vec::new(), Vec::new());
    for round in 1..=plan.starts {
        let place = Place::sqlite(&plan.place(&format!("start-{round}")));
        for times in [&mut firsts, &mut seconds] {
            let (claviger, took) = Claviger::start_timed(&place)?;
            times.push(millis(took));
            claviger.stop()?;
        }
        let (mut process, addr) = bare::spawn(plan.folder(), br#"{"status":"ok"}"#, &["content-type: application/json".to_owned()])?;
        bares.push(millis(process.first_answer(addr, "/health/live")?));
        process.stop()?;
        let last = |times: &[f64]| times.last().copied().unwrap_or_default();
        progress(format_args!(
            "    {round}/{}: first {:.1} ms, second {:.1} ms, bare {:.1} ms",
            plan.starts,
            last(&firsts),
            last(&seconds),
            last(&bares)
        ));
    }
    let median = |times: &[f64]| stats::median(times).ok_or("no starts");
    Ok(vec![
        Row {
            what: "Start, to the first 200".to_owned(),
            unit: Unit::Milliseconds,
            claviger: median(&seconds)?,
            beside: Some((median(&bares)?, "bare actix-web".to_owned())),
            aim: Aim::AtMost(20.0),
            detail: spread(&seconds),
        },
        Row {
            what: "First start, on an empty folder".to_owned(),
            unit: Unit::Milliseconds,
            claviger: median(&firsts)?,
            beside: None,
            aim: Aim::AtMost(300.0),
            detail: spread(&firsts),
        },
    ])
}

fn millis(took: Duration) -> f64 {
    took.as_secs_f64() * 1_000.0
}

fn spread(times: &[f64]) -> String {
    let (least, most) = times.iter().fold((f64::INFINITY, 0.0), |(least, most): (f64, f64), time| (least.min(*time), most.max(*time)));
    format!("median of {}: {least:.1} to {most:.1} ms", times.len())
}
