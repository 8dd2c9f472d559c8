//! Work across tenants: finding them, what is due, and sweeping what has ended.
//!
//! On SQLite it reads on a reader's connection and takes the write lock at its first write, so that looking up a tenant
//! never waits for a writer.
//!
//! Invariant: nothing here reads a user, a family's content or a tenant's secret.

use app::ports::store::{Leftover, PlatformTx, RingMark, Stored};
use async_trait::async_trait;
use domain::host::HostName;
use domain::ids::{BackchannelRequestId, FamilyId, MailId, TenantId};
use domain::keys::verifier::{Sighting, VerifierName};
use domain::tenant::Tenant;
use domain::text::Slug;
use domain::time::{Timestamp, Ttl};
use sea_orm::sea_query::{Expr, ExprTrait};
use sea_orm::{ColumnTrait, Condition, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Select};
use uuid::Uuid;

use crate::connect::Database;
use crate::dialect::{self, Purpose, Scope, statement};
use crate::entities::{key_rings, tenants};
use crate::error::{self, Cell};
use crate::families;
use crate::outbox::{BACKCHANNEL_PINGS, LOGOUT_NOTICES, MAILS, Outbox};
use crate::tenants::{self as tenants_rows, from_row};
use crate::tx::BoundedTx;
use crate::verifiers;

/// Values in one `IN (…)`: well below what either backend takes.
const CHUNK: usize = 500;

pub(crate) struct SqlPlatformTx {
    db: Database,
    pub(crate) tx: BoundedTx,
    is_writing: bool,
}

impl SqlPlatformTx {
    pub(crate) async fn begin(db: &Database) -> Stored<Self> {
        // On PostgreSQL both are the same pool, and the transaction may write from the start.
        let purpose = if db.is_sqlite { Purpose::Read } else { Purpose::Write };
        let tx = BoundedTx::begin(&db.reader, None, purpose).await?;
        Ok(Self { db: db.clone(), tx, is_writing: !db.is_sqlite })
    }

    /// The transaction, made one that may write.
    pub(crate) async fn writing(&mut self) -> Stored<&BoundedTx> {
        if !self.is_writing {
            self.tx = BoundedTx::begin(&self.db.writer, None, Purpose::Write).await?;
            self.is_writing = true;
        }
        Ok(&self.tx)
    }

    async fn claimed(&mut self, what: Outbox, limit: u32) -> Stored<Vec<(TenantId, Uuid)>> {
        if !what.is_any_due(&self.tx).await? {
            return Ok(Vec::new());
        }
        what.claim(self.writing().await?, limit).await
    }
}

fn living() -> Select<tenants::Entity> {
    tenants::Entity::find().filter(tenants::Column::DeletedAt.is_null())
}

/// As a range, which an index on the column serves: both backends compare these columns byte by byte.
fn begins_with(column: tenants::Column, prefix: &str) -> Condition {
    Condition::all().add(column.gte(prefix)).add(column.lt(format!("{prefix}{}", char::MAX)))
}

fn mark((tenant, generation): (Uuid, i64)) -> Stored<RingMark> {
    let tenant_id = TenantId::from_uuid(tenant);
    Ok(RingMark { tenant_id, generation: Cell { table: "key_rings", row: tenant_id }.number("generation", generation)? })
}

#[async_trait]
impl PlatformTx for SqlPlatformTx {
    async fn tenant_by_slug(&mut self, slug: &Slug) -> Stored<Option<Tenant>> {
        let found = living().filter(tenants::Column::Slug.eq(slug.as_str()));
        found.one(&self.tx).await.map_err(error::of("tenants"))?.map(from_row).transpose()
    }

    async fn tenant_by_id(&mut self, id: TenantId) -> Stored<Option<Tenant>> {
        let row = living().filter(tenants::Column::Id.eq(id.as_uuid())).one(&self.tx).await.map_err(error::of("tenants"))?;
        row.map(from_row).transpose()
    }

    async fn tenant_by_domain(&mut self, domain: &HostName) -> Stored<Option<Tenant>> {
        let found = living().filter(tenants::Column::CustomDomain.eq(domain.as_str()));
        found.one(&self.tx).await.map_err(error::of("tenants"))?.map(from_row).transpose()
    }

    async fn tenants_deleted(&mut self, limit: u32) -> Stored<Vec<TenantId>> {
        let ids: Vec<Uuid> = tenants::Entity::find()
            .select_only()
            .column(tenants::Column::Id)
            .filter(tenants::Column::DeletedAt.is_not_null())
            .order_by_asc(tenants::Column::DeletedAt)
            .limit(u64::from(limit))
            .into_tuple()
            .all(&self.tx)
            .await
            .map_err(error::of("tenants"))?;
        Ok(ids.into_iter().map(TenantId::from_uuid).collect())
    }

    async fn tenants_page(&mut self, after: Option<&Slug>, limit: u32) -> Stored<Vec<Tenant>> {
        let mut page = living();
        if let Some(after) = after {
            page = page.filter(tenants::Column::Slug.gt(after.as_str()));
        }
        let rows = page.order_by_asc(tenants::Column::Slug).limit(u64::from(limit)).all(&self.tx).await.map_err(error::of("tenants"))?;
        rows.into_iter().map(from_row).collect()
    }

    async fn tenants_by_slug_prefix(&mut self, prefix: &str, after: Option<&Slug>, limit: u32) -> Stored<Vec<Tenant>> {
        let mut page = living().filter(begins_with(tenants::Column::Slug, prefix));
        if let Some(after) = after {
            page = page.filter(tenants::Column::Slug.gt(after.as_str()));
        }
        let rows = page.order_by_asc(tenants::Column::Slug).limit(u64::from(limit)).all(&self.tx).await.map_err(error::of("tenants"))?;
        rows.into_iter().map(from_row).collect()
    }

    async fn tenants_by_name_prefix(&mut self, prefix: &str, after: Option<(&str, &Slug)>, limit: u32) -> Stored<Vec<Tenant>> {
        use tenants::Column::{NameKey, Slug};
        let mut page = living().filter(begins_with(NameKey, prefix));
        if let Some((key, slug)) = after {
            let place = Expr::tuple([Expr::col(NameKey), Expr::col(Slug)]);
            page = page.filter(place.gt(Expr::tuple([Expr::value(key), Expr::value(slug.as_str())])));
        }
        let page = page.order_by_asc(NameKey).order_by_asc(Slug).limit(u64::from(limit));
        let rows = page.all(&self.tx).await.map_err(error::of("tenants"))?;
        rows.into_iter().map(from_row).collect()
    }

    async fn slugs_known(&mut self, slugs: &[Slug]) -> Stored<Vec<Slug>> {
        let mut known = Vec::new();
        for chunk in slugs.chunks(CHUNK) {
            let found: Vec<String> = living()
                .select_only()
                .column(tenants::Column::Slug)
                .filter(tenants::Column::Slug.is_in(chunk.iter().map(Slug::as_str)))
                .into_tuple()
                .all(&self.tx)
                .await
                .map_err(error::of("tenants"))?;
            known.extend(found.iter().filter_map(|slug| slug.parse().ok()));
        }
        Ok(known)
    }

    async fn rings_claim(&mut self, now: Timestamp, lease: Ttl, limit: u32) -> Stored<Vec<RingMark>> {
        // On SQLite this is a reader's connection: most sweeps find nothing and disturb no writer.
        let due = key_rings::Entity::find().filter(key_rings::Column::NextDueAt.lte(now.as_micros()));
        let one = due.select_only().column(key_rings::Column::TenantId).into_tuple::<Uuid>().one(&self.tx);
        if one.await.map_err(error::of("key_rings"))?.is_none() {
            return Ok(Vec::new());
        }
        let tx = self.writing().await?;
        let (time, lock) = (dialect::database_time(tx), dialect::skip_locked(tx));
        let sql = format!(
            "UPDATE key_rings SET claimed_until = {time} + $1 WHERE tenant_id IN (SELECT tenant_id FROM key_rings \
             WHERE next_due_at <= $2 AND (claimed_until IS NULL OR claimed_until <= {time}) ORDER BY next_due_at LIMIT $3{lock}) \
             RETURNING tenant_id, generation, next_due_at"
        );
        let values = [lease.as_micros().into(), now.as_micros().into(), i64::from(limit).into()];
        let rows = tx.query_all_raw(statement(tx, sql, values)).await.map_err(error::of("key_rings"))?;
        let claimed = rows.iter().map(|row| Ok((row.try_get_by_index(2)?, row.try_get_by_index(0)?, row.try_get_by_index(1)?)));
        let mut claimed: Vec<(i64, Uuid, i64)> = claimed.collect::<Result<_, _>>().map_err(error::of("key_rings"))?;
        claimed.sort_unstable();
        claimed.into_iter().map(|(_, tenant, generation)| mark((tenant, generation))).collect()
    }

    async fn ring_generations(&mut self, tenants: &[TenantId]) -> Stored<Vec<RingMark>> {
        let mut marks = Vec::with_capacity(tenants.len());
        for chunk in tenants.chunks(CHUNK) {
            let rows: Vec<(Uuid, i64)> = key_rings::Entity::find()
                .select_only()
                .columns([key_rings::Column::TenantId, key_rings::Column::Generation])
                .filter(key_rings::Column::TenantId.is_in(chunk.iter().map(|tenant| tenant.as_uuid())))
                .into_tuple()
                .all(&self.tx)
                .await
                .map_err(error::of("key_rings"))?;
            for row in rows {
                marks.push(mark(row)?);
            }
        }
        Ok(marks)
    }

    async fn sweep(&mut self, what: Leftover, before: Timestamp, limit: u32) -> Stored<u64> {
        let hour = families::hour_of(before);
        let of_families = format!("ends_hour <= {hour} AND (idle_expires_at < $1 OR absolute_expires_at < $1)");
        let (key, is_over) = match what {
            Leftover::Families => ("tenant_id, id", of_families.as_str()),
            Leftover::GuessCounters => ("tenant_id, scope, subject", "touched_at < $1"),
            Leftover::KnownSources => ("tenant_id, user_id, source", "seen_at < $1"),
            Leftover::AuditEvents => ("tenant_id, id", "at < $1"),
            Leftover::Verifiers => ("tenant_id, verifier", "last_seen < $1"),
            Leftover::PendingRequests => ("tenant_id, handle", "expires_at < $1"),
            Leftover::AuthorizationCodes | Leftover::DeviceCodes | Leftover::BackchannelRequests => ("tenant_id, code", "expires_at < $1"),
            Leftover::SsoSessions => ("tenant_id, handle", "ends_at < $1"),
            Leftover::SpentNames => ("tenant_id, name", "expires_at < $1"),
            Leftover::LogoutNotices => ("tenant_id, family_id", "expires_at < $1"),
            Leftover::Mails | Leftover::BackchannelPings => ("tenant_id, id", "expires_at < $1"),
            Leftover::MailLinks => ("tenant_id, handle", "expires_at < $1"),
            Leftover::InitialAccessTokens => ("tenant_id, id", "expires_at < $1"),
            Leftover::UnusedClients => ("tenant_id, id", "unused_until < $1"),
        };
        let tx = self.writing().await?;
        if what == Leftover::AuditEvents {
            dialect::set_scope(tx, Scope::AuditSweep).await?;
        }
        let (before, lock) = (before.as_micros().into(), dialect::skip_locked(tx));
        let removed = tenants_rows::delete_some(tx, what.table(), key, is_over, before, u64::from(limit), lock).await?;
        dialect::set_scope(tx, Scope::Platform).await?;
        Ok(removed)
    }

    async fn logout_notices_claim(&mut self, limit: u32) -> Stored<Vec<(TenantId, FamilyId)>> {
        let claimed = self.claimed(LOGOUT_NOTICES, limit).await?;
        Ok(claimed.into_iter().map(|(tenant, id)| (tenant, FamilyId::from_uuid(id))).collect())
    }

    async fn backchannel_pings_claim(&mut self, limit: u32) -> Stored<Vec<(TenantId, BackchannelRequestId)>> {
        let claimed = self.claimed(BACKCHANNEL_PINGS, limit).await?;
        Ok(claimed.into_iter().map(|(tenant, id)| (tenant, BackchannelRequestId::from_uuid(id))).collect())
    }

    async fn mails_claim(&mut self, limit: u32) -> Stored<Vec<(TenantId, MailId)>> {
        let claimed = self.claimed(MAILS, limit).await?;
        Ok(claimed.into_iter().map(|(tenant, id)| (tenant, MailId::from_uuid(id))).collect())
    }

    async fn verifiers_merge(&mut self, seen: &[(TenantId, Sighting)], most: u32) -> Stored<()> {
        let tx = self.writing().await?;
        for (tenant, sighting) in seen {
            if !verifiers::merge(tx, *tenant, sighting, most).await? {
                let others = Sighting { verifier: VerifierName::Others, ..sighting.clone() };
                verifiers::merge(tx, *tenant, &others, most).await?;
            }
        }
        Ok(())
    }

    async fn commit(self: Box<Self>) -> Stored<()> {
        self.tx.commit().await
    }
}
