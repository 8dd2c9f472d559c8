//! What an issuer says of users, of itself and of its keys.

use serde_json::{Value, json};

use super::{Named, answer, answer_with, both, count, flag, list, one_of, reference, said, text};

#[rustfmt::skip]
pub(super) fn schemas() -> Named {
    vec![
        ("UserinfoRequest", json!({
            "type": "object", "description": "RFC 6750, 2.2. Left out when the token is in the header.", "additionalProperties": true,
            "properties": { "access_token": text() },
        })),
        ("Userinfo", json!({
            "type": "object", "description": "OpenID Connect Core, 5.1.", "required": ["sub"], "additionalProperties": true,
            "properties": { "sub": said("The user's id, or a name that the client's sector alone knows them by."), "preferred_username": text(), "email": text(), "email_verified": flag(), "updated_at": count() },
        })),
        ("Metadata", answer_with("RFC 8414, 2; OpenID Connect Discovery 1.0, 3. What is off is absent.", {
            let texts = || json!({ "type": "array", "items": text() });
            let encryption = ["id_token", "userinfo", "authorization", "introspection"].into_iter().flat_map(|answer| {
                ["alg", "enc"].map(|what| (format!("{answer}_encryption_{what}_values_supported"), texts()))
            });
            both(Value::Object(encryption.collect()), json!({
                "issuer": text(), "authorization_endpoint": text(), "pushed_authorization_request_endpoint": text(), "token_endpoint": text(), "userinfo_endpoint": text(), "end_session_endpoint": text(),
                "revocation_endpoint": text(), "introspection_endpoint": text(), "jwks_uri": text(),
                "grant_types_supported": texts(), "response_types_supported": texts(), "response_modes_supported": texts(),
                "scopes_supported": texts(), "subject_types_supported": texts(), "id_token_signing_alg_values_supported": texts(), "userinfo_signing_alg_values_supported": texts(),
                "authorization_signing_alg_values_supported": texts(), "introspection_signing_alg_values_supported": texts(),
                "token_endpoint_auth_methods_supported": texts(), "token_endpoint_auth_signing_alg_values_supported": texts(),
                "revocation_endpoint_auth_signing_alg_values_supported": texts(), "revocation_endpoint_auth_methods_supported": texts(),
                "introspection_endpoint_auth_methods_supported": texts(), "introspection_endpoint_auth_signing_alg_values_supported": texts(), "code_challenge_methods_supported": texts(), "dpop_signing_alg_values_supported": texts(),
                "prompt_values_supported": texts(), "acr_values_supported": texts(), "claim_types_supported": texts(), "claims_supported": texts(),
                "claims_parameter_supported": flag(), "request_parameter_supported": flag(), "request_uri_parameter_supported": flag(), "request_object_signing_alg_values_supported": texts(),
                "require_signed_request_object": flag(), "require_pushed_authorization_requests": flag(),
                "frontchannel_logout_supported": flag(), "frontchannel_logout_session_supported": flag(),
                "backchannel_logout_supported": flag(), "backchannel_logout_session_supported": flag(),
                "authorization_response_iss_parameter_supported": flag(),
            }))
        }, json!({
            "authorization_challenge_endpoint": text(), "client_id_metadata_document_supported": flag(),
            "device_authorization_endpoint": text(), "backchannel_authentication_endpoint": text(),
            "backchannel_token_delivery_modes_supported": { "type": "array", "items": text() }, "backchannel_user_code_parameter_supported": flag(),
            "registration_endpoint": said("Where clients may register themselves."), "require_request_uri_registration": flag(),
            "authorization_details_types_supported": { "type": "array", "items": text(), "description": "Those of the tenant's APIs (RFC 9396, 10)." },
            "tls_client_certificate_bound_access_tokens": flag(),
            "mtls_endpoint_aliases": { "type": "object", "additionalProperties": text(), "description": "Where clients with certificates ask (RFC 8705, 5)." },
        }))),
        ("JwkSet", answer("RFC 7517, 5.", json!({ "keys": list("Jwk") }))),
        ("Jwk", answer_with("RFC 7517, 4; RFC 7518, 6; RFC 8037, 2.", json!({
            "kty": one_of(&["EC", "RSA", "OKP"]), "use": { "const": "sig" }, "alg": reference("Alg"), "kid": text(),
        }), json!({ "crv": text(), "x": text(), "y": text(), "n": text(), "e": text() }))),
        ("Text", json!({ "type": "string", "description": "Bytes as they are." })),
        ("InclusionProof", answer("RFC 9162, 2.1.3; hashes in base64.", json!({
            "index": count(), "size": count(), "leaf_hash": text(), "hashes": { "type": "array", "items": text() },
        }))),
        ("ConsistencyProof", answer("RFC 9162, 2.1.4; hashes in base64.", json!({
            "from": count(), "to": count(), "hashes": { "type": "array", "items": text() },
        }))),
        ("Description", json!({ "type": "object", "additionalProperties": true, "description": "This very document (OpenAPI 3.1)." })),
    ]
}
