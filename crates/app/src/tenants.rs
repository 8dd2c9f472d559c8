//! Tenants: finding the one a request is for, and administering them.

use std::sync::Arc;
use std::time::Duration;

use domain::audit::{Actor, AuditEvent, AuditRecord};
use domain::claim_rules::RuleRefused;
use domain::client::lacks::{Offer, signs_of_loss};
use domain::host::HostName;
use domain::ids::TenantId;
use domain::keys::policy::RotationNumbers;
use domain::misread::{self, Misread};
use domain::tenant::{Claimed, Tenant, TenantPolicy, TenantStatus};
use domain::text::{BadText, DisplayName, Slug};
use domain::time::{Timestamp, Ttl};
use serde_json::{Map, Value, json};
use tokio::sync::Semaphore;

use crate::clients::stranded::{Stranded, stranded};
use crate::ctx::{Ctx, Origin};
use crate::fault::Fault;
use crate::ports::keys::{KeyCommandError, KeyFault, NewRing, PublishedKeys};
use crate::ports::store::{Destroyed, NewTenant, StoreError};
use crate::warm::WarmMap;

/// Tenants that were looked up lately, by slug and by domain.
///
/// A map, not a truth: whatever decides about somebody's access reads the tenant's row inside its own transaction.
#[derive(Debug)]
pub struct TenantCache {
    by_slug: WarmMap<String, Cached>,
    by_domain: WarmMap<String, Cached>,
    /// Hosts that no tenant had, and when. Apart, so that whoever makes names up pushes out nobody who has one.
    strangers: WarmMap<String, Timestamp>,
    /// Places for those who look for a host that is not known here.
    looks: Semaphore,
}

#[derive(Debug, Clone)]
struct Cached {
    tenant: Arc<Tenant>,
    read_at: Timestamp,
}

impl TenantCache {
    /// How long a looked-up tenant is used without looking again.
    const FRESH: Ttl = Ttl::seconds(5);
    /// How long whoever has an older one waits for the database.
    const PATIENCE: Duration = Duration::from_secs(1);

    const STRANGERS: usize = 1_024;
    const LOOKS: usize = 4;

    /// A cache of about `most` tenants.
    pub fn new(most: usize) -> Self {
        Self {
            by_slug: WarmMap::new(most),
            by_domain: WarmMap::new(most),
            strangers: WarmMap::new(Self::STRANGERS),
            looks: Semaphore::new(Self::LOOKS),
        }
    }

    fn get(&self, slug: &Slug, now: Timestamp) -> Option<Cached> {
        let found = self.by_slug.find(slug.as_str())?;
        found.touch(now);
        Some(found.value.clone())
    }

    /// Who had this slug when it was looked up last.
    pub(crate) fn known(&self, slug: &str, now: Timestamp) -> Option<TenantId> {
        self.get(&slug.parse().ok()?, now).map(|cached| cached.tenant.id)
    }

    fn put(&self, tenant: Arc<Tenant>, read_at: Timestamp) {
        self.by_slug.put(tenant.slug.as_str().to_owned(), read_at, Cached { tenant, read_at });
    }

    fn at(&self, host: &str, now: Timestamp) -> Option<Cached> {
        let found = self.by_domain.find(host)?;
        found.touch(now);
        Some(found.value.clone())
    }

    /// Under its slug as well, so that nobody sees the same tenant older than the one who led there.
    fn put_at(&self, host: &HostName, tenant: Arc<Tenant>, read_at: Timestamp) {
        self.put(Arc::clone(&tenant), read_at);
        self.by_domain.put(host.as_str().to_owned(), read_at, Cached { tenant, read_at });
    }

    fn is_stranger(&self, host: &str, now: Timestamp) -> bool {
        self.strangers.find(host).is_some_and(|seen| now < seen.value.plus(Self::FRESH))
    }

    /// Forgets where a tenant was and where it is.
    pub(crate) fn forget_domain(&self, before: &Tenant, after: &Tenant) {
        self.forget(&after.slug);
        for host in [&before.custom_domain, &after.custom_domain].into_iter().flatten() {
            self.by_domain.remove(host.as_str());
            self.strangers.remove(host.as_str());
        }
    }

    pub(crate) fn forget(&self, slug: &Slug) {
        self.by_slug.remove(slug.as_str());
    }
}

/// No such tenant, or none that the caller may know of.
#[derive(Debug, thiserror::Error)]
pub enum NoTenant {
    #[error("no such tenant")]
    Unknown,
    #[error(transparent)]
    Fault(#[from] Fault),
}

/// The tenant of a slug, possibly some seconds old; older when the database is away or slow, so that JWKS and discovery stay up.
///
/// # Errors
/// [`NoTenant::Unknown`] for a word that is no slug, too.
pub async fn resolve(ctx: &Ctx, slug: &str) -> Result<Arc<Tenant>, NoTenant> {
    let slug: Slug = slug.parse().map_err(|_| NoTenant::Unknown)?;
    let now = ctx.now();
    let cached = ctx.tenants.get(&slug, now);
    if let Some(cached) = &cached
        && now < cached.read_at.plus(TenantCache::FRESH)
    {
        return Ok(Arc::clone(&cached.tenant));
    }
    let read = read_by_slug(ctx, &slug);
    let read = if cached.is_some() { patient(read).await } else { read.await };
    match read {
        Ok(Some(tenant)) => {
            let tenant = Arc::new(tenant);
            ctx.tenants.put(Arc::clone(&tenant), now);
            Ok(tenant)
        }
        Ok(None) => {
            ctx.tenants.forget(&slug);
            Err(NoTenant::Unknown)
        }
        Err(StoreError::Unavailable(detail)) => match cached {
            Some(cached) => {
                // Else everybody would wait for the database first, one request after the other.
                ctx.tenants.put(Arc::clone(&cached.tenant), ctx.now());
                Ok(cached.tenant)
            }
            None => Err(Fault::Unavailable(detail).into()),
        },
        Err(error) => Err(Fault::from(error).into()),
    }
}

/// The tenant whose domain this host is, in the same way. A domain can become another tenant's: nobody takes what is older than that without
/// having asked.
///
/// # Errors
/// [`NoTenant::Unknown`] for what is no domain, too.
pub async fn at_host(ctx: &Ctx, host: &str) -> Result<Arc<Tenant>, NoTenant> {
    let now = ctx.now();
    let cached = ctx.tenants.at(host, now);
    if let Some(cached) = &cached
        && now < cached.read_at.plus(TenantCache::FRESH)
    {
        return Ok(Arc::clone(&cached.tenant));
    }
    if cached.is_none() && ctx.tenants.is_stranger(host, now) {
        return Err(NoTenant::Unknown);
    }
    let host: HostName = host.parse().map_err(|_| NoTenant::Unknown)?;
    let read = patient(async {
        // Anybody can ask for any host, and no budget is anybody's before it is known whose it is.
        let _place = match &cached {
            Some(_) => None,
            None => Some(ctx.tenants.looks.acquire().await.map_err(|_| StoreError::Unavailable("closed".to_owned()))?),
        };
        ctx.store.begin_platform().await?.tenant_by_domain(&host).await
    });
    match read.await {
        Ok(Some(tenant)) => {
            let tenant = Arc::new(tenant);
            ctx.tenants.put_at(&host, Arc::clone(&tenant), now);
            Ok(tenant)
        }
        Ok(None) => {
            ctx.tenants.by_domain.remove(host.as_str());
            ctx.tenants.strangers.put(host.as_str().to_owned(), now, now);
            Err(NoTenant::Unknown)
        }
        Err(StoreError::Unavailable(detail)) => match cached {
            Some(cached) => {
                ctx.tenants.put_at(&host, Arc::clone(&cached.tenant), ctx.now());
                Ok(cached.tenant)
            }
            None => Err(Fault::Unavailable(detail).into()),
        },
        Err(error) => Err(Fault::from(error).into()),
    }
}

/// What is read, or that the database is slow.
pub(crate) async fn patient<T>(read: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
    tokio::time::timeout(TenantCache::PATIENCE, read).await.unwrap_or_else(|_| Err(StoreError::Unavailable("slow".to_owned())))
}

/// The public keys of a slug's tenant, and whose they are. No database is asked while that tenant is awake: a slug is the same
/// tenant's for as long as there are keys, so who it was at any time will do.
///
/// # Errors
/// As for [`resolve`].
pub async fn published(ctx: &Ctx, slug: &str) -> Result<(TenantId, Arc<PublishedKeys>), NoTenant> {
    let parsed: Slug = slug.parse().map_err(|_| NoTenant::Unknown)?;
    if let Some(Cached { tenant, .. }) = ctx.tenants.get(&parsed, ctx.now()) {
        match ctx.keys.published(tenant.id).await {
            // Deleted since.
            Err(KeyFault::NoRing) => ctx.tenants.forget(&parsed),
            found => return Ok((tenant.id, found.map_err(Fault::from)?)),
        }
    }
    let tenant = Box::pin(resolve(ctx, slug)).await?;
    Ok((tenant.id, ctx.keys.published(tenant.id).await.map_err(Fault::from)?))
}

async fn read_by_slug(ctx: &Ctx, slug: &Slug) -> Result<Option<Tenant>, StoreError> {
    ctx.store.begin_platform().await?.tenant_by_slug(slug).await
}

/// The tenant that an administrator names by its slug or its id, as it is now.
///
/// # Errors
/// [`NoTenant::Unknown`] when there is none.
pub async fn find(ctx: &Ctx, slug_or_id: &str) -> Result<Tenant, NoTenant> {
    let mut tx = ctx.store.begin_platform().await.map_err(Fault::from)?;
    let found = match slug_or_id.parse::<TenantId>() {
        Ok(id) => tx.tenant_by_id(id).await,
        Err(_) => match slug_or_id.parse::<Slug>() {
            Ok(slug) => tx.tenant_by_slug(&slug).await,
            Err(_) => return Err(NoTenant::Unknown),
        },
    };
    found.map_err(Fault::from)?.ok_or(NoTenant::Unknown)
}

/// The tenant that says to have this issuer, as it is now. That it is its issuer, the caller finds out.
///
/// # Errors
/// As for [`find`].
pub(crate) async fn claimed(ctx: &Ctx, issuer: &str) -> Result<Tenant, NoTenant> {
    let claimed = Claimed::of(issuer, &ctx.base_url).ok_or(NoTenant::Unknown)?;
    let mut tx = ctx.store.begin_platform().await.map_err(Fault::from)?;
    let found = match claimed {
        Claimed::Slug(slug) => tx.tenant_by_slug(&slug).await,
        Claimed::Domain(domain) => tx.tenant_by_domain(&domain).await,
    };
    found.map_err(Fault::from)?.ok_or(NoTenant::Unknown)
}

#[derive(Debug, Clone)]
pub struct CreateTenant {
    pub slug: Slug,
    pub name: DisplayName,
    pub policy: TenantPolicy,
    /// By what its keys rotate; `None` = by the default numbers.
    pub key_policy: Option<RotationNumbers>,
}

#[derive(Debug, thiserror::Error)]
pub enum TenantDenied {
    #[error("the slug is taken")]
    SlugTaken,
    #[error("no such tenant")]
    Unknown,
    #[error(transparent)]
    Policy(#[from] BadText),
    #[error(transparent)]
    Rules(#[from] RuleRefused),
    #[error(transparent)]
    Keys(#[from] KeyCommandError),
    /// The patch does not lead to a policy.
    #[error(transparent)]
    Patch(#[from] Misread),
    /// Deleting asks for the tenant's slug as a confirmation.
    #[error("the confirmation is not the tenant's slug")]
    NotConfirmed,
    /// Clients are registered for what the change takes away, and nobody has said that it is meant.
    #[error("{} clients would lack what they are registered for", .0.count)]
    Strands(Box<Stranded>),
    #[error(transparent)]
    Fault(#[from] Fault),
}

impl From<StoreError> for TenantDenied {
    fn from(error: StoreError) -> Self {
        Self::Fault(error.into())
    }
}

/// Creates a tenant with its first key ring, in one transaction.
///
/// # Errors
/// When the slug is taken, the policy out of bounds or the policy for keys unsafe.
pub async fn create(ctx: &Ctx, command: CreateTenant, actor: Actor, origin: &Origin) -> Result<Tenant, TenantDenied> {
    let new = begin(ctx, command, actor, origin).await?;
    ctx.store.tenants_insert(std::slice::from_ref(&new)).await.map_err(|error| match error {
        StoreError::Conflict => TenantDenied::SlugTaken,
        other => other.into(),
    })?;
    Ok(new.tenant)
}

/// A new tenant with its first keys, not stored yet.
pub(crate) async fn begin(ctx: &Ctx, command: CreateTenant, actor: Actor, origin: &Origin) -> Result<NewTenant, TenantDenied> {
    let now = ctx.now();
    let tenant = Tenant {
        id: TenantId::new(now, ctx.id_entropy()),
        slug: command.slug,
        name: command.name,
        custom_domain: None,
        status: TenantStatus::Active,
        policy: sound(command.policy)?,
        created_at: now,
        updated_at: now,
    };
    let NewRing { data_key, change } = ctx.keys.prepare(&tenant, command.key_policy, &actor).await?;
    let event = AuditEvent::TenantCreated { slug: tenant.slug.to_string() };
    let audit = vec![ctx.record(tenant.id, actor, origin, event)];
    Ok(NewTenant { tenant, data_key, ring: change, users: Vec::new(), audit })
}

/// Tenants in the order of their slugs, after `after`.
///
/// # Errors
/// When the database is away.
pub async fn list(ctx: &Ctx, after: Option<&Slug>, limit: u32) -> Result<Vec<Tenant>, Fault> {
    Ok(ctx.store.begin_platform().await?.tenants_page(after, limit).await?)
}

/// The policy, if its numbers and its rules for claims are ones we can stand behind.
fn sound(policy: TenantPolicy) -> Result<TenantPolicy, TenantDenied> {
    policy.claims.rules.validated()?;
    Ok(policy.validated()?)
}

/// What changes about a policy. Laid over the policy as it is in the transaction that writes it, so that of two changes at once
/// none undoes the other.
#[derive(Debug, Clone)]
pub struct PolicyPatch(pub Map<String, Value>);

impl PolicyPatch {
    fn laid_over(self, policy: &TenantPolicy) -> Result<TenantPolicy, TenantDenied> {
        fn merge(target: &mut Value, patch: Value) {
            match (target, patch) {
                (Value::Object(target), Value::Object(patch)) => {
                    for (name, value) in patch {
                        merge(target.entry(name).or_insert(Value::Null), value);
                    }
                }
                (target, patch) => *target = patch,
            }
        }
        let written = serde_json::to_value(policy);
        let mut value = written.map_err(|error| Fault::Broken(format!("a policy cannot be written: {error}")))?;
        merge(&mut value, Value::Object(self.0));
        Ok(misread::read_value(value).map_err(|misread| misread.within("policy"))?)
    }
}

/// A change of a tenant; what is `None` stays.
#[derive(Debug, Clone, Default)]
pub struct ChangeTenant {
    pub name: Option<DisplayName>,
    /// A merge patch (RFC 7396): members that are left out stay as they are.
    pub policy: Option<PolicyPatch>,
    pub is_active: Option<bool>,
    /// The tenant's slug, where the change takes away what clients are registered for.
    pub confirmation: Option<String>,
}

/// An offer whose algorithms do not matter, because they are the same before and after.
const fn offered(policy: &TenantPolicy) -> Offer<'_> {
    Offer { policy, algs: &[] }
}

/// What a patch would take away, and whom that would strand.
struct Losses {
    signs: Vec<String>,
    stranded: Option<Stranded>,
}

async fn losses(ctx: &Ctx, tenant: TenantId, patch: PolicyPatch) -> Result<Losses, TenantDenied> {
    let before = ctx.store.begin_read(tenant).await?.tenant().await?.ok_or(TenantDenied::Unknown)?.policy;
    let after = sound(patch.laid_over(&before)?)?;
    let (before, after) = (offered(&before), offered(&after));
    Ok(Losses { signs: signs_of_loss(before, after), stranded: stranded(ctx, tenant, before, after).await? })
}

/// Changes a tenant's name, policy or status.
///
/// # Errors
/// When the policy is out of bounds or the tenant gone; and when clients are registered for what goes, unless that is confirmed.
pub async fn change(ctx: &Ctx, tenant: TenantId, command: ChangeTenant, actor: Actor, origin: &Origin) -> Result<Tenant, TenantDenied> {
    let now = ctx.now();
    let losses = match &command.policy {
        Some(patch) => Some(losses(ctx, tenant, patch.clone()).await?),
        None => None,
    };
    let mut tx = ctx.store.begin(tenant).await?;
    let mut row = tx.tenant_locked().await?.ok_or(TenantDenied::Unknown)?;
    let mut events = Vec::new();
    let mut changed = Vec::new();
    if let Some(name) = command.name
        && name != row.name
    {
        row.name = name;
        changed.push("name".to_owned());
    }
    if let Some(patch) = command.policy {
        let policy = sound(patch.laid_over(&row.policy)?)?;
        if policy != row.policy {
            let Losses { signs, stranded } = losses.unwrap_or_else(|| Losses { signs: Vec::new(), stranded: None });
            if signs_of_loss(offered(&row.policy), offered(&policy)) != signs {
                // What is taken away now is not what was looked at.
                return Err(Fault::Unavailable("somebody else changed the same policy".to_owned()).into());
            }
            if let Some(stranded) = stranded {
                if command.confirmation.as_deref() != Some(row.slug.as_str()) {
                    return Err(TenantDenied::Strands(Box::new(stranded)));
                }
                events.push(AuditEvent::ClientsStranded { clients: stranded.count, lost: stranded.facts() });
            }
            if policy.claims.rules != row.policy.claims.rules {
                events.push(AuditEvent::ClaimRulesChanged { rules: policy.claims.rules.0.len() as u64 });
            }
            row.policy = policy;
            changed.push("policy".to_owned());
        }
    }
    if !changed.is_empty() {
        events.push(AuditEvent::TenantChanged { changed });
    }
    match (command.is_active, row.status) {
        (Some(false), TenantStatus::Active) => {
            row.status = TenantStatus::Suspended { at: now };
            events.push(AuditEvent::TenantSuspended);
        }
        (Some(true), TenantStatus::Suspended { .. }) => {
            row.status = TenantStatus::Active;
            events.push(AuditEvent::TenantResumed);
        }
        _ => {}
    }
    if events.is_empty() {
        return Ok(row);
    }
    row.updated_at = now;
    tx.tenant_update(&row).await?;
    for event in events {
        tx.audit_append(&ctx.record(tenant, actor.clone(), origin, event)).await?;
    }
    tx.commit().await?;
    ctx.tenants.forget_domain(&row, &row);
    Ok(row)
}

/// The `typ` of a certificate of deletion.
pub const DELETION_TYPE: &str = "deletion-certificate+jwt";

/// How far a deletion has come. Either way nobody finds the tenant any more and its keys are destroyed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deletion {
    /// Nothing is left but the audit log, the kids and the certificate, and the slug is free.
    Complete,
    /// Rows are left for [`erase_deleted`], which the sweep calls; the slug is free when they are gone.
    Continuing,
}

/// The most rows of a deleted tenant that one transaction removes.
const ERASED_TOGETHER: u32 = 500;

/// Deletes a tenant and all it owns, its data key first. What remains are its audit log, its kids, which are never used again,
/// and a signed certificate of what was destroyed.
///
/// # Errors
/// When `confirmation` is not the tenant's slug.
pub async fn delete(ctx: &Ctx, tenant: &Tenant, confirmation: &str, actor: Actor, origin: &Origin) -> Result<Deletion, TenantDenied> {
    if confirmation != tenant.slug.as_str() {
        return Err(TenantDenied::NotConfirmed);
    }
    // Before the transaction: it may have to be made, or be fetched from afar.
    let notary = ctx.keys.notary().await.map_err(Fault::from)?;
    let mut tx = ctx.store.begin(tenant.id).await?;
    let destroyed = tx.tenant_delete(ctx.now()).await.map_err(|error| match error {
        StoreError::Conflict => TenantDenied::Unknown,
        other => other.into(),
    })?;
    let event = AuditEvent::TenantDeleted { slug: tenant.slug.to_string() };
    let record = ctx.record(tenant.id, actor, origin, event);
    let certificate = notary.certify(DELETION_TYPE, &deletion(&ctx.base_url, tenant, &destroyed, &record)).map_err(Fault::from)?;
    tx.deletion_certify(&certificate, record.at).await?;
    tx.audit_append(&record).await?;
    let committed = tx.commit().await;
    // A commit without an answer may have happened; if it has not, this was read once too often.
    ctx.tenants.forget_domain(tenant, tenant);
    ctx.keys.forget(tenant.id);
    committed?;
    // A small tenant is erased here and now. A failure does not undo the deletion, it only leaves more for the sweep.
    match erase_some(ctx, tenant.id).await {
        Ok(true) => Ok(Deletion::Complete),
        Ok(false) | Err(_) => Ok(Deletion::Continuing),
    }
}

async fn erase_some(ctx: &Ctx, tenant: TenantId) -> Result<bool, StoreError> {
    let mut tx = ctx.store.begin(tenant).await?;
    let is_done = tx.tenant_erase(ERASED_TOGETHER).await?;
    tx.commit().await?;
    Ok(is_done)
}

/// Erases what is left of deleted tenants, in transactions of bounded size, until nothing is. Answers how many transactions it
/// took. May be stopped at any moment and run on several nodes at once.
///
/// # Errors
/// Those of the store; what was erased until then stays so.
pub async fn erase_deleted(ctx: &Ctx) -> Result<u64, StoreError> {
    const TENANTS: u32 = 100;
    let mut transactions = 0;
    loop {
        let deleted = ctx.store.begin_platform().await?.tenants_deleted(TENANTS).await?;
        let is_last = deleted.len() < TENANTS as usize;
        for tenant in deleted {
            transactions += 1;
            while !erase_some(ctx, tenant).await? {
                transactions += 1;
            }
        }
        if is_last {
            return Ok(transactions);
        }
    }
}

/// What a certificate of deletion says.
fn deletion(issuer: &str, tenant: &Tenant, destroyed: &Destroyed, record: &AuditRecord) -> Value {
    let Destroyed { data_key, secrets, users, sessions } = destroyed;
    json!({
        "iss": issuer,
        "iat": record.at.as_seconds(),
        "sub": tenant.id,
        "jti": record.id,
        "slug": tenant.slug,
        "deleted_at": record.at,
        "data_key": data_key,
        "destroyed": { "data_keys": u64::from(data_key.is_some()), "secrets": secrets },
        "erasing": { "users": users, "sessions": sessions },
    })
}

/// The certificate of a tenant's deletion, a JWS by the installation's own key.
///
/// # Errors
/// [`NoTenant::Unknown`] when no tenant of this id was deleted.
pub async fn deletion_certificate(ctx: &Ctx, tenant: TenantId) -> Result<String, NoTenant> {
    let mut tx = ctx.store.begin_platform().await.map_err(Fault::from)?;
    let certificate = tx.deletion_certificate(tenant).await.map_err(Fault::from)?.ok_or(NoTenant::Unknown)?;
    tx.commit().await.map_err(Fault::from)?;
    Ok(certificate)
}
