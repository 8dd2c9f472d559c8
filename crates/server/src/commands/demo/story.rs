//! The story: two tenants, one user, an honest session, a thief, a rotation that nobody notices, and an emergency.
//!
//! Invariant: every step ends with a check; the first that does not hold ends the story.

use std::sync::Arc;
use std::time::{Duration, Instant};

use app::ports::world::Clock;
use domain::time::Ttl;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::browser::{Browser, NotHeld, Tokens, shown};
use super::clock::DemoClock;
use super::told;
use super::verifier::{Verifier, kid_of};

type Held = Result<(), NotHeld>;

const PASSWORD: &str = "correct zebra battery stapler";
const TABS: usize = 8;

struct Story {
    browser: Browser,
    clock: Arc<DemoClock>,
    acme: String,
    verifier: Verifier,
    others_verifier: Verifier,
}

/// Plays everything. The error says which step did not hold, and why.
pub(super) async fn tell(browser: Browser, clock: Arc<DemoClock>) -> Held {
    let (acme, globex) = tenants(&browser).await.map_err(|why| format!("step 1: {why}"))?;
    let verifier = Verifier::new(browser.http.clone(), acme.clone(), Arc::clone(&clock));
    let others_verifier = Verifier::new(browser.http.clone(), globex, Arc::clone(&clock));
    let mut story = Story { browser, clock, acme, verifier, others_verifier };
    story.user().await.map_err(|why| format!("step 2: {why}"))?;
    let tokens = story.login().await.map_err(|why| format!("step 3: {why}"))?;
    story.verify(&tokens).await.map_err(|why| format!("step 4: {why}"))?;
    let next = story.refresh(&tokens).await.map_err(|why| format!("step 5: {why}"))?;
    let after = story.two_tabs(&next).await.map_err(|why| format!("step 6: {why}"))?;
    story.lost_response(&next, &after).await.map_err(|why| format!("step 7: {why}"))?;
    story.theft(&after).await.map_err(|why| format!("step 8: {why}"))?;
    let newest = story.rotation().await.map_err(|why| format!("step 9: {why}"))?;
    story.unsafe_policy().await.map_err(|why| format!("step 10: {why}"))?;
    story.emergency(&newest).await.map_err(|why| format!("step 11: {why}"))?;
    story.wrong_password().await.map_err(|why| format!("step 12: {why}"))
}

fn step(number: u8, title: &str) {
    told(format_args!("{number:>2}. {title}"));
}
fn asked(what: impl std::fmt::Display) {
    told(format_args!("    > {what}"));
}
fn came(what: impl std::fmt::Display) {
    told(format_args!("    < {what}"));
}
fn proves(what: impl std::fmt::Display) {
    told(format_args!("    = {what}"));
}
fn holds(is_so: bool, otherwise: &str) -> Held {
    if is_so { Ok(()) } else { Err(otherwise.to_owned()) }
}

async fn tenants(browser: &Browser) -> Result<(String, String), NotHeld> {
    step(1, "Two tenants");
    let mut issuers = Vec::new();
    for (slug, name) in [("acme", "Acme"), ("globex", "Globex")] {
        asked(format_args!("POST /admin/v1/tenants {{\"slug\":\"{slug}\",\"name\":\"{name}\"}}"));
        let answer = browser.admin(Method::POST, "/tenants", &json!({ "slug": slug, "name": name })).await?.expect(201)?;
        let issuer = answer.text("issuer")?;
        came(format_args!("201 issuer {issuer}"));
        issuers.push(issuer);
    }
    proves("each tenant has an issuer of its own, with keys of its own");
    match <[String; 2]>::try_from(issuers) {
        Ok([acme, globex]) if acme != globex => Ok((acme, globex)),
        _ => Err("the two tenants have one issuer".to_owned()),
    }
}

impl Story {
    async fn user(&self) -> Held {
        step(2, "A user in acme");
        asked("POST /admin/v1/tenants/acme/users {\"username\":\"alice\",\"email\":\"alice@acme.example\",\"password\":…}");
        let body = json!({ "username": "alice", "email": "alice@acme.example", "password": PASSWORD });
        let answer = self.browser.admin(Method::POST, "/tenants/acme/users", &body).await?.expect(201)?;
        came(format_args!("201 {}", answer.text("id")?));
        holds(!answer.body.to_string().contains("argon2"), "the answer shows the password's hash")?;
        proves("the password is stored as an argon2id hash that no answer shows");
        Ok(())
    }

    async fn login(&self) -> Result<Tokens, NotHeld> {
        step(3, "Alice logs in");
        asked("POST /t/acme/login {\"username\":\"alice\",\"password\":…}");
        let tokens = self.browser.login(&self.acme, PASSWORD).await?;
        came(format_args!("200 access_token {} refresh_token {}", shown(&tokens.access), shown(&tokens.refresh)));
        proves("a short-lived access token and a refresh token for the session");
        Ok(tokens)
    }

    async fn verify(&mut self, tokens: &Tokens) -> Held {
        step(4, "A resource server that knows only the issuer's address verifies the token");
        asked("GET /t/acme/.well-known/jwks.json, then checks signature, typ, iss, aud, exp");
        let claims = self.verifier.verify(&tokens.access).await?;
        came(format_args!("valid, kid {}, sub {}", kid_of(&tokens.access)?, claims["sub"].as_str().unwrap_or("?")));
        asked("the same token against globex' JWKS");
        let Err(refusal) = self.others_verifier.verify(&tokens.access).await else {
            return Err("acme's token verifies as globex'".to_owned());
        };
        came(format_args!("refused: {refusal}"));
        proves("any JWT library can verify, and tenants cannot be mistaken for each other");
        Ok(())
    }

    async fn refresh(&mut self, tokens: &Tokens) -> Result<Tokens, NotHeld> {
        step(5, "Refresh");
        asked(format_args!("POST /t/acme/oauth/token grant_type=refresh_token&refresh_token={}", shown(&tokens.refresh)));
        let next = self.browser.refresh(&self.acme, &tokens.refresh).await?;
        came("200 with the next refresh token");
        holds(next.refresh != tokens.refresh, "the refresh token was not rotated")?;
        self.verifier.verify(&next.access).await?;
        proves("every refresh rotates the token");
        Ok(next)
    }

    async fn two_tabs(&self, tokens: &Tokens) -> Result<Tokens, NotHeld> {
        step(6, "Many tabs refresh at once with the same token");
        asked(format_args!("{TABS} × POST /t/acme/oauth/token, in parallel"));
        let mut tabs = JoinSet::new();
        for _ in 0..TABS {
            let (browser, issuer, token) = (self.browser.clone(), self.acme.clone(), tokens.refresh.clone());
            tabs.spawn(async move { browser.refresh(&issuer, &token).await });
        }
        let mut got = Vec::new();
        while let Some(tab) = tabs.join_next().await {
            got.push(tab.map_err(|error| error.to_string())??);
        }
        let Some(first) = got.pop() else { return Err("no tab answered".to_owned()) };
        holds(got.iter().all(|tokens| tokens.refresh == first.refresh), "the tabs got different refresh tokens: the session is forked")?;
        came(format_args!("{TABS} × 200, all with the same next refresh token"));
        proves("a race logs nobody out and never forks the session");
        Ok(first)
    }

    async fn lost_response(&self, before: &Tokens, after: &Tokens) -> Held {
        step(7, "The response is lost, the application asks again");
        asked("the token before, once more");
        let again = self.browser.refresh(&self.acme, &before.refresh).await?;
        holds(again.refresh == after.refresh, "the retry got another successor")?;
        came("200 with the same successor as before");
        proves("a lost response loses no session");
        Ok(())
    }

    async fn theft(&self, stolen: &Tokens) -> Held {
        step(8, "A refresh token is stolen");
        asked("PATCH /admin/v1/tenants/acme {\"policy\":{\"retry_window_seconds\":1}}, so that we need not wait for 10 s");
        self.browser.admin(Method::PATCH, "/tenants/acme", &json!({ "policy": { "retry_window_seconds": 1 } })).await?.expect(200)?;
        let second = self.browser.refresh(&self.acme, &stolen.refresh).await?;
        let newest = self.browser.refresh(&self.acme, &second.refresh).await?;
        came("200; Alice has refreshed twice since the theft");
        tokio::time::sleep(Duration::from_millis(1_200)).await;
        asked(format_args!("the thief presents {}", shown(&stolen.refresh)));
        let thief = self.browser.try_refresh(&self.acme, &stolen.refresh).await?.expect(400)?;
        holds(thief.text("error")? == "invalid_grant", "the refusal is not invalid_grant")?;
        came("400 invalid_grant");
        asked("Alice presents her newest token");
        let alice = self.browser.try_refresh(&self.acme, &newest.refresh).await?.expect(400)?;
        holds(alice.body == thief.body, "the two refusals differ")?;
        came("400 invalid_grant, word for word the same");
        proves("a reused token ends its whole family: a thief gets nothing, and Alice logs in again");
        Ok(())
    }

    async fn rotation(&mut self) -> Result<Tokens, NotHeld> {
        step(9, "The administrator rotates a key, and nobody notices");
        let before = self.browser.login(&self.acme, PASSWORD).await?;
        let old = kid_of(&before.access)?;
        asked("PUT /admin/v1/tenants/acme/keys/policy {…\"lead_seconds\":3,\"jwks_max_age_seconds\":1…}");
        let policy = policy(3, 1);
        let least = self.browser.admin(Method::PUT, "/tenants/acme/keys/policy", &policy).await?.expect(200)?;
        came(format_args!("200, ring generation {}", least.body["generation"]));
        // Copies of the JWKS that were fetched under the policy before may live for its max-age of 300 s: the ring knows, and
        // would not let a new key sign before they are gone.
        self.clock.pass(Ttl::seconds(302));
        told("    … five minutes pass (the demo moves its clock), until no verifier holds a copy under the old policy's max-age");
        asked("POST /admin/v1/tenants/acme/keys/rotate {\"algs\":[\"ES256\"]}");
        let rotated = self.browser.admin(Method::POST, "/tenants/acme/keys/rotate", &json!({ "algs": ["ES256"] })).await?.expect(202)?;
        let staged = rotated.body["keys"].as_array().and_then(|keys| keys.iter().find(|key| key["state"] == "staged"));
        let sign_from = staged.and_then(|key| key["sign_from"].as_str()).ok_or("no staged key with sign_from in the answer")?;
        came(format_args!("202, the new key is published now and signs from {sign_from}; it is {}", self.clock.now()));

        let (mut latest, mut checks) = (before.clone(), 0);
        let deadline = Instant::now() + Duration::from_secs(12);
        let fetches = self.verifier.fetches;
        while kid_of(&latest.access)? == old {
            holds(Instant::now() < deadline, "the new key does not sign")?;
            tokio::time::sleep(Duration::from_millis(300)).await;
            latest = self.browser.refresh(&self.acme, &latest.refresh).await?;
            self.verifier.verify(&latest.access).await.map_err(|why| format!("a verifier noticed the rotation: {why}"))?;
            checks += 1;
        }
        self.verifier.verify(&before.access).await.map_err(|why| format!("a token from before does not verify: {why}"))?;
        came(format_args!(
            "a token every 300 ms, {checks} in all: 0 failures with {} fetches of the JWKS; now kid {}",
            self.verifier.fetches - fetches,
            kid_of(&latest.access)?
        ));
        proves("keys are published before they sign and stay after: tokens from before the rotation verify, too");
        Ok(latest)
    }

    async fn unsafe_policy(&self) -> Held {
        step(10, "An unsafe policy is refused");
        asked("PUT …/keys/policy {…\"lead_seconds\":1,\"jwks_max_age_seconds\":300…}");
        let answer = self.browser.admin(Method::PUT, "/tenants/acme/keys/policy", &policy(1, 300)).await?;
        holds((400..500).contains(&answer.status), "an unsafe policy was accepted")?;
        let why = answer.text("detail")?;
        holds(why.contains("lead_seconds"), "the refusal does not name the number")?;
        came(format_args!("{} {why}", answer.status));
        proves("nobody can configure an outage by accident");
        Ok(())
    }

    async fn emergency(&mut self, before: &Tokens) -> Held {
        step(11, "Emergency: a key has leaked");
        asked("POST …/keys/rotate {\"emergency\":true,\"reason\":\"demo\"}");
        let body = json!({ "emergency": true, "reason": "demo" });
        let answer = self.browser.admin(Method::POST, "/tenants/acme/keys/rotate", &body).await?.expect(202)?;
        holds(answer.body["breaks"].is_object(), "the answer does not say what breaks")?;
        came(format_args!("202 breaks {}", answer.body["breaks"]));
        let old = kid_of(&before.access)?;
        self.verifier.forget();
        holds(!self.verifier.kids().await?.contains(&old), "the leaked key is still in the JWKS")?;
        holds(self.verifier.verify(&before.access).await.is_err(), "a token of the leaked key still verifies")?;
        let after = self.browser.login(&self.acme, PASSWORD).await?;
        self.verifier.verify(&after.access).await?;
        came(format_args!("kid {old} is gone from the JWKS; a new login verifies with kid {}", kid_of(&after.access)?));
        proves("one step, at once, and it says its price");
        Ok(())
    }

    async fn wrong_password(&self) -> Held {
        step(12, "A wrong password");
        asked("POST /t/acme/login with another password");
        self.browser.try_login(&self.acme, "correct horse battery stapler").await?.expect(401)?;
        came("401");
        proves("and the right one is needed after all");
        Ok(())
    }
}

fn policy(lead: u32, max_age: u32) -> Value {
    json!({
        "algs": ["ES256", "RS256"], "access_token_alg": "ES256", "rotate_every_seconds": 7_776_000, "lead_seconds": lead,
        "overlap_seconds": 3_600, "jwks_max_age_seconds": max_age, "token_ttl_cap_seconds": 3_600,
    })
}
