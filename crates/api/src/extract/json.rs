//! JSON bodies: the right content type, a bounded size, known members only; errors say where the mistake is.

use actix_web::error::JsonPayloadError;
use actix_web::web;
use serde::{Deserialize, Deserializer};

use crate::error::problem::Problem;

/// How JSON is read everywhere.
pub(crate) fn config(max_body_bytes: usize) -> web::JsonConfig {
    web::JsonConfig::default().limit(max_body_bytes).error_handler(|error, _| {
        match error {
            JsonPayloadError::Overflow { .. } | JsonPayloadError::OverflowKnownLength { .. } => Problem::too_large(),
            JsonPayloadError::ContentType => Problem::unsupported_media_type(),
            // serde_json names the member, the line and the column; it quotes short scalars only where a type is wrong.
            JsonPayloadError::Deserialize(error) => Problem::bad_request(describe(&error)),
            _ => Problem::bad_request("The request body could not be read."),
        }
        .into()
    })
}

/// What is wrong with the JSON, without repeating any value of it: it could be a password.
fn describe(error: &serde_json::Error) -> String {
    let place = format!("line {}, column {}", error.line(), error.column());
    match error.classify() {
        serde_json::error::Category::Data => {
            let text = error.to_string();
            let harmless = ["missing field", "unknown field", "duplicate field"].iter().any(|start| text.starts_with(start));
            if harmless || !text.starts_with("invalid ") {
                text
            } else {
                let kind = text.split("expected").nth(1).map_or("another type", str::trim);
                format!("A member has the wrong type; expected {kind}")
            }
        }
        serde_json::error::Category::Eof => format!("The JSON ends too early, at {place}."),
        _ => format!("This is not JSON: {place}."),
    }
}

/// For members where leaving out and `null` mean different things.
pub(crate) fn present<'de, T: Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<T>>, D::Error> {
    Option::<T>::deserialize(deserializer).map(Some)
}
