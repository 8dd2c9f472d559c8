//! `/admin/v1/tenants/{slug}/claims`: the claims that the tenant makes itself; and `…/claims/preview`, what they come to.

use std::collections::BTreeSet;

use actix_web::{HttpResponse, web};
use app::claims::{self, PreviewCommand, PreviewDenied};
use domain::claim_rules::ClaimRules;
use domain::client::ClientId;
use domain::ids::UserId;
use domain::openid::ClaimsRequest;
use domain::resource;
use domain::scope::Scope;
use domain::text::BadMember;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::admission::AdminOf;
use crate::error::problem::Problem;
use crate::extract::json::Json;
use crate::extract::origin::From;
use crate::state::ApiState;

pub(crate) async fn get(AdminOf { tenant, .. }: AdminOf) -> Result<HttpResponse, Problem> {
    Ok(HttpResponse::Ok().json(json!({ "rules": tenant.policy.claims.rules })))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RulesForm {
    rules: ClaimRules,
}

pub(crate) async fn set(
    state: web::Data<ApiState>,
    AdminOf { admin, tenant }: AdminOf,
    from: From,
    form: Json<RulesForm>,
) -> Result<HttpResponse, Problem> {
    let RulesForm { rules } = form.0;
    let rules = claims::set(&state.ctx, tenant.id, rules, admin.actor(), &from.0).await?;
    Ok(HttpResponse::Ok().json(json!({ "rules": rules })))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PreviewForm {
    /// Left out for a client that acts for itself.
    user: Option<UserId>,
    client: ClientId,
    #[serde(default)]
    scope: Scope,
    /// As `resource` of a request.
    #[serde(default)]
    audience: BTreeSet<String>,
    /// The `claims` parameter.
    claims: Option<Map<String, Value>>,
    /// Rules that are not saved yet.
    rules: Option<ClaimRules>,
}

impl PreviewForm {
    fn command(self) -> Result<PreviewCommand, Problem> {
        let Self { user, client, scope, audience, claims, rules } = self;
        let audience = resource::read(audience.iter().map(String::as_str)).map_err(PreviewDenied::Target)?;
        let claims = match claims {
            Some(claims) => {
                let wishes = Value::Object(claims).to_string().parse();
                wishes.map_err(|reason| BadMember { member: "claims".to_owned(), reason })?
            }
            None => ClaimsRequest::default(),
        };
        Ok(PreviewCommand { user, client, scope, audience, claims, rules })
    }
}

pub(crate) async fn preview(
    state: web::Data<ApiState>,
    AdminOf { admin, tenant }: AdminOf,
    from: From,
    form: Json<PreviewForm>,
) -> Result<HttpResponse, Problem> {
    let command = form.0.command()?;
    Ok(HttpResponse::Ok().json(claims::preview(&state.ctx, &tenant, command, admin.actor(), &from.0).await?))
}
