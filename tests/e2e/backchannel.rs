//! Backchannel authentication (OpenID CIBA Core 1.0): a client asks a user whose browser it has not got; they answer on their account page.

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::browser::{Browser, Page};
use crate::oidc::{Shop, claims, client, shop};
use crate::relying_party::RelyingParty;
use crate::world::{Answer, PASSWORD, World, in_world, in_world_with};

const TOKEN: &str = "/t/acme/oauth/token";
const ASK: &str = "/t/acme/oauth/bc-authorize";
const CIBA: &str = "urn:openid:params:grant-type:ciba";
const ACCOUNT: &str = "/t/acme/account";
const DECIDE: &str = "/t/acme/account/requests/decide";

/// The metadata of a call centre: confidential, with nothing but this grant.
fn call_centre() -> Value {
    json!({
        "client_name": "Call centre", "redirect_uris": null, "post_logout_redirect_uris": null, "grant_types": [CIBA, "refresh_token"],
        "backchannel_token_delivery_mode": "poll", "scope": "openid profile email offline_access", "consent": "third_party",
    })
}

/// A tenant that wants it, with alice and a call centre.
async fn hotline(world: &World) -> Shop {
    let centre = shop(world, call_centre()).await;
    world.policy("acme", json!({ "backchannel_authentication": true })).await;
    centre
}

/// A client waits for ever.
pub(crate) async fn leave_behind(world: &World) {
    world.policy("acme", json!({ "backchannel_authentication": true })).await;
    let centre = client(world, call_centre()).await;
    ask(world, &centre, &[]).await.is(200);
    // And one that nobody can tell.
    let till = client(world, till("https://127.0.0.1:9/told")).await;
    ask(world, &till, &[("client_notification_token", "t")]).await.is(200);
    let (mut browser, page) = account(world, "alice").await;
    let page = decide(&mut browser, &page, "deny").await;
    let page = browser.follow(page).await;
    decide(&mut browser, &page, "deny").await.is(303);
    ask(world, &centre, &[]).await.is(200);
}

/// The metadata of a till, which is told here.
fn till(uri: &str) -> Value {
    let mut till = call_centre();
    till["backchannel_token_delivery_mode"] = json!("ping");
    till["backchannel_client_notification_endpoint"] = json!(uri);
    till
}

/// Asks for alice; `more` replaces and adds, and takes away what is empty.
async fn ask(world: &World, client: &Shop, more: &[(&str, &str)]) -> Answer {
    let mut form: Vec<_> =
        [("client_id", client.id.as_str()), ("client_secret", &client.secret), ("scope", "openid email"), ("login_hint", "alice")].into();
    form.retain(|(name, _)| !more.iter().any(|(other, _)| other == name));
    form.extend(more.iter().filter(|(_, value)| !value.is_empty()));
    world.anon().form(ASK, &form).await
}

async fn poll(world: &World, client: &Shop, auth_req_id: &str) -> Answer {
    let form = [("grant_type", CIBA), ("auth_req_id", auth_req_id), ("client_id", &client.id), ("client_secret", &client.secret)];
    world.anon().form(TOKEN, &form).await
}

/// Somebody's account page, in a browser of their own.
async fn account(world: &World, name: &str) -> (Browser, Page) {
    let mut browser = Browser::new(&world.base_url);
    let page = browser.get(ACCOUNT).await.is(200);
    let page = browser.submit(&page, &[("identifier", name), ("password", PASSWORD)]).await;
    let page = browser.follow(page).await.is(200);
    (browser, page)
}

/// Answers the first request that waits.
async fn decide(browser: &mut Browser, page: &Page, decision: &str) -> Page {
    browser.submit_form(page, DECIDE, &[("decision", decision)]).await
}

#[test]
fn a_user_lets_a_client_in_that_has_not_got_their_browser() {
    in_world(async |world| {
        let centre = hotline(world).await;
        let metadata = world.anon().get("/t/acme/.well-known/openid-configuration").await.is(200).json();
        assert_eq!(metadata["backchannel_authentication_endpoint"], format!("{}{ASK}", world.base_url));
        assert_eq!(metadata["backchannel_token_delivery_modes_supported"], json!(["poll", "ping"]));
        let asked = ask(world, &centre, &[("binding_message", "W4SCT & more")]).await.is(200);
        assert_eq!(asked.header("cache-control"), "no-store");
        let code = asked.word("auth_req_id");
        assert_eq!((asked.json()["expires_in"].as_u64(), asked.json()["interval"].as_u64()), (Some(300), Some(5)));
        poll(world, &centre, &code).await.refused_oauth(400, "authorization_pending");

        let (mut browser, page) = account(world, "alice").await;
        for shown in ["Waiting for your answer", "Call centre", "W4SCT &#38; more", "127.0.0.1"] {
            assert!(page.text.contains(shown), "{shown} is not on {}", page.text);
        }
        assert!(!page.text.contains(&code), "what the client polls with is nobody else's");
        let page = decide(&mut browser, &page, "allow").await.is(303);
        let page = browser.follow(page).await.is(200);
        assert!(!page.text.contains("Waiting for your answer"));

        world.clock.forward(5);
        let tokens = poll(world, &centre, &code).await.is(200);
        let id = claims(&tokens.word("id_token"));
        assert_eq!(id["aud"], json!(centre.id));
        let info = world.bearing(&tokens.word("access_token")).get("/t/acme/oauth/userinfo").await.is(200).json();
        assert_eq!((&info["sub"], info["email"].as_str()), (&id["sub"], Some("alice@acme.example")));
        centre.refresh(world, &tokens.word("refresh_token")).await.is(200);
        // Once, and what an ID token of the client names is who is asked.
        poll(world, &centre, &code).await.refused_oauth(400, "invalid_grant");
        ask(world, &centre, &[("login_hint", ""), ("id_token_hint", &tokens.word("id_token"))]).await.is(200);
        let events = world.platform_admin().get("/admin/v1/tenants/acme/events").await.is(200).text;
        for event in ["backchannel_asked", "backchannel_allowed", "backchannel_signed_in"] {
            assert!(events.contains(event), "{event} is not in {events}");
        }
        let stored = std::fs::read(&world.database).expect("the database");
        assert!(!stored.windows(code.len()).any(|bytes| bytes == code.as_bytes()), "it lies in the database");
    });
}

#[test]
fn a_client_is_told_that_it_is_early_that_the_user_said_no_and_that_it_is_over() {
    in_world(async |world| {
        let centre = hotline(world).await;
        let code = ask(world, &centre, &[]).await.is(200).word("auth_req_id");
        poll(world, &centre, &code).await.refused_oauth(400, "authorization_pending");
        poll(world, &centre, &code).await.refused_oauth(400, "slow_down");
        let (mut browser, page) = account(world, "alice").await;
        decide(&mut browser, &page, "deny").await.is(303);
        world.clock.forward(10);
        poll(world, &centre, &code).await.refused_oauth(400, "access_denied");
        // One answer is given.
        decide(&mut browser, &page, "allow").await.is(303);
        world.clock.forward(15);
        poll(world, &centre, &code).await.refused_oauth(400, "access_denied");

        let short = ask(world, &centre, &[("requested_expiry", "60")]).await.is(200);
        assert_eq!(short.json()["expires_in"], 60);
        let page = browser.get(ACCOUNT).await.is(200);
        world.clock.forward(61);
        decide(&mut browser, &page, "allow").await.is(303);
        poll(world, &centre, &short.word("auth_req_id")).await.refused_oauth(400, "expired_token");
        // Another client learns nothing.
        let other = client(world, call_centre()).await;
        let code = ask(world, &centre, &[]).await.is(200).word("auth_req_id");
        poll(world, &other, &code).await.refused_oauth(400, "invalid_grant");
        for bad in ["", "bc1_x", &code.replace("bc1_", "dc1_")] {
            let refused = poll(world, &centre, bad).await.is(400).json();
            assert!([json!("invalid_grant"), json!("invalid_request")].contains(&refused["error"]), "{bad}");
        }
        poll(world, &centre, &code).await.refused_oauth(400, "authorization_pending");
    });
}

#[test]
fn what_a_client_may_ask_is_what_it_is_registered_for() {
    in_world(async |world| {
        let centre = shop(world, call_centre()).await;
        let metadata = world.anon().get("/t/acme/.well-known/openid-configuration").await.is(200).text;
        assert!(!metadata.contains("backchannel_authentication_endpoint"));
        ask(world, &centre, &[]).await.refused_oauth(400, "unsupported_grant_type");
        world.policy("acme", json!({ "backchannel_authentication": true })).await;
        let other = client(world, json!({})).await;
        ask(world, &other, &[]).await.refused_oauth(400, "unauthorized_client");
        ask(world, &centre, &[("client_secret", "cs1_wrong")]).await.refused_oauth(401, "invalid_client");
        for (error, more) in [
            ("invalid_request", [("login_hint", "")]),
            ("invalid_request", [("id_token_hint", "x")]),
            ("invalid_request", [("login_hint_token", "x")]),
            ("invalid_request", [("request", "x")]),
            ("invalid_request", [("requested_expiry", "0")]),
            ("invalid_request", [("requested_expiry", "-5")]),
            ("invalid_binding_message", [("binding_message", "two\nlines")]),
            ("invalid_scope", [("scope", "email")]),
            ("invalid_scope", [("scope", "")]),
            ("unknown_user_id", [("login_hint", "nobody")]),
            // Nobody has shown that the address is hers.
            ("unknown_user_id", [("login_hint", "alice@acme.example")]),
        ] {
            ask(world, &centre, &more).await.refused_oauth(400, error);
        }
        ask(world, &centre, &[("login_hint", ""), ("id_token_hint", "a.b.c")]).await.refused_oauth(400, "unknown_user_id");
        // Nobody is asked without end.
        for _ in 0..10 {
            ask(world, &centre, &[]).await.is(200);
        }
        let refused = ask(world, &centre, &[]).await.refused_oauth(429, "slow_down");
        assert_eq!(refused.header("retry-after"), "30");
        let form = json!({ "grant_types": [CIBA], "backchannel_token_delivery_mode": "poll", "token_endpoint_auth_method": "none" });
        world.platform_admin().post("/admin/v1/tenants/acme/clients", form).await.refused(422, "invalid_client_metadata");
    });
}

#[test]
fn nobody_answers_for_another_user_or_without_a_form_of_ours() {
    in_world(async |world| {
        let centre = hotline(world).await;
        world.user("acme", "mallory", &[]).await;
        let code = ask(world, &centre, &[]).await.is(200).word("auth_req_id");
        let (mut browser, page) = account(world, "alice").await;
        let (mut mallorys, own) = account(world, "mallory").await;
        assert!(!own.text.contains("Call centre"));
        // Her own token, and alice's request.
        let csrf_token = own.form().1["csrf_token"].clone();
        let request = page.form_holding(DECIDE).1["request"].clone();
        let form = [("csrf_token", csrf_token.as_str()), ("request", &request), ("decision", "allow")];
        mallorys.post(DECIDE, &form).await.is(303);
        poll(world, &centre, &code).await.refused_oauth(400, "authorization_pending");
        let forged = [("csrf_token", csrf_token.as_str()), ("request", &request), ("decision", "allow")];
        let refused = browser.post(DECIDE, &forged).await;
        assert!(refused.status >= 400, "{}", refused.text);
        world.clock.forward(5);
        poll(world, &centre, &code).await.refused_oauth(400, "authorization_pending");
        decide(&mut browser, &page, "allow").await.is(303);
        world.clock.forward(5);
        poll(world, &centre, &code).await.is(200);
    });
}

#[test]
fn r42_what_was_allowed_is_worth_nothing_when_the_user_or_the_session_is_gone() {
    in_world(async |world| {
        let centre = hotline(world).await;
        let allowed = async || {
            let code = ask(world, &centre, &[]).await.is(200).word("auth_req_id");
            let (mut browser, page) = account(world, "alice").await;
            decide(&mut browser, &page, "allow").await.is(303);
            (code, browser)
        };
        let (code, mut browser) = allowed().await;
        let page = browser.get(ACCOUNT).await.is(200);
        let csrf_token = page.form().1["csrf_token"].clone();
        browser.post("/t/acme/account/sign-out", &[("csrf_token", &csrf_token)]).await;
        poll(world, &centre, &code).await.refused_oauth(400, "invalid_grant");

        let (code, _) = allowed().await;
        let alice = world.sign_in("acme", "alice").await.user;
        world.platform_admin().post(&format!("/admin/v1/tenants/acme/users/{alice}/disable"), json!({})).await.is(200);
        poll(world, &centre, &code).await.refused_oauth(400, "invalid_grant");
        ask(world, &centre, &[]).await.refused_oauth(400, "unknown_user_id");
    });
}

#[test]
fn a_client_is_told_that_there_is_an_answer_until_it_takes_note() {
    let open = |settings: &mut server::Settings| settings.outbound.allow_private = vec!["127.0.0.0/8".parse().expect("a range")];
    in_world_with(open, async |world| {
        let party = RelyingParty::start().await;
        let till = shop(world, till(&format!("{}/told", party.url))).await;
        world.policy("acme", json!({ "backchannel_authentication": true })).await;
        ask(world, &till, &[]).await.refused_oauth(400, "invalid_request");
        ask(world, &till, &[("client_notification_token", "not a token")]).await.refused_oauth(400, "invalid_request");
        party.answer_with(&[503]);
        let code = ask(world, &till, &[("client_notification_token", "told-with-this")]).await.is(200).word("auth_req_id");
        let (mut browser, page) = account(world, "alice").await;
        decide(&mut browser, &page, "allow").await.is(303);
        // The first was in vain; the second comes seconds later, by the database's clock.
        let posted = party.posted(2).await;
        let body = json!({ "auth_req_id": code }).to_string();
        assert_eq!(posted, vec![("/told".to_owned(), body.clone()), ("/told".to_owned(), body)]);
        assert_eq!(party.bearers(), ["Bearer told-with-this", "Bearer told-with-this"]);
        poll(world, &till, &code).await.is(200);
        let stored = std::fs::read(&world.database).expect("the database");
        for secret in [code.as_str(), "told-with-this"] {
            assert!(!stored.windows(secret.len()).any(|bytes| bytes == secret.as_bytes()), "{secret} lies in the database");
        }
    });
}

#[test]
fn of_16_polls_at_once_exactly_one_gets_tokens() {
    in_world(async |world| {
        let centre = hotline(world).await;
        let code = ask(world, &centre, &[]).await.is(200).word("auth_req_id");
        let (mut browser, page) = account(world, "alice").await;
        decide(&mut browser, &page, "allow").await.is(303);
        let answers = join_all((0..16).map(|_| poll(world, &centre, &code))).await;
        assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), 1);
    });
}
