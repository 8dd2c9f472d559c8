//! Connections: how many, how they are set up, and how long anybody waits for one.
//!
//! On SQLite there are two pools on one file: one connection that writes, so that writers queue in this process instead of
//! polling for the lock, and four that read and never wait for it; one more makes [checkpoints](crate::checkpoints).
//!
//! Invariant: an acknowledged commit survives a power cut (shared [flushes](crate::flushes) on SQLite; PostgreSQL's default).

use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use app::ports::store::{StoreError, Stored};
use domain::time::Timestamp;
use migrations::Fit;
use sea_orm::{ConnectOptions, ConnectionTrait, DatabaseConnection};
use sqlx::postgres::PgConnectOptions;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sqlx::{Connection, Row};

use crate::dialect::{self, Purpose};
use crate::error;
use crate::gauges::RefreshCommits;
use crate::notices::RingNotices;
use crate::pool::Pool;
use crate::tx::BoundedTx;
use crate::wal::Wal;

/// How long a connection may take to come about once it is somebody's turn: because one has to be made, or is still being tidied.
pub(crate) const TURN_PATIENCE: Duration = Duration::from_secs(3);
/// How long the reason is looked for why no connection came about.
const REASON_PATIENCE: Duration = Duration::from_secs(1);
/// How long a connection that was left in the middle of something may take to come back to its senses.
const RECOVERY_PATIENCE: Duration = Duration::from_secs(2);
const SQLITE_READERS: u32 = 4;
/// What the one that writes keeps of the file, at most: the rows that a thousand sessions of a thousand tenants stand on. It is
/// taken as it is used. Negative: in KiB, not in pages.
const WRITER_CACHE_KIB: &str = "-16384";

/// The way to a database. A URL alone is one, without a pooler.
#[derive(Clone)]
pub struct Road {
    /// `sqlite:{path}` (made when missing) or `postgres://…`.
    pub url: String,
    /// A pooler stands there that gives each transaction whatever session is free, such as PgBouncer in transaction mode. Nothing is
    /// kept in the session then.
    pub is_pooled: bool,
    /// Where notices are listened for, which takes a session of its own; `None`: at `url`, unless that is a pooler's.
    pub listen_url: Option<String>,
}

impl<Url: AsRef<str> + ?Sized> From<&Url> for Road {
    fn from(url: &Url) -> Self {
        Self { url: url.as_ref().to_owned(), is_pooled: false, listen_url: None }
    }
}

impl std::fmt::Debug for Road {
    /// Leaves out the URLs, which may hold passwords.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Road").field("is_pooled", &self.is_pooled).finish_non_exhaustive()
    }
}

/// An open database. Cheap to clone.
#[derive(Clone)]
pub struct Database {
    listen_url: Option<String>,
    pub(crate) writer: Pool,
    pub(crate) reader: Pool,
    pub(crate) is_sqlite: bool,
    pub(crate) refresh_commits: Arc<RefreshCommits>,
}

/// Opens the database at the end of `road`. `max_connections` is for PostgreSQL; SQLite has one that writes and four that read.
///
/// # Errors
/// `Unavailable` after at most four seconds, also when the URL is of no kind known here.
pub async fn connect(road: impl Into<Road>, max_connections: u32) -> Stored<Database> {
    let Road { url, is_pooled, listen_url } = road.into();
    let is_sqlite = is_sqlite(&url)?;
    let (writer, reader, listen_url) = if is_sqlite {
        let path = SqliteConnectOptions::from_str(&url).map_err(|error| error::of_sqlx(&error, "(connect)"))?;
        // Its commits are flushed by the log's own thread.
        let writer = open(sqlite(&url, 1, Purpose::Write, SqliteSynchronous::Normal)).await?;
        let reader = open(sqlite(&url, SQLITE_READERS, Purpose::Read, SqliteSynchronous::Full)).await?;
        let mut aside = sqlite(&url, 1, Purpose::Read, SqliteSynchronous::Full);
        aside.min_connections(0).connect_lazy(true);
        let wal = Wal::of(path.get_filename(), open(aside).await?);
        let wal = Arc::new(wal.map_err(|error| StoreError::Unavailable(format!("the database's log cannot be opened: {error}")))?);
        (Pool::of_a_file(writer, 1, Arc::clone(&wal)), Pool::of_a_file(reader, SQLITE_READERS, wal), None)
    } else {
        let is_away = Arc::<AtomicBool>::default();
        let mut options = postgres(&url, max_connections, Arc::clone(&is_away));
        if is_pooled {
            options.map_sqlx_postgres_opts(keep_no_statements);
        }
        let pool = Pool::of_a_server(open(options).await?, max_connections, is_away, is_pooled);
        (pool.clone(), pool, listen_url.or((!is_pooled).then_some(url)))
    };
    Ok(Database { listen_url, writer, reader, is_sqlite, refresh_commits: Arc::default() })
}

/// Brings the schema up to date, on a connection of its own. On PostgreSQL, nodes that start together take turns. Does nothing
/// where [`Database::schema`] is not [`Fit::Behind`].
///
/// # Errors
/// `Unavailable` when the database is, or when it does not let this role change the schema.
pub async fn migrate(url: &str) -> Stored<()> {
    migrate_steps(url, None).await
}

/// Like [`migrate`], but takes at most so many steps: how the database of an older program is made in a test.
///
/// # Errors
/// As for [`migrate`].
pub async fn migrate_steps(url: &str, steps: Option<u32>) -> Stored<()> {
    take_steps(url, &migrations::steps(), steps).await
}

/// Like [`migrate_steps`], with the `steps` of another release: how the database of a newer program is made in a test.
///
/// # Errors
/// As for [`migrate`].
pub async fn take_steps(url: &str, steps: &[migrations::Step], most: Option<u32>) -> Stored<()> {
    let options = if is_sqlite(url)? {
        sqlite(url, 1, Purpose::Write, SqliteSynchronous::Full)
    } else {
        let mut options = postgres(url, 1, Arc::default());
        options.map_sqlx_postgres_opts(keep_no_statements);
        options
    };
    let db = open(options).await?;
    let taken = migrations::take(&db, steps, most).await;
    let closed = db.close().await;
    taken.and(closed).map_err(error::of("(schema)"))
}

impl std::fmt::Debug for Database {
    /// Leaves out the URL, which may hold a password.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Database").field("kind", &self.kind()).finish_non_exhaustive()
    }
}

impl Database {
    /// How the database's schema and this program go together.
    ///
    /// # Errors
    /// `Unavailable` when the database is.
    pub async fn schema(&self) -> Stored<Fit> {
        let tx = BoundedTx::begin(&self.reader, None, Purpose::Read).await?;
        migrations::fit(&tx, &migrations::steps()).await.map_err(error::of("(schema)"))
    }

    /// Whether PostgreSQL lets this role pass by row-level security, which is the second net between tenants. SQLite has none.
    ///
    /// # Errors
    /// `Unavailable` when the database is.
    pub async fn passes_row_security(&self) -> Stored<bool> {
        if self.is_sqlite {
            return Ok(false);
        }
        let tx = BoundedTx::begin(&self.reader, None, Purpose::Read).await?;
        let sql = "SELECT rolsuper OR rolbypassrls FROM pg_catalog.pg_roles WHERE rolname = current_user";
        let row = tx.query_one_raw(dialect::statement(&tx, sql, [])).await.map_err(error::of("(role)"))?;
        row.map_or(Ok(false), |row| row.try_get_by_index(0)).map_err(error::of("(role)"))
    }

    /// What time it is by PostgreSQL's clock. `None` on SQLite, which has none of its own.
    ///
    /// # Errors
    /// `Unavailable` when the database is.
    pub async fn server_time(&self) -> Stored<Option<Timestamp>> {
        if self.is_sqlite {
            return Ok(None);
        }
        let tx = BoundedTx::begin(&self.reader, None, Purpose::Read).await?;
        let sql = "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint";
        let row = tx.query_one_raw(dialect::statement(&tx, sql, [])).await.map_err(error::of("(clock)"))?;
        let micros = row.map(|row| row.try_get_by_index(0)).transpose().map_err(error::of("(clock)"))?;
        Ok(micros.map(Timestamp::from_micros))
    }

    /// Whether this node can hear of other nodes' changes: not on SQLite, which has no other nodes, nor where nobody has said
    /// where to listen past a pooler.
    pub const fn has_notices(&self) -> bool {
        self.listen_url.is_some()
    }

    /// Notices of changed rings from other nodes, on a connection of their own; `None` without [`Self::has_notices`].
    ///
    /// # Errors
    /// `Unavailable` when the database is.
    pub async fn notices(&self) -> Stored<Option<RingNotices>> {
        match &self.listen_url {
            Some(url) => RingNotices::listen(url).await.map(Some),
            None => Ok(None),
        }
    }

    /// Which database this is, for people: `sqlite` or `postgres`.
    pub const fn kind(&self) -> &'static str {
        if self.is_sqlite { "sqlite" } else { "postgres" }
    }

    /// Waits for what is under way and closes all connections.
    ///
    /// # Errors
    /// `Unavailable` when a connection cannot be closed in order.
    pub async fn close(&self) -> Stored<()> {
        self.reader.connections.close_by_ref().await.map_err(error::of("(close)"))?;
        if let Some(wal) = &self.writer.wal {
            wal.close().await?;
            // What is in the log goes into the database: a stopped server's data is one file, also for whoever copies it.
            self.writer.connections.execute_unprepared("PRAGMA wal_checkpoint(TRUNCATE)").await.map_err(error::of("(close)"))?;
        }
        self.writer.connections.close_by_ref().await.map_err(error::of("(close)"))
    }
}

/// Whether the URL of a database can be read.
///
/// # Errors
/// What is wrong with it, without a part of it: it may hold a password, which is why it is looked at before anybody else complains.
pub fn legible(url: &str) -> Result<(), String> {
    let read =
        if url.starts_with("sqlite:") { url.parse::<SqliteConnectOptions>().map(drop) } else { url.parse::<PgConnectOptions>().map(drop) };
    read.map_err(|error| match error {
        sqlx::Error::Configuration(why) => why.to_string(),
        _ => "it is no URL".to_owned(),
    })
}

fn is_sqlite(url: &str) -> Stored<bool> {
    let is_sqlite = url.starts_with("sqlite:") && !url.contains(":memory:");
    if !is_sqlite && !url.starts_with("postgres:") && !url.starts_with("postgresql:") {
        return Err(StoreError::Unavailable("a database URL begins with sqlite: (and a path) or postgres:".to_owned()));
    }
    legible(url).map_err(|why| StoreError::Unavailable(format!("its URL cannot be read: {why}")))?;
    Ok(is_sqlite)
}

async fn open(options: ConnectOptions) -> Stored<DatabaseConnection> {
    let url = options.get_url().to_owned();
    match sea_orm::Database::connect(options).await {
        Ok(connections) => Ok(connections),
        Err(failed) => Err(reason(&url).await.unwrap_or_else(|| error::of("(connect)")(failed))),
    }
}

/// Why PostgreSQL was not reached: a pool goes on trying and then says only that time is up.
async fn reason(url: &str) -> Option<StoreError> {
    if is_sqlite(url).ok()? {
        return None;
    }
    let options = without_extras(url.parse().ok()?);
    let tried = tokio::time::timeout(REASON_PATIENCE, sqlx::PgConnection::connect_with(&options)).await.ok()?;
    tried.err().map(|cause| error::of_sqlx(&cause, "(connect)"))
}

fn common(url: &str, connections: u32) -> ConnectOptions {
    let mut options = ConnectOptions::new(url);
    options
        .max_connections(connections)
        .connect_timeout(TURN_PATIENCE)
        .acquire_timeout(TURN_PATIENCE)
        // SQL text and its values may hold personal data.
        .sqlx_logging(false)
        .record_stmt_in_spans(false);
    options
}

fn sqlite(url: &str, connections: u32, purpose: Purpose, synchronous: SqliteSynchronous) -> ConnectOptions {
    let mut options = common(url, connections);
    options.min_connections(1).test_before_acquire(false).max_lifetime(None).idle_timeout(None);
    options.map_sqlx_sqlite_pool_opts(|pool| pool.after_release(|connection, _| Box::pin(has_ended_its_transaction(connection))));
    options.map_sqlx_sqlite_opts(move |sqlite| {
        let sqlite = sqlite
            .create_if_missing(purpose == Purpose::Write)
            .synchronous(synchronous)
            .foreign_keys(true)
            .busy_timeout(Duration::from_secs(5));
        match purpose {
            // What is deleted from a page is overwritten with zeros: destroyed keys do not linger in the file.
            Purpose::Write => {
                sqlite.journal_mode(SqliteJournalMode::Wal).pragma("secure_delete", "fast").pragma("cache_size", WRITER_CACHE_KIB)
            }
            Purpose::Read => sqlite.pragma("query_only", "on"),
        }
    });
    options
}

/// Whether a connection may go back to the pool. When a commit fails because the disk is full, SQLite has rolled back by
/// itself; sqlx finds nothing to roll back, goes on counting a transaction, and would make every later one a savepoint within
/// it: commits that commit nothing. Such a connection is closed.
async fn has_ended_its_transaction(connection: &mut sqlx::SqliteConnection) -> Result<bool, sqlx::Error> {
    if connection.is_in_transaction() {
        // A rollback may be under way; what is asked now is answered after it.
        connection.ping().await?;
    }
    Ok(!connection.is_in_transaction())
}

fn postgres(url: &str, connections: u32, is_away: Arc<AtomicBool>) -> ConnectOptions {
    let mut options = common(url, connections);
    options.test_before_acquire_if_idle_for(Duration::from_secs(30)).set_application_name("claviger");
    options.map_sqlx_postgres_opts(without_extras);
    options.map_sqlx_postgres_pool_opts(move |pool| {
        let is_away = Arc::clone(&is_away);
        pool.after_release(move |connection, _| Box::pin(recovered(connection, is_away.load(Ordering::SeqCst))))
    });
    options
}

/// Asks for nothing at the start of a session that a pooler does not know: no float leaves this program, so their digits do not matter.
fn without_extras(options: PgConnectOptions) -> PgConnectOptions {
    options.extra_float_digits(None)
}

/// For sessions that others may have in between: what was prepared in one is not there later.
fn keep_no_statements(options: PgConnectOptions) -> PgConnectOptions {
    without_extras(options).statement_cache_capacity(0)
}

/// Whether a connection may go back to the pool. One that is left with something to say, such as the rollback of an unfinished
/// transaction, has to get it said soon, and so has any while the database is suspected to be away; else it would hold its place in the pool until TCP gives it up, which takes a quarter
/// of an hour when the network swallows what is sent. While there is a suspicion, one that leads to a server in recovery is closed: there may
/// be a primary elsewhere by now.
async fn recovered(connection: &mut sqlx::PgConnection, is_suspect: bool) -> Result<bool, sqlx::Error> {
    let late = |_| sqlx::Error::Io(std::io::ErrorKind::TimedOut.into());
    if is_suspect {
        // Not prepared, because a pooler may stand there.
        let asked = sqlx::raw_sql("SELECT pg_is_in_recovery()").fetch_one(connection);
        let row = tokio::time::timeout(RECOVERY_PATIENCE, asked).await.map_err(late)??;
        return Ok(!row.try_get::<bool, _>(0)?);
    }
    if connection.should_flush() {
        tokio::time::timeout(RECOVERY_PATIENCE, connection.ping()).await.map_err(late)??;
    }
    Ok(true)
}
