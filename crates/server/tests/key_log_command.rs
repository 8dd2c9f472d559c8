//! `claviger keys audit-log verify` as a program: what it says, what it keeps, and what it ends with.

use std::process::Output;

use domain::time::Ttl;
use reqwest::Client;
use serde_json::json;
use server::{Running, Settings};
use tokio::process::Command;

async fn verify(issuer: &str, more: &[&str]) -> (Output, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_claviger"));
    command.args(["keys", "audit-log", "verify", "--issuer", issuer]).args(more).env("NO_PROXY", "127.0.0.1").env("no_proxy", "127.0.0.1");
    let output = command.output().await.expect("the command runs");
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    (output, said)
}

async fn post(running: &Running, path: &str, body: serde_json::Value) {
    let admin = running.admin_token(Ttl::hours(1)).await.expect("a token");
    let client = Client::builder().no_proxy().build().expect("a client");
    let answer = client.post(format!("{}/admin/v1/tenants{path}", running.base_url)).bearer_auth(admin).json(&body).send().await;
    assert!(answer.expect("an answer").status().is_success(), "{path}");
}

#[test]
fn the_command_keeps_what_it_saw_and_ends_with_2_on_an_alarm() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut settings = Settings::defaults().expect("the defaults are good");
    let free = "127.0.0.1:0".parse().expect("an address");
    (settings.server.public_addr, settings.server.management_addr) = (free, free);
    settings.server.base_url.clear();
    settings.server.workers = 1;
    settings.server.shutdown_grace_seconds = 1;
    settings.database.url = format!("sqlite:{}", folder.path().join("claviger.db").display());
    settings.keys.kek_file = folder.path().join("kek");
    settings.keys.rsa_pool = 0;
    actix_web::rt::System::new().block_on(async {
        let running = server::start(settings).await.expect("the server starts");
        for slug in ["acme", "globex"] {
            post(&running, "", json!({ "slug": slug, "name": slug })).await;
        }
        let [acme, globex] = ["acme", "globex"].map(|slug| format!("{}/t/{slug}", running.base_url));
        let kept = |slug: &str| folder.path().join(slug);
        let (file, other) = (kept("acme"), kept("globex"));
        let (since, since_other) = (["--since", file.to_str().expect("a path")], ["--since", other.to_str().expect("a path")]);

        let (output, said) = verify(&acme, &since).await;
        assert_eq!(output.status.code(), Some(0), "{said}");
        assert!(said.contains("trusted because it was seen first"), "{said}");
        let first = std::fs::read_to_string(&file).expect("kept");
        let vkey = first.lines().next().expect("a line").to_owned();

        post(&running, "/acme/keys/rotate", json!({ "algs": ["ES256"] })).await;
        for (more, is_new) in [(&since[..], true), (&since[..], false), (&["--vkey", vkey.as_str()][..], false)] {
            let (output, said) = verify(&acme, more).await;
            assert_eq!(output.status.code(), Some(0), "{said}");
            assert!(!said.contains("trusted because"), "{said}");
            assert_eq!(said.contains(" 2 of them new"), is_new, "{said}");
        }
        let second = std::fs::read_to_string(&file).expect("kept");
        assert_ne!(second, first);

        assert_eq!(verify(&globex, &since_other).await.0.status.code(), Some(0));
        let theirs = std::fs::read_to_string(&other).expect("kept");
        let (output, said) = verify(&acme, &since_other).await;
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains("ALARM  CHANGED LOG KEY") && said.contains(&vkey), "{said}");
        assert_eq!(std::fs::read_to_string(&other).expect("kept"), theirs, "what is wrong is not remembered as right");

        assert_eq!(verify("http://127.0.0.1:1/t/acme", &since).await.0.status.code(), Some(1), "nobody there");
        for damaged in ["rubbish".to_owned(), second.replace('1', "2")] {
            std::fs::write(&file, damaged).expect("written");
            let (output, said) = verify(&acme, &since).await;
            assert_eq!(output.status.code(), Some(1), "a damaged file is no first use: {said}");
        }
        running.stop().await;
    });
}
