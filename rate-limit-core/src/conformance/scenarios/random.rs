//! Random sequences against the model.

use super::Scenario;
use crate::conformance::random::random_steps_in;
use crate::conformance::trial::Mismatch;

pub(super) const SCENARIOS: &[Scenario] = &[Scenario {
    name: "random.equals_the_model",
    promise: "verdicts, remaining units, resets and waits are those of the exact model, bit for \
              bit, and no bound is broken in any interval",
    body: |trial| match random_steps_in(trial.profile, trial.subject, 20_260_101, 10_000) {
        Ok(_) => Ok(()),
        Err(divergence) => Err(Mismatch(divergence.to_string())),
    },
}];
