//! What a browser or an app is called on pages and in mails, by the name that it gave itself.
//!
//! Invariant: for people's eyes only; nothing is decided by it, because anybody may say anything.

use std::fmt;

/// "Firefox" on "Linux", as far as both can be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Device<'a> {
    program: Option<&'a str>,
    system: Option<&'static str>,
}

/// What to look for, and what it means; the first one counts. Those that pretend to be others come before them.
const PROGRAMS: [(&str, &str); 11] = [
    ("Edg/", "Edge"),
    ("EdgA/", "Edge"),
    ("OPR/", "Opera"),
    ("SamsungBrowser/", "Samsung Internet"),
    ("Vivaldi/", "Vivaldi"),
    ("Firefox/", "Firefox"),
    ("FxiOS/", "Firefox"),
    ("CriOS/", "Chrome"),
    ("Chrome/", "Chrome"),
    ("HeadlessChrome/", "Chrome"),
    ("Safari/", "Safari"),
];

const SYSTEMS: [(&str, &str); 7] = [
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Android", "Android"),
    ("CrOS", "ChromeOS"),
    ("Windows", "Windows"),
    ("Mac OS X", "macOS"),
    ("Linux", "Linux"),
];

impl<'a> Device<'a> {
    /// Reads a `User-Agent`. What is no browser's goes by its first word, cut at 40 characters.
    pub fn named(user_agent: &'a str) -> Self {
        let find = |table: &[(&str, &'static str)]| table.iter().find(|(sign, _)| user_agent.contains(sign)).map(|(_, name)| *name);
        let first_word = || {
            let word = user_agent.split(['/', ' ', '(']).next().unwrap_or_default();
            let end = word.char_indices().nth(40).map_or(word.len(), |(at, _)| at);
            Some(&word[..end]).filter(|word| !word.is_empty() && *word != "Mozilla")
        };
        Self { program: find(&PROGRAMS).or_else(first_word), system: find(&SYSTEMS) }
    }
}

impl fmt::Display for Device<'_> {
    /// Names of products, which read the same in every language; empty when nothing is known.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.program, self.system) {
            (Some(program), Some(system)) => write!(f, "{program} · {system}"),
            (Some(one), None) => f.write_str(one),
            (None, Some(one)) => f.write_str(one),
            (None, None) => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_goes_by_what_people_call_it() {
        for (user_agent, name) in [
            ("Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0", "Firefox · Linux"),
            (
                "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36",
                "Chrome · Windows",
            ),
            (
                "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0 Safari/537.36 Edg/142.0",
                "Edge · Windows",
            ),
            (
                "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.0 Mobile/15E148 Safari/604.1",
                "Safari · iPhone",
            ),
            (
                "Mozilla/5.0 (Linux; Android 15) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0 Mobile Safari/537.36",
                "Chrome · Android",
            ),
            ("okhttp/5.1.0", "okhttp"),
            ("Mozilla/5.0", ""),
            ("", ""),
            ("ééééééééééééééééééééééééééééééééééééééééééééééé", "éééééééééééééééééééééééééééééééééééééééé"),
        ] {
            assert_eq!(Device::named(user_agent).to_string(), name, "{user_agent}");
        }
    }
}
