//! PgBouncer in transaction mode between the nodes and PostgreSQL, and the one connection that goes past it.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::caller::{Caller, TENANT};
use crate::node::Site;
use crate::proxy::Proxy;

/// Far longer than any test waits: what is known earlier was heard.
const SWEEP: &str = "600";
/// What is heard is known within this, on a busy machine.
const HEARD: Duration = Duration::from_secs(5);

/// As the administrator of keys whose numbers suit such a sweep.
async fn make_tenant(admin: &Caller) {
    let argon2 = json!({ "memory_kib": 7_168, "iterations": 5, "parallelism": 1 });
    let form = json!({ "slug": TENANT, "name": TENANT, "policy": { "argon2": argon2 } });
    admin.post("/admin/v1/tenants", form).await.expect("an answer").is(201);
}

async fn kids(caller: &Caller) -> BTreeSet<String> {
    let jwks = caller.jwks().await.expect("an answer").is(200).json();
    jwks["keys"].as_array().expect("keys").iter().map(|key| key["kid"].as_str().expect("a kid").to_owned()).collect()
}

/// Replaces a key at once by revoking it; answers its kid, which must leave every JWKS.
async fn revoke_one(admin: &Caller) -> String {
    let kid = kids(admin).await.into_iter().next().expect("a key");
    let path = format!("/admin/v1/tenants/{TENANT}/keys/{kid}/revoke");
    admin.post(&path, json!({ "reason": "a drill" })).await.expect("an answer").is(200);
    kid
}

/// Waits until `caller`'s node has heard that `kid` is gone; answers how long that took.
async fn until_gone(caller: &Caller, kid: &str, patience: Duration) -> Duration {
    let begun = Instant::now();
    while kids(caller).await.contains(kid) {
        assert!(begun.elapsed() < patience, "not known after {patience:?}");
        tokio::time::sleep(Duration::from_millis(20)).await; // A verifier that asks now and then.
    }
    begun.elapsed()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_nodes_behind_a_pooler_serve_logins_and_races_and_hear_each_other() {
    let (pooled, direct) = testkit::pgbouncer::fresh_database().await;
    let mut site = Site::postgres(&pooled);
    site.set("DATABASE__POOLER", "transaction");
    site.set("DATABASE__LISTEN_URL", &direct);
    site.set("KEYS__SWEEP_INTERVAL_SECONDS", SWEEP);
    let nodes = [site.start().await, site.start().await];
    let callers = nodes.each_ref().map(|node| node.caller());
    let admin = callers[0].bearing(&site.admin_token());
    make_tenant(&admin).await;

    let users: Vec<_> = (0..12).map(|number| format!("user-{number}")).collect();
    for user in &users {
        admin.make_user(user).await;
    }
    let logins = users.iter().zip(callers.iter().cycle()).map(async |(user, at)| at.login(user).await.expect("an answer").is(200));
    let mut tokens: Vec<_> = futures_util::future::join_all(logins).await.iter().map(|reply| reply.word("refresh_token")).collect();
    for _ in 0..10 {
        // Each token twice at once, on both nodes: one rotates it, and the other is given the same successor.
        let both = tokens.iter().map(async |token| {
            let (one, other) = tokio::join!(callers[0].refresh(token), callers[1].refresh(token));
            [one, other].map(|reply| reply.expect("an answer").is(200).word("refresh_token"))
        });
        let next = futures_util::future::join_all(both).await;
        assert!(next.iter().all(|[one, other]| one == other), "never two live tokens");
        tokens = next.into_iter().map(|[token, _]| token).collect();
    }

    let other = &callers[1];
    kids(other).await;
    let gone = revoke_one(&admin).await;
    eprintln!("heard past the pooler after {:?}", until_gone(other, &gone, HEARD).await);

    let (code, doctor) = (site.run(&["doctor"]), "doctor");
    assert!(code.status.success(), "{doctor}: {}", String::from_utf8_lossy(&code.stdout));
    for node in nodes {
        node.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_connection_past_the_pooler_the_sweep_finds_what_others_change() {
    let (pooled, _) = testkit::pgbouncer::fresh_database().await;
    let mut site = Site::postgres(&pooled);
    site.set("DATABASE__POOLER", "transaction");
    let nodes = [site.start().await, site.start().await];
    let admin = nodes[0].caller().bearing(&site.admin_token());
    make_tenant(&admin).await;
    let other = nodes[1].caller();
    kids(&other).await;
    let gone = revoke_one(&admin).await;
    eprintln!("swept after {:?}", until_gone(&other, &gone, HEARD).await);
    for node in nodes {
        assert!(!node.last_words().contains("are not heard of"), "nobody listens in vain: {}", node.last_words());
        node.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_whose_ear_the_network_has_swallowed_listens_anew_within_seconds() {
    let url = testkit::postgres::fresh_database().await;
    let port = url.rsplit_once(':').and_then(|(_, place)| place.split_once('/')).and_then(|(port, _)| port.parse().ok()).expect("a port");
    let proxy = Proxy::to(port).await;
    let mut site = Site::postgres(&url);
    site.set("KEYS__SWEEP_INTERVAL_SECONDS", SWEEP);
    let speaker = site.start().await;
    // Its statements arrive; only what it is told does not.
    site.set("DATABASE__LISTEN_URL", &proxy.before(&url, port));
    let listener = site.start().await;
    let admin = speaker.caller().bearing(&site.admin_token());
    make_tenant(&admin).await;
    let caller = listener.caller();
    kids(&caller).await;
    let gone = revoke_one(&admin).await;
    until_gone(&caller, &gone, HEARD).await;

    proxy.swallow();
    proxy.forget_old_connections();
    let gone = revoke_one(&admin).await;
    let took = until_gone(&caller, &gone, Duration::from_secs(20)).await;
    eprintln!("listened anew after {took:?}");
    assert!(took > Duration::from_secs(1), "it heard what was swallowed");

    let gone = revoke_one(&admin).await;
    until_gone(&caller, &gone, HEARD).await;
    speaker.stop().await;
    listener.stop().await;
}
