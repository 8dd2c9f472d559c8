//! `POST {issuer}/oauth/introspect` (RFC 7662), for users with the role `claviger:introspect` or `claviger:admin`, and the
//! platform's administrator; and for clients with a secret, about their own tokens and those that are for
//! an API that they are.

use actix_web::http::header::CACHE_CONTROL;
use actix_web::{HttpResponse, web};
use app::fault::Fault;
use app::tokens::exchange::is_for;
use app::tokens::introspect::{Living, introspect};
use serde_json::{Value, json};

use crate::admission::IntrospectorOf;
use crate::error::oauth::OAuthError;
use crate::extract::form::Form;
use crate::oauth::token_type;
use crate::state::ApiState;

pub(crate) async fn post(
    state: web::Data<ApiState>,
    IntrospectorOf { tenant, client }: IntrospectorOf,
    form: Form,
) -> Result<HttpResponse, OAuthError> {
    let token = form.optional("token").ok_or(OAuthError::invalid_request("token is missing"))?;
    let living = introspect(&state.ctx, &tenant, token).await?;
    // Another client's token is none, as far as a client may know (RFC 7662, 4), unless it is for the API that the client is.
    let living = match (living, &client) {
        (Some(living), Some(client)) if *living.client_id() != client.id => match living {
            Living::Access(claims) if is_for(&state.ctx, &tenant, client, &claims).await.map_err(Fault::from)? => {
                Some(Living::Access(claims))
            }
            Living::Access(_) | Living::Refresh { .. } => None,
        },
        (living, _) => living,
    };
    let body = match living {
        None => json!({ "active": false }),
        Some(Living::Access(claims)) => {
            let mut body = serde_json::to_value(&*claims).unwrap_or(Value::Null);
            if let Some(members) = body.as_object_mut() {
                members.insert("active".to_owned(), json!(true));
                members.insert("token_type".to_owned(), json!(token_type(claims.cnf)));
            }
            body
        }
        Some(Living::Refresh { session_id, subject, client_id, scope, cnf, expires_at, issued_at }) => {
            let mut body = json!({
            "active": true, "iss": tenant.issuer(&state.ctx.base_url), "sub": subject, "sid": session_id, "client_id": client_id,
            "scope": scope, "exp": expires_at.as_seconds(), "iat": issued_at.as_seconds(),
            });
            if let Some(cnf) = cnf {
                body["cnf"] = json!(cnf);
            }
            body
        }
    };
    Ok(HttpResponse::Ok().insert_header((CACHE_CONTROL, "no-store")).json(body))
}
