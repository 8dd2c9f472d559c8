//! Proof of possession (RFC 9449): the one place that says which key a request has proved.
//!
//! Invariant: a proof works once, on whatever node; nonces are derived from the tenant's secret and the time, and nothing is kept of them.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use domain::client::ClientSettings;
use domain::dpop::{Nonces, PROOF_TYPE, ProofRefused, Request, judge, nonce_numbers};
use domain::keys::thumbprint::Thumbprint;
use domain::tenant::Tenant;

use crate::ctx::Ctx;
use crate::fault::Fault;

/// What a request brings along to prove a key, and what it is a request for.
#[derive(Clone)]
pub struct ShownProof {
    /// Each `DPoP` header; one is right.
    pub texts: Vec<String>,
    pub method: String,
    /// The address that was asked, without query.
    pub uri: String,
}

impl fmt::Debug for ShownProof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ShownProof").field("method", &self.method).field("uri", &self.uri).finish_non_exhaustive()
    }
}

#[derive(Debug)]
pub enum ProofDenied {
    /// One answer for all that can be wrong with it; the log says which.
    Invalid,
    /// Another one with this nonce will do (RFC 9449, 8).
    NonceNeeded {
        nonce: String,
    },
    Fault(Fault),
}

impl<E: Into<Fault>> From<E> for ProofDenied {
    fn from(error: E) -> Self {
        Self::Fault(error.into())
    }
}

/// The key that a request has proved, for `client` and with the access token that it shows, if it does. What is good is used up, in one
/// durable commit.
///
/// # Errors
/// See [`ProofDenied`].
#[tracing::instrument(level = "debug", name = "app.prove_key", skip_all)]
pub async fn prove(
    ctx: &Ctx,
    tenant: &Tenant,
    client: &ClientSettings,
    shown: &ShownProof,
    access_token: Option<&str>,
) -> Result<Thumbprint, ProofDenied> {
    let invalid = |why: &str| {
        tracing::info!(why, "a DPoP proof was refused");
        Err(ProofDenied::Invalid)
    };
    let [text] = shown.texts.as_slice() else { return invalid("there is not one, but none or several") };
    let Ok(opened) = ctx.keys.open_self_signed(text, client.signing_algs()) else {
        return invalid("its form, key, algorithm or signature");
    };
    if opened.typ.as_deref() != Some(PROOF_TYPE) {
        return invalid("its typ is that of another token");
    }
    let (key, now) = (Thumbprint::of(&opened.key), ctx.now());
    let are_needed = tenant.policy.require_dpop_nonce || client.require_dpop_nonce;
    let good = if are_needed || opened.claims.contains_key("nonce") { nonces(ctx, tenant).await? } else { Vec::new() };
    let request = Request { method: &shown.method, uri: &shown.uri, access_token };
    let proof = match judge(&opened.claims, key, request, Nonces { good: &good, are_needed }, now) {
        Ok(proof) => proof,
        Err(ProofRefused::Bad(why)) => return invalid(why),
        Err(ProofRefused::Nonce) => return Err(ProofDenied::NonceNeeded { nonce: good.into_iter().next().unwrap_or_default() }),
    };
    let mut tx = ctx.store.begin(tenant.id).await?;
    if !tx.spend(&proof.name, proof.expires_at).await? {
        return invalid("it was used before");
    }
    tx.commit().await?;
    Ok(key)
}

/// The nonces that are good now, the one to give out first.
async fn nonces(ctx: &Ctx, tenant: &Tenant) -> Result<Vec<String>, Fault> {
    let signer = ctx.keys.signer(tenant.id, 0).await?;
    let nonce = |number: i64| URL_SAFE_NO_PAD.encode(signer.blind("dpop-nonce", &number.to_be_bytes()));
    Ok(nonce_numbers(ctx.now()).map(nonce).into())
}
