//! Where the truth is kept.
//!
//! A transaction always belongs to one tenant ([`Store::begin`]): no method here takes a tenant id, so one without a tenant
//! cannot be written. Work across tenants ([`PlatformTx`]) sees no user data. Dropping a transaction rolls it back.
//!
//! To add a method: put it into the narrow trait it belongs to, implement it in `storage`,
//! and add its two-tenant case to `testkit::conformance`.

use std::ops::Range;

use async_trait::async_trait;
use domain::audit::AuditRecord;
use domain::branding::{Appearance, Branding, Logo};
use domain::client::{Client, ClientId};
use domain::guess::{GuessCounter, GuessScope};
use domain::host::HostName;
use domain::ids::{BackchannelRequestId, EventId, FamilyId, MailId, TenantId, UserId};
use domain::keys::ring::KeyRing;
use domain::keys::verifier::Sighting;
use domain::secret::Secret;
use domain::tenant::Tenant;
use domain::text::{LoginName, Slug};
use domain::time::{Timestamp, Ttl};
use domain::token::family::{Binding, RefreshFamily, Revocation};
use domain::user::User;
use transparency::tree::{Hash, Node};

pub use crate::ports::custody::{
    CustodyStore, Destroyed, FirstFormatSecret, KekUse, KeyOwner, OwnedDataKey, Retirement, SealedDataKey, SealedSecret, SecretStore,
};
pub use crate::ports::provider::{
    AuthorizationStore, BackchannelStore, ClientStore, CodeUse, Consent, ConsentStore, DeviceStore, LogoutNotice, LogoutStore, MailStore,
    OnceStore, PendingRequest, RegistrationStore, ResourceStore, SsoStore, TrustedIssuerStore,
};
use crate::tokens::judgement::{Judgement, RefreshAttempt};

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// Something with the same unique name exists, or the row is no longer what it was.
    #[error("conflict")]
    Conflict,
    /// The database is away, too slow or full.
    #[error("the database is unavailable: {0}")]
    Unavailable(String),
    /// A row does not hold what it must.
    #[error("corrupt row in {table}.{column}: {row}")]
    Corrupt { table: &'static str, column: &'static str, row: String },
    /// A row holds a document that only programs of this level may use, which is above ours: a later release runs beside this one.
    #[error("an upgrade is under way: {table}.{column} of {row} needs a program of level {needs}")]
    Newer { table: &'static str, column: &'static str, row: String, needs: u32 },
}

pub type Stored<T> = Result<T, StoreError>;

/// The door to the database.
#[async_trait]
pub trait Store: Send + Sync {
    /// Begins a transaction that can see and change one tenant only. Takes the write lock on SQLite: keep it short.
    async fn begin(&self, tenant: TenantId) -> Stored<Box<dyn TenantTx>>;
    /// Like [`Store::begin`], for reading only: never waits for a writer on SQLite.
    async fn begin_read(&self, tenant: TenantId) -> Stored<Box<dyn TenantTx>>;
    /// Begins a transaction for work across tenants.
    async fn begin_platform(&self) -> Stored<Box<dyn PlatformTx>>;
    /// One whole refresh in one durable commit: reads the family, its user, its tenant and the ring's generation, asks
    /// [`crate::tokens::judgement::judge`], writes what it says and commits, on every arm. `None`: no such family.
    /// Concurrent attempts on one family are judged one after the other.
    async fn refresh(&self, tenant: TenantId, attempt: RefreshAttempt) -> Stored<Option<Judgement>>;
    /// A client as it is now. Those who ask at the same time may share a read.
    async fn client(&self, tenant: TenantId, id: &ClientId) -> Stored<Option<Client>> {
        self.begin_read(tenant).await?.client_by_id(id).await
    }
    /// What a token of `client` and `session` stands on. Each part of it is read after it was asked for, not all at one moment. Those who ask at the
    /// same time may share a read.
    async fn grounds(&self, tenant: TenantId, client: Option<&ClientId>, session: Option<FamilyId>) -> Stored<Grounds> {
        let mut tx = self.begin_read(tenant).await?;
        let client = match client {
            Some(id) => tx.client_by_id(id).await?,
            None => None,
        };
        let family = match session {
            Some(id) => tx.family_by_id(id).await?,
            None => None,
        };
        let session = match family {
            Some(family) => Some((family.clone(), tx.user_by_id(family.user_id).await?)),
            None => None,
        };
        Ok(Grounds { tenant: tx.tenant().await?, client, session })
    }
    /// Stores new tenants, each with its first keys and users, in one durable commit. `Conflict`, and nothing is stored, when
    /// anything of any of them is taken.
    async fn tenants_insert(&self, tenants: &[NewTenant]) -> Stored<()>;
    /// Whether the database answers. Waits at most a second.
    async fn ping(&self) -> Stored<()>;
}

/// What a token stands on; `None` for what there is not.
#[derive(Debug, Clone, PartialEq)]
pub struct Grounds {
    pub tenant: Option<Tenant>,
    pub client: Option<Client>,
    /// The session, and its user.
    pub session: Option<(RefreshFamily, Option<User>)>,
}

/// A new tenant with all that it begins with.
#[derive(Debug, Clone)]
pub struct NewTenant {
    pub tenant: Tenant,
    pub data_key: SealedDataKey,
    /// Its first ring.
    pub ring: RingChange,
    /// Users, with the hashes of their passwords.
    pub users: Vec<(User, Option<Secret<String>>)>,
    pub audit: Vec<AuditRecord>,
}

/// All that one tenant owns, inside one transaction.
#[async_trait]
pub trait TenantTx:
    TenantStore
    + BrandingStore
    + UserStore
    + FamilyStore
    + RingStore
    + KeyLogStore
    + SecretStore
    + VerifierStore
    + GuessStore
    + AuditStore
    + ClientStore
    + AuthorizationStore
    + DeviceStore
    + SsoStore
    + ConsentStore
    + LogoutStore
    + MailStore
    + OnceStore
    + RegistrationStore
    + ResourceStore
    + BackchannelStore
    + TrustedIssuerStore
    + Send
{
    fn tenant_id(&self) -> TenantId;
    /// Makes everything durable that was written, or nothing; in a transaction that only read, what it read, so that it may be sworn to.
    async fn commit(self: Box<Self>) -> Stored<()>;
}

/// The tenant's own row.
#[async_trait]
pub trait TenantStore: Send {
    /// `Conflict` when the slug is taken.
    async fn tenant_insert(&mut self, tenant: &Tenant) -> Stored<()>;
    /// `None` when it was deleted, too. In a transaction that may write, nobody deletes it until the transaction ends.
    async fn tenant(&mut self) -> Stored<Option<Tenant>>;
    /// The tenant to change next: nobody else changes or deletes it until the transaction ends.
    async fn tenant_locked(&mut self) -> Stored<Option<Tenant>>;
    /// Replaces everything but the id and the slug. `Conflict` when there is no such tenant, or no more.
    async fn tenant_update(&mut self, tenant: &Tenant) -> Stored<()>;
    /// From the commit on, nobody finds the tenant: not by id or slug, and not with a refresh token. Its keys are destroyed, the
    /// data key first: what is left of its secrets anywhere is noise from then on. What else it owns goes by
    /// [`Self::tenant_erase`], and its slug stays taken until then. `Conflict` as for update.
    async fn tenant_delete(&mut self, at: Timestamp) -> Stored<Destroyed>;
    /// Keeps the certificate of this tenant's deletion for good.
    async fn deletion_certify(&mut self, certificate: &str, at: Timestamp) -> Stored<()>;
    /// Removes up to `limit` rows of what a deleted tenant still owns, its own row last, but not its audit log, the kids that
    /// must never be used again and the certificate of its deletion. Answers whether nothing is left. Callers take turns.
    async fn tenant_erase(&mut self, limit: u32) -> Stored<bool>;
}

/// How the tenant's pages look. Whoever writes holds the tenant's row ([`TenantStore::tenant_locked`]).
#[async_trait]
pub trait BrandingStore: Send {
    /// The default where the tenant never said anything. Does not read the logo's bytes.
    async fn branding(&mut self) -> Stored<Appearance>;
    /// Replaces the branding and keeps the logo.
    async fn branding_set(&mut self, branding: &Branding) -> Stored<()>;
    async fn logo(&mut self) -> Stored<Option<Logo>>;
    /// Replaces the logo, or takes it away, and keeps the branding.
    async fn logo_set(&mut self, logo: Option<&Logo>) -> Stored<()>;
}

/// A user with the password's hash, if there is one: for whoever checks passwords, and nobody else.
#[derive(Debug, Clone)]
pub struct Account {
    pub user: User,
    pub phc: Option<Secret<String>>,
}

#[async_trait]
pub trait UserStore: Send {
    /// `Conflict` when the username or e-mail address is taken in this tenant. `phc` is the password's hash, if there is one.
    async fn user_insert(&mut self, user: &User, phc: Option<&Secret<String>>) -> Stored<()>;
    /// In a transaction that may write, the user's row stays locked until it ends.
    async fn user_by_id(&mut self, id: UserId) -> Stored<Option<User>>;
    async fn account_by_login(&mut self, name: &LoginName) -> Stored<Option<Account>>;
    /// Locks like [`Self::user_by_id`].
    async fn account_by_id(&mut self, id: UserId) -> Stored<Option<Account>>;
    /// Replaces everything but the id and the hash. `Conflict` as for insert.
    async fn user_update(&mut self, user: &User) -> Stored<()>;
    /// Removes the user with its hash, families, known sources, sessions, consents and what it was asked for. Answers whether there was one.
    async fn user_delete(&mut self, id: UserId) -> Stored<bool>;
    /// Users in the order of their ids, after `after`.
    async fn users_page(&mut self, after: Option<UserId>, limit: u32) -> Stored<Vec<User>>;
    async fn password_hash_set(&mut self, id: UserId, phc: &Secret<String>) -> Stored<()>;
}

#[async_trait]
pub trait FamilyStore: Send {
    async fn family_insert(&mut self, family: &RefreshFamily) -> Stored<()>;
    async fn family_by_id(&mut self, id: FamilyId) -> Stored<Option<RefreshFamily>>;
    /// From now on its tokens are tied to `binding`. One that is revoked stays as it is.
    async fn family_bind(&mut self, id: FamilyId, binding: Binding) -> Stored<()>;
    /// The user's families that are neither revoked nor ended at `now`, newest first.
    async fn families_live(&mut self, user: UserId, now: Timestamp) -> Stored<Vec<RefreshFamily>>;
    /// Answers whether it was live until now. A revoked family stays as it was revoked first.
    async fn family_revoke(&mut self, id: FamilyId, revocation: Revocation) -> Stored<bool>;
    /// When the last of the tenant's families ends at the latest, whatever happens; `None` when none is left.
    /// Revoked ones do not count.
    async fn families_last_end(&mut self) -> Stored<Option<Timestamp>>;
    /// How many that are not revoked were opened or rotated last after `after` and not after `until`.
    async fn families_moved(&mut self, after: Timestamp, until: Timestamp) -> Stored<u64>;
    /// Revokes all that are not revoked yet; answers how many.
    async fn families_revoke(&mut self, user: UserId, revocation: Revocation) -> Stored<u64>;
    /// Revokes up to `limit` families, of whatever user, that were opened before `before` and are not revoked yet; answers how many.
    async fn families_revoke_opened(&mut self, before: Timestamp, revocation: Revocation, limit: u32) -> Stored<u64>;
}

/// A change of a ring, as one write.
#[derive(Debug, Clone)]
pub struct RingChange {
    /// The new ring; its generation is one more than the stored one.
    pub ring: KeyRing,
    pub next_due_at: Option<Timestamp>,
    /// Private halves and token secrets that are new.
    pub new_secrets: Vec<SealedSecret>,
    /// Names of secrets that are destroyed.
    pub destroyed: Vec<String>,
    /// What the key log grows by.
    pub log: Option<LogGrowth>,
}

/// A tenant's key log at its end: all that is needed to append to it, and what is shown of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogTip {
    pub size: u64,
    /// The bytes of a [`transparency::tree::Frontier`] of that size.
    pub frontier: Vec<u8>,
    /// Whose signature the checkpoint carries: a [`transparency::note::Vkey`].
    pub vkey: String,
    /// The signed checkpoint, as it is served.
    pub checkpoint: String,
}

/// Entries that come to a tenant's key log, with everything that follows from them. None where its end is only signed under another name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogGrowth {
    /// The log after it.
    pub tip: LogTip,
    /// The last `entries.len()` of `tip.size` entries, each of at most 65,535 bytes.
    pub entries: Vec<Vec<u8>>,
    pub hashes: Vec<(Node, Hash)>,
}

impl LogGrowth {
    /// The size of the log before it.
    pub fn begins_at(&self) -> u64 {
        self.tip.size - self.entries.len() as u64
    }
}

#[async_trait]
pub trait RingStore: Send {
    /// The first ring of a new tenant (`change.ring.generation` is 1), with its data key and its log. `Conflict` when a kid was ever used before.
    async fn ring_insert(&mut self, data_key: &SealedDataKey, change: &RingChange) -> Stored<()>;
    async fn ring(&mut self) -> Stored<Option<KeyRing>>;
    /// Writes the ring if the stored generation is still `change.ring.generation - 1`; claims the new kids for ever, appends to
    /// the key log and leaves a notice for other nodes. `Conflict` otherwise, when a kid was ever used before, or when the log
    /// has another size than the one that `change.log` begins at.
    async fn ring_replace(&mut self, change: &RingChange) -> Stored<()>;
    /// The ring is due at this moment, or earlier if it was to be anyway.
    async fn ring_due(&mut self, at: Timestamp) -> Stored<()>;
}

/// The public log of a tenant's keys. It grows with the ring alone: [`RingStore::ring_insert`] and [`RingStore::ring_replace`].
#[async_trait]
pub trait KeyLogStore: Send {
    /// `None` when the tenant has no log yet.
    async fn key_log_tip(&mut self) -> Stored<Option<LogTip>>;
    /// Entries of this range, in order, as far as they are there.
    async fn key_log_entries(&mut self, range: Range<u64>) -> Stored<Vec<Vec<u8>>>;
    /// Stored hashes of one level, in order, as far as they are there.
    async fn key_log_hashes(&mut self, level: u8, range: Range<u64>) -> Stored<Vec<Hash>>;
}

/// Who fetches the tenant's JWKS. Written by [`PlatformTx::verifiers_merge`].
#[async_trait]
pub trait VerifierStore: Send {
    /// All that are remembered, whoever fetched last first.
    async fn verifiers(&mut self) -> Stored<Vec<Sighting>>;
}

/// A key for a counter: a keyed hash or an id, never an address or a name in clear.
pub type GuessSubject = [u8; 32];

#[async_trait]
pub trait GuessStore: Send {
    /// The counters in the order asked for, locked until the transaction ends, so that parallel attempts are counted one after the
    /// other. Whoever asks for the same ones asks in the same order.
    async fn guess_counters(&mut self, asked: &[(GuessScope, GuessSubject)]) -> Stored<Vec<GuessCounter>>;
    async fn guess_counters_set(&mut self, counters: &[(GuessScope, GuessSubject, GuessCounter)], now: Timestamp) -> Stored<()>;
    async fn guess_counter_clear(&mut self, scope: GuessScope, subject: &GuessSubject) -> Stored<()>;
    /// One attempt less, where there is one.
    async fn guess_forgive(&mut self, scope: GuessScope, subject: &GuessSubject) -> Stored<()>;
    /// When the user last logged in from there, as far as that was remembered.
    async fn source_seen(&mut self, user: UserId, source: &GuessSubject) -> Stored<Option<Timestamp>>;
    /// Whether any place of this user was remembered.
    async fn source_is_any(&mut self, user: UserId) -> Stored<bool>;
    async fn source_remember(&mut self, user: UserId, source: &GuessSubject, now: Timestamp) -> Stored<()>;
}

#[async_trait]
pub trait AuditStore: Send {
    async fn audit_append(&mut self, record: &AuditRecord) -> Stored<()>;
    /// Newest first, before `before`.
    async fn audit_page(&mut self, before: Option<EventId>, limit: u32) -> Stored<Vec<AuditRecord>>;
}

/// A ring that is due, or has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RingMark {
    pub tenant_id: TenantId,
    pub generation: u64,
}

/// What is of no use any more some time after it was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leftover {
    /// Families past their end, idle or absolute.
    Families,
    /// Guess counters that nobody has touched.
    GuessCounters,
    /// Places that a user has not logged in from.
    KnownSources,
    /// Records of the audit log, also those of tenants that are gone.
    AuditEvents,
    /// Verifiers that do not fetch any more.
    Verifiers,
    /// Authorization requests that nobody finished.
    PendingRequests,
    /// Codes past their end, used or not.
    AuthorizationCodes,
    /// Devices that nobody signed in.
    DeviceCodes,
    /// What users were asked for behind their backs.
    BackchannelRequests,
    /// Answers that clients were not told of in all the time they had.
    BackchannelPings,
    /// Sessions with the tenant's pages past their end, idle or absolute.
    SsoSessions,
    /// What could be used once, and could not be used any more in any case.
    SpentNames,
    /// Logouts that a client did not take note of in all the time it had.
    LogoutNotices,
    /// Mails that could not be sent in all the time they had.
    Mails,
    /// Links past their end, used or not.
    MailLinks,
    /// Tokens with which no client can be registered any more.
    InitialAccessTokens,
    /// Clients that registered themselves, and that no user has allowed anything in all the time they had.
    UnusedClients,
}

impl Leftover {
    pub const ALL: [Self; 17] = [
        Self::Families,
        Self::GuessCounters,
        Self::KnownSources,
        Self::AuditEvents,
        Self::Verifiers,
        Self::PendingRequests,
        Self::AuthorizationCodes,
        Self::DeviceCodes,
        Self::BackchannelRequests,
        Self::BackchannelPings,
        Self::SsoSessions,
        Self::SpentNames,
        Self::LogoutNotices,
        Self::Mails,
        Self::MailLinks,
        Self::InitialAccessTokens,
        Self::UnusedClients,
    ];

    /// The table it lies in.
    pub const fn table(self) -> &'static str {
        match self {
            Self::Families => "refresh_families",
            Self::GuessCounters => "guess_counters",
            Self::KnownSources => "known_sources",
            Self::AuditEvents => "audit_events",
            Self::Verifiers => "jwks_verifiers",
            Self::PendingRequests => "authorization_requests",
            Self::AuthorizationCodes => "authorization_codes",
            Self::DeviceCodes => "device_codes",
            Self::BackchannelRequests => "backchannel_requests",
            Self::BackchannelPings => "backchannel_pings",
            Self::SsoSessions => "sso_sessions",
            Self::SpentNames => "spent_names",
            Self::LogoutNotices => "logout_notices",
            Self::Mails => "mails",
            Self::MailLinks => "mail_links",
            Self::InitialAccessTokens => "initial_access_tokens",
            Self::UnusedClients => "clients",
        }
    }
}

/// Work across tenants. Nothing here shows a user, a family or a secret of a tenant, and a deleted tenant is none.
#[async_trait]
pub trait PlatformTx: CustodyStore + Send {
    async fn tenant_by_slug(&mut self, slug: &Slug) -> Stored<Option<Tenant>>;
    async fn tenant_by_id(&mut self, id: TenantId) -> Stored<Option<Tenant>>;
    async fn tenant_by_domain(&mut self, domain: &HostName) -> Stored<Option<Tenant>>;
    /// Tenants that were deleted but have not been erased yet, those that wait longest first.
    async fn tenants_deleted(&mut self, limit: u32) -> Stored<Vec<TenantId>>;
    /// Tenants in the order of their slugs, after `after`.
    async fn tenants_page(&mut self, after: Option<&Slug>, limit: u32) -> Stored<Vec<Tenant>>;
    /// Tenants whose slug begins with `prefix`, in the order of their slugs, after `after`.
    async fn tenants_by_slug_prefix(&mut self, prefix: &str, after: Option<&Slug>, limit: u32) -> Stored<Vec<Tenant>>;
    /// Tenants whose name's key begins with `prefix`, in the order of these keys and then of the slugs, after `after`.
    async fn tenants_by_name_prefix(&mut self, prefix: &str, after: Option<(&str, &Slug)>, limit: u32) -> Stored<Vec<Tenant>>;
    /// Those of these slugs that a tenant has.
    async fn slugs_known(&mut self, slugs: &[Slug]) -> Stored<Vec<Slug>>;
    /// Claims rings whose `next_due_at` has passed, the longest overdue first, for `lease` in the database's own time: until it
    /// has run out, or the ring was replaced, nobody else is given them. Counts when it is committed.
    async fn rings_claim(&mut self, now: Timestamp, lease: Ttl, limit: u32) -> Stored<Vec<RingMark>>;
    /// The generations of these tenants' rings, for those that still exist.
    async fn ring_generations(&mut self, tenants: &[TenantId]) -> Stored<Vec<RingMark>>;
    /// Up to `limit` logouts that a client is to be told of now, whoever waits longest first. By the database's clock nobody else gets them
    /// until it is time for the next attempt: four seconds later, then four times as long each time.
    async fn logout_notices_claim(&mut self, limit: u32) -> Stored<Vec<(TenantId, FamilyId)>>;
    /// The same for answers that clients are to be told of.
    async fn backchannel_pings_claim(&mut self, limit: u32) -> Stored<Vec<(TenantId, BackchannelRequestId)>>;
    /// The same for mails; the first attempt may take half a minute.
    async fn mails_claim(&mut self, limit: u32) -> Stored<Vec<(TenantId, MailId)>>;
    /// Removes up to `limit` of these that were over before `before`, whosever they are; answers how many.
    async fn sweep(&mut self, what: Leftover, before: Timestamp, limit: u32) -> Stored<u64>;
    /// Adds sightings of verifiers, ordered by tenant and verifier, to what is known of them. A tenant that is not there (any more)
    /// is passed over. Beyond about `most` verifiers of one tenant new ones are added to its [`Others`](domain::keys::verifier::VerifierName::Others).
    async fn verifiers_merge(&mut self, seen: &[(TenantId, Sighting)], most: u32) -> Stored<()>;
    async fn commit(self: Box<Self>) -> Stored<()>;
}
