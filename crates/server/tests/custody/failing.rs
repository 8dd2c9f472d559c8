//! A store that dies at its n-th call, which is what a killed process looks like to the database; or before whose n-th call
//! somebody else acts.
//!
//! Invariant: a call that was counted out has not reached the database, except a commit that is told to have.

use std::ops::Range;
use std::pin::Pin;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use app::ports::store::*;
use app::tokens::judgement::{Judgement, RefreshAttempt};
use async_trait::async_trait;
use domain::audit::AuditRecord;
use domain::authorize::code::CodeGrant;
use domain::backchannel::{BackchannelPing, BackchannelRequest};
use domain::branding::{Appearance, Branding, Logo};
use domain::client::origin::WebOrigin;
use domain::client::registration::InitialAccessToken;
use domain::client::{Client, ClientId};
use domain::consent::Allowed;
use domain::device::DeviceGrant;
use domain::guess::{GuessCounter, GuessScope};
use domain::handle::HandleHash;
use domain::host::HostName;
use domain::ids::{
    BackchannelRequestId, EventId, FamilyId, InitialAccessTokenId, MailId, ResourceId, SsoSessionId, TenantId, TrustedIssuerId, UserId,
};
use domain::interaction::Progress;
use domain::keys::ring::KeyRing;
use domain::keys::verifier::Sighting;
use domain::mail::{MailLink, QueuedMail};
use domain::resource::{Resource, ResourceSet};
use domain::secret::Secret;
use domain::sso::SsoSession;
use domain::tenant::Tenant;
use domain::text::{LoginName, Slug};
use domain::time::{Timestamp, Ttl};
use domain::token::family::{Binding, RefreshFamily, Revocation};
use domain::trusted_issuer::TrustedIssuer;
use domain::user::User;
use transparency::tree::Hash;

/// How often it may be called.
pub(crate) struct Lives {
    left: AtomicU32,
    /// Whether the commit at which it dies is done before.
    dies_after_commit: bool,
    /// What somebody else does, and how many lives are left then.
    act: Mutex<Option<(u32, Act)>>,
}

type Act = Pin<Box<dyn Future<Output = ()> + Send>>;

impl Lives {
    pub(crate) fn new(calls: u32, dies_after_commit: bool) -> Arc<Self> {
        Arc::new(Self { left: AtomicU32::new(calls), dies_after_commit, act: Mutex::new(None) })
    }

    /// It does not die; before its `call`-th call, `act` is done by somebody else.
    pub(crate) fn interrupted(call: u32, act: impl Future<Output = ()> + Send + 'static) -> Arc<Self> {
        Arc::new(Self {
            left: AtomicU32::new(u32::MAX),
            dies_after_commit: false,
            act: Mutex::new(Some((u32::MAX - call + 1, Box::pin(act)))),
        })
    }

    /// Whether it died.
    pub(crate) fn are_over(&self) -> bool {
        self.left.load(Ordering::SeqCst) == 0
    }

    async fn spend(&self) -> Stored<()> {
        let dead = || StoreError::Unavailable("killed by the test".to_owned());
        let left = self.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).map_err(|_| dead())?;
        let act = self.act.lock().expect("not poisoned").take_if(|(at, _)| *at == left);
        if let Some((_, act)) = act {
            act.await;
        }
        if left == 1 { Err(dead()) } else { Ok(()) }
    }
}

pub(crate) struct Failing<S> {
    pub(crate) inner: S,
    pub(crate) lives: Arc<Lives>,
}

#[async_trait]
impl<S: Store> Store for Failing<S> {
    async fn begin(&self, tenant: TenantId) -> Stored<Box<dyn TenantTx>> {
        self.lives.spend().await?;
        Ok(Box::new(Failing { inner: self.inner.begin(tenant).await?, lives: Arc::clone(&self.lives) }))
    }
    async fn begin_read(&self, tenant: TenantId) -> Stored<Box<dyn TenantTx>> {
        self.lives.spend().await?;
        Ok(Box::new(Failing { inner: self.inner.begin_read(tenant).await?, lives: Arc::clone(&self.lives) }))
    }
    async fn begin_platform(&self) -> Stored<Box<dyn PlatformTx>> {
        self.lives.spend().await?;
        Ok(Box::new(Failing { inner: self.inner.begin_platform().await?, lives: Arc::clone(&self.lives) }))
    }
    async fn refresh(&self, tenant: TenantId, attempt: RefreshAttempt) -> Stored<Option<Judgement>> {
        self.lives.spend().await?;
        self.inner.refresh(tenant, attempt).await
    }
    async fn tenants_insert(&self, tenants: &[NewTenant]) -> Stored<()> {
        self.inner.tenants_insert(tenants).await
    }
    async fn ping(&self) -> Stored<()> {
        self.inner.ping().await
    }
}

macro_rules! delegate {
    ($tx:ident: $($trait:ident { $(fn $name:ident($($arg:ident: $ty:ty),*) -> $ret:ty;)* })+) => {
        $(#[async_trait]
        impl $trait for Failing<Box<dyn $tx>> {
            $(async fn $name(&mut self, $($arg: $ty),*) -> Stored<$ret> {
                self.lives.spend().await?;
                self.inner.$name($($arg),*).await
            })*
        })+
    };
}

delegate! { TenantTx:
    TenantStore {
        fn tenant_insert(tenant: &Tenant) -> ();
        fn tenant() -> Option<Tenant>;
        fn tenant_update(tenant: &Tenant) -> ();
        fn tenant_locked() -> Option<Tenant>;
        fn tenant_delete(at: Timestamp) -> Destroyed;
        fn tenant_erase(limit: u32) -> bool;
        fn deletion_certify(certificate: &str, at: Timestamp) -> ();
    }
    UserStore {
        fn user_insert(user: &User, phc: Option<&Secret<String>>) -> ();
        fn user_by_id(id: UserId) -> Option<User>;
        fn account_by_login(name: &LoginName) -> Option<Account>;
        fn account_by_id(id: UserId) -> Option<Account>;
        fn user_update(user: &User) -> ();
        fn user_delete(id: UserId) -> bool;
        fn users_page(after: Option<UserId>, limit: u32) -> Vec<User>;
        fn password_hash_set(id: UserId, phc: &Secret<String>) -> ();
    }
    FamilyStore {
        fn family_insert(family: &RefreshFamily) -> ();
        fn family_by_id(id: FamilyId) -> Option<RefreshFamily>;
        fn family_bind(id: FamilyId, binding: Binding) -> ();
        fn families_live(user: UserId, now: Timestamp) -> Vec<RefreshFamily>;
        fn families_last_end() -> Option<Timestamp>;
        fn families_moved(after: Timestamp, until: Timestamp) -> u64;
        fn family_revoke(id: FamilyId, revocation: Revocation) -> bool;
        fn families_revoke(user: UserId, revocation: Revocation) -> u64;
        fn families_revoke_opened(before: Timestamp, revocation: Revocation, limit: u32) -> u64;
    }
    RingStore {
        fn ring_insert(data_key: &SealedDataKey, change: &RingChange) -> ();
        fn ring() -> Option<KeyRing>;
        fn ring_replace(change: &RingChange) -> ();
        fn ring_due(at: Timestamp) -> ();
    }
    KeyLogStore {
        fn key_log_tip() -> Option<LogTip>;
        fn key_log_entries(range: Range<u64>) -> Vec<Vec<u8>>;
        fn key_log_hashes(level: u8, range: Range<u64>) -> Vec<Hash>;
    }
    SecretStore {
        fn data_key() -> Option<SealedDataKey>;
        fn data_key_insert(data_key: &SealedDataKey) -> ();
        fn data_key_replace(data_key: &SealedDataKey) -> ();
        fn sealed_secrets() -> Vec<SealedSecret>;
        fn secret_insert(secret: &SealedSecret) -> ();
        fn secret_replace(secret: &SealedSecret) -> ();
        fn first_format_secret(name: &str) -> Option<FirstFormatSecret>;
        fn first_format_secret_remove(name: &str) -> bool;
    }
    VerifierStore {
        fn verifiers() -> Vec<Sighting>;
    }
    GuessStore {
        fn guess_counters(asked: &[(GuessScope, GuessSubject)]) -> Vec<GuessCounter>;
        fn guess_counters_set(counters: &[(GuessScope, GuessSubject, GuessCounter)], now: Timestamp) -> ();
        fn guess_counter_clear(scope: GuessScope, subject: &GuessSubject) -> ();
        fn guess_forgive(scope: GuessScope, subject: &GuessSubject) -> ();
        fn source_is_any(user: UserId) -> bool;
        fn source_seen(user: UserId, source: &GuessSubject) -> Option<Timestamp>;
        fn source_remember(user: UserId, source: &GuessSubject, now: Timestamp) -> ();
    }
    AuditStore {
        fn audit_append(record: &AuditRecord) -> ();
        fn audit_page(before: Option<EventId>, limit: u32) -> Vec<AuditRecord>;
    }
    BrandingStore {
        fn branding() -> Appearance;
        fn branding_set(branding: &Branding) -> ();
        fn logo() -> Option<Logo>;
        fn logo_set(logo: Option<&Logo>) -> ();
    }
    ClientStore {
        fn client_insert(client: &Client) -> ();
        fn client_by_id(id: &ClientId) -> Option<Client>;
        fn client_locked(id: &ClientId) -> Option<Client>;
        fn client_update(client: &Client) -> ();
        fn client_delete(id: &ClientId) -> bool;
        fn clients_page(after: Option<&ClientId>, limit: u32) -> Vec<Client>;
        fn clients_with_signs(signs: &[String], after: Option<&ClientId>, most: u32) -> (Vec<Client>, Option<ClientId>);
        fn client_origins(limit: u32) -> Vec<WebOrigin>;
        fn client_origin_is_there(origin: &WebOrigin) -> bool;
    }
    AuthorizationStore {
        fn pending_insert(pending: &PendingRequest) -> ();
        fn pending_by_handle(handle: &HandleHash) -> Option<PendingRequest>;
        fn pending_progress(handle: &HandleHash, progress: Progress) -> ();
        fn pending_delete(handle: &HandleHash) -> bool;
        fn code_insert(code: &HandleHash, grant: &CodeGrant) -> ();
        fn code_use(code: &HandleHash, family_id: FamilyId, now: Timestamp) -> CodeUse;
    }
    DeviceStore {
        fn device_insert(code: &HandleHash, user_code: &[u8; 32], grant: &DeviceGrant) -> ();
        fn device_by_code(code: &HandleHash) -> Option<DeviceGrant>;
        fn device_by_user_code(user_code: &[u8; 32]) -> Option<HandleHash>;
        fn device_update(code: &HandleHash, grant: &DeviceGrant) -> ();
        fn device_delete(code: &HandleHash) -> bool;
    }
    SsoStore {
        fn sso_insert(session: &SsoSession) -> ();
        fn sso_by_handle(handle: &HandleHash) -> Option<SsoSession>;
        fn sso_touch(handle: &HandleHash, idle_expires_at: Timestamp) -> ();
        fn sso_delete(handle: &HandleHash) -> bool;
        fn sso_is_there(user: UserId, id: SsoSessionId) -> bool;
        fn sso_of(user: UserId, now: Timestamp) -> Vec<SsoSession>;
        fn sso_delete_of(user: UserId) -> u64;
        fn sso_delete_begun(before: Timestamp) -> u64;
    }
    ConsentStore {
        fn consent(user: UserId, client: &ClientId) -> Option<Allowed>;
        fn consent_set(user: UserId, client: &ClientId, allowed: &Allowed, now: Timestamp) -> ();
        fn consents_of(user: UserId) -> Vec<Consent>;
        fn consent_delete(user: UserId, client: &ClientId) -> bool;
    }
    OnceStore {
        fn spend(name: &[u8; 32], expires_at: Timestamp) -> bool;
    }
    RegistrationStore {
        fn initial_token_insert(token: &InitialAccessToken) -> ();
        fn initial_token_by_hash(hash: &HandleHash) -> Option<InitialAccessToken>;
        fn initial_token_use(id: InitialAccessTokenId, now: Timestamp) -> bool;
        fn initial_token_delete(id: InitialAccessTokenId) -> bool;
        fn initial_tokens_page(after: Option<InitialAccessTokenId>, limit: u32) -> Vec<InitialAccessToken>;
    }
    ResourceStore {
        fn resource_insert(resource: &Resource) -> ();
        fn resource_by_id(id: ResourceId) -> Option<Resource>;
        fn resource_update(resource: &Resource) -> ();
        fn resource_delete(id: ResourceId) -> bool;
        fn resources_page(after: Option<ResourceId>, limit: u32) -> Vec<Resource>;
        fn resources_named(named: &ResourceSet) -> Vec<Resource>;
    }
    TrustedIssuerStore {
        fn trusted_issuer_insert(issuer: &TrustedIssuer) -> ();
        fn trusted_issuer_by_id(id: TrustedIssuerId) -> Option<TrustedIssuer>;
        fn trusted_issuer_named(issuer: &str) -> Option<TrustedIssuer>;
        fn trusted_issuer_update(issuer: &TrustedIssuer) -> ();
        fn trusted_issuer_delete(id: TrustedIssuerId) -> bool;
        fn trusted_issuers_page(after: Option<TrustedIssuerId>, limit: u32) -> Vec<TrustedIssuer>;
    }
    BackchannelStore {
        fn backchannel_insert(code: &HandleHash, request: &BackchannelRequest) -> ();
        fn backchannel_by_code(code: &HandleHash) -> Option<BackchannelRequest>;
        fn backchannel_of(user: UserId) -> Vec<(HandleHash, BackchannelRequest)>;
        fn backchannel_update(code: &HandleHash, request: &BackchannelRequest) -> ();
        fn backchannel_delete(code: &HandleHash) -> bool;
        fn backchannel_ping_insert(ping: &BackchannelPing) -> ();
        fn backchannel_ping(id: BackchannelRequestId) -> Option<BackchannelPing>;
        fn backchannel_ping_delete(id: BackchannelRequestId) -> bool;
    }
    LogoutStore {
        fn logout_notice_insert(notice: &LogoutNotice) -> ();
        fn logout_notice(family: FamilyId) -> Option<LogoutNotice>;
        fn logout_notice_delete(family: FamilyId) -> bool;
    }
    MailStore {
        fn mail_insert(mail: &QueuedMail) -> ();
        fn mail(id: MailId) -> Option<QueuedMail>;
        fn mail_delete(id: MailId) -> bool;
        fn mail_link_insert(link: &MailLink) -> bool;
        fn mail_link(handle: &HandleHash) -> Option<MailLink>;
        fn mail_link_use(handle: &HandleHash, now: Timestamp) -> bool;
    }
}

delegate! { PlatformTx:
    CustodyStore {
        fn data_keys_page(unless_under: Option<&str>, after: Option<KeyOwner>, limit: u32) -> Vec<OwnedDataKey>;
        fn data_key_rewrap(next: &OwnedDataKey) -> bool;
        fn kek_uses() -> Vec<KekUse>;
        fn kek_retire(kek_id: &str, now: Timestamp) -> Retirement;
        fn deletion_certificate(tenant: TenantId) -> Option<String>;
    }
}

#[async_trait]
impl TenantTx for Failing<Box<dyn TenantTx>> {
    fn tenant_id(&self) -> TenantId {
        self.inner.tenant_id()
    }
    async fn commit(self: Box<Self>) -> Stored<()> {
        let outcome = self.lives.spend().await;
        if outcome.is_ok() || self.lives.dies_after_commit {
            self.inner.commit().await?;
        }
        outcome
    }
}

#[async_trait]
impl PlatformTx for Failing<Box<dyn PlatformTx>> {
    async fn tenant_by_slug(&mut self, slug: &Slug) -> Stored<Option<Tenant>> {
        self.inner.tenant_by_slug(slug).await
    }
    async fn tenant_by_id(&mut self, id: TenantId) -> Stored<Option<Tenant>> {
        self.inner.tenant_by_id(id).await
    }
    async fn tenant_by_domain(&mut self, domain: &HostName) -> Stored<Option<Tenant>> {
        self.inner.tenant_by_domain(domain).await
    }
    async fn tenants_page(&mut self, after: Option<&Slug>, limit: u32) -> Stored<Vec<Tenant>> {
        self.inner.tenants_page(after, limit).await
    }
    async fn tenants_deleted(&mut self, limit: u32) -> Stored<Vec<TenantId>> {
        self.inner.tenants_deleted(limit).await
    }
    async fn rings_claim(&mut self, now: Timestamp, lease: Ttl, limit: u32) -> Stored<Vec<RingMark>> {
        self.inner.rings_claim(now, lease, limit).await
    }
    async fn ring_generations(&mut self, tenants: &[TenantId]) -> Stored<Vec<RingMark>> {
        self.inner.ring_generations(tenants).await
    }
    async fn sweep(&mut self, what: Leftover, before: Timestamp, limit: u32) -> Stored<u64> {
        self.inner.sweep(what, before, limit).await
    }
    async fn tenants_by_slug_prefix(&mut self, prefix: &str, after: Option<&Slug>, limit: u32) -> Stored<Vec<Tenant>> {
        self.inner.tenants_by_slug_prefix(prefix, after, limit).await
    }
    async fn tenants_by_name_prefix(&mut self, prefix: &str, after: Option<(&str, &Slug)>, limit: u32) -> Stored<Vec<Tenant>> {
        self.inner.tenants_by_name_prefix(prefix, after, limit).await
    }
    async fn slugs_known(&mut self, slugs: &[Slug]) -> Stored<Vec<Slug>> {
        self.inner.slugs_known(slugs).await
    }
    async fn logout_notices_claim(&mut self, limit: u32) -> Stored<Vec<(TenantId, FamilyId)>> {
        self.inner.logout_notices_claim(limit).await
    }
    async fn backchannel_pings_claim(&mut self, limit: u32) -> Stored<Vec<(TenantId, BackchannelRequestId)>> {
        self.inner.backchannel_pings_claim(limit).await
    }
    async fn mails_claim(&mut self, limit: u32) -> Stored<Vec<(TenantId, MailId)>> {
        self.inner.mails_claim(limit).await
    }
    async fn verifiers_merge(&mut self, seen: &[(TenantId, Sighting)], most: u32) -> Stored<()> {
        self.inner.verifiers_merge(seen, most).await
    }
    async fn commit(self: Box<Self>) -> Stored<()> {
        let outcome = self.lives.spend().await;
        if outcome.is_ok() || self.lives.dies_after_commit {
            self.inner.commit().await?;
        }
        outcome
    }
}
