//! Tokens for a tenant's own APIs (RFC 8707): what they are for, what they say, and for whom there are none.

use serde_json::{Value, json};

use crate::browser::Browser;
use crate::dpop::{jkt, post, proof};
use crate::oidc::{Shop, claims, client, logged_in, told};
use crate::relying_party::Key;
use crate::world::{Answer, World, in_world};

const RESOURCES: &str = "/admin/v1/tenants/acme/resources";
const TOKEN: &str = "/t/acme/oauth/token";
const USERINFO: &str = "/t/acme/oauth/userinfo";
pub(crate) const ORDERS: &str = "https://orders.example/v1";
pub(crate) const STOCK: &str = "urn:acme:stock";
const PRIVATE: &str = "https://private.example";

fn orders() -> Value {
    json!({
        "identifier": ORDERS, "name": "Orders", "scope": "orders:read orders:write", "access_ttl_seconds": 120, "signing_alg": null,
        "must_be_named": true, "permissions": { "clerk": ["orders:list"], "boss": ["orders:cancel", "orders:list"] },
    })
}

pub(crate) async fn api(world: &World, form: Value) -> Answer {
    world.platform_admin().post(RESOURCES, form).await
}

/// Acme with two APIs that the shop may have tokens for and one that it may not, and alice, who is a clerk.
pub(crate) async fn market(world: &World, more: Value) -> Shop {
    world.tenant("acme").await;
    api(world, orders()).await.is(201);
    api(world, json!({ "identifier": STOCK, "name": "Stock", "scope": "stock:read" })).await.is(201);
    api(world, json!({ "identifier": PRIVATE, "name": "Private" })).await.is(201);
    let form = json!({ "username": "alice", "email": "alice@acme.example", "password": crate::world::PASSWORD, "roles": ["clerk"] });
    world.platform_admin().post("/admin/v1/tenants/acme/users", form).await.is(201);
    trader(world, more).await
}

/// A client that may have tokens for both.
pub(crate) async fn trader(world: &World, more: Value) -> Shop {
    let mut form = json!({ "scope": "openid profile email orders:read orders:write stock:read other", "resources": [ORDERS, STOCK] });
    for (name, value) in more.as_object().expect("members") {
        form[name] = value.clone();
    }
    client(world, form).await
}

/// The address of an authorization request for these.
fn request(shop: &Shop, scope: &str, resources: &[&str]) -> String {
    let named: String =
        url::form_urlencoded::Serializer::new(String::new()).extend_pairs(resources.iter().map(|uri| ("resource", uri))).finish();
    format!("{}&{named}", shop.request(&[("scope", scope)]))
}

pub(crate) async fn code(world: &World, shop: &Shop, scope: &str, resources: &[&str]) -> String {
    let mut browser = Browser::new(&world.base_url);
    let page = logged_in(&mut browser, &request(shop, scope, resources)).await;
    told(&page).remove("code").unwrap_or_else(|| panic!("no code: {}", page.location()))
}

/// Sends `form` and one `resource` for each of these.
pub(crate) async fn asked(world: &World, shop: &Shop, form: &[(&str, &str)], resources: &[&str]) -> Answer {
    let mut all = vec![("client_id", shop.id.as_str()), ("client_secret", shop.secret.as_str())];
    all.extend(form);
    all.extend(resources.iter().map(|uri| ("resource", *uri)));
    all.retain(|(_, value)| !value.is_empty());
    world.anon().form(TOKEN, &all).await
}

async fn refreshed(world: &World, shop: &Shop, token: &str, resources: &[&str]) -> Answer {
    asked(world, shop, &[("grant_type", "refresh_token"), ("refresh_token", token)], resources).await
}

fn said(tokens: &Answer) -> Value {
    claims(&tokens.word("access_token"))
}

#[test]
fn s068_a_token_is_for_the_apis_that_were_named_and_says_what_is_about_them() {
    in_world(async |world| {
        let shop = market(world, json!({})).await;
        let issuer = format!("{}/t/acme", world.base_url);
        let code = code(world, &shop, "openid orders:read stock:read other", &[ORDERS, STOCK]).await;
        let tokens = shop.redeem(world, &code).await.is(200);
        let both = said(&tokens);
        assert_eq!(both["aud"], json!([ORDERS, STOCK]));
        assert_eq!((both["scope"].as_str(), tokens.word("scope").as_str()), (Some("orders:read stock:read"), "orders:read stock:read"));
        assert_eq!(both.get("permissions"), None, "what a permission means, one API alone says");
        assert_eq!(tokens.json()["expires_in"], 120, "as the strictest of them wants");
        assert_eq!(claims(&tokens.word("id_token"))["aud"], json!(shop.id));

        // A refresh narrows to what was granted, and the session keeps all of it.
        let one = refreshed(world, &shop, &tokens.word("refresh_token"), &[ORDERS]).await.is(200);
        let orders = said(&one);
        assert_eq!((&orders["aud"], orders["scope"].as_str()), (&json!(ORDERS), Some("orders:read")));
        assert_eq!(orders["permissions"], json!(["orders:list"]), "as a clerk");
        let other = refreshed(world, &shop, &one.word("refresh_token"), &[STOCK]).await.is(200);
        assert_eq!((&said(&other)["aud"], &said(&other)["permissions"]), (&json!(STOCK), &json!([])));
        assert_eq!(other.json()["expires_in"], 900);
        let all = refreshed(world, &shop, &other.word("refresh_token"), &[]).await.is(200);
        assert_eq!(said(&all)["aud"], json!([ORDERS, STOCK]));

        // Never to more; and that costs the client nothing.
        let token = all.word("refresh_token");
        for more in [&[PRIVATE][..], &[ORDERS, PRIVATE], &[&issuer], &["https://nowhere.example"], &["orders"], &[&format!("{ORDERS}#a")]] {
            refreshed(world, &shop, &token, more).await.refused_oauth(400, "invalid_target");
        }
        let later = refreshed(world, &shop, &token, &[STOCK]).await.is(200);
        let wider =
            [("grant_type", "refresh_token"), ("refresh_token", &later.word("refresh_token")), ("scope", "orders:read orders:write")];
        asked(world, &shop, &wider, &[ORDERS]).await.refused_oauth(400, "invalid_scope");

        // A role that is given counts at the next refresh.
        let alice = world.platform_admin().get("/admin/v1/tenants/acme/users").await.is(200).json()["items"][0]["id"].clone();
        let path = format!("/admin/v1/tenants/acme/users/{}", alice.as_str().expect("an id"));
        world.platform_admin().patch(&path, json!({ "roles": ["boss"] })).await.is(200);
        let boss = refreshed(world, &shop, &later.word("refresh_token"), &[ORDERS]).await.is(200);
        assert_eq!(said(&boss)["permissions"], json!(["orders:cancel", "orders:list"]));
    });
}

#[test]
fn s031_a_resource_that_is_none_is_refused_wherever_it_is_named() {
    in_world(async |world| {
        let shop = market(world, json!({ "grant_types": ["authorization_code", "refresh_token", "client_credentials"] })).await;
        world.tenant("globex").await;
        let theirs = json!({ "identifier": "https://globex.example", "name": "Theirs" });
        world.platform_admin().post("/admin/v1/tenants/globex/resources", theirs).await.is(201);
        let many: Vec<String> = (0..9).map(|n| format!("https://api{n}.example")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        let slash = format!("{ORDERS}/");
        let fragment = format!("{ORDERS}#x");
        for named in [
            &["orders"][..],
            &["/v1"],
            &[&fragment],
            &["https://unknown.example"],
            &[PRIVATE],
            &["https://globex.example"],
            &[&slash],
            &["https://ORDERS.example/v1"],
            &[ORDERS, PRIVATE],
            &many,
        ] {
            let page = Browser::new(&world.base_url).get(&request(&shop, "openid orders:read", named)).await;
            let answer = told(&page);
            assert_eq!((answer.get("error").map(String::as_str), answer.get("code")), (Some("invalid_target"), None), "{named:?}");
            asked(world, &shop, &[("grant_type", "client_credentials")], named).await.refused_oauth(400, "invalid_target");
            let mut pushed: Vec<(&str, &str)> = vec![
                ("client_id", &shop.id),
                ("client_secret", &shop.secret),
                ("redirect_uri", crate::oidc::CALLBACK),
                ("response_type", "code"),
                ("scope", "openid"),
                ("code_challenge", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"),
                ("code_challenge_method", "S256"),
            ];
            pushed.extend(named.iter().map(|uri| ("resource", *uri)));
            world.anon().form("/t/acme/oauth/par", &pushed).await.refused_oauth(400, "invalid_target");
        }
        // At the redemption of a code it does not cost the code.
        let code = code(world, &shop, "openid orders:read", &[ORDERS]).await;
        shop.redeem_with(world, &code, &[("resource", STOCK)]).await.refused_oauth(400, "invalid_target");
        let tokens = shop.redeem_with(world, &code, &[("resource", ORDERS)]).await.is(200);
        assert_eq!(said(&tokens)["aud"], ORDERS);
    });
}

#[test]
fn s068_where_nothing_is_named_a_token_is_for_the_issuer_and_for_apis_that_need_not_be_named() {
    in_world(async |world| {
        let shop = market(world, json!({})).await;
        let issuer = format!("{}/t/acme", world.base_url);
        world.policy("acme", json!({ "audience": "https://usual.example" })).await;
        let code = code(world, &shop, "openid orders:read other", &[]).await;
        let tokens = shop.redeem(world, &code).await.is(200);
        assert_eq!(said(&tokens)["aud"], json!(["https://usual.example", issuer]));
        assert_eq!(said(&tokens)["scope"], "openid other", "an API that must be named was not");
        refreshed(world, &shop, &tokens.word("refresh_token"), &[ORDERS]).await.refused_oauth(400, "invalid_target");
        let mine = refreshed(world, &shop, &tokens.word("refresh_token"), &[&issuer]).await.is(200);
        assert_eq!(said(&mine)["aud"], json!(issuer));

        // Stock need not be named: its scope means it.
        let code = self::code(world, &shop, "openid stock:read", &[]).await;
        let tokens = shop.redeem(world, &code).await.is(200);
        assert_eq!((&said(&tokens)["aud"], &said(&tokens)["scope"]), (&json!([STOCK, issuer]), &json!("openid stock:read")));
        world.bearing(&tokens.word("access_token")).get(USERINFO).await.is(200);
        let narrow = refreshed(world, &shop, &tokens.word("refresh_token"), &[STOCK]).await.is(200);
        assert_eq!((&said(&narrow)["aud"], &said(&narrow)["scope"]), (&json!(STOCK), &json!("stock:read")));
        assert_eq!(claims(&narrow.word("id_token"))["sub"], said(&narrow)["sub"]);
    });
}

#[test]
fn a_token_for_an_api_opens_none_of_our_own_doors_and_is_known_to_introspection() {
    in_world(async |world| {
        let shop = market(world, json!({})).await;
        let issuer = format!("{}/t/acme", world.base_url);
        let code = code(world, &shop, "openid email orders:read", &[ORDERS, &issuer]).await;
        let tokens = shop.redeem_with(world, &code, &[("resource", ORDERS)]).await.is(200);
        let token = tokens.word("access_token");
        world.bearing(&token).get(USERINFO).await.is(401);
        world.bearing(&token).get("/t/acme/me").await.refused(401, "invalid_token");
        world.bearing(&token).get("/admin/v1/tenants/acme").await.refused(401, "invalid_token");
        let own = refreshed(world, &shop, &tokens.word("refresh_token"), &[&issuer]).await.is(200);
        assert_eq!(said(&own)["scope"], "email openid");
        world.bearing(&own.word("access_token")).get(USERINFO).await.is(200);

        let introspect = async |token: &str| {
            let form = [("client_id", shop.id.as_str()), ("client_secret", shop.secret.as_str()), ("token", token)];
            world.platform_admin().form("/t/acme/oauth/introspect", &form[2..]).await.is(200).json()
        };
        let known = introspect(&token).await;
        assert_eq!((&known["active"], &known["aud"], &known["permissions"]), (&json!(true), &json!(ORDERS), &json!(["orders:list"])));
        let form = [("client_id", shop.id.as_str()), ("client_secret", shop.secret.as_str()), ("token", token.as_str())];
        world.anon().form("/t/acme/oauth/revoke", &form).await.is(200);
        assert_eq!(introspect(&token).await, json!({ "active": false }), "its session has ended");
    });
}

#[test]
fn a_client_itself_gets_tokens_for_the_apis_it_may_use() {
    in_world(async |world| {
        let form = json!({ "grant_types": ["client_credentials"], "redirect_uris": [], "response_types": [], "scope": "orders:read stock:read other" });
        let robot = market(world, form).await;
        let grant = ("grant_type", "client_credentials");
        let tokens = asked(world, &robot, &[grant], &[ORDERS]).await.is(200);
        let claims = said(&tokens);
        assert_eq!((&claims["aud"], &claims["scope"], &claims["sub"]), (&json!(ORDERS), &json!("orders:read"), &json!(robot.id)));
        assert_eq!((claims.get("permissions"), tokens.json()["expires_in"].as_u64()), (None, Some(120)));
        asked(world, &robot, &[grant, ("scope", "orders:read stock:read")], &[ORDERS]).await.refused_oauth(400, "invalid_scope");
        asked(world, &robot, &[grant, ("scope", "orders:write")], &[ORDERS]).await.refused_oauth(400, "invalid_scope");
        asked(world, &robot, &[grant], &[PRIVATE]).await.refused_oauth(400, "invalid_target");
        let usual = asked(world, &robot, &[grant], &[]).await.is(200);
        assert_eq!(said(&usual)["aud"], json!([STOCK, format!("{}/t/acme", world.base_url)]));
        assert_eq!(said(&usual)["scope"], "other stock:read");
    });
}

#[test]
fn a_device_gets_tokens_for_what_its_user_saw() {
    in_world(async |world| {
        let device_grant = "urn:ietf:params:oauth:grant-type:device_code";
        let more = json!({ "grant_types": [device_grant, "refresh_token"], "redirect_uris": null, "response_types": null,
            "post_logout_redirect_uris": null, "consent": "third_party" });
        let television = market(world, more).await;
        world.policy("acme", json!({ "device_authorization": true })).await;
        let form = [
            ("client_id", television.id.as_str()),
            ("client_secret", television.secret.as_str()),
            ("scope", "openid orders:read"),
            ("resource", ORDERS),
            ("resource", STOCK),
        ];
        world
            .anon()
            .form("/t/acme/oauth/device_authorization", &[form[0], form[1], ("resource", PRIVATE)])
            .await
            .refused_oauth(400, "invalid_target");
        let waiting = world.anon().form("/t/acme/oauth/device_authorization", &form).await.is(200).json();
        let mut browser = Browser::new(&world.base_url);
        crate::device::allowed(&mut browser, waiting["user_code"].as_str().expect("a code")).await;
        let poll = [("grant_type", device_grant), ("device_code", waiting["device_code"].as_str().expect("a code"))];
        asked(world, &television, &poll, &[PRIVATE]).await.refused_oauth(400, "invalid_target");
        let tokens = asked(world, &television, &poll, &[ORDERS]).await.is(200);
        assert_eq!((&said(&tokens)["aud"], &said(&tokens)["permissions"]), (&json!(ORDERS), &json!(["orders:list"])));
        let all = refreshed(world, &television, &tokens.word("refresh_token"), &[]).await.is(200);
        assert_eq!(said(&all)["aud"], json!([ORDERS, STOCK]));
    });
}

#[test]
fn a_bound_token_for_an_api_keeps_its_key() {
    in_world(async |world| {
        let shop = market(world, json!({ "token_endpoint_auth_method": "none" })).await;
        let key = Key::new("1");
        let code = code(world, &shop, "openid orders:read", &[ORDERS, STOCK]).await;
        let form = [
            ("grant_type", "authorization_code"),
            ("code", code.as_str()),
            ("redirect_uri", crate::oidc::CALLBACK),
            ("code_verifier", "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"),
            ("client_id", shop.id.as_str()),
            ("resource", ORDERS),
        ];
        let tokens = post(world, TOKEN, &form, &[proof(world, &key, "POST", TOKEN, json!({}))]).await.is(200);
        assert_eq!(tokens.word("token_type"), "DPoP");
        assert_eq!((&said(&tokens)["aud"], &said(&tokens)["cnf"]["jkt"]), (&json!(ORDERS), &json!(jkt(&key))));
        let refresh = tokens.word("refresh_token");
        let form =
            [("grant_type", "refresh_token"), ("refresh_token", refresh.as_str()), ("client_id", shop.id.as_str()), ("resource", STOCK)];
        let thief = Key::new("2");
        post(world, TOKEN, &form, &[proof(world, &thief, "POST", TOKEN, json!({}))]).await.refused_oauth(400, "invalid_grant");
        let later = post(world, TOKEN, &form, &[proof(world, &key, "POST", TOKEN, json!({}))]).await.is(200);
        assert_eq!((&said(&later)["aud"], &said(&later)["cnf"]["jkt"]), (&json!(STOCK), &json!(jkt(&key))));
    });
}

#[test]
fn users_are_asked_for_each_api_and_see_its_name() {
    in_world(async |world| {
        let shop = market(world, json!({ "consent": "third_party" })).await;
        let mut browser = Browser::new(&world.base_url);
        let page = logged_in(&mut browser, &request(&shop, "openid", &[])).await;
        let page = browser.follow(page).await.is(200);
        assert!(!page.text.contains("Orders"));
        let page = browser.submit(&page, &[("decision", "allow")]).await;
        let page = browser.follow(page).await;
        assert!(told(&page).contains_key("code"));
        // The same scope, and an API: that is new, though it has no scope of its own.
        let page = browser.get(&request(&shop, "openid", &[ORDERS])).await;
        let page = browser.follow(page).await.is(200);
        assert!(page.text.contains("Orders"), "{}", page.text);
        let page = browser.submit(&page, &[("decision", "allow")]).await;
        let page = browser.follow(page).await;
        let tokens = shop.redeem(world, &told(&page)["code"]).await.is(200);
        assert_eq!((&said(&tokens)["aud"], &said(&tokens)["scope"]), (&json!(ORDERS), &json!("")));
        // It is remembered, for this API and no other.
        assert!(told(&browser.get(&request(&shop, "openid", &[ORDERS])).await).contains_key("code"));
        let other = browser.get(&format!("{}&prompt=none", request(&shop, "openid", &[STOCK]))).await;
        assert_eq!(told(&other)["error"], "consent_required");
    });
}

#[test]
fn what_an_api_says_counts_from_the_next_token_on() {
    in_world(async |world| {
        let shop = market(world, json!({})).await;
        let code = code(world, &shop, "openid orders:read stock:read", &[ORDERS, STOCK]).await;
        let tokens = shop.redeem(world, &code).await.is(200);
        let all = world.platform_admin().get(RESOURCES).await.is(200).json();
        let at = |identifier: &str| {
            let found = all["items"].as_array().expect("a list").iter().find(|api| api["identifier"] == identifier);
            format!("{RESOURCES}/{}", found.expect("the API")["id"].as_str().expect("an id"))
        };
        let alg = |tokens: &Answer| {
            let header = tokens.word("access_token").split('.').next().map(str::to_owned).expect("a header");
            let bytes = base64::Engine::decode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, header).expect("base64url");
            serde_json::from_slice::<Value>(&bytes).expect("JSON")["alg"].as_str().expect("text").to_owned()
        };
        // Another algorithm: one of those that the tenant keeps keys of.
        let mut form = orders();
        form["signing_alg"] = json!("RS256");
        assert_eq!(alg(&tokens), "ES256");
        world.platform_admin().put(&at(ORDERS), form.clone()).await.is(200);
        let tokens = refreshed(world, &shop, &tokens.word("refresh_token"), &[ORDERS]).await.is(200);
        assert_eq!(alg(&tokens), "RS256");
        let jwks = world.jwks("acme").await;
        assert!(jwks["keys"].as_array().expect("keys").iter().any(|key| key["alg"] == "RS256"), "it is published");
        let mixed = json!({ "identifier": STOCK, "name": "Stock", "scope": "stock:read", "signing_alg": "ES256" });
        world.platform_admin().put(&at(STOCK), mixed).await.is(200);
        refreshed(world, &shop, &tokens.word("refresh_token"), &[ORDERS, STOCK]).await.refused_oauth(400, "invalid_target");

        // An API that is deleted, or taken from the client, gets no more tokens; the others do.
        world.platform_admin().delete(&at(STOCK)).await.is(204);
        refreshed(world, &shop, &tokens.word("refresh_token"), &[STOCK]).await.refused_oauth(400, "invalid_target");
        let tokens = refreshed(world, &shop, &tokens.word("refresh_token"), &[]).await.is(200);
        assert_eq!(said(&tokens)["aud"], ORDERS);
        let metadata = json!({ "client_name": "Shop", "redirect_uris": [crate::oidc::CALLBACK], "grant_types": ["authorization_code", "refresh_token"],
            "token_endpoint_auth_method": "client_secret_post", "consent": "first_party" });
        world.platform_admin().put(&format!("/admin/v1/tenants/acme/clients/{}", shop.id), metadata).await.is(200);
        refreshed(world, &shop, &tokens.word("refresh_token"), &[]).await.refused_oauth(400, "invalid_target");
        let events = world.platform_admin().get("/admin/v1/tenants/acme/events").await.is(200).text;
        for event in ["resource_created", "resource_changed", "resource_deleted"] {
            assert!(events.contains(event), "{event}");
        }
    });
}

#[test]
fn an_api_is_described_well_or_not_at_all() {
    in_world(async |world| {
        world.tenant("acme").await;
        let made = api(world, orders()).await.is(201);
        assert!(made.header("location").ends_with(&made.word("id")));
        let shown = world.platform_admin().get(&format!("{RESOURCES}/{}", made.word("id"))).await.is(200).json();
        for (name, value) in orders().as_object().expect("members") {
            assert_eq!(shown[name], *value, "{name}");
        }
        let with = |more: Value| {
            let mut form = json!({ "identifier": "https://new.example", "name": "New" });
            form.as_object_mut().expect("an object").extend(more.as_object().expect("members").clone());
            form
        };
        api(world, with(json!({ "identifier": ORDERS }))).await.refused(409, "identifier_taken");
        for bad in [
            json!({ "identifier": "new" }),
            json!({ "identifier": "https://new.example/#a" }),
            json!({ "name": "" }),
            json!({ "scope": "openid" }),
            json!({ "access_ttl_seconds": 59 }),
            json!({ "access_ttl_seconds": 3_601 }),
            json!({ "signing_alg": "none" }),
            json!({ "permissions": { "Bad Role": [] } }),
            json!({ "permissions": { "clerk": ["a b"] } }),
            json!({ "color": "red" }),
        ] {
            api(world, with(bad)).await.refused(400, "bad_request");
        }
        for (member, bad) in [
            ("identifier", json!({ "identifier": format!("{}/t/acme", world.base_url) })),
            ("identifier", json!({ "identifier": format!("{}/t/other/x", world.base_url) })),
            ("scope", json!({ "scope": "new orders:read" })),
            ("signing_alg", json!({ "signing_alg": "ES384" })),
        ] {
            let refused = api(world, with(bad)).await.refused(422, "resource_refused");
            assert_eq!(refused.json()["member"], member);
        }
        let place = format!("{RESOURCES}/{}", made.word("id"));
        let moved = world.platform_admin().put(&place, with(json!({}))).await.refused(422, "resource_refused");
        assert_eq!(moved.json()["member"], "identifier");
        let unknown = json!({ "redirect_uris": ["https://a.example/cb"], "resources": [ORDERS, "https://unknown.example"] });
        let refused = world.platform_admin().post("/admin/v1/tenants/acme/clients", unknown).await.refused(422, "invalid_client_metadata");
        assert_eq!(refused.json()["member"], "resources");
        // Whoever registers themselves gives themselves none.
        world.policy("acme", json!({ "registration": { "access": "open" } })).await;
        let itself = json!({ "redirect_uris": ["https://a.example/cb"], "resources": [ORDERS], "scope": "openid orders:read" });
        let registered = world.anon().post("/t/acme/oauth/register", itself).await.is(201).json();
        assert_eq!((registered["resources"].as_array().map_or(0, Vec::len), registered["scope"].as_str()), (0, Some("openid")));
    });
}
