//! `POST {issuer}/login`: the first-party application hands over a name and a password.

use actix_web::{HttpRequest, HttpResponse, web};
use app::login::{LoginCommand, LoginDenied, login};
use app::tenants;
use domain::password::Password;
use domain::scope::Scope;
use domain::secret::Secret;
use domain::token::family::Binding;
use serde::Deserialize;

use crate::error::problem::Problem;
use crate::extract::json::Json;
use crate::extract::origin::From;
use crate::oauth::cookie;
use crate::state::ApiState;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LoginForm {
    /// A username or an e-mail address.
    username: String,
    password: Secret<String>,
    /// In place of a password that has to be changed.
    new_password: Option<Secret<String>>,
    scope: Option<Scope>,
    #[serde(default)]
    session: SessionKind,
}

#[derive(Deserialize, Default, Clone, Copy)]
#[serde(rename_all = "snake_case")]
enum SessionKind {
    /// The refresh token comes in the body.
    #[default]
    Body,
    /// The refresh token comes in an httpOnly cookie.
    Cookie,
}

pub(crate) async fn post(
    state: web::Data<ApiState>,
    slug: web::Path<String>,
    request: HttpRequest,
    from: From,
    form: Json<LoginForm>,
) -> Result<HttpResponse, Problem> {
    let started = std::time::Instant::now();
    let tenant = tenants::resolve(&state.ctx, &slug).await?;
    let form = form.0;
    let binding = match form.session {
        SessionKind::Body => Binding::Bearer,
        SessionKind::Cookie if cookie::is_cross_site(&request, &state.ctx.base_url) => return Err(Problem::cross_site()),
        SessionKind::Cookie => Binding::Cookie,
    };
    let password = Password::parse(form.password.expose())?;
    let new_password = form.new_password.map(|new| Password::parse(new.expose())).transpose()?;
    let command = LoginCommand { name: form.username, password, new_password, scope: form.scope, binding };
    let outcome = login(&state.ctx, &tenant, command, &from.0).await;
    let (label, answer) = match outcome {
        Ok(issued) => ("succeeded", Ok(super::tokens(&tenant, &issued, state.ctx.now()))),
        Err(LoginDenied::BadCredentials) => ("bad_credentials", Err(Problem::bad_credentials())),
        Err(LoginDenied::TooManyAttempts { retry_at }) => {
            ("too_many_attempts", Err(Problem::too_many_attempts(retry_at.seconds_after(state.ctx.now()))))
        }
        Err(LoginDenied::TenantSuspended) => ("tenant_suspended", Err(Problem::not_found())),
        Err(LoginDenied::PasswordChangeRequired) => ("password_change_required", Err(Problem::password_change_required())),
        Err(LoginDenied::NoNewPassword) => (
            "password_change_required",
            Err(Problem::bad_request("new_password is for a password that has to be changed; this one has not.")),
        ),
        Err(LoginDenied::NewPassword(denied)) => ("password_change_required", Err(denied.into())),
        Err(LoginDenied::Busy(busy)) => ("busy", Err(busy.into())),
        Err(LoginDenied::Fault(fault)) => ("fault", Err(fault.into())),
    };
    state.metrics.logins.with_label_values(&[label]).inc();
    state.metrics.login_seconds.observe(started.elapsed().as_secs_f64());
    answer
}
