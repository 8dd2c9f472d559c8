//! What clients are registered for and their tenant does not offer them (any more).
//!
//! Invariant: a client is refused at its registration what it would lack; so it lacks something only when its tenant has taken that away.

use std::collections::BTreeSet;
use std::fmt;

use serde_json::json;

use super::profile::Profile;
use super::{ClientSettings, GrantType};
use crate::keys::ring::Alg;
use crate::tenant::TenantPolicy;

/// What a tenant offers to its clients.
#[derive(Debug, Clone, Copy)]
pub struct Offer<'a> {
    pub policy: &'a TenantPolicy,
    /// The algorithms that its key policy keeps keys for.
    pub algs: &'a [Alg],
}

/// Something that a client is registered for, in vain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lack {
    Grant(GrantType),
    AuthorizationChallenge,
    /// What this member of its metadata is about has to be signed by this.
    Signature {
        member: &'static str,
        alg: Alg,
    },
    /// Its tokens have to be signed by an algorithm of its profile.
    Profile,
}

impl Lack {
    /// The member of its metadata that says so.
    pub const fn member(self) -> &'static str {
        match self {
            Self::Grant(_) => "grant_types",
            Self::AuthorizationChallenge => "authorization_challenge",
            Self::Signature { member, .. } => member,
            Self::Profile => "profile",
        }
    }
}

impl fmt::Display for Lack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Grant(grant) => write!(f, "grant_types: the tenant's policy does not offer {}", grant.name()),
            Self::AuthorizationChallenge => f.write_str("authorization_challenge: the tenant's policy does not offer it"),
            Self::Signature { member, alg } => write!(f, "{member}: the tenant's key policy has no {alg}"),
            Self::Profile => f.write_str("profile: the tenant's key policy has none of its algorithms"),
        }
    }
}

/// What a client with these settings lacks.
pub fn lacks(settings: &ClientSettings, offer: Offer<'_>) -> BTreeSet<Lack> {
    let grants = settings.grant_types.iter().copied().filter(|grant| !offer.policy.offers(*grant)).map(Lack::Grant);
    let challenge = settings.authorization_challenge && !offer.policy.authorization_challenge;
    let signatures = settings.signatures().into_iter().filter(|(_, alg)| !offer.algs.contains(alg));
    let signatures = signatures.map(|(member, alg)| Lack::Signature { member, alg });
    let profile = !settings.signing_algs().iter().any(|alg| offer.algs.contains(alg));
    let others = [(challenge, Lack::AuthorizationChallenge), (profile, Lack::Profile)];
    grants.chain(signatures).chain(others.into_iter().filter_map(|(is_lacking, lack)| is_lacking.then_some(lack))).collect()
}

/// Texts of which a client's stored settings hold one at least, if it lacks something `after` a change that it did not lack `before`. None when
/// nothing is taken away.
pub fn signs_of_loss(before: Offer<'_>, after: Offer<'_>) -> Vec<String> {
    let grants = GrantType::ALL.into_iter().filter(|grant| before.policy.offers(*grant) && !after.policy.offers(*grant));
    let challenge = before.policy.authorization_challenge && !after.policy.authorization_challenge;
    let algs = before.algs.iter().filter(|alg| !after.algs.contains(alg));
    let has = |offer: Offer<'_>, profile: Profile| profile.algs().iter().any(|alg| offer.algs.contains(alg));
    let profiles = Profile::ALL.into_iter().filter(|(_, profile)| has(before, *profile) && !has(after, *profile));
    grants
        .map(|grant| json!(grant.name()).to_string())
        .chain(challenge.then(|| r#""authorization_challenge":true"#.to_owned()))
        .chain(algs.map(|alg| format!(r#"_signed_response_alg":"{alg}""#)))
        .chain(profiles.map(|(name, _)| format!(r#""profile":"{name}""#)))
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::client::metadata::ClientMetadata;
    use crate::keys::policy::RotationNumbers;

    const ALL: &[Alg] = &Alg::ALL;

    fn client(metadata: Value) -> ClientSettings {
        let metadata: ClientMetadata = serde_json::from_value(metadata).expect("metadata");
        metadata.with_usual_alg(&RotationNumbers::default()).validated().expect("good")
    }

    fn all_on() -> TenantPolicy {
        TenantPolicy {
            device_authorization: true,
            jwt_bearer: true,
            backchannel_authentication: true,
            authorization_challenge: true,
            token_exchange: true,
            ..TenantPolicy::default()
        }
    }

    #[test]
    fn whoever_loses_something_is_found_by_a_sign_in_the_stored_settings_and_nobody_else_lacks_anything() {
        let code = |more: Value| {
            let mut metadata = json!({ "redirect_uris": ["https://app.example/cb"] });
            metadata.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
            client(metadata)
        };
        const DEVICE: &str = "urn:ietf:params:oauth:grant-type:device_code";
        let clients = [
            code(json!({})),
            code(json!({ "grant_types": ["authorization_code", DEVICE] })),
            code(json!({ "id_token_signed_response_alg": "PS256" })),
            code(json!({ "userinfo_signed_response_alg": "EdDSA" })),
            code(json!({ "authorization_signed_response_alg": "ES384", "introspection_signed_response_alg": "ES384" })),
            code(json!({ "authorization_challenge": true, "consent": "first_party" })),
            client(json!({ "grant_types": ["client_credentials"], "token_endpoint_auth_method": "client_secret_basic" })),
            client(json!({ "grant_types": ["urn:ietf:params:oauth:grant-type:token-exchange"] })),
        ];
        let (open, closed) = (all_on(), TenantPolicy::default());
        let offers = [
            Offer { policy: &open, algs: ALL },
            Offer { policy: &closed, algs: ALL },
            Offer { policy: &open, algs: &[Alg::RS256] },
            Offer { policy: &open, algs: &[Alg::ES256, Alg::RS256] },
            Offer { policy: &closed, algs: &[Alg::PS256] },
        ];
        let mut found = 0;
        for before in offers {
            for after in offers {
                let signs = signs_of_loss(before, after);
                for settings in &clients {
                    let (had, has) = (lacks(settings, before), lacks(settings, after));
                    let stored = serde_json::to_string(settings).expect("written");
                    let is_found = signs.iter().any(|sign| stored.contains(sign.as_str()));
                    assert!(is_found || has.is_subset(&had), "{signs:?} in {stored}");
                    found += usize::from(is_found);
                }
            }
        }
        assert!(found > 0 && clients.iter().all(|settings| lacks(settings, offers[0]).is_empty()));
        let lacking = lacks(&clients[2], Offer { policy: &open, algs: &[Alg::RS256] });
        let lack = Lack::Signature { member: "id_token_signed_response_alg", alg: Alg::PS256 };
        assert_eq!((lack.member(), lacking), ("id_token_signed_response_alg", BTreeSet::from([lack])));
        assert!(signs_of_loss(Offer { policy: &closed, algs: &[Alg::RS256] }, offers[0]).is_empty(), "nothing is taken away");
    }

    #[test]
    fn a_profile_is_lost_with_the_last_of_its_algorithms() {
        let policy = all_on();
        let offer = |algs| Offer { policy: &policy, algs };
        let signs = signs_of_loss(offer(&[Alg::ES256, Alg::RS256]), offer(&[Alg::RS256]));
        assert!(signs.contains(&r#""profile":"fapi2""#.to_owned()), "{signs:?}");
        assert!(!signs_of_loss(offer(&[Alg::ES256, Alg::PS256]), offer(&[Alg::PS256])).iter().any(|sign| sign.contains("profile")));
    }
}
