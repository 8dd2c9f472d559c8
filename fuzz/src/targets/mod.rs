//! All targets, in one table.

mod client;
mod http;
mod jwt;
mod password;
mod text;

use crate::Target;

pub(crate) use jwt::is_taken;

const URLS: &[&str] = &[
    "https://",
    "http://",
    "https:",
    "http:",
    "HTTPS://",
    "app.example",
    "127.0.0.1",
    "[::1]",
    "localhost",
    ":443",
    ":80",
    ":0",
    ":65535",
    ":8080",
    "/cb",
    "?a=1",
    "#",
    "@evil.example",
    "user:pw@",
    "\n",
    "com.example.app:/",
    "javascript:",
    ".",
    "%2e%2e",
    "..;",
    "xn--",
    "https:x",
];
const JSON: &[&str] = &[
    "\"kty\":\"RSA\"",
    "\"kty\":\"EC\"",
    "\"kty\":\"OKP\"",
    "\"crv\":\"P-256\"",
    "\"crv\":\"Ed25519\"",
    "\"d\":\"AA\"",
    "\"use\":\"enc\"",
    "\"alg\":\"none\"",
    "\"alg\":\"ES256\"",
    "\"kid\":\"a\"",
    "\"e\":\"AQ\"",
    "\"e\":\"AQAB\"",
    "\"n\":\"",
    "\"x\":\"",
    "{",
    "}",
    "[",
    "]",
    ":",
    ",",
];
const CLAIMS: &[&str] = &[
    "\"alg\":\"none\"",
    "\"alg\":\"HS256\"",
    "\"alg\":\"ES256\"",
    "\"alg\":\"EdDSA\"",
    "\"typ\":\"JWT\"",
    "\"typ\":\"at+jwt\"",
    "\"typ\":\"dpop+jwt\"",
    "\"crit\":[\"exp\"]",
    "\"jku\":\"https://evil.example\"",
    "\"jwk\":{}",
    "\"x5c\":[]",
    "\"b64\":false",
    "\"zip\":\"DEF\"",
    "\"kid\":\"b\"",
    "\"iss\":\"https://id.example/t/acme\"",
    "\"aud\":[]",
    "\"exp\":1e300",
    "\"exp\":\"1\"",
    "\"nbf\":null",
    "\"sub\":\"cli\"",
    "\"jti\":\"\"",
    ",",
    "\n",
];
const TAGS: &[&str] = &["de", "en-GB", "fr;q=0.5", "zh-TW", "*;q=0.1", ";q=0", ";q=1.000", " ", ",", "_", "-"];

/// Every parser of what strangers send.
pub const TARGETS: &[Target] = &[
    Target { name: "form", run: http::form, rounds: 6_000, words: &["&", "=", "resource=", "audience=", "a=1", "%ff", "%00", "+", ";"] },
    Target { name: "basic", run: http::basic, rounds: 6_000, words: &["Basic ", "basic  ", "Bearer ", "Og==", "OjA", "YTpi", "="] },
    Target { name: "cookies", run: http::cookies, rounds: 4_000, words: http::COOKIE_WORDS },
    Target {
        name: "forwarded",
        run: http::forwarded,
        rounds: 6_000,
        words: &["10.0.0.1", "10.0.0.2", "::ffff:10.0.0.1", "203.0.113.9", "2001:db8::1", "unknown", ",", "\n", ":80", "[::1]"],
    },
    Target {
        name: "host",
        run: http::host,
        rounds: 6_000,
        words: &["login.acme.example", ":443", ":8443", ".", "xn--", "-", "[::1]", "127.0.0.1", "0x7f", "A", "@", "\u{3002}"],
    },
    Target { name: "if-none-match", run: http::if_none_match, rounds: 6_000, words: &["W/", "\"", "*", http::ETAG, ","] },
    Target { name: "redirect-uri", run: client::redirect_uri, rounds: 20_000, words: URLS },
    Target { name: "web-origin", run: client::web_origin, rounds: 6_000, words: URLS },
    Target { name: "resource-uri", run: client::resource_uri, rounds: 6_000, words: URLS },
    Target { name: "jwks", run: client::jwks, rounds: 6_000, words: JSON },
    Target { name: "client-metadata", run: client::metadata, rounds: 4_000, words: client::METADATA_WORDS },
    Target {
        name: "claims",
        run: text::claims,
        rounds: 6_000,
        words: &["\"userinfo\":", "\"id_token\":", "{\"essential\":true}", "\"values\":[", "null"],
    },
    Target { name: "languages", run: text::languages, rounds: 6_000, words: TAGS },
    Target { name: "tile", run: text::tile, rounds: 8_000, words: &["entries/", "0/", "x000/", "000", ".p/", "255", "256", "/"] },
    Target { name: "note", run: text::note, rounds: 4_000, words: &["\u{2014} ", "\n", "\n\n", "AAAA", "id.example/t/acme"] },
    Target {
        name: "handles",
        run: text::handles,
        rounds: 6_000,
        words: &["ac1_", "rt1_", "ss1_", "urn:ietf:params:oauth:request_uri:", "A", "_", "-"],
    },
    Target { name: "ids", run: text::ids, rounds: 6_000, words: &["usr_", "ten_", "cli_", "7zzz", "8", "i", "l"] },
    Target {
        name: "words",
        run: text::words,
        rounds: 4_000,
        words: &["@", "a.example", "openid", "xn--", "ß", "Å", "\u{200d}", "ﬁ", "．", "＠"],
    },
    Target {
        name: "moments",
        run: text::moments,
        rounds: 8_000,
        words: &["T", "Z", "+23:59", "-23:59", "9999", "0000", "-12-31", ":60", ".999999999"],
    },
    Target { name: "password-hash", run: password::hash, rounds: 3_000, words: password::WORDS },
    Target { name: "access-token", run: jwt::access_token, rounds: 3_000, words: CLAIMS },
    Target { name: "id-token-hint", run: jwt::id_token_hint, rounds: 3_000, words: CLAIMS },
    Target { name: "client-assertion", run: jwt::client_assertion, rounds: 3_000, words: CLAIMS },
    Target { name: "request-object", run: jwt::request_object, rounds: 3_000, words: CLAIMS },
    Target { name: "dpop-proof", run: jwt::dpop_proof, rounds: 3_000, words: CLAIMS },
];
