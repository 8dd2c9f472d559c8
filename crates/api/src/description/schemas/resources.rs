//! A tenant's APIs, and the issuers that it trusts.

use serde_json::{Value, json};

use super::{Named, answer, answer_with, both, id, page, reference, request, said, text};

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

#[rustfmt::skip]
pub(super) fn schemas() -> Named {
    vec![
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
    ]
}
