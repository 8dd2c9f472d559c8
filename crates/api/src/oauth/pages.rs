//! Our own pages as answers: which look they have, and the headers that keep them to themselves.

use actix_web::http::StatusCode;
use actix_web::http::header::{ACCEPT_LANGUAGE, CACHE_CONTROL, CONTENT_SECURITY_POLICY, LOCATION, X_FRAME_OPTIONS};
use actix_web::{HttpMessage, HttpRequest, HttpResponse};
use app::branding;
use domain::authorize::{AuthorizationResponse, ResponseMode};
use domain::branding::Appearance;
use domain::client::Client;
use domain::language::Language;
use domain::tenant::Tenant;
use pages::{Destination, ErrorPage, FormPostPage, Look, Page};

use crate::error::page::PageRefused;
use crate::observe::RequestId;
use crate::state::ApiState;

/// The path of the tenant's issuer.
pub(super) fn issuer_path(tenant: &Tenant) -> String {
    tenant.issuer_path()
}

/// A page as this reader sees it. `ui_locales` are the languages that the client asks for, if it does.
///
/// A tenant whose look cannot be read is shown in the default one: a page that tells of trouble must not fail by it.
pub(super) async fn shown(
    state: &ApiState,
    request: &HttpRequest,
    tenant: &Tenant,
    status: StatusCode,
    ui_locales: &[String],
    page: &impl Page,
) -> HttpResponse {
    let Appearance { branding, logo_name } = branding::appearance(&state.ctx, tenant.id).await.unwrap_or_default();
    let language = language(request, ui_locales, branding.default_language);
    let issuer_path = issuer_path(tenant);
    let look = Look { name: tenant.name.as_str(), branding: &branding, logo: logo_name.as_deref(), language, issuer_path: &issuer_path };
    HttpResponse::build(status)
        .insert_header((CACHE_CONTROL, "no-store"))
        .insert_header((CONTENT_SECURITY_POLICY, page.csp()))
        .insert_header((X_FRAME_OPTIONS, "DENY"))
        .content_type("text/html; charset=utf-8")
        .body(page.html(&look))
}

/// The language of whoever reads the answer.
pub(super) fn language(request: &HttpRequest, ui_locales: &[String], default: Language) -> Language {
    let wanted = ui_locales.join(" ");
    let accepted = request.headers().get(ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok());
    Language::negotiate(Some(wanted.as_str()).filter(|wanted| !wanted.is_empty()), accepted, default)
}

/// A refusal that the user reads.
pub(super) async fn refused(state: &ApiState, request: &HttpRequest, tenant: &Tenant, refused: PageRefused) -> HttpResponse {
    let request_id = request.extensions().get::<RequestId>().map(|id| id.0.clone());
    let page =
        ErrorPage { kind: refused.kind, code: refused.code.to_owned(), request_id, detail: refused.detail.map(str::to_owned), start: None };
    shown(state, request, tenant, refused.status, &[], &page).await
}

/// Sends the browser on. 303, so that what was posted is not posted again (RFC 9700, 4.12).
pub(super) fn onward(location: String) -> HttpResponse {
    HttpResponse::SeeOther().insert_header((LOCATION, location)).insert_header((CACHE_CONTROL, "no-store")).finish()
}

/// Carries an answer to the client in the way it has asked for.
pub(super) async fn answered(state: &ApiState, request: &HttpRequest, tenant: &Tenant, response: AuthorizationResponse) -> HttpResponse {
    match response.return_to.mode {
        // A direct answer is not carried by browsers; there is no way to get here with one.
        ResponseMode::Query | ResponseMode::QueryJwt | ResponseMode::Fragment | ResponseMode::FragmentJwt | ResponseMode::Direct => {
            onward(response.location())
        }
        // A registered address is one that a browser can be sent to.
        ResponseMode::FormPost | ResponseMode::FormPostJwt => match response.return_to.redirect_uri.parse::<Destination>() {
            Ok(action) => {
                let fields = response.parameters.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
                shown(state, request, tenant, StatusCode::OK, &[], &FormPostPage { action, fields, client: None }).await
            }
            Err(_) => onward(response.location()),
        },
    }
}

/// How a client is shown.
pub(super) fn client_view(client: &Client) -> pages::Client {
    let settings = &client.settings;
    let link = |text: &Option<String>| text.as_ref().and_then(|text| text.parse().ok());
    pages::Client {
        name: client.shown_name(),
        logo: link(&settings.logo_uri),
        home: link(&settings.client_uri),
        terms: link(&settings.tos_uri),
        privacy: link(&settings.policy_uri),
    }
}
