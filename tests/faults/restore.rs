//! A database that is set back to a backup: what has ended since stays at an end, once `claviger after-restore` was run.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::json;
use testkit::postgres::{Durability, Postgres};

use crate::caller::{Caller, TENANT};
use crate::node::Site;

/// A backup, and where it belongs.
enum Backup {
    SqliteFile { database: PathBuf, copy: PathBuf },
    PostgresDump { server: Postgres, url: String, file: PathBuf },
}

impl Backup {
    fn take(&self) {
        match self {
            Self::SqliteFile { database, copy } => std::fs::copy(database, copy).map(|_| ()).expect("copied"),
            Self::PostgresDump { server, url, file } => tokio::task::block_in_place(|| server.back_up(url, file)),
        }
    }

    fn bring_back(&self) {
        match self {
            Self::SqliteFile { database, copy } => {
                for log in ["-wal", "-shm"] {
                    // There is none when the server was stopped in order.
                    let _ = std::fs::remove_file(format!("{}{log}", database.display()));
                }
                std::fs::copy(copy, database).map(|_| ()).expect("copied");
            }
            Self::PostgresDump { server, url, file } => tokio::task::block_in_place(|| server.restore(url, file)),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_that_ended_since_the_backup_comes_back_to_life_on_sqlite() {
    let site = Site::sqlite();
    let database = site.data().join("claviger.db");
    let copy = site.data().join("backup.db");
    run(&site, &Backup::SqliteFile { database, copy }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_that_ended_since_the_backup_comes_back_to_life_on_postgres() {
    let (server, url) = tokio::task::spawn_blocking(|| {
        let server = Postgres::start(Durability::None);
        let url = server.fresh_database();
        (server, url)
    })
    .await
    .expect("PostgreSQL starts");
    let site = Site::postgres(&url);
    let file = site.data().join("backup.dump");
    run(&site, &Backup::PostgresDump { server, url, file }).await;
}

/// A session as its client knows it: all refresh tokens, the newest last.
struct Session {
    refresh_tokens: Vec<String>,
    access_token: String,
}

impl Session {
    async fn new(caller: &Caller) -> Self {
        let reply = caller.login("alice").await.expect("an answer").is(200);
        let mut session = Self { refresh_tokens: vec![reply.word("refresh_token")], access_token: String::new() };
        session.refresh(caller).await;
        session
    }

    fn head(&self) -> &str {
        self.refresh_tokens.last().expect("there is one")
    }

    async fn refresh(&mut self, caller: &Caller) {
        let reply = caller.refresh(self.head()).await.expect("an answer").is(200);
        self.refresh_tokens.push(reply.word("refresh_token"));
        self.access_token = reply.word("access_token");
    }

    async fn is_over(&self, caller: &Caller) {
        for token in self.refresh_tokens.iter().rev() {
            let reply = caller.refresh(token).await.expect("an answer").is(400);
            assert!(reply.text.contains("invalid_grant"), "{}", reply.text);
        }
        caller.me(&self.access_token).await.expect("an answer").is(401);
    }
}

async fn kids(caller: &Caller) -> Vec<String> {
    let jwks = caller.jwks().await.expect("an answer").is(200).json();
    jwks["keys"].as_array().expect("keys").iter().map(|key| key["kid"].as_str().expect("a kid").to_owned()).collect()
}

async fn run(site: &Site, backup: &Backup) {
    site.tenants_of_an_hour_ago(&[TENANT]).await;
    let admin_token = site.admin_token();
    let node = site.start().await;
    let caller = node.caller();
    caller.bearing(&admin_token).make_user("alice").await;
    let mut goes_on = Session::new(&caller).await;
    let mut is_ahead = Session::new(&caller).await;
    let (logged_out, stolen) = (Session::new(&caller).await, Session::new(&caller).await);
    let kids_then = kids(&caller).await;
    node.stop().await;
    backup.take();

    // What the backup will have forgotten.
    let node = site.start().await;
    let caller = node.caller();
    let admin = caller.bearing(&admin_token);
    goes_on.refresh(&caller).await;
    is_ahead.refresh(&caller).await;
    caller.logout(logged_out.head()).await.expect("an answer").is(204);
    let mut thief = stolen.head().to_owned();
    for _ in 0..6 {
        thief = caller.refresh(&thief).await.expect("an answer").is(200).word("refresh_token");
    }
    caller.refresh(stolen.head()).await.expect("an answer").is(400);
    admin.post(&admin.admin_path("keys/rotate"), json!({ "emergency": true })).await.expect("an answer").is(202);
    admin.post(&admin.admin_path("keys/token-secret/rotate"), json!({})).await.expect("an answer").is(200);
    goes_on.refresh(&caller).await;
    let later = Session::new(&caller).await;
    let kids_since = kids(&caller).await;
    node.stop().await;
    backup.bring_back();

    // A token that is newer than the database is proof, is said so, and is not answered.
    let node = site.start().await;
    let caller = node.caller();
    let admin = caller.bearing(&admin_token);
    is_ahead.is_over(&caller).await;
    assert!(node.last_words().contains("claviger after-restore"), "nobody was told: {}", node.last_words());
    // Why the command is needed: this one cannot be told from an honest one.
    let revived = caller.refresh(logged_out.head()).await.expect("an answer").is(200).word("refresh_token");
    assert_eq!(kids(&caller).await, kids_then, "a key that was revoked is published again");

    // Beside the running node.
    let output = site.run(&["after-restore"]);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.contains("1 tenants: 3 sessions were ended, the keys of 1 tenants were replaced"), "{said}");
    caller.refresh(&revived).await.expect("an answer").is(400);
    for session in [&goes_on, &is_ahead, &logged_out, &stolen, &later] {
        session.is_over(&caller).await;
    }
    let begun = Instant::now();
    let kids_now = loop {
        let kids = kids(&caller).await;
        if kids != kids_then {
            break kids;
        }
        assert!(begun.elapsed() < Duration::from_secs(10), "the node does not hear of the new keys");
        tokio::time::sleep(Duration::from_millis(50)).await; // A verifier's pace.
    };
    assert!(!kids_now.is_empty() && kids_now.iter().all(|kid| !kids_then.contains(kid) && !kids_since.contains(kid)), "{kids_now:?}");
    let events = admin.get(&admin.admin_path("events")).await.expect("an answer").is(200);
    assert!(events.text.contains("database_restored"), "{}", events.text);

    // Life goes on, and running it again for the same moment ends nothing of it.
    let mut new = Session::new(&caller).await;
    let moment = said.split_once("--restored-at ").and_then(|(_, rest)| rest.split_whitespace().next()).expect("it says how to go on");
    let again = site.run(&["after-restore", "--restored-at", moment]);
    let said = String::from_utf8_lossy(&again.stdout).into_owned();
    assert!(said.contains("1 tenants: 0 sessions were ended, the keys of 0 tenants were replaced"), "{said}");
    new.refresh(&caller).await;
    caller.me(&new.access_token).await.expect("an answer").is(200);
    assert_eq!(kids(&caller).await, kids_now);
    node.stop().await;
}
