//! What may be used once is used once, whoever tries at the same time, on whatever node: 64 ways, on SQLite and on two nodes with one
//! PostgreSQL (R15). And on a node with one connection, where nobody gets anywhere who holds it and waits for another one.

use std::collections::BTreeMap;

use futures_util::future::join_all;
use serde_json::json;

use crate::browser::Browser;
use crate::device::{self, allowed, poll, television};
use crate::dpop::{post, proof, token_form};
use crate::oidc::{client, code, shop};
use crate::registration::{self, REGISTER, initial_token, metadata, registration};
use crate::relay::Relay;
use crate::relying_party::Key;
use crate::world::{World, in_world_with, on_one_connection_with, on_two_nodes_with, sent};
use crate::{challenge, client_keys, mail, par};

const WAYS: usize = 64;
const TOKEN: &str = "/t/acme/oauth/token";

/// Where the queue is for one connection.
const FEW: usize = 4;

/// As many of these as may get the good answer do, and all others the one refusal; or they hear that the node has no connection left for
/// them in time, which is no answer to what they brought. That is for a busy machine, and not for most of them.
#[track_caller]
fn exactly(what: &str, times: usize, good: u16, refused: u16, statuses: &[u16]) {
    let mut counted: BTreeMap<u16, usize> = BTreeMap::new();
    for status in statuses {
        *counted.entry(*status).or_default() += 1;
    }
    assert_eq!(counted.remove(&good), Some(times), "{what}: {statuses:?}");
    assert!(counted.remove(&refused).is_some(), "{what}: {statuses:?}");
    let waited_in_vain = counted.remove(&503).unwrap_or_default();
    assert!(counted.is_empty(), "{what}: {statuses:?}");
    if waited_in_vain > 0 {
        eprintln!("{what}: {waited_in_vain} of {} got no connection in time", statuses.len());
    }
    assert!(waited_in_vain * 4 < statuses.len(), "{what}: {statuses:?}");
}

/// Each kind of one-time thing, one after the other, each used so many ways.
async fn each_kind(world: &World, relay: &Relay, ways: usize) {
    let buyer = shop(world, json!({})).await;
    let mut browser = Browser::new(&world.base_url);

    let once = code(&mut browser, &buyer, &[]).await;
    let answers = join_all((0..ways).map(|_| buyer.redeem(world, &once))).await;
    exactly("a code", 1, 200, 400, &answers.iter().map(|answer| answer.status).collect::<Vec<_>>());

    let pushed = par::push(world, &buyer, &[]).await.is(201).word("request_uri");
    let address = par::address("acme", &buyer.id, &pushed);
    let tabs = join_all((0..ways).map(|_| {
        let mut tab = browser.thief("_sso_").before(world.node());
        let address = &address;
        async move { tab.get(address).await.status }
    }));
    exactly("a request_uri", 1, 303, 400, &tabs.await);

    world.policy("acme", json!({ "device_authorization": true })).await;
    let television = client(world, television()).await;
    let asked = device::ask(world, &television).await;
    allowed(&mut Browser::new(&world.base_url), asked["user_code"].as_str().expect("a code")).await;
    world.clock.forward(5);
    let answers = join_all((0..ways).map(|_| poll(world, &television, &asked))).await;
    exactly("a device code", 1, 200, 400, &answers.iter().map(|answer| answer.status).collect::<Vec<_>>());

    let shop_app = challenge::own_app(world, json!({})).await;
    let begun = challenge::half_way(world, &shop_app, "bob").await;
    let answers = join_all((0..WAYS).map(|way| challenge::renew(world, &shop_app, &begun, way))).await;
    exactly("an auth_session", 1, 200, 400, &answers.iter().map(|answer| answer.status).collect::<Vec<_>>());

    let key = Key::new("1");
    let machine = client_keys::machine(world, json!({ "jwks": { "keys": [key.jwk()] } })).await;
    let assertion = key.sign(&machine.claims(world));
    let answers = join_all((0..ways).map(|_| client_keys::present(world, &assertion))).await;
    exactly("the jti of an assertion", 1, 200, 401, &answers.iter().map(|answer| answer.status).collect::<Vec<_>>());

    let form = json!({ "grant_types": ["client_credentials"], "scope": "reports", "redirect_uris": [], "response_types": [] });
    let reports = client(world, form).await;
    let form = token_form(&reports, &[("grant_type", "client_credentials")]);
    let proofs = [proof(world, &key, "POST", TOKEN, json!({}))];
    let answers = join_all((0..ways).map(|_| post(world, TOKEN, &form, &proofs))).await;
    exactly("the jti of a DPoP proof", 1, 200, 400, &answers.iter().map(|answer| answer.status).collect::<Vec<_>>());

    registration(world, json!({ "access": "initial_access_token" })).await;
    for uses in [1, 3] {
        let token = initial_token(world, json!({ "uses": uses })).await.word("token");
        let registrar = world.bearing(&token);
        let answers = join_all((0..ways).map(|_| registrar.post(REGISTER, metadata(json!({}))))).await;
        let statuses: Vec<_> = answers.iter().map(|answer| answer.status).collect();
        exactly("an initial access token", uses, 201, 401, &statuses);
        // The client that was registered goes once, too.
        let made = answers.iter().find(|answer| answer.status == 201).expect("one was registered");
        let itself = world.bearing(&made.word("registration_access_token"));
        let place = registration::address(world, made);
        let answers = join_all((0..ways).map(|_| itself.delete(&place))).await;
        exactly("a registration", 1, 204, 401, &answers.iter().map(|answer| answer.status).collect::<Vec<_>>());
    }

    // The last one, because alice gets another password.
    mail::asked(world, "alice").await.is(303);
    let link = mail::path_of(world, &relay.mails(1).await[0]);
    let tries = join_all((0..ways).map(|number| {
        let mut browser = Browser::new(world.node());
        let link = &link;
        async move { mail::chosen(&mut browser, link, &format!("forty-two-mauve-tractors-hum-{number}")).await.status }
    }));
    exactly("the link of a mail", 1, 303, 400, &tries.await);
    // Nothing of this has broken anything.
    sent(world.anon().request("GET", "/t/acme/.well-known/openid-configuration")).await.is(200);
}

#[test]
fn r15_s052_s058_s098_of_64_who_use_a_one_time_thing_exactly_one_does_on_sqlite() {
    let relay = Relay::start();
    in_world_with(|settings| relay.set(settings), async |world| each_kind(world, &relay, WAYS).await);
}

#[test]
fn r15_s052_s058_s098_of_64_who_use_a_one_time_thing_exactly_one_does_on_two_nodes_with_postgresql() {
    let relay = Relay::start();
    on_two_nodes_with(|settings| relay.set(settings), async |world| each_kind(world, &relay, WAYS).await);
}

#[test]
fn r15_nobody_holds_a_connection_and_waits_for_a_second_one() {
    let relay = Relay::start();
    on_one_connection_with(|settings| relay.set(settings), async |world| each_kind(world, &relay, FEW).await);
}
