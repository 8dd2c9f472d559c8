//! Clients that register themselves (RFC 7591), and look at, change and remove themselves (RFC 7592).

use serde_json::{Value, json};

use crate::browser::Browser;
use crate::oidc::{CALLBACK, Shop, claims, logged_in, shop, told};
use crate::world::{Answer, PASSWORD, World, in_world, in_world_with};

pub(crate) const REGISTER: &str = "/t/acme/oauth/register";
const TOKENS: &str = "/admin/v1/tenants/acme/initial-access-tokens";
const DAY: u32 = 86_400;

/// An administrator makes a token, and nobody uses it.
pub(crate) async fn leave_behind(world: &World) {
    initial_token(world, json!({})).await;
}

pub(crate) async fn registration(world: &World, policy: Value) {
    world.policy("acme", json!({ "registration": policy })).await;
}

/// Makes a token with which clients may be registered.
pub(crate) async fn initial_token(world: &World, form: Value) -> Answer {
    world.platform_admin().post(TOKENS, form).await.is(201)
}

pub(crate) fn metadata(more: Value) -> Value {
    let mut members = json!({
        "client_name": "Stall", "redirect_uris": [CALLBACK], "grant_types": ["authorization_code", "refresh_token"],
        "token_endpoint_auth_method": "client_secret_post",
    });
    members.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
    members
}

/// Where a client manages itself, below the world's address.
pub(crate) fn address(world: &World, registered: &Answer) -> String {
    registered.word("registration_client_uri").strip_prefix(&world.base_url).expect("of this server").to_owned()
}

#[test]
fn s119_s122_a_client_registers_itself_and_a_user_is_asked_before_it_gets_anything() {
    in_world(async |world| {
        shop(world, json!({})).await;
        registration(world, json!({ "access": "initial_access_token" })).await;
        let initial = initial_token(world, json!({ "name": "CI" })).await.word("token");
        let said = metadata(json!({ "consent": "first_party", "contacts": ["ops@stall.example"] }));
        let made = world.bearing(&initial).post(REGISTER, said).await.is(201);
        assert_eq!(made.header("cache-control"), "no-store");
        let told_about = made.json();
        assert_eq!(told_about["client_secret_expires_at"], 0);
        assert_eq!(told_about["contacts"], json!(["ops@stall.example"]));
        assert_eq!((told_about["consent"].as_str(), told_about["require_pkce"].as_bool()), (Some("third_party"), Some(true)));
        assert!(told_about["client_id_issued_at"].as_i64().is_some_and(|at| at > 1_700_000_000));

        let stall = Shop { id: made.word("client_id"), secret: made.word("client_secret") };
        let mut browser = Browser::new(&world.base_url);
        let asked = logged_in(&mut browser, &stall.request(&[])).await.is(200);
        assert!(asked.text.contains("Stall"), "{}", asked.text);
        let allowed = browser.submit(&asked, &[("decision", "allow")]).await;
        let code = told(&browser.follow(allowed).await)["code"].clone();
        let tokens = stall.redeem(world, &code).await.is(200);
        assert_eq!(claims(&tokens.word("id_token"))["aud"], json!(stall.id));

        // Of what is secret, the hash alone is stored.
        let mut stored = Vec::new();
        for file in [world.database.clone(), world.database.with_extension("db-wal")] {
            stored.extend(std::fs::read(file).unwrap_or_default());
        }
        assert!(stored.windows(stall.id.len()).any(|bytes| bytes == stall.id.as_bytes()), "the client is there");
        for secret in [&initial, &stall.secret, &made.word("registration_access_token")] {
            assert!(!stored.windows(40).any(|bytes| bytes == &secret.as_bytes()[4..44]), "stored in clear");
        }
        let events = world.platform_admin().get("/admin/v1/tenants/acme/events").await.is(200);
        assert!(events.text.contains("client_registered") && events.text.contains("initial_access_token_created"));
        assert!(!events.text.contains(&initial[4..]) && !events.text.contains(&stall.secret[4..]));
    });
}

#[test]
fn s122_nobody_registers_where_the_tenant_does_not_say_so() {
    in_world(async |world| {
        world.tenant("acme").await;
        world.tenant("globex").await;
        let discovered = async || world.anon().get("/t/acme/.well-known/openid-configuration").await.is(200).json();
        assert!(discovered().await.get("registration_endpoint").is_none());
        let token = initial_token(world, json!({})).await.word("token");
        world.bearing(&token).post(REGISTER, metadata(json!({}))).await.refused_oauth(404, "invalid_request");

        registration(world, json!({ "access": "initial_access_token" })).await;
        world.policy("globex", json!({ "registration": { "access": "initial_access_token" } })).await;
        assert_eq!(discovered().await["registration_endpoint"], json!(format!("{}{REGISTER}", world.base_url)));
        let refused = world.anon().post(REGISTER, metadata(json!({}))).await.is(401);
        assert_eq!(refused.header("www-authenticate"), "Bearer");
        for wrong in ["x", "ia1_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"] {
            world.bearing(wrong).post(REGISTER, metadata(json!({}))).await.refused_oauth(401, "invalid_token");
        }
        world.bearing(&token).post("/t/globex/oauth/register", metadata(json!({}))).await.refused_oauth(401, "invalid_token");

        // What is wrong uses nothing up; what is right does.
        world.bearing(&token).post(REGISTER, json!({})).await.refused_oauth(400, "invalid_redirect_uri");
        world.bearing(&token).post(REGISTER, metadata(json!({}))).await.is(201);
        world.bearing(&token).post(REGISTER, metadata(json!({}))).await.refused_oauth(401, "invalid_token");

        let twice = initial_token(world, json!({ "uses": 2 })).await;
        world.bearing(&twice.word("token")).post(REGISTER, metadata(json!({}))).await.is(201);
        let listed = world.platform_admin().get(TOKENS).await.is(200);
        assert!(!listed.text.contains(&twice.word("token")[4..]), "shown once");
        assert_eq!(listed.json()["items"].as_array().expect("a page").iter().map(|token| &token["uses_left"]).collect::<Vec<_>>(), [0, 1]);
        world.platform_admin().delete(&format!("{TOKENS}/{}", twice.word("id"))).await.is(204);
        world.bearing(&twice.word("token")).post(REGISTER, metadata(json!({}))).await.refused_oauth(401, "invalid_token");
        let late = initial_token(world, json!({})).await.word("token");
        world.clock.forward(DAY);
        world.bearing(&late).post(REGISTER, metadata(json!({}))).await.refused_oauth(401, "invalid_token");
    });
}

#[test]
fn what_a_client_shows_of_itself_is_on_the_login_page_and_on_the_consent_page() {
    in_world(async |world| {
        shop(world, json!({})).await;
        registration(world, json!({ "access": "initial_access_token" })).await;
        let token = initial_token(world, json!({})).await.word("token");
        let shown = json!({
            "logo_uri": "https://stall.example/logo.png", "client_uri": "https://stall.example/home",
            "policy_uri": "https://stall.example/policy", "tos_uri": "https://terms.example/stall",
        });
        let made = world.bearing(&token).post(REGISTER, metadata(shown)).await.is(201);
        let stall = Shop { id: made.word("client_id"), secret: made.word("client_secret") };
        let mut browser = Browser::new(&world.base_url);
        let page = browser.get(&stall.request(&[])).await;
        let login = browser.follow(page).await.is(200);
        assert!(login.text.contains("name=\"password\""), "{}", login.text);
        let page = browser.submit(&login, &[("identifier", "alice"), ("password", PASSWORD)]).await;
        let consent = browser.follow(page).await.is(200);
        assert!(consent.text.contains("name=\"decision\""), "{}", consent.text);
        for page in [login, consent] {
            let policy = page.header("content-security-policy");
            assert!(policy.contains("img-src 'self' https://stall.example;"), "{policy}");
            assert!(page.text.contains("<img class=\"tile\" src=\"https://stall.example/logo.png\""), "{}", page.text);
            for link in ["https://stall.example/home", "https://stall.example/policy", "https://terms.example/stall"] {
                assert!(page.text.contains(&format!("<a href=\"{link}\"")), "{link}: {}", page.text);
            }
        }
    });
}

#[test]
fn s122_where_everybody_may_register_one_place_may_not_do_so_for_ever() {
    in_world(async |world| {
        world.tenant("acme").await;
        registration(world, json!({ "access": "open" })).await;
        for _ in 0..20 {
            world.anon().post(REGISTER, metadata(json!({}))).await.is(201);
        }
        let refused = world.anon().post(REGISTER, metadata(json!({}))).await.refused_oauth(429, "slow_down");
        assert!((1..=30).contains(&refused.header("retry-after").parse::<u32>().expect("seconds")));
        let token = initial_token(world, json!({ "uses": 5 })).await.word("token");
        world.bearing(&token).post(REGISTER, metadata(json!({}))).await.is(201);
        world.clock.forward(31);
        world.anon().post(REGISTER, metadata(json!({}))).await.is(201);
        world.anon().post(REGISTER, metadata(json!({}))).await.refused_oauth(429, "slow_down");
    });
}

#[test]
fn s117_s118_metadata_that_will_not_do_is_refused_and_what_is_unknown_is_ignored() {
    in_world(async |world| {
        world.tenant("acme").await;
        registration(world, json!({ "access": "initial_access_token" })).await;
        let token = initial_token(world, json!({ "uses": 1 })).await.word("token");
        let caller = world.bearing(&token);
        for uri in [
            "https://stall.example/cb#fragment",
            "https://stall.example/cb#",
            "https://user@stall.example/cb",
            "https://*.stall.example/cb",
            "javascript:alert(1)",
            "JavaScript:alert(1)",
            "DATA:text/html,x",
            "data:text/html,x",
            "http://stall.example/cb",
            "/cb",
            "",
        ] {
            caller.post(REGISTER, metadata(json!({ "redirect_uris": [uri] }))).await.refused_oauth(400, "invalid_redirect_uri");
        }
        let jwks = json!({ "jwks": { "keys": [] }, "jwks_uri": "https://stall.example/jwks" });
        for wrong in [
            jwks,
            json!({ "grant_types": ["password"] }),
            json!({ "grant_types": ["authorization_code", "client_credentials"] }),
            json!({ "response_types": ["token"] }),
            json!({ "id_token_signed_response_alg": "none" }),
            json!({ "redirect_uris": [CALLBACK], "contacts": "ops@stall.example" }),
            json!({ "logo_uri": "http://stall.example/logo.png" }),
        ] {
            caller.post(REGISTER, metadata(wrong)).await.refused_oauth(400, "invalid_client_metadata");
        }
        let statement = json!({ "software_statement": "a.b.c" });
        caller.post(REGISTER, metadata(statement)).await.refused_oauth(400, "unapproved_software_statement");
        caller.post(REGISTER, json!([])).await.refused_oauth(400, "invalid_client_metadata");
        caller.form(REGISTER, &[("redirect_uris", CALLBACK)]).await.refused_oauth(400, "invalid_request");

        let unknown = json!({ "colour": "blue", "client_name#de": "Bude", "software_statement": null, "scope": "openid email pay admin" });
        let made = caller.post(REGISTER, metadata(unknown)).await.is(201);
        assert_eq!(made.word("scope"), "email openid", "no more than everybody may have");
        assert!(made.json().get("colour").is_none());
    });
}

#[test]
fn s120_a_client_manages_itself_and_nobody_else_does() {
    in_world(async |world| {
        world.tenant("acme").await;
        world.tenant("globex").await;
        registration(world, json!({ "access": "open" })).await;
        world.policy("globex", json!({ "registration": { "access": "open" } })).await;
        let made = world.anon().post(REGISTER, metadata(json!({}))).await.is(201);
        let other = world.anon().post(REGISTER, metadata(json!({}))).await.is(201);
        let (path, token) = (address(world, &made), made.word("registration_access_token"));
        let own = world.bearing(&token);

        let read = own.get(&path).await.is(200);
        assert_eq!((read.word("client_id"), read.word("registration_access_token")), (made.word("client_id"), token.clone()));
        assert!(read.json().get("client_secret").is_none(), "it is not known any more");
        for (caller, path) in [
            (world.anon(), path.clone()),
            (world.bearing("x"), path.clone()),
            (world.bearing(&other.word("registration_access_token")), path.clone()),
            (own.clone(), address(world, &other)),
            (own.clone(), path.replace("acme", "globex")),
            (own.clone(), format!("{REGISTER}/nobody")),
        ] {
            caller.get(&path).await.is(401);
            caller.put(&path, metadata(json!({ "client_id": made.word("client_id") }))).await.is(401);
            caller.delete(&path).await.is(401);
        }

        let changed = |more: Value| {
            let mut members = metadata(json!({ "client_id": made.word("client_id") }));
            members.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
            members
        };
        for wrong in [
            json!({ "client_id": other.word("client_id") }),
            json!({ "client_id": null }),
            json!({ "client_secret": "chosen" }),
            json!({ "registration_access_token": token }),
            json!({ "client_id_issued_at": 1 }),
        ] {
            own.put(&path, changed(wrong)).await.refused_oauth(400, "invalid_client_metadata");
        }
        let renamed = own.put(&path, changed(json!({ "client_name": "Kiosk", "client_secret": made.word("client_secret") }))).await.is(200);
        assert_eq!(renamed.word("client_name"), "Kiosk");
        assert!(renamed.json().get("client_secret").is_none(), "the old one is good still");
        let raised = changed(json!({ "consent": "first_party", "require_pkce": false, "scope": "openid pay" }));
        let raised = own.put(&path, raised).await.is(200).json();
        assert_eq!(
            (&raised["consent"], &raised["require_pkce"], &raised["scope"]),
            (&json!("third_party"), &json!(true), &json!("openid"))
        );
        // A client that proves itself by a secret again gets a new one.
        let public = own.put(&path, changed(json!({ "token_endpoint_auth_method": "none" }))).await.is(200);
        assert!(public.json().get("client_secret").is_none());
        let secret = own.put(&path, changed(json!({}))).await.is(200).word("client_secret");
        assert_ne!(secret, made.word("client_secret"));

        let admins = format!("/admin/v1/tenants/acme/clients/{}", made.word("client_id"));
        world.platform_admin().post(&format!("{admins}/disable"), json!({})).await.is(200);
        own.get(&path).await.refused_oauth(401, "invalid_token");
        own.put(&path, changed(json!({}))).await.refused_oauth(401, "invalid_token");
        assert_eq!(world.platform_admin().get(&admins).await.is(200).word("status"), "disabled");
        world.platform_admin().post(&format!("{admins}/enable"), json!({})).await.is(200);
        own.delete(&path).await.is(204);
        own.get(&path).await.refused_oauth(401, "invalid_token");
        own.delete(&path).await.refused_oauth(401, "invalid_token");
    });
}

#[test]
fn where_the_tenant_says_so_a_client_that_proves_itself_does_without_pkce() {
    in_world(async |world| {
        shop(world, json!({})).await;
        registration(world, json!({ "access": "open", "require_pkce": false })).await;
        let made = world.anon().post(REGISTER, metadata(json!({}))).await.is(201);
        let stall = Shop { id: made.word("client_id"), secret: made.word("client_secret") };
        let mut browser = Browser::new(&world.base_url);
        let asked = logged_in(&mut browser, &stall.request(&[("code_challenge", ""), ("code_challenge_method", "")])).await.is(200);
        let allowed = browser.submit(&asked, &[("decision", "allow")]).await;
        assert!(told(&browser.follow(allowed).await).contains_key("code"));
        let public = world.anon().post(REGISTER, metadata(json!({ "token_endpoint_auth_method": "none" }))).await.is(201);
        assert_eq!(public.json()["require_pkce"], true);
    });
}

#[test]
fn a_client_that_registered_itself_and_that_nobody_uses_is_gone_after_a_month() {
    in_world_with(
        |settings| settings.keys.sweep_interval_seconds = 3_600,
        async |world| {
            shop(world, json!({})).await;
            registration(world, json!({ "access": "open" })).await;
            let unused = world.anon().post(REGISTER, metadata(json!({}))).await.is(201);
            let made = world.anon().post(REGISTER, metadata(json!({}))).await.is(201);
            let stall = Shop { id: made.word("client_id"), secret: made.word("client_secret") };
            let mut browser = Browser::new(&world.base_url);
            let asked = logged_in(&mut browser, &stall.request(&[])).await.is(200);
            browser.submit(&asked, &[("decision", "allow")]).await.is(303);
            world.clock.forward(29 * DAY);
            world.sweep().await;
            let look = async |made: &Answer| world.bearing(&made.word("registration_access_token")).get(&address(world, made)).await.status;
            assert_eq!((look(&unused).await, look(&made).await), (200, 200));
            world.clock.forward(2 * DAY);
            world.sweep().await;
            assert_eq!((look(&unused).await, look(&made).await), (401, 200));
        },
    );
}
