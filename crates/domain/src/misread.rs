//! JSON of somebody else, read as what it is to be; where it cannot be, which member is wrong and what was expected there.
//!
//! Invariant: no value of what was sent is repeated, for it could be a password. Names of members are.

use std::fmt::{self, Write};

use serde::de::{DeserializeOwned, Deserializer};
use serde_json::Value;
use serde_json::error::Category;
use serde_path_to_error::{Path, Segment};

/// What cannot be read, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Misread {
    /// The way to the member that is wrong, such as `rules[0].from`; empty where it is the whole.
    pub member: String,
    what: String,
}

impl Misread {
    /// The same, where what was read is itself a member of something.
    #[must_use]
    pub fn within(self, outer: &str) -> Self {
        let member = match self.member.as_str() {
            "" => outer.to_owned(),
            inner if inner.starts_with('[') => format!("{outer}{inner}"),
            inner => format!("{outer}.{inner}"),
        };
        Self { member, ..self }
    }
}

impl fmt::Display for Misread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.member.is_empty() { f.write_str(&self.what) } else { write!(f, "{}: {}", self.member, self.what) }
    }
}

impl std::error::Error for Misread {}

/// Reads a text.
///
/// # Errors
/// When it is no JSON, or JSON of something else.
pub fn read<T: DeserializeOwned>(text: &[u8]) -> Result<T, Misread> {
    let mut json = serde_json::Deserializer::from_slice(text);
    let read = located(&mut json)?;
    json.end().map_err(|error| Misread { member: String::new(), what: what(&error) })?;
    Ok(read)
}

/// Reads a value.
///
/// # Errors
/// When it is one of something else.
pub fn read_value<T: DeserializeOwned>(value: Value) -> Result<T, Misread> {
    located(value)
}

fn located<'de, T: DeserializeOwned>(json: impl Deserializer<'de, Error = serde_json::Error>) -> Result<T, Misread> {
    serde_path_to_error::deserialize(json).map_err(|error| Misread { member: way(error.path()), what: what(error.inner()) })
}

/// The way to a member, cut to 200 characters. The variant of an enumeration is no member: it may be what was sent in place of one.
fn way(path: &Path) -> String {
    let mut way = String::new();
    for segment in path {
        let written = match segment {
            Segment::Seq { index } => write!(way, "[{index}]"),
            Segment::Map { key } if way.is_empty() => write!(way, "{key}"),
            Segment::Map { key } => write!(way, ".{key}"),
            Segment::Enum { .. } | Segment::Unknown => break,
        };
        if written.is_err() {
            break;
        }
    }
    way.chars().take(200).collect()
}

fn what(error: &serde_json::Error) -> String {
    let place = format!("line {}, column {}", error.line(), error.column());
    match error.classify() {
        Category::Data => {
            let text = error.to_string();
            let text = text.split_once(" at line ").map_or(text.as_str(), |(said, _)| said);
            // These repeat what was sent; only what follows "expected" is ours. All others are constant words of our own types, or name a member.
            if text.starts_with("invalid ") || text.starts_with("unknown variant ") {
                let wanted = text.rsplit_once("expected ").map_or("something else", |(_, wanted)| wanted);
                format!("the wrong value or type; expected {wanted}")
            } else {
                text.to_owned()
            }
        }
        Category::Eof => format!("the JSON ends too early, at {place}"),
        Category::Io | Category::Syntax => format!("this is not JSON: {place}"),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::Deserialize;
    use serde_json::json;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only its reading is tested")]
    struct Sample {
        name: crate::text::Slug,
        kind: Option<Kind>,
        #[serde(default)]
        inner: Vec<BTreeMap<String, u8>>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "snake_case")]
    enum Kind {
        Body,
    }

    fn said(json: &str) -> String {
        read::<Sample>(json.as_bytes()).expect_err("refused").to_string()
    }

    #[test]
    fn an_error_says_where_it_is_and_what_is_expected_and_never_repeats_a_value() {
        for json in [
            r#"{"name":"a","kind":"hunter2"}"#,
            r#"{"name":["hunter2"]}"#,
            r#"{"name":"hunter2 at line 7"}"#,
            r#"{"name":"a","kind":{"hunter2":1}}"#,
            r#"{"name":"a","inner":[{"b":"hunter2"}]}"#,
            r#"{"name":"a"} hunter2"#,
            r#"{"name":"a","kind":"hunter2 expected "}"#,
        ] {
            assert!(!said(json).contains("hunter2"), "{}", said(json));
        }
        assert_eq!(said(r#"{"name":"a","kind":"x"}"#), "kind: the wrong value or type; expected `body`");
        assert_eq!(said(r#"{"name":"a","inner":[{},{"b":256}]}"#), "inner[1].b: the wrong value or type; expected u8");
        assert!(said(r#"{"name":"A b"}"#).starts_with("name: a slug is "), "{}", said(r#"{"name":"A b"}"#));
        assert!(said(r#"{"nam":"a"}"#).contains("unknown field `nam`"));
        assert!(said("{}").starts_with("missing field `name`"));
        assert!(said("{").contains("ends too early"));
        assert!(said("{]").contains("not JSON"));
        assert!(said(r#"{"name":"a","name":"b"}"#).contains("duplicate field `name`"));
    }

    #[test]
    fn what_is_inside_of_something_is_named_from_there() {
        let within = |value| read_value::<Vec<Sample>>(value).expect_err("refused").within("samples").member;
        assert_eq!(within(json!([{ "name": "a", "kind": 3 }])), "samples[0].kind");
        assert_eq!(within(json!(3)), "samples");
        assert_eq!(read_value::<Sample>(json!({ "name": "a", "kind": 3 })).expect_err("refused").within("sample").member, "sample.kind");
    }
}
