//! A user's own account, on the tenant's pages: what there is about them ([`enter`]), and what they may change.
//!
//! It opens with the same session as logins for clients do ([`crate::authorize`]), in the browser that has it. Invariant: nothing is
//! changed without the token of a form of ours, and nobody gets a new password without the current one.

use std::collections::BTreeMap;

use domain::audit::{Actor, AuditEvent};
use domain::client::ClientId;
use domain::consent::Allowed;
use domain::details::AuthorizationDetails;
use domain::handle::{Handle, HandleKind};
use domain::ids::{FamilyId, SsoSessionId};
use domain::interaction::HalfWay;
use domain::password::{Password, PasswordDenied};
use domain::scope::Scope;
use domain::sso::{Authentication, Method, SsoSession};
use domain::tenant::Tenant;
use domain::text::{BadText, DisplayName};
use domain::time::Timestamp;
use domain::token::family::{RefreshFamily, RevocationCause};
use domain::user::{CustomClaims, User};
use serde_json::{Value, json};

use crate::authorize::accounts::Switched;
use crate::authorize::{
    AuthorizeDenied, Browser, Kept, SignInCommand, SignInDenied, check_anonymous, check_csrf, csrf_token, session_begin, sign_out, standing,
};
use crate::credentials::hash_pool::Busy;
use crate::ctx::{Ctx, Origin};
use crate::fault::Fault;
use crate::login::{LoginDenied, Proof, prove, renew};
use crate::ports::store::{StoreError, TenantTx};
use crate::sessions;
use crate::users::{self, UserDenied};

pub mod backchannel;
pub mod email;

/// What the account's address shows.
#[derive(Debug)]
pub enum Entered {
    /// Nobody is logged in.
    LogIn,
    Account(Box<Account>),
}

/// All that is known about a user, for the user.
#[derive(Debug)]
pub struct Account {
    pub user: User,
    /// What a form of the page has to bring along.
    pub csrf_token: String,
    /// The session that looks, first; then the newest ones.
    pub sessions: Vec<OpenSession>,
    pub applications: Vec<Application>,
    /// What clients wait for an answer to.
    pub waiting: Vec<backchannel::Waiting>,
}

/// A session that can be ended by itself.
#[derive(Debug, Clone)]
pub struct OpenSession {
    pub id: SessionName,
    /// Who has it, where it is not the user's own browser.
    pub client: Option<String>,
    pub user_agent: Option<String>,
    pub source: Option<String>,
    pub began_at: Timestamp,
    pub last_used_at: Timestamp,
    pub is_current: bool,
}

/// Names a session as the account shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SessionName {
    /// With the tenant's pages, together with what clients got by it.
    Pages(SsoSessionId),
    /// Of one client, beside any of those.
    Client(FamilyId),
}

impl std::fmt::Display for SessionName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Pages(id) => id.fmt(f),
            Self::Client(id) => id.fmt(f),
        }
    }
}

impl std::str::FromStr for SessionName {
    type Err = domain::ids::NotAnId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self::Pages).or_else(|_| text.parse().map(Self::Client))
    }
}

/// A client that was allowed something, or has something.
#[derive(Debug, Clone)]
pub struct Application {
    pub client_id: ClientId,
    pub name: String,
    pub scope: Scope,
    /// What was allowed in detail, last.
    pub details: AuthorizationDetails,
    pub allowed_at: Timestamp,
}

/// Why the account does not open.
#[derive(Debug)]
pub enum AccountDenied {
    /// Nobody is logged in (any more).
    SignedOut,
    Request(AuthorizeDenied),
}

impl<E: Into<Fault>> From<E> for AccountDenied {
    fn from(error: E) -> Self {
        Self::Request(error.into().into())
    }
}

/// A user with their session, in a transaction.
struct Member {
    tx: Box<dyn TenantTx>,
    user: User,
    session: SsoSession,
    csrf_token: String,
}

/// What the member wants to do with the transaction.
enum Intent<'a> {
    Look,
    /// With the token that the form brought.
    Change(&'a str),
}

async fn member(ctx: &Ctx, tenant: &Tenant, browser: &Browser, intent: Intent<'_>) -> Result<Member, AccountDenied> {
    let (Some(named), Some(handle)) = (&browser.browser, &browser.session) else { return Err(AccountDenied::SignedOut) };
    let csrf_token = csrf_token(ctx, tenant, &handle.hash(), &named.hash()).await?;
    let mut tx = match intent {
        Intent::Look => ctx.store.begin_read(tenant.id).await?,
        Intent::Change(_) => ctx.store.begin(tenant.id).await?,
    };
    tx.tenant().await?.filter(Tenant::is_active).ok_or(AccountDenied::Request(AuthorizeDenied::TenantSuspended))?;
    let (user, session) = standing(tx.as_mut(), browser, ctx.now()).await?.ok_or(AccountDenied::SignedOut)?;
    if let Intent::Change(given) = intent {
        check_csrf(&csrf_token, given).map_err(AccountDenied::Request)?;
    }
    Ok(Member { tx, user, session, csrf_token })
}

/// Shows the account of whoever is logged in.
///
/// # Errors
/// See [`AuthorizeDenied`].
#[tracing::instrument(level = "debug", name = "app.account", skip_all)]
pub async fn enter(ctx: &Ctx, tenant: &Tenant, browser: &Browser) -> Result<Entered, AuthorizeDenied> {
    let Member { mut tx, user, session, csrf_token } = match member(ctx, tenant, browser, Intent::Look).await {
        Ok(member) => member,
        Err(AccountDenied::Request(denied)) => return Err(denied),
        Err(AccountDenied::SignedOut) => return Ok(Entered::LogIn),
    };
    let now = ctx.now();
    let account = read(tx.as_mut(), user, &session, csrf_token, now).await?;
    drop(tx);
    if let Some(idle_expires_at) = session.touched(now) {
        let mut tx = ctx.store.begin(tenant.id).await?;
        tx.sso_touch(&session.handle, idle_expires_at).await?;
        tx.commit().await?;
    }
    Ok(Entered::Account(Box::new(account)))
}

async fn read(tx: &mut dyn TenantTx, user: User, current: &SsoSession, csrf_token: String, now: Timestamp) -> Result<Account, StoreError> {
    let with_pages = tx.sso_of(user.id, now).await?;
    let families = tx.families_live(user.id, now).await?;
    let consents = tx.consents_of(user.id).await?;
    let mut names = BTreeMap::new();
    for id in consents.iter().map(|consent| &consent.client_id).chain(families.iter().map(|family| &family.client_id)) {
        if !names.contains_key(id) && *id != ClientId::first_party() {
            let name = tx.client_by_id(id).await?.map(|client| client.shown_name());
            names.insert(id.clone(), name.unwrap_or_else(|| id.to_string()));
        }
    }

    let mut applications: BTreeMap<_, _> =
        consents.into_iter().map(|consent| (consent.client_id.clone(), (consent.allowed, consent.granted_at))).collect();
    for family in families.iter().filter(|family| family.client_id != ClientId::first_party()) {
        let granted = || Allowed { scope: family.scope.clone(), details: family.details.clone(), ..Allowed::default() };
        applications.entry(family.client_id.clone()).or_insert_with(|| (granted(), family.created_at));
    }
    let applications = applications.into_iter().map(|(client_id, (Allowed { scope, details, .. }, allowed_at))| {
        let name = names.get(&client_id).cloned().unwrap_or_default();
        Application { client_id, name, scope, details, allowed_at }
    });

    let under_pages = |family: &RefreshFamily| {
        let begun_in = family.sign_on.as_ref().map(|sign_on| sign_on.session_id);
        with_pages.iter().any(|session| Some(session.id) == begun_in)
    };
    let of_clients = families.iter().filter(|family| !under_pages(family)).map(|family| {
        let client = names.get(&family.client_id).cloned();
        // Who redeems a code is the client's server: its address says nothing about the user.
        let is_own = client.is_none();
        OpenSession {
            id: SessionName::Client(family.id),
            client,
            user_agent: family.user_agent.clone().filter(|_| is_own),
            source: family.source.clone().filter(|_| is_own),
            began_at: family.created_at,
            last_used_at: family.head.rotated_at,
            is_current: false,
        }
    });
    let mut sessions: Vec<_> = with_pages
        .iter()
        .map(|session| OpenSession {
            id: SessionName::Pages(session.id),
            client: None,
            user_agent: session.user_agent.clone(),
            source: session.source.clone(),
            began_at: session.authentication.at,
            last_used_at: session.last_used_at(),
            is_current: session.id == current.id,
        })
        .chain(of_clients)
        .collect();
    sessions.sort_by_key(|session| (!session.is_current, std::cmp::Reverse(session.began_at)));
    let applications = applications.collect();
    let waiting = backchannel::waiting(tx, user.id, now).await?;
    Ok(Account { user, csrf_token, sessions, applications, waiting })
}

/// Logs a user in to their account; `new` takes the place of a password that has to go.
///
/// # Errors
/// See [`SignInDenied`].
#[tracing::instrument(level = "debug", name = "app.account_sign_in", skip_all)]
pub async fn sign_in(
    ctx: &Ctx,
    tenant: &Tenant,
    browser: &Browser,
    command: SignInCommand,
    new: Option<Password>,
    origin: &Origin,
) -> Result<Kept, SignInDenied> {
    check_anonymous(ctx, tenant, browser, &command.csrf_token).await?;
    let proved = match (prove(ctx, tenant, &command.name, &command.password, origin).await.map_err(SignInDenied::Login)?, new) {
        (Proof::Whole(proved), _) => proved,
        (Proof::Outdated(proved), new) => {
            let half = HalfWay { user: proved.user.id, at: proved.now };
            proved.tx.commit().await.map_err(AuthorizeDenied::from)?;
            let new = new.ok_or(SignInDenied::Login(LoginDenied::PasswordChangeRequired))?;
            renew(ctx, tenant, half, new, origin).await.map_err(SignInDenied::Login)?
        }
    };
    let stored = async {
        let (tx, kept) = session_begin(ctx, proved, browser, ClientId::first_party(), origin).await?;
        tx.commit().await?;
        Ok(kept)
    };
    stored.await.map_err(|error: StoreError| AuthorizeDenied::from(error).into())
}

/// Changes the name that the user goes by, their claim `name`. Answers whether it can be one.
///
/// # Errors
/// See [`AccountDenied`].
pub async fn rename(
    ctx: &Ctx,
    tenant: &Tenant,
    browser: &Browser,
    name: &str,
    token: &str,
    origin: &Origin,
) -> Result<Result<(), BadText>, AccountDenied> {
    let Member { mut tx, mut user, .. } = member(ctx, tenant, browser, Intent::Change(token)).await?;
    let claims = name.parse::<DisplayName>().and_then(|name| {
        let mut claims = user.claims.as_map().clone();
        claims.insert("name".to_owned(), json!(name));
        CustomClaims::try_from(claims)
    });
    let claims = match claims {
        Ok(claims) => claims,
        Err(bad) => return Ok(Err(bad)),
    };
    if claims != user.claims {
        (user.claims, user.updated_at) = (claims, ctx.now());
        tx.user_update(&user).await?;
        let event = AuditEvent::UserChanged { user_id: user.id, changed: vec!["name".to_owned()] };
        tx.audit_append(&ctx.record(tenant.id, Actor::User { user_id: user.id }, origin, event)).await?;
        tx.commit().await?;
    }
    Ok(Ok(()))
}

/// A new password in place of the current one.
#[derive(Debug)]
pub struct ChangePassword {
    pub current: Password,
    pub new: Password,
    pub csrf_token: String,
}

#[derive(Debug)]
pub enum PasswordChangeDenied {
    Account(AccountDenied),
    /// The current one is not right, or may not be tried now.
    Current(LoginDenied),
    /// It is the one that the user has.
    Same,
    New(PasswordDenied),
    Busy(Busy),
}

impl<E: Into<AccountDenied>> From<E> for PasswordChangeDenied {
    fn from(error: E) -> Self {
        Self::Account(error.into())
    }
}

/// Changes the user's own password. All other sessions end; this one goes on under a new handle, which is answered.
///
/// # Errors
/// See [`PasswordChangeDenied`].
#[tracing::instrument(level = "debug", name = "app.change_password", skip_all)]
pub async fn change_password(
    ctx: &Ctx,
    tenant: &Tenant,
    browser: &Browser,
    command: ChangePassword,
    origin: &Origin,
) -> Result<Handle, PasswordChangeDenied> {
    let ChangePassword { current, new, csrf_token } = command;
    let asking = member(ctx, tenant, browser, Intent::Change(&csrf_token)).await?;
    let user = asking.user;
    drop(asking.tx);
    prove_again(ctx, tenant, &user, &current, origin).await.map_err(PasswordChangeDenied::Current)?;
    if current.expose() == new.expose() {
        return Err(PasswordChangeDenied::Same);
    }
    let phc = users::checked_hash(ctx, tenant, &user, new).await.map_err(|denied| match denied {
        UserDenied::Password(denied) => PasswordChangeDenied::New(denied),
        UserDenied::Busy(busy) => PasswordChangeDenied::Busy(busy),
        UserDenied::Fault(fault) => fault.into(),
        other => Fault::Broken(format!("hashing answered {other:?}")).into(),
    })?;
    // Whoever changed the password meanwhile has ended this session.
    let Member { mut tx, user, session, .. } = member(ctx, tenant, browser, Intent::Change(&csrf_token)).await?;
    let user_id = user.id;
    let actor = Actor::User { user_id };
    let since = users::password_replace(ctx, tx.as_mut(), user, &phc, Some(session.id), actor, origin).await?;
    let begun = ctx.handle(HandleKind::SsoSession);
    tx.sso_delete(&session.handle).await?;
    let anew = SsoSession::begin(session.id, begun.hash(), user_id, Authentication::by(Method::Password, since));
    tx.sso_insert(&SsoSession { user_agent: session.user_agent, source: session.source, ..anew }).await?;
    tx.commit().await?;
    Ok(begun)
}

/// Has a user who is logged in prove once more who they are. Counted like a login.
async fn prove_again(ctx: &Ctx, tenant: &Tenant, user: &User, password: &Password, origin: &Origin) -> Result<(), LoginDenied> {
    let (Proof::Whole(proved) | Proof::Outdated(proved)) = prove(ctx, tenant, &user.login_name(), password, origin).await?;
    if proved.user.id != user.id {
        return Err(LoginDenied::BadCredentials);
    }
    Ok(proved.tx.commit().await?)
}

/// Ends one session of the user who is logged in. One that is not theirs, or not there, is passed over.
///
/// # Errors
/// See [`AccountDenied`].
pub async fn end_session(
    ctx: &Ctx,
    tenant: &Tenant,
    browser: &Browser,
    name: SessionName,
    token: &str,
    origin: &Origin,
) -> Result<(), AccountDenied> {
    let Member { mut tx, user, .. } = member(ctx, tenant, browser, Intent::Change(token)).await?;
    let now = ctx.now();
    match name {
        SessionName::Pages(id) => {
            if let Some(session) = tx.sso_of(user.id, now).await?.into_iter().find(|session| session.id == id) {
                sign_out::end(ctx, tenant, tx.as_mut(), user.id, &session, origin).await?;
            }
        }
        SessionName::Client(id) => {
            let family = tx.families_live(user.id, now).await?.into_iter().filter(|family| family.id == id).collect();
            if sessions::revoke(ctx, tx.as_mut(), family, RevocationCause::UserRequest).await? == 0 {
                return Ok(());
            }
            let event =
                AuditEvent::SessionRevoked { user_id: user.id, session_id: id, cause: RevocationCause::UserRequest.name().to_owned() };
            tx.audit_append(&ctx.record(tenant.id, Actor::User { user_id: user.id }, origin, event)).await?;
        }
    }
    Ok(tx.commit().await?)
}

/// Ends all sessions of the user but the one that asks, with all that clients got otherwise.
///
/// # Errors
/// See [`AccountDenied`].
pub async fn end_other_sessions(ctx: &Ctx, tenant: &Tenant, browser: &Browser, token: &str, origin: &Origin) -> Result<(), AccountDenied> {
    let Member { mut tx, user, session, .. } = member(ctx, tenant, browser, Intent::Change(token)).await?;
    let (cause, actor) = (RevocationCause::UserRequest, Actor::User { user_id: user.id });
    sessions::end_but(ctx, tx.as_mut(), user.id, session.id, cause, actor, origin).await?;
    Ok(tx.commit().await?)
}

/// Takes back what the user allowed a client, and ends the client's sessions.
///
/// # Errors
/// See [`AccountDenied`].
pub async fn revoke(
    ctx: &Ctx,
    tenant: &Tenant,
    browser: &Browser,
    client_id: &ClientId,
    token: &str,
    origin: &Origin,
) -> Result<(), AccountDenied> {
    let Member { mut tx, user, .. } = member(ctx, tenant, browser, Intent::Change(token)).await?;
    let was_allowed = tx.consent_delete(user.id, client_id).await?;
    let mut families = tx.families_live(user.id, ctx.now()).await?;
    families.retain(|family| family.client_id == *client_id && *client_id != ClientId::first_party());
    let ended = sessions::revoke(ctx, tx.as_mut(), families, RevocationCause::UserRequest).await?;
    if was_allowed || ended > 0 {
        let event = AuditEvent::ConsentRevoked { user_id: user.id, client_id: client_id.clone() };
        tx.audit_append(&ctx.record(tenant.id, Actor::User { user_id: user.id }, origin, event)).await?;
        tx.commit().await?;
    }
    Ok(())
}

/// All that is stored about the user who is logged in, but the audit log, which is the tenant's.
///
/// # Errors
/// See [`AccountDenied`].
pub async fn export(ctx: &Ctx, tenant: &Tenant, browser: &Browser, origin: &Origin) -> Result<Value, AccountDenied> {
    let Member { mut tx, user, session, csrf_token } = member(ctx, tenant, browser, Intent::Look).await?;
    let Account { user, sessions, applications, .. } = read(tx.as_mut(), user, &session, csrf_token, ctx.now()).await?;
    drop(tx);
    let mut tx = ctx.store.begin(tenant.id).await?;
    let event = AuditEvent::DataExported { user_id: user.id };
    tx.audit_append(&ctx.record(tenant.id, Actor::User { user_id: user.id }, origin, event)).await?;
    tx.commit().await?;
    let sessions: Vec<_> = sessions
        .iter()
        .map(|session| {
            json!({
                "id": session.id.to_string(), "client": session.client, "user_agent": session.user_agent, "source": session.source,
                "began_at": session.began_at, "last_used_at": session.last_used_at, "is_current": session.is_current,
            })
        })
        .collect();
    let applications: Vec<_> = applications
        .iter()
        .map(|app| {
            json!({
                "client_id": app.client_id, "name": app.name, "scope": app.scope, "authorization_details": app.details,
                "allowed_at": app.allowed_at,
            })
        })
        .collect();
    Ok(json!({
        "issuer": tenant.issuer(&ctx.base_url), "exported_at": ctx.now(), "sub": user.id, "username": user.names.username(),
        "email": user.names.email(), "claims": user.claims, "roles": user.roles, "created_at": user.created_at,
        "updated_at": user.updated_at, "password_changed_at": user.password_changed_at, "sessions": sessions,
        "applications": applications,
    }))
}

/// Logs the user out here, with what clients got by this session; other accounts of the browser stay.
///
/// # Errors
/// See [`AuthorizeDenied`].
pub async fn leave(ctx: &Ctx, tenant: &Tenant, browser: &Browser, token: &str, origin: &Origin) -> Result<Switched, AuthorizeDenied> {
    let Member { mut tx, user, session, .. } = match member(ctx, tenant, browser, Intent::Change(token)).await {
        Ok(member) => member,
        Err(AccountDenied::SignedOut) => return Ok(Switched { kept: Kept(browser.others.clone()), frames: Vec::new() }),
        Err(AccountDenied::Request(denied)) => return Err(denied),
    };
    let frames = sign_out::end(ctx, tenant, tx.as_mut(), user.id, &session, origin).await?;
    tx.commit().await?;
    Ok(Switched { kept: Kept(browser.others.clone()), frames })
}
