//! What of a client's metadata can only be judged beside the rest of the world: whether certificates of clients can come, whether
//! the tenant has keys of its algorithms, whether its sector knows it, and whether there are the APIs that it is to have tokens for.

use domain::client::jwks;
use domain::client::metadata::BadMetadata;
use domain::client::{ClientKeys, ClientSettings};
use domain::details;
use domain::ids::TenantId;
use domain::keys::ring::Alg;

use super::key_sets::encryption_keys_at;
use crate::ctx::Ctx;
use crate::fault::Fault;
use crate::keys::signer_of;

/// What is wrong with these settings in this tenant, if anything is. When nothing is, the keys that the client will ask for are there
/// afterwards: one that the rotation clock has not come to is made, so that a client may read the JWKS once, right away. May ask the
/// address that `sector_identifier_uri` names: no transaction is held meanwhile.
///
/// # Errors
/// When the tenant's keys cannot be looked at.
pub(crate) async fn check(ctx: &Ctx, tenant: TenantId, settings: &ClientSettings) -> Result<Result<(), BadMetadata>, Fault> {
    if let Err(bad) = ctx.mutual_tls.fits(settings) {
        return Ok(Err(bad));
    }
    if let Some((member, why)) = unfit_api(ctx, tenant, settings).await? {
        return Ok(Err(BadMetadata::new(member, why)));
    }
    let keys = ctx.keys.published(tenant).await?;
    let algs = &keys.ring.numbers.algs;
    let may = settings.signing_algs();
    if !may.iter().any(|alg| algs.contains(alg)) {
        return Ok(Err(BadMetadata::new("profile", format!("its tokens are signed by {}, and the tenant has no such keys", names(may)))));
    }
    let has_users = settings.grant_types.iter().any(|grant| grant.has_users());
    let wanted = settings.signatures();
    if let Some((member, _)) = wanted.iter().find(|(_, alg)| !algs.contains(alg)) {
        return Ok(Err(BadMetadata::new(member, format!("must be one of {}", names(algs)))));
    }
    if let Some(uri) = settings.sector_identifier_uri.as_ref().filter(|_| has_users)
        && let Err(why) = sector(ctx, uri, settings).await
    {
        return Ok(Err(BadMetadata::new("sector_identifier_uri", why)));
    }
    if let Err((member, why)) = encryption(ctx, settings).await {
        return Ok(Err(BadMetadata::new(member, why)));
    }
    let needed: Vec<&[Alg]> = wanted.iter().map(|(_, alg)| std::slice::from_ref(alg)).chain([may]).collect();
    signer_of(ctx, tenant, &needed, 0).await?;
    Ok(Ok(()))
}

fn names(algs: &[Alg]) -> String {
    algs.iter().map(|alg| alg.name()).collect::<Vec<_>>().join(", ")
}

/// Tries to encrypt to the client in every way that it registers for: a key may look like one and be none. Its keys are fetched for that, where
/// they are elsewhere.
async fn encryption(ctx: &Ctx, settings: &ClientSettings) -> Result<(), (&'static str, String)> {
    let (member, keys) = match &settings.keys {
        _ if settings.encryption.all().next().is_none() => return Ok(()),
        Some(ClientKeys::JwksUri(uri)) => ("jwks_uri", encryption_keys_at(ctx, uri).await.map_err(|why| ("jwks_uri", why.to_owned()))?),
        Some(ClientKeys::Jwks(set)) => ("jwks", jwks::read_encryption(set).map_err(|why| ("jwks", why.to_string()))?),
        None => ("jwks", Vec::new()),
    };
    for how in settings.encryption.all() {
        let key = keys.iter().find(|key| key.may_be(how.alg));
        if key.is_none_or(|key| ctx.keys.encrypt("", key, how).is_err()) {
            return Err((member, format!("has no good key with \"use\": \"enc\" for {}", how.alg.name())));
        }
    }
    Ok(())
}

/// What is wrong with an API that the client is to have tokens for: that the tenant has it not, that its tokens are signed in a way that the
/// client's profile forbids, or that it has not the types of details that the client is limited to.
async fn unfit_api(ctx: &Ctx, tenant: TenantId, settings: &ClientSettings) -> Result<Option<(&'static str, String)>, Fault> {
    let types = || settings.authorization_details_types.iter().flatten();
    if settings.resources.is_empty() && types().next().is_none() {
        return Ok(None);
    }
    let known = ctx.store.begin_read(tenant).await?.resources_named(&settings.resources).await?;
    if let Some(unknown) = settings.resources.iter().find(|uri| known.iter().all(|api| api.identifier != **uri)) {
        return Ok(Some(("resources", format!("there is no API {unknown}"))));
    }
    if let Some(unknown) = types().find(|name| details::defined(&known, name.as_str()).is_none()) {
        return Ok(Some(("authorization_details_types", format!("none of its APIs has the type {unknown}"))));
    }
    let forbidden = |alg: Alg| !settings.signing_algs().contains(&alg);
    let unfit = known.iter().find(|api| api.settings.signing_alg.is_some_and(forbidden));
    Ok(unfit.map(|api| ("resources", format!("tokens for {} are signed by an algorithm that the profile forbids", api.identifier))))
}

/// The document lists every redirect URI (OpenID Connect Registration, 5).
async fn sector(ctx: &Ctx, uri: &str, settings: &ClientSettings) -> Result<(), &'static str> {
    let answer = ctx.outbound.get(uri, "application/json").await.map_err(|fault| {
        tracing::info!(uri, %fault, "a sector_identifier_uri could not be fetched");
        "could not be fetched"
    })?;
    let listed: Vec<String> = match answer.status {
        200 => serde_json::from_slice(&answer.body).map_err(|_| "does not show a JSON array of addresses")?,
        _ => return Err("could not be fetched"),
    };
    let is_listed = |uri: &domain::client::redirect_uri::RedirectUri| listed.iter().any(|known| known == uri.as_str());
    if settings.redirect_uris.iter().all(is_listed) { Ok(()) } else { Err("does not list every one of redirect_uris") }
}
