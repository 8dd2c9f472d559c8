//! Signing in, and choosing among accounts that are signed in.

use crate::page::{Needs, page};
use crate::words::{Count, Words};
use crate::{Client, Form};

/// Signing in. Posts `identifier`, `password`, `remember` (`on`), and `cancel` (`1`) when the person declines.
#[derive(Debug, Clone)]
pub struct LoginPage {
    pub form: Form,
    pub step: LoginStep,
    /// What was typed as identifier, to be shown again; in the second step, who signs in.
    pub identifier: String,
    pub client: Option<Client>,
    pub notice: Option<LoginNotice>,
    pub trouble: Option<LoginTrouble>,
    /// Whether the session may outlive the browser; no box is shown where that is not offered.
    pub remember: Option<bool>,
    /// Where a forgotten password is dealt with.
    pub forgot: Option<String>,
    /// Where another account is chosen, or the identifier typed again.
    pub other_account: Option<String>,
    /// Whether there is a client to go back to with `access_denied`.
    pub may_cancel: bool,
}

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LoginStep {
    /// Identifier and password at once.
    Both,
    /// Who; then the next page asks for the rest.
    Identifier,
    /// The password of a known identifier.
    Password,
}

/// Why somebody is asked, where it is no mistake of theirs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LoginNotice {
    SessionExpired,
    /// The client asks for a fresh login (`prompt=login`, `max_age`).
    ConfirmItsYou,
    PasswordChanged,
}

/// Why the last attempt did not succeed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LoginTrouble {
    /// One text for an unknown account and a wrong password.
    WrongCredentials,
    /// Too many attempts; at least a minute.
    TryAgainIn {
        minutes: u32,
    },
    /// The form was too old, or its token was not ours.
    FormExpired,
    /// Nothing was typed.
    Empty,
    Unavailable,
}

impl LoginPage {
    pub(crate) fn asks_password(&self) -> bool {
        self.step != LoginStep::Identifier
    }
    pub(crate) fn knows_who(&self) -> bool {
        self.step == LoginStep::Password
    }
    pub(crate) fn remembers(&self) -> bool {
        self.remember == Some(true)
    }
}

page!(LoginPage, "login.html", |page| Needs::flow(page.client.as_ref()));

/// Which of the accounts signed in on this browser to go on with. Posts `account`: an id, or empty for another account; or `sign_out`,
/// the id of one to leave.
#[derive(Debug, Clone)]
pub struct ChooseAccountPage {
    pub form: Form,
    pub client: Option<Client>,
    pub accounts: Vec<AccountChoice>,
}

#[derive(Debug, Clone)]
pub struct AccountChoice {
    /// What is posted back.
    pub id: String,
    pub name: String,
    pub email: Option<String>,
    /// Whether its session still runs; else the password is asked for.
    pub is_signed_in: bool,
}

impl AccountChoice {
    pub(crate) fn initial(&self) -> String {
        crate::form::initial(&self.name)
    }
}

page!(ChooseAccountPage, "choose_account.html", |page| Needs::flow(page.client.as_ref()));

impl LoginTrouble {
    pub(crate) fn say(&self, t: &Words) -> String {
        match *self {
            Self::WrongCredentials => t.say("trouble-credentials"),
            Self::TryAgainIn { minutes } => t.say1("trouble-try-again", "minutes", Count(minutes)),
            Self::FormExpired => t.say("trouble-form-expired"),
            Self::Empty => t.say("trouble-empty"),
            Self::Unavailable => t.say("trouble-unavailable"),
        }
    }
}

impl LoginNotice {
    pub(crate) fn say(&self, t: &Words) -> String {
        t.say(match self {
            Self::SessionExpired => "notice-session-expired",
            Self::ConfirmItsYou => "notice-confirm",
            Self::PasswordChanged => "notice-password-changed",
        })
    }
}
