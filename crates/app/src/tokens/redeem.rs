//! The authorization code grant (RFC 6749, 4.1.3): one presented code, one durable commit.
//!
//! Invariant: a code that comes a second time ends the session that began with it, and that is never rolled back; every refusal looks
//! the same from outside.

use domain::audit::{Actor, AuditEvent};
use domain::authorize::code::{CodeGrant, CodeRefused};
use domain::client::Client;
use domain::details::{AuthorizationDetails, DetailsRefused};
use domain::handle::{Handle, HandleKind};
use domain::ids::FamilyId;
use domain::resource::{ResourceSet, TargetRefused};
use domain::secret::Secret;
use domain::tenant::Tenant;
use domain::time::Timestamp;
use domain::token::claims::Confirmation;
use domain::token::family::{RefreshFamily, Revocation, RevocationCause};

use crate::ctx::{Ctx, Origin};
use crate::fault::Fault;
use crate::keys::signer_for;
use crate::ports::store::{CodeUse, StoreError, TenantTx};
use crate::tokens::issue::IssuedTokens;
use crate::tokens::open::{Granted, open, standing};
use crate::tokens::target;

#[derive(Debug)]
pub struct RedeemCommand {
    pub client: Client,
    pub code: Secret<String>,
    pub redirect_uri: Option<String>,
    pub code_verifier: Option<Secret<String>>,
    /// What of the granted the first tokens are for; all of it where nothing is named.
    pub wanted: ResourceSet,
    /// What of the granted details they say; all that are about what they are for where nothing is named.
    pub details: Option<AuthorizationDetails>,
    /// What was proved with it.
    pub proved: Option<Confirmation>,
}

#[derive(Debug)]
pub enum CodeDenied {
    /// Unknown, expired, used, of another client, without its verifier…: one answer for all.
    InvalidGrant,
    /// The code stays good for something that was granted.
    InvalidTarget(TargetRefused),
    /// As well.
    InvalidDetails(DetailsRefused),
    Fault(Fault),
}

impl<E: Into<Fault>> From<E> for CodeDenied {
    fn from(error: E) -> Self {
        Self::Fault(error.into())
    }
}

/// Exchanges a code for tokens: opens the session of this client and this user.
///
/// # Errors
/// See [`CodeDenied`]. A refusal that must be remembered has been committed.
#[tracing::instrument(level = "debug", name = "app.redeem", skip_all)]
pub async fn redeem(ctx: &Ctx, tenant: &Tenant, command: RedeemCommand, origin: &Origin) -> Result<IssuedTokens, CodeDenied> {
    let RedeemCommand { client, code, redirect_uri, code_verifier, wanted, details: wanted_details, proved } = command;
    let code = Handle::parse(HandleKind::AuthorizationCode, code.expose()).ok_or(CodeDenied::InvalidGrant)?.hash();
    // Before the code is used up: a key may have to be made.
    let signer = signer_for(ctx, tenant.id, &client, 0).await?;
    let now = ctx.now();
    let mut tx = ctx.store.begin(tenant.id).await?;
    let Some(tenant) = tx.tenant().await?.filter(Tenant::is_active) else { return Err(CodeDenied::InvalidGrant) };
    // Its id has to be known before the code is used up; the rest when it is known whose it is.
    let family_id = FamilyId::new(now, ctx.id_entropy());
    let client_id = client.id.clone();
    let record = |event| ctx.record(tenant.id, Actor::Client { client_id: client_id.clone() }, origin, event);
    let grant = match tx.code_use(&code, family_id, now).await? {
        CodeUse::Unknown => return Err(CodeDenied::InvalidGrant),
        CodeUse::Again { family_id } => {
            let theirs = tx.family_by_id(family_id).await?.is_some_and(|family| family.client_id == client.id);
            // Another client that got hold of it ends nobody's session.
            if theirs && tx.family_revoke(family_id, Revocation { at: now, cause: RevocationCause::CodeReuse }).await? {
                tx.audit_append(&record(AuditEvent::CodeReused { client_id: client.id.clone(), session_id: family_id })).await?;
                tx.commit().await?;
            }
            return Err(CodeDenied::InvalidGrant);
        }
        CodeUse::First(grant) => *grant,
    };
    let verifier = code_verifier.as_ref().map(|verifier| verifier.expose().as_str());
    let user = standing(tx.as_mut(), grant.user_id, &grant.sign_on).await?;
    let redeemable = grant.redeemable(&client.id, redirect_uri.as_deref(), verifier, proved.and_then(Confirmation::dpop_key), now);
    let redeemable = redeemable.and_then(|()| user.ok_or(CodeRefused::Ended));
    let redeemable = match redeemable {
        Ok(user) => begun(tx.as_mut(), &grant, now).await?.map(|begun| (user, begun)),
        Err(refused) => Err(refused),
    };
    let (user, begun) = match redeemable {
        Ok(redeemable) => redeemable,
        Err(refused) => {
            if refused == CodeRefused::OtherClient {
                // It stays good for its owner.
                drop(tx);
                tx = ctx.store.begin(tenant.id).await?;
            }
            tx.audit_append(&record(AuditEvent::CodeRefused { client_id: client.id.clone(), reason: refused.name().to_owned() })).await?;
            tx.commit().await?;
            return Err(CodeDenied::InvalidGrant);
        }
    };
    // Nothing has been committed: a wish for more does not cost the client its code.
    let issuer = tenant.issuer(&ctx.base_url);
    let target = target::of_grant(tx.as_mut(), &client, &issuer, &grant.resources, wanted).await?.map_err(CodeDenied::InvalidTarget)?;
    let first_details = target::details_of(&target, &client, &grant.details, wanted_details).map_err(CodeDenied::InvalidDetails)?;
    let family_id = begun.as_ref().map_or(family_id, |family| family.id);
    let event = AuditEvent::CodeRedeemed { user_id: user.id, client_id: client.id.clone(), session_id: family_id };
    let CodeGrant { scope, resources, details, nonce, sign_on, .. } = grant;
    let granted = Granted { user, family_id, begun, scope, resources, target, details, first_details, nonce, sign_on, proved };
    Ok(open(ctx, &tenant, &client, granted, tx, signer, &record(event), origin).await?)
}

/// The session that a token beside the code has begun, where there was one: it has not ended meanwhile.
async fn begun(tx: &mut dyn TenantTx, grant: &CodeGrant, now: Timestamp) -> Result<Result<Option<RefreshFamily>, CodeRefused>, StoreError> {
    let Some(id) = grant.family_id else { return Ok(Ok(None)) };
    let family = tx.family_by_id(id).await?.filter(|family| family.is_live(now));
    Ok(family.map(Some).ok_or(CodeRefused::Ended))
}
