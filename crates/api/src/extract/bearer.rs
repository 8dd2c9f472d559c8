//! The bearer token of a request (RFC 6750, 2.1): only from the `Authorization` header.

use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::http::header::AUTHORIZATION;
use actix_web::{FromRequest, HttpRequest};

/// The token, when there is exactly one `Authorization: Bearer …`.
pub(crate) struct Bearer(Option<String>);

impl Bearer {
    pub(crate) fn token(&self) -> Option<&str> {
        self.0.as_deref()
    }
}

impl FromRequest for Bearer {
    type Error = actix_web::Error;
    type Future = Ready<Result<Self, Self::Error>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let mut values = request.headers().get_all(AUTHORIZATION);
        let token = match (values.next(), values.next()) {
            (Some(value), None) => value.to_str().ok().and_then(|text| {
                let (scheme, token) = text.split_once(' ')?;
                scheme.eq_ignore_ascii_case("bearer").then(|| token.trim().to_owned())
            }),
            _ => None,
        };
        ready(Ok(Self(token)))
    }
}
