//! The claims that a tenant makes itself: setting the rules, and looking at what they come to.
//!
//! The rules live in the tenant's policy ([`domain::claim_rules`]), so that whoever issues a token has read them with the tenant and asks
//! nothing more. Invariant: [`preview`] makes claims by the functions that tokens are made by, and signs nothing.

use domain::audit::{Actor, AuditEvent};
use domain::claim_rules::{ClaimRules, RuleRefused};
use domain::client::{Client, ClientId};
use domain::details::AuthorizationDetails;
use domain::ids::{FamilyId, SsoSessionId, TenantId, TokenId, UserId};
use domain::openid::{self, ClaimsOfScopes, ClaimsRequest, IdClaims};
use domain::resource::{self, ResourceSet, Target, TargetRefused};
use domain::scope::Scope;
use domain::sso::{Authentication, Method, SignOn};
use domain::tenant::Tenant;
use domain::token::claims::{AccessClaims, Grant, Issuance};
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::ctx::{Ctx, Origin};
use crate::fault::Fault;
use crate::subjects::subject;
use crate::tenants::TenantDenied;
use crate::tokens::target::apis_of;

/// Replaces all rules. They count from the next token on; on other nodes after the seconds for which these remember a tenant.
///
/// # Errors
/// When a rule will not do, or the tenant is gone.
pub async fn set(ctx: &Ctx, tenant: TenantId, rules: ClaimRules, actor: Actor, origin: &Origin) -> Result<ClaimRules, TenantDenied> {
    rules.validated()?;
    let mut tx = ctx.store.begin(tenant).await?;
    let mut row = tx.tenant_locked().await?.ok_or(TenantDenied::Unknown)?;
    if row.policy.claims.rules == rules {
        return Ok(rules);
    }
    row.policy.claims.rules = rules;
    row.updated_at = ctx.now();
    tx.tenant_update(&row).await?;
    let event = AuditEvent::ClaimRulesChanged { rules: row.policy.claims.rules.0.len() as u64 };
    tx.audit_append(&ctx.record(tenant, actor, origin, event)).await?;
    tx.commit().await?;
    ctx.tenants.forget(&row.slug);
    Ok(row.policy.claims.rules)
}

/// Somebody of whom something would be told, and to whom.
#[derive(Debug)]
pub struct PreviewCommand {
    /// `None` for a client that acts for itself.
    pub user: Option<UserId>,
    pub client: ClientId,
    /// What would be granted, as far as the client may have it.
    pub scope: Scope,
    /// The APIs that would be named.
    pub audience: ResourceSet,
    /// The `claims` parameter.
    pub claims: ClaimsRequest,
    /// In the place of the rules that there are.
    pub rules: Option<ClaimRules>,
}

/// What would be told; of ID token and userinfo nothing where there would be none.
#[derive(Debug, Serialize)]
pub struct Preview {
    pub access_token: Map<String, Value>,
    pub id_token: Option<Map<String, Value>>,
    pub userinfo: Option<Map<String, Value>>,
    pub left_out: LeftOut,
}

/// Names of claims that there was no room for.
#[derive(Debug, Default, Serialize)]
pub struct LeftOut {
    pub access_token: Vec<String>,
    pub id_token: Vec<String>,
    pub userinfo: Vec<String>,
}

#[derive(Debug)]
pub enum PreviewDenied {
    Rules(RuleRefused),
    /// This tenant has no such user, or no such client: `member` says which.
    Unknown {
        member: &'static str,
    },
    Target(TargetRefused),
    Fault(Fault),
}

impl<E: Into<Fault>> From<E> for PreviewDenied {
    fn from(error: E) -> Self {
        Self::Fault(error.into())
    }
}

/// What an access token, its ID token and userinfo would say if they were issued now, after a login with a password. What is new with each
/// token (`jti`, `sid`, times) is an example; `nonce`, `at_hash`, `cnf` and `act` are not there.
///
/// # Errors
/// See [`PreviewDenied`].
pub async fn preview(ctx: &Ctx, tenant: &Tenant, command: PreviewCommand, actor: Actor, origin: &Origin) -> Result<Preview, PreviewDenied> {
    let PreviewCommand { user, client, scope, audience, claims: wishes, rules } = command;
    let mut tenant = tenant.clone();
    if let Some(rules) = rules {
        rules.validated().map_err(PreviewDenied::Rules)?;
        tenant.policy.claims.rules = rules;
    }
    let tenant = &tenant;
    let issuer = tenant.issuer(&ctx.base_url);
    let (user, client, apis) = {
        let mut tx = ctx.store.begin_read(tenant.id).await?;
        let user = match user {
            Some(id) => Some(tx.user_by_id(id).await?.ok_or(PreviewDenied::Unknown { member: "user" })?),
            None => None,
        };
        let client = if client == ClientId::first_party() {
            Client::first_party()
        } else {
            tx.client_by_id(&client).await?.ok_or(PreviewDenied::Unknown { member: "client" })?
        };
        let apis = apis_of(tx.as_mut(), &client).await?;
        (user, client, apis)
    };
    let is_own = client.id == ClientId::first_party();
    // The tenant's own application has no list of what it may ask for.
    let scope = if is_own { scope } else { scope.retain(|word| client.settings.scope.contains(word)) };
    // What speaks of a user is nothing a client has of itself.
    let scope = if user.is_some() { scope } else { scope.retain(|word| !Scope::OF_OPENID.contains(&word)) };
    let (set, scope) = resource::aimed(audience, scope, &apis, &issuer).map_err(PreviewDenied::Target)?;
    let target = Target::of(&set, apis, &issuer).and_then(|target| target.signed_among(client.settings.signing_algs()));
    let target = target.map_err(PreviewDenied::Target)?;

    let now = ctx.now();
    let jti = TokenId::new(now, ctx.id_entropy());
    let issuance = Issuance {
        tenant,
        issuer: &issuer,
        client_id: &client.id,
        scope: &scope,
        target: &target,
        details: AuthorizationDetails::NONE,
        jti,
        now,
    };
    let wishes = wishes.within(&client.settings.scope);
    let sign_on = SignOn {
        session_id: SsoSessionId::new(now, ctx.id_entropy()),
        authentication: Authentication::by(Method::Password, now),
        claims: wishes,
    };
    let grant = match &user {
        None => None,
        Some(user) => Some(Grant {
            session_id: FamilyId::new(now, ctx.id_entropy()),
            session_ends_at: now.plus(tenant.policy.refresh_absolute_ttl_seconds),
            subject: subject(ctx, tenant.id, &client, user.id).await?,
            auth_time: now,
            // The tenant's own application takes names and passwords itself.
            sign_on: (!is_own).then_some(&sign_on),
        }),
    };
    let (mut access, of_access) = AccessClaims::with_left_out(issuance, user.as_ref().zip(grant.clone()));
    access.cap_life(ctx.keys.published(tenant.id).await?.ring.numbers.token_ttl_cap_seconds);
    let mut left_out = LeftOut { access_token: of_access, ..LeftOut::default() };
    let id =
        user.as_ref().zip(grant).and_then(|(user, grant)| IdClaims::new(issuance, &access, user, grant, None, ClaimsOfScopes::AtUserinfo));
    let id_token = match id {
        Some((claims, of_id)) => {
            left_out.id_token = of_id;
            Some(members(&claims)?)
        }
        None => None,
    };
    let opens_userinfo = access.scope.contains(Scope::OPENID) && access.aud.contains(&issuer);
    let userinfo = user.as_ref().filter(|_| opens_userinfo).map(|user| {
        let told = openid::userinfo(tenant, &client.id, user, &access.scope, &sign_on.claims);
        left_out.userinfo = told.left_out;
        let mut claims = told.claims;
        claims.insert("sub".to_owned(), json!(access.sub));
        if client.settings.userinfo_signed_response_alg.is_some() {
            claims.insert("iss".to_owned(), json!(issuer));
            claims.insert("aud".to_owned(), json!(client.id));
        }
        claims
    });
    let event = AuditEvent::ClaimsPreviewed { user_id: user.as_ref().map(|user| user.id), client_id: client.id.clone() };
    crate::audit::append(ctx, &ctx.record(tenant.id, actor, origin, event)).await?;
    Ok(Preview { access_token: members(&access)?, id_token, userinfo, left_out })
}

fn members(claims: &impl Serialize) -> Result<Map<String, Value>, Fault> {
    match serde_json::to_value(claims) {
        Ok(Value::Object(members)) => Ok(members),
        Ok(_) => Err(Fault::Broken("claims are no object".to_owned())),
        Err(error) => Err(Fault::Broken(error.to_string())),
    }
}
