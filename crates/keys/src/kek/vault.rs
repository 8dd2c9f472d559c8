//! A key of the transit engine of HashiCorp Vault or OpenBao: it never leaves there.
//!
//! Source: the transit secrets engine's HTTP API, `encrypt/:name` and `decrypt/:name`, with `associated_data` for keys of an
//! AEAD type.
//!
//! Invariant: no redirect is followed, no answer is shown; the token is read at each call, so that an agent may renew it.

use std::path::PathBuf;
use std::time::Duration;

use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use domain::secret::Secret;
use serde::Deserialize;
use serde_json::json;
use zeroize::Zeroizing;

use super::{Kek, KekFault};

/// Where the key is, and how this node gets there.
#[derive(Debug, Clone)]
pub struct VaultKey {
    /// `https://host:port`, without a path.
    pub address: String,
    /// The engine's mount, usually `transit`.
    pub mount: String,
    pub key: String,
    pub token_file: PathBuf,
    /// The only certificates that are trusted; `None` takes the system's.
    pub ca_file: Option<PathBuf>,
    pub timeout: Duration,
}

/// A key of the transit engine.
pub struct VaultKek {
    id: String,
    vault: VaultKey,
    http: reqwest::Client,
}

impl std::fmt::Debug for VaultKek {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("VaultKek").field("id", &self.id).field("vault", &self.vault).finish_non_exhaustive()
    }
}

#[derive(Deserialize)]
struct Answer<T> {
    data: T,
}

#[derive(Deserialize)]
struct Encrypted {
    ciphertext: String,
}

#[derive(Deserialize)]
struct Decrypted {
    plaintext: Secret<String>,
}

#[derive(Deserialize, Default)]
struct Refusal {
    #[serde(default)]
    errors: Vec<String>,
}

impl VaultKek {
    /// Talks to nobody yet.
    ///
    /// # Errors
    /// When the certificates cannot be read.
    pub fn new(id: String, vault: VaultKey) -> Result<Self, String> {
        let mut http = reqwest::Client::builder().timeout(vault.timeout).redirect(reqwest::redirect::Policy::none()).no_proxy();
        if let Some(file) = &vault.ca_file {
            let unreadable = |error: &dyn std::fmt::Display| format!("ca_file {}: {error}", file.display());
            let pem = std::fs::read(file).map_err(|error| unreadable(&error))?;
            let certificates = reqwest::Certificate::from_pem_bundle(&pem).map_err(|error| unreadable(&error))?;
            if certificates.is_empty() {
                return Err(unreadable(&"it holds no certificate"));
            }
            http = http.tls_certs_only(certificates);
        }
        let http = http.build().map_err(|error| format!("no HTTP client: {error}"))?;
        Ok(Self { id, vault, http })
    }

    async fn call<T: for<'de> Deserialize<'de>>(&self, operation: &str, body: &serde_json::Value) -> Result<T, KekFault> {
        let VaultKey { address, mount, key, token_file, .. } = &self.vault;
        let away = |what: String| KekFault::Unavailable(format!("{address}: {what}"));
        let token = tokio::fs::read_to_string(token_file).await.map(Zeroizing::new);
        let token = token.map_err(|error| away(format!("the token file {} cannot be read: {error}", token_file.display())))?;
        let url = format!("{}/v1/{mount}/{operation}/{key}", address.trim_end_matches('/'));
        let request = self.http.post(url).header("X-Vault-Token", token.trim()).header("X-Vault-Request", "true").json(body);
        let response = request.send().await.map_err(|error| away(said(error)))?;
        let status = response.status();
        let bytes = Zeroizing::new(response.bytes().await.map_err(|error| away(said(error)))?.to_vec());
        if status.is_success() {
            let answer: Answer<T> = serde_json::from_slice(&bytes).map_err(|_| away("no answer of a transit engine".to_owned()))?;
            return Ok(answer.data);
        }
        let Refusal { errors } = serde_json::from_slice(&bytes).unwrap_or_default();
        let errors = errors.join("; ");
        // 400 is also the answer for a key that is not there, and for an engine that cannot do what is asked.
        let is_refused =
            status.as_u16() == 400 && ["message authentication failed", "invalid ciphertext"].iter().any(|word| errors.contains(word));
        if is_refused { Err(KekFault::Refused) } else { Err(away(format!("{status} {}", errors.chars().take(200).collect::<String>()))) }
    }
}

/// What went wrong, down to the cause, without the address, which is said before.
fn said(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(&error);
    while let Some(deeper) = cause {
        text = format!("{text}: {deeper}");
        cause = deeper.source();
    }
    text
}

#[async_trait]
impl Kek for VaultKek {
    fn id(&self) -> &str {
        &self.id
    }

    fn provider(&self) -> &'static str {
        "vault"
    }

    async fn wrap(&self, context: &[u8], key: &[u8; 32]) -> Result<Vec<u8>, KekFault> {
        let body = json!({ "plaintext": STANDARD.encode(key), "associated_data": STANDARD.encode(context) });
        let Encrypted { ciphertext } = self.call("encrypt", &body).await?;
        Ok(ciphertext.into_bytes())
    }

    async fn unwrap(&self, context: &[u8], wrapped: &[u8]) -> Result<Zeroizing<Vec<u8>>, KekFault> {
        let ciphertext = std::str::from_utf8(wrapped).map_err(|_| KekFault::Refused)?;
        let body = json!({ "ciphertext": ciphertext, "associated_data": STANDARD.encode(context) });
        let Decrypted { plaintext } = self.call("decrypt", &body).await?;
        STANDARD.decode(plaintext.expose()).map(Zeroizing::new).map_err(|_| KekFault::Refused)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use serde_json::Value;
    use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
    use tokio::net::TcpListener;
    use tokio_rustls::TlsAcceptor;

    use super::*;
    use crate::aead;
    use crate::kek::check;

    const KEY: [u8; 32] = [3; 32];
    const TOKEN: &str = "s.a-token";

    /// What the fake makes of the next questions.
    #[derive(Clone, Copy, PartialEq, Eq)]
    enum Mood {
        Well,
        /// As an engine that is older than `associated_data`.
        IgnoresContext,
        Sealed,
        Elsewhere,
        Babbling,
    }

    /// A transit engine as its documentation describes it, with one key, `claviger`.
    struct FakeVault {
        address: String,
        mood: Arc<Mutex<Mood>>,
    }

    impl FakeVault {
        async fn start() -> Self {
            Self::behind(None).await
        }

        /// With TLS where there is somebody to do it.
        async fn behind(tls: Option<TlsAcceptor>) -> Self {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let scheme = if tls.is_some() { "https" } else { "http" };
            let address = format!("{scheme}://{}", listener.local_addr().unwrap());
            let mood = Arc::new(Mutex::new(Mood::Well));
            let shared = Arc::clone(&mood);
            tokio::spawn(async move {
                while let Ok((stream, _)) = listener.accept().await {
                    let mood = *shared.lock().unwrap();
                    match &tls {
                        None => serve(stream, mood).await,
                        // A client that does not trust us hangs up.
                        Some(tls) => match tls.accept(stream).await {
                            Ok(stream) => serve(stream, mood).await,
                            Err(_) => continue,
                        },
                    }
                }
            });
            Self { address, mood }
        }

        fn is(&self, mood: Mood) {
            *self.mood.lock().unwrap() = mood;
        }

        fn kek(&self, folder: &tempfile::TempDir) -> VaultKek {
            self.kek_trusting(folder, None)
        }

        fn kek_trusting(&self, folder: &tempfile::TempDir, ca_file: Option<PathBuf>) -> VaultKek {
            let token_file = folder.path().join("token");
            std::fs::write(&token_file, format!("{TOKEN}\n")).unwrap();
            let (mount, key) = ("transit".to_owned(), "claviger".to_owned());
            let vault = VaultKey { address: self.address.clone(), mount, key, token_file, ca_file, timeout: Duration::from_secs(30) };
            VaultKek::new("vault-1".to_owned(), vault).unwrap()
        }
    }

    /// One request, one answer.
    async fn serve(mut stream: impl AsyncRead + AsyncWrite + Unpin, mood: Mood) {
        let mut request = Vec::new();
        let (head, body) = loop {
            stream.read_buf(&mut request).await.unwrap();
            let text = String::from_utf8_lossy(&request).into_owned();
            let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
            let head = head.to_ascii_lowercase();
            let length: usize = head.split("content-length: ").nth(1).unwrap().split("\r\n").next().unwrap().parse().unwrap();
            if body.len() >= length {
                break (head, body.to_owned());
            }
        };
        let (status, answer) = answer(mood, &head, &serde_json::from_str(&body).unwrap());
        let headers =
            format!("Content-Type: application/json\r\nLocation: /v1/other\r\nConnection: close\r\nContent-Length: {}", answer.len());
        stream.write_all(format!("HTTP/1.1 {status} X\r\n{headers}\r\n\r\n{answer}").as_bytes()).await.unwrap();
        stream.shutdown().await.unwrap();
    }

    fn answer(mood: Mood, head: &str, body: &Value) -> (u16, String) {
        let error = |status, words: &str| (status, json!({ "errors": [words] }).to_string());
        match mood {
            Mood::Sealed => return error(503, "Vault is sealed"),
            Mood::Elsewhere => return error(307, ""),
            Mood::Babbling => return (200, "<html>".to_owned()),
            Mood::Well | Mood::IgnoresContext => {}
        }
        if !head.contains(&format!("x-vault-token: {TOKEN}")) {
            return error(403, "permission denied");
        }
        let member = |name: &str| body[name].as_str().unwrap_or_default();
        let context = if mood == Mood::IgnoresContext { Vec::new() } else { STANDARD.decode(member("associated_data")).unwrap() };
        if head.starts_with("post /v1/transit/encrypt/claviger ") {
            let sealed = aead::seal(&KEY, &context, &STANDARD.decode(member("plaintext")).unwrap()).unwrap();
            (200, json!({ "data": { "ciphertext": format!("vault:v1:{}", STANDARD.encode(sealed)), "key_version": 1 } }).to_string())
        } else if head.starts_with("post /v1/transit/decrypt/claviger ") {
            let sealed = member("ciphertext").strip_prefix("vault:v1:").and_then(|text| STANDARD.decode(text).ok());
            let Some(sealed) = sealed else { return error(400, "invalid ciphertext: no prefix") };
            match aead::open(&KEY, &context, &sealed) {
                Ok(plain) => (200, json!({ "data": { "plaintext": STANDARD.encode(&*plain) } }).to_string()),
                Err(_) => error(400, "cipher: message authentication failed"),
            }
        } else {
            error(400, "encryption key not found")
        }
    }

    #[tokio::test]
    async fn the_transit_engine_wraps_and_unwraps_in_its_context() {
        let (vault, folder) = (FakeVault::start().await, tempfile::tempdir().unwrap());
        let kek = vault.kek(&folder);
        check(&kek).await.unwrap();
        let wrapped = kek.wrap(b"context", &[7; 32]).await.unwrap();
        assert!(wrapped.starts_with(b"vault:v1:"));
        assert_eq!(&**kek.unwrap(b"context", &wrapped).await.unwrap(), &[7; 32]);
        assert_eq!(kek.unwrap(b"contexT", &wrapped).await, Err(KekFault::Refused));
        assert_eq!(kek.unwrap(b"context", b"junk").await, Err(KekFault::Refused));
        assert_eq!(kek.unwrap(b"context", &[0xff]).await, Err(KekFault::Refused));
    }

    #[tokio::test]
    async fn an_engine_that_is_away_or_odd_is_not_taken_for_a_refusal() {
        let (vault, folder) = (FakeVault::start().await, tempfile::tempdir().unwrap());
        let kek = vault.kek(&folder);
        let wrapped = kek.wrap(b"context", &[7; 32]).await.unwrap();
        for (mood, word) in [(Mood::Sealed, "sealed"), (Mood::Elsewhere, "307"), (Mood::Babbling, "no answer of a transit engine")] {
            vault.is(mood);
            let Err(KekFault::Unavailable(why)) = kek.unwrap(b"context", &wrapped).await else { panic!("{word}") };
            assert!(why.contains(word), "{why}");
        }
        vault.is(Mood::Well);
        std::fs::write(folder.path().join("token"), "s.revoked").unwrap();
        let Err(KekFault::Unavailable(why)) = kek.unwrap(b"context", &wrapped).await else { panic!("opened") };
        assert!(why.contains("permission denied") && !why.contains("revoked"), "{why}");
        std::fs::write(folder.path().join("token"), TOKEN).unwrap();
        assert!(kek.unwrap(b"context", &wrapped).await.is_ok(), "the token is read again");
        std::fs::remove_file(folder.path().join("token")).unwrap();
        assert!(matches!(kek.unwrap(b"context", &wrapped).await, Err(KekFault::Unavailable(_))));
    }

    #[tokio::test]
    async fn an_engine_that_ignores_the_context_is_found_out() {
        let (vault, folder) = (FakeVault::start().await, tempfile::tempdir().unwrap());
        vault.is(Mood::IgnoresContext);
        let Err(KekFault::Unavailable(why)) = check(&vault.kek(&folder)).await else { panic!("passed") };
        assert!(why.contains("context"), "{why}");
    }

    /// An authority, and a server of it for this machine.
    fn authority(folder: &tempfile::TempDir, name: &str) -> (PathBuf, TlsAcceptor) {
        let mut params = rcgen::CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let ca = rcgen::CertifiedIssuer::self_signed(params, rcgen::KeyPair::generate().unwrap()).unwrap();
        let file = folder.path().join(name);
        std::fs::write(&file, ca.pem()).unwrap();
        let key = rcgen::KeyPair::generate().unwrap();
        let certificate = rcgen::CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap().signed_by(&key, &ca).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let private = rustls::pki_types::PrivatePkcs8KeyDer::from(key.serialize_der()).into();
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], private)
            .unwrap();
        (file, TlsAcceptor::from(Arc::new(config)))
    }

    #[tokio::test]
    async fn a_vault_is_trusted_by_the_authority_of_the_settings_and_by_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let (ours, tls) = authority(&folder, "ours.pem");
        let (theirs, _) = authority(&folder, "theirs.pem");
        let vault = FakeVault::behind(Some(tls)).await;
        check(&vault.kek_trusting(&folder, Some(ours))).await.unwrap();
        for ca_file in [Some(theirs), None] {
            let Err(KekFault::Unavailable(why)) = check(&vault.kek_trusting(&folder, ca_file)).await else { panic!("trusted") };
            assert!(why.contains("certificate"), "{why}");
        }
    }

    #[test]
    fn a_file_without_certificates_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let ca_file = folder.path().join("ca.pem");
        std::fs::write(&ca_file, "nothing").unwrap();
        let (address, text) = ("https://127.0.0.1:1".to_owned(), String::new);
        let vault = VaultKey {
            address,
            mount: text(),
            key: text(),
            token_file: ca_file.clone(),
            ca_file: Some(ca_file),
            timeout: Duration::from_secs(1),
        };
        assert!(VaultKek::new("vault-1".to_owned(), vault).unwrap_err().contains("ca_file"));
    }
}
