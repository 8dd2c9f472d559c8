//! JSON bodies: the right content type, a bounded size, known members only; errors say which member is wrong.

use std::fmt;
use std::marker::PhantomData;
use std::pin::Pin;

use actix_web::dev::Payload;
use actix_web::http::header::CONTENT_LENGTH;
use actix_web::{FromRequest, HttpMessage, HttpRequest, ResponseError, web};
use domain::misread;
use serde::de::value::MapAccessDeserializer;
use serde::de::{DeserializeOwned, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

use crate::error::oauth::OAuthError;
use crate::error::problem::Problem;

/// A JSON object as the body.
pub(crate) struct Json<T>(pub T);

impl<T: DeserializeOwned + 'static> FromRequest for Json<T> {
    type Error = Problem;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Problem>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let is_json = request
            .mime_type()
            .ok()
            .flatten()
            .is_some_and(|mime| mime.subtype() == "json" || mime.suffix().is_some_and(|suffix| suffix == "json"));
        let bytes = web::Bytes::from_request(request, payload);
        Box::pin(async move {
            if !is_json {
                return Err(Problem::unsupported_media_type());
            }
            let bytes = bytes.await.map_err(|error| match error.as_response_error().status_code().as_u16() {
                413 => Problem::too_large(),
                _ => Problem::bad_request("The request body could not be read."),
            })?;
            let Object(read) = misread::read(&bytes)?;
            Ok(Self(read))
        })
    }
}

/// A JSON body that may be left out. One that is there but cannot be read is an error as anywhere else, never taken for none.
pub(crate) struct OptionalJson<T>(pub Option<T>);

impl<T: DeserializeOwned + 'static> FromRequest for OptionalJson<T> {
    type Error = Problem;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Problem>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let has_body = !matches!(payload, Payload::None) && request.headers().get(CONTENT_LENGTH).is_none_or(|length| length != "0");
        let json = has_body.then(|| Json::<T>::from_request(request, payload));
        Box::pin(async move {
            match json {
                Some(json) => Ok(Self(Some(json.await?.0))),
                None => Ok(Self(None)),
            }
        })
    }
}

/// A JSON object at an OAuth endpoint, whatever its members; errors are those of RFC 7591, 3.2.2.
pub(crate) struct Members(pub Map<String, Value>);

impl FromRequest for Members {
    type Error = OAuthError;
    type Future = Pin<Box<dyn Future<Output = Result<Self, OAuthError>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let json = Json::from_request(request, payload);
        Box::pin(async move {
            json.await.map(|Json(members)| Self(members)).map_err(|problem| match problem.status_code().as_u16() {
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

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Members<T> {
            type Value = T;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<T, A::Error> {
                T::deserialize(MapAccessDeserializer::new(members))
            }
        }
        deserializer.deserialize_map(Members(PhantomData)).map(Self)
    }
}
