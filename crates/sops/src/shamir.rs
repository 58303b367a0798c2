//! Shamir's way to share a secret: which key comes of the parts of several groups. Entry point: [`combine`].
//!
//! A part is one point of a polynomial for each byte of the secret, over the field of 256 elements that AES uses; its last byte
//! is where the point lies. The secret is what the polynomials are at 0.

use zeroize::Zeroizing;

/// The secret; none if the parts do not belong together: of unequal length, two of one place, or fewer than two.
pub(crate) fn combine(parts: &[Zeroizing<Vec<u8>>]) -> Option<Zeroizing<Vec<u8>>> {
    let length = parts.first()?.len();
    if parts.len() < 2 || length < 2 || parts.iter().any(|part| part.len() != length) {
        return None;
    }
    let places: Vec<u8> = parts.iter().map(|part| part[length - 1]).collect();
    let distinct = places.iter().enumerate().all(|(at, place)| *place != 0 && !places[..at].contains(place));
    if !distinct {
        return None;
    }
    let mut secret = Zeroizing::new(vec![0; length - 1]);
    for (at, part) in parts.iter().enumerate() {
        let others = places.iter().enumerate().filter(|(other, _)| *other != at);
        let weight = others.fold(1, |weight, (_, other)| times(weight, times(*other, inverse(places[at] ^ other))));
        for (byte, share) in secret.iter_mut().zip(part.iter()) {
            *byte ^= times(*share, weight);
        }
    }
    Some(secret)
}

/// The product, in a time that does not depend on the factors.
fn times(a: u8, b: u8) -> u8 {
    /// What the eighth power of x is, without its carry.
    const REDUCED: u8 = 0x1b;
    (0..8).rev().fold(0, |product: u8, bit| {
        let carried = (product >> 7).wrapping_neg() & REDUCED;
        (product << 1) ^ carried ^ ((b >> bit) & 1).wrapping_neg() & a
    })
}

/// What times `a` is 1: its power of 254.
fn inverse(a: u8) -> u8 {
    // 254 is seven ones and a zero in binary.
    let mut power = a;
    for _ in 0..6 {
        power = times(times(power, power), a);
    }
    times(power, power)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_element_has_an_inverse() {
        for a in 1..=255 {
            assert_eq!(times(a, inverse(a)), 1);
            assert_eq!(times(a, 1), a);
        }
        assert_eq!(times(0x57, 0x83), 0xc1);
    }

    #[test]
    fn parts_must_belong_together() {
        let part = |bytes: &[u8]| Zeroizing::new(bytes.to_vec());
        assert!(combine(&[]).is_none());
        assert!(combine(&[part(&[1, 1])]).is_none());
        assert!(combine(&[part(&[1, 1]), part(&[2, 1])]).is_none());
        assert!(combine(&[part(&[1, 1]), part(&[2, 0])]).is_none());
        assert!(combine(&[part(&[1, 1]), part(&[2, 3, 2])]).is_none());
        // The line 5 + 7x at two places.
        let at = |x| part(&[5 ^ times(7, x), x]);
        assert_eq!(*combine(&[at(9), at(200)]).unwrap(), [5]);
    }
}
