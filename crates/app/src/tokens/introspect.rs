//! Introspection (RFC 7662): is this token alive, now, by the database?

use domain::answer::{self, SignedAnswer};
use domain::client::{Client, ClientId};
use domain::details::AuthorizationDetails;
use domain::ids::FamilyId;
use domain::scope::Scope;
use domain::tenant::Tenant;
use domain::time::Timestamp;
use domain::token::claims::{AccessClaims, Confirmation, Subject};
use domain::token::family::{Binding, RefreshFamily};
use domain::user::User;
use serde_json::Value;

use crate::clients::documents::is_taken;
use crate::ctx::Ctx;
use crate::fault::Fault;
use crate::keys::sign_answer;
use crate::ports::store::TenantTx;
use crate::subjects::subject;

/// What is known of a living token.
#[derive(Debug)]
pub enum Living {
    Access(Box<AccessClaims>),
    Refresh {
        session_id: FamilyId,
        subject: Subject,
        client_id: ClientId,
        scope: Scope,
        details: AuthorizationDetails,
        cnf: Option<Confirmation>,
        expires_at: Timestamp,
        issued_at: Timestamp,
    },
}

impl Living {
    /// Whose it is.
    pub const fn client_id(&self) -> &ClientId {
        match self {
            Self::Access(claims) => &claims.client_id,
            Self::Refresh { client_id, .. } => client_id,
        }
    }
}

/// Looks at a token of this tenant; `None` for everything that is not alive, whatever the reason.
///
/// # Errors
/// When it could not be looked up.
pub async fn introspect(ctx: &Ctx, tenant: &Tenant, token: &str) -> Result<Option<Living>, Fault> {
    if let Some(living) = living_access(ctx, tenant, token, Meant::ForWhomever).await? {
        return Ok(Some(Living::Access(Box::new(living.claims))));
    }
    let signer = ctx.keys.signer(tenant.id, 0).await?;
    let Some((family_id, generation)) = signer.open_refresh(token) else { return Ok(None) };
    let mut tx = ctx.store.begin_read(tenant.id).await?;
    let now = ctx.now();
    let Some(family) = tx.family_by_id(family_id).await?.filter(|family| family.is_live(now) && family.head.current == generation) else {
        return Ok(None);
    };
    let may = tx.user_by_id(family.user_id).await?.is_some_and(|user| user.may_log_in().is_ok());
    let is_active = tx.tenant().await?.is_some_and(|tenant| tenant.is_active());
    let Some(client) = active_client(tx.as_mut(), &family.client_id).await?.filter(|_| may && is_active) else { return Ok(None) };
    drop(tx);
    Ok(Some(Living::Refresh {
        session_id: family.id,
        subject: subject(ctx, tenant.id, &client, family.user_id).await?,
        expires_at: family.ends_at(),
        client_id: family.client_id,
        cnf: match family.binding {
            Binding::Dpop(key) => Some(Confirmation::Dpop(key)),
            Binding::Certificate(certificate) => Some(Confirmation::Certificate(certificate)),
            Binding::Bearer | Binding::Cookie => None,
        },
        issued_at: family.head.rotated_at,
        scope: family.scope,
        details: family.details,
    }))
}

/// What was said of a token, signed for the client that has asked (RFC 9701, 5).
///
/// # Errors
/// [`Fault::NoAlgorithm`] when the tenant has no key that this client may be answered by.
pub async fn signed(ctx: &Ctx, tenant: &Tenant, client: &Client, said: Value) -> Result<String, Fault> {
    let claims = answer::introspection(said, &tenant.issuer(&ctx.base_url), client, ctx.now());
    sign_answer(ctx, tenant.id, client, SignedAnswer::Introspection, claims).await
}

/// An access token that verifies and all of whose origins are alive.
#[derive(Debug)]
pub(crate) struct LivingAccess {
    pub claims: AccessClaims,
    pub client: Client,
    /// `None` for a client that acts for itself.
    pub session: Option<(User, RefreshFamily)>,
}

/// For whom a token has to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Meant {
    /// For the issuer's own endpoints: the issuer is in `aud`.
    ForUs,
    /// For any of the tenant's APIs.
    ForWhomever,
}

/// Looks at an access token: whether it verifies and its session, user, client and tenant are alive.
pub(crate) async fn living_access(ctx: &Ctx, tenant: &Tenant, token: &str, meant: Meant) -> Result<Option<LivingAccess>, Fault> {
    let keys = ctx.keys.published(tenant.id).await?;
    let now = ctx.now();
    let issuer = tenant.issuer(&ctx.base_url);
    let verified = match meant {
        Meant::ForUs => keys.verifier.verify(token, &issuer, now),
        Meant::ForWhomever => keys.verifier.verify_for_whomever(token, &issuer, now),
    };
    let Ok(claims) = verified else { return Ok(None) };
    let registered = (claims.client_id != ClientId::first_party()).then_some(&claims.client_id);
    let grounds = ctx.store.grounds(tenant.id, registered, claims.sid).await?;
    let client = if registered.is_none() { Some(Client::first_party()) } else { grounds.client };
    let Some(standing) = grounds.tenant.filter(Tenant::is_active) else { return Ok(None) };
    // What a tenant does not take any more is worth nothing at once.
    let is_worth = |client: &Client| client.is_active() && (!client.id.is_address() || is_taken(&standing, &client.id));
    let Some(client) = client.filter(is_worth) else { return Ok(None) };
    let session = match (&claims.sub, claims.sid, grounds.session) {
        (Subject::Client(client), None, None) if *client == claims.client_id => None,
        (sub @ (Subject::User(_) | Subject::Pairwise(_)), Some(_), Some((family, Some(user)))) => {
            let is_theirs = match sub {
                // Whatever the client's subjects have become since.
                Subject::User(id) => *id == user.id,
                pseudonym => subject(ctx, tenant.id, &client, user.id).await? == *pseudonym,
            };
            if !is_theirs || !family.is_live(now) || user.may_log_in().is_err() {
                return Ok(None);
            }
            Some((user, family))
        }
        _ => return Ok(None),
    };
    Ok(Some(LivingAccess { claims, client, session }))
}

/// The client, if its tokens are worth anything. The built-in one always is there and costs no statement.
async fn active_client(tx: &mut dyn TenantTx, id: &ClientId) -> Result<Option<Client>, Fault> {
    if *id == ClientId::first_party() {
        return Ok(Some(Client::first_party()));
    }
    let client = tx.client_by_id(id).await?.filter(Client::is_active);
    if id.is_address() && client.is_some() {
        // What a tenant does not take any more is worth nothing at once.
        let tenant = tx.tenant().await?;
        return Ok(client.filter(|_| tenant.is_some_and(|tenant| is_taken(&tenant, id))));
    }
    Ok(client)
}
