//! The authorization challenge (OAuth 2.0 for First-Party Applications): one of the tenant's own applications asks, hands over what its user has
//! typed into it ([`challenge`]), step by step, and gets a code.
//!
//! Between two steps a challenge is a pending request that no browser has: the same row, under a handle of another kind, the `auth_session`.
//! What a user proves themselves with, the one use case of all logins looks at ([`crate::login`]). Invariant: an `auth_session` is good for
//! one step, of the client and the key that it was given to; a step that leads on gives the next one.

use domain::audit::{Actor, AuditEvent};
use domain::authorize::code::CodeGrant;
use domain::authorize::rules::{Arrival, Parameters};
use domain::authorize::{AuthorizationRequest, AuthorizeError, Prompt, Refusal, RequestRefused};
use domain::client::{Client, ClientId};
use domain::handle::{Handle, HandleKind};
use domain::ids::SsoSessionId;
use domain::interaction::{HalfWay, LoginStep, Next, Pick, Progress, next};
use domain::keys::thumbprint::Thumbprint;
use domain::password::Password;
use domain::secret::Secret;
use domain::sso::{Authentication, Method, SsoSession};
use domain::tenant::Tenant;
use domain::time::Timestamp;

use super::{AuthorizeDenied, PATIENCE, kept, pushed, read};
use crate::ctx::{Ctx, Origin};
use crate::fault::Fault;
use crate::login::{LoginDenied, NewPasswordDenied, Proof, Proved, prove, renew};
use crate::ports::store::{PendingRequest, TenantTx};

/// So many steps may one challenge take, wrong ones among them.
pub const MOST_STEPS: u8 = 10;

/// What one step brings along.
#[derive(Debug)]
pub struct ChallengeCommand {
    /// The request, where it begins; not looked at in later steps.
    pub parameters: Parameters,
    /// Of the step before.
    pub auth_session: Option<Secret<String>>,
    /// Who it is; `login_hint` of the request where it is missing.
    pub username: Option<String>,
    pub password: Option<Password>,
    /// In place of a password that has to be changed.
    pub new_password: Option<Password>,
    /// The key that was proved with this step.
    pub proved: Option<Thumbprint>,
}

/// What comes of a step.
#[derive(Debug)]
pub enum Challenged {
    /// The code, to be redeemed like any other.
    Granted(Secret<String>),
    /// Something is missing still.
    Insufficient {
        step: LoginStep,
        /// Why the new password that came will not do.
        unfit: Option<NewPasswordDenied>,
        next: Handle,
    },
    /// A page is needed, in a browser. With a pushed request to go there with, where the request could be one.
    ToWeb { request: Option<Handle> },
}

/// Why a step leads to nothing.
#[derive(Debug)]
pub enum ChallengeDenied {
    /// The tenant does not want it, or is suspended.
    Off,
    /// The client is not registered for it.
    NotRegistered,
    Refused(Refusal),
    /// Unknown, used, over, another client's, or shown without its key: one answer for all.
    InvalidSession,
    /// A password came, and nobody knows whose it is.
    NoName,
    /// With what goes on, where the step was not the first one.
    Login(LoginDenied, Option<Handle>),
    Fault(Fault),
}

impl<E: Into<Fault>> From<E> for ChallengeDenied {
    fn from(error: E) -> Self {
        Self::Fault(error.into())
    }
}

/// A challenge on its way.
struct Asked {
    request: AuthorizationRequest,
    progress: Progress,
    /// When it is over, whatever was done until then.
    expires_at: Timestamp,
    is_first: bool,
}

/// Whose an `auth_session` is, for a client that says no more about itself (5.1). That it is this client has still to be looked at.
///
/// # Errors
/// When the database is away.
pub async fn client_of(ctx: &Ctx, tenant: &Tenant, auth_session: &str) -> Result<Option<ClientId>, Fault> {
    let Some(handle) = Handle::parse(HandleKind::AuthSession, auth_session) else { return Ok(None) };
    let row = ctx.store.begin_read(tenant.id).await?.pending_by_handle(&handle.hash()).await?;
    Ok(row.filter(|row| ctx.now() < row.expires_at).map(|row| row.request.client_id))
}

/// Takes a step of a challenge by `client`, which has proved itself.
///
/// # Errors
/// See [`ChallengeDenied`].
///
/// Source: draft-ietf-oauth-first-party-apps-04, 5.
#[tracing::instrument(level = "debug", name = "app.challenge", skip_all)]
pub async fn challenge(
    ctx: &Ctx,
    tenant: &Tenant,
    client: &Client,
    command: ChallengeCommand,
    origin: &Origin,
) -> Result<Challenged, ChallengeDenied> {
    if !tenant.policy.authorization_challenge || !tenant.is_active() {
        return Err(ChallengeDenied::Off);
    }
    if !client.settings.authorization_challenge {
        return Err(ChallengeDenied::NotRegistered);
    }
    let ChallengeCommand { parameters, auth_session, username, password, new_password, proved } = command;
    let asked = match &auth_session {
        Some(session) => taken(ctx, tenant, client, session.expose(), proved).await?,
        None => {
            let request = read(ctx, tenant, client, &parameters, Arrival::Challenge, proved).await?.map_err(|refused| match refused {
                RequestRefused::OnPage(refusal) | RequestRefused::ToClient(_, refusal) => ChallengeDenied::Refused(refusal),
            })?;
            if let Some(answer) = without_a_page(ctx, tenant, client, &parameters, &request, proved).await? {
                return Ok(answer);
            }
            Asked { request, progress: Progress::default(), expires_at: ctx.now().plus(PATIENCE), is_first: true }
        }
    };
    if let Some(half) = asked.progress.half {
        let Some(new) = new_password else { return insufficient(ctx, tenant, asked, LoginStep::NewPassword, None).await };
        return renewed(ctx, tenant, client, asked, half, new, origin).await;
    }
    let Some(password) = password else { return insufficient(ctx, tenant, asked, LoginStep::Password, None).await };
    let name = username.or_else(|| asked.request.login_hint.clone()).ok_or(ChallengeDenied::NoName)?;
    match (prove(ctx, tenant, &name, &password, origin).await, new_password) {
        (Ok(Proof::Whole(proved)), None) => grant(ctx, client, asked.request, proved, origin).await,
        (Ok(Proof::Whole(_)), Some(_)) => denied(ctx, tenant, asked, LoginDenied::NoNewPassword).await,
        (Ok(Proof::Outdated(Proved { tx, user, now, .. })), new) => {
            tx.commit().await?;
            let half = HalfWay { user: user.id, at: now };
            let asked = Asked { progress: Progress { half: Some(half), ..asked.progress }, ..asked };
            match new {
                None => insufficient(ctx, tenant, asked, LoginStep::NewPassword, None).await,
                Some(new) => renewed(ctx, tenant, client, asked, half, new, origin).await,
            }
        }
        (Err(why), _) => denied(ctx, tenant, asked, why).await,
    }
}

/// The challenge that goes on, and whose handle is used up by that.
async fn taken(ctx: &Ctx, tenant: &Tenant, client: &Client, text: &str, proved: Option<Thumbprint>) -> Result<Asked, ChallengeDenied> {
    let handle = Handle::parse(HandleKind::AuthSession, text).ok_or(ChallengeDenied::InvalidSession)?.hash();
    let mut tx = ctx.store.begin(tenant.id).await?;
    tx.tenant().await?.filter(Tenant::is_active).ok_or(ChallengeDenied::Off)?;
    let row = tx.pending_by_handle(&handle).await?;
    // Whoever else got hold of it uses up nothing.
    let is_theirs = |row: &PendingRequest| {
        ctx.now() < row.expires_at
            && row.request.client_id == client.id
            && (row.request.dpop_jkt.is_none() || row.request.dpop_jkt == proved)
            && row.progress.steps < MOST_STEPS
    };
    let row = row.filter(is_theirs).ok_or(ChallengeDenied::InvalidSession)?;
    if !tx.pending_delete(&handle).await? {
        return Err(ChallengeDenied::InvalidSession);
    }
    let mut progress = row.progress;
    if let Some(half) = progress.half {
        let user = tx.user_by_id(half.user).await?;
        progress.half = user.filter(|user| half.stands_for(user)).map(|_| half);
    }
    tx.commit().await?;
    // A key that is proved from now on is proved to the end.
    let request = AuthorizationRequest { dpop_jkt: row.request.dpop_jkt.or(proved), ..row.request };
    Ok(Asked { request, progress, expires_at: row.expires_at, is_first: false })
}

/// What a request for something that only pages can do is answered.
async fn without_a_page(
    ctx: &Ctx,
    tenant: &Tenant,
    client: &Client,
    parameters: &Parameters,
    request: &AuthorizationRequest,
    proved: Option<Thumbprint>,
) -> Result<Option<Challenged>, ChallengeDenied> {
    if request.prompt.contains(&Prompt::None) {
        let description = "nobody is logged in here without a password";
        return Err(ChallengeDenied::Refused(Refusal { error: AuthorizeError::LoginRequired, description }));
    }
    if ![Prompt::Consent, Prompt::SelectAccount].iter().any(|prompt| request.prompt.contains(prompt)) {
        return Ok(None);
    }
    Ok(Some(to_web(ctx, tenant, client, parameters, request, proved).await?))
}

/// On to a browser, with the same request where it has what one needs (5.2.2.1.1).
async fn to_web(
    ctx: &Ctx,
    tenant: &Tenant,
    client: &Client,
    parameters: &Parameters,
    request: &AuthorizationRequest,
    proved: Option<Thumbprint>,
) -> Result<Challenged, ChallengeDenied> {
    if request.code_challenge.is_none() || request.return_to.redirect_uri.is_empty() {
        return Ok(Challenged::ToWeb { request: None });
    }
    match pushed::push(ctx, tenant, client, parameters, proved).await {
        Ok(handle) => Ok(Challenged::ToWeb { request: Some(handle) }),
        Err(AuthorizeDenied::Fault(fault)) => Err(fault.into()),
        Err(_) => Ok(Challenged::ToWeb { request: None }),
    }
}

/// Writes the challenge down for its next step.
async fn go_on(ctx: &Ctx, tx: &mut dyn TenantTx, asked: Asked) -> Result<Handle, Fault> {
    let handle = ctx.handle(HandleKind::AuthSession);
    let row = PendingRequest {
        handle: handle.hash(),
        // A name that no browser was given.
        browser: ctx.handle(HandleKind::Browser).hash(),
        request: asked.request,
        progress: Progress { steps: asked.progress.steps.saturating_add(1), ..asked.progress },
        expires_at: asked.expires_at,
    };
    tx.pending_insert(&row).await?;
    Ok(handle)
}

async fn insufficient(
    ctx: &Ctx,
    tenant: &Tenant,
    asked: Asked,
    step: LoginStep,
    unfit: Option<NewPasswordDenied>,
) -> Result<Challenged, ChallengeDenied> {
    let mut tx = ctx.store.begin(tenant.id).await?;
    let next = go_on(ctx, tx.as_mut(), asked).await?;
    tx.commit().await?;
    Ok(Challenged::Insufficient { step, unfit, next })
}

/// A login that did not come about. The first step leaves nothing behind: whoever sent it has all that it takes to send it again.
async fn denied(ctx: &Ctx, tenant: &Tenant, asked: Asked, why: LoginDenied) -> Result<Challenged, ChallengeDenied> {
    match why {
        LoginDenied::TenantSuspended => Err(ChallengeDenied::Off),
        LoginDenied::Fault(fault) => Err(ChallengeDenied::Fault(fault)),
        why if asked.is_first => Err(ChallengeDenied::Login(why, None)),
        why => {
            let mut tx = ctx.store.begin(tenant.id).await?;
            let next = go_on(ctx, tx.as_mut(), asked).await?;
            tx.commit().await?;
            Err(ChallengeDenied::Login(why, Some(next)))
        }
    }
}

/// Takes the new password of a user whose right one has to go.
async fn renewed(
    ctx: &Ctx,
    tenant: &Tenant,
    client: &Client,
    asked: Asked,
    half: HalfWay,
    new: Password,
    origin: &Origin,
) -> Result<Challenged, ChallengeDenied> {
    match renew(ctx, tenant, half, new, origin).await {
        Ok(proved) => grant(ctx, client, asked.request, proved, origin).await,
        Err(LoginDenied::NewPassword(why)) => insufficient(ctx, tenant, asked, LoginStep::NewPassword, Some(why)).await,
        // What was proved is worth nothing any more.
        Err(LoginDenied::BadCredentials) => Err(ChallengeDenied::Login(LoginDenied::BadCredentials, None)),
        Err(why) => denied(ctx, tenant, asked, why).await,
    }
}

/// Gives the code, if nothing else is missing. Nobody comes back to the session that it is given in, for no browser has it: it lasts as long as
/// the code, which is worth nothing without it, and what the client gets by the code is listed and ended by itself.
async fn grant(
    ctx: &Ctx,
    client: &Client,
    request: AuthorizationRequest,
    proved: Proved,
    origin: &Origin,
) -> Result<Challenged, ChallengeDenied> {
    let Proved { mut tx, tenant, user, now, .. } = proved;
    let id = SsoSessionId::new(now, ctx.id_entropy());
    let session = SsoSession {
        user_agent: origin.user_agent_cut(),
        source: origin.source.map(|address| address.to_string()),
        idle_expires_at: now.plus(CodeGrant::TTL),
        ..SsoSession::begin(id, ctx.handle(HandleKind::SsoSession).hash(), user.id, Authentication::by(Method::Password, now))
    };
    let progress = Progress { logged_in: Some(user.id), ..Progress::default() };
    let account = (user, session);
    match next(&request, client, Pick::One(&account), None, progress, now) {
        Next::Grant => {}
        Next::Refuse(refusal) => {
            // What was counted and noted about the login stays.
            tx.commit().await?;
            return Err(ChallengeDenied::Refused(refusal));
        }
        Next::AskConsent | Next::ChooseAccount | Next::LogIn(_) => {
            tx.commit().await?;
            return Ok(Challenged::ToWeb { request: None });
        }
    }
    let (user, session) = account;
    tx.sso_insert(&session).await?;
    kept(tx.as_mut(), client).await?;
    let code = ctx.handle(HandleKind::AuthorizationCode);
    let grant = CodeGrant::of(request, &session, None, now);
    tx.code_insert(&code.hash(), &grant).await?;
    let event = AuditEvent::SignedIn { user_id: user.id, sso_session_id: id, client_id: client.id.clone() };
    tx.audit_append(&ctx.record(tenant.id, Actor::User { user_id: user.id }, origin, event)).await?;
    tx.commit().await?;
    Ok(Challenged::Granted(code.text()))
}
