//! JSON bodies: the right content type, a bounded size, known members only; errors say where the mistake is.

use std::pin::Pin;

use actix_web::dev::Payload;
use actix_web::error::JsonPayloadError;
use actix_web::http::header::CONTENT_LENGTH;
use actix_web::{Error, FromRequest, HttpRequest, web};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};

use crate::error::oauth::OAuthError;
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
            // These repeat what was sent; only what follows "expected" is ours. All others are constant words of our own types,
            // or name a member.
            if text.starts_with("invalid ") || text.starts_with("unknown variant ") {
                let wanted = text.rsplit_once("expected ").map_or("something else", |(_, wanted)| wanted);
                format!("A member has the wrong value or type; expected {wanted}")
            } else {
                text
            }
        }
        serde_json::error::Category::Eof => format!("The JSON ends too early, at {place}."),
        _ => format!("This is not JSON: {place}."),
    }
}

/// A JSON body that may be left out. One that is there but cannot be read is an error as anywhere else, never taken for none.
pub(crate) struct OptionalJson<T>(pub Option<T>);

impl<T: DeserializeOwned + 'static> FromRequest for OptionalJson<T> {
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Error>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let has_body = !matches!(payload, Payload::None) && request.headers().get(CONTENT_LENGTH).is_none_or(|length| length != "0");
        let json = has_body.then(|| web::Json::<T>::from_request(request, payload));
        Box::pin(async move {
            match json {
                Some(json) => Ok(Self(Some(json.await?.into_inner()))),
                None => Ok(Self(None)),
            }
        })
    }
}

/// A JSON object at an OAuth endpoint, whatever its members; errors are those of RFC 7591, 3.2.2.
pub(crate) struct Members(pub serde_json::Map<String, serde_json::Value>);

impl FromRequest for Members {
    type Error = OAuthError;
    type Future = Pin<Box<dyn Future<Output = Result<Self, OAuthError>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let json = web::Json::<serde_json::Map<String, serde_json::Value>>::from_request(request, payload);
        Box::pin(async move {
            json.await.map(|json| Self(json.into_inner())).map_err(|error| match error.as_response_error().status_code().as_u16() {
                413 => OAuthError::too_large(),
                415 => OAuthError::invalid_request("send the metadata as application/json"),
                _ => OAuthError::bad_metadata("the body must be a JSON object"),
            })
        })
    }
}

/// For members where leaving out and `null` mean different things.
pub(crate) fn present<'de, T: Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<T>>, D::Error> {
    Option::<T>::deserialize(deserializer).map(Some)
}

/// A JSON object read as `T`. Where no member is required, serde would read an empty array as well.
pub(crate) struct Object<T>(pub(crate) T);

impl<'de, T: DeserializeOwned> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let members = serde_json::Map::deserialize(deserializer)?;
        serde_json::from_value(members.into()).map(Self).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only its reading is tested")]
    struct Sample {
        name: String,
        kind: Option<Kind>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "snake_case")]
    enum Kind {
        Body,
    }

    #[test]
    fn an_error_says_what_is_expected_and_never_repeats_a_value() {
        let said = |json: &str| describe(&serde_json::from_str::<Sample>(json).expect_err("refused"));
        for json in [
            r#"{"name":"a","kind":"hunter2"}"#,
            r#"{"name":["hunter2"]}"#,
            r#"{"name":"a","kind":{"hunter2":1}}"#,
            r#"{"name":"a"} hunter2"#,
        ] {
            assert!(!said(json).contains("hunter2"), "{}", said(json));
        }
        assert!(said(r#"{"name":"a","kind":"x"}"#).contains("expected `body`"), "{}", said(r#"{"name":"a","kind":"x"}"#));
        assert!(said(r#"{"nam":"a"}"#).contains("unknown field `nam`"));
        assert!(said("{}").contains("missing field `name`"));
        assert!(said("{").contains("ends too early"));
    }
}
