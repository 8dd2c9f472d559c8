//! Keys: what is published, how it changes, and what an emergency breaks.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::world::{World, in_world, sent};

const KEYS: &str = "/admin/v1/tenants/acme/keys";
const ROTATE: &str = "/admin/v1/tenants/acme/keys/rotate";
const JWKS: &str = "/t/acme/.well-known/jwks.json";

fn kids(jwks: &Value) -> BTreeSet<String> {
    jwks["keys"].as_array().expect("keys").iter().map(|key| key["kid"].as_str().expect("a kid").to_owned()).collect()
}

/// A tenant whose ring has nothing due: the RSA key of a new one is added whenever it is ready, this one waits for none.
async fn tenant_with_a_quiet_ring(world: &World) {
    world.tenant("acme").await;
    world.platform_admin().put("/admin/v1/tenants/acme/keys/policy", json!({ "algs": ["ES256"] })).await.is(200);
}

#[test]
fn a_policy_that_would_leave_verifiers_behind_is_refused_with_the_least_safe_number() {
    in_world(async |world| {
        world.tenant("acme").await;
        let admin = world.tenant_admin("acme").await;
        let caller = world.bearing(&admin.access_token);
        let policy = "/admin/v1/tenants/acme/keys/policy";
        for (unsafe_policy, least) in [
            (json!({ "lead_seconds": 359 }), "360"),
            (json!({ "overlap_seconds": 3_659 }), "3660"),
            (json!({ "rotate_every_seconds": 3_600 }), "93600"),
            (json!({ "jwks_max_age_seconds": 0 }), "1"),
        ] {
            let answer = caller.put(policy, unsafe_policy).await.refused(422, "unsafe_policy");
            assert!(answer.word("detail").contains(least), "{}", answer.text);
        }
        caller.put(policy, json!({ "algs": ["HS256"], "access_token_alg": "HS256" })).await.refused(400, "bad_request");
        caller.put(policy, json!({ "algs": ["none"] })).await.refused(400, "bad_request");
        caller.put(policy, json!({ "lead_seconds": 360 })).await.is(200);
        assert_eq!(caller.get(policy).await.is(200).json()["lead_seconds"], 360);
    });
}

#[test]
fn a_rotation_publishes_the_next_key_before_it_signs_and_a_second_one_has_to_wait() {
    in_world(async |world| {
        tenant_with_a_quiet_ring(world).await;
        let admin = world.tenant_admin("acme").await;
        let caller = world.bearing(&admin.access_token);
        let before = kids(&world.jwks("acme").await);
        let ring = caller.post(ROTATE, json!({ "algs": ["ES256"] })).await.is(202).json();
        let staged: Vec<_> =
            ring["keys"].as_array().expect("keys").iter().filter(|key| key["alg"] == "ES256" && key["state"] == "staged").collect();
        assert_eq!(staged.len(), 1, "{ring}");
        let (next, old) = (staged[0]["kid"].as_str().expect("a kid"), ring["signing_kid"].as_str().expect("a kid"));
        assert_ne!(next, old);
        let after = kids(&world.jwks("acme").await);
        assert!(after.is_superset(&before) && after.contains(next) && after.contains(old), "{after:?}");

        let refused = caller.post(ROTATE, json!({ "algs": ["ES256"] })).await.refused(409, "already_staged");
        assert!(!refused.json()["earliest"].is_null(), "{}", refused.text);
        caller.post(ROTATE, json!({ "algs": [] })).await.refused(400, "bad_request");
        world.bearing(&admin.access_token).get("/t/acme/me").await.is(200);
    });
}

#[test]
fn a_jwks_is_cached_by_its_tag_and_no_longer_than_the_policy_says() {
    in_world(async |world| {
        tenant_with_a_quiet_ring(world).await;
        let first = world.anon().get(JWKS).await.is(200);
        let etag = first.header("etag").to_owned();
        assert!(etag.starts_with('"') && etag.ends_with('"') && etag.len() > 2, "{etag}");
        for tag in [etag.clone(), format!("W/{etag}"), format!("\"other\", {etag}")] {
            let answer = sent(world.anon().request("GET", JWKS).header("if-none-match", tag)).await.is(304);
            assert!(answer.text.is_empty());
            assert_eq!(answer.header("etag"), etag);
        }
        let max_age: u32 =
            first.header("cache-control").split(", ").find_map(|part| part.strip_prefix("max-age=")?.parse().ok()).expect("a max-age");
        assert!((1..=300).contains(&max_age), "{max_age}");
        assert_eq!(first.header("access-control-allow-origin"), "*");

        world.platform_admin().post(ROTATE, json!({})).await.is(202);
        let changed = sent(world.anon().request("GET", JWKS).header("if-none-match", &etag)).await.is(200);
        assert_ne!(changed.header("etag"), etag);
    });
}

#[test]
fn an_emergency_replaces_every_key_and_says_what_it_breaks() {
    in_world(async |world| {
        tenant_with_a_quiet_ring(world).await;
        let alice = world.alice("acme").await;
        let before = kids(&world.jwks("acme").await);
        let emergency = json!({ "emergency": true, "reason": "a laptop was stolen" });
        let ring = world.platform_admin().post(ROTATE, emergency).await.is(202).json();
        let revoked: BTreeSet<String> =
            ring["breaks"]["revoked_kids"].as_array().expect("kids").iter().map(|kid| kid.as_str().expect("a kid").to_owned()).collect();
        assert_eq!(revoked, before);
        assert!(!ring["breaks"]["caches_may_trust_until"].is_null(), "{ring}");
        let after = kids(&world.jwks("acme").await);
        assert!(after.is_disjoint(&before) && !after.is_empty(), "{before:?} {after:?}");

        world.bearing(&alice.access_token).get("/t/acme/me").await.refused(401, "invalid_token");
        let next = world.refresh("acme", &alice.refresh_token).await.is(200);
        world.bearing(&next.word("access_token")).get("/t/acme/me").await.is(200);
        let mixed = json!({ "emergency": true, "algs": ["ES256"] });
        world.platform_admin().post(ROTATE, mixed).await.refused(400, "bad_request");
    });
}

#[test]
fn one_key_is_revoked_by_its_kid_and_an_unknown_kid_is_not_found() {
    in_world(async |world| {
        tenant_with_a_quiet_ring(world).await;
        world.tenant("globex").await;
        let admin = world.platform_admin();
        let foreign = admin.get("/admin/v1/tenants/globex/keys").await.is(200).word("signing_kid");
        for kid in ["nope", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", &foreign] {
            admin.post(&format!("{KEYS}/{kid}/revoke"), json!({})).await.refused(404, "not_found");
        }
        let kid = admin.get(KEYS).await.is(200).word("signing_kid");
        let ring = admin.post(&format!("{KEYS}/{kid}/revoke"), json!({ "reason": "leaked" })).await.is(200).json();
        assert_ne!(ring["signing_kid"], kid.as_str());
        assert!(!kids(&world.jwks("acme").await).contains(&kid));
        admin.post(&format!("{KEYS}/{kid}/revoke"), json!({})).await.refused(409, "already_ended");
    });
}

#[test]
fn both_discovery_documents_say_the_same_and_no_header_of_the_request_changes_it() {
    in_world(async |world| {
        world.tenant("acme").await;
        let paths = ["/t/acme/.well-known/openid-configuration", "/.well-known/oauth-authorization-server/t/acme"];
        let issuer = format!("{}/t/acme", world.base_url);
        let plain = world.anon().get(paths[0]).await.is(200);
        assert_eq!(plain.word("issuer"), issuer);
        assert_eq!(plain.word("jwks_uri"), format!("{issuer}/.well-known/jwks.json"));
        for path in paths {
            for (name, value) in [
                ("accept", "*/*"),
                ("x-forwarded-host", "evil.example"),
                ("x-forwarded-proto", "https"),
                ("forwarded", "host=evil.example;proto=https"),
            ] {
                let answer = sent(world.anon().request("GET", path).header(name, value)).await.is(200);
                assert_eq!(answer.text, plain.text, "{path} {name}");
            }
            // Who is asked for by another name than its own says nothing.
            sent(world.anon().request("GET", path).header("host", "evil.example")).await.refused(404, "unknown_host");
        }
    });
}

#[test]
fn a_host_header_does_not_change_the_issuer_of_a_token() {
    in_world(async |world| {
        world.tenant("acme").await;
        world.user("acme", "alice", &[]).await;
        let form = json!({ "username": "alice", "password": crate::world::PASSWORD });
        let request =
            |host: &str| world.anon().request("POST", "/t/acme/login").header("host", host).header("x-forwarded-host", "evil.example");
        sent(request("evil.example").json(&form)).await.refused(404, "unknown_host");
        let token = sent(request("LOCALHOST:1").json(&form)).await.is(200).word("access_token");
        world.bearing(&token).get("/t/acme/me").await.is(200);
    });
}

#[test]
fn a_jwks_has_public_members_only() {
    in_world(async |world| {
        world.tenant("acme").await;
        let policy = json!({ "algs": ["ES256", "ES384", "RS256", "PS256", "EdDSA"] });
        world.platform_admin().put("/admin/v1/tenants/acme/keys/policy", policy).await.is(200);
        let jwks = world.jwks("acme").await;
        let keys = jwks["keys"].as_array().expect("keys");
        assert!(keys.len() >= 5, "{jwks}");
        let public = BTreeSet::from(["kty", "use", "alg", "kid", "crv", "x", "y", "n", "e"]);
        for key in keys {
            let names: BTreeSet<&str> = key.as_object().expect("a key").keys().map(String::as_str).collect();
            assert!(names.is_subset(&public), "{names:?}");
            assert_eq!(key["use"], "sig");
        }
    });
}
