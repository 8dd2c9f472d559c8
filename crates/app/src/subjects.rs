//! What clients know users by: the user's id, or a pseudonym for the client's sector (OpenID Connect Core, 8).

use domain::client::Client;
use domain::ids::{TenantId, UserId};
use domain::token::claims::Subject;

use crate::ctx::Ctx;
use crate::ports::keys::KeyFault;

/// The `sub` that `client` gets for this user.
pub(crate) async fn subject(ctx: &Ctx, tenant: TenantId, client: &Client, user: UserId) -> Result<Subject, KeyFault> {
    match client.settings.sector() {
        None => Ok(Subject::User(user)),
        Some(sector) => ctx.keys.pseudonym(tenant, &sector, user).await.map(Subject::Pairwise),
    }
}

/// Whom a `sub` names that `client` was given; `None` when it is nobody's.
pub(crate) async fn user(ctx: &Ctx, tenant: TenantId, client: &Client, subject: &Subject) -> Result<Option<UserId>, KeyFault> {
    match (subject, client.settings.sector()) {
        (Subject::User(user), _) => Ok(Some(*user)),
        (Subject::Pairwise(pseudonym), Some(sector)) => ctx.keys.named_by(tenant, &sector, pseudonym).await,
        (Subject::Pairwise(_), None) | (Subject::Client(_), _) => Ok(None),
    }
}

/// The same by the name that `client` itself knows the user by: one with pairwise names knows nobody by an id.
pub(crate) async fn known_as(ctx: &Ctx, tenant: TenantId, client: &Client, subject: &Subject) -> Result<Option<UserId>, KeyFault> {
    let is_other_kind = matches!(subject, Subject::User(_)) && client.settings.sector().is_some();
    if is_other_kind { Ok(None) } else { user(ctx, tenant, client, subject).await }
}
