//! Errors of the OAuth endpoints (RFC 6749, 5.2).

use std::borrow::Cow;
use std::fmt;

use actix_web::http::StatusCode;
use actix_web::http::header;
use actix_web::{HttpResponse, ResponseError};
use app::access::AccessDenied;
use app::authorize::AuthorizeDenied;
use app::authorize::challenge::ChallengeDenied;
use app::clients::authenticate::ClientDenied;
use app::clients::registration::RegistrationDenied;
use app::dpop::ProofDenied;
use app::fault::Fault;
use app::login::{LoginDenied, NewPasswordDenied};
use app::tenants::NoTenant;
use app::tokens::backchannel::AskUserDenied;
use app::tokens::device::{AskDenied, PollDenied};
use app::tokens::exchange::ExchangeDenied;
use app::tokens::jwt_bearer::AssertionDenied;
use app::tokens::redeem::CodeDenied;
use app::tokens::refresh::RefreshDenied;
use app::tokens::revoke::RevokeDenied;
use domain::details::DetailsRefused;
use domain::handle::Handle;
use domain::interaction::LoginStep;
use domain::resource::TargetRefused;
use domain::time::{Timestamp, Ttl};
use serde_json::{Value, json};

use super::{Outlook, Refusal};

/// One OAuth refusal, ready to be sent.
#[derive(Debug)]
pub struct OAuthError {
    status: StatusCode,
    error: &'static str,
    description: Cow<'static, str>,
    retry_after: Option<u32>,
    challenge: Option<&'static str>,
    dpop_nonce: Option<String>,
    /// Further members of the body.
    more: Vec<(&'static str, Value)>,
}

impl OAuthError {
    const fn new(status: StatusCode, error: &'static str, description: &'static str) -> Self {
        Self {
            status,
            error,
            description: Cow::Borrowed(description),
            retry_after: None,
            challenge: None,
            dpop_nonce: None,
            more: Vec::new(),
        }
    }
    pub(crate) const fn invalid_request(description: &'static str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid_request", description)
    }
    pub(crate) fn invalid_client() -> Self {
        Self {
            challenge: Some("Basic realm=\"claviger\""),
            ..Self::new(StatusCode::UNAUTHORIZED, "invalid_client", "there is no such client, or this is not how it proves itself")
        }
    }
    pub(crate) const fn invalid_grant() -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            "invalid_grant",
            "the code or token is not valid here: unknown, expired, used, revoked or another client's; log in again",
        )
    }
    pub(crate) const fn unsupported_grant_type() -> Self {
        Self::new(StatusCode::BAD_REQUEST, "unsupported_grant_type", "this issuer has no such grant; its metadata lists those it has")
    }
    pub(crate) fn of_revocation(denied: RevokeDenied) -> Self {
        match denied {
            RevokeDenied::NoSession => Self::new(
                StatusCode::BAD_REQUEST,
                "unsupported_token_type",
                "a token of the client itself, or that it exchanged, cannot be revoked: it is over when it expires",
            ),
            RevokeDenied::Fault(fault) => fault.into(),
        }
    }
    pub(crate) const fn unauthorized_client() -> Self {
        Self::new(StatusCode::BAD_REQUEST, "unauthorized_client", "this client is not registered for that grant")
    }
    pub(crate) const fn invalid_scope() -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid_scope", "that scope is not to be had here; leave scope out to get what there is")
    }
    /// RFC 8707, 2.
    pub(crate) const fn invalid_target(refused: TargetRefused) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid_target", refused.description())
    }
    /// RFC 9396, 5.
    pub(crate) const fn invalid_details(refused: DetailsRefused) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid_authorization_details", refused.description())
    }
    pub(crate) const fn too_large() -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "invalid_request", "the request body is too large")
    }
    pub(crate) const fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "invalid_request", "there is no such issuer")
    }
    pub(crate) const fn foreign_origin() -> Self {
        Self::new(
            StatusCode::FORBIDDEN,
            "invalid_request",
            "no client of this issuer runs at that origin: it is neither that of a public client's redirect URI nor in allowed_origins",
        )
    }
    pub(crate) const fn csrf() -> Self {
        Self::new(
            StatusCode::FORBIDDEN,
            "invalid_request",
            "a session cookie needs the session's CSRF token in the X-CSRF-Token header and a request from the same site",
        )
    }
}

impl fmt::Display for OAuthError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.error, self.description)
    }
}

impl ResponseError for OAuthError {
    fn status_code(&self) -> StatusCode {
        self.status
    }

    fn error_response(&self) -> HttpResponse {
        let mut response = HttpResponse::build(self.status);
        response.insert_header((header::CACHE_CONTROL, "no-store"));
        if let Some(seconds) = self.retry_after {
            response.insert_header((header::RETRY_AFTER, seconds.max(1).to_string()));
        }
        if let Some(challenge) = self.challenge {
            response.insert_header((header::WWW_AUTHENTICATE, challenge));
        }
        if let Some(nonce) = &self.dpop_nonce {
            response.insert_header((super::DPOP_NONCE, nonce.as_str()));
        }
        let mut body = json!({ "error": self.error, "error_description": self.description });
        for (name, value) in &self.more {
            body[*name] = value.clone();
        }
        response.json(body)
    }
}

impl From<Fault> for OAuthError {
    fn from(fault: Fault) -> Self {
        match super::logged(&fault) {
            Outlook::TryAgain => Self {
                retry_after: Some(1),
                ..Self::new(
                    StatusCode::SERVICE_UNAVAILABLE,
                    "temporarily_unavailable",
                    "a part of this server is away; nothing was confirmed; try again",
                )
            },
            Outlook::Upgrading => Self {
                retry_after: Some(super::UPGRADE_TAKES),
                ..Self::new(StatusCode::SERVICE_UNAVAILABLE, "temporarily_unavailable", "an upgrade of this server is under way; try again")
            },
            Outlook::ForAnAdministrator => Self::new(StatusCode::BAD_REQUEST, "unauthorized_client", super::NO_ALGORITHM),
            Outlook::Broken => Self::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                "server_error",
                "something is broken on our side; it has been noted under this request's id",
            ),
        }
    }
}

impl From<NoTenant> for OAuthError {
    fn from(denied: NoTenant) -> Self {
        match denied {
            NoTenant::Unknown => Self::not_found(),
            NoTenant::Fault(fault) => fault.into(),
        }
    }
}

impl OAuthError {
    /// The answer to a client that did not prove itself.
    pub(crate) fn of_client(denied: ClientDenied, now: Timestamp) -> Self {
        match denied {
            ClientDenied::NotAuthenticated => Self::invalid_client(),
            ClientDenied::TooManyAttempts { retry_at } => Self {
                retry_after: Some(retry_at.seconds_after(now)),
                ..Self::new(StatusCode::TOO_MANY_REQUESTS, "slow_down", "too many wrong client secrets came from there; wait")
            },
            ClientDenied::Fault(fault) => fault.into(),
        }
    }

    /// The answer to a client whose own request came with a proof that will not do (RFC 9449, 5, 8).
    pub(crate) fn of_proof(denied: ProofDenied) -> Self {
        match denied {
            ProofDenied::Invalid => Self::new(StatusCode::BAD_REQUEST, "invalid_dpop_proof", "the DPoP proof is not one for this request"),
            ProofDenied::NonceNeeded { nonce } => Self {
                dpop_nonce: Some(nonce),
                ..Self::new(StatusCode::BAD_REQUEST, "use_dpop_nonce", "sign another proof, with the nonce of the DPoP-Nonce header")
            },
            ProofDenied::Fault(fault) => fault.into(),
        }
    }

    /// The answer to a client that has to prove a key and does not: as to one that proves it badly (RFC 9449, 5, 5.2).
    pub(crate) const fn no_proof() -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid_dpop_proof", "this client proves a key: send a DPoP header (RFC 9449)")
    }

    /// The answer to a request that its client may be told of directly.
    pub(crate) const fn of_refusal(refusal: domain::authorize::Refusal) -> Self {
        Self::new(StatusCode::BAD_REQUEST, refusal.error.name(), refusal.description)
    }

    /// The answer to an application that has to ask its user for more (OAuth 2.0 for First-Party Applications, 5.2.2.1).
    pub(crate) fn insufficient_authorization(step: LoginStep, unfit: Option<NewPasswordDenied>, next: &Handle) -> Self {
        let (step, description) = match step {
            LoginStep::Password => ("password", "send the password, and username where no login_hint was sent"),
            LoginStep::NewPassword => ("new_password", "the password is right and has to be changed: send new_password"),
        };
        let description = match unfit {
            None => Cow::Borrowed(description),
            Some(NewPasswordDenied::Same) => Cow::Borrowed("the new password is the one that has to be changed"),
            Some(NewPasswordDenied::Unfit(denied)) => Cow::Owned(denied.to_string()),
        };
        let more = vec![("step", step.into()), ("auth_session", next.text().expose().as_str().into())];
        Self { description, more, ..Self::new(StatusCode::FORBIDDEN, "insufficient_authorization", "") }
    }

    /// The answer to an application whose request a browser alone can go on with; with one that is pushed, where it could be.
    pub(crate) fn redirect_to_web(request: Option<&Handle>, ttl: Ttl) -> Self {
        let more =
            request.map(|request| vec![("request_uri", request.text().expose().as_str().into()), ("expires_in", ttl.as_seconds().into())]);
        let description = "the user has something to do on our pages: begin the authorization code flow in a browser";
        Self { more: more.unwrap_or_default(), ..Self::new(StatusCode::FORBIDDEN, "redirect_to_web", description) }
    }

    /// The answer to an application whose user was not logged in.
    pub(crate) fn of_challenge(denied: ChallengeDenied, now: Timestamp) -> Self {
        let bad = |error, description| Self::new(StatusCode::BAD_REQUEST, error, description);
        match denied {
            ChallengeDenied::Off => {
                Self::new(StatusCode::NOT_FOUND, "invalid_request", "this issuer has no authorization challenge endpoint")
            }
            ChallengeDenied::NotRegistered => bad("unauthorized_client", "this client is not registered for authorization challenges"),
            ChallengeDenied::Refused(refusal) => Self::of_refusal(refusal),
            ChallengeDenied::InvalidSession => {
                bad("invalid_session", "the auth_session is not one of this client and this key, or it was used, or is over: begin anew")
            }
            ChallengeDenied::NoName => Self::invalid_request("a password came without username or login_hint"),
            ChallengeDenied::Login(denied, next) => {
                let next = next.map(|next| vec![("auth_session", next.text().expose().as_str().into())]);
                Self { more: next.unwrap_or_default(), ..Self::of_login(denied, now) }
            }
            ChallengeDenied::Fault(fault) => fault.into(),
        }
    }

    fn of_login(denied: LoginDenied, now: Timestamp) -> Self {
        let denied_access = |description| Self::new(StatusCode::BAD_REQUEST, "access_denied", description);
        match denied {
            LoginDenied::BadCredentials => denied_access("name or password are wrong"),
            LoginDenied::TooManyAttempts { retry_at } => Self {
                retry_after: Some(retry_at.seconds_after(now)),
                ..Self::new(StatusCode::TOO_MANY_REQUESTS, "slow_down", "too many wrong passwords; wait")
            },
            LoginDenied::TenantSuspended => Self::not_found(),
            // Asked for step by step, above.
            LoginDenied::PasswordChangeRequired | LoginDenied::NewPassword(_) => denied_access("the password has to be changed"),
            LoginDenied::NoNewPassword => Self::invalid_request("new_password is for a password that has to be changed; this one has not"),
            LoginDenied::Busy(busy) => Self {
                retry_after: Some(busy.retry_after_seconds),
                ..Self::new(StatusCode::SERVICE_UNAVAILABLE, "temporarily_unavailable", "too many passwords are being checked; try again")
            },
            LoginDenied::Fault(fault) => fault.into(),
        }
    }

    /// The answer to a request that was pushed and not kept.
    pub(crate) fn of_push(denied: AuthorizeDenied) -> Self {
        match denied {
            AuthorizeDenied::Refused(refusal) => Self::of_refusal(refusal),
            AuthorizeDenied::Fault(fault) => fault.into(),
            AuthorizeDenied::TenantSuspended | AuthorizeDenied::NoSuchRequest | AuthorizeDenied::Forged => Self::not_found(),
        }
    }

    /// The answer to metadata that will not do (RFC 7591, 3.2.2).
    pub(crate) const fn bad_metadata(description: &'static str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid_client_metadata", description)
    }

    /// The answer to a client that could not register or change itself.
    pub(crate) fn of_registration(denied: RegistrationDenied, now: Timestamp) -> Self {
        match denied {
            RegistrationDenied::Off => Self::new(StatusCode::NOT_FOUND, "invalid_request", "clients do not register themselves here"),
            RegistrationDenied::NoToken => AccessDenied::NoToken.into(),
            RegistrationDenied::InvalidToken => AccessDenied::InvalidToken.into(),
            RegistrationDenied::TooManyAttempts { retry_at } => Self {
                retry_after: Some(retry_at.seconds_after(now)),
                ..Self::new(StatusCode::TOO_MANY_REQUESTS, "slow_down", "too many clients were registered from there; wait")
            },
            RegistrationDenied::SoftwareStatement => Self::new(
                StatusCode::BAD_REQUEST,
                "unapproved_software_statement",
                "software statements are not taken here: nobody's are trusted",
            ),
            RegistrationDenied::Metadata(bad) => {
                let is_redirect = bad.member == "redirect_uris";
                let error = if is_redirect { "invalid_redirect_uri" } else { "invalid_client_metadata" };
                Self { error, description: Cow::Owned(bad.to_string()), ..Self::bad_metadata("") }
            }
            RegistrationDenied::Fault(fault) => fault.into(),
        }
    }

    /// The answer to a code that was not redeemed.
    pub(crate) fn of_code(denied: CodeDenied) -> Self {
        match denied {
            CodeDenied::InvalidGrant => Self::invalid_grant(),
            CodeDenied::InvalidTarget(refused) => Self::invalid_target(refused),
            CodeDenied::InvalidDetails(refused) => Self::invalid_details(refused),
            CodeDenied::Fault(fault) => fault.into(),
        }
    }

    /// The answer to an assertion that was not exchanged.
    pub(crate) fn of_assertion(denied: AssertionDenied) -> Self {
        match denied {
            AssertionDenied::InvalidGrant => Self::invalid_grant(),
            AssertionDenied::InvalidScope => Self::invalid_scope(),
            AssertionDenied::InvalidTarget(refused) => Self::invalid_target(refused),
            AssertionDenied::Fault(fault) => fault.into(),
        }
    }

    /// The answer to a client that may not ask this user (OpenID CIBA Core 1.0, 13).
    pub(crate) fn of_user(denied: AskUserDenied) -> Self {
        match denied {
            AskUserDenied::InvalidScope => Self::invalid_scope(),
            AskUserDenied::InvalidTarget(refused) => Self::invalid_target(refused),
            AskUserDenied::NotificationToken => Self::invalid_request("this client is told of answers: send client_notification_token"),
            AskUserDenied::UnknownUser => Self::new(StatusCode::BAD_REQUEST, "unknown_user_id", "the hint names nobody who may be asked"),
            // So long at least one of them lives.
            AskUserDenied::TooMany => Self {
                retry_after: Some(30),
                ..Self::new(StatusCode::TOO_MANY_REQUESTS, "slow_down", "the user has not answered what they are asked already; wait")
            },
            AskUserDenied::Fault(fault) => fault.into(),
        }
    }

    pub(crate) const fn invalid_binding_message() -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid_binding_message", "binding_message must be 1 to 128 characters on one line")
    }

    /// The answer to a device that may not ask.
    pub(crate) fn of_device(denied: AskDenied) -> Self {
        match denied {
            AskDenied::InvalidScope => Self::invalid_scope(),
            AskDenied::InvalidTarget(refused) => Self::invalid_target(refused),
            AskDenied::Fault(fault) => fault.into(),
        }
    }

    /// The answer to a device's poll (RFC 8628, 3.5).
    pub(crate) fn of_poll(denied: PollDenied) -> Self {
        let told = |error, description| Self::new(StatusCode::BAD_REQUEST, error, description);
        match denied {
            PollDenied::Pending => told("authorization_pending", "the user has not answered yet; ask again after the interval"),
            PollDenied::SlowDown => told("slow_down", "that was too early; wait five seconds longer between two questions from now on"),
            PollDenied::Denied => told("access_denied", "the user said no"),
            PollDenied::Expired => told("expired_token", "nobody answered in time; begin anew"),
            PollDenied::InvalidGrant => Self::invalid_grant(),
            PollDenied::InvalidTarget(refused) => Self::invalid_target(refused),
            PollDenied::Fault(fault) => fault.into(),
        }
    }

    /// The answer to a token that was not exchanged (RFC 8693, 2.2.2).
    pub(crate) fn of_exchange(denied: ExchangeDenied) -> Self {
        match denied {
            ExchangeDenied::TokenType => Self::invalid_request("access tokens alone are exchanged, for access tokens"),
            ExchangeDenied::Subject => Self::invalid_request(
                "the subject_token is not one that this client may exchange: unknown, over, bound to a key that was not proved, or not for it",
            ),
            ExchangeDenied::Actor => Self::invalid_request("the actor_token is not a living one that this client was given"),
            ExchangeDenied::Impersonation => {
                Self::invalid_request("actor_token is missing: this client may act for others, but not pass for them")
            }
            ExchangeDenied::TooManyActors => Self::invalid_request("too many have acted for each other with this token already"),
            ExchangeDenied::InvalidScope => Self::invalid_scope(),
            ExchangeDenied::InvalidTarget(refused) => Self::invalid_target(refused),
            ExchangeDenied::Fault(fault) => fault.into(),
        }
    }

    /// The answer to a refused refresh. `seconds` is how long to wait, where waiting helps.
    pub(crate) fn of_refresh(denied: RefreshDenied, seconds: u32) -> Self {
        match denied {
            RefreshDenied::InvalidGrant | RefreshDenied::Reused => Self::invalid_grant(),
            RefreshDenied::SlowDown { .. } => Self {
                retry_after: Some(seconds),
                ..Self::new(
                    StatusCode::TOO_MANY_REQUESTS,
                    "slow_down",
                    "this refresh token is being presented in a loop; wait, then use the newest one",
                )
            },
            RefreshDenied::InvalidScope => Self::invalid_scope(),
            RefreshDenied::InvalidTarget(refused) => Self::invalid_target(refused),
            RefreshDenied::InvalidDetails(refused) => Self::invalid_details(refused),
            RefreshDenied::CsrfMissing => Self::csrf(),
            RefreshDenied::Fault(fault) => fault.into(),
        }
    }
}

/// The answer to a caller of an OAuth endpoint whose bearer token will not do.
impl From<AccessDenied> for OAuthError {
    fn from(denied: AccessDenied) -> Self {
        match denied {
            AccessDenied::NoToken => Self {
                challenge: Some("Bearer"),
                ..Self::new(StatusCode::UNAUTHORIZED, "invalid_client", "authenticate with a bearer token")
            },
            AccessDenied::InvalidToken => Self {
                challenge: Some("Bearer error=\"invalid_token\""),
                ..Self::new(StatusCode::UNAUTHORIZED, "invalid_token", "the bearer token is not valid here")
            },
            AccessDenied::InvalidBoundToken => Self {
                challenge: Some(super::DPOP_INVALID_TOKEN),
                ..Self::new(StatusCode::UNAUTHORIZED, "invalid_token", "the token is not valid here, or not with this scheme and this key")
            },
            AccessDenied::Proof(denied) => {
                let challenge = match &denied {
                    ProofDenied::Invalid => Some(super::DPOP_INVALID_PROOF),
                    ProofDenied::NonceNeeded { .. } => Some(super::DPOP_USE_NONCE),
                    ProofDenied::Fault(_) => None,
                };
                let error = Self::of_proof(denied);
                let status = if challenge.is_some() { StatusCode::UNAUTHORIZED } else { error.status };
                Self { status, challenge, ..error }
            }
            AccessDenied::InsufficientScope { .. } => Self {
                challenge: Some("Bearer error=\"insufficient_scope\""),
                ..Self::new(StatusCode::FORBIDDEN, "insufficient_scope", "the bearer token is not meant for this")
            },
            AccessDenied::NotFound => Self::not_found(),
            AccessDenied::Fault(fault) => fault.into(),
        }
    }
}

impl From<Refusal> for OAuthError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Tenant(denied) => denied.into(),
            Refusal::Access(denied) => denied.into(),
            Refusal::Client(denied, now) => Self::of_client(denied, now),
            Refusal::Fault(fault) => fault.into(),
            Refusal::UsedUp(used_up) => Self {
                retry_after: Some(used_up.retry_after_seconds),
                ..Self::new(
                    StatusCode::TOO_MANY_REQUESTS,
                    "too_many_requests",
                    "more is asked of this issuer than it may take of this server; nothing was done; the same refresh token may be presented again",
                )
            },
            Refusal::HeadTooLarge => Self::new(
                StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
                "invalid_request",
                "the address and the headers are larger than this server reads",
            ),
            Refusal::BodyTooSlow => {
                Self::new(StatusCode::REQUEST_TIMEOUT, "invalid_request", "the request body did not come in time; send it again, faster")
            }
            Refusal::Crowded => Self {
                retry_after: Some(1),
                ..Self::new(
                    StatusCode::SERVICE_UNAVAILABLE,
                    "temporarily_unavailable",
                    "too many requests of this connection are worked on; send it again",
                )
            },
            Refusal::TookTooLong => Self {
                retry_after: Some(1),
                ..Self::new(
                    StatusCode::SERVICE_UNAVAILABLE,
                    "temporarily_unavailable",
                    "the answer was not ready in time; the same refresh token may be presented again",
                )
            },
            Refusal::MethodNotAllowed { .. } => Self::new(
                StatusCode::METHOD_NOT_ALLOWED,
                "invalid_request",
                "this address does not take that method; Allow names those it takes",
            ),
            Refusal::UnknownHost => Self::new(StatusCode::NOT_FOUND, "invalid_request", "there is no issuer at this host"),
            Refusal::BadHost => {
                Self::new(StatusCode::BAD_REQUEST, "invalid_request", "send one Host header, which is a host and perhaps a port")
            }
            Refusal::Moved { .. } => Self::not_found(),
        }
    }
}
