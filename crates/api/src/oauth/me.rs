//! `GET {issuer}/me` and the sessions under it: what a signed-in user may see and end of their own.

use actix_web::http::header::CACHE_CONTROL;
use actix_web::{HttpResponse, web};
use app::access::signed_in;
use app::{sessions, tenants};
use domain::audit::Actor;
use domain::ids::FamilyId;
use domain::scope::Scope;
use domain::token::family::RevocationCause;
use serde_json::json;

use crate::admin::session_view;
use crate::error::problem::Problem;
use crate::extract::bearer::Bearer;
use crate::extract::origin::From;
use crate::state::ApiState;

pub(crate) async fn get(state: web::Data<ApiState>, slug: web::Path<String>, bearer: Bearer) -> Result<HttpResponse, Problem> {
    let tenant = tenants::resolve(&state.ctx, &slug).await?;
    let who = signed_in(&state.ctx, &tenant, bearer.token(), Scope::ACCOUNT).await?;
    Ok(HttpResponse::Ok().insert_header((CACHE_CONTROL, "no-store")).json(json!({
        "sub": who.user.id, "username": who.user.names.username(), "email": who.user.names.email(), "roles": who.user.roles,
        "session_id": who.claims.sid, "auth_time": who.claims.auth_time,
    })))
}

pub(crate) async fn sessions(state: web::Data<ApiState>, slug: web::Path<String>, bearer: Bearer) -> Result<HttpResponse, Problem> {
    let tenant = tenants::resolve(&state.ctx, &slug).await?;
    let who = signed_in(&state.ctx, &tenant, bearer.token(), Scope::ACCOUNT).await?;
    let items: Vec<_> =
        sessions::list(&state.ctx, &tenant, who.user.id).await?.iter().map(|family| session_view(family, Some(who.claims.sid))).collect();
    Ok(HttpResponse::Ok().insert_header((CACHE_CONTROL, "no-store")).json(json!({ "items": items })))
}

pub(crate) async fn end_session(
    state: web::Data<ApiState>,
    path: web::Path<(String, String)>,
    bearer: Bearer,
    from: From,
) -> Result<HttpResponse, Problem> {
    let (slug, session) = path.into_inner();
    let tenant = tenants::resolve(&state.ctx, &slug).await?;
    let who = signed_in(&state.ctx, &tenant, bearer.token(), Scope::ACCOUNT).await?;
    let session: FamilyId = session.parse().map_err(|_| Problem::not_found())?;
    let actor = Actor::User { user_id: who.user.id };
    if sessions::end(&state.ctx, &tenant, who.user.id, session, RevocationCause::UserRequest, actor, &from.0).await? {
        Ok(HttpResponse::NoContent().finish())
    } else {
        Err(Problem::not_found())
    }
}
