//! Somebody who talks to addresses that clients have given: for their keys, and to tell them of a logout or of an answer.
//!
//! Invariant: such an address is a stranger's word. Whoever implements this talks to nobody inside the house, follows nobody anywhere
//! else, waits for seconds and reads little.

use async_trait::async_trait;
use domain::secret::Secret;

/// What came back, whatever its status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    /// The `Content-Type` without its parameters, in lower case; empty when there is none.
    pub content_type: String,
    /// For how many seconds it may be kept, where it says so (RFC 9111, 5.2.2); 0 for what is not to be kept.
    pub max_age: Option<u32>,
    pub body: Vec<u8>,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OutboundFault {
    /// Nothing was sent: the address is not one to talk to.
    #[error("not an address to talk to: {0}")]
    Refused(&'static str),
    /// There was no answer, or none that could be read in the time and space that there is.
    #[error("{0}")]
    Failed(String),
}

/// Why somebody who was told something has not taken note of it; `None` when they have.
pub(crate) fn not_taken(answer: Result<Answer, OutboundFault>) -> Option<String> {
    match answer {
        Ok(answer) if (200..300).contains(&answer.status) => None,
        Ok(answer) => Some(format!("status {}", answer.status)),
        Err(fault) => Some(fault.to_string()),
    }
}

#[async_trait]
pub trait Outbound: Send + Sync {
    /// Fetches a document that should be of the type `accept`; whether it is, the caller looks.
    async fn get(&self, url: &str, accept: &'static str) -> Result<Answer, OutboundFault>;
    /// Posts a form.
    async fn post_form(&self, url: &str, form: &[(&str, &str)]) -> Result<Answer, OutboundFault>;
    /// Posts JSON, with a bearer token.
    async fn post_json(&self, url: &str, bearer: &Secret<String>, body: String) -> Result<Answer, OutboundFault>;
}
