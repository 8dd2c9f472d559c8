//! Samples of everything that is stored, each different from all others of the process.
//!
//! Invariant: two calls never give the same id, slug, name or kid.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};

use app::ports::store::{
    GuessSubject, LogGrowth, LogTip, LogoutNotice, NewTenant, PendingRequest, RingChange, SealedDataKey, SealedSecret, Store, Stored,
    TenantTx,
};
use app::tokens::judgement::RefreshAttempt;
use domain::audit::{Actor, AuditEvent, AuditRecord};
use domain::authorize::code::CodeGrant;
use domain::authorize::{AcrWish, AuthorizationRequest, ResponseMode, ReturnAddress};
use domain::backchannel::{BackchannelPing, BackchannelRequest, BindingMessage};
use domain::client::metadata::ClientMetadata;
use domain::client::registration::InitialAccessToken;
use domain::client::{Client, ClientId, ClientSecret, ClientStatus, KeptSecret, ResponseType};
use domain::details::AuthorizationDetails;
use domain::device::DeviceGrant;
use domain::guess::{GuessCounter, GuessScope};
use domain::handle::HandleHash;
use domain::ids::{
    BackchannelRequestId, ClientSecretId, DataKeyId, EventId, FamilyId, InitialAccessTokenId, MailId, RegisteredClientId, ResourceId,
    SsoSessionId, TenantId, TrustedIssuerId, UserId,
};
use domain::interaction::Progress;
use domain::keys::policy::RotationNumbers;
use domain::keys::ring::{Alg, KeyRing, Kid, PublicJwk, RingKey, TokenSecretVersion};
use domain::keys::thumbprint::Thumbprint;
use domain::keys::verifier::{Fetch, Sighting, VerifierName};
use domain::language::Language;
use domain::mail::{Content, Letter, MailLink, QueuedMail};
use domain::resource::{Resource, ResourceSet};
use domain::scope::Scope;
use domain::secret::Secret;
use domain::sso::{Authentication, Method, SignOn, SsoSession};
use domain::tenant::{Tenant, TenantPolicy, TenantStatus};
use domain::text::{Email, LoginName};
use domain::time::{Timestamp, Ttl};
use domain::token::family::{Binding, Generation, Head, RefreshFamily};
use domain::trusted_issuer::{TrustedIssuer, TrustedIssuerForm};
use domain::user::{CustomClaims, Roles, User, UserNames, UserStatus};
use transparency::tree::{Frontier, leaf_hash};

/// When all samples were made.
pub const NOW: Timestamp = Timestamp::from_micros(1_795_000_000_123_456);

/// Counts up for the whole process.
pub fn next() -> u64 {
    static COUNTER: AtomicU64 = AtomicU64::new(1);
    COUNTER.fetch_add(1, Ordering::Relaxed)
}

fn chance() -> [u8; 10] {
    let mut bytes = [0; 10];
    bytes[2..].copy_from_slice(&next().to_be_bytes());
    bytes
}

pub fn tenant() -> Tenant {
    Tenant {
        id: TenantId::new(NOW, chance()),
        slug: format!("sample-{:08}", next()).parse().expect("a slug"),
        name: "Sample & Söhne".parse().expect("a name"),
        custom_domain: None,
        status: TenantStatus::Active,
        policy: TenantPolicy::default(),
        created_at: NOW,
        updated_at: NOW,
    }
}

/// An active user of this name, with an address and a role.
pub fn user(username: &str) -> User {
    let email = format!("{username}@Example.com");
    let role = domain::text::Role::ADMIN.parse().expect("a role");
    let claims = serde_json::json!({ "plan": "gold", "org": { "id": 7 } });
    User {
        id: UserId::new(NOW, chance()),
        names: UserNames::new(Some(username.parse().expect("a username")), Some(email.parse().expect("an address"))).expect("names"),
        status: UserStatus::Active,
        roles: Roles::try_from(BTreeSet::from([role])).expect("roles"),
        claims: CustomClaims::try_from(claims.as_object().expect("an object").clone()).expect("claims"),
        created_at: NOW,
        updated_at: NOW,
        password_changed_at: NOW,
        email_verified_at: Some(NOW),
        password_change_required_at: None,
    }
}

pub fn phc() -> Secret<String> {
    Secret::new(format!("$argon2id$v=19$m=8,t=1,p=1$c2FsdHNhbHQ${:043}", next()))
}

/// A family of the user that was opened [`NOW`].
pub fn family(user_id: UserId) -> RefreshFamily {
    RefreshFamily {
        id: FamilyId::new(NOW, chance()),
        user_id,
        client_id: ClientId::first_party(),
        scope: Scope::default_grant(),
        resources: resources(),
        details: details(),
        binding: Binding::Bearer,
        auth_time: NOW,
        head: Head::first(NOW),
        idle_expires_at: NOW.plus(Ttl::days(14)),
        absolute_expires_at: NOW.plus(Ttl::days(90)),
        revoked: None,
        created_at: NOW,
        sign_on: None,
        user_agent: Some("Sample/1.0".to_owned()),
        source: Some("192.0.2.1".to_owned()),
    }
}

/// Details, with what is to be written as it is.
pub fn details() -> AuthorizationDetails {
    domain::details::read(r#"[{"type":"payment","payee":"S\u00fc\"","amount":{"value":"1.50"},"actions":["status"]}]"#).expect("details")
}

/// A hash that no handle has.
pub fn hash() -> HandleHash {
    let mut bytes = [0x5a; 32];
    bytes[..8].copy_from_slice(&next().to_be_bytes());
    HandleHash(bytes)
}

/// A confidential client with one secret.
pub fn client() -> Client {
    let metadata = ClientMetadata {
        client_name: Some("Sample".to_owned()),
        redirect_uris: Some(vec!["https://app.example/cb".to_owned()]),
        ..ClientMetadata::default()
    };
    let secret = ClientSecret { id: ClientSecretId::new(NOW, chance()), kept: KeptSecret::Hash(hash()), created_at: NOW, expires_at: None };
    Client {
        id: RegisteredClientId::new(NOW, chance()).to_string().try_into().expect("a client id"),
        settings: metadata.validated().expect("good metadata"),
        secrets: vec![secret],
        registration: None,
        status: ClientStatus::Active,
        created_at: NOW,
        updated_at: NOW,
    }
}

/// A token with which `uses` clients may be registered, until an hour after [`NOW`].
pub fn initial_access_token(uses: u32) -> InitialAccessToken {
    InitialAccessToken {
        id: InitialAccessTokenId::new(NOW, chance()),
        hash: hash(),
        name: Some("CI".parse().expect("a name")),
        uses_left: uses,
        created_at: NOW,
        expires_at: NOW.plus(Ttl::hours(1)),
    }
}

/// Names of two APIs.
pub fn resources() -> ResourceSet {
    ["https://api.example/v1", "urn:example:orders"].into_iter().map(|uri| uri.parse().expect("a URI")).collect()
}

/// An API of its own name, with everything that one may have.
pub fn resource() -> Resource {
    let number = next();
    let settings = serde_json::json!({
        "name": "Orders", "scope": format!("o{number}:read o{number}:write"), "access_ttl_seconds": 120, "signing_alg": "EdDSA",
        "must_be_named": true, "permissions": { "clerk": ["orders:read"], "boss": ["orders:read", "orders:*"] }, "servers": ["cli_1"],
    });
    Resource {
        id: ResourceId::new(NOW, chance()),
        identifier: format!("https://api{number}.example/").parse().expect("a URI"),
        settings: serde_json::from_value(settings).expect("settings"),
        created_at: NOW,
        updated_at: NOW,
    }
}

/// An issuer of its own name, with everything that one may have.
pub fn trusted_issuer() -> TrustedIssuer {
    let issuer = format!("https://partner{}.example", next());
    let form = serde_json::json!({
        "issuer": issuer, "jwks_uri": format!("{issuer}/jwks"), "signing_algs": ["ES256", "RS256"], "subject_is": "email",
        "subjects": ["alice@acme.example"], "scope": "orders:read", "clients": ["cli_1"],
    });
    let (issuer, settings) = serde_json::from_value::<TrustedIssuerForm>(form).expect("a form").validated().expect("good");
    TrustedIssuer { id: TrustedIssuerId::new(NOW, chance()), issuer, settings, created_at: NOW, updated_at: NOW }
}

/// A request of this client that waits until a quarter of an hour after [`NOW`].
pub fn pending(client: &ClientId) -> PendingRequest {
    let redirect_uri = "https://app.example/cb".to_owned();
    let request = AuthorizationRequest {
        client_id: client.clone(),
        response_type: ResponseType::Code,
        return_to: ReturnAddress { redirect_uri, mode: ResponseMode::Query, state: Some("s\u{fc}\"".to_owned()) },
        scope: "openid email".parse().expect("a scope"),
        resources: resources(),
        details: details(),
        nonce: Some("n".to_owned()),
        code_challenge: None,
        prompt: BTreeSet::new(),
        max_age: Some(Ttl::ZERO),
        login_hint: None,
        users: BTreeSet::new(),
        acr: AcrWish::default(),
        ui_locales: vec!["de-CH".to_owned()],
        claims: "{\"userinfo\":{\"email\":{\"essential\":true}}}".parse().expect("claims"),
        dpop_jkt: Some(thumbprint()),
        pushed: None,
        device: None,
    };
    PendingRequest { handle: hash(), browser: hash(), request, progress: Progress::default(), expires_at: NOW.plus(Ttl::minutes(15)) }
}

/// The thumbprint of some key.
pub fn thumbprint() -> Thumbprint {
    Thumbprint::of(&PublicJwk::OKP { crv: "Ed25519".to_owned(), x: next().to_string() })
}

/// What a code of this client stands for, a minute from [`NOW`].
pub fn code_grant(client: &ClientId, user_id: UserId) -> CodeGrant {
    CodeGrant {
        client_id: client.clone(),
        redirect_uri: Some("https://app.example/cb".to_owned()),
        code_challenge: None,
        user_id,
        scope: "openid".parse().expect("a scope"),
        resources: resources(),
        details: details(),
        nonce: None,
        dpop_jkt: Some(thumbprint()),
        sign_on: sign_on(),
        family_id: None,
        expires_at: NOW.plus(CodeGrant::TTL),
    }
}

/// What a device asked this client's users for, [`NOW`].
pub fn device_grant(client: &ClientId) -> DeviceGrant {
    let asked = DeviceGrant::asked(client.clone(), "openid".parse().expect("a scope"), Some("192.0.2.7".to_owned()), NOW);
    DeviceGrant { resources: resources(), ..asked }
}

/// What this client asked this user for behind their back, [`NOW`].
pub fn backchannel_request(client: &ClientId, user_id: UserId) -> BackchannelRequest {
    let message = BindingMessage::try_from("W4SCT".to_owned()).expect("a message");
    let id = BackchannelRequestId::new(NOW, chance());
    BackchannelRequest::asked(id, user_id, device_grant(client), Some(message), None, NOW)
}

/// What this client is to be told of an answer.
pub fn backchannel_ping(client: &ClientId) -> BackchannelPing {
    let id = BackchannelRequestId::new(NOW, chance());
    BackchannelPing { id, client_id: client.clone(), sealed: "c2VhbGVk".to_owned(), expires_at: NOW.plus(Ttl::minutes(5)) }
}

pub fn sign_on() -> SignOn {
    let authentication = Authentication::by(Method::Password, NOW);
    SignOn { session_id: SsoSessionId::new(NOW, chance()), authentication, claims: domain::openid::ClaimsRequest::default() }
}

/// A session that began [`NOW`].
pub fn sso_session(user_id: UserId) -> SsoSession {
    let begun = SsoSession::begin(SsoSessionId::new(NOW, chance()), hash(), user_id, Authentication::by(Method::Password, NOW));
    SsoSession { user_agent: Some("Mozilla/5.0".to_owned()), source: Some("192.0.2.1".to_owned()), ..begun }
}

/// What the family's client is to be told of its end.
pub fn logout_notice(family: &RefreshFamily) -> LogoutNotice {
    let (family_id, client_id, user_id) = (family.id, family.client_id.clone(), family.user_id);
    LogoutNotice { family_id, client_id, user_id, expires_at: NOW.plus(Ttl::days(1)) }
}

/// What is to be told to this user.
pub fn mail(user: &User) -> QueuedMail {
    let letter = Letter::NewSignIn { address: address(user), user_agent: Some("Mozilla/5.0".to_owned()), place: None, at: NOW };
    let content = Content { letter, language: Some(Language::German) };
    QueuedMail { id: MailId::new(NOW, chance()), user_id: Some(user.id), content, asked_at: NOW, expires_at: NOW.plus(Ttl::days(1)) }
}

/// A link that this user got.
pub fn mail_link(user: &User) -> MailLink {
    MailLink { handle: hash(), user_id: user.id, address: address(user), asked_at: NOW, expires_at: NOW.plus(Ttl::minutes(30)) }
}

fn address(user: &User) -> Email {
    user.names.email().cloned().expect("sample users have addresses")
}

/// An attempt with the family's token of this generation, at `now`.
pub fn attempt(family: FamilyId, generation: Generation, now: Timestamp) -> RefreshAttempt {
    RefreshAttempt {
        family_id: family,
        generation,
        client_id: ClientId::first_party(),
        binding: Binding::Bearer,
        now,
        event_id: EventId::new(now, chance()),
        source: Some("192.0.2.1".to_owned()),
        request_id: None,
    }
}

pub fn audit_record(tenant_id: TenantId) -> AuditRecord {
    AuditRecord {
        id: EventId::new(NOW, chance()),
        tenant_id,
        at: NOW,
        actor: Actor::PlatformAdmin,
        source: None,
        request_id: Some("r-1".to_owned()),
        event: AuditEvent::TenantCreated { slug: "sample".to_owned() },
    }
}

/// A verifier that fetched once.
pub fn sighting(at: Timestamp) -> Sighting {
    let last = Fetch { at, generation: 1, max_age: Ttl::minutes(5) };
    Sighting { verifier: VerifierName::Hashed(u128::from(next())), first_seen: at, last, fetches: 1 }
}

/// A kid that no key has.
pub fn kid() -> Kid {
    format!("{:043}", next()).parse().expect("43 characters")
}

pub fn ring_key(kid: Kid) -> RingKey {
    RingKey {
        kid,
        alg: Alg::ES256,
        public: PublicJwk::EC { crv: "P-256".to_owned(), x: "eA".to_owned(), y: "eQ".to_owned() },
        published_at: NOW,
        sign_from: NOW,
        token_ttl_cap_seconds: Ttl::hours(1),
        superseded: None,
        end: None,
    }
}

/// A ring of generation 1 with one key.
pub fn ring() -> KeyRing {
    KeyRing {
        generation: 1,
        numbers: RotationNumbers::default(),
        keys: vec![ring_key(kid())],
        token_secrets: vec![TokenSecretVersion { version: 1, created_at: NOW, verifies_until: None }],
        older_caches_until: None,
    }
}

/// The next generation of `ring`, with one key more.
pub fn ring_with(ring: &KeyRing, kid: Kid) -> RingChange {
    let mut next = ring.clone();
    next.generation += 1;
    next.keys.push(ring_key(kid.clone()));
    change(next, vec![sealed(kid.as_str())])
}

pub fn change(ring: KeyRing, new_secrets: Vec<SealedSecret>) -> RingChange {
    RingChange { ring, next_due_at: Some(NOW.plus(Ttl::days(1))), new_secrets, destroyed: Vec::new(), log: None }
}

/// So many entries more for a log that ends at `frontier`, which moves on.
pub fn growth(frontier: &mut Frontier, count: usize) -> LogGrowth {
    let entries: Vec<_> = (0..count).map(|_| next().to_be_bytes().to_vec()).collect();
    let hashes = entries.iter().flat_map(|entry| frontier.push(leaf_hash(entry))).collect();
    let tip = LogTip {
        size: frontier.size(),
        frontier: frontier.to_bytes(),
        vkey: "sample.example/log+00000000+AQ==".to_owned(),
        checkpoint: format!("sample.example/log\n{}\n", frontier.size()),
    };
    LogGrowth { tip, entries, hashes }
}

pub fn sealed(name: &str) -> SealedSecret {
    SealedSecret { kind: "sample".to_owned(), name: name.to_owned(), version: 1, sealed: next().to_be_bytes().repeat(6) }
}

pub fn data_key() -> SealedDataKey {
    let id = DataKeyId::new(NOW, chance());
    SealedDataKey { id, version: 1, kek_id: "kek-1".to_owned(), sealed: next().to_be_bytes().repeat(6) }
}

/// A tenant with a ring, a user `alice` and a record, not stored yet.
pub fn new_tenant() -> NewTenant {
    let (tenant, ring) = (tenant(), ring());
    let sealed = vec![sealed(ring.keys[0].kid.as_str()), sealed("token-secret-1")];
    let audit = vec![audit_record(tenant.id)];
    NewTenant { data_key: data_key(), ring: change(ring, sealed), users: vec![(user("alice"), Some(phc()))], audit, tenant }
}

/// A tenant that is stored with a ring, a user `alice` and her family.
#[derive(Debug)]
pub struct Home {
    pub tenant: Tenant,
    pub ring: KeyRing,
    pub data_key: SealedDataKey,
    pub alice: User,
    pub phc: Secret<String>,
    pub family: RefreshFamily,
}

impl Home {
    pub const fn id(&self) -> TenantId {
        self.tenant.id
    }
}

/// Deletes a tenant and erases all that is left of it.
///
/// # Errors
/// Those of the store.
pub async fn gone(store: &dyn Store, tenant: TenantId) -> Stored<()> {
    let mut tx = store.begin(tenant).await?;
    tx.tenant_delete(NOW).await?;
    tx.commit().await?;
    let mut is_done = false;
    while !is_done {
        let mut tx = store.begin(tenant).await?;
        is_done = tx.tenant_erase(100).await?;
        tx.commit().await?;
    }
    Ok(())
}

/// Stores a [`Home`] in one transaction.
///
/// # Errors
/// Those of the store.
pub async fn home(store: &dyn Store) -> Stored<Home> {
    let alice = user("alice");
    let home = Home { tenant: tenant(), ring: ring(), data_key: data_key(), phc: phc(), family: family(alice.id), alice };
    let mut tx = store.begin(home.id()).await?;
    tx.tenant_insert(&home.tenant).await?;
    let kid = home.ring.keys[0].kid.as_str().to_owned();
    tx.ring_insert(&home.data_key, &change(home.ring.clone(), vec![sealed(&kid), sealed("refresh-token/1")])).await?;
    tx.user_insert(&home.alice, Some(&home.phc)).await?;
    tx.family_insert(&home.family).await?;
    tx.commit().await?;
    Ok(home)
}

/// One guess counter.
///
/// # Errors
/// Those of the store.
pub async fn counter(tx: &mut dyn TenantTx, scope: GuessScope, subject: GuessSubject) -> Stored<GuessCounter> {
    Ok(tx.guess_counters(&[(scope, subject)]).await?.pop().unwrap_or_default())
}

/// The user of a name, without the hash.
///
/// # Errors
/// Those of the store.
pub async fn user_by_login(tx: &mut dyn TenantTx, name: &LoginName) -> Stored<Option<User>> {
    Ok(tx.account_by_login(name).await?.map(|account| account.user))
}

/// The text of a user's hash; `None` also when there is no such user.
///
/// # Panics
/// When it cannot be read.
pub async fn phc_of(tx: &mut dyn TenantTx, user: UserId) -> Option<String> {
    let account = tx.account_by_id(user).await.expect("read");
    account.and_then(|account| account.phc).map(|phc| phc.expose().clone())
}
