//! What a pending authorization request still needs: a login, a consent, nothing, or to be refused.
//!
//! A small state machine without memory of its own: [`pick`] says which of a browser's accounts a request is about, and [`next`] looks at
//! the request, that account's session and what has happened since, and says the one thing to do. Another factor is another
//! [`LoginStep`], not another branch in a handler.

use serde::{Deserialize, Serialize};

use crate::authorize::{AuthorizationRequest, AuthorizeError, Prompt, Refusal, ResponseMode};
use crate::client::{Client, ConsentPolicy};
use crate::consent::{self, Allowed};
use crate::ids::UserId;
use crate::sso::{Acr, SsoSession};
use crate::text::LoginName;
use crate::time::Timestamp;
use crate::user::User;

/// What users have done for this request since it came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Progress {
    /// Who proved who they are after the request came.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub logged_in: Option<UserId>,
    /// Who allowed what is asked for.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub consented: Option<UserId>,
    /// What was chosen on the page of accounts, or by logging in, last.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub chosen: Option<Choice>,
    /// Who has typed a right password that has to be replaced: they are not logged in before that.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub half: Option<HalfWay>,
    /// How many steps its client has taken, where it asks for itself.
    #[serde(skip_serializing_if = "is_zero", default)]
    pub steps: u8,
}

fn is_zero(steps: &u8) -> bool {
    *steps == 0
}

/// A right password that is worth a new one, and nothing else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct HalfWay {
    pub user: UserId,
    pub at: Timestamp,
}

impl HalfWay {
    /// Whether `user` may choose a new password by it: it is demanded still, and was not chosen meanwhile.
    pub fn stands_for(&self, user: &User) -> bool {
        let is_asked = user.password_change_required_at.is_some() && user.password_changed_at <= self.at;
        self.user == user.id && user.may_log_in().is_ok() && is_asked
    }
}

/// Who is to go on with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Choice {
    Account(UserId),
    /// Somebody who is to log in.
    Another,
}

/// An account that a browser is logged in to.
pub type Account = (User, SsoSession);

/// Whom a request is about.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Pick<'a> {
    /// None of those who are logged in.
    Nobody,
    One(&'a Account),
    /// It has to be asked.
    Which,
}

/// Says which of the accounts of a browser a request is about. What somebody chose counts most; then what the client says.
pub fn pick<'a>(request: &AuthorizationRequest, accounts: &'a [Account], progress: Progress) -> Pick<'a> {
    let of = |id: UserId| accounts.iter().find(|(user, _)| user.id == id).map_or(Pick::Nobody, Pick::One);
    match progress.chosen {
        Some(Choice::Account(id)) => return of(id),
        Some(Choice::Another) => return Pick::Nobody,
        None => {}
    }
    if request.prompt.contains(&Prompt::SelectAccount) {
        return if accounts.is_empty() { Pick::Nobody } else { Pick::Which };
    }
    if !request.users.is_empty() {
        let mut wanted = accounts.iter().filter(|(user, _)| request.users.contains(&user.id));
        return match (wanted.next(), wanted.next()) {
            (Some(one), None) => Pick::One(one),
            (Some(_), Some(_)) => Pick::Which,
            (None, _) => Pick::Nobody,
        };
    }
    let is_hinted = |user: &User| request.login_hint.as_deref().is_some_and(|hint| goes_by(user, hint));
    match accounts {
        [] => Pick::Nobody,
        [one] => Pick::One(one),
        several => match several.iter().find(|(user, _)| is_hinted(user)) {
            Some(hinted) => Pick::One(hinted),
            // Who has to type their name in any case need not choose before.
            None if request.prompt.contains(&Prompt::Login) => Pick::Nobody,
            None => Pick::Which,
        },
    }
}

/// Whether a hint names this user: by a name to log in by, or by the id.
fn goes_by(user: &User, hint: &str) -> bool {
    let is_named = match hint.parse::<LoginName>() {
        Ok(LoginName::Username(name)) => user.names.username().is_some_and(|own| own.key() == name.key()),
        Ok(LoginName::Email(email)) => user.names.email().is_some_and(|own| own.key() == email.key()),
        Err(_) => false,
    };
    is_named || user.id.to_string() == hint
}

/// What a user is asked to prove themselves with. One-time passwords and passkeys come here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LoginStep {
    /// A name and its password, on one page.
    Password,
    /// A new password in place of the one that was right and has to go.
    NewPassword,
}

/// The one thing to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// One of the accounts that the browser is logged in to.
    ChooseAccount,
    LogIn(LoginStep),
    AskConsent,
    /// Nothing is missing.
    Grant,
    Refuse(Refusal),
}

/// Decides what comes next. Sessions stand for their users; `granted` is what the picked user has allowed this client before.
pub fn next(
    request: &AuthorizationRequest,
    client: &Client,
    picked: Pick<'_>,
    granted: Option<&Allowed>,
    progress: Progress,
    now: Timestamp,
) -> Next {
    let is_silent = request.prompt.contains(&Prompt::None);
    let unmet = |error, description| Next::Refuse(Refusal { error, description });
    let session = match picked {
        Pick::Which if is_silent => {
            return unmet(AuthorizeError::AccountSelectionRequired, "several users are logged in, and nothing says which one is meant");
        }
        Pick::Which => return Next::ChooseAccount,
        Pick::Nobody => None,
        Pick::One((_, session)) => Some(session),
    };
    let Some(session) = session.filter(|session| !wants_login(request, session, progress, now)) else {
        return match (is_silent, progress.logged_in.is_some()) {
            (true, _) => unmet(AuthorizeError::LoginRequired, "nobody is logged in who may be, or not lately enough"),
            // They did, and it was somebody else than the one who is asked for.
            (false, true) if session.is_some() => unmet(AuthorizeError::LoginRequired, "another user than the one asked for has logged in"),
            (false, _) if progress.half.is_some() => Next::LogIn(LoginStep::NewPassword),
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
    if progress.consented != Some(session.user_id) && (is_asked_for || is_consent_needed(request, client, granted)) {
        return if is_silent { unmet(AuthorizeError::ConsentRequired, "the user has to be asked") } else { Next::AskConsent };
    }
    Next::Grant
}

/// What is handed to the client itself reaches nobody else: there it is enough that it is the tenant's own.
fn is_consent_needed(request: &AuthorizationRequest, client: &Client, granted: Option<&Allowed>) -> bool {
    match request.return_to.mode {
        ResponseMode::Direct => client.settings.consent != ConsentPolicy::FirstParty,
        _ => consent::is_needed(client, &request.return_to.redirect_uri, &request.wanted(), granted),
    }
}

/// Whether this session is not enough.
fn wants_login(request: &AuthorizationRequest, session: &SsoSession, progress: Progress, now: Timestamp) -> bool {
    // Who has just logged in has done so as late as can be; who it must be counts still.
    let is_too_old = || request.max_age.is_some_and(|age| now > session.authentication.at.plus(age));
    let is_asked_for = || request.prompt.contains(&Prompt::Login);
    let is_other = !request.users.is_empty() && !request.users.contains(&session.user_id);
    let reaches_more = || {
        let best = Acr::REACHABLE.into_iter().max().unwrap_or(Acr::One);
        request.acr.is_essential && !request.acr.is_met_by(session.authentication.acr()) && request.acr.is_met_by(best)
    };
    is_other || (progress.logged_in != Some(session.user_id) && (is_too_old() || is_asked_for() || reaches_more()))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::authorize::{AcrWish, ResponseMode, ReturnAddress};
    use crate::client::{ClientId, ResponseType};
    use crate::details::AuthorizationDetails;
    use crate::handle::HandleHash;
    use crate::ids::SsoSessionId;
    use crate::openid::ClaimsRequest;
    use crate::resource::ResourceSet;
    use crate::sso::{Authentication, Method};
    use crate::user::{CustomClaims, Roles, UserNames, UserStatus};

    fn account(n: u8, name: &str) -> Account {
        let at = Timestamp::from_seconds(1_000);
        let id = UserId::new(at, [n; 10]);
        let names = UserNames::new(name.parse().ok(), format!("{name}@acme.example").parse().ok()).expect("names");
        let user = User {
            id,
            names,
            status: UserStatus::Active,
            roles: Roles::default(),
            claims: CustomClaims::default(),
            created_at: at,
            updated_at: at,
            password_changed_at: at,
            email_verified_at: None,
            password_change_required_at: None,
        };
        let session = SsoSession::begin(SsoSessionId::new(at, [n; 10]), HandleHash([n; 32]), id, Authentication::by(Method::Password, at));
        (user, session)
    }

    fn request(prompt: &[Prompt], login_hint: Option<&str>, user: Option<UserId>) -> AuthorizationRequest {
        AuthorizationRequest {
            client_id: ClientId::first_party(),
            response_type: ResponseType::Code,
            return_to: ReturnAddress { redirect_uri: "https://a.example/".to_owned(), mode: ResponseMode::Query, state: None },
            scope: "openid".parse().expect("a scope"),
            resources: ResourceSet::new(),
            details: AuthorizationDetails::none(),
            nonce: None,
            code_challenge: None,
            prompt: prompt.iter().copied().collect::<BTreeSet<_>>(),
            max_age: None,
            login_hint: login_hint.map(str::to_owned),
            users: user.into_iter().collect(),
            acr: AcrWish::default(),
            ui_locales: Vec::new(),
            claims: ClaimsRequest::default(),
            dpop_jkt: None,
            pushed: None,
            device: None,
        }
    }

    #[test]
    fn which_account_a_request_is_about() {
        let both = [account(1, "alice"), account(2, "bob")];
        let (alice, bob) = (both[0].0.id, both[1].0.id);
        let carol = UserId::new(Timestamp::from_seconds(1), [9; 10]);
        let fresh = Progress::default();
        let chose = |choice| Progress { chosen: Some(choice), ..fresh };
        let table: &[(AuthorizationRequest, usize, Progress, Result<u8, bool>)] = &[
            (request(&[], None, None), 0, fresh, Err(false)),
            (request(&[], None, None), 1, fresh, Ok(1)),
            (request(&[], None, None), 2, fresh, Err(true)),
            (request(&[Prompt::None], None, None), 2, fresh, Err(true)),
            (request(&[Prompt::Login], None, None), 1, fresh, Ok(1)),
            (request(&[Prompt::Login], None, None), 2, fresh, Err(false)),
            (request(&[], Some("BOB"), None), 2, fresh, Ok(2)),
            (request(&[], Some("bob@ACME.example"), None), 2, fresh, Ok(2)),
            (request(&[], Some(&bob.to_string()), None), 2, fresh, Ok(2)),
            (request(&[], Some("carol"), None), 2, fresh, Err(true)),
            (request(&[], None, Some(bob)), 2, fresh, Ok(2)),
            (request(&[], Some("alice"), Some(bob)), 2, fresh, Ok(2)),
            (request(&[], None, Some(carol)), 2, fresh, Err(false)),
            (request(&[Prompt::SelectAccount], None, None), 0, fresh, Err(false)),
            (request(&[Prompt::SelectAccount], Some("bob"), None), 1, fresh, Err(true)),
            (request(&[Prompt::SelectAccount], None, None), 2, chose(Choice::Account(bob)), Ok(2)),
            (request(&[Prompt::SelectAccount], None, None), 2, chose(Choice::Another), Err(false)),
            (request(&[], Some("bob"), Some(bob)), 2, chose(Choice::Account(alice)), Ok(1)),
            (request(&[], None, None), 2, chose(Choice::Account(carol)), Err(false)),
        ];
        for (at, (request, signed_in, progress, wanted)) in table.iter().enumerate() {
            let picked = match pick(request, &both[..*signed_in], *progress) {
                Pick::One((user, _)) => Ok(if user.id == alice { 1 } else { 2 }),
                Pick::Which => Err(true),
                Pick::Nobody => Err(false),
            };
            assert_eq!(picked, *wanted, "line {at}");
        }
    }

    #[test]
    fn who_needs_a_new_password_is_asked_for_one_and_gets_nothing_else() {
        let client = Client::first_party();
        let (mut alice, session) = account(1, "alice");
        let now = Timestamp::from_seconds(1_010);
        let half = HalfWay { user: alice.id, at: now };
        assert!(!half.stands_for(&alice), "nothing is demanded of her");
        alice.password_change_required_at = Some(now);
        assert!(half.stands_for(&alice) && !session.stands_for(&alice, now), "no session stands for her");
        let progress = Progress { half: Some(half), chosen: Some(Choice::Another), ..Progress::default() };
        let asked = |prompt: &[Prompt]| next(&request(prompt, None, None), &client, Pick::Nobody, None, progress, now);
        assert_eq!(asked(&[]), Next::LogIn(LoginStep::NewPassword));
        assert!(matches!(asked(&[Prompt::None]), Next::Refuse(_)));
        alice.password_changed_at = Timestamp::from_seconds(1_011);
        assert!(!half.stands_for(&alice), "it was chosen elsewhere");
    }

    #[test]
    fn a_choice_is_asked_for_on_a_page_or_told_to_be_needed() {
        let client = Client::first_party();
        let now = Timestamp::from_seconds(1_010);
        let asked = |request: &AuthorizationRequest| next(request, &client, Pick::Which, None, Progress::default(), now);
        assert_eq!(asked(&request(&[], None, None)), Next::ChooseAccount);
        let Next::Refuse(refusal) = asked(&request(&[Prompt::None], None, None)) else { panic!("refused") };
        assert_eq!(refusal.error, AuthorizeError::AccountSelectionRequired);
        // Whoever was chosen still logs in again where the client wants that, and only where it does.
        let alice = account(1, "alice");
        let chosen = Progress { chosen: Some(Choice::Account(alice.0.id)), ..Progress::default() };
        let then = |prompt: &[Prompt]| next(&request(prompt, None, None), &client, Pick::One(&alice), None, chosen, now);
        assert_eq!(then(&[Prompt::Login, Prompt::SelectAccount]), Next::LogIn(LoginStep::Password));
        assert_ne!(then(&[Prompt::SelectAccount]), Next::LogIn(LoginStep::Password));
    }
}
