//! The order in which Go prints the keys of a map: letters last, runs of digits by their value.
//!
//! Keeps nothing. Entry point: [`sort`].

use std::cmp::Ordering;

/// Sorts entries by their keys. Go's order has circles (digits beyond the range of its integers), for which the sort of the
/// standard library may panic: this merge sort takes any order.
pub(super) fn sort<T: Copy>(entries: &mut Vec<(&str, T)>) {
    if entries.len() < 2 {
        return;
    }
    let mut right = entries.split_off(entries.len() / 2);
    let mut left = std::mem::take(entries);
    sort(&mut left);
    sort(&mut right);
    let (mut left, mut right) = (left.into_iter().peekable(), right.into_iter().peekable());
    while let (Some((a, _)), Some((b, _))) = (left.peek(), right.peek()) {
        let next = if compare(b, a).is_lt() { right.next() } else { left.next() };
        entries.extend(next);
    }
    entries.extend(left);
    entries.extend(right);
}

/// Compares two keys as Go's yaml.v2 does: `a2` before `a10`, `a-b` before `ab`.
fn compare(a: &str, b: &str) -> Ordering {
    let common = a.bytes().zip(b.bytes()).take_while(|(a, b)| a == b).count();
    // The first difference may lie inside a character.
    let start = (0..=common).rev().find(|at| a.is_char_boundary(*at) && b.is_char_boundary(*at)).unwrap_or_default();
    let (Some(first), Some(second)) = (a[start..].chars().next(), b[start..].chars().next()) else {
        return a.len().cmp(&b.len());
    };
    match (first.is_alphabetic(), second.is_alphabetic()) {
        (true, true) => return first.cmp(&second),
        (true, false) => return Ordering::Greater,
        (false, true) => return Ordering::Less,
        (false, false) => {}
    }
    // A zero counts as a digit of the number before it, so that 10 comes after 1.
    let carried = (first == '0' || second == '0')
        && a[..start].bytes().rev().take_while(u8::is_ascii_digit).any(|digit| digit != b'0');
    let (a_value, a_digits) = run(&a[start..], carried);
    let (b_value, b_digits) = run(&b[start..], carried);
    a_value.cmp(&b_value).then(a_digits.cmp(&b_digits)).then(first.cmp(&second))
}

/// The value and the length of the run of digits at the start. It overflows as Go's does.
fn run(text: &str, carried: bool) -> (i64, usize) {
    let mut value = i64::from(carried);
    let mut digits = 0;
    for digit in text.bytes().take_while(u8::is_ascii_digit) {
        value = value.wrapping_mul(10).wrapping_add(i64::from(digit - b'0'));
        digits += 1;
    }
    (value, digits)
}
