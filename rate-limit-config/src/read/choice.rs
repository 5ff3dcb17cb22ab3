//! Values that are one of a few words.

use serde_json::json;

use super::section::closest;
use super::text::Refused;
use super::{Key, Read};
use crate::source::Source;
use crate::tree::Node;

/// What is one of a few words.
pub(crate) trait Choice: Clone + 'static {
    /// The words and what each stands for.
    const WORDS: &'static [(&'static str, Self)];
}

/// One of a few words.
#[derive(Clone, Debug)]
pub(crate) struct OneOf<T>(pub(crate) T);

impl<T: Choice> Read for OneOf<T> {
    fn read(node: &Node, at: &Key<'_>, source: &mut Source<'_>) -> Option<Self> {
        let text = node.text();
        let found = T::WORDS.iter().find(|(word, _)| Some(*word) == text);
        if found.is_none() {
            let words = || T::WORDS.iter().map(|(word, _)| *word);
            let meant =
                text.and_then(|text| closest(text, words())).map(|word| format!("{word:?}"));
            let refused = Refused::UNLIKE.meant(meant);
            let quoted: Vec<String> = words().map(|word| format!("{word:?}")).collect();
            let expected = match quoted.as_slice() {
                [others @ .., last] if !others.is_empty() => {
                    format!("{} or {last}", others.join(", "))
                }
                words => words.join(""),
            };
            source.refuse(&node.place, at, refused.flaw(&expected).value(node.shown()));
        }
        found.map(|(_, choice)| Self(choice.clone()))
    }

    fn schema() -> serde_json::Value {
        let words: Vec<&str> = T::WORDS.iter().map(|(word, _)| *word).collect();
        json!({ "enum": words })
    }
}

/// Says which words stand for what.
macro_rules! choices {
    ($type:ty: $($word:literal => $choice:expr),+ $(,)?) => {
        impl $crate::read::Choice for $type {
            const WORDS: &'static [(&'static str, Self)] = &[$(($word, $choice)),+];
        }
    };
}

pub(crate) use choices;
