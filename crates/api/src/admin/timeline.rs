//! A forecast as one picture: a row for each key, a column for each step, and beneath them what verifiers are told.
//!
//! Columns are equally wide, because five minutes and a day must both be read; the axis says the moments.
//!
//! Invariant: no script and no address of anything else is in the picture, and every word that comes from outside is escaped.

use std::fmt::Write;

use domain::keys::forecast::{Forecast, KeyLine, Step};
use domain::keys::ring::KeyState;
use domain::time::Timestamp;

const NAMES: usize = 190;
/// The least width of a column.
const COLUMN: usize = 160;
const ROW: usize = 38;
/// The least width, so that sentences find room.
const LEAST: usize = 860;
const LINE: usize = 20;
/// Characters that fit into the least width.
const MOST_CHARACTERS: usize = 112;
/// More columns than this could not be read; the last one says how many are left out.
const MOST_COLUMNS: usize = 16;

const STYLE: &str = "\
.b{fill:#fff}text{font:13px system-ui,sans-serif;fill:#1b1f24}.s{fill:#57606a;font-size:11px}.t{font-size:15px;font-weight:600}\
.l{stroke:#d0d7de}.w{fill:#a40e26}\
.staged{fill:#fff1c2;stroke:#b58100}.active{fill:#bfe8c6;stroke:#1a7f37}.retiring{fill:#cfe3fb;stroke:#0969da}\
.retired{fill:#e7eaee;stroke:#8c959f}.revoked{fill:#ffd3d0;stroke:#cf222e}\
@media(prefers-color-scheme:dark){.b{fill:#0d1117}text{fill:#e6edf3}.s{fill:#9aa4af}.l{stroke:#30363d}.w{fill:#ff8a84}\
.staged{fill:#4a3a08;stroke:#d4a72c}.active{fill:#12432a;stroke:#3fb950}.retiring{fill:#0f3360;stroke:#58a6ff}\
.retired{fill:#262c34;stroke:#6e7681}.revoked{fill:#5a1a1d;stroke:#ff7b72}}";

/// Draws it. `refusal` says why the action would be refused; the forecast is then that of the ring which is left alone.
pub(super) fn svg(forecast: &Forecast, refusal: Option<&str>) -> String {
    let steps = &forecast.steps[..forecast.steps.len().min(MOST_COLUMNS)];
    let left_out = forecast.steps.len() - steps.len();
    let notes = notes(forecast, left_out);
    let column_width = ((LEAST - NAMES - 20) / steps.len().max(1)).max(COLUMN);
    let width = (NAMES + steps.len() * column_width + 20).max(LEAST);
    let refused = lines(refusal.unwrap_or_default());
    let top = 86 + refused.len() * LINE;
    let rows_end = top + forecast.keys.len() * ROW;
    let height = rows_end + 46 + notes.len() * LINE;

    let mut picture = Picture(String::with_capacity(4_096));
    picture.put(format_args!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"100%\" role=\"img\" aria-labelledby=\"t d\">\
         <title id=\"t\">What becomes of the signing keys</title><desc id=\"d\">A row for each key, a column for each moment at which \
         something changes.</desc><style>{STYLE}</style><rect class=\"b\" width=\"{width}\" height=\"{height}\"/>"
    ));
    picture.text(14, 24, "t", if refusal.is_some() { "Refused. Without it, this happens:" } else { "If this is done now" });
    for (line, words) in refused.iter().enumerate() {
        picture.text(14, 46 + line * LINE, "w", words);
    }
    for (column, step) in steps.iter().enumerate() {
        let x = NAMES + column * column_width;
        picture.put(format_args!("<line class=\"l\" x1=\"{x}\" y1=\"{}\" x2=\"{x}\" y2=\"{}\"/>", top - 36, rows_end + 26));
        let (day, time) = shown(step.at);
        picture.text(x + 4, top - 26, "", &since(forecast.made_at, step.at));
        picture.text(x + 4, top - 11, "s", &format!("{day} {time}"));
        picture.text(x + 4, rows_end + 22, "s", &format!("max-age {} s", step.jwks_max_age_seconds.as_seconds()));
    }
    picture.text(14, rows_end + 22, "s", "the JWKS may be kept for");
    for (row, key) in forecast.keys.iter().enumerate() {
        let y = top + row * ROW;
        picture.text(14, y + 24, "", &name(key));
        for (from, to, state, signs) in spans(steps, row) {
            let (x, width) = (NAMES + from * column_width, (to - from) * column_width);
            let label = if signs { "active, signs" } else { state.name() };
            picture.put(format_args!(
                "<rect class=\"{}\" x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" rx=\"4\"/>",
                state.name(),
                x + 2,
                y + 4,
                width - 4,
                ROW - 8
            ));
            picture.text(x + 12, y + 24, "", label);
        }
    }
    for (line, note) in notes.iter().enumerate() {
        picture.text(14, rows_end + 52 + line * LINE, "", note);
    }
    picture.put(format_args!("</svg>"));
    picture.0
}

struct Picture(String);

impl Picture {
    fn put(&mut self, markup: std::fmt::Arguments<'_>) {
        // Writing into a String does not fail.
        let _ = self.0.write_fmt(markup);
    }

    fn text(&mut self, x: usize, y: usize, class: &str, words: &str) {
        self.put(format_args!("<text x=\"{x}\" y=\"{y}\" class=\"{class}\">"));
        for c in words.chars() {
            match c {
                '&' => self.0.push_str("&amp;"),
                '<' => self.0.push_str("&lt;"),
                '>' => self.0.push_str("&gt;"),
                '"' => self.0.push_str("&quot;"),
                // XML has no way to write these.
                c if c.is_control() => self.0.push(' '),
                c => self.0.push(c),
            }
        }
        self.put(format_args!("</text>"));
    }
}

/// What the picture says in words beneath.
fn notes(forecast: &Forecast, left_out: usize) -> Vec<String> {
    let mut notes = Vec::new();
    if let Some(breaks) = &forecast.breaks {
        let minute = |at: Timestamp| shown(at).1;
        notes.push(format!(
            "Tokens of {} revoked key(s) are refused after a verifier's next fetch; caches may trust them until {}.",
            breaks.revoked_kids.len(),
            minute(breaks.caches_may_trust_until)
        ));
        if let Some(until) = breaks.new_tokens_may_be_refused_until {
            notes.push(format!("Verifiers that do not fetch for an unknown kid may refuse new tokens until {}.", minute(until)));
        }
    }
    if left_out > 0 {
        notes.push(format!("{left_out} later step(s) are not drawn."));
    }
    notes.iter().flat_map(|note| lines(note)).collect()
}

/// Breaks a sentence between words into lines that fit.
fn lines(sentence: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in sentence.split_whitespace() {
        match lines.last_mut().filter(|line| line.chars().count() + word.chars().count() < MOST_CHARACTERS) {
            Some(line) => *line += &format!(" {word}"),
            None => lines.push(word.to_owned()),
        }
    }
    lines
}

fn name(key: &KeyLine) -> String {
    match &key.kid {
        Some(kid) => format!("{} {}…", key.alg, &kid.as_str()[..10]),
        None => format!("{} (to be made)", key.alg),
    }
}

/// Neighbouring columns in which a key stands the same: from, to (exclusive), its state, and whether it signs.
fn spans(steps: &[Step], key: usize) -> Vec<(usize, usize, KeyState, bool)> {
    let mut spans: Vec<(usize, usize, KeyState, bool)> = Vec::new();
    for (column, step) in steps.iter().enumerate() {
        let Some(state) = step.states.get(key).copied().flatten() else { continue };
        let signs = step.signing == Some(key);
        match spans.last_mut() {
            Some((_, to, before, signed)) if *to == column && (*before, *signed) == (state, signs) => *to = column + 1,
            _ => spans.push((column, column + 1, state, signs)),
        }
    }
    spans
}

/// A moment as day and time, in whole seconds of UTC.
fn shown(at: Timestamp) -> (String, String) {
    let text = Timestamp::from_seconds(at.as_seconds()).to_string();
    let (day, time) = text.split_once('T').unwrap_or((&text, ""));
    (day.to_owned(), time.trim_end_matches('Z').to_owned() + " UTC")
}

fn since(from: Timestamp, at: Timestamp) -> String {
    let seconds = at.seconds_after(from);
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60);
    match (days, hours, minutes, seconds % 60) {
        (0, 0, 0, 0) => "now".to_owned(),
        (0, 0, 0, seconds) => format!("+ {seconds} s"),
        (0, 0, minutes, 0) => format!("+ {minutes} min"),
        (0, 0, minutes, seconds) => format!("+ {minutes} min {seconds} s"),
        (0, hours, 0, _) => format!("+ {hours} h"),
        (0, hours, minutes, _) => format!("+ {hours} h {minutes} min"),
        (days, 0, ..) => format!("+ {days} d"),
        (days, hours, ..) => format!("+ {days} d {hours} h"),
    }
}

#[cfg(test)]
mod tests {
    use domain::keys::ring::Alg;
    use domain::time::Ttl;

    use super::*;

    fn forecast(steps: usize) -> Forecast {
        let now = Timestamp::from_seconds(1_795_000_000);
        let key = KeyLine { kid: None, alg: Alg::ES256, published_at: now, sign_from: now, sign_until: None, published_until: None };
        let old = KeyLine { kid: Some("A".repeat(43).parse().expect("a kid")), ..key.clone() };
        let step = |n: usize| Step {
            at: now.plus(Ttl::hours(u32::try_from(n).expect("few"))),
            signing: Some(usize::from(n > 0)),
            jwks_max_age_seconds: Ttl::minutes(5),
            states: vec![Some(if n > 0 { KeyState::Retiring } else { KeyState::Active }), (n > 0).then_some(KeyState::Active)],
        };
        Forecast { made_at: now, steps: (0..steps).map(step).collect(), keys: vec![old, key], breaks: None }
    }

    #[test]
    fn a_span_covers_every_column_in_which_nothing_changes() {
        let told = forecast(3);
        assert_eq!(spans(&told.steps, 0), [(0, 1, KeyState::Active, true), (1, 3, KeyState::Retiring, false)]);
        assert_eq!(spans(&told.steps, 1), [(1, 3, KeyState::Active, true)], "it is not there before");
        let picture = svg(&told, None);
        assert_eq!(picture.matches("class=\"retiring\"").count(), 1);
        for words in ["AAAAAAAAAA…", "to be made", "active, signs", "+ 1 h", "max-age 300 s", "2026-11-18 11:06:40 UTC", "width=\"100%\""]
        {
            assert!(picture.contains(words), "{words}: {picture}");
        }
    }

    #[test]
    fn words_from_outside_stay_words() {
        let picture = svg(&forecast(1), Some("</text><script>alert(\"1\")&\u{0}"));
        assert!(picture.contains("&lt;/text&gt;&lt;script&gt;alert(&quot;1&quot;)&amp; </text>"), "{picture}");
        assert!(!picture.contains("<script"));
    }

    #[test]
    fn a_long_sentence_is_broken_between_words_and_loses_none() {
        let sentence = "lead_seconds is 1, but a verifier may not have seen a new key for 360 s; ".repeat(4);
        let broken = lines(&sentence);
        assert!(broken.len() > 1 && broken.iter().all(|line| line.chars().count() <= MOST_CHARACTERS), "{broken:?}");
        assert_eq!(broken.join(" "), sentence.trim());
        assert_eq!(lines(""), Vec::<String>::new());
    }

    #[test]
    fn a_long_future_and_none_at_all_are_drawn() {
        assert!(svg(&forecast(MOST_COLUMNS + 3), None).contains("3 later step(s) are not drawn."));
        let nothing = Forecast { steps: Vec::new(), keys: Vec::new(), ..forecast(0) };
        assert!(svg(&nothing, None).ends_with("</svg>"));
    }

    #[test]
    fn a_distance_is_told_in_the_units_that_matter() {
        let now = Timestamp::EPOCH;
        for (seconds, words) in [
            (0, "now"),
            (59, "+ 59 s"),
            (300, "+ 5 min"),
            (330, "+ 5 min 30 s"),
            (7_200, "+ 2 h"),
            (5_400, "+ 1 h 30 min"),
            (93_600, "+ 1 d 2 h"),
        ] {
            assert_eq!(since(now, now.plus(Ttl::seconds(seconds))), words);
        }
    }
}
