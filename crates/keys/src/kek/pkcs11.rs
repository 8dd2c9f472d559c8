//! A key of an HSM, by PKCS#11: an AES key of the token, which never leaves it.
//!
//! What is wrapped looks like what a local key wraps: nonce, ciphertext, tag. The nonce is made here, so an HSM that insists on
//! making it itself (some do in FIPS mode) cannot be used.
//!
//! Source: PKCS#11 3.0, 2.12 (AES-GCM).
//!
//! Invariant: the module's functions block, so they are called on threads that may block; a session is used by one call at a
//! time.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::error::{Error, RvError};
use cryptoki::mechanism::Mechanism;
use cryptoki::mechanism::aead::GcmParams;
use cryptoki::object::{Attribute, KeyType, ObjectClass, ObjectHandle};
use cryptoki::session::{Session, UserType};
use cryptoki::types::{AuthPin, Ulong};
use zeroize::Zeroizing;

use super::{Kek, KekFault};

const NONCE: usize = 12;
const TAG_BITS: Ulong = Ulong::new(128);

/// Which key of which token, and what opens it.
#[derive(Debug, Clone)]
pub struct HsmKey {
    /// The vendor's module, a shared library.
    pub module: PathBuf,
    pub token_label: String,
    pub key_label: String,
    pub pin_file: PathBuf,
}

/// A key of an HSM.
#[derive(Debug)]
pub struct HsmKek {
    id: String,
    token: Arc<Token>,
}

struct Token {
    key: HsmKey,
    /// Opened at first use, and anew when it was lost.
    open: Mutex<Option<Open>>,
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Token").field("key", &self.key).finish_non_exhaustive()
    }
}

struct Open {
    session: Session,
    key: ObjectHandle,
}

impl HsmKek {
    /// Talks to nobody yet.
    pub fn new(id: String, key: HsmKey) -> Self {
        Self { id, token: Arc::new(Token { key, open: Mutex::new(None) }) }
    }

    async fn blocking<T: Send + 'static>(&self, work: impl FnOnce(&Token) -> Result<T, KekFault> + Send + 'static) -> Result<T, KekFault> {
        let token = Arc::clone(&self.token);
        let outcome = tokio::task::spawn_blocking(move || work(&token)).await;
        outcome.unwrap_or_else(|error| Err(KekFault::Unavailable(format!("the PKCS#11 module: {error}"))))
    }
}

impl Token {
    fn open(&self) -> Result<Open, KekFault> {
        let HsmKey { module, token_label, key_label, pin_file } = &self.key;
        let shown = &module.display();
        let failed = |what: &'static str| move |error: Error| KekFault::Unavailable(format!("{shown}: {what}: {error}"));
        let pin = std::fs::read_to_string(pin_file).map(Zeroizing::new);
        let pin = pin.map_err(|error| KekFault::Unavailable(format!("the PIN file {} cannot be read: {error}", pin_file.display())))?;
        let pkcs11 = Pkcs11::new(module).map_err(failed("the module cannot be loaded"))?;
        match pkcs11.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)) {
            // Once for the process, whoever did it.
            Ok(()) | Err(Error::Pkcs11(RvError::CryptokiAlreadyInitialized, _)) => {}
            Err(error) => return Err(failed("the module does not start")(error)),
        }
        let slots = pkcs11.get_slots_with_token().map_err(failed("no slots"))?;
        let is_ours = |slot: &&_| pkcs11.get_token_info(**slot).is_ok_and(|info| info.label().trim_end() == token_label);
        let slot =
            slots.iter().find(is_ours).ok_or_else(|| KekFault::Unavailable(format!("{shown}: there is no token `{token_label}`")))?;
        let session = pkcs11.open_ro_session(*slot).map_err(failed("no session"))?;
        match session.login(UserType::User, Some(&AuthPin::new(pin.trim().to_owned().into()))) {
            // Of the whole process, too.
            Ok(()) | Err(Error::Pkcs11(RvError::UserAlreadyLoggedIn, _)) => {}
            Err(error) => return Err(failed("the token does not take the PIN")(error)),
        }
        let template =
            [Attribute::Class(ObjectClass::SECRET_KEY), Attribute::KeyType(KeyType::AES), Attribute::Label(key_label.as_bytes().to_vec())];
        let keys = session.find_objects(&template).map_err(failed("the key cannot be looked for"))?;
        match keys[..] {
            [key] => Ok(Open { session, key }),
            _ => Err(KekFault::Unavailable(format!(
                "{shown}: {} AES keys `{key_label}` in the token `{token_label}`; there must be one",
                keys.len()
            ))),
        }
    }

    /// Works in a session; in a new one when the old one was lost.
    fn with<T>(&self, work: impl Fn(&Open) -> Result<T, Error>) -> Result<T, KekFault> {
        let mut kept = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let mut was_kept = kept.is_some();
        loop {
            let open = match kept.take() {
                Some(open) => open,
                None => self.open()?,
            };
            match work(&open) {
                Ok(done) => {
                    *kept = Some(open);
                    return Ok(done);
                }
                Err(_) if was_kept => was_kept = false,
                Err(error) => return Err(KekFault::Unavailable(format!("{}: {error}", self.key.module.display()))),
            }
        }
    }

    fn encrypt(&self, context: &[u8], plain: &[u8]) -> Result<Vec<u8>, KekFault> {
        let mut nonce = [0; NONCE];
        aws_lc_rs::rand::fill(&mut nonce).map_err(|_| KekFault::Unavailable("this machine has no randomness".to_owned()))?;
        let body = self.with(|open| {
            let mut iv = nonce;
            let mechanism = Mechanism::AesGcm(GcmParams::new(&mut iv, context, TAG_BITS)?);
            open.session.encrypt(&mechanism, open.key, plain)
        })?;
        Ok([&nonce, body.as_slice()].concat())
    }

    fn decrypt(&self, context: &[u8], wrapped: &[u8]) -> Result<Zeroizing<Vec<u8>>, KekFault> {
        let (nonce, body) = wrapped.split_first_chunk::<NONCE>().ok_or(KekFault::Refused)?;
        self.with(|open| {
            let mut iv = *nonce;
            let mechanism = Mechanism::AesGcm(GcmParams::new(&mut iv, context, TAG_BITS)?);
            open.session.decrypt(&mechanism, open.key, body).map(Zeroizing::new)
        })
    }

    fn unwrap(&self, context: &[u8], wrapped: &[u8]) -> Result<Zeroizing<Vec<u8>>, KekFault> {
        let opened = self.decrypt(context, wrapped);
        if matches!(opened, Err(KekFault::Unavailable(_))) {
            // Modules answer a wrong tag with this or that error. If the key opens what it has just wrapped, it was the tag.
            self.decrypt(context, &self.encrypt(context, &[0; 32])?)?;
            return Err(KekFault::Refused);
        }
        opened
    }
}

#[async_trait]
impl Kek for HsmKek {
    fn id(&self) -> &str {
        &self.id
    }

    fn provider(&self) -> &'static str {
        "pkcs11"
    }

    async fn wrap(&self, context: &[u8], key: &[u8; 32]) -> Result<Vec<u8>, KekFault> {
        let (context, key) = (context.to_vec(), Zeroizing::new(*key));
        self.blocking(move |token| token.encrypt(&context, &*key)).await
    }

    async fn unwrap(&self, context: &[u8], wrapped: &[u8]) -> Result<Zeroizing<Vec<u8>>, KekFault> {
        let (context, wrapped) = (context.to_vec(), wrapped.to_vec());
        self.blocking(move |token| token.unwrap(&context, &wrapped)).await
    }
}
