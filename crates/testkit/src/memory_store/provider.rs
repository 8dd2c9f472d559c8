//! What the OpenID provider keeps.

use std::collections::{BTreeMap, BTreeSet};

use app::ports::store::{
    AuthorizationStore, BackchannelStore, ClientStore, CodeUse, Consent, ConsentStore, DeviceStore, Leftover, LogoutNotice, LogoutStore,
    MailStore, OnceStore, PendingRequest, RegistrationStore, ResourceStore, SsoStore, StoreError, Stored, TrustedIssuerStore,
};
use async_trait::async_trait;
use domain::authorize::code::CodeGrant;
use domain::backchannel::{BackchannelPing, BackchannelRequest};
use domain::client::origin::WebOrigin;
use domain::client::registration::InitialAccessToken;
use domain::client::{Client, ClientId};
use domain::consent::Allowed;
use domain::device::DeviceGrant;
use domain::handle::HandleHash;
use domain::ids::{
    BackchannelRequestId, FamilyId, InitialAccessTokenId, MailId, ResourceId, SsoSessionId, TenantId, TrustedIssuerId, UserId,
};
use domain::interaction::Progress;
use domain::mail::{MailLink, QueuedMail};
use domain::resource::{Resource, ResourceSet};
use domain::sso::SsoSession;
use domain::time::{Timestamp, Ttl};
use domain::trusted_issuer::TrustedIssuer;

use super::{Tx, remove_some};

#[derive(Clone, Default)]
pub(super) struct Rows {
    clients: BTreeMap<(TenantId, ClientId), Client>,
    pending: BTreeMap<(TenantId, HandleHash), PendingRequest>,
    codes: BTreeMap<(TenantId, HandleHash), (CodeGrant, Option<FamilyId>)>,
    /// With the hash of what their users type.
    devices: BTreeMap<(TenantId, HandleHash), (DeviceGrant, [u8; 32])>,
    backchannel: BTreeMap<(TenantId, HandleHash), BackchannelRequest>,
    sessions: BTreeMap<(TenantId, HandleHash), SsoSession>,
    consents: BTreeMap<(TenantId, UserId, ClientId), (Allowed, Timestamp)>,
    resources: BTreeMap<(TenantId, ResourceId), Resource>,
    trusted: BTreeMap<(TenantId, TrustedIssuerId), TrustedIssuer>,
    initial_tokens: BTreeMap<(TenantId, InitialAccessTokenId), InitialAccessToken>,
    spent: BTreeMap<(TenantId, [u8; 32]), Timestamp>,
    pub(super) logouts: Waiting<FamilyId, LogoutNotice>,
    pub(super) pings: Waiting<BackchannelRequestId, BackchannelPing>,
    pub(super) mails: Waiting<MailId, QueuedMail>,
    /// With whether it was used.
    links: BTreeMap<(TenantId, HandleHash), (MailLink, bool)>,
}

/// What waits, with what the claims need: the moment it is due, and how long until the attempt after that.
pub(super) type Waiting<K, T> = BTreeMap<(TenantId, K), (T, Timestamp, Ttl)>;

impl Rows {
    pub(super) fn erase(&mut self, tenant: TenantId, left: &mut usize) {
        remove_some(&mut self.pending, left, |(owner, _), _| *owner == tenant);
        remove_some(&mut self.codes, left, |(owner, _), _| *owner == tenant);
        remove_some(&mut self.devices, left, |(owner, _), _| *owner == tenant);
        remove_some(&mut self.backchannel, left, |(owner, _), _| *owner == tenant);
        remove_some(&mut self.sessions, left, |(owner, _), _| *owner == tenant);
        remove_some(&mut self.consents, left, |(owner, ..), _| *owner == tenant);
        remove_some(&mut self.clients, left, |(owner, _), _| *owner == tenant);
        remove_some(&mut self.resources, left, |(owner, _), _| *owner == tenant);
        remove_some(&mut self.trusted, left, |(owner, _), _| *owner == tenant);
        remove_some(&mut self.spent, left, |(owner, _), _| *owner == tenant);
        remove_some(&mut self.initial_tokens, left, |(owner, _), _| *owner == tenant);
        remove_some(&mut self.logouts, left, |(owner, _), _| *owner == tenant);
        remove_some(&mut self.pings, left, |(owner, _), _| *owner == tenant);
        remove_some(&mut self.mails, left, |(owner, _), _| *owner == tenant);
        remove_some(&mut self.links, left, |(owner, _), _| *owner == tenant);
    }

    pub(super) fn forget_user(&mut self, tenant: TenantId, user: UserId) {
        self.consents.retain(|(owner, whose, _), _| *owner != tenant || *whose != user);
        self.backchannel.retain(|(owner, _), request| *owner != tenant || request.user_id != user);
        self.sessions.retain(|(owner, _), session| *owner != tenant || session.user_id != user);
        self.mails.retain(|(owner, _), (mail, ..)| *owner != tenant || mail.user_id != Some(user));
        self.links.retain(|(owner, _), (link, _)| *owner != tenant || link.user_id != user);
    }

    pub(super) fn sweep(&mut self, what: Leftover, before: Timestamp, left: &mut usize) {
        match what {
            Leftover::PendingRequests => remove_some(&mut self.pending, left, |_, pending| pending.expires_at < before),
            Leftover::AuthorizationCodes => remove_some(&mut self.codes, left, |_, (grant, _)| grant.expires_at < before),
            Leftover::DeviceCodes => remove_some(&mut self.devices, left, |_, (grant, _)| grant.expires_at < before),
            Leftover::BackchannelRequests => remove_some(&mut self.backchannel, left, |_, request| request.grant.expires_at < before),
            Leftover::SsoSessions => remove_some(&mut self.sessions, left, |_, session| session.ends_at() < before),
            Leftover::SpentNames => remove_some(&mut self.spent, left, |_, expires_at| *expires_at < before),
            Leftover::BackchannelPings => remove_some(&mut self.pings, left, |_, (ping, ..)| ping.expires_at < before),
            Leftover::LogoutNotices => remove_some(&mut self.logouts, left, |_, (notice, ..)| notice.expires_at < before),
            Leftover::Mails => remove_some(&mut self.mails, left, |_, (mail, ..)| mail.expires_at < before),
            Leftover::MailLinks => remove_some(&mut self.links, left, |_, (link, _)| link.expires_at < before),
            Leftover::InitialAccessTokens => remove_some(&mut self.initial_tokens, left, |_, token| token.expires_at < before),
            Leftover::UnusedClients => remove_some(&mut self.clients, left, |_, client| {
                client.registration.and_then(|registration| registration.unused_until).is_some_and(|until| until < before)
            }),
            _ => {}
        }
    }
}

/// Takes what is due, as the claims of the databases do.
pub(super) fn claim<K: Copy + Ord, T>(rows: &mut Waiting<K, T>, now: Timestamp, limit: usize) -> Vec<(TenantId, K)> {
    let mut due: Vec<_> = rows.iter_mut().filter(|(_, (_, due_at, _))| *due_at <= now).collect();
    due.sort_by_key(|(_, (_, due_at, _))| *due_at);
    let taken = due.into_iter().take(limit).map(|(key, (_, due_at, wait))| {
        (*due_at, *wait) = (now.plus(*wait), Ttl::seconds(wait.as_seconds() * 4));
        *key
    });
    taken.collect()
}

impl Tx {
    fn origins(&self) -> BTreeSet<WebOrigin> {
        let of_tenant = self.state.provider.clients.iter().filter(|((owner, _), _)| *owner == self.tenant);
        of_tenant.flat_map(|(_, client)| client.origins()).collect()
    }
}

#[async_trait]
impl ClientStore for Tx {
    async fn client_insert(&mut self, client: &Client) -> Stored<()> {
        let key = (self.tenant, client.id.clone());
        let clients = &mut self.writing()?.provider.clients;
        if clients.contains_key(&key) {
            return Err(StoreError::Conflict);
        }
        clients.insert(key, client.clone());
        Ok(())
    }

    async fn client_by_id(&mut self, id: &ClientId) -> Stored<Option<Client>> {
        Ok(self.state.provider.clients.get(&(self.tenant, id.clone())).cloned())
    }

    async fn client_locked(&mut self, id: &ClientId) -> Stored<Option<Client>> {
        self.client_by_id(id).await
    }

    async fn client_update(&mut self, client: &Client) -> Stored<()> {
        let key = (self.tenant, client.id.clone());
        *self.writing()?.provider.clients.get_mut(&key).ok_or(StoreError::Conflict)? = client.clone();
        Ok(())
    }

    async fn client_delete(&mut self, id: &ClientId) -> Stored<bool> {
        let tenant = self.tenant;
        let rows = &mut self.writing()?.provider;
        rows.consents.retain(|(owner, _, client), _| *owner != tenant || client != id);
        Ok(rows.clients.remove(&(tenant, id.clone())).is_some())
    }

    async fn clients_page(&mut self, after: Option<&ClientId>, limit: u32) -> Stored<Vec<Client>> {
        let of_tenant = self.state.provider.clients.iter().filter(|((owner, _), _)| *owner == self.tenant).map(|(_, client)| client);
        Ok(of_tenant.filter(|client| after.is_none_or(|after| client.id > *after)).take(limit as usize).cloned().collect())
    }

    async fn clients_with_signs(
        &mut self,
        signs: &[String],
        after: Option<&ClientId>,
        most: u32,
    ) -> Stored<(Vec<Client>, Option<ClientId>)> {
        let has_sign = |client: &Client| {
            let settings = serde_json::to_string(&client.settings).unwrap_or_default();
            client.is_active() && signs.iter().any(|sign| settings.contains(sign))
        };
        let looked_at = if signs.is_empty() { Vec::new() } else { self.clients_page(after, most).await? };
        let last = looked_at.last().filter(|_| looked_at.len() == most as usize).map(|client| client.id.clone());
        Ok((looked_at.into_iter().filter(has_sign).collect(), last))
    }

    async fn client_origins(&mut self, limit: u32) -> Stored<Vec<WebOrigin>> {
        Ok(self.origins().into_iter().take(limit as usize).collect())
    }

    async fn client_origin_is_there(&mut self, origin: &WebOrigin) -> Stored<bool> {
        Ok(self.origins().contains(origin))
    }
}

#[async_trait]
impl AuthorizationStore for Tx {
    async fn pending_insert(&mut self, pending: &PendingRequest) -> Stored<()> {
        let key = (self.tenant, pending.handle);
        self.writing()?.provider.pending.insert(key, pending.clone());
        Ok(())
    }

    async fn pending_by_handle(&mut self, handle: &HandleHash) -> Stored<Option<PendingRequest>> {
        Ok(self.state.provider.pending.get(&(self.tenant, *handle)).cloned())
    }

    async fn pending_progress(&mut self, handle: &HandleHash, progress: Progress) -> Stored<()> {
        let key = (self.tenant, *handle);
        if let Some(pending) = self.writing()?.provider.pending.get_mut(&key) {
            pending.progress = progress;
        }
        Ok(())
    }

    async fn pending_delete(&mut self, handle: &HandleHash) -> Stored<bool> {
        let key = (self.tenant, *handle);
        Ok(self.writing()?.provider.pending.remove(&key).is_some())
    }

    async fn code_insert(&mut self, code: &HandleHash, grant: &CodeGrant) -> Stored<()> {
        let key = (self.tenant, *code);
        self.writing()?.provider.codes.insert(key, (grant.clone(), None));
        Ok(())
    }

    async fn code_use(&mut self, code: &HandleHash, family_id: FamilyId, _: Timestamp) -> Stored<CodeUse> {
        let key = (self.tenant, *code);
        Ok(match self.writing()?.provider.codes.get_mut(&key) {
            Some((_, Some(family_id))) => CodeUse::Again { family_id: *family_id },
            Some((grant, unused)) => {
                *unused = Some(grant.family_id.unwrap_or(family_id));
                CodeUse::First(Box::new(grant.clone()))
            }
            None => CodeUse::Unknown,
        })
    }
}

#[async_trait]
impl DeviceStore for Tx {
    async fn device_insert(&mut self, code: &HandleHash, user_code: &[u8; 32], grant: &DeviceGrant) -> Stored<()> {
        let tenant = self.tenant;
        let devices = &mut self.writing()?.provider.devices;
        if devices.iter().any(|((owner, known), (_, typed))| *owner == tenant && (known == code || typed == user_code)) {
            return Err(StoreError::Conflict);
        }
        devices.insert((tenant, *code), (grant.clone(), *user_code));
        Ok(())
    }

    async fn device_by_code(&mut self, code: &HandleHash) -> Stored<Option<DeviceGrant>> {
        Ok(self.state.provider.devices.get(&(self.tenant, *code)).map(|(grant, _)| grant.clone()))
    }

    async fn device_by_user_code(&mut self, user_code: &[u8; 32]) -> Stored<Option<HandleHash>> {
        let own = self.state.provider.devices.iter().filter(|((tenant, _), _)| *tenant == self.tenant);
        Ok(own.into_iter().find(|(_, (_, typed))| typed == user_code).map(|((_, code), _)| *code))
    }

    async fn device_update(&mut self, code: &HandleHash, grant: &DeviceGrant) -> Stored<()> {
        let key = (self.tenant, *code);
        if let Some((kept, _)) = self.writing()?.provider.devices.get_mut(&key) {
            *kept = grant.clone();
        }
        Ok(())
    }

    async fn device_delete(&mut self, code: &HandleHash) -> Stored<bool> {
        let key = (self.tenant, *code);
        Ok(self.writing()?.provider.devices.remove(&key).is_some())
    }
}

#[async_trait]
impl SsoStore for Tx {
    async fn sso_insert(&mut self, session: &SsoSession) -> Stored<()> {
        let key = (self.tenant, session.handle);
        self.writing()?.provider.sessions.insert(key, session.clone());
        Ok(())
    }

    async fn sso_by_handle(&mut self, handle: &HandleHash) -> Stored<Option<SsoSession>> {
        Ok(self.state.provider.sessions.get(&(self.tenant, *handle)).cloned())
    }

    async fn sso_touch(&mut self, handle: &HandleHash, idle_expires_at: Timestamp) -> Stored<()> {
        let key = (self.tenant, *handle);
        if let Some(session) =
            self.writing()?.provider.sessions.get_mut(&key).filter(|session| session.absolute_expires_at >= idle_expires_at)
        {
            session.idle_expires_at = idle_expires_at;
        }
        Ok(())
    }

    async fn sso_delete(&mut self, handle: &HandleHash) -> Stored<bool> {
        let key = (self.tenant, *handle);
        Ok(self.writing()?.provider.sessions.remove(&key).is_some())
    }

    async fn sso_is_there(&mut self, user: UserId, id: SsoSessionId) -> Stored<bool> {
        let own = self.state.provider.sessions.iter().filter(|((tenant, _), _)| *tenant == self.tenant);
        Ok(own.into_iter().any(|(_, session)| session.user_id == user && session.id == id))
    }

    async fn sso_of(&mut self, user: UserId, now: Timestamp) -> Stored<Vec<SsoSession>> {
        let own = self.state.provider.sessions.iter().filter(|((tenant, _), _)| *tenant == self.tenant).map(|(_, session)| session);
        let mut own: Vec<_> = own.filter(|session| session.user_id == user && now < session.ends_at()).cloned().collect();
        own.sort_by_key(|session| std::cmp::Reverse(session.id));
        Ok(own)
    }

    async fn sso_delete_of(&mut self, user: UserId) -> Stored<u64> {
        self.sessions_removed(|session| session.user_id == user)
    }

    async fn sso_delete_begun(&mut self, before: Timestamp) -> Stored<u64> {
        self.sessions_removed(|session| session.authentication.at < before)
    }
}

impl Tx {
    fn sessions_removed(&mut self, is_gone: impl Fn(&SsoSession) -> bool) -> Stored<u64> {
        let tenant = self.tenant;
        let sessions = &mut self.writing()?.provider.sessions;
        let count = sessions.len();
        sessions.retain(|(owner, _), session| *owner != tenant || !is_gone(session));
        Ok((count - sessions.len()) as u64)
    }
}

#[async_trait]
impl ConsentStore for Tx {
    async fn consent(&mut self, user: UserId, client: &ClientId) -> Stored<Option<Allowed>> {
        Ok(self.state.provider.consents.get(&(self.tenant, user, client.clone())).map(|(allowed, _)| allowed.clone()))
    }

    async fn consent_set(&mut self, user: UserId, client: &ClientId, allowed: &Allowed, now: Timestamp) -> Stored<()> {
        let key = (self.tenant, user, client.clone());
        self.writing()?.provider.consents.insert(key, (allowed.clone(), now));
        Ok(())
    }

    async fn consents_of(&mut self, user: UserId) -> Stored<Vec<Consent>> {
        let own = self.state.provider.consents.iter().filter(|((owner, whose, _), _)| *owner == self.tenant && *whose == user);
        let consent = |((_, _, client_id), (allowed, granted_at)): (&(TenantId, UserId, ClientId), &(Allowed, Timestamp))| -> Consent {
            Consent { client_id: client_id.clone(), allowed: allowed.clone(), granted_at: *granted_at }
        };
        Ok(own.map(consent).collect())
    }

    async fn consent_delete(&mut self, user: UserId, client: &ClientId) -> Stored<bool> {
        let key = (self.tenant, user, client.clone());
        Ok(self.writing()?.provider.consents.remove(&key).is_some())
    }
}

#[async_trait]
impl ResourceStore for Tx {
    async fn resource_insert(&mut self, resource: &Resource) -> Stored<()> {
        let tenant = self.tenant;
        let resources = &mut self.writing()?.provider.resources;
        if resources.iter().any(|((owner, _), known)| *owner == tenant && known.identifier == resource.identifier) {
            return Err(StoreError::Conflict);
        }
        resources.insert((tenant, resource.id), resource.clone());
        Ok(())
    }

    async fn resource_by_id(&mut self, id: ResourceId) -> Stored<Option<Resource>> {
        Ok(self.state.provider.resources.get(&(self.tenant, id)).cloned())
    }

    async fn resource_update(&mut self, resource: &Resource) -> Stored<()> {
        let key = (self.tenant, resource.id);
        let known = self.writing()?.provider.resources.get_mut(&key).ok_or(StoreError::Conflict)?;
        (known.settings, known.updated_at) = (resource.settings.clone(), resource.updated_at);
        Ok(())
    }

    async fn resource_delete(&mut self, id: ResourceId) -> Stored<bool> {
        let key = (self.tenant, id);
        Ok(self.writing()?.provider.resources.remove(&key).is_some())
    }

    async fn resources_page(&mut self, after: Option<ResourceId>, limit: u32) -> Stored<Vec<Resource>> {
        let own = self.state.provider.resources.iter().filter(|((tenant, _), _)| *tenant == self.tenant).map(|(_, resource)| resource);
        Ok(own.filter(|resource| after.is_none_or(|after| resource.id > after)).take(limit as usize).cloned().collect())
    }

    async fn resources_named(&mut self, named: &ResourceSet) -> Stored<Vec<Resource>> {
        let own = self.state.provider.resources.iter().filter(|((tenant, _), _)| *tenant == self.tenant).map(|(_, resource)| resource);
        let mut all: Vec<_> = own.filter(|resource| named.contains(&resource.identifier)).cloned().collect();
        all.sort_by(|one, other| one.identifier.cmp(&other.identifier));
        Ok(all)
    }
}

#[async_trait]
impl BackchannelStore for Tx {
    async fn backchannel_insert(&mut self, code: &HandleHash, request: &BackchannelRequest) -> Stored<()> {
        let key = (self.tenant, *code);
        let all = &mut self.writing()?.provider.backchannel;
        if all.contains_key(&key) {
            return Err(StoreError::Conflict);
        }
        all.insert(key, request.clone());
        Ok(())
    }

    async fn backchannel_by_code(&mut self, code: &HandleHash) -> Stored<Option<BackchannelRequest>> {
        Ok(self.state.provider.backchannel.get(&(self.tenant, *code)).cloned())
    }

    async fn backchannel_of(&mut self, user: UserId) -> Stored<Vec<(HandleHash, BackchannelRequest)>> {
        let all = self.state.provider.backchannel.iter();
        let own = all.filter(|((tenant, _), request)| *tenant == self.tenant && request.user_id == user);
        Ok(own.map(|((_, code), request)| (*code, request.clone())).collect())
    }

    async fn backchannel_update(&mut self, code: &HandleHash, request: &BackchannelRequest) -> Stored<()> {
        let key = (self.tenant, *code);
        if let Some(known) = self.writing()?.provider.backchannel.get_mut(&key) {
            *known = request.clone();
        }
        Ok(())
    }

    async fn backchannel_delete(&mut self, code: &HandleHash) -> Stored<bool> {
        let key = (self.tenant, *code);
        Ok(self.writing()?.provider.backchannel.remove(&key).is_some())
    }

    async fn backchannel_ping_insert(&mut self, ping: &BackchannelPing) -> Stored<()> {
        let key = (self.tenant, ping.id);
        self.writing()?.provider.pings.entry(key).or_insert((ping.clone(), Timestamp::EPOCH, Ttl::seconds(4)));
        Ok(())
    }

    async fn backchannel_ping(&mut self, id: BackchannelRequestId) -> Stored<Option<BackchannelPing>> {
        Ok(self.state.provider.pings.get(&(self.tenant, id)).map(|(ping, ..)| ping.clone()))
    }

    async fn backchannel_ping_delete(&mut self, id: BackchannelRequestId) -> Stored<bool> {
        let key = (self.tenant, id);
        Ok(self.writing()?.provider.pings.remove(&key).is_some())
    }
}

impl Tx {
    fn trusted(&self) -> impl Iterator<Item = &TrustedIssuer> {
        self.state.provider.trusted.iter().filter(|((tenant, _), _)| *tenant == self.tenant).map(|(_, issuer)| issuer)
    }
}

#[async_trait]
impl TrustedIssuerStore for Tx {
    async fn trusted_issuer_insert(&mut self, issuer: &TrustedIssuer) -> Stored<()> {
        if self.trusted().any(|known| known.issuer == issuer.issuer) {
            return Err(StoreError::Conflict);
        }
        let key = (self.tenant, issuer.id);
        self.writing()?.provider.trusted.insert(key, issuer.clone());
        Ok(())
    }

    async fn trusted_issuer_by_id(&mut self, id: TrustedIssuerId) -> Stored<Option<TrustedIssuer>> {
        Ok(self.state.provider.trusted.get(&(self.tenant, id)).cloned())
    }

    async fn trusted_issuer_named(&mut self, issuer: &str) -> Stored<Option<TrustedIssuer>> {
        Ok(self.trusted().find(|known| known.issuer == issuer).cloned())
    }

    async fn trusted_issuer_update(&mut self, issuer: &TrustedIssuer) -> Stored<()> {
        let key = (self.tenant, issuer.id);
        let known = self.writing()?.provider.trusted.get_mut(&key).ok_or(StoreError::Conflict)?;
        (known.settings, known.updated_at) = (issuer.settings.clone(), issuer.updated_at);
        Ok(())
    }

    async fn trusted_issuer_delete(&mut self, id: TrustedIssuerId) -> Stored<bool> {
        let key = (self.tenant, id);
        Ok(self.writing()?.provider.trusted.remove(&key).is_some())
    }

    async fn trusted_issuers_page(&mut self, after: Option<TrustedIssuerId>, limit: u32) -> Stored<Vec<TrustedIssuer>> {
        Ok(self.trusted().filter(|issuer| after.is_none_or(|after| issuer.id > after)).take(limit as usize).cloned().collect())
    }
}

#[async_trait]
impl OnceStore for Tx {
    async fn spend(&mut self, name: &[u8; 32], expires_at: Timestamp) -> Stored<bool> {
        let key = (self.tenant, *name);
        let spent = &mut self.writing()?.provider.spent;
        let is_new = !spent.contains_key(&key);
        spent.entry(key).or_insert(expires_at);
        Ok(is_new)
    }
}

#[async_trait]
impl RegistrationStore for Tx {
    async fn initial_token_insert(&mut self, token: &InitialAccessToken) -> Stored<()> {
        let key = (self.tenant, token.id);
        self.writing()?.provider.initial_tokens.insert(key, token.clone());
        Ok(())
    }

    async fn initial_token_by_hash(&mut self, hash: &HandleHash) -> Stored<Option<InitialAccessToken>> {
        let mut own = self.state.provider.initial_tokens.iter().filter(|((tenant, _), _)| *tenant == self.tenant);
        Ok(own.find(|(_, token)| token.hash == *hash).map(|(_, token)| token.clone()))
    }

    async fn initial_token_use(&mut self, id: InitialAccessTokenId, now: Timestamp) -> Stored<bool> {
        let key = (self.tenant, id);
        let token = self.writing()?.provider.initial_tokens.get_mut(&key).filter(|token| token.is_good(now));
        Ok(token.map(|token| token.uses_left -= 1).is_some())
    }

    async fn initial_token_delete(&mut self, id: InitialAccessTokenId) -> Stored<bool> {
        let key = (self.tenant, id);
        Ok(self.writing()?.provider.initial_tokens.remove(&key).is_some())
    }

    async fn initial_tokens_page(&mut self, after: Option<InitialAccessTokenId>, limit: u32) -> Stored<Vec<InitialAccessToken>> {
        let own = self.state.provider.initial_tokens.iter().filter(|((tenant, _), _)| *tenant == self.tenant).map(|(_, token)| token);
        Ok(own.filter(|token| after.is_none_or(|after| token.id > after)).take(limit as usize).cloned().collect())
    }
}

#[async_trait]
impl LogoutStore for Tx {
    async fn logout_notice_insert(&mut self, notice: &LogoutNotice) -> Stored<()> {
        let key = (self.tenant, notice.family_id);
        self.writing()?.provider.logouts.entry(key).or_insert((notice.clone(), Timestamp::EPOCH, Ttl::seconds(4)));
        Ok(())
    }

    async fn logout_notice(&mut self, family: FamilyId) -> Stored<Option<LogoutNotice>> {
        Ok(self.state.provider.logouts.get(&(self.tenant, family)).map(|(notice, ..)| notice.clone()))
    }

    async fn logout_notice_delete(&mut self, family: FamilyId) -> Stored<bool> {
        let key = (self.tenant, family);
        Ok(self.writing()?.provider.logouts.remove(&key).is_some())
    }
}

#[async_trait]
impl MailStore for Tx {
    async fn mail_insert(&mut self, mail: &QueuedMail) -> Stored<()> {
        let key = (self.tenant, mail.id);
        self.writing()?.provider.mails.insert(key, (mail.clone(), Timestamp::EPOCH, Ttl::seconds(30)));
        Ok(())
    }

    async fn mail(&mut self, id: MailId) -> Stored<Option<QueuedMail>> {
        Ok(self.state.provider.mails.get(&(self.tenant, id)).map(|(mail, ..)| mail.clone()))
    }

    async fn mail_delete(&mut self, id: MailId) -> Stored<bool> {
        let key = (self.tenant, id);
        Ok(self.writing()?.provider.mails.remove(&key).is_some())
    }

    async fn mail_link_insert(&mut self, link: &MailLink) -> Stored<bool> {
        let key = (self.tenant, link.handle);
        let links = &mut self.writing()?.provider.links;
        let is_new = !links.contains_key(&key);
        links.entry(key).or_insert((link.clone(), false));
        Ok(is_new)
    }

    async fn mail_link(&mut self, handle: &HandleHash) -> Stored<Option<MailLink>> {
        Ok(self.state.provider.links.get(&(self.tenant, *handle)).filter(|(_, is_used)| !is_used).map(|(link, _)| link.clone()))
    }

    async fn mail_link_use(&mut self, handle: &HandleHash, _: Timestamp) -> Stored<bool> {
        let key = (self.tenant, *handle);
        let link = self.writing()?.provider.links.get_mut(&key).filter(|(_, is_used)| !is_used);
        Ok(link.map(|(_, is_used)| *is_used = true).is_some())
    }
}
