//! What clients ask for in detail (RFC 9396): types that an API defines, what a user reads of them, and where they go.

use serde_json::{Value, json};

use crate::browser::{Browser, Page};
use crate::oidc::{CALLBACK, Shop, claims, client, logged_in, told};
use crate::relying_party::Key;
use crate::request_objects;
use crate::world::{Answer, PASSWORD, World, in_world};

const CLIENTS: &str = "/admin/v1/tenants/acme/clients";
const RESOURCES: &str = "/admin/v1/tenants/acme/resources";
const METADATA: &str = "/t/acme/.well-known/openid-configuration";
const TOKEN: &str = "/t/acme/oauth/token";
const PAR: &str = "/t/acme/oauth/par";
const INTROSPECT: &str = "/t/acme/oauth/introspect";
const BANK: &str = "https://bank.example";
const STOCK: &str = "urn:acme:stock";

fn payment() -> Value {
    json!({
        "members": {
            "amount": { "kind": "object", "required": true, "members": {
                "value": { "kind": "decimal", "required": true, "max": 1_000 },
                "currency": { "kind": "text", "required": true, "one_of": ["CHF", "EUR"] },
            } },
            "payee": { "kind": "text", "required": true, "max_length": 40 },
            "actions": { "kind": "list", "one_of": ["initiate", "status", "cancel"] },
        },
        "words": { "en": "Pay {amount.value} {amount.currency} to {payee}", "de": "{payee} {amount.value} {amount.currency} zahlen" },
    })
}

fn bank(types: Value) -> Value {
    json!({ "identifier": BANK, "name": "Bank", "must_be_named": true, "authorization_details_types": types })
}

/// Acme with a bank and a stock, alice, and a client that asks its users.
async fn market(world: &World, more: Value) -> Shop {
    world.tenant("acme").await;
    let mut once = payment();
    once["ask_each_time"] = json!(true);
    world.platform_admin().post(RESOURCES, bank(json!({ "payment": payment(), "single_payment": once }))).await.is(201);
    let list = json!({ "members": { "shelf": { "kind": "text", "required": true } }, "words": { "en": "Count shelf {shelf}" } });
    let stock = json!({ "identifier": STOCK, "name": "Stock", "scope": "stock:read", "authorization_details_types": { "count": list } });
    world.platform_admin().post(RESOURCES, stock).await.is(201);
    let form = json!({ "username": "alice", "email": "alice@acme.example", "password": PASSWORD });
    world.platform_admin().post("/admin/v1/tenants/acme/users", form).await.is(201);
    let mut form = json!({ "consent": "third_party", "scope": "openid stock:read", "resources": [BANK, STOCK] });
    for (name, value) in more.as_object().expect("members") {
        form[name] = value.clone();
    }
    client(world, form).await
}

fn pay(value: &str) -> Value {
    json!({ "type": "payment", "amount": { "value": value, "currency": "EUR" }, "payee": "Bob <b>", "actions": ["initiate", "status"] })
}

/// The address of a request for these, at these APIs.
fn request(shop: &Shop, details: &Value, resources: &[&str], more: &[(&str, &str)]) -> String {
    let mut named = url::form_urlencoded::Serializer::new(String::new());
    named.extend_pairs(resources.iter().map(|uri| ("resource", uri))).append_pair("authorization_details", &details.to_string());
    let more: Vec<_> = [("scope", "openid")].into_iter().chain(more.iter().copied()).collect();
    format!("{}&{}", shop.request(&more), named.finish())
}

/// Says yes on the page.
async fn allowed(browser: &mut Browser, page: &Page) -> Page {
    let page = browser.submit(page, &[("decision", "allow")]).await;
    browser.follow(page).await
}

async fn refreshed(world: &World, shop: &Shop, token: &str, more: &[(&str, &str)]) -> Answer {
    let mut form =
        vec![("grant_type", "refresh_token"), ("refresh_token", token), ("client_id", &shop.id), ("client_secret", &shop.secret)];
    form.extend(more);
    world.anon().form(TOKEN, &form).await
}

fn granted(tokens: &Answer) -> Value {
    let said = tokens.json()["authorization_details"].clone();
    assert_eq!(said, claims(&tokens.word("access_token"))["authorization_details"], "the answer says what the token says");
    said
}

#[test]
fn what_is_asked_for_in_detail_is_read_by_the_user_granted_word_by_word_and_narrowed() {
    in_world(async |world| {
        let shop = market(world, json!({})).await;
        let issuer = format!("{}/t/acme", world.base_url);
        let metadata = world.anon().get(METADATA).await.is(200).json();
        assert_eq!(metadata["authorization_details_types_supported"], json!(["count", "payment", "single_payment"]));

        let both = json!([pay("12.50"), { "type": "count", "shelf": "7" }]);
        let mut browser = Browser::new(&world.base_url);
        let page = logged_in(&mut browser, &request(&shop, &both, &[], &[])).await.is(200);
        for text in ["Pay ", "<bdi>12.50</bdi>", "<bdi>EUR</bdi>", " to ", "<bdi>Bob &#60;b&#62;</bdi>", "initiate, status", "Count shelf "]
        {
            assert!(page.text.contains(text), "{text}: {}", page.text);
        }
        let code = told(&allowed(&mut browser, &page).await)["code"].clone();
        let tokens = shop.redeem(world, &code).await.is(200);
        assert_eq!(granted(&tokens), both);
        assert_eq!(claims(&tokens.word("access_token"))["aud"], json!([BANK, STOCK, issuer]), "the details mean their APIs");
        assert_eq!(claims(&tokens.word("id_token")).get("authorization_details"), None);

        // To introspection as well, of both tokens.
        for token in ["access_token", "refresh_token"] {
            let form = [("token", tokens.word(token)), ("client_id", shop.id.clone()), ("client_secret", shop.secret.clone())];
            let form: Vec<_> = form.iter().map(|(name, value)| (*name, value.as_str())).collect();
            assert_eq!(world.anon().form(INTROSPECT, &form).await.is(200).json()["authorization_details"], both, "{token}");
        }

        // A token for one API says what is about that.
        let one = refreshed(world, &shop, &tokens.word("refresh_token"), &[("resource", BANK)]).await.is(200);
        assert_eq!(granted(&one), json!([pay("12.50")]));
        let none = refreshed(world, &shop, &one.word("refresh_token"), &[("resource", &issuer)]).await.is(200);
        assert_eq!((none.json().get("authorization_details"), granted(&none)), (None, Value::Null));
        let mut less = pay("12.50");
        less["actions"] = json!(["status"]);
        let less = json!([less]);
        let token = none.word("refresh_token");
        for more in [
            json!([pay("12.49")]),
            json!([pay("99.99")]),
            json!([pay("12.50"), pay("1")]),
            json!([{ "type": "payment", "amount": { "value": "12.50", "currency": "EUR" }, "payee": "Bob <b>" }]),
            json!([{ "type": "count", "shelf": "8" }]),
            json!([{ "type": "nothing" }]),
            json!([]),
            json!({}),
        ] {
            let more = more.to_string();
            refreshed(world, &shop, &token, &[("authorization_details", &more)]).await.refused_oauth(400, "invalid_authorization_details");
        }
        let elsewhere = [("authorization_details", &*less.to_string()), ("resource", STOCK)];
        refreshed(world, &shop, &token, &elsewhere).await.refused_oauth(400, "invalid_authorization_details");
        // None of that cost the token; and the session keeps all of it.
        let narrow = refreshed(world, &shop, &token, &[("authorization_details", &less.to_string())]).await.is(200);
        assert_eq!(granted(&narrow), less);
        let all = refreshed(world, &shop, &narrow.word("refresh_token"), &[]).await.is(200);
        assert_eq!(granted(&all), both);

        // What its API defines no longer is in no token any more.
        let id = world.platform_admin().get(RESOURCES).await.is(200).json();
        let id = id["items"].as_array().expect("items").iter().find(|api| api["identifier"] == BANK).expect("there")["id"].clone();
        let path = format!("{RESOURCES}/{}", id.as_str().expect("an id"));
        world.platform_admin().put(&path, bank(json!({}))).await.is(200);
        let rest = refreshed(world, &shop, &all.word("refresh_token"), &[]).await.is(200);
        assert_eq!(granted(&rest), json!([{ "type": "count", "shelf": "7" }]));
        let metadata = world.anon().get(METADATA).await.is(200).json();
        assert_eq!(metadata["authorization_details_types_supported"], json!(["count"]));
    });
}

#[test]
fn s032_unknown_types_and_members_and_wrong_kinds_are_refused_wherever_they_come() {
    in_world(async |world| {
        let key = Key::new("1");
        let limited = json!({ "authorization_details_types": ["payment"], "jwks": { "keys": [key.jwk()] } });
        let shop = market(world, limited).await;
        let with = |name: &str, value: Value| {
            let mut one = pay("1");
            one[name] = value;
            json!([one])
        };
        for (details, resources) in [
            (json!([]), &[][..]),
            (json!({ "type": "payment" }), &[]),
            (json!(vec![pay("1"); 9]), &[]),
            (with("type", json!("unknown")), &[]),
            // There are these, and not for this client.
            (with("type", json!("single_payment")), &[]),
            (json!([{ "type": "count", "shelf": "7" }]), &[]),
            (with("more", json!("x")), &[]),
            (with("payee", Value::Null), &[]),
            (with("payee", json!(1)), &[]),
            (with("payee", json!("a".repeat(41))), &[]),
            (with("payee", json!("Bob\u{202e}")), &[]),
            (with("amount", json!({ "value": "1" })), &[]),
            (with("amount", json!({ "value": "1000.01", "currency": "EUR" })), &[]),
            (with("amount", json!({ "value": 1, "currency": "EUR" })), &[]),
            (with("actions", json!(["steal"])), &[]),
            // It is about an API that is not among those that are named.
            (json!([pay("1")]), &[STOCK]),
        ] {
            let page = Browser::new(&world.base_url).get(&request(&shop, &details, resources, &[])).await;
            let told = told(&page);
            assert_eq!(told.get("error").map(String::as_str), Some("invalid_authorization_details"), "{details}");
            let text = details.to_string();
            let mut pushed = vec![
                ("client_id", shop.id.as_str()),
                ("client_secret", &shop.secret),
                ("redirect_uri", CALLBACK),
                ("response_type", "code"),
                ("scope", "openid"),
                ("code_challenge", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"),
                ("code_challenge_method", "S256"),
                ("authorization_details", &text),
            ];
            pushed.extend(resources.iter().map(|uri| ("resource", *uri)));
            world.anon().form(PAR, &pushed).await.refused_oauth(400, "invalid_authorization_details");
            let object = request_objects::object(world, &shop, &json!({ "authorization_details": details, "resource": resources }));
            let signed = key.sign_raw(request_objects::HEADER, &object.to_string());
            let page = Browser::new(&world.base_url).get(&shop.request(&[("request", &signed)])).await;
            let told = self::told(&page);
            assert_eq!(told.get("error").map(String::as_str), Some("invalid_authorization_details"), "{details}");
        }
        // A signed one that is good, as an array: the code has them.
        let object = request_objects::object(world, &shop, &json!({ "authorization_details": [pay("1")], "resource": BANK }));
        let signed = key.sign_raw(request_objects::HEADER, &object.to_string());
        let mut browser = Browser::new(&world.base_url);
        let page = logged_in(&mut browser, &shop.request(&[("request", &signed)])).await.is(200);
        let code = told(&allowed(&mut browser, &page).await)["code"].clone();
        // More than was granted does not cost the code.
        let more = json!([pay("2")]).to_string();
        shop.redeem_with(world, &code, &[("authorization_details", &more)]).await.refused_oauth(400, "invalid_authorization_details");
        let tokens = shop.redeem_with(world, &code, &[("authorization_details", &json!([pay("1")]).to_string())]).await.is(200);
        assert_eq!(granted(&tokens), json!([pay("1")]));
        assert_eq!(claims(&tokens.word("access_token"))["aud"], BANK);

        // Where nobody is asked, nothing is given in detail.
        let machine = json!({ "grant_types": ["client_credentials"], "response_types": [], "redirect_uris": [], "resources": [BANK] });
        let machine = client(world, machine).await;
        let text = json!([pay("1")]).to_string();
        let form = [
            ("grant_type", "client_credentials"),
            ("client_id", &machine.id),
            ("client_secret", &machine.secret),
            ("authorization_details", &text),
        ];
        world.anon().form(TOKEN, &form).await.refused_oauth(400, "invalid_authorization_details");
        world.policy("acme", json!({ "device_authorization": true })).await;
        let grants = ["authorization_code", "urn:ietf:params:oauth:grant-type:device_code"];
        let device = client(world, json!({ "grant_types": grants, "resources": [BANK] })).await;
        let form = [("client_id", device.id.as_str()), ("client_secret", &device.secret), ("authorization_details", &text)];
        let asked = world.anon().form("/t/acme/oauth/device_authorization", &form).await;
        asked.refused_oauth(400, "invalid_authorization_details");
        // And where a client may have tokens for no API, there is no type.
        let other = client(world, json!({})).await;
        let page = Browser::new(&world.base_url).get(&request(&other, &json!([pay("1")]), &[], &[])).await;
        assert_eq!(told(&page)["error"], "invalid_authorization_details");
    });
}

#[test]
fn a_consent_is_remembered_for_the_same_details_alone_and_not_for_those_that_are_asked_each_time() {
    in_world(async |world| {
        let shop = market(world, json!({})).await;
        let mut browser = Browser::new(&world.base_url);
        let first = json!([pay("12.50")]);
        let page = logged_in(&mut browser, &request(&shop, &first, &[], &[])).await.is(200);
        assert!(told(&allowed(&mut browser, &page).await).contains_key("code"));
        let silently = async |browser: &mut Browser, details: &Value| {
            let page = browser.get(&request(&shop, details, &[], &[("prompt", "none")])).await;
            told(&page).get("error").cloned()
        };
        assert_eq!(silently(&mut browser, &first).await, None, "word by word the same");
        for other in [json!([pay("12.51")]), json!([pay("12.50"), pay("12.51")]), json!([{ "type": "count", "shelf": "7" }])] {
            assert_eq!(silently(&mut browser, &other).await.as_deref(), Some("consent_required"), "{other}");
        }
        let page = browser.get(&request(&shop, &json!([pay("3")]), &[], &[])).await;
        let page = browser.follow(page).await.is(200);
        assert!(told(&allowed(&mut browser, &page).await).contains_key("code"));
        assert_eq!(silently(&mut browser, &json!([pay("3")])).await, None);
        assert_eq!(silently(&mut browser, &first).await.as_deref(), Some("consent_required"), "they do not pile up");

        let mut once = pay("4");
        once["type"] = json!("single_payment");
        let once = json!([once]);
        for _ in 0..2 {
            let page = browser.get(&request(&shop, &once, &[], &[])).await;
            let page = browser.follow(page).await.is(200);
            let code = told(&allowed(&mut browser, &page).await)["code"].clone();
            assert_eq!(granted(&shop.redeem(world, &code).await.is(200)), once);
            assert_eq!(silently(&mut browser, &once).await.as_deref(), Some("consent_required"));
        }
        // On the user's own page, and in the audit log.
        let page = browser.get("/t/acme/account").await.is(200);
        assert!(page.text.contains("payment"), "{}", page.text);
        let events = world.platform_admin().get("/admin/v1/tenants/acme/events").await.is(200).json();
        let given =
            events["items"].as_array().expect("items").iter().map(|item| &item["event"]).filter(|event| event["type"] == "consent_given");
        let types: Vec<_> = given.map(|event| event["authorization_details_types"].clone()).collect();
        assert!(types.contains(&json!(["payment"])) && types.contains(&json!(["single_payment"])), "{events}");
    });
}

#[test]
fn types_are_bounded_belong_to_one_api_and_a_client_is_limited_to_those_of_its_apis() {
    in_world(async |world| {
        let shop = market(world, json!({})).await;
        let admin = world.platform_admin();
        let taken = json!({ "identifier": "https://two.example", "name": "Two", "authorization_details_types": { "payment": payment() } });
        assert_eq!(admin.post(RESOURCES, taken).await.refused(422, "resource_refused").json()["member"], "authorization_details_types");
        let api = |types: Value| json!({ "identifier": "https://two.example", "name": "Two", "authorization_details_types": types });
        let mut open = payment();
        open["members"]["payee"]["required"] = json!(false);
        let mut deep = payment();
        deep["members"]["amount"]["members"]["value"] = json!({ "kind": "object", "members": { "x": { "kind": "boolean" } } });
        let mut kind = payment();
        kind["members"]["payee"]["kind"] = json!("regex");
        let many: serde_json::Map<String, Value> = (0..21).map(|n| (format!("t{n}"), payment())).collect();
        for bad in
            [json!({ "a b": payment() }), json!({ "a": open }), json!({ "a": deep }), json!({ "a": kind }), json!(many), json!({ "a": {} })]
        {
            let answer = admin.post(RESOURCES, api(bad.clone())).await;
            assert!(answer.status == 400 || answer.status == 422, "{bad}: {} {}", answer.status, answer.text);
        }
        admin.post(RESOURCES, api(json!({ "https://two.example/transfer": payment() }))).await.is(201);
        for types in [json!(["nothing"]), json!(["https://two.example/transfer"]), json!(["a b"])] {
            let form = json!({ "redirect_uris": [CALLBACK], "resources": [BANK], "authorization_details_types": types });
            let refused = admin.post(CLIENTS, form).await.refused(422, "invalid_client_metadata").json();
            assert_eq!(refused["member"], "authorization_details_types", "{types}");
        }
        let made = admin.get(&format!("{CLIENTS}/{}", shop.id)).await.is(200).json();
        assert_eq!(made["authorization_details_types"], Value::Null);
    });
}
