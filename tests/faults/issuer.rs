//! A tenant as its verifiers see it: tokens that two nodes issue, keys that both publish, and rotations in between.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::task::JoinHandle;

use crate::caches::Caches;
use crate::caller::{Caller, Reply};

/// Tokens live for a minute ([`Caller::make_tenant`]), by the clock of the node.
const TOKEN_TTL: Duration = Duration::from_secs(60);

pub(crate) struct Issuer {
    /// Administrators of the tenant, one at each node.
    pub(crate) admins: [Caller; 2],
    pub(crate) caches: Arc<Caches>,
    refresh_token: String,
    /// Whose key signed last, at each node.
    kids: [String; 2],
    /// Every key that the ring was seen to have. On a slow machine the oldest leave it while others are made.
    known: HashSet<String>,
}

impl Issuer {
    /// Of a tenant that is there; `nodes` are administrators.
    pub(crate) async fn new(name: &str, nodes: [Caller; 2]) -> Self {
        let admins = nodes.map(|node| node.of(name));
        admins[0].make_user("alice").await;
        let login = admins[0].login("alice").await.expect("an answer").is(200);
        let caches = Arc::new(Caches::default());
        let kid = caches.note(&login.word("access_token"), TOKEN_TTL);
        Self { admins, caches, refresh_token: login.word("refresh_token"), kids: [kid.clone(), kid], known: HashSet::new() }
    }

    /// The key that signed last.
    pub(crate) fn kid(&self) -> &str {
        &self.kids[1]
    }

    /// Keys that were served although the ring never had them.
    pub(crate) fn unknown_keys(&self) -> Vec<String> {
        self.caches.kids().difference(&self.known).cloned().collect()
    }

    pub(crate) fn verifiers_fetch(&self) -> Vec<JoinHandle<()>> {
        self.admins.iter().enumerate().map(|(node, admin)| self.caches.fetch_from(node, admin.clone())).collect()
    }

    /// The ES256 keys of the ring, whatever state they are in. Notes all that there are, also the RSA key that a new tenant may have got
    /// before it was given its policy.
    async fn keys(&mut self, node: usize) -> Vec<String> {
        let reply = self.admins[node].get(&self.admins[node].admin_path("keys")).await.expect("an answer").is(200);
        self.known.extend(keys_of(&reply).iter().map(kid));
        let mut kids: Vec<String> = kids_of(&reply).collect();
        kids.sort();
        kids
    }

    pub(crate) async fn order_rotation(&self, node: usize) -> Reply {
        let admin = &self.admins[node];
        admin.post(&admin.admin_path("keys/rotate"), json!({ "algs": ["ES256"] })).await.expect("an answer")
    }

    /// A token of each node, shown to the other one.
    pub(crate) async fn refresh_at_both_nodes(&mut self) {
        for node in [0, 1] {
            let reply = self.admins[node].refresh(&self.refresh_token).await.expect("an answer").is(200);
            self.refresh_token = reply.word("refresh_token");
            let access_token = reply.word("access_token");
            self.kids[node] = self.caches.note(&access_token, TOKEN_TTL);
            self.admins[1 - node].me(&access_token).await.expect("an answer").is(200);
        }
    }

    /// Tokens are issued at both nodes until both sign with one new key.
    pub(crate) async fn until_a_new_key_signs(&mut self, patience: Duration) {
        let (begun, old) = (Instant::now(), self.kids.clone());
        while self.kids.iter().any(|kid| old.contains(kid)) || self.kids[0] != self.kids[1] {
            assert!(begun.elapsed() < patience, "the new key does not sign at both nodes");
            self.refresh_at_both_nodes().await;
            tokio::time::sleep(Duration::from_millis(50)).await; // A client's pace.
        }
    }

    /// One rotation, ordered at both nodes in the same moment, and everything until its key signs at both.
    pub(crate) async fn is_rotated_at_both_nodes(&mut self) {
        let before = self.keys(0).await;
        let (one, other) = tokio::join!(self.order_rotation(0), self.order_rotation(1));
        let mut statuses = [one.status, other.status];
        statuses.sort_unstable();
        assert_eq!(statuses, [202, 409], "{}\n{}", one.text, other.text);
        let ordered: Vec<String> = [&one, &other].into_iter().filter(|reply| reply.status == 202).flat_map(kids_of).collect();
        let new: Vec<&String> = ordered.iter().filter(|kid| !before.contains(kid)).collect();
        assert_eq!(new.len(), 1, "one rotation, one new key: {before:?}, {ordered:?}");
        self.until_a_new_key_signs(Duration::from_secs(20)).await;
        assert_eq!(self.kid(), new[0], "the key that was ordered is the one that signs");
        let (at_one, at_other) = (self.keys(0).await, self.keys(1).await);
        assert_eq!(at_one, at_other, "the nodes agree");
        let made: Vec<&String> = at_one.iter().filter(|kid| !before.contains(kid)).collect();
        assert_eq!(made, new, "{before:?}, {at_one:?}");
    }
}

fn keys_of(ring: &Reply) -> Vec<Value> {
    ring.json()["keys"].as_array().expect("keys").clone()
}

fn kid(key: &Value) -> String {
    key["kid"].as_str().expect("a kid").to_owned()
}

fn kids_of(ring: &Reply) -> impl Iterator<Item = String> {
    keys_of(ring).into_iter().filter(|key| key["alg"] == "ES256").map(|key| kid(&key))
}
