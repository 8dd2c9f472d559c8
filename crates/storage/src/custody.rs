//! Wrapped data keys, what they seal, and the key-encryption keys above them. First what one owner may do, then the work
//! across owners.
//!
//! Invariant: nothing is written under a key-encryption key that was retired. The foreign key from `data_keys` to `keks` sees
//! to it, also when two nodes do both at the same moment: retiring a key takes away what the data keys refer to.

use app::ports::custody::{
    CustodyStore, FirstFormatSecret, KekUse, KeyOwner, OwnedDataKey, Retirement, SealedDataKey, SealedSecret, SecretStore,
};
use app::ports::store::{StoreError, Stored};
use async_trait::async_trait;
use domain::ids::{DataKeyId, TenantId};
use domain::time::Timestamp;
use sea_orm::{ColumnTrait, Condition, ConnectionTrait, EntityTrait, IntoActiveModel, QueryFilter, QueryOrder, QuerySelect};

use crate::dialect::statement;
use crate::entities::{data_keys, deletion_certificates, installation_secrets, sealed_secrets};
use crate::error::{self, Cell};
use crate::platform::SqlPlatformTx;
use crate::tx::{BoundedTx, SqlTenantTx};

const DATA_KEYS: &str = "data_keys";
const SECRETS: &str = "sealed_secrets";
const KEKS: &str = "keks";

fn data_key_of(row: data_keys::Model) -> Stored<OwnedDataKey> {
    let owner = TenantId::from_uuid(row.tenant_id);
    let version = Cell { table: DATA_KEYS, row: owner }.number("version", row.version)?;
    let data_key = SealedDataKey { id: DataKeyId::from_uuid(row.id), version, kek_id: row.kek_id, sealed: row.sealed };
    Ok(OwnedDataKey { owner, data_key })
}

fn row_of(owner: KeyOwner, key: &SealedDataKey) -> data_keys::Model {
    let SealedDataKey { id, version, kek_id, sealed } = key.clone();
    data_keys::Model { tenant_id: owner.as_uuid(), id: id.as_uuid(), version: version.into(), kek_id, sealed }
}

/// Makes a key-encryption key known that is used for the first time.
///
/// # Errors
/// `Unavailable`, in words for the operator, when it was retired: this node has an old list of keys.
async fn use_kek(tx: &BoundedTx, kek_id: &str) -> Stored<()> {
    let sql = "INSERT INTO keks (id, usable_id) VALUES ($1, $1) ON CONFLICT (id) DO NOTHING";
    tx.execute_raw(statement(tx, sql, [kek_id.into()])).await.map_err(error::of(KEKS))?;
    let sql = "SELECT usable_id FROM keks WHERE id = $1";
    let row = tx.query_one_raw(statement(tx, sql, [kek_id.into()])).await.map_err(error::of(KEKS))?;
    match row.map(|row| row.try_get::<Option<String>>("", "usable_id")).transpose().map_err(error::of(KEKS))?.flatten() {
        Some(_) => Ok(()),
        None => Err(StoreError::Unavailable(format!(
            "the key-encryption key {kek_id} was retired: give this node the present ones (keys.kek_file, keys.keks, keys.primary_kek)"
        ))),
    }
}

/// Writes the next version over the one before it; answers whether that was still there.
async fn replace(tx: &BoundedTx, owner: KeyOwner, next: &SealedDataKey) -> Stored<bool> {
    use_kek(tx, &next.kek_id).await?;
    let sql = "UPDATE data_keys SET version = $1, kek_id = $2, sealed = $3 WHERE tenant_id = $4 AND id = $5 AND version = $1 - 1";
    let row = row_of(owner, next);
    let values = [row.version.into(), row.kek_id.into(), row.sealed.into(), row.tenant_id.into(), row.id.into()];
    Ok(tx.execute_raw(statement(tx, sql, values)).await.map_err(error::of(DATA_KEYS))?.rows_affected() == 1)
}

impl SqlTenantTx {
    pub(crate) async fn secrets_insert(&self, secrets: &[SealedSecret]) -> Stored<()> {
        let row = |secret: &SealedSecret| {
            let SealedSecret { kind, name, version, sealed } = secret.clone();
            sealed_secrets::Model { tenant_id: self.owner(), kind, name, version: version.into(), sealed }.into_active_model()
        };
        if !secrets.is_empty() {
            let insert = sealed_secrets::Entity::insert_many(secrets.iter().map(row));
            insert.exec_without_returning(&self.tx).await.map_err(error::of(SECRETS))?;
        }
        Ok(())
    }
}

#[async_trait]
impl SecretStore for SqlTenantTx {
    async fn data_key(&mut self) -> Stored<Option<SealedDataKey>> {
        let row = data_keys::Entity::find_by_id(self.owner()).one(&self.tx).await.map_err(error::of(DATA_KEYS))?;
        Ok(row.map(data_key_of).transpose()?.map(|owned| owned.data_key))
    }

    async fn data_key_insert(&mut self, data_key: &SealedDataKey) -> Stored<()> {
        use_kek(&self.tx, &data_key.kek_id).await?;
        let row = row_of(TenantId::from_uuid(self.owner()), data_key).into_active_model();
        data_keys::Entity::insert(row).exec_without_returning(&self.tx).await.map_err(error::of(DATA_KEYS))?;
        Ok(())
    }

    async fn data_key_replace(&mut self, data_key: &SealedDataKey) -> Stored<()> {
        let is_written = replace(&self.tx, TenantId::from_uuid(self.owner()), data_key).await?;
        if is_written { Ok(()) } else { Err(StoreError::Conflict) }
    }

    async fn sealed_secrets(&mut self) -> Stored<Vec<SealedSecret>> {
        let of_owner = sealed_secrets::Entity::find().filter(sealed_secrets::Column::TenantId.eq(self.owner()));
        let rows = of_owner.all(&self.tx).await.map_err(error::of(SECRETS))?;
        let cell = Cell { table: SECRETS, row: TenantId::from_uuid(self.owner()) };
        let read = |row: sealed_secrets::Model| {
            let version = cell.number("version", row.version)?;
            Ok(SealedSecret { kind: row.kind, name: row.name, version, sealed: row.sealed })
        };
        rows.into_iter().map(read).collect()
    }

    async fn secret_insert(&mut self, secret: &SealedSecret) -> Stored<()> {
        self.secrets_insert(std::slice::from_ref(secret)).await
    }

    async fn secret_replace(&mut self, secret: &SealedSecret) -> Stored<()> {
        let sql = "UPDATE sealed_secrets SET kind = $1, version = $2, sealed = $3 WHERE tenant_id = $4 AND name = $5";
        let SealedSecret { kind, name, version, sealed } = secret.clone();
        let values = [kind.into(), i64::from(version).into(), sealed.into(), self.owner().into(), name.into()];
        let written = self.tx.execute_raw(statement(&self.tx, sql, values)).await.map_err(error::of(SECRETS))?;
        if written.rows_affected() == 1 { Ok(()) } else { Err(StoreError::Conflict) }
    }

    async fn first_format_secret(&mut self, name: &str) -> Stored<Option<FirstFormatSecret>> {
        if self.owner() != TenantId::INSTALLATION.as_uuid() {
            return Ok(None);
        }
        let row = installation_secrets::Entity::find_by_id(name.to_owned()).one(&self.tx).await;
        let row = row.map_err(error::of("installation_secrets"))?;
        Ok(row.map(|row| FirstFormatSecret { kek_id: row.kek_id, sealed: row.sealed }))
    }

    async fn first_format_secret_remove(&mut self, name: &str) -> Stored<bool> {
        let delete = installation_secrets::Entity::delete_by_id(name.to_owned()).exec(&self.tx).await;
        Ok(delete.map_err(error::of("installation_secrets"))?.rows_affected == 1)
    }
}

#[async_trait]
impl CustodyStore for SqlPlatformTx {
    async fn data_keys_page(&mut self, unless_under: Option<&str>, after: Option<KeyOwner>, limit: u32) -> Stored<Vec<OwnedDataKey>> {
        use data_keys::Column;
        let mut page = data_keys::Entity::find();
        if let Some(kek_id) = unless_under {
            page = page.filter(Condition::any().add(Column::KekId.ne(kek_id)).add(Column::Version.eq(0)));
        }
        if let Some(after) = after {
            page = page.filter(Column::TenantId.gt(after.as_uuid()));
        }
        let rows = page.order_by_asc(Column::TenantId).limit(u64::from(limit)).all(&self.tx).await;
        rows.map_err(error::of(DATA_KEYS))?.into_iter().map(data_key_of).collect()
    }

    async fn data_key_rewrap(&mut self, next: &OwnedDataKey) -> Stored<bool> {
        replace(self.writing().await?, next.owner, &next.data_key).await
    }

    async fn kek_uses(&mut self) -> Stored<Vec<KekUse>> {
        let sql = "SELECT id, retired_at, (SELECT count(*) FROM data_keys WHERE kek_id = keks.id) AS data_keys, \
                   (SELECT count(*) FROM data_keys WHERE kek_id = keks.id AND version = 0) AS first_format, \
                   (SELECT count(*) FROM installation_secrets WHERE kek_id = keks.id) AS secrets FROM keks ORDER BY id";
        let rows = self.tx.query_all_raw(statement(&self.tx, sql, [])).await.map_err(error::of(KEKS))?;
        let read = |row: &sea_orm::QueryResult| {
            let kek_id: String = row.try_get("", "id").map_err(error::of(KEKS))?;
            let retired_at: Option<i64> = row.try_get("", "retired_at").map_err(error::of(KEKS))?;
            let count = |column| row.try_get::<i64>("", column).map(i64::unsigned_abs).map_err(error::of(KEKS));
            // The first format kept the installation's secret without a data key.
            let (data_keys, first_format) = (count("data_keys")? + count("secrets")?, count("first_format")? + count("secrets")?);
            Ok(KekUse { kek_id, data_keys, first_format, retired_at: retired_at.map(Timestamp::from_micros) })
        };
        rows.iter().map(read).collect()
    }

    async fn kek_retire(&mut self, kek_id: &str, now: Timestamp) -> Stored<Retirement> {
        let tx = self.writing().await?;
        let sql = "SELECT (SELECT count(*) FROM data_keys WHERE kek_id = $1) + (SELECT count(*) FROM installation_secrets WHERE kek_id = $1) AS uses";
        let row = tx.query_one_raw(statement(tx, sql, [kek_id.into()])).await.map_err(error::of(KEKS))?;
        let uses: i64 = row.map(|row| row.try_get("", "uses")).transpose().map_err(error::of(KEKS))?.unwrap_or_default();
        if uses > 0 {
            return Ok(Retirement::InUse(uses.unsigned_abs()));
        }
        let sql = "UPDATE keks SET usable_id = NULL, retired_at = coalesce(retired_at, $2) WHERE id = $1";
        let retire = statement(tx, sql, [kek_id.into(), now.as_micros().into()]);
        let retired = tx.execute_raw(retire).await.map_err(error::of(KEKS))?.rows_affected();
        Ok(if retired == 1 { Retirement::Retired } else { Retirement::Unknown })
    }

    async fn deletion_certificate(&mut self, tenant: TenantId) -> Stored<Option<String>> {
        let row = deletion_certificates::Entity::find_by_id(tenant.as_uuid()).one(&self.tx).await;
        Ok(row.map_err(error::of("deletion_certificates"))?.map(|row| row.certificate))
    }
}
