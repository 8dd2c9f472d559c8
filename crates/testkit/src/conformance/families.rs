//! Refresh-token families.
//!
//! Invariant: no check depends on another having run.

use std::sync::Arc;

use app::ports::store::Store;
use app::tokens::judgement::{RefreshRefused, Verdict};
use domain::audit::AuditEvent;
use domain::tenant::TenantStatus;
use domain::time::Ttl;
use domain::token::family::{Binding, Generation, RefreshFamily, Refused, Revocation, RevocationCause};
use domain::user::UserStatus;

use crate::sample::{self, NOW};

/// A family is read as it was written, and ends once.
pub async fn a_family_is_revoked_once(store: Arc<dyn Store>) {
    let home = sample::home(&*store).await.expect("stored");
    let second = RefreshFamily { binding: Binding::Dpop(sample::thumbprint()), ..sample::family(home.alice.id) };
    let mut ended = sample::family(home.alice.id);
    ended.idle_expires_at = NOW;
    let mut tx = store.begin(home.id()).await.expect("begins");
    tx.family_insert(&second).await.expect("stored");
    tx.family_insert(&ended).await.expect("stored");
    assert_eq!(tx.family_by_id(second.id).await, Ok(Some(second.clone())));
    assert_eq!(tx.families_live(home.alice.id, NOW).await, Ok(vec![second.clone(), home.family.clone()]), "newest first");

    let logout = Revocation { at: NOW, cause: RevocationCause::Logout };
    assert_eq!(tx.family_revoke(second.id, logout).await, Ok(true));
    let again = Revocation { at: NOW.plus(Ttl::seconds(1)), cause: RevocationCause::AdminRequest };
    assert_eq!(tx.family_revoke(second.id, again).await, Ok(false));
    assert_eq!(tx.family_revoke(ended.id, again).await, Ok(false), "it had ended before");
    let stored = tx.family_by_id(second.id).await.expect("read").expect("there");
    assert_eq!(stored.revoked, Some(logout), "as it was revoked first");
    assert_eq!(tx.families_revoke(home.alice.id, again).await, Ok(1));
    assert_eq!(tx.families_live(home.alice.id, NOW).await, Ok(vec![]));
}

/// A family is bound to what its first refresh token is given for, and one that has ended stays as it is.
pub async fn a_family_is_bound_while_it_lives(store: Arc<dyn Store>) {
    let home = sample::home(&*store).await.expect("stored");
    let bound = Binding::Dpop(sample::thumbprint());
    let mut revoked = sample::family(home.alice.id);
    revoked.revoked = Some(Revocation { at: NOW, cause: RevocationCause::Logout });
    let mut tx = store.begin(home.id()).await.expect("begins");
    tx.family_insert(&revoked).await.expect("stored");
    for id in [home.family.id, revoked.id, sample::family(home.alice.id).id] {
        tx.family_bind(id, bound).await.expect("answered");
    }
    tx.commit().await.expect("commits");
    let mut tx = store.begin_read(home.id()).await.expect("begins");
    let family = RefreshFamily { binding: bound, ..home.family.clone() };
    assert_eq!(tx.family_by_id(family.id).await, Ok(Some(family)));
    assert_eq!(tx.family_by_id(revoked.id).await, Ok(Some(revoked)));
    drop(tx);
    let attempt = sample::attempt(home.family.id, Generation::FIRST, NOW);
    let refused = store.refresh(home.id(), attempt).await.expect("answered").expect("there");
    assert_eq!(refused.verdict, Verdict::Refused(RefreshRefused::Family(Refused::OtherBinding)));
}

/// After a restore: whatever was open then ends, a few at a time, and what was opened since goes on.
pub async fn families_opened_before_a_moment_are_revoked_in_batches(store: Arc<dyn Store>) {
    let home = sample::home(&*store).await.expect("stored");
    let mut tx = store.begin(home.id()).await.expect("begins");
    for _ in 0..2 {
        tx.family_insert(&sample::family(home.alice.id)).await.expect("stored");
    }
    let mut logged_out = sample::family(home.alice.id);
    logged_out.revoked = Some(Revocation { at: NOW, cause: RevocationCause::Logout });
    let restored_at = NOW.plus(Ttl::minutes(1));
    let newer = RefreshFamily { created_at: restored_at, ..sample::family(home.alice.id) };
    for family in [&logged_out, &newer] {
        tx.family_insert(family).await.expect("stored");
    }
    tx.commit().await.expect("commits");
    let revocation = Revocation { at: restored_at, cause: RevocationCause::DatabaseRestored };
    for expected in [2, 1, 0] {
        let mut tx = store.begin(home.id()).await.expect("begins");
        assert_eq!(tx.families_revoke_opened(restored_at, revocation, 2).await, Ok(expected));
        tx.commit().await.expect("commits");
    }
    let mut tx = store.begin_read(home.id()).await.expect("begins");
    assert_eq!(tx.families_live(home.alice.id, NOW).await, Ok(vec![newer]));
    assert_eq!(tx.family_by_id(home.family.id).await.expect("read").expect("there").revoked, Some(revocation));
    assert_eq!(tx.family_by_id(logged_out.id).await, Ok(Some(logged_out)), "as it was revoked first");
}

/// Families are counted by when they moved last, and those that were revoked are not.
pub async fn families_are_counted_by_their_last_move(store: Arc<dyn Store>) {
    let home = sample::home(&*store).await.expect("stored");
    let revoked = sample::family(home.alice.id);
    let mut tx = store.begin(home.id()).await.expect("begins");
    tx.family_insert(&revoked).await.expect("stored");
    tx.family_insert(&sample::family(home.alice.id)).await.expect("stored");
    tx.family_revoke(revoked.id, Revocation { at: NOW, cause: RevocationCause::Logout }).await.expect("revoked");
    tx.commit().await.expect("commits");
    let (second, minute) = (NOW.minus(Ttl::seconds(1)), NOW.plus(Ttl::minutes(1)));
    store.refresh(home.id(), sample::attempt(home.family.id, Generation::FIRST, minute)).await.expect("answered").expect("there");
    let mut tx = store.begin_read(home.id()).await.expect("begins");
    assert_eq!(tx.families_moved(second, NOW).await, Ok(1), "opened");
    assert_eq!(tx.families_moved(NOW, minute).await, Ok(1), "rotated; the beginning does not count");
    assert_eq!(tx.families_moved(second, minute).await, Ok(2));
    assert_eq!(tx.families_moved(minute, minute.plus(Ttl::days(1))).await, Ok(0));
}

/// A refresh moves the family on; a reuse ends it for good and leaves its record.
pub async fn a_reused_token_kills_its_family(store: Arc<dyn Store>) {
    let home = sample::home(&*store).await.expect("stored");
    let mut now = NOW;
    for generation in 1..=6 {
        now = now.plus(Ttl::minutes(1));
        let attempt = sample::attempt(home.family.id, Generation::from_u32(generation), now);
        let judgement = store.refresh(home.id(), attempt).await.expect("answered").expect("there");
        assert_eq!(judgement.verdict, Verdict::Rotated);
        assert_eq!(judgement.facts.tenant, home.tenant);
        assert_eq!(judgement.facts.user.as_ref(), Some(&home.alice));
        let mut tx = store.begin_read(home.id()).await.expect("begins");
        assert_eq!(tx.family_by_id(home.family.id).await, Ok(Some(judgement.facts.family)), "what was judged is what is stored");
    }
    let thief = sample::attempt(home.family.id, Generation::from_u32(2), now);
    let event = thief.event_id;
    assert_eq!(store.refresh(home.id(), thief).await.expect("answered").expect("there").verdict, Verdict::Reused);

    let owner = sample::attempt(home.family.id, Generation::from_u32(7), now);
    let refused = store.refresh(home.id(), owner).await.expect("answered").expect("there");
    assert_eq!(refused.verdict, Verdict::Refused(RefreshRefused::Family(Refused::Revoked)));
    let mut tx = store.begin_read(home.id()).await.expect("begins");
    let family = tx.family_by_id(home.family.id).await.expect("read").expect("there");
    assert_eq!(family.revoked, Some(Revocation { at: now, cause: RevocationCause::Reuse }));
    let log = tx.audit_page(None, 10).await.expect("read");
    assert_eq!(log.len(), 1);
    assert_eq!(log[0].id, event);
    assert!(matches!(log[0].event, AuditEvent::RefreshTokenReused { presented: 2, current: 7, .. }));
}

/// The verdict knows of a disabled user, a suspended tenant, and of nothing that is not there.
pub async fn a_refresh_sees_its_user_and_tenant(store: Arc<dyn Store>) {
    let mut home = sample::home(&*store).await.expect("stored");
    let attempt = || sample::attempt(home.family.id, Generation::FIRST, NOW);
    home.alice.status = UserStatus::Disabled { at: NOW };
    let mut tx = store.begin(home.tenant.id).await.expect("begins");
    tx.user_update(&home.alice).await.expect("updated");
    tx.commit().await.expect("commits");
    let judgement = store.refresh(home.tenant.id, attempt()).await.expect("answered").expect("there");
    assert_eq!(judgement.verdict, Verdict::Refused(RefreshRefused::UserDisabled));

    home.tenant.status = TenantStatus::Suspended { at: NOW };
    let mut tx = store.begin(home.tenant.id).await.expect("begins");
    tx.tenant_update(&home.tenant).await.expect("updated");
    assert_eq!(tx.tenant().await, Ok(Some(home.tenant.clone())));
    tx.commit().await.expect("commits");
    let judgement = store.refresh(home.tenant.id, attempt()).await.expect("answered").expect("there");
    assert_eq!(judgement.verdict, Verdict::Refused(RefreshRefused::TenantSuspended));

    let unknown = sample::attempt(sample::family(home.alice.id).id, Generation::FIRST, NOW);
    assert!(store.refresh(home.tenant.id, unknown).await.expect("answered").is_none());
}
