//! What clients say about themselves: addresses, keys, metadata.

use domain::authorize::with_query;
use domain::client::document::{self, DocumentAddress};
use domain::client::jwks::{self as key_sets, ClientKey};
use domain::client::metadata::ClientMetadata;
use domain::client::origin::WebOrigin;
use domain::client::redirect_uri::{Reach, RedirectUri};
use domain::client::registration::{self, RegistrationPolicy};
use domain::client::{AuthMethod, ClientId, ClientKeys, ClientSettings, ConsentPolicy, GrantType};
use domain::keys::policy::RotationNumbers;
use domain::keys::ring::{Alg, PublicJwk};
use domain::resource::ResourceUri;
use serde_json::{Map, Value, json};
use url::{Host, Url};

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

/// Two lines: what is registered, and what is asked for. Only the registered one is meant, or its like on another port of a loopback
/// address; and an answer that is sent there arrives at the same place.
pub(super) fn redirect_uri(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let (registered, asked) = text.split_once('\n').unwrap_or((&text, &text));
    let Ok(uri) = registered.parse::<RedirectUri>() else { return };
    assert_eq!(uri.as_str(), registered, "kept as it was written");
    let url = Url::parse(registered).unwrap_or_else(|_| panic!("{registered} is no URL"));
    assert!(url.username().is_empty() && url.password().is_none() && url.fragment().is_none(), "{registered}");
    match uri.reach() {
        Reach::Https => assert!(url.scheme() == "https" && url.has_host(), "{registered}"),
        Reach::Loopback => assert!(url.scheme() == "http" && is_loopback(&url), "{registered}"),
        Reach::PrivateUse => assert!(url.scheme().contains('.'), "{registered}"),
    }
    let answer = with_query(registered, &[("code", "a&b#c".to_owned())]);
    let arrived = Url::parse(&answer).unwrap_or_else(|_| panic!("{answer} is no URL"));
    let place = |url: &Url| (url.scheme().to_owned(), url.host_str().map(str::to_owned), url.port(), url.path().to_owned());
    assert_eq!((place(&arrived), arrived.fragment()), (place(&url), None), "{answer}");
    assert!(arrived.query_pairs().any(|(name, value)| name == "code" && value == "a&b#c"), "{answer}");

    assert!(uri.is_meant_by(registered));
    if asked == registered || !uri.is_meant_by(asked) {
        return;
    }
    let mut theirs = Url::parse(asked).unwrap_or_else(|_| panic!("{asked} is no URL"));
    let mut ours = url;
    assert!(matches!(ours.host(), Some(Host::Ipv4(_) | Host::Ipv6(_))) && is_loopback(&ours), "{asked} for {registered}");
    assert!(theirs.username().is_empty() && theirs.password().is_none(), "{asked}");
    let _ = (theirs.set_port(None), ours.set_port(None));
    assert_eq!(theirs, ours, "{asked} for {registered}");
    // Byte for byte, too, but for the digits of the port.
    let without_port = |text: &str| {
        let at = text.rfind("127.0.0.1").map(|at| at + 9).or_else(|| text.find(']').map(|at| at + 1));
        let at = if text.starts_with("http://127.0.0.1") { Some(16) } else { at };
        let (host, rest) = text.split_at(at.unwrap_or(0));
        format!("{host}{}", rest.strip_prefix(':').map_or(rest, |rest| rest.trim_start_matches(|c: char| c.is_ascii_digit())))
    };
    assert_eq!(without_port(asked), without_port(registered));
}

/// An origin is written as a browser writes it, and is one of a site or of this machine.
pub(super) fn web_origin(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    if let Some(origin) = WebOrigin::of(&text) {
        assert_eq!(origin.as_str().parse().as_ref(), Ok(&origin), "of {text}");
    }
    let Ok(origin) = text.parse::<WebOrigin>() else { return };
    assert_eq!(origin.as_str(), text);
    let url = Url::parse(&text).unwrap_or_else(|_| panic!("{text} is no URL"));
    assert_eq!(url.origin().ascii_serialization(), text);
    assert!(url.scheme() == "https" || (url.scheme() == "http" && is_loopback(&url)), "{text}");
}

pub(super) fn resource_uri(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let Ok(uri) = text.parse::<ResourceUri>() else { return };
    assert_eq!(uri.as_str(), text, "kept as it was written");
    let url = Url::parse(&text).unwrap_or_else(|_| panic!("{text} is no URL"));
    assert!(url.fragment().is_none() && url.username().is_empty() && url.password().is_none() && text.is_ascii(), "{text}");
}

/// A key is strong, for one kind of algorithm, and in the one form that its thumbprint is taken of.
fn is_good(key: &ClientKey) {
    let shown = serde_json::to_value(&key.public).unwrap_or_default();
    let again = key_sets::read_one(&shown).map(|again| again.public);
    assert_eq!(again.as_ref(), Ok(&key.public), "not in its normal form");
    let kinds = Alg::ALL.into_iter().filter(|alg| key.may_be(*alg, None)).count();
    assert!(kinds <= if matches!(key.public, PublicJwk::RSA { .. }) { 2 } else { 1 }, "{shown}");
    if let PublicJwk::RSA { n, e } = &key.public {
        assert!(n.len() >= 341, "shorter than 2048 bits: {n}");
        assert!(e != "AQ" && !e.is_empty() && !e.starts_with("AA"), "a bad exponent: {e}");
    }
    assert!(!Alg::ALL.into_iter().any(|alg| key.may_be(alg, Some("a name that no key has"))));
}

pub(super) fn jwks(data: &[u8]) {
    let Ok(set) = serde_json::from_slice::<Value>(data) else { return };
    if let Ok(keys) = key_sets::read(&set) {
        assert!(keys.len() <= 32);
        keys.iter().for_each(is_good);
        // No private half was among them.
        for key in set["keys"].as_array().into_iter().flatten() {
            assert!(["d", "p", "q", "k"].iter().all(|part| key.get(part).is_none()), "{key}");
        }
    }
    if let Ok(key) = key_sets::read_one(&set) {
        is_good(&key);
        assert!(set.get("d").is_none() && set["kty"] != json!("oct"));
    }
}

pub(super) const METADATA_WORDS: &[&str] = &[
    "\"redirect_uris\":[\"https://app.example/cb\"]",
    "\"https:x\"",
    "\"token_endpoint_auth_method\":\"none\"",
    "\"token_endpoint_auth_method\":\"private_key_jwt\"",
    "\"application_type\":\"native\"",
    "\"grant_types\":[\"client_credentials\"]",
    "\"grant_types\":[\"authorization_code\",\"refresh_token\"]",
    "\"response_types\":[]",
    "\"grant_types\":[\"implicit\"]",
    "\"response_types\":[\"id_token\",\"token id_token\"]",
    "\"request_uris\":[\"https://app.example/r#x\"]",
    "\"require_pkce\":false",
    "\"jwks_uri\":\"http://127.0.0.1/\"",
    "\"subject_type\":\"pairwise\"",
    "\"sector_identifier_uri\":\"https://app.example/s\"",
    "\"backchannel_logout_uri\":\"https://app.example/b\"",
    "\"frontchannel_logout_uri\":\"https://app.example/f\"",
    "\"profile\":\"fapi2\"",
    "\"scope\":\"admin\"",
    "\"consent\":\"first_party\"",
    "\"authorization_challenge\":true",
    "\"client_id\":\"https://app.example/client.json\"",
    "\"client_id\":\"http://127.0.0.1/a\"",
    "\"client_secret\":\"x\"",
    "\"token_endpoint_auth_method\":\"client_secret_jwt\"",
    "\"token_endpoint_auth_signing_alg\":\"HS256\"",
    "{",
    "}",
    ",",
];

/// An address that we ask, or tell something: nobody can hide another place in it.
fn is_endpoint(text: &str) {
    let url = Url::parse(text).unwrap_or_else(|_| panic!("{text} is no URL"));
    assert!(url.scheme() == "https" || (url.scheme() == "http" && is_loopback(&url)), "{text}");
    assert!(url.username().is_empty() && url.password().is_none() && url.fragment().is_none(), "{text}");
}

fn fits_together(settings: &ClientSettings) {
    let is_public = settings.token_endpoint_auth_method == AuthMethod::None;
    assert!(settings.require_pkce || !is_public, "a public client without PKCE");
    assert!(!(is_public && settings.may_use(GrantType::ClientCredentials)));
    assert!(!settings.may_use(GrantType::AuthorizationCode) || !settings.redirect_uris.is_empty());
    assert!(settings.token_endpoint_auth_method != AuthMethod::PrivateKeyJwt || settings.keys.is_some());
    let has_front_channel = settings.response_types.iter().any(|kind| kind.is_front_channel());
    assert_eq!(has_front_channel, settings.may_use(GrantType::Implicit), "tokens by the browser without their grant");
    assert!(!has_front_channel || (settings.profile.is_none() && settings.redirect_uris.iter().all(|uri| uri.reach() == Reach::Https)));
    assert!(!settings.authorization_challenge || settings.consent == ConsentPolicy::FirstParty);
    assert!(!settings.scope.contains("admin") && !settings.scope.contains("account"));
    let key_uri = match &settings.keys {
        Some(ClientKeys::JwksUri(uri)) => Some(uri),
        Some(ClientKeys::Jwks(set)) => {
            assert!(key_sets::read(set).is_ok());
            None
        }
        None => None,
    };
    key_uri.into_iter().chain(&settings.sector_identifier_uri).chain(&settings.backchannel_logout_uri).for_each(|uri| is_endpoint(uri));
    for uri in &settings.request_uris {
        is_endpoint(uri.split('#').next().unwrap_or_default());
        assert!(uri.len() <= 512, "{uri}");
    }
    let stored = serde_json::to_string(settings).unwrap_or_default();
    assert_eq!(serde_json::from_str::<ClientSettings>(&stored).ok().as_ref(), Some(settings), "it does not survive being stored");
}

/// Whoever shows this as its document has its own address, no secret, and nothing in advance.
fn by_document(members: &Map<String, Value>) {
    let said = members.get("client_id").and_then(Value::as_str).and_then(|id| ClientId::try_from(id.to_owned()).ok());
    let id = said.unwrap_or_else(ClientId::first_party);
    if let Some(address) = DocumentAddress::of(&id) {
        is_endpoint(id.as_str());
        assert!(!address.host.is_empty() && id.as_str().contains(&address.host), "{id}");
    }
    let Ok(settings) = document::read(members.clone(), &id, &RotationNumbers::default()) else { return };
    fits_together(&settings);
    assert_eq!(members.get("client_id").and_then(Value::as_str), Some(id.as_str()), "another one's document");
    assert!(
        matches!(settings.token_endpoint_auth_method, AuthMethod::None | AuthMethod::PrivateKeyJwt)
            && !members.contains_key("client_secret")
    );
    assert!(settings.logo_uri.is_none() && settings.sector_identifier_uri.is_none() && settings.require_pkce);
    assert!(settings.request_uris.is_empty() && !settings.may_use(GrantType::Implicit));
    assert_eq!(settings.consent, Default::default(), "a client consented to itself");
}

/// What is taken fits together and survives being stored; who registers itself, or shows a document, gets nothing that is not theirs to take.
pub(super) fn metadata(data: &[u8]) {
    if let Ok(metadata) = serde_json::from_slice::<ClientMetadata>(data)
        && let Ok(settings) = metadata.validated()
    {
        fits_together(&settings);
    }
    let Ok(members) = serde_json::from_slice::<Map<String, Value>>(data) else { return };
    by_document(&members);
    if let Ok(settings) =
        registration::settings(members, RegistrationPolicy::default(), &Default::default(), &RotationNumbers::default(), None)
    {
        fits_together(&settings);
        assert!(
            settings.require_pkce && settings.profile.is_none() && settings.resources.is_empty() && settings.allowed_origins.is_empty()
        );
        assert_eq!(settings.consent, Default::default(), "a client consented to itself");
        assert!(!settings.may_use(GrantType::ClientCredentials));
    }
}
