//! What operators are told of tokens and tiers, as metrics (feature `metrics`).
//!
//! Every series is labelled by words of this file, never by anything that a client sent.

#[cfg(feature = "metrics")]
use metrics::{Counter, Unit, counter, describe_counter};

#[cfg(feature = "jwt")]
use crate::jwt::Refusal;

#[cfg(all(feature = "jwt", feature = "metrics"))]
const TOKENS: &str = "rate_limit_tokens_total";
#[cfg(feature = "metrics")]
const UNKNOWN_TIERS: &str = "rate_limit_unknown_tiers_total";

/// Counts what became of tokens.
#[cfg(feature = "jwt")]
pub(crate) struct TokenCounters {
    #[cfg(feature = "metrics")]
    outcomes: [Counter; 9],
}

#[cfg(feature = "jwt")]
impl TokenCounters {
    pub(crate) fn new() -> Self {
        #[cfg(feature = "metrics")]
        {
            describe_counter!(TOKENS, Unit::Count, "What became of the tokens of requests");
            let counter = |outcome| counter!(TOKENS, "outcome" => outcome);
            Self {
                outcomes: [
                    counter("verified"),
                    counter("audience"),
                    counter("expired"),
                    counter("issuer"),
                    counter("malformed"),
                    counter("not_yet_valid"),
                    counter("no_key"),
                    counter("signature"),
                    counter("too_long"),
                ],
            }
        }
        #[cfg(not(feature = "metrics"))]
        Self {}
    }

    /// Counts a token that counts, or why one does not.
    pub(crate) fn count(&self, refusal: Option<Refusal>) {
        #[cfg(feature = "metrics")]
        {
            let [
                verified,
                audience,
                expired,
                issuer,
                malformed,
                not_yet,
                no_key,
                signature,
                too_long,
            ] = &self.outcomes;
            let counter = match refusal {
                None => verified,
                Some(Refusal::Audience) => audience,
                Some(Refusal::Expired) => expired,
                Some(Refusal::Issuer) => issuer,
                Some(Refusal::Malformed) => malformed,
                Some(Refusal::NotYet) => not_yet,
                Some(Refusal::NoKey) => no_key,
                Some(Refusal::Signature) => signature,
                Some(Refusal::TooLong) => too_long,
            };
            counter.increment(1);
        }
        #[cfg(not(feature = "metrics"))]
        let _ = refusal;
    }
}

/// Counts clients of tiers that nobody knows.
pub(crate) struct TierCounters {
    #[cfg(feature = "metrics")]
    unknown: Counter,
}

impl TierCounters {
    pub(crate) fn new() -> Self {
        #[cfg(feature = "metrics")]
        {
            let what = "Requests of clients whose verified tier no rules file knows";
            describe_counter!(UNKNOWN_TIERS, Unit::Count, what);
            Self { unknown: counter!(UNKNOWN_TIERS) }
        }
        #[cfg(not(feature = "metrics"))]
        Self {}
    }

    pub(crate) fn unknown(&self) {
        #[cfg(feature = "metrics")]
        self.unknown.increment(1);
    }
}
