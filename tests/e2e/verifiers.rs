//! Who fetches the public keys: counted on every node, and asked before and in an emergency.

use domain::time::Ttl;
use serde_json::{Value, json};

use crate::world::{World, in_world, sent};

const KEYS: &str = "/admin/v1/tenants/acme/keys";
const JWKS: &str = "/t/acme/.well-known/jwks.json";

/// A tenant whose ring has nothing due.
async fn quiet_tenant(world: &World) {
    world.tenant("acme").await;
    world.platform_admin().put(&format!("{KEYS}/policy"), json!({ "algs": ["ES256"] })).await.is(200);
}

async fn fetch_as(world: &World, label: &str) {
    sent(world.anon().request("GET", JWKS).header("claviger-verifier", label)).await.is(200);
}

async fn verifiers(world: &World) -> Vec<Value> {
    world.note_verifiers().await;
    let token = world.platform_token(Ttl::hours(1)).await;
    world.bearing(&token).get(&format!("{KEYS}/verifiers")).await.is(200).json()["items"].as_array().expect("items").clone()
}

fn labelled<'a>(all: &'a [Value], label: &str) -> &'a Value {
    all.iter().find(|seen| seen["label"] == label).unwrap_or_else(|| panic!("{label} is not among {all:#?}"))
}

#[test]
fn a_verifier_is_known_by_its_label_or_by_a_hash_and_a_304_is_a_fetch() {
    in_world(async |world| {
        quiet_tenant(world).await;
        fetch_as(world, "gateway-1").await;
        world.anon().get(&format!("{JWKS}?verifier=billing")).await.is(200);
        let etag = world.anon().get(&format!("{JWKS}?a=b&verifier=gateway-1")).await.is(200).header("etag").to_owned();
        let cached = world.anon().request("GET", JWKS).header("claviger-verifier", "gateway-1").header("if-none-match", etag);
        sent(cached).await.is(304);
        sent(world.anon().request("HEAD", JWKS).header("claviger-verifier", "gateway-1")).await.is(200);
        for junk in ["", "a b", "<script>", &"x".repeat(65)] {
            sent(world.anon().request("GET", JWKS).header("claviger-verifier", junk).header("user-agent", "junk/1")).await.is(200);
        }
        let all = verifiers(world).await;
        assert_eq!(all.len(), 3, "{all:#?}");
        assert_eq!(labelled(&all, "gateway-1")["fetches"], 3, "a HEAD brings no keys");
        assert_eq!(labelled(&all, "billing")["fetches"], 1);
        let hashed = all.iter().find(|seen| seen["label"].is_null()).expect("somebody without a label");
        assert_eq!(hashed["fetches"], 4);
        let name = hashed["verifier"].as_str().expect("a name");
        assert!(name.starts_with("hash:") && !format!("{all:?}").contains("127.0.0"), "{all:#?}");
        assert!(all.iter().all(|seen| seen["looks_abandoned"] == false && seen["unseen_staged_kids"] == json!([])), "{all:#?}");
    });
}

#[test]
fn the_map_tells_who_cannot_know_the_staged_key_and_who_is_gone() {
    in_world(async |world| {
        quiet_tenant(world).await;
        fetch_as(world, "old").await;
        let ring = world.platform_admin().post(&format!("{KEYS}/rotate"), json!({ "algs": ["ES256"] })).await.is(202).json();
        let staged = ring["keys"].as_array().expect("keys").iter().find(|key| key["state"] == "staged").expect("staged")["kid"].clone();
        fetch_as(world, "fresh").await;
        let all = verifiers(world).await;
        assert_eq!(labelled(&all, "old")["unseen_staged_kids"], json!([staged]));
        assert_eq!(labelled(&all, "fresh")["unseen_staged_kids"], json!([]));
        assert_eq!(labelled(&all, "fresh")["generation"], ring["generation"]);
        world.clock.forward(901);
        fetch_as(world, "fresh").await;
        let all = verifiers(world).await;
        assert_eq!(labelled(&all, "old")["looks_abandoned"], true);
        assert_eq!(labelled(&all, "fresh")["looks_abandoned"], false);
    });
}

#[test]
fn a_plan_names_the_verifiers_that_would_fail_and_how_long() {
    in_world(async |world| {
        quiet_tenant(world).await;
        fetch_as(world, "silent").await;
        world.clock.forward(1_000);
        fetch_as(world, "prompt").await;
        world.note_verifiers().await;
        let plan = async |proposal: Value| world.platform_admin().post(&format!("{KEYS}/plan"), proposal).await.is(200).json();
        let rotation = plan(json!({ "action": "rotate" })).await["verifiers"].clone();
        assert_eq!((&rotation["known"], &rotation["safe"]), (&json!(2), &json!(1)));
        assert_eq!(labelled(rotation["affected"].as_array().expect("affected"), "silent")["outcome"], "fails_from");
        let emergency = plan(json!({ "action": "emergency" })).await["verifiers"].clone();
        let affected = emergency["affected"].as_array().expect("affected");
        assert_eq!((emergency["safe"].clone(), affected.len()), (json!(0), 2));
        let prompt = labelled(affected, "prompt");
        assert_eq!(prompt["outcome"], "may_fail_until");
        assert!(prompt["until"].as_str() > prompt["last_seen"].as_str(), "{prompt}");
    });
}

#[test]
fn a_drill_says_when_everybody_would_be_safe_and_changes_nothing() {
    in_world(async |world| {
        quiet_tenant(world).await;
        fetch_as(world, "ancient").await;
        world.note_verifiers().await;
        world.clock.forward(86_401);
        let token = world.platform_token(Ttl::hours(1)).await;
        let admin = world.bearing(&token);
        fetch_as(world, "gateway").await;
        world.note_verifiers().await;
        let before = admin.get(KEYS).await.is(200).json();
        let drill = admin.post(&format!("{KEYS}/drill"), json!({})).await.is(200).json();
        let after = admin.get(KEYS).await.is(200).json();
        assert_eq!((&after["generation"], &after["keys"]), (&before["generation"], &before["keys"]));

        let told = drill["verifiers"].as_array().expect("verifiers");
        assert_eq!(told.len(), 1, "those of the last day: {told:?}");
        let safe_after = labelled(told, "gateway")["safe_after_seconds"].as_u64().expect("seconds");
        assert!((300..=330).contains(&safe_after), "max-age and skew, less the moment since: {safe_after}");
        assert_eq!(drill["all_safe_after_seconds"], safe_after);
        let steps = &drill["rehearsal"];
        assert_eq!(steps["keys_made"].as_array().expect("keys").len(), 1);
        for step in ["sealed_millis", "signed_millis", "verified_millis", "total_millis"] {
            assert!(steps[step].as_f64().expect("a number") > 0.0, "{step} takes some time: {steps}");
        }
        let events = admin.get("/admin/v1/tenants/acme/events").await.is(200).json();
        assert_eq!(events["items"][0]["event"]["type"], "key_drill");
        assert_eq!(events["items"][0]["event"]["verifiers"], 1);

        world.clock.forward(400);
        let drill = admin.post(&format!("{KEYS}/drill"), json!({})).await.is(200).json();
        assert_eq!(labelled(drill["verifiers"].as_array().expect("verifiers"), "gateway")["outcome"], "fails_from", "it is overdue");
        assert_eq!(drill["all_safe_after_seconds"], Value::Null);
    });
}
