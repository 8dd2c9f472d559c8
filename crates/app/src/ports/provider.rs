//! Where the truth about clients, logins on the tenant's pages and what users allowed is kept.

use async_trait::async_trait;
use domain::authorize::AuthorizationRequest;
use domain::authorize::code::CodeGrant;
use domain::backchannel::{BackchannelPing, BackchannelRequest};
use domain::client::origin::WebOrigin;
use domain::client::registration::InitialAccessToken;
use domain::client::{Client, ClientId};
use domain::consent::Allowed;
use domain::device::DeviceGrant;
use domain::handle::HandleHash;
use domain::ids::{BackchannelRequestId, FamilyId, InitialAccessTokenId, MailId, ResourceId, SsoSessionId, TrustedIssuerId, UserId};
use domain::interaction::Progress;
use domain::mail::{MailLink, QueuedMail};
use domain::resource::{Resource, ResourceSet};
use domain::sso::SsoSession;
use domain::time::Timestamp;
use domain::trusted_issuer::TrustedIssuer;

use crate::ports::store::Stored;

#[async_trait]
pub trait ClientStore: Send {
    /// `Conflict` when the id is taken in this tenant.
    async fn client_insert(&mut self, client: &Client) -> Stored<()>;
    async fn client_by_id(&mut self, id: &ClientId) -> Stored<Option<Client>>;
    /// The client to change next: nobody else changes it until the transaction ends.
    async fn client_locked(&mut self, id: &ClientId) -> Stored<Option<Client>>;
    /// Replaces everything but the id. `Conflict` when there is no such client.
    async fn client_update(&mut self, client: &Client) -> Stored<()>;
    /// Removes the client with what users allowed it. Answers whether there was one.
    async fn client_delete(&mut self, id: &ClientId) -> Stored<bool>;
    /// Clients in the order of their ids, after `after`.
    async fn clients_page(&mut self, after: Option<&ClientId>, limit: u32) -> Stored<Vec<Client>>;
    /// Looks at the next `most` clients in the order of their ids, after `after`: those that are active and whose stored settings hold one of
    /// these texts, and after whom to look on; `None` where nobody is left. It finds few among many; whether one is looked for is for the caller
    /// to say.
    async fn clients_with_signs(
        &mut self,
        signs: &[String],
        after: Option<&ClientId>,
        most: u32,
    ) -> Stored<(Vec<Client>, Option<ClientId>)>;
    /// Where clients of the tenant run in browsers ([`Client::origins`]), each once, in their order.
    async fn client_origins(&mut self, limit: u32) -> Stored<Vec<WebOrigin>>;
    /// Whether any client of the tenant runs there.
    async fn client_origin_is_there(&mut self, origin: &WebOrigin) -> Stored<bool>;
}

/// The tenant's APIs. Whoever writes holds the tenant's row ([`crate::ports::store::TenantStore::tenant_locked`]).
#[async_trait]
pub trait ResourceStore: Send {
    /// `Conflict` when the identifier is taken in this tenant.
    async fn resource_insert(&mut self, resource: &Resource) -> Stored<()>;
    async fn resource_by_id(&mut self, id: ResourceId) -> Stored<Option<Resource>>;
    /// Replaces everything but the id and the identifier. `Conflict` when there is no such API.
    async fn resource_update(&mut self, resource: &Resource) -> Stored<()>;
    /// Answers whether it was there.
    async fn resource_delete(&mut self, id: ResourceId) -> Stored<bool>;
    /// APIs in the order of their ids, after `after`.
    async fn resources_page(&mut self, after: Option<ResourceId>, limit: u32) -> Stored<Vec<Resource>>;
    /// Those of these that there are, in the order of their identifiers.
    async fn resources_named(&mut self, named: &ResourceSet) -> Stored<Vec<Resource>>;
}

/// Issuers of others that the tenant trusts. Whoever writes holds the tenant's row ([`crate::ports::store::TenantStore::tenant_locked`]).
#[async_trait]
pub trait TrustedIssuerStore: Send {
    /// `Conflict` when the tenant has one of this `iss`.
    async fn trusted_issuer_insert(&mut self, issuer: &TrustedIssuer) -> Stored<()>;
    async fn trusted_issuer_by_id(&mut self, id: TrustedIssuerId) -> Stored<Option<TrustedIssuer>>;
    /// The one with this `iss`, byte for byte.
    async fn trusted_issuer_named(&mut self, issuer: &str) -> Stored<Option<TrustedIssuer>>;
    /// Replaces everything but the id and the `iss`. `Conflict` when there is no such issuer.
    async fn trusted_issuer_update(&mut self, issuer: &TrustedIssuer) -> Stored<()>;
    /// Answers whether it was there.
    async fn trusted_issuer_delete(&mut self, id: TrustedIssuerId) -> Stored<bool>;
    /// Issuers in the order of their ids, after `after`.
    async fn trusted_issuers_page(&mut self, after: Option<TrustedIssuerId>, limit: u32) -> Stored<Vec<TrustedIssuer>>;
}

/// Tokens with which clients may be registered.
#[async_trait]
pub trait RegistrationStore: Send {
    async fn initial_token_insert(&mut self, token: &InitialAccessToken) -> Stored<()>;
    async fn initial_token_by_hash(&mut self, hash: &HandleHash) -> Stored<Option<InitialAccessToken>>;
    /// Uses it once more. Of all who do, on whatever node, as many hear `true` as it has uses; after its end nobody.
    async fn initial_token_use(&mut self, id: InitialAccessTokenId, now: Timestamp) -> Stored<bool>;
    /// Answers whether it was there.
    async fn initial_token_delete(&mut self, id: InitialAccessTokenId) -> Stored<bool>;
    /// Tokens in the order of their ids, after `after`.
    async fn initial_tokens_page(&mut self, after: Option<InitialAccessTokenId>, limit: u32) -> Stored<Vec<InitialAccessToken>>;
}

/// An authorization request that waits for its user, in one browser.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PendingRequest {
    pub handle: HandleHash,
    pub browser: HandleHash,
    pub request: AuthorizationRequest,
    pub progress: Progress,
    pub expires_at: Timestamp,
}

/// What became of a code that was presented.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CodeUse {
    /// It is used from now on.
    First(Box<CodeGrant>),
    /// It was used before, and this family began with it.
    Again {
        family_id: FamilyId,
    },
    Unknown,
}

#[async_trait]
pub trait AuthorizationStore: Send {
    async fn pending_insert(&mut self, pending: &PendingRequest) -> Stored<()>;
    /// In a transaction that may write, its row stays locked until it ends.
    async fn pending_by_handle(&mut self, handle: &HandleHash) -> Stored<Option<PendingRequest>>;
    /// Writes the progress of one that is there.
    async fn pending_progress(&mut self, handle: &HandleHash, progress: Progress) -> Stored<()>;
    /// Answers whether it was there: of many that finish the same request, exactly one is told so.
    async fn pending_delete(&mut self, handle: &HandleHash) -> Stored<bool>;
    async fn code_insert(&mut self, code: &HandleHash, grant: &CodeGrant) -> Stored<()>;
    /// Uses a code up, for the family that will begin with it, unless its grant names one. Of many that present the same code exactly one is first.
    async fn code_use(&mut self, code: &HandleHash, family_id: FamilyId, now: Timestamp) -> Stored<CodeUse>;
}

/// What devices ask for, under the hash of what they poll with.
#[async_trait]
pub trait DeviceStore: Send {
    /// `user_code` is a keyed hash of what the user types. `Conflict` when it is taken in this tenant.
    async fn device_insert(&mut self, code: &HandleHash, user_code: &[u8; 32], grant: &DeviceGrant) -> Stored<()>;
    /// In a transaction that may write, its row stays locked until it ends: of many that poll at once each sees what the one before did.
    async fn device_by_code(&mut self, code: &HandleHash) -> Stored<Option<DeviceGrant>>;
    /// Which device shows this code. Locks nothing.
    async fn device_by_user_code(&mut self, user_code: &[u8; 32]) -> Stored<Option<HandleHash>>;
    /// Replaces what is kept of one that is there; its end stays.
    async fn device_update(&mut self, code: &HandleHash, grant: &DeviceGrant) -> Stored<()>;
    /// Answers whether it was there.
    async fn device_delete(&mut self, code: &HandleHash) -> Stored<bool>;
}

/// What clients ask users for behind their backs, under the hash of what they poll with.
#[async_trait]
pub trait BackchannelStore: Send {
    async fn backchannel_insert(&mut self, code: &HandleHash, request: &BackchannelRequest) -> Stored<()>;
    /// In a transaction that may write, its row stays locked until it ends: of many that poll or answer at once each sees what the one
    /// before did.
    async fn backchannel_by_code(&mut self, code: &HandleHash) -> Stored<Option<BackchannelRequest>>;
    /// What this user was asked for, as far as it is there, in no order. Locks nothing.
    async fn backchannel_of(&mut self, user: UserId) -> Stored<Vec<(HandleHash, BackchannelRequest)>>;
    /// Replaces what is kept of one that is there; its end and its user stay.
    async fn backchannel_update(&mut self, code: &HandleHash, request: &BackchannelRequest) -> Stored<()>;
    /// Answers whether it was there.
    async fn backchannel_delete(&mut self, code: &HandleHash) -> Stored<bool>;
    /// Due at once; claimed by [`crate::ports::store::PlatformTx::backchannel_pings_claim`]. A second one of the same request changes
    /// nothing.
    async fn backchannel_ping_insert(&mut self, ping: &BackchannelPing) -> Stored<()>;
    async fn backchannel_ping(&mut self, id: BackchannelRequestId) -> Stored<Option<BackchannelPing>>;
    /// Answers whether it was there.
    async fn backchannel_ping_delete(&mut self, id: BackchannelRequestId) -> Stored<bool>;
}

#[async_trait]
pub trait SsoStore: Send {
    async fn sso_insert(&mut self, session: &SsoSession) -> Stored<()>;
    async fn sso_by_handle(&mut self, handle: &HandleHash) -> Stored<Option<SsoSession>>;
    /// Moves the end on: somebody came.
    async fn sso_touch(&mut self, handle: &HandleHash, idle_expires_at: Timestamp) -> Stored<()>;
    /// Answers whether it was there.
    async fn sso_delete(&mut self, handle: &HandleHash) -> Stored<bool>;
    /// Whether this user's session is there, under whatever handle.
    async fn sso_is_there(&mut self, user: UserId, id: SsoSessionId) -> Stored<bool>;
    /// The user's sessions that have not ended at `now`, newest first.
    async fn sso_of(&mut self, user: UserId, now: Timestamp) -> Stored<Vec<SsoSession>>;
    /// Removes all sessions of this user; answers how many.
    async fn sso_delete_of(&mut self, user: UserId) -> Stored<u64>;
    /// Removes the sessions, whosever they are, whose last login was before `before`; answers how many.
    async fn sso_delete_begun(&mut self, before: Timestamp) -> Stored<u64>;
}

/// What a user allowed one client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Consent {
    pub client_id: ClientId,
    pub allowed: Allowed,
    pub granted_at: Timestamp,
}

/// What a user has allowed a client.
#[async_trait]
pub trait ConsentStore: Send {
    async fn consent(&mut self, user: UserId, client: &ClientId) -> Stored<Option<Allowed>>;
    /// Replaces what was allowed before.
    async fn consent_set(&mut self, user: UserId, client: &ClientId, allowed: &Allowed, now: Timestamp) -> Stored<()>;
    /// All that this user allowed, in the order of the clients' ids.
    async fn consents_of(&mut self, user: UserId) -> Stored<Vec<Consent>>;
    /// Answers whether there was one.
    async fn consent_delete(&mut self, user: UserId, client: &ClientId) -> Stored<bool>;
}

/// What may be used once, such as the `jti` of an assertion.
#[async_trait]
pub trait OnceStore: Send {
    /// Remembers this name (a hash) until it is over. Of all who bring the same one, on whatever node, exactly one hears `true`.
    async fn spend(&mut self, name: &[u8; 32], expires_at: Timestamp) -> Stored<bool>;
}

/// A client that is still to be told that its session of a user has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogoutNotice {
    /// The client's session: the `sid` of its ID tokens.
    pub family_id: FamilyId,
    pub client_id: ClientId,
    pub user_id: UserId,
    /// Nobody is told any more after this.
    pub expires_at: Timestamp,
}

/// Mails that wait, and links that were sent. Claimed by [`crate::ports::store::PlatformTx::mails_claim`].
#[async_trait]
pub trait MailStore: Send {
    /// Due at once.
    async fn mail_insert(&mut self, mail: &QueuedMail) -> Stored<()>;
    async fn mail(&mut self, id: MailId) -> Stored<Option<QueuedMail>>;
    /// Answers whether it was there.
    async fn mail_delete(&mut self, id: MailId) -> Stored<bool>;
    /// Answers whether it is new. One that is there already, used or not, stays as it is.
    async fn mail_link_insert(&mut self, link: &MailLink) -> Stored<bool>;
    /// One that was not used yet.
    async fn mail_link(&mut self, handle: &HandleHash) -> Stored<Option<MailLink>>;
    /// Uses it up. Of many that use the same one, exactly one is told that it did.
    async fn mail_link_use(&mut self, handle: &HandleHash, now: Timestamp) -> Stored<bool>;
}

/// Written where the session ends; claimed by [`crate::ports::store::PlatformTx::logout_notices_claim`].
#[async_trait]
pub trait LogoutStore: Send {
    /// Due at once. A second one about the same session changes nothing.
    async fn logout_notice_insert(&mut self, notice: &LogoutNotice) -> Stored<()>;
    async fn logout_notice(&mut self, family: FamilyId) -> Stored<Option<LogoutNotice>>;
    /// Answers whether it was there.
    async fn logout_notice_delete(&mut self, family: FamilyId) -> Stored<bool>;
}
