//! Talks to addresses that clients have given ([`GuardedHttp`]), and hands mails over ([`mail`]).
//!
//! Invariant: nothing inside the house is reached by a stranger's word. The host of the URL is judged when it is an address, and else
//! every address that its name resolves to; the connection goes to the addresses that were judged, and there is no redirect to others.

mod address;
pub mod mail;

use std::error::Error;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use app::ports::outbound::{Answer, Outbound, OutboundFault};
use async_trait::async_trait;
use domain::secret::Secret;
pub use ipnet::IpNet;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE};
use reqwest::redirect::Policy;
use reqwest::{Client, ClientBuilder, RequestBuilder};
use url::{Host, Url};

use address::Reachable;

/// From the first look at the name to the last byte of the answer.
const WHOLE_TIMEOUT: Duration = Duration::from_secs(3);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// Bytes of an answer's body.
const LARGEST: usize = 64 * 1024;
/// Characters of a URL.
const LONGEST_URL: usize = 2_048;

/// Why nothing can be sent: a file of authorities that cannot be read, an address that is none.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Unusable(String);

/// The one HTTP client for addresses of strangers.
#[derive(Debug)]
pub struct GuardedHttp {
    /// For `https`: the public internet and the opened ranges.
    tls: Guarded,
    /// For `http`: the opened ranges alone.
    plain: Guarded,
}

#[derive(Debug)]
struct Guarded {
    http: Client,
    reachable: Arc<Reachable>,
}

/// The machine's own resolver.
struct SystemNames;

impl Resolve for SystemNames {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found: Vec<SocketAddr> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

/// Passes on what `names` says, if all of it may be talked to.
struct GuardedNames {
    names: Arc<dyn Resolve>,
    reachable: Arc<Reachable>,
}

#[derive(Debug, thiserror::Error)]
#[error("its name resolves to an address inside")]
struct ResolvesInside;

impl Resolve for GuardedNames {
    fn resolve(&self, name: Name) -> Resolving {
        let (asked, reachable) = (self.names.resolve(name), Arc::clone(&self.reachable));
        Box::pin(async move {
            let found: Vec<SocketAddr> = asked.await?.collect();
            // One that may not be talked to says enough about the name.
            if found.iter().any(|at| !reachable.holds(at.ip())) {
                return Err(ResolvesInside.into());
            }
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

impl GuardedHttp {
    /// `open` are ranges that may be talked to although they are not public, also without TLS; `ca_file` has further authorities, as PEM.
    ///
    /// # Errors
    /// When the file cannot be read or holds no certificate.
    pub fn new(open: Vec<IpNet>, ca_file: Option<&Path>) -> Result<Self, Unusable> {
        Self::with_names(open, ca_file, Arc::new(SystemNames))
    }

    fn with_names(open: Vec<IpNet>, ca_file: Option<&Path>, names: Arc<dyn Resolve>) -> Result<Self, Unusable> {
        let certificates = match ca_file {
            None => Vec::new(),
            Some(file) => {
                let unreadable = |error: &dyn std::fmt::Display| Unusable(format!("{}: {error}", file.display()));
                let pem = std::fs::read(file).map_err(|error| unreadable(&error))?;
                let found = reqwest::Certificate::from_pem_bundle(&pem).map_err(|error| unreadable(&error))?;
                if found.is_empty() {
                    return Err(unreadable(&"it holds no certificate"));
                }
                found
            }
        };
        let guarded = |is_public_meant: bool, builder: ClientBuilder| {
            let reachable = Arc::new(Reachable { is_public_meant, ranges: open.clone() });
            let names = GuardedNames { names: Arc::clone(&names), reachable: Arc::clone(&reachable) };
            let http = builder
                .dns_resolver(names)
                .no_proxy()
                .redirect(Policy::none())
                .referer(false)
                .timeout(WHOLE_TIMEOUT)
                .connect_timeout(CONNECT_TIMEOUT)
                // A connection belongs to the thread that made it, and strangers are seldom asked twice.
                .pool_max_idle_per_host(0)
                .user_agent(concat!("claviger/", env!("CARGO_PKG_VERSION")))
                .build()
                .map_err(|error| Unusable(format!("no HTTP client: {error}")))?;
            Ok(Guarded { http, reachable })
        };
        Ok(Self {
            tls: guarded(true, Client::builder().https_only(true).tls_certs_merge(certificates))?,
            plain: guarded(false, Client::builder())?,
        })
    }

    /// The client for this URL, if it is one to talk to as far as can be seen from it.
    fn judge(&self, text: &str) -> Result<(&Client, Url), OutboundFault> {
        const fn refused<T>(why: &'static str) -> Result<T, OutboundFault> {
            Err(OutboundFault::Refused(why))
        }
        if text.len() > LONGEST_URL {
            return refused("its URL is too long");
        }
        // What the parser would mend (white space, backslashes) may mean another host to somebody else.
        if !text.bytes().all(|byte| (0x21..=0x7e).contains(&byte)) || text.contains('\\') {
            return refused("its URL is no URL");
        }
        let Ok(url) = Url::parse(text) else { return refused("its URL is no URL") };
        let guarded = match url.scheme() {
            "https" => &self.tls,
            "http" if !self.plain.reachable.ranges.is_empty() => &self.plain,
            _ => return refused("its scheme is not https"),
        };
        if !url.username().is_empty() || url.password().is_some() {
            return refused("its URL has a user name");
        }
        if url.port() == Some(0) {
            return refused("its port is none");
        }
        // The resolver is not asked for these.
        let is_inside = match url.host() {
            Some(Host::Ipv4(address)) => !guarded.reachable.holds(address.into()),
            Some(Host::Ipv6(address)) => !guarded.reachable.holds(address.into()),
            Some(Host::Domain(_)) => false,
            None => true,
        };
        if is_inside { refused("its host is an address inside") } else { Ok((&guarded.http, url)) }
    }

    async fn answer(&self, request: RequestBuilder) -> Result<Answer, OutboundFault> {
        let mut response = request.send().await.map_err(said)?;
        let content_type = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let content_type = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        let max_age = response.headers().get(CACHE_CONTROL).and_then(|value| value.to_str().ok()).and_then(max_age);
        let status = response.status().as_u16();
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(said)? {
            if body.len() + chunk.len() > LARGEST {
                return Err(OutboundFault::Failed(format!("the answer is larger than {LARGEST} bytes")));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Answer { status, content_type, max_age, body })
    }
}

/// What a `Cache-Control` allows, in seconds.
fn max_age(text: &str) -> Option<u32> {
    let directives = || text.split(',').map(|directive| directive.trim().to_ascii_lowercase());
    if directives().any(|directive| matches!(directive.as_str(), "no-store" | "no-cache")) {
        return Some(0);
    }
    directives().find_map(|directive| directive.strip_prefix("max-age=")?.trim_matches('"').parse().ok())
}

/// What went wrong, without the URL: its query may hold what is nobody else's.
fn said(error: reqwest::Error) -> OutboundFault {
    let error = error.without_url();
    let causes = || std::iter::successors(Some(&error as &(dyn Error + 'static)), |error| (*error).source());
    if causes().any(|cause| cause.is::<ResolvesInside>()) {
        return OutboundFault::Refused("its name resolves to an address inside");
    }
    OutboundFault::Failed(causes().map(ToString::to_string).collect::<Vec<_>>().join(": "))
}

#[async_trait]
impl Outbound for GuardedHttp {
    async fn get(&self, url: &str, accept: &'static str) -> Result<Answer, OutboundFault> {
        let (http, url) = self.judge(url)?;
        self.answer(http.get(url).header(ACCEPT, accept)).await
    }

    async fn post_form(&self, url: &str, form: &[(&str, &str)]) -> Result<Answer, OutboundFault> {
        let (http, url) = self.judge(url)?;
        self.answer(http.post(url).form(form)).await
    }

    async fn post_json(&self, url: &str, bearer: &Secret<String>, body: String) -> Result<Answer, OutboundFault> {
        let (http, url) = self.judge(url)?;
        let request = http.post(url).bearer_auth(bearer.expose()).header(CONTENT_TYPE, "application/json").body(body);
        self.answer(request).await
    }
}

/// Talks to nobody: for commands that have no business outside.
#[derive(Debug, Clone, Copy)]
pub struct Nobody;

#[async_trait]
impl Outbound for Nobody {
    async fn get(&self, _: &str, _: &'static str) -> Result<Answer, OutboundFault> {
        Err(OutboundFault::Refused("this command talks to nobody"))
    }

    async fn post_form(&self, _: &str, _: &[(&str, &str)]) -> Result<Answer, OutboundFault> {
        Err(OutboundFault::Refused("this command talks to nobody"))
    }

    async fn post_json(&self, _: &str, _: &Secret<String>, _: String) -> Result<Answer, OutboundFault> {
        Err(OutboundFault::Refused("this command talks to nobody"))
    }
}

#[cfg(test)]
mod tests;
