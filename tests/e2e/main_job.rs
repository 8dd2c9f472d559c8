//! The main job: people log in, stay logged in, and stop being so at once when somebody says so.

use std::collections::HashSet;

use futures_util::future::join_all;
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use serde_json::{Value, json};

use crate::world::{PASSWORD, in_world};

#[test]
fn an_access_token_verifies_by_the_published_keys_and_says_who_and_for_whom() {
    in_world(async |world| {
        world.tenant("acme").await;
        let id = world.user("acme", "alice", &["editor"]).await;
        let answer = world.login("acme", "alice", PASSWORD).await.is(200);
        assert_eq!(answer.header("cache-control"), "no-store");
        assert_eq!(answer.header("pragma"), "no-cache");
        assert_eq!(answer.json()["token_type"], "Bearer");
        assert_eq!(answer.json()["expires_in"], 900);
        let token = answer.word("access_token");

        let header = decode_header(&token).expect("a JWT");
        assert_eq!((header.typ.as_deref(), header.alg), (Some("at+jwt"), Algorithm::ES256));
        let kid = header.kid.expect("a kid");
        let jwks = world.jwks("acme").await;
        let jwk =
            jwks["keys"].as_array().expect("keys").iter().find(|key| key["kid"] == kid.as_str()).expect("the kid is published").clone();
        let key = DecodingKey::from_jwk(&serde_json::from_value::<Jwk>(jwk).expect("a JWK")).expect("a key");
        let issuer = format!("{}/t/acme", world.base_url);
        let mut validation = Validation::new(Algorithm::ES256);
        validation.set_issuer(&[&issuer]);
        validation.set_audience(&[&issuer]);
        validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        let claims: Value = decode(&token, &key, &validation).expect("verifies").claims;

        assert_eq!(claims["sub"], id.as_str());
        assert_eq!(claims["client_id"], "first-party");
        assert_eq!(claims["scope"], "account");
        assert_eq!(claims["roles"], json!(["editor"]));
        assert!(claims["jti"].is_string() && claims["sid"].is_string(), "{claims}");
        assert_eq!(claims["auth_time"], claims["iat"]);
        assert_eq!(claims["exp"].as_i64().expect("exp") - claims["iat"].as_i64().expect("iat"), 900);
        assert!(claims.get("username").is_none() && claims.get("email").is_none(), "personal data only when the policy says so: {claims}");
    });
}

#[test]
fn a_user_sees_who_they_are_and_stays_logged_in_by_refreshing() {
    in_world(async |world| {
        world.tenant("acme").await;
        let alice = world.alice("acme").await;
        let me = world.bearing(&alice.access_token).get("/t/acme/me").await.is(200);
        assert_eq!(me.word("username"), "alice");
        assert_eq!(me.header("cache-control"), "no-store");

        let answer = world.refresh("acme", &alice.refresh_token).await.is(200);
        assert_eq!(answer.header("cache-control"), "no-store");
        let next = answer.word("refresh_token");
        assert_ne!(next, alice.refresh_token);
        let again = world.bearing(&answer.word("access_token")).get("/t/acme/me").await.is(200);
        assert_eq!(again.json()["session_id"], me.json()["session_id"]);
        assert_eq!(again.json()["auth_time"], me.json()["auth_time"]);
        world.refresh("acme", &next).await.is(200);
    });
}

#[test]
fn an_access_token_ends_by_itself_and_the_refresh_token_outlives_it() {
    in_world(async |world| {
        world.tenant("acme").await;
        let alice = world.alice("acme").await;
        // Past its 15 minutes and what clocks may differ by.
        world.clock.forward(1_000);
        world.bearing(&alice.access_token).get("/t/acme/me").await.refused(401, "invalid_token");
        let answer = world.refresh("acme", &alice.refresh_token).await.is(200);
        world.bearing(&answer.word("access_token")).get("/t/acme/me").await.is(200);
        world.clock.forward(15 * 86_400);
        world.refresh("acme", &answer.word("refresh_token")).await.refused_oauth(400, "invalid_grant");
    });
}

#[test]
fn sixty_four_refreshes_at_once_all_get_the_same_next_token() {
    in_world(async |world| {
        world.tenant("acme").await;
        let alice = world.alice("acme").await;
        let answers = join_all((0..64).map(|_| world.refresh("acme", &alice.refresh_token))).await;
        let next: HashSet<String> = answers.into_iter().map(|answer| answer.is(200).word("refresh_token")).collect();
        assert_eq!(next.len(), 1, "one successor: {next:?}");
        world.refresh("acme", next.iter().next().expect("one")).await.is(200);
    });
}

#[test]
fn a_reused_refresh_token_kills_its_family_where_no_retry_is_allowed() {
    in_world(async |world| {
        world.tenant("acme").await;
        world.policy("acme", json!({ "retry_window_seconds": 0 })).await;
        let alice = world.alice("acme").await;
        let second = world.refresh("acme", &alice.refresh_token).await.is(200).word("refresh_token");
        let third = world.refresh("acme", &second).await.is(200);
        world.refresh("acme", &alice.refresh_token).await.refused_oauth(400, "invalid_grant");
        world.refresh("acme", &third.word("refresh_token")).await.refused_oauth(400, "invalid_grant");
        world.bearing(&third.word("access_token")).get("/t/acme/me").await.refused(401, "invalid_token");
    });
}

#[test]
fn a_refresh_token_that_comes_back_after_the_retry_window_kills_its_family() {
    in_world(async |world| {
        world.tenant("acme").await;
        let alice = world.alice("acme").await;
        let second = world.refresh("acme", &alice.refresh_token).await.is(200).word("refresh_token");
        let third = world.refresh("acme", &second).await.is(200).word("refresh_token");
        world.clock.forward(11);
        world.refresh("acme", &alice.refresh_token).await.refused_oauth(400, "invalid_grant");
        world.refresh("acme", &third).await.refused_oauth(400, "invalid_grant");
    });
}

#[test]
fn logging_out_ends_the_session_at_once() {
    in_world(async |world| {
        world.tenant("acme").await;
        let alice = world.alice("acme").await;
        world.anon().post("/t/acme/logout", json!({ "refresh_token": alice.refresh_token })).await.is(204);
        world.refresh("acme", &alice.refresh_token).await.refused_oauth(400, "invalid_grant");
        world.bearing(&alice.access_token).get("/t/acme/me").await.refused(401, "invalid_token");
    });
}

#[test]
fn a_revoked_token_is_inactive_and_revoking_it_twice_is_no_error() {
    in_world(async |world| {
        world.tenant("acme").await;
        let admin = world.tenant_admin("acme").await;
        let alice = world.alice("acme").await;
        let introspector = world.bearing(&admin.access_token);
        for token in [&alice.access_token, &alice.refresh_token] {
            let living = introspector.form("/t/acme/oauth/introspect", &[("token", token)]).await.is(200).json();
            assert_eq!(living["active"], true, "{living}");
            assert_eq!(living["sub"], alice.user.as_str());
        }
        for _ in 0..2 {
            let parameters = [("token", alice.refresh_token.as_str()), ("client_id", "first-party")];
            world.anon().form("/t/acme/oauth/revoke", &parameters).await.is(200);
        }
        for token in [alice.access_token.as_str(), &alice.refresh_token, "junk"] {
            let dead = introspector.form("/t/acme/oauth/introspect", &[("token", token)]).await.is(200).json();
            assert_eq!(dead, json!({ "active": false }));
        }
        world.refresh("acme", &alice.refresh_token).await.refused_oauth(400, "invalid_grant");
        world.anon().form("/t/acme/oauth/revoke", &[("token", "junk"), ("client_id", "first-party")]).await.is(200);
    });
}

#[test]
fn a_user_sees_their_sessions_and_ends_another_one() {
    in_world(async |world| {
        world.tenant("acme").await;
        let here = world.alice("acme").await;
        let there = world.sign_in("acme", "alice").await;
        let caller = world.bearing(&here.access_token);
        let items = caller.get("/t/acme/me/sessions").await.is(200).json()["items"].as_array().expect("items").clone();
        assert_eq!(items.len(), 2);
        assert_eq!(items.iter().filter(|item| item["is_current"] == true).count(), 1);
        let other = items.iter().find(|item| item["is_current"] == false).expect("the other one")["id"].as_str().expect("an id").to_owned();

        caller.delete(&format!("/t/acme/me/sessions/{other}")).await.is(204);
        caller.delete(&format!("/t/acme/me/sessions/{other}")).await.refused(404, "not_found");
        world.refresh("acme", &there.refresh_token).await.refused_oauth(400, "invalid_grant");
        world.refresh("acme", &here.refresh_token).await.is(200);
    });
}

#[test]
fn disabling_a_user_ends_everything_and_enabling_lets_them_log_in_anew() {
    in_world(async |world| {
        world.tenant("acme").await;
        let admin = world.tenant_admin("acme").await;
        let alice = world.alice("acme").await;
        let user = format!("/admin/v1/tenants/acme/users/{}", alice.user);
        world.bearing(&admin.access_token).post(&format!("{user}/disable"), json!({})).await.is(200);
        world.refresh("acme", &alice.refresh_token).await.refused_oauth(400, "invalid_grant");
        world.bearing(&alice.access_token).get("/t/acme/me").await.refused(401, "invalid_token");
        world.login("acme", "alice", PASSWORD).await.refused(401, "bad_credentials");

        world.bearing(&admin.access_token).post(&format!("{user}/enable"), json!({})).await.is(200);
        world.refresh("acme", &alice.refresh_token).await.refused_oauth(400, "invalid_grant");
        world.login("acme", "alice", PASSWORD).await.is(200);
    });
}

#[test]
fn a_new_password_ends_all_sessions_and_replaces_the_old_one() {
    in_world(async |world| {
        world.tenant("acme").await;
        let alice = world.alice("acme").await;
        let path = format!("/admin/v1/tenants/acme/users/{}/password", alice.user);
        let fresh = "harbour.violet.tundra.seventeen";
        world.platform_admin().put(&path, json!({ "password": fresh })).await.is(204);
        world.refresh("acme", &alice.refresh_token).await.refused_oauth(400, "invalid_grant");
        world.bearing(&alice.access_token).get("/t/acme/me").await.refused(401, "invalid_token");
        world.login("acme", "alice", PASSWORD).await.refused(401, "bad_credentials");
        world.login("acme", "alice", fresh).await.is(200);
    });
}

#[test]
fn a_suspended_tenant_looks_like_none_but_its_keys_stay_published() {
    in_world(async |world| {
        world.tenant("acme").await;
        let alice = world.alice("acme").await;
        world.platform_admin().post("/admin/v1/tenants/acme/suspend", json!({})).await.is(200);
        let suspended = world.login("acme", "alice", PASSWORD).await.refused(404, "not_found");
        let unknown = world.login("nowhere", "alice", PASSWORD).await.refused(404, "not_found");
        assert_eq!(suspended.text, unknown.text);
        world.refresh("acme", &alice.refresh_token).await.refused_oauth(400, "invalid_grant");
        world.bearing(&alice.access_token).get("/t/acme/me").await.refused(401, "invalid_token");
        assert!(!world.jwks("acme").await["keys"].as_array().expect("keys").is_empty());

        world.platform_admin().post("/admin/v1/tenants/acme/resume", json!({})).await.is(200);
        world.login("acme", "alice", PASSWORD).await.is(200);
    });
}

#[test]
fn a_deleted_tenant_is_gone_everywhere_but_only_after_its_slug_was_repeated() {
    in_world(async |world| {
        world.tenant("acme").await;
        let alice = world.alice("acme").await;
        let admin = world.platform_admin();
        admin.delete("/admin/v1/tenants/acme").await.refused(409, "not_confirmed");
        admin.delete("/admin/v1/tenants/acme?confirm=globex").await.refused(409, "not_confirmed");
        world.refresh("acme", &alice.refresh_token).await.is(200);
        admin.delete("/admin/v1/tenants/acme?confirm=acme").await.is(204);

        world.login("acme", "alice", PASSWORD).await.refused(404, "not_found");
        world.refresh("acme", &alice.refresh_token).await.is(404);
        world.bearing(&alice.access_token).get("/t/acme/me").await.refused(404, "not_found");
        world.anon().get("/t/acme/.well-known/jwks.json").await.refused(404, "not_found");
        world.anon().get("/t/acme/.well-known/openid-configuration").await.refused(404, "not_found");
        admin.get("/admin/v1/tenants/acme").await.refused(404, "not_found");
        admin.get("/admin/v1/tenants/acme/users").await.refused(404, "not_found");
    });
}

#[test]
fn a_deletion_is_certified_in_a_way_that_anybody_can_verify_offline() {
    in_world(async |world| {
        let tenant = world.tenant("acme").await;
        let id = tenant["id"].as_str().expect("an id");
        world.alice("acme").await;
        let admin = world.platform_admin();
        let deletion = format!("/admin/v1/deletions/{id}");
        admin.get(&deletion).await.refused(404, "not_found");
        let deleted = admin.delete("/admin/v1/tenants/acme?confirm=acme").await.is(204);
        assert_eq!(deleted.header("location"), deletion);
        let certificate = admin.get(&deletion).await.is(200).word("certificate");
        world.anon().get(&deletion).await.is(401);

        let jwks = world.anon().get("/.well-known/installation-jwks.json").await.is(200).text;
        let jwks: jsonwebtoken::jwk::JwkSet = serde_json::from_str(&jwks).expect("a JWK Set");
        let header = jsonwebtoken::decode_header(&certificate).expect("a JWS");
        assert_eq!(header.typ.as_deref(), Some("deletion-certificate+jwt"));
        let key = jwks.find(header.kid.as_deref().expect("a kid")).expect("the installation's key");
        let key = jsonwebtoken::DecodingKey::from_jwk(key).expect("a key");
        let mut rules = jsonwebtoken::Validation::new(jsonwebtoken::Algorithm::EdDSA);
        rules.required_spec_claims.clear();
        rules.set_issuer(&[&world.base_url]);
        let said = jsonwebtoken::decode::<serde_json::Value>(&certificate, &key, &rules).expect("verifies").claims;
        assert_eq!((said["sub"].as_str(), said["slug"].as_str()), (Some(id), Some("acme")));
        assert!(said["data_key"].as_str().expect("a data key").starts_with("dek_"), "{said}");
        // A signing key, a token secret and the key of the key log.
        assert_eq!(said["destroyed"], json!({ "data_keys": 1, "secrets": 3 }), "{said}");
        assert_eq!(said["erasing"], json!({ "users": 1, "sessions": 1 }), "{said}");
    });
}

#[test]
fn one_username_in_two_tenants_is_two_people_whose_tokens_do_not_cross() {
    in_world(async |world| {
        world.tenant("acme").await;
        world.tenant("globex").await;
        let of_acme = world.alice("acme").await;
        let of_globex = world.alice("globex").await;
        assert_ne!(of_acme.user, of_globex.user);
        world.bearing(&of_acme.access_token).get("/t/globex/me").await.refused(401, "invalid_token");
        world.refresh("globex", &of_acme.refresh_token).await.refused_oauth(400, "invalid_grant");
        world.bearing(&of_acme.access_token).get("/t/acme/me").await.is(200);
        world.refresh("acme", &of_acme.refresh_token).await.is(200);
    });
}
