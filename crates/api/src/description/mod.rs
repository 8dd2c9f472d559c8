//! The API's description (OpenAPI 3.1), served at `/openapi.json`.
//!
//! Addresses, methods, guards and what follows from them (security, path parameters, refusals of the edge) come from the route
//! table; [`operations`] adds what each route takes and answers, [`schemas`] the words on the wire. Invariant: nothing is
//! described twice, and nothing by hand that the table knows. Tests hold it against the table, and every answer of the
//! end-to-end tests against it.

mod operations;
mod schemas;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use actix_web::HttpResponse;
use actix_web::http::header::{ACCESS_CONTROL_ALLOW_ORIGIN, CACHE_CONTROL};
use actix_web::web::Bytes;
use serde_json::{Map, Value, json};

use crate::error::speaks_oauth;
use crate::oauth::cookie;
use crate::router::{Guard, RouteInfo, table};
use crate::site::Left;
use operations::{Body, Operation, operations};

/// `GET /openapi.json`: for everybody, as it is in the documentation anyway.
pub(crate) async fn get() -> HttpResponse {
    static BYTES: LazyLock<Bytes> = LazyLock::new(|| Bytes::from(description().to_string()));
    HttpResponse::Ok()
        .insert_header((CACHE_CONTROL, "public, max-age=300"))
        .insert_header((ACCESS_CONTROL_ALLOW_ORIGIN, "*"))
        .content_type("application/json")
        .body(Bytes::clone(&BYTES))
}

/// The whole description. A route that [`operations`] does not know is left out, and a test says so.
pub fn description() -> Value {
    let known = operations();
    let mut paths: BTreeMap<&str, Map<String, Value>> = BTreeMap::new();
    for route in table() {
        let Some((_, _, operation)) = known.iter().find(|(method, path, _)| (*method, *path) == (route.method, route.path)) else {
            continue;
        };
        let item = paths.entry(route.path).or_default();
        let parameters: Vec<_> = segments(route.path).map(|name| json!({ "$ref": format!("#/components/parameters/{name}") })).collect();
        if !parameters.is_empty() {
            item.insert("parameters".to_owned(), json!(parameters));
        }
        item.insert(route.method.to_lowercase(), described(&route, operation));
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Claviger",
            "version": env!("CARGO_PKG_VERSION"),
            "summary": "A multi-tenant identity platform",
            "description": "Each tenant is an issuer of its own, `/t/{slug}`, or a domain that has the same addresses without that prefix. Under `/t/{slug}/oauth/` errors are those of RFC 6749, \
                everywhere else those of RFC 9457. Members that a body does not list are refused in requests; in answers, ignore \
                those you do not know.",
            "license": { "name": "MIT or Apache-2.0", "identifier": "MIT OR Apache-2.0" },
        },
        "servers": [{ "url": "/" }],
        "tags": operations::tags(),
        "paths": paths,
        "components": {
            "parameters": parameters(),
            "responses": shared_responses(),
            "headers": headers(),
            "securitySchemes": security_schemes(),
            "schemas": schemas::schemas(),
        },
    })
}

/// The names in braces.
fn segments(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter_map(|segment| segment.strip_prefix('{')?.strip_suffix('}'))
}

fn described(route: &RouteInfo, operation: &Operation) -> Value {
    let mut described = json!({
        "operationId": operation.id,
        "tags": [operation.tag],
        "summary": operation.summary,
        "security": security(route.guard, operation),
        "responses": responses(route, operation),
    });
    if !operation.parameters.is_empty() {
        let named = operation.parameters.iter().map(|name| json!({ "$ref": format!("#/components/parameters/{name}") }));
        described["parameters"] = named.collect();
    }
    if let Some((media_type, schema, is_required)) = match operation.body {
        Body::None | Body::Image => None,
        Body::Json(schema) => Some(("application/json", schema, true)),
        Body::OptionalJson(schema) => Some(("application/json", schema, false)),
        Body::Form(schema) => Some(("application/x-www-form-urlencoded", schema, true)),
    } {
        described["requestBody"] = json!({ "required": is_required, "content": { media_type: { "schema": schemas::reference(schema) } } });
    }
    if operation.body == Body::Image {
        let picture = json!({ "schema": { "type": "string", "format": "binary", "maxLength": domain::branding::Logo::LARGEST } });
        let content = json!({ "image/png": picture, "image/jpeg": picture, "image/webp": picture });
        described["requestBody"] = json!({ "required": true, "content": content });
    }
    described
}

/// What opens the route. A list of alternatives; the empty one means that nothing is needed.
fn security(guard: Guard, operation: &Operation) -> Value {
    match guard {
        _ if operation.takes_cookie => json!([{}, { "sessionCookie": [], "csrfToken": [] }]),
        Guard::Public | Guard::ByCredential => json!([]),
        Guard::User => json!([{ "userToken": ["account"] }]),
        Guard::Introspector => json!([{ "userToken": ["account"] }, { "platformToken": [] }]),
        Guard::TenantAdmin => json!([{ "userToken": ["admin"] }, { "platformToken": [] }]),
        Guard::PlatformAdmin => json!([{ "platformToken": [] }]),
    }
}

/// What refuses a request before or around its handler.
fn edge_refusals(route: &RouteInfo, operation: &Operation) -> BTreeSet<u16> {
    let mut statuses = BTreeSet::from([404, 431, 500, 503]);
    if route.path.contains("{slug}") {
        statuses.insert(429);
    }
    match route.guard {
        Guard::Public | Guard::ByCredential => {}
        Guard::PlatformAdmin => statuses.extend([401]),
        Guard::User | Guard::Introspector | Guard::TenantAdmin => statuses.extend([401, 403]),
    }
    match operation.body {
        Body::None => {}
        Body::Form(_) | Body::Image => statuses.extend([400, 408, 413]),
        // A body of the wrong type is answered with 400 where errors are those of RFC 6749, 5.2.
        Body::Json(_) | Body::OptionalJson(_) if speaks_oauth(route.path) => statuses.extend([400, 408, 413]),
        Body::Json(_) | Body::OptionalJson(_) => statuses.extend([400, 408, 413, 415]),
    }
    // How a verifier names itself is never refused, only passed over.
    if operation.parameters.iter().any(|name| !["verifier", "Claviger-Verifier"].contains(name)) {
        statuses.insert(400);
    }
    statuses
}

/// Every status of [`edge_refusals`], with its codes in both languages.
const EDGE: &[(u16, &str, &str)] = &[
    (400, "`bad_request`", "`invalid_request`"),
    (401, "`no_token` or `invalid_token`", "`invalid_client`: there is no token; or `invalid_token`"),
    (403, "`insufficient_scope`", "`insufficient_scope`"),
    (
        404,
        "`not_found`: there is no such thing, or it is another tenant's; `unknown_host`: no site has this host",
        "`invalid_request`: there is no such issuer",
    ),
    (408, "`too_slow`: the body did not come in time", "`invalid_request`: the body did not come in time"),
    (413, "`too_large`", "`invalid_request`: the body is too large"),
    (415, "`unsupported_media_type`", "`invalid_request`"),
    (429, "`too_many_requests`: the tenant asks for more than it may", "`too_many_requests`: the tenant asks for more than it may"),
    (431, "`head_too_large`", "`invalid_request`: the head is too large"),
    (500, "`internal`: something is broken on our side", "`server_error`: something is broken on our side"),
    (503, "`unavailable`, `upgrade_under_way` or `took_too_long`: try again", "`temporarily_unavailable`: try again"),
];

fn edge_meaning(status: u16, oauth: bool) -> &'static str {
    EDGE.iter().find(|(known, ..)| *known == status).map_or("", |(_, problem, error)| if oauth { error } else { problem })
}

fn edge_name(status: u16, oauth: bool) -> String {
    format!("{}{status}", if oauth { "OAuthError" } else { "Problem" })
}

/// The refusals that many routes share.
fn shared_responses() -> Value {
    let both = EDGE.iter().flat_map(|(status, ..)| [(*status, false), (*status, true)]);
    // A form of the wrong type is answered with 400 (RFC 6749, 5.2).
    let real = both.filter(|(status, oauth)| !(*oauth && *status == 415));
    let responses = real.map(|(status, oauth)| {
        let challenge: &[&str] = if matches!(status, 401 | 403) { &["WWW-Authenticate"] } else { &[] };
        (edge_name(status, oauth), refusal(status, oauth, edge_meaning(status, oauth), challenge))
    });
    responses.collect::<Map<_, _>>().into()
}

fn refusal(status: u16, oauth: bool, meaning: &str, headers: &[&str]) -> Value {
    let (media_type, schema) = if oauth { ("application/json", "OAuthError") } else { ("application/problem+json", "Problem") };
    let retry: &[&str] = if matches!(status, 429 | 503) { &["Retry-After"] } else { &[] };
    json!({
        "description": meaning,
        "headers": header_references(headers.iter().chain(retry)),
        "content": { media_type: { "schema": schemas::reference(schema) } },
    })
}

fn header_references<'a>(names: impl Iterator<Item = &'a &'a str>) -> Value {
    let all = ["X-Request-Id"].iter().chain(names);
    all.map(|name| ((*name).to_owned(), json!({ "$ref": format!("#/components/headers/{name}") }))).collect::<Map<_, _>>().into()
}

/// Statuses and what they mean: the operation's own answers and refusals, and those of the edge.
fn responses(route: &RouteInfo, operation: &Operation) -> Value {
    let oauth = speaks_oauth(route.path);
    let mut responses = Map::new();
    for (status, schema, meaning) in operation.answers {
        // What OAuth makes is named in the body (RFC 7591, 3.2.1; RFC 9126, 2.2).
        let location: &[&str] = if *status == 303 || (*status == 201 && !oauth) {
            &["Location"]
        } else if *status == 429 {
            &["Retry-After"]
        } else {
            &[]
        };
        let mut response = json!({ "description": meaning, "headers": header_references(operation.headers.iter().chain(location)) });
        if let Some(schema) = schema {
            response["content"] = json!({ operation.media_type: { "schema": schemas::reference(schema) } });
            for other in operation.or_as {
                response["content"][*other] = json!({ "schema": { "type": "string" } });
            }
        }
        responses.insert(status.to_string(), response);
    }
    let edge = edge_refusals(route, operation);
    // What a page says itself, no edge says instead of it.
    for status in edge.iter().filter(|status| !operation.answers.iter().any(|(own, ..)| own == *status)) {
        responses.insert(status.to_string(), json!({ "$ref": format!("#/components/responses/{}", edge_name(*status, oauth)) }));
    }
    if Left::of(route.path, route.method) == Left::Redirect {
        let headers = header_references(["Location", "Cache-Control"].iter());
        responses
            .insert("308".to_owned(), json!({ "description": "The tenant has a domain of its own, where this is.", "headers": headers }));
    }
    for (status, meaning) in operation.refusals {
        let meaning = if edge.contains(status) { format!("{}; {meaning}", edge_meaning(*status, oauth)) } else { (*meaning).to_owned() };
        // A login has no scheme that HTTP knows; a client has Basic.
        let is_told = *status == 401 || (*status == 403 && !operation.takes_cookie);
        let challenge: &[&str] = if oauth && is_told { &["WWW-Authenticate"] } else { &[] };
        responses.insert(status.to_string(), refusal(*status, oauth, &meaning, challenge));
    }
    Value::Object(responses)
}

fn parameters() -> Value {
    let in_path = |name: &str, schema: Value, description: &str| json!({ "name": name, "in": "path", "required": true, "schema": schema, "description": description });
    let in_query =
        |name: &str, schema: Value, description: &str| json!({ "name": name, "in": "query", "schema": schema, "description": description });
    let text = || json!({ "type": "string" });
    json!({
        "user_code": in_query("user_code", text(), "What is filled in for the user, who sends it."),
        "slug": in_path("slug", text(), "The tenant's slug; under `/admin` its id will do as well."),
        "user": in_path("user", schemas::reference("UserId"), "The user's id."),
        "tenant": in_path("tenant", schemas::reference("TenantId"), "The id of a tenant that was deleted."),
        "session": in_path("session", schemas::reference("SessionId"), "The session's id."),
        "request": in_path("request", text(), "The name of a pending authorization request."),
        "link": in_path("link", text(), "The secret in a link that came by mail."),
        "user_code": in_query("user_code", text(), "The code that the device shows, filled in already."),
        "file": in_path("file", text(), "The name of a file."),
        "client": in_path("client", schemas::reference("ClientId"), "The client's id."),
        "secret": in_path("secret", schemas::reference("ClientSecretId"), "The secret's id."),
        "token": in_path("token", schemas::reference("InitialAccessTokenId"), "The token's id."),
        "resource": in_path("resource", schemas::reference("ResourceId"), "The id of an API."),
        "issuer": in_path("issuer", schemas::reference("TrustedIssuerId"), "The id of a trusted issuer."),
        "kid": in_path("kid", text(), "The key's id."),
        "level": in_path("level", text(), "`entries`, or the level of the hashes."),
        "tile": in_path("tile", text(), "The number of the tile, in groups of three digits; `.p` after the last one when the tile is partial."),
        "tile2": in_path("tile2", text(), "The next group, or the width of a partial tile."),
        "width": in_path("width", text(), "The next group, or the width of a partial tile."),
        "index": in_query("index", json!({ "type": "integer", "minimum": 0 }), "The number of the entry, from 0."),
        "size": in_query("size", json!({ "type": "integer", "minimum": 1 }), "How many entries the tree has."),
        "from": in_query("from", json!({ "type": "integer", "minimum": 1 }), "How many entries the shorter tree has."),
        "to": in_query("to", json!({ "type": "integer", "minimum": 1 }), "How many entries the longer tree has."),
        "limit": in_query("limit", json!({ "type": "integer", "minimum": 1, "maximum": 200, "default": 50 }), "The most items of a page."),
        "after": in_query("after", text(), "`next` of the page before; left out for the first page."),
        "format": in_query("format", json!({ "type": "string", "enum": ["json", "svg"] }), "The answer as members or as a picture, whatever `Accept` says."),
        "verifier": in_query("verifier", text(), "As `Claviger-Verifier`, for whoever can only set an address."),
        "Claviger-Verifier": { "name": "Claviger-Verifier", "in": "header", "schema": text(), "description": "Who fetches: 1 to 64 of `A-Z`, `a-z`, `0-9`, `.`, `_` and `-`; anything else is passed over." },
        "search": in_query("search", json!({ "type": "string", "minLength": 1, "maxLength": 100 }), "Only those whose slug or name begins so, in whatever case: first by slug, then by name. A page may be shorter than `limit`; the last one has no `next`."),
        "confirm": in_query("confirm", text(), "The tenant's slug once more, because what ends by this does not come back."),
    })
}

fn headers() -> Value {
    let header = |schema: Value, description: &str| json!({ "schema": schema, "description": description });
    let text = || json!({ "type": "string" });
    json!({
        "X-Request-Id": header(text(), "The id of this request in logs and in the audit log: the sender's own, or a new one."),
        "Location": header(text(), "The address of what was created, or of the certificate of what was deleted."),
        "ETag": header(text(), "Changes with the keys; send it as `If-None-Match`."),
        "Cache-Control": header(text(), "How long the answer may be kept."),
        "Set-Cookie": header(text(), "The session's refresh token, for a login that asked for a cookie session and for what follows from it."),
        "WWW-Authenticate": header(text(), "The scheme, and why a token was refused (RFC 6750)."),
        "Retry-After": header(json!({ "type": "integer", "minimum": 1 }), "Seconds to wait before trying again."),
    })
}

fn security_schemes() -> Value {
    json!({
        "userToken": {
            "type": "http", "scheme": "bearer", "bearerFormat": "JWT",
            "description": "A user's access token. Under `/admin` it needs the scope `admin` and the user the role `claviger:admin`.",
        },
        "platformToken": {
            "type": "http", "scheme": "bearer",
            "description": "A token of the platform's administrator, printed by `claviger admin token`.",
        },
        "sessionCookie": {
            "type": "apiKey", "in": "cookie", "name": cookie::NAME,
            "description": "The refresh token of a cookie session. Browsers send it by themselves; so it needs `csrfToken` as well.",
        },
        "csrfToken": { "type": "apiKey", "in": "header", "name": "X-CSRF-Token", "description": "`csrf_token` of the last token answer." },
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn every_route_is_described_and_nothing_else_is() {
        let served: BTreeSet<_> = table().into_iter().map(|route| (route.path, route.method)).collect();
        let described: BTreeSet<_> = operations().into_iter().map(|(method, path, _)| (path, method)).collect();
        assert_eq!(described.len(), operations().len(), "each route once");
        assert_eq!(served.difference(&described).collect::<Vec<_>>(), Vec::<&(&str, &str)>::new(), "not described");
        assert_eq!(described.difference(&served).collect::<Vec<_>>(), Vec::<&(&str, &str)>::new(), "not served");
        let ids: BTreeSet<_> = operations().into_iter().map(|(_, _, operation)| operation.id).collect();
        assert_eq!(ids.len(), served.len(), "each operation has a name of its own");
    }

    fn references(value: &Value, found: &mut BTreeSet<String>) {
        match value {
            Value::Object(members) => {
                found.extend(members.get("$ref").and_then(Value::as_str).map(str::to_owned));
                members.values().for_each(|member| references(member, found));
            }
            Value::Array(items) => items.iter().for_each(|item| references(item, found)),
            _ => {}
        }
    }

    #[test]
    fn every_reference_points_at_something_and_everything_is_pointed_at() {
        let description = description();
        let mut found = BTreeSet::new();
        references(&description, &mut found);
        for reference in &found {
            let pointer = reference.strip_prefix('#').expect("a reference inside the description");
            assert!(description.pointer(pointer).is_some(), "{reference} points at nothing");
        }
        for kind in ["parameters", "headers", "responses", "schemas"] {
            for name in description["components"][kind].as_object().expect("components").keys() {
                assert!(found.contains(&format!("#/components/{kind}/{name}")), "{kind}/{name} is used by nothing");
            }
        }
    }

    #[test]
    fn the_file_in_docs_is_this_description() {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/openapi.json");
        let text = format!("{:#}\n", description());
        if std::env::var_os("CLAVIGER_WRITE_OPENAPI").is_some() {
            std::fs::write(&file, &text).expect("docs/openapi.json is written");
        }
        let kept = std::fs::read_to_string(&file).unwrap_or_default();
        assert!(
            kept == text,
            "docs/openapi.json is old: run `CLAVIGER_WRITE_OPENAPI=1 cargo test -p api description`, and read the difference"
        );
    }
}
