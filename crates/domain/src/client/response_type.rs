//! Response types: what an authorization request is answered with, at the authorization endpoint itself.
//!
//! Invariant: nothing is answered with an access token alone. `token` is none of them (RFC 9700, 2.1.2).

use serde::{Deserialize, Serialize};

use super::GrantType;
use crate::text::BadText;

/// A set of `code`, `id_token` and `token` (OAuth 2.0 Multiple Response Type Encoding Practices, 3, 5). The order of the words says nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum ResponseType {
    #[default]
    Code,
    IdToken,
    IdTokenToken,
    CodeIdToken,
    CodeToken,
    CodeIdTokenToken,
}

impl ResponseType {
    pub const ALL: [Self; 6] = [Self::Code, Self::IdToken, Self::IdTokenToken, Self::CodeIdToken, Self::CodeToken, Self::CodeIdTokenToken];

    /// Its words in the order of the alphabet.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Code => "code",
            Self::IdToken => "id_token",
            Self::IdTokenToken => "id_token token",
            Self::CodeIdToken => "code id_token",
            Self::CodeToken => "code token",
            Self::CodeIdTokenToken => "code id_token token",
        }
    }

    /// The type that these words mean, in whatever order, each once.
    pub fn from_name(text: &str) -> Option<Self> {
        let mut words: Vec<_> = text.split(' ').collect();
        words.sort_unstable();
        Self::ALL.into_iter().find(|known| known.name().split(' ').eq(words.iter().copied()))
    }

    pub const fn is_code(&self) -> bool {
        matches!(self, Self::Code)
    }

    /// Whether a token goes by the browser: anything but a code alone.
    pub const fn is_front_channel(self) -> bool {
        !self.is_code()
    }

    pub const fn has_code(self) -> bool {
        matches!(self, Self::Code | Self::CodeIdToken | Self::CodeToken | Self::CodeIdTokenToken)
    }

    pub const fn has_id_token(self) -> bool {
        matches!(self, Self::IdToken | Self::IdTokenToken | Self::CodeIdToken | Self::CodeIdTokenToken)
    }

    pub const fn has_token(self) -> bool {
        matches!(self, Self::IdTokenToken | Self::CodeToken | Self::CodeIdTokenToken)
    }

    /// The grants that a client of this type is registered for (OpenID Connect Registration, 2).
    pub const fn grants(self) -> &'static [GrantType] {
        match (self.has_code(), self.is_front_channel()) {
            (true, false) => &[GrantType::AuthorizationCode],
            (true, true) => &[GrantType::AuthorizationCode, GrantType::Implicit],
            (false, _) => &[GrantType::Implicit],
        }
    }
}

impl TryFrom<String> for ResponseType {
    type Error = BadText;

    fn try_from(text: String) -> Result<Self, BadText> {
        Self::from_name(&text)
            .ok_or(BadText("a response type is code, id_token, or several of code, id_token and token; never token alone"))
    }
}

impl From<ResponseType> for String {
    fn from(kind: ResponseType) -> Self {
        kind.name().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s009_the_order_of_the_words_says_nothing_and_a_token_alone_is_no_answer() {
        for (text, kind) in [
            ("code", ResponseType::Code),
            ("id_token", ResponseType::IdToken),
            ("token id_token", ResponseType::IdTokenToken),
            ("id_token code", ResponseType::CodeIdToken),
            ("token code", ResponseType::CodeToken),
            ("token code id_token", ResponseType::CodeIdTokenToken),
            ("code id_token token", ResponseType::CodeIdTokenToken),
        ] {
            assert_eq!(ResponseType::from_name(text), Some(kind), "{text}");
            assert_eq!(ResponseType::from_name(kind.name()), Some(kind));
        }
        for none in
            ["token", "", "none", "code code", "id_token id_token", "code  token", " code", "code ", "Code", "code\tid_token", "code x"]
        {
            assert_eq!(ResponseType::from_name(none), None, "{none:?}");
        }
    }

    #[test]
    fn what_a_type_holds_is_what_its_name_says_and_it_survives_being_stored() {
        for kind in ResponseType::ALL {
            let has = |word: &str| kind.name().split(' ').any(|one| one == word);
            assert_eq!((kind.has_code(), kind.has_id_token(), kind.has_token()), (has("code"), has("id_token"), has("token")));
            assert_eq!(kind.is_front_channel(), has("id_token") || has("token"));
            assert_eq!(kind.grants().contains(&GrantType::AuthorizationCode), has("code"), "{}", kind.name());
            assert_eq!(kind.grants().contains(&GrantType::Implicit), kind.is_front_channel(), "{}", kind.name());
            let stored = serde_json::to_string(&kind).expect("written");
            assert_eq!(stored, format!("{:?}", kind.name()));
            assert_eq!(serde_json::from_str::<ResponseType>(&stored).expect("read"), kind);
        }
        assert_eq!(serde_json::from_str::<ResponseType>("\"token id_token\"").expect("read"), ResponseType::IdTokenToken);
        assert!(serde_json::from_str::<ResponseType>("\"token\"").is_err());
    }
}
