//! Authorization challenges (OAuth 2.0 for First-Party Applications): an application of the tenant hands over what its user typed into it.

use serde_json::{Value, json};

use crate::browser::Browser;
use crate::dpop::{self, proof};
use crate::oidc::{CALLBACK, Shop, claims, client, shop};
use crate::relying_party::Key;
use crate::world::{Answer, PASSWORD, World, in_world};

const CHALLENGE: &str = "/t/acme/oauth/authorize-challenge";
const TOKEN: &str = "/t/acme/oauth/token";
const USERS: &str = "/admin/v1/tenants/acme/users";
const WRONG: &str = "not-the-password-at-all";
const NEW: &str = "forty-two-mauve-tractors-hum";
/// RFC 7636, appendix B.
const CODE_CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

/// The metadata of an application of the tenant's own that keeps no secret.
fn own(more: Value) -> Value {
    let mut form = json!({
        "client_name": "Acme", "token_endpoint_auth_method": "none", "application_type": "native", "authorization_challenge": true,
        "redirect_uris": ["com.acme.app:/cb"], "post_logout_redirect_uris": null,
    });
    form.as_object_mut().expect("members").extend(more.as_object().expect("members").clone());
    form
}

/// Another application of the tenant's own, in a tenant that there is.
pub(crate) async fn own_app(world: &World, more: Value) -> Shop {
    world.policy("acme", json!({ "authorization_challenge": true })).await;
    // Every node has heard of it by then.
    world.clock.forward(5);
    client(world, own(more)).await
}

/// A tenant with alice and an application of its own.
async fn app(world: &World, more: Value) -> Shop {
    let app = shop(world, own(more)).await;
    world.policy("acme", json!({ "authorization_challenge": true })).await;
    app
}

/// The first step, with `more` laid over it; what is empty is left out.
fn first<'a>(app: &'a Shop, more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let mut form: std::collections::BTreeMap<_, _> = [
        ("client_id", app.id.as_str()),
        ("client_secret", app.secret.as_str()),
        ("response_type", "code"),
        ("scope", "openid email"),
        ("nonce", "n-1"),
        ("code_challenge", CODE_CHALLENGE),
        ("code_challenge_method", "S256"),
    ]
    .into();
    form.extend(more.iter().copied());
    form.retain(|_, value| !value.is_empty());
    form.into_iter().collect()
}

async fn begin(world: &World, app: &Shop, more: &[(&str, &str)]) -> Answer {
    world.anon().form(CHALLENGE, &first(app, more)).await
}

/// A further step.
async fn step(world: &World, app: &Shop, auth_session: &str, more: &[(&str, &str)]) -> Answer {
    let mut form = vec![("client_id", app.id.as_str()), ("auth_session", auth_session)];
    form.extend_from_slice(more);
    world.anon().form(CHALLENGE, &form).await
}

async fn redeem(world: &World, app: &Shop, code: &str) -> Answer {
    app.redeem_with(world, code, &[("redirect_uri", "")]).await
}

/// A user whose password has to be changed has typed it: the session in which to choose another.
pub(crate) async fn half_way(world: &World, app: &Shop, username: &str) -> String {
    let form = json!({ "username": username, "password": PASSWORD, "must_change": true });
    world.platform_admin().post(USERS, form).await.is(201);
    let answer = begin(world, app, &[("username", username), ("password", PASSWORD)]).await;
    answer.refused_oauth(403, "insufficient_authorization").word("auth_session")
}

pub(crate) async fn renew(world: &World, app: &Shop, auth_session: &str, way: usize) -> Answer {
    step(world, app, auth_session, &[("new_password", &format!("{way}-forty-two-mauve-tractors-hum"))]).await
}

/// Somebody does not come back for the second step, nor for the code.
pub(crate) async fn leave_behind(world: &World) {
    let app = own_app(world, json!({})).await;
    begin(world, &app, &[]).await.is(403);
    begin(world, &app, &[("username", "alice"), ("password", PASSWORD)]).await.is(200);
}

#[test]
fn an_application_of_the_tenant_logs_its_user_in_without_a_browser() {
    in_world(async |world| {
        let app = app(world, json!({})).await;
        let metadata = world.anon().get("/t/acme/.well-known/openid-configuration").await.is(200).json();
        assert_eq!(metadata["authorization_challenge_endpoint"], format!("{}{CHALLENGE}", world.base_url));
        let answer = begin(world, &app, &[("username", "alice"), ("password", PASSWORD)]).await.is(200);
        assert_eq!(answer.header("cache-control"), "no-store");
        assert_eq!(answer.json().as_object().expect("an object").len(), 1, "a code and nothing else");
        let code = answer.word("authorization_code");
        let tokens = redeem(world, &app, &code).await.is(200);
        let id = claims(&tokens.word("id_token"));
        assert_eq!((id["nonce"].as_str(), id["amr"].as_array().map(Vec::len)), (Some("n-1"), Some(1)));
        let info = world.bearing(&tokens.word("access_token")).get("/t/acme/oauth/userinfo").await.is(200).json();
        assert_eq!(info["email"], "alice@acme.example");
        app.refresh(world, &tokens.word("refresh_token")).await.is(200);
        // A code is used once, and what the first use gave ends with the second.
        redeem(world, &app, &code).await.refused_oauth(400, "invalid_grant");
        app.refresh(world, &tokens.word("refresh_token")).await.refused_oauth(400, "invalid_grant");
        let events = world.platform_admin().get("/admin/v1/tenants/acme/events").await.is(200).text;
        assert!(events.contains("signed_in") && events.contains("code_redeemed") && !events.contains(PASSWORD));
        let stored = std::fs::read(&world.database).expect("the database");
        assert!(!stored.windows(code.len()).any(|bytes| bytes == code.as_bytes()), "the code lies in the database");
    });
}

#[test]
fn it_goes_step_by_step_and_each_session_is_good_for_one() {
    in_world(async |world| {
        let app = app(world, json!({})).await;
        let asked = begin(world, &app, &[("login_hint", "alice")]).await.refused_oauth(403, "insufficient_authorization");
        assert_eq!(asked.word("step"), "password");
        let session = asked.word("auth_session");
        assert!(session.len() > 40, "256 bits");
        let stored = std::fs::read(&world.database).expect("the database");
        assert!(!stored.windows(session.len()).any(|bytes| bytes == session.as_bytes()), "the session lies in the database");
        // A wrong one costs the session and gives another.
        let wrong = step(world, &app, &session, &[("password", WRONG)]).await.refused_oauth(400, "access_denied");
        let next = wrong.word("auth_session");
        assert_ne!(next, session);
        step(world, &app, &session, &[("password", PASSWORD)]).await.refused_oauth(400, "invalid_session");
        // It says itself whose it is; what the request said is not said again.
        let form = [("auth_session", next.as_str()), ("password", PASSWORD), ("scope", "openid email profile")];
        let code = world.anon().form(CHALLENGE, &form).await.is(200).word("authorization_code");
        let tokens = redeem(world, &app, &code).await.is(200);
        assert_eq!(tokens.word("scope"), "email openid");
        for used in [next.as_str(), session.as_str(), "as1_x", "", "ar1_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"] {
            let form = [("auth_session", used), ("password", PASSWORD)];
            let answer = world.anon().form(CHALLENGE, &form).await;
            if used.is_empty() {
                answer.refused_oauth(401, "invalid_client")
            } else {
                answer.refused_oauth(400, "invalid_session")
            };
        }
        // Whoever never comes to an end comes to one.
        let mut session = begin(world, &app, &[("login_hint", "alice")]).await.is(403).word("auth_session");
        for _ in 0..8 {
            session = step(world, &app, &session, &[]).await.refused_oauth(403, "insufficient_authorization").word("auth_session");
        }
        let last = step(world, &app, &session, &[]).await.is(403).word("auth_session");
        step(world, &app, &last, &[("password", PASSWORD)]).await.refused_oauth(400, "invalid_session");
        // So does whoever takes a quarter of an hour.
        let slow = begin(world, &app, &[("login_hint", "alice")]).await.is(403).word("auth_session");
        world.clock.forward(901);
        step(world, &app, &slow, &[("password", PASSWORD)]).await.refused_oauth(400, "invalid_session");
    });
}

#[test]
fn s139_who_is_unknown_disabled_or_wrong_hears_the_same_after_the_same_work() {
    in_world(async |world| {
        let app = app(world, json!({})).await;
        let bob = world.user("acme", "bob", &[]).await;
        world.platform_admin().post(&format!("{USERS}/{bob}/disable"), json!({})).await;
        let wrong = begin(world, &app, &[("username", "alice"), ("password", WRONG)]).await.refused_oauth(400, "access_denied");
        let long = "x".repeat(5_000);
        for (name, password) in [("nobody", WRONG), ("nobody@example.com", WRONG), ("not a name", WRONG), (&long, WRONG), ("bob", PASSWORD)]
        {
            let other = begin(world, &app, &[("username", name), ("password", password)]).await.refused_oauth(400, "access_denied");
            assert_eq!(other.text, wrong.text, "{name}");
            let names = |answer: &Answer| answer.headers.keys().map(ToString::to_string).collect::<Vec<_>>();
            assert_eq!(names(&other), names(&wrong), "{name}");
        }
        let asked = async |hint: &str| begin(world, &app, &[("login_hint", hint)]).await;
        let masked = |answer: Answer| {
            let mut body = answer.refused_oauth(403, "insufficient_authorization").json();
            body["auth_session"] = Value::Null;
            body
        };
        assert_eq!(masked(asked("alice").await), masked(asked("nobody").await));
        // It is the use case of every login that counts, and notes.
        let metrics = world.metrics().await;
        assert!(metrics.contains("bad_credentials"), "{metrics}");
        let events = world.platform_admin().get("/admin/v1/tenants/acme/events?limit=50").await.is(200).text;
        for reason in ["wrong_password", "unknown_user", "user_disabled"] {
            assert!(events.contains(reason), "{reason}");
        }
    });
}

#[test]
fn the_eleventh_guess_waits_as_at_every_login() {
    in_world(async |world| {
        let app = app(world, json!({})).await;
        world.user("acme", "bob", &[]).await;
        // Half of them elsewhere: there is one counter.
        for _ in 0..5 {
            begin(world, &app, &[("username", "alice"), ("password", WRONG)]).await.refused_oauth(400, "access_denied");
            world.login("acme", "alice", WRONG).await.refused(401, "bad_credentials");
        }
        let denied = begin(world, &app, &[("username", "alice"), ("password", PASSWORD)]).await.refused_oauth(429, "slow_down");
        let seconds: u32 = denied.header("retry-after").parse().expect("seconds");
        assert!((1..=30).contains(&seconds), "{seconds}");
        world.login("acme", "alice", PASSWORD).await.refused(429, "too_many_attempts");
        begin(world, &app, &[("username", "bob"), ("password", PASSWORD)]).await.is(200);
        // Who waits in a session keeps it by waiting.
        let session = begin(world, &app, &[("login_hint", "alice")]).await.is(403).word("auth_session");
        let waiting = step(world, &app, &session, &[("password", PASSWORD)]).await.refused_oauth(429, "slow_down");
        world.clock.forward(31);
        step(world, &app, &waiting.word("auth_session"), &[("password", PASSWORD)]).await.is(200);
    });
}

#[test]
fn a_password_that_has_to_be_changed_is_changed_on_the_way() {
    in_world(async |world| {
        let app = app(world, json!({})).await;
        let session = half_way(world, &app, "bob").await;
        let again = step(world, &app, &session, &[]).await.refused_oauth(403, "insufficient_authorization");
        assert_eq!(again.word("step"), "new_password");
        let mut session = again.word("auth_session");
        for unfit in ["short", "passwordpassword", PASSWORD] {
            let answer = step(world, &app, &session, &[("new_password", unfit)]).await.refused_oauth(403, "insufficient_authorization");
            assert_eq!(answer.word("step"), "new_password");
            assert_ne!(answer.word("error_description"), again.word("error_description"), "{unfit}: it says why");
            session = answer.word("auth_session");
        }
        let code = step(world, &app, &session, &[("new_password", NEW)]).await.is(200).word("authorization_code");
        redeem(world, &app, &code).await.is(200);
        world.login("acme", "bob", PASSWORD).await.refused(401, "bad_credentials");
        world.login("acme", "bob", NEW).await.is(200);

        // In one step, where the application knows already.
        world.platform_admin().post(USERS, json!({ "username": "carol", "password": PASSWORD, "must_change": true })).await.is(201);
        let both = [("username", "carol"), ("password", PASSWORD), ("new_password", NEW)];
        begin(world, &app, &both).await.is(200);
        begin(world, &app, &[("username", "carol"), ("password", NEW), ("new_password", PASSWORD)])
            .await
            .refused_oauth(400, "invalid_request");

        // What was proved is worth nothing once the password was changed elsewhere.
        let session = half_way(world, &app, "dave").await;
        let form = json!({ "username": "dave", "password": PASSWORD, "new_password": NEW });
        world.anon().post("/t/acme/login", form).await.is(200);
        let late = step(world, &app, &session, &[("new_password", "another-forty-mauve-tractors")]).await;
        assert_eq!(late.refused_oauth(403, "insufficient_authorization").word("step"), "password");
        world.login("acme", "dave", NEW).await.is(200);
    });
}

#[test]
fn r42_a_code_is_worth_nothing_once_its_user_may_not_log_in_any_more() {
    in_world(async |world| {
        let app = app(world, json!({})).await;
        let bob = world.user("acme", "bob", &[]).await;
        let code = async || begin(world, &app, &[("username", "bob"), ("password", PASSWORD)]).await.is(200).word("authorization_code");
        let one = code().await;
        world.platform_admin().post(&format!("{USERS}/{bob}/disable"), json!({})).await;
        redeem(world, &app, &one).await.refused_oauth(400, "invalid_grant");
        world.platform_admin().post(&format!("{USERS}/{bob}/enable"), json!({})).await;
        let late = code().await;
        world.clock.forward(61);
        redeem(world, &app, &late).await.refused_oauth(400, "invalid_grant");
        // The user sees the session among theirs, and what it gave ends with it.
        let tokens = redeem(world, &app, &code().await).await.is(200);
        let mut browser = Browser::new(&world.base_url);
        let page = browser.get("/t/acme/account").await.is(200);
        let page = browser.submit(&page, &[("identifier", "bob"), ("password", PASSWORD)]).await;
        let page = browser.follow(page).await.is(200);
        assert!(page.text.contains("Acme"), "{}", page.text);
        assert_eq!(browser.submit_form(&page, "/sessions/end-others", &[]).await.status, 303);
        app.refresh(world, &tokens.word("refresh_token")).await.refused_oauth(400, "invalid_grant");
    });
}

#[test]
fn a_login_without_a_browser_leaves_what_its_client_has_and_nothing_else() {
    in_world(async |world| {
        let app = app(world, json!({ "client_name": "Walkabout" })).await;
        let code = async || begin(world, &app, &[("username", "alice"), ("password", PASSWORD)]).await.is(200).word("authorization_code");
        let tokens = redeem(world, &app, &code().await).await.is(200);
        for _ in 0..3 {
            code().await;
        }
        world.clock.forward(61);
        world.sweep().await;
        let rows = crate::upkeep::rows(&world.database).await;
        assert_eq!((rows["sso_sessions"], rows["refresh_families"]), (0, 1), "codes that nobody fetched leave nothing");
        app.refresh(world, &tokens.word("refresh_token")).await.is(200);

        // The user sees the application that is logged in, and no browser that never was.
        let mut browser = Browser::new(&world.base_url);
        let page = browser.get("/t/acme/account").await.is(200);
        let page = browser.submit(&page, &[("identifier", "alice"), ("password", PASSWORD)]).await;
        let page = browser.follow(page).await.is(200);
        assert_eq!(page.text.matches("/sessions/end\"").count(), 1, "{}", page.text);
        assert_eq!(page.text.matches("Walkabout").count(), 2, "the session, and the application: {}", page.text);
        let page = browser.submit_form(&page, "value=\"ses_", &[]).await;
        let page = browser.follow(page).await.is(200);
        assert!(!page.text.contains("/sessions/end\"") && !page.text.contains("Walkabout"), "{}", page.text);
        app.refresh(world, &tokens.word("refresh_token")).await.refused_oauth(400, "invalid_grant");

        // A code that was not fetched yet ends with all other sessions.
        let late = code().await;
        let page = browser.get("/t/acme/account").await.is(200);
        browser.submit_form(&page, "/sessions/end-others", &[]).await;
        redeem(world, &app, &late).await.refused_oauth(400, "invalid_grant");
    });
}

#[test]
fn s010_s061_s062_the_code_is_bound_to_its_client_verifier_and_key() {
    in_world(async |world| {
        let app = app(world, json!({})).await;
        let (other, confidential) =
            (own_app(world, json!({})).await, own_app(world, json!({ "token_endpoint_auth_method": "client_secret_post" })).await);
        let named = [("username", "alice"), ("password", PASSWORD)];
        let without = [named[0], named[1], ("code_challenge", ""), ("code_challenge_method", "")];
        begin(world, &app, &without).await.refused_oauth(400, "invalid_request");
        begin(world, &app, &[named[0], named[1], ("code_challenge_method", "plain")]).await.refused_oauth(400, "invalid_request");
        let code = async |more: &[(&str, &str)]| {
            let form: Vec<_> = named.iter().chain(more).copied().collect();
            begin(world, &app, &form).await.is(200).word("authorization_code")
        };
        let taken = code(&[]).await;
        redeem(world, &other, &taken).await.refused_oauth(400, "invalid_grant");
        redeem(world, &app, &taken).await.is(200);
        for wrong in [
            [("redirect_uri", ""), ("code_verifier", "")],
            [("redirect_uri", ""), ("code_verifier", CODE_CHALLENGE)],
            [("redirect_uri", CALLBACK), ("scope", "")],
        ] {
            app.redeem_with(world, &code(&[]).await, &wrong).await.refused_oauth(400, "invalid_grant");
        }
        // An address that was named is named again.
        let uri = ("redirect_uri", "com.acme.app:/cb");
        redeem(world, &app, &code(&[uri]).await).await.refused_oauth(400, "invalid_grant");
        app.redeem_with(world, &code(&[uri]).await, &[uri]).await.is(200);
        begin(world, &app, &[named[0], named[1], ("redirect_uri", "https://evil.example/cb")]).await.refused_oauth(400, "invalid_request");

        // A client that can prove itself does so, in each step.
        let session = begin(world, &confidential, &[]).await.is(403).word("auth_session");
        let form = [("auth_session", session.as_str()), named[0], named[1]];
        world.anon().form(CHALLENGE, &form).await.refused_oauth(401, "invalid_client");
        let form = [&form[..], &[("client_id", confidential.id.as_str()), ("client_secret", confidential.secret.as_str())]].concat();
        world.anon().form(CHALLENGE, &form).await.is(200);
        begin(world, &Shop { id: confidential.id.clone(), secret: "cs1_wrong".to_owned() }, &named)
            .await
            .refused_oauth(401, "invalid_client");

        // Another client's session is none, and stays what it is.
        let session = begin(world, &app, &[]).await.is(403).word("auth_session");
        step(world, &other, &session, &named).await.refused_oauth(400, "invalid_session");
        step(world, &app, &session, &named).await.is(200);
    });
}

#[test]
fn s097_a_key_that_was_proved_once_is_proved_to_the_end() {
    in_world(async |world| {
        let app = app(world, json!({})).await;
        let (key, other) = (Key::new("1"), Key::new("2"));
        let named = [("username", "alice"), ("password", PASSWORD)];
        let proved = |key: &Key, path: &str| [proof(world, key, "POST", path, json!({}))];
        let begun = dpop::post(world, CHALLENGE, &first(&app, &[]), &proved(&key, CHALLENGE)).await.is(403).word("auth_session");
        let form = [("client_id", app.id.as_str()), ("auth_session", begun.as_str()), named[0], named[1]];
        dpop::post(world, CHALLENGE, &form, &[]).await.refused_oauth(400, "invalid_session");
        dpop::post(world, CHALLENGE, &form, &proved(&other, CHALLENGE)).await.refused_oauth(400, "invalid_session");
        dpop::post(world, CHALLENGE, &form, &proved(&key, TOKEN)).await.refused_oauth(400, "invalid_dpop_proof");
        let code = dpop::post(world, CHALLENGE, &form, &proved(&key, CHALLENGE)).await.is(200).word("authorization_code");
        let form = |code| {
            vec![
                ("grant_type", "authorization_code"),
                ("code", code),
                ("code_verifier", "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"),
                ("client_id", app.id.as_str()),
            ]
        };
        let tokens = dpop::post(world, TOKEN, &form(&code), &proved(&key, TOKEN)).await.is(200);
        assert_eq!(tokens.word("token_type"), "DPoP");
        // By its name alone as well.
        let jkt = dpop::jkt(&key);
        let code = begin(world, &app, &[named[0], named[1], ("dpop_jkt", &jkt)]).await.is(200).word("authorization_code");
        dpop::post(world, TOKEN, &form(&code), &proved(&other, TOKEN)).await.refused_oauth(400, "invalid_grant");
    });
}

#[test]
fn what_a_page_has_to_do_is_sent_to_a_browser() {
    in_world(async |world| {
        let app = app(world, json!({})).await;
        let named = [("username", "alice"), ("password", PASSWORD)];
        for prompt in ["consent", "select_account", "login consent"] {
            let answer = begin(world, &app, &[named[0], named[1], ("prompt", prompt)]).await.refused_oauth(403, "redirect_to_web");
            assert!(answer.json().get("request_uri").is_none() && answer.json().get("auth_session").is_none());
        }
        let with_address = [("prompt", "consent"), ("redirect_uri", "com.acme.app:/cb")];
        let answer = begin(world, &app, &with_address).await.refused_oauth(403, "redirect_to_web");
        assert_eq!(answer.json()["expires_in"], 90);
        let mut browser = Browser::new(&world.base_url);
        let address = crate::par::address("acme", &app.id, &answer.word("request_uri"));
        let page = browser.get(&address).await;
        assert!(browser.follow(page).await.is(200).text.contains("name=\"password\""));
        begin(world, &app, &[named[0], named[1], ("prompt", "none")]).await.refused_oauth(400, "login_required");
        begin(world, &app, &[named[0], named[1], ("prompt", "login"), ("max_age", "0")]).await.is(200);
        // Whom the application asks for, and nobody else.
        let bob = world.user("acme", "bob", &[]).await;
        let wanted = json!({ "id_token": { "sub": { "value": bob } } }).to_string();
        begin(world, &app, &[named[0], named[1], ("claims", &wanted)]).await.refused_oauth(400, "login_required");
        begin(world, &app, &[("username", "bob"), named[1], ("claims", &wanted)]).await.is(200);
        begin(world, &app, &[named[0], named[1], ("scope", "nothing-of-this")]).await.refused_oauth(400, "invalid_scope");
        begin(world, &app, &[named[0], named[1], ("response_type", "token")]).await.refused_oauth(400, "unsupported_response_type");
        begin(world, &app, &[named[1]]).await.refused_oauth(400, "invalid_request");
    });
}

#[test]
fn it_is_off_unless_the_tenant_and_an_administrator_say_otherwise() {
    in_world(async |world| {
        let app = shop(world, own(json!({}))).await;
        let named = [("username", "alice"), ("password", PASSWORD)];
        let offered = async || {
            let metadata = world.anon().get("/t/acme/.well-known/openid-configuration").await.is(200).json();
            metadata.get("authorization_challenge_endpoint").is_some()
        };
        assert!(!offered().await);
        begin(world, &app, &named).await.refused_oauth(404, "invalid_request");
        world.policy("acme", json!({ "authorization_challenge": true })).await;
        assert!(offered().await);
        begin(world, &app, &named).await.is(200);
        let stranger = client(world, json!({})).await;
        begin(world, &stranger, &named).await.refused_oauth(400, "unauthorized_client");
        begin(world, &Shop { id: "first-party".to_owned(), secret: String::new() }, &named).await.refused_oauth(400, "unauthorized_client");
        begin(world, &Shop { id: "nobody".to_owned(), secret: String::new() }, &named).await.refused_oauth(401, "invalid_client");
        for unfit in [json!({ "consent": "third_party" }), json!({ "profile": "fapi2" })] {
            let mut form = own(json!({ "consent": "first_party", "grant_types": ["authorization_code"] }));
            form.as_object_mut().expect("members").extend(unfit.as_object().expect("members").clone());
            assert_eq!(world.platform_admin().post("/admin/v1/tenants/acme/clients", form).await.status, 422);
        }
        // No client gives it to itself.
        world.policy("acme", json!({ "registration": { "access": "open" } })).await;
        let metadata = json!({ "redirect_uris": ["https://a.example/cb"], "authorization_challenge": true, "consent": "first_party" });
        let made = world.anon().post("/t/acme/oauth/register", metadata).await.is(201).json();
        assert!(made.get("authorization_challenge").is_none_or(|is| is == false), "{made}");
        let session = begin(world, &app, &[]).await.is(403).word("auth_session");
        world.policy("acme", json!({ "authorization_challenge": false })).await;
        step(world, &app, &session, &named).await.refused_oauth(404, "invalid_request");
    });
}
