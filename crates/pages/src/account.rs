//! The account page: one's own data, password, sessions and connected applications.

use domain::time::Timestamp;

use crate::Form;
use crate::page::page;
use crate::words::{Count, Words};

/// Everything about one's own account, and what can be done with it.
///
/// Each action is a form of its own: `profile` posts `display_name`; ending a session posts `session`; revoking an application posts
/// `application`. Every form carries the same `csrf_token`.
#[derive(Debug, Clone)]
pub struct AccountPage {
    pub csrf_token: String,
    /// What was just done, such as [`crate::Message::PasswordChanged`].
    pub notice: Option<crate::Message>,
    pub username: Option<String>,
    pub display_name: String,
    /// Whether the name that was sent cannot be taken.
    pub is_name_refused: bool,
    pub email: Option<String>,
    pub is_email_verified: bool,
    pub password_changed_at: Option<Timestamp>,
    pub sessions: Vec<SessionRow>,
    pub applications: Vec<ConnectedApp>,
    /// Paths, on this site.
    pub profile_action: String,
    /// Absent where no mail is sent.
    pub email_change: Option<String>,
    /// Where a link for the address is asked for; absent where it is known, or no mail is sent.
    pub verify_action: Option<String>,
    pub password_change: String,
    pub end_session_action: String,
    pub end_other_sessions_action: String,
    pub revoke_action: String,
    pub export: String,
    pub sign_out: String,
    /// Who is signed in.
    pub account: String,
    /// Where another account is chosen.
    pub other_account: String,
}

/// A session of the account.
#[derive(Debug, Clone)]
pub struct SessionRow {
    pub id: String,
    /// Such as "Firefox · Linux"; empty when nobody can tell.
    pub device: String,
    /// Such as "Zürich, Switzerland", or an address.
    pub place: Option<String>,
    pub signed_in_at: Timestamp,
    pub last_used_at: Timestamp,
    pub is_this_one: bool,
}

/// An application that was allowed something.
#[derive(Debug, Clone)]
pub struct ConnectedApp {
    pub id: String,
    pub name: String,
    pub allowed_at: Timestamp,
    pub scopes: Vec<crate::ScopeLine>,
}

impl AccountPage {
    pub(crate) fn has_other_sessions(&self) -> bool {
        self.sessions.iter().any(|session| !session.is_this_one)
    }
    pub(crate) fn form(&self, action: &str, field: &str, value: &str) -> Form {
        let hidden = if field.is_empty() { Vec::new() } else { vec![(field.to_owned(), value.to_owned())] };
        Form { action: action.to_owned(), csrf_token: self.csrf_token.clone(), hidden }
    }
}

page!(AccountPage, "account.html");

/// Asking for another e-mail address. Posts `email` and `current_password`.
#[derive(Debug, Clone)]
pub struct EmailChangePage {
    pub form: Form,
    pub current: Option<String>,
    /// What was typed.
    pub email: String,
    pub trouble: Option<EmailTrouble>,
    pub back: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EmailTrouble {
    /// It is not an address, or the one the account has.
    BadAddress,
    WrongPassword,
    TryAgainIn {
        minutes: u32,
    },
    FormExpired,
}

impl EmailChangePage {
    pub(crate) fn blames_email(&self) -> bool {
        self.trouble == Some(EmailTrouble::BadAddress)
    }
    pub(crate) fn blames_password(&self) -> bool {
        self.trouble == Some(EmailTrouble::WrongPassword)
    }
}

page!(EmailChangePage, "email_change.html");

/// What a link from a mail opens: "is this your address?" The button says yes.
#[derive(Debug, Clone)]
pub struct ConfirmEmailPage {
    pub form: Form,
    pub email: String,
}

page!(ConfirmEmailPage, "confirm_email.html");

impl EmailTrouble {
    pub(crate) fn say(&self, t: &Words) -> String {
        match *self {
            Self::BadAddress => t.say("trouble-bad-address"),
            Self::WrongPassword => t.say("trouble-wrong-current"),
            Self::TryAgainIn { minutes } => t.say1("trouble-try-again", "minutes", Count(minutes)),
            Self::FormExpired => t.say("trouble-form-expired"),
        }
    }
}
