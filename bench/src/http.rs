//! HTTP/1.1 as far as a load generator needs it: keep-alive, one request at a time, answers with a `Content-Length`.
//!
//! Hand-written, so that whoever asks takes little of the processor that whoever answers is measured on. [`Connection`] is for
//! the load, [`Line`] (blocking) for what goes before it.
//!
//! Invariant: whatever this module does not understand is an error, never an answer.

use std::io::{Read, Write};
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::{Failed, Outcome};

/// Room for one read.
const CHUNK: usize = 16 * 1_024;
/// The longest answer that is read, in bytes.
const MOST: usize = 1 << 20;
/// How long set-up requests may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// One whole answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Answer<'b> {
    pub(crate) status: u16,
    head: &'b [u8],
    pub(crate) body: &'b [u8],
}

impl<'b> Answer<'b> {
    /// All headers, in their order.
    pub(crate) fn headers(&self) -> impl Iterator<Item = (&'b str, &'b str)> + use<'b> {
        lines(self.head).skip(1).filter_map(|line| {
            let (name, value) = std::str::from_utf8(line).ok()?.split_once(':')?;
            Some((name, value.trim()))
        })
    }

    /// Insists on a status.
    pub(crate) fn insist(&self, status: u16) -> Outcome<()> {
        if self.status == status {
            return Ok(());
        }
        Err(format!("status {} instead of {status}: {}", self.status, String::from_utf8_lossy(self.body)).into())
    }
}

/// Where a whole answer lies in what was read: its status, the end of its head and its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Extent {
    status: u16,
    head: usize,
    whole: usize,
}

impl Extent {
    fn of(self, bytes: &[u8]) -> Answer<'_> {
        Answer { status: self.status, head: &bytes[..self.head], body: &bytes[self.head..self.whole] }
    }
}

/// Finds the answer that `bytes` are; `None` while some of it is still to come.
///
/// # Errors
/// When it can never become one, and when there is more than one answer.
///
/// Source: RFC 9112, 4 and 6.
fn extent(bytes: &[u8]) -> Outcome<Option<Extent>> {
    let Some(head) = bytes.windows(4).position(|end| end == b"\r\n\r\n").map(|end| end + 4) else {
        return if bytes.len() > MOST { Err("the head of the answer has no end".into()) } else { Ok(None) };
    };
    let mut lines = lines(&bytes[..head]);
    let status = lines.next().and_then(status).ok_or("no HTTP/1.1 status line")?;
    let mut length = None;
    for line in lines {
        let colon = line.iter().position(|byte| *byte == b':').ok_or("a header without a colon")?;
        let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
        if name.eq_ignore_ascii_case(b"transfer-encoding") {
            return Err("a transfer encoding, which this client does not read".into());
        }
        if name.eq_ignore_ascii_case(b"content-length") {
            if !value.iter().all(u8::is_ascii_digit) || length.is_some() {
                return Err("a bad Content-Length".into());
            }
            length = std::str::from_utf8(value).ok().and_then(|text| text.parse::<usize>().ok()).filter(|length| *length <= MOST);
            length.ok_or("a bad Content-Length")?;
        }
    }
    let length = match status {
        204 | 304 => 0,
        100..=199 => return Err(format!("an interim answer ({status}) that nobody asked for").into()),
        _ => length.ok_or("no Content-Length")?,
    };
    let whole = head + length;
    match bytes.len() {
        read if read < whole => Ok(None),
        read if read > whole => Err("more came than the answer".into()),
        _ => Ok(Some(Extent { status, head, whole })),
    }
}

fn status(line: &[u8]) -> Option<u16> {
    let rest = line.strip_prefix(b"HTTP/1.1 ")?;
    let (digits, after) = rest.split_at_checked(3)?;
    if !digits.iter().all(u8::is_ascii_digit) || !matches!(after, [] | [b' ', ..]) {
        return None;
    }
    std::str::from_utf8(digits).ok()?.parse().ok().filter(|status| *status >= 100)
}

/// The lines of a head, without their ends and without the empty last one.
fn lines(head: &[u8]) -> impl Iterator<Item = &[u8]> {
    head.split(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line)).filter(|line| !line.is_empty())
}

/// A request with a body, ready to be sent.
pub(crate) fn request(into: &mut Vec<u8>, method: &str, path: &str, headers: &str, body: &[u8]) {
    into.clear();
    // Writing to a Vec cannot fail.
    let _ = write!(into, "{method} {path} HTTP/1.1\r\nhost: 127.0.0.1\r\n{headers}content-length: {}\r\n\r\n", body.len());
    into.extend_from_slice(body);
}

/// A connection that stays open; for the load.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: tokio::net::TcpStream,
    read: Vec<u8>,
}

impl Connection {
    pub(crate) async fn open(addr: SocketAddr) -> Outcome<Self> {
        let stream = tokio::net::TcpStream::connect(addr).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, read: Vec::with_capacity(CHUNK) })
    }

    /// Sends one request and waits for its answer.
    ///
    /// # Errors
    /// When no whole answer comes. The connection is of no use then.
    pub(crate) async fn exchange(&mut self, request: &[u8]) -> Outcome<Answer<'_>> {
        self.stream.write_all(request).await?;
        self.read.clear();
        loop {
            self.read.reserve(CHUNK);
            if self.stream.read_buf(&mut self.read).await? == 0 {
                return Err(gone());
            }
            if let Some(extent) = extent(&self.read)? {
                return Ok(extent.of(&self.read));
            }
        }
    }
}

/// A connection that stays open and blocks; for what goes before the load.
#[derive(Debug)]
pub(crate) struct Line {
    stream: std::net::TcpStream,
    read: Vec<u8>,
}

impl Line {
    pub(crate) fn open(addr: SocketAddr) -> Outcome<Self> {
        let stream = std::net::TcpStream::connect(addr)?;
        if stream.local_addr()? == stream.peer_addr()? {
            // What may happen where nobody listens yet, when the system picks this very port for the asking side.
            return Err("connected to itself".into());
        }
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Self { stream, read: Vec::new() })
    }

    /// Like [`Connection::exchange`].
    pub(crate) fn exchange(&mut self, request: &[u8]) -> Outcome<Answer<'_>> {
        self.stream.write_all(request)?;
        self.read.clear();
        let mut chunk = [0; CHUNK];
        loop {
            let read = match self.stream.read(&mut chunk) {
                // A signal came, such as that of a server that has ended.
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                read => read?,
            };
            if read == 0 {
                return Err(gone());
            }
            self.read.extend_from_slice(&chunk[..read]);
            if let Some(extent) = extent(&self.read)? {
                return Ok(extent.of(&self.read));
            }
        }
    }
}

fn gone() -> Failed {
    "the server closed the connection before it had answered".into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: &[u8] = b"HTTP/1.1 200 OK\r\nContent-LENGTH: 5\r\netag:  \"a:b\" \r\n\r\nhello";

    fn parsed(bytes: &[u8]) -> Answer<'_> {
        extent(bytes).expect("well-formed").expect("whole").of(bytes)
    }

    #[test]
    fn a_whole_answer_is_read_with_its_status_headers_and_body() {
        let answer = parsed(WHOLE);
        assert_eq!((answer.status, answer.body), (200, b"hello".as_slice()));
        assert_eq!(answer.headers().collect::<Vec<_>>(), [("Content-LENGTH", "5"), ("etag", "\"a:b\"")]);
        assert!(answer.insist(200).is_ok());
        assert!(answer.insist(201).expect_err("another").to_string().contains("hello"), "the body says why");
    }

    #[test]
    fn an_answer_is_waited_for_byte_by_byte() {
        for end in 0..WHOLE.len() {
            assert_eq!(extent(&WHOLE[..end]).expect("no error yet"), None, "{end} bytes");
        }
    }

    #[test]
    fn an_answer_that_has_no_body_by_its_status_ends_with_its_head() {
        for status in [204, 304] {
            let bytes = format!("HTTP/1.1 {status} \r\ndate: x\r\n\r\n");
            assert_eq!(parsed(bytes.as_bytes()).body, b"");
        }
        let not_modified = b"HTTP/1.1 304 Not Modified\r\ncontent-length: 9\r\n\r\n";
        assert_eq!(parsed(not_modified).body, b"", "RFC 9112, 6.3: whatever its Content-Length says");
    }

    #[test]
    fn what_is_no_answer_to_one_request_is_an_error() {
        for bad in [
            "HTTP/1.0 200 OK\r\ncontent-length: 0\r\n\r\n",
            "HTTP/1.1 20 OK\r\ncontent-length: 0\r\n\r\n",
            "HTTP/1.1 2000 OK\r\ncontent-length: 0\r\n\r\n",
            "HTTP/1.1 099 OK\r\ncontent-length: 0\r\n\r\n",
            "HTTP/1.1 +20 OK\r\ncontent-length: 0\r\n\r\n",
            "HTTP/1.1 100 Continue\r\n\r\n",
            "\r\n\r\n",
            "HTTP/1.1 200 OK\r\n\r\nuntil the end",
            "HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n",
            "HTTP/1.1 200 OK\r\ncontent-length: +1\r\n\r\na",
            "HTTP/1.1 200 OK\r\ncontent-length: \r\n\r\n",
            "HTTP/1.1 200 OK\r\ncontent-length: 99999999999999999999\r\n\r\n",
            "HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 1\r\n\r\na",
            "HTTP/1.1 200 OK\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n0\r\n",
            "HTTP/1.1 200 OK\r\nnonsense\r\ncontent-length: 0\r\n\r\n",
            "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\nHTTP/1.1 200 OK\r\n",
        ] {
            assert!(extent(bad.as_bytes()).is_err(), "{bad:?}");
        }
        assert!(extent(&vec![b'a'; MOST + 1]).is_err(), "a head without an end");
    }

    #[test]
    fn a_request_says_how_long_its_body_is() {
        let mut bytes = b"old".to_vec();
        request(&mut bytes, "POST", "/a", "x: y\r\n", b"abc");
        assert_eq!(bytes, b"POST /a HTTP/1.1\r\nhost: 127.0.0.1\r\nx: y\r\ncontent-length: 3\r\n\r\nabc");
    }
}
