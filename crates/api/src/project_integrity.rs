//! Whose signature a project asks for on what is deployed from Git: `signatureKeys` and `sourceIntegrity`.
//!
//! Invariant: what is not understood asks for a signature that nobody can give. A repository has one policy or none, as its URL
//! is compared everywhere; `*` crosses `/`, as upstream here. Entry point: [`Integrity::signers`].

use crate::git_url;
use crate::glob::Glob;
use crate::project_spec::{AppProjectSpec, GitPolicy};

/// No commit has to be signed.
const NONE: &str = "none";
/// The commit or annotated tag that the revision names has to be signed.
const HEAD: &str = "head";

/// What a project asks for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Integrity {
    policies: Vec<Policy>,
    /// Why nobody knows what is asked for.
    fault: Option<String>,
}

#[derive(Clone, Debug)]
struct Policy {
    included: Vec<Option<Glob>>,
    excluded: Vec<Option<Glob>>,
    /// Whose signatures count; none if nothing has to be signed, an error if that is not known.
    signers: Result<Option<Vec<String>>, String>,
}

/// Whether a mode of a policy is one that is honoured.
pub(crate) fn is_honoured(mode: &str) -> bool {
    mode == NONE || mode == HEAD
}

// === impl Integrity ===

impl Integrity {
    pub(crate) fn new(spec: &AppProjectSpec) -> Self {
        let git = spec.source_integrity.as_ref().map(|integrity| integrity.git.as_ref());
        match (spec.signature_keys.as_slice(), git) {
            ([], None) => Self::default(),
            (_, Some(None)) => Self {
                policies: Vec::new(),
                fault: Some("spec.sourceIntegrity says nothing of git, and nothing else is known".to_owned()),
            },
            ([], Some(Some(git))) => Self { policies: git.policies.iter().map(Policy::new).collect(), fault: None },
            (keys, None) => {
                let keys = keys.iter().map(|key| key.key_id.clone()).collect();
                let policy =
                    Policy { included: vec![Glob::new("*", &[]).ok()], excluded: Vec::new(), signers: Ok(Some(keys)) };
                Self { policies: vec![policy], fault: None }
            }
            (_, Some(Some(_))) => Self {
                policies: Vec::new(),
                fault: Some(
                    "spec.signatureKeys and spec.sourceIntegrity are both there: keep one of the two".to_owned(),
                ),
            },
        }
    }

    /// Whether a pattern of a policy is malformed. It matches every repository.
    pub(crate) fn is_malformed(&self) -> bool {
        let mut patterns = self.policies.iter().flat_map(|policy| policy.included.iter().chain(&policy.excluded));
        patterns.any(Option::is_none)
    }

    /// Whether anything may have to be signed.
    pub(crate) fn asks(&self) -> bool {
        self.fault.is_some() || self.policies.iter().any(|policy| !matches!(policy.signers, Ok(None)))
    }

    /// The keys of which one must have signed what is deployed from a repository; none if it need not be signed. An error, if
    /// that is not known.
    pub(crate) fn signers(&self, url: &str) -> Result<Option<&[String]>, String> {
        if let Some(fault) = &self.fault {
            return Err(fault.clone());
        }
        let url = git_url::normalized(url);
        let mut matching = self.policies.iter().enumerate().filter(|(_, policy)| policy.is_for(&url));
        let Some((first, policy)) = matching.next() else { return Ok(None) };
        if let Some((second, _)) = matching.next() {
            return Err(format!(
                "policies {} and {} of spec.sourceIntegrity.git both match the repository: narrow the repos of one",
                first + 1,
                second + 1
            ));
        }
        policy.signers.as_ref().map(Option::as_deref).map_err(Clone::clone)
    }
}

// === impl Policy ===

impl Policy {
    fn new(policy: &GitPolicy) -> Self {
        let (mut included, mut excluded) = (Vec::new(), Vec::new());
        for repository in &policy.repos {
            let (list, pattern) = match repository.url.strip_prefix('!') {
                Some(pattern) => (&mut excluded, pattern),
                None => (&mut included, repository.url.as_str()),
            };
            list.push(Glob::new(&git_url::normalized(pattern), &[]).ok());
        }
        let signers = match &policy.gpg {
            Some(gpg) if gpg.mode == NONE => Ok(None),
            Some(gpg) if gpg.mode == HEAD => Ok(Some(gpg.keys.clone())),
            Some(gpg) => Err(format!("mode '{}' of spec.sourceIntegrity.git is not honoured", gpg.mode.escape_debug())),
            None => Err("a policy of spec.sourceIntegrity.git has no gpg".to_owned()),
        };
        Self { included, excluded, signers }
    }

    /// Whether a repository is one of the policy's, or may be: what a malformed pattern means is not known.
    fn is_for(&self, url: &str) -> bool {
        let included = self.included.iter().any(|glob| glob.as_ref().is_none_or(|glob| glob.matches(url)));
        let malformed = self.excluded.iter().any(Option::is_none);
        let excluded = self.excluded.iter().flatten().any(|glob| glob.matches(url));
        malformed || (included && !excluded)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn integrity(spec: &str) -> Integrity {
        Integrity::new(&serde_json::from_str(spec).unwrap())
    }

    fn policies(list: &str) -> Integrity {
        integrity(&format!(r#"{{"sourceIntegrity": {{"git": {{"policies": [{list}]}}}}}}"#))
    }

    fn policy(repos: &[&str], mode: &str) -> String {
        let repos: Vec<_> = repos.iter().map(|url| serde_json::json!({"url": url})).collect();
        serde_json::json!({"repos": repos, "gpg": {"mode": mode, "keys": ["A"]}}).to_string()
    }

    #[test]
    fn nothing_is_asked_for_where_nothing_is_said() {
        for spec in ["{}", r#"{"signatureKeys": []}"#, r#"{"sourceIntegrity": {"git": {"policies": []}}}"#] {
            let integrity = integrity(spec);
            assert!(!integrity.asks(), "{spec}");
            assert_eq!(integrity.signers("https://h/a"), Ok(None), "{spec}");
        }
    }

    #[test]
    fn signature_keys_are_for_every_repository() {
        let integrity = integrity(r#"{"signatureKeys": [{"keyID": "A"}, {"keyID": "B"}]}"#);
        assert!(integrity.asks());
        for url in ["https://h/a", "git@h:a/b.git", "file:///srv/x", "no URL"] {
            assert_eq!(integrity.signers(url), Ok(Some(["A".to_owned(), "B".to_owned()].as_slice())), "{url}");
        }
    }

    #[test]
    fn the_policy_of_a_repository() {
        let a = ["A".to_owned()];
        let signed = Ok(Some(a.as_slice()));
        for (repos, url, expected) in [
            (&["https://github.com/*"][..], "https://github.com/org/repo.git", signed.clone()),
            (&["https://github.com/org/repo"], "https://me@GitHub.com/org//repo.git", signed.clone()),
            (&["https://github.com/org/repo"], "https://github.com/org/other", Ok(None)),
            (&["git@github.com:org/*"], "ssh://git@github.com/org/repo", signed.clone()),
            (&["*", "!https://github.com/org/open"], "https://github.com/org/open.git", Ok(None)),
            (&["!https://github.com/org/open", "*"], "https://github.com/org/closed", signed.clone()),
            (&["!https://github.com/org/open"], "https://github.com/org/closed", Ok(None)),
            (&["https://[a"], "https://elsewhere/x", signed.clone()),
            (&["*", "!https://[a"], "https://elsewhere/x", signed.clone()),
        ] {
            assert_eq!(policies(&policy(repos, "head")).signers(url), expected, "{repos:?} {url}");
            assert_eq!(policies(&policy(repos, "none")).signers(url), Ok(None), "{repos:?} {url}");
        }
        assert!(policies(&policy(&["https://[a"], "head")).is_malformed());
        assert!(!policies(&policy(&["https://a", "!https://b"], "head")).is_malformed());
        assert!(!policies(&policy(&["*"], "none")).asks());
    }

    #[test]
    fn what_is_not_known_is_an_error() {
        let narrow_and_broad = [policy(&["https://h/a"], "none"), policy(&["https://h/*"], "head")].join(",");
        let both = policies(&narrow_and_broad);
        assert!(both.signers("https://h/a").unwrap_err().contains("policies 1 and 2"));
        assert!(both.signers("https://h/b").unwrap().is_some());
        for mode in ["strict", "", "Head"] {
            let integrity = policies(&policy(&["https://h/a"], mode));
            assert!(integrity.asks(), "{mode}");
            assert!(integrity.signers("https://h/a").unwrap_err().contains("is not honoured"), "{mode}");
            assert_eq!(integrity.signers("https://h/b"), Ok(None), "{mode}");
        }
        assert!(policies(r#"{"repos": [{"url": "*"}]}"#).signers("https://h/a").is_err());
        for spec in [
            r#"{"signatureKeys": [{"keyID": "A"}], "sourceIntegrity": {"git": {"policies": []}}}"#,
            r#"{"sourceIntegrity": {}}"#,
            r#"{"signatureKeys": [{"keyID": "A"}], "sourceIntegrity": {}}"#,
        ] {
            let integrity = integrity(spec);
            assert!(integrity.asks() && integrity.signers("https://h/a").is_err(), "{spec}");
        }
    }
}
