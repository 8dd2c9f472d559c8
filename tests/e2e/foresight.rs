//! Asking before doing: what a change of the keys would bring is told as it then happens.

use domain::time::{Timestamp, Ttl};
use serde_json::{Value, json};

use crate::world::{World, in_world, sent};

const KEYS: &str = "/admin/v1/tenants/acme/keys";
const PLAN: &str = "/admin/v1/tenants/acme/keys/plan";

/// A tenant whose ring has nothing due.
async fn quiet_tenant(world: &World) {
    world.tenant("acme").await;
    world.platform_admin().put(&format!("{KEYS}/policy"), json!({ "algs": ["ES256"] })).await.is(200);
}

async fn plan(world: &World, proposal: Value) -> Value {
    world.platform_admin().post(PLAN, proposal).await.is(200).json()
}

fn moment(value: &Value) -> Timestamp {
    value.as_str().and_then(|text| text.parse().ok()).unwrap_or_else(|| panic!("no moment: {value}"))
}

#[test]
fn asking_changes_nothing_and_a_rotation_then_goes_as_it_was_told() {
    in_world(async |world| {
        quiet_tenant(world).await;
        let before = world.platform_admin().get(KEYS).await.is(200).json();
        let events = "/admin/v1/tenants/acme/events";
        let log = world.platform_admin().get(events).await.is(200).text;
        let told = plan(world, json!({ "action": "rotate", "algs": ["ES256"] })).await;
        for proposal in [json!({ "action": "emergency" }), json!({ "action": "revoke", "kid": before["signing_kid"] })] {
            assert_eq!(plan(world, proposal).await["accepted"], true);
        }
        let after = world.platform_admin().get(KEYS).await.is(200).json();
        assert_eq!((&after["generation"], &after["keys"]), (&before["generation"], &before["keys"]));
        assert_eq!(world.platform_admin().get(events).await.is(200).text, log);

        assert_eq!(told["accepted"], true);
        assert!(told["breaks"].is_null() && told["sessions_at_stake"].is_null(), "{told}");
        let new = told["keys"].as_array().expect("keys").iter().position(|key| key["kid"].is_null()).expect("a key to be made");
        let turn = told["steps"].as_array().expect("steps").iter().find(|step| step["signing"] == new).expect("it signs");
        let ring = world.platform_admin().post(&format!("{KEYS}/rotate"), json!({ "algs": ["ES256"] })).await.is(202).json();
        let staged = ring["keys"].as_array().expect("keys").iter().find(|key| key["state"] == "staged").expect("staged");
        let late = moment(&staged["sign_from"]).seconds_after(moment(&turn["at"]));
        assert!(late < 60, "told {turn}, came {staged}");
        world.clock.forward(86_400 + 60);
        let later = world.platform_token(Ttl::hours(1)).await;
        assert_eq!(staged["kid"], world.bearing(&later).get(KEYS).await.is(200).word("signing_kid"));
    });
}

#[test]
fn what_would_be_refused_is_told_with_its_code_and_the_earliest_safe_moment() {
    in_world(async |world| {
        quiet_tenant(world).await;
        let now = world.platform_admin().get(KEYS).await.is(200).json()["keys"][0]["sign_from"].clone();
        let told = plan(world, json!({ "action": "rotate", "algs": ["ES256"], "sign_from": now })).await;
        assert_eq!((&told["accepted"], &told["refusal"]["code"]), (&json!(false), &json!("too_early")));
        let gap = moment(&told["refusal"]["earliest"]).seconds_after(moment(&told["earliest_sign_from"]));
        assert_eq!(gap, 0, "the same moment: {told}");
        assert!(!told["steps"].as_array().expect("steps").is_empty(), "the ring that is left alone");

        let told = plan(world, json!({ "action": "change_policy", "policy": { "lead_seconds": 1 } })).await;
        assert_eq!(told["refusal"]["code"], "unsafe_policy");
        assert!(told["refusal"]["detail"].as_str().expect("a text").contains("360"), "{told}");
        let told = plan(world, json!({ "action": "revoke", "kid": "A".repeat(43) })).await;
        assert_eq!(told["refusal"]["code"], "not_found");
        let told = plan(world, json!({ "action": "rotate", "algs": ["EdDSA"] })).await;
        assert_eq!(told["refusal"]["code"], "unknown_alg");

        let admin = world.platform_admin();
        for nonsense in [
            json!({}),
            json!({ "action": "revoke" }),
            json!({ "action": "explode" }),
            json!({ "action": "emergency", "kid": "A".repeat(43) }),
            json!({ "action": "rotate", "algs": [] }),
            json!({ "action": "change_policy", "policy": { "nonsense": 1 } }),
        ] {
            admin.post(PLAN, nonsense).await.refused(400, "bad_request");
        }
        admin.post(&format!("{PLAN}?format=gif"), json!({ "action": "rotate" })).await.refused(400, "bad_request");
    });
}

#[test]
fn sessions_at_stake_are_those_that_got_a_token_of_the_revoked_key_while_it_lives() {
    in_world(async |world| {
        quiet_tenant(world).await;
        let kid = world.platform_admin().get(KEYS).await.is(200).word("signing_kid");
        let alice = world.alice("acme").await;
        world.user("acme", "bob", &[]).await;
        let bob = world.sign_in("acme", "bob").await;
        let at_stake = async || plan(world, json!({ "action": "revoke", "kid": kid })).await["sessions_at_stake"].clone();
        assert_eq!(at_stake().await, 2);
        world.clock.forward(920);
        assert_eq!(at_stake().await, 0, "their tokens have expired");
        world.refresh("acme", &alice.refresh_token).await.is(200);
        assert_eq!(at_stake().await, 1, "alice has a new one");
        world.refresh("acme", &bob.refresh_token).await.is(200);
        world.platform_admin().delete(&format!("/admin/v1/tenants/acme/users/{}/sessions", bob.user)).await.is(200);
        assert_eq!(at_stake().await, 1, "bob's session has ended");
        let told = plan(world, json!({ "action": "emergency" })).await;
        assert_eq!(told["sessions_at_stake"], 1);
        assert!(told["breaks"]["revoked_kids"].as_array().expect("kids").contains(&json!(kid)), "{told}");
    });
}

#[test]
fn a_plan_is_drawn_for_whoever_asks_for_a_picture() {
    in_world(async |world| {
        quiet_tenant(world).await;
        let admin = world.platform_admin();
        let by_header =
            sent(admin.request("POST", PLAN).header("accept", "image/svg+xml").json(&json!({ "action": "rotate" }))).await.is(200);
        let by_query = admin.post(&format!("{PLAN}?format=svg"), json!({ "action": "emergency" })).await.is(200);
        for picture in [&by_header, &by_query] {
            assert_eq!(picture.header("content-type"), "image/svg+xml");
            assert!(picture.text.starts_with("<svg ") && picture.text.ends_with("</svg>"), "{}", picture.text);
            assert!(picture.text.contains("active, signs") && !picture.text.contains("<script"), "{}", picture.text);
        }
        assert!(by_query.text.contains(">revoked<"), "{}", by_query.text);
        let refused = json!({ "action": "rotate", "sign_from": "2026-01-01T00:00:00Z" });
        let refused = admin.post(&format!("{PLAN}?format=svg"), refused).await.is(200);
        assert!(refused.text.contains("too_early"), "{}", refused.text);
        if let Some(folder) = std::env::var_os("CLAVIGER_PICTURES") {
            for (name, picture) in [("rotate", &by_header), ("emergency", &by_query), ("refused", &refused)] {
                std::fs::write(std::path::Path::new(&folder).join(format!("{name}.svg")), &picture.text).expect("written");
            }
        }
    });
}
