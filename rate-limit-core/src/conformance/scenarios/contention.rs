//! Real threads, all at once.

use std::sync::Barrier;
use std::thread;
use std::time::Duration;

use super::algorithms::{TWO_MINUTES, fill, ten_per_minute};
use super::{SECOND, Scenario};
use crate::charge::Charge;
use crate::conformance::subject::Profile;
use crate::conformance::trial::{Checked, Mismatch, Store, charge, ensure, equal, policy, user};
use crate::identity::ClientIdentity;
use crate::policy::RateLimitPolicy;

const THREADS: u64 = 8;
const TRIES: u64 = 150;

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "contention.exactly_the_burst",
        promise: "for every interleaving of callers, exactly the burst is admitted at one instant",
        body: |trial| {
            for round in 0..5 {
                let (store, who) = (trial.store(), user("contended")?);
                let bucket = policy(RateLimitPolicy::per_hour(200 + round))?;
                let admitted = all_at_once(&store, |_, store| {
                    (0..TRIES).map(|_| admitted(store, [charge(&who, &bucket, 1)])).sum()
                })?;
                equal("admitted", admitted, 200 + round)?;
                equal("left", store.remaining(&who, &bucket)?, 0)?;
            }
            Ok(())
        },
    },
    Scenario {
        name: "contention.every_algorithm",
        promise: "no algorithm loses or gains a unit under contention",
        body: |trial| {
            let (store, who) = (trial.store(), user("contended")?);
            for ten in ten_per_minute()? {
                let admitted = all_at_once(&store, |_, store| {
                    (0..20).map(|_| admitted(store, [charge(&who, &ten, 1)])).sum()
                })?;
                equal("admitted", admitted, 10)?;
                store.advance_nanos(TWO_MINUTES);
            }
            Ok(())
        },
    },
    Scenario {
        name: "contention.crossed_orders",
        promise: "requests that charge two buckets in crossed orders neither deadlock nor charge \
                  one without the other",
        body: |trial| {
            let store = trial.store();
            let (left, right) = (user("left")?, user("right")?);
            let wide = policy(RateLimitPolicy::per_hour(300).named("wide"))?;
            let narrow = policy(RateLimitPolicy::per_hour(200).named("narrow"))?;
            let mut both = all_at_once(&store, |thread, store| {
                let one = || charge(&left, &wide, 1);
                let other = || charge(&right, &narrow, 1);
                let ask = |turn: u64| match (turn + thread) % 2 {
                    0 => admitted(store, [one(), other()]),
                    _ => admitted(store, [other(), one()]),
                };
                (0..TRIES).map(ask).sum()
            })?;
            if trial.profile == Profile::Compensated {
                // Some may have been denied while others were being given back; now nobody
                // competes.
                ensure!(both <= 200, "{both} admitted of 200");
                while admitted(&store, [charge(&left, &wide, 1), charge(&right, &narrow, 1)])? == 1
                {
                    both += 1;
                }
            }
            equal("admitted", both, 200)?;
            equal("left of the wide one", store.remaining(&left, &wide)?, 100)?;
            equal("left of the narrow one", store.remaining(&right, &narrow)?, 0)
        },
    },
    Scenario {
        name: "contention.all_or_nothing",
        promise: "a client stopped by its own limit takes nothing from the shared one, also while \
                  others compete for it",
        body: |trial| {
            let store = trial.store();
            let noisy = user("noisy")?;
            let own = policy(RateLimitPolicy::per_hour(5).named("own"))?;
            let shared = policy(RateLimitPolicy::per_hour(400).named("shared"))?;
            let everybody = ClientIdentity::GLOBAL;
            fill(&store, &noisy, &own)?;
            let mut quiet = all_at_once(&store, |thread, store| {
                let shared = || charge(&everybody, &shared, 1);
                let ask = |turn: u64| match (thread % 2, turn % 2) {
                    (0, 0) => admitted(store, [shared(), charge(&noisy, &own, 1)]),
                    (0, _) => admitted(store, [charge(&noisy, &own, 1), shared()]),
                    _ => admitted(store, [shared()]),
                };
                (0..TRIES).map(ask).sum()
            })?;
            if trial.profile == Profile::Compensated {
                ensure!(quiet <= 400, "{quiet} admitted of 400");
                quiet += fill(&store, &everybody, &shared)?;
            }
            equal("admitted", quiet, 400)
        },
    },
    Scenario {
        name: "contention.settling",
        promise: "charges that are given back while others compete leave nothing behind",
        body: |trial| {
            let (store, who) = (trial.store(), user("contended")?);
            for ten in ten_per_minute()? {
                all_at_once(&store, |_, store| {
                    for _ in 0..40 {
                        let outcome = store.take(&who, &ten, 1)?;
                        if outcome.charged.is_some() {
                            let charge = charge(&who, &ten, 1);
                            let taken = crate::conformance::trial::Taken { charge, outcome };
                            equal("returned", store.refund(&taken, 1)?, 1)?;
                        }
                    }
                    Ok(0)
                })?;
                equal("left", store.remaining(&who, &ten)?, 10)?;
            }
            Ok(())
        },
    },
    Scenario {
        name: "contention.while_time_passes",
        promise: "while time passes, admitted units are at most burst + rate · t, and at least as \
                  many less one",
        body: |trial| {
            let (store, who) = (trial.store(), user("saturating")?);
            let bucket = policy(RateLimitPolicy::per_second(100).burst(50))?;
            // A step brings half of a unit, so every other request comes too early. The bucket is
            // emptied before each step: it is never full, and whatever time gives finds room.
            let steps = 200;
            let admitted = all_at_once(&store, |thread, store| {
                if thread > 0 {
                    let ask = |_| admitted(store, [charge(&who, &bucket, 1)]);
                    return (0..TRIES).map(ask).sum();
                }
                let mut admitted = fill(store, &who, &bucket)?;
                for _ in 0..steps {
                    store.clock.advance(Duration::from_millis(5));
                    thread::yield_now();
                    admitted += fill(store, &who, &bucket)?;
                }
                Ok(admitted)
            })?;
            let total = admitted + fill(&store, &who, &bucket)?;
            let most = 50 + steps / 2;
            ensure!(total <= most, "{total} admitted of {most}");
            ensure!(total >= most - 1, "only {total} admitted of {most}");
            store.advance_nanos(SECOND);
            equal("a full bucket", fill(&store, &who, &bucket)?, 50)
        },
    },
    Scenario {
        name: "contention.of_strangers",
        promise: "clients that have nothing in common do not feel each other",
        body: |trial| {
            let store = trial.store();
            let bucket = policy(RateLimitPolicy::per_hour(50))?;
            let admitted = all_at_once(&store, |thread, store| {
                let who = user(&format!("stranger {thread}"))?;
                (0..TRIES).map(|_| admitted(store, [charge(&who, &bucket, 1)])).sum()
            })?;
            equal("admitted", admitted, THREADS * 50)
        },
    },
];

/// 1 if the request was admitted, 0 if not.
fn admitted(store: &Store, charges: impl IntoIterator<Item = Charge>) -> Checked<u64> {
    let outcomes = store.ask(charges)?;
    let allowed = outcomes.iter().all(|outcome| !outcome.is_violated());
    ensure!(
        outcomes.iter().all(|outcome| outcome.charged.is_some() == allowed),
        "a request was charged in part: {outcomes:?}"
    );
    Ok(u64::from(allowed))
}

/// Runs `work` on several threads that begin together; returns the sum of what they return.
fn all_at_once(store: &Store, work: impl Fn(u64, &Store) -> Checked<u64> + Sync) -> Checked<u64> {
    let start = Barrier::new(usize::try_from(THREADS).unwrap_or(1));
    let (start, work) = (&start, &work);
    thread::scope(|scope| {
        let begin = |thread| {
            let store = store.clone();
            scope.spawn(move || {
                start.wait();
                work(thread, &store)
            })
        };
        let threads: Vec<_> = (0..THREADS).map(begin).collect();
        let panicked = |_| Err(Mismatch("a thread panicked".to_owned()));
        threads.into_iter().map(|thread| thread.join().unwrap_or_else(panicked)).sum()
    })
}
