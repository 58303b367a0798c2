//! The service accounts that the Applications of a project deploy as, by destination.
//!
//! Invariant: what is malformed is an error, never another account, and never none. Entry point: [`AccountPattern::new`].

use crate::glob::Glob;
use crate::project_spec::DestinationServiceAccount;

/// How Kubernetes names a service account as a user.
const USER_PREFIX: &str = "system:serviceaccount";

/// One destination and its service account.
#[derive(Clone, Debug)]
pub(crate) struct AccountPattern {
    /// Nothing if the pattern is malformed.
    server: Option<Glob>,
    namespace: Option<Glob>,
    account: String,
}

// === impl AccountPattern ===

impl AccountPattern {
    pub(crate) fn new(account: &DestinationServiceAccount) -> Self {
        Self {
            server: Glob::new(&account.server, &[]).ok(),
            namespace: Glob::new(&account.namespace, &[]).ok(),
            account: account.default_service_account.clone(),
        }
    }

    /// The user of the first that matches; `home` is the namespace of an account that names none.
    pub(crate) fn user(patterns: &[Self], server: &str, namespace: &str, home: &str) -> Result<Option<String>, String> {
        for pattern in patterns {
            let (Some(of_server), Some(of_namespace)) = (&pattern.server, &pattern.namespace) else {
                return Err("one of the patterns is not a valid glob: correct it".to_owned());
            };
            if of_server.matches(server) && of_namespace.matches(namespace) {
                return pattern.named(home).map(Some);
            }
        }
        Ok(None)
    }

    fn named(&self, home: &str) -> Result<String, String> {
        let (namespace, name) = self.account.split_once(':').unwrap_or((home, &self.account));
        let valid = |text: &str| {
            !text.is_empty()
                && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-.".contains(&byte))
        };
        if valid(namespace) && valid(name) {
            Ok(format!("{USER_PREFIX}:{namespace}:{name}"))
        } else {
            Err(format!("'{}' is no service account: write its name, or namespace:name", self.account.escape_debug()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(list: &[(&str, &str, &str)], namespace: &str) -> Result<Option<String>, String> {
        let patterns: Vec<AccountPattern> = list
            .iter()
            .map(|(server, namespace, account)| {
                AccountPattern::new(&DestinationServiceAccount {
                    server: (*server).to_owned(),
                    namespace: (*namespace).to_owned(),
                    default_service_account: (*account).to_owned(),
                })
            })
            .collect();
        AccountPattern::user(&patterns, "https://kubernetes.default.svc", namespace, "home")
    }

    #[test]
    fn the_first_that_matches_counts() {
        let list = [
            ("https://other", "*", "other"),
            ("https://kubernetes.default.svc", "shop-*", "deployer"),
            ("*", "shop-a", "later"),
            ("*", "tools", "ops:robot"),
            ("*", "", "nowhere"),
        ];
        for (namespace, expected) in [
            ("shop-a", Some("system:serviceaccount:home:deployer")),
            ("tools", Some("system:serviceaccount:ops:robot")),
            ("", Some("system:serviceaccount:home:nowhere")),
            ("elsewhere", None),
        ] {
            assert_eq!(user(&list, namespace).unwrap().as_deref(), expected, "{namespace}");
        }
    }

    #[test]
    fn what_is_malformed_is_an_error() {
        for account in ["", " ", "a*", "!a", "a/b", "a:", ":b", "a:b:c", "A", "a\nb", "a{b}"] {
            assert!(user(&[("*", "*", account)], "x").unwrap_err().contains("is no service account"), "{account:?}");
        }
        assert!(user(&[("[a", "*", "a")], "x").unwrap_err().contains("not a valid glob"));
        assert!(user(&[("*", "{a", "a")], "x").unwrap_err().contains("not a valid glob"));
        // Nobody gets so far.
        assert_eq!(
            user(&[("*", "*", "a"), ("[a", "*", "a")], "x").unwrap().as_deref(),
            Some("system:serviceaccount:home:a")
        );
    }
}
