//! The sections `rule`.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use rate_limit_core::{Mode, PenaltyLadder, PolicyError, RateLimitPolicy};

use super::limits::{Terms, limits};
use super::{cost, given};
use crate::configuration::{
    CountedResponses, Enforcement, IdentitySettings, KeyPart, PathMatch, RuleSettings,
    StoreSettings,
};
use crate::document::{ModeWord, PenaltySection, Period, RuleSection};
use crate::problem::Flaw;
use crate::read::{Key, Located, OneOrMany};
use crate::source::{Place, Source};

/// The most parts of one key. Each is compared with all others here.
const MAX_KEY_PARTS: usize = 8;

/// A rule that was read, and what its tiers need of it.
pub(super) struct ReadRule {
    pub(super) settings: RuleSettings,
    pub(super) terms: Terms,
    place: Place,
}

pub(super) fn rules(
    sections: &[Located<RuleSection>],
    list: &Key<'_>,
    store: &StoreSettings,
    identity: &IdentitySettings,
    source: &mut Source<'_>,
) -> Vec<ReadRule> {
    let mut places: HashMap<&str, &Place> = HashMap::with_capacity(sections.len());
    let mut rules = Vec::with_capacity(sections.len());
    for Located { value: section, .. } in sections {
        // A rule without a name was noted, and nothing else can be said about it.
        let Some(name) = &section.name else {
            continue;
        };
        let key = list.named(&name.value.0);
        if let Some(first) = places.insert(&name.value.0, &name.place) {
            source.refuse_beside(&name.place, key.named("name"), first, |first| {
                Flaw::new(format!("the rule at {first} has this name too; expected another one"))
            });
        }
        rules.push(rule(
            section,
            name.value.0.clone(),
            &name.place,
            &key,
            (store, identity),
            source,
        ));
    }
    rules
}

fn rule(
    section: &RuleSection,
    name: String,
    place: &Place,
    key: &Key<'_>,
    (store, identity): (&StoreSettings, &IdentitySettings),
    source: &mut Source<'_>,
) -> ReadRule {
    let enforcement = enforcement(section, key, source);
    let mode = if enforcement == Enforcement::Nobody { Mode::Shadow } else { Mode::Enforce };
    let on_failure = section.on_failure.as_ref().map_or(store.on_failure, |mode| mode.value.0);
    let penalty = section.penalty.as_ref();
    let penalty = penalty.and_then(|penalty| ladder(penalty, &key.named("penalty"), source));
    let terms = Terms { rule: name.clone(), mode, on_failure, penalty };
    let (limits_key, cost_key) = (key.named("limit"), key.named("cost"));
    let own = section.limit.as_ref();
    let own = own.map(|own| limits(&own.value, &terms, &limits_key, source)).unwrap_or_default();
    let settings = RuleSettings {
        group: section.group.as_ref().map(|group| group.value.0.clone()).unwrap_or_default(),
        methods: values(&section.methods, |method| method.0.clone()),
        paths: paths(section),
        hosts: values(&section.host, |host| host.0.clone()),
        key: key_parts(section, identity, &key.named("key"), source),
        cost: cost::cost(section.cost.as_ref(), &own, &cost_key, source),
        limits: own,
        tiers: BTreeMap::new(),
        enforcement,
        count: section.count.as_ref().map_or(CountedResponses::All, |count| count.value.0),
        on_missing: section
            .on_missing
            .as_ref()
            .map_or(identity.on_missing, |choice| choice.value.0),
        preflight: section.preflight.as_ref().map(|choice| choice.value.0).unwrap_or_default(),
        expose: section.expose.as_ref().map(|expose| expose.value.0),
        documentation_url: section.documentation_url.as_ref().map(|url| url.value.0.clone()),
        name,
    };
    warn(section, &settings, key, source);
    ReadRule { settings, terms, place: place.clone() }
}

/// Notes what the keys of a rule hardly mean together.
fn warn(section: &RuleSection, rule: &RuleSettings, key: &Key<'_>, source: &mut Source<'_>) {
    let is_shared = rule.key == [KeyPart::Global];
    if let Some(penalty) = &section.penalty {
        let message = match rule.enforcement {
            Enforcement::Nobody => {
                Some("a rule in shadow mode turns nobody away, so it bans nobody")
            }
            _ if is_shared => {
                Some("this rule counts everybody together, so a ban is one of everybody")
            }
            _ => None,
        };
        if let Some(message) = message {
            source.warn(&penalty.place, key.named("penalty"), Flaw::new(message));
        }
    }
    if let (Some(percent), Enforcement::Percent(_), true) =
        (&section.enforce_percent, rule.enforcement, is_shared)
    {
        let message = "this rule counts everybody together, which is one identity, so it decides for \
                       all or for nobody";
        source.warn(&percent.place, key.named("enforce_percent"), Flaw::new(message));
    }
}

fn values<T, U>(list: &Option<Located<OneOrMany<T>>>, value: impl Fn(&T) -> U) -> Vec<U> {
    let list = list.iter().flat_map(|list| &list.value.0);
    list.map(|located| value(&located.value)).collect()
}

fn paths(section: &RuleSection) -> Vec<PathMatch> {
    let mut paths = values(&section.paths, |path| PathMatch::Pattern(path.0.clone()));
    paths.extend(values(&section.path_prefixes, |path| PathMatch::Prefix(path.0.clone())));
    paths
}

fn enforcement(section: &RuleSection, key: &Key<'_>, source: &mut Source<'_>) -> Enforcement {
    let mode = section.mode.as_ref().map_or(ModeWord::Enforce, |mode| mode.value.0);
    match (mode, &section.enforce_percent) {
        (ModeWord::Shadow, Some(percent)) => {
            let message = "a rule in shadow mode is enforced for nobody; expected no such key, or \
                           another mode";
            source.refuse(&percent.place, key.named("enforce_percent"), Flaw::new(message));
            Enforcement::Nobody
        }
        (ModeWord::Shadow, None) => Enforcement::Nobody,
        (ModeWord::Enforce, Some(percent)) if percent.value.0 < 100 => {
            Enforcement::Percent(percent.value.to())
        }
        (ModeWord::Enforce, _) => Enforcement::Everybody,
    }
}

/// Whose bucket. What only a token can say needs somebody who verifies tokens.
fn key_parts(
    section: &RuleSection,
    identity: &IdentitySettings,
    key: &Key<'_>,
    source: &mut Source<'_>,
) -> Vec<KeyPart> {
    let Some(parts) = &section.key else {
        return vec![KeyPart::Ip];
    };
    if let Some(part) = parts.value.0.get(MAX_KEY_PARTS) {
        let message =
            format!("this is one part too many; expected at most {MAX_KEY_PARTS} in a key");
        source.refuse(&part.place, key, Flaw::new(message));
        return vec![KeyPart::Ip];
    }
    let mut known: Vec<KeyPart> = Vec::with_capacity(parts.value.0.len());
    for Located { place, value: part } in &parts.value.0 {
        let is_claimed = matches!(part, KeyPart::Claim(_) | KeyPart::Tenant | KeyPart::User);
        let flaw = if is_claimed && !identity.knows_clients() {
            Flaw::new(
                "only a verified token says this; expected `[identity.jwt]`, or `verified_by = \
                 \"program\"` in `[identity]`",
            )
        } else if known.contains(part) {
            Flaw::new("this stands in the list twice; expected it once")
        } else if *part == KeyPart::Global && parts.value.0.len() > 1 {
            Flaw::new(
                "everybody together cannot be divided; expected \"global\" alone, or the others",
            )
        } else {
            known.push(part.clone());
            continue;
        };
        source.refuse(place, key, flaw);
    }
    known
}

fn ladder(
    section: &Located<PenaltySection>,
    key: &Key<'_>,
    source: &mut Source<'_>,
) -> Option<PenaltyLadder> {
    let Located { place, value: section } = section;
    let Period(within) = section.within.as_ref()?.value;
    let mut ladder = PenaltyLadder::after(section.after.as_ref()?.value.to(), within);
    let period = |period: &Option<Located<Period>>| given(period.clone()).map(|Period(time)| time);
    ladder = with(ladder, period(&section.ban), PenaltyLadder::first_ban);
    ladder = with(ladder, period(&section.max), PenaltyLadder::up_to);
    ladder = with(ladder, period(&section.decay), PenaltyLadder::decaying_every);
    if let Some(factor) = &section.factor {
        ladder = ladder.growing_by(factor.value.to());
    }
    // A policy that can work shows whether the ladder can.
    let probe = RateLimitPolicy::per_second(1).penalty(ladder).build();
    let Err(PolicyError::Penalty { parameter, value, expected, .. }) = probe else {
        return Some(ladder);
    };
    let (name, place) = match parameter {
        "window of strikes" => ("within", place_of(&section.within)),
        "first ban" => ("ban", place_of(&section.ban)),
        "longest ban" => ("max", place_of(&section.max)),
        "decay" => ("decay", place_of(&section.decay)),
        _ => ("after", Some(place)),
    };
    let flaw = Flaw::expected(expected).value(value);
    source.refuse(place.unwrap_or(&section_place(section)), key.named(name), flaw);
    None
}

fn with(
    ladder: PenaltyLadder,
    time: Option<Duration>,
    set: impl Fn(PenaltyLadder, Duration) -> PenaltyLadder,
) -> PenaltyLadder {
    time.map_or(ladder, |time| set(ladder, time))
}

fn place_of<T>(value: &Option<Located<T>>) -> Option<&Place> {
    value.as_ref().map(|located| &located.place)
}

/// Where to look if the refused value is a default that another value does not go with.
fn section_place(section: &PenaltySection) -> Place {
    let places = [place_of(&section.max), place_of(&section.ban), place_of(&section.within)];
    places.into_iter().flatten().next().cloned().unwrap_or(Place::File)
}

/// Counters are kept under the names of limits, so two rules must not share one.
pub(super) fn check_limit_names(rules: &[ReadRule], list: &Key<'_>, source: &mut Source<'_>) {
    let mut owners: HashMap<&str, &str> = HashMap::new();
    for ReadRule { settings, place, .. } in rules {
        let name = settings.name.as_str();
        let of_tiers = settings.tiers.values().flatten();
        for policy in settings.limits.iter().chain(of_tiers) {
            match owners.insert(policy.name().as_str(), name) {
                Some(owner) if owner != name => {
                    let message = format!(
                        "a limit of this rule and one of the rule `{owner}` are both called `{}`; \
                         expected another name for a rule or a limit",
                        policy.name(),
                    );
                    source.refuse(place, list.named(name), Flaw::new(message));
                }
                _ => {}
            }
        }
    }
}
