//! `/health/live`, `/health/ready`, `/metrics`: for the management listener only.

use actix_web::{HttpResponse, web};
use serde_json::json;

use crate::state::ApiState;

pub(crate) async fn live() -> HttpResponse {
    HttpResponse::Ok().json(json!({ "status": "ok" }))
}

/// Truthful: says whether this node is going, asks the database, and whether the key-encryption key opens what it must.
pub(crate) async fn ready(state: web::Data<ApiState>) -> HttpResponse {
    if state.is_leaving() {
        return HttpResponse::ServiceUnavailable().json(json!({ "status": "leaving" }));
    }
    let database = state.ctx.store.ping().await;
    let keys = match database {
        Ok(()) => state.ctx.keys.installation_mac(b"ready").await.map(|_| ()).map_err(|error| error.to_string()),
        Err(_) => Err("not looked at while the database is away".to_owned()),
    };
    let word = |ok: bool| if ok { "ok" } else { "unavailable" };
    // A tenant whose secrets do not open harms nobody else: it is named here, and this node stays ready.
    let sealed_away = state.ctx.keys.sealed_away();
    let body = json!({ "database": word(database.is_ok()), "keys": word(keys.is_ok()), "sealed_away": sealed_away });
    if let Err(error) = &database {
        tracing::warn!(%error, "not ready: database");
    } else if let Err(error) = &keys {
        tracing::warn!(%error, "not ready: keys");
    }
    if database.is_ok() && keys.is_ok() { HttpResponse::Ok().json(body) } else { HttpResponse::ServiceUnavailable().json(body) }
}

pub(crate) async fn metrics(state: web::Data<ApiState>) -> HttpResponse {
    let text = state.metrics.text(&state.ctx.hashing, &(state.readings)());
    HttpResponse::Ok().content_type("text/plain; version=0.0.4; charset=utf-8").body(text)
}
