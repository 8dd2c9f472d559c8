//! The words on the wire, as JSON Schema 2020-12.
//!
//! An object says which members there are. Those of answers are all there unless it says otherwise (`required`); the
//! end-to-end tests take every member that is not named here for a mistake.

use domain::claim_rules::ClaimRules;
use domain::client::GrantType;
use domain::client::registration::InitialAccessToken;
use domain::encryption::{ContentEncryption, KeyManagement};
use domain::keys::ring::Alg;
use serde_json::{Map, Value, json};

/// Points at one of [`schemas`].
pub(super) fn reference(name: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{name}") })
}

/// An object of an answer: these members, all of them always.
fn answer(description: &str, members: Value) -> Value {
    let names: Vec<_> = members.as_object().map(|members| members.keys().cloned().collect()).unwrap_or_default();
    json!({ "type": "object", "description": description, "required": names, "properties": members })
}

/// An object of an answer of whose members some may be absent.
fn answer_with(description: &str, members: Value, optional: Value) -> Value {
    let mut object = answer(description, members);
    if let (Some(members), Value::Object(optional)) = (object["properties"].as_object_mut(), optional) {
        members.extend(optional);
    }
    object
}

/// An object of a request: other members are refused.
fn request(description: &str, required: &[&str], members: Value) -> Value {
    json!({ "type": "object", "description": description, "required": required, "properties": members, "additionalProperties": false })
}

fn text() -> Value {
    json!({ "type": "string" })
}

fn said(description: &str) -> Value {
    json!({ "type": "string", "description": description })
}

fn optional(schema: &str) -> Value {
    json!({ "anyOf": [reference(schema), { "type": "null" }] })
}

fn text_or_null() -> Value {
    json!({ "type": ["string", "null"] })
}

fn one_of(words: &[&str]) -> Value {
    json!({ "type": "string", "enum": words })
}

fn list(schema: &str) -> Value {
    json!({ "type": "array", "items": reference(schema) })
}

fn page(of: &str) -> Value {
    answer(
        "One page of a list.",
        json!({ "items": list(of), "next": { "type": ["string", "null"], "description": "What `after` takes for the next page; null on the last." } }),
    )
}

fn id(prefix: &str, what: &str) -> Value {
    json!({ "type": "string", "description": what, "pattern": format!("^{prefix}_[0-9a-hjkmnp-tv-z]{{26}}$") })
}

/// Seconds from `least` to `most`.
fn seconds(least: u32, most: u32, description: &str) -> Value {
    json!({ "type": "integer", "minimum": least, "maximum": most, "description": description })
}

fn flag() -> Value {
    json!({ "type": "boolean" })
}

fn count() -> Value {
    json!({ "type": "integer", "minimum": 0 })
}

/// The members of a tenant's branding, whose nested objects are made by `object`.
fn branding_members(object: impl Fn(&str, Value) -> Value) -> Value {
    let or_null = |description: &str| json!({ "type": ["string", "null"], "description": description });
    let tags = domain::language::Language::ALL.map(domain::language::Language::tag);
    let words = object(
        "The tenant's own words.",
        json!({ "login_title": or_null("1 to 100 characters."), "login_help": or_null("1 to 500 characters of plain text.") }),
    );
    let by_language: Map<_, _> = tags.map(|tag| (tag.to_owned(), words.clone())).into_iter().collect();
    json!({
        "display_name": or_null("The name people know; the tenant's own where null."),
        "accent": said("`#rrggbb`: buttons, links and the focus ring; at least 3:1 against white."),
        "background": or_null("`#rrggbb`: behind the card, by day."),
        "corners": one_of(&["square", "soft", "round"]),
        "default_language": one_of(&tags),
        "texts": request("By language.", &[], by_language.into()),
        "support_email": or_null("An address."),
        "terms": or_null("An https address."),
        "privacy": or_null("An https address."),
    })
}

/// The members of a tenant's policy, whose nested objects are made by `object`.
fn policy_members(object: impl Fn(&str, Value) -> Value) -> Value {
    const DAY: u32 = 86_400;
    json!({
        "access_ttl_seconds": seconds(60, 3_600, "Life of an access token."),
        "refresh_idle_ttl_seconds": seconds(300, 400 * DAY, "A session ends when it was not refreshed for this long."),
        "refresh_absolute_ttl_seconds": seconds(300, 400 * DAY, "A session ends after this long whatever happens."),
        "retry_window_seconds": seconds(0, 60, "How long a refresh token that was just used may be presented again; 0 = strict."),
        "device_authorization": { "type": "boolean", "description": "Whether devices without a browser may be signed in by a code (RFC 8628)." },
        "jwt_bearer": { "type": "boolean", "description": "Whether clients may exchange what trusted issuers say of users for access tokens (RFC 7523, 2.1)." },
        "backchannel_authentication": { "type": "boolean", "description": "Whether clients may ask users whose browser they have not got (OpenID CIBA Core 1.0)." },
        "authorization_challenge": { "type": "boolean", "description": "Whether applications of the tenant may hand over what users type into them (OAuth 2.0 for First-Party Applications)." },
        "token_exchange": { "type": "boolean", "description": "Whether clients may exchange tokens (RFC 8693) that are registered for it." },
        "audience": { "type": ["string", "null"], "description": "The audience of access tokens besides the issuer itself." },
        "claims": object("Which facts about the user go into access tokens, and which claims the tenant makes itself.", json!({
            "roles": flag(), "username": flag(), "email": flag(),
            "custom": { "type": "boolean", "description": "All of the user's own claims; `false`: what rules take of them." },
            "rules": { "type": "array", "items": reference("ClaimRule"), "maxItems": ClaimRules::MOST, "description": "As `PUT …/claims` takes them." },
        })),
        "require_dpop_nonce": { "type": "boolean", "description": "Whether DPoP proofs need a nonce of ours (RFC 9449, 8)." },
        "password": object("Rules for new passwords.", json!({ "min_length": { "type": "integer", "minimum": 15, "maximum": 64 } })),
        "argon2": object("How hard a password is hashed.", json!({ "memory_kib": count(), "iterations": count(), "parallelism": count() })),
        "weak_password_hashes": { "type": "string", "enum": ["rehash", "must_change"], "description": "What becomes of a right password whose hash is weak, as those of other systems may be." },
        "registration": object("Who registers clients by themselves (RFC 7591).", json!({
            "access": one_of(&["off", "initial_access_token", "open"]),
            "require_pkce": { "type": "boolean", "description": "`false` lets clients do without PKCE that can prove who they are." },
        })),
        "client_id_metadata_documents": object("Which clients are taken whose id is the address of a metadata document of theirs.", json!({
            "access": one_of(&["off", "listed", "open"]),
            "hosts": { "type": "array", "items": text(), "description": "Whose clients are taken where `access` is `listed`." },
        })),
    })
}

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
        "require_signed_authorization_response": flag(), "authorization_details_types": texts_or_null(), "authorization_challenge": flag(),
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

/// The members of both.
fn both(mut one: Value, other: Value) -> Value {
    if let (Some(members), Value::Object(other)) = (one.as_object_mut(), other) {
        members.extend(other);
    }
    one
}

fn texts_or_null() -> Value {
    json!({ "type": ["array", "null"], "items": text() })
}

fn flag_or_null() -> Value {
    json!({ "type": ["boolean", "null"] })
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

/// What a tenant says about one of its APIs.
fn resource_members() -> Value {
    json!({
        "identifier": said("What tokens call it in `aud`: an absolute URI without fragment, of at most 512 characters. Never changes."),
        "name": said("What users are shown."),
        "scope": said("The scope words that are about it, separated by spaces. No other API of the tenant has any of them."),
        "access_ttl_seconds": { "type": ["integer", "null"], "minimum": 60, "maximum": 3_600, "description": "Its tokens live at most this long; null: as the tenant's policy says." },
        "signing_alg": { "anyOf": [reference("Alg"), { "type": "null" }], "description": "Its tokens are signed by this; null: as the key policy says." },
        "must_be_named": { "type": "boolean", "description": "`true`: there is a token for it to whoever names it alone; `false`: to ask for one of its scopes will do." },
        "permissions": {
            "type": "object", "additionalProperties": { "type": "array", "items": text() },
            "description": "By role: what a user who has it may do there. It is in `permissions` of tokens for this API alone.",
        },
        "authorization_details_types": {
            "type": "object", "additionalProperties": reference("DetailType"),
            "description": "By type: what clients may ask for there in detail (RFC 9396). No other API of the tenant has any of them.",
        },
        "servers": { "type": "array", "items": text(), "description": "Clients that this API is when it asks something itself: they may introspect tokens that are for it, and exchange them." },
    })
}

/// A member that authorization details may have, of kind text or `others`, and `more`.
fn detail_member(others: &str, more: &Value) -> Value {
    let own = json!({
        "kind": said(&format!("text, {others}.")), "required": { "type": "boolean", "default": false },
        "max_length": { "type": "integer", "minimum": 1, "maximum": 256, "description": "Of a text, and of each in a list: characters; 128 where nothing is said." },
        "max_items": { "type": "integer", "minimum": 1, "maximum": 20, "description": "Of a list; 10 where nothing is said." },
        "one_of": { "type": "array", "items": text(), "maxItems": 50, "description": "What a text, or each in a list, may be." },
        "min": { "type": "integer", "description": "Of an integer." }, "max": { "type": "integer", "description": "Of an integer or a decimal." },
    });
    request("A member of authorization details.", &["kind"], both(own, more.clone()))
}

/// What a tenant says about an issuer that it trusts.
fn trusted_issuer_members() -> Value {
    json!({
        "issuer": said("Its `iss`, byte for byte. Never changes."),
        "signing_algs": { "type": "array", "items": reference("Alg"), "description": "The algorithms that it may sign by." },
        "subject_is": { "type": "string", "enum": ["user_id", "email", "username"], "description": "What its `sub` says. An address counts when it is known to be the user's." },
        "subjects": { "type": "array", "items": text(), "description": "The subjects that it may speak of; all users when this is empty." },
        "scope": said("What tokens for its assertions may have at most, separated by spaces."),
        "clients": { "type": "array", "items": reference("ClientId"), "description": "Who may bring its assertions: 1 to 50." },
    })
}

/// Where an issuer's keys are: one of the two.
fn trusted_issuer_keys(null: bool) -> Value {
    let or_null = |kind: &str| if null { json!([kind, "null"]) } else { json!(kind) };
    json!({
        "jwks": { "type": or_null("object"), "description": "Its keys (RFC 7517, 5)." },
        "jwks_uri": { "type": or_null("string"), "description": "Where it shows its keys." },
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

fn rotation_members() -> Value {
    json!({
        "algs": { "type": "array", "items": reference("Alg"), "description": "Algorithms that the ring keeps a signing key for." },
        "access_token_alg": reference("Alg"),
        "rotate_every_seconds": { "type": ["integer", "null"], "minimum": 0, "description": "null = only by hand" },
        "lead_seconds": seconds(0, u32::MAX, "How long a key is published before it signs."),
        "overlap_seconds": seconds(0, u32::MAX, "How long a key stays published after it signed last."),
        "jwks_max_age_seconds": seconds(0, u32::MAX, "How long a verifier may keep a JWKS."),
        "token_ttl_cap_seconds": seconds(0, u32::MAX, "The longest life of a token that these keys may sign."),
    })
}

/// Every code of a problem; docs/src/errors.md says when each comes and what to do.
#[rustfmt::skip]
const PROBLEMS: &[&str] = &[
    "bad_request", "no_token", "invalid_token", "bad_credentials", "insufficient_scope", "csrf", "not_found", "method_not_allowed",
    "too_slow", "slug_taken", "name_taken", "not_confirmed", "already_staged", "too_early", "too_many_keys", "too_many_token_secrets", "already_ended",
    "too_large", "unsupported_media_type", "policy_refused", "unsafe_policy", "unknown_alg", "password_refused", "password_change_required", "too_many_attempts",
    "too_many_requests",
    "head_too_large", "unknown_host", "domain_taken", "domain_refused", "internal", "unavailable", "upgrade_under_way", "busy", "took_too_long", "invalid_redirect_uri", "invalid_client_metadata", "too_many_secrets",
    "takes_no_secret", "invalid_dpop_proof", "use_dpop_nonce", "identifier_taken", "resource_refused", "too_many_resources",
    "issuer_taken", "trusted_issuer_refused", "too_many_trusted_issuers", "claim_rule_refused",
];

#[rustfmt::skip]
const OAUTH_ERRORS: &[&str] = &[
    "invalid_request", "invalid_client", "invalid_token", "insufficient_scope", "invalid_grant", "invalid_scope", "invalid_target", "invalid_authorization_details", "invalid_dpop_proof",
    "use_dpop_nonce",
    "unauthorized_client", "unsupported_grant_type", "unsupported_response_type", "unsupported_token_type", "request_not_supported",
    "invalid_request_object", "unknown_user_id", "invalid_binding_message", "authorization_pending", "access_denied", "expired_token",
    "invalid_redirect_uri", "invalid_client_metadata", "unapproved_software_statement",
    "insufficient_authorization", "invalid_session", "redirect_to_web", "login_required", "request_uri_not_supported",
    "registration_not_supported", "unmet_authentication_requirements", "slow_down", "too_many_requests", "temporarily_unavailable", "server_error",
];

#[rustfmt::skip]
pub(super) fn schemas() -> Value {
    let algs: Vec<_> = Alg::ALL.iter().map(|alg| alg.name()).collect();
    let ring = json!({
        "generation": count(),
        "signing_kid": text_or_null(),
        "keys": list("Key"),
        "jwks_max_age_seconds": count(),
        "token_secrets": list("TokenSecret"),
        "next_planned_change_at": optional("Timestamp"),
        "earliest_sign_from": reference("Timestamp"),
        "planned_sign_from": reference("Timestamp"),
        "policy": reference("RotationPolicy"),
    });
    // What is known of a verifier; and what it has to expect of a change.
    let seen = |more: Value| {
        let mut members = json!({
            "verifier": said("`label:…`, `hash:…` (a keyed hash of its user agent and the network it comes from) or `others`."),
            "label": text_or_null(), "first_seen": reference("Timestamp"), "last_seen": reference("Timestamp"),
            "generation": { "type": "integer", "minimum": 0, "description": "The generation of the ring that it got last." },
            "max_age_seconds": count(), "fetches": count(),
        });
        if let (Some(members), Value::Object(more)) = (members.as_object_mut(), more) {
            members.extend(more);
        }
        members
    };
    let outlook = |more: Value| {
        let mut members = seen(json!({
            "outcome": { "type": "string", "enum": ["safe", "may_fail_until", "trusts_revoked_until", "fails_from"] },
        }));
        if let (Some(members), Value::Object(more)) = (members.as_object_mut(), more) {
            members.extend(more);
        }
        answer_with("A verifier, and what it has to expect.", members, json!({ "until": reference("Timestamp"), "from": reference("Timestamp") }))
    };
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
    let millis = || json!({ "type": "number", "minimum": 0 });
    let wanted: Map<String, Value> = [
        ("Timestamp", json!({ "type": "string", "format": "date-time", "description": "A moment in UTC (RFC 3339)." })),
        ("TenantId", id("ten", "Names a tenant.")),
        ("UserId", id("usr", "Names a user of a tenant; the `sub` of its tokens.")),
        ("ClientId", id("cli", "Names a registered client.")),
        ("ClientSecretId", id("sec", "Names a secret of a client.")),
        ("SessionId", id("ses", "Names a session; the `sid` of its tokens.")),
        ("EventId", id("evt", "Names an entry of the audit log.")),
        ("Alg", json!({ "type": "string", "enum": algs, "description": "A JWS algorithm (RFC 7518, RFC 8037)." })),
        ("Slug", said("1 to 63 of `a-z`, `0-9` and `-`, not beginning or ending with `-`.")),
        ("Roles", json!({ "type": "array", "items": text(), "maxItems": 64, "description": "Names of roles." })),
        ("Claims", json!({ "type": "object", "additionalProperties": true, "description": "Claims of the tenant's own making that go into the user's tokens: at most 32 members, 4 KiB, depth 4; no registered names." })),

        ("Problem", answer_with("An error (RFC 9457). `code` does not change; texts may.", json!({
            "type": text(), "title": text(), "status": { "type": "integer" }, "code": one_of(PROBLEMS), "detail": text(),
        }), json!({
            "earliest": reference("Timestamp"),
            "suggestions": { "type": "array", "items": text() },
            "member": said("The member that is wrong."),
            "issuer": said("The tenant's issuer."),
            "next_issuer": said("What it would be."),
            "breaks": { "type": "array", "items": text() },
            "clients": { "type": "array", "items": answer("A client that would lack something.", json!({ "client_id": text(), "client_name": text_or_null() })), "maxItems": 10 },
            "more_clients": { "type": "integer", "minimum": 0, "description": "How many there are besides; nobody counts beyond a thousand." },
            "apis": { "type": "array", "items": text(), "description": "APIs whose tokens could not be signed any more." },
        }))),
        ("OAuthError", answer_with("An error of the OAuth endpoints (RFC 6749, 5.2).", json!({
            "error": one_of(OAUTH_ERRORS), "error_description": text(),
        }), json!({
            "auth_session": said("Of an authorization challenge: what its next step brings along."), "step": one_of(&["password", "new_password"]),
            "request_uri": said("With `redirect_to_web`, where a browser can go on with the same request."), "expires_in": count(),
        }))),

        ("Login", request("A name and a password.", &["username", "password"], json!({
            "username": said("A username or an e-mail address."),
            "password": text(),
            "new_password": { "type": ["string", "null"], "description": "In place of a password that has to be changed (`password_change_required`)." },
            "scope": text_or_null(),
            "session": { "type": "string", "enum": ["body", "cookie"], "default": "body", "description": "Where the refresh token comes: in the body, or in an httpOnly cookie." },
        }))),
        ("Logout", request("Left out by a cookie session.", &[], json!({ "refresh_token": text_or_null() }))),
        ("TokenRequest", json!({
            "type": "object", "description": "RFC 6749, 4.1.3, 4.4.2, 6. Other parameters are ignored; none may come twice.",
            "required": ["grant_type"], "additionalProperties": true,
            "properties": {
                "grant_type": one_of(&GrantType::ALL.map(GrantType::name)),
                "client_id": said("Left out by a client that authenticates by header."), "client_secret": text(),
                "code": text(), "redirect_uri": said("That of the authorization request."), "code_verifier": said("RFC 7636, 4.5."),
                "device_code": said("RFC 8628, 3.4."), "auth_req_id": said("OpenID CIBA Core 1.0, 10.1."), "assertion": said("RFC 7523, 2.1."),
                "subject_token": said("RFC 8693, 2.1."), "subject_token_type": text(), "actor_token": text(), "actor_token_type": text(), "requested_token_type": text(),
                "resource": said("An API that the token is to be for; may come several times (RFC 8707, 2)."), "audience": said("The same, in an exchange."),
                "refresh_token": said("Left out by a cookie session."), "scope": said("Less than the session or the client has, or left out."),
                "authorization_details": said("JSON: less than was granted (RFC 9396, 6), or left out."),
            },
        })),
        ("PushedAuthorizationRequest", json!({
            "type": "object", "description": "RFC 9126, 2.1: the parameters of an authorization request, with the client's proof of itself.",
            "required": ["redirect_uri", "response_type"], "additionalProperties": true,
            "properties": {
                "client_id": text(), "client_secret": text(), "redirect_uri": text(), "response_type": text(), "scope": text(), "state": text(),
                "code_challenge": text(), "code_challenge_method": text(), "nonce": text(), "dpop_jkt": said("RFC 9449, 10."),
                "authorization_details": said("JSON: RFC 9396, 2."),
            },
        })),
        ("AuthorizationChallengeRequest", json!({
            "type": "object", "description": "OAuth 2.0 for First-Party Applications, 5.1: the parameters of an authorization request, or the `auth_session` of the step before; with the client's proof of itself.",
            "additionalProperties": true,
            "properties": {
                "client_id": text(), "client_secret": text(), "response_type": text(), "scope": text(), "resource": text(), "code_challenge": text(), "code_challenge_method": text(),
                "login_hint": text(), "nonce": text(), "dpop_jkt": text(), "redirect_uri": said("Only for `redirect_to_web`; then named again with the code."),
                "auth_session": text(), "username": said("A username or an e-mail address; `login_hint` where it is missing."), "password": text(),
                "new_password": said("In place of a password that has to be changed."),
            },
        })),
        ("AuthorizationChallenge", answer("OAuth 2.0 for First-Party Applications, 5.2.1.", json!({ "authorization_code": text() }))),
        ("BackchannelAuthenticationRequest", json!({
            "type": "object", "description": "OpenID CIBA Core 1.0, 7.1, with the client's proof of itself. Other parameters are ignored; none may come twice.",
            "required": ["scope"], "additionalProperties": true,
            "properties": {
                "scope": said("With `openid`."), "login_hint": said("A username, an address that is known to be the user's, or their `sub`."),
                "id_token_hint": said("An ID token of this client."), "binding_message": said("1 to 128 characters on one line, for the user to compare."),
                "requested_expiry": said("Seconds; taken within 30 seconds and 30 minutes."), "client_notification_token": said("What a client with `ping` is told with."), "client_id": text(), "client_secret": text(),
            },
        })),
        ("BackchannelAuthentication", answer("OpenID CIBA Core 1.0, 7.3.", json!({ "auth_req_id": text(), "expires_in": count(), "interval": count() }))),
        ("DeviceAuthorization", answer("RFC 8628, 3.2.", json!({
            "device_code": text(), "user_code": text(), "verification_uri": text(), "verification_uri_complete": text(), "expires_in": count(), "interval": count(),
        }))),
        ("DeviceAuthorizationRequest", json!({
            "type": "object", "description": "RFC 8628, 3.1, with what the client proves itself by.", "additionalProperties": true,
            "properties": { "client_id": text(), "scope": text() },
        })),
        ("DeviceCodeEntry", json!({
            "type": "object", "description": "What our page posts.", "required": ["csrf_token", "user_code"], "additionalProperties": true,
            "properties": { "csrf_token": text(), "user_code": text() },
        })),
        ("PushedRequest", answer("RFC 9126, 2.2.", json!({ "request_uri": text(), "expires_in": count() }))),
        ("RevocationRequest", json!({
            "type": "object", "description": "RFC 7009, 2.1.", "required": ["token"], "additionalProperties": true,
            "properties": {
                "token": text(), "token_type_hint": text(),
                "client_id": text(), "client_secret": text(), "client_assertion_type": text(), "client_assertion": text(),
            },
        })),
        ("IntrospectionRequest", json!({
            "type": "object", "description": "RFC 7662, 2.1.", "required": ["token"], "additionalProperties": true,
            "properties": {
                "token": text(), "token_type_hint": text(),
                "client_id": text(), "client_secret": text(), "client_assertion_type": text(), "client_assertion": text(),
            },
        })),
        ("Tokens", answer_with("RFC 6749, 5.1.", json!({
            "access_token": text(), "token_type": one_of(&["Bearer", "DPoP"]), "expires_in": count(), "scope": text(),
        }), json!({
            "refresh_token": said("Replaced at each use. Absent in a cookie session, and for clients that may not refresh."),
            "id_token": said("Where `openid` was granted (OpenID Connect Core, 2)."),
            "issued_token_type": said("Of an exchange: the type of the access token (RFC 8693, 2.2.1)."),
            "csrf_token": said("What `X-CSRF-Token` takes. Only in a cookie session."),
            "authorization_details": reference("AuthorizationDetails"),
        }))),
        ("Introspection", json!({
            "type": "object", "description": "RFC 7662, 2.2: only `active` for a token that is not alive, whatever the reason; else its claims, the tenant's own among them.",
            "required": ["active"], "additionalProperties": true,
            "properties": {
                "active": flag(), "iss": text(), "sub": said("A user, or the client itself."), "sid": reference("SessionId"), "client_id": text(), "scope": text(),
                "exp": { "type": "integer" }, "iat": { "type": "integer" }, "cnf": { "type": "object", "description": "The key or the certificate that a token is bound to (RFC 9449, 6.1; RFC 8705, 3.1).", "properties": { "jkt": text(), "x5t#S256": text() } }, "token_type": one_of(&["Bearer", "DPoP"]),
                "authorization_details": reference("AuthorizationDetails"),
            },
        })),
        ("AuthorizationDetails", json!({
            "type": "array", "description": "What was granted in detail (RFC 9396, 7, 9). Absent where nothing was.",
            "items": { "type": "object", "required": ["type"], "properties": { "type": text() }, "additionalProperties": true },
        })),
        ("Me", answer("Who is signed in.", json!({
            "sub": reference("UserId"), "username": text_or_null(), "email": text_or_null(), "roles": reference("Roles"),
            "session_id": reference("SessionId"), "auth_time": { "type": "integer", "description": "When they last proved who they are, in seconds since the Unix epoch." },
        }))),
        ("Page", json!({ "type": "string", "description": "A page for people." })),
        ("AuthorizationRequest", json!({
            "type": "object", "description": "RFC 6749, 4.1.1; OpenID Connect Core, 3.1.2.1. Other parameters are ignored; none may come twice.",
            "required": ["client_id", "redirect_uri", "response_type"], "additionalProperties": true,
            "properties": { "client_id": text(), "redirect_uri": text(), "response_type": { "const": "code" }, "scope": text(), "state": text() },
        })),
        ("SignIn", json!({
            "type": "object", "description": "What our login page posts.", "required": ["csrf_token"], "additionalProperties": true,
            "properties": { "csrf_token": text(), "identifier": text(), "password": text(), "cancel": text() },
        })),
        ("Decision", json!({
            "type": "object", "description": "What our consent page posts.", "required": ["csrf_token", "decision"], "additionalProperties": true,
            "properties": { "csrf_token": text(), "decision": one_of(&["allow", "deny"]), "session": text() },
        })),
        ("AccountChoice", json!({
            "type": "object", "description": "What our page of accounts posts: the name of a session, or an empty `account` for another one.", "required": ["csrf_token"], "additionalProperties": true,
            "properties": { "csrf_token": text(), "account": text(), "sign_out": text() },
        })),
        ("AccountForm", json!({
            "type": "object", "description": "What a form of the account page posts.", "required": ["csrf_token"], "additionalProperties": true,
            "properties": {
                "csrf_token": text(), "display_name": text(), "email": text(), "session": text(), "application": text(),
                "current_password": text(), "new_password": text(), "repeat_password": text(),
            },
        })),
        ("LinkForm", json!({
            "type": "object", "description": "What a page that a link opens posts.", "additionalProperties": true, "properties": { "csrf_token": text() },
        })),
        ("ForgottenPassword", json!({
            "type": "object", "description": "What the page for forgotten passwords posts.", "required": ["csrf_token", "identifier"], "additionalProperties": true,
            "properties": { "csrf_token": text(), "identifier": text() },
        })),
        ("ChosenPassword", json!({
            "type": "object", "description": "What the page that a link opens posts.", "required": ["new_password", "repeat_password"], "additionalProperties": true,
            "properties": { "new_password": text(), "repeat_password": text() },
        })),
        ("AccountExport", json!({
            "type": "object", "description": "What is stored about a user.", "required": ["sub", "sessions", "applications"], "additionalProperties": true,
            "properties": { "sub": reference("UserId"), "issuer": text(), "sessions": { "type": "array" }, "applications": { "type": "array" } },
        })),
        ("EndSession", json!({
            "type": "object", "description": "OpenID Connect RP-Initiated Logout 1.0, 2.", "additionalProperties": true,
            "properties": { "id_token_hint": text(), "client_id": text(), "post_logout_redirect_uri": text(), "state": text() },
        })),
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
            "registration_endpoint": said("Where clients may register themselves."),
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

        ("Session", answer("A login that lives on by refreshing.", json!({
            "id": reference("SessionId"), "client_id": text(), "scope": text(), "binding": one_of(&["bearer", "cookie"]),
            "created_at": reference("Timestamp"), "last_refreshed_at": reference("Timestamp"), "expires_at": reference("Timestamp"),
            "user_agent": text_or_null(), "source": text_or_null(), "is_current": flag(),
        }))),
        ("Sessions", answer("All living sessions of one user.", json!({ "items": list("Session") }))),
        ("SessionsEnded", answer("How many sessions were ended.", json!({ "ended": count() }))),

        ("Tenant", answer("A tenant.", json!({
            "id": reference("TenantId"), "slug": reference("Slug"), "name": text(), "issuer": text(), "domain": text_or_null(), "status": one_of(&["active", "suspended"]),
            "suspended_at": optional("Timestamp"), "policy": reference("TenantPolicy"),
            "created_at": reference("Timestamp"), "updated_at": reference("Timestamp"),
        }))),
        ("TenantPage", page("Tenant")),
        ("DomainChange", request("A host of the tenant's own.", &["domain"], json!({
            "domain": said("A host name in lower case, other letters than `a-z` as `xn--…`; it must lead here, with a certificate for it."),
            "confirm": { "type": ["string", "null"], "description": "The tenant's slug, where it has sessions or clients: they know the issuer before." },
        }))),
        ("Appearance", answer("How a tenant's pages look.", json!({
            "branding": answer("What the tenant decided.", branding_members(answer)), "logo_url": text_or_null(),
        }))),
        ("BrandingChange", request("All of it: what is left out gets its default.", &[],
            branding_members(|description, members| request(description, &[], members)))),
        ("ClaimRule", request("One claim that the tenant makes itself.", &["claim", "from", "into"], json!({
            "claim": said("1 to 128 printable ASCII characters; no name that Claviger, clients or APIs decide by."),
            "from": request("One of these.", &[], json!({
                "attribute": said("What is known of the user under this name: `username`, `email`, `email_verified`, `updated_at`, or a claim of their own."),
                "constant": { "description": "The same for everybody: anything but null, at most 1 KiB." },
                "roles": { "const": true, "description": "The names of the user's roles." },
                "permissions": { "const": true, "description": "What the user may do at the one API that the access token is for." },
                "template": said("Attributes in braces: `{given_name} {family_name}`. Where one is missing, there is no claim."),
            })),
            "into": { "type": "array", "items": one_of(&["access_token", "id_token", "userinfo"]) },
            "when": request("All that has to hold; always, where nothing is said.", &[], json!({
                "scope": { "type": ["string", "null"], "description": "Words that were granted, all of them." },
                "audience": { "type": ["string", "null"], "description": "Whom the access token is for, maybe among others." },
                "client": { "type": ["string", "null"], "description": "The client. Such a rule stands in the place of the one for all clients." },
            })),
        }))),
        ("ClaimRules", answer("All claims that the tenant makes itself.", json!({ "rules": list("ClaimRule") }))),
        ("ClaimRulesChange", request("All of them: what is left out is gone.", &["rules"], json!({
            "rules": { "type": "array", "items": reference("ClaimRule"), "maxItems": ClaimRules::MOST },
        }))),
        ("ClaimsPreviewRequest", request("Somebody of whom something would be told, and to whom.", &["client"], json!({
            "user": { "anyOf": [reference("UserId"), { "type": "null" }], "description": "Left out for a client that acts for itself." },
            "client": text(), "scope": said("What would be granted, as far as the client may have it."),
            "audience": { "type": "array", "items": text(), "description": "APIs that would be named as `resource`." },
            "claims": { "type": ["object", "null"], "additionalProperties": true, "description": "The `claims` parameter (OpenID Connect Core, 5.5)." },
            "rules": { "type": ["array", "null"], "items": reference("ClaimRule"), "description": "Rules that are not saved; left out: those of the tenant." },
        }))),
        ("ClaimsPreview", {
            let names = || json!({ "type": "array", "items": text() });
            let claims = || json!({ "type": ["object", "null"], "additionalProperties": true, "description": "null: there would be none." });
            answer("What would be told if it were issued now. What is new with each token (`jti`, `sid`, times) is an example.", json!({
                "access_token": { "type": "object", "additionalProperties": true }, "id_token": claims(), "userinfo": claims(),
                "left_out": answer("Claims that there was no room for.", json!({ "access_token": names(), "id_token": names(), "userinfo": names() })),
            }))
        }),
        ("Deletion", answer("What is left of a deleted tenant.", json!({
            "tenant_id": reference("TenantId"),
            "certificate": said("A JWS (RFC 7515) by the installation's own key: which tenant, when, and what was destroyed."),
        }))),
        ("TenantPolicy", answer("What a tenant decides for itself.", policy_members(answer))),
        ("TenantCreation", request("A new tenant.", &["slug", "name"], json!({
            "slug": reference("Slug"), "name": said("1 to 100 characters."), "policy": reference("TenantPolicyChange"),
            "key_policy": { "anyOf": [reference("RotationPolicyChange"), { "type": "null" }], "description": "By what its keys rotate; left out: by the default policy." },
        }))),
        ("TenantChange", request("What is left out stays as it is.", &[], json!({
            "name": text_or_null(), "policy": { "anyOf": [reference("TenantPolicyChange"), { "type": "null" }] },
        }))),
        ("TenantPolicyChange", request("Members that are left out keep their value, or get the default in a new tenant (RFC 7396).", &[],
            policy_members(|description, members| request(description, &[], members)))),

        ("User", answer("A user of a tenant.", json!({
            "id": reference("UserId"), "username": text_or_null(), "email": text_or_null(), "status": one_of(&["active", "disabled"]),
            "disabled_at": optional("Timestamp"), "roles": reference("Roles"), "claims": reference("Claims"),
            "created_at": reference("Timestamp"), "updated_at": reference("Timestamp"), "password_changed_at": optional("Timestamp"), "email_verified_at": optional("Timestamp"),
            "password_change_required_at": optional("Timestamp"),
        }))),
        ("UserPage", page("User")),
        ("UserCreation", request("A new user: a username, an e-mail address or both; a password, a hash or neither.", &[], json!({
            "username": { "type": ["string", "null"], "description": "1 to 64 characters without `@`." },
            "email": text_or_null(),
            "password": text_or_null(),
            "password_hash": { "type": ["string", "null"], "description": "A hash made by another system, instead of a password: argon2, bcrypt, scrypt or PBKDF2." },
            "roles": reference("Roles"), "claims": reference("Claims"),
            "must_change": { "type": "boolean", "default": false, "description": "Whether the password is good for choosing another one alone." },
        }))),
        ("UserChange", request("What is left out stays; null takes a name away.", &[], json!({
            "username": text_or_null(), "email": text_or_null(), "roles": optional("Roles"), "claims": optional("Claims"),
            "must_change": { "type": ["boolean", "null"], "description": "Whether a new password is demanded before anything else; true ends all sessions." },
        }))),
        ("NewPassword", request("A new password.", &["password"], json!({ "password": text(), "must_change": { "type": "boolean", "default": false } }))),

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
        ("ResourceId", id("api", "Names an API of a tenant. Tokens say its identifier, not this.")),
        ("Resource", answer("An API of a tenant, which tokens may be for (RFC 8707).", both(json!({
            "id": reference("ResourceId"), "created_at": reference("Timestamp"), "updated_at": reference("Timestamp"),
        }), resource_members()))),
        ("ResourcePage", page("Resource")),
        ("DetailType", json!({
            "type": "object", "description": "A type of authorization details (RFC 9396): the members that they may have, and what users are asked.",
            "required": ["members", "words"], "additionalProperties": false,
            "properties": {
                "members": { "type": "object", "additionalProperties": reference("DetailMember") },
                "words": { "type": "object", "additionalProperties": text(), "description": "By language (en, de, fr, es, zh-Hans). `{amount.value}` stands for a member that is required." },
                "ask_each_time": { "type": "boolean", "default": false, "description": "`true`: users are asked also for what they have allowed before, word by word." },
            },
        })),
        ("DetailMember", detail_member("list, integer, boolean, decimal or object", &json!({
            "members": { "type": "object", "additionalProperties": reference("DetailInnerMember"), "description": "Of an object." },
        }))),
        ("DetailInnerMember", detail_member("list, integer, boolean or decimal", &json!({}))),
        ("ResourceChange", request("All that there is to say about an API: what is left out gets its default.", &["identifier", "name"], resource_members())),
        ("TrustedIssuerId", id("iss", "Names an issuer that a tenant trusts. Assertions say its `iss`, not this.")),
        ("TrustedIssuer", answer_with("An issuer that a tenant trusts (RFC 7523, 2.1), with `jwks` or `jwks_uri`.", both(json!({
            "id": reference("TrustedIssuerId"), "created_at": reference("Timestamp"), "updated_at": reference("Timestamp"),
        }), trusted_issuer_members()), trusted_issuer_keys(false))),
        ("TrustedIssuerPage", page("TrustedIssuer")),
        ("TrustedIssuerChange", request(
            "All that there is to say about an issuer, with `jwks` or `jwks_uri`: what is left out gets its default.",
            &["issuer", "signing_algs", "subject_is", "scope", "clients"], both(trusted_issuer_members(), trusted_issuer_keys(true)),
        )),
        ("InitialAccessTokenId", id("iat", "Names a token with which clients may be registered.")),
        ("InitialAccessToken", answer("A token with which clients may be registered, without itself.", initial_token(json!({})))),
        ("NewInitialAccessToken", answer("A token that was just made.", initial_token(json!({ "token": said("Shown this once; `Authorization: Bearer …` of a registration.") })))),
        ("InitialAccessTokenPage", page("InitialAccessToken")),
        ("InitialAccessTokenCreation", request("For one client, within a day, where nothing is said.", &[], json!({
            "name": text_or_null(), "uses": { "type": ["integer", "null"], "minimum": 1, "maximum": InitialAccessToken::MOST_USES }, "expires_at": optional("Timestamp"),
        }))),

        ("Key", answer("A signing key: its public side.", json!({
            "kid": text(), "alg": reference("Alg"), "state": one_of(&["staged", "active", "retiring", "retired", "revoked"]),
            "published_at": reference("Timestamp"), "sign_from": reference("Timestamp"), "sign_until": optional("Timestamp"),
            "published_until": optional("Timestamp"), "ended_at": optional("Timestamp"), "reason": text_or_null(),
        }))),
        ("KeyRing", answer_with("A tenant's keys, the newest first.", ring, json!({ "breaks": reference("Consequences") }))),
        ("TokenSecret", answer_with("A version of the secret that refresh tokens are authenticated with; the oldest comes first, the last makes new tokens.", json!({
            "version": count(), "created_at": reference("Timestamp"),
        }), json!({ "verifies_until": reference("Timestamp") }))),
        ("Consequences", answer_with("What revoking a key breaks.", json!({
            "revoked_kids": { "type": "array", "items": text() }, "caches_may_trust_until": reference("Timestamp"),
        }), json!({ "new_tokens_may_be_refused_until": reference("Timestamp") }))),
        ("RotationPolicy", answer("The numbers of key rotation.", rotation_members())),
        ("RotationPolicyChange", request("The whole policy: what is left out gets its default.", &[], rotation_members())),
        ("Rotation", request("A planned rotation, or an emergency.", &[], json!({
            "algs": { "type": ["array", "null"], "items": reference("Alg"), "description": "Only these; all of the policy's when left out." },
            "sign_from": optional("Timestamp"),
            "emergency": { "type": "boolean", "default": false, "description": "Replace and revoke everything at once." },
            "reason": text_or_null(),
        }))),
        ("KeyProposal", request("Something that might be done with the keys, with what it takes.", &["action"], json!({
            "action": one_of(&["rotate", "emergency", "revoke", "change_policy"]),
            "algs": { "type": ["array", "null"], "items": reference("Alg"), "description": "rotate: only these; all of the policy's when left out." },
            "sign_from": optional("Timestamp"),
            "kid": { "type": ["string", "null"], "description": "revoke: the key." },
            "policy": { "anyOf": [reference("RotationPolicyChange"), { "type": "null" }], "description": "change_policy: the whole policy." },
        }))),
        ("KeyForecast", answer_with("What would become of the ring, from its change to the end of the keys that it ends.", json!({
            "accepted": { "type": "boolean", "description": "Whether it would be done; else `refusal` says why not, and the steps are those of a ring that is left alone." },
            "generation": count(),
            "made_at": reference("Timestamp"),
            "earliest_sign_from": reference("Timestamp"),
            "planned_sign_from": reference("Timestamp"),
            "verifiers": reference("VerifiersAffected"),
            "steps": list("KeyStep"),
            "keys": list("KeyLine"),
        }), json!({
            "refusal": reference("KeyRefusal"),
            "breaks": reference("Consequences"),
            "sessions_at_stake": { "type": "integer", "minimum": 0, "description": "Living sessions that got their last access token from a revoked key within its life. Only when a key is revoked." },
        }))),
        ("VerifiersAffected", answer("What becomes of those who fetch the JWKS.", json!({
            "known": count(), "safe": count(), "affected": { "type": "array", "items": reference("VerifierOutlook"), "maxItems": 100 },
        }))),
        ("VerifierOutlook", outlook(json!({}))),
        ("Verifiers", answer("Who fetched the JWKS.", json!({ "generation": count(), "items": list("Verifier") }))),
        ("Verifier", answer("Somebody who fetches the JWKS.", seen(json!({
            "unseen_staged_kids": { "type": "array", "items": text(), "description": "Keys that wait for their turn and that it cannot know yet." },
            "looks_abandoned": { "type": "boolean", "description": "No fetch for more than three times the max-age." },
        })))),
        ("KeyDrill", answer("What an emergency would bring now.", json!({
            "generation": count(), "made_at": reference("Timestamp"), "breaks": reference("Consequences"), "sessions_at_stake": count(),
            "all_safe_after_seconds": { "type": ["integer", "null"], "minimum": 0, "description": "When the last verifier of the last day is safe; null when one is overdue, so that nobody can say." },
            "verifiers": list("DrilledVerifier"), "rehearsal": reference("KeyRehearsal"),
        }))),
        ("DrilledVerifier", outlook(json!({ "safe_after_seconds": { "type": ["integer", "null"], "minimum": 0, "description": "null: after its next fetch, which is overdue." } }))),
        ("KeyRehearsal", answer("How long the steps took on this node, in milliseconds.", json!({
            "keys_made": { "type": "array", "items": answer("A key.", json!({ "alg": reference("Alg"), "millis": millis() })) },
            "data_key_opened_millis": millis(), "sealed_millis": millis(), "signed_millis": millis(), "verified_millis": millis(), "total_millis": millis(),
        }))),
        ("KeyRefusal", answer_with("Why it would be refused, in the words of the refusal.", json!({
            "code": one_of(PROBLEMS), "detail": text(),
        }), json!({ "earliest": reference("Timestamp") }))),
        ("KeyStep", answer("How things stand from a moment until the next step.", json!({
            "at": reference("Timestamp"),
            "signing": { "type": ["integer", "null"], "minimum": 0, "description": "The key that signs: its place in `keys`." },
            "jwks_max_age_seconds": count(),
            "states": { "type": "array", "items": { "type": ["string", "null"] }, "description": "The state of each of `keys`; null for one that is not there yet." },
        }))),
        ("KeyLine", answer_with("A key of the forecast.", json!({
            "alg": reference("Alg"), "published_at": reference("Timestamp"), "sign_from": reference("Timestamp"),
        }), json!({
            "kid": said("Absent for a key that is still to be made."),
            "sign_until": reference("Timestamp"), "published_until": reference("Timestamp"),
        }))),
        ("KeyRevocation", request("Why a key is revoked.", &[], json!({ "reason": text_or_null() }))),

        ("Event", answer("An entry of the audit log.", json!({
            "id": reference("EventId"), "tenant_id": reference("TenantId"), "at": reference("Timestamp"), "actor": reference("Tagged"),
            "source": text_or_null(), "request_id": text_or_null(), "event": reference("Tagged"),
        }))),
        ("EventPage", page("Event")),
        ("Tagged", json!({
            "type": "object", "required": ["type"], "properties": { "type": text() }, "additionalProperties": true,
            "description": "A fact or an actor: `type` names its kind, the other members belong to that kind. New kinds come; pass over what you do not know.",
        })),
    ]
    .into_iter()
    .map(|(name, schema)| (name.to_owned(), schema))
    .collect();
    Value::Object(wanted)
}
