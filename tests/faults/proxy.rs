//! A road to PostgreSQL that can be cut off without anybody being told: what is sent is swallowed, and no connection ends.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// What happens to what is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Road {
    is_open: bool,
    /// Connections of an earlier age are lost for good: they swallow everything, even when the road is open.
    age: u64,
}

#[derive(Debug)]
pub(crate) struct Proxy {
    port: u16,
    road: Arc<watch::Sender<Road>>,
}

impl Proxy {
    /// Forwards connections to `port` of this machine.
    pub(crate) async fn to(port: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
        let own = listener.local_addr().expect("an address").port();
        let road = Arc::new(watch::Sender::new(Road { is_open: true, age: 0 }));
        tokio::spawn(accept(listener, SocketAddr::from((Ipv4Addr::LOCALHOST, port)), Arc::clone(&road)));
        Self { port: own, road }
    }

    /// A database's URL, by way of this proxy.
    pub(crate) fn before(&self, url: &str, port: u16) -> String {
        url.replace(&format!(":{port}/"), &format!(":{}/", self.port))
    }

    /// Nothing gets through any more, on old connections or new ones, and none of them ends.
    pub(crate) fn swallow(&self) {
        self.road.send_modify(|road| road.is_open = false);
    }

    /// Everything that was held up arrives.
    pub(crate) fn forward_again(&self) {
        self.road.send_modify(|road| road.is_open = true);
    }

    /// New connections get through; the old ones stay lost, as after a firewall has forgotten them.
    pub(crate) fn forget_old_connections(&self) {
        self.road.send_modify(|road| *road = Road { is_open: true, age: road.age + 1 });
    }
}

async fn accept(listener: TcpListener, to: SocketAddr, road: Arc<watch::Sender<Road>>) {
    while let Ok((inner, _)) = listener.accept().await {
        let road = road.subscribe();
        tokio::spawn(async move {
            let Some(age) = opened(&mut road.clone(), None).await else { return };
            let Ok(outer) = TcpStream::connect(to).await else { return };
            let ((from_inner, to_inner), (from_outer, to_outer)) = (inner.into_split(), outer.into_split());
            tokio::spawn(forward(from_inner, to_outer, road.clone(), age));
            tokio::spawn(forward(from_outer, to_inner, road, age));
        });
    }
}

/// Waits until the road is open for a connection of this age (`None`: a new one); answers the age. Waits for ever for one that
/// is lost, and says `None` when the proxy is gone.
async fn opened(road: &mut watch::Receiver<Road>, age: Option<u64>) -> Option<u64> {
    let is_mine = |road: &Road| road.is_open && age.is_none_or(|age| age == road.age);
    road.wait_for(is_mine).await.ok().map(|road| road.age)
}

async fn forward(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut road: watch::Receiver<Road>, age: u64) {
    let mut buffer = vec![0; 16 * 1_024];
    while let Ok(length @ 1..) = from.read(&mut buffer).await {
        if opened(&mut road, Some(age)).await.is_none() || to.write_all(&buffer[..length]).await.is_err() {
            return;
        }
    }
    // The end of a connection does not get through either.
    let _ = opened(&mut road, Some(age)).await;
}
