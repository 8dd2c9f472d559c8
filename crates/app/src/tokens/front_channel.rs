//! Tokens that the authorization endpoint itself gives, by the browser (OpenID Connect Core, 3.2, 3.3): [`open`] in the transaction of the
//! answer, [`sign`] after its commit.
//!
//! Invariant: there is a session behind them like behind any others, so they are seen, revoked and introspected like any others; and never a
//! refresh token beside them. That comes with the code, if there is one, and then it is the same session.

use domain::audit::{Actor, AuditEvent};
use domain::authorize::{AuthorizationRequest, AuthorizeError, Refusal};
use domain::client::Client;
use domain::details::AuthorizationDetails;
use domain::ids::TokenId;
use domain::openid::{Beside, ClaimsOfScopes, IdClaims};
use domain::resource::{ResourceSet, Target};
use domain::sso::{SignOn, SsoSession};
use domain::tenant::Tenant;
use domain::time::Ttl;
use domain::token::claims::{AccessClaims, Grant, Issuance};
use domain::token::family::{Binding, RefreshFamily};
use domain::user::User;

use crate::ctx::{Ctx, Origin};
use crate::fault::Fault;
use crate::keys::{encrypted, signer_for, signer_of};
use crate::login::begin_family;
use crate::ports::store::{StoreError, TenantTx};
use crate::subjects::subject;
use crate::tokens::target;

/// The longest that such an access token lives: whoever got hold of an address has it, and nobody proves anything with it.
const ACCESS_TTL: Ttl = Ttl::minutes(5);

/// A session that tokens by the browser are of, and what they are for.
pub(crate) struct Opened {
    pub family: RefreshFamily,
    target: Target,
    details: AuthorizationDetails,
    /// That of the ring they are signed with.
    generation: u64,
}

/// Begins the session, or goes on with the one that this login has at the client already: an application that asks again and again, without
/// its user, makes no more of them. One that a code goes with is always new: its second use ends it.
///
/// # Errors
/// Inside: why the request is refused after all.
pub(crate) async fn open(
    ctx: &Ctx,
    tx: &mut dyn TenantTx,
    (tenant, client): (&Tenant, &Client),
    request: &AuthorizationRequest,
    (user, session): (&User, &SsoSession),
    origin: &Origin,
) -> Result<Result<Opened, Refusal>, Fault> {
    let kind = request.response_type;
    let (mut target, mut details) = (Target::usual(), AuthorizationDetails::none());
    if kind.has_token() {
        let issuer = tenant.issuer(&ctx.base_url);
        target = match target::of_grant(tx, client, &issuer, &request.resources, ResourceSet::new()).await? {
            Ok(target) => target,
            Err(refused) => return Ok(Err(Refusal { error: AuthorizeError::InvalidTarget, description: refused.description() })),
        };
        details = match target::details_of(&target, client, &request.details, None) {
            Ok(details) => details,
            Err(refused) => {
                return Ok(Err(Refusal { error: AuthorizeError::InvalidAuthorizationDetails, description: refused.description() }));
            }
        };
    }
    let generation = tx.ring().await?.ok_or_else(|| Fault::Broken("the tenant has no key ring".to_owned()))?.generation;
    let sign_on = SignOn::of(session, request.claims.clone());
    let begun = begin_family(ctx, tenant, user.id, client.id.clone(), request.scope.clone(), Binding::Bearer, Some(sign_on), origin);
    let family = RefreshFamily {
        resources: request.resources.clone(),
        details: request.details.clone(),
        // Where the user logged in, which may have been elsewhere than where the answer is fetched.
        user_agent: session.user_agent.clone().or(begun.user_agent),
        source: session.source.clone().or(begun.source),
        ..begun
    };
    let again = if kind.has_code() { None } else { going_on(tx, &family, tenant.policy.access_ttl_seconds).await? };
    let family = match again {
        Some(family) => family,
        None => {
            tx.family_insert(&family).await?;
            let event = AuditEvent::FrontChannelGranted {
                user_id: user.id,
                client_id: client.id.clone(),
                session_id: family.id,
                response_type: kind.name().to_owned(),
            };
            tx.audit_append(&ctx.record(tenant.id, Actor::User { user_id: user.id }, origin, event)).await?;
            family
        }
    };
    Ok(Ok(Opened { family, target, details, generation }))
}

/// A session of the same client by the same login, with the same granted, that outlives what is given now.
async fn going_on(tx: &mut dyn TenantTx, begun: &RefreshFamily, ttl: Ttl) -> Result<Option<RefreshFamily>, StoreError> {
    let now = begun.created_at;
    let is_same = |live: &RefreshFamily| {
        live.client_id == begun.client_id
            && live.sign_on == begun.sign_on
            && live.scope == begun.scope
            && live.resources == begun.resources
            && live.details == begun.details
            && live.binding == begun.binding
            && live.ends_at() >= now.plus(ttl)
    };
    Ok(tx.families_live(begun.user_id, now).await?.into_iter().find(is_same))
}

/// What the answer says besides the code: no transaction is held, a key may have to be made or fetched.
///
/// # Errors
/// When no key may sign, or the client shows none to encrypt to.
pub(crate) async fn sign(
    ctx: &Ctx,
    tenant: &Tenant,
    client: &Client,
    request: &AuthorizationRequest,
    user: &User,
    opened: Opened,
    code: Option<&str>,
) -> Result<Vec<(&'static str, String)>, Fault> {
    let Opened { family, target, details, generation } = opened;
    let kind = request.response_type;
    let now = ctx.now();
    let signer = signer_for(ctx, tenant.id, client, generation).await?;
    let algs = target.algs(client.settings.signing_algs());
    // An API may have its own.
    let signer = if signer.has(&algs, now) { signer } else { signer_of(ctx, tenant.id, &[&algs], signer.generation()).await? };
    let issuer = tenant.issuer(&ctx.base_url);
    let grant = Grant {
        session_id: family.id,
        session_ends_at: family.absolute_expires_at,
        subject: subject(ctx, tenant.id, client, user.id).await?,
        auth_time: family.auth_time,
        sign_on: family.sign_on.as_ref(),
    };
    let issuance = Issuance {
        tenant,
        issuer: &issuer,
        client_id: &client.id,
        scope: &request.scope,
        target: &target,
        details: &details,
        jti: TokenId::new(now, ctx.id_entropy()),
        now,
    };
    let mut access = AccessClaims::new(issuance, user, grant.clone());
    // Who gets no access token asks no userinfo: not now, and not by a code.
    let of_scopes = if kind.has_code() || kind.has_token() { ClaimsOfScopes::AtUserinfo } else { ClaimsOfScopes::InIdToken };
    let id_claims = match kind.has_id_token() {
        true => Some(
            IdClaims::new(issuance, &access, user, grant, request.nonce.clone(), of_scopes)
                .ok_or_else(|| Fault::Broken("an ID token was to be given without openid".to_owned()))?
                .0,
        ),
        false => None,
    };
    let mut said = Vec::new();
    if kind.has_token() {
        access.cap_life(ACCESS_TTL);
        said.push(("access_token", signer.sign(&mut access, &algs, now)?));
        said.push(("token_type", "Bearer".to_owned()));
        said.push(("expires_in", access.expires_in(now).to_string()));
        said.push(("scope", access.scope.to_string()));
        if !access.authorization_details.is_empty() {
            let details = serde_json::to_string(&access.authorization_details);
            said.push(("authorization_details", details.map_err(|error| Fault::Broken(error.to_string()))?));
        }
    }
    if let Some(mut claims) = id_claims {
        let access_token = said.first().map(|(_, token)| token.as_str());
        let alg = client.settings.id_token_signed_response_alg;
        let token = signer.sign_id(&mut claims, alg, Beside { access_token, code }, now)?;
        said.push(("id_token", encrypted(ctx, tenant.id, client, client.settings.encryption.id_token(), token).await?));
    }
    Ok(said)
}
