//! A user looks after their own account: profile, password, sessions, applications, data.

use serde_json::json;

use crate::browser::{Browser, Page};
use crate::oidc::{Shop, client, shop};
use crate::world::{PASSWORD, World, in_world};

const ACCOUNT: &str = "/t/acme/account";
const NEW_PASSWORD: &str = "forty-two-mauve-tractors-hum";

/// Logs alice in to her account, in a browser of her own.
async fn at_home(world: &World) -> (Browser, Page) {
    let mut browser = Browser::new(&world.base_url);
    let page = entered(&mut browser, PASSWORD).await;
    (browser, page)
}

async fn entered(browser: &mut Browser, password: &str) -> Page {
    let page = browser.get(ACCOUNT).await.is(200);
    let page = browser.submit(&page, &[("identifier", "alice"), ("password", password)]).await;
    browser.follow(page).await.is(200)
}

/// A code for the client, of a browser that is logged in already.
async fn code(browser: &mut Browser, shop: &Shop) -> String {
    crate::oidc::told(&browser.get(&shop.request(&[])).await)["code"].clone()
}

async fn events(world: &World) -> String {
    world.platform_admin().get("/admin/v1/tenants/acme/events?limit=50").await.is(200).text
}

#[test]
fn the_account_asks_for_a_login_and_opens_with_the_session_of_the_pages() {
    in_world(async |world| {
        let shop = shop(world, json!({})).await;
        let (mut browser, page) = at_home(world).await;
        assert!(page.text.contains("Your account") && page.text.contains("alice@acme.example"), "{}", page.text);
        assert_eq!(page.header("cache-control"), "no-store");
        assert!(page.header("content-security-policy").contains("form-action 'self'"), "{}", page.header("content-security-policy"));
        // One login is enough, here and for clients.
        let answer = browser.get(&shop.request(&[])).await;
        assert!(crate::oidc::told(&answer).contains_key("code"));

        let mut stranger = Browser::new(&world.base_url);
        let wrong = stranger.get(ACCOUNT).await.is(200);
        let wrong = stranger.submit(&wrong, &[("identifier", "alice"), ("password", "not-her-password-at-all")]).await.is(200);
        assert!(wrong.text.contains("That didn’t work") && stranger.cookie("sso").is_none());
        assert_eq!(stranger.get(&format!("{ACCOUNT}/password")).await.location(), ACCOUNT);
        let export = stranger.get(&format!("{ACCOUNT}/export")).await.is(200);
        assert!(export.text.contains("Sign in") && export.header("content-type").starts_with("text/html"), "{}", export.text);
    });
}

#[test]
fn a_new_name_is_told_to_clients_and_a_bad_one_is_not_taken() {
    in_world(async |world| {
        let shop = shop(world, json!({})).await;
        let (mut browser, page) = at_home(world).await;
        let page = browser.submit_form(&page, "/profile", &[("display_name", " Alice <Liddell> ")]).await;
        let page = browser.follow(page).await.is(200);
        assert_eq!(page.form_holding("/profile").1["display_name"], "Alice <Liddell>");
        let once = code(&mut browser, &shop).await;
        let tokens = shop.redeem(world, &once).await.is(200);
        let info = world.bearing(&tokens.word("access_token")).get("/t/acme/oauth/userinfo").await.is(200).json();
        assert_eq!(info["name"], "Alice <Liddell>");

        for bad in ["", "   ", "right\u{202e}left", &"x".repeat(101)] {
            let page = browser.submit_form(&page, "/profile", &[("display_name", bad)]).await.is(200);
            assert!(page.text.contains("Enter a name of 1 to 100 characters."), "{bad}");
        }
        assert_eq!(browser.get(ACCOUNT).await.form_holding("/profile").1["display_name"], "Alice <Liddell>");
    });
}

#[test]
fn s142_a_new_password_needs_the_current_one_and_ends_every_other_session() {
    in_world(async |world| {
        let shop = shop(world, json!({})).await;
        let elsewhere = world.sign_in("acme", "alice").await;
        let (mut browser, _) = at_home(world).await;
        let (mut other, _) = at_home(world).await;
        let [here, there] = [code(&mut browser, &shop).await, code(&mut other, &shop).await];
        let [here, there] = [shop.redeem(world, &here).await.is(200), shop.redeem(world, &there).await.is(200)];
        let before = browser.thief("");

        let form = browser.get(&format!("{ACCOUNT}/password")).await.is(200);
        let typed = |current: &'static str, new: &'static str, repeat: &'static str| {
            [("current_password", current), ("new_password", new), ("repeat_password", repeat)]
        };
        for (typed, said) in [
            (typed("not-her-password-at-all", NEW_PASSWORD, NEW_PASSWORD), "That isn’t your current password."),
            (typed(PASSWORD, NEW_PASSWORD, "something-else-altogether"), "The two passwords are not the same."),
            (typed(PASSWORD, "short", "short"), "That password is too short."),
            (typed(PASSWORD, "passwordpassword", "passwordpassword"), "That password is easy to guess."),
            (typed(PASSWORD, PASSWORD, PASSWORD), "too close to your name, your address or your last password"),
        ] {
            let page = browser.submit(&form, &typed).await.is(200);
            assert!(page.text.contains(said), "{said}: {}", page.text);
        }
        let page = browser.submit(&form, &typed(PASSWORD, NEW_PASSWORD, NEW_PASSWORD)).await;
        let page = browser.follow(page).await.is(200);
        assert!(page.text.contains("Password changed") && page.text.contains("Your account"), "{}", page.text);

        assert!(other.get(ACCOUNT).await.text.contains("Sign in"), "the other browser is logged out");
        let mut before = before;
        assert!(before.get(ACCOUNT).await.text.contains("Sign in"), "the handle from before is worth nothing");
        world.refresh("acme", &elsewhere.refresh_token).await.refused_oauth(400, "invalid_grant");
        shop.refresh(world, &there.word("refresh_token")).await.refused_oauth(400, "invalid_grant");
        shop.refresh(world, &here.word("refresh_token")).await.is(200);
        world.login("acme", "alice", PASSWORD).await.is(401);
        world.login("acme", "alice", NEW_PASSWORD).await.is(200);
        assert!(events(world).await.contains("password_set"));
    });
}

#[test]
fn r41_guesses_at_the_current_password_are_counted_like_logins() {
    in_world(async |world| {
        shop(world, json!({})).await;
        let (mut browser, _) = at_home(world).await;
        let form = browser.get(&format!("{ACCOUNT}/password")).await.is(200);
        let typed = [("current_password", "not-her-password-at-all"), ("new_password", NEW_PASSWORD), ("repeat_password", NEW_PASSWORD)];
        for _ in 0..10 {
            browser.submit(&form, &typed).await.is(200);
        }
        browser.submit(&form, &typed).await.is(429);
        world.login("acme", "alice", PASSWORD).await.is(429);
    });
}

#[test]
fn a_session_is_ended_from_another_one_and_nobody_elses_is() {
    in_world(async |world| {
        let shop = shop(world, json!({})).await;
        let phone = world.sign_in("acme", "alice").await;
        world.user("acme", "bob", &[]).await;
        let bob = world.sign_in("acme", "bob").await;
        let bobs = world.bearing(&bob.access_token).get("/t/acme/me").await.is(200).word("session_id");
        let (mut browser, _) = at_home(world).await;
        let (mut other, _) = at_home(world).await;
        let once = code(&mut other, &shop).await;
        let tokens = shop.redeem(world, &once).await.is(200);

        let page = browser.get(ACCOUNT).await.is(200);
        assert_eq!(page.text.matches("/sessions/end\"").count(), 2, "the other browser, and the phone; not this one: {}", page.text);
        assert_eq!(page.text.matches("This device").count(), 1);
        assert!(page.text.contains("127.0.0.1"), "{}", page.text);

        let of_pages = page.form_holding("value=\"sso_").1["session"].clone();
        let (action, mut fields) = page.form_holding("value=\"sso_");
        fields.insert("session".to_owned(), bobs);
        let fields: Vec<_> = fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(browser.post(&action, &fields).await.location(), ACCOUNT);
        world.refresh("acme", &bob.refresh_token).await.is(200);

        assert_eq!(browser.submit_form(&page, &of_pages, &[]).await.location(), ACCOUNT);
        assert!(other.get(ACCOUNT).await.text.contains("Sign in"));
        shop.refresh(world, &tokens.word("refresh_token")).await.refused_oauth(400, "invalid_grant");
        world.refresh("acme", &phone.refresh_token).await.is(200);
        assert_eq!(browser.submit_form(&page, "value=\"ses_", &[]).await.location(), ACCOUNT);
        world.login("acme", "alice", PASSWORD).await.is(200);
        let page = browser.get(ACCOUNT).await.is(200);
        let left = browser.submit_form(&page, "/sessions/end-others", &[]).await;
        let page = browser.follow(left).await.is(200);
        assert!(!page.text.contains("/sessions/end-others"), "nobody else is left: {}", page.text);
    });
}

#[test]
fn an_application_loses_what_it_was_allowed_and_what_it_got() {
    in_world(async |world| {
        shop(world, json!({})).await;
        let third = client(world, json!({ "client_name": "Third", "consent": "third_party" })).await;
        let (mut browser, page) = at_home(world).await;
        assert!(page.text.contains("No app has access to your account."));
        let asked = browser.get(&third.request(&[("scope", "openid offline_access")])).await;
        let asked = browser.follow(asked).await.is(200);
        let allowed = browser.submit(&asked, &[("decision", "allow")]).await;
        let allowed = browser.follow(allowed).await;
        let tokens = third.redeem(world, &crate::oidc::told(&allowed)["code"]).await.is(200);

        let page = browser.get(ACCOUNT).await.is(200);
        assert!(page.text.contains("Third") && page.text.contains("Keep its access while you are not using it"), "{}", page.text);
        let page = browser.submit_form(&page, "/applications/revoke", &[]).await;
        assert!(browser.follow(page).await.text.contains("No app has access to your account."));
        third.refresh(world, &tokens.word("refresh_token")).await.refused_oauth(400, "invalid_grant");
        let asked = browser.get(&third.request(&[])).await;
        assert!(browser.follow(asked).await.text.contains("would like access"), "it is asked again");
        assert!(events(world).await.contains("consent_revoked"));
    });
}

/// Every form of the account, with what it posts beside its token.
const FORMS: [(&str, &[(&str, &str)]); 6] = [
    ("/profile", &[("display_name", "Mallory")]),
    ("/password", &[("current_password", PASSWORD), ("new_password", NEW_PASSWORD), ("repeat_password", NEW_PASSWORD)]),
    ("/sessions/end", &[("session", "sso_00000000000000000000000000")]),
    ("/sessions/end-others", &[]),
    ("/applications/revoke", &[("application", "first-party")]),
    ("/sign-out", &[]),
];

#[test]
fn s036_no_other_site_page_or_browser_sends_a_form_of_the_account() {
    in_world(async |world| {
        shop(world, json!({})).await;
        let phone = world.sign_in("acme", "alice").await;
        let (mut browser, page) = at_home(world).await;
        let token = page.form().1["csrf_token"].clone();
        let (_, others) = at_home(world).await;
        let others = others.form().1["csrf_token"].clone();
        for (path, fields) in FORMS {
            let path = format!("{ACCOUNT}{path}");
            let with = |token| fields.iter().copied().chain([("csrf_token", token)]).collect::<Vec<_>>();
            browser.post(&path, fields).await.is(403);
            browser.post(&path, &with("guess")).await.is(403);
            browser.post(&path, &with(&others)).await.is(403);
            for header in [("sec-fetch-site", "cross-site"), ("sec-fetch-site", "same-site"), ("origin", "https://evil.example")] {
                let answer = browser.post_with(&path, &with(&token), header).await.is(403);
                assert_eq!(answer.header("cache-control"), "no-store");
            }
            browser.get(&path).await;
        }
        world.refresh("acme", &phone.refresh_token).await.is(200);
        let page = browser.get(ACCOUNT).await.is(200);
        assert!(page.text.contains("Your account") && !page.text.contains("Mallory"));

        let mut stranger = Browser::new(&world.base_url);
        let login = [("identifier", "alice"), ("password", PASSWORD)];
        stranger.post(&format!("{ACCOUNT}/login"), &login).await.is(403);
        let (_, mine) = stranger.get(ACCOUNT).await.form();
        let with_hers = [login[0], login[1], ("csrf_token", mine["csrf_token"].as_str())];
        Browser::new(&world.base_url).post(&format!("{ACCOUNT}/login"), &with_hers).await.is(403);
    });
}

#[test]
fn one_s_data_is_a_file_and_holds_no_secret() {
    in_world(async |world| {
        let Shop { id, .. } = shop(world, json!({})).await;
        let (mut browser, _) = at_home(world).await;
        let shop = Shop { id, secret: String::new() };
        browser.get(&shop.request(&[])).await;
        let answer = browser.get(&format!("{ACCOUNT}/export")).await.is(200);
        assert_eq!(answer.header("content-disposition"), "attachment; filename=\"account.json\"");
        assert_eq!(answer.header("cache-control"), "no-store");
        let data: serde_json::Value = serde_json::from_str(&answer.text).expect("JSON");
        assert_eq!((data["username"].as_str(), data["email"].as_str()), (Some("alice"), Some("alice@acme.example")));
        assert_eq!(data["sessions"][0]["is_current"], true);
        for secret in ["argon2", "ss1_", "phc", "csrf"] {
            assert!(!answer.text.contains(secret), "{secret}");
        }
        assert!(events(world).await.contains("data_exported"));
    });
}

#[test]
fn who_signs_out_of_the_account_is_signed_out_of_clients() {
    in_world(async |world| {
        let shop = shop(world, json!({})).await;
        let (mut browser, _) = at_home(world).await;
        let once = code(&mut browser, &shop).await;
        let tokens = shop.redeem(world, &once).await.is(200);
        let page = browser.get(ACCOUNT).await.is(200);
        let page = browser.submit_form(&page, "/sign-out", &[]).await;
        assert!(browser.cookie("sso").is_none());
        let page = browser.follow(page).await.is(200);
        assert!(page.text.contains("You are signed out"), "{}", page.text);
        shop.refresh(world, &tokens.word("refresh_token")).await.refused_oauth(400, "invalid_grant");
        assert!(browser.get(ACCOUNT).await.text.contains("Sign in"));
    });
}

#[test]
fn r49_what_a_user_or_a_client_is_called_is_never_markup() {
    in_world(async |world| {
        shop(world, json!({})).await;
        let hostile = "\"><script>alert(1)</script><img src=x onerror=alert(1)>";
        let named = client(world, json!({ "client_name": hostile })).await;
        let (mut browser, page) = at_home(world).await;
        browser.submit_form(&page, "/profile", &[("display_name", hostile)]).await.is(303);
        let once = code(&mut browser, &named).await;
        named.redeem(world, &once).await.is(200);
        let page = browser.get(ACCOUNT).await.is(200);
        assert!(page.text.contains("alert(1)"), "it is shown");
        assert!(!page.text.contains("<script>alert") && !page.text.contains("<img src=x"), "{}", page.text);
        assert_eq!(page.form_holding("/profile").1["display_name"], hostile);
    });
}
