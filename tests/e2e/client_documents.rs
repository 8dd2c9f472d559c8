//! Clients that are known by a document at the address that is their id (draft-ietf-oauth-client-id-metadata-document).

use domain::time::Ttl;
use serde_json::{Value, json};
use server::Settings;

use crate::browser::Browser;
use crate::oidc::{CALLBACK, Shop, claims, logged_in, shop, told};
use crate::relying_party::{Key, RelyingParty};
use crate::world::{World, in_world, in_world_with};

fn open(settings: &mut Settings) {
    settings.outbound.allow_private = vec!["127.0.0.0/8".parse().expect("a range")];
}

async fn policy(world: &World, policy: Value) {
    world.policy("acme", json!({ "client_id_metadata_documents": policy })).await;
}

fn document(id: &str, more: Value) -> Value {
    let mut document = json!({
        "client_id": id, "client_name": "Stall", "redirect_uris": [CALLBACK], "grant_types": ["authorization_code", "refresh_token"],
        "token_endpoint_auth_method": "none",
    });
    document.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
    document
}

/// A tenant with alice that takes all such clients, and one of them.
async fn stall(world: &World) -> (RelyingParty, Shop) {
    shop(world, json!({})).await;
    policy(world, json!({ "access": "open" })).await;
    let party = RelyingParty::start().await;
    let id = format!("{}/client.json", party.url);
    party.show_document(document(&id, json!({})));
    (party, Shop { id, secret: String::new() })
}

#[test]
fn a_client_nobody_has_registered_logs_a_user_in_who_sees_its_host() {
    in_world_with(open, async |world| {
        let (party, stall) = stall(world).await;
        let metadata = world.anon().get("/t/acme/.well-known/openid-configuration").await.is(200).json();
        assert_eq!(metadata["client_id_metadata_document_supported"], true);
        let mut browser = Browser::new(&world.base_url);
        let asked = logged_in(&mut browser, &stall.request(&[])).await.is(200);
        assert!(asked.text.contains("Stall (127.0.0.1)"), "{}", asked.text);
        let allowed = browser.submit(&asked, &[("decision", "allow")]).await;
        let allowed = browser.follow(allowed).await;
        let tokens = stall.redeem(world, &told(&allowed)["code"]).await.is(200);
        assert_eq!(claims(&tokens.word("id_token"))["aud"], stall.id);
        let (access, refresh) = (tokens.word("access_token"), tokens.word("refresh_token"));
        assert_eq!(claims(&access)["client_id"], stall.id);
        world.bearing(&access).get("/t/acme/oauth/userinfo").await.is(200);
        let refresh = stall.refresh(world, &refresh).await.is(200).word("refresh_token");
        assert_eq!(party.fetched(), 1, "it was asked once");
        // She is asked again each time.
        let again = browser.get(&stall.request(&[])).await;
        assert!(browser.follow(again).await.is(200).text.contains("Stall (127.0.0.1)"));
        assert!(browser.get("/t/acme/account").await.is(200).text.contains("Stall (127.0.0.1)"));
        // Administrators see it among the clients.
        let admin = world.platform_admin();
        let listed = admin.get("/admin/v1/tenants/acme/clients?limit=1").await.is(200).json();
        let rest =
            admin.get(&format!("/admin/v1/tenants/acme/clients?limit=200&after={}", listed["next"].as_str().expect("more"))).await.is(200);
        assert!(listed.to_string().contains(&stall.id) || rest.text.contains(&stall.id));
        let events = admin.get("/admin/v1/tenants/acme/events").await.is(200).text;
        assert!(events.contains("client_registered"), "{events}");

        // Whom the tenant does not take any more has nothing any more, at once.
        policy(world, json!({ "access": "listed", "hosts": ["app.example"] })).await;
        world.bearing(&access).get("/t/acme/oauth/userinfo").await.is(401);
        stall.refresh(world, &refresh).await.refused_oauth(401, "invalid_client");
        browser.get(&stall.request(&[])).await.is(400);
        policy(world, json!({ "hosts": ["app.example", "127.0.0.1"] })).await;
        stall.refresh(world, &refresh).await.is(200);
    });
}

#[test]
fn it_is_off_unless_the_tenant_says_otherwise_and_nobody_is_asked_then() {
    in_world_with(open, async |world| {
        let (party, stall) = stall(world).await;
        for off in [json!({ "access": "off" }), json!({ "access": "listed", "hosts": ["app.example"] })] {
            policy(world, off).await;
            Browser::new(&world.base_url).get(&stall.request(&[])).await.is(400);
        }
        policy(world, json!({ "access": "off" })).await;
        let metadata = world.anon().get("/t/acme/.well-known/openid-configuration").await.is(200).json();
        assert!(metadata.get("client_id_metadata_document_supported").is_none());
        // Elsewhere than where logins begin nobody brings a newcomer.
        policy(world, json!({ "access": "open" })).await;
        stall.redeem(world, "ac1_x").await.refused_oauth(401, "invalid_client");
        assert_eq!(party.fetched(), 0);
        let pushed = [("client_id", stall.id.as_str()), ("redirect_uri", CALLBACK), ("response_type", "code")];
        world.anon().form("/t/acme/oauth/par", &pushed).await.refused_oauth(400, "invalid_request");
        assert_eq!(party.fetched(), 1, "it pushes: PKCE is what is missing");
        let bad = json!({ "policy": { "client_id_metadata_documents": { "access": "listed", "hosts": ["*.example"] } } });
        world.platform_admin().patch("/admin/v1/tenants/acme", bad).await.refused(422, "policy_refused");
    });
}

#[test]
fn nothing_inside_is_asked_by_the_word_of_a_stranger() {
    // Nothing is opened here.
    in_world(async |world| {
        let (party, stall) = stall(world).await;
        let mut browser = Browser::new(&world.base_url);
        for id in [stall.id.as_str(), "https://127.0.0.1/client.json", "https://localhost/client.json", "https://[::1]/client.json"] {
            browser.get(&stall.request(&[("client_id", id)])).await.is(400);
        }
        assert_eq!(party.fetched(), 0);
    });
}

#[test]
fn a_document_that_will_not_do_is_no_client_and_is_not_asked_for_again_at_once() {
    in_world_with(open, async |world| {
        let (party, stall) = stall(world).await;
        let mut browser = Browser::new(&world.base_url);
        let (mut fetched, mut number) = (0, 0);
        for wrong in [
            json!([]),
            json!("x"),
            document("https://app.example/client.json", json!({})),
            document("same", json!({ "client_secret": "x" })),
            document("same", json!({ "token_endpoint_auth_method": "client_secret_basic" })),
            document("same", json!({ "redirect_uris": ["http://shop.example/cb"] })),
            document("same", json!({ "client_uri": format!("https://app.example/{}", "x".repeat(5_200)) })),
            document("same", json!({ "id_token_signed_response_alg": "HS256" })),
        ] {
            number += 1;
            let id = format!("{}/{number}.json", party.url);
            let mut shown = wrong;
            if shown["client_id"] == "same" {
                shown["client_id"] = json!(id);
            }
            party.show_document(shown.clone());
            for _ in 0..2 {
                browser.get(&stall.request(&[("client_id", &id)])).await.is(400);
            }
            fetched += 1;
            assert_eq!(party.fetched(), fetched, "{shown}");
        }
        // A minute later it is looked at again.
        let id = format!("{}/{number}.json", party.url);
        party.show_document(document(&id, json!({})));
        browser.get(&stall.request(&[("client_id", &id)])).await.is(400);
        world.clock.forward(61);
        browser.get(&stall.request(&[("client_id", &id)])).await.is(303);
        // Another redirect URI than it says is refused.
        browser.get(&stall.request(&[("client_id", &id), ("redirect_uri", "https://evil.example/cb")])).await.is(400);
    });
}

#[test]
fn a_document_is_read_again_when_it_is_due_and_what_it_says_then_counts() {
    in_world_with(open, async |world| {
        let (party, stall) = stall(world).await;
        let mut browser = Browser::new(&world.base_url);
        browser.get(&stall.request(&[])).await.is(303);
        world.clock.forward(3_500);
        browser.get(&stall.request(&[])).await.is(303);
        assert_eq!(party.fetched(), 1);
        party.show_document(document(&stall.id, json!({ "redirect_uris": ["https://shop.example/other"] })));
        world.clock.forward(200);
        browser.get(&stall.request(&[])).await.is(400);
        browser.get(&stall.request(&[("redirect_uri", "https://shop.example/other")])).await.is(303);
        assert_eq!(party.fetched(), 2);
        // One that goes bad is no client any more, though it was one.
        party.show_document(json!({}));
        world.clock.forward(3_700);
        browser.get(&stall.request(&[("redirect_uri", "https://shop.example/other")])).await.is(400);
        assert_eq!(party.fetched(), 3);
    });
}

#[test]
fn strangers_make_the_server_fetch_no_more_than_so_much() {
    in_world_with(open, async |world| {
        let (party, stall) = stall(world).await;
        let mut browser = Browser::new(&world.base_url);
        for number in 0..55 {
            browser.get(&stall.request(&[("client_id", &format!("{}/{number}.json", party.url))])).await.is(400);
        }
        assert_eq!(party.fetched(), 50);
        // Whom one knows already is known still.
        world.clock.forward(31);
        let id = format!("{}/known.json", party.url);
        party.show_document(document(&id, json!({})));
        browser.get(&stall.request(&[("client_id", &id)])).await.is(303);
        browser.get(&stall.request(&[])).await.is(400);
        browser.get(&stall.request(&[("client_id", &id)])).await.is(303);
        // At once it is asked once.
        world.clock.forward(7_200);
        let all = (0..8).map(|_| {
            let mut browser = Browser::new(&world.base_url);
            let address = stall.request(&[("client_id", &id)]);
            async move { browser.get(&address).await.status }
        });
        let before = party.fetched();
        assert_eq!(futures_util::future::join_all(all).await, [303; 8]);
        assert_eq!(party.fetched(), before + 1);
    });
}

#[test]
fn a_client_with_a_key_proves_it_and_is_asked_for_all_the_same() {
    in_world_with(open, async |world| {
        let (party, _) = stall(world).await;
        let (id, key) = (format!("{}/keyed.json", party.url), Key::new("1"));
        party.show_document(document(&id, json!({ "token_endpoint_auth_method": "private_key_jwt", "jwks": { "keys": [key.jwk()] } })));
        let keyed = Shop { id: id.clone(), secret: String::new() };
        let mut browser = Browser::new(&world.base_url);
        for round in 0..2 {
            let page = if round == 0 {
                logged_in(&mut browser, &keyed.request(&[])).await
            } else {
                let page = browser.get(&keyed.request(&[])).await;
                browser.follow(page).await
            };
            let allowed = browser.submit(&page.is(200), &[("decision", "allow")]).await;
            let code = told(&browser.follow(allowed).await)["code"].clone();
            keyed.redeem(world, &code).await.refused_oauth(401, "invalid_client");
            let assertion = key.sign(&crate::client_keys::machine_of(&id).claims(world));
            let proof = [("client_assertion_type", domain::client::assertion::ASSERTION_TYPE), ("client_assertion", &assertion)];
            keyed.redeem_with(world, &code, &proof).await.is(200);
        }
    });
}

#[test]
fn a_client_that_nobody_uses_goes_after_a_day() {
    in_world_with(open, async |world| {
        let (_, stall) = stall(world).await;
        let listed = async || {
            let token = world.platform_token(Ttl::hours(1)).await;
            world.bearing(&token).get("/admin/v1/tenants/acme/clients").await.is(200).text.contains(&stall.id)
        };
        Browser::new(&world.base_url).get(&stall.request(&[])).await.is(303);
        assert!(listed().await);
        world.clock.forward(86_401);
        world.sweep().await;
        assert!(!listed().await);
    });
}
