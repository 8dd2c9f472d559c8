//! The device grant (RFC 8628): a device shows a code, its user types it into a browser, logs in, compares and answers.

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::browser::{Browser, Page};
use crate::oidc::{Shop, claims, client, shop};
use crate::world::{Answer, PASSWORD, World, in_world};

const TOKEN: &str = "/t/acme/oauth/token";
const ASK: &str = "/t/acme/oauth/device_authorization";
const PAGE: &str = "/t/acme/device";
const DEVICE_CODE: &str = "urn:ietf:params:oauth:grant-type:device_code";

/// The metadata of a television: public, with nothing but the device grant.
pub(crate) fn television() -> Value {
    json!({
        "client_name": "Television", "redirect_uris": null, "post_logout_redirect_uris": null, "grant_types": [DEVICE_CODE, "refresh_token"],
        "scope": "openid profile email offline_access", "token_endpoint_auth_method": "none", "consent": "third_party",
    })
}

/// A tenant that wants devices, with alice and a television.
async fn living_room(world: &World) -> Shop {
    let television = shop(world, television()).await;
    world.policy("acme", json!({ "device_authorization": true })).await;
    television
}

/// Somebody whose device waits for ever.
pub(crate) async fn leave_behind(world: &World) {
    world.policy("acme", json!({ "device_authorization": true })).await;
    let television = client(world, television()).await;
    ask(world, &television).await;
}

pub(crate) async fn ask(world: &World, client: &Shop) -> Value {
    let form = [("client_id", client.id.as_str()), ("client_secret", client.secret.as_str())];
    let form: Vec<_> = form.into_iter().filter(|(_, value)| !value.is_empty()).collect();
    world.anon().form(ASK, &form).await.is(200).json()
}

pub(crate) async fn poll(world: &World, client: &Shop, asked: &Value) -> Answer {
    let code = asked["device_code"].as_str().expect("a code");
    world.anon().form(TOKEN, &[("grant_type", DEVICE_CODE), ("device_code", code), ("client_id", &client.id)]).await
}

fn word<'a>(asked: &'a Value, name: &str) -> &'a str {
    asked[name].as_str().expect("a string")
}

async fn typed(browser: &mut Browser, code: &str) -> Page {
    let page = browser.get(PAGE).await.is(200);
    browser.submit(&page, &[("user_code", code)]).await
}

/// Types the code and logs alice in; answers the page that asks whether this is the device.
async fn at_confirmation(browser: &mut Browser, code: &str) -> Page {
    let page = typed(browser, code).await;
    let page = browser.follow(page).await.is(200);
    let page = browser.submit(&page, &[("identifier", "alice"), ("password", PASSWORD)]).await;
    browser.follow(page).await.is(200)
}

pub(crate) async fn allowed(browser: &mut Browser, code: &str) {
    let page = at_confirmation(browser, code).await;
    let page = browser.submit(&page, &[("decision", "allow")]).await.is(200);
    assert!(page.text.contains("Device connected"), "{}", page.text);
}

#[test]
fn s087_s091_a_user_signs_a_device_in_after_comparing_its_code() {
    in_world(async |world| {
        let television = living_room(world).await;
        let asked = ask(world, &television).await;
        let issuer = format!("{}/t/acme", world.base_url);
        let code = word(&asked, "user_code");
        assert_eq!(word(&asked, "verification_uri"), format!("{issuer}/device"));
        assert_eq!(word(&asked, "verification_uri_complete"), format!("{issuer}/device?user_code={code}"));
        assert_eq!((asked["expires_in"].as_u64(), asked["interval"].as_u64()), (Some(600), Some(5)));
        assert!(code.len() == 9 && code.replace('-', "").bytes().all(|letter| b"BCDFGHJKLMNPQRSTVWXZ".contains(&letter)), "{code}");
        poll(world, &television, &asked).await.refused_oauth(400, "authorization_pending");

        // The complete address fills the code in, and no more than that.
        let mut browser = Browser::new(&world.base_url);
        let page = browser.get(word(&asked, "verification_uri_complete")).await.is(200);
        assert!(page.header("content-security-policy").contains("frame-ancestors 'none'"));
        assert_eq!(page.form().1["user_code"], code);
        let page = browser.submit(&page, &[]).await;
        let page = browser.follow(page).await.is(200);
        let page = browser.submit(&page, &[("identifier", "alice"), ("password", PASSWORD)]).await;
        let page = browser.follow(page).await.is(200);
        for shown in [code, "Television", "127.0.0.1", "alice"] {
            assert!(page.text.contains(shown), "{shown} is not on {}", page.text);
        }
        world.clock.forward(5);
        poll(world, &television, &asked).await.refused_oauth(400, "authorization_pending");
        let page = browser.submit(&page, &[("decision", "allow")]).await.is(200);
        assert!(page.text.contains("Device connected"), "{}", page.text);

        world.clock.forward(5);
        let tokens = poll(world, &television, &asked).await.is(200);
        assert_eq!(tokens.header("cache-control"), "no-store");
        assert_eq!(tokens.word("scope"), "email openid profile", "it named no scope: who it is, and not for good");
        let id = claims(&tokens.word("id_token"));
        assert_eq!((id["aud"].as_str(), id["iss"].as_str()), (Some(television.id.as_str()), Some(issuer.as_str())));
        let info = world.bearing(&tokens.word("access_token")).get("/t/acme/oauth/userinfo").await.is(200).json();
        assert_eq!((&info["sub"], info["email"].as_str()), (&id["sub"], Some("alice@acme.example")));
        let later = television.refresh(world, &tokens.word("refresh_token")).await.is(200);
        assert_eq!(claims(&later.word("id_token"))["sid"], id["sid"]);

        poll(world, &television, &asked).await.refused_oauth(400, "invalid_grant");
        let events = world.platform_admin().get("/admin/v1/tenants/acme/events").await.is(200).text;
        for event in ["device_allowed", "device_signed_in"] {
            assert!(events.contains(event), "{event} is not in {events}");
        }
        for secret in [code, word(&asked, "device_code")] {
            assert!(!events.contains(secret));
            let stored = std::fs::read(&world.database).expect("the database");
            assert!(!stored.windows(secret.len()).any(|bytes| bytes == secret.as_bytes()), "{secret} lies in the database");
        }
    });
}

#[test]
fn s088_a_device_hears_what_it_has_to_do() {
    in_world(async |world| {
        let television = living_room(world).await;
        let asked = ask(world, &television).await;
        poll(world, &television, &asked).await.refused_oauth(400, "authorization_pending");
        poll(world, &television, &asked).await.refused_oauth(400, "slow_down");
        world.clock.forward(6);
        poll(world, &television, &asked).await.refused_oauth(400, "slow_down");
        world.clock.forward(15);
        poll(world, &television, &asked).await.refused_oauth(400, "authorization_pending");
        world.clock.forward(600);
        poll(world, &television, &asked).await.refused_oauth(400, "expired_token");

        let asked = ask(world, &television).await;
        let mut browser = Browser::new(&world.base_url);
        let page = at_confirmation(&mut browser, word(&asked, "user_code")).await;
        let page = browser.submit(&page, &[("decision", "deny")]).await.is(200);
        assert!(page.text.contains("Device not connected"), "{}", page.text);
        poll(world, &television, &asked).await.refused_oauth(400, "access_denied");
        // An answered code is no code any more.
        let page = typed(&mut browser, word(&asked, "user_code")).await.is(200);
        assert!(page.text.contains("That code isn"), "{}", page.text);
    });
}

#[test]
fn s088_who_would_not_log_in_has_said_no() {
    in_world(async |world| {
        let television = living_room(world).await;
        let asked = ask(world, &television).await;
        let mut browser = Browser::new(&world.base_url);
        let page = typed(&mut browser, word(&asked, "user_code")).await;
        let page = browser.follow(page).await.is(200);
        let page = browser.submit(&page, &[("cancel", "1")]).await.is(200);
        assert!(page.text.contains("Device not connected"), "{}", page.text);
        poll(world, &television, &asked).await.refused_oauth(400, "access_denied");
    });
}

#[test]
fn s089_guessed_user_codes_are_limited_by_place_and_in_all() {
    in_world(async |world| {
        let television = living_room(world).await;
        let asked = ask(world, &television).await;
        let mut browser = Browser::new(&world.base_url);
        let page = browser.get(PAGE).await.is(200);
        for _ in 0..50 {
            browser.submit(&page, &[("user_code", "BCDF-GHJK")]).await.is(200);
        }
        // Slips are no guesses, and do not count.
        browser.submit(&page, &[("user_code", "not a code")]).await.is(200);
        let refused = browser.submit(&page, &[("user_code", word(&asked, "user_code"))]).await.is(429);
        assert_eq!(refused.header("retry-after"), "30");
        world.clock.forward(31);
        browser.submit(&page, &[("user_code", word(&asked, "user_code"))]).await.is(303);
    });
}

#[test]
fn s090_a_device_code_is_of_one_client_and_fetched_once_by_sixty_four() {
    in_world(async |world| {
        let television = living_room(world).await;
        let other = client(world, self::television()).await;
        let asked = ask(world, &television).await;
        poll(world, &other, &asked).await.refused_oauth(400, "invalid_grant");
        let mut browser = Browser::new(&world.base_url);
        allowed(&mut browser, word(&asked, "user_code")).await;
        poll(world, &other, &asked).await.refused_oauth(400, "invalid_grant");
        let answers = join_all((0..64).map(|_| poll(world, &television, &asked))).await;
        let (won, lost): (Vec<_>, Vec<_>) = answers.into_iter().partition(|answer| answer.status == 200);
        assert_eq!(won.len(), 1);
        for answer in lost {
            answer.refused_oauth(400, "invalid_grant");
        }
    });
}

#[test]
fn s091_r65_nobody_answers_a_device_but_the_browser_that_its_code_was_typed_in() {
    in_world(async |world| {
        let television = living_room(world).await;
        let asked = ask(world, &television).await;
        let mut browser = Browser::new(&world.base_url);
        let page = at_confirmation(&mut browser, word(&asked, "user_code")).await;
        let (action, fields) = page.form();
        let answer: Vec<_> = fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).chain([("decision", "allow")]).collect();

        // Another browser of the same user, with the same session; one without anything; one from another site; one without the token.
        let mut second = browser.thief("_sso_");
        second.post(&action, &answer).await.is(400);
        Browser::new(&world.base_url).post(&action, &answer).await.is(400);
        browser.post_with(&action, &answer, ("sec-fetch-site", "cross-site")).await.is(403);
        browser.post(&action, &[("decision", "allow")]).await.is(403);
        // A code that somebody else's page posts for a user leads nowhere either.
        let mut victim = Browser::new(&world.base_url);
        victim.get(PAGE).await.is(200);
        victim.post(PAGE, &[("user_code", word(&asked, "user_code"))]).await.is(403);

        poll(world, &television, &asked).await.refused_oauth(400, "authorization_pending");
        browser.post(&action, &answer).await.is(200);
        world.clock.forward(5);
        poll(world, &television, &asked).await.is(200);
    });
}

#[test]
fn s091_who_is_logged_in_is_asked_all_the_same_also_by_a_client_of_the_tenant() {
    in_world(async |world| {
        let mut own = television();
        (own["consent"], own["token_endpoint_auth_method"]) = (json!("first_party"), json!("client_secret_post"));
        let television = shop(world, own).await;
        world.policy("acme", json!({ "device_authorization": true })).await;
        let mut browser = Browser::new(&world.base_url);
        allowed(&mut browser, word(&ask(world, &television).await, "user_code")).await;
        let asked = ask(world, &television).await;
        let page = typed(&mut browser, word(&asked, "user_code")).await;
        let page = browser.follow(page).await.is(200);
        assert!(page.text.contains(word(&asked, "user_code")) && !page.text.contains("password"), "{}", page.text);
    });
}

#[test]
fn what_a_user_allowed_is_worth_nothing_once_their_session_ended() {
    in_world(async |world| {
        let television = living_room(world).await;
        let asked = ask(world, &television).await;
        allowed(&mut Browser::new(&world.base_url), word(&asked, "user_code")).await;
        world.clock.forward(1);
        let users = world.platform_admin().get("/admin/v1/tenants/acme/users").await.is(200).json();
        let user = format!("/admin/v1/tenants/acme/users/{}", users["items"][0]["id"].as_str().expect("alice"));
        world.platform_admin().put(&format!("{user}/password"), json!({ "password": "cobalt.thimble.orchard.64" })).await.is(204);
        poll(world, &television, &asked).await.refused_oauth(400, "invalid_grant");
    });
}

#[test]
fn r65_devices_are_off_unless_the_tenant_wants_them() {
    in_world(async |world| {
        let television = shop(world, television()).await;
        let metadata = async || world.anon().get("/t/acme/.well-known/openid-configuration").await.is(200).json();
        let listed = metadata().await;
        assert!(
            listed.get("device_authorization_endpoint").is_none() && !listed["grant_types_supported"].to_string().contains("device_code")
        );
        world.anon().form(ASK, &[("client_id", &television.id)]).await.refused_oauth(400, "unsupported_grant_type");
        Browser::new(&world.base_url).get(PAGE).await.is(404);

        world.policy("acme", json!({ "device_authorization": true })).await;
        let listed = metadata().await;
        assert_eq!(listed["device_authorization_endpoint"], format!("{}{ASK}", world.base_url));
        assert!(listed["grant_types_supported"].to_string().contains(DEVICE_CODE));
        let asked = ask(world, &television).await;
        let mut browser = Browser::new(&world.base_url);
        allowed(&mut browser, word(&asked, "user_code")).await;

        // Switched off, nothing of it goes on.
        world.policy("acme", json!({ "device_authorization": false })).await;
        poll(world, &television, &asked).await.refused_oauth(400, "unsupported_grant_type");
        let page = browser.get(PAGE).await;
        page.is(404);
        let shop = client(world, json!({})).await;
        world.policy("acme", json!({ "device_authorization": true })).await;
        world.anon().form(ASK, &[("client_id", &shop.id), ("client_secret", &shop.secret)]).await.refused_oauth(400, "unauthorized_client");
    });
}
