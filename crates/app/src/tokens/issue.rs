//! Issuing: an access token, and what goes with it: a refresh token, an ID token.

use std::sync::Arc;

use domain::client::{Client, GrantType};
use domain::details::AuthorizationDetails;
use domain::ids::TokenId;
use domain::openid::{Beside, ClaimsOfScopes, IdClaims};
use domain::resource::Target;
use domain::scope::Scope;
use domain::secret::Secret;
use domain::tenant::Tenant;
use domain::time::Timestamp;
use domain::token::claims::{AccessClaims, Confirmation, Grant, Issuance};
use domain::token::family::{Binding, RefreshFamily};
use domain::user::User;

use crate::ctx::Ctx;
use crate::fault::Fault;
use crate::keys::{encrypted, signer_of};
use crate::ports::keys::TokenSigner;
use crate::subjects::subject;

/// What a client gets (RFC 6749, 5.1; OpenID Connect Core, 3.1.3.3).
#[derive(Debug)]
pub struct IssuedTokens {
    pub access_token: Secret<String>,
    /// What its presenter has to prove.
    pub cnf: Option<Confirmation>,
    /// Seconds until the access token expires.
    pub expires_in: u32,
    /// `None` for a client that may not refresh.
    pub refresh_token: Option<Secret<String>>,
    /// When `openid` was granted.
    pub id_token: Option<Secret<String>>,
    /// That of the access token.
    pub scope: Scope,
    /// Those of the access token (RFC 9396, 7).
    pub details: AuthorizationDetails,
    pub binding: Binding,
    /// For cookie sessions: what must come with every use of the cookie.
    pub csrf_token: Option<Secret<String>>,
    /// When the refresh token's session ends if it is not refreshed: the life of its cookie.
    pub session_ends_at: Timestamp,
    /// What an exchange has made (RFC 8693, 2.2.1).
    pub issued_token_type: Option<&'static str>,
}

/// What tokens of a session are made of.
pub(crate) struct Issue<'a> {
    pub tenant: &'a Tenant,
    pub client: &'a Client,
    pub user: &'a User,
    pub family: &'a RefreshFamily,
    /// What was granted, or what the client wants of it.
    pub scope: Scope,
    pub target: Target,
    /// What of the granted is about the target.
    pub details: AuthorizationDetails,
    pub nonce: Option<String>,
    pub cnf: Option<Confirmation>,
    pub signer: Arc<dyn TokenSigner>,
    pub now: Timestamp,
}

/// Signs an access token for the session, derives the refresh token of its current generation, and signs an ID token when `openid`
/// was granted. Touches no database, unless a key has to be made first.
///
/// # Errors
/// When no key may sign.
pub(crate) async fn issue(ctx: &Ctx, what: Issue<'_>) -> Result<IssuedTokens, Fault> {
    let Issue { tenant, client, user, family, scope, target, details, nonce, cnf, signer, now } = what;
    let algs = target.algs(client.settings.signing_algs());
    // An API may have its own.
    let signer = if signer.has(&algs, now) { signer } else { signer_of(ctx, tenant.id, &[&algs], signer.generation()).await? };
    let issuer = tenant.issuer(&ctx.base_url);
    let subject = subject(ctx, tenant.id, client, user.id).await?;
    let grant = Grant {
        session_id: family.id,
        session_ends_at: family.absolute_expires_at,
        subject,
        auth_time: family.auth_time,
        sign_on: family.sign_on.as_ref(),
    };
    let jti = TokenId::new(now, ctx.id_entropy());
    let issuance =
        Issuance { tenant, issuer: &issuer, client_id: &family.client_id, scope: &scope, target: &target, details: &details, jti, now };
    let mut claims = AccessClaims { cnf, ..AccessClaims::new(issuance, user, grant.clone()) };
    let access_token = Secret::new(signer.sign(&mut claims, &algs, now)?);
    let id_token = match IdClaims::new(issuance, &claims, user, grant, nonce, ClaimsOfScopes::AtUserinfo) {
        Some((mut id_claims, _)) => {
            let alg = client.settings.id_token_signed_response_alg;
            let beside = Beside { access_token: Some(access_token.expose()), code: None };
            let token = signer.sign_id(&mut id_claims, alg, beside, now)?;
            Some(Secret::new(encrypted(ctx, tenant.id, client, client.settings.encryption.id_token(), token).await?))
        }
        None => None,
    };
    let may_refresh = client.settings.may_use(GrantType::RefreshToken);
    Ok(IssuedTokens {
        expires_in: claims.expires_in(now),
        access_token,
        cnf,
        refresh_token: may_refresh.then(|| Secret::new(signer.mint_refresh(family.id, family.head.current))),
        id_token,
        scope: claims.scope,
        details: claims.authorization_details,
        binding: family.binding,
        csrf_token: (family.binding == Binding::Cookie).then(|| Secret::new(signer.csrf_token(family.id))),
        session_ends_at: family.ends_at(),
        issued_token_type: None,
    })
}

/// What a token for somebody else's word is made of.
pub(crate) struct IssueForAssertion<'a> {
    pub tenant: &'a Tenant,
    pub client: &'a Client,
    pub user: &'a User,
    /// Ends with the token.
    pub family: &'a RefreshFamily,
    pub scope: Scope,
    pub target: Target,
    pub cnf: Option<Confirmation>,
    pub signer: Arc<dyn TokenSigner>,
}

/// An access token alone, for the session (RFC 7523, 2.1). When the user logged in, and how, nobody here knows.
///
/// # Errors
/// When no key may sign.
pub(crate) async fn issue_for_assertion(ctx: &Ctx, what: IssueForAssertion<'_>) -> Result<IssuedTokens, Fault> {
    let IssueForAssertion { tenant, client, user, family, scope, target, cnf, signer } = what;
    let algs = target.algs(client.settings.signing_algs());
    let now = family.created_at;
    let signer = if signer.has(&algs, now) { signer } else { signer_of(ctx, tenant.id, &[&algs], signer.generation()).await? };
    let (issuer, jti) = (tenant.issuer(&ctx.base_url), TokenId::new(now, ctx.id_entropy()));
    let grant = Grant {
        session_id: family.id,
        session_ends_at: family.absolute_expires_at,
        subject: subject(ctx, tenant.id, client, user.id).await?,
        auth_time: family.auth_time,
        sign_on: None,
    };
    let issuance = Issuance {
        tenant,
        issuer: &issuer,
        client_id: &client.id,
        scope: &scope,
        target: &target,
        details: AuthorizationDetails::NONE,
        jti,
        now,
    };
    let mut claims = AccessClaims { cnf, auth_time: None, ..AccessClaims::new(issuance, user, grant) };
    let access_token = Secret::new(signer.sign(&mut claims, &algs, now)?);
    Ok(IssuedTokens {
        access_token,
        cnf,
        expires_in: claims.expires_in(now),
        refresh_token: None,
        issued_token_type: None,
        id_token: None,
        scope: claims.scope,
        details: claims.authorization_details,
        binding: Binding::Bearer,
        csrf_token: None,
        session_ends_at: family.absolute_expires_at,
    })
}

/// What a token of a client itself is made of.
pub(crate) struct IssueToClient<'a> {
    pub tenant: &'a Tenant,
    pub client: &'a Client,
    pub scope: Scope,
    pub target: Target,
    pub cnf: Option<Confirmation>,
}

/// An access token for a client that acts for itself (RFC 6749, 4.4). Touches no database; opens no session.
///
/// # Errors
/// When no key may sign.
pub(crate) async fn issue_to_client(ctx: &Ctx, what: IssueToClient<'_>) -> Result<IssuedTokens, Fault> {
    let IssueToClient { tenant, client, scope, target, cnf } = what;
    let algs = target.algs(client.settings.signing_algs());
    let signer = signer_of(ctx, tenant.id, &[&algs], 0).await?;
    let now = ctx.now();
    let (issuer, jti) = (tenant.issuer(&ctx.base_url), TokenId::new(now, ctx.id_entropy()));
    let issuance = Issuance {
        tenant,
        issuer: &issuer,
        client_id: &client.id,
        scope: &scope,
        target: &target,
        details: AuthorizationDetails::NONE,
        jti,
        now,
    };
    let mut claims = AccessClaims { cnf, ..AccessClaims::of_client(issuance) };
    let access_token = Secret::new(signer.sign(&mut claims, &algs, now)?);
    Ok(IssuedTokens {
        access_token,
        cnf,
        expires_in: claims.expires_in(now),
        refresh_token: None,
        id_token: None,
        scope: claims.scope,
        details: claims.authorization_details,
        binding: Binding::Bearer,
        csrf_token: None,
        session_ends_at: now,
        issued_token_type: None,
    })
}
