//! Whether an application may have what it asks for.

use crate::page::{Needs, page};
use crate::{Client, Form};

/// Consent. Posts `decision` (`allow` or `deny`) and, where offered, `remember` (`on`).
#[derive(Debug, Clone)]
pub struct ConsentPage {
    pub form: Form,
    pub client: Client,
    /// Who is signed in.
    pub account: String,
    pub scopes: Vec<ScopeLine>,
    /// Whether to ask only once is offered, and ticked.
    pub remember: Option<bool>,
    /// Where another account is chosen.
    pub other_account: Option<String>,
}

impl ConsentPage {
    pub(crate) fn remembers(&self) -> bool {
        self.remember == Some(true)
    }
}

page!(ConsentPage, "consent.html", |page| Needs::flow(Some(&page.client)));

/// One thing that is asked for.
#[derive(Debug, Clone)]
pub struct ScopeLine {
    /// The token of RFC 6749, 3.3.
    pub scope: String,
    /// The tenant's words for a scope of its own; the standard scopes have ours, in the reader's language.
    pub description: Option<String>,
}

impl ScopeLine {
    /// The message for a scope that Claviger knows.
    pub(crate) fn key(&self) -> Option<&'static str> {
        Some(match self.scope.as_str() {
            "openid" => "scope-openid",
            "profile" => "scope-profile",
            "email" => "scope-email",
            "phone" => "scope-phone",
            "address" => "scope-address",
            "offline_access" => "scope-offline-access",
            "account" => "scope-account",
            "admin" => "scope-admin",
            _ => return None,
        })
    }
}
