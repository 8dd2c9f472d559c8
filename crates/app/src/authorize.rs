//! Logins on the tenant's own pages: an authorization request comes in ([`begin`]), waits for its user ([`look`]) who logs in
//! ([`sign_in`]) and agrees ([`decide`]), and is answered with a code, or with tokens where the tenant and the client want that.
//!
//! All of them ask one state machine what comes next ([`domain::interaction::next`]); what is kept between them is one row. Invariant:
//! nobody goes on with a request but the browser that brought it, and of many that finish it exactly one is answered.

use std::collections::BTreeSet;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use domain::answer::{self, SignedAnswer};
use domain::audit::{Actor, AuditEvent};
use domain::authorize::code::CodeGrant;
use domain::authorize::request_object::Conveyance;
use domain::authorize::rules::{self, Arrival, Asked, Parameters};
use domain::authorize::{AuthorizationRequest, AuthorizationResponse, AuthorizeError, Refusal, RequestRefused};
use domain::client::{Client, ClientId};
use domain::consent::Allowed;
use domain::handle::{Handle, HandleHash, HandleKind};
use domain::ids::{SsoSessionId, TenantId, UserId};
use domain::interaction::{Choice, HalfWay, LoginStep, Next, Pick, Progress, next, pick};
use domain::keys::thumbprint::Thumbprint;
use domain::openid::ClaimsRequest;
use domain::password::Password;
use domain::resource::Resource;
use domain::sso::{Authentication, Method, SsoSession};
use domain::tenant::Tenant;
use domain::time::{Timestamp, Ttl};
use domain::token::claims::Subject;
use domain::user::User;
use subtle::ConstantTimeEq;

use crate::clients::documents;
use crate::ctx::{Ctx, Origin};
use crate::fault::Fault;
use crate::keys::{answerer, sign_answer, signer_for};
use crate::login::{LoginDenied, Proof, Proved, prove, renew};
use crate::ports::store::{PendingRequest, StoreError, TenantTx};
use crate::subjects::{known_as, user};
use crate::tokens::front_channel;
use crate::tokens::target::apis_of;

pub mod accounts;
pub mod by_reference;
pub mod challenge;
pub mod device;
pub mod pushed;
mod request_object;
pub mod sign_out;

pub use accounts::Kept;
pub use device::ShownDevice;

use accounts::{accounts, sessions};

/// How long a user has to log in and agree.
const PATIENCE: Ttl = Ttl::minutes(15);

/// What a browser brings along in its cookies.
#[derive(Debug, Clone, Default)]
pub struct Browser {
    /// Which browser it is.
    pub browser: Option<Handle>,
    /// The session it has with this tenant's pages; of several the one that was used last.
    pub session: Option<Handle>,
    /// Sessions of other accounts.
    pub others: Vec<Handle>,
}

impl Browser {
    /// All sessions, the one that was used last first.
    pub fn sessions(&self) -> impl Iterator<Item = &Handle> {
        self.session.iter().chain(&self.others)
    }
}

/// What comes of an authorization request at once.
#[derive(Debug)]
pub enum Begun {
    /// Carried back by the browser.
    Answered(AuthorizationResponse),
    /// The user has something to do: the browser goes on to the page of this request, and keeps this name for itself.
    Waiting { request: Handle, browser: Handle },
}

/// A page to show.
#[derive(Debug)]
pub enum Look {
    /// Which of these goes on.
    ChooseAccount {
        accounts: Vec<(User, SsoSession)>,
        shown: Shown,
    },
    LogIn {
        step: LoginStep,
        /// Who was chosen, or is hinted at, among those who are logged in; or who has to choose a new password.
        who: Option<Box<User>>,
        /// Whether there are accounts to choose from.
        has_choice: bool,
        shown: Shown,
    },
    AskConsent {
        user: Box<User>,
        session: SsoSessionId,
        shown: Shown,
    },
    /// Whether a device may be signed in.
    ConfirmDevice {
        user: Box<User>,
        session: SsoSessionId,
        device: ShownDevice,
        shown: Shown,
    },
    Answered(AuthorizationResponse),
}

/// What pages show of a request.
#[derive(Debug)]
pub struct Shown {
    pub request: AuthorizationRequest,
    pub client: Client,
    /// The APIs that the request is about.
    pub apis: Vec<Resource>,
    /// What a form of the page has to bring along.
    pub csrf_token: String,
}

/// Why somebody is told so on a page, and nobody is sent anywhere.
#[derive(Debug)]
pub enum AuthorizeDenied {
    TenantSuspended,
    Refused(Refusal),
    /// The request is unknown, over, answered, or another browser's.
    NoSuchRequest,
    /// The form did not come from our page in this browser.
    Forged,
    Fault(Fault),
}

impl<E: Into<Fault>> From<E> for AuthorizeDenied {
    fn from(error: E) -> Self {
        Self::Fault(error.into())
    }
}

/// Takes an authorization request (RFC 6749, 4.1.1; OpenID Connect Core, 3.1.2). Nobody waits for a writer to be told that it is wrong.
///
/// # Errors
/// See [`AuthorizeDenied`].
#[tracing::instrument(level = "debug", name = "app.authorize", skip_all)]
pub async fn begin(
    ctx: &Ctx,
    tenant: &Tenant,
    parameters: &Parameters,
    browser: &Browser,
    origin: &Origin,
) -> Result<Begun, AuthorizeDenied> {
    let issuer = tenant.issuer(&ctx.base_url);
    let id = parameters.get("client_id").and_then(|id| ClientId::try_from(id.to_owned()).ok());
    // Before there is a transaction: its document may have to be fetched.
    let by_document = match id.as_ref().filter(|id| id.is_address()) {
        Some(id) => Some(documents::client(ctx, tenant, id, Some(origin)).await?),
        None => None,
    };
    let mut tx = ctx.store.begin_read(tenant.id).await?;
    // As it is now, not as it is remembered.
    let tenant = tx.tenant().await?.filter(Tenant::is_active).ok_or(AuthorizeDenied::TenantSuspended)?;
    let unknown = || AuthorizeDenied::Refused(Refusal::UNKNOWN_CLIENT);
    let id = id.ok_or_else(unknown)?;
    let client = match by_document {
        Some(client) => client,
        None => tx.client_by_id(&id).await?,
    };
    let client = client.filter(Client::is_active).ok_or_else(unknown)?;
    let read = match parameters.get("request_uri") {
        Some(uri) if uri.starts_with(HandleKind::PushedRequest.prefix()) => {
            let request = pushed::taken(ctx, tx.as_mut(), uri, &client).await?;
            // Those who hold a connection and wait for a second one wait for each other.
            drop(tx);
            Ok(request)
        }
        _ => {
            drop(tx);
            read(ctx, &tenant, &client, parameters, Arrival::Browser, None).await?
        }
    };
    let request = match read {
        Ok(request) => request,
        Err(RequestRefused::OnPage(refusal)) => return Err(AuthorizeDenied::Refused(refusal)),
        Err(RequestRefused::ToClient(return_to, refusal)) => {
            let answer = AuthorizationResponse::refused(return_to, refusal, issuer);
            return Ok(Begun::Answered(signed(ctx, tenant.id, &client, answer).await?));
        }
    };
    if request.return_to.mode.is_signed() {
        // Nobody logs in for an answer that cannot be given.
        answerer(ctx, tenant.id, &client, SignedAnswer::Authorization).await?;
    }
    if request.response_type.is_front_channel() {
        signer_for(ctx, tenant.id, &client, 0).await?;
    }
    let tx = ctx.store.begin(tenant.id).await?;
    let mut flow = Flow { ctx, tenant, tx, client, request, progress: Progress::default(), issuer };
    let accounts = flow.accounts(browser).await?;
    let picked = pick(&flow.request, &accounts, flow.progress);
    match flow.next(picked).await? {
        Next::Grant => {
            flow.close(None).await?;
            let Pick::One((user, session)) = picked else { return Err(AuthorizeDenied::NoSuchRequest) };
            flow.grant(user, session, origin).await.map(Begun::Answered)
        }
        Next::Refuse(refusal) => {
            flow.close(None).await?;
            flow.refuse(refusal).await.map(Begun::Answered)
        }
        Next::ChooseAccount | Next::LogIn(_) | Next::AskConsent => {
            let handle = ctx.handle(HandleKind::PendingRequest);
            let browser = browser.browser.clone().unwrap_or_else(|| ctx.handle(HandleKind::Browser));
            let pending = PendingRequest {
                handle: handle.hash(),
                browser: browser.hash(),
                request: flow.request,
                progress: flow.progress,
                expires_at: ctx.now().plus(PATIENCE),
            };
            flow.tx.pending_insert(&pending).await?;
            flow.tx.commit().await?;
            Ok(Begun::Waiting { request: handle, browser })
        }
    }
}

/// Looks at a pending request: shows the page of what is missing, or finishes it when nothing is.
///
/// # Errors
/// See [`AuthorizeDenied`].
pub async fn look(ctx: &Ctx, tenant: &Tenant, handle: &Handle, browser: &Browser, origin: &Origin) -> Result<Look, AuthorizeDenied> {
    let (mut flow, csrf_token) = resume(ctx, tenant, handle, browser).await?;
    let accounts = flow.accounts(browser).await?;
    let picked = pick(&flow.request, &accounts, flow.progress);
    let next = flow.next(picked).await?;
    if let Next::Grant | Next::Refuse(_) = next {
        flow.close(Some(handle)).await?;
    }
    match (next, picked) {
        (Next::Grant, Pick::One((user, session))) => flow.grant(user, session, origin).await.map(Look::Answered),
        (Next::Refuse(refusal), _) => flow.refuse(refusal).await.map(Look::Answered),
        (Next::ChooseAccount, _) => Ok(Look::ChooseAccount { shown: flow.shown(csrf_token).await?, accounts }),
        (Next::LogIn(step), picked) => {
            let who = match (flow.progress.half, picked) {
                (Some(half), _) => flow.tx.user_by_id(half.user).await?.map(Box::new),
                (None, Pick::One((user, _))) => Some(Box::new(user.clone())),
                (None, _) => None,
            };
            let has_choice = !accounts.is_empty();
            Ok(Look::LogIn { step, who, has_choice, shown: flow.shown(csrf_token).await? })
        }
        (Next::AskConsent, Pick::One((user, session))) => {
            let (user, session) = (Box::new(user.clone()), session.id);
            if let Some(device) = flow.request.device {
                let signer = ctx.keys.signer(tenant.id, 0).await?;
                let device = device::shown(&mut flow, &device, signer.as_ref()).await?;
                return Ok(Look::ConfirmDevice { user, session, device, shown: flow.shown(csrf_token).await? });
            }
            Ok(Look::AskConsent { user, session, shown: flow.shown(csrf_token).await? })
        }
        (Next::Grant | Next::AskConsent, _) => Err(AuthorizeDenied::NoSuchRequest),
    }
}

/// A name and a password, typed on the page of a request.
#[derive(Debug)]
pub struct SignInCommand {
    pub name: String,
    pub password: Password,
    pub csrf_token: String,
}

/// What a login on our page is refused for: the page says it again and keeps the name, or there is no page.
#[derive(Debug)]
pub enum SignInDenied {
    Login(LoginDenied),
    Request(AuthorizeDenied),
}

impl<E: Into<AuthorizeDenied>> From<E> for SignInDenied {
    fn from(error: E) -> Self {
        Self::Request(error.into())
    }
}

/// Logs a user in on the page of a pending request.
///
/// # Errors
/// See [`SignInDenied`].
#[tracing::instrument(level = "debug", name = "app.sign_in", skip_all)]
pub async fn sign_in(
    ctx: &Ctx,
    tenant: &Tenant,
    handle: &Handle,
    browser: &Browser,
    command: SignInCommand,
    origin: &Origin,
) -> Result<Kept, SignInDenied> {
    let client_id = {
        let (flow, csrf_token) = resume(ctx, tenant, handle, browser).await?;
        check_csrf(&csrf_token, &command.csrf_token)?;
        flow.client.id
    };
    match prove(ctx, tenant, &command.name, &command.password, origin).await.map_err(SignInDenied::Login)? {
        Proof::Whole(proved) => go_on(ctx, handle, proved, browser, client_id, origin).await,
        Proof::Outdated(Proved { mut tx, user, now, .. }) => {
            let half = Some(HalfWay { user: user.id, at: now });
            let stored = async {
                let progress = Progress { chosen: Some(Choice::Another), half, ..Progress::default() };
                tx.pending_progress(&handle.hash(), progress).await?;
                tx.commit().await?;
                Ok(browser.without(&[]))
            };
            stored.await.map_err(|error: StoreError| AuthorizeDenied::from(error).into())
        }
    }
}

/// Begins the session of whoever has proved who they are on the page of a request.
async fn go_on(
    ctx: &Ctx,
    handle: &Handle,
    proved: Proved,
    browser: &Browser,
    client_id: ClientId,
    origin: &Origin,
) -> Result<Kept, SignInDenied> {
    let user_id = proved.user.id;
    let progress = Progress { logged_in: Some(user_id), chosen: Some(Choice::Account(user_id)), ..Progress::default() };
    let stored = async {
        let (mut tx, kept) = session_begin(ctx, proved, browser, client_id, origin).await?;
        tx.pending_progress(&handle.hash(), progress).await?;
        tx.commit().await?;
        Ok(kept)
    };
    stored.await.map_err(|error: StoreError| AuthorizeDenied::from(error).into())
}

/// Takes the new password of a user whose right one has to go, on the page of a pending request, and logs them in.
///
/// # Errors
/// See [`SignInDenied`]; [`AuthorizeDenied::NoSuchRequest`] when nobody has to choose one there (any more).
#[tracing::instrument(level = "debug", name = "app.renew_password", skip_all)]
pub async fn new_password(
    ctx: &Ctx,
    tenant: &Tenant,
    handle: &Handle,
    browser: &Browser,
    new: Password,
    csrf_token: &str,
    origin: &Origin,
) -> Result<Kept, SignInDenied> {
    let (client_id, half) = {
        let (flow, wanted) = resume(ctx, tenant, handle, browser).await?;
        check_csrf(&wanted, csrf_token)?;
        (flow.client.id, flow.progress.half.ok_or(AuthorizeDenied::NoSuchRequest)?)
    };
    let proved = renew(ctx, tenant, half, new, origin).await.map_err(SignInDenied::Login)?;
    go_on(ctx, handle, proved, browser, client_id, origin).await
}

/// Begins the session of whoever has just proved who they are. Who was logged in already goes on in the same session under a new
/// handle. Other accounts of the browser stay beside it; where they are too many, the one that was not used for longest ends, with all
/// that clients got by it.
pub(crate) async fn session_begin(
    ctx: &Ctx,
    proved: Proved,
    browser: &Browser,
    client_id: ClientId,
    origin: &Origin,
) -> Result<(Box<dyn TenantTx>, Kept), StoreError> {
    let Proved { mut tx, tenant, user, now, .. } = proved;
    let begun = ctx.handle(HandleKind::SsoSession);
    let (own, mut others): (Vec<_>, Vec<_>) =
        sessions(tx.as_mut(), browser, now).await?.into_iter().partition(|(_, session)| session.user_id == user.id);
    let before = own.iter().map(|(_, session)| session).find(|session| session.stands_for(&user, now));
    let id = before.map_or_else(|| SsoSessionId::new(now, ctx.id_entropy()), |session| session.id);
    let session = SsoSession::begin(id, begun.hash(), user.id, Authentication::by(Method::Password, now));
    let source = origin.source.map(|address| address.to_string());
    tx.sso_insert(&SsoSession { user_agent: origin.user_agent_cut(), source, ..session }).await?;
    let too_many = others.split_off(others.len().min(SsoSession::MOST - 1));
    let kept: Vec<_> = std::iter::once(begun).chain(others.into_iter().map(|(handle, _)| handle)).collect();
    for (_, session) in too_many {
        sign_out::end(ctx, &tenant, tx.as_mut(), session.user_id, &session, origin).await?;
    }
    // What the browser does not keep is worth nothing any more.
    for handle in browser.sessions().filter(|handle| kept.iter().all(|kept| kept.hash() != handle.hash())) {
        tx.sso_delete(&handle.hash()).await?;
    }
    let event = AuditEvent::SignedIn { user_id: user.id, sso_session_id: id, client_id };
    tx.audit_append(&ctx.record(tenant.id, Actor::User { user_id: user.id }, origin, event)).await?;
    Ok((tx, Kept(kept)))
}

/// What the user says about what the client asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    Allow,
    Deny,
}

/// A decision, as the page of a request sends it.
#[derive(Debug)]
pub struct DecideCommand {
    pub decision: Decision,
    /// The session that the page was shown for: nobody agrees for an account that the page did not name.
    pub session: Option<SsoSessionId>,
    pub csrf_token: String,
}

/// What comes of a decision.
#[derive(Debug)]
pub enum Decided {
    /// The page of the request says what is next.
    GoOn,
    /// Carried back by the browser.
    Answered(AuthorizationResponse),
    /// The device has its answer.
    Device(Decision),
}

/// Takes the user's decision, which may come before a login when it is a refusal. What was allowed is remembered; a refusal answers
/// the client at once.
///
/// # Errors
/// See [`AuthorizeDenied`].
pub async fn decide(
    ctx: &Ctx,
    tenant: &Tenant,
    handle: &Handle,
    browser: &Browser,
    command: DecideCommand,
    origin: &Origin,
) -> Result<Decided, AuthorizeDenied> {
    let (mut flow, wanted) = resume(ctx, tenant, handle, browser).await?;
    check_csrf(&wanted, &command.csrf_token)?;
    let decision = command.decision;
    let accounts = flow.accounts(browser).await?;
    let session = match pick(&flow.request, &accounts, flow.progress) {
        Pick::One(account) => Some(account.clone()),
        Pick::Nobody | Pick::Which => None,
    };
    // The page is shown anew for the account that it is about now.
    if decision == Decision::Allow && session.as_ref().is_some_and(|(_, session)| Some(session.id) != command.session) {
        return Ok(Decided::GoOn);
    }
    if let Some(device) = flow.request.device {
        return device::decide(flow, handle, &device, session, decision, origin).await;
    }
    let user_id = session.map(|(user, _)| user.id);
    let client_id = flow.client.id.clone();
    let record = |user_id, event| ctx.record(tenant.id, Actor::User { user_id }, origin, event);
    match (decision, user_id) {
        // The session ended meanwhile: the page of the request asks for a login.
        (Decision::Allow, None) => Ok(Decided::GoOn),
        (Decision::Allow, Some(user_id)) => {
            let mut before = flow.tx.consent(user_id, &client_id).await?.unwrap_or_default();
            // What the client is no longer registered for is forgotten, so that a consent does not grow for ever.
            before.scope = before.scope.retain(|word| flow.client.settings.scope.contains(word));
            let wanted = flow.request.wanted();
            let details = match wanted.details.is_empty() {
                true => wanted.details,
                false => wanted.details.remembered(&flow.tx.resources_named(&wanted.resources).await?),
            };
            flow.tx.consent_set(user_id, &client_id, &before.with(Allowed { details, ..wanted }), ctx.now()).await?;
            kept(flow.tx.as_mut(), &flow.client).await?;
            flow.tx.pending_progress(&handle.hash(), Progress { consented: Some(user_id), ..flow.progress }).await?;
            let scope = flow.request.wanted().scope.to_string();
            let authorization_details_types = flow.request.details.types().into_iter().map(str::to_owned).collect();
            let event = AuditEvent::ConsentGiven { user_id, client_id, scope, authorization_details_types };
            flow.tx.audit_append(&record(user_id, event)).await?;
            flow.tx.commit().await?;
            Ok(Decided::GoOn)
        }
        (Decision::Deny, user_id) => {
            flow.close(Some(handle)).await?;
            if let Some(user_id) = user_id {
                flow.tx.audit_append(&record(user_id, AuditEvent::ConsentDenied { user_id, client_id })).await?;
            }
            let refusal = Refusal { error: AuthorizeError::AccessDenied, description: "the user said no" };
            flow.refuse(refusal).await.map(Decided::Answered)
        }
    }
}

/// A client that registered itself stays, now that somebody uses it.
async fn kept(tx: &mut dyn TenantTx, client: &Client) -> Result<(), StoreError> {
    let is_unused = |client: &Client| client.registration.is_some_and(|registration| registration.unused_until.is_some());
    if is_unused(client)
        && let Some(mut client) = tx.client_locked(&client.id).await?
        && let Some(registration) = &mut client.registration
    {
        registration.unused_until = None;
        tx.client_update(&client).await?;
    }
    Ok(())
}

const fn refused(description: &'static str) -> AuthorizeDenied {
    AuthorizeDenied::Refused(Refusal { error: AuthorizeError::InvalidRequest, description })
}

/// Reads a pending request, if it is this browser's, and what its forms have to bring along. Its row is locked.
async fn resume<'a>(ctx: &'a Ctx, tenant: &Tenant, handle: &Handle, browser: &Browser) -> Result<(Flow<'a>, String), AuthorizeDenied> {
    let named = browser.browser.as_ref().ok_or(AuthorizeDenied::NoSuchRequest)?.hash();
    let csrf_token = csrf_token(ctx, tenant, &handle.hash(), &named).await?;
    let mut tx = ctx.store.begin(tenant.id).await?;
    let tenant = tx.tenant().await?.filter(Tenant::is_active).ok_or(AuthorizeDenied::TenantSuspended)?;
    let pending = tx.pending_by_handle(&handle.hash()).await?;
    let pending =
        pending.filter(|pending| ctx.now() < pending.expires_at && pending.browser == named).ok_or(AuthorizeDenied::NoSuchRequest)?;
    let client =
        tx.client_by_id(&pending.request.client_id).await?.filter(|client| client.is_active() && documents::is_taken(&tenant, &client.id));
    let client = client.ok_or(AuthorizeDenied::NoSuchRequest)?;
    let issuer = tenant.issuer(&ctx.base_url);
    let mut progress = pending.progress;
    if let Some(half) = progress.half {
        let user = tx.user_by_id(half.user).await?;
        progress.half = user.filter(|user| half.stands_for(user)).map(|_| half);
    }
    Ok((Flow { ctx, tenant, tx, client, request: pending.request, progress, issuer }, csrf_token))
}

/// A request on its way, in its transaction.
struct Flow<'a> {
    ctx: &'a Ctx,
    tenant: Tenant,
    tx: Box<dyn TenantTx>,
    client: Client,
    request: AuthorizationRequest,
    progress: Progress,
    issuer: String,
}

impl Flow<'_> {
    /// The users whom this browser's sessions stand for.
    async fn accounts(&mut self, browser: &Browser) -> Result<Vec<(User, SsoSession)>, StoreError> {
        let now = self.ctx.now();
        accounts(self.tx.as_mut(), browser, now).await
    }

    async fn next(&mut self, picked: Pick<'_>) -> Result<Next, StoreError> {
        if let Some(refusal) = self.is_taken_no_more() {
            return Ok(Next::Refuse(refusal));
        }
        let granted: Option<Allowed> = match picked {
            Pick::One((user, _)) => self.tx.consent(user.id, &self.client.id).await?,
            Pick::Nobody | Pick::Which => None,
        };
        Ok(next(&self.request, &self.client, picked, granted.as_ref(), self.progress, self.ctx.now()))
    }

    /// Uses up the pending request of this handle and the pushed one, where there are such: of many that answer, one goes on.
    async fn close(&mut self, handle: Option<&Handle>) -> Result<(), AuthorizeDenied> {
        for row in handle.map(Handle::hash).into_iter().chain(self.request.pushed) {
            if !self.tx.pending_delete(&row).await? {
                return Err(AuthorizeDenied::NoSuchRequest);
            }
        }
        Ok(())
    }

    /// Whether tokens by the browser were switched off since the request came, for the tenant or for the client.
    fn is_taken_no_more(&self) -> Option<Refusal> {
        let kind = self.request.response_type;
        let is_taken = self.tenant.policy.answers_with(kind) && self.client.settings.response_types.contains(&kind);
        let refusal = Refusal { error: AuthorizeError::UnsupportedResponseType, description: "response_type is taken no more" };
        (kind.is_front_channel() && !is_taken).then_some(refusal)
    }

    /// Answers with what was asked for; the session lives on.
    async fn grant(mut self, user: &User, session: &SsoSession, origin: &Origin) -> Result<AuthorizationResponse, AuthorizeDenied> {
        let now = self.ctx.now();
        if let Some(idle_expires_at) = session.touched(now) {
            self.tx.sso_touch(&session.handle, idle_expires_at).await?;
        }
        let kind = self.request.response_type;
        let opened = match kind.is_front_channel() {
            true => {
                let (tx, whose) = (self.tx.as_mut(), (&self.tenant, &self.client));
                let opened = front_channel::open(self.ctx, tx, whose, &self.request, (user, session), origin).await?;
                match opened {
                    Ok(opened) => Some(opened),
                    Err(refusal) => return self.refuse(refusal).await,
                }
            }
            false => None,
        };
        let code = kind.has_code().then(|| self.ctx.handle(HandleKind::AuthorizationCode));
        if let Some(code) = &code {
            let family_id = opened.as_ref().map(|opened| opened.family.id);
            let grant = CodeGrant::of(self.request.clone(), session, family_id, now);
            self.tx.code_insert(&code.hash(), &grant).await?;
        }
        self.tx.commit().await?;
        let code = code.map(|code| code.text().expose().clone());
        let mut given: Vec<_> = code.iter().map(|code| ("code", code.clone())).collect();
        if let Some(opened) = opened {
            let tokens = front_channel::sign(self.ctx, &self.tenant, &self.client, &self.request, user, opened, code.as_deref());
            given.extend(tokens.await?);
        }
        let answer = AuthorizationResponse::granted(self.request.return_to, given, self.issuer);
        Ok(signed(self.ctx, self.tenant.id, &self.client, answer).await?)
    }

    /// Answers that there will be nothing, for good.
    async fn refuse(self, refusal: Refusal) -> Result<AuthorizationResponse, AuthorizeDenied> {
        self.tx.commit().await?;
        let answer = AuthorizationResponse::refused(self.request.return_to, refusal, self.issuer);
        Ok(signed(self.ctx, self.tenant.id, &self.client, answer).await?)
    }

    async fn shown(mut self, csrf_token: String) -> Result<Shown, StoreError> {
        let named = &self.request.resources;
        let apis = if named.is_empty() { Vec::new() } else { self.tx.resources_named(named).await? };
        Ok(Shown { request: self.request, client: self.client, apis, csrf_token })
    }
}

/// The answer as the request wants it: signed as a whole, where it asked for that (JARM). Without a key to sign it by there is none.
async fn signed(ctx: &Ctx, tenant: TenantId, client: &Client, answer: AuthorizationResponse) -> Result<AuthorizationResponse, Fault> {
    if !answer.return_to.mode.is_signed() {
        return Ok(answer);
    }
    let claims = answer::authorization(&answer, &client.id, ctx.now());
    let token = sign_answer(ctx, tenant, client, SignedAnswer::Authorization, claims).await?;
    Ok(answer.sealed(token))
}

/// The user whom the session of a browser stands for, if it does.
pub(crate) async fn standing(tx: &mut dyn TenantTx, browser: &Browser, now: Timestamp) -> Result<Option<(User, SsoSession)>, StoreError> {
    let Some(handle) = &browser.session else { return Ok(None) };
    let Some(session) = tx.sso_by_handle(&handle.hash()).await? else { return Ok(None) };
    let user = tx.user_by_id(session.user_id).await?;
    Ok(user.filter(|user| session.stands_for(user, now)).map(|user| (user, session)))
}

/// What a form has to bring along: made of the tenant's secret, the thing it is about and the browser it was shown in.
pub(crate) async fn csrf_token(ctx: &Ctx, tenant: &Tenant, about: &HandleHash, browser: &HandleHash) -> Result<String, Fault> {
    let signer = ctx.keys.signer(tenant.id, 0).await?;
    Ok(URL_SAFE_NO_PAD.encode(signer.blind("page-form", &[about.0, browser.0].concat())))
}

pub(crate) fn check_csrf(wanted: &str, given: &str) -> Result<(), AuthorizeDenied> {
    if wanted.as_bytes().ct_eq(given.as_bytes()).into() { Ok(()) } else { Err(AuthorizeDenied::Forged) }
}

/// What a form brings along that is shown while nobody is logged in, and the browser that it is shown in.
pub async fn anonymous(ctx: &Ctx, tenant: &Tenant, browser: &Browser) -> Result<(Handle, String), Fault> {
    let named = browser.browser.clone().unwrap_or_else(|| ctx.handle(HandleKind::Browser));
    let csrf_token = csrf_token(ctx, tenant, &named.hash(), &named.hash()).await?;
    Ok((named, csrf_token))
}

/// Whether a form was shown so to this very browser.
pub(crate) async fn check_anonymous(ctx: &Ctx, tenant: &Tenant, browser: &Browser, given: &str) -> Result<(), AuthorizeDenied> {
    let named = browser.browser.as_ref().ok_or(AuthorizeDenied::Forged)?.hash();
    check_csrf(&csrf_token(ctx, tenant, &named, &named).await?, given)
}

/// Reads a request of `client`, out of its request object when it has one, here or where it says. No transaction is held.
async fn read(
    ctx: &Ctx,
    tenant: &Tenant,
    client: &Client,
    parameters: &Parameters,
    arrival: Arrival,
    proved: Option<Thumbprint>,
) -> Result<Result<AuthorizationRequest, RequestRefused>, Fault> {
    let response_types = &tenant.policy.response_types;
    let signed = match opened(ctx, tenant, client, parameters, arrival).await {
        Ok(signed) => signed,
        Err(refusal) => return Ok(Err(rules::refused(client, parameters, response_types, refusal))),
    };
    let is_signed = signed.is_some();
    let parameters = signed.as_ref().unwrap_or(parameters);
    let hinted = hint(ctx, tenant, parameters).await?;
    let named = named(ctx, tenant, client, parameters).await?;
    let apis = match client.settings.resources.is_empty() {
        true => Vec::new(),
        false => apis_of(ctx.store.begin_read(tenant.id).await?.as_mut(), client).await?,
    };
    let issuer = tenant.issuer(&ctx.base_url);
    let asked = Asked { parameters, client, issuer: &issuer, response_types, apis: &apis, arrival, is_signed, hinted, named, proved };
    Ok(rules::read(&asked))
}

/// What the request object says that comes with a request, or that the client shows where the request says; `None` where there is none.
async fn opened(
    ctx: &Ctx,
    tenant: &Tenant,
    client: &Client,
    parameters: &Parameters,
    arrival: Arrival,
) -> Result<Option<Parameters>, Refusal> {
    // Who has to push has no other way; nothing is fetched for a rule to refuse it.
    let may_refer = tenant.policy.request_uri && arrival == Arrival::Browser && !client.settings.require_pushed_authorization_requests;
    match (parameters.get("request"), parameters.get("request_uri")) {
        (Some(_), Some(_)) => {
            let description = "request and request_uri do not go together (RFC 9101, 5)";
            Err(Refusal { error: AuthorizeError::InvalidRequest, description })
        }
        (Some(object), None) => request_object::opened(ctx, tenant, client, object, Conveyance::ByValue).await.map(Some),
        (None, Some(uri)) if may_refer => {
            let object = by_reference::fetched(ctx, tenant, client, uri).await?;
            request_object::opened(ctx, tenant, client, &object, Conveyance::ByReference).await.map(Some)
        }
        (None, _) => Ok(None),
    }
}

/// Whom a `sub` among the claims asks for (OpenID Connect Core, 5.5.1): of the names that this client knows users by, the first eight.
async fn named(ctx: &Ctx, tenant: &Tenant, client: &Client, parameters: &Parameters) -> Result<Option<BTreeSet<UserId>>, Fault> {
    // What cannot be read, a rule refuses.
    let Some(claims) = parameters.get("claims").and_then(|text| text.parse::<ClaimsRequest>().ok()) else { return Ok(None) };
    let Some(wish) = claims.id_token.get("sub").and_then(Option::as_ref).filter(|wish| wish.is_particular()) else { return Ok(None) };
    let mut users = BTreeSet::new();
    for name in wish.wanted().take(8) {
        if let Ok(subject) = Subject::try_from(name.to_owned()) {
            users.extend(known_as(ctx, tenant.id, client, &subject).await?);
        }
    }
    Ok(Some(users))
}

/// Whom `id_token_hint` names, as the rules want to know it.
async fn hint(ctx: &Ctx, tenant: &Tenant, parameters: &Parameters) -> Result<Option<Option<UserId>>, Fault> {
    Ok(match parameters.get("id_token_hint") {
        None => None,
        Some(hint) => Some(hinted(ctx, tenant, hint).await?.map(|(user, _)| user)),
    })
}

/// Whom an ID token that comes back as a hint names, and which client it was for; `None` when it is none of this tenant.
pub(crate) async fn hinted(ctx: &Ctx, tenant: &Tenant, hint: &str) -> Result<Option<(UserId, ClientId)>, Fault> {
    let keys = ctx.keys.published(tenant.id).await?;
    let Ok(claims) = keys.verifier.verify_id(hint, &tenant.issuer(&ctx.base_url)) else { return Ok(None) };
    let user = match claims.sub {
        Subject::User(user) => Some(user),
        sub => match ctx.store.begin_read(tenant.id).await?.client_by_id(&claims.aud).await? {
            Some(client) => user(ctx, tenant.id, &client, &sub).await?,
            None => None,
        },
    };
    Ok(user.map(|user| (user, claims.aud)))
}
