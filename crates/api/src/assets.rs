//! `GET {issuer}/assets/{file}`: the files that hosted pages refer to: style sheets, the script, the tenant's logo.
//!
//! Invariant: a name changes with its content, so that whatever is found may be kept for good; nothing else is found.

use actix_web::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, ETAG, X_CONTENT_TYPE_OPTIONS};
use actix_web::{HttpResponse, web};
use app::{branding, tenants};
use domain::language::Language;
use pages::Look;

use crate::error::problem::Problem;
use crate::state::ApiState;

pub(crate) async fn get(state: web::Data<ApiState>, path: web::Path<(String, String)>) -> Result<HttpResponse, Problem> {
    let (slug, file) = path.into_inner();
    let tenant = tenants::resolve(&state.ctx, &slug).await?;
    let appearance = branding::appearance(&state.ctx, tenant.id).await?;
    // Neither the language nor the path is in any file.
    let (language, issuer_path, logo) = (Language::default(), "", appearance.logo_name.as_deref());
    let look = Look { name: tenant.name.as_str(), branding: &appearance.branding, logo, language, issuer_path };
    let (content_type, etag, bytes) = if let Some(asset) = look.asset(&file) {
        (asset.content_type(), asset.etag(), web::Bytes::copy_from_slice(asset.bytes()))
    } else {
        let is_logo = logo == Some(file.as_str());
        let logo = if is_logo { branding::logo(&state.ctx, tenant.id).await? } else { None };
        let logo = logo.filter(|logo| logo.file_name() == file).ok_or_else(Problem::not_found)?;
        (logo.kind().content_type(), format!("\"{file}\""), web::Bytes::copy_from_slice(logo.bytes()))
    };
    Ok(HttpResponse::Ok()
        .insert_header((CACHE_CONTROL, "public, max-age=31536000, immutable"))
        .insert_header((ETAG, etag))
        // An uploaded picture is a picture, whatever a browser thinks of its bytes.
        .insert_header((X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .insert_header((CONTENT_SECURITY_POLICY, "default-src 'none'; sandbox"))
        .content_type(content_type)
        .body(bytes))
}
