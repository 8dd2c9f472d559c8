//! `POST {issuer}/oauth/token` (RFC 6749, 3.2): parses once, authenticates the client, looks whether it may use the grant, hands over
//! to it, and answers.
//!
//! A grant is an arm of [`granted`]. What comes before and after is the same for all, so that none can forget it.

use actix_web::{HttpRequest, HttpResponse, web};
use app::ctx::{Ctx, Origin};
use app::tenants;
use app::tokens::client_credentials::{ClientGrantDenied, client_credentials};
use app::tokens::device::{Awaited, poll};
use app::tokens::exchange::{Brought, ExchangeCommand, exchange};
use app::tokens::issue::IssuedTokens;
use app::tokens::jwt_bearer::jwt_bearer;
use app::tokens::redeem::{RedeemCommand, redeem};
use app::tokens::refresh::{PresentedBy, RefreshCommand, RefreshDenied, RefreshOutcome, refresh};
use domain::client::{Client, GrantType};
use domain::details::{self, AuthorizationDetails};
use domain::resource::{self, ResourceSet};
use domain::scope::Scope;
use domain::secret::Secret;
use domain::tenant::Tenant;
use domain::token::claims::Confirmation;

use crate::error::oauth::OAuthError;
use crate::extract::form::Form;
use crate::extract::origin::From;
use crate::metrics::Metrics;
use crate::oauth::{client_auth, cookie, dpop, mtls};
use crate::state::ApiState;

pub(crate) async fn post(
    state: web::Data<ApiState>,
    slug: web::Path<String>,
    request: HttpRequest,
    from: From,
    form: Form,
) -> Result<HttpResponse, OAuthError> {
    let tenant = tenants::resolve(&state.ctx, &slug).await?;
    let client = client_auth::client(&state.ctx, &tenant, &request, &form, &from.0).await?;
    let grant = form.optional("grant_type").ok_or(OAuthError::invalid_request("grant_type is missing"))?;
    let grant = GrantType::from_name(grant).filter(|grant| grant.is_for_the_token_endpoint());
    let grant = grant.ok_or_else(OAuthError::unsupported_grant_type)?;
    usable(&tenant, &client, grant)?;
    let proved = proved(&state.ctx, &tenant, &client, &request).await?;
    let scope = form.optional("scope").map(|text| text.parse::<Scope>().map_err(|_| OAuthError::invalid_scope())).transpose()?;
    let wanted = resource::read(form.each("resource")).map_err(OAuthError::invalid_target)?;
    let details = details(&form, grant)?;
    let asked = Asked { request: &request, form: &form, origin: &from.0, metrics: &state.metrics, proved, wanted, details };
    let issued = granted(&state.ctx, &tenant, grant, client, scope, &asked).await?;
    Ok(super::tokens(&tenant, &issued, state.ctx.now()))
}

/// Whether this client may use this grant of this tenant, now.
pub(super) fn usable(tenant: &Tenant, client: &Client, grant: GrantType) -> Result<(), OAuthError> {
    if !tenant.policy.offers(grant) {
        return Err(OAuthError::unsupported_grant_type());
    }
    if !client.settings.may_use(grant) {
        return Err(OAuthError::unauthorized_client());
    }
    if !tenant.is_active() {
        return Err(OAuthError::invalid_grant());
    }
    Ok(())
}

/// What a client wants of the details that it was granted (RFC 9396, 6). Grants that nobody is asked for give none.
fn details(form: &Form, grant: GrantType) -> Result<Option<AuthorizationDetails>, OAuthError> {
    match (form.optional("authorization_details"), grant) {
        (None, _) => Ok(None),
        (Some(text), GrantType::AuthorizationCode | GrantType::RefreshToken) => {
            details::read(text).map(Some).map_err(OAuthError::invalid_details)
        }
        (Some(_), _) => Err(OAuthError::invalid_details(details::DetailsRefused::NotHere)),
    }
}

/// What its tokens are bound to: the certificate of a client that says so, or the key that it proves.
async fn proved(ctx: &Ctx, tenant: &Tenant, client: &Client, request: &HttpRequest) -> Result<Option<Confirmation>, OAuthError> {
    if client.settings.tls_client_certificate_bound_access_tokens {
        if request.headers().contains_key("dpop") {
            return Err(OAuthError::invalid_request("this client's tokens are bound to its certificate: send no DPoP header"));
        }
        let certificate = mtls::thumbprint(request)
            .ok_or(OAuthError::invalid_request("this client's tokens are bound to its certificate: connect with one (RFC 8705)"))?;
        return Ok(Some(Confirmation::Certificate(certificate)));
    }
    let key = dpop::proved(ctx, tenant, client, request).await?;
    if key.is_none() && client.settings.dpop_bound_access_tokens {
        return Err(OAuthError::no_proof());
    }
    Ok(key.map(Confirmation::Dpop))
}

/// What a grant may look at besides what all of them share.
struct Asked<'a> {
    request: &'a HttpRequest,
    form: &'a Form,
    origin: &'a Origin,
    metrics: &'a Metrics,
    /// What the client has proved.
    proved: Option<Confirmation>,
    /// What the tokens are to be for.
    wanted: ResourceSet,
    /// What of the granted details they are to say.
    details: Option<AuthorizationDetails>,
}

async fn granted(
    ctx: &Ctx,
    tenant: &Tenant,
    grant: GrantType,
    client: Client,
    scope: Option<Scope>,
    asked: &Asked<'_>,
) -> Result<IssuedTokens, OAuthError> {
    match grant {
        GrantType::AuthorizationCode => {
            let code = asked.form.optional("code").ok_or(OAuthError::invalid_request("code is missing"))?;
            let command = RedeemCommand {
                client,
                code: Secret::new(code.to_owned()),
                redirect_uri: asked.form.optional("redirect_uri").map(str::to_owned),
                code_verifier: asked.form.optional("code_verifier").map(|verifier| Secret::new(verifier.to_owned())),
                wanted: asked.wanted.clone(),
                details: asked.details.clone(),
                proved: asked.proved,
            };
            redeem(ctx, tenant, command, asked.origin).await.map_err(OAuthError::of_code)
        }
        GrantType::Implicit => Err(OAuthError::unsupported_grant_type()),
        GrantType::RefreshToken => refreshed(ctx, tenant, client, scope, asked).await,
        GrantType::ClientCredentials => {
            client_credentials(ctx, tenant, &client, scope, asked.wanted.clone(), asked.proved).await.map_err(|denied| match denied {
                ClientGrantDenied::InvalidScope => OAuthError::invalid_scope(),
                ClientGrantDenied::InvalidTarget(refused) => OAuthError::invalid_target(refused),
                ClientGrantDenied::Fault(fault) => fault.into(),
            })
        }
        GrantType::DeviceCode => {
            let code = asked.form.optional("device_code").ok_or(OAuthError::invalid_request("device_code is missing"))?;
            let code = Secret::new(code.to_owned());
            poll(ctx, tenant, &client, Awaited::Device, &code, asked.wanted.clone(), asked.proved, asked.origin)
                .await
                .map_err(OAuthError::of_poll)
        }
        GrantType::Backchannel => {
            let code = asked.form.optional("auth_req_id").ok_or(OAuthError::invalid_request("auth_req_id is missing"))?;
            let code = Secret::new(code.to_owned());
            poll(ctx, tenant, &client, Awaited::Backchannel, &code, asked.wanted.clone(), asked.proved, asked.origin)
                .await
                .map_err(OAuthError::of_poll)
        }
        GrantType::JwtBearer => {
            let assertion = asked.form.optional("assertion").ok_or(OAuthError::invalid_request("assertion is missing"))?;
            jwt_bearer(ctx, tenant, &client, assertion, scope, asked.wanted.clone(), asked.proved, asked.origin)
                .await
                .map_err(OAuthError::of_assertion)
        }
        GrantType::TokenExchange => {
            let command = exchange_command(client, scope, asked)?;
            exchange(ctx, tenant, command, asked.origin).await.map_err(OAuthError::of_exchange)
        }
    }
}

/// Reads what is to be exchanged (RFC 8693, 2.1). `audience` is one more way to name an API.
fn exchange_command(client: Client, scope: Option<Scope>, asked: &Asked<'_>) -> Result<ExchangeCommand, OAuthError> {
    let brought = |token: &str, kind: &str| match (asked.form.optional(token), asked.form.optional(kind)) {
        (Some(token), Some(kind)) => Ok(Some(Brought { token: Secret::new(token.to_owned()), kind: kind.to_owned() })),
        (None, None) => Ok(None),
        _ => Err(OAuthError::invalid_request("a token and its type go together: subject_token and actor_token each have a _type")),
    };
    let named = asked.form.each("resource").chain(asked.form.each("audience"));
    Ok(ExchangeCommand {
        client,
        subject: brought("subject_token", "subject_token_type")?.ok_or(OAuthError::invalid_request("subject_token is missing"))?,
        actor: brought("actor_token", "actor_token_type")?,
        requested: asked.form.optional("requested_token_type").map(str::to_owned),
        scope,
        wanted: resource::read(named).map_err(OAuthError::invalid_target)?,
        proved: asked.proved,
    })
}

async fn refreshed(
    ctx: &Ctx,
    tenant: &Tenant,
    client: Client,
    scope: Option<Scope>,
    asked: &Asked<'_>,
) -> Result<IssuedTokens, OAuthError> {
    let (refresh_token, presented_by) = match (asked.form.optional("refresh_token"), cookie::refresh_token(asked.request)) {
        (Some(token), _) => (token.to_owned(), PresentedBy::Body),
        (None, Some(_)) if cookie::is_cross_site(asked.request, &ctx.base_url) => return Err(OAuthError::csrf()),
        (None, Some(token)) => (token, PresentedBy::Cookie { csrf_token: cookie::csrf_token(asked.request) }),
        (None, None) => return Err(OAuthError::invalid_request("refresh_token is missing")),
    };
    let (wanted, details) = (asked.wanted.clone(), asked.details.clone());
    let command = RefreshCommand { refresh_token, client, presented_by, proved: asked.proved, scope, wanted, details };
    let outcome = refresh(ctx, tenant, command, asked.origin).await;
    let label = match &outcome {
        Ok((RefreshOutcome::Rotated, _)) => "rotated",
        Ok((RefreshOutcome::Replayed, _)) => "replayed",
        Ok((RefreshOutcome::Replaced, _)) => "replaced",
        Err(RefreshDenied::Reused) => "reused",
        Err(RefreshDenied::SlowDown { .. }) => "slow_down",
        Err(RefreshDenied::Fault(_)) => "fault",
        Err(_) => "refused",
    };
    asked.metrics.refreshes.with_label_values(&[label]).inc();
    outcome.map(|(_, issued)| issued).map_err(|denied| {
        let seconds = if let RefreshDenied::SlowDown { retry_at } = &denied { retry_at.seconds_after(ctx.now()) } else { 0 };
        OAuthError::of_refresh(denied, seconds)
    })
}
