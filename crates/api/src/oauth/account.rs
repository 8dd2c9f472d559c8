//! `{issuer}/account`: a user's own page, and the forms on it.
//!
//! What may be done is decided by `app::account`; each form ends with a redirect to a page (303), so that reloading does nothing
//! twice. Invariant: nothing changes by a GET, and no answer here has a CORS header or may be stored.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::{CACHE_CONTROL, CONTENT_DISPOSITION};
use app::account::{self, Account, AccountDenied, ChangePassword, Entered, PasswordChangeDenied};
use app::authorize::{self, SignInCommand, SignInDenied};
use app::login::{LoginDenied, NewPasswordDenied};
use domain::client::ClientId;
use domain::handle::{Handle, HandleKind};
use domain::password::{Password, PasswordDenied};
use domain::user_agent::Device;
use pages::{
    AccountPage, ConnectedApp, LoggedOutPage, LoginPage, LoginStep, Message, NewPasswordPage, PasswordReason, PasswordTrouble, ScopeLine,
    SessionRow, WaitingRequest,
};

use crate::error::problem::Problem;
use crate::extract::form::Form;
use crate::oauth::browser;
use crate::oauth::login_form::{self, Typed};
use crate::oauth::visit::{Posted, Visit};
use crate::state::ApiState;

/// What follows a form: the account again, with `done` said on it; or the login.
pub(super) async fn after(visit: &Visit, outcome: Result<(), AccountDenied>, done: &str) -> Result<HttpResponse, Problem> {
    match outcome {
        Ok(()) => Ok(visit.onward(&format!("/account{done}"))),
        Err(AccountDenied::SignedOut) => Ok(visit.onward("/account")),
        Err(AccountDenied::Request(denied)) => visit.denied(denied).await,
    }
}

/// `GET {issuer}/account`: the account, or the login to it.
pub(crate) async fn get(visit: Visit) -> Result<HttpResponse, Problem> {
    shown(&visit, None).await
}

/// The account, with the name that was typed where that cannot be one.
async fn shown(visit: &Visit, refused_name: Option<String>) -> Result<HttpResponse, Problem> {
    let account = match account::enter(&visit.state.ctx, &visit.tenant, &visit.browser).await {
        Ok(Entered::Account(account)) => *account,
        Ok(Entered::LogIn) => return login_page(visit, Vec::new(), None).await,
        Err(denied) => return visit.denied(denied).await,
    };
    let notice = done(visit.request.query_string());
    let page = account_page(visit, account, notice, refused_name);
    Ok(visit.page(StatusCode::OK, &page).await)
}

/// What is said on the account page after a form.
fn done(query: &str) -> Option<Message> {
    Some(match query.strip_prefix("done=")? {
        "password" => Message::PasswordChanged,
        "proof-sent" => Message::VerificationSent { email: String::new() },
        "change-sent" => Message::EmailChangeSent { email: String::new() },
        "email" => Message::EmailChanged,
        _ => return None,
    })
}

fn account_page(visit: &Visit, account: Account, notice: Option<Message>, refused_name: Option<String>) -> AccountPage {
    let Account { user, csrf_token, sessions, applications, waiting } = account;
    let name = user.claims.as_map().get("name").and_then(|name| name.as_str()).unwrap_or_default().to_owned();
    let sessions = sessions.into_iter().map(|session| SessionRow {
        id: session.id.to_string(),
        device: session.client.unwrap_or_else(|| Device::named(session.user_agent.as_deref().unwrap_or_default()).to_string()),
        place: session.source,
        signed_in_at: session.began_at,
        last_used_at: session.last_used_at,
        is_this_one: session.is_current,
    });
    let applications = applications.into_iter().map(|app| ConnectedApp {
        id: app.client_id.to_string(),
        name: app.name,
        allowed_at: app.allowed_at,
        scopes: app.scope.iter().chain(app.details.types()).map(|word| ScopeLine { scope: word.to_owned(), description: None }).collect(),
    });
    let waiting = waiting.into_iter().map(|request| WaitingRequest {
        id: request.id.to_string(),
        client: request.client,
        binding_message: request.binding_message,
        place: request.source,
        asked_at: request.asked_at,
        scopes: request.scope.iter().map(|scope| ScopeLine { scope: scope.to_owned(), description: None }).collect(),
    });
    let has_mail = visit.state.ctx.mail.is_on();
    AccountPage {
        csrf_token,
        notice,
        username: user.names.username().map(ToString::to_string),
        is_name_refused: refused_name.is_some(),
        display_name: refused_name.unwrap_or(name),
        email: user.names.email().map(ToString::to_string),
        is_email_verified: user.email_verified_at.is_some(),
        password_changed_at: Some(user.password_changed_at),
        sessions: sessions.collect(),
        applications: applications.collect(),
        waiting: waiting.collect(),
        profile_action: visit.at("/account/profile"),
        email_change: has_mail.then(|| visit.at("/account/email")),
        verify_action: (has_mail && user.email_verified_at.is_none() && user.names.email().is_some())
            .then(|| visit.at("/account/email/verify")),
        password_change: visit.at("/account/password"),
        end_session_action: visit.at("/account/sessions/end"),
        end_other_sessions_action: visit.at("/account/sessions/end-others"),
        revoke_action: visit.at("/account/applications/revoke"),
        decide_action: visit.at("/account/requests/decide"),
        export: visit.at("/account/export"),
        sign_out: visit.at("/account/sign-out"),
        account: user.display_name(),
        other_account: visit.at("/account/accounts"),
    }
}

/// `POST {issuer}/account/login`: `identifier` and `password`.
pub(crate) async fn login(posted: Posted) -> Result<HttpResponse, Problem> {
    let visit = &posted.visit;
    let started = std::time::Instant::now();
    let identifier = posted.field("identifier");
    // A link that somebody was to log in for.
    let link = posted.form.optional("link").filter(|link| Handle::parse(HandleKind::EmailChange, link).is_some());
    let hidden = || link.map(|link| ("link".to_owned(), link.to_owned())).into_iter().collect();
    let Ok(password) = Password::parse(posted.field("password")) else {
        return login_page(visit, hidden(), Some(Typed::wrong(identifier))).await;
    };
    let command = SignInCommand { name: identifier.to_owned(), password, csrf_token: posted.csrf_token().to_owned() };
    match account::sign_in(&visit.state.ctx, &visit.tenant, &visit.browser, command, None, &visit.from.0).await {
        Ok(kept) => {
            login_form::count(&visit.state, "succeeded", started);
            let mut answer = visit.onward(&link.map_or_else(|| "/account".to_owned(), |link| format!("/account/email/change/{link}")));
            browser::keep(&mut answer, &visit.tenant, &visit.state.ctx.base_url, &visit.browser, &kept);
            Ok(answer)
        }
        Err(SignInDenied::Request(denied)) => visit.denied(denied).await,
        Err(SignInDenied::Login(LoginDenied::PasswordChangeRequired)) => {
            login_form::count(&visit.state, "password_change_required", started);
            required(visit, identifier, hidden(), StatusCode::OK, None).await
        }
        Err(SignInDenied::Login(denied)) => {
            let typed = Typed::denied(&visit.state, identifier, denied, started)?;
            login_page(visit, hidden(), Some(typed)).await
        }
    }
}

/// The page for a new password in place of one that has to go. It asks for the current one once more: nothing remembers that it was typed.
async fn required(
    visit: &Visit,
    identifier: &str,
    hidden: Vec<(String, String)>,
    status: StatusCode,
    trouble: Option<PasswordTrouble>,
) -> Result<HttpResponse, Problem> {
    let (named, csrf_token) = authorize::anonymous(&visit.state.ctx, &visit.tenant, &visit.browser).await?;
    let page = NewPasswordPage {
        form: pages::Form { action: visit.at("/account/new-password"), csrf_token, hidden },
        reason: PasswordReason::RequiredAgain,
        identifier: identifier.to_owned(),
        min_length: u32::from(visit.tenant.policy.password.min_length),
        trouble,
        other_account: None,
        back: Some(visit.at("/account")),
    };
    let mut answer = visit.page(status, &page).await;
    let _ = answer.add_cookie(&browser::named(&visit.tenant, &visit.state.ctx.base_url, &named));
    Ok(answer)
}

/// `POST {issuer}/account/new-password`: `identifier`, `current_password`, `new_password` and `repeat_password`.
pub(crate) async fn renew(posted: Posted) -> Result<HttpResponse, Problem> {
    let visit = &posted.visit;
    let started = std::time::Instant::now();
    let identifier = posted.field("identifier");
    let link = posted.form.optional("link").filter(|link| Handle::parse(HandleKind::EmailChange, link).is_some());
    let hidden = || link.map(|link| ("link".to_owned(), link.to_owned())).into_iter().collect();
    let new = match typed_twice(&posted.form) {
        Ok(new) => new,
        Err(trouble) => return required(visit, identifier, hidden(), StatusCode::OK, Some(trouble)).await,
    };
    let Ok(password) = Password::parse(posted.field("current_password")) else {
        return required(visit, identifier, hidden(), StatusCode::OK, Some(PasswordTrouble::WrongCurrent)).await;
    };
    let command = SignInCommand { name: identifier.to_owned(), password, csrf_token: posted.csrf_token().to_owned() };
    match account::sign_in(&visit.state.ctx, &visit.tenant, &visit.browser, command, Some(new), &visit.from.0).await {
        Ok(kept) => {
            login_form::count(&visit.state, "succeeded", started);
            let mut answer = visit.onward(&link.map_or_else(|| "/account".to_owned(), |link| format!("/account/email/change/{link}")));
            browser::keep(&mut answer, &visit.tenant, &visit.state.ctx.base_url, &visit.browser, &kept);
            Ok(answer)
        }
        Err(SignInDenied::Request(denied)) => visit.denied(denied).await,
        Err(SignInDenied::Login(denied)) => {
            let (status, trouble) = not_proved(&visit.state, denied)?;
            required(visit, identifier, hidden(), status, Some(trouble)).await
        }
    }
}

/// The login to the account; `hidden` is what its form brings along besides.
pub(super) async fn login_page(visit: &Visit, hidden: Vec<(String, String)>, typed: Option<Typed>) -> Result<HttpResponse, Problem> {
    let (named, csrf_token) = authorize::anonymous(&visit.state.ctx, &visit.tenant, &visit.browser).await?;
    let page = LoginPage {
        form: pages::Form { action: visit.at("/account/login"), csrf_token, hidden },
        step: LoginStep::Both,
        identifier: typed.as_ref().map(|typed| typed.identifier.clone()).unwrap_or_default(),
        client: None,
        notice: None,
        trouble: typed.as_ref().map(|typed| typed.trouble),
        remember: None,
        forgot: visit.state.ctx.mail.is_on().then(|| visit.at("/password/forgot")),
        other_account: None,
        may_cancel: false,
    };
    let mut answer = login_form::shown(&visit.state, &visit.request, &visit.tenant, &[], &page, typed).await;
    let _ = answer.add_cookie(&browser::named(&visit.tenant, &visit.state.ctx.base_url, &named));
    Ok(answer)
}

/// `POST {issuer}/account/profile`: `display_name`.
pub(crate) async fn profile(posted: Posted) -> Result<HttpResponse, Problem> {
    let visit = &posted.visit;
    let name = posted.field("display_name");
    match account::rename(&visit.state.ctx, &visit.tenant, &visit.browser, name, posted.csrf_token(), &visit.from.0).await {
        Ok(Err(_)) => shown(visit, Some(name.to_owned())).await,
        outcome => after(visit, outcome.map(|_| ()), "").await,
    }
}

/// `GET {issuer}/account/password`: the form for a new one.
pub(crate) async fn password_page(visit: Visit) -> Result<HttpResponse, Problem> {
    new_password(&visit, StatusCode::OK, None).await
}

async fn new_password(visit: &Visit, status: StatusCode, trouble: Option<PasswordTrouble>) -> Result<HttpResponse, Problem> {
    match account::enter(&visit.state.ctx, &visit.tenant, &visit.browser).await {
        Ok(Entered::Account(account)) => {
            let page = NewPasswordPage {
                form: pages::Form { action: visit.at("/account/password"), csrf_token: account.csrf_token, hidden: Vec::new() },
                reason: PasswordReason::Change,
                identifier: account.user.login_name(),
                min_length: u32::from(visit.tenant.policy.password.min_length),
                trouble,
                other_account: None,
                back: Some(visit.at("/account")),
            };
            Ok(visit.page(status, &page).await)
        }
        Ok(Entered::LogIn) => Ok(visit.onward("/account")),
        Err(denied) => visit.denied(denied).await,
    }
}

/// `POST {issuer}/account/password`: `current_password`, `new_password` and `repeat_password`.
pub(crate) async fn password(posted: Posted) -> Result<HttpResponse, Problem> {
    let visit = &posted.visit;
    let new = match typed_twice(&posted.form) {
        Ok(new) => new,
        Err(trouble) => return new_password(visit, StatusCode::OK, Some(trouble)).await,
    };
    let Ok(current) = Password::parse(posted.field("current_password")) else {
        return new_password(visit, StatusCode::OK, Some(PasswordTrouble::WrongCurrent)).await;
    };
    let command = ChangePassword { current, new, csrf_token: posted.csrf_token().to_owned() };
    let (status, trouble) = match account::change_password(&visit.state.ctx, &visit.tenant, &visit.browser, command, &visit.from.0).await {
        Ok(session) => {
            let mut answer = visit.onward("/account?done=password");
            let _ = answer.add_cookie(&browser::session(&visit.tenant, &visit.state.ctx.base_url, &session));
            return Ok(answer);
        }
        Err(PasswordChangeDenied::Account(denied)) => return after(visit, Err(denied), "").await,
        Err(PasswordChangeDenied::Busy(busy)) => return Err(busy.into()),
        Err(PasswordChangeDenied::Current(denied)) => not_proved(&visit.state, denied)?,
        Err(PasswordChangeDenied::Same) => (StatusCode::OK, PasswordTrouble::TooSimilar),
        Err(PasswordChangeDenied::New(denied)) => (StatusCode::OK, unfit(&denied)),
    };
    new_password(visit, status, Some(trouble)).await
}

/// The new password, typed twice alike; else what is wrong with it.
pub(super) fn typed_twice(form: &Form) -> Result<Password, PasswordTrouble> {
    let (new, repeat) = (form.optional("new_password"), form.optional("repeat_password"));
    let password = new.map(Password::parse).ok_or(PasswordTrouble::TooShort)?.map_err(|_| PasswordTrouble::TooLong)?;
    if new == repeat { Ok(password) } else { Err(PasswordTrouble::NotTheSame) }
}

/// Why a new password was not taken.
pub(super) const fn unfit(denied: &PasswordDenied) -> PasswordTrouble {
    match denied {
        PasswordDenied::TooShort { .. } => PasswordTrouble::TooShort,
        PasswordDenied::Guessable { .. } => PasswordTrouble::TooCommon,
    }
}

/// Why the current password was not taken.
pub(super) fn not_proved(state: &ApiState, denied: LoginDenied) -> Result<(StatusCode, PasswordTrouble), Problem> {
    match denied {
        LoginDenied::BadCredentials => Ok((StatusCode::OK, PasswordTrouble::WrongCurrent)),
        LoginDenied::TooManyAttempts { retry_at } => {
            let minutes = retry_at.seconds_after(state.ctx.now()).div_ceil(60);
            Ok((StatusCode::TOO_MANY_REQUESTS, PasswordTrouble::TryAgainIn { minutes }))
        }
        LoginDenied::PasswordChangeRequired | LoginDenied::NoNewPassword => Ok((StatusCode::OK, PasswordTrouble::WrongCurrent)),
        LoginDenied::NewPassword(NewPasswordDenied::Same) => Ok((StatusCode::OK, PasswordTrouble::TooSimilar)),
        LoginDenied::NewPassword(NewPasswordDenied::Unfit(denied)) => Ok((StatusCode::OK, unfit(&denied))),
        LoginDenied::TenantSuspended => Err(Problem::not_found()),
        LoginDenied::Busy(busy) => Err(busy.into()),
        LoginDenied::Fault(fault) => Err(fault.into()),
    }
}

/// `POST {issuer}/account/sessions/end`: `session`.
pub(crate) async fn end_session(posted: Posted) -> Result<HttpResponse, Problem> {
    let visit = &posted.visit;
    let Ok(name) = posted.field("session").parse() else { return Ok(visit.onward("/account")) };
    let outcome = account::end_session(&visit.state.ctx, &visit.tenant, &visit.browser, name, posted.csrf_token(), &visit.from.0).await;
    after(visit, outcome, "").await
}

/// `POST {issuer}/account/sessions/end-others`.
pub(crate) async fn end_other_sessions(posted: Posted) -> Result<HttpResponse, Problem> {
    let visit = &posted.visit;
    let outcome = account::end_other_sessions(&visit.state.ctx, &visit.tenant, &visit.browser, posted.csrf_token(), &visit.from.0).await;
    after(visit, outcome, "").await
}

/// `POST {issuer}/account/applications/revoke`: `application`, a client's id.
pub(crate) async fn revoke(posted: Posted) -> Result<HttpResponse, Problem> {
    let visit = &posted.visit;
    let Ok(client) = ClientId::try_from(posted.field("application").to_owned()) else { return Ok(visit.onward("/account")) };
    let outcome = account::revoke(&visit.state.ctx, &visit.tenant, &visit.browser, &client, posted.csrf_token(), &visit.from.0).await;
    after(visit, outcome, "").await
}

/// `GET {issuer}/account/export`: all that is stored about the user, as a file; or the login.
pub(crate) async fn export(visit: Visit) -> Result<HttpResponse, Problem> {
    match account::export(&visit.state.ctx, &visit.tenant, &visit.browser, &visit.from.0).await {
        Ok(data) => Ok(HttpResponse::Ok()
            .insert_header((CACHE_CONTROL, "no-store"))
            .insert_header((CONTENT_DISPOSITION, "attachment; filename=\"account.json\""))
            .json(data)),
        Err(AccountDenied::SignedOut) => login_page(&visit, Vec::new(), None).await,
        Err(AccountDenied::Request(denied)) => visit.denied(denied).await,
    }
}

/// `POST {issuer}/account/sign-out`. A page tells clients by frames, where there are such; it is no harm to load it again.
pub(crate) async fn sign_out(posted: Posted) -> Result<HttpResponse, Problem> {
    let visit = &posted.visit;
    let switched = match account::leave(&visit.state.ctx, &visit.tenant, &visit.browser, posted.csrf_token(), &visit.from.0).await {
        Ok(switched) => switched,
        Err(denied) => return visit.denied(denied).await,
    };
    let mut answer = if switched.frames.is_empty() {
        // Whose turn it is now; or that nobody is logged in.
        visit.onward(if switched.kept.0.is_empty() { "/oauth/end_session" } else { "/account/accounts" })
    } else {
        let frames = switched.frames.iter().filter_map(|uri| uri.parse().ok()).collect();
        let page = LoggedOutPage { frames, next: None, client: None, login: Some(visit.at("/account")) };
        visit.page(StatusCode::OK, &page).await
    };
    browser::keep(&mut answer, &visit.tenant, &visit.state.ctx.base_url, &visit.browser, &switched.kept);
    Ok(answer)
}
