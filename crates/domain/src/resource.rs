//! The APIs of a tenant, "resources" in the words of RFC 8707: what a token may be for, and what follows from that.
//!
//! Enter at [`aimed`] for a request that asks for something new, at [`narrowed`] and [`Target::of`] for one that uses what was granted.
//! Invariant: a token's audience holds what was named and granted, and nothing else; what cannot be found refuses.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use url::Url;

use crate::client::ClientId;
use crate::details::{self, AuthorizationDetails, DetailType, DetailTypeName};
use crate::ids::ResourceId;
use crate::keys::ring::Alg;
use crate::scope::Scope;
use crate::tenant::TenantPolicy;
use crate::text::{BadMember, BadText, DisplayName, Role};
use crate::time::{Timestamp, Ttl};
use crate::token::claims::Audience;

/// What an API is called by (RFC 8707, 2): an absolute URI without fragment, compared byte for byte.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ResourceUri(String);

impl ResourceUri {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ResourceUri {
    type Err = BadText;

    fn from_str(text: &str) -> Result<Self, BadText> {
        let is_written_well = (1..=512).contains(&text.len())
            && text.bytes().all(|b| (0x21..=0x7e).contains(&b) && !b"#\"<>\\^`{|}".contains(&b))
            && text.split_once(':').is_some_and(|(_, rest)| !rest.is_empty());
        let is_absolute = || Url::parse(text).is_ok_and(|url| url.username().is_empty() && url.password().is_none());
        if is_written_well && is_absolute() {
            Ok(Self(text.to_owned()))
        } else {
            Err(BadText("a resource is an absolute URI without fragment, of at most 512 characters, such as https://api.example.com"))
        }
    }
}

impl TryFrom<String> for ResourceUri {
    type Error = BadText;

    fn try_from(text: String) -> Result<Self, BadText> {
        text.parse()
    }
}

impl From<ResourceUri> for String {
    fn from(uri: ResourceUri) -> Self {
        uri.0
    }
}

impl fmt::Display for ResourceUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What something was granted for. The issuer may be among them; none at all means the usual audience.
pub type ResourceSet = BTreeSet<ResourceUri>;

/// Something that an API lets its callers do: 1 to 64 of `a-z`, `A-Z`, `0-9` and `:`, `.`, `_`, `-`, `/`, `*`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Permission(String);

impl TryFrom<String> for Permission {
    type Error = BadText;

    fn try_from(text: String) -> Result<Self, BadText> {
        if (1..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b":._-/*".contains(&b)) {
            Ok(Self(text))
        } else {
            Err(BadText("a permission is 1 to 64 of letters, digits and ':', '.', '_', '-', '/', '*'"))
        }
    }
}

impl From<Permission> for String {
    fn from(permission: Permission) -> Self {
        permission.0
    }
}

/// One API of a tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resource {
    pub id: ResourceId,
    /// Never changes: grants and clients know it by this.
    pub identifier: ResourceUri,
    pub settings: ResourceSettings,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

impl Resource {
    /// The most that a tenant may have.
    pub const MOST: u32 = 200;
}

/// What a tenant says about one of its APIs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResourceSettings {
    pub name: DisplayName,
    /// The scope words that are about it. No other API of the tenant has any of them.
    #[serde(default)]
    pub scope: Scope,
    /// Tokens for it live at most this long; the tenant's policy is not exceeded by it.
    #[serde(default)]
    pub access_ttl_seconds: Option<Ttl>,
    /// Its tokens are signed by this algorithm, one of the tenant's key policy.
    #[serde(default)]
    pub signing_alg: Option<Alg>,
    /// Whether it takes naming it to get a token for it. Otherwise to ask for one of its scopes will do.
    #[serde(default)]
    pub must_be_named: bool,
    /// What a user with this role may do there.
    #[serde(default)]
    pub permissions: BTreeMap<Role, BTreeSet<Permission>>,
    /// The clients that this API is when it asks something itself: they may look at tokens that are for it, and exchange them.
    #[serde(default)]
    pub servers: BTreeSet<ClientId>,
    /// What clients may ask for there in detail (RFC 9396, 2), by type. No other API of the tenant has any of these types.
    #[serde(default)]
    pub authorization_details_types: BTreeMap<DetailTypeName, DetailType>,
}

impl ResourceSettings {
    /// What all permissions of one API take at most in a token, in bytes of JSON.
    const LONGEST_PERMISSIONS: usize = 3_072;

    /// The settings, if every word and number in it is one we can stand behind.
    ///
    /// # Errors
    /// Names the member that will not do.
    pub fn validated(self) -> Result<Self, BadMember> {
        if self.scope.iter().any(|word| Scope::OF_OPENID.contains(&word) || word == Scope::ACCOUNT || word == Scope::ADMIN) {
            return Err(BadMember::new("scope", "the scopes of OpenID Connect, account and admin are about the issuer itself"));
        }
        let (shortest, longest) = TenantPolicy::ACCESS_TTL;
        if self.access_ttl_seconds.is_some_and(|ttl| ttl < shortest || ttl > longest) {
            return Err(BadMember::new("access_ttl_seconds", "60 to 3600"));
        }
        if self.servers.len() > 20 {
            return Err(BadMember::new("servers", "at most 20"));
        }
        let all: BTreeSet<_> = self.permissions.values().flatten().collect();
        let length: usize = all.iter().map(|permission| permission.0.len() + 3).sum();
        if self.permissions.len() > 100 || length > Self::LONGEST_PERMISSIONS {
            return Err(BadMember::new(
                "permissions",
                "at most 100 roles, and all permissions together at most 3072 bytes, for they go into tokens",
            ));
        }
        details::validated(&self.authorization_details_types)?;
        Ok(self)
    }

    fn has(&self, word: &str) -> bool {
        self.scope.contains(word)
    }
}

/// Why there is no token for what was named (RFC 8707, 2: `invalid_target`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TargetRefused {
    /// It is no resource, unknown, not for this client, or was not granted: one answer for all.
    NotThere,
    /// The named ones want tokens that are signed differently, or in a way that the client's profile forbids.
    Algorithms,
}

impl TargetRefused {
    /// In constant words.
    pub const fn description(self) -> &'static str {
        match self {
            Self::NotThere => "resource: not an API of this issuer that this client may have tokens for here (RFC 8707)",
            Self::Algorithms => {
                "resource: these APIs want tokens that are signed differently, or not as the client's may be; ask for one at a time"
            }
        }
    }
}

/// Requests name at most this many.
pub const MOST_NAMED: usize = 8;

/// Reads what a request names.
///
/// # Errors
/// When one of them is relative or has a fragment, or there are too many.
pub fn read<'a>(named: impl IntoIterator<Item = &'a str>) -> Result<ResourceSet, TargetRefused> {
    let set = named.into_iter().map(str::parse).collect::<Result<ResourceSet, _>>().map_err(|_| TargetRefused::NotThere)?;
    if set.len() > MOST_NAMED { Err(TargetRefused::NotThere) } else { Ok(set) }
}

fn is_issuer(uri: &ResourceUri, issuer: &str) -> bool {
    uri.as_str() == issuer
}

/// What a request for something new is about, and what of its scope that leaves. `own` are the APIs that the client may have tokens for.
///
/// Where nothing is named, APIs that need not be named are meant by their scopes, beside the issuer. Scopes of OpenID Connect stay with
/// the grant, whatever is named: they say what the client learns of the user.
///
/// # Errors
/// When something is named that the client may not have tokens for.
///
/// Source: RFC 8707, 2, 2.1.
pub fn aimed(named: ResourceSet, scope: Scope, own: &[Resource], issuer: &str) -> Result<(ResourceSet, Scope), TargetRefused> {
    if let Some(issuer) = named.is_empty().then_some(issuer) {
        let meant = own.iter().filter(|api| !api.settings.must_be_named && scope.iter().any(|word| api.settings.has(word)));
        let mut set: ResourceSet = meant.map(|api| api.identifier.clone()).collect();
        let scope = scope.retain(|word| own.iter().all(|api| !api.settings.has(word) || set.contains(&api.identifier)));
        if !set.is_empty() {
            set.extend(issuer.parse());
        }
        return Ok((set, scope));
    }
    if !named.iter().all(|uri| is_issuer(uri, issuer) || own.iter().any(|api| api.identifier == *uri)) {
        return Err(TargetRefused::NotThere);
    }
    let has_issuer = named.iter().any(|uri| is_issuer(uri, issuer));
    let is_kept = |word: &str| match own.iter().find(|api| api.settings.has(word)) {
        Some(api) => named.contains(&api.identifier),
        None => has_issuer || Scope::OF_OPENID.contains(&word),
    };
    let scope = scope.retain(is_kept);
    Ok((named, scope))
}

/// What of a grant for `granted` a request wants that names `wanted`: all of it, where it names nothing.
///
/// # Errors
/// When it names more than was granted.
///
/// Source: RFC 8707, 2.2.
pub fn narrowed(granted: &ResourceSet, wanted: ResourceSet, issuer: &str) -> Result<ResourceSet, TargetRefused> {
    let is_granted = |uri: &ResourceUri| granted.contains(uri) || (granted.is_empty() && is_issuer(uri, issuer));
    if wanted.is_empty() {
        Ok(granted.clone())
    } else if wanted.iter().all(is_granted) {
        Ok(wanted)
    } else {
        Err(TargetRefused::NotThere)
    }
}

/// What tokens are for, with the APIs as they are now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    apis: Vec<Resource>,
    /// Scope words of APIs of the same grant that these tokens are not for.
    others: Scope,
    issuer: IssuerPart,
}

/// Whether tokens are for the issuer's own endpoints.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum IssuerPart {
    /// Nothing was named: for these, and whatever else is usual in the tenant.
    Usual,
    Named,
    No,
}

impl Target {
    /// What is meant where nothing was named: the issuer itself, and the audience of the tenant's policy.
    pub const fn usual() -> Self {
        Self { apis: Vec::new(), others: Scope::none(), issuer: IssuerPart::Usual }
    }

    /// Tokens for these; `known` are the APIs that the client may have tokens for and that were granted, as they are now.
    ///
    /// # Errors
    /// When one is not known (any more), or they want different algorithms.
    pub fn of(set: &ResourceSet, known: Vec<Resource>, issuer: &str) -> Result<Self, TargetRefused> {
        if set.is_empty() {
            return Ok(Self::usual());
        }
        let (apis, others): (Vec<_>, Vec<_>) = known.into_iter().partition(|api| set.contains(&api.identifier));
        let has_issuer = set.iter().any(|uri| is_issuer(uri, issuer));
        if apis.len() + usize::from(has_issuer) != set.len() {
            return Err(TargetRefused::NotThere);
        }
        let algs: BTreeSet<_> = apis.iter().filter_map(|api| api.settings.signing_alg).map(Alg::name).collect();
        if algs.len() > 1 {
            return Err(TargetRefused::Algorithms);
        }
        let others = others.iter().fold(Scope::none(), |all, api| all.with(&api.settings.scope));
        Ok(Self { apis, others, issuer: if has_issuer { IssuerPart::Named } else { IssuerPart::No } })
    }

    /// `aud` (RFC 9068, 3). `usual` is the audience of the tenant's policy.
    pub fn audience(&self, issuer: &str, usual: Option<&str>) -> Audience {
        let mut all: Vec<_> = self.apis.iter().map(|api| api.identifier.as_str().to_owned()).collect();
        if self.issuer == IssuerPart::Usual {
            all.extend(usual.filter(|usual| *usual != issuer).map(str::to_owned));
        }
        if self.issuer != IssuerPart::No {
            all.push(issuer.to_owned());
        }
        match <[String; 1]>::try_from(all) {
            Ok([one]) => Audience::One(one),
            Err(all) => Audience::Many(all),
        }
    }

    /// What of a granted scope is about these.
    pub fn scope(&self, granted: &Scope) -> Scope {
        let is_of_api = |word: &str| self.apis.iter().any(|api| api.settings.has(word));
        match self.issuer {
            IssuerPart::Usual => granted.clone(),
            IssuerPart::Named => granted.clone().retain(|word| is_of_api(word) || !self.others.contains(word)),
            IssuerPart::No => granted.clone().retain(is_of_api),
        }
    }

    /// What of granted details is about these, of the types that the client may ask for.
    pub fn details(&self, granted: &AuthorizationDetails, only: Option<&BTreeSet<DetailTypeName>>) -> AuthorizationDetails {
        granted.of_types(|name| details::defined(&self.apis, name).is_some() && only.is_none_or(|only| only.contains(name)))
    }

    /// How long tokens live, where the tenant's policy says `of_tenant`.
    pub fn ttl(&self, of_tenant: Ttl) -> Ttl {
        self.apis.iter().filter_map(|api| api.settings.access_ttl_seconds).fold(of_tenant, Ttl::min)
    }

    /// By which algorithm they are signed, where an API says so.
    pub fn alg(&self) -> Option<Alg> {
        self.apis.iter().find_map(|api| api.settings.signing_alg)
    }

    /// The same for a client whose tokens may be signed by these algorithms alone.
    ///
    /// # Errors
    /// When an API wants another.
    pub fn signed_among(self, may: &[Alg]) -> Result<Self, TargetRefused> {
        if self.algs(may).is_empty() { Err(TargetRefused::Algorithms) } else { Ok(self) }
    }

    /// What tokens may be signed by, of what the client's may be.
    pub fn algs(&self, may: &[Alg]) -> Vec<Alg> {
        may.iter().copied().filter(|alg| self.alg().is_none_or(|wanted| wanted == *alg)).collect()
    }

    /// What a user with these roles may do. `None` unless it is about one API: what a permission means, that API alone says.
    pub fn permissions<'a>(&self, roles: impl IntoIterator<Item = &'a Role>) -> Option<BTreeSet<Permission>> {
        let [api] = self.apis.as_slice() else { return None };
        let of_role = |role| api.settings.permissions.get(role).into_iter().flatten();
        Some(roles.into_iter().flat_map(of_role).cloned().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ISSUER: &str = "https://id.example/t/acme";

    fn api(identifier: &str, scope: &str) -> Resource {
        let settings = ResourceSettings {
            name: "An API".parse().expect("a name"),
            scope: scope.parse().expect("a scope"),
            access_ttl_seconds: None,
            signing_alg: None,
            must_be_named: true,
            permissions: BTreeMap::new(),
            servers: BTreeSet::new(),
            authorization_details_types: BTreeMap::new(),
        };
        let (created_at, updated_at) = (Timestamp::EPOCH, Timestamp::EPOCH);
        let id = ResourceId::new(created_at, [u8::try_from(identifier.len()).expect("short"); 10]);
        Resource { id, identifier: identifier.parse().expect("a URI"), settings, created_at, updated_at }
    }

    fn set(named: &[&str]) -> ResourceSet {
        read(named.iter().copied()).expect("URIs")
    }

    fn scope(text: &str) -> Scope {
        text.parse().expect("a scope")
    }

    #[test]
    fn s031_a_resource_is_an_absolute_uri_without_fragment() {
        for good in ["https://api.example", "https://api.example/v1?a=b", "urn:acme:orders", "https://api.example:8443/"] {
            assert!(good.parse::<ResourceUri>().is_ok(), "{good}");
        }
        let long = format!("https://api.example/{}", "a".repeat(512));
        for bad in
            ["", "/orders", "orders", "//api.example", "https:", "https://api.example/#a", "https://a b", "https://u:p@api.example", &long]
        {
            assert!(bad.parse::<ResourceUri>().is_err(), "{bad}");
            assert_eq!(read([bad]), Err(TargetRefused::NotThere), "{bad}");
        }
    }

    #[test]
    fn s068_what_is_named_is_the_audience_and_bounds_the_scope() {
        let own = [api("https://a.example", "a:read a:write"), api("https://b.example/", "b:read")];
        let asked = || scope("openid a:read b:read other");
        let aim = |named: &[&str]| aimed(set(named), asked(), &own, ISSUER);
        assert_eq!(aim(&[]), Ok((set(&[]), scope("openid other"))), "both have to be named");
        assert_eq!(aim(&["https://a.example"]), Ok((set(&["https://a.example"]), scope("openid a:read"))));
        assert_eq!(aim(&["https://a.example", ISSUER]), Ok((set(&["https://a.example", ISSUER]), scope("openid a:read other"))));
        for foreign in ["https://c.example", "https://a.example/", "https://b.example", "https://id.example/t/globex"] {
            assert_eq!(aim(&["https://a.example", foreign]), Err(TargetRefused::NotThere), "{foreign}");
        }

        let target = |set: &ResourceSet| Target::of(set, own.to_vec(), ISSUER).expect("known");
        let one = target(&set(&["https://a.example"]));
        assert_eq!(one.audience(ISSUER, Some("https://usual.example")), Audience::One("https://a.example".to_owned()));
        assert_eq!(one.scope(&asked()), scope("a:read"));
        let both = target(&set(&["https://b.example/", ISSUER]));
        assert_eq!(both.audience(ISSUER, Some("x:y")), Audience::Many(vec!["https://b.example/".to_owned(), ISSUER.to_owned()]));
        assert_eq!(both.scope(&asked()), scope("openid b:read other"));
        let usual = target(&set(&[]));
        assert_eq!(usual.audience(ISSUER, None), Audience::One(ISSUER.to_owned()));
        assert_eq!(usual.audience(ISSUER, Some("x:y")), Audience::Many(vec!["x:y".to_owned(), ISSUER.to_owned()]));
        assert_eq!(usual.scope(&asked()), asked());
    }

    #[test]
    fn an_api_that_need_not_be_named_is_meant_by_its_scopes() {
        let mut own = [api("https://a.example", "a:read"), api("https://b.example/", "b:read")];
        own[0].settings.must_be_named = false;
        let aim = |text: &str| aimed(set(&[]), scope(text), &own, ISSUER);
        assert_eq!(aim("openid a:read b:read"), Ok((set(&["https://a.example", ISSUER]), scope("openid a:read"))));
        assert_eq!(aim("openid"), Ok((set(&[]), scope("openid"))));
    }

    #[test]
    fn what_was_granted_is_narrowed_and_never_widened() {
        let granted = set(&["https://a.example", "https://b.example/"]);
        assert_eq!(narrowed(&granted, set(&[]), ISSUER), Ok(granted.clone()));
        assert_eq!(narrowed(&granted, set(&["https://a.example"]), ISSUER), Ok(set(&["https://a.example"])));
        for more in [&["https://c.example"][..], &["https://a.example", "https://c.example"], &[ISSUER]] {
            assert_eq!(narrowed(&granted, set(more), ISSUER), Err(TargetRefused::NotThere), "{more:?}");
        }
        assert_eq!(narrowed(&set(&[]), set(&[ISSUER]), ISSUER), Ok(set(&[ISSUER])));
        assert_eq!(narrowed(&set(&[]), set(&["https://a.example"]), ISSUER), Err(TargetRefused::NotThere));
    }

    #[test]
    fn tokens_for_several_apis_keep_to_the_strictest_and_say_no_permissions() {
        let (mut a, mut b) = (api("https://a.example", "a"), api("https://b.example", "b"));
        (a.settings.access_ttl_seconds, b.settings.access_ttl_seconds) = (Some(Ttl::minutes(2)), Some(Ttl::minutes(30)));
        a.settings.signing_alg = Some(Alg::EdDSA);
        let role: Role = "clerk".parse().expect("a role");
        let may: BTreeSet<_> = [Permission::try_from("orders:read".to_owned()).expect("a permission")].into();
        a.settings.permissions.insert(role.clone(), may.clone());
        let both = set(&["https://a.example", "https://b.example"]);
        let target = Target::of(&both, vec![a.clone(), b.clone()], ISSUER).expect("known");
        assert_eq!((target.ttl(Ttl::minutes(15)), target.alg()), (Ttl::minutes(2), Some(Alg::EdDSA)));
        assert_eq!(target.algs(&Alg::ALL), [Alg::EdDSA]);
        assert_eq!(target.clone().signed_among(&[Alg::EdDSA, Alg::ES256]), Ok(target.clone()));
        assert_eq!(target.clone().signed_among(&[Alg::ES256]), Err(TargetRefused::Algorithms), "s054");
        assert_eq!(Target::usual().algs(&[Alg::ES256, Alg::PS256]), [Alg::ES256, Alg::PS256]);
        assert_eq!(target.permissions([&role]), None);
        let one = Target::of(&set(&["https://a.example"]), vec![a.clone(), b.clone()], ISSUER).expect("known");
        assert_eq!(one.permissions([&role]), Some(may));
        assert_eq!(one.permissions([]), Some(BTreeSet::new()));
        assert_eq!(one.ttl(Ttl::minutes(1)), Ttl::minutes(1), "never longer than the tenant's policy");
        assert_eq!(Target::of(&both, vec![a.clone()], ISSUER), Err(TargetRefused::NotThere), "one is gone");
        b.settings.signing_alg = Some(Alg::ES256);
        assert_eq!(Target::of(&both, vec![a, b], ISSUER), Err(TargetRefused::Algorithms));
    }

    #[test]
    fn settings_that_nobody_can_stand_behind_are_refused() {
        let with = |change: fn(&mut ResourceSettings)| {
            let mut settings = api("https://a.example", "a:read").settings;
            change(&mut settings);
            settings.validated()
        };
        assert!(with(|_| {}).is_ok());
        for word in ["openid", "account", "admin", "offline_access"] {
            let mut settings = api("https://a.example", "a:read").settings;
            settings.scope = scope(word);
            assert!(settings.validated().is_err(), "{word}");
        }
        assert!(with(|settings| settings.access_ttl_seconds = Some(Ttl::seconds(59))).is_err());
        assert!(with(|settings| settings.access_ttl_seconds = Some(Ttl::seconds(3_601))).is_err());
        assert!(
            with(|settings| {
                let many = (0..100).map(|n| Permission::try_from(format!("{n:064}")).expect("one")).collect();
                settings.permissions.insert("clerk".parse().expect("a role"), many);
            })
            .is_err()
        );
        for bad in ["", "a b", "ä", "a\"b"] {
            assert!(Permission::try_from(bad.to_owned()).is_err(), "{bad}");
        }
    }
}
