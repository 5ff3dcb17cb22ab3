//! Patterns of paths: what they look like, and which of two is more specific.

use matchit::Router;

use crate::canonical_path::canonical_path;
use crate::error::LayerError;
use crate::rule::PathPattern;

/// A pattern in the syntax of `matchit`.
#[derive(Clone, Debug)]
pub(super) struct Pattern {
    pub(super) text: String,
    /// The text without the names of its parameters: patterns of one shape match the same paths.
    pub(super) shape: String,
}

/// What one segment of a pattern stands for, the most specific first.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Segment {
    Text,
    Mixed,
    Parameter,
    Rest,
}

impl Pattern {
    /// The patterns that cover what a rule names; none for a route of axum's.
    pub(super) fn of(rule: &str, path: &PathPattern) -> Result<Vec<Self>, LayerError> {
        let texts = match path {
            PathPattern::Path(pattern) => vec![checked(rule, pattern)?.to_owned()],
            PathPattern::Prefix(prefix) => {
                let prefix = checked(rule, prefix)?;
                if prefix.contains(['{', '}']) {
                    return Err(LayerError::Path {
                        rule: rule.to_owned(),
                        pattern: prefix.to_owned(),
                        reason: "a prefix has no parameters".to_owned(),
                        expected: format!("`.path(\"{prefix}\")`, or a prefix without braces"),
                    });
                }
                if prefix == "/" {
                    // The target `*` is below nothing else, and what is left over reaches a handler.
                    ["/", "/{*rest}", "*"].map(str::to_owned).into()
                } else {
                    vec![prefix.to_owned(), format!("{prefix}/{{*rest}}")]
                }
            }
            PathPattern::Matched(_) => Vec::new(),
        };
        Ok(texts.into_iter().map(|text| Self { shape: shape(&text), text }).collect())
    }

    /// The more specific pattern is the lesser one.
    pub(super) fn specificity(&self) -> Vec<Segment> {
        self.shape.split('/').skip(1).map(Segment::of).collect()
    }
}

impl Segment {
    fn of(shape: &str) -> Self {
        match shape {
            "{}" => Self::Parameter,
            "{*}" => Self::Rest,
            mixed if mixed.contains("{}") => Self::Mixed,
            _ => Self::Text,
        }
    }
}

/// Refuses a pattern that `matchit` does not understand, or that no canonical path matches.
fn checked<'a>(rule: &str, pattern: &'a str) -> Result<&'a str, LayerError> {
    let canonical = canonical_path(pattern);
    if canonical != pattern || pattern == "*" {
        return Err(LayerError::UnreachableRule {
            rule: rule.to_owned(),
            reason: format!("no canonical path looks like `{pattern}`"),
            expected: format!("`{}`", if pattern == "*" { "/{*rest}" } else { &canonical }),
        });
    }
    Router::new().insert(pattern, ()).map(|()| pattern).map_err(|error| LayerError::Path {
        rule: rule.to_owned(),
        pattern: pattern.to_owned(),
        reason: error.to_string(),
        expected: "`{name}` for a segment, `{*name}` for the rest, `{{` for a brace".to_owned(),
    })
}

/// The pattern without the names of its parameters. It was found to be well-formed before.
fn shape(pattern: &str) -> String {
    let mut shape = String::with_capacity(pattern.len());
    let mut rest = pattern.chars().peekable();
    while let Some(character) = rest.next() {
        shape.push(character);
        match character {
            '{' if rest.next_if_eq(&'{').is_some() => shape.push('{'),
            '{' => {
                if rest.peek() == Some(&'*') {
                    shape.push('*');
                }
                let _name = rest.by_ref().take_while(|character| *character != '}').count();
                shape.push('}');
            }
            _ => {}
        }
    }
    shape
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_lose_their_names_and_nothing_else() {
        for (pattern, expected) in [
            ("/users/{id}", "/users/{}"),
            ("/files/{*rest}", "/files/{*}"),
            ("/{a}/b/{c}.json", "/{}/b/{}.json"),
            ("/{{a}}", "/{{a}}"),
        ] {
            assert_eq!(shape(pattern), expected);
        }
    }

    #[test]
    fn text_beats_parameters_and_these_beat_the_rest() {
        let specificity =
            |text: &str| Pattern { text: text.to_owned(), shape: shape(text) }.specificity();
        let ordered = ["/a/b", "/a/b{x}", "/a/{x}", "/a/{*x}", "/{x}/b", "/{x}/{y}", "/{*x}"];
        assert!(ordered.windows(2).all(|pair| specificity(pair[0]) < specificity(pair[1])));
    }
}
