//! Clients that would be left without something they are registered for, when their tenant takes it away.
//!
//! Invariant: clients are looked for before the transaction that takes something away, and not within: there may be a hundred thousand. One
//! that is registered in between is not counted.

use std::collections::BTreeSet;

use domain::client::lacks::{Lack, Offer, lacks, signs_of_loss};
use domain::client::{Client, ClientId};
use domain::ids::TenantId;
use domain::keys::ring::Alg;
use domain::resource::ResourceUri;
use domain::tenant::Tenant;
use domain::text::DisplayName;

use crate::ctx::Ctx;
use crate::ports::store::StoreError;

/// Who and what would not work any more.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Stranded {
    /// Some of the clients, at most [`Stranded::NAMED`].
    pub clients: Vec<(ClientId, Option<DisplayName>)>,
    /// How many there are in all; when it is [`Stranded::COUNTED`], maybe more.
    pub count: u64,
    /// What they lack.
    pub lost: BTreeSet<Lack>,
    /// APIs whose tokens have to be signed by an algorithm that goes.
    pub apis: Vec<ResourceUri>,
}

impl Stranded {
    pub const NAMED: usize = 10;
    /// Nobody counts further.
    pub const COUNTED: u64 = 1_000;

    fn add(&mut self, client: Client, lost: impl Iterator<Item = Lack>) {
        self.lost.extend(lost);
        self.count += 1;
        if self.clients.len() < Self::NAMED {
            self.clients.push((client.id, client.settings.client_name));
        }
    }

    /// What an entry of the audit log says.
    pub(crate) fn facts(&self) -> Vec<String> {
        let apis = self.apis.iter().map(|api| format!("signing_alg: {api}"));
        self.lost.iter().map(ToString::to_string).chain(apis).collect()
    }
}

/// Whom of the tenant's active clients a change from one offer to the other would strand. `None`: nobody.
///
/// # Errors
/// When the database is away.
pub(crate) async fn stranded(ctx: &Ctx, tenant: TenantId, before: Offer<'_>, after: Offer<'_>) -> Result<Option<Stranded>, StoreError> {
    // A transaction for so many of them, whether they have signs or not: none takes long.
    const TOGETHER: u32 = 1_000;
    let mut stranded = Stranded { apis: apis(ctx, tenant, before.algs, after.algs).await?, ..Stranded::default() };
    let signs = signs_of_loss(before, after);
    let (mut last, mut is_more) = (None, !signs.is_empty());
    while is_more && stranded.count < Stranded::COUNTED {
        let found;
        (found, last) = ctx.store.begin_read(tenant).await?.clients_with_signs(&signs, last.as_ref(), TOGETHER).await?;
        is_more = last.is_some();
        for client in found {
            let (had, has) = (lacks(&client.settings, before), lacks(&client.settings, after));
            if !has.is_subset(&had) && stranded.count < Stranded::COUNTED {
                stranded.add(client, has.difference(&had).copied());
            }
        }
    }
    Ok((stranded.count > 0 || !stranded.apis.is_empty()).then_some(stranded))
}

async fn apis(ctx: &Ctx, tenant: TenantId, before: &[Alg], after: &[Alg]) -> Result<Vec<ResourceUri>, StoreError> {
    let goes = |alg: Alg| before.contains(&alg) && !after.contains(&alg);
    if !before.iter().any(|alg| goes(*alg)) {
        return Ok(Vec::new());
    }
    let all = ctx.store.begin_read(tenant).await?.resources_page(None, domain::resource::Resource::MOST).await?;
    Ok(all.into_iter().filter(|api| api.settings.signing_alg.is_some_and(goes)).map(|api| api.identifier).collect())
}

/// What a client lacks as things stand.
///
/// # Errors
/// When the tenant's keys cannot be looked at.
pub async fn lacking(ctx: &Ctx, tenant: &Tenant, client: &Client) -> Result<BTreeSet<Lack>, crate::fault::Fault> {
    let keys = ctx.keys.published(tenant.id).await?;
    Ok(lacks(&client.settings, Offer { policy: &tenant.policy, algs: &keys.ring.numbers.algs }))
}
