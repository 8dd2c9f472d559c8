//! `GET {issuer}/me` and the sessions under it: what a signed-in user may see and end of their own.

use actix_web::http::header::CACHE_CONTROL;
use actix_web::{HttpResponse, web};
use app::sessions;
use domain::audit::Actor;
use domain::ids::FamilyId;
use domain::token::family::RevocationCause;
use serde_json::json;

use crate::admin::session_view;
use crate::admission::UserOf;
use crate::error::problem::Problem;
use crate::extract::address::Named;
use crate::extract::origin::From;
use crate::state::ApiState;

pub(crate) async fn get(UserOf { who, .. }: UserOf) -> Result<HttpResponse, Problem> {
    Ok(HttpResponse::Ok().insert_header((CACHE_CONTROL, "no-store")).json(json!({
        "sub": who.user.id, "username": who.user.names.username(), "email": who.user.names.email(), "roles": who.user.roles,
        "session_id": who.claims.sid, "auth_time": who.claims.auth_time,
    })))
}

pub(crate) async fn sessions(state: web::Data<ApiState>, UserOf { who, tenant }: UserOf) -> Result<HttpResponse, Problem> {
    let items: Vec<_> =
        sessions::list(&state.ctx, &tenant, who.user.id).await?.iter().map(|family| session_view(family, Some(who.session.id))).collect();
    Ok(HttpResponse::Ok().insert_header((CACHE_CONTROL, "no-store")).json(json!({ "items": items })))
}

pub(crate) async fn end_session(
    state: web::Data<ApiState>,
    UserOf { who, tenant }: UserOf,
    Named(session): Named<FamilyId>,
    from: From,
) -> Result<HttpResponse, Problem> {
    let actor = Actor::User { user_id: who.user.id };
    if sessions::end(&state.ctx, &tenant, who.user.id, session, RevocationCause::UserRequest, actor, &from.0).await? {
        Ok(HttpResponse::NoContent().finish())
    } else {
        Err(Problem::not_found())
    }
}
