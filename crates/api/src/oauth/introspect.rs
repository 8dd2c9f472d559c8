//! `POST {issuer}/oauth/introspect` (RFC 7662), for users with the role `claviger:introspect` or `claviger:admin`, and the
//! platform's administrator; and for clients that prove themselves, about their own tokens and those that are for an API that they are. Clients
//! get a signed answer, where they ask for one (RFC 9701).
//!
//! Invariant: nothing of the body is answered before it is clear who asks.

use actix_web::http::header::{Accept, CACHE_CONTROL, Header, Quality};
use actix_web::{HttpRequest, HttpResponse, web};
use app::access::AccessDenied;
use app::fault::Fault;
use app::tokens::exchange::is_for;
use app::tokens::introspect::{Living, introspect, signed};
use domain::client::{AuthMethod, Client};
use domain::tenant::Tenant;
use serde_json::{Value, json};

use crate::admission::{Introspector, IntrospectorOf};
use crate::error::oauth::OAuthError;
use crate::extract::form::Form;
use crate::extract::origin::From;
use crate::oauth::{client_auth, token_type};
use crate::state::ApiState;

/// The media type of a signed answer (RFC 9701, 4).
const SIGNED: &str = "application/token-introspection+jwt";

pub(crate) async fn post(
    state: web::Data<ApiState>,
    IntrospectorOf { tenant, who }: IntrospectorOf,
    request: HttpRequest,
    from: From,
    form: Result<Form, OAuthError>,
) -> Result<HttpResponse, OAuthError> {
    let client = match (who, &form) {
        (Introspector::OfAll, _) => None,
        (Introspector::Client(_), Ok(form)) if client_auth::is_in(form) => {
            return Err(OAuthError::invalid_request("authenticate in one way, not in two"));
        }
        (Introspector::Client(client), _) => Some(*client),
        (Introspector::NotSaidYet, Ok(form)) if form.optional("client_id").is_some() || client_auth::is_in(form) => {
            let client = client_auth::client(&state.ctx, &tenant, &request, form, &from.0).await?;
            // Whoever says a name alone has not proved anything (RFC 7662, 2.1).
            if client.settings.token_endpoint_auth_method == AuthMethod::None {
                return Err(OAuthError::invalid_client());
            }
            Some(client)
        }
        (Introspector::NotSaidYet, _) => return Err(AccessDenied::NoToken.into()),
    };
    let form = form?;
    let token = form.optional("token").ok_or(OAuthError::invalid_request("token is missing"))?;
    let wants_signed = wants_signed(&request);
    if wants_signed && client.is_none() {
        return Err(OAuthError::invalid_request("a signed answer is for one client: authenticate as that"));
    }
    let said = said(&state, &tenant, client.as_ref(), token).await?;
    let mut response = HttpResponse::Ok();
    response.insert_header((CACHE_CONTROL, "no-store"));
    Ok(match client.filter(|_| wants_signed) {
        Some(client) => response.content_type(SIGNED).body(signed(&state.ctx, &tenant, &client, said).await?),
        None => response.json(said),
    })
}

/// What somebody is told of a token.
async fn said(state: &ApiState, tenant: &Tenant, client: Option<&Client>, token: &str) -> Result<Value, OAuthError> {
    let living = introspect(&state.ctx, tenant, token).await?;
    // Another client's token is none, as far as a client may know (RFC 7662, 4), unless it is for the API that the client is.
    let living = match (living, client) {
        (Some(living), Some(client)) if *living.client_id() != client.id => match living {
            Living::Access(claims) if is_for(&state.ctx, tenant, client, &claims).await.map_err(Fault::from)? => {
                Some(Living::Access(claims))
            }
            Living::Access(_) | Living::Refresh { .. } => None,
        },
        (living, _) => living,
    };
    Ok(match living {
        None => json!({ "active": false }),
        Some(Living::Access(claims)) => {
            let mut body = serde_json::to_value(&*claims).unwrap_or(Value::Null);
            if let Some(members) = body.as_object_mut() {
                members.insert("active".to_owned(), json!(true));
                members.insert("token_type".to_owned(), json!(token_type(claims.cnf)));
            }
            body
        }
        Some(Living::Refresh { session_id, subject, client_id, scope, details, cnf, expires_at, issued_at }) => {
            let mut body = json!({
            "active": true, "iss": tenant.issuer(&state.ctx.base_url), "sub": subject, "sid": session_id, "client_id": client_id,
            "scope": scope, "exp": expires_at.as_seconds(), "iat": issued_at.as_seconds(),
            });
            if !details.is_empty() {
                body["authorization_details"] = json!(details);
            }
            if let Some(cnf) = cnf {
                body["cnf"] = json!(cnf);
            }
            body
        }
    })
}

/// Whether the request names the signed answer and likes no other better (RFC 9110, 12.5.1).
fn wants_signed(request: &HttpRequest) -> bool {
    let accepted = Accept::parse(request).map(|accept| accept.0).unwrap_or_default();
    let liking = |name: &str| accepted.iter().filter(|wish| wish.item.essence_str() == name).map(|wish| wish.quality).max();
    let signed = liking(SIGNED).unwrap_or(Quality::ZERO);
    signed > Quality::ZERO && signed >= liking("application/json").unwrap_or(Quality::ZERO)
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::ACCEPT;
    use actix_web::test::TestRequest;

    use super::*;

    #[test]
    fn an_answer_is_signed_where_that_is_asked_for_and_liked_best() {
        for (accept, wanted) in [
            ("application/token-introspection+jwt", true),
            ("Application/Token-Introspection+JWT;q=0.5", true),
            ("application/json;q=0.5, application/token-introspection+jwt", true),
            ("application/token-introspection+jwt, */*;q=0.1", true),
            ("application/json, application/token-introspection+jwt;q=0.5", false),
            ("application/token-introspection+jwt;q=0", false),
            ("application/json", false),
            ("*/*", false),
            ("application/jwt", false),
            ("", false),
            ("///", false),
        ] {
            let request = TestRequest::default().insert_header((ACCEPT, accept)).to_http_request();
            assert_eq!(wants_signed(&request), wanted, "{accept}");
        }
        assert!(!wants_signed(&TestRequest::default().to_http_request()));
    }
}
