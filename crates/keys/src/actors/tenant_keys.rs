//! One awake tenant: loads its ring, opens its keys, changes it; strictly one thing after the other.
//!
//! Handlers are `AtomicResponse`, so the mailbox is what makes loading single-flight and changes serial. Work that was begun
//! goes on when whoever asked has gone away.
//!
//! Invariant: no transaction is open while a key is made; what is to be done is decided by [`domain::keys::plan`] alone.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};

use actix::{Actor, ActorContext, AtomicResponse, Context, Handler, WrapFuture};
use app::ports::keys::{KeyChange, KeyCommand, KeyCommandError, KeyFault, OrderedBy, PublishedKeys};
use app::ports::store::{LogTip, RingChange, SealedDataKey, SealedSecret, StoreError, TenantTx};
use app::ports::world::Entropy;
use domain::audit::{self, AuditEvent, AuditRecord};
use domain::ids::{EventId, TenantId};
use domain::keys::plan::{self, NewPublicKey, Plan};
use domain::keys::policy::{RotationNumbers, RotationPolicy};
use domain::keys::ring::{Alg, KeyRing, Kid};
use domain::tenant::Tenant;
use domain::time::Timestamp;
use zeroize::Zeroizing;

use crate::key_log::{KeyLog, is_signed_as, origin};
use crate::keygen::{GeneratedKey, generate};
use crate::messages::{Execute, Passivate, Refresh, Unseal, Wake};
use crate::node::Node;
use crate::rewrap::take_over;
use crate::seal::{DataKey, SecretName};
use crate::signer::TenantSigner;
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
    /// The tenant's data key, opened at first use. It is wiped when the actor leaves.
    data_key: Mutex<Option<Arc<DataKey>>>,
}

impl TenantKeys {
    pub(crate) fn new(tenant: TenantId, node: Arc<Node>, snapshots: Arc<Snapshots>) -> Self {
        Self { work: Arc::new(Work { tenant, node, snapshots, data_key: Mutex::default() }) }
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
        self.snapshots.publish(ring, &self.node)
    }

    async fn unseal(&self, at_least: u64) -> Result<Arc<TenantSigner>, KeyFault> {
        if let Some(signer) = self.snapshots.signer(at_least) {
            return Ok(signer);
        }
        let unsealed = self.read_and_open(at_least).await;
        self.node.note(self.tenant, &unsealed);
        unsealed
    }

    async fn read_and_open(&self, at_least: u64) -> Result<Arc<TenantSigner>, KeyFault> {
        // Where a transaction does not see one single moment, a change may fall between two reads; it falls once. A ring of
        // the first format is sealed anew before it is opened.
        for _ in 0..3 {
            let mut tx = self.node.store.begin_read(self.tenant).await.map_err(KeyFault::from)?;
            let (ring, data_key) = read_sealed(&mut *tx).await?;
            let sealed = tx.sealed_secrets().await.map_err(KeyFault::from)?;
            drop(tx);
            if data_key.version == 0 {
                take_over(&*self.node.store, &self.node.custody, self.tenant).await?;
                continue;
            }
            if ring.generation < at_least {
                return Err(KeyFault::Unavailable(format!("the ring is at generation {}, not at {at_least} yet", ring.generation)));
            }
            let data_key = self.data_key(&data_key).await?;
            if let Some(signer) = TenantSigner::open(self.tenant, &ring, &data_key, &sealed)? {
                self.publish(ring)?;
                return Ok(self.snapshots.unseal(signer));
            }
        }
        Err(KeyFault::Sealed(format!("the ring of {} lacks private keys", self.tenant)))
    }

    /// The data key of this row, open; asks the key-encryption key only the first time.
    async fn data_key(&self, sealed: &SealedDataKey) -> Result<Arc<DataKey>, KeyFault> {
        let kept = || self.data_key.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(open) = kept().as_ref().filter(|open| open.id() == sealed.id) {
            return Ok(Arc::clone(open));
        }
        let sealed = match sealed.version {
            0 => &take_over(&*self.node.store, &self.node.custody, self.tenant).await?,
            _ => sealed,
        };
        let open = Arc::new(self.node.custody.unwrap(self.tenant, sealed).await?);
        *kept() = Some(Arc::clone(&open));
        Ok(open)
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
        let before = Before::read(&mut *tx).await?;
        drop(tx);

        let ring = &before.ring;
        let now = self.node.clock.now();
        let (policy, intent) = command.resolve(ring, self.node.timing)?;
        let plan = plan::plan(ring, &policy, intent, now)?;
        if plan.is_empty() && is_signed_as(before.log_tip.as_ref(), &origin(&before.tenant, &self.node.base_url)) {
            return Ok(KeyChange { changed: false, keys: self.publish(before.ring)?, consequences: None });
        }

        let made = self.make_keys(&plan, by, spare).await?;
        let data_key = self.data_key(&before.data_key).await;
        if data_key.is_err() {
            // That it opens does not say that the secrets under it do: only who opens those may take the note back.
            self.node.note(self.tenant, &data_key);
        }
        let data_key = data_key?;
        let committed = self.commit(&before, &policy, &plan, &made, &data_key, (command, by)).await;
        let next = match committed {
            Ok(next) => next,
            Err(lost) => {
                spare.extend(plan.stage.iter().map(|stage| stage.alg).zip(made));
                return Err(lost);
            }
        };
        let consequences = plan.consequences(ring, &policy);
        Ok(KeyChange { changed: true, keys: self.publish(next)?, consequences })
    }

    /// The keys that the plan stages, in its order.
    async fn make_keys(&self, plan: &Plan, by: &OrderedBy, spare: &mut Vec<(Alg, GeneratedKey)>) -> Result<Vec<GeneratedKey>, KeyFault> {
        let has_time = by.actor == audit::Actor::System;
        let mut made = Vec::with_capacity(plan.stage.len());
        for alg in plan.stage.iter().map(|stage| stage.alg) {
            if let Some(at) = spare.iter().position(|(of, _)| *of == alg) {
                made.push(spare.swap_remove(at).1);
                continue;
            }
            let node = Arc::clone(&self.node);
            let make = move || match alg.is_rsa() {
                true if has_time => node.pool.take_when_ready(),
                true => node.pool.take_or_make(),
                false => generate(alg),
            };
            let key = tokio::task::spawn_blocking(make).await;
            made.push(key.map_err(|error| KeyFault::Unavailable(format!("no key could be made: {error}")))??);
        }
        Ok(made)
    }

    async fn commit(
        &self,
        before: &Before,
        policy: &RotationPolicy,
        plan: &Plan,
        made: &[GeneratedKey],
        data_key: &DataKey,
        (command, by): (&KeyCommand, &OrderedBy),
    ) -> Result<KeyRing, Lost> {
        let Before { ring, secrets, tenant, log_tip, .. } = before;
        let mut change = ring_change(ring, policy, plan, made, data_key, &*self.node.entropy)?;
        let origin = origin(tenant, &self.node.base_url);
        let log = KeyLog { origin, open: data_key, sealed: KeyLog::key_of(secrets), tip: log_tip.as_ref() };
        log.tell(Some(ring), &mut change, &by.actor, plan.at)?;
        let mut tx = self.node.store.begin(self.tenant).await.map_err(lost)?;
        tx.ring_replace(&change).await.map_err(lost)?;
        for event in events(ring, policy, plan, made).into_iter().chain(command.event().cloned()) {
            tx.audit_append(&self.record(event, by, plan.at)).await.map_err(lost)?;
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

/// All that a change starts from.
struct Before {
    ring: KeyRing,
    data_key: SealedDataKey,
    secrets: Vec<SealedSecret>,
    tenant: Tenant,
    log_tip: Option<LogTip>,
}

impl Before {
    /// Where a transaction does not see one single moment, a change between two reads is one that the write will lose to.
    async fn read(tx: &mut dyn TenantTx) -> Result<Self, KeyFault> {
        let (ring, data_key) = read_sealed(tx).await?;
        let secrets = tx.sealed_secrets().await.map_err(KeyFault::from)?;
        let tenant = tx.tenant().await.map_err(KeyFault::from)?.ok_or(KeyFault::NoRing)?;
        let log_tip = tx.key_log_tip().await.map_err(KeyFault::from)?;
        Ok(Self { ring, data_key, secrets, tenant, log_tip })
    }
}

/// What a plan means for the store: the ring after it, the new secrets, and those to be destroyed. What the key log says of it is
/// added by [`KeyLog::tell`].
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
    let mut new_secrets =
        made.iter().map(|key| data_key.seal(&SecretName::signing_key(&key.kid), &key.private)).collect::<Result<Vec<_>, _>>()?;
    if let Some(new) = plan.new_token_secret {
        let mut secret = Zeroizing::new([0; 32]);
        entropy.fill(&mut *secret);
        new_secrets.push(data_key.seal(&SecretName::token_secret(new.version), &*secret)?);
    }
    let ended = plan.retire.iter().chain(plan.revoke.iter().map(|(kid, _)| kid)).map(Kid::to_string);
    Ok(RingChange {
        next_due_at: plan::next_due(&next, policy, plan.at),
        new_secrets,
        destroyed: ended.chain(plan.destroy_token_secrets.iter().map(|version| SecretName::token_secret(*version).name)).collect(),
        ring: next,
        log: None,
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
