//! What a scalar means: the resolver of Go's yaml.v2, which Kubernetes reads with.
//!
//! Keeps nothing. Entry points: [`resolve`] for a scalar that is read, [`is_plain_string`] for a string to be printed.

use super::timestamp;
use crate::{Node, Number};

/// The tag that makes every scalar a string.
pub(super) const STRING: &str = "tag:yaml.org,2002:str";
/// The tag of a merge key.
pub(super) const MERGE: &str = "tag:yaml.org,2002:merge";
const BOOL: &str = "tag:yaml.org,2002:bool";
const INT: &str = "tag:yaml.org,2002:int";
const FLOAT: &str = "tag:yaml.org,2002:float";
const NULL: &str = "tag:yaml.org,2002:null";
const TIMESTAMP: &str = "tag:yaml.org,2002:timestamp";
const BINARY: &str = "tag:yaml.org,2002:binary";

/// A scalar, read.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Scalar {
    Null,
    Bool(bool),
    Int(i64),
    /// A whole number above the range of `i64`.
    Uint(u64),
    /// May be NaN or infinite: Go accepts that in a key.
    Float(f64),
    /// A string that looks like a time; it stays as written.
    Timestamp(String),
    String(String),
}

/// Reads one scalar. `implicit` says that it was written plain, `tag` is its tag in full, if it has one.
pub(super) fn resolve(tag: Option<&str>, text: String, implicit: bool) -> Result<Scalar, String> {
    let tag = tag.unwrap_or_default();
    match tag {
        "" if !implicit => Ok(Scalar::String(text)),
        STRING => Ok(Scalar::String(text)),
        BINARY => decode_base64(&text)
            .map(|bytes| Scalar::String(lossy(&bytes)))
            .ok_or_else(|| "a value tagged !!binary is not base64: mend it or take the tag away".to_owned()),
        "" | BOOL | INT | FLOAT | NULL | TIMESTAMP => tagged(tag, untagged(text, tag)),
        // A tag that nobody knows says nothing.
        _ => Ok(Scalar::String(text)),
    }
}

/// Whether a string, printed without quotes, is read as a string again.
pub(super) fn is_plain_string(text: &str) -> bool {
    matches!(untagged(text.to_owned(), ""), Scalar::String(_)) && !is_base_60(text)
}

/// A float as Go prints it with `FormatFloat(value, 'g', -1, bits)`; `shortest` is Rust's `{:e}` of it.
pub(super) fn general(shortest: &str) -> String {
    let Some((mantissa, exponent)) = shortest.split_once('e') else {
        return shortest.to_owned();
    };
    let (sign, mantissa) = mantissa.strip_prefix('-').map_or(("", mantissa), |rest| ("-", rest));
    let exponent: i32 = exponent.parse().unwrap_or_default();
    let digits = mantissa.replace('.', "");
    // Where Go prints the fewest digits it turns to an exponent below 10⁻⁴ and from 10⁶ on.
    if !(-4..6).contains(&exponent) {
        let mark = if exponent < 0 { '-' } else { '+' };
        return format!("{sign}{mantissa}e{mark}{:02}", exponent.unsigned_abs());
    }
    let point = usize::try_from(exponent + 1).unwrap_or_default();
    if exponent < 0 {
        let zeros = "0".repeat(exponent.unsigned_abs() as usize - 1);
        format!("{sign}0.{zeros}{digits}")
    } else if digits.len() <= point {
        format!("{sign}{digits}{}", "0".repeat(point - digits.len()))
    } else {
        format!("{sign}{}.{}", &digits[..point], &digits[point..])
    }
}

// === impl Scalar ===

impl Scalar {
    /// The scalar as a value; JSON has no NaN and no infinity.
    pub(super) fn into_node(self) -> Result<Node, String> {
        Ok(match self {
            Self::Null => Node::Null,
            Self::Bool(value) => Node::Bool(value),
            Self::Int(value) => Node::Number(Number::Int(value)),
            Self::Uint(value) => Node::Number(Number::Uint(value)),
            Self::Float(value) => Node::Number(
                Number::from_f64(value).ok_or("a number must be finite: quote the value if a string is meant")?,
            ),
            Self::Timestamp(text) | Self::String(text) => Node::string(text),
        })
    }

    /// The scalar as a key of a map.
    #[expect(clippy::cast_possible_truncation, reason = "Go prints float keys in single precision")]
    pub(super) fn into_key(self) -> Result<String, String> {
        Ok(match self {
            Self::Null => return Err("a key must not be null: quote it if a string is meant".to_owned()),
            Self::Uint(_) => return Err("a key must not be a number above 2⁶³: quote it".to_owned()),
            Self::Bool(value) => value.to_string(),
            Self::Int(value) => value.to_string(),
            Self::Float(value) => match value as f32 {
                value if value.is_nan() => ".nan".to_owned(),
                f32::INFINITY => ".inf".to_owned(),
                f32::NEG_INFINITY => "-.inf".to_owned(),
                value => general(&format!("{value:e}")),
            },
            Self::Timestamp(text) | Self::String(text) => text,
        })
    }
}

/// What a plain scalar means by its looks.
fn untagged(text: String, tag: &str) -> Scalar {
    match text.as_str() {
        "" | "~" | "null" | "Null" | "NULL" => return Scalar::Null,
        "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => return Scalar::Bool(true),
        "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => {
            return Scalar::Bool(false);
        }
        ".nan" | ".NaN" | ".NAN" => return Scalar::Float(f64::NAN),
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => return Scalar::Float(f64::INFINITY),
        "-.inf" | "-.Inf" | "-.INF" => return Scalar::Float(f64::NEG_INFINITY),
        _ => {}
    }
    match text.as_bytes()[0] {
        b'.' if !underscores_separate_digits(&text) => Scalar::String(text),
        b'.' => float(&text.replace('_', "")).map_or(Scalar::String(text), Scalar::Float),
        b'+' | b'-' | b'0'..=b'9' => {
            if (tag.is_empty() || tag == TIMESTAMP) && timestamp::is(&text) {
                return Scalar::Timestamp(text);
            }
            number(&text.replace('_', "")).unwrap_or(Scalar::String(text))
        }
        _ => Scalar::String(text),
    }
}

/// Holds a scalar against the tag that it was given.
fn tagged(tag: &str, scalar: Scalar) -> Result<Scalar, String> {
    #[expect(clippy::cast_precision_loss, reason = "the tag asks for a float")]
    match (tag, scalar) {
        ("", scalar)
        | (BOOL, scalar @ Scalar::Bool(_))
        | (INT, scalar @ (Scalar::Int(_) | Scalar::Uint(_)))
        | (FLOAT, scalar @ Scalar::Float(_))
        | (NULL, scalar @ Scalar::Null)
        | (TIMESTAMP, scalar @ Scalar::Timestamp(_)) => Ok(scalar),
        (FLOAT, Scalar::Int(value)) => Ok(Scalar::Float(value as f64)),
        _ => {
            let short = tag.rsplit(':').next().unwrap_or_default();
            Err(format!("the value does not fit its tag !!{short}: change one of them"))
        }
    }
}

/// A number that begins with a digit or a sign, without its underscores.
fn number(plain: &str) -> Option<Scalar> {
    let (negative, digits) = match plain.as_bytes().first()? {
        b'-' => (true, &plain[1..]),
        b'+' => (false, &plain[1..]),
        _ => (false, plain),
    };
    if let Some(magnitude) = magnitude(digits) {
        if negative {
            // One more than the largest positive number fits.
            if let Ok(value) = i64::try_from(-i128::from(magnitude)) {
                return Some(Scalar::Int(value));
            }
        } else if let Ok(value) = i64::try_from(magnitude) {
            return Some(Scalar::Int(value));
        } else if digits.len() == plain.len() {
            return Some(Scalar::Uint(magnitude));
        }
    }
    is_float(digits).then(|| float(plain)).flatten().map(Scalar::Float)
}

/// Digits in the base that their prefix names.
fn magnitude(digits: &str) -> Option<u64> {
    let (base, rest) = match digits.as_bytes() {
        [b'0', b'x' | b'X', ..] => (16, &digits[2..]),
        [b'0', b'o' | b'O', ..] => (8, &digits[2..]),
        [b'0', b'b' | b'B', ..] => (2, &digits[2..]),
        [b'0', _, ..] => (8, &digits[1..]),
        _ => (10, digits),
    };
    // Rust would take a second sign here.
    if rest.is_empty() || !rest.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return None;
    }
    u64::from_str_radix(rest, base).ok()
}

/// `(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?`.
fn is_float(text: &str) -> bool {
    let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
    let whole = digits(text);
    let mut rest = &text[whole..];
    if let Some(fraction) = rest.strip_prefix('.') {
        let count = digits(fraction);
        if whole == 0 && count == 0 {
            return false;
        }
        rest = &fraction[count..];
    } else if whole == 0 {
        return false;
    }
    match rest.strip_prefix(['e', 'E']) {
        None => rest.is_empty(),
        Some(exponent) => {
            let exponent = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
            !exponent.is_empty() && digits(exponent) == exponent.len()
        }
    }
}

/// Whether each underscore has a digit on both sides. Asked only of numbers that begin with a point.
fn underscores_separate_digits(text: &str) -> bool {
    let digit = |at: Option<usize>| at.and_then(|at| text.as_bytes().get(at)).is_some_and(u8::is_ascii_digit);
    text.bytes().enumerate().all(|(at, byte)| byte != b'_' || (digit(at.checked_sub(1)) && digit(Some(at + 1))))
}

/// A decimal float; too large a one is none.
fn float(text: &str) -> Option<f64> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if !is_float(digits) {
        return None;
    }
    text.parse().ok().filter(|value: &f64| value.is_finite())
}

/// `[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?`: 1:30 is ninety to a reader of YAML 1.1, so Go quotes it.
fn is_base_60(text: &str) -> bool {
    let text = text.strip_prefix(['+', '-']).unwrap_or(text);
    if !text.starts_with(|first: char| first.is_ascii_digit()) {
        return false;
    }
    let (head, fraction) = match text.split_once('.') {
        Some((head, fraction)) => (head, Some(fraction)),
        None => (text, None),
    };
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'_');
    let mut parts = head.split(':');
    parts.next().is_some_and(digits)
        && head.contains(':')
        && parts.all(|part| {
            let bytes = part.as_bytes();
            match bytes {
                [digit] => digit.is_ascii_digit(),
                [ten, digit] => (b'0'..=b'5').contains(ten) && digit.is_ascii_digit(),
                _ => false,
            }
        })
        && fraction.is_none_or(digits)
}

/// Base64 with padding; line breaks are skipped.
fn decode_base64(text: &str) -> Option<Vec<u8>> {
    let symbols: Vec<u8> = text.bytes().filter(|byte| !matches!(byte, b'\r' | b'\n')).collect();
    let mut bytes = Vec::with_capacity(symbols.len() / 4 * 3);
    if !symbols.len().is_multiple_of(4) {
        return None;
    }
    let count = symbols.len() / 4;
    for (at, group) in symbols.chunks_exact(4).enumerate() {
        let padding = match group {
            [_, _, b'=', b'='] => 2,
            [_, _, _, b'='] => 1,
            _ => 0,
        };
        if padding > 0 && at + 1 != count {
            return None;
        }
        let mut bits: u32 = 0;
        for symbol in &group[..4 - padding] {
            let six = match symbol {
                b'A'..=b'Z' => symbol - b'A',
                b'a'..=b'z' => symbol - b'a' + 26,
                b'0'..=b'9' => symbol - b'0' + 52,
                b'+' => 62,
                b'/' => 63,
                _ => return None,
            };
            bits = bits << 6 | u32::from(six);
        }
        bits <<= 6 * padding;
        bytes.extend_from_slice(&bits.to_be_bytes()[1..4 - padding]);
    }
    Some(bytes)
}

/// Text from bytes, each that is none replaced, as Go's JSON printer does.
fn lossy(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        text.extend(chunk.invalid().iter().map(|_| char::REPLACEMENT_CHARACTER));
    }
    text
}
