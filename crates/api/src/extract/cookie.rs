//! Cookies as the browser sent them.
//!
//! Invariant: nothing is decoded. A name that only becomes `__Host-…` or `__Secure-…` when it is decoded is one that a browser lets
//! anybody set: a neighbour under the same domain, or whoever can change plain http.

use actix_web::HttpRequest;
use actix_web::http::header::COOKIE;

/// The value of the first cookie of this very name. What stands beside it does not matter.
pub(crate) fn value<'r>(request: &'r HttpRequest, name: &str) -> Option<&'r str> {
    let pairs = request.headers().get_all(COOKIE).flat_map(|header| header.as_bytes().split(|byte| *byte == b';'));
    let mut named = pairs.filter_map(|pair| pair.trim_ascii().strip_prefix(name.as_bytes())?.strip_prefix(b"="));
    named.next().and_then(|value| std::str::from_utf8(value).ok())
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderValue;
    use actix_web::test::TestRequest;

    use super::*;

    const NAME: &str = "__Host-a";

    fn read(header: &[u8]) -> Option<String> {
        let header = HeaderValue::from_bytes(header).expect("a header");
        value(&TestRequest::default().insert_header((COOKIE, header)).to_http_request(), NAME).map(str::to_owned)
    }

    #[test]
    fn a_name_that_must_be_decoded_first_is_another_name() {
        assert_eq!(read(b"__Host-a=1").as_deref(), Some("1"));
        for other in
            ["%5F%5FHost-a=1", "%5f_Host-a=1", "__host-a=1", "__Host-a%20=1", "x__Host-a=1", "__Host-a", "__Host-ab=1", "__Host-%61=1"]
        {
            assert_eq!(read(other.as_bytes()), None, "{other}");
        }
        assert_eq!(read(b"%5F_Host-a=theirs; __Host-a=ours").as_deref(), Some("ours"));
    }

    #[test]
    fn what_stands_beside_a_cookie_does_not_hide_it() {
        for header in
            [b"x; __Host-a=1".as_slice(), b"=; ;;__Host-a=1;", b"y=\xff\xfe; __Host-a=1", b"z=%ff;\t__Host-a=1 ", b"__Host-a=1; __Host-a=2"]
        {
            assert_eq!(read(header).as_deref(), Some("1"), "{header:?}");
        }
    }
}
