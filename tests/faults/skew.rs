//! Clocks that are wrong: as far apart as was allowed for, and an hour off.

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::json;

use crate::caller::{Caller, TENANT};
use crate::chance;
use crate::clock::WrongClock;
use crate::issuer::Issuer;
use crate::node::Site;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_nodes_whose_clocks_differ_by_as_much_as_was_allowed_for_issue_nothing_that_does_not_verify() {
    let off: i64 = if chance::is_long() { 30 } else { 4 };
    let skew = off.unsigned_abs() * 2;
    let mut site = Site::postgres(&testkit::postgres::fresh_database().await);
    site.set("KEYS__CLOCK_SKEW_SECONDS", &skew.to_string());
    let tenants = ["ordered-ahead", "ordered-behind", "scheduled"];
    site.an_hour_ago(async |admin: Caller| {
        for tenant in tenants {
            admin.of(tenant).make_tenant_for_clocks(skew, tenant == "scheduled").await;
        }
    })
    .await;
    let (ahead, behind) = (WrongClock::off_by(off), WrongClock::off_by(-off));
    let nodes = [site.start_by(&ahead).await, site.start_by(&behind).await];
    let admin_token = site.admin_token();
    let callers = || [0, 1].map(|at: usize| nodes[at].caller().bearing(&admin_token));
    let mut issuers = join_all(tenants.iter().map(|tenant| Issuer::new(tenant, callers()))).await;
    let fetching: Vec<_> = issuers.iter().flat_map(Issuer::verifiers_fetch).collect();
    issuers[0].order_rotation(0).await.is(202);
    issuers[1].order_rotation(1).await.is(202);
    // The third one's keys are an hour old, which is too old.
    let patience = Duration::from_secs(30 + 3 * skew);
    join_all(issuers.iter_mut().map(|issuer| async move {
        issuer.until_a_new_key_signs(patience).await;
        issuer.refresh_at_both_nodes().await;
    }))
    .await;
    fetching.iter().for_each(tokio::task::JoinHandle::abort);
    let (mut tokens, mut pairs) = (0, 0);
    for issuer in &issuers {
        let (compared, breaches) = issuer.caches.compare();
        assert!(breaches.is_empty(), "{breaches:#?}");
        assert!(compared.keys >= 2);
        (tokens, pairs) = (tokens + compared.tokens, pairs + compared.pairs);
    }
    eprintln!("clocks {skew} s apart: 3 rotations, {tokens} tokens against cached JWKS ({pairs} pairs), 0 violations");
    for node in nodes {
        node.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_that_jumps_by_an_hour_revives_nothing_and_logs_nobody_out() {
    let site = Site::postgres(&testkit::postgres::fresh_database().await);
    site.tenants_of_an_hour_ago(&[TENANT]).await;
    let clock = WrongClock::off_by(0);
    let (jumping, steady) = (site.start_by(&clock).await, site.start().await);
    let admin_token = site.admin_token();
    let (jumping_caller, steady_caller) = (jumping.caller(), steady.caller());
    let admin = steady_caller.bearing(&admin_token);
    admin.make_user("alice").await;
    let log_in = async || {
        let reply = jumping_caller.login("alice").await.expect("an answer").is(200);
        (reply.word("refresh_token"), reply.word("access_token"))
    };
    // Signed by a key that is about to be revoked.
    let (mut live, of_a_revoked_key) = log_in().await;
    admin.post(&admin.admin_path("keys/rotate"), json!({ "emergency": true })).await.expect("an answer").is(202);
    let logged_out = log_in().await;
    jumping_caller.logout(&logged_out.0).await.expect("an answer").is(204);
    let stolen = log_in().await;
    let mut head = stolen.0.clone();
    for _ in 0..6 {
        head = jumping_caller.refresh(&head).await.expect("an answer").is(200).word("refresh_token");
    }
    jumping_caller.refresh(&stolen.0).await.expect("an answer").is(400);
    // A token that was good an hour ago, and is not now.
    clock.set(-3_600);
    let reply = jumping_caller.refresh(&live).await.expect("an answer").is(200);
    live = reply.word("refresh_token");
    let expired = reply.word("access_token");

    for jump in [0, 3_600, 0, -3_600, 0] {
        clock.set(jump);
        for caller in [&jumping_caller, &steady_caller] {
            for token in [&logged_out.0, &stolen.0, &head] {
                let reply = caller.refresh(token).await.expect("an answer").is(400);
                assert!(reply.text.contains("invalid_grant"), "{}", reply.text);
            }
            for token in [&logged_out.1, &stolen.1, &of_a_revoked_key] {
                caller.me(token).await.expect("an answer").is(401);
            }
            // By a clock that is back where it was, it is what it was.
            if jump >= 0 {
                caller.me(&expired).await.expect("an answer").is(401);
            }
        }
        for caller in [&jumping_caller, &steady_caller] {
            let reply = caller.refresh(&live).await.expect("an answer").is(200);
            live = reply.word("refresh_token");
            caller.me(&reply.word("access_token")).await.expect("an answer").is(200);
        }
    }
    eprintln!("clock jumps: 5 by an hour, 0 violations");
    jumping.stop().await;
    steady.stop().await;
}
