//! How a tenant looks to its people: names, colours, a logo, words and links, for the hosted pages and mails.
//!
//! Invariant: whatever a tenant chooses, text stays readable (WCAG 2.2 AA, 1.4.3 and 1.4.11). A colour that cannot be made to is
//! refused. No markup, style sheet or script comes from a tenant.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::language::Language;
use crate::text::{BadText, DisplayName, Email};

/// What a tenant decides about its pages. Data in a row of its own; the logo is kept beside it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub struct Branding {
    /// The name people know; the tenant's own where absent.
    pub display_name: Option<DisplayName>,
    /// Buttons, links and the focus ring.
    pub accent: Accent,
    /// Behind the card, by day; by night the pages are dark whatever it is.
    pub background: Option<Colour>,
    pub corners: Corners,
    /// What somebody gets whose wishes name no language of ours.
    pub default_language: Language,
    pub texts: BTreeMap<Language, Texts>,
    pub support_email: Option<Email>,
    pub terms: Option<Link>,
    pub privacy: Option<Link>,
}

impl Branding {
    /// The tenant's own words in a language, if it wrote any.
    pub fn texts_in(&self, language: Language) -> Option<&Texts> {
        self.texts.get(&language)
    }
}

/// How a tenant looks: what it decided, and the name of its logo ([`Logo::file_name`]) if it has one.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Appearance {
    pub branding: Branding,
    pub logo_name: Option<String>,
}

/// Words of the tenant on its login page, in one language.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub struct Texts {
    /// Instead of "Sign in".
    pub login_title: Option<DisplayName>,
    /// Below the login form.
    pub login_help: Option<HelpText>,
}

/// Plain text of 1 to 500 characters; line breaks are kept, other control characters refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HelpText(String);

impl HelpText {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for HelpText {
    type Err = BadText;

    fn from_str(text: &str) -> Result<Self, BadText> {
        let text = text.trim();
        let shown = |line: &str| line.trim().is_empty() || line.chars().all(|c| !crate::text::is_unshowable(c));
        if text.is_empty() || text.len() > 4_000 || text.chars().count() > 500 || !text.split('\n').all(shown) {
            return Err(BadText("a help text is 1 to 500 characters of plain text without control characters other than line breaks"));
        }
        Ok(Self(text.to_owned()))
    }
}

/// How round buttons, fields and cards are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(rename_all = "snake_case")]
pub enum Corners {
    Square,
    #[default]
    Soft,
    Round,
}

/// A web address that may be linked to: `https`, or `http` on this machine; at most 2,000 bytes, no user or password in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link(url::Url);

impl Link {
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// `https://host` with the port where it is not the usual one.
    pub fn origin(&self) -> String {
        self.0.origin().ascii_serialization()
    }
}

impl FromStr for Link {
    type Err = BadText;

    fn from_str(text: &str) -> Result<Self, BadText> {
        let refused = BadText("a link is an https URL of at most 2000 bytes, such as https://example.com/privacy");
        if text.len() > 2_000 {
            return Err(refused);
        }
        let url = url::Url::parse(text).map_err(|_| refused.clone())?;
        let here = match url.host() {
            Some(url::Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
            Some(url::Host::Ipv4(ip)) => ip.is_loopback(),
            Some(url::Host::Ipv6(ip)) => ip.is_loopback(),
            None => false,
        };
        let plain = url.username().is_empty() && url.password().is_none();
        match url.scheme() {
            "https" if plain => Ok(Self(url)),
            "http" if plain && here => Ok(Self(url)),
            _ => Err(refused),
        }
    }
}

/// A colour in sRGB; written `#rrggbb`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Colour([u8; 3]);

impl Colour {
    pub const BLACK: Self = Self([0, 0, 0]);
    pub const WHITE: Self = Self([255, 255, 255]);

    pub const fn rgb(red: u8, green: u8, blue: u8) -> Self {
        Self([red, green, blue])
    }

    /// How bright it is, 0 (black) to 1 (white). Source: WCAG 2.2, relative luminance.
    fn luminance(self) -> f64 {
        let linear = |channel: u8| {
            let share = f64::from(channel) / 255.0;
            if share <= 0.04045 { share / 12.92 } else { ((share + 0.055) / 1.055).powf(2.4) }
        };
        let [red, green, blue] = self.0.map(linear);
        0.2126 * red + 0.7152 * green + 0.0722 * blue
    }

    /// How far two colours are apart, 1 to 21. Source: WCAG 2.2, contrast ratio.
    pub fn contrast(self, other: Self) -> f64 {
        let (one, two) = (self.luminance(), other.luminance());
        (one.max(two) + 0.05) / (one.min(two) + 0.05)
    }

    /// Black or white, whichever reads better on this; one of them always reaches 4.5.
    pub fn ink(self) -> Self {
        if self.contrast(Self::WHITE) >= self.contrast(Self::BLACK) { Self::WHITE } else { Self::BLACK }
    }

    /// The nearest shade on the way to `towards` that has at least `contrast` to `ground`.
    fn shade(self, towards: Self, ground: Self, contrast: f64) -> Self {
        let mix = |step: u16| {
            let channel = |i: usize| {
                let (from, to) = (u16::from(self.0[i]), u16::from(towards.0[i]));
                u8::try_from((from * (32 - step) + to * step) / 32).unwrap_or(u8::MAX)
            };
            Self([channel(0), channel(1), channel(2)])
        };
        (0..=32).map(mix).find(|shade| shade.contrast(ground) >= contrast).unwrap_or(towards)
    }
}

impl FromStr for Colour {
    type Err = BadText;

    fn from_str(text: &str) -> Result<Self, BadText> {
        let refused = BadText("a colour is # and six hexadecimal digits, such as #0b5fff");
        let digits = text.strip_prefix('#').filter(|digits| digits.len() == 6 && digits.bytes().all(|b| b.is_ascii_hexdigit()));
        let number = digits.and_then(|digits| u32::from_str_radix(digits, 16).ok()).ok_or(refused)?;
        let [_, red, green, blue] = number.to_be_bytes();
        Ok(Self([red, green, blue]))
    }
}

impl fmt::Display for Colour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [red, green, blue] = self.0;
        write!(f, "#{red:02x}{green:02x}{blue:02x}")
    }
}

impl fmt::Debug for Colour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A colour for buttons, links and the focus ring, that stands out from the white card: at least 3:1 (WCAG 2.2, 1.4.11).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Accent(Colour);

impl Accent {
    /// The card by day and by night.
    pub const PAPER: Colour = Colour::WHITE;
    pub const NIGHT: Colour = Colour::rgb(0x1b, 0x1e, 0x25);
    /// The tint of boxes on the card, which is nearer to the links on it than the card is.
    pub const PAPER_TINT: Colour = Colour::rgb(0xf3, 0xf4, 0xf7);
    pub const NIGHT_TINT: Colour = Colour::rgb(0x26, 0x2a, 0x33);
    /// The least contrast of text (1.4.3) and of what is no text but must be seen (1.4.11).
    const TEXT: f64 = 4.5;
    const SHAPE: f64 = 3.0;

    pub fn new(colour: Colour) -> Result<Self, BadText> {
        if colour.contrast(Self::PAPER) < Self::SHAPE {
            return Err(BadText(
                "the accent colour is too bright: on the white card it has less than 3:1 contrast, and buttons and the focus ring \
                 could not be seen; choose a darker shade",
            ));
        }
        Ok(Self(colour))
    }

    /// The colour itself: buttons by day. Text on it is its [`Colour::ink`].
    pub const fn by_day(self) -> Colour {
        self.0
    }

    /// The nearest shade that stands out from the dark card: buttons by night.
    pub fn by_night(self) -> Colour {
        self.0.shade(Colour::WHITE, Self::NIGHT, Self::SHAPE)
    }

    /// The nearest shade that is readable as text on the white card and on boxes in it.
    pub fn link_by_day(self) -> Colour {
        self.0.shade(Colour::BLACK, Self::PAPER_TINT, Self::TEXT)
    }

    /// The nearest shade that is readable as text on the dark card and on boxes in it.
    pub fn link_by_night(self) -> Colour {
        self.0.shade(Colour::WHITE, Self::NIGHT_TINT, Self::TEXT)
    }
}

impl Default for Accent {
    fn default() -> Self {
        Self(Colour::rgb(0x1f, 0x4f, 0xd8))
    }
}

impl FromStr for Accent {
    type Err = BadText;

    fn from_str(text: &str) -> Result<Self, BadText> {
        Self::new(text.parse()?)
    }
}

impl fmt::Display for Accent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

macro_rules! as_text {
    ($($name:ident $shown:expr),*) => {$(
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                let shown: fn(&Self) -> String = $shown;
                serializer.serialize_str(&shown(self))
            }
        }
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    )*};
}
as_text!(Colour | c | c.to_string(), Accent | a | a.to_string(), HelpText | t | t.0.clone(), Link | l | l.0.to_string());

/// An uploaded picture: PNG, JPEG or WebP (known by its first bytes), at most 64 KiB. Served from our own origin, so that no third
/// party learns who logs in; SVG is refused, for it is a document with scripts.
#[derive(Clone, PartialEq, Eq)]
pub struct Logo {
    kind: ImageKind,
    bytes: Vec<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ImageKind {
    Png,
    Jpeg,
    Webp,
}

impl ImageKind {
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Png => "image/png",
            Self::Jpeg => "image/jpeg",
            Self::Webp => "image/webp",
        }
    }

    pub const fn extension(self) -> &'static str {
        match self {
            Self::Png => "png",
            Self::Jpeg => "jpg",
            Self::Webp => "webp",
        }
    }
}

impl Logo {
    pub const LARGEST: usize = 64 * 1_024;

    /// # Errors
    /// The picture is empty, too large, or none of the three kinds.
    pub fn new(bytes: Vec<u8>) -> Result<Self, BadText> {
        if bytes.len() > Self::LARGEST {
            return Err(BadText("a logo is at most 65536 bytes"));
        }
        let kind = match bytes.as_slice() {
            [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1a, b'\n', ..] => ImageKind::Png,
            [0xff, 0xd8, 0xff, ..] => ImageKind::Jpeg,
            [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => ImageKind::Webp,
            _ => return Err(BadText("a logo is a PNG, JPEG or WebP picture")),
        };
        Ok(Self { kind, bytes })
    }

    pub const fn kind(&self) -> ImageKind {
        self.kind
    }

    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The name it is served under: it changes with the picture, so it may be cached for good.
    pub fn file_name(&self) -> String {
        format!("logo-{:016x}.{}", fingerprint(&self.bytes), self.kind.extension())
    }
}

impl fmt::Debug for Logo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Logo({:?}, {} bytes)", self.kind, self.bytes.len())
    }
}

/// A number that tells versions of a file apart in its name (FNV-1a, 64 bits). It keeps caches honest and protects nothing.
pub const fn fingerprint(bytes: &[u8]) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    let mut at = 0;
    while at < bytes.len() {
        hash = (hash ^ bytes[at] as u64).wrapping_mul(0x0100_0000_01b3);
        at += 1;
    }
    hash
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn contrast_is_that_of_wcag() {
        let contrast = |one: &str, two: &str| {
            let colour = |text: &str| text.parse::<Colour>().expect("is a colour");
            (colour(one).contrast(colour(two)) * 100.0).round() / 100.0
        };
        assert!((contrast("#000000", "#ffffff") - 21.0).abs() < 0.01);
        assert!((contrast("#777777", "#ffffff") - 4.48).abs() < 0.01);
        assert!((contrast("#0000ff", "#ffffff") - 8.59).abs() < 0.01);
    }

    #[test]
    fn an_accent_that_cannot_be_seen_on_the_card_is_refused_with_the_reason() {
        for bright in ["#ffff00", "#ffffff", "#9be7ff", "#c0c0c0"] {
            let refusal = bright.parse::<Accent>().expect_err(bright);
            assert!(refusal.to_string().contains("3:1"), "{refusal}");
        }
        for good in ["#1f4fd8", "#000000", "#b00020", "#e8590c"] {
            assert!(good.parse::<Accent>().is_ok(), "{good}");
        }
        for bad in ["", "#fff", "red", "#12345g", "#1234567", "123456", "#12345é"] {
            assert!(bad.parse::<Colour>().is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn whatever_colour_a_tenant_chooses_text_on_it_and_links_beside_it_are_readable(rgb in any::<[u8; 3]>()) {
            let colour = Colour(rgb);
            prop_assert!(colour.contrast(colour.ink()) >= 4.5);
            prop_assert_eq!(colour.to_string().parse::<Colour>(), Ok(colour));
            if let Ok(accent) = Accent::new(colour) {
                prop_assert!(accent.by_day().contrast(Accent::PAPER) >= 3.0);
                prop_assert!(accent.by_night().contrast(Accent::NIGHT) >= 3.0);
                prop_assert!(accent.by_night().contrast(accent.by_night().ink()) >= 4.5);
                for (link, grounds) in [
                    (accent.link_by_day(), [Accent::PAPER, Accent::PAPER_TINT]),
                    (accent.link_by_night(), [Accent::NIGHT, Accent::NIGHT_TINT]),
                ] {
                    prop_assert!(grounds.iter().all(|ground| link.contrast(*ground) >= 4.5), "{link}");
                }
            }
        }
    }

    #[test]
    fn links_lead_to_the_web_and_nowhere_else() {
        for good in
            ["https://example.com/privacy?x=1#y", "https://bücher.example/", "http://localhost:8080/", "http://[::1]/", "http://127.0.0.1/"]
        {
            assert!(good.parse::<Link>().is_ok(), "{good}");
        }
        for bad in [
            "",
            "javascript:alert(1)",
            "data:text/html,x",
            "http://example.com/",
            "//example.com",
            "/x",
            "https://a:b@example.com/",
            "ftp://x",
            "mailto:a@b.c",
            "https://",
        ] {
            assert!(bad.parse::<Link>().is_err(), "{bad}");
        }
        assert_eq!("https://example.com:8443/a".parse::<Link>().expect("is one").origin(), "https://example.com:8443");
    }

    #[test]
    fn a_logo_is_known_by_its_first_bytes() {
        let png = [b"\x89PNG\r\n\x1a\n".as_slice(), &[0; 100]].concat();
        let logo = Logo::new(png.clone()).expect("is a picture");
        assert_eq!(logo.kind(), ImageKind::Png);
        assert_ne!(logo.file_name(), Logo::new([png.as_slice(), &[1]].concat()).expect("is one").file_name());
        assert!(Logo::new(b"<svg xmlns='http://www.w3.org/2000/svg'/>".to_vec()).is_err());
        assert!(Logo::new(Vec::new()).is_err());
        assert!(Logo::new([png.as_slice(), &vec![0; Logo::LARGEST]].concat()).is_err());
    }

    #[test]
    fn branding_survives_its_json_and_refuses_what_it_does_not_know() {
        let json = r##"{"display_name":"Acme","accent":"#b00020","texts":{"de":{"login_title":"Hallo","login_help":"Fragen?\nRuf an."}},"terms":"https://acme.example/terms"}"##;
        let branding: Branding = serde_json::from_str(json).expect("is valid");
        assert_eq!(serde_json::from_value::<Branding>(serde_json::to_value(&branding).expect("is JSON")).expect("is valid"), branding);
        for bad in [r##"{"accent":"#ffff00"}"##, r#"{"css":"x"}"#, r#"{"terms":"javascript:x"}"#, r#"{"texts":{"xx":{}}}"#] {
            assert!(serde_json::from_str::<Branding>(bad).is_err(), "{bad}");
        }
    }
}
