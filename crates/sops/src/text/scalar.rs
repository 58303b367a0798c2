//! What a YAML scalar means to SOPS, which reads by Go's yaml.v3: YAML 1.2 with some of 1.1. Entry point: [`resolve`].

use crate::timestamp;
use crate::value::Value;

/// Reads one scalar; the error says what is wrong with it. `plain` says that it was written without quotes.
pub(super) fn resolve(tag: Option<&str>, text: String, plain: bool) -> Result<Value, &'static str> {
    const UNFIT: &str = "a value does not fit its tag: change one of them";
    match tag.map(|tag| tag.strip_prefix("tag:yaml.org,2002:").unwrap_or(tag)) {
        None if !plain => Ok(Value::text(text)),
        None => untagged(text),
        Some("binary") => Err("a value is tagged !!binary: take the tag away, and keep the base64"),
        Some(kind @ ("null" | "bool" | "int" | "float" | "timestamp")) => {
            let time = kind == "timestamp" && timestamp::in_yaml(&text).is_some();
            match (kind, untagged(text)?) {
                ("null", value @ Value::Null)
                | ("bool", value @ Value::Bool(_))
                | ("int", value @ Value::Int(_))
                | ("float", value @ Value::Float(_)) => Ok(value),
                #[expect(clippy::cast_precision_loss, reason = "the tag asks for a float")]
                ("float", Value::Int(value)) => Ok(Value::Float(value as f64)),
                ("timestamp", value @ Value::Text(_)) if time => Ok(value),
                _ => Err(UNFIT),
            }
        }
        // Of any other tag, `!!str` among them, a text comes.
        Some(_) => Ok(Value::text(text)),
    }
}

/// What a plain scalar means by its looks.
fn untagged(text: String) -> Result<Value, &'static str> {
    const NO_NUMBER: &str = "a number must be finite, and a whole one within 64 bits: quote it if a text is meant";
    match text.as_str() {
        "" | "~" | "null" | "Null" | "NULL" => return Ok(Value::Null),
        "true" | "True" | "TRUE" => return Ok(Value::Bool(true)),
        "false" | "False" | "FALSE" => return Ok(Value::Bool(false)),
        ".nan" | ".NaN" | ".NAN" | ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" | "-.inf" | "-.Inf"
        | "-.INF" => return Err(NO_NUMBER),
        _ => {}
    }
    match text.as_bytes()[0] {
        b'.' if is_float(&text) => text.parse().map(Value::Float).map_err(|_| NO_NUMBER),
        b'+' | b'-' | b'0'..=b'9' => {
            if let Some(time) = timestamp::in_yaml(&text) {
                return Ok(Value::text(time));
            }
            let bare = text.replace('_', "");
            match whole(&bare).map(i64::try_from) {
                Some(Ok(value)) => return Ok(Value::Int(value)),
                // SOPS takes no number of 64 bits without a sign; below their range one is a float.
                Some(Err(_)) if !bare.starts_with('-') => return Err(NO_NUMBER),
                _ => {}
            }
            if is_float(bare.strip_prefix(['+', '-']).unwrap_or(&bare)) {
                let value: f64 = bare.parse().map_err(|_| NO_NUMBER)?;
                // Go takes one that is too large for a text.
                return Ok(if value.is_finite() { Value::Float(value) } else { Value::text(text) });
            }
            Ok(Value::text(text))
        }
        _ => Ok(Value::text(text)),
    }
}

/// A whole number, in the base that its prefix names; none if it takes more than 64 bits.
fn whole(text: &str) -> Option<i128> {
    let (negative, digits) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let (base, digits) = match digits.as_bytes() {
        [b'0', b'x' | b'X', ..] => (16, &digits[2..]),
        [b'0', b'o' | b'O', ..] => (8, &digits[2..]),
        [b'0', b'b' | b'B', ..] => (2, &digits[2..]),
        [b'0', _, ..] => (8, &digits[1..]),
        _ => (10, digits),
    };
    if !digits.bytes().all(|digit| digit.is_ascii_alphanumeric()) {
        return None;
    }
    let magnitude = i128::from(u64::from_str_radix(digits, base).ok()?);
    Some(if negative { -magnitude } else { magnitude })
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
