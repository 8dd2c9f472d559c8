//! `{issuer}/password`: a forgotten password is replaced by way of a mail.
//!
//! What may be done is decided by `app::recovery`. Invariant: whoever asks is answered the same whether there is such an account; and
//! where no mails are sent, there is nothing here.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web;
use app::authorize;
use app::recovery::{self, AskDenied, ResetDenied};
use pages::{ForgotPasswordPage, Message, MessagePage, NewPasswordPage, PasswordReason, PasswordTrouble};

use crate::error::page::PageRefused;
use crate::error::problem::Problem;
use crate::oauth::account::{typed_twice, unfit};
use crate::oauth::browser;
use crate::oauth::visit::{Posted, Visit};

/// `GET {issuer}/password/forgot`: the form that asks for a link.
pub(crate) async fn forgot_page(visit: Visit) -> Result<HttpResponse, Problem> {
    visit.needs_mail()?;
    asking(&visit, false).await
}

async fn asking(visit: &Visit, is_empty: bool) -> Result<HttpResponse, Problem> {
    let (named, csrf_token) = authorize::anonymous(&visit.state.ctx, &visit.tenant, &visit.browser).await?;
    let page = ForgotPasswordPage {
        form: pages::Form { action: visit.at("/password/forgot"), csrf_token, hidden: Vec::new() },
        identifier: String::new(),
        is_empty,
        back: Some(visit.at("/account")),
    };
    let mut answer = visit.page(StatusCode::OK, &page).await;
    let _ = answer.add_cookie(&browser::named(&visit.tenant, &visit.state.ctx.base_url, &named));
    Ok(answer)
}

/// `POST {issuer}/password/forgot`: `identifier`.
pub(crate) async fn forgot(posted: Posted) -> Result<HttpResponse, Problem> {
    let visit = &posted.visit;
    visit.needs_mail()?;
    let identifier = posted.field("identifier").trim();
    if identifier.is_empty() {
        return asking(visit, true).await;
    }
    let ctx = &visit.state.ctx;
    let language = visit.language().await?;
    match recovery::ask(ctx, &visit.tenant, &visit.browser, identifier, language, posted.csrf_token(), &visit.from.0).await {
        Ok(()) => Ok(visit.onward("/password/sent")),
        Err(AskDenied::TooManyAttempts { retry_at }) => {
            Ok(visit.refused(PageRefused::too_many_attempts(retry_at.seconds_after(ctx.now()))).await)
        }
        Err(AskDenied::Request(denied)) => visit.denied(denied).await,
    }
}

/// `GET {issuer}/password/sent`: that a mail is on its way, if it is.
pub(crate) async fn sent(visit: Visit) -> Result<HttpResponse, Problem> {
    visit.needs_mail()?;
    Ok(visit.page(StatusCode::OK, &MessagePage { message: Message::ResetSent, next: None }).await)
}

/// `GET {issuer}/password/reset/{link}`: the form for a new password. Nothing is used up by looking, for some mail programs look.
pub(crate) async fn reset_page(visit: Visit, path: web::Path<(String, String)>) -> Result<HttpResponse, Problem> {
    visit.needs_mail()?;
    choosing(&visit, &path.1, None).await
}

async fn choosing(visit: &Visit, link: &str, trouble: Option<PasswordTrouble>) -> Result<HttpResponse, Problem> {
    let Some(user) = recovery::open(&visit.state.ctx, &visit.tenant, link).await? else {
        return Ok(visit.refused(PageRefused::link_expired()).await);
    };
    let page = NewPasswordPage {
        // Whoever has the link may use it: no other token is needed.
        form: pages::Form { action: visit.at(&format!("/password/reset/{link}")), ..pages::Form::default() },
        reason: PasswordReason::Reset,
        identifier: user.login_name(),
        min_length: u32::from(visit.tenant.policy.password.min_length),
        trouble,
        other_account: None,
        back: None,
    };
    Ok(visit.page(StatusCode::OK, &page).await)
}

/// `POST {issuer}/password/reset/{link}`: `new_password` and `repeat_password`.
pub(crate) async fn reset(posted: Posted, path: web::Path<(String, String)>) -> Result<HttpResponse, Problem> {
    let (visit, link) = (&posted.visit, &path.1);
    visit.needs_mail()?;
    let new = match typed_twice(&posted.form) {
        Ok(new) => new,
        Err(trouble) => return choosing(visit, link, Some(trouble)).await,
    };
    match recovery::finish(&visit.state.ctx, &visit.tenant, link, new, &visit.from.0).await {
        Ok(()) => Ok(visit.onward("/password/changed")),
        Err(ResetDenied::NoSuchLink) => Ok(visit.refused(PageRefused::link_expired()).await),
        Err(ResetDenied::New(denied)) => choosing(visit, link, Some(unfit(&denied))).await,
        Err(ResetDenied::Busy(busy)) => Err(busy.into()),
        Err(ResetDenied::Fault(fault)) => Err(fault.into()),
    }
}

/// `GET {issuer}/password/changed`: that it is done.
pub(crate) async fn changed(visit: Visit) -> Result<HttpResponse, Problem> {
    visit.needs_mail()?;
    let page = MessagePage { message: Message::PasswordChanged, next: Some(visit.at("/account")) };
    Ok(visit.page(StatusCode::OK, &page).await)
}
