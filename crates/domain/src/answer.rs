//! Answers that are signed for one client: which there are, what kind of token each is, and by which algorithm it is signed.
//!
//! Invariant: nobody is answered by an algorithm that the client has not registered, or that its profile forbids.

use serde_json::{Map, Value, json};

use crate::authorize::AuthorizationResponse;
use crate::client::{Client, ClientId, ClientSettings};
use crate::encryption::Encryption;
use crate::keys::policy::RotationNumbers;
use crate::keys::ring::Alg;
use crate::openid::LOGOUT_TOKEN_TYPE;
use crate::time::{Timestamp, Ttl};

/// A signed answer that is no access token and no ID token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignedAnswer {
    /// To an authorization request (JWT Secured Authorization Response Mode, 2.1).
    Authorization,
    /// About a token (RFC 9701, 5).
    Introspection,
    /// That a session has ended (OpenID Connect Back-Channel Logout 1.0, 2.4).
    Logout,
    /// About a user (OpenID Connect Core, 5.3.2).
    Userinfo,
}

impl SignedAnswer {
    pub const ALL: [Self; 4] = [Self::Authorization, Self::Introspection, Self::Logout, Self::Userinfo];

    /// The `typ` header. Where the standard has none of its own, it is that of any JWT: such an answer has not the claims of an ID token.
    pub const fn typ(self) -> &'static str {
        match self {
            Self::Authorization | Self::Userinfo => "JWT",
            Self::Introspection => "token-introspection+jwt",
            Self::Logout => LOGOUT_TOKEN_TYPE,
        }
    }

    /// What the client has registered for it.
    const fn registered(self, settings: &ClientSettings) -> Option<Alg> {
        match self {
            Self::Authorization => settings.authorization_signed_response_alg,
            Self::Introspection => settings.introspection_signed_response_alg,
            Self::Logout => Some(settings.id_token_signed_response_alg),
            Self::Userinfo => settings.userinfo_signed_response_alg,
        }
    }

    /// How it is encrypted to this client, where that has registered for it.
    pub fn encryption(self, settings: &ClientSettings) -> Option<Encryption> {
        match self {
            Self::Authorization => settings.encryption.authorization(),
            Self::Introspection => settings.encryption.introspection(),
            Self::Logout => settings.encryption.id_token(),
            Self::Userinfo => settings.encryption.userinfo(),
        }
    }

    /// By what it is signed for this client: what it has registered, or else one that the tenant's keys have. `None` when they have none that it
    /// may be answered by.
    pub fn alg(self, settings: &ClientSettings, keys: &RotationNumbers) -> Option<Alg> {
        self.registered(settings).or_else(|| usual_alg(settings.signing_algs(), keys))
    }
}

/// The algorithm for a client that has named none: RS256, which the standards suppose, where the tenant has it and the client may; else
/// that of access tokens; else the first of `may`.
pub fn usual_alg(may: &[Alg], keys: &RotationNumbers) -> Option<Alg> {
    let wishes = [Alg::RS256, keys.access_token_alg].into_iter().chain(may.iter().copied());
    wishes.into_iter().find(|alg| may.contains(alg) && keys.algs.contains(alg))
}

/// How long an answer to an authorization request is good: a code lives half as long. At most ten minutes (JARM, 2.1).
const AUTHORIZATION_TTL: Ttl = Ttl::minutes(2);

/// An answer to an authorization request, as it is signed: all its parameters, whom it is from and for, and until when.
///
/// Source: JWT Secured Authorization Response Mode for OAuth 2.0, 2.1.
pub fn authorization(response: &AuthorizationResponse, client: &ClientId, now: Timestamp) -> Map<String, Value> {
    let mut claims: Map<_, _> = response.parameters.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
    claims.insert("aud".to_owned(), json!(client));
    claims.insert("exp".to_owned(), json!(now.plus(AUTHORIZATION_TTL).as_seconds()));
    claims
}

/// What is said of a token, as it is signed for the client that asks. `sub` and `exp` stay inside, so that nobody takes it for an access token.
///
/// Source: RFC 9701, 5.
pub fn introspection(said: Value, issuer: &str, client: &Client, now: Timestamp) -> Map<String, Value> {
    let claims = [("iss", json!(issuer)), ("aud", json!(client.id)), ("iat", json!(now.as_seconds())), ("token_introspection", said)];
    claims.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::authorize::{AuthorizeError, Refusal, ResponseMode, ReturnAddress};
    use crate::client::profile::Profile;

    fn keys(algs: &[Alg]) -> RotationNumbers {
        RotationNumbers { algs: algs.to_vec(), access_token_alg: algs[0], ..RotationNumbers::default() }
    }

    #[test]
    fn s066_who_has_named_no_algorithm_gets_one_that_the_tenant_has_and_the_client_may_have() {
        use Alg::{ES256, ES384, EdDSA, PS256, RS256};
        let plain = Client::first_party().settings;
        let strict = ClientSettings { profile: Some(Profile::Fapi2), ..plain.clone() };
        for (algs, of_plain, of_strict) in [
            (&[ES256, RS256][..], Some(RS256), Some(ES256)),
            (&[RS256, PS256], Some(RS256), Some(PS256)),
            (&[ES384], Some(ES384), None),
            (&[RS256], Some(RS256), None),
            (&[EdDSA, ES256], Some(EdDSA), Some(EdDSA)),
            (&[ES384, PS256, ES256], Some(ES384), Some(ES256)),
        ] {
            assert_eq!(SignedAnswer::Authorization.alg(&plain, &keys(algs)), of_plain, "{algs:?}");
            assert_eq!(SignedAnswer::Introspection.alg(&strict, &keys(algs)), of_strict, "{algs:?}");
        }
        let named = ClientSettings { authorization_signed_response_alg: Some(ES384), ..plain };
        assert_eq!(SignedAnswer::Authorization.alg(&named, &keys(&[RS256])), Some(ES384), "or not at all: no other is guessed");
    }

    #[test]
    fn an_authorization_answer_is_signed_whole_for_its_client_and_for_ten_minutes_at_most() {
        let return_to =
            ReturnAddress { redirect_uri: "https://a.example/cb".to_owned(), mode: ResponseMode::QueryJwt, state: Some("s".to_owned()) };
        let refusal = Refusal { error: AuthorizeError::AccessDenied, description: "the user said no" };
        let response = AuthorizationResponse::refused(return_to, refusal, "https://id.example/t/a".to_owned());
        let claims = authorization(&response, &ClientId::first_party(), Timestamp::from_seconds(1_000));
        let wanted = json!({
            "iss": "https://id.example/t/a", "aud": "first-party", "exp": 1_120, "state": "s",
            "error": "access_denied", "error_description": "the user said no",
        });
        assert_eq!(Value::Object(claims), wanted);
        assert!(AUTHORIZATION_TTL <= Ttl::minutes(10));
    }
}
