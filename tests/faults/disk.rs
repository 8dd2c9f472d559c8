//! A full disk, under SQLite, and one that fails. A limit on the size of files stands for the full one: it needs no rights and no file system of its own.

use std::process::Command;

use crate::caller::{Caller, Reply, TENANT};
use crate::chance::{self, Chance};
use crate::node::{Node, Site};

/// What there is room for: each file may become this much larger than the database is.
const ROOM: u64 = 1_000_000;

/// Blocks that `ulimit -f` counts in: 512 bytes, as POSIX has it.
fn blocks(bytes: u64) -> u64 {
    bytes.div_ceil(512)
}

/// Gives the node a disk without end again.
fn lift_limit(node: &Node) {
    let status = Command::new("prlimit").args(["--fsize=unlimited:", "--pid", &node.pid()]).status().expect("prlimit runs");
    assert!(status.success());
}

/// What was acknowledged on the way to the full disk.
struct Filled {
    /// The newest token of a session that was refreshed all the time.
    token: String,
    /// Tokens of sessions that nobody has ended.
    living: Vec<String>,
    /// Tokens of sessions that were ended.
    ended: Vec<String>,
    refreshes: u64,
}

/// Writes until nothing can be written any more: neither a refresh, nor a login, nor a revocation.
async fn fill(caller: &Caller) -> Filled {
    let login = async || caller.login("alice").await.expect("an answer");
    let token = login().await.is(200).word("refresh_token");
    let mut living = Vec::new();
    for _ in 0..4 {
        living.push(login().await.is(200).word("refresh_token"));
    }
    let mut filled = Filled { token, living, ended: Vec::new(), refreshes: 0 };
    for _ in 0..10_000 {
        let refresh = caller.refresh(&filled.token).await.expect("an answer");
        let refresh_is_refused = refused(&refresh, "temporarily_unavailable");
        if !refresh_is_refused {
            filled.refreshes += 1;
            filled.token = refresh.is(200).word("refresh_token");
        }
        let login = login().await;
        let login_is_refused = refused(&login, "unavailable");
        if !login_is_refused {
            filled.living.push(login.is(200).word("refresh_token"));
        }
        let token = filled.living.pop().expect("one more than is needed");
        let revocation_is_refused = refused(&caller.revoke(&token).await.expect("an answer"), "temporarily_unavailable");
        if revocation_is_refused {
            filled.living.push(token)
        } else {
            filled.ended.push(token)
        }
        if refresh_is_refused && login_is_refused && revocation_is_refused {
            return filled;
        }
    }
    panic!("the disk does not fill up");
}

/// Whether it was a clear 503.
fn refused(reply: &Reply, word: &str) -> bool {
    if reply.status != 503 {
        return false;
    }
    assert!(reply.text.contains(word) && reply.text.contains("try again"), "{}", reply.text);
    assert!(!reply.header("retry-after").is_empty(), "{}", reply.text);
    true
}

/// A used installation whose server has only a little room left; and the administrator's token.
async fn on_a_small_disk() -> (Site, String, Node) {
    let site = Site::sqlite();
    let node = site.start().await;
    let admin_token = site.admin_token();
    let admin = node.caller().bearing(&admin_token);
    admin.make_tenant().await;
    admin.make_user("alice").await;
    node.stop().await;
    let size = std::fs::metadata(site.data().join("claviger.db")).expect("a database").len();
    // A write beyond the limit is to be an error, as on a full disk, and not the signal that would end the process.
    let limits = format!("trap '' XFSZ && ulimit -S -f {}", blocks(size + ROOM));
    let node = site.start_limited(&limits).await.unwrap_or_else(|ended| panic!("{}: {}", ended.status, ended.log));
    (site, admin_token, node)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_refuses_writes_serves_reads_and_loses_nothing() {
    let (site, admin_token, node) = on_a_small_disk().await;
    let caller = node.caller();
    let access_token = caller.login("alice").await.expect("an answer").is(200).word("access_token");
    let filled = fill(&caller).await;
    eprintln!("full after {} refreshes", filled.refreshes);
    assert!(filled.refreshes > 3, "that was no test of a disk that fills up");
    caller.jwks().await.expect("an answer").is(200);
    caller.me(&access_token).await.expect("an answer").is(200);
    let admin = caller.bearing(&admin_token);
    admin.get(&format!("/admin/v1/tenants/{TENANT}/users")).await.expect("an answer").is(200);

    // Room again: it goes on by itself.
    lift_limit(&node);
    let token = caller.refresh(&filled.token).await.expect("an answer").is(200).word("refresh_token");
    for living in &filled.living {
        caller.revoke(living).await.expect("an answer").is(200);
    }
    node.kill().await;

    let node = site.start().await;
    let next = node.caller().refresh(&token).await.expect("an answer").is(200).word("refresh_token");
    node.caller().refresh(&next).await.expect("an answer").is(200);
    for ended in filled.ended.iter().chain(&filled.living) {
        node.caller().refresh(ended).await.expect("an answer").is(400);
    }
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crash_on_a_full_disk_loses_nothing_that_was_acknowledged() {
    let (site, _, node) = on_a_small_disk().await;
    let caller = node.caller();
    let filled = fill(&caller).await;
    node.kill().await;

    let node = site.start().await;
    for living in filled.living.iter().chain([&filled.token]) {
        node.caller().refresh(living).await.expect("an answer").is(200);
    }
    for ended in &filled.ended {
        node.caller().refresh(ended).await.expect("an answer").is(400);
    }
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_cannot_be_flushed_refuses_writes_until_a_restart_and_loses_nothing() {
    let site = Site::with_power_cuts();
    let node = site.start().await;
    let admin_token = site.admin_token();
    let admin = node.caller().bearing(&admin_token);
    admin.make_tenant().await;
    admin.make_user("alice").await;
    let caller = node.caller();
    let login = caller.login("alice").await.expect("an answer").is(200);
    let (access_token, first) = (login.word("access_token"), login.word("refresh_token"));
    let token = caller.refresh(&first).await.expect("an answer").is(200).word("refresh_token");
    let ended = caller.login("alice").await.expect("an answer").is(200).word("refresh_token");
    caller.revoke(&ended).await.expect("an answer").is(200);

    let disk = site.power().expect("it can be cut");
    disk.breaks_the_disk();
    for _ in 0..3 {
        assert!(refused(&caller.refresh(&token).await.expect("an answer"), "temporarily_unavailable"));
    }
    // It works again, and that proves nothing about what was written in between.
    disk.mends_the_disk();
    assert!(refused(&caller.refresh(&token).await.expect("an answer"), "temporarily_unavailable"));
    assert!(refused(&caller.login("alice").await.expect("an answer"), "unavailable"));
    assert!(refused(&caller.revoke(&token).await.expect("an answer"), "temporarily_unavailable"));
    node.management().get("/health/ready").await.expect("an answer").is(503);
    caller.jwks().await.expect("an answer").is(200);
    caller.me(&access_token).await.expect("an answer").is(200);
    assert!(node.last_words().contains("until a restart"), "{}", node.last_words());
    node.kill().await;
    site.power_fails(&Chance::new(chance::seed()));

    let node = site.start().await;
    let next = node.caller().refresh(&token).await.expect("an answer").is(200).word("refresh_token");
    node.caller().refresh(&next).await.expect("an answer").is(200);
    node.caller().refresh(&ended).await.expect("an answer").is(400);
    node.stop().await;
}
