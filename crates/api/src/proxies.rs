//! Peers whose word about others is believed: single addresses, and networks where addresses come and go.
//!
//! Invariant: nobody is believed whom the settings do not name, and nobody can name everybody.

use std::net::IpAddr;
use std::str::FromStr;

use ipnet::IpNet;
use serde::Deserialize;

/// A proxy, or a network of which every address is one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Proxy(IpNet);

impl Proxy {
    /// Whether it has this address. An IPv4 address in the clothes of IPv6 is an IPv4 address.
    pub(crate) fn has(&self, address: IpAddr) -> bool {
        self.0.contains(&address.to_canonical())
    }
}

/// Whether one of `proxies` has this address.
pub(crate) fn have(proxies: &[Proxy], address: IpAddr) -> bool {
    proxies.iter().any(|proxy| proxy.has(address))
}

impl From<IpAddr> for Proxy {
    fn from(address: IpAddr) -> Self {
        Self(address.to_canonical().into())
    }
}

/// A text that names no proxy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoProxy(String);

impl std::fmt::Display for NoProxy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "`{}` is neither an address, such as 10.0.0.2, nor a network, such as 10.0.0.0/24; one of all addresses is none", self.0)
    }
}

impl std::error::Error for NoProxy {}

impl FromStr for Proxy {
    type Err = NoProxy;

    fn from_str(text: &str) -> Result<Self, NoProxy> {
        let text = text.trim();
        let no = || NoProxy(text.to_owned());
        if let Ok(address) = text.parse::<IpAddr>() {
            return Ok(address.into());
        }
        let network = text.parse::<IpNet>().map_err(|_| no())?;
        if network.prefix_len() == 0 { Err(no()) } else { Ok(Self(network)) }
    }
}

impl TryFrom<String> for Proxy {
    type Error = NoProxy;

    fn try_from(text: String) -> Result<Self, NoProxy> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_itself_and_a_network_is_all_of_its_addresses() {
        let ip = |text: &str| text.parse::<IpAddr>().expect("an address");
        for (proxy, its, others) in [
            ("10.0.0.1", &["10.0.0.1", "::ffff:10.0.0.1"][..], &["10.0.0.2", "::1"][..]),
            ("::ffff:10.0.0.1", &["10.0.0.1"], &["10.0.0.2"]),
            (" 10.1.0.0/16 ", &["10.1.0.0", "10.1.255.255", "::ffff:10.1.2.3"], &["10.2.0.0", "10.0.255.255"]),
            ("10.1.2.3/16", &["10.1.9.9"], &["10.2.2.3"]),
            ("fd00::/8", &["fd12::1"], &["fe80::1", "10.0.0.1"]),
        ] {
            let proxy: Proxy = proxy.parse().expect(proxy);
            assert!(its.iter().all(|address| proxy.has(ip(address))), "{proxy:?}");
            assert!(!others.iter().any(|address| proxy.has(ip(address))), "{proxy:?}");
        }
        for none in ["", "proxy.internal", "10.0.0.1:80", "10.0.0.0/33", "0.0.0.0/0", "::/0", "10.0.0.0/", "10.0.0.1 10.0.0.2"] {
            let refused = none.parse::<Proxy>().expect_err(none);
            assert!(refused.to_string().contains(&format!("`{none}`")), "{refused}");
        }
    }
}
