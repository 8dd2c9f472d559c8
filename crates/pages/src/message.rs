//! Pages that say something: that a thing is done, or what went wrong and what to do.

use crate::page::page;

/// What was done, or what to do next. Where a link came by mail and may have been opened by a scanner, use a form instead.
#[derive(Debug, Clone)]
pub struct MessagePage {
    pub message: Message,
    /// Where to go on, on this site.
    pub next: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// Sent if there is such an account; it is not told whether.
    ResetSent,
    PasswordChanged,
    VerificationSent {
        email: String,
    },
    EmailVerified,
    EmailChangeSent {
        email: String,
    },
    EmailChanged,
    DeviceAllowed,
    DeviceDenied,
}

page!(MessagePage, "message.html");

impl Message {
    pub(crate) fn key(&self) -> &'static str {
        match self {
            Self::ResetSent => "message-reset-sent",
            Self::PasswordChanged => "message-password-changed",
            Self::VerificationSent { .. } => "message-verification-sent",
            Self::EmailVerified => "message-email-verified",
            Self::EmailChangeSent { .. } => "message-email-change-sent",
            Self::EmailChanged => "message-email-changed",
            Self::DeviceAllowed => "message-device-allowed",
            Self::DeviceDenied => "message-device-denied",
        }
    }
    pub(crate) fn title(&self) -> String {
        format!("{}-title", self.key())
    }
    pub(crate) fn text(&self) -> String {
        format!("{}-text", self.key())
    }
    pub(crate) fn email(&self) -> &str {
        match self {
            Self::VerificationSent { email } | Self::EmailChangeSent { email } => email,
            _ => "",
        }
    }
    pub(crate) fn is_mail(&self) -> bool {
        matches!(self, Self::ResetSent | Self::VerificationSent { .. } | Self::EmailChangeSent { .. })
    }
}

/// What went wrong, where it is not safe or not possible to send the browser back to a client.
#[derive(Debug, Clone)]
pub struct ErrorPage {
    pub kind: ErrorKind,
    /// A code that support can look up, such as `invalid_request` (docs/src/errors.md).
    pub code: String,
    pub request_id: Option<String>,
    /// For the developer of the client, in English: which parameter, which rule.
    pub detail: Option<String>,
    /// Where to start anew, on this site.
    pub start: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// The client is not known here.
    UnknownClient,
    /// The redirect URI is not one of the client's.
    BadRedirect,
    /// Anything else that the client did wrong.
    BadRequest,
    /// The flow took too long, or was finished in another tab.
    Expired,
    /// A link from a mail was used already, or is too old.
    LinkExpired,
    /// The browser sent no cookie of ours with the form, or somebody else's form was sent.
    CookiesMissing,
    NotFound,
    TooManyRequests {
        minutes: u32,
    },
    Unavailable,
}

impl ErrorPage {
    pub(crate) fn key(&self) -> &'static str {
        match self.kind {
            ErrorKind::UnknownClient => "error-unknown-client",
            ErrorKind::BadRedirect => "error-bad-redirect",
            ErrorKind::BadRequest => "error-bad-request",
            ErrorKind::Expired => "error-expired",
            ErrorKind::LinkExpired => "error-link-expired",
            ErrorKind::CookiesMissing => "error-cookies-missing",
            ErrorKind::NotFound => "error-not-found",
            ErrorKind::TooManyRequests { .. } => "error-too-many-requests",
            ErrorKind::Unavailable => "error-unavailable",
        }
    }
    pub(crate) fn title(&self) -> String {
        format!("{}-title", self.key())
    }
    pub(crate) fn text(&self) -> String {
        format!("{}-text", self.key())
    }
    pub(crate) fn advice(&self) -> String {
        format!("{}-advice", self.key())
    }
    pub(crate) fn minutes(&self) -> crate::words::Count {
        crate::words::Count(match self.kind {
            ErrorKind::TooManyRequests { minutes } => minutes,
            _ => 0,
        })
    }
}

page!(ErrorPage, "error.html");
