//! Where the logs go: standard error, for people or for machines.
//!
//! Invariant: standard output belongs to the commands' answers.

use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, fmt};

use crate::settings::{LogFormat, LogSettings};

/// Libraries that tell what we tell ourselves; the setting may ask for them.
const QUIET: &str = "actix_server=warn,sea_orm_migration=warn";

/// Starts logging for this process. A second call changes nothing.
pub(crate) fn start(settings: &LogSettings) {
    let filter = format!("{QUIET},{}", settings.level).parse::<Targets>().unwrap_or_default();
    let logs = match settings.format {
        LogFormat::Json => fmt::layer().json().flatten_event(true).with_writer(std::io::stderr).boxed(),
        LogFormat::Pretty => {
            let is_terminal = std::io::IsTerminal::is_terminal(&std::io::stderr());
            fmt::layer().with_ansi(is_terminal).with_target(false).with_writer(std::io::stderr).boxed()
        }
    };
    // An error says that logging was started before, by a test for example.
    let _ = tracing_subscriber::registry().with(logs.with_filter(filter)).try_init();
}
