//! The table that a run ends with, the same on the terminal and in a file: Markdown.

use std::fmt;

use crate::stats;

/// What a number counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unit {
    PerSecond,
    Milliseconds,
    Microseconds,
    /// Millions of bytes.
    Megabytes,
}

impl Unit {
    fn of(self, value: f64) -> String {
        match self {
            Self::PerSecond if value >= 1_000.0 => format!("{}/s", thousands(value)),
            Self::PerSecond => format!("{value:.1}/s"),
            Self::Milliseconds => format!("{value:.1} ms"),
            Self::Microseconds => format!("{value:.1} µs"),
            Self::Megabytes => format!("{value:.1} MB"),
        }
    }
}

/// What we hope for. Nothing happens when it is missed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Aim {
    None,
    RatioAtLeast(f64),
    RatioAtMost(f64),
    AtLeast(f64),
    AtMost(f64),
}

/// One thing that was measured.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Row {
    pub(crate) what: String,
    pub(crate) unit: Unit,
    pub(crate) claviger: f64,
    /// What else was measured in the same run, and what that is.
    pub(crate) beside: Option<(f64, String)>,
    pub(crate) aim: Aim,
    pub(crate) detail: String,
}

impl Row {
    fn ratio(&self) -> Option<f64> {
        self.beside.as_ref().and_then(|(beside, _)| stats::ratio(self.claviger, *beside))
    }

    /// The aim, and whether it was reached.
    fn aim(&self) -> String {
        let (aim, is_reached) = match self.aim {
            Aim::None => return String::new(),
            Aim::RatioAtLeast(least) => (format!("ratio ≥ {least}"), self.ratio().is_some_and(|ratio| ratio >= least)),
            Aim::RatioAtMost(most) => (format!("ratio ≤ {most}"), self.ratio().is_some_and(|ratio| ratio <= most)),
            Aim::AtLeast(least) => (format!("≥ {}", self.unit.of(least)), self.claviger >= least),
            Aim::AtMost(most) => (format!("≤ {}", self.unit.of(most)), self.claviger <= most),
        };
        format!("{aim}: {}", if is_reached { "yes" } else { "no" })
    }

    fn cells(&self) -> [String; 6] {
        [
            self.what.clone(),
            self.unit.of(self.claviger),
            self.beside.as_ref().map_or_else(String::new, |(value, what)| format!("{} {what}", self.unit.of(*value))),
            self.ratio().map_or_else(String::new, |ratio| format!("{ratio:.2}")),
            self.aim(),
            self.detail.clone(),
        ]
    }
}

/// A heading, the facts it was measured under, and the rows.
#[derive(Debug, Default)]
pub(crate) struct Table {
    pub(crate) title: String,
    pub(crate) facts: Vec<(&'static str, String)>,
    pub(crate) rows: Vec<Row>,
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const HEAD: [&str; 6] = ["measured", "Claviger", "beside it", "ratio", "aim", "detail"];
        writeln!(f, "## {}\n", self.title)?;
        for (name, fact) in &self.facts {
            writeln!(f, "- {name}: {}", escaped(fact))?;
        }
        let rows: Vec<_> = self.rows.iter().map(|row| row.cells().map(|cell| escaped(&cell))).collect();
        let mut widths = HEAD.map(str::len);
        for row in &rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.chars().count());
            }
        }
        let line = |f: &mut fmt::Formatter<'_>, cells: &[String]| {
            for (cell, width) in cells.iter().zip(widths) {
                write!(f, "| {cell:width$} ")?;
            }
            writeln!(f, "|")
        };
        writeln!(f)?;
        line(f, &HEAD.map(str::to_owned))?;
        line(f, &widths.map(|width| "-".repeat(width)))?;
        rows.iter().try_for_each(|row| line(f, row))
    }
}

/// A bar would begin a new cell.
fn escaped(text: &str) -> String {
    text.replace('|', "\\|")
}

/// A whole number with commas.
fn thousands(value: f64) -> String {
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(claviger: f64, beside: Option<f64>, aim: Aim) -> Row {
        let beside = beside.map(|value| (value, "bare".to_owned()));
        Row { what: "a|b".to_owned(), unit: Unit::PerSecond, claviger, beside, aim, detail: String::new() }
    }

    #[test]
    fn an_aim_says_whether_it_was_reached() {
        assert_eq!(row(90.0, Some(100.0), Aim::RatioAtLeast(0.9)).aim(), "ratio ≥ 0.9: yes");
        assert_eq!(row(89.0, Some(100.0), Aim::RatioAtLeast(0.9)).aim(), "ratio ≥ 0.9: no");
        assert_eq!(row(200.0, Some(100.0), Aim::RatioAtMost(2.0)).aim(), "ratio ≤ 2: yes");
        assert_eq!(row(201.0, Some(100.0), Aim::RatioAtMost(2.0)).aim(), "ratio ≤ 2: no");
        assert_eq!(row(89.0, None, Aim::RatioAtLeast(0.9)).aim(), "ratio ≥ 0.9: no", "without a ratio nothing is reached");
        assert_eq!(row(10_000.0, None, Aim::AtLeast(10_000.0)).aim(), "≥ 10,000/s: yes");
        assert_eq!(row(21.0, None, Aim::AtMost(20.0)).aim(), "≤ 20.0/s: no");
        assert_eq!(row(21.0, None, Aim::None).aim(), "");
    }

    #[test]
    fn the_table_is_markdown_with_aligned_columns() {
        let rows = vec![row(1_234_567.0, Some(2_000_000.0), Aim::None), row(12.34, Some(0.0), Aim::None)];
        let text = Table { title: "T".to_owned(), facts: vec![("CPU", "x".to_owned())], rows }.to_string();
        assert!(text.starts_with("## T\n\n- CPU: x\n\n| measured | Claviger    |"), "{text}");
        assert!(text.contains("| a\\|b     | 1,234,567/s | 2,000,000/s bare | 0.62  |"), "{text}");
        assert!(text.contains("| a\\|b     | 12.3/s      | 0.0/s bare       |       |"), "nothing to divide by: {text}");
        let lengths: Vec<_> = text.lines().filter(|line| line.starts_with('|')).map(|line| line.chars().count()).collect();
        assert!(lengths.len() == 4 && lengths.iter().all(|length| *length == lengths[0]), "{text}");
    }
}
