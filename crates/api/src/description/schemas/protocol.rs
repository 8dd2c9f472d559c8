//! What clients and applications ask the OAuth endpoints, and what they are answered.

use domain::client::GrantType;
use serde_json::json;

use super::{Named, answer, answer_with, count, flag, one_of, reference, request, said, text, text_or_null};

#[rustfmt::skip]
pub(super) fn schemas() -> Named {
    vec![
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
                "grant_type": one_of(&GrantType::ALL.into_iter().filter(|grant| grant.is_for_the_token_endpoint()).map(GrantType::name).collect::<Vec<_>>()),
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
    ]
}
