//! The words and numbers of refusals: RFC 6749 on the OAuth endpoints ([`oauth`]), RFC 9457 elsewhere ([`problem`]).
//!
//! Invariant: the only place that knows status codes of refusals. What a caller reads is constant text; details of a broken
//! dependency are logged once, here, and never sent. Every code is listed in docs/src/errors.md.

pub mod oauth;
pub mod problem;

use app::fault::Fault;

/// Logs a fault; answers whether it is worth another try.
fn log_fault(fault: &Fault) -> bool {
    match fault {
        Fault::Unavailable(detail) => {
            tracing::warn!(detail, "unavailable");
            true
        }
        Fault::Broken(detail) => {
            tracing::error!(detail, "broken");
            false
        }
    }
}
