//! The rules of authorization requests, one function each, in the order of [`RULES`].
//!
//! A rule reads what was sent, writes its part of the request or refuses. What must be known before any answer may be sent to a
//! client is settled first, by [`return_address`]. Invariant: no rule does anything, so all of them can be tested on paper.

use std::collections::{BTreeSet, HashMap};

use super::{AcrWish, AuthorizationRequest, AuthorizeError, CodeChallenge, Prompt, Refusal, RequestRefused, ResponseMode, ReturnAddress};
use crate::client::{Client, ResponseType};
use crate::details::{self, AuthorizationDetails, DetailsRefused};
use crate::ids::UserId;
use crate::keys::thumbprint::Thumbprint;
use crate::openid::ClaimsRequest;
use crate::resource::{self, Resource, ResourceSet};
use crate::scope::Scope;
use crate::sso::Acr;
use crate::time::Ttl;

/// The parameters of one request: each at most once, empty ones absent (RFC 6749, 3.1); of `resource` any number (RFC 8707, 2).
#[derive(Clone, Default)]
pub struct Parameters {
    by_name: HashMap<String, String>,
    resources: Vec<String>,
}

impl std::fmt::Debug for Parameters {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Names only: a value may be a token.
        f.debug_set().entries(self.by_name.keys()).finish()
    }
}

impl Parameters {
    /// # Errors
    /// When one was sent twice.
    pub fn new(pairs: impl IntoIterator<Item = (String, String)>) -> Result<Self, Refusal> {
        let (mut parameters, mut resources) = (HashMap::new(), Vec::new());
        for (name, value) in pairs {
            if value.contains(['\0', '\u{fffd}']) || parameters.len() + resources.len() >= 64 {
                return Err(refusal("a parameter is not valid UTF-8, or there are too many"));
            }
            if name == "resource" {
                resources.push(value);
                continue;
            }
            if parameters.insert(name, value).is_some() {
                return Err(refusal("a parameter was sent twice"));
            }
        }
        parameters.retain(|_, value| !value.is_empty());
        resources.retain(|value| !value.is_empty());
        Ok(Self { by_name: parameters, resources })
    }

    pub fn get(&self, name: &str) -> Option<&str> {
        self.by_name.get(name).map(String::as_str)
    }
}

const fn refusal(description: &'static str) -> Refusal {
    Refusal { error: AuthorizeError::InvalidRequest, description }
}

/// Which way a request comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arrival {
    /// By the user's browser.
    Browser,
    /// Pushed by the client itself, which has proved who it is (RFC 9126).
    Pushed,
    /// Sent by the client itself, which wants the code in the answer (OAuth 2.0 for First-Party Applications, 5.1).
    Challenge,
}

/// What the rules are given.
#[derive(Debug)]
pub struct Asked<'a> {
    pub parameters: &'a Parameters,
    pub client: &'a Client,
    pub issuer: &'a str,
    /// What the tenant answers with besides `code`.
    pub response_types: &'a BTreeSet<ResponseType>,
    /// The APIs that the client may have tokens for.
    pub apis: &'a [Resource],
    pub arrival: Arrival,
    /// The parameters are those of a request object, which the client has signed (RFC 9101).
    pub is_signed: bool,
    /// Whom `id_token_hint` names: outside `None` when there was none, inside `None` when it is no ID token of this tenant.
    pub hinted: Option<Option<UserId>>,
    /// Whom a `sub` among the claims asks for, by the names that this client knows users by; nobody, where these are nobody's names.
    pub named: Option<BTreeSet<UserId>>,
    /// The key that was proved with the request (RFC 9449, 10.1).
    pub proved: Option<Thumbprint>,
}

impl Asked<'_> {
    fn get(&self, name: &str) -> Option<&str> {
        self.parameters.get(name)
    }
}

type Rule = fn(&Asked<'_>, &mut AuthorizationRequest) -> Result<(), Refusal>;

/// All rules, in their order: what makes the request another kind of request comes before what it says.
pub const RULES: [Rule; 19] = [
    by_value_or_reference,
    signed_where_required,
    pushed_where_required,
    response_type,
    response_mode,
    allowed_grant,
    scope,
    resources,
    openid,
    authorization_details,
    pkce,
    dpop_key,
    nonce,
    prompt,
    max_age,
    user_hints,
    claims,
    acr,
    locales,
];

/// Reads a request of a known client.
///
/// # Errors
/// See [`RequestRefused`].
pub fn read(asked: &Asked<'_>) -> Result<AuthorizationRequest, RequestRefused> {
    let return_to = match asked.arrival {
        Arrival::Challenge => to_itself(asked.client, asked.parameters, asked.response_types),
        Arrival::Browser | Arrival::Pushed => return_address(asked.client, asked.parameters, asked.response_types),
    };
    let return_to = return_to.map_err(RequestRefused::OnPage)?;
    let mut request = AuthorizationRequest {
        client_id: asked.client.id.clone(),
        response_type: ResponseType::Code,
        return_to,
        scope: Scope::default(),
        resources: ResourceSet::new(),
        details: AuthorizationDetails::none(),
        nonce: None,
        code_challenge: None,
        prompt: BTreeSet::new(),
        max_age: None,
        login_hint: None,
        users: BTreeSet::new(),
        acr: AcrWish::default(),
        ui_locales: Vec::new(),
        claims: ClaimsRequest::default(),
        dpop_jkt: None,
        pushed: None,
        device: None,
    };
    match RULES.iter().try_for_each(|rule| rule(asked, &mut request)) {
        Ok(()) => Ok(request),
        Err(refusal) => Err(RequestRefused::ToClient(request.return_to, refusal)),
    }
}

/// Refuses a request whose parameters are not looked at any further. The client hears it where they name a place of its own.
pub fn refused(client: &Client, parameters: &Parameters, response_types: &BTreeSet<ResponseType>, refusal: Refusal) -> RequestRefused {
    match return_address(client, parameters, response_types) {
        Ok(return_to) => RequestRefused::ToClient(return_to, refusal),
        Err(_) => RequestRefused::OnPage(refusal),
    }
}

/// Where the client wants its answer, if that is a registered place (RFC 6749, 3.1.2; RFC 9700, 4.1.3).
fn return_address(client: &Client, parameters: &Parameters, response_types: &BTreeSet<ResponseType>) -> Result<ReturnAddress, Refusal> {
    let redirect_uri = parameters.get("redirect_uri").ok_or(refusal("redirect_uri is missing"))?;
    if !client.settings.redirect_uris.iter().any(|known| known.is_meant_by(redirect_uri)) {
        return Err(Refusal::FOREIGN_REDIRECT);
    }
    let mode = match mode(client, parameters, response_types) {
        Ok(mode) => mode,
        // Its rule refuses it.
        Err((mode, _)) => mode,
    };
    Ok(ReturnAddress { redirect_uri: redirect_uri.to_owned(), mode, state: parameters.get("state").map(str::to_owned) })
}

/// How the answer goes. Where it may not go as it is wanted: how the refusal goes, signed, when a signed mode was meant.
fn mode(
    client: &Client,
    parameters: &Parameters,
    response_types: &BTreeSet<ResponseType>,
) -> Result<ResponseMode, (ResponseMode, Refusal)> {
    let has_fragments = client.settings.response_types.iter().any(|kind| kind.is_front_channel() && response_types.contains(kind));
    // Also where the type itself is refused: the client looks for the answer where it would be.
    let has_tokens = |text: &str| text.split(' ').any(|word| matches!(word, "id_token" | "token"));
    let is_with_tokens = has_fragments && parameters.get("response_type").is_some_and(has_tokens);
    let usual = if is_with_tokens { ResponseMode::Fragment } else { ResponseMode::Query };
    let is_strict = client.settings.require_signed_authorization_response;
    let Some(wanted) = parameters.get("response_mode") else { return Ok(if is_strict { usual.signed() } else { usual }) };
    let fallback = if is_strict || wanted.ends_with(".jwt") { usual.signed() } else { usual };
    let with_tokens = ResponseMode::WITH_TOKENS.into_iter().filter(|_| has_fragments);
    let known = match wanted {
        "jwt" => Some(usual.signed()),
        name => ResponseMode::NAMES.into_iter().chain(with_tokens).find(|(known, _)| *known == name).map(|(_, mode)| mode),
    };
    match known {
        None if has_fragments => {
            Err((fallback, refusal("response_mode must be query, form_post or fragment, one of them with .jwt, or jwt")))
        }
        None => Err((fallback, refusal("response_mode must be query, form_post, query.jwt, form_post.jwt or jwt"))),
        Some(mode) if is_with_tokens && mode.is_by_query() => Err((
            fallback,
            refusal("a token in the answer does not go by query: response_mode must be fragment or form_post, with .jwt or without"),
        )),
        Some(mode) if is_strict && !mode.is_signed() => {
            Err((mode.signed(), refusal("this client is answered by signed answers alone: response_mode must be jwt")))
        }
        Some(mode) => Ok(mode),
    }
}

/// Whoever asks for itself need not name an address; one that it names is registered, and named again with the code.
fn to_itself(client: &Client, parameters: &Parameters, response_types: &BTreeSet<ResponseType>) -> Result<ReturnAddress, Refusal> {
    let redirect_uri = match parameters.get("redirect_uri") {
        None => String::new(),
        Some(_) => return_address(client, parameters, response_types)?.redirect_uri,
    };
    Ok(ReturnAddress { redirect_uri, mode: ResponseMode::Direct, state: parameters.get("state").map(str::to_owned) })
}

/// A request that is to be fetched does not get here where it may be; and nobody is registered on the fly (OpenID Connect Core, 6.2, 7.2.1).
fn by_value_or_reference(asked: &Asked<'_>, _: &mut AuthorizationRequest) -> Result<(), Refusal> {
    for (name, error) in
        [("request_uri", AuthorizeError::RequestUriNotSupported), ("registration", AuthorizeError::RegistrationNotSupported)]
    {
        if asked.get(name).is_some() {
            return Err(Refusal { error, description: "this parameter is not supported here" });
        }
    }
    Ok(())
}

fn signed_where_required(asked: &Asked<'_>, _: &mut AuthorizationRequest) -> Result<(), Refusal> {
    if asked.client.settings.require_signed_request_object && !asked.is_signed {
        return Err(refusal("this client has to sign its requests (RFC 9101)"));
    }
    Ok(())
}

fn pushed_where_required(asked: &Asked<'_>, _: &mut AuthorizationRequest) -> Result<(), Refusal> {
    if asked.client.settings.require_pushed_authorization_requests && asked.arrival == Arrival::Browser {
        return Err(refusal("this client has to push its requests (RFC 9126)"));
    }
    Ok(())
}

fn response_type(asked: &Asked<'_>, request: &mut AuthorizationRequest) -> Result<(), Refusal> {
    let text = asked.get("response_type").ok_or(refusal("response_type is missing"))?;
    // Where there is no browser there is no way that a token could go but the token endpoint.
    let is_taken = |kind: &ResponseType| kind.is_code() || (asked.arrival != Arrival::Challenge && asked.response_types.contains(kind));
    let unsupported = Refusal { error: AuthorizeError::UnsupportedResponseType, description: "response_type is none that is taken here" };
    request.response_type = ResponseType::from_name(text).filter(is_taken).ok_or(unsupported)?;
    Ok(())
}

fn response_mode(asked: &Asked<'_>, _: &mut AuthorizationRequest) -> Result<(), Refusal> {
    mode(asked.client, asked.parameters, asked.response_types).map(drop).map_err(|(_, refusal)| refusal)
}

fn allowed_grant(asked: &Asked<'_>, request: &mut AuthorizationRequest) -> Result<(), Refusal> {
    if asked.client.settings.response_types.contains(&request.response_type) {
        return Ok(());
    }
    let description = match request.response_type {
        ResponseType::Code => "this client may not use the authorization code grant, or not by itself",
        _ => "this client is not registered for that response_type",
    };
    Err(Refusal { error: AuthorizeError::UnauthorizedClient, description })
}

/// What the client may not have is left out (RFC 6749, 3.3); that nothing is left is said after the login, so that a request does
/// not pass a browser on by itself (RFC 9700, 4.11.2).
fn scope(asked: &Asked<'_>, request: &mut AuthorizationRequest) -> Result<(), Refusal> {
    let wanted: Scope = asked
        .get("scope")
        .unwrap_or_default()
        .parse()
        .map_err(|_| Refusal { error: AuthorizeError::InvalidScope, description: "scope is not a list of scope words" })?;
    // Without a code there is nothing that could be kept (OpenID Connect Core, 11).
    let may = |token: &str| token != Scope::OFFLINE_ACCESS || request.response_type.has_code();
    request.scope = wanted.retain(|token| asked.client.settings.scope.contains(token) && may(token));
    Ok(())
}

/// Whoever wants an ID token says so by its scope as well (OpenID Connect Core, 3.2.2.1, 3.3.2.1).
fn openid(asked: &Asked<'_>, request: &mut AuthorizationRequest) -> Result<(), Refusal> {
    if request.response_type.has_id_token() && !request.scope.contains(Scope::OPENID) {
        let description = match asked.get("scope") {
            Some(_) => "an ID token needs the scope openid, which is not asked for, or which this client may not have",
            None => "an ID token needs the scope openid",
        };
        return Err(Refusal { error: AuthorizeError::InvalidScope, description });
    }
    Ok(())
}

/// The scope is what is about the named ones (RFC 8707, 2.1).
fn resources(asked: &Asked<'_>, request: &mut AuthorizationRequest) -> Result<(), Refusal> {
    let named = resource::read(asked.parameters.resources.iter().map(String::as_str));
    let aimed = named.and_then(|named| resource::aimed(named, request.scope.clone(), asked.apis, asked.issuer));
    (request.resources, request.scope) =
        aimed.map_err(|refused| Refusal { error: AuthorizeError::InvalidTarget, description: refused.description() })?;
    Ok(())
}

/// Details are about APIs. Where the request names none, it means those of its details, as it does those of its scopes (RFC 9396, 3.2).
fn authorization_details(asked: &Asked<'_>, request: &mut AuthorizationRequest) -> Result<(), Refusal> {
    let Some(text) = asked.get("authorization_details") else { return Ok(()) };
    let refused =
        |refused: DetailsRefused| Refusal { error: AuthorizeError::InvalidAuthorizationDetails, description: refused.description() };
    let details = details::read(text).map_err(refused)?;
    let about = details.checked(asked.apis, asked.client.settings.authorization_details_types.as_ref()).map_err(refused)?;
    if asked.parameters.resources.is_empty() {
        if request.resources.is_empty() {
            request.resources.extend(asked.issuer.parse());
        }
        request.resources.extend(about);
    } else if !about.is_subset(&request.resources) {
        return Err(refused(DetailsRefused::OtherTarget));
    }
    request.details = details;
    Ok(())
}

fn pkce(asked: &Asked<'_>, request: &mut AuthorizationRequest) -> Result<(), Refusal> {
    match (asked.get("code_challenge"), asked.get("code_challenge_method")) {
        (Some(challenge), Some("S256")) => {
            let challenge = CodeChallenge::parse(challenge);
            request.code_challenge = Some(challenge.ok_or(refusal("code_challenge must be 43 characters of base64url (RFC 7636, 4.2)"))?);
            Ok(())
        }
        (Some(_), _) => Err(refusal("code_challenge_method must be S256")),
        (None, Some(_)) => Err(refusal("code_challenge is missing")),
        // Without a code there is nothing that it would be about.
        (None, None) if asked.client.settings.require_pkce && request.response_type.has_code() => {
            Err(refusal("code_challenge is missing: this client uses PKCE (RFC 7636)"))
        }
        (None, None) => Ok(()),
    }
}

/// The code will be worth something with this key alone: the one that was named, or proved by the push, which must be one (RFC 9449, 10).
fn dpop_key(asked: &Asked<'_>, request: &mut AuthorizationRequest) -> Result<(), Refusal> {
    let named = asked.get("dpop_jkt").map(str::parse).transpose();
    let named = named.map_err(|_| refusal("dpop_jkt is no SHA-256 thumbprint (RFC 7638)"))?;
    if let (Some(named), Some(proved)) = (named, asked.proved)
        && named != proved
    {
        return Err(refusal("dpop_jkt is another key than the one of the DPoP proof"));
    }
    request.dpop_jkt = asked.proved.or(named);
    if request.dpop_jkt.is_some() && request.response_type.has_token() {
        return Err(refusal("an access token in the answer is bound to no key: dpop_jkt and DPoP are for codes"));
    }
    Ok(())
}

fn nonce(asked: &Asked<'_>, request: &mut AuthorizationRequest) -> Result<(), Refusal> {
    match asked.get("nonce") {
        Some(nonce) if nonce.len() > 512 => Err(refusal("nonce is longer than 512 bytes")),
        None if request.response_type.has_id_token() => {
            Err(refusal("nonce is missing: an ID token in the answer needs one (OpenID Connect Core, 3.2.2.1, 3.3.2.11)"))
        }
        nonce => {
            request.nonce = nonce.map(str::to_owned);
            Ok(())
        }
    }
}

fn prompt(asked: &Asked<'_>, request: &mut AuthorizationRequest) -> Result<(), Refusal> {
    for word in asked.get("prompt").unwrap_or_default().split(' ').filter(|word| !word.is_empty()) {
        let known = Prompt::ALL.into_iter().find(|prompt| prompt.name() == word);
        request.prompt.insert(known.ok_or(refusal("prompt holds a word that is not none, login, consent or select_account"))?);
    }
    if request.prompt.contains(&Prompt::None) && request.prompt.len() > 1 {
        return Err(refusal("prompt=none stands alone"));
    }
    Ok(())
}

fn max_age(asked: &Asked<'_>, request: &mut AuthorizationRequest) -> Result<(), Refusal> {
    request.max_age = match asked.get("max_age") {
        Some(text) => Some(Ttl::seconds(text.parse().map_err(|_| refusal("max_age is not a number of seconds"))?)),
        None => asked.client.settings.default_max_age,
    };
    Ok(())
}

fn user_hints(asked: &Asked<'_>, request: &mut AuthorizationRequest) -> Result<(), Refusal> {
    request.login_hint = asked.get("login_hint").filter(|hint| hint.len() <= 320).map(str::to_owned);
    match asked.hinted {
        Some(None) => return Err(refusal("id_token_hint is not an ID token of this issuer")),
        Some(Some(hinted)) => request.users = BTreeSet::from([hinted]),
        None => {}
    }
    Ok(())
}

fn claims(asked: &Asked<'_>, request: &mut AuthorizationRequest) -> Result<(), Refusal> {
    let Some(text) = asked.get("claims") else { return Ok(()) };
    let wishes: ClaimsRequest = text.parse().map_err(|_| refusal("claims is not as OpenID Connect Core, 5.5 describes"))?;
    request.claims = wishes.within(&asked.client.settings.scope);
    if let Some(named) = &asked.named {
        if !request.users.is_subset(named) {
            return Err(refusal("id_token_hint and claims name different users"));
        }
        if request.users.is_empty() {
            request.users.clone_from(named);
        }
        // Words that are nobody's name here are nobody who could log in.
        if request.users.is_empty() {
            request.users.insert(UserId::from_uuid(uuid::Uuid::nil()));
        }
    }
    Ok(())
}

/// `acr_values` is a wish; an essential `acr` among the claims is a condition (OpenID Connect Core, 5.5.1.1).
fn acr(asked: &Asked<'_>, request: &mut AuthorizationRequest) -> Result<(), Refusal> {
    request.acr.values = asked.get("acr_values").unwrap_or_default().split(' ').filter(|acr| !acr.is_empty()).map(str::to_owned).collect();
    if let Some(wish) = request.claims.id_token.get("acr").and_then(Option::as_ref) {
        request.acr = AcrWish { values: wish.wanted().map(str::to_owned).collect(), is_essential: wish.essential };
    }
    if request.acr.is_essential && !Acr::REACHABLE.into_iter().any(|reachable| request.acr.is_met_by(reachable)) {
        return Err(Refusal { error: AuthorizeError::UnmetAuthenticationRequirements, description: "that acr cannot be reached here" });
    }
    Ok(())
}

fn locales(asked: &Asked<'_>, request: &mut AuthorizationRequest) -> Result<(), Refusal> {
    let tags = asked.get("ui_locales").unwrap_or_default().split(' ').filter(|tag| (1..=35).contains(&tag.len()));
    request.ui_locales = tags.take(8).map(str::to_owned).collect();
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::client::ClientStatus;
    use crate::client::metadata::ClientMetadata;
    use crate::time::Timestamp;

    const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
    const GOOD: [(&str, &str); 6] = [
        ("client_id", "c"),
        ("redirect_uri", "https://app.example/cb"),
        ("response_type", "code"),
        ("scope", "openid email"),
        ("code_challenge", CHALLENGE),
        ("code_challenge_method", "S256"),
    ];

    fn client(more: serde_json::Value) -> Client {
        let mut metadata = json!({ "redirect_uris": ["https://app.example/cb"] });
        metadata.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        Client {
            id: "c".to_owned().try_into().expect("a client id"),
            settings: serde_json::from_value::<ClientMetadata>(metadata).expect("known members").validated().expect("good metadata"),
            secrets: Vec::new(),
            registration: None,
            status: ClientStatus::Active,
            created_at: Timestamp::EPOCH,
            updated_at: Timestamp::EPOCH,
        }
    }

    /// The usual request with some parameters set anew, or taken away.
    fn asked(client: &Client, changes: &[(&str, Option<&str>)]) -> Result<AuthorizationRequest, RequestRefused> {
        asked_of(&[], Arrival::Browser, client, changes)
    }

    /// The same of a tenant that takes these response types besides `code`.
    fn asked_of(
        taken: &[ResponseType],
        arrival: Arrival,
        client: &Client,
        changes: &[(&str, Option<&str>)],
    ) -> Result<AuthorizationRequest, RequestRefused> {
        let mut pairs: HashMap<&str, &str> = HashMap::from(GOOD);
        for (name, value) in changes {
            match value {
                Some(value) => drop(pairs.insert(name, value)),
                None => drop(pairs.remove(name)),
            }
        }
        let parameters = Parameters::new(pairs.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned()))).expect("each once");
        let issuer = "https://id.example/t/acme";
        read(&Asked {
            parameters: &parameters,
            client,
            issuer,
            response_types: &taken.iter().copied().collect(),
            apis: &[],
            arrival,
            is_signed: false,
            hinted: None,
            named: None,
            proved: None,
        })
    }

    #[track_caller]
    fn to_client(client: &Client, changes: &[(&str, Option<&str>)]) -> AuthorizeError {
        match asked(client, changes) {
            Err(RequestRefused::ToClient(_, refusal)) => refusal.error,
            other => panic!("{changes:?}: {other:?}"),
        }
    }

    #[test]
    fn s001_unknown_parameters_are_ignored_and_empty_ones_absent() {
        let client = client(json!({}));
        let request = asked(&client, &[("foo", Some("bar")), ("nonce", Some("")), ("state", Some(" x\u{301}"))]).expect("read");
        assert_eq!((request.nonce, request.return_to.state.as_deref()), (None, Some(" x\u{301}")));
        assert_eq!(request.scope.to_string(), "email openid");
    }

    #[test]
    fn s002_a_parameter_sent_twice_is_refused() {
        let twice = [("scope", "openid"), ("scope", "openid")].map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert!(Parameters::new(twice).is_err());
        let empty_too = [("scope", ""), ("scope", "openid")].map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert!(Parameters::new(empty_too).is_err());
    }

    #[test]
    fn s003_without_a_registered_address_nobody_is_sent_anywhere() {
        let client = client(json!({}));
        for redirect_uri in [None, Some(""), Some("https://app.example/cb/"), Some("https://evil.example/cb")] {
            assert!(matches!(asked(&client, &[("redirect_uri", redirect_uri)]), Err(RequestRefused::OnPage(_))), "{redirect_uri:?}");
        }
    }

    #[test]
    fn s008_s009_only_codes_are_given() {
        let client = client(json!({}));
        assert_eq!(to_client(&client, &[("response_type", None)]), AuthorizeError::InvalidRequest);
        for other in ["token", "id_token", "id_token token", "code token", "code id_token", "none", "CODE"] {
            assert_eq!(to_client(&client, &[("response_type", Some(other))]), AuthorizeError::UnsupportedResponseType, "{other}");
        }
        for mode in ["fragment", "fragment.jwt", "JWT", "web_message"] {
            assert_eq!(to_client(&client, &[("response_mode", Some(mode))]), AuthorizeError::InvalidRequest, "s034 {mode}");
        }
        let machine = self::client(json!({ "grant_types": ["client_credentials"] }));
        assert_eq!(to_client(&machine, &[]), AuthorizeError::UnauthorizedClient);
    }

    /// A client with all response types.
    fn client_of_all(more: serde_json::Value) -> Client {
        let types = ResponseType::ALL.map(ResponseType::name);
        let mut metadata = json!({ "grant_types": ["authorization_code", "implicit"], "response_types": types });
        metadata.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        client(metadata)
    }

    #[test]
    fn s009_a_type_is_taken_where_the_tenant_takes_it_and_the_client_is_registered_for_it() {
        let (all, code_alone) = (client_of_all(json!({})), client(json!({})));
        for kind in ResponseType::ALL {
            let wanted = [("response_type", Some(kind.name())), ("nonce", Some("n"))];
            for taken in [&[][..], &[kind], &ResponseType::ALL] {
                let read = asked_of(taken, Arrival::Browser, &all, &wanted);
                match (kind.is_code() || taken.contains(&kind), read) {
                    (true, Ok(request)) => assert_eq!(request.response_type, kind),
                    (false, Err(RequestRefused::ToClient(_, refusal))) => {
                        assert_eq!(refusal.error, AuthorizeError::UnsupportedResponseType)
                    }
                    (_, other) => panic!("{} of {taken:?}: {other:?}", kind.name()),
                }
                let read = asked_of(taken, Arrival::Challenge, &all, &wanted);
                assert_eq!(read.is_ok(), kind.is_code(), "no browser carries anything: {}", kind.name());
            }
            let read = asked_of(&ResponseType::ALL, Arrival::Pushed, &code_alone, &wanted);
            match (kind.is_code(), read) {
                (true, Ok(_)) => {}
                (false, Err(RequestRefused::ToClient(return_to, refusal))) => {
                    assert_eq!((return_to.mode, refusal.error), (ResponseMode::Query, AuthorizeError::UnauthorizedClient));
                }
                (_, other) => panic!("{}: {other:?}", kind.name()),
            }
        }
        let by_itself = client(json!({ "grant_types": ["authorization_code", "implicit"], "response_types": ["code id_token"] }));
        assert_eq!(to_client(&by_itself, &[]), AuthorizeError::UnauthorizedClient, "code alone is another type");
        let token = asked_of(&ResponseType::ALL, Arrival::Browser, &all, &[("response_type", Some("token"))]);
        match token {
            Err(RequestRefused::ToClient(return_to, refusal)) => {
                assert_eq!((return_to.mode, refusal.error), (ResponseMode::Fragment, AuthorizeError::UnsupportedResponseType));
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn s034_a_token_never_goes_by_query() {
        use ResponseMode::{FormPost, FormPostJwt, Fragment, FragmentJwt, Query, QueryJwt};
        let (plain, strict) = (client_of_all(json!({})), client_of_all(json!({ "require_signed_authorization_response": true })));
        let mode = |client: &Client, kind: &str, wanted| {
            let changes = [("response_type", Some(kind)), ("response_mode", wanted), ("nonce", Some("n"))];
            match asked_of(&ResponseType::ALL, Arrival::Browser, client, &changes) {
                Ok(request) => (request.return_to.mode, true),
                Err(RequestRefused::ToClient(return_to, refusal)) => {
                    assert_eq!(refusal.error, AuthorizeError::InvalidRequest);
                    (return_to.mode, false)
                }
                Err(other) => panic!("{other:?}"),
            }
        };
        for (wanted, with_code, with_tokens, signed_with_tokens) in [
            (None, (Query, true), (Fragment, true), (FragmentJwt, true)),
            (Some("query"), (Query, true), (Fragment, false), (FragmentJwt, false)),
            (Some("fragment"), (Fragment, true), (Fragment, true), (FragmentJwt, false)),
            (Some("form_post"), (FormPost, true), (FormPost, true), (FormPostJwt, false)),
            (Some("jwt"), (QueryJwt, true), (FragmentJwt, true), (FragmentJwt, true)),
            (Some("query.jwt"), (QueryJwt, true), (FragmentJwt, false), (FragmentJwt, false)),
            (Some("fragment.jwt"), (FragmentJwt, true), (FragmentJwt, true), (FragmentJwt, true)),
            (Some("form_post.jwt"), (FormPostJwt, true), (FormPostJwt, true), (FormPostJwt, true)),
            (Some("web_message"), (Query, false), (Fragment, false), (FragmentJwt, false)),
        ] {
            assert_eq!(mode(&plain, "code", wanted), with_code, "{wanted:?}");
            for kind in ResponseType::ALL.into_iter().filter(|kind| kind.is_front_channel()) {
                assert_eq!(mode(&plain, kind.name(), wanted), with_tokens, "{wanted:?} {}", kind.name());
                assert_eq!(mode(&strict, kind.name(), wanted), signed_with_tokens, "{wanted:?} {}", kind.name());
            }
        }
    }

    #[test]
    fn what_goes_by_the_browser_needs_its_nonce_its_scope_and_no_key() {
        const KEY: &str = "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I";
        let client = client_of_all(json!({ "require_pkce": true }));
        for kind in ResponseType::ALL {
            let asked = |more: &[(&'static str, Option<&'static str>)]| {
                let changes = [&[("response_type", Some(kind.name())), ("nonce", Some("n"))][..], more].concat();
                match asked_of(&ResponseType::ALL, Arrival::Browser, &client, &changes) {
                    Ok(request) => Ok(request),
                    Err(RequestRefused::ToClient(_, refusal)) => Err(refusal.error),
                    Err(other) => panic!("{other:?}"),
                }
            };
            asked(&[]).expect("good");
            let wants = |is_needed: bool, error| if is_needed { Some(error) } else { None };
            let without_nonce = asked(&[("nonce", None)]).err();
            assert_eq!(without_nonce, wants(kind.has_id_token(), AuthorizeError::InvalidRequest), "{}", kind.name());
            for scope in [None, Some("email")] {
                let without_openid = asked(&[("scope", scope)]).err();
                assert_eq!(without_openid, wants(kind.has_id_token(), AuthorizeError::InvalidScope), "{}", kind.name());
            }
            let without_pkce = asked(&[("code_challenge", None), ("code_challenge_method", None)]).err();
            assert_eq!(without_pkce, wants(kind.has_code(), AuthorizeError::InvalidRequest), "{}", kind.name());
            let with_key = asked(&[("dpop_jkt", Some(KEY))]).err();
            assert_eq!(with_key, wants(kind.has_token(), AuthorizeError::InvalidRequest), "{}", kind.name());
            let scope = asked(&[("scope", Some("openid offline_access"))]).expect("good").scope;
            assert_eq!(scope.contains(Scope::OFFLINE_ACCESS), kind.has_code(), "{}", kind.name());
        }
    }

    #[test]
    fn s034_a_client_of_signed_answers_is_sent_no_other_not_even_a_refusal() {
        let mode = |client: &Client, wanted| match asked(client, &[("response_mode", wanted)]) {
            Ok(request) => (request.return_to.mode, true),
            Err(RequestRefused::ToClient(return_to, refusal)) => {
                assert_eq!(refusal.error, AuthorizeError::InvalidRequest);
                (return_to.mode, false)
            }
            Err(other) => panic!("{other:?}"),
        };
        let (plain, strict) = (client(json!({})), client(json!({ "require_signed_authorization_response": true })));
        for (wanted, of_plain, of_strict) in [
            (None, (ResponseMode::Query, true), (ResponseMode::QueryJwt, true)),
            (Some("query"), (ResponseMode::Query, true), (ResponseMode::QueryJwt, false)),
            (Some("form_post"), (ResponseMode::FormPost, true), (ResponseMode::FormPostJwt, false)),
            (Some("jwt"), (ResponseMode::QueryJwt, true), (ResponseMode::QueryJwt, true)),
            (Some("query.jwt"), (ResponseMode::QueryJwt, true), (ResponseMode::QueryJwt, true)),
            (Some("form_post.jwt"), (ResponseMode::FormPostJwt, true), (ResponseMode::FormPostJwt, true)),
            (Some("fragment"), (ResponseMode::Query, false), (ResponseMode::QueryJwt, false)),
            (Some("fragment.jwt"), (ResponseMode::QueryJwt, false), (ResponseMode::QueryJwt, false)),
        ] {
            assert_eq!((mode(&plain, wanted), mode(&strict, wanted)), (of_plain, of_strict), "{wanted:?}");
        }
    }

    #[test]
    fn s010_s011_s012_pkce_is_s256_or_nothing() {
        let none = [("code_challenge", None), ("code_challenge_method", None)];
        for strict in [client(json!({})), client(json!({ "token_endpoint_auth_method": "none" }))] {
            assert_eq!(to_client(&strict, &none), AuthorizeError::InvalidRequest);
        }
        let lax = client(json!({ "require_pkce": false }));
        assert!(asked(&lax, &none).expect("read").code_challenge.is_none());
        for client in [client(json!({})), lax] {
            for (challenge, method) in [
                (Some(CHALLENGE), None),
                (Some(CHALLENGE), Some("plain")),
                (Some(CHALLENGE), Some("s256")),
                (None, Some("S256")),
                (Some("short"), Some("S256")),
                (Some("E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM="), Some("S256")),
                (Some("E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw+cM"), Some("S256")),
                (Some("E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cN"), Some("S256")),
            ] {
                let changes = [("code_challenge", challenge), ("code_challenge_method", method)];
                assert_eq!(to_client(&client, &changes), AuthorizeError::InvalidRequest, "{changes:?}");
            }
        }
    }

    #[test]
    fn s021_prompts_are_known_words_and_none_stands_alone() {
        let client = client(json!({}));
        for bad in ["none login", "none consent", "create", "LOGIN"] {
            assert_eq!(to_client(&client, &[("prompt", Some(bad))]), AuthorizeError::InvalidRequest, "{bad}");
        }
        let request = asked(&client, &[("prompt", Some("login consent login"))]).expect("read");
        assert_eq!(request.prompt, BTreeSet::from([Prompt::Login, Prompt::Consent]));
        for bad in ["-1", "1.5", "x", "99999999999"] {
            assert_eq!(to_client(&client, &[("max_age", Some(bad))]), AuthorizeError::InvalidRequest, "{bad}");
        }
    }

    #[test]
    fn s024_an_acr_that_cannot_be_reached_is_no_silent_downgrade() {
        let client = client(json!({}));
        let claims = |acr: &str, essential: bool| json!({ "id_token": { "acr": { "values": [acr], "essential": essential } } }).to_string();
        assert_eq!(to_client(&client, &[("claims", Some(&claims("2", true)))]), AuthorizeError::UnmetAuthenticationRequirements);
        assert_eq!(to_client(&client, &[("claims", Some(&claims("urn:x", true)))]), AuthorizeError::UnmetAuthenticationRequirements);
        for fine in [claims("1", true), claims("2", false)] {
            asked(&client, &[("claims", Some(&fine))]).expect("read");
        }
        asked(&client, &[("acr_values", Some("2 1"))]).expect("a wish");
        assert_eq!(to_client(&client, &[("claims", Some("{"))]), AuthorizeError::InvalidRequest);
    }

    #[test]
    fn s026_scopes_beyond_the_clients_are_left_out() {
        let client = client(json!({ "scope": "openid" }));
        assert_eq!(asked(&client, &[("scope", Some("openid email admin"))]).expect("read").scope.to_string(), "openid");
        assert!(asked(&client, &[("scope", Some("admin"))]).expect("read").scope.is_empty());
        assert_eq!(to_client(&client, &[("scope", Some("a\"b"))]), AuthorizeError::InvalidScope);
    }

    #[test]
    fn nothing_is_fetched_and_pushed_or_signed_requests_can_be_required() {
        let client = client(json!({}));
        assert_eq!(to_client(&client, &[("request_uri", Some("https://x"))]), AuthorizeError::RequestUriNotSupported);
        let signing = self::client(json!({ "require_signed_request_object": true, "jwks": { "keys": [] } }));
        assert_eq!(to_client(&signing, &[]), AuthorizeError::InvalidRequest);
        let pushing = self::client(json!({ "require_pushed_authorization_requests": true }));
        assert_eq!(to_client(&pushing, &[]), AuthorizeError::InvalidRequest);
    }
}
