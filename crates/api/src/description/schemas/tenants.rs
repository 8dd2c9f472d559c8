//! Tenants: their policies, looks, domains and claims.

use domain::claim_rules::ClaimRules;
use serde_json::{Map, Value, json};

use super::{Named, answer, count, flag, list, one_of, optional, page, reference, request, said, seconds, text, text_or_null};

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
        "response_types": {
            "type": "array", "items": said("`id_token`, `id_token token`, `code id_token`, `code token` or `code id_token token`; the order of the words says nothing."),
            "description": "What authorization requests are answered with besides `code`, for clients that are registered for it.",
        },
        "request_uri": { "type": "boolean", "description": "Whether requests are fetched from addresses that clients have registered (OpenID Connect Core, 6.2)." },
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

#[rustfmt::skip]
pub(super) fn schemas() -> Named {
    vec![
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
    ]
}
