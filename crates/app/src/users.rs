//! Users of a tenant, as its administrators handle them.
//!
//! Invariant: disabling or deleting a user, or setting a password, ends the user's sessions in the same transaction.

use domain::audit::{Actor, AuditEvent};
use domain::ids::{SsoSessionId, UserId};
use domain::password::{Password, PasswordDenied};
use domain::secret::Secret;
use domain::tenant::Tenant;
use domain::text::{BadText, Email, Username};
use domain::time::Timestamp;
use domain::token::family::{Revocation, RevocationCause};
use domain::user::{CustomClaims, Roles, User, UserNames, UserStatus};

use crate::credentials::hash_pool::Busy;
use crate::credentials::password;
use crate::ctx::{Ctx, Origin};
use crate::fault::Fault;
use crate::ports::store::{StoreError, TenantTx};
use crate::sessions;

/// How a new user will prove who they are.
#[derive(Debug, Clone)]
pub enum NewPassword {
    /// In clear: checked by the tenant's rules, then hashed.
    Plain(Password),
    /// Hashed by another system; not checked by any rule.
    Hashed(Secret<String>),
    /// None yet: nobody can log in.
    None,
}

#[derive(Debug, Clone)]
pub struct CreateUser {
    pub names: UserNames,
    pub password: NewPassword,
    pub roles: Roles,
    pub claims: CustomClaims,
    /// Whether the password is good for choosing another one, and for nothing else.
    pub must_change: bool,
}

#[derive(Debug)]
pub enum UserDenied {
    NameTaken,
    Unknown,
    Password(PasswordDenied),
    Bad(BadText),
    Busy(Busy),
    Fault(Fault),
}

impl<E: Into<Fault>> From<E> for UserDenied {
    fn from(error: E) -> Self {
        Self::Fault(error.into())
    }
}

fn taken(error: StoreError) -> UserDenied {
    match error {
        StoreError::Conflict => UserDenied::NameTaken,
        other => UserDenied::Fault(other.into()),
    }
}

/// Creates a user.
///
/// # Errors
/// When a name is taken or the password is unfit.
pub async fn create(ctx: &Ctx, tenant: &Tenant, command: CreateUser, actor: Actor, origin: &Origin) -> Result<User, UserDenied> {
    let mut user = begin(ctx, command.names, command.roles, command.claims);
    user.password_change_required_at = command.must_change.then_some(user.created_at);
    let phc = match command.password {
        NewPassword::Plain(plain) => Some(checked_hash(ctx, tenant, &user, plain).await?),
        NewPassword::Hashed(phc) => Some(phc),
        NewPassword::None => None,
    };
    let mut tx = ctx.store.begin(tenant.id).await?;
    if tx.tenant().await?.is_none() {
        return Err(UserDenied::Unknown);
    }
    tx.user_insert(&user, phc.as_ref()).await.map_err(taken)?;
    tx.audit_append(&ctx.record(tenant.id, actor, origin, AuditEvent::UserCreated { user_id: user.id })).await?;
    tx.commit().await?;
    Ok(user)
}

/// A new user, not stored yet.
pub(crate) fn begin(ctx: &Ctx, names: UserNames, roles: Roles, claims: CustomClaims) -> User {
    let now = ctx.now();
    User {
        id: UserId::new(now, ctx.id_entropy()),
        names,
        status: UserStatus::Active,
        roles,
        claims,
        created_at: now,
        updated_at: now,
        password_changed_at: now,
        email_verified_at: None,
        password_change_required_at: None,
    }
}

/// Checks a new password by the tenant's rules and hashes it, on the pool.
pub(crate) async fn checked_hash(ctx: &Ctx, tenant: &Tenant, user: &User, plain: Password) -> Result<Secret<String>, UserDenied> {
    let rules = tenant.policy.password;
    let params = tenant.policy.argon2;
    let mut words = user.context_words();
    words.extend([tenant.slug.to_string(), tenant.name.to_string()]);
    let mut salt = [0; 16];
    ctx.entropy.fill(&mut salt);
    ctx.hashing
        .run(tenant.id, move |memory| {
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            rules.check(&plain, &words).map_err(UserDenied::Password)?;
            password::hash(memory, &plain, params, &salt)
                .ok_or_else(|| UserDenied::Fault(Fault::Broken("argon2 refused its parameters".to_owned())))
        })
        .await
        .map_err(UserDenied::Busy)?
}

/// Users in the order of their ids, after `after`.
///
/// # Errors
/// When the database is away.
pub async fn list(ctx: &Ctx, tenant: &Tenant, after: Option<UserId>, limit: u32) -> Result<Vec<User>, Fault> {
    Ok(ctx.store.begin_read(tenant.id).await?.users_page(after, limit).await?)
}

/// One user.
///
/// # Errors
/// [`UserDenied::Unknown`] when this tenant has no such user.
pub async fn get(ctx: &Ctx, tenant: &Tenant, id: UserId) -> Result<User, UserDenied> {
    ctx.store.begin_read(tenant.id).await?.user_by_id(id).await?.ok_or(UserDenied::Unknown)
}

/// A change of a user. The outer `None` leaves a name as it is, the inner one takes it away.
#[derive(Debug, Clone, Default)]
pub struct ChangeUser {
    pub username: Option<Option<Username>>,
    pub email: Option<Option<Email>>,
    pub roles: Option<Roles>,
    pub claims: Option<CustomClaims>,
    pub is_active: Option<bool>,
    /// Whether a new password is demanded.
    pub must_change: Option<bool>,
}

/// Changes a user; disabling ends all sessions, and so does demanding a new password.
///
/// # Errors
/// When a name is taken, or none would be left.
pub async fn change(
    ctx: &Ctx,
    tenant: &Tenant,
    id: UserId,
    command: ChangeUser,
    actor: Actor,
    origin: &Origin,
) -> Result<User, UserDenied> {
    let now = ctx.now();
    let mut tx = ctx.store.begin(tenant.id).await?;
    let before = tx.user_by_id(id).await?.ok_or(UserDenied::Unknown)?;
    let mut user = before.clone();
    user.names = UserNames::new(
        command.username.unwrap_or_else(|| before.names.username().cloned()),
        command.email.unwrap_or_else(|| before.names.email().cloned()),
    )
    .map_err(UserDenied::Bad)?;
    if user.names.email() != before.names.email() {
        user.email_verified_at = None;
    }
    if let Some(roles) = command.roles {
        user.roles = roles;
    }
    if let Some(claims) = command.claims {
        user.claims = claims;
    }
    let mut events = Vec::new();
    let changed: Vec<String> = [
        ("username", user.names.username() != before.names.username()),
        ("email", user.names.email() != before.names.email()),
        ("roles", user.roles != before.roles),
        ("claims", user.claims != before.claims),
    ]
    .into_iter()
    .filter(|(_, is_changed)| *is_changed)
    .map(|(name, _)| name.to_owned())
    .collect();
    if !changed.is_empty() {
        events.push(AuditEvent::UserChanged { user_id: id, changed });
    }
    match (command.is_active, before.status) {
        (Some(false), UserStatus::Active) => {
            user.status = UserStatus::Disabled { at: now };
            events.push(AuditEvent::UserDisabled { user_id: id });
            let count = tx.families_revoke(id, Revocation { at: now, cause: RevocationCause::UserDisabled }).await?;
            // Else they would be back as soon as the user is enabled again.
            tx.sso_delete_of(id).await?;
            events.push(AuditEvent::SessionsRevoked { user_id: id, count, cause: RevocationCause::UserDisabled.name().to_owned() });
        }
        (Some(true), UserStatus::Disabled { .. }) => {
            user.status = UserStatus::Active;
            events.push(AuditEvent::UserEnabled { user_id: id });
        }
        _ => {}
    }
    match (command.must_change, before.password_change_required_at) {
        (Some(true), None) => {
            user.password_change_required_at = Some(now);
            events.push(AuditEvent::PasswordChangeRequired { user_id: id });
            let cause = RevocationCause::AdminRequest;
            let count = tx.families_revoke(id, Revocation { at: now, cause }).await?;
            tx.sso_delete_of(id).await?;
            events.push(AuditEvent::SessionsRevoked { user_id: id, count, cause: cause.name().to_owned() });
        }
        (Some(false), Some(_)) => {
            user.password_change_required_at = None;
            events.push(AuditEvent::UserChanged { user_id: id, changed: vec!["must_change".to_owned()] });
        }
        _ => {}
    }
    if events.is_empty() {
        return Ok(before);
    }
    user.updated_at = now;
    tx.user_update(&user).await.map_err(taken)?;
    for event in events {
        tx.audit_append(&ctx.record(tenant.id, actor.clone(), origin, event)).await?;
    }
    tx.commit().await?;
    Ok(user)
}

/// What a password is good for that an administrator sets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PasswordUse {
    LogIn,
    /// For choosing another one.
    Change,
}

/// Sets a user's password and ends all sessions.
///
/// # Errors
/// When the password is unfit.
pub async fn set_password(
    ctx: &Ctx,
    tenant: &Tenant,
    id: UserId,
    plain: Password,
    good_for: PasswordUse,
    actor: Actor,
    origin: &Origin,
) -> Result<(), UserDenied> {
    let user = get(ctx, tenant, id).await?;
    let phc = checked_hash(ctx, tenant, &user, plain).await?;
    let mut tx = ctx.store.begin(tenant.id).await?;
    let user = tx.user_by_id(id).await?.ok_or(UserDenied::Unknown)?;
    password_replace(ctx, tx.as_mut(), user, &phc, None, actor.clone(), origin).await?;
    if good_for == PasswordUse::Change {
        let mut user = tx.user_by_id(id).await?.ok_or(UserDenied::Unknown)?;
        user.password_change_required_at = Some(ctx.now());
        tx.user_update(&user).await?;
        tx.audit_append(&ctx.record(tenant.id, actor, origin, AuditEvent::PasswordChangeRequired { user_id: id })).await?;
    }
    Ok(tx.commit().await?)
}

/// Gives the user this password and ends all sessions, but `kept` and what clients got by it. Answers since when it counts: a session
/// that goes on needs a proof that is no older.
pub(crate) async fn password_replace(
    ctx: &Ctx,
    tx: &mut dyn TenantTx,
    mut user: User,
    phc: &Secret<String>,
    kept: Option<SsoSessionId>,
    actor: Actor,
    origin: &Origin,
) -> Result<Timestamp, StoreError> {
    let (now, user_id) = (ctx.now(), user.id);
    (user.password_changed_at, user.updated_at) = (now, now);
    user.password_change_required_at = None;
    tx.user_update(&user).await?;
    tx.password_hash_set(user_id, phc).await?;
    let record = |event| ctx.record(tx.tenant_id(), actor.clone(), origin, event);
    let (set, cause) = (record(AuditEvent::PasswordSet { user_id }), RevocationCause::PasswordChanged);
    tx.audit_append(&set).await?;
    match kept {
        Some(kept) => sessions::end_but(ctx, tx, user_id, kept, cause, actor, origin).await?,
        None => {
            let count = tx.families_revoke(user_id, Revocation { at: now, cause }).await?;
            tx.sso_delete_of(user_id).await?;
            let event = AuditEvent::SessionsRevoked { user_id, count, cause: cause.name().to_owned() };
            tx.audit_append(&ctx.record(tx.tenant_id(), actor, origin, event)).await?;
        }
    }
    Ok(now)
}

/// Deletes a user with all sessions.
///
/// # Errors
/// [`UserDenied::Unknown`] when this tenant has no such user.
pub async fn delete(ctx: &Ctx, tenant: &Tenant, id: UserId, actor: Actor, origin: &Origin) -> Result<(), UserDenied> {
    let mut tx = ctx.store.begin(tenant.id).await?;
    if !tx.user_delete(id).await? {
        return Err(UserDenied::Unknown);
    }
    tx.audit_append(&ctx.record(tenant.id, actor, origin, AuditEvent::UserDeleted { user_id: id })).await?;
    Ok(tx.commit().await?)
}
