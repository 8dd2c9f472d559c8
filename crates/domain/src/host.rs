//! The host of a tenant's own, as it stands in the tenant's issuer.
//!
//! Invariant: a host has one spelling, because issuers are compared byte by byte.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::text::BadText;

/// A name of the DNS in lower case, its labels in ASCII (RFC 5890 A-labels), without a dot at its end; with a port where the installation
/// is one for development.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct HostName(String);

const REFUSED: BadText = BadText(
    "a domain is a host name of at least two labels in lower case, such as login.example.com: no address, no scheme, no dot at its end, and \
     other letters than a-z as xn--…",
);

impl HostName {
    /// As it stands in an address.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Without the port.
    pub fn name(&self) -> &str {
        self.0.split_once(':').map_or(&self.0, |(name, _)| name)
    }

    pub fn has_port(&self) -> bool {
        self.0.contains(':')
    }

    /// Whether a tenant may have it where issuers begin with `base_url`. Over plain http there are only names that stay on this machine.
    ///
    /// # Errors
    /// Says what would do.
    pub fn fits(&self, base_url: &str) -> Result<(), BadText> {
        if base_url.starts_with("https:") {
            return if self.has_port() { Err(BadText("a domain has no port")) } else { Ok(()) };
        }
        if self.name().ends_with(".localhost") {
            Ok(())
        } else {
            Err(BadText("where server.base_url begins with http:// a domain ends with .localhost, with a port if need be"))
        }
    }
}

impl FromStr for HostName {
    type Err = BadText;

    fn from_str(text: &str) -> Result<Self, BadText> {
        let (name, port) = match text.split_once(':') {
            Some((name, port)) => (name, Some(port)),
            None => (text, None),
        };
        let is_label = |label: &str| {
            (1..=63).contains(&label.len())
                && label.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
                && !label.starts_with('-')
                && !label.ends_with('-')
        };
        let is_name = name.len() <= 253 && name.contains('.') && name.split('.').all(is_label);
        let is_port =
            port.is_none_or(|port| !port.starts_with('0') && port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok());
        // What a browser takes for an address, or cannot read, is no name (URL Standard, 3.5).
        let is_domain = || matches!(url::Host::parse(name), Ok(url::Host::Domain(read)) if read == name);
        if is_name && is_port && is_domain() { Ok(Self(text.to_owned())) } else { Err(REFUSED) }
    }
}

impl Serialize for HostName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for HostName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl fmt::Display for HostName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_a_name_in_its_one_spelling() {
        let long = format!("{}.{}.{}.{}", "a".repeat(63), "b".repeat(63), "c".repeat(63), "d".repeat(61));
        for good in ["login.acme.example", "a.b", "xn--bcher-kva.example", "1.2.3.example", "acme.localhost:8080", "a-b.c:65535", &long] {
            assert_eq!(good.parse::<HostName>().map(|host| host.to_string()), Ok(good.to_owned()));
        }
        let too_long = format!("{long}e");
        for bad in [
            "",
            ".",
            "localhost",
            "a",
            "a.",
            "a.b.",
            ".a.b",
            "a..b",
            "Login.acme.example",
            "bücher.example",
            "xn--a.example",
            "xn--.b",
            "-a.b",
            "a-.b",
            "a_b.c",
            "127.0.0.1",
            "1.2.3",
            "0x7f.1",
            "a.0x10",
            "[::1]",
            "a.b:",
            "a.b:0",
            "a.b:080",
            "a.b:65536",
            "a.b:+1",
            "a.b:1:2",
            "https://a.b",
            "a.b/",
            "a.b?",
            "a.b#",
            "u@a.b",
            "a.b ",
            " a.b",
            "a.b\n",
            "a%2eb.c",
            "a\u{3002}b",
            "ａ.b",
            "*.a.b",
            too_long.as_str(),
        ] {
            assert!(bad.parse::<HostName>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_port_is_for_development_and_plain_http_for_this_machine() {
        let fits = |host: &str, base_url| host.parse::<HostName>().expect("a host").fits(base_url).is_ok();
        assert!(fits("login.acme.example", "https://id.example"));
        assert!(!fits("login.acme.example:8443", "https://id.example"));
        assert!(fits("acme.localhost:8080", "http://127.0.0.1:8080"));
        assert!(!fits("login.acme.example", "http://127.0.0.1:8080"));
        assert!(!fits("acmelocalhost.example:8080", "http://127.0.0.1:8080"));
    }
}
