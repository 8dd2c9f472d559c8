//! The languages hold the same messages with the same variables, and no message is for nobody.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use fluent_syntax::ast::{Entry, Expression, InlineExpression, Pattern, PatternElement, VariantKey};

#[derive(Debug, Default, PartialEq, Eq)]
struct Message {
    variables: BTreeSet<String>,
    plurals: BTreeSet<String>,
}

fn read(language: &str) -> BTreeMap<String, Message> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("locales").join(format!("{language}.ftl"));
    let source = std::fs::read_to_string(path).expect("there is such a language");
    let resource = fluent_syntax::parser::parse(source.as_str()).unwrap_or_else(|(_, errors)| panic!("{language}: {errors:?}"));
    let mut messages = BTreeMap::new();
    for entry in resource.body {
        match entry {
            Entry::Message(found) => {
                let mut message = Message::default();
                look(found.value.as_ref().expect("a message has a text"), &mut message, language);
                assert!(messages.insert(found.id.name.to_owned(), message).is_none(), "{language}: {} twice", found.id.name);
            }
            Entry::Comment(_) | Entry::GroupComment(_) | Entry::ResourceComment(_) => {}
            other => panic!("{language}: {other:?}"),
        }
    }
    messages
}

fn look(pattern: &Pattern<&str>, message: &mut Message, language: &str) {
    for element in &pattern.elements {
        let PatternElement::Placeable { expression } = element else { continue };
        let (selector, variants) = match expression {
            Expression::Inline(inline) => (inline, None),
            Expression::Select { selector, variants } => (selector, Some(variants)),
        };
        let InlineExpression::VariableReference { id } = selector else { panic!("{language}: only variables are used: {selector:?}") };
        message.variables.insert(id.name.to_owned());
        for variant in variants.into_iter().flatten() {
            let VariantKey::Identifier { name } = variant.key else { panic!("{language}: plurals have names") };
            assert_eq!(name == "other", variant.default, "{language}: `other` is the default");
            message.plurals.insert(name.to_owned());
            let mut inner = Message::default();
            look(&variant.value, &mut inner, language);
            assert!(inner.variables.is_subset(&message.variables), "{language}: {inner:?}");
        }
    }
}

#[test]
fn every_language_has_the_same_messages_with_the_same_variables_and_its_own_plurals() {
    let english = read("en");
    assert!(english.len() > 150);
    for language in domain::language::Language::ALL {
        let here = read(language.tag());
        assert_eq!(here.keys().collect::<Vec<_>>(), english.keys().collect::<Vec<_>>(), "{}", language.tag());
        let forms: BTreeSet<String> = match language.tag() {
            "zh-Hans" => ["other".to_owned()].into(),
            _ => ["one".to_owned(), "other".to_owned()].into(),
        };
        for (key, message) in &here {
            assert_eq!(message.variables, english[key].variables, "{}: {key}", language.tag());
            let expected = if english[key].plurals.is_empty() { BTreeSet::new() } else { forms.clone() };
            assert_eq!(message.plurals, expected, "{}: {key}", language.tag());
        }
    }
}

#[test]
fn no_message_is_for_nobody_and_none_was_left_in_english() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let files = ["src", "templates"].map(|folder| std::fs::read_dir(root.join(folder)).expect("is there"));
    let used: String =
        files.into_iter().flatten().map(|file| std::fs::read_to_string(file.expect("is there").path()).expect("is text")).collect();
    for key in read("en").keys() {
        // The titles, texts and advice of messages and errors are named by what they have in common.
        let stem = ["-title", "-text", "-advice"].iter().find_map(|end| key.strip_suffix(end)).unwrap_or(key);
        assert!(used.contains(&format!("\"{key}\"")) || used.contains(&format!("\"{stem}\"")), "{key} is not used");
    }
    let lines = |language: &str| {
        let source = std::fs::read_to_string(root.join("locales").join(format!("{language}.ftl"))).expect("is there");
        source.lines().filter(|line| line.len() > 40 && line.contains(" = ")).map(str::to_owned).collect::<BTreeSet<_>>()
    };
    let english = lines("en");
    for language in ["de", "fr", "es", "zh-Hans"] {
        let same: Vec<_> = lines(language).intersection(&english).cloned().collect();
        assert!(same.is_empty(), "{language}: {same:?}");
    }
}
