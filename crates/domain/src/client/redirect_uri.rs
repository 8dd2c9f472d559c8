//! Redirect URIs: what may be registered, and which of a request is the registered one.
//!
//! Invariant: compared as they were written, character by character (RFC 9700, 2.1). The one exception is the port of a loopback
//! address (RFC 8252, 7.3).

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use url::{Host, Url};

use crate::text::BadText;

/// A redirect URI that a client has registered: absolute, without fragment, at most 512 printable ASCII characters; `https`,
/// `http` on a loopback address, or a private-use scheme with a period in it (RFC 8252, 7).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct RedirectUri(String);

/// How sure it is that an answer sent there reaches the client and nobody else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// A site, which its certificate vouches for.
    Https,
    /// A port of the user's machine, which any program there may have opened.
    Loopback,
    /// A scheme that any application may have claimed.
    PrivateUse,
}

impl RedirectUri {
    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub fn reach(&self) -> Reach {
        match self.0.split(':').next() {
            Some("https") => Reach::Https,
            Some("http") => Reach::Loopback,
            _ => Reach::PrivateUse,
        }
    }

    /// Whether a request that names `asked` means this one.
    pub fn is_meant_by(&self, asked: &str) -> bool {
        if self.0 == asked {
            return true;
        }
        // Only where the registered one is a loopback IP address: `localhost` can be made to mean something else.
        match (self.reach(), without_port(&self.0), without_port(asked)) {
            (Reach::Loopback, Some(registered), Some(asked)) => registered == asked,
            _ => false,
        }
    }
}

/// The text of an `http://127.0.0.1…` or `http://[::1]…` URI before and after its port. `None` for every other URI, and for a port
/// that is none.
fn without_port(uri: &str) -> Option<(&str, &str)> {
    let rest = ["http://127.0.0.1", "http://[::1]"].into_iter().find_map(|host| uri.strip_prefix(host).map(|rest| (host, rest)));
    let (host, rest) = rest?;
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (port, path) = rest.split_at(end);
    match port.strip_prefix(':') {
        Some(digits) if digits.len() <= 5 && digits.parse::<u16>().is_ok_and(|port| port > 0) && !digits.starts_with(['0', '+']) => {
            Some((host, path))
        }
        None if port.is_empty() => Some((host, path)),
        _ => None,
    }
}

/// Whether the host stands in the text as the parser understood it, right behind `before`.
fn is_host_of(url: &Url, text: &str, before: &str) -> bool {
    text.strip_prefix(before).is_some_and(|rest| url.host_str().is_some_and(|host| rest.starts_with(host)))
}

impl FromStr for RedirectUri {
    type Err = BadText;

    fn from_str(text: &str) -> Result<Self, BadText> {
        if text.len() > 512 || !text.bytes().all(|b| (0x21..=0x7e).contains(&b)) || text.contains(['*', '\\', '"', '<', '>', '`']) {
            return Err(BadText("a redirect URI is at most 512 printable ASCII characters, without wildcards and quotes"));
        }
        let url = Url::parse(text).map_err(|_| BadText("a redirect URI is an absolute URI"))?;
        if text.contains('#') {
            return Err(BadText("a redirect URI has no fragment"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(BadText("a redirect URI has no user name"));
        }
        // The parser mends; what is registered must be what it says.
        let scheme = url.scheme();
        if !text.starts_with(scheme) || text.split(['?', '#']).next().unwrap_or_default().split('/').any(|part| matches!(part, "." | ".."))
        {
            return Err(BadText("a redirect URI is written in its normal form: scheme and host in lower case, no dot segments"));
        }
        match scheme {
            "https" if is_host_of(&url, text, "https://") => {}
            "https" => return Err(BadText("a redirect URI is written in its normal form: scheme and host in lower case, no dot segments")),
            "http" => {
                let is_loopback = match url.host() {
                    Some(Host::Ipv4(address)) => address.is_loopback(),
                    Some(Host::Ipv6(address)) => address.is_loopback(),
                    Some(Host::Domain(name)) => name == "localhost",
                    None => false,
                };
                if !is_loopback || !is_host_of(&url, text, "http://") {
                    return Err(BadText("http is for loopback addresses only; use https"));
                }
            }
            "javascript" | "data" | "vbscript" | "file" | "blob" | "about" => return Err(BadText("this scheme leads to no client")),
            other if !other.contains('.') => {
                return Err(BadText("a private-use scheme is a domain name of yours in reverse, such as com.example.app (RFC 8252, 7.1)"));
            }
            _ => {}
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for RedirectUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for RedirectUri {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for RedirectUri {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uri(text: &str) -> RedirectUri {
        text.parse().unwrap_or_else(|bad| panic!("{text}: {bad}"))
    }

    #[test]
    fn s004_one_change_and_it_is_another_uri() {
        let registered = uri("https://app.example/cb?tenant=1");
        assert!(registered.is_meant_by("https://app.example/cb?tenant=1"));
        for other in [
            "https://app.example/cb",
            "https://app.example/cb/?tenant=1",
            "https://app.example/CB?tenant=1",
            "https://APP.example/cb?tenant=1",
            "https://app.example:443/cb?tenant=1",
            "https://app.example:8443/cb?tenant=1",
            "http://app.example/cb?tenant=1",
            "https://user@app.example/cb?tenant=1",
            "https://app.example/..;/cb?tenant=1",
            "https://app.example/%2e%2e/cb?tenant=1",
            "https://app.example/x/../cb?tenant=1",
            "https://app.example/cb?tenant=1&x=2",
            "https://app.example/cb?tenant=1&tenant=2",
            "https://app.example/cb?tenant=1#",
            "https://app.example/cb?tenant=1 ",
            "https://app.example.evil.example/cb?tenant=1",
            "https://evil.example/https://app.example/cb?tenant=1",
            "https://app.example%2fcb?tenant=1",
            "",
        ] {
            assert!(!registered.is_meant_by(other), "{other}");
        }
    }

    #[test]
    fn s005_only_the_port_of_a_loopback_address_is_free() {
        for registered in [uri("http://127.0.0.1/cb"), uri("http://127.0.0.1:8080/cb")] {
            for same in ["http://127.0.0.1/cb", "http://127.0.0.1:1/cb", "http://127.0.0.1:65535/cb"] {
                assert!(registered.is_meant_by(same), "{registered} {same}");
            }
            for other in [
                "http://127.0.0.1:0/cb",
                "http://127.0.0.1:65536/cb",
                "http://127.0.0.1:08080/cb",
                "http://127.0.0.1:+80/cb",
                "http://127.0.0.1:80@evil.example/cb",
                "http://127.0.0.1:/cb",
                "http://127.0.0.1.evil.example/cb",
                "http://127.0.0.2:80/cb",
                "http://localhost:80/cb",
                "http://[::1]:80/cb",
                "https://127.0.0.1:80/cb",
                "http://127.0.0.1:80/cb/",
                "http://127.0.0.1:80/cb?x=1",
            ] {
                assert!(!registered.is_meant_by(other), "{registered} {other}");
            }
        }
        assert!(uri("http://[::1]/cb").is_meant_by("http://[::1]:5000/cb"));
        assert!(!uri("http://localhost:80/cb").is_meant_by("http://localhost:81/cb"));
        assert!(!uri("https://app.example/cb").is_meant_by("https://app.example:1/cb"));
    }

    #[test]
    fn s006_s007_what_may_not_be_registered() {
        for good in [
            "https://app.example/cb",
            "https://app.example:8443/cb?a=b",
            "com.example.app:/cb",
            "http://localhost:8080/cb",
            "http://127.0.0.1/",
        ] {
            uri(good);
        }
        for bad in [
            "http://app.example/cb",
            "http://127.0.0.1.evil.example/cb",
            "myapp:/cb",
            "myapp://cb",
            "javascript:alert(1)",
            "data:text/html,x",
            "https://app.example/cb#fragment",
            "https://app.example/cb#",
            "https://*.example/cb",
            "https://user:pw@app.example/cb",
            "https://app.example/../cb",
            "HTTPS://app.example/cb",
            "https://APP.example/cb",
            "https:///cb",
            "https:app.example/cb",
            "https:x",
            "https:/x",
            "http:1",
            "/cb",
            "https://app.example/ü",
            "https://app.example/a b",
            "https://app.example\\@evil.example/",
            "",
        ] {
            assert!(bad.parse::<RedirectUri>().is_err(), "{bad}");
        }
    }
}
