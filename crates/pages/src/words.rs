//! Words in a language: Fluent messages, parsed when somebody first reads that language.
//!
//! Invariant: nothing happens at process start, and a language that nobody reads costs no memory.

use std::sync::OnceLock;

use domain::language::Language;
use domain::time::Timestamp;
use fluent_bundle::concurrent::FluentBundle;
use fluent_bundle::{FluentArgs, FluentResource, FluentValue};

/// The words of one language. A key that does not exist shows as itself; a test sees to it that none is missing.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Words(Language);

/// The source of a language: `locales/{tag}.ftl`.
pub(crate) const fn source(language: Language) -> &'static str {
    match language {
        Language::English => include_str!("../locales/en.ftl"),
        Language::German => include_str!("../locales/de.ftl"),
        Language::French => include_str!("../locales/fr.ftl"),
        Language::Spanish => include_str!("../locales/es.ftl"),
        Language::Chinese => include_str!("../locales/zh-Hans.ftl"),
    }
}

fn bundle(language: Language) -> &'static FluentBundle<FluentResource> {
    static BUNDLES: [OnceLock<FluentBundle<FluentResource>>; Language::ALL.len()] = [const { OnceLock::new() }; Language::ALL.len()];
    BUNDLES[language as usize].get_or_init(|| {
        // A test parses every file, so what is left of a broken one is only ever seen by its author.
        let resource = FluentResource::try_new(source(language).to_owned()).unwrap_or_else(|(part, _)| part);
        let mut bundle = FluentBundle::new_concurrent(language.tag().parse().into_iter().collect());
        bundle.add_resource_overriding(resource);
        bundle
    })
}

impl Words {
    pub(crate) const fn new(language: Language) -> Self {
        Self(language)
    }

    pub(crate) const fn language(self) -> Language {
        self.0
    }

    /// For `lang`.
    pub(crate) const fn tag(self) -> &'static str {
        self.0.tag()
    }

    pub(crate) fn say(self, key: impl AsRef<str>) -> String {
        self.with(key.as_ref(), &FluentArgs::new())
    }

    /// With one variable, which is set apart by Unicode isolates, so that right-to-left names do not disturb the sentence.
    pub(crate) fn say1(self, key: impl AsRef<str>, name: &'static str, value: impl Value) -> String {
        let mut args = FluentArgs::with_capacity(1);
        args.set(name, value.fluent());
        self.with(key.as_ref(), &args)
    }

    pub(crate) fn say2(self, key: impl AsRef<str>, one: &'static str, first: impl Value, two: &'static str, second: impl Value) -> String {
        let mut args = FluentArgs::with_capacity(2);
        args.set(one, first.fluent());
        args.set(two, second.fluent());
        self.with(key.as_ref(), &args)
    }

    /// A day and time in UTC, as people of this language write it.
    pub(crate) fn moment(self, at: &Timestamp) -> String {
        crate::moment::moment(self.0, *at)
    }

    fn with(self, key: &str, args: &FluentArgs<'_>) -> String {
        let bundle = bundle(self.0);
        let Some(pattern) = bundle.get_message(key).and_then(|message| message.value()) else {
            debug_assert!(false, "{} has no message {key}", self.tag());
            return key.to_owned();
        };
        bundle.format_pattern(pattern, Some(args), &mut Vec::new()).into_owned()
    }
}

/// What a variable of a message may be: text, or a [`Count`].
pub(crate) trait Value {
    fn fluent(&self) -> FluentValue<'static>;
}

impl Value for str {
    fn fluent(&self) -> FluentValue<'static> {
        FluentValue::from(self.to_owned())
    }
}

impl Value for String {
    fn fluent(&self) -> FluentValue<'static> {
        self.as_str().fluent()
    }
}

impl<T: Value + ?Sized> Value for &T {
    fn fluent(&self) -> FluentValue<'static> {
        (**self).fluent()
    }
}

/// A count, by which a message chooses its plural.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Count(pub(crate) u32);

impl Value for Count {
    fn fluent(&self) -> FluentValue<'static> {
        FluentValue::from(self.0)
    }
}
