//! The facts the audit log keeps: one variant each, in the past tense.
//!
//! Invariant: an event holds ids and reasons, never a secret, a token, a password or a name of a person.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::client::ClientId;
use crate::ids::{ClientSecretId, EventId, FamilyId, InitialAccessTokenId, ResourceId, SsoSessionId, TenantId, TrustedIssuerId, UserId};
use crate::keys::ring::Kid;
use crate::time::Timestamp;

/// One entry of the audit log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AuditRecord {
    pub id: EventId,
    pub tenant_id: TenantId,
    pub at: Timestamp,
    pub actor: Actor,
    /// Where the request came from, as an address; absent for work Claviger does by itself.
    pub source: Option<String>,
    pub request_id: Option<String>,
    pub event: AuditEvent,
}

/// Who did it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Actor {
    /// Nobody who proved who they are.
    Anonymous,
    User {
        user_id: UserId,
    },
    /// A client, for itself.
    Client {
        client_id: ClientId,
    },
    /// A user of the tenant with the role `claviger:admin`.
    TenantAdmin {
        user_id: UserId,
    },
    PlatformAdmin,
    /// Claviger itself: the clock, the sweep.
    System,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum AuditEvent {
    TenantCreated {
        slug: String,
    },
    TenantChanged {
        changed: Vec<String>,
    },
    /// The tenant took away what so many of its clients are registered for, and an administrator said that it is meant.
    ClientsStranded {
        clients: u64,
        lost: Vec<String>,
    },
    /// Other claims go into tokens from now on, by so many rules.
    ClaimRulesChanged {
        rules: u64,
    },
    /// An administrator looked at what would be told of a user, or of the client itself; nothing was issued.
    ClaimsPreviewed {
        user_id: Option<UserId>,
        client_id: ClientId,
    },
    TenantSuspended,
    TenantResumed,
    /// The tenant's issuer is this host from now on.
    TenantDomainSet {
        domain: String,
    },
    /// The tenant's issuer is a path of the installation again.
    TenantDomainRemoved {
        domain: String,
    },
    /// Sessions of all users were ended.
    TenantSessionsRevoked {
        count: u64,
        cause: String,
    },
    TenantDeleted {
        slug: String,
    },

    UserCreated {
        user_id: UserId,
    },
    UserChanged {
        user_id: UserId,
        changed: Vec<String>,
    },
    UserDisabled {
        user_id: UserId,
    },
    UserEnabled {
        user_id: UserId,
    },
    UserDeleted {
        user_id: UserId,
    },
    PasswordSet {
        user_id: UserId,
    },
    /// The user can do nothing before a new password is chosen.
    PasswordChangeRequired {
        user_id: UserId,
    },
    /// The user got a new password by a link from a mail.
    PasswordReset {
        user_id: UserId,
    },
    /// A mail to the user is on its way; `what` is the kind of letter.
    MailQueued {
        user_id: UserId,
        what: String,
    },
    EmailVerified {
        user_id: UserId,
    },
    /// The user took another address, which is known to be theirs.
    EmailReplaced {
        user_id: UserId,
    },
    /// The stored hash was replaced by a stronger one of the same password.
    PasswordRehashed {
        user_id: UserId,
    },

    LoginSucceeded {
        user_id: UserId,
        session_id: FamilyId,
    },
    LoginFailed {
        user_id: Option<UserId>,
        reason: LoginFailure,
    },

    /// A refresh token that had already been used came back: the session was ended.
    RefreshTokenReused {
        user_id: UserId,
        session_id: FamilyId,
        presented: u32,
        current: u32,
    },
    RefreshRefused {
        session_id: FamilyId,
        reason: String,
    },
    SessionRevoked {
        user_id: UserId,
        session_id: FamilyId,
        cause: String,
    },
    /// The database was set back to an older state: the sessions that were open in it, of all users, were ended.
    DatabaseRestored {
        sessions: u64,
    },
    SessionsRevoked {
        user_id: UserId,
        count: u64,
        cause: String,
    },

    KeyStaged {
        kid: Kid,
        alg: String,
        sign_from: Timestamp,
    },
    KeyRevoked {
        kid: Kid,
        reason: String,
    },
    KeyRetired {
        kid: Kid,
    },
    KeyPolicyChanged {
        changed: Vec<String>,
    },
    /// New refresh tokens are authenticated with a new secret; the version before it verifies until then.
    TokenSecretRotated {
        version: u16,
        older_verifies_until: Timestamp,
    },
    TokenSecretDestroyed {
        version: u16,
    },

    /// An emergency was rehearsed; nothing was changed.
    KeyDrill {
        generation: u64,
        verifiers: u64,
        /// Absent when a verifier is overdue, so that nobody can say.
        all_safe_from: Option<Timestamp>,
        took_micros: u64,
    },

    ClientCreated {
        client_id: ClientId,
    },
    /// A client registered itself; by which token, if by one.
    ClientRegistered {
        client_id: ClientId,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        initial_access_token_id: Option<InitialAccessTokenId>,
    },
    ClientChanged {
        client_id: ClientId,
    },
    ClientDisabled {
        client_id: ClientId,
    },
    ClientEnabled {
        client_id: ClientId,
    },
    ClientDeleted {
        client_id: ClientId,
    },
    ClientSecretCreated {
        client_id: ClientId,
        secret_id: ClientSecretId,
    },
    ClientSecretDeleted {
        client_id: ClientId,
        secret_id: ClientSecretId,
    },
    InitialAccessTokenCreated {
        initial_access_token_id: InitialAccessTokenId,
        uses: u32,
        expires_at: Timestamp,
    },
    InitialAccessTokenRevoked {
        initial_access_token_id: InitialAccessTokenId,
    },
    /// A client asked this user behind their back.
    BackchannelAsked {
        user_id: UserId,
        client_id: ClientId,
    },
    BackchannelAllowed {
        user_id: UserId,
        client_id: ClientId,
    },
    BackchannelDenied {
        user_id: UserId,
        client_id: ClientId,
    },
    BackchannelSignedIn {
        user_id: UserId,
        client_id: ClientId,
        session_id: FamilyId,
    },
    BackchannelRefused {
        client_id: ClientId,
        reason: String,
    },
    TrustedIssuerCreated {
        trusted_issuer_id: TrustedIssuerId,
        issuer: String,
    },
    TrustedIssuerChanged {
        trusted_issuer_id: TrustedIssuerId,
        issuer: String,
    },
    TrustedIssuerDeleted {
        trusted_issuer_id: TrustedIssuerId,
        issuer: String,
    },
    /// A client exchanged what a trusted issuer said of this user.
    AssertionExchanged {
        user_id: UserId,
        client_id: ClientId,
        session_id: FamilyId,
        trusted_issuer_id: TrustedIssuerId,
    },
    /// An assertion that a trusted issuer has signed was worth nothing.
    AssertionNotExchanged {
        client_id: ClientId,
        trusted_issuer_id: TrustedIssuerId,
        reason: String,
    },
    ResourceCreated {
        resource_id: ResourceId,
        identifier: String,
    },
    ResourceChanged {
        resource_id: ResourceId,
        identifier: String,
    },
    ResourceDeleted {
        resource_id: ResourceId,
        identifier: String,
    },
    /// Somebody did not prove that they are this client. Written for clients that exist.
    ClientNotAuthenticated {
        client_id: ClientId,
    },

    /// A user logged in on the tenant's own pages.
    SignedIn {
        user_id: UserId,
        sso_session_id: SsoSessionId,
        client_id: ClientId,
    },
    SignedOut {
        user_id: UserId,
        sso_session_id: SsoSessionId,
    },
    ConsentGiven {
        user_id: UserId,
        client_id: ClientId,
        scope: String,
        /// The types of what was allowed in detail; what it was is in the tokens.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        authorization_details_types: Vec<String>,
    },
    ConsentDenied {
        user_id: UserId,
        client_id: ClientId,
    },
    /// The user took back what they had allowed: the client's sessions were ended.
    ConsentRevoked {
        user_id: UserId,
        client_id: ClientId,
    },
    /// The user fetched all that is stored about them.
    DataExported {
        user_id: UserId,
    },
    /// Tokens were given by the browser: the session began with them.
    FrontChannelGranted {
        user_id: UserId,
        client_id: ClientId,
        session_id: FamilyId,
        response_type: String,
    },
    CodeRedeemed {
        user_id: UserId,
        client_id: ClientId,
        session_id: FamilyId,
    },
    CodeRefused {
        client_id: ClientId,
        reason: String,
    },
    /// An authorization code that had already been redeemed came back: the session that began with it was ended.
    CodeReused {
        client_id: ClientId,
        session_id: FamilyId,
    },
    /// A user let a device sign in.
    DeviceAllowed {
        user_id: UserId,
        client_id: ClientId,
    },
    /// Somebody said no to a device: a user, or whoever would not log in for it.
    DeviceDenied {
        user_id: Option<UserId>,
        client_id: ClientId,
    },
    /// A device fetched what its user had allowed.
    DeviceSignedIn {
        user_id: UserId,
        client_id: ClientId,
        session_id: FamilyId,
    },
    DeviceRefused {
        client_id: ClientId,
        reason: String,
    },

    /// A client exchanged a token for one with which somebody acts for its subject, or in their place.
    TokenExchanged {
        client_id: ClientId,
        user_id: Option<UserId>,
        session_id: Option<FamilyId>,
        /// Who acts, as the token says; absent where it does not.
        actor: Option<String>,
        /// Whether another client's token was exchanged and nobody is said to act.
        is_impersonation: bool,
        audience: Vec<String>,
    },
    TokenExchangeRefused {
        client_id: ClientId,
        reason: String,
    },

    AccessDenied {
        what: String,
        reason: String,
    },

    /// A fact of a kind that came with a later release, as it stands in the log: a node of this one shows it all the same.
    #[serde(untagged)]
    Later(Map<String, Value>),
}

impl AuditEvent {
    /// The event's name as it is stored and filtered by: that of the variant in snake_case.
    pub fn name(&self) -> String {
        match serde_json::to_value(self) {
            Ok(value) => value.get("type").and_then(|name| name.as_str()).unwrap_or("unknown").to_owned(),
            Err(_) => "unknown".to_owned(),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LoginFailure {
    UnknownUser,
    WrongPassword,
    UserDisabled,
    TooManyAttempts,
    TenantSuspended,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fact_of_a_later_release_is_shown_as_it_was_written() {
        let stored = r#"{"how":["x"],"type":"of_a_later_release"}"#;
        let event: AuditEvent = serde_json::from_str(stored).expect("read");
        assert!(matches!(event, AuditEvent::Later(_)) && event.name() == "of_a_later_release");
        assert_eq!(serde_json::to_string(&event).expect("written"), stored);
        let known = serde_json::to_string(&AuditEvent::TenantSuspended).expect("written");
        assert_eq!(serde_json::from_str::<AuditEvent>(&known).expect("read"), AuditEvent::TenantSuspended);
        assert!(serde_json::from_str::<AuditEvent>("[]").is_err());
    }
}
