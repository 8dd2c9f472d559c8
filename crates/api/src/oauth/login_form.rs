//! The login page after a wrong attempt, wherever it stands: what it says, and with which status.

use std::time::Instant;

use actix_web::http::StatusCode;
use actix_web::http::header::RETRY_AFTER;
use actix_web::{HttpRequest, HttpResponse};
use app::login::LoginDenied;
use domain::tenant::Tenant;
use pages::{LoginPage, LoginTrouble};

use crate::error::problem::Problem;
use crate::oauth::pages as answers;
use crate::state::ApiState;

/// What was typed wrong the last time.
pub(super) struct Typed {
    pub(super) identifier: String,
    pub(super) trouble: LoginTrouble,
    status: StatusCode,
    retry_after: Option<u32>,
}

impl Typed {
    /// What cannot be a password is a wrong one.
    pub(super) fn wrong(identifier: &str) -> Self {
        Self { identifier: identifier.to_owned(), trouble: LoginTrouble::WrongCredentials, status: StatusCode::OK, retry_after: None }
    }

    /// A login that did not come about, and is counted.
    ///
    /// # Errors
    /// What no page can say.
    pub(super) fn denied(state: &ApiState, identifier: &str, denied: LoginDenied, started: Instant) -> Result<Self, Problem> {
        let (label, typed) = match denied {
            LoginDenied::TenantSuspended => return Err(Problem::not_found()),
            LoginDenied::Fault(fault) => return Err(fault.into()),
            LoginDenied::BadCredentials => ("bad_credentials", Self::wrong(identifier)),
            LoginDenied::TooManyAttempts { retry_at } => {
                let seconds = retry_at.seconds_after(state.ctx.now());
                let trouble = LoginTrouble::TryAgainIn { minutes: seconds.div_ceil(60) };
                let (status, retry_after) = (StatusCode::TOO_MANY_REQUESTS, Some(seconds.max(1)));
                ("too_many_attempts", Self { trouble, status, retry_after, ..Self::wrong(identifier) })
            }
            // Pages that ask for a new password deal with these themselves.
            LoginDenied::PasswordChangeRequired | LoginDenied::NoNewPassword | LoginDenied::NewPassword(_) => {
                ("password_change_required", Self::wrong(identifier))
            }
            LoginDenied::Busy(_) => {
                let (trouble, status, retry_after) = (LoginTrouble::Unavailable, StatusCode::SERVICE_UNAVAILABLE, Some(1));
                ("busy", Self { trouble, status, retry_after, ..Self::wrong(identifier) })
            }
        };
        count(state, label, started);
        Ok(typed)
    }
}

pub(super) fn count(state: &ApiState, outcome: &str, started: Instant) {
    state.metrics.logins.with_label_values(&[outcome]).inc();
    state.metrics.login_seconds.observe(started.elapsed().as_secs_f64());
}

/// The page, once more where something was typed wrong.
pub(super) async fn shown(
    state: &ApiState,
    request: &HttpRequest,
    tenant: &Tenant,
    ui_locales: &[String],
    page: &LoginPage,
    typed: Option<Typed>,
) -> HttpResponse {
    let status = typed.as_ref().map_or(StatusCode::OK, |typed| typed.status);
    let mut answer = answers::shown(state, request, tenant, status, ui_locales, page).await;
    if let Some(seconds) = typed.and_then(|typed| typed.retry_after) {
        answer.headers_mut().insert(RETRY_AFTER, seconds.into());
    }
    answer
}
