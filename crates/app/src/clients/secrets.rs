//! Secrets of clients: made, kept, and opened again where a client signs with one.
//!
//! Invariant: a secret that is sent is kept as a hash; one that is signed with is sealed with the tenant's data key, and good for nothing
//! but that.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use domain::client::{AuthMethod, Client, ClientSecret, KeptSecret, SealedText};
use domain::handle::HandleKind;
use domain::ids::{ClientSecretId, TenantId};
use domain::secret::Secret;
use domain::time::Timestamp;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::ShownSecret;
use crate::ctx::Ctx;
use crate::fault::Fault;
use crate::ports::keys::TokenSigner;

/// What every secret begins with that a client signs with.
const SIGNING_PREFIX: &str = "cj1_";

/// A secret for this client, of the kind that it takes.
pub(super) fn new_secret(
    ctx: &Ctx,
    signer: &dyn TokenSigner,
    client: &Client,
    expires_at: Option<Timestamp>,
) -> Result<ShownSecret, Fault> {
    let id = ClientSecretId::new(ctx.now(), ctx.id_entropy());
    let (kept, text) = if client.settings.token_endpoint_auth_method == AuthMethod::ClientSecretJwt {
        let mut chance = Zeroizing::new([0; ClientSecret::SIGNING_BYTES]);
        ctx.entropy.fill(&mut *chance);
        // The bytes of the text are the key (OpenID Connect Core, 10.1).
        let text = Secret::new(format!("{SIGNING_PREFIX}{}", URL_SAFE_NO_PAD.encode(*chance)));
        let sealed = signer.seal_client_secret(&client.id, id, text.expose().as_bytes())?;
        (KeptSecret::Sealed(SealedText::of(&sealed)), text)
    } else {
        let handle = ctx.handle(HandleKind::ClientSecret);
        (KeptSecret::Hash(handle.hash()), handle.text())
    };
    Ok(ShownSecret { secret: ClientSecret { id, kept, created_at: ctx.now(), expires_at }, text })
}

/// Takes away what the client cannot use any more: all of them, where it takes none, and those of another kind.
pub(super) fn keep_fitting(client: &mut Client) {
    let method = client.settings.token_endpoint_auth_method;
    client.secrets.retain(|secret| secret.kept.is_for(method));
}

/// The living secrets that the client signs with, open. One that does not open is none.
///
/// # Errors
/// When the tenant's keys are away.
pub(super) async fn signing(ctx: &Ctx, tenant: TenantId, client: &Client) -> Result<Vec<Secret<Vec<u8>>>, Fault> {
    let signer = ctx.keys.signer(tenant, 0).await?;
    let open = |secret: &ClientSecret| {
        let KeptSecret::Sealed(sealed) = &secret.kept else { return None };
        let opened = signer.open_client_secret(&client.id, secret.id, &sealed.bytes().unwrap_or_default());
        opened
            .inspect_err(|fault| tracing::error!(client_id = %client.id, secret_id = %secret.id, %fault, "a client's secret does not open"))
            .ok()
    };
    Ok(client.secrets.iter().filter(|secret| secret.is_live(ctx.now())).filter_map(open).collect())
}

/// Whether `text` is one of the client's living secrets, however they are kept.
///
/// # Errors
/// When the tenant's keys are away.
pub(super) async fn is_own(ctx: &Ctx, tenant: TenantId, client: &Client, text: &str) -> Result<bool, Fault> {
    if client.settings.token_endpoint_auth_method != AuthMethod::ClientSecretJwt {
        return Ok(client.is_secret(text, ctx.now()));
    }
    let known = signing(ctx, tenant, client).await?;
    Ok(known.iter().fold(false, |found, secret| found | bool::from(secret.expose().as_slice().ct_eq(text.as_bytes()))))
}
