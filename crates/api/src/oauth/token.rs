//! `POST {issuer}/oauth/token` (RFC 6749, 3.2): parses once, names the client, then hands over to the grant.

use actix_web::{HttpRequest, HttpResponse, web};
use app::tenants;
use app::tokens::refresh::{PresentedBy, RefreshCommand, RefreshDenied, RefreshOutcome, refresh};
use domain::scope::Scope;

use crate::error::oauth::OAuthError;
use crate::extract::form::Form;
use crate::extract::origin::From;
use crate::oauth::cookie;
use crate::state::ApiState;

pub(crate) async fn post(
    state: web::Data<ApiState>,
    slug: web::Path<String>,
    request: HttpRequest,
    from: From,
    form: Form,
) -> Result<HttpResponse, OAuthError> {
    let tenant = tenants::resolve(&state.ctx, &slug).await?;
    let client_id = super::client(&form)?;
    match form.optional("grant_type") {
        Some("refresh_token") => {}
        Some(_) => return Err(OAuthError::unsupported_grant_type()),
        None => return Err(OAuthError::invalid_request("grant_type is missing")),
    }
    let (refresh_token, presented_by) = match (form.optional("refresh_token"), cookie::refresh_token(&request)) {
        (Some(token), _) => (token.to_owned(), PresentedBy::Body),
        (None, Some(_)) if cookie::is_cross_site(&request, &state.ctx.base_url) => return Err(OAuthError::csrf()),
        (None, Some(token)) => (token, PresentedBy::Cookie { csrf_token: cookie::csrf_token(&request) }),
        (None, None) => return Err(OAuthError::invalid_request("refresh_token is missing")),
    };
    let scope = match form.optional("scope") {
        Some(text) => Some(text.parse::<Scope>().map_err(|_| OAuthError::of_refresh(RefreshDenied::InvalidScope, 0))?),
        None => None,
    };
    let command = RefreshCommand { refresh_token, client_id, presented_by, scope };
    let outcome = refresh(&state.ctx, &tenant, command, &from.0).await;
    let now = state.ctx.now();
    let label = match &outcome {
        Ok((RefreshOutcome::Rotated, _)) => "rotated",
        Ok((RefreshOutcome::Replayed, _)) => "replayed",
        Ok((RefreshOutcome::Replaced, _)) => "replaced",
        Err(RefreshDenied::Reused) => "reused",
        Err(RefreshDenied::SlowDown { .. }) => "slow_down",
        Err(RefreshDenied::Fault(_)) => "fault",
        Err(_) => "refused",
    };
    state.metrics.refreshes.with_label_values(&[label]).inc();
    match outcome {
        Ok((_, issued)) => Ok(super::tokens(&tenant, &issued, now)),
        Err(denied) => {
            let seconds = if let RefreshDenied::SlowDown { retry_at } = &denied { retry_at.seconds_after(now) } else { 0 };
            Err(OAuthError::of_refresh(denied, seconds))
        }
    }
}
