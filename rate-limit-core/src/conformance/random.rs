//! Long random sequences, compared step by step with the model.
//!
//! A run consists of episodes. Each begins with a fresh store, a fresh model and a handful of
//! random policies and identities, and lets them live through random requests, corrections, changes
//! of limits and movements of the clock. Every field of every answer must be the model's, and the
//! units admitted must keep each algorithm's bound in every interval, reckoned from a log of the
//! admissions alone.

use std::fmt;

use super::subject::{Profile, Subject};

mod bounds;
mod compare;
mod episode;
mod policies;
mod prng;
mod requests;

use episode::Episode;

/// Steps between two fresh stores. Few enough that every state is young enough to be surprised by
/// a clock that steps back, and many enough for bans to grow and decay.
const STEPS_PER_EPISODE: u64 = 500;

/// What a run of random steps consisted of.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct RandomRun {
    /// The seed from which everything followed.
    pub seed: u64,
    /// Requests, corrections and movements of the clock.
    pub steps: u64,
    /// Requests of which every enforced policy admitted its charge.
    pub allowed: u64,
    /// Requests that were denied.
    pub denied: u64,
    /// Corrections of earlier charges.
    pub settled: u64,
}

/// The first difference between a store and the model.
#[derive(Clone, Debug)]
pub struct Divergence {
    /// The seed of the run; the same seed and number of steps lead to the same difference.
    pub seed: u64,
    /// The step at which it showed.
    pub step: u64,
    /// What was different.
    pub message: String,
    /// What led there, since the store was fresh.
    pub history: Vec<String>,
}

/// Lets fresh stores of `subject` and the model live through `steps` random steps.
///
/// # Errors
///
/// The first [`Divergence`] between store and model, or the first bound that was broken.
///
/// # Example: a thousand steps
///
/// ```
/// use rate_limit_core::ManualClock;
/// use rate_limit_core::conformance::{SimpleRepository, random_steps};
///
/// let stores = |clock: ManualClock| SimpleRepository::new(clock);
/// let run = random_steps(&stores, 42, 1_000).map_err(|divergence| divergence.to_string())?;
/// assert_eq!(run.steps, 1_000);
/// # Ok::<(), String>(())
/// ```
pub fn random_steps(
    subject: &dyn Subject,
    seed: u64,
    steps: u64,
) -> Result<RandomRun, Box<Divergence>> {
    random_steps_in(Profile::Atomic, subject, seed, steps)
}

/// The same for stores of one profile. Where charges are taken and given back, a bucket that was full
/// all the time is afterwards full from that moment on, which nobody notices until a clock steps
/// back; so there it does not.
pub(super) fn random_steps_in(
    profile: Profile,
    subject: &dyn Subject,
    seed: u64,
    steps: u64,
) -> Result<RandomRun, Box<Divergence>> {
    let mut run = RandomRun { seed, ..RandomRun::default() };
    let mut number = 0;
    while run.steps < steps {
        let length = STEPS_PER_EPISODE.min(steps - run.steps);
        let before = run.steps;
        let mut episode = Episode::new(profile, subject, seed, number);
        if let Err(mismatch) = episode.run(length, &mut run) {
            let mut again = Episode::new(profile, subject, seed, number).with_history();
            // The same steps lead to the same difference, now with a history to show for it.
            let repeated = again.run(length, &mut RandomRun::default());
            let message = repeated.err().unwrap_or(mismatch).0;
            let step = before + again.steps();
            return Err(Box::new(Divergence { seed, step, message, history: again.history() }));
        }
        number += 1;
    }
    Ok(run)
}

impl fmt::Display for Divergence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seed, step, message, history } = self;
        write!(f, "seed {seed}, step {step}: {message}; before that:")?;
        let hidden = history.len().saturating_sub(40);
        if hidden > 0 {
            write!(f, "\n  ({hidden} earlier steps)")?;
        }
        history.iter().skip(hidden).try_for_each(|line| write!(f, "\n  {line}"))
    }
}

impl std::error::Error for Divergence {}
