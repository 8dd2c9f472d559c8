//! Pushed authorization requests (RFC 9126), and the authorization code flow from the request to the tokens, on one core: a browser
//! with a session asks, is sent back with a code, and its client redeems that. Two requests, two durable commits.

use serde_json::{Value, json};

use crate::claviger::{Claviger, Place};
use crate::http::{self, Answer, Line};
use crate::limits::{Plan, Rows, median};
use crate::load::{Load, Talk, window};
use crate::stage::{self, FORM, Registered, TOKEN};
use crate::table::{Aim, Row, Unit};
use crate::{Outcome, machine};

const CONNECTIONS: usize = 32;
const AUTHORIZE: &str = "/t/bench/oauth/authorize";
const PAR: &str = "/t/bench/oauth/par";
/// `https://app.example/cb`, in a form.
const CALLBACK: &str = "https%3A%2F%2Fapp.example%2Fcb";
/// RFC 7636, appendix B.
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

/// A browser that is logged in, and the client that it uses.
pub(super) struct Tab {
    query: String,
    redemption: String,
    cookie: String,
    /// The code that is to be redeemed next.
    code: Option<String>,
}

/// What a client got for a code.
pub(super) struct Got {
    pub(super) access_token: String,
}

impl Tab {
    /// What its client is.
    pub(super) fn metadata() -> Value {
        json!({
            "redirect_uris": ["https://app.example/cb"],
            "grant_types": ["authorization_code", "refresh_token"],
            "token_endpoint_auth_method": "client_secret_post",
            "consent": "first_party",
        })
    }

    fn request(client: &Registered) -> String {
        format!(
            "client_id={}&redirect_uri={CALLBACK}&response_type=code&scope=openid%20profile%20email&state=s&nonce=n&code_challenge={CHALLENGE}&code_challenge_method=S256",
            client.client_id
        )
    }

    /// Types the password of `name` on the page that the client's request leads to.
    pub(super) fn log_in(line: &mut Line, client: &Registered, name: &str) -> Outcome<Self> {
        let query = Self::request(client);
        let mut request = Vec::new();
        http::request(&mut request, "GET", &format!("{AUTHORIZE}?{query}"), "", b"");
        let (mut cookies, page) = {
            let answer = line.exchange(&request)?;
            answer.insist(303)?;
            (cookies(&answer), header(&answer, "location")?)
        };
        http::request(&mut request, "GET", &path(&page), &format!("cookie: {cookies}\r\n"), b"");
        let (action, fields) = {
            let answer = line.exchange(&request)?;
            answer.insist(200)?;
            cookies = joined(&cookies, &self::cookies(&answer));
            form(std::str::from_utf8(answer.body)?)?
        };
        let body = format!("{fields}identifier={name}&password={}", stage::PASSWORD);
        http::request(&mut request, "POST", &action, &format!("{FORM}origin: null\r\ncookie: {cookies}\r\n"), body.as_bytes());
        // From here the way leads back to the client, over pages of our own that send on.
        let (code, cookie) = loop {
            let answer = line.exchange(&request)?;
            answer.insist(303)?;
            cookies = joined(&cookies, &self::cookies(&answer));
            let location = header(&answer, "location")?;
            if !location.starts_with('/') {
                break (code(&answer)?, cookies);
            }
            http::request(&mut request, "GET", &location, &format!("cookie: {cookies}\r\n"), b"");
        };
        let redemption = format!("grant_type=authorization_code&redirect_uri={CALLBACK}&code_verifier={VERIFIER}&{}", client.in_form());
        Ok(Self { query, redemption, cookie, code: Some(code) })
    }

    /// Redeems the code that the login has led to.
    pub(super) fn tokens(&mut self, line: &mut Line) -> Outcome<Got> {
        let mut request = Vec::new();
        self.ask(&mut request);
        let answer = line.exchange(&request)?;
        let access_token = stage::access_token(&answer)?.to_owned();
        self.code = None;
        Ok(Got { access_token })
    }
}

impl Talk for Tab {
    fn ask(&mut self, request: &mut Vec<u8>) {
        match &self.code {
            Some(code) => {
                let body = format!("{}&code={code}", self.redemption);
                http::request(request, "POST", TOKEN, FORM, body.as_bytes());
            }
            None => http::request(request, "GET", &format!("{AUTHORIZE}?{}", self.query), &format!("cookie: {}\r\n", self.cookie), b""),
        }
    }

    fn hear(&mut self, answer: &Answer<'_>) -> Outcome<()> {
        self.code = match self.code.take() {
            Some(_) => {
                stage::access_token(answer)?;
                None
            }
            None => {
                answer.insist(303)?;
                Some(code(answer)?)
            }
        };
        Ok(())
    }
}

/// Pushes the same request again and again.
struct Pusher {
    body: String,
}

impl Talk for Pusher {
    fn ask(&mut self, request: &mut Vec<u8>) {
        if request.is_empty() {
            http::request(request, "POST", PAR, FORM, self.body.as_bytes());
        }
    }

    fn hear(&mut self, answer: &Answer<'_>) -> Outcome<()> {
        answer.insist(201)?;
        let body = std::str::from_utf8(answer.body)?;
        if body.contains("urn:ietf:params:oauth:request_uri:") { Ok(()) } else { Err(format!("no request_uri: {body}").into()) }
    }
}

pub(super) fn measure(plan: &Plan) -> Rows {
    let cores = machine::Halves::take()?;
    let claviger = Claviger::start_on(&cores, &Place::sqlite(&plan.place("code-flow")))?;
    let mut admin = claviger.admin()?;
    stage::tenant(&mut admin)?;
    let client = stage::client(&mut admin, &Tab::metadata())?;
    let mut pushers: Vec<_> =
        (0..CONNECTIONS).map(|_| Pusher { body: format!("{}&client_secret={}", Tab::request(&client), client.client_secret) }).collect();
    let pushed = median("pushed", || window(claviger.target(), &mut pushers, plan.span))?;

    let mut line = Line::open(claviger.target().addr)?;
    let names = stage::users(&mut admin, "flowing", CONNECTIONS)?;
    let mut tabs = Vec::new();
    for name in &names {
        let mut tab = Tab::log_in(&mut line, &client, name)?;
        tab.tokens(&mut line)?;
        tabs.push(tab);
    }
    let flows = median("requests of flows", || window(claviger.target(), &mut tabs, plan.span))?;
    let row = |what: &str, per_second: f64, load: &Load| Row {
        what: format!("{what}, one core, {CONNECTIONS} connections"),
        unit: Unit::PerSecond,
        claviger: per_second,
        beside: None,
        aim: Aim::None,
        detail: load.detail(),
    };
    Ok(vec![
        row("Pushed authorization requests", pushed.per_second, &pushed),
        row("Code flow, from authorize to tokens", flows.per_second / 2.0, &flows),
    ])
}

fn header(answer: &Answer<'_>, wanted: &str) -> Outcome<String> {
    let found = answer.headers().find(|(name, _)| name.eq_ignore_ascii_case(wanted));
    Ok(found.ok_or_else(|| format!("no {wanted}"))?.1.to_owned())
}

/// What a browser sends back of the cookies that an answer sets.
fn cookies(answer: &Answer<'_>) -> String {
    let set = answer.headers().filter(|(name, _)| name.eq_ignore_ascii_case("set-cookie"));
    let pairs: Vec<_> = set.filter(|(_, value)| !value.contains("Max-Age=0")).filter_map(|(_, value)| value.split(';').next()).collect();
    pairs.join("; ")
}

/// The cookies of `before`, with those of `set` in place of the same ones.
fn joined(before: &str, set: &str) -> String {
    let name = |pair: &str| pair.split('=').next().unwrap_or_default().to_owned();
    let set: Vec<_> = set.split("; ").filter(|pair| !pair.is_empty()).collect();
    let kept = before.split("; ").filter(|pair| !pair.is_empty() && !set.iter().any(|other| name(other) == name(pair)));
    kept.chain(set.iter().copied()).collect::<Vec<_>>().join("; ")
}

/// The code in the address that an answer sends to.
fn code(answer: &Answer<'_>) -> Outcome<String> {
    let location = header(answer, "location")?;
    let query = location.split_once('?').map(|(_, query)| query).unwrap_or_default();
    let code = query.split('&').find_map(|pair| pair.strip_prefix("code="));
    code.map(str::to_owned).ok_or_else(|| format!("no code in {location}").into())
}

/// The path of an address on this server.
fn path(address: &str) -> String {
    let behind = address.split_once("://").and_then(|(_, rest)| rest.find('/').map(|at| rest[at..].to_owned()));
    behind.unwrap_or_else(|| address.to_owned())
}

/// The action of the first form of a page, and its hidden fields, ready to be sent.
fn form(page: &str) -> Outcome<(String, String)> {
    let form = page.split_once("<form").and_then(|(_, rest)| rest.split_once("</form>")).ok_or("no form")?.0;
    let attribute = |tag: &str, name: &str| {
        let (_, value) = tag.split_once(&format!("{name}=\""))?;
        Some(value.split_once('"')?.0.replace("&#38;", "&").replace("&amp;", "&"))
    };
    let hidden = form.split("<input").skip(1).filter(|tag| attribute(tag, "type").as_deref() == Some("hidden"));
    let fields: String = hidden.filter_map(|tag| Some(format!("{}={}&", attribute(tag, "name")?, attribute(tag, "value")?))).collect();
    Ok((path(&attribute(form, "action").ok_or("a form without an action")?), fields))
}
