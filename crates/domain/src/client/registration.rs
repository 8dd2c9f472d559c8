//! Clients that register themselves (RFC 7591, 7592; OpenID Connect Registration 1.0): who may, and what is taken of what they say.
//!
//! Invariant: a client gives itself no right that somebody else has to give: no consent in advance, no grant without a user, no scope
//! besides those of OpenID Connect. What an administrator has given it, it keeps.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::metadata::{BadMetadata, ClientMetadata};
use super::{AuthMethod, ClientSettings, GrantType, ResponseType};
use crate::handle::HandleHash;
use crate::ids::InitialAccessTokenId;
use crate::keys::policy::RotationNumbers;
use crate::scope::Scope;
use crate::text::DisplayName;
use crate::time::{Timestamp, Ttl};

/// Who may register clients with a tenant by themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RegistrationAccess {
    /// Nobody.
    #[default]
    Off,
    /// Whoever has a token that an administrator made for this (RFC 7591, 1.2).
    InitialAccessToken,
    /// Everybody, as often as one place may.
    Open,
}

/// What a tenant decides about clients that register themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RegistrationPolicy {
    pub access: RegistrationAccess,
    /// Whether those that can prove who they are use PKCE as well; those that cannot always do.
    pub require_pkce: bool,
}

impl Default for RegistrationPolicy {
    fn default() -> Self {
        Self { access: RegistrationAccess::Off, require_pkce: true }
    }
}

/// A token with which clients may be registered, as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InitialAccessToken {
    pub id: InitialAccessTokenId,
    pub hash: HandleHash,
    /// What its administrator calls it.
    pub name: Option<DisplayName>,
    pub uses_left: u32,
    pub created_at: Timestamp,
    pub expires_at: Timestamp,
}

impl InitialAccessToken {
    pub const MOST_USES: u32 = 10_000;
    pub const USUAL_TTL: Ttl = Ttl::days(1);
    pub const LONGEST_TTL: Ttl = Ttl::days(366);

    pub fn is_good(&self, now: Timestamp) -> bool {
        self.uses_left > 0 && now < self.expires_at
    }
}

/// What is kept of a client because it registered itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SelfRegistration {
    /// Of the registration access token (RFC 7592), with which the client changes itself.
    pub token: HandleHash,
    /// When it goes, unless a user has allowed it something by then; `None` once one has.
    pub unused_until: Option<Timestamp>,
}

impl SelfRegistration {
    const UNUSED_FOR: Ttl = Ttl::days(30);
    /// Of a client that is known by a document: whoever comes again is read again.
    const DOCUMENT_UNUSED_FOR: Ttl = Ttl::days(1);

    /// Of a client that comes now.
    pub fn new(token: HandleHash, now: Timestamp) -> Self {
        Self { token, unused_until: Some(now.plus(Self::UNUSED_FOR)) }
    }

    /// Of a client that shows a document now. Nobody has the token.
    pub fn by_document(token: HandleHash, now: Timestamp) -> Self {
        Self { token, unused_until: Some(now.plus(Self::DOCUMENT_UNUSED_FOR)) }
    }
}

/// Members that a client may say about itself. Others are ignored (RFC 7591, 2).
const MEMBERS: [&str; 50] = [
    "client_name",
    "application_type",
    "redirect_uris",
    "post_logout_redirect_uris",
    "grant_types",
    "response_types",
    "scope",
    "token_endpoint_auth_method",
    "token_endpoint_auth_signing_alg",
    "frontchannel_logout_uri",
    "frontchannel_logout_session_required",
    "backchannel_logout_uri",
    "backchannel_logout_session_required",
    "subject_type",
    "sector_identifier_uri",
    "id_token_signed_response_alg",
    "userinfo_signed_response_alg",
    "authorization_signed_response_alg",
    "introspection_signed_response_alg",
    "id_token_encrypted_response_alg",
    "id_token_encrypted_response_enc",
    "userinfo_encrypted_response_alg",
    "userinfo_encrypted_response_enc",
    "authorization_encrypted_response_alg",
    "authorization_encrypted_response_enc",
    "introspection_encrypted_response_alg",
    "introspection_encrypted_response_enc",
    "default_max_age",
    "require_auth_time",
    "require_pushed_authorization_requests",
    "request_uris",
    "request_object_signing_alg",
    "require_signed_request_object",
    "dpop_bound_access_tokens",
    "tls_client_certificate_bound_access_tokens",
    "tls_client_auth_subject_dn",
    "tls_client_auth_san_dns",
    "tls_client_auth_san_uri",
    "tls_client_auth_san_ip",
    "tls_client_auth_san_email",
    "jwks",
    "jwks_uri",
    "client_uri",
    "logo_uri",
    "policy_uri",
    "tos_uri",
    "contacts",
    "initiate_login_uri",
    "software_id",
    "software_version",
];

/// Grants that need a user's consent each time.
const GRANTS: [GrantType; 2] = [GrantType::AuthorizationCode, GrantType::RefreshToken];

/// What a client that says this about itself may do in a tenant with these `keys` that takes these response types besides `code`; `before` is what it
/// may do until now, for one that changes itself.
///
/// Scopes that it may not give itself are left out, as RFC 7591, 3.2.1 allows; the answer says what was taken.
///
/// # Errors
/// Names the first member that will not do.
pub fn settings(
    mut members: Map<String, Value>,
    policy: RegistrationPolicy,
    taken: &BTreeSet<ResponseType>,
    keys: &RotationNumbers,
    before: Option<&ClientSettings>,
) -> Result<ClientSettings, BadMetadata> {
    members.retain(|name, _| MEMBERS.contains(&name.as_str()));
    let mut metadata = read(members)?;
    let is_public = metadata.token_endpoint_auth_method.as_deref() == Some(AuthMethod::None.name());
    metadata.require_pkce = Some(is_public || policy.require_pkce || before.is_some_and(|before| before.require_pkce));
    // What an administrator switched on stays on; a profile does so with all that it demands.
    metadata.profile = before.and_then(|before| before.profile).map(|profile| profile.name().to_owned());
    metadata.require_issuer_audience = before.map(|before| before.require_issuer_audience);
    metadata.require_signed_authorization_response = before.map(|before| before.require_signed_authorization_response);
    metadata.may_impersonate = before.map(|before| before.may_impersonate);
    metadata.resources = before.map(|before| before.resources.iter().cloned().map(String::from).collect());
    let types = before.and_then(|before| before.authorization_details_types.clone());
    metadata.authorization_details_types = types.map(|types| types.into_iter().map(String::from).collect());
    // Given with its grant, by an administrator.
    let has_backchannel =
        metadata.grant_types.as_ref().is_some_and(|grants| grants.iter().any(|grant| grant == GrantType::Backchannel.name()));
    let mode = before.and_then(|before| before.backchannel_token_delivery_mode).filter(|_| has_backchannel);
    metadata.backchannel_token_delivery_mode = mode.map(|mode| mode.name().to_owned());
    metadata.backchannel_client_notification_endpoint =
        before.and_then(|before| before.backchannel_client_notification_endpoint.clone()).filter(|_| mode.is_some());
    metadata.require_dpop_nonce = before.map(|before| before.require_dpop_nonce);
    metadata.allowed_origins = before.map(|before| before.allowed_origins.iter().map(ToString::to_string).collect());
    if let Some(asked) = &metadata.scope {
        let asked: Scope = asked.parse().map_err(|why| BadMetadata::new("scope", why))?;
        let may = |token: &str| Scope::OF_OPENID.contains(&token) || before.is_some_and(|before| before.scope.contains(token));
        metadata.scope = Some(asked.retain(may).to_string());
    }
    let settings = metadata.with_usual_alg(keys).validated()?;
    let had = |kind: &ResponseType| before.is_some_and(|before| before.response_types.contains(kind));
    if let Some(kind) = settings.response_types.iter().find(|kind| kind.is_front_channel() && !taken.contains(kind) && !had(kind)) {
        return Err(BadMetadata::new("response_types", format!("{} is not taken here", kind.name())));
    }
    // The response types, which were looked at, say what it is for.
    let may =
        |grant: &GrantType| GRANTS.contains(grant) || *grant == GrantType::Implicit || before.is_some_and(|before| before.may_use(*grant));
    match settings.grant_types.iter().find(|grant| !may(grant)) {
        Some(grant) => Err(BadMetadata::new("grant_types", format!("{} is given by an administrator alone", grant.name()))),
        None => Ok(settings),
    }
}

/// Reads members whose names are known; an error names the one whose type is wrong.
fn read(members: Map<String, Value>) -> Result<ClientMetadata, BadMetadata> {
    let is_readable = |members: Map<String, Value>| serde_json::from_value::<ClientMetadata>(members.into());
    is_readable(members.clone()).map_err(|_| {
        let alone = |name: &str| members.get(name).map(|value| Map::from_iter([(name.to_owned(), value.clone())]));
        let wrong = MEMBERS.into_iter().find(|name| alone(name).is_some_and(|member| is_readable(member).is_err()));
        BadMetadata::new(wrong.unwrap_or("client_name"), "has a type that it cannot have (RFC 7591, 2)")
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::client::ConsentPolicy;

    fn read(members: Value, policy: RegistrationPolicy, before: Option<&ClientSettings>) -> Result<ClientSettings, &'static str> {
        let Value::Object(members) = members else { panic!("no object") };
        settings(members, policy, &BTreeSet::new(), &RotationNumbers::default(), before).map_err(|bad| bad.member)
    }

    fn with(more: Value) -> Result<ClientSettings, &'static str> {
        let mut members = json!({ "redirect_uris": ["https://app.example/cb"] });
        members.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        read(members, RegistrationPolicy::default(), None)
    }

    #[test]
    fn s118_unknown_members_are_ignored_and_errors_name_the_member() {
        assert!(with(json!({ "request_uris": ["https://app.example/r"], "x": {}, "client_name#de": "Laden" })).is_ok());
        for (member, wrong) in [
            ("redirect_uris", json!({ "redirect_uris": "https://app.example/cb" })),
            ("contacts", json!({ "contacts": [1] })),
            ("default_max_age", json!({ "default_max_age": "1" })),
            ("jwks_uri", json!({ "jwks": { "keys": [] }, "jwks_uri": "https://app.example/jwks" })),
        ] {
            assert_eq!(with(wrong).map(|_| ()), Err(member));
        }
    }

    #[test]
    fn s122_a_client_gives_itself_no_right() {
        let settings =
            with(json!({ "consent": "first_party", "require_pkce": false, "scope": "openid pay email admin account" })).expect("good");
        assert_eq!((settings.consent, settings.require_pkce), (ConsentPolicy::ThirdParty, true));
        assert_eq!(settings.scope.to_string(), "email openid");
        let machine = json!({ "grant_types": ["authorization_code", "client_credentials"] });
        assert_eq!(with(machine).map(|_| ()), Err("grant_types"));
        assert_eq!(with(json!({ "grant_types": ["client_credentials"], "response_types": [] })).map(|_| ()), Err("grant_types"));
    }

    #[test]
    fn s122_tokens_by_the_browser_are_given_to_whoever_registers_where_the_tenant_takes_them() {
        let members = json!({
            "redirect_uris": ["https://app.example/cb"], "grant_types": ["implicit"], "response_types": ["token id_token", "id_token"],
        });
        let Value::Object(members) = members else { panic!("no object") };
        let with = |taken: &[ResponseType], before: Option<&ClientSettings>| {
            let taken = taken.iter().copied().collect();
            settings(members.clone(), RegistrationPolicy::default(), &taken, &RotationNumbers::default(), before).map_err(|bad| bad.member)
        };
        for taken in [&[][..], &[ResponseType::IdToken], &[ResponseType::CodeIdToken, ResponseType::IdTokenToken]] {
            assert_eq!(with(taken, None).map(|_| ()), Err("response_types"), "{taken:?}");
        }
        let given = with(&[ResponseType::IdToken, ResponseType::IdTokenToken], None).expect("good");
        assert!(given.may_use(GrantType::Implicit) && !given.may_use(GrantType::AuthorizationCode));
        with(&[], Some(&given)).expect("what it has it keeps, and gets nothing by it");
    }

    #[test]
    fn pkce_is_left_to_confidential_clients_where_the_tenant_says_so() {
        let policy = RegistrationPolicy { require_pkce: false, ..RegistrationPolicy::default() };
        for (method, is_required) in [("client_secret_basic", false), ("none", true)] {
            let members = json!({ "redirect_uris": ["https://app.example/cb"], "token_endpoint_auth_method": method });
            assert_eq!(read(members, policy, None).expect("good").require_pkce, is_required, "{method}");
        }
    }

    #[test]
    fn s120_a_client_that_changes_itself_keeps_what_it_was_given_and_gets_no_more() {
        let mut before = with(json!({})).expect("good");
        before.scope = "openid pay".parse().expect("a scope");
        before.grant_types.insert(GrantType::ClientCredentials);
        before.consent = ConsentPolicy::FirstParty;
        before.allowed_origins.push("https://www.app.example".parse().expect("an origin"));
        let lax = RegistrationPolicy { require_pkce: false, ..RegistrationPolicy::default() };
        let members = json!({
            "redirect_uris": ["https://app.example/other"], "grant_types": ["authorization_code", "client_credentials"],
            "scope": "openid pay audit", "allowed_origins": ["https://other.example"],
        });
        let after = read(members, lax, Some(&before)).expect("good");
        assert_eq!(after.scope.to_string(), "openid pay");
        assert!(after.require_pkce && after.may_use(GrantType::ClientCredentials));
        assert_eq!(after.allowed_origins, before.allowed_origins);
        assert_eq!(after.consent, ConsentPolicy::ThirdParty, "an administrator decided that about other addresses");
    }
}
