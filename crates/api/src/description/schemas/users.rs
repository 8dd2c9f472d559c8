//! Users of a tenant, and their sessions.

use serde_json::json;

use super::{Named, answer, count, flag, list, one_of, optional, page, reference, request, text, text_or_null};

#[rustfmt::skip]
pub(super) fn schemas() -> Named {
    vec![
        ("Session", answer("A login that lives on by refreshing.", json!({
            "id": reference("SessionId"), "client_id": text(), "scope": text(), "binding": one_of(&["bearer", "cookie"]),
            "created_at": reference("Timestamp"), "last_refreshed_at": reference("Timestamp"), "expires_at": reference("Timestamp"),
            "user_agent": text_or_null(), "source": text_or_null(), "is_current": flag(),
        }))),
        ("Sessions", answer("All living sessions of one user.", json!({ "items": list("Session") }))),
        ("SessionsEnded", answer("How many sessions were ended.", json!({ "ended": count() }))),
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
    ]
}
