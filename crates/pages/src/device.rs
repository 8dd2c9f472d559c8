//! The device grant (RFC 8628): typing the code, and confirming it.

use crate::page::{Needs, page};
use crate::words::{Count, Words};
use crate::{Client, Form, ScopeLine};

/// Typing the code that a device shows. Posts `user_code`.
#[derive(Debug, Clone)]
pub struct DeviceCodePage {
    pub form: Form,
    pub user_code: String,
    pub trouble: Option<DeviceTrouble>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeviceTrouble {
    /// No such code, or it has expired.
    UnknownCode,
    TryAgainIn {
        minutes: u32,
    },
    FormExpired,
}

page!(DeviceCodePage, "device_code.html");

/// Whether this device may be signed in. Posts `decision` (`allow` or `deny`).
///
/// Shows the code again, so that it can be compared with what the device shows (RFC 8628, 3.3.1 and 5.4).
#[derive(Debug, Clone)]
pub struct DeviceConfirmPage {
    pub form: Form,
    pub client: Client,
    pub user_code: String,
    /// The address that the device asked from.
    pub source: Option<String>,
    /// Who is signed in.
    pub account: String,
    pub scopes: Vec<ScopeLine>,
    /// Where another account is chosen.
    pub other_account: Option<String>,
}

page!(DeviceConfirmPage, "device_confirm.html", |page| Needs { forms: crate::page::Forms::StayHere, ..Needs::flow(Some(&page.client)) });

impl DeviceTrouble {
    pub(crate) fn say(&self, t: &Words) -> String {
        match *self {
            Self::UnknownCode => t.say("trouble-unknown-code"),
            Self::TryAgainIn { minutes } => t.say1("trouble-try-again", "minutes", Count(minutes)),
            Self::FormExpired => t.say("trouble-form-expired"),
        }
    }
}
