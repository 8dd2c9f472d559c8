//! A mail relay on loopback: it takes mails by SMTP, or says what it is told to say.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

/// What it does with the next mail, instead of taking it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// It says this about the reader.
    Says(u16),
    /// It hangs up when it hears who sends.
    HangsUp,
    /// It says nothing until it is told to go on.
    Stalls,
}

#[derive(Default)]
struct Told {
    troubles: VecDeque<Trouble>,
    tried: usize,
    mails: Vec<Mail>,
}

/// A mail that came.
#[derive(Debug, Clone)]
pub(crate) struct Mail {
    pub(crate) to: String,
    /// With its encoding taken off.
    pub(crate) text: String,
}

impl Mail {
    /// The first address in it that begins so.
    #[track_caller]
    pub(crate) fn link(&self, beginning: &str) -> String {
        let start = self.text.find(beginning).unwrap_or_else(|| panic!("no {beginning} in {}", self.text));
        let rest = &self.text[start..];
        rest[..rest.find(|c: char| c.is_whitespace() || c == '"' || c == '<').unwrap_or(rest.len())].to_owned()
    }

    #[track_caller]
    pub(crate) fn header(&self, name: &str) -> &str {
        let line = self.text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        line.unwrap_or_else(|| panic!("no {name} in {}", self.text))
    }
}

#[derive(Clone)]
pub(crate) struct Relay {
    port: u16,
    told: Arc<Mutex<Told>>,
    comes: Arc<Notify>,
    goes_on: Arc<Notify>,
}

impl Relay {
    pub(crate) fn start() -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        listener.set_nonblocking(true).expect("not blocking");
        let port = listener.local_addr().expect("an address").port();
        let relay = Self { port, told: Arc::default(), comes: Arc::new(Notify::new()), goes_on: Arc::new(Notify::new()) };
        let taking = relay.clone();
        // On a thread of its own: the server that is tested starts after it.
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async {
                let listener = TcpListener::from_std(listener).expect("a listener");
                while let Ok((stream, _)) = listener.accept().await {
                    let taking = taking.clone();
                    tokio::spawn(async move { drop(taking.serve(stream).await) });
                }
            });
        });
        relay
    }

    /// Lets a server send by it.
    pub(crate) fn set(&self, settings: &mut server::Settings) {
        settings.mail.transport = server::settings::MailTransport::Smtp;
        settings.mail.from = "no-reply@id.example".to_owned();
        (settings.mail.smtp_host, settings.mail.smtp_port) = ("127.0.0.1".to_owned(), self.port);
        settings.mail.smtp_tls = server::settings::SmtpTls::None;
    }

    pub(crate) fn trouble(&self, troubles: &[Trouble]) {
        self.told.lock().expect("not poisoned").troubles.extend(troubles);
    }

    /// Answers whoever it kept waiting.
    pub(crate) fn go_on(&self) {
        self.goes_on.notify_waiters();
    }

    async fn serve(&self, stream: TcpStream) -> std::io::Result<()> {
        let mut trouble = None;
        let mut stream = BufReader::new(stream);
        stream.write_all(b"220 relay.example\r\n").await?;
        let mut to = String::new();
        let mut line = String::new();
        loop {
            line.clear();
            if stream.read_line(&mut line).await? == 0 {
                return Ok(());
            }
            let word = line.split([' ', ':', '\r']).next().unwrap_or_default().to_ascii_uppercase();
            let answer = match (word.as_str(), trouble) {
                ("MAIL", _) => {
                    let goes_on = self.goes_on.notified();
                    {
                        let mut told = self.told.lock().expect("not poisoned");
                        told.tried += 1;
                        trouble = told.troubles.pop_front();
                    }
                    self.comes.notify_waiters();
                    match trouble {
                        Some(Trouble::HangsUp) => return Ok(()),
                        Some(Trouble::Stalls) => goes_on.await,
                        _ => {}
                    }
                    "250 OK".to_owned()
                }
                ("EHLO", _) => "250-relay.example\r\n250 8BITMIME".to_owned(),
                ("RCPT", Some(Trouble::Says(code))) => format!("{code} not {}", line.trim_end()),
                ("RCPT", _) => {
                    to = line.split(['<', '>']).nth(1).unwrap_or_default().to_owned();
                    "250 OK".to_owned()
                }
                ("DATA", _) => {
                    stream.write_all(b"354 go on\r\n").await?;
                    let mut text = String::new();
                    while !text.ends_with("\r\n.\r\n") {
                        stream.read_line(&mut text).await?;
                    }
                    let mail = Mail { to: std::mem::take(&mut to), text: plain(&text) };
                    self.told.lock().expect("not poisoned").mails.push(mail);
                    self.comes.notify_waiters();
                    "250 taken".to_owned()
                }
                ("QUIT", _) => {
                    stream.write_all(b"221 bye\r\n").await?;
                    return Ok(());
                }
                _ => "250 OK".to_owned(),
            };
            stream.write_all(format!("{answer}\r\n").as_bytes()).await?;
        }
    }

    async fn once<T>(&self, enough: impl Fn(&Told) -> Option<T>) -> T {
        let waited = async {
            loop {
                let comes = self.comes.notified();
                if let Some(found) = enough(&self.told.lock().expect("not poisoned")) {
                    return found;
                }
                comes.await;
            }
        };
        tokio::time::timeout(std::time::Duration::from_secs(60), waited).await.expect("in time")
    }

    /// All mails, once there are `count` of them.
    pub(crate) async fn mails(&self, count: usize) -> Vec<Mail> {
        self.once(|told| (told.mails.len() >= count).then(|| told.mails.clone())).await
    }

    /// Waits until it was tried to hand it so many mails.
    pub(crate) async fn tried(&self, count: usize) {
        self.once(|told| (told.tried >= count).then_some(())).await;
    }
}

/// Without quoted-printable (RFC 2045, 6.7), in which our mails are wherever they are not plain.
fn plain(text: &str) -> String {
    let joined = text.replace("=\r\n", "");
    let mut bytes = Vec::with_capacity(joined.len());
    let mut rest = joined.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let code = after.get(..2).and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok());
        match code.filter(|_| first == b'=') {
            Some(byte) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            None => {
                bytes.push(first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
