//! Flows that are broken off somewhere, and what must be true once somebody has asked again.
//!
//! Enter at [`Flow`]: `prepared`, then `attempt`, during which something happens, then `settle`.
//! Invariant: whether a flow that was broken off has happened is never assumed; both are right, half of it is not.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use testkit::postgres::{Durability, Postgres};

use crate::caller::{Answered, Caller, Reply};
use crate::node::{Node, Site};
use crate::proxy::Proxy;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flow {
    LogIn,
    Refresh,
    Rotate,
    RotateInAnEmergency,
    RotateKek,
    DeleteTenant,
}

impl Flow {
    pub(crate) const ALL: [Self; 6] =
        [Self::LogIn, Self::Refresh, Self::Rotate, Self::RotateInAnEmergency, Self::RotateKek, Self::DeleteTenant];
}

/// A node that reaches its PostgreSQL by way of a proxy.
pub(crate) struct Stage {
    pub(crate) proxy: Proxy,
    pub(crate) site: Site,
    pub(crate) node: Node,
    admin_token: String,
    /// Tenants so far; each attempt has one of its own.
    tenants: u32,
    deleted: Vec<String>,
    /// Goes last.
    _server: Postgres,
}

/// A tenant in which something is about to be attempted.
pub(crate) struct Prepared {
    tenant: String,
    user: String,
    /// A session that goes on: its newest refresh token.
    head: String,
    kids: Vec<String>,
}

impl Stage {
    pub(crate) async fn new() -> Self {
        let (server, url) = tokio::task::spawn_blocking(|| {
            let server = Postgres::start(Durability::None);
            let url = server.fresh_database();
            (server, url)
        })
        .await
        .expect("PostgreSQL starts");
        let proxy = Proxy::to(server.port()).await;
        let site = Site::postgres(&proxy.before(&url, server.port()));
        let node = site.start().await;
        let admin_token = site.admin_token();
        Self { proxy, site, node, admin_token, tenants: 0, deleted: Vec::new(), _server: server }
    }

    /// An administrator of a tenant. Nobody stays at one address, because logins that were cut off are not forgiven.
    fn admin(&self, tenant: &str) -> Caller {
        let address = format!("10.9.{}.{}", self.tenants / 256, self.tenants % 256);
        self.node.caller().bearing(&self.admin_token).of(tenant).from(address)
    }
}

/// What came as an answer; a 503 says nothing.
fn answer(answered: Answered) -> Option<Reply> {
    answered.ok().filter(|reply| reply.status != 503)
}

fn kids_of(ring: &Value, state: &str) -> Vec<String> {
    let keys = ring["keys"].as_array().expect("keys").iter().filter(|key| state.is_empty() || key["state"] == state);
    keys.map(|key| key["kid"].as_str().expect("a kid").to_owned()).collect()
}

impl Flow {
    /// A new tenant with a user, who has a session that was refreshed before.
    pub(crate) async fn prepared(self, stage: &mut Stage) -> Prepared {
        stage.tenants += 1;
        let tenant = format!("t{}", stage.tenants);
        let admin = stage.admin(&tenant);
        admin.make_tenant().await;
        let user = admin.make_user("alice").await;
        let first = admin.login("alice").await.expect("an answer").is(200).word("refresh_token");
        let head = admin.refresh(&first).await.expect("an answer").is(200).word("refresh_token");
        let ring = admin.get(&admin.admin_path("keys")).await.expect("an answer").is(200).json();
        Prepared { tenant, user, head, kids: kids_of(&ring, "active") }
    }

    /// Does it, once; answers whether there was an answer. `armed` is called with the process that does it.
    pub(crate) async fn attempt(self, stage: &Stage, prepared: &Prepared, armed: impl FnOnce(String)) -> bool {
        let admin = stage.admin(&prepared.tenant);
        if self == Self::RotateKek {
            stage.site.turn_keks();
            let command = stage.site.begin(&["kek", "rotate"]);
            armed(command.id().expect("it runs").to_string());
            return command.wait_with_output().await.expect("it ended").status.success();
        }
        armed(stage.node.pid());
        let answered = match self {
            Self::LogIn => admin.login("alice").await,
            Self::Refresh => admin.refresh(&prepared.head).await,
            Self::Rotate => admin.post(&admin.admin_path("keys/rotate"), json!({})).await,
            Self::RotateInAnEmergency => admin.post(&admin.admin_path("keys/rotate"), json!({ "emergency": true })).await,
            Self::DeleteTenant => admin.delete(&format!("/admin/v1/tenants/{0}?confirm={0}", prepared.tenant)).await,
            Self::RotateKek => unreachable!("it is a command"),
        };
        answer(answered).inspect(|reply| assert!(reply.status < 400, "{self:?}: {} {}", reply.status, reply.text)).is_some()
    }

    /// Whoever had no answer asks again, and all is well. `was_answered` says that it has happened for sure.
    pub(crate) async fn settle(self, stage: &mut Stage, prepared: &Prepared, was_answered: bool) {
        stage.tenants += 1;
        let admin = stage.admin(&prepared.tenant);
        let ring = async || admin.get(&admin.admin_path("keys")).await.expect("an answer").is(200).json();
        match self {
            Self::DeleteTenant => return self.is_deleted(stage, prepared).await,
            Self::LogIn => {
                let sessions = admin.get(&admin.admin_path(&format!("users/{}/sessions", prepared.user))).await.expect("an answer").is(200);
                let count = sessions.json()["items"].as_array().expect("items").len();
                assert!((1..=2).contains(&count) && (count == 2 || !was_answered), "{count} sessions, answered: {was_answered}");
                let token = admin.login("alice").await.expect("an answer").is(200).word("refresh_token");
                admin.refresh(&token).await.expect("an answer").is(200);
            }
            // The session is looked at below.
            Self::Refresh => {}
            Self::Rotate => {
                let again = admin.post(&admin.admin_path("keys/rotate"), json!({})).await.expect("an answer");
                assert!(again.status == 409 || (again.status == 202 && !was_answered), "{} {}", again.status, again.text);
                let ring = ring().await;
                assert_eq!(kids_of(&ring, "active"), prepared.kids, "the keys that sign");
                assert_eq!(kids_of(&ring, "staged").len(), 1, "one rotation, one new key: {ring}");
                assert_eq!(kids_of(&ring, "").len(), 2, "{ring}");
            }
            Self::RotateInAnEmergency => {
                let done = ring().await;
                let revoked = kids_of(&done, "revoked");
                assert!(revoked == prepared.kids || (revoked.is_empty() && !was_answered), "{done}");
                admin.post(&admin.admin_path("keys/rotate"), json!({ "emergency": true })).await.expect("an answer").is(202);
                let ring = ring().await;
                let (active, revoked) = (kids_of(&ring, "active"), kids_of(&ring, "revoked"));
                assert_eq!(active.len(), 1, "{ring}");
                assert!(revoked.contains(&prepared.kids[0]) && !revoked.contains(&active[0]), "{ring}");
            }
            Self::RotateKek => {
                let again = stage.site.run(&["kek", "rotate"]);
                assert!(again.status.success(), "{}", String::from_utf8_lossy(&again.stderr));
                let status = stage.site.run(&["kek", "status"]);
                let text = String::from_utf8_lossy(&status.stdout);
                let held = |line: &str| line.split_whitespace().nth(2).and_then(|count| count.parse::<u64>().ok());
                let others = text.lines().filter(|line| line.contains("works") && !line.contains("primary"));
                assert!(status.status.success() && others.map(held).all(|count| count == Some(0)), "{text}");
                // Somebody that this node has never seen, so that it has to open what was wrapped anew.
                stage.tenants += 1;
                let other = stage.admin(&format!("t{}", stage.tenants));
                other.make_tenant().await;
            }
        }
        Self::is_whole(&admin, prepared).await;
    }

    /// The session goes on, with one head, and its access token is good with the JWKS.
    async fn is_whole(admin: &Caller, prepared: &Prepared) {
        let next = admin.refresh(&prepared.head).await.expect("an answer").is(200).word("refresh_token");
        let again = admin.refresh(&prepared.head).await.expect("an answer").is(200);
        assert_eq!(again.word("refresh_token"), next, "two heads");
        let access_token = again.word("access_token");
        admin.me(&access_token).await.expect("an answer").is(200);
        admin.refresh(&next).await.expect("an answer").is(200);
        let kid = jsonwebtoken::decode_header(&access_token).expect("a JWT").kid.expect("a kid");
        let jwks = admin.jwks().await.expect("an answer").is(200);
        assert!(jwks.text.contains(&kid), "{} lacks {kid}", jwks.text);
    }

    async fn is_deleted(self, stage: &mut Stage, prepared: &Prepared) {
        let admin = stage.admin(&prepared.tenant);
        let path = format!("/admin/v1/tenants/{0}?confirm={0}", prepared.tenant);
        let again = admin.delete(&path).await.expect("an answer");
        assert!([202, 204, 404].contains(&again.status), "{} {}", again.status, again.text);
        for gone in [admin.login("alice").await, admin.jwks().await, admin.get(&admin.admin_path("users")).await] {
            gone.expect("an answer").is(404);
        }
        admin.refresh(&prepared.head).await.expect("an answer").is(404);
        stage.deleted.push(prepared.tenant.clone());
    }
}

impl Stage {
    /// Erasing is for the sweep where a request did not get to it, and a node sweeps when it starts: then the slugs are free, and
    /// whoever takes one finds nothing of its former owner.
    pub(crate) async fn deleted_slugs_are_free(&mut self) {
        self.node = self.site.start().await;
        let begun = Instant::now();
        for tenant in &self.deleted {
            let admin = self.admin(tenant);
            loop {
                let made = admin.post("/admin/v1/tenants", json!({ "slug": tenant, "name": "anew" })).await.expect("an answer");
                if made.status == 201 {
                    break;
                }
                made.is(409);
                assert!(begun.elapsed() < Duration::from_secs(30), "the slug is still taken");
                tokio::time::sleep(Duration::from_millis(100)).await; // Somebody tries again now and then.
            }
            admin.login("alice").await.expect("an answer").is(401);
            admin.make_user("alice").await;
        }
    }
}
