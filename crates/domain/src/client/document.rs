//! Client ID metadata documents (draft-ietf-oauth-client-id-metadata-document): a client whose id is the address at which it says what it is.
//!
//! Invariant: such a client is nobody's own. Its users are asked each time and see its host; it shares no secret with us; and it gets what a
//! client gets that registers itself, no more.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use url::{Host, Url};

use super::metadata::BadMetadata;
use super::registration::{RegistrationPolicy, settings};
use super::{AuthMethod, ClientId, ClientSettings};
use crate::keys::policy::RotationNumbers;
use crate::text::BadText;
use crate::time::Ttl;

/// The most bytes that a document has.
pub const LARGEST: usize = 5 * 1024;

/// How long a document is taken as it is: what its answer says, within these bounds; [`USUAL`] where it says nothing.
pub const AGE: (Ttl, Ttl) = (Ttl::minutes(5), Ttl::days(1));
pub const USUAL: Ttl = Ttl::hours(1);
/// An address that had no good document is not asked again before.
pub const PAUSE: Ttl = Ttl::minutes(1);

/// Which of these clients a tenant takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DocumentAccess {
    /// None.
    #[default]
    Off,
    /// Those of the hosts that are named.
    Listed,
    /// All.
    Open,
}

/// What a tenant decides about clients that are known by a document.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DocumentPolicy {
    pub access: DocumentAccess,
    /// Host names in lower case, each as it is: there are no wildcards.
    pub hosts: Vec<String>,
}

impl DocumentPolicy {
    /// # Errors
    /// When a host is none, or there are too many.
    pub fn validated(&self) -> Result<(), BadText> {
        let is_host = |host: &String| {
            (1..=253).contains(&host.len())
                && host.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'-'))
        };
        if self.hosts.len() > 100 || !self.hosts.iter().all(is_host) {
            return Err(BadText("client_id_metadata_documents.hosts must be at most 100 host names in lower case"));
        }
        Ok(())
    }

    /// Whether a client with this address may be one of the tenant's.
    pub fn takes(&self, address: &DocumentAddress) -> bool {
        match self.access {
            DocumentAccess::Off => false,
            DocumentAccess::Listed => self.hosts.contains(&address.host),
            DocumentAccess::Open => true,
        }
    }
}

/// The address that a client is known by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DocumentAddress {
    /// Whose client it is, as its users are told.
    pub host: String,
}

impl DocumentAddress {
    /// The address in this id, if it is one: an `https` URL with a path, in the one spelling that it has; without user, query and
    /// fragment. `http` on a loopback address alone.
    ///
    /// Source: draft-ietf-oauth-client-id-metadata-document, 3.
    pub fn of(id: &ClientId) -> Option<Self> {
        // Most ids are none: no URL is parsed for them.
        let url = Url::parse(Some(id.as_str()).filter(|text| text.starts_with("http"))?).ok()?;
        let is_loopback = match url.host()? {
            Host::Ipv4(address) => address.is_loopback(),
            Host::Ipv6(address) => address.is_loopback(),
            Host::Domain(_) => false,
        };
        let is_fit = (url.scheme() == "https" || (url.scheme() == "http" && is_loopback))
            && url.as_str() == id.as_str()
            && url.path().len() > 1
            && url.username().is_empty()
            && url.password().is_none()
            && url.query().is_none()
            && url.fragment().is_none();
        is_fit.then(|| url.host_str().map(|host| Self { host: host.to_owned() })).flatten()
    }
}

/// What a client that shows this document at its address may do in a tenant with these `keys`.
///
/// # Errors
/// Names the first member that will not do.
pub fn read(mut members: Map<String, Value>, id: &ClientId, keys: &RotationNumbers) -> Result<ClientSettings, BadMetadata> {
    if members.get("client_id").and_then(Value::as_str) != Some(id.as_str()) {
        return Err(BadMetadata::new("client_id", "is not the address of the document"));
    }
    for secret in ["client_secret", "client_secret_expires_at"] {
        if members.contains_key(secret) {
            return Err(BadMetadata::new("client_secret", "has no place in what everybody may read"));
        }
    }
    // Nothing else is fetched on its behalf but its keys, and no picture is shown that it could change at any time.
    for passed_over in ["sector_identifier_uri", "logo_uri", "software_statement", "request_uris"] {
        members.remove(passed_over);
    }
    // The usual method is one by a secret, and there is none.
    let method = members.entry("token_endpoint_auth_method").or_insert_with(|| AuthMethod::None.name().into());
    if ![AuthMethod::None, AuthMethod::PrivateKeyJwt].iter().any(|known| method.as_str() == Some(known.name())) {
        return Err(BadMetadata::new("token_endpoint_auth_method", "must be none or private_key_jwt"));
    }
    // Whoever comes so gets no token by the browser, whatever the tenant takes of others.
    settings(members, RegistrationPolicy::default(), &BTreeSet::new(), keys, None)
}

/// How long a document is good for whose answer says this of itself, in seconds.
pub fn age(said: Option<u32>) -> Ttl {
    said.map_or(USUAL, Ttl::seconds).clamp(AGE.0, AGE.1)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::client::ConsentPolicy;

    const ADDRESS: &str = "https://app.example/client.json";

    fn id(text: &str) -> ClientId {
        ClientId::try_from(text.to_owned()).expect("an id")
    }

    fn with(more: Value) -> Result<ClientSettings, &'static str> {
        let mut members = json!({ "client_id": ADDRESS, "redirect_uris": ["https://app.example/cb"] });
        members.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        let Value::Object(members) = members else { panic!("an object") };
        read(members, &id(ADDRESS), &RotationNumbers::default()).map_err(|bad| bad.member)
    }

    #[test]
    fn an_address_has_one_spelling_and_a_path() {
        for (text, host) in [
            (ADDRESS, "app.example"),
            ("https://app.example:8443/a/b", "app.example"),
            ("http://127.0.0.1:5173/client.json", "127.0.0.1"),
            ("http://[::1]:5173/client.json", "[::1]"),
        ] {
            assert_eq!(DocumentAddress::of(&id(text)).map(|address| address.host).as_deref(), Some(host), "{text}");
        }
        for text in [
            "cli_01890000000000000000000000",
            "first-party",
            "https://app.example",
            "https://app.example/",
            "http://app.example/client.json",
            "http://10.0.0.1/client.json",
            "https://APP.example/client.json",
            "https://app.example:443/client.json",
            "https://app.example/a/../client.json",
            "https://app.example/./client.json",
            "https://app.example/client.json?v=1",
            "https://app.example/client.json#a",
            "https://user@app.example/client.json",
            "https://user:pass@app.example/client.json",
            "https:app.example/client.json",
            "https:///app.example/client.json",
            "https://app.example\\client.json",
            "ftp://app.example/client.json",
            "urn:app:client",
        ] {
            assert_eq!(DocumentAddress::of(&id(text)), None, "{text}");
        }
    }

    #[test]
    fn a_document_says_its_address_and_no_secret_and_gives_itself_no_right() {
        let settings = with(
            json!({ "consent": "first_party", "scope": "openid pay admin", "require_pkce": false, "logo_uri": "https://app.example/x.png" }),
        );
        let settings = settings.expect("good");
        assert_eq!((settings.consent, settings.token_endpoint_auth_method), (ConsentPolicy::ThirdParty, AuthMethod::None));
        assert_eq!((settings.scope.to_string().as_str(), settings.require_pkce, settings.logo_uri), ("openid", true, None));
        let keyed = with(json!({ "token_endpoint_auth_method": "private_key_jwt", "jwks_uri": "https://app.example/jwks" })).expect("good");
        assert_eq!(keyed.token_endpoint_auth_method, AuthMethod::PrivateKeyJwt);
        for (member, wrong) in [
            ("client_id", json!({ "client_id": "https://app.example/client.json/" })),
            ("client_id", json!({ "client_id": null })),
            ("client_secret", json!({ "client_secret": "x" })),
            ("client_secret", json!({ "client_secret_expires_at": 0 })),
            ("token_endpoint_auth_method", json!({ "token_endpoint_auth_method": "client_secret_basic" })),
            ("token_endpoint_auth_method", json!({ "token_endpoint_auth_method": "client_secret_jwt" })),
            (
                "token_endpoint_auth_method",
                json!({ "token_endpoint_auth_method": "tls_client_auth", "tls_client_auth_san_dns": "app.example" }),
            ),
            ("token_endpoint_auth_method", json!({ "token_endpoint_auth_method": null })),
            ("jwks", json!({ "token_endpoint_auth_method": "private_key_jwt" })),
            ("redirect_uris", json!({ "redirect_uris": ["http://app.example/cb"] })),
            ("grant_types", json!({ "grant_types": ["authorization_code", "client_credentials"] })),
            ("response_types", json!({ "grant_types": ["implicit"], "response_types": ["id_token"] })),
        ] {
            assert_eq!(with(wrong.clone()).map(|_| ()), Err(member), "{wrong}");
        }
    }

    #[test]
    fn a_document_is_good_for_as_long_as_it_says_within_bounds() {
        for (said, wanted) in [(None, USUAL), (Some(0), AGE.0), (Some(299), AGE.0), (Some(600), Ttl::minutes(10)), (Some(u32::MAX), AGE.1)]
        {
            assert_eq!(age(said), wanted, "{said:?}");
        }
    }

    #[test]
    fn the_tenant_says_whose_clients_it_takes() {
        let address = DocumentAddress::of(&id(ADDRESS)).expect("an address");
        let policy = |access, hosts: &[&str]| DocumentPolicy { access, hosts: hosts.iter().map(|host| (*host).to_owned()).collect() };
        assert!(!DocumentPolicy::default().takes(&address));
        assert!(policy(DocumentAccess::Open, &[]).takes(&address));
        assert!(policy(DocumentAccess::Listed, &["other.example", "app.example"]).takes(&address));
        for hosts in [&[][..], &["example"], &["*.example"], &["sub.app.example"]] {
            assert!(!policy(DocumentAccess::Listed, hosts).takes(&address), "{hosts:?}");
        }
        assert!(policy(DocumentAccess::Listed, &["app.example"]).validated().is_ok());
        for bad in ["*.example", "APP.example", "https://app.example", ""] {
            assert!(policy(DocumentAccess::Listed, &[bad]).validated().is_err(), "{bad}");
        }
    }
}
