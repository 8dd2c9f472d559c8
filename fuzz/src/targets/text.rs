//! Short texts: names, ids, handles, moments, addresses in the key log.

use std::fmt::{Debug, Display};
use std::str::FromStr;

use domain::details;
use domain::device::UserCode;
use domain::handle::{Handle, HandleKind};
use domain::ids::{ClientSecretId, FamilyId, InitialAccessTokenId, RegisteredClientId, ResourceId, TenantId, TokenId, UserId};
use domain::keys::ring::Kid;
use domain::keys::thumbprint::Thumbprint;
use domain::language::Language;
use domain::openid::ClaimsRequest;
use domain::resource::Resource;
use domain::scope::Scope;
use domain::text::{DisplayName, Email, Role, Slug, Username};
use domain::time::Timestamp;
use domain::token::refresh_token;
use serde_json::json;
use transparency::note::{self, Vkey};
use transparency::tile::{Holds, Tile, unbundle};

/// What is read is written in exactly the form it was read from.
fn one_spelling<T: FromStr + Display>(text: &str) {
    if let Ok(read) = text.parse::<T>() {
        assert_eq!(read.to_string(), text, "another spelling of the same");
    }
}

/// What is shown of it is read as the same again.
fn settles<T: FromStr + Display + PartialEq + Debug>(text: &str) {
    if let Ok(read) = text.parse::<T>() {
        assert_eq!(read.to_string().parse::<T>().ok(), Some(read), "of {text:?}");
    }
}

/// A wish survives being kept with the request, and only bounded ones are taken.
pub(super) fn claims(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let Ok(read) = text.parse::<ClaimsRequest>() else { return };
    assert!(text.len() <= 4_096 && read.id_token.len() + read.userinfo.len() <= 64);
    let stored = serde_json::to_string(&read).unwrap_or_default();
    let again: ClaimsRequest = serde_json::from_str(&stored).unwrap_or_else(|error| panic!("{stored}: {error}"));
    for (one, other) in [(&read.id_token, &again.id_token), (&read.userinfo, &again.userinfo)] {
        assert!(one.keys().eq(other.keys()), "{stored}");
        for (wish, kept) in one.values().zip(other.values()).filter_map(|(wish, kept)| wish.as_ref().zip(kept.as_ref())) {
            assert!(wish.essential == kept.essential && wish.wanted().eq(kept.wanted()), "{stored}");
        }
    }
}

/// An API with one type of authorization details.
fn bank() -> Option<Resource> {
    let amount =
        json!({ "value": { "kind": "decimal", "required": true, "max": 1_000 }, "currency": { "kind": "text", "required": true } });
    let members = json!({
        "amount": { "kind": "object", "required": true, "members": amount }, "payee": { "kind": "text", "required": true, "max_length": 20 },
        "actions": { "kind": "list", "one_of": ["initiate", "status"] }, "day": { "kind": "integer", "min": 1, "max": 31 },
        "is_urgent": { "kind": "boolean" },
    });
    let payment = json!({ "members": members, "words": { "en": "Pay {amount.value} {amount.currency} to {payee}" } });
    Some(Resource {
        id: ResourceId::new(Timestamp::EPOCH, [1; 10]),
        identifier: "https://bank.example".parse().ok()?,
        settings: serde_json::from_value(json!({ "name": "Bank", "authorization_details_types": { "payment": payment } })).ok()?,
        created_at: Timestamp::EPOCH,
        updated_at: Timestamp::EPOCH,
    })
}

/// What is taken is bounded and kept as it is, has no member that its type has not, and is shown to its user with everything in it.
pub(super) fn authorization_details(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let Ok(read) = details::read(&text) else { return };
    let stored = serde_json::to_string(&read).unwrap_or_default();
    assert!(stored.len() <= 2_048 && (1..=8).contains(&read.iter().count()), "{stored}");
    assert_eq!(details::read(&stored).as_ref(), Ok(&read));
    // An empty list is no part of a list.
    assert!(stored.contains("[]") || read.narrowed(Some(read.clone())).as_ref() == Ok(&read), "{stored}");
    let apis: Vec<_> = bank().into_iter().collect();
    assert_eq!(apis.len(), 1);
    if read.checked(&apis, None).is_err() {
        return;
    }
    for (name, one) in read.iter() {
        let (_, kind) = details::defined(&apis, name).unwrap_or_else(|| panic!("{name} was taken"));
        assert!(one.keys().all(|name| name == "type" || kind.members.contains_key(name.as_str())), "{stored}");
        let (said, rest) = kind.said(Language::English, one);
        let values: Vec<_> = said.iter().filter(|said| matches!(said, details::Said::Value(_))).collect();
        let inside: usize = one.values().map(|value| value.as_object().map_or(1, serde_json::Map::len)).sum();
        assert_eq!(values.len() + rest.len() + 1, inside, "something is not shown: {stored}");
        assert!(values.iter().all(|said| !matches!(said, details::Said::Value(text) if text.is_empty() || text.contains('\u{202e}'))));
    }
}

/// Two lines: `ui_locales` and `Accept-Language`. What is asked for first wins, and nonsense never does.
pub(super) fn languages(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let (asked, accepted) = text.split_once('\n').unwrap_or((&text, ""));
    for default in Language::ALL {
        assert_eq!(Language::negotiate(Some(&format!("de-CH {asked}")), Some(accepted), default), Language::German);
        let chosen = Language::negotiate(Some(asked), None, default);
        let is_asked_for = asked.split_ascii_whitespace().any(|tag| Language::of_tag(tag) == Some(chosen));
        assert!(is_asked_for || chosen == default, "{asked:?}");
        assert_eq!(Language::negotiate(None, Some("*;q=0, it"), default), default);
        if accepted.len() < 64 {
            let most_wanted = format!("fr, {}", accepted.replace(|c: char| c.is_ascii_digit() || c == ',', ""));
            let got = Language::negotiate(None, Some(&most_wanted), default);
            assert_eq!(got, Language::French, "{most_wanted:?}");
        }
    }
}

/// A tile has one address, and lies in a log of some size.
pub(super) fn tile(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    if let Ok(tile) = text.parse::<Tile>() {
        assert_eq!(tile.to_string(), text);
        assert!((1..=256).contains(&tile.width));
        let end = tile.first() + tile.width;
        if tile.holds == Holds::Entries {
            assert!(tile.is_in(end) && !tile.is_in(end - 1), "{text}");
        }
        assert!(!tile.is_in(0), "{text}");
    }
    if let Some(entries) = unbundle(data) {
        assert_eq!(entries.iter().map(|entry| entry.len() + 2).sum::<usize>(), data.len());
    }
}

/// Nobody has signed these with the key that is asked for.
pub(super) fn note(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let (vkey, rest) = text.split_once('\n').unwrap_or((&text, ""));
    if let Ok(read) = vkey.parse::<Vkey>() {
        assert_eq!(read.to_string(), vkey, "another spelling of the same key");
        assert!(note::open(rest, &read).is_err(), "signed by {vkey}: {rest:?}");
    }
    if let Some(other) = Vkey::new("id.example/t/acme", &[9; 32]) {
        assert!(note::open(&text, &other).is_err());
    }
}

const KINDS: [HandleKind; 14] = [
    HandleKind::AuthorizationCode,
    HandleKind::PendingRequest,
    HandleKind::PushedRequest,
    HandleKind::DeviceCode,
    HandleKind::SsoSession,
    HandleKind::Browser,
    HandleKind::ClientSecret,
    HandleKind::PasswordReset,
    HandleKind::EmailVerification,
    HandleKind::EmailChange,
    HandleKind::InitialAccessToken,
    HandleKind::RegistrationAccessToken,
    HandleKind::AuthSession,
    HandleKind::BackchannelRequest,
];

/// What opens something has one spelling and one kind.
pub(super) fn handles(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let read: Vec<Handle> = KINDS.into_iter().filter_map(|kind| Handle::parse(kind, &text)).collect();
    assert!(read.len() <= 1, "{text} is of two kinds");
    for handle in &read {
        assert_eq!(*handle.text().expose(), text);
    }
    if let Some(token) = refresh_token::parse(&text) {
        assert!(read.is_empty(), "{text} is of two kinds");
        let body = refresh_token::body(token.key_version, token.family_id, token.generation);
        assert_eq!(refresh_token::format(&body, &token.mac), text);
    }
    if let Some(code) = UserCode::parse(&text) {
        let again = UserCode::parse(&code.shown()).unwrap_or_else(|| panic!("{} is no code", code.shown()));
        assert_eq!(again.letters(), code.letters());
        assert_eq!(code.letters().len(), 8);
    }
}

pub(super) fn ids(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    one_spelling::<TenantId>(&text);
    one_spelling::<UserId>(&text);
    one_spelling::<FamilyId>(&text);
    one_spelling::<ClientSecretId>(&text);
    one_spelling::<RegisteredClientId>(&text);
    one_spelling::<InitialAccessTokenId>(&text);
    one_spelling::<ResourceId>(&text);
    one_spelling::<TokenId>(&text);
    one_spelling::<Kid>(&text);
    one_spelling::<Thumbprint>(&text);
    one_spelling::<Slug>(&text);
    one_spelling::<Role>(&text);
    if let (Ok(user), true) = (text.parse::<UserId>(), text.len() == 30) {
        assert!(text.replace("usr_", "ten_").parse::<TenantId>().is_ok_and(|tenant| tenant.as_uuid() == user.as_uuid()));
    }
}

/// Names settle at once: what is stored and shown is the same name, with the same key, when it is typed again.
pub(super) fn words(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    settles::<DisplayName>(&text);
    settles::<Scope>(&text);
    settles::<Email>(&text);
    settles::<Username>(&text);
    if let Ok(email) = text.parse::<Email>() {
        let of_key = email.key().parse::<Email>();
        assert!(of_key.is_ok_and(|again| again.key() == email.key()), "the key of {text:?} is {:?}", email.key());
    }
    if let Ok(name) = text.parse::<Username>() {
        assert!(!name.key().contains('@') && !name.as_str().contains('@'), "{text:?} could shadow an address");
    }
    if let Ok(scope) = text.parse::<Scope>() {
        assert!(scope.to_string().bytes().all(|byte| (0x20..0x7f).contains(&byte) && byte != b'"' && byte != b'\\'), "{scope}");
    }
}

/// A moment that is taken can be written again, and is the same.
pub(super) fn moments(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let Ok(read) = text.parse::<Timestamp>() else { return };
    let written = read.to_string();
    assert_eq!(written.parse::<Timestamp>(), Ok(read), "{text} was written as {written}");
    assert!(written.ends_with('Z'), "{written}");
}
