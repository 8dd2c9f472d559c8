//! A forgotten password: somebody asks for a link ([`ask`]), and whoever opens it ([`open`]) chooses a new password ([`finish`]).
//!
//! Invariant: no password is set without a link that was sent to the account's address and not used yet; and who asks learns nothing,
//! because nobody has looked for an account yet when they are answered.

use domain::audit::{Actor, AuditEvent};
use domain::guess::GuessScope;
use domain::handle::{Handle, HandleKind};
use domain::language::Language;
use domain::mail::{Letter, MailLink};
use domain::password::{Password, PasswordDenied};
use domain::tenant::Tenant;
use domain::time::Timestamp;
use domain::user::User;

use crate::authorize::{AuthorizeDenied, Browser, check_anonymous};
use crate::credentials::hash_pool::Busy;
use crate::ctx::{Ctx, Origin};
use crate::fault::Fault;
use crate::login::forgive;
use crate::mail::queue;
use crate::ports::store::{StoreError, TenantTx};
use crate::users::{self, UserDenied};

/// The longest that anybody goes by.
const LONGEST_NAME: usize = 254;

#[derive(Debug)]
pub enum AskDenied {
    TooManyAttempts { retry_at: Timestamp },
    Request(AuthorizeDenied),
}

impl<E: Into<AuthorizeDenied>> From<E> for AskDenied {
    fn from(error: E) -> Self {
        Self::Request(error.into())
    }
}

/// Takes down that somebody wants a link for whoever goes by `identifier`. The same is done whoever that is.
///
/// # Errors
/// See [`AskDenied`].
#[tracing::instrument(level = "debug", name = "app.recovery_ask", skip_all)]
pub async fn ask(
    ctx: &Ctx,
    tenant: &Tenant,
    browser: &Browser,
    identifier: &str,
    language: Language,
    token: &str,
    origin: &Origin,
) -> Result<(), AskDenied> {
    check_anonymous(ctx, tenant, browser, token).await?;
    let signer = ctx.keys.signer(tenant.id, 0).await.map_err(Fault::from)?;
    let now = ctx.now();
    let stored = async {
        let mut tx = ctx.store.begin(tenant.id).await?;
        let counter = (GuessScope::MailFrom, signer.blind("source", &origin.place()));
        let before = tx.guess_counters(&[counter]).await?.first().copied().unwrap_or_default();
        let counted = match before.attempt(counter.0, now) {
            Ok(counted) => counted,
            Err(denied) => return Ok(Err(denied.retry_at)),
        };
        tx.guess_counters_set(&[(counter.0, counter.1, counted)], now).await?;
        let identifier = identifier.trim().chars().take(LONGEST_NAME).collect();
        queue(ctx, tx.as_mut(), None, Letter::PasswordReset { identifier }, Some(language)).await?;
        tx.commit().await?;
        Ok::<_, StoreError>(Ok(()))
    };
    stored.await.map_err(AuthorizeDenied::from)?.map_err(|retry_at| AskDenied::TooManyAttempts { retry_at })
}

/// Whose password a link is for; `None` when it opens nothing (any more). It is not used up by that.
///
/// # Errors
/// When the database is away.
pub async fn open(ctx: &Ctx, tenant: &Tenant, link: &str) -> Result<Option<User>, Fault> {
    let Some(handle) = Handle::parse(HandleKind::PasswordReset, link) else { return Ok(None) };
    let mut tx = ctx.store.begin_read(tenant.id).await?;
    Ok(opened(ctx, tx.as_mut(), &handle).await?.map(|(user, _)| user))
}

async fn opened(ctx: &Ctx, tx: &mut dyn TenantTx, handle: &Handle) -> Result<Option<(User, MailLink)>, StoreError> {
    if tx.tenant().await?.is_none_or(|tenant| !tenant.is_active()) {
        return Ok(None);
    }
    let Some(link) = tx.mail_link(&handle.hash()).await? else { return Ok(None) };
    let user = tx.user_by_id(link.user_id).await?;
    let is_theirs = |user: &User| link.stands_for(user, ctx.now()) && user.names.email() == Some(&link.address);
    Ok(user.filter(is_theirs).map(|user| (user, link)))
}

#[derive(Debug)]
pub enum ResetDenied {
    /// The link is unknown, over, used, or worth nothing any more.
    NoSuchLink,
    New(PasswordDenied),
    Busy(Busy),
    Fault(Fault),
}

impl<E: Into<Fault>> From<E> for ResetDenied {
    fn from(error: E) -> Self {
        Self::Fault(error.into())
    }
}

/// Sets the password and uses the link up; all sessions of the user end. Whoever read the mail has the address, and need not wait for
/// what others guessed.
///
/// # Errors
/// See [`ResetDenied`].
#[tracing::instrument(level = "debug", name = "app.recovery_finish", skip_all)]
pub async fn finish(ctx: &Ctx, tenant: &Tenant, link: &str, new: Password, origin: &Origin) -> Result<(), ResetDenied> {
    let handle = Handle::parse(HandleKind::PasswordReset, link).ok_or(ResetDenied::NoSuchLink)?;
    let user = open(ctx, tenant, link).await?.ok_or(ResetDenied::NoSuchLink)?;
    let phc = users::checked_hash(ctx, tenant, &user, new).await.map_err(|denied| match denied {
        UserDenied::Password(denied) => ResetDenied::New(denied),
        UserDenied::Busy(busy) => ResetDenied::Busy(busy),
        UserDenied::Fault(fault) => ResetDenied::Fault(fault),
        other => ResetDenied::Fault(Fault::Broken(format!("hashing answered {other:?}"))),
    })?;
    let signer = ctx.keys.signer(tenant.id, 0).await?;
    let now = ctx.now();
    let mut tx = ctx.store.begin(tenant.id).await?;
    let (mut user, _) = opened(ctx, tx.as_mut(), &handle).await?.ok_or(ResetDenied::NoSuchLink)?;
    if !tx.mail_link_use(&handle.hash(), now).await? {
        return Err(ResetDenied::NoSuchLink);
    }
    let user_id = user.id;
    // It came to this address.
    user.email_verified_at = user.email_verified_at.or(Some(now));
    let actor = Actor::User { user_id };
    users::password_replace(ctx, tx.as_mut(), user, &phc, None, actor.clone(), origin).await?;
    forgive(tx.as_mut(), signer.as_ref(), user_id).await?;
    tx.audit_append(&ctx.record(tenant.id, actor, origin, AuditEvent::PasswordReset { user_id })).await?;
    Ok(tx.commit().await?)
}
