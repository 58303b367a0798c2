//! Kubernetes' grammar of names, so that a slip is told in the user's words before anything is sent.
//!
//! Entry points: [`label`], [`annotation`], [`namespace`], [`is_object_name`]. Each answers what the API server would.

/// The most bytes of a DNS label, of the name in a key, and of a label's value.
const PART_BYTES_MAX: usize = 63;
/// The most bytes of a DNS subdomain: of an object's name, and of the prefix of a key.
const SUBDOMAIN_BYTES_MAX: usize = 253;

/// Reads `KEY=VALUE` as a label.
pub(crate) fn label(text: &str) -> Result<(String, String), String> {
    let (key, value) = pair(text)?;
    if !is_key(key) {
        return Err(wrong_key(key));
    }
    if !(value.is_empty() || is_part(value)) {
        return Err(format!(
            "'{value}' cannot be the value of a label: that is at most {PART_BYTES_MAX} ASCII letters, digits, '-', '_' and '.', \
             and begins and ends with a letter or digit"
        ));
    }
    Ok((key.to_owned(), value.to_owned()))
}

/// Reads `KEY=VALUE` as an annotation, whose value may be any text.
pub(crate) fn annotation(text: &str) -> Result<(String, String), String> {
    let (key, value) = pair(text)?;
    // As the API server, which does not mind capitals in the prefix of an annotation.
    if is_key(&key.to_ascii_lowercase()) { Ok((key.to_owned(), value.to_owned())) } else { Err(wrong_key(key)) }
}

/// Reads the name of a namespace; nothing is none.
pub(crate) fn namespace(text: &str) -> Result<String, String> {
    if text.is_empty() || is_dns_label(text) {
        return Ok(text.to_owned());
    }
    Err(format!(
        "this is no name of a namespace: that is at most {PART_BYTES_MAX} small ASCII letters, digits and '-', and begins and ends \
         with a letter or digit"
    ))
}

/// Whether an Application, as most objects, may be called that.
pub(crate) fn is_object_name(text: &str) -> bool {
    text.len() <= SUBDOMAIN_BYTES_MAX && text.split('.').all(|part| !part.is_empty() && is_lower(part))
}

/// Whether a namespace may be called that.
pub(crate) fn is_dns_label(text: &str) -> bool {
    text.len() <= PART_BYTES_MAX && is_lower(text)
}

fn pair(text: &str) -> Result<(&str, &str), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key, value)),
        _ => Err("write it as KEY=VALUE".to_owned()),
    }
}

fn is_key(key: &str) -> bool {
    match key.split_once('/') {
        Some((prefix, name)) => is_object_name(prefix) && is_part(name),
        None => is_part(key),
    }
}

fn wrong_key(key: &str) -> String {
    format!(
        "'{key}' cannot be a key: write it as NAME or DOMAIN/NAME; the name is at most {PART_BYTES_MAX} ASCII letters, digits, '-', \
         '_' and '.', and begins and ends with a letter or digit"
    )
}

fn is_part(text: &str) -> bool {
    text.len() <= PART_BYTES_MAX
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
        && ends_plain(text)
}

fn is_lower(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-') && ends_plain(text)
}

/// Whether the first and the last character are letters or digits.
fn ends_plain(text: &str) -> bool {
    let plain = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    plain(text.as_bytes().first()) && plain(text.as_bytes().last())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_have_kubernetes_grammar() {
        for right in ["a=b", "a=", "example.com/Team_A=v1.2-x", "a.b=C"] {
            assert!(label(right).is_ok(), "{right}");
        }
        let long = format!("a={}", "x".repeat(64));
        for wrong in ["a", "=b", "x/\u{e9}=1", "a/b/c=1", "/a=1", "a/=1", "A.b/c=1", "-a=1", "a=-", "a=b c", &long] {
            assert!(label(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn an_annotation_has_any_value() {
        for right in ["a=b c \u{e9}", "Example.com/a=", "a=b=c"] {
            assert!(annotation(right).is_ok(), "{right}");
        }
        assert!(annotation("x/\u{e9}=1").is_err());
    }

    #[test]
    fn names_are_those_of_dns() {
        assert!(is_object_name("shop.dev-1") && is_dns_label("team-a"));
        for wrong in ["", "..", "a..b", "A", "a_b", "-a", "a-", "\u{dc}nsafe"] {
            assert!(!is_object_name(wrong) && !is_dns_label(wrong), "{wrong}");
        }
        assert!(!is_dns_label("a.b") && !is_dns_label(&"a".repeat(64)) && !is_object_name(&"a".repeat(254)));
        assert_eq!(namespace(""), Ok(String::new()));
        assert!(namespace("\u{dc}nsafe/..").is_err());
    }
}
