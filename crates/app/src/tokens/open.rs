//! What a user has granted on our pages becomes a session of the client: the last phase of every grant that begins with one.

use std::sync::Arc;

use domain::audit::AuditRecord;
use domain::client::{AuthMethod, Client};
use domain::details::AuthorizationDetails;
use domain::ids::{FamilyId, UserId};
use domain::resource::{ResourceSet, Target};
use domain::scope::Scope;
use domain::sso::SignOn;
use domain::tenant::Tenant;
use domain::token::claims::Confirmation;
use domain::token::family::{Binding, RefreshFamily};
use domain::user::User;

use crate::ctx::{Ctx, Origin};
use crate::fault::Fault;
use crate::keys::signer_for;
use crate::login::begin_family;
use crate::ports::keys::TokenSigner;
use crate::ports::store::{StoreError, TenantTx};
use crate::tokens::issue::{Issue, IssuedTokens, issue};

/// What was granted.
pub(crate) struct Granted {
    pub user: User,
    pub family_id: FamilyId,
    /// The session, where it has begun before: with a token beside the code.
    pub begun: Option<RefreshFamily>,
    pub scope: Scope,
    pub resources: ResourceSet,
    /// What of them the first tokens are for.
    pub target: Target,
    pub details: AuthorizationDetails,
    /// What of these the first access token says.
    pub first_details: AuthorizationDetails,
    pub nonce: Option<String>,
    pub sign_on: SignOn,
    /// What was proved with it.
    pub proved: Option<Confirmation>,
}

/// The user, if what they granted still stands: they may log in, by the password they proved, and the session it was granted in has not
/// ended.
pub(crate) async fn standing(tx: &mut dyn TenantTx, user_id: UserId, sign_on: &SignOn) -> Result<Option<User>, StoreError> {
    let user = tx.user_by_id(user_id).await?.filter(|user| user.may_log_in().is_ok());
    // Who changed the password meanwhile has not proved anything with the new one.
    let user = user.filter(|user| user.password_changed_at <= sign_on.authentication.at);
    Ok(if user.is_some() && tx.sso_is_there(user_id, sign_on.session_id).await? { user } else { None })
}

/// Opens the session, writes `record` beside it, makes both durable and signs the first tokens.
#[expect(clippy::too_many_arguments, reason = "the second half of a flow, split where it is the same for all grants")]
pub(crate) async fn open(
    ctx: &Ctx,
    tenant: &Tenant,
    client: &Client,
    granted: Granted,
    mut tx: Box<dyn TenantTx>,
    signer: Arc<dyn TokenSigner>,
    record: &AuditRecord,
    origin: &Origin,
) -> Result<IssuedTokens, Fault> {
    let Granted { user, family_id, begun, scope, resources, target, details, first_details, nonce, sign_on, proved } = granted;
    let ring = tx.ring().await?.ok_or_else(|| Fault::Broken("the tenant has no key ring".to_owned()))?;
    // A client that proves itself is bound by that, and may change its key or certificate (RFC 9449, 5; RFC 8705, 7.1).
    let is_public = client.settings.token_endpoint_auth_method == AuthMethod::None;
    let binding = proved.filter(|_| is_public).map_or(Binding::Bearer, Binding::from);
    let family = match begun {
        // Its first refresh token comes now: the one beside the code was no refresh token, and says itself what it is bound to.
        Some(family) if family.binding == binding => family,
        Some(family) => {
            tx.family_bind(family.id, binding).await?;
            RefreshFamily { binding, ..family }
        }
        None => {
            let begun = begin_family(ctx, tenant, user.id, client.id.clone(), scope.clone(), binding, Some(sign_on), origin);
            let family = RefreshFamily { id: family_id, resources, details, ..begun };
            tx.family_insert(&family).await?;
            family
        }
    };
    tx.audit_append(record).await?;
    tx.commit().await?;
    // The ring may have moved on since the snapshot was made: sign with what the row says.
    let signer = if signer.generation() >= ring.generation { signer } else { signer_for(ctx, tenant.id, client, ring.generation).await? };
    let (cnf, now) = (proved, ctx.now());
    issue(ctx, Issue { tenant, client, user: &user, family: &family, scope, target, details: first_details, nonce, cnf, signer, now }).await
}
