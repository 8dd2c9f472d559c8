//! `/admin/v1/tenants/{slug}/keys/`: `plan`, what would become of the ring, in members or as a picture; `verifiers`, who fetches
//! the JWKS; `drill`, an emergency that changes nothing.

use std::time::Duration;

use actix_web::http::header::{ACCEPT, VARY};
use actix_web::{HttpRequest, HttpResponse, web};
use app::foresight::{self, Drill, Foresight};
use app::ports::keys::KeyCommand;
use app::verifiers::{self, VerifierMap};
use domain::keys::forecast::VerifierOutlook;
use domain::keys::plan::Intent;
use domain::keys::policy::RotationNumbers;
use domain::keys::ring::{Alg, Kid};
use domain::keys::verifier::{Sighting, VerifierName};
use domain::time::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::admin::timeline;
use crate::admission::AdminOf;
use crate::error::problem::Problem;
use crate::extract::json::Json;
use crate::extract::origin::From;
use crate::state::ApiState;

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Action {
    Rotate,
    Emergency,
    Revoke,
    ChangePolicy,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ProposalForm {
    action: Action,
    /// For a rotation: as when it is ordered.
    algs: Option<Vec<Alg>>,
    sign_from: Option<Timestamp>,
    /// The key that would be revoked.
    kid: Option<Kid>,
    /// The whole policy that would be adopted.
    policy: Option<RotationNumbers>,
}

impl ProposalForm {
    fn command(self) -> Result<KeyCommand, Problem> {
        let reason = || "not carried out".to_owned();
        let intent = match self {
            Self { action: Action::Rotate, algs, sign_from, kid: None, policy: None } => {
                if algs.as_ref().is_some_and(Vec::is_empty) {
                    return Err(Problem::bad_request("algs must name at least one algorithm, or be left out for all."));
                }
                Intent::Rotate { algs, sign_from }
            }
            Self { action: Action::Emergency, algs: None, sign_from: None, kid: None, policy: None } => {
                Intent::Emergency { reason: reason() }
            }
            Self { action: Action::Revoke, algs: None, sign_from: None, kid: Some(kid), policy: None } => {
                Intent::Revoke { kid, reason: reason() }
            }
            Self { action: Action::ChangePolicy, algs: None, sign_from: None, kid: None, policy: Some(numbers) } => {
                return Ok(KeyCommand::ChangePolicy { numbers, event: None });
            }
            _ => {
                return Err(Problem::bad_request(
                    "rotate takes algs and sign_from, both optional; emergency takes nothing; revoke takes kid; change_policy takes policy.",
                ));
            }
        };
        Ok(KeyCommand::Plan(intent))
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Format {
    Json,
    Svg,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct FormatQuery {
    format: Option<Format>,
}

impl FormatQuery {
    /// The address has the last word, because a link is easier to write than a header.
    fn wants_svg(&self, request: &HttpRequest) -> bool {
        match self.format {
            Some(Format::Svg) => true,
            Some(Format::Json) => false,
            None => request.headers().get_all(ACCEPT).filter_map(|value| value.to_str().ok()).any(|value| value.contains("image/svg+xml")),
        }
    }
}

/// The most verifiers that are told one by one; all are counted.
const MOST_TOLD: usize = 100;

/// A verifier as it is shown: its name, its label if it has one, and its last fetch.
fn verifier_view(seen: &Sighting) -> Value {
    let label = match &seen.verifier {
        VerifierName::Labelled(label) => Some(label.as_str()),
        VerifierName::Hashed(_) | VerifierName::Others => None,
    };
    json!({
        "verifier": seen.verifier.to_string(), "label": label, "first_seen": seen.first_seen, "last_seen": seen.last.at,
        "generation": seen.last.generation, "max_age_seconds": seen.last.max_age, "fetches": seen.fetches,
    })
}

/// A verifier, and what it has to expect.
fn outlook_view((seen, outlook): &(Sighting, VerifierOutlook)) -> Value {
    let mut view = verifier_view(seen);
    if let (Some(view), Value::Object(outlook)) = (view.as_object_mut(), json!(outlook)) {
        view.extend(outlook);
    }
    view
}

/// Whoever is not safe, of all that were looked at.
fn affected(verifiers: &[(Sighting, VerifierOutlook)]) -> Value {
    let affected: Vec<_> = verifiers.iter().filter(|(_, outlook)| *outlook != VerifierOutlook::Safe).collect();
    json!({
        "known": verifiers.len(),
        "safe": verifiers.len() - affected.len(),
        "affected": affected.into_iter().take(MOST_TOLD).map(outlook_view).collect::<Vec<_>>(),
    })
}

fn view(seen: Foresight) -> Value {
    let mut body = json!({
        "accepted": seen.denied.is_none(),
        "generation": seen.generation,
        "earliest_sign_from": seen.earliest_sign_from,
        "planned_sign_from": seen.planned_sign_from,
    });
    if let Some(denied) = seen.denied {
        body["refusal"] = Problem::from(denied).told();
    }
    if let Some(sessions) = seen.sessions_at_stake {
        body["sessions_at_stake"] = json!(sessions);
    }
    if let Some(breaks) = &seen.forecast.breaks {
        body["breaks"] = json!(breaks);
    }
    body["verifiers"] = affected(&seen.verifiers);
    body["made_at"] = json!(seen.forecast.made_at);
    body["steps"] = json!(seen.forecast.steps);
    body["keys"] = json!(seen.forecast.keys);
    body
}

pub(crate) async fn plan(
    state: web::Data<ApiState>,
    AdminOf { tenant, .. }: AdminOf,
    query: web::Query<FormatQuery>,
    request: HttpRequest,
    form: Json<ProposalForm>,
) -> Result<HttpResponse, Problem> {
    let seen = foresight::foresee(&state.ctx, &tenant, &form.0.command()?).await?;
    let mut response = HttpResponse::Ok();
    response.insert_header((VARY, "Accept"));
    if query.wants_svg(&request) {
        let refusal = seen.denied.map(|denied| Problem::from(denied).to_string());
        let picture = timeline::svg(&seen.forecast, refusal.as_deref());
        // Whoever opens it on its own gets a picture and nothing that could run.
        response.insert_header(("content-security-policy", "default-src 'none'; style-src 'unsafe-inline'"));
        return Ok(response.content_type("image/svg+xml").body(picture));
    }
    Ok(response.json(view(seen)))
}

pub(crate) async fn verifiers(state: web::Data<ApiState>, AdminOf { tenant, .. }: AdminOf) -> Result<HttpResponse, Problem> {
    let VerifierMap { ring, timing, staged, verifiers, now } = verifiers::look(&state.ctx, &tenant).await?;
    let view = |seen: &Sighting| {
        let mut view = verifier_view(seen);
        let unseen = staged.iter().filter(|(_, published_at)| !seen.last.has_seen(*published_at, &ring, timing)).map(|(kid, _)| kid);
        view["unseen_staged_kids"] = json!(unseen.collect::<Vec<_>>());
        view["looks_abandoned"] = json!(seen.looks_abandoned(&ring, now));
        view
    };
    let items: Vec<_> = verifiers.iter().map(view).collect();
    Ok(HttpResponse::Ok().json(json!({ "generation": ring.generation, "items": items })))
}

/// Milliseconds, to the microsecond.
fn millis(took: Duration) -> f64 {
    (took.as_secs_f64() * 1e6).round() / 1e3
}

pub(crate) async fn drill(state: web::Data<ApiState>, AdminOf { admin, tenant }: AdminOf, from: From) -> Result<HttpResponse, Problem> {
    let Drill { foresight, all_safe_from, rehearsal } = foresight::drill(&state.ctx, &tenant, &admin, &from.0).await?;
    let now = foresight.forecast.made_at;
    let told = |verifier: &(Sighting, VerifierOutlook)| {
        let mut view = outlook_view(verifier);
        view["safe_after_seconds"] = json!(verifier.1.safe_from(now).map(|at| at.seconds_after(now)));
        view
    };
    let made: Vec<_> = rehearsal.made.iter().map(|(alg, took)| json!({ "alg": alg, "millis": millis(*took) })).collect();
    Ok(HttpResponse::Ok().json(json!({
        "generation": foresight.generation,
        "made_at": now,
        "breaks": foresight.forecast.breaks,
        "sessions_at_stake": foresight.sessions_at_stake.unwrap_or(0),
        "all_safe_after_seconds": all_safe_from.map(|at| at.seconds_after(now)),
        "verifiers": foresight.verifiers.iter().map(told).collect::<Vec<_>>(),
        "rehearsal": {
            "keys_made": made,
            "data_key_opened_millis": millis(rehearsal.data_key_opened),
            "sealed_millis": millis(rehearsal.sealed),
            "signed_millis": millis(rehearsal.signed),
            "verified_millis": millis(rehearsal.verified),
            "total_millis": millis(rehearsal.total()),
        },
    })))
}
