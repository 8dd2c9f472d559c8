//! The admin API, `/admin/v1`: one file per resource. What each request may is decided by `app::access`.

pub(crate) mod branding;
pub(crate) mod claims;
pub(crate) mod clients;
pub(crate) mod domains;
pub(crate) mod events;
pub(crate) mod foresight;
pub(crate) mod initial_tokens;
pub(crate) mod keys;
pub(crate) mod resources;
pub(crate) mod tenants;
mod timeline;
pub(crate) mod trusted_issuers;
pub(crate) mod users;

use domain::ids::FamilyId;
use domain::token::family::RefreshFamily;
use serde_json::{Value, json};

/// How a session is shown, to its user and to administrators.
pub(crate) fn session_view(family: &RefreshFamily, own: Option<FamilyId>) -> Value {
    json!({
        "id": family.id, "client_id": family.client_id, "scope": family.scope, "binding": family.binding,
        "created_at": family.created_at, "last_refreshed_at": family.head.rotated_at, "expires_at": family.ends_at(),
        "user_agent": family.user_agent, "source": family.source, "is_current": own == Some(family.id),
    })
}
