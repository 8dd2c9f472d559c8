//! The pages that people see and the mails they get: typed contexts in, HTML out.
//!
//! Enter through a context ([`LoginPage`], [`ConsentPage`], …): fill it, call [`Page::html`] with the [`Look`] of the tenant, and send
//! it with [`Page::csp`] as `Content-Security-Policy`. [`assets()`] and [`Look::asset`] are the files the pages refer to. Words are
//! in `locales/`, templates in `templates/`.
//!
//! Invariant: no HTTP, no clock, nothing that waits. Every page works without JavaScript, and nothing of a tenant, a client or a user
//! gets into a page but as escaped text, or as a web address that was parsed ([`domain::branding::Link`], [`Destination`]).

mod account;
mod assets;
mod consent;
mod credentials;
mod device;
mod form;
mod login;
mod look;
mod mail;
mod message;
mod moment;
mod page;
mod redirect;
mod words;

pub use account::{AccountPage, ConfirmEmailPage, ConnectedApp, EmailChangePage, EmailTrouble, SessionRow, WaitingRequest};
pub use assets::{Asset, assets};
pub use consent::{ConsentPage, DetailLine, ScopeLine};
pub use credentials::{ForgotPasswordPage, NewPasswordPage, PasswordReason, PasswordTrouble};
pub use device::{DeviceCodePage, DeviceConfirmPage, DeviceTrouble};
pub use form::{Client, Form};
pub use login::{AccountChoice, ChooseAccountPage, LoginNotice, LoginPage, LoginStep, LoginTrouble};
pub use look::Look;
pub use mail::{BackchannelRequestMail, EmailChangedMail, Mail, MailBody, NewSignInMail, PasswordResetMail, VerificationMail};
pub use message::{ErrorKind, ErrorPage, Message, MessagePage};
pub use page::Page;
pub use redirect::{Destination, FormPostPage, LoggedOutPage, LogoutPage};
