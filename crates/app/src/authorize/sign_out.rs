//! Logout that an application asks for (OpenID Connect RP-Initiated Logout 1.0).
//!
//! A valid `id_token_hint` of whoever is logged in is answered at once, and ends that account's session; anybody else is asked on a page,
//! so that no other site can log a user out. Of several accounts those end by which the client got something, or all of them. Invariant: nobody is sent to an address that the client has not registered for this.

use domain::audit::{Actor, AuditEvent};
use domain::authorize::rules::Parameters;
use domain::authorize::with_query;
use domain::client::{Client, ClientId};
use domain::ids::UserId;
use domain::scope::Scope;
use domain::sso::SsoSession;
use domain::tenant::Tenant;
use domain::time::{Timestamp, Ttl};
use domain::token::family::{RefreshFamily, Revocation, RevocationCause};
use domain::user::User;

use super::accounts::{Kept, accounts};
use super::{AuthorizeDenied, Browser, check_csrf, csrf_token, hinted, refused};
use crate::ctx::{Ctx, Origin};
use crate::ports::store::{LogoutNotice, StoreError, TenantTx};

/// What comes of a request to log out.
#[derive(Debug)]
pub enum SignOut {
    /// The user is asked first; the form brings `csrf_token` and the request's parameters back.
    /// `users` are those who would be logged out.
    Ask { users: Vec<User>, client: Option<Client>, csrf_token: String },
    /// They are logged out, or nobody was logged in. Where to go on, if the client has named a registered place.
    /// `frames` are addresses that tell clients so when the browser loads them (OpenID Connect Front-Channel Logout 1.0).
    Done { client: Option<Client>, next: Option<String>, frames: Vec<String>, kept: Kept },
}

/// Takes a request to log out. `confirmed` is what our own page has sent back, when the user agreed.
///
/// # Errors
/// See [`AuthorizeDenied`].
pub async fn sign_out(
    ctx: &Ctx,
    tenant: &Tenant,
    parameters: &Parameters,
    browser: &Browser,
    confirmed: Option<&str>,
    origin: &Origin,
) -> Result<SignOut, AuthorizeDenied> {
    let hint = match parameters.get("id_token_hint") {
        Some(hint) => Some(hinted(ctx, tenant, hint).await?.ok_or(refused("id_token_hint is not an ID token of this issuer"))?),
        None => None,
    };
    let wanted = match (&browser.session, &browser.browser) {
        (Some(session), Some(browser)) => Some(csrf_token(ctx, tenant, &session.hash(), &browser.hash()).await?),
        _ => None,
    };
    let mut tx = ctx.store.begin(tenant.id).await?;
    let named = parameters.get("client_id").map(|id| ClientId::try_from(id.to_owned()).map_err(|_| refused("there is no such client")));
    let client_id = match (named.transpose()?, &hint) {
        (Some(named), Some((_, hinted))) if named != *hinted => return Err(refused("client_id is not the client of id_token_hint")),
        (Some(named), _) => Some(named),
        (None, hint) => hint.as_ref().map(|(_, client)| client.clone()),
    };
    let client = match &client_id {
        Some(id) => Some(tx.client_by_id(id).await?.ok_or(refused("there is no such client"))?),
        None => None,
    };
    let next = next(parameters, client.as_ref())?;
    let accounts = accounts(tx.as_mut(), browser, ctx.now()).await?;
    if accounts.is_empty() {
        return Ok(SignOut::Done { client, next, frames: Vec::new(), kept: Kept::default() });
    }
    let hinted = hint.and_then(|(hinted, _)| accounts.iter().find(|(user, _)| user.id == hinted).cloned());
    let is_hinted = hinted.is_some();
    let leaving = match (hinted, &client_id) {
        (Some(account), _) => vec![account],
        (None, Some(client_id)) => by_client(tx.as_mut(), accounts, client_id, ctx.now()).await?,
        (None, None) => accounts,
    };
    match (confirmed, wanted) {
        (Some(given), Some(wanted)) => check_csrf(&wanted, given)?,
        (Some(_), None) => return Err(AuthorizeDenied::Forged),
        (None, _) if is_hinted => {}
        (None, Some(csrf_token)) => {
            let users = leaving.into_iter().map(|(user, _)| user).collect();
            return Ok(SignOut::Ask { users, client, csrf_token });
        }
        (None, None) => return Err(AuthorizeDenied::NoSuchRequest),
    }
    let mut frames = Vec::new();
    for (user, session) in &leaving {
        frames.extend(end(ctx, tenant, tx.as_mut(), user.id, session, origin).await?);
    }
    frames.truncate(MOST_FRAMES);
    tx.commit().await?;
    let gone: Vec<_> = leaving.into_iter().map(|(_, session)| session).collect();
    Ok(SignOut::Done { client, next, frames, kept: browser.without(&gone) })
}

/// Those of these accounts by whose session the client got something; all, where it got nothing by any.
async fn by_client(
    tx: &mut dyn TenantTx,
    accounts: Vec<(User, SsoSession)>,
    client_id: &ClientId,
    now: Timestamp,
) -> Result<Vec<(User, SsoSession)>, StoreError> {
    let mut meant = Vec::new();
    for account in &accounts {
        let (user, session) = account;
        let is_by = |family: &RefreshFamily| {
            family.client_id == *client_id && family.sign_on.as_ref().is_some_and(|sign_on| sign_on.session_id == session.id)
        };
        if tx.families_live(user.id, now).await?.iter().any(is_by) {
            meant.push(account.clone());
        }
    }
    Ok(if meant.is_empty() { accounts } else { meant })
}

/// Where the client wants the browser afterwards, if it has registered that (2, 3).
fn next(parameters: &Parameters, client: Option<&Client>) -> Result<Option<String>, AuthorizeDenied> {
    let Some(uri) = parameters.get("post_logout_redirect_uri") else { return Ok(None) };
    let client = client.ok_or(refused("post_logout_redirect_uri needs client_id or id_token_hint"))?;
    if !client.settings.post_logout_redirect_uris.iter().any(|known| known.is_meant_by(uri)) {
        return Err(refused("post_logout_redirect_uri is not registered for this client"));
    }
    let state: Vec<_> = parameters.get("state").map(|state| ("state", state.to_owned())).into_iter().collect();
    Ok(Some(if state.is_empty() { uri.to_owned() } else { with_query(uri, &state) }))
}

/// Frames on one page: a browser loads them all at once.
const MOST_FRAMES: usize = 32;
/// How long it is tried to tell a client of a logout.
const TELL_FOR: Ttl = Ttl::days(1);

/// Ends a session with what clients got by it, and has those told that want to be: the background task by the rows that are written
/// here, the browser by the addresses that are answered. What a client got for `offline_access` it keeps
/// (OpenID Connect Back-Channel Logout 1.0, 2.7).
pub(crate) async fn end(
    ctx: &Ctx,
    tenant: &Tenant,
    tx: &mut dyn TenantTx,
    user_id: UserId,
    session: &SsoSession,
    origin: &Origin,
) -> Result<Vec<String>, StoreError> {
    let now = ctx.now();
    tx.sso_delete(&session.handle).await?;
    let revocation = Revocation { at: now, cause: RevocationCause::Logout };
    let mut frames = Vec::new();
    let mut families = tx.families_live(user_id, now).await?;
    families.retain(|family| family.sign_on.as_ref().is_some_and(|sign_on| sign_on.session_id == session.id));
    // Clients are locked as they are read: by everybody in the same order.
    families.sort_by(|one, other| one.client_id.cmp(&other.client_id));
    for family in families {
        if !family.scope.contains(Scope::OFFLINE_ACCESS) {
            tx.family_revoke(family.id, revocation).await?;
        }
        let Some(client) = have_told(tx, &family, now).await? else { continue };
        if let Some(uri) = client.settings.frontchannel_logout_uri
            && frames.len() < MOST_FRAMES
        {
            frames.push(with_query(&uri, &[("iss", tenant.issuer(&ctx.base_url)), ("sid", family.id.to_string())]));
        }
    }
    let event = AuditEvent::SignedOut { user_id, sso_session_id: session.id };
    tx.audit_append(&ctx.record(tenant.id, Actor::User { user_id }, origin, event)).await?;
    Ok(frames)
}

/// Has the client of a family that ends told behind the scenes, if it wants to be; answers the client, if there is one still.
pub(crate) async fn have_told(tx: &mut dyn TenantTx, family: &RefreshFamily, now: Timestamp) -> Result<Option<Client>, StoreError> {
    let client = tx.client_by_id(&family.client_id).await?;
    if client.as_ref().is_some_and(|client| client.settings.backchannel_logout_uri.is_some()) {
        let (family_id, client_id, user_id) = (family.id, family.client_id.clone(), family.user_id);
        tx.logout_notice_insert(&LogoutNotice { family_id, client_id, user_id, expires_at: now.plus(TELL_FOR) }).await?;
    }
    Ok(client)
}
