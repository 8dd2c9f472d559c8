//! Refusals that a person reads, on a page of ours.

use actix_web::http::StatusCode;
use app::authorize::AuthorizeDenied;
use app::fault::Fault;
use domain::authorize::Refusal;
use pages::ErrorKind;

/// A refusal and its number. The detail is constant text for the developer of a client.
#[derive(Debug)]
pub(crate) struct PageRefused {
    pub(crate) status: StatusCode,
    pub(crate) kind: ErrorKind,
    pub(crate) code: &'static str,
    pub(crate) detail: Option<&'static str>,
}

/// What is answered without a page: there is no tenant whose page it could be, or something is broken.
#[derive(Debug)]
pub(crate) enum Unpaged {
    NoTenant,
    Fault(Fault),
}

impl PageRefused {
    pub(crate) const fn malformed(detail: &'static str) -> Self {
        Self { status: StatusCode::BAD_REQUEST, kind: ErrorKind::BadRequest, code: "invalid_request", detail: Some(detail) }
    }

    /// A link from a mail that opens nothing (any more).
    pub(crate) const fn link_expired() -> Self {
        Self { status: StatusCode::BAD_REQUEST, kind: ErrorKind::LinkExpired, code: "no_such_link", detail: None }
    }

    pub(crate) const fn too_many_attempts(seconds: u32) -> Self {
        let kind = ErrorKind::TooManyRequests { minutes: seconds.div_ceil(60) };
        Self { status: StatusCode::TOO_MANY_REQUESTS, kind, code: "too_many_attempts", detail: None }
    }

    /// A form that another site, or nobody we know, has sent.
    pub(crate) const fn forged() -> Self {
        Self { status: StatusCode::FORBIDDEN, kind: ErrorKind::CookiesMissing, code: "csrf", detail: None }
    }

    /// # Errors
    /// What is no page's business.
    pub(crate) fn of(denied: AuthorizeDenied) -> Result<Self, Unpaged> {
        Ok(match denied {
            AuthorizeDenied::TenantSuspended => return Err(Unpaged::NoTenant),
            AuthorizeDenied::Fault(fault @ Fault::NoAlgorithm(_)) => {
                super::logged(&fault);
                let (status, kind) = (StatusCode::BAD_REQUEST, ErrorKind::BadRequest);
                Self { status, kind, code: "unauthorized_client", detail: Some(super::NO_ALGORITHM) }
            }
            AuthorizeDenied::Fault(fault) => return Err(Unpaged::Fault(fault)),
            AuthorizeDenied::Refused(refusal @ Refusal { error, description }) => {
                let kind = match refusal {
                    Refusal::UNKNOWN_CLIENT => ErrorKind::UnknownClient,
                    Refusal::FOREIGN_REDIRECT => ErrorKind::BadRedirect,
                    _ => ErrorKind::BadRequest,
                };
                Self { status: StatusCode::BAD_REQUEST, kind, code: error.name(), detail: Some(description) }
            }
            AuthorizeDenied::NoSuchRequest => {
                Self { status: StatusCode::BAD_REQUEST, kind: ErrorKind::Expired, code: "no_such_request", detail: None }
            }
            AuthorizeDenied::Forged => Self::forged(),
        })
    }
}
