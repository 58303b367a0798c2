//! What a registry asks of who wants in (`WWW-Authenticate`). Pure. Entry point: [`Challenge::parse`].

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Challenge {
    /// User name and password.
    Basic,
    /// A token, and where it is to be had.
    Bearer {
        /// A URL.
        realm: String,
        /// For whom the token is.
        service: Option<String>,
    },
}

impl Challenge {
    /// The first challenge of a header that we can meet; a token before a password.
    pub(crate) fn parse(header: &str) -> Option<Self> {
        let mut basic = None;
        let mut rest = header;
        while !rest.is_empty() {
            let (scheme, after) = split_scheme(rest);
            let (parameters, after) = parameters(after);
            let value = |name: &str| {
                let found = parameters.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
                found.map(|(_, value)| value.clone())
            };
            if scheme.eq_ignore_ascii_case("bearer")
                && let Some(realm) = value("realm")
            {
                return Some(Self::Bearer { realm, service: value("service") });
            }
            if scheme.eq_ignore_ascii_case("basic") {
                basic = Some(Self::Basic);
            }
            // Nothing is ever read twice.
            rest = if after.len() < rest.len() { after } else { "" };
        }
        basic
    }
}

fn split_scheme(text: &str) -> (&str, &str) {
    let text = text.trim_start_matches([' ', '\t', ',']);
    text.split_at(text.find([' ', '\t', ',']).unwrap_or(text.len()))
}

/// `name=value, name="value"` up to the next scheme.
fn parameters(text: &str) -> (Vec<(String, String)>, &str) {
    let mut found = Vec::new();
    let mut rest = text;
    loop {
        let at = rest.trim_start_matches([' ', '\t', ',']);
        let name_end = at.find(|c: char| !(c.is_ascii_alphanumeric() || "-_.".contains(c))).unwrap_or(at.len());
        let (name, after) = at.split_at(name_end);
        let Some(after) = after.trim_start().strip_prefix('=').filter(|_| !name.is_empty()) else { return (found, at) };
        let after = after.trim_start();
        let (value, after) = after.strip_prefix('"').map_or_else(|| bare_value(after), quoted_value);
        found.push((name.to_owned(), value));
        rest = after;
    }
}

fn bare_value(text: &str) -> (String, &str) {
    let (value, after) = text.split_at(text.find([',', ' ', '\t']).unwrap_or(text.len()));
    (value.to_owned(), after)
}

fn quoted_value(text: &str) -> (String, &str) {
    let mut value = String::new();
    let mut letters = text.char_indices();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '"' => return (value, &text[at + 1..]),
            '\\' => value.extend(letters.next().map(|(_, letter)| letter)),
            letter => value.push(letter),
        }
    }
    (value, "")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn bearer(realm: &str, service: Option<&str>) -> Challenge {
        Challenge::Bearer { realm: realm.to_owned(), service: service.map(str::to_owned) }
    }

    #[test]
    fn challenges_are_read_as_registries_write_them() {
        let hub = r#"Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:a:pull,push""#;
        for (header, read) in [
            (hub, Some(bearer("https://auth.docker.io/token", Some("registry.docker.io")))),
            (r#"bearer service=x , realm = "https://h/\"t""#, Some(bearer("https://h/\"t", Some("x")))),
            (r#"Basic realm="a, Bearer realm=b""#, Some(Challenge::Basic)),
            (r#"Basic realm="a", Bearer realm="https://h/t""#, Some(bearer("https://h/t", None))),
            (r#"Negotiate, Basic realm="a""#, Some(Challenge::Basic)),
            ("basic", Some(Challenge::Basic)),
            ("Bearer", None),
            ("Negotiate YII=", None),
            ("", None),
            (",=,\"", None),
        ] {
            assert_eq!(Challenge::parse(header), read, "{header}");
        }
    }

    proptest! {
        #[test]
        fn any_header_comes_to_an_end(header in "(Basic|Bearer|realm|=|\"|,| |\\\\|x){0,40}") {
            let _ = Challenge::parse(&header);
        }
    }
}
