//! Work across tenants.
//!
//! Invariant: no check depends on another having run.

use std::sync::Arc;

use app::ports::store::{Leftover, LogoutNotice, PendingRequest, RingMark, Store, StoreError};
use domain::audit::AuditRecord;
use domain::authorize::code::CodeGrant;
use domain::backchannel::BackchannelPing;
use domain::client::Client;
use domain::client::registration::{InitialAccessToken, SelfRegistration};
use domain::device::DeviceGrant;
use domain::guess::{GuessCounter, GuessScope};
use domain::host::HostName;
use domain::mail::{MailLink, QueuedMail};
use domain::sso::SsoSession;
use domain::tenant::Tenant;
use domain::time::Ttl;

use crate::sample::{self, NOW};

/// Tenants are found by slug and by id, and listed in pages; a slug is taken once.
pub async fn tenants_are_found(store: Arc<dyn Store>) {
    let (a, b) = (sample::home(&*store).await.expect("stored"), sample::home(&*store).await.expect("stored"));
    let mut thief = sample::tenant();
    thief.slug = a.tenant.slug.clone();
    let mut tx = store.begin(thief.id).await.expect("begins");
    assert_eq!(tx.tenant_insert(&thief).await, Err(StoreError::Conflict));
    drop(tx);

    let mut tx = store.begin_platform().await.expect("begins");
    assert_eq!(tx.tenant_by_slug(&a.tenant.slug).await, Ok(Some(a.tenant.clone())));
    assert_eq!(tx.tenant_by_id(b.id()).await, Ok(Some(b.tenant.clone())));
    assert_eq!(tx.tenant_by_id(thief.id).await, Ok(None));
    assert_eq!(tx.tenants_page(None, 1).await, Ok(vec![a.tenant.clone()]));
    assert_eq!(tx.tenants_page(Some(&a.tenant.slug), 5).await, Ok(vec![b.tenant]));
}

/// A tenant is found by its domain for as long as it has it; a domain is one tenant's, also while that one is being erased.
pub async fn a_tenant_is_found_by_its_domain(store: Arc<dyn Store>) {
    let (a, b) = (sample::home(&*store).await.expect("stored"), sample::home(&*store).await.expect("stored"));
    let (login, other) = ("login.acme.example".parse().expect("a host"), "login.acme.example:1".parse().expect("a host"));
    let change = async |tenant: &Tenant, domain: Option<&HostName>| {
        let mut tx = store.begin(tenant.id).await.expect("begins");
        let changed = tx.tenant_update(&Tenant { custom_domain: domain.cloned(), ..tenant.clone() }).await;
        if changed.is_ok() {
            tx.commit().await.expect("commits");
        }
        changed
    };
    let of = async |domain: &HostName| {
        let found = store.begin_platform().await.expect("begins").tenant_by_domain(domain).await.expect("read");
        found.map(|tenant| (tenant.id, tenant.custom_domain))
    };
    assert_eq!(of(&login).await, None);
    assert_eq!(change(&a.tenant, Some(&login)).await, Ok(()));
    assert_eq!(of(&login).await, Some((a.id(), Some(login.clone()))));
    assert_eq!(of(&other).await, None);
    assert_eq!(change(&b.tenant, Some(&login)).await, Err(StoreError::Conflict));
    assert_eq!(change(&b.tenant, Some(&other)).await, Ok(()));
    assert_eq!(change(&a.tenant, None).await, Ok(()), "none is nobody's alone");
    assert_eq!(of(&login).await, None);
    assert_eq!(change(&b.tenant, Some(&login)).await, Ok(()), "it was given back");

    let mut tx = store.begin(b.id()).await.expect("begins");
    tx.tenant_delete(NOW).await.expect("deleted");
    tx.commit().await.expect("commits");
    assert_eq!(of(&login).await, None, "a deleted tenant is none");
    assert_eq!(change(&a.tenant, Some(&login)).await, Err(StoreError::Conflict), "not free yet");
    let mut tx = store.begin(b.id()).await.expect("begins");
    assert_eq!(tx.tenant_erase(1_000).await, Ok(true));
    tx.commit().await.expect("commits");
    assert_eq!(change(&a.tenant, Some(&login)).await, Ok(()));
}

/// Tenants are found by the beginning of their slug or name, byte by byte and page by page, whatever a language would say of it.
pub async fn tenants_are_found_by_their_beginning(store: Arc<dyn Store>) {
    for (slug, name) in [
        ("a-c", "Émile & Söhne"),
        ("ab", "Beta"),
        ("a-b", "émile"),
        ("a", "100% wild_card"),
        ("b", "ab"),
        ("abz", "Zeta"),
        ("ac", "Émilie"),
        ("gone", "Emil"),
    ] {
        let mut new = sample::new_tenant();
        (new.tenant.slug, new.tenant.name) = (slug.parse().expect("a slug"), name.parse().expect("a name"));
        store.tenants_insert(&[new.clone()]).await.expect("stored");
        if slug == "gone" {
            let mut tx = store.begin(new.tenant.id).await.expect("begins");
            tx.tenant_delete(NOW).await.expect("deleted");
            tx.commit().await.expect("commits");
        }
    }
    let mut tx = store.begin_platform().await.expect("begins");
    let slugs = |found: Vec<domain::tenant::Tenant>| found.into_iter().map(|tenant| tenant.slug.to_string()).collect::<Vec<_>>();
    assert_eq!(slugs(tx.tenants_by_slug_prefix("a", None, 10).await.expect("read")), ["a", "a-b", "a-c", "ab", "abz", "ac"]);
    let after = "a-c".parse().expect("a slug");
    assert_eq!(slugs(tx.tenants_by_slug_prefix("a", Some(&after), 2).await.expect("read")), ["ab", "abz"]);
    assert_eq!(slugs(tx.tenants_by_slug_prefix("ab", None, 10).await.expect("read")), ["ab", "abz"]);
    assert_eq!(slugs(tx.tenants_by_slug_prefix("g", None, 10).await.expect("read")), [""; 0], "a deleted tenant is none");
    assert_eq!(slugs(tx.tenants_by_name_prefix("émil", None, 10).await.expect("read")), ["a-b", "a-c", "ac"]);
    let key = "émile";
    let slug = "a-b".parse().expect("a slug");
    assert_eq!(slugs(tx.tenants_by_name_prefix("émil", Some((key, &slug)), 10).await.expect("read")), ["a-c", "ac"]);
    assert_eq!(slugs(tx.tenants_by_name_prefix("emil", None, 10).await.expect("read")), [""; 0]);
    assert_eq!(slugs(tx.tenants_by_name_prefix("100%", None, 10).await.expect("read")), ["a"]);
    for wild in ["%", "_", "1_", "100% wild%"] {
        assert_eq!(slugs(tx.tenants_by_name_prefix(wild, None, 10).await.expect("read")), [""; 0], "{wild} is no pattern");
    }
    let asked = ["ab", "nobody", "gone", "b"].map(|slug| slug.parse().expect("a slug"));
    let mut known = tx.slugs_known(&asked).await.expect("read");
    known.sort_unstable();
    assert_eq!(known, [asked[0].clone(), asked[3].clone()]);
    // A changed name is found by what it is now.
    drop(tx);
    let mut tx = store.begin_platform().await.expect("begins");
    let mut tenant = tx.tenant_by_slug(&asked[0]).await.expect("read").expect("there");
    drop(tx);
    tenant.name = "Omega".parse().expect("a name");
    let mut tx = store.begin(tenant.id).await.expect("begins");
    tx.tenant_update(&tenant).await.expect("updated");
    tx.commit().await.expect("commits");
    let mut tx = store.begin_platform().await.expect("begins");
    assert_eq!(slugs(tx.tenants_by_name_prefix("om", None, 10).await.expect("read")), ["ab"]);
    assert_eq!(slugs(tx.tenants_by_name_prefix("be", None, 10).await.expect("read")), [""; 0]);
}

/// Rings that are due, and generations of many rings at once.
pub async fn due_rings_are_found(store: Arc<dyn Store>) {
    let (a, b) = (sample::home(&*store).await.expect("stored"), sample::home(&*store).await.expect("stored"));
    let mut earlier = sample::ring_with(&b.ring, sample::kid());
    earlier.next_due_at = Some(NOW);
    let mut tx = store.begin(b.id()).await.expect("begins");
    tx.ring_replace(&earlier).await.expect("replaced");
    tx.commit().await.expect("commits");

    let mark_a = RingMark { tenant_id: a.id(), generation: 1 };
    let mark_b = RingMark { tenant_id: b.id(), generation: 2 };
    let mut tx = store.begin_platform().await.expect("begins");
    assert_eq!(tx.rings_claim(NOW, Ttl::ZERO, 10).await, Ok(vec![mark_b]));
    assert_eq!(tx.rings_claim(NOW.plus(Ttl::days(2)), Ttl::ZERO, 10).await, Ok(vec![mark_b, mark_a]), "the longest overdue first");
    drop(tx);
    // A ring is due earlier than it was to be, and never later.
    let soon = NOW.plus(Ttl::minutes(1));
    for home in [&a, &b] {
        let mut tx = store.begin(home.id()).await.expect("begins");
        tx.ring_due(soon).await.expect("written");
        tx.commit().await.expect("commits");
    }
    let mut tx = store.begin_platform().await.expect("begins");
    assert_eq!(tx.rings_claim(NOW, Ttl::ZERO, 10).await, Ok(vec![mark_b]));
    assert_eq!(tx.rings_claim(soon, Ttl::ZERO, 10).await, Ok(vec![mark_b, mark_a]));
    let mut asked: Vec<_> = (0..2_000).map(|_| sample::tenant().id).collect();
    asked.extend([a.id(), b.id()]);
    let mut found = tx.ring_generations(&asked).await.expect("read");
    found.sort_by_key(|mark| mark.generation);
    assert_eq!(found, [mark_a, mark_b]);
}

/// A claimed ring is given to nobody else until its lease is over or it has been replaced; a claim that is not committed is none.
pub async fn a_due_ring_is_claimed_once(store: Arc<dyn Store>) {
    let homes = [sample::home(&*store).await.expect("stored"), sample::home(&*store).await.expect("stored")];
    let later = NOW.plus(Ttl::days(2));
    let claim = async |lease: Ttl, limit: u32| {
        let mut tx = store.begin_platform().await.expect("begins");
        let marks = tx.rings_claim(later, lease, limit).await.expect("claimed");
        tx.commit().await.expect("commits");
        marks.into_iter().map(|mark| mark.tenant_id).collect::<Vec<_>>()
    };
    let mut tx = store.begin_platform().await.expect("begins");
    assert_eq!(tx.rings_claim(later, Ttl::hours(1), 10).await.expect("claimed").len(), 2);
    drop(tx);

    let first = loop {
        // The rollback may still be under way, and whoever is locked is skipped.
        match claim(Ttl::hours(1), 1).await {
            nothing if nothing.is_empty() => tokio::task::yield_now().await,
            first => break first,
        }
    };
    let second = claim(Ttl::hours(1), 10).await;
    assert_eq!((first.len(), second.len()), (1, 1));
    assert_ne!(first, second);
    assert_eq!(claim(Ttl::ZERO, 10).await, []);

    let home = homes.into_iter().find(|home| home.id() == first[0]).expect("one of the two");
    let mut change = sample::ring_with(&home.ring, sample::kid());
    change.next_due_at = Some(NOW);
    let mut tx = store.begin(home.id()).await.expect("begins");
    tx.ring_replace(&change).await.expect("replaced");
    tx.commit().await.expect("commits");
    assert_eq!(claim(Ttl::ZERO, 10).await, first, "whoever replaces a ring is done with it");
}

/// The sweep takes what has ended, in portions, and nothing else.
pub async fn what_has_ended_is_swept(store: Arc<dyn Store>) {
    let home = sample::home(&*store).await.expect("stored");
    let later = NOW.plus(Ttl::seconds(1));
    let mut tx = store.begin(home.id()).await.expect("begins");
    for n in 0..3 {
        let mut ended = sample::family(home.alice.id);
        ended.idle_expires_at = NOW;
        tx.family_insert(&ended).await.expect("stored");
        tx.guess_counters_set(&[(GuessScope::Source, [n; 32], GuessCounter { attempts: 1, blocked_until: None })], NOW).await.expect("set");
        tx.source_remember(home.alice.id, &[n; 32], NOW).await.expect("remembered");
        tx.audit_append(&sample::audit_record(home.id())).await.expect("appended");
        let client = sample::client().id;
        tx.pending_insert(&PendingRequest { expires_at: NOW, ..sample::pending(&client) }).await.expect("stored");
        let grant = CodeGrant { expires_at: NOW, ..sample::code_grant(&client, home.alice.id) };
        tx.code_insert(&sample::hash(), &grant).await.expect("stored");
        tx.sso_insert(&SsoSession { idle_expires_at: NOW, ..sample::sso_session(home.alice.id) }).await.expect("stored");
        tx.spend(&[n; 32], NOW).await.expect("spent");
        let notice = sample::logout_notice(&sample::family(home.alice.id));
        tx.logout_notice_insert(&LogoutNotice { expires_at: NOW, ..notice }).await.expect("stored");
        tx.mail_insert(&QueuedMail { expires_at: NOW, ..sample::mail(&home.alice) }).await.expect("stored");
        tx.mail_link_insert(&MailLink { expires_at: NOW, ..sample::mail_link(&home.alice) }).await.expect("stored");
        let device = DeviceGrant { expires_at: NOW, ..sample::device_grant(&client) };
        tx.device_insert(&sample::hash(), &sample::hash().0, &device).await.expect("stored");
        let mut asked = sample::backchannel_request(&client, home.alice.id);
        asked.grant.expires_at = NOW;
        tx.backchannel_insert(&sample::hash(), &asked).await.expect("stored");
        tx.backchannel_ping_insert(&BackchannelPing { expires_at: NOW, ..sample::backchannel_ping(&client) }).await.expect("stored");
        tx.initial_token_insert(&InitialAccessToken { expires_at: NOW, ..sample::initial_access_token(1) }).await.expect("stored");
        for unused_until in [Some(NOW), None] {
            let registration = Some(SelfRegistration { token: sample::hash(), unused_until });
            tx.client_insert(&Client { registration, ..sample::client() }).await.expect("stored");
        }
    }
    let kept = AuditRecord { at: later, ..sample::audit_record(home.id()) };
    tx.audit_append(&kept).await.expect("appended");
    tx.source_remember(home.alice.id, &[77; 32], later).await.expect("remembered");
    tx.commit().await.expect("commits");

    let mut tx = store.begin_platform().await.expect("begins");
    for at in [NOW, NOW, NOW, later] {
        tx.verifiers_merge(&[(home.id(), sample::sighting(at))], 9).await.expect("merged");
    }
    for what in Leftover::ALL {
        assert_eq!(tx.sweep(what, NOW, 10).await, Ok(0), "{what:?}: not before it is over");
        assert_eq!(tx.sweep(what, later, 2).await, Ok(2), "{what:?}");
        assert_eq!(tx.sweep(what, later, 10).await, Ok(1), "{what:?}");
    }
    assert!(tx.tenant_by_id(home.id()).await.expect("read").is_some(), "sees what it saw before");
    tx.commit().await.expect("commits");
    let mut tx = store.begin_read(home.id()).await.expect("begins");
    assert_eq!(tx.families_live(home.alice.id, NOW).await, Ok(vec![home.family]));
    assert!(tx.source_seen(home.alice.id, &[77; 32]).await.expect("read").is_some());
    assert_eq!(tx.audit_page(None, 10).await, Ok(vec![kept]));
    assert_eq!(tx.verifiers().await.expect("read").len(), 1);
    assert_eq!(tx.clients_page(None, 10).await.expect("read").len(), 3, "those that somebody uses");
}
