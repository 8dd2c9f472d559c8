//! Who fetches a tenant's JWKS, as rows that every node adds to.
//!
//! Invariant: what was fetched last counts, whichever node writes last.

use app::ports::store::{Stored, VerifierStore};
use async_trait::async_trait;
use domain::ids::TenantId;
use domain::keys::verifier::{Fetch, Sighting, VerifierName};
use domain::time::{Timestamp, Ttl};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder};

use crate::dialect::{self, statement};
use crate::entities::jwks_verifiers::{Column, Entity, Model};
use crate::error::{self, Cell};
use crate::tx::SqlTenantTx;

const TABLE: &str = "jwks_verifiers";

fn from_row(row: Model) -> Stored<Sighting> {
    let cell = Cell { table: TABLE, row: TenantId::from_uuid(row.tenant_id) };
    let last = Fetch {
        at: Timestamp::from_micros(row.last_seen),
        generation: cell.number("generation", row.generation)?,
        max_age: Ttl::seconds(cell.number("max_age", row.max_age)?),
    };
    Ok(Sighting {
        verifier: cell.parsed("verifier", &row.verifier)?,
        first_seen: Timestamp::from_micros(row.first_seen),
        last,
        fetches: cell.number("fetches", row.fetches)?,
    })
}

#[async_trait]
impl VerifierStore for SqlTenantTx {
    async fn verifiers(&mut self) -> Stored<Vec<Sighting>> {
        let of_tenant = Entity::find().filter(Column::TenantId.eq(self.owner()));
        let ordered = of_tenant.order_by_desc(Column::LastSeen).order_by_asc(Column::Verifier);
        ordered.all(&self.tx).await.map_err(error::of(TABLE))?.into_iter().map(from_row).collect()
    }
}

/// Adds one sighting; answers whether there was a tenant, and room for it. "Others" always find room.
pub(crate) async fn merge(tx: &impl ConnectionTrait, tenant: TenantId, seen: &Sighting, most: u32) -> Stored<bool> {
    // Whoever deletes the tenant waits, or has been.
    let (living, lock) = ("t.id = $1 AND t.deleted_at IS NULL", dialect::share_rows(tx, "t"));
    let is_known = "EXISTS (SELECT 1 FROM jwks_verifiers WHERE tenant_id = $1 AND verifier = $2)";
    let has_room = "(SELECT count(*) FROM jwks_verifiers WHERE tenant_id = $1) < $8";
    let of_last = |column: &str| {
        format!(
            "{column} = CASE WHEN excluded.last_seen >= jwks_verifiers.last_seen THEN excluded.{column} ELSE jwks_verifiers.{column} END"
        )
    };
    let sql = format!(
        "INSERT INTO jwks_verifiers (tenant_id, verifier, first_seen, last_seen, generation, max_age, fetches) \
         SELECT $1, $2, $3, $4, $5, $6, $7 FROM tenants t WHERE {living} AND ({is_known} OR {has_room}){lock} \
         ON CONFLICT (tenant_id, verifier) DO UPDATE SET {}, {}, {}, \
         first_seen = CASE WHEN excluded.first_seen < jwks_verifiers.first_seen THEN excluded.first_seen ELSE jwks_verifiers.first_seen END, \
         fetches = jwks_verifiers.fetches + excluded.fetches",
        of_last("generation"),
        of_last("max_age"),
        of_last("last_seen"),
    );
    let number = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
    let most = if seen.verifier == VerifierName::Others { i64::MAX } else { i64::from(most) };
    let values = [
        tenant.as_uuid().into(),
        seen.verifier.to_string().into(),
        seen.first_seen.as_micros().into(),
        seen.last.at.as_micros().into(),
        number(seen.last.generation).into(),
        i64::from(seen.last.max_age.as_seconds()).into(),
        number(seen.fetches).into(),
        most.into(),
    ];
    let merged = tx.execute_raw(statement(tx, sql, values)).await.map_err(error::of(TABLE))?;
    Ok(merged.rows_affected() > 0)
}
