//! Who asks, and in which order.

use std::net::IpAddr;

use crate::addresses;

/// Questions that are made before; a longer run goes round.
const QUESTIONS: usize = 1_000_000;

/// How the keys are spread over the questions.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Spread {
    /// Each as often as any other.
    Uniform,
    /// The n-th key is asked for 1/n as often as the first one.
    Zipf,
}

impl Spread {
    /// The addresses of `keys` clients in the order in which they ask: up to a thousand all in turn,
    /// more of them at random.
    pub fn order(self, keys: usize) -> Vec<IpAddr> {
        let everybody = addresses(keys);
        let mut random = Random(0x9e37_79b9_7f4a_7c15);
        let questions = if keys <= 1_000 { keys } else { QUESTIONS };
        let number = |turn| match self {
            _ if keys <= 1_000 => turn,
            Self::Uniform => random.below(keys),
            Self::Zipf => random.zipf(keys),
        };
        (0..questions).map(number).filter_map(|number| everybody.get(number).copied()).collect()
    }
}

/// A generator of random numbers that needs no crate (xorshift64*), the same in each run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, range: usize) -> usize {
        ((u128::from(self.next()) * range as u128) >> 64) as usize
    }

    /// Exactly Zipf's law for the continuous distribution, which is close enough for the discrete.
    fn zipf(&mut self, range: usize) -> usize {
        let uniform = self.next() as f64 / u64::MAX as f64;
        ((range as f64).powf(uniform) as usize - 1).min(range - 1)
    }
}
