//! No address that a client gives makes the server talk to what is inside: every field that is fetched, by every spelling (R51).

use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};

use crate::browser::Browser;
use crate::client_keys::{machine_of, present};
use crate::oidc::{CALLBACK, Shop, code, shop, told};
use crate::relying_party::Key;
use crate::world::{World, in_world};

/// The spellings that the outbound client is tried with.
#[path = "../../crates/outbound/src/tests/spellings.rs"]
mod spellings;

use spellings::{INSIDE, NAMED_INSIDE, STRANGE};

const CLIENTS: &str = "/admin/v1/tenants/acme/clients";

/// The client, or `None` when its metadata was refused. Nothing else may come of it.
async fn registered(world: &World, form: Value, url: &str) -> Option<Shop> {
    let answer = world.platform_admin().post(CLIENTS, form).await;
    if answer.status == 201 {
        return Some(Shop { id: answer.word("client_id"), secret: answer.json()["client_secret"].as_str().unwrap_or_default().to_owned() });
    }
    assert_eq!(answer.status, 422, "{url}: {}", answer.text);
    None
}

/// Notices of a logout that nobody has tried to deliver yet.
async fn untried(world: &World) -> i64 {
    let pool = sqlx::SqlitePool::connect_with(sqlx::sqlite::SqliteConnectOptions::new().filename(&world.database).read_only(true));
    let pool = pool.await.expect("connected");
    let count = sqlx::query_scalar("SELECT count(*) FROM logout_notices WHERE due_at = 0").fetch_one(&pool).await.expect("counted");
    pool.close().await;
    count
}

#[test]
fn r51_no_field_of_a_client_and_no_spelling_leads_inside() {
    in_world(async |world| {
        // Whoever is talked to is this one, or nobody.
        let canary = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = canary.local_addr().expect("an address").port().to_string();
        let hosts = INSIDE.iter().flat_map(|host| ["https", "http"].map(|scheme| format!("{scheme}://{host}:{{port}}/x?y")));
        let urls: Vec<_> = hosts.chain(STRANGE.iter().map(|url| (*url).to_owned())).map(|url| url.replace("{port}", &port)).collect();
        // Names are for the client's own tests, which bring a resolver along.
        assert!(NAMED_INSIDE.iter().all(|name| !INSIDE.contains(name)));
        assert!(urls.len() >= 120, "{} spellings", urls.len());

        let first = shop(world, json!({})).await;
        let mut browser = Browser::new(&world.base_url);
        let once = code(&mut browser, &first, &[]).await;
        let hint = first.redeem(world, &once).await.is(200).word("id_token");
        let key = Key::new("1");
        world.policy("acme", json!({ "request_uri": true })).await;
        let (mut fetched, mut told_of, mut referred) = (0, 0, 0);
        for url in &urls {
            let sector = json!({ "redirect_uris": [CALLBACK], "subject_type": "pairwise", "sector_identifier_uri": url });
            assert!(registered(world, sector, url).await.is_none(), "{url} was taken for a sector");

            let keys = json!({
                "grant_types": ["client_credentials"], "token_endpoint_auth_method": "private_key_jwt", "scope": "reports", "jwks_uri": url,
            });
            if let Some(shop) = registered(world, keys, url).await {
                fetched += 1;
                let assertion = key.sign(&machine_of(&shop.id).claims(world));
                present(world, &assertion).await.refused_oauth(401, "invalid_client");
            }

            let requests = json!({ "redirect_uris": [CALLBACK], "jwks": { "keys": [key.jwk()] }, "request_uris": [url] });
            if let Some(shop) = registered(world, requests, url).await {
                referred += 1;
                // There is time enough to fetch one more.
                world.clock.forward(1);
                let page = browser.get(&shop.request(&[("request_uri", url)])).await;
                assert_eq!(told(&page)["error"], "invalid_request_uri", "{url}");
            }

            let logouts = json!({
                "redirect_uris": [CALLBACK], "token_endpoint_auth_method": "client_secret_post", "consent": "first_party",
                "backchannel_logout_uri": url,
            });
            if let Some(shop) = registered(world, logouts, url).await {
                told_of += 1;
                let page = browser.get(&shop.request(&[("prompt", "none")])).await;
                shop.redeem(world, &told(&page)["code"]).await.is(200);
            }
        }
        // The guard was really asked: these spellings can be registered.
        assert!(fetched >= 10 && told_of >= 10 && referred >= 10, "{fetched}, {told_of} and {referred}");
        browser.get(&format!("/t/acme/oauth/end_session?id_token_hint={hint}")).await.is(200);
        let mut left = i64::MAX;
        for _ in 0..2_000 {
            left = untried(world).await;
            if left == 0 {
                break;
            }
            world.anon().get("/t/acme/.well-known/jwks.json").await.is(200);
        }
        assert_eq!(left, 0, "some are not tried");

        let own = TcpStream::connect(canary.local_addr().expect("an address")).await.expect("connected");
        let (_, comer) = canary.accept().await.expect("a connection");
        assert_eq!(comer, own.local_addr().expect("an address"), "somebody was here before");
    });
}
