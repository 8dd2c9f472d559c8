//! Clients that show a certificate, to us or to a proxy, and tokens that are bound to one (RFC 8705).

use std::path::Path;

use reqwest::Client;
use serde_json::{Value, json};
use server::Settings;
use server::settings::CertificateFormat;

use crate::browser::Browser;
use crate::fapi;
use crate::oidc::{CALLBACK, Shop, claims, code, logged_in, shop, told};
use crate::pki::{Authority, Held, client, loopback, named};
use crate::relying_party::RelyingParty;
use crate::world::{Answer, World, in_world, in_world_by, in_world_with, sent};

const CLIENTS: &str = "/admin/v1/tenants/acme/clients";
const TOKEN: &str = "/t/acme/oauth/token";
const PAR: &str = "/t/acme/oauth/par";
const USERINFO: &str = "/t/acme/oauth/userinfo";
const INTROSPECT: &str = "/t/acme/oauth/introspect";
const METADATA: &str = "/t/acme/.well-known/openid-configuration";
/// RFC 7636, appendix B.
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";

/// A program that acts for itself.
async fn machine(world: &World, more: Value) -> Answer {
    let mut form = json!({ "grant_types": ["client_credentials"], "scope": "reports" });
    form.as_object_mut().expect("an object").extend(more.as_object().expect("members").clone());
    world.platform_admin().post(CLIENTS, form).await
}

/// Asks for a token by a connection of one's own.
async fn ask(world: &World, http: &Client, id: &str) -> Answer {
    let form = [("grant_type", "client_credentials"), ("client_id", id)];
    sent(http.post(format!("{}{TOKEN}", world.base_url)).form(&form)).await
}

/// A world whose listener asks for certificates, and believes those of `authority`.
fn in_tls(authority: &Authority, test: impl AsyncFnOnce(&World)) {
    let folder = tempfile::tempdir().expect("a folder");
    let held = authority.gives(loopback());
    let change = |settings: &mut Settings| {
        crate::tls::show(&held, folder.path(), settings);
        settings.tls.client_certificates = true;
        believe(authority, folder.path(), settings);
        settings.outbound.allow_private = vec!["127.0.0.0/8".parse().expect("a range")];
    };
    in_world_by(authority.believer().build().expect("a client"), change, test);
}

fn believe(authority: &Authority, folder: &Path, settings: &mut Settings) {
    settings.tls.client_ca_file = folder.join("ca.pem");
    std::fs::write(&settings.tls.client_ca_file, authority.pem()).expect("written");
}

/// A world behind a proxy, which is the test itself.
fn behind_proxy(settings: &mut Settings) {
    settings.tls.certificate_proxies = vec!["127.0.0.1".parse().expect("an address")];
    settings.tls.proxies_verify = true;
}

/// Sends a form as the proxy that has seen this certificate.
async fn post(world: &World, path: &str, form: &[(&str, &str)], held: Option<&Held>) -> Answer {
    let request = world.anon().request("POST", path).form(form);
    sent(held.iter().fold(request, |request, held| request.header("Client-Cert", held.byte_sequence()))).await
}

async fn get(world: &World, path: &str, token: &str, held: Option<&Held>) -> Answer {
    let request = world.bearing(token).request("GET", path);
    sent(held.iter().fold(request, |request, held| request.header("Client-Cert", held.byte_sequence()))).await
}

#[test]
fn s055_a_client_is_known_by_one_name_in_a_certificate_that_an_authority_answers_for() {
    let authority = Authority::new("CA");
    in_tls(&authority, async |world| {
        world.tenant("acme").await;
        let good = authority.gives(client("pay.example"));
        let by = |held: &Held| authority.believer_with(held);
        let mut ids = Vec::new();
        for (member, name) in [
            ("tls_client_auth_subject_dn", r"CN=pay.example,O=Shop\, Inc."),
            ("tls_client_auth_san_dns", "pay.example"),
            ("tls_client_auth_san_uri", "spiffe://pay.example/app"),
            ("tls_client_auth_san_ip", "192.0.2.7"),
            ("tls_client_auth_san_email", "ops@pay.example"),
        ] {
            let made = machine(world, json!({ "token_endpoint_auth_method": "tls_client_auth", member: name })).await.is(201);
            assert_eq!((made.word(member).as_str(), &made.json()["client_secret"]), (name, &Value::Null));
            let id = made.word("client_id");
            ask(world, &by(&good), &id).await.is(200);
            ids.push(id);
        }
        let other =
            machine(world, json!({ "token_endpoint_auth_method": "tls_client_auth", "tls_client_auth_san_dns": "x.example" })).await;
        ask(world, &by(&good), &other.is(201).word("client_id")).await.refused_oauth(401, "invalid_client");

        let mut is_over = client("pay.example");
        is_over.not_after = rcgen::date_time_ymd(2026, 2, 1);
        let mut of_a_server = client("pay.example");
        of_a_server.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ServerAuth];
        let mut of_an_authority = client("pay.example");
        of_an_authority.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        // The name is in each, and nobody may answer for it.
        let wrong = [
            Held::self_signed(client("pay.example")),
            Authority::new("CA").gives(client("pay.example")),
            authority.gives(is_over),
            authority.gives(of_a_server),
            authority.gives(of_an_authority),
        ];
        let mut clients: Vec<_> = wrong.iter().map(by).collect();
        let mut elsewhere = named("pay.example.evil.example");
        elsewhere.subject_alt_names =
            client("evil.example").subject_alt_names.into_iter().filter(|name| !matches!(name, rcgen::SanType::IpAddress(_))).collect();
        clients.extend([authority.believer().build().expect("a client"), by(&authority.gives(elsewhere))]);
        for http in &clients {
            for id in &ids {
                ask(world, http, id).await.refused_oauth(401, "invalid_client");
            }
        }
        // By way of one that the authority answers for.
        let between = authority.intermediate("between").gives(client("pay.example"));
        ask(world, &by(&between), &ids[0]).await.is(200);
        // Another way to prove oneself is not the registered one.
        let form = [("grant_type", "client_credentials"), ("client_id", ids[0].as_str()), ("client_secret", "x")];
        let asked = sent(by(&good).post(format!("{}{TOKEN}", world.base_url)).form(&form)).await;
        asked.refused_oauth(401, "invalid_client");
        // A certificate is no client of another tenant, and none for one that has a secret.
        world.tenant("globex").await;
        let form = [("grant_type", "client_credentials"), ("client_id", ids[0].as_str())];
        let asked = sent(by(&good).post(format!("{}/t/globex/oauth/token", world.base_url)).form(&form)).await;
        asked.refused_oauth(401, "invalid_client");
        let secret = machine(world, json!({})).await.is(201).word("client_id");
        ask(world, &by(&good), &secret).await.refused_oauth(401, "invalid_client");
        world.platform_admin().post(&format!("{CLIENTS}/{}/disable", ids[1]), json!({})).await.is(200);
        ask(world, &by(&good), &ids[1]).await.refused_oauth(401, "invalid_client");
        // A connection that stays open does not outlive the certificate.
        let http = by(&good);
        ask(world, &http, &ids[0]).await.is(200);
        for _ in 0..71 {
            world.clock.forward(365 * 86_400);
        }
        ask(world, &http, &ids[0]).await.refused_oauth(401, "invalid_client");
    });
}

#[test]
fn s055_a_client_is_known_by_the_very_certificate_or_the_key_that_it_has_registered() {
    let authority = Authority::new("CA");
    in_tls(&authority, async |world| {
        world.tenant("acme").await;
        let party = RelyingParty::start().await;
        let by = |held: &Held| authority.believer_with(held);
        let held = Held::self_signed(named("shop"));
        let (renewed, other) = (held.renewed(named("shop")), Held::self_signed(named("shop")));
        party.show_document(json!({ "keys": [held.jwk_with_certificate()] }));
        let with = async |keys: Value| {
            let mut form = json!({ "token_endpoint_auth_method": "self_signed_tls_client_auth" });
            form.as_object_mut().expect("an object").extend(keys.as_object().expect("members").clone());
            machine(world, form).await.is(201).word("client_id")
        };
        let by_certificate = with(json!({ "jwks": { "keys": [other.jwk(), held.jwk_with_certificate()] } })).await;
        let by_key = with(json!({ "jwks": { "keys": [held.jwk()] } })).await;
        let by_address = with(json!({ "jwks_uri": format!("{}/jwks", party.url) })).await;
        for (id, takes) in [(&by_certificate, [true, false, true]), (&by_key, [true, true, false]), (&by_address, [true, false, false])] {
            for (held, takes) in [&held, &renewed, &other].into_iter().zip(takes) {
                let answer = ask(world, &by(held), id).await;
                if takes { drop(answer.is(200)) } else { drop(answer.refused_oauth(401, "invalid_client")) }
            }
            ask(world, &authority.believer().build().expect("a client"), id).await.refused_oauth(401, "invalid_client");
        }
        assert_eq!(party.fetched(), 1, "an unknown certificate makes nobody ask again and again");
        // A new one at the address is found, after a minute.
        party.show_document(json!({ "keys": [renewed.jwk_with_certificate()] }));
        world.clock.forward(61);
        ask(world, &by(&renewed), &by_address).await.is(200);
        ask(world, &by(&held), &by_address).await.refused_oauth(401, "invalid_client");
        // What must not be registered.
        let mut foreign = other.jwk();
        foreign["x5c"] = held.jwk_with_certificate()["x5c"].clone();
        for keys in [json!({}), json!({ "jwks": { "keys": [foreign] } })] {
            let mut form = json!({ "token_endpoint_auth_method": "self_signed_tls_client_auth" });
            form.as_object_mut().expect("an object").extend(keys.as_object().expect("members").clone());
            machine(world, form).await.refused(422, "invalid_client_metadata");
        }
    });
}

#[test]
fn s055_a_bound_token_says_its_certificate_and_is_worth_nothing_without_it() {
    in_world_with(behind_proxy, async |world| {
        let form = json!({ "token_endpoint_auth_method": "none", "tls_client_certificate_bound_access_tokens": true });
        let (shop, held, other) = (shop(world, form).await, Held::self_signed(named("phone")), Held::self_signed(named("phone")));
        let own = code(&mut Browser::new(&world.base_url), &shop, &[]).await;
        let form = |code| {
            [
                ("grant_type", "authorization_code"),
                ("code", code),
                ("redirect_uri", CALLBACK),
                ("code_verifier", VERIFIER),
                ("client_id", shop.id.as_str()),
            ]
        };
        post(world, TOKEN, &form(&own), None).await.refused_oauth(400, "invalid_request");
        let tokens = post(world, TOKEN, &form(&own), Some(&held)).await.is(200);
        assert_eq!(tokens.word("token_type"), "Bearer");
        let token = tokens.word("access_token");
        assert_eq!(claims(&token)["cnf"], json!({ "x5t#S256": held.thumbprint() }));

        assert_eq!(get(world, USERINFO, &token, Some(&held)).await.is(200).json()["email"], "alice@acme.example");
        post(world, USERINFO, &[("access_token", &token)], Some(&held)).await.is(200);
        for wrong in [None, Some(&other)] {
            let answer = get(world, USERINFO, &token, wrong).await.refused_oauth(401, "invalid_token");
            assert_eq!(answer.header("www-authenticate"), "Bearer error=\"invalid_token\"");
            post(world, USERINFO, &[("access_token", &token)], wrong).await.refused_oauth(401, "invalid_token");
        }
        let key = crate::relying_party::Key::new("1");
        let proof = crate::dpop::proof(world, &key, "GET", USERINFO, crate::dpop::ath(&token));
        let request = world.anon().request("GET", USERINFO).header("Authorization", format!("DPoP {token}")).header("DPoP", proof);
        sent(request.header("Client-Cert", held.byte_sequence())).await.refused_oauth(401, "invalid_token");

        // Introspection says what it is, of both tokens, and asks for no certificate.
        let refresh_token = tokens.word("refresh_token");
        for token in [&token, &refresh_token] {
            let seen = world.platform_admin().form(INTROSPECT, &[("token", token)]).await.is(200).json();
            assert_eq!((&seen["active"], &seen["cnf"]), (&json!(true), &json!({ "x5t#S256": held.thumbprint() })));
        }
        // RFC 8705, 4: a public client's refresh token is bound as well.
        let refreshing = |token| [("grant_type", "refresh_token"), ("refresh_token", token), ("client_id", shop.id.as_str())];
        post(world, TOKEN, &refreshing(&refresh_token), None).await.refused_oauth(400, "invalid_request");
        post(world, TOKEN, &refreshing(&refresh_token), Some(&other)).await.refused_oauth(400, "invalid_grant");
        let renewed = post(world, TOKEN, &refreshing(&refresh_token), Some(&held)).await.is(200);
        assert_eq!(claims(&renewed.word("access_token"))["cnf"]["x5t#S256"], held.thumbprint());
        // Not by a key instead, and not when the client stops to say so.
        let proof = crate::dpop::proof(world, &key, "POST", TOKEN, json!({}));
        let newest = renewed.word("refresh_token");
        let request = world.anon().request("POST", TOKEN).form(&refreshing(&newest)).header("DPoP", proof);
        sent(request.header("Client-Cert", held.byte_sequence())).await.refused_oauth(400, "invalid_request");
        let lax = json!({ "token_endpoint_auth_method": "none", "redirect_uris": [CALLBACK], "grant_types": ["authorization_code", "refresh_token"] });
        world.platform_admin().put(&format!("{CLIENTS}/{}", shop.id), lax).await.is(200);
        post(world, TOKEN, &refreshing(&newest), Some(&held)).await.refused_oauth(400, "invalid_grant");
    });
}

#[test]
fn a_client_that_proves_itself_may_change_its_certificate_and_its_tokens_follow() {
    let authority = Authority::new("CA");
    in_tls(&authority, async |world| {
        world.tenant("acme").await;
        let [one, two] = [0; 2].map(|_| authority.gives(client("pay.example")));
        let form = json!({
            "token_endpoint_auth_method": "tls_client_auth", "tls_client_auth_san_dns": "pay.example",
            "tls_client_certificate_bound_access_tokens": true,
        });
        let id = machine(world, form).await.is(201).word("client_id");
        for held in [&one, &two] {
            let tokens = ask(world, &authority.believer_with(held), &id).await.is(200);
            assert_eq!(tokens.word("token_type"), "Bearer");
            assert_eq!(claims(&tokens.word("access_token"))["cnf"], json!({ "x5t#S256": held.thumbprint() }));
            let seen = world.platform_admin().form(INTROSPECT, &[("token", &tokens.word("access_token"))]).await.is(200).json();
            assert_eq!(seen["cnf"]["x5t#S256"], held.thumbprint());
        }
    });
}

#[test]
fn s151_the_header_of_a_stranger_is_not_looked_at() {
    let folder = tempfile::tempdir().expect("a folder");
    let authority = Authority::new("CA");
    let held = authority.gives(client("pay.example"));
    let form = || json!({ "token_endpoint_auth_method": "tls_client_auth", "tls_client_auth_san_dns": "pay.example" });
    let bound = || json!({ "token_endpoint_auth_method": "client_secret_post", "tls_client_certificate_bound_access_tokens": true });
    let strange = |settings: &mut Settings| {
        behind_proxy(settings);
        settings.tls.certificate_proxies = vec!["10.9.8.7".parse().expect("an address")];
        // What it says of the caller's address is believed, and nothing else.
        settings.server.trusted_proxies = vec!["127.0.0.1".parse().expect("an address")];
    };
    in_world_with(strange, async |world| {
        world.tenant("acme").await;
        let id = machine(world, form()).await.is(201).word("client_id");
        let made = machine(world, bound()).await.is(201);
        let (other, secret) = (made.word("client_id"), made.word("client_secret"));
        let asked = [("grant_type", "client_credentials"), ("client_id", id.as_str())];
        for forwarded in ["10.9.8.7", "192.0.2.1"] {
            let request =
                || world.anon().request("POST", TOKEN).header("X-Forwarded-For", forwarded).header("Client-Cert", held.byte_sequence());
            sent(request().form(&asked)).await.refused_oauth(401, "invalid_client");
            let asked = [("grant_type", "client_credentials"), ("client_id", other.as_str()), ("client_secret", secret.as_str())];
            sent(request().form(&asked)).await.refused_oauth(400, "invalid_request");
        }
    });
    // By TLS it is the connection that counts.
    let shown = authority.gives(loopback());
    let direct = |settings: &mut Settings| {
        crate::tls::show(&shown, folder.path(), settings);
        settings.tls.client_certificates = true;
        believe(&authority, folder.path(), settings);
    };
    in_world_by(authority.believer().build().expect("a client"), direct, async |world| {
        world.tenant("acme").await;
        let id = machine(world, form()).await.is(201).word("client_id");
        let asked = [("grant_type", "client_credentials"), ("client_id", id.as_str())];
        post(world, TOKEN, &asked, Some(&held)).await.refused_oauth(401, "invalid_client");
        let other = authority.believer_with(&authority.gives(client("x.example")));
        let request = other.post(format!("{}{TOKEN}", world.base_url)).form(&asked).header("Client-Cert", held.byte_sequence());
        sent(request).await.refused_oauth(401, "invalid_client");
        ask(world, &authority.believer_with(&held), &id).await.is(200);
    });
}

#[test]
fn a_proxy_tells_the_certificate_in_the_way_that_the_settings_say() {
    let authority = Authority::new("CA");
    let (held, other) = (authority.gives(client("pay.example")), authority.gives(client("x.example")));
    let form = || json!({ "token_endpoint_auth_method": "tls_client_auth", "tls_client_auth_san_dns": "pay.example" });
    let told = async |world: &World, headers: &[(&str, &str)]| {
        world.tenant("acme").await;
        let id = machine(world, form()).await.is(201).word("client_id");
        let asked = [("grant_type", "client_credentials"), ("client_id", id.as_str())];
        let request = world.anon().request("POST", TOKEN).form(&asked);
        sent(headers.iter().fold(request, |request, (name, value)| request.header(*name, *value))).await.status
    };
    let nginx = |settings: &mut Settings| {
        behind_proxy(settings);
        settings.tls.certificate_header = "X-SSL-Cert".to_owned();
        settings.tls.certificate_header_format = CertificateFormat::Pem;
    };
    let (sequence, escaped) = (held.byte_sequence(), held.escaped());
    for (headers, status) in [
        (vec![("client-cert", sequence.as_str())], 200),
        (vec![("client-cert", other.byte_sequence().as_str())], 401),
        (vec![("client-cert", escaped.as_str())], 401),
        (vec![("client-cert", sequence.trim_matches(':'))], 401),
        (vec![("client-cert", sequence.as_str()), ("client-cert", sequence.as_str())], 401),
        (vec![("client-cert", "")], 401),
        (vec![("client-cert", ":AQID:")], 401),
        (vec![("x-ssl-cert", escaped.as_str())], 401),
        (vec![], 401),
    ] {
        in_world_with(behind_proxy, async |world| assert_eq!(told(world, &headers).await, status, "{headers:?}"));
    }
    for (headers, status) in [
        (vec![("x-ssl-cert", escaped.as_str())], 200),
        (vec![("x-ssl-cert", other.escaped().as_str())], 401),
        (vec![("x-ssl-cert", sequence.as_str())], 401),
        (vec![("client-cert", sequence.as_str())], 401),
    ] {
        in_world_with(nginx, async |world| assert_eq!(told(world, &headers).await, status, "{headers:?}"));
    }
    // Where authorities are named, they are asked, whatever the proxy has done.
    let folder = tempfile::tempdir().expect("a folder");
    let strict = |settings: &mut Settings| {
        behind_proxy(settings);
        believe(&authority, folder.path(), settings);
    };
    let between = authority.intermediate("between");
    let held = between.gives(client("pay.example"));
    let (sequence, chain) = (held.byte_sequence(), between.byte_sequence());
    let forged = Authority::new("CA").gives(client("pay.example")).byte_sequence();
    for (headers, status) in [
        (vec![("client-cert", sequence.as_str()), ("client-cert-chain", chain.as_str())], 200),
        (vec![("client-cert", sequence.as_str())], 401),
        (vec![("client-cert", forged.as_str())], 401),
    ] {
        in_world_with(strict, async |world| assert_eq!(told(world, &headers).await, status, "{headers:?}"));
    }
}

#[test]
fn metadata_and_registration_know_certificates_where_they_can_come_alone() {
    let methods = ["tls_client_auth", "self_signed_tls_client_auth"];
    let forms = || {
        [
            json!({ "token_endpoint_auth_method": "tls_client_auth", "tls_client_auth_san_dns": "pay.example" }),
            json!({ "token_endpoint_auth_method": "self_signed_tls_client_auth", "jwks": { "keys": [] } }),
            json!({ "tls_client_certificate_bound_access_tokens": true }),
        ]
    };
    let look = async |world: &World, offered: [bool; 3]| {
        world.tenant("acme").await;
        let metadata = world.anon().get(METADATA).await.is(200).json();
        for list in ["token_endpoint_auth_methods_supported", "revocation_endpoint_auth_methods_supported"] {
            let listed = metadata[list].as_array().expect("a list");
            assert_eq!(methods.map(|method| listed.contains(&json!(method))), [offered[0], offered[1]], "{listed:?}");
        }
        assert_eq!(metadata["tls_client_certificate_bound_access_tokens"], if offered[2] { json!(true) } else { Value::Null });
        for (form, is_offered) in forms().into_iter().zip(offered) {
            let answer = machine(world, form).await;
            if is_offered { drop(answer.is(201)) } else { drop(answer.refused(422, "invalid_client_metadata")) }
        }
        metadata
    };
    in_world(async |world| assert_eq!(look(world, [false; 3]).await["mtls_endpoint_aliases"], Value::Null));
    let unverified = |settings: &mut Settings| {
        behind_proxy(settings);
        settings.tls.proxies_verify = false;
    };
    in_world_with(unverified, async |world| drop(look(world, [false, true, true]).await));
    let elsewhere = |settings: &mut Settings| {
        behind_proxy(settings);
        settings.tls.mtls_base_url = "https://mtls.id.example".to_owned();
    };
    in_world_with(elsewhere, async |world| {
        let aliases = look(world, [true; 3]).await["mtls_endpoint_aliases"].clone();
        for (name, path) in [
            ("token_endpoint", "token"),
            ("revocation_endpoint", "revoke"),
            ("introspection_endpoint", "introspect"),
            ("pushed_authorization_request_endpoint", "par"),
            ("userinfo_endpoint", "userinfo"),
        ] {
            assert_eq!(aliases[name], format!("https://mtls.id.example/t/acme/oauth/{path}"));
        }
        assert_eq!(aliases.as_object().expect("an object").len(), 5, "what is off is at no address");
        // A proof is for the address that was asked, of both.
        let made =
            machine(world, json!({ "token_endpoint_auth_method": "client_secret_post", "dpop_bound_access_tokens": true })).await.is(201);
        let (id, secret) = (made.word("client_id"), made.word("client_secret"));
        let form = [("grant_type", "client_credentials"), ("client_id", id.as_str()), ("client_secret", secret.as_str())];
        let key = crate::relying_party::Key::new("1");
        let there = |htu: &str| crate::dpop::proof(world, &key, "POST", TOKEN, json!({ "htu": htu }));
        let alias = aliases["token_endpoint"].as_str().expect("an address").to_owned();
        let own = format!("{}{TOKEN}", world.base_url);
        for (host, htu, status) in
            [(Some("mtls.id.example"), &alias, 200), (Some("mtls.id.example"), &own, 400), (None, &alias, 400), (None, &own, 200)]
        {
            let request = world.anon().request("POST", TOKEN).form(&form).header("DPoP", there(htu));
            sent(host.iter().fold(request, |request, host| request.header("Host", *host))).await.is(status);
        }
    });
}

#[test]
fn a_fapi_client_may_prove_itself_by_its_certificate_and_have_its_tokens_bound_to_it() {
    in_world_with(behind_proxy, async |world| {
        let held = Held::self_signed(client("bank.example"));
        let form = json!({
            "profile": "fapi2", "token_endpoint_auth_method": "tls_client_auth", "tls_client_auth_san_dns": "bank.example",
            "tls_client_certificate_bound_access_tokens": true,
        });
        let shop: Shop = shop(world, form).await;
        let bank = fapi::Bank { shop, key: crate::relying_party::Key::new("1"), holder: crate::relying_party::Key::new("1") };
        let request = bank.request(&[]);
        let pushed: Vec<_> = request.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        post(world, PAR, &pushed, None).await.refused_oauth(401, "invalid_client");
        let uri = post(world, PAR, &pushed, Some(&held)).await.is(201).word("request_uri");
        let code = told(&logged_in(&mut Browser::new(&world.base_url), &bank.address(&uri)).await)["code"].clone();
        let form = [
            ("grant_type", "authorization_code"),
            ("code", code.as_str()),
            ("redirect_uri", CALLBACK),
            ("code_verifier", VERIFIER),
            ("client_id", bank.shop.id.as_str()),
        ];
        post(world, TOKEN, &form, None).await.refused_oauth(401, "invalid_client");
        let tokens = post(world, TOKEN, &form, Some(&held)).await.is(200);
        let token = tokens.word("access_token");
        assert_eq!(claims(&token)["cnf"], json!({ "x5t#S256": held.thumbprint() }));
        get(world, USERINFO, &token, Some(&held)).await.is(200);
        get(world, USERINFO, &token, None).await.refused_oauth(401, "invalid_token");
        // It proves itself at each refresh: a new certificate of its name will do, and the new token is bound to that one.
        let renewed = Held::self_signed(client("bank.example"));
        let form = [("grant_type", "refresh_token"), ("refresh_token", &tokens.word("refresh_token")), ("client_id", &bank.shop.id)];
        let moved = post(world, TOKEN, &form, Some(&renewed)).await.is(200).word("access_token");
        assert_eq!(claims(&moved)["cnf"]["x5t#S256"], renewed.thumbprint());
        get(world, USERINFO, &moved, Some(&held)).await.refused_oauth(401, "invalid_token");
        get(world, USERINFO, &moved, Some(&renewed)).await.is(200);
    });
}
