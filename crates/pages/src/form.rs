//! What forms have in common, and who asks.

use domain::branding::Link;

/// Where a form goes and what it carries unseen.
#[derive(Debug, Clone, Default)]
pub struct Form {
    /// The path it is posted to.
    pub action: String,
    /// Posted back as `csrf_token`.
    pub csrf_token: String,
    /// More hidden fields, name and value.
    pub hidden: Vec<(String, String)>,
}

/// The application that somebody signs in to.
#[derive(Debug, Clone)]
pub struct Client {
    pub name: String,
    /// A picture at the client's own site, loaded without referrer; needs its origin in the policy, which [`crate::Page::csp`] has.
    pub logo: Option<Link>,
    pub home: Option<Link>,
    pub terms: Option<Link>,
    pub privacy: Option<Link>,
}

impl Client {
    /// A client of which only the name is known.
    pub fn named(name: impl Into<String>) -> Self {
        Self { name: name.into(), logo: None, home: None, terms: None, privacy: None }
    }

    /// The letter that stands for it where it has no logo.
    pub(crate) fn initial(&self) -> String {
        initial(&self.name)
    }
}

pub(crate) fn initial(name: &str) -> String {
    name.chars().find(|c| c.is_alphanumeric()).map(|c| c.to_uppercase().collect()).unwrap_or_else(|| "•".to_owned())
}
