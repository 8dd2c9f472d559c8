//! Whether an application may have what it asks for.

use std::collections::BTreeMap;

use domain::details::{Question, Said};
use domain::language::Language;

use crate::page::{Needs, page};
use crate::words::Words;
use crate::{Client, Form};

/// Consent. Posts `decision` (`allow` or `deny`) and, where offered, `remember` (`on`).
#[derive(Debug, Clone)]
pub struct ConsentPage {
    pub form: Form,
    pub client: Client,
    /// Who is signed in.
    pub account: String,
    pub scopes: Vec<ScopeLine>,
    /// What is asked for more exactly than by scopes.
    pub details: Vec<DetailLine>,
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

/// Something that is asked for in detail (RFC 9396), such as one payment.
#[derive(Debug, Clone)]
pub struct DetailLine {
    /// Whose it is.
    pub api: String,
    /// By language: the tenant's words, with what the client has sent between them; and what they do not mention, by name.
    pub said: BTreeMap<Language, Question>,
}

/// A piece of a sentence.
pub(crate) struct Piece {
    pub(crate) text: String,
    /// Whether the client has sent it: it is set apart from the tenant's words.
    pub(crate) is_value: bool,
}

impl DetailLine {
    pub(crate) fn sentence(&self, t: &Words) -> Vec<Piece> {
        let said = self.said.get(&t.language()).map(|(said, _)| said.as_slice()).unwrap_or_default();
        let piece = |said: &Said| match said {
            Said::Words(text) => Piece { text: text.clone(), is_value: false },
            Said::Value(text) => Piece { text: text.clone(), is_value: true },
        };
        said.iter().map(piece).collect()
    }

    pub(crate) fn rest(&self, t: &Words) -> Vec<(String, String)> {
        self.said.get(&t.language()).map(|(_, rest)| rest.clone()).unwrap_or_default()
    }
}

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
