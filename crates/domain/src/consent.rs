//! Consent: when a user is asked what a client may have.

use crate::client::{AuthMethod, Client, ConsentPolicy};
use crate::details::AuthorizationDetails;
use crate::resource::ResourceSet;
use crate::scope::Scope;

/// What a user allows a client.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Allowed {
    pub scope: Scope,
    /// The APIs that it may have tokens for in their name.
    pub resources: ResourceSet,
    /// What they agreed to in detail: to these, word by word.
    pub details: AuthorizationDetails,
}

impl Allowed {
    /// What either of them holds; details as `other` has them, where it has any: each payment is another one, and they would pile up.
    #[must_use]
    pub fn with(mut self, other: Self) -> Self {
        self.resources.extend(other.resources);
        let details = if other.details.is_empty() { self.details } else { other.details };
        Self { scope: self.scope.with(&other.scope), resources: self.resources, details }
    }

    fn is_within(&self, other: &Self) -> bool {
        self.scope.is_within(&other.scope) && self.resources.is_subset(&other.resources) && self.details.is_among(&other.details)
    }
}

/// Whether the user has to be asked, now, before `client` gets `wanted` at `redirect_uri`. `granted` is what they have agreed to before.
///
/// The tenant's own clients are not asked for, as long as nobody can pose as them. A public client is asked for each time
/// (RFC 8252, 8.6; OWASP ASVS 10.7.1); any other one when it wants something new.
pub fn is_needed(client: &Client, redirect_uri: &str, wanted: &Allowed, granted: Option<&Allowed>) -> bool {
    // Whose client it is says its address alone: the user looks at that each time.
    if !client.is_sure_at(redirect_uri) || client.id.is_address() {
        return true;
    }
    match client.settings.consent {
        ConsentPolicy::FirstParty => false,
        ConsentPolicy::ThirdParty if client.settings.token_endpoint_auth_method == AuthMethod::None => true,
        ConsentPolicy::ThirdParty => !granted.is_some_and(|granted| wanted.is_within(granted)),
    }
}
