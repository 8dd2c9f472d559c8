//! The commands of `claviger`, one file each.
//!
//! Invariant: standard output holds a command's answer and nothing else; what goes wrong goes to standard error, with the fix.

mod admin_token;
mod after_restore;
mod audit_log;
mod demo;
mod doctor;
mod import;
mod kek;
mod migrate;
mod serve;

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::settings::Settings;
use crate::start::install_crypto;
use crate::telemetry;

/// What a command ends with when it fails: the text for people.
type Failed = Box<dyn std::error::Error>;

#[derive(Debug, Parser)]
#[command(name = "claviger", version, about = "A multi-tenant identity platform: every tenant has its own issuer, keys and users.")]
struct Line {
    /// Settings from this TOML file; the environment (CLAVIGER__SECTION__KEY) is stronger.
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the server.
    Serve,
    /// Bring the database's schema up to date.
    Migrate,
    /// Check settings, database, keys and clock, and say what to do.
    Doctor,
    /// After the database was set back to a backup: end the sessions and keys that it would bring back to life. Run it before the
    /// servers, or beside them.
    AfterRestore {
        /// When the database was restored; what is from before it ends. Now, if not said. Such as 2026-11-24T15:00:00Z.
        #[arg(long)]
        restored_at: Option<domain::time::Timestamp>,
    },
    /// What the platform's administrator needs.
    Admin {
        #[command(subcommand)]
        command: AdminCommand,
    },
    /// The key-encryption keys: what lies under each, wrapping everything anew, retiring one. Servers may be running.
    Kek {
        #[command(subcommand)]
        command: KekCommand,
    },
    /// What everybody may check about an issuer's keys.
    Keys {
        #[command(subcommand)]
        command: KeysCommand,
    },
    /// Tenants of this installation.
    Tenants {
        #[command(subcommand)]
        command: import::TenantsCommand,
    },
    /// Play the whole story over real HTTP on a free port, and check every step.
    Demo,
}

#[derive(Debug, Subcommand)]
enum KekCommand {
    /// List them, say which work, and how many data keys need each.
    Status,
    /// Wrap every data key with the primary key. It can be stopped and run again at any time.
    Rotate {
        /// Make a new key first, as the primary one in keys.kek_file; for one node with SQLite.
        #[arg(long)]
        new: bool,
    },
    /// Have the database refuse a key from now on, if nothing needs it any more.
    Retire {
        /// The key's id.
        id: String,
    },
}

#[derive(Debug, Subcommand)]
enum KeysCommand {
    /// The public log of an issuer's keys.
    AuditLog {
        #[command(subcommand)]
        command: AuditLogCommand,
    },
}

#[derive(Debug, Subcommand)]
enum AuditLogCommand {
    /// Check over HTTP that the log is what it was, and that the published keys are those it tells of. Ends with 2 on an alarm,
    /// and with 1 when it could not check.
    Verify(audit_log::Verify),
}

/// A check found something that must not be.
#[derive(Debug, thiserror::Error)]
#[error("{0} alarms: do not trust this issuer's keys before they are explained")]
struct Alarmed(usize);

#[derive(Debug, Subcommand)]
enum AdminCommand {
    /// Print a bearer token for the admin API. Needs the database and the key-encryption key; the server may be running.
    Token {
        /// How long it lives: 30s, 10m or 2h; at most 24h.
        #[arg(long, default_value = "10m", value_parser = admin_token::parse_ttl)]
        ttl: domain::time::Ttl,
    },
}

/// Reads the command line, carries it out, and answers the exit code.
pub fn run() -> ExitCode {
    install_crypto();
    let line = Line::parse();
    let outcome = actix_web::rt::System::new().block_on(async move {
        match line.command {
            Command::Demo => demo::run().await,
            Command::Keys { command: KeysCommand::AuditLog { command: AuditLogCommand::Verify(verify) } } => audit_log::run(verify).await,
            Command::Doctor => doctor::run(Settings::load(line.config.as_deref())).await,
            other => {
                let settings = Settings::load(line.config.as_deref())?;
                if !matches!(other, Command::Serve) {
                    telemetry::start_logs(&settings.log);
                }
                match other {
                    Command::Serve => Box::pin(serve::run(settings)).await,
                    Command::Migrate => migrate::run(&settings).await,
                    Command::AfterRestore { restored_at } => after_restore::run(&settings, restored_at).await,
                    Command::Admin { command: AdminCommand::Token { ttl } } => admin_token::run(&settings, ttl).await,
                    Command::Kek { command: KekCommand::Status } => kek::status(&settings).await,
                    Command::Kek { command: KekCommand::Rotate { new } } => kek::rotate(&settings, new).await,
                    Command::Kek { command: KekCommand::Retire { id } } => kek::retire(&settings, &id).await,
                    Command::Tenants { command: import::TenantsCommand::Import { file } } => import::run(&settings, &file).await,
                    Command::Demo | Command::Doctor | Command::Keys { .. } => Ok(()),
                }
            }
        }
    });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nobody reads it if this fails.
            let _ = writeln!(std::io::stderr(), "claviger: {error}");
            if error.is::<Alarmed>() { ExitCode::from(2) } else { ExitCode::FAILURE }
        }
    }
}

/// Prints one line of a command's answer; nothing else writes to standard output.
///
/// # Errors
/// When it cannot be written: a pipe that nobody reads any more, a full disk.
fn say(line: impl std::fmt::Display) -> Result<(), Failed> {
    writeln!(std::io::stdout(), "{line}").map_err(|error| format!("standard output cannot be written: {error}").into())
}
