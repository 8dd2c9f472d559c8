//! A browser app, in a real browser: oidc-client-ts logs in on the tenant's pages, refreshes and logs out, from an origin of its own.
//!
//! Needs Chromium and Node.js, as `live_pages` does.

use serde_json::{Value, json};

use crate::foreign_parties::Talk;
use crate::foreign_verifiers::node_with;
use crate::live_pages::chromium;
use crate::oidc::shop;
use crate::world::{PASSWORD, in_world};

const PACKAGES: [&str; 2] = ["puppeteer-core@24.43.1", "oidc-client-ts@3.5.0"];

/// Plays the whole of it; `more` is laid over the client's metadata. Answers what the app learned.
fn goes_through(kind: &str, more: &Value) -> Value {
    let mut learned = Value::Null;
    in_world(async |world| {
        let party = node_with(&format!("oidc-client-ts-3.5.0-{kind}"), &PACKAGES, "spa.mjs").await;
        let issuer = format!("{}/t/acme", world.base_url);
        let mut talk = Talk::with(&party, &[&issuer, PASSWORD, kind, &chromium().display().to_string()]);
        let origin = talk.hear_json().await["origin"].as_str().expect("an origin").to_owned();
        let mut form = json!({
            "token_endpoint_auth_method": "none", "redirect_uris": [format!("{origin}/callback")],
            "post_logout_redirect_uris": [format!("{origin}/bye")],
        });
        form.as_object_mut().expect("members").extend(more.as_object().expect("members").clone());
        talk.tell(&shop(world, form).await.id).await;
        learned = talk.hear_json().await;
        assert!(talk.ends_well().await);
        assert_eq!(learned["first"]["at"], world.base_url.as_str(), "the password was typed on the tenant's pages");
    });
    for (pointer, expected) in [
        ("/userinfo/status", json!(200)),
        ("/userinfo/claims/email", json!("alice@acme.example")),
        ("/renewed/has_rotated", json!(true)),
        ("/read/discovery", json!(200)),
        ("/read/jwks", json!(200)),
        ("/read/token", json!("unreadable")),
        ("/read/userinfo", json!("unreadable")),
        ("/read/revoke", json!("unreadable")),
        ("/read/introspect", json!("unreadable")),
        ("/after", json!({ "status": 400, "error": "invalid_grant" })),
        ("/complaints", json!([])),
    ] {
        assert_eq!(learned.pointer(pointer), Some(&expected), "{pointer} in {learned:#}");
    }
    assert_eq!(learned["first"]["sub"], learned["renewed"]["sub"]);
    assert_eq!(learned["first"]["sub"], learned["userinfo"]["claims"]["sub"]);
    learned
}

#[test]
fn in_chromium_oidc_client_ts_logs_in_refreshes_and_logs_out() {
    let learned = goes_through("bearer", &json!({}));
    let first = &learned["first"];
    assert_eq!((&first["token_type"], &first["email"]), (&json!("Bearer"), &json!("alice@acme.example")), "{learned:#}");
}

#[test]
fn in_chromium_oidc_client_ts_does_so_with_a_key_of_its_own_and_nonces() {
    let learned = goes_through("dpop", &json!({ "dpop_bound_access_tokens": true, "require_dpop_nonce": true }));
    let refused = &learned["userinfo"]["refused"];
    assert_eq!((&learned["first"]["token_type"], &refused["status"]), (&json!("DPoP"), &json!(401)), "{learned:#}");
    assert!(
        refused["has_nonce"] == true && refused["challenge"].as_str().is_some_and(|text| text.contains("use_dpop_nonce")),
        "{learned:#}"
    );
}
