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
    let grounds = ctx.store.grounds(tenant.id, None, Some(family_id)).await?;
    let Some((family, Some(user))) = grounds.session else { return Ok(None) };
    if !family.is_live(ctx.now()) || family.head.current != generation || user.may_log_in().is_err() {
        return Ok(None);
    }
    let client = match registered(&family.client_id) {
        None => Some(Client::first_party()),
        Some(id) => ctx.store.client(tenant.id, id).await?,
    };
    let Some(client) = client.filter(|client| is_worth(client, grounds.tenant.as_ref())) else { return Ok(None) };
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
    let id = registered(&claims.client_id);
    let grounds = ctx.store.grounds(tenant.id, id, claims.sid).await?;
    let client = if id.is_none() { Some(Client::first_party()) } else { grounds.client };
    let Some(client) = client.filter(|client| is_worth(client, grounds.tenant.as_ref())) else { return Ok(None) };
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

/// The client as the tenant has it in a row; `None` for the built-in one, which always is there and costs no read.
fn registered(id: &ClientId) -> Option<&ClientId> {
    (*id != ClientId::first_party()).then_some(id)
}

/// Whether this client's tokens are worth anything at the tenant as it is now. What a tenant does not take any more is worth nothing at once.
fn is_worth(client: &Client, tenant: Option<&Tenant>) -> bool {
    client.is_active() && tenant.is_some_and(|tenant| tenant.is_active() && is_taken(tenant, &client.id))
}
