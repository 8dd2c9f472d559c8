//! Connections that keep a place without using it are closed.
//!
//! actix-http limits the head of the first request and the silence between two requests. A peer that sends the beginning of a
//! second head, the rest of a refused body, or that never reads its answer, is bounded by neither; here it is, whatever it does.

use std::any::Any;
use std::cell::Cell;
use std::io;
use std::net::{Shutdown, TcpStream};
use std::rc::{Rc, Weak};
use std::time::{Duration, Instant};

use actix_web::body::MessageBody;
use actix_web::dev::{Extensions, ServiceRequest, ServiceResponse};
use actix_web::http::ConnectionType;
use actix_web::middleware::Next;
use actix_web::rt::task::JoinHandle;
use actix_web::{Error, HttpRequest, rt, web};
use prometheus::IntGauge;

use crate::state::ApiState;

/// How long a peer may take to read the last answer of its connection.
const LINGER: Duration = Duration::from_secs(2);

/// Requests of one connection that are worked on at a time. HTTP/1 has one; HTTP/2 would set no bound.
const MOST_AT_ONCE: usize = 100;

/// One connection while it lives. Its requests find it as connection data.
#[derive(Debug)]
pub(crate) struct Connection {
    /// A second handle of the connection's socket: the first one belongs to the dispatcher.
    socket: Rc<TcpStream>,
    moved_at: Rc<Cell<Instant>>,
    watch: JoinHandle<()>,
    /// One for each request that is worked on, and its own.
    turns: Rc<()>,
    /// How many there are.
    open: IntGauge,
}

/// Held for as long as a request is worked on.
#[derive(Debug)]
pub(crate) struct Turn {
    _turn: Rc<()>,
}

impl Connection {
    /// Begins to watch a connection: it is closed when no request began or was answered on it for longer than `patience`.
    /// Must be called inside an actix runtime.
    pub(crate) fn watch(io: &dyn Any, data: &mut Extensions, patience: Duration, open: IntGauge) {
        let Some(stream) = io.downcast_ref::<rt::net::TcpStream>() else { return };
        let socket = match second_handle(stream) {
            Ok(socket) => Rc::new(socket),
            Err(error) => return tracing::warn!(%error, "a connection is not watched: out of file descriptors?"),
        };
        let moved_at = Rc::new(Cell::new(Instant::now()));
        let watch = rt::spawn(close_when_stuck(Rc::downgrade(&socket), Rc::clone(&moved_at), patience));
        open.inc();
        data.insert(Self { socket, moved_at, watch, turns: Rc::default(), open });
    }

    /// Begins to work on a request, unless too many of this connection are worked on.
    pub(crate) fn turn(&self) -> Option<Turn> {
        (Rc::strong_count(&self.turns) <= MOST_AT_ONCE).then(|| Turn { _turn: Rc::clone(&self.turns) })
    }

    /// Closes the connection soon: there is one more answer to read, and nothing more to ask.
    pub(crate) fn hang_up(&self) {
        let socket = Rc::downgrade(&self.socket);
        rt::spawn(async move {
            rt::time::sleep(LINGER).await;
            close(&socket);
        });
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.watch.abort();
        self.open.dec();
    }
}

#[cfg(unix)]
fn second_handle(stream: &rt::net::TcpStream) -> io::Result<TcpStream> {
    std::os::fd::AsFd::as_fd(stream).try_clone_to_owned().map(TcpStream::from)
}

#[cfg(windows)]
fn second_handle(stream: &rt::net::TcpStream) -> io::Result<TcpStream> {
    std::os::windows::io::AsSocket::as_socket(stream).try_clone_to_owned().map(TcpStream::from)
}

/// Tells the connection that a request began, and that it was answered; on a node that is going, for the last time.
pub(crate) async fn moving(request: ServiceRequest, next: Next<impl MessageBody>) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let moved = |request: &HttpRequest| {
        if let Some(connection) = request.conn_data::<Connection>() {
            connection.moved_at.set(Instant::now());
        }
    };
    moved(request.request());
    let mut response = next.call(request).await?;
    moved(response.request());
    if response.request().app_data::<web::Data<ApiState>>().is_some_and(|state| state.is_leaving()) {
        response.response_mut().head_mut().set_connection_type(ConnectionType::Close);
    }
    Ok(response)
}

async fn close_when_stuck(socket: Weak<TcpStream>, moved_at: Rc<Cell<Instant>>, patience: Duration) {
    while let Some(rest) = patience.checked_sub(moved_at.get().elapsed()) {
        rt::time::sleep(rest).await;
    }
    tracing::debug!("a connection that did not move was closed");
    close(&socket);
}

/// Ends both directions; the dispatcher sees it and lets go.
fn close(socket: &Weak<TcpStream>) {
    if let Some(socket) = socket.upgrade() {
        // An error says that the peer was faster.
        let _ = socket.shutdown(Shutdown::Both);
    }
}
