//! Rows read by position, and tables of values to join with: for statements that many share.
//!
//! Invariant: the columns are those of the entities.

use std::fmt::Write as _;

use app::ports::store::Stored;
use sea_orm::{QueryResult, TryGetable, Value};

use crate::entities::{clients, refresh_families, tenants, users};
use crate::error;

/// The columns of one table, and how a row of them is read: by position, which spares a look-up by name for each cell.
macro_rules! read_in_order {
    ($columns:ident, $read:ident => $entity:ident { $($column:ident),+ }) => {
        pub(crate) const $columns: &[&str] = &[$(stringify!($column)),+];

        pub(crate) fn $read(cells: &mut Cells<'_>) -> Stored<$entity::Model> {
            Ok($entity::Model { $($column: cells.next(stringify!($entity))?),+ })
        }
    };
}

read_in_order! { FAMILY, read_family => refresh_families {
    tenant_id, id, user_id, client_id, scope, binding, auth_time, current, rotated_at, replays, superseded, idle_expires_at,
    absolute_expires_at, revoked_at, revoked_cause, created_at, user_agent, source, ends_hour, sign_on,
    resources, authorization_details
} }
read_in_order! { USER, read_user => users {
    tenant_id, id, username, username_key, email, email_key, status, disabled_at, roles, claims, created_at, updated_at,
    password_changed_at, email_verified_at, password_change_required_at
} }
read_in_order! { TENANT, read_tenant => tenants {
    id, slug, name, name_key, custom_domain, status, suspended_at, policy, created_at, updated_at, deleted_at
} }
read_in_order! { CLIENT, read_client => clients {
    tenant_id, id, settings, secrets, registration, unused_until, disabled_at, created_at, updated_at
} }

/// The cells of a row, from left to right.
pub(crate) struct Cells<'r> {
    row: &'r QueryResult,
    at: usize,
}

impl<'r> Cells<'r> {
    pub(crate) const fn of(row: &'r QueryResult) -> Self {
        Self { row, at: 0 }
    }

    pub(crate) const fn skip(&mut self, count: usize) {
        self.at += count;
    }

    pub(crate) fn next<T: TryGetable>(&mut self, table: &'static str) -> Stored<T> {
        self.at += 1;
        self.row.try_get_by_index(self.at - 1).map_err(error::of(table))
    }
}

/// `VALUES ($1, $2), ($3, $4), …` and its values. The last row is repeated up to a power of two, which changes nothing about
/// what it joins to: so there are seven such statements to prepare and keep, not sixty-four.
pub(crate) fn table_of<const COLUMNS: usize>(mut rows: Vec<[Value; COLUMNS]>) -> (String, Vec<Value>) {
    if let Some(last) = rows.last().cloned() {
        rows.resize(rows.len().next_power_of_two(), last);
    }
    let mut sql = String::from("VALUES ");
    for row in 0..rows.len() {
        sql.push_str(if row == 0 { "(" } else { ", (" });
        for column in 0..COLUMNS {
            // Writing to a String cannot fail.
            let _ = write!(sql, "{}${}", if column == 0 { "" } else { ", " }, row * COLUMNS + column + 1);
        }
        sql.push(')');
    }
    (sql, rows.into_iter().flatten().collect())
}
