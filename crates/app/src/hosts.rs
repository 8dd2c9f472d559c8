//! The hosts of the installation itself, beside those of its tenants.

use std::collections::HashSet;
use std::net::IpAddr;

/// By which names this installation is reached.
#[derive(Debug, Clone, Default)]
pub struct Hosts {
    names: HashSet<String>,
}

impl Hosts {
    /// The hosts of these addresses, and `others`.
    pub fn new<'a>(addresses: impl IntoIterator<Item = &'a str>, others: impl IntoIterator<Item = String>) -> Self {
        let of_addresses = addresses.into_iter().filter_map(|address| Some(name(address.split_once("://")?.1).to_owned()));
        Self { names: of_addresses.chain(others).collect() }
    }

    /// Whether a host, in lower case, is one of them on whatever port. Addresses are, and this machine's own name, because those that look
    /// after a server ask by them; no tenant can have them.
    pub fn are(&self, host: &str) -> bool {
        let name = name(host);
        self.names.contains(name) || name == "localhost" || is_address(name)
    }
}

/// A host without its port.
fn name(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    }
}

fn is_address(name: &str) -> bool {
    name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name).parse::<IpAddr>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_hosts_are_those_that_are_named_and_addresses() {
        let hosts = Hosts::new(["https://id.example", "https://mtls.id.example:8443", "http://[::1]:8080"], ["claviger".to_owned()]);
        for own in [
            "id.example",
            "id.example:443",
            "id.example:1",
            "mtls.id.example",
            "claviger:8080",
            "localhost:1",
            "127.0.0.1",
            "10.0.0.1:80",
            "[::1]:9",
            "[::1]",
        ] {
            assert!(hosts.are(own), "{own}");
        }
        for other in
            ["id.example.", "a.id.example", "example", "localhost.", "a.localhost", "1.2.3", "", "id.example:x", "[id.example]", "::1x"]
        {
            assert!(!hosts.are(other), "{other}");
        }
    }
}
