//! What the OpenID provider keeps: clients, pending requests, codes, sessions, consents.
//!
//! Invariant: no check depends on another having run.

use std::sync::Arc;

use app::ports::store::{CodeUse, Consent, Leftover, PlatformTx, Store, StoreError};
use domain::authorize::code::CodeGrant;
use domain::client::origin::WebOrigin;
use domain::client::registration::SelfRegistration;
use domain::client::{Client, ClientId, ClientStatus};
use domain::consent::Allowed;
use domain::device::DeviceAnswer;
use domain::interaction::Progress;
use domain::keys::ring::Alg;
use domain::mail::QueuedMail;
use domain::resource::{Resource, ResourceSet};
use domain::scope::Scope;
use domain::sso::SsoSession;
use domain::time::Ttl;
use domain::trusted_issuer::TrustedIssuer;
use futures_util::future::{BoxFuture, join_all};

use crate::sample::{self, NOW};

/// Clients are looked through a stretch at a time, whether they have a sign or not; who is disabled is passed over, and so is the other tenant.
pub async fn clients_are_found_by_what_their_settings_hold(store: Arc<dyn Store>) {
    let (a, b) = (sample::home(&*store).await.expect("stored"), sample::home(&*store).await.expect("stored"));
    let mut all: Vec<_> = (0..5).map(|_| sample::client()).collect();
    all.sort_by(|one, two| one.id.cmp(&two.id));
    all[1].settings.id_token_signed_response_alg = Alg::PS256;
    all[2].status = ClientStatus::Disabled { at: NOW };
    for (home, clients) in [(&a, &all[..]), (&b, &all[..1])] {
        let mut tx = store.begin(home.id()).await.expect("begins");
        for client in clients {
            tx.client_insert(client).await.expect("stored");
        }
        tx.commit().await.expect("commits");
    }
    let signs = |alg: &str| [format!(r#"_signed_response_alg":"{alg}""#), "no sign of anything".to_owned()];
    let mut tx = store.begin_read(a.id()).await.expect("begins");
    let mut look = async |alg: &str, after: Option<usize>, most: u32| {
        let (found, last) = tx.clients_with_signs(&signs(alg), after.map(|at| &all[at].id), most).await.expect("looked");
        let place = |id: &ClientId| all.iter().position(|client| client.id == *id).expect("one of them");
        assert!(found.iter().all(|client| *client == all[place(&client.id)]));
        (found.iter().map(|client| place(&client.id)).collect::<Vec<_>>(), last.as_ref().map(place))
    };
    assert_eq!(look("RS256", None, 10).await, (vec![0, 3, 4], None));
    assert_eq!(look("RS256", None, 2).await, (vec![0], Some(1)));
    assert_eq!(look("RS256", Some(1), 2).await, (vec![3], Some(3)));
    assert_eq!(look("RS256", Some(3), 2).await, (vec![4], None));
    assert_eq!(look("PS256", None, 1).await, (vec![], Some(0)), "nobody so far, and it goes on");
    assert_eq!(look("PS256", Some(0), 4).await, (vec![1], Some(4)));
    assert_eq!(look("PS256", Some(4), 4).await, (vec![], None));
    assert_eq!(tx.clients_with_signs(&[], None, 10).await, Ok((vec![], None)));
    drop(tx);
    let mut tx = store.begin_read(b.id()).await.expect("begins");
    assert_eq!(tx.clients_with_signs(&signs("RS256"), None, 10).await, Ok((vec![all[0].clone()], None)), "its own alone");
}

/// Everything of a client survives its row; the other tenant has none of it.
pub async fn a_client_comes_changes_and_goes(store: Arc<dyn Store>) {
    let (a, b) = (sample::home(&*store).await.expect("stored"), sample::home(&*store).await.expect("stored"));
    let (mut client, other) = (sample::client(), sample::client());
    let mut tx = store.begin(a.id()).await.expect("begins");
    for client in [&client, &other] {
        tx.client_insert(client).await.expect("stored");
    }
    tx.consent_set(a.alice.id, &client.id, &Allowed::default(), NOW).await.expect("set");
    tx.commit().await.expect("commits");

    let mut tx = store.begin(b.id()).await.expect("begins");
    assert_eq!(tx.client_by_id(&client.id).await, Ok(None));
    assert_eq!(tx.clients_page(None, 10).await, Ok(vec![]));
    assert_eq!(tx.client_update(&client).await, Err(StoreError::Conflict));
    assert_eq!(tx.client_delete(&client.id).await, Ok(false));
    tx.client_insert(&client).await.expect("the same id in another tenant is another client");
    tx.commit().await.expect("commits");

    let mut tx = store.begin(a.id()).await.expect("begins");
    client.registration = Some(SelfRegistration { token: sample::hash(), unused_until: None });
    client.status = ClientStatus::Disabled { at: NOW };
    client.secrets.clear();
    tx.client_update(&client).await.expect("updated");
    tx.commit().await.expect("commits");
    let mut tx = store.begin_read(a.id()).await.expect("begins");
    assert_eq!(tx.client_by_id(&client.id).await, Ok(Some(client.clone())));
    let mut both = [client.clone(), other.clone()];
    both.sort_by(|one, two| one.id.cmp(&two.id));
    assert_eq!(tx.clients_page(None, 1).await, Ok(vec![both[0].clone()]));
    assert_eq!(tx.clients_page(Some(&both[0].id), 10).await, Ok(vec![both[1].clone()]));
    drop(tx);

    let mut tx = store.begin(a.id()).await.expect("begins");
    assert_eq!(tx.client_insert(&other).await, Err(StoreError::Conflict));
    drop(tx);
    let mut tx = store.begin(a.id()).await.expect("begins");
    assert_eq!(tx.client_delete(&client.id).await, Ok(true));
    assert_eq!(tx.client_delete(&client.id).await, Ok(false));
    assert_eq!(tx.consent(a.alice.id, &client.id).await, Ok(None), "what was allowed goes with it");
    tx.commit().await.expect("commits");
    assert!(store.begin_read(b.id()).await.expect("begins").client_by_id(&client.id).await.expect("read").is_some());
}

/// A tenant's origins are those of its active clients, each once; they change, and go, with the client.
pub async fn where_clients_run_is_known_of_each_tenant(store: Arc<dyn Store>) {
    let (home, other) = (sample::home(&*store).await.expect("stored"), sample::home(&*store).await.expect("stored"));
    let origin = |text: &str| text.parse::<WebOrigin>().expect("an origin");
    let runs_at = |origins: &[&str]| {
        let mut client = sample::client();
        client.settings.allowed_origins = origins.iter().map(|text| origin(text)).collect();
        client
    };
    let (shared, own, foreign) = ("https://b.example", "https://a.example:8443", "http://localhost:5173");
    let (mut one, mut two, nowhere) = (runs_at(&[shared, own]), runs_at(&[shared]), sample::client());
    for (tenant, clients) in [(home.id(), vec![&one, &two, &nowhere]), (other.id(), vec![&runs_at(&[foreign])])] {
        let mut tx = store.begin(tenant).await.expect("begins");
        for client in clients {
            tx.client_insert(client).await.expect("stored");
        }
        tx.commit().await.expect("commits");
    }
    let known = async |tenant, limit| {
        let mut tx = store.begin_read(tenant).await.expect("begins");
        let origins = tx.client_origins(limit).await.expect("read");
        for at in [shared, own, foreign].map(origin) {
            let is_there = tx.client_origin_is_there(&at).await.expect("read");
            assert!(is_there == origins.contains(&at) || limit < 10, "{at}");
        }
        origins.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(known(home.id(), 10).await, [own, shared]);
    assert_eq!(known(home.id(), 1).await, [own]);
    assert_eq!(known(other.id(), 10).await, [foreign]);

    let change = async |client: &Client| {
        let mut tx = store.begin(home.id()).await.expect("begins");
        tx.client_update(client).await.expect("updated");
        tx.commit().await.expect("commits");
    };
    one.settings.allowed_origins = vec![origin(shared), origin("https://c.example")];
    change(&one).await;
    assert_eq!(known(home.id(), 10).await, [shared, "https://c.example"]);
    one.status = ClientStatus::Disabled { at: NOW };
    change(&one).await;
    assert_eq!(known(home.id(), 10).await, [shared], "the other one's");
    one.status = ClientStatus::Active;
    change(&one).await;
    assert_eq!(known(home.id(), 10).await, [shared, "https://c.example"]);
    let mut tx = store.begin(home.id()).await.expect("begins");
    assert_eq!(tx.client_delete(&one.id).await, Ok(true));
    tx.commit().await.expect("commits");
    assert_eq!(known(home.id(), 10).await, [shared]);

    // One that registered itself and that nobody uses.
    two.registration = Some(SelfRegistration::new(sample::hash(), NOW));
    change(&two).await;
    let mut tx = store.begin_platform().await.expect("begins");
    while tx.sweep(Leftover::UnusedClients, NOW.plus(Ttl::days(31)), 100).await.expect("swept") > 0 {}
    tx.commit().await.expect("commits");
    assert_eq!(known(home.id(), 10).await, [""; 0]);
    assert_eq!(known(other.id(), 10).await, [foreign]);
}

/// S058: of 64 who present the same code at once exactly one is first; all others learn of its family.
pub async fn of_many_redemptions_exactly_one_is_first(store: Arc<dyn Store>) {
    let home = sample::home(&*store).await.expect("stored");
    let other = sample::home(&*store).await.expect("stored");
    let (code, grant) = (sample::hash(), sample::code_grant(&sample::client().id, home.alice.id));
    let mut tx = store.begin(home.id()).await.expect("begins");
    tx.code_insert(&code, &grant).await.expect("stored");
    tx.commit().await.expect("commits");

    let redeem = |tenant| {
        let store = Arc::clone(&store);
        let family = sample::family(home.alice.id).id;
        tokio::spawn(async move {
            let mut tx = store.begin(tenant).await.expect("begins");
            let used = tx.code_use(&code, family, NOW).await.expect("answered");
            tx.commit().await.expect("commits");
            (family, used)
        })
    };
    assert_eq!(redeem(other.id()).await.expect("no panic").1, CodeUse::Unknown, "of another tenant");
    let outcomes: Vec<_> = join_all((0..64).map(|_| redeem(home.id()))).await.into_iter().map(|done| done.expect("no panic")).collect();
    let firsts: Vec<_> = outcomes.iter().filter(|(_, used)| matches!(used, CodeUse::First(_))).collect();
    assert_eq!(firsts.len(), 1);
    let (family_id, used) = firsts[0];
    assert_eq!(*used, CodeUse::First(Box::new(grant)));
    assert_eq!(outcomes.iter().filter(|(_, used)| *used == CodeUse::Again { family_id: *family_id }).count(), 63);

    // Whose session has begun before keeps it.
    let (code, grant) = (sample::hash(), sample::code_grant(&sample::client().id, home.alice.id));
    let grant = CodeGrant { family_id: Some(home.family.id), ..grant };
    let mut tx = store.begin(home.id()).await.expect("begins");
    tx.code_insert(&code, &grant).await.expect("stored");
    tx.commit().await.expect("commits");
    for expected in [CodeUse::First(Box::new(grant)), CodeUse::Again { family_id: home.family.id }] {
        let mut tx = store.begin(home.id()).await.expect("begins");
        assert_eq!(tx.code_use(&code, sample::family(home.alice.id).id, NOW).await, Ok(expected));
        tx.commit().await.expect("commits");
    }

    // One that was rolled back never happened.
    let (code, grant) = (sample::hash(), sample::code_grant(&sample::client().id, home.alice.id));
    let mut tx = store.begin(home.id()).await.expect("begins");
    tx.code_insert(&code, &grant).await.expect("stored");
    tx.commit().await.expect("commits");
    for _ in 0..2 {
        let mut tx = store.begin(home.id()).await.expect("begins");
        assert_eq!(tx.code_use(&code, home.family.id, NOW).await, Ok(CodeUse::First(Box::new(grant.clone()))));
        drop(tx);
    }
}

/// S090: of 64 who take the same device's code away at once exactly one does; what a device asked for is its tenant's.
pub async fn a_device_is_found_by_either_code_and_taken_away_once(store: Arc<dyn Store>) {
    let (home, other) = (sample::home(&*store).await.expect("stored"), sample::home(&*store).await.expect("stored"));
    let (code, typed, mut grant) = (sample::hash(), sample::hash().0, sample::device_grant(&sample::client().id));
    for tenant in [home.id(), other.id()] {
        let mut tx = store.begin(tenant).await.expect("begins");
        tx.device_insert(&code, &typed, &grant).await.expect("each tenant has codes of its own");
        tx.commit().await.expect("commits");
    }
    let mut tx = store.begin(home.id()).await.expect("begins");
    assert_eq!(tx.device_insert(&sample::hash(), &typed, &grant).await, Err(StoreError::Conflict), "two devices with one code");
    drop(tx);
    grant.answer = DeviceAnswer::Allowed { user_id: home.alice.id, sign_on: sample::sign_on() };
    grant.polled_at = Some(NOW);
    let mut tx = store.begin(home.id()).await.expect("begins");
    tx.device_update(&code, &grant).await.expect("updated");
    tx.commit().await.expect("commits");

    let mut tx = store.begin(other.id()).await.expect("begins");
    assert_eq!(tx.device_by_code(&code).await.expect("read").expect("there").answer, DeviceAnswer::Pending, "of another tenant");
    assert_eq!(tx.device_delete(&code).await, Ok(true));
    tx.device_update(&code, &grant).await.expect("nothing to update");
    assert_eq!(tx.device_by_code(&code).await, Ok(None));
    assert_eq!(tx.device_by_user_code(&typed).await, Ok(None));
    tx.commit().await.expect("commits");

    let mut tx = store.begin_read(home.id()).await.expect("begins");
    assert_eq!(tx.device_by_code(&code).await, Ok(Some(grant.clone())));
    assert_eq!(tx.device_by_user_code(&typed).await, Ok(Some(code)));
    drop(tx);
    let take = |_| {
        let store = Arc::clone(&store);
        let tenant = home.id();
        tokio::spawn(async move {
            let mut tx = store.begin(tenant).await.expect("begins");
            let found = tx.device_by_code(&code).await.expect("read");
            let is_first = found.is_some() && tx.device_delete(&code).await.expect("answered");
            tx.commit().await.expect("commits");
            is_first
        })
    };
    let taken = join_all((0..64).map(take)).await;
    assert_eq!(taken.into_iter().filter(|done| *done.as_ref().expect("no panic")).count(), 1);
}

/// A pending request survives its row, moves on, and is finished once, by its own tenant.
pub async fn a_pending_request_is_finished_once(store: Arc<dyn Store>) {
    let (home, other) = (sample::home(&*store).await.expect("stored"), sample::home(&*store).await.expect("stored"));
    let mut pending = sample::pending(&sample::client().id);
    let mut tx = store.begin(home.id()).await.expect("begins");
    tx.pending_insert(&pending).await.expect("stored");
    tx.commit().await.expect("commits");
    pending.progress = Progress { logged_in: Some(home.alice.id), ..Progress::default() };
    let mut tx = store.begin(other.id()).await.expect("begins");
    assert_eq!(tx.pending_by_handle(&pending.handle).await, Ok(None));
    tx.pending_progress(&pending.handle, Progress { logged_in: None, consented: Some(other.alice.id), ..Progress::default() })
        .await
        .expect("nothing to write");
    assert_eq!(tx.pending_delete(&pending.handle).await, Ok(false));
    tx.commit().await.expect("commits");
    let mut tx = store.begin(home.id()).await.expect("begins");
    tx.pending_progress(&pending.handle, pending.progress).await.expect("written");
    tx.commit().await.expect("commits");
    assert_eq!(store.begin_read(home.id()).await.expect("begins").pending_by_handle(&pending.handle).await, Ok(Some(pending.clone())));
    let finish = |_| {
        let store = Arc::clone(&store);
        let (tenant, handle) = (home.id(), pending.handle);
        tokio::spawn(async move {
            let mut tx = store.begin(tenant).await.expect("begins");
            let was_there = tx.pending_delete(&handle).await.expect("answered");
            tx.commit().await.expect("commits");
            was_there
        })
    };
    let finished = join_all((0..16).map(finish)).await;
    assert_eq!(finished.into_iter().filter(|done| *done.as_ref().expect("no panic")).count(), 1);
}

/// Sessions are found by their handles, live on when they are touched, and go with their user, as consents do.
pub async fn sessions_and_consents_go_with_their_user(store: Arc<dyn Store>) {
    let (home, other) = (sample::home(&*store).await.expect("stored"), sample::home(&*store).await.expect("stored"));
    let (session, gone) = (sample::sso_session(home.alice.id), sample::sso_session(home.alice.id));
    let client = sample::client().id;
    let scope: Scope = "openid email".parse().expect("a scope");
    let mut tx = store.begin(home.id()).await.expect("begins");
    for session in [&session, &gone] {
        tx.sso_insert(session).await.expect("stored");
    }
    let allowed = Allowed { scope, resources: sample::resources(), details: sample::details() };
    tx.consent_set(home.alice.id, &client, &Allowed::default(), NOW).await.expect("set");
    tx.consent_set(home.alice.id, &client, &allowed, NOW).await.expect("set again");
    assert_eq!(tx.sso_delete(&gone.handle).await, Ok(true));
    assert_eq!(tx.sso_delete(&gone.handle).await, Ok(false));
    tx.commit().await.expect("commits");

    let mut tx = store.begin(other.id()).await.expect("begins");
    assert_eq!(tx.sso_by_handle(&session.handle).await, Ok(None));
    tx.sso_touch(&session.handle, session.absolute_expires_at).await.expect("nothing to touch");
    assert_eq!(tx.sso_delete(&session.handle).await, Ok(false));
    assert_eq!(tx.sso_is_there(home.alice.id, session.id).await, Ok(false));
    assert_eq!(tx.sso_of(home.alice.id, NOW).await, Ok(vec![]));
    assert_eq!(tx.consents_of(home.alice.id).await, Ok(vec![]));
    assert_eq!(tx.sso_delete_of(home.alice.id).await, Ok(0));
    assert_eq!(tx.sso_delete_begun(NOW.plus(Ttl::days(1))).await, Ok(0));
    for _ in 0..2 {
        tx.sso_insert(&sample::sso_session(other.alice.id)).await.expect("stored");
    }
    assert_eq!(tx.sso_delete_of(other.alice.id).await, Ok(2));
    tx.sso_insert(&sample::sso_session(other.alice.id)).await.expect("stored");
    assert_eq!(tx.sso_delete_begun(NOW.plus(Ttl::days(1))).await, Ok(1));
    assert_eq!(tx.consent(home.alice.id, &client).await, Ok(None));
    assert_eq!(tx.consent_delete(home.alice.id, &client).await, Ok(false));
    tx.commit().await.expect("commits");

    let later = session.idle_expires_at.plus(Ttl::minutes(9));
    let mut tx = store.begin(home.id()).await.expect("begins");
    tx.sso_touch(&session.handle, later).await.expect("touched");
    tx.sso_touch(&session.handle, session.absolute_expires_at.plus(Ttl::seconds(1))).await.expect("never beyond its end");
    assert_eq!(tx.sso_by_handle(&session.handle).await, Ok(Some(SsoSession { idle_expires_at: later, ..session.clone() })));
    assert_eq!(tx.sso_of(home.alice.id, NOW).await, Ok(vec![SsoSession { idle_expires_at: later, ..session.clone() }]));
    assert_eq!(tx.sso_of(home.alice.id, later).await, Ok(vec![]), "it has ended then");
    assert_eq!(tx.sso_of(other.alice.id, NOW).await, Ok(vec![]));
    let consent = Consent { client_id: client.clone(), allowed: allowed.clone(), granted_at: NOW };
    assert_eq!(tx.consents_of(home.alice.id).await, Ok(vec![consent]));
    assert_eq!(tx.consents_of(other.alice.id).await, Ok(vec![]));
    assert_eq!(tx.consent(home.alice.id, &client).await, Ok(Some(allowed)));
    assert_eq!(tx.sso_is_there(home.alice.id, session.id).await, Ok(true));
    assert_eq!(tx.sso_is_there(other.alice.id, session.id).await, Ok(false));
    assert_eq!(tx.sso_delete_begun(session.authentication.at).await, Ok(0), "it began then, not before");
    assert_eq!(tx.user_delete(home.alice.id).await, Ok(true));
    assert_eq!(tx.sso_by_handle(&session.handle).await, Ok(None));
    assert_eq!(tx.consent(home.alice.id, &client).await, Ok(None));
    tx.commit().await.expect("commits");
}

/// A family says how it began, also after a refresh.
pub async fn a_family_remembers_how_it_began(store: Arc<dyn Store>) {
    let home = sample::home(&*store).await.expect("stored");
    let mut family = sample::family(home.alice.id);
    family.sign_on = Some(sample::sign_on());
    let mut tx = store.begin(home.id()).await.expect("begins");
    tx.family_insert(&family).await.expect("stored");
    tx.commit().await.expect("commits");
    let judged = store.refresh(home.id(), sample::attempt(family.id, family.head.current, NOW)).await.expect("answered").expect("there");
    assert_eq!(judged.facts.family.sign_on, family.sign_on);
    let read = store.begin_read(home.id()).await.expect("begins").family_by_id(family.id).await.expect("read").expect("there");
    assert_eq!(read.sign_on, family.sign_on);
}

/// S052: of 16 who spend the same name at once exactly one does, in each tenant.
pub async fn of_many_who_spend_a_name_exactly_one_does(store: Arc<dyn Store>) {
    let (home, other) = (sample::home(&*store).await.expect("stored"), sample::home(&*store).await.expect("stored"));
    let name = sample::hash().0;
    for tenant in [home.id(), other.id()] {
        let spend = |_| {
            let store = Arc::clone(&store);
            tokio::spawn(async move {
                let mut tx = store.begin(tenant).await.expect("begins");
                let is_first = tx.spend(&name, NOW).await.expect("answered");
                tx.commit().await.expect("commits");
                is_first
            })
        };
        let outcomes = join_all((0..16).map(spend)).await;
        assert_eq!(outcomes.into_iter().filter(|done| *done.as_ref().expect("no panic")).count(), 1);
    }
}

/// S122: a token registers as many clients as it has uses, however many ask at once, and none after its end; it is its tenant's.
pub async fn an_initial_access_token_is_used_as_often_as_it_may_be(store: Arc<dyn Store>) {
    let (home, other) = (sample::home(&*store).await.expect("stored"), sample::home(&*store).await.expect("stored"));
    let (mut token, second) = (sample::initial_access_token(5), sample::initial_access_token(1));
    let mut tx = store.begin(home.id()).await.expect("begins");
    for token in [&token, &second] {
        tx.initial_token_insert(token).await.expect("stored");
    }
    tx.commit().await.expect("commits");

    let mut tx = store.begin(other.id()).await.expect("begins");
    assert_eq!(tx.initial_token_by_hash(&token.hash).await, Ok(None), "of another tenant");
    assert_eq!(tx.initial_tokens_page(None, 10).await, Ok(vec![]));
    assert_eq!(tx.initial_token_use(token.id, NOW).await, Ok(false));
    assert_eq!(tx.initial_token_delete(token.id).await, Ok(false));
    tx.commit().await.expect("commits");

    let spend = |_| {
        let (store, tenant, id) = (Arc::clone(&store), home.id(), token.id);
        tokio::spawn(async move {
            let mut tx = store.begin(tenant).await.expect("begins");
            let is_used = tx.initial_token_use(id, NOW).await.expect("answered");
            tx.commit().await.expect("commits");
            is_used
        })
    };
    let outcomes = join_all((0..16).map(spend)).await;
    assert_eq!(outcomes.into_iter().filter(|done| *done.as_ref().expect("no panic")).count(), 5);

    token.uses_left = 0;
    let mut tx = store.begin(home.id()).await.expect("begins");
    assert_eq!(tx.initial_token_by_hash(&token.hash).await, Ok(Some(token.clone())));
    assert_eq!(tx.initial_token_use(second.id, second.expires_at).await, Ok(false), "over");
    let mut both = [token.clone(), second.clone()];
    both.sort_by_key(|token| token.id);
    assert_eq!(tx.initial_tokens_page(None, 1).await, Ok(vec![both[0].clone()]));
    assert_eq!(tx.initial_tokens_page(Some(both[0].id), 10).await, Ok(vec![both[1].clone()]));
    assert_eq!(tx.initial_token_delete(second.id).await, Ok(true));
    assert_eq!(tx.initial_token_delete(second.id).await, Ok(false));
    tx.commit().await.expect("commits");
}

/// An API is its tenant's, found by id and by name, and one name is one API.
pub async fn an_api_comes_changes_and_goes(store: Arc<dyn Store>) {
    let (home, other) = (sample::home(&*store).await.expect("stored"), sample::home(&*store).await.expect("stored"));
    let mut all = [sample::resource(), sample::resource(), sample::resource()];
    all.sort_by_key(|resource| resource.id);
    let mut tx = store.begin(home.id()).await.expect("begins");
    for resource in &all {
        tx.resource_insert(resource).await.expect("stored");
    }
    tx.commit().await.expect("commits");
    let named: ResourceSet = all[1..].iter().map(|resource| resource.identifier.clone()).chain(sample::resources()).collect();

    // Another tenant may have an API of the same name, and has none of these.
    let mut tx = store.begin(other.id()).await.expect("begins");
    assert_eq!(tx.resource_by_id(all[0].id).await, Ok(None));
    assert_eq!(tx.resources_page(None, 10).await, Ok(vec![]));
    assert_eq!(tx.resources_named(&named).await, Ok(vec![]));
    assert_eq!(tx.resource_update(&all[0]).await, Err(StoreError::Conflict));
    assert_eq!(tx.resource_delete(all[0].id).await, Ok(false));
    let theirs = Resource { identifier: all[0].identifier.clone(), ..sample::resource() };
    tx.resource_insert(&theirs).await.expect("stored");
    tx.commit().await.expect("commits");

    let mut tx = store.begin(home.id()).await.expect("begins");
    let again = Resource { identifier: all[0].identifier.clone(), ..sample::resource() };
    assert_eq!(tx.resource_insert(&again).await, Err(StoreError::Conflict), "its name is taken");
    drop(tx);
    let changed = Resource { settings: again.settings, updated_at: NOW.plus(Ttl::minutes(1)), ..all[0].clone() };
    let mut tx = store.begin(home.id()).await.expect("begins");
    tx.resource_update(&changed).await.expect("changed");
    tx.commit().await.expect("commits");

    let mut tx = store.begin(home.id()).await.expect("begins");
    assert_eq!(tx.resource_by_id(changed.id).await, Ok(Some(changed.clone())));
    assert_eq!(tx.resources_page(None, 1).await, Ok(vec![changed.clone()]));
    assert_eq!(tx.resources_page(Some(changed.id), 10).await, Ok(all[1..].to_vec()));
    let mut by_name = all[1..].to_vec();
    by_name.sort_by(|one, other| one.identifier.cmp(&other.identifier));
    assert_eq!(tx.resources_named(&named).await, Ok(by_name), "unknown names are passed over");
    assert_eq!(tx.resource_delete(changed.id).await, Ok(true));
    assert_eq!(tx.resource_delete(changed.id).await, Ok(false));
    assert_eq!(tx.resource_update(&changed).await, Err(StoreError::Conflict));
    tx.commit().await.expect("commits");
}

/// What a user was asked for is found by what its client polls with, and by its user; of 64 who take it away, one is told that they did.
pub async fn a_user_is_asked_and_answers_once(store: Arc<dyn Store>) {
    let (home, other) = (sample::home(&*store).await.expect("stored"), sample::home(&*store).await.expect("stored"));
    let client = sample::client();
    let (code, mut request) = (sample::hash(), sample::backchannel_request(&client.id, home.alice.id));
    let mut tx = store.begin(home.id()).await.expect("begins");
    tx.backchannel_insert(&code, &request).await.expect("stored");
    tx.commit().await.expect("commits");

    let mut tx = store.begin(other.id()).await.expect("begins");
    assert_eq!(tx.backchannel_by_code(&code).await, Ok(None));
    assert_eq!(tx.backchannel_of(home.alice.id).await, Ok(vec![]));
    assert_eq!(tx.backchannel_delete(&code).await, Ok(false));
    let mut theirs = request.clone();
    theirs.grant.answer = DeviceAnswer::Denied;
    tx.backchannel_update(&code, &theirs).await.expect("passed over");
    tx.commit().await.expect("commits");

    let mut tx = store.begin(home.id()).await.expect("begins");
    assert_eq!(tx.backchannel_by_code(&code).await, Ok(Some(request.clone())));
    assert_eq!(tx.backchannel_of(home.alice.id).await, Ok(vec![(code, request.clone())]));
    request.grant.answer = DeviceAnswer::Allowed { user_id: home.alice.id, sign_on: sample::sign_on() };
    tx.backchannel_update(&code, &request).await.expect("written");
    tx.commit().await.expect("commits");
    let mut tx = store.begin_read(home.id()).await.expect("begins");
    assert_eq!(tx.backchannel_by_code(&code).await, Ok(Some(request)));
    drop(tx);

    let take = |_| {
        let store = Arc::clone(&store);
        let tenant = home.id();
        tokio::spawn(async move {
            let mut tx = store.begin(tenant).await.expect("begins");
            let is_there = tx.backchannel_by_code(&code).await.expect("answered").is_some();
            let is_taken = tx.backchannel_delete(&code).await.expect("answered");
            tx.commit().await.expect("commits");
            is_there && is_taken
        })
    };
    let taken = join_all((0..64).map(take)).await;
    assert_eq!(taken.into_iter().filter(|done| *done.as_ref().expect("no panic")).count(), 1);

    // They go with their user.
    let mut tx = store.begin(home.id()).await.expect("begins");
    tx.backchannel_insert(&code, &sample::backchannel_request(&client.id, home.alice.id)).await.expect("stored");
    assert_eq!(tx.user_delete(home.alice.id).await, Ok(true));
    assert_eq!(tx.backchannel_by_code(&code).await, Ok(None));
    tx.commit().await.expect("commits");
}

/// How one node claims what it is time for.
type Claim<T> = for<'a> fn(&'a mut dyn PlatformTx) -> BoxFuture<'a, Result<Vec<T>, StoreError>>;

/// What eight nodes claim at the same moment, all together.
async fn claimed_by_eight<T: Send + 'static>(store: &Arc<dyn Store>, claim: Claim<T>) -> Vec<T> {
    let node = |_| {
        let store = Arc::clone(store);
        tokio::spawn(async move {
            let mut tx = store.begin_platform().await.expect("begins");
            let claimed = claim(tx.as_mut()).await.expect("answered");
            tx.commit().await.expect("commits");
            claimed
        })
    };
    join_all((0..8).map(node)).await.into_iter().flat_map(|done| done.expect("no panic")).collect()
}

/// An answer is told by one of many nodes, and not again before it is time; it belongs to its tenant.
pub async fn an_answer_is_told_by_one_node_at_a_time(store: Arc<dyn Store>) {
    let (home, other) = (sample::home(&*store).await.expect("stored"), sample::home(&*store).await.expect("stored"));
    let ping = sample::backchannel_ping(&sample::client().id);
    let mut tx = store.begin(home.id()).await.expect("begins");
    tx.backchannel_ping_insert(&ping).await.expect("stored");
    tx.backchannel_ping_insert(&ping).await.expect("nothing to change");
    tx.commit().await.expect("commits");
    let claimed = claimed_by_eight(&store, |tx| tx.backchannel_pings_claim(10)).await;
    assert_eq!(claimed, [(home.id(), ping.id)]);

    let mut tx = store.begin(other.id()).await.expect("begins");
    assert_eq!(tx.backchannel_ping(ping.id).await, Ok(None), "of another tenant");
    assert_eq!(tx.backchannel_ping_delete(ping.id).await, Ok(false));
    tx.commit().await.expect("commits");
    let mut tx = store.begin(home.id()).await.expect("begins");
    assert_eq!(tx.backchannel_ping(ping.id).await, Ok(Some(ping.clone())));
    assert_eq!(tx.backchannel_ping_delete(ping.id).await, Ok(true));
    assert_eq!(tx.backchannel_ping_delete(ping.id).await, Ok(false));
    tx.commit().await.expect("commits");
}

/// A trusted issuer is its tenant's, found by id and by name, and one name is one issuer.
pub async fn a_trusted_issuer_comes_changes_and_goes(store: Arc<dyn Store>) {
    let (home, other) = (sample::home(&*store).await.expect("stored"), sample::home(&*store).await.expect("stored"));
    let mut all = [sample::trusted_issuer(), sample::trusted_issuer()];
    all.sort_by_key(|issuer| issuer.id);
    let mut tx = store.begin(home.id()).await.expect("begins");
    for issuer in &all {
        tx.trusted_issuer_insert(issuer).await.expect("stored");
    }
    tx.commit().await.expect("commits");

    // Another tenant may trust an issuer of the same name, and trusts none of these.
    let mut tx = store.begin(other.id()).await.expect("begins");
    assert_eq!(tx.trusted_issuer_by_id(all[0].id).await, Ok(None));
    assert_eq!(tx.trusted_issuer_named(&all[0].issuer).await, Ok(None));
    assert_eq!(tx.trusted_issuers_page(None, 10).await, Ok(vec![]));
    assert_eq!(tx.trusted_issuer_update(&all[0]).await, Err(StoreError::Conflict));
    assert_eq!(tx.trusted_issuer_delete(all[0].id).await, Ok(false));
    let theirs = TrustedIssuer { issuer: all[0].issuer.clone(), ..sample::trusted_issuer() };
    tx.trusted_issuer_insert(&theirs).await.expect("stored");
    tx.commit().await.expect("commits");

    let mut tx = store.begin(home.id()).await.expect("begins");
    let again = TrustedIssuer { issuer: all[0].issuer.clone(), ..sample::trusted_issuer() };
    assert_eq!(tx.trusted_issuer_insert(&again).await, Err(StoreError::Conflict), "its name is taken");
    drop(tx);
    let changed = TrustedIssuer { settings: again.settings, updated_at: NOW.plus(Ttl::minutes(1)), ..all[0].clone() };
    let mut tx = store.begin(home.id()).await.expect("begins");
    tx.trusted_issuer_update(&changed).await.expect("changed");
    tx.commit().await.expect("commits");

    let mut tx = store.begin(home.id()).await.expect("begins");
    assert_eq!(tx.trusted_issuer_by_id(changed.id).await, Ok(Some(changed.clone())));
    assert_eq!(tx.trusted_issuer_named(&changed.issuer).await, Ok(Some(changed.clone())));
    assert_eq!(tx.trusted_issuer_named(&format!("{}/", changed.issuer)).await, Ok(None));
    assert_eq!(tx.trusted_issuers_page(None, 1).await, Ok(vec![changed.clone()]));
    assert_eq!(tx.trusted_issuers_page(Some(changed.id), 10).await, Ok(all[1..].to_vec()));
    assert_eq!(tx.trusted_issuer_delete(changed.id).await, Ok(true));
    assert_eq!(tx.trusted_issuer_delete(changed.id).await, Ok(false));
    assert_eq!(tx.trusted_issuer_update(&changed).await, Err(StoreError::Conflict));
    tx.commit().await.expect("commits");
}

/// A logout is claimed by one of many nodes, and not again before it is time; it belongs to its tenant.
pub async fn a_logout_is_told_by_one_node_at_a_time(store: Arc<dyn Store>) {
    let (home, other) = (sample::home(&*store).await.expect("stored"), sample::home(&*store).await.expect("stored"));
    let notice = sample::logout_notice(&home.family);
    let mut tx = store.begin(home.id()).await.expect("begins");
    tx.logout_notice_insert(&notice).await.expect("stored");
    tx.logout_notice_insert(&notice).await.expect("nothing to change");
    tx.commit().await.expect("commits");
    let claimed = claimed_by_eight(&store, |tx| tx.logout_notices_claim(10)).await;
    assert_eq!(claimed, [(home.id(), notice.family_id)]);

    let mut tx = store.begin(other.id()).await.expect("begins");
    assert_eq!(tx.logout_notice(notice.family_id).await, Ok(None), "of another tenant");
    assert_eq!(tx.logout_notice_delete(notice.family_id).await, Ok(false));
    tx.commit().await.expect("commits");
    let mut tx = store.begin(home.id()).await.expect("begins");
    assert_eq!(tx.logout_notice(notice.family_id).await, Ok(Some(notice.clone())));
    assert_eq!(tx.logout_notice_delete(notice.family_id).await, Ok(true));
    assert_eq!(tx.logout_notice_delete(notice.family_id).await, Ok(false));
    tx.commit().await.expect("commits");
}

/// A mail is claimed by one of many nodes, and not again before it is time; it belongs to its tenant and goes with its user.
pub async fn a_mail_is_sent_by_one_node_at_a_time(store: Arc<dyn Store>) {
    let (home, other) = (sample::home(&*store).await.expect("stored"), sample::home(&*store).await.expect("stored"));
    let (mail, of_nobody) = (sample::mail(&home.alice), QueuedMail { user_id: None, ..sample::mail(&home.alice) });
    let mut tx = store.begin(home.id()).await.expect("begins");
    for mail in [&mail, &of_nobody] {
        tx.mail_insert(mail).await.expect("stored");
    }
    tx.commit().await.expect("commits");
    let mut claimed = claimed_by_eight(&store, |tx| tx.mails_claim(10)).await;
    claimed.sort();
    let mut all = [(home.id(), mail.id), (home.id(), of_nobody.id)];
    all.sort();
    assert_eq!(claimed, all);

    let mut tx = store.begin(other.id()).await.expect("begins");
    assert_eq!(tx.mail(mail.id).await, Ok(None), "of another tenant");
    assert_eq!(tx.mail_delete(mail.id).await, Ok(false));
    tx.commit().await.expect("commits");
    let mut tx = store.begin(home.id()).await.expect("begins");
    assert_eq!(tx.mail(mail.id).await, Ok(Some(mail.clone())));
    assert_eq!(tx.user_delete(home.alice.id).await, Ok(true));
    assert_eq!(tx.mail(mail.id).await, Ok(None), "it goes with its user");
    assert_eq!(tx.mail_delete(mail.id).await, Ok(false));
    assert_eq!(tx.mail_delete(of_nobody.id).await, Ok(true));
    tx.commit().await.expect("commits");
}

/// S144: of 64 who use the same link at once exactly one does; a used one is not made anew; it belongs to its tenant and goes with its user.
pub async fn a_link_is_used_once(store: Arc<dyn Store>) {
    let (home, other) = (sample::home(&*store).await.expect("stored"), sample::home(&*store).await.expect("stored"));
    let link = sample::mail_link(&home.alice);
    let mut tx = store.begin(home.id()).await.expect("begins");
    assert_eq!(tx.mail_link_insert(&link).await, Ok(true));
    assert_eq!(tx.mail_link_insert(&link).await, Ok(false));
    tx.commit().await.expect("commits");
    let mut tx = store.begin(other.id()).await.expect("begins");
    assert_eq!(tx.mail_link(&link.handle).await, Ok(None), "of another tenant");
    assert_eq!(tx.mail_link_use(&link.handle, NOW).await, Ok(false));
    tx.commit().await.expect("commits");
    assert_eq!(store.begin_read(home.id()).await.expect("begins").mail_link(&link.handle).await, Ok(Some(link.clone())));
    let take = |_| {
        let store = Arc::clone(&store);
        let (tenant, handle) = (home.id(), link.handle);
        tokio::spawn(async move {
            let mut tx = store.begin(tenant).await.expect("begins");
            let is_first = tx.mail_link_use(&handle, NOW).await.expect("answered");
            tx.commit().await.expect("commits");
            is_first
        })
    };
    let used = join_all((0..64).map(take)).await;
    assert_eq!(used.into_iter().filter(|done| *done.as_ref().expect("no panic")).count(), 1);
    let mut tx = store.begin(home.id()).await.expect("begins");
    assert_eq!(tx.mail_link_insert(&link).await, Ok(false));
    assert_eq!(tx.mail_link(&link.handle).await, Ok(None));
    let fresh = sample::mail_link(&home.alice);
    assert_eq!(tx.mail_link_insert(&fresh).await, Ok(true));
    assert_eq!(tx.user_delete(home.alice.id).await, Ok(true));
    assert_eq!(tx.mail_link(&fresh.handle).await, Ok(None));
    tx.commit().await.expect("commits");
}

/// What expires is swept when it has, not before; a deleted tenant leaves nothing.
pub async fn what_expires_is_swept_and_a_tenant_leaves_nothing(store: Arc<dyn Store>) {
    let home = sample::home(&*store).await.expect("stored");
    let client = sample::client();
    let (pending, session) = (sample::pending(&client.id), sample::sso_session(home.alice.id));
    let (code, grant) = (sample::hash(), sample::code_grant(&client.id, home.alice.id));
    let notice = sample::logout_notice(&home.family);
    let (mail, link) = (sample::mail(&home.alice), sample::mail_link(&home.alice));
    let device = sample::device_grant(&client.id);
    let asked = sample::backchannel_request(&client.id, home.alice.id);
    let ping = sample::backchannel_ping(&client.id);
    let (token, resource, trusted) = (sample::initial_access_token(1), sample::resource(), sample::trusted_issuer());
    let store_all = async || {
        let mut tx = store.begin(home.id()).await.expect("begins");
        tx.pending_insert(&pending).await.expect("stored");
        tx.sso_insert(&session).await.expect("stored");
        tx.code_insert(&code, &grant).await.expect("stored");
        tx.device_insert(&code, &code.0, &device).await.expect("stored");
        tx.backchannel_insert(&code, &asked).await.expect("stored");
        tx.backchannel_ping_insert(&ping).await.expect("stored");
        tx.spend(&code.0, NOW).await.expect("spent");
        tx.logout_notice_insert(&notice).await.expect("stored");
        tx.mail_insert(&mail).await.expect("stored");
        tx.mail_link_insert(&link).await.expect("stored");
        tx.initial_token_insert(&token).await.expect("stored");
        tx.commit().await.expect("commits");
    };
    store_all().await;
    for (what, end) in [
        (Leftover::PendingRequests, pending.expires_at),
        (Leftover::AuthorizationCodes, grant.expires_at),
        (Leftover::DeviceCodes, device.expires_at),
        (Leftover::BackchannelRequests, asked.grant.expires_at),
        (Leftover::BackchannelPings, ping.expires_at),
        (Leftover::SsoSessions, session.ends_at()),
        (Leftover::SpentNames, NOW),
        (Leftover::LogoutNotices, notice.expires_at),
        (Leftover::Mails, mail.expires_at),
        (Leftover::MailLinks, link.expires_at),
        (Leftover::InitialAccessTokens, token.expires_at),
    ] {
        for (before, swept) in [(end, 0), (end.plus(Ttl::seconds(1)), 1), (end.plus(Ttl::seconds(1)), 0)] {
            let mut tx = store.begin_platform().await.expect("begins");
            assert_eq!(tx.sweep(what, before, 10).await, Ok(swept), "{what:?}");
            tx.commit().await.expect("commits");
        }
    }
    store_all().await;
    let mut tx = store.begin(home.id()).await.expect("begins");
    tx.client_insert(&client).await.expect("stored");
    tx.resource_insert(&resource).await.expect("stored");
    tx.trusted_issuer_insert(&trusted).await.expect("stored");
    tx.consent_set(home.alice.id, &client.id, &Allowed::default(), NOW).await.expect("set");
    tx.commit().await.expect("commits");
    sample::gone(&*store, home.id()).await.expect("gone");
    let mut tx = store.begin(home.id()).await.expect("begins");
    assert_eq!(tx.client_by_id(&client.id).await, Ok(None));
    assert_eq!(tx.resource_by_id(resource.id).await, Ok(None));
    assert_eq!(tx.trusted_issuer_by_id(trusted.id).await, Ok(None));
    assert_eq!(tx.pending_by_handle(&pending.handle).await, Ok(None));
    assert_eq!(tx.device_by_code(&code).await, Ok(None));
    assert_eq!(tx.backchannel_by_code(&code).await, Ok(None));
    assert_eq!(tx.backchannel_ping(ping.id).await, Ok(None));
    assert_eq!(tx.sso_by_handle(&session.handle).await, Ok(None));
    assert_eq!(tx.code_use(&code, home.family.id, NOW).await, Ok(CodeUse::Unknown));
    assert_eq!(tx.consent(home.alice.id, &client.id).await, Ok(None));
    assert_eq!(tx.logout_notice(notice.family_id).await, Ok(None));
    assert_eq!(tx.mail(mail.id).await, Ok(None));
    assert_eq!(tx.mail_link(&link.handle).await, Ok(None));
    assert_eq!(tx.initial_token_by_hash(&token.hash).await, Ok(None));
    assert_eq!(tx.spend(&code.0, NOW).await, Ok(true));
}
