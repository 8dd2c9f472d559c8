//! The conformance suite in memory, on SQLite and on a real PostgreSQL, and what is particular to each.

use std::sync::Arc;
use std::time::{Duration, Instant};

use app::ports::store::{RingMark, Store, StoreError};
use app::tokens::judgement::{RefreshRefused, Verdict};
use domain::ids::TenantId;
use domain::time::Timestamp;
use sqlx::Connection;
use storage::{Database, Fit, Road, SqlStore, connect, migrate};
use testkit::sample;

mod later;

async fn opened(url: &str) -> Database {
    migrate(url).await.expect("migrated");
    // Twice does no harm.
    migrate(url).await.expect("nothing left to do");
    connect(url, 16).await.expect("connected")
}

macro_rules! on_every_backend {
    ($($module:ident :: $check:ident),+ $(,)?) => {
        mod memory {
            use super::*;
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            async fn $check() {
                testkit::conformance::$module::$check(Arc::new(testkit::memory_store::MemoryStore::default())).await;
            })+
        }
        mod sqlite {
            use super::*;
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            async fn $check() {
                let folder = tempfile::tempdir().expect("a temporary folder");
                let url = format!("sqlite:{}", folder.path().join("claviger.db").display());
                testkit::conformance::$module::$check(Arc::new(SqlStore::new(opened(&url).await))).await;
            })+
        }
        mod postgres {
            use super::*;
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            async fn $check() {
                let url = testkit::postgres::fresh_database().await;
                testkit::conformance::$module::$check(Arc::new(SqlStore::new(opened(&url).await))).await;
            })+
        }
        mod pgbouncer {
            use super::*;
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            async fn $check() {
                let (url, _) = testkit::pgbouncer::fresh_database().await;
                migrate(&url).await.expect("migrated by way of the pooler");
                let db = connect(Road { is_pooled: true, ..Road::from(&url) }, 16).await.expect("connected");
                testkit::conformance::$module::$check(Arc::new(SqlStore::new(db))).await;
            })+
        }
        mod sqlite_of_a_later_release {
            use super::*;
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            async fn $check() {
                let folder = tempfile::tempdir().expect("a temporary folder");
                let url = format!("sqlite:{}", folder.path().join("claviger.db").display());
                testkit::conformance::$module::$check(Arc::new(SqlStore::new(later::opened(&url).await))).await;
            })+
        }
        mod postgres_of_a_later_release {
            use super::*;
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            async fn $check() {
                let url = testkit::postgres::fresh_database().await;
                testkit::conformance::$module::$check(Arc::new(SqlStore::new(later::opened(&url).await))).await;
            })+
        }
    };
}

on_every_backend! {
    audit::the_audit_log_survives_its_tenant,
    audit::a_dropped_transaction_rolls_back,
    contention::of_many_refreshes_exactly_one_rotates,
    contention::parallel_refreshes_do_not_mix,
    contention::a_mixed_batch_is_judged_one_by_one,
    contention::of_many_ring_changes_exactly_one_is_written,
    contention::no_parallel_guess_goes_uncounted,
    custody::an_owner_has_one_data_key_and_its_versions_follow_each_other,
    custody::a_secret_is_replaced_by_its_successor,
    custody::data_keys_are_paged_and_wrapped_anew,
    custody::a_kek_is_retired_when_nothing_needs_it_and_wraps_nothing_afterwards,
    custody::retiring_and_using_a_kek_at_once_never_both_succeed,
    custody::a_deletion_counts_what_it_destroys_and_keeps_its_certificate,
    families::a_family_is_revoked_once,
    families::a_family_is_bound_while_it_lives,
    families::families_are_counted_by_their_last_move,
    families::families_opened_before_a_moment_are_revoked_in_batches,
    families::a_reused_token_kills_its_family,
    families::a_refresh_sees_its_user_and_tenant,
    guesses::guesses_are_counted_and_forgotten,
    isolation::no_tenant_reaches_another,
    isolation::what_tokens_stand_on_is_read_together,
    key_log::a_log_grows_at_its_end_and_with_its_ring,
    key_log::of_many_ring_changes_exactly_one_is_logged,
    branding::what_a_tenant_looks_like_is_its_own,
    platform::tenants_are_found,
    platform::a_tenant_is_found_by_its_domain,
    platform::tenants_are_found_by_their_beginning,
    platform::due_rings_are_found,
    platform::a_due_ring_is_claimed_once,
    platform::what_has_ended_is_swept,
    provider::a_client_comes_changes_and_goes,
    provider::clients_are_found_by_what_their_settings_hold,
    provider::where_clients_run_is_known_of_each_tenant,
    provider::of_many_redemptions_exactly_one_is_first,
    provider::a_device_is_found_by_either_code_and_taken_away_once,
    provider::a_pending_request_is_finished_once,
    provider::sessions_and_consents_go_with_their_user,
    provider::a_family_remembers_how_it_began,
    provider::of_many_who_spend_a_name_exactly_one_does,
    provider::an_initial_access_token_is_used_as_often_as_it_may_be,
    provider::a_user_is_asked_and_answers_once,
    provider::an_answer_is_told_by_one_node_at_a_time,
    provider::an_api_comes_changes_and_goes,
    provider::a_trusted_issuer_comes_changes_and_goes,
    provider::a_logout_is_told_by_one_node_at_a_time,
    provider::a_mail_is_sent_by_one_node_at_a_time,
    provider::a_link_is_used_once,
    provider::what_expires_is_swept_and_a_tenant_leaves_nothing,
    rings::a_ring_is_replaced_by_its_successor,
    rings::a_kid_is_never_used_again,
    tenants::a_deleted_tenant_is_gone_at_once_and_erased_in_portions,
    tenants::new_tenants_are_stored_whole_or_not_at_all,
    tenants::parallel_changes_of_a_tenant_are_all_kept,
    tenants::parallel_changes_of_a_user_are_all_kept,
    tenants::nothing_is_written_for_a_deleted_tenant,
    users::a_user_comes_and_goes,
    users::a_name_is_taken_once,
    users::a_reader_does_not_write,
    verifiers::sightings_of_all_nodes_are_one,
    verifiers::beyond_the_most_new_verifiers_are_others,
    verifiers::a_deleted_tenant_has_no_verifiers,
}

#[tokio::test]
async fn row_level_security_hides_rows_from_raw_queries() {
    let url = testkit::postgres::fresh_database().await;
    let store = SqlStore::new(opened(&url).await);
    let (a, _b) = (sample::home(&store).await.expect("stored"), sample::home(&store).await.expect("stored"));
    let mut tx = store.begin(a.id()).await.expect("begins");
    tx.audit_append(&sample::audit_record(a.id())).await.expect("appended");
    tx.source_remember(a.alice.id, &[1; 32], sample::NOW).await.expect("remembered");
    sample::counter(&mut *tx, domain::guess::GuessScope::Source, [1; 32]).await.expect("made");
    let mut change = sample::ring_with(&a.ring, sample::kid());
    change.log = Some(sample::growth(&mut transparency::tree::Frontier::default(), 2));
    tx.ring_replace(&change).await.expect("replaced");
    let mut client = sample::client();
    client.settings.allowed_origins = vec!["https://app.example".parse().expect("an origin")];
    tx.client_insert(&client).await.expect("stored");
    tx.pending_insert(&sample::pending(&client.id)).await.expect("stored");
    tx.code_insert(&sample::hash(), &sample::code_grant(&client.id, a.alice.id)).await.expect("stored");
    tx.sso_insert(&sample::sso_session(a.alice.id)).await.expect("stored");
    tx.consent_set(a.alice.id, &client.id, &domain::consent::Allowed::default(), sample::NOW).await.expect("set");
    tx.spend(&[1; 32], sample::NOW).await.expect("spent");
    tx.logout_notice_insert(&sample::logout_notice(&a.family)).await.expect("stored");
    tx.mail_insert(&sample::mail(&a.alice)).await.expect("stored");
    tx.mail_link_insert(&sample::mail_link(&a.alice)).await.expect("stored");
    tx.device_insert(&sample::hash(), &[1; 32], &sample::device_grant(&client.id)).await.expect("stored");
    tx.initial_token_insert(&sample::initial_access_token(1)).await.expect("stored");
    tx.backchannel_insert(&sample::hash(), &sample::backchannel_request(&client.id, a.alice.id)).await.expect("stored");
    tx.backchannel_ping_insert(&sample::backchannel_ping(&client.id)).await.expect("stored");
    tx.resource_insert(&sample::resource()).await.expect("stored");
    tx.trusted_issuer_insert(&sample::trusted_issuer()).await.expect("stored");
    let registration = domain::client::registration::SelfRegistration::new(sample::hash(), sample::NOW);
    tx.client_insert(&domain::client::Client { registration: Some(registration), ..sample::client() }).await.expect("stored");
    tx.commit().await.expect("commits");

    let mut tx = store.begin_platform().await.expect("begins");
    tx.verifiers_merge(&[(a.id(), sample::sighting(sample::NOW))], 9).await.expect("merged");
    tx.commit().await.expect("commits");

    let pool = sqlx::PgPool::connect(&url).await.expect("connected");
    let mut tx = pool.begin().await.expect("begins");
    let tables = [
        "tenants",
        "users",
        "refresh_families",
        "key_rings",
        "sealed_secrets",
        "guess_counters",
        "known_sources",
        "audit_events",
        "data_keys",
        "key_logs",
        "key_log_entries",
        "key_log_hashes",
        "jwks_verifiers",
        "clients",
        "client_origins",
        "authorization_requests",
        "authorization_codes",
        "sso_sessions",
        "consents",
        "spent_names",
        "logout_notices",
        "mails",
        "mail_links",
        "device_codes",
        "initial_access_tokens",
        "resources",
        "trusted_issuers",
        "backchannel_requests",
        "backchannel_pings",
    ];
    let setting = |name: &str, value: &str| sqlx::AssertSqlSafe(format!("SELECT set_config('{name}', '{value}', true)"));
    let tenant = a.id().as_uuid().to_string();
    for (name, value, is_seen) in [
        ("claviger.tenant", "", [0; 29]),
        ("claviger.tenant", &tenant, [1, 1, 1, 1, 3, 1, 1, 1, 1, 1, 2, 2, 1, 2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1]),
        ("claviger.tenant", "", [0; 29]),
        ("claviger.scope", "platform", [2, 0, 2, 2, 0, 1, 1, 0, 2, 0, 0, 0, 1, 1, 0, 1, 1, 1, 0, 1, 1, 1, 1, 1, 1, 0, 0, 1, 1]),
        ("claviger.scope", "audit-sweep", [0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
    ] {
        sqlx::query(setting(name, value)).execute(&mut *tx).await.expect("set");
        for (table, expected) in tables.iter().zip(is_seen) {
            let count = sqlx::AssertSqlSafe(format!("SELECT count(*) FROM {table}"));
            let seen: i64 = sqlx::query_scalar(count).fetch_one(&mut *tx).await.expect("counted");
            assert_eq!(seen, expected, "{table} with {name} = '{value}'");
        }
    }
}

/// What has to be on every node of a distributed database: who the tenants are, and what is of no tenant.
const OF_NO_TENANT: [&str; 6] = ["tenants", "keks", "used_kids", "installation_secrets", "seaql_migrations", "schema_level"];

#[tokio::test]
async fn the_schema_can_be_distributed_by_tenant() {
    let url = testkit::postgres::fresh_database().await;
    let db = opened(&url).await;
    let pool = sqlx::PgPool::connect(&url).await.expect("connected");
    let tables: Vec<String> =
        sqlx::query_scalar("SELECT relname::text FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace")
            .fetch_all(&pool)
            .await
            .expect("read");
    assert!(tables.len() > OF_NO_TENANT.len() && OF_NO_TENANT.iter().all(|table| tables.iter().any(|there| there == table)), "{tables:?}");
    // Every unique index, the primary key's among them, with its columns in their order.
    let unique: Vec<(String, String, bool, Vec<String>)> = sqlx::query_as(
        "SELECT t.relname::text, i.relname::text, x.indisprimary, array(SELECT a.attname::text FROM unnest(x.indkey) WITH ORDINALITY AS k(number, at) \
         JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = k.number ORDER BY k.at) \
         FROM pg_index x JOIN pg_class t ON t.oid = x.indrelid JOIN pg_class i ON i.oid = x.indexrelid \
         WHERE x.indisunique AND t.relnamespace = 'public'::regnamespace",
    )
    .fetch_all(&pool)
    .await
    .expect("read");
    for table in tables.iter().filter(|table| !OF_NO_TENANT.contains(&table.as_str())) {
        let of_table: Vec<_> = unique.iter().filter(|(of, ..)| of == table).collect();
        assert!(of_table.iter().any(|(.., is_primary, _)| *is_primary), "{table} has a primary key");
        for (_, index, _, columns) in of_table {
            assert_eq!(columns.first().map(String::as_str), Some("tenant_id"), "{index} of {table} is unique across tenants: {columns:?}");
        }
    }
    // A foreign key stays within the tenant, or points at what every node has.
    let foreign: Vec<(String, String, String, Vec<String>)> = sqlx::query_as(
        "SELECT c.conname::text, t.relname::text, f.relname::text, array(SELECT a.attname::text FROM unnest(c.conkey) AS k(number) \
         JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = k.number) \
         FROM pg_constraint c JOIN pg_class t ON t.oid = c.conrelid JOIN pg_class f ON f.oid = c.confrelid WHERE c.contype = 'f'",
    )
    .fetch_all(&pool)
    .await
    .expect("read");
    for (name, from, to, columns) in foreign {
        let within = columns.iter().any(|column| column == "tenant_id");
        assert!(within || OF_NO_TENANT.contains(&to.as_str()), "{name} of {from} leaves the tenant for {to}");
    }
    db.close().await.expect("closed");
}

#[tokio::test]
async fn tenants_of_an_older_schema_are_found_by_their_names() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for url in [format!("sqlite:{}", folder.path().join("a.db").display()), testkit::postgres::fresh_database().await] {
        // As the version before left it: without keys of names.
        let store = SqlStore::new(opened(&url).await);
        let mut new = sample::new_tenant();
        new.tenant.name = "ÉCOLE".parse().expect("a name");
        store.tenants_insert(&[new.clone()]).await.expect("stored");
        store.database().close().await.expect("closed");
        let is_sqlite = url.starts_with("sqlite");
        let undo = [
            "DROP INDEX tenants_name",
            "ALTER TABLE tenants DROP COLUMN name_key",
            "DELETE FROM seaql_migrations WHERE version LIKE '%tenant_search'",
        ];
        for sql in undo {
            if is_sqlite {
                let mut db = sqlx::SqliteConnection::connect(&url).await.expect("connected");
                sqlx::query(sql).execute(&mut db).await.expect("undone");
            } else {
                let mut db = sqlx::PgConnection::connect(&url).await.expect("connected");
                sqlx::query(sql).execute(&mut db).await.expect("undone");
            }
        }
        let store = SqlStore::new(opened(&url).await);
        let mut tx = store.begin_platform().await.expect("begins");
        assert_eq!(tx.tenants_by_name_prefix("éc", None, 5).await, Ok(vec![new.tenant]), "{}", store.database().kind());
    }
}

#[tokio::test]
async fn a_search_walks_an_index() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let url = format!("sqlite:{}", folder.path().join("a.db").display());
    opened(&url).await;
    let pool = sqlx::SqlitePool::connect(&url).await.expect("connected");
    let by_slug = "SELECT * FROM tenants WHERE deleted_at IS NULL AND slug >= 'a' AND slug < 'b' AND slug > 'ab' ORDER BY slug LIMIT 50";
    let by_name = "SELECT * FROM tenants WHERE deleted_at IS NULL AND name_key >= 'a' AND name_key < 'b' AND (name_key, slug) > ('ab', 'x') \
                   ORDER BY name_key, slug LIMIT 50";
    for (sql, index) in [(by_slug, "sqlite_autoindex_tenants"), (by_name, "tenants_name")] {
        let plan: Vec<(i64, i64, i64, String)> =
            sqlx::query_as(sqlx::AssertSqlSafe(format!("EXPLAIN QUERY PLAN {sql}"))).fetch_all(&pool).await.expect("explained");
        let plan: Vec<_> = plan.into_iter().map(|(.., step)| step).collect();
        assert!(plan.len() == 1 && plan[0].starts_with("SEARCH") && plan[0].contains(index), "neither a scan nor a sort: {plan:?}");
    }
}

#[tokio::test]
async fn a_changed_ring_is_noticed_elsewhere() {
    let url = testkit::postgres::fresh_database().await;
    let db = opened(&url).await;
    let mut notices = db.notices().await.expect("listens").expect("PostgreSQL has notices");
    let store = SqlStore::new(db);
    let home = sample::home(&store).await.expect("stored");
    let mut tx = store.begin(home.id()).await.expect("begins");
    tx.ring_replace(&sample::ring_with(&home.ring, sample::kid())).await.expect("replaced");
    tx.commit().await.expect("commits");
    let notice = tokio::time::timeout(Duration::from_secs(5), notices.next()).await.expect("in time");
    assert_eq!(notice, Ok(Some(RingMark { tenant_id: home.id(), generation: 2 })));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_held_family_holds_up_nobody_else_on_postgres() {
    let url = testkit::postgres::fresh_database().await;
    let store = Arc::new(SqlStore::new(opened(&url).await));
    let home = sample::home(&*store).await.expect("stored");
    let others: Vec<_> = (0..100).map(|_| sample::family(home.alice.id)).collect();
    let mut tx = store.begin(home.id()).await.expect("begins");
    for family in &others {
        tx.family_insert(family).await.expect("stored");
    }
    tx.commit().await.expect("commits");
    let logout = domain::token::family::Revocation { at: sample::NOW, cause: domain::token::family::RevocationCause::Logout };
    let mut holder = store.begin(home.id()).await.expect("begins");
    assert_eq!(holder.family_revoke(home.family.id, logout).await, Ok(true));

    let ask = |family| {
        let attempt = sample::attempt(family, domain::token::family::Generation::FIRST, sample::NOW);
        let (store, tenant) = (Arc::clone(&store), home.id());
        tokio::spawn(async move { store.refresh(tenant, attempt).await.expect("answered").expect("there").verdict })
    };
    let held = [(); 3].map(|()| ask(home.family.id));
    for free in others.iter().map(|family| ask(family.id)).collect::<Vec<_>>() {
        assert_eq!(free.await.expect("no panic"), Verdict::Rotated, "while the other one waits");
    }
    holder.commit().await.expect("commits");
    for held in held {
        let revoked = Verdict::Refused(RefreshRefused::Family(domain::token::family::Refused::Revoked));
        assert_eq!(held.await.expect("no panic"), revoked, "it saw what it waited for");
    }
}

#[tokio::test]
async fn pending_steps_are_known_before_and_after() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for url in [format!("sqlite:{}", folder.path().join("a.db").display()), testkit::postgres::fresh_database().await] {
        let db = connect(&url, 2).await.expect("connected");
        let all: Vec<_> = migrations::steps().iter().map(|step| step.name().to_owned()).collect();
        assert_eq!(db.schema().await, Ok(Fit::Behind { pending: all.clone(), is_rolling: true }), "{}", db.kind());
        storage::migrate_steps(&url, Some(2)).await.expect("two of them");
        assert_eq!(db.schema().await, Ok(Fit::Behind { pending: all[2..].to_vec(), is_rolling: true }), "{}", db.kind());
        migrate(&url).await.expect("migrated");
        assert_eq!(db.schema().await, Ok(Fit::Same), "{}", db.kind());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_nodes_that_start_together_each_finds_the_schema_up_to_date() {
    let (pooled, direct) = testkit::pgbouncer::fresh_database().await;
    let folder = tempfile::tempdir().expect("a temporary folder");
    let sqlite = format!("sqlite:{}", folder.path().join("a.db").display());
    connect(&sqlite, 1).await.expect("made").close().await.expect("closed");
    for urls in [[pooled, direct], [sqlite.clone(), sqlite]] {
        let starts = (0..8).map(|number| {
            let url = urls[number % 2].clone();
            tokio::spawn(async move { migrate(&url).await })
        });
        for start in starts.collect::<Vec<_>>() {
            assert_eq!(start.await.expect("no panic"), Ok(()));
        }
        assert_eq!(connect(&urls[1], 1).await.expect("connected").schema().await, Ok(Fit::Same));
    }
}

#[tokio::test]
async fn an_absent_database_is_unavailable_soon() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a free port");
    let begun = Instant::now();
    let refused = connect(&format!("postgres://nobody@{free}/none"), 2).await;
    assert!(matches!(refused, Err(StoreError::Unavailable(_))), "{refused:?}");
    assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
    assert!(matches!(connect("sqlite:/nowhere/at/all.db", 1).await, Err(StoreError::Unavailable(_))));
    assert!(matches!(connect("mysql://localhost", 1).await, Err(StoreError::Unavailable(_))));
}

#[tokio::test]
async fn a_long_reader_does_not_hold_up_a_writer_on_sqlite() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let store = SqlStore::new(opened(&format!("sqlite:{}", folder.path().join("claviger.db").display())).await);
    let home = sample::home(&store).await.expect("stored");
    let mut reader = store.begin_read(home.id()).await.expect("begins");
    assert_eq!(reader.user_by_id(home.alice.id).await, Ok(Some(home.alice.clone())));
    let mut writer = store.begin(home.id()).await.expect("begins");
    assert_eq!(writer.user_delete(home.alice.id).await, Ok(true));
    let mut platform = store.begin_platform().await.expect("begins");
    assert!(platform.tenant_by_id(home.id()).await.expect("read").is_some(), "looking up a tenant does not wait");
    writer.commit().await.expect("commits");
    assert_eq!(reader.user_by_id(home.alice.id).await, Ok(Some(home.alice)), "one snapshot");
}

#[tokio::test]
async fn a_corrupt_row_is_named() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("claviger.db");
    let url = format!("sqlite:{}", path.display());
    let store = SqlStore::new(opened(&url).await);
    let home = sample::home(&store).await.expect("stored");
    let pool = sqlx::SqlitePool::connect(&url).await.expect("connected");
    sqlx::query("UPDATE users SET roles = '[\"claviger:root\"]'").execute(&pool).await.expect("broken");
    let mut tx = store.begin_read(home.id()).await.expect("begins");
    let corrupt = StoreError::Corrupt { table: "users", column: "roles", row: home.alice.id.to_string() };
    assert_eq!(tx.user_by_id(home.alice.id).await, Err(corrupt));
}

#[tokio::test]
async fn i17_a_corrupt_family_harms_only_its_owner() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let url = format!("sqlite:{}", folder.path().join("claviger.db").display());
    let store = Arc::new(SqlStore::new(opened(&url).await));
    let (broken, whole) = (sample::home(&*store).await.expect("stored"), sample::home(&*store).await.expect("stored"));
    let pool = sqlx::SqlitePool::connect(&url).await.expect("connected");
    let breaking = sqlx::query("UPDATE refresh_families SET superseded = 'junk' WHERE tenant_id = ?").bind(broken.id().as_uuid());
    assert_eq!(breaking.execute(&pool).await.expect("broken").rows_affected(), 1);
    let ask = |home: &sample::Home| {
        let (tenant, attempt) = (home.id(), sample::attempt(home.family.id, domain::token::family::Generation::FIRST, sample::NOW));
        let store = Arc::clone(&store);
        tokio::spawn(async move { store.refresh(tenant, attempt).await })
    };
    // Together, so that they share a transaction.
    let (of_broken, of_whole) = (ask(&broken), ask(&whole));
    assert!(matches!(of_broken.await.expect("no panic"), Err(StoreError::Corrupt { table: "refresh_families", column: "superseded", .. })));
    assert!(of_whole.await.expect("no panic").expect("answered").is_some());
}

#[tokio::test]
async fn what_a_corrupt_row_stands_under_harms_only_whoever_asks_for_it() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let url = format!("sqlite:{}", folder.path().join("claviger.db").display());
    let store = Arc::new(SqlStore::new(opened(&url).await));
    let (broken, whole) = (sample::home(&*store).await.expect("stored"), sample::home(&*store).await.expect("stored"));
    let pool = sqlx::SqlitePool::connect(&url).await.expect("connected");
    sqlx::query("UPDATE users SET roles = 'junk' WHERE tenant_id = ?").bind(broken.id().as_uuid()).execute(&pool).await.expect("broken");
    let ask = |home: &sample::Home| {
        let (store, tenant, session) = (Arc::clone(&store), home.id(), home.family.id);
        tokio::spawn(async move { store.grounds(tenant, None, Some(session)).await })
    };
    let (of_broken, of_whole) = (ask(&broken), ask(&whole));
    assert!(matches!(of_broken.await.expect("no panic"), Err(StoreError::Corrupt { table: "users", column: "roles", .. })));
    assert!(of_whole.await.expect("no panic").expect("answered").session.is_some());
}

#[tokio::test]
async fn a_tenant_that_holds_its_connections_leaves_one_to_others() {
    let url = testkit::postgres::fresh_database().await;
    migrate(&url).await.expect("migrated");
    let store = SqlStore::new(connect(&url, 4).await.expect("connected"));
    let [greedy, other] = [1, 2].map(|number| TenantId::new(Timestamp::EPOCH, [number; 10]));
    let mut held = Vec::new();
    for _ in 0..3 {
        held.push(store.begin(greedy).await.expect("a connection"));
    }
    let mut waiting = store.begin(greedy);
    assert!(futures_util::poll!(waiting.as_mut()).is_pending(), "it has three quarters");
    store.begin_read(other).await.expect("the last one").commit().await.expect("committed");
    assert!(futures_util::poll!(waiting.as_mut()).is_pending(), "which is still not for it");
    held.pop();
    waiting.await.expect("its own, given back");
}
