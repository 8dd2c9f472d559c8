//! What holds a code to whom it was meant for: the address it is sent to, and what the token request has to repeat. Tables that are
//! complete rather than sampled.

use std::collections::BTreeSet;

use domain::authorize::CodeChallenge;
use domain::authorize::code::{CodeGrant, CodeRefused};
use domain::client::ClientId;
use domain::client::redirect_uri::RedirectUri;
use domain::details::AuthorizationDetails;
use domain::ids::{SsoSessionId, UserId};
use domain::keys::ring::PublicJwk;
use domain::keys::thumbprint::Thumbprint;
use domain::openid::ClaimsRequest;
use domain::scope::Scope;
use domain::sso::{Authentication, Method, SignOn};
use domain::time::{Timestamp, Ttl};
use url::Url;

/// Every text that is one change away: a character taken away, doubled, in the other case, percent-encoded, replaced or put in before;
/// and what attackers put at the ends.
fn mutants(uri: &str) -> BTreeSet<String> {
    const FOREIGN: [&str; 24] = [
        "/", "\\", "?", "#", "@", ":", "%", "&", "=", ".", ";", "*", " ", "\t", "\n", "\0", "0", "1", "a", "ä", "。", "%00", "%2e%2e/",
        "..;/",
    ];
    let mut found = BTreeSet::new();
    for at in 0..=uri.len() {
        let (before, rest) = uri.split_at(at);
        found.extend(FOREIGN.iter().map(|text| format!("{before}{text}{rest}")));
        if let Some(one) = rest.chars().next() {
            let after = &rest[1..];
            let other_case = if one.is_ascii_lowercase() { one.to_ascii_uppercase() } else { one.to_ascii_lowercase() };
            let encoded = format!("%{:02x}", u32::from(one));
            found.extend(
                ["".to_owned(), format!("{one}{one}"), other_case.to_string(), encoded].map(|text| format!("{before}{text}{after}")),
            );
            found.extend(FOREIGN.iter().map(|text| format!("{before}{text}{after}")));
        }
    }
    let without_scheme = uri.split_once(':').expect("a scheme").1;
    for end in
        [".evil.example", "@evil.example", "/../evil", "?next=https://evil.example", "&tenant=2", "#x", "//evil.example", "%0d%0aX: y"]
    {
        found.extend([format!("{uri}{end}"), format!("https://evil.example/{uri}"), format!("https://evil.example{end}/{uri}")]);
    }
    found.extend(["http:", "https:", "javascript:", "data:", "", "//", "ftp:"].map(|scheme| format!("{scheme}{without_scheme}")));
    found.remove(uri);
    found
}

#[test]
fn s004_no_uri_one_change_off_is_the_registered_one() {
    let mut tried = 0;
    for text in ["https://app.example/cb?tenant=1", "https://app.example:8443/a/b", "com.example.app:/cb", "http://localhost:8080/cb"] {
        let registered: RedirectUri = text.parse().expect("a redirect URI");
        assert!(registered.is_meant_by(text));
        for mutant in mutants(text) {
            assert!(!registered.is_meant_by(&mutant), "{text} for {mutant:?}");
            tried += 1;
        }
    }
    assert!(tried >= 2_000, "{tried}");
}

#[test]
fn s005_a_changed_loopback_uri_differs_in_its_port_or_is_refused() {
    let (mut tried, mut taken) = (0, 0);
    for text in ["http://127.0.0.1:8080/cb?x=1", "http://[::1]:8080/cb", "http://127.0.0.1/cb"] {
        let registered: RedirectUri = text.parse().expect("a redirect URI");
        let mut place = Url::parse(text).expect("a URL");
        place.set_port(None).expect("a URL with a host");
        for mutant in mutants(text) {
            tried += 1;
            if registered.is_meant_by(&mutant) {
                // Judged by another parser: the one that browsers have.
                let mut reached = Url::parse(&mutant).unwrap_or_else(|bad| panic!("{mutant:?}: {bad}"));
                reached.set_port(None).expect("a URL with a host");
                assert_eq!(reached, place, "{text} for {mutant:?}");
                taken += 1;
            }
        }
    }
    assert!(tried >= 2_000 && taken >= 10, "{taken} of {tried}");
}

#[test]
fn s044_s059_s060_s061_s062_s063_a_code_is_redeemed_by_all_it_came_from_or_not_at_all() {
    const CALLBACK: &str = "https://app.example/cb";
    // RFC 7636, appendix B.
    const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
    const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
    let at = Timestamp::from_seconds(1_000_000);
    let own = ClientId::first_party();
    let other = ClientId::try_from("cli_01890000000000000000000000".to_owned()).expect("an id");
    let expires_at = at.plus(CodeGrant::TTL);
    let mut redeemed = 0;
    let [key, other_key] = ["a", "b"].map(|x| Thumbprint::of(&PublicJwk::OKP { crv: "Ed25519".to_owned(), x: x.to_owned() }));
    for (challenge, dpop_jkt) in [(Some(CHALLENGE), None), (None, None), (Some(CHALLENGE), Some(key)), (None, Some(key))] {
        let grant = CodeGrant {
            client_id: own.clone(),
            redirect_uri: Some(CALLBACK.to_owned()),
            code_challenge: challenge.map(|text| CodeChallenge::parse(text).expect("a challenge")),
            user_id: UserId::new(at, [1; 10]),
            scope: Scope::default(),
            resources: [].into(),
            details: AuthorizationDetails::none(),
            nonce: None,
            dpop_jkt,
            sign_on: SignOn {
                session_id: SsoSessionId::new(at, [2; 10]),
                authentication: Authentication::by(Method::Password, at),
                claims: ClaimsRequest::default(),
            },
            family_id: None,
            expires_at,
        };
        for client in [&own, &other] {
            for now in [at, Timestamp::from_micros(expires_at.as_micros() - 1), expires_at, expires_at.plus(Ttl::seconds(1))] {
                for uri in [Some(CALLBACK), Some("https://app.example/cb/"), Some("https://APP.example/cb"), Some(""), None] {
                    for verifier in [Some(VERIFIER), Some(CHALLENGE), Some("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXl"), Some(""), None] {
                        for proved in [Some(key), Some(other_key), None] {
                            let wanted = if client != &own {
                                Err(CodeRefused::OtherClient)
                            } else if now >= expires_at {
                                Err(CodeRefused::Expired)
                            } else if uri != Some(CALLBACK) {
                                Err(CodeRefused::OtherRedirectUri)
                            } else if verifier != challenge.map(|_| VERIFIER) {
                                Err(CodeRefused::Verifier)
                            } else if dpop_jkt.is_some() && dpop_jkt != proved {
                                Err(CodeRefused::OtherKey)
                            } else {
                                redeemed += 1;
                                Ok(())
                            };
                            assert_eq!(
                                grant.redeemable(client, uri, verifier, proved, now),
                                wanted,
                                "{challenge:?} {dpop_jkt:?} {client:?} {now:?} {uri:?} {verifier:?} {proved:?}"
                            );
                        }
                    }
                }
            }
        }
    }
    assert_eq!(
        redeemed, 16,
        "at the first and the last moment, with and without a challenge: by one key of three where it is bound, else by all"
    );
}

#[test]
fn a_code_that_was_handed_to_its_client_is_redeemed_without_an_address() {
    let at = Timestamp::from_seconds(1_000_000);
    let sign_on = SignOn {
        session_id: SsoSessionId::new(at, [2; 10]),
        authentication: Authentication::by(Method::Password, at),
        claims: ClaimsRequest::default(),
    };
    let grant = CodeGrant {
        client_id: ClientId::first_party(),
        redirect_uri: None,
        code_challenge: None,
        user_id: UserId::new(at, [1; 10]),
        scope: Scope::default(),
        resources: [].into(),
        details: Default::default(),
        nonce: None,
        dpop_jkt: None,
        sign_on,
        family_id: None,
        expires_at: at.plus(CodeGrant::TTL),
    };
    let redeemed = |uri| grant.redeemable(&ClientId::first_party(), uri, None, None, at);
    assert_eq!(redeemed(None), Ok(()));
    for uri in ["", "https://app.example/cb"] {
        assert_eq!(redeemed(Some(uri)), Err(CodeRefused::OtherRedirectUri), "{uri}");
    }
}
