//! What the use cases need from outside: somebody to store ([`store`]), somebody to keep keys ([`keys`]), somebody
//! who says what other nodes changed ([`changes`]), somebody who talks to addresses of clients ([`outbound`]), somebody who sends mails ([`mail`]), and the time and chance of day ([`world`]).

pub mod changes;
pub mod custody;
pub mod keys;
pub mod mail;
pub mod outbound;
pub mod provider;
pub mod store;
pub mod world;
