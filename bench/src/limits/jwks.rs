//! `GET jwks.json` beside a bare actix-web endpoint that answers the same bytes with the same headers.

use crate::claviger::{Claviger, Place};
use crate::http::{self, Answer};
use crate::limits::{Plan, Rows};
use crate::load::{Talk, Target, window};
use crate::table::{Aim, Row, Unit};
use crate::{Outcome, bare, claviger, stage, stats};

const CONNECTIONS: usize = 32;

/// Asks for the same thing again and again, and wants the same bytes.
struct Fetch<'a> {
    wanted: &'a [u8],
}

impl Talk for Fetch<'_> {
    fn ask(&mut self, request: &mut Vec<u8>) {
        if request.is_empty() {
            http::request(request, "GET", stage::JWKS, "", b"");
        }
    }

    fn hear(&mut self, answer: &Answer<'_>) -> Outcome<()> {
        answer.insist(200)?;
        if answer.body == self.wanted { Ok(()) } else { Err("other bytes than before".into()) }
    }
}

pub(super) fn measure(plan: &Plan) -> Rows {
    let claviger = Claviger::start(&Place::sqlite(&plan.place("jwks")))?;
    stage::tenant(&mut claviger.admin()?)?;
    let (headers, wanted) = claviger.get(stage::JWKS)?;
    // These two actix-web writes by itself.
    let set: Vec<_> =
        headers.iter().filter(|header| !header.starts_with("content-length:") && !header.starts_with("date:")).cloned().collect();
    let (mut process, addr) = bare::spawn(plan.folder(), &wanted, &set)?;
    process.first_answer(addr, stage::JWKS)?;
    let (bare_headers, bare_body) = claviger::get(addr, stage::JWKS)?;
    if names(&bare_headers) != names(&headers) || bare_body != wanted {
        return Err("the bare server does not answer the same".into());
    }

    let mut ours: Vec<_> = (0..CONNECTIONS).map(|_| Fetch { wanted: &wanted }).collect();
    let mut others: Vec<_> = (0..CONNECTIONS).map(|_| Fetch { wanted: &wanted }).collect();
    let bare_target = Target { addr, pid: process.pid() };
    let mut bare_micros = Vec::new();
    let turns = plan.in_turns(
        || window(claviger.target(), &mut ours, plan.span),
        || {
            let load = window(bare_target, &mut others, plan.span)?;
            bare_micros.push(load.server_micros());
            Ok(load.per_second)
        },
    )?;
    Ok(vec![
        Row {
            what: format!("JWKS, {CONNECTIONS} connections"),
            unit: Unit::PerSecond,
            claviger: turns.ours,
            beside: Some((turns.beside, format!("bare actix-web, the same {} bytes and headers", wanted.len()))),
            aim: Aim::RatioAtLeast(0.85),
            detail: turns.detail,
        },
        Row {
            what: "JWKS, the server's processor time for each".to_owned(),
            unit: Unit::Microseconds,
            claviger: turns.server_micros,
            beside: stats::median(&bare_micros).map(|micros| (micros, "bare actix-web".to_owned())),
            aim: Aim::None,
            detail: String::new(),
        },
    ])
}

/// The names of all headers, sorted: their order is of no meaning.
fn names(headers: &[String]) -> Vec<&str> {
    let mut names: Vec<_> = headers.iter().filter_map(|header| Some(header.split_once(':')?.0)).collect();
    names.sort_unstable();
    names
}
