//! Tables with a fixed set of keys.

use serde_json::{Map as JsonMap, json};

use super::{Key, Located, Read};
use crate::document::elsewhere;
use crate::problem::Flaw;
use crate::source::Source;
use crate::tree::{Node, Table, Value};

/// One key of a section.
pub(crate) struct FieldShape {
    pub(crate) name: &'static str,
    pub(crate) documentation: &'static str,
    pub(crate) is_required: bool,
    pub(crate) schema: fn() -> serde_json::Value,
}

/// Describes a section: the macro makes the struct, its reader and its schema.
///
/// A key is a name and what it holds, with `[required]` after it if it has to be there.
macro_rules! section {
    (
        $(#[doc = $documentation:literal])*
        $visibility:vis struct $section:ident {
            $(
                $(#[doc = $about:literal])*
                $field:ident: $type:ty $([$required:ident])?,
            )*
        }
    ) => {
        $(#[doc = $documentation])*
        #[derive(Clone, Debug)]
        $visibility struct $section {
            $($(#[doc = $about])* pub(crate) $field: Option<$crate::read::Located<$type>>,)*
            /// Whether everything in the section could be read. If not, a key that is not there may
            /// only be misspelt.
            #[allow(dead_code, reason = "not every section has keys that need each other")]
            pub(crate) is_whole: bool,
        }

        impl $section {
            const FIELDS: &'static [$crate::read::FieldShape] = &[$(
                $crate::read::FieldShape {
                    name: stringify!($field),
                    documentation: concat!($($about),*),
                    is_required: section!(@is_required $($required)?),
                    schema: <$type as $crate::read::Read>::schema,
                },
            )*];
        }

        impl $crate::read::Read for $section {
            fn read(
                node: &$crate::tree::Node,
                at: &$crate::read::Key<'_>,
                source: &mut $crate::source::Source<'_>,
            ) -> Option<Self> {
                let errors = source.errors();
                let value = node.beyond_text();
                let fields = $crate::read::Fields::of(node, value.as_deref(), at, Self::FIELDS, source)?;
                Some(Self {
                    $($field: fields.field(stringify!($field), at, source),)*
                    is_whole: source.errors() == errors,
                })
            }

            fn schema() -> serde_json::Value {
                $crate::read::object_schema(concat!($($documentation),*), Self::FIELDS)
            }
        }
    };
    (@is_required required) => { true };
    (@is_required) => { false };
}

pub(crate) use section;

/// The keys of a table that is read as a section.
pub(crate) struct Fields<'a>(&'a Table);

impl<'a> Fields<'a> {
    /// Notes keys that do not exist, and those that have to and do not.
    pub(crate) fn of(
        node: &Node,
        value: Option<&'a Value>,
        at: &Key<'_>,
        shapes: &[FieldShape],
        source: &mut Source<'_>,
    ) -> Option<Self> {
        let Some(Value::Table(table)) = value else {
            // The value is not shown: nobody knows what it was meant to be.
            source.refuse(&node.place, at, Flaw::expected("a table"));
            return None;
        };
        let is_known = |key: &str| shapes.iter().any(|shape| shape.name == key);
        let mut misspelt = Vec::new();
        for (key, (place, _)) in table.iter().filter(|(key, _)| !is_known(key)) {
            let meant = closest(key, shapes.iter().map(|shape| shape.name));
            misspelt.extend(meant);
            let message = match elsewhere(key).filter(|_| meant.is_none()) {
                Some(place) => format!("there is no such key here; expected it in {place}"),
                None => "there is no such key".to_owned(),
            };
            let flaw = Flaw::new(message).meant(meant.map(|key| format!("`{key}`")));
            source.refuse(place, at.named(key), flaw);
        }
        for FieldShape { name, .. } in shapes.iter().filter(|shape| shape.is_required) {
            // Whoever has misspelt a key is told that once.
            if !table.contains_key(*name) && !misspelt.contains(name) {
                source.refuse(&node.place, at, Flaw::new(format!("the key `{name}` is missing")));
            }
        }
        Some(Self(table))
    }

    pub(crate) fn field<T: Read>(
        &self,
        name: &str,
        at: &Key<'_>,
        source: &mut Source<'_>,
    ) -> Option<Located<T>> {
        let (_, node) = self.0.get(name)?;
        Located::read(node, &at.named(name), source)
    }
}

/// The schema of a table with these keys and no others.
pub(crate) fn object_schema(documentation: &str, shapes: &[FieldShape]) -> serde_json::Value {
    let described = |shape: &FieldShape| {
        let mut schema = (shape.schema)();
        if let Some(object) = schema.as_object_mut() {
            object.insert("description".to_owned(), json!(shape.documentation.trim()));
        }
        (shape.name.to_owned(), schema)
    };
    let properties: JsonMap<_, _> = shapes.iter().map(described).collect();
    let required: Vec<&str> =
        shapes.iter().filter(|shape| shape.is_required).map(|shape| shape.name).collect();
    let mut schema = json!({
        "type": "object",
        "description": documentation.trim(),
        "properties": properties,
        "additionalProperties": false,
    });
    if let (Some(object), false) = (schema.as_object_mut(), required.is_empty()) {
        object.insert("required".to_owned(), json!(required));
    }
    schema
}

/// The word that was probably meant.
pub(crate) fn closest<'a>(
    written: &str,
    words: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    // A third of the letters may be wrong. Longer texts are nobody's misspelling, and comparing them
    // would cost the product of both lengths.
    const LONGEST: usize = 64;
    if written.len() > LONGEST {
        return None;
    }
    let written = written.to_lowercase();
    words
        .into_iter()
        // As many letters are wrong as the lengths differ, and often that is too many already.
        .filter(|word| {
            word.len().abs_diff(written.len()) <= word.len().max(written.len()).div_ceil(3)
        })
        .map(|word| (strsim::damerau_levenshtein(&written, &word.to_lowercase()), word))
        .filter(|(distance, word)| *distance <= word.len().max(written.len()).div_ceil(3))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, word)| word)
}
