//! A start that cannot work: it ends, says which setting it is about and what to do, and changes nothing.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Output;

use crate::node::{Site, write_kek};

const OTHER_KEK: &str = "claviger-kek-1:other:Hx4dHBsaGRgXFhUUExIREA8ODQwLCgkIBwYFBAMCAQA\n";
const NOWHERE: &str = "postgres://claviger:unspeakable@127.0.0.1:1/claviger";

/// Files and folders with their modes and contents, but for SQLite's index and empty log, which hold nothing.
fn seen(folder: &Path) -> BTreeMap<PathBuf, (u32, Vec<u8>)> {
    let mut all = BTreeMap::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        let mode = entry.metadata().expect("metadata").permissions().mode();
        let content = if path.is_file() { std::fs::read(&path).expect("readable") } else { Vec::new() };
        if path.is_dir() {
            all.extend(seen(&path));
        }
        let name = entry.file_name().to_string_lossy().into_owned();
        let is_nothing = name.ends_with("-shm") || (name.ends_with("-wal") && content.is_empty());
        if !is_nothing {
            all.insert(path, (mode, content));
        }
    }
    all
}

/// An installation on SQLite that has served before and holds a tenant.
async fn used_site() -> Site {
    let site = Site::sqlite();
    let node = site.start().await;
    node.caller().bearing(&site.admin_token()).make_tenant().await;
    node.stop().await;
    site
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// Insists that neither the server nor the doctor puts up with it, that both say `words`, and that nothing has changed.
async fn refuses(what: &str, site: &Site, words: &[&str]) {
    refuses_to_serve(what, site, words).await;
    let before = seen(&site.data());
    let doctor = site.run(&["doctor"]);
    let text = said(&doctor);
    assert!(!doctor.status.success(), "{what}: the doctor found nothing: {text}");
    assert!(text.contains("FAIL"), "{what}: {text}");
    for word in words {
        assert!(text.contains(word), "{what}: the doctor does not say '{word}': {text}");
    }
    assert!(!text.contains("unspeakable"), "{what}: the doctor tells a password: {text}");
    assert_eq!(before, seen(&site.data()), "{what}: the doctor changed something");
}

async fn refuses_to_serve(what: &str, site: &Site, words: &[&str]) {
    let before = seen(&site.data());
    let ended = match site.try_start().await {
        Ok(node) => panic!("{what}: it serves: {}", node.last_words()),
        Err(ended) => ended,
    };
    assert_eq!(ended.status.code(), Some(1), "{what}: {}", ended.log);
    for word in words {
        assert!(ended.log.contains(word), "{what}: the start does not say '{word}': {}", ended.log);
    }
    assert!(!ended.log.contains("unspeakable"), "{what}: the start tells a password: {}", ended.log);
    assert!(!ended.log.contains("panicked"), "{what}: {}", ended.log);
    let after = seen(&site.data());
    assert_eq!(before.keys().collect::<Vec<_>>(), after.keys().collect::<Vec<_>>(), "{what}: other files");
    assert_eq!(before, after, "{what}: a file was changed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_encryption_key_that_is_not_the_right_one_stops_the_start() {
    let site = used_site().await;
    let kek = std::fs::read_to_string(site.kek()).expect("a key");
    let names = ["keys.kek_file", "CLAVIGER__KEYS__KEK_FILE"];

    std::fs::remove_file(site.kek()).expect("removed");
    refuses("missing", &site, &[&names[..], &["is missing", "Bring the file back"]].concat()).await;
    write_kek(&site.kek(), OTHER_KEK, 0o600);
    refuses("wrong", &site, &[&names[..], &["sealed with"]].concat()).await;
    write_kek(&site.kek(), "not a key at all\n", 0o600);
    refuses("malformed", &site, &[&names[..], &["not a key-encryption key", "claviger-kek-1:"]].concat()).await;
    write_kek(&site.kek(), &kek[..kek.len() - 9], 0o600);
    refuses("cut short", &site, &[&names[..], &["not a key-encryption key"]].concat()).await;
    write_kek(&site.kek(), &kek, 0o640);
    refuses("open to the group", &site, &[&names[..], &["chmod 600", "0640"]].concat()).await;

    // And the right one is still good.
    write_kek(&site.kek(), &kek, 0o400);
    site.start().await.stop().await;
    let doctor = site.run(&["doctor"]);
    assert!(doctor.status.success() && !said(&doctor).contains("FAIL"), "{}", said(&doctor));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_first_start_with_a_bad_key_encryption_key_makes_no_database() {
    let site = Site::sqlite();
    std::fs::create_dir(site.data()).expect("a folder");
    write_kek(&site.kek(), "claviger-kek-1:short:AAAA\n", 0o600);
    refuses("malformed", &site, &["keys.kek_file", "not a key-encryption key"]).await;
    assert_eq!(seen(&site.data()).len(), 1, "only the key is there");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_setting_that_nobody_knows_or_that_makes_no_sense_stops_the_start() {
    for (name, value, words) in [
        ("SERVER__PUBLIC_ADRR", "127.0.0.1:0", ["server.public_adrr", "unknown"]),
        ("SEVER__PUBLIC_ADDR", "127.0.0.1:0", ["`sever`", "unknown"]),
        ("SERVER__WORKERS", "many", ["server.workers", "config/base.toml"]),
        ("SERVER__PUBLIC_ADDR", "localhost", ["server.public_addr", "config/base.toml"]),
        ("KEYS__SWEEP_INTERVAL_SECONDS", "0", ["keys.sweep_interval_seconds", "CLAVIGER__KEYS__SWEEP_INTERVAL_SECONDS"]),
        ("DATABASE__URL", "mysql://claviger:unspeakable@db/claviger", ["database.url", "postgres://"]),
        ("DATABASE__URL", "postgres://claviger:un/unspeakable@db/claviger", ["database.url", "%2F"]),
        ("SERVER__BASE_URL", "https://id.example.com/", ["server.base_url", "slash"]),
        ("LOG__LEVEL", "warning", ["log.level", "must be error, warn"]),
    ] {
        let mut site = Site::sqlite();
        site.set(name, value);
        refuses(name, &site, &words).await;
        assert!(!site.data().exists(), "{name}: a folder was made");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_postgres_that_cannot_be_reached_stops_the_start() {
    let mut site = Site::postgres(NOWHERE);
    refuses("not reachable", &site, &["database.url", "CLAVIGER__DATABASE__URL", "127.0.0.1:1", "refused"]).await;
    site.set("DATABASE__URL", "postgres://claviger:unspeakable@no-such-host.invalid/claviger");
    refuses("not resolvable", &site, &["database.url", "no-such-host.invalid"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_is_given_no_key_encryption_key_that_nobody_brought() {
    let url = testkit::postgres::fresh_database().await;
    let site = Site::postgres(&url);
    std::fs::remove_file(site.kek()).expect("removed");
    refuses("missing", &site, &["keys.kek_file"]).await;
    refuses_to_serve("missing", &site, &["CLAVIGER__KEYS__KEK_FILE", "every node needs the same one", "openssl rand"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_that_is_taken_stops_the_start() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = taken.local_addr().expect("an address").to_string();
    for (name, setting) in [("SERVER__PUBLIC_ADDR", "server.public_addr"), ("SERVER__MANAGEMENT_ADDR", "server.management_addr")] {
        let mut site = Site::sqlite();
        site.set(name, &address);
        refuses_to_serve(name, &site, &[setting, &address, "another server"]).await;
        assert!(!site.data().exists(), "{name}: a folder was made");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_else_can_read_what_a_first_start_makes() {
    let site = Site::sqlite();
    // There is nothing to find fault with before it.
    let doctor = site.run(&["doctor"]);
    assert!(doctor.status.success() && said(&doctor).contains("the first `claviger serve` makes"), "{}", said(&doctor));
    assert!(!site.data().exists(), "the doctor makes nothing");
    let node = site.start().await;
    node.caller().bearing(&site.admin_token()).make_tenant().await;
    let mode =
        |path: &Path| std::fs::metadata(path).unwrap_or_else(|error| panic!("{}: {error}", path.display())).permissions().mode() & 0o777;
    assert_eq!(mode(&site.data()), 0o700);
    for name in ["claviger.db", "claviger.db-wal", "claviger.db-shm", "kek"] {
        assert_eq!(mode(&site.data().join(name)), 0o600, "{name}");
    }
    // Beside a running server, the doctor looks and leaves it alone.
    let doctor = site.run(&["doctor"]);
    assert!(doctor.status.success(), "{}", said(&doctor));
    node.caller().bearing(&site.admin_token()).make_user("alice").await;
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_role_that_row_level_security_does_not_hold_for_is_told_of() {
    let url = testkit::postgres::fresh_database().await;
    for (url, passes) in [(url.clone(), false), (url.replace("claviger_test@", "postgres@"), true)] {
        let site = Site::postgres(&url);
        let node = site.start().await;
        assert_eq!(node.last_words().contains("NOBYPASSRLS"), passes, "{}", node.last_words());
        let doctor = site.run(&["doctor"]);
        assert_eq!((doctor.status.success(), said(&doctor).contains("NOBYPASSRLS")), (!passes, passes), "{}", said(&doctor));
        assert!(said(&doctor).contains("ok    clocks"), "{}", said(&doctor));
        node.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_cannot_be_written_is_an_error_and_no_panic() {
    let site = used_site().await;
    for arguments in [&["doctor"][..], &["admin", "token"], &["kek", "status"], &["migrate"]] {
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full").expect("a full disk");
        let told = site.run_into(arguments, full.into());
        assert_eq!(told.status.code(), Some(1), "{arguments:?}: {}", said(&told));
        assert!(said(&told).contains("standard output cannot be written") && !said(&told).contains("panicked"), "{}", said(&told));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_import_of_a_file_that_is_not_there_makes_nothing() {
    let site = Site::sqlite();
    let told = site.run(&["tenants", "import", "/no/such/file"]);
    assert!(told.status.code() == Some(1) && said(&told).contains("/no/such/file cannot be read"), "{}", said(&told));
    assert!(!site.data().exists(), "a folder was made");
}
