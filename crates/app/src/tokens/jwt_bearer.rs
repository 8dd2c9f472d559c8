//! The JWT bearer grant (RFC 7523, 2.1): what a trusted issuer says of a user, exchanged for an access token. Nobody is asked and nobody
//! logs in, so there is no refresh token and no ID token.
//!
//! Invariant: an assertion is worth one token, on whatever node, and never more than its issuer, the client and the user may have.
//! The token has a session that ends with it: it is seen, revoked and introspected like any other of the user's.

use domain::audit::{Actor, AuditEvent};
use domain::client::Client;
use domain::client::assertion::Audience;
use domain::consent::{self, Allowed};
use domain::details::AuthorizationDetails;
use domain::keys::ring::Alg;
use domain::resource::{self, ResourceSet, Target, TargetRefused};
use domain::scope::Scope;
use domain::tenant::Tenant;
use domain::text::LoginName;
use domain::token::claims::Confirmation;
use domain::token::family::{Binding, RefreshFamily};
use domain::trusted_issuer::{Asserted, TrustedIssuer};
use domain::user::User;

use crate::clients::authenticate::claim_in;
use crate::clients::key_sets::{Signatory, open_signed_by};
use crate::ctx::{Ctx, Origin};
use crate::fault::Fault;
use crate::login::begin_family;
use crate::ports::keys::ForeignToken;
use crate::ports::store::{StoreError, TenantTx};
use crate::tokens::issue::{IssueForAssertion, IssuedTokens, issue_for_assertion};
use crate::tokens::target::apis_of;

#[derive(Debug)]
pub enum AssertionDenied {
    /// Whatever is wrong with the assertion, or with whom it is about: one answer for all.
    InvalidGrant,
    /// More was asked for than client and issuer have in common.
    InvalidScope,
    InvalidTarget(TargetRefused),
    Fault(Fault),
}

impl<E: Into<Fault>> From<E> for AssertionDenied {
    fn from(error: E) -> Self {
        Self::Fault(error.into())
    }
}

/// Types that an assertion may have: none, that of any JWT, and its own (rfc7523bis). A token of another kind is none (RFC 8725, 3.11).
const ASSERTION_TYPES: [&str; 2] = ["jwt", "authorization-grant+jwt"];

/// A token for the user that `assertion` is about, with `scope`, or with all that client and issuer have in common.
///
/// # Errors
/// See [`AssertionDenied`]. What a trusted issuer has signed in vain is in the audit log.
#[tracing::instrument(level = "debug", name = "app.jwt_bearer", skip_all)]
#[expect(clippy::too_many_arguments, reason = "what a token request brings")]
pub async fn jwt_bearer(
    ctx: &Ctx,
    tenant: &Tenant,
    client: &Client,
    assertion: &str,
    scope: Option<Scope>,
    wanted: ResourceSet,
    proved: Option<Confirmation>,
    origin: &Origin,
) -> Result<IssuedTokens, AssertionDenied> {
    let refused = |why: &str| {
        tracing::info!(client_id = %client.id, why, "an assertion was not exchanged");
        AssertionDenied::InvalidGrant
    };
    let iss = claim_in(assertion, "iss").ok_or_else(|| refused("it names no issuer"))?;
    let mut tx = ctx.store.begin_read(tenant.id).await?;
    let trusted = tx.trusted_issuer_named(&iss).await?.filter(|trusted| trusted.settings.clients.contains(&client.id));
    let trusted = trusted.ok_or_else(|| refused("its issuer is not trusted with this client"))?;
    let apis = apis_of(tx.as_mut(), client).await?;
    drop(tx);
    // Nobody's address is asked in a transaction.
    let algs: Vec<Alg> = trusted.settings.signing_algs.iter().copied().collect();
    let owner = (tenant.id, Signatory::Issuer(trusted.id));
    let opened = open_signed_by(ctx, owner, &trusted.settings.keys, assertion, &algs).await;
    let opened = opened.map_err(|_| refused("its form, algorithm, key or signature"))?;
    let record = |event| ctx.record(tenant.id, Actor::Client { client_id: client.id.clone() }, origin, event);

    let issuer = tenant.issuer(&ctx.base_url);
    let own = client.settings.scope.clone().retain(|word| trusted.settings.scope.contains(word));
    if scope.as_ref().is_some_and(|scope| !scope.is_within(&own)) {
        return Err(AssertionDenied::InvalidScope);
    }
    let (resources, granted) =
        resource::aimed(wanted, scope.clone().unwrap_or(own), &apis, &issuer).map_err(AssertionDenied::InvalidTarget)?;
    // Nothing of what was asked for by name is left out in silence.
    if scope.is_some_and(|scope| scope != granted) {
        return Err(AssertionDenied::InvalidScope);
    }
    let target = Target::of(&resources, apis, &issuer).map_err(AssertionDenied::InvalidTarget)?;

    let mut tx = ctx.store.begin(tenant.id).await?;
    let Some(tenant) = tx.tenant().await?.filter(Tenant::is_active) else { return Err(AssertionDenied::InvalidGrant) };
    let allowed = Allowed { scope: granted.clone(), resources: resources.clone(), details: AuthorizationDetails::none() };
    let user = match whom(ctx, tx.as_mut(), &tenant, client, &trusted, opened, &allowed).await? {
        Ok(user) => user,
        Err(reason) => {
            let event = AuditEvent::AssertionNotExchanged {
                client_id: client.id.clone(),
                trusted_issuer_id: trusted.id,
                reason: reason.to_owned(),
            };
            tx.audit_append(&record(event)).await?;
            tx.commit().await?;
            return Err(refused(reason));
        }
    };
    let ring = tx.ring().await?.ok_or_else(|| Fault::Broken("the tenant has no key ring".to_owned()))?;
    let begun = begin_family(ctx, &tenant, user.id, client.id.clone(), granted.clone(), Binding::Bearer, None, origin);
    let ends_at = begun.created_at.plus(target.ttl(tenant.policy.access_ttl_seconds));
    let family = RefreshFamily { resources, idle_expires_at: ends_at, absolute_expires_at: ends_at, ..begun };
    tx.family_insert(&family).await?;
    let event = AuditEvent::AssertionExchanged {
        user_id: user.id,
        client_id: client.id.clone(),
        session_id: family.id,
        trusted_issuer_id: trusted.id,
    };
    tx.audit_append(&record(event)).await?;
    tx.commit().await?;
    let signer = ctx.keys.signer(tenant.id, ring.generation).await?;
    let what = IssueForAssertion { tenant: &tenant, client, user: &user, family: &family, scope: granted, target, cnf: proved, signer };
    Ok(issue_for_assertion(ctx, what).await?)
}

/// The user that it is about, if it is good, new, and of somebody who is here and has let this client have what it asks for. Otherwise
/// why not; what it was used up for stays used.
async fn whom(
    ctx: &Ctx,
    tx: &mut dyn TenantTx,
    tenant: &Tenant,
    client: &Client,
    trusted: &TrustedIssuer,
    opened: ForeignToken,
    allowed: &Allowed,
) -> Result<Result<User, &'static str>, StoreError> {
    if opened.typ.is_some_and(|typ| !ASSERTION_TYPES.contains(&typ.to_ascii_lowercase().as_str())) {
        return Ok(Err("its typ is that of another token"));
    }
    let issuer = tenant.issuer(&ctx.base_url);
    let token_endpoint = format!("{issuer}/oauth/token");
    let audience = Audience { issuer: &issuer, token_endpoint: Some(&token_endpoint) };
    let (asserted, good) = match trusted.judge(&opened.claims, audience, ctx.now()) {
        Ok(judged) => judged,
        Err(why) => return Ok(Err(why.0)),
    };
    if !tx.spend(&good.name, good.expires_at).await? {
        return Ok(Err("it was used before"));
    }
    let user = match asserted {
        Asserted::Id(id) => tx.user_by_id(id).await?,
        Asserted::Username(name) => tx.account_by_login(&LoginName::Username(name)).await?.map(|account| account.user),
        Asserted::Email(email) => {
            let user = tx.account_by_login(&LoginName::Email(email)).await?.map(|account| account.user);
            // An address that somebody has only written down is nobody's.
            user.filter(|user| user.email_verified_at.is_some())
        }
    };
    let Some(user) = user else { return Ok(Err("there is no such user")) };
    if user.may_log_in().is_err() {
        return Ok(Err("the user may not log in"));
    }
    // Nobody is here to be asked: what they agreed to before has to do.
    let before = tx.consent(user.id, &client.id).await?;
    if consent::is_needed(client, "", allowed, before.as_ref()) {
        return Ok(Err("the user has not agreed to it"));
    }
    Ok(Ok(user))
}
