//! A tenant takes away what its clients are registered for: it is asked first, and whoever is left without something shows it.

use serde_json::{Value, json};

use crate::oidc::client;
use crate::resources::{STOCK, api};
use crate::world::in_world;

const TENANT: &str = "/admin/v1/tenants/acme";
const DEVICE: &str = "urn:ietf:params:oauth:grant-type:device_code";

fn off() -> Value {
    json!({ "policy": { "device_authorization": false } })
}

#[test]
fn a_grant_that_clients_use_is_closed_only_by_whoever_says_so_twice() {
    in_world(async |world| {
        world.tenant("acme").await;
        world.policy("acme", json!({ "device_authorization": true, "token_exchange": true })).await;
        let plain = client(world, json!({})).await;
        let mut with = Vec::new();
        for _ in 0..12 {
            with.push(
                client(world, json!({ "client_name": "TV", "grant_types": [DEVICE, "refresh_token"], "redirect_uris": [] })).await.id,
            );
        }
        let admin = world.bearing(&world.tenant_admin("acme").await.access_token);
        let path = format!("{TENANT}/clients/{}", with[0]);
        assert_eq!(admin.get(&path).await.is(200).json()["warnings"], json!([]));
        let refused = admin.patch(TENANT, off()).await.refused(409, "not_confirmed").json();
        let named: Vec<_> =
            refused["clients"].as_array().expect("clients").iter().map(|one| one["client_id"].as_str().unwrap_or("")).collect();
        assert!(named.len() == 10 && named.iter().all(|id| with.iter().any(|one| one == id)), "{refused}");
        assert_eq!(
            (refused["more_clients"].as_u64(), &refused["clients"][0]["client_name"], &refused["apis"]),
            (Some(2), &json!("TV"), &json!([]))
        );
        assert_eq!(refused["breaks"], json!([format!("grant_types: the tenant's policy does not offer {DEVICE}")]));
        admin.patch(&format!("{TENANT}?confirm=globex"), off()).await.refused(409, "not_confirmed");
        assert_eq!(admin.get(TENANT).await.is(200).json()["policy"]["device_authorization"], true, "nothing has changed");

        // What nobody uses goes without a word, and so does what only a disabled client uses.
        admin.patch(TENANT, json!({ "policy": { "token_exchange": false, "access_ttl_seconds": 120 } })).await.is(200);
        for id in &with[1..] {
            admin.post(&format!("{TENANT}/clients/{id}/disable"), json!({})).await.is(200);
        }
        let refused = admin.patch(TENANT, off()).await.refused(409, "not_confirmed").json();
        assert_eq!((refused["clients"].as_array().map(Vec::len), refused["more_clients"].as_u64()), (Some(1), Some(0)));

        admin.patch(&format!("{TENANT}?confirm=acme"), off()).await.is(200);
        let events = admin.get(&format!("{TENANT}/events?limit=5")).await.is(200).json();
        let events = events["items"].as_array().expect("items");
        let forced = events.iter().find(|item| item["event"]["type"] == "clients_stranded").expect("it is remembered");
        assert_eq!((forced["event"]["clients"].as_u64(), &forced["event"]["lost"]), (Some(1), &refused["breaks"]));
        let warned = admin.get(&path).await.is(200).json()["warnings"].clone();
        assert_eq!(warned, json!([{ "member": "grant_types", "detail": refused["breaks"][0] }]));
        assert_eq!(admin.get(&format!("{TENANT}/clients/{}", plain.id)).await.is(200).json()["warnings"], json!([]));
        // Closed is closed: the same once more takes nothing away.
        admin.patch(TENANT, off()).await.is(200);
    });
}

#[test]
fn an_algorithm_that_clients_and_apis_use_is_dropped_only_by_whoever_says_so_twice() {
    in_world(async |world| {
        world.tenant("acme").await;
        let shop = client(world, json!({ "id_token_signed_response_alg": "RS256" })).await;
        api(world, json!({ "identifier": STOCK, "name": "Stock", "signing_alg": "RS256" })).await.is(201);
        let admin = world.bearing(&world.tenant_admin("acme").await.access_token);
        let keys = format!("{TENANT}/keys/policy");
        // What would be refused in any case is refused for that.
        admin.put(&keys, json!({ "algs": ["ES256"], "lead_seconds": 1 })).await.refused(422, "unsafe_policy");
        let refused = admin.put(&keys, json!({ "algs": ["ES256"] })).await.refused(409, "not_confirmed").json();
        assert_eq!((&refused["clients"][0]["client_id"], &refused["apis"]), (&json!(shop.id), &json!([STOCK])));
        assert_eq!(refused["breaks"], json!(["id_token_signed_response_alg: the tenant's key policy has no RS256"]));
        admin.put(&format!("{keys}?confirm=1"), json!({ "algs": ["ES256"] })).await.refused(409, "not_confirmed");
        assert_eq!(admin.get(&keys).await.is(200).json()["algs"], json!(["ES256", "RS256"]));
        admin.put(&keys, json!({ "algs": ["ES256", "RS256", "EdDSA"] })).await.is(200);
        admin.put(&format!("{keys}?confirm=acme"), json!({ "algs": ["ES256"] })).await.is(200);
        let warned = admin.get(&format!("{TENANT}/clients/{}", shop.id)).await.is(200).json()["warnings"].clone();
        assert_eq!(warned[0]["member"], "id_token_signed_response_alg");
        assert!(admin.get(&format!("{TENANT}/events?limit=5")).await.is(200).text.contains("clients_stranded"));
    });
}
