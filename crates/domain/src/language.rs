//! The languages that people are spoken to in, and which one somebody gets.
//!
//! Invariant: what a browser or a client sends only ever chooses among [`Language::ALL`]; it is never echoed.

use serde::{Deserialize, Serialize};

/// A language of the hosted pages and mails.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
pub enum Language {
    #[default]
    #[serde(rename = "en")]
    English,
    #[serde(rename = "de")]
    German,
    #[serde(rename = "fr")]
    French,
    #[serde(rename = "es")]
    Spanish,
    #[serde(rename = "zh-Hans")]
    Chinese,
}

impl Language {
    pub const ALL: [Self; 5] = [Self::English, Self::German, Self::French, Self::Spanish, Self::Chinese];

    /// The tag for `lang` and `ui_locales_supported` (BCP 47).
    pub const fn tag(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::German => "de",
            Self::French => "fr",
            Self::Spanish => "es",
            Self::Chinese => "zh-Hans",
        }
    }

    /// The language that serves a tag such as `de-CH` or `zh-CN`, by its first part; regions and letter case do not matter.
    ///
    /// Traditional Chinese (`zh-Hant`, `zh-TW`, `zh-HK`, `zh-MO`) gets simplified Chinese, which its readers rather have than English.
    pub fn of_tag(tag: &str) -> Option<Self> {
        let primary = tag.split(['-', '_']).next().unwrap_or_default();
        Self::ALL.into_iter().find(|language| language.tag()[..2].eq_ignore_ascii_case(primary))
    }

    /// Which language to speak: the first known one of `ui_locales` (space-separated, most wanted first), else the most wanted
    /// known one of `Accept-Language`, else the tenant's own.
    ///
    /// Source: OpenID Connect Core 3.1.2.1 (`ui_locales`), RFC 9110, 12.5.4 (quality values; 0 means "not this one").
    pub fn negotiate(ui_locales: Option<&str>, accept_language: Option<&str>, default: Self) -> Self {
        let asked = || ui_locales?.split_ascii_whitespace().take(MOST).find_map(Self::of_tag);
        let accepted = || {
            let mut ranges: Vec<(u16, &str)> = accept_language?.split(',').take(MOST).filter_map(range).collect();
            ranges.sort_by_key(|&(quality, _)| std::cmp::Reverse(quality));
            ranges.into_iter().find_map(|(_, tag)| if tag == "*" { Some(default) } else { Self::of_tag(tag) })
        };
        asked().or_else(accepted).unwrap_or(default)
    }
}

/// How many tags are looked at: more than any browser sends, few enough to cost nothing.
const MOST: usize = 32;

/// A tag and its quality in thousandths; none when the quality is 0 or not a number.
fn range(item: &str) -> Option<(u16, &str)> {
    let mut parts = item.split(';');
    let tag = parts.next()?.trim();
    let quality = match parts.next().map(str::trim) {
        None => 1_000,
        Some(weight) => thousandths(weight.strip_prefix("q=").or_else(|| weight.strip_prefix("Q="))?)?,
    };
    (quality > 0 && !tag.is_empty()).then_some((quality, tag))
}

/// `0`, `0.5`, `1.000` and so on in thousandths.
fn thousandths(text: &str) -> Option<u16> {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    if !matches!(whole, "0" | "1") || part.len() > 3 || !part.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let part = format!("{part:0<3}").parse::<u16>().ok()?;
    Some((whole.parse::<u16>().ok()? * 1_000 + part).min(1_000))
}

#[cfg(test)]
mod tests {
    use super::*;
    use Language::{Chinese, English, French, German, Spanish};

    #[test]
    fn the_first_known_wish_wins() {
        for (ui, accept, default, got) in [
            (None, None, English, English),
            (None, None, French, French),
            (Some("de"), Some("fr"), English, German),
            (Some("it de-CH fr"), None, English, German),
            (Some("it pt"), Some("es"), English, Spanish),
            (None, Some("de-AT,de;q=0.9,en;q=0.8"), English, German),
            (None, Some("en;q=0.1, fr;q=0.9"), German, French),
            (None, Some("pt-BR, zh-CN;q=0.7, en;q=0.3"), English, Chinese),
            (None, Some("zh-TW"), English, Chinese),
            (None, Some("de;q=0, *"), French, French),
            (None, Some("it, *;q=0.5"), Spanish, Spanish),
            (None, Some("DE_de"), English, German),
            (None, Some("en;q=nan,de;q=2,fr;q=0.5"), English, French),
            (None, Some(""), German, German),
            (None, Some(",,;;,\u{0},=;q"), German, German),
            (Some(""), Some("fr"), English, French),
            (Some("\"><script>"), None, English, English),
        ] {
            assert_eq!(Language::negotiate(ui, accept, default), got, "{ui:?} {accept:?}");
        }
    }

    #[test]
    fn a_language_is_written_as_its_tag() {
        for language in Language::ALL {
            assert_eq!(serde_json::to_value(language).expect("is text"), language.tag());
            assert_eq!(Language::of_tag(language.tag()), Some(language));
        }
    }
}
