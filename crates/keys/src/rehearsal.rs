//! The work of an emergency replacement, done and measured, and thrown away.
//!
//! Invariant: nothing of it is stored or published, and no key of it outlives the call.

use std::sync::Arc;
use std::time::{Duration, Instant};

use app::ports::keys::{KeyFault, Rehearsal, TokenSigner, TokenVerifier};
use domain::client::ClientId;
use domain::details::AuthorizationDetails;
use domain::ids::{FamilyId, TenantId, TokenId, UserId};
use domain::keys::plan::{Intent, plan};
use domain::keys::policy::RotationPolicy;
use domain::keys::ring::Alg;
use domain::scope::Scope;
use domain::time::Timestamp;
use domain::token::claims::{AccessClaims, Audience, Subject};

use crate::actors::tenant_keys::{read_sealed, ring_change};
use crate::keygen::generate;
use crate::node::Node;
use crate::rewrap::take_over;
use crate::signer::TenantSigner;
use crate::verifier::RingVerifier;

/// An issuer and an audience that no tenant has (RFC 6761, 6.4).
const ISSUER: &str = "https://drill.invalid";

/// Does everything but the commit.
pub(crate) async fn rehearse(node: &Arc<Node>, tenant: TenantId) -> Result<Rehearsal, KeyFault> {
    let mut tx = node.store.begin_read(tenant).await.map_err(KeyFault::from)?;
    let (ring, sealed_data_key) = read_sealed(&mut *tx).await?;
    let token_secrets = tx.sealed_secrets().await.map_err(KeyFault::from)?;
    drop(tx);
    if sealed_data_key.version == 0 {
        take_over(&*node.store, &node.custody, tenant).await?;
        return Box::pin(rehearse(node, tenant)).await;
    }
    let began = Instant::now();
    let data_key = node.custody.unwrap(tenant, &sealed_data_key).await?;
    let data_key_opened = began.elapsed();
    let node = Arc::clone(node);
    // Making keys takes the processor for a while.
    let work = tokio::task::spawn_blocking(move || {
        let now = node.clock.now();
        let policy = RotationPolicy::raised(ring.numbers.clone(), node.timing);
        let emergency = plan(&ring, &policy, &Intent::Emergency { reason: "a drill".to_owned() }, now);
        let emergency = emergency.map_err(|denied| KeyFault::Unavailable(denied.to_string()))?;
        let (mut keys, mut made) = (Vec::new(), Vec::new());
        for stage in &emergency.stage {
            let (key, took) = timed(|| generate(stage.alg))?;
            keys.push(key);
            made.push((stage.alg, took));
        }
        let (change, sealed) = timed(|| ring_change(&ring, &policy, &emergency, &keys, &data_key, &*node.entropy))?;
        let secrets: Vec<_> = change.new_secrets.iter().cloned().chain(token_secrets).collect();
        let mut claims = claims(&node, now);
        let (token, signed) = timed(|| {
            let signer = TenantSigner::open(tenant, &change.ring, &data_key, &secrets)?;
            signer.ok_or_else(|| KeyFault::Unavailable("the ring was changed during the drill".to_owned()))?.sign(
                &mut claims,
                &Alg::ALL,
                now,
            )
        })?;
        let ((), verified) = timed(|| {
            let verifier = RingVerifier::new(&change.ring, node.timing.clock_skew)?;
            match verifier.verify(&token, ISSUER, now) {
                Ok(read) if read == claims => Ok(()),
                _ => Err(KeyFault::Sealed("a token by a new key does not verify".to_owned())),
            }
        })?;
        Ok(Rehearsal { made, data_key_opened, sealed, signed, verified })
    });
    work.await.unwrap_or_else(|error| Err(KeyFault::Unavailable(format!("a drill was interrupted: {error}"))))
}

/// What a token of a session says, for a user and a session that are nobody's.
fn claims(node: &Node, now: Timestamp) -> AccessClaims {
    let chance = || {
        let mut bytes = [0; 10];
        node.entropy.fill(&mut bytes);
        bytes
    };
    let seconds = now.as_seconds();
    AccessClaims {
        iss: ISSUER.to_owned(),
        sub: Subject::User(UserId::new(now, chance())),
        aud: Audience::One(ISSUER.to_owned()),
        exp: seconds + 60,
        iat: seconds,
        nbf: seconds,
        jti: TokenId::new(now, chance()),
        client_id: ClientId::first_party(),
        scope: Scope::default_grant(),
        auth_time: Some(seconds),
        sid: Some(FamilyId::new(now, chance())),
        acr: None,
        amr: None,
        roles: None,
        permissions: None,
        authorization_details: AuthorizationDetails::none(),
        username: None,
        email: None,
        cnf: None,
        act: None,
        custom: serde_json::Map::new(),
    }
}

fn timed<T>(work: impl FnOnce() -> Result<T, KeyFault>) -> Result<(T, Duration), KeyFault> {
    let began = Instant::now();
    let done = work()?;
    Ok((done, began.elapsed()))
}
