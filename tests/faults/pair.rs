//! Two nodes on one PostgreSQL: one of them is always there, and it makes no difference which.

use std::time::{Duration, Instant};

use crate::chance::{self, Chance};
use crate::crowd::Crowd;
use crate::node::{Node, Site};

const CLIENTS: u64 = 8;

/// SIGKILL hits the nodes in turn. A client that gets no answer asks the other node, once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_nodes_one_may_always_be_killed_and_a_client_with_one_retry_notices_nothing() {
    let (crashes, between) = if chance::is_long() { (60, Duration::from_secs(10)) } else { (8, Duration::from_millis(1_500)) };
    let seed = chance::seed();
    let chance = Chance::new(seed);
    let site = Site::postgres(&testkit::postgres::fresh_database().await);
    let mut nodes = [Some(site.start().await), Some(site.start().await)];
    let admin_token = site.admin_token();
    let callers = nodes.iter().flatten().map(Node::caller).collect();
    let mut crowd = Crowd::gather(CLIENTS, callers, &admin_token, &chance).await;
    let (doors, ledger) = (crowd.doors.clone(), crowd.ledger.clone());
    let mut away = Duration::ZERO;
    crowd
        .works_while(async {
            for crash in 0..crashes {
                tokio::time::sleep(between + Duration::from_micros(chance.below(500_000))).await; // How often is what is tried.
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
