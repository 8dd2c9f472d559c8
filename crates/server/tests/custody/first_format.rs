//! A database of the schema before custody, whose secrets know no kind and no version, and whose installation secret was sealed by the
//! key-encryption key itself.

use std::sync::Arc;

use app::ports::keys::{KeyCommand, Keys};
use app::ports::store::Store;
use aws_lc_rs::aead::{AES_256_GCM, Aad, RandomizedNonceKey};
use aws_lc_rs::hmac;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use domain::ids::{FamilyId, TenantId};
use domain::keys::plan::Intent;
use domain::keys::ring::{KeyRing, Kid, PublicJwk, RingKey};
use domain::token::family::Generation;
use domain::token::refresh_token;
use keys::kek::{Kek, LocalKek};
use keys::{Rewrapped, rewrap_all};
use testkit::sample::{self, NOW};

use crate::failing::{Failing, Lives};
use crate::stage::{Backend, Place, by, custody, kek, node, on_both};

on_both! {
    what_the_first_format_sealed_is_taken_over_when_it_is_first_needed,
    wrapping_anew_takes_over_whatever_the_first_format_sealed,
}

/// The steps of the schema that the first format lived in.
const BEFORE_CUSTODY: u32 = 4;
const KEK: [u8; 32] = [21; 32];
const MAC_KEY: [u8; 32] = [22; 32];
const TOKEN_SECRET: [u8; 32] = [23; 32];

/// How the first format sealed: nonce, ciphertext, tag.
fn seal_1(key: &[u8; 32], context: &str, plain: &[u8]) -> Vec<u8> {
    let key = RandomizedNonceKey::new(&AES_256_GCM, key).expect("a key");
    let mut body = plain.to_vec();
    let nonce = key.seal_in_place_append_tag(Aad::from(context.as_bytes()), &mut body).expect("sealed");
    [nonce.as_ref().as_slice(), &body].concat()
}

fn the_kek() -> Arc<dyn Kek> {
    Arc::new(LocalKek::from_file_text(&format!("claviger-kek-1:first:{}", URL_SAFE_NO_PAD.encode(KEK))).expect("a key"))
}

fn signing_key() -> (RingKey, Vec<u8>) {
    let rng = aws_lc_rs::rand::SystemRandom::new();
    let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &rng).expect("a key");
    let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, document.as_ref()).expect("a key");
    let (x, y) = pair.public_key().as_ref()[1..].split_at(32);
    let (x, y) = (URL_SAFE_NO_PAD.encode(x), URL_SAFE_NO_PAD.encode(y));
    let canonical = format!(r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#);
    let thumbprint = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, canonical.as_bytes());
    let kid: Kid = URL_SAFE_NO_PAD.encode(thumbprint).parse().expect("a kid");
    let public = PublicJwk::EC { crv: "P-256".to_owned(), x, y };
    (RingKey { public, ..sample::ring_key(kid) }, document.as_ref().to_vec())
}

/// A row's values, by column, in the order of the statement.
enum Cell {
    Text(String),
    Number(i64),
    Blob(Vec<u8>),
    Id(TenantId),
}

/// Writes into the first schema, on either backend. The tenant's rows are written as the tenant, for row-level security.
async fn insert(url: &str, tenant: TenantId, rows: Vec<(&str, Vec<Cell>)>) {
    macro_rules! insert_with {
        ($pool:ident, $setting:expr) => {{
            let pool = sqlx::$pool::connect(url).await.expect("connected");
            let mut tx = pool.begin().await.expect("begins");
            if let Some(sql) = $setting {
                sqlx::query(sqlx::AssertSqlSafe(sql)).execute(&mut *tx).await.expect("set");
            }
            for (into, cells) in rows {
                let places = (1..=cells.len()).map(|n| format!("${n}")).collect::<Vec<_>>().join(", ");
                let sql = format!("INSERT INTO {into} VALUES ({places})");
                let mut query = sqlx::query(sqlx::AssertSqlSafe(sql));
                for cell in cells {
                    query = match cell {
                        Cell::Text(text) => query.bind(text),
                        Cell::Number(number) => query.bind(number),
                        Cell::Blob(blob) => query.bind(blob),
                        Cell::Id(id) => query.bind(id.as_uuid()),
                    };
                }
                query.execute(&mut *tx).await.expect("inserted");
            }
            tx.commit().await.expect("commits");
            pool.close().await;
        }};
    }
    if url.starts_with("sqlite:") {
        insert_with!(SqlitePool, None::<String>);
    } else {
        insert_with!(PgPool, Some(format!("SELECT set_config('claviger.tenant', '{}', true)", tenant.as_uuid())));
    }
}

/// The database that the program of the first schema would have left: two tenants and the installation's secret.
async fn old_database(place: &Place) -> Vec<(TenantId, RingKey)> {
    storage::migrate_steps(&place.url, Some(BEFORE_CUSTODY)).await.expect("migrated");
    let mut tenants = Vec::new();
    for n in 0..2_u8 {
        let tenant = sample::tenant();
        let (ring_key, private) = signing_key();
        let kid = ring_key.kid.as_str().to_owned();
        let ring = KeyRing { keys: vec![ring_key.clone()], ..sample::ring() };
        let data_key = [30 + n; 32];
        let of = |name: &str| format!("claviger/secret/1|{}|{name}", tenant.id);
        let id = || Cell::Id(tenant.id);
        let text = |text: &str| Cell::Text(text.to_owned());
        let secret = |name: &str, plain: &[u8]| vec![id(), text(name), Cell::Blob(seal_1(&data_key, &of(name), plain))];
        let mut rows = vec![
            (
                "tenants (id, slug, name, status, policy, created_at, updated_at)",
                vec![id(), text(tenant.slug.as_str()), text("Old"), text("active"), text("{}"), Cell::Number(1), Cell::Number(1)],
            ),
            (
                "key_rings (tenant_id, generation, ring, kek_id, data_key, updated_at)",
                vec![
                    id(),
                    Cell::Number(1),
                    Cell::Text(serde_json::to_string(&ring).expect("JSON")),
                    text("first"),
                    Cell::Blob(seal_1(&KEK, &format!("claviger/data-key/1|{}", tenant.id), &data_key)),
                    Cell::Number(1),
                ],
            ),
            ("sealed_secrets (tenant_id, name, sealed)", secret(&kid, &private)),
            ("sealed_secrets (tenant_id, name, sealed)", secret("refresh-token/1", &TOKEN_SECRET)),
            ("used_kids (kid)", vec![text(&kid)]),
        ];
        if n == 0 {
            let sealed = seal_1(&KEK, "claviger/installation/1|platform-admin", &MAC_KEY);
            rows.push(("installation_secrets (name, kek_id, sealed)", vec![text("platform-admin"), text("first"), Cell::Blob(sealed)]));
        }
        insert(&place.url, tenant.id, rows).await;
        tenants.push((tenant.id, ring_key));
    }
    tenants
}

/// A refresh token as the first program made it.
fn refresh_token(tenant: TenantId, family: FamilyId) -> String {
    let body = refresh_token::body(1, family, Generation::FIRST);
    let message = [b"claviger/refresh/1".as_slice(), tenant.as_bytes(), &body].concat();
    let mac = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &TOKEN_SECRET), &message);
    refresh_token::format(&body, mac.as_ref().try_into().expect("32 bytes"))
}

async fn versions(store: &dyn Store, tenant: TenantId) -> (u32, Vec<u32>) {
    let mut tx = store.begin_read(tenant).await.expect("begins");
    let data_key = tx.data_key().await.expect("read").expect("there");
    (data_key.version, tx.sealed_secrets().await.expect("read").iter().map(|secret| secret.version).collect())
}

async fn what_the_first_format_sealed_is_taken_over_when_it_is_first_needed(backend: Backend) {
    let place = Place::new(backend).await;
    let tenants = old_database(&place).await;
    let store: Arc<dyn Store> = Arc::new(place.store().await);
    let keks = custody(&[&the_kek()]).await;
    // Two nodes wake everything at once.
    let nodes = [node(Arc::new(place.store().await), &keks), node(Arc::new(place.store().await), &keks)];
    let expected = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &MAC_KEY), b"message");
    for macs in futures_util::future::join_all(nodes.iter().map(|node| node.installation_mac(b"message"))).await {
        assert_eq!(macs.expect("a MAC"), expected.as_ref(), "tokens of the platform's admin still hold");
    }
    for (tenant, ring_key) in &tenants {
        assert_eq!(versions(&*store, *tenant).await, (0, vec![0, 0]));
        let family = FamilyId::new(NOW, [4; 10]);
        for signer in futures_util::future::join_all(nodes.iter().map(|node| node.signer(*tenant, 0))).await {
            let signer = signer.expect("a signer");
            let old_token = refresh_token(*tenant, family);
            assert_eq!(signer.open_refresh(&old_token), Some((family, Generation::FIRST)), "sessions go on");
            assert_eq!(signer.mint_refresh(family, Generation::FIRST), old_token);
        }
        assert_eq!(versions(&*store, *tenant).await, (1, vec![1, 1]));
        let ring = nodes[0].published(*tenant).await.expect("a ring").ring.clone();
        assert_eq!(ring.keys[0], *ring_key);
        let rotated = nodes[1].execute(*tenant, KeyCommand::Plan(Intent::Emergency { reason: "leaked".to_owned() }), by()).await;
        assert!(rotated.expect("changed").changed);
        assert!(nodes[0].signer(*tenant, rotated_generation(&nodes[1], *tenant).await).await.is_ok());
    }
    for node in nodes {
        node.shutdown().await;
    }
    let uses = store.begin_platform().await.expect("begins").kek_uses().await.expect("read");
    assert_eq!(uses.iter().map(|used| used.data_keys).collect::<Vec<_>>(), [3], "nothing of the first format is left");
}

/// Where a transaction does not see one single moment (PostgreSQL), another node may take over between any two reads.
#[test]
fn a_taking_over_in_between_disturbs_nobody() {
    crate::stage::play(
        async |backend| {
            let keks = custody(&[&the_kek()]).await;
            for call in 1..=9 {
                let place = Place::new(backend).await;
                for (tenant, _) in old_database(&place).await {
                    let other = node(Arc::new(place.store().await), &keks);
                    let act = async move { assert!(other.signer(tenant, 0).await.is_ok()) };
                    let store = Failing { inner: place.store().await, lives: Lives::interrupted(call, act) };
                    let signed = node(Arc::new(store), &keks).signer(tenant, 0).await;
                    assert!(signed.is_ok(), "interrupted before call {call}: {:?}", signed.err());
                }
            }
        },
        Backend::Postgres,
    );
}

async fn rotated_generation(node: &keys::KeyDirectory, tenant: TenantId) -> u64 {
    node.published(tenant).await.expect("a ring").ring.generation
}

async fn wrapping_anew_takes_over_whatever_the_first_format_sealed(backend: Backend) {
    let place = Place::new(backend).await;
    let tenants = old_database(&place).await;
    let inner = place.store().await;
    let store: Arc<dyn Store> = Arc::new(inner.clone());
    let new = kek();
    let both = custody(&[&new, &the_kek()]).await;
    let mut calls = 1;
    // Killed at one call after the other; what was taken over stays so, and the rest still opens.
    let total = loop {
        let lives = Lives::new(calls, calls % 2 == 0);
        let dying = Failing { inner: inner.clone(), lives: Arc::clone(&lives) };
        match rewrap_all(&dying, &both, &mut |_| {}).await {
            Ok(total) => break total,
            Err(_) => assert!(lives.are_over()),
        }
        for (tenant, _) in &tenants {
            let (data_key, secrets) = versions(&*store, *tenant).await;
            assert!(secrets.iter().all(|version| *version == data_key), "all of a tenant's or none");
        }
        calls += 1;
    };
    assert_eq!(total.failed, 0);
    assert!(calls > 10, "{calls}");
    let node = node(Arc::new(place.store().await), &both);
    node.installation_mac(b"").await.expect("taken over");
    node.shutdown().await;
    assert_eq!(rewrap_all(&*store, &both, &mut |_| {}).await, Ok(Rewrapped::default()));
    let only_new = crate::stage::node(Arc::new(place.store().await), &custody(&[&new]).await);
    for (tenant, _) in &tenants {
        assert!(only_new.signer(*tenant, 0).await.is_ok());
    }
    only_new.installation_mac(b"").await.expect("the installation needs the new key only");
    only_new.shutdown().await;
}
