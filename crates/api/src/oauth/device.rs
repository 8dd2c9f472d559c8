//! The device grant (RFC 8628): `POST {issuer}/oauth/device_authorization` for the device, `{issuer}/device` for its user. From a typed
//! code on, the user goes through the pages of [`super::authorize`].

use actix_web::http::StatusCode;
use actix_web::http::header::{CACHE_CONTROL, RETRY_AFTER};
use actix_web::{HttpRequest, HttpResponse, web};
use app::authorize::device::{self, EntryDenied};
use app::tenants;
use app::tokens::device::ask;
use domain::client::GrantType;
use domain::details::DetailsRefused;
use domain::device::DeviceGrant;
use domain::resource;
use domain::scope::Scope;
use domain::tenant::Tenant;
use pages::{DeviceCodePage, DeviceTrouble};
use serde::Deserialize;
use serde_json::json;

use crate::error::oauth::OAuthError;
use crate::error::problem::Problem;
use crate::extract::form::Form;
use crate::extract::origin::From;
use crate::oauth::{authorize, browser, client_auth, pages as answers, token};
use crate::state::ApiState;

/// `POST {issuer}/oauth/device_authorization` (RFC 8628, 3.1).
pub(crate) async fn authorization(
    state: web::Data<ApiState>,
    slug: web::Path<String>,
    request: HttpRequest,
    from: From,
    form: Form,
) -> Result<HttpResponse, OAuthError> {
    let tenant = tenants::resolve(&state.ctx, &slug).await?;
    let client = client_auth::client(&state.ctx, &tenant, &request, &form, &from.0).await?;
    token::usable(&tenant, &client, GrantType::DeviceCode)?;
    let scope = form.optional("scope").map(|text| text.parse::<Scope>().map_err(|_| OAuthError::invalid_scope())).transpose()?;
    let named = resource::read(form.each("resource")).map_err(OAuthError::invalid_target)?;
    if form.optional("authorization_details").is_some() {
        return Err(OAuthError::invalid_details(DetailsRefused::NotHere));
    }
    let asked = ask(&state.ctx, &tenant, &client, scope, named, &from.0).await.map_err(OAuthError::of_device)?;
    let (page, user_code) = (format!("{}/device", tenant.issuer(&state.ctx.base_url)), asked.user_code.shown());
    Ok(HttpResponse::Ok().insert_header((CACHE_CONTROL, "no-store")).json(json!({
        "device_code": asked.device_code.expose(),
        "user_code": user_code,
        "verification_uri": page,
        "verification_uri_complete": format!("{page}?user_code={user_code}"),
        "expires_in": DeviceGrant::TTL.as_seconds(),
        "interval": DeviceGrant::INTERVAL.as_seconds(),
    })))
}

#[derive(Deserialize)]
pub(crate) struct Asked {
    /// Filled in for the user, who sends it.
    #[serde(default)]
    user_code: String,
}

/// `GET {issuer}/device`: where a code is typed.
pub(crate) async fn get(
    state: web::Data<ApiState>,
    slug: web::Path<String>,
    request: HttpRequest,
    asked: web::Query<Asked>,
) -> Result<HttpResponse, Problem> {
    let tenant = tenants::resolve(&state.ctx, &slug).await?;
    // What is no code is not worth filling in.
    let typed: String = asked.user_code.chars().take(32).collect();
    entry(&state, &tenant, &request, typed, None).await
}

async fn entry(
    state: &ApiState,
    tenant: &Tenant,
    request: &HttpRequest,
    user_code: String,
    trouble: Option<(DeviceTrouble, StatusCode, u32)>,
) -> Result<HttpResponse, Problem> {
    let base_url = &state.ctx.base_url;
    let (browser, csrf_token) = match device::begin(&state.ctx, tenant, &browser::of(request, tenant, base_url)).await {
        Ok(begun) => begun,
        Err(denied) => return refused(state, request, tenant, denied).await,
    };
    let action = format!("{}/device", answers::issuer_path(tenant));
    let form = pages::Form { action, csrf_token, hidden: Vec::new() };
    let (status, seconds) = trouble.map_or((StatusCode::OK, 0), |(_, status, seconds)| (status, seconds));
    let page = DeviceCodePage { form, user_code, trouble: trouble.map(|(trouble, ..)| trouble) };
    let mut answer = answers::shown(state, request, tenant, status, &[], &page).await;
    let _ = answer.add_cookie(&browser::named(tenant, base_url, &browser));
    if seconds > 0 {
        answer.headers_mut().insert(RETRY_AFTER, seconds.into());
    }
    Ok(answer)
}

/// `POST {issuer}/device`: `user_code`, as it was typed.
pub(crate) async fn post(
    state: web::Data<ApiState>,
    slug: web::Path<String>,
    request: HttpRequest,
    from: From,
    form: Result<Form, OAuthError>,
) -> Result<HttpResponse, Problem> {
    let tenant = tenants::resolve(&state.ctx, &slug).await?;
    let form = match authorize::of_ours(&request, &state.ctx.base_url, form) {
        Ok(form) => form,
        Err(refused) => return Ok(answers::refused(&state, &request, &tenant, refused?).await),
    };
    let (typed, csrf_token) = (form.optional("user_code").unwrap_or_default(), form.optional("csrf_token").unwrap_or_default());
    let brought = browser::of(&request, &tenant, &state.ctx.base_url);
    let trouble = match device::enter(&state.ctx, &tenant, typed, csrf_token, &brought, &from.0).await {
        Ok(handle) => return Ok(answers::onward(authorize::page_of(&tenant, &handle))),
        Err(EntryDenied::UnknownCode) => (DeviceTrouble::UnknownCode, StatusCode::OK, 0),
        Err(EntryDenied::TooManyAttempts { retry_at }) => {
            let seconds = retry_at.seconds_after(state.ctx.now()).max(1);
            (DeviceTrouble::TryAgainIn { minutes: seconds.div_ceil(60) }, StatusCode::TOO_MANY_REQUESTS, seconds)
        }
        Err(denied) => return refused(&state, &request, &tenant, denied).await,
    };
    entry(&state, &tenant, &request, typed.chars().take(32).collect(), Some(trouble)).await
}

async fn refused(state: &ApiState, request: &HttpRequest, tenant: &Tenant, denied: EntryDenied) -> Result<HttpResponse, Problem> {
    match denied {
        EntryDenied::Request(denied) => authorize::refused(state, request, tenant, denied).await,
        EntryDenied::Off | EntryDenied::UnknownCode | EntryDenied::TooManyAttempts { .. } => Err(Problem::not_found()),
    }
}
