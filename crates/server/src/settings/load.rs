//! Reads the settings from their three places, the weakest first.
//!
//! Invariant: the known settings are exactly those of `config/base.toml`.

use std::path::Path;

use config::{Config, Environment, File, FileFormat, Source, ValueKind};
use serde_json::Value;

use super::Settings;

const BASE: &str = include_str!("../../../../config/base.toml");

/// Why the settings cannot be used; the text names the setting and the fix.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("settings: {0}")]
pub struct BadSettings(pub(super) String);

impl BadSettings {
    pub(crate) const fn new(text: String) -> Self {
        Self(text)
    }
}

impl Settings {
    /// The defaults alone: no file, no environment.
    ///
    /// # Errors
    /// Never in a program that passed its tests.
    pub fn defaults() -> Result<Self, BadSettings> {
        Self::of(None, None)
    }

    /// Defaults, then `file` when there is one, then the environment.
    ///
    /// # Errors
    /// The first setting that is unknown, of the wrong kind, or makes no sense.
    pub fn load(file: Option<&Path>) -> Result<Self, BadSettings> {
        if let Some(file) = file
            && let Err(error) = std::fs::read_to_string(file)
        {
            let shown = file.display();
            return Err(BadSettings(format!(
                "{shown} cannot be read: {error}; give --config the path of a TOML file that this user may read"
            )));
        }
        let names = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
        refuse_single_underscores(names, &known()?.try_deserialize().map_err(said)?)?;
        let settings = Self::of(file, Some(Environment::default()))?;
        Ok(Self { config_file: file.map(Path::to_owned), ..settings })
    }

    fn of(file: Option<&Path>, environment: Option<Environment>) -> Result<Self, BadSettings> {
        let known = known()?;
        let mut builder = Config::builder().add_source(File::from_str(BASE, FileFormat::Toml));
        if let Some(file) = file {
            builder = builder.add_source(File::from(file).format(FileFormat::Toml));
        }
        if let Some(environment) = environment {
            let environment = named(environment);
            for (name, text) in texts(&environment, &known)? {
                builder = builder.set_override(name, text).map_err(said)?;
            }
            builder = builder.add_source(read_as_values(environment));
        }
        let merged = builder.build().map_err(said)?;
        refuse_unknown(&known.try_deserialize().map_err(said)?, &merged.clone().try_deserialize().map_err(said)?)?;
        let settings: Self = merged.try_deserialize().map_err(said)?;
        settings.check()?;
        Ok(settings)
    }
}

/// The defaults, which have every setting.
fn known() -> Result<Config, BadSettings> {
    Config::builder().add_source(File::from_str(BASE, FileFormat::Toml)).build().map_err(said)
}

/// The variables that are ours: `CLAVIGER__SECTION__KEY`.
fn named(environment: Environment) -> Environment {
    environment.prefix("CLAVIGER").prefix_separator("__").separator("__")
}

/// Numbers, booleans and lists as what they are.
fn read_as_values(environment: Environment) -> Environment {
    environment
        .try_parsing(true)
        .list_separator(",")
        .with_list_parse_key("server.trusted_proxies")
        .with_list_parse_key("server.other_hosts")
        .with_list_parse_key("outbound.allow_private")
        .with_list_parse_key("tls.certificate_proxies")
}

/// What is text among the defaults, as it was written: a password of `007` is not 7, and one of `1e3` is not 1000.
fn texts(environment: &Environment, known: &Config) -> Result<impl Iterator<Item = (String, config::Value)>, BadSettings> {
    let is_text = |name: &str| known.get::<config::Value>(name).is_ok_and(|value| matches!(value.kind, ValueKind::String(_)));
    Ok(environment.collect().map_err(said)?.into_iter().filter(move |(name, _)| is_text(name)))
}

fn said(error: config::ConfigError) -> BadSettings {
    BadSettings(format!("{error}; see config/base.toml for what is expected"))
}

/// Names the first setting that the defaults do not have.
fn refuse_unknown(known: &Value, given: &Value) -> Result<(), BadSettings> {
    let (Value::Object(known), Value::Object(given)) = (known, given) else { return Ok(()) };
    let names = |object: &serde_json::Map<String, Value>| object.keys().cloned().collect::<Vec<_>>().join(", ");
    for (section, values) in given {
        let Some(known_values) = known.get(section) else {
            return Err(BadSettings(format!(
                "unknown section `{section}`; the sections are {}. In the environment: CLAVIGER__SECTION__KEY",
                names(known)
            )));
        };
        let (Value::Object(known_values), Value::Object(values)) = (known_values, values) else {
            return Err(BadSettings(format!(
                "`{section}` is a section, not a value: set {section}.<key>, CLAVIGER__{}__<KEY>",
                section.to_uppercase()
            )));
        };
        if let Some(unknown) = values.keys().find(|key| !known_values.contains_key(*key)) {
            return Err(BadSettings(format!(
                "unknown setting `{section}.{unknown}`; [{section}] has {}. Correct it or take it out",
                names(known_values)
            )));
        }
    }
    Ok(())
}

/// Names the first variable that is a setting but for its underscores: nobody would read it, and the node would run on a default.
fn refuse_single_underscores(names: impl Iterator<Item = String>, known: &Value) -> Result<(), BadSettings> {
    let ours = |name: &str| {
        let asked = name.strip_prefix("CLAVIGER_").filter(|rest| !rest.starts_with('_'))?.replace("__", "_").to_lowercase();
        let sections = known.as_object()?.iter().filter_map(|(section, values)| Some((section, values.as_object()?)));
        let mut settings = sections.flat_map(|(section, values)| values.keys().map(move |key| (section, key)));
        settings.find(|(section, key)| format!("{section}_{key}") == asked)
    };
    for name in names {
        if let Some((section, key)) = ours(&name) {
            let meant = format!("CLAVIGER__{}__{}", section.to_uppercase(), key.to_uppercase());
            return Err(BadSettings(format!("{name} is no setting, and nobody would read it: two underscores each, {meant}")));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from_env(pairs: &[(&str, &str)]) -> Result<Settings, BadSettings> {
        let source = pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        Settings::of(None, Some(Environment::default().source(Some(source))))
    }

    #[test]
    fn the_defaults_are_complete_and_make_sense() {
        let settings = Settings::defaults().expect("good");
        assert_eq!(settings.server.public_addr.to_string(), "127.0.0.1:8080");
        assert_eq!(settings.database.sqlite_file(), Some("claviger-data/claviger.db".into()));
    }

    #[test]
    fn the_environment_is_stronger_than_the_defaults() {
        let settings = from_env(&[
            ("CLAVIGER__SERVER__PUBLIC_ADDR", "0.0.0.0:81"),
            ("CLAVIGER__KEYS__RSA_POOL", "7"),
            ("CLAVIGER__SERVER__TRUSTED_PROXIES", "10.0.0.1, ::1,10.1.0.0/16"),
        ])
        .expect("good");
        assert_eq!(settings.server.public_addr.port(), 81);
        assert_eq!(settings.keys.rsa_pool, 7);
        assert_eq!(settings.server.trusted_proxies.len(), 3);
    }

    #[test]
    fn a_variable_that_lacks_an_underscore_is_named() {
        let refused = |name: &str| {
            let known = known().expect("good").try_deserialize().expect("values");
            refuse_single_underscores(["PATH", name].into_iter().map(str::to_owned), &known).map_err(|error| error.to_string())
        };
        for name in ["CLAVIGER_DATABASE_URL", "CLAVIGER_DATABASE__URL"] {
            assert!(refused(name).expect_err(name).contains("CLAVIGER__DATABASE__URL"));
        }
        assert!(refused("CLAVIGER_SERVER_BASE_URL").is_err());
        // Somebody else's: of Kubernetes, for a service of this name; a key-encryption key that a setting names.
        for name in ["CLAVIGER_PORT", "CLAVIGER_SERVICE_HOST", "CLAVIGER_SERVER_PORT", "CLAVIGER_KEK", "CLAVIGER__DATABASE__URL"] {
            assert_eq!(refused(name), Ok(()), "{name}");
        }
    }

    #[test]
    fn a_text_that_looks_like_a_number_is_not_made_one() {
        for text in ["007", "1e3", "TRUE", "+5", "1.50", "inf", "0x10", " a,b "] {
            let settings = from_env(&[
                ("CLAVIGER__MAIL__SMTP_USERNAME", text),
                ("CLAVIGER__MAIL__SMTP_PASSWORD", text),
                ("CLAVIGER__TELEMETRY__SERVICE_NAME", text),
                ("CLAVIGER__KEYS__KEK_FILE", text),
            ])
            .expect("good");
            assert_eq!(settings.mail.smtp_username, text);
            assert_eq!(settings.mail.smtp_password.expose(), text);
            assert_eq!(settings.telemetry.service_name, text);
            assert_eq!(settings.keys.kek_file, std::path::Path::new(text));
        }
    }

    #[test]
    fn key_encryption_keys_are_named_by_their_ids() {
        let settings = from_env(&[
            ("CLAVIGER__KEYS__KEK_FILE", ""),
            ("CLAVIGER__KEYS__KEKS__P2__PROVIDER", "vault"),
            ("CLAVIGER__KEYS__KEKS__P2__ADDRESS", "https://vault.internal:8200"),
            ("CLAVIGER__KEYS__KEKS__P2__KEY", "claviger"),
            ("CLAVIGER__KEYS__KEKS__P2__TOKEN_FILE", "/run/token"),
        ])
        .expect("good");
        let vault = &settings.keys.keks["p2"];
        assert!(
            matches!(vault, crate::settings::KekSettings::Vault { mount, ca_file: None, timeout_seconds: 10, .. } if mount == "transit")
        );
    }

    #[test]
    fn an_unknown_or_senseless_setting_is_named_with_the_fix() {
        for (name, value, expected) in [
            ("CLAVIGER__SERVER__PUBLIC_ADRR", "127.0.0.1:1", "server.public_adrr"),
            ("CLAVIGER__SEVER__PUBLIC_ADDR", "127.0.0.1:1", "`sever`"),
            ("CLAVIGER__SERVER__PUBLIC_ADDR", "localhost", "server.public_addr"),
            ("CLAVIGER__SERVER__WORKERS", "many", "server.workers"),
            ("CLAVIGER__SERVER__BASE_URL", "https://id.example.com/", "server.base_url"),
            ("CLAVIGER__SERVER__BASE_URL", "ftp://id.example.com", "server.base_url"),
            ("CLAVIGER__SERVER__BASE_URL", "https://id.example.com/x?y", "server.base_url"),
            ("CLAVIGER__TLS__CERTIFICATE", "tls.pem", "tls.private_key"),
            ("CLAVIGER__TLS__PRIVATE_KEY", "tls.key", "tls.certificate"),
            ("CLAVIGER__TLS__CLIENT_CERTIFICATES", "true", "tls.client_certificates"),
            ("CLAVIGER__TLS__CERTIFICATE_HEADER", "Client Cert", "tls.certificate_header"),
            ("CLAVIGER__TLS__CERTIFICATE_HEADER_FORMAT", "der", "tls.certificate_header_format"),
            ("CLAVIGER__TLS__CERTIFICATE_PROXIES", "10.0.0.0/33", "tls.certificate_proxies"),
            ("CLAVIGER__SERVER__TRUSTED_PROXIES", "0.0.0.0/0", "server.trusted_proxies"),
            ("CLAVIGER__SERVER__TRUSTED_PROXIES", "proxy.internal", "`proxy.internal`"),
            ("CLAVIGER__TLS__MTLS_BASE_URL", "http://mtls.id.example.com", "tls.mtls_base_url"),
            ("CLAVIGER__TLS__MTLS_BASE_URL", "https://mtls.id.example.com/", "tls.mtls_base_url"),
            ("CLAVIGER__DATABASE__URL", "mysql://x", "database.url"),
            ("CLAVIGER__DATABASE__URL", "postgres://claviger:hush/word@db/claviger", "%2F"),
            ("CLAVIGER__DATABASE__URL", "postgres://claviger:hush-hush@db/claviger?sslmode=on", "ssl_mode"),
            ("CLAVIGER__KEYS__SWEEP_INTERVAL_SECONDS", "0", "keys.sweep_interval_seconds"),
            ("CLAVIGER__KEYS__KEK_FILE", "", "keys.kek_file"),
            ("CLAVIGER__KEYS__KEKS__P2__PROVIDER", "cloud", "cloud"),
            ("CLAVIGER__KEYS__KEKS__P2__PROVIDER", "env", "variable"),
            ("CLAVIGER__LOG__FORMAT", "xml", "log.format"),
            ("CLAVIGER__LOG__LEVEL", "a=b=c", "log.level"),
            ("CLAVIGER__LOG__LEVEL", "warning", "log.level"),
            ("CLAVIGER__LOG__LEVEL", "storage=debug", "log.level"),
            ("CLAVIGER__AUDIT__RETENTION_DAYS", "40000", "audit.retention_days"),
            ("CLAVIGER__TELEMETRY__OTLP_ENDPOINT", "collector:4318", "telemetry.otlp_endpoint"),
            ("CLAVIGER__TELEMETRY__OTLP_ENDPOINT", "http://user:word@collector:4318", "telemetry.otlp_endpoint"),
            ("CLAVIGER__TELEMETRY__OTLP_HEADERS", "hush-hush", "telemetry.otlp_headers"),
            ("CLAVIGER__TELEMETRY__SAMPLE_RATIO", "1.5", "telemetry.sample_ratio"),
            ("CLAVIGER__TELEMETRY__SERVICE_NAME", "", "telemetry.service_name"),
        ] {
            let error = from_env(&[(name, value)]).expect_err(name).to_string();
            assert!(error.contains(expected), "{name}={value}: {error}");
            assert!(!error.contains("hush") && !error.contains(":word@"), "a secret is not repeated: {error}");
        }
        let pair = [("CLAVIGER__TLS__CERTIFICATE", "tls.pem"), ("CLAVIGER__TLS__PRIVATE_KEY", "tls.key")];
        let error = from_env(&pair).expect_err("an issuer without TLS").to_string();
        assert!(error.contains("server.base_url"), "{error}");
        from_env(&[pair[0], pair[1], ("CLAVIGER__SERVER__BASE_URL", "https://id.example.com")]).expect("good");
        let vault = |address: &str, id: &str, more: &str| {
            let text =
                format!("[keys.keks.\"{id}\"]\nprovider = \"vault\"\naddress = \"{address}\"\nkey = \"k\"\ntoken_file = \"t\"\n{more}");
            let folder = tempfile::tempdir().expect("a folder");
            let file = folder.path().join("claviger.toml");
            std::fs::write(&file, text).expect("written");
            Settings::of(Some(&file), None).map(|_| ()).map_err(|error| error.to_string())
        };
        assert_eq!(vault("https://vault:8200", "p2", ""), Ok(()));
        for (refused, expected) in [
            (vault("http://vault:8200", "p2", ""), "keys.keks.p2.address"),
            (vault("https://vault:8200", "P 2", ""), "1 to 40"),
            (vault("https://vault:8200", "p2", "timeout_seconds = 0"), "keys.keks.p2.timeout_seconds"),
            (vault("https://vault:8200", "p2", "tokn = 1"), "tokn"),
        ] {
            let error = refused.expect_err(expected);
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn headers_for_the_collector_are_read_in_pairs_and_not_shown() {
        let settings = from_env(&[("CLAVIGER__TELEMETRY__OTLP_HEADERS", "authorization=Bearer a=b, x-scope=prod,")]).expect("good");
        let headers = settings.telemetry.headers().expect("pairs");
        assert_eq!(headers.len(), 2);
        assert_eq!((headers["authorization"].as_str(), headers["x-scope"].as_str()), ("Bearer a=b", "prod"));
        assert!(!format!("{settings:?}").contains("Bearer"));
        assert!(Settings::defaults().expect("good").telemetry.headers().expect("none").is_empty());
    }
}
