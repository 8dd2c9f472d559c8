//! A password that has to be changed: it is good for choosing another one, and for nothing else.

use serde_json::{Value, json};

use crate::browser::Browser;
use crate::oidc::{Shop, shop, told};
use crate::world::{PASSWORD, World, in_world};

const USERS: &str = "/admin/v1/tenants/acme/users";
const LOGIN: &str = "/t/acme/login";
const NEW: &str = "forty-two-mauve-tractors-hum";

/// A tenant with a client, and with bob, whose password has to be changed.
async fn with_bob(world: &World) -> (Shop, String) {
    let shop = shop(world, json!({})).await;
    let form = json!({ "username": "bob", "password": PASSWORD, "must_change": true });
    let bob = world.platform_admin().post(USERS, form).await.is(201).json();
    assert!(bob["password_change_required_at"].is_string(), "{bob}");
    (shop, bob["id"].as_str().expect("an id").to_owned())
}

fn typed(password: &str) -> Value {
    json!({ "username": "bob", "password": password })
}

#[test]
fn a_login_page_asks_for_the_new_password_before_anything_is_given() {
    in_world(async |world| {
        let (shop, _) = with_bob(world).await;
        let mut browser = Browser::new(&world.base_url);
        let page = browser.get(&shop.request(&[])).await;
        let page = browser.follow(page).await.is(200);
        let wrong = browser.submit(&page, &[("identifier", "bob"), ("password", "not-his-password-at-all")]).await.is(200);
        assert!(wrong.text.contains("That didn’t work") && !wrong.text.contains("new_password"), "who does not know it learns nothing");
        let page = browser.submit(&page, &[("identifier", "bob"), ("password", PASSWORD)]).await;
        let page = browser.follow(page).await.is(200);
        assert!(page.text.contains("name=\"new_password\"") && page.text.contains("A few unrelated words work well."), "{}", page.text);
        assert!(browser.cookie("_sso_").is_none(), "no session yet");
        // It says whose password it is, and whoever is somebody else goes back.
        assert!(page.text.contains("For the account") && page.text.contains("bob"), "{}", page.text);
        let (action, fields) = page.form();
        let somebody_else = [("account", "another"), ("csrf_token", fields["csrf_token"].as_str())];
        let back = browser.post(&action.replace("/new-password", "/accounts"), &somebody_else).await;
        let back = browser.follow(back).await.is(200);
        assert!(back.text.contains("name=\"identifier\"") && !back.text.contains("new_password"), "{}", back.text);
        let page = browser.submit(&back, &[("identifier", "bob"), ("password", PASSWORD)]).await;
        let page = browser.follow(page).await.is(200);
        let silent = browser.get(&shop.request(&[("prompt", "none")])).await;
        assert_eq!(told(&silent)["error"], "login_required");
        assert!(browser.get("/t/acme/account").await.text.contains("name=\"password\""));
        // Loaded again it asks the same; another browser has nothing of it.
        let (action, fields) = page.form();
        let interaction = action.replace("/new-password", "");
        assert!(browser.get(&interaction).await.is(200).text.contains("name=\"new_password\""));
        let new = [("new_password", NEW), ("repeat_password", NEW), ("csrf_token", fields["csrf_token"].as_str())];
        assert!(Browser::new(&world.base_url).post(&action, &new).await.status >= 400);
        browser.post(&action, &[new[0], new[1], ("csrf_token", "forged")]).await.is(403);
        browser.post_with(&action, &new, ("sec-fetch-site", "cross-site")).await.is(403);
        for (one, two, said) in [
            (NEW, "something-else-altogether", "The two passwords are not the same."),
            ("short", "short", "That password is too short."),
            ("passwordpassword", "passwordpassword", "That password is easy to guess."),
            (PASSWORD, PASSWORD, "too close to your name, your address or your last password"),
        ] {
            let page = browser.submit(&page, &[("new_password", one), ("repeat_password", two)]).await.is(200);
            assert!(page.text.contains(said), "{said}: {}", page.text);
        }
        let done = browser.submit(&page, &[("new_password", NEW), ("repeat_password", NEW)]).await;
        let done = browser.follow(done).await;
        shop.redeem(world, &told(&done)["code"]).await.is(200);
        assert!(browser.cookie("_sso_").is_some());
        assert!(told(&browser.get(&shop.request(&[])).await).contains_key("code"));
        // The page is used up, and so is the password.
        assert!(browser.submit(&page, &[("new_password", PASSWORD), ("repeat_password", PASSWORD)]).await.status >= 400);
        world.login("acme", "bob", PASSWORD).await.refused(401, "bad_credentials");
        world.login("acme", "bob", NEW).await.is(200);
    });
}

#[test]
fn a_login_over_json_says_so_and_takes_the_new_password_beside_the_right_one() {
    in_world(async |world| {
        let (_, bob) = with_bob(world).await;
        let login = async |password: &str, new: Option<&str>| {
            let mut form = typed(password);
            if let Some(new) = new {
                form["new_password"] = json!(new);
            }
            world.anon().post(LOGIN, form).await
        };
        login("not-his-password-at-all", Some(NEW)).await.refused(401, "bad_credentials");
        login(PASSWORD, None).await.refused(403, "password_change_required");
        for unfit in ["short", "passwordpassword", PASSWORD] {
            login(PASSWORD, Some(unfit)).await.refused(422, "password_refused");
        }
        let tokens = login(PASSWORD, Some(NEW)).await.is(200);
        world.bearing(&tokens.word("access_token")).get("/t/acme/me").await.is(200);
        login(PASSWORD, Some("another-forty-mauve-tractors")).await.refused(401, "bad_credentials");
        login(NEW, Some("another-forty-mauve-tractors")).await.refused(400, "bad_request");
        login(NEW, None).await.is(200);
        let user = world.platform_admin().get(&format!("{USERS}/{bob}")).await.is(200).json();
        assert!(user["password_change_required_at"].is_null(), "{user}");
        let events = world.platform_admin().get("/admin/v1/tenants/acme/events?limit=50").await.is(200).text;
        assert!(events.contains("password_set") && !events.contains(NEW) && !events.contains(PASSWORD));
    });
}

#[test]
fn whoever_has_to_change_the_password_loses_all_sessions_until_then() {
    in_world(async |world| {
        let shop = shop(world, json!({})).await;
        let tokens = world.sign_in("acme", "alice").await;
        let mut browser = Browser::new(&world.base_url);
        let code = crate::oidc::code(&mut browser, &shop, &[]).await;
        let me = tokens.user.clone();
        let user = format!("{USERS}/{me}");
        let admin = world.platform_admin();
        admin.patch(&user, json!({ "must_change": true })).await.is(200);
        world.bearing(&tokens.access_token).get("/t/acme/me").await.is(401);
        world.refresh("acme", &tokens.refresh_token).await.refused_oauth(400, "invalid_grant");
        shop.redeem(world, &code).await.refused_oauth(400, "invalid_grant");
        assert_eq!(told(&browser.get(&shop.request(&[("prompt", "none")])).await)["error"], "login_required");
        world.login("acme", "alice", PASSWORD).await.refused(403, "password_change_required");
        // An administrator may take it back, or set another password that has to be changed as well.
        admin.patch(&user, json!({ "must_change": false })).await.is(200);
        world.login("acme", "alice", PASSWORD).await.is(200);
        admin.put(&format!("{user}/password"), json!({ "password": NEW, "must_change": true })).await.is(204);
        world.login("acme", "alice", NEW).await.refused(403, "password_change_required");

        // One's own page asks as well.
        let mut browser = Browser::new(&world.base_url);
        let page = browser.get("/t/acme/account").await.is(200);
        let page = browser.submit(&page, &[("identifier", "alice"), ("password", NEW)]).await.is(200);
        assert!(page.text.contains("name=\"new_password\"") && browser.cookie("_sso_").is_none(), "{}", page.text);
        let again = [("current_password", "not-hers-at-all-either"), ("new_password", PASSWORD), ("repeat_password", PASSWORD)];
        let wrong = browser.submit(&page, &again).await.is(200);
        assert!(wrong.text.contains("That isn’t your current password."), "{}", wrong.text);
        let again = [("current_password", NEW), ("new_password", PASSWORD), ("repeat_password", PASSWORD)];
        let page = browser.submit(&page, &again).await;
        assert!(browser.follow(page).await.is(200).text.contains("Your account"));
        world.login("acme", "alice", PASSWORD).await.is(200);
    });
}

#[test]
fn a_password_with_a_weak_hash_has_to_be_changed_where_the_tenant_says_so() {
    in_world(async |world| {
        world.tenant("acme").await;
        let admin = world.platform_admin();
        let weak = bcrypt::hash("from the old system", 4).expect("hashes");
        let strong = bcrypt::hash("from the old system", 10).expect("hashes");
        for (name, hash) in [("bob", &weak), ("carol", &weak), ("dave", &strong)] {
            admin.post(USERS, json!({ "username": name, "password_hash": hash })).await.is(201);
        }
        // As long as the tenant says nothing, such a password is hashed anew, and its hash is not weak any more.
        world.login("acme", "carol", "from the old system").await.is(200);
        admin.patch("/admin/v1/tenants/acme", json!({ "policy": { "weak_password_hashes": "refuse" } })).await.refused(400, "bad_request");
        world.policy("acme", json!({ "weak_password_hashes": "must_change" })).await;
        world.login("acme", "carol", "from the old system").await.is(200);
        world.login("acme", "dave", "from the old system").await.is(200);

        world.login("acme", "bob", "from the new system").await.refused(401, "bad_credentials");
        world.login("acme", "bob", "from the old system").await.refused(403, "password_change_required");
        // The tenant's change of mind does not undo it: it is on the user from now on.
        world.policy("acme", json!({ "weak_password_hashes": "rehash" })).await;
        world.login("acme", "bob", "from the old system").await.refused(403, "password_change_required");
        let mut form = typed("from the old system");
        form["new_password"] = json!(NEW);
        world.anon().post(LOGIN, form).await.is(200);
        world.login("acme", "bob", NEW).await.is(200);
        world.login("acme", "bob", "from the old system").await.refused(401, "bad_credentials");
        let events = admin.get("/admin/v1/tenants/acme/events?limit=50").await.is(200).text;
        assert!(events.contains("password_change_required") && events.contains("password_rehashed"), "{events}");
    });
}

#[test]
fn of_two_new_passwords_at_once_one_is_taken() {
    in_world(async |world| {
        with_bob(world).await;
        let new: Vec<_> = (0..4).map(|n| format!("{n}-forty-two-mauve-tractors-hum")).collect();
        let tried = new.iter().map(async |new| {
            let mut form = typed(PASSWORD);
            form["new_password"] = json!(new);
            world.anon().post(LOGIN, form).await.status
        });
        let statuses = futures_util::future::join_all(tried).await;
        assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 1, "{statuses:?}");
    });
}
