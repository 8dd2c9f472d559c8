//! The words on the wire, as JSON Schema 2020-12: a file for each subject, and here what they are made of.
//!
//! An object says which members there are. Those of answers are all there unless it says otherwise (`required`); the
//! end-to-end tests take every member that is not named here for a mistake. Invariant: a name is defined once.

mod clients;
mod events;
mod keys;
mod pages;
mod protocol;
mod published;
mod resources;
mod tenants;
mod users;
mod words;

use serde_json::{Value, json};

/// Schemas by their names.
type Named = Vec<(&'static str, Value)>;

fn parts() -> impl Iterator<Item = (&'static str, Value)> {
    [
        words::schemas(),
        protocol::schemas(),
        pages::schemas(),
        published::schemas(),
        tenants::schemas(),
        users::schemas(),
        clients::schemas(),
        resources::schemas(),
        keys::schemas(),
        events::schemas(),
    ]
    .into_iter()
    .flatten()
}

/// All of them.
pub(super) fn schemas() -> Value {
    Value::Object(parts().map(|(name, schema)| (name.to_owned(), schema)).collect())
}

/// Points at one of [`schemas`].
pub(super) fn reference(name: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{name}") })
}

/// An object of an answer: these members, all of them always.
fn answer(description: &str, members: Value) -> Value {
    let names: Vec<_> = members.as_object().map(|members| members.keys().cloned().collect()).unwrap_or_default();
    json!({ "type": "object", "description": description, "required": names, "properties": members })
}

/// An object of an answer of whose members some may be absent.
fn answer_with(description: &str, members: Value, optional: Value) -> Value {
    let mut object = answer(description, members);
    if let (Some(members), Value::Object(optional)) = (object["properties"].as_object_mut(), optional) {
        members.extend(optional);
    }
    object
}

/// An object of a request: other members are refused.
fn request(description: &str, required: &[&str], members: Value) -> Value {
    json!({ "type": "object", "description": description, "required": required, "properties": members, "additionalProperties": false })
}

fn text() -> Value {
    json!({ "type": "string" })
}

fn said(description: &str) -> Value {
    json!({ "type": "string", "description": description })
}

fn optional(schema: &str) -> Value {
    json!({ "anyOf": [reference(schema), { "type": "null" }] })
}

fn text_or_null() -> Value {
    json!({ "type": ["string", "null"] })
}

fn one_of(words: &[&str]) -> Value {
    json!({ "type": "string", "enum": words })
}

fn list(schema: &str) -> Value {
    json!({ "type": "array", "items": reference(schema) })
}

fn page(of: &str) -> Value {
    answer(
        "One page of a list.",
        json!({ "items": list(of), "next": { "type": ["string", "null"], "description": "What `after` takes for the next page; null on the last." } }),
    )
}

fn id(prefix: &str, what: &str) -> Value {
    json!({ "type": "string", "description": what, "pattern": format!("^{prefix}_[0-9a-hjkmnp-tv-z]{{26}}$") })
}

/// Seconds from `least` to `most`.
fn seconds(least: u32, most: u32, description: &str) -> Value {
    json!({ "type": "integer", "minimum": least, "maximum": most, "description": description })
}

fn flag() -> Value {
    json!({ "type": "boolean" })
}

fn count() -> Value {
    json!({ "type": "integer", "minimum": 0 })
}

/// The members of both.
fn both(mut one: Value, other: Value) -> Value {
    if let (Some(members), Value::Object(other)) = (one.as_object_mut(), other) {
        members.extend(other);
    }
    one
}

fn texts_or_null() -> Value {
    json!({ "type": ["array", "null"], "items": text() })
}

fn flag_or_null() -> Value {
    json!({ "type": ["boolean", "null"] })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn references<'a>(schema: &'a Value, found: &mut BTreeSet<&'a str>) {
        match schema {
            Value::Object(members) => {
                if let Some(Value::String(name)) = members.get("$ref") {
                    found.insert(name);
                }
                members.values().for_each(|value| references(value, found));
            }
            Value::Array(items) => items.iter().for_each(|value| references(value, found)),
            _ => {}
        }
    }

    #[test]
    fn a_name_is_defined_once_and_whatever_is_pointed_at_is_there() {
        let mut names = BTreeSet::new();
        for (name, _) in parts() {
            assert!(names.insert(format!("#/components/schemas/{name}")), "{name} is defined twice");
        }
        let all = schemas();
        let mut found = BTreeSet::new();
        references(&all, &mut found);
        assert!(found.len() > 40, "{found:?}");
        for name in found {
            assert!(names.contains(name), "nothing is {name}");
        }
    }
}
