//! SipHash-1-3 with 128 bits, of bytes that lie in one piece.
//!
//! J.-P. Aumasson and D. J. Bernstein, "SipHash: a fast short-input PRF" (2012), with one round for
//! each block and three to finish, and the output of 128 bits of the authors' reference
//! implementation. Nobody who does not know the secret can tell it from random bits, so nobody can
//! look for names that share a place.
//!
//! The crate `siphasher` has the same function, which the tests hold this one to, for bytes that come
//! in pieces. A digest is a third of a decision, and to know that there are no pieces saves a third
//! of the digest.

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
            // The last byte is what makes the output one of 128 bits.
            v1: key1 ^ 0x646f_7261_6e64_6f6d ^ 0xee,
            v2: key0 ^ 0x6c79_6765_6e65_7261,
            v3: key1 ^ 0x7465_6462_7974_6573,
        };
        Self { begin }
    }

    /// The digest: the first 64 bits of the output are the low ones.
    #[inline]
    pub(crate) fn digest(&self, bytes: &[u8]) -> u128 {
        let mut state = self.begin;
        let (blocks, rest) = bytes.as_chunks();
        for block in blocks {
            state.absorb(u64::from_le_bytes(*block));
        }
        // Only the lowest eight bits of the length are part of it.
        state.absorb(last_block(rest) | (bytes.len() as u64) << 56);
        state.v2 ^= 0xee;
        let low = state.finish();
        state.v1 ^= 0xdd;
        u128::from(state.finish()) << 64 | u128::from(low)
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
    const fn finish(&mut self) -> u64 {
        self.round();
        self.round();
        self.round();
        self.v0 ^ self.v1 ^ self.v2 ^ self.v3
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

#[cfg(all(test, not(loom)))]
mod tests {
    use siphasher::sip128::SipHasher13;

    use super::SipHash13;

    /// Every length up to beyond that of an identity that lies in place, and lengths around 256,
    /// where the length no longer fits its byte.
    #[test]
    fn it_is_the_function_of_the_crate_for_every_length() {
        let mut bytes = Vec::new();
        let mut random = 0x9e37_79b9_7f4a_7c15_u64;
        for length in 0..600_u64 {
            let (key0, key1) = (random, random.rotate_left(29) ^ length);
            let expected = SipHasher13::new_with_keys(key0, key1).hash(&bytes).as_u128();
            assert_eq!(SipHash13::new(key0, key1).digest(&bytes), expected, "{length} bytes");
            random = random.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
            bytes.push(random.to_be_bytes()[0]);
        }
    }
}
