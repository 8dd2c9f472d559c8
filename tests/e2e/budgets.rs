//! What one tenant may ask of a node: refused beyond it, and nobody else notices.

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::world::{Answer, World, in_world_with};

const JWKS: &str = "/t/acme/.well-known/jwks.json";

/// Asks until it is refused, which has to happen soon: time brings less than is asked.
async fn until_refused(ask: impl AsyncFn() -> Answer) -> Answer {
    for _ in 0..1_000 {
        let answer = ask().await;
        if answer.status == 429 {
            return answer;
        }
    }
    panic!("never refused");
}

/// Waits as long as the refusal says.
fn wait(world: &World, refused: &Answer) {
    world.clock.forward(refused.header("retry-after").parse().expect("Retry-After in seconds"));
}

fn low_ceiling(settings: &mut server::Settings) {
    settings.budgets.most_requests_per_second = 4;
}

#[test]
fn a_tenant_at_its_ceiling_is_refused_in_the_words_of_the_endpoint_and_its_neighbour_is_not() {
    in_world_with(low_ceiling, async |world| {
        world.tenant("acme").await;
        world.tenant("globex").await;
        let refused = until_refused(async || world.anon().get(JWKS).await).await.refused(429, "too_many_requests");
        world.anon().get("/t/globex/.well-known/jwks.json").await.is(200);
        wait(world, &refused);
        world.anon().get(JWKS).await.is(200);

        let refused = until_refused(async || world.refresh("acme", "rt1_junk").await).await.refused_oauth(429, "too_many_requests");
        assert_eq!(refused.header("retry-after"), "1");
        until_refused(async || world.login("acme", "nobody", "x").await).await.refused(429, "too_many_requests");
        until_refused(async || world.anon().get("/t/%61cme/.well-known/jwks.json").await).await.refused(429, "too_many_requests");
        until_refused(async || world.bearing("x").get("/admin/v1/tenants/acme").await).await.refused(429, "too_many_requests");
        for _ in 0..20 {
            world.platform_admin().get("/admin/v1/tenants/acme").await.is(200);
        }
        let metrics = world.metrics().await;
        let counted = metrics.lines().find_map(|line| line.strip_prefix("claviger_budget_refusals_total{budget=\"ceiling\"} "));
        assert_eq!(counted, Some("5"), "{metrics}");
    });
}

#[test]
fn a_refusal_does_not_wait_for_the_body() {
    in_world_with(low_ceiling, async |world| {
        world.tenant("acme").await;
        let mut is_refused = false;
        for _ in 0..1_000 {
            let mut line = TcpStream::connect(world.base_url.strip_prefix("http://").expect("plain")).await.expect("a connection");
            let head = "GET /t/acme/me HTTP/1.1\r\nhost: localhost\r\ncontent-length: 100\r\nconnection: close\r\n\r\n";
            line.write_all(head.as_bytes()).await.expect("written");
            let mut status = [0; 12];
            line.read_exact(&mut status).await.expect("an answer");
            is_refused = &status == b"HTTP/1.1 429";
            if is_refused {
                break;
            }
        }
        assert!(is_refused, "never refused");
    });
}

#[test]
fn changes_of_a_tenants_administrators_have_a_budget_that_strangers_and_the_platform_do_not_use() {
    let few_changes = |settings: &mut server::Settings| {
        (settings.budgets.admin_changes_per_second, settings.budgets.admin_change_burst) = (1, 3);
    };
    in_world_with(few_changes, async |world| {
        let id = world.tenant("acme").await["id"].as_str().expect("an id").to_owned();
        world.tenant("globex").await;
        let (tess, other) = (world.tenant_admin("acme").await, world.tenant_admin("globex").await);
        let change = async |token: &str, tenant: &str| {
            world.bearing(token).patch(&format!("/admin/v1/tenants/{tenant}"), json!({ "name": "New" })).await
        };
        for _ in 0..10 {
            world.anon().patch("/admin/v1/tenants/acme", json!({ "name": "New" })).await.refused(401, "no_token");
            world.platform_admin().patch("/admin/v1/tenants/acme", json!({ "name": "New" })).await.is(200);
        }
        change(&tess.access_token, "acme").await.is(200);
        until_refused(async || change(&tess.access_token, "acme").await).await.refused(429, "too_many_requests");
        let refused = until_refused(async || change(&tess.access_token, &id).await).await.refused(429, "too_many_requests");
        world.bearing(&tess.access_token).get("/admin/v1/tenants/acme").await.is(200);
        world.platform_admin().patch("/admin/v1/tenants/acme", json!({ "name": "New" })).await.is(200);
        change(&other.access_token, "globex").await.is(200);
        wait(world, &refused);
        change(&tess.access_token, "acme").await.is(200);
    });
}

#[test]
fn budgets_can_be_switched_off() {
    let off = |settings: &mut server::Settings| {
        low_ceiling(settings);
        settings.budgets.enforced = false;
    };
    in_world_with(off, async |world| {
        world.tenant("acme").await;
        for _ in 0..50 {
            world.anon().get(JWKS).await.is(200);
        }
    });
}
