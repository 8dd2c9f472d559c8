//! A standard client logs a user in: authorize, the tenant's pages, code, tokens, userinfo, refresh, logout.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use url::Url;

use crate::browser::{Browser, Page};
use crate::world::{Answer, PASSWORD, World, in_world, sent};

const CLIENTS: &str = "/admin/v1/tenants/acme/clients";
const AUTHORIZE: &str = "/t/acme/oauth/authorize";
const TOKEN: &str = "/t/acme/oauth/token";
const USERINFO: &str = "/t/acme/oauth/userinfo";
pub(crate) const CALLBACK: &str = "https://shop.example/cb?from=claviger";
/// RFC 7636, appendix B.
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

/// A registered client.
pub(crate) struct Shop {
    pub(crate) id: String,
    pub(crate) secret: String,
}

/// Somebody whom acme has logs in and does not come back; somebody else does not even log in.
pub(crate) async fn leave_behind(world: &World) {
    let shop = client(world, json!({})).await;
    let mut browser = Browser::new(&world.base_url);
    code(&mut browser, &shop, &[]).await;
    Browser::new(&world.base_url).get(&shop.request(&[])).await.is(303);
}

/// A tenant with alice and a client; `more` is laid over the client's metadata.
pub(crate) async fn shop(world: &World, more: Value) -> Shop {
    world.tenant("acme").await;
    let form = json!({ "username": "alice", "email": "alice@acme.example", "password": PASSWORD });
    world.platform_admin().post("/admin/v1/tenants/acme/users", form).await.is(201);
    client(world, more).await
}

pub(crate) async fn client(world: &World, more: Value) -> Shop {
    let mut form = json!({
        "client_name": "Shop",
        "redirect_uris": [CALLBACK],
        "post_logout_redirect_uris": ["https://shop.example/bye"],
        "grant_types": ["authorization_code", "refresh_token"],
        "token_endpoint_auth_method": "client_secret_post",
        "consent": "first_party",
    });
    for (name, value) in more.as_object().expect("members") {
        form[name] = value.clone();
    }
    let made = world.platform_admin().post(CLIENTS, form).await.is(201);
    Shop { id: made.word("client_id"), secret: made.json()["client_secret"].as_str().unwrap_or_default().to_owned() }
}

impl Shop {
    /// The address of an authorization request; `more` replaces and adds, and takes away what is empty.
    pub(crate) fn request(&self, more: &[(&str, &str)]) -> String {
        let mut parameters: BTreeMap<_, _> = [
            ("client_id", self.id.as_str()),
            ("redirect_uri", CALLBACK),
            ("response_type", "code"),
            ("scope", "openid profile email"),
            ("state", "a state & more"),
            ("nonce", "n-1"),
            ("code_challenge", CHALLENGE),
            ("code_challenge_method", "S256"),
        ]
        .into();
        parameters.extend(more.iter().copied());
        parameters.retain(|_, value| !value.is_empty());
        let query = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(parameters).finish();
        format!("{AUTHORIZE}?{query}")
    }

    pub(crate) async fn redeem_with(&self, world: &World, code: &str, more: &[(&str, &str)]) -> Answer {
        let mut form: BTreeMap<_, _> = [
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", CALLBACK),
            ("code_verifier", VERIFIER),
            ("client_id", self.id.as_str()),
            ("client_secret", self.secret.as_str()),
        ]
        .into();
        form.extend(more.iter().copied());
        form.retain(|_, value| !value.is_empty());
        world.anon().form(TOKEN, &form.into_iter().collect::<Vec<_>>()).await
    }

    pub(crate) async fn redeem(&self, world: &World, code: &str) -> Answer {
        self.redeem_with(world, code, &[]).await
    }

    pub(crate) async fn refresh(&self, world: &World, token: &str) -> Answer {
        let form = [
            ("grant_type", "refresh_token"),
            ("refresh_token", token),
            ("client_id", self.id.as_str()),
            ("client_secret", self.secret.as_str()),
        ];
        world.anon().form(TOKEN, &form).await
    }
}

/// What an answer tells the client.
#[track_caller]
pub(crate) fn told(page: &Page) -> BTreeMap<String, String> {
    let url = Url::parse(&page.location()).expect("an address");
    assert!(url.as_str().starts_with(CALLBACK), "{url}");
    url.query_pairs().into_owned().collect()
}

/// Goes to the page of a request, and types alice's name and password.
pub(crate) async fn logged_in(browser: &mut Browser, address: &str) -> Page {
    let page = browser.get(address).await;
    let page = browser.follow(page).await.is(200);
    let page = browser.submit(&page, &[("identifier", "alice"), ("password", PASSWORD)]).await;
    browser.follow(page).await
}

pub(crate) async fn code(browser: &mut Browser, shop: &Shop, more: &[(&str, &str)]) -> String {
    let page = logged_in(browser, &shop.request(more)).await;
    told(&page)["code"].clone()
}

/// The claims of a JWT; that it verifies is for the verifiers of others to say.
pub(crate) fn claims(token: &str) -> Value {
    let payload = token.split('.').nth(1).expect("three parts");
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).expect("base64url")).expect("JSON")
}

#[test]
fn s013_s014_s065_a_client_logs_a_user_in_and_stays_logged_in() {
    in_world(async |world| {
        let shop = shop(world, json!({})).await;
        let issuer = format!("{}/t/acme", world.base_url);
        let mut browser = Browser::new(&world.base_url);
        let page = logged_in(&mut browser, &shop.request(&[])).await;
        let answer = told(&page);
        assert_eq!(
            (answer["state"].as_str(), answer["iss"].as_str(), answer["from"].as_str()),
            ("a state & more", issuer.as_str(), "claviger")
        );

        let tokens = shop.redeem(world, &answer["code"]).await.is(200);
        assert_eq!((tokens.header("cache-control"), tokens.word("token_type").as_str()), ("no-store", "Bearer"));
        let id = claims(&tokens.word("id_token"));
        assert_eq!(
            (id["iss"].as_str(), id["aud"].as_str(), id["nonce"].as_str()),
            (Some(issuer.as_str()), Some(shop.id.as_str()), Some("n-1"))
        );
        assert!(id["auth_time"].as_i64() <= id["iat"].as_i64() && id["iat"].as_i64() < id["exp"].as_i64() && id["sid"].is_string(), "{id}");
        let access = claims(&tokens.word("access_token"));
        assert_eq!((access["client_id"].as_str(), access["sub"].as_str()), (Some(shop.id.as_str()), id["sub"].as_str()));

        let info = world.bearing(&tokens.word("access_token")).get(USERINFO).await.is(200).json();
        assert_eq!((&info["sub"], info["email"].as_str()), (&id["sub"], Some("alice@acme.example")), "s109");
        let posted = world.anon().form(USERINFO, &[("access_token", tokens.word("access_token").as_str())]).await.is(200).json();
        assert_eq!(posted, info);
        sent(world.anon().request("GET", &format!("{USERINFO}?access_token={}", tokens.word("access_token")))).await.is(401);

        // s082: what comes later is still the same login.
        world.clock.forward(60);
        let later = shop.refresh(world, &tokens.word("refresh_token")).await.is(200);
        let renewed = claims(&later.word("id_token"));
        for same in ["iss", "sub", "aud", "auth_time", "sid"] {
            assert_eq!(renewed[same], id[same], "{same}");
        }
        assert!(renewed["iat"].as_i64() > id["iat"].as_i64());

        // The browser is known now.
        let again = browser.get(&shop.request(&[("state", "second")])).await;
        let answer = told(&again);
        assert_eq!(answer["state"], "second");
        let second = claims(&shop.redeem(world, &answer["code"]).await.is(200).word("id_token"));
        assert_eq!(second["auth_time"], id["auth_time"], "nobody logged in again");
    });
}

#[test]
fn s057_s058_a_code_is_worth_one_answer_and_its_second_use_ends_the_first() {
    in_world(async |world| {
        let shop = shop(world, json!({})).await;
        let mut browser = Browser::new(&world.base_url);
        let once = code(&mut browser, &shop, &[]).await;
        let answers = futures_util::future::join_all((0..16).map(|_| shop.redeem(world, &once))).await;
        let (won, lost): (Vec<_>, Vec<_>) = answers.into_iter().partition(|answer| answer.status == 200);
        assert_eq!(won.len(), 1);
        for answer in lost {
            answer.refused_oauth(400, "invalid_grant");
        }
        shop.refresh(world, &won[0].word("refresh_token")).await.refused_oauth(400, "invalid_grant");
        let introspected = world.platform_admin().form("/t/acme/oauth/introspect", &[("token", &won[0].word("access_token"))]).await;
        assert_eq!(introspected.is(200).json(), json!({ "active": false }));
    });
}

#[test]
fn s059_s060_s061_s062_s063_a_code_is_bound_to_all_it_came_from() {
    in_world(async |world| {
        let shop = shop(world, json!({ "require_pkce": false })).await;
        let other = client(world, json!({})).await;
        world.tenant("globex").await;
        let mut browser = Browser::new(&world.base_url);
        let wrong = [
            ("redirect_uri", "https://shop.example/cb"),
            ("redirect_uri", ""),
            ("code_verifier", ""),
            ("code_verifier", "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXl"),
        ];
        for change in wrong {
            let once = code(&mut browser, &shop, &[("prompt", "login")]).await;
            shop.redeem_with(world, &once, &[change]).await.refused_oauth(400, "invalid_grant");
        }
        let once = code(&mut browser, &shop, &[("prompt", "login")]).await;
        shop.redeem_with(world, &once, &[("code_verifier", "short")]).await.is(400);
        let once = code(&mut browser, &shop, &[("prompt", "login")]).await;
        other.redeem(world, &once).await.refused_oauth(400, "invalid_grant");
        let unbound = code(&mut browser, &shop, &[("prompt", "login"), ("code_challenge", ""), ("code_challenge_method", "")]).await;
        shop.redeem(world, &unbound).await.refused_oauth(400, "invalid_grant");
        let old = code(&mut browser, &shop, &[("prompt", "login")]).await;
        world.clock.forward(61);
        shop.redeem(world, &old).await.refused_oauth(400, "invalid_grant");
    });
}

#[test]
fn s003_s004_nobody_is_sent_where_the_client_does_not_live() {
    in_world(async |world| {
        let shop = shop(world, json!({})).await;
        let mut browser = Browser::new(&world.base_url);
        let elsewhere = [
            "https://shop.example/cb",
            "https://shop.example/cb?from=claviger&more=1",
            "https://shop.example/CB?from=claviger",
            "https://shop.example/cb/?from=claviger",
            "https://shop.example/x/../cb?from=claviger",
            "https://shop.example:443/cb?from=claviger",
            "https://shop.example@evil.example/cb?from=claviger",
            "https://shop.example/cb?from=claviger#x",
            "http://shop.example/cb?from=claviger",
            "",
        ];
        for redirect_uri in elsewhere {
            let page = browser.get(&shop.request(&[("redirect_uri", redirect_uri)])).await.is(400);
            assert_eq!((page.header("location"), page.header("x-frame-options")), ("", "DENY"), "{redirect_uri}");
            // The user is warned of it. A missing one is a mistake.
            assert_eq!(page.text.contains("can’t be opened safely"), !redirect_uri.is_empty(), "{redirect_uri}: {}", page.text);
        }
        for client_id in ["", "cli_01890000000000000000000000", "<script>"] {
            let page = browser.get(&shop.request(&[("client_id", client_id)])).await.is(400);
            assert!(page.header("location").is_empty() && !page.text.contains("<script>"), "{}", page.text);
            assert!(page.text.contains("We don’t know this app"), "{}", page.text);
        }
    });
}

#[test]
fn s008_s009_s010_s011_s012_s026_what_is_asked_wrongly_is_told_to_the_client() {
    in_world(async |world| {
        let shop = shop(world, json!({})).await;
        let mut browser = Browser::new(&world.base_url);
        let wrong = [
            (("response_type", ""), "invalid_request"),
            (("response_type", "token"), "unsupported_response_type"),
            (("response_type", "id_token token"), "unsupported_response_type"),
            (("code_challenge", ""), "invalid_request"),
            (("code_challenge_method", ""), "invalid_request"),
            (("code_challenge_method", "plain"), "invalid_request"),
            (("code_challenge", "too-short"), "invalid_request"),
            (("response_mode", "fragment"), "invalid_request"),
            (("prompt", "none login"), "invalid_request"),
            (("prompt", "none"), "login_required"),
            (("max_age", "-1"), "invalid_request"),
            (("request", "eyJhbGciOiJub25lIn0.e30."), "request_not_supported"),
        ];
        for (change, error) in wrong {
            let page = browser.get(&shop.request(&[change])).await;
            let answer = told(&page);
            assert_eq!((answer["error"].as_str(), answer["state"].as_str()), (error, "a state & more"), "{change:?}");
            assert!(!answer.contains_key("code") && answer["iss"].ends_with("/t/acme"));
        }
        // s002: twice is not once.
        let twice = format!("{}&scope=openid", shop.request(&[]));
        browser.get(&twice).await.is(400);
        // s001: what nobody knows is passed over.
        let page = browser.get(&shop.request(&[("frobnicate", "1"), ("login_hint", "ali")])).await;
        let page = browser.follow(page).await.is(200);
        assert!(page.text.contains("value=\"ali\""), "{}", page.text);
    });
}

#[test]
fn s020_s021_s022_a_session_is_used_only_as_far_as_the_client_wants() {
    in_world(async |world| {
        let shop = shop(world, json!({})).await;
        let mut browser = Browser::new(&world.base_url);
        let first = code(&mut browser, &shop, &[]).await;
        let first = claims(&shop.redeem(world, &first).await.is(200).word("id_token"));
        world.clock.forward(100);
        let silent = browser.get(&shop.request(&[("prompt", "none")])).await;
        assert!(told(&silent).contains_key("code"));
        let fresh_enough = browser.get(&shop.request(&[("max_age", "200")])).await;
        assert!(told(&fresh_enough).contains_key("code"));
        let too_old = browser.get(&shop.request(&[("max_age", "50"), ("prompt", "none")])).await;
        assert_eq!(told(&too_old)["error"], "login_required");
        for more in [("prompt", "login"), ("max_age", "50")] {
            let again = code(&mut browser, &shop, &[more]).await;
            let again = claims(&shop.redeem(world, &again).await.is(200).word("id_token"));
            assert!(again["auth_time"].as_i64() > first["auth_time"].as_i64(), "{more:?}");
            world.clock.forward(100);
        }
        // A new login, a new handle: what was stolen before it is worth nothing.
        let mut thief = browser.thief("_sso_");
        code(&mut browser, &shop, &[("prompt", "login")]).await;
        assert_eq!(told(&thief.get(&shop.request(&[("prompt", "none")])).await)["error"], "login_required");
        browser.forget("browser");
        assert!(told(&browser.get(&shop.request(&[("prompt", "none")])).await).contains_key("code"), "the session does not hang on it");
        // s110: who is disabled has no session any more.
        let alice = first["sub"].as_str().expect("a subject");
        world.platform_admin().post(&format!("/admin/v1/tenants/acme/users/{alice}/disable"), json!({})).await.is(200);
        let gone = browser.get(&shop.request(&[("prompt", "none")])).await;
        assert_eq!(told(&gone)["error"], "login_required");
    });
}

#[test]
fn what_clients_got_by_a_session_ends_with_it_however_often_its_user_logged_in() {
    in_world(async |world| {
        let shop = shop(world, json!({})).await;
        let mut browser = Browser::new(&world.base_url);
        let mut got = Vec::new();
        for more in [("prompt", ""), ("prompt", "login"), ("max_age", "0")] {
            world.clock.forward(1);
            let once = code(&mut browser, &shop, &[more]).await;
            got.push(shop.redeem(world, &once).await.is(200));
        }
        let ended = async |got: &[Answer]| {
            for tokens in got {
                shop.refresh(world, &tokens.word("refresh_token")).await.refused_oauth(400, "invalid_grant");
            }
        };
        let out = format!("/t/acme/oauth/end_session?id_token_hint={}", got[0].word("id_token"));
        browser.get(&out).await.is(200);
        ended(&got).await;
    });
}

#[test]
fn s080_what_an_administrator_ends_has_ended_with_its_codes_and_its_pages() {
    in_world(async |world| {
        let shop = shop(world, json!({})).await;
        let mut browser = Browser::new(&world.base_url);
        let first = code(&mut browser, &shop, &[]).await;
        let first = shop.redeem(world, &first).await.is(200);
        let alice = claims(&first.word("id_token"))["sub"].as_str().expect("a subject").to_owned();
        let user = format!("/admin/v1/tenants/acme/users/{alice}");
        let admin = world.platform_admin();

        let pending = code(&mut browser, &shop, &[("prompt", "login")]).await;
        admin.delete(&format!("{user}/sessions")).await.is(200);
        shop.redeem(world, &pending).await.refused_oauth(400, "invalid_grant");
        shop.refresh(world, &first.word("refresh_token")).await.refused_oauth(400, "invalid_grant");
        let gone = browser.get(&shop.request(&[("prompt", "none")])).await;
        assert_eq!(told(&gone)["error"], "login_required");

        // Enabled again, nothing is back: neither the code that was refused meanwhile, nor the session.
        let pending = code(&mut browser, &shop, &[]).await;
        admin.post(&format!("{user}/disable"), json!({})).await.is(200);
        shop.redeem(world, &pending).await.refused_oauth(400, "invalid_grant");
        admin.post(&format!("{user}/enable"), json!({})).await.is(200);
        shop.redeem(world, &pending).await.refused_oauth(400, "invalid_grant");
        let gone = browser.get(&shop.request(&[("prompt", "none")])).await;
        assert_eq!(told(&gone)["error"], "login_required");
    });
}

#[test]
fn s035_somebody_elses_client_asks_before_it_gets_anything() {
    in_world(async |world| {
        let shop = shop(world, json!({ "consent": "third_party" })).await;
        let mut browser = Browser::new(&world.base_url);
        let page = logged_in(&mut browser, &shop.request(&[])).await.is(200);
        assert!(page.text.contains("Shop"), "{}", page.text);
        let silent = browser.get(&shop.request(&[("prompt", "none")])).await;
        assert_eq!(told(&silent)["error"], "consent_required");
        let denied = browser.submit(&page, &[("decision", "deny")]).await;
        assert_eq!(told(&denied)["error"], "access_denied");
        let page = browser.get(&shop.request(&[])).await;
        let page = browser.follow(page).await.is(200);
        let allowed = browser.submit(&page, &[("decision", "allow")]).await;
        let allowed = browser.follow(allowed).await;
        assert!(told(&allowed).contains_key("code"));
        let known = browser.get(&shop.request(&[("prompt", "none")])).await;
        assert!(told(&known).contains_key("code"), "what was allowed is remembered");

        // A public client asks each time.
        let public = client(world, json!({ "token_endpoint_auth_method": "none", "consent": "third_party" })).await;
        for _ in 0..2 {
            let page = browser.get(&public.request(&[])).await;
            let page = browser.follow(page).await.is(200);
            let allowed = browser.submit(&page, &[("decision", "allow")]).await;
            assert!(told(&browser.follow(allowed).await).contains_key("code"));
        }
    });
}

#[test]
fn s036_a_form_counts_only_from_the_page_it_was_shown_on() {
    in_world(async |world| {
        let shop = shop(world, json!({})).await;
        let mut browser = Browser::new(&world.base_url);
        let page = browser.get(&shop.request(&[])).await;
        let page = browser.follow(page).await.is(200);
        let (action, fields) = page.form();
        let typed = [("identifier", "alice"), ("password", PASSWORD), ("csrf_token", fields["csrf_token"].as_str())];
        browser.post(&action, &typed[..2]).await.is(403);
        browser.post(&action, &[typed[0], typed[1], ("csrf_token", "forged")]).await.is(403);
        browser.post_with(&action, &typed, ("sec-fetch-site", "cross-site")).await.is(403);
        browser.post_with(&action, &typed, ("origin", "https://evil.example")).await.is(403);
        // Another browser has neither the page nor its token.
        let mut other = Browser::new(&world.base_url);
        assert!(other.get(&action.replace("/login", "")).await.status >= 400);
        other.get(&shop.request(&[])).await.is(303);
        assert!(other.post(&action, &typed).await.status >= 400);
        assert!(browser.cookie("_sso_").is_none(), "nothing of that logged anybody in");
        let page = browser.submit(&page, &typed[..2]).await;
        assert!(told(&browser.follow(page).await).contains_key("code"));
    });
}

#[test]
fn a_wrong_password_is_told_on_the_page_and_locks_nobody_in() {
    in_world(async |world| {
        let shop = shop(world, json!({})).await;
        let mut browser = Browser::new(&world.base_url);
        let page = browser.get(&shop.request(&[])).await;
        let page = browser.follow(page).await.is(200);
        let unknown = browser.submit(&page, &[("identifier", "nobody"), ("password", PASSWORD)]).await.is(200);
        let wrong = browser.submit(&page, &[("identifier", "alice"), ("password", "not this one at all")]).await.is(200);
        assert_eq!(unknown.text.replace("nobody", "alice"), wrong.text, "s116: the same page");
        let page = browser.submit(&wrong, &[("identifier", "alice"), ("password", PASSWORD)]).await;
        assert!(told(&browser.follow(page).await).contains_key("code"));
        assert_eq!(browser.get("/t/acme/interaction/garbage").await.status, 400);
    });
}

#[test]
fn s033_an_answer_by_form_post_is_a_page_that_sends_itself() {
    in_world(async |world| {
        let shop = shop(world, json!({})).await;
        let mut browser = Browser::new(&world.base_url);
        let page = logged_in(&mut browser, &shop.request(&[("response_mode", "form_post"), ("state", "\"><script>")])).await.is(200);
        let (action, fields) = page.form();
        assert_eq!((action.as_str(), fields["state"].as_str(), page.header("cache-control")), (CALLBACK, "\"><script>", "no-store"));
        assert!(!page.text.contains("\"><script>") && page.header("content-security-policy").contains("default-src 'none'"));
        shop.redeem(world, &fields["code"]).await.is(200);
    });
}

#[test]
fn s123_s124_s125_a_user_who_logs_out_is_sent_back_only_to_where_the_client_lives() {
    in_world(async |world| {
        let shop = shop(world, json!({})).await;
        let mut browser = Browser::new(&world.base_url);
        let once = code(&mut browser, &shop, &[]).await;
        let hint = shop.redeem(world, &once).await.is(200).word("id_token");
        let end = |more: &[(&str, &str)]| {
            let query = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(more).finish();
            format!("/t/acme/oauth/end_session?{query}")
        };
        let bye = "https://shop.example/bye";
        for wrong in ["https://shop.example/bye?x=1", "https://evil.example/bye"] {
            browser.get(&end(&[("id_token_hint", &hint), ("post_logout_redirect_uri", wrong)])).await.is(400);
        }
        let forged = format!("{}x", &hint[..hint.len() - 1]);
        assert_ne!(browser.get(&end(&[("id_token_hint", &forged), ("post_logout_redirect_uri", bye)])).await.status, 303);
        // Without a hint somebody has to say so.
        let asked = browser.get(&end(&[])).await.is(200);
        assert!(browser.cookie("_sso_").is_some());
        browser.submit(&asked, &[("decision", "stay")]).await;
        assert!(browser.cookie("_sso_").is_some());
        // A thief of the cookie has no session any more, either.
        let mut thief = browser.thief("_sso_");
        assert!(told(&thief.get(&shop.request(&[("prompt", "none")])).await).contains_key("code"));
        let done = browser.get(&end(&[("id_token_hint", &hint), ("post_logout_redirect_uri", bye), ("state", "s")])).await;
        assert_eq!(done.location(), format!("{bye}?state=s"));
        for browser in [&mut browser, &mut thief] {
            let gone = browser.get(&shop.request(&[("prompt", "none")])).await;
            assert_eq!(told(&gone)["error"], "login_required");
        }
    });
}
