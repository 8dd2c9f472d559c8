//! Login with a name and a password: counts the attempt, checks the password, opens a session.
//!
//! A password that has to be replaced is right as far as [`Proof::Outdated`]: it is good for [`renew`] and nothing else.
//!
//! Invariant: an unknown name and a wrong password take the same steps, cost the same computing and say the same words; and
//! no transaction is open while a password is hashed.

use std::sync::Arc;

use domain::audit::{Actor, AuditEvent, LoginFailure};
use domain::client::{Client, ClientId};
use domain::details::AuthorizationDetails;
use domain::guess::GuessScope;
use domain::ids::{FamilyId, UserId};
use domain::interaction::HalfWay;
use domain::mail::Letter;
use domain::password::{Password, PasswordDenied, WeakHashes};
use domain::resource::{ResourceSet, Target};
use domain::scope::Scope;
use domain::secret::Secret;
use domain::sso::SignOn;
use domain::tenant::Tenant;
use domain::text::{LoginName, Role};
use domain::time::{Timestamp, Ttl};
use domain::token::family::{Binding, Head, RefreshFamily};
use domain::user::User;
use tracing::Instrument;

use crate::credentials::hash_pool::Busy;
use crate::credentials::password::{self, Checked};
use crate::ctx::{Ctx, Origin};
use crate::fault::Fault;
use crate::mail::queue;
use crate::ports::keys::TokenSigner;
use crate::ports::store::{Account, GuessSubject, StoreError, TenantTx};
use crate::tokens::issue::{Issue, IssuedTokens, issue};
use crate::users::{self, UserDenied};

#[derive(Debug, Clone)]
pub struct LoginCommand {
    pub name: String,
    pub password: Password,
    /// In place of a password that has to go.
    pub new_password: Option<Password>,
    pub scope: Option<Scope>,
    pub binding: Binding,
}

#[derive(Debug)]
pub enum LoginDenied {
    /// Unknown name, wrong password, disabled user: one answer for all.
    BadCredentials,
    TooManyAttempts {
        retry_at: Timestamp,
    },
    TenantSuspended,
    /// The password is right, and good for choosing another one alone.
    PasswordChangeRequired,
    /// No other password is demanded.
    NoNewPassword,
    /// The other password is not one to have.
    NewPassword(NewPasswordDenied),
    Busy(Busy),
    Fault(Fault),
}

/// Why a password does not take the place of one that has to go.
#[derive(Debug)]
pub enum NewPasswordDenied {
    /// It is the one that has to go.
    Same,
    Unfit(PasswordDenied),
}

impl<E: Into<Fault>> From<E> for LoginDenied {
    fn from(error: E) -> Self {
        Self::Fault(error.into())
    }
}

/// A place counts as known for this long after the last login from it.
pub const KNOWN_SOURCE: Ttl = Ttl::days(30);

/// A known place is written down again after this long: not at each login.
const REMEMBER_AGAIN: Ttl = Ttl::days(1);

/// The counters one attempt is counted by.
struct Counters {
    account: (GuessScope, GuessSubject),
    source: (GuessScope, GuessSubject),
    place: GuessSubject,
    /// When the user was last remembered to have logged in from there, if that is not too long ago.
    seen_at: Option<Timestamp>,
}

/// A user who has proved who they are, in the transaction that says so. What follows from it is written before the commit.
pub(crate) struct Proved {
    pub tx: Box<dyn TenantTx>,
    /// As it is now.
    pub tenant: Tenant,
    pub user: User,
    pub signer: Arc<dyn TokenSigner>,
    pub now: Timestamp,
}

/// What a right name and password are worth.
pub(crate) enum Proof {
    Whole(Proved),
    /// The password has to be replaced before anything else.
    Outdated(Proved),
}

/// Logs a user of the first-party application in.
///
/// Two short transactions with one hash between them, on the pool. A success clears the account's counter.
///
/// # Errors
/// See [`LoginDenied`].
#[tracing::instrument(level = "debug", name = "app.login", skip_all)]
pub async fn login(ctx: &Ctx, tenant: &Tenant, command: LoginCommand, origin: &Origin) -> Result<IssuedTokens, LoginDenied> {
    let proved = match (prove(ctx, tenant, &command.name, &command.password, origin).await?, command.new_password) {
        (Proof::Whole(proved), None) => proved,
        (Proof::Whole(_), Some(_)) => return Err(LoginDenied::NoNewPassword),
        (Proof::Outdated(proved), None) => {
            proved.tx.commit().await?;
            return Err(LoginDenied::PasswordChangeRequired);
        }
        (Proof::Outdated(proved), Some(new)) => {
            let Proved { tx, user, now, .. } = proved;
            tx.commit().await?;
            renew(ctx, tenant, HalfWay { user: user.id, at: now }, new, origin).await?
        }
    };
    let Proved { mut tx, tenant, user, signer, now } = proved;
    let ring = tx.ring().await?.ok_or_else(|| Fault::Broken("the tenant has no key ring".to_owned()))?;
    let scope = granted_scope(command.scope, &user);
    let family = begin_family(ctx, &tenant, user.id, ClientId::first_party(), scope.clone(), command.binding, None, origin);
    tx.family_insert(&family).await?;
    let event = AuditEvent::LoginSucceeded { user_id: user.id, session_id: family.id };
    tx.audit_append(&ctx.record(tenant.id, Actor::User { user_id: user.id }, origin, event)).await?;
    tx.commit().await?;
    // The ring may have moved on since the snapshot was made: sign with what the row says.
    let signer = if signer.generation() >= ring.generation { signer } else { ctx.keys.signer(tenant.id, ring.generation).await? };
    let (client, target) = (Client::first_party(), Target::usual());
    let what = Issue {
        tenant: &tenant,
        client: &client,
        user: &user,
        family: &family,
        scope,
        target,
        details: AuthorizationDetails::none(),
        nonce: None,
        cnf: None,
        signer,
        now,
    };
    Ok(issue(ctx, what).await?)
}

/// A session that begins now.
#[expect(clippy::too_many_arguments, reason = "a row with few defaults")]
pub(crate) fn begin_family(
    ctx: &Ctx,
    tenant: &Tenant,
    user_id: UserId,
    client_id: ClientId,
    scope: Scope,
    binding: Binding,
    sign_on: Option<SignOn>,
    origin: &Origin,
) -> RefreshFamily {
    let now = ctx.now();
    let absolute_expires_at = now.plus(tenant.policy.refresh_absolute_ttl_seconds);
    RefreshFamily {
        id: FamilyId::new(now, ctx.id_entropy()),
        user_id,
        client_id,
        scope,
        resources: ResourceSet::new(),
        details: AuthorizationDetails::none(),
        binding,
        auth_time: sign_on.as_ref().map_or(now, |sign_on| sign_on.authentication.at),
        head: Head::first(now),
        idle_expires_at: now.plus(tenant.policy.refresh_idle_ttl_seconds).min(absolute_expires_at),
        absolute_expires_at,
        revoked: None,
        created_at: now,
        sign_on,
        user_agent: origin.user_agent_cut(),
        source: origin.source.map(|address| address.to_string()),
    }
}

/// Checks a name and a password: what every login with a password goes through, wherever it was typed.
///
/// # Errors
/// See [`LoginDenied`].
pub(crate) async fn prove(ctx: &Ctx, tenant: &Tenant, name: &str, password: &Password, origin: &Origin) -> Result<Proof, LoginDenied> {
    if !tenant.is_active() {
        return Err(LoginDenied::TenantSuspended);
    }
    let signer = ctx.keys.signer(tenant.id, 0).await?;
    let typed = name;
    let name = typed.parse::<LoginName>().ok();

    // First of all: whoever cannot be answered now costs no commit. Nothing is learnt from that, so nothing is counted.
    let place = ctx.hashing.place(tenant.id).map_err(LoginDenied::Busy)?;
    let mut tx = ctx.store.begin(tenant.id).await?;
    let account = match &name {
        Some(name) => tx.account_by_login(name).await?,
        None => None,
    };
    let (user, phc) = account.map_or((None, None), |account| (Some(account.user), account.phc));
    let counters = counters(tx.as_mut(), signer.as_ref(), user.as_ref(), name.as_ref(), typed, origin, ctx.now()).await?;
    count_attempt(tx.as_mut(), &counters, ctx.now()).await?;
    tx.commit().await?;

    let (params, weak) = (tenant.policy.argon2, tenant.policy.weak_password_hashes);
    let entered = password.clone();
    let stored = phc.clone();
    let mut salt = [0; 16];
    ctx.entropy.fill(&mut salt);
    let (checked, upgraded) = place
        .run(move |memory| match stored {
            Some(stored) => {
                let checked = password::check(memory, &entered, &stored, params);
                let is_upgraded = match checked {
                    Checked::RightButOutdated => true,
                    Checked::RightButWeak => weak == WeakHashes::Rehash,
                    Checked::Right | Checked::Wrong => false,
                };
                let upgraded = is_upgraded.then(|| password::hash(memory, &entered, params, &salt)).flatten();
                (checked, upgraded)
            }
            None => {
                password::decoy(memory, &entered, params);
                (Checked::Wrong, None)
            }
        })
        .instrument(tracing::debug_span!("app.check_password"))
        .await
        .map_err(LoginDenied::Busy)?;

    let (Some(user), Some(phc), true) = (&user, &phc, checked != Checked::Wrong) else {
        let reason = if user.is_some() { LoginFailure::WrongPassword } else { LoginFailure::UnknownUser };
        return Err(failed(ctx, tenant, user.as_ref().map(|user| user.id), reason, origin).await);
    };
    let proved = proved(ctx, tenant, user.id, phc, (checked, upgraded), &counters, signer, origin).await?;
    Ok(if proved.user.password_change_required_at.is_some() { Proof::Outdated(proved) } else { Proof::Whole(proved) })
}

/// Puts a new password in the place of one that was proved and has to go, and answers like a login with it. No transaction is held while
/// passwords are hashed.
///
/// # Errors
/// See [`LoginDenied`]; [`LoginDenied::BadCredentials`] when what was proved is worth nothing any more.
pub(crate) async fn renew(ctx: &Ctx, tenant: &Tenant, half: HalfWay, new: Password, origin: &Origin) -> Result<Proved, LoginDenied> {
    let account = ctx.store.begin_read(tenant.id).await?.account_by_id(half.user).await?;
    let account = account.filter(|account| half.stands_for(&account.user)).ok_or(LoginDenied::BadCredentials)?;
    let old = account.phc.clone().ok_or(LoginDenied::BadCredentials)?;
    let (params, entered) = (tenant.policy.argon2, new.clone());
    let checked = ctx.hashing.run(tenant.id, move |memory| password::check(memory, &entered, &old, params)).await;
    if checked.map_err(LoginDenied::Busy)? != Checked::Wrong {
        return Err(LoginDenied::NewPassword(NewPasswordDenied::Same));
    }
    let phc = users::checked_hash(ctx, tenant, &account.user, new).await.map_err(|denied| match denied {
        UserDenied::Password(denied) => LoginDenied::NewPassword(NewPasswordDenied::Unfit(denied)),
        UserDenied::Busy(busy) => LoginDenied::Busy(busy),
        UserDenied::Fault(fault) => LoginDenied::Fault(fault),
        other => LoginDenied::Fault(Fault::Broken(format!("hashing answered {other:?}"))),
    })?;
    let signer = ctx.keys.signer(tenant.id, 0).await?;
    let mut tx = ctx.store.begin(tenant.id).await?;
    let Some(tenant) = tx.tenant().await?.filter(Tenant::is_active) else { return Err(LoginDenied::TenantSuspended) };
    // Of two that come at once, one is there first: for the other one there is nothing to replace any more.
    let user = tx.user_by_id(half.user).await?.filter(|user| half.stands_for(user)).ok_or(LoginDenied::BadCredentials)?;
    let actor = Actor::User { user_id: user.id };
    let now = users::password_replace(ctx, tx.as_mut(), user, &phc, None, actor, origin).await?;
    let user = tx.user_by_id(half.user).await?.ok_or(LoginDenied::BadCredentials)?;
    Ok(Proved { tx, tenant, user, signer, now })
}

async fn counters(
    tx: &mut dyn TenantTx,
    signer: &dyn TokenSigner,
    user: Option<&User>,
    name: Option<&LoginName>,
    typed: &str,
    origin: &Origin,
    now: Timestamp,
) -> Result<Counters, StoreError> {
    let place = signer.blind("source", &origin.place());
    let who = match (user, name) {
        (Some(user), _) => user.id.to_string(),
        (None, Some(name)) => name.key().to_owned(),
        (None, None) => typed.chars().take(256).collect(),
    };
    // Nobody has this id: an unknown name costs the same statements as a known one.
    let asked_id = user.map_or(UserId::from_uuid(uuid::Uuid::nil()), |user| user.id);
    let seen_at = tx.source_seen(asked_id, &place).await?.filter(|seen_at| *seen_at >= now.minus(KNOWN_SOURCE));
    let account = if seen_at.is_some() {
        let both = [who.as_bytes(), &place].concat();
        (GuessScope::AccountFromKnownSource, signer.blind("account-from-known-source", &both))
    } else {
        (GuessScope::AccountFromElsewhere, self::account(signer, &who))
    };
    Ok(Counters { account, source: (GuessScope::Source, place), place, seen_at })
}

/// Counts before looking, so that parallel guesses cannot outrun the count (R41).
async fn count_attempt(tx: &mut dyn TenantTx, counters: &Counters, now: Timestamp) -> Result<(), LoginDenied> {
    let asked = [counters.source, counters.account];
    let mut counted = Vec::with_capacity(asked.len());
    for ((scope, subject), counter) in asked.into_iter().zip(tx.guess_counters(&asked).await?) {
        let counter = counter.attempt(scope, now).map_err(|denied| LoginDenied::TooManyAttempts { retry_at: denied.retry_at })?;
        counted.push((scope, subject, counter));
    }
    Ok(tx.guess_counters_set(&counted, now).await?)
}

async fn failed(ctx: &Ctx, tenant: &Tenant, user_id: Option<UserId>, reason: LoginFailure, origin: &Origin) -> LoginDenied {
    let record = ctx.record(tenant.id, Actor::Anonymous, origin, AuditEvent::LoginFailed { user_id, reason });
    match crate::audit::append(ctx, &record).await {
        Ok(()) => LoginDenied::BadCredentials,
        Err(fault) => LoginDenied::Fault(fault),
    }
}

/// Everything that was true before hashing is looked at again in the transaction that says so.
#[tracing::instrument(level = "debug", name = "app.open_session", skip_all)]
#[expect(clippy::too_many_arguments, reason = "the second half of one flow, split where the transaction begins")]
async fn proved(
    ctx: &Ctx,
    tenant: &Tenant,
    user_id: UserId,
    checked_phc: &Secret<String>,
    (checked, upgraded): (Checked, Option<Secret<String>>),
    counters: &Counters,
    signer: Arc<dyn TokenSigner>,
    origin: &Origin,
) -> Result<Proved, LoginDenied> {
    let now = ctx.now();
    let mut tx = ctx.store.begin(tenant.id).await?;
    let Some(tenant) = tx.tenant().await?.filter(Tenant::is_active) else { return Err(LoginDenied::TenantSuspended) };
    let is_unchanged = |account: &Account| account.phc.as_ref().is_some_and(|phc| phc.expose() == checked_phc.expose());
    let account = tx.account_by_id(user_id).await?.filter(is_unchanged);
    let Some(mut user) = account.map(|account| account.user).filter(|user| user.may_log_in().is_ok()) else {
        drop(tx);
        return Err(failed(ctx, &tenant, Some(user_id), LoginFailure::UserDisabled, origin).await);
    };
    tx.guess_counter_clear(counters.account.0, &counters.account.1).await?;
    // Only this attempt is forgiven: a place that guesses at many accounts is not cleared by owning one of them.
    tx.guess_forgive(counters.source.0, &counters.source.1).await?;
    if counters.seen_at.is_none()
        && ctx.mail.is_on()
        && let Some(address) = user.names.email().cloned()
        // The first place of all is no new one.
        && tx.source_is_any(user.id).await?
    {
        let (user_agent, place) = (origin.user_agent_cut(), origin.source.map(|address| address.to_string()));
        let letter = Letter::NewSignIn { address, user_agent, place, at: now };
        queue(ctx, tx.as_mut(), Some(user.id), letter, None).await?;
    }
    if counters.seen_at.is_none_or(|seen_at| seen_at < now.minus(REMEMBER_AGAIN)) {
        tx.source_remember(user.id, &counters.place, now).await?;
    }
    if checked == Checked::RightButWeak && tenant.policy.weak_password_hashes == WeakHashes::MustChange {
        if user.password_change_required_at.is_none() {
            (user.password_change_required_at, user.updated_at) = (Some(now), now);
            tx.user_update(&user).await?;
            let event = AuditEvent::PasswordChangeRequired { user_id: user.id };
            tx.audit_append(&ctx.record(tenant.id, Actor::System, origin, event)).await?;
        }
    } else if let Some(phc) = upgraded {
        tx.password_hash_set(user.id, &phc).await?;
        let event = AuditEvent::PasswordRehashed { user_id: user.id };
        tx.audit_append(&ctx.record(tenant.id, Actor::System, origin, event)).await?;
    }
    Ok(Proved { tx, tenant, user, signer, now })
}

/// Forgets what others guessed at this account from elsewhere: its owner has proved to be there.
pub(crate) async fn forgive(tx: &mut dyn TenantTx, signer: &dyn TokenSigner, user: UserId) -> Result<(), StoreError> {
    tx.guess_counter_clear(GuessScope::AccountFromElsewhere, &account(signer, &user.to_string())).await
}

/// The subject of the counter of guesses at an account, from wherever it was never logged in to.
fn account(signer: &dyn TokenSigner, who: &str) -> GuessSubject {
    signer.blind("account", who.as_bytes())
}

/// What the first-party client gets of what it asked for: `account`, and `admin` for an administrator.
fn granted_scope(asked: Option<Scope>, user: &User) -> Scope {
    asked.unwrap_or_else(Scope::default_grant).retain(|token| match token {
        Scope::ACCOUNT => true,
        Scope::ADMIN => user.roles.contains(Role::ADMIN),
        _ => false,
    })
}
