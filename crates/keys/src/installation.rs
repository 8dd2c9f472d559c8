//! What the installation itself owns: the MAC key of the platform's admin tokens, and the key that signs certificates. They are
//! sealed like a tenant's secrets, by a data key of their own.
//!
//! Invariant: made once for all nodes; whoever comes second uses what the first has stored.

use std::sync::Arc;

use app::ports::custody::{FirstFormatSecret, SealedDataKey, SealedSecret};
use app::ports::keys::{KeyFault, Notary};
use app::ports::store::{StoreError, Stored};
use aws_lc_rs::hmac;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use domain::ids::TenantId;
use domain::keys::ring::{Alg, Kid, PublicJwk};
use domain::keys::thumbprint::Thumbprint;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use crate::jwks;
use crate::keygen::generate;
use crate::node::Node;
use crate::seal::{DataKey, SecretName};

const OWNER: TenantId = TenantId::INSTALLATION;
const MAC_NAME: &str = "platform-admin";
const MAC_KIND: &str = "mac-key";
const CERTIFICATE_KIND: &str = "certificate-key";

fn mac_name() -> SecretName {
    SecretName { kind: MAC_KIND, name: MAC_NAME.to_owned(), version: 1 }
}

fn certificate_name(kid: &Kid) -> SecretName {
    SecretName { kind: CERTIFICATE_KIND, name: kid.as_str().to_owned(), version: 1 }
}

/// The installation's secrets, open.
pub(crate) struct Installation {
    pub(crate) mac: hmac::Key,
    pub(crate) notary: Arc<InstallationNotary>,
}

impl Installation {
    /// Opens them; makes what is missing, and takes over what the first format kept.
    pub(crate) async fn open(node: &Node) -> Result<Self, KeyFault> {
        let mut why = "other nodes are making them".to_owned();
        // Another node may make them at the same moment; then there is nothing missing the next time.
        for _ in 0..3 {
            let mut tx = node.store.begin_read(OWNER).await.map_err(KeyFault::from)?;
            let rows = Rows::read(&mut *tx).await.map_err(KeyFault::from)?;
            drop(tx);
            if let Some(this) = rows.open(node).await? {
                return Ok(this);
            }
            match rows.complete(node).await {
                Ok(()) => {}
                Err(KeyFault::Unavailable(reason)) => why = reason,
                Err(fault) => return Err(fault),
            }
        }
        Err(KeyFault::Unavailable(format!("the installation's secrets could not be made: {why}")))
    }
}

struct Rows {
    data_key: Option<SealedDataKey>,
    secrets: Vec<SealedSecret>,
    first_format: Option<FirstFormatSecret>,
}

impl Rows {
    async fn read(tx: &mut dyn app::ports::store::TenantTx) -> Stored<Self> {
        let data_key = tx.data_key().await?;
        let secrets = tx.sealed_secrets().await?;
        Ok(Self { data_key, secrets, first_format: tx.first_format_secret(MAC_NAME).await? })
    }

    fn find(&self, kind: &str) -> Option<&SealedSecret> {
        self.secrets.iter().find(|secret| secret.kind == kind)
    }

    /// `None` when something is not there yet.
    async fn open(&self, node: &Node) -> Result<Option<Installation>, KeyFault> {
        let (Some(data_key), Some(mac), Some(certificate), None) =
            (&self.data_key, self.find(MAC_KIND), self.find(CERTIFICATE_KIND), &self.first_format)
        else {
            return Ok(None);
        };
        let data_key = node.custody.unwrap(OWNER, data_key).await?;
        let mac = hmac::Key::new(hmac::HMAC_SHA256, &data_key.open(&mac_name(), mac)?);
        let notary = Arc::new(InstallationNotary::open(&data_key, certificate)?);
        Ok(Some(Installation { mac, notary }))
    }

    /// Makes what is missing, in one transaction.
    async fn complete(&self, node: &Node) -> Result<(), KeyFault> {
        let (data_key, new_data_key) = match &self.data_key {
            Some(sealed) => (node.custody.unwrap(OWNER, sealed).await?, None),
            None => {
                let (open, sealed) = node.custody.generate(OWNER, node.clock.now(), &*node.entropy).await?;
                (open, Some(sealed))
            }
        };
        let mut new = Vec::new();
        if self.find(MAC_KIND).is_none() {
            let secret = match &self.first_format {
                Some(first) => first_format(node, first).await?,
                None => {
                    let mut secret = Zeroizing::new([0; 32]);
                    node.entropy.fill(&mut *secret);
                    secret
                }
            };
            new.push(data_key.seal(&mac_name(), &*secret)?);
        }
        if self.find(CERTIFICATE_KIND).is_none() {
            let key = generate(Alg::EdDSA)?;
            new.push(data_key.seal(&certificate_name(&key.kid), &key.private)?);
        }
        let mut tx = node.store.begin(OWNER).await.map_err(KeyFault::from)?;
        let written: Stored<()> = async {
            // Between reading and now somebody else may have been here.
            if tx.sealed_secrets().await? != self.secrets {
                return Err(StoreError::Conflict);
            }
            if let Some(sealed) = &new_data_key {
                tx.data_key_insert(sealed).await?;
            }
            for secret in &new {
                tx.secret_insert(secret).await?;
            }
            tx.first_format_secret_remove(MAC_NAME).await?;
            tx.commit().await
        }
        .await;
        written.map_err(KeyFault::from)
    }
}

/// Opens the secret that the first format sealed with the key-encryption key itself.
async fn first_format(node: &Node, secret: &FirstFormatSecret) -> Result<Zeroizing<[u8; 32]>, KeyFault> {
    let context = format!("claviger/installation/1|{MAC_NAME}").into_bytes();
    node.custody.unwrap_bytes(&secret.kek_id, &context, &secret.sealed, "installation's secret").await
}

/// The installation's signature, for what outlives the tenants.
pub(crate) struct InstallationNotary {
    kid: Kid,
    pair: Ed25519KeyPair,
    jwks: Arc<[u8]>,
}

impl InstallationNotary {
    fn open(data_key: &DataKey, row: &SealedSecret) -> Result<Self, KeyFault> {
        let unreadable = || KeyFault::Sealed("the installation's certificate key is not the one that its name says".to_owned());
        let kid: Kid = row.name.parse().map_err(|_| unreadable())?;
        let private = data_key.open(&certificate_name(&kid), row)?;
        let pair = Ed25519KeyPair::from_pkcs8(&private).map_err(|_| unreadable())?;
        let public = PublicJwk::OKP { crv: "Ed25519".to_owned(), x: URL_SAFE_NO_PAD.encode(pair.public_key()) };
        if Kid::from(Thumbprint::of(&public)) != kid {
            return Err(unreadable());
        }
        let jwks = jwks::written(std::iter::once((&public, Alg::EdDSA, &kid)))?.into();
        Ok(Self { kid, pair, jwks })
    }
}

impl Notary for InstallationNotary {
    fn certify(&self, typ: &str, payload: &Value) -> Result<String, KeyFault> {
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", part(&json!({ "alg": "EdDSA", "typ": typ, "kid": self.kid })), part(payload));
        let signature =
            self.pair.try_sign(signed.as_bytes()).map_err(|_| KeyFault::Unavailable("a certificate could not be signed".to_owned()))?;
        Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }

    fn jwks(&self) -> Arc<[u8]> {
        Arc::clone(&self.jwks)
    }
}
