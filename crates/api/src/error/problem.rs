//! RFC 9457 problem details: `application/problem+json` with a stable `code`.

use std::fmt;

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderValue};
use actix_web::{HttpResponse, ResponseError};
use app::access::AccessDenied;
use app::budget::{Budget, UsedUp};
use app::claims::PreviewDenied;
use app::clients::ClientChangeDenied;
use app::clients::authenticate::ClientDenied;
use app::clients::initial_tokens::InitialTokenDenied;
use app::clients::stranded::Stranded;
use app::credentials::hash_pool::Busy;
use app::domains::{Breaks, DomainDenied};
use app::dpop::ProofDenied;
use app::fault::Fault;
use app::key_log::NotLogged;
use app::keys::PolicyDenied;
use app::login::NewPasswordDenied;
use app::ports::keys::{KeyCommandDenied, KeyCommandError};
use app::resources::ResourceDenied;
use app::tenants::{NoTenant, TenantDenied};
use app::trusted_issuers::TrustedIssuerDenied;
use app::users::UserDenied;
use domain::claim_rules::RuleRefused;
use domain::client::registration::InitialAccessToken;
use domain::keys::plan::RotationDenied;
use domain::misread::Misread;
use domain::password::PasswordDenied;
use domain::resource::Resource;
use domain::text::{BadMember, BadText};
use domain::trusted_issuer::TrustedIssuer;
use serde_json::{Map, Value, json};

use super::{Outlook, Refusal};

/// One refusal, ready to be sent.
#[derive(Debug)]
pub struct Problem {
    status: StatusCode,
    code: &'static str,
    detail: String,
    members: Map<String, Value>,
    retry_after: Option<u32>,
    challenge: Option<&'static str>,
    dpop_nonce: Option<String>,
}

impl Problem {
    fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        Self { status, code, detail: detail.into(), members: Map::new(), retry_after: None, challenge: None, dpop_nonce: None }
    }

    pub(crate) fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad_request", detail)
    }

    /// The answer for what does not exist, and for what the caller may not know of.
    pub(crate) fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", "There is no such thing here.")
    }

    pub(crate) fn too_large() -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", "The request body is larger than this server reads.")
    }

    pub(crate) fn unsupported_media_type() -> Self {
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", "Send the body as application/json.")
    }

    pub(crate) fn cross_site() -> Self {
        Self::new(
            StatusCode::FORBIDDEN,
            "csrf",
            "A session cookie needs the session's CSRF token in the X-CSRF-Token header and a request from the same site.",
        )
    }

    pub(crate) fn bad_credentials() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "bad_credentials", "The name or the password is wrong.")
    }

    pub(crate) fn password_change_required() -> Self {
        Self::new(
            StatusCode::FORBIDDEN,
            "password_change_required",
            "The password is right and has to be changed. Send the same once more with new_password beside it.",
        )
    }

    pub(crate) fn too_many_attempts(retry_after: u32) -> Self {
        let problem = Self::new(
            StatusCode::TOO_MANY_REQUESTS,
            "too_many_attempts",
            "Too many attempts. Wait as long as Retry-After says, then try again.",
        );
        Self { retry_after: Some(retry_after), ..problem }
    }

    /// Clients, or APIs, are registered for what is to be taken away.
    fn strands(stranded: Stranded) -> Self {
        let Stranded { clients, count, lost, apis } = stranded;
        let more = count.saturating_sub(clients.len() as u64);
        let clients: Vec<_> = clients.iter().map(|(id, name)| json!({ "client_id": id, "client_name": name })).collect();
        let lost: Vec<_> = lost.iter().map(ToString::to_string).collect();
        Self::new(
            StatusCode::CONFLICT,
            "not_confirmed",
            "Clients or APIs are registered for what this takes away. Change them first, or repeat the tenant's slug as ?confirm=<slug>.",
        )
        .with("breaks", json!(lost))
        .with("clients", json!(clients))
        .with("more_clients", json!(more))
        .with("apis", json!(apis))
    }

    /// The refusal as a member of an answer that is no refusal itself: its code, its detail, and what else it says.
    pub(crate) fn told(self) -> Value {
        let mut members = self.members;
        members.insert("code".to_owned(), json!(self.code));
        members.insert("detail".to_owned(), json!(self.detail));
        Value::Object(members)
    }

    fn with(mut self, name: &str, value: Value) -> Self {
        self.members.insert(name.to_owned(), value);
        self
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.detail)
    }
}

impl ResponseError for Problem {
    fn status_code(&self) -> StatusCode {
        self.status
    }

    fn error_response(&self) -> HttpResponse {
        let mut body = self.members.clone();
        body.insert("type".to_owned(), json!(format!("urn:claviger:error:{}", self.code)));
        body.insert("title".to_owned(), json!(self.status.canonical_reason().unwrap_or("Refused")));
        body.insert("status".to_owned(), json!(self.status.as_u16()));
        body.insert("code".to_owned(), json!(self.code));
        body.insert("detail".to_owned(), json!(self.detail));
        let mut response = HttpResponse::build(self.status);
        response.insert_header((header::CACHE_CONTROL, "no-store"));
        if let Some(seconds) = self.retry_after {
            response.insert_header((header::RETRY_AFTER, seconds.max(1).to_string()));
        }
        if let Some(nonce) = &self.dpop_nonce {
            response.insert_header((super::DPOP_NONCE, nonce.as_str()));
        }
        if let Some(challenge) = self.challenge {
            response.insert_header((header::WWW_AUTHENTICATE, HeaderValue::from_static(challenge)));
        }
        response.content_type("application/problem+json").body(Value::Object(body).to_string())
    }
}

impl From<Fault> for Problem {
    fn from(fault: Fault) -> Self {
        match super::logged(&fault) {
            Outlook::TryAgain => {
                let problem = Self::new(
                    StatusCode::SERVICE_UNAVAILABLE,
                    "unavailable",
                    "A part of this server is away. Nothing was confirmed: try again, and expect that what you asked for may have happened.",
                );
                Self { retry_after: Some(1), ..problem }
            }
            Outlook::Upgrading => {
                let problem = Self::new(
                    StatusCode::SERVICE_UNAVAILABLE,
                    "upgrade_under_way",
                    "An upgrade is under way, and this node is not to use what a node of the next release has written. Nothing was done: try again.",
                );
                Self { retry_after: Some(super::UPGRADE_TAKES), ..problem }
            }
            Outlook::ForAnAdministrator | Outlook::Broken => Self::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                "internal",
                "Something is broken on our side. It has been noted under this request's id.",
            ),
        }
    }
}

impl From<Misread> for Problem {
    fn from(misread: Misread) -> Self {
        let problem = Self::bad_request(misread.to_string());
        if misread.member.is_empty() { problem } else { problem.with("member", json!(misread.member)) }
    }
}

impl From<BadMember> for Problem {
    fn from(bad: BadMember) -> Self {
        Self::bad_request(bad.to_string()).with("member", json!(bad.member))
    }
}

impl From<BadText> for Problem {
    fn from(bad: BadText) -> Self {
        Self::bad_request(bad.0)
    }
}

impl From<Busy> for Problem {
    fn from(busy: Busy) -> Self {
        let problem = Self::new(StatusCode::SERVICE_UNAVAILABLE, "busy", "Too many passwords are being checked right now. Try again.");
        Self { retry_after: Some(busy.retry_after_seconds), ..problem }
    }
}

impl From<NoTenant> for Problem {
    fn from(denied: NoTenant) -> Self {
        match denied {
            NoTenant::Unknown => Self::not_found(),
            NoTenant::Fault(fault) => fault.into(),
        }
    }
}

impl From<NotLogged> for Problem {
    fn from(denied: NotLogged) -> Self {
        match denied {
            NotLogged::Unknown => Self::not_found(),
            NotLogged::Fault(fault) => fault.into(),
        }
    }
}

impl From<AccessDenied> for Problem {
    fn from(denied: AccessDenied) -> Self {
        match denied {
            // RFC 6750, 3.1: no error code for a request that brought no token.
            AccessDenied::NoToken => Self {
                challenge: Some("Bearer"),
                ..Self::new(StatusCode::UNAUTHORIZED, "no_token", "Send an access token: Authorization: Bearer …")
            },
            AccessDenied::InvalidToken => Self {
                challenge: Some("Bearer error=\"invalid_token\""),
                ..Self::new(
                    StatusCode::UNAUTHORIZED,
                    "invalid_token",
                    "The access token is not valid here: it is unknown, expired, or its session has ended.",
                )
            },
            AccessDenied::InvalidBoundToken => Self {
                challenge: Some(super::DPOP_INVALID_TOKEN),
                ..Self::new(
                    StatusCode::UNAUTHORIZED,
                    "invalid_token",
                    "The access token is not valid here, or not with this scheme and this key (RFC 9449, 7).",
                )
            },
            AccessDenied::Proof(ProofDenied::Invalid) => Self {
                challenge: Some(super::DPOP_INVALID_PROOF),
                ..Self::new(StatusCode::UNAUTHORIZED, "invalid_dpop_proof", "The DPoP proof is not one for this request and this token.")
            },
            AccessDenied::Proof(ProofDenied::NonceNeeded { nonce }) => Self {
                challenge: Some(super::DPOP_USE_NONCE),
                dpop_nonce: Some(nonce),
                ..Self::new(StatusCode::UNAUTHORIZED, "use_dpop_nonce", "Sign another proof, with the nonce of the DPoP-Nonce header.")
            },
            AccessDenied::Proof(ProofDenied::Fault(fault)) => fault.into(),
            AccessDenied::InsufficientScope { needed } => Self {
                challenge: Some("Bearer error=\"insufficient_scope\""),
                ..Self::new(
                    StatusCode::FORBIDDEN,
                    "insufficient_scope",
                    format!("This needs the scope '{needed}' and the role that goes with it."),
                )
            },
            AccessDenied::NotFound => Self::not_found(),
            AccessDenied::Fault(fault) => fault.into(),
        }
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Tenant(denied) => denied.into(),
            Refusal::Access(denied) => denied.into(),
            Refusal::Client(ClientDenied::Fault(fault), _) | Refusal::Fault(fault) => fault.into(),
            // Clients authenticate at the OAuth endpoints only.
            Refusal::Client(..) => AccessDenied::InvalidToken.into(),
            Refusal::UsedUp(used_up) => used_up.into(),
            Refusal::HeadTooLarge => Self::new(
                StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
                "head_too_large",
                "The address and the headers are larger than this server reads.",
            ),
            Refusal::BodyTooSlow => {
                Self::new(StatusCode::REQUEST_TIMEOUT, "too_slow", "The request body did not come in time. Send it again, faster.")
            }
            Refusal::Crowded => Self {
                retry_after: Some(1),
                ..Self::new(StatusCode::SERVICE_UNAVAILABLE, "busy", "Too many requests of this connection are worked on. Send it again.")
            },
            Refusal::TookTooLong => Self {
                retry_after: Some(1),
                ..Self::new(
                    StatusCode::SERVICE_UNAVAILABLE,
                    "took_too_long",
                    "The answer was not ready in time. What was asked for may have been done: look before you ask again.",
                )
            },
            Refusal::MethodNotAllowed { .. } => Self::new(
                StatusCode::METHOD_NOT_ALLOWED,
                "method_not_allowed",
                "This address does not take that method; Allow names those it takes.",
            ),
            Refusal::UnknownHost => Self::new(StatusCode::NOT_FOUND, "unknown_host", "This server has no site of this name."),
            Refusal::BadHost => Self::bad_request("Send one Host header, which is a host and perhaps a port."),
            Refusal::Moved { .. } => Self::not_found(),
        }
    }
}

impl From<UsedUp> for Problem {
    fn from(used_up: UsedUp) -> Self {
        let detail = match used_up.budget {
            Budget::Share | Budget::Ceiling => {
                "More is asked of this tenant than it may take of this server. Nothing was done. Wait as long as Retry-After says."
            }
            Budget::Changes => {
                "This tenant's administrators change more than they may at a time. Nothing was done. Wait as long as Retry-After says."
            }
        };
        let problem = Self::new(StatusCode::TOO_MANY_REQUESTS, "too_many_requests", detail);
        Self { retry_after: Some(used_up.retry_after_seconds), ..problem }
    }
}

impl From<TenantDenied> for Problem {
    fn from(denied: TenantDenied) -> Self {
        match denied {
            TenantDenied::SlugTaken => Self::new(StatusCode::CONFLICT, "slug_taken", "A tenant with this slug exists. Choose another one."),
            TenantDenied::Unknown => Self::not_found(),
            TenantDenied::Policy(bad) => Self::new(StatusCode::UNPROCESSABLE_ENTITY, "policy_refused", bad.0),
            TenantDenied::Rules(refused) => refused.into(),
            TenantDenied::Keys(error) => error.into(),
            TenantDenied::Patch(misread) => misread.into(),
            TenantDenied::NotConfirmed => {
                Self::new(StatusCode::CONFLICT, "not_confirmed", "Deleting a tenant cannot be undone: repeat its slug as ?confirm=<slug>.")
            }
            TenantDenied::Strands(stranded) => Self::strands(*stranded),
            TenantDenied::Fault(fault) => fault.into(),
        }
    }
}

impl From<RuleRefused> for Problem {
    fn from(refused: RuleRefused) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "claim_rule_refused", refused.to_string()).with("member", json!(refused.member))
    }
}

impl From<PreviewDenied> for Problem {
    fn from(denied: PreviewDenied) -> Self {
        match denied {
            PreviewDenied::Rules(refused) => refused.into(),
            PreviewDenied::Unknown { member } => Self::not_found().with("member", json!(member)),
            PreviewDenied::Target(refused) => Self::bad_request(refused.description()).with("member", json!("audience")),
            PreviewDenied::Fault(fault) => fault.into(),
        }
    }
}

impl From<DomainDenied> for Problem {
    fn from(denied: DomainDenied) -> Self {
        let refused = |detail: String| Self::new(StatusCode::UNPROCESSABLE_ENTITY, "domain_refused", detail);
        match denied {
            DomainDenied::Unknown => Self::not_found(),
            DomainDenied::Taken => {
                Self::new(StatusCode::CONFLICT, "domain_taken", "Another tenant has this domain, or has not been erased yet.")
            }
            DomainDenied::Unfit(bad) => refused(bad.0.to_owned()),
            DomainDenied::NotConfirmed(breaks) => {
                let Breaks { issuer, next, are_sessions, are_clients } = *breaks;
                let mut broken = vec!["Access tokens and ID tokens of the issuer before are not accepted here any more."];
                if are_sessions {
                    broken.push("All sessions end, and users have to log in again.");
                }
                if are_clients {
                    broken.push(
                        "Clients and resource servers have to be told the new issuer: its metadata and endpoints are elsewhere, and their \
                         assertions need another audience.",
                    );
                }
                Self::new(
                    StatusCode::CONFLICT,
                    "not_confirmed",
                    "The tenant gets another issuer, and what knows the one before breaks. Repeat the tenant's slug as confirm.",
                )
                .with("issuer", json!(issuer))
                .with("next_issuer", json!(next))
                .with("breaks", json!(broken))
            }
            DomainDenied::Fault(fault) => fault.into(),
        }
    }
}

impl From<NewPasswordDenied> for Problem {
    fn from(denied: NewPasswordDenied) -> Self {
        match denied {
            NewPasswordDenied::Same => {
                Self::new(StatusCode::UNPROCESSABLE_ENTITY, "password_refused", "The new password is the one that has to be changed.")
            }
            NewPasswordDenied::Unfit(denied) => UserDenied::Password(denied).into(),
        }
    }
}

impl From<UserDenied> for Problem {
    fn from(denied: UserDenied) -> Self {
        match denied {
            UserDenied::NameTaken => {
                Self::new(StatusCode::CONFLICT, "name_taken", "A user with this username or e-mail address exists in this tenant.")
            }
            UserDenied::Unknown => Self::not_found(),
            UserDenied::Password(PasswordDenied::Guessable { reason, suggestions }) => {
                Self::new(StatusCode::UNPROCESSABLE_ENTITY, "password_refused", format!("The password is easy to guess: {reason}"))
                    .with("suggestions", json!(suggestions))
            }
            UserDenied::Password(denied @ PasswordDenied::TooShort { .. }) => {
                Self::new(StatusCode::UNPROCESSABLE_ENTITY, "password_refused", format!("{denied}. A few random words make a good one."))
            }
            UserDenied::Bad(bad) => bad.into(),
            UserDenied::Busy(busy) => busy.into(),
            UserDenied::Fault(fault) => fault.into(),
        }
    }
}

impl From<ClientChangeDenied> for Problem {
    fn from(denied: ClientChangeDenied) -> Self {
        match denied {
            ClientChangeDenied::Unknown => Self::not_found(),
            // The codes of RFC 7591, 3.2.2.
            ClientChangeDenied::Metadata(bad) => {
                let code = if bad.member == "redirect_uris" { "invalid_redirect_uri" } else { "invalid_client_metadata" };
                Self::new(StatusCode::UNPROCESSABLE_ENTITY, code, bad.to_string()).with("member", json!(bad.member))
            }
            ClientChangeDenied::TooManySecrets => {
                Self::new(StatusCode::CONFLICT, "too_many_secrets", "The client has two secrets that are alive. Delete one first.")
            }
            ClientChangeDenied::TakesNoSecret => {
                Self::new(StatusCode::CONFLICT, "takes_no_secret", "The client's token_endpoint_auth_method takes no secret.")
            }
            ClientChangeDenied::ExpiresTooEarly => Self::bad_request("expires_at must be in the future"),
            ClientChangeDenied::Fault(fault) => fault.into(),
        }
    }
}

impl From<InitialTokenDenied> for Problem {
    fn from(denied: InitialTokenDenied) -> Self {
        match denied {
            InitialTokenDenied::Unknown => Self::not_found(),
            InitialTokenDenied::Uses => Self::bad_request(format!("uses must be 1 to {}", InitialAccessToken::MOST_USES)),
            InitialTokenDenied::Expiry => Self::bad_request("expires_at must be in the future, and within 366 days"),
            InitialTokenDenied::Fault(fault) => fault.into(),
        }
    }
}

impl From<ResourceDenied> for Problem {
    fn from(denied: ResourceDenied) -> Self {
        let refused = |member: &str, detail: String| {
            Self::new(StatusCode::UNPROCESSABLE_ENTITY, "resource_refused", detail).with("member", json!(member))
        };
        match denied {
            ResourceDenied::Unknown => Self::not_found(),
            ResourceDenied::Bad(bad) => bad.into(),
            ResourceDenied::IdentifierTaken => {
                Self::new(StatusCode::CONFLICT, "identifier_taken", "The tenant has an API with this identifier.")
            }
            ResourceDenied::OtherIdentifier => {
                refused("identifier", "The identifier of an API does not change: grants and clients know it by that.".to_owned())
            }
            ResourceDenied::Ours => {
                refused("identifier", "The identifier is an address of this server. Tokens for the issuer itself need no API.".to_owned())
            }
            ResourceDenied::ScopeTaken { word } => refused(
                "scope",
                format!("'{word}' is a scope of another API. A word that says where it counts, such as orders:read, is not."),
            ),
            ResourceDenied::DetailTypeTaken { name } => {
                refused("authorization_details_types", format!("'{name}' is a type of another API, and a type says what it is about."))
            }
            ResourceDenied::AlgNotKept { kept } => {
                let names: Vec<_> = kept.iter().map(|alg| alg.name()).collect();
                refused("signing_alg", format!("must be one of {}: of others the tenant keeps no keys", names.join(", ")))
            }
            ResourceDenied::TooMany => {
                Self::new(StatusCode::CONFLICT, "too_many_resources", format!("A tenant has at most {} APIs.", Resource::MOST))
            }
            ResourceDenied::Fault(fault) => fault.into(),
        }
    }
}

impl From<TrustedIssuerDenied> for Problem {
    fn from(denied: TrustedIssuerDenied) -> Self {
        match denied {
            TrustedIssuerDenied::Unknown => Self::not_found(),
            TrustedIssuerDenied::Bad(bad) => {
                Self::new(StatusCode::UNPROCESSABLE_ENTITY, "trusted_issuer_refused", bad.to_string()).with("member", json!(bad.member))
            }
            TrustedIssuerDenied::IssuerTaken => {
                Self::new(StatusCode::CONFLICT, "issuer_taken", "The tenant trusts an issuer of this name already.")
            }
            TrustedIssuerDenied::TooMany => {
                let detail = format!("A tenant trusts at most {} issuers.", TrustedIssuer::MOST);
                Self::new(StatusCode::CONFLICT, "too_many_trusted_issuers", detail)
            }
            TrustedIssuerDenied::Fault(fault) => fault.into(),
        }
    }
}

impl From<PolicyDenied> for Problem {
    fn from(denied: PolicyDenied) -> Self {
        match denied {
            PolicyDenied::Keys(error) => error.into(),
            PolicyDenied::Strands(stranded) => Self::strands(*stranded),
        }
    }
}

impl From<KeyCommandError> for Problem {
    fn from(error: KeyCommandError) -> Self {
        match error {
            KeyCommandError::Denied(denied) => KeyCommandDenied::Plan(denied).into(),
            KeyCommandError::Unsafe(refused) => KeyCommandDenied::Policy(refused).into(),
            KeyCommandError::Fault(fault) => Fault::from(fault).into(),
        }
    }
}

impl From<KeyCommandDenied> for Problem {
    fn from(denied: KeyCommandDenied) -> Self {
        match denied {
            KeyCommandDenied::Plan(denied) => {
                let (status, code) = match &denied {
                    RotationDenied::AlreadyStaged { .. } => (StatusCode::CONFLICT, "already_staged"),
                    RotationDenied::TooEarly { .. } => (StatusCode::CONFLICT, "too_early"),
                    RotationDenied::TooManyKeys { .. } => (StatusCode::CONFLICT, "too_many_keys"),
                    RotationDenied::TooManyTokenSecrets { .. } => (StatusCode::CONFLICT, "too_many_token_secrets"),
                    RotationDenied::UnknownAlg { .. } => (StatusCode::UNPROCESSABLE_ENTITY, "unknown_alg"),
                    RotationDenied::UnknownKid { .. } => return Self::not_found(),
                    RotationDenied::AlreadyEnded { .. } => (StatusCode::CONFLICT, "already_ended"),
                };
                let problem = Self::new(status, code, denied.to_string());
                match denied.earliest() {
                    Some(at) => problem.with("earliest", json!(at)),
                    None => problem,
                }
            }
            KeyCommandDenied::Policy(refused) => Self::new(StatusCode::UNPROCESSABLE_ENTITY, "unsafe_policy", refused.to_string()),
        }
    }
}
