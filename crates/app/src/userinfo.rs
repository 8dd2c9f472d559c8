//! Userinfo (OpenID Connect Core, 5.3): what the bearer's client may know of the bearer.

use domain::answer::SignedAnswer;
use domain::client::Client;
use domain::openid;
use domain::scope::Scope;
use domain::tenant::Tenant;
use serde_json::{Map, Value, json};

use crate::access::{AccessDenied, ShownToken, signed_in};
use crate::ctx::Ctx;
use crate::keys::sign_answer;

/// What is told, in the way that the client has registered for.
#[derive(Debug)]
pub enum Userinfo {
    Plain(Map<String, Value>),
    /// A JWT (OpenID Connect Core, 5.3.2).
    Signed(String),
}

/// The claims, `sub` first of all; and whose token it is.
///
/// # Errors
/// See [`AccessDenied`]; the token needs the scope `openid`.
pub async fn userinfo(ctx: &Ctx, tenant: &Tenant, token: Option<&ShownToken<'_>>) -> Result<(Client, Userinfo), AccessDenied> {
    let who = signed_in(ctx, tenant, token, Scope::OPENID).await?;
    let wishes = who.session.sign_on.map(|sign_on| sign_on.claims).unwrap_or_default();
    let mut claims = openid::userinfo(tenant, &who.client.id, &who.user, &who.claims.scope, &wishes).claims;
    claims.insert("sub".to_owned(), json!(who.claims.sub));
    if who.client.settings.userinfo_signed_response_alg.is_none() {
        return Ok((who.client, Userinfo::Plain(claims)));
    }
    claims.insert("iss".to_owned(), json!(tenant.issuer(&ctx.base_url)));
    claims.insert("aud".to_owned(), json!(who.client.id));
    let signed = sign_answer(ctx, tenant.id, &who.client, SignedAnswer::Userinfo, claims).await?;
    Ok((who.client, Userinfo::Signed(signed)))
}
