//! Who fetches which tenant's JWKS: counted in memory, written down in batches.
//!
//! Counting is one keyed hash and one short lock. Memory is bounded whatever is asked for: who finds no room is counted among
//! the tenant's "others", or at least as a number.
//!
//! Invariant: nothing that came from outside is kept here but labels that were checked; a client is a keyed hash.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::{BuildHasherDefault, Hasher};
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use domain::ids::TenantId;
use domain::keys::policy::NodeTiming;
use domain::keys::ring::{KeyRing, KeyState, Kid};
use domain::keys::verifier::{Fetch, Sighting, VerifierName};
use domain::tenant::Tenant;
use domain::time::Timestamp;
use siphasher::sip128::{Hasher128, SipHasher24};

use crate::ctx::Ctx;
use crate::fault::Fault;
use crate::ports::keys::{KeyFault, Keys};
use crate::ports::store::{Store, Stored};

/// Locks, so that threads seldom meet.
const SHARDS: usize = 16;
/// Verifiers of one tenant in one shard, and of all tenants in one shard, between two flushes.
const MOST_OF_ONE: usize = 16;
const MOST_OF_ALL: usize = 4_096;
/// Verifiers that are remembered of one tenant, over all nodes.
const MOST_REMEMBERED: u32 = 500;
/// Sightings of one transaction: few, because those who refresh wait for it.
const BATCH: usize = 25;

/// What can be seen of whoever fetches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FetchedBy<'a> {
    /// It says who it is.
    Label(&'a str),
    /// Somebody with this name for itself, somewhere near this address: within a /24, or a /48 (IPv6).
    Client { user_agent: &'a [u8], address: Option<IpAddr> },
}

/// Fetches of this node since the last flush.
pub struct VerifierTally {
    /// Derived from the installation's secret: all nodes give a verifier the same name, and nobody else can.
    key: [u8; 16],
    shards: [Mutex<Shard>; SHARDS],
    untold: AtomicU64,
}

#[derive(Default)]
struct Shard {
    /// By a hash that knows the tenant, so that one look finds a verifier.
    verifiers: HashMap<u128, (TenantId, Sighting), BuildHasherDefault<Uniform>>,
    /// How many there are of each tenant, for whoever is new.
    of_tenants: HashMap<TenantId, usize>,
}

/// Hashes what is a keyed hash already: it is as good as any other.
#[derive(Default)]
struct Uniform(u64);

impl Hasher for Uniform {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.0 = self.0.rotate_left(8) ^ u64::from(*byte));
    }

    fn write_u128(&mut self, hash: u128) {
        // The other half has chosen the shard.
        self.0 = (hash >> 64) as u64;
    }
}

impl std::fmt::Debug for VerifierTally {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("VerifierTally").field("untold", &self.untold()).finish_non_exhaustive()
    }
}

impl VerifierTally {
    /// A tally that names verifiers by the installation's secret.
    ///
    /// # Errors
    /// When the secret cannot be had.
    pub async fn new(keys: &dyn Keys) -> Result<Self, KeyFault> {
        let secret = keys.installation_mac(b"claviger/verifiers/1").await?;
        let mut key = [0; 16];
        key.copy_from_slice(&secret[..16]);
        Ok(Self { key, shards: Default::default(), untold: AtomicU64::new(0) })
    }

    /// Counts a fetch. Takes well under a microsecond. A label that is none is passed over: keys are for everybody.
    pub fn count(&self, tenant: TenantId, by: FetchedBy<'_>, fetch: Fetch) {
        let hash = self.hash(tenant, by);
        let mut shard = self.shard(hash);
        if let Some((_, known)) = shard.verifiers.get_mut(&hash) {
            known.merge(&Sighting { verifier: VerifierName::Others, first_seen: fetch.at, last: fetch, fetches: 1 });
            return;
        }
        drop(shard);
        let verifier = match by {
            FetchedBy::Label(label) => label.parse().map_or(VerifierName::Others, VerifierName::Labelled),
            FetchedBy::Client { .. } => VerifierName::Hashed(hash),
        };
        self.take_in(tenant, Sighting { verifier, first_seen: fetch.at, last: fetch, fetches: 1 });
    }

    /// Fetches that could be counted for nobody, because too many tenants were asked for at once.
    pub fn untold(&self) -> u64 {
        self.untold.load(Ordering::Relaxed)
    }

    fn hash(&self, tenant: TenantId, by: FetchedBy<'_>) -> u128 {
        let mut hasher = SipHasher24::new_with_key(&self.key);
        hasher.write(tenant.as_bytes());
        match by {
            FetchedBy::Label(label) => {
                hasher.write_u8(1);
                hasher.write(label.as_bytes());
            }
            FetchedBy::Client { user_agent, address } => {
                match address.map(|address| address.to_canonical()) {
                    // Each kind of prefix has a width of its own, so that no two ways to write differ less than what they say.
                    Some(IpAddr::V4(address)) => {
                        hasher.write_u8(4);
                        hasher.write(&address.octets()[..3]);
                    }
                    Some(IpAddr::V6(address)) => {
                        hasher.write_u8(6);
                        hasher.write(&address.octets()[..6]);
                    }
                    None => hasher.write_u8(0),
                }
                hasher.write(user_agent);
            }
        }
        hasher.finish128().as_u128()
    }

    /// Takes everything out, ordered by tenant and verifier.
    fn take(&self) -> Vec<(TenantId, Sighting)> {
        let mut all = Vec::new();
        for shard in &self.shards {
            let shard = std::mem::take(&mut *shard.lock().unwrap_or_else(PoisonError::into_inner));
            all.extend(shard.verifiers.into_values());
        }
        // Nodes that write the same rows do so in the same order, and do not wait for each other in a circle.
        all.sort_unstable_by(|(a, one), (b, other)| (a, &one.verifier).cmp(&(b, &other.verifier)));
        all
    }

    /// Adds what is known of a verifier that is new here, or was. Whoever finds no room is another of the tenant's others, and if
    /// there is no room for these either, just a number.
    fn take_in(&self, tenant: TenantId, seen: Sighting) {
        let hash = self.hash_of(tenant, &seen.verifier);
        let others = VerifierName::Others;
        let fetches = seen.fetches;
        let left = self.shard(hash).put(hash, tenant, seen);
        let left = left.and_then(|seen| {
            let hash = self.hash_of(tenant, &others);
            self.shard(hash).put(hash, tenant, Sighting { verifier: others, ..seen })
        });
        if left.is_some() {
            self.untold.fetch_add(fetches, Ordering::Relaxed);
        }
    }

    fn hash_of(&self, tenant: TenantId, verifier: &VerifierName) -> u128 {
        match verifier {
            VerifierName::Labelled(label) => self.hash(tenant, FetchedBy::Label(label.as_str())),
            VerifierName::Hashed(hash) => *hash,
            // No label is empty.
            VerifierName::Others => self.hash(tenant, FetchedBy::Label("")),
        }
    }

    fn shard(&self, hash: u128) -> MutexGuard<'_, Shard> {
        self.shards[(hash as usize) % SHARDS].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shard {
    /// Adds a sighting, or hands it back when there is no room.
    fn put(&mut self, hash: u128, tenant: TenantId, seen: Sighting) -> Option<Sighting> {
        let is_full = self.verifiers.len() >= MOST_OF_ALL;
        match self.verifiers.entry(hash) {
            Entry::Occupied(mut known) => known.get_mut().1.merge(&seen),
            Entry::Vacant(_) if is_full => return Some(seen),
            Entry::Vacant(place) => {
                let of_tenant = self.of_tenants.entry(tenant).or_default();
                // Others always find room among their own.
                if *of_tenant >= MOST_OF_ONE && seen.verifier != VerifierName::Others {
                    return Some(seen);
                }
                *of_tenant += 1;
                place.insert((tenant, seen));
            }
        }
        None
    }
}

/// Writes down what was counted since the last time. What cannot be written is counted on, and written the next time.
///
/// # Errors
/// Those of the store.
pub async fn flush(store: &dyn Store, tally: &VerifierTally) -> Stored<u64> {
    flush_gently(store, tally, async |_| ()).await
}

/// The same, with a pause after each transaction, which is told how long that took: after a crawl of all tenants there is much to write, and
/// those who refresh want to write, too.
///
/// # Errors
/// Those of the store.
pub async fn flush_gently(store: &dyn Store, tally: &VerifierTally, mut pause: impl AsyncFnMut(Duration)) -> Stored<u64> {
    let mut left = tally.take();
    let mut written = 0;
    while !left.is_empty() {
        let batch = left.split_off(left.len().saturating_sub(BATCH));
        let begun = Instant::now();
        if let Err(error) = write(store, &batch).await {
            left.into_iter().chain(batch).for_each(|(tenant, seen)| tally.take_in(tenant, seen));
            return Err(error);
        }
        written += batch.len() as u64;
        if !left.is_empty() {
            pause(begun.elapsed()).await;
        }
    }
    Ok(written)
}

async fn write(store: &dyn Store, seen: &[(TenantId, Sighting)]) -> Stored<()> {
    let mut tx = store.begin_platform().await?;
    tx.verifiers_merge(seen, MOST_REMEMBERED).await?;
    tx.commit().await
}

/// Who fetches a tenant's JWKS, beside the ring that they should know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifierMap {
    pub ring: KeyRing,
    pub timing: NodeTiming,
    /// Keys that wait for their turn, and since when they are published.
    pub staged: Vec<(Kid, Timestamp)>,
    /// Whoever fetched last first. At most about five hundred; the rest are one of them.
    pub verifiers: Vec<Sighting>,
    pub now: Timestamp,
}

/// Who fetched the tenant's JWKS, as far as it was written down.
///
/// # Errors
/// When it cannot be read.
pub async fn look(ctx: &Ctx, tenant: &Tenant) -> Result<VerifierMap, Fault> {
    let timing = ctx.keys.published(tenant.id).await?.policy.timing();
    let mut tx = ctx.store.begin_read(tenant.id).await?;
    let ring = tx.ring().await?.ok_or(KeyFault::NoRing)?;
    let verifiers = tx.verifiers().await?;
    let now = ctx.now();
    let staged = ring.keys.iter().filter(|key| key.state_at(now) == KeyState::Staged).map(|key| (key.kid.clone(), key.published_at));
    Ok(VerifierMap { timing, staged: staged.collect(), verifiers, now, ring })
}

#[cfg(test)]
mod tests {
    use domain::time::Ttl;

    use super::*;

    const NOW: Timestamp = Timestamp::from_seconds(1_795_000_000);
    const FETCH: Fetch = Fetch { at: NOW, generation: 3, max_age: Ttl::minutes(5) };

    fn tally() -> VerifierTally {
        VerifierTally { key: [7; 16], shards: Default::default(), untold: AtomicU64::new(0) }
    }

    fn tenant(number: u64) -> TenantId {
        let mut chance = [0; 10];
        chance[2..].copy_from_slice(&number.to_be_bytes());
        TenantId::new(NOW, chance)
    }

    fn client<'a>(user_agent: &'a str, address: &str) -> FetchedBy<'a> {
        FetchedBy::Client { user_agent: user_agent.as_bytes(), address: Some(address.parse().expect("an address")) }
    }

    #[test]
    fn a_client_is_known_by_its_name_and_neighbourhood_and_to_no_other_tenant() {
        let tally = tally();
        let of = |tenant_number, by| tally.hash(tenant(tenant_number), by);
        let one = of(1, client("curl/8", "192.0.2.7"));
        assert_eq!(one, of(1, client("curl/8", "192.0.2.200")), "the same /24");
        assert_eq!(one, of(1, client("curl/8", "::ffff:192.0.2.1")), "the same address, written as IPv6");
        let v6 = of(1, client("curl/8", "2001:db8:7::1"));
        assert_eq!(v6, of(1, client("curl/8", "2001:db8:7:ffff::9")), "the same /48");
        let all = [
            one,
            v6,
            of(1, client("curl/8", "192.0.3.7")),
            of(1, client("curl/8", "2001:db8:8::1")),
            of(1, client("curl/9", "192.0.2.7")),
            of(2, client("curl/8", "192.0.2.7")),
            of(1, FetchedBy::Label("curl")),
            of(1, FetchedBy::Client { user_agent: b"curl/8", address: None }),
            VerifierTally { key: [8; 16], ..super::tests::tally() }.hash(tenant(1), client("curl/8", "192.0.2.7")),
        ];
        assert_eq!(all.iter().collect::<std::collections::BTreeSet<_>>().len(), all.len(), "{all:?}");
    }

    #[test]
    fn fetches_are_counted_until_they_are_taken() {
        let tally = tally();
        for second in 0..5 {
            tally.count(tenant(1), FetchedBy::Label("gateway"), Fetch { at: NOW.plus(Ttl::seconds(second)), ..FETCH });
        }
        let taken = tally.take();
        assert_eq!(taken.len(), 1);
        let (owner, seen) = &taken[0];
        assert_eq!((*owner, seen.verifier.to_string().as_str(), seen.fetches), (tenant(1), "label:gateway", 5));
        assert_eq!((seen.first_seen, seen.last.at), (NOW, NOW.plus(Ttl::seconds(4))));
        assert_eq!(tally.take(), []);
        taken.clone().into_iter().for_each(|(tenant, seen)| tally.take_in(tenant, seen));
        tally.count(tenant(1), FetchedBy::Label("gateway"), FETCH);
        let again = tally.take();
        assert_eq!((again.len(), again[0].1.fetches, again[0].1.last.at), (1, 6, taken[0].1.last.at));
    }

    #[test]
    fn whoever_finds_no_room_is_one_of_the_others_and_memory_is_bounded() {
        let tally = tally();
        let many = 4 * SHARDS * MOST_OF_ONE;
        for n in 0..many {
            tally.count(tenant(1), FetchedBy::Label(&format!("verifier-{n}")), FETCH);
        }
        let taken = tally.take();
        assert!(taken.len() <= SHARDS * MOST_OF_ONE + 1, "{}", taken.len());
        assert_eq!(taken.iter().map(|(_, seen)| seen.fetches).sum::<u64>(), many as u64, "none is lost");
        assert_eq!(taken.iter().filter(|(_, seen)| seen.verifier == VerifierName::Others).count(), 1);

        let tenants = 2 * SHARDS * MOST_OF_ALL;
        for n in 0..tenants {
            tally.count(tenant(n as u64), client("curl/8", "192.0.2.7"), FETCH);
        }
        let taken = tally.take();
        assert!(taken.len() <= SHARDS * MOST_OF_ALL, "{}", taken.len());
        assert_eq!(taken.len() as u64 + tally.untold(), tenants as u64);
    }

    #[test]
    fn a_verifier_that_fetches_all_the_time_is_one_line() {
        let tally = tally();
        let by = client("python-requests/2.32.3 jwks-client/1.4 (linux; x86_64)", "192.0.2.7");
        let of = tenant(1);
        let (rounds, mut fastest) = (10_000_u32, std::time::Duration::MAX);
        for _ in 0..20 {
            let began = std::time::Instant::now();
            for _ in 0..rounds {
                tally.count(of, by, FETCH);
            }
            fastest = fastest.min(began.elapsed());
        }
        println!("{} ns per fetch at best", fastest.as_nanos() / u128::from(rounds));
        assert_eq!(tally.take()[0].1.fetches, 20 * u64::from(rounds));
    }
}
