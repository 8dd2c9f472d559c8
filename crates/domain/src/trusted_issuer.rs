//! Issuers of others whose word about a tenant's users its clients may exchange for access tokens (RFC 7523, 2.1).
//!
//! [`TrustedIssuerForm::validated`] is the one way to [`TrustedIssuerSettings`]; [`TrustedIssuer::judge`] reads an assertion whose
//! signature is known to be good. Invariant: what an issuer may say is bounded by what its administrator wrote down: for which
//! clients, with which scope, by which algorithms, of whom.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::client::assertion::{self, Assertion, AssertionRefused, Audience};
use crate::client::metadata::{self, BadMetadata};
use crate::client::{ClientId, ClientKeys};
use crate::ids::{TrustedIssuerId, UserId};
use crate::keys::ring::Alg;
use crate::scope::Scope;
use crate::text::{Email, Username};
use crate::time::Timestamp;

/// An issuer that a tenant trusts.
#[derive(Debug, Clone, PartialEq)]
pub struct TrustedIssuer {
    pub id: TrustedIssuerId,
    /// Its `iss`, byte for byte. Never changes.
    pub issuer: String,
    pub settings: TrustedIssuerSettings,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

/// What its `sub` says, of all that a user has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SubjectIs {
    /// Our own `sub` of the user.
    UserId,
    /// An address that is known to be the user's.
    Email,
    Username,
}

/// What may be made of its assertions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TrustedIssuerSettings {
    #[serde(flatten)]
    pub keys: ClientKeys,
    pub signing_algs: BTreeSet<Alg>,
    pub subject_is: SubjectIs,
    /// The subjects that it may speak of; all of the tenant's users when this is empty.
    pub subjects: BTreeSet<String>,
    pub scope: Scope,
    /// Who may bring its assertions.
    pub clients: BTreeSet<ClientId>,
}

/// What somebody says about an issuer.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrustedIssuerForm {
    pub issuer: String,
    #[serde(default)]
    pub jwks: Option<Value>,
    #[serde(default)]
    pub jwks_uri: Option<String>,
    pub signing_algs: BTreeSet<Alg>,
    pub subject_is: SubjectIs,
    #[serde(default)]
    pub subjects: BTreeSet<String>,
    pub scope: Scope,
    pub clients: BTreeSet<ClientId>,
}

impl TrustedIssuerForm {
    /// # Errors
    /// Names the first member that will not do.
    pub fn validated(self) -> Result<(String, TrustedIssuerSettings), BadMetadata> {
        let bad = |member, why: &str| Err(BadMetadata::new(member, why));
        let is_word = |text: &str, most: usize| (1..=most).contains(&text.len()) && !text.chars().any(char::is_control);
        let Self { issuer, jwks, jwks_uri, signing_algs, subject_is, subjects, scope, clients } = self;
        if !is_word(&issuer, 512) {
            return bad("issuer", "must be 1 to 512 bytes without control characters");
        }
        let Some(keys) = metadata::client_keys(jwks, jwks_uri)? else { return bad("jwks", "jwks or jwks_uri must be there") };
        if signing_algs.is_empty() {
            return bad("signing_algs", "at least one");
        }
        if subjects.len() > 200 || !subjects.iter().all(|subject| is_word(subject, 256)) {
            return bad("subjects", "at most 200, each of 1 to 256 bytes without control characters");
        }
        if [Scope::ACCOUNT, Scope::ADMIN, Scope::OFFLINE_ACCESS].iter().any(|word| scope.contains(word)) {
            return bad("scope", "account and admin are of the built-in client, and there is no refresh token for offline_access");
        }
        if clients.is_empty() || clients.len() > 50 {
            return bad("clients", "1 to 50: nobody else may bring its assertions");
        }
        Ok((issuer, TrustedIssuerSettings { keys, signing_algs, subject_is, subjects, scope, clients }))
    }
}

/// Whom an assertion is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Asserted {
    Id(UserId),
    Email(Email),
    Username(Username),
}

impl TrustedIssuer {
    /// As many may a tenant trust.
    pub const MOST: u32 = 50;

    /// Judges the claims of an assertion that this issuer has signed: for us, of now, and of somebody that it may speak of.
    ///
    /// # Errors
    /// Says what is wrong.
    ///
    /// Source: RFC 7523, 3.
    pub fn judge(
        &self,
        claims: &Map<String, Value>,
        audience: Audience<'_>,
        now: Timestamp,
    ) -> Result<(Asserted, Assertion), AssertionRefused> {
        let text = |name: &str| claims.get(name).and_then(Value::as_str);
        if text("iss") != Some(self.issuer.as_str()) {
            return Err(AssertionRefused("iss is somebody else"));
        }
        let assertion = assertion::judge_use(claims, "grant-assertion", &self.issuer, audience, now)?;
        let sub = text("sub").ok_or(AssertionRefused("sub is missing"))?;
        if !self.settings.subjects.is_empty() && !self.settings.subjects.contains(sub) {
            return Err(AssertionRefused("sub is nobody that it may speak of"));
        }
        let asserted = match self.settings.subject_is {
            SubjectIs::UserId => sub.parse().ok().map(Asserted::Id),
            SubjectIs::Email => sub.parse().ok().map(Asserted::Email),
            SubjectIs::Username => sub.parse().ok().map(Asserted::Username),
        };
        Ok((asserted.ok_or(AssertionRefused("sub has not the form of what it is to be"))?, assertion))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);
    const US: Audience<'_> =
        Audience { issuer: "https://id.example/t/acme", token_endpoint: Some("https://id.example/t/acme/oauth/token") };

    fn form(change: Value) -> Result<(String, TrustedIssuerSettings), &'static str> {
        let mut form = json!({
            "issuer": "https://partner.example", "jwks_uri": "https://partner.example/jwks", "signing_algs": ["ES256"],
            "subject_is": "email", "scope": "orders", "clients": ["cli_1"],
        });
        form.as_object_mut().expect("an object").extend(change.as_object().expect("an object").clone());
        serde_json::from_value::<TrustedIssuerForm>(form).expect("the members are known").validated().map_err(|bad| bad.member)
    }

    fn partner(change: Value) -> TrustedIssuer {
        let (issuer, settings) = form(change).expect("good");
        TrustedIssuer { id: TrustedIssuerId::new(NOW, [1; 10]), issuer, settings, created_at: NOW, updated_at: NOW }
    }

    #[test]
    fn settings_survive_their_json_and_errors_name_the_member() {
        let (_, settings) = form(json!({})).expect("good");
        let text = serde_json::to_string(&settings).expect("written");
        assert_eq!(serde_json::from_str::<TrustedIssuerSettings>(&text).expect("read"), settings);
        for (member, change) in [
            ("issuer", json!({ "issuer": "" })),
            ("issuer", json!({ "issuer": "a\nb" })),
            ("jwks", json!({ "jwks_uri": null })),
            ("jwks_uri", json!({ "jwks": { "keys": [] } })),
            ("jwks_uri", json!({ "jwks_uri": "http://partner.example/jwks" })),
            ("signing_algs", json!({ "signing_algs": [] })),
            ("subjects", json!({ "subjects": [""] })),
            ("scope", json!({ "scope": "orders admin" })),
            ("scope", json!({ "scope": "openid offline_access" })),
            ("clients", json!({ "clients": [] })),
        ] {
            assert_eq!(form(change.clone()).map(|_| ()), Err(member), "{change}");
        }
    }

    #[test]
    fn s050_s145_an_issuer_speaks_for_us_of_now_and_of_whom_it_may() {
        let judged = |issuer: &TrustedIssuer, change: Value| {
            let now = NOW.as_seconds();
            let mut claims = json!({
                "iss": "https://partner.example", "sub": "alice@acme.example", "aud": US.issuer, "exp": now + 300, "iat": now, "jti": "1",
            });
            claims.as_object_mut().expect("an object").extend(change.as_object().expect("an object").clone());
            issuer.judge(claims.as_object().expect("an object"), US, NOW)
        };
        let any = partner(json!({}));
        let now = NOW.as_seconds();
        assert!(matches!(judged(&any, json!({})), Ok((Asserted::Email(_), _))));
        assert!(judged(&any, json!({ "aud": US.token_endpoint })).is_ok());
        for bad in [
            json!({ "iss": "https://partner.example/" }),
            json!({ "iss": null }),
            json!({ "sub": null }),
            json!({ "sub": "alice" }),
            json!({ "aud": "https://id.example/t/globex" }),
            json!({ "exp": null }),
            json!({ "exp": now - 31 }),
            json!({ "exp": now + 3_631 }),
            json!({ "iat": now + 31 }),
            json!({ "nbf": now + 31 }),
            json!({ "jti": null }),
        ] {
            assert!(judged(&any, bad.clone()).is_err(), "{bad}");
        }
        let few = partner(json!({ "subjects": ["bob@acme.example"] }));
        assert!(judged(&few, json!({})).is_err());
        assert!(judged(&few, json!({ "sub": "bob@acme.example" })).is_ok());
        // One jti of two issuers is two names; a client of the same name is a third.
        let name = |issuer: &TrustedIssuer| judged(issuer, json!({ "iss": issuer.issuer })).expect("good").1.name;
        assert_ne!(name(&any), name(&partner(json!({ "issuer": "https://other.example" }))));
    }
}
