//! OpenID Connect: what an ID token says, and which claims about a user a client gets.
//!
//! Invariant: a claim leaves only for a scope that was granted or a wish that was granted with it (OpenID Connect Core, 5.4, 5.5).

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256, Sha384, Sha512};

use crate::claim_rules::{Carrier, ClaimRules, Occasion, Told};
use crate::client::ClientId;
use crate::ids::FamilyId;
use crate::keys::ring::Alg;
use crate::scope::Scope;
use crate::tenant::Tenant;
use crate::text::BadText;
use crate::time::{Timestamp, Ttl};
use crate::token::claims::{AccessClaims, Grant, Issuance, Subject};
use crate::user::User;

/// The `typ` header of an ID token: that of any JWT, and no access token's.
pub const ID_TOKEN_TYPE: &str = "JWT";

/// The claims of an ID token (OpenID Connect Core, 2). Times are in whole seconds since the epoch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct IdClaims {
    pub iss: String,
    pub sub: Subject,
    pub aud: ClientId,
    pub exp: i64,
    pub iat: i64,
    pub auth_time: i64,
    /// The refresh family: this client's session of this user.
    pub sid: FamilyId,
    pub acr: String,
    pub amr: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nonce: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_hash: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub c_hash: Option<String>,
    /// What rules of the tenant and the `claims` parameter put there.
    #[serde(flatten)]
    pub others: Map<String, Value>,
}

/// What is given beside an ID token, and is bound to it by hashes (OpenID Connect Core, 3.1.3.6, 3.3.2.11).
#[derive(Clone, Copy, Default)]
pub struct Beside<'a> {
    pub access_token: Option<&'a str>,
    pub code: Option<&'a str>,
}

impl std::fmt::Debug for Beside<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Beside").finish_non_exhaustive()
    }
}

/// Where the claims are told that the granted scopes open (OpenID Connect Core, 5.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClaimsOfScopes {
    AtUserinfo,
    /// In the ID token, because there is no access token to ask userinfo with.
    InIdToken,
}

impl IdClaims {
    /// What an ID token says that is given with an access token, and what there was no room for. It lives as long as that one. There is
    /// one where `openid` was granted to a client in a login on our pages.
    pub fn new(
        issuance: Issuance<'_>,
        access: &AccessClaims,
        user: &User,
        grant: Grant<'_>,
        nonce: Option<String>,
        of_scopes: ClaimsOfScopes,
    ) -> Option<(Self, Vec<String>)> {
        let Grant { session_id, subject, auth_time, sign_on, .. } = grant;
        let sign_on = sign_on.filter(|_| issuance.scope.contains(Scope::OPENID))?;
        let wishes = &sign_on.claims.id_token;
        let on = Occasion {
            carrier: Carrier::IdToken,
            client: issuance.client_id,
            scope: issuance.scope,
            audience: None,
            user: Some(user),
            permissions: None,
            wishes: Some(wishes),
        };
        let told = issuance.tenant.policy.claims.rules.told(on, ClaimRules::ROOM).and(wished(user, wishes));
        let told = match of_scopes {
            ClaimsOfScopes::AtUserinfo => told,
            ClaimsOfScopes::InIdToken => told.and(opened(user, issuance.scope)),
        };
        let claims = Self {
            iss: access.iss.clone(),
            sub: subject,
            aud: access.client_id.clone(),
            exp: access.exp,
            iat: access.iat,
            auth_time: auth_time.as_seconds(),
            sid: session_id,
            acr: sign_on.authentication.acr().name().to_owned(),
            amr: sign_on.authentication.amr().into_iter().map(str::to_owned).collect(),
            nonce,
            at_hash: None,
            c_hash: None,
            others: told.claims,
        };
        Some((claims, told.left_out))
    }

    /// Binds the ID token to what is given with it, by the hash of the algorithm it is signed with.
    pub fn bind(&mut self, alg: Alg, beside: Beside<'_>) {
        fn left_half<D: Digest>(text: &str) -> String {
            let hash = D::digest(text.as_bytes());
            URL_SAFE_NO_PAD.encode(&hash[..hash.len() / 2])
        }
        let hash = match alg {
            Alg::ES256 | Alg::RS256 | Alg::PS256 => left_half::<Sha256>,
            Alg::ES384 => left_half::<Sha384>,
            // Ed25519 hashes with SHA-512.
            Alg::EdDSA => left_half::<Sha512>,
        };
        self.at_hash = beside.access_token.map(hash);
        self.c_hash = beside.code.map(hash);
    }

    /// Shortens the token's life to at most `cap`.
    pub fn cap_life(&mut self, cap: Ttl) {
        self.exp = self.exp.min(self.iat.saturating_add(i64::from(cap.as_seconds())));
    }
}

/// The `typ` header of a logout token (OpenID Connect Back-Channel Logout 1.0, 2.4): no other token is taken for one.
pub const LOGOUT_TOKEN_TYPE: &str = "logout+jwt";

/// The claims of a logout token (OpenID Connect Back-Channel Logout 1.0, 2.4). Times are in whole seconds since the epoch.
#[derive(Debug, Clone, PartialEq)]
pub struct LogoutClaims {
    pub iss: String,
    pub sub: Subject,
    pub aud: ClientId,
    pub iat: i64,
    pub exp: i64,
    pub jti: String,
    /// The client's session that has ended, by the name that its ID tokens had for it.
    pub sid: FamilyId,
    pub events: Value,
}

impl From<LogoutClaims> for Map<String, Value> {
    fn from(claims: LogoutClaims) -> Self {
        let LogoutClaims { iss, sub, aud, iat, exp, jti, sid, events } = claims;
        let claims = [
            ("iss", json!(iss)),
            ("sub", json!(sub)),
            ("aud", json!(aud)),
            ("iat", json!(iat)),
            ("exp", json!(exp)),
            ("jti", json!(jti)),
            ("sid", json!(sid)),
            ("events", events),
        ];
        claims.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }
}

impl LogoutClaims {
    /// It is good for two minutes, as the standard recommends: whoever was not reached gets a new one.
    const TTL: Ttl = Ttl::minutes(2);

    /// What `client` is told of the end of its session; `jti` was never used before.
    pub fn new(issuer: String, sub: Subject, client: ClientId, session: FamilyId, jti: String, now: Timestamp) -> Self {
        let events = json!({ "http://schemas.openid.net/event/backchannel-logout": {} });
        let (iat, exp) = (now.as_seconds(), now.plus(Self::TTL).as_seconds());
        Self { iss: issuer, sub, aud: client, iat, exp, jti, sid: session, events }
    }
}

/// One claim that is asked for by name (OpenID Connect Core, 5.5.1).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ClaimWish {
    pub essential: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<Value>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<Value>,
}

impl ClaimWish {
    /// The values that would do, as far as they are strings.
    pub fn wanted(&self) -> impl Iterator<Item = &str> {
        self.value.iter().chain(&self.values).filter_map(Value::as_str)
    }

    /// Whether some values do, and others do not.
    pub fn is_particular(&self) -> bool {
        self.value.is_some() || !self.values.is_empty()
    }

    /// Whether this value would do.
    pub fn is_met_by(&self, value: &Value) -> bool {
        !self.is_particular() || self.value.iter().chain(&self.values).any(|wanted| wanted == value)
    }
}

/// Claims that are asked for by name, in one place.
pub type Wishes = BTreeMap<String, Option<ClaimWish>>;

/// The `claims` parameter (OpenID Connect Core, 5.5). Other members than these two are ignored, as that section says.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ClaimsRequest {
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub id_token: Wishes,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub userinfo: Wishes,
}

impl ClaimsRequest {
    /// What a client with this scope may ask for: a name opens no more than the scope would that is there for it.
    #[must_use]
    pub fn within(mut self, scope: &Scope) -> Self {
        let may = |name: &str| scope_of(name).is_none_or(|word| scope.contains(word));
        self.id_token.retain(|name, _| may(name));
        self.userinfo.retain(|name, _| may(name));
        self
    }

    /// The scopes that would open the same: what a user is asked to allow.
    pub fn scope(&self) -> Scope {
        let words: Vec<_> = self.id_token.keys().chain(self.userinfo.keys()).filter_map(|name| scope_of(name)).collect();
        words.join(" ").parse().unwrap_or_default()
    }
}

impl std::str::FromStr for ClaimsRequest {
    type Err = BadText;

    fn from_str(text: &str) -> Result<Self, BadText> {
        let refused = BadText("claims must be a JSON object as OpenID Connect Core, 5.5 describes, of at most 4096 bytes and 64 claims");
        let read: Self =
            serde_json::from_str(text).ok().filter(|_| text.len() <= 4_096 && text.trim_start().starts_with('{')).ok_or(refused.clone())?;
        if read.id_token.len() + read.userinfo.len() > 64 { Err(refused) } else { Ok(read) }
    }
}

/// What each scope opens (OpenID Connect Core, 5.4).
const OF_SCOPE: [(&str, &[&str]); 4] = [
    (
        "profile",
        &[
            "name",
            "family_name",
            "given_name",
            "middle_name",
            "nickname",
            "preferred_username",
            "profile",
            "picture",
            "website",
            "gender",
            "birthdate",
            "zoneinfo",
            "locale",
            "updated_at",
        ],
    ),
    ("email", &["email", "email_verified"]),
    ("address", &["address"]),
    ("phone", &["phone_number", "phone_number_verified"]),
];

/// The scope that opens a claim.
fn scope_of(claim: &str) -> Option<&'static str> {
    OF_SCOPE.iter().find(|(_, names)| names.contains(&claim)).map(|(word, _)| *word)
}

/// All claims that clients may hear of, for the metadata.
pub fn claims_supported(tenant: &Tenant) -> Vec<&str> {
    let own = ["sub", "auth_time", "acr", "amr", "sid"].into_iter().chain(OF_SCOPE.iter().flat_map(|(_, names)| names.iter().copied()));
    let mut all: Vec<&str> = own.collect();
    for name in tenant.policy.claims.rules.published() {
        if !all.contains(&name) {
            all.push(name);
        }
    }
    all
}

/// One thing that is known of `user`. What the tenant does not know itself is taken from the user's custom claims of the same name.
pub(crate) fn attribute(user: &User, name: &str) -> Option<Value> {
    match name {
        "username" | "preferred_username" => user.names.username().map(|name| json!(name)),
        "email" => user.names.email().map(|mail| json!(mail)),
        "email_verified" => user.names.email().map(|_| json!(user.email_verified_at.is_some())),
        "updated_at" => Some(json!(user.updated_at.as_seconds())),
        other => user.claims.as_map().get(other).filter(|value| !value.is_null()).cloned(),
    }
}

/// Whether this claim, with this value, may be told: one that a scope of OpenID Connect opens needs that scope, or a wish that it meets.
pub(crate) fn may_be_told(claim: &str, value: &Value, scope: &Scope, wishes: Option<&Wishes>) -> bool {
    let is_wished =
        || wishes.and_then(|wishes| wishes.get(claim)).is_some_and(|wish| wish.as_ref().is_none_or(|wish| wish.is_met_by(value)));
    scope_of(claim).is_none_or(|word| scope.contains(word) || is_wished())
}

/// What is told about `user` at userinfo, besides `sub`: the claims of the granted scopes, those asked for by name, and those of the
/// tenant's rules.
pub fn userinfo(tenant: &Tenant, client: &ClientId, user: &User, scope: &Scope, wishes: &ClaimsRequest) -> Told {
    let on = Occasion {
        carrier: Carrier::Userinfo,
        client,
        scope,
        audience: None,
        user: Some(user),
        permissions: None,
        wishes: Some(&wishes.userinfo),
    };
    let rules = &tenant.policy.claims.rules;
    rules.told(on, ClaimRules::ROOM).and_all(opened(user, scope)).and_all(wished(user, &wishes.userinfo))
}

/// What of `user` the scopes of OpenID Connect open.
fn opened<'a>(user: &'a User, scope: &'a Scope) -> impl Iterator<Item = (&'static str, Value)> + use<'a> {
    let names = OF_SCOPE.iter().filter(|(name, _)| scope.contains(name)).flat_map(|(_, names)| names.iter().copied());
    names.filter_map(|name| Some((name, attribute(user, name)?)))
}

/// What is asked for by name and there to be told. Names that have a scope of OpenID Connect: no custom claim leaves because somebody
/// guessed its name. A claim that has another value than the wanted ones is not told.
fn wished<'a>(user: &User, wishes: &'a Wishes) -> impl Iterator<Item = (&'a str, Value)> {
    wishes.iter().filter(|(name, _)| scope_of(name).is_some()).filter_map(|(name, wish)| {
        let value = attribute(user, name).filter(|value| wish.as_ref().is_none_or(|wish| wish.is_met_by(value)))?;
        Some((name.as_str(), value))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::UserId;

    #[test]
    fn the_hash_of_an_access_token_is_that_of_the_standards_example() {
        // OpenID Connect Core, A.3: the access token and its at_hash.
        let mut claims: IdClaims = serde_json::from_value(json!({
            "iss": "https://server.example.com", "sub": UserId::from_uuid(uuid::Uuid::nil()), "aud": "s6BhdRkqt3", "exp": 2, "iat": 1,
            "auth_time": 1, "sid": FamilyId::from_uuid(uuid::Uuid::nil()), "acr": "1", "amr": ["pwd"],
        }))
        .expect("claims");
        let (access_token, code) =
            ("jHkWEdUXMU1BwAsC4vtUsZwnNvTIxEl0z9K3vx5KF0Y", "Qcb0Orv1zh30vL1MPRsbm-diHiMwcLyZvn1arpZv-Jxf_11jnpEX3Tgfvk");
        claims.bind(Alg::RS256, Beside { access_token: Some(access_token), code: None });
        assert_eq!((claims.at_hash.as_deref(), &claims.c_hash), (Some("77QmUPtjPfzWtF2AnpK9RQ"), &None));
        // A.4 and A.6: the code and its c_hash.
        claims.bind(Alg::RS256, Beside { access_token: None, code: Some(code) });
        assert_eq!((&claims.at_hash, claims.c_hash.as_deref()), (&None, Some("LDktKdoQak3Pk0cnXxCltA")));
        let lengths = [Alg::ES256, Alg::RS256, Alg::PS256, Alg::ES384, Alg::EdDSA].map(|alg| {
            claims.bind(alg, Beside { access_token: Some(access_token), code: Some(code) });
            (claims.at_hash.as_ref().map(String::len), claims.c_hash.as_ref().map(String::len))
        });
        assert_eq!(lengths, [22, 22, 22, 32, 43].map(|length| (Some(length), Some(length))));
    }

    #[test]
    fn a_claims_parameter_is_read_as_the_standard_writes_it() {
        let text = r#"{"userinfo":{"given_name":{"essential":true},"nickname":null,"http://example.info/claims/groups":null},
            "id_token":{"auth_time":{"essential":true},"acr":{"values":["urn:mace:incommon:iap:silver"]}},"other":1}"#;
        let read: ClaimsRequest = text.parse().expect("reads");
        assert!(read.userinfo["given_name"].as_ref().is_some_and(|wish| wish.essential));
        assert_eq!(read.scope().to_string(), "profile");
        assert_eq!(read.clone().within(&"openid email".parse().expect("a scope")).userinfo.len(), 1, "only what no scope is there for");
        for bad in ["", "[]", "{\"userinfo\":[]}", "{\"userinfo\":{\"name\":1}}"] {
            assert!(bad.parse::<ClaimsRequest>().is_err(), "{bad}");
        }
    }
}
