//! A denial writes nothing.

use super::algorithms::{fill, ten_per_minute};
use super::{SECOND, Scenario};
use crate::algorithm::Wait;
use crate::conformance::trial::{Mismatch, charge, ensure, equal, user};

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "denial.writes_nothing",
        promise: "a denial writes nothing: any number of them leaves the next admission where it \
                  was",
        body: |trial| {
            for ten in ten_per_minute()? {
                let (store, who) = (trial.store(), user("impatient")?);
                fill(&store, &who, &ten)?;
                let before = store.denied(&who, &ten, 1)?;
                for _ in 0..50 {
                    store.advance_nanos(SECOND / 50);
                    store.denied(&who, &ten, 1)?;
                }
                let Wait::After(nanos) = before.wait else {
                    return Err(Mismatch(format!("{ten} told no wait: {before:?}")));
                };
                store.advance_nanos(nanos - SECOND - 1);
                store.denied(&who, &ten, 1)?;
                store.advance_nanos(1);
                store.admitted(&who, &ten, 1)?;
            }
            Ok(())
        },
    },
    Scenario {
        name: "denial.leaves_the_rest_to_others",
        promise: "what a denied request could not take is still there for a smaller one",
        body: |trial| {
            for ten in ten_per_minute()? {
                let (store, who) = (trial.store(), user("modest")?);
                store.admitted(&who, &ten, 6)?;
                let before = store.standing(&who, &ten)?;
                store.denied(&who, &ten, 5)?;
                equal("standing after a denial", store.standing(&who, &ten)?, before)?;
                store.admitted(&who, &ten, 4)?;
            }
            Ok(())
        },
    },
    Scenario {
        name: "denial.of_another_client_is_not_felt",
        promise: "a client that is denied all the time costs the others nothing",
        body: |trial| {
            let store = trial.store();
            let (noisy, quiet) = (user("noisy")?, user("quiet")?);
            for ten in ten_per_minute()? {
                fill(&store, &noisy, &ten)?;
                for _ in 0..30 {
                    let outcomes = store.ask([charge(&noisy, &ten, 1), charge(&quiet, &ten, 1)])?;
                    ensure!(
                        outcomes.iter().all(|outcome| outcome.charged.is_none()),
                        "{ten} charged a denied request"
                    );
                }
                equal("left for the quiet one", store.remaining(&quiet, &ten)?, 10)?;
            }
            Ok(())
        },
    },
];
