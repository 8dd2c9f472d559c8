//! The guard against a listener that must not hear from it, and against servers that behave badly.

use std::collections::HashMap;
use std::net::IpAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;

mod spellings;

use spellings::{INSIDE, NAMED_INSIDE, STRANGE};

/// A resolver of our own: what it does not know, it says is not there.
struct Names(HashMap<&'static str, Vec<IpAddr>>);

impl Resolve for Names {
    fn resolve(&self, name: Name) -> Resolving {
        let found = self.0.get(name.as_str().trim_end_matches('.').to_ascii_lowercase().as_str()).cloned();
        Box::pin(async move {
            let found = found.ok_or("no such name")?;
            Ok(Box::new(found.into_iter().map(|address| SocketAddr::new(address, 0))) as Addrs)
        })
    }
}

fn names() -> Arc<dyn Resolve> {
    let address = |text: &str| -> IpAddr { text.parse().expect("an address") };
    let known = [
        ("localhost", vec![address("127.0.0.1"), address("::1")]),
        ("inside.example", vec![address("127.0.0.1")]),
        ("mixed.example", vec![address("8.8.8.8"), address("127.0.0.1")]),
        ("mapped.example", vec![address("::ffff:127.0.0.1")]),
        ("nat64.example", vec![address("64:ff9b::7f00:1")]),
        ("six.example", vec![address("::1")]),
        ("any.example", vec![address("0.0.0.0")]),
        ("metadata.google.internal", vec![address("169.254.169.254")]),
        ("127.0.0.1.nip.io", vec![address("127.0.0.1")]),
    ];
    Arc::new(Names(HashMap::from(known)))
}

fn client(open: &[&str]) -> GuardedHttp {
    // An error says that it is installed already.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let open = open.iter().map(|range| range.parse().expect("a range")).collect();
    GuardedHttp::with_names(open, None, names()).expect("a client")
}

#[tokio::test]
async fn no_spelling_of_an_address_inside_is_connected_to() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port().to_string();
    let guarded = client(&[]);
    let inside =
        INSIDE.iter().chain(NAMED_INSIDE).flat_map(|host| [format!("https://{host}:{{port}}/x?y"), format!("http://{host}:{{port}}/")]);
    let urls: Vec<_> = inside.chain(STRANGE.iter().map(|url| (*url).to_owned())).map(|url| url.replace("{port}", &port)).collect();
    assert!(INSIDE.len() + NAMED_INSIDE.len() + STRANGE.len() >= 100);
    for url in &urls {
        for answer in [guarded.get(url, "application/json").await, guarded.post_form(url, &[("a", "b")]).await] {
            assert!(matches!(answer, Err(OutboundFault::Refused(_))), "{url}: {answer:?}");
        }
    }
    // The first who comes is this one: none of them has been there.
    let own = tokio::net::TcpStream::connect(listener.local_addr().expect("an address")).await.expect("connected");
    let (_, first) = listener.accept().await.expect("a connection");
    assert_eq!(first, own.local_addr().expect("an address"));
}

/// Answers the first request with these bytes, and closes; with `stalls`, it never does.
async fn server(answer: Vec<u8>, stalls: bool) -> (String, tokio::task::JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}/x", listener.local_addr().expect("an address"));
    let served = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.expect("a connection");
        let mut request = vec![0; 4096];
        let read = stream.read(&mut request).await.expect("a request");
        // The other side may have read enough.
        let _ = stream.write_all(&answer).await;
        if stalls {
            // Until the other side gives up.
            let _ = stream.read(&mut [0]).await;
        }
        String::from_utf8_lossy(&request[..read]).into_owned()
    });
    (url, served)
}

#[tokio::test]
async fn an_opened_range_is_talked_to_and_a_redirect_is_an_answer_like_any() {
    let (url, served) = server(
        b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Type: Text/Plain; charset=x\r\nContent-Length: 2\r\n\r\nhi".into(),
        false,
    )
    .await;
    let open = client(&["127.0.0.0/8"]);
    let answer = open.post_form(&url, &[("logout_token", "a b&c")]).await.expect("an answer");
    assert_eq!(answer, Answer { status: 302, content_type: "text/plain".to_owned(), max_age: None, body: b"hi".to_vec() });
    let request = served.await.expect("served");
    assert!(request.starts_with("POST /x HTTP/1.1\r\n") && request.ends_with("logout_token=a+b%26c"), "{request}");
    // What is opened is this range, and no other.
    for closed in ["http://[::1]:1/", "http://10.0.0.1/", "http://8.8.8.8/", "http://six.example/", "http://mixed.example/"] {
        let answer = open.get(closed, "*/*").await;
        assert!(matches!(answer, Err(OutboundFault::Refused(_))), "{closed}: {answer:?}");
    }
}

#[tokio::test]
async fn a_body_beyond_64_kib_is_not_read_to_its_end() {
    let body = vec![b'x'; LARGEST + 1];
    let sized = [format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len()).into_bytes(), body.clone()].concat();
    let unsized_ = [b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n".to_vec(), body].concat();
    for answer in [sized, unsized_] {
        let (url, _) = server(answer, false).await;
        let answer = client(&["127.0.0.0/8"]).get(&url, "*/*").await;
        assert!(matches!(&answer, Err(OutboundFault::Failed(why)) if why.contains("larger")), "{answer:?}");
    }
}

#[tokio::test]
async fn who_never_finishes_an_answer_is_left_after_three_seconds() {
    let (url, served) = server(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf".into(), true).await;
    let began = std::time::Instant::now();
    let answer = client(&["127.0.0.0/8"]).get(&url, "*/*").await;
    assert!(matches!(answer, Err(OutboundFault::Failed(_))), "{answer:?}");
    assert!(began.elapsed() >= WHOLE_TIMEOUT && began.elapsed() < WHOLE_TIMEOUT * 3, "{:?}", began.elapsed());
    served.await.expect("the connection was closed");
}

#[test]
fn how_long_an_answer_may_be_kept_is_read_from_it() {
    for (said, wanted) in [
        ("max-age=60", Some(60)),
        ("public, Max-Age=3600", Some(3_600)),
        ("max-age=60, no-store", Some(0)),
        ("no-cache", Some(0)),
        ("max-age=-1", None),
        ("max-age=99999999999", None),
        ("private", None),
        ("", None),
    ] {
        assert_eq!(super::max_age(said), wanted, "{said}");
    }
}
