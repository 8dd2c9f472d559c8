//! Pages on the way out: signing out, and handing an answer to a client by form.

use std::str::FromStr;

use domain::branding::Link;
use domain::text::BadText;

use crate::page::{Forms, Needs, page};
use crate::{Client, Form};

/// Where a browser is sent: an absolute URI of any scheme that runs nothing here; private-use schemes are those of native apps
/// (RFC 8252, 7.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Destination(String);

impl Destination {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Destination {
    type Err = BadText;

    fn from_str(text: &str) -> Result<Self, BadText> {
        let refused = BadText("a destination is an absolute URI without spaces, not one of javascript, data, blob, file, about, vbscript");
        let (scheme, rest) = text.split_once(':').ok_or(refused.clone())?;
        let named = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b));
        let runs = ["javascript", "data", "blob", "file", "about", "vbscript", "filesystem", "view-source"];
        if !named
            || rest.is_empty()
            || text.bytes().any(|b| !(0x21..=0x7e).contains(&b))
            || runs.iter().any(|run| scheme.eq_ignore_ascii_case(run))
        {
            return Err(refused);
        }
        Ok(Self(text.to_owned()))
    }
}

/// Whether to sign out. Posts `decision` (`sign_out` or `stay`).
#[derive(Debug, Clone)]
pub struct LogoutPage {
    pub form: Form,
    /// Who would be signed out.
    pub accounts: Vec<String>,
    /// The client that asks.
    pub client: Option<Client>,
}

page!(LogoutPage, "logout.html", |page| Needs::flow(page.client.as_ref()));

/// Signed out; tells the clients by frames (OpenID Connect Front-Channel Logout 1.0, 3), then goes on.
#[derive(Debug, Clone)]
pub struct LoggedOutPage {
    /// Each loaded in a hidden frame.
    pub frames: Vec<Link>,
    /// The client's `post_logout_redirect_uri`, with its `state`.
    pub next: Option<Destination>,
    pub client: Option<Client>,
    /// Back to the login.
    pub login: Option<String>,
}

page!(LoggedOutPage, "logged_out.html", |page| Needs {
    script: page.next.is_some(),
    frames: page.frames.iter().map(Link::origin).collect(),
    ..Needs::default()
});

/// An answer that the browser posts to the client (OAuth 2.0 Form Post Response Mode), by itself or by a button.
#[derive(Debug, Clone)]
pub struct FormPostPage {
    /// The redirect URI.
    pub action: Destination,
    pub fields: Vec<(String, String)>,
    pub client: Option<Client>,
}

page!(FormPostPage, "form_post.html", |_| Needs { script: true, forms: Forms::LeadAway, ..Needs::default() });
