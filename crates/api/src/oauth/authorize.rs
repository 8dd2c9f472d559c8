//! `GET` and `POST {issuer}/oauth/authorize` (RFC 6749, 3.1; OpenID Connect Core, 3.1.2), and the pages between a request and its
//! answer, under `{issuer}/interaction/{request}`.
//!
//! What comes next is decided by `app::authorize`; each step ends with a redirect to the page of the request, which shows the next
//! one or answers the client. Invariant: no answer here has a CORS header.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, ResponseError, web};
use app::authorize::{self, AuthorizeDenied, Begun, DecideCommand, Decided, Decision, Look, Shown, SignInCommand, SignInDenied};
use app::login::LoginDenied;
use app::tenants;
use domain::authorize::rules::Parameters;
use domain::authorize::{Prompt, Refusal};
use domain::details::{self, DetailType};
use domain::handle::{Handle, HandleKind};
use domain::ids::SsoSessionId;
use domain::interaction::LoginStep;
use domain::language::Language;
use domain::password::Password;
use domain::resource::Resource;
use domain::tenant::Tenant;
use pages::{
    ConsentPage, DetailLine, DeviceConfirmPage, LoginNotice, LoginPage, Message, MessagePage, NewPasswordPage, PasswordReason,
    PasswordTrouble, ScopeLine,
};

use crate::error::oauth::OAuthError;
use crate::error::page::{PageRefused, Unpaged};
use crate::error::problem::Problem;
use crate::extract::form::Form;
use crate::extract::origin::From;
use crate::oauth::account::{not_proved, typed_twice};
use crate::oauth::accounts::chooser;
use crate::oauth::login_form::{self, Typed};
use crate::oauth::visit::{Posted, Visit};
use crate::oauth::{browser, pages as answers};
use crate::state::ApiState;

pub(crate) async fn get(
    state: web::Data<ApiState>,
    slug: web::Path<String>,
    request: HttpRequest,
    from: From,
) -> Result<HttpResponse, OAuthError> {
    let pairs = url::form_urlencoded::parse(request.query_string().as_bytes());
    let parameters = Parameters::new(pairs.map(|(name, value)| (name.into_owned(), value.into_owned())));
    begun(&state, &slug, &request, parameters, &from).await
}

pub(crate) async fn post(
    state: web::Data<ApiState>,
    slug: web::Path<String>,
    request: HttpRequest,
    from: From,
    form: Result<Form, OAuthError>,
) -> Result<HttpResponse, OAuthError> {
    let parameters = match form {
        Ok(form) => Parameters::new(form.pairs()),
        Err(error) if error.status_code() == StatusCode::PAYLOAD_TOO_LARGE => return Err(error),
        Err(_) => {
            let tenant = tenants::resolve(&state.ctx, &slug).await?;
            let page = PageRefused::malformed("the request is no form, or a parameter was sent twice");
            return Ok(answers::refused(&state, &request, &tenant, page).await);
        }
    };
    begun(&state, &slug, &request, parameters, &from).await
}

async fn begun(
    state: &ApiState,
    slug: &str,
    request: &HttpRequest,
    parameters: Result<Parameters, Refusal>,
    from: &From,
) -> Result<HttpResponse, OAuthError> {
    let tenant = tenants::resolve(&state.ctx, slug).await?;
    let base_url = &state.ctx.base_url;
    let brought = browser::of(request, &tenant, base_url);
    let begun = match parameters {
        Ok(parameters) => authorize::begin(&state.ctx, &tenant, &parameters, &brought, &from.0).await,
        Err(refusal) => Err(AuthorizeDenied::Refused(refusal)),
    };
    match begun {
        Ok(Begun::Answered(response)) => Ok(answers::answered(state, request, &tenant, response).await),
        Ok(Begun::Waiting { request, browser }) => {
            let mut answer = answers::onward(page_of(&tenant, &request));
            // A cookie too many is cut off by the browser; one that cannot be written is no cookie of ours.
            let _ = answer.add_cookie(&browser::named(&tenant, base_url, &browser));
            Ok(answer)
        }
        Err(denied) => match PageRefused::of(denied) {
            Ok(page) => Ok(answers::refused(state, request, &tenant, page).await),
            Err(Unpaged::NoTenant) => Err(OAuthError::not_found()),
            Err(Unpaged::Fault(fault)) => Err(fault.into()),
        },
    }
}

/// Where the page of a pending request is.
pub(super) fn page_of(tenant: &Tenant, request: &Handle) -> String {
    format!("{}/interaction/{}", answers::issuer_path(tenant), request.text().expose())
}

/// `GET {issuer}/interaction/{request}`: what the user has to do next.
pub(crate) async fn look(
    state: web::Data<ApiState>,
    path: web::Path<(String, String)>,
    request: HttpRequest,
    from: From,
) -> Result<HttpResponse, Problem> {
    let (slug, handle) = path.into_inner();
    let tenant = tenants::resolve(&state.ctx, &slug).await?;
    shown(&state, &tenant, (&request, &from), &handle, None, None).await
}

async fn shown(
    state: &ApiState,
    tenant: &Tenant,
    (request, from): (&HttpRequest, &From),
    handle: &str,
    typed: Option<Typed>,
    unfit: Option<(StatusCode, PasswordTrouble)>,
) -> Result<HttpResponse, Problem> {
    let Some(handle) = Handle::parse(HandleKind::PendingRequest, handle) else {
        return refused(state, request, tenant, AuthorizeDenied::NoSuchRequest).await;
    };
    let brought = browser::of(request, tenant, &state.ctx.base_url);
    let look = match authorize::look(&state.ctx, tenant, &handle, &brought, &from.0).await {
        Ok(look) => look,
        Err(denied) => return refused(state, request, tenant, denied).await,
    };
    let form =
        |step: &str, csrf_token| pages::Form { action: format!("{}/{step}", page_of(tenant, &handle)), csrf_token, hidden: Vec::new() };
    Ok(match look {
        Look::Answered(response) => answers::answered(state, request, tenant, response).await,
        Look::ChooseAccount { accounts, shown } => {
            let page = chooser(form("accounts", shown.csrf_token), Some(&shown.client), &accounts);
            answers::shown(state, request, tenant, StatusCode::OK, &shown.request.ui_locales, &page).await
        }
        Look::LogIn { step: LoginStep::Password, who, has_choice, shown } => {
            let is_again = shown.request.prompt.contains(&Prompt::Login) || shown.request.max_age.is_some();
            let page = LoginPage {
                form: form("login", shown.csrf_token),
                step: pages::LoginStep::Both,
                identifier: typed
                    .as_ref()
                    .map(|typed| typed.identifier.clone())
                    .or(who.map(|user| user.login_name()))
                    .or(shown.request.login_hint)
                    .unwrap_or_default(),
                client: Some(answers::client_view(&shown.client)),
                notice: (is_again && brought.session.is_some()).then_some(LoginNotice::ConfirmItsYou),
                trouble: typed.as_ref().map(|typed| typed.trouble),
                remember: None,
                forgot: state.ctx.mail.is_on().then(|| format!("{}/password/forgot", answers::issuer_path(tenant))),
                other_account: has_choice.then(|| format!("{}/accounts", page_of(tenant, &handle))),
                may_cancel: true,
            };
            login_form::shown(state, request, tenant, &shown.request.ui_locales, &page, typed).await
        }
        Look::LogIn { step: LoginStep::NewPassword, who, shown, .. } => {
            let page = NewPasswordPage {
                form: form("new-password", shown.csrf_token),
                reason: PasswordReason::Required,
                identifier: who.map(|user| user.login_name()).unwrap_or_default(),
                min_length: u32::from(tenant.policy.password.min_length),
                trouble: None,
                other_account: Some(format!("{}/accounts", page_of(tenant, &handle))),
                back: None,
            };
            let (status, trouble) = unfit.map_or((StatusCode::OK, None), |(status, trouble)| (status, Some(trouble)));
            let page = NewPasswordPage { trouble, ..page };
            answers::shown(state, request, tenant, status, &shown.request.ui_locales, &page).await
        }
        Look::AskConsent { user, session, shown } => {
            let (scopes, details) = (scope_lines(&shown), detail_lines(&shown));
            let page = ConsentPage {
                form: about(form("consent", shown.csrf_token), session),
                client: answers::client_view(&shown.client),
                account: user.display_name(),
                scopes,
                details,
                remember: None,
                other_account: Some(format!("{}/accounts", page_of(tenant, &handle))),
            };
            answers::shown(state, request, tenant, StatusCode::OK, &shown.request.ui_locales, &page).await
        }
        Look::ConfirmDevice { user, session, device, shown } => {
            let scopes = scope_lines(&shown);
            let page = DeviceConfirmPage {
                form: about(form("consent", shown.csrf_token), session),
                client: answers::client_view(&shown.client),
                user_code: device.user_code.shown(),
                source: device.source,
                account: user.display_name(),
                scopes,
                other_account: Some(format!("{}/accounts", page_of(tenant, &handle))),
            };
            answers::shown(state, request, tenant, StatusCode::OK, &[], &page).await
        }
    })
}

/// A form that is about one account alone.
fn about(form: pages::Form, session: SsoSessionId) -> pages::Form {
    pages::Form { hidden: vec![("session".to_owned(), session.to_string())], ..form }
}

/// What the user is asked to allow: each scope, and what API it is about; an API of which no scope is asked for stands for itself.
fn scope_lines(shown: &Shown) -> Vec<ScopeLine> {
    let scope = &shown.request.wanted().scope;
    let about = |word: &str| {
        let api = shown.apis.iter().find(|api| api.settings.scope.contains(word))?;
        Some(format!("{}: {word}", api.settings.name))
    };
    let words = scope.iter().map(|word| ScopeLine { scope: word.to_owned(), description: about(word) });
    // Of an API that nothing else is said about, its name alone.
    let detailed: Vec<_> =
        shown.request.details.types().into_iter().filter_map(|name| details::defined(&shown.apis, name)).map(|(api, _)| api.id).collect();
    let is_silent = |api: &&Resource| !api.settings.scope.iter().any(|word| scope.contains(word)) && !detailed.contains(&api.id);
    let silent = shown.apis.iter().filter(is_silent);
    words
        .chain(silent.map(|api| ScopeLine { scope: api.identifier.to_string(), description: Some(api.settings.name.to_string()) }))
        .collect()
}

/// What the user is asked to allow in detail, all of it: also what its API defines no longer.
fn detail_lines(shown: &Shown) -> Vec<DetailLine> {
    let unknown = DetailType { members: [].into(), words: [].into(), ask_each_time: true };
    let line = |(name, details)| {
        let (api, kind) = match details::defined(&shown.apis, name) {
            Some((api, kind)) => (api.settings.name.to_string(), kind),
            None => (name.to_owned(), &unknown),
        };
        DetailLine { api, said: Language::ALL.map(|language| (language, kind.said(language, details))).into() }
    };
    shown.request.details.iter().map(line).collect()
}

pub(super) async fn refused(
    state: &ApiState,
    request: &HttpRequest,
    tenant: &Tenant,
    denied: AuthorizeDenied,
) -> Result<HttpResponse, Problem> {
    match PageRefused::of(denied) {
        Ok(page) => Ok(answers::refused(state, request, tenant, page).await),
        Err(Unpaged::NoTenant) => Err(Problem::not_found()),
        Err(Unpaged::Fault(fault)) => Err(fault.into()),
    }
}

/// A form of one of our pages: read, and sent by the page itself.
pub(super) fn of_ours(request: &HttpRequest, base_url: &str, form: Result<Form, OAuthError>) -> Result<Form, Result<PageRefused, Problem>> {
    match form {
        Ok(_) if browser::is_foreign_form(request, base_url) => Err(Ok(PageRefused::forged())),
        Ok(form) => Ok(form),
        Err(error) if error.status_code() == StatusCode::PAYLOAD_TOO_LARGE => Err(Err(Problem::too_large())),
        Err(_) => Err(Ok(PageRefused::malformed("this is no form of ours"))),
    }
}

/// `POST {issuer}/interaction/{request}/login`: `identifier` and `password`, or `cancel`.
pub(crate) async fn login(
    state: web::Data<ApiState>,
    path: web::Path<(String, String)>,
    request: HttpRequest,
    from: From,
    form: Result<Form, OAuthError>,
) -> Result<HttpResponse, Problem> {
    let started = std::time::Instant::now();
    let (slug, handle) = path.into_inner();
    let tenant = tenants::resolve(&state.ctx, &slug).await?;
    let form = match of_ours(&request, &state.ctx.base_url, form) {
        Ok(form) => form,
        Err(refused) => return Ok(answers::refused(&state, &request, &tenant, refused?).await),
    };
    let csrf_token = form.optional("csrf_token").unwrap_or_default();
    if form.optional("cancel").is_some() {
        let command = DecideCommand { decision: Decision::Deny, session: None, csrf_token: csrf_token.to_owned() };
        return decided(&state, &tenant, &request, &handle, command, &from).await;
    }
    let Some(named) = Handle::parse(HandleKind::PendingRequest, &handle) else {
        return refused(&state, &request, &tenant, AuthorizeDenied::NoSuchRequest).await;
    };
    let identifier = form.optional("identifier").unwrap_or_default();
    let Ok(password) = Password::parse(form.optional("password").unwrap_or_default()) else {
        return shown(&state, &tenant, (&request, &from), &handle, Some(Typed::wrong(identifier)), None).await;
    };
    let command = SignInCommand { name: identifier.to_owned(), password, csrf_token: csrf_token.to_owned() };
    let brought = browser::of(&request, &tenant, &state.ctx.base_url);
    match authorize::sign_in(&state.ctx, &tenant, &named, &brought, command, &from.0).await {
        Ok(kept) => {
            login_form::count(&state, "succeeded", started);
            let mut answer = answers::onward(page_of(&tenant, &named));
            browser::keep(&mut answer, &tenant, &state.ctx.base_url, &brought, &kept);
            Ok(answer)
        }
        Err(SignInDenied::Request(denied)) => refused(&state, &request, &tenant, denied).await,
        Err(SignInDenied::Login(denied)) => {
            let typed = Typed::denied(&state, identifier, denied, started)?;
            shown(&state, &tenant, (&request, &from), &handle, Some(typed), None).await
        }
    }
}

/// `POST {issuer}/interaction/{request}/new-password`: `new_password` and `repeat_password`.
pub(crate) async fn new_password(posted: Posted, path: web::Path<(String, String)>) -> Result<HttpResponse, Problem> {
    let started = std::time::Instant::now();
    let Visit { state, request, tenant, browser: brought, from } = &posted.visit;
    let Some(handle) = Handle::parse(HandleKind::PendingRequest, &path.1) else {
        return posted.visit.denied(AuthorizeDenied::NoSuchRequest).await;
    };
    let new = match typed_twice(&posted.form) {
        Ok(new) => new,
        Err(trouble) => return shown(state, tenant, (request, from), &path.1, None, Some((StatusCode::OK, trouble))).await,
    };
    match authorize::new_password(&state.ctx, tenant, &handle, brought, new, posted.csrf_token(), &from.0).await {
        Ok(kept) => {
            login_form::count(state, "succeeded", started);
            let mut answer = answers::onward(page_of(tenant, &handle));
            browser::keep(&mut answer, tenant, &state.ctx.base_url, brought, &kept);
            Ok(answer)
        }
        Err(SignInDenied::Request(denied)) => posted.visit.denied(denied).await,
        // It was chosen elsewhere meanwhile: the page of the request asks for a login.
        Err(SignInDenied::Login(LoginDenied::BadCredentials)) => Ok(answers::onward(page_of(tenant, &handle))),
        Err(SignInDenied::Login(denied)) => {
            let unfit = not_proved(state, denied)?;
            shown(state, tenant, (request, from), &path.1, None, Some(unfit)).await
        }
    }
}

/// `POST {issuer}/interaction/{request}/consent`: `decision`, `allow` or `deny`.
pub(crate) async fn consent(
    state: web::Data<ApiState>,
    path: web::Path<(String, String)>,
    request: HttpRequest,
    from: From,
    form: Result<Form, OAuthError>,
) -> Result<HttpResponse, Problem> {
    let (slug, handle) = path.into_inner();
    let tenant = tenants::resolve(&state.ctx, &slug).await?;
    let form = match of_ours(&request, &state.ctx.base_url, form) {
        Ok(form) => form,
        Err(refused) => return Ok(answers::refused(&state, &request, &tenant, refused?).await),
    };
    let decision = if form.optional("decision") == Some("allow") { Decision::Allow } else { Decision::Deny };
    let session = form.optional("session").and_then(|id| id.parse().ok());
    let command = DecideCommand { decision, session, csrf_token: form.optional("csrf_token").unwrap_or_default().to_owned() };
    decided(&state, &tenant, &request, &handle, command, &from).await
}

async fn decided(
    state: &ApiState,
    tenant: &Tenant,
    request: &HttpRequest,
    handle: &str,
    command: DecideCommand,
    from: &From,
) -> Result<HttpResponse, Problem> {
    let Some(handle) = Handle::parse(HandleKind::PendingRequest, handle) else {
        return refused(state, request, tenant, AuthorizeDenied::NoSuchRequest).await;
    };
    let brought = browser::of(request, tenant, &state.ctx.base_url);
    match authorize::decide(&state.ctx, tenant, &handle, &brought, command, &from.0).await {
        Ok(Decided::Answered(response)) => Ok(answers::answered(state, request, tenant, response).await),
        Ok(Decided::GoOn) => Ok(answers::onward(page_of(tenant, &handle))),
        Ok(Decided::Device(decision)) => {
            let message = if decision == Decision::Allow { Message::DeviceAllowed } else { Message::DeviceDenied };
            Ok(answers::shown(state, request, tenant, StatusCode::OK, &[], &MessagePage { message, next: None }).await)
        }
        Err(denied) => refused(state, request, tenant, denied).await,
    }
}
