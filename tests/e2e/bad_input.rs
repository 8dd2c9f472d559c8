//! What is malformed, too big, too weak or made up is refused, in words that a program can tell apart and that repeat no secret.

use serde_json::{Value, json};

use crate::world::{Answer, Caller, PASSWORD, in_world, sent};

async fn raw(caller: &Caller<'_>, method: &str, path: &str, content_type: &str, body: impl Into<reqwest::Body>) -> Answer {
    sent(caller.request(method, path).header("content-type", content_type).body(body)).await
}

#[test]
fn bodies_that_cannot_be_read_are_refused_each_by_its_own_code() {
    in_world(async |world| {
        world.tenant("acme").await;
        let anon = world.anon();
        let login = "/t/acme/login";
        for body in ["", "{", "[]", "null", "{\"username\":\"alice\"}", "{\"username\":\"a\",\"password\":\"b\",\"extra\":1}", "\u{feff}{}"]
        {
            raw(&anon, "POST", login, "application/json", body).await.refused(400, "bad_request");
        }
        let good = json!({ "username": "a", "password": "b" }).to_string();
        for content_type in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"] {
            raw(&anon, "POST", login, content_type, good.clone()).await.refused(415, "unsupported_media_type");
        }
        let big = json!({ "username": "a".repeat(70_000), "password": "b" }).to_string();
        raw(&anon, "POST", login, "application/json", big).await.refused(413, "too_large");
        anon.get("/t/acme/nothing").await.refused(404, "not_found");
        anon.get(login).await.refused(405, "method_not_allowed");
    });
}

#[test]
fn a_token_request_that_is_not_one_is_refused_in_the_words_of_rfc_6749() {
    in_world(async |world| {
        world.tenant("acme").await;
        world.user("acme", "alice", &[]).await;
        let (anon, path, form) = (world.anon(), "/t/acme/oauth/token", "application/x-www-form-urlencoded");
        let client = ("client_id", "first-party");
        raw(&anon, "POST", path, "application/json", "{}").await.refused_oauth(400, "invalid_request");
        raw(&anon, "POST", path, form, "client_id=first-party&client_id=first-party").await.refused_oauth(400, "invalid_request");
        raw(&anon, "POST", path, form, "client_id=%ff").await.refused_oauth(400, "invalid_request");
        raw(&anon, "POST", path, form, "a".repeat(70_000)).await.refused_oauth(413, "invalid_request");
        anon.form(path, &[client]).await.refused_oauth(400, "invalid_request");
        anon.form(path, &[client, ("grant_type", "refresh_token")]).await.refused_oauth(400, "invalid_request");
        anon.form(path, &[client, ("grant_type", "authorization_code"), ("code", "x")]).await.refused_oauth(400, "unauthorized_client");
        let password = [client, ("grant_type", "password"), ("username", "alice"), ("password", PASSWORD)];
        let answer = anon.form(path, &password).await.refused_oauth(400, "unsupported_grant_type");
        assert!(!answer.text.contains(PASSWORD));
        for parameters in [
            &[("grant_type", "refresh_token"), ("refresh_token", "x")][..],
            &[("client_id", "somebody-else"), ("grant_type", "refresh_token"), ("refresh_token", "x")],
            &[client, ("client_secret", "guess"), ("grant_type", "refresh_token"), ("refresh_token", "x")],
        ] {
            let answer = anon.form(path, parameters).await.refused_oauth(401, "invalid_client");
            assert!(!answer.header("www-authenticate").is_empty());
        }
        anon.get(path).await.is(405);
        anon.form("/t/nowhere/oauth/token", &[client, ("grant_type", "refresh_token"), ("refresh_token", "x")]).await.is(404);
    });
}

#[test]
fn a_wish_for_more_scope_is_refused_and_costs_no_token() {
    in_world(async |world| {
        world.tenant("acme").await;
        let alice = world.alice("acme").await;
        for scope in ["admin", "account admin", "account \"", "nonsense"] {
            let parameters = [
                ("grant_type", "refresh_token"),
                ("client_id", "first-party"),
                ("refresh_token", alice.refresh_token.as_str()),
                ("scope", scope),
            ];
            world.anon().form("/t/acme/oauth/token", &parameters).await.refused_oauth(400, "invalid_scope");
        }
        world.refresh("acme", &alice.refresh_token).await.is(200);
    });
}

#[test]
fn pages_are_of_one_to_two_hundred() {
    in_world(async |world| {
        world.tenant("acme").await;
        let admin = world.platform_admin();
        for list in ["/admin/v1/tenants", "/admin/v1/tenants/acme/users", "/admin/v1/tenants/acme/events"] {
            for query in ["limit=0", "limit=201", "limit=-1", "limit=x", "limit=99999999999", "offset=3"] {
                admin.get(&format!("{list}?{query}")).await.refused(400, "bad_request");
            }
            admin.get(&format!("{list}?limit=200")).await.is(200);
        }
        admin.get("/admin/v1/tenants/acme/users?after=junk").await.refused(400, "bad_request");
    });
}

#[test]
fn pages_follow_each_other_without_gap_or_repetition() {
    in_world(async |world| {
        world.tenant("acme").await;
        for number in 0..5 {
            world.platform_admin().post("/admin/v1/tenants/acme/users", json!({ "username": format!("user{number}") })).await.is(201);
        }
        let (mut seen, mut query) = (Vec::new(), "limit=2".to_owned());
        loop {
            let page = world.platform_admin().get(&format!("/admin/v1/tenants/acme/users?{query}")).await.is(200).json();
            seen.extend(page["items"].as_array().expect("items").iter().map(|user| user["username"].clone()));
            match page["next"].as_str() {
                Some(next) => query = format!("limit=2&after={next}"),
                None => break,
            }
        }
        seen.sort_by_key(Value::to_string);
        assert_eq!(seen, ["user0", "user1", "user2", "user3", "user4"]);
    });
}

#[test]
fn numbers_that_nobody_can_stand_behind_are_refused_with_their_bounds() {
    in_world(async |world| {
        world.tenant("acme").await;
        for (member, value) in [
            ("access_ttl_seconds", json!(0)),
            ("access_ttl_seconds", json!(86_400)),
            ("refresh_idle_ttl_seconds", json!(1)),
            ("refresh_absolute_ttl_seconds", json!(4_000_000_000_u32)),
            ("refresh_absolute_ttl_seconds", json!(300)),
            ("retry_window_seconds", json!(61)),
            ("audience", json!("")),
            ("password", json!({ "min_length": 8 })),
            ("argon2", json!({ "memory_kib": 8, "iterations": 1, "parallelism": 1 })),
            ("argon2", json!({ "memory_kib": 4_000_000_000_u32, "iterations": 1, "parallelism": 1 })),
        ] {
            let policy = json!({ member: value });
            let answer = world.platform_admin().patch("/admin/v1/tenants/acme", json!({ "policy": policy.clone() })).await;
            let answer = answer.refused(422, "policy_refused");
            assert!(!answer.word("detail").is_empty());
            let form = json!({ "slug": "globex", "name": "Globex", "policy": policy });
            world.platform_admin().post("/admin/v1/tenants", form).await.refused(422, "policy_refused");
        }
        for policy in [json!({ "access_ttl_seconds": -1 }), json!({ "access_ttl_seconds": "900" }), json!({ "made_up": 1 })] {
            world.platform_admin().patch("/admin/v1/tenants/acme", json!({ "policy": policy })).await.refused(400, "bad_request");
        }
    });
}

#[test]
fn whoever_sends_a_wrong_member_is_told_which_one() {
    in_world(async |world| {
        world.tenant("acme").await;
        let nobody = "usr_01m8qqdwgtefz9kpbwyasbyrb6";
        let kind = |words: Value| {
            let kind =
                json!({ "members": { "payee": { "kind": "text", "required": true }, "day": { "kind": "integer" } }, "words": words });
            json!({ "identifier": "https://pay.example", "name": "Pay", "authorization_details_types": { "payment": kind } })
        };
        let words = "authorization_details_types.payment.words";
        let mut no_day = kind(json!({ "en": "Pay {payee}" }));
        no_day["authorization_details_types"]["payment"]["members"]["day"]["max_items"] = json!(3);
        for (method, path, body, status, member) in [
            ("POST", "/claims/preview", json!({ "user": "alice", "client": "first-party" }), 400, "user"),
            ("POST", "/claims/preview", json!({ "user": nobody, "client": "first-party" }), 404, "user"),
            ("POST", "/claims/preview", json!({ "client": "ä" }), 400, "client"),
            ("POST", "/claims/preview", json!({ "client": "nobody" }), 404, "client"),
            ("POST", "/claims/preview", json!({ "client": "first-party", "scope": 3 }), 400, "scope"),
            ("POST", "/claims/preview", json!({ "client": "first-party", "audience": ["/x"] }), 400, "audience"),
            ("POST", "/claims/preview", json!({ "client": "first-party", "claims": { "id_token": 3 } }), 400, "claims"),
            ("PUT", "/claims", json!({ "rules": [{ "claim": "a", "from": { "constant": 1 }, "into": ["cookie"] }] }), 400, "rules[0]"),
            ("PUT", "/claims", json!({ "rules": [{ "claim": "a" }] }), 400, "rules[0]"),
            ("POST", "/resources", kind(json!({})), 400, words),
            ("POST", "/resources", kind(json!({ "en": "Pay {payee}", "de": "" })), 400, &format!("{words}.de")),
            ("POST", "/resources", kind(json!({ "en": "Pay on {day}" })), 400, &format!("{words}.en")),
            ("POST", "/resources", kind(json!({ "it": "Paga" })), 400, words),
            ("POST", "/resources", no_day, 400, "authorization_details_types.payment.members.day.max_items"),
            ("POST", "/resources", json!({ "identifier": "https://a.example", "name": "" }), 400, "name"),
            (
                "POST",
                "/resources",
                json!({ "identifier": "https://a.example", "name": "A", "access_ttl_seconds": 5 }),
                400,
                "access_ttl_seconds",
            ),
            ("POST", "/resources", json!({ "identifier": "https://a.example", "name": "A", "scope": "openid" }), 400, "scope"),
            ("POST", "/users", json!({ "username": "bob", "roles": ["clerk", "A B"] }), 400, "roles[1]"),
            ("POST", "/users", json!({ "username": "bob", "made_up": 1 }), 400, "made_up"),
            ("POST", "/clients", json!({ "redirect_uris": "https://a.example/cb" }), 400, "redirect_uris"),
            ("PATCH", "", json!({ "policy": { "access_ttl_seconds": "900" } }), 400, "policy.access_ttl_seconds"),
            ("PATCH", "", json!({ "policy": { "registration": { "access": "x" } } }), 400, "policy.registration.access"),
            ("PUT", "/domain", json!({ "domain": "acme" }), 400, "domain"),
            ("PUT", "/branding", json!({ "accent": "red" }), 400, "accent"),
        ] {
            let request = world.platform_admin().request(method, &format!("/admin/v1/tenants/acme{path}")).json(&body);
            let code = if status == 404 { "not_found" } else { "bad_request" };
            let answer = sent(request).await.refused(status, code).json();
            assert_eq!(answer["member"], member, "{method} {path} {body}: {answer}");
            let detail = answer["detail"].as_str().expect("words");
            assert!(status == 404 || detail.contains(member) || path == "/claims/preview", "{detail}");
        }
        let form = json!({ "slug": "globex", "name": "Globex", "key_policy": { "lead_seconds": "x" } });
        let refused = world.platform_admin().post("/admin/v1/tenants", form).await.refused(400, "bad_request").json();
        assert_eq!(refused["member"], "key_policy.lead_seconds");
        let limit = world.platform_admin().get("/admin/v1/tenants/acme/users?limit=many").await.refused(400, "bad_request");
        assert!(limit.word("detail").starts_with("limit "), "{}", limit.text);
    });
}

#[test]
fn names_that_are_none_are_refused_and_taken_ones_conflict() {
    in_world(async |world| {
        world.tenant("acme").await;
        let admin = world.platform_admin();
        for slug in ["", "-acme", "acme-", "ac me", "Ünï", "a/b", &"a".repeat(64)] {
            admin.post("/admin/v1/tenants", json!({ "slug": slug, "name": "x" })).await.refused(400, "bad_request");
        }
        admin.post("/admin/v1/tenants", json!({ "slug": "acme", "name": "x" })).await.refused(409, "slug_taken");
        let users = "/admin/v1/tenants/acme/users";
        for email in ["alice", "@example.com", "alice@", "a b@example.com", "alice@example.com\nbcc: bob@example.com"] {
            admin.post(users, json!({ "email": email })).await.refused(400, "bad_request");
        }
        for username in ["", "alice smith", "alice@example.com", &"a".repeat(65)] {
            admin.post(users, json!({ "username": username })).await.refused(400, "bad_request");
        }
        admin.post(users, json!({})).await.refused(400, "bad_request");
        admin.post(users, json!({ "username": "alice", "email": "alice@example.com" })).await.is(201);
        for taken in [json!({ "username": "ALICE" }), json!({ "email": "alice@example.com" })] {
            admin.post(users, taken).await.refused(409, "name_taken");
        }
    });
}

#[test]
fn weak_passwords_are_refused_with_the_reason_and_never_repeated() {
    in_world(async |world| {
        world.tenant("acme").await;
        let alice = world.user("acme", "alice", &[]).await;
        let admin = world.platform_admin();
        let users = "/admin/v1/tenants/acme/users";
        let password_of = format!("{users}/{alice}/password");
        for (password, reason) in
            [("k7#mQz!x", "15"), ("passwordpassword", "guess"), ("aaaaaaaaaaaaaaaaaaaa", "guess"), ("alicealicealice", "guess")]
        {
            for answer in [
                admin.post(users, json!({ "username": "bob", "password": password })).await,
                admin.put(&password_of, json!({ "password": password })).await,
            ] {
                let answer = answer.refused(422, "password_refused");
                assert!(answer.word("detail").contains(reason), "{}", answer.text);
                assert!(!answer.text.contains(password), "{}", answer.text);
            }
        }
        admin.put(&password_of, json!({ "password": "" })).await.refused(400, "bad_request");
        admin.put(&password_of, json!({ "password": "x".repeat(1_025) })).await.refused(400, "bad_request");
        world.login("acme", "alice", PASSWORD).await.is(200);
    });
}

#[test]
fn an_error_never_repeats_a_password() {
    in_world(async |world| {
        world.tenant("acme").await;
        let (anon, secret) = (world.anon(), "tangerine-secret-7781");
        for body in [
            format!(r#"{{"username":"alice","password":"{secret}""#),
            format!(r#"{{"username":"alice","password":["{secret}"]}}"#),
            format!(r#"{{"username":"alice","password":{{"{secret}":1}}}}"#),
            format!(r#""{secret}""#),
            format!(r#"{{"username":"alice","password":"{secret}"}} trailing"#),
            format!(r#"{{"username":"alice","password":"x","session":"{secret}"}}"#),
        ] {
            let answer = raw(&anon, "POST", "/t/acme/login", "application/json", body.clone()).await.refused(400, "bad_request");
            assert!(!answer.text.contains(secret), "{body} answered {}", answer.text);
        }
        let answer = world.login("acme", "alice", secret).await.refused(401, "bad_credentials");
        assert!(!answer.text.contains(secret) && !answer.text.contains("alice"), "{}", answer.text);
        let both = json!({ "username": "bob", "password": secret, "password_hash": secret });
        let answer = world.platform_admin().post("/admin/v1/tenants/acme/users", both).await.refused(400, "bad_request");
        assert!(!answer.text.contains(secret));
    });
}

#[test]
fn a_hash_of_another_system_is_taken_and_its_password_logs_in() {
    in_world(async |world| {
        world.tenant("acme").await;
        let users = "/admin/v1/tenants/acme/users";
        let hash = bcrypt::hash("from the old system", 4).expect("hashes");
        let answer = world.platform_admin().post(users, json!({ "username": "alice", "password_hash": hash })).await.is(201);
        assert!(!answer.text.contains("$2"), "no hash is ever shown: {}", answer.text);
        world.login("acme", "alice", "from the new system").await.refused(401, "bad_credentials");
        // The first login stores it anew, the second uses that.
        world.login("acme", "alice", "from the old system").await.is(200);
        world.login("acme", "alice", "from the old system").await.is(200);
        for hash in ["hunter2", "$md5$abc", "$argon2id$v=19$m=4194304,t=2,p=1$c2FsdHNhbHQ$aGFzaGhhc2hoYXNoaGFzaA"] {
            world.platform_admin().post(users, json!({ "username": "bob", "password_hash": hash })).await.refused(400, "bad_request");
        }
    });
}

#[test]
fn a_refresh_token_changed_in_any_place_is_none() {
    in_world(async |world| {
        world.tenant("acme").await;
        let alice = world.alice("acme").await;
        let token = &alice.refresh_token;
        assert!(token.is_ascii());
        let mut changed: Vec<String> = (1..token.len()).map(|length| token[..length].to_owned()).collect();
        for place in 0..token.len() {
            let other = if &token[place..=place] == "A" { "B" } else { "A" };
            changed.push(format!("{}{other}{}", &token[..place], &token[place + 1..]));
        }
        changed.extend([format!("{token}A"), format!("{token}="), format!(" {token}"), format!("{token} "), format!("{token}\n")]);
        changed.extend([token.to_uppercase(), token.replacen("rt1_", "", 1), token.replacen("rt1_", "rt2_", 1), format!("{token}{token}")]);
        for wrong in &changed {
            world.refresh("acme", wrong).await.refused_oauth(400, "invalid_grant");
        }
        world.refresh("acme", token).await.is(200);
    });
}
