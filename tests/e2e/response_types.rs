//! Response types besides `code` (OpenID Connect Core, 3.2, 3.3): what goes by the browser, where to, and what is behind it.
//!
//! The hashes are computed here, and the signatures are verified by a library of somebody else.

use std::collections::BTreeMap;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use crate::browser::{Browser, Page};
use crate::dpop::{code_form, jkt, post, proof, refresh_form};
use crate::exchange::introspected;
use crate::logouts::open;
use crate::message_signing::verified;
use crate::oidc::{CALLBACK, Shop, claims, client, logged_in, shop};
use crate::registration::{REGISTER, registration};
use crate::relying_party::{Key, RelyingParty};
use crate::request_objects;
use crate::resources::{ORDERS, api};
use crate::world::{World, in_world, in_world_with};

const CLIENTS: &str = "/admin/v1/tenants/acme/clients";
const METADATA: &str = "/t/acme/.well-known/openid-configuration";
const TOKEN: &str = "/t/acme/oauth/token";
const USERINFO: &str = "/t/acme/oauth/userinfo";
const PAR: &str = "/t/acme/oauth/par";
const TYPES: [&str; 5] = ["id_token", "id_token token", "code id_token", "code token", "code id_token token"];
/// The same with their words in other orders.
const TURNED: [&str; 5] = ["id_token", "token id_token", "id_token code", "token code", "token code id_token"];

/// The metadata of a client with these types, and `more`.
fn with(types: &[&str], more: Value) -> Value {
    let has = |word: &str| types.iter().any(|kind| kind.split(' ').any(|one| one == word));
    let mut grants = vec!["implicit"];
    grants.extend(has("code").then_some(["authorization_code", "refresh_token"]).into_iter().flatten());
    let mut metadata = json!({ "grant_types": grants, "response_types": types });
    metadata.as_object_mut().expect("an object").extend(more.as_object().expect("members").clone());
    metadata
}

/// Acme takes all types; a client of them.
async fn all(world: &World, more: Value) -> Shop {
    let shop = shop(world, with(&[&["code"], &TYPES[..]].concat(), more)).await;
    world.policy("acme", json!({ "response_types": TYPES })).await;
    shop
}

/// How an answer goes to the client, and what it says.
#[track_caller]
fn carried(page: &Page) -> (&'static str, BTreeMap<String, String>) {
    if page.status == 200 {
        let (action, fields) = page.form();
        assert_eq!(action, CALLBACK);
        return ("form_post", fields);
    }
    assert_eq!((page.header("cache-control"), page.header("referrer-policy")), ("no-store", "no-referrer"));
    let location = page.location();
    match location.split_once('#') {
        Some((address, fragment)) => {
            assert_eq!(address, CALLBACK, "nothing of it is in the query");
            ("fragment", url::form_urlencoded::parse(fragment.as_bytes()).into_owned().collect())
        }
        None => ("query", crate::oidc::told(page)),
    }
}

/// An answer that goes by `#`.
#[track_caller]
fn in_fragment(page: &Page) -> BTreeMap<String, String> {
    let (how, said) = carried(page);
    assert_eq!(how, "fragment", "{said:?}");
    said
}

/// What a signed answer says, besides whom it is for and until when; and how it goes.
async fn unsealed(world: &World, page: &Page, client: &str) -> (&'static str, BTreeMap<String, String>) {
    let (how, said) = carried(page);
    assert_eq!(said.keys().filter(|name| *name != "from").collect::<Vec<_>>(), ["response"], "nothing stands beside it");
    let Value::Object(claims) = verified(world, &said["response"], client, "RS256").await else { panic!("no claims") };
    assert!(claims["exp"].is_i64());
    let said = claims.into_iter().filter(|(name, _)| !["aud", "exp"].contains(&name.as_str()));
    (how, said.map(|(name, value)| (name, value.as_str().expect("a text").to_owned())).collect())
}

/// The left half of a SHA-256 (OpenID Connect Core, 3.1.3.6).
fn left_half(text: &str) -> Value {
    json!(URL_SAFE_NO_PAD.encode(&digest(&SHA256, text.as_bytes()).as_ref()[..16]))
}

async fn metadata(world: &World) -> Value {
    world.anon().get(METADATA).await.is(200).json()
}

async fn revoked(world: &World, shop: &Shop, token: &str) {
    let form = [("token", token), ("client_id", &shop.id), ("client_secret", &shop.secret)];
    world.anon().form("/t/acme/oauth/revoke", &form).await.is(200);
}

#[test]
fn s009_nothing_but_codes_is_given_before_the_tenant_and_the_client_want_it() {
    in_world(async |world| {
        let shop = shop(world, json!({})).await;
        let said = metadata(world).await;
        assert_eq!(said["response_types_supported"], json!(["code"]));
        assert_eq!(said["response_modes_supported"], json!(["query", "form_post", "query.jwt", "form_post.jwt", "jwt"]));
        assert!(!said["grant_types_supported"].as_array().expect("a list").contains(&json!("implicit")));

        // A client may be registered before.
        let eager = client(world, with(&["code", "id_token", "code token"], json!({}))).await;
        let mut browser = Browser::new(&world.base_url);
        let refusal = async |browser: &mut Browser, shop: &Shop, kind: &str| {
            let (how, said) = carried(&browser.get(&shop.request(&[("response_type", kind), ("prompt", "none")])).await);
            (how, said["error"].clone())
        };
        for kind in TYPES {
            for shop in [&shop, &eager] {
                assert_eq!(refusal(&mut browser, shop, kind).await, ("query", "unsupported_response_type".to_owned()), "{kind}");
            }
        }
        world.policy("acme", json!({ "response_types": ["token id_token", "id_token"] })).await;
        let said = metadata(world).await;
        assert_eq!(said["response_types_supported"], json!(["code", "id_token", "id_token token"]));
        let modes = json!(["query", "form_post", "query.jwt", "form_post.jwt", "jwt", "fragment", "fragment.jwt"]);
        assert_eq!(said["response_modes_supported"], modes);
        assert!(said["grant_types_supported"].as_array().expect("a list").contains(&json!("implicit")));
        assert_eq!(refusal(&mut browser, &shop, "id_token").await, ("query", "unauthorized_client".to_owned()));
        assert_eq!(refusal(&mut browser, &eager, "id_token").await, ("fragment", "login_required".to_owned()));
        assert_eq!(refusal(&mut browser, &eager, "token id_token").await, ("fragment", "unauthorized_client".to_owned()));
        assert_eq!(refusal(&mut browser, &eager, "code token").await, ("fragment", "unsupported_response_type".to_owned()));
        for never in ["token", "code code", "none", "id_token  token"] {
            assert_eq!(refusal(&mut browser, &eager, never).await.1, "unsupported_response_type", "{never}");
        }
        world
            .platform_admin()
            .patch("/admin/v1/tenants/acme", json!({ "policy": { "response_types": ["token"] } }))
            .await
            .refused(400, "bad_request");

        // What is switched off while a user logs in is given to nobody.
        let page = browser.get(&eager.request(&[("response_type", "id_token")])).await;
        let page = browser.follow(page).await.is(200);
        world.policy("acme", json!({ "response_types": [] })).await;
        let page = browser.submit(&page, &[("identifier", "alice"), ("password", crate::world::PASSWORD)]).await;
        let said = in_fragment(&browser.follow(page).await);
        assert_eq!(said["error"], "unsupported_response_type");
        let form = [("grant_type", "implicit"), ("client_id", &eager.id), ("client_secret", &eager.secret)];
        world.anon().form(TOKEN, &form).await.refused_oauth(400, "unsupported_grant_type");
        world.policy("acme", json!({ "response_types": TYPES })).await;
        world.anon().form(TOKEN, &form).await.refused_oauth(400, "unsupported_grant_type");
    });
}

#[test]
fn each_type_gives_what_it_says_in_each_mode_bound_together_by_hashes() {
    in_world(async |world| {
        let shop = all(world, json!({})).await;
        let by_curve = client(world, with(&TYPES, json!({ "id_token_signed_response_alg": "ES256" }))).await;
        let mut browser = Browser::new(&world.base_url);
        logged_in(&mut browser, &shop.request(&[])).await;
        let issuer = format!("{}/t/acme", world.base_url);
        for (at, (kind, turned)) in TYPES.into_iter().zip(TURNED).enumerate() {
            for (mode, how, is_signed) in [
                ("", "fragment", false),
                ("fragment", "fragment", false),
                ("form_post", "form_post", false),
                ("jwt", "fragment", true),
                ("fragment.jwt", "fragment", true),
                ("form_post.jwt", "form_post", true),
            ] {
                let (shop, alg) = if mode == "fragment" { (&by_curve, "ES256") } else { (&shop, "RS256") };
                let nonce = format!("n-{at}-{mode}");
                let wanted = [("response_type", turned), ("response_mode", mode), ("nonce", &nonce), ("prompt", "none")];
                let page = browser.get(&shop.request(&wanted)).await;
                let (carried, said) = if is_signed { unsealed(world, &page, &shop.id).await } else { carried(&page) };
                let has = |word: &str| kind.split(' ').any(|one| one == word);
                let mut names = vec!["iss", "state"];
                names.extend(has("code").then_some("code"));
                names.extend(has("id_token").then_some("id_token"));
                names.extend(has("token").then_some(["access_token", "expires_in", "scope", "token_type"]).into_iter().flatten());
                names.sort_unstable();
                assert_eq!((carried, said.keys().map(String::as_str).collect::<Vec<_>>()), (how, names), "{kind} by {mode}");
                assert_eq!((said["iss"].as_str(), said["state"].as_str()), (issuer.as_str(), "a state & more"));

                let mut session = None;
                if has("id_token") {
                    let id = verified(world, &said["id_token"], &shop.id, alg).await;
                    assert_eq!(id["at_hash"], said.get("access_token").map_or(Value::Null, |token| left_half(token)), "{kind}");
                    assert_eq!(id["c_hash"], said.get("code").map_or(Value::Null, |code| left_half(code)), "{kind}");
                    assert_eq!((&id["nonce"], &id["acr"]), (&json!(nonce), &json!("1")));
                    assert!(id["auth_time"].is_i64() && id["sid"].is_string());
                    // Who is given nothing to ask userinfo with is told at once.
                    assert_eq!(id["email"], if kind == "id_token" { json!("alice@acme.example") } else { Value::Null }, "{kind}");
                    session = Some(id["sid"].clone());
                }
                if has("token") {
                    let access = claims(&said["access_token"]);
                    assert_eq!((said["token_type"].as_str(), said["scope"].as_str()), ("Bearer", "email openid profile"));
                    assert!((1..=300).contains(&said["expires_in"].parse::<u32>().expect("seconds")), "{}", said["expires_in"]);
                    assert!(access["exp"].as_i64().expect("a time") - access["iat"].as_i64().expect("a time") <= 300);
                    assert_eq!((&access["client_id"], &access["auth_time"].is_i64()), (&json!(shop.id), &true));
                    assert_eq!(session.get_or_insert(access["sid"].clone()), &access["sid"]);
                    let info = world.bearing(&said["access_token"]).get(USERINFO).await.is(200);
                    assert_eq!(info.word("email"), "alice@acme.example");
                    let known = introspected(world, &said["access_token"]).await;
                    assert_eq!((&known["active"], &known["client_id"]), (&json!(true), &json!(shop.id)));
                }
                if has("code") {
                    let tokens = shop.redeem(world, &said["code"]).await.is(200);
                    let id = claims(&tokens.word("id_token"));
                    assert_eq!((&id["sid"], &id["nonce"]), (session.as_ref().expect("a session"), &json!(nonce)), "it is one session");
                    assert!(id.get("c_hash").is_none() && id.get("email").is_none());
                    shop.refresh(world, &tokens.word("refresh_token")).await.is(200);
                }
            }
        }
    });
}

#[test]
fn s013_s014_s034_refusals_go_where_the_answer_would() {
    in_world(async |world| {
        let shop = all(world, json!({})).await;
        let strict = client(world, with(&TYPES, json!({ "require_signed_authorization_response": true }))).await;
        let mut browser = Browser::new(&world.base_url);
        for kind in TYPES {
            let has = |word: &str| kind.split(' ').any(|one| one == word);
            let mut wrong = vec![
                (("prompt", "none"), "login_required"),
                (("response_mode", "query"), "invalid_request"),
                (("response_mode", "web_message"), "invalid_request"),
                (("prompt", "none login"), "invalid_request"),
            ];
            wrong.extend(has("id_token").then_some((("nonce", ""), "invalid_request")));
            wrong.extend(has("id_token").then_some((("scope", "email"), "invalid_scope")));
            wrong.extend(has("code").then_some((("code_challenge", ""), "invalid_request")));
            wrong.extend(has("token").then_some((("dpop_jkt", "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"), "invalid_request")));
            for (changed, error) in wrong {
                let said = in_fragment(&browser.get(&shop.request(&[("response_type", kind), changed])).await);
                assert_eq!((said["error"].as_str(), said["state"].as_str()), (error, "a state & more"), "{kind} {changed:?}");
                assert!(said.contains_key("iss") && !said.contains_key("code") && !said.contains_key("access_token"));
            }
            let page = browser.get(&shop.request(&[("response_type", kind), ("response_mode", "query.jwt"), ("prompt", "none")])).await;
            let (how, said) = unsealed(world, &page, &shop.id).await;
            assert_eq!((how, said["error"].as_str()), ("fragment", "invalid_request"), "{kind}");
            let page = browser.get(&shop.request(&[("response_type", kind), ("response_mode", "form_post"), ("prompt", "none")])).await;
            let (how, said) = carried(&page);
            assert_eq!((how, said["error"].as_str()), ("form_post", "login_required"), "{kind}");
            for mode in ["", "jwt", "fragment"] {
                let page = browser.get(&strict.request(&[("response_type", kind), ("response_mode", mode), ("prompt", "none")])).await;
                let (how, said) = unsealed(world, &page, &strict.id).await;
                let error = if mode == "fragment" { "invalid_request" } else { "login_required" };
                assert_eq!((how, said["error"].as_str()), ("fragment", error), "{kind} {mode}");
            }
            // Nobody is sent to an address of somebody else, whatever is wanted.
            let page = browser.get(&shop.request(&[("response_type", kind), ("redirect_uri", "https://evil.example/cb")])).await.is(400);
            assert!(page.text.contains("invalid_request"), "{}", page.text);
        }
        // The user says no.
        let page = browser.get(&shop.request(&[("response_type", "id_token token")])).await;
        let page = browser.follow(page).await.is(200);
        let said = in_fragment(&browser.submit(&page, &[("cancel", "1")]).await);
        assert_eq!(said["error"], "access_denied");
        // A code alone may go by a fragment as well, where the client has to look there anyhow.
        let page = logged_in(&mut browser, &shop.request(&[("response_mode", "fragment")])).await;
        let said = in_fragment(&page);
        assert_eq!(said.keys().collect::<Vec<_>>(), ["code", "iss", "state"]);
        shop.redeem(world, &said["code"]).await.is(200);
    });
}

#[test]
fn s035_somebody_elses_client_asks_before_tokens_go_by_the_browser() {
    in_world(async |world| {
        all(world, json!({})).await;
        let theirs = client(world, with(&TYPES, json!({ "consent": "third_party", "token_endpoint_auth_method": "none" }))).await;
        let mut browser = Browser::new(&world.base_url);
        for turn in 0..2 {
            let address = theirs.request(&[("response_type", "id_token token")]);
            let page = if turn == 0 { logged_in(&mut browser, &address).await } else { browser.get(&address).await };
            let page = browser.follow(page).await.is(200);
            assert!(page.text.contains("value=\"allow\""), "it asks each time: {}", page.text);
            let page = browser.submit(&page, &[("decision", "allow")]).await;
            let said = in_fragment(&browser.follow(page).await);
            assert!(said.contains_key("id_token") && said.contains_key("access_token"));
        }
        let silent = theirs.request(&[("response_type", "id_token token"), ("prompt", "none")]);
        assert_eq!(in_fragment(&browser.get(&silent).await)["error"], "consent_required");
    });
}

#[test]
fn tokens_by_the_browser_are_of_one_session_that_ends_like_others() {
    in_world_with(open, async |world| {
        let party = RelyingParty::start().await;
        let shop = all(world, json!({ "backchannel_logout_uri": format!("{}/bcl", party.url), "subject_type": "pairwise" })).await;
        let other = client(world, with(&TYPES, json!({}))).await;
        let mut browser = Browser::new(&world.base_url);
        let given = async |browser: &mut Browser, shop: &Shop, more: &[(&str, &str)]| {
            let more = [&[("response_type", "id_token token"), ("prompt", "none")][..], more].concat();
            in_fragment(&browser.get(&shop.request(&more)).await)
        };
        logged_in(&mut browser, &other.request(&[("response_type", "id_token")])).await;
        let first = given(&mut browser, &shop, &[]).await;
        let id = claims(&first["id_token"]);
        assert!(id["sub"].as_str().is_some_and(|sub| sub.starts_with("pws_")), "{id}");
        // An application that asks again and again makes no more sessions; one that asks for something else does.
        let again = given(&mut browser, &shop, &[]).await;
        assert_eq!(claims(&again["id_token"])["sid"], id["sid"]);
        let less = given(&mut browser, &shop, &[("scope", "openid")]).await;
        assert_ne!(claims(&less["id_token"])["sid"], id["sid"]);
        assert_ne!(claims(&given(&mut browser, &other, &[]).await["id_token"])["sid"], id["sid"]);
        let events = world.platform_admin().get("/admin/v1/tenants/acme/events?limit=100").await.is(200).json();
        let events: Vec<_> = events["items"].as_array().expect("a list").iter().map(|record| record["event"].clone()).collect();
        let is_ours = |event: &&Value| event["type"] == "front_channel_granted" && event["client_id"] == shop.id;
        let ours: Vec<_> = events.iter().filter(is_ours).collect();
        assert_eq!((ours.len(), &ours[0]["response_type"]), (2, &json!("id_token token")));
        assert!(!json!(events).to_string().contains(&first["access_token"]));

        // Its client ends it, and no other.
        revoked(world, &other, &first["access_token"]).await;
        assert_eq!(introspected(world, &first["access_token"]).await["active"], true);
        revoked(world, &shop, &first["access_token"]).await;
        for token in [&first["access_token"], &again["access_token"]] {
            assert_eq!(introspected(world, token).await, json!({ "active": false }));
            world.bearing(token).get(USERINFO).await.is(401);
        }
        let anew = given(&mut browser, &shop, &[]).await;
        assert_ne!(claims(&anew["id_token"])["sid"], id["sid"], "what has ended does not go on");

        // s067: an ID token that came by the browser names its user; the client is told of the end of its session by the same name.
        browser.get(&format!("/t/acme/oauth/end_session?id_token_hint={}", anew["id_token"])).await.is(200);
        let posted = party.posted(2).await;
        let told: Vec<_> = posted.iter().map(|(_, body)| claims(body.split_once('=').expect("a form").1)["sid"].clone()).collect();
        assert!(told.contains(&claims(&anew["id_token"])["sid"]) && told.contains(&claims(&less["id_token"])["sid"]), "{told:?}");
        world.bearing(&anew["access_token"]).get(USERINFO).await.is(401);
        assert_eq!(given(&mut browser, &shop, &[]).await["error"], "login_required");
    });
}

#[test]
fn s057_s058_the_second_use_of_a_code_ends_the_token_beside_it_too() {
    in_world(async |world| {
        let shop = all(world, json!({})).await;
        let mut browser = Browser::new(&world.base_url);
        logged_in(&mut browser, &shop.request(&[])).await;
        let given = async |browser: &mut Browser, shop: &Shop| {
            in_fragment(&browser.get(&shop.request(&[("response_type", "code token"), ("prompt", "none")])).await)
        };
        let said = given(&mut browser, &shop).await;
        let tokens = shop.redeem(world, &said["code"]).await.is(200);
        let own = tokens.word("access_token");
        for token in [&said["access_token"], &own] {
            assert_eq!(introspected(world, token).await["active"], true);
        }
        shop.redeem(world, &said["code"]).await.refused_oauth(400, "invalid_grant");
        for token in [&said["access_token"], &own] {
            assert_eq!(introspected(world, token).await["active"], false);
        }
        shop.refresh(world, &tokens.word("refresh_token")).await.refused_oauth(400, "invalid_grant");

        // And the other way: who has ended the one has ended the other.
        let said = given(&mut browser, &shop).await;
        revoked(world, &shop, &said["access_token"]).await;
        shop.redeem(world, &said["code"]).await.refused_oauth(400, "invalid_grant");
    });
}

#[test]
fn s100_what_a_public_client_redeems_a_code_for_is_bound_to_its_key_whatever_came_beside_the_code() {
    in_world(async |world| {
        let types = ["code id_token", "code token", "code id_token token"];
        let shop = all(world, json!({})).await;
        let public = client(world, with(&types, json!({ "token_endpoint_auth_method": "none" }))).await;
        let mut browser = Browser::new(&world.base_url);
        logged_in(&mut browser, &shop.request(&[])).await;
        for kind in types {
            let page = browser.get(&public.request(&[("response_type", kind), ("prompt", "none")])).await;
            let said = in_fragment(&page);
            let (key, thief) = (Key::new("1"), Key::new("1"));
            let by = |key: &Key| [proof(world, key, "POST", TOKEN, json!({}))];
            let tokens = post(world, TOKEN, &code_form(&public, &said["code"]), &by(&key)).await.is(200);
            assert_eq!(tokens.word("token_type"), "DPoP", "{kind}");
            assert_eq!(claims(&tokens.word("access_token"))["cnf"]["jkt"], jkt(&key), "{kind}");

            let refresh = tokens.word("refresh_token");
            post(world, TOKEN, &refresh_form(&public, &refresh), &[]).await.refused_oauth(400, "invalid_grant");
            post(world, TOKEN, &refresh_form(&public, &refresh), &by(&thief)).await.refused_oauth(400, "invalid_grant");
            let again = post(world, TOKEN, &refresh_form(&public, &refresh), &by(&key)).await.is(200);
            assert_eq!(claims(&again.word("access_token"))["cnf"]["jkt"], jkt(&key), "{kind}");

            // The token that came by the browser is bound to nothing, as before.
            if let Some(beside) = said.get("access_token") {
                world.bearing(beside).get(USERINFO).await.is(200);
                assert_eq!(claims(beside)["cnf"], Value::Null);
            }
            // Nobody gets a second session out of it, with whatever key: what began with the code ends.
            post(world, TOKEN, &code_form(&public, &said["code"]), &by(&thief)).await.refused_oauth(400, "invalid_grant");
            post(world, TOKEN, &refresh_form(&public, &again.word("refresh_token")), &by(&key)).await.refused_oauth(400, "invalid_grant");
        }

        // Who proves nothing is bound to nothing; and a key that the request named has to be proved.
        let page = browser.get(&public.request(&[("response_type", "code id_token"), ("prompt", "none")])).await;
        let tokens = post(world, TOKEN, &code_form(&public, &in_fragment(&page)["code"]), &[]).await.is(200);
        post(world, TOKEN, &refresh_form(&public, &tokens.word("refresh_token")), &[]).await.is(200);
        let key = Key::new("1");
        let wanted = [("response_type", "code id_token"), ("prompt", "none"), ("dpop_jkt", &jkt(&key))];
        let said = in_fragment(&browser.get(&public.request(&wanted)).await);
        post(world, TOKEN, &code_form(&public, &said["code"]), &[]).await.refused_oauth(400, "invalid_grant");
        let said = in_fragment(&browser.get(&public.request(&wanted)).await);
        let tokens = post(world, TOKEN, &code_form(&public, &said["code"]), &[proof(world, &key, "POST", TOKEN, json!({}))]).await.is(200);
        post(world, TOKEN, &refresh_form(&public, &tokens.word("refresh_token")), &[]).await.refused_oauth(400, "invalid_grant");
    });
}

#[test]
fn a_token_by_the_browser_is_for_the_apis_that_were_asked_for_and_a_request_may_be_pushed_or_signed() {
    in_world(async |world| {
        let key = Key::new("1");
        let shop = all(world, json!({})).await;
        api(world, json!({ "identifier": ORDERS, "name": "Orders", "scope": "orders:read" })).await.is(201);
        let trader = client(
            world,
            with(&TYPES, json!({ "resources": [ORDERS], "scope": "openid orders:read offline_access", "jwks": { "keys": [key.jwk()] } })),
        )
        .await;
        let mut browser = Browser::new(&world.base_url);
        logged_in(&mut browser, &shop.request(&[])).await;
        let wanted =
            [("response_type", "id_token token"), ("prompt", "none"), ("scope", "openid orders:read offline_access"), ("resource", ORDERS)];
        let said = in_fragment(&browser.get(&trader.request(&wanted)).await);
        let access = claims(&said["access_token"]);
        assert_eq!((&access["aud"], &access["scope"], said["scope"].as_str()), (&json!(ORDERS), &json!("orders:read"), "orders:read"));

        let parameters =
            url::Url::parse(&format!("https://x.example{}", shop.request(&[("response_type", "code id_token")]))).expect("an address");
        let mut form: Vec<_> = parameters.query_pairs().into_owned().collect();
        form.push(("client_secret".to_owned(), shop.secret.clone()));
        let form: Vec<_> = form.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let uri = world.anon().form(PAR, &form).await.is(201).word("request_uri");
        let query =
            url::form_urlencoded::Serializer::new(String::new()).extend_pairs([("client_id", &shop.id), ("request_uri", &uri)]).finish();
        let said = in_fragment(&browser.get(&format!("/t/acme/oauth/authorize?{query}")).await);
        assert_eq!(said.keys().collect::<Vec<_>>(), ["code", "id_token", "iss", "state"]);
        shop.redeem(world, &said["code"]).await.is(200);
        let again = browser.get(&format!("/t/acme/oauth/authorize?{query}")).await.is(400);
        assert!(again.text.contains("invalid_request_uri"), "{}", again.text);

        let object = request_objects::object(world, &trader, &json!({ "response_type": "id_token", "prompt": "none", "scope": "openid" }));
        let signed = key.sign_raw(request_objects::HEADER, &object.to_string());
        let page = browser.get(&trader.request(&[("request", &signed), ("response_type", "")])).await;
        assert_eq!(in_fragment(&page).keys().collect::<Vec<_>>(), ["id_token", "iss", "state"]);
    });
}

#[test]
fn s066_an_id_token_by_the_browser_is_encrypted_where_the_client_wants_that() {
    in_world(async |world| {
        let jwks = crate::encryption::jwks();
        let shop = all(world, json!({ "jwks": jwks, "id_token_encrypted_response_alg": "ECDH-ES" })).await;
        let mut browser = Browser::new(&world.base_url);
        let said = in_fragment(&logged_in(&mut browser, &shop.request(&[("response_type", "code id_token token")])).await);
        let header = said["id_token"].split('.').next().expect("a header");
        let header: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(header).expect("base64url")).expect("JSON");
        assert_eq!((said["id_token"].split('.').count(), &header["cty"], &header["alg"]), (5, &json!("JWT"), &json!("ECDH-ES")));
        assert_eq!(said["access_token"].split('.').count(), 3);
    });
}

#[test]
fn s117_s122_types_and_grants_are_registered_together_by_whom_the_tenant_lets() {
    in_world(async |world| {
        shop(world, json!({})).await;
        let admin = world.platform_admin();
        for (wrong, member) in [
            (with(&["id_token"], json!({ "grant_types": ["authorization_code"] })), "response_types"),
            (with(&["code"], json!({ "grant_types": ["authorization_code", "implicit"] })), "response_types"),
            (with(&["token"], json!({})), "response_types"),
            (with(&["id_token"], json!({ "grant_types": ["implicit", "refresh_token"] })), "grant_types"),
            (with(&["id_token"], json!({ "redirect_uris": ["http://127.0.0.1/cb"] })), "redirect_uris"),
            (with(&["id_token"], json!({ "redirect_uris": ["https://localhost/cb"] })), "redirect_uris"),
            (with(&["id_token token"], json!({ "dpop_bound_access_tokens": true })), "response_types"),
            (with(&["code id_token"], json!({ "profile": "fapi2", "jwks": { "keys": [] } })), "response_types"),
        ] {
            let mut form = json!({ "redirect_uris": [CALLBACK] });
            form.as_object_mut().expect("an object").extend(wrong.as_object().expect("members").clone());
            let code = if member == "redirect_uris" { "invalid_redirect_uri" } else { "invalid_client_metadata" };
            let refused = admin.post(CLIENTS, form.clone()).await.refused(422, code).json();
            assert_eq!(refused["member"], member, "{form}");
        }
        registration(world, json!({ "access": "open" })).await;
        let mut form = with(&["token id_token", "id_token"], json!({ "redirect_uris": [CALLBACK], "token_endpoint_auth_method": "none" }));
        let refused = world.anon().post(REGISTER, form.clone()).await.refused_oauth(400, "invalid_client_metadata");
        assert!(refused.word("error_description").starts_with("response_types"), "{}", refused.text);
        world.policy("acme", json!({ "response_types": ["id_token", "id_token token"] })).await;
        let made = world.anon().post(REGISTER, form.clone()).await.is(201).json();
        assert_eq!((&made["response_types"], &made["grant_types"]), (&json!(["id_token", "id_token token"]), &json!(["implicit"])));
        form["response_types"] = json!(["code id_token"]);
        form["grant_types"] = json!(["authorization_code", "implicit"]);
        world.anon().post(REGISTER, form).await.refused_oauth(400, "invalid_client_metadata");
    });
}
