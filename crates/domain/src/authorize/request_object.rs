//! Request objects (RFC 9101): an authorization request that its client has signed. Whose signature it bears is known before.
//!
//! Invariant: what it says is the whole request; of what stands beside it nothing counts (RFC 9101, 6.3).

use serde_json::{Map, Value};

use super::rules::Parameters;
use super::{AuthorizeError, Refusal};
use crate::client::{Client, ClientId};
use crate::jwt::{self, SKEW};
use crate::time::{Timestamp, Ttl};

/// Types that one may have: none, that of any JWT, and its own (RFC 9101, 10.8). A token of another kind is none (RFC 8725, 3.11).
pub const TYPES: [&str; 2] = ["jwt", "oauth-authz-req+jwt"];

/// The longest that one is good for (FAPI 2.0 Message Signing, 5.3.1).
const LONGEST: Ttl = Ttl::hours(1);

/// What the claims of a JWT say about the JWT, and not about the request.
const ABOUT_ITSELF: [&str; 6] = ["iss", "aud", "exp", "nbf", "iat", "jti"];

/// How one comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Conveyance {
    /// By the browser, or pushed: it could be an old one, or one for somebody else.
    ByValue,
    /// From the client itself, just now (RFC 9101, 5.2): it need not say until when it is good, nor for whom.
    ByReference,
}

/// What the client hears of one that will not do.
pub const fn refusal(description: &'static str) -> Refusal {
    Refusal { error: AuthorizeError::InvalidRequestObject, description }
}

/// The request that a signed object holds, for `client` at this issuer.
///
/// # Errors
/// Says what is wrong.
///
/// Source: RFC 9101, 4, 6.3; of clients with a profile FAPI 2.0 Message Signing, 5.3.1.
pub fn parameters(
    claims: &Map<String, Value>,
    client: &Client,
    conveyance: Conveyance,
    issuer: &str,
    now: Timestamp,
) -> Result<Parameters, Refusal> {
    let refused = |description| Err(refusal(description));
    let names = |name: &str, id: &ClientId| claims.get(name).and_then(Value::as_str) == Some(id.as_str());
    if !names("client_id", &client.id) || (claims.contains_key("iss") && !names("iss", &client.id)) {
        return refused("client_id or iss in the request object is not the client");
    }
    // An assertion of the client names itself so, and is no request (RFC 9101, 10.8).
    if ["sub", "request", "request_uri"].iter().any(|name| claims.contains_key(*name)) {
        return refused("sub, request and request_uri have no place in a request object");
    }
    let is_meant = match claims.get("aud") {
        Some(Value::Array(all)) => all.len() <= 8 && all.iter().any(|aud| aud == issuer),
        Some(aud) => aud == issuer,
        None => conveyance == Conveyance::ByReference,
    };
    if !is_meant {
        return refused("aud in the request object is not this issuer");
    }
    let exp = match claims.get("exp") {
        None if conveyance == Conveyance::ByReference => None,
        said => Some(said.and_then(jwt::date).ok_or(refusal("exp in the request object is missing or no date"))?),
    };
    if exp.is_some_and(|exp| exp.plus(SKEW) <= now) {
        return refused("the request object has expired");
    }
    if exp.is_some_and(|exp| exp > now.plus(LONGEST).plus(SKEW)) {
        return refused("the request object is good for more than an hour");
    }
    jwt::has_begun(claims, now).map_err(refusal)?;
    if client.settings.profile.is_some() {
        let Some(exp) = exp else { return refused("exp in the request object is missing or no date") };
        let Some(nbf) = claims.get("nbf").and_then(jwt::date) else { return refused("nbf in the request object is missing") };
        if nbf.plus(LONGEST).plus(SKEW) <= now || exp > nbf.plus(LONGEST) {
            return refused("the request object was made, or is good, more than an hour from its nbf");
        }
    }
    let said = claims.iter().filter(|(name, _)| !ABOUT_ITSELF.contains(&name.as_str()));
    // Of resources there may be several (RFC 8707, 2).
    let each = said.flat_map(|(name, value)| match value {
        Value::Array(all) if name == "resource" => all.iter().map(|one| (name, one)).collect(),
        one => vec![(name, one)],
    });
    Parameters::new(each.map(|(name, value)| {
        let text = match value {
            Value::String(text) => text.clone(),
            // Numbers, and what is JSON outside as well (OpenID Connect Core, 6.1).
            other => other.to_string(),
        };
        (name.clone(), text)
    }))
    .map_err(|_| refusal("a parameter in the request object is no text, or there are too many"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::client::ClientStatus;
    use crate::client::metadata::ClientMetadata;

    const NOW: i64 = 1_800_000_000;
    const ISSUER: &str = "https://id.example/t/acme";

    fn read(profile: Option<&str>, change: &[(&str, Value)]) -> Result<Parameters, Refusal> {
        read_by(Conveyance::ByValue, profile, change)
    }

    fn read_by(conveyance: Conveyance, profile: Option<&str>, change: &[(&str, Value)]) -> Result<Parameters, Refusal> {
        let metadata = json!({ "profile": profile, "redirect_uris": ["https://app.example/cb"], "jwks": { "keys": [] } });
        let settings = serde_json::from_value::<ClientMetadata>(metadata).expect("metadata").validated().expect("good");
        let at = Timestamp::from_seconds(NOW);
        let id = ClientId::try_from("shop".to_owned()).expect("an id");
        let client =
            Client { id, settings, secrets: Vec::new(), status: ClientStatus::Active, registration: None, created_at: at, updated_at: at };
        let mut claims = json!({
            "iss": "shop", "aud": ISSUER, "exp": NOW + 300, "nbf": NOW, "iat": NOW, "jti": "1", "client_id": "shop",
            "response_type": "code", "max_age": 300, "claims": { "userinfo": { "email": null } }, "state": "a&b",
        });
        let claims = claims.as_object_mut().expect("an object");
        for (name, value) in change {
            // What is replaced by "gone" is left out.
            let _ = if *value == json!("gone") { claims.remove(*name) } else { claims.insert((*name).to_owned(), value.clone()) };
        }
        parameters(claims, &client, conveyance, ISSUER, at)
    }

    #[test]
    fn s027_the_request_is_what_the_object_says() {
        for profile in [None, Some("fapi2")] {
            let request = read(profile, &[]).expect("good");
            assert_eq!((request.get("client_id"), request.get("max_age"), request.get("state")), (Some("shop"), Some("300"), Some("a&b")));
            assert_eq!(request.get("claims"), Some(r#"{"userinfo":{"email":null}}"#));
            assert_eq!((request.get("aud"), request.get("exp"), request.get("iss")), (None, None, None));
            for fine in [("iss", json!("gone")), ("aud", json!([ISSUER, "https://other.example"])), ("nbf", json!(NOW + 8))] {
                read(profile, &[fine]).expect("good");
            }
        }
        read(None, &[("nbf", json!("gone"))]).expect("only a profile demands it");
    }

    #[test]
    fn s030_what_its_client_shows_just_now_need_not_say_until_when_and_for_whom_and_may_not_say_it_wrongly() {
        let read = |profile, change: &[(&str, Value)]| read_by(Conveyance::ByReference, profile, change);
        let gone = json!("gone");
        read(None, &[("exp", gone.clone()), ("aud", gone.clone()), ("iss", gone.clone()), ("nbf", gone.clone())]).expect("good");
        for (name, value) in [
            ("client_id", gone.clone()),
            ("client_id", json!("other")),
            ("aud", json!("https://other.example")),
            ("exp", json!(NOW - 30)),
            ("exp", json!("soon")),
            ("exp", json!(NOW + 3_631)),
            ("nbf", json!(NOW + 31)),
            ("request_uri", json!("https://app.example/request")),
        ] {
            assert!(read(None, &[(name, value.clone())]).is_err(), "{name} {value}");
        }
        assert!(read(Some("fapi2"), &[("exp", gone)]).is_err());
    }

    #[test]
    fn s028_s029_what_is_missing_wrong_or_another_token_refuses_it() {
        for (name, value) in [
            ("client_id", json!("gone")),
            ("client_id", json!("other")),
            ("client_id", json!(1)),
            ("iss", json!("other")),
            ("sub", json!("shop")),
            ("request", json!("a.b.c")),
            ("request_uri", json!("urn:x")),
            ("aud", json!("gone")),
            ("aud", json!("https://id.example/t/acme/oauth/par")),
            ("aud", json!([])),
            ("exp", json!("gone")),
            ("exp", json!("1800000300")),
            ("exp", json!(NOW - 30)),
            ("exp", json!(NOW + 3_631)),
            ("nbf", json!(NOW + 31)),
            ("iat", json!(NOW + 61)),
            ("state", json!("\0")),
        ] {
            let refused = read(None, &[(name, value.clone())]).expect_err(name);
            assert_eq!(refused.error, AuthorizeError::InvalidRequestObject, "{name} {value}");
        }
        for change in
            [vec![("nbf", json!("gone"))], vec![("nbf", json!(NOW - 3_630))], vec![("nbf", json!(NOW - 600)), ("exp", json!(NOW + 3_001))]]
        {
            assert!(read(Some("fapi2"), &change).is_err(), "{change:?}");
        }
    }
}
