//! Two nodes on one PostgreSQL: one of them is always there, and it makes no difference which.

use std::time::{Duration, Instant};

use futures_util::future::join_all;

use crate::caller::TENANT;
use crate::chance::{self, Chance};
use crate::crowd::Crowd;
use crate::issuer::Issuer;
use crate::node::{Node, Site};

const CLIENTS: u64 = 8;

/// SIGKILL hits the nodes in turn. A client that gets no answer asks the other node, once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_nodes_one_may_always_be_killed_and_a_client_with_one_retry_notices_nothing() {
    let (crashes, between) = if chance::is_long() { (60, Duration::from_secs(10)) } else { (8, Duration::from_millis(1_500)) };
    let seed = chance::seed();
    let chance = Chance::new(seed);
    let site = Site::postgres(&testkit::postgres::fresh_database().await);
    site.tenants_of_an_hour_ago(&[TENANT]).await;
    let mut nodes = [Some(site.start().await), Some(site.start().await)];
    let admin_token = site.admin_token();
    let callers = nodes.iter().flatten().map(Node::caller).collect();
    let mut crowd = Crowd::gather(CLIENTS, callers, &admin_token, &chance).await;
    let (doors, ledger, score) = (crowd.doors.clone(), crowd.ledger.clone(), crowd.score.clone());
    let mut away = Duration::ZERO;
    crowd
        .works_while(async {
            for crash in 0..crashes {
                tokio::time::sleep(between + Duration::from_micros(chance.below(500_000))).await; // How often is what is tried.
                // Of two nodes one may be killed: whoever still asks the second one because of the last crash gets the answer first.
                score.nobody_retries().await;
                let victim = crash % 2;
                nodes[victim].take().expect("it runs").kill().await;
                let killed = Instant::now();
                let node = site.start().await;
                ledger.check_keys(&node.caller(), &chance).await;
                doors.moved(victim, node.caller());
                away += killed.elapsed();
                nodes[victim] = Some(node);
            }
        })
        .await;
    let ended = crowd.check().await;
    crowd.report("two nodes, kill -9 in turn", seed, crashes as u64);
    eprintln!("a node was away for {:?} on average", away / u32::try_from(crashes).expect("few"));
    crowd.insists_on_its_books(seed);
    let (done, failed) = (crowd.score.done(), crowd.score.failed());
    assert!(failed * 10_000 <= done, "seed {seed}: {failed} of {done} deeds had no answer at either node");
    assert!(crowd.score.retried() > 0, "no client has noticed a crash, so nothing was shown");
    assert!(ended > 0, "no session was ended, so nothing was shown about those");
    for node in nodes.into_iter().flatten() {
        node.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_nodes_that_rotate_one_tenant_at_once_make_one_key_and_verify_each_others_tokens() {
    // A ring has room for three new keys within a minute, so that rounds are had by tenants.
    let (batches, tenants, rounds) = if chance::is_long() { (12, 20, 3) } else { (1, 12, 3) };
    let site = Site::postgres(&testkit::postgres::fresh_database().await);
    let names: Vec<String> = (0..batches * tenants).map(|number| format!("t{number}")).collect();
    site.tenants_of_an_hour_ago(&names.iter().map(String::as_str).collect::<Vec<_>>()).await;
    let nodes = [site.start().await, site.start().await];
    let admin_token = site.admin_token();
    let mut all = 0;
    for batch in names.chunks(tenants) {
        let callers = || [0, 1].map(|at: usize| nodes[at].caller().bearing(&admin_token));
        let mut rotated = join_all(batch.iter().map(|name| Issuer::new(name, callers()))).await;
        let fetching: Vec<_> = rotated.iter().flat_map(Issuer::verifiers_fetch).collect();
        for _ in 0..rounds {
            join_all(rotated.iter_mut().map(Issuer::is_rotated_at_both_nodes)).await;
            all += tenants;
        }
        fetching.iter().for_each(tokio::task::JoinHandle::abort);
        let (mut tokens, mut pairs) = (0, 0);
        for tenant in &rotated {
            let (compared, breaches) = tenant.caches.compare();
            assert!(breaches.is_empty(), "{breaches:#?}");
            assert_eq!(tenant.unknown_keys(), [""; 0], "no key was served that the ring does not know");
            assert!(compared.keys > rounds, "{} keys were served", compared.keys);
            assert!(tenant.caches.kids().contains(tenant.kid()));
            (tokens, pairs) = (tokens + compared.tokens, pairs + compared.pairs);
        }
        eprintln!("two nodes rotate at once: {all} rounds, {tokens} tokens against cached JWKS ({pairs} pairs), 0 violations");
        assert!(pairs > tokens, "each token is held against the JWKS of both nodes");
    }
    for node in nodes {
        node.stop().await;
    }
}
