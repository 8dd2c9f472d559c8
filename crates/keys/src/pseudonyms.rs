//! Makes and reads pairwise subjects (OpenID Connect Core, 8.1): the user's id, wrapped by a key that the installation's secret makes of
//! tenant and sector.
//!
//! Nothing is stored: the same user has the same name in a sector for ever, two users never share one, and a name that was not made
//! here does not open (RFC 3394, 2.2.3). Invariant: the key of a sector is made of nothing that rotates.

use app::ports::keys::KeyFault;
use aws_lc_rs::hmac;
use aws_lc_rs::key_wrap::{AES_256, AesKek, KeyWrap};
use domain::ids::{TenantId, UserId};
use domain::pseudonym::Pseudonym;

use crate::signer::mac;

fn key(secret: &hmac::Key, tenant: TenantId, sector: &str) -> Result<AesKek, KeyFault> {
    // The tenant has a fixed width, and the sector comes last: no two of them share a message.
    let message = [b"claviger/pairwise/1".as_slice(), tenant.as_bytes(), sector.as_bytes()].concat();
    AesKek::new(&AES_256, &mac(secret, &message)).map_err(failed)
}

fn failed(_: aws_lc_rs::error::Unspecified) -> KeyFault {
    KeyFault::Unavailable("a pairwise subject could not be made".to_owned())
}

/// What this sector knows the user by.
pub(crate) fn make(secret: &hmac::Key, tenant: TenantId, sector: &str, user: UserId) -> Result<Pseudonym, KeyFault> {
    let mut wrapped = [0; 24];
    key(secret, tenant, sector)?.wrap(user.as_bytes(), &mut wrapped).map_err(failed)?;
    Ok(Pseudonym::from_bytes(wrapped))
}

/// Whom this sector knows by that name; `None` when it is none of its names.
pub(crate) fn read(secret: &hmac::Key, tenant: TenantId, sector: &str, pseudonym: &Pseudonym) -> Result<Option<UserId>, KeyFault> {
    let mut id = [0; 24];
    let opened = key(secret, tenant, sector)?.unwrap(pseudonym.as_bytes(), &mut id);
    Ok(opened.ok().and_then(|bytes| <[u8; 16]>::try_from(&*bytes).ok()).map(UserId::from_bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::fakes::{NOW, tenant};

    #[test]
    fn s121_a_pseudonym_is_of_one_sector_of_one_tenant_and_names_one_user() {
        let secret = hmac::Key::new(hmac::HMAC_SHA256, &[7; 32]);
        let (alice, bob) = (UserId::new(NOW, [1; 10]), UserId::new(NOW, [2; 10]));
        let name = make(&secret, tenant(1), "shop.example", alice).unwrap();
        assert_eq!(make(&secret, tenant(1), "shop.example", alice), Ok(name), "for ever");
        for other in [
            make(&secret, tenant(1), "shop.example", bob),
            make(&secret, tenant(1), "stall.example", alice),
            make(&secret, tenant(2), "shop.example", alice),
            make(&hmac::Key::new(hmac::HMAC_SHA256, &[8; 32]), tenant(1), "shop.example", alice),
        ] {
            assert_ne!(other, Ok(name));
        }
        assert_eq!(read(&secret, tenant(1), "shop.example", &name), Ok(Some(alice)));
        assert_eq!(read(&secret, tenant(1), "stall.example", &name), Ok(None));
        assert_eq!(read(&secret, tenant(2), "shop.example", &name), Ok(None));
        for bit in 0..24 * 8 {
            let mut changed = *name.as_bytes();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(read(&secret, tenant(1), "shop.example", &Pseudonym::from_bytes(changed)), Ok(None), "bit {bit}");
        }
    }
}
