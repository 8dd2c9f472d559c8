//! Pages of other origins: whose scripts may read what we answer, and whose may not.

use serde_json::{Value, json};

use crate::browser::Browser;
use crate::oidc::{CALLBACK, Shop, claims, client, code, shop};
use crate::world::{Answer, World, in_world, in_world_with, sent};

const TOKEN: &str = "/t/acme/oauth/token";
const USERINFO: &str = "/t/acme/oauth/userinfo";
const REVOKE: &str = "/t/acme/oauth/revoke";
const PAR: &str = "/t/acme/oauth/par";
/// Where [`CALLBACK`] is.
const SHOP: &str = "https://shop.example";

/// What came of a preflight; not part of the described API.
struct Preflight {
    status: u16,
    headers: reqwest::header::HeaderMap,
    text: String,
}

impl Preflight {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }
}

async fn preflight(world: &World, path: &str, origin: &str) -> Preflight {
    let request = world.anon().request("OPTIONS", path).header("access-control-request-method", "POST");
    let request = request.header("access-control-request-headers", "authorization,content-type,dpop");
    let request = if origin.is_empty() { request } else { request.header("origin", origin) };
    let response = request.send().await.expect("an answer");
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    assert!(!headers.contains_key("access-control-allow-credentials"), "{path} for {origin}");
    Preflight { status, headers, text: response.text().await.expect("a text") }
}

/// Whether pages of `origin` may send and read.
async fn is_open(world: &World, path: &str, origin: &str) -> bool {
    let asked = preflight(world, path, origin).await;
    let allowed = asked.header("access-control-allow-origin");
    assert!(asked.header("vary").contains("Origin"), "{path}");
    if asked.status == 204 {
        assert_eq!(allowed, origin, "{path}");
        return true;
    }
    let told: Value = serde_json::from_str(&asked.text).expect("JSON");
    assert_eq!((asked.status, allowed, told["error"].as_str()), (403, "", Some("invalid_request")), "{path} for {origin}: {}", asked.text);
    false
}

/// Sends a form as a page of `origin`.
async fn from_page(world: &World, path: &str, origin: &str, form: &[(&str, &str)]) -> Answer {
    let answer = sent(world.anon().request("POST", path).header("origin", origin).form(form)).await;
    assert!(!answer.headers.contains_key("access-control-allow-credentials"), "{path}");
    answer
}

fn reader(answer: &Answer) -> &str {
    answer.header("access-control-allow-origin")
}

/// A client that keeps no secret; `more` is laid over its metadata.
fn public(more: &Value) -> Value {
    let mut form = json!({ "token_endpoint_auth_method": "none" });
    for (name, value) in more.as_object().expect("members") {
        form[name] = value.clone();
    }
    form
}

async fn admit(world: &World, client: &Shop, what: &str) {
    world.platform_admin().post(&format!("/admin/v1/tenants/acme/clients/{}/{what}", client.id), json!({})).await.is(200);
}

#[test]
fn r50_only_pages_of_registered_origins_may_read() {
    in_world(async |world| {
        shop(world, public(&json!({ "redirect_uris": [CALLBACK, "http://127.0.0.1:5173/cb"] }))).await;
        client(world, json!({ "redirect_uris": ["https://secret.example/cb"] })).await;
        let confidential = json!({ "redirect_uris": ["https://bff.example/cb"], "allowed_origins": ["https://front.example:8443"] });
        client(world, confidential).await;
        let app =
            json!({ "application_type": "native", "redirect_uris": ["com.example.app:/cb"], "allowed_origins": ["http://localhost"] });
        client(world, public(&app)).await;
        world.tenant("globex").await;
        let form = json!({ "redirect_uris": ["https://globex.example/cb"], "token_endpoint_auth_method": "none" });
        world.platform_admin().post("/admin/v1/tenants/globex/clients", form).await.is(201);

        for (origin, is_registered) in [
            (SHOP, true),
            ("http://127.0.0.1:5173", true),
            ("https://front.example:8443", true),
            ("http://localhost", true),
            ("https://shop.example:443", false),
            ("https://shop.example:8443", false),
            ("https://shop.example/", false),
            ("https://SHOP.example", false),
            ("http://shop.example", false),
            ("https://www.shop.example", false),
            ("https://shop.example.evil.example", false),
            ("https://evil-shop.example", false),
            ("https://shop.example, https://evil.example", false),
            ("https://shop.example https://evil.example", false),
            ("https://user@shop.example", false),
            ("http://127.0.0.1", false),
            ("http://127.0.0.1:5174", false),
            ("https://front.example", false),
            ("https://secret.example", false),
            ("https://bff.example", false),
            ("http://localhost:80", false),
            ("https://globex.example", false),
            ("com.example.app:", false),
            ("com.example.app://cb", false),
            ("null", false),
            ("*", false),
            ("", false),
        ] {
            for path in [TOKEN, USERINFO, REVOKE, PAR] {
                assert_eq!(is_open(world, path, origin).await, is_registered, "{path} for {origin:?}");
            }
            if !origin.is_empty() {
                let answer = from_page(world, TOKEN, origin, &[("grant_type", "x")]).await.is(401);
                assert_eq!(reader(&answer), if is_registered { origin } else { "" }, "{origin}");
                assert_eq!(answer.header("vary"), "Origin");
            }
        }
        assert!(is_open(world, "/t/globex/oauth/token", "https://globex.example").await);
        let twice = world.anon().request("POST", TOKEN).header("origin", SHOP).header("origin", SHOP).form(&[("x", "y")]);
        assert_eq!(reader(&sent(twice).await), "", "two origins are none");

        let asked = preflight(world, TOKEN, SHOP).await;
        assert_eq!(asked.header("access-control-allow-methods"), "POST");
        assert_eq!(asked.header("access-control-allow-headers"), "Authorization, Content-Type, DPoP, X-Request-Id");
        assert_eq!(asked.header("access-control-max-age"), "600");
        assert_eq!(preflight(world, USERINFO, SHOP).await.header("access-control-allow-methods"), "GET, HEAD, POST");
        assert_eq!(preflight(world, "/t/nowhere/oauth/token", SHOP).await.status, 404);
    });
}

#[test]
fn an_answer_is_read_by_pages_of_the_client_that_it_is_for() {
    in_world(async |world| {
        let one = shop(world, public(&json!({ "require_dpop_nonce": true }))).await;
        let other = client(world, public(&json!({ "redirect_uris": ["https://other.example/cb"] }))).await;
        let mut browser = Browser::new(&world.base_url);
        let code = code(&mut browser, &one, &[]).await;
        let redeeming = |code: &str| {
            let form = [("grant_type", "authorization_code"), ("code", code), ("redirect_uri", CALLBACK), ("client_id", one.id.as_str())];
            form.map(|(name, value)| (name, value.to_owned()))
        };
        let redeem = async |origin: &str, code: &str| {
            let form = redeeming(code);
            let form: Vec<_> = form.iter().map(|(name, value)| (*name, value.as_str())).collect();
            let verifier = [("code_verifier", "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk")];
            from_page(world, TOKEN, origin, &[form.as_slice(), &verifier].concat()).await
        };
        let answer = redeem("https://other.example", "nothing").await.refused_oauth(400, "invalid_grant");
        assert_eq!(reader(&answer), "", "the client runs somewhere else");
        let answer = redeem(SHOP, "nothing").await.refused_oauth(400, "invalid_grant");
        assert_eq!(reader(&answer), SHOP, "so that the page knows why");
        let tokens = redeem(SHOP, &code).await.is(200);
        assert_eq!((reader(&tokens), tokens.header("vary")), (SHOP, "Origin"));
        assert_eq!(tokens.header("access-control-expose-headers"), "DPoP-Nonce, WWW-Authenticate, Retry-After, X-Request-Id");

        let userinfo = async |token: &str, origin: &str| sent(world.bearing(token).request("GET", USERINFO).header("origin", origin)).await;
        let access_token = tokens.word("access_token");
        assert_eq!(reader(&userinfo(&access_token, SHOP).await.is(200)), SHOP);
        assert_eq!(reader(&userinfo(&access_token, "https://other.example").await.is(200)), "");
        let refused = userinfo("nonsense", "https://other.example").await.is(401);
        assert_eq!((reader(&refused), refused.headers.contains_key("www-authenticate")), ("https://other.example", true));
        assert_eq!(claims(&access_token)["client_id"], one.id.as_str());

        let revoking = [("token", access_token.as_str()), ("client_id", other.id.as_str())];
        assert_eq!(reader(&from_page(world, REVOKE, "https://other.example", &revoking).await.is(200)), "https://other.example");
        assert_eq!(reader(&from_page(world, REVOKE, SHOP, &revoking).await.is(200)), "");
        let pushing = [("client_id", other.id.as_str())];
        assert_eq!(reader(&from_page(world, PAR, "https://other.example", &pushing).await.is(400)), "https://other.example");
    });
}

#[test]
fn what_is_public_is_for_everybody_and_what_has_a_cookie_for_nobody() {
    in_world(async |world| {
        shop(world, public(&json!({}))).await;
        let alice = world.sign_in("acme", "alice").await;
        for path in [
            "/t/acme/.well-known/openid-configuration",
            "/.well-known/oauth-authorization-server/t/acme",
            "/t/acme/.well-known/jwks.json",
            "/t/acme/.well-known/key-log/checkpoint",
            "/t/nowhere/.well-known/jwks.json",
            "/.well-known/installation-jwks.json",
        ] {
            let asked = preflight(world, path, "https://anybody.example").await;
            let told = ["access-control-allow-origin", "access-control-allow-headers", "access-control-allow-methods"];
            assert_eq!((asked.status, told.map(|name| asked.header(name))), (204, ["*", "*", "GET, HEAD"]), "{path}");
            for origin in ["https://anybody.example", SHOP, "null"] {
                let answer = sent(world.anon().request("GET", path).header("origin", origin)).await;
                assert_eq!((reader(&answer), answer.header("vary")), ("*", ""), "{path}");
                assert!(!answer.headers.contains_key("access-control-allow-credentials"));
            }
        }
        for path in [
            "/t/acme/login",
            "/t/acme/logout",
            "/t/acme/account",
            "/t/acme/oauth/authorize",
            "/t/acme/oauth/end_session",
            "/t/acme/oauth/introspect",
            "/t/acme/oauth/register",
            "/t/acme/oauth/device_authorization",
            "/t/acme/oauth/bc-authorize",
            "/t/acme/oauth/authorize-challenge",
            "/t/acme/me",
            "/t/acme/interaction/ir1_x/login",
            "/admin/v1/tenants/acme",
            "/nowhere",
        ] {
            let asked = preflight(world, path, SHOP).await;
            assert!([404, 405].contains(&asked.status), "{path} answered {}", asked.status);
            let answers = [
                sent(world.anon().request("POST", path).header("origin", SHOP).form(&[("token", "x")])).await,
                sent(world.bearing(&alice.access_token).request("GET", path).header("origin", SHOP)).await,
            ];
            let shown = answers.iter().flat_map(|answer| answer.headers.keys()).chain(asked.headers.keys());
            assert!(!shown.into_iter().any(|name| name.as_str().starts_with("access-control-")), "{path}");
        }
        // A refresh by the session's cookie, from a page of a client on the same site.
        let form = [("grant_type", "refresh_token"), ("client_id", "first-party")];
        let request = world.anon().request("POST", TOKEN).header("cookie", "__Secure-claviger_session=x").header("origin", SHOP);
        assert_eq!(reader(&sent(request.form(&form)).await.is(403)), "");
    });
}

#[test]
fn an_origin_comes_and_goes_with_its_client() {
    in_world(async |world| {
        let spa = shop(world, public(&json!({}))).await;
        assert!(!is_open(world, TOKEN, "https://late.example").await);
        let late = client(world, public(&json!({ "redirect_uris": ["https://late.example/cb"] }))).await;
        for origin in [SHOP, "https://late.example"] {
            assert!(is_open(world, TOKEN, origin).await);
        }
        let moved = json!({
            "redirect_uris": ["https://moved.example/cb"], "token_endpoint_auth_method": "none", "allowed_origins": ["https://www.moved.example"],
        });
        let path = format!("/admin/v1/tenants/acme/clients/{}", late.id);
        let shown = world.platform_admin().put(&path, moved).await.is(200).json();
        assert_eq!(shown["allowed_origins"], json!(["https://www.moved.example"]));
        for (origin, is_registered) in
            [("https://late.example", false), ("https://moved.example", true), ("https://www.moved.example", true)]
        {
            assert_eq!(is_open(world, TOKEN, origin).await, is_registered, "{origin}");
        }
        admit(world, &late, "disable").await;
        assert!(!is_open(world, TOKEN, "https://moved.example").await);
        admit(world, &late, "enable").await;
        assert!(is_open(world, TOKEN, "https://moved.example").await);
        world.platform_admin().delete(&path).await.is(204);
        assert!(!is_open(world, TOKEN, "https://moved.example").await && is_open(world, TOKEN, SHOP).await);

        for bad in [json!(["http://app.example"]), json!(["https://app.example/"]), json!(["*"]), json!(["null"])] {
            let form = json!({ "redirect_uris": [CALLBACK], "allowed_origins": bad });
            let answer = world.platform_admin().post("/admin/v1/tenants/acme/clients", form).await;
            assert!([400, 422].contains(&answer.status) && answer.text.contains("allowed_origins"), "{bad}: {}", answer.text);
        }
        // A client does not say it about itself.
        world.policy("acme", json!({ "registration": { "access": "open" } })).await;
        let members =
            json!({ "redirect_uris": ["https://self.example/cb"], "token_endpoint_auth_method": "none", "allowed_origins": [SHOP] });
        let made = world.anon().post("/t/acme/oauth/register", members).await.is(201);
        assert!(made.json().get("allowed_origins").is_none(), "{}", made.text);
        assert!(is_open(world, TOKEN, "https://self.example").await);
        world
            .bearing(&made.word("registration_access_token"))
            .delete(&format!("/t/acme/oauth/register/{}", made.word("client_id")))
            .await
            .is(204);
        assert!(!is_open(world, TOKEN, "https://self.example").await);
        assert!(!spa.id.is_empty());
    });
}

#[test]
fn invented_origins_do_not_reach_the_database_and_nothing_is_open_while_it_is_away() {
    in_world(async |world| {
        shop(world, public(&json!({}))).await;
        assert!(is_open(world, TOKEN, SHOP).await);
        // Behind the server's back: what is looked up from now on fails, whoever asks.
        let pool = sqlx::SqlitePool::connect(&format!("sqlite:{}", world.database.display())).await.expect("connected");
        sqlx::query("ALTER TABLE client_origins RENAME TO client_origins_away").execute(&pool).await.expect("renamed");
        for n in 0..50 {
            assert!(!is_open(world, TOKEN, &format!("https://{n}.invented.example")).await, "known to be none without a look");
        }
        assert!(is_open(world, TOKEN, SHOP).await);
        // Time for a look, which fails: whoever is known stays known for a while; nobody else gets in.
        world.clock.forward(3);
        let asked = preflight(world, TOKEN, "https://invented.example").await;
        assert!(asked.status >= 500 && asked.header("access-control-allow-origin").is_empty(), "{} {}", asked.status, asked.text);
        assert!(!is_open(world, TOKEN, "https://another.example").await, "without another look so soon");
        assert!(is_open(world, TOKEN, SHOP).await);
        world.clock.forward(31);
        let answer = from_page(world, TOKEN, SHOP, &[("grant_type", "x")]).await.is(401);
        assert_eq!(reader(&answer), "", "closed: it is not known any more");
        sqlx::query("ALTER TABLE client_origins_away RENAME TO client_origins").execute(&pool).await.expect("renamed");
        pool.close().await;
        world.clock.forward(3);
        assert!(is_open(world, TOKEN, SHOP).await);
    });
}

#[test]
fn more_origins_than_are_kept_in_memory_are_found_all_the_same() {
    in_world(async |world| {
        shop(world, public(&json!({}))).await;
        let name = |n: usize, at: usize| format!("https://{n:02}-{at:02}.example");
        for n in 0..21 {
            let origins: Vec<_> = (0..50).map(|at| name(n, at)).collect();
            client(world, public(&json!({ "allowed_origins": origins }))).await;
        }
        assert!(is_open(world, TOKEN, &name(0, 0)).await);
        // Sorted behind the thousand.
        for (n, at) in [(20, 49), (20, 48)] {
            world.clock.forward(1);
            assert!(is_open(world, TOKEN, &name(n, at)).await);
        }
        world.clock.forward(1);
        assert!(!is_open(world, TOKEN, &name(21, 0)).await);
        world.clock.forward(1);
        assert!(is_open(world, TOKEN, SHOP).await);
    });
}

#[test]
fn a_page_hears_that_its_issuer_has_used_up_its_budget() {
    in_world_with(
        |settings| settings.budgets.most_requests_per_second = 4,
        async |world| {
            shop(world, public(&json!({}))).await;
            let ask = async || from_page(world, TOKEN, SHOP, &[("grant_type", "x")]).await;
            let first = ask().await.is(401);
            assert_eq!(reader(&first), SHOP);
            let mut is_refused = false;
            for _ in 0..1_000 {
                let answer = ask().await;
                assert_eq!(reader(&answer), SHOP);
                is_refused = answer.status == 429;
                if is_refused {
                    break;
                }
            }
            assert!(is_refused);
            // A preflight is a request as well.
            let mut asked = preflight(world, TOKEN, SHOP).await;
            for _ in 0..1_000 {
                if asked.status == 429 {
                    break;
                }
                asked = preflight(world, TOKEN, SHOP).await;
            }
            assert_eq!((asked.status, asked.header("access-control-allow-origin")), (429, ""));
        },
    );
}
