//! Who sends this: client authentication as it comes over HTTP (RFC 6749, 2.3), for every endpoint that asks for it.
//!
//! Whether it is true says [`app::clients::authenticate`]. Invariant: exactly one method, or the request is refused.

use actix_web::HttpRequest;
use actix_web::http::header::AUTHORIZATION;
use app::clients::authenticate::{Presented, Proof, authenticate, named_in};
use app::ctx::{Ctx, Origin};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use domain::client::assertion::ASSERTION_TYPE;
use domain::client::{AuthMethod, Client};
use domain::secret::Secret;
use domain::tenant::Tenant;

use crate::cors;
use crate::error::oauth::OAuthError;
use crate::extract::form::Form;
use crate::oauth::mtls;

/// The client that sent this request.
///
/// # Errors
/// When it is none, or does not prove it.
pub(crate) async fn client(ctx: &Ctx, tenant: &Tenant, request: &HttpRequest, form: &Form, origin: &Origin) -> Result<Client, OAuthError> {
    let presented = Presented { certificate: mtls::shown(request), ..presented(request, form)? };
    proved(ctx, tenant, presented, request, origin).await
}

/// The client that has presented this, if it is one.
///
/// # Errors
/// When it is none, or does not prove it.
pub(crate) async fn proved(
    ctx: &Ctx,
    tenant: &Tenant,
    presented: Presented,
    request: &HttpRequest,
    origin: &Origin,
) -> Result<Client, OAuthError> {
    let client = authenticate(ctx, tenant, presented, origin).await.map_err(|denied| OAuthError::of_client(denied, ctx.now()))?;
    cors::is_for(request, &client);
    Ok(client)
}

/// Whether a form holds a proof of who sends it.
pub(crate) fn is_in(form: &Form) -> bool {
    ["client_secret", "client_assertion"].into_iter().any(|name| form.optional(name).is_some())
}

fn presented(request: &HttpRequest, form: &Form) -> Result<Presented, OAuthError> {
    let (named, posted) = (form.optional("client_id"), form.optional("client_secret"));
    if let Some(assertion) = form.optional("client_assertion") {
        if form.optional("client_assertion_type") != Some(ASSERTION_TYPE) {
            return Err(OAuthError::invalid_request("client_assertion_type must be that of RFC 7523, 2.2"));
        }
        if posted.is_some() || basic(request)?.is_some() {
            return Err(OAuthError::invalid_request("authenticate in one way, not in two"));
        }
        // RFC 7521, 4.2: client_id may be left out.
        let client_id = named.map(str::to_owned).or_else(|| named_in(assertion)).ok_or_else(OAuthError::invalid_client)?;
        return Ok(Presented { client_id, proof: Proof::Assertion(assertion.to_owned()), certificate: None });
    }
    match (basic(request)?, named, posted) {
        (Some(_), _, Some(_)) => Err(OAuthError::invalid_request("authenticate in one way, not in two")),
        (Some(in_header), Some(named), None) if in_header.client_id != named => {
            Err(OAuthError::invalid_request("client_id is another one than that of the Authorization header"))
        }
        (Some(in_header), _, None) => Ok(in_header),
        (None, Some(named), Some(secret)) => {
            let proof = Proof::Secret { method: AuthMethod::ClientSecretPost, secret: Secret::new(secret.to_owned()) };
            Ok(Presented { client_id: named.to_owned(), proof, certificate: None })
        }
        (None, Some(named), None) => Ok(Presented { client_id: named.to_owned(), proof: Proof::None, certificate: None }),
        (None, None, _) => Err(OAuthError::invalid_client()),
    }
}

/// What an `Authorization: Basic …` says: both halves are form-encoded (RFC 6749, 2.3.1). `None` without such a header.
pub(crate) fn basic(request: &HttpRequest) -> Result<Option<Presented>, OAuthError> {
    let mut values = request.headers().get_all(AUTHORIZATION);
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(OAuthError::invalid_request("authenticate in one way, not in two"));
    }
    let Some(encoded) =
        value.to_str().ok().and_then(|text| text.split_once(' ')).filter(|(scheme, _)| scheme.eq_ignore_ascii_case("basic"))
    else {
        return Ok(None);
    };
    let read = || {
        let text = String::from_utf8(STANDARD.decode(encoded.1.trim()).ok()?).ok()?;
        let (id, secret) = text.split_once(':')?;
        Some((form_decoded(id)?, Secret::new(form_decoded(secret)?)))
    };
    let (client_id, secret) = read().ok_or_else(OAuthError::invalid_client)?;
    // An empty password is a client that only says its name (RFC 6749, 2.3.1: "may omit").
    let proof = if secret.expose().is_empty() { Proof::None } else { Proof::Secret { method: AuthMethod::ClientSecretBasic, secret } };
    Ok(Some(Presented { client_id, proof, certificate: None }))
}

/// One value in `application/x-www-form-urlencoded`; `None` when it is not valid.
fn form_decoded(text: &str) -> Option<String> {
    // As the name of a parameter without a value: `=` and `&` do not come unencoded.
    let mut pairs = url::form_urlencoded::parse(text.as_bytes());
    match (pairs.next(), pairs.next()) {
        (None, _) => Some(String::new()),
        (Some((name, value)), None) if value.is_empty() && !name.contains('\u{fffd}') => Some(name.into_owned()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    fn said(header: &str) -> Option<(String, String)> {
        let request = TestRequest::default().insert_header((AUTHORIZATION, header)).to_http_request();
        let presented = basic(&request).ok()??;
        match presented.proof {
            Proof::None => Some((presented.client_id, String::new())),
            Proof::Secret { secret, .. } => Some((presented.client_id, secret.expose().clone())),
            Proof::Assertion(_) => None,
        }
    }

    #[test]
    fn s048_basic_credentials_are_form_encoded() {
        let header = |text: &str| format!("Basic {}", STANDARD.encode(text));
        let pair = |id: &str, secret: &str| Some((id.to_owned(), secret.to_owned()));
        assert_eq!(said(&header("cli_1:cs1_a-b_c")), pair("cli_1", "cs1_a-b_c"));
        assert_eq!(said(&header("a%3Ab+c:p%25q%26r%3Ds%C3%BC")), pair("a:b c", "p%q&r=sü"));
        assert_eq!(said(&header("cli_1:")), pair("cli_1", ""));
        assert_eq!(said(&header("cli_1:a:b")), pair("cli_1", "a:b"));
        for bad in [header("no colon"), header("a:b=c"), header("a:b&c"), header("a:%ff"), "Basic ***".to_owned(), "Bearer x".to_owned()] {
            assert_eq!(said(&bad), None, "{bad}");
        }
    }
}
