//! Requests by reference (OpenID Connect Core, 6.2; RFC 9101, 5.2): the browser brings an address, and what its client shows there is the request.
//!
//! Invariant: nothing is fetched but what the client has registered, letter by letter, of clients that could have signed it; and for a tenant no
//! more than [`Fetches`] lets it.

use std::sync::{Mutex, PoisonError};

use domain::authorize::{AuthorizeError, Refusal};
use domain::client::Client;
use domain::ids::TenantId;
use domain::tenant::Tenant;
use domain::time::Timestamp;

use crate::budget::Rate;
use crate::ctx::Ctx;
use crate::warm::WarmMap;

/// The longest address of a request (OpenID Connect Core, 6.2).
const LONGEST: usize = 512;
/// The most bytes of a request.
const LARGEST: usize = 16 * 1024;
/// So many a second are fetched for one tenant, by each node, and so many at once after a quiet time.
const PER_SECOND: u32 = 10;
const AT_ONCE: u32 = 50;

/// Types that a request may come as: its own (RFC 9101, 5.2.3), that of any JWT, and those of servers that do not know them.
const TYPES: [&str; 4] = ["application/oauth-authz-req+jwt", "application/jwt", "application/octet-stream", "text/plain"];

/// What each tenant may have fetched: anybody can send a browser with an address, as often as they like.
pub struct Fetches {
    /// When its budget is whole again.
    whole_at: WarmMap<TenantId, Mutex<i64>>,
}

impl std::fmt::Debug for Fetches {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Fetches").finish_non_exhaustive()
    }
}

impl Fetches {
    /// For about `most` tenants.
    pub fn new(most: usize) -> Self {
        Self { whole_at: WarmMap::new(most) }
    }

    /// Whether one more may be fetched for this tenant now.
    fn take(&self, tenant: TenantId, now: Timestamp) -> bool {
        let Some(rate) = Rate::new(PER_SECOND, AT_ONCE) else { return false };
        let (entry, _) = self.whole_at.find_or_put(tenant, now, || Mutex::new(i64::MIN));
        entry.touch(now);
        // One number: whoever panicked left nothing half done.
        let mut whole_at = entry.value.lock().unwrap_or_else(PoisonError::into_inner);
        rate.take(&mut whole_at, now.as_micros().saturating_mul(1_000)).is_ok()
    }
}

const fn refusal(description: &'static str) -> Refusal {
    Refusal { error: AuthorizeError::InvalidRequestUri, description }
}

/// What `client` shows at this address of its own, which has still to be judged. No transaction is held.
///
/// # Errors
/// When nothing is fetched, or nothing that could be a request.
pub(super) async fn fetched(ctx: &Ctx, tenant: &Tenant, client: &Client, uri: &str) -> Result<String, Refusal> {
    if uri.len() > LONGEST || !client.settings.request_uris.iter().any(|known| known == uri) {
        return Err(refusal("request_uri is not registered for this client (request_uris)"));
    }
    if client.settings.keys.is_none() {
        let description = "this client has no keys to sign request objects with";
        return Err(Refusal { error: AuthorizeError::RequestNotSupported, description });
    }
    if !ctx.request_fetches.take(tenant.id, ctx.now()) {
        let description = "too many requests are fetched for this issuer: try again, or push the request (RFC 9126)";
        return Err(Refusal { error: AuthorizeError::TemporarilyUnavailable, description });
    }
    // What stands behind `#` is sent to nobody. It need not be the hash of what is there: for those who keep it, it says when it has changed, and
    // nothing is kept here.
    let address = uri.split_once('#').map_or(uri, |(address, _)| address);
    let fetched = async {
        let answer =
            ctx.outbound.get(address, "application/oauth-authz-req+jwt, application/jwt").await.map_err(|fault| fault.to_string())?;
        if answer.status != 200 {
            return Err(format!("status {}", answer.status));
        }
        if !TYPES.contains(&answer.content_type.as_str()) {
            return Err(format!("content type {:?}", answer.content_type));
        }
        if answer.body.len() > LARGEST {
            return Err(format!("larger than {LARGEST} bytes"));
        }
        String::from_utf8(answer.body).map_err(|_| "no text".to_owned())
    };
    match fetched.await {
        Ok(text) => Ok(text.trim_ascii().to_owned()),
        Err(why) => {
            tracing::info!(client_id = %client.id, uri, why, "the request at a request_uri could not be fetched");
            Err(refusal("there is no request object at request_uri that could be fetched"))
        }
    }
}

#[cfg(test)]
mod tests {
    use domain::time::Ttl;

    use super::*;

    #[test]
    fn s030_a_tenant_has_so_many_requests_fetched_and_no_more_and_another_one_does_not_feel_it() {
        let fetches = Fetches::new(16);
        let now = Timestamp::from_seconds(1_000_000);
        let [one, other] = [1, 2].map(|n| TenantId::new(now, [n; 10]));
        let taken = |tenant, at| (0..200).filter(|_| fetches.take(tenant, at)).count();
        assert_eq!(taken(one, now), AT_ONCE as usize);
        assert_eq!(taken(other, now), AT_ONCE as usize);
        assert_eq!(taken(one, now.plus(Ttl::seconds(1))), PER_SECOND as usize);
        assert_eq!(taken(one, now.plus(Ttl::minutes(1))), AT_ONCE as usize, "and it does not grow beyond that");
    }
}
