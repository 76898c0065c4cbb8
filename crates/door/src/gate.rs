//! What is refused before anybody asks what is wanted: requests that somebody on the way could read
//! otherwise, and those that a page of another site makes a browser send.

use std::net::{IpAddr, SocketAddr};

use hyper::{
    HeaderMap, StatusCode, Version,
    header::{CONTENT_LENGTH, HOST, ORIGIN, TRANSFER_ENCODING},
    http::request::Parts,
};

use crate::fault::Fault;

/// Where browsers say who made them ask.
const FETCH_SITE: &str = "sec-fetch-site";

/// Whether the head of a request is what it seems to be. `own` is where a door without certificates
/// listens.
pub(crate) fn check(head: &Parts, own: Option<SocketAddr>) -> Result<(), Fault> {
    one_reading(head)?;
    if let Some(own) = own
        && !nameless(head)
    {
        own_name(&head.headers, own)?;
    }
    own_site(&head.headers)
}

/// HTTP/1.0 names no host (RFC 9112 §3.2), and HAProxy's checks of health speak it. No browser
/// does.
fn nameless(head: &Parts) -> bool {
    head.version == Version::HTTP_10 && !head.headers.contains_key(HOST)
}

/// RFC 9112 §3.2 and §6.3: one host, one length.
fn one_reading(head: &Parts) -> Result<(), Fault> {
    if head.uri.authority().is_some() {
        return Err(Fault::bad("this is no proxy: ask for a path alone").closing());
    }
    match head.headers.get_all(HOST).iter().count() {
        1 => {}
        0 if nameless(head) => {}
        0 => return Err(Fault::bad("no host is named").closing()),
        _ => return Err(Fault::bad("more than one host is named").closing()),
    }
    if !head.headers.contains_key(TRANSFER_ENCODING) {
        return Ok(());
    }
    if head.headers.contains_key(CONTENT_LENGTH) {
        return Err(Fault::bad("a body has a length or an encoding, and not both").closing());
    }
    let said = "a body is to come with its length";
    Err(Fault::new(StatusCode::LENGTH_REQUIRED, "length_required", said).closing())
}

/// A name of somebody else's that leads to this machine leads here from his page in a browser on
/// it (DNS rebinding): without certificates, only names that are this machine's own are heard.
fn own_name(headers: &HeaderMap, own: SocketAddr) -> Result<(), Fault> {
    let host = headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let (name, port) = match host.rsplit_once(':') {
        Some((name, port)) if !name.ends_with(':') && !port.ends_with(']') => (name, port),
        _ => (host, "80"),
    };
    let address = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
    let local = name.eq_ignore_ascii_case("localhost")
        || address.parse().is_ok_and(|address: IpAddr| address.is_loopback());
    if local && port.parse() == Ok(own.port()) {
        return Ok(());
    }
    let said = format!("{host:?} is not where this is: ask http://{own}");
    Err(Fault::new(StatusCode::MISDIRECTED_REQUEST, "host", said).closing())
}

/// No page is served here, so no page has any business to ask.
fn own_site(headers: &HeaderMap) -> Result<(), Fault> {
    let site = headers.get(FETCH_SITE).map(|site| site.as_bytes());
    let strange = site.is_some_and(|site| site != b"none" && site != b"same-origin");
    let own = |origin: &[u8]| {
        let host = headers.get(HOST).map(|host| host.as_bytes()).unwrap_or_default();
        [&b"http://"[..], b"https://"].iter().any(|scheme| origin == [scheme, host].concat())
    };
    let foreign = headers.get_all(ORIGIN).iter().any(|origin| !own(origin.as_bytes()));
    if !strange && !foreign {
        return Ok(());
    }
    Err(Fault::forbidden("a page of another site has made a browser ask this").closing())
}

#[cfg(test)]
mod tests {
    use hyper::Request;

    use super::*;

    fn status(headers: &[(&str, &str)], plain: bool) -> StatusCode {
        let mut request = Request::builder().uri("/v1/status");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let (head, ()) = request.body(()).unwrap().into_parts();
        let own = plain.then(|| "127.0.0.1:7410".parse().unwrap());
        match check(&head, own) {
            Ok(()) => StatusCode::OK,
            Err(fault) => crate::answer::Answer::from(fault).status,
        }
    }

    /// A check of health by HAProxy, as it comes by default.
    #[test]
    fn http_1_0_need_not_name_a_host() {
        let passes = |version| {
            let request = Request::builder().uri("/v1/elections/a/is/b").version(version);
            let (head, ()) = request.body(()).unwrap().into_parts();
            check(&head, Some("127.0.0.1:7410".parse().unwrap())).is_ok()
        };
        assert!(passes(Version::HTTP_10));
        assert!(!passes(Version::HTTP_11));
    }

    #[test]
    fn without_certificates_only_names_of_this_machine_are_heard() {
        for host in ["127.0.0.1:7410", "localhost:7410", "LOCALHOST:7410", "[::1]:7410"] {
            assert_eq!(status(&[("host", host)], true), StatusCode::OK, "{host}");
        }
        for host in [
            "evil.example:7410",
            "127.0.0.1",
            "127.0.0.1:80",
            "localhost",
            "[::1]",
            "::1",
            "",
            "127.0.0.1.evil.example:7410",
            "10.0.0.1:7410",
            "localhost.:7410",
            "[::1]7410",
        ] {
            let status = status(&[("host", host)], true);
            assert_eq!(status, StatusCode::MISDIRECTED_REQUEST, "{host}");
        }
        assert_eq!(status(&[("host", "n1.example:7410")], false), StatusCode::OK);
    }

    #[test]
    fn a_page_of_another_site_is_not_heard() {
        let host = ("host", "127.0.0.1:7410");
        for origin in ["https://evil.example", "null", "http://127.0.0.1:7411"] {
            let status = status(&[host, ("origin", origin)], true);
            assert_eq!(status, StatusCode::FORBIDDEN, "{origin}");
        }
        for site in ["cross-site", "same-site"] {
            let status = status(&[host, ("sec-fetch-site", site)], true);
            assert_eq!(status, StatusCode::FORBIDDEN, "{site}");
        }
        let own = [host, ("origin", "http://127.0.0.1:7410"), ("sec-fetch-site", "same-origin")];
        assert_eq!(status(&own, true), StatusCode::OK);
        assert_eq!(status(&[host, ("sec-fetch-site", "none")], true), StatusCode::OK);
    }

    #[test]
    fn what_two_could_read_in_two_ways_is_refused() {
        let host = ("host", "127.0.0.1:7410");
        let chunked = ("transfer-encoding", "chunked");
        assert_eq!(status(&[], true), StatusCode::BAD_REQUEST);
        assert_eq!(status(&[host, host], true), StatusCode::BAD_REQUEST);
        assert_eq!(status(&[host, chunked], true), StatusCode::LENGTH_REQUIRED);
        let both = [host, chunked, ("content-length", "3")];
        assert_eq!(status(&both, true), StatusCode::BAD_REQUEST);
    }
}
