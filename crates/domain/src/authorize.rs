//! Authorization requests: what one says once all rules have passed it ([`rules`]), and how it is answered.
//!
//! One representation for requests that come by query, by form, pushed or signed; it can be stored while
//! its user logs in. Invariant: a request of this type has a client and an address to answer to that belong together.

use std::collections::BTreeSet;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use url::form_urlencoded;

use crate::client::{ClientId, ResponseType};
use crate::consent::Allowed;
use crate::details::AuthorizationDetails;
use crate::handle::HandleHash;
use crate::ids::UserId;
use crate::keys::thumbprint::Thumbprint;
use crate::openid::ClaimsRequest;
use crate::resource::ResourceSet;
use crate::scope::Scope;
use crate::sso::Acr;
use crate::time::Ttl;

pub mod code;
pub mod request_object;
pub mod rules;

/// A request as it is worked on and stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuthorizationRequest {
    pub client_id: ClientId,
    #[serde(default, skip_serializing_if = "ResponseType::is_code")]
    pub response_type: ResponseType,
    pub return_to: ReturnAddress,
    /// What of the asked-for scope the client may have.
    pub scope: Scope,
    /// What tokens are to be for (RFC 8707).
    #[serde(default, skip_serializing_if = "ResourceSet::is_empty")]
    pub resources: ResourceSet,
    /// What is asked for in detail (RFC 9396), of APIs that are among them.
    #[serde(default, skip_serializing_if = "AuthorizationDetails::is_empty")]
    pub details: AuthorizationDetails,
    pub nonce: Option<String>,
    /// S256; the only method there is.
    pub code_challenge: Option<CodeChallenge>,
    pub prompt: BTreeSet<Prompt>,
    pub max_age: Option<Ttl>,
    pub login_hint: Option<String>,
    /// Who it must be, one of these: from `id_token_hint`, or from a `sub` among the claims asked for. Empty: anybody.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub users: BTreeSet<UserId>,
    pub acr: AcrWish,
    /// Language tags, the best first.
    pub ui_locales: Vec<String>,
    pub claims: ClaimsRequest,
    /// The key that has to be proved with the code (RFC 9449, 10).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dpop_jkt: Option<Thumbprint>,
    /// The pushed request it is taken from, which its answer uses up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pushed: Option<HandleHash>,
    /// The device that gets the answer, instead of the return address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<HandleHash>,
}

impl AuthorizationRequest {
    /// What the user would allow the client by it: a claim that is asked for by name is allowed with the scope that it is of.
    pub fn wanted(&self) -> Allowed {
        let scope = self.scope.clone().with(&self.claims.scope());
        Allowed { scope, resources: self.resources.clone(), details: self.details.clone() }
    }
}

/// Where the answer goes, and how.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReturnAddress {
    /// As the request wrote it: the token request has to repeat it. Empty where the answer is [`ResponseMode::Direct`] and none was named.
    pub redirect_uri: String,
    pub mode: ResponseMode,
    /// Given back byte for byte.
    pub state: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ResponseMode {
    Query,
    FormPost,
    /// By query, as one signed parameter (JARM, 2.3.1).
    QueryJwt,
    /// By form, as one signed parameter (JARM, 2.3.3).
    FormPostJwt,
    /// Behind `#`, which no server is sent: the usual one where a token is in the answer (OAuth 2.0 Multiple Response Type Encoding Practices, 5).
    Fragment,
    /// Behind `#`, as one signed parameter (JARM, 2.3.2).
    FragmentJwt,
    /// By no browser at all: to the client itself, which has asked (OAuth 2.0 for First-Party Applications, 5.2).
    Direct,
}

impl ResponseMode {
    /// Each by its name; `jwt` is the signed mode that is usual for codes (JARM, 2.3.4).
    pub const NAMES: [(&'static str, Self); 5] = [
        ("query", Self::Query),
        ("form_post", Self::FormPost),
        ("query.jwt", Self::QueryJwt),
        ("form_post.jwt", Self::FormPostJwt),
        ("jwt", Self::QueryJwt),
    ];

    /// Those of clients with tokens in the answer, besides.
    pub const WITH_TOKENS: [(&'static str, Self); 2] = [("fragment", Self::Fragment), ("fragment.jwt", Self::FragmentJwt)];

    pub const fn is_signed(self) -> bool {
        matches!(self, Self::QueryJwt | Self::FormPostJwt | Self::FragmentJwt)
    }

    /// Whether servers, their logs and other sites get to see it in an address.
    pub const fn is_by_query(self) -> bool {
        matches!(self, Self::Query | Self::QueryJwt)
    }

    /// The same way, signed.
    #[must_use]
    pub const fn signed(self) -> Self {
        match self {
            Self::Query | Self::QueryJwt => Self::QueryJwt,
            Self::FormPost | Self::FormPostJwt => Self::FormPostJwt,
            Self::Fragment | Self::FragmentJwt => Self::FragmentJwt,
            // Nobody else carries it.
            Self::Direct => Self::Direct,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Prompt {
    None,
    Login,
    Consent,
    SelectAccount,
}

impl Prompt {
    pub const ALL: [Self; 4] = [Self::None, Self::Login, Self::Consent, Self::SelectAccount];

    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Login => "login",
            Self::Consent => "consent",
            Self::SelectAccount => "select_account",
        }
    }
}

/// Which `acr` a client would like, or insists on.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct AcrWish {
    pub values: Vec<String>,
    pub is_essential: bool,
}

impl AcrWish {
    /// Whether a login of this `acr` is one of the wanted, or more.
    pub fn is_met_by(&self, reached: Acr) -> bool {
        self.values.is_empty() || self.values.iter().filter_map(|name| Acr::from_name(name)).any(|wanted| reached >= wanted)
    }
}

/// A PKCE challenge of method S256 (RFC 7636, 4.2): 43 characters of base64url.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CodeChallenge(String);

impl CodeChallenge {
    /// `None` for a text that no SHA-256 has.
    pub fn parse(text: &str) -> Option<Self> {
        let is_hash = text.len() == 43 && URL_SAFE_NO_PAD.decode(text).is_ok_and(|hash| hash.len() == 32);
        is_hash.then(|| Self(text.to_owned()))
    }

    /// Whether `verifier` has the form of one and is the one (RFC 7636, 4.1, 4.6).
    pub fn is_answered_by(&self, verifier: &str) -> bool {
        let has_form = (43..=128).contains(&verifier.len())
            && verifier.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'~'));
        has_form && bool::from(URL_SAFE_NO_PAD.encode(Sha256::digest(verifier)).as_bytes().ct_eq(self.0.as_bytes()))
    }
}

/// The errors of authorization responses (RFC 6749, 4.1.2.1; OpenID Connect Core, 3.1.2.6; Unmet Authentication Requirements 1.0;
/// RFC 8707, 2; RFC 9396, 5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuthorizeError {
    InvalidRequest,
    UnauthorizedClient,
    AccessDenied,
    UnsupportedResponseType,
    InvalidScope,
    ServerError,
    TemporarilyUnavailable,
    LoginRequired,
    AccountSelectionRequired,
    ConsentRequired,
    RequestNotSupported,
    RequestUriNotSupported,
    InvalidRequestUri,
    InvalidRequestObject,
    RegistrationNotSupported,
    UnmetAuthenticationRequirements,
    /// RFC 8707, 2.
    InvalidTarget,
    /// RFC 9396, 5.
    InvalidAuthorizationDetails,
}

impl AuthorizeError {
    pub const fn name(self) -> &'static str {
        match self {
            Self::InvalidRequest => "invalid_request",
            Self::UnauthorizedClient => "unauthorized_client",
            Self::AccessDenied => "access_denied",
            Self::UnsupportedResponseType => "unsupported_response_type",
            Self::InvalidScope => "invalid_scope",
            Self::ServerError => "server_error",
            Self::TemporarilyUnavailable => "temporarily_unavailable",
            Self::LoginRequired => "login_required",
            Self::AccountSelectionRequired => "account_selection_required",
            Self::ConsentRequired => "consent_required",
            Self::RequestNotSupported => "request_not_supported",
            Self::RequestUriNotSupported => "request_uri_not_supported",
            Self::InvalidRequestUri => "invalid_request_uri",
            Self::InvalidRequestObject => "invalid_request_object",
            Self::RegistrationNotSupported => "registration_not_supported",
            Self::UnmetAuthenticationRequirements => "unmet_authentication_requirements",
            Self::InvalidTarget => "invalid_target",
            Self::InvalidAuthorizationDetails => "invalid_authorization_details",
        }
    }
}

/// Why a request is not granted, in constant words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refusal {
    pub error: AuthorizeError,
    pub description: &'static str,
}

impl Refusal {
    /// Nobody knows who asks.
    pub const UNKNOWN_CLIENT: Self =
        Self { error: AuthorizeError::InvalidRequest, description: "client_id is missing, or there is no such client" };
    /// The user would be sent to a place that the client has not registered: an attempt to steal a code looks like this.
    pub const FOREIGN_REDIRECT: Self =
        Self { error: AuthorizeError::InvalidRequest, description: "redirect_uri is not registered for this client" };
}

/// A refused request, and whether the client may hear of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RequestRefused {
    /// It is not sure who would hear it: a page tells the user, and nobody is sent anywhere.
    OnPage(Refusal),
    /// The client hears it, at an address of its own.
    ToClient(ReturnAddress, Refusal),
}

/// An answer, ready to be carried to the client by the user's browser.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthorizationResponse {
    pub return_to: ReturnAddress,
    /// In order, each once; `iss` (RFC 9207) and `state` among them.
    pub parameters: Vec<(&'static str, String)>,
}

impl AuthorizationResponse {
    /// With what is given: a code, or tokens.
    pub fn granted(return_to: ReturnAddress, given: Vec<(&'static str, String)>, issuer: String) -> Self {
        Self::new(return_to, given, issuer)
    }

    pub fn refused(return_to: ReturnAddress, refusal: Refusal, issuer: String) -> Self {
        let said = vec![("error", refusal.error.name().to_owned()), ("error_description", refusal.description.to_owned())];
        Self::new(return_to, said, issuer)
    }

    fn new(return_to: ReturnAddress, mut parameters: Vec<(&'static str, String)>, issuer: String) -> Self {
        parameters.extend(return_to.state.clone().map(|state| ("state", state)));
        parameters.push(("iss", issuer));
        Self { return_to, parameters }
    }

    /// The same answer as its one parameter, once all of it is signed (JARM, 2.3).
    #[must_use]
    pub fn sealed(self, token: String) -> Self {
        Self { parameters: vec![("response", token)], ..self }
    }

    /// The address with the parameters in its query, or behind `#`.
    pub fn location(&self) -> String {
        match self.return_to.mode {
            // A registered address has no fragment of its own.
            ResponseMode::Fragment | ResponseMode::FragmentJwt => {
                let mut fragment = form_urlencoded::Serializer::new(String::new());
                fragment.extend_pairs(&self.parameters);
                format!("{}#{}", self.return_to.redirect_uri, fragment.finish())
            }
            _ => with_query(&self.return_to.redirect_uri, &self.parameters),
        }
    }
}

/// `uri` with these parameters at the end of its query, which is not touched otherwise.
pub fn with_query(uri: &str, parameters: &[(&str, String)]) -> String {
    let join = match uri.split_once('?') {
        None => "?",
        Some((_, query)) if query.is_empty() || query.ends_with('&') => "",
        Some(_) => "&",
    };
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.extend_pairs(parameters);
    format!("{uri}{join}{}", query.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s062_a_verifier_must_be_the_one_and_look_like_one() {
        // RFC 7636, appendix B.
        let challenge = CodeChallenge::parse("E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM").expect("a challenge");
        assert!(challenge.is_answered_by("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"));
        for wrong in ["", "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXK", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"] {
            assert!(!challenge.is_answered_by(wrong), "{wrong}");
        }
        for (text, is_form) in
            [("a".repeat(42), false), ("a".repeat(43), true), ("a".repeat(128), true), ("a".repeat(129), false), ("ä".repeat(43), false)]
        {
            let challenge = CodeChallenge(URL_SAFE_NO_PAD.encode(Sha256::digest(&text)));
            assert_eq!(challenge.is_answered_by(&text), is_form, "{text}");
        }
    }

    #[test]
    fn an_answer_joins_the_query_that_is_there() {
        let by = |uri: &str, mode| {
            let return_to = ReturnAddress { redirect_uri: uri.to_owned(), mode, state: Some("a&b=ü".to_owned()) };
            AuthorizationResponse::granted(return_to, vec![("code", "x".to_owned())], "https://id.example/t/a".to_owned()).location()
        };
        let answer = |uri| by(uri, ResponseMode::Query);
        let said = "code=x&state=a%26b%3D%C3%BC&iss=https%3A%2F%2Fid.example%2Ft%2Fa";
        assert_eq!(answer("https://app.example/cb"), format!("https://app.example/cb?{said}"));
        assert_eq!(answer("https://app.example/cb?a=1"), format!("https://app.example/cb?a=1&{said}"));
        assert_eq!(answer("com.example.app:/cb"), format!("com.example.app:/cb?{said}"));
        for mode in [ResponseMode::Fragment, ResponseMode::FragmentJwt] {
            assert_eq!(by("https://app.example/cb?a=1", mode), format!("https://app.example/cb?a=1#{said}"));
        }
    }
}
