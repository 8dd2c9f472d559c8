//! What tokens stand on: their client, session, user and tenant, as they are now. Whoever asks while others do shares their read: one
//! transaction, and one statement for each table.
//!
//! Invariant: what is answered was read after it was asked for; a row that cannot be read harms only whoever asks for it.

use std::collections::{BTreeSet, HashMap};
use std::hash::Hash;

use app::ports::store::{Grounds, Stored};
use domain::client::{Client, ClientId};
use domain::ids::{FamilyId, TenantId};
use domain::tenant::Tenant;
use domain::token::family::RefreshFamily;
use domain::user::User;
use sea_orm::{ConnectionTrait, DatabaseTransaction, QueryResult, Value};
use uuid::Uuid;

use crate::connect::Database;
use crate::dialect::{self, Purpose, statement};
use crate::lane::{Lane, Reply};
use crate::places::Whose;
use crate::rows::{CLIENT, Cells, FAMILY, TENANT, USER, read_client, read_family, read_tenant, read_user, table_of};
use crate::tx::{PATIENCE, within};
use crate::{clients, error, families, tenants, users};

/// Reads that are under way at once.
const LANES: usize = 2;

/// What somebody wants to know.
pub(crate) struct Asked {
    pub tenant: TenantId,
    pub client: Option<ClientId>,
    pub session: Option<FamilyId>,
    /// Whether the tenant itself is wanted.
    pub is_of_tenant: bool,
}

/// A way onto the lanes.
pub(crate) type Readings = Lane<Asked, Grounds>;

/// Starts them on the current tokio runtime.
pub(crate) fn lanes(db: &Database) -> Readings {
    let db = db.clone();
    Lane::start(LANES, move |asked, replies| answer(db.clone(), asked, replies))
}

async fn answer(db: Database, asked: Vec<Asked>, replies: Vec<Reply<Grounds>>) {
    let read = within(PATIENCE, read_together(&db, &asked)).await;
    for (asked, reply) in asked.iter().zip(replies) {
        // Whoever has gone away in the meantime needs no answer.
        let _ = reply.send(read.as_ref().map_err(Clone::clone).and_then(|read| read.grounds_of(asked)));
    }
}

type Found<K, T> = HashMap<(Uuid, K), Stored<T>>;

/// What one transaction has read.
#[derive(Default)]
struct Read {
    clients: Found<String, Client>,
    families: Found<Uuid, RefreshFamily>,
    users: Found<Uuid, User>,
    tenants: Found<Uuid, Tenant>,
}

impl Read {
    fn grounds_of(&self, asked: &Asked) -> Stored<Grounds> {
        let tenant = asked.tenant.as_uuid();
        let family = asked.session.and_then(|id| self.families.get(&(tenant, id.as_uuid())).cloned()).transpose()?;
        let user = family.as_ref().and_then(|family| self.users.get(&(tenant, family.user_id.as_uuid())).cloned()).transpose()?;
        Ok(Grounds {
            client: asked.client.as_ref().and_then(|id| self.clients.get(&(tenant, id.as_str().to_owned())).cloned()).transpose()?,
            session: family.map(|family| (family, user)),
            tenant: asked.is_of_tenant.then(|| self.tenants.get(&(tenant, tenant)).cloned()).flatten().transpose()?,
        })
    }
}

async fn read_together(db: &Database, asked: &[Asked]) -> Stored<Read> {
    let owners: BTreeSet<_> = asked.iter().map(|asked| asked.tenant.as_uuid()).collect();
    let (tx, _place) = dialect::begin_for(&db.reader, Whose::Lanes, owners.into_iter(), Purpose::Read).await?;
    let clients = asked.iter().filter_map(|asked| Some((asked.tenant.as_uuid(), asked.client.as_ref()?.as_str().to_owned())));
    let clients = find(&tx, "clients", CLIENT, clients.collect(), |cells| {
        let row = read_client(cells)?;
        Ok(((row.tenant_id, row.id.clone()), clients::from_row(row)))
    });
    let clients = clients.await?;
    let families = asked.iter().filter_map(|asked| Some((asked.tenant.as_uuid(), asked.session?.as_uuid())));
    let families = find(&tx, families::TABLE, FAMILY, families.collect(), |cells| {
        let row = read_family(cells)?;
        Ok(((row.tenant_id, row.id), families::from_row(row)))
    });
    let families = families.await?;
    let users = families.iter().filter_map(|((tenant, _), family)| Some((*tenant, family.as_ref().ok()?.user_id.as_uuid())));
    let users = find(&tx, "users", USER, users.collect(), |cells| {
        let row = read_user(cells)?;
        Ok(((row.tenant_id, row.id), users::from_row(row)))
    });
    let users = users.await?;
    let tenants = asked.iter().filter(|asked| asked.is_of_tenant).map(|asked| (asked.tenant.as_uuid(), asked.tenant.as_uuid()));
    let tenants = tenants_of(&tx, tenants.collect()).await?;
    Ok(Read { clients, families, users, tenants })
}

/// The rows of `table` with these keys, each read by itself. No statement when nothing is wanted.
async fn find<K, T>(
    tx: &DatabaseTransaction,
    table: &'static str,
    columns: &[&str],
    wanted: BTreeSet<(Uuid, K)>,
    read: impl Fn(&mut Cells<'_>) -> Stored<((Uuid, K), Stored<T>)>,
) -> Stored<Found<K, T>>
where
    K: Into<Value> + Hash + Eq,
{
    let columns: Vec<_> = columns.iter().map(|column| format!("x.{column}")).collect();
    // CROSS JOIN: SQLite takes what is wanted first and looks each up by the primary key.
    let from = format!("SELECT {} FROM w CROSS JOIN {table} x WHERE x.tenant_id = w.tenant_id AND x.id = w.id", columns.join(", "));
    rows(tx, table, &from, wanted, |row| read(&mut Cells::of(row))).await
}

async fn tenants_of(tx: &DatabaseTransaction, wanted: BTreeSet<(Uuid, Uuid)>) -> Stored<Found<Uuid, Tenant>> {
    let columns: Vec<_> = TENANT.iter().map(|column| format!("x.{column}")).collect();
    let from = format!("SELECT {} FROM w CROSS JOIN tenants x WHERE x.id = w.tenant_id AND x.deleted_at IS NULL", columns.join(", "));
    rows(tx, "tenants", &from, wanted, |row| {
        let row = read_tenant(&mut Cells::of(row))?;
        Ok(((row.id, row.id), tenants::from_row(row)))
    })
    .await
}

async fn rows<K, T>(
    tx: &DatabaseTransaction,
    table: &'static str,
    from: &str,
    wanted: BTreeSet<(Uuid, K)>,
    read: impl Fn(&QueryResult) -> Stored<((Uuid, K), Stored<T>)>,
) -> Stored<Found<K, T>>
where
    K: Into<Value> + Hash + Eq,
{
    if wanted.is_empty() {
        return Ok(HashMap::new());
    }
    let (wanted, values) = table_of(wanted.into_iter().map(|(tenant, id)| [Value::from(tenant), id.into()]).collect());
    let sql = format!("WITH w(tenant_id, id) AS ({wanted}) {from}");
    let found = tx.query_all_raw(statement(tx, sql, values)).await.map_err(error::of(table))?;
    found.iter().map(read).collect()
}
