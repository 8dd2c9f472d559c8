//! A tenant at a domain of its own: all that it has is there, and nothing of anybody else.

use app::ports::world::Clock;
use domain::client::assertion::ASSERTION_TYPE;
use reqwest::RequestBuilder;
use serde_json::{Value, json};
use server::key_log_check::{Alarm, Check, Report, Seen};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::browser::Browser;
use crate::client_keys::machine_of;
use crate::device::television;
use crate::dpop::proof;
use crate::foreign_parties::{CALLBACK, openid_client_logs_alice_in};
use crate::mail::with_relay;
use crate::oidc::{claims, client, shop};
use crate::registration::{metadata, registration};
use crate::relying_party::Key;
use crate::world::{Answer, Caller, PASSWORD, World, in_world, in_world_with, on_two_nodes_with, sent, sent_as};

/// A tenant's domain, and whoever asks there.
struct Home<'w> {
    world: &'w World,
    slug: &'static str,
    /// With the port that this server listens on.
    domain: String,
}

impl<'w> Home<'w> {
    fn of(world: &'w World, slug: &'static str) -> Self {
        let (_, port) = world.base_url.rsplit_once(':').expect("a port");
        Self { world, slug, domain: format!("{slug}.localhost:{port}") }
    }

    fn issuer(&self) -> String {
        format!("http://{}", self.domain)
    }

    fn change(&self) -> String {
        format!("/admin/v1/tenants/{}/domain", self.slug)
    }

    /// Makes the domain the tenant's issuer.
    async fn moves_in(&self) -> Value {
        let form = json!({ "domain": self.domain, "confirm": self.slug });
        self.world.platform_admin().put(&self.change(), form).await.is(200).json()
    }

    /// Which route of the description an address of the domain is.
    fn route(&self, path: &str) -> String {
        match path.split('?').next().unwrap_or_default() {
            "/.well-known/oauth-authorization-server" => format!("/.well-known/oauth-authorization-server/t/{}", self.slug),
            path => format!("/t/{}{path}", self.slug),
        }
    }

    fn request(&self, who: &Caller<'_>, method: &str, path: &str) -> RequestBuilder {
        who.request(method, path).header("host", &self.domain)
    }

    async fn ask(&self, path: &str, request: RequestBuilder) -> Answer {
        sent_as(request, &self.route(path)).await
    }

    async fn get(&self, path: &str) -> Answer {
        self.ask(path, self.request(&self.world.anon(), "GET", path)).await
    }

    async fn get_by(&self, token: &str, path: &str) -> Answer {
        self.ask(path, self.request(&self.world.bearing(token), "GET", path)).await
    }

    async fn form(&self, path: &str, parameters: &[(&str, &str)]) -> Answer {
        self.ask(path, self.request(&self.world.anon(), "POST", path).form(parameters)).await
    }

    async fn login(&self, more: Value) -> Answer {
        let mut form = json!({ "username": "alice", "password": PASSWORD });
        for (name, value) in more.as_object().expect("members") {
            form[name] = value.clone();
        }
        self.ask("/login", self.request(&self.world.anon(), "POST", "/login").header("origin", self.issuer()).json(&form)).await
    }

    async fn refresh(&self, token: &str) -> Answer {
        self.form("/oauth/token", &[("grant_type", "refresh_token"), ("client_id", "first-party"), ("refresh_token", token)]).await
    }
}

/// A tenant with alice at a domain of its own.
async fn home<'w>(world: &'w World, slug: &'static str) -> Home<'w> {
    world.tenant(slug).await;
    world.user(slug, "alice", &[]).await;
    let home = Home::of(world, slug);
    home.moves_in().await;
    home
}

/// Checks the key log of an issuer, which is on this machine whatever its host, as somebody does who has seen it `before`.
async fn checked(world: &World, issuer: &str, before: Option<&Seen>) -> Report {
    let host = issuer.trim_start_matches("http://").split([':', '/']).next().expect("a host");
    let http = reqwest::Client::builder().no_proxy().resolve(host, ([127, 0, 0, 1], 0).into()).build().expect("a client");
    Check { http: &http, issuer, vkey: None, before, now: world.clock.now(), progress: &|_, _| {} }.run().await.expect("checked")
}

#[test]
fn the_key_log_goes_on_under_its_new_name_at_once_and_whoever_has_seen_it_sees_that_it_is_the_same() {
    in_world(async |world| {
        world.tenant("acme").await;
        let acme = Home::of(world, "acme");
        let old = format!("{}/t/acme", world.base_url);
        let seen = checked(world, &old, None).await.seen.expect("a good log");
        acme.moves_in().await;
        let report = checked(world, &acme.issuer(), Some(&seen)).await;
        assert_eq!(report.alarms, []);
        assert_eq!(
            report.renamed_from.as_deref(),
            old.strip_prefix("http://").map(|name| format!("{name}/.well-known/key-log")).as_deref()
        );
        let at_home = report.seen.expect("a good log");
        assert_eq!(checked(world, &acme.issuer(), Some(&at_home)).await.renamed_from, None);
        let stranger = checked(world, &acme.issuer(), None).await;
        assert_eq!((&stranger.alarms[..], stranger.seen), (&[][..], Some(at_home.clone())));
        // At the old address it says where it is.
        let lost = checked(world, &old, Some(&seen)).await.alarms;
        assert!(matches!(&lost[..], [Alarm::AnotherLog { found, .. }] if found.starts_with(&acme.domain)), "{lost:?}");

        world.platform_admin().post("/admin/v1/tenants/acme/keys/rotate", json!({ "algs": ["ES256"] })).await.is(202);
        let grown = checked(world, &acme.issuer(), Some(&at_home)).await;
        assert!(grown.alarms.is_empty() && grown.new > 0, "{grown:?}");
        world.platform_admin().delete("/admin/v1/tenants/acme/domain?confirm=acme").await.is(200);
        let back = checked(world, &old, grown.seen.as_ref()).await;
        assert_eq!(back.alarms, []);
        // It is the key that is trusted: under no name is another one taken for it.
        world.tenant("globex").await;
        let other = checked(world, &format!("{}/t/globex", world.base_url), None).await.seen;
        let alarms = checked(world, &old, other.as_ref()).await.alarms;
        assert!(matches!(&alarms[..], [Alarm::ChangedVkey { .. }]), "{alarms:?}");
    });
}

#[test]
fn s111_s112_a_domain_is_an_issuer_and_all_that_it_names_is_there() {
    in_world(async |world| {
        let acme = home(world, "acme").await;
        world.policy("acme", json!({ "device_authorization": true, "backchannel_authentication": true })).await;
        registration(world, json!({ "access": "open" })).await;
        let tenant = world.platform_admin().get("/admin/v1/tenants/acme").await.is(200);
        assert_eq!((tenant.word("issuer"), tenant.word("domain")), (acme.issuer(), acme.domain.clone()));
        let metadata = acme.get("/.well-known/openid-configuration").await.is(200);
        assert_eq!(acme.get("/.well-known/oauth-authorization-server").await.is(200).text, metadata.text);
        assert_eq!(metadata.word("issuer"), acme.issuer());
        let mut named = 0;
        for (name, value) in metadata.json().as_object().expect("members") {
            let Some(address) = value.as_str().filter(|_| name.ends_with("_endpoint") || name == "jwks_uri") else { continue };
            let path = address.strip_prefix(&acme.issuer()).unwrap_or_else(|| panic!("{name} is {address}"));
            let answer = acme.ask(path, acme.request(&world.anon(), "OPTIONS", path)).await;
            assert_eq!(answer.status, 405, "{name}: nothing is at {address}");
            named += 1;
        }
        assert!(named >= 10, "{}", metadata.text);
        for header in ["x-forwarded-host", "forwarded", "x-forwarded-proto", "x-original-host"] {
            let path = "/.well-known/openid-configuration";
            let answer = acme.ask(path, acme.request(&world.anon(), "GET", path).header(header, "evil.example")).await.is(200);
            assert_eq!(answer.text, metadata.text, "{header}");
        }
        let upper = world.anon().request("GET", "/.well-known/jwks.json").header("host", acme.domain.to_uppercase());
        let jwks = acme.ask("/.well-known/jwks.json", upper).await.is(200);
        assert_eq!(jwks.text, acme.get("/.well-known/jwks.json").await.is(200).text);

        let login = acme.login(json!({})).await.is(200);
        let told = claims(&login.word("access_token"));
        assert_eq!((told["iss"].as_str(), told["aud"].as_str()), (Some(acme.issuer().as_str()), Some(acme.issuer().as_str())));
        acme.get_by(&login.word("access_token"), "/me").await.is(200);
        acme.refresh(&login.word("refresh_token")).await.is(200);
    });
}

#[test]
fn openid_client_logs_a_user_in_at_a_domain() {
    in_world(async |world| {
        let form = json!({ "token_endpoint_auth_method": "client_secret_basic", "redirect_uris": [CALLBACK] });
        let shop = shop(world, form).await;
        let acme = Home::of(world, "acme");
        acme.moves_in().await;
        let learned = openid_client_logs_alice_in(&acme.issuer(), &shop, CALLBACK).await;
        assert_eq!(learned["after_revocation"], "invalid_grant");
    });
}

#[test]
fn r04_two_domains_are_two_tenants_whatever_is_sent_to_them() {
    in_world(async |world| {
        let (acme, globex) = (home(world, "acme").await, home(world, "globex").await);
        let [ours, theirs] = [acme.login(json!({})).await.is(200), globex.login(json!({})).await.is(200)];
        acme.get_by(&ours.word("access_token"), "/me").await.is(200);
        acme.get_by(&theirs.word("access_token"), "/me").await.is(401);
        acme.refresh(&theirs.word("refresh_token")).await.refused_oauth(400, "invalid_grant");
        globex.refresh(&theirs.word("refresh_token")).await.is(200);
        assert_ne!(acme.get("/.well-known/jwks.json").await.is(200).text, globex.get("/.well-known/jwks.json").await.is(200).text);

        // The addresses of the installation are not there, and neither are those of another tenant or its own by the other name.
        for path in [
            "/",
            "/openapi.json",
            "/admin/v1/tenants",
            "/admin/v1/tenants/acme",
            "/t/acme/.well-known/jwks.json",
            "/t/globex/.well-known/jwks.json",
            "/t/globex/account",
            "/.well-known/installation-jwks.json",
            "/.well-known/oauth-authorization-server/t/acme",
            "/.well-known/oauth-authorization-server/t/globex",
            "/../globex/me",
            "//t/globex/me",
            "/%2e%2e/globex/.well-known/jwks.json",
        ] {
            let request = acme.request(&world.platform_admin(), "GET", path);
            sent_as(request, "/nowhere").await.refused(404, "not_found");
        }

        // What a browser keeps for one is not the other's, even when it is brought there by force.
        let mut browser = Browser::new(&acme.issuer());
        let page = browser.get("/account").await.is(200);
        let page = browser.submit(&page, &[("identifier", "alice"), ("password", PASSWORD)]).await;
        let page = browser.follow(page).await.is(200);
        assert!(page.text.contains("Your account"), "{}", page.text);
        let mut elsewhere = browser.thief("").before(&globex.issuer());
        let page = elsewhere.get("/account").await.is(200);
        assert!(page.text.contains("Sign in") && !page.text.contains("Your account"), "{}", page.text);
    });
}

#[test]
fn pages_of_a_domain_keep_to_it() {
    in_world(async |world| {
        let acme = home(world, "acme").await;
        let mut browser = Browser::new(&acme.issuer());
        let page = browser.get("/account").await.is(200);
        assert!(page.text.contains("\"/assets/") && !page.text.contains("/t/acme"), "{}", page.text);
        let sheet = page.text.split("\"/assets/").nth(1).and_then(|rest| rest.split('"').next()).expect("a file");
        browser.get(&format!("/assets/{sheet}")).await.is(200);
        let (action, fields) = page.form();
        assert_eq!(action, "/account/login");
        let fields = [("identifier", "alice"), ("password", PASSWORD), ("csrf_token", fields["csrf_token"].as_str())];
        for foreign in [world.base_url.as_str(), "http://globex.localhost", "https://evil.example"] {
            browser.post_with(&action, &fields, ("origin", foreign)).await.is(403);
        }
        let page = browser.post_with(&action, &fields, ("origin", &acme.issuer())).await;
        assert_eq!(page.location(), "/account");
        let page = browser.follow(page).await.is(200);
        assert!(!page.text.contains("/t/acme") && !page.text.contains(&world.base_url), "{}", page.text);
        assert_eq!(browser.submit_form(&page, "/account/sign-out", &[]).await.location(), "/oauth/end_session");

        // A session by cookie is bound to the whole host, and only forms from there use it.
        let answer = acme.login(json!({ "session": "cookie" })).await.is(200);
        let cookie = answer.header("set-cookie").to_owned();
        assert!(cookie.split("; ").any(|attribute| attribute == "Path=/") && !cookie.contains("Domain"), "{cookie}");
        let (pair, csrf) = (cookie.split(';').next().expect("a pair"), answer.word("csrf_token"));
        let form = [("grant_type", "refresh_token"), ("client_id", "first-party")];
        let refreshing = |origin: &str| {
            let request = acme.request(&world.anon(), "POST", "/oauth/token").header("cookie", pair).header("x-csrf-token", &csrf);
            request.header("origin", origin).form(&form)
        };
        acme.ask("/oauth/token", refreshing(&world.base_url)).await.refused_oauth(403, "invalid_request");
        acme.ask("/oauth/token", refreshing(&acme.issuer())).await.is(200);
    });
}

#[test]
fn a_client_meets_the_domain_wherever_an_address_is_made_or_checked() {
    in_world(async |world| {
        shop(world, json!({})).await;
        let acme = Home::of(world, "acme");
        acme.moves_in().await;
        world.policy("acme", json!({ "device_authorization": true })).await;
        registration(world, json!({ "access": "open" })).await;

        let set = client(world, television()).await;
        let asked = acme.form("/oauth/device_authorization", &[("client_id", &set.id), ("scope", "openid")]).await.is(200);
        assert_eq!(asked.word("verification_uri"), format!("{}/device", acme.issuer()));
        let request = acme.request(&world.anon(), "POST", "/oauth/register").json(&metadata(json!({})));
        let registered = acme.ask("/oauth/register", request).await.is(201);
        let address = registered.word("registration_client_uri");
        let path = address.strip_prefix(&acme.issuer()).unwrap_or_else(|| panic!("{address}"));
        acme.get_by(&registered.word("registration_access_token"), path).await.is(200);

        // An assertion is for the new issuer alone, and a proof for the address that it was sent to.
        let key = Key::new("one");
        let form = json!({
            "token_endpoint_auth_method": "private_key_jwt", "jwks": { "keys": [key.jwk()] }, "grant_types": ["client_credentials"],
            "redirect_uris": null, "post_logout_redirect_uris": null,
        });
        let machine = client(world, form).await;
        let asked = async |aud: &str, proof: Option<String>| {
            let mut said = machine_of(&machine.id).claims(world);
            said["aud"] = aud.into();
            let assertion = key.sign(&said);
            let form = [("grant_type", "client_credentials"), ("client_assertion_type", ASSERTION_TYPE), ("client_assertion", &assertion)];
            let request = acme.request(&world.anon(), "POST", "/oauth/token").form(&form);
            acme.ask("/oauth/token", proof.into_iter().fold(request, |request, proof| request.header("DPoP", proof))).await
        };
        let old = format!("{}/t/acme", world.base_url);
        asked(&old, None).await.refused_oauth(401, "invalid_client");
        asked(&format!("{old}/oauth/token"), None).await.refused_oauth(401, "invalid_client");
        asked(&acme.issuer(), None).await.is(200);
        let at = |uri: String| Some(proof(world, &key, "POST", "", json!({ "htu": uri })));
        for elsewhere in
            [format!("{old}/oauth/token"), format!("{}/t/acme/oauth/token", acme.issuer()), format!("{}/oauth/token", world.base_url)]
        {
            asked(&acme.issuer(), at(elsewhere)).await.refused_oauth(400, "invalid_dpop_proof");
        }
        let bound = asked(&acme.issuer(), at(format!("{}/oauth/token", acme.issuer()))).await.is(200);
        assert_eq!(bound.word("token_type"), "DPoP");
    });
}

#[test]
fn a_tenants_administrator_administers_at_the_installations_address_with_tokens_of_the_domain() {
    in_world(async |world| {
        let (acme, globex) = (home(world, "acme").await, home(world, "globex").await);
        for slug in ["acme", "globex"] {
            world.user(slug, "tess", &["claviger:admin"]).await;
        }
        let tess = || json!({ "username": "tess", "scope": "account admin" });
        let (ours, theirs) =
            (acme.login(tess()).await.is(200).word("access_token"), globex.login(tess()).await.is(200).word("access_token"));
        world.bearing(&ours).get("/admin/v1/tenants/acme/users").await.is(200);
        world.bearing(&theirs).get("/admin/v1/tenants/acme/users").await.refused(404, "not_found");
        sent_as(acme.request(&world.bearing(&ours), "GET", "/admin/v1/tenants/acme/users"), "/nowhere").await.refused(404, "not_found");
        // Whose a host is, is for the platform to say.
        world.bearing(&ours).put(&acme.change(), json!({ "domain": "other.localhost" })).await.refused(401, "invalid_token");
    });
}

#[test]
fn every_address_of_a_tenant_is_at_its_domain_and_little_is_left_at_the_old_one() {
    in_world(async |world| {
        let acme = home(world, "acme").await;
        world.tenant("globex").await;
        let at = |path: &str| {
            let names = [
                ("{user}", "x"),
                ("{session}", "x"),
                ("{request}", "x"),
                ("{link}", "x"),
                ("{file}", "x"),
                ("{client}", "x"),
                ("{level}", "0"),
                ("{tile}", "000.p"),
                ("{tile2}", "1"),
                ("{width}", "1"),
            ];
            names.into_iter().fold(path.to_owned(), |path, (segment, name)| path.replace(segment, name))
        };
        let mut seen = 0;
        for route in api::table().into_iter().filter(|route| route.path.contains("/t/{slug}")) {
            let asked = format!("{} {}", route.method, route.path);
            let path = at(route.path.strip_prefix("/t/{slug}").unwrap_or("/.well-known/oauth-authorization-server"));
            let (old, twin) = (at(&route.path.replace("{slug}", "acme")), at(&route.path.replace("{slug}", "globex")));
            // What one with a domain says there, one without says at its own address.
            let here = acme.ask(&path, acme.request(&world.anon(), route.method, &path)).await;
            let there = sent(world.anon().request(route.method, &twin)).await;
            assert_eq!(
                (here.status, here.header("content-type")),
                (there.status, there.header("content-type")),
                "{asked}: {} {}",
                here.text,
                there.text
            );
            let left = sent(world.anon().request(route.method, &format!("{old}?a=%20b&c"))).await;
            let is_page = ["account", "device", "password"].contains(&path.split('/').nth(1).unwrap_or_default());
            if path == "/.well-known/jwks.json" || path.starts_with("/.well-known/key-log/") {
                assert_eq!(left.status, there.status, "{asked}");
            } else if route.method == "GET" && is_page {
                assert_eq!((left.status, left.header("location")), (308, format!("{}{path}?a=%20b&c", acme.issuer()).as_str()), "{asked}");
                assert_eq!(left.header("cache-control"), "no-store", "a domain can be given back");
            } else {
                assert_eq!(left.status, 404, "{asked}: {}", left.text);
                assert!(left.header("set-cookie").is_empty() && !left.text.contains(&acme.domain), "{asked}: {}", left.text);
            }
            seen += 1;
        }
        assert!(seen > 60, "{seen}");
    });
}

#[test]
fn s111_another_issuer_ends_what_the_one_before_has_given_and_is_not_changed_by_accident() {
    in_world(async |world| {
        let shop = shop(world, json!({})).await;
        let (before, acme) = (world.sign_in("acme", "alice").await, Home::of(world, "acme"));
        let old = format!("{}/t/acme", world.base_url);
        let mut browser = Browser::new(&world.base_url);
        crate::oidc::code(&mut browser, &shop, &[]).await;
        let change = async |form: Value| world.platform_admin().put(&acme.change(), form).await;
        for form in [json!({ "domain": acme.domain }), json!({ "domain": acme.domain, "confirm": "globex" })] {
            let refused = change(form).await.refused(409, "not_confirmed").json();
            assert_eq!((refused["issuer"].as_str(), refused["next_issuer"].as_str()), (Some(old.as_str()), Some(acme.issuer().as_str())));
            let breaks = refused["breaks"].to_string();
            assert!(breaks.contains("sessions end") && breaks.contains("Clients"), "{breaks}");
        }
        world.refresh("acme", &before.refresh_token).await.is(200);
        assert_eq!(acme.moves_in().await["issuer"], acme.issuer());
        acme.moves_in().await;

        acme.get_by(&before.access_token, "/me").await.is(401);
        world.bearing(&before.access_token).get("/t/acme/me").await.refused(404, "not_found");
        acme.refresh(&before.refresh_token).await.refused_oauth(400, "invalid_grant");
        world.refresh("acme", &before.refresh_token).await.refused_oauth(404, "invalid_request");
        let seen = acme.ask(
            "/oauth/introspect",
            acme.request(&world.platform_admin(), "POST", "/oauth/introspect").form(&[("token", &before.access_token)]),
        );
        assert_eq!(seen.await.is(200).json(), json!({ "active": false }));
        // Whoever verifies what is still around finds the keys where they were.
        assert_eq!(world.jwks("acme").await, acme.get("/.well-known/jwks.json").await.is(200).json());
        let events = world.platform_admin().get("/admin/v1/tenants/acme/events").await.is(200).json();
        let named = |name: &str| {
            events["items"].as_array().expect("events").iter().filter(|item| item["event"]["type"] == name).cloned().collect::<Vec<_>>()
        };
        assert_eq!(named("tenant_domain_set").len(), 1, "once, however often it is asked for: {events}");
        assert_eq!(named("tenant_domain_set")[0]["event"]["domain"], acme.domain);
        assert_eq!(named("tenant_sessions_revoked")[0]["event"]["cause"], "issuer_changed");

        let during = acme.login(json!({})).await.is(200);
        world.platform_admin().delete(&acme.change()).await.refused(409, "not_confirmed");
        let back = world.platform_admin().delete(&format!("{}?confirm=acme", acme.change())).await.is(200);
        assert_eq!((back.word("issuer"), back.json()["domain"].clone()), (old, Value::Null));
        world.platform_admin().delete(&acme.change()).await.is(200);
        world.refresh("acme", &during.word("refresh_token")).await.refused_oauth(400, "invalid_grant");
        world.bearing(&before.access_token).get("/t/acme/me").await.is(401);
        acme.get("/.well-known/jwks.json").await.refused(404, "unknown_host");
        // The pages do not know the browser of before any more.
        let page = browser.get("/t/acme/account").await.is(200);
        assert!(page.text.contains("Sign in"), "{}", page.text);
        world.sign_in("acme", "alice").await;
    });
}

#[test]
fn a_domain_is_one_tenants_a_name_and_not_the_installations() {
    let named = |settings: &mut server::Settings| settings.server.other_hosts = vec!["inside.localhost".to_owned()];
    in_world_with(named, async |world| {
        let acme = home(world, "acme").await;
        world.tenant("globex").await;
        let globex = Home::of(world, "globex");
        let change = async |domain: &str| world.platform_admin().put(&globex.change(), json!({ "domain": domain })).await;
        for bad in [
            "",
            "localhost",
            "127.0.0.1",
            "ACME.localhost",
            "a.localhost.",
            "http://a.localhost",
            "a.localhost/x",
            "bücher.localhost",
            "xn--a.localhost",
        ] {
            change(bad).await.refused(400, "bad_request");
        }
        for unfit in ["login.globex.example", "inside.localhost", "inside.localhost:1"] {
            change(unfit).await.refused(422, "domain_refused");
        }
        change(&acme.domain).await.refused(409, "domain_taken");
        world.platform_admin().put("/admin/v1/tenants/nowhere/domain", json!({ "domain": "a.localhost" })).await.refused(404, "not_found");
        // An API of the tenant does not become its issuer, nor the other way round.
        let apis = "/admin/v1/tenants/globex/resources";
        let api = json!({ "identifier": format!("{}/api", globex.issuer()), "name": "An API" });
        let made = world.platform_admin().post(apis, api.clone()).await.is(201).word("id");
        change(&globex.domain).await.refused(422, "domain_refused");
        world.platform_admin().delete(&format!("{apis}/{made}")).await.is(204);
        change(&globex.domain).await.is(200);
        world.platform_admin().post(apis, api).await.refused(422, "resource_refused");

        // Given back, it can be another's at once; whoever had it has it no more, and its keys are the new one's.
        let keys = acme.get("/.well-known/jwks.json").await.is(200).text;
        world.platform_admin().delete(&format!("{}?confirm=acme", acme.change())).await.is(200);
        change(&acme.domain).await.is(200);
        let theirs = Home { slug: "globex", ..acme };
        assert_ne!(theirs.get("/.well-known/jwks.json").await.is(200).text, keys);
        globex.get("/.well-known/jwks.json").await.refused(404, "unknown_host");
        // And that of a deleted tenant is free with its slug.
        world.platform_admin().delete("/admin/v1/tenants/globex?confirm=globex").await.is(204);
        theirs.get("/.well-known/jwks.json").await.refused(404, "unknown_host");
    });
}

/// Sends bytes as they are, and reads the status and the body.
async fn raw(world: &World, text: &str) -> (u16, String) {
    let mut line = TcpStream::connect(world.base_url.strip_prefix("http://").expect("plain")).await.expect("a connection");
    line.write_all(text.as_bytes()).await.expect("written");
    let mut answer = String::new();
    line.read_to_string(&mut answer).await.expect("an answer");
    let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_else(|| panic!("{answer}"));
    (status, answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default())
}

#[test]
fn r36_a_host_that_is_nobodys_or_not_the_only_one_is_answered_by_nobody() {
    in_world(async |world| {
        let (acme, globex) = (home(world, "acme").await, home(world, "globex").await);
        let (ours, theirs) = (acme.domain.as_str(), globex.domain.as_str());
        let own = world.base_url.strip_prefix("http://").expect("plain");
        let (name, port) = ours.split_once(':').expect("a port");
        let end = "connection: close\r\n\r\n";
        let jwks = "/.well-known/jwks.json";
        let keys = acme.get(jwks).await.is(200).text;
        let ask = async |target: &str, hosts: &[&str]| {
            let hosts: String = hosts.iter().map(|host| format!("host: {host}\r\n")).collect();
            raw(world, &format!("GET {target} HTTP/1.1\r\n{hosts}{end}")).await
        };
        assert_eq!(ask(jwks, &[ours]).await, (200, keys.clone()));
        for hosts in [
            &[ours, theirs][..],
            &[theirs, ours],
            &[ours, ours],
            &[ours, own],
            &[],
            &[""],
            &["a b"],
            &["acme.localhost/"],
            &["u@acme.localhost"],
        ] {
            assert_eq!(ask(jwks, hosts).await.0, 400, "{hosts:?}");
            assert_eq!(ask("/t/acme/.well-known/openid-configuration", hosts).await.0, 400, "{hosts:?}");
        }
        // The target's counts, whatever the header says (RFC 9112, 3.2.2).
        assert_eq!(ask(&format!("http://{ours}{jwks}"), &[theirs]).await, (200, keys.clone()));
        assert_ne!(ask(&format!("http://{theirs}{jwks}"), &[ours]).await.1, keys);
        assert_eq!(ask(&format!("http://evil.example{jwks}"), &[ours]).await.0, 404);
        // Another port, a dot at the end, a name above or below: other hosts.
        for other in [
            format!("{name}:1"),
            name.to_owned(),
            format!("{name}.:{port}"),
            format!("a.{ours}"),
            format!("localhost.{port}"),
            "evil.example".to_owned(),
            "x".to_owned(),
        ] {
            let (status, body) = ask(jwks, &[&other]).await;
            assert_eq!((status, body.contains("unknown_host")), (404, true), "{other}: {body}");
            let (status, body) = ask("/t/acme/.well-known/jwks.json", &[&other]).await;
            assert_eq!((status, body.contains("unknown_host")), (404, true), "{other}: {body}");
        }
        // Whoever looks after a server asks by address, or by nothing.
        for host in [own, "10.1.2.3", "[::1]:9", "localhost"] {
            assert_eq!(ask("/t/acme/.well-known/jwks.json", &[host]).await, (200, keys.clone()), "{host}");
        }
        assert_eq!(raw(world, &format!("GET /t/acme{jwks} HTTP/1.0\r\n{end}")).await.0, 200);
    });
}

#[test]
fn s151_a_proxy_tells_the_host_where_it_is_believed_and_nobody_else() {
    for (proxies, is_on) in [(vec!["127.0.0.1"], true), (vec!["127.0.0.1"], false), (vec!["10.9.8.7"], true)] {
        let is_believed = is_on && proxies == ["127.0.0.1"];
        let behind = |settings: &mut server::Settings| {
            settings.server.trusted_proxies = proxies.iter().map(|proxy| proxy.parse().expect("an address")).collect();
            settings.server.forwarded_host = is_on;
        };
        in_world_with(behind, async |world| {
            let acme = home(world, "acme").await;
            let path = "/.well-known/openid-configuration";
            let asked = async |forwarded: &str| {
                sent_as(world.anon().request("GET", path).header("x-forwarded-host", forwarded), &acme.route(path)).await
            };
            let answer = asked(&acme.domain).await.is(if is_believed { 200 } else { 404 });
            assert!(!is_believed || answer.word("issuer") == acme.issuer(), "{}", answer.text);
            if is_believed {
                asked("evil.example").await.refused(404, "unknown_host");
            }
        });
    }
}

#[test]
fn clients_with_certificates_keep_the_address_that_is_for_them() {
    let elsewhere = |settings: &mut server::Settings| settings.tls.mtls_base_url = "https://mtls.id.example".to_owned();
    in_world_with(elsewhere, async |world| {
        let acme = home(world, "acme").await;
        let metadata = acme.get("/.well-known/openid-configuration").await.is(200).json();
        let aliases = metadata["mtls_endpoint_aliases"].as_object().expect("aliases");
        assert_eq!(aliases["token_endpoint"], "https://mtls.id.example/t/acme/oauth/token");
        for (name, address) in aliases {
            let path = address.as_str().and_then(|address| address.strip_prefix("https://mtls.id.example")).expect("an address there");
            assert_eq!(metadata[name], format!("{}{}", acme.issuer(), path.replace("/t/acme", "")), "{name}");
        }
        let form = json!({ "grant_types": ["client_credentials"], "token_endpoint_auth_method": "client_secret_post" });
        let made = world.platform_admin().post("/admin/v1/tenants/acme/clients", form).await.is(201);
        let form = [
            ("grant_type", "client_credentials"),
            ("client_id", &*made.word("client_id")),
            ("client_secret", &*made.word("client_secret")),
        ];
        let there = |method, path| world.anon().request(method, path).header("host", "mtls.id.example");
        let tokens = sent(there("POST", "/t/acme/oauth/token").form(&form)).await.is(200);
        assert_eq!(claims(&tokens.word("access_token"))["iss"], acme.issuer());
        for path in ["/t/acme/.well-known/openid-configuration", "/t/acme/oauth/authorize", "/t/acme/oauth/end_session"] {
            sent(there("GET", path)).await.is(404);
        }
        sent(there("GET", "/t/acme/account")).await.is(308);
    });
}

#[test]
fn links_in_mails_lead_to_the_domain_and_those_of_before_are_led_there() {
    with_relay(async |world, relay| {
        shop(world, json!({})).await;
        let acme = Home::of(world, "acme");
        let forgets = async |base: &str, path: &str| {
            let mut browser = Browser::new(base);
            let page = browser.get(path).await.is(200);
            browser.submit(&page, &[("identifier", "alice")]).await.is(303);
        };
        forgets(&world.base_url, "/t/acme/password/forgot").await;
        let old = relay.mails(1).await.remove(0).link(&format!("{}/t/acme/password/reset/", world.base_url));
        acme.moves_in().await;
        forgets(&acme.issuer(), "/password/forgot").await;
        let new = relay.mails(2).await.remove(1).link(&format!("{}/password/reset/", acme.issuer()));
        assert!(!new.contains("/t/acme"), "{new}");
        let mut browser = Browser::new(&acme.issuer());
        browser.get(&new).await.is(200);
        let moved = Browser::new(&world.base_url).get(&old).await.is(308);
        assert_eq!(moved.header("location"), old.replace(&format!("{}/t/acme", world.base_url), &acme.issuer()));
        browser.get(moved.header("location")).await.is(200);
    });
}

#[test]
fn another_node_learns_of_a_domain_and_of_its_end_within_seconds() {
    on_two_nodes_with(
        |_| {},
        async |world| {
            world.tenant("acme").await;
            let acme = Home { domain: "acme.localhost:1".to_owned(), ..Home::of(world, "acme") };
            let seen = async || [acme.get("/.well-known/jwks.json").await.status, acme.get("/.well-known/jwks.json").await.status];
            assert_eq!(seen().await, [404, 404]);
            acme.moves_in().await;
            world.clock.forward(6);
            assert_eq!(seen().await, [200, 200]);
            world.platform_admin().delete(&acme.change()).await.is(200);
            world.clock.forward(6);
            assert_eq!(seen().await, [404, 404]);
        },
    );
}
