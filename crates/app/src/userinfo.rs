//! Userinfo (OpenID Connect Core, 5.3): what the bearer's client may know of the bearer.

use domain::openid;
use domain::scope::Scope;
use domain::tenant::Tenant;
use serde_json::{Map, Value, json};

use crate::access::{AccessDenied, ShownToken, signed_in};
use crate::ctx::Ctx;

/// The claims, `sub` first of all.
///
/// # Errors
/// See [`AccessDenied`]; the token needs the scope `openid`.
pub async fn userinfo(ctx: &Ctx, tenant: &Tenant, token: Option<&ShownToken<'_>>) -> Result<Map<String, Value>, AccessDenied> {
    let who = signed_in(ctx, tenant, token, Scope::OPENID).await?;
    let wishes = who.session.sign_on.map(|sign_on| sign_on.claims).unwrap_or_default();
    let mut claims = openid::userinfo(&who.user, &who.claims.scope, &wishes);
    claims.insert("sub".to_owned(), json!(who.user.id));
    Ok(claims)
}
