//! A collector that takes connections and never answers: requests do not notice, and the end comes in time.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use server::{Settings, Telemetry};

#[test]
fn a_collector_that_never_answers_harms_no_request_and_holds_up_the_end_for_a_bounded_time() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    // Connections wait in its backlog for ever.
    let silent = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let mut settings = Settings::defaults().expect("the defaults are good");
    let free = "127.0.0.1:0".parse().expect("an address");
    (settings.server.public_addr, settings.server.management_addr) = (free, free);
    settings.server.base_url.clear();
    settings.server.workers = 1;
    settings.database.url = format!("sqlite:{}", folder.path().join("claviger.db").display());
    settings.keys.kek_file = folder.path().join("kek");
    settings.keys.rsa_pool = 0;
    settings.telemetry.otlp_endpoint = format!("http://{}/v1/traces", silent.local_addr().expect("an address"));
    let telemetry = Telemetry::start(&settings).expect("it starts");
    actix_web::rt::System::new().block_on(async {
        let running = server::start(settings).await.expect("the server starts");
        let client = reqwest::Client::builder().no_proxy().build().expect("a client");
        // More than the exporter's queue and one batch hold.
        for _ in 0..4_000 {
            let answer = client.get(format!("{}/t/nowhere/.well-known/jwks.json", running.base_url)).send().await.expect("an answer");
            assert_eq!(answer.status().as_u16(), 404);
        }
        running.stop().await;
        let begun = Instant::now();
        telemetry.stop().await;
        assert!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());
    });
}
