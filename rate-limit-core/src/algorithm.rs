//! How units are counted: the rule every algorithm implements, and the closed set of algorithms.
//!
//! An algorithm is a pure function from (state, instant, units) to (state, answer). It holds no
//! lock, reads no clock and cannot fail: everything that could go wrong was refused when the policy
//! was built.
//!
//! # Adding an algorithm
//!
//! Write one file with the rule, its [`BucketRule`] and the method by which
//! [`RateLimitPolicyBuilder`](crate::RateLimitPolicyBuilder) chooses it, and add its name to the
//! `algorithms!` list below. Nothing else in this crate names an algorithm.

use std::time::Duration;

use crate::fixed_window::FixedWindow;
use crate::outcome::{Outcome, PolicyVerdict};
use crate::packed::PackedState;
use crate::sliding_log::SlidingLog;
use crate::sliding_window::SlidingWindow;
use crate::time::{TimeAxis, Timestamp};
use crate::token_bucket::TokenBucket;

/// The most units a limit or a burst may name: 4,294,967,295.
pub const MAX_UNITS: u64 = u32::MAX as u64;

/// How long a request has to wait until the units it asks for fit.
///
/// The order is by length: `Now < After(..) < Never`.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Wait {
    /// The units fit now.
    Now,
    /// The units fit after exactly this many nanoseconds, and not one earlier, if nobody else takes
    /// any. Never zero.
    After(u64),
    /// The units exceed the capacity and can never fit.
    Never,
}

impl Wait {
    /// A wait of `nanos` nanoseconds.
    pub(crate) const fn nanos(nanos: u64) -> Self {
        if nanos == 0 { Self::Now } else { Self::After(nanos) }
    }

    /// The wait as a duration; `None` if it never ends.
    pub const fn duration(self) -> Option<Duration> {
        match self {
            Self::Now => Some(Duration::ZERO),
            Self::After(nanos) => Some(Duration::from_nanos(nanos)),
            Self::Never => None,
        }
    }
}

/// Whether bringing a state up to date changed something that must be stored even if the request is
/// denied.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Healed {
    /// The state was sound.
    No,
    /// The state lay in the future, further than it can: the clock stepped back, the limit became
    /// shorter, or the value was corrupt. It was brought back to what is possible; see
    /// [`BucketRule::bring_up_to_date`].
    Yes,
}

/// What one algorithm can do with the state of one bucket.
///
/// `now` is always the instant on [`axis`](BucketRule::axis) of the clock that keeps the state.
/// Every method but [`bring_up_to_date`](BucketRule::bring_up_to_date) expects a state that was
/// brought up to date at the same instant.
pub trait BucketRule {
    /// What is stored for one bucket.
    type State;

    /// The state of a bucket nobody has taken from.
    fn fresh(&self, now: Timestamp) -> Self::State;

    /// Lets time pass: drops what has expired and brings an impossible state back to what is
    /// possible.
    ///
    /// A state from the future counts as full debt at `now`: it is neither believed (a corrupt
    /// value would lock a client out) nor dropped (stepping a clock back would refill the bucket).
    /// The caller stores a healed state also when it denies the request, because otherwise the
    /// promised wait would start again with every denial.
    fn bring_up_to_date(&self, state: &mut Self::State, now: Timestamp) -> Healed;

    /// How long until `units` fit.
    fn wait(&self, state: &Self::State, now: Timestamp, units: u64) -> Wait;

    /// Takes `units`, which [`wait`](BucketRule::wait) has just found to fit. Returns the mark by
    /// which a later refund recognises the charge.
    fn charge(&self, state: &mut Self::State, now: Timestamp, units: u64) -> Timestamp;

    /// Gives back up to `units` of a charge of `charged` units made at `mark`, as far as time has
    /// not given them back already. Returns the units for which anything was given back.
    fn refund(
        &self,
        state: &mut Self::State,
        now: Timestamp,
        mark: Timestamp,
        charged: u64,
        units: u64,
    ) -> u64;

    /// Takes `units` without a test, up to full debt. Returns the units that found no room.
    fn add(&self, state: &mut Self::State, now: Timestamp, units: u64) -> u64;

    /// All of a decision over one charge: brings the state up to date, tests whether `units` fit,
    /// and if so takes `taken`, which is all of them, or none if somebody else denies the request.
    ///
    /// Step by step, unless a rule knows a shorter way to the same answer.
    #[inline]
    fn test_and_take(
        &self,
        state: &mut Self::State,
        now: Timestamp,
        units: u64,
        taken: u64,
    ) -> (Healed, Outcome) {
        step_by_step(self, state, now, (units, taken))
    }

    /// Units that fit now.
    fn remaining(&self, state: &Self::State, now: Timestamp) -> u64;

    /// Nanoseconds until the bucket is full again (token bucket, sliding window and log) or until
    /// the window ends (fixed window).
    fn reset_nanos(&self, state: &Self::State, now: Timestamp) -> u64;

    /// The instant from which the state is as good as a fresh one and may be forgotten.
    fn full_at(&self, state: &Self::State) -> Timestamp;

    /// The most units one request can take.
    fn capacity(&self) -> u64;

    /// The share of this rule that one of `nodes` processes enforces by itself: capacity and rate
    /// divided by `nodes`, the capacity rounded up to at least 1.
    #[must_use]
    fn share_of(&self, nodes: u64) -> Self;

    /// What distinguishes the rule besides limit and window, in plain words.
    fn describe(&self) -> String;

    /// The axis of the clock on which the state lives.
    fn axis(&self) -> TimeAxis {
        TimeAxis::Monotonic
    }

    /// Identifies the meaning of the stored state. Versions of a policy with the same format share
    /// a bucket. Contains no `/`.
    fn format(&self) -> String;

    /// Whether every state can be packed. `false` for a state whose size depends on use.
    const IS_FIXED_SIZE: bool = false;

    /// The state in two words; `None` if it has no fixed size.
    fn pack(&self, _state: &Self::State) -> Option<PackedState> {
        None
    }

    /// The state from two words, under any version of the rule with the same
    /// [`format`](Self::format); `None` if it has no fixed size.
    fn unpack(&self, _packed: PackedState) -> Option<Self::State> {
        None
    }
}

/// What [`BucketRule::test_and_take`] is made of.
#[inline]
pub(crate) fn step_by_step<R: BucketRule + ?Sized>(
    rule: &R,
    state: &mut R::State,
    now: Timestamp,
    (units, taken): (u64, u64),
) -> (Healed, Outcome) {
    let healed = rule.bring_up_to_date(state, now);
    let wait = if units == 0 { Wait::Now } else { rule.wait(state, now, units) };
    let (verdict, taken) = match wait {
        Wait::Now => (PolicyVerdict::Admit, taken),
        Wait::After(_) | Wait::Never => (PolicyVerdict::Deny, 0),
    };
    let charged = (taken > 0).then(|| rule.charge(state, now, taken));
    let remaining = rule.remaining(state, now);
    let reset_nanos = rule.reset_nanos(state, now);
    (healed, Outcome { verdict, remaining, reset_nanos, wait, charged })
}

/// Something to do with a rule and its state. Written once, it is compiled for every algorithm, so
/// that a decision looks up the algorithm once and not for each question.
pub(crate) trait Visitor {
    /// What comes of it.
    type Output;

    /// Does it.
    fn visit<R: BucketRule>(self, rule: &R, state: &mut R::State) -> Self::Output;
}

/// Declares [`Algorithm`] and [`BucketState`] and passes each call on to the right file.
macro_rules! algorithms {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {
        /// The algorithm of a policy together with its parameters.
        #[derive(Clone, Debug, Eq, Hash, PartialEq)]
        #[non_exhaustive]
        pub enum Algorithm {
            $($(#[$doc])* $name($name)),+
        }

        /// What a store keeps for one bucket.
        #[derive(Clone, Debug, Eq, PartialEq)]
        #[non_exhaustive]
        pub enum BucketState {
            $(#[doc = concat!("The state of a [`", stringify!($name), "`].")]
            $name(<$name as BucketRule>::State)),+
        }

        impl Algorithm {
            /// Visits the rule and the state in `bucket`. A missing state, or one of another
            /// algorithm, which only a store that mixes up its keys can present, is replaced by a
            /// fresh one.
            pub(crate) fn visit<V: Visitor>(
                &self,
                bucket: &mut Option<BucketState>,
                now: Timestamp,
                visitor: V,
            ) -> V::Output {
                match (self, bucket) {
                    $((Self::$name(rule), Some(BucketState::$name(state))) => {
                        visitor.visit(rule, state)
                    })+
                    $((Self::$name(rule), bucket) => {
                        let mut state = rule.fresh(now);
                        let output = visitor.visit(rule, &mut state);
                        *bucket = Some(BucketState::$name(state));
                        output
                    })+
                }
            }

            /// Visits the rule and a state that lies packed, and packs what becomes of it. `None`
            /// if such states have no fixed size; the visitor was not asked then.
            // Always, because it is little more than the choice of the algorithm, and what is visited
            // is large to hand back and forth.
            #[allow(clippy::inline_always, reason = "measured: a tenth of a decision")]
            #[inline(always)]
            pub(crate) fn visit_packed<V: Visitor>(
                &self,
                stored: Option<PackedState>,
                now: Timestamp,
                visitor: V,
            ) -> Option<(V::Output, PackedState)> {
                match self {
                    $(Self::$name(rule) => {
                        if !<$name as BucketRule>::IS_FIXED_SIZE {
                            return None;
                        }
                        let mut state = match stored {
                            Some(packed) => rule.unpack(packed)?,
                            None => rule.fresh(now),
                        };
                        let output = visitor.visit(rule, &mut state);
                        Some((output, rule.pack(&state)?))
                    })+
                }
            }

            /// See [`BucketRule::IS_FIXED_SIZE`].
            pub const fn is_fixed_size(&self) -> bool {
                match self { $(Self::$name(_) => <$name as BucketRule>::IS_FIXED_SIZE),+ }
            }

            /// See [`BucketRule::pack`]. A state of another algorithm is not packed.
            pub fn pack(&self, state: &BucketState) -> Option<PackedState> {
                match (self, state) {
                    $((Self::$name(rule), BucketState::$name(state)) => rule.pack(state),)+
                    #[allow(unreachable_patterns)]
                    _ => None,
                }
            }

            /// See [`BucketRule::unpack`].
            pub fn unpack(&self, packed: PackedState) -> Option<BucketState> {
                match self {
                    $(Self::$name(rule) => rule.unpack(packed).map(BucketState::$name)),+
                }
            }

            /// The state of a bucket nobody has taken from.
            pub fn fresh(&self, now: Timestamp) -> BucketState {
                match self {
                    $(Self::$name(rule) => BucketState::$name(rule.fresh(now))),+
                }
            }

            /// See [`BucketRule::bring_up_to_date`]. A state of another algorithm, which only a
            /// store that mixes up its keys can present, counts as corrupt and becomes a fresh one.
            pub fn bring_up_to_date(&self, state: &mut BucketState, now: Timestamp) -> Healed {
                match (self, state) {
                    $((Self::$name(rule), BucketState::$name(state)) =>
                        rule.bring_up_to_date(state, now),)+
                    #[allow(unreachable_patterns)]
                    (_, state) => {
                        *state = self.fresh(now);
                        Healed::Yes
                    }
                }
            }

            /// See [`BucketRule::wait`].
            pub fn wait(&self, state: &BucketState, now: Timestamp, units: u64) -> Wait {
                match (self, state) {
                    $((Self::$name(rule), BucketState::$name(state)) =>
                        rule.wait(state, now, units),)+
                    #[allow(unreachable_patterns)]
                    _ => Wait::Never,
                }
            }

            /// See [`BucketRule::charge`].
            pub fn charge(&self, state: &mut BucketState, now: Timestamp, units: u64) -> Timestamp {
                match (self, state) {
                    $((Self::$name(rule), BucketState::$name(state)) =>
                        rule.charge(state, now, units),)+
                    #[allow(unreachable_patterns)]
                    _ => now,
                }
            }

            /// See [`BucketRule::refund`].
            pub fn refund(
                &self,
                state: &mut BucketState,
                now: Timestamp,
                mark: Timestamp,
                charged: u64,
                units: u64,
            ) -> u64 {
                match (self, state) {
                    $((Self::$name(rule), BucketState::$name(state)) =>
                        rule.refund(state, now, mark, charged, units),)+
                    #[allow(unreachable_patterns)]
                    _ => 0,
                }
            }

            /// See [`BucketRule::add`].
            pub fn add(&self, state: &mut BucketState, now: Timestamp, units: u64) -> u64 {
                match (self, state) {
                    $((Self::$name(rule), BucketState::$name(state)) =>
                        rule.add(state, now, units),)+
                    #[allow(unreachable_patterns)]
                    _ => units,
                }
            }

            /// See [`BucketRule::remaining`].
            pub fn remaining(&self, state: &BucketState, now: Timestamp) -> u64 {
                match (self, state) {
                    $((Self::$name(rule), BucketState::$name(state)) =>
                        rule.remaining(state, now),)+
                    #[allow(unreachable_patterns)]
                    _ => 0,
                }
            }

            /// See [`BucketRule::reset_nanos`].
            pub fn reset_nanos(&self, state: &BucketState, now: Timestamp) -> u64 {
                match (self, state) {
                    $((Self::$name(rule), BucketState::$name(state)) =>
                        rule.reset_nanos(state, now),)+
                    #[allow(unreachable_patterns)]
                    _ => 0,
                }
            }

            /// See [`BucketRule::full_at`].
            pub fn full_at(&self, state: &BucketState) -> Timestamp {
                match (self, state) {
                    $((Self::$name(rule), BucketState::$name(state)) => rule.full_at(state),)+
                    #[allow(unreachable_patterns)]
                    _ => Timestamp::ORIGIN,
                }
            }

            /// See [`BucketRule::capacity`].
            pub fn capacity(&self) -> u64 {
                match self { $(Self::$name(rule) => rule.capacity()),+ }
            }

            /// See [`BucketRule::share_of`].
            #[must_use]
            pub fn share_of(&self, nodes: u64) -> Self {
                match self { $(Self::$name(rule) => Self::$name(rule.share_of(nodes))),+ }
            }

            /// See [`BucketRule::describe`].
            pub fn describe(&self) -> String {
                match self { $(Self::$name(rule) => rule.describe()),+ }
            }

            /// See [`BucketRule::axis`].
            pub fn axis(&self) -> TimeAxis {
                match self { $(Self::$name(rule) => rule.axis()),+ }
            }

            /// See [`BucketRule::format`].
            pub fn format(&self) -> String {
                match self { $(Self::$name(rule) => rule.format()),+ }
            }
        }
    };
}

algorithms! {
    /// `limit` per window, counted from the key's first request or on the UTC grid.
    FixedWindow,
    /// Never more than `limit` in any interval of one window's length.
    SlidingLog,
    /// Two windows, the previous one weighted by how much of it still counts.
    SlidingWindow,
    /// A burst, refilled at a steady rate.
    TokenBucket,
}
