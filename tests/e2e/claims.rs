//! The claims that a tenant makes itself, and those that clients ask for by name: where they are told, when, and to whom.

use serde_json::{Map, Value, json};

use crate::browser::Browser;
use crate::oidc::{Shop, claims, client, code, logged_in, shop, told};
use crate::resources::{ORDERS, asked, market};
use crate::world::{Answer, PASSWORD, World, in_world};

const CLAIMS: &str = "/admin/v1/tenants/acme/claims";
const PREVIEW: &str = "/admin/v1/tenants/acme/claims/preview";
const USERINFO: &str = "/t/acme/oauth/userinfo";

async fn set(world: &World, rules: Value) {
    world.platform_admin().put(CLAIMS, json!({ "rules": rules })).await.is(200);
}

/// The id of acme's first user.
async fn alice(world: &World) -> String {
    let page = world.platform_admin().get("/admin/v1/tenants/acme/users?limit=1").await.is(200).json();
    page["items"][0]["id"].as_str().expect("an id").to_owned()
}

/// What acme says of alice from now on.
async fn change(world: &World, patch: Value) {
    world.platform_admin().patch(&format!("/admin/v1/tenants/acme/users/{}", alice(world).await), patch).await.is(200);
}

async fn tokens(world: &World, shop: &Shop, more: &[(&str, &str)]) -> Answer {
    let mut browser = Browser::new(&world.base_url);
    let code = code(&mut browser, shop, more).await;
    shop.redeem(world, &code).await.is(200)
}

async fn userinfo(world: &World, tokens: &Answer) -> Value {
    world.bearing(&tokens.word("access_token")).get(USERINFO).await.is(200).json()
}

/// Access token, ID token and userinfo.
async fn all(world: &World, tokens: &Answer) -> [Value; 3] {
    [claims(&tokens.word("access_token")), claims(&tokens.word("id_token")), userinfo(world, tokens).await]
}

#[test]
fn rules_are_kept_as_they_were_set_and_what_will_not_do_changes_nothing() {
    in_world(async |world| {
        world.tenant("acme").await;
        let admin = world.platform_admin();
        assert_eq!(admin.get(CLAIMS).await.is(200).json(), json!({ "rules": [] }));
        let rules = json!([
            { "claim": "department", "from": { "attribute": "department" }, "into": ["access_token", "id_token"], "when": { "scope": "hr" } },
            { "claim": "https://acme.example/groups", "from": { "roles": true }, "into": ["userinfo"] },
            { "claim": "tier", "from": { "constant": { "level": 2 } }, "into": ["access_token"] },
        ]);
        assert_eq!(admin.put(CLAIMS, json!({ "rules": rules })).await.is(200).json(), json!({ "rules": rules }));
        assert_eq!(admin.get(CLAIMS).await.is(200).json(), json!({ "rules": rules }));
        assert_eq!(admin.get("/admin/v1/tenants/acme").await.is(200).json()["policy"]["claims"]["rules"], rules);

        let one = |claim: &str, from: Value| json!([{ "claim": claim, "from": from, "into": ["access_token"] }]);
        for (wrong, member) in [
            (one("sub", json!({ "constant": "usr_x" })), "rules[0].claim"),
            (one("CNF", json!({ "constant": {} })), "rules[0].claim"),
            (one("roles", json!({ "roles": true })), "rules[0].claim"),
            (one("x", json!({ "attribute": "exp" })), "rules[0].from.attribute"),
        ] {
            let refused = admin.put(CLAIMS, json!({ "rules": wrong })).await.refused(422, "claim_rule_refused");
            assert_eq!(refused.word("member"), member, "{}", refused.text);
            // The policy takes no others either, nor a new tenant.
            let policy = json!({ "policy": { "claims": { "rules": wrong } } });
            admin.patch("/admin/v1/tenants/acme", policy).await.refused(422, "claim_rule_refused");
            let new = json!({ "slug": "globex", "name": "Globex", "policy": { "claims": { "rules": wrong } } });
            admin.post("/admin/v1/tenants", new).await.refused(422, "claim_rule_refused");
        }
        let refused = admin.put(CLAIMS, json!({ "rules": one("sub", json!({ "constant": 1 })) })).await;
        assert!(refused.word("detail").contains("reserved are iss, sub, aud,"), "{}", refused.text);
        for unreadable in [json!({}), json!([]), json!({ "rules": {} }), json!({ "rules": one("x", json!({ "script": "1" })) })] {
            admin.put(CLAIMS, unreadable).await.refused(400, "bad_request");
        }
        assert_eq!(admin.get(CLAIMS).await.is(200).json(), json!({ "rules": rules }));

        let events = admin.get("/admin/v1/tenants/acme/events").await.is(200).json();
        let changes: Vec<_> = events["items"].as_array().expect("items").iter().map(|entry| &entry["event"]).collect();
        assert_eq!(changes[0], &json!({ "type": "claim_rules_changed", "rules": 3 }), "{events}");
        assert_eq!(changes.iter().filter(|event| event["type"] == "claim_rules_changed").count(), 1);
    });
}

#[test]
fn a_claim_goes_where_its_rule_says_survives_a_refresh_and_follows_the_user() {
    in_world(async |world| {
        let shop = shop(world, json!({})).await;
        change(
            world,
            json!({
                "roles": ["clerk"],
                "claims": { "department": "sales", "given_name": "Alice", "family_name": "Archer", "plan": "gold" },
            }),
        )
        .await;
        set(
            world,
            json!([
                { "claim": "dept", "from": { "attribute": "department" }, "into": ["access_token", "id_token", "userinfo"] },
                { "claim": "name", "from": { "template": "{given_name} {family_name}" }, "into": ["id_token", "userinfo"] },
                { "claim": "roles", "from": { "roles": true }, "into": ["id_token", "userinfo"] },
                { "claim": "groups", "from": { "roles": true }, "into": ["access_token"] },
                { "claim": "tier", "from": { "constant": 2 }, "into": ["access_token"] },
                { "claim": "email", "from": { "attribute": "email" }, "into": ["id_token"] },
            ]),
        )
        .await;
        let first = tokens(world, &shop, &[]).await;
        let [access, id, info] = all(world, &first).await;
        assert_eq!((&access["dept"], &access["groups"], &access["tier"]), (&json!("sales"), &json!(["clerk"]), &json!(2)));
        assert_eq!((access.get("name"), &access["plan"]), (None, &json!("gold")), "a user's own claims are there as before");
        assert_eq!((&id["dept"], &id["name"], &id["roles"]), (&json!("sales"), &json!("Alice Archer"), &json!(["clerk"])));
        assert_eq!((&id["email"], id.get("tier")), (&json!("alice@acme.example"), None));
        assert_eq!((&info["dept"], &info["name"], &info["roles"]), (&json!("sales"), &json!("Alice Archer"), &json!(["clerk"])));
        assert_eq!((&info["given_name"], info.get("tier")), (&json!("Alice"), None));
        let introspected =
            world.platform_admin().form("/t/acme/oauth/introspect", &[("token", &first.word("access_token"))]).await.is(200).json();
        assert_eq!((&introspected["active"], &introspected["dept"], &introspected["sub"]), (&json!(true), &json!("sales"), &access["sub"]));

        // What changes about the user is in the next token; half a name is none.
        change(world, json!({ "roles": ["boss"], "claims": { "department": "board", "given_name": "Alice" } })).await;
        let second = shop.refresh(world, &first.word("refresh_token")).await.is(200);
        let [access, id, info] = all(world, &second).await;
        assert_eq!((&access["dept"], &access["groups"], access.get("plan")), (&json!("board"), &json!(["boss"]), None));
        assert_eq!((&id["dept"], id.get("name"), &id["roles"]), (&json!("board"), None, &json!(["boss"])));
        assert_eq!((&info["dept"], info.get("name")), (&json!("board"), None));

        // So is what changes about the rules: at once, at a refresh.
        set(world, json!([{ "claim": "unit", "from": { "attribute": "department" }, "into": ["access_token"] }])).await;
        world.policy("acme", json!({ "claims": { "custom": false } })).await;
        let third = shop.refresh(world, &second.word("refresh_token")).await.is(200);
        let access = claims(&third.word("access_token"));
        assert_eq!((&access["unit"], access.get("dept"), access.get("department")), (&json!("board"), None, None), "{access}");
        let fourth = shop.refresh(world, &third.word("refresh_token")).await.is(200);
        assert_eq!(claims(&fourth.word("id_token")).get("roles"), None);
    });
}

#[test]
fn a_rule_counts_for_the_scope_the_api_and_the_client_that_it_names() {
    in_world(async |world| {
        let shop = market(world, json!({ "grant_types": ["authorization_code", "refresh_token", "client_credentials"] })).await;
        let other = client(world, json!({})).await;
        change(world, json!({ "claims": { "department": "sales" } })).await;
        set(
            world,
            json!([
                { "claim": "dept", "from": { "attribute": "department" }, "into": ["access_token"], "when": { "audience": ORDERS } },
                { "claim": "may", "from": { "permissions": true }, "into": ["access_token"] },
                { "claim": "writes", "from": { "constant": true }, "into": ["access_token"], "when": { "scope": "orders:write" } },
                { "claim": "greeting", "from": { "constant": "hello" }, "into": ["id_token"] },
                { "claim": "greeting", "from": { "template": "hello {username}" }, "into": ["id_token"], "when": { "client": shop.id } },
                { "claim": "department", "from": { "attribute": "department" }, "into": ["access_token"], "when": { "scope": "other" } },
            ]),
        )
        .await;
        let both = crate::resources::code(world, &shop, "openid orders:read stock:read", &[ORDERS, crate::resources::STOCK]).await;
        let both = shop.redeem(world, &both).await.is(200);
        let access = claims(&both.word("access_token"));
        assert_eq!((&access["dept"], access.get("may"), access.get("writes")), (&json!("sales"), None, None), "{access}");
        assert_eq!(access.get("department"), None, "a rule is about it, and the scope was not granted");
        assert_eq!(claims(&both.word("id_token"))["greeting"], "hello alice");
        let refresh = |token: String, resource: &'static str| {
            let shop = &shop;
            async move { asked(world, shop, &[("grant_type", "refresh_token"), ("refresh_token", &token)], &[resource]).await.is(200) }
        };
        let orders = refresh(both.word("refresh_token"), ORDERS).await;
        let access = claims(&orders.word("access_token"));
        assert_eq!(
            (&access["dept"], &access["may"], &access["permissions"]),
            (&json!("sales"), &json!(["orders:list"]), &json!(["orders:list"]))
        );
        let stock = refresh(orders.word("refresh_token"), crate::resources::STOCK).await;
        assert_eq!(claims(&stock.word("access_token")).get("dept"), None);

        // For itself a client has no user to tell of, but what is the same for all.
        let form = [("grant_type", "client_credentials"), ("scope", "orders:read orders:write")];
        let own = claims(&asked(world, &shop, &form, &[ORDERS]).await.is(200).word("access_token"));
        assert_eq!((&own["writes"], own.get("dept"), own.get("may")), (&json!(true), None, None), "{own}");

        let theirs = tokens(world, &other, &[]).await;
        assert_eq!(claims(&theirs.word("id_token"))["greeting"], "hello");
    });
}

#[test]
fn s109_claims_that_are_asked_for_by_name_are_told_with_the_values_that_were_wanted() {
    in_world(async |world| {
        let shop = shop(world, json!({})).await;
        change(
            world,
            json!({ "claims": {
            "given_name": "Alice", "locale": "de", "zoneinfo": "Europe/Zurich", "phone_number": "+41 1", "department": "sales",
        } }),
        )
        .await;
        set(world, json!([{ "claim": "nickname", "from": { "attribute": "department" }, "into": ["id_token", "userinfo"] }])).await;
        let wishes = json!({
            "id_token": { "given_name": { "essential": true }, "locale": { "value": "de" }, "zoneinfo": { "values": ["Europe/Bern"] }, "nickname": null, "auth_time": { "essential": true } },
            "userinfo": { "phone_number": null, "locale": { "values": ["fr", "de"] }, "zoneinfo": { "value": "Europe/Bern" }, "department": null, "birthdate": { "essential": true } },
            "elsewhere": {},
        })
        .to_string();
        let asked = tokens(world, &shop, &[("scope", "openid"), ("claims", &wishes)]).await;
        for tokens in [&asked, &shop.refresh(world, &asked.word("refresh_token")).await.is(200)] {
            let [_, id, info] = all(world, tokens).await;
            assert_eq!((&id["given_name"], &id["locale"], id.get("zoneinfo")), (&json!("Alice"), &json!("de"), None), "{id}");
            assert_eq!((&id["nickname"], id.get("phone_number"), id["auth_time"].is_i64()), (&json!("sales"), None, true), "{id}");
            assert_eq!((&info["phone_number"], &info["locale"], info.get("zoneinfo")), (&json!("+41 1"), &json!("de"), None), "{info}");
            assert_eq!((info.get("department"), info.get("birthdate"), info.get("nickname")), (None, None, None), "{info}");
        }
        // A scope opens a claim whatever else was wanted of it.
        let wish = json!({ "userinfo": { "zoneinfo": { "value": "Europe/Bern" } } }).to_string();
        let info = userinfo(world, &tokens(world, &shop, &[("claims", &wish)]).await).await;
        assert_eq!((&info["zoneinfo"], &info["nickname"], info.get("phone_number")), (&json!("Europe/Zurich"), &json!("sales"), None));
    });
}

#[test]
fn s109_a_name_opens_no_more_than_a_client_is_registered_for_and_its_user_has_allowed() {
    in_world(async |world| {
        let shop = shop(world, json!({ "scope": "openid email", "consent": "third_party" })).await;
        change(world, json!({ "claims": { "phone_number": "+41 1" } })).await;
        let mut browser = Browser::new(&world.base_url);
        let page = logged_in(&mut browser, &shop.request(&[("scope", "openid")])).await.is(200);
        let page = browser.submit(&page, &[("decision", "allow")]).await;
        assert!(told(&browser.follow(page).await).contains_key("code"));
        assert!(told(&browser.get(&shop.request(&[("scope", "openid"), ("prompt", "none")])).await).contains_key("code"), "allowed before");

        let wishes = json!({ "userinfo": { "email": null, "phone_number": null } }).to_string();
        let request = |prompt| shop.request(&[("scope", "openid"), ("claims", &wishes), ("prompt", prompt)]);
        assert_eq!(told(&browser.get(&request("none")).await)["error"], "consent_required", "the address is new");
        let page = browser.get(&request("")).await;
        let page = browser.follow(page).await.is(200);
        let page = browser.submit(&page, &[("decision", "allow")]).await;
        let answer = told(&browser.follow(page).await);
        let info = userinfo(world, &shop.redeem(world, &answer["code"]).await.is(200)).await;
        assert_eq!((&info["email"], info.get("phone_number")), (&json!("alice@acme.example"), None), "{info}");
        assert!(told(&browser.get(&request("none")).await).contains_key("code"), "remembered");
        let events = world.platform_admin().get("/admin/v1/tenants/acme/events").await.is(200).json();
        let given =
            events["items"].as_array().expect("items").iter().find(|entry| entry["event"]["type"] == "consent_given").expect("an event");
        assert_eq!(given["event"]["scope"], "email openid");
    });
}

#[test]
fn a_sub_among_the_claims_is_the_name_that_the_client_itself_knows() {
    in_world(async |world| {
        let public = shop(world, json!({})).await;
        let pairwise = client(world, json!({ "subject_type": "pairwise" })).await;
        let mut browser = Browser::new(&world.base_url);
        let mut sub_of = async |shop: &Shop| {
            let code = code(&mut browser, shop, &[("prompt", "login")]).await;
            claims(&shop.redeem(world, &code).await.is(200).word("id_token"))["sub"].clone()
        };
        let (id, name) = (sub_of(&public).await, sub_of(&pairwise).await);
        assert_ne!(id, name);
        let bob = world.user("acme", "bob", &[]).await;
        let nobody = "usr_01890000000000000000000000";
        for (shop, wish, is_there) in [
            (&public, json!({ "value": id }), true),
            (&public, json!({ "values": [nobody, bob, id] }), true),
            (&public, json!({ "values": [nobody, bob] }), false),
            (&public, json!({ "value": name }), false),
            (&public, json!({ "value": 7 }), false),
            (&public, json!({ "essential": true }), true),
            (&pairwise, json!({ "value": name }), true),
            (&pairwise, json!({ "value": id }), false),
            (&pairwise, json!({ "values": [bob, name] }), true),
        ] {
            let wishes = json!({ "id_token": { "sub": wish } }).to_string();
            let answer = told(&browser.get(&shop.request(&[("claims", &wishes), ("prompt", "none")])).await);
            match is_there {
                true => assert!(answer.contains_key("code"), "{wishes}: {answer:?}"),
                false => assert_eq!(answer["error"], "login_required", "{wishes}"),
            }
        }
        // Somebody else who logs in is not taken for the one who was asked for.
        let wishes = json!({ "id_token": { "sub": { "value": bob } } }).to_string();
        let answer = told(&logged_in(&mut Browser::new(&world.base_url), &public.request(&[("claims", &wishes)])).await);
        assert_eq!(answer["error"], "login_required");
        let hint = sub_hint(world, &public).await;
        let answer = told(&browser.get(&public.request(&[("claims", &wishes), ("id_token_hint", &hint)])).await);
        assert_eq!(answer["error"], "invalid_request", "hint and claims name different users");
        for (acr, error) in [("1", None), ("2", Some("unmet_authentication_requirements"))] {
            let wishes = json!({ "id_token": { "acr": { "essential": true, "values": [acr] } } }).to_string();
            let answer = told(&browser.get(&public.request(&[("claims", &wishes), ("prompt", "none")])).await);
            assert_eq!(answer.get("error").map(String::as_str), error, "{acr}");
        }
    });
}

async fn sub_hint(world: &World, shop: &Shop) -> String {
    tokens(world, shop, &[]).await.word("id_token")
}

/// Without what is new with each token.
fn lasting(claims: &Value) -> Map<String, Value> {
    let mut claims = claims.as_object().expect("claims").clone();
    claims.retain(|name, _| !["jti", "sid", "iat", "nbf", "exp", "auth_time", "at_hash", "nonce"].contains(&name.as_str()));
    claims
}

#[test]
fn a_preview_says_what_is_issued_and_issues_nothing() {
    in_world(async |world| {
        let shop = market(
            world,
            json!({ "subject_type": "pairwise", "grant_types": ["authorization_code", "refresh_token", "client_credentials"] }),
        )
        .await;
        change(world, json!({ "claims": { "department": "sales", "given_name": "Alice" } })).await;
        let rules = json!([
            { "claim": "dept", "from": { "attribute": "department" }, "into": ["access_token", "id_token", "userinfo"] },
            { "claim": "groups", "from": { "roles": true }, "into": ["access_token"], "when": { "scope": "orders:read" } },
        ]);
        let alice = alice(world).await;
        let admin = world.platform_admin();
        let preview = async |more: Value| {
            let mut form = json!({ "user": alice, "client": shop.id, "scope": "openid profile admin" });
            form.as_object_mut().expect("members").extend(more.as_object().expect("members").clone());
            form.as_object_mut().expect("members").retain(|_, value| !value.is_null());
            admin.post(PREVIEW, form).await
        };
        let unsaved = preview(json!({ "rules": rules })).await.is(200).json();
        assert_eq!(admin.get(CLAIMS).await.is(200).json(), json!({ "rules": [] }), "looking changes nothing");
        set(world, rules.clone()).await;
        let saved = preview(json!({})).await.is(200).json();
        for part in ["access_token", "id_token"] {
            assert_eq!(lasting(&unsaved[part]), lasting(&saved[part]), "{part}");
        }
        let issued = tokens(world, &shop, &[("scope", "openid profile")]).await;
        let [access, id, info] = all(world, &issued).await;
        assert_eq!(lasting(&saved["access_token"]), lasting(&access));
        assert_eq!(lasting(&saved["id_token"]), lasting(&id));
        assert_eq!(saved["userinfo"], info);
        let life = |claims: &Value| claims["exp"].as_i64().zip(claims["iat"].as_i64()).map(|(exp, iat)| exp - iat);
        assert_eq!(life(&saved["access_token"]), life(&access));
        assert_eq!(saved["left_out"], json!({ "access_token": [], "id_token": [], "userinfo": [] }));

        // For an API, with wishes, for the client itself.
        let wishes = json!({ "id_token": { "given_name": null } });
        let orders = preview(json!({ "scope": "openid orders:read", "audience": [ORDERS], "claims": wishes })).await.is(200).json();
        let code = crate::resources::code(world, &shop, "openid orders:read", &[ORDERS]).await;
        let real = claims(&shop.redeem(world, &code).await.is(200).word("access_token"));
        assert_eq!(lasting(&orders["access_token"]), lasting(&real));
        assert_eq!(
            (&orders["access_token"]["groups"], &orders["id_token"]["given_name"], &orders["userinfo"]),
            (&json!(["clerk"]), &json!("Alice"), &json!(null))
        );
        let own = preview(json!({ "user": null, "scope": "openid orders:read", "audience": [ORDERS] })).await.is(200).json();
        let form = [("grant_type", "client_credentials"), ("scope", "orders:read")];
        assert_eq!(
            lasting(&own["access_token"]),
            lasting(&claims(&asked(world, &shop, &form, &[ORDERS]).await.is(200).word("access_token")))
        );
        assert_eq!((&own["id_token"], &own["userinfo"]), (&json!(null), &json!(null)));
        let first_party = preview(json!({ "client": "first-party", "scope": "account" })).await.is(200).json();
        let login = world.login("acme", "alice", PASSWORD).await.is(200);
        assert_eq!(lasting(&first_party["access_token"]), lasting(&claims(&login.word("access_token"))));

        // Another tenant's things are none.
        world.tenant("globex").await;
        let theirs = world.user("globex", "gus", &[]).await;
        for wrong in [
            json!({ "user": theirs }),
            json!({ "user": "usr_01890000000000000000000000" }),
            json!({ "client": "cli_01890000000000000000000000" }),
        ] {
            preview(wrong).await.refused(404, "not_found");
        }
        preview(json!({ "rules": [{ "claim": "sub", "from": { "constant": 1 }, "into": ["id_token"] }] }))
            .await
            .refused(422, "claim_rule_refused");
        for wrong in [
            json!({ "audience": ["https://nowhere.example"] }),
            json!({ "claims": { "userinfo": 1 } }),
            json!({ "scope": "a\"b" }),
            json!({ "colour": "red" }),
        ] {
            preview(wrong).await.refused(400, "bad_request");
        }

        let sessions = admin.get(&format!("/admin/v1/tenants/acme/users/{alice}/sessions")).await.is(200).json();
        assert_eq!(sessions["items"].as_array().map(Vec::len), Some(3), "those that were really begun: {sessions}");
        let events = admin.get("/admin/v1/tenants/acme/events?limit=200").await.is(200).json();
        let looked: Vec<_> =
            events["items"].as_array().expect("items").iter().filter(|entry| entry["event"]["type"] == "claims_previewed").collect();
        assert_eq!(looked.len(), 5, "{events}");
        assert_eq!(looked[4]["event"], json!({ "type": "claims_previewed", "user_id": alice, "client_id": shop.id }));
    });
}

#[test]
fn r72_a_tenants_claims_never_make_a_token_too_large_to_be_used() {
    in_world(async |world| {
        let shop = shop(world, json!({})).await;
        let large: Map<String, Value> = (0..8).map(|n| (format!("a{n}"), json!("x".repeat(480)))).collect();
        change(world, json!({ "claims": large })).await;
        let rules: Value =
            (0..50).map(|n| json!({ "claim": format!("m{n}"), "from": { "attribute": format!("a{}", n % 8) }, "into": ["access_token", "id_token", "userinfo"] })).collect();
        set(world, rules).await;
        let tokens = tokens(world, &shop, &[]).await;
        for name in ["access_token", "id_token"] {
            assert!(tokens.word(name).len() <= 8_192, "{name} is {} long", tokens.word(name).len());
        }
        let [access, _, info] = all(world, &tokens).await;
        assert!(access["m0"].is_string() && access.get("m49").is_none() && info.get("m49").is_none(), "{access}");
        let form = json!({ "user": alice(world).await, "client": shop.id, "scope": "openid" });
        let preview = world.platform_admin().post(PREVIEW, form).await.is(200).json();
        let left_out = preview["left_out"]["access_token"].as_array().expect("names").clone();
        assert!(left_out.contains(&json!("m49")) && left_out.contains(&json!("a0")) && !left_out.contains(&json!("m0")), "{left_out:?}");
        // Nor does it keep an administrator out.
        let tess = world.tenant_admin("acme").await;
        world.bearing(&tess.access_token).put(CLAIMS, json!({ "rules": [] })).await.is(200);
    });
}

#[test]
fn the_metadata_name_the_claims_that_rules_tell_clients() {
    in_world(async |world| {
        world.tenant("acme").await;
        set(
            world,
            json!([
                { "claim": "dept", "from": { "attribute": "department" }, "into": ["id_token"] },
                { "claim": "name", "from": { "template": "{username}" }, "into": ["userinfo"] },
                { "claim": "inner", "from": { "constant": 1 }, "into": ["access_token"] },
                { "claim": "partner", "from": { "constant": 1 }, "into": ["id_token"], "when": { "client": "cli_x" } },
            ]),
        )
        .await;
        let metadata = world.anon().get("/t/acme/.well-known/openid-configuration").await.is(200).json();
        assert_eq!(metadata["claims_parameter_supported"], true);
        let names: Vec<_> = metadata["claims_supported"].as_array().expect("names").iter().filter_map(Value::as_str).collect();
        let count = |name: &str| names.iter().filter(|known| **known == name).count();
        for (name, times) in [("sub", 1), ("acr", 1), ("email", 1), ("dept", 1), ("name", 1), ("inner", 0), ("partner", 0)] {
            assert_eq!(count(name), times, "{name}: {names:?}");
        }
    });
}
