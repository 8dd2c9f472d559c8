//! Claviger over HTTP: parses requests into commands, calls one use case, and gives the answer its status and its words.
//!
//! Enter at [`router`], which has every route on one page. Invariant: no decision is made here; what is refused and why comes
//! from `app`, and only [`error`] knows status codes.

mod admin;
mod admission;
mod assets;
mod busy;
mod connection;
mod cors;
mod description;
pub mod error;
mod extract;
mod health;
mod limits;
pub mod metrics;
mod oauth;
mod observe;
mod proxies;
mod router;
mod site;
mod state;
pub mod untrusted;

pub use description::description;
pub use oauth::mtls::{CertificateHeader, HeaderFormat, PeerCertificate};
pub use proxies::{NoProxy, Proxy};
pub use router::{Guard, RouteInfo, management, public, table};
pub use state::{ApiSettings, ApiState, FollowTrace};
