//! `GET` and `POST {issuer}/oauth/end_session` (OpenID Connect RP-Initiated Logout 1.0). Our own page posts to the same address, with
//! `decision` and its token.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, ResponseError, web};
use app::authorize::AuthorizeDenied;
use app::authorize::sign_out::{SignOut, sign_out};
use app::tenants;
use domain::authorize::Refusal;
use domain::authorize::rules::Parameters;
use domain::user::User;
use pages::{LoggedOutPage, LogoutPage};

use crate::error::oauth::OAuthError;
use crate::error::page::{PageRefused, Unpaged};
use crate::extract::form::Form;
use crate::extract::origin::From;
use crate::oauth::{browser, pages as answers};
use crate::state::ApiState;

/// What our page brings back of the request.
const KEPT: [&str; 5] = ["id_token_hint", "client_id", "post_logout_redirect_uri", "state", "ui_locales"];

pub(crate) async fn get(
    state: web::Data<ApiState>,
    slug: web::Path<String>,
    request: HttpRequest,
    from: From,
) -> Result<HttpResponse, OAuthError> {
    let pairs = url::form_urlencoded::parse(request.query_string().as_bytes());
    let parameters = Parameters::new(pairs.map(|(name, value)| (name.into_owned(), value.into_owned())));
    ended(&state, &slug, &request, &from, parameters, false).await
}

pub(crate) async fn post(
    state: web::Data<ApiState>,
    slug: web::Path<String>,
    request: HttpRequest,
    from: From,
    form: Result<Form, OAuthError>,
) -> Result<HttpResponse, OAuthError> {
    match form {
        Ok(form) => ended(&state, &slug, &request, &from, Parameters::new(form.pairs()), true).await,
        Err(error) if error.status_code() == StatusCode::PAYLOAD_TOO_LARGE => Err(error),
        Err(_) => {
            let tenant = tenants::resolve(&state.ctx, &slug).await?;
            let page = PageRefused::malformed("the request is no form, or a parameter was sent twice");
            Ok(answers::refused(&state, &request, &tenant, page).await)
        }
    }
}

async fn ended(
    state: &ApiState,
    slug: &str,
    request: &HttpRequest,
    from: &From,
    parameters: Result<Parameters, Refusal>,
    is_posted: bool,
) -> Result<HttpResponse, OAuthError> {
    let tenant = tenants::resolve(&state.ctx, slug).await?;
    let base_url = &state.ctx.base_url;
    let brought = browser::of(request, &tenant, base_url);
    let outcome = match &parameters {
        Err(refusal) => Err(AuthorizeDenied::Refused(*refusal)),
        Ok(parameters) => {
            let decision = parameters.get("decision").filter(|_| is_posted);
            match (decision, parameters.get("csrf_token")) {
                (Some(_), _) if browser::is_foreign_form(request, base_url) => Err(AuthorizeDenied::Forged),
                (Some("sign_out"), token) => {
                    sign_out(&state.ctx, &tenant, parameters, &brought, Some(token.unwrap_or_default()), &from.0).await
                }
                // They stay; what there is to tell is that nothing happened.
                (Some(_), _) => return Ok(answers::onward(format!("{}/oauth/end_session", answers::issuer_path(&tenant)))),
                (None, _) => sign_out(&state.ctx, &tenant, parameters, &brought, None, &from.0).await,
            }
        }
    };
    let locales: Vec<_> = parameters
        .as_ref()
        .ok()
        .and_then(|parameters| parameters.get("ui_locales"))
        .map(|tags| tags.split(' ').take(8).map(str::to_owned).collect())
        .unwrap_or_default();
    match outcome {
        Ok(SignOut::Ask { users, client, csrf_token }) => {
            let kept = |name: &&str| parameters.as_ref().ok()?.get(name).map(|value| ((*name).to_owned(), value.to_owned()));
            let action = format!("{}/oauth/end_session", answers::issuer_path(&tenant));
            let form = pages::Form { action, csrf_token, hidden: KEPT.iter().filter_map(kept).collect() };
            let page = LogoutPage {
                form,
                accounts: users.iter().map(User::display_name).collect(),
                client: client.as_ref().map(answers::client_view),
            };
            Ok(answers::shown(state, request, &tenant, StatusCode::OK, &locales, &page).await)
        }
        Ok(SignOut::Done { client, next, frames, kept }) => {
            // The addresses were checked when they were registered.
            let frames: Vec<_> = frames.iter().filter_map(|uri| uri.parse().ok()).collect();
            let mut answer = match next {
                Some(next) if frames.is_empty() => answers::onward(next),
                next => {
                    let client = client.as_ref().map(answers::client_view);
                    let page = LoggedOutPage { frames, next: next.and_then(|next| next.parse().ok()), client, login: None };
                    answers::shown(state, request, &tenant, StatusCode::OK, &locales, &page).await
                }
            };
            browser::keep(&mut answer, &tenant, base_url, &brought, &kept);
            Ok(answer)
        }
        Err(denied) => match PageRefused::of(denied) {
            Ok(page) => Ok(answers::refused(state, request, &tenant, page).await),
            Err(Unpaged::NoTenant) => Err(OAuthError::not_found()),
            Err(Unpaged::Fault(fault)) => Err(fault.into()),
        },
    }
}
