//! The guard against a listener that must not hear from it, and against servers that behave badly.

use std::collections::HashMap;
use std::net::IpAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;

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

/// Spellings of hosts that lead inside. `{port}` stands after each.
const INSIDE: &[&str] = &[
    // Dotted, decimal, octal, hexadecimal, short, mixed.
    "127.0.0.1",
    "127.0.0.2",
    "127.255.255.254",
    "127.1",
    "127.0.1",
    "2130706433",
    "017700000001",
    "0x7f000001",
    "0x7f.0.0.1",
    "0x7f.1",
    "0177.0.0.1",
    "0177.0.0.01",
    "0177.1",
    "00000177.0.0.1",
    "127.0x0.0.1",
    "127.0.0.0x1",
    "0X7F000001",
    "127.0.0.1.",
    "2130706433.",
    "0",
    "0.0.0.0",
    "0x0",
    "00",
    "127.000.000.001",
    // Percent-encoded.
    "%31%32%37.0.0.1",
    "127%2e0%2e0%2e1",
    "%6c%6f%63%61%6c%68%6f%73%74",
    // IPv6 in all its forms.
    "[::1]",
    "[0:0:0:0:0:0:0:1]",
    "[0000:0000:0000:0000:0000:0000:0000:0001]",
    "[::]",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[0:0:0:0:0:ffff:127.0.0.1]",
    "[::127.0.0.1]",
    "[64:ff9b::127.0.0.1]",
    "[64:ff9b:1::7f00:1]",
    "[2002:7f00:1::]",
    "[fe80::1]",
    "[fc00::1]",
    "[fd00:ec2::254]",
    "[fec0::1]",
    "[ff02::1]",
    "[2001:0:7f00:1::]",
    "[::ffff:0:127.0.0.1]",
    // Elsewhere inside.
    "10.0.0.1",
    "10.1",
    "167772161",
    "100.64.0.1",
    "169.254.169.254",
    "2852039166",
    "0xa9fea9fe",
    "0251.0376.0251.0376",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.0.1",
    "192.168.1",
    "192.0.0.192",
    "198.18.0.1",
    "224.0.0.1",
    "239.255.255.250",
    "255.255.255.255",
    "[::ffff:169.254.169.254]",
    "[::ffff:a9fe:a9fe]",
    "[::ffff:10.0.0.1]",
    // Names.
    "localhost",
    "LOCALHOST",
    "LocalHost",
    "localhost.",
    "inside.example",
    "INSIDE.example.",
    "mixed.example",
    "mapped.example",
    "nat64.example",
    "six.example",
    "any.example",
    "metadata.google.internal",
    "127.0.0.1.nip.io",
    // With a user before them.
    "8.8.8.8@127.0.0.1",
    "user:pass@127.0.0.1",
    "inside.example:443@127.0.0.1",
    "@127.0.0.1",
];

/// Whole URLs that mean the listener to somebody, or are none of ours.
const STRANGE: &[&str] = &[
    "https://１２７.０.０.１:{port}/",
    "https://①②⑦.0.0.1:{port}/",
    "https://ⓛⓞⓒⓐⓛⓗⓞⓢⓣ:{port}/",
    "https://127。0。0。1:{port}/",
    "https://١٢٧.0.0.1:{port}/",
    "https:\\\\127.0.0.1:{port}/",
    "https:/127.0.0.1:{port}/",
    "https:127.0.0.1:{port}/",
    "https:///127.0.0.1:{port}/",
    "https://127.0.0.1:{port}\\@8.8.8.8/",
    " https://127.0.0.1:{port}/",
    "https://127.0.0.1:{port}/ ",
    "https://127.0.0.1\t:{port}/",
    "ht\ntps://127.0.0.1:{port}/",
    "https://127.0.0.1\u{0}:{port}/",
    "http://127.0.0.1:{port}/",
    "HTTP://127.0.0.1:{port}/",
    "ftp://127.0.0.1:{port}/",
    "gopher://127.0.0.1:{port}/_GET",
    "file:///etc/passwd",
    "data:application/json,{}",
    "unix:/var/run/docker.sock",
    "//127.0.0.1:{port}/",
    "127.0.0.1:{port}",
    "",
    "https://",
    "https://:{port}/",
    "https://[::1%25lo]:{port}/",
    "https://[::1%lo]:{port}/",
    "https://[127.0.0.1]:{port}/",
    "https://127.0.0.1:0/",
    "https://127.0.0.1:99999/",
    "https://256.0.0.1:{port}/",
    "https://127.0.0.1.1:{port}/",
    "https://0x7f.0x0.0x0.0x100:{port}/",
];

#[tokio::test]
async fn no_spelling_of_an_address_inside_is_connected_to() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port().to_string();
    let guarded = client(&[]);
    let inside = INSIDE.iter().flat_map(|host| [format!("https://{host}:{{port}}/x?y"), format!("http://{host}:{{port}}/")]);
    let urls: Vec<_> = inside.chain(STRANGE.iter().map(|url| (*url).to_owned())).map(|url| url.replace("{port}", &port)).collect();
    assert!(INSIDE.len() + STRANGE.len() >= 100, "{} spellings", INSIDE.len() + STRANGE.len());
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
    assert_eq!(answer, Answer { status: 302, content_type: "text/plain".to_owned(), body: b"hi".to_vec() });
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
