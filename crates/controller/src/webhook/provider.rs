//! Who sends webhooks, and how they are told apart.
//!
//! Pure. Entry point: [`Provider::of`].

use hyper::HeaderMap;

/// A kind of Git server, by how it words its events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Provider {
    AzureDevOps,
    BitbucketCloud,
    BitbucketServer,
    /// Gitea, Forgejo and Gogs, which have one form.
    Gitea,
    GitHub,
    GitLab,
    /// Our own form, for everything else.
    Trueup,
}

/// The headers by which each is known, in the order in which they are looked for: Gitea and its kin send GitHub's headers too, and
/// both Bitbuckets say `X-Event-Key`.
const MARKS: &[(&str, Provider)] = &[
    ("x-vss-activityid", Provider::AzureDevOps),
    ("x-vss-subscriptionid", Provider::AzureDevOps),
    ("x-forgejo-event", Provider::Gitea),
    ("x-gitea-event", Provider::Gitea),
    ("x-gogs-event", Provider::Gitea),
    ("x-github-event", Provider::GitHub),
    ("x-gitlab-event", Provider::GitLab),
    ("x-hook-uuid", Provider::BitbucketCloud),
    ("x-event-key", Provider::BitbucketServer),
    ("x-trueup-signature-256", Provider::Trueup),
];

// === impl Provider ===

impl Provider {
    pub(crate) const ALL: [Self; 7] = [
        Self::AzureDevOps,
        Self::BitbucketCloud,
        Self::BitbucketServer,
        Self::Gitea,
        Self::GitHub,
        Self::GitLab,
        Self::Trueup,
    ];

    /// Whose event a request is.
    pub(crate) fn of(headers: &HeaderMap) -> Option<Self> {
        MARKS.iter().find(|(header, _)| headers.contains_key(*header)).map(|(_, provider)| *provider)
    }

    /// Its name in metrics and logs.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::AzureDevOps => "azure-devops",
            Self::BitbucketCloud => "bitbucket",
            Self::BitbucketServer => "bitbucket-server",
            Self::Gitea => "gitea",
            Self::GitHub => "github",
            Self::GitLab => "gitlab",
            Self::Trueup => "trueup",
        }
    }

    /// The key of `argocd-secret` without which nothing of it is taken.
    pub(crate) fn key(self) -> &'static str {
        match self {
            Self::AzureDevOps => "webhook.azuredevops.password",
            Self::BitbucketCloud => "webhook.bitbucket.uuid",
            Self::BitbucketServer => "webhook.bitbucketserver.secret",
            Self::Gitea => "webhook.gogs.secret",
            Self::GitHub => "webhook.github.secret",
            Self::GitLab => "webhook.gitlab.secret",
            Self::Trueup => "webhook.trueup.secret",
        }
    }

    /// The kind of event that a request is, by its header; empty where the body alone says it.
    pub(crate) fn kind(self, headers: &HeaderMap) -> &str {
        let names: &[&str] = match self {
            Self::Gitea => &["x-forgejo-event", "x-gitea-event", "x-gogs-event"],
            Self::GitHub => &["x-github-event"],
            Self::GitLab => &["x-gitlab-event"],
            Self::BitbucketCloud | Self::BitbucketServer => &["x-event-key"],
            Self::AzureDevOps | Self::Trueup => &[],
        };
        names.iter().find_map(|name| headers.get(*name)?.to_str().ok()).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use hyper::header::{HeaderName, HeaderValue};

    use super::*;

    fn headers(names: &[&'static str]) -> HeaderMap {
        names.iter().map(|name| (HeaderName::from_static(name), HeaderValue::from_static("push"))).collect()
    }

    #[test]
    fn who_sends_it_is_told_by_headers() {
        for (names, provider) in [
            (&["x-github-event", "x-hub-signature-256"][..], Some(Provider::GitHub)),
            (&["x-github-event", "x-gogs-event", "x-gitea-event"], Some(Provider::Gitea)),
            (&["x-github-event", "x-gogs-event", "x-forgejo-event"], Some(Provider::Gitea)),
            (&["x-github-event", "x-gogs-event"], Some(Provider::Gitea)),
            (&["x-gitlab-event", "x-gitlab-token"], Some(Provider::GitLab)),
            (&["x-event-key", "x-hook-uuid"], Some(Provider::BitbucketCloud)),
            (&["x-event-key", "x-hub-signature"], Some(Provider::BitbucketServer)),
            (&["x-vss-activityid"], Some(Provider::AzureDevOps)),
            (&["x-trueup-signature-256"], Some(Provider::Trueup)),
            (&["x-hub-signature-256"], None),
            (&[], None),
        ] {
            assert_eq!(Provider::of(&headers(names)), provider, "{names:?}");
        }
    }

    #[test]
    fn the_kind_of_an_event_is_its_header() {
        assert_eq!(Provider::GitHub.kind(&headers(&["x-github-event"])), "push");
        assert_eq!(Provider::Gitea.kind(&headers(&["x-gogs-event"])), "push");
        assert_eq!(Provider::Trueup.kind(&headers(&["x-event-key"])), "");
    }
}
