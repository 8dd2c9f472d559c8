//! `POST {issuer}/oauth/bc-authorize` (OpenID CIBA Core 1.0, 7): a client asks a user whose browser it has not got. The user answers on
//! `{issuer}/account`.

use actix_web::http::header::CACHE_CONTROL;
use actix_web::{HttpRequest, HttpResponse, web};
use app::account::backchannel::decide;
use app::authorize::Decision;
use app::tenants;
use app::tokens::backchannel::{AskUser, Hint, ask};
use domain::backchannel::{BindingMessage, is_notification_token};
use domain::client::GrantType;
use domain::details::DetailsRefused;
use domain::resource;
use domain::scope::Scope;
use domain::secret::Secret;
use domain::time::Ttl;
use serde_json::json;

use crate::error::oauth::OAuthError;
use crate::error::problem::Problem;
use crate::extract::form::Form;
use crate::extract::origin::From;
use crate::oauth::visit::Posted;
use crate::oauth::{account, client_auth, token};
use crate::state::ApiState;

pub(crate) async fn post(
    state: web::Data<ApiState>,
    slug: web::Path<String>,
    request: HttpRequest,
    from: From,
    form: Form,
) -> Result<HttpResponse, OAuthError> {
    let tenant = tenants::resolve(&state.ctx, &slug).await?;
    let client = client_auth::client(&state.ctx, &tenant, &request, &form, &from.0).await?;
    token::usable(&tenant, &client, GrantType::Backchannel)?;
    let asked = ask(&state.ctx, &tenant, &client, read(&form)?, &from.0).await.map_err(OAuthError::of_user)?;
    Ok(HttpResponse::Ok().insert_header((CACHE_CONTROL, "no-store")).json(json!({
        "auth_req_id": asked.auth_req_id.expose(),
        "expires_in": asked.expires_in,
        "interval": asked.interval.as_seconds(),
    })))
}

fn read(form: &Form) -> Result<AskUser, OAuthError> {
    if form.optional("request").is_some() {
        return Err(OAuthError::invalid_request("signed authentication requests are not taken here"));
    }
    let hints = ["login_hint", "id_token_hint", "login_hint_token"].map(|name| form.optional(name).map(str::to_owned));
    let hint = match hints {
        [Some(login), None, None] => Hint::Login(login),
        [None, Some(token), None] => Hint::IdToken(token),
        [None, None, Some(_)] => {
            return Err(OAuthError::invalid_request("login_hint_token is not taken here: send login_hint or id_token_hint"));
        }
        _ => return Err(OAuthError::invalid_request("send one of login_hint and id_token_hint")),
    };
    let scope = form.optional("scope").unwrap_or_default().parse::<Scope>().map_err(|_| OAuthError::invalid_scope())?;
    let binding_message = form.optional("binding_message").map(|text| BindingMessage::try_from(text.to_owned()));
    let binding_message = binding_message.transpose().map_err(|_| OAuthError::invalid_binding_message())?;
    let expiry = form.optional("requested_expiry").map(|text| text.parse::<u32>().ok().filter(|seconds| *seconds > 0));
    let requested_expiry = match expiry {
        Some(None) => return Err(OAuthError::invalid_request("requested_expiry must be a positive number of seconds")),
        Some(Some(seconds)) => Some(Ttl::seconds(seconds)),
        None => None,
    };
    let resources = resource::read(form.each("resource")).map_err(OAuthError::invalid_target)?;
    if form.optional("authorization_details").is_some() {
        return Err(OAuthError::invalid_details(DetailsRefused::NotHere));
    }
    let notification_token = match form.optional("client_notification_token") {
        Some(token) if !is_notification_token(token) => {
            return Err(OAuthError::invalid_request("client_notification_token must be a bearer token of at most 1024 characters"));
        }
        token => token.map(|token| Secret::new(token.to_owned())),
    };
    Ok(AskUser { hint, scope, resources, binding_message, requested_expiry, notification_token })
}

/// `POST {issuer}/account/requests/decide`: `request` and `decision`.
pub(crate) async fn answer(posted: Posted) -> Result<HttpResponse, Problem> {
    let visit = &posted.visit;
    let Ok(id) = posted.field("request").parse() else { return Ok(visit.onward("/account")) };
    let decision = match posted.field("decision") {
        "allow" => Decision::Allow,
        "deny" => Decision::Deny,
        _ => return Ok(visit.onward("/account")),
    };
    let outcome = decide(&visit.state.ctx, &visit.tenant, &visit.browser, id, decision, posted.csrf_token(), &visit.from.0).await;
    account::after(visit, outcome, "").await
}
