//! Relays that are not who they say, and folders.

use std::sync::{Arc, Mutex};

use domain::branding::Appearance;
use domain::ids::MailId;
use domain::language::Language;
use domain::time::Timestamp;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::PrivateKeyDer;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::*;

fn mail() -> Outgoing {
    let link = "https://id.example/t/acme/password/reset/pr1_secret".parse().expect("a link");
    Outgoing {
        id: MailId::new(Timestamp::from_seconds(1_795_000_000), [7; 10]),
        to: "alice@example.com".parse().expect("an address"),
        tenant: "Acme\r\nBcc: mallory@evil.example".replace(['\r', '\n'], " ").parse().expect("a name"),
        appearance: Appearance::default(),
        language: Language::English,
        message: Told::PasswordReset { account: "alice".to_owned(), link, minutes: 30 },
    }
}

/// An authority, and a certificate of it for `name`.
struct Papers {
    authority: String,
    acceptor: TlsAcceptor,
}

fn papers(name: &str) -> Papers {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let mut params = CertificateParams::new(Vec::new()).expect("parameters");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().expect("a key");
    let authority = params.self_signed(&key).expect("signed");
    let issuer = Issuer::new(params, key);
    let own = KeyPair::generate().expect("a key");
    let certificate = CertificateParams::new([name.to_owned()]).expect("parameters").signed_by(&own, &issuer).expect("signed");
    let key = PrivateKeyDer::try_from(own.serialize_der()).expect("a key");
    let config = rustls::ServerConfig::builder().with_no_client_auth().with_single_cert(vec![certificate.der().clone()], key);
    Papers { authority: authority.pem(), acceptor: TlsAcceptor::from(Arc::new(config.expect("a configuration"))) }
}

/// What a relay heard, line by line, each with whether it came encrypted.
type Heard = Arc<Mutex<Vec<(bool, String)>>>;

/// A relay that takes every mail; answers its port.
async fn relay(acceptor: Option<TlsAcceptor>, from_the_start: bool) -> (u16, Heard) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let heard = Heard::default();
    let hears = Arc::clone(&heard);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (acceptor, hears) = (acceptor.clone(), Arc::clone(&hears));
            tokio::spawn(async move {
                if from_the_start {
                    let Ok(stream) = acceptor.expect("papers").accept(stream).await else { return };
                    let _ = talk(&mut BufReader::new(stream), &hears, true, true, false).await;
                    return;
                }
                let mut stream = BufReader::new(stream);
                if let Ok(true) = talk(&mut stream, &hears, false, true, acceptor.is_some()).await {
                    let Ok(stream) = acceptor.expect("papers").accept(stream.into_inner()).await else { return };
                    let _ = talk(&mut BufReader::new(stream), &hears, true, false, false).await;
                }
            });
        }
    });
    (port, heard)
}

/// Answers whether the caller wants to go on encrypted.
async fn talk<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut BufReader<S>,
    heard: &Heard,
    is_encrypted: bool,
    greets: bool,
    has_tls: bool,
) -> std::io::Result<bool> {
    if greets {
        stream.write_all(b"220 relay\r\n").await?;
    }
    let mut in_data = false;
    let mut line = String::new();
    loop {
        line.clear();
        if stream.read_line(&mut line).await? == 0 {
            return Ok(false);
        }
        heard.lock().expect("not poisoned").push((is_encrypted, line.trim_end().to_owned()));
        let answer = match line.trim_end() {
            "." => "250 taken",
            _ if in_data => continue,
            hello if hello.starts_with("EHLO") && has_tls => "250-relay\r\n250 STARTTLS",
            "STARTTLS" => {
                stream.write_all(b"220 go on\r\n").await?;
                return Ok(true);
            }
            "DATA" => "354 go on",
            _ => "250 OK",
        };
        in_data = answer.starts_with("354");
        stream.write_all(format!("{answer}\r\n").as_bytes()).await?;
    }
}

fn sender(port: u16, encryption: Encryption, authority: Option<&str>) -> (Mails, tempfile::TempDir) {
    let folder = tempfile::tempdir().expect("a folder");
    let ca_file = authority.map(|pem| {
        let file = folder.path().join("ca.pem");
        std::fs::write(&file, pem).expect("written");
        file
    });
    let relay = Relay { host: "localhost".to_owned(), port, encryption, login: None, ca_file };
    (Mails::by_relay("no-reply@id.example", "id.example", relay).expect("a sender"), folder)
}

#[tokio::test]
async fn r75_a_relay_is_believed_only_with_a_certificate_for_its_own_name() {
    for (encryption, from_the_start) in [(Encryption::StartTls, false), (Encryption::Tls, true)] {
        let right = papers("localhost");
        let (port, heard) = relay(Some(right.acceptor.clone()), from_the_start).await;
        let (known, _folder) = sender(port, encryption, Some(&right.authority));
        known.send(&mail()).await.expect("taken");
        let lines = heard.lock().expect("not poisoned").clone();
        let said = |what: &str| lines.iter().any(|(encrypted, line)| *encrypted && line.contains(what));
        assert!(said("RCPT TO:<alice@example.com>") && said("pr1_secret"), "{lines:?}");
        assert!(lines.iter().all(|(encrypted, line)| *encrypted || line.starts_with("EHLO") || line == "STARTTLS"), "{lines:?}");

        let wrong = papers("other.example");
        let (port, heard) = relay(Some(wrong.acceptor), from_the_start).await;
        let (known, _folder) = sender(port, encryption, Some(&wrong.authority));
        let refused = known.send(&mail()).await.expect_err("another's certificate");
        assert!(matches!(&refused, MailFault::Failed(why) if why.contains("ertificate")), "{refused}");
        let (port, unknown_heard) = relay(Some(right.acceptor), from_the_start).await;
        let (stranger, _folder) = sender(port, encryption, None);
        stranger.send(&mail()).await.expect_err("an unknown authority");
        for heard in [heard, unknown_heard] {
            let lines = heard.lock().expect("not poisoned").clone();
            assert!(lines.iter().all(|(_, line)| line.starts_with("EHLO") || line == "STARTTLS"), "nothing was told: {lines:?}");
        }
    }
}

#[tokio::test]
async fn a_relay_that_does_not_offer_encryption_is_told_nothing() {
    let (port, heard) = relay(None, false).await;
    let (known, _folder) = sender(port, Encryption::StartTls, None);
    known.send(&mail()).await.expect_err("no encryption");
    let lines = heard.lock().expect("not poisoned").clone();
    assert!(lines.iter().all(|(_, line)| line.starts_with("EHLO") || line == "QUIT"), "{lines:?}");
}

#[tokio::test]
async fn a_mail_in_a_folder_is_one_file_however_often_it_is_sent_and_has_one_reader() {
    let folder = tempfile::tempdir().expect("a folder");
    let mails = Mails::into_folder("no-reply@id.example", "id.example", &folder.path().join("mail")).expect("a sender");
    for _ in 0..2 {
        mails.send(&mail()).await.expect("written");
    }
    let files: Vec<_> = std::fs::read_dir(folder.path().join("mail")).expect("a folder").map(|file| file.expect("a file").path()).collect();
    assert_eq!(files.len(), 1, "{files:?}");
    let text = std::fs::read_to_string(&files[0]).expect("a text");
    let (head, body) = text.split_once("\r\n\r\n").expect("a head");
    assert!(!head.lines().any(|line| line.starts_with("Bcc")), "{head}");
    assert!(head.contains(&format!("Message-ID: <{}@id.example>", mail().id)), "{head}");
    assert!(body.contains("text/plain") && body.contains("text/html"), "{body}");
    #[cfg(unix)]
    {
        let mode = std::os::unix::fs::MetadataExt::mode(&std::fs::metadata(&files[0]).expect("a file"));
        assert_eq!(mode & 0o777, 0o600);
    }
}

#[test]
fn a_mail_never_says_its_link_in_a_log() {
    assert!(!format!("{:?}", mail()).contains("pr1_"));
}
