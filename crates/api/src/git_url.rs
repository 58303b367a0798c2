//! Repository URLs in the one form in which a project's list compares them: lower case, without `.git`, SSH in one spelling.
//!
//! Entry point: [`normalized`].

/// The form in which two URLs of one repository are equal. It is for comparing only: what is fetched is the URL as written.
pub(crate) fn normalized(url: &str) -> String {
    let mut url = url.trim().to_lowercase();
    if is_ssh(&url) && !url.starts_with("ssh://") {
        url = format!("ssh://{}", url.replacen(':', "/", 1));
    }
    let url = url.strip_suffix(".git").unwrap_or(&url);
    url.strip_prefix("ssh://").unwrap_or(url).to_owned()
}

/// `user@host…` with or without `ssh://`: the user holds neither `/` nor `:`, and there is one `@`.
fn is_ssh(url: &str) -> bool {
    let rest = url.strip_prefix("ssh://").unwrap_or(url);
    let one = |rest: &str| {
        rest.split_once('@')
            .is_some_and(|(user, host)| !user.contains(['/', ':']) && !host.is_empty() && !host.contains('@'))
    };
    one(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_one_repository_are_equal() {
        for (a, b) in [
            ("https://github.com/Org/Repo.git", "https://github.com/org/repo"),
            ("git@github.com:org/repo.git", "ssh://git@github.com/org/repo"),
            (" https://x/y ", "https://x/y"),
        ] {
            assert_eq!(normalized(a), normalized(b));
        }
    }

    #[test]
    fn other_repositories_are_not() {
        assert_ne!(normalized("https://x/y"), normalized("http://x/y"));
        assert_ne!(normalized("https://x/y"), normalized("https://x/y/"));
        assert_eq!(normalized("https://user@x/y"), "https://user@x/y");
    }
}
