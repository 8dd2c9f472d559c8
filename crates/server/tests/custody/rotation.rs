//! Wrapping all data keys anew: killed anywhere, by two at once, with broken rows, and the whole of it as an operator does it.

use std::sync::Arc;

use app::ports::keys::{KeyCommand, KeyFault, Keys};
use app::ports::store::{Retirement, SealedDataKey, Store};
use domain::audit::AuditEvent;
use domain::ids::TenantId;
use domain::keys::plan::Intent;
use domain::keys::policy::RotationNumbers;
use domain::time::Ttl;
use keys::kek::Kek;
use keys::{Custody, Rewrapped, rewrap_all};
use serde_json::{Value, json};
use server::Settings;
use testkit::sample::NOW;

use crate::failing::{Failing, Lives};
use crate::stage::{Backend, Place, by, custody, kek, node, on_both, refused, said, tenant, write_secret};

on_both! {
    killed_at_any_call_it_leaves_every_key_readable_and_the_next_run_ends_it,
    two_runners_share_the_work,
    a_row_that_does_not_open_is_left_and_counted,
    the_old_key_can_really_be_dropped,
    a_swapped_ciphertext_harms_its_owner_alone_and_is_named_everywhere,
    a_forced_policy_and_what_the_audit_log_says_of_it_are_written_together_or_not_at_all,
}

/// Every tenant signs with the keys that these custodians know.
async fn all_sign(place: &Place, custody: &Arc<Custody>, tenants: &[TenantId]) {
    // Connections of its own: those of an actor end with its thread.
    let store = place.store().await;
    let node = node(Arc::new(store.clone()), custody);
    for tenant in tenants {
        node.signer(*tenant, 0).await.map(|_| ()).unwrap_or_else(|fault| panic!("{tenant}: {fault}"));
    }
    node.installation_mac(b"").await.expect("the installation's own secrets");
    node.shutdown().await;
    let _ = store.database().close().await;
}

async fn under(store: &dyn Store, kek: &dyn Kek) -> u64 {
    let uses = store.begin_platform().await.expect("begins").kek_uses().await.expect("read");
    uses.iter().find(|used| used.kek_id == kek.id()).map_or(0, |used| used.data_keys)
}

/// Some tenants, and the installation, under one key.
async fn settled(place: &Place, custody: &Arc<Custody>, count: usize) -> Vec<TenantId> {
    let store = place.store().await;
    let node = node(Arc::new(store.clone()), custody);
    node.installation_mac(b"").await.expect("the installation's own secrets");
    let mut tenants = Vec::new();
    for _ in 0..count {
        tenants.push(tenant(&store, &node).await);
    }
    node.shutdown().await;
    let _ = store.database().close().await;
    tenants
}

async fn killed_at_any_call_it_leaves_every_key_readable_and_the_next_run_ends_it(backend: Backend) {
    let place = Place::new(backend).await;
    let inner = place.store().await;
    let store: Arc<dyn Store> = Arc::new(inner.clone());
    let mut old = kek();
    let tenants = settled(&place, &custody(&[&old]).await, 3).await;
    let mut deaths = 0;
    for dies_after_commit in [false, true] {
        for calls in 1.. {
            // From wherever the last round has left them to a key that is new in each round.
            let new = kek();
            let both = custody(&[&new, &old]).await;
            let lives = Lives::new(calls, dies_after_commit);
            let dying = Failing { inner: inner.clone(), lives: Arc::clone(&lives) };
            let outcome = rewrap_all(&dying, &both, &mut |_| {}).await;
            let died = lives.are_over();
            assert_eq!(outcome.is_err(), died, "call {calls}: {outcome:?}");
            all_sign(&place, &both, &tenants).await;
            if died {
                deaths += 1;
                rewrap_all(&*store, &both, &mut |_| {}).await.expect("the next run");
            }
            assert_eq!((under(&*store, &*new).await, under(&*store, &*old).await), (4, 0), "call {calls}");
            all_sign(&place, &custody(&[&new]).await, &tenants).await;
            old = new;
            if !died {
                break;
            }
        }
    }
    // Begin, page, begin, four writes, commit, begin, page: each of them twice.
    assert_eq!(deaths, 20);
}

async fn two_runners_share_the_work(backend: Backend) {
    let place = Place::new(backend).await;
    let store: Arc<dyn Store> = Arc::new(place.store().await);
    let (old, new) = (kek(), kek());
    let tenants = settled(&place, &custody(&[&old]).await, 40).await;
    let both = custody(&[&new, &old]).await;
    let runner = || {
        let (store, both) = (Arc::clone(&store), Arc::clone(&both));
        tokio::spawn(async move { rewrap_all(&*store, &both, &mut |_| {}).await.expect("no fault") })
    };
    let (a, b) = (runner(), runner());
    let (a, b) = (a.await.expect("no panic"), b.await.expect("no panic"));
    assert_eq!((a.done + b.done, a.failed + b.failed), (41, 0), "{a:?} {b:?}");
    assert_eq!(under(&*store, &*old).await, 0);
    all_sign(&place, &custody(&[&new]).await, &tenants).await;
}

async fn a_row_that_does_not_open_is_left_and_counted(backend: Backend) {
    let place = Place::new(backend).await;
    let store: Arc<dyn Store> = Arc::new(place.store().await);
    let (old, new) = (kek(), kek());
    let tenants = settled(&place, &custody(&[&old]).await, 3).await;
    // The second tenant's wrapped key is put into the first one's row, as its next version.
    let mut tx = store.begin_read(tenants[1]).await.expect("begins");
    let stolen = tx.data_key().await.expect("read").expect("there");
    drop(tx);
    let mut tx = store.begin(tenants[0]).await.expect("begins");
    let own = tx.data_key().await.expect("read").expect("there");
    tx.data_key_replace(&SealedDataKey { version: 2, sealed: stolen.sealed, ..own }).await.expect("swapped");
    tx.commit().await.expect("commits");

    let both = custody(&[&new, &old]).await;
    let expected = Rewrapped { done: 3, by_others: 0, failed: 1 };
    assert_eq!(rewrap_all(&*store, &both, &mut |_| {}).await, Ok(expected));
    assert_eq!(rewrap_all(&*store, &both, &mut |_| {}).await, Ok(Rewrapped { done: 0, by_others: 0, failed: 1 }));
    all_sign(&place, &both, &tenants[1..]).await;
    let node = node(Arc::clone(&store), &both);
    assert!(matches!(node.signer(tenants[0], 0).await, Err(KeyFault::Sealed(_))));
    node.shutdown().await;
    let mut tx = store.begin_platform().await.expect("begins");
    assert_eq!(tx.kek_retire(old.id(), NOW).await, Ok(Retirement::InUse(1)), "it may be mended yet");
}

/// A real server, driven by HTTP.
struct Site {
    running: server::Running,
    http: reqwest::Client,
    admin: String,
}

impl Site {
    async fn open(place: &Place) -> Self {
        let mut settings = Settings::defaults().expect("the defaults are good");
        let free = "127.0.0.1:0".parse().expect("an address");
        (settings.server.public_addr, settings.server.management_addr) = (free, free);
        settings.server.base_url.clear();
        settings.server.workers = 1;
        settings.server.shutdown_grace_seconds = 1;
        settings.database.url.clone_from(&place.url);
        settings.keys.kek_file = place.kek_file();
        settings.keys.rsa_pool = 0;
        settings.hashing.threads = 1;
        let running = server::start(settings).await.expect("the server starts");
        let admin = running.admin_token(Ttl::hours(1)).await.expect("a token");
        Self { running, http: reqwest::Client::builder().no_proxy().build().expect("a client"), admin }
    }

    async fn post(&self, path: &str, body: Value) -> Value {
        let request = self.http.post(format!("{}{path}", self.running.base_url)).bearer_auth(&self.admin).json(&body);
        let response = request.send().await.expect("an answer");
        let (status, text) = (response.status(), response.text().await.expect("a text"));
        assert!(status.is_success(), "{path}: {status} {text}");
        serde_json::from_str(&text).expect("JSON")
    }

    async fn tenant(&self, slug: &str) -> TenantId {
        let argon2 = json!({ "memory_kib": 7_168, "iterations": 5, "parallelism": 1 });
        let tenant = self.post("/admin/v1/tenants", json!({ "slug": slug, "name": slug, "policy": { "argon2": argon2 } })).await;
        let user = json!({ "username": "alice", "password": "wobbly-lantern-quartz-91-ferry" });
        self.post(&format!("/admin/v1/tenants/{slug}/users"), user).await;
        tenant["id"].as_str().expect("an id").parse().expect("a tenant's id")
    }

    async fn login(&self, slug: &str) -> String {
        let form = json!({ "username": "alice", "password": "wobbly-lantern-quartz-91-ferry" });
        let tokens = self.post(&format!("/t/{slug}/login"), form).await;
        tokens["refresh_token"].as_str().expect("a refresh token").to_owned()
    }

    async fn refresh(&self, slug: &str, token: &str) -> String {
        let form = [("grant_type", "refresh_token"), ("client_id", "first-party"), ("refresh_token", token)];
        let response =
            self.http.post(format!("{}/t/{slug}/oauth/token", self.running.base_url)).form(&form).send().await.expect("an answer");
        assert_eq!(response.status(), 200);
        let tokens: Value = response.json().await.expect("JSON");
        tokens["refresh_token"].as_str().expect("a refresh token").to_owned()
    }
}

async fn the_old_key_can_really_be_dropped(backend: Backend) {
    let place = Place::new(backend).await;
    let first = keys::kek::LocalKek::generate(&server::SystemEntropy);
    write_secret(&place.kek_file(), first.to_file_text().expose());
    let site = Site::open(&place).await;
    site.tenant("acme").await;
    site.tenant("globex").await;
    let token = site.login("acme").await;

    let status = said(place.claviger(&["kek", "status"]));
    assert!(status.contains("primary, works") && status.contains(first.id()), "{status}");
    let why = refused(place.claviger(&["kek", "retire", first.id()]));
    assert!(why.contains("is the primary"), "{why}");
    assert!(refused(place.claviger(&["kek", "retire", "stranger"])).contains("never seen"));

    // The server runs on, with the key it was started with.
    let rotated = match backend {
        Backend::Sqlite => said(place.claviger(&["kek", "rotate", "--new"])),
        Backend::Postgres => {
            assert!(refused(place.claviger(&["kek", "rotate", "--new"])).contains("every node must know"));
            let new = keys::kek::LocalKek::generate(&server::SystemEntropy);
            write_secret(&place.kek_file(), &format!("{}{}", new.to_file_text().expose(), first.to_file_text().expose()));
            said(place.claviger(&["kek", "rotate"]))
        }
    };
    assert!(rotated.contains("3 wrapped, 0 by other runners, 0 failed"), "{rotated}");
    let token = site.refresh("acme", &token).await;
    // A tenant that sleeps names a key that this node has not heard of: it looks again.
    site.login("globex").await;
    // A node that was told before the old key is retired makes no tenant under it any more.
    let left = said(place.claviger(&["kek", "rotate"]));
    assert!(left.contains(&format!("`claviger kek retire {}`", first.id())), "{left}");
    assert!(said(place.claviger(&["kek", "retire", first.id()])).contains("is retired"));
    site.tenant("initech").await;

    // Only the new key is there, and after a restart, too.
    let lines = std::fs::read_to_string(place.kek_file()).expect("the key file");
    let (new, old) = lines.split_once('\n').expect("two keys");
    assert!(old.contains(first.id()) && !new.contains(first.id()));
    write_secret(&place.kek_file(), new);
    site.running.stop().await;
    let site = Site::open(&place).await;
    let token = site.refresh("acme", &token).await;
    site.login("globex").await;
    site.login("initech").await;
    // Who puts the retired key back to the top is told so at once.
    write_secret(&place.kek_file(), &format!("{}{new}", first.to_file_text().expose()));
    assert!(refused(place.claviger(&["kek", "rotate"])).contains("was retired"));
    write_secret(&place.kek_file(), new);
    site.post("/admin/v1/tenants/acme/keys/rotate", json!({ "emergency": true })).await;
    site.refresh("acme", &token).await;
    site.running.stop().await;
    let doctor = said(place.claviger(&["doctor"]));
    assert!(doctor.contains("the secrets of 3 tenants and of the installation open"), "{doctor}");
}

async fn a_forced_policy_and_what_the_audit_log_says_of_it_are_written_together_or_not_at_all(backend: Backend) {
    let place = Place::new(backend).await;
    let store = place.store().await;
    let custody = custody(&[&kek()]).await;
    let whole = node(Arc::new(store.clone()), &custody);
    let event = AuditEvent::ClientsStranded { clients: 3, lost: vec!["profile".to_owned()] };
    let (mut deaths, mut calls) = (0, 0);
    loop {
        calls += 1;
        let owner = tenant(&store, &whole).await;
        let before = whole.published(owner).await.expect("published").ring.numbers.clone();
        let numbers = RotationNumbers { lead_seconds: before.lead_seconds.plus(Ttl::hours(1)), ..before.clone() };
        let lives = Lives::new(calls, false);
        let dying = node(Arc::new(Failing { inner: store.clone(), lives: Arc::clone(&lives) }), &custody);
        let command = KeyCommand::ChangePolicy { numbers: numbers.clone(), event: Some(event.clone()) };
        let outcome = dying.execute(owner, command, by()).await;
        dying.shutdown().await;
        let mut tx = store.begin_read(owner).await.expect("begins");
        let adopted = tx.ring().await.expect("read").expect("there").numbers;
        let told = tx.audit_page(None, 100).await.expect("read").into_iter().filter(|record| record.event == event).count();
        drop(tx);
        assert_eq!(outcome.is_err(), lives.are_over(), "call {calls}: {outcome:?}");
        let wanted = if outcome.is_ok() { (numbers, 1) } else { (before, 0) };
        assert_eq!((adopted, told), wanted, "call {calls}");
        if outcome.is_ok() {
            break;
        }
        deaths += 1;
    }
    // Begin, what it stands on, begin, the ring, what the policy and the clients are said to be, commit: it died at each of them.
    assert!(deaths >= 8, "{deaths}");
    whole.shutdown().await;
}

#[test]
fn a_change_of_keys_while_everything_is_wrapped_anew_loses_nothing() {
    crate::stage::play(
        async |backend| {
            let place = Place::new(backend).await;
            let store: Arc<dyn Store> = Arc::new(place.store().await);
            let (old, new) = (kek(), kek());
            let tenants = settled(&place, &custody(&[&old]).await, 12).await;
            let both = custody(&[&new, &old]).await;
            // One node knows the old key as its primary one still.
            let elsewhere = node(Arc::new(place.store().await), &custody(&[&old, &new]).await);
            let rotating = {
                let (store, both) = (Arc::clone(&store), Arc::clone(&both));
                tokio::spawn(async move { rewrap_all(&*store, &both, &mut |_| {}).await })
            };
            let emergency = |tenant| elsewhere.execute(tenant, KeyCommand::Plan(Intent::Emergency { reason: "leaked".to_owned() }), by());
            for changed in futures_util::future::join_all(tenants.iter().map(|tenant| emergency(*tenant))).await {
                assert!(changed.expect("changed").changed);
            }
            rotating.await.expect("no panic").expect("wrapped");
            elsewhere.shutdown().await;
            all_sign(&place, &custody(&[&new]).await, &tenants).await;
        },
        Backend::Postgres,
    );
}

async fn a_swapped_ciphertext_harms_its_owner_alone_and_is_named_everywhere(backend: Backend) {
    let place = Place::new(backend).await;
    write_secret(&place.kek_file(), keys::kek::LocalKek::generate(&server::SystemEntropy).to_file_text().expose());
    let site = Site::open(&place).await;
    let (broken, whole) = (site.tenant("acme").await, site.tenant("globex").await);
    site.running.stop().await;

    // A secret of one tenant is put into the row of the other's secret of the same name.
    let store = place.store().await;
    let mut tx = store.begin_read(whole).await.expect("begins");
    let secrets = tx.sealed_secrets().await.expect("read");
    let stolen = secrets.iter().find(|secret| secret.name == "refresh-token/1").expect("there");
    drop(tx);
    let mut tx = store.begin(broken).await.expect("begins");
    tx.secret_replace(stolen).await.expect("swapped");
    tx.commit().await.expect("commits");
    store.database().close().await.expect("closed");

    let site = Site::open(&place).await;
    let form = json!({ "username": "alice", "password": "wobbly-lantern-quartz-91-ferry" });
    let refused_login = site.http.post(format!("{}/t/acme/login", site.running.base_url)).json(&form).send().await.expect("an answer");
    assert_eq!(refused_login.status(), 500);
    assert!(!refused_login.text().await.expect("a text").contains("refresh-token"), "the detail is for the operator");
    let token = site.login("globex").await;
    site.refresh("globex", &token).await;
    let managed = async |path: &str| {
        let response = site.http.get(format!("{}{path}", site.running.management_url)).send().await.expect("an answer");
        (response.status().as_u16(), response.text().await.expect("a text"))
    };
    let (status, ready) = managed("/health/ready").await;
    assert_eq!(status, 200, "the node serves everybody else");
    assert_eq!(serde_json::from_str::<Value>(&ready).expect("JSON")["sealed_away"], json!([broken]));
    assert!(managed("/metrics").await.1.contains("claviger_key_sealed_away_tenants 1\n"));
    site.running.stop().await;
    let doctor = place.claviger(&["doctor"]);
    let text = String::from_utf8_lossy(&doctor.stdout).into_owned();
    assert!(!doctor.status.success() && text.contains("1 tenants open, 1 do not") && text.contains(&broken.to_string()), "{text}");
}

/// A process that does not outlive its test.
struct Running(std::process::Child);

impl Drop for Running {
    fn drop(&mut self) {
        // Gone already, where the test went well.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_hangup_makes_a_running_node_read_its_list_again() {
    use std::io::{BufRead, BufReader};
    use std::process::{Command, Stdio};
    crate::stage::play(
        async |backend| {
            let place = Place::new(backend).await;
            let (old, new) = (keys::kek::LocalKek::generate(&server::SystemEntropy), keys::kek::LocalKek::generate(&server::SystemEntropy));
            write_secret(&place.kek_file(), old.to_file_text().expose());
            let mut node = Command::new(env!("CARGO_BIN_EXE_claviger"))
                .arg("serve")
                .env("CLAVIGER__DATABASE__URL", &place.url)
                .env("CLAVIGER__KEYS__KEK_FILE", place.kek_file())
                .env("CLAVIGER__KEYS__RSA_POOL", "0")
                .env("CLAVIGER__SERVER__PUBLIC_ADDR", "127.0.0.1:0")
                .env("CLAVIGER__SERVER__MANAGEMENT_ADDR", "127.0.0.1:0")
                .stderr(Stdio::piped())
                .spawn()
                .map(Running)
                .expect("claviger starts");
            let mut lines = BufReader::new(node.0.stderr.take().expect("a pipe")).lines();
            let mut until =
                |word: &str| lines.find_map(|line| line.ok().filter(|line| line.contains(word))).unwrap_or_else(|| panic!("no `{word}`"));
            let tell = |signal: &str| {
                let told = Command::new("kill").args([signal, &node.0.id().to_string()]).status();
                assert!(told.expect("kill runs").success());
            };
            until("health and metrics");
            write_secret(&place.kek_file(), &format!("{}{}", new.to_file_text().expose(), old.to_file_text().expose()));
            tell("-HUP");
            let said = until("was read again");
            assert!(said.contains(new.id()) && said.contains(old.id()), "{said}");
            write_secret(&place.kek_file(), "junk");
            tell("-HUP");
            until("the ones before stay");
            tell("-TERM");
            assert!(node.0.wait().expect("ends").success());
        },
        Backend::Sqlite,
    );
}
