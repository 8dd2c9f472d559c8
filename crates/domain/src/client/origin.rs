//! Origins of pages (RFC 6454; HTML, "origin"): where a client's code runs, if it runs in a browser.
//!
//! Invariant: written as browsers write it in `Origin`, so that two of them are compared character by character.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use url::{Host, Url};

use crate::text::BadText;

/// Scheme, host and port of a page: `https`, or `http` on a loopback address; without the port that the scheme has anyway, and
/// without anything behind it. Never `null`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct WebOrigin(String);

const BAD: BadText = BadText(
    "an origin is scheme, host and port as a browser writes them, such as https://app.example or http://localhost:5173: in lower case, without path \
     and usual port; http is for loopback addresses only",
);

/// What is longer is no name of a host.
const LONGEST: usize = 300;

impl WebOrigin {
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The origin of pages at `uri`; `None` where pages are no site's.
    pub fn of(uri: &str) -> Option<Self> {
        let url = Url::parse(uri).ok()?;
        let is_meant = match (url.scheme(), url.host()?) {
            ("https", Host::Domain(name)) => !name.contains('*'),
            ("https", _) => true,
            ("http", Host::Domain(name)) => name == "localhost",
            ("http", Host::Ipv4(address)) => address.is_loopback(),
            ("http", Host::Ipv6(address)) => address.is_loopback(),
            _ => false,
        };
        is_meant.then(|| Self(url.origin().ascii_serialization())).filter(|origin| origin.0.len() <= LONGEST)
    }
}

impl FromStr for WebOrigin {
    type Err = BadText;

    fn from_str(text: &str) -> Result<Self, BadText> {
        if text.len() > LONGEST {
            return Err(BAD);
        }
        Self::of(text).filter(|origin| origin.0 == text).ok_or(BAD)
    }
}

impl fmt::Display for WebOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for WebOrigin {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for WebOrigin {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_written_as_browsers_write_it() {
        for good in [
            "https://app.example",
            "https://app.example:8443",
            "https://xn--bcher-kva.example",
            "https://192.0.2.1",
            "https://[2001:db8::1]:444",
            "http://localhost",
            "http://localhost:5173",
            "http://127.0.0.1:8080",
            "http://[::1]:3000",
        ] {
            assert_eq!(good.parse::<WebOrigin>().map(|origin| origin.0), Ok(good.to_owned()));
        }
        for bad in [
            "",
            "null",
            "*",
            "app.example",
            "https://",
            "https://app.example/",
            "https://app.example/cb",
            "https://app.example?x",
            "https://app.example#",
            "https://app.example:443",
            "https://app.example:",
            "https://app.example:0443",
            "https://APP.example",
            "HTTPS://app.example",
            "https://bücher.example",
            "https://user@app.example",
            "https://app.example ",
            " https://app.example",
            "https://app.example\n",
            "https:app.example",
            "https://*.example",
            "https://app.example,https://evil.example",
            "https://app.example https://evil.example",
            "http://app.example",
            "http://localhost.evil.example",
            "http://127.0.0.1.evil.example",
            "http://localhost:80",
            "https://0x7f.1",
            "wss://app.example",
            "file://",
            "com.example.app://cb",
            "chrome-extension://abcdefghijklmnop",
        ] {
            assert!(bad.parse::<WebOrigin>().is_err(), "{bad}");
        }
        let long = format!("https://{}.example", "a".repeat(300));
        assert!(long.parse::<WebOrigin>().is_err());
    }

    #[test]
    fn pages_at_an_address_have_its_origin() {
        for (uri, origin) in [
            ("https://app.example/cb?x=1", Some("https://app.example")),
            ("https://app.example:443/cb", Some("https://app.example")),
            ("https://app.example:8443", Some("https://app.example:8443")),
            ("http://127.0.0.1:1/cb", Some("http://127.0.0.1:1")),
            ("http://127.0.0.1/cb", Some("http://127.0.0.1")),
            ("com.example.app:/cb", None),
            ("http://app.example/cb", None),
        ] {
            assert_eq!(WebOrigin::of(uri).as_ref().map(WebOrigin::as_str), origin, "{uri}");
        }
    }
}
