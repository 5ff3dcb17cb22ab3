//! SipHash-1-3 with 128 bits, of bytes that lie in one piece.
//!
//! J.-P. Aumasson and D. J. Bernstein, "SipHash: a fast short-input PRF" (2012), with one round for
//! each block and three to finish. Nobody who does not know the secret can tell it from random bits,
//! so nobody can look for names that share a place.
//!
//! The function ends with a state of 256 bits, all of which depend on all that went in, and hands
//! out the XOR of its four words. So does the lower half of this digest, which the tests hold to the
//! crate `siphasher`. The upper half is the XOR of two of these words. The authors' own variant of
//! 128 bits runs the three last rounds a second time instead, so that whoever sees a digest learns
//! nothing of the state. Nobody sees one of these: they name places in a table of this process, and
//! the rounds would be a seventh of a decision.
//!
//! That there are no pieces saves another third of what the crate takes.

/// The function under one secret: the state that it begins with.
#[derive(Clone, Copy)]
pub(crate) struct SipHash13 {
    begin: State,
}

#[derive(Clone, Copy)]
struct State {
    v0: u64,
    v1: u64,
    v2: u64,
    v3: u64,
}

impl SipHash13 {
    pub(crate) const fn new(key0: u64, key1: u64) -> Self {
        let begin = State {
            v0: key0 ^ 0x736f_6d65_7073_6575,
            v1: key1 ^ 0x646f_7261_6e64_6f6d,
            v2: key0 ^ 0x6c79_6765_6e65_7261,
            v3: key1 ^ 0x7465_6462_7974_6573,
        };
        Self { begin }
    }

    /// The digest: the first 64 bits of the output are the low ones.
    #[allow(clippy::inline_always, reason = "measured: a twentieth of a decision")]
    #[inline(always)]
    pub(crate) fn digest(&self, bytes: &[u8]) -> u128 {
        let mut state = self.begin;
        // An address has no whole block, and finding that out so takes a single comparison.
        let mut rest = bytes;
        while let Some((block, after)) = rest.split_first_chunk() {
            state.absorb(u64::from_le_bytes(*block));
            rest = after;
        }
        // Only the lowest eight bits of the length are part of it.
        state.absorb(last_block(rest) | (bytes.len() as u64) << 56);
        state.finish();
        let State { v0, v1, v2, v3 } = state;
        let high = v1 ^ v3;
        u128::from(high) << 64 | u128::from(v0 ^ v2 ^ high)
    }
}

/// Up to seven bytes as a number, the first one lowest.
#[inline]
fn last_block(rest: &[u8]) -> u64 {
    // Two reads that overlap, in place of a loop over bytes.
    if let (Some(first), Some(last)) = (rest.first_chunk(), rest.last_chunk()) {
        let (first, last) = (u32::from_le_bytes(*first), u32::from_le_bytes(*last));
        return u64::from(first) | u64::from(last) << (8 * (rest.len() - size_of_val(&last)));
    }
    rest.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

impl State {
    #[inline]
    const fn absorb(&mut self, block: u64) {
        self.v3 ^= block;
        self.round();
        self.v0 ^= block;
    }

    #[inline]
    const fn finish(&mut self) {
        self.v2 ^= 0xff;
        self.round();
        self.round();
        self.round();
    }

    #[inline]
    const fn round(&mut self) {
        self.v0 = self.v0.wrapping_add(self.v1);
        self.v2 = self.v2.wrapping_add(self.v3);
        self.v1 = self.v1.rotate_left(13) ^ self.v0;
        self.v3 = self.v3.rotate_left(16) ^ self.v2;
        self.v0 = self.v0.rotate_left(32).wrapping_add(self.v3);
        self.v2 = self.v2.wrapping_add(self.v1);
        self.v3 = self.v3.rotate_left(21) ^ self.v0;
        self.v1 = self.v1.rotate_left(17) ^ self.v2;
        self.v2 = self.v2.rotate_left(32);
    }
}

#[cfg(all(test, not(any(loom, shuttle))))]
mod tests {
    use siphasher::sip::SipHasher13;

    use super::SipHash13;

    /// Every length up to beyond that of an identity that lies in place, and lengths around 256,
    /// where the length no longer fits its byte.
    #[test]
    fn its_lower_half_is_the_function_of_the_crate_for_every_length() {
        let mut bytes = Vec::new();
        let mut random = 0x9e37_79b9_7f4a_7c15_u64;
        for length in 0..600_u64 {
            let (key0, key1) = (random, random.rotate_left(29) ^ length);
            let expected = SipHasher13::new_with_keys(key0, key1).hash(&bytes);
            let digest = SipHash13::new(key0, key1).digest(&bytes);
            assert_eq!(digest & u128::from(u64::MAX), u128::from(expected), "{length} bytes");
            random = random.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
            bytes.push(random.to_be_bytes()[0]);
        }
    }

    /// A bit of the input changes each bit of the digest, and of the XOR of its halves, half of the
    /// time: 96,000 times asked, and allowed to be off by six standard deviations.
    #[test]
    fn each_bit_depends_on_each_bit_of_an_address() {
        const NAMES: u32 = 2_000;
        let function = SipHash13::new(0x0706_0504_0302_0100, 0x0f0e_0d0c_0b0a_0908);
        let mut changes = [0_u32; 192];
        let mut asked = 0;
        for name in 0..NAMES {
            let bytes = [&[4, 32][..], &name.to_be_bytes()].concat();
            let digest = function.digest(&bytes);
            for bit in 0..48 {
                let mut other = bytes.clone();
                other[bit / 8] ^= 1 << (bit % 8);
                let changed = digest ^ function.digest(&other);
                let folded = changed ^ changed >> 64;
                for (number, count) in changes.iter_mut().enumerate() {
                    let bits =
                        if number < 128 { changed >> number } else { folded >> (number - 128) };
                    *count += u32::from(bits & 1 == 1);
                }
                asked += 1;
            }
        }
        for (number, count) in changes.into_iter().enumerate() {
            let share = f64::from(count) / f64::from(asked);
            assert!((0.490..0.510).contains(&share), "bit {number} changes {share} of the time");
        }
    }
}
