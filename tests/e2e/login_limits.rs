//! Guessing: it tells nothing, it gets slow, and it does not lock out whom it is about.

use serde_json::json;

use crate::world::{Answer, PASSWORD, World, in_world, in_world_with, sent};

const WRONG: &str = "not-the-password-at-all";

async fn login_from(world: &World, address: &str, username: &str, password: &str) -> Answer {
    let form = json!({ "username": username, "password": password });
    sent(world.anon().request("POST", "/t/acme/login").header("x-forwarded-for", address).json(&form)).await
}

#[test]
fn an_unknown_user_and_a_wrong_password_answer_alike() {
    in_world(async |world| {
        world.tenant("acme").await;
        world.user("acme", "alice", &[]).await;
        let wrong = world.login("acme", "alice", WRONG).await.refused(401, "bad_credentials");
        for name in ["nobody", "nobody@example.com", "", "not a name", &"x".repeat(5_000)] {
            let unknown = world.login("acme", name, WRONG).await.refused(401, "bad_credentials");
            assert_eq!(unknown.text, wrong.text);
            let names = |answer: &Answer| answer.headers.keys().map(ToString::to_string).collect::<Vec<_>>();
            assert_eq!(names(&unknown), names(&wrong));
        }
    });
}

#[test]
fn the_eleventh_guess_has_to_wait_and_nobody_else_does() {
    in_world(async |world| {
        world.tenant("acme").await;
        world.user("acme", "alice", &[]).await;
        world.user("acme", "bob", &[]).await;
        for _ in 0..10 {
            world.login("acme", "alice", WRONG).await.refused(401, "bad_credentials");
        }
        let denied = world.login("acme", "alice", PASSWORD).await.refused(429, "too_many_attempts");
        let seconds: u32 = denied.header("retry-after").parse().expect("seconds");
        assert!((1..=30).contains(&seconds), "{seconds}");
        world.login("acme", "bob", PASSWORD).await.is(200);

        world.clock.forward(31);
        world.login("acme", "alice", PASSWORD).await.is(200);
    });
}

#[test]
fn a_name_that_does_not_exist_has_to_wait_just_the_same() {
    in_world(async |world| {
        world.tenant("acme").await;
        for _ in 0..10 {
            world.login("acme", "nobody", WRONG).await.refused(401, "bad_credentials");
        }
        world.login("acme", "nobody", WRONG).await.refused(429, "too_many_attempts");
    });
}

#[test]
fn guesses_from_elsewhere_do_not_lock_a_user_out_of_a_place_they_are_known_from() {
    let behind_a_proxy = |settings: &mut server::Settings| settings.server.trusted_proxies = vec!["127.0.0.1".parse().expect("an address")];
    in_world_with(behind_a_proxy, async |world| {
        world.tenant("acme").await;
        world.user("acme", "alice", &[]).await;
        login_from(world, "203.0.113.1", "alice", PASSWORD).await.is(200);
        for _ in 0..10 {
            login_from(world, "198.51.100.7", "alice", WRONG).await.refused(401, "bad_credentials");
        }
        login_from(world, "198.51.100.7", "alice", PASSWORD).await.refused(429, "too_many_attempts");
        login_from(world, "192.0.2.44", "alice", PASSWORD).await.refused(429, "too_many_attempts");
        login_from(world, "203.0.113.1", "alice", PASSWORD).await.is(200);
    });
}

#[test]
fn a_stranger_cannot_choose_the_address_they_are_counted_by() {
    in_world(async |world| {
        world.tenant("acme").await;
        world.user("acme", "alice", &[]).await;
        // Behind no proxy the header is not believed: this place becomes known, not the one that the header names.
        login_from(world, "203.0.113.1", "alice", PASSWORD).await.is(200);
        for number in 0..10 {
            login_from(world, &format!("198.51.100.{number}"), "alice", WRONG).await.refused(401, "bad_credentials");
        }
        login_from(world, "203.0.113.1", "alice", PASSWORD).await.refused(429, "too_many_attempts");
    });
}
