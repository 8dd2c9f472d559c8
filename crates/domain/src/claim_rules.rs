//! Claims that a tenant makes itself: rules that say which claim goes where, from what, and when.
//!
//! Enter at [`ClaimRules::validated`] for rules that somebody sets, at [`ClaimRules::told`] for what they come to. Invariant: no rule
//! writes a claim that Claviger or a client decides by, and what does not fit is left out whole, never cut.

use std::collections::BTreeSet;
use std::fmt;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::client::ClientId;
use crate::openid::{self, Wishes};
use crate::resource::Permission;
use crate::scope::Scope;
use crate::text::BadText;
use crate::token::claims::Audience;
use crate::user::{CustomClaims, User};

/// Where a claim is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Carrier {
    AccessToken,
    IdToken,
    Userinfo,
}

/// One claim that the tenant makes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Map<String, Value>")]
pub struct ClaimRule {
    pub claim: String,
    pub from: ClaimSource,
    pub into: BTreeSet<Carrier>,
    #[serde(skip_serializing_if = "When::is_always")]
    pub when: When,
}

/// What a claim is made of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClaimSource {
    /// What is known of the user under this name, as it is.
    Attribute(String),
    /// The same for everybody.
    Constant(Value),
    /// The names of the user's roles.
    Roles(Yes),
    /// What the user may do at the one API that the token is for.
    Permissions(Yes),
    Template(Template),
}

/// `true`, in a place where nothing else would mean anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "bool", into = "bool")]
pub struct Yes;

impl TryFrom<bool> for Yes {
    type Error = BadText;

    fn try_from(is: bool) -> Result<Self, BadText> {
        if is { Ok(Self) } else { Err(BadText("roles and permissions are true, or not there")) }
    }
}

impl From<Yes> for bool {
    fn from(Yes: Yes) -> Self {
        true
    }
}

/// All that has to hold for a rule to count.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(try_from = "Map<String, Value>")]
pub struct When {
    /// Each of these words was granted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scope: Option<Scope>,
    /// The access token is for this one, maybe among others.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audience: Option<String>,
    /// It is for this client. Such a rule stands in the place of the one for all clients.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client: Option<ClientId>,
}

impl When {
    fn is_always(&self) -> bool {
        *self == Self::default()
    }
}

/// Objects alone: a list of values in the right order is no rule, and no member is known but these.
fn read<T: DeserializeOwned>(members: Map<String, Value>) -> Result<T, serde_json::Error> {
    serde_json::from_value(Value::Object(members))
}

impl TryFrom<Map<String, Value>> for ClaimRule {
    type Error = serde_json::Error;

    fn try_from(members: Map<String, Value>) -> Result<Self, Self::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Members {
            claim: String,
            from: ClaimSource,
            into: BTreeSet<Carrier>,
            #[serde(default)]
            when: When,
        }
        let Members { claim, from, into, when } = read(members)?;
        Ok(Self { claim, from, into, when })
    }
}

impl TryFrom<Map<String, Value>> for When {
    type Error = serde_json::Error;

    fn try_from(members: Map<String, Value>) -> Result<Self, Self::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Members {
            scope: Option<Scope>,
            audience: Option<String>,
            client: Option<ClientId>,
        }
        let Members { scope, audience, client } = read(members)?;
        Ok(Self { scope, audience, client })
    }
}

/// A text with places for attributes, such as `{given_name} {family_name}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Template {
    text: String,
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Attribute(String),
}

impl Template {
    /// What a template comes to at most, in bytes.
    const LONGEST: usize = 1_024;

    fn attributes(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().filter_map(|part| match part {
            Part::Attribute(name) => Some(name.as_str()),
            Part::Text(_) => None,
        })
    }

    /// `None` when an attribute is missing, or is no text, number or truth value: half a name is none.
    fn filled(&self, user: &User) -> Option<String> {
        let mut filled = String::new();
        for part in &self.parts {
            match part {
                Part::Text(text) => filled.push_str(text),
                Part::Attribute(name) => match openid::attribute(user, name)? {
                    Value::String(text) => filled.push_str(&text),
                    value @ (Value::Number(_) | Value::Bool(_)) => filled.push_str(&value.to_string()),
                    Value::Null | Value::Array(_) | Value::Object(_) => return None,
                },
            }
        }
        Some(filled)
    }
}

impl TryFrom<String> for Template {
    type Error = BadText;

    fn try_from(text: String) -> Result<Self, BadText> {
        const REFUSED: BadText = BadText(
            "a template is 1 to 256 bytes with 1 to 8 attributes in braces, such as \"{given_name} {family_name}\"; a brace itself is written twice",
        );
        if text.len() > 256 {
            return Err(REFUSED);
        }
        let (mut parts, mut plain, mut letters) = (Vec::new(), String::new(), text.chars().peekable());
        while let Some(letter) = letters.next() {
            match letter {
                '{' | '}' if letters.peek() == Some(&letter) => {
                    letters.next();
                    plain.push(letter);
                }
                '{' => {
                    let mut name = String::new();
                    loop {
                        match letters.next() {
                            Some('}') if !name.is_empty() => break,
                            None | Some('{' | '}') => return Err(REFUSED),
                            Some(letter) => name.push(letter),
                        }
                    }
                    if !plain.is_empty() {
                        parts.push(Part::Text(std::mem::take(&mut plain)));
                    }
                    parts.push(Part::Attribute(name));
                }
                '}' => return Err(REFUSED),
                letter => plain.push(letter),
            }
        }
        if !plain.is_empty() {
            parts.push(Part::Text(plain));
        }
        let template = Self { text, parts };
        if (1..=8).contains(&template.attributes().count()) { Ok(template) } else { Err(REFUSED) }
    }
}

impl From<Template> for String {
    fn from(template: Template) -> Self {
        template.text
    }
}

/// Why rules are none: which member of which one, and what is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleRefused {
    pub member: String,
    pub reason: BadText,
}

impl fmt::Display for RuleRefused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.member, self.reason)
    }
}

impl std::error::Error for RuleRefused {}

/// All claims that a tenant makes: at most 50 rules and 8 KiB as JSON.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ClaimRules(pub Vec<ClaimRule>);

/// When something is told, and to whom.
#[derive(Debug, Clone, Copy)]
pub struct Occasion<'a> {
    pub carrier: Carrier,
    pub client: &'a ClientId,
    /// What was granted.
    pub scope: &'a Scope,
    /// Whom an access token is for, and what it may there.
    pub audience: Option<(&'a Audience, &'a Scope)>,
    /// `None` for a client that acts for itself.
    pub user: Option<&'a User>,
    pub permissions: Option<&'a BTreeSet<Permission>>,
    /// What the client has asked for by name.
    pub wishes: Option<&'a Wishes>,
}

impl Occasion<'_> {
    /// Scopes of OpenID Connect are the grant's, all others the token's.
    fn has(&self, word: &str) -> bool {
        match self.audience {
            Some((_, scope)) if !Scope::OF_OPENID.contains(&word) => scope.contains(word),
            _ => self.scope.contains(word),
        }
    }
}

/// Claims on their way into a token, as far as there is room.
#[derive(Debug, Default)]
pub struct Told {
    pub claims: Map<String, Value>,
    /// What there was no room for.
    pub left_out: Vec<String>,
    /// What a rule is about here: the rule alone says whether it is told.
    ruled: BTreeSet<String>,
    room: usize,
}

impl Told {
    /// Nothing yet, and room for so many bytes of JSON.
    pub fn within(room: usize) -> Self {
        Self { claims: Map::new(), left_out: Vec::new(), ruled: BTreeSet::new(), room }
    }

    fn put(&mut self, name: &str, value: Value) {
        let length = |text: Result<String, serde_json::Error>| text.map_or(usize::MAX, |text| text.len());
        // With a colon and a comma.
        let weight = length(serde_json::to_string(name)).saturating_add(length(serde_json::to_string(&value))).saturating_add(2);
        match self.room.checked_sub(weight) {
            Some(room) => {
                self.room = room;
                self.claims.insert(name.to_owned(), value);
            }
            None => self.left_out.push(name.to_owned()),
        }
    }

    /// Adds what no rule is about, as far as there is room.
    #[must_use]
    pub fn and<'a>(mut self, others: impl IntoIterator<Item = (&'a str, Value)>) -> Self {
        for (name, value) in others {
            if !self.ruled.contains(name) && !self.claims.contains_key(name) {
                self.put(name, value);
            }
        }
        self
    }

    /// The same where room is no question.
    #[must_use]
    pub fn and_all<'a>(mut self, others: impl IntoIterator<Item = (&'a str, Value)>) -> Self {
        self.room = usize::MAX;
        self.and(others)
    }
}

impl ClaimRules {
    pub const MOST: usize = 50;
    const LONGEST: usize = 8_192;
    /// What the claims of a tenant's own making take at most in one token, in bytes of JSON.
    pub const ROOM: usize = 4_096;

    /// Names that no rule may write, in whatever case: Claviger, clients and APIs decide by them.
    pub const RESERVED: [&'static str; 37] = [
        "iss",
        "sub",
        "aud",
        "exp",
        "nbf",
        "iat",
        "jti",
        "client_id",
        "scope",
        "auth_time",
        "sid",
        "acr",
        "amr",
        "azp",
        "act",
        "may_act",
        "cnf",
        "nonce",
        "at_hash",
        "c_hash",
        "s_hash",
        "rt_hash",
        "events",
        "txn",
        "toe",
        "vot",
        "vtm",
        "sub_id",
        "sub_jwk",
        "permissions",
        "authorization_details",
        "active",
        "token_type",
        "token_introspection",
        "typ",
        "_claim_names",
        "_claim_sources",
    ];
    const IS_RESERVED: BadText = BadText(
        "reserved are iss, sub, aud, exp, nbf, iat, jti, client_id, scope, auth_time, sid, acr, amr, azp, act, may_act, cnf, nonce, at_hash, c_hash, s_hash, rt_hash, events, txn, toe, vot, vtm, sub_id, sub_jwk, permissions, authorization_details, active, token_type, token_introspection, typ, _claim_names, _claim_sources",
    );
    /// What Claviger itself knows of a user, and nobody may claim otherwise.
    const KNOWN: [&'static str; 5] = ["username", "preferred_username", "email", "email_verified", "updated_at"];
    /// What the policy puts into access tokens.
    const OF_POLICY: [&'static str; 3] = ["roles", "username", "email"];

    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// # Errors
    /// Names the member of the first rule that will not do, and why.
    pub fn validated(&self) -> Result<(), RuleRefused> {
        let whole = |reason| RuleRefused { member: "rules".to_owned(), reason: BadText(reason) };
        if self.0.len() > Self::MOST {
            return Err(whole("at most 50"));
        }
        for (at, rule) in self.0.iter().enumerate() {
            let refused = |(member, reason)| RuleRefused { member: format!("rules[{at}].{member}"), reason };
            rule.validated().map_err(refused)?;
            let is_the_same = |other: &ClaimRule| {
                other.claim == rule.claim && other.when.client == rule.when.client && !other.into.is_disjoint(&rule.into)
            };
            if self.0[..at].iter().any(is_the_same) {
                return Err(refused(("claim", BadText("another rule puts this claim into the same place for the same client"))));
            }
        }
        if serde_json::to_string(self).map_or(usize::MAX, |text| text.len()) > Self::LONGEST {
            return Err(whole("at most 8192 bytes as JSON"));
        }
        Ok(())
    }

    /// What the rules come to: rules for the client in the place of those for all, in their order, within `room`.
    pub fn told(&self, on: Occasion<'_>, room: usize) -> Told {
        let mut told = Told::within(room.min(Self::ROOM));
        let is_meant = |rule: &&ClaimRule| rule.into.contains(&on.carrier);
        let is_for = |rule: &ClaimRule| rule.when.client.as_ref() == Some(on.client);
        for rule in self.0.iter().filter(is_meant) {
            let is_replaced = || self.0.iter().filter(is_meant).any(|other| other.claim == rule.claim && is_for(other));
            if !is_for(rule) && (rule.when.client.is_some() || is_replaced()) {
                continue;
            }
            told.ruled.insert(rule.claim.clone());
            // What is reserved since the rule was set.
            if is_reserved(&rule.claim) {
                continue;
            }
            if let Some(value) = rule.value(&on) {
                told.put(&rule.claim, value);
            }
        }
        told
    }

    /// Names of claims that ID tokens or userinfo of any client may have by them.
    pub fn published(&self) -> impl Iterator<Item = &str> {
        let is_meant = |rule: &&ClaimRule| {
            rule.when.client.is_none() && (rule.into.contains(&Carrier::IdToken) || rule.into.contains(&Carrier::Userinfo))
        };
        self.0.iter().filter(is_meant).map(|rule| rule.claim.as_str())
    }
}

fn is_reserved(name: &str) -> bool {
    ClaimRules::RESERVED.iter().any(|reserved| reserved.eq_ignore_ascii_case(name))
}

/// Whether users may have something of this name.
fn is_attribute(name: &str) -> bool {
    ClaimRules::KNOWN.contains(&name) || ((1..=128).contains(&name.len()) && !CustomClaims::RESERVED.contains(&name))
}

impl ClaimRule {
    /// The first member that will not do, and why.
    fn validated(&self) -> Result<(), (&'static str, BadText)> {
        const NO_ATTRIBUTE: BadText = BadText(
            "no user has an attribute of this name: there are username, email, email_verified, updated_at and the user's own claims",
        );
        let bad = |member, reason| Err((member, BadText(reason)));
        if !(1..=128).contains(&self.claim.len()) || !self.claim.bytes().all(|b| (0x21..=0x7e).contains(&b) && b != b'"' && b != b'\\') {
            return bad("claim", "1 to 128 printable ASCII characters without spaces, quotes and backslashes");
        }
        if is_reserved(&self.claim) {
            return Err(("claim", ClaimRules::IS_RESERVED));
        }
        let is_into = |carrier| self.into.contains(&carrier);
        if self.into.is_empty() {
            return bad("into", "at least one of access_token, id_token and userinfo");
        }
        if is_into(Carrier::AccessToken) && ClaimRules::OF_POLICY.contains(&self.claim.as_str()) {
            return bad("claim", "the policy's claims.roles, claims.username and claims.email put these into access tokens");
        }
        match &self.from {
            ClaimSource::Attribute(name) if !is_attribute(name) => return Err(("from.attribute", NO_ATTRIBUTE)),
            ClaimSource::Template(template) if !template.attributes().all(is_attribute) => return Err(("from.template", NO_ATTRIBUTE)),
            ClaimSource::Constant(value) => {
                if value.is_null() || serde_json::to_string(value).map_or(usize::MAX, |text| text.len()) > 1_024 {
                    return bad("from.constant", "anything but null, of at most 1024 bytes as JSON");
                }
                if depth(value) > 4 {
                    return bad("from.constant", "nests at most 4 deep");
                }
            }
            ClaimSource::Permissions(_) if self.into.iter().any(|carrier| *carrier != Carrier::AccessToken) => {
                return bad("into", "permissions are of the API that an access token is for: into access_token alone");
            }
            ClaimSource::Attribute(_) | ClaimSource::Template(_) | ClaimSource::Roles(_) | ClaimSource::Permissions(_) => {}
        }
        let is_itself = matches!(&self.from, ClaimSource::Attribute(name) if *name == self.claim);
        if ClaimRules::KNOWN.contains(&self.claim.as_str()) && !is_itself {
            return bad(
                "from",
                "what is known of a user itself (username, preferred_username, email, email_verified, updated_at) comes from the attribute of the same name",
            );
        }
        if self.claim == "roles" && !matches!(self.from, ClaimSource::Roles(_)) {
            return bad("from", "roles come from {\"roles\": true}");
        }
        if self.when.scope.as_ref().is_some_and(Scope::is_empty) {
            return bad("when.scope", "one word or more, separated by spaces");
        }
        if let Some(audience) = &self.when.audience {
            if !(1..=512).contains(&audience.len()) || !audience.bytes().all(|b| (0x21..=0x7e).contains(&b)) {
                return bad("when.audience", "1 to 512 printable ASCII characters, such as https://api.example.com");
            }
            if self.into.iter().any(|carrier| *carrier != Carrier::AccessToken) {
                return bad("when.audience", "only access tokens are for an API: into access_token alone");
            }
        }
        Ok(())
    }

    /// What the claim is on this occasion, if it is told.
    fn value(&self, on: &Occasion<'_>) -> Option<Value> {
        let When { scope, audience, client: _ } = &self.when;
        let is_granted = scope.as_ref().is_none_or(|scope| scope.iter().all(|word| on.has(word)));
        let is_meant = audience.as_ref().is_none_or(|wanted| on.audience.is_some_and(|(audience, _)| audience.contains(wanted)));
        if !is_granted || !is_meant {
            return None;
        }
        let value = match &self.from {
            ClaimSource::Attribute(name) => openid::attribute(on.user?, name)?,
            ClaimSource::Constant(value) => value.clone(),
            ClaimSource::Roles(Yes) => json!(on.user?.roles),
            ClaimSource::Permissions(Yes) => json!(on.permissions?),
            ClaimSource::Template(template) => Value::String(template.filled(on.user?).filter(|text| text.len() <= Template::LONGEST)?),
        };
        // What a scope of OpenID Connect opens, it alone opens, or a wish: no rule goes round what the user has agreed to.
        openid::may_be_told(&self.claim, &value, on.scope, on.wishes).then_some(value)
    }
}

fn depth(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Value::Object(members) => 1 + members.values().map(depth).max().unwrap_or(0),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => 0,
    }
}

#[cfg(test)]
mod tests;
