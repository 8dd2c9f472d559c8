//! The public log of a tenant's keys: it tells of every change, others can read it, and whoever goes behind its back is found out.

use app::ports::store::{LogGrowth, LogTip, RingChange};
use app::ports::world::Clock;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use reqwest::Client;
use serde_json::{Value, json};
use server::key_log_check::{Alarm, Check, NotChecked, Report, Seen};
use sqlx::SqlitePool;
use sqlx::sqlite::SqliteConnectOptions;
use transparency::note::{Head, Vkey};
use transparency::tree::{Frontier, leaf_hash};

use crate::world::{World, in_world};

const LOG: &str = "/t/acme/.well-known/key-log";

async fn check_with(world: &World, vkey: Option<&str>, before: Option<&Seen>) -> Result<Report, NotChecked> {
    let http = Client::builder().no_proxy().build().expect("a client");
    let issuer = format!("{}/t/acme", world.base_url);
    let vkey = vkey.map(|vkey| vkey.parse().expect("a vkey"));
    Check { http: &http, issuer: &issuer, vkey, before, now: world.clock.now(), progress: &|_, _| {} }.run().await
}

async fn check(world: &World, before: Option<&Seen>) -> Report {
    check_with(world, None, before).await.expect("checked")
}

/// A check that finds nothing wrong; answers what it leaves for the next one.
#[track_caller]
fn good(report: Report) -> Seen {
    assert_eq!(report.alarms, []);
    report.seen.expect("something to keep")
}

async fn entries(world: &World) -> Vec<Value> {
    let size: u64 = checkpoint(world).await.lines().nth(1).expect("a size").parse().expect("a number");
    let bundle = world.anon().request("GET", &format!("{LOG}/tile/entries/000.p/{size}")).send().await.expect("an answer");
    let bundle = bundle.bytes().await.expect("bytes");
    let mut bytes = &bundle[..];
    let mut entries = Vec::new();
    while let Some((length, rest)) = bytes.split_first_chunk::<2>() {
        let (entry, rest) = rest.split_at(usize::from(u16::from_be_bytes(*length)));
        entries.push(serde_json::from_slice(entry).expect("JSON"));
        bytes = rest;
    }
    entries
}

fn words<'a>(entries: &'a [Value], member: &str) -> Vec<&'a str> {
    entries.iter().map(|entry| entry[member].as_str().expect("a word")).collect()
}

async fn checkpoint(world: &World) -> String {
    world.anon().get(&format!("{LOG}/checkpoint")).await.is(200).text
}

async fn rotate(world: &World, form: Value) -> Value {
    world.platform_admin().post("/admin/v1/tenants/acme/keys/rotate", form).await.is(202).json()
}

/// Writes into the database like somebody who has got hold of it.
async fn behind_the_back(world: &World, statements: &[&'static str]) {
    let pool = SqlitePool::connect_with(SqliteConnectOptions::new().filename(&world.database)).await.expect("connected");
    for sql in statements {
        let done = sqlx::query(*sql).execute(&pool).await.expect("written");
        assert!(done.rows_affected() > 0, "{sql} changed nothing");
    }
    pool.close().await;
}

#[test]
fn the_log_tells_of_every_change_and_the_check_believes_it() {
    in_world(async |world| {
        world.tenant("acme").await;
        let first = check(world, None).await;
        assert!(first.is_first_use);
        let seen = good(first);
        assert_eq!(words(&entries(world).await, "fact")[..2], ["policy_changed", "key_staged"]);

        let kid = world.jwks("acme").await["keys"][0]["kid"].as_str().expect("a kid").to_owned();
        rotate(world, json!({ "algs": ["ES256"] })).await;
        let tess = world.tenant_admin("acme").await;
        let emergency = json!({ "emergency": true, "reason": "alice@example.com lost her laptop" });
        world.bearing(&tess.access_token).post("/admin/v1/tenants/acme/keys/rotate", emergency).await.is(202);
        let seen = good(check(world, Some(&seen)).await);

        let newest = world.jwks("acme").await["keys"][0]["kid"].as_str().expect("a kid").to_owned();
        let revoked = format!("/admin/v1/tenants/acme/keys/{newest}/revoke");
        world.platform_admin().post(&revoked, json!({ "reason": "key_compromise" })).await.is(200);
        world.platform_admin().put("/admin/v1/tenants/acme/keys/policy", json!({ "jwks_max_age_seconds": 120 })).await.is(200);
        world.platform_admin().post("/admin/v1/tenants/acme/keys/token-secret/rotate", Value::Null).await.is(200);
        let report = check(world, Some(&seen)).await;
        assert!(report.new > 0 && !report.is_first_use);
        good(report);

        let entries = entries(world).await;
        let of = |kid: &str| -> Vec<Value> { entries.iter().filter(|entry| entry["kid"] == kid).cloned().collect() };
        let first_key = of(&kid);
        assert_eq!(words(&first_key, "fact"), ["key_staged", "key_superseded", "key_revoked"]);
        assert_eq!(words(&first_key, "ordered_by"), ["platform_admin", "platform_admin", "tenant_admin"]);
        assert_eq!(first_key[0]["jwk"]["crv"], "P-256");
        assert_eq!(first_key[2]["reason"], "unspecified");
        assert_eq!(of(&newest).pop().expect("revoked")["reason"], "key_compromise");
        assert_eq!(entries.iter().filter(|entry| entry["fact"] == "policy_changed").count(), 2);
        let text = Value::from(entries).to_string();
        assert!(!text.contains("alice") && !text.contains("usr_") && !text.contains("127.0.0.1"), "no personal data: {text}");

        // Each tenant has a log of its own, and none is shown under another's name.
        world.tenant("globex").await;
        assert_ne!(world.anon().get("/t/globex/.well-known/key-log/vkey").await.is(200).text, seen.vkey.to_string() + "\n");
    });
}

#[test]
fn what_is_served_is_what_the_specification_says() {
    in_world(async |world| {
        world.tenant("acme").await;
        rotate(world, json!({ "algs": ["ES256"] })).await;
        let anon = world.anon();
        let head = anon.get(&format!("{LOG}/checkpoint")).await.is(200);
        assert_eq!((head.header("content-type"), head.header("cache-control")), ("text/plain; charset=utf-8", "no-cache"));
        let size: u64 = head.text.lines().nth(1).expect("a size").parse().expect("a number");
        let tile = anon.get(&format!("{LOG}/tile/0/000.p/{size}")).await.is(200);
        assert_eq!(tile.header("content-type"), "application/octet-stream");
        assert_eq!(tile.header("cache-control"), "public, max-age=604800, immutable");
        for width in 1..=size {
            anon.get(&format!("{LOG}/tile/entries/000.p/{width}")).await.is(200);
        }
        for nothing in [
            format!("0/000.p/{}", size + 1),
            "0/000".to_owned(),
            "1/000.p/1".to_owned(),
            "entries/001.p/1".to_owned(),
            "0/00.p/1".to_owned(),
            "0/x000/000".to_owned(),
            "-1/000".to_owned(),
            "64/000".to_owned(),
            "0/x001/x000/000".to_owned(),
            "0/000.p/0".to_owned(),
        ] {
            anon.get(&format!("{LOG}/tile/{nothing}")).await.refused(404, "not_found");
        }
        let last = size - 1;
        let proof = anon.get(&format!("{LOG}/proof/inclusion?index={last}&size={size}")).await.is(200).json();
        assert!(!proof["hashes"].as_array().expect("hashes").is_empty());
        anon.get(&format!("{LOG}/proof/consistency?from=1&to={size}")).await.is(200);
        for nothing in [
            format!("inclusion?index={size}&size={size}"),
            format!("inclusion?index=0&size={}", size + 1),
            "consistency?from=0&to=1".to_owned(),
            "consistency?from=2&to=1".to_owned(),
            format!("consistency?from=1&to={}", size + 1),
            format!("inclusion?index=0&size={}", u64::MAX),
        ] {
            anon.get(&format!("{LOG}/proof/{nothing}")).await.refused(404, "not_found");
        }
        anon.get(&format!("{LOG}/proof/inclusion?index=x&size=1")).await.refused(400, "bad_request");
        anon.get("/t/nobody/.well-known/key-log/checkpoint").await.refused(404, "not_found");
    });
}

#[test]
fn whoever_changes_the_database_is_found_out() {
    type Case = (&'static [&'static str], fn(&Alarm) -> bool);
    const CASES: &[Case] = &[
        (
            &["UPDATE key_log_entries SET entry = CAST(replace(CAST(entry AS text), 'key_staged', 'key_stagee') AS blob) WHERE number = 1"],
            |alarm| matches!(alarm, Alarm::Rewritten { .. } | Alarm::WrongRoot { .. }),
        ),
        (&["DELETE FROM key_log_entries WHERE number = 1"], |alarm| matches!(alarm, Alarm::Missing { .. })),
        // One entry too few everywhere, and the head made to fit: only the signature cannot be.
        (
            &[
                "UPDATE key_logs SET size = size - 1, checkpoint = replace(checkpoint, char(10) || size || char(10), char(10) || (size - 1) || char(10))",
            ],
            |alarm| matches!(alarm, Alarm::Forged(_)),
        ),
        // A whole log by another key.
        (
            &["UPDATE key_logs SET vkey = (SELECT replace(o.vkey, 'globex', 'acme') FROM key_logs o WHERE o.vkey LIKE '%globex%'), \
            checkpoint = (SELECT o.checkpoint FROM key_logs o WHERE o.vkey LIKE '%globex%') WHERE vkey LIKE '%/t/acme/%'"],
            |alarm| matches!(alarm, Alarm::ChangedVkey { .. }),
        ),
    ];
    for (statements, is_expected) in CASES {
        in_world(async |world| {
            world.tenant("acme").await;
            world.tenant("globex").await;
            let seen = good(check(world, None).await);
            rotate(world, json!({ "algs": ["ES256"] })).await;
            let trusted = seen.vkey.to_string();
            behind_the_back(world, statements).await;
            for report in [check(world, Some(&seen)).await, check_with(world, Some(&trusted), None).await.expect("checked")] {
                assert!(matches!(&report.alarms[..], [alarm] if is_expected(alarm)), "{statements:?}: {:?}", report.alarms);
                assert_eq!(report.seen, None, "nothing of it is kept");
            }
        });
    }
}

/// Replaces the ring's text and makes this node read it again.
async fn tampered_ring(world: &World, change: impl Fn(&mut Value)) {
    let pool = SqlitePool::connect_with(SqliteConnectOptions::new().filename(&world.database)).await.expect("connected");
    let text: String = sqlx::query_scalar("SELECT ring FROM key_rings").fetch_one(&pool).await.expect("read");
    let mut ring: Value = serde_json::from_str(&text).expect("JSON");
    change(&mut ring);
    let update = sqlx::query("UPDATE key_rings SET ring = ?1").bind(ring.to_string());
    update.execute(&pool).await.expect("written");
    pool.close().await;
    let slug = "acme".parse().expect("a slug");
    let tenant = world.ctx().store.begin_platform().await.expect("begins").tenant_by_slug(&slug).await.expect("read").expect("there");
    world.ctx().keys.forget(tenant.id);
}

#[test]
fn a_key_that_the_log_does_not_know_is_found_in_the_jwks() {
    in_world(async |world| {
        world.tenant("acme").await;
        let seen = good(check(world, None).await);
        tampered_ring(world, |ring| {
            let mut smuggled = ring["keys"][0].clone();
            smuggled["kid"] = json!("A".repeat(43));
            ring["keys"].as_array_mut().expect("keys").push(smuggled);
        })
        .await;
        let report = check(world, Some(&seen)).await;
        assert_eq!(report.alarms, [Alarm::UnknownKey { kid: "A".repeat(43) }]);
    });
}

#[test]
fn a_key_that_was_swapped_for_another_is_found_in_the_jwks() {
    in_world(async |world| {
        world.tenant("acme").await;
        let seen = good(check(world, None).await);
        rotate(world, json!({ "algs": ["ES256"] })).await;
        tampered_ring(world, |ring| {
            let other =
                ring["keys"].as_array().expect("keys").iter().rev().find(|key| key["alg"] == "ES256").expect("two")["public"].clone();
            ring["keys"][0]["public"] = other;
        })
        .await;
        let report = check(world, Some(&seen)).await;
        assert!(matches!(&report.alarms[..], [Alarm::SwappedKey { .. }]), "{:?}", report.alarms);
    });
}

#[test]
fn a_revoked_key_that_comes_back_and_a_published_one_that_is_hidden_are_found() {
    in_world(async |world| {
        world.tenant("acme").await;
        let seen = good(check(world, None).await);
        rotate(world, json!({ "emergency": true })).await;
        tampered_ring(world, |ring| {
            let keys = ring["keys"].as_array_mut().expect("keys");
            keys[0].as_object_mut().expect("a key").remove("end");
        })
        .await;
        good(check(world, Some(&seen)).await);
        world.clock.forward(300 + 60 + 2);
        let report = check(world, Some(&seen)).await;
        assert!(matches!(&report.alarms[..], [Alarm::DeadKey { state: "revoked", .. }]), "{:?}", report.alarms);
        tampered_ring(world, |ring| {
            let keys = ring["keys"].as_array_mut().expect("keys");
            keys.remove(0);
            keys.pop();
        })
        .await;
        let report = check(world, Some(&seen)).await;
        assert!(matches!(&report.alarms[..], [Alarm::HiddenKey { .. }]), "{:?}", report.alarms);
    });
}

#[test]
fn a_log_that_was_set_back_or_forked_is_found_by_whoever_has_seen_more() {
    in_world(async |world| {
        world.tenant("acme").await;
        let young = good(check(world, None).await);
        // The database as it is now, to be restored over what comes.
        let copy = world.database.with_extension("copy");
        let into = format!("VACUUM INTO '{}'", copy.display());
        let pool = SqlitePool::connect_with(SqliteConnectOptions::new().filename(&world.database)).await.expect("connected");
        sqlx::query(sqlx::AssertSqlSafe(into)).execute(&pool).await.expect("copied");
        rotate(world, json!({ "algs": ["ES256"] })).await;
        let old = good(check(world, Some(&young)).await);
        let attach = format!("ATTACH '{}' AS copy", copy.display());
        let mut one = pool.acquire().await.expect("a connection");
        sqlx::query(sqlx::AssertSqlSafe(attach)).execute(&mut *one).await.expect("attached");
        for table in ["key_logs", "key_log_entries", "key_log_hashes", "key_rings", "sealed_secrets"] {
            for sql in [format!("DELETE FROM {table}"), format!("INSERT INTO {table} SELECT * FROM copy.{table}")] {
                sqlx::query(sqlx::AssertSqlSafe(sql)).execute(&mut *one).await.expect("set back");
            }
        }
        drop(one);
        pool.close().await;
        tampered_ring(world, |_| {}).await;
        let report = check(world, Some(&old)).await;
        assert!(matches!(&report.alarms[..], [Alarm::Rollback { before, now }] if now < before), "{:?}", report.alarms);
        // Another future grows from the same past, of the same size.
        rotate(world, json!({ "algs": ["ES256"] })).await;
        let report = check(world, Some(&old)).await;
        assert!(matches!(&report.alarms[..], [Alarm::Fork { .. }]), "{:?}", report.alarms);
        rotate(world, json!({ "emergency": true })).await;
        let report = check(world, Some(&old)).await;
        assert!(matches!(&report.alarms[..], [Alarm::Rewritten { .. }]), "{:?}", report.alarms);
        good(check(world, Some(&young)).await);
    });
}

#[test]
fn a_log_that_was_tampered_with_is_not_signed_on() {
    in_world(async |world| {
        for slug in ["acme", "globex"] {
            world.tenant(slug).await;
        }
        let young = checkpoint(world).await;
        rotate(world, json!({ "algs": ["ES256"] })).await;
        let good_tip =
            "UPDATE key_logs SET (size, frontier, checkpoint) = (SELECT size, frontier, checkpoint FROM good) WHERE vkey LIKE '%/t/acme/%'";
        let of_acme = "(SELECT tenant_id FROM key_logs WHERE vkey LIKE '%/t/acme/%')";
        let keys = format!("name = 'key-log' AND tenant_id = {of_acme}");
        let pool = SqlitePool::connect_with(SqliteConnectOptions::new().filename(&world.database)).await.expect("connected");
        let run = async |sql: &str| {
            sqlx::query(sqlx::AssertSqlSafe(sql.to_owned())).bind(&young).execute(&pool).await.expect("written");
        };
        run("CREATE TABLE good AS SELECT * FROM key_logs WHERE vkey LIKE '%/t/acme/%' AND ?1 != ''").await;
        run(&format!("CREATE TABLE good_key AS SELECT * FROM sealed_secrets WHERE {keys} AND ?1 != ''")).await;
        for (tampering, mended) in [
            ("UPDATE key_logs SET frontier = zeroblob(length(frontier)) WHERE ?1 != ''", good_tip),
            ("UPDATE key_logs SET size = size + 1 WHERE ?1 != ''", good_tip),
            ("UPDATE key_logs SET size = size * 2 WHERE ?1 != ''", good_tip),
            // Genuine, but not the latest.
            ("UPDATE key_logs SET checkpoint = ?1", good_tip),
            ("UPDATE key_logs SET checkpoint = 'x' WHERE ?1 != ''", good_tip),
            (
                &*format!(
                    "UPDATE sealed_secrets SET sealed = (SELECT o.sealed FROM sealed_secrets o WHERE o.name = 'key-log' AND o.tenant_id != {of_acme}) WHERE {keys} AND ?1 != ''"
                ),
                "UPDATE sealed_secrets SET sealed = (SELECT sealed FROM good_key) WHERE name = 'key-log' AND tenant_id = (SELECT tenant_id FROM good_key)",
            ),
        ] {
            run(tampering).await;
            let emergency = json!({ "emergency": true });
            world.platform_admin().post("/admin/v1/tenants/acme/keys/rotate", emergency).await.refused(500, "internal");
            sqlx::query(sqlx::AssertSqlSafe(mended.to_owned())).execute(&pool).await.expect("mended");
        }
        rotate(world, json!({ "emergency": true })).await;
        good(check(world, None).await);
        pool.close().await;
    });
}

#[test]
fn a_ring_from_before_there_were_logs_is_told_in_full_at_its_next_change() {
    in_world(async |world| {
        world.tenant("acme").await;
        rotate(world, json!({ "algs": ["ES256"] })).await;
        let emptied = ["DELETE FROM key_logs", "DELETE FROM key_log_entries", "DELETE FROM key_log_hashes"];
        behind_the_back(world, &emptied).await;
        behind_the_back(world, &["DELETE FROM sealed_secrets WHERE name = 'key-log'"]).await;
        world.anon().get(&format!("{LOG}/checkpoint")).await.refused(404, "not_found");
        assert!(check_with(world, None, None).await.is_err(), "there is nothing to check");
        world.platform_admin().post("/admin/v1/tenants/acme/keys/token-secret/rotate", Value::Null).await.is(200);
        good(check(world, None).await);
        let entries = entries(world).await;
        assert!(entries.len() >= 4 && entries.iter().all(|entry| entry["fact"] != "key_retired"), "{entries:?}");
    });
}

#[test]
fn the_log_goes_with_its_tenant() {
    in_world(async |world| {
        world.tenant("acme").await;
        let seen = good(check(world, None).await);
        world.platform_admin().delete("/admin/v1/tenants/acme?confirm=acme").await.is(204);
        world.anon().get(&format!("{LOG}/checkpoint")).await.refused(404, "not_found");
        world.tenant("acme").await;
        let report = check(world, Some(&seen)).await;
        assert!(matches!(&report.alarms[..], [Alarm::ChangedVkey { .. }]), "an heir of the name is not the same: {:?}", report.alarms);
    });
}

/// Puts so many entries into acme's log, signed by a key of this test, beyond what it has.
async fn grown(world: &World, count: usize) {
    let slug = "acme".parse().expect("a slug");
    let store = &world.ctx().store;
    let tenant = store.begin_platform().await.expect("begins").tenant_by_slug(&slug).await.expect("read").expect("there").id;
    let mut tx = store.begin(tenant).await.expect("begins");
    let (mut ring, tip) = (tx.ring().await.expect("read").expect("there"), tx.key_log_tip().await.expect("read").expect("there"));
    ring.generation += 1;
    let mut frontier = Frontier::from_bytes(tip.size, &tip.frontier).expect("a frontier");
    let entries: Vec<_> = (0..count).map(|n| format!(r#"{{"v":1,"fact":"sample","n":{n}}}"#).into_bytes()).collect();
    let hashes = entries.iter().flat_map(|entry| frontier.push(leaf_hash(entry))).collect();
    let key = Ed25519KeyPair::generate().expect("a key");
    let origin = tip.checkpoint.lines().next().expect("an origin").to_owned();
    let vkey = Vkey::new(&origin, key.public_key().as_ref()).expect("a vkey").to_string();
    let checkpoint = Head { origin, size: frontier.size(), root: frontier.root() }.sign(&key).expect("signed");
    let tip = LogTip { size: frontier.size(), frontier: frontier.to_bytes(), vkey, checkpoint };
    let log = Some(LogGrowth { tip, entries, hashes });
    tx.ring_replace(&RingChange { ring, next_due_at: None, new_secrets: Vec::new(), destroyed: Vec::new(), log }).await.expect("grown");
    tx.commit().await.expect("commits");
}

/// Written from the specifications in another language, with nothing of ours: the note, the tiles, the bundles, the root, and
/// every kind of proof.
#[test]
fn a_reader_that_shares_no_code_with_us_verifies_the_log() {
    in_world(async |world| {
        world.tenant("acme").await;
        let url = format!("{}{LOG}", world.base_url);
        for size in [None, Some(600)] {
            if let Some(count) = size {
                grown(world, count).await;
            }
            let output = crate::foreign_verifiers::python("key_log.py", &[&url]).await;
            let (said, wrong) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
            assert!(output.status.success() && said.starts_with("good "), "{said}{wrong}");
        }
        behind_the_back(world, &["UPDATE key_log_hashes SET hash = zeroblob(32) WHERE number = 300"]).await;
        assert!(!crate::foreign_verifiers::python("key_log.py", &[&url]).await.status.success(), "the reader does look");
    });
}
