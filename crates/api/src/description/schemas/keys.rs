//! Key rings, their policies, and what would become of them.

use serde_json::{Value, json};

use super::words::PROBLEMS;
use super::{Named, answer, answer_with, count, list, one_of, optional, reference, request, said, seconds, text, text_or_null};

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

#[rustfmt::skip]
pub(super) fn schemas() -> Named {
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
    let millis = || json!({ "type": "number", "minimum": 0 });
    vec![
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
    ]
}
