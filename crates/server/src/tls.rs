//! TLS of the public listener: the certificate that is shown, and who answers for the certificates of clients.
//!
//! Files are read at the start, on SIGHUP, and when they have changed, which is looked at every minute. Invariant: what is read anew is
//! taken as a whole or not at all; as long as anything is wrong with it, the one before stays in its place.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use app::mtls::Authorities;
use app::ports::world::Clock;
use arc_swap::ArcSwap;
use aws_lc_rs::digest;
use domain::certificate::Certificate;
use domain::time::Timestamp;
use rustls::crypto::{CryptoProvider, aws_lc_rs as provider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{ClientHello, ParsedCertificate, ResolvesServerCert, ServerSessionMemoryCache, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use rustls::{DigitallySignedStruct, DistinguishedName, RootCertStore, ServerConfig, SignatureScheme};

use crate::settings::{Settings, TlsSettings};

/// How often the files are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(60);
/// Sessions that are remembered, so that whoever comes back needs no whole handshake.
const SESSIONS: usize = 10_240;
/// How long before its end `claviger doctor` complains of a certificate.
const RENEW_BEFORE: domain::time::Ttl = domain::time::Ttl::days(7);

/// What is wrong with the files; the text says what to do.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("{setting} ({path}) cannot be read: {source}. Set it to a PEM file that this user may read")]
    Unreadable { setting: &'static str, path: String, source: std::io::Error },
    #[error(
        "the private key {path} can be read by everybody (mode {mode:04o}): run `chmod o-rwx {path}`, and think about who may have read it"
    )]
    Open { path: String, mode: u32 },
    #[error("{setting} ({path}) {why}")]
    Bad { setting: &'static str, path: String, why: String },
}

/// What the listener is made of, and what the rest may ask it.
pub(crate) struct Tls {
    settings: TlsSettings,
    clock: Arc<dyn Clock>,
    /// `None` where nothing is served by TLS.
    shown: Option<Arc<Shown>>,
    authorities: Option<Arc<OurAuthorities>>,
    failures: AtomicU64,
}

impl Tls {
    /// Reads all files that the settings name.
    ///
    /// # Errors
    /// See [`TlsError`].
    pub(crate) fn open(settings: &TlsSettings, clock: Arc<dyn Clock>) -> Result<Arc<Self>, TlsError> {
        let shown = settings.is_on().then(|| Pair::read(settings).map(Shown::new)).transpose()?.map(Arc::new);
        if let Some(pair) = shown.as_ref().map(|shown| shown.pair.load()) {
            let now = clock.now();
            if !pair.leaf.is_valid_at(now) {
                tracing::error!(not_before = %pair.leaf.not_before, not_after = %pair.leaf.not_after, "the certificate of tls.certificate is not valid now: nobody will trust it");
            }
        }
        let named = (settings.client_ca_file != Path::new("")).then_some(&settings.client_ca_file);
        let authorities = named.map(|file| Verified::read(file).map(OurAuthorities::new)).transpose()?.map(Arc::new);
        Ok(Arc::new(Self { settings: settings.clone(), clock, shown, authorities, failures: AtomicU64::new(0) }))
    }

    /// How the listener talks TLS. `None`: it does not.
    pub(crate) fn config(&self) -> Option<ServerConfig> {
        let shown = self.shown.as_ref()?;
        let algorithms = Arc::new(provider::default_provider());
        // Both versions with suites of forward secrecy alone: rustls has no others.
        let builder = ServerConfig::builder_with_provider(Arc::clone(&algorithms)).with_safe_default_protocol_versions().ok()?;
        let builder = if self.settings.client_certificates {
            builder.with_client_cert_verifier(Arc::new(AnyHolder(algorithms)))
        } else {
            builder.with_no_client_auth()
        };
        let mut config = builder.with_cert_resolver(Arc::clone(shown) as Arc<dyn ResolvesServerCert>);
        config.session_storage = ServerSessionMemoryCache::new(SESSIONS);
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Some(config)
    }

    pub(crate) fn authorities(&self) -> Option<Arc<dyn Authorities>> {
        self.authorities.clone().map(|authorities| authorities as Arc<dyn Authorities>)
    }

    /// When the certificate that is shown ends.
    pub(crate) fn expires_at(&self) -> Option<Timestamp> {
        self.shown.as_ref().map(|shown| shown.pair.load().leaf.not_after)
    }

    /// How often files that had changed could not be used.
    pub(crate) fn failures(&self) -> u64 {
        self.failures.load(Ordering::Relaxed)
    }

    /// Takes over what has changed in the files, if it will do.
    pub(crate) fn reread(&self) {
        if let Some(shown) = &self.shown {
            match shown.renew(&self.settings, self.clock.now()) {
                Ok(None) => {}
                Ok(Some(not_after)) => tracing::info!(%not_after, "a new certificate is shown from now on"),
                Err(error) => self.failed(&error, "the files of tls.certificate and tls.private_key have changed and cannot be used; the certificate before is still shown"),
            }
        }
        if let Some(authorities) = &self.authorities {
            match authorities.renew(&self.settings.client_ca_file) {
                Ok(false) => {}
                Ok(true) => tracing::info!("the authorities of client certificates were read anew"),
                Err(error) => {
                    self.failed(&error, "the file of tls.client_ca_file has changed and cannot be used; the authorities before still count")
                }
            }
        }
    }

    fn failed(&self, error: &TlsError, what: &str) {
        self.failures.fetch_add(1, Ordering::Relaxed);
        tracing::error!(%error, "{what}");
    }

    /// Looks at the files every minute, and whenever somebody asks this process to by SIGHUP.
    pub(crate) async fn watch(self: Arc<Self>) {
        if self.shown.is_none() && self.authorities.is_none() {
            return;
        }
        let mut turns = tokio::time::interval(LOOK_EVERY);
        turns.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut hangups = Hangups::hear();
        loop {
            tokio::select! {
                _ = turns.tick() => {}
                () = hangups.next() => {}
            }
            let this = Arc::clone(&self);
            // An error is a panic: the next turn tries again.
            let _ = tokio::task::spawn_blocking(move || this.reread()).await;
        }
    }
}

/// SIGHUP, where there is such a thing.
struct Hangups(#[cfg(unix)] Option<tokio::signal::unix::Signal>);

impl Hangups {
    fn hear() -> Self {
        #[cfg(unix)]
        return Self(tokio::signal::unix::signal(tokio::signal::unix::SignalKind::hangup()).ok());
        #[cfg(not(unix))]
        return Self();
    }

    async fn next(&mut self) {
        #[cfg(unix)]
        if let Some(signal) = &mut self.0
            && signal.recv().await.is_some()
        {
            return;
        }
        std::future::pending().await
    }
}

fn unreadable(setting: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> TlsError {
    move |source| TlsError::Unreadable { setting, path: path.display().to_string(), source }
}

fn bad(setting: &'static str, path: &Path, why: impl fmt::Display) -> TlsError {
    TlsError::Bad { setting, path: path.display().to_string(), why: why.to_string() }
}

/// What a file was when it was read, without what is in it.
fn mark(text: &[u8]) -> Vec<u8> {
    digest::digest(&digest::SHA256, text).as_ref().to_vec()
}

fn certificates(setting: &'static str, path: &Path, text: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let certificates = CertificateDer::pem_slice_iter(text).collect::<Result<Vec<_>, _>>();
    match certificates {
        Ok(certificates) if certificates.is_empty() => Err(bad(setting, path, "holds no certificate: it must be a PEM file of them")),
        Ok(certificates) => Ok(certificates),
        Err(error) => Err(bad(setting, path, format!("is no good PEM file: {error}"))),
    }
}

/// A certificate with its chain and its key.
struct Pair {
    certified: Arc<CertifiedKey>,
    leaf: Certificate,
    mark: Vec<u8>,
}

const CERTIFICATE: &str = "tls.certificate";
const PRIVATE_KEY: &str = "tls.private_key";

impl Pair {
    fn read(settings: &TlsSettings) -> Result<Self, TlsError> {
        let (chain, key) = Self::texts(settings)?;
        Self::of(settings, &chain, &key)
    }

    /// Both files as they are.
    fn texts(settings: &TlsSettings) -> Result<(Vec<u8>, zeroize::Zeroizing<Vec<u8>>), TlsError> {
        let (certificate, private_key) = (settings.certificate.as_path(), settings.private_key.as_path());
        let chain = std::fs::read(certificate).map_err(unreadable(CERTIFICATE, certificate))?;
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = std::fs::metadata(private_key).map_err(unreadable(PRIVATE_KEY, private_key))?.permissions().mode() & 0o7777;
            if mode & 0o007 != 0 {
                return Err(TlsError::Open { path: private_key.display().to_string(), mode });
            }
        }
        let key = std::fs::read(private_key).map_err(unreadable(PRIVATE_KEY, private_key))?;
        Ok((chain, zeroize::Zeroizing::new(key)))
    }

    fn of(settings: &TlsSettings, chain: &[u8], key: &[u8]) -> Result<Self, TlsError> {
        let (path, key_path) = (settings.certificate.as_path(), settings.private_key.as_path());
        let mark = [mark(chain), mark(key)].concat();
        let chain = certificates(CERTIFICATE, path, chain)?;
        // What is wrong with a key is not told in its own words: they might hold some of it.
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| bad(PRIVATE_KEY, key_path, "holds no private key in PEM"))?;
        let leaf = Certificate::read(&chain[0]).map_err(|why| bad(CERTIFICATE, path, why))?;
        let certified = CertifiedKey::from_der(chain, key, &provider::default_provider()).map_err(|error| match error {
            rustls::Error::InconsistentKeys(_) => bad(CERTIFICATE, path, "is not the certificate of tls.private_key"),
            error => bad(PRIVATE_KEY, key_path, format!("cannot be used: {error}")),
        })?;
        Ok(Self { certified: Arc::new(certified), leaf, mark })
    }
}

/// The pair that is shown.
struct Shown {
    pair: ArcSwap<Pair>,
    /// Held by whoever renews it.
    renewing: Mutex<()>,
}

impl Shown {
    fn new(pair: Pair) -> Self {
        Self { pair: ArcSwap::from_pointee(pair), renewing: Mutex::default() }
    }

    /// Takes over what the files hold, if that is something else and will do; answers when it ends.
    fn renew(&self, settings: &TlsSettings, now: Timestamp) -> Result<Option<Timestamp>, TlsError> {
        let _alone = self.renewing.lock().unwrap_or_else(PoisonError::into_inner);
        let (chain, key) = Pair::texts(settings)?;
        if self.pair.load().mark == [mark(&chain), mark(&key)].concat() {
            return Ok(None);
        }
        let pair = Pair::of(settings, &chain, &key)?;
        if !pair.leaf.is_valid_at(now) {
            let why = format!("is valid from {} to {}, which is not now", pair.leaf.not_before, pair.leaf.not_after);
            return Err(bad(CERTIFICATE, &settings.certificate, why));
        }
        let not_after = pair.leaf.not_after;
        self.pair.store(Arc::new(pair));
        Ok(Some(not_after))
    }
}

impl ResolvesServerCert for Shown {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.pair.load().certified))
    }
}

impl fmt::Debug for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shown").finish_non_exhaustive()
    }
}

/// Lets every client in that holds the key of the certificate it shows. Whether an authority answers for it is asked when that matters
/// ([`OurAuthorities`]): a client may as well be known by its certificate alone (RFC 8705, 2.2).
#[derive(Debug)]
struct AnyHolder(Arc<CryptoProvider>);

impl ClientCertVerifier for AnyHolder {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        ParsedCertificate::try_from(end_entity).map(|_| ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

/// The authorities of `tls.client_ca_file`.
struct OurAuthorities {
    verified: ArcSwap<Verified>,
}

struct Verified {
    verifier: Arc<dyn ClientCertVerifier>,
    mark: Vec<u8>,
}

const CLIENT_CA_FILE: &str = "tls.client_ca_file";

impl Verified {
    fn read(path: &PathBuf) -> Result<Self, TlsError> {
        let text = std::fs::read(path).map_err(unreadable(CLIENT_CA_FILE, path))?;
        Self::of(path, &text)
    }

    fn of(path: &Path, text: &[u8]) -> Result<Self, TlsError> {
        let mut roots = RootCertStore::empty();
        for certificate in certificates(CLIENT_CA_FILE, path, text)? {
            roots
                .add(certificate)
                .map_err(|error| bad(CLIENT_CA_FILE, path, format!("has a certificate that is no authority's: {error}")))?;
        }
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::new(provider::default_provider())).build();
        Ok(Self { verifier: verifier.map_err(|error| bad(CLIENT_CA_FILE, path, error))?, mark: mark(text) })
    }
}

impl OurAuthorities {
    fn new(verified: Verified) -> Self {
        Self { verified: ArcSwap::from_pointee(verified) }
    }

    /// Reads them anew if the file has changed; answers whether it has.
    fn renew(&self, path: &Path) -> Result<bool, TlsError> {
        let text = std::fs::read(path).map_err(unreadable(CLIENT_CA_FILE, path))?;
        if self.verified.load().mark == mark(&text) {
            return Ok(false);
        }
        self.verified.store(Arc::new(Verified::of(path, &text)?));
        Ok(true)
    }
}

impl Authorities for OurAuthorities {
    fn vouch(&self, certificate: &[u8], intermediates: &[Vec<u8>], now: Timestamp) -> Result<(), String> {
        let intermediates: Vec<_> = intermediates.iter().map(|certificate| CertificateDer::from(certificate.as_slice())).collect();
        let now = UnixTime::since_unix_epoch(Duration::from_secs(u64::try_from(now.as_seconds()).unwrap_or_default()));
        let verified = self.verified.load().verifier.verify_client_cert(&CertificateDer::from(certificate), &intermediates, now);
        verified.map(|_| ()).map_err(|error| error.to_string())
    }
}

/// Looks at the files for `claviger doctor`: what there is to say, or what is wrong.
pub(crate) fn examine(settings: &Settings, now: Timestamp) -> Result<String, String> {
    let tls = &settings.tls;
    let mut said = Vec::new();
    if tls.client_ca_file != Path::new("") {
        Verified::read(&tls.client_ca_file).map_err(|error| error.to_string())?;
        said.push("the authorities of client certificates can be read".to_owned());
    }
    if !tls.is_on() {
        said.insert(0, "none here: it is the business of the proxy in front (tls.certificate)".to_owned());
        return Ok(said.join("; "));
    }
    let pair = Pair::read(tls).map_err(|error| error.to_string())?;
    let (leaf, path) = (&pair.leaf, tls.certificate.display());
    if now < leaf.not_before {
        return Err(format!("{path} is valid from {} on, and not yet: is the clock right?", leaf.not_before));
    }
    if now > leaf.not_after {
        return Err(format!("{path} was valid until {}: get a new certificate", leaf.not_after));
    }
    let days = leaf.not_after.seconds_after(now) / 86_400;
    if now.plus(RENEW_BEFORE) > leaf.not_after {
        return Err(format!("{path} ends at {}, in {days} days: renew it. A running server takes the new files by itself", leaf.not_after));
    }
    let hosts: Vec<_> = [&settings.server.base_url, &tls.mtls_base_url].into_iter().filter_map(|url| host(url)).collect();
    let certificate = ParsedCertificate::try_from(&pair.certified.cert[0]).map_err(|error| error.to_string())?;
    let is_for =
        |host: &&str| ServerName::try_from(*host).is_ok_and(|name| rustls::client::verify_server_name(&certificate, &name).is_ok());
    if !hosts.is_empty() && !hosts.iter().any(is_for) {
        return Err(format!("{path} is not for {}: clients will refuse it (server.base_url)", hosts.join(" or ")));
    }
    said.insert(0, format!("the pair fits, and the certificate ends at {}, in {days} days", leaf.not_after));
    Ok(said.join("; "))
}

fn host(url: &str) -> Option<&str> {
    let authority = url.split_once("://")?.1;
    // An IPv6 address is in brackets, with colons of its own.
    match authority.strip_prefix('[') {
        Some(rest) => rest.split(']').next(),
        None => authority.split(':').next(),
    }
}

#[cfg(test)]
mod tests {
    use domain::time::Ttl;

    use super::*;

    #[test]
    fn doctor_says_what_is_wrong_with_a_pair_before_clients_do() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = |name: &str| folder.path().join(name);
        let mut settings = Settings::defaults().expect("good");
        assert!(examine(&settings, Timestamp::EPOCH).expect("nothing to look at").contains("none here"));
        settings.server.base_url = "https://id.example".to_owned();
        (settings.tls.certificate, settings.tls.private_key) = (file("tls.pem"), file("tls.key"));
        let mut params = rcgen::CertificateParams::new(vec!["id.example".to_owned()]).expect("a name");
        (params.not_before, params.not_after) = (rcgen::date_time_ymd(2026, 1, 1), rcgen::date_time_ymd(2026, 4, 1));
        let key = rcgen::KeyPair::generate().expect("a key");
        let write = |name: &str, text: String, mode: u32| {
            std::fs::write(file(name), text).expect("written");
            #[cfg(unix)]
            std::fs::set_permissions(file(name), std::os::unix::fs::PermissionsExt::from_mode(mode)).expect("set");
        };
        write("tls.pem", params.self_signed(&key).expect("signed").pem(), 0o644);
        write("tls.key", key.serialize_pem(), 0o640);
        let leaf = Pair::read(&settings.tls).expect("a pair").leaf;
        let said = |settings: &Settings, now: Timestamp| examine(settings, now).unwrap_or_else(|wrong| format!("FAIL {wrong}"));
        assert!(said(&settings, leaf.not_before).ends_with("in 90 days"));
        assert!(said(&settings, leaf.not_after.minus(Ttl::days(7))).ends_with("in 7 days"));
        for (now, wrong) in [
            (leaf.not_before.minus(Ttl::seconds(1)), "and not yet"),
            (leaf.not_after.minus(Ttl::days(6)), "in 6 days: renew it"),
            (leaf.not_after.plus(Ttl::seconds(1)), "get a new certificate"),
        ] {
            let said = said(&settings, now);
            assert!(said.starts_with("FAIL ") && said.contains(wrong), "{said}");
        }
        let other = Settings {
            server: crate::settings::ServerSettings { base_url: "https://other.example".to_owned(), ..settings.server.clone() },
            ..settings.clone()
        };
        assert!(said(&other, leaf.not_before).contains("is not for other.example"));
        let of_clients = Settings { tls: TlsSettings { mtls_base_url: "https://id.example".to_owned(), ..settings.tls.clone() }, ..other };
        assert!(said(&of_clients, leaf.not_before).starts_with("the pair fits"), "a node for clients with certificates");
        #[cfg(unix)]
        {
            write("tls.key", key.serialize_pem(), 0o644);
            assert!(said(&settings, leaf.not_before).contains("mode 0644"));
        }
        write("tls.key", rcgen::KeyPair::generate().expect("a key").serialize_pem(), 0o600);
        assert!(said(&settings, leaf.not_before).contains("is not the certificate of tls.private_key"));
        std::fs::remove_file(file("tls.pem")).expect("removed");
        assert!(said(&settings, leaf.not_before).contains("tls.certificate"));
    }

    #[test]
    fn a_host_is_what_a_certificate_is_for() {
        for (url, expected) in [
            ("https://id.example", Some("id.example")),
            ("https://id.example:8443", Some("id.example")),
            ("https://127.0.0.1:1", Some("127.0.0.1")),
            ("https://[::1]:8443", Some("::1")),
            ("", None),
        ] {
            assert_eq!(host(url), expected);
        }
    }
}
