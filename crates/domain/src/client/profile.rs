//! Security profiles: one word of a client's metadata that switches together what a profile demands.
//!
//! A profile settles metadata before it is validated; whatever acts on it looks at the single switches, and at [`Profile::algs`].
//! Invariant: who contradicts the profile is refused, not corrected.

use serde::{Deserialize, Serialize};

use super::metadata::{BadMetadata, ClientMetadata, bad};
use crate::keys::ring::Alg;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Profile {
    /// FAPI 2.0 Security Profile.
    Fapi2,
    /// The same with FAPI 2.0 Message Signing: requests and their answers are signed.
    Fapi2MessageSigning,
}

/// Says yes where nothing was said.
fn demand(member: &'static str, said: &mut Option<bool>) -> Result<(), BadMetadata> {
    if *said == Some(false) {
        return Err(bad(member, "the profile demands true"));
    }
    *said = Some(true);
    Ok(())
}

/// Says `usual` where nothing was said, and takes nothing but `allowed`.
fn settle(member: &'static str, said: &mut Option<String>, usual: &str, allowed: &[&str]) -> Result<(), BadMetadata> {
    let said = said.get_or_insert_with(|| usual.to_owned());
    if allowed.contains(&said.as_str()) {
        return Ok(());
    }
    Err(bad(member, format!("the profile takes {}", allowed.join(", "))))
}

impl Profile {
    pub const ALL: [(&'static str, Self); 2] =
        [(Self::Fapi2.name(), Self::Fapi2), (Self::Fapi2MessageSigning.name(), Self::Fapi2MessageSigning)];

    /// The word of the metadata.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Fapi2 => "fapi2",
            Self::Fapi2MessageSigning => "fapi2_message_signing",
        }
    }

    /// The algorithms that anything may be signed by, from the client and to it.
    ///
    /// Source: FAPI 2.0 Security Profile, 5.4.1.
    pub const fn algs(self) -> &'static [Alg] {
        match self {
            Self::Fapi2 | Self::Fapi2MessageSigning => &[Alg::ES256, Alg::PS256, Alg::EdDSA],
        }
    }

    /// Metadata with what the profile demands.
    ///
    /// # Errors
    /// When it says something else.
    ///
    /// Source: FAPI 2.0 Security Profile, 5.3.2, 5.3.2.2; FAPI 2.0 Message Signing, 5.3, 5.4.
    pub(super) fn settled(self, mut metadata: ClientMetadata) -> Result<ClientMetadata, BadMetadata> {
        let algs: Vec<_> = self.algs().iter().map(|alg| alg.name()).collect();
        let methods = ["private_key_jwt", "tls_client_auth", "self_signed_tls_client_auth"];
        settle("token_endpoint_auth_method", &mut metadata.token_endpoint_auth_method, methods[0], &methods)?;
        settle("id_token_signed_response_alg", &mut metadata.id_token_signed_response_alg, "ES256", &algs)?;
        for (member, said) in [
            ("token_endpoint_auth_signing_alg", &mut metadata.token_endpoint_auth_signing_alg),
            ("request_object_signing_alg", &mut metadata.request_object_signing_alg),
            ("userinfo_signed_response_alg", &mut metadata.userinfo_signed_response_alg),
            ("authorization_signed_response_alg", &mut metadata.authorization_signed_response_alg),
            ("introspection_signed_response_alg", &mut metadata.introspection_signed_response_alg),
        ] {
            if said.is_some() {
                settle(member, said, "", &algs)?;
            }
        }
        for (member, said) in [
            ("require_pushed_authorization_requests", &mut metadata.require_pushed_authorization_requests),
            ("require_pkce", &mut metadata.require_pkce),
            ("require_issuer_audience", &mut metadata.require_issuer_audience),
        ] {
            demand(member, said)?;
        }
        if metadata.response_types.iter().flatten().any(|kind| kind != "code") {
            return Err(bad("response_types", "the profile takes code alone"));
        }
        if metadata.grant_types.iter().flatten().any(|grant| grant == "implicit") {
            return Err(bad("grant_types", "the profile takes no token by the browser"));
        }
        // One of both: by the key of a proof, where nothing is said of a certificate.
        if metadata.tls_client_certificate_bound_access_tokens != Some(true) {
            demand("dpop_bound_access_tokens", &mut metadata.dpop_bound_access_tokens)?;
        }
        if self == Self::Fapi2MessageSigning {
            demand("require_signed_request_object", &mut metadata.require_signed_request_object)?;
            demand("require_signed_authorization_response", &mut metadata.require_signed_authorization_response)?;
        }
        let is_native = metadata.application_type.as_deref() == Some("native");
        if !is_native && metadata.redirect_uris.iter().flatten().any(|uri| !uri.starts_with("https://")) {
            return Err(bad("redirect_uris", "the profile takes https; http on a loopback address from native clients alone"));
        }
        Ok(metadata)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::client::{AuthMethod, ClientSettings};

    fn read(more: &Value) -> Result<ClientSettings, BadMetadata> {
        let mut metadata = json!({ "profile": "fapi2", "redirect_uris": ["https://app.example/cb"], "jwks": { "keys": [] } });
        metadata.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        serde_json::from_value::<ClientMetadata>(metadata).expect("the members are known").validated()
    }

    #[test]
    fn the_profile_switches_together_what_fapi_2_demands() {
        let settings = read(&json!({})).expect("good");
        assert_eq!(settings.profile, Some(Profile::Fapi2));
        assert_eq!(settings.token_endpoint_auth_method, AuthMethod::PrivateKeyJwt);
        assert_eq!(settings.id_token_signed_response_alg, Alg::ES256);
        assert!(settings.require_pushed_authorization_requests && settings.require_pkce);
        assert!(settings.require_issuer_audience && settings.dpop_bound_access_tokens);
        assert_eq!(settings.signing_algs(), [Alg::ES256, Alg::PS256, Alg::EdDSA]);
        assert_eq!(read(&json!({ "profile": null })).expect("good").profile, None);
        for fine in [
            json!({ "require_pkce": true, "token_endpoint_auth_signing_alg": "PS256", "id_token_signed_response_alg": "EdDSA" }),
            json!({ "token_endpoint_auth_method": "tls_client_auth", "tls_client_auth_san_dns": "app.example" }),
            json!({ "token_endpoint_auth_method": "self_signed_tls_client_auth", "tls_client_certificate_bound_access_tokens": false }),
            json!({ "application_type": "native", "redirect_uris": ["http://127.0.0.1/cb", "com.example.app:/cb"] }),
        ] {
            read(&fine).expect("good");
        }
    }

    #[test]
    fn message_signing_is_the_same_with_signed_requests_and_answers() {
        let settings = read(&json!({ "profile": "fapi2_message_signing" })).expect("good");
        assert!(settings.require_signed_request_object && settings.require_signed_authorization_response);
        assert!(settings.require_pushed_authorization_requests && settings.dpop_bound_access_tokens);
        assert_eq!(settings.signing_algs(), [Alg::ES256, Alg::PS256, Alg::EdDSA]);
        for member in ["require_signed_request_object", "require_signed_authorization_response"] {
            let refused = read(&json!({ "profile": "fapi2_message_signing", member: false })).expect_err(member);
            assert_eq!(refused.member, member);
            assert!(read(&json!({ member: true })).is_ok(), "each of them alone beside the security profile");
        }
    }

    #[test]
    fn tokens_are_bound_to_a_certificate_instead_of_a_proof_where_the_client_says_so() {
        for said in [json!({}), json!({ "dpop_bound_access_tokens": false })] {
            let mut metadata = json!({ "tls_client_certificate_bound_access_tokens": true });
            metadata.as_object_mut().expect("an object").extend(said.as_object().expect("an object").clone());
            let settings = read(&metadata).expect("good");
            assert!(settings.tls_client_certificate_bound_access_tokens && !settings.dpop_bound_access_tokens);
        }
        let both = read(&json!({ "tls_client_certificate_bound_access_tokens": true, "dpop_bound_access_tokens": true }));
        assert_eq!(both.expect_err("both").member, "tls_client_certificate_bound_access_tokens");
    }

    #[test]
    fn what_contradicts_the_profile_is_refused_by_its_name() {
        for (member, said) in [
            ("profile", json!("fapi1")),
            ("require_pushed_authorization_requests", json!(false)),
            ("require_pkce", json!(false)),
            ("require_issuer_audience", json!(false)),
            ("dpop_bound_access_tokens", json!(false)),
            ("token_endpoint_auth_method", json!("client_secret_basic")),
            ("token_endpoint_auth_method", json!("client_secret_jwt")),
            ("token_endpoint_auth_method", json!("none")),
            ("token_endpoint_auth_signing_alg", json!("RS256")),
            ("request_object_signing_alg", json!("RS256")),
            ("id_token_signed_response_alg", json!("RS256")),
            ("id_token_signed_response_alg", json!("ES384")),
            ("userinfo_signed_response_alg", json!("RS256")),
            ("authorization_signed_response_alg", json!("RS256")),
            ("introspection_signed_response_alg", json!("ES384")),
            ("redirect_uris", json!(["http://127.0.0.1/cb"])),
            ("response_types", json!(["id_token"])),
            ("response_types", json!(["code", "code id_token"])),
            ("grant_types", json!(["authorization_code", "implicit"])),
            ("jwks", json!(null)),
        ] {
            let refused = read(&json!({ member: said })).expect_err(member);
            assert_eq!(refused.member, member, "{said}");
        }
    }
}
