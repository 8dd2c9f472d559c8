//! What people send from the hosted pages, and what is told them of themselves.

use serde_json::json;

use super::{Named, answer, one_of, reference, said, text, text_or_null};

#[rustfmt::skip]
pub(super) fn schemas() -> Named {
    vec![
        ("Me", answer("Who is signed in.", json!({
            "sub": reference("UserId"), "username": text_or_null(), "email": text_or_null(), "roles": reference("Roles"),
            "session_id": reference("SessionId"), "auth_time": { "type": "integer", "description": "When they last proved who they are, in seconds since the Unix epoch." },
        }))),
        ("Page", json!({ "type": "string", "description": "A page for people." })),
        ("AuthorizationRequest", json!({
            "type": "object", "description": "RFC 6749, 4.1.1; OpenID Connect Core, 3.1.2.1. Other parameters are ignored; none may come twice.",
            "required": ["client_id", "redirect_uri", "response_type"], "additionalProperties": true,
            "properties": { "client_id": text(), "redirect_uri": text(), "response_type": said("`code`, or what else the tenant takes."), "scope": text(), "state": text() },
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
    ]
}
