//! Who fetches the JWKS.
//!
//! Invariant: no check depends on another having run.

use std::sync::Arc;

use app::ports::store::Store;
use domain::ids::TenantId;
use domain::keys::verifier::{Fetch, Sighting, VerifierName};
use domain::time::{Timestamp, Ttl};

use crate::sample::{self, NOW};

fn seen(verifier: &str, at: Timestamp, generation: u64, fetches: u64) -> Sighting {
    let last = Fetch { at, generation, max_age: Ttl::minutes(5) };
    Sighting { verifier: verifier.parse().expect("a verifier"), first_seen: at, last, fetches }
}

async fn merge(store: &dyn Store, seen: &[(TenantId, Sighting)], most: u32) {
    let mut tx = store.begin_platform().await.expect("begins");
    tx.verifiers_merge(seen, most).await.expect("merged");
    tx.commit().await.expect("commits");
}

async fn of(store: &dyn Store, tenant: TenantId) -> Vec<Sighting> {
    store.begin_read(tenant).await.expect("begins").verifiers().await.expect("read")
}

/// Nodes see the same verifier; fetches add up, and what it got last counts, whoever writes last. Two tenants share nothing.
pub async fn sightings_of_all_nodes_are_one(store: Arc<dyn Store>) {
    let (a, b) = (sample::home(&*store).await.expect("stored").id(), sample::home(&*store).await.expect("stored").id());
    let later = NOW.plus(Ttl::minutes(1));
    let hash = format!("hash:{:032x}", u128::MAX);
    merge(&*store, &[(a, seen("label:gateway", later, 7, 3)), (a, seen(&hash, NOW, 6, 1)), (b, seen("label:gateway", NOW, 2, 9))], 9).await;
    merge(&*store, &[(a, seen("label:gateway", NOW, 6, 4))], 9).await;
    let gateway = Sighting { first_seen: NOW, ..seen("label:gateway", later, 7, 7) };
    assert_eq!(of(&*store, a).await, [gateway.clone(), seen(&hash, NOW, 6, 1)], "whoever fetched last first");
    assert_eq!(of(&*store, b).await, [seen("label:gateway", NOW, 2, 9)]);

    let latest = seen("label:gateway", NOW.plus(Ttl::minutes(2)), 6, 1);
    merge(&*store, &[(a, latest.clone())], 9).await;
    assert_eq!(of(&*store, a).await[0], Sighting { first_seen: NOW, fetches: 8, ..latest }, "an older ring, but the last answer");

    let mut tx = store.begin_platform().await.expect("begins");
    tx.verifiers_merge(&[(b, seen("label:dropped", NOW, 1, 1))], 9).await.expect("merged");
    drop(tx);
    assert_eq!(of(&*store, b).await.len(), 1, "rolled back");
}

/// A tenant's list does not grow for ever: newcomers are others.
pub async fn beyond_the_most_new_verifiers_are_others(store: Arc<dyn Store>) {
    let home = sample::home(&*store).await.expect("stored").id();
    let all: Vec<_> = (0..6).map(|n| (home, seen(&format!("label:v-{n}"), NOW.plus(Ttl::seconds(n)), 1, 1))).collect();
    merge(&*store, &all, 3).await;
    merge(&*store, &all, 3).await;
    let known = of(&*store, home).await;
    assert_eq!(known.len(), 4, "{known:?}");
    assert_eq!(known.iter().map(|seen| seen.fetches).sum::<u64>(), 12, "each fetch is counted somewhere");
    let others = known.iter().find(|seen| seen.verifier == VerifierName::Others).expect("others");
    assert_eq!((others.fetches, others.last.at), (6, NOW.plus(Ttl::seconds(5))));
}

/// Nothing is written for a tenant that is gone, and nothing is left of it.
pub async fn a_deleted_tenant_has_no_verifiers(store: Arc<dyn Store>) {
    let (home, other) = (sample::home(&*store).await.expect("stored"), sample::home(&*store).await.expect("stored"));
    let sighting = seen("label:gateway", NOW, 1, 1);
    merge(&*store, &[(home.id(), sighting.clone())], 9).await;
    let mut tx = store.begin(home.id()).await.expect("begins");
    tx.tenant_delete(NOW).await.expect("deleted");
    tx.commit().await.expect("commits");
    merge(
        &*store,
        &[(home.id(), seen("label:late", NOW, 1, 1)), (other.id(), sighting.clone()), (sample::tenant().id, sighting.clone())],
        9,
    )
    .await;
    assert_eq!(of(&*store, home.id()).await, std::slice::from_ref(&sighting), "no more than before");
    let mut tx = store.begin(home.id()).await.expect("begins");
    assert_eq!(tx.tenant_erase(100).await, Ok(true));
    tx.commit().await.expect("commits");
    assert_eq!(of(&*store, home.id()).await, []);
    assert_eq!(of(&*store, other.id()).await, [sighting]);
}
