//! Ids, moments and refusals, which all others speak of.

use domain::keys::ring::Alg;
use serde_json::json;

use super::{Named, answer, answer_with, count, id, one_of, reference, said, text, text_or_null};

/// Every code of a problem; docs/src/errors.md says when each comes and what to do.
#[rustfmt::skip]
pub(super) const PROBLEMS: &[&str] = &[
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
pub(super) fn schemas() -> Named {
    let algs: Vec<_> = Alg::ALL.iter().map(|alg| alg.name()).collect();
    vec![
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
    ]
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    const DOCUMENTED: &str = include_str!("../../../../../docs/src/errors.md");

    /// The codes in the first column of the tables between two headings of the page.
    fn documented(from: &str, to: &str) -> BTreeSet<&'static str> {
        let (_, part) = DOCUMENTED.split_once(from).expect(from);
        let (part, _) = part.split_once(to).expect(to);
        let first_cells = part.lines().filter_map(|line| line.strip_prefix("| `")?.split('|').next());
        first_cells.flat_map(|cell| cell.split('`')).filter(|word| word.bytes().any(|byte| byte.is_ascii_alphabetic())).collect()
    }

    #[test]
    fn the_page_of_errors_has_every_code_and_no_other() {
        let known = |codes: &[&'static str], header| codes.iter().copied().chain([header]).collect::<BTreeSet<_>>();
        assert_eq!(documented("## Everywhere else", "To an authorization request"), known(PROBLEMS, "code"));
        assert_eq!(documented("## OAuth endpoints", "## Everywhere else"), known(OAUTH_ERRORS, "error"));
    }
}
