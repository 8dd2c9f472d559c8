//! The browser's side of the device grant (RFC 8628, 3.3): a user types the code that a device shows ([`enter`]), logs in as for any
//! application, compares, and answers.
//!
//! What was typed becomes a pending request of this browser, like one that an application sent it with. Invariant: nobody answers a
//! device but the browser that its code was typed in, and never without having been shown what for.

use std::collections::BTreeSet;

use domain::audit::{Actor, AuditEvent};
use domain::authorize::{AcrWish, AuthorizationRequest, ResponseMode, ReturnAddress};
use domain::client::{Client, ResponseType};
use domain::details::AuthorizationDetails;
use domain::device::{DeviceAnswer, UserCode};
use domain::guess::GuessScope;
use domain::handle::{Handle, HandleHash, HandleKind};
use domain::interaction::{Next, Pick, Progress};
use domain::openid::ClaimsRequest;
use domain::sso::{SignOn, SsoSession};
use domain::tenant::Tenant;
use domain::time::Timestamp;
use domain::user::User;

use super::{AuthorizeDenied, Browser, Decided, Decision, Flow, PATIENCE, check_csrf, csrf_token};
use crate::ctx::{Ctx, Origin};
use crate::ports::keys::TokenSigner;
use crate::ports::store::{PendingRequest, StoreError};

/// What stands for the page where codes are typed, among the things that forms are about: no request has this name.
const ENTRY: HandleHash = HandleHash([0; 32]);

/// What a device's user has to compare.
#[derive(Debug)]
pub struct ShownDevice {
    pub user_code: UserCode,
    /// The address that the device asked from.
    pub source: Option<String>,
}

/// Why a typed code leads nowhere.
#[derive(Debug)]
pub enum EntryDenied {
    /// No device shows it, or not any more.
    UnknownCode,
    TooManyAttempts {
        retry_at: Timestamp,
    },
    /// The tenant does not want devices to be signed in.
    Off,
    Request(AuthorizeDenied),
}

impl<E: Into<AuthorizeDenied>> From<E> for EntryDenied {
    fn from(error: E) -> Self {
        Self::Request(error.into())
    }
}

/// The code that a device with this name shows. It follows from the name, so that no code is stored in clear.
pub(crate) fn user_code(signer: &dyn TokenSigner, device: &HandleHash) -> UserCode {
    let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, ..] = signer.blind("device-user-code", &device.0);
    UserCode::new([a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p])
}

/// What a code is found by.
pub(crate) fn blinded(signer: &dyn TokenSigner, code: &UserCode) -> [u8; 32] {
    signer.blind("device-user-code-typed", code.letters())
}

/// Begins to enter a code: which browser it is, and what the form has to bring along.
///
/// # Errors
/// See [`EntryDenied`].
pub async fn begin(ctx: &Ctx, tenant: &Tenant, browser: &Browser) -> Result<(Handle, String), EntryDenied> {
    if !tenant.policy.device_authorization {
        return Err(EntryDenied::Off);
    }
    let browser = browser.browser.clone().unwrap_or_else(|| ctx.handle(HandleKind::Browser));
    let csrf_token = csrf_token(ctx, tenant, &ENTRY, &browser.hash()).await.map_err(AuthorizeDenied::from)?;
    Ok((browser, csrf_token))
}

/// Takes a code that somebody typed, and begins the request that its device waits for: the browser goes on to its page. Guesses are
/// counted by place and by tenant.
///
/// # Errors
/// See [`EntryDenied`]. A guess has been counted.
#[tracing::instrument(level = "debug", name = "app.enter_device_code", skip_all)]
pub async fn enter(
    ctx: &Ctx,
    tenant: &Tenant,
    typed: &str,
    given_csrf_token: &str,
    browser: &Browser,
    origin: &Origin,
) -> Result<Handle, EntryDenied> {
    if !tenant.policy.device_authorization {
        return Err(EntryDenied::Off);
    }
    let browser = browser.browser.as_ref().ok_or(AuthorizeDenied::Forged)?.hash();
    check_csrf(&csrf_token(ctx, tenant, &ENTRY, &browser).await.map_err(AuthorizeDenied::from)?, given_csrf_token)?;
    // What has not the form of a code is a slip, and no guess.
    let code = UserCode::parse(typed).ok_or(EntryDenied::UnknownCode)?;
    let signer = ctx.keys.signer(tenant.id, 0).await.map_err(AuthorizeDenied::from)?;
    let now = ctx.now();
    let mut tx = ctx.store.begin(tenant.id).await.map_err(AuthorizeDenied::from)?;
    let tenant = tx.tenant().await.map_err(AuthorizeDenied::from)?.filter(Tenant::is_active).ok_or(AuthorizeDenied::TenantSuspended)?;
    let counters = [(GuessScope::DeviceCodeFromSource, signer.blind("device-source", &origin.place())), (GuessScope::DeviceCode, ENTRY.0)];
    let found = async {
        let mut counted = Vec::with_capacity(counters.len());
        for ((scope, subject), counter) in counters.into_iter().zip(tx.guess_counters(&counters).await?) {
            match counter.attempt(scope, now) {
                Ok(counter) => counted.push((scope, subject, counter)),
                Err(denied) => return Ok(Err(EntryDenied::TooManyAttempts { retry_at: denied.retry_at })),
            }
        }
        let Some(device) = tx.device_by_user_code(&blinded(signer.as_ref(), &code)).await? else {
            tx.guess_counters_set(&counted, now).await?;
            tx.commit().await?;
            return Ok(Err(EntryDenied::UnknownCode));
        };
        let Some(grant) = tx.device_by_code(&device).await?.filter(|grant| grant.is_open(now)) else {
            return Ok(Err(EntryDenied::UnknownCode));
        };
        let Some(client) = tx.client_by_id(&grant.client_id).await?.filter(Client::is_active) else {
            return Ok(Err(EntryDenied::UnknownCode));
        };
        let handle = ctx.handle(HandleKind::PendingRequest);
        let request = AuthorizationRequest {
            client_id: client.id,
            response_type: ResponseType::Code,
            return_to: ReturnAddress {
                redirect_uri: format!("{}/device", tenant.issuer(&ctx.base_url)),
                mode: ResponseMode::Query,
                state: None,
            },
            scope: grant.scope,
            resources: grant.resources,
            details: AuthorizationDetails::none(),
            nonce: None,
            code_challenge: None,
            prompt: BTreeSet::new(),
            max_age: client.settings.default_max_age,
            login_hint: None,
            users: BTreeSet::new(),
            acr: AcrWish::default(),
            ui_locales: Vec::new(),
            claims: ClaimsRequest::default(),
            dpop_jkt: None,
            pushed: None,
            device: Some(device),
        };
        let expires_at = now.plus(PATIENCE);
        tx.pending_insert(&PendingRequest { handle: handle.hash(), browser, request, progress: Progress::default(), expires_at }).await?;
        tx.commit().await?;
        Ok::<_, StoreError>(Ok(handle))
    };
    found.await.map_err(AuthorizeDenied::from)?
}

/// What the user compares before they answer.
pub(super) async fn shown(flow: &mut Flow<'_>, device: &HandleHash, signer: &dyn TokenSigner) -> Result<ShownDevice, AuthorizeDenied> {
    let grant = flow.tx.device_by_code(device).await?.filter(|grant| grant.is_open(flow.ctx.now()));
    let source = grant.ok_or(AuthorizeDenied::NoSuchRequest)?.source;
    Ok(ShownDevice { user_code: user_code(signer, device), source })
}

/// Gives the device its user's answer. One is given; a second comes too late.
pub(super) async fn decide(
    mut flow: Flow<'_>,
    handle: &Handle,
    device: &HandleHash,
    session: Option<(User, SsoSession)>,
    decision: Decision,
    origin: &Origin,
) -> Result<Decided, AuthorizeDenied> {
    let now = flow.ctx.now();
    let client_id = flow.client.id.clone();
    let user_id = session.as_ref().map(|(user, _)| user.id);
    let (answer, event) = match (decision, session) {
        (Decision::Deny, _) => (DeviceAnswer::Denied, AuditEvent::DeviceDenied { user_id, client_id }),
        (Decision::Allow, None) => return Ok(Decided::GoOn),
        (Decision::Allow, Some((user, session))) => {
            flow.progress.consented = Some(user.id);
            let both = Some((user, session));
            if flow.next(both.as_ref().map_or(Pick::Nobody, Pick::One)).await? != Next::Grant {
                return Ok(Decided::GoOn);
            }
            let Some((user, session)) = both else { return Ok(Decided::GoOn) };
            if let Some(idle_expires_at) = session.touched(now) {
                flow.tx.sso_touch(&session.handle, idle_expires_at).await?;
            }
            let sign_on = SignOn::of(&session, ClaimsRequest::default());
            (DeviceAnswer::Allowed { user_id: user.id, sign_on }, AuditEvent::DeviceAllowed { user_id: user.id, client_id })
        }
    };
    flow.close(Some(handle)).await?;
    let grant = flow.tx.device_by_code(device).await?.filter(|grant| grant.is_open(now));
    let mut grant = grant.ok_or(AuthorizeDenied::NoSuchRequest)?;
    grant.answer = answer;
    flow.tx.device_update(device, &grant).await?;
    let actor = user_id.map_or(Actor::Anonymous, |user_id| Actor::User { user_id });
    let record = flow.ctx.record(flow.tx.tenant_id(), actor, origin, event);
    flow.tx.audit_append(&record).await?;
    flow.tx.commit().await?;
    Ok(Decided::Device(decision))
}
