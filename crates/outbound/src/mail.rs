//! Sends mails: by a relay that speaks SMTP, or into a folder, for whoever tries things out.
//!
//! Invariant: no relay is believed whose certificate is not good for its name (R75), and nothing but a setting leaves the encryption away.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use app::ports::mail::{MailFault, Mailer, Message as Told, Outgoing};
use async_trait::async_trait;
use domain::secret::Secret;
use domain::text::Email;
use lettre::message::header::{Header, HeaderName, HeaderValue};
use lettre::message::{Mailbox, MultiPart};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, Tls, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use lettre::transport::smtp::{self, PoolConfig};
use lettre::{Address, AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor};
use pages::{BackchannelRequestMail, EmailChangedMail, Look, MailBody, NewSignInMail, PasswordResetMail, VerificationMail};
use tokio::io::AsyncWriteExt;

/// For one mail, from the connection to the relay's word that it has it.
const WHOLE_TIMEOUT: Duration = Duration::from_secs(25);
/// For one command; some relays make callers wait before they greet them.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(15);
/// Connections that are kept for the next mail.
const CONNECTIONS: u32 = 4;

/// How the way to the relay is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encryption {
    /// It begins in clear and goes on encrypted, or not at all (RFC 3207).
    StartTls,
    /// From the first byte (RFC 8314).
    Tls,
    /// Not at all.
    None,
}

/// The relay that mails are handed to.
#[derive(Debug, Clone)]
pub struct Relay {
    pub host: String,
    pub port: u16,
    pub encryption: Encryption,
    /// Name and password, where it wants to know who sends.
    pub login: Option<(String, Secret<String>)>,
    /// Authorities to trust beside the machine's own.
    pub ca_file: Option<PathBuf>,
}

/// Where mails go.
enum Road {
    Relay(AsyncSmtpTransport<Tokio1Executor>),
    Folder(PathBuf),
}

/// Sends the mails of all tenants, from one address.
pub struct Mails {
    from: Address,
    /// Of the message ids, and what the relay is told who calls.
    host: String,
    road: Road,
}

impl std::fmt::Debug for Mails {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Mails").field("host", &self.host).finish_non_exhaustive()
    }
}

impl Mails {
    /// By a relay. `host` is this server's own name.
    ///
    /// # Errors
    /// When `from` is no address, or the file of authorities cannot be read.
    pub fn by_relay(from: &str, host: &str, relay: Relay) -> Result<Self, MailsUnusable> {
        let mut smtp = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(&relay.host)
            .port(relay.port)
            .hello_name(ClientId::Domain(host.to_owned()))
            .timeout(Some(COMMAND_TIMEOUT))
            .pool_config(PoolConfig::new().max_size(CONNECTIONS));
        smtp = smtp.tls(match relay.encryption {
            Encryption::StartTls => Tls::Required(tls(&relay)?),
            Encryption::Tls => Tls::Wrapper(tls(&relay)?),
            Encryption::None => Tls::None,
        });
        if let Some((name, password)) = relay.login {
            smtp = smtp.credentials(Credentials::new(name, password.expose().clone()));
        }
        Ok(Self { from: address(from)?, host: host.to_owned(), road: Road::Relay(smtp.build()) })
    }

    /// Into a folder: one file for each mail, which is made when the first one comes.
    ///
    /// # Errors
    /// When `from` is no address.
    pub fn into_folder(from: &str, host: &str, folder: &Path) -> Result<Self, MailsUnusable> {
        Ok(Self { from: address(from)?, host: host.to_owned(), road: Road::Folder(folder.to_owned()) })
    }

    fn message(&self, mail: &Outgoing) -> Result<Message, MailFault> {
        let refused = |_| MailFault::Refused("the address is not one that mails go to".to_owned());
        let to = Mailbox::new(None, mail.to.as_str().parse().map_err(refused)?);
        let look =
            Look { name: mail.tenant.as_str(), branding: &mail.appearance.branding, logo: None, language: mail.language, issuer_path: "" };
        let body = words(&mail.message).mail(&look);
        let mut message = Message::builder()
            .from(Mailbox::new(Some(look.title().to_owned()), self.from.clone()))
            .to(to)
            .subject(body.subject)
            .message_id(Some(format!("<{}@{}>", mail.id, self.host)))
            .header(AutoSubmitted);
        let support = mail.appearance.branding.support_email.as_ref().map(Email::as_str);
        if let Some(support) = support.and_then(|support| support.parse().ok()) {
            message = message.reply_to(Mailbox::new(None, support));
        }
        let unmade = |error| MailFault::Refused(format!("it cannot be written as a mail: {error}"));
        message.multipart(MultiPart::alternative_plain_html(body.text, body.html)).map_err(unmade)
    }
}

/// Why no mails can be sent as they are configured.
#[derive(Debug, thiserror::Error)]
pub enum MailsUnusable {
    /// This is no address.
    #[error("{0} is not an address such as no-reply@example.com; the name before it is the tenant's")]
    From(String),
    /// The file of authorities, and why.
    #[error("{0}")]
    Authorities(String),
}

fn address(text: &str) -> Result<Address, MailsUnusable> {
    text.parse().map_err(|_| MailsUnusable::From(text.to_owned()))
}

fn tls(relay: &Relay) -> Result<TlsParameters, MailsUnusable> {
    let mut tls = TlsParameters::builder(relay.host.clone());
    if let Some(file) = &relay.ca_file {
        let unread = |error: &dyn std::fmt::Display| MailsUnusable::Authorities(format!("{}: {error}", file.display()));
        let pem = std::fs::read(file).map_err(|error| unread(&error))?;
        tls = tls.add_root_certificate(Certificate::from_pem(&pem).map_err(|error| unread(&error))?);
    }
    tls.build().map_err(|error| MailsUnusable::Authorities(error.to_string()))
}

/// No machine is to answer (RFC 3834, 5).
#[derive(Clone)]
struct AutoSubmitted;

impl Header for AutoSubmitted {
    fn name() -> HeaderName {
        HeaderName::new_from_ascii_str("Auto-Submitted")
    }

    fn parse(_: &str) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Self)
    }

    fn display(&self) -> HeaderValue {
        HeaderValue::new(Self::name(), "auto-generated".to_owned())
    }
}

fn words(message: &Told) -> Box<dyn MailBody> {
    match message.clone() {
        Told::PasswordReset { account, link, minutes } => Box::new(PasswordResetMail { account, link, minutes }),
        Told::Verification { link, minutes } => Box::new(VerificationMail { link, minutes }),
        Told::EmailChanged { account, new, at } => Box::new(EmailChangedMail { account, new_email: new.to_string(), at }),
        Told::NewSignIn { account, device, place, at, link } => Box::new(NewSignInMail { account, device, place, at, link }),
        Told::BackchannelRequest { account, client, binding_message, place, at, link } => {
            Box::new(BackchannelRequestMail { account, client, binding_message, place, at, link })
        }
    }
}

#[async_trait]
impl Mailer for Mails {
    fn is_on(&self) -> bool {
        true
    }

    async fn send(&self, mail: &Outgoing) -> Result<(), MailFault> {
        let message = self.message(mail)?;
        match &self.road {
            Road::Relay(relay) => match tokio::time::timeout(WHOLE_TIMEOUT, relay.send(message)).await {
                Ok(Ok(_)) => Ok(()),
                Ok(Err(error)) => Err(fault(&error)),
                Err(_) => Err(MailFault::Failed("the relay took too long".to_owned())),
            },
            Road::Folder(folder) => {
                let file = folder.join(format!("{}.eml", mail.id));
                put(folder, &file, &message.formatted()).await.map_err(|error| MailFault::Failed(format!("{}: {error}", file.display())))
            }
        }
    }
}

/// Whole or not at all, for nobody else to read.
async fn put(folder: &Path, file: &Path, text: &[u8]) -> std::io::Result<()> {
    tokio::fs::create_dir_all(folder).await?;
    let begun = file.with_extension("part");
    let mut options = tokio::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    options.mode(0o600);
    let mut part = options.open(&begun).await?;
    part.write_all(text).await?;
    part.flush().await?;
    tokio::fs::rename(&begun, file).await
}

/// What a relay said, without its words, which may hold the address.
fn fault(error: &smtp::Error) -> MailFault {
    match error.status() {
        // What RFC 5321, 4.2.3 says about a mailbox, and not about the relay or about us.
        Some(code) if matches!(u16::from(code), 550..=553) => MailFault::Refused(format!("the relay said {code}")),
        Some(code) => MailFault::Failed(format!("the relay said {code}")),
        None => {
            let mut said = error.to_string();
            let mut cause = std::error::Error::source(error);
            while let Some(why) = cause {
                let _ = write!(said, ": {why}");
                cause = why.source();
            }
            MailFault::Failed(said)
        }
    }
}

#[cfg(test)]
mod tests;
