//! Token exchange (RFC 8693): an access token of this tenant for another one that is worth less, or with which somebody else acts.
//!
//! Invariant: what comes out is for no API that the session was not granted, has no scope word that the subject's token has not, and does not live
//! longer; and it dies with the session. Nothing else is taken for a token: no ID token, no refresh token, nothing of another issuer.

use domain::audit::{Actor, AuditEvent};
use domain::client::Client;
use domain::details::AuthorizationDetails;
use domain::ids::TokenId;
use domain::resource::{ResourceSet, ResourceUri, Target, TargetRefused};
use domain::scope::Scope;
use domain::secret::Secret;
use domain::tenant::Tenant;
use domain::time::Timestamp;
use domain::token::claims::{AccessClaims, Act, Confirmation, Grant, Issuance};
use domain::token::family::Binding;

use crate::ctx::{Ctx, Origin};
use crate::fault::Fault;
use crate::keys::signer_of;
use crate::ports::store::StoreError;
use crate::subjects::subject;
use crate::tokens::introspect::{LivingAccess, Meant, living_access};
use crate::tokens::issue::IssuedTokens;

/// The one kind of token that is exchanged, and that comes out (RFC 8693, 3).
pub const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";

/// A token as a request brings it, with what the request says it is.
#[derive(Debug)]
pub struct Brought {
    pub token: Secret<String>,
    pub kind: String,
}

#[derive(Debug)]
pub struct ExchangeCommand {
    pub client: Client,
    pub subject: Brought,
    pub actor: Option<Brought>,
    /// What is to come out.
    pub requested: Option<String>,
    pub scope: Option<Scope>,
    /// What the token is to be for; all of what the subject's is for that the client may have tokens for, where nothing is named.
    pub wanted: ResourceSet,
    /// What was proved with the request.
    pub proved: Option<Confirmation>,
}

#[derive(Debug)]
pub enum ExchangeDenied {
    /// Another type of token than an access token: brought, or asked for.
    TokenType,
    /// The subject's token is none of this tenant, is over, or is no business of this client: one answer for all.
    Subject,
    /// The same of the actor's: it has to be one that this client was given.
    Actor,
    /// Nobody is said to act, and this client may not pass for others.
    Impersonation,
    /// More have acted for each other than can be told.
    TooManyActors,
    InvalidScope,
    InvalidTarget(TargetRefused),
    Fault(Fault),
}

impl<E: Into<Fault>> From<E> for ExchangeDenied {
    fn from(error: E) -> Self {
        Self::Fault(error.into())
    }
}

impl ExchangeDenied {
    /// The reason's name in the audit log, where a living token was misused. The others are no news.
    const fn name(&self) -> Option<&'static str> {
        match self {
            Self::Impersonation => Some("impersonation"),
            Self::TooManyActors => Some("too_many_actors"),
            Self::InvalidScope => Some("scope"),
            Self::InvalidTarget(_) => Some("target"),
            Self::TokenType | Self::Subject | Self::Actor | Self::Fault(_) => None,
        }
    }
}

/// Exchanges a token. The client has proved itself and may use the grant.
///
/// # Errors
/// See [`ExchangeDenied`]. What is worth remembering of a refusal has been committed.
///
/// Source: RFC 8693, 2, 4.1.
#[tracing::instrument(level = "debug", name = "app.exchange", skip_all)]
pub async fn exchange(ctx: &Ctx, tenant: &Tenant, command: ExchangeCommand, origin: &Origin) -> Result<IssuedTokens, ExchangeDenied> {
    let client_id = command.client.id.clone();
    let record = |event| ctx.record(tenant.id, Actor::Client { client_id: client_id.clone() }, origin, event);
    let exchanged = exchanged(ctx, tenant, command).await;
    let event = match &exchanged {
        Ok((_, event)) => Some(event.clone()),
        Err(denied) => {
            denied.name().map(|reason| AuditEvent::TokenExchangeRefused { client_id: client_id.clone(), reason: reason.to_owned() })
        }
    };
    if let Some(event) = event {
        // A token that was not written down is not given out.
        crate::audit::append(ctx, &record(event)).await?;
    }
    exchanged.map(|(issued, _)| issued)
}

async fn exchanged(ctx: &Ctx, tenant: &Tenant, command: ExchangeCommand) -> Result<(IssuedTokens, AuditEvent), ExchangeDenied> {
    let ExchangeCommand { client, subject: brought, actor, requested, scope, wanted, proved } = command;
    let kinds = [Some(&brought.kind), actor.as_ref().map(|actor| &actor.kind), requested.as_ref()];
    if kinds.into_iter().flatten().any(|kind| kind != ACCESS_TOKEN) {
        return Err(ExchangeDenied::TokenType);
    }
    let now = ctx.now();
    let living = living(ctx, tenant, &brought, proved, now).await?.ok_or(ExchangeDenied::Subject)?;
    let is_own = living.claims.client_id == client.id;
    if !is_own && (living.session.is_none() || !is_for(ctx, tenant, &client, &living.claims).await?) {
        return Err(ExchangeDenied::Subject);
    }
    let actor = match actor {
        // Nobody acts with a token that somebody else was given.
        Some(actor) => {
            let actor = self::living(ctx, tenant, &actor, proved, now).await?;
            Some(actor.filter(|actor| actor.claims.client_id == client.id).ok_or(ExchangeDenied::Actor)?.claims.sub)
        }
        None => None,
    };
    let is_impersonation = actor.is_none() && !is_own;
    if is_impersonation && !client.settings.may_impersonate {
        return Err(ExchangeDenied::Impersonation);
    }
    // Who has acted before is never forgotten, whoever acts now.
    let act = match actor {
        Some(sub) => Some(Box::new(Act::for_whom(sub, living.claims.act.clone()).ok_or(ExchangeDenied::TooManyActors)?)),
        None => living.claims.act.clone(),
    };
    let target = target(ctx, tenant, &client, &living, wanted).await?.map_err(ExchangeDenied::InvalidTarget)?;
    // What opens the user's own account, and the administration, is for the tenant's own application alone.
    let most = living.claims.scope.clone().retain(|word| word != Scope::ACCOUNT && word != Scope::ADMIN);
    if scope.as_ref().is_some_and(|scope| !scope.is_within(&most)) {
        return Err(ExchangeDenied::InvalidScope);
    }
    let scope = scope.unwrap_or(most);

    let algs = target.algs(client.settings.signing_algs());
    let signer = signer_of(ctx, tenant.id, &[&algs], 0).await?;
    let (issuer, jti) = (tenant.issuer(&ctx.base_url), TokenId::new(now, ctx.id_entropy()));
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
    let (claims, user_id, session_id) = match &living.session {
        Some((user, family)) => {
            let grant = Grant {
                session_id: family.id,
                session_ends_at: family.ends_at(),
                subject: subject(ctx, tenant.id, &client, user.id).await?,
                auth_time: family.auth_time,
                sign_on: family.sign_on.as_ref(),
            };
            (AccessClaims::new(issuance, user, grant), Some(user.id), Some(family.id))
        }
        None => (AccessClaims::of_client(issuance), None, None),
    };
    let mut claims = AccessClaims { exp: claims.exp.min(living.claims.exp), cnf: proved, act, ..claims };
    let access_token = Secret::new(signer.sign(&mut claims, &algs, now)?);
    let event = AuditEvent::TokenExchanged {
        client_id: client.id,
        user_id,
        session_id,
        actor: claims.act.as_ref().map(|act| String::from(act.sub.clone())),
        is_impersonation,
        audience: claims.aud.iter().map(str::to_owned).collect(),
    };
    let issued = IssuedTokens {
        access_token,
        cnf: proved,
        expires_in: claims.expires_in(now),
        refresh_token: None,
        id_token: None,
        scope: claims.scope,
        details: claims.authorization_details,
        binding: Binding::Bearer,
        csrf_token: None,
        session_ends_at: now,
        issued_token_type: Some(ACCESS_TOKEN),
    };
    Ok((issued, event))
}

/// The token, if it is alive, not over by our own clock, and its key or certificate, if it has one, was proved with this request.
async fn living(
    ctx: &Ctx,
    tenant: &Tenant,
    brought: &Brought,
    proved: Option<Confirmation>,
    now: Timestamp,
) -> Result<Option<LivingAccess>, Fault> {
    let living = living_access(ctx, tenant, brought.token.expose(), Meant::ForWhomever).await?;
    Ok(living.filter(|living| {
        let is_proved = living.claims.cnf.is_none() || living.claims.cnf == proved;
        is_proved && now < Timestamp::from_seconds(living.claims.exp)
    }))
}

/// Whether a token is for an API that this client is.
pub async fn is_for(ctx: &Ctx, tenant: &Tenant, client: &Client, claims: &AccessClaims) -> Result<bool, StoreError> {
    let audience = audience(claims);
    if audience.is_empty() {
        return Ok(false);
    }
    let apis = ctx.store.begin_read(tenant.id).await?.resources_named(&audience).await?;
    Ok(apis.iter().any(|api| api.settings.servers.contains(&client.id)))
}

/// What of a token's audience may be an API.
fn audience(claims: &AccessClaims) -> ResourceSet {
    claims.aud.iter().filter_map(|one| one.parse().ok()).collect()
}

/// What the new token is for: what the old one is for, or its session was granted; and of that what this client may have tokens for.
async fn target(
    ctx: &Ctx,
    tenant: &Tenant,
    client: &Client,
    living: &LivingAccess,
    wanted: ResourceSet,
) -> Result<Result<Target, TargetRefused>, StoreError> {
    let issuer = tenant.issuer(&ctx.base_url);
    let of_token = audience(&living.claims);
    let mut may = of_token.clone();
    if let Some((_, family)) = &living.session {
        may.extend(family.resources.iter().cloned());
    }
    let known = may.intersection(&client.settings.resources).cloned().collect::<ResourceSet>();
    let known = if known.is_empty() { Vec::new() } else { ctx.store.begin_read(tenant.id).await?.resources_named(&known).await? };
    let is_there = |uri: &ResourceUri| may.contains(uri) && (uri.as_str() == issuer || known.iter().any(|api| api.identifier == *uri));
    let set = if wanted.is_empty() { of_token.into_iter().filter(is_there).collect() } else { wanted };
    if set.is_empty() || !set.iter().all(is_there) {
        return Ok(Err(TargetRefused::NotThere));
    }
    Ok(Target::of(&set, known, &issuer).and_then(|target| target.signed_among(client.settings.signing_algs())))
}
