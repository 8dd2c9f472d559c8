//! OAuth clients of a tenant: the built-in first-party application, and those that are registered.
//!
//! What a client may do is its [`ClientSettings`], made by [`metadata`] alone; this file holds its life: secrets and status.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use crate::certificate::CertificateName;
use crate::details::DetailTypeName;
use crate::encryption::EncryptedAnswers;
use crate::handle::{Handle, HandleHash, HandleKind};
use crate::ids::ClientSecretId;
use crate::keys::ring::Alg;
use crate::resource::ResourceSet;
use crate::scope::Scope;
use crate::text::{BadText, DisplayName};
use crate::time::{Timestamp, Ttl};

pub mod assertion;
pub mod document;
pub mod jwks;
pub mod lacks;
pub mod metadata;
pub mod origin;
pub mod profile;
pub mod redirect_uri;
pub mod registration;
pub mod response_type;

use assertion::AssertionAlg;
use document::DocumentAddress;
use origin::WebOrigin;
use profile::Profile;
use redirect_uri::{Reach, RedirectUri};
use registration::SelfRegistration;
pub use response_type::ResponseType;

/// One registered client.
#[derive(Debug, Clone, PartialEq)]
pub struct Client {
    pub id: ClientId,
    pub settings: ClientSettings,
    /// At most [`Client::MOST_SECRETS`] of them live at once, so that one can be replaced while the other is in use.
    pub secrets: Vec<ClientSecret>,
    /// For one that registered itself.
    pub registration: Option<SelfRegistration>,
    pub status: ClientStatus,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientStatus {
    Active,
    Disabled { at: Timestamp },
}

/// A secret as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientSecret {
    pub id: ClientSecretId,
    #[serde(flatten)]
    pub kept: KeptSecret,
    pub created_at: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
}

/// What is kept of a secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeptSecret {
    /// Of one that its client sends.
    Hash(HandleHash),
    /// Of one that its client signs with, which has to be known for that: all of it, sealed with the tenant's data key.
    Sealed(SealedText),
}

/// Something sealed, in base64.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SealedText(String);

impl SealedText {
    pub fn of(sealed: &[u8]) -> Self {
        Self(STANDARD.encode(sealed))
    }

    /// `None` when the text was changed to what is no base64.
    pub fn bytes(&self) -> Option<Vec<u8>> {
        STANDARD.decode(&self.0).ok()
    }
}

impl fmt::Debug for SealedText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[sealed]")
    }
}

impl KeptSecret {
    /// Whether a client with this method has secrets that are kept so: what was made to be sent does not sign, nor the other way.
    pub const fn is_for(&self, method: AuthMethod) -> bool {
        match self {
            Self::Hash(_) => matches!(method, AuthMethod::ClientSecretBasic | AuthMethod::ClientSecretPost),
            Self::Sealed(_) => matches!(method, AuthMethod::ClientSecretJwt),
        }
    }
}

impl ClientSecret {
    /// Random bytes of a secret that its client signs with.
    pub const SIGNING_BYTES: usize = 64;

    pub fn is_live(&self, now: Timestamp) -> bool {
        self.expires_at.is_none_or(|end| now < end)
    }
}

/// A third secret was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooManySecrets;

impl Client {
    pub const MOST_SECRETS: usize = 2;

    /// The tenant's own application, which every tenant has: it hands over names and passwords at `/login`, and refreshes.
    pub fn first_party() -> Self {
        let settings = ClientSettings {
            profile: None,
            client_name: None,
            application_type: ApplicationType::Web,
            redirect_uris: Vec::new(),
            post_logout_redirect_uris: Vec::new(),
            allowed_origins: Vec::new(),
            grant_types: BTreeSet::from([GrantType::RefreshToken]),
            response_types: BTreeSet::new(),
            scope: Scope::default(),
            resources: ResourceSet::new(),
            authorization_details_types: None,
            may_impersonate: false,
            authorization_challenge: false,
            token_endpoint_auth_method: AuthMethod::None,
            token_endpoint_auth_signing_alg: None,
            require_issuer_audience: false,
            frontchannel_logout_uri: None,
            frontchannel_logout_session_required: false,
            backchannel_logout_uri: None,
            backchannel_logout_session_required: false,
            backchannel_token_delivery_mode: None,
            backchannel_client_notification_endpoint: None,
            subject_type: SubjectType::Public,
            sector_identifier_uri: None,
            id_token_signed_response_alg: Alg::RS256,
            userinfo_signed_response_alg: None,
            authorization_signed_response_alg: None,
            introspection_signed_response_alg: None,
            encryption: EncryptedAnswers::default(),
            default_max_age: None,
            require_auth_time: false,
            require_pushed_authorization_requests: false,
            require_pkce: true,
            request_uris: Vec::new(),
            request_object_signing_alg: None,
            require_signed_request_object: false,
            require_signed_authorization_response: false,
            dpop_bound_access_tokens: false,
            tls_client_certificate_bound_access_tokens: false,
            certificate_name: None,
            require_dpop_nonce: false,
            consent: ConsentPolicy::FirstParty,
            keys: None,
            client_uri: None,
            logo_uri: None,
            policy_uri: None,
            tos_uri: None,
            contacts: Vec::new(),
            initiate_login_uri: None,
            software_id: None,
            software_version: None,
        };
        let (id, status, at) = (ClientId::first_party(), ClientStatus::Active, Timestamp::EPOCH);
        Self { id, settings, secrets: Vec::new(), registration: None, status, created_at: at, updated_at: at }
    }

    pub const fn is_active(&self) -> bool {
        matches!(self.status, ClientStatus::Active)
    }

    /// What its users know it by: of a client that anybody could have made, with the host that answers for it.
    pub fn shown_name(&self) -> String {
        let name = self.settings.client_name.as_ref().map(ToString::to_string);
        match (DocumentAddress::of(&self.id), name) {
            (Some(DocumentAddress { host }), Some(name)) => format!("{name} ({host})"),
            (Some(DocumentAddress { host }), None) => host,
            (None, name) => name.unwrap_or_else(|| self.id.to_string()),
        }
    }

    /// Whose pages may read what it is answered, for as long as it is active.
    pub fn origins(&self) -> BTreeSet<WebOrigin> {
        if self.is_active() { self.settings.origins() } else { BTreeSet::new() }
    }

    /// Adds a secret; expired ones make room.
    ///
    /// # Errors
    /// When two are alive.
    pub fn secret_add(&mut self, secret: ClientSecret, now: Timestamp) -> Result<(), TooManySecrets> {
        self.secrets.retain(|known| known.is_live(now));
        if self.secrets.len() >= Self::MOST_SECRETS {
            return Err(TooManySecrets);
        }
        self.secrets.push(secret);
        Ok(())
    }

    /// Whether `text` is one of its living secrets that are sent. Takes as long whatever is wrong with it.
    pub fn is_secret(&self, text: &str, now: Timestamp) -> bool {
        let hash = secret_hash(text);
        // All of them, so that time does not tell which one it was.
        self.secrets
            .iter()
            .filter(|known| known.is_live(now))
            .fold(false, |found, known| found | matches!(&known.kept, KeptSecret::Hash(kept) if *kept == hash))
    }

    /// Whether an answer that is sent to `redirect_uri` reaches this very client: because it has to prove itself afterwards, or
    /// because the address is a site's (RFC 8252, 8.6).
    pub fn is_sure_at(&self, redirect_uri: &str) -> bool {
        let registered = self.settings.redirect_uris.iter().find(|known| known.is_meant_by(redirect_uri));
        self.settings.token_endpoint_auth_method != AuthMethod::None || registered.is_some_and(|uri| uri.reach() == Reach::Https)
    }
}

/// The hash that a secret of this text would be kept as. Text that is no secret of ours has one that nothing is kept as.
pub fn secret_hash(text: &str) -> HandleHash {
    Handle::parse(HandleKind::ClientSecret, text).unwrap_or_else(|| Handle::new(HandleKind::Browser, [0; 32])).hash()
}

/// What kind of program it is; follows from its settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClientKind {
    /// Runs on a server and keeps a secret.
    Confidential,
    /// Runs in a browser.
    Public,
    /// Installed on a device, and keeps no secret.
    Native,
    /// Acts for itself; no user is there.
    Machine,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ApplicationType {
    #[default]
    Web,
    Native,
}

/// How a client proves itself (RFC 7591, 2; OpenID Connect Core, 9).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AuthMethod {
    None,
    #[default]
    ClientSecretBasic,
    ClientSecretPost,
    /// By what it signs with its secret (OpenID Connect Core, 9).
    ClientSecretJwt,
    PrivateKeyJwt,
    /// By a certificate that an authority answers for (RFC 8705, 2.1).
    TlsClientAuth,
    /// By a certificate that is known (RFC 8705, 2.2).
    SelfSignedTlsClientAuth,
}

impl AuthMethod {
    pub const ALL: [Self; 7] = [
        Self::ClientSecretBasic,
        Self::ClientSecretPost,
        Self::ClientSecretJwt,
        Self::PrivateKeyJwt,
        Self::TlsClientAuth,
        Self::SelfSignedTlsClientAuth,
        Self::None,
    ];

    pub const fn is_by_secret(self) -> bool {
        matches!(self, Self::ClientSecretBasic | Self::ClientSecretPost | Self::ClientSecretJwt)
    }

    /// Whether the client signs something to say who it is.
    pub const fn is_by_assertion(self) -> bool {
        matches!(self, Self::ClientSecretJwt | Self::PrivateKeyJwt)
    }

    pub const fn is_by_certificate(self) -> bool {
        matches!(self, Self::TlsClientAuth | Self::SelfSignedTlsClientAuth)
    }

    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::ClientSecretBasic => "client_secret_basic",
            Self::ClientSecretPost => "client_secret_post",
            Self::ClientSecretJwt => "client_secret_jwt",
            Self::PrivateKeyJwt => "private_key_jwt",
            Self::TlsClientAuth => "tls_client_auth",
            Self::SelfSignedTlsClientAuth => "self_signed_tls_client_auth",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GrantType {
    AuthorizationCode,
    /// Tokens from the authorization endpoint itself, by the browser: nothing that is asked for at the token endpoint (RFC 6749, 4.2).
    Implicit,
    RefreshToken,
    ClientCredentials,
    /// RFC 8628, 3.4.
    #[serde(rename = "urn:ietf:params:oauth:grant-type:device_code")]
    DeviceCode,
    /// RFC 7523, 2.1.
    #[serde(rename = "urn:ietf:params:oauth:grant-type:jwt-bearer")]
    JwtBearer,
    /// OpenID CIBA Core 1.0, 10.1.
    #[serde(rename = "urn:openid:params:grant-type:ciba")]
    Backchannel,
    /// RFC 8693, 2.1.
    #[serde(rename = "urn:ietf:params:oauth:grant-type:token-exchange")]
    TokenExchange,
}

impl GrantType {
    pub const ALL: [Self; 8] = [
        Self::AuthorizationCode,
        Self::Implicit,
        Self::RefreshToken,
        Self::ClientCredentials,
        Self::DeviceCode,
        Self::JwtBearer,
        Self::Backchannel,
        Self::TokenExchange,
    ];

    pub const fn name(self) -> &'static str {
        match self {
            Self::AuthorizationCode => "authorization_code",
            Self::Implicit => "implicit",
            Self::RefreshToken => "refresh_token",
            Self::ClientCredentials => "client_credentials",
            Self::DeviceCode => "urn:ietf:params:oauth:grant-type:device_code",
            Self::JwtBearer => "urn:ietf:params:oauth:grant-type:jwt-bearer",
            Self::Backchannel => "urn:openid:params:grant-type:ciba",
            Self::TokenExchange => "urn:ietf:params:oauth:grant-type:token-exchange",
        }
    }

    /// Whether users are there who log in and agree: it begins sessions.
    pub const fn has_users(self) -> bool {
        matches!(self, Self::AuthorizationCode | Self::Implicit | Self::DeviceCode | Self::Backchannel)
    }

    /// Whether its sessions may be refreshed.
    pub const fn may_be_refreshed(self) -> bool {
        matches!(self, Self::AuthorizationCode | Self::DeviceCode | Self::Backchannel)
    }

    /// Whether clients ask for it at the token endpoint.
    pub const fn is_for_the_token_endpoint(self) -> bool {
        !matches!(self, Self::Implicit)
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|grant| grant.name() == name)
    }
}

/// How a client learns of its user's answer (OpenID CIBA Core 1.0, 5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryMode {
    /// It asks again and again.
    Poll,
    /// It is told that there is an answer, and asks then.
    Ping,
}

impl DeliveryMode {
    pub const ALL: [Self; 2] = [Self::Poll, Self::Ping];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Poll => "poll",
            Self::Ping => "ping",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SubjectType {
    #[default]
    Public,
    /// Another one for each sector of clients (OpenID Connect Core, 8).
    Pairwise,
}

/// Who decides what the client gets of a user.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ConsentPolicy {
    /// The user is asked.
    #[default]
    ThirdParty,
    /// The tenant has decided: the client is its own.
    FirstParty,
}

/// Where a client's public keys are (RFC 7591, 2): here, or at an address of its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClientKeys {
    Jwks(serde_json::Value),
    JwksUri(String),
}

/// What a client may do and how it wants to be spoken to, with the names of RFC 7591 and OpenID Connect Registration. Every value of
/// this type has passed [`metadata::ClientMetadata::validated`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientSettings {
    #[serde(default)]
    pub profile: Option<Profile>,
    pub client_name: Option<DisplayName>,
    pub application_type: ApplicationType,
    pub redirect_uris: Vec<RedirectUri>,
    pub post_logout_redirect_uris: Vec<RedirectUri>,
    /// Where its pages are, besides those of its redirect URIs.
    #[serde(default)]
    pub allowed_origins: Vec<WebOrigin>,
    pub grant_types: BTreeSet<GrantType>,
    pub response_types: BTreeSet<ResponseType>,
    pub scope: Scope,
    /// The APIs of the tenant that it may have tokens for, besides the issuer itself.
    #[serde(default)]
    pub resources: ResourceSet,
    /// The types of authorization details that it may ask for (RFC 9396, 10), of those of these APIs; all of them when nothing is said.
    #[serde(default)]
    pub authorization_details_types: Option<BTreeSet<DetailTypeName>>,
    /// Whether it may exchange the token of another client without saying who acts (RFC 8693, 1.1).
    #[serde(default)]
    pub may_impersonate: bool,
    /// Whether it may hand over what users type into it, and gets codes in return (OAuth 2.0 for First-Party Applications).
    #[serde(default)]
    pub authorization_challenge: bool,
    pub token_endpoint_auth_method: AuthMethod,
    /// The one algorithm of its assertions; any of its kind when it has named none.
    #[serde(default)]
    pub token_endpoint_auth_signing_alg: Option<AssertionAlg>,
    /// Its assertions are for the issuer alone, not for the token endpoint (rfc7523bis).
    #[serde(default)]
    pub require_issuer_audience: bool,
    /// Told in the user's browser of a logout (OpenID Connect Front-Channel Logout 1.0).
    #[serde(default)]
    pub frontchannel_logout_uri: Option<String>,
    #[serde(default)]
    pub frontchannel_logout_session_required: bool,
    /// Told by us of a logout (OpenID Connect Back-Channel Logout 1.0).
    #[serde(default)]
    pub backchannel_logout_uri: Option<String>,
    #[serde(default)]
    pub backchannel_logout_session_required: bool,
    /// With the grant of OpenID CIBA Core 1.0.
    #[serde(default)]
    pub backchannel_token_delivery_mode: Option<DeliveryMode>,
    /// Where a client is told that its user has answered.
    #[serde(default)]
    pub backchannel_client_notification_endpoint: Option<String>,
    pub subject_type: SubjectType,
    /// Lists the redirect URIs of all clients of the sector.
    #[serde(default)]
    pub sector_identifier_uri: Option<String>,
    pub id_token_signed_response_alg: Alg,
    /// Userinfo as a JWT, signed by this; plain JSON where it is absent.
    #[serde(default)]
    pub userinfo_signed_response_alg: Option<Alg>,
    /// Of answers to authorization requests that are to be signed (JARM, 3).
    #[serde(default)]
    pub authorization_signed_response_alg: Option<Alg>,
    /// Of what is said about tokens, where it asks for a signature (RFC 9701, 6).
    #[serde(default)]
    pub introspection_signed_response_alg: Option<Alg>,
    /// Which answers are encrypted to it, and how.
    #[serde(flatten)]
    pub encryption: EncryptedAnswers,
    pub default_max_age: Option<Ttl>,
    pub require_auth_time: bool,
    pub require_pushed_authorization_requests: bool,
    pub require_pkce: bool,
    /// Where its requests may be fetched, letter by letter, what stands behind `#` included (OpenID Connect Registration, 2).
    #[serde(default)]
    pub request_uris: Vec<String>,
    /// The one algorithm of its request objects; any of [`Self::signing_algs`] when it has named none.
    #[serde(default)]
    pub request_object_signing_alg: Option<Alg>,
    /// It signs each request (RFC 9101, 10.5).
    #[serde(default)]
    pub require_signed_request_object: bool,
    /// Its authorization requests are answered by signed answers alone.
    #[serde(default)]
    pub require_signed_authorization_response: bool,
    /// It gets no tokens without a proof (RFC 9449, 5.2).
    #[serde(default)]
    pub dpop_bound_access_tokens: bool,
    /// It gets no tokens without a certificate, and they are bound to that (RFC 8705, 3.4).
    #[serde(default)]
    pub tls_client_certificate_bound_access_tokens: bool,
    /// The name in its certificate that it is known by, with [`AuthMethod::TlsClientAuth`].
    #[serde(flatten)]
    pub certificate_name: Option<CertificateName>,
    /// Its proofs need a nonce of ours, whatever the tenant says.
    #[serde(default)]
    pub require_dpop_nonce: bool,
    pub consent: ConsentPolicy,
    pub keys: Option<ClientKeys>,
    pub client_uri: Option<String>,
    pub logo_uri: Option<String>,
    pub policy_uri: Option<String>,
    pub tos_uri: Option<String>,
    #[serde(default)]
    pub contacts: Vec<String>,
    /// Where a login may be begun from elsewhere (OpenID Connect Core, 4).
    #[serde(default)]
    pub initiate_login_uri: Option<String>,
    #[serde(default)]
    pub software_id: Option<String>,
    #[serde(default)]
    pub software_version: Option<String>,
}

impl ClientSettings {
    pub fn kind(&self) -> ClientKind {
        match (self.token_endpoint_auth_method, self.application_type) {
            (AuthMethod::None, ApplicationType::Native) => ClientKind::Native,
            (AuthMethod::None, ApplicationType::Web) => ClientKind::Public,
            _ if !self.grant_types.iter().any(|grant| grant.has_users()) => ClientKind::Machine,
            _ => ClientKind::Confidential,
        }
    }

    /// Where it runs in browsers: at the redirect URIs of one that keeps no secret, and where an administrator says so. One that
    /// keeps a secret does not run there by itself.
    pub fn origins(&self) -> BTreeSet<WebOrigin> {
        let is_public = self.token_endpoint_auth_method == AuthMethod::None;
        let uris = self.redirect_uris.iter().filter(|_| is_public);
        uris.filter_map(|uri| WebOrigin::of(uri.as_str())).chain(self.allowed_origins.iter().cloned()).collect()
    }

    /// The sector by whose name for a user the client knows them: a host (OpenID Connect Core, 8.1). `None` for public subjects.
    pub fn sector(&self) -> Option<String> {
        if self.subject_type == SubjectType::Public {
            return None;
        }
        let uri = self.sector_identifier_uri.as_deref().or(self.redirect_uris.first().map(RedirectUri::as_str));
        uri.and_then(|uri| url::Url::parse(uri).ok()?.host_str().map(str::to_owned))
    }

    /// The algorithms that it may sign by, where it has not named one, and that its access tokens may be signed by.
    pub const fn signing_algs(&self) -> &'static [Alg] {
        match self.profile {
            Some(profile) => profile.algs(),
            None => &Alg::ALL,
        }
    }

    /// What it is sent signed by an algorithm of its own choice, by the member that says so.
    pub fn signatures(&self) -> Vec<(&'static str, Alg)> {
        let has_users = self.grant_types.iter().any(|grant| grant.has_users());
        let wanted = [
            ("id_token_signed_response_alg", Some(self.id_token_signed_response_alg).filter(|_| has_users)),
            ("userinfo_signed_response_alg", self.userinfo_signed_response_alg),
            ("authorization_signed_response_alg", self.authorization_signed_response_alg),
            ("introspection_signed_response_alg", self.introspection_signed_response_alg),
        ];
        wanted.into_iter().filter_map(|(member, alg)| alg.map(|alg| (member, alg))).collect()
    }

    pub fn may_use(&self, grant: GrantType) -> bool {
        self.grant_types.contains(&grant)
    }
}

/// A `client_id` (RFC 6749, 2.2): 1 to 128 printable ASCII characters.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ClientId(String);

impl ClientId {
    /// The built-in public client: the tenant's own application, trusted to see the user's password.
    pub fn first_party() -> Self {
        Self("first-party".to_owned())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is the address of the client's metadata document.
    pub fn is_address(&self) -> bool {
        DocumentAddress::of(self).is_some()
    }
}

impl TryFrom<String> for ClientId {
    type Error = BadText;

    fn try_from(text: String) -> Result<Self, BadText> {
        if (1..=128).contains(&text.len()) && text.bytes().all(|b| (0x21..=0x7e).contains(&b)) {
            Ok(Self(text))
        } else {
            Err(BadText("a client_id is 1 to 128 printable ASCII characters"))
        }
    }
}

impl FromStr for ClientId {
    type Err = BadText;

    fn from_str(text: &str) -> Result<Self, BadText> {
        Self::try_from(text.to_owned())
    }
}

impl From<ClientId> for String {
    fn from(id: ClientId) -> Self {
        id.0
    }
}

impl fmt::Display for ClientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
