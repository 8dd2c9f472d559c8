//! Tokens for clients themselves (RFC 6749, 4.4), on one core, beside what that core signs when it does nothing else.

use std::time::{Duration, Instant};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use serde_json::json;

use crate::claviger::{Claviger, Place};
use crate::http::{self, Answer};
use crate::limits::refresh::signatures_per_second;
use crate::limits::{Plan, Rows};
use crate::load::{Talk, window};
use crate::stage::{self, TOKEN};
use crate::table::{Aim, Row, Unit};
use crate::{Outcome, machine, progress};

const CONNECTIONS: usize = 32;

/// Asks for a token of this client's again and again.
struct Machine {
    body: String,
    before: String,
}

impl Talk for Machine {
    fn ask(&mut self, request: &mut Vec<u8>) {
        if request.is_empty() {
            http::request(request, "POST", TOKEN, stage::FORM, self.body.as_bytes());
        }
    }

    fn hear(&mut self, answer: &Answer<'_>) -> Outcome<()> {
        let token = stage::access_token(answer)?;
        if token == self.before {
            return Err("a token came twice".into());
        }
        token.clone_into(&mut self.before);
        Ok(())
    }
}

pub(super) fn measure(plan: &Plan) -> Rows {
    let cores = machine::Halves::take()?;
    let mut rows = Vec::new();
    for alg in ["ES256", "RS256"] {
        progress(format_args!("    {alg}"));
        let claviger = Claviger::start_on(&cores, &Place::sqlite(&plan.place(&format!("client-credentials-{alg}"))))?;
        let mut admin = claviger.admin()?;
        stage::tenant_that_signs_by(&mut admin, alg)?;
        let metadata = json!({
            "grant_types": ["client_credentials"],
            "scope": "reports",
            "token_endpoint_auth_method": "client_secret_post",
            "id_token_signed_response_alg": alg,
        });
        let client = stage::client(&mut admin, &metadata)?;
        let body = format!("grant_type=client_credentials&{}", client.in_form());
        let mut machines: Vec<_> = (0..CONNECTIONS).map(|_| Machine { body: body.clone(), before: String::new() }).collect();
        let raw = Duration::from_secs(1).min(plan.span);
        let turns = plan.in_turns(
            || window(claviger.target(), &mut machines, plan.span),
            || if alg == "ES256" { signatures_per_second(raw) } else { rsa_signatures_per_second(raw) },
        )?;
        rows.push(Row {
            what: format!("Client credentials, {alg}, one core, {CONNECTIONS} connections"),
            unit: Unit::PerSecond,
            claviger: turns.ours,
            beside: Some((turns.beside, format!("{alg} signatures of one core"))),
            aim: if alg == "ES256" { Aim::AtLeast(28_000.0) } else { Aim::RatioAtLeast(0.88) },
            detail: turns.detail,
        });
    }
    Ok(rows)
}

/// As [`signatures_per_second`], with an RSA key of 2048 bits.
fn rsa_signatures_per_second(span: Duration) -> Outcome<f64> {
    let random = SystemRandom::new();
    let key = RsaKeyPair::generate(KeySize::Rsa2048).map_err(|_| "no RSA key")?;
    let (message, mut signature) = ([b'x'; 600], vec![0; key.public_modulus_len()]);
    let begun = Instant::now();
    let mut signatures = 0_u32;
    while begun.elapsed() < span {
        key.sign(&RSA_PKCS1_SHA256, &random, &message, &mut signature).map_err(|_| "no signature")?;
        std::hint::black_box(&signature);
        signatures += 1;
    }
    Ok(f64::from(signatures) / begun.elapsed().as_secs_f64())
}
