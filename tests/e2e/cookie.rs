//! Cookie sessions: the refresh token never meets a script, and no other site can use it.

use reqwest::RequestBuilder;
use serde_json::json;

use crate::world::{Answer, PASSWORD, World, in_world, sent};

const NAME: &str = "__Secure-claviger_session";

async fn cookie_login(world: &World) -> Answer {
    world.tenant("acme").await;
    world.user("acme", "alice", &[]).await;
    let form = json!({ "username": "alice", "password": PASSWORD, "session": "cookie" });
    sent(world.anon().request("POST", "/t/acme/login").header("origin", &world.base_url).json(&form)).await.is(200)
}

/// The token inside the cookie that an answer sets.
#[track_caller]
fn token_of(answer: &Answer) -> String {
    let cookie = answer.header("set-cookie");
    let value = cookie.strip_prefix(NAME).and_then(|rest| rest.strip_prefix('=')).and_then(|rest| rest.split(';').next());
    value.unwrap_or_else(|| panic!("no session cookie: {cookie}")).to_owned()
}

fn refreshing(world: &World, token: &str) -> RequestBuilder {
    let form = [("grant_type", "refresh_token"), ("client_id", "first-party")];
    world.anon().request("POST", "/t/acme/oauth/token").header("cookie", format!("{NAME}={token}")).form(&form)
}

#[test]
fn the_refresh_token_comes_in_a_cookie_that_no_script_and_no_other_site_can_use() {
    in_world(async |world| {
        let answer = cookie_login(world).await;
        assert!(answer.json().get("refresh_token").is_none(), "{}", answer.text);
        assert!(!answer.word("csrf_token").is_empty());
        let attributes: Vec<&str> = answer.header("set-cookie").split("; ").collect();
        for wanted in ["HttpOnly", "Secure", "SameSite=Strict", "Path=/t/acme"] {
            assert!(attributes.contains(&wanted), "{attributes:?}");
        }
        assert!(!attributes.iter().any(|attribute| attribute.starts_with("Domain")), "{attributes:?}");
        assert!(!answer.text.contains(&token_of(&answer)));
        world.bearing(&answer.word("access_token")).get("/t/acme/me").await.is(200);
    });
}

#[test]
fn a_cookie_refreshes_only_together_with_its_csrf_token() {
    in_world(async |world| {
        let login = cookie_login(world).await;
        let (token, csrf) = (token_of(&login), login.word("csrf_token"));
        sent(refreshing(world, &token)).await.refused_oauth(403, "invalid_request");
        sent(refreshing(world, &token).header("x-csrf-token", "guess")).await.refused_oauth(403, "invalid_request");

        let next = sent(refreshing(world, &token).header("x-csrf-token", &csrf)).await.is(200);
        assert!(next.json().get("refresh_token").is_none(), "{}", next.text);
        assert_ne!(token_of(&next), token);
        let csrf = next.word("csrf_token");
        sent(refreshing(world, &token_of(&next)).header("x-csrf-token", &csrf)).await.is(200);
    });
}

#[test]
fn a_request_of_another_site_is_refused_even_with_everything_right() {
    in_world(async |world| {
        let login = cookie_login(world).await;
        let (token, csrf) = (token_of(&login), login.word("csrf_token"));
        for (name, value) in
            [("origin", "https://evil.example"), ("origin", "null"), ("sec-fetch-site", "cross-site"), ("sec-fetch-site", "same-site")]
        {
            sent(refreshing(world, &token).header("x-csrf-token", &csrf).header(name, value)).await.refused_oauth(403, "invalid_request");
            let logout = world.anon().request("POST", "/t/acme/logout").header("cookie", format!("{NAME}={token}"));
            sent(logout.header("x-csrf-token", &csrf).header(name, value)).await.refused(403, "csrf");
            let form = json!({ "username": "alice", "password": PASSWORD, "session": "cookie" });
            sent(world.anon().request("POST", "/t/acme/login").header(name, value).json(&form)).await.refused(403, "csrf");
        }
        let own = refreshing(world, &token)
            .header("x-csrf-token", &csrf)
            .header("origin", &world.base_url)
            .header("sec-fetch-site", "same-origin");
        sent(own).await.is(200);
    });
}

#[test]
fn the_token_of_a_cookie_is_worth_nothing_in_a_body() {
    in_world(async |world| {
        let login = cookie_login(world).await;
        world.refresh("acme", &token_of(&login)).await.refused_oauth(400, "invalid_grant");
    });
}

#[test]
fn logging_out_takes_the_cookie_away_and_ends_its_session() {
    in_world(async |world| {
        let login = cookie_login(world).await;
        let (token, csrf) = (token_of(&login), login.word("csrf_token"));
        let logout = || world.anon().request("POST", "/t/acme/logout").header("cookie", format!("{NAME}={token}"));
        sent(logout()).await.refused(403, "csrf");
        // A body that cannot be read is never taken for none.
        let with = |content_type, body: &str| {
            sent(logout().header("x-csrf-token", &csrf).header("content-type", content_type).body(body.to_owned()))
        };
        for body in ["{", "[]", "null", "{\"refresh_token\":1}", "{\"refresh_tokn\":\"x\"}"] {
            with("application/json", body).await.refused(400, "bad_request");
        }
        with("text/plain", "{}").await.refused(415, "unsupported_media_type");
        with("application/json", &"a".repeat(70_000)).await.refused(413, "too_large");
        let answer = sent(logout().header("x-csrf-token", &csrf)).await.is(204);
        assert!(token_of(&answer).is_empty() && answer.header("set-cookie").contains("Max-Age=0"), "{}", answer.header("set-cookie"));
        sent(refreshing(world, &token).header("x-csrf-token", &csrf)).await.refused_oauth(400, "invalid_grant");
    });
}
