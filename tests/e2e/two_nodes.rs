//! Two nodes on one PostgreSQL.

use std::sync::Arc;

use app::ports::world::Clock;
use domain::time::Ttl;
use reqwest::{Client, Method, RequestBuilder};
use serde_json::{Value, json};
use server::{Running, Settings};

use crate::world::MovedClock;

const KEYS: &str = "/admin/v1/tenants/acme/keys";
const JWKS: &str = "/t/acme/.well-known/jwks.json";

async fn node(database: &str, folder: &std::path::Path, clock: &Arc<MovedClock>) -> Running {
    let mut settings = Settings::defaults().expect("the defaults are good");
    let free = "127.0.0.1:0".parse().expect("an address");
    (settings.server.public_addr, settings.server.management_addr) = (free, free);
    settings.server.workers = 1;
    settings.server.shutdown_grace_seconds = 1;
    settings.server.base_url = "https://id.example".to_owned();
    settings.database.url = database.to_owned();
    settings.database.max_connections = 4;
    settings.keys.kek_file = folder.join("kek");
    settings.keys.rsa_pool = 0;
    let clock: Arc<dyn Clock> = clock.clone();
    server::start_at(settings, clock).await.expect("the server starts")
}

/// The key-encryption key that all nodes have: on a database that is shared nobody makes one.
pub(crate) fn give_kek(folder: &std::path::Path) {
    let kek = folder.join("kek");
    std::fs::write(&kek, "claviger-kek-1:nodes:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8\n").expect("written");
    std::fs::set_permissions(&kek, std::os::unix::fs::PermissionsExt::from_mode(0o600)).expect("private");
}

/// Both, on a database of their own; a token for the platform's administrator; the folder of their key-encryption key.
async fn two_nodes() -> ([Running; 2], String, tempfile::TempDir) {
    two_nodes_by(&Arc::default()).await
}

async fn two_nodes_by(clock: &Arc<MovedClock>) -> ([Running; 2], String, tempfile::TempDir) {
    let database = testkit::postgres::fresh_database().await;
    let folder = tempfile::tempdir().expect("a temporary folder");
    give_kek(folder.path());
    let nodes = [node(&database, folder.path(), clock).await, node(&database, folder.path(), clock).await];
    let token = nodes[0].admin_token(Ttl::hours(1)).await.expect("a token");
    (nodes, token, folder)
}

async fn answered(request: RequestBuilder, status: u16) -> Value {
    let answer = request.send().await.expect("an answer");
    assert_eq!(answer.status(), status);
    serde_json::from_str(&answer.text().await.expect("a text")).unwrap_or_default()
}

#[test]
fn a_slug_that_another_node_gave_to_a_new_tenant_soon_shows_the_new_keys() {
    actix_web::rt::System::new().block_on(async {
        let ([one, other], token, _folder) = two_nodes().await;
        let http = Client::builder().no_proxy().build().expect("a client");
        let create = || {
            let body = json!({ "slug": "acme", "name": "Acme" });
            answered(http.post(format!("{}/admin/v1/tenants", one.public_url)).bearer_auth(&token).json(&body), 201)
        };
        let keys_at = |node: &Running| answered(http.get(format!("{}{JWKS}", node.public_url)), 200);
        create().await;
        let before = keys_at(&other).await;
        let delete = http.delete(format!("{}/admin/v1/tenants/acme?confirm=acme", one.public_url)).bearer_auth(&token);
        answered(delete, 204).await;
        create().await;
        other.catch_up().await;
        let after = keys_at(&other).await;
        assert_ne!(after["keys"][0]["kid"], before["keys"][0]["kid"]);
        assert_eq!(after["keys"][0], keys_at(&one).await["keys"][0]);
        one.stop().await;
        other.stop().await;
    });
}

#[test]
fn where_a_client_runs_is_soon_known_to_the_other_node_and_is_forgotten_there() {
    actix_web::rt::System::new().block_on(async {
        let clock: Arc<MovedClock> = Arc::default();
        let ([one, other], token, _folder) = two_nodes_by(&clock).await;
        let http = Client::builder().no_proxy().build().expect("a client");
        let at_one = |method, path: &str| http.request(method, format!("{}{path}", one.public_url)).bearer_auth(&token);
        answered(at_one(Method::POST, "/admin/v1/tenants").json(&json!({ "slug": "acme", "name": "Acme" })), 201).await;
        let preflight = |status| {
            let request = http.request(Method::OPTIONS, format!("{}/t/acme/oauth/token", other.public_url));
            let request = request.header("origin", "https://app.example").header("access-control-request-method", "POST");
            answered(request, status)
        };
        preflight(403).await;
        let form = json!({ "redirect_uris": ["https://app.example/cb"], "token_endpoint_auth_method": "none" });
        let client = answered(at_one(Method::POST, "/admin/v1/tenants/acme/clients").json(&form), 201).await;
        clock.forward(2);
        preflight(204).await;
        let client = client["client_id"].as_str().expect("an id");
        answered(at_one(Method::DELETE, &format!("/admin/v1/tenants/acme/clients/{client}")), 204).await;
        clock.forward(30);
        preflight(403).await;
        one.stop().await;
        other.stop().await;
    });
}

/// One writes when it is told to, the other when it stops.
#[test]
fn what_two_nodes_have_seen_of_one_verifier_becomes_one_line() {
    actix_web::rt::System::new().block_on(async {
        let ([one, other], token, _folder) = two_nodes().await;
        let http = Client::builder().no_proxy().user_agent("resource-server/1").build().expect("a client");
        let tenant =
            http.post(format!("{}/admin/v1/tenants", one.public_url)).bearer_auth(&token).json(&json!({ "slug": "acme", "name": "Acme" }));
        assert_eq!(tenant.send().await.expect("an answer").status(), 201);
        for (running, times) in [(&one, 3), (&other, 2)] {
            for _ in 0..times {
                for label in [Some("gateway"), None] {
                    let request = http.get(format!("{}{JWKS}", running.public_url));
                    let request = label.into_iter().fold(request, |request, label| request.header("claviger-verifier", label));
                    assert_eq!(request.send().await.expect("an answer").status(), 200);
                }
            }
        }
        one.note_verifiers().await;
        other.stop().await;
        let seen = http.get(format!("{}{KEYS}/verifiers", one.public_url)).bearer_auth(&token).send().await.expect("an answer");
        let seen: Value = serde_json::from_str(&seen.text().await.expect("a text")).expect("JSON");
        let fetches: Vec<_> = seen["items"].as_array().expect("items").iter().map(|seen| seen["fetches"].clone()).collect();
        assert_eq!(fetches, [json!(5), json!(5)], "the same hash on both: {seen:#}");
        one.stop().await;
    });
}
