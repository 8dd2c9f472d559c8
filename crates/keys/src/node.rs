//! What every tenant's actor on this node shares: the key-encryption keys, the store, time, chance, and the RSA pool.
//!
//! Invariant: shared state here is counters, the pool and what is remembered of tokens; what belongs to a tenant lives in its snapshots and its actor.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use app::ports::keys::KeyFault;
use app::ports::store::Store;
use app::ports::world::{Clock, Entropy};
use domain::ids::TenantId;
use domain::keys::policy::NodeTiming;

use crate::custody::Custody;
use crate::rsa_pool::RsaPool;
use crate::verified::Verified;

pub(crate) struct Node {
    pub(crate) custody: Arc<Custody>,
    /// Scheme and authority of every issuer.
    pub(crate) base_url: String,
    pub(crate) timing: NodeTiming,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
    pub(crate) pool: RsaPool,
    pub(crate) verified: Arc<Verified>,
    /// Actors started since this node began.
    pub(crate) activations: AtomicU64,
    /// Actors that were found dead and replaced.
    pub(crate) restarts: AtomicU64,
    /// Actors that were sent away, idle or because their tenant is gone.
    pub(crate) passivations: AtomicU64,
    /// Tenants whose secrets did not open when they were last asked for.
    pub(crate) sealed_away: papaya::HashSet<TenantId>,
}

impl Node {
    /// Remembers whether a tenant's secrets open, and says so loudly when they do no more.
    pub(crate) fn note<T>(&self, tenant: TenantId, outcome: &Result<T, KeyFault>) {
        let sealed_away = self.sealed_away.pin();
        match outcome {
            Ok(_) => drop(sealed_away.remove(&tenant)),
            Err(KeyFault::Sealed(why)) if sealed_away.insert(tenant) => {
                tracing::error!(%tenant, why, "a tenant's secrets do not open: it cannot log in, refresh or rotate; other tenants are not touched");
            }
            Err(_) => {}
        }
    }
}

#[cfg(test)]
pub(crate) mod fakes {
    use app::ports::store::SealedSecret;
    use app::ports::world::Entropy;
    use domain::ids::{FamilyId, TenantId, TokenId, UserId};
    use domain::keys::policy::RotationNumbers;
    use domain::keys::ring::{Alg, KeyRing, RingKey, TokenSecretVersion};
    use domain::time::{Timestamp, Ttl};
    use domain::token::claims::AccessClaims;

    use std::sync::Arc;

    use domain::ids::DataKeyId;

    use crate::custody::Custody;
    use crate::kek::{Keks, LocalKek};
    use crate::keygen::generate;
    use crate::seal::{DataKey, SecretName};
    use crate::signer::TenantSigner;

    pub(crate) const NOW: Timestamp = Timestamp::from_seconds(1_795_000_000);
    pub(crate) const ISSUER: &str = "https://id.example/t/acme";

    pub(crate) struct OsEntropy;

    impl Entropy for OsEntropy {
        fn fill(&self, bytes: &mut [u8]) {
            aws_lc_rs::rand::fill(bytes).unwrap();
        }
    }

    /// One local key-encryption key, new.
    pub(crate) async fn custody() -> Custody {
        let keks = Keks::new(vec![Arc::new(LocalKek::generate(&OsEntropy))], None).unwrap();
        Custody::open(Arc::new(keks)).await.unwrap()
    }

    pub(crate) fn tenant(number: u8) -> TenantId {
        TenantId::new(NOW, [number; 10])
    }

    pub(crate) fn claims() -> AccessClaims {
        let now = NOW.as_seconds();
        serde_json::from_value(serde_json::json!({
            "iss": ISSUER,
            "sub": UserId::new(NOW, [1; 10]),
            "aud": [ISSUER, "https://api.example"],
            "exp": now + 900,
            "iat": now,
            "nbf": now,
            "jti": TokenId::new(NOW, [2; 10]),
            "client_id": "web",
            "scope": "openid",
            "auth_time": now,
            "sid": FamilyId::new(NOW, [3; 10]),
            "plan": {"seats": 3},
        }))
        .unwrap()
    }

    /// A ring of generation 1 whose keys sign since `NOW`, with its secrets.
    pub(crate) fn sealed_ring(tenant: TenantId, algs: &[Alg]) -> (KeyRing, DataKey, Vec<SealedSecret>) {
        let mut bytes = zeroize::Zeroizing::new([0; 32]);
        OsEntropy.fill(&mut *bytes);
        let data_key = DataKey::new(tenant, DataKeyId::new(NOW, [5; 10]), false, bytes);
        let mut sealed = Vec::new();
        let mut keys = Vec::new();
        for &alg in algs {
            let key = generate(alg).unwrap();
            sealed.push(data_key.seal(&SecretName::signing_key(&key.kid), &key.private).unwrap());
            keys.push(RingKey {
                kid: key.kid,
                alg,
                public: key.public,
                published_at: NOW,
                sign_from: NOW,
                token_ttl_cap_seconds: Ttl::hours(1),
                superseded: None,
                end: None,
            });
        }
        let mut secret = [0; 32];
        OsEntropy.fill(&mut secret);
        sealed.push(data_key.seal(&SecretName::token_secret(1), &secret).unwrap());
        let token_secrets = vec![TokenSecretVersion { version: 1, created_at: NOW, verifies_until: None }];
        (KeyRing { generation: 1, numbers: RotationNumbers::default(), keys, token_secrets, older_caches_until: None }, data_key, sealed)
    }

    pub(crate) fn ring_of(tenant: TenantId, algs: &[Alg]) -> (KeyRing, TenantSigner) {
        let (ring, data_key, sealed) = sealed_ring(tenant, algs);
        let signer = TenantSigner::open(tenant, &ring, &data_key, &sealed).unwrap().unwrap();
        (ring, signer)
    }
}
