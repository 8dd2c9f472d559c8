//! Who is asking: the bearer of a user's access token, a tenant's administrator, or the platform's.
//!
//! Invariant: every administrative request is checked against the database, not against a token alone: a disabled user, an
//! ended session or a role that was taken away counts at once.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use domain::audit::Actor;
use domain::client::Client;
use domain::ids::{EventId, UserId};
use domain::keys::thumbprint::Thumbprint;
use domain::scope::Scope;
use domain::tenant::Tenant;
use domain::text::Role;
use domain::time::{Timestamp, Ttl};
use domain::token::claims::{AccessClaims, Confirmation};
use domain::token::family::RefreshFamily;
use domain::user::User;
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq;

use crate::ctx::Ctx;
use crate::dpop::{ProofDenied, ShownProof, prove};
use crate::fault::Fault;
use crate::ports::keys::Keys;
use crate::tenants::{self, NoTenant};
use crate::tokens::introspect::{Meant, living_access};

/// Why a bearer may not.
#[derive(Debug)]
pub enum AccessDenied {
    /// No token came.
    NoToken,
    /// The token is not a living one.
    InvalidToken,
    /// The same of a token that is shown with a proof, or has to be (RFC 9449, 7).
    InvalidBoundToken,
    /// The key that the token is bound to was not proved (RFC 9449, 7.1).
    Proof(ProofDenied),
    /// The token is alive, but not for this.
    InsufficientScope {
        needed: &'static str,
    },
    /// The thing asked about does not exist, as far as this bearer may know.
    NotFound,
    Fault(Fault),
}

impl<E: Into<Fault>> From<E> for AccessDenied {
    fn from(error: E) -> Self {
        Self::Fault(error.into())
    }
}

/// An access token as a request shows it.
#[derive(Debug, Clone)]
pub struct ShownToken<'a> {
    pub text: &'a str,
    /// With the scheme `DPoP`: what is shown with it (RFC 9449, 7.1). Without: it came as a bearer token.
    pub proof: Option<ShownProof>,
    /// Of the certificate that the connection has shown (RFC 8705, 3).
    pub certificate: Option<Thumbprint>,
}

impl<'a> ShownToken<'a> {
    /// The token, if whoever holds it may use it.
    pub fn bearer(&self) -> Option<&'a str> {
        self.proof.is_none().then_some(self.text)
    }
}

/// A user who showed a living access token of this tenant.
#[derive(Debug)]
pub struct SignedIn {
    pub user: User,
    pub session: RefreshFamily,
    pub client: Client,
    pub claims: AccessClaims,
}

/// Checks a user's access token, the key or certificate it is bound to, its session and its scope.
///
/// # Errors
/// See [`AccessDenied`].
pub async fn signed_in(ctx: &Ctx, tenant: &Tenant, token: Option<&ShownToken<'_>>, needed: &'static str) -> Result<SignedIn, AccessDenied> {
    let token = token.ok_or(AccessDenied::NoToken)?;
    let invalid = if token.proof.is_some() { AccessDenied::InvalidBoundToken } else { AccessDenied::InvalidToken };
    let living = living_access(ctx, tenant, token.text, Meant::ForUs).await?.ok_or(invalid)?;
    match (living.claims.cnf, &token.proof) {
        (None, None) => {}
        (Some(Confirmation::Dpop(key)), Some(proof)) => {
            let proved = prove(ctx, tenant, &living.client.settings, proof, Some(token.text)).await.map_err(AccessDenied::Proof)?;
            if proved != key {
                return Err(AccessDenied::InvalidBoundToken);
            }
        }
        (Some(Confirmation::Certificate(certificate)), None) => {
            if token.certificate != Some(certificate) {
                return Err(AccessDenied::InvalidToken);
            }
        }
        // A bound token is worth nothing without its key, and an unbound one is bound to none (RFC 9449, 7.2).
        (Some(Confirmation::Dpop(_)), None) | (None | Some(Confirmation::Certificate(_)), Some(_)) => {
            return Err(AccessDenied::InvalidBoundToken);
        }
    }
    let Some((user, session)) = living.session.filter(|_| living.claims.scope.contains(needed)) else {
        return Err(AccessDenied::InsufficientScope { needed });
    };
    Ok(SignedIn { user, session, client: living.client, claims: living.claims })
}

/// Who administers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Admin {
    Platform,
    Tenant { user_id: UserId },
}

impl Admin {
    pub const fn actor(&self) -> Actor {
        match self {
            Self::Platform => Actor::PlatformAdmin,
            Self::Tenant { user_id } => Actor::TenantAdmin { user_id: *user_id },
        }
    }
}

/// Who may act on all tenants: the bearer of a platform admin token.
///
/// # Errors
/// A tenant's administrator gets [`AccessDenied::InsufficientScope`] from `admin_of`'s side, here only an invalid token.
pub async fn platform_admin(ctx: &Ctx, token: Option<&str>) -> Result<Admin, AccessDenied> {
    let token = token.ok_or(AccessDenied::NoToken)?;
    if !PlatformToken::is_one(token) {
        return Err(AccessDenied::InvalidToken);
    }
    PlatformToken::verify(ctx.keys.as_ref(), token, ctx.now()).await?.then_some(Admin::Platform).ok_or(AccessDenied::InvalidToken)
}

/// Who may administer the tenant `slug_or_id`: the platform's administrator, or one of its own users with the role
/// `claviger:admin` and the scope `admin`. For everybody else's tenant the answer is that there is none.
///
/// # Errors
/// See [`AccessDenied`].
pub async fn admin_of(ctx: &Ctx, slug_or_id: &str, token: Option<&ShownToken<'_>>) -> Result<(Admin, Tenant), AccessDenied> {
    let token = token.ok_or(AccessDenied::NoToken)?;
    if let Some(token) = token.bearer().filter(|token| PlatformToken::is_one(token)) {
        let admin = platform_admin(ctx, Some(token)).await?;
        return Ok((admin, found(ctx, slug_or_id).await?.ok_or(AccessDenied::NotFound)?));
    }
    // Whose token is it? It says so itself; what it says is believed only after its own tenant's keys agree.
    let Some(home) = home_of(ctx, token.text).await? else { return Err(AccessDenied::InvalidToken) };
    let signed_in = signed_in(ctx, &home, Some(token), Scope::ADMIN).await?;
    if !signed_in.user.roles.contains(Role::ADMIN) {
        return Err(AccessDenied::InsufficientScope { needed: Scope::ADMIN });
    }
    // Whoever else's tenant it is, or nobody's: that need not be looked up.
    if home.slug.as_str() == slug_or_id || slug_or_id.parse() == Ok(home.id) {
        Ok((Admin::Tenant { user_id: signed_in.user.id }, home))
    } else {
        Err(AccessDenied::NotFound)
    }
}

async fn found(ctx: &Ctx, slug_or_id: &str) -> Result<Option<Tenant>, AccessDenied> {
    known(tenants::find(ctx, slug_or_id).await)
}

fn known(found: Result<Tenant, NoTenant>) -> Result<Option<Tenant>, AccessDenied> {
    match found {
        Ok(tenant) => Ok(Some(tenant)),
        Err(NoTenant::Unknown) => Ok(None),
        Err(NoTenant::Fault(fault)) => Err(AccessDenied::Fault(fault)),
    }
}

/// The tenant that a token claims to be from, by its unverified issuer.
async fn home_of(ctx: &Ctx, token: &str) -> Result<Option<Tenant>, AccessDenied> {
    #[derive(Deserialize)]
    struct Issuer {
        iss: String,
    }
    let issuer = token
        .split('.')
        .nth(1)
        .filter(|payload| payload.len() <= 8_192)
        .and_then(|payload| URL_SAFE_NO_PAD.decode(payload).ok())
        .and_then(|json| serde_json::from_slice::<Issuer>(&json).ok());
    match issuer {
        Some(issuer) => known(tenants::claimed(ctx, &issuer.iss).await),
        None => Ok(None),
    }
}

/// The bearer token of the platform's administrator: `cpa1_{payload}.{mac}`, authenticated by a secret that only those can
/// make who can read both the database and the key-encryption key.
#[derive(Debug, Serialize, Deserialize)]
pub struct PlatformToken {
    jti: EventId,
    exp: i64,
}

impl PlatformToken {
    const PREFIX: &'static str = "cpa1_";
    /// The longest life of one.
    pub const LONGEST: Ttl = Ttl::hours(24);

    /// Whether it says of itself to be one; only [`platform_admin`] knows.
    pub fn is_one(token: &str) -> bool {
        token.starts_with(Self::PREFIX)
    }

    /// Makes a token that lives for `ttl`, at most [`Self::LONGEST`].
    ///
    /// # Errors
    /// When the installation's secret cannot be had.
    pub async fn issue(keys: &dyn Keys, entropy: [u8; 10], ttl: Ttl, now: Timestamp) -> Result<String, Fault> {
        let claims = Self { jti: EventId::new(now, entropy), exp: now.plus(ttl.min(Self::LONGEST)).as_seconds() };
        let json = serde_json::to_vec(&claims).map_err(|error| Fault::Broken(error.to_string()))?;
        let signed = format!("{}{}", Self::PREFIX, URL_SAFE_NO_PAD.encode(json));
        let mac = keys.installation_mac(signed.as_bytes()).await?;
        Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(mac)))
    }

    async fn verify(keys: &dyn Keys, token: &str, now: Timestamp) -> Result<bool, Fault> {
        let Some((signed, mac)) = token.split_once('.').filter(|_| token.len() <= 512) else { return Ok(false) };
        let wanted = keys.installation_mac(signed.as_bytes()).await?;
        let Ok(mac) = URL_SAFE_NO_PAD.decode(mac) else { return Ok(false) };
        if !bool::from(mac.ct_eq(&wanted)) {
            return Ok(false);
        }
        let claims = signed
            .strip_prefix(Self::PREFIX)
            .and_then(|payload| URL_SAFE_NO_PAD.decode(payload).ok())
            .and_then(|json| serde_json::from_slice::<Self>(&json).ok());
        Ok(claims.is_some_and(|claims| now.as_seconds() < claims.exp))
    }
}

/// Whether the bearer may introspect tokens of this tenant: the platform's administrator, or one of the tenant's users with
/// the role `claviger:introspect` or `claviger:admin`.
///
/// # Errors
/// See [`AccessDenied`].
pub async fn introspector(ctx: &Ctx, tenant: &Tenant, token: Option<&ShownToken<'_>>) -> Result<(), AccessDenied> {
    if let Some(token) = token.and_then(ShownToken::bearer).filter(|token| PlatformToken::is_one(token)) {
        return platform_admin(ctx, Some(token)).await.map(|_| ());
    }
    let signed_in = signed_in(ctx, tenant, token, Scope::ACCOUNT).await?;
    let roles = &signed_in.user.roles;
    if roles.contains(Role::INTROSPECT) || roles.contains(Role::ADMIN) {
        Ok(())
    } else {
        Err(AccessDenied::InsufficientScope { needed: Role::INTROSPECT })
    }
}
