//! What an error of the database means to a use case.
//!
//! Invariant: the text of a violated constraint never leaves: it may quote a name or an address.

use app::ports::store::{StoreError, Stored};
use domain::document::{self, Document, Unread};
use sea_orm::{DbErr, RuntimeErr};

/// Turns errors of statements on `table` into [`StoreError`]s.
pub(crate) fn of(table: &'static str) -> impl Fn(DbErr) -> StoreError {
    move |error| match &error {
        DbErr::RecordNotUpdated | DbErr::RecordNotInserted => StoreError::Conflict,
        DbErr::Exec(RuntimeErr::SqlxError(cause))
        | DbErr::Query(RuntimeErr::SqlxError(cause))
        | DbErr::Conn(RuntimeErr::SqlxError(cause)) => of_sqlx(cause, table),
        DbErr::TryIntoErr { .. } | DbErr::Type(_) | DbErr::Json(_) => corrupt(table, "(row)", error),
        _ => StoreError::Unavailable(error.to_string()),
    }
}

pub(crate) fn of_sqlx(error: &sqlx::Error, table: &'static str) -> StoreError {
    match error {
        sqlx::Error::Database(cause) => {
            let code = cause.code().unwrap_or_default();
            // Two writers met: PostgreSQL's serialization_failure and deadlock_detected.
            if cause.is_unique_violation() || cause.is_foreign_key_violation() || matches!(&*code, "40001" | "40P01") {
                StoreError::Conflict
            } else if cause.is_check_violation() || code.starts_with("22") || code.starts_with("23") {
                StoreError::Corrupt { table, column: "(row)", row: format!("refused with {code}") }
            } else {
                // Away, full, read-only, too slow, or not migrated: nothing that this call can do about.
                StoreError::Unavailable(format!("{code}: {}", cause.message()))
            }
        }
        sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) | sqlx::Error::ColumnNotFound(_) => corrupt(table, "(row)", error),
        other => StoreError::Unavailable(other.to_string()),
    }
}

/// Whether a statement failed because its connection had ended, so that nothing was done and another connection may do it.
/// Not so when there was no connection to be had in the first place.
pub(crate) fn is_cut(error: &DbErr) -> bool {
    let (DbErr::Exec(RuntimeErr::SqlxError(cause)) | DbErr::Query(RuntimeErr::SqlxError(cause))) = error else { return false };
    match &**cause {
        sqlx::Error::Io(_) => true,
        // The last words of PostgreSQL when it shuts down: admin_shutdown, crash_shutdown.
        sqlx::Error::Database(last_words) => matches!(last_words.code().as_deref(), Some("57P01" | "57P02")),
        _ => false,
    }
}

/// Whether the database refused a statement with words that hold these.
pub(crate) fn is_about(error: &DbErr, words: &str) -> bool {
    let (DbErr::Exec(RuntimeErr::SqlxError(cause)) | DbErr::Query(RuntimeErr::SqlxError(cause))) = error else { return false };
    matches!(&**cause, sqlx::Error::Database(refusal) if refusal.message().contains(words))
}

/// A row of `table` that does not hold what it must. `row` says which, or what is wrong with it; never the value itself.
pub(crate) fn corrupt(table: &'static str, column: &'static str, row: impl ToString) -> StoreError {
    StoreError::Corrupt { table, column, row: row.to_string() }
}

/// One column of one row, read into what the domain knows.
#[derive(Clone, Copy)]
pub(crate) struct Cell<Row> {
    pub(crate) table: &'static str,
    pub(crate) row: Row,
}

impl<Row: std::fmt::Display> Cell<Row> {
    pub(crate) fn bad(&self, column: &'static str) -> StoreError {
        corrupt(self.table, column, &self.row)
    }

    pub(crate) fn parsed<T: std::str::FromStr>(&self, column: &'static str, text: &str) -> Stored<T> {
        text.parse().map_err(|_| self.bad(column))
    }

    pub(crate) fn number<T: TryFrom<i64>>(&self, column: &'static str, number: i64) -> Stored<T> {
        T::try_from(number).map_err(|_| self.bad(column))
    }

    /// A document, as nodes of two releases read it.
    pub(crate) fn document<D: Document>(&self, column: &'static str, text: &str) -> Stored<D> {
        document::read(text).map_err(|unread| self.unread(column, unread))
    }

    /// What is written in the place of the document `old`: all that it says and this program does not know stays.
    pub(crate) fn rewritten<D: Document>(&self, column: &'static str, document: &D, old: &str) -> Stored<String> {
        document::rewritten(document, old).map_err(|unread| self.unread(column, unread))
    }

    fn unread(&self, column: &'static str, unread: Unread) -> StoreError {
        match unread {
            Unread::Newer { needs } => StoreError::Newer { table: self.table, column, row: self.row.to_string(), needs },
            Unread::Broken => self.bad(column),
        }
    }

    /// JSON text into what it describes, which is no document. Not generic over serde, so that this crate needs none of it.
    pub(crate) fn json<T>(&self, column: &'static str, read: Result<T, serde_json::Error>) -> Stored<T> {
        read.map_err(|_| self.bad(column))
    }
}

/// Writing JSON of our own types cannot fail; if it ever does, nothing is stored.
pub(crate) fn written(table: &'static str, column: &'static str, text: Result<String, serde_json::Error>) -> Stored<String> {
    text.map_err(|error| corrupt(table, column, error))
}

/// The text of a document that was not there before.
pub(crate) fn document<D: Document>(table: &'static str, column: &'static str, new: &D) -> Stored<String> {
    written(table, column, document::written(new))
}
