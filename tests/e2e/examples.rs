//! The resource servers of `examples/`, run as whoever copies them would: what their README promises is true of each.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use app::ports::world::Clock;
use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use domain::time::Ttl;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

use crate::browser::Browser;
use crate::foreign_parties::Talk;
use crate::foreign_verifiers::{done, node_with, shelf};
use crate::relying_party::{Key, RelyingParty};
use crate::resources::{ORDERS, code, market};
use crate::world::in_world;

/// How soon an unknown `kid` makes them fetch again, and as much again for a busy machine.
const SOON: Duration = Duration::from_secs(20);

fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples")
}

/// One of the three, ready to be started as often as is liked.
struct Example {
    program: PathBuf,
    arguments: Vec<PathBuf>,
}

/// What its `package.json` asks for, in the version that other tests have, too.
async fn node() -> Example {
    const JOSE: &str = "jose@6.2.1";
    let (folder, ready, _alone) = shelf("example-node-jose-6.2.1").await;
    let advice = "install Node.js 20 or later with npm (Debian: nodejs npm), and let npm reach its registry";
    let copied = |name: &str| {
        // Another test may be running the copy that is there.
        let (copy, fresh) = (folder.join(name), folder.join(format!("fresh-{name}")));
        std::fs::copy(examples().join("node").join(name), &fresh).expect("a writable folder");
        std::fs::rename(&fresh, &copy).expect("a writable folder");
        copy
    };
    std::fs::create_dir_all(&folder).expect("a writable folder");
    copied("package.json");
    if !ready.exists() {
        let npm = ["install", "--no-save", "--no-audit", "--no-fund", "--silent", JOSE, "--prefix"];
        done(Command::new("npm").args(npm).arg(&folder), advice).await;
        std::fs::write(&ready, "").expect("a writable folder");
    }
    done(Command::new("npm").args(["ls", "jose", "--prefix"]).arg(&folder), "package.json does not ask for what is tested here").await;
    Example { program: "node".into(), arguments: vec![copied("server.mjs")] }
}

/// What its `requirements.txt` asks for, in the version that other tests have, too.
async fn python() -> Example {
    const PYJWT: &str = "PyJWT[crypto]==2.10.1";
    let (folder, ready, _alone) = shelf("example-python-pyjwt-2.10.1").await;
    let server = examples().join("python/server.py");
    if !ready.exists() {
        let advice = "install python3 with its venv module (Debian: python3 python3-venv), and let pip reach the package index";
        done(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&folder), advice).await;
        let mut pip = Command::new(folder.join("bin/pip"));
        pip.args(["install", "--quiet", "--disable-pip-version-check", PYJWT, "-r"]).arg(examples().join("python/requirements.txt"));
        done(&mut pip, advice).await;
        std::fs::write(&ready, "").expect("a writable folder");
    }
    Example { program: folder.join("bin/python"), arguments: vec![server] }
}

/// Built with this crate, by the workspace's versions of what its `Cargo.toml` asks for.
async fn rust() -> Example {
    Example { program: env!("CARGO_BIN_EXE_example-resource-server").into(), arguments: Vec::new() }
}

/// A resource server that listens.
struct Listening {
    url: String,
    http: reqwest::Client,
    _child: Child,
    /// Kept, so that it can go on talking.
    _said: Lines<BufReader<ChildStdout>>,
}

impl Example {
    /// Starts it on a free port; without an audience it insists on the issuer.
    async fn start(&self, issuer: &str, audience: &str) -> Listening {
        let mut command = Command::new(&self.program);
        command.args(&self.arguments).env("ISSUER", issuer).env("AUDIENCE", audience).env("PORT", "0");
        command.env("NO_PROXY", "127.0.0.1").env("no_proxy", "127.0.0.1");
        let mut child = command.stdout(Stdio::piped()).kill_on_drop(true).spawn().expect("the example starts");
        let mut said = BufReader::new(child.stdout.take().expect("a pipe")).lines();
        let line = said.next_line().await.expect("a line").expect("where it listens; its complaint is above");
        let meant = format!(" takes tokens of {issuer} for {}", if audience.is_empty() { issuer } else { audience });
        let url = line.strip_suffix(&meant).unwrap_or_else(|| panic!("it says {line}")).to_owned();
        let http = reqwest::Client::builder().no_proxy().build().expect("a client");
        Listening { url, http, _child: child, _said: said }
    }
}

impl Listening {
    async fn asked_at(&self, path: &str, authorization: Option<&str>) -> (u16, String, Value) {
        let mut request = self.http.get(format!("{}{path}", self.url));
        if let Some(authorization) = authorization {
            request = request.header("authorization", authorization);
        }
        let answer = request.send().await.expect("an answer");
        let challenge = answer.headers().get("www-authenticate").map_or("", |value| value.to_str().expect("text")).to_owned();
        assert_eq!(answer.headers()["cache-control"], "no-store");
        (answer.status().as_u16(), challenge, answer.json().await.expect("JSON"))
    }

    async fn asked(&self, token: &str) -> (u16, String, Value) {
        self.asked_at("/", Some(&format!("Bearer {token}"))).await
    }

    async fn takes(&self, token: &str, why: &str) -> Value {
        let (status, _, claims) = self.asked(token).await;
        assert_eq!(status, 200, "{why}: {claims}");
        claims
    }

    async fn refuses(&self, token: &str, why: &str) {
        let (status, challenge, body) = self.asked(token).await;
        assert_eq!((status, challenge.as_str()), (401, "Bearer error=\"invalid_token\""), "{why}: {body}");
        assert_eq!(body, json!({ "error": "invalid_token" }), "{why}");
    }
}

/// With Claviger as the issuer: whose tokens are taken, for whom they are, and what an emergency changes.
fn takes_the_tokens_of_its_issuer(example: impl AsyncFnOnce() -> Example) {
    in_world(async |world| {
        let example = example().await;
        let shop = market(world, json!({})).await;
        let alice = world.sign_in("acme", "alice").await;
        world.tenant("globex").await;
        let foreign = world.alice("globex").await;
        let code = code(world, &shop, "openid orders:read", &[ORDERS]).await;
        let tokens = shop.redeem(world, &code).await.is(200);
        let issuer = format!("{}/t/acme", world.base_url);
        let (own, orders) = (example.start(&issuer, "").await, example.start(&issuer, ORDERS).await);

        let nobody = own.asked_at("/", None).await;
        assert_eq!(nobody, (401, "Bearer".to_owned(), json!({ "error": "no_token" })));
        assert_eq!(own.asked_at("/", Some("Basic YTpi")).await, nobody);
        assert_eq!(own.asked_at("/other", Some(&format!("Bearer {}", alice.access_token))).await.0, 404);

        let claims = own.takes(&alice.access_token, "alice's token").await;
        assert_eq!((claims["sub"].as_str(), claims["exp"].is_u64()), (Some(alice.user.as_str()), true), "{claims}");
        let claims = orders.takes(&tokens.word("access_token"), "a token for the orders").await;
        assert_eq!((claims["sub"].as_str(), claims["scope"].as_str()), (Some(alice.user.as_str()), Some("orders:read")), "{claims}");

        own.refuses(&tokens.word("access_token"), "a token for somebody else").await;
        orders.refuses(&alice.access_token, "a token for the issuer").await;
        own.refuses(&foreign.access_token, "another tenant's token").await;
        own.refuses(&tokens.word("id_token"), "an ID token").await;
        own.refuses(&alice.refresh_token, "a refresh token").await;
        let (message, signature) = alice.access_token.rsplit_once('.').expect("a signature");
        let turned: String = signature.chars().rev().collect();
        own.refuses(&format!("{message}.{turned}"), "another signature").await;
        own.refuses(&format!("{message}."), "no signature").await;

        world.platform_admin().post("/admin/v1/tenants/acme/keys/rotate", json!({ "emergency": true })).await.is(202);
        let next = world.refresh("acme", &alice.refresh_token).await.is(200).word("access_token");
        let begun = Instant::now();
        while own.asked(&next).await.0 != 200 {
            assert!(begun.elapsed() < SOON, "the new key is not known after {SOON:?}");
            tokio::time::sleep(Duration::from_secs(1)).await; // A look now and then, until it may fetch again.
        }
        own.refuses(&alice.access_token, "a token of a revoked key").await;
    });
}

/// With an issuer of the test's own, whose key can sign anything: each rule is looked at, not only the signature.
fn refuses_what_is_not_an_access_token_of_now(example: impl AsyncFnOnce() -> Example) {
    actix_web::rt::System::new().block_on(async {
        let example = example().await;
        let (key, other) = (Key::new("a"), Key::new("b"));
        let issuer = RelyingParty::start().await;
        issuer.show(&[&key]);
        let begun = Instant::now();
        let listening = example.start(&issuer.url, "").await;
        let now = server::SystemClock.now().as_seconds();
        let header = |alg: &str, kid: &str, typ: Value| json!({ "alg": alg, "kid": kid, "typ": typ }).to_string();
        let usual = header("ES256", "a", json!("at+jwt"));
        // The usual claims, with others laid over them; `null` takes one away.
        let claims = |more: Value| {
            let mut claims = json!({ "iss": issuer.url, "aud": issuer.url, "sub": "alice", "iat": now, "nbf": now, "exp": now + 300 });
            let all = claims.as_object_mut().expect("members");
            all.extend(more.as_object().expect("members").clone());
            all.retain(|_, value| !value.is_null());
            claims.to_string()
        };

        listening.takes(&key.sign_raw(&usual, &claims(json!({}))), "a good token").await;
        listening.takes(&key.sign_raw(&usual, &claims(json!({ "aud": ["https://a.example", issuer.url] }))), "one of two audiences").await;
        let long = header("ES256", "a", json!("application/at+JWT"));
        listening.takes(&key.sign_raw(&long, &claims(json!({}))), "the long name of the type").await;

        for (more, why) in [
            (json!({ "exp": now - 300 }), "over"),
            (json!({ "exp": null }), "without an end"),
            (json!({ "nbf": now + 300 }), "not yet"),
            (json!({ "iss": "https://id.example/t/acme" }), "of another issuer"),
            (json!({ "iss": format!("{}/", issuer.url) }), "of almost this issuer"),
            (json!({ "iss": null }), "of nobody"),
            (json!({ "aud": "https://a.example" }), "for somebody else"),
            (json!({ "aud": [] }), "for nobody"),
            (json!({ "aud": null }), "for whomever"),
            (json!({ "sub": null }), "about nobody"),
        ] {
            listening.refuses(&key.sign_raw(&usual, &claims(more)), why).await;
        }
        for typ in [json!("JWT"), json!("dpop+jwt"), json!("logout+jwt"), Value::Null] {
            listening.refuses(&key.sign_raw(&header("ES256", "a", typ.clone()), &claims(json!({}))), &format!("of the type {typ}")).await;
        }
        for alg in ["RS256", "EdDSA", "HS256", "none"] {
            let header = header(alg, "a", json!("at+jwt"));
            listening.refuses(&key.sign_raw(&header, &claims(json!({}))), &format!("{alg}, which is not that of the key")).await;
        }
        let message =
            format!("{}.{}", URL_SAFE_NO_PAD.encode(header("HS256", "a", json!("at+jwt"))), URL_SAFE_NO_PAD.encode(claims(json!({}))));
        let public = key.jwk()["x"].as_str().map(|x| URL_SAFE_NO_PAD.decode(x).expect("base64url")).expect("a coordinate");
        let sealed = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &public), message.as_bytes());
        listening.refuses(&format!("{message}.{}", URL_SAFE_NO_PAD.encode(sealed.as_ref())), "sealed with what is public").await;
        let unsigned =
            format!("{}.{}.", URL_SAFE_NO_PAD.encode(header("none", "a", json!("at+jwt"))), URL_SAFE_NO_PAD.encode(claims(json!({}))));
        listening.refuses(&unsigned, "not signed").await;
        listening.refuses(&other.sign_raw(&usual, &claims(json!({}))), "signed by another key than it names").await;

        // Made-up kids do not turn it against the issuer.
        for number in 0..20 {
            let unknown = header("ES256", &format!("made-up-{number}"), json!("at+jwt"));
            listening.refuses(&other.sign_raw(&unknown, &claims(json!({}))), "of a key that nobody knows").await;
        }
        let most = 1 + begun.elapsed().as_secs() / 10;
        assert!(issuer.fetched() as u64 <= most, "keys were fetched {} times", issuer.fetched());
        listening.takes(&key.sign_raw(&usual, &claims(json!({}))), "a good token after all").await;
    });
}

#[test]
fn the_node_example_takes_the_tokens_of_its_issuer() {
    takes_the_tokens_of_its_issuer(node);
}

#[test]
fn the_python_example_takes_the_tokens_of_its_issuer() {
    takes_the_tokens_of_its_issuer(python);
}

#[test]
fn the_rust_example_takes_the_tokens_of_its_issuer() {
    takes_the_tokens_of_its_issuer(rust);
}

#[test]
fn the_node_example_refuses_what_is_not_an_access_token_of_now() {
    refuses_what_is_not_an_access_token_of_now(node);
}

#[test]
fn the_python_example_refuses_what_is_not_an_access_token_of_now() {
    refuses_what_is_not_an_access_token_of_now(python);
}

#[test]
fn the_rust_example_refuses_what_is_not_an_access_token_of_now() {
    refuses_what_is_not_an_access_token_of_now(rust);
}

/// It is built here with the workspace's versions; whoever copies it gets those that its own manifest asks for.
#[test]
fn the_rust_example_asks_for_the_versions_that_are_tested() {
    let manifest = std::fs::read_to_string(examples().join("rust/Cargo.toml")).expect("readable");
    let lock = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../Cargo.lock")).expect("readable");
    let (_, dependencies) = manifest.split_once("[dependencies]\n").expect("dependencies");
    let asked: Vec<(&str, &str)> = dependencies
        .lines()
        .map(|line| {
            let (name, rest) = line.split_once(" = ").expect("a dependency");
            (name, rest.split('"').nth(1).expect("a version"))
        })
        .collect();
    assert_eq!(asked.iter().map(|(name, _)| *name).collect::<Vec<_>>(), ["jsonwebtoken", "reqwest", "serde_json"]);
    for (name, version) in asked {
        assert!(lock.contains(&format!("name = \"{name}\"\nversion = \"{version}.")), "{name} {version} is not what is locked here");
    }
}

/// What `fapi/register.mjs` prints for the conformance suite is good for a login: by the client's key, by the commands for the suite's
/// browser, and at the resource that it is to ask.
fn the_fapi_example_sets_up_a_plan(plan: &str, profile: &str, how: &[&str]) {
    in_world(async |world| {
        let party = node_with(&format!("openid-client-6.9.0-{plan}"), &["openid-client@6.9.0"], "fapi_suite.mjs").await;
        let mut command = Command::new("node");
        command.arg(examples().join("fapi/register.mjs")).arg(plan).env("BASE", &world.base_url).env("SUITE", "https://suite.example");
        command.env("ADMIN", world.platform_token(Ttl::hours(1)).await).env("NO_PROXY", "127.0.0.1").env("no_proxy", "127.0.0.1");
        let printed = command.stderr(Stdio::inherit()).output().await.expect("Node.js 20 or later starts").stdout;
        let config: Value = serde_json::from_slice(&printed).expect("what the suite is configured with");

        let slug = format!("fapi-{plan}-openid-connect");
        for (client, query) in [("client", ""), ("client2", "?dummy1=lorem&dummy2=ipsum")] {
            let id = config[client]["client_id"].as_str().expect("an id");
            let registered = world.platform_admin().get(&format!("/admin/v1/tenants/{slug}/clients/{id}")).await.is(200).json();
            assert_eq!(registered["profile"], profile);
            assert_eq!(registered["redirect_uris"], json!([format!("https://suite.example/test/a/claviger-{slug}/callback{query}")]));
        }
        let text = config.to_string();
        let mut talk = Talk::with(&party, &[&[text.as_str()], how].concat());
        let address = talk.hear_json().await["address"].as_str().expect("an address").to_owned();
        let mut browser = Browser::new(&world.base_url);
        let mut page = browser.get(&address).await;
        for task in ["Log in", "Allow"] {
            page = browser.follow(page).await.is(200);
            let tasks = config["browser"][0]["tasks"].as_array().expect("tasks");
            let commands = &tasks.iter().find(|told| told["task"] == task).expect("the task")["commands"];
            let said: Vec<[&str; 4]> = commands
                .as_array()
                .expect("commands")
                .iter()
                .map(|one| [0, 1, 2, 3].map(|word| one[word].as_str().unwrap_or_default()))
                .collect();
            assert_eq!(said.last(), Some(&["click", "css", "button.primary", ""]));
            let mut typed = Vec::new();
            for [what, by, name, value] in &said {
                if (*what, *by) == ("text", "name") && page.text.contains(&format!("name=\"{name}\"")) {
                    typed.push((*name, *value));
                }
            }
            let button = page.text.split("<button").find(|button| button.starts_with(" class=\"primary\"")).expect("a first button");
            assert_eq!((typed.len(), button.contains("value=\"allow\"")), if task == "Log in" { (2, false) } else { (0, true) }, "{task}");
            if task == "Allow" {
                typed.push(("decision", "allow"));
            }
            page = browser.submit(&page, &typed).await;
        }
        talk.tell(&browser.follow(page).await.location()).await;
        let learned = talk.hear_json().await;
        assert_eq!((&learned["status"], &learned["is_renewed"]), (&json!(200), &json!(true)), "{learned}");
        let claims = learned["claims"].as_array().expect("claims");
        // Those that the module about claims asks for.
        for claim in ["sub", "birthdate", "address", "email", "phone_number_verified", "updated_at"] {
            assert!(claims.contains(&json!(claim)), "{claim}: {learned}");
        }
        assert!(talk.ends_well().await);
    });
}

#[test]
fn the_fapi_example_sets_up_the_plan_of_the_security_profile() {
    the_fapi_example_sets_up_a_plan("security-profile", "fapi2", &[]);
}

#[test]
fn the_fapi_example_sets_up_the_plan_of_message_signing() {
    the_fapi_example_sets_up_a_plan("message-signing", "fapi2_message_signing", &["signed"]);
}
