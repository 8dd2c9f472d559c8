//! The words and numbers of refusals: RFC 6749 on the OAuth endpoints ([`oauth`]), RFC 9457 elsewhere ([`problem`]).
//!
//! Invariant: the only place that knows status codes of refusals. What a caller reads is constant text; details of a broken
//! dependency are logged once, here, and never sent. Every code is listed in docs/src/errors.md.

pub mod oauth;
pub(crate) mod page;
pub mod problem;

use actix_web::http::ConnectionType;
use actix_web::http::header::{ALLOW, CACHE_CONTROL, HeaderValue, LOCATION};
use actix_web::{HttpResponse, ResponseError};
use app::access::AccessDenied;
use app::budget::UsedUp;
use app::clients::authenticate::ClientDenied;
use app::fault::Fault;
use app::tenants::NoTenant;
use domain::time::Timestamp;

use oauth::OAuthError;
use problem::Problem;

/// The challenge to a token that has to come with a proof (RFC 9449, 7.1): one for each way that it can be wrong, with the algorithms
/// that proofs may be signed by.
pub(crate) const DPOP_INVALID_TOKEN: &str = "DPoP error=\"invalid_token\", algs=\"ES256 RS256 EdDSA PS256 ES384\"";
pub(crate) const DPOP_INVALID_PROOF: &str = "DPoP error=\"invalid_dpop_proof\", algs=\"ES256 RS256 EdDSA PS256 ES384\"";
pub(crate) const DPOP_USE_NONCE: &str = "DPoP error=\"use_dpop_nonce\", algs=\"ES256 RS256 EdDSA PS256 ES384\"";

/// The header in which a client is given a nonce for its proofs (RFC 9449, 8.1).
pub(crate) const DPOP_NONCE: &str = "DPoP-Nonce";

/// What is refused around handlers rather than by them. It is said in the words of the endpoint that was asked.
#[derive(Debug)]
pub(crate) enum Refusal {
    Tenant(NoTenant),
    Access(AccessDenied),
    /// A client that did not prove itself, as of now.
    Client(ClientDenied, Timestamp),
    Fault(Fault),
    /// The tenant has asked for more than it may.
    UsedUp(UsedUp),
    /// Address and headers are larger than the settings allow.
    HeadTooLarge,
    /// Too many requests of one connection are worked on.
    Crowded,
    /// The body did not come in time.
    BodyTooSlow,
    /// The body came, the answer did not.
    TookTooLong,
    MethodNotAllowed {
        allowed: String,
    },
    /// Neither the installation nor a tenant has this host.
    UnknownHost,
    /// Which host is meant, there is no saying.
    BadHost,
    /// The tenant has a domain of its own, where this is.
    Moved {
        to: String,
    },
}

impl Refusal {
    /// The answer at the route of this pattern.
    pub(crate) fn answer(self, route: Option<&str>) -> HttpResponse {
        if let Self::Moved { to } = self {
            // Not to be kept: a domain can be given back.
            return HttpResponse::PermanentRedirect().insert_header((LOCATION, to)).insert_header((CACHE_CONTROL, "no-store")).finish();
        }
        // What follows on the same connection would be the rest of a request that nobody reads.
        let is_last = matches!(self, Self::HeadTooLarge | Self::BodyTooSlow | Self::TookTooLong | Self::BadHost);
        let allowed = if let Self::MethodNotAllowed { allowed } = &self { HeaderValue::from_str(allowed).ok() } else { None };
        let mut response =
            if route.is_some_and(speaks_oauth) { OAuthError::from(self).error_response() } else { Problem::from(self).error_response() };
        if is_last {
            response.head_mut().set_connection_type(ConnectionType::Close);
        }
        if let Some(allowed) = allowed {
            response.headers_mut().insert(ALLOW, allowed);
        }
        response
    }
}

/// Whether the errors of this route are those of RFC 6749.
pub(crate) fn speaks_oauth(route: &str) -> bool {
    route.starts_with("/t/{slug}/oauth/")
}

impl From<NoTenant> for Refusal {
    fn from(denied: NoTenant) -> Self {
        Self::Tenant(denied)
    }
}

impl From<AccessDenied> for Refusal {
    fn from(denied: AccessDenied) -> Self {
        Self::Access(denied)
    }
}

impl From<UsedUp> for Refusal {
    fn from(used_up: UsedUp) -> Self {
        Self::UsedUp(used_up)
    }
}

impl From<Fault> for Refusal {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

/// Told to a client that nothing can be signed for, or encrypted to.
pub(crate) const NO_ALGORITHM: &str = "this client is registered for an algorithm that the issuer, or the client itself, has no key of any more; the issuer's metadata lists those it has";

/// After how many seconds to try again while nodes are being replaced.
const UPGRADE_TAKES: u32 = 5;

/// What helps against a fault.
enum Outlook {
    TryAgain,
    /// A node of the next release does it; soon this one is of that, too.
    Upgrading,
    /// Client and keys do not fit each other any more.
    ForAnAdministrator,
    Broken,
}

/// Logs a fault.
fn logged(fault: &Fault) -> Outlook {
    match fault {
        Fault::Unavailable(detail) => {
            tracing::warn!(detail, "unavailable");
            Outlook::TryAgain
        }
        Fault::Newer(detail) => {
            tracing::warn!(detail, "left to nodes of a later release");
            Outlook::Upgrading
        }
        Fault::NoAlgorithm(detail) => {
            tracing::warn!(detail, "a client was refused: what it would get cannot be signed, or encrypted to it");
            Outlook::ForAnAdministrator
        }
        Fault::Broken(detail) => {
            tracing::error!(detail, "broken");
            Outlook::Broken
        }
    }
}

#[cfg(test)]
mod tests {
    use domain::keys::ring::Alg;

    use super::*;

    #[test]
    fn dpop_challenges_name_the_algorithms_there_are() {
        for challenge in [DPOP_INVALID_TOKEN, DPOP_INVALID_PROOF, DPOP_USE_NONCE] {
            assert!(challenge.ends_with(&format!("algs=\"{}\"", Alg::ALL.map(Alg::name).join(" "))), "{challenge}");
        }
    }
}
