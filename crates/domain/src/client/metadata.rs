//! Client metadata as somebody writes it (RFC 7591, 2; OpenID Connect Registration, 2), and what is wrong with it.
//!
//! The one way to [`ClientSettings`], for the admin API as for dynamic registration. Invariant: an error names the member.

use std::collections::BTreeSet;
use std::str::FromStr;

use serde::Deserialize;
use serde_json::Value;
use url::Url;

use super::assertion::AssertionAlg;
use super::jwks;
use super::origin::WebOrigin;
use super::profile::Profile;
use super::redirect_uri::{Reach, RedirectUri};
use super::{ApplicationType, AuthMethod, ClientKeys, ClientSettings, ConsentPolicy, DeliveryMode, GrantType, ResponseType, SubjectType};
use crate::answer::usual_alg;
use crate::certificate::CertificateName;
use crate::details::DetailTypeName;
use crate::encryption::{ContentEncryption, EncryptedAnswers, KeyManagement};
use crate::keys::policy::RotationNumbers;
use crate::keys::ring::Alg;
use crate::resource::ResourceSet;
use crate::scope::Scope;
use crate::text::BadText;
use crate::time::Ttl;

/// Metadata that nobody has looked at. What is left out gets the default of its standard.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ClientMetadata {
    /// Of our own: `fapi2` switches together what the FAPI 2.0 Security Profile demands.
    pub profile: Option<String>,
    pub client_name: Option<String>,
    /// `web` (default) or `native`.
    pub application_type: Option<String>,
    pub redirect_uris: Option<Vec<String>>,
    pub post_logout_redirect_uris: Option<Vec<String>>,
    /// Of our own: where its pages are, besides those of its redirect URIs.
    pub allowed_origins: Option<Vec<String>>,
    /// `["authorization_code"]` by default.
    pub grant_types: Option<Vec<String>>,
    /// `["code"]` for clients with the authorization code grant. Those with tokens in them go together with the grant `implicit`.
    pub response_types: Option<Vec<String>>,
    /// What it may ask for. The scopes of OpenID Connect by default, for a client with users.
    pub scope: Option<String>,
    /// Of our own: the APIs that it may have tokens for (RFC 8707). None by default.
    pub resources: Option<Vec<String>>,
    /// The types of authorization details that it may ask for (RFC 9396, 10). All of its APIs by default.
    pub authorization_details_types: Option<Vec<String>>,
    /// Of our own: `true` lets it exchange tokens of other clients without an actor token (RFC 8693, 1.1).
    pub may_impersonate: Option<bool>,
    /// Of our own: `true` lets the tenant's own application hand over what users type into it (OAuth 2.0 for First-Party Applications).
    pub authorization_challenge: Option<bool>,
    /// `client_secret_basic` by default.
    pub token_endpoint_auth_method: Option<String>,
    /// Of `private_key_jwt` assertions. Any of the server's by default.
    pub token_endpoint_auth_signing_alg: Option<String>,
    /// Of our own: `true` takes no assertion that is meant for the token endpoint (rfc7523bis).
    pub require_issuer_audience: Option<bool>,
    pub frontchannel_logout_uri: Option<String>,
    pub frontchannel_logout_session_required: Option<bool>,
    pub backchannel_logout_uri: Option<String>,
    pub backchannel_logout_session_required: Option<bool>,
    /// `poll` or `ping`, with the grant of OpenID CIBA Core 1.0.
    pub backchannel_token_delivery_mode: Option<String>,
    /// With `ping`.
    pub backchannel_client_notification_endpoint: Option<String>,
    /// `public` (default) or `pairwise`.
    pub subject_type: Option<String>,
    /// For pairwise subjects: where all redirect URIs of the sector are listed.
    pub sector_identifier_uri: Option<String>,
    /// `RS256` by default.
    pub id_token_signed_response_alg: Option<String>,
    /// Userinfo as a JWT, signed by this; JSON by default.
    pub userinfo_signed_response_alg: Option<String>,
    /// Of answers to authorization requests in a signed response mode (JARM, 3). One that the tenant has by default.
    pub authorization_signed_response_alg: Option<String>,
    /// Of signed introspection (RFC 9701, 6). One that the tenant has by default.
    pub introspection_signed_response_alg: Option<String>,
    /// Encrypts ID tokens and logout tokens (OpenID Connect Registration, 2); nothing by default.
    pub id_token_encrypted_response_alg: Option<String>,
    /// `A128CBC-HS256` by default.
    pub id_token_encrypted_response_enc: Option<String>,
    /// Encrypts userinfo, which has to be signed as well (OpenID Connect Registration, 2); nothing by default.
    pub userinfo_encrypted_response_alg: Option<String>,
    /// `A128CBC-HS256` by default.
    pub userinfo_encrypted_response_enc: Option<String>,
    /// Encrypts answers in a signed response mode (JARM, 3); nothing by default.
    pub authorization_encrypted_response_alg: Option<String>,
    /// `A128CBC-HS256` by default.
    pub authorization_encrypted_response_enc: Option<String>,
    /// Encrypts signed introspection (RFC 9701, 6); nothing by default.
    pub introspection_encrypted_response_alg: Option<String>,
    /// `A128CBC-HS256` by default.
    pub introspection_encrypted_response_enc: Option<String>,
    /// Seconds.
    pub default_max_age: Option<u32>,
    pub require_auth_time: Option<bool>,
    pub require_pushed_authorization_requests: Option<bool>,
    /// Of our own: `false` lets a confidential client do without PKCE. It should send a nonce.
    pub require_pkce: Option<bool>,
    /// Where its requests may be fetched, each at most 512 characters (OpenID Connect Registration, 2). Nowhere by default.
    pub request_uris: Option<Vec<String>>,
    /// Any of the server's by default.
    pub request_object_signing_alg: Option<String>,
    /// `true` takes no request that is not signed (RFC 9101, 10.5).
    pub require_signed_request_object: Option<bool>,
    /// Of our own: `true` answers authorization requests by signed answers alone (JARM).
    pub require_signed_authorization_response: Option<bool>,
    /// `true` gives no tokens without a DPoP proof (RFC 9449, 5.2).
    pub dpop_bound_access_tokens: Option<bool>,
    /// `true` gives no tokens without a certificate, and binds them to it (RFC 8705, 3.4).
    pub tls_client_certificate_bound_access_tokens: Option<bool>,
    /// One of these five is the name in the certificate of a client with `tls_client_auth` (RFC 8705, 2.1.2).
    pub tls_client_auth_subject_dn: Option<String>,
    pub tls_client_auth_san_dns: Option<String>,
    pub tls_client_auth_san_uri: Option<String>,
    pub tls_client_auth_san_ip: Option<String>,
    pub tls_client_auth_san_email: Option<String>,
    /// Of our own: `true` takes no DPoP proof without a nonce of ours (RFC 9449, 8).
    pub require_dpop_nonce: Option<bool>,
    /// Of our own: `first_party` or `third_party` (default).
    pub consent: Option<String>,
    pub jwks: Option<Value>,
    pub jwks_uri: Option<String>,
    pub client_uri: Option<String>,
    pub logo_uri: Option<String>,
    pub policy_uri: Option<String>,
    pub tos_uri: Option<String>,
    /// Addresses of people who are responsible for the client.
    pub contacts: Option<Vec<String>>,
    /// Where a login may be begun from elsewhere (OpenID Connect Core, 4).
    pub initiate_login_uri: Option<String>,
    pub software_id: Option<String>,
    pub software_version: Option<String>,
}

/// What is wrong with client metadata.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{member}: {why}")]
pub struct BadMetadata {
    /// The member's name on the wire.
    pub member: &'static str,
    pub why: String,
}

impl BadMetadata {
    pub fn new(member: &'static str, why: impl ToString) -> Self {
        Self { member, why: why.to_string() }
    }
}

pub(super) fn bad(member: &'static str, why: impl ToString) -> BadMetadata {
    BadMetadata::new(member, why)
}

/// One of the words of `known`; `None` when nothing was said.
fn word<T: Copy>(member: &'static str, given: Option<&str>, known: &[(&'static str, T)]) -> Result<Option<T>, BadMetadata> {
    let Some(given) = given else { return Ok(None) };
    let found = known.iter().find(|(name, _)| *name == given).map(|(_, value)| *value);
    found
        .map(Some)
        .ok_or_else(|| bad(member, format!("must be one of {}", known.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", "))))
}

fn words<T: Copy + Ord>(member: &'static str, given: &[String], known: &[(&'static str, T)]) -> Result<BTreeSet<T>, BadMetadata> {
    given.iter().filter_map(|name| word(member, Some(name), known).transpose()).collect()
}

/// At most 50 of a kind, each of them once.
fn each<T: FromStr<Err = BadText> + PartialEq>(member: &'static str, given: Option<Vec<String>>) -> Result<Vec<T>, BadMetadata> {
    let given = given.unwrap_or_default();
    if given.len() > 50 {
        return Err(bad(member, "at most 50"));
    }
    let mut read: Vec<T> = Vec::with_capacity(given.len());
    for text in &given {
        let one = text.parse().map_err(|why| bad(member, why))?;
        if !read.contains(&one) {
            read.push(one);
        }
    }
    Ok(read)
}

/// An address for people or machines: `https`, at most 512 characters.
fn site(member: &'static str, given: Option<String>) -> Result<Option<String>, BadMetadata> {
    if let Some(text) = &given
        && (text.len() > 512 || !text.starts_with("https://") || Url::parse(text).is_err())
    {
        return Err(bad(member, "must be an https URL of at most 512 characters"));
    }
    Ok(given)
}

/// An address that is asked or told by a program: `https`, or `http` on a loopback address, without fragment.
fn endpoint(member: &'static str, given: Option<String>) -> Result<Option<String>, BadMetadata> {
    let Some(text) = given else { return Ok(None) };
    match text.parse::<RedirectUri>() {
        Ok(uri) if uri.reach() != Reach::PrivateUse => Ok(Some(text)),
        _ => Err(bad(member, "must be an https URL of at most 512 characters, without fragment; http on a loopback address alone")),
    }
}

/// What it wants to be answered with, in whatever order of words.
fn response_types(given: &[String]) -> Result<BTreeSet<ResponseType>, BadMetadata> {
    let known = || ResponseType::ALL.map(ResponseType::name).join(", ");
    let read = |text: &String| ResponseType::from_name(text).ok_or_else(|| bad("response_types", format!("must be one of {}", known())));
    given.iter().map(read).collect()
}

/// Addresses that requests are fetched from: like other endpoints, but for a fragment, which is no part of what is fetched.
fn request_uris(given: Option<Vec<String>>) -> Result<Vec<String>, BadMetadata> {
    let given = given.unwrap_or_default();
    if given.len() > 50 {
        return Err(bad("request_uris", "at most 50"));
    }
    let mut read: Vec<String> = Vec::with_capacity(given.len());
    for uri in given {
        if uri.len() > 512 || !uri.bytes().all(|b| (0x21..=0x7e).contains(&b)) {
            return Err(bad("request_uris", "each is at most 512 printable ASCII characters (OpenID Connect Core, 6.2)"));
        }
        let address = uri.split_once('#').map_or(uri.as_str(), |(address, _)| address);
        endpoint("request_uris", Some(address.to_owned()))?;
        if !read.contains(&uri) {
            read.push(uri);
        }
    }
    Ok(read)
}

/// Where somebody's public keys are: here or there, not both.
pub(crate) fn client_keys(jwks: Option<Value>, jwks_uri: Option<String>) -> Result<Option<ClientKeys>, BadMetadata> {
    match (jwks, jwks_uri) {
        (Some(_), Some(_)) => Err(bad("jwks_uri", "jwks and jwks_uri exclude each other (RFC 7591, 2)")),
        (Some(jwks), None) if jwks.to_string().len() <= 16_384 => {
            jwks::read(&jwks).map_err(|why| bad("jwks", why))?;
            Ok(Some(ClientKeys::Jwks(jwks)))
        }
        (Some(_), None) => Err(bad("jwks", "must be a JWK Set (RFC 7517, 5) of at most 16 KiB")),
        (None, uri) => Ok(endpoint("jwks_uri", uri)?.map(ClientKeys::JwksUri)),
    }
}

fn key_management(member: &'static str, given: Option<&str>) -> Result<Option<KeyManagement>, BadMetadata> {
    word(member, given, &KeyManagement::ALL.map(|alg| (alg.name(), alg)))
}

/// The `enc` of `members`, which goes with the `alg` before it.
fn content_encryption(
    members: [&'static str; 2],
    alg: Option<&str>,
    given: Option<&str>,
) -> Result<Option<ContentEncryption>, BadMetadata> {
    let enc = word(members[1], given, &ContentEncryption::ALL.map(|enc| (enc.name(), enc)))?;
    match (alg, enc) {
        (None, Some(_)) => Err(bad(members[1], format!("goes together with {} (OpenID Connect Registration, 2)", members[0]))),
        (alg, enc) => Ok(alg.map(|_| enc.unwrap_or_default())),
    }
}

/// Whether the client shows a key for everything that is to be encrypted to it, as far as its keys are known here.
fn has_keys(encryption: &EncryptedAnswers, keys: Option<&ClientKeys>) -> Result<(), BadMetadata> {
    for how in encryption.all() {
        let fits = match keys {
            None => return Err(bad("jwks", "encrypted answers need jwks or jwks_uri, with a key for them")),
            Some(ClientKeys::JwksUri(_)) => true,
            Some(ClientKeys::Jwks(set)) => {
                let keys = jwks::read_encryption(set).map_err(|why| bad("jwks", why))?;
                keys.iter().any(|key| key.may_be(how.alg))
            }
        };
        if !fits {
            return Err(bad("jwks", format!("has no key with \"use\": \"enc\" for {}", how.alg.name())));
        }
    }
    Ok(())
}

/// A word of the client's own: 1 to 100 characters without control characters.
fn short(member: &'static str, given: Option<String>) -> Result<Option<String>, BadMetadata> {
    match given {
        Some(text) if text.is_empty() || text.chars().count() > 100 || text.chars().any(char::is_control) => {
            Err(bad(member, "must be 1 to 100 characters, none of them a control character"))
        }
        given => Ok(given),
    }
}

/// The one name of `given`, which has those of [`CertificateName::MEMBERS`] in their order.
fn certificate_name(given: [Option<String>; 5], method: AuthMethod) -> Result<Option<CertificateName>, BadMetadata> {
    let mut said = CertificateName::MEMBERS.into_iter().zip(given).filter_map(|(member, text)| text.map(|text| (member, text)));
    let ((member, read), text) = match (said.next(), method) {
        (None, AuthMethod::TlsClientAuth) => {
            return Err(bad(
                "tls_client_auth_subject_dn",
                "tls_client_auth needs the name in the certificate: this, or one of tls_client_auth_san_*",
            ));
        }
        (None, _) => return Ok(None),
        (Some(said), AuthMethod::TlsClientAuth) => said,
        (Some(((member, _), _)), _) => return Err(bad(member, "is for token_endpoint_auth_method tls_client_auth")),
    };
    if let Some(((second, _), _)) = said.next() {
        return Err(bad(second, "is one name too many: a certificate is known by one (RFC 8705, 2.1.2)"));
    }
    read(&text).map(Some).map_err(|why| bad(member, why))
}

/// What a client with this method signs its assertions by.
fn assertion_alg(given: Option<&str>, method: AuthMethod) -> Result<Option<AssertionAlg>, BadMetadata> {
    let known: Vec<_> = AssertionAlg::names().collect();
    let alg = word("token_endpoint_auth_signing_alg", given, &known)?;
    let is_by_secret = matches!(alg, Some(AssertionAlg::Secret(_)));
    if alg.is_some() && is_by_secret != (method == AuthMethod::ClientSecretJwt) {
        return Err(bad("token_endpoint_auth_signing_alg", "HS256, HS384 and HS512 go together with client_secret_jwt"));
    }
    Ok(alg)
}

fn host_of(uri: &str) -> Option<String> {
    Url::parse(uri).ok()?.host_str().map(str::to_owned)
}

/// Scheme, host and port of a URL.
fn site_of(uri: &str) -> Option<url::Origin> {
    Url::parse(uri).ok().map(|url| url.origin())
}

impl ClientMetadata {
    /// Names an algorithm for ID tokens, where nobody did and the tenant's `keys` have not the one that the standard supposes.
    #[must_use]
    pub fn with_usual_alg(mut self, keys: &RotationNumbers) -> Self {
        let may = match word("profile", self.profile.as_deref(), &Profile::ALL) {
            Ok(Some(profile)) => profile.algs(),
            _ => &Alg::ALL,
        };
        if self.id_token_signed_response_alg.is_none() {
            self.id_token_signed_response_alg = usual_alg(may, keys).map(|alg| alg.name().to_owned());
        }
        self
    }

    /// What the client may do, if all of it fits together.
    ///
    /// # Errors
    /// Names the first member that will not do.
    pub fn validated(self) -> Result<ClientSettings, BadMetadata> {
        match word("profile", self.profile.as_deref(), &Profile::ALL)? {
            None => self.settings(None),
            Some(profile) => profile.settled(self)?.settings(Some(profile)),
        }
    }

    fn settings(self, profile: Option<Profile>) -> Result<ClientSettings, BadMetadata> {
        let client_name = self.client_name.map(|name| name.parse().map_err(|why| bad("client_name", why))).transpose()?;
        let types = [("web", ApplicationType::Web), ("native", ApplicationType::Native)];
        let application_type = word("application_type", self.application_type.as_deref(), &types)?.unwrap_or_default();
        let methods = AuthMethod::ALL.map(|method| (method.name(), method));
        let method = word("token_endpoint_auth_method", self.token_endpoint_auth_method.as_deref(), &methods)?.unwrap_or_default();
        let is_public = method == AuthMethod::None;

        let grants = GrantType::ALL.map(|grant| (grant.name(), grant));
        let grant_types = words("grant_types", &self.grant_types.unwrap_or_else(|| vec!["authorization_code".to_owned()]), &grants)?;
        let has_code = grant_types.contains(&GrantType::AuthorizationCode);
        let has_users = grant_types.iter().any(|grant| grant.has_users());
        let may_be_refreshed = grant_types.iter().any(|grant| grant.may_be_refreshed());
        if grant_types.is_empty() {
            return Err(bad("grant_types", "at least one"));
        }
        if grant_types.contains(&GrantType::TokenExchange) && is_public {
            return Err(bad("grant_types", "token-exchange is for clients that prove themselves"));
        }
        let may_impersonate = self.may_impersonate.unwrap_or(false);
        if may_impersonate && !grant_types.contains(&GrantType::TokenExchange) {
            return Err(bad("may_impersonate", "is about the grant token-exchange, which the client may not use"));
        }
        if grant_types.contains(&GrantType::ClientCredentials) && is_public {
            return Err(bad("grant_types", "client_credentials is for clients that prove themselves (RFC 6749, 4.4)"));
        }
        if grant_types.contains(&GrantType::JwtBearer) && is_public {
            return Err(bad("grant_types", "assertions of others are taken from clients that prove themselves"));
        }
        let modes = DeliveryMode::ALL.map(|mode| (mode.name(), mode));
        let mode = word("backchannel_token_delivery_mode", self.backchannel_token_delivery_mode.as_deref(), &modes)?;
        let has_backchannel = grant_types.contains(&GrantType::Backchannel);
        if has_backchannel && is_public {
            return Err(bad("grant_types", "ciba is for clients that prove themselves (OpenID CIBA Core 1.0, 7.1)"));
        }
        if has_backchannel != mode.is_some() {
            return Err(bad("backchannel_token_delivery_mode", "goes together with the grant urn:openid:params:grant-type:ciba"));
        }
        let notification_endpoint = endpoint("backchannel_client_notification_endpoint", self.backchannel_client_notification_endpoint)?;
        if notification_endpoint.is_some() != (mode == Some(DeliveryMode::Ping)) {
            return Err(bad("backchannel_client_notification_endpoint", "goes together with backchannel_token_delivery_mode ping"));
        }
        if grant_types.contains(&GrantType::RefreshToken) && !may_be_refreshed {
            return Err(bad(
                "grant_types",
                "refresh_token needs a grant that gives refresh tokens: authorization_code, device_code or ciba",
            ));
        }
        let usual = if has_code { vec!["code".to_owned()] } else { Vec::new() };
        let response_types = response_types(&self.response_types.unwrap_or(usual))?;
        if response_types.iter().any(|kind| kind.has_code()) != has_code {
            return Err(bad("response_types", "code and the grant authorization_code go together"));
        }
        let has_front_channel = response_types.iter().any(|kind| kind.is_front_channel());
        if has_front_channel != grant_types.contains(&GrantType::Implicit) {
            return Err(bad(
                "response_types",
                "those with id_token or token and the grant implicit go together (OpenID Connect Registration, 2)",
            ));
        }

        let redirect_uris: Vec<RedirectUri> = each("redirect_uris", self.redirect_uris)?;
        if (has_code || has_front_channel) && redirect_uris.is_empty() {
            return Err(bad("redirect_uris", "at least one, for answers to authorization requests"));
        }
        // Whoever else hears the answer has the tokens in it: no code has to be redeemed by somebody who proves themselves (RFC 8252, 8.2).
        let is_a_site = |uri: &RedirectUri| uri.reach() == Reach::Https && host_of(uri.as_str()).is_some_and(|host| host != "localhost");
        if has_front_channel && !redirect_uris.iter().all(is_a_site) {
            return Err(bad(
                "redirect_uris",
                "with the grant implicit each is https, and none on localhost (OpenID Connect Registration, 2)",
            ));
        }
        if application_type == ApplicationType::Web && redirect_uris.iter().any(|uri| uri.reach() == Reach::PrivateUse) {
            return Err(bad("redirect_uris", "private-use schemes are for application_type native"));
        }
        let usual = if has_users { Scope::OF_OPENID.join(" ") } else { String::new() };
        let scope: Scope = self.scope.unwrap_or(usual).parse().map_err(|why| bad("scope", why))?;
        if scope.contains(Scope::ADMIN) || scope.contains(Scope::ACCOUNT) {
            return Err(bad("scope", "account and admin are of the built-in client"));
        }
        let resources: ResourceSet = self
            .resources
            .unwrap_or_default()
            .iter()
            .map(|text| text.parse().map_err(|why| bad("resources", why)))
            .collect::<Result<_, _>>()?;
        if resources.len() > 50 {
            return Err(bad("resources", "at most 50"));
        }
        let algs = Alg::ALL.map(|alg| (alg.name(), alg));
        let alg = word("id_token_signed_response_alg", self.id_token_signed_response_alg.as_deref(), &algs)?.unwrap_or(Alg::RS256);
        let require_pkce = self.require_pkce.unwrap_or(true);
        if !require_pkce && is_public {
            return Err(bad("require_pkce", "a public client always uses PKCE (RFC 9700, 2.1.1)"));
        }
        let policies = [("first_party", ConsentPolicy::FirstParty), ("third_party", ConsentPolicy::ThirdParty)];
        let keys = client_keys(self.jwks, self.jwks_uri)?;
        if method == AuthMethod::PrivateKeyJwt && keys.is_none() {
            return Err(bad("jwks", "private_key_jwt needs jwks or jwks_uri"));
        }
        if method == AuthMethod::SelfSignedTlsClientAuth && keys.is_none() {
            return Err(bad("jwks", "self_signed_tls_client_auth needs jwks or jwks_uri, where the certificates are"));
        }
        let names = [
            self.tls_client_auth_subject_dn,
            self.tls_client_auth_san_dns,
            self.tls_client_auth_san_uri,
            self.tls_client_auth_san_ip,
            self.tls_client_auth_san_email,
        ];
        let dpop_bound_access_tokens = self.dpop_bound_access_tokens.unwrap_or(false);
        let tls_client_certificate_bound_access_tokens = self.tls_client_certificate_bound_access_tokens.unwrap_or(false);
        if dpop_bound_access_tokens && tls_client_certificate_bound_access_tokens {
            return Err(bad("tls_client_certificate_bound_access_tokens", "and dpop_bound_access_tokens exclude each other"));
        }
        if (dpop_bound_access_tokens || tls_client_certificate_bound_access_tokens) && response_types.iter().any(|kind| kind.has_token()) {
            return Err(bad(
                "response_types",
                "an access token from the authorization endpoint is bound to nothing: without token for this client",
            ));
        }
        let require_signed_request_object = self.require_signed_request_object.unwrap_or(false);
        if require_signed_request_object && keys.is_none() {
            return Err(bad("jwks", "require_signed_request_object needs jwks or jwks_uri"));
        }
        let require_signed_authorization_response = self.require_signed_authorization_response.unwrap_or(false);
        if require_signed_authorization_response && !has_code && !has_front_channel {
            return Err(bad("require_signed_authorization_response", "is for clients with the grant authorization_code or implicit"));
        }
        let types = self.authorization_details_types.map(|types| each::<DetailTypeName>("authorization_details_types", Some(types)));
        let authorization_details_types = types.transpose()?.map(BTreeSet::from_iter);
        let encryption = EncryptedAnswers {
            id_token_encrypted_response_alg: key_management(
                "id_token_encrypted_response_alg",
                self.id_token_encrypted_response_alg.as_deref(),
            )?,
            id_token_encrypted_response_enc: content_encryption(
                ["id_token_encrypted_response_alg", "id_token_encrypted_response_enc"],
                self.id_token_encrypted_response_alg.as_deref(),
                self.id_token_encrypted_response_enc.as_deref(),
            )?,
            userinfo_encrypted_response_alg: key_management(
                "userinfo_encrypted_response_alg",
                self.userinfo_encrypted_response_alg.as_deref(),
            )?,
            userinfo_encrypted_response_enc: content_encryption(
                ["userinfo_encrypted_response_alg", "userinfo_encrypted_response_enc"],
                self.userinfo_encrypted_response_alg.as_deref(),
                self.userinfo_encrypted_response_enc.as_deref(),
            )?,
            authorization_encrypted_response_alg: key_management(
                "authorization_encrypted_response_alg",
                self.authorization_encrypted_response_alg.as_deref(),
            )?,
            authorization_encrypted_response_enc: content_encryption(
                ["authorization_encrypted_response_alg", "authorization_encrypted_response_enc"],
                self.authorization_encrypted_response_alg.as_deref(),
                self.authorization_encrypted_response_enc.as_deref(),
            )?,
            introspection_encrypted_response_alg: key_management(
                "introspection_encrypted_response_alg",
                self.introspection_encrypted_response_alg.as_deref(),
            )?,
            introspection_encrypted_response_enc: content_encryption(
                ["introspection_encrypted_response_alg", "introspection_encrypted_response_enc"],
                self.introspection_encrypted_response_alg.as_deref(),
                self.introspection_encrypted_response_enc.as_deref(),
            )?,
        };
        has_keys(&encryption, keys.as_ref())?;
        if encryption.userinfo().is_some() && self.userinfo_signed_response_alg.is_none() {
            return Err(bad(
                "userinfo_encrypted_response_alg",
                "goes together with userinfo_signed_response_alg: what is encrypted is signed",
            ));
        }
        let frontchannel_logout_uri = site("frontchannel_logout_uri", self.frontchannel_logout_uri)?;
        if let Some(uri) = &frontchannel_logout_uri
            && (uri.contains('#') || !redirect_uris.iter().any(|redirect_uri| site_of(redirect_uri.as_str()) == site_of(uri)))
        {
            return Err(bad(
                "frontchannel_logout_uri",
                "must have scheme, host and port of a redirect URI, and no fragment (OpenID Connect Front-Channel Logout, 2)",
            ));
        }
        let subject_types = [("public", SubjectType::Public), ("pairwise", SubjectType::Pairwise)];
        let subject_type = word("subject_type", self.subject_type.as_deref(), &subject_types)?.unwrap_or_default();
        let sector_identifier_uri = endpoint("sector_identifier_uri", self.sector_identifier_uri)?;
        if subject_type == SubjectType::Pairwise && sector_identifier_uri.is_none() {
            let mut hosts = redirect_uris.iter().map(|uri| host_of(uri.as_str()));
            let first = hosts.next().flatten();
            if first.is_none() || hosts.any(|host| host != first) {
                return Err(bad(
                    "sector_identifier_uri",
                    "must be there for pairwise subjects, unless all redirect URIs have one host (OpenID Connect Core, 8.1)",
                ));
            }
        }
        let consent = word("consent", self.consent.as_deref(), &policies)?.unwrap_or_default();
        let authorization_challenge = self.authorization_challenge.unwrap_or(false);
        if authorization_challenge {
            let unfit = |why| Err(bad("authorization_challenge", why));
            if !has_code {
                return unfit("is for clients with the grant authorization_code");
            }
            if consent != ConsentPolicy::FirstParty {
                return unfit("is for the tenant's own applications: consent must be first_party, for nobody can be asked there");
            }
            if profile.is_some() || require_signed_authorization_response {
                return unfit("is not for clients whose answers are signed, nor for those with a profile");
            }
        }
        let contacts = self.contacts.unwrap_or_default();
        if contacts.len() > 10 {
            return Err(bad("contacts", "at most 10"));
        }
        let contacts = contacts.into_iter().filter_map(|contact| short("contacts", Some(contact)).transpose()).collect::<Result<_, _>>()?;
        Ok(ClientSettings {
            profile,
            client_name,
            application_type,
            redirect_uris,
            post_logout_redirect_uris: each("post_logout_redirect_uris", self.post_logout_redirect_uris)?,
            allowed_origins: each::<WebOrigin>("allowed_origins", self.allowed_origins)?,
            grant_types,
            response_types,
            scope,
            resources,
            authorization_details_types,
            may_impersonate,
            authorization_challenge,
            token_endpoint_auth_method: method,
            token_endpoint_auth_signing_alg: assertion_alg(self.token_endpoint_auth_signing_alg.as_deref(), method)?,
            require_issuer_audience: self.require_issuer_audience.unwrap_or(false),
            frontchannel_logout_uri,
            frontchannel_logout_session_required: self.frontchannel_logout_session_required.unwrap_or(false),
            backchannel_logout_uri: endpoint("backchannel_logout_uri", self.backchannel_logout_uri)?,
            backchannel_logout_session_required: self.backchannel_logout_session_required.unwrap_or(false),
            backchannel_token_delivery_mode: mode,
            backchannel_client_notification_endpoint: notification_endpoint,
            subject_type,
            sector_identifier_uri,
            id_token_signed_response_alg: alg,
            userinfo_signed_response_alg: word("userinfo_signed_response_alg", self.userinfo_signed_response_alg.as_deref(), &algs)?,
            authorization_signed_response_alg: word(
                "authorization_signed_response_alg",
                self.authorization_signed_response_alg.as_deref(),
                &algs,
            )?,
            introspection_signed_response_alg: word(
                "introspection_signed_response_alg",
                self.introspection_signed_response_alg.as_deref(),
                &algs,
            )?,
            encryption,
            default_max_age: self.default_max_age.map(Ttl::seconds),
            require_auth_time: self.require_auth_time.unwrap_or(false),
            require_pushed_authorization_requests: self.require_pushed_authorization_requests.unwrap_or(false),
            require_pkce,
            request_uris: request_uris(self.request_uris)?,
            request_object_signing_alg: word("request_object_signing_alg", self.request_object_signing_alg.as_deref(), &algs)?,
            require_signed_request_object,
            require_signed_authorization_response,
            dpop_bound_access_tokens,
            tls_client_certificate_bound_access_tokens,
            certificate_name: certificate_name(names, method)?,
            require_dpop_nonce: self.require_dpop_nonce.unwrap_or(false),
            consent,
            keys,
            client_uri: site("client_uri", self.client_uri)?,
            logo_uri: site("logo_uri", self.logo_uri)?,
            policy_uri: site("policy_uri", self.policy_uri)?,
            tos_uri: site("tos_uri", self.tos_uri)?,
            contacts,
            initiate_login_uri: site("initiate_login_uri", self.initiate_login_uri)?,
            software_id: short("software_id", self.software_id)?,
            software_version: short("software_version", self.software_version)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::client::assertion::MacAlg;
    use crate::client::{ClientKind, ClientSecret, KeptSecret, SealedText};
    use crate::handle::HandleHash;
    use crate::ids::ClientSecretId;
    use crate::time::Timestamp;

    const CIBA: &str = "urn:openid:params:grant-type:ciba";

    fn read(metadata: Value) -> Result<ClientSettings, BadMetadata> {
        serde_json::from_value::<ClientMetadata>(metadata).expect("the members are known").validated()
    }

    #[test]
    fn defaults_are_those_of_the_standards_and_settings_survive_their_json() {
        let settings = read(json!({ "redirect_uris": ["https://app.example/cb"] })).expect("good");
        assert_eq!(settings.kind(), ClientKind::Confidential);
        assert_eq!(settings.token_endpoint_auth_method, AuthMethod::ClientSecretBasic);
        assert_eq!(settings.id_token_signed_response_alg, Alg::RS256);
        assert!(settings.require_pkce && settings.may_use(GrantType::AuthorizationCode) && !settings.may_use(GrantType::RefreshToken));
        let text = serde_json::to_string(&settings).expect("written");
        assert_eq!(serde_json::from_str::<ClientSettings>(&text).expect("read"), settings);
    }

    #[test]
    fn a_secret_that_signs_has_more_chance_in_it_than_any_algorithm_asks_for() {
        for alg in MacAlg::ALL {
            assert!(ClientSecret::SIGNING_BYTES >= alg.key_bytes(), "{}", alg.name());
            let mut metadata = json!({ "redirect_uris": ["https://app.example/cb"], "token_endpoint_auth_method": "client_secret_jwt" });
            metadata["token_endpoint_auth_signing_alg"] = json!(alg.name());
            let settings = read(metadata).expect("good");
            assert_eq!(settings.kind(), ClientKind::Confidential);
            let written = serde_json::to_value(&settings).expect("written");
            assert_eq!(written["token_endpoint_auth_signing_alg"], alg.name());
            assert_eq!(serde_json::from_value::<ClientSettings>(written).expect("read"), settings);
        }
    }

    #[test]
    fn a_secret_is_kept_as_a_hash_or_sealed_and_never_changes_its_kind() {
        let hash = HandleHash([7; 32]);
        let kept = |kept: KeptSecret| {
            let secret =
                ClientSecret { id: ClientSecretId::new(Timestamp::EPOCH, [1; 10]), kept, created_at: Timestamp::EPOCH, expires_at: None };
            let written = serde_json::to_value(&secret).expect("written");
            assert_eq!(serde_json::from_value::<ClientSecret>(written.clone()).expect("read"), secret);
            (secret, written)
        };
        let (sent, written) = kept(KeptSecret::Hash(hash));
        assert!(written["hash"].is_string() && written.get("sealed").is_none(), "as it was always written: {written}");
        let (signs, _) = kept(KeptSecret::Sealed(SealedText::of(b"noise")));
        assert_eq!(format!("{:?}", signs.kept), "Sealed([sealed])");
        for method in AuthMethod::ALL {
            let (is_sent, is_signed_with) = (sent.kept.is_for(method), signs.kept.is_for(method));
            assert!(!(is_sent && is_signed_with));
            assert_eq!(is_sent || is_signed_with, method.is_by_secret(), "{}", method.name());
        }
    }

    #[test]
    fn the_kind_follows_from_what_is_said() {
        let uri = json!(["http://127.0.0.1/cb"]);
        for (metadata, kind) in [
            (json!({ "redirect_uris": uri, "token_endpoint_auth_method": "none" }), ClientKind::Public),
            (
                json!({ "redirect_uris": ["com.example.app:/cb"], "token_endpoint_auth_method": "none", "application_type": "native" }),
                ClientKind::Native,
            ),
            (json!({ "grant_types": ["client_credentials"] }), ClientKind::Machine),
        ] {
            assert_eq!(read(metadata).expect("good").kind(), kind);
        }
    }

    #[test]
    fn the_name_of_a_certificate_survives_its_json_under_its_own_member() {
        for (member, text) in [
            ("tls_client_auth_subject_dn", "CN=a.example,O=A"),
            ("tls_client_auth_san_dns", "a.example"),
            ("tls_client_auth_san_uri", "spiffe://a.example"),
            ("tls_client_auth_san_ip", "2001:db8::1"),
            ("tls_client_auth_san_email", "a@a.example"),
        ] {
            let mut metadata = json!({ "redirect_uris": ["https://app.example/cb"], "token_endpoint_auth_method": "tls_client_auth" });
            metadata[member] = json!(text);
            let settings = read(metadata).expect("good");
            assert_eq!(settings.kind(), ClientKind::Confidential);
            let written = serde_json::to_value(&settings).expect("written");
            assert_eq!(written[member], text);
            assert_eq!(serde_json::from_value::<ClientSettings>(written).expect("read"), settings);
        }
    }

    #[test]
    fn a_client_runs_where_its_redirect_uris_are_or_where_an_administrator_says() {
        let uris = json!(["https://app.example/cb", "https://app.example/silent", "http://127.0.0.1:5173/cb"]);
        for (method, extra, origins) in [
            ("none", json!([]), vec!["http://127.0.0.1:5173", "https://app.example"]),
            ("none", json!(["https://www.app.example"]), vec!["http://127.0.0.1:5173", "https://app.example", "https://www.app.example"]),
            ("client_secret_basic", json!([]), vec![]),
            ("client_secret_basic", json!(["https://www.app.example"]), vec!["https://www.app.example"]),
        ] {
            let metadata = json!({ "redirect_uris": uris, "token_endpoint_auth_method": method, "allowed_origins": extra });
            let settings = read(metadata).expect("good");
            assert_eq!(settings.origins().iter().map(WebOrigin::as_str).collect::<Vec<_>>(), origins, "{method}");
        }
    }

    /// A JWK Set with an RSA key to encrypt to, by this algorithm.
    fn encryption_key(alg: &str) -> Value {
        json!({ "keys": [{ "kty": "RSA", "n": format!("_{}", "A".repeat(341)), "e": "AQAB", "use": "enc", "alg": alg }] })
    }

    #[test]
    fn an_alg_alone_means_the_usual_enc_and_encryption_survives_its_json() {
        let settings = read(json!({
            "redirect_uris": ["https://app.example/cb"], "jwks": encryption_key("RSA-OAEP-256"),
            "id_token_encrypted_response_alg": "RSA-OAEP-256", "authorization_encrypted_response_alg": "RSA-OAEP-256",
            "authorization_encrypted_response_enc": "A256GCM",
        }))
        .expect("good");
        let how = |enc| Some(crate::encryption::Encryption { alg: KeyManagement::RsaOaep256, enc });
        assert_eq!(settings.encryption.id_token(), how(ContentEncryption::A128CbcHs256));
        assert_eq!(settings.encryption.authorization(), how(ContentEncryption::A256Gcm));
        assert_eq!((settings.encryption.userinfo(), settings.encryption.introspection()), (None, None));
        let text = serde_json::to_string(&settings).expect("written");
        assert_eq!(serde_json::from_str::<ClientSettings>(&text).expect("read"), settings);
    }

    #[test]
    fn response_types_and_grants_fit_together_and_survive_their_json() {
        let both = json!(["authorization_code", "implicit"]);
        for (grants, types) in [
            (json!(["implicit"]), json!(["id_token", "token id_token"])),
            (both.clone(), json!(["id_token code"])),
            (both, json!(["code", "id_token", "code token", "code id_token token"])),
        ] {
            let settings = read(json!({ "redirect_uris": ["https://app.example/cb"], "grant_types": grants, "response_types": types }));
            let settings = settings.expect("good");
            assert_eq!(settings.scope, Scope::OF_OPENID.join(" ").parse().expect("a scope"));
            assert!(settings.response_types.iter().all(|kind| kind.grants().iter().all(|grant| settings.may_use(*grant))));
            let text = serde_json::to_string(&settings).expect("written");
            assert_eq!(serde_json::from_str::<ClientSettings>(&text).expect("read"), settings);
        }
        let id_alone = json!({
            "redirect_uris": ["https://app.example/cb"], "grant_types": ["implicit"], "response_types": ["id_token"],
            "dpop_bound_access_tokens": true,
        });
        assert_eq!(read(id_alone).expect("no access token is bound to nothing").kind(), ClientKind::Confidential);
    }

    #[test]
    fn addresses_of_requests_are_kept_letter_by_letter_with_their_fragments() {
        let uris = ["https://app.example/r?x=1#a", "https://app.example/r?x=1", "https://app.example/r?x=1#a", "http://127.0.0.1:8080/r"];
        let settings = read(json!({ "redirect_uris": ["https://app.example/cb"], "request_uris": uris })).expect("good");
        assert_eq!(settings.request_uris, [uris[0], uris[1], uris[3]]);
    }

    #[test]
    fn an_error_names_the_member() {
        for (member, change) in [
            ("redirect_uris", json!({ "redirect_uris": [] })),
            ("redirect_uris", json!({ "redirect_uris": ["http://app.example/cb"] })),
            ("redirect_uris", json!({ "redirect_uris": ["com.example.app:/cb"] })),
            ("grant_types", json!({ "grant_types": ["password"] })),
            ("grant_types", json!({ "grant_types": [] })),
            ("grant_types", json!({ "grant_types": ["refresh_token"] })),
            ("grant_types", json!({ "grant_types": ["authorization_code", "client_credentials"], "token_endpoint_auth_method": "none" })),
            (
                "grant_types",
                json!({ "grant_types": [CIBA], "token_endpoint_auth_method": "none", "backchannel_token_delivery_mode": "poll" }),
            ),
            ("backchannel_token_delivery_mode", json!({ "grant_types": [CIBA], "response_types": [] })),
            ("backchannel_token_delivery_mode", json!({ "grant_types": [CIBA], "backchannel_token_delivery_mode": "push" })),
            ("backchannel_token_delivery_mode", json!({ "backchannel_token_delivery_mode": "poll" })),
            (
                "backchannel_client_notification_endpoint",
                json!({ "grant_types": [CIBA], "response_types": [], "backchannel_token_delivery_mode": "ping" }),
            ),
            ("grant_types", json!({ "grant_types": [GrantType::TokenExchange.name()], "token_endpoint_auth_method": "none" })),
            ("may_impersonate", json!({ "may_impersonate": true })),
            ("authorization_challenge", json!({ "authorization_challenge": true })),
            (
                "authorization_challenge",
                json!({ "authorization_challenge": true, "consent": "first_party", "require_signed_authorization_response": true }),
            ),
            (
                "authorization_challenge",
                json!({ "authorization_challenge": true, "consent": "first_party", "grant_types": ["client_credentials"], "response_types": [] }),
            ),
            (
                "authorization_challenge",
                json!({ "authorization_challenge": true, "consent": "first_party", "profile": "fapi2", "jwks": { "keys": [] } }),
            ),
            ("resources", json!({ "resources": ["https://api.example/#a"] })),
            ("authorization_details_types", json!({ "authorization_details_types": ["a payment"] })),
            ("response_types", json!({ "response_types": ["token"] })),
            ("response_types", json!({ "response_types": [] })),
            ("response_types", json!({ "response_types": ["code", "id_token"] })),
            ("response_types", json!({ "response_types": ["code id_token"] })),
            ("response_types", json!({ "grant_types": ["authorization_code", "implicit"] })),
            ("response_types", json!({ "grant_types": ["implicit"], "response_types": ["code id_token"] })),
            ("response_types", json!({ "grant_types": ["authorization_code", "implicit"], "response_types": ["id_token"] })),
            ("grant_types", json!({ "grant_types": ["implicit", "refresh_token"], "response_types": ["id_token"] })),
            ("redirect_uris", json!({ "grant_types": ["implicit"], "response_types": ["id_token"], "redirect_uris": [] })),
            (
                "redirect_uris",
                json!({ "grant_types": ["implicit"], "response_types": ["id_token"], "redirect_uris": ["http://127.0.0.1/cb"] }),
            ),
            (
                "redirect_uris",
                json!({ "grant_types": ["implicit"], "response_types": ["id_token"], "redirect_uris": ["https://localhost/cb"] }),
            ),
            (
                "redirect_uris",
                json!({
                    "grant_types": ["implicit"], "response_types": ["id_token"], "redirect_uris": ["com.example.app:/cb"],
                    "application_type": "native", "token_endpoint_auth_method": "none",
                }),
            ),
            (
                "response_types",
                json!({ "grant_types": ["implicit"], "response_types": ["token id_token"], "dpop_bound_access_tokens": true }),
            ),
            (
                "response_types",
                json!({
                    "grant_types": ["authorization_code", "implicit"], "response_types": ["code token"],
                    "tls_client_certificate_bound_access_tokens": true,
                }),
            ),
            ("request_uris", json!({ "request_uris": ["http://app.example/request"] })),
            ("request_uris", json!({ "request_uris": ["https://app.example/request", "com.example.app:/request"] })),
            ("request_uris", json!({ "request_uris": ["urn:example:request"] })),
            ("request_uris", json!({ "request_uris": ["https://user@app.example/request"] })),
            ("request_uris", json!({ "request_uris": ["https://app.example/request#a b"] })),
            ("request_uris", json!({ "request_uris": [format!("https://app.example/{}", "a".repeat(493))] })),
            ("request_uris", json!({ "request_uris": vec!["https://app.example/request"; 51] })),
            ("token_endpoint_auth_method", json!({ "token_endpoint_auth_method": "client_secret" })),
            (
                "token_endpoint_auth_signing_alg",
                json!({ "token_endpoint_auth_method": "client_secret_jwt", "token_endpoint_auth_signing_alg": "ES256" }),
            ),
            ("token_endpoint_auth_signing_alg", json!({ "token_endpoint_auth_signing_alg": "HS256" })),
            (
                "token_endpoint_auth_signing_alg",
                json!({ "token_endpoint_auth_method": "client_secret_jwt", "token_endpoint_auth_signing_alg": "none" }),
            ),
            ("jwks", json!({ "token_endpoint_auth_method": "private_key_jwt" })),
            ("id_token_signed_response_alg", json!({ "id_token_signed_response_alg": "none" })),
            ("require_pkce", json!({ "require_pkce": false, "token_endpoint_auth_method": "none" })),
            ("subject_type", json!({ "subject_type": "secret" })),
            (
                "sector_identifier_uri",
                json!({ "subject_type": "pairwise", "redirect_uris": ["https://app.example/cb", "https://app2.example/cb"] }),
            ),
            (
                "sector_identifier_uri",
                json!({ "subject_type": "pairwise", "application_type": "native", "redirect_uris": ["com.example.app:/cb"] }),
            ),
            ("sector_identifier_uri", json!({ "sector_identifier_uri": "http://app.example/uris.json" })),
            ("scope", json!({ "scope": "openid admin" })),
            ("jwks_uri", json!({ "jwks": { "keys": [] }, "jwks_uri": "https://app.example/jwks" })),
            ("jwks", json!({ "jwks": [] })),
            ("jwks", json!({ "require_signed_request_object": true })),
            ("jwks", json!({ "token_endpoint_auth_method": "self_signed_tls_client_auth" })),
            ("tls_client_auth_subject_dn", json!({ "token_endpoint_auth_method": "tls_client_auth" })),
            ("tls_client_auth_subject_dn", json!({ "tls_client_auth_subject_dn": "CN=a" })),
            ("tls_client_auth_subject_dn", json!({ "token_endpoint_auth_method": "tls_client_auth", "tls_client_auth_subject_dn": "a" })),
            ("tls_client_auth_san_ip", json!({ "token_endpoint_auth_method": "tls_client_auth", "tls_client_auth_san_ip": "a.example" })),
            (
                "tls_client_auth_san_dns",
                json!({
                    "token_endpoint_auth_method": "tls_client_auth", "tls_client_auth_subject_dn": "CN=a",
                    "tls_client_auth_san_dns": "a.example",
                }),
            ),
            (
                "tls_client_certificate_bound_access_tokens",
                json!({ "tls_client_certificate_bound_access_tokens": true, "dpop_bound_access_tokens": true }),
            ),
            ("request_object_signing_alg", json!({ "request_object_signing_alg": "none" })),
            ("authorization_signed_response_alg", json!({ "authorization_signed_response_alg": "none" })),
            ("introspection_signed_response_alg", json!({ "introspection_signed_response_alg": "HS256" })),
            (
                "require_signed_authorization_response",
                json!({ "require_signed_authorization_response": true, "grant_types": ["client_credentials"], "response_types": [] }),
            ),
            (
                "id_token_encrypted_response_alg",
                json!({ "id_token_encrypted_response_alg": "RSA1_5", "jwks": encryption_key("RSA-OAEP-256") }),
            ),
            (
                "id_token_encrypted_response_alg",
                json!({ "id_token_encrypted_response_alg": "dir", "jwks": encryption_key("RSA-OAEP-256") }),
            ),
            (
                "id_token_encrypted_response_enc",
                json!({ "id_token_encrypted_response_enc": "A128GCM", "jwks": encryption_key("RSA-OAEP-256") }),
            ),
            (
                "id_token_encrypted_response_enc",
                json!({
                    "id_token_encrypted_response_alg": "RSA-OAEP-256", "id_token_encrypted_response_enc": "A192GCM",
                    "jwks": encryption_key("RSA-OAEP-256"),
                }),
            ),
            ("jwks", json!({ "id_token_encrypted_response_alg": "RSA-OAEP-256" })),
            ("jwks", json!({ "id_token_encrypted_response_alg": "RSA-OAEP-256", "jwks": { "keys": [] } })),
            ("jwks", json!({ "id_token_encrypted_response_alg": "ECDH-ES", "jwks": encryption_key("RSA-OAEP-256") })),
            ("jwks", json!({ "authorization_encrypted_response_alg": "RSA-OAEP-256", "jwks": encryption_key("RSA-OAEP") })),
            (
                "userinfo_encrypted_response_alg",
                json!({ "userinfo_encrypted_response_alg": "RSA-OAEP-256", "jwks": encryption_key("RSA-OAEP-256") }),
            ),
            ("logo_uri", json!({ "logo_uri": "http://app.example/logo.png" })),
            ("allowed_origins", json!({ "allowed_origins": ["https://app.example", "http://app.example"] })),
            ("allowed_origins", json!({ "allowed_origins": ["*"] })),
            ("allowed_origins", json!({ "allowed_origins": vec!["https://app.example"; 51] })),
        ] {
            let mut metadata = json!({ "redirect_uris": ["https://app.example/cb"] });
            metadata.as_object_mut().expect("an object").extend(change.as_object().expect("an object").clone());
            assert_eq!(read(metadata.clone()).map_err(|bad| bad.member), Err(member), "{metadata}");
        }
    }
}
