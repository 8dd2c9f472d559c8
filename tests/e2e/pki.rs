//! Authorities and certificates, made for one test.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose, SanType,
};
use reqwest::{Certificate, Client, ClientBuilder, Identity};
use serde_json::{Value, json};

/// What signs certificates.
pub(crate) struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    /// The certificates between its own and the root's, as whoever shows a certificate of it has to send them.
    behind: String,
}

/// A certificate and its key.
pub(crate) struct Held {
    pub(crate) der: Vec<u8>,
    /// With what stands behind it.
    pub(crate) pem: String,
    key: KeyPair,
}

fn authority(name: &str) -> CertificateParams {
    let mut params = named(name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

/// A certificate for this common name, from 2026 to 2096.
pub(crate) fn named(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::OrganizationName, "Shop, Inc.");
    params.distinguished_name.push(DnType::CommonName, name);
    params.not_before = rcgen::date_time_ymd(2026, 1, 1);
    params.not_after = rcgen::date_time_ymd(2096, 1, 1);
    params
}

/// Of a client: with each kind of name.
pub(crate) fn client(name: &str) -> CertificateParams {
    let mut params = named(name);
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    let ascii = |text: String| text.try_into().expect("ASCII");
    params.subject_alt_names = vec![
        SanType::DnsName(ascii(name.to_owned())),
        SanType::URI(ascii(format!("spiffe://{name}/app"))),
        SanType::IpAddress("192.0.2.7".parse().expect("an address")),
        SanType::Rfc822Name(ascii(format!("ops@{name}"))),
    ];
    params
}

/// Of a server on loopback.
pub(crate) fn loopback() -> CertificateParams {
    let mut params = named("loopback");
    params.subject_alt_names = vec![SanType::IpAddress("127.0.0.1".parse().expect("an address"))];
    params
}

impl Authority {
    pub(crate) fn new(name: &str) -> Self {
        server::install_crypto();
        let issuer = CertifiedIssuer::self_signed(authority(name), KeyPair::generate().expect("a key")).expect("signed");
        Self { issuer, behind: String::new() }
    }

    /// One that this one answers for.
    pub(crate) fn intermediate(&self, name: &str) -> Self {
        let issuer = CertifiedIssuer::signed_by(authority(name), KeyPair::generate().expect("a key"), &self.issuer).expect("signed");
        let behind = format!("{}{}", issuer.pem(), self.behind);
        Self { issuer, behind }
    }

    pub(crate) fn pem(&self) -> String {
        self.issuer.pem()
    }

    /// Its own certificate, as a proxy writes it by RFC 9440.
    pub(crate) fn byte_sequence(&self) -> String {
        format!(":{}:", STANDARD.encode(self.issuer.der()))
    }

    pub(crate) fn gives(&self, params: CertificateParams) -> Held {
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.issuer).expect("signed");
        Held { der: certificate.der().to_vec(), pem: format!("{}{}", certificate.pem(), self.behind), key }
    }

    /// Somebody who believes this authority alone.
    pub(crate) fn believer(&self) -> ClientBuilder {
        let own = Certificate::from_pem(self.pem().as_bytes()).expect("a certificate");
        Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).tls_certs_only([own])
    }

    /// The same, with a certificate to show.
    pub(crate) fn believer_with(&self, held: &Held) -> Client {
        let identity = Identity::from_pem(format!("{}{}", held.pem, held.key_pem()).as_bytes()).expect("an identity");
        self.believer().identity(identity).build().expect("a client")
    }
}

impl Held {
    pub(crate) fn self_signed(params: CertificateParams) -> Self {
        let key = KeyPair::generate().expect("a key");
        Self::again(params, key)
    }

    fn again(params: CertificateParams, key: KeyPair) -> Self {
        let certificate = params.self_signed(&key).expect("signed");
        Self { der: certificate.der().to_vec(), pem: certificate.pem(), key }
    }

    /// Another certificate of the same key.
    pub(crate) fn renewed(&self, params: CertificateParams) -> Self {
        Self::again(params, KeyPair::from_pem(&self.key.serialize_pem()).expect("a key"))
    }

    pub(crate) fn key_pem(&self) -> String {
        self.key.serialize_pem()
    }

    /// `x5t#S256`.
    pub(crate) fn thumbprint(&self) -> String {
        URL_SAFE_NO_PAD.encode(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &self.der))
    }

    /// Its key as a JWK.
    pub(crate) fn jwk(&self) -> Value {
        let point = self.key.public_key_raw();
        let [x, y] = [&point[1..33], &point[33..]].map(|half| URL_SAFE_NO_PAD.encode(half));
        json!({ "kty": "EC", "crv": "P-256", "x": x, "y": y })
    }

    /// The same, with the certificate.
    pub(crate) fn jwk_with_certificate(&self) -> Value {
        let mut jwk = self.jwk();
        jwk["x5c"] = json!([STANDARD.encode(&self.der)]);
        jwk
    }

    /// As a proxy writes it by RFC 9440.
    pub(crate) fn byte_sequence(&self) -> String {
        format!(":{}:", STANDARD.encode(&self.der))
    }

    /// As nginx writes it.
    pub(crate) fn escaped(&self) -> String {
        self.pem
            .bytes()
            .map(|byte| {
                if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }
            })
            .collect()
    }
}
