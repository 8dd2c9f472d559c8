//! One awake tenant: loads its ring, opens its keys, changes it; strictly one thing after the other.
//!
//! Handlers are `AtomicResponse`, so the mailbox is what makes loading single-flight and changes serial. Work that was begun
//! goes on when whoever asked has gone away.
//!
//! Invariant: no transaction is open while a key is made; what is to be done is decided by [`domain::keys::plan`] alone.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use actix::{Actor, ActorContext, AtomicResponse, Context, Handler, WrapFuture};
use app::ports::keys::{KeyChange, KeyCommand, KeyCommandError, KeyFault, OrderedBy, PublishedKeys};
use app::ports::store::{RingChange, SealedDataKey, SealedSecret, StoreError, TenantTx};
use app::ports::world::Entropy;
use domain::audit::{AuditEvent, AuditRecord};
use domain::ids::{EventId, TenantId};
use domain::keys::plan::{self, NewPublicKey, Plan};
use domain::keys::policy::{RotationNumbers, RotationPolicy};
use domain::keys::ring::{Alg, KeyRing, Kid};
use domain::time::Timestamp;
use zeroize::Zeroizing;

use crate::keygen::{GeneratedKey, generate};
use crate::messages::{Execute, Passivate, Refresh, Unseal, Wake};
use crate::node::Node;
use crate::seal::DataKey;
use crate::signer::{TenantSigner, token_secret_name};
use crate::snapshot::Snapshots;

/// How many askers may wait before the next one is held back.
const MAILBOX: usize = 64;

pub(crate) struct TenantKeys {
    work: Arc<Work>,
}

/// What the handlers work with; shared with their futures, which outlive the borrow of the actor.
struct Work {
    tenant: TenantId,
    node: Arc<Node>,
    snapshots: Arc<Snapshots>,
}

impl TenantKeys {
    pub(crate) fn new(tenant: TenantId, node: Arc<Node>, snapshots: Arc<Snapshots>) -> Self {
        Self { work: Arc::new(Work { tenant, node, snapshots }) }
    }
}

impl Actor for TenantKeys {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(MAILBOX);
        self.work.node.activations.fetch_add(1, Ordering::Relaxed);
    }
}

impl Handler<Wake> for TenantKeys {
    type Result = AtomicResponse<Self, Result<Arc<PublishedKeys>, KeyFault>>;

    fn handle(&mut self, _: Wake, _: &mut Self::Context) -> Self::Result {
        let work = Arc::clone(&self.work);
        let wake = async move {
            match work.snapshots.published() {
                Some(published) => Ok(published),
                None => work.refresh().await,
            }
        };
        AtomicResponse::new(Box::pin(wake.into_actor(self)))
    }
}

impl Handler<Refresh> for TenantKeys {
    type Result = AtomicResponse<Self, Result<Arc<PublishedKeys>, KeyFault>>;

    fn handle(&mut self, _: Refresh, _: &mut Self::Context) -> Self::Result {
        let work = Arc::clone(&self.work);
        AtomicResponse::new(Box::pin(async move { work.refresh().await }.into_actor(self)))
    }
}

impl Handler<Unseal> for TenantKeys {
    type Result = AtomicResponse<Self, Result<Arc<TenantSigner>, KeyFault>>;

    fn handle(&mut self, Unseal { at_least }: Unseal, _: &mut Self::Context) -> Self::Result {
        let work = Arc::clone(&self.work);
        AtomicResponse::new(Box::pin(async move { work.unseal(at_least).await }.into_actor(self)))
    }
}

impl Handler<Execute> for TenantKeys {
    type Result = AtomicResponse<Self, Result<KeyChange, KeyCommandError>>;

    fn handle(&mut self, Execute { command, by, begun }: Execute, _: &mut Self::Context) -> Self::Result {
        begun.mark();
        let work = Arc::clone(&self.work);
        AtomicResponse::new(Box::pin(async move { work.execute(&command, &by).await }.into_actor(self)))
    }
}

impl Handler<Passivate> for TenantKeys {
    type Result = ();

    fn handle(&mut self, _: Passivate, ctx: &mut Self::Context) {
        ctx.stop();
    }
}

/// Why an attempt at a change did not end in a commit.
enum Lost {
    /// Somebody else changed the ring in between.
    Race,
    Refused(KeyCommandError),
}

impl<E: Into<KeyCommandError>> From<E> for Lost {
    fn from(error: E) -> Self {
        Self::Refused(error.into())
    }
}

/// A conflict is a lost race; anything else is a fault.
fn lost(error: StoreError) -> Lost {
    match error {
        StoreError::Conflict => Lost::Race,
        other => Lost::Refused(KeyFault::from(other).into()),
    }
}

impl Work {
    /// Reads the ring and publishes it if it is another one than before.
    async fn refresh(&self) -> Result<Arc<PublishedKeys>, KeyFault> {
        let mut tx = self.node.store.begin_read(self.tenant).await.map_err(KeyFault::from)?;
        let ring = tx.ring().await.map_err(KeyFault::from)?.ok_or(KeyFault::NoRing)?;
        drop(tx);
        self.publish(ring)
    }

    fn publish(&self, ring: KeyRing) -> Result<Arc<PublishedKeys>, KeyFault> {
        self.snapshots.publish(ring, self.node.timing, self.node.clock.now())
    }

    async fn unseal(&self, at_least: u64) -> Result<Arc<TenantSigner>, KeyFault> {
        if let Some(signer) = self.snapshots.signer(at_least) {
            return Ok(signer);
        }
        // Where a transaction does not see one single moment, a change may fall between two reads; it falls once.
        for _ in 0..2 {
            let mut tx = self.node.store.begin_read(self.tenant).await.map_err(KeyFault::from)?;
            let (ring, data_key) = read_sealed(&mut *tx).await?;
            let sealed = tx.sealed_secrets().await.map_err(KeyFault::from)?;
            drop(tx);
            if ring.generation < at_least {
                return Err(KeyFault::Unavailable(format!("the ring is at generation {}, not at {at_least} yet", ring.generation)));
            }
            if let Some(signer) = self.open(&ring, &data_key, &sealed)? {
                self.publish(ring)?;
                return Ok(self.snapshots.unseal(signer));
            }
        }
        Err(KeyFault::Sealed(format!("the ring of {} lacks private keys", self.tenant)))
    }

    fn open(&self, ring: &KeyRing, data_key: &SealedDataKey, sealed: &[SealedSecret]) -> Result<Option<TenantSigner>, KeyFault> {
        let data_key = DataKey::open(self.tenant, &self.node.kek, data_key)?;
        TenantSigner::open(self.tenant, ring, &data_key, sealed)
    }

    /// Plans, makes keys, commits, publishes. A lost race is planned anew once, on what the winner left.
    async fn execute(&self, command: &KeyCommand, by: &OrderedBy) -> Result<KeyChange, KeyCommandError> {
        // Keys that were made for an attempt that lost: nobody has seen them, so the next one may use them.
        let mut spare = Vec::new();
        for _ in 0..2 {
            match self.attempt(command, by, &mut spare).await {
                Ok(change) => return Ok(change),
                Err(Lost::Refused(error)) => return Err(error),
                Err(Lost::Race) => tracing::debug!(tenant = %self.tenant, "lost a race for the key ring"),
            }
        }
        Err(KeyFault::from(StoreError::Conflict).into())
    }

    async fn attempt(&self, command: &KeyCommand, by: &OrderedBy, spare: &mut Vec<(Alg, GeneratedKey)>) -> Result<KeyChange, Lost> {
        let mut tx = self.node.store.begin_read(self.tenant).await.map_err(KeyFault::from)?;
        let (ring, data_key) = read_sealed(&mut *tx).await?;
        drop(tx);

        let now = self.node.clock.now();
        let (policy, intent) = command.resolve(&ring, self.node.timing)?;
        let plan = plan::plan(&ring, &policy, intent, now)?;
        if plan.is_empty() {
            return Ok(KeyChange { changed: false, keys: self.publish(ring)?, consequences: None });
        }

        let made = self.make_keys(&plan, spare).await?;
        let committed = self.commit(&ring, &policy, &plan, &made, &data_key, by, now).await;
        let next = match committed {
            Ok(next) => next,
            Err(lost) => {
                spare.extend(plan.stage.iter().map(|stage| stage.alg).zip(made));
                return Err(lost);
            }
        };
        let consequences = plan.consequences(&ring, &policy);
        Ok(KeyChange { changed: true, keys: self.publish(next)?, consequences })
    }

    /// The keys that the plan stages, in its order.
    async fn make_keys(&self, plan: &Plan, spare: &mut Vec<(Alg, GeneratedKey)>) -> Result<Vec<GeneratedKey>, KeyFault> {
        let mut made = Vec::with_capacity(plan.stage.len());
        for alg in plan.stage.iter().map(|stage| stage.alg) {
            if let Some(at) = spare.iter().position(|(of, _)| *of == alg) {
                made.push(spare.swap_remove(at).1);
                continue;
            }
            let node = Arc::clone(&self.node);
            let make = move || if alg.is_rsa() { node.pool.take_or_make() } else { generate(alg) };
            let key = tokio::task::spawn_blocking(make).await;
            made.push(key.map_err(|error| KeyFault::Unavailable(format!("no key could be made: {error}")))??);
        }
        Ok(made)
    }

    #[expect(clippy::too_many_arguments, reason = "the parts of one change, each read once")]
    async fn commit(
        &self,
        ring: &KeyRing,
        policy: &RotationPolicy,
        plan: &Plan,
        made: &[GeneratedKey],
        data_key: &SealedDataKey,
        by: &OrderedBy,
        now: Timestamp,
    ) -> Result<KeyRing, Lost> {
        let data_key = DataKey::open(self.tenant, &self.node.kek, data_key)?;
        let change = ring_change(ring, policy, plan, made, &data_key, &*self.node.entropy)?;
        let mut tx = self.node.store.begin(self.tenant).await.map_err(lost)?;
        tx.ring_replace(&change).await.map_err(lost)?;
        for event in events(ring, policy, plan, made) {
            tx.audit_append(&self.record(event, by, now)).await.map_err(lost)?;
        }
        tx.commit().await.map_err(lost)?;
        Ok(change.ring)
    }

    fn record(&self, event: AuditEvent, by: &OrderedBy, at: Timestamp) -> AuditRecord {
        let mut entropy = [0; 10];
        self.node.entropy.fill(&mut entropy);
        AuditRecord {
            id: EventId::new(at, entropy),
            tenant_id: self.tenant,
            at,
            actor: by.actor.clone(),
            source: by.source.clone(),
            request_id: by.request_id.clone(),
            event,
        }
    }
}

pub(crate) async fn read_sealed(tx: &mut dyn TenantTx) -> Result<(KeyRing, SealedDataKey), KeyFault> {
    let ring = tx.ring().await.map_err(KeyFault::from)?.ok_or(KeyFault::NoRing)?;
    let data_key = tx.data_key().await.map_err(KeyFault::from)?.ok_or(KeyFault::NoRing)?;
    Ok((ring, data_key))
}

/// What a plan means for the store: the ring after it, the new secrets, and those to be destroyed.
pub(crate) fn ring_change(
    ring: &KeyRing,
    policy: &RotationPolicy,
    plan: &Plan,
    made: &[GeneratedKey],
    data_key: &DataKey,
    entropy: &dyn Entropy,
) -> Result<RingChange, KeyFault> {
    let public: Vec<_> = made.iter().map(|key| NewPublicKey { kid: key.kid.clone(), public: key.public.clone() }).collect();
    let next = plan.apply(ring, policy, &public);
    let mut new_secrets = made.iter().map(|key| data_key.seal(key.kid.as_str(), &key.private)).collect::<Result<Vec<_>, _>>()?;
    if let Some(new) = plan.new_token_secret {
        let mut secret = Zeroizing::new([0; 32]);
        entropy.fill(&mut *secret);
        new_secrets.push(data_key.seal(&token_secret_name(new.version), &*secret)?);
    }
    let ended = plan.retire.iter().chain(plan.revoke.iter().map(|(kid, _)| kid)).map(Kid::to_string);
    Ok(RingChange {
        next_due_at: plan::next_due(&next, policy, plan.at),
        new_secrets,
        destroyed: ended.chain(plan.destroy_token_secrets.iter().map(|version| token_secret_name(*version))).collect(),
        ring: next,
    })
}

/// What the audit log will say of a plan.
fn events(ring: &KeyRing, policy: &RotationPolicy, plan: &Plan, made: &[GeneratedKey]) -> Vec<AuditEvent> {
    let policy_changed = plan.adopt_policy.then(|| AuditEvent::KeyPolicyChanged { changed: changed(&ring.numbers, policy.numbers()) });
    let staged = plan.stage.iter().zip(made).map(|(stage, key)| AuditEvent::KeyStaged {
        kid: key.kid.clone(),
        alg: stage.alg.to_string(),
        sign_from: stage.sign_from,
    });
    let revoked = plan.revoke.iter().map(|(kid, reason)| AuditEvent::KeyRevoked { kid: kid.clone(), reason: reason.clone() });
    let retired = plan.retire.iter().map(|kid| AuditEvent::KeyRetired { kid: kid.clone() });
    let rotated = plan
        .new_token_secret
        .map(|new| AuditEvent::TokenSecretRotated { version: new.version, older_verifies_until: new.older_verifies_until });
    let destroyed = plan.destroy_token_secrets.iter().map(|&version| AuditEvent::TokenSecretDestroyed { version });
    policy_changed.into_iter().chain(staged).chain(revoked).chain(retired).chain(rotated).chain(destroyed).collect()
}

/// The names of the numbers that differ.
fn changed(before: &RotationNumbers, after: &RotationNumbers) -> Vec<String> {
    let members = |numbers: &RotationNumbers| match serde_json::to_value(numbers) {
        Ok(serde_json::Value::Object(members)) => members,
        _ => serde_json::Map::new(),
    };
    let before = members(before);
    members(after).into_iter().filter(|(name, value)| before.get(name) != Some(value)).map(|(name, _)| name).collect()
}
