//! The conformance suite, tried on stores whose verdict is known.

use std::collections::BTreeSet;

use rate_limit_core::conformance::doubles::FailingRepository;
use rate_limit_core::conformance::{
    self, ModelRepository, Profile, Scenario, Subject, broken, random_steps, scenarios,
};
use rate_limit_core::{ManualClock, RepositoryErrorKind};

use crate::support::simple;

fn simple_stores(clock: ManualClock) -> crate::support::Simple {
    simple(&clock)
}

#[test]
fn the_trivially_correct_store_keeps_the_contract() {
    conformance::check(Profile::Atomic, simple_stores);
    conformance::check(Profile::Compensated, simple_stores);
}

#[test]
fn the_model_keeps_the_contract() {
    conformance::check(Profile::Atomic, ModelRepository::new);
}

/// Case A01, promises G1, G2 and G5: random sequences equal the exact model, and admit no more than
/// the bound in any interval. Ten million steps are run by `scripts/model`.
#[test]
fn a01_random_sequences_equal_the_model() {
    let run = random_steps(&simple_stores, 1, 200_000).unwrap_or_else(|it| panic!("{it}"));
    assert_eq!(run.steps, 200_000);
    // The sequences do something: a run in which nothing is denied or settled proves little.
    for (what, number) in
        [("allowed", run.allowed), ("denied", run.denied), ("settled", run.settled)]
    {
        assert!(number > 10_000, "only {number} were {what}");
    }
}

#[test]
fn a_seed_leads_to_the_same_steps_again() {
    let run = |seed| random_steps(&simple_stores, seed, 5_000).unwrap_or_else(|it| panic!("{it}"));
    assert_eq!(run(7), run(7));
    assert_ne!(run(7), run(8));
}

#[test]
fn every_broken_store_is_caught_by_its_scenario() {
    for store in broken::all() {
        let scenario = scenarios::named(store.caught_by)
            .unwrap_or_else(|| panic!("{store:?}: no scenario is named {}", store.caught_by));
        let result = scenario.run(Profile::Atomic, store);
        assert!(result.is_err(), "{store:?} is not caught by {}", store.caught_by);
    }
}

/// The mistakes are what is noticed, not the store around them.
#[test]
fn the_broken_store_without_a_mistake_keeps_the_contract() {
    conformance::check(Profile::Atomic, broken::flawless);
    // A store that only decides wrongly keeps documents well.
    let deciding = broken::all().iter().find(|store| store.caught_by == "several.all_or_nothing");
    let deciding = deciding.expect("such a store");
    for scenario in scenarios::all().filter(|scenario| scenario.name.starts_with("documents.")) {
        scenario.run(Profile::Atomic, deciding).unwrap_or_else(|failure| panic!("{failure}"));
    }
}

#[test]
fn a_divergence_can_be_reproduced_from_its_seed() {
    let forgetful = broken::all()
        .iter()
        .find(|store| store.caught_by == "settle.time_pays_for_a_charge_from_its_moment")
        .expect("such a store");
    let first = random_steps(forgetful, 3, 50_000).expect_err("a broken store");
    let second = random_steps(forgetful, 3, 50_000).expect_err("a broken store");
    assert_eq!((first.step, &first.message), (second.step, &second.message));
    assert!(first.to_string().contains("seed 3"), "{first}");
    assert!(!first.history.is_empty());
}

#[test]
fn a_store_that_does_not_answer_fails_every_scenario_without_a_panic() {
    let report = conformance::run(Profile::Atomic, |_: ManualClock| {
        FailingRepository::always(RepositoryErrorKind::Unavailable)
    });
    // Scenarios about access for operators and about documents do not apply to this store.
    let optional = |name: &str| {
        ["administration.", "documents."].iter().any(|chapter| name.starts_with(chapter))
    };
    let silent = report.passed.iter().filter(|name| !optional(name));
    assert_eq!(silent.count(), 0, "{:?}", report.passed);
    let text = report.to_string();
    assert!(text.contains("the rate limit store is unavailable"), "{text}");
    assert!(text.contains("promised: "), "{text}");
}

#[test]
#[should_panic(expected = "cost.every_unit_counts")]
fn check_panics_with_the_names_of_what_failed() {
    let careless = broken::all()
        .iter()
        .find(|store| store.caught_by == "cost.every_unit_counts")
        .expect("such a store");
    struct Borrowed(&'static broken::Broken);
    impl Subject for Borrowed {
        fn fresh(&self, clock: ManualClock) -> Box<dyn rate_limit_core::RateLimitRepository> {
            self.0.fresh(clock)
        }
    }
    conformance::check(Profile::Atomic, Borrowed(careless));
}

#[test]
fn scenarios_have_names_of_their_own_and_say_what_they_hold_a_store_to() {
    let names: BTreeSet<&str> = scenarios::all().map(|scenario| scenario.name).collect();
    assert_eq!(names.len(), scenarios::all().count());
    for Scenario { name, promise, .. } in scenarios::all() {
        assert!(name.split_once('.').is_some_and(|(chapter, _)| !chapter.is_empty()), "{name}");
        assert!(promise.len() > 20, "{name} promises {promise:?}");
    }
}
