//! The account and the way back into it, in a real browser: with JavaScript and without, by day and by night, wide and narrow.
//!
//! Needs Chromium (or its path in `CHROMIUM`) and Node.js. Pictures are left in cargo's folder for test files.

use std::path::{Path, PathBuf};

use serde_json::json;

use crate::device;
use crate::foreign_verifiers::node_with;
use crate::mail::{asked, with_relay};
use crate::oidc::{client, shop};
use crate::world::{PASSWORD, in_world};

/// The browser to drive.
pub(crate) fn chromium() -> PathBuf {
    let name = std::env::var_os("CHROMIUM").unwrap_or_else(|| "chromium".into());
    let folders = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&folders).map(|folder| folder.join(&name)).find(|file| file.is_file());
    let given = Some(PathBuf::from(&name)).filter(|path| path.is_file());
    found.or(given).expect("Chromium is needed. Debian and Ubuntu: apt-get install chromium; or put its path into CHROMIUM")
}

/// `script` is `with` or `without`.
fn goes_through(script: &str) {
    with_relay(async |world, relay| {
        shop(world, json!({})).await;
        world.sign_in("acme", "alice").await;
        let branding = json!({
            "display_name": "Northwind Health", "accent": "#0f766e", "background": "#e7f2ef", "support_email": "help@northwind.example",
        });
        world.platform_admin().put("/admin/v1/tenants/acme/branding", branding).await.is(200);
        asked(world, "alice").await.is(303);
        let issuer = format!("{}/t/acme", world.base_url);
        let link = relay.mails(1).await[0].link(&format!("{issuer}/password/reset/"));
        let pictures = Path::new(env!("CARGO_TARGET_TMPDIR")).join("live-pages");
        std::fs::create_dir_all(&pictures).expect("a writable folder");
        let party = node_with("axe-4.14.1", &["puppeteer-core@24.43.1", "axe-core@4.14.1"], "live_pages.mjs").await;
        let (pictures, chromium) = (pictures.display().to_string(), chromium().display().to_string());
        let output = party.command(&[&issuer, PASSWORD, &link, &pictures, script, &chromium]).output().await.expect("Node.js runs");
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && said.contains("nothing wrong"), "{said}{}", String::from_utf8_lossy(&output.stderr));
    });
}

#[test]
fn in_chromium_a_user_looks_after_the_account_and_gets_back_into_it() {
    goes_through("with");
}

#[test]
fn in_chromium_without_javascript_all_of_it_works_too() {
    goes_through("without");
}

/// Several accounts, a password that has to be changed, and a device.
fn goes_through_accounts(script: &str) {
    in_world(async |world| {
        let photos = shop(world, json!({ "client_name": "Photos", "consent": "third_party" })).await;
        world.user("acme", "bob", &[]).await;
        let carol = json!({ "username": "carol", "password": PASSWORD, "must_change": true });
        world.platform_admin().post("/admin/v1/tenants/acme/users", carol).await.is(201);
        world.policy("acme", json!({ "device_authorization": true })).await;
        let television = client(world, device::television()).await;
        let asked = device::ask(world, &television).await;
        let issuer = format!("{}/t/acme", world.base_url);
        let authorize = format!("{}{}", world.base_url, photos.request(&[]));
        let pictures = Path::new(env!("CARGO_TARGET_TMPDIR")).join("live-pages");
        std::fs::create_dir_all(&pictures).expect("a writable folder");
        let party = node_with("axe-4.14.1", &["puppeteer-core@24.43.1", "axe-core@4.14.1"], "live_pages.mjs").await;
        let (pictures, chromium) = (pictures.display().to_string(), chromium().display().to_string());
        let code = asked["user_code"].as_str().expect("a code");
        let arguments = [issuer.as_str(), PASSWORD, "", &pictures, script, &chromium, &authorize, code];
        let output = party.command(&arguments).output().await.expect("Node.js runs");
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && said.contains("nothing wrong"), "{said}{}", String::from_utf8_lossy(&output.stderr));
    });
}

#[test]
fn in_chromium_a_user_chooses_accounts_and_a_new_password_and_signs_a_device_in_by_keyboard() {
    goes_through_accounts("with");
}

#[test]
fn in_chromium_without_javascript_accounts_new_passwords_and_devices_work_too() {
    goes_through_accounts("without");
}
