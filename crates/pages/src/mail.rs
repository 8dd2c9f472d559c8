//! The mails that people get: a subject, plain text, and simple HTML that says the same.

use domain::branding::Link;
use domain::time::Timestamp;

use crate::Look;
use crate::words::{Count, Words};

/// What to send, as `multipart/alternative`. The subject holds no line break.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mail {
    pub subject: String,
    pub text: String,
    pub html: String,
}

/// A mail that can be written in a tenant's look and language.
pub trait MailBody {
    /// Only `look`'s name, branding and language matter here: pictures and style sheets are not loaded from mails.
    fn mail(&self, look: &Look<'_>) -> Mail;
}

/// "Is this your address?"
#[derive(Debug, Clone)]
pub struct VerificationMail {
    pub link: Link,
    /// For how many minutes it works.
    pub minutes: u32,
}

/// "Choose a new password."
#[derive(Debug, Clone)]
pub struct PasswordResetMail {
    /// Whose account.
    pub account: String,
    pub link: Link,
    pub minutes: u32,
}

/// To the old address: the account has another one now.
#[derive(Debug, Clone)]
pub struct EmailChangedMail {
    pub account: String,
    pub new_email: String,
    pub at: Timestamp,
}

/// Somebody signed in from a place where the account was not used lately.
#[derive(Debug, Clone)]
pub struct NewSignInMail {
    pub account: String,
    pub device: String,
    pub place: Option<String>,
    pub at: Timestamp,
    /// The account page.
    pub link: Link,
}

/// An application waits for an answer, which is given on the account page.
#[derive(Debug, Clone)]
pub struct BackchannelRequestMail {
    pub account: String,
    pub client: String,
    pub binding_message: Option<String>,
    pub place: Option<String>,
    pub at: Timestamp,
    /// The account page.
    pub link: Link,
}

/// The parts of any mail of ours, already in words.
struct Letter {
    subject: String,
    paragraphs: Vec<String>,
    /// Label and value.
    facts: Vec<(String, String)>,
    button: Option<(String, String)>,
    after: String,
}

#[derive(askama::Template)]
#[template(path = "mail.html")]
struct Html<'a> {
    look: &'a Look<'a>,
    t: Words,
    letter: &'a Letter,
}

#[derive(askama::Template)]
#[template(path = "mail.txt", escape = "none")]
struct Text<'a> {
    look: &'a Look<'a>,
    letter: &'a Letter,
}

impl Letter {
    fn write(self, look: &Look<'_>, t: Words) -> Mail {
        let told = "writing into a String does not fail";
        let html = askama::Template::render(&Html { look, t, letter: &self }).expect(told);
        let text = askama::Template::render(&Text { look, letter: &self }).expect(told);
        Mail { subject: plain(&self.subject).replace(['\r', '\n'], " "), text: plain(&text), html }
    }
}

/// Without the isolates of Fluent: some mail programs show them as boxes.
fn plain(text: &str) -> String {
    text.replace(['\u{2068}', '\u{2069}'], "")
}

impl MailBody for VerificationMail {
    fn mail(&self, look: &Look<'_>) -> Mail {
        let t = Words::new(look.language);
        Letter {
            subject: t.say1("mail-verification-subject", "tenant", look.title()),
            paragraphs: vec![t.say1("mail-verification-text", "tenant", look.title())],
            facts: Vec::new(),
            button: Some((t.say("mail-verification-button"), self.link.as_str().to_owned())),
            after: format!("{} {}", t.say1("mail-link-life", "minutes", Count(self.minutes)), t.say("mail-not-you")),
        }
        .write(look, t)
    }
}

impl MailBody for PasswordResetMail {
    fn mail(&self, look: &Look<'_>) -> Mail {
        let t = Words::new(look.language);
        Letter {
            subject: t.say1("mail-reset-subject", "tenant", look.title()),
            paragraphs: vec![t.say2("mail-reset-text", "account", self.account.as_str(), "tenant", look.title())],
            facts: Vec::new(),
            button: Some((t.say("mail-reset-button"), self.link.as_str().to_owned())),
            after: format!("{} {}", t.say1("mail-link-life", "minutes", Count(self.minutes)), t.say("mail-reset-not-you")),
        }
        .write(look, t)
    }
}

impl MailBody for EmailChangedMail {
    fn mail(&self, look: &Look<'_>) -> Mail {
        let t = Words::new(look.language);
        Letter {
            subject: t.say1("mail-email-changed-subject", "tenant", look.title()),
            paragraphs: vec![t.say2("mail-email-changed-text", "account", self.account.as_str(), "tenant", look.title())],
            facts: vec![(t.say("mail-fact-new-email"), self.new_email.clone()), (t.say("mail-fact-time"), t.moment(&self.at))],
            button: None,
            after: t.say("mail-email-changed-not-you"),
        }
        .write(look, t)
    }
}

impl MailBody for NewSignInMail {
    fn mail(&self, look: &Look<'_>) -> Mail {
        let t = Words::new(look.language);
        let mut facts = vec![(t.say("mail-fact-device"), self.device.clone())];
        facts.extend(self.place.clone().map(|place| (t.say("mail-fact-place"), place)));
        facts.push((t.say("mail-fact-time"), t.moment(&self.at)));
        Letter {
            subject: t.say1("mail-sign-in-subject", "tenant", look.title()),
            paragraphs: vec![t.say2("mail-sign-in-text", "account", self.account.as_str(), "tenant", look.title())],
            facts,
            button: Some((t.say("mail-sign-in-button"), self.link.as_str().to_owned())),
            after: t.say("mail-sign-in-not-you"),
        }
        .write(look, t)
    }
}

impl MailBody for BackchannelRequestMail {
    fn mail(&self, look: &Look<'_>) -> Mail {
        let t = Words::new(look.language);
        let mut facts = vec![(t.say("mail-fact-app"), self.client.clone())];
        facts.extend(self.binding_message.clone().map(|message| (t.say("mail-fact-message"), message)));
        facts.extend(self.place.clone().map(|place| (t.say("mail-fact-place"), place)));
        facts.push((t.say("mail-fact-time"), t.moment(&self.at)));
        Letter {
            subject: t.say1("mail-request-subject", "tenant", look.title()),
            paragraphs: vec![t.say2("mail-request-text", "account", self.account.as_str(), "tenant", look.title())],
            facts,
            button: Some((t.say("mail-request-button"), self.link.as_str().to_owned())),
            after: t.say("mail-request-not-you"),
        }
        .write(look, t)
    }
}
