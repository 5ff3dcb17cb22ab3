use rate_limit_core::ManualClock;
use rate_limit_core::conformance::{self, Profile, WithDocuments, random_steps};
use rate_limit_memory::MemoryRepository;

fn fresh(clock: ManualClock) -> MemoryRepository<ManualClock> {
    MemoryRepository::builder().clock(clock).build().expect("the defaults are accepted")
}

#[test]
fn keeps_the_contract() {
    conformance::check(Profile::Atomic, WithDocuments(fresh));
}

/// Case A01. The long run is `scripts/model`.
#[test]
fn a01_two_hundred_thousand_random_steps_equal_the_model() {
    let run = random_steps(&fresh, 20_261_121, 200_000).unwrap_or_else(|found| panic!("{found}"));
    assert!(run.allowed > 10_000 && run.denied > 10_000 && run.settled > 1_000, "{run:?}");
}
