//! Clients that are known by a document (draft-ietf-oauth-client-id-metadata-document): read from the address that is their id, and kept as
//! clients of the tenant for as long as somebody uses them.
//!
//! Invariant: nobody makes us fetch without bound. An address is asked by one request at a time on each node, and seldom; one that nobody here
//! has seen before is counted first, by the place that names it and by the tenant.

use domain::audit::{Actor, AuditEvent};
use domain::client::document::{self, DocumentAddress, PAUSE};
use domain::client::registration::SelfRegistration;
use domain::client::{Client, ClientId, ClientSettings, ClientStatus};
use domain::guess::GuessScope;
use domain::handle::HandleKind;
use domain::ids::TenantId;
use domain::tenant::Tenant;
use domain::time::{Timestamp, Ttl};
use tokio::sync::Mutex;

use super::fitness;
use crate::ctx::{Ctx, Origin};
use crate::fault::Fault;
use crate::ports::store::StoreError;
use crate::warm::WarmMap;

/// What the counter of a whole tenant is about.
const ALL: &[u8] = b"all";

#[derive(Debug, Default)]
struct Read {
    /// Until then the stored client is what its document says.
    fresh_until: Option<Timestamp>,
    /// The address is not asked before.
    not_before: Option<Timestamp>,
    /// The document was there and would not do, when it was looked at last.
    is_bad: bool,
}

/// When which documents were read by this node.
#[derive(Debug)]
pub struct Documents {
    read: WarmMap<(TenantId, ClientId), Mutex<Read>>,
}

impl Documents {
    /// Remembers about `most` addresses, good ones and others.
    pub fn new(most: usize) -> Self {
        Self { read: WarmMap::new(most) }
    }
}

/// Why a document is not one of a client.
enum Unread {
    /// Nobody answers, or not now: what was known before stands for a while.
    Away(String),
    /// It is not there, or it says what it may not say.
    Bad(String),
}

/// The client of this id. One that is known by a document is read when that is due. `newcomer` is where the request comes from that may
/// bring a client nobody here has seen before; elsewhere there is no such client.
///
/// # Errors
/// When the database or the keys are away.
pub(crate) async fn client(ctx: &Ctx, tenant: &Tenant, id: &ClientId, newcomer: Option<&Origin>) -> Result<Option<Client>, Fault> {
    let Some(address) = DocumentAddress::of(id) else {
        return Ok(ctx.store.client(tenant.id, id).await?);
    };
    let mut tx = ctx.store.begin_read(tenant.id).await?;
    let policy = tx.tenant().await?.filter(Tenant::is_active).map(|tenant| tenant.policy.client_id_metadata_documents);
    if !policy.is_some_and(|policy| policy.takes(&address)) {
        return Ok(None);
    }
    let known = tx.client_by_id(id).await?;
    drop(tx);
    if known.is_none() && newcomer.is_none() {
        return Ok(None);
    }
    // What an administrator has ended stays so, whatever its document says.
    if known.as_ref().is_some_and(|client| !client.is_active()) {
        return Ok(known);
    }
    let now = ctx.now();
    let (entry, _) = ctx.documents.read.find_or_put((tenant.id, id.clone()), now, Mutex::default);
    entry.touch(now);
    // One reads; the others wait and use what it brings.
    let mut read = entry.value.lock().await;
    let is_due =
        read.fresh_until.or_else(|| known.as_ref().map(|client| client.updated_at.plus(document::AGE.0))).is_none_or(|until| until <= now);
    let may_ask = read.not_before.is_none_or(|at| at <= now);
    if known.is_some() && !is_due {
        return Ok(usable(known, &read, now));
    }
    if !may_ask {
        // Whoever waited for the one that read finds what that has stored.
        let stored = ctx.store.begin_read(tenant.id).await?.client_by_id(id).await?;
        return Ok(usable(stored, &read, now));
    }
    if let (None, Some(origin)) = (&known, newcomer)
        && !counted(ctx, tenant, origin).await?
    {
        return Ok(None);
    }
    match fetched(ctx, tenant, id).await? {
        Ok((settings, age)) => {
            let client = stored(ctx, tenant, id, settings, newcomer.unwrap_or(&Origin::default())).await?;
            *read = Read { fresh_until: Some(now.plus(age)), not_before: Some(now.plus(document::AGE.0)), is_bad: false };
            Ok(Some(client))
        }
        Err(unread) => {
            let (is_bad, why) = match unread {
                Unread::Away(why) => (read.is_bad, why),
                Unread::Bad(why) => (true, why),
            };
            tracing::info!(client_id = %id, why, "the metadata document of a client was not read");
            *read = Read { fresh_until: None, not_before: Some(now.plus(PAUSE)), is_bad };
            Ok(usable(known, &read, now))
        }
    }
}

/// A client that was read not too long ago, unless its document has gone bad since.
fn usable(client: Option<Client>, read: &Read, now: Timestamp) -> Option<Client> {
    client.filter(|client| !read.is_bad && now < client.updated_at.plus(document::AGE.1))
}

/// Whether the tenant takes a client of this id, if it is known by a document; any other one it does.
pub(crate) fn is_taken(tenant: &Tenant, id: &ClientId) -> bool {
    DocumentAddress::of(id).is_none_or(|address| tenant.policy.client_id_metadata_documents.takes(&address))
}

/// Reads the document of a client that a request names and that may be a newcomer, where the client proves itself afterwards.
///
/// # Errors
/// When the database or the keys are away.
pub async fn meet(ctx: &Ctx, tenant: &Tenant, id: &str, origin: &Origin) -> Result<(), Fault> {
    match ClientId::try_from(id.to_owned()) {
        Ok(id) if id.is_address() => client(ctx, tenant, &id, Some(origin)).await.map(|_| ()),
        _ => Ok(()),
    }
}

/// Counts a document that nobody here has seen before; answers whether it may be fetched.
async fn counted(ctx: &Ctx, tenant: &Tenant, origin: &Origin) -> Result<bool, Fault> {
    let signer = ctx.keys.signer(tenant.id, 0).await?;
    let asked = [
        (GuessScope::ClientDocumentFromSource, signer.blind("client-document", &origin.place())),
        (GuessScope::ClientDocument, signer.blind("client-documents", ALL)),
    ];
    let now = ctx.now();
    let mut tx = ctx.store.begin(tenant.id).await?;
    let mut counted = Vec::with_capacity(asked.len());
    for ((scope, subject), counter) in asked.into_iter().zip(tx.guess_counters(&asked).await?) {
        let Ok(counter) = counter.attempt(scope, now) else { return Ok(false) };
        counted.push((scope, subject, counter));
    }
    tx.guess_counters_set(&counted, now).await?;
    tx.commit().await?;
    Ok(true)
}

/// What the document at the address says, and how long it may be kept. No transaction is held.
async fn fetched(ctx: &Ctx, tenant: &Tenant, id: &ClientId) -> Result<Result<(ClientSettings, Ttl), Unread>, Fault> {
    let answer = match ctx.outbound.get(id.as_str(), "application/json").await {
        Ok(answer) => answer,
        Err(fault) => return Ok(Err(Unread::Away(fault.to_string()))),
    };
    let bad = |why: String| Ok(Err(Unread::Bad(why)));
    match answer.status {
        200 => {}
        status if status >= 500 || status == 429 => return Ok(Err(Unread::Away(format!("status {status}")))),
        status => return bad(format!("status {status}")),
    }
    let is_json = answer.content_type == "application/json"
        || (answer.content_type.starts_with("application/") && answer.content_type.ends_with("+json"));
    if !is_json {
        return bad(format!("content type {:?}", answer.content_type));
    }
    if answer.body.len() > document::LARGEST {
        return bad(format!("it is larger than {} bytes", document::LARGEST));
    }
    let Ok(members) = serde_json::from_slice(&answer.body) else { return bad("it is no JSON object".to_owned()) };
    let keys = ctx.keys.published(tenant.id).await?;
    let settings = match document::read(members, id, &keys.ring.numbers) {
        Ok(settings) => settings,
        Err(why) => return bad(why.to_string()),
    };
    match fitness::check(ctx, tenant.id, &settings).await? {
        Ok(()) => Ok(Ok((settings, document::age(answer.max_age)))),
        Err(why) => bad(why.to_string()),
    }
}

/// Writes down what was read just now.
async fn stored(ctx: &Ctx, tenant: &Tenant, id: &ClientId, settings: ClientSettings, origin: &Origin) -> Result<Client, Fault> {
    let now = ctx.now();
    let written = async |settings: ClientSettings| {
        let mut tx = ctx.store.begin(tenant.id).await?;
        let (client, event) = match tx.client_locked(id).await? {
            Some(mut client) => {
                let is_same = client.settings == settings;
                client.settings = settings;
                client.updated_at = now;
                tx.client_update(&client).await?;
                if is_same {
                    tx.commit().await?;
                    return Ok((client, false));
                }
                (client, AuditEvent::ClientChanged { client_id: id.clone() })
            }
            None => {
                let registration = Some(SelfRegistration::by_document(ctx.handle(HandleKind::RegistrationAccessToken).hash(), now));
                let status = ClientStatus::Active;
                let client =
                    Client { id: id.clone(), settings, secrets: Vec::new(), registration, status, created_at: now, updated_at: now };
                tx.client_insert(&client).await?;
                (client, AuditEvent::ClientRegistered { client_id: id.clone(), initial_access_token_id: None })
            }
        };
        tx.audit_append(&ctx.record(tenant.id, Actor::Client { client_id: id.clone() }, origin, event)).await?;
        tx.commit().await?;
        Ok::<_, StoreError>((client, true))
    };
    let first = written(settings.clone()).await;
    // Another node was first.
    let (client, is_changed) = if first == Err(StoreError::Conflict) { written(settings).await? } else { first? };
    if is_changed {
        ctx.origins.forget(tenant.id);
    }
    Ok(client)
}
