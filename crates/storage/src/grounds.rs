//! What tokens stand on: their client, session, user and tenant, as they are now. Whoever asks while others do shares their read: one
//! statement for clients, one for sessions with their users, one for tenants.
//!
//! Invariant: what is answered was read after it was asked for; a row that cannot be read harms only whoever asks for it.

use std::collections::{BTreeSet, HashMap};
use std::sync::LazyLock;

use app::ports::store::{Grounds, Stored};
use domain::client::{Client, ClientId};
use domain::ids::{FamilyId, TenantId};
use domain::tenant::Tenant;
use domain::token::family::RefreshFamily;
use domain::user::User;
use sea_orm::{QueryResult, Value};
use uuid::Uuid;

use crate::connect::Database;
use crate::dialect::Glance;
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

pub(crate) fn lanes(db: &Database) -> Readings {
    let db = db.clone();
    Lane::new(LANES, move |asked, replies| answer(db.clone(), asked, replies))
}

async fn answer(db: Database, asked: Vec<Asked>, replies: Vec<Reply<Grounds>>) {
    let read = within(PATIENCE, read_together(&db, &asked)).await;
    for (asked, reply) in asked.iter().zip(replies) {
        // Whoever has gone away in the meantime needs no answer.
        let _ = reply.send(read.as_ref().map_err(Clone::clone).and_then(|read| read.grounds_of(asked)));
    }
}

/// A session and its user.
type Session = (RefreshFamily, Option<User>);

/// What has been read.
#[derive(Default)]
struct Read {
    /// By tenant and client.
    clients: HashMap<(Uuid, String), Stored<Client>>,
    /// By tenant and session.
    sessions: HashMap<(Uuid, Uuid), Stored<Session>>,
    tenants: HashMap<Uuid, Stored<Tenant>>,
}

impl Read {
    fn grounds_of(&self, asked: &Asked) -> Stored<Grounds> {
        let tenant = asked.tenant.as_uuid();
        Ok(Grounds {
            client: asked.client.as_ref().and_then(|id| self.clients.get(&(tenant, id.as_str().to_owned())).cloned()).transpose()?,
            session: asked.session.and_then(|id| self.sessions.get(&(tenant, id.as_uuid())).cloned()).transpose()?,
            tenant: asked.is_of_tenant.then(|| self.tenants.get(&tenant).cloned()).flatten().transpose()?,
        })
    }
}

async fn read_together(db: &Database, asked: &[Asked]) -> Stored<Read> {
    let owners: BTreeSet<_> = asked.iter().map(|asked| asked.tenant.as_uuid()).collect();
    let at = Glance::at(&db.reader, Whose::Lanes, owners.into_iter()).await?;
    let mut read = Read::default();

    let wanted = asked.iter().filter_map(|asked| Some([asked.tenant.as_uuid().into(), asked.client.as_ref()?.as_str().into()]));
    for row in rows(&at, "clients", &CLIENTS, wanted).await? {
        let row = read_client(&mut Cells::of(&row))?;
        read.clients.insert((row.tenant_id, row.id.clone()), clients::from_row(row));
    }
    let wanted = asked.iter().filter_map(|asked| Some([asked.tenant.as_uuid().into(), asked.session?.as_uuid().into()]));
    for row in rows(&at, families::TABLE, &SESSIONS, wanted).await? {
        let mut cells = Cells::of(&row);
        let family = read_family(&mut cells)?;
        let key = (family.tenant_id, family.id);
        let user = if cells.next("users")? { Some(read_user(&mut cells)?) } else { None };
        let session = families::from_row(family).and_then(|family| Ok((family, user.map(users::from_row).transpose()?)));
        read.sessions.insert(key, session);
    }
    let wanted = asked.iter().filter(|asked| asked.is_of_tenant).map(|asked| [asked.tenant.as_uuid().into()]);
    for row in rows(&at, "tenants", &TENANTS, wanted).await? {
        let row = read_tenant(&mut Cells::of(&row))?;
        read.tenants.insert(row.id, tenants::from_row(row));
    }
    Ok(read)
}

fn columns(alias: &str, columns: &[&str]) -> String {
    columns.iter().map(|column| format!("{alias}.{column}")).collect::<Vec<_>>().join(", ")
}

/// What follows the rows that are wanted, `w`. CROSS JOIN: SQLite takes those first and looks each up by the primary key. All joins
/// are within the tenant.
static CLIENTS: LazyLock<String> =
    LazyLock::new(|| format!("SELECT {} FROM w CROSS JOIN clients c WHERE c.tenant_id = w.a AND c.id = w.b", columns("c", CLIENT)));
static SESSIONS: LazyLock<String> = LazyLock::new(|| {
    format!(
        "SELECT {}, u.id IS NOT NULL, {} FROM w CROSS JOIN refresh_families f \
         LEFT JOIN users u ON u.tenant_id = f.tenant_id AND u.id = f.user_id WHERE f.tenant_id = w.a AND f.id = w.b",
        columns("f", FAMILY),
        columns("u", USER)
    )
});
static TENANTS: LazyLock<String> =
    LazyLock::new(|| format!("SELECT {} FROM w CROSS JOIN tenants t WHERE t.id = w.a AND t.deleted_at IS NULL", columns("t", TENANT)));

/// No statement when nothing is wanted. The same row may come more than once.
async fn rows<const KEYS: usize>(
    at: &Glance,
    table: &'static str,
    from: &str,
    wanted: impl Iterator<Item = [Value; KEYS]>,
) -> Stored<Vec<QueryResult>> {
    let mut keys: Vec<[Value; KEYS]> = Vec::new();
    for key in wanted {
        // They are few, and mostly the same: a machine that asks all the time, a tenant.
        if !keys.contains(&key) {
            keys.push(key);
        }
    }
    if keys.is_empty() {
        return Ok(Vec::new());
    }
    let (wanted, values) = table_of(keys);
    let names = if KEYS == 1 { "a" } else { "a, b" };
    at.all(format!("WITH w({names}) AS ({wanted}) {from}"), values).await.map_err(error::of(table))
}
