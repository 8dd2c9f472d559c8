//! The public listener by TLS: what it speaks, and how its certificate is replaced.

use std::path::Path;
use std::sync::Arc;

use reqwest::{Client, Version};
use server::Settings;

use crate::pki::{Authority, Held, loopback};
use crate::world::{MovedClock, World, in_world_by};

const METADATA: &str = "/t/acme/.well-known/openid-configuration";

/// Lets a server show this certificate.
pub(crate) fn show(held: &Held, folder: &Path, settings: &mut Settings) {
    (settings.tls.certificate, settings.tls.private_key) = (folder.join("tls.pem"), folder.join("tls.key"));
    std::fs::write(&settings.tls.certificate, &held.pem).expect("written");
    write_key(&settings.tls.private_key, &held.key_pem());
}

fn write_key(path: &Path, pem: &str) {
    std::fs::write(path, pem).expect("written");
    std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).expect("private");
}

async fn metric(world: &World, name: &str) -> i64 {
    let text = world.metrics().await;
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("no {name}")).parse::<f64>().expect("a number") as i64
}

#[test]
fn the_listener_speaks_tls_1_2_and_1_3_http_1_and_2_and_nothing_in_clear() {
    let (authority, folder) = (Authority::new("CA"), tempfile::tempdir().expect("a folder"));
    let held = authority.gives(loopback());
    in_world_by(
        authority.believer().build().expect("a client"),
        |settings| show(&held, folder.path(), settings),
        async |world| {
            assert!(world.base_url.starts_with("https://127.0.0.1:"), "{}", world.base_url);
            world.tenant("acme").await;
            let alice = world.alice("acme").await;
            world.bearing(&alice.access_token).get("/t/acme/me").await.is(200);
            assert_eq!(world.anon().get(METADATA).await.is(200).word("issuer"), format!("{}/t/acme", world.base_url));
            let address = format!("{}{METADATA}", world.base_url);
            for (builder, version) in [
                (authority.believer(), Version::HTTP_2),
                (authority.believer().http1_only(), Version::HTTP_11),
                (authority.believer().tls_version_max(reqwest::tls::Version::TLS_1_2), Version::HTTP_2),
                (authority.believer().tls_version_min(reqwest::tls::Version::TLS_1_3), Version::HTTP_2),
            ] {
                let answer = builder.build().expect("a client").get(&address).send().await.expect("an answer");
                assert_eq!((answer.status().as_u16(), answer.version()), (200, version));
            }
            let clear = Client::builder().no_proxy().build().expect("a client");
            assert!(clear.get(address.replacen("https", "http", 1)).send().await.is_err());
            assert!(Authority::new("CA").believer().build().expect("a client").get(&address).send().await.is_err(), "another authority");
        },
    );
}

#[test]
fn a_new_certificate_is_shown_without_a_restart_and_a_broken_one_is_not() {
    let [first, second] = ["one", "two"].map(Authority::new);
    let (old, new, folder) = (first.gives(loopback()), second.gives(loopback()), tempfile::tempdir().expect("a folder"));
    let (certificate, key) = (folder.path().join("tls.pem"), folder.path().join("tls.key"));
    // Whoever comes anew makes a handshake of their own.
    let is_shown = async |world: &World, authority: &Authority| {
        let fresh = authority.believer().build().expect("a client");
        fresh.get(format!("{}{METADATA}", world.base_url)).send().await.is_ok()
    };
    in_world_by(
        first.believer().build().expect("a client"),
        |settings| show(&old, folder.path(), settings),
        async |world| {
            world.tenant("acme").await;
            assert!(is_shown(world, &first).await);
            let (expiry, failures) = ("claviger_tls_certificate_expiry_timestamp_seconds", "claviger_tls_reload_failures_total");
            assert_eq!(metric(world, expiry).await, 3_976_214_400);
            world.reread_certificates();
            assert_eq!(metric(world, failures).await, 0, "nothing has changed");

            let mut over = loopback();
            over.not_after = rcgen::date_time_ymd(2026, 2, 1);
            let over = second.gives(over);
            let broken = |what: &str| match what {
                "no PEM" => {
                    std::fs::write(&certificate, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n").expect("written")
                }
                "half of it" => std::fs::write(&certificate, &old.pem[..old.pem.len() / 2]).expect("written"),
                "empty" => std::fs::write(&certificate, "").expect("written"),
                "gone" => std::fs::remove_file(&certificate).expect("removed"),
                // The moment between the two files of a pair.
                "the key of another" => std::fs::write(&certificate, &new.pem).expect("written"),
                "over" => {
                    std::fs::write(&certificate, &over.pem).expect("written");
                    write_key(&key, &over.key_pem());
                }
                what => {
                    assert_eq!(what, "a key for everybody");
                    std::fs::write(&certificate, &new.pem).expect("written");
                    std::fs::write(&key, new.key_pem()).expect("written");
                    std::fs::set_permissions(&key, std::os::unix::fs::PermissionsExt::from_mode(0o604)).expect("open");
                }
            };
            let ways = ["no PEM", "half of it", "empty", "gone", "the key of another", "over", "a key for everybody"];
            for (count, what) in (1..).zip(ways) {
                broken(what);
                world.reread_certificates();
                assert_eq!(metric(world, failures).await, count, "{what}");
                assert!(is_shown(world, &first).await && !is_shown(world, &second).await, "{what}");
            }
            // SIGHUP makes all servers of this process look; when they have done so is not for us to say.
            write_key(&key, &new.key_pem());
            let hung_up = std::process::Command::new("kill").args(["-HUP", &std::process::id().to_string()]).status().expect("kill runs");
            assert!(hung_up.success());
            let heard = async { while !is_shown(world, &second).await {} };
            tokio::time::timeout(std::time::Duration::from_secs(30), heard).await.expect("SIGHUP is heard");
            assert!(is_shown(world, &second).await && !is_shown(world, &first).await);
            assert_eq!(metric(world, failures).await, 7);
            // A connection that was there goes on.
            world.anon().get(METADATA).await.is(200);
        },
    );
}

#[test]
fn a_pair_that_cannot_be_used_stops_the_start() {
    let (authority, folder) = (Authority::new("CA"), tempfile::tempdir().expect("a folder"));
    let (held, other) = (authority.gives(loopback()), authority.gives(loopback()));
    let refused = |change: &dyn Fn(&mut Settings)| {
        let mut settings = Settings::defaults().expect("good");
        let free = "127.0.0.1:0".parse().expect("an address");
        (settings.server.public_addr, settings.server.management_addr) = (free, free);
        settings.database.url = format!("sqlite:{}", folder.path().join("claviger.db").display());
        settings.keys.kek_file = folder.path().join("kek");
        show(&held, folder.path(), &mut settings);
        change(&mut settings);
        let started = actix_web::rt::System::new().block_on(server::start_at(settings, Arc::<MovedClock>::default()));
        let error = started.expect_err("refused").to_string();
        assert!(!folder.path().join("claviger.db").exists() && !folder.path().join("kek").exists(), "nothing was made");
        error
    };
    let open = |settings: &mut Settings| {
        std::fs::set_permissions(&settings.tls.private_key, std::os::unix::fs::PermissionsExt::from_mode(0o644)).expect("open");
    };
    assert!(refused(&open).contains("chmod o-rwx"));
    let mismatched = |settings: &mut Settings| write_key(&settings.tls.private_key, &other.key_pem());
    assert!(refused(&mismatched).contains("is not the certificate of tls.private_key"));
    assert!(refused(&|settings| settings.tls.private_key = folder.path().join("none")).contains("tls.private_key"));
    assert!(refused(&|settings| settings.tls.client_ca_file = settings.tls.private_key.clone()).contains("tls.client_ca_file"));
    let garbage = |settings: &mut Settings| {
        write_key(&settings.tls.private_key, "-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\n")
    };
    let error = refused(&garbage);
    assert!(error.contains("tls.private_key") && !error.contains("c2VjcmV0") && !error.contains("secret"), "{error}");
}

#[test]
fn one_connection_has_a_hundred_requests_worked_on_at_a_time() {
    let (authority, folder) = (Authority::new("CA"), tempfile::tempdir().expect("a folder"));
    let held = authority.gives(loopback());
    in_world_by(
        authority.believer().build().expect("a client"),
        |settings| show(&held, folder.path(), settings),
        async |world| {
            world.tenant("acme").await;
            let one = authority.believer().http2_prior_knowledge().build().expect("a client");
            let get = async || one.get(format!("{}{METADATA}", world.base_url)).send().await.expect("an answer").status().as_u16();
            // The one connection is there before the many requests come.
            assert_eq!(get().await, 200);
            let begun: Vec<_> = (0..100)
                .map(|_| {
                    let endless = futures_util::stream::pending::<Result<Vec<u8>, std::io::Error>>();
                    let request = one
                        .post(format!("{}/t/acme/oauth/token", world.base_url))
                        .header("content-type", "application/x-www-form-urlencoded");
                    actix_web::rt::spawn(request.body(reqwest::Body::wrap_stream(endless)).send())
                })
                .collect();
            let comes = async |status: u16| {
                let turns = async { while get().await != status {} };
                tokio::time::timeout(std::time::Duration::from_secs(20), turns).await.unwrap_or_else(|_| panic!("no {status}"));
            };
            comes(503).await;
            // Others have connections of their own.
            world.anon().get(METADATA).await.is(200);
            for request in begun {
                request.abort();
            }
            comes(200).await;
        },
    );
}
