//! `{issuer}/account/email`: the address of one's account, and what links in mails open there.
//!
//! What may be done is decided by `app::account::email`. Invariant: opening a link changes nothing, for some mail programs open links by
//! themselves; the button on its page does.

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use app::account::email::{self, ChangeEmail, EmailChangeDenied};
use app::account::{self, AccountDenied, Entered};
use domain::password::Password;
use domain::text::Email;
use pages::{ConfirmEmailPage, EmailChangePage, EmailTrouble, Message, MessagePage, PasswordTrouble};

use crate::error::page::PageRefused;
use crate::error::problem::Problem;
use crate::oauth::account::{after, login_page, not_proved};
use crate::oauth::visit::{Posted, Visit};

/// `GET {issuer}/account/email`: the form for another address.
pub(crate) async fn page(visit: Visit) -> Result<HttpResponse, Problem> {
    visit.needs_mail()?;
    asking(&visit, StatusCode::OK, "", None).await
}

async fn asking(visit: &Visit, status: StatusCode, typed: &str, trouble: Option<EmailTrouble>) -> Result<HttpResponse, Problem> {
    match account::enter(&visit.state.ctx, &visit.tenant, &visit.browser).await {
        Ok(Entered::Account(account)) => {
            let page = EmailChangePage {
                form: pages::Form { action: visit.at("/account/email"), csrf_token: account.csrf_token, hidden: Vec::new() },
                current: account.user.names.email().map(ToString::to_string),
                email: typed.to_owned(),
                trouble,
                back: Some(visit.at("/account")),
            };
            Ok(visit.page(status, &page).await)
        }
        Ok(Entered::LogIn) => Ok(visit.onward("/account")),
        Err(denied) => visit.denied(denied).await,
    }
}

/// `POST {issuer}/account/email`: `email` and `current_password`.
pub(crate) async fn ask(posted: Posted) -> Result<HttpResponse, Problem> {
    let visit = &posted.visit;
    visit.needs_mail()?;
    let typed = posted.field("email").trim();
    let Ok(address) = typed.parse::<Email>() else {
        return asking(visit, StatusCode::OK, typed, Some(EmailTrouble::BadAddress)).await;
    };
    let Ok(current) = Password::parse(posted.field("current_password")) else {
        return asking(visit, StatusCode::OK, typed, Some(EmailTrouble::WrongPassword)).await;
    };
    let (language, csrf_token) = (visit.language().await?, posted.csrf_token().to_owned());
    let command = ChangeEmail { address, current, language, csrf_token };
    let (status, trouble) = match email::ask_change(&visit.state.ctx, &visit.tenant, &visit.browser, command, &visit.from.0).await {
        Ok(()) => return Ok(visit.onward("/account?done=change-sent")),
        Err(EmailChangeDenied::Account(denied)) => return after(visit, Err(denied), "").await,
        Err(EmailChangeDenied::Same) => (StatusCode::OK, EmailTrouble::BadAddress),
        Err(EmailChangeDenied::Current(denied)) => match not_proved(&visit.state, denied)? {
            (status, PasswordTrouble::TryAgainIn { minutes }) => (status, EmailTrouble::TryAgainIn { minutes }),
            (status, _) => (status, EmailTrouble::WrongPassword),
        },
    };
    asking(visit, status, typed, Some(trouble)).await
}

/// `POST {issuer}/account/email/verify`: has a link sent to the address that there is.
pub(crate) async fn ask_proof(posted: Posted) -> Result<HttpResponse, Problem> {
    let visit = &posted.visit;
    visit.needs_mail()?;
    let language = visit.language().await?;
    let outcome = email::ask_proof(&visit.state.ctx, &visit.tenant, &visit.browser, language, posted.csrf_token()).await;
    after(visit, outcome, "?done=proof-sent").await
}

/// `GET {issuer}/account/email/verify/{link}`: the question whether the address is the reader's.
pub(crate) async fn proof_page(visit: Visit, path: web::Path<(String, String)>) -> Result<HttpResponse, Problem> {
    visit.needs_mail()?;
    let Some(address) = email::open_proof(&visit.state.ctx, &visit.tenant, &path.1).await? else {
        return Ok(visit.refused(PageRefused::link_expired()).await);
    };
    // Whoever has the link may use it: no other token is needed.
    let form = pages::Form { action: visit.at(&format!("/account/email/verify/{}", path.1)), ..pages::Form::default() };
    Ok(visit.page(StatusCode::OK, &ConfirmEmailPage { form, email: address.to_string() }).await)
}

/// `POST {issuer}/account/email/verify/{link}`.
pub(crate) async fn prove(posted: Posted, path: web::Path<(String, String)>) -> Result<HttpResponse, Problem> {
    let visit = &posted.visit;
    visit.needs_mail()?;
    if email::prove_address(&visit.state.ctx, &visit.tenant, &path.1, &visit.from.0).await? {
        Ok(visit.onward("/account/email/verified"))
    } else {
        Ok(visit.refused(PageRefused::link_expired()).await)
    }
}

/// `GET {issuer}/account/email/verified`: that it is done.
pub(crate) async fn proved(visit: Visit) -> Result<HttpResponse, Problem> {
    visit.needs_mail()?;
    let page = MessagePage { message: Message::EmailVerified, next: Some(visit.at("/account")) };
    Ok(visit.page(StatusCode::OK, &page).await)
}

/// `GET {issuer}/account/email/change/{link}`: the question whether the address shall replace the other one; or the login, which leads
/// back here.
pub(crate) async fn change_page(visit: Visit, path: web::Path<(String, String)>) -> Result<HttpResponse, Problem> {
    visit.needs_mail()?;
    let link = &path.1;
    match email::open_change(&visit.state.ctx, &visit.tenant, &visit.browser, link).await {
        Ok(Some(changing)) => {
            let action = visit.at(&format!("/account/email/change/{link}"));
            let form = pages::Form { action, csrf_token: changing.csrf_token, hidden: Vec::new() };
            Ok(visit.page(StatusCode::OK, &ConfirmEmailPage { form, email: changing.address.to_string() }).await)
        }
        Ok(None) => Ok(visit.refused(PageRefused::link_expired()).await),
        Err(AccountDenied::SignedOut) => login_page(&visit, vec![("link".to_owned(), link.clone())], None).await,
        Err(AccountDenied::Request(denied)) => visit.denied(denied).await,
    }
}

/// `POST {issuer}/account/email/change/{link}`.
pub(crate) async fn change(posted: Posted, path: web::Path<(String, String)>) -> Result<HttpResponse, Problem> {
    let visit = &posted.visit;
    visit.needs_mail()?;
    let token = posted.csrf_token();
    match email::change(&visit.state.ctx, &visit.tenant, &visit.browser, &path.1, token, &visit.from.0).await {
        Ok(true) => Ok(visit.onward("/account?done=email")),
        Ok(false) => Ok(visit.refused(PageRefused::link_expired()).await),
        Err(denied) => after(visit, Err(denied), "").await,
    }
}
