//! Pushed authorization requests (RFC 9126): the client hands its request over, the browser brings a reference alone.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;
use url::Url;

use crate::browser::{Browser, Page};
use crate::oidc::{Shop, client, logged_in, shop, told};
use crate::world::{Answer, World, in_world};

const PAR: &str = "/t/acme/oauth/par";
const PREFIX: &str = "urn:ietf:params:oauth:request_uri:";

/// Pushes the request that the browser would bring; `more` replaces and adds, and takes away what is empty.
pub(crate) async fn push(world: &World, shop: &Shop, more: &[(&str, &str)]) -> Answer {
    let request = Url::parse(&format!("https://x.example{}", shop.request(&[]))).expect("an address");
    let mut form: BTreeMap<String, String> = request.query_pairs().into_owned().collect();
    form.insert("client_secret".to_owned(), shop.secret.clone());
    form.extend(more.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    form.retain(|_, value| !value.is_empty());
    world.anon().form(PAR, &form.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect::<Vec<_>>()).await
}

/// The address that the browser is sent to with a pushed request.
pub(crate) fn address(tenant: &str, client_id: &str, request_uri: &str) -> String {
    let query = url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs([("client_id", client_id), ("request_uri", request_uri)])
        .finish();
    format!("/t/{tenant}/oauth/authorize?{query}")
}

#[track_caller]
fn turned_away(page: Page) {
    let page = page.is(400);
    assert!(page.text.contains("invalid_request_uri"), "{}", page.text);
}

#[test]
fn s038_s041_a_pushed_request_logs_in_once_and_its_page_may_be_loaded_again_before() {
    in_world(async |world| {
        let shop = shop(world, json!({ "require_pushed_authorization_requests": true })).await;
        let pushed = push(world, &shop, &[]).await.is(201);
        assert_eq!(pushed.header("cache-control"), "no-store");
        assert_eq!(pushed.json()["expires_in"], 90);
        let uri = pushed.word("request_uri");
        assert_eq!(URL_SAFE_NO_PAD.decode(uri.strip_prefix(PREFIX).expect("ours")).expect("base64url").len(), 32);

        let address = address("acme", &shop.id, &uri);
        let (mut first, mut second) = (Browser::new(&world.base_url), Browser::new(&world.base_url));
        for browser in [&mut first, &mut second] {
            let page = browser.get(&address).await.is(303);
            browser.follow(page).await.is(200);
        }
        let waiting = second.get(&address).await.is(303);
        let waiting = second.follow(waiting).await.is(200);
        let page = logged_in(&mut first, &address).await;
        let answer = told(&page);
        assert_eq!(answer["state"], "a state & more", "what was pushed is what counts");
        shop.redeem(world, &answer["code"]).await.is(200);

        turned_away(first.get(&address).await);
        // The other browser had loaded its page in time: it may type what it wants, there is no second answer.
        let page = second.submit(&waiting, &[("identifier", "alice"), ("password", crate::world::PASSWORD)]).await;
        let page = second.follow(page).await.is(400);
        assert!(page.text.contains("no_such_request"), "{}", page.text);
    });
}

#[test]
fn s041_of_many_browsers_with_one_pushed_request_one_gets_a_code() {
    in_world(async |world| {
        let shop = shop(world, json!({})).await;
        let mut browser = Browser::new(&world.base_url);
        logged_in(&mut browser, &shop.request(&[])).await;
        let uri = push(world, &shop, &[]).await.is(201).word("request_uri");
        let address = address("acme", &shop.id, &uri);
        let answers = futures_util::future::join_all((0..16).map(|_| {
            let mut tab = browser.thief("_sso_");
            let address = &address;
            async move { tab.get(address).await.status }
        }))
        .await;
        assert_eq!(answers.iter().filter(|status| **status == 303).count(), 1, "{answers:?}");
        assert!(answers.iter().all(|status| [303, 400].contains(status)), "{answers:?}");
    });
}

#[test]
fn s040_s041_a_request_uri_is_of_one_client_one_tenant_and_ninety_seconds() {
    in_world(async |world| {
        let shop = shop(world, json!({})).await;
        let other = client(world, json!({})).await;
        world.tenant("rival").await;
        let uri = push(world, &shop, &[]).await.is(201).word("request_uri");
        let mut browser = Browser::new(&world.base_url);
        turned_away(browser.get(&address("acme", &other.id, &uri)).await);
        let elsewhere = browser.get(&address("rival", &shop.id, &uri)).await.is(400);
        assert!(elsewhere.text.contains("invalid_request"), "{}", elsewhere.text);
        turned_away(browser.get(&address("acme", &shop.id, &format!("{PREFIX}junk"))).await);
        turned_away(browser.get(&address("acme", &shop.id, &format!("{PREFIX}{}", "A".repeat(600)))).await);

        world.clock.forward(89);
        let began = browser.get(&address("acme", &shop.id, &uri)).await.is(303);
        world.clock.forward(2);
        turned_away(browser.get(&address("acme", &shop.id, &uri)).await);
        // Who began in time has the time to type, also when leftovers are swept meanwhile.
        world.clock.forward(600);
        world.sweep().await;
        let page = browser.follow(began).await.is(200);
        let page = browser.submit(&page, &[("identifier", "alice"), ("password", crate::world::PASSWORD)]).await;
        let page = browser.follow(page).await;
        assert!(told(&page).contains_key("code"));
    });
}

#[test]
fn s037_s039_s043_what_is_wrong_with_a_pushed_request_is_said_at_once() {
    in_world(async |world| {
        let shop = shop(world, json!({})).await;
        for (more, error) in [
            (("request_uri", "urn:ietf:params:oauth:request_uri:x"), "invalid_request"),
            (("redirect_uri", ""), "invalid_request"),
            (("redirect_uri", "https://evil.example/cb"), "invalid_request"),
            (("code_challenge_method", "plain"), "invalid_request"),
            (("response_type", "token"), "unsupported_response_type"),
            (("request", "x"), "request_not_supported"),
        ] {
            push(world, &shop, &[more]).await.refused_oauth(400, error);
        }
        push(world, &shop, &[("client_secret", "wrong")]).await.refused_oauth(401, "invalid_client");
        world.anon().get(PAR).await.is(405);
        let large = "x".repeat(70_000);
        push(world, &shop, &[("state", &large)]).await.refused_oauth(413, "invalid_request");
    });
}

#[test]
fn s042_a_client_that_has_to_push_cannot_do_without() {
    in_world(async |world| {
        let shop = shop(world, json!({ "require_pushed_authorization_requests": true })).await;
        let page = Browser::new(&world.base_url).get(&shop.request(&[])).await;
        assert_eq!(told(&page)["error"], "invalid_request");
    });
}
