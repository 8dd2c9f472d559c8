//! Forgotten and new passwords.

use crate::Form;
use crate::page::{Needs, page};
use crate::words::{Count, Words};

/// Asking for a reset link. Posts `identifier`.
#[derive(Debug, Clone)]
pub struct ForgotPasswordPage {
    pub form: Form,
    pub identifier: String,
    /// Whether nothing was typed. (Whether the account exists is never told.)
    pub is_empty: bool,
    /// Back to the login.
    pub back: Option<String>,
}

page!(ForgotPasswordPage, "forgot_password.html");

/// Choosing a new password. Posts `new_password`, `repeat_password` and, where asked, `current_password`.
#[derive(Debug, Clone)]
pub struct NewPasswordPage {
    pub form: Form,
    pub reason: PasswordReason,
    /// Whose password, so that password managers know what to keep.
    pub identifier: String,
    /// The fewest characters that the tenant's rules allow.
    pub min_length: u32,
    pub trouble: Option<PasswordTrouble>,
    /// Takes the form of whoever is somebody else, with `account`.
    pub other_account: Option<String>,
    /// Back to where there is a choice not to.
    pub back: Option<String>,
}

/// Why a password is chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PasswordReason {
    /// The tenant demands it before going on.
    Required,
    /// The same, where the current password is asked for once more.
    RequiredAgain,
    /// By a link from a mail.
    Reset,
    /// By the person's own wish; the current password is asked for.
    Change,
}

/// Why a password was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PasswordTrouble {
    WrongCurrent,
    NotTheSame,
    TooShort,
    TooLong,
    /// Too easy to guess, or known from leaks.
    TooCommon,
    /// It is the account's name or address, or the password it had.
    TooSimilar,
    TryAgainIn {
        minutes: u32,
    },
    FormExpired,
}

impl NewPasswordPage {
    pub(crate) fn count(&self) -> Count {
        Count(self.min_length)
    }
    pub(crate) fn asks_current(&self) -> bool {
        matches!(self.reason, PasswordReason::Change | PasswordReason::RequiredAgain)
    }
    pub(crate) fn blames_current(&self) -> bool {
        self.trouble == Some(PasswordTrouble::WrongCurrent)
    }
    pub(crate) fn blames_repeat(&self) -> bool {
        self.trouble == Some(PasswordTrouble::NotTheSame)
    }
    pub(crate) fn blames_new(&self) -> bool {
        use PasswordTrouble::{TooCommon, TooLong, TooShort, TooSimilar};
        matches!(self.trouble, Some(TooShort | TooLong | TooCommon | TooSimilar))
    }
}

// A required change goes on to the client.
page!(NewPasswordPage, "new_password.html", |page| match page.reason {
    PasswordReason::Required => Needs::flow(None),
    PasswordReason::RequiredAgain | PasswordReason::Reset | PasswordReason::Change => Needs::default(),
});

impl PasswordTrouble {
    pub(crate) fn say(&self, t: &Words, page: &NewPasswordPage) -> String {
        match *self {
            Self::WrongCurrent => t.say("trouble-wrong-current"),
            Self::NotTheSame => t.say("trouble-not-the-same"),
            Self::TooShort => t.say1("trouble-too-short", "count", Count(page.min_length)),
            Self::TooLong => t.say("trouble-too-long"),
            Self::TooCommon => t.say("trouble-too-common"),
            Self::TooSimilar => t.say("trouble-too-similar"),
            Self::TryAgainIn { minutes } => t.say1("trouble-try-again", "minutes", Count(minutes)),
            Self::FormExpired => t.say("trouble-form-expired"),
        }
    }
}

impl PasswordReason {
    pub(crate) fn lead(&self) -> &'static str {
        match self {
            Self::Required | Self::RequiredAgain => "new-password-required",
            Self::Reset => "new-password-reset",
            Self::Change => "new-password-change",
        }
    }
}
