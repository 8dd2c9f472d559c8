//! Every page in every language, parsed as a browser would: whatever text gets in, the document keeps its shape, and it is fit for
//! everybody to use.

use std::collections::{BTreeMap, BTreeSet};

use domain::branding::{Branding, Texts};
use domain::language::Language;
use html5ever::tendril::TendrilSink;
use markup5ever_rcdom::{Handle, NodeData, RcDom};
use pages::{Look, Page};

#[path = "../examples/gallery/samples.rs"]
mod samples;

const HOSTILE: &str = "\"'><script>alert(1)</script><img src=x onerror=alert(1)>{{7*7}}{ $x }</title></textarea>&amp;\u{202e}<!--";

fn benign(text: &str) -> String {
    text.to_owned()
}

fn hostile(text: &str) -> String {
    format!("{text}{HOSTILE}")
}

/// An element: its name, attributes and text.
struct Element {
    name: String,
    attributes: BTreeMap<String, String>,
    text: String,
    /// Whether a `label` is around it.
    in_label: bool,
}

impl Element {
    fn has(&self, attribute: &str, value: &str) -> bool {
        self.attributes.get(attribute).is_some_and(|found| found == value)
    }
    fn of(&self, attribute: &str) -> &str {
        self.attributes.get(attribute).map_or("", String::as_str)
    }
}

fn text_of(node: &Handle) -> String {
    match &node.data {
        NodeData::Text { contents } => contents.borrow().to_string(),
        _ => node.children.borrow().iter().map(text_of).collect(),
    }
}

/// The elements of a document in order; a document that is not well-formed HTML fails the test.
fn elements(html: &str, of: &str) -> Vec<Element> {
    let dom = html5ever::parse_document(RcDom::default(), html5ever::ParseOpts::default()).one(html);
    assert!(dom.errors.borrow().is_empty(), "{of}: {:?}", dom.errors.borrow());
    let mut found = Vec::new();
    fn walk(node: &Handle, in_label: bool, found: &mut Vec<Element>) {
        let mut in_label = in_label;
        if let NodeData::Element { name, attrs, .. } = &node.data {
            let attributes = attrs.borrow().iter().map(|a| (a.name.local.to_string(), a.value.to_string())).collect();
            found.push(Element { name: name.local.to_string(), attributes, text: text_of(node), in_label });
            in_label |= &*name.local == "label";
        }
        for child in node.children.borrow().iter() {
            walk(child, in_label, found);
        }
    }
    walk(&dom.document, false, &mut found);
    found
}

/// What no text may change: elements, in order, with the names of their attributes.
fn shape(elements: &[Element]) -> Vec<String> {
    elements.iter().map(|e| format!("{} {:?}", e.name, e.attributes.keys().collect::<Vec<_>>())).collect()
}

fn branding(hostile: bool) -> Branding {
    let tail = if hostile { "\"'><b onclick=x>&" } else { "" };
    let texts = Texts { login_title: format!("Welcome{tail}").parse().ok(), login_help: format!("Ask us.{tail}\nWe answer.").parse().ok() };
    Branding {
        display_name: format!("Acme{tail}").parse().ok(),
        texts: Language::ALL.map(|language| (language, texts.clone())).into(),
        support_email: if hostile { "o'hara&co?x=1@example.com".parse().ok() } else { "help@example.com".parse().ok() },
        terms: Some(samples::link("https://acme.example/terms?a=1&b=2")),
        privacy: Some(samples::link("https://acme.example/privacy")),
        ..Branding::default()
    }
}

/// Calls `check` with every page in every language: its name, the page, and the look it is to have.
fn every_page(say: samples::Say<'_>, hostile: bool, mut check: impl FnMut(&str, &dyn Page, &Look<'_>)) {
    let branding = branding(hostile);
    let logo = "logo-0123456789abcdef.png".to_owned();
    for language in Language::ALL {
        for (name, page) in samples::pages(say) {
            let look = Look { name: "Acme", branding: &branding, logo: Some(&logo), language, issuer_path: "/t/acme" };
            check(&format!("{name} in {}", language.tag()), &*page, &look);
        }
    }
}

#[test]
fn no_text_changes_the_shape_of_a_page_or_gets_a_script_or_an_address_into_it() {
    let mut shapes = Vec::new();
    every_page(&benign, false, |name, page, look| shapes.push(shape(&elements(&page.html(look), name))));
    assert!(shapes.len() > 250, "{}", shapes.len());
    let mut expected = shapes.into_iter();
    every_page(&hostile, true, |name, page, look| {
        let elements = elements(&page.html(look), name);
        assert_eq!(Some(shape(&elements)), expected.next(), "{name}");
        for element in &elements {
            assert!(!["style", "object", "embed", "base", "svg"].contains(&element.name.as_str()), "{name}: {}", element.name);
            if element.name == "script" {
                assert!(element.text.is_empty() && element.of("src").starts_with("/t/acme/assets/"), "{name}: inline script");
            }
            for (attribute, value) in &element.attributes {
                assert!(!attribute.starts_with("on") && attribute != "style" && attribute != "srcdoc", "{name}: {attribute}");
                if ["href", "src", "action", "formaction", "data", "content"].contains(&attribute.as_str()) && element.name != "meta" {
                    let path = value.starts_with('/') && !value.starts_with("//");
                    let known = ["https://photos.example/", "https://mail.example/", "https://acme.example/"];
                    let mail = value == "mailto:o%27hara%26co%3Fx%3D1%40example.com";
                    assert!(path || mail || known.iter().any(|known| value.starts_with(known)), "{name}: {attribute}={value}");
                }
            }
        }
    });
}

#[test]
fn every_page_is_fit_for_everybody() {
    every_page(&benign, false, |name, page, look| {
        let elements = elements(&page.html(look), name);
        let all = |wanted: &'static str| elements.iter().filter(move |e| e.name == wanted);
        assert!(all("html").all(|html| html.has("lang", look.language.tag())), "{name}: lang");
        assert_eq!(all("h1").count(), 1, "{name}: one h1");
        assert_eq!(all("main").count(), 1, "{name}: one main");
        let title = all("title").map(|title| title.text.clone()).collect::<String>();
        assert!(title.ends_with(" · Acme") && title.len() > " · Acme".len(), "{name}: {title}");

        let ids: Vec<&str> = elements.iter().filter_map(|e| e.attributes.get("id")).map(String::as_str).collect();
        let unique: BTreeSet<&str> = ids.iter().copied().collect();
        assert_eq!(ids.len(), unique.len(), "{name}: ids {ids:?}");
        for element in &elements {
            for reference in ["for", "aria-describedby", "aria-labelledby"] {
                for id in element.of(reference).split_ascii_whitespace() {
                    assert!(unique.contains(id), "{name}: {reference} {id}");
                }
            }
            if element.has("aria-invalid", "true") {
                assert!(element.of("aria-describedby").contains("trouble"), "{name}: a wrong field without its reason");
            }
        }
        let labels: BTreeSet<&str> = all("label").map(|label| label.of("for")).collect();
        for input in all("input").filter(|input| !input.has("type", "hidden")) {
            let id = input.of("id");
            assert!(labels.contains(id) && !id.is_empty() || input.in_label || !input.of("aria-label").is_empty(), "{name}: no label");
            assert!(!input.of("name").is_empty() && !input.of("type").is_empty(), "{name}: an input without name or type");
            if !input.has("type", "checkbox") {
                assert!(!input.of("autocomplete").is_empty(), "{name}: {id} without autocomplete");
            }
        }
        for pressed in all("button").chain(all("a")) {
            assert!(!pressed.text.trim().is_empty(), "{name}: nothing to press");
        }
        for image in all("img").chain(all("iframe")) {
            assert!(image.attributes.contains_key("alt") || image.attributes.contains_key("title"), "{name}: no alternative");
        }
        assert!(elements.iter().filter(|e| e.attributes.contains_key("autofocus")).count() <= 1, "{name}: one focus");
        let troubled = elements.iter().any(|e| e.has("id", "trouble"));
        assert_eq!(troubled, all("div").any(|div| div.has("role", "alert")), "{name}");
        let focused_blame = elements.iter().any(|e| e.attributes.contains_key("autofocus") && e.has("aria-invalid", "true"));
        assert_eq!(elements.iter().any(|e| e.has("aria-invalid", "true")), focused_blame, "{name}: focus is not on what is wrong");
        for form in all("form") {
            assert!(form.has("method", "post"), "{name}: a form that shows its fields in the address");
        }
        let forms = all("form").filter(|form| form.of("action").starts_with('/')).count();
        assert_eq!(all("input").filter(|input| input.has("name", "csrf_token")).count(), forms, "{name}: a form without its token");
        let mut level = 0;
        for heading in elements.iter().filter(|e| ["h1", "h2", "h3"].contains(&e.name.as_str())) {
            let this = heading.name.as_bytes()[1] - b'0';
            assert!(this <= level + 1, "{name}: {} skips a level", heading.name);
            level = this;
        }
    });
}

#[test]
fn the_policy_allows_what_the_page_has_and_no_more() {
    every_page(&benign, false, |name, page, look| {
        let elements = elements(&page.html(look), name);
        let csp = page.csp();
        let directive = |wanted: &str| {
            let mut parts = csp.split("; ").filter_map(|part| part.split_once(' '));
            parts.find(|(name, _)| *name == wanted).map(|(_, value)| value)
        };
        assert!(!csp.contains("unsafe") && !csp.contains('*') && !csp.contains("data:"), "{name}: {csp}");
        for (wanted, value) in [("default-src", "'none'"), ("style-src", "'self'"), ("base-uri", "'none'"), ("frame-ancestors", "'none'")] {
            assert_eq!(directive(wanted), Some(value), "{name}");
        }
        let has = |element: &str| elements.iter().any(|e| e.name == element);
        assert_eq!(directive("script-src"), has("script").then_some("'self'"), "{name}");
        assert_eq!(directive("frame-src").is_some(), has("iframe"), "{name}");
        let elsewhere = elements.iter().any(|e| e.name == "img" && e.of("src").starts_with("https://photos.example/"));
        assert_eq!(directive("img-src"), Some(if elsewhere { "'self' https://photos.example" } else { "'self'" }), "{name}");
        let stays = |prefixes: &[&str]| prefixes.iter().any(|prefix| name.starts_with(prefix));
        // On the account page a new password leads back to it.
        let leads_away =
            !stays(&["password-required-again"]) && stays(&["login", "choose", "consent", "password-required", "logout", "form-post"]);
        assert_eq!(directive("form-action"), (!leads_away).then_some("'self'"), "{name}");
    });
}

#[test]
fn every_file_that_a_page_names_is_served_under_that_name_only() {
    every_page(&benign, false, |name, page, look| {
        for element in elements(&page.html(look), name) {
            for attribute in ["href", "src"] {
                let Some(file) = element.of(attribute).strip_prefix("/t/acme/assets/") else { continue };
                if Some(file) == look.logo {
                    continue;
                }
                let asset = look.asset(file).unwrap_or_else(|| panic!("{name}: {file}"));
                assert_eq!(asset.name(), file);
                assert!(!asset.bytes().is_empty() && asset.etag().len() == 18, "{file}");
            }
        }
    });
    let branding = Branding::default();
    let look = Look { name: "Acme", branding: &branding, logo: None, language: Language::English, issuer_path: "" };
    for unknown in ["", "pages.css", "theme.css", "theme-0000000000000000.css", "../x", "logo-0000000000000000.png"] {
        assert!(look.asset(unknown).is_none(), "{unknown}");
    }
    let red = Branding { accent: "#b00020".parse().expect("is a colour"), ..Branding::default() };
    assert_ne!(look.theme().name(), Look { branding: &red, ..look }.theme().name(), "a change gets a new name");
}

#[test]
fn mails_say_the_same_as_text_and_as_html_and_carry_nothing_that_runs() {
    let mut shapes: Vec<Vec<String>> = Vec::new();
    for (say, is_hostile) in [(&benign as samples::Say<'_>, false), (&hostile, true)] {
        let branding = branding(is_hostile);
        let mut at = 0;
        for language in Language::ALL {
            let look = Look { name: "Acme", branding: &branding, logo: None, language, issuer_path: "/t/acme" };
            for (name, body) in samples::mails(say) {
                let mail = body.mail(&look);
                let elements = elements(&mail.html, name);
                if is_hostile {
                    assert_eq!(shape(&elements), shapes[at], "{name}");
                } else {
                    shapes.push(shape(&elements));
                }
                at += 1;
                assert!(!mail.subject.contains(['\r', '\n', '\u{2068}']) && mail.subject.contains("Acme"), "{name}: {}", mail.subject);
                assert!(mail.text.contains(&mail.subject), "{name}: {}", mail.text);
                assert!(!mail.text.contains('\u{2068}') && !mail.text.contains("&amp;y"), "{name}: plain text is not escaped");
                let squeezed = |text: &str| text.split_whitespace().collect::<String>().replace(['\u{2068}', '\u{2069}'], "");
                let html = squeezed(&elements[0].text);
                for line in mail.text.lines().filter(|line| !line.contains(": ") && !line.ends_with(':')) {
                    assert!(html.contains(&squeezed(line)), "{name}: only in the text: {line}");
                }
                for element in &elements {
                    assert!(!["script", "img", "link", "iframe", "form"].contains(&element.name.as_str()), "{name}: {}", element.name);
                    assert!(!element.attributes.keys().any(|attribute| attribute.starts_with("on")), "{name}");
                    assert!(element.name != "a" || element.of("href") == "https://id.example/t/acme/x?token=abc&y=1", "{name}");
                }
            }
        }
    }
}
