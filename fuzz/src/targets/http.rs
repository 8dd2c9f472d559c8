//! What stands in a request beside its address: forms, credentials, cookies, where it came from.

use std::net::IpAddr;
use std::sync::LazyLock;

use actix_web::HttpRequest;
use actix_web::http::header::{AUTHORIZATION, COOKIE, HeaderName, HeaderValue};
use actix_web::test::TestRequest;
use api::untrusted;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use domain::handle::{Handle, HandleKind};
use domain::host::HostName;
use domain::tenant::Tenant;
use url::form_urlencoded;

const BASE: &str = "https://id.example";
pub(super) const ETAG: &str = "\"0123456789abcdefghijkl\"";

/// A request with this header; `None` where HTTP itself would refuse it.
fn request(name: HeaderName, value: &[u8]) -> Option<HttpRequest> {
    let value = HeaderValue::from_bytes(value).ok()?;
    Some(TestRequest::default().insert_header((name, value)).to_http_request())
}

/// What is read is written again the same; nothing stands in it twice but what may.
pub(super) fn form(data: &[u8]) {
    let Some(read) = untrusted::form(data) else { return };
    assert!(read.len() <= 32);
    for (at, (name, value)) in read.iter().enumerate() {
        assert!(!value.contains(['\0', '\u{fffd}']) && !name.contains('\u{fffd}'), "{name:?}={value:?}");
        let may_come_again = ["resource", "audience"].contains(&name.as_str());
        assert!(may_come_again || read[..at].iter().all(|(before, _)| before != name), "{name} twice");
    }
    let mut written = form_urlencoded::Serializer::new(String::new());
    written.extend_pairs(&read);
    assert_eq!(untrusted::form(written.finish().as_bytes()), Some(read));
}

/// Whoever is read would be read from the credentials as they are written by the standard.
pub(super) fn basic(data: &[u8]) {
    let Some((id, secret)) = request(AUTHORIZATION, data).and_then(|request| untrusted::basic(&request)) else { return };
    assert!(data.to_ascii_lowercase().starts_with(b"basic "), "only this scheme");
    let encoded = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    let header = format!("Basic {}", STANDARD.encode(format!("{}:{}", encoded(&id), encoded(&secret))));
    let again = request(AUTHORIZATION, header.as_bytes()).and_then(|request| untrusted::basic(&request));
    assert_eq!(again, Some((id, secret)));
}

/// A tenant whose cookies have names that can be written down.
static TENANT: LazyLock<Tenant> = LazyLock::new(|| {
    let id = "ten_00000000000000000000000000".parse().unwrap_or_else(|_| unreachable!("an id"));
    Tenant { id, ..testkit::sample::tenant() }
});
const SESSION: &str = "__Host-claviger_sso_ten_00000000000000000000000000=";
const BROWSER: &str = "__Host-claviger_browser_ten_00000000000000000000000000=";
const OTHERS: &str = "__Host-claviger_others_ten_00000000000000000000000000=";
const REFRESH: &str = "__Secure-claviger_session=";
pub(super) const COOKIE_WORDS: &[&str] = &[
    SESSION,
    BROWSER,
    OTHERS,
    REFRESH,
    ".",
    "%5F%5FHost-claviger_sso_ten_00000000000000000000000000=",
    "__Host-claviger%5Fsso_ten_00000000000000000000000000=",
    "ss1_BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc",
    "%73s1_BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc",
    "; ",
    ";",
    "=",
];

fn has(data: &[u8], piece: &str) -> bool {
    data.windows(piece.len()).any(|window| window == piece.as_bytes())
}

/// What is read stands there, name and value, letter by letter; and what stands before a cookie hides it only by its own name.
pub(super) fn cookies(data: &[u8]) {
    let Some(sent) = request(COOKIE, data) else { return };
    let read = untrusted::browser(&sent, &TENANT, BASE);
    if let Some(browser) = &read.browser {
        assert!(has(data, &format!("{BROWSER}{}", browser.text().expose())), "{browser:?} was not sent");
    }
    for session in read.session.iter().chain(&read.others) {
        let text = session.text().expose().clone();
        assert!(has(data, &format!("{SESSION}{text}")) || (has(data, OTHERS) && has(data, &text)), "{session:?} was not sent");
    }
    if let Some(token) = untrusted::session_cookie(&sent) {
        assert!(has(data, &format!("{REFRESH}{token}")), "a cookie that was not sent");
    }
    if !has(data, SESSION) {
        let ours = Handle::new(HandleKind::SsoSession, [7; 32]);
        let header = [data, b"; ", SESSION.as_bytes(), ours.text().expose().as_bytes()].concat();
        let beside = request(COOKIE, &header).map(|request| untrusted::browser(&request, &TENANT, BASE));
        let found = beside.and_then(|read| read.session).map(|handle| handle.hash());
        assert_eq!(found, Some(ours.hash()), "hidden by what stands before it");
    }
}

/// A peer that nobody trusts is the client, whatever it says. Behind a proxy it is the last address that the proxies vouch for.
pub(super) fn forwarded(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let lines: Vec<&str> = text.split('\n').collect();
    let address = |text: &str| text.parse::<IpAddr>().unwrap_or_else(|_| unreachable!("an address"));
    let (proxies, stranger) = ([address("10.0.0.1"), address("10.0.0.2")], address("198.51.100.1"));
    assert_eq!(untrusted::client_address(stranger, &lines, &proxies), stranger);
    assert_eq!(untrusted::client_address(proxies[0], &lines, &[]), proxies[0]);
    let client = untrusted::client_address(proxies[0], &lines, &proxies);
    assert_eq!(client, client.to_canonical(), "another spelling of an address is another client");
    let hops: Vec<Option<IpAddr>> =
        lines.iter().flat_map(|line| line.split(',')).map(|hop| hop.trim().parse().ok().map(|hop: IpAddr| hop.to_canonical())).collect();
    if proxies.contains(&client) {
        return;
    }
    // All behind it are proxies, and it is the one before them.
    let behind = hops.iter().rev().take_while(|hop| hop.is_some_and(|hop| proxies.contains(&hop))).count();
    assert_eq!(hops[hops.len() - 1 - behind], Some(client));
}

/// A host is known in one spelling, and no two spellings of a domain lead to different ones.
pub(super) fn host(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    if let Some(host) = untrusted::host(&text, BASE) {
        assert!(!host.bytes().any(|byte| byte.is_ascii_uppercase()) && host.is_ascii() && host.len() <= text.len(), "{text:?}");
        assert_eq!(untrusted::host(&text.to_ascii_uppercase(), BASE).as_ref(), Some(&host), "{text:?}");
        if host.len() < 255 {
            assert_eq!(untrusted::host(&format!("{host}:443"), BASE), Some(host), "{text:?}");
        }
    }
    let Ok(domain) = text.parse::<HostName>() else { return };
    assert_eq!(domain.to_string(), text, "another spelling of the same");
    assert!(domain.name().parse::<IpAddr>().is_err() && domain.name().contains('.'), "{text}");
    let issuer = format!("https://{domain}");
    let read = url::Url::parse(&issuer).unwrap_or_else(|error| panic!("{issuer}: {error}"));
    assert_eq!(read.host_str(), Some(domain.name()));
    if domain.fits(BASE).is_ok() {
        assert_eq!(read.origin().ascii_serialization(), issuer, "as browsers write it");
        assert_eq!(untrusted::host(&text, BASE).as_deref(), Some(domain.as_str()));
    }
}

/// What is said to be known was listed; and a listed tag is known, whatever stands before it.
pub(super) fn if_none_match(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if untrusted::is_known(text, ETAG) {
        assert!(text.contains(ETAG) || text.split(',').any(|tag| tag.trim().trim_start_matches("W/") == "*"), "{text:?}");
    }
    for listed in [format!("{text},{ETAG}"), format!("{text}, W/{ETAG}"), format!("{ETAG},{text}")] {
        assert!(untrusted::is_known(&listed, ETAG), "{listed:?}");
    }
}
