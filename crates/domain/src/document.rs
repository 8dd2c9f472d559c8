//! Documents: what is kept as JSON in one column of a row, and is read and written by nodes of two releases at a time.
//!
//! Enter at [`read`], [`written`] and [`rewritten`]; every document goes through them. How a member is added is in `CONTRIBUTING.md`, why it
//! is so in ADR 0011.
//!
//! Invariant: a node passes over members that it does not know and never loses them, unless the document says that it needs a later program:
//! then it is not used at all. What comes from outside is not read here, and has no unknown members.

use std::borrow::Cow;

use serde::de::value::{MapAccessDeserializer, MapDeserializer, SeqDeserializer};
use serde::de::{DeserializeOwned, Deserializer, IntoDeserializer, Visitor};
use serde::{Serialize, forward_to_deserialize_any};
use serde_json::{Map, Value};

use crate::authorize::AuthorizationRequest;
use crate::authorize::code::CodeGrant;
use crate::backchannel::BackchannelRequest;
use crate::branding::Branding;
use crate::client::{ClientSecret, ClientSettings};
use crate::device::DeviceGrant;
use crate::interaction::Progress;
use crate::keys::ring::KeyRing;
use crate::mail::Content;
use crate::resource::ResourceSettings;
use crate::sso::{Authentication, SignOn};
use crate::tenant::TenantPolicy;
use crate::trusted_issuer::TrustedIssuerSettings;

/// What this program understands of documents. One more with each release that adds an entry to [`NEEDS`].
pub const LEVEL: u32 = 1;

/// A use of a document that programs below a level must not make anything of.
struct Need {
    level: u32,
    of: Kind,
    is_used: fn(&Value) -> bool,
}

/// Members, and values of members, that came after level 1 and that a program must know to use the document: those that restrict, and
/// values that an earlier program cannot read.
const NEEDS: &[Need] = &[];

/// Something that is kept as a document.
pub trait Document: Serialize + DeserializeOwned {
    const KIND: Kind;
}

macro_rules! documents {
    ($($kind:ident: $document:ty),+ $(,)?) => {
        /// What a document is about.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Kind {
            $($kind),+
        }

        impl Kind {
            pub const ALL: &[Self] = &[$(Self::$kind),+];
        }

        $(impl Document for $document {
            const KIND: Kind = Kind::$kind;
        })+
    };
}

documents! {
    // These stay, and are changed for as long as they do.
    Policy: TenantPolicy,
    ClientSettings: ClientSettings,
    ClientSecrets: Vec<ClientSecret>,
    ResourceSettings: ResourceSettings,
    TrustedIssuer: TrustedIssuerSettings,
    Branding: Branding,
    KeyRing: KeyRing,
    // These are written once, or are over in minutes.
    AuthorizationRequest: AuthorizationRequest,
    Progress: Progress,
    Code: CodeGrant,
    Device: DeviceGrant,
    Backchannel: BackchannelRequest,
    Authentication: Authentication,
    SignOn: SignOn,
    Mail: Content,
}

/// Why a document cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unread {
    /// A program of this level wrote it, and says that an earlier one must not use it.
    #[error("needs level {needs}, and this program has level {LEVEL}: an upgrade is under way")]
    Newer { needs: u32 },
    #[error("is not what it must be")]
    Broken,
}

/// Reads a document. Members that are unknown here are passed over.
///
/// # Errors
/// See [`Unread`].
pub fn read<D: Document>(text: &str) -> Result<D, Unread> {
    of(&usable(text)?)
}

/// A document that was not there before.
///
/// # Errors
/// When it cannot be JSON, which those of ours are always.
pub fn written<D: Document>(document: &D) -> Result<String, serde_json::Error> {
    let text = serde_json::to_string(document)?;
    if NEEDS.iter().all(|need| need.of != D::KIND) {
        return Ok(text);
    }
    Ok(stamped(text, needed(D::KIND, &serde_json::to_value(document)?, NEEDS)))
}

/// A document in the place of `old`, with all of `old` that is unknown here.
///
/// # Errors
/// When the old one cannot be used: it is left alone then.
pub fn rewritten<D: Document>(document: &D, old: &str) -> Result<String, Unread> {
    let broken = |_| Unread::Broken;
    let old = usable(old)?;
    let known = serde_json::to_value(of::<D>(&old)?).map_err(broken)?;
    let mut new = serde_json::to_value(document).map_err(broken)?;
    if keep(&serde_json::from_str(&old).map_err(broken)?, &known, &mut new) {
        let needs = needed(D::KIND, &new, NEEDS);
        return Ok(stamped(new.to_string(), needs));
    }
    written(document).map_err(broken)
}

fn of<D: Document>(text: &str) -> Result<D, Unread> {
    // As a rule nothing is unknown, and a document is read in one go.
    if let Ok(document) = serde_json::from_str(text) {
        return Ok(document);
    }
    let value: Value = serde_json::from_str(text).map_err(|_| Unread::Broken)?;
    // It has its place, and elsewhere nobody would have looked at it.
    if value.get(NEEDS_MEMBER).is_some() {
        return Err(Unread::Broken);
    }
    D::deserialize(Tolerant(value)).map_err(|_| Unread::Broken)
}

const NEEDS_MEMBER: &str = "needs";

/// How a document begins that needs a level. It always stands first, so that one look is enough.
const STAMP: &str = "{\"needs\":";

/// The document without what it says to need, if that is no more than this program has.
fn usable(text: &str) -> Result<Cow<'_, str>, Unread> {
    let Some(rest) = text.strip_prefix(STAMP) else { return Ok(Cow::Borrowed(text)) };
    let (number, rest) = rest.split_at(rest.bytes().take_while(u8::is_ascii_digit).count());
    let needs: u32 = number.parse().map_err(|_| Unread::Broken)?;
    if needs > LEVEL {
        return Err(Unread::Newer { needs });
    }
    match rest.strip_prefix(',') {
        Some(members) => Ok(Cow::Owned(format!("{{{members}"))),
        None if rest == "}" => Ok(Cow::Borrowed("{}")),
        None => Err(Unread::Broken),
    }
}

fn stamped(text: String, needs: u32) -> String {
    match text.strip_prefix('{') {
        Some("}") if needs > 0 => format!("{STAMP}{needs}}}"),
        Some(members) if needs > 0 => format!("{STAMP}{needs},{members}"),
        _ => text,
    }
}

/// The level of a program that may use this document; 0 for any.
fn needed(kind: Kind, document: &Value, needs: &[Need]) -> u32 {
    let used = needs.iter().filter(|need| need.of == kind && (need.is_used)(document));
    used.map(|need| need.level).max().unwrap_or_default()
}

/// The members by which something in a list is known when it changes.
const IDENTITIES: [&str; 2] = ["id", "kid"];

/// Puts into `new` what `old` has and `known` has not: what was passed over when it was read. Answers whether there is any.
fn keep(old: &Value, known: &Value, new: &mut Value) -> bool {
    match (old, known, new) {
        (Value::Object(old), Value::Object(known), Value::Object(new)) => {
            let mut is_any = false;
            for (name, value) in old {
                is_any |= match (known.get(name), new.get_mut(name)) {
                    (Some(known), Some(new)) => keep(value, known, new),
                    (None, None) => {
                        new.insert(name.clone(), value.clone());
                        true
                    }
                    // Taken away, or a new value of something that had none.
                    (Some(_), None) | (None, Some(_)) => false,
                };
            }
            is_any
        }
        (Value::Array(old), Value::Array(known), Value::Array(new)) if old.len() == known.len() => {
            let mut is_any = false;
            for new in new.iter_mut().filter(|new| new.is_object() || new.is_array()) {
                let is_same = |known: &Value| IDENTITIES.iter().any(|name| known.get(name).is_some_and(|id| new.get(name) == Some(id)));
                let place = known.iter().position(|known| *known == *new).or_else(|| known.iter().position(is_same));
                if let Some(place) = place {
                    is_any |= keep(&old[place], &known[place], new);
                }
            }
            is_any
        }
        _ => false,
    }
}

/// A value of which types read what they know, whatever they say about unknown members.
struct Tolerant(Value);

impl Tolerant {
    /// Types that are read whole or not at all, because each of their members says what others mean. (A rule for a claim is another, which
    /// reads itself.)
    const WHOLE: [&str; 2] = ["DetailType", "Member"];

    fn members<'de>(members: Map<String, Value>) -> MapDeserializer<'de, impl Iterator<Item = (String, Self)>, serde_json::Error> {
        MapDeserializer::new(members.into_iter().map(|(name, value)| (name, Self(value))))
    }
}

impl<'de> IntoDeserializer<'de, serde_json::Error> for Tolerant {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

impl<'de> Deserializer<'de> for Tolerant {
    type Error = serde_json::Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        match self.0 {
            Value::Array(items) => {
                let mut items = SeqDeserializer::new(items.into_iter().map(Self));
                let read = visitor.visit_seq(&mut items)?;
                items.end()?;
                Ok(read)
            }
            Value::Object(members) => visitor.visit_map(Self::members(members)),
            plain => plain.deserialize_any(visitor),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        if self.0.is_null() { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Self::Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        mut self,
        name: &'static str,
        known: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Self::Error> {
        if let Some(members) = self.0.as_object_mut()
            && !Self::WHOLE.contains(&name)
        {
            members.retain(|name, _| known.contains(&name.as_str()));
        }
        self.deserialize_any(visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Self::Error> {
        match self.0 {
            Value::Object(members) if members.len() == 1 => visitor.visit_enum(MapAccessDeserializer::new(Self::members(members))),
            plain => plain.deserialize_enum(name, variants, visitor),
        }
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 u8 u16 u32 u64 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple tuple_struct map identifier
        ignored_any
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::claim_rules::ClaimRules;
    use crate::client::metadata::ClientMetadata;
    use crate::keys::policy::RotationNumbers;
    use crate::time::Ttl;

    fn later(document: &impl Document, at: &str, member: Value) -> String {
        let mut value = serde_json::to_value(document).expect("written");
        value.pointer_mut(at).and_then(Value::as_object_mut).expect("an object").insert("of_a_later_release".to_owned(), member);
        value.to_string()
    }

    fn parsed(text: &str) -> Value {
        serde_json::from_str(text).expect("JSON")
    }

    #[test]
    fn what_a_later_release_says_is_passed_over_and_kept_wherever_it_stands() {
        let mut policy = TenantPolicy::default();
        for at in ["", "/password", "/argon2", "/claims", "/registration", "/client_id_metadata_documents"] {
            let stored = later(&policy, at, json!({ "a": [1] }));
            assert!(serde_json::from_str::<TenantPolicy>(&stored).is_err(), "{at}: what comes from outside has no unknown members");
            let mut read: TenantPolicy = read(&stored).expect("read");
            assert_eq!(read, policy, "{at}");
            read.access_ttl_seconds = Ttl::minutes(7);
            let after = parsed(&rewritten(&read, &stored).expect("rewritten"));
            assert_eq!(after.pointer(at).expect("an object")["of_a_later_release"], json!({ "a": [1] }), "{at}");
            assert_eq!(after["access_ttl_seconds"], 420, "{at}");
        }
        // What is known goes when it is taken away, and nothing comes back.
        policy.audience = Some("https://api.example".to_owned());
        let stored = written(&policy).expect("written");
        assert_eq!(rewritten(&TenantPolicy::default(), &stored), Ok(written(&TenantPolicy::default()).expect("written")));
    }

    #[test]
    fn things_in_lists_keep_what_is_unknown_by_their_identity() {
        let known = json!({ "keys": [{ "kid": "1", "x": 1 }, { "kid": "2", "x": 1 }], "plain": ["b", "a"] });
        let old = json!({ "keys": [{ "kid": "1", "x": 1, "later": 1 }, { "kid": "2", "x": 1, "later": 2 }], "plain": ["a", "b"] });
        let mut new = json!({ "keys": [{ "kid": "0", "x": 9 }, { "kid": "2", "x": 5 }], "plain": ["c"] });
        assert!(keep(&old, &known, &mut new));
        assert_eq!(new, json!({ "keys": [{ "kid": "0", "x": 9 }, { "kid": "2", "x": 5, "later": 2 }], "plain": ["c"] }));
    }

    #[test]
    fn a_document_that_needs_a_later_program_is_not_used_and_not_written_over() {
        let policy = TenantPolicy::default();
        let text = serde_json::to_string(&policy).expect("written");
        let enough = stamped(text.clone(), LEVEL);
        assert!(enough.starts_with("{\"needs\":1,\"access_ttl_seconds\":"), "{enough}");
        assert_eq!(read::<TenantPolicy>(&enough), Ok(policy.clone()));
        assert_eq!(rewritten(&policy, &enough), Ok(text.clone()), "what is not needed any more is not said");
        let later = stamped(text.clone(), LEVEL + 1);
        let refused = Unread::Newer { needs: LEVEL + 1 };
        assert_eq!(read::<TenantPolicy>(&later), Err(refused));
        assert_eq!(rewritten(&policy, &later), Err(refused));
        assert_eq!(read::<TenantPolicy>(&stamped("{}".to_owned(), LEVEL)), Ok(policy));
        // Documents whose types know no strictness, too, and those that are over in minutes.
        for members in ["{}", "{\"x\":1}", "{\"values\":[\"of another kind\"]}"] {
            let needs = stamped(members.to_owned(), LEVEL + 1);
            assert_eq!(read::<ClientSettings>(&needs), Err(refused), "{needs}");
            assert_eq!(read::<KeyRing>(&needs), Err(refused), "{needs}");
            assert_eq!(read::<Progress>(&needs), Err(refused), "{needs}");
        }
        for broken in ["", "{", "{\"needs\":}", "{\"needs\":1 }", "{\"needs\":-1}", "{\"needs\":1x}", "{\"needs\":99999999999}"] {
            assert_eq!(read::<TenantPolicy>(broken), Err(Unread::Broken), "{broken}");
        }
        let elsewhere = format!("{},\"needs\":9}}", text.strip_suffix('}').expect("an object"));
        assert_eq!(read::<TenantPolicy>(&elsewhere), Err(Unread::Broken), "not where nobody looks");
    }

    #[test]
    fn what_restricts_says_so_when_it_is_used_and_only_then() {
        let needs = [
            Need { level: 2, of: Kind::Policy, is_used: |policy| policy["retry_window_seconds"] == 0 },
            Need { level: 3, of: Kind::Policy, is_used: |policy| policy["audience"].is_string() },
            Need { level: 9, of: Kind::Branding, is_used: |_| true },
        ];
        let needed = |policy: &TenantPolicy| super::needed(Kind::Policy, &serde_json::to_value(policy).expect("written"), &needs);
        let mut policy = TenantPolicy::default();
        assert_eq!(needed(&policy), 0);
        policy.retry_window_seconds = Ttl::ZERO;
        assert_eq!(needed(&policy), 2);
        policy.audience = Some("a".to_owned());
        assert_eq!(needed(&policy), 3);
        assert_eq!(NEEDS.iter().map(|need| need.level).fold(1, u32::max), LEVEL, "the level is that of the newest need");
    }

    #[test]
    fn a_rule_and_a_type_of_details_are_read_whole_or_not_at_all() {
        let rules = json!([{ "claim": "a", "from": { "constant": "x" }, "into": ["access_token"] }]);
        let rules: ClaimRules = serde_json::from_value(rules).expect("rules");
        let mut policy = TenantPolicy::default();
        policy.claims.rules = rules;
        assert_eq!(read::<TenantPolicy>(&later(&policy, "/claims", json!(1))).map(|read| read == policy), Ok(true));
        assert_eq!(read::<TenantPolicy>(&later(&policy, "/claims/rules/0", json!(1))), Err(Unread::Broken));
        let api = json!({ "name": "Payments", "authorization_details_types": {
            "payment": { "members": { "payee": { "kind": "text", "required": true } }, "words": { "en": "Pay {payee}" } },
        } });
        let api: ResourceSettings = serde_json::from_value(api).expect("settings");
        assert!(read::<ResourceSettings>(&later(&api, "", json!(1))).is_ok());
        for whole in ["/authorization_details_types/payment", "/authorization_details_types/payment/members/payee"] {
            assert_eq!(read::<ResourceSettings>(&later(&api, whole, json!(1))), Err(Unread::Broken), "{whole}");
        }
    }

    #[test]
    fn the_slow_way_reads_what_the_quick_one_reads() {
        let client = json!({
            "redirect_uris": ["https://app.example/cb"], "jwks": { "keys": [] }, "profile": null, "default_max_age": 5,
            "grant_types": ["authorization_code", "refresh_token"], "contacts": ["a@app.example"], "client_name": "Läden",
        });
        let client = serde_json::from_value::<ClientMetadata>(client).expect("metadata").validated().expect("settings");
        let branding = json!({
            "display_name": "Acme", "accent": "#336699", "corners": "round", "default_language": "de",
            "texts": { "de": { "login_title": "Hallo", "login_help": "a\nb" } }, "support_email": "a@acme.example",
            "terms": "https://acme.example/terms",
        });
        let branding: Branding = serde_json::from_value(branding).expect("branding");
        let ring = json!({
            "numbers": RotationNumbers::default(), "token_secrets": [{ "version": 1, "created_at": "2026-11-24T00:00:00Z" }],
            "keys": [{
                "kid": "0123456789012345678901234567890123456789012", "alg": "EdDSA", "public": { "kty": "OKP", "crv": "Ed25519", "x": "AA" },
                "published_at": "2026-11-24T00:00:00Z", "sign_from": "2026-11-24T00:00:00Z", "token_ttl_cap_seconds": 3600,
                "end": { "type": "revoked", "at": "2026-11-25T00:00:00Z", "reason": "lost" },
            }],
        });
        let ring: KeyRing = serde_json::from_value(ring).expect("a ring");
        fn same<D: Document + PartialEq + std::fmt::Debug>(document: &D) {
            let value = serde_json::to_value(document).expect("written");
            assert_eq!(&D::deserialize(Tolerant(value)).expect("read"), document);
        }
        same(&TenantPolicy::default());
        same(&client);
        same(&branding);
        same(&ring);
        let stored = later(&ring, "/numbers", json!(1));
        assert!(serde_json::from_str::<KeyRing>(&stored).is_err());
        assert_eq!(read::<KeyRing>(&stored), Ok(ring.clone()));
        let stored = later(&ring, "/keys/0", json!(1));
        let mut changed = ring;
        changed.keys[0].end = None;
        let after = parsed(&rewritten(&changed, &stored).expect("rewritten"));
        assert_eq!(after["keys"][0]["of_a_later_release"], 1);
        assert_eq!(after["keys"][0].get("end"), None);
    }

    #[test]
    fn what_the_first_release_has_stored_is_read() {
        const STORED: &str = include_str!("../tests/documents/0.1.0.json");
        let stored: Map<String, Value> = serde_json::from_str(STORED).expect("JSON");
        fn is_read<D: Document>(text: &str) -> bool {
            read::<D>(text).is_ok()
        }
        for kind in Kind::ALL {
            let name = format!("{kind:?}");
            let text = stored.get(&name).unwrap_or_else(|| panic!("{name} is not in tests/documents/0.1.0.json")).to_string();
            let is_read = match kind {
                Kind::Policy => is_read::<TenantPolicy>(&text),
                Kind::ClientSettings => is_read::<ClientSettings>(&text),
                Kind::ClientSecrets => is_read::<Vec<ClientSecret>>(&text),
                Kind::ResourceSettings => is_read::<ResourceSettings>(&text),
                Kind::TrustedIssuer => is_read::<TrustedIssuerSettings>(&text),
                Kind::Branding => is_read::<Branding>(&text),
                Kind::KeyRing => is_read::<KeyRing>(&text),
                Kind::AuthorizationRequest => is_read::<AuthorizationRequest>(&text),
                Kind::Progress => is_read::<Progress>(&text),
                Kind::Code => is_read::<CodeGrant>(&text),
                Kind::Device => is_read::<DeviceGrant>(&text),
                Kind::Backchannel => is_read::<BackchannelRequest>(&text),
                Kind::Authentication => is_read::<Authentication>(&text),
                Kind::SignOn => is_read::<SignOn>(&text),
                Kind::Mail => is_read::<Content>(&text),
            };
            assert!(is_read, "{name}: {text}");
        }
    }
}
