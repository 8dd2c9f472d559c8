//! Several accounts in one browser: choosing, switching, leaving one.

use serde_json::{Value, json};

use crate::browser::{Browser, Page};
use crate::oidc::{Shop, claims, client, shop, told};
use crate::world::{PASSWORD, World, in_world};

const ACCOUNT: &str = "/t/acme/account";
const CHOOSER: &str = "/t/acme/account/accounts";

fn end(more: &[(&str, &str)]) -> String {
    let query = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(more).finish();
    format!("/t/acme/oauth/end_session?{query}")
}

/// Logs another user in beside those that the browser has.
async fn joined(browser: &mut Browser, name: &str) -> Page {
    let page = browser.get(CHOOSER).await;
    let page = browser.follow(page).await.is(200);
    let page = match page.text.contains("Choose an account") {
        true => browser.submit(&page, &[("account", "")]).await.is(200),
        false => page,
    };
    let page = browser.submit(&page, &[("identifier", name), ("password", PASSWORD)]).await;
    browser.follow(page).await.is(200)
}

/// A browser with alice's and bob's accounts; bob's was used last.
async fn two(world: &World) -> (Shop, Browser) {
    let shop = shop(world, json!({})).await;
    world.user("acme", "bob", &[]).await;
    let mut browser = Browser::new(&world.base_url);
    joined(&mut browser, "alice").await;
    joined(&mut browser, "bob").await;
    (shop, browser)
}

/// The value of the button with this name that stands before the account's name, or behind it.
fn button(page: &Page, field: &str, who: &str) -> String {
    let item =
        page.text.split("<li>").find(|item| item.contains(&format!(">{who}</bdi>"))).unwrap_or_else(|| panic!("{who}: {}", page.text));
    let start = item.find(&format!("name=\"{field}\" value=\"")).expect("a button") + field.len() + 15;
    item[start..start + item[start..].find('"').expect("a value")].to_owned()
}

async fn chosen(browser: &mut Browser, page: &Page, who: &str) -> Page {
    let id = button(page, "account", who);
    let page = browser.submit(page, &[("account", &id)]).await;
    browser.follow(page).await
}

/// What a code that came to the client is about.
async fn redeemed(world: &World, shop: &Shop, page: &Page) -> (Value, String) {
    let tokens = shop.redeem(world, &told(page)["code"]).await.is(200);
    let id = claims(&tokens.word("id_token"));
    (id, tokens.word("id_token"))
}

#[test]
fn s021_a_user_with_several_accounts_chooses_and_hints_choose_for_them() {
    in_world(async |world| {
        let (shop, mut browser) = two(world).await;
        // One login is not the other's: nothing says who is meant.
        let silent = browser.get(&shop.request(&[("prompt", "none")])).await;
        assert_eq!(told(&silent)["error"], "account_selection_required");
        let page = browser.get(&shop.request(&[])).await;
        let page = browser.follow(page).await.is(200);
        assert!(
            page.text.contains("Choose an account")
                && page.text.contains("alice@acme.example")
                && page.text.contains("Use another account")
        );
        assert!(page.header("content-security-policy").contains("default-src 'none'"));
        let (alice, hers) = redeemed(world, &shop, &chosen(&mut browser, &page, "alice").await).await;
        let page = browser.get(&shop.request(&[])).await;
        let page = browser.follow(page).await.is(200);
        let (bob, _) = redeemed(world, &shop, &chosen(&mut browser, &page, "bob").await).await;
        assert_ne!(alice["sub"], bob["sub"]);

        for (hint, who) in [("alice", &alice), ("ALICE@acme.example", &alice), ("bob", &bob), (bob["sub"].as_str().expect("a sub"), &bob)] {
            let silent = browser.get(&shop.request(&[("prompt", "none"), ("login_hint", hint)])).await;
            assert_eq!(redeemed(world, &shop, &silent).await.0["sub"], who["sub"], "{hint}");
        }
        let silent = browser.get(&shop.request(&[("prompt", "none"), ("id_token_hint", &hers)])).await;
        assert_eq!(redeemed(world, &shop, &silent).await.0["sub"], alice["sub"]);

        // Who is asked to choose is asked though a hint is there, and need not log in again.
        let page = browser.get(&shop.request(&[("prompt", "select_account"), ("login_hint", "alice")])).await;
        let page = browser.follow(page).await.is(200);
        let after = chosen(&mut browser, &page, "bob").await;
        assert_eq!(redeemed(world, &shop, &after).await.0["sub"], bob["sub"]);
        // With a login asked for besides, the chosen one does.
        let page = browser.get(&shop.request(&[("prompt", "select_account login")])).await;
        let page = browser.follow(page).await.is(200);
        let page = chosen(&mut browser, &page, "alice").await.is(200);
        assert!(page.text.contains("value=\"alice\"") && page.text.contains("name=\"password\""), "{}", page.text);
        let page = browser.submit(&page, &[("password", PASSWORD)]).await;
        assert_eq!(redeemed(world, &shop, &browser.follow(page).await).await.0["sub"], alice["sub"]);
    });
}

#[test]
fn one_account_alone_is_chosen_by_itself_unless_the_client_asks() {
    in_world(async |world| {
        let shop = shop(world, json!({})).await;
        world.user("acme", "bob", &[]).await;
        let mut browser = Browser::new(&world.base_url);
        joined(&mut browser, "alice").await;
        assert!(browser.cookie("_others_").is_none());
        assert!(told(&browser.get(&shop.request(&[])).await).contains_key("code"));
        let page = browser.get(&shop.request(&[("prompt", "select_account")])).await;
        let page = browser.follow(page).await.is(200);
        assert!(page.text.contains("Choose an account"));
        let page = browser.submit(&page, &[("account", "")]).await;
        let page = browser.follow(page).await.is(200);
        let page = browser.submit(&page, &[("identifier", "bob"), ("password", PASSWORD)]).await;
        let (id, _) = redeemed(world, &shop, &browser.follow(page).await).await;
        assert!(id["sub"].is_string() && browser.cookie("_others_").is_some(), "alice is still there");
        // Where nobody is logged in there is nothing to choose.
        let mut stranger = Browser::new(&world.base_url);
        let page = stranger.get(&shop.request(&[("prompt", "select_account")])).await;
        assert!(stranger.follow(page).await.is(200).text.contains("name=\"password\""));
        assert_eq!(stranger.get(CHOOSER).await.location(), ACCOUNT);
    });
}

#[test]
fn only_what_the_browser_has_can_be_chosen_or_left_and_handles_are_new_at_each_login() {
    in_world(async |world| {
        let (shop, mut browser) = two(world).await;
        let page = browser.get(&shop.request(&[])).await;
        let page = browser.follow(page).await.is(200);
        let hers = button(&page, "account", "alice");
        // Another browser, with bob alone, knows the name of alice's session.
        let mut other = Browser::new(&world.base_url);
        joined(&mut other, "bob").await;
        let asked = other.get(&shop.request(&[("prompt", "select_account")])).await;
        let asked = other.follow(asked).await.is(200);
        let after = other.submit(&asked, &[("account", &hers)]).await;
        assert!(other.follow(after).await.is(200).text.contains("Choose an account"), "nothing was chosen");
        let after = other.submit(&asked, &[("sign_out", &hers)]).await;
        assert!(!other.follow(after).await.is(200).text.contains(">alice</bdi>"));
        let own = browser.get(ACCOUNT).await.is(200);
        assert!(own.text.contains("bob"), "{}", own.text);
        // A form that is none of ours chooses nothing.
        let (action, _) = page.form();
        browser.post(&action, &[("account", &hers), ("csrf_token", "forged")]).await.is(403);
        let (_, fields) = page.form();
        let typed = [("account", hers.as_str()), ("csrf_token", fields["csrf_token"].as_str())];
        browser.post_with(&action, &typed, ("sec-fetch-site", "cross-site")).await.is(403);
        browser.post_with(CHOOSER, &typed[..1], ("sec-fetch-site", "cross-site")).await.is(403);
        browser.post(CHOOSER, &typed).await.is(403);

        // A step-up makes a new handle for that account, and leaves the other one alone.
        let thief = browser.thief("_others_");
        let theirs = browser.cookie("_others_").expect("a cookie").to_owned();
        let page = browser.get(&shop.request(&[("prompt", "login"), ("login_hint", "alice")])).await;
        let page = browser.follow(page).await.is(200);
        let page = browser.submit(&page, &[("password", PASSWORD)]).await;
        assert!(told(&browser.follow(page).await).contains_key("code"));
        assert!(browser.cookie("_others_").is_some_and(|now| now != theirs));
        let mut thief = thief;
        assert!(thief.get(ACCOUNT).await.text.contains("name=\"password\""), "the handle from before is worth nothing");
        let page = browser.get(CHOOSER).await.is(200);
        assert!(page.text.contains(">alice</bdi>") && page.text.contains(">bob</bdi>"));
    });
}

#[test]
fn the_account_page_says_who_one_is_and_lets_one_switch_and_leave_one_account() {
    in_world(async |world| {
        let (shop, mut browser) = two(world).await;
        let page = browser.get(ACCOUNT).await.is(200);
        assert!(page.text.contains("You are signed in as") && page.text.contains("bob") && page.text.contains(CHOOSER), "{}", page.text);
        let page = browser.get(CHOOSER).await.is(200);
        let page = chosen(&mut browser, &page, "alice").await.is(200);
        assert!(page.text.contains("alice@acme.example"));
        // What a client got by bob's session ends with it, and nothing of alice's.
        let [his, hers] = [("login_hint", "bob"), ("login_hint", "alice")].map(|hint| shop.request(&[("prompt", "none"), hint]));
        let his = shop.redeem(world, &told(&browser.get(&his).await)["code"]).await.is(200);
        let hers = shop.redeem(world, &told(&browser.get(&hers).await)["code"]).await.is(200);
        let page = browser.get(CHOOSER).await.is(200);
        let bob = button(&page, "sign_out", "bob");
        let page = browser.submit(&page, &[("sign_out", &bob)]).await;
        let page = browser.follow(page).await.is(200);
        assert!(!page.text.contains(">bob</bdi>") && page.text.contains(">alice</bdi>"), "{}", page.text);
        assert!(browser.cookie("_others_").is_none());
        shop.refresh(world, &his.word("refresh_token")).await.refused_oauth(400, "invalid_grant");
        shop.refresh(world, &hers.word("refresh_token")).await.is(200);
        // The last one: the account asks for a login.
        let page = browser.get(ACCOUNT).await.is(200);
        let page = browser.submit_form(&page, "/sign-out", &[]).await;
        assert!(browser.follow(page).await.is(200).text.contains("You are signed out"));
        assert!(browser.cookie("_sso_").is_none());
    });
}

#[test]
fn the_consent_page_says_who_agrees_and_no_other_account_agrees_by_it() {
    in_world(async |world| {
        let (_, mut browser) = two(world).await;
        let photos = client(world, json!({ "client_name": "Photos", "consent": "third_party" })).await;
        let page = browser.get(&photos.request(&[("login_hint", "bob")])).await;
        let asked = browser.follow(page).await.is(200);
        assert!(
            asked.text.contains("You are signed in as") && asked.text.contains("bob") && asked.text.contains("/accounts\""),
            "{}",
            asked.text
        );
        let interaction = asked.form().0.replace("/consent", "");
        let page = browser.get(&format!("{interaction}/accounts")).await.is(200);
        let hers = chosen(&mut browser, &page, "alice").await.is(200);
        assert!(hers.text.contains("alice") && hers.text.contains("decision"), "{}", hers.text);
        // The page for bob is still open in another tab.
        let stale = browser.submit(&asked, &[("decision", "allow")]).await;
        assert!(browser.follow(stale).await.is(200).text.contains("decision"), "asked anew");
        let page = browser.submit(&hers, &[("decision", "allow")]).await;
        let (alice, _) = redeemed(world, &photos, &browser.follow(page).await).await;
        let (bob, _) = {
            let page = browser.get(&photos.request(&[("login_hint", "bob"), ("prompt", "none")])).await;
            assert_eq!(told(&page)["error"], "consent_required", "bob has not agreed to anything");
            let page = browser.get(&photos.request(&[("login_hint", "bob")])).await;
            let page = browser.follow(page).await.is(200);
            let page = browser.submit(&page, &[("decision", "allow")]).await;
            redeemed(world, &photos, &browser.follow(page).await).await
        };
        assert_ne!(alice["sub"], bob["sub"]);
    });
}

#[test]
fn s126_a_logout_ends_the_session_that_is_meant_and_no_other() {
    in_world(async |world| {
        let (shop, mut browser) = two(world).await;
        let other = client(world, json!({ "client_name": "Other" })).await;
        let got = async |browser: &mut Browser, shop: &Shop, who: &str| {
            let page = browser.get(&shop.request(&[("prompt", "none"), ("login_hint", who)])).await;
            shop.redeem(world, &told(&page)["code"]).await.is(200)
        };
        let (hers, his) = (got(&mut browser, &shop, "alice").await, got(&mut browser, &other, "bob").await);
        // By hint: alice's, though bob's was used last.
        browser.get(&end(&[("id_token_hint", &hers.word("id_token"))])).await.is(200);
        shop.refresh(world, &hers.word("refresh_token")).await.refused_oauth(400, "invalid_grant");
        other.refresh(world, &his.word("refresh_token")).await.is(200);
        let page = browser.get(CHOOSER).await.is(200);
        assert!(page.text.contains(">bob</bdi>") && !page.text.contains(">alice</bdi>"));

        // By client, after somebody has said so: those by which it got something.
        joined(&mut browser, "alice").await;
        let hers = got(&mut browser, &shop, "alice").await;
        let asked = browser.get(&end(&[("client_id", &other.id)])).await.is(200);
        assert!(asked.text.contains("bob") && !asked.text.contains("alice"), "{}", asked.text);
        browser.submit(&asked, &[("decision", "sign_out")]).await.is(200);
        other.refresh(world, &his.word("refresh_token")).await.refused_oauth(400, "invalid_grant");
        shop.refresh(world, &hers.word("refresh_token")).await.is(200);

        // By nobody: all of the browser's, and the page says whose.
        joined(&mut browser, "bob").await;
        let asked = browser.get(&end(&[])).await.is(200);
        assert!(asked.text.contains("alice") && asked.text.contains("bob"), "{}", asked.text);
        browser.submit(&asked, &[("decision", "sign_out")]).await.is(200);
        assert!(browser.cookie("_sso_").is_none() && browser.cookie("_others_").is_none());
        assert!(browser.get(ACCOUNT).await.is(200).text.contains("name=\"password\""));
    });
}

#[test]
fn a_browser_holds_five_accounts_and_the_longest_unused_makes_room() {
    in_world(async |world| {
        let shop = shop(world, json!({})).await;
        let mut browser = Browser::new(&world.base_url);
        joined(&mut browser, "alice").await;
        let first = shop.redeem(world, &told(&browser.get(&shop.request(&[])).await)["code"]).await.is(200);
        for name in ["bob", "carol", "dave", "erin"] {
            world.user("acme", name, &[]).await;
            joined(&mut browser, name).await;
        }
        shop.refresh(world, &first.word("refresh_token")).await.is(200);
        world.user("acme", "frank", &[]).await;
        joined(&mut browser, "frank").await;
        let page = browser.get(CHOOSER).await.is(200);
        let shown = ["frank", "erin", "dave", "carol", "bob"].map(|name| page.text.find(&format!(">{name}</bdi>")).expect("shown"));
        assert!(shown.is_sorted(), "the one used last comes first: {shown:?}");
        assert!(!page.text.contains(">alice</bdi>"));
        let tokens = first.word("refresh_token");
        shop.refresh(world, &tokens).await.refused_oauth(400, "invalid_grant");
        // A disabled user is nobody to choose.
        let users = world.platform_admin().get("/admin/v1/tenants/acme/users?limit=50").await.is(200).json();
        let carol = users["items"].as_array().expect("users").iter().find(|user| user["username"] == "carol").expect("carol")["id"].clone();
        let path = format!("/admin/v1/tenants/acme/users/{}/disable", carol.as_str().expect("an id"));
        world.platform_admin().post(&path, json!({})).await.is(200);
        assert!(!browser.get(CHOOSER).await.is(200).text.contains(">carol</bdi>"));
    });
}
