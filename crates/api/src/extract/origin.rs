//! Where a request came from. Forwarding headers are believed only from the proxies that the settings name.

use std::future::{Ready, ready};
use std::net::IpAddr;

use actix_web::dev::Payload;
use actix_web::http::header::USER_AGENT;
use actix_web::{FromRequest, HttpMessage, HttpRequest, web};
use app::ctx::Origin;

use crate::observe::RequestId;
use crate::proxies::{Proxy, have};
use crate::state::ApiState;

pub(crate) struct From(pub Origin);

impl From {
    pub(crate) fn of(request: &HttpRequest) -> Self {
        let trusted = request.app_data::<web::Data<ApiState>>().map_or(&[][..], |state| &state.settings.trusted_proxies);
        Self(Origin {
            source: source(request, trusted),
            user_agent: request.headers().get(USER_AGENT).and_then(|name| name.to_str().ok()).map(str::to_owned),
            request_id: request.extensions().get::<RequestId>().map(|id| id.0.clone()),
        })
    }
}

impl FromRequest for From {
    type Error = actix_web::Error;
    type Future = Ready<Result<Self, Self::Error>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Ok(Self::of(request)))
    }
}

/// The address of whoever sent the request.
pub(crate) fn source(request: &HttpRequest, trusted: &[Proxy]) -> Option<IpAddr> {
    let peer = request.peer_addr()?.ip().to_canonical();
    if !have(trusted, peer) {
        return Some(peer);
    }
    let forwarded: Vec<&str> = request.headers().get_all("x-forwarded-for").filter_map(|value| value.to_str().ok()).collect();
    Some(client_address(peer, &forwarded, trusted))
}

/// Walks `X-Forwarded-For` from its end, past the trusted proxies, to the first address that is not one of them.
pub(crate) fn client_address(peer: IpAddr, forwarded: &[&str], trusted: &[Proxy]) -> IpAddr {
    let mut client = peer;
    let mut hops = forwarded.iter().flat_map(|line| line.split(',')).map(str::trim).rev();
    while have(trusted, client) {
        match hops.next().and_then(|hop| hop.parse::<IpAddr>().ok()) {
            Some(hop) => client = hop.to_canonical(),
            None => break,
        }
    }
    client
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn s151_forwarding_headers_of_strangers_have_no_effect() {
        let proxy = ip("10.0.0.1");
        let trusted = [proxy.into()];
        assert_eq!(client_address(ip("203.0.113.9"), &["1.2.3.4"], &trusted), ip("203.0.113.9"));
        assert_eq!(
            client_address(proxy, &["6.6.6.6, 198.51.100.7"], &trusted),
            ip("198.51.100.7"),
            "what the client wrote itself is not believed"
        );
        assert_eq!(client_address(proxy, &["198.51.100.7", "10.0.0.2"], &[proxy.into(), ip("10.0.0.2").into()]), ip("198.51.100.7"));
        assert_eq!(client_address(proxy, &["junk"], &trusted), proxy);
        assert_eq!(client_address(proxy, &[], &trusted), proxy);
    }

    #[test]
    fn s151_every_address_of_a_named_network_is_a_proxy() {
        let network = ["10.0.0.0/24".parse().expect("a network")];
        assert_eq!(client_address(ip("10.0.0.9"), &["6.6.6.6, 198.51.100.7, 10.0.0.2"], &network), ip("198.51.100.7"));
        assert_eq!(client_address(ip("10.0.1.9"), &["6.6.6.6"], &network), ip("10.0.1.9"), "beside the network");
    }
}
