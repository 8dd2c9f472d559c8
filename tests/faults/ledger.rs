//! What a client may rely on: every answer it got, and what it must therefore get from now on.
//!
//! Invariant: a breach is written down, not panicked about, so that one run finds all of them.

use std::collections::{HashMap, HashSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use app::ports::world::Clock;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use serde_json::{Value, json};
use server::SystemClock;

use crate::caller::{Answered, Caller, Reply, TENANT};
use crate::chance::Chance;

/// An old token is answered with the same successor for ten seconds; half of that is left for a slow machine.
const SURELY_WITHIN_THE_WINDOW: Duration = Duration::from_secs(5);
/// How many access tokens are verified by signature after each crash; the kid of every one is looked for.
const VERIFIED: usize = 60;

/// What all clients of a run have seen.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    breaches: Mutex<Vec<String>>,
    pub(crate) requests: AtomicU64,
    pub(crate) unanswered: AtomicU64,
    sessions: AtomicU64,
    /// Each refresh token, and the session it was given for.
    refresh_tokens: Mutex<HashMap<String, u64>>,
    jtis: Mutex<HashSet<String>>,
    access_tokens: Mutex<Vec<AccessToken>>,
    /// Keys that a rotation has announced since the last crash.
    announced: Mutex<Vec<String>>,
}

#[derive(Debug)]
struct AccessToken {
    token: String,
    kid: String,
    exp: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// Must go on.
    Live,
    /// Its end was asked for and not acknowledged: either is right, but it stays so.
    Unsure,
    /// Its end was acknowledged: never again.
    Ended,
}

#[derive(Debug)]
pub(crate) struct Session {
    number: u64,
    /// The refresh tokens that were acknowledged, the newest last.
    tokens: Vec<String>,
    access_token: String,
    /// When the newest token was first presented: it may have been exchanged since, by an attempt whose answer was lost.
    presented_at: Option<Instant>,
    /// No later than the exchange that made the newest token.
    head_at: Instant,
    pub(crate) state: State,
}

impl Ledger {
    pub(crate) fn breach(&self, what: String) {
        self.breaches.lock().expect("nobody panicked with it").push(what);
    }

    pub(crate) fn breaches(&self) -> Vec<String> {
        self.breaches.lock().expect("nobody panicked with it").clone()
    }

    /// Counts a request; 503 is no answer: it says that nothing is known.
    fn answer(&self, answered: Answered) -> Option<Reply> {
        self.requests.fetch_add(1, Ordering::Relaxed);
        let reply = answered.ok().filter(|reply| reply.status != 503);
        if reply.is_none() {
            self.unanswered.fetch_add(1, Ordering::Relaxed);
        }
        reply
    }

    /// Takes the tokens out of a 200 and insists that none of them was given to anybody else.
    fn tokens(&self, reply: &Reply, session: u64) -> (String, String) {
        let (refresh_token, access_token) = (reply.word("refresh_token"), reply.word("access_token"));
        let owner = *self.refresh_tokens.lock().expect("nobody panicked with it").entry(refresh_token.clone()).or_insert(session);
        if owner != session {
            self.breach(format!("sessions {owner} and {session} were given the same refresh token"));
        }
        let payload = access_token.split('.').nth(1).and_then(|payload| URL_SAFE_NO_PAD.decode(payload).ok()).unwrap_or_default();
        let claims: Value = serde_json::from_slice(&payload).expect("claims");
        let (jti, exp) = (claims["jti"].as_str().expect("a jti").to_owned(), claims["exp"].as_i64().expect("an exp"));
        if !self.jtis.lock().expect("nobody panicked with it").insert(jti.clone()) {
            self.breach(format!("two access tokens have the jti {jti}"));
        }
        let kid = decode_header(&access_token).expect("a JWT").kid.expect("a kid");
        let issued = AccessToken { token: access_token.clone(), kid, exp };
        self.access_tokens.lock().expect("nobody panicked with it").push(issued);
        (refresh_token, access_token)
    }

    pub(crate) async fn log_in(&self, caller: &Caller, username: &str) -> Option<Session> {
        let reply = self.answer(caller.login(username).await)?;
        if reply.status != 200 {
            self.breach(format!("an honest login was answered with {}: {}", reply.status, reply.text));
            return None;
        }
        let number = self.sessions.fetch_add(1, Ordering::Relaxed);
        let (refresh_token, access_token) = self.tokens(&reply, number);
        Some(Session { number, tokens: vec![refresh_token], access_token, presented_at: None, head_at: Instant::now(), state: State::Live })
    }

    /// Orders new signing keys and notes which were announced.
    pub(crate) async fn rotate_keys(&self, admin: &Caller) -> Option<()> {
        let path = format!("/admin/v1/tenants/{TENANT}/keys/rotate");
        let reply = self.answer(admin.post(&path, json!({ "algs": ["ES256"] })).await)?;
        match reply.status {
            202 => {
                let ring = reply.json();
                let staged = ring["keys"].as_array().expect("keys").iter().filter(|key| key["state"] == "staged");
                let kids = staged.map(|key| key["kid"].as_str().expect("a kid").to_owned());
                self.announced.lock().expect("nobody panicked with it").extend(kids);
            }
            // One is staged already, or the ring is full: it has to wait.
            409 => {}
            status => self.breach(format!("a rotation was answered with {status}: {}", reply.text)),
        }
        Some(())
    }

    /// Disables a user. `Some(true)` when that was acknowledged, `None` when nothing is known.
    pub(crate) async fn disable(&self, admin: &Caller, user: &str) -> Option<()> {
        self.change(admin.post(&format!("/admin/v1/tenants/{TENANT}/users/{user}/disable"), json!({})).await)
    }

    pub(crate) async fn enable(&self, admin: &Caller, user: &str) -> Option<()> {
        self.change(admin.post(&format!("/admin/v1/tenants/{TENANT}/users/{user}/enable"), json!({})).await)
    }

    fn change(&self, answered: Answered) -> Option<()> {
        let reply = self.answer(answered)?;
        if !(200..300).contains(&reply.status) {
            self.breach(format!("a change of a user was answered with {}: {}", reply.status, reply.text));
        }
        Some(())
    }

    /// Whether the user is disabled, by a change of its row: one that a dead server left under way has ended before.
    pub(crate) async fn is_disabled(&self, admin: &Caller, user: &str, cycle: u64) -> Option<bool> {
        let path = format!("/admin/v1/tenants/{TENANT}/users/{user}");
        let reply = self.answer(admin.patch(&path, json!({ "claims": { "cycle": cycle } })).await)?;
        if reply.status != 200 {
            self.breach(format!("a change of a user was answered with {}: {}", reply.status, reply.text));
            return None;
        }
        Some(reply.word("status") == "disabled")
    }

    /// After a restart: every key that a living access token was signed with is published, and so is what was announced.
    pub(crate) async fn check_keys(&self, caller: &Caller, chance: &Chance) {
        // Others may go on working meanwhile: what they see from now on is not asked for here.
        let announced = std::mem::take(&mut *self.announced.lock().expect("nobody panicked with it"));
        let mut living = std::mem::take(&mut *self.access_tokens.lock().expect("nobody panicked with it"));
        let Some(reply) = self.answer(caller.jwks().await).filter(|reply| reply.status == 200) else {
            return self.breach("no JWKS after the restart".to_owned());
        };
        let jwks = reply.json();
        let keys: HashMap<&str, &Value> =
            jwks["keys"].as_array().expect("keys").iter().map(|key| (key["kid"].as_str().expect("a kid"), key)).collect();
        for kid in announced {
            if !keys.contains_key(kid.as_str()) {
                self.breach(format!("the key {kid} was announced and is gone from the JWKS"));
            }
        }
        // A second for the way.
        let now = SystemClock.now().as_seconds() + 1;
        living.retain(|token| token.exp > now);
        for token in living.iter().filter(|token| !keys.contains_key(token.kid.as_str())) {
            self.breach(format!("the key {} of a living access token is gone from the JWKS", token.kid));
        }
        let mut validation = Validation::new(Algorithm::ES256);
        validation.set_issuer(&[format!("http://id.test/t/{TENANT}")]);
        validation.set_audience(&[format!("http://id.test/t/{TENANT}")]);
        for _ in 0..VERIFIED.min(living.len()) {
            let token = &living[chance.index(living.len()).expect("there are some")];
            let Some(key) = keys.get(token.kid.as_str()) else { continue };
            let key = DecodingKey::from_jwk(&serde_json::from_value::<Jwk>((*key).clone()).expect("a JWK")).expect("a key");
            if let Err(error) = decode::<Value>(&token.token, &key, &validation) {
                self.breach(format!("an access token does not verify after the restart: {error}"));
            }
        }
        self.access_tokens.lock().expect("nobody panicked with it").append(&mut living);
    }
}

impl Session {
    pub(crate) fn head(&self) -> &str {
        self.tokens.last().expect("a session has a token")
    }

    /// Whether there is a token that nobody honest would still present.
    pub(crate) fn has_stale_token(&self) -> bool {
        self.tokens.len() > 6
    }

    /// Takes the answer to the newest token.
    fn advance(&mut self, reply: &Reply, ledger: &Ledger) {
        if reply.status != 200 {
            ledger.breach(format!("session {} was lost: {} {}", self.number, reply.status, reply.text));
            self.state = State::Ended;
            return;
        }
        let (refresh_token, access_token) = ledger.tokens(reply, self.number);
        if self.tokens.contains(&refresh_token) {
            ledger.breach(format!("session {} was given an old refresh token", self.number));
        }
        self.tokens.push(refresh_token);
        (self.access_token, self.head_at) = (access_token, self.presented_at.take().unwrap_or_else(Instant::now));
    }

    /// The newest token, on its way to a node.
    pub(crate) fn presents(&mut self) -> String {
        self.presented_at.get_or_insert_with(Instant::now);
        self.head().to_owned()
    }

    /// Refreshes, as an honest client does.
    pub(crate) async fn refresh(&mut self, caller: &Caller, ledger: &Ledger) -> Option<()> {
        let reply = ledger.answer(caller.refresh(&self.presents()).await)?;
        self.advance(&reply, ledger);
        Some(())
    }

    /// Two tabs present the same token at once: both get the same successor.
    pub(crate) async fn refresh_in_two_tabs(&mut self, caller: &Caller, ledger: &Ledger) -> Option<()> {
        let head = self.presents();
        let (one, other) = tokio::join!(caller.refresh(&head), caller.refresh(&head));
        let (one, other) = (ledger.answer(one), ledger.answer(other));
        let (first, second) = match (one, other) {
            (Some(first), second) => (first, second),
            (None, Some(second)) => (second, None),
            (None, None) => return None,
        };
        self.advance(&first, ledger);
        match second {
            Some(second) if self.state == State::Live => self.is_answered_with_the_head(&second, ledger),
            Some(_) => {}
            // The other tab has heard nothing.
            None => return None,
        }
        Some(())
    }

    /// A slow tab presents the token before, within the retry window.
    pub(crate) async fn refresh_in_a_slow_tab(&mut self, caller: &Caller, ledger: &Ledger) -> Option<()> {
        let [.., before, _] = self.tokens.as_slice() else { return Some(()) };
        if self.head_at.elapsed() < SURELY_WITHIN_THE_WINDOW {
            let reply = ledger.answer(caller.refresh(before).await)?;
            self.is_answered_with_the_head(&reply, ledger);
        }
        Some(())
    }

    /// The token before the newest one was presented once more. Long after its exchange the answer may be another successor,
    /// which is then the newest.
    fn is_answered_with_the_head(&mut self, reply: &Reply, ledger: &Ledger) {
        if reply.status != 200 {
            return ledger.breach(format!("session {}: a retry was answered with {} {}", self.number, reply.status, reply.text));
        }
        let (refresh_token, _) = ledger.tokens(reply, self.number);
        if refresh_token != self.head() {
            if self.head_at.elapsed() < SURELY_WITHIN_THE_WINDOW {
                ledger.breach(format!("session {} has two heads", self.number));
            }
            self.tokens.push(refresh_token);
        }
    }

    /// Ends it in one of the ways there are.
    pub(crate) async fn end(&mut self, way: u64, caller: &Caller, ledger: &Ledger) -> Option<()> {
        self.state = State::Unsure;
        let (expected, answered) = match way {
            0 => (200, caller.revoke(self.head()).await),
            1 => (204, caller.logout(self.head()).await),
            // A thief shows a token that was used long ago.
            _ => (400, caller.refresh(&self.tokens[0]).await),
        };
        let reply = ledger.answer(answered)?;
        if reply.status != expected {
            ledger.breach(format!("session {}: its end was answered with {} {}", self.number, reply.status, reply.text));
        }
        self.state = State::Ended;
        Some(())
    }

    /// After a restart: what was acknowledged holds. Whatever hung in the air is settled here.
    pub(crate) async fn check(&mut self, caller: &Caller, ledger: &Ledger) {
        let presented = self.presents();
        let Some(reply) = ledger.answer(caller.refresh(&presented).await) else {
            return ledger.breach(format!("session {}: no answer after the restart", self.number));
        };
        let is_refused = reply.status == 400 && reply.text.contains("invalid_grant");
        match self.state {
            State::Ended if is_refused => {}
            State::Ended => ledger.breach(format!("session {} has ended and was answered with {}", self.number, reply.status)),
            State::Unsure if is_refused => self.state = State::Ended,
            State::Live | State::Unsure => {
                self.advance(&reply, ledger);
                if self.state != State::Ended {
                    self.state = State::Live;
                    // The honest client asks once more, because that answer was lost, too.
                    match ledger.answer(caller.refresh(&presented).await) {
                        Some(again) => self.is_answered_with_the_head(&again, ledger),
                        None => ledger.breach(format!("session {}: no answer after the restart", self.number)),
                    }
                }
            }
        }
        let expected = if self.state == State::Ended { 401 } else { 200 };
        match ledger.answer(caller.me(&self.access_token).await) {
            Some(reply) if reply.status == expected => {}
            other => ledger.breach(format!("session {}: /me was answered with {other:?}, not {expected}", self.number)),
        }
    }
}
