//! Showing a tenant's key log: its signed head, the tiles it is made of, and proofs.
//!
//! Invariant: nothing is signed here, and nothing is answered that the signed head does not cover or that a power cut could take back: each
//! reading transaction is committed first.

use std::ops::Range;

use domain::ids::TenantId;
use transparency::tile::{Holds, Tile, bundle};
use transparency::tree::{self, Hash, TILE_HEIGHT};

use crate::ctx::Ctx;
use crate::fault::Fault;
use crate::ports::store::{LogTip, StoreError, TenantTx};

/// Why something of a log is not shown.
#[derive(Debug, thiserror::Error)]
pub enum NotLogged {
    /// There is no log yet, or it has no such part.
    #[error("the log has no such part")]
    Unknown,
    #[error(transparent)]
    Fault(#[from] Fault),
}

impl From<StoreError> for NotLogged {
    fn from(error: StoreError) -> Self {
        Self::Fault(error.into())
    }
}

/// The end of the log, with its signed checkpoint.
///
/// # Errors
/// [`NotLogged::Unknown`] when nothing of this tenant's keys has changed since there are logs.
pub async fn tip(ctx: &Ctx, tenant: TenantId) -> Result<LogTip, NotLogged> {
    let mut tx = ctx.store.begin_read(tenant).await?;
    let tip = read_tip(&mut *tx).await?;
    tx.commit().await?;
    Ok(tip)
}

async fn read_tip(tx: &mut dyn TenantTx) -> Result<LogTip, NotLogged> {
    tx.key_log_tip().await?.ok_or(NotLogged::Unknown)
}

/// A tile or an entry bundle by its address below `tile/`.
///
/// # Errors
/// [`NotLogged::Unknown`] when it is no tile's address, the log does not reach that far, or entries were removed behind its back.
pub async fn tile(ctx: &Ctx, tenant: TenantId, address: &str) -> Result<Vec<u8>, NotLogged> {
    let tile: Tile = address.parse().map_err(|_| NotLogged::Unknown)?;
    let mut tx = ctx.store.begin_read(tenant).await?;
    if !tile.is_in(read_tip(&mut *tx).await?.size) {
        return Err(NotLogged::Unknown);
    }
    let range = tile.first()..tile.first() + tile.width;
    let (count, bytes) = match tile.holds {
        Holds::Entries => {
            let entries = tx.key_log_entries(range).await?;
            (entries.len(), bundle(&entries))
        }
        Holds::Hashes { level } => {
            let hashes = tx.key_log_hashes(level * TILE_HEIGHT, range).await?;
            (hashes.len(), Some(hashes.concat()))
        }
    };
    tx.commit().await?;
    bytes.filter(|_| count as u64 == tile.width).ok_or(NotLogged::Unknown)
}

/// The hashes which show that entry `index` is in the tree of the first `size` entries (RFC 9162, 2.1.3), and the entry's own.
///
/// # Errors
/// [`NotLogged::Unknown`] when there is no such entry or the log is shorter.
pub async fn inclusion(ctx: &Ctx, tenant: TenantId, index: u64, size: u64) -> Result<(Hash, Vec<Hash>), NotLogged> {
    let mut tx = ctx.store.begin_read(tenant).await?;
    if index >= size || size > read_tip(&mut *tx).await?.size {
        return Err(NotLogged::Unknown);
    }
    let leaf = range_hash(&mut *tx, &(index..index + 1)).await?;
    let path = range_hashes(&mut *tx, &tree::inclusion(index, size)).await?;
    tx.commit().await?;
    Ok((leaf, path))
}

/// The hashes which show that the tree of `to` entries begins with that of `from` entries (RFC 9162, 2.1.4).
///
/// # Errors
/// [`NotLogged::Unknown`] when `from` is 0 or more than `to`, or the log is shorter.
pub async fn consistency(ctx: &Ctx, tenant: TenantId, from: u64, to: u64) -> Result<Vec<Hash>, NotLogged> {
    let mut tx = ctx.store.begin_read(tenant).await?;
    if from == 0 || from > to || to > read_tip(&mut *tx).await?.size {
        return Err(NotLogged::Unknown);
    }
    let path = range_hashes(&mut *tx, &tree::consistency(from, to)).await?;
    tx.commit().await?;
    Ok(path)
}

async fn range_hashes(tx: &mut dyn TenantTx, ranges: &[Range<u64>]) -> Result<Vec<Hash>, NotLogged> {
    let mut hashes = Vec::with_capacity(ranges.len());
    for range in ranges {
        hashes.push(range_hash(tx, range).await?);
    }
    Ok(hashes)
}

/// The Merkle tree hash over a range of entries, from the stored hashes.
async fn range_hash(tx: &mut dyn TenantTx, range: &Range<u64>) -> Result<Hash, NotLogged> {
    let mut hashes = Vec::new();
    for node in tree::nodes_of(range) {
        let (level, stored) = node.stored();
        let wanted = stored.end - stored.start;
        let found = tx.key_log_hashes(level, stored).await?;
        let whole = tree::full_subtree(&found).filter(|_| found.len() as u64 == wanted);
        hashes.push(whole.ok_or_else(|| Fault::Broken(format!("the key log of {} lacks hashes", tx.tenant_id())))?);
    }
    tree::join(&hashes).ok_or(NotLogged::Unknown)
}
