//! Tells a tenant's key log of each change of its ring, and signs the new head.
//!
//! The log has a key of its own, sealed beside the others: whoever checks the log must not have to trust the very keys it is
//! about. The head is signed when the log grows, never when it is asked for, so that nobody who can merely write into the
//! database gets a signature for what they wrote.
//!
//! Invariant: nothing is appended to a log whose stored end is not the one that was signed.

use app::ports::keys::KeyFault;
use app::ports::store::{LogGrowth, LogTip, RingChange, SealedSecret};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use domain::audit::Actor;
use domain::keys::log::{LogEntry, facts};
use domain::keys::ring::KeyRing;
use domain::tenant::Tenant;
use domain::time::Timestamp;
use transparency::note::{self, Head, Vkey};
use transparency::tree::{Frontier, leaf_hash};

use crate::seal::{DataKey, SecretName};

/// What the log is called: where it is served, without the scheme.
///
/// Source: C2SP tlog-tiles, Parameters.
pub(crate) fn origin(tenant: &Tenant, base_url: &str) -> String {
    let prefix = format!("{}/.well-known/key-log", tenant.issuer(base_url));
    prefix.split_once("://").map_or(prefix.as_str(), |(_, rest)| rest).to_owned()
}

/// What the log was called when its head was signed.
fn signed_name(tip: &LogTip) -> &str {
    tip.checkpoint.lines().next().unwrap_or_default()
}

/// Whether there is a log, and its head is signed under the name that it has today.
pub(crate) fn is_signed_as(tip: Option<&LogTip>, origin: &str) -> bool {
    tip.is_some_and(|tip| signed_name(tip) == origin)
}

/// A tenant's log as it was read, or none yet.
pub(crate) struct KeyLog<'a> {
    pub(crate) origin: String,
    pub(crate) open: &'a DataKey,
    /// The log's key, once there is one.
    pub(crate) sealed: Option<&'a SealedSecret>,
    pub(crate) tip: Option<&'a LogTip>,
}

impl<'a> KeyLog<'a> {
    /// The log's key among a tenant's secrets.
    pub(crate) fn key_of(secrets: &'a [SealedSecret]) -> Option<&'a SealedSecret> {
        secrets.iter().find(|secret| secret.name == SecretName::log_key().name)
    }

    /// Adds to `change` what the log is to say of it: the difference to `before`, which is told in full when there is no log yet. A log that is
    /// called otherwise since is signed under its new name, also when nothing comes to it.
    ///
    /// # Errors
    /// [`KeyFault::Sealed`] when the log in the database is not the one that was signed.
    pub(crate) fn tell(self, before: Option<&KeyRing>, change: &mut RingChange, by: &Actor, at: Timestamp) -> Result<(), KeyFault> {
        let entry = |generation| move |fact| LogEntry { v: LogEntry::VERSION, at, generation, ordered_by: by.into(), fact };
        let mut entries = Vec::new();
        if let (None, Some(before)) = (self.tip, before) {
            entries.extend(facts(None, before).into_iter().map(entry(before.generation)));
        }
        entries.extend(facts(before, &change.ring).into_iter().map(entry(change.ring.generation)));
        if entries.is_empty() && is_signed_as(self.tip, &self.origin) {
            return Ok(());
        }
        let key = self.key(change)?;
        let mut frontier = self.frontier(&key)?;
        let written = entries.iter().map(serde_json::to_vec).collect::<Result<Vec<_>, _>>();
        let entries = written.map_err(|error| KeyFault::Unavailable(format!("an entry of the key log cannot be written: {error}")))?;
        let hashes = entries.iter().flat_map(|entry| frontier.push(leaf_hash(entry))).collect();
        let head = Head { origin: self.origin, size: frontier.size(), root: frontier.root() };
        let signed = Vkey::new(&head.origin, key.public_key().as_ref()).zip(head.sign(&key));
        let (vkey, checkpoint) = signed.ok_or_else(|| KeyFault::Unavailable(format!("{} can be no log's name", head.origin)))?;
        let tip = LogTip { size: head.size, frontier: frontier.to_bytes(), vkey: vkey.to_string(), checkpoint };
        change.log = Some(LogGrowth { tip, entries, hashes });
        Ok(())
    }

    /// The log's key; a new one is made and sealed when there is none.
    fn key(&self, change: &mut RingChange) -> Result<Ed25519KeyPair, KeyFault> {
        let unusable = |_| KeyFault::Sealed("the key of the key log is no Ed25519 key".to_owned());
        match self.sealed {
            Some(sealed) => Ed25519KeyPair::from_pkcs8(&self.open.open(&SecretName::log_key(), sealed)?).map_err(unusable),
            None => {
                let failed = |_| KeyFault::Unavailable("no key could be made for the key log".to_owned());
                let document = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).map_err(failed)?;
                change.new_secrets.push(self.open.seal(&SecretName::log_key(), document.as_ref())?);
                Ed25519KeyPair::from_pkcs8(document.as_ref()).map_err(unusable)
            }
        }
    }

    /// The end of the log, once it is sure that this is what was signed.
    fn frontier(&self, key: &Ed25519KeyPair) -> Result<Frontier, KeyFault> {
        let Some(tip) = self.tip else { return Ok(Frontier::default()) };
        let changed = |what: String| KeyFault::Sealed(format!("the key log in the database is not the one that was signed: {what}"));
        let frontier = Frontier::from_bytes(tip.size, &tip.frontier).ok_or_else(|| changed("its end does not fit its size".to_owned()))?;
        // The issuer's address may be another one today.
        let vkey = Vkey::new(signed_name(tip), key.public_key().as_ref()).ok_or_else(|| changed("it has no name".to_owned()))?;
        let head = note::open(&tip.checkpoint, &vkey).map_err(|error| changed(error.to_string()))?;
        if (head.size, head.root) != (frontier.size(), frontier.root()) {
            return Err(changed("its root is another one".to_owned()));
        }
        Ok(frontier)
    }
}
