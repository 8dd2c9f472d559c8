//! The claims of an access token (RFC 9068, 2.2).

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::claim_rules::{Carrier, ClaimRules, Occasion, Told};
use crate::client::ClientId;
use crate::details::AuthorizationDetails;
use crate::ids::{FamilyId, RegisteredClientId, TokenId, UserId};
use crate::keys::thumbprint::Thumbprint;
use crate::pseudonym::Pseudonym;
use crate::resource::{Permission, Target};
use crate::scope::Scope;
use crate::sso::SignOn;
use crate::tenant::{Tenant, TenantPolicy};
use crate::text::{BadText, Role};
use crate::time::{Timestamp, Ttl};
use crate::user::{CustomClaims, User};

/// The `typ` header of an access token (RFC 9068, 2.1).
pub const ACCESS_TOKEN_TYPE: &str = "at+jwt";

/// What an access token says. Times are in whole seconds since the epoch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AccessClaims {
    pub iss: String,
    pub sub: Subject,
    pub aud: Audience,
    pub exp: i64,
    pub iat: i64,
    pub nbf: i64,
    pub jti: TokenId,
    pub client_id: ClientId,
    pub scope: Scope,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth_time: Option<i64>,
    /// The session: the refresh-token family the token was issued from. A client that acts for itself has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sid: Option<FamilyId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acr: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amr: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub roles: Option<BTreeSet<Role>>,
    /// What the user may do at the one API that the token is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub permissions: Option<BTreeSet<Permission>>,
    /// What was granted in detail and is about what the token is for (RFC 9396, 9.1).
    #[serde(default, skip_serializing_if = "AuthorizationDetails::is_empty")]
    pub authorization_details: AuthorizationDetails,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// What its presenter has to prove besides having it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cnf: Option<Confirmation>,
    /// Who acts for the subject (RFC 8693, 4.1).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub act: Option<Box<Act>>,
    /// The user's custom claims and those of the tenant's rules, beside the registered ones.
    #[serde(flatten)]
    pub custom: Map<String, Value>,
}

/// The `cnf` claim (RFC 7800, 3): whose a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Confirmation {
    /// Whoever proves this key with it (RFC 9449, 6.1).
    #[serde(rename = "jkt")]
    Dpop(Thumbprint),
    /// Whoever shows this certificate with it (RFC 8705, 3.1).
    #[serde(rename = "x5t#S256")]
    Certificate(Thumbprint),
}

impl Confirmation {
    /// The key that was proved by DPoP, if it was in this way.
    pub const fn dpop_key(self) -> Option<Thumbprint> {
        match self {
            Self::Dpop(key) => Some(key),
            Self::Certificate(_) => None,
        }
    }
}

/// Who acts, and whom they had it from: the one who acts now is outside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Act {
    pub sub: Subject,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub act: Option<Box<Self>>,
}

impl Act {
    /// The longest chain.
    pub const MOST: usize = 4;

    /// `sub` acts now, for whom the ones `before` acted until now. `None` when the chain would be too long.
    pub fn for_whom(sub: Subject, before: Option<Box<Self>>) -> Option<Self> {
        let mut length = 1;
        let mut next = before.as_deref();
        while let Some(act) = next {
            (length, next) = (length + 1, act.act.as_deref());
        }
        (length <= Self::MOST).then_some(Self { sub, act: before })
    }
}

/// Whom a token is about. No client has an id that a user could have: those of clients begin differently.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Subject {
    User(UserId),
    /// A user, as the client's sector knows them.
    Pairwise(Pseudonym),
    /// The client itself (RFC 9068, 5): a registered one.
    Client(ClientId),
}

impl Subject {
    pub const fn user(&self) -> Option<UserId> {
        match self {
            Self::User(id) => Some(*id),
            Self::Pairwise(_) | Self::Client(_) => None,
        }
    }
}

impl TryFrom<String> for Subject {
    type Error = BadText;

    fn try_from(text: String) -> Result<Self, BadText> {
        if let Ok(user) = text.parse() {
            return Ok(Self::User(user));
        }
        if let Ok(pseudonym) = text.parse() {
            return Ok(Self::Pairwise(pseudonym));
        }
        text.parse::<RegisteredClientId>().map_err(|_| BadText("a subject is a user or a registered client"))?;
        ClientId::try_from(text).map(Self::Client)
    }
}

impl From<Subject> for String {
    fn from(subject: Subject) -> Self {
        match subject {
            Subject::User(id) => id.to_string(),
            Subject::Pairwise(pseudonym) => pseudonym.to_string(),
            Subject::Client(id) => id.into(),
        }
    }
}

/// `aud`: one audience as a string, several as an array (RFC 7519, 4.1.3).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Audience {
    One(String),
    Many(Vec<String>),
}

impl Audience {
    /// Each of them.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        let (one, many) = match self {
            Self::One(audience) => (Some(audience), &[][..]),
            Self::Many(audiences) => (None, audiences.as_slice()),
        };
        one.into_iter().chain(many).map(String::as_str)
    }

    pub fn contains(&self, wanted: &str) -> bool {
        match self {
            Self::One(audience) => audience == wanted,
            Self::Many(audiences) => audiences.iter().any(|audience| audience == wanted),
        }
    }
}

/// What every access token is made of.
#[derive(Debug, Clone, Copy)]
pub struct Issuance<'a> {
    pub tenant: &'a Tenant,
    pub issuer: &'a str,
    pub client_id: &'a ClientId,
    /// All that was granted; the token says what of it is about the target.
    pub scope: &'a Scope,
    pub target: &'a Target,
    /// What of the authorization details is for the target (RFC 9396, 9.1).
    pub details: &'a AuthorizationDetails,
    pub jti: TokenId,
    pub now: Timestamp,
}

/// The session a token is issued from, as far as its claims need it.
#[derive(Debug, Clone)]
pub struct Grant<'a> {
    pub session_id: FamilyId,
    pub session_ends_at: Timestamp,
    /// What the client knows the user by.
    pub subject: Subject,
    pub auth_time: Timestamp,
    pub sign_on: Option<&'a SignOn>,
}

impl AccessClaims {
    /// What a token says at most beside the key it is bound to and those who act, in bytes of JSON: whoever reads 8 KiB reads it.
    const LONGEST: usize = 4_900;

    /// The claims of a token for `user`, issued now.
    ///
    /// `exp` is the earlier of the access TTL (of the policy, and of the APIs) and the end of the session.
    pub fn new(issuance: Issuance<'_>, user: &User, grant: Grant<'_>) -> Self {
        Self::with_left_out(issuance, Some((user, grant))).0
    }

    /// The claims of a token that a client gets for itself (RFC 6749, 4.4).
    pub fn of_client(issuance: Issuance<'_>) -> Self {
        Self::with_left_out(issuance, None).0
    }

    /// The same for a user or, without one, for the client itself; and the names of claims that there was no room for.
    pub fn with_left_out(issuance: Issuance<'_>, whose: Option<(&User, Grant<'_>)>) -> (Self, Vec<String>) {
        let policy = &issuance.tenant.policy.claims;
        let own = Self::bare(issuance);
        let (user, claims) = match whose {
            None => (None, own),
            Some((user, grant)) => {
                let claims = Self {
                    sub: grant.subject,
                    exp: own.exp.min(grant.session_ends_at.as_seconds()),
                    auth_time: Some(grant.auth_time.as_seconds()),
                    sid: Some(grant.session_id),
                    acr: grant.sign_on.map(|sign_on| sign_on.authentication.acr().name().to_owned()),
                    amr: grant.sign_on.map(|sign_on| sign_on.authentication.amr().into_iter().map(str::to_owned).collect()),
                    roles: policy.roles.then(|| user.roles.clone().into()),
                    permissions: issuance.target.permissions(user.roles.iter()),
                    username: user.names.username().filter(|_| policy.username).map(ToString::to_string),
                    email: user.names.email().filter(|_| policy.email).map(ToString::to_string),
                    ..own
                };
                (Some(user), claims)
            }
        };
        let of_user = user.filter(|_| policy.custom).map(|user| user.claims.as_map());
        if policy.rules.is_empty() && of_user.is_none_or(Map::is_empty) {
            return (claims, Vec::new());
        }
        let length = serde_json::to_string(&claims).map_or(Self::LONGEST, |text| text.len());
        let room = Self::LONGEST.saturating_sub(length).min(ClaimRules::ROOM);
        let on = Occasion {
            carrier: Carrier::AccessToken,
            client: issuance.client_id,
            scope: issuance.scope,
            audience: Some((&claims.aud, &claims.scope)),
            user,
            permissions: claims.permissions.as_ref(),
            wishes: None,
        };
        let free = of_user.into_iter().flatten().filter(|(name, _)| !CustomClaims::RESERVED.contains(&name.as_str()));
        let Told { claims: custom, left_out, .. } =
            policy.rules.told(on, room).and(free.map(|(name, value)| (name.as_str(), value.clone())));
        (Self { custom, ..claims }, left_out)
    }

    /// What every token says, of whomever.
    fn bare(issuance: Issuance<'_>) -> Self {
        let Issuance { tenant, issuer, client_id, scope, target, details, jti, now } = issuance;
        let TenantPolicy { access_ttl_seconds, audience, .. } = &tenant.policy;
        Self {
            iss: issuer.to_owned(),
            sub: Subject::Client(client_id.clone()),
            aud: target.audience(issuer, audience.as_deref()),
            exp: now.plus(target.ttl(*access_ttl_seconds)).as_seconds(),
            iat: now.as_seconds(),
            nbf: now.as_seconds(),
            jti,
            client_id: client_id.clone(),
            scope: target.scope(scope),
            auth_time: None,
            sid: None,
            acr: None,
            amr: None,
            roles: None,
            permissions: None,
            authorization_details: details.clone(),
            username: None,
            email: None,
            cnf: None,
            act: None,
            custom: Map::new(),
        }
    }

    /// Seconds from `now` to `exp`: the `expires_in` of RFC 6749, 5.1.
    pub fn expires_in(&self, now: Timestamp) -> u32 {
        Timestamp::from_seconds(self.exp).seconds_after(now)
    }

    /// Shortens the token's life to at most `cap`.
    pub fn cap_life(&mut self, cap: Ttl) {
        self.exp = self.exp.min(self.iat.saturating_add(i64::from(cap.as_seconds())));
    }
}
