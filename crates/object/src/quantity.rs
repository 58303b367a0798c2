//! Kubernetes quantities: `1`, `1000m` and `1e0` are one CPU.
//!
//! Keeps nothing. Exact: decimal digits, no floats, rounded up to 10⁻⁹ and capped as the API server does. Entry point: [`equal`].

use crate::{Node, Number};

/// The longest text that is read as a quantity, in bytes. Real ones have a dozen.
const TEXT_BYTES_MAX: usize = 256;
/// The most decimal places that a quantity keeps: the API server rounds up to this.
const PLACES_MAX: i64 = 9;
/// What the API server cuts quantities with a binary suffix to: 2⁶³ − 1.
const BINARY_MAX: &[u8] = b"9223372036854775807";

/// An amount in its one form: `digits` have no zeros at either end, and the value is `digits × 10^exponent`.
#[derive(Debug, PartialEq, Eq)]
struct Amount {
    negative: bool,
    digits: Vec<u8>,
    exponent: i64,
}

/// What follows the digits.
enum Suffix {
    Decimal(i64),
    Binary(u32),
}

/// Whether two values, strings or numbers, are the same quantity. False if either is none.
pub fn equal(a: &Node, b: &Node) -> bool {
    Amount::of(a).is_some_and(|amount| Amount::of(b) == Some(amount))
}

// === impl Amount ===

impl Amount {
    fn of(node: &Node) -> Option<Self> {
        match node {
            Node::String(text) => Self::parse(text.trim()),
            Node::Number(Number::Int(value)) => Self::parse(&value.to_string()),
            Node::Number(Number::Uint(value)) => Self::parse(&value.to_string()),
            Node::Number(Number::Float(value)) => Self::parse(&format!("{value:e}")),
            Node::Null | Node::Bool(_) | Node::List(_) | Node::Map(_) => None,
        }
    }

    fn parse(text: &str) -> Option<Self> {
        if text.len() > TEXT_BYTES_MAX {
            return None;
        }
        let (negative, unsigned) = match text.as_bytes().first()? {
            b'-' => (true, &text[1..]),
            b'+' => (false, &text[1..]),
            _ => (false, text),
        };
        let (whole, rest) = digits(unsigned);
        let (fraction, rest) = rest.strip_prefix('.').map_or(("", rest), digits);
        if whole.is_empty() && fraction.is_empty() {
            return None;
        }
        let suffix = Suffix::parse(rest)?;
        let mut amount = Self {
            negative,
            digits: [whole, fraction].concat().into_bytes(),
            exponent: -i64::try_from(fraction.len()).ok()?,
        };
        match suffix {
            Suffix::Decimal(exponent) => amount.exponent += exponent,
            Suffix::Binary(power) => {
                (0..power).for_each(|_| amount.double());
                amount.cap();
            }
        }
        amount.round();
        Some(amount.reduced())
    }

    fn double(&mut self) {
        let mut carry = 0;
        for digit in self.digits.iter_mut().rev() {
            let twice = (*digit - b'0') * 2 + carry;
            *digit = b'0' + twice % 10;
            carry = twice / 10;
        }
        if carry > 0 {
            self.digits.insert(0, b'0' + carry);
        }
    }

    /// Cuts the amount to the largest that a binary suffix may give.
    fn cap(&mut self) {
        let whole = self.digits.len() - usize::try_from(-self.exponent).unwrap_or_default().min(self.digits.len());
        let zeros = self.digits.iter().take_while(|digit| **digit == b'0').count().min(whole);
        let whole = &self.digits[zeros..whole];
        // Nothing lies between the cap and the next whole number but what is cut to it.
        if whole.len() > BINARY_MAX.len() || (whole.len() == BINARY_MAX.len() && whole >= BINARY_MAX) {
            self.digits = BINARY_MAX.to_vec();
            self.exponent = 0;
        }
    }

    /// Rounds away from zero to the places that are kept.
    fn round(&mut self) {
        let Ok(surplus) = usize::try_from(-PLACES_MAX - self.exponent) else { return };
        if surplus == 0 {
            return;
        }
        let kept = self.digits.len().saturating_sub(surplus);
        let lost = self.digits.split_off(kept);
        self.exponent = -PLACES_MAX;
        if lost.iter().all(|digit| *digit == b'0') {
            return;
        }
        for digit in self.digits.iter_mut().rev() {
            if *digit < b'9' {
                *digit += 1;
                return;
            }
            *digit = b'0';
        }
        self.digits.insert(0, b'1');
    }

    fn reduced(mut self) -> Self {
        while self.digits.last() == Some(&b'0') {
            self.digits.pop();
            self.exponent += 1;
        }
        let zeros = self.digits.iter().take_while(|digit| **digit == b'0').count();
        self.digits.drain(..zeros);
        if self.digits.is_empty() {
            return Self { negative: false, digits: self.digits, exponent: 0 };
        }
        self
    }
}

// === impl Suffix ===

impl Suffix {
    fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "" => Self::Decimal(0),
            "n" => Self::Decimal(-9),
            "u" => Self::Decimal(-6),
            "m" => Self::Decimal(-3),
            "k" => Self::Decimal(3),
            "M" => Self::Decimal(6),
            "G" => Self::Decimal(9),
            "T" => Self::Decimal(12),
            "P" => Self::Decimal(15),
            "E" => Self::Decimal(18),
            "Ki" => Self::Binary(10),
            "Mi" => Self::Binary(20),
            "Gi" => Self::Binary(30),
            "Ti" => Self::Binary(40),
            "Pi" => Self::Binary(50),
            "Ei" => Self::Binary(60),
            _ => Self::Decimal(text.strip_prefix(['e', 'E'])?.parse::<i32>().ok()?.into()),
        })
    }
}

/// The digits at the start, and the rest.
fn digits(text: &str) -> (&str, &str) {
    text.split_at(text.bytes().take_while(u8::is_ascii_digit).count())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn same(a: &str, b: &str) -> bool {
        equal(&a.into(), &b.into())
    }

    #[test]
    fn equal_by_value() {
        for (a, b) in [
            ("1", "1000m"),
            ("1", "1e0"),
            ("1", "1.0"),
            ("1", "+1"),
            ("1", "01"),
            ("0.1", "100m"),
            (".5", "500m"),
            ("1.", "1"),
            ("1k", "1000"),
            ("1k", "1e3"),
            ("1k", "1E+3"),
            ("1E", "1e18"),
            ("1Ki", "1024"),
            ("1Gi", "1024Mi"),
            ("0.5Gi", "512Mi"),
            ("1.5Ki", "1536"),
            ("1Ei", "1152921504606846976"),
            ("-1", "-1000m"),
            ("0", "-0"),
            ("0", "0m"),
            ("0", "0Ki"),
            ("1n", "0.000000001"),
            ("1n", "0.1n"),
            ("1n", "1e-30"),
            ("1.0000000001", "1.000000001"),
            ("9.9999999999", "10"),
            ("-0.1n", "-1n"),
            ("9Ei", "9223372036854775807"),
            ("8Ei", "9223372036854775807"),
            ("1000Ei", "8Ei"),
            ("128974848", "123Mi"),
            ("129e6", "129M"),
            (" 1 ", "1"),
            ("1u", "1000n"),
            ("1T", "1000G"),
            ("1P", "1000T"),
            ("1Pi", "1024Ti"),
            ("0.1Ki", "102.4"),
        ] {
            assert!(same(a, b), "{a} is {b}");
        }
    }

    #[test]
    fn different_by_value() {
        for (a, b) in [("1", "1m"), ("1k", "1Ki"), ("1", "-1"), ("1M", "1m"), ("9007199254740993", "9007199254740992")]
        {
            assert!(!same(a, b), "{a} is not {b}");
        }
    }

    #[test]
    fn numbers_are_quantities_too() {
        assert!(equal(&Node::from(1), &"1000m".into()));
        assert!(equal(&Node::Number(Number::Float(0.1)), &"100m".into()));
        assert!(equal(&Node::Number(Number::Float(1e300)), &"1e300".into()));
        assert!(equal(&Node::Number(Number::Uint(u64::MAX)), &"18446744073709551615".into()));
    }

    #[test]
    fn what_is_none_equals_nothing() {
        for text in
            ["", "-", ".", "abc", "1x", "1 k", "1e", "1e+", "1KI", "1ki", "0x1", "1e1.5", "--1", "1_000", "1mi", "Ki"]
        {
            assert!(!same(text, text), "{text} is no quantity");
        }
        let long = "1".repeat(TEXT_BYTES_MAX + 1);
        assert!(!same(&long, &long));
        assert!(!equal(&Node::Null, &Node::Null));
        assert!(!equal(&Node::Bool(true), &Node::Bool(true)));
    }

    proptest! {
        #[test]
        fn units_are_multiples(value in 0u32..1_000_000) {
            let whole = value.to_string();
            let more = (value + 1).to_string();
            prop_assert!(same(&whole, &(whole.clone() + "000m")));
            prop_assert!(same(&(whole.clone() + "Mi"), &(u64::from(value) << 20).to_string()));
            prop_assert!(same(&(whole.clone() + "Ki"), &((u64::from(value) * 10240).to_string() + "e-1")));
            prop_assert!(!same(&whole, &more));
        }

        #[test]
        fn never_panics(text in "[-+]?[0-9.]{0,40}[eEinumkKMGTP]{0,2}[-+]?[0-9]{0,12}") {
            prop_assert_eq!(same(&text, &text), Amount::parse(&text).is_some());
        }
    }
}
