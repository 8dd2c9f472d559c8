//! Several accounts in one browser: which ones there are, which one goes on, and leaving one of them.
//!
//! A browser has one handle for each of its sessions, and nothing else says which accounts it has. Invariant: an account is shown,
//! chosen and left only by a browser that has its session; a name of a session is looked for among these alone.

use domain::handle::Handle;
use domain::ids::SsoSessionId;
use domain::interaction::{Choice, Progress};
use domain::sso::SsoSession;
use domain::tenant::Tenant;
use domain::time::Timestamp;
use domain::user::User;

use super::{AuthorizeDenied, Browser, Shown, anonymous, check_anonymous, check_csrf, resume, sign_out};
use crate::ctx::{Ctx, Origin};
use crate::ports::store::{StoreError, TenantTx};

/// The sessions that a browser keeps from now on, the one that was used last first.
#[derive(Debug, Clone, Default)]
pub struct Kept(pub Vec<Handle>);

/// What somebody chose on the page of accounts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Chosen {
    Account(SsoSessionId),
    /// Somebody who is not logged in.
    Another,
    /// To leave this one.
    SignOut(SsoSessionId),
}

/// What follows from it.
#[derive(Debug)]
pub struct Switched {
    pub kept: Kept,
    /// Addresses that tell clients of a logout when the browser loads them.
    pub frames: Vec<String>,
}

/// The sessions that a browser brings and that have not ended, with their handles. No user is looked at.
pub(super) async fn sessions(tx: &mut dyn TenantTx, browser: &Browser, now: Timestamp) -> Result<Vec<(Handle, SsoSession)>, StoreError> {
    let mut found: Vec<(Handle, SsoSession)> = Vec::new();
    for handle in browser.sessions().take(SsoSession::MOST) {
        let session = tx.sso_by_handle(&handle.hash()).await?.filter(|session| now < session.ends_at());
        if let Some(session) = session.filter(|session| found.iter().all(|(_, other)| other.id != session.id)) {
            found.push((handle.clone(), session));
        }
    }
    Ok(found)
}

/// The users whom the sessions of a browser stand for, each once. Locks them in a transaction that may write: by everybody in the same order.
pub(super) async fn accounts(tx: &mut dyn TenantTx, browser: &Browser, now: Timestamp) -> Result<Vec<(User, SsoSession)>, StoreError> {
    let mut brought: Vec<_> = sessions(tx, browser, now).await?.into_iter().map(|(_, session)| session).enumerate().collect();
    brought.sort_by_key(|(_, session)| session.user_id);
    let mut standing: Vec<(usize, (User, SsoSession))> = Vec::with_capacity(brought.len());
    for (at, session) in brought {
        if standing.iter().any(|(_, (user, _))| user.id == session.user_id) {
            continue;
        }
        if let Some(user) = tx.user_by_id(session.user_id).await?.filter(|user| session.stands_for(user, now)) {
            standing.push((at, (user, session)));
        }
    }
    standing.sort_by_key(|(at, _)| *at);
    Ok(standing.into_iter().map(|(_, account)| account).collect())
}

impl Browser {
    /// What is left without `gone`.
    pub(super) fn without(&self, gone: &[SsoSession]) -> Kept {
        Kept(self.sessions().filter(|handle| gone.iter().all(|session| session.handle != handle.hash())).cloned().collect())
    }
}

/// The accounts that may go on with a pending request, whatever was chosen before.
///
/// # Errors
/// See [`AuthorizeDenied`].
pub async fn of_request(
    ctx: &Ctx,
    tenant: &Tenant,
    handle: &Handle,
    browser: &Browser,
) -> Result<(Vec<(User, SsoSession)>, Shown), AuthorizeDenied> {
    let (mut flow, csrf_token) = resume(ctx, tenant, handle, browser).await?;
    let accounts = flow.accounts(browser).await?;
    Ok((accounts, flow.shown(csrf_token).await?))
}

/// Takes a choice for a pending request. A session that is not this browser's is passed over: the page is shown anew.
///
/// # Errors
/// See [`AuthorizeDenied`].
#[tracing::instrument(level = "debug", name = "app.choose_account", skip_all)]
pub async fn choose(
    ctx: &Ctx,
    tenant: &Tenant,
    handle: &Handle,
    browser: &Browser,
    chosen: Chosen,
    csrf_token: &str,
    origin: &Origin,
) -> Result<Switched, AuthorizeDenied> {
    let (mut flow, wanted) = resume(ctx, tenant, handle, browser).await?;
    check_csrf(&wanted, csrf_token)?;
    let accounts = flow.accounts(browser).await?;
    let of = |id| accounts.iter().find(|(_, session)| session.id == id);
    let choice = match chosen {
        Chosen::Account(id) => of(id).map(|(user, _)| Some(Choice::Account(user.id))),
        Chosen::Another => Some(Some(Choice::Another)),
        // Whoever is left is asked anew.
        Chosen::SignOut(id) => of(id).map(|_| None),
    };
    if let Some(choice) = choice {
        let progress = Progress { chosen: choice, consented: None, half: None, ..flow.progress };
        flow.tx.pending_progress(&handle.hash(), progress).await?;
    }
    let switched = switch(ctx, tenant, flow.tx.as_mut(), browser, &accounts, chosen, origin).await?;
    flow.tx.commit().await?;
    Ok(switched)
}

async fn switch(
    ctx: &Ctx,
    tenant: &Tenant,
    tx: &mut dyn TenantTx,
    browser: &Browser,
    accounts: &[(User, SsoSession)],
    chosen: Chosen,
    origin: &Origin,
) -> Result<Switched, StoreError> {
    let Kept(all) = browser.without(&[]);
    let of = |id| accounts.iter().find(|(_, session)| session.id == id);
    match chosen {
        Chosen::Another => Ok(Switched { kept: Kept(all), frames: Vec::new() }),
        Chosen::Account(id) => {
            let first = of(id).map(|(_, session)| session.handle);
            let (mut kept, rest): (Vec<_>, Vec<_>) = all.into_iter().partition(|handle| Some(handle.hash()) == first);
            kept.extend(rest);
            Ok(Switched { kept: Kept(kept), frames: Vec::new() })
        }
        Chosen::SignOut(id) => {
            let Some((user, session)) = of(id) else { return Ok(Switched { kept: Kept(all), frames: Vec::new() }) };
            let frames = sign_out::end(ctx, tenant, tx, user.id, session, origin).await?;
            Ok(Switched { kept: browser.without(std::slice::from_ref(session)), frames })
        }
    }
}

/// The accounts of a browser, outside of any request, and what the form that chooses one brings along.
///
/// # Errors
/// See [`AuthorizeDenied`].
pub async fn of_browser(
    ctx: &Ctx,
    tenant: &Tenant,
    browser: &Browser,
) -> Result<(Vec<(User, SsoSession)>, Handle, String), AuthorizeDenied> {
    let (named, csrf_token) = anonymous(ctx, tenant, browser).await?;
    let mut tx = ctx.store.begin_read(tenant.id).await?;
    tx.tenant().await?.filter(Tenant::is_active).ok_or(AuthorizeDenied::TenantSuspended)?;
    Ok((accounts(tx.as_mut(), browser, ctx.now()).await?, named, csrf_token))
}

/// Takes a choice outside of any request: the chosen account is the one that the account's page shows.
///
/// # Errors
/// See [`AuthorizeDenied`].
pub async fn choose_for_browser(
    ctx: &Ctx,
    tenant: &Tenant,
    browser: &Browser,
    chosen: Chosen,
    csrf_token: &str,
    origin: &Origin,
) -> Result<Switched, AuthorizeDenied> {
    check_anonymous(ctx, tenant, browser, csrf_token).await?;
    let mut tx = ctx.store.begin(tenant.id).await?;
    tx.tenant().await?.filter(Tenant::is_active).ok_or(AuthorizeDenied::TenantSuspended)?;
    let accounts = accounts(tx.as_mut(), browser, ctx.now()).await?;
    let switched = switch(ctx, tenant, tx.as_mut(), browser, &accounts, chosen, origin).await?;
    tx.commit().await?;
    Ok(switched)
}
