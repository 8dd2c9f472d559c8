//! Two releases beside each other: a program meets the schema of a later one, and nodes are replaced one after the other.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, RwLock};
use std::time::Duration;

use serde_json::json;
use sqlx::{AssertSqlSafe, Connection};

use crate::caller::{Answered, Caller, TENANT};
use crate::node::{Node, Site};

/// What a later release leaves behind that has only added: as its `claviger migrate` would, whose program does not exist yet.
const EXPANDED: [&str; 3] = [
    "ALTER TABLE users ADD COLUMN locale text NOT NULL DEFAULT 'en'",
    "ALTER TABLE refresh_families ADD COLUMN device text",
    "ALTER TABLE tenants ADD COLUMN plan text",
];

/// And one that has taken away what the program before it needs.
const CONTRACTED: [&str; 1] = ["ALTER TABLE users DROP COLUMN phc"];

/// Takes such steps, each in its transaction; afterwards `lowest` is the lowest level that may run there.
async fn leave_behind(url: &str, steps: &[&str], lowest: &str) {
    macro_rules! with {
        ($connection:ident) => {{
            let mut connection = sqlx::$connection::connect(url).await.expect("connected");
            for step in steps {
                let mut tx = connection.begin().await.expect("begins");
                let taken = "INSERT INTO seaql_migrations (version, applied_at) SELECT 'later-' || level, 0 FROM schema_level";
                let level = format!("UPDATE schema_level SET level = level + 1, lowest = {lowest}");
                for sql in [*step, taken, &level] {
                    sqlx::query(AssertSqlSafe(sql)).execute(&mut *tx).await.expect("carried out");
                }
                tx.commit().await.expect("commits");
            }
            connection.close().await.expect("closed");
        }};
    }
    if url.starts_with("sqlite:") { with!(SqliteConnection) } else { with!(PgConnection) }
}

/// A command's exit code, and all it said.
fn said(site: &Site, arguments: &[&str]) -> (Option<i32>, String) {
    let output = site.run(arguments);
    let text = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    (output.status.code(), text)
}

async fn a_later_release_was_here(site: Site, url: &str) {
    let node = site.start().await;
    let admin = node.caller().bearing(&site.admin_token());
    admin.make_tenant().await;
    admin.make_user("alice").await;
    let token = node.caller().login("alice").await.expect("an answer").is(200).word("refresh_token");

    // While it runs, and after a restart.
    leave_behind(url, &EXPANDED, "lowest").await;
    let token = node.caller().refresh(&token).await.expect("an answer").is(200).word("refresh_token");
    node.stop().await;
    let node = site.start().await;
    let token = node.caller().refresh(&token).await.expect("an answer").is(200).word("refresh_token");
    node.caller().login("alice").await.expect("an answer").is(200);
    node.caller().bearing(&site.admin_token()).make_user("bob").await;
    node.caller().login("bob").await.expect("an answer").is(200);
    let (code, doctor) = said(&site, &["doctor"]);
    assert!(code == Some(0) && doctor.contains("of a later release; this one may run on it"), "{doctor}");
    assert_eq!(said(&site, &["migrate"]).0, Some(0), "there is nothing to do");
    node.caller().refresh(&token).await.expect("an answer").is(200);
    node.stop().await;

    leave_behind(url, &CONTRACTED, "level + 1").await;
    let refused = site.try_start().await.expect_err("it must not serve");
    assert_eq!(refused.status.code(), Some(1), "{}", refused.log);
    for log in [refused.log, said(&site, &["doctor"]).1, said(&site, &["migrate"]).1, said(&site, &["admin", "token"]).1] {
        assert!(log.contains("this program is too old for the database") && log.contains("install that release"), "{log}");
        assert!(!log.contains("panicked"), "{log}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_runs_on_the_schema_of_a_later_release_for_as_long_as_that_says_so_on_sqlite() {
    let site = Site::sqlite();
    let url = format!("sqlite:{}", site.data().join("claviger.db").display());
    a_later_release_was_here(site, &url).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_runs_on_the_schema_of_a_later_release_for_as_long_as_that_says_so_on_postgres() {
    let url = testkit::postgres::fresh_database().await;
    a_later_release_was_here(Site::postgres(&url), &url).await;
}

/// A node meets documents that one of the next release has written, with members that it does not know.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_next_release_has_written_survives_this_one_and_is_not_used_where_it_says_so() {
    let site = Site::sqlite();
    let node = site.start().await;
    let admin = node.caller().bearing(&site.admin_token());
    admin.make_tenant().await;
    admin.of("other").make_tenant().await;
    admin.make_user("alice").await;
    let tenant = format!("/admin/v1/tenants/{TENANT}");
    let made = |reply: Answered| reply.expect("an answer").is(201);
    let client_form = json!({ "redirect_uris": ["https://app.example/cb"] });
    let client = made(admin.post(&format!("{tenant}/clients"), client_form).await).word("client_id");
    let api_form = json!({ "identifier": "urn:orders", "name": "Orders" });
    let api = made(admin.post(&format!("{tenant}/resources"), api_form).await).word("id");
    let issuer = json!({
        "issuer": "https://partner.example", "jwks_uri": "https://partner.example/jwks", "signing_algs": ["ES256"], "subject_is": "email",
        "scope": "orders", "clients": [client],
    });
    let trusted = made(admin.post(&format!("{tenant}/trusted-issuers"), issuer.clone()).await).word("id");
    admin.put(&format!("{tenant}/branding"), json!({ "corners": "soft" })).await.expect("an answer").is(200);
    let token = node.caller().login("alice").await.expect("an answer").is(200).word("refresh_token");

    let mut database =
        sqlx::SqliteConnection::connect(&format!("sqlite:{}", site.data().join("claviger.db").display())).await.expect("connected");
    let of = "(SELECT id FROM tenants WHERE slug = 'acme')";
    let places = [
        ("tenants", "policy", "id"),
        ("clients", "settings", "tenant_id"),
        ("resources", "settings", "tenant_id"),
        ("trusted_issuers", "settings", "tenant_id"),
        ("tenant_branding", "branding", "tenant_id"),
        ("key_rings", "ring", "tenant_id"),
    ];
    for (table, column, key) in places {
        let sql = format!("UPDATE {table} SET {column} = json_set({column}, '$.of_a_later_release', json('[1]')) WHERE {key} = {of}");
        sqlx::query(AssertSqlSafe(sql)).execute(&mut database).await.expect("written");
    }
    // Everything goes on, and everything can be changed.
    let token = node.caller().refresh(&token).await.expect("an answer").is(200).word("refresh_token");
    let changed = |reply: Answered| reply.expect("an answer").is(200);
    changed(admin.patch(&tenant, json!({ "policy": { "require_dpop_nonce": true } })).await);
    let form = json!({ "redirect_uris": ["https://app.example/cb"], "client_name": "Shop" });
    changed(admin.put(&format!("{tenant}/clients/{client}"), form).await);
    changed(admin.put(&format!("{tenant}/resources/{api}"), json!({ "identifier": "urn:orders", "name": "More orders" })).await);
    let mut form = issuer;
    form["scope"] = json!("orders:read");
    changed(admin.put(&format!("{tenant}/trusted-issuers/{trusted}"), form).await);
    changed(admin.put(&format!("{tenant}/branding"), json!({ "corners": "round" })).await);
    let keys = json!({ "algs": ["ES256", "EdDSA"], "jwks_max_age_seconds": 1, "lead_seconds": 2, "token_ttl_cap_seconds": 60, "overlap_seconds": 61 });
    changed(admin.put(&format!("{tenant}/keys/policy"), keys).await);
    for (table, column, key) in places {
        let sql = format!("SELECT json_extract({column}, '$.of_a_later_release'), {column} FROM {table} WHERE {key} = {of}");
        let (kept, document): (Option<String>, String) = sqlx::query_as(AssertSqlSafe(sql)).fetch_one(&mut database).await.expect("read");
        assert_eq!(kept.as_deref(), Some("[1]"), "{table}: {document}");
    }
    // From outside nothing unknown is taken.
    let refused = admin.patch(&tenant, json!({ "policy": { "of_a_later_release": [1] } })).await.expect("an answer").is(400);
    assert_eq!(refused.word("code"), "bad_request");

    // The next release restricts something that this one knows nothing of.
    let needs = format!("UPDATE tenants SET policy = '{{\"needs\":4000000000,' || substr(policy, 2) WHERE id = {of}");
    sqlx::query(AssertSqlSafe(needs)).execute(&mut database).await.expect("written");
    let refused = admin.get(&tenant).await.expect("an answer").is(503);
    assert_eq!((refused.word("code").as_str(), refused.header("retry-after")), ("upgrade_under_way", "5"));
    admin.patch(&tenant, json!({ "policy": { "require_dpop_nonce": false } })).await.expect("an answer").is(503);
    let refused = node.caller().refresh(&token).await.expect("an answer").is(503);
    assert_eq!(refused.word("error"), "temporarily_unavailable");
    node.caller().login("alice").await.expect("an answer").is(503);
    // Others do not notice.
    admin.of("other").make_user("bob").await;
    node.caller().of("other").login("bob").await.expect("an answer").is(200);
    node.caller().of("other").jwks().await.expect("an answer").is(200);
    // A node of that release would go on with the very token that was refused here.
    let known = format!("UPDATE tenants SET policy = '{{' || substr(policy, length('{{\"needs\":4000000000,') + 1) WHERE id = {of}");
    sqlx::query(AssertSqlSafe(known)).execute(&mut database).await.expect("written");
    node.caller().refresh(&token).await.expect("an answer").is(200);
    database.close().await.expect("closed");
    node.stop().await;
}

/// How often the balancer asks a node whether it is ready.
const PROBE: Duration = Duration::from_millis(100);

/// Where requests may go: what a load balancer knows.
#[derive(Default)]
struct Balancer {
    /// Public and management address of each node; and who was ready when it was last asked.
    nodes: RwLock<Vec<(String, String)>>,
    ready: RwLock<BTreeSet<String>>,
    turn: AtomicU64,
    refused: AtomicU64,
}

impl Balancer {
    fn add(&self, node: &Node) {
        self.nodes.write().expect("whole").push((node.url.clone(), node.management_url.clone()));
    }

    async fn probe(&self) {
        let nodes = self.nodes.read().expect("whole").clone();
        for (url, management) in nodes {
            let is_ready = Caller::new(&management).get("/health/ready").await.is_ok_and(|reply| reply.status == 200);
            let mut ready = self.ready.write().expect("whole");
            if is_ready {
                ready.insert(url)
            } else {
                ready.remove(&url)
            };
        }
    }

    async fn is_ready(&self, node: &Node) {
        while !self.ready.read().expect("whole").contains(&node.url) {
            tokio::time::sleep(PROBE).await; // The next probe sees it.
        }
    }

    /// One of those who are ready.
    fn pick(&self) -> String {
        let ready = self.ready.read().expect("whole");
        let turn = usize::try_from(self.turn.fetch_add(1, Ordering::Relaxed)).expect("not so many");
        ready.iter().nth(turn % ready.len().max(1)).cloned().expect("somebody is ready at any moment")
    }

    /// Asks a ready node. Another one is asked only where the first did not even take the connection.
    async fn ask(&self, from: &Caller, request: impl AsyncFn(Caller) -> Answered) -> Answered {
        loop {
            match request(from.at(&self.pick())).await {
                Err(refused) if refused.is_refused() => self.refused.fetch_add(1, Ordering::Relaxed),
                answered => return answered,
            };
        }
    }
}

/// A user who works without a pause until everything is over; answers how often, and all that went wrong.
async fn one_at_work(balancer: &Balancer, user: String, is_over: &AtomicBool) -> (u64, Vec<String>) {
    // One client, whose connections are kept and used again.
    let caller = Caller::new("");
    let (mut done, mut wrong, mut token) = (0, Vec::new(), String::new());
    while !is_over.load(Ordering::SeqCst) {
        let step = done % 10;
        let answered = match step {
            0 => balancer.ask(&caller, async |at| at.login(&user).await).await,
            1..5 => balancer.ask(&caller, async |at| at.refresh(&token).await).await,
            _ => balancer.ask(&caller, async |at| at.jwks().await).await,
        };
        match answered {
            Ok(reply) if reply.status == 200 && step < 5 => token = reply.word("refresh_token"),
            Ok(reply) if reply.status == 200 => {}
            other => wrong.push(format!("{user}, request {done}: {other:?}")),
        }
        done += 1;
    }
    (done, wrong)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_are_replaced_one_after_the_other_and_the_schema_expands_and_no_request_fails() {
    let url = testkit::postgres::fresh_database().await;
    let mut site = Site::postgres(&url);
    site.set("SERVER__DRAIN_SECONDS", "1");
    let (first, second) = (site.start().await, site.start().await);
    let admin = first.caller().bearing(&site.admin_token());
    admin.make_tenant().await;
    let users: Vec<_> = (0..6).map(|number| format!("user-{number}")).collect();
    for user in &users {
        admin.make_user(user).await;
    }
    let balancer = Arc::new(Balancer::default());
    balancer.add(&first);
    balancer.add(&second);
    balancer.probe().await;
    let is_over = AtomicBool::new(false);
    let probing = tokio::spawn({
        let balancer = Arc::clone(&balancer);
        async move {
            loop {
                balancer.probe().await;
                tokio::time::sleep(PROBE).await; // As a load balancer does.
            }
        }
    });
    let at_work = futures_util::future::join_all(users.into_iter().map(|user| one_at_work(&balancer, user, &is_over)));
    let replaced = async {
        let mut running = [first, second];
        for round in 0..2 {
            // The second time by the next release, which brings its schema with it, under the feet of nodes at work.
            if round == 1 {
                leave_behind(&url, &EXPANDED, "lowest").await;
            }
            for node in &mut running {
                let next = site.start().await;
                balancer.add(&next);
                balancer.is_ready(&next).await;
                std::mem::replace(node, next).stop().await;
            }
        }
        is_over.store(true, Ordering::SeqCst);
        running
    };
    let (done, running) = tokio::join!(at_work, replaced);
    let requests: u64 = done.iter().map(|(requests, _)| requests).sum();
    let wrong: Vec<_> = done.into_iter().flat_map(|(_, wrong)| wrong).collect();
    probing.abort();
    let refused = balancer.refused.load(Ordering::Relaxed);
    eprintln!("{requests} requests while four nodes were replaced; {refused} connections were refused, {} requests failed", wrong.len());
    assert!(wrong.is_empty(), "{} of {requests} failed, such as {:#?}", wrong.len(), wrong.iter().take(5).collect::<Vec<_>>());
    assert!(requests > 200, "{requests} requests are no load");
    for node in running {
        node.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_was_asked_to_stop_says_so_first_and_goes_on_serving() {
    let mut site = Site::sqlite();
    site.set("SERVER__DRAIN_SECONDS", "5");
    let node = site.start().await;
    node.management().get("/health/ready").await.expect("an answer").is(200);
    node.ask_to_stop();
    let management = node.management();
    let leaving = loop {
        let reply = management.get("/health/ready").await.expect("it serves");
        if reply.status != 200 {
            break reply;
        }
    };
    assert_eq!((leaving.status, leaving.json()), (503, json!({ "status": "leaving" })));
    assert_eq!(leaving.header("connection"), "close");
    let admin = node.caller().bearing(&site.admin_token());
    admin.make_tenant().await;
    let keys = admin.get(&format!("/t/{TENANT}/.well-known/jwks.json")).await.expect("a new connection is served").is(200);
    assert_eq!(keys.header("connection"), "close", "and is not used again");
    let ended = node.ended(Duration::from_secs(30)).await;
    assert!(ended.status.success(), "{}: {}", ended.status, ended.log);
}
