//! The decision on one refresh, made by the store between reading and writing, with nothing but what was read.

use domain::audit::{Actor, AuditEvent, AuditRecord};
use domain::client::ClientId;
use domain::ids::{EventId, FamilyId, TenantId};
use domain::tenant::Tenant;
use domain::time::Timestamp;
use domain::token::family::{Binding, Generation, Presentation, Presented, RefreshFamily, Refused, Revocation, RevocationCause};
use domain::user::User;

/// A refresh token whose MAC was right, and what must be known to judge it.
#[derive(Debug, Clone)]
pub struct RefreshAttempt {
    pub family_id: FamilyId,
    pub generation: Generation,
    pub client_id: ClientId,
    pub binding: Binding,
    pub now: Timestamp,
    /// For the audit record, should one be due.
    pub event_id: EventId,
    pub source: Option<String>,
    pub request_id: Option<String>,
}

/// What the store read, all in one transaction. `user` is `None` when it no longer exists.
#[derive(Debug, Clone)]
pub struct RefreshFacts {
    pub tenant: Tenant,
    pub user: Option<User>,
    pub family: RefreshFamily,
    pub ring_generation: u64,
}

/// The verdict. The store writes `facts.family` when `is_changed`, appends `audit`, and commits.
#[derive(Debug, Clone)]
pub struct Judgement {
    pub verdict: Verdict,
    /// The facts after the judgement: `family` is the new one.
    pub facts: RefreshFacts,
    pub is_changed: bool,
    pub audit: Option<AuditRecord>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Rotated,
    Replayed,
    Replaced,
    Reused,
    SlowDown { retry_at: Timestamp },
    Refused(RefreshRefused),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefreshRefused {
    Family(Refused),
    TenantSuspended,
    UserGone,
    UserDisabled,
}

impl RefreshRefused {
    /// The reason's name in the audit log.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Family(Refused::Revoked) => "revoked",
            Self::Family(Refused::Expired) => "expired",
            Self::Family(Refused::OtherClient) => "other_client",
            Self::Family(Refused::OtherBinding) => "other_binding",
            Self::Family(Refused::Exhausted) => "exhausted",
            Self::TenantSuspended => "tenant_suspended",
            Self::UserGone => "user_gone",
            Self::UserDisabled => "user_disabled",
        }
    }
}

/// Judges one attempt. Pure: the same facts always get the same verdict.
pub fn judge(tenant_id: TenantId, mut facts: RefreshFacts, attempt: &RefreshAttempt) -> Judgement {
    let now = attempt.now;
    let record = |event| {
        Some(AuditRecord {
            id: attempt.event_id,
            tenant_id,
            at: now,
            actor: Actor::Anonymous,
            source: attempt.source.clone(),
            request_id: attempt.request_id.clone(),
            event,
        })
    };
    let refused = if !facts.tenant.is_active() {
        Some(RefreshRefused::TenantSuspended)
    } else {
        match &facts.user {
            None => Some(RefreshRefused::UserGone),
            Some(user) if user.may_log_in().is_err() => Some(RefreshRefused::UserDisabled),
            Some(_) => None,
        }
    };
    let presentation = match refused {
        Some(_) => None,
        None => {
            let presented = Presented { generation: attempt.generation, client_id: &attempt.client_id, binding: attempt.binding };
            Some(facts.family.present(presented, facts.tenant.policy.refresh_rules(), now))
        }
    };
    let (verdict, is_changed, audit) = match presentation {
        Some(Presentation::Rotate { head, idle_expires_at }) => {
            (facts.family.head, facts.family.idle_expires_at) = (head, idle_expires_at);
            (Verdict::Rotated, true, None)
        }
        Some(Presentation::Replace { head, idle_expires_at }) => {
            (facts.family.head, facts.family.idle_expires_at) = (head, idle_expires_at);
            (Verdict::Replaced, true, None)
        }
        Some(Presentation::Replay { head }) => {
            facts.family.head = head;
            (Verdict::Replayed, true, None)
        }
        Some(Presentation::Reuse) => {
            facts.family.revoked = Some(Revocation { at: now, cause: RevocationCause::Reuse });
            let event = AuditEvent::RefreshTokenReused {
                user_id: facts.family.user_id,
                session_id: facts.family.id,
                presented: attempt.generation.as_u32(),
                current: facts.family.head.current.as_u32(),
            };
            (Verdict::Reused, true, record(event))
        }
        Some(Presentation::SlowDown { retry_at }) => (Verdict::SlowDown { retry_at }, false, None),
        Some(Presentation::Refused(reason)) => {
            let refused = RefreshRefused::Family(reason);
            // An expired or revoked token that is asked with again is no news; one from another client is.
            let is_news = matches!(reason, Refused::OtherClient | Refused::OtherBinding);
            let event = AuditEvent::RefreshRefused { session_id: facts.family.id, reason: refused.name().to_owned() };
            (Verdict::Refused(refused), false, if is_news { record(event) } else { None })
        }
        None => (Verdict::Refused(refused.unwrap_or(RefreshRefused::UserGone)), false, None),
    };
    Judgement { verdict, facts, is_changed, audit }
}
