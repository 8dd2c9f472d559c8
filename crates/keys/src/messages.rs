//! What a tenant's actor can be asked.
//!
//! Invariant: a message carries ids and intent, never a row or a key.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use actix::Message;
use app::ports::keys::{KeyChange, KeyCommand, KeyCommandError, KeyFault, OrderedBy, PublishedKeys};

use crate::signer::TenantSigner;

/// Load the public side, unless it is loaded.
#[derive(Clone, Copy, Message)]
#[rtype(result = "Result<Arc<PublishedKeys>, KeyFault>")]
pub(crate) struct Wake;

/// Read the ring again, because its generation is said to have moved.
#[derive(Clone, Copy, Message)]
#[rtype(result = "Result<Arc<PublishedKeys>, KeyFault>")]
pub(crate) struct Refresh;

/// Open the private side, of this generation or later.
#[derive(Clone, Copy, Message)]
#[rtype(result = "Result<Arc<TenantSigner>, KeyFault>")]
pub(crate) struct Unseal {
    pub(crate) at_least: u64,
}

/// Carry a change out and answer after its commit.
#[derive(Clone, Message)]
#[rtype(result = "Result<KeyChange, KeyCommandError>")]
pub(crate) struct Execute {
    pub(crate) command: KeyCommand,
    pub(crate) by: OrderedBy,
    pub(crate) begun: Begun,
}

/// Whether an actor has begun with a message: what has begun is never repeated.
#[derive(Clone, Default)]
pub(crate) struct Begun(Arc<AtomicBool>);

impl Begun {
    pub(crate) fn mark(&self) {
        self.0.store(true, Ordering::Release);
    }

    pub(crate) fn is_marked(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// Leave. Nothing is saved: everything was saved when it changed.
#[derive(Clone, Copy, Message)]
#[rtype(result = "()")]
pub(crate) struct Passivate;
