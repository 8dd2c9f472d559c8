//! The address of one's account: that it is one's own, and another one in its place.
//!
//! Invariant: an address counts as the user's only when somebody has opened a link that was sent to it; and until then the one before
//! it stays (R32).

use domain::audit::{Actor, AuditEvent};
use domain::handle::{Handle, HandleKind};
use domain::language::Language;
use domain::mail::{Letter, MailLink};
use domain::password::Password;
use domain::tenant::Tenant;
use domain::text::Email;
use domain::user::{User, UserNames};

use super::{AccountDenied, Intent, Member, member, prove_again};
use crate::authorize::Browser;
use crate::ctx::{Ctx, Origin};
use crate::fault::Fault;
use crate::login::LoginDenied;
use crate::mail::queue;
use crate::ports::store::{StoreError, TenantTx};

/// Has a link sent to the address that the user has.
///
/// # Errors
/// See [`AccountDenied`].
pub async fn ask_proof(ctx: &Ctx, tenant: &Tenant, browser: &Browser, language: Language, token: &str) -> Result<(), AccountDenied> {
    let Member { mut tx, user, .. } = member(ctx, tenant, browser, Intent::Change(token)).await?;
    if let Some(address) = user.names.email().filter(|_| user.email_verified_at.is_none()) {
        let letter = Letter::EmailVerification { address: address.clone() };
        queue(ctx, tx.as_mut(), Some(user.id), letter, Some(language)).await?;
        tx.commit().await?;
    }
    Ok(())
}

/// Another address for one's account.
#[derive(Debug)]
pub struct ChangeEmail {
    pub address: Email,
    pub current: Password,
    pub language: Language,
    pub csrf_token: String,
}

#[derive(Debug)]
pub enum EmailChangeDenied {
    Account(AccountDenied),
    /// The password is not right, or may not be tried now.
    Current(LoginDenied),
    /// It is the one that the account has.
    Same,
}

impl<E: Into<AccountDenied>> From<E> for EmailChangeDenied {
    fn from(error: E) -> Self {
        Self::Account(error.into())
    }
}

/// Has a link sent to the new address. Nothing changes before it is opened, and nobody learns whether somebody else has that address.
///
/// # Errors
/// See [`EmailChangeDenied`].
pub async fn ask_change(
    ctx: &Ctx,
    tenant: &Tenant,
    browser: &Browser,
    command: ChangeEmail,
    origin: &Origin,
) -> Result<(), EmailChangeDenied> {
    let ChangeEmail { address, current, language, csrf_token } = command;
    let asking = member(ctx, tenant, browser, Intent::Change(&csrf_token)).await?;
    drop(asking.tx);
    if asking.user.names.email().is_some_and(|email| email.key() == address.key()) {
        return Err(EmailChangeDenied::Same);
    }
    prove_again(ctx, tenant, &asking.user, &current, origin).await.map_err(EmailChangeDenied::Current)?;
    let Member { mut tx, user, .. } = member(ctx, tenant, browser, Intent::Change(&csrf_token)).await?;
    queue(ctx, tx.as_mut(), Some(user.id), Letter::EmailChange { address }, Some(language)).await?;
    Ok(tx.commit().await?)
}

/// Which address a link is about; `None` when it opens nothing (any more). It is not used up by that.
///
/// # Errors
/// When the database is away.
pub async fn open_proof(ctx: &Ctx, tenant: &Tenant, link: &str) -> Result<Option<Email>, Fault> {
    let Some(handle) = Handle::parse(HandleKind::EmailVerification, link) else { return Ok(None) };
    let mut tx = ctx.store.begin_read(tenant.id).await?;
    Ok(proof(ctx, tx.as_mut(), &handle).await?.map(|(_, link)| link.address))
}

async fn opened(ctx: &Ctx, tx: &mut dyn TenantTx, handle: &Handle) -> Result<Option<(User, MailLink)>, StoreError> {
    if tx.tenant().await?.is_none_or(|tenant| !tenant.is_active()) {
        return Ok(None);
    }
    let Some(link) = tx.mail_link(&handle.hash()).await? else { return Ok(None) };
    let user = tx.user_by_id(link.user_id).await?.filter(|user| link.stands_for(user, ctx.now()));
    Ok(user.map(|user| (user, link)))
}

/// A link to the address that the user still has.
async fn proof(ctx: &Ctx, tx: &mut dyn TenantTx, handle: &Handle) -> Result<Option<(User, MailLink)>, StoreError> {
    Ok(opened(ctx, tx, handle).await?.filter(|(user, link)| user.names.email() == Some(&link.address)))
}

/// Takes it that the address is the user's. Whoever has the link has read the mail: nobody needs to be logged in. Answers whether the link
/// opened anything.
///
/// # Errors
/// When the database is away.
pub async fn prove_address(ctx: &Ctx, tenant: &Tenant, link: &str, origin: &Origin) -> Result<bool, Fault> {
    let Some(handle) = Handle::parse(HandleKind::EmailVerification, link) else { return Ok(false) };
    let now = ctx.now();
    let mut tx = ctx.store.begin(tenant.id).await?;
    let Some((mut user, _)) = proof(ctx, tx.as_mut(), &handle).await? else { return Ok(false) };
    if !tx.mail_link_use(&handle.hash(), now).await? {
        return Ok(false);
    }
    (user.email_verified_at, user.updated_at) = (Some(now), now);
    tx.user_update(&user).await?;
    let (actor, event) = (Actor::User { user_id: user.id }, AuditEvent::EmailVerified { user_id: user.id });
    tx.audit_append(&ctx.record(tenant.id, actor, origin, event)).await?;
    tx.commit().await?;
    Ok(true)
}

/// What opening a link to a new address shows to whoever is logged in.
#[derive(Debug)]
pub struct Changing {
    pub address: Email,
    pub csrf_token: String,
}

/// Which address a link would bring to the account of whoever is logged in; `None` when it opens nothing for them.
///
/// # Errors
/// See [`AccountDenied`].
pub async fn open_change(ctx: &Ctx, tenant: &Tenant, browser: &Browser, link: &str) -> Result<Option<Changing>, AccountDenied> {
    let Member { mut tx, user, csrf_token, .. } = member(ctx, tenant, browser, Intent::Look).await?;
    let Some(handle) = Handle::parse(HandleKind::EmailChange, link) else { return Ok(None) };
    let opened = opened(ctx, tx.as_mut(), &handle).await?.filter(|(theirs, _)| theirs.id == user.id);
    Ok(opened.map(|(_, link)| Changing { address: link.address, csrf_token }))
}

/// Puts the new address in the place of the old one, which is told. Only for whoever is logged in as that user: a mail that went to a
/// mistyped address gives nobody an account. Answers whether that was done.
///
/// # Errors
/// See [`AccountDenied`].
pub async fn change(
    ctx: &Ctx,
    tenant: &Tenant,
    browser: &Browser,
    link: &str,
    token: &str,
    origin: &Origin,
) -> Result<bool, AccountDenied> {
    let Member { mut tx, user, .. } = member(ctx, tenant, browser, Intent::Change(token)).await?;
    let now = ctx.now();
    let Some(handle) = Handle::parse(HandleKind::EmailChange, link) else { return Ok(false) };
    let opened = opened(ctx, tx.as_mut(), &handle).await?.filter(|(theirs, _)| theirs.id == user.id);
    let Some((mut user, link)) = opened else { return Ok(false) };
    if !tx.mail_link_use(&handle.hash(), now).await? {
        return Ok(false);
    }
    let old = user.names.email().cloned();
    let names = UserNames::new(user.names.username().cloned(), Some(link.address.clone()));
    user.names = names.map_err(|bad| Fault::Broken(bad.to_string()))?;
    (user.email_verified_at, user.updated_at) = (Some(now), now);
    match tx.user_update(&user).await {
        // Somebody else has it by now.
        Err(StoreError::Conflict) => return Ok(false),
        stored => stored?,
    }
    if let Some(old) = old {
        queue(ctx, tx.as_mut(), Some(user.id), Letter::EmailChanged { old, new: link.address }, None).await?;
    }
    let (actor, event) = (Actor::User { user_id: user.id }, AuditEvent::EmailReplaced { user_id: user.id });
    tx.audit_append(&ctx.record(tenant.id, actor, origin, event)).await?;
    tx.commit().await?;
    Ok(true)
}
