//! Answers that are encrypted to one client (RFC 7516): how, of what is registered.
//!
//! Invariant: what is encrypted is signed as well, and an answer that a client has registered encryption for never leaves in clear.

use serde::{Deserialize, Serialize};

/// How the key of the content is brought to its reader (RFC 7518, 4). RSA1_5 and whatever needs a shared secret are not among them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum KeyManagement {
    #[serde(rename = "RSA-OAEP-256")]
    RsaOaep256,
    #[serde(rename = "ECDH-ES")]
    EcdhEs,
    #[serde(rename = "ECDH-ES+A128KW")]
    EcdhEsA128Kw,
    #[serde(rename = "ECDH-ES+A256KW")]
    EcdhEsA256Kw,
}

impl KeyManagement {
    pub const ALL: [Self; 4] = [Self::RsaOaep256, Self::EcdhEs, Self::EcdhEsA128Kw, Self::EcdhEsA256Kw];

    /// The `alg` header.
    pub const fn name(self) -> &'static str {
        match self {
            Self::RsaOaep256 => "RSA-OAEP-256",
            Self::EcdhEs => "ECDH-ES",
            Self::EcdhEsA128Kw => "ECDH-ES+A128KW",
            Self::EcdhEsA256Kw => "ECDH-ES+A256KW",
        }
    }
}

/// How the content is encrypted (RFC 7518, 5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum ContentEncryption {
    /// What is meant where an `alg` alone is registered (OpenID Connect Registration, 2).
    #[default]
    #[serde(rename = "A128CBC-HS256")]
    A128CbcHs256,
    #[serde(rename = "A256CBC-HS512")]
    A256CbcHs512,
    #[serde(rename = "A128GCM")]
    A128Gcm,
    #[serde(rename = "A256GCM")]
    A256Gcm,
}

impl ContentEncryption {
    pub const ALL: [Self; 4] = [Self::A128CbcHs256, Self::A256CbcHs512, Self::A128Gcm, Self::A256Gcm];

    /// The `enc` header.
    pub const fn name(self) -> &'static str {
        match self {
            Self::A128CbcHs256 => "A128CBC-HS256",
            Self::A256CbcHs512 => "A256CBC-HS512",
            Self::A128Gcm => "A128GCM",
            Self::A256Gcm => "A256GCM",
        }
    }

    /// How long its key is, in bytes.
    pub const fn key_len(self) -> usize {
        match self {
            Self::A128Gcm => 16,
            Self::A128CbcHs256 | Self::A256Gcm => 32,
            Self::A256CbcHs512 => 64,
        }
    }
}

/// Both together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Encryption {
    pub alg: KeyManagement,
    pub enc: ContentEncryption,
}

impl Encryption {
    /// What is registered, if anything is.
    fn registered(alg: Option<KeyManagement>, enc: Option<ContentEncryption>) -> Option<Self> {
        alg.map(|alg| Self { alg, enc: enc.unwrap_or_default() })
    }
}

/// What a client has registered of it, by the kind of answer (OpenID Connect Registration, 2; JARM, 3; RFC 9701, 6). Logout tokens go
/// like ID tokens (OpenID Connect Back-Channel Logout 1.0, 2.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct EncryptedAnswers {
    pub id_token_encrypted_response_alg: Option<KeyManagement>,
    pub id_token_encrypted_response_enc: Option<ContentEncryption>,
    pub userinfo_encrypted_response_alg: Option<KeyManagement>,
    pub userinfo_encrypted_response_enc: Option<ContentEncryption>,
    pub authorization_encrypted_response_alg: Option<KeyManagement>,
    pub authorization_encrypted_response_enc: Option<ContentEncryption>,
    pub introspection_encrypted_response_alg: Option<KeyManagement>,
    pub introspection_encrypted_response_enc: Option<ContentEncryption>,
}

impl EncryptedAnswers {
    pub fn id_token(&self) -> Option<Encryption> {
        Encryption::registered(self.id_token_encrypted_response_alg, self.id_token_encrypted_response_enc)
    }

    pub fn userinfo(&self) -> Option<Encryption> {
        Encryption::registered(self.userinfo_encrypted_response_alg, self.userinfo_encrypted_response_enc)
    }

    pub fn authorization(&self) -> Option<Encryption> {
        Encryption::registered(self.authorization_encrypted_response_alg, self.authorization_encrypted_response_enc)
    }

    pub fn introspection(&self) -> Option<Encryption> {
        Encryption::registered(self.introspection_encrypted_response_alg, self.introspection_encrypted_response_enc)
    }

    /// Each that is registered.
    pub fn all(&self) -> impl Iterator<Item = Encryption> {
        [self.id_token(), self.userinfo(), self.authorization(), self.introspection()].into_iter().flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_algorithm_is_written_as_its_name() {
        for alg in KeyManagement::ALL {
            assert_eq!(serde_json::to_value(alg).expect("text"), alg.name());
        }
        for enc in ContentEncryption::ALL {
            assert_eq!(serde_json::to_value(enc).expect("text"), enc.name());
        }
    }
}
