//! What a setting must be beyond its type.
//!
//! Invariant: only looks at the settings; nothing is opened, bound or resolved here.

use actix_web::http::header::HeaderName;

use super::load::BadSettings;
use super::{KekSettings, MailTransport, Pooler, Settings, SmtpTls};

impl Settings {
    /// Checks bounds and forms.
    ///
    /// # Errors
    /// The first setting that makes no sense, with what would.
    pub(super) fn check(&self) -> Result<(), BadSettings> {
        let server = &self.server;
        base_url("server.base_url", &server.base_url)?;
        self.tls()?;
        bounded("server.workers", server.workers, 0, 1_024)?;
        bounded("server.max_connections", server.max_connections, 1, 1_000_000)?;
        // Beyond 128 KiB and 96 headers the HTTP parser refuses by itself.
        bounded("server.max_head_bytes", server.max_head_bytes, 4_096, 128 * 1_024)?;
        bounded("server.max_body_bytes", server.max_body_bytes, 1_024, 16 * 1_024 * 1_024)?;
        bounded("server.head_timeout_seconds", server.head_timeout_seconds, 1, 600)?;
        bounded("server.request_timeout_seconds", server.request_timeout_seconds, 1, 600)?;
        bounded("server.keep_alive_seconds", server.keep_alive_seconds, 1, 3_600)?;
        bounded("server.drain_seconds", server.drain_seconds, 0, 600)?;
        bounded("server.shutdown_grace_seconds", server.shutdown_grace_seconds, 0, 3_600)?;
        let is_name = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b".-_".contains(&byte);
        if let Some(host) = server.other_hosts.iter().find(|host| host.is_empty() || !host.bytes().all(is_name)) {
            return bad("server.other_hosts", &format!("must be host names in lower case without ports, and \"{host}\" is none"));
        }
        if server.forwarded_host && server.trusted_proxies.is_empty() {
            return bad(
                "server.forwarded_host",
                "believes nobody as long as server.trusted_proxies is empty: name the proxies, or switch it off",
            );
        }
        if server.public_addr == server.management_addr && server.public_addr.port() != 0 {
            return bad("server.management_addr", "is the public address; give it another port, out of the public's reach");
        }
        let budgets = &self.budgets;
        for (name, value) in [
            ("budgets.requests_per_second", budgets.requests_per_second),
            ("budgets.request_burst", budgets.request_burst),
            ("budgets.most_requests_per_second", budgets.most_requests_per_second),
            ("budgets.admin_changes_per_second", budgets.admin_changes_per_second),
            ("budgets.admin_change_burst", budgets.admin_change_burst),
        ] {
            bounded(name, value, 0, 1_000_000)?;
        }
        let url = &self.database.url;
        let is_postgres = |url: &str| url.starts_with("postgres://") || url.starts_with("postgresql://");
        let is_sqlite = self.database.sqlite_file().is_some_and(|file| !file.as_os_str().is_empty() && !url.contains(":memory:"));
        if !is_sqlite && !is_postgres(url) {
            return bad("database.url", "must be sqlite:PATH or postgres://USER:PASSWORD@HOST/NAME");
        }
        if is_sqlite && self.database.pooler != Pooler::None {
            return bad("database.pooler", "must be \"none\" with SQLite, which has no pooler");
        }
        let listen_url = &self.database.listen_url;
        if !listen_url.is_empty() && (is_sqlite || !is_postgres(listen_url)) {
            return bad("database.listen_url", "must be empty, or postgres://USER:PASSWORD@HOST/NAME past the pooler before database.url");
        }
        for (name, url) in [("database.url", url), ("database.listen_url", listen_url)] {
            if let Some(why) = (!url.is_empty()).then(|| storage::legible(url).err()).flatten() {
                let how = "in a user's name and a password, / @ : ? # % are written %2F %40 %3A %3F %23 %25";
                return bad(name, &format!("cannot be read: {why}. It is postgres://USER:PASSWORD@HOST/NAME, and {how}"));
            }
        }
        bounded("database.max_connections", self.database.max_connections, 1, 1_000)?;
        if self.keys.kek_file.as_os_str().is_empty() && self.keys.keks.is_empty() {
            return bad("keys.kek_file", "must be the path of the key-encryption key, or keys.keks must name others");
        }
        if let Some(id) = self.keys.keks.keys().find(|id| !keys::kek::is_kek_id(id)) {
            return bad(&format!("keys.keks.{id}"), "is no id for a key-encryption key: 1 to 40 of a-z, 0-9 and -");
        }
        for (id, kek) in &self.keys.keks {
            match kek {
                KekSettings::Command { timeout_seconds, .. } | KekSettings::Vault { timeout_seconds, .. } => {
                    bounded(&format!("keys.keks.{id}.timeout_seconds"), *timeout_seconds, 1, 60)?;
                }
                KekSettings::File { .. } | KekSettings::Env { .. } | KekSettings::Pkcs11 { .. } => {}
            }
            if let KekSettings::Vault { address, .. } = kek
                && !["https://", "http://127.0.0.1:", "http://[::1]:"].iter().any(|start| address.starts_with(start))
            {
                return bad(&format!("keys.keks.{id}.address"), "must begin with https://, or be on this very machine: data keys go there");
            }
        }
        bounded("keys.sweep_interval_seconds", self.keys.sweep_interval_seconds, 1, 3_600)?;
        bounded("keys.clock_skew_seconds", self.keys.clock_skew_seconds, 0, 600)?;
        bounded("keys.rsa_pool", self.keys.rsa_pool, 0, 256)?;
        bounded("keys.idle_after_seconds", self.keys.idle_after_seconds, 1, 86_400)?;
        bounded("keys.most_awake", self.keys.most_awake, 16, 10_000_000)?;
        bounded("hashing.threads", self.hashing.threads, 0, 1_024)?;
        bounded("hashing.queue", self.hashing.queue, 2, 1_000_000)?;
        let mail = &self.mail;
        if mail.transport != MailTransport::Off && !mail.from.contains('@') {
            return bad("mail.from", "must be the address that mails come from, such as no-reply@id.example.com");
        }
        if mail.transport == MailTransport::Smtp && mail.smtp_host.is_empty() {
            return bad("mail.smtp_host", "must be the name of the relay, as its certificate has it");
        }
        if mail.smtp_username.is_empty() != mail.smtp_password.expose().is_empty() {
            return bad("mail.smtp_password", "and mail.smtp_username go together");
        }
        if mail.smtp_tls == SmtpTls::None && !mail.smtp_username.is_empty() {
            return bad("mail.smtp_tls", "must not be \"none\" where a password is sent");
        }
        // A word that is no level would be taken for the name of a part, and everything else be silent.
        let level = self.log.level.parse::<tracing_subscriber::filter::Targets>();
        if !level.is_ok_and(|targets| targets.default_level().is_some()) {
            return bad(
                "log.level",
                "must be error, warn, info, debug or trace, or such a one with others for single parts: \"info,storage=debug\"",
            );
        }
        bounded("audit.retention_days", self.audit.retention_days, 0, 36_500)?;
        let telemetry = &self.telemetry;
        otlp_endpoint(&telemetry.otlp_endpoint)?;
        if telemetry.headers().is_none() {
            return bad("telemetry.otlp_headers", "must be like \"authorization=Bearer …,x-scope=prod\"");
        }
        if telemetry.service_name.is_empty() {
            return bad("telemetry.service_name", "must be a name, such as \"claviger\"");
        }
        bounded("telemetry.sample_ratio", telemetry.sample_ratio, 0.0, 1.0)
    }
}

impl Settings {
    /// What the public listener is to show, and whose word about clients it takes.
    fn tls(&self) -> Result<(), BadSettings> {
        let tls = &self.tls;
        match (tls.is_on(), tls.private_key.as_os_str().is_empty()) {
            (true, true) => return bad("tls.private_key", "must be the PEM file of the key of tls.certificate"),
            (false, false) => return bad("tls.certificate", "must be the PEM file of the certificate of tls.private_key"),
            _ => {}
        }
        if tls.is_on() && self.server.base_url.starts_with("http://") {
            return bad("server.base_url", "must begin with https:// where tls.certificate is set");
        }
        if tls.client_certificates && !tls.is_on() {
            return bad(
                "tls.client_certificates",
                "needs tls.certificate: without TLS nobody shows one. Behind a proxy: tls.certificate_proxies",
            );
        }
        if HeaderName::from_bytes(tls.certificate_header.as_bytes()).is_err() {
            return bad("tls.certificate_header", "must be the name of a header, such as Client-Cert");
        }
        if !tls.mtls_base_url.is_empty() && !tls.mtls_base_url.starts_with("https://") {
            return bad("tls.mtls_base_url", "must begin with https://");
        }
        base_url("tls.mtls_base_url", &tls.mtls_base_url)
    }
}

fn bad<T>(name: &str, what: &str) -> Result<T, BadSettings> {
    let environment = name.to_uppercase().replace('.', "__");
    Err(BadSettings(format!("`{name}` {what} (in the environment: CLAVIGER__{environment})")))
}

fn bounded<N: PartialOrd + std::fmt::Display>(name: &str, value: N, least: N, most: N) -> Result<(), BadSettings> {
    if value < least || value > most { bad(name, &format!("is {value}; it must be {least} to {most}")) } else { Ok(()) }
}

/// It is logged, so it holds no password; what the collector wants to be shown goes into the headers.
fn otlp_endpoint(url: &str) -> Result<(), BadSettings> {
    let is_good = match url.parse::<actix_web::http::Uri>() {
        _ if url.is_empty() => true,
        Ok(uri) => {
            matches!(uri.scheme_str(), Some("http" | "https")) && uri.authority().is_some_and(|authority| !authority.as_str().contains('@'))
        }
        Err(_) => false,
    };
    if is_good {
        return Ok(());
    }
    bad(
        "telemetry.otlp_endpoint",
        "must be empty or like http://collector:4318/v1/traces, without a password: that goes into telemetry.otlp_headers",
    )
}

/// Scheme and authority only, because issuers are made by putting `/t/{slug}` behind it, and compared byte by byte.
fn base_url(name: &str, url: &str) -> Result<(), BadSettings> {
    if url.is_empty() {
        return Ok(());
    }
    let Some(authority) = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://")) else {
        return bad(name, "must begin with https:// (or http:// for trying out)");
    };
    if authority.ends_with('/') {
        return bad(name, "must not end with a slash: take it off");
    }
    let parsed = authority.parse::<actix_web::http::uri::Authority>();
    if authority.contains(['/', '?', '#', '@']) || authority.chars().any(char::is_uppercase) || parsed.is_err() {
        return bad(name, "must be scheme and host only, in lower case, such as https://id.example.com");
    }
    Ok(())
}
