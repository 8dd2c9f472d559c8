//! Tenants that come from another system, many at a time, each whole: with its keys, its users and their ready-made hashes.
//!
//! Invariant: a tenant that is there already is left as it is, so an import that was broken off is run again from its beginning.

use domain::audit::{Actor, AuditEvent};
use domain::keys::policy::RotationNumbers;
use domain::secret::Secret;
use domain::tenant::TenantPolicy;
use domain::text::{DisplayName, Slug};
use domain::user::{CustomClaims, Roles, UserNames};

use crate::ctx::{Ctx, Origin};
use crate::fault::Fault;
use crate::ports::store::{NewTenant, StoreError};
use crate::tenants::{self, CreateTenant, TenantDenied};
use crate::users;

/// The most users that come with a tenant; more are created one by one.
pub const MOST_USERS: usize = 1_000;

/// A tenant to import.
#[derive(Debug, Clone)]
pub struct ImportTenant {
    pub slug: Slug,
    pub name: DisplayName,
    pub policy: TenantPolicy,
    pub key_policy: Option<RotationNumbers>,
    pub users: Vec<ImportUser>,
}

/// A user of it. The hash was looked at by [`crate::credentials::password::import`]; without one nobody can log in.
#[derive(Debug, Clone)]
pub struct ImportUser {
    pub names: UserNames,
    pub phc: Option<Secret<String>>,
    pub roles: Roles,
    pub claims: CustomClaims,
}

/// What came of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Imported {
    pub created: usize,
    /// Were there before, and stayed as they were.
    pub present: usize,
}

/// Which tenant could not be imported, and why. Those before it in the batch may be there.
#[derive(Debug, thiserror::Error)]
pub enum ImportDenied {
    #[error("tenant {slug}: {denied}")]
    Tenant { slug: Slug, denied: TenantDenied },
    #[error("tenant {slug}: more than {MOST_USERS} users; import it with fewer and create the others over the admin API")]
    TooManyUsers { slug: Slug },
    #[error("tenant {slug}: two of its users have the same name or address, or its slug is still being erased")]
    Taken { slug: Slug },
    #[error(transparent)]
    Fault(#[from] Fault),
}

/// Imports a batch in one transaction.
///
/// # Errors
/// Names the tenant that is unfit.
pub async fn tenants(ctx: &Ctx, batch: Vec<ImportTenant>, actor: &Actor, origin: &Origin) -> Result<Imported, ImportDenied> {
    let slugs: Vec<_> = batch.iter().map(|tenant| tenant.slug.clone()).collect();
    let known = ctx.store.begin_platform().await.map_err(Fault::from)?.slugs_known(&slugs).await.map_err(Fault::from)?;
    let mut new = Vec::with_capacity(batch.len());
    for tenant in batch {
        // One that comes twice is the first one's.
        if !known.contains(&tenant.slug) && !new.iter().any(|new: &NewTenant| new.tenant.slug == tenant.slug) {
            new.push(begin(ctx, tenant, actor, origin).await?);
        }
    }
    let created = new.len();
    match ctx.store.tenants_insert(&new).await {
        Err(StoreError::Conflict) => one_by_one(ctx, &new).await?,
        other => other.map_err(Fault::from)?,
    }
    Ok(Imported { created, present: slugs.len() - created })
}

async fn begin(ctx: &Ctx, tenant: ImportTenant, actor: &Actor, origin: &Origin) -> Result<NewTenant, ImportDenied> {
    let ImportTenant { slug, name, policy, key_policy, users } = tenant;
    if users.len() > MOST_USERS {
        return Err(ImportDenied::TooManyUsers { slug });
    }
    let command = CreateTenant { slug: slug.clone(), name, policy, key_policy };
    let mut new = tenants::begin(ctx, command, actor.clone(), origin).await.map_err(|denied| ImportDenied::Tenant { slug, denied })?;
    for ImportUser { names, phc, roles, claims } in users {
        let user = users::begin(ctx, names, roles, claims);
        new.audit.push(ctx.record(new.tenant.id, actor.clone(), origin, AuditEvent::UserCreated { user_id: user.id }));
        new.users.push((user, phc));
    }
    Ok(new)
}

/// Finds the one that is in the way of its batch.
async fn one_by_one(ctx: &Ctx, new: &[NewTenant]) -> Result<(), ImportDenied> {
    for tenant in new {
        ctx.store.tenants_insert(std::slice::from_ref(tenant)).await.map_err(|error| match error {
            StoreError::Conflict => ImportDenied::Taken { slug: tenant.tenant.slug.clone() },
            other => ImportDenied::Fault(other.into()),
        })?;
    }
    Ok(())
}
