//! Whatever is sent to whatever route, by whomever: nothing breaks, and every answer is a described one.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use crate::description::{body_schema, resolved};
use crate::world::{World, in_world, sent};

/// Requests per route. The numbers below decide everything, so a failure comes back.
const PER_ROUTE: u32 = 80;

/// SplitMix64: the same numbers for the same seed, everywhere.
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn one_in(&mut self, n: u64) -> bool {
        self.roll().is_multiple_of(n)
    }

    fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        let index = self.roll() % u64::try_from(from.len()).expect("a length");
        &from[usize::try_from(index).expect("an index")]
    }
}

const WORDS: &[&str] = &[
    "",
    "x",
    "acme",
    "account admin",
    "ES256",
    "2031-01-01T00:00:00Z",
    "usr_00000000000000000000000000",
    "\u{0}",
    "\u{202e}a\u{feff}",
    "'; DROP TABLE users; --",
    "wobbly-lantern-quartz-91-ferry",
    "é́́́́",
    "😀",
];
const SEGMENTS: &[&str] =
    &["", "x", "nowhere", "%00", "%ff", "%F0%9F%98%80", "a%2fb", "a;b", "ten_00000000000000000000000000", "ACME", "-", "*"];
const CONTENT_TYPES: &[&str] = &[
    "application/json",
    "application/x-www-form-urlencoded",
    "text/plain",
    "application/json; charset=utf-16",
    "multipart/form-data",
    "\t",
];
const METHODS: &[&str] = &["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD", "TRACE", "FROB"];
const QUERIES: &[&str] =
    &["limit=1", "limit=0", "limit=-1", "limit=99999999999", "after=x", "after=", "after=%ff", "confirm=x", "limit=1&limit=2", "%", "&&=&"];

/// Something of the wrong kind.
fn nonsense(dice: &mut Dice) -> Value {
    let deep = (0..100).fold(json!(1), |inner, _| json!([inner]));
    let choices =
        [json!(null), json!(true), json!(-1), json!(1e308), json!(u64::MAX), json!([]), json!({}), json!("x".repeat(5_000)), deep];
    dice.pick(&choices).clone()
}

/// Something that a schema may or may not like.
fn invented(schema: &'static Value, dice: &mut Dice) -> Value {
    if dice.one_in(12) {
        return nonsense(dice);
    }
    let schema = resolved(schema);
    if let Some(choices) = schema.get("anyOf").or_else(|| schema.get("enum")).and_then(Value::as_array) {
        let choice = dice.pick(choices);
        return if schema.get("anyOf").is_some() { invented(choice, dice) } else { choice.clone() };
    }
    let kind = match &schema["type"] {
        Value::Array(kinds) => dice.pick(kinds).as_str().map(str::to_owned),
        kind => kind.as_str().map(str::to_owned),
    };
    match kind.as_deref() {
        Some("object") => {
            let required = schema["required"].as_array().cloned().unwrap_or_default();
            let mut members = Map::new();
            for (name, member) in schema["properties"].as_object().into_iter().flatten() {
                if dice.one_in(3) || (required.contains(&json!(name)) && !dice.one_in(10)) {
                    members.insert(name.clone(), invented(member, dice));
                }
            }
            if dice.one_in(15) {
                members.insert((*dice.pick(WORDS)).to_owned(), nonsense(dice));
            }
            Value::Object(members)
        }
        Some("array") => (0..dice.roll() % 3).map(|_| invented(&schema["items"], dice)).collect(),
        Some("integer") => {
            let bound = |name: &str, otherwise: i64| schema.get(name).and_then(Value::as_i64).unwrap_or(otherwise);
            let (least, most) = (bound("minimum", 0), bound("maximum", 10_000));
            json!(*dice.pick(&[least, most, least - 1, most + 1, (least + most) / 2]))
        }
        Some("boolean") => json!(dice.one_in(2)),
        Some("string") => json!(*dice.pick(WORDS)),
        _ => Value::Null,
    }
}

/// The bytes of a body: by the schema, cut, or not even text.
fn body(schema: Option<&'static Value>, dice: &mut Dice) -> Vec<u8> {
    let value = match schema {
        Some(schema) => invented(schema, dice),
        None => nonsense(dice),
    };
    let mut bytes = value.to_string().into_bytes();
    match dice.roll() % 10 {
        0 => bytes.truncate(bytes.len() / 2),
        1 => bytes = vec![0xff, 0x00, 0xfe],
        2 => bytes = vec![b'['; 60_000],
        3 => bytes = vec![b' '; 70_000],
        4 => bytes = b"grant_type=refresh_token&client_id=first-party&refresh_token=%00&token=x&scope=".to_vec(),
        _ => {}
    }
    bytes
}

#[test]
fn no_request_whatever_breaks_anything_and_every_answer_is_described() {
    in_world(async |world: &World| {
        let tenant = world.tenant("acme").await["id"].as_str().expect("an id").to_owned();
        let admin = world.tenant_admin("acme").await;
        let platform = world.platform_token(domain::time::Ttl::hours(1)).await;
        let mut seen = BTreeSet::new();
        for (number, route) in api::table().into_iter().enumerate() {
            // A person of its own, because some routes end people and their sessions.
            let name = format!("person-{number}");
            world.user("acme", &name, &[]).await;
            let person = world.sign_in("acme", &name).await;
            let session = world.bearing(&person.access_token).get("/t/acme/me").await.is(200).word("session_id");
            let kid = world.platform_admin().get("/admin/v1/tenants/acme/keys").await.is(200).word("signing_kid");
            // Of its own, too, so that a new route changes nothing for the others.
            let seed =
                route.method.bytes().chain(route.path.bytes()).fold(0xc1a7_19e2_u64, |seed, byte| seed.rotate_left(7) ^ u64::from(byte));
            let mut dice = Dice(seed);
            for _ in 0..PER_ROUTE {
                let mut path = route.path.to_owned();
                let real_ones = [
                    ("{slug}", "acme"),
                    ("{tenant}", &tenant),
                    ("{user}", &person.user),
                    ("{session}", &session),
                    ("{kid}", &kid),
                    ("{level}", "entries"),
                    ("{tile}", "000.p"),
                    ("{tile2}", "1"),
                    ("{width}", "1"),
                ];
                for (segment, real) in real_ones {
                    let filled = if dice.one_in(6) { *dice.pick(SEGMENTS) } else { real };
                    path = path.replace(segment, filled);
                }
                if dice.one_in(3) {
                    path = format!("{path}?{}", dice.pick(QUERIES));
                }
                let caller = match dice.roll() % 6 {
                    0 => world.anon(),
                    1 => world.bearing(&person.access_token),
                    2 => world.bearing("a.b.c"),
                    3 => world.bearing(&admin.access_token),
                    _ => world.bearing(&platform),
                };
                let method = if dice.one_in(5) { dice.pick(METHODS) } else { route.method };
                let mut request = caller.request(method, &path);
                if dice.one_in(10) {
                    request = request.header("cookie", "__Secure-claviger_session=x").header("x-csrf-token", "x");
                }
                let (content_type, schema) = body_schema(route.method, route.path);
                if schema.is_some() || dice.one_in(5) {
                    let content_type = if dice.one_in(8) { *dice.pick(CONTENT_TYPES) } else { content_type };
                    request = request.header("content-type", content_type).body(body(schema, &mut dice));
                }
                // `sent` holds the answer against the description.
                let answer = sent(request).await;
                seen.insert(answer.status);
                assert!(answer.status < 500, "{method} {path} answered {}: {}", answer.status, answer.text);
            }
            // Whatever happened to the tenant, the next route finds it as it was.
            world.platform_admin().post("/admin/v1/tenants/acme/resume", json!({})).await.is(200);
            let argon2 = json!({ "memory_kib": 7_168, "iterations": 5, "parallelism": 1 });
            world.policy("acme", json!({ "argon2": argon2, "password": { "min_length": 15 }, "access_ttl_seconds": 3_600 })).await;
            // A password is refused for holding the tenant's name, which may have become just that.
            world.platform_admin().patch("/admin/v1/tenants/acme", json!({ "name": "acme" })).await.is(200);
        }
        world.platform_admin().get("/admin/v1/tenants/acme").await.is(200);
        // It was not all refused at the door.
        for wanted in [200, 201, 202, 204, 400, 401, 403, 404, 405, 409, 413, 415, 422] {
            assert!(seen.contains(&wanted), "nothing was answered with {wanted}: {seen:?}");
        }
    });
}
