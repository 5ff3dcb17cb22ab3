//! Small numbers as texts that are there already.
//!
//! Most numbers in the fields are small: what remains of a limit, and seconds. A value that is made
//! of one of these texts allocates nothing, and counts no references.

/// How many numbers there are, from zero.
const COUNT: usize = 10_000;

/// Each with four digits, so that a number is found without searching.
#[allow(clippy::large_const_arrays, reason = "it is used once, by the constant below")]
const DIGITS: [u8; 4 * COUNT] = {
    let mut digits = [b'0'; 4 * COUNT];
    let mut number = 0;
    while number < COUNT {
        let (mut rest, mut place) = (number, 4 * number + 4);
        while rest > 0 {
            place -= 1;
            // One digit, so nothing is lost.
            digits[place] = b'0' + (rest % 10) as u8;
            rest /= 10;
        }
        number += 1;
    }
    digits
};

/// Checked once, by the compiler, and not with every number.
static TEXTS: &str = match str::from_utf8(&DIGITS) {
    Ok(digits) => digits,
    Err(_) => panic!("digits are text"),
};

/// The number in decimal digits, if it is small.
#[inline]
pub(super) fn text(number: u64) -> Option<&'static str> {
    let digits = match number {
        0..10 => 1,
        10..100 => 2,
        100..1_000 => 3,
        1_000..10_000 => 4,
        _ => return None,
    };
    let end = 4 * usize::try_from(number).ok()? + 4;
    TEXTS.get(end - digits..end)
}

#[cfg(test)]
mod tests {
    use super::text;

    #[test]
    fn every_small_number_is_written_as_usual() {
        for number in 0..10_000 {
            assert_eq!(text(number), Some(number.to_string().as_str()));
        }
        assert_eq!(text(10_000), None);
        assert_eq!(text(u64::MAX), None);
    }
}
