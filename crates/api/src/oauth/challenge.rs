//! `POST {issuer}/oauth/authorize-challenge` (OAuth 2.0 for First-Party Applications, 5): an application of the tenant hands over what its
//! user has typed into it, and gets a code.

use std::time::Instant;

use actix_web::http::header::{AUTHORIZATION, CACHE_CONTROL};
use actix_web::{HttpRequest, HttpResponse, web};
use app::authorize::challenge::{ChallengeCommand, ChallengeDenied, Challenged, challenge, client_of};
use app::authorize::pushed;
use app::clients::authenticate::{Presented, Proof};
use app::login::LoginDenied;
use app::tenants;
use domain::authorize::rules::Parameters;
use domain::client::Client;
use domain::interaction::LoginStep;
use domain::password::Password;
use domain::secret::Secret;
use domain::tenant::Tenant;
use serde_json::json;

use crate::error::oauth::OAuthError;
use crate::extract::form::Form;
use crate::extract::origin::From;
use crate::oauth::{client_auth, dpop, login_form, mtls};
use crate::state::ApiState;

/// What is no part of the request, and is not carried about with it.
const BESIDES: [&str; 6] = ["username", "password", "new_password", "auth_session", "client_secret", "client_assertion"];

pub(crate) async fn post(
    state: web::Data<ApiState>,
    slug: web::Path<String>,
    request: HttpRequest,
    from: From,
    form: Form,
) -> Result<HttpResponse, OAuthError> {
    let started = Instant::now();
    let tenant = tenants::resolve(&state.ctx, &slug).await?;
    if !tenant.policy.authorization_challenge {
        return Err(OAuthError::of_challenge(ChallengeDenied::Off, state.ctx.now()));
    }
    let client = client(&state, &tenant, &request, &form, &from).await?;
    let proved = dpop::proved(&state.ctx, &tenant, &client, &request).await?;
    let pairs = form.pairs().filter(|(name, _)| !BESIDES.contains(&name.as_str()));
    let password = |name| form.optional(name).map(Password::parse).transpose();
    let unreadable = |_| OAuthError::invalid_request("a password is 1 to 1024 bytes long");
    let command = ChallengeCommand {
        parameters: Parameters::new(pairs).map_err(OAuthError::of_refusal)?,
        auth_session: form.optional("auth_session").map(|text| Secret::new(text.to_owned())),
        username: form.optional("username").map(str::to_owned),
        password: password("password").map_err(unreadable)?,
        new_password: password("new_password").map_err(unreadable)?,
        proved,
    };
    let outcome = challenge(&state.ctx, &tenant, &client, command, &from.0).await;
    if let Some(label) = label(&outcome) {
        login_form::count(&state, label, started);
    }
    match outcome {
        Ok(Challenged::Granted(code)) => {
            let answer = json!({ "authorization_code": code.expose() });
            Ok(HttpResponse::Ok().insert_header((CACHE_CONTROL, "no-store")).json(answer))
        }
        Ok(Challenged::Insufficient { step, unfit, next }) => Err(OAuthError::insufficient_authorization(step, unfit, &next)),
        Ok(Challenged::ToWeb { request }) => Err(OAuthError::redirect_to_web(request.as_ref(), pushed::TTL)),
        Err(denied) => Err(OAuthError::of_challenge(denied, state.ctx.now())),
    }
}

/// Who sends this; in later steps it is enough to show the `auth_session`, for a client that has no way to prove itself anyway.
async fn client(state: &ApiState, tenant: &Tenant, request: &HttpRequest, form: &Form, from: &From) -> Result<Client, OAuthError> {
    let says_nothing = form.optional("client_id").is_none() && !client_auth::is_in(form) && !request.headers().contains_key(AUTHORIZATION);
    match form.optional("auth_session").filter(|_| says_nothing) {
        None => client_auth::client(&state.ctx, tenant, request, form, &from.0).await,
        Some(session) => {
            let id = client_of(&state.ctx, tenant, session).await?;
            let id = id.ok_or_else(|| OAuthError::of_challenge(ChallengeDenied::InvalidSession, state.ctx.now()))?;
            let presented = Presented { client_id: id.to_string(), proof: Proof::None, certificate: mtls::shown(request) };
            client_auth::proved(&state.ctx, tenant, presented, request, &from.0).await
        }
    }
}

/// What a step is counted as, where it was a login.
const fn label(outcome: &Result<Challenged, ChallengeDenied>) -> Option<&'static str> {
    Some(match outcome {
        Ok(Challenged::Granted(_)) => "succeeded",
        Ok(Challenged::Insufficient { step: LoginStep::NewPassword, .. })
        | Err(ChallengeDenied::Login(LoginDenied::PasswordChangeRequired | LoginDenied::NoNewPassword | LoginDenied::NewPassword(_), _)) => {
            "password_change_required"
        }
        Err(ChallengeDenied::Login(LoginDenied::BadCredentials, _)) => "bad_credentials",
        Err(ChallengeDenied::Login(LoginDenied::TooManyAttempts { .. }, _)) => "too_many_attempts",
        Err(ChallengeDenied::Login(LoginDenied::TenantSuspended, _)) => "tenant_suspended",
        Err(ChallengeDenied::Login(LoginDenied::Busy(_), _)) => "busy",
        Err(ChallengeDenied::Login(LoginDenied::Fault(_), _) | ChallengeDenied::Fault(_)) => "fault",
        Ok(Challenged::Insufficient { .. } | Challenged::ToWeb { .. })
        | Err(
            ChallengeDenied::Off
            | ChallengeDenied::NotRegistered
            | ChallengeDenied::Refused(_)
            | ChallengeDenied::InvalidSession
            | ChallengeDenied::NoName,
        ) => return None,
    })
}
