//! The binary `claviger`, as a library so that tests can start the real server in their own process.
//!
//! Enter at [`start()`] for a server, at [`run`] for the command line. Invariant: the only crate that sees all the others, and
//! it decides nothing about identities: it reads settings and puts parts together.

mod commands;
mod counted;
mod custody;
mod descriptors;
pub mod key_log_check;
mod reload;
pub mod settings;
mod shutdown;
mod start;
mod sweep;
mod telemetry;
mod tls;
mod wire;

pub use commands::run;
pub use custody::CustodyError;
pub use settings::Settings;
pub use start::{Running, StartError, install_crypto, start, start_at};
pub use telemetry::Telemetry;
pub use tls::TlsError;
pub use wire::{SystemClock, SystemEntropy, WireError};
