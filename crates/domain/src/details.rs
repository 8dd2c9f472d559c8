//! Authorization details (RFC 9396): what a client asks for more exactly than a scope can say, such as one payment.
//!
//! A tenant's API defines the types there are ([`DetailType`]); [`read`] takes what somebody sends, [`AuthorizationDetails::checked`] holds it
//! against the types, [`AuthorizationDetails::narrowed`] against what was granted. Invariant: nothing is granted that its type does not
//! describe member by member, and nothing that is granted is left out of what its user is shown.

use std::borrow::Borrow;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::language::Language;
use crate::resource::{Resource, ResourceSet};
use crate::text::{BadMember, BadText};

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $is_one:expr, $words:literal) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = BadText;

            fn try_from(text: String) -> Result<Self, BadText> {
                let is_one: fn(&str) -> bool = $is_one;
                if is_one(&text) { Ok(Self(text)) } else { Err(BadText($words)) }
            }
        }

        impl std::str::FromStr for $name {
            type Err = BadText;

            fn from_str(text: &str) -> Result<Self, BadText> {
                text.to_owned().try_into()
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

name!(
    /// A `type` (RFC 9396, 2): a word or a URI.
    DetailTypeName,
    |text| (1..=128).contains(&text.len()) && text.bytes().all(|b| (0x21..=0x7e).contains(&b) && !b"\"<>\\^`{|}".contains(&b)),
    "a type of authorization details is 1 to 128 printable ASCII characters without quotes, brackets and braces"
);
name!(
    /// The name of a member of such details.
    MemberName,
    |text| {
        let is_word = text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
        (1..=64).contains(&text.len()) && is_word && text != "type"
    },
    "a member of authorization details is 1 to 64 of letters, digits, '_' and '-', and not type"
);

/// What the value of a member is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A string on one line.
    Text,
    /// Several of them.
    List,
    Integer,
    Boolean,
    /// A number that must not lose anything on its way, such as an amount: a string like `123.50`.
    Decimal,
    /// Members of its own, none of which is an object again.
    Object,
}

/// A member that details of a type may have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Member {
    pub kind: Kind,
    #[serde(default)]
    pub required: bool,
    /// Of a text and of each in a list: characters at most, 1 to 256; 128 where nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_length: Option<u16>,
    /// Of a list: 1 to 20; 10 where nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_items: Option<u8>,
    /// Of a text and of each in a list: one of these.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub one_of: BTreeSet<String>,
    /// Of an integer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min: Option<i64>,
    /// Of an integer and of a decimal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<i64>,
    /// Of an object.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub members: BTreeMap<MemberName, Self>,
}

/// One type of details, as the API defines it that they are about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DetailType {
    pub members: BTreeMap<MemberName, Member>,
    /// What users are asked, by language. `{amount.value}` stands for a member that is always there.
    pub words: BTreeMap<Language, String>,
    /// Whether a user is asked again also for what they have allowed before, word by word.
    #[serde(default)]
    pub ask_each_time: bool,
}

/// Characters of a text that would not be seen, or would turn what stands beside them around.
fn is_unseen(c: char) -> bool {
    c.is_control() || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{61c}')
}

impl Member {
    fn validated(&self, is_inside: bool) -> Result<(), BadMember> {
        let is_text = matches!(self.kind, Kind::Text | Kind::List);
        let said = [
            ("max_length", self.max_length.is_some(), is_text),
            ("one_of", !self.one_of.is_empty(), is_text),
            ("max_items", self.max_items.is_some(), self.kind == Kind::List),
            ("min", self.min.is_some(), self.kind == Kind::Integer),
            ("max", self.max.is_some(), matches!(self.kind, Kind::Integer | Kind::Decimal)),
            ("members", !self.members.is_empty(), self.kind == Kind::Object),
        ];
        if let Some((name, ..)) = said.into_iter().find(|(_, is_said, has_it)| *is_said && !has_it) {
            return Err(BadMember::new(name, "a member of this kind has none"));
        }
        if !self.max_length.is_none_or(|most| (1..=256).contains(&most)) {
            return Err(BadMember::new("max_length", "1 to 256"));
        }
        if !self.max_items.is_none_or(|most| (1..=20).contains(&most)) {
            return Err(BadMember::new("max_items", "1 to 20"));
        }
        if self.one_of.len() > 50 || self.one_of.iter().any(|word| word.is_empty() || word.len() > 256 || word.chars().any(is_unseen)) {
            return Err(BadMember::new("one_of", "at most 50 texts of 1 to 256 bytes without control characters"));
        }
        if self.min.zip(self.max).is_some_and(|(min, max)| min > max) || (self.kind == Kind::Decimal && self.max.is_some_and(|max| max < 0))
        {
            return Err(BadMember::new("max", "it is less than any value could be"));
        }
        if self.kind == Kind::Object && (is_inside || self.members.is_empty()) {
            return Err(BadMember::new("members", "an object has members, none of which is an object again"));
        }
        members_validated(&self.members, true)
    }

    fn is_text(&self, value: &Value) -> bool {
        let Some(text) = value.as_str() else { return false };
        let most = usize::from(self.max_length.unwrap_or(128));
        let is_line = !text.is_empty() && text.chars().count() <= most && !text.chars().any(is_unseen);
        is_line && (self.one_of.is_empty() || self.one_of.contains(text))
    }

    fn check(&self, value: &Value) -> Result<(), DetailsRefused> {
        let fits = match self.kind {
            Kind::Text => self.is_text(value),
            Kind::List => value.as_array().is_some_and(|all| {
                let is_in_bounds = (1..=usize::from(self.max_items.unwrap_or(10))).contains(&all.len());
                is_in_bounds && all.iter().all(|one| self.is_text(one))
            }),
            Kind::Integer => {
                value.as_i64().is_some_and(|number| self.min.is_none_or(|min| min <= number) && self.max.is_none_or(|max| number <= max))
            }
            Kind::Boolean => value.is_boolean(),
            Kind::Decimal => value.as_str().is_some_and(|text| is_decimal(text, self.max)),
            Kind::Object => return check_members(&self.members, value.as_object().ok_or(DetailsRefused::BadMember)?),
        };
        if fits { Ok(()) } else { Err(DetailsRefused::BadMember) }
    }
}

fn members_validated(members: &BTreeMap<MemberName, Member>, are_inside: bool) -> Result<(), BadMember> {
    members.iter().try_for_each(|(name, member)| member.validated(are_inside).map_err(|bad| bad.within(format_args!("members.{name}"))))
}

/// Digits, and up to six behind a point; no sign, no zero before another digit, and at most `max`.
fn is_decimal(text: &str, max: Option<i64>) -> bool {
    let (whole, part) = text.split_once('.').map_or((text, None), |(whole, part)| (whole, Some(part)));
    let is_digits = |text: &str, most: usize| (1..=most).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    let is_written_well = is_digits(whole, 15) && (whole == "0" || !whole.starts_with('0')) && part.is_none_or(|part| is_digits(part, 6));
    let has_part = part.is_some_and(|part| part.bytes().any(|b| b != b'0'));
    is_written_well && max.is_none_or(|max| whole.parse::<i64>().is_ok_and(|whole| whole < max || (whole == max && !has_part)))
}

fn check_members(known: &BTreeMap<MemberName, Member>, said: &Map<String, Value>) -> Result<(), DetailsRefused> {
    if !said.keys().all(|name| known.contains_key(name.as_str())) {
        return Err(DetailsRefused::UnknownMember);
    }
    known.iter().try_for_each(|(name, member)| match said.get(name.as_str()) {
        Some(value) => member.check(value),
        None if member.required => Err(DetailsRefused::MissingMember),
        None => Ok(()),
    })
}

/// A piece of what a user reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Said {
    /// The tenant's words.
    Words(String),
    /// What the client has sent.
    Value(String),
}

/// What a user is asked: a sentence, and everything that it does not mention, by name.
pub type Question = (Vec<Said>, Vec<(String, String)>);

/// The pieces of a sentence: words, and the paths of members between them. `None` when a brace is alone.
fn pieces(sentence: &str) -> Option<Vec<Result<&str, &str>>> {
    let mut pieces = Vec::new();
    let mut rest = sentence;
    while let Some((words, after)) = rest.split_once('{') {
        let (path, after) = after.split_once('}')?;
        if words.contains('}') || path.contains('{') {
            return None;
        }
        pieces.extend([Ok(words), Err(path)]);
        rest = after;
    }
    pieces.push(Ok(rest));
    (!rest.contains('}')).then_some(pieces)
}

/// A value as a user reads it.
fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(all) => all.iter().map(shown).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    }
}

impl DetailType {
    const MOST_MEMBERS: usize = 30;
    const LONGEST_WORDS: usize = 400;

    /// # Errors
    /// Names the member that will not do.
    pub fn validated(&self) -> Result<(), BadMember> {
        let inside = self.members.values().map(|member| member.members.len()).sum::<usize>();
        if self.members.len() + inside > Self::MOST_MEMBERS {
            return Err(BadMember::new("members", "a type has at most 30, those of objects included"));
        }
        members_validated(&self.members, false)?;
        if self.words.is_empty() {
            return Err(BadMember::new("words", "what users are asked, in one language at least"));
        }
        for (language, sentence) in &self.words {
            self.words_validated(sentence).map_err(|reason| BadMember { member: format!("words.{}", language.tag()), reason })?;
        }
        Ok(())
    }

    fn words_validated(&self, sentence: &str) -> Result<(), BadText> {
        if sentence.is_empty() || sentence.chars().count() > Self::LONGEST_WORDS || sentence.chars().any(is_unseen) {
            return Err(BadText("1 to 400 characters without control characters"));
        }
        let pieces = pieces(sentence).ok_or(BadText("braces stand around the name of a member"))?;
        if pieces.iter().filter_map(|piece| piece.err()).any(|path| !self.is_always_there(path)) {
            return Err(BadText("it names a member that is not required, is an object, or is not there"));
        }
        Ok(())
    }

    fn is_always_there(&self, path: &str) -> bool {
        let is_shown = |member: &Member| member.required && member.kind != Kind::Object;
        match path.split_once('.') {
            None => self.members.get(path).is_some_and(is_shown),
            Some((outer, inner)) => {
                let outer = self.members.get(outer).filter(|outer| outer.required);
                outer.and_then(|outer| outer.members.get(inner)).is_some_and(is_shown)
            }
        }
    }

    /// What a reader of this language is asked of these details, in the tenant's words, and everything that these do not mention, by name. Where
    /// there are no words in that language, there are some in another.
    pub fn said(&self, language: Language, details: &Map<String, Value>) -> Question {
        let sentence = self.words.get(&language).or_else(|| self.words.values().next()).map(String::as_str).unwrap_or_default();
        let pieces = pieces(sentence).unwrap_or_default();
        let all: Vec<(String, &Value)> = details
            .iter()
            .filter(|(name, _)| *name != "type")
            .flat_map(|(name, value)| match value {
                Value::Object(inside) => inside.iter().map(|(inner, value)| (format!("{name}.{inner}"), value)).collect(),
                value => vec![(name.clone(), value)],
            })
            .collect();
        let value_of = |path: &str| all.iter().find(|(name, _)| name == path).map(|(_, value)| shown(value)).unwrap_or_default();
        let is_said = |name: &str| pieces.contains(&Err(name));
        let rest = all.iter().filter(|(name, _)| !is_said(name)).map(|(name, value)| (name.clone(), shown(value))).collect();
        let said = pieces.iter().map(|piece| match piece {
            Ok(words) => Said::Words((*words).to_owned()),
            Err(path) => Said::Value(value_of(path)),
        });
        (said.filter(|said| *said != Said::Words(String::new())).collect(), rest)
    }
}

/// The types that an API defines, if they fit together.
///
/// # Errors
/// Names the member that will not do.
pub fn validated(types: &BTreeMap<DetailTypeName, DetailType>) -> Result<(), BadMember> {
    const MEMBER: &str = "authorization_details_types";
    if types.len() > 20 || serde_json::to_string(types).map_or(usize::MAX, |text| text.len()) > 16_384 {
        return Err(BadMember::new(MEMBER, "at most 20, and 16384 bytes all together"));
    }
    types.iter().try_for_each(|(name, kind)| kind.validated().map_err(|bad| bad.within(name).within(MEMBER)))
}

/// Why details are refused (RFC 9396, 5: `invalid_authorization_details`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DetailsRefused {
    NotDetails,
    /// No API that the client may have tokens for has it, or the client may not ask for it: one answer for all.
    UnknownType,
    UnknownMember,
    MissingMember,
    BadMember,
    /// They are about an API that the request does not name.
    OtherTarget,
    NotGranted,
    /// They are asked for elsewhere.
    NotHere,
}

impl DetailsRefused {
    /// In constant words.
    pub const fn description(self) -> &'static str {
        match self {
            Self::NotDetails => {
                "authorization_details must be a JSON array of 1 to 8 objects, each with a type, of at most 2048 bytes (RFC 9396, 2)"
            }
            Self::UnknownType => "authorization_details: a type is none of this issuer that this client may ask for",
            Self::UnknownMember => "authorization_details: a member is not one of its type",
            Self::MissingMember => "authorization_details: a member that its type requires is missing",
            Self::BadMember => "authorization_details: a member has another kind of value than its type says, or one out of bounds",
            Self::OtherTarget => "authorization_details: they are about an API that resource does not name",
            Self::NotGranted => "authorization_details: more than was granted, or not about what the token is for",
            Self::NotHere => {
                "authorization_details are asked for at the authorization endpoint or with a pushed request, and narrowed with a code or a refresh token"
            }
        }
    }
}

/// What was asked for or granted, in its order.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AuthorizationDetails(Vec<Map<String, Value>>);

/// Details of one request.
const MOST: usize = 8;
/// What they take in a token, in bytes of JSON.
const LONGEST: usize = 2_048;

/// Reads what somebody sends. Whether there is such a type is not known yet.
///
/// # Errors
/// When it is no array of objects with a type, or too much.
pub fn read(text: &str) -> Result<AuthorizationDetails, DetailsRefused> {
    let read = if text.len() > 4 * LONGEST { None } else { serde_json::from_str::<AuthorizationDetails>(text).ok() };
    let read = read.filter(|details| {
        let has_type = |one: &Map<String, Value>| one.get("type").is_some_and(Value::is_string);
        (1..=MOST).contains(&details.0.len()) && details.0.iter().all(has_type)
    });
    let fits = |details: &AuthorizationDetails| serde_json::to_string(details).is_ok_and(|text| text.len() <= LONGEST);
    read.filter(fits).ok_or(DetailsRefused::NotDetails)
}

fn type_of(details: &Map<String, Value>) -> &str {
    details.get("type").and_then(Value::as_str).unwrap_or_default()
}

/// The API that has this type, and the type.
pub fn defined<'a>(apis: &'a [Resource], name: &str) -> Option<(&'a Resource, &'a DetailType)> {
    apis.iter().find_map(|api| api.settings.authorization_details_types.get(name).map(|kind| (api, kind)))
}

impl AuthorizationDetails {
    /// None at all, for whoever wants to lend them.
    pub const NONE: &'static Self = &Self(Vec::new());

    pub const fn none() -> Self {
        Self(Vec::new())
    }

    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Each with its type.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Map<String, Value>)> {
        self.0.iter().map(|details| (type_of(details), details))
    }

    /// Their types, each once.
    pub fn types(&self) -> BTreeSet<&str> {
        self.0.iter().map(type_of).collect()
    }

    /// Holds them against the types of `apis`, those that the client may have tokens for, and `only` which it may ask; answers which of them they
    /// are about.
    ///
    /// # Errors
    /// The first thing that is not as its type says.
    ///
    /// Source: RFC 9396, 5.
    pub fn checked(&self, apis: &[Resource], only: Option<&BTreeSet<DetailTypeName>>) -> Result<ResourceSet, DetailsRefused> {
        let about = |details: &Map<String, Value>| {
            let name = type_of(details);
            let (api, kind) =
                defined(apis, name).filter(|_| only.is_none_or(|only| only.contains(name))).ok_or(DetailsRefused::UnknownType)?;
            let mut members = details.clone();
            members.remove("type");
            check_members(&kind.members, &members)?;
            Ok(api.identifier.clone())
        };
        self.0.iter().map(about).collect()
    }

    /// What of these a request wants that names `wanted`: all of them, where it names nothing.
    ///
    /// # Errors
    /// When one of the wanted is not within one of these: the same type and members with the same values, of lists some of what is in them. What
    /// leaves a member out is wider, not narrower.
    ///
    /// Source: RFC 9396, 6, 6.1.
    pub fn narrowed(&self, wanted: Option<Self>) -> Result<Self, DetailsRefused> {
        let Some(wanted) = wanted else { return Ok(self.clone()) };
        let is_granted = |one: &Map<String, Value>| self.0.iter().any(|granted| is_within(one, granted));
        if wanted.0.iter().all(is_granted) { Ok(wanted) } else { Err(DetailsRefused::NotGranted) }
    }

    /// Whether every one of them is among these `others`, member by member.
    pub fn is_among(&self, others: &Self) -> bool {
        self.0.iter().all(|one| others.0.contains(one))
    }

    /// Those of types that `is_kept`.
    #[must_use]
    pub fn of_types(&self, is_kept: impl Fn(&str) -> bool) -> Self {
        Self(self.0.iter().filter(|details| is_kept(type_of(details))).cloned().collect())
    }

    /// Those for which a user who has allowed them need not be asked again.
    #[must_use]
    pub fn remembered(&self, apis: &[Resource]) -> Self {
        self.of_types(|name| defined(apis, name).is_some_and(|(_, kind)| !kind.ask_each_time))
    }
}

fn is_within(one: &Map<String, Value>, granted: &Map<String, Value>) -> bool {
    let narrows = |value: &Value, granted: &Value| match (value, granted) {
        (Value::Array(some), Value::Array(all)) => !some.is_empty() && some.iter().all(|one| all.contains(one)),
        (Value::Object(one), Value::Object(granted)) => is_within(one, granted),
        (one, granted) => one == granted,
    };
    one.len() == granted.len() && one.iter().all(|(name, value)| granted.get(name).is_some_and(|granted| narrows(value, granted)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::ids::ResourceId;
    use crate::resource::ResourceSettings;
    use crate::time::Timestamp;

    fn payment() -> Value {
        json!({
            "members": {
                "amount": { "kind": "object", "required": true, "members": {
                    "value": { "kind": "decimal", "required": true, "max": 1_000 },
                    "currency": { "kind": "text", "required": true, "one_of": ["CHF", "EUR"] },
                } },
                "payee": { "kind": "text", "required": true, "max_length": 20 },
                "actions": { "kind": "list", "one_of": ["initiate", "status", "cancel"], "max_items": 2 },
                "day": { "kind": "integer", "min": 1, "max": 31 },
                "is_urgent": { "kind": "boolean" },
            },
            "words": { "en": "Pay {amount.value} {amount.currency} to {payee}", "de": "{payee} {amount.value} {amount.currency} zahlen" },
        })
    }

    fn kind(change: &[(&str, Value)]) -> Result<DetailType, BadMember> {
        let mut form = payment();
        for (pointer, value) in change {
            *form.pointer_mut(pointer).expect("there") = value.clone();
        }
        let read: DetailType = serde_json::from_value(form).map_err(|_| BadMember::new("", "no type"))?;
        read.validated().map(|()| read)
    }

    fn apis() -> Vec<Resource> {
        let settings: ResourceSettings = serde_json::from_value(json!({
            "name": "Bank", "authorization_details_types": { "payment": payment(), "https://bank.example/account": payment() },
        }))
        .expect("settings");
        let (created_at, updated_at) = (Timestamp::EPOCH, Timestamp::EPOCH);
        let bank = Resource {
            id: ResourceId::new(created_at, [1; 10]),
            identifier: "https://bank.example".parse().expect("a URI"),
            settings: settings.validated().expect("good"),
            created_at,
            updated_at,
        };
        vec![bank]
    }

    fn one(change: Value) -> AuthorizationDetails {
        let mut details = json!({ "type": "payment", "amount": { "value": "12.50", "currency": "EUR" }, "payee": "Bob" });
        for (name, value) in change.as_object().expect("members") {
            match value {
                Value::Null => drop(details.as_object_mut().expect("an object").remove(name)),
                value => details[name] = value.clone(),
            }
        }
        read(&json!([details]).to_string()).expect("reads")
    }

    #[test]
    fn s032_an_unknown_type_or_member_or_a_wrong_kind_or_bound_is_refused() {
        let checked = |change: Value| one(change).checked(&apis(), None);
        let bank = ResourceSet::from(["https://bank.example".parse().expect("a URI")]);
        for good in [
            json!({}),
            json!({ "type": "https://bank.example/account" }),
            json!({ "actions": ["status"], "day": 31, "is_urgent": false }),
            json!({ "amount": { "value": "1000", "currency": "CHF" }, "payee": "ä".repeat(20) }),
            json!({ "amount": { "value": "0.000001", "currency": "CHF" } }),
            json!({ "amount": { "value": "1000.00", "currency": "CHF" } }),
        ] {
            assert_eq!(checked(good.clone()), Ok(bank.clone()), "{good}");
        }
        for (bad, why) in [
            (json!({ "type": "Payment" }), DetailsRefused::UnknownType),
            (json!({ "type": "" }), DetailsRefused::UnknownType),
            (json!({ "note": "x" }), DetailsRefused::UnknownMember),
            (json!({ "amount": { "value": "1", "currency": "EUR", "more": "1" } }), DetailsRefused::UnknownMember),
            (json!({ "payee": null }), DetailsRefused::MissingMember),
            (json!({ "amount": { "value": "1" } }), DetailsRefused::MissingMember),
            (json!({ "amount": "12.50 EUR" }), DetailsRefused::BadMember),
            (json!({ "amount": { "value": 12.5, "currency": "EUR" } }), DetailsRefused::BadMember),
            (json!({ "amount": { "value": "1000.01", "currency": "EUR" } }), DetailsRefused::BadMember),
            (json!({ "amount": { "value": "1", "currency": "eur" } }), DetailsRefused::BadMember),
            (json!({ "payee": "" }), DetailsRefused::BadMember),
            (json!({ "payee": "a".repeat(21) }), DetailsRefused::BadMember),
            (json!({ "payee": "Bob\n" }), DetailsRefused::BadMember),
            (json!({ "payee": "\u{202e}boB" }), DetailsRefused::BadMember),
            (json!({ "payee": ["Bob"] }), DetailsRefused::BadMember),
            (json!({ "actions": [] }), DetailsRefused::BadMember),
            (json!({ "actions": ["status", "cancel", "initiate"] }), DetailsRefused::BadMember),
            (json!({ "actions": ["steal"] }), DetailsRefused::BadMember),
            (json!({ "actions": "status" }), DetailsRefused::BadMember),
            (json!({ "day": 0 }), DetailsRefused::BadMember),
            (json!({ "day": 1.0 }), DetailsRefused::BadMember),
            (json!({ "day": "1" }), DetailsRefused::BadMember),
            (json!({ "is_urgent": "true" }), DetailsRefused::BadMember),
        ] {
            assert_eq!(checked(bad.clone()), Err(why), "{bad}");
        }
        for value in ["", "01", "00", "-1", "+1", "1.", ".5", "1e3", "1,5", "1.0000001", "1234567890123456", "٣", " 1"] {
            let refused = checked(json!({ "amount": { "value": value, "currency": "EUR" } }));
            assert_eq!(refused, Err(DetailsRefused::BadMember), "{value}");
        }
        // Where the client is limited to types, and where no API has any.
        let only = |name: &str| BTreeSet::from([name.parse::<DetailTypeName>().expect("a type")]);
        assert_eq!(one(json!({})).checked(&apis(), Some(&only("payment"))), Ok(bank));
        assert_eq!(one(json!({})).checked(&apis(), Some(&only("account"))), Err(DetailsRefused::UnknownType));
        assert_eq!(one(json!({})).checked(&[], None), Err(DetailsRefused::UnknownType));
    }

    #[test]
    fn s032_what_is_no_array_of_objects_with_a_type_is_refused() {
        let nine = json!(vec![json!({ "type": "payment" }); 9]).to_string();
        let long = json!([{ "type": "payment", "payee": "a".repeat(2_048) }]).to_string();
        for bad in [
            "",
            "{}",
            "[]",
            "[1]",
            "[[]]",
            "null",
            "[{}]",
            "[{\"type\":1}]",
            "[{\"type\":\"payment\"}",
            "[{\"type\":\"a\"},{}]",
            &nine,
            &long,
        ] {
            assert_eq!(read(bad), Err(DetailsRefused::NotDetails), "{bad}");
        }
        assert_eq!(read(" [ { \"type\" : \"a\" } ] ").expect("reads").types(), ["a"].into());
    }

    #[test]
    fn s032_narrowing_takes_from_lists_and_leaves_everything_else() {
        let granted = one(json!({ "actions": ["initiate", "status"] }));
        let narrowed = |change: Value| granted.narrowed(Some(one(change)));
        assert_eq!(granted.narrowed(None), Ok(granted.clone()));
        for fine in [json!({ "actions": ["status"] }), json!({ "actions": ["status", "initiate"] })] {
            assert_eq!(narrowed(fine.clone()), Ok(one(fine)));
        }
        for more in [
            json!({ "actions": ["status", "cancel"] }),
            json!({ "actions": [] }),
            json!({}),
            json!({ "actions": ["status"], "day": 1 }),
            json!({ "actions": ["status"], "payee": "Eve" }),
            json!({ "actions": ["status"], "amount": { "value": "12.49", "currency": "EUR" } }),
            json!({ "actions": ["status"], "amount": { "value": "12.50" } }),
            json!({ "actions": ["status"], "type": "https://bank.example/account" }),
        ] {
            assert_eq!(narrowed(more.clone()), Err(DetailsRefused::NotGranted), "{more}");
        }
        assert_eq!(AuthorizationDetails::none().narrowed(Some(one(json!({})))), Err(DetailsRefused::NotGranted));
    }

    #[test]
    fn a_type_describes_itself_and_its_words_name_what_is_always_there() {
        let settings = kind(&[]).expect("good");
        let text = serde_json::to_string(&settings).expect("written");
        assert_eq!(serde_json::from_str::<DetailType>(&text).expect("read"), settings);
        for (pointer, value) in [
            ("/words/en", json!("")),
            ("/words/en", json!("Pay {day}")),
            ("/words/en", json!("Pay {amount}")),
            ("/words/en", json!("Pay {amount.value.x}")),
            ("/words/en", json!("Pay {nothing}")),
            ("/words/en", json!("Pay {payee")),
            ("/words/en", json!("Pay payee}")),
            ("/words/en", json!("Pay {{payee}}")),
            ("/words/en", json!("Pay \u{202e}{payee}")),
            ("/words/en", json!("a".repeat(401))),
            ("/words", json!({})),
            ("/words", json!({ "it": "Paga" })),
            ("/members/day/kind", json!("date")),
            ("/members/day/kind", json!("text")),
            ("/members/day/min", json!(32)),
            ("/members/payee/max_length", json!(0)),
            ("/members/payee/max_length", json!(257)),
            ("/members/actions/max_items", json!(21)),
            ("/members/actions/one_of", json!([""])),
            ("/members/is_urgent", json!({ "kind": "boolean", "max_items": 1 })),
            ("/members/is_urgent", json!({ "kind": "boolean", "default": true })),
            ("/members/is_urgent", json!({ "kind": "object" })),
            ("/members/amount/members/value", json!({ "kind": "object", "members": { "a": { "kind": "boolean" } } })),
            ("/members/amount/members/value/max", json!(-1)),
        ] {
            let bad = kind(&[(pointer, value.clone())]).expect_err(pointer).member.replace('.', "/");
            // Where it can be read at all, it says where it is: of two that do not go together, either.
            let pointer = ["/kind", "/min"].iter().find_map(|end| pointer.strip_suffix(end)).unwrap_or(pointer);
            assert!(
                bad.is_empty() || format!("/{bad}/").starts_with(&format!("{pointer}/")) || pointer[1..].starts_with(&bad),
                "{pointer} {value}: {bad}"
            );
        }
        let types = BTreeMap::from([("payment".parse().expect("a name"), serde_json::from_value(payment()).expect("a type"))]);
        assert_eq!(super::validated(&types), Ok(()));
        let silent = types
            .into_iter()
            .map(|(name, kind)| (name, DetailType { words: [(Language::German, String::new())].into(), ..kind }))
            .collect();
        assert_eq!(super::validated(&silent).expect_err("no words").member, "authorization_details_types.payment.words.de");
        for name in ["type", "", "a b", "a.b", "{a}"] {
            assert!(name.parse::<MemberName>().is_err(), "{name}");
        }
    }

    #[test]
    fn a_user_reads_everything_that_is_asked_for_in_the_tenants_words_or_by_name() {
        let kind = kind(&[]).expect("good");
        let details = one(json!({ "day": 3, "actions": ["initiate", "status"] }));
        let details = details.iter().next().expect("one").1;
        let (said, rest) = kind.said(Language::English, details);
        let words = |text: &str| Said::Words(text.to_owned());
        let value = |text: &str| Said::Value(text.to_owned());
        assert_eq!(said, [words("Pay "), value("12.50"), words(" "), value("EUR"), words(" to "), value("Bob")]);
        assert_eq!(rest, [("actions".to_owned(), "initiate, status".to_owned()), ("day".to_owned(), "3".to_owned())]);
        assert_eq!(kind.said(Language::German, details).0[0], value("Bob"));
        // A reader whose language has no words gets those of another.
        assert_eq!(kind.said(Language::French, details).0, said);
    }
}
