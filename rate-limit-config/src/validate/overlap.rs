//! Rules that match the same requests, or none.
//!
//! Of two rules of a group with a host, a method and a path in common nobody can say which one
//! applies; and a rule without a path is never asked beside one that names every path. The layer
//! would refuse them too; here both are named with the lines they stand in, and all of them at once.

use std::collections::{HashMap, HashSet};

use rate_limit_tower::Rule;

use crate::document::{Name, RuleSection};
use crate::problem::Flaw;
use crate::read::{Key, Located, OneOrMany};
use crate::source::Source;

/// How many combinations of hosts, methods and paths the rules may name together. Every one of them
/// is looked at, here and when the layer is built.
const MAX_TARGETS: usize = 500_000;

/// What a rule matches: its group, a host, a method, and the shape of a path. Empty for all of them.
type Target<'a> = (&'a str, &'a str, &'a str, String);

pub(super) fn check(sections: &[Located<RuleSection>], list: &Key<'_>, source: &mut Source<'_>) {
    let mut owners: HashMap<Target<'_>, usize> = HashMap::new();
    let mut told = HashSet::new();
    for (index, Located { value: section, .. }) in sections.iter().enumerate() {
        // Of a rule that could not be read nobody knows what it was meant to match.
        let Some(name) = section.name.as_ref().filter(|_| section.is_whole) else {
            continue;
        };
        let key = list.named(&name.value.0);
        let targets = Targets::of(section);
        if owners.len() + targets.count() > MAX_TARGETS {
            let message = format!(
                "up to this rule, the rules name more than {MAX_TARGETS} combinations of hosts, \
                 methods and paths; expected fewer, such as one path with a parameter for many"
            );
            return source.refuse(&name.place, key, Flaw::new(message));
        }
        for target in targets.each() {
            let (_, host, method, shape) = target.clone();
            // A rule may name a path twice, as a pattern and as a prefix.
            let Some(owner) = owners.insert(target, index).filter(|owner| *owner != index) else {
                continue;
            };
            let other = sections.get(owner).and_then(|section| section.value.name.as_ref());
            let Some(other) = other.filter(|_| told.insert((owner, index))) else {
                continue;
            };
            source.refuse_beside(&name.place, key, &other.place, |location| {
                Flaw::new(format!(
                    "this rule and the rule `{}` at {location} both match {}; expected different \
                     methods, paths or hosts, or different groups if both shall apply",
                    other.value.0,
                    requests(host, method, &shape),
                ))
            });
        }
    }
}

/// Notes rules without a path in a group where another one names every path.
pub(super) fn check_hidden(
    sections: &[Located<RuleSection>],
    list: &Key<'_>,
    source: &mut Source<'_>,
) {
    let mut everything: HashMap<&str, &Located<Name>> = HashMap::new();
    let named =
        || sections.iter().filter_map(|section| Some((section, section.value.name.as_ref()?)));
    for (section, name) in named().filter(|(section, _)| names_everything(&section.value)) {
        everything.entry(group(&section.value)).or_insert(name);
    }
    for (Located { value: section, .. }, name) in
        named().filter(|(section, _)| section.value.is_whole)
    {
        let has_path = section.paths.is_some() || section.path_prefixes.is_some();
        let Some(other) = everything.get(group(section)).filter(|_| !has_path) else {
            continue;
        };
        source.refuse_beside(&name.place, list.named(&name.value.0), &other.place, |location| {
            Flaw::new(format!(
                "this rule is never asked, because the rule `{}` at {location} matches every path; \
                 expected a narrower path there, or another group",
                other.value.0,
            ))
        });
    }
}

fn names_everything(section: &RuleSection) -> bool {
    let mut paths = section.paths.iter().flat_map(|paths| &paths.value.0);
    let mut prefixes = section.path_prefixes.iter().flat_map(|paths| &paths.value.0);
    let is_wide = prefixes.any(|prefix| prefix.value.0 == "/")
        || paths.any(|path| path.value.0.starts_with("/{*"));
    if !is_wide || section.methods.is_some() || section.host.is_some() {
        return false;
    }
    let everything = Rule::new("everything").path_prefix("/").shapes().unwrap_or_default();
    let shapes = Targets::of(section).shapes;
    everything.iter().all(|shape| shapes.contains(shape))
}

fn group(section: &RuleSection) -> &str {
    section.group.as_ref().map_or("", |group| &group.value.0)
}

/// What one rule names.
struct Targets<'a> {
    group: &'a str,
    hosts: Vec<&'a str>,
    methods: Vec<&'a str>,
    shapes: Vec<String>,
}

impl<'a> Targets<'a> {
    fn of(section: &'a RuleSection) -> Self {
        let mut rule = Rule::new("shapes");
        for path in section.paths.iter().flat_map(|paths| &paths.value.0) {
            rule = rule.path(&path.value.0);
        }
        for path in section.path_prefixes.iter().flat_map(|paths| &paths.value.0) {
            rule = rule.path_prefix(&path.value.0);
        }
        Self {
            group: group(section),
            hosts: or_all(&section.host, |host| &host.0),
            methods: or_all(&section.methods, |method| method.0.as_str()),
            // What cannot work was noted when it was read.
            shapes: match rule.shapes() {
                Ok(shapes) if !shapes.is_empty() => shapes,
                _ => vec![String::new()],
            },
        }
    }

    fn count(&self) -> usize {
        self.hosts.len().saturating_mul(self.methods.len()).saturating_mul(self.shapes.len())
    }

    fn each(&self) -> impl Iterator<Item = Target<'a>> {
        let group = self.group;
        self.hosts.iter().flat_map(move |host| {
            self.methods.iter().flat_map(move |method| {
                self.shapes.iter().map(move |shape| (group, *host, *method, shape.clone()))
            })
        })
    }
}

/// The values of a list, or one empty text that stands for all.
fn or_all<'a, T>(
    list: &'a Option<Located<OneOrMany<T>>>,
    text: impl Fn(&'a T) -> &'a str,
) -> Vec<&'a str> {
    match list {
        Some(list) => list.value.0.iter().map(|located| text(&located.value)).collect(),
        None => vec![""],
    }
}

/// The requests that two rules match, for people.
fn requests(host: &str, method: &str, shape: &str) -> String {
    let method = if method.is_empty() { "any method" } else { method };
    let path = if shape.is_empty() { "any path".to_owned() } else { format!("`{shape}`") };
    let host = if host.is_empty() { String::new() } else { format!(" of `{host}`") };
    format!("{method} on {path}{host}")
}
