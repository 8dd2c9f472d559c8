//! Tenants: an issuer of its own, and the policy that its people, passwords and tokens live under.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::claim_rules::ClaimRules;
use crate::client::document::DocumentPolicy;
use crate::client::registration::RegistrationPolicy;
use crate::client::{GrantType, ResponseType};
use crate::host::HostName;
use crate::ids::TenantId;
use crate::password::{Argon2Params, PasswordRules, WeakHashes};
use crate::text::{BadText, DisplayName, Slug};
use crate::time::{Timestamp, Ttl};
use crate::token::family::RefreshRules;

#[derive(Debug, Clone, PartialEq)]
pub struct Tenant {
    pub id: TenantId,
    pub slug: Slug,
    pub name: DisplayName,
    /// A host of the tenant's own, which its issuer is made of.
    pub custom_domain: Option<HostName>,
    pub status: TenantStatus,
    pub policy: TenantPolicy,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TenantStatus {
    Active,
    /// Nobody logs in or refreshes; keys stay published so that running tokens still verify.
    Suspended {
        at: Timestamp,
    },
}

impl Tenant {
    pub const fn is_active(&self) -> bool {
        matches!(self.status, TenantStatus::Active)
    }

    /// Scheme and authority of all of the tenant's addresses. `base_url` is that of the installation.
    pub fn origin(&self, base_url: &str) -> String {
        match &self.custom_domain {
            Some(domain) => format!("{}://{domain}", scheme(base_url)),
            None => base_url.to_owned(),
        }
    }

    /// The path of the tenant's issuer: what its paths begin with. Empty on a domain of its own.
    pub fn issuer_path(&self) -> String {
        match &self.custom_domain {
            Some(_) => String::new(),
            None => path(&self.slug),
        }
    }

    /// The tenant's issuer (RFC 8414, 2): `{base_url}/t/{slug}`, or scheme and domain alone.
    pub fn issuer(&self, base_url: &str) -> String {
        self.origin(base_url) + &self.issuer_path()
    }

    /// The path among the installation's routes of what stands at `path` on the tenant's domain.
    pub fn route_of(&self, path: &str) -> String {
        let prefix = self::path(&self.slug);
        if path == METADATA { format!("{METADATA}{prefix}") } else { format!("{prefix}{path}") }
    }

    /// What stands at this path among the installation's routes, on the tenant's domain. `None` for what is another tenant's.
    pub fn path_of(&self, route: &str) -> Option<String> {
        let prefix = self::path(&self.slug);
        if route.strip_prefix(METADATA) == Some(prefix.as_str()) {
            return Some(METADATA.to_owned());
        }
        let rest = route.strip_prefix(&prefix)?;
        rest.starts_with('/').then(|| rest.to_owned())
    }
}

/// Where the metadata of an issuer is that has no path; the path of one that has comes behind it (RFC 8414, 3.1).
const METADATA: &str = "/.well-known/oauth-authorization-server";

/// Where a tenant without a domain lives in the installation.
fn path(slug: &Slug) -> String {
    format!("/t/{slug}")
}

fn scheme(base_url: &str) -> &str {
    base_url.split_once("://").map_or("https", |(scheme, _)| scheme)
}

/// The name of the tenant, or its domain, that an issuer of this installation says to be of; nothing is known of whether there is one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claimed {
    Slug(Slug),
    Domain(HostName),
}

impl Claimed {
    /// `None` for what can be no issuer of ours.
    pub fn of(issuer: &str, base_url: &str) -> Option<Self> {
        if let Some(slug) = issuer.strip_prefix(base_url).and_then(|rest| rest.strip_prefix("/t/")) {
            return slug.parse().ok().map(Self::Slug);
        }
        let host = issuer.strip_prefix(scheme(base_url))?.strip_prefix("://")?;
        host.parse().ok().map(Self::Domain)
    }
}

/// What a tenant decides for itself. Data, not configuration: it is checked here and lives in the tenant's row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TenantPolicy {
    /// Life of an access token: 1 to 60 minutes.
    pub access_ttl_seconds: Ttl,
    /// A session ends when it was not refreshed for this long: 5 minutes to 400 days.
    pub refresh_idle_ttl_seconds: Ttl,
    /// A session ends after this long whatever happens: not below the idle TTL, at most 400 days.
    pub refresh_absolute_ttl_seconds: Ttl,
    /// How long a refresh token that was just rotated may be presented again; 0 = strict, at most 60 s.
    pub retry_window_seconds: Ttl,
    /// Whether devices without a browser may be signed in by a code (RFC 8628). Off unless the tenant wants it: people are talked into
    /// typing codes of others.
    pub device_authorization: bool,
    /// Whether clients may exchange what trusted issuers say of users for access tokens (RFC 7523, 2.1).
    pub jwt_bearer: bool,
    /// Whether clients may ask users whose browser they have not got (OpenID CIBA Core 1.0). Off unless the tenant wants it: people are
    /// talked into answering what others have begun.
    pub backchannel_authentication: bool,
    /// Whether the tenant's own applications may hand over what users type into them (OAuth 2.0 for First-Party Applications), those of
    /// them that are registered for it. Off unless the tenant wants it: people are better off typing passwords in one place alone.
    pub authorization_challenge: bool,
    /// Whether clients may exchange tokens (RFC 8693), those of them that are registered for it.
    pub token_exchange: bool,
    /// What authorization requests are answered with besides `code`, for clients that are registered for it. Nothing, unless the tenant wants
    /// it: what goes by the browser is seen by more than its client (RFC 9700, 2.1.2).
    pub response_types: BTreeSet<ResponseType>,
    /// Whether requests are fetched from addresses that their clients have registered (OpenID Connect Core, 6.2).
    pub request_uri: bool,
    /// The audience of access tokens besides the issuer itself.
    pub audience: Option<String>,
    /// Which facts about the user go into access tokens, and which claims the tenant makes itself.
    pub claims: ClaimsPolicy,
    /// Whether DPoP proofs need a nonce of ours (RFC 9449, 8).
    pub require_dpop_nonce: bool,
    pub password: PasswordRules,
    pub argon2: Argon2Params,
    /// What becomes of passwords whose hashes are weak, which come from other systems.
    pub weak_password_hashes: WeakHashes,
    pub registration: RegistrationPolicy,
    /// Which clients are taken that are known by a document of their own making.
    pub client_id_metadata_documents: DocumentPolicy,
}

impl Default for TenantPolicy {
    fn default() -> Self {
        Self {
            access_ttl_seconds: Ttl::minutes(15),
            refresh_idle_ttl_seconds: Ttl::days(14),
            refresh_absolute_ttl_seconds: Ttl::days(90),
            retry_window_seconds: Ttl::seconds(10),
            device_authorization: false,
            jwt_bearer: false,
            backchannel_authentication: false,
            authorization_challenge: false,
            token_exchange: false,
            response_types: BTreeSet::new(),
            request_uri: false,
            audience: None,
            claims: ClaimsPolicy::default(),
            require_dpop_nonce: false,
            password: PasswordRules::default(),
            argon2: Argon2Params::default(),
            weak_password_hashes: WeakHashes::default(),
            registration: RegistrationPolicy::default(),
            client_id_metadata_documents: DocumentPolicy::default(),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ClaimsPolicy {
    pub roles: bool,
    pub username: bool,
    pub email: bool,
    /// The user's own claims, all of them; off: what rules take of them.
    pub custom: bool,
    /// Claims of the tenant's own making, in all tokens and in userinfo.
    pub rules: ClaimRules,
}

impl Default for ClaimsPolicy {
    /// Roles, and what an administrator has written for tokens, but no name and no address, until the tenant says so.
    fn default() -> Self {
        Self { roles: true, username: false, email: false, custom: true, rules: ClaimRules::default() }
    }
}

impl TenantPolicy {
    /// Bounds of [`Self::access_ttl_seconds`].
    pub const ACCESS_TTL: (Ttl, Ttl) = (Ttl::minutes(1), Ttl::minutes(60));
    const LONGEST: Ttl = Ttl::days(400);

    /// The policy, if every number in it is one we can stand behind.
    ///
    /// # Errors
    /// Names the member that is out of bounds, and the bounds.
    pub fn validated(self) -> Result<Self, BadText> {
        let (shortest, longest) = Self::ACCESS_TTL;
        if self.access_ttl_seconds < shortest || self.access_ttl_seconds > longest {
            return Err(BadText("access_ttl_seconds must be 60 to 3600"));
        }
        if self.refresh_idle_ttl_seconds < Ttl::minutes(5) || self.refresh_idle_ttl_seconds > Self::LONGEST {
            return Err(BadText("refresh_idle_ttl_seconds must be 300 (5 minutes) to 34560000 (400 days)"));
        }
        if self.refresh_absolute_ttl_seconds < self.refresh_idle_ttl_seconds || self.refresh_absolute_ttl_seconds > Self::LONGEST {
            return Err(BadText("refresh_absolute_ttl_seconds must be at least refresh_idle_ttl_seconds and at most 34560000 (400 days)"));
        }
        if self.retry_window_seconds > Ttl::seconds(60) {
            return Err(BadText("retry_window_seconds must be 0 (strict) to 60"));
        }
        if let Some(audience) = &self.audience
            && (audience.is_empty() || audience.len() > 512 || !audience.bytes().all(|b| (0x21..=0x7e).contains(&b)))
        {
            return Err(BadText("audience must be 1 to 512 printable ASCII characters, such as https://api.example.com"));
        }
        self.client_id_metadata_documents.validated()?;
        self.password.validated()?;
        self.argon2.validated()?;
        Ok(self)
    }

    /// Whether this grant is to be had at all.
    pub fn offers(&self, grant: GrantType) -> bool {
        match grant {
            GrantType::AuthorizationCode | GrantType::RefreshToken | GrantType::ClientCredentials => true,
            GrantType::Implicit => self.response_types.iter().any(|kind| kind.is_front_channel()),
            GrantType::DeviceCode => self.device_authorization,
            GrantType::JwtBearer => self.jwt_bearer,
            GrantType::Backchannel => self.backchannel_authentication,
            GrantType::TokenExchange => self.token_exchange,
        }
    }

    /// Whether authorization requests may be answered so at all.
    pub fn answers_with(&self, kind: ResponseType) -> bool {
        kind.is_code() || self.response_types.contains(&kind)
    }

    /// The part of the policy that refresh families live under.
    pub const fn refresh_rules(&self) -> RefreshRules {
        RefreshRules {
            retry_window: self.retry_window_seconds,
            replay_cap: RefreshRules::REPLAY_CAP,
            idle_ttl: self.refresh_idle_ttl_seconds,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tenant(custom_domain: Option<&str>) -> Tenant {
        Tenant {
            id: TenantId::new(Timestamp::from_seconds(1), [1; 10]),
            slug: "acme".parse().expect("a slug"),
            name: "Acme".parse().expect("a name"),
            custom_domain: custom_domain.map(|domain| domain.parse().expect("a domain")),
            status: TenantStatus::Active,
            policy: TenantPolicy::default(),
            created_at: Timestamp::from_seconds(1),
            updated_at: Timestamp::from_seconds(1),
        }
    }

    #[test]
    fn an_issuer_is_a_path_of_the_installation_or_a_domain_and_is_read_back_as_what_it_was_made_of() {
        const BASE: &str = "https://id.example";
        let (plain, own) = (tenant(None), tenant(Some("login.acme.example")));
        assert_eq!((plain.issuer(BASE).as_str(), plain.issuer_path().as_str()), ("https://id.example/t/acme", "/t/acme"));
        assert_eq!((own.issuer(BASE).as_str(), own.issuer_path().as_str()), ("https://login.acme.example", ""));
        assert_eq!(tenant(Some("acme.localhost:1")).issuer("http://127.0.0.1:1"), "http://acme.localhost:1");
        assert_eq!(Claimed::of(&plain.issuer(BASE), BASE), Some(Claimed::Slug(plain.slug.clone())));
        assert_eq!(Claimed::of(&own.issuer(BASE), BASE), own.custom_domain.map(Claimed::Domain));
        for foreign in [
            "https://id.example",
            "https://id.example/t/",
            "https://id.example/t/a/b",
            "http://login.acme.example",
            "https://login.acme.example/",
            "x",
            "",
        ] {
            let claimed = Claimed::of(foreign, BASE);
            assert!(claimed.is_none() || foreign == BASE, "{foreign}: {claimed:?}");
        }
    }

    #[test]
    fn each_path_of_a_domain_is_one_route_of_its_tenant_and_back() {
        let tenant = tenant(Some("login.acme.example"));
        for (path, route) in [
            ("/oauth/token", "/t/acme/oauth/token"),
            ("/.well-known/openid-configuration", "/t/acme/.well-known/openid-configuration"),
            (METADATA, "/.well-known/oauth-authorization-server/t/acme"),
            ("/t/globex/oauth/token", "/t/acme/t/globex/oauth/token"),
            ("/admin/v1/tenants", "/t/acme/admin/v1/tenants"),
            ("/", "/t/acme/"),
        ] {
            assert_eq!(tenant.route_of(path), route);
            assert_eq!(tenant.path_of(route).as_deref(), Some(path));
        }
        for other in [
            "/t/acme2/oauth/token",
            "/t/globex/oauth/token",
            "/t/acme",
            "/.well-known/oauth-authorization-server/t/acme2",
            "/admin/v1/tenants",
            "",
        ] {
            assert_eq!(tenant.path_of(other), None, "{other}");
        }
    }

    #[test]
    fn the_default_policy_is_valid_and_absurd_numbers_are_not() {
        assert!(TenantPolicy::default().validated().is_ok());
        let with = |change: fn(&mut TenantPolicy)| {
            let mut policy = TenantPolicy::default();
            change(&mut policy);
            policy.validated()
        };
        assert!(with(|p| p.access_ttl_seconds = Ttl::seconds(59)).is_err());
        assert!(with(|p| p.access_ttl_seconds = Ttl::seconds(3_601)).is_err());
        assert!(with(|p| p.refresh_idle_ttl_seconds = Ttl::ZERO).is_err());
        assert!(with(|p| p.refresh_absolute_ttl_seconds = Ttl::days(13)).is_err());
        assert!(with(|p| p.refresh_absolute_ttl_seconds = Ttl::seconds(u32::MAX)).is_err());
        assert!(with(|p| p.retry_window_seconds = Ttl::seconds(61)).is_err());
        assert!(with(|p| p.audience = Some(" ".into())).is_err());
        assert!(with(|p| p.argon2.memory_kib = 8).is_err());
    }
}
