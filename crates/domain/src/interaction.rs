//! What a pending authorization request still needs: a login, a consent, nothing, or to be refused.
//!
//! A small state machine without memory of its own: [`next`] looks at the request, the session and what has happened since, and says
//! the one thing to do. Another factor is another [`LoginStep`], not another branch in a handler.

use serde::{Deserialize, Serialize};

use crate::authorize::{AuthorizationRequest, AuthorizeError, Prompt, Refusal};
use crate::client::Client;
use crate::consent::{self, Allowed};
use crate::ids::UserId;
use crate::sso::{Acr, SsoSession};
use crate::time::Timestamp;

/// What users have done for this request since it came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Progress {
    /// Who proved who they are after the request came.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub logged_in: Option<UserId>,
    /// Who allowed what is asked for.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub consented: Option<UserId>,
}

/// What a user is asked to prove themselves with. One-time passwords and passkeys come here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LoginStep {
    /// A name and its password, on one page.
    Password,
}

/// The one thing to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    LogIn(LoginStep),
    AskConsent,
    /// Nothing is missing.
    Grant,
    Refuse(Refusal),
}

/// Decides what comes next. `session` is one that stands for a user, `granted` what that user has allowed this client before.
pub fn next(
    request: &AuthorizationRequest,
    client: &Client,
    session: Option<&SsoSession>,
    granted: Option<&Allowed>,
    progress: Progress,
    now: Timestamp,
) -> Next {
    let is_silent = request.prompt.contains(&Prompt::None);
    let unmet = |error, description| Next::Refuse(Refusal { error, description });
    let Some(session) = session.filter(|session| !wants_login(request, session, progress, now)) else {
        return match (is_silent, progress.logged_in.is_some()) {
            (true, _) => unmet(AuthorizeError::LoginRequired, "nobody is logged in who may be, or not lately enough"),
            // They did, and it was somebody else than the one who is asked for.
            (false, true) if session.is_some() => unmet(AuthorizeError::LoginRequired, "another user than the one asked for has logged in"),
            (false, _) => Next::LogIn(LoginStep::Password),
        };
    };
    let reached = session.authentication.acr();
    if request.acr.is_essential && !request.acr.is_met_by(reached) {
        return unmet(AuthorizeError::UnmetAuthenticationRequirements, "that acr cannot be reached");
    }
    if request.scope.is_empty() && request.resources.is_empty() {
        return unmet(AuthorizeError::InvalidScope, "nothing that was asked for may be given to this client");
    }
    // Whoever signs a device in sees each time which one it is (RFC 8628, 5.4).
    let is_asked_for = request.prompt.contains(&Prompt::Consent) || request.device.is_some();
    if progress.consented != Some(session.user_id)
        && (is_asked_for || consent::is_needed(client, &request.return_to.redirect_uri, &request.wanted(), granted))
    {
        return if is_silent { unmet(AuthorizeError::ConsentRequired, "the user has to be asked") } else { Next::AskConsent };
    }
    Next::Grant
}

/// Whether this session is not enough.
fn wants_login(request: &AuthorizationRequest, session: &SsoSession, progress: Progress, now: Timestamp) -> bool {
    // Who has just logged in has done so as late as can be; who it must be counts still.
    let is_too_old = || request.max_age.is_some_and(|age| now > session.authentication.at.plus(age));
    let is_asked_for = || request.prompt.iter().any(|prompt| matches!(prompt, Prompt::Login | Prompt::SelectAccount));
    let is_other = request.user.is_some_and(|user| user != session.user_id);
    let reaches_more = || {
        let best = Acr::REACHABLE.into_iter().max().unwrap_or(Acr::One);
        request.acr.is_essential && !request.acr.is_met_by(session.authentication.acr()) && request.acr.is_met_by(best)
    };
    is_other || (progress.logged_in != Some(session.user_id) && (is_too_old() || is_asked_for() || reaches_more()))
}
