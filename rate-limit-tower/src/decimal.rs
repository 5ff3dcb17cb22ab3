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
pub(crate) fn text(number: u64) -> Option<&'static str> {
    let (place, digits) = place(number)?;
    TEXTS.get(place + 4 - digits..place + 4)
}

/// The digits of the number and how many they are, if it is small. What follows them means nothing:
/// copying four bytes in one go is cheaper than copying as many as there are digits.
#[inline]
pub(crate) fn digits(number: u64) -> Option<([u8; 4], usize)> {
    let (place, digits) = place(number)?;
    let padded: [u8; 4] = *TEXTS.as_bytes().get(place..)?.first_chunk()?;
    // The first byte in memory is the lowest one, so this drops the zeros in front.
    let shifted = u32::from_le_bytes(padded) >> (8 * (4 - digits));
    Some((shifted.to_le_bytes(), digits))
}

/// A number of five to eight digits: the small number that its first digits are, and the text of its
/// last four.
#[inline]
pub(crate) fn halves(number: u64) -> Option<(u64, &'static str)> {
    let (first, last) = (number / COUNT as u64, number % COUNT as u64);
    if first == 0 || place(first).is_none() {
        return None;
    }
    let (place, _) = place(last)?;
    Some((first, TEXTS.get(place..place + 4)?))
}

/// Where the four digits of the number begin, and how many of them it has.
#[inline]
fn place(number: u64) -> Option<(usize, usize)> {
    let index = usize::try_from(number).ok().filter(|index| *index < COUNT)?;
    let digits =
        1 + usize::from(index >= 10) + usize::from(index >= 100) + usize::from(index >= 1_000);
    Some((4 * index, digits))
}

#[cfg(test)]
mod tests {
    use super::{digits, halves, text};

    #[test]
    fn every_small_number_is_written_as_usual() {
        for number in 0..10_000 {
            let expected = number.to_string();
            assert_eq!(text(number), Some(expected.as_str()));
            let (bytes, count) = digits(number).unwrap();
            assert_eq!(bytes.get(..count), Some(expected.as_bytes()));
        }
        for number in [10_000, u64::MAX] {
            assert_eq!((text(number), digits(number)), (None, None));
        }
    }

    #[test]
    fn a_larger_number_is_two_of_them() {
        for number in (10_000..100_000_000).step_by(9_973).chain([86_400, 99_999_999]) {
            let (first, last) = halves(number).unwrap();
            assert_eq!(format!("{first}{last}"), number.to_string());
        }
        for number in [0, 9_999, 100_000_000, u64::MAX] {
            assert_eq!(halves(number), None);
        }
    }
}
