//! The API's description is true: every answer of every test here is held against it, and every request that was taken.
//!
//! Invariant: an object that says nothing of other members has none. Clients must be more patient than that; we need not be.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use domain::time::Timestamp;
use serde_json::{Map, Value, json};

use crate::world::{Answer, in_world, sent};

static DESCRIPTION: LazyLock<Value> = LazyLock::new(api::description);

/// Insists that an answer, and the request when it was taken, are as described.
#[track_caller]
pub(crate) fn check(method: &str, path: &str, body: Option<&[u8]>, answer: &Answer) {
    let asked = format!("{method} {path}");
    if method == "HEAD" {
        return assert!(answer.text.is_empty(), "{asked} answered with a body: {}", answer.text);
    }
    let Some(item) = item_of(path) else {
        assert_eq!(answer.status, 404, "{asked} is described nowhere");
        return insist(&named("Problem"), &answer.json(), &asked);
    };
    let Some(operation) = item.get(&method.to_lowercase()) else {
        assert_eq!(answer.status, 405, "{asked} is described nowhere");
        let mut others: BTreeSet<_> = item.keys().filter(|key| *key != "parameters").map(|method| method.to_uppercase()).collect();
        if others.contains("GET") {
            others.insert("HEAD".to_owned());
        }
        let allowed: BTreeSet<_> = answer.header("allow").split(", ").map(str::to_owned).collect();
        assert_eq!(allowed, others, "{asked}");
        let is_oauth = path.contains("/oauth/");
        return insist(&named(if is_oauth { "OAuthError" } else { "Problem" }), &answer.json(), &asked);
    };
    let Some(response) = operation["responses"].get(answer.status.to_string()) else {
        panic!("{asked} answered {}, which is not described: {}", answer.status, answer.text)
    };
    let response = resolved(response);
    let contents = response.get("content").and_then(Value::as_object);
    // Of several media types the one that came; the only one, else.
    match contents.and_then(|all| all.get_key_value(answer.header("content-type")).or_else(|| all.iter().next())) {
        None => assert!(answer.text.is_empty(), "{asked} answered {} with a body: {}", answer.status, answer.text),
        Some((media_type, content)) => {
            assert_eq!(answer.header("content-type"), media_type, "{asked} answered {}", answer.status);
            let is_json = media_type.ends_with("json");
            insist(&content["schema"], &if is_json { answer.json() } else { Value::from(answer.text.as_str()) }, &asked);
        }
    }
    for name in ["x-request-id", "location", "www-authenticate", "retry-after", "cache-control", "etag"] {
        let is_described = response["headers"].as_object().is_some_and(|headers| headers.keys().any(|key| key.eq_ignore_ascii_case(name)));
        let is_there = answer.headers.contains_key(name);
        if is_described {
            assert!(is_there, "{asked} answered {} without {name}", answer.status);
        } else {
            // Refusals say no-store without being asked.
            assert!(!is_there || name == "cache-control", "{asked} answered {} with {name}, which is not described", answer.status);
        }
    }
    if answer.status < 300
        && let Some(schema) = operation.pointer("/requestBody/content/application~1json/schema")
        && let Some(body) = body
    {
        insist(schema, &serde_json::from_slice(body).expect("a JSON body was taken"), &format!("the body of {asked}"));
    }
}

/// The description of an address.
fn item_of(path: &str) -> Option<&'static Map<String, Value>> {
    let fits = |pattern: &str| {
        let (wanted, given) = (pattern.split('/'), path.split('/'));
        wanted.clone().count() == given.clone().count()
            && wanted.zip(given).all(|(wanted, given)| wanted == given || (wanted.starts_with('{') && !given.is_empty()))
    };
    let paths = DESCRIPTION["paths"].as_object().expect("paths");
    paths.iter().find(|(pattern, _)| fits(pattern)).and_then(|(_, item)| item.as_object())
}

/// The media type that a route reads, and the schema of what it takes.
pub(crate) fn body_schema(method: &str, path: &str) -> (&'static str, Option<&'static Value>) {
    let content = &DESCRIPTION["paths"][path][method.to_lowercase()]["requestBody"]["content"];
    match content.as_object().and_then(|content| content.iter().next()) {
        Some((media_type, content)) => (media_type, content.get("schema")),
        None => ("application/json", None),
    }
}

/// What a reference points at; anything else is itself.
pub(crate) fn resolved(value: &Value) -> &Value {
    match value.get("$ref").and_then(Value::as_str).and_then(|reference| reference.strip_prefix('#')) {
        Some(pointer) => DESCRIPTION.pointer(pointer).expect("a reference points at something"),
        None => value,
    }
}

fn named(schema: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{schema}") })
}

#[track_caller]
fn insist(schema: &Value, value: &Value, what: &str) {
    if let Err(fault) = fits(schema, value, "") {
        panic!("{what} is not as described: {fault}\n{value:#}")
    }
}

/// JSON Schema 2020-12, as much of it as the description uses; another keyword is a mistake here.
fn fits(whole: &Value, value: &Value, at: &str) -> Result<(), String> {
    let schema = whole.as_object().ok_or_else(|| format!("{at}: no schema"))?;
    let fail = |what: String| Err(format!("at '{at}': {what}"));
    for (keyword, wanted) in schema {
        match keyword.as_str() {
            "description" | "default" | "additionalProperties" => {}
            "$ref" => fits(resolved(whole), value, at)?,
            "type" => {
                let types = if let Value::Array(types) = wanted { types.as_slice() } else { std::slice::from_ref(wanted) };
                let is = |name: &str| match name {
                    "object" => value.is_object(),
                    "array" => value.is_array(),
                    "string" => value.is_string(),
                    "integer" => value.is_i64() || value.is_u64(),
                    "number" => value.is_number(),
                    "boolean" => value.is_boolean(),
                    "null" => value.is_null(),
                    other => panic!("the type {other} is not known here"),
                };
                if !types.iter().any(|name| is(name.as_str().expect("a type's name"))) {
                    return fail(format!("{value} is no {wanted}"));
                }
            }
            "enum" => {
                if !wanted.as_array().expect("an array").contains(value) {
                    return fail(format!("{value} is none of {wanted}"));
                }
            }
            "const" => {
                if value != wanted {
                    return fail(format!("{value} is not {wanted}"));
                }
            }
            "minimum" | "maximum" | "maxItems" => {
                let size = value.as_i64().or_else(|| value.as_array().and_then(|items| i64::try_from(items.len()).ok()));
                let bound = wanted.as_i64().expect("a number");
                if size.is_some_and(|size| if keyword == "minimum" { size < bound } else { size > bound }) {
                    return fail(format!("{value} breaks {keyword} {wanted}"));
                }
            }
            "format" => {
                assert_eq!(wanted, "date-time");
                if value.as_str().is_none_or(|text| text.parse::<Timestamp>().is_err() || !text.ends_with('Z')) {
                    return fail(format!("{value} is no moment"));
                }
            }
            "pattern" => {
                let prefix = wanted.as_str().and_then(|pattern| pattern.strip_prefix('^')?.strip_suffix("[0-9a-hjkmnp-tv-z]{26}$"));
                let rest = value.as_str().and_then(|text| text.strip_prefix(prefix.expect("the pattern of an id")));
                let in_alphabet = |c: char| c.is_ascii_digit() || (c.is_ascii_lowercase() && !"ilou".contains(c));
                if rest.is_none_or(|rest| rest.len() != 26 || !rest.chars().all(in_alphabet)) {
                    return fail(format!("{value} does not match {wanted}"));
                }
            }
            "anyOf" => {
                let faults: Vec<_> = wanted.as_array().expect("an array").iter().map(|schema| fits(schema, value, at)).collect();
                if faults.iter().all(Result::is_err) {
                    return fail(format!("no alternative fits: {faults:?}"));
                }
            }
            "items" => {
                for (index, item) in value.as_array().into_iter().flatten().enumerate() {
                    fits(wanted, item, &format!("{at}/{index}"))?;
                }
            }
            "required" => {
                let missing = wanted.as_array().expect("an array").iter().find(|name| value.get(name.as_str().expect("a name")).is_none());
                if let (true, Some(missing)) = (value.is_object(), missing) {
                    return fail(format!("{missing} is missing"));
                }
            }
            "properties" => {
                let is_open = schema.get("additionalProperties") == Some(&Value::Bool(true));
                for (name, member) in value.as_object().into_iter().flatten() {
                    match wanted.get(name) {
                        Some(schema) => fits(schema, member, &format!("{at}/{name}"))?,
                        None if is_open => {}
                        None => return fail(format!("'{name}' is not described")),
                    }
                }
            }
            other => panic!("the keyword {other} is not known here"),
        }
    }
    Ok(())
}

#[test]
fn the_description_is_served_to_everybody() {
    in_world(async |world| {
        let answer = world.anon().get("/openapi.json").await.is(200);
        assert_eq!(answer.json(), *DESCRIPTION);
        assert_eq!(answer.header("access-control-allow-origin"), "*");
    });
}

#[test]
fn a_head_is_answered_like_a_get_and_guarded_like_one() {
    in_world(async |world| {
        world.tenant("acme").await;
        let path = "/t/acme/.well-known/jwks.json";
        let got = world.anon().get(path).await.is(200);
        let head = sent(world.anon().request("HEAD", path)).await.is(200);
        assert_eq!(head.header("etag"), got.header("etag"));
        assert_eq!(head.header("content-length"), got.text.len().to_string());
        sent(world.anon().request("HEAD", "/t/acme/me")).await.is(401);
        sent(world.anon().request("HEAD", "/admin/v1/tenants/acme")).await.is(401);
        let answer = sent(world.anon().request("HEAD", "/t/acme/login")).await.is(405);
        assert_eq!(answer.header("allow"), "POST");
    });
}

#[test]
fn what_is_not_as_described_is_seen() {
    let tokens = json!({ "access_token": "a", "token_type": "Bearer", "expires_in": 900, "scope": "account" });
    assert_eq!(fits(&named("Tokens"), &tokens, ""), Ok(()));
    for (pointer, wrong) in [
        ("access_token", json!(1)),
        ("token_type", json!("MAC")),
        ("expires_in", json!(-1)),
        ("expires_in", json!(1.5)),
        ("new_member", json!(1)),
    ] {
        let mut changed = tokens.clone();
        changed[pointer] = wrong;
        assert!(fits(&named("Tokens"), &changed, "").is_err(), "{changed}");
    }
    assert!(fits(&named("Tokens"), &json!({ "access_token": "a" }), "").is_err());
    assert!(fits(&named("UserId"), &json!("ses_01890000000000000000000000"), "").is_err());
    assert!(fits(&named("Timestamp"), &json!("yesterday"), "").is_err());
    assert!(fits(&named("SessionsEnded"), &json!([]), "").is_err());
    assert!(fits(&named("Alg"), &json!("none"), "").is_err());
}
