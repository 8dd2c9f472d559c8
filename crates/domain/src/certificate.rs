//! Certificates (RFC 5280): what one says of its owner. Whether it is genuine, and whose word that is, is said elsewhere.
//!
//! Invariant: what cannot be read is nobody's name and nobody's key; it equals nothing.

use std::net::IpAddr;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use x509_cert::der::asn1::UintRef;
use x509_cert::der::oid::ObjectIdentifier;
use x509_cert::der::{Decode, Reader, SliceReader};
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::spki::SubjectPublicKeyInfoOwned;

use crate::keys::ring::PublicJwk;
use crate::keys::thumbprint::Thumbprint;
use crate::text::BadText;
use crate::time::Timestamp;

mod subject;

use subject::{Subject, WantedSubject};

/// The largest certificate that is looked at, in bytes.
const MOST_BYTES: usize = 16_384;

/// What is read out of one certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    /// Of all of it: `x5t#S256` (RFC 8705, 3.1).
    pub thumbprint: Thumbprint,
    /// Its public key, when it is of a kind that clients may sign by.
    pub key: Option<PublicJwk>,
    pub not_before: Timestamp,
    pub not_after: Timestamp,
    subject: Subject,
    alternative_names: Vec<AlternativeName>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum AlternativeName {
    Dns(String),
    Uri(String),
    Ip(IpAddr),
    Email(String),
}

impl Certificate {
    /// Reads a certificate in DER.
    ///
    /// # Errors
    /// When it is none.
    pub fn read(der: &[u8]) -> Result<Self, BadText> {
        const NONE: BadText = BadText("is no X.509 certificate");
        if der.len() > MOST_BYTES {
            return Err(BadText("is larger than 16 KiB"));
        }
        let read = x509_cert::Certificate::from_der(der).map_err(|_| NONE)?;
        let read = read.tbs_certificate();
        let at = |time: &x509_cert::time::Time| i64::try_from(time.to_unix_duration().as_secs()).map(Timestamp::from_seconds);
        // What cannot be read, or stands there twice, names nobody.
        let alternative_names = read.get_extension::<SubjectAltName>().ok().flatten().map(|(_, names)| names.0).unwrap_or_default();
        Ok(Self {
            thumbprint: Thumbprint::of_certificate(der),
            key: key(read.subject_public_key_info()),
            not_before: at(&read.validity().not_before).map_err(|_| NONE)?,
            not_after: at(&read.validity().not_after).map_err(|_| NONE)?,
            subject: Subject::of(read.subject()),
            alternative_names: alternative_names.into_iter().filter_map(AlternativeName::of).collect(),
        })
    }

    pub fn is_valid_at(&self, now: Timestamp) -> bool {
        self.not_before <= now && now <= self.not_after
    }
}

impl AlternativeName {
    fn of(name: GeneralName) -> Option<Self> {
        match name {
            GeneralName::DnsName(name) => Some(Self::Dns(name.to_string().to_ascii_lowercase())),
            GeneralName::UniformResourceIdentifier(uri) => Some(Self::Uri(uri.to_string())),
            GeneralName::Rfc822Name(email) => Some(Self::Email(mailbox(&email.to_string()))),
            GeneralName::IpAddress(octets) => ip(octets.as_bytes()).map(Self::Ip),
            _ => None,
        }
    }
}

fn ip(octets: &[u8]) -> Option<IpAddr> {
    match octets.len() {
        4 => <[u8; 4]>::try_from(octets).ok().map(IpAddr::from),
        16 => <[u8; 16]>::try_from(octets).ok().map(IpAddr::from),
        _ => None,
    }
}

/// The domain in lower case; what is before it may be in any (RFC 5280, 7.5).
fn mailbox(email: &str) -> String {
    match email.rsplit_once('@') {
        Some((local, domain)) => format!("{local}@{}", domain.to_ascii_lowercase()),
        None => email.to_owned(),
    }
}

/// RFC 5480, RFC 8017, RFC 8410.
const EC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const P_256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
const P_384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");
const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
const RSA_PSS: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.10");
const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");

fn key(spki: &SubjectPublicKeyInfoOwned) -> Option<PublicJwk> {
    let (algorithm, bits) = (&spki.algorithm, spki.subject_public_key.as_bytes()?);
    match algorithm.oid {
        EC => {
            let (crv, width) = match algorithm.parameters.as_ref()?.decode_as::<ObjectIdentifier>().ok()? {
                P_256 => ("P-256", 32),
                P_384 => ("P-384", 48),
                _ => return None,
            };
            let (form, point) = bits.split_first()?;
            let (x, y) = point.split_at_checked(width)?;
            let encode = |coordinate| URL_SAFE_NO_PAD.encode(coordinate);
            (*form == 4 && y.len() == width).then(|| PublicJwk::EC { crv: crv.to_owned(), x: encode(x), y: encode(y) })
        }
        RSA | RSA_PSS => {
            let mut reader = SliceReader::new(bits).ok()?;
            let (n, e) =
                reader.sequence(|reader| Ok::<_, x509_cert::der::Error>((UintRef::decode(reader)?, UintRef::decode(reader)?))).ok()?;
            reader
                .is_finished()
                .then(|| PublicJwk::RSA { n: URL_SAFE_NO_PAD.encode(n.as_bytes()), e: URL_SAFE_NO_PAD.encode(e.as_bytes()) })
        }
        ED25519 => (bits.len() == 32).then(|| PublicJwk::OKP { crv: "Ed25519".to_owned(), x: URL_SAFE_NO_PAD.encode(bits) }),
        _ => None,
    }
}

/// The one name by which a certificate is a client's own, written as the member of its metadata (RFC 8705, 2.1.2).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum CertificateName {
    /// As RFC 4514 writes it.
    #[serde(rename = "tls_client_auth_subject_dn")]
    Subject(String),
    #[serde(rename = "tls_client_auth_san_dns")]
    Dns(String),
    #[serde(rename = "tls_client_auth_san_uri")]
    Uri(String),
    #[serde(rename = "tls_client_auth_san_ip")]
    Ip(IpAddr),
    #[serde(rename = "tls_client_auth_san_email")]
    Email(String),
}

/// Makes a name of what somebody wrote.
type Read = fn(&str) -> Result<CertificateName, BadText>;

impl CertificateName {
    /// The members of metadata, each with what it is read by.
    pub const MEMBERS: [(&'static str, Read); 5] = [
        ("tls_client_auth_subject_dn", Self::subject),
        ("tls_client_auth_san_dns", Self::dns),
        ("tls_client_auth_san_uri", Self::uri),
        ("tls_client_auth_san_ip", Self::ip),
        ("tls_client_auth_san_email", Self::email),
    ];

    fn subject(text: &str) -> Result<Self, BadText> {
        WantedSubject::read(text).map(|_| Self::Subject(text.to_owned()))
    }

    fn dns(text: &str) -> Result<Self, BadText> {
        let is_good = (1..=253).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._*".contains(&b));
        is_good.then(|| Self::Dns(text.to_ascii_lowercase())).ok_or(BadText("must be a DNS name, in ASCII"))
    }

    fn uri(text: &str) -> Result<Self, BadText> {
        let is_good = text.len() <= 512 && text.is_ascii() && url::Url::parse(text).is_ok();
        is_good.then(|| Self::Uri(text.to_owned())).ok_or(BadText("must be a URI of at most 512 ASCII characters"))
    }

    fn ip(text: &str) -> Result<Self, BadText> {
        text.parse().map(Self::Ip).map_err(|_| BadText("must be an IPv4 or IPv6 address"))
    }

    fn email(text: &str) -> Result<Self, BadText> {
        let is_good =
            text.len() <= 320 && text.bytes().all(|b| b.is_ascii_graphic()) && text.split('@').filter(|part| !part.is_empty()).count() == 2;
        is_good.then(|| Self::Email(mailbox(text))).ok_or(BadText("must be a mail address, in ASCII"))
    }

    /// Whether the certificate bears this very name. A wildcard in it is a star and stands for nothing else.
    pub fn is_of(&self, certificate: &Certificate) -> bool {
        let has = |name: &AlternativeName| certificate.alternative_names.contains(name);
        match self {
            Self::Subject(wanted) => WantedSubject::read(wanted).is_ok_and(|wanted| wanted.is(&certificate.subject)),
            Self::Dns(name) => has(&AlternativeName::Dns(name.clone())),
            Self::Uri(uri) => has(&AlternativeName::Uri(uri.clone())),
            Self::Ip(ip) => has(&AlternativeName::Ip(*ip)),
            Self::Email(email) => has(&AlternativeName::Email(email.clone())),
        }
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, DnType, KeyPair, SanType};

    use super::*;

    fn made(params: &CertificateParams, key: &KeyPair) -> Certificate {
        Certificate::read(params.self_signed(key).expect("signed").der()).expect("a certificate")
    }

    fn params() -> CertificateParams {
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::CountryName, "DE");
        params.distinguished_name.push(DnType::OrganizationName, "Müller, Söhne + Co");
        params.distinguished_name.push(DnType::CustomDnType(vec![2, 5, 4, 97]), "PSDDE-BAFIN-1");
        params.distinguished_name.push(DnType::CommonName, "pay.example");
        params.subject_alt_names = vec![
            SanType::DnsName("Pay.example".try_into().expect("ASCII")),
            SanType::DnsName("*.pay.example".try_into().expect("ASCII")),
            SanType::URI("spiffe://pay.example/a".try_into().expect("ASCII")),
            SanType::IpAddress("192.0.2.7".parse().expect("an address")),
            SanType::IpAddress("2001:db8::7".parse().expect("an address")),
            SanType::Rfc822Name("Ops@Pay.example".try_into().expect("ASCII")),
        ];
        params
    }

    fn is_named(certificate: &Certificate, member: &str, text: &str) -> bool {
        let (_, read) = CertificateName::MEMBERS.into_iter().find(|(name, _)| *name == member).expect("a member");
        read(text).expect("a name").is_of(certificate)
    }

    #[test]
    fn a_certificate_bears_its_very_names_and_no_others() {
        let certificate = made(&params(), &KeyPair::generate().expect("a key"));
        let dn = r"CN=pay.example,organizationIdentifier=PSDDE-BAFIN-1,O=M\C3\BCller\, Söhne \+ Co,C=DE";
        for (member, text) in [
            ("tls_client_auth_subject_dn", dn),
            ("tls_client_auth_subject_dn", r"cn=pay.example, 2.5.4.97=#0c0d50534444452d424146494e2d31, o=Müller\2C Söhne \2B Co, c=DE"),
            ("tls_client_auth_san_dns", "pay.EXAMPLE"),
            ("tls_client_auth_san_dns", "*.pay.example"),
            ("tls_client_auth_san_uri", "spiffe://pay.example/a"),
            ("tls_client_auth_san_ip", "192.0.2.7"),
            ("tls_client_auth_san_ip", "2001:0db8:0::7"),
            ("tls_client_auth_san_email", "Ops@pay.example"),
        ] {
            assert!(is_named(&certificate, member, text), "{member} {text}");
        }
        for (member, text) in [
            ("tls_client_auth_subject_dn", "CN=pay.example"),
            ("tls_client_auth_subject_dn", "CN=Pay.example,organizationIdentifier=PSDDE-BAFIN-1,O=Müller\\, Söhne \\+ Co,C=DE"),
            ("tls_client_auth_subject_dn", "C=DE,O=Müller\\, Söhne \\+ Co,organizationIdentifier=PSDDE-BAFIN-1,CN=pay.example"),
            ("tls_client_auth_subject_dn", "CN=pay.example+organizationIdentifier=PSDDE-BAFIN-1,O=Müller\\, Söhne \\+ Co,C=DE"),
            (
                "tls_client_auth_subject_dn",
                "CN=pay.example,organizationIdentifier=#0c0d50534444452d424146494e2d32,O=Müller\\, Söhne \\+ Co,C=DE",
            ),
            ("tls_client_auth_san_dns", "a.pay.example"),
            ("tls_client_auth_san_dns", "pay.example."),
            ("tls_client_auth_san_dns", "spiffe"),
            ("tls_client_auth_san_uri", "spiffe://pay.example/A"),
            ("tls_client_auth_san_uri", "spiffe://pay.example/a/"),
            ("tls_client_auth_san_ip", "192.0.2.8"),
            ("tls_client_auth_san_ip", "::ffff:192.0.2.7"),
            ("tls_client_auth_san_email", "ops@pay.example"),
        ] {
            assert!(!is_named(&certificate, member, text), "{member} {text}");
        }
    }

    #[test]
    fn what_is_no_name_is_not_registered() {
        for (member, bad) in [
            (
                "tls_client_auth_subject_dn",
                [
                    "",
                    "pay.example",
                    "CN=a,",
                    "CN=a,,O=b",
                    "CN=a\\",
                    "CN=a\\zz",
                    "1.=a",
                    "no-such-name=a",
                    "CN=a+CN=b",
                    "CN=#0",
                    "CN=\"a\"",
                    "CN=a;O=b",
                ]
                .as_slice(),
            ),
            ("tls_client_auth_san_dns", &["", "pay example", "pay.example/", "päy.example"]),
            ("tls_client_auth_san_uri", &["", "pay.example", "https://päy.example"]),
            ("tls_client_auth_san_ip", &["", "pay.example", "192.0.2", "192.0.2.0/24", "192.0.2.07"]),
            ("tls_client_auth_san_email", &["", "pay.example", "@pay.example", "a b@pay.example", "a@b@c"]),
        ] {
            let (_, read) = CertificateName::MEMBERS.into_iter().find(|(name, _)| *name == member).expect("a member");
            for text in bad {
                assert!(read(text).is_err(), "{member} {text}");
            }
        }
    }

    #[test]
    fn the_key_of_a_certificate_is_that_of_its_jwk() {
        for algorithm in [&rcgen::PKCS_ECDSA_P256_SHA256, &rcgen::PKCS_ECDSA_P384_SHA384, &rcgen::PKCS_ED25519, &rcgen::PKCS_RSA_SHA256] {
            let key = KeyPair::generate_for(algorithm).expect("a key");
            let certificate = made(&params(), &key);
            let read = certificate.key.clone().expect("a key");
            let raw = key.public_key_raw();
            let bytes = |text: &str| URL_SAFE_NO_PAD.decode(text).expect("base64url");
            match read {
                PublicJwk::EC { x, y, .. } => assert_eq!([&[4], bytes(&x).as_slice(), &bytes(&y)].concat(), raw),
                PublicJwk::OKP { x, .. } => assert_eq!(bytes(&x), raw),
                PublicJwk::RSA { n, e } => {
                    assert_eq!((bytes(&n).len(), e.as_str()), (256, "AQAB"));
                    assert!(raw.windows(256).any(|window| window == bytes(&n)));
                }
            }
        }
    }

    #[test]
    fn what_is_no_certificate_is_not_read() {
        let der = params().self_signed(&KeyPair::generate().expect("a key")).expect("signed").der().to_vec();
        let read = Certificate::read(&der).expect("good");
        assert!(read.is_valid_at(read.not_before) && read.is_valid_at(read.not_after));
        assert!(!read.is_valid_at(Timestamp::EPOCH));
        for bad in [&der[1..], &der[..der.len() - 1], &[der.as_slice(), &[0]].concat(), &[], &[0x30, 0x80], &vec![0x30; MOST_BYTES + 1]] {
            assert!(Certificate::read(bad).is_err());
        }
        // No byte of it makes the reader fall over, whatever it becomes.
        for place in 0..der.len() {
            let mut changed = der.clone();
            changed[place] ^= 0x41;
            drop(Certificate::read(&changed));
        }
    }
}
