//! Authorization codes: what one stands for, and whether somebody may redeem it.
//!
//! Invariant: a code is worth something once, for a minute, to the client it was given to, with everything it was asked for with.

use serde::{Deserialize, Serialize};

use super::{AuthorizationRequest, CodeChallenge};
use crate::client::ClientId;
use crate::details::AuthorizationDetails;
use crate::ids::{FamilyId, UserId};
use crate::keys::thumbprint::Thumbprint;
use crate::resource::ResourceSet;
use crate::scope::Scope;
use crate::sso::{SignOn, SsoSession};
use crate::time::{Timestamp, Ttl};

/// What was granted, until the client fetches it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CodeGrant {
    pub client_id: ClientId,
    /// `None` when it was handed to the client itself, which named no address.
    pub redirect_uri: Option<String>,
    pub code_challenge: Option<CodeChallenge>,
    pub user_id: UserId,
    pub scope: Scope,
    /// What its tokens may be for.
    #[serde(default, skip_serializing_if = "ResourceSet::is_empty")]
    pub resources: ResourceSet,
    /// What was granted in detail.
    #[serde(default, skip_serializing_if = "AuthorizationDetails::is_empty")]
    pub details: AuthorizationDetails,
    pub nonce: Option<String>,
    /// The key that its client said it would prove (RFC 9449, 10).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dpop_jkt: Option<Thumbprint>,
    pub sign_on: SignOn,
    /// The session that a token beside the code has begun: its redemption goes on with that one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub family_id: Option<FamilyId>,
    pub expires_at: Timestamp,
}

/// Why a code is worth nothing to whoever presents it. From outside all of them are one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CodeRefused {
    Expired,
    OtherClient,
    OtherRedirectUri,
    /// The verifier is missing, wrong, or was not asked for (RFC 9700, 4.8.2).
    Verifier,
    /// Another key was proved than the one it was asked for with, or none (RFC 9449, 10).
    OtherKey,
    /// Its user may not log in any more, has another password, or the session it was given in has ended.
    Ended,
}

impl CodeRefused {
    /// The reason's name in the audit log.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Expired => "expired",
            Self::OtherClient => "other_client",
            Self::OtherRedirectUri => "other_redirect_uri",
            Self::Verifier => "verifier",
            Self::OtherKey => "other_key",
            Self::Ended => "ended",
        }
    }
}

impl CodeGrant {
    /// How long a client has to fetch what it was granted (RFC 9700 and FAPI 2.0 ask for at most a minute).
    pub const TTL: Ttl = Ttl::seconds(60);

    /// What this request is granted by the session of its user, for [`Self::TTL`] from `now` on. `family_id` is the client's session that a token
    /// beside the code has begun.
    pub fn of(request: AuthorizationRequest, session: &SsoSession, family_id: Option<FamilyId>, now: Timestamp) -> Self {
        Self {
            client_id: request.client_id,
            redirect_uri: Some(request.return_to.redirect_uri).filter(|uri| !uri.is_empty()),
            code_challenge: request.code_challenge,
            user_id: session.user_id,
            scope: request.scope,
            resources: request.resources,
            details: request.details,
            nonce: request.nonce,
            dpop_jkt: request.dpop_jkt,
            sign_on: SignOn::of(session, request.claims),
            family_id,
            expires_at: now.plus(Self::TTL),
        }
    }

    /// # Errors
    /// The first thing that does not fit.
    pub fn redeemable(
        &self,
        client: &ClientId,
        redirect_uri: Option<&str>,
        verifier: Option<&str>,
        proved: Option<Thumbprint>,
        now: Timestamp,
    ) -> Result<(), CodeRefused> {
        if self.client_id != *client {
            return Err(CodeRefused::OtherClient);
        }
        if now >= self.expires_at {
            return Err(CodeRefused::Expired);
        }
        if redirect_uri != self.redirect_uri.as_deref() {
            return Err(CodeRefused::OtherRedirectUri);
        }
        let is_answered = match (&self.code_challenge, verifier) {
            (Some(challenge), Some(verifier)) => challenge.is_answered_by(verifier),
            (None, None) => true,
            _ => false,
        };
        if !is_answered {
            return Err(CodeRefused::Verifier);
        }
        if self.dpop_jkt.is_some() && self.dpop_jkt != proved {
            return Err(CodeRefused::OtherKey);
        }
        Ok(())
    }
}
