//! What is asked for, and how its server is reached: a chart of a Helm repository, a chart of a registry, an artifact.
//!
//! Invariant: `Display` and `Debug` hold no credential; a name in a registry has only letters that registries have, so that
//! nobody can ask for another path by it. Entry points: [`Package::chart`] and [`Package::artifact`].

use std::fmt;

use trueup_git::{Access, GitError, RegistryAccess, RepoUrl};

use crate::RegistryError;

/// The longest name of a repository in a registry, in bytes: as the protocol has it.
const NAME_BYTES_MAX: usize = 255;
/// Docker Hub is reached at another name than it is called by.
const DOCKER_HUB: (&str, &str) = ("docker.io", "registry-1.docker.io");

/// What is asked for. Two are equal if they are the same thing, asked for by the same login in the same way.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Package {
    pub(crate) source: Source,
    pub(crate) chart: Option<String>,
    /// The login goes also to other servers that the index names.
    pub(crate) pass_credentials: bool,
}

/// Where packages are, and how it is reached.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct Source {
    pub(crate) kind: Kind,
    /// Over HTTP. Of a registry this is host and name, without what the protocol puts between.
    pub(crate) url: RepoUrl,
    pub(crate) access: Access,
}

/// How packages are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    /// An `index.yaml` and archives.
    Helm,
    /// A registry.
    Oci,
}

// === impl Package ===

impl Package {
    /// A chart. `repo_url` is a Helm repository (`https://…`), or a registry: with `oci://`, without scheme, or if the access
    /// says so. `pass_credentials` lets the login go to other hosts that an index names.
    pub fn chart(
        repo_url: &str,
        chart: &str,
        access: &RegistryAccess,
        pass_credentials: bool,
    ) -> Result<Self, RegistryError> {
        let (repo_url, chart) = (repo_url.trim(), chart.trim());
        let name = Some(chart.to_owned());
        if access.oci || is_oci(repo_url) || !repo_url.contains("://") {
            let place = format!("{}/{}", without_scheme(repo_url).trim_end_matches('/'), chart.trim_matches('/'));
            let source = Source::oci(&place, access)?;
            return Ok(Self { source, chart: name, pass_credentials });
        }
        if chart.is_empty() || chart.chars().any(char::is_control) {
            return Err(invalid(chart, "it is empty, or has a control character"));
        }
        let url = RepoUrl::parse(repo_url)?;
        if !matches!(url.to_string().split_once("://"), Some(("http" | "https", _))) {
            let reason = "a Helm repository has an https:// URL, and a registry an oci:// URL".to_owned();
            return Err(GitError::InvalidUrl { reason }.into());
        }
        let source = Source { kind: Kind::Helm, url, access: access.access.clone() };
        Ok(Self { source, chart: name, pass_credentials })
    }

    /// An artifact of a registry, `oci://HOST/NAME`.
    pub fn artifact(repo_url: &str, access: &RegistryAccess) -> Result<Self, RegistryError> {
        let source = Source::oci(without_scheme(repo_url.trim()).trim_end_matches('/'), access)?;
        Ok(Self { source, chart: None, pass_credentials: false })
    }

    /// What an index calls `oci://HOST/NAME`.
    pub(crate) fn of_index(place: &str, chart: &str, access: Access) -> Result<Self, RegistryError> {
        let access = RegistryAccess { access, oci: true, oci_over_http: false };
        Ok(Self { source: Source::oci(place, &access)?, chart: Some(chart.to_owned()), pass_credentials: false })
    }
}

impl Source {
    /// A repository in a registry, `HOST[:PORT]/NAME`.
    fn oci(place: &str, access: &RegistryAccess) -> Result<Self, RegistryError> {
        let (host, name) = place.split_once('/').unwrap_or((place, ""));
        if host.is_empty() || name.is_empty() {
            return Err(invalid(&shown(place), "write oci://HOST/NAME"));
        }
        check_name(name).map_err(|reason| invalid(name, reason))?;
        let host = if host == DOCKER_HUB.0 { DOCKER_HUB.1 } else { host };
        let scheme = if access.oci_over_http { "http" } else { "https" };
        let url = RepoUrl::parse(&format!("{scheme}://{host}/{name}"))?;
        Ok(Self { kind: Kind::Oci, url, access: access.access.clone() })
    }
}

pub(crate) fn is_oci(url: &str) -> bool {
    url.get(..6).is_some_and(|scheme| scheme.eq_ignore_ascii_case("oci://"))
}

pub(crate) fn without_scheme(url: &str) -> &str {
    url.split_once("://").map_or(url, |(_, rest)| rest)
}

/// What can be shown of a text that may hold a login.
fn shown(place: &str) -> String {
    place.rsplit_once('@').map_or_else(|| place.to_owned(), |(_, place)| format!("…{place}"))
}

fn invalid(text: &str, reason: &str) -> RegistryError {
    RegistryError::InvalidName { text: text.to_owned(), reason: reason.to_owned() }
}

fn check_name(name: &str) -> Result<(), &'static str> {
    if name.len() > NAME_BYTES_MAX {
        return Err("it is longer than 255 bytes");
    }
    let plain = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit();
    for part in name.split('/') {
        let ends = [part.bytes().next(), part.bytes().last()];
        if !ends.iter().all(|end| end.is_some_and(plain)) || !part.bytes().all(|c| plain(c) || b"._-".contains(&c)) {
            return Err(
                "names in a registry have small letters, digits and, between these, '.', '_' and '-'; no tag behind them",
            );
        }
    }
    Ok(())
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let url = self.url.to_string();
        match self.kind {
            Kind::Helm => f.write_str(url.trim_end_matches('/')),
            Kind::Oci => write!(f, "oci://{}", without_scheme(&url)),
        }
    }
}

impl fmt::Display for Package {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.chart, self.source.kind) {
            (Some(chart), Kind::Helm) => write!(f, "chart '{chart}' of '{}'", self.source),
            (Some(_), Kind::Oci) => write!(f, "chart '{}'", self.source),
            (None, _) => write!(f, "artifact '{}'", self.source),
        }
    }
}

impl fmt::Debug for Package {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Package({self})")
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Source({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chart(url: &str, name: &str, oci: bool) -> Result<String, String> {
        let access = RegistryAccess { oci, ..RegistryAccess::default() };
        Package::chart(url, name, &access, false).map(|it| it.to_string()).map_err(|error| error.to_string())
    }

    #[test]
    fn the_url_tells_a_helm_repository_from_a_registry() {
        let of = |text: &str| Ok(text.to_owned());
        assert_eq!(chart("https://h/charts/", "redis", false), of("chart 'redis' of 'https://h/charts'"));
        assert_eq!(chart("oci://h:5000/org", "redis", false), of("chart 'oci://h:5000/org/redis'"));
        assert_eq!(chart("OCI://h/org/", "team/redis", false), of("chart 'oci://h/org/team/redis'"));
        assert_eq!(chart("docker.io/org", "redis", false), of("chart 'oci://registry-1.docker.io/org/redis'"));
        assert_eq!(chart("https://h/org", "redis", true), of("chart 'oci://h/org/redis'"));
        let artifact = Package::artifact("oci://h/org/app", &RegistryAccess::default()).unwrap();
        assert_eq!(artifact.to_string(), "artifact 'oci://h/org/app'");
        assert_eq!(artifact.source.url.to_string(), "https://h/org/app");
        let plain = RegistryAccess { oci_over_http: true, ..RegistryAccess::default() };
        assert_eq!(Package::artifact("oci://h/a", &plain).unwrap().source.url.to_string(), "http://h/a");
    }

    #[test]
    fn no_other_place_can_be_asked_for_by_a_name() {
        for name in
            ["../x", "a/../../b", "A", "a:latest", "a@sha256:0", "a?x", "a//b", "", ".a", "a/", &"a".repeat(300)]
        {
            let asked = chart("oci://h/org", name, false);
            assert!(asked.is_err() || name == "a/", "{name}: {asked:?}");
            assert!(Package::artifact(&format!("oci://h/{name}"), &RegistryAccess::default()).is_err() || name == "a/");
        }
        for url in ["oci://", "oci:///a", "file:///srv/charts", "ssh://h/a", "git@h:a", "https://h/a?x=y"] {
            assert!(chart(url, "redis", false).is_err(), "{url}");
        }
        assert!(chart("https://h/a", "", false).is_err());
    }

    #[test]
    fn a_login_in_a_url_is_not_shown() {
        for url in ["oci://bot:hunter2@h/org", "bot:hunter2@h/org", "https://bot:hunter2@h/org", "oci://bot:hunter2@h"]
        {
            for made in [
                Package::chart(url, "x", &RegistryAccess::default(), false),
                Package::artifact(url, &RegistryAccess::default()),
            ] {
                let text = made.map_or_else(|error| format!("{error} {error:?}"), |made| format!("{made} {made:?}"));
                assert!(!text.contains("hunter2"), "{url}: {text}");
            }
        }
    }
}
