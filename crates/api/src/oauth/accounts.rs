//! The page where one of several accounts is chosen: `{issuer}/interaction/{request}/accounts` for a pending request, and
//! `{issuer}/account/accounts` for a user's own page.
//!
//! What may be chosen is decided by `app::authorize::accounts`. Invariant: nothing changes by a GET, and only sessions that the browser
//! has are shown.

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use app::authorize::AuthorizeDenied;
use app::authorize::accounts::{self, Chosen, Switched};
use domain::client::Client;
use domain::handle::{Handle, HandleKind};
use domain::sso::SsoSession;
use domain::user::User;
use pages::{AccountChoice, ChooseAccountPage, LoggedOutPage};

use crate::error::problem::Problem;
use crate::oauth::account::login_page;
use crate::oauth::visit::{Posted, Visit};
use crate::oauth::{browser, pages as answers};

/// The page with these accounts.
pub(super) fn chooser(form: pages::Form, client: Option<&Client>, accounts: &[(User, SsoSession)]) -> ChooseAccountPage {
    let accounts = accounts.iter().map(|(user, session)| {
        let called = user.claims.as_map().get("name").and_then(|name| name.as_str()).filter(|name| !name.is_empty());
        let name = called.map_or_else(|| user.display_name(), str::to_owned);
        let below = user.names.email().map(ToString::to_string).or_else(|| user.names.username().map(ToString::to_string));
        AccountChoice { id: session.id.to_string(), email: below.filter(|below| *below != name), name, is_signed_in: true }
    });
    ChooseAccountPage { form, client: client.map(answers::client_view), accounts: accounts.collect() }
}

/// `account`, or `sign_out`; what is no session is the wish for another account.
fn chosen(posted: &Posted) -> Chosen {
    match (posted.form.optional("sign_out").map(str::parse), posted.field("account").parse()) {
        (Some(Ok(id)), _) => Chosen::SignOut(id),
        (None, Ok(id)) => Chosen::Account(id),
        _ => Chosen::Another,
    }
}

/// `GET {issuer}/interaction/{request}/accounts`: the choice, whatever was chosen before.
pub(crate) async fn of_request(visit: Visit, path: web::Path<(String, String)>) -> Result<HttpResponse, Problem> {
    let Some(handle) = Handle::parse(HandleKind::PendingRequest, &path.1) else {
        return visit.denied(AuthorizeDenied::NoSuchRequest).await;
    };
    match accounts::of_request(&visit.state.ctx, &visit.tenant, &handle, &visit.browser).await {
        Ok((accounts, _)) if accounts.is_empty() => Ok(visit.onward(&format!("/interaction/{}", path.1))),
        Ok((accounts, shown)) => {
            let action = visit.at(&format!("/interaction/{}/accounts", path.1));
            let form = pages::Form { action, csrf_token: shown.csrf_token, hidden: Vec::new() };
            let page = chooser(form, Some(&shown.client), &accounts);
            Ok(answers::shown(&visit.state, &visit.request, &visit.tenant, StatusCode::OK, &shown.request.ui_locales, &page).await)
        }
        Err(denied) => visit.denied(denied).await,
    }
}

/// `POST {issuer}/interaction/{request}/accounts`: `account` or `sign_out`.
pub(crate) async fn choose(posted: Posted, path: web::Path<(String, String)>) -> Result<HttpResponse, Problem> {
    let visit = &posted.visit;
    let Some(handle) = Handle::parse(HandleKind::PendingRequest, &path.1) else {
        return visit.denied(AuthorizeDenied::NoSuchRequest).await;
    };
    let (ctx, chosen) = (&visit.state.ctx, chosen(&posted));
    match accounts::choose(ctx, &visit.tenant, &handle, &visit.browser, chosen, posted.csrf_token(), &visit.from.0).await {
        Ok(switched) => Ok(after(visit, switched, &format!("/interaction/{}", path.1)).await),
        Err(denied) => visit.denied(denied).await,
    }
}

/// `GET {issuer}/account/accounts`: the choice whose account page is shown; or the login to one.
pub(crate) async fn of_browser(visit: Visit) -> Result<HttpResponse, Problem> {
    match accounts::of_browser(&visit.state.ctx, &visit.tenant, &visit.browser).await {
        Ok((accounts, ..)) if accounts.is_empty() => Ok(visit.onward("/account")),
        Ok((accounts, named, csrf_token)) => {
            let form = pages::Form { action: visit.at("/account/accounts"), csrf_token, hidden: Vec::new() };
            let mut answer = visit.page(StatusCode::OK, &chooser(form, None, &accounts)).await;
            let _ = answer.add_cookie(&browser::named(&visit.tenant, &visit.state.ctx.base_url, &named));
            Ok(answer)
        }
        Err(denied) => visit.denied(denied).await,
    }
}

/// `POST {issuer}/account/accounts`: `account` or `sign_out`.
pub(crate) async fn choose_for_browser(posted: Posted) -> Result<HttpResponse, Problem> {
    let (visit, chosen) = (&posted.visit, chosen(&posted));
    let ctx = &visit.state.ctx;
    match accounts::choose_for_browser(ctx, &visit.tenant, &visit.browser, chosen, posted.csrf_token(), &visit.from.0).await {
        Ok(_) if chosen == Chosen::Another => login_page(visit, Vec::new(), None).await,
        Ok(switched) => {
            let next = if matches!(chosen, Chosen::SignOut(_)) { "/account/accounts" } else { "/account" };
            Ok(after(visit, switched, next).await)
        }
        Err(denied) => visit.denied(denied).await,
    }
}

/// On to `next`, an address of the issuer's, once the clients have heard of a logout that want to hear of it by the browser.
async fn after(visit: &Visit, switched: Switched, next: &str) -> HttpResponse {
    let mut answer = if switched.frames.is_empty() {
        visit.onward(next)
    } else {
        let frames = switched.frames.iter().filter_map(|uri| uri.parse().ok()).collect();
        visit.page(StatusCode::OK, &LoggedOutPage { frames, next: None, client: None, login: Some(visit.at(next)) }).await
    };
    browser::keep(&mut answer, &visit.tenant, &visit.state.ctx.base_url, &visit.browser, &switched.kept);
    answer
}
