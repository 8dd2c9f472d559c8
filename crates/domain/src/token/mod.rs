//! What tokens say ([`claims`]), how a session's refresh tokens follow each other ([`family`]), and what a refresh
//! token looks like from outside ([`refresh_token`]).

pub mod claims;
pub mod family;
pub mod refresh_token;
