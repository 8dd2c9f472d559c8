//! Mails to users, and what their links open: a forgotten password is replaced. And that nobody waits for a relay (F34).

use serde_json::json;
use sqlx::SqlitePool;
use sqlx::sqlite::SqliteConnectOptions;

use crate::browser::{Browser, Page};
use crate::oidc::shop;
use crate::relay::{Mail, Relay, Trouble};
use crate::world::{PASSWORD, World, in_world, in_world_with};

const FORGOT: &str = "/t/acme/password/forgot";
const NEW_PASSWORD: &str = "forty-two-mauve-tractors-hum";

/// A world whose mails go to a relay of ours.
pub(crate) fn with_relay(test: impl AsyncFnOnce(&World, &Relay)) {
    let relay = Relay::start();
    in_world_with(|settings| relay.set(settings), async |world| test(world, &relay).await);
}

/// Alice wants a link, and the relay does not take the mail.
pub(crate) async fn leave_behind(world: &World, relay: &Relay) {
    let form = json!({ "username": "lost", "email": "lost@acme.example", "password": PASSWORD });
    world.platform_admin().post("/admin/v1/tenants/acme/users", form).await.is(201);
    relay.trouble(&[Trouble::Says(451); 16]);
    asked(world, "lost").await.is(303);
    relay.tried(1).await;
}

pub(crate) async fn asked(world: &World, identifier: &str) -> Page {
    let mut browser = Browser::new(&world.base_url);
    let page = browser.get(FORGOT).await.is(200);
    browser.submit(&page, &[("identifier", identifier)]).await
}

/// The path of the link in a mail.
#[track_caller]
pub(crate) fn path_of(world: &World, mail: &Mail) -> String {
    mail.link(&format!("{}/t/", world.base_url))[world.base_url.len()..].to_owned()
}

pub(crate) async fn chosen(browser: &mut Browser, link: &str, password: &str) -> Page {
    browser.post(link, &[("new_password", password), ("repeat_password", password)]).await
}

#[test]
fn s144_a_forgotten_password_is_replaced_by_a_link_that_works_once_and_all_sessions_end() {
    with_relay(async |world, relay| {
        shop(world, json!({})).await;
        let phone = world.sign_in("acme", "alice").await;
        let page = asked(world, "alice").await;
        assert_eq!(page.location(), "/t/acme/password/sent");
        let mail = relay.mails(1).await.remove(0);
        assert_eq!(mail.to, "alice@acme.example");
        assert_eq!(mail.header("From"), "acme <no-reply@id.example>");
        assert!(mail.header("Message-ID").starts_with("<mail_") && mail.header("Auto-Submitted") == "auto-generated", "{}", mail.text);
        let link = path_of(world, &mail);
        assert!(link.starts_with("/t/acme/password/reset/pr1_"), "{link}");

        // Another browser than the one that asked; looking uses nothing up.
        let mut browser = Browser::new(&world.base_url);
        for _ in 0..2 {
            let page = browser.get(&link).await.is(200);
            assert!(page.text.contains("Choose a new password") && page.header("cache-control") == "no-store", "{}", page.text);
        }
        for (new, repeat, said) in [
            ("short", "short", "That password is too short."),
            (NEW_PASSWORD, PASSWORD, "The two passwords are not the same."),
            ("passwordpassword", "passwordpassword", "easy to guess"),
        ] {
            let page = browser.post(&link, &[("new_password", new), ("repeat_password", repeat)]).await.is(200);
            assert!(page.text.contains(said), "{said}: {}", page.text);
        }
        assert_eq!(chosen(&mut browser, &link, NEW_PASSWORD).await.location(), "/t/acme/password/changed");
        world.refresh("acme", &phone.refresh_token).await.refused_oauth(400, "invalid_grant");
        world.login("acme", "alice", PASSWORD).await.is(401);
        world.login("acme", "alice", NEW_PASSWORD).await.is(200);

        let again = chosen(&mut browser, &link, PASSWORD).await.is(400);
        assert!(again.text.contains("This link no longer works"), "{}", again.text);
        browser.get(&link).await.is(400);
        let events = world.platform_admin().get("/admin/v1/tenants/acme/events?limit=50").await.is(200).text;
        assert!(events.contains("\"password_reset\"") && events.contains("mail_queued"), "{events}");
        assert!(!events.contains("pr1_"), "no link in the log");
    });
}

#[test]
fn s139_who_asks_for_a_link_does_not_learn_whether_there_is_an_account() {
    with_relay(async |world, relay| {
        shop(world, json!({})).await;
        world.user("acme", "nomail", &[]).await;
        let mut answers = Vec::new();
        for name in ["nobody", "nobody@acme.example", "nomail", "not a name at all \u{7}", "alice@acme.example"] {
            let page = asked(world, name).await;
            let mut names: Vec<_> = page.headers.keys().map(ToString::to_string).collect();
            names.sort();
            answers.push((page.status, page.location(), names, page.text));
        }
        assert!(answers.windows(2).all(|pair| pair[0] == pair[1]), "{answers:?}");
        let mails = relay.mails(1).await;
        assert_eq!(mails.iter().map(|mail| mail.to.as_str()).collect::<Vec<_>>(), ["alice@acme.example"]);
        let mut browser = Browser::new(&world.base_url);
        let page = browser.get(FORGOT).await.is(200);
        let page = browser.submit(&page, &[("identifier", "  ")]).await.is(200);
        assert!(page.text.contains("Please enter your e-mail or username."));
    });
}

#[test]
fn s144_i3_of_many_who_use_a_link_at_once_exactly_one_does() {
    with_relay(async |world, relay| {
        shop(world, json!({})).await;
        asked(world, "alice").await.is(303);
        let link = path_of(world, &relay.mails(1).await[0]);
        let tries = (0..16).map(|_| async {
            let mut browser = Browser::new(&world.base_url);
            chosen(&mut browser, &link, NEW_PASSWORD).await.status
        });
        let statuses = futures_util::future::join_all(tries).await;
        assert_eq!(statuses.iter().filter(|status| **status == 303).count(), 1, "{statuses:?}");
        assert!(statuses.iter().all(|status| [303, 400].contains(status)), "{statuses:?}");
    });
}

#[test]
fn r37_a_link_is_worth_nothing_when_it_is_old_foreign_or_from_before_a_new_password() {
    with_relay(async |world, relay| {
        shop(world, json!({})).await;
        world.tenant("globex").await;
        let form = json!({ "username": "alice", "email": "alice@acme.example", "password": PASSWORD });
        world.platform_admin().post("/admin/v1/tenants/globex/users", form).await.is(201);
        let mut browser = Browser::new(&world.base_url);

        asked(world, "alice").await.is(303);
        let link = path_of(world, &relay.mails(1).await[0]);
        let of_globex = link.replace("/t/acme/", "/t/globex/");
        let mut cut = link.clone();
        cut.pop();
        let typed = link.replace("pr1_", "ev1_");
        let (start, secret) = link.split_at(link.find("pr1_").expect("a secret") + 4);
        let guessed = format!("{start}{}", "A".repeat(secret.len()));
        for bad in [&of_globex, &cut, &typed, &guessed] {
            browser.get(bad).await.is(400);
            chosen(&mut browser, bad, NEW_PASSWORD).await.is(400);
        }
        world.clock.forward(31 * 60);
        chosen(&mut browser, &link, NEW_PASSWORD).await.is(400);

        asked(world, "alice").await.is(303);
        let link = path_of(world, &relay.mails(2).await[1]);
        let user = world.sign_in("acme", "alice").await.user;
        world.clock.forward(1);
        let set = json!({ "password": "another-word-of-hers-altogether" });
        world.platform_admin().put(&format!("/admin/v1/tenants/acme/users/{user}/password"), set).await.is(204);
        chosen(&mut browser, &link, NEW_PASSWORD).await.is(400);

        asked(world, "alice").await.is(303);
        let link = path_of(world, &relay.mails(3).await[2]);
        world.platform_admin().post(&format!("/admin/v1/tenants/acme/users/{user}/disable"), json!({})).await.is(200);
        chosen(&mut browser, &link, NEW_PASSWORD).await.is(400);
    });
}

#[test]
fn r36_links_begin_with_what_is_configured_whatever_a_request_says() {
    with_relay(async |world, relay| {
        shop(world, json!({})).await;
        let mut count = 0;
        for header in [
            ("host", "evil.example"),
            ("host", "localhost:1"),
            ("x-forwarded-host", "evil.example"),
            ("forwarded", "host=evil.example;proto=https"),
        ] {
            let mut browser = Browser::new(&world.base_url);
            let page = browser.get(FORGOT).await.is(200);
            let (action, fields) = page.form();
            let fields = [("identifier", "alice"), ("csrf_token", fields["csrf_token"].as_str())];
            let answer = browser.post_with(&action, &fields, header).await;
            if header == ("host", "evil.example") {
                answer.is(404);
                continue;
            }
            answer.is(303);
            count += 1;
            let mail = relay.mails(count).await.remove(count - 1);
            assert!(!mail.text.contains("evil.example"), "{}", mail.text);
            assert!(path_of(world, &mail).starts_with("/t/acme/password/reset/"));
        }
    });
}

#[test]
fn nobody_floods_a_mailbox_or_asks_without_end() {
    with_relay(async |world, relay| {
        shop(world, json!({})).await;
        for _ in 0..8 {
            asked(world, "alice").await.is(303);
        }
        let form = json!({ "username": "bob", "email": "bob@acme.example", "password": PASSWORD });
        world.platform_admin().post("/admin/v1/tenants/acme/users", form).await.is(201);
        asked(world, "bob").await.is(303);
        let mut statuses = Vec::new();
        for _ in 0..48 {
            statuses.push(asked(world, "nobody").await.status);
        }
        assert_eq!((statuses[0], statuses[47]), (303, 429), "{statuses:?}");
        let mails = relay.mails(6).await;
        assert_eq!(mails.iter().filter(|mail| mail.to == "alice@acme.example").count(), 5);
    });
}

#[test]
fn where_no_mails_are_sent_nothing_that_needs_one_is_offered() {
    in_world(async |world| {
        shop(world, json!({})).await;
        let mut browser = Browser::new(&world.base_url);
        for path in [FORGOT, "/t/acme/password/sent", "/t/acme/password/changed", "/t/acme/password/reset/pr1_x"] {
            browser.get(path).await.is(404);
        }
        assert!(!browser.get("/t/acme/account").await.is(200).text.contains("Forgot password?"));
    });
    with_relay(async |world, _| {
        shop(world, json!({})).await;
        let page = Browser::new(&world.base_url).get("/t/acme/account").await.is(200);
        assert!(page.text.contains(&format!("href=\"{FORGOT}\"")), "{}", page.text);
    });
}

#[test]
fn a_mail_speaks_the_language_of_whoever_asked_and_wears_the_tenants_name() {
    with_relay(async |world, relay| {
        shop(world, json!({})).await;
        let branding = json!({ "display_name": "Bücher & Brot", "support_email": "hilfe@acme.example" });
        world.platform_admin().put("/admin/v1/tenants/acme/branding", branding).await.is(200);
        let mut browser = Browser::new(&world.base_url);
        let (action, fields) = browser.get(FORGOT).await.is(200).form();
        let fields = [("identifier", "alice"), ("csrf_token", fields["csrf_token"].as_str())];
        browser.post_with(&action, &fields, ("accept-language", "de")).await.is(303);
        let mail = relay.mails(1).await.remove(0);
        assert!(mail.text.contains("Neues Passwort") || mail.text.contains("neues Passwort"), "{}", mail.text);
        assert_eq!(mail.header("Reply-To"), "hilfe@acme.example");
        assert!(mail.text.contains("Bücher & Brot"), "{}", mail.text);
    });
}

/// Lets what waits for its next attempt wait no longer.
async fn hurry(world: &World) {
    let pool = SqlitePool::connect_with(SqliteConnectOptions::new().filename(&world.database)).await.expect("connected");
    sqlx::query("UPDATE mails SET due_at = 0").execute(&pool).await.expect("hurried");
    pool.close().await;
}

#[test]
fn f34_a_relay_that_is_down_slow_or_cross_keeps_nobody_waiting_and_gets_the_mail_when_it_is_back() {
    with_relay(async |world, relay| {
        shop(world, json!({})).await;
        let (mut tries, mut taken) = (0, 0);
        for trouble in [Trouble::HangsUp, Trouble::Says(451), Trouble::Says(421), Trouble::Stalls] {
            relay.trouble(&[trouble]);
            asked(world, "alice").await.is(303);
            tries += 1;
            relay.tried(tries).await;
            // The relay has the mail in its hands, and everything goes on.
            world.login("acme", "alice", PASSWORD).await.is(200);
            if trouble == Trouble::Stalls {
                relay.go_on();
            } else {
                hurry(world).await;
                tries += 1;
            }
            taken += 1;
            let mails = relay.mails(taken).await;
            assert!(path_of(world, &mails[taken - 1]).starts_with("/t/acme/password/reset/"), "{trouble:?}");
            world.clock.forward(3_700);
        }
        // For good is for good: it is not tried again.
        relay.trouble(&[Trouble::Says(550)]);
        asked(world, "alice").await.is(303);
        relay.tried(tries + 1).await;
        for more in 1..=2 {
            world.clock.forward(3_700);
            asked(world, "alice").await.is(303);
            let mails = relay.mails(taken + more).await;
            let names: std::collections::BTreeSet<_> = mails.iter().map(|mail| mail.header("Message-ID").to_owned()).collect();
            assert_eq!(names.len(), taken + more, "each mail has one name");
            hurry(world).await;
        }
        // Whoever is on call sees it. The relay knows of the last one a moment before the node does.
        let told = async || {
            let metrics = world.metrics().await;
            ["taken", "refused", "failed"].map(|outcome| {
                let line = format!("claviger_mails_total{{outcome=\"{outcome}\"}} ");
                metrics.lines().find_map(|shown| shown.strip_prefix(&line)?.parse::<usize>().ok()).expect("a number")
            })
        };
        for _ in 0..1_000 {
            if told().await[0] == taken + 2 {
                break;
            }
        }
        assert_eq!(told().await, [taken + 2, 1, 3]);
    });
}

const ACCOUNT: &str = "/t/acme/account";

/// Alice in her account.
async fn at_home(world: &World) -> (Browser, Page) {
    let mut browser = Browser::new(&world.base_url);
    let page = browser.get(ACCOUNT).await.is(200);
    let page = browser.submit(&page, &[("identifier", "alice"), ("password", PASSWORD)]).await;
    let page = browser.follow(page).await.is(200);
    (browser, page)
}

async fn address(world: &World) -> serde_json::Value {
    let users = world.platform_admin().get("/admin/v1/tenants/acme/users").await.is(200).json();
    let alice = users["items"].as_array().expect("users").iter().find(|user| user["username"] == "alice").expect("alice");
    json!([alice["email"], !alice["email_verified_at"].is_null()])
}

#[test]
fn r32_an_address_is_confirmed_by_whoever_reads_its_mail_and_by_no_form() {
    with_relay(async |world, relay| {
        shop(world, json!({})).await;
        let (mut browser, page) = at_home(world).await;
        let token = page.form().1["csrf_token"].clone();
        for field in ["email_verified", "email_verified_at", "email"] {
            browser.post("/t/acme/account/profile", &[("csrf_token", &token), ("display_name", "Al"), (field, "true")]).await.is(303);
        }
        assert_eq!(address(world).await, json!(["alice@acme.example", false]));
        let sent = browser.submit_form(&page, "/account/email/verify", &[]).await;
        assert!(browser.follow(sent).await.is(200).text.contains("Confirm your e-mail address"));
        let link = path_of(world, &relay.mails(1).await[0]);
        assert!(link.starts_with("/t/acme/account/email/verify/ev1_"), "{link}");

        let mut reader = Browser::new(&world.base_url);
        let page = reader.get(&link).await.is(200);
        assert!(page.text.contains("alice@acme.example"), "{}", page.text);
        assert_eq!(address(world).await, json!(["alice@acme.example", false]), "looking proves nothing");
        let page = reader.submit(&page, &[]).await;
        assert!(reader.follow(page).await.is(200).text.contains("E-mail address confirmed"));
        assert_eq!(address(world).await, json!(["alice@acme.example", true]));
        reader.post(&link, &[]).await.is(400);
        let users = world.platform_admin().get("/admin/v1/tenants/acme/users").await.is(200).json();
        let id = users["items"][0]["id"].as_str().expect("an id").to_owned();
        let patch = json!({ "email": "other@acme.example" });
        world.platform_admin().patch(&format!("/admin/v1/tenants/acme/users/{id}"), patch).await.is(200);
        assert_eq!(address(world).await, json!(["other@acme.example", false]), "another address is another question");
    });
}

#[test]
fn s147_another_address_needs_the_password_a_link_and_the_session_and_the_old_one_is_told() {
    with_relay(async |world, relay| {
        shop(world, json!({})).await;
        let (mut browser, _) = at_home(world).await;
        let form = browser.get("/t/acme/account/email").await.is(200);
        for (email, current, said) in [
            ("alice@new.example", "not-her-password-at-all", "That isn’t your current password."),
            ("no address", PASSWORD, "Enter another address"),
            ("ALICE@acme.example", PASSWORD, "Enter another address"),
        ] {
            let page = browser.submit(&form, &[("email", email), ("current_password", current)]).await.is(200);
            assert!(page.text.contains(said), "{said}: {}", page.text);
        }
        let sent = browser.submit(&form, &[("email", "alice@new.example"), ("current_password", PASSWORD)]).await;
        assert!(browser.follow(sent).await.is(200).text.contains("Confirm your new address"));
        let mail = relay.mails(1).await.remove(0);
        assert_eq!((mail.to.as_str(), address(world).await), ("alice@new.example", json!(["alice@acme.example", false])));
        let link = path_of(world, &mail);

        // Whoever got the mail by mistake gets no account; alice, logged in elsewhere, comes back to the link.
        world.user("acme", "bob", &[]).await;
        let mut bob = Browser::new(&world.base_url);
        let page = bob.get(&link).await.is(200);
        assert!(page.text.contains("Sign in") && !page.text.contains("alice@new.example"), "{}", page.text);
        let page = bob.submit(&page, &[("identifier", "bob"), ("password", PASSWORD)]).await;
        assert_eq!(page.location(), link);
        bob.get(&link).await.is(400);
        let mut elsewhere = Browser::new(&world.base_url);
        let page = elsewhere.get(&link).await.is(200);
        let page = elsewhere.submit(&page, &[("identifier", "alice"), ("password", PASSWORD)]).await;
        let page = elsewhere.follow(page).await.is(200);
        assert!(page.text.contains("alice@new.example"), "{}", page.text);
        elsewhere.post(&link, &[]).await.is(403);
        let page = elsewhere.submit(&page, &[]).await;
        assert!(elsewhere.follow(page).await.is(200).text.contains("E-mail address changed"));
        assert_eq!(address(world).await, json!(["alice@new.example", true]));
        elsewhere.get(&link).await.is(400);
        let told = relay.mails(2).await.remove(1);
        assert_eq!(told.to, "alice@acme.example");
        assert!(told.text.contains("alice@new.example"), "{}", told.text);
    });
}

#[test]
fn r29_a_change_of_address_that_waits_dies_with_a_new_password_and_takes_no_address_that_somebody_has() {
    with_relay(async |world, relay| {
        shop(world, json!({})).await;
        let form = json!({ "username": "carol", "email": "carol@acme.example", "password": PASSWORD });
        world.platform_admin().post("/admin/v1/tenants/acme/users", form).await.is(201);
        let (mut browser, _) = at_home(world).await;
        let page = browser.get("/t/acme/account/email").await.is(200);
        for (nth, address) in ["carol@acme.example", "thief@evil.example"].into_iter().enumerate() {
            browser.submit(&page, &[("email", address), ("current_password", PASSWORD)]).await.is(303);
            relay.mails(nth + 1).await;
        }
        let links: Vec<_> = relay.mails(2).await.iter().map(|mail| path_of(world, mail)).collect();
        let page = browser.get(&links[0]).await.is(200);
        browser.submit(&page, &[]).await.is(400);
        assert_eq!(address(world).await, json!(["alice@acme.example", false]));

        // The owner comes back.
        asked(world, "alice").await.is(303);
        let reset = path_of(world, &relay.mails(3).await[2]);
        let mut owner = Browser::new(&world.base_url);
        chosen(&mut owner, &reset, NEW_PASSWORD).await.is(303);
        let page = owner.get(&links[1]).await.is(200);
        let page = owner.submit(&page, &[("identifier", "alice"), ("password", NEW_PASSWORD)]).await;
        owner.follow(page).await.is(400);
        assert_eq!(address(world).await, json!(["alice@acme.example", true]), "the way back proved it");
    });
}

#[test]
fn a_login_from_a_new_place_is_told_to_the_user_and_one_from_a_known_place_is_not() {
    let relay = Relay::start();
    let proxied = |settings: &mut server::Settings| {
        relay.set(settings);
        settings.server.trusted_proxies = vec!["127.0.0.1".parse().expect("an address")];
    };
    in_world_with(proxied, async |world| {
        shop(world, json!({})).await;
        let login = async |from: &str| {
            let form = json!({ "username": "alice", "password": PASSWORD });
            let agent = "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0";
            let request = world.anon().request("POST", "/t/acme/login").header("x-forwarded-for", from).header("user-agent", agent);
            crate::world::sent(request.json(&form)).await.is(200);
        };
        for from in ["203.0.113.1", "203.0.113.1", "198.51.100.9", "203.0.113.1", "198.51.100.9"] {
            login(from).await;
        }
        login("192.0.2.77").await;
        let mails = relay.mails(2).await;
        let mut places: Vec<_> = mails
            .iter()
            .map(|mail| ["198.51.100.9", "192.0.2.77", "203.0.113.1"].into_iter().find(|place| mail.text.contains(place)).expect("a place"))
            .collect();
        places.sort_unstable();
        assert_eq!(places, ["192.0.2.77", "198.51.100.9"]);
        assert!(mails[0].to == "alice@acme.example" && mails[0].text.contains("Firefox · Linux"), "{}", mails[0].text);
    });
}
