//! The text of a refresh token: `rt1_` and 72 characters of base64url over
//! `key version (2) · family (16) · generation (4) · MAC (32)`.
//!
//! The MAC is made elsewhere, by whoever holds the tenant's token secret; here is only the layout. Nothing of a token is
//! ever stored: it is derived from the family's row and the secret.
//!
//! Invariant: one token has exactly one spelling. Cut, padded, extended or re-encoded text does not parse.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::ids::FamilyId;
use crate::token::family::Generation;

const PREFIX: &str = "rt1_";
const BODY: usize = 22;
const MAC: usize = 32;

/// A refresh token whose MAC has not been looked at yet. Nothing may be believed of it but its shape.
#[derive(Clone, PartialEq, Eq)]
pub struct UnverifiedRefreshToken {
    pub key_version: u16,
    pub family_id: FamilyId,
    pub generation: Generation,
    pub mac: [u8; MAC],
}

impl std::fmt::Debug for UnverifiedRefreshToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("UnverifiedRefreshToken")
            .field("family_id", &self.family_id)
            .field("generation", &self.generation)
            .finish_non_exhaustive()
    }
}

/// The bytes that the MAC covers.
pub fn body(key_version: u16, family_id: FamilyId, generation: Generation) -> [u8; BODY] {
    let mut bytes = [0; BODY];
    bytes[..2].copy_from_slice(&key_version.to_be_bytes());
    bytes[2..18].copy_from_slice(family_id.as_bytes());
    bytes[18..].copy_from_slice(&generation.as_u32().to_be_bytes());
    bytes
}

/// Writes the token.
pub fn format(body: &[u8; BODY], mac: &[u8; MAC]) -> String {
    let mut bytes = [0; BODY + MAC];
    bytes[..BODY].copy_from_slice(body);
    bytes[BODY..].copy_from_slice(mac);
    let mut text = String::with_capacity(PREFIX.len() + 72);
    text.push_str(PREFIX);
    URL_SAFE_NO_PAD.encode_string(bytes, &mut text);
    text
}

/// Reads a token's shape; `None` when it is not one of ours.
pub fn parse(text: &str) -> Option<UnverifiedRefreshToken> {
    let encoded = text.strip_prefix(PREFIX).filter(|rest| rest.len() == 72)?;
    let mut bytes = [0; BODY + MAC];
    let length = URL_SAFE_NO_PAD.decode_slice(encoded, &mut bytes).ok()?;
    if length != bytes.len() {
        return None;
    }
    let (key_version, rest) = bytes.split_first_chunk::<2>()?;
    let (family_id, rest) = rest.split_first_chunk::<16>()?;
    let (generation, mac) = rest.split_first_chunk::<4>()?;
    Some(UnverifiedRefreshToken {
        key_version: u16::from_be_bytes(*key_version),
        family_id: FamilyId::from_uuid(uuid::Uuid::from_bytes(*family_id)),
        generation: Generation::from_u32(u32::from_be_bytes(*generation)),
        mac: mac.try_into().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Timestamp;

    #[test]
    fn r25_one_token_has_exactly_one_spelling() {
        let family_id = FamilyId::new(Timestamp::from_seconds(1_795_000_000), [9; 10]);
        let generation = Generation::from_u32(7);
        let text = format(&body(1, family_id, generation), &[0xa5; 32]);
        let parsed = parse(&text).expect("parses");
        assert_eq!((parsed.key_version, parsed.family_id, parsed.generation, parsed.mac), (1, family_id, generation, [0xa5; 32]));
        for cut in 0..text.len() {
            assert_eq!(parse(&text[..cut]), None, "cut at {cut}");
        }
        for changed in [format!("{text}A"), format!("{text}="), format!(" {text}"), text.replace("rt1_", "RT1_"), text.replace("rt1_", "")]
        {
            assert_eq!(parse(&changed), None, "{changed}");
        }
    }
}
