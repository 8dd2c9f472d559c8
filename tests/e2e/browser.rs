//! A browser, as far as logins need one: keeps cookies, follows redirects by hand, reads forms and sends them.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::{COOKIE, LOCATION, SET_COOKIE};
use reqwest::redirect::Policy;
use reqwest::{Client, RequestBuilder};

/// One browser with its cookies. It keeps those of the one site that these tests have.
pub(crate) struct Browser {
    http: Client,
    base_url: String,
    cookies: BTreeMap<String, String>,
}

/// All names are this machine.
struct Here;

impl Resolve for Here {
    fn resolve(&self, _: Name) -> Resolving {
        let here: Addrs = Box::new(std::iter::once(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))));
        Box::pin(async { Ok(here) })
    }
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) status: u16,
    pub(crate) headers: reqwest::header::HeaderMap,
    pub(crate) text: String,
}

impl Page {
    #[track_caller]
    pub(crate) fn is(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{:?} {}", self.headers, self.text);
        self
    }

    /// Where it sends the browser.
    #[track_caller]
    pub(crate) fn location(&self) -> String {
        assert_eq!(self.status, 303, "{}", self.text);
        self.headers[LOCATION].to_str().expect("an address").to_owned()
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// The action of its first form and the fields that are filled in already.
    #[track_caller]
    pub(crate) fn form(&self) -> (String, BTreeMap<String, String>) {
        self.form_holding("<form")
    }

    /// Like [`Self::form`], for the first form whose text holds `what`.
    #[track_caller]
    pub(crate) fn form_holding(&self, what: &str) -> (String, BTreeMap<String, String>) {
        let tag = |from: &str, name: &str| {
            let start = from.find(&format!("{name}=\""))? + name.len() + 2;
            Some(unescaped(&from[start..start + from[start..].find('"')?]))
        };
        let starts = self.text.match_indices("<form").map(|(start, _)| &self.text[start..]);
        let forms = starts.map(|form| &form[..form.find("</form>").expect("a form ends")]);
        let form = forms.into_iter().find(|form| form.contains(what)).unwrap_or_else(|| panic!("no form with {what} in {}", self.text));
        let inputs = form.split("<input").skip(1).map(|input| &input[..input.find('>').expect("a tag ends")]);
        let fields = inputs.filter_map(|input| Some((tag(input, "name")?, tag(input, "value").unwrap_or_default())));
        (tag(form, "action").expect("an action"), fields.collect())
    }
}

fn unescaped(text: &str) -> String {
    let named = text.replace("&quot;", "\"").replace("&#34;", "\"").replace("&#x27;", "'").replace("&#39;", "'");
    named.replace("&#60;", "<").replace("&#62;", ">").replace("&lt;", "<").replace("&gt;", ">").replace("&#38;", "&").replace("&amp;", "&")
}

impl Browser {
    pub(crate) fn new(base_url: &str) -> Self {
        let http = Client::builder().no_proxy().dns_resolver(Arc::new(Here)).redirect(Policy::none()).build().expect("a client");
        Self { http, base_url: base_url.to_owned(), cookies: BTreeMap::new() }
    }

    /// Another one that has stolen the cookies of this one whose names hold `what`.
    pub(crate) fn thief(&self, what: &str) -> Self {
        let cookies = self.cookies.iter().filter(|(name, _)| name.contains(what)).map(|(name, value)| (name.clone(), value.clone()));
        Self { cookies: cookies.collect(), ..Self::new(&self.base_url) }
    }

    pub(crate) fn cookie(&self, what: &str) -> Option<&str> {
        self.cookies.iter().find(|(name, _)| name.contains(what)).map(|(_, value)| value.as_str())
    }

    pub(crate) fn forget(&mut self, what: &str) {
        self.cookies.retain(|name, _| !name.contains(what));
    }

    /// The same one, before another node.
    pub(crate) fn before(mut self, node: &str) -> Self {
        self.base_url = node.to_owned();
        self
    }

    fn at(&self, address: &str) -> String {
        if address.starts_with('/') { format!("{}{address}", self.base_url) } else { address.to_owned() }
    }

    async fn sent(&mut self, request: RequestBuilder) -> Page {
        let cookies: Vec<_> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let request = if cookies.is_empty() { request } else { request.header(COOKIE, cookies.join("; ")) };
        let response = request.send().await.expect("an answer");
        for set in response.headers().get_all(SET_COOKIE) {
            let (pair, attributes) = set.to_str().expect("text").split_once(';').expect("attributes");
            let (name, value) = pair.split_once('=').expect("a pair");
            assert!(
                attributes.contains("HttpOnly") && attributes.contains("SameSite=Lax") && attributes.contains("Path=/"),
                "{attributes}"
            );
            match attributes.contains("Max-Age=0") {
                true => drop(self.cookies.remove(name)),
                false => drop(self.cookies.insert(name.to_owned(), value.to_owned())),
            }
        }
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        assert!(!headers.contains_key("access-control-allow-origin"), "s018: no CORS on pages");
        Page { status, headers, text: response.text().await.expect("a text") }
    }

    pub(crate) async fn get(&mut self, address: &str) -> Page {
        let request = self.http.get(self.at(address));
        self.sent(request).await
    }

    pub(crate) async fn post(&mut self, address: &str, fields: &[(&str, &str)]) -> Page {
        let request = self.http.post(self.at(address)).header("origin", "null").form(fields);
        self.sent(request).await
    }

    /// Posts with headers of its own.
    pub(crate) async fn post_with(&mut self, address: &str, fields: &[(&str, &str)], header: (&str, &str)) -> Page {
        let request = self.http.post(self.at(address)).header(header.0, header.1).form(fields);
        self.sent(request).await
    }

    /// Goes where it is sent, as long as that is on this site.
    pub(crate) async fn follow(&mut self, mut page: Page) -> Page {
        for _ in 0..5 {
            if page.status != 303 || !(page.location().starts_with('/') || page.location().starts_with(&self.base_url)) {
                return page;
            }
            page = self.get(&page.location()).await;
        }
        panic!("redirected for ever")
    }

    /// Fills in the form of a page and sends it.
    pub(crate) async fn submit(&mut self, page: &Page, typed: &[(&str, &str)]) -> Page {
        self.submit_form(page, "<form", typed).await
    }

    /// Like [`Self::submit`], with the first form whose text holds `what`.
    pub(crate) async fn submit_form(&mut self, page: &Page, what: &str, typed: &[(&str, &str)]) -> Page {
        let (action, mut fields) = page.form_holding(what);
        fields.extend(typed.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        let fields: Vec<_> = fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        self.post(&action, &fields).await
    }
}
