//! Tells users what they are to be told, by mail: written down in the transaction of its cause ([`queue`]), sent after its commit
//! ([`deliver`]) by any node.
//!
//! Invariant: at least once. Nobody waits for a mail but its reader; what waits holds no secret, for a link is made when its mail is:
//! out of the mail's id, by the tenant's secret, so that it is the same one at each attempt.

use domain::audit::{Actor, AuditEvent};
use domain::branding::Link;
use domain::guess::GuessScope;
use domain::handle::{Handle, HandleKind};
use domain::ids::{MailId, TenantId, UserId};
use domain::language::Language;
use domain::mail::{Content, Letter, MailLink, QueuedMail};
use domain::tenant::Tenant;
use domain::text::Email;
use domain::user::User;
use domain::user_agent::Device;
use futures_util::future::join_all;

use crate::ctx::{Ctx, Origin};
use crate::fault::Fault;
use crate::ports::keys::TokenSigner;
use crate::ports::mail::{MailFault, Message, Outgoing};
use crate::ports::store::{MailStore, StoreError, TenantTx};

/// Mails that are sent at a time.
const BATCH: u32 = 8;

/// Writes down that a mail is to be sent; for a user who is known, or for whoever it may be.
pub(crate) async fn queue(
    ctx: &Ctx,
    tx: &mut (impl MailStore + ?Sized),
    user_id: Option<UserId>,
    letter: Letter,
    language: Option<Language>,
) -> Result<(), StoreError> {
    let asked_at = ctx.now();
    let expires_at = asked_at.plus(letter.ttl());
    let id = MailId::new(asked_at, ctx.id_entropy());
    tx.mail_insert(&QueuedMail { id, user_id, content: Content { letter, language }, asked_at, expires_at }).await
}

/// Sends what it is time to send, up to [`BATCH`] mails at once; answers how many there were. Other nodes do the same beside us.
///
/// # Errors
/// When the database is away. A mail that nobody takes is none.
pub async fn deliver(ctx: &Ctx) -> Result<usize, Fault> {
    if !ctx.mail.is_on() {
        return Ok(0);
    }
    let mut tx = ctx.store.begin_platform().await?;
    let due = tx.mails_claim(BATCH).await?;
    if due.is_empty() {
        return Ok(0);
    }
    tx.commit().await?;
    let sent = join_all(due.iter().map(|(tenant, id)| send(ctx, *tenant, *id))).await;
    sent.into_iter().collect::<Result<(), _>>()?;
    Ok(due.len())
}

/// Sends one mail, and forgets it when that is done, or is not to be done any more.
async fn send(ctx: &Ctx, tenant_id: TenantId, id: MailId) -> Result<(), Fault> {
    if let Some(mail) = written(ctx, tenant_id, id).await? {
        match ctx.mail.send(&mail).await {
            Ok(()) => {}
            Err(MailFault::Refused(why)) => {
                tracing::warn!(tenant = %mail.tenant, mail = %id, why, "a mail was refused for good; it is dropped")
            }
            Err(MailFault::Failed(why)) => {
                tracing::warn!(tenant = %mail.tenant, mail = %id, why, "a mail was not taken; it is tried again");
                return Ok(());
            }
        }
    }
    let mut tx = ctx.store.begin(tenant_id).await?;
    tx.mail_delete(id).await?;
    Ok(tx.commit().await?)
}

/// The mail as it goes out; `None` when it is not to go out (any more). A link in it works from now on.
async fn written(ctx: &Ctx, tenant_id: TenantId, id: MailId) -> Result<Option<Outgoing>, Fault> {
    let mut tx = ctx.store.begin_read(tenant_id).await?;
    let Some(tenant) = tx.tenant().await?.filter(Tenant::is_active) else { return Ok(None) };
    drop(tx);
    let signer = ctx.keys.signer(tenant_id, 0).await?;
    let mut tx = ctx.store.begin(tenant_id).await?;
    let Some(mail) = tx.mail(id).await?.filter(|mail| ctx.now() < mail.expires_at) else { return Ok(None) };
    let Some((user, to)) = reader(tx.as_mut(), &mail).await? else { return Ok(None) };
    let link = match mail.content.letter.link() {
        None => None,
        Some(kind) => match linked(ctx, tx.as_mut(), signer.as_ref(), kind, &mail, &user, &to).await? {
            None => return Ok(None),
            some => some,
        },
    };
    let appearance = tx.branding().await?;
    tx.commit().await?;
    let language = mail.content.language.unwrap_or(appearance.branding.default_language);
    let message = message(ctx, &tenant, mail, &user, link)?;
    Ok(Some(Outgoing { id, to, tenant: tenant.name, appearance, language, message }))
}

/// Who reads it, and where. Nobody who may not log in, and nobody who has changed the password since a link was asked for.
async fn reader(tx: &mut dyn TenantTx, mail: &QueuedMail) -> Result<Option<(User, Email)>, StoreError> {
    let user = match (&mail.content.letter, mail.user_id) {
        (Letter::PasswordReset { identifier }, _) => match identifier.parse() {
            Ok(name) => tx.account_by_login(&name).await?.map(|account| account.user),
            Err(_) => None,
        },
        (_, Some(id)) => tx.user_by_id(id).await?,
        (_, None) => None,
    };
    let Some(user) = user.filter(|user| user.may_log_in().is_ok()) else { return Ok(None) };
    let to = match &mail.content.letter {
        Letter::PasswordReset { .. } => user.names.email().cloned(),
        // Another address by now: it is not asked about any more.
        Letter::EmailVerification { address } => user.names.email().filter(|email| *email == address).cloned(),
        Letter::EmailChange { address } | Letter::NewSignIn { address, .. } => Some(address.clone()),
        // Another address by now, or one that is not known to be the user's any more.
        Letter::BackchannelRequest { address, .. } => {
            user.names.email().filter(|email| *email == address && user.email_verified_at.is_some()).cloned()
        }
        Letter::EmailChanged { old, .. } => Some(old.clone()),
    };
    let is_outdated = mail.content.letter.link().is_some() && user.password_changed_at > mail.asked_at;
    Ok(to.filter(|_| !is_outdated).map(|to| (user, to)))
}

/// The link of a mail, which is stored with the first attempt. `None` when the user has been sent too many, or it was used already.
async fn linked(
    ctx: &Ctx,
    tx: &mut dyn TenantTx,
    signer: &dyn TokenSigner,
    kind: HandleKind,
    mail: &QueuedMail,
    user: &User,
    to: &Email,
) -> Result<Option<Handle>, Fault> {
    let handle = Handle::new(kind, signer.blind("mail-link", mail.id.as_bytes()));
    let (hash, now) = (handle.hash(), ctx.now());
    let link = MailLink { handle: hash, user_id: user.id, address: to.clone(), asked_at: mail.asked_at, expires_at: mail.expires_at };
    if !tx.mail_link_insert(&link).await? {
        return Ok(tx.mail_link(&hash).await?.map(|_| handle));
    }
    let counter = (GuessScope::MailTo, signer.blind("mail-to", user.id.as_bytes()));
    let counted = tx.guess_counters(&[counter]).await?.first().copied().unwrap_or_default().attempt(counter.0, now);
    let Ok(counted) = counted else { return Ok(None) };
    tx.guess_counters_set(&[(counter.0, counter.1, counted)], now).await?;
    let event = AuditEvent::MailQueued { user_id: user.id, what: mail.content.letter.name().to_owned() };
    tx.audit_append(&ctx.record(tx.tenant_id(), Actor::System, &Origin::default(), event)).await?;
    Ok(Some(handle))
}

fn message(ctx: &Ctx, tenant: &Tenant, mail: QueuedMail, user: &User, link: Option<Handle>) -> Result<Message, Fault> {
    let issuer = tenant.issuer(&ctx.base_url);
    // Nothing of a request gets into an address: only what is configured does (R36).
    let at = |path: &str| -> Result<Link, Fault> {
        let secret = link.as_ref().map(|handle| handle.text().expose().clone()).unwrap_or_default();
        format!("{issuer}{path}{secret}").parse().map_err(|bad| Fault::Broken(format!("{issuer} cannot be linked to: {bad}")))
    };
    let minutes = (mail.expires_at.seconds_after(ctx.now()) / 60).max(1);
    let account = user.display_name();
    Ok(match mail.content.letter {
        Letter::PasswordReset { .. } => Message::PasswordReset { account, link: at("/password/reset/")?, minutes },
        Letter::EmailVerification { .. } => Message::Verification { link: at("/account/email/verify/")?, minutes },
        Letter::EmailChange { .. } => Message::Verification { link: at("/account/email/change/")?, minutes },
        Letter::EmailChanged { new, .. } => Message::EmailChanged { account, new, at: mail.asked_at },
        Letter::NewSignIn { user_agent, place, at: when, .. } => {
            let device = Device::named(user_agent.as_deref().unwrap_or_default()).to_string();
            Message::NewSignIn { account, device, place, at: when, link: at("/account")? }
        }
        Letter::BackchannelRequest { client, binding_message, place, at: when, .. } => {
            Message::BackchannelRequest { account, client, binding_message, place, at: when, link: at("/account")? }
        }
    })
}
