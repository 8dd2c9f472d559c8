//! OAuth forms (RFC 6749, appendix B): a parameter that comes twice is an error, an empty one is absent. There may be several of what
//! tokens are to be for (RFC 8707, 2; RFC 8693, 2.1).

use std::future::Future;
use std::pin::Pin;

use actix_web::dev::Payload;
use actix_web::http::header::CONTENT_TYPE;
use actix_web::{FromRequest, HttpRequest, web};
use zeroize::Zeroizing;

use crate::error::oauth::OAuthError;

/// Parameters that may come more than once.
const REPEATABLE: [&str; 2] = ["resource", "audience"];

/// The parameters of a form, wiped when dropped.
pub(crate) struct Form(Vec<(String, Zeroizing<String>)>);

impl Form {
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, OAuthError> {
        let mut parameters: Vec<(String, Zeroizing<String>)> = Vec::new();
        for (name, value) in url::form_urlencoded::parse(bytes) {
            if parameters.len() >= 32 {
                return Err(OAuthError::invalid_request("too many parameters"));
            }
            if name.contains('\u{fffd}') || value.contains('\u{fffd}') || value.contains('\0') {
                return Err(OAuthError::invalid_request("a parameter is not valid UTF-8"));
            }
            if !REPEATABLE.contains(&&*name) && parameters.iter().any(|(known, _)| *known == name) {
                return Err(OAuthError::invalid_request("a parameter was sent twice"));
            }
            parameters.push((name.into_owned(), Zeroizing::new(value.into_owned())));
        }
        Ok(Self(parameters))
    }

    /// All of them, as they were sent.
    pub(crate) fn pairs(&self) -> impl Iterator<Item = (String, String)> {
        self.0.iter().map(|(name, value)| (name.clone(), value.to_string()))
    }

    /// All of one name, in their order.
    pub(crate) fn each<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(known, _)| known == name).map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }

    pub(crate) fn optional(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }
}

impl FromRequest for Form {
    type Error = OAuthError;
    type Future = Pin<Box<dyn Future<Output = Result<Self, OAuthError>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let is_form =
            request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).is_some_and(|value| {
                value.split(';').next().unwrap_or("").trim().eq_ignore_ascii_case("application/x-www-form-urlencoded")
            });
        let bytes = web::Bytes::from_request(request, payload);
        Box::pin(async move {
            if !is_form {
                return Err(OAuthError::invalid_request("send the parameters as application/x-www-form-urlencoded"));
            }
            let bytes = bytes.await.map_err(|error| match error.as_response_error().status_code().as_u16() {
                413 => OAuthError::too_large(),
                _ => OAuthError::invalid_request("the request body could not be read"),
            })?;
            Self::parse(&bytes)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s045_a_parameter_sent_twice_is_refused_and_an_empty_one_is_absent() {
        assert!(Form::parse(b"a=1&a=1").is_err());
        let form = Form::parse(b"a=&b=x%20y").expect("parses");
        assert_eq!(form.optional("a"), None);
        assert_eq!(form.optional("b"), Some("x y"));
        assert!(Form::parse(b"a=%ff").is_err());
        assert!(Form::parse("a=1&".repeat(2).as_bytes()).is_err());
        let form = Form::parse(b"resource=x:a&resource=&resource=x:b").expect("of these there may be several");
        assert_eq!(form.each("resource").collect::<Vec<_>>(), ["x:a", "x:b"]);
    }
}
