//! Requests by reference (OpenID Connect Core, 6.2; RFC 9101, 5.2): what is fetched, from where, and what comes of it.

use serde_json::{Value, json};

use crate::browser::{Browser, Page};
use crate::logouts::open;
use crate::oidc::{Shop, client, logged_in, shop, told};
use crate::registration::{REGISTER, registration};
use crate::relying_party::{Key, RelyingParty};
use crate::request_objects::{HEADER, object};
use crate::world::{World, in_world_with};

const METADATA: &str = "/t/acme/.well-known/openid-configuration";
const PAR: &str = "/t/acme/oauth/par";
const OWN_TYPE: &str = "application/oauth-authz-req+jwt";

/// A party with a key that shows its requests, and its client.
struct Stage {
    party: RelyingParty,
    key: Key,
    /// Registered, without and with a fragment.
    uris: [String; 2],
    shop: Shop,
}

async fn stage(world: &World) -> Stage {
    let (party, key) = (RelyingParty::start().await, Key::new("1"));
    let uris = ["/request?a=b", "/request/2#xNDDUEAZC9jcU_vqm5MUdKLBXDFSfEDRRSGZTVoYCIQ"].map(|path| format!("{}{path}", party.url));
    let shop = shop(world, json!({ "jwks": { "keys": [key.jwk()] }, "request_uris": uris })).await;
    Stage { party, key, uris, shop }
}

impl Stage {
    /// Shows a request that the client has signed, with `more` in it.
    fn shows(&self, world: &World, more: &Value) {
        self.party.show_request(200, OWN_TYPE, &self.key.sign_raw(HEADER, &object(world, &self.shop, more).to_string()));
    }

    /// The address of a request by reference; the parameters beside it are good ones.
    fn address(&self, uri: &str) -> String {
        self.shop.request(&[("request_uri", uri), ("state", "outside"), ("prompt", "none")])
    }
}

/// What the client is told that went wrong.
#[track_caller]
fn error(page: &Page) -> String {
    told(page)["error"].clone()
}

#[test]
fn s030_a_request_is_fetched_from_where_its_client_has_registered_and_is_all_that_counts() {
    in_world_with(open, async |world| {
        let stage = stage(world).await;
        stage.shows(world, &json!({ "state": "inside" }));
        let mut browser = Browser::new(&world.base_url);
        // Off, until the tenant wants it.
        assert_eq!(error(&browser.get(&stage.address(&stage.uris[0])).await), "request_uri_not_supported");
        assert_eq!(stage.party.fetched(), 0);
        let said = world.anon().get(METADATA).await.is(200).json();
        assert_eq!((&said["request_uri_parameter_supported"], said.get("require_request_uri_registration")), (&json!(false), None));
        world.policy("acme", json!({ "request_uri": true })).await;
        let said = world.anon().get(METADATA).await.is(200).json();
        assert_eq!((&said["request_uri_parameter_supported"], &said["require_request_uri_registration"]), (&json!(true), &json!(true)));

        for (at, uri) in stage.uris.iter().enumerate() {
            let page = browser.get(&stage.address(uri)).await;
            // `prompt=none` stands beside it, and counts for nothing.
            let page = if at == 0 { browser.follow(page).await.is(200) } else { page };
            let page = match at {
                0 => {
                    let page = browser.submit(&page, &[("identifier", "alice"), ("password", crate::world::PASSWORD)]).await;
                    browser.follow(page).await
                }
                _ => page,
            };
            let said = told(&page);
            assert_eq!(said["state"], "inside");
            let tokens = stage.shop.redeem(world, &said["code"]).await.is(200);
            assert_eq!(tokens.word("scope"), "email openid profile");
        }
        assert_eq!(stage.party.fetched(), 2, "once for each request, and not for its pages");

        // What it shows now is of now: it need not say so, nor for whom. By value it must.
        let bare = json!({ "exp": null, "nbf": null, "iat": null, "aud": null, "iss": null });
        stage.shows(world, &bare);
        assert!(told(&browser.get(&stage.address(&stage.uris[0])).await).contains_key("code"));
        let by_value = stage.key.sign_raw(HEADER, &object(world, &stage.shop, &bare).to_string());
        assert_eq!(error(&browser.get(&stage.shop.request(&[("request", &by_value)])).await), "invalid_request_object");

        // It may ask for whatever the client may have.
        stage.shows(world, &json!({ "scope": "openid admin", "prompt": "none" }));
        let said = told(&browser.get(&stage.address(&stage.uris[0])).await);
        assert_eq!(stage.shop.redeem(world, &said["code"]).await.is(200).word("scope"), "openid");
        stage.shows(world, &json!({ "redirect_uri": "https://evil.example/cb" }));
        let page = browser.get(&stage.address(&stage.uris[0])).await.is(400);
        assert!(page.text.contains("invalid_request"), "{}", page.text);
    });
}

#[test]
fn s030_s037_what_is_not_registered_is_asked_of_nobody() {
    in_world_with(open, async |world| {
        let stage = stage(world).await;
        world.policy("acme", json!({ "request_uri": true })).await;
        stage.shows(world, &json!({}));
        let other = client(world, json!({ "jwks": { "keys": [stage.key.jwk()] } })).await;
        let keyless = client(world, json!({ "request_uris": stage.uris })).await;
        let pushing =
            json!({ "jwks": { "keys": [stage.key.jwk()] }, "request_uris": stage.uris, "require_pushed_authorization_requests": true });
        let pushing = client(world, pushing).await;
        let mut browser = Browser::new(&world.base_url);
        let [plain, with_fragment] = &stage.uris;
        let port = plain.trim_start_matches("http://127.0.0.1:").split('/').next().expect("a port");
        for uri in [
            format!("{plain}&c=d"),
            plain.trim_end_matches("?a=b").to_owned(),
            plain.replace("/request", "/Request"),
            plain.replace("/request", "/x/../request"),
            plain.replace("/request", "//request"),
            format!("{plain}#x"),
            format!("{plain}#"),
            format!(" {plain}"),
            format!("{with_fragment}x"),
            with_fragment.split('#').next().expect("an address").to_owned(),
            format!("http://localhost:{port}/request?a=b"),
            format!("http://127.1:{port}/request?a=b"),
            format!("http://user@127.0.0.1:{port}/request?a=b"),
            format!("https://127.0.0.1:{port}/request?a=b"),
            format!("{plain}{}", "a".repeat(512)),
            "urn:ietf:params:oauth:request_uri:x".to_owned(),
            "file:///etc/passwd".to_owned(),
            "data:text/plain,a.b.c".to_owned(),
            "x".to_owned(),
        ] {
            let page = browser.get(&stage.address(&uri)).await;
            let heard = if page.status == 400 { page.text.clone() } else { error(&page) };
            assert!(heard.contains("invalid_request_uri"), "{uri}: {heard}");
        }
        // Of another client, of one that could have signed nothing, of one that has to push.
        for (shop, wanted) in
            [(&other, "invalid_request_uri"), (&keyless, "request_not_supported"), (&pushing, "request_uri_not_supported")]
        {
            assert_eq!(error(&browser.get(&shop.request(&[("request_uri", plain)])).await), wanted);
        }
        let signed = stage.key.sign_raw(HEADER, &object(world, &stage.shop, &json!({})).to_string());
        let both = stage.shop.request(&[("request_uri", plain), ("request", &signed)]);
        assert_eq!(error(&browser.get(&both).await), "invalid_request");
        let form = [("client_id", stage.shop.id.as_str()), ("client_secret", &stage.shop.secret), ("request_uri", plain)];
        world.anon().form(PAR, &form).await.refused_oauth(400, "invalid_request");
        assert_eq!(stage.party.fetched(), 0, "nobody was asked for anything");
        assert!(told(&logged_in(&mut browser, &stage.shop.request(&[("request_uri", plain)])).await).contains_key("code"));
        assert_eq!(stage.party.fetched(), 1);
    });
}

#[test]
fn s028_s029_what_is_fetched_is_judged_like_any_other_request_object() {
    in_world_with(open, async |world| {
        let stage = stage(world).await;
        world.policy("acme", json!({ "request_uri": true })).await;
        let other = client(world, json!({})).await;
        let thief = Key::new("1");
        let now = app::ports::world::Clock::now(&*world.clock).as_seconds();
        let good = object(world, &stage.shop, &json!({})).to_string();
        let signed = |claims: &Value| stage.key.sign_raw(HEADER, &object(world, &stage.shop, claims).to_string());
        let payload = stage.key.sign_raw(HEADER, &good).split('.').nth(1).expect("a payload").to_owned();
        let mut browser = Browser::new(&world.base_url);
        let mut heard = async |status: u16, content_type: &str, body: &str| {
            stage.party.show_request(status, content_type, body);
            error(&browser.get(&stage.address(&stage.uris[0])).await)
        };
        for wrong in [
            format!("eyJhbGciOiJub25lIn0.{payload}."),
            thief.sign_raw(HEADER, &good),
            stage.key.sign_raw(r#"{"typ":"at+jwt","alg":"ES256","kid":"1"}"#, &good),
            stage.key.sign_raw(r#"{"alg":"HS256","kid":"1"}"#, &good),
            signed(&json!({ "exp": now - 60 })),
            signed(&json!({ "exp": now + 7_200 })),
            signed(&json!({ "nbf": now + 90 })),
            signed(&json!({ "aud": "https://evil.example" })),
            signed(&json!({ "client_id": other.id })),
            signed(&json!({ "iss": other.id })),
            signed(&json!({ "sub": stage.shop.id })),
            signed(&json!({ "request_uri": stage.uris[1] })),
            "{}".to_owned(),
            String::new(),
        ] {
            assert_eq!(heard(200, OWN_TYPE, &wrong).await, "invalid_request_object", "{wrong}");
        }
        let fine = signed(&json!({ "prompt": "none" }));
        for (status, content_type) in
            [(404, OWN_TYPE), (500, OWN_TYPE), (302, OWN_TYPE), (204, OWN_TYPE), (200, "text/html"), (200, "application/json")]
        {
            assert_eq!(heard(status, content_type, &fine).await, "invalid_request_uri", "{status} {content_type}");
        }
        assert_eq!(heard(200, OWN_TYPE, &format!("{fine}{}", " ".repeat(16 * 1024))).await, "invalid_request_uri", "it is too large");
        for content_type in ["application/jwt; charset=utf-8", "application/octet-stream", "text/plain"] {
            assert_eq!(heard(200, content_type, &format!("{fine}\n")).await, "login_required", "{content_type}");
        }

        // So many at once, and then nobody is asked until there is time again.
        let mut used_up = None;
        for turn in 0..500 {
            let before = stage.party.fetched();
            if heard(200, OWN_TYPE, &fine).await == "temporarily_unavailable" {
                assert_eq!(stage.party.fetched(), before);
                used_up = Some(turn);
                break;
            }
        }
        assert!(used_up.is_some(), "a tenant has as many fetched as it likes");
        world.clock.forward(10);
        assert_eq!(heard(200, OWN_TYPE, &fine).await, "login_required");
    });
}

#[test]
fn a_client_that_registers_itself_says_where_its_requests_are() {
    in_world_with(open, async |world| {
        let stage = stage(world).await;
        registration(world, json!({ "access": "open" })).await;
        let form = json!({ "redirect_uris": [crate::oidc::CALLBACK], "request_uris": ["https://stall.example/request#x"] });
        let made = world.anon().post(REGISTER, form).await.is(201).json();
        assert_eq!(made["request_uris"], json!(["https://stall.example/request#x"]));
        for uri in ["http://stall.example/request", "urn:stall:request", "ftp://stall.example/request"] {
            let form = json!({ "redirect_uris": [crate::oidc::CALLBACK], "request_uris": [uri] });
            let refused = world.anon().post(REGISTER, form).await.refused_oauth(400, "invalid_client_metadata");
            assert!(refused.word("error_description").starts_with("request_uris"), "{}", refused.text);
        }
        let shown = world.platform_admin().get(&format!("/admin/v1/tenants/acme/clients/{}", stage.shop.id)).await.is(200).json();
        assert_eq!(shown["request_uris"], json!(stage.uris));
    });
}
