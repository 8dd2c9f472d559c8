//! The files that pages refer to, each under a name that changes with its content.

use std::borrow::Cow;
use std::sync::OnceLock;

use domain::branding::fingerprint;

/// A file to serve as it is. Its name holds its fingerprint: `Cache-Control: public, max-age=31536000, immutable`.
#[derive(Debug, Clone)]
pub struct Asset {
    name: String,
    content_type: &'static str,
    bytes: Cow<'static, [u8]>,
}

impl Asset {
    pub(crate) fn new(name: String, content_type: &'static str, bytes: Vec<u8>) -> Self {
        Self { name, content_type, bytes: Cow::Owned(bytes) }
    }

    /// Its name in `{issuer}/assets/`.
    pub fn name(&self) -> &str {
        &self.name
    }
    pub const fn content_type(&self) -> &'static str {
        self.content_type
    }
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
    /// A strong entity tag, in its quotes.
    pub fn etag(&self) -> String {
        format!("\"{:016x}\"", fingerprint(&self.bytes))
    }
}

/// The files that all tenants share.
pub fn assets() -> &'static [Asset] {
    static ALL: OnceLock<[Asset; 2]> = OnceLock::new();
    ALL.get_or_init(|| {
        let file = |stem: &str, extension: &str, content_type, bytes: &'static [u8]| Asset {
            name: format!("{stem}-{:016x}.{extension}", fingerprint(bytes)),
            content_type,
            bytes: Cow::Borrowed(bytes),
        };
        [
            file("pages", "css", "text/css; charset=utf-8", include_bytes!("../assets/pages.css")),
            file("onwards", "js", "text/javascript; charset=utf-8", include_bytes!("../assets/onwards.js")),
        ]
    })
}

pub(crate) fn stylesheet() -> &'static Asset {
    &assets()[0]
}

pub(crate) fn script() -> &'static Asset {
    &assets()[1]
}

pub(crate) fn shared(name: &str) -> Option<&'static Asset> {
    assets().iter().find(|asset| asset.name == name)
}
