//! What of a client's metadata can only be judged beside the rest of the world: whether certificates of clients can come, whether
//! the tenant has keys of its algorithms, whether its sector knows it, and whether there are the APIs that it is to have tokens for.

use domain::client::metadata::BadMetadata;
use domain::client::{ClientSettings, GrantType};
use domain::ids::TenantId;
use domain::resource::ResourceUri;

use crate::ctx::Ctx;
use crate::fault::Fault;

/// What is wrong with these settings in this tenant, if anything is. May ask the address that `sector_identifier_uri` names: no
/// transaction is held meanwhile.
///
/// # Errors
/// When the tenant's keys cannot be looked at.
pub(crate) async fn check(ctx: &Ctx, tenant: TenantId, settings: &ClientSettings) -> Result<Result<(), BadMetadata>, Fault> {
    if let Err(bad) = ctx.mutual_tls.fits(settings) {
        return Ok(Err(bad));
    }
    if let Some(unknown) = unknown_api(ctx, tenant, settings).await? {
        return Ok(Err(BadMetadata::new("resources", format!("there is no API {unknown}"))));
    }
    if !settings.may_use(GrantType::AuthorizationCode) && !settings.may_use(GrantType::DeviceCode) {
        return Ok(Ok(()));
    }
    let keys = ctx.keys.published(tenant).await?;
    let algs = &keys.ring.numbers.algs;
    let wanted = [
        ("id_token_signed_response_alg", Some(settings.id_token_signed_response_alg)),
        ("userinfo_signed_response_alg", settings.userinfo_signed_response_alg),
    ];
    if let Some((member, _)) = wanted.into_iter().find(|(_, alg)| alg.is_some_and(|alg| !algs.contains(&alg))) {
        let names: Vec<_> = algs.iter().map(|alg| alg.name()).collect();
        return Ok(Err(BadMetadata::new(member, format!("must be one of {}", names.join(", ")))));
    }
    Ok(match &settings.sector_identifier_uri {
        Some(uri) => sector(ctx, uri, settings).await.map_err(|why| BadMetadata::new("sector_identifier_uri", why)),
        None => Ok(()),
    })
}

/// An API that the client is to have tokens for and that the tenant has not.
async fn unknown_api(ctx: &Ctx, tenant: TenantId, settings: &ClientSettings) -> Result<Option<ResourceUri>, Fault> {
    if settings.resources.is_empty() {
        return Ok(None);
    }
    let known = ctx.store.begin_read(tenant).await?.resources_named(&settings.resources).await?;
    Ok(settings.resources.iter().find(|uri| known.iter().all(|api| api.identifier != **uri)).cloned())
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
