//! `/admin/v1/tenants/{slug}/initial-access-tokens`: with which clients may be registered (RFC 7591, 1.2).

use actix_web::http::header::{CACHE_CONTROL, LOCATION};
use actix_web::{HttpResponse, web};
use app::clients::initial_tokens::{self, MakeInitialToken};
use domain::client::registration::InitialAccessToken;
use domain::ids::InitialAccessTokenId;
use domain::text::DisplayName;
use domain::time::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::admission::AdminOf;
use crate::error::problem::Problem;
use crate::extract::address::Named;
use crate::extract::json::OptionalJson;
use crate::extract::origin::From;
use crate::extract::page::{Page, PageQuery};
use crate::state::ApiState;

fn view(token: &InitialAccessToken) -> Value {
    json!({
        "id": token.id, "name": token.name, "uses_left": token.uses_left,
        "created_at": token.created_at, "expires_at": token.expires_at,
    })
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub(crate) struct InitialTokenForm {
    name: Option<DisplayName>,
    uses: Option<u32>,
    expires_at: Option<Timestamp>,
}

pub(crate) async fn create(
    state: web::Data<ApiState>,
    AdminOf { admin, tenant }: AdminOf,
    from: From,
    form: OptionalJson<InitialTokenForm>,
) -> Result<HttpResponse, Problem> {
    let InitialTokenForm { name, uses, expires_at } = form.0.unwrap_or_default();
    let command = MakeInitialToken { name, uses: uses.unwrap_or(1), expires_at };
    let (token, text) = initial_tokens::make(&state.ctx, &tenant, command, admin.actor(), &from.0).await?;
    let mut view = view(&token);
    view["token"] = json!(text.expose());
    let location = format!("/admin/v1/tenants/{}/initial-access-tokens/{}", tenant.slug, token.id);
    Ok(HttpResponse::Created().insert_header((LOCATION, location)).insert_header((CACHE_CONTROL, "no-store")).json(view))
}

pub(crate) async fn list(
    state: web::Data<ApiState>,
    AdminOf { tenant, .. }: AdminOf,
    query: web::Query<PageQuery>,
) -> Result<HttpResponse, Problem> {
    let (limit, after) = (query.limit()?, query.after::<InitialAccessTokenId>()?);
    let rows = initial_tokens::list(&state.ctx, &tenant, after, limit).await?;
    Ok(HttpResponse::Ok().json(Page::new(rows, limit, |token| token.id.to_string(), |token| view(&token))))
}

pub(crate) async fn delete(
    state: web::Data<ApiState>,
    AdminOf { admin, tenant }: AdminOf,
    Named(id): Named<InitialAccessTokenId>,
    from: From,
) -> Result<HttpResponse, Problem> {
    initial_tokens::revoke(&state.ctx, &tenant, id, admin.actor(), &from.0).await?;
    Ok(HttpResponse::NoContent().finish())
}
