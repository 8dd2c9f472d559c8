//! Every provider that can be had here, as the settings name it: it becomes the primary one, and then the only one.
//!
//! Invariant: the program that is started is the real one, with the settings of a file.

use std::path::Path;
use std::process::{Command, Output};

use crate::stage::{Backend, Place, custody, node, play, refused, said, tenant, write_secret};

/// A toy that is bound to its context all the same.
const TOY: &str = r#"#!/usr/bin/env python3
import base64, hashlib, json, os, sys
question = json.load(sys.stdin)
if sys.argv[1:] != ["--key", "a b"] or os.environ.get("REGION") != "here" or "OTHER" in os.environ: sys.exit(9)
decode = lambda name: base64.b64decode(question[name])
mask = hashlib.sha256(b"toy" + question["key_id"].encode() + decode("context")).digest()
tag = lambda text: hashlib.sha256(mask + text).digest()
encode = lambda name, value: print(json.dumps({name: base64.b64encode(value).decode()}))
if question["operation"] == "wrap":
    text = bytes(a ^ b for a, b in zip(decode("plaintext"), mask))
    encode("ciphertext", text + tag(text))
else:
    wrapped = decode("ciphertext")
    if tag(wrapped[:32]) != wrapped[32:]: sys.exit(3)
    encode("plaintext", bytes(a ^ b for a, b in zip(wrapped[:32], mask)))
"#;

fn claviger(place: &Place, config: &Path, args: &[&str], environment: &[(&str, &str)]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_claviger"))
        .arg("--config")
        .arg(config)
        .args(args)
        .env("CLAVIGER__DATABASE__URL", &place.url)
        .env("CLAVIGER__LOG__LEVEL", "warn")
        .envs(environment.iter().copied())
        .output()
        .expect("claviger runs")
}

/// Two tenants under a key of a file; then the provider `table` takes over, and the file goes.
fn becomes_the_only_one(place: &Place, id: &str, provider: &str, table: &str, environment: &[(&str, &str)]) {
    let first = keys::kek::LocalKek::generate(&server::SystemEntropy);
    let old: std::sync::Arc<dyn keys::kek::Kek> =
        std::sync::Arc::new(keys::kek::LocalKek::from_file_text(first.to_file_text().expose()).expect("a key"));
    write_secret(&place.kek_file(), first.to_file_text().expose());
    actix_web::rt::System::new().block_on(async {
        let store = place.store().await;
        let node = node(std::sync::Arc::new(store.clone()), &custody(&[&old]).await);
        app::ports::keys::Keys::installation_mac(node.as_ref(), b"").await.expect("the installation's own secrets");
        for _ in 0..2 {
            tenant(&store, &node).await;
        }
        node.shutdown().await;
        store.database().close().await.expect("closed");
    });

    let config = place.folder.path().join("claviger.toml");
    let write = |kek_file: &str| {
        let text =
            format!("[keys]\nkek_file = \"{kek_file}\"\nprimary_kek = \"{id}\"\n[keys.keks.{id}]\nprovider = \"{provider}\"\n{table}\n");
        std::fs::write(&config, text).expect("written");
    };
    write(&place.kek_file().display().to_string());
    let status = said(claviger(place, &config, &["kek", "status"], environment));
    let line = status.lines().find(|line| line.starts_with(id)).unwrap_or_else(|| panic!("{status}"));
    assert!(line.contains("primary, works"), "{status}");
    let why = refused(claviger(place, &config, &["kek", "retire", keys::kek::Kek::id(&first)], environment));
    assert!(why.contains("3 data keys are still wrapped"), "{why}");
    let rotated = said(claviger(place, &config, &["kek", "rotate"], environment));
    assert!(rotated.contains("3 wrapped, 0 by other runners, 0 failed"), "{rotated}");
    said(claviger(place, &config, &["kek", "retire", keys::kek::Kek::id(&first)], environment));
    write("");
    std::fs::remove_file(place.kek_file()).expect("removed");
    let doctor = said(claviger(place, &config, &["doctor"], environment));
    assert!(doctor.contains("the secrets of 2 tenants and of the installation open"), "{doctor}");
    // Without it there is nothing.
    std::fs::write(&config, "[keys]\nkek_file = \"kek-that-is-not-there\"\n").expect("written");
    refused(claviger(place, &config, &["doctor"], environment));
}

fn place() -> Place {
    // The database is a file: it needs no runtime to be named.
    let mut made = None;
    play(async |backend| made = Some(Place::new(backend).await), Backend::Sqlite);
    made.expect("a place")
}

#[test]
fn a_file_becomes_the_only_one() {
    let (place, kek) = (place(), keys::kek::LocalKek::generate(&server::SystemEntropy));
    let path = place.folder.path().join("other");
    write_secret(&path, kek.to_file_text().expose());
    becomes_the_only_one(&place, keys::kek::Kek::id(&kek), "file", &format!("path = \"{}\"", path.display()), &[]);
}

#[test]
fn the_environment_becomes_the_only_one() {
    let (place, kek) = (place(), keys::kek::LocalKek::generate(&server::SystemEntropy));
    let text = kek.to_file_text().expose().clone();
    becomes_the_only_one(&place, keys::kek::Kek::id(&kek), "env", "variable = \"THE_KEK\"", &[("THE_KEK", &text)]);
}

#[test]
fn a_program_becomes_the_only_one() {
    use std::os::unix::fs::PermissionsExt;
    let place = place();
    let program = place.folder.path().join("wrap");
    std::fs::write(&program, TOY).expect("written");
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o700)).expect("made executable");
    let table = format!("program = \"{}\"\nargs = [\"--key\", \"a b\"]\nenv = [\"REGION\"]\ntimeout_seconds = 60", program.display());
    becomes_the_only_one(&place, "kms-1", "command", &table, &[("REGION", "here"), ("OTHER", "not to be seen")]);
}

/// Where distributions put SoftHSM's module.
const MODULES: [&str; 4] = [
    "/usr/lib/softhsm/libsofthsm2.so",
    "/usr/lib64/softhsm/libsofthsm2.so",
    "/usr/lib64/pkcs11/libsofthsm2.so",
    "/opt/homebrew/lib/softhsm/libsofthsm2.so",
];

#[test]
fn an_hsm_becomes_the_only_one() {
    let module = MODULES.into_iter().find(|module| Path::new(module).exists());
    let module = module.expect("SoftHSM is not installed, and this test needs an HSM: `apt-get install softhsm2`");
    let place = place();
    let folder = place.folder.path();
    let (tokens, conf, key) = (folder.join("tokens"), folder.join("softhsm2.conf"), folder.join("aes"));
    std::fs::create_dir(&tokens).expect("a folder");
    std::fs::write(&conf, format!("directories.tokendir = {}\nobjectstore.backend = file\nlog.level = ERROR\n", tokens.display()))
        .expect("written");
    let conf = conf.display().to_string();
    let softhsm =
        |args: &[&str]| said(Command::new("softhsm2-util").args(args).env("SOFTHSM2_CONF", &conf).output().expect("softhsm2-util runs"));
    softhsm(&["--init-token", "--free", "--label", "claviger", "--so-pin", "12345678", "--pin", "876543"]);
    write_secret(&key, "0123456789abcdef0123456789abcdef");
    let path = key.display().to_string();
    softhsm(&["--import", &path, "--aes", "--token", "claviger", "--label", "kek-1", "--id", "01", "--pin", "876543"]);
    let pin_file = folder.join("pin");
    write_secret(&pin_file, "876543\n");
    let table = |label: &str| {
        let pin_file = pin_file.display();
        format!("module = \"{module}\"\ntoken_label = \"claviger\"\nkey_label = \"{label}\"\npin_file = \"{pin_file}\"")
    };
    let environment = [("SOFTHSM2_CONF", conf.as_str())];
    becomes_the_only_one(&place, "hsm-1", "pkcs11", &table("kek-1"), &environment);

    let config = folder.join("claviger.toml");
    std::fs::write(&config, format!("[keys]\nkek_file = \"\"\n[keys.keks.hsm-1]\nprovider = \"pkcs11\"\n{}\n", table("kek-2")))
        .expect("written");
    let status = claviger(&place, &config, &["kek", "status"], &environment);
    let text = String::from_utf8_lossy(&status.stdout).into_owned();
    assert!(!status.status.success() && text.contains("0 AES keys `kek-2`"), "{text}");
    assert!(!text.contains("876543"), "the PIN is nobody's to see");
}
