//! Mutual TLS (RFC 8705): the one place that says whether a certificate is a client's.
//!
//! That whoever shows a certificate holds its key, the handshake has said, here or at a proxy. Invariant: a name in a certificate counts
//! for as much as the authority that gave it; where nobody answers for the certificate, it names nobody.

use std::sync::Arc;

use domain::certificate::Certificate;
use domain::client::metadata::BadMetadata;
use domain::client::{AuthMethod, Client, ClientSettings};
use domain::ids::TenantId;
use domain::keys::thumbprint::Thumbprint;
use domain::time::Timestamp;

use crate::clients::key_sets;
use crate::ctx::Ctx;

/// Those whose signatures under certificates are believed.
pub trait Authorities: Send + Sync {
    /// Whether one of them answers for a certificate in DER, for a client, now, by way of `intermediates`.
    ///
    /// # Errors
    /// Why none does, for the log.
    fn vouch(&self, certificate: &[u8], intermediates: &[Vec<u8>], now: Timestamp) -> Result<(), String>;
}

/// A certificate that came with a request, in DER.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShownCertificate {
    pub der: Vec<u8>,
    pub intermediates: Vec<Vec<u8>>,
    pub witness: Witness,
}

/// Who has seen that whoever shows it holds its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Witness {
    /// This node, in the handshake of the connection.
    Connection,
    /// A proxy that the settings name.
    Proxy,
}

impl ShownCertificate {
    pub fn thumbprint(&self) -> Thumbprint {
        Thumbprint::of_certificate(&self.der)
    }
}

/// What this installation takes of clients with certificates; the same on all nodes.
#[derive(Clone, Default)]
pub struct MutualTls {
    /// Whether certificates can come at all: to this node or to another one.
    pub is_on: bool,
    pub authorities: Option<Arc<dyn Authorities>>,
    /// Whether the proxies let no certificate through that they have not verified.
    pub proxies_verify: bool,
    /// Scheme and authority of where clients with certificates come to, when that is another address than the issuers'.
    pub base_url: Option<String>,
}

impl std::fmt::Debug for MutualTls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MutualTls").field("is_on", &self.is_on).field("base_url", &self.base_url).finish_non_exhaustive()
    }
}

impl MutualTls {
    /// Whether clients may prove themselves in this way.
    pub fn offers(&self, method: AuthMethod) -> bool {
        match method {
            AuthMethod::TlsClientAuth => self.is_on && (self.authorities.is_some() || self.proxies_verify),
            AuthMethod::SelfSignedTlsClientAuth => self.is_on,
            AuthMethod::None
            | AuthMethod::ClientSecretBasic
            | AuthMethod::ClientSecretPost
            | AuthMethod::ClientSecretJwt
            | AuthMethod::PrivateKeyJwt => true,
        }
    }

    /// Whether a client with these settings can be one of ours.
    ///
    /// # Errors
    /// When it would need a certificate that cannot be shown.
    pub(crate) fn fits(&self, settings: &ClientSettings) -> Result<(), BadMetadata> {
        let off = |member| Err(BadMetadata::new(member, "is off here: this server takes no such certificates of clients"));
        if !self.offers(settings.token_endpoint_auth_method) {
            return off("token_endpoint_auth_method");
        }
        if settings.tls_client_certificate_bound_access_tokens && !self.is_on {
            return off("tls_client_certificate_bound_access_tokens");
        }
        Ok(())
    }

    fn vouches(&self, shown: &ShownCertificate, certificate: &Certificate, now: Timestamp) -> Result<(), String> {
        if !certificate.is_valid_at(now) {
            return Err(format!("it is valid from {} to {}", certificate.not_before, certificate.not_after));
        }
        match &self.authorities {
            Some(authorities) => authorities.vouch(&shown.der, &shown.intermediates, now),
            None if self.proxies_verify && shown.witness == Witness::Proxy => Ok(()),
            None => Err("nobody answers for it".to_owned()),
        }
    }
}

/// Whether the certificate that was shown is that of `client`, in the way it has registered.
///
/// Source: RFC 8705, 2.1, 2.2.
pub(crate) async fn is_certified(ctx: &Ctx, tenant: TenantId, client: &Client, shown: Option<&ShownCertificate>) -> bool {
    let why = match shown {
        None => "none was shown".to_owned(),
        Some(shown) => match Certificate::read(&shown.der) {
            Err(bad) => format!("it {bad}"),
            Ok(certificate) => match is_its_own(ctx, tenant, client, shown, &certificate).await {
                Ok(()) => return true,
                Err(why) => why,
            },
        },
    };
    tracing::info!(client_id = %client.id, why, "a client's certificate was refused");
    false
}

async fn is_its_own(
    ctx: &Ctx,
    tenant: TenantId,
    client: &Client,
    shown: &ShownCertificate,
    certificate: &Certificate,
) -> Result<(), String> {
    match client.settings.token_endpoint_auth_method {
        AuthMethod::TlsClientAuth => {
            let is_named = client.settings.certificate_name.as_ref().is_some_and(|name| name.is_of(certificate));
            if !is_named {
                return Err("it does not bear the name that is registered".to_owned());
            }
            ctx.mutual_tls.vouches(shown, certificate, ctx.now())
        }
        AuthMethod::SelfSignedTlsClientAuth => match key_sets::has_certificate(ctx, tenant, client, certificate).await {
            true => Ok(()),
            false => Err("it is none of those that are registered".to_owned()),
        },
        AuthMethod::None
        | AuthMethod::ClientSecretBasic
        | AuthMethod::ClientSecretPost
        | AuthMethod::ClientSecretJwt
        | AuthMethod::PrivateKeyJwt => Err("the client proves itself in another way".to_owned()),
    }
}
