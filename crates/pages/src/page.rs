//! What every page can do, and its Content-Security-Policy.

use std::fmt::Write as _;

use crate::Look;

/// A page: render it with [`Page::html`] and send it with [`Page::csp`].
pub trait Page {
    /// The whole document, as UTF-8 `text/html`.
    fn html(&self, look: &Look<'_>) -> String;

    /// What this page needs beyond the least policy.
    fn needs(&self) -> Needs {
        Needs::default()
    }

    /// The value of `Content-Security-Policy`: nothing is allowed but what the page has.
    ///
    /// `form-action` is `'self'` where what follows the form is a page of ours, and absent where the answer may redirect to a
    /// client: Chromium holds the directive against every redirect that follows a submission, also against those of the client's
    /// own site, which nobody can list (docs/src/hosted-pages.md).
    fn csp(&self) -> String {
        let needs = self.needs();
        let mut policy = "default-src 'none'; style-src 'self'; img-src 'self'".to_owned();
        let mut add = |text: &str| policy.push_str(text);
        for origin in &needs.images {
            add(" ");
            add(origin);
        }
        if needs.script {
            add("; script-src 'self'");
        }
        if !needs.frames.is_empty() {
            add("; frame-src");
            for origin in &needs.frames {
                add(" ");
                add(origin);
            }
        }
        if needs.forms == Forms::StayHere {
            add("; form-action 'self'");
        }
        let _ = write!(policy, "; base-uri 'none'; frame-ancestors 'none'");
        policy
    }
}

/// What a page's policy must allow.
#[derive(Debug, Default)]
pub struct Needs {
    /// Origins of pictures other than ours.
    pub(crate) images: Vec<String>,
    /// Whether one of our script files is used.
    pub(crate) script: bool,
    /// Origins that are framed.
    pub(crate) frames: Vec<String>,
    pub(crate) forms: Forms,
}

/// Where the forms of a page lead in the end.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Forms {
    /// To a page of ours.
    #[default]
    StayHere,
    /// Possibly to a client, by redirects.
    LeadAway,
}

impl Needs {
    /// For a form in a client's flow: it may lead away, and the client's logo may be a picture elsewhere.
    pub(crate) fn flow(client: Option<&crate::Client>) -> Self {
        let images = client.and_then(|client| client.logo.as_ref()).map(|logo| logo.origin()).into_iter().collect();
        Self { images, forms: Forms::LeadAway, ..Self::default() }
    }
}

/// Ties a context to its template, which sees it as `page` and the tenant as `look`; `t` has the words.
macro_rules! page {
    ($context:ty, $file:tt $(, $needs:expr)?) => {
        const _: () = {
            #[derive(askama::Template)]
            #[template(path = $file)]
            struct View<'a> {
                look: &'a crate::Look<'a>,
                t: crate::words::Words,
                page: &'a $context,
            }
            impl crate::Page for $context {
                fn html(&self, look: &crate::Look<'_>) -> String {
                    let view = View { look, t: crate::words::Words::new(look.language), page: self };
                    askama::Template::render(&view).expect("writing into a String does not fail")
                }
                $(fn needs(&self) -> crate::page::Needs {
                    let needs: fn(&Self) -> crate::page::Needs = $needs;
                    needs(self)
                })?
            }
        };
    };
}
pub(crate) use page;
