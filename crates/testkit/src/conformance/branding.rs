//! How a tenant's pages look.
//!
//! Invariant: no check depends on another having run.

use std::sync::Arc;

use app::ports::store::Store;
use domain::branding::{Appearance, Branding, Logo};

use crate::sample;

/// A logo and the rest are changed apart, and each keeps the other. Two tenants share nothing, and what was not committed is not there.
pub async fn what_a_tenant_looks_like_is_its_own(store: Arc<dyn Store>) {
    let (a, b) = (sample::home(&*store).await.expect("stored").id(), sample::home(&*store).await.expect("stored").id());
    let logo = Logo::new(b"\x89PNG\r\n\x1a\n\0\xff".to_vec()).expect("is a picture");
    let red = Branding { accent: "#b00020".parse().expect("is a colour"), ..Branding::default() };
    let read = async |tenant| store.begin_read(tenant).await.expect("begins").branding().await.expect("read");
    assert_eq!(read(a).await, Appearance::default(), "a tenant that never said anything");

    let mut tx = store.begin(a).await.expect("begins");
    tx.logo_set(Some(&logo)).await.expect("set");
    tx.commit().await.expect("commits");
    let mut tx = store.begin(a).await.expect("begins");
    tx.branding_set(&red).await.expect("set");
    tx.commit().await.expect("commits");
    assert_eq!(read(a).await, Appearance { branding: red.clone(), logo_name: Some(logo.file_name()) });
    assert_eq!(store.begin_read(a).await.expect("begins").logo().await.expect("read"), Some(logo));
    assert_eq!(read(b).await, Appearance::default(), "another tenant's");
    assert_eq!(store.begin_read(b).await.expect("begins").logo().await.expect("read"), None);

    let mut tx = store.begin(a).await.expect("begins");
    tx.branding_set(&Branding::default()).await.expect("set");
    drop(tx);
    assert_eq!(read(a).await.branding, red, "rolled back");

    let mut tx = store.begin(a).await.expect("begins");
    tx.logo_set(None).await.expect("set");
    tx.commit().await.expect("commits");
    assert_eq!(read(a).await, Appearance { branding: red, logo_name: None });
}
