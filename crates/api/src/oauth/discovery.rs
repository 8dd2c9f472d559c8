//! Metadata of an issuer (RFC 8414; OpenID Connect Discovery 1.0): only what is true.

use actix_web::http::header::CACHE_CONTROL;
use actix_web::{HttpResponse, web};
use app::fault::Fault;
use app::resources::detail_types;
use app::tenants;
use domain::authorize::{Prompt, ResponseMode};
use domain::client::assertion::AssertionAlg;
use domain::client::document::DocumentAccess;
use domain::client::registration::RegistrationAccess;
use domain::client::{AuthMethod, DeliveryMode, GrantType, ResponseType};
use domain::encryption::{ContentEncryption, KeyManagement};
use domain::keys::ring::Alg;
use domain::openid;
use domain::scope::Scope;
use domain::sso::Acr;
use serde_json::{Value, json};

use crate::error::problem::Problem;
use crate::state::ApiState;

pub(crate) async fn get(state: web::Data<ApiState>, slug: web::Path<String>) -> Result<HttpResponse, Problem> {
    let tenant = tenants::resolve(&state.ctx, &slug).await?;
    let issuer = tenant.issuer(&state.ctx.base_url);
    let at = |path: &str| format!("{issuer}/{path}");
    let mutual_tls = &state.ctx.mutual_tls;
    let methods: Vec<_> = AuthMethod::ALL.into_iter().filter(|method| mutual_tls.offers(*method)).map(AuthMethod::name).collect();
    let assertion_algs: Vec<_> = AssertionAlg::names().map(|(name, _)| name).collect();
    let scopes: Vec<_> = Scope::OF_OPENID.into_iter().chain([Scope::ACCOUNT, Scope::ADMIN]).collect();
    // What the tenant's ring keeps keys of.
    let keys = state.ctx.keys.published(tenant.id).await.map_err(Fault::from)?;
    let algs: Vec<_> = keys.ring.numbers.algs.iter().map(|alg| alg.name()).collect();
    let with_tokens = ResponseMode::WITH_TOKENS.into_iter().filter(|_| tenant.policy.offers(GrantType::Implicit));
    let modes: Vec<_> = ResponseMode::NAMES.into_iter().chain(with_tokens).map(|(name, _)| name).collect();
    let mut body = json!({
        "issuer": issuer,
        "authorization_endpoint": at("oauth/authorize"),
        "pushed_authorization_request_endpoint": at("oauth/par"),
        "token_endpoint": at("oauth/token"),
        "userinfo_endpoint": at("oauth/userinfo"),
        "end_session_endpoint": at("oauth/end_session"),
        "revocation_endpoint": at("oauth/revoke"),
        "introspection_endpoint": at("oauth/introspect"),
        "jwks_uri": at(".well-known/jwks.json"),
        "grant_types_supported": GrantType::ALL.into_iter().filter(|grant| tenant.policy.offers(*grant)).map(GrantType::name).collect::<Vec<_>>(),
        "response_types_supported": ResponseType::ALL.into_iter().filter(|kind| tenant.policy.answers_with(*kind)).map(ResponseType::name).collect::<Vec<_>>(),
        "response_modes_supported": modes,
        "scopes_supported": scopes,
        "subject_types_supported": ["public", "pairwise"],
        "id_token_signing_alg_values_supported": algs,
        "userinfo_signing_alg_values_supported": algs,
        "authorization_signing_alg_values_supported": algs,
        "introspection_signing_alg_values_supported": algs,
        "token_endpoint_auth_methods_supported": methods,
        "token_endpoint_auth_signing_alg_values_supported": assertion_algs,
        "revocation_endpoint_auth_methods_supported": methods,
        "revocation_endpoint_auth_signing_alg_values_supported": assertion_algs,
        "introspection_endpoint_auth_methods_supported": methods.into_iter().filter(|name| *name != AuthMethod::None.name()).collect::<Vec<_>>(),
        "introspection_endpoint_auth_signing_alg_values_supported": assertion_algs,
        "dpop_signing_alg_values_supported": Alg::ALL.map(Alg::name),
        "code_challenge_methods_supported": ["S256"],
        "prompt_values_supported": Prompt::ALL.map(Prompt::name),
        "acr_values_supported": Acr::REACHABLE.map(Acr::name),
        "claim_types_supported": ["normal"],
        "claims_supported": openid::claims_supported(&tenant),
        "claims_parameter_supported": true,
        "request_parameter_supported": true,
        "request_object_signing_alg_values_supported": Alg::ALL.map(Alg::name),
        "require_signed_request_object": false,
        "request_uri_parameter_supported": tenant.policy.request_uri,
        "require_pushed_authorization_requests": false,
        "frontchannel_logout_supported": true,
        "frontchannel_logout_session_supported": true,
        "backchannel_logout_supported": true,
        "backchannel_logout_session_supported": true,
        "authorization_response_iss_parameter_supported": true,
    });
    let types = detail_types(&state.ctx, tenant.id).await;
    if !types.is_empty() {
        body["authorization_details_types_supported"] = json!(&*types);
    }
    for answer in ["id_token", "userinfo", "authorization", "introspection"] {
        body[format!("{answer}_encryption_alg_values_supported")] = json!(KeyManagement::ALL.map(KeyManagement::name));
        body[format!("{answer}_encryption_enc_values_supported")] = json!(ContentEncryption::ALL.map(ContentEncryption::name));
    }
    if tenant.policy.request_uri {
        body["require_request_uri_registration"] = true.into();
    }
    if tenant.policy.authorization_challenge {
        body["authorization_challenge_endpoint"] = at("oauth/authorize-challenge").into();
    }
    if tenant.policy.offers(GrantType::DeviceCode) {
        body["device_authorization_endpoint"] = at("oauth/device_authorization").into();
    }
    if tenant.policy.offers(GrantType::Backchannel) {
        body["backchannel_authentication_endpoint"] = at("oauth/bc-authorize").into();
        body["backchannel_token_delivery_modes_supported"] = json!(DeliveryMode::ALL.map(DeliveryMode::name));
        body["backchannel_user_code_parameter_supported"] = false.into();
    }
    if tenant.policy.registration.access != RegistrationAccess::Off {
        body["registration_endpoint"] = json!(at("oauth/register"));
    }
    if tenant.policy.client_id_metadata_documents.access != DocumentAccess::Off {
        body["client_id_metadata_document_supported"] = true.into();
    }
    if mutual_tls.is_on {
        body["tls_client_certificate_bound_access_tokens"] = true.into();
    }
    if let Some(other) = &mutual_tls.base_url {
        body["mtls_endpoint_aliases"] = aliases(&body, &issuer, &format!("{other}/t/{}", tenant.slug));
    }
    Ok(HttpResponse::Ok().insert_header((CACHE_CONTROL, "public, max-age=300")).json(body))
}

/// Endpoints that clients ask themselves, where they are asked with a certificate (RFC 8705, 5).
const ASKED_BY_CLIENTS: [&str; 9] = [
    "token_endpoint",
    "revocation_endpoint",
    "introspection_endpoint",
    "pushed_authorization_request_endpoint",
    "authorization_challenge_endpoint",
    "device_authorization_endpoint",
    "backchannel_authentication_endpoint",
    "userinfo_endpoint",
    "registration_endpoint",
];

/// Those of `metadata`, below `other` instead of below the issuer. There it is the installation's address also for a tenant with a domain.
fn aliases(metadata: &Value, issuer: &str, other: &str) -> Value {
    let alias = |name: &str| {
        let path = metadata.get(name)?.as_str()?.strip_prefix(issuer)?;
        Some((name.to_owned(), format!("{other}{path}").into()))
    };
    Value::Object(ASKED_BY_CLIENTS.into_iter().filter_map(alias).collect())
}
