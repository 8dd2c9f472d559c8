//! Apache protects a page on loopback with mod_auth_openidc: log in, see who is logged in, log out.
//!
//! Needs Apache with that module, Chromium and Node.js; installs nothing of it but Node's packages.

use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use crate::foreign_verifiers::node_with;
use crate::live_pages::chromium;
use crate::oidc::{Shop, shop};
use crate::world::{PASSWORD, in_world};

const MISSING: &str =
    "Apache 2.4 with mod_auth_openidc is needed. Debian and Ubuntu: apt-get install apache2-bin libapache2-mod-auth-openidc";
const START_PATIENCE: Duration = Duration::from_secs(30);
const MODULES: [&str; 8] = ["mpm_event", "authn_core", "authz_core", "authz_user", "mime", "dir", "include", "auth_openidc"];

fn program() -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    // Where Debian puts it, which is not in everybody's PATH.
    let folders: Vec<_> = std::env::split_paths(&path).chain([PathBuf::from("/usr/sbin")]).collect();
    let programs = ["apache2", "httpd"].iter().flat_map(|name| folders.iter().map(move |folder| folder.join(name)));
    programs.into_iter().find(|program| program.is_file()).expect(MISSING)
}

fn modules() -> PathBuf {
    let places = ["/usr/lib/apache2/modules", "/usr/lib64/httpd/modules", "/usr/lib/httpd/modules"].map(PathBuf::from);
    places.into_iter().find(|folder| folder.join("mod_auth_openidc.so").is_file()).expect(MISSING)
}

/// A server of the test's own, as one process, gone with it.
struct Apache {
    url: String,
    /// Apache's files.
    _home: TempDir,
    _child: Child,
}

/// A folder that whoever Apache runs as may read.
fn home() -> TempDir {
    let home = tempfile::tempdir().expect("a temporary folder");
    let open = std::fs::Permissions::from_mode(0o755);
    for folder in ["", "www", "www/protected"] {
        let folder = home.path().join(folder);
        std::fs::create_dir_all(&folder).expect("a writable folder");
        std::fs::set_permissions(folder, open.clone()).expect("its own folder");
    }
    let pages = [
        ("www/protected/index.shtml", "<!doctype html><title>Protected</title><p>Hello, <!--#echo var=\"REMOTE_USER\" -->!</p>".to_owned()),
        ("www/bye.html", "<!doctype html><title>Bye</title><p>Good bye.</p>".to_owned()),
        ("types", "text/html html shtml\n".to_owned()),
    ];
    for (name, text) in pages {
        std::fs::write(home.path().join(name), text).expect("a writable folder");
    }
    home
}

fn config(home: &Path, address: &str, issuer: &str, shop: &Shop) -> String {
    let modules_at = modules();
    let load = MODULES.map(|name| format!("LoadModule {name}_module {}/mod_{name}.so", modules_at.display())).join("\n");
    let (home, Shop { id, secret }) = (home.display(), shop);
    let discovery = format!("{issuer}/.well-known/openid-configuration");
    // Who starts as root goes on as nobody.
    let user = if home_is_roots() { "User nobody\nGroup nogroup" } else { "" };
    format!(
        "{load}
{user}
ServerRoot {home}
ServerName {address}
Listen {address}
PidFile {home}/pid
DefaultRuntimeDir {home}
Mutex posixsem default
ErrorLog /dev/stderr
LogLevel notice auth_openidc:info
TypesConfig {home}/types
DocumentRoot {home}/www
DirectoryIndex index.shtml
AddOutputFilter INCLUDES .shtml
<Directory {home}/www>
  Options +Includes
  Require all granted
</Directory>

OIDCProviderMetadataURL {discovery}
OIDCClientID {id}
OIDCClientSecret {secret}
OIDCProviderTokenEndpointAuth client_secret_basic
OIDCPKCEMethod S256
OIDCScope \"openid profile email\"
OIDCRedirectURI http://{address}/protected/callback
OIDCDefaultLoggedOutURL http://{address}/bye.html
OIDCCryptoPassphrase a-passphrase-of-this-test-alone
OIDCRemoteUserClaim email
<Location /protected>
  AuthType openid-connect
  Require valid-user
</Location>
"
    )
}

/// Whether this process is root's: then its files are.
fn home_is_roots() -> bool {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0)
}

impl Apache {
    async fn start(address: &str, issuer: &str, shop: &Shop) -> Self {
        let url = format!("http://{address}");
        let home = home();
        let file = home.path().join("httpd.conf");
        std::fs::write(&file, config(home.path(), address, issuer, shop)).expect("a writable folder");
        let mut command = Command::new(program());
        command.arg("-X").arg("-f").arg(&file).env("NO_PROXY", "127.0.0.1").env("no_proxy", "127.0.0.1");
        let mut child =
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).kill_on_drop(true).spawn().expect(MISSING);
        let mut log = BufReader::new(child.stderr.take().expect("a pipe")).lines();
        let ready = async {
            let mut said = Vec::new();
            while let Some(line) = log.next_line().await.expect("a line") {
                // By then it listens.
                if line.contains("mod_auth_openidc") && line.contains("init") {
                    return;
                }
                said.push(line);
            }
            panic!("Apache does not start: {said:#?}");
        };
        tokio::time::timeout(START_PATIENCE, ready).await.expect("Apache starts in time");
        // What it has to say later is shown with the test's own words.
        tokio::task::spawn_local(async move {
            while let Ok(Some(line)) = log.next_line().await {
                eprintln!("apache: {line}");
            }
        });
        Self { url, _home: home, _child: child }
    }
}

#[test]
fn apache_with_mod_auth_openidc_protects_a_page() {
    in_world(async |world| {
        let party = node_with("puppeteer-core-24.43.1-apache", &["puppeteer-core@24.43.1"], "apache_page.mjs").await;
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let address = free.local_addr().expect("an address").to_string();
        let callback = format!("http://{address}/protected/callback");
        let shop = shop(
            world,
            json!({
                "token_endpoint_auth_method": "client_secret_basic", "redirect_uris": [callback],
                "post_logout_redirect_uris": [format!("http://{address}/bye.html")],
            }),
        )
        .await;
        drop(free);
        let apache = Apache::start(&address, &format!("{}/t/acme", world.base_url), &shop).await;
        let (page, bye) = (format!("{}/protected/", apache.url), format!("{}/bye.html", apache.url));
        let arguments = [page.as_str(), &callback, &bye, PASSWORD, &chromium().display().to_string()];
        let output = party.command(&arguments).output().await.expect("Node.js runs");
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
        let saw: Value = serde_json::from_str(&said).expect("JSON");
        let at = json!(world.base_url);
        assert_eq!((&saw["login"], &saw["closed"]), (&at, &at), "{saw:#}");
        assert!(saw["shown"].as_str().is_some_and(|text| text.contains("Hello, alice@acme.example")), "{saw:#}");
        assert_eq!(saw["stays"], json!([200, true]), "{saw:#}");
        assert!(saw["left"]["at"].as_str().is_some_and(|left| left.starts_with(&bye)), "{saw:#}");
        assert!(saw["left"]["shown"].as_str().is_some_and(|text| text.contains("Good bye.")), "{saw:#}");
    });
}
