//! Clients, what they say of themselves, and tokens to register them with.

use domain::client::registration::InitialAccessToken;
use domain::encryption::{ContentEncryption, KeyManagement};
use serde_json::{Value, json};

use super::{
    Named, answer, answer_with, both, count, flag, flag_or_null, id, list, one_of, optional, page, reference, request, said, text,
    text_or_null, texts_or_null,
};

/// A client as it is shown, and `more` of it.
fn client_members(more: Value) -> Value {
    let texts = || json!({ "type": "array", "items": text() });
    let own = json!({
        "client_id": said("That of a registered client, or the address of its metadata document."), "kind": one_of(&["confidential", "public", "native", "machine"]),
        "status": one_of(&["active", "disabled"]), "disabled_at": optional("Timestamp"),
        "created_at": reference("Timestamp"), "updated_at": reference("Timestamp"), "secrets": list("ClientSecret"),
        "profile": text_or_null(), "client_name": text_or_null(), "application_type": one_of(&["web", "native"]), "redirect_uris": texts(), "resources": texts(), "may_impersonate": flag(),
        "post_logout_redirect_uris": texts(), "allowed_origins": texts(), "grant_types": texts(), "response_types": texts(), "scope": text(),
        "token_endpoint_auth_method": text(), "token_endpoint_auth_signing_alg": text_or_null(), "require_issuer_audience": flag(),
        "frontchannel_logout_uri": text_or_null(), "frontchannel_logout_session_required": flag(),
        "backchannel_logout_uri": text_or_null(), "backchannel_logout_session_required": flag(), "backchannel_token_delivery_mode": text_or_null(), "backchannel_client_notification_endpoint": text_or_null(),
        "subject_type": text(), "sector_identifier_uri": text_or_null(), "id_token_signed_response_alg": reference("Alg"), "userinfo_signed_response_alg": optional("Alg"),
        "default_max_age": { "type": ["integer", "null"], "minimum": 0 }, "require_auth_time": flag(),
        "require_pushed_authorization_requests": flag(), "require_pkce": flag(), "dpop_bound_access_tokens": flag(),
        "tls_client_certificate_bound_access_tokens": flag(),
        "request_object_signing_alg": optional("Alg"), "require_signed_request_object": flag(),
        "require_dpop_nonce": flag(), "consent": one_of(&["first_party", "third_party"]),
    });
    let answers = json!({
        "authorization_signed_response_alg": optional("Alg"), "introspection_signed_response_alg": optional("Alg"),
        "require_signed_authorization_response": flag(), "authorization_details_types": texts_or_null(), "authorization_challenge": flag(), "request_uris": texts(),
    });
    let (algs, encs) = (KeyManagement::ALL.map(KeyManagement::name), ContentEncryption::ALL.map(ContentEncryption::name));
    let answers = both(answers, encryption(&json!({ "enum": encryption_words(algs) }), &json!({ "enum": encryption_words(encs) })));
    both(both(both(own, answers), published_about_itself()), more)
}

/// Names, or nothing.
fn encryption_words(names: [&str; 4]) -> Vec<Value> {
    names.into_iter().map(Value::from).chain([Value::Null]).collect()
}

/// Which answers are encrypted to a client, and how; of these schemas.
fn encryption(alg: &Value, enc: &Value) -> Value {
    let answers = ["id_token", "userinfo", "authorization", "introspection"];
    let members = answers.into_iter().flat_map(|answer| {
        [(format!("{answer}_encrypted_response_alg"), alg.clone()), (format!("{answer}_encrypted_response_enc"), enc.clone())]
    });
    Value::Object(members.collect())
}

/// What clients say of their people and their keys, as it is shown.
fn published_about_itself() -> Value {
    json!({
        "jwks": { "type": ["object", "null"], "additionalProperties": true }, "jwks_uri": text_or_null(),
        "client_uri": text_or_null(), "logo_uri": text_or_null(), "policy_uri": text_or_null(), "tos_uri": text_or_null(),
        "contacts": { "type": "array", "items": text() }, "initiate_login_uri": text_or_null(),
        "software_id": text_or_null(), "software_version": text_or_null(),
    })
}

/// What a client says about itself, and `more`.
#[rustfmt::skip]
fn metadata_members(more: Value) -> Value {
    let own = json!({
        "client_name": text_or_null(), "application_type": { "type": ["string", "null"], "description": "`web` (default) or `native`." },
        "redirect_uris": texts_or_null(), "post_logout_redirect_uris": texts_or_null(), "grant_types": texts_or_null(), "response_types": texts_or_null(),
        "scope": text_or_null(), "token_endpoint_auth_method": text_or_null(), "subject_type": text_or_null(), "sector_identifier_uri": text_or_null(),
        "token_endpoint_auth_signing_alg": text_or_null(),
        "frontchannel_logout_uri": text_or_null(), "frontchannel_logout_session_required": flag_or_null(),
        "backchannel_logout_uri": text_or_null(), "backchannel_logout_session_required": flag_or_null(),
        "id_token_signed_response_alg": text_or_null(), "userinfo_signed_response_alg": text_or_null(), "default_max_age": { "type": ["integer", "null"], "minimum": 0 },
        "require_auth_time": flag_or_null(), "require_pushed_authorization_requests": flag_or_null(),
        "request_object_signing_alg": text_or_null(),
        "request_uris": { "type": ["array", "null"], "items": text(), "description": "Where its requests may be fetched (OpenID Connect Registration, 2)." },
        "authorization_signed_response_alg": { "type": ["string", "null"], "description": "Of answers in a signed response mode (JARM); one that the tenant has, where nothing is said." },
        "introspection_signed_response_alg": { "type": ["string", "null"], "description": "Of signed introspection (RFC 9701); one that the tenant has, where nothing is said." },
        "require_signed_request_object": { "type": ["boolean", "null"], "description": "`true` takes no request that is not signed (RFC 9101, 10.5)." },
        "dpop_bound_access_tokens": { "type": ["boolean", "null"], "description": "`true` gives no tokens without a DPoP proof (RFC 9449, 5.2)." },
        "tls_client_certificate_bound_access_tokens": { "type": ["boolean", "null"], "description": "`true` gives no tokens without a certificate, and binds them to it (RFC 8705, 3.4)." },
        "contacts": texts_or_null(),
    });
    let alg = json!({ "type": ["string", "null"], "description": "RSA-OAEP-256, ECDH-ES, ECDH-ES+A128KW or ECDH-ES+A256KW, to a key of the client's with `use` `enc`." });
    let enc = json!({ "type": ["string", "null"], "description": "A128CBC-HS256 (default), A256CBC-HS512, A128GCM or A256GCM." });
    let own = both(own, encryption(&alg, &enc));
    both(both(both(published_about_itself(), own), certificate_names(&json!(["string", "null"]))), more)
}

/// The name in the certificate of a client with `tls_client_auth`, of these types: one of them is there.
fn certificate_names(types: &Value) -> Value {
    json!({
        "tls_client_auth_subject_dn": { "type": types, "description": "RFC 8705, 2.1.2; written as RFC 4514 says." },
        "tls_client_auth_san_dns": { "type": types }, "tls_client_auth_san_uri": { "type": types },
        "tls_client_auth_san_ip": { "type": types }, "tls_client_auth_san_email": { "type": types },
    })
}

/// Members of a token with which clients may be registered, and `more`.
fn initial_token(more: Value) -> Value {
    let own = json!({
        "id": reference("InitialAccessTokenId"), "name": text_or_null(), "uses_left": count(),
        "created_at": reference("Timestamp"), "expires_at": reference("Timestamp"),
    });
    both(own, more)
}

#[rustfmt::skip]
pub(super) fn schemas() -> Named {
    let ours = json!({
        "allowed_origins": { "type": ["array", "null"], "items": text(), "description": "Origins of its pages besides those of its redirect URIs: their scripts may read answers." },
        "profile": { "type": ["string", "null"], "description": "`fapi2` switches together what the FAPI 2.0 Security Profile demands; `fapi2_message_signing` has requests and their answers signed as well." },
        "require_signed_authorization_response": { "type": ["boolean", "null"], "description": "`true` answers authorization requests by signed answers alone (JARM)." },
        "require_dpop_nonce": { "type": ["boolean", "null"], "description": "`true` takes no DPoP proof without a nonce of ours (RFC 9449, 8)." },
        "require_issuer_audience": { "type": ["boolean", "null"], "description": "`true` takes no assertion that is meant for the token endpoint." },
        "backchannel_token_delivery_mode": { "type": ["string", "null"], "description": "`poll` or `ping`, together with the grant `urn:openid:params:grant-type:ciba` (OpenID CIBA Core 1.0)." },
        "backchannel_client_notification_endpoint": { "type": ["string", "null"], "description": "Where a client with `ping` is told of answers." },
        "require_pkce": { "type": ["boolean", "null"], "description": "`false` lets a confidential client do without PKCE." },
        "authorization_challenge": { "type": ["boolean", "null"], "description": "`true` lets an application of the tenant hand over what users type into it (OAuth 2.0 for First-Party Applications)." },
        "may_impersonate": { "type": ["boolean", "null"], "description": "`true` lets it exchange tokens of other clients without an actor token (RFC 8693, 1.1)." },
        "resources": { "type": ["array", "null"], "items": text(), "description": "The APIs that it may have tokens for, by their identifiers (RFC 8707)." },
        "authorization_details_types": { "type": ["array", "null"], "items": text(), "description": "The types of authorization details that it may ask for, of those of its APIs (RFC 9396, 10); null: all of them." },
        "consent": { "type": ["string", "null"], "description": "`third_party` (default): its users are asked; `first_party`: the tenant has decided." },
    });
    vec![
        ("Client", answer_with("A client of a tenant, with the names of RFC 7591.", client_members(json!({})), both(certificate_names(&json!("string")), json!({
            "warnings": { "type": "array", "items": answer("Something that it is registered for in vain.", json!({ "member": text(), "detail": text() })), "description": "Where one client alone is asked for: what its tenant does not offer any more." },
        })))),
        ("NewClient", answer_with("A client that was just registered.", client_members(json!({ "client_secret": text_or_null() })), certificate_names(&json!("string")))),
        ("ClientPage", page("Client")),
        ("ClientSecret", answer("A secret, without itself.", json!({
            "id": reference("ClientSecretId"), "created_at": reference("Timestamp"), "expires_at": optional("Timestamp"),
        }))),
        ("NewClientSecret", answer("A secret that was just made.", json!({
            "id": reference("ClientSecretId"), "created_at": reference("Timestamp"), "expires_at": optional("Timestamp"), "client_secret": text(),
        }))),
        ("ClientSecretCreation", request("Left out for a secret that does not expire.", &[], json!({ "expires_at": optional("Timestamp") }))),
        ("ClientMetadata", request("RFC 7591, 2; OpenID Connect Registration, 2. What is left out gets its default.", &[], metadata_members(ours))),
        ("Registering", json!({
            "type": "object", "additionalProperties": true, "properties": metadata_members(json!({
                "client_id": said("That of the client; only where it changes itself."), "client_secret": said("That of the client; only where it changes itself."),
            })),
            "description": "RFC 7591, 2; OpenID Connect Registration, 2. Other members are ignored; `software_statement` is refused.",
        })),
        ("Registration", answer_with("A client as it is shown to itself (RFC 7591, 3.2.1). What is not set is left out.", json!({
            "client_id": reference("ClientId"), "client_id_issued_at": count(), "registration_client_uri": text(),
            "registration_access_token": said("With which the client looks at itself, changes itself and removes itself."),
        }), metadata_members(json!({
            "client_secret": said("Where it is new."), "client_secret_expires_at": { "type": "integer", "minimum": 0, "description": "Seconds since the epoch; 0 = never." },
            "require_issuer_audience": flag(), "require_pkce": flag(), "consent": text(), "require_dpop_nonce": flag(), "require_signed_authorization_response": flag(), "profile": text(), "backchannel_token_delivery_mode": text(), "backchannel_client_notification_endpoint": text(),
            "allowed_origins": { "type": "array", "items": text() }, "may_impersonate": flag(), "resources": { "type": "array", "items": text() }, "authorization_details_types": { "type": "array", "items": text() }, "authorization_challenge": flag(),
        })))),
        ("InitialAccessTokenId", id("iat", "Names a token with which clients may be registered.")),
        ("InitialAccessToken", answer("A token with which clients may be registered, without itself.", initial_token(json!({})))),
        ("NewInitialAccessToken", answer("A token that was just made.", initial_token(json!({ "token": said("Shown this once; `Authorization: Bearer …` of a registration.") })))),
        ("InitialAccessTokenPage", page("InitialAccessToken")),
        ("InitialAccessTokenCreation", request("For one client, within a day, where nothing is said.", &[], json!({
            "name": text_or_null(), "uses": { "type": ["integer", "null"], "minimum": 1, "maximum": InitialAccessToken::MOST_USES }, "expires_at": optional("Timestamp"),
        }))),
    ]
}
