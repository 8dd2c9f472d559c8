//! Consent: when a user is asked what a client may have.

use crate::client::{AuthMethod, Client, ConsentPolicy};
use crate::scope::Scope;

/// Whether the user has to be asked, now, before `client` gets `scope` at `redirect_uri`. `granted` is what they have agreed to before.
///
/// The tenant's own clients are not asked for, as long as nobody can pose as them. A public client is asked for each time
/// (RFC 8252, 8.6; OWASP ASVS 10.7.1); any other one when it wants something new.
pub fn is_needed(client: &Client, redirect_uri: &str, scope: &Scope, granted: Option<&Scope>) -> bool {
    if !client.is_sure_at(redirect_uri) {
        return true;
    }
    match client.settings.consent {
        ConsentPolicy::FirstParty => false,
        ConsentPolicy::ThirdParty if client.settings.token_endpoint_auth_method == AuthMethod::None => true,
        ConsentPolicy::ThirdParty => !granted.is_some_and(|granted| scope.is_within(granted)),
    }
}
