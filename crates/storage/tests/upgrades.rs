//! The guard over new steps of the schema: the release before goes on working beside each of them, on both backends.
//!
//! A step is judged by what it does to a database, not by its words: the schema is read before and after it.

use std::collections::{BTreeMap, BTreeSet};

use app::ports::store::Store;
use migrations::{Kind, Step};
use sqlx::{PgPool, SqlitePool};
use storage::{Fit, SqlStore, connect, take_steps};
use testkit::sample;

use crate::later::Sql;

mod later;

#[derive(Debug, Clone, PartialEq, Eq)]
struct Column {
    of_type: String,
    is_required: bool,
    has_default: bool,
}

/// A table as far as statements depend on it.
#[derive(Debug, Default, PartialEq, Eq)]
struct Table {
    columns: BTreeMap<String, Column>,
    /// Columns of each unique index, which forbid rows, and which `ON CONFLICT` needs.
    unique: BTreeSet<String>,
    /// Whatever else refuses or hides rows or changes them: checks, foreign keys, triggers, policies.
    rules: BTreeSet<String>,
    /// Policies that show more rows.
    shown_by: BTreeSet<String>,
    indexes: BTreeSet<String>,
}

type Schema = BTreeMap<String, Table>;

/// A backend's catalogue, asked in the same words: table and what there is.
struct Catalogue {
    tables: &'static str,
    /// Table, column, type, is required, has a default.
    columns: &'static str,
    /// Table and columns.
    unique: &'static str,
    rules: &'static str,
    shown_by: &'static str,
    indexes: &'static str,
}

const POSTGRES: Catalogue = Catalogue {
    tables: "SELECT relname::text FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace",
    columns: "SELECT c.relname::text, a.attname::text, format_type(a.atttypid, a.atttypmod), a.attnotnull, \
              a.atthasdef OR a.attidentity <> '' FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid \
              WHERE c.relkind = 'r' AND c.relnamespace = 'public'::regnamespace AND a.attnum > 0 AND NOT a.attisdropped",
    unique: "SELECT c.relname::text, regexp_replace(pg_get_indexdef(i.indexrelid), '^.* USING ', '') FROM pg_index i \
             JOIN pg_class c ON c.oid = i.indrelid WHERE i.indisunique AND c.relnamespace = 'public'::regnamespace",
    rules: "SELECT c.relname::text, 'constraint ' || pg_get_constraintdef(r.oid) FROM pg_constraint r JOIN pg_class c ON c.oid = r.conrelid \
            WHERE r.contype IN ('c', 'f', 'x') AND c.relnamespace = 'public'::regnamespace \
            UNION ALL SELECT c.relname::text, 'trigger ' || tgname FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid \
            WHERE NOT tgisinternal AND c.relnamespace = 'public'::regnamespace \
            UNION ALL SELECT tablename::text, 'policy ' || policyname || coalesce(qual, '') || coalesce(with_check, '') FROM pg_policies \
            WHERE permissive = 'RESTRICTIVE' \
            UNION ALL SELECT relname::text, 'row-level security' FROM pg_class WHERE relrowsecurity AND relnamespace = 'public'::regnamespace",
    shown_by: "SELECT tablename::text, policyname || cmd || coalesce(qual, '') || coalesce(with_check, '') FROM pg_policies \
               WHERE permissive = 'PERMISSIVE'",
    indexes: "SELECT tablename::text, indexdef FROM pg_indexes WHERE schemaname = 'public'",
};

const SQLITE: Catalogue = Catalogue {
    tables: "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'",
    columns: "SELECT t.name, c.name, c.type, c.\"notnull\" <> 0, c.dflt_value IS NOT NULL FROM sqlite_master t, pragma_table_xinfo(t.name) c \
              WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite_%'",
    unique: "SELECT t.name, (SELECT group_concat(coalesce(c.name, '(expression)')) FROM pragma_index_info(i.name) c) || \
             CASE WHEN i.partial THEN ' of some rows' ELSE '' END FROM sqlite_master t, pragma_index_list(t.name) i \
             WHERE t.type = 'table' AND i.\"unique\"",
    rules: "SELECT t.name, 'foreign key ' || f.\"from\" || ' to ' || f.\"table\" FROM sqlite_master t, pragma_foreign_key_list(t.name) f \
            WHERE t.type = 'table' UNION ALL SELECT tbl_name, 'trigger ' || name FROM sqlite_master WHERE type = 'trigger' \
            UNION ALL SELECT name, 'checks: ' || ((length(sql) - length(replace(upper(sql), 'CHECK', ''))) / 5) FROM sqlite_master \
            WHERE type = 'table'",
    shown_by: "SELECT '', '' WHERE false",
    indexes: "SELECT tbl_name, name FROM sqlite_master WHERE type = 'index'",
};

macro_rules! read_with {
    ($pool:ident, $url:expr, $catalogue:expr) => {{
        let (pool, catalogue) = ($pool::connect($url).await.expect("connected"), $catalogue);
        let tables: Vec<String> = sqlx::query_scalar(catalogue.tables).fetch_all(&pool).await.expect("read");
        let mut schema: Schema = tables.into_iter().map(|name| (name, Table::default())).collect();
        let columns: Vec<(String, String, String, bool, bool)> = sqlx::query_as(catalogue.columns).fetch_all(&pool).await.expect("read");
        for (table, name, of_type, is_required, has_default) in columns {
            schema.get_mut(&table).expect("its table").columns.insert(name, Column { of_type, is_required, has_default });
        }
        for (sql, put) in [
            (catalogue.unique, (|table| &mut table.unique) as fn(&mut Table) -> &mut BTreeSet<String>),
            (catalogue.rules, |table| &mut table.rules),
            (catalogue.shown_by, |table| &mut table.shown_by),
            (catalogue.indexes, |table| &mut table.indexes),
        ] {
            let facts: Vec<(String, String)> = sqlx::query_as(sql).fetch_all(&pool).await.expect("read");
            for (table, fact) in facts {
                put(schema.get_mut(&table).expect("its table")).insert(fact);
            }
        }
        pool.close().await;
        schema
    }};
}

async fn read(url: &str) -> Schema {
    if url.starts_with("sqlite:") { read_with!(SqlitePool, url, SQLITE) } else { read_with!(PgPool, url, POSTGRES) }
}

/// What statements that worked `before` may stumble over `after`.
fn breaches(before: &Schema, after: &Schema) -> Vec<String> {
    let mut found = Vec::new();
    for (name, was) in before {
        let Some(is) = after.get(name) else {
            found.push(format!("table {name} is gone"));
            continue;
        };
        for (column, was) in &was.columns {
            match is.columns.get(column) {
                None => found.push(format!("{name}.{column} is gone")),
                Some(is) if is.of_type != was.of_type => found.push(format!("{name}.{column} was {} and is {}", was.of_type, is.of_type)),
                Some(is) if is.is_required && !was.is_required => found.push(format!("{name}.{column} must not be NULL any more")),
                Some(is) if was.has_default && !is.has_default => found.push(format!("{name}.{column} has no default any more")),
                Some(_) => {}
            }
        }
        for (column, is) in is.columns.iter().filter(|(column, _)| !was.columns.contains_key(*column)) {
            if is.is_required && !is.has_default {
                found.push(format!("{name}.{column} is new, must not be NULL, and has no default"));
            }
        }
        for (what, was, is) in [("unique", &was.unique, &is.unique), ("rule", &was.rules, &is.rules)] {
            found.extend(is.difference(was).map(|new| format!("{name}: new {what}: {new}")));
            found.extend(was.difference(is).map(|old| format!("{name}: {what} is gone: {old}")));
        }
        found.extend(was.shown_by.difference(&is.shown_by).map(|old| format!("{name}: policy is gone: {old}")));
    }
    // Whoever changes a table waits for all who use it. While holding another one, that is a deadlock with a node that has the
    // first and wants the second.
    let touched: Vec<_> = before.iter().filter(|(name, was)| after.get(*name) != Some(was)).map(|(name, _)| name.as_str()).collect();
    if touched.len() > 1 {
        found.push(format!("changes {} in one transaction: make a step for each", touched.join(" and ")));
    }
    found
}

/// The levels of the last two releases; 0 for one that never was.
#[derive(Debug, Clone, Copy)]
struct Released {
    before_last: u32,
    last: u32,
}

/// Why a step may not follow the last release; `found` is what it does to earlier statements.
fn refusal(step: &Step, released: Released, found: &[String]) -> Option<String> {
    let Released { before_last, last } = released;
    match step.kind {
        Kind::Baseline => Some("the baseline is closed".to_owned()),
        Kind::Expand if found.is_empty() => None,
        Kind::Expand => Some(format!("does not only expand: {}", found.join("; "))),
        Kind::Contract { .. } if found.is_empty() => Some("takes nothing away: it is an expanding step".to_owned()),
        Kind::Contract { needs } if needs > last => {
            Some(format!("needs level {needs}, and the last release has level {last}: release what does without it first, then contract"))
        }
        Kind::Contract { needs } if needs <= before_last => Some(format!(
            "needs level {needs}, which the release before the last has as well: the release that does without needs a step of its own, if an \
             empty one"
        )),
        Kind::Contract { .. } => None,
    }
}

/// Takes the steps up to `at`, then the one there; answers what it did.
async fn judged(url: &str, steps: &[Step], at: usize) -> Vec<String> {
    take_steps(url, &steps[..at], None).await.expect("the steps before");
    let before = read(url).await;
    take_steps(url, steps, Some(1)).await.expect("the step");
    breaches(&before, &read(url).await)
}

async fn both() -> (tempfile::TempDir, [String; 2]) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let sqlite = format!("sqlite:{}", folder.path().join("claviger.db").display());
    (folder, [sqlite, testkit::postgres::fresh_database().await])
}

fn released() -> Released {
    let lines = include_str!("../../../migrations/released.txt").lines().filter(|line| !line.starts_with('#'));
    let releases: Vec<_> = lines.filter_map(|line| line.split_whitespace().next()).collect();
    let of_last = releases.iter().rev().take_while(|release| Some(*release) == releases.last()).count();
    let level = |count| u32::try_from(count).expect("few");
    Released { before_last: level(releases.len() - of_last), last: level(releases.len()) }
}

#[tokio::test]
async fn each_step_since_the_last_release_leaves_that_release_working() {
    let steps = migrations::steps();
    for at in released().last as usize..steps.len() {
        let (_folder, urls) = both().await;
        for url in &urls {
            assert_eq!(refusal(&steps[at], released(), &judged(url, &steps, at).await), None, "{}: {url}", steps[at].name());
        }
    }
}

#[tokio::test]
async fn what_only_adds_passes() {
    let steps = later::expanded();
    let (_folder, urls) = both().await;
    for url in &urls {
        take_steps(url, &migrations::steps(), None).await.expect("migrated");
        for at in migrations::steps().len()..steps.len() {
            assert_eq!(judged(url, &steps, at).await, Vec::<String>::new(), "{:?} on {url}", steps[at]);
        }
    }
}

/// SQLite changes a column by making its table anew.
const NEW_TABLE: &[&str] = &[
    "CREATE TABLE new_used_kids (kid text NOT NULL PRIMARY KEY, tenant text NOT NULL)",
    "DROP TABLE used_kids",
    "ALTER TABLE new_used_kids RENAME TO used_kids",
];

#[tokio::test]
async fn what_the_release_before_would_stumble_over_is_refused() {
    const ON_BOTH: &[(&[&str], &str)] = &[
        (&["ALTER TABLE users DROP COLUMN phc"], "users.phc is gone"),
        (&["ALTER TABLE users RENAME COLUMN phc TO hash"], "users.phc is gone"),
        (&["ALTER TABLE refresh_families RENAME TO families"], "table refresh_families is gone"),
        (&["DROP TABLE guess_counters"], "table guess_counters is gone"),
        (&["CREATE UNIQUE INDEX one_name ON tenants (name)"], "tenants: new unique"),
        (NEW_TABLE, "used_kids.tenant is new, must not be NULL, and has no default"),
        (&["ALTER TABLE users ADD COLUMN age {int} CHECK (age > 17)"], "users: "),
        (&["ALTER TABLE users ADD COLUMN age {int}", "ALTER TABLE tenants ADD COLUMN age {int}"], "changes tenants and users in one"),
        (&["ALTER TABLE users ADD COLUMN kek text REFERENCES keks (id)"], "users: new rule"),
    ];
    const ON_POSTGRES: &[(&[&str], &str)] = &[
        (&["ALTER TABLE tenants ADD COLUMN plan text NOT NULL"], "tenants.plan is new, must not be NULL, and has no default"),
        (&["ALTER TABLE users ALTER COLUMN email SET NOT NULL"], "users.email must not be NULL any more"),
        (&["ALTER TABLE users ALTER COLUMN roles TYPE varchar(40)"], "users.roles was text and is character varying(40)"),
        (&["ALTER TABLE tenants ALTER COLUMN name_key DROP DEFAULT"], "tenants.name_key has no default any more"),
        (&["ALTER TABLE tenants DROP CONSTRAINT tenants_slug_key"], "tenants: unique is gone"),
        (&["ALTER POLICY of_the_tenant ON users USING (false)"], "users: policy is gone"),
        (&["CREATE POLICY nobody ON users AS RESTRICTIVE USING (false)"], "users: new rule"),
        (&["ALTER TABLE used_kids ENABLE ROW LEVEL SECURITY"], "used_kids: new rule"),
    ];
    for (bad, why) in ON_BOTH.iter().chain(ON_POSTGRES) {
        let (_folder, [sqlite, postgres]) = both().await;
        let is_on_both = ON_BOTH.iter().any(|(on_both, _)| on_both == bad);
        for url in [Some(postgres), is_on_both.then_some(sqlite)].into_iter().flatten() {
            let steps = later::steps(Step::expand(Sql("bad", bad)));
            let found = judged(&url, &steps, steps.len() - 1).await;
            assert!(found.iter().any(|breach| breach.starts_with(why)), "{bad:?} on {url}: {found:?}");
            let refused = refusal(steps.last().expect("some"), released(), &found).expect("refused");
            assert!(refused.starts_with("does not only expand"), "{refused}");
        }
    }
}

#[test]
fn a_contraction_waits_for_a_release_that_does_without() {
    let gone = ["users.phc is gone".to_owned()];
    let released = Released { before_last: 6, last: 8 };
    for (step, found, refused) in [
        (Step::contract(8, Sql("c", &[])), &gone[..], None),
        (Step::contract(9, Sql("c", &[])), &gone[..], Some("needs level 9, and the last release")),
        (Step::contract(6, Sql("c", &[])), &gone[..], Some("needs level 6, which the release before")),
        (Step::contract(8, Sql("c", &[])), &[], Some("takes nothing away")),
        (Step::expand(Sql("e", &[])), &gone[..], Some("does not only expand")),
        (Step::expand(Sql("e", &[])), &[], None),
        (Step::baseline(Sql("b", &[])), &[], Some("the baseline is closed")),
    ] {
        let why = refusal(&step, released, found);
        assert!(why.as_deref().map_or(refused.is_none(), |why| refused.is_some_and(|word| why.starts_with(word))), "{step:?}: {why:?}");
    }
}

#[tokio::test]
async fn a_database_that_has_gone_too_far_says_so_and_stays_as_it_is() {
    let own = migrations::level(&migrations::steps());
    let (_folder, urls) = both().await;
    for url in &urls {
        take_steps(url, &later::steps(Step::contract(own + 1, Sql("contracts", &["ALTER TABLE users DROP COLUMN phc"]))), None)
            .await
            .expect("migrated");
        let db = connect(url, 2).await.expect("connected");
        let too_old = Ok(Fit::TooOld { own, level: own + 1, lowest: own + 1 });
        assert_eq!(db.schema().await, too_old, "{url}");
        storage::migrate(url).await.expect("nothing to do");
        assert_eq!(db.schema().await, too_old, "{url}");
    }
}

#[tokio::test]
async fn what_the_release_before_has_written_is_there_for_the_next_one() {
    let (_folder, urls) = both().await;
    for url in &urls {
        let store = SqlStore::new(later::opened(url).await);
        let home = sample::home(&store).await.expect("stored on the schema of a later release");
        assert_eq!(store.begin_read(home.id()).await.expect("begins").user_by_id(home.alice.id).await, Ok(Some(home.alice)), "{url}");
        store.database().close().await.expect("closed");
        let (locale, strength) = defaults_of_the_new_columns(url).await;
        assert_eq!((locale.as_str(), strength), ("en", 1), "{url}");
    }
}

/// As the later release reads them.
async fn defaults_of_the_new_columns(url: &str) -> (String, i64) {
    const SQL: &str = "SELECT u.locale, f.strength FROM users u JOIN refresh_families f ON f.user_id = u.id";
    if url.starts_with("sqlite:") {
        let pool = SqlitePool::connect(url).await.expect("connected");
        return sqlx::query_as(SQL).fetch_one(&pool).await.expect("read");
    }
    let pool = PgPool::connect(url).await.expect("connected");
    let mut tx = pool.begin().await.expect("begins");
    let of_all = "SELECT set_config('claviger.tenant', (SELECT string_agg(id::text, ',') FROM tenants), true)";
    sqlx::query("SELECT set_config('claviger.scope', 'platform', true)").execute(&mut *tx).await.expect("set");
    sqlx::query(of_all).execute(&mut *tx).await.expect("set");
    sqlx::query_as(SQL).fetch_one(&mut *tx).await.expect("read")
}
