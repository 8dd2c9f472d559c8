//! Certificates of clients as they come over HTTP: of the connection, or in a header of a proxy that the settings name.
//!
//! Whose one is says [`app::mtls`]. Invariant: the header of anybody else is not looked at, and of a named proxy it is the header alone
//! that counts: the connection's certificate is the proxy's own.

use std::rc::Rc;

use actix_web::{HttpRequest, web};
use app::mtls::{ShownCertificate, Witness};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use domain::keys::thumbprint::Thumbprint;

use crate::proxies::{Proxy, have};
use crate::state::ApiState;

/// The certificate that the peer of a connection has shown in its handshake, the chain behind it, in DER. Put beside the connection by
/// whoever serves TLS.
#[derive(Debug, Clone)]
pub struct PeerCertificate(Rc<[Vec<u8>]>);

impl PeerCertificate {
    pub fn new(chain: impl IntoIterator<Item = Vec<u8>>) -> Self {
        Self(chain.into_iter().collect())
    }
}

/// In which header which peers tell the certificate of a client.
#[derive(Debug, Clone, Default)]
pub struct CertificateHeader {
    /// Nobody's header is believed where there are none.
    pub proxies: Vec<Proxy>,
    pub name: String,
    pub format: HeaderFormat,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum HeaderFormat {
    /// A byte sequence, with the chain in a header of its own (RFC 9440, 2).
    #[default]
    Rfc9440,
    /// URL-encoded PEM, perhaps with the chain behind it.
    Pem,
}

/// The certificate that came with this request.
pub(crate) fn shown(request: &HttpRequest) -> Option<ShownCertificate> {
    let state = request.app_data::<web::Data<ApiState>>()?;
    let header = &state.settings.certificates;
    let peer = request.peer_addr()?.ip();
    let (mut chain, witness) = if have(&header.proxies, peer) {
        (header.read(request)?, Witness::Proxy)
    } else {
        (request.conn_data::<PeerCertificate>()?.0.to_vec(), Witness::Connection)
    };
    if chain.is_empty() {
        return None;
    }
    let intermediates = chain.split_off(1);
    Some(ShownCertificate { der: chain.pop()?, intermediates, witness })
}

/// The thumbprint of the certificate that came with this request.
pub(crate) fn thumbprint(request: &HttpRequest) -> Option<Thumbprint> {
    shown(request).as_ref().map(ShownCertificate::thumbprint)
}

impl CertificateHeader {
    fn read(&self, request: &HttpRequest) -> Option<Vec<Vec<u8>>> {
        let texts = |name: &str| request.headers().get_all(name).map(|value| value.to_str().unwrap_or("?").trim()).collect::<Vec<_>>();
        let given = texts(&self.name);
        if given.iter().all(|text| text.is_empty()) {
            return None;
        }
        let chain = match (given.as_slice(), self.format) {
            ([text], HeaderFormat::Pem) => pem(text),
            ([text], HeaderFormat::Rfc9440) => {
                let lines = texts(&format!("{}-Chain", self.name));
                let behind = lines.iter().flat_map(|line| line.split(',')).filter(|item| !item.trim().is_empty());
                std::iter::once(*text).chain(behind).map(byte_sequence).collect()
            }
            _ => None,
        };
        if chain.is_none() {
            tracing::warn!(
                header = self.name,
                "a certificate that a proxy told cannot be read, or there are several; see tls.certificate_header_format"
            );
        }
        chain
    }
}

/// `:…:` with base64 inside (RFC 8941, 3.3.5); parameters are passed over.
fn byte_sequence(text: &str) -> Option<Vec<u8>> {
    let (inside, after) = text.trim().strip_prefix(':')?.split_once(':')?;
    (after.is_empty() || after.starts_with(';')).then(|| STANDARD.decode(inside).ok()).flatten()
}

/// One or more certificates in PEM, URL-encoded; a plus is a plus.
fn pem(text: &str) -> Option<Vec<Vec<u8>>> {
    const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
    const END: &str = "-----END CERTIFICATE-----";
    let decoded = url_decoded(text)?;
    let mut rest = decoded.trim();
    let mut chain = Vec::new();
    while !rest.is_empty() {
        let (inside, after) = rest.strip_prefix(BEGIN)?.split_once(END)?;
        let base64: String = inside.chars().filter(|sign| !sign.is_ascii_whitespace()).collect();
        chain.push(STANDARD.decode(base64).ok()?);
        rest = after.trim_start();
    }
    (!chain.is_empty()).then_some(chain)
}

fn url_decoded(text: &str) -> Option<String> {
    let mut parts = text.split('%');
    let mut bytes = parts.next()?.as_bytes().to_vec();
    for part in parts {
        let (digits, rest) = part.split_at_checked(2)?;
        let is_hex = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
        bytes.push(u8::from_str_radix(digits, 16).ok().filter(|_| is_hex)?);
        bytes.extend(rest.as_bytes());
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_byte_sequence_is_that_of_rfc_8941() {
        for (text, bytes) in [
            (":AQID:", Some(vec![1, 2, 3])),
            (" :AQID:;a=1 ", Some(vec![1, 2, 3])),
            ("::", Some(vec![])),
            ("AQID", None),
            (":AQID", None),
            (":AQ-_:", None),
            (":AQID:x", None),
        ] {
            assert_eq!(byte_sequence(text), bytes, "{text}");
        }
    }

    #[test]
    fn pem_comes_url_encoded_and_a_plus_is_a_plus() {
        let one = "-----BEGIN%20CERTIFICATE-----%0A%2B%2F8%3D%0A-----END%20CERTIFICATE-----%0A";
        let lax = "-----BEGIN%20CERTIFICATE-----%0A+/8=%0A-----END%20CERTIFICATE-----%0A";
        let der = vec![0xfb, 0xff];
        assert_eq!(pem(one), Some(vec![der.clone()]));
        assert_eq!(pem(lax), Some(vec![der.clone()]));
        assert_eq!(pem(&format!("{one}{lax}")), Some(vec![der.clone(), der]));
        for bad in
            ["", "%", "%4", "%zz", "%+1", "AQID", "-----BEGIN%20CERTIFICATE-----%0AAQID", &format!("{one}x"), &one.replace("%2B", "%FF")]
        {
            assert_eq!(pem(bad), None, "{bad}");
        }
    }
}
