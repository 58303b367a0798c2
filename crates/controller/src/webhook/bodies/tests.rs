use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::webhook::push::place;

const KINDS: [&str; 6] = ["push", "create", "repo:push", "repo:refs_changed", "Push Hook", "ping"];

fn event(provider: Provider, kind: &str, body: &Value) -> Result<Event, BodyError> {
    read(provider, kind, body.to_string().as_bytes())
}

fn push(provider: Provider, kind: &str, body: &Value) -> Push {
    match event(provider, kind, body) {
        Ok(Event::Push(push)) => push,
        other => panic!("{provider:?} {kind}: {other:?}"),
    }
}

/// That a push was at these URLs, and concerns these revisions and not those.
fn told(push: &Push, urls: &[&str], moved: &[&str], unmoved: &[&str]) {
    for url in urls {
        assert!(push.is_at(&place(url).unwrap()), "{url}: {push:?}");
    }
    assert!(!push.is_at(&place("https://git.example.com/org/other").unwrap()), "{push:?}");
    for revision in moved {
        assert!(push.concerns(revision), "{revision}: {push:?}");
    }
    for revision in unmoved {
        assert!(!push.concerns(revision), "{revision}: {push:?}");
    }
}

fn github() -> Value {
    json!({
        "ref": "refs/heads/main",
        "before": "1111111111111111111111111111111111111111",
        "after": "2222222222222222222222222222222222222222",
        "created": false, "deleted": false, "forced": false, "base_ref": null, "compare": "https://github.com/o/r/compare/1...2",
        "commits": [{"id": "2222222222222222222222222222222222222222", "message": "a", "added": ["a"], "removed": [], "modified": []}],
        "head_commit": null,
        "pusher": {"name": "somebody", "email": null},
        "sender": {"login": "somebody", "id": 1},
        "repository": {
            "id": 1, "full_name": "Org/Repo", "private": true, "owner": {"login": "Org", "html_url": "https://github.com/Org"},
            "html_url": "https://github.com/Org/Repo", "url": "https://github.com/Org/Repo", "fork": false,
            "git_url": "git://github.com/Org/Repo.git", "ssh_url": "git@github.com:Org/Repo.git",
            "clone_url": "https://github.com/Org/Repo.git", "svn_url": "https://github.com/Org/Repo",
            "homepage": "https://example.com/docs", "default_branch": "main", "size": 7
        }
    })
}

#[test]
fn github_tells_a_push() {
    let urls = [
        "https://github.com/org/repo",
        "https://token@github.com/Org/Repo.git",
        "git@github.com:org/repo.git",
        "ssh://git@github.com/org/repo",
    ];
    told(&push(Provider::GitHub, "push", &github()), &urls, &["main", "HEAD", "refs/heads/main"], &["other", "1.x"]);
    let mut tag = github();
    tag["ref"] = json!("refs/tags/v1.2.3");
    told(&push(Provider::GitHub, "push", &tag), &urls, &["v1.2.3", "1.x"], &["main", "HEAD"]);
}

#[test]
fn what_is_no_push_is_nothing() {
    let ping = json!({"zen": "Keep it simple.", "hook_id": 1, "hook": {}, "repository": {"url": "https://api.github.com/repos/o/r"}});
    assert_eq!(event(Provider::GitHub, "ping", &ping), Ok(Event::Nothing));
    let comment = json!({"object_kind": "note", "changes": {"title": {}}, "project": {"web_url": "https://h/a"}});
    assert_eq!(event(Provider::GitLab, "Note Hook", &comment), Ok(Event::Nothing));
    assert_eq!(event(Provider::BitbucketServer, "diagnostics:ping", &json!({"test": true})), Ok(Event::Nothing));
    assert_eq!(event(Provider::BitbucketCloud, "repo:fork", &json!({})), Ok(Event::Nothing));
    assert_eq!(event(Provider::Gitea, "issues", &json!({"ref": 7})), Ok(Event::Nothing));
    let pull = json!({"eventType": "git.pullrequest.created", "resource": {"repository": "x"}});
    assert_eq!(event(Provider::AzureDevOps, "", &pull), Ok(Event::Nothing));
}

#[test]
fn gitlab_tells_pushes_of_projects_and_of_the_whole_system() {
    let project = json!({
        "id": 15, "name": "Repo", "web_url": "https://git.example.com/org/team/repo", "default_branch": "main",
        "git_ssh_url": "git@git.example.com:org/team/repo.git", "git_http_url": "https://git.example.com/org/team/repo.git",
        "homepage": "https://git.example.com/org/team/repo", "url": "git@git.example.com:org/team/repo.git",
        "ssh_url": "git@git.example.com:org/team/repo.git", "http_url": "https://git.example.com/org/team/repo.git"
    });
    let urls = ["https://git.example.com/org/team/repo.git", "ssh://git@git.example.com:2222/org/team/repo"];
    let body = |kind: &str, name: &str| {
        json!({
            "object_kind": kind, "event_name": kind, "ref": name, "checkout_sha": "2222222222222222222222222222222222222222",
            "project": project, "repository": {"name": "Repo", "url": "git@git.example.com:org/team/repo.git", "homepage": null},
            "commits": [], "total_commits_count": 0
        })
    };
    let main = push(Provider::GitLab, "Push Hook", &body("push", "refs/heads/main"));
    told(&main, &urls, &["main", "HEAD"], &["other"]);
    let tag = push(Provider::GitLab, "Tag Push Hook", &body("tag_push", "refs/tags/v1.0.0"));
    told(&tag, &urls, &["v1.0.0", "^1"], &["main"]);
    let system = json!({
        "event_name": "repository_update", "user_id": 1, "project_id": 1, "project": project,
        "changes": [
            {"before": "1", "after": "2", "ref": "refs/heads/main"},
            {"before": "1", "after": "2", "ref": "refs/heads/next"}
        ],
        "refs": ["refs/heads/main", "refs/heads/next"]
    });
    told(&push(Provider::GitLab, "System Hook", &system), &urls, &["main", "next"], &["other"]);
    let mut pushed = body("push", "refs/heads/main");
    pushed["object_kind"] = Value::Null;
    told(&push(Provider::GitLab, "System Hook", &pushed), &urls, &["main"], &["other"]);
    let created = json!({"event_name": "project_create", "path_with_namespace": "org/repo"});
    assert_eq!(event(Provider::GitLab, "System Hook", &created), Ok(Event::Nothing));
}

#[test]
fn gitea_and_its_kin_tell_pushes_and_new_tags() {
    let repository = json!({
        "id": 1, "full_name": "org/repo", "html_url": "https://git.example.com/org/repo",
        "ssh_url": "ssh://git@git.example.com:2222/org/repo.git", "clone_url": "https://git.example.com/org/repo.git",
        "website": "", "default_branch": "main", "internal": false
    });
    let urls = ["https://git.example.com/org/repo", "git@git.example.com:org/repo.git"];
    let pushed = json!({"ref": "refs/heads/main", "before": "1", "after": "2", "compare_url": "", "commits": [], "repository": repository});
    told(&push(Provider::Gitea, "push", &pushed), &urls, &["main", "HEAD"], &["other"]);
    let created = json!({"sha": "2", "ref": "v1.0.0", "ref_type": "tag", "repository": repository});
    told(&push(Provider::Gitea, "create", &created), &urls, &["v1.0.0", "1.x"], &["main"]);
    let deleted = json!({"ref": "old", "ref_type": "branch", "pusher_type": "user", "repository": repository});
    told(&push(Provider::Gitea, "delete", &deleted), &urls, &["old", "HEAD"], &["v1.0.0"]);
}

#[test]
fn bitbucket_cloud_tells_all_changes_of_a_push() {
    let body = json!({
        "actor": {"type": "user"},
        "repository": {
            "type": "repository", "full_name": "org/repo", "name": "repo", "scm": "git", "website": null,
            "links": {
                "self": {"href": "https://api.bitbucket.org/2.0/repositories/org/repo"},
                "html": {"href": "https://bitbucket.org/org/repo"},
                "avatar": {"href": "https://bitbucket.org/org/repo/avatar/32/"}
            }
        },
        "push": {"changes": [
            {"new": {"type": "branch", "name": "main", "target": {"type": "commit"}}, "old": {"type": "branch", "name": "main"},
             "created": false, "closed": false, "forced": false, "truncated": false},
            {"new": {"type": "tag", "name": "v1.0.0"}, "old": null, "created": true},
            {"new": null, "old": {"type": "branch", "name": "gone"}, "closed": true}
        ]}
    });
    let urls =
        ["https://bitbucket.org/org/repo.git", "git@bitbucket.org:org/repo.git", "https://me@bitbucket.org/org/repo"];
    told(&push(Provider::BitbucketCloud, "repo:push", &body), &urls, &["main", "v1.0.0", "1.x", "gone"], &["other"]);
}

#[test]
fn bitbucket_server_tells_all_changes_of_a_push() {
    let body = json!({
        "eventKey": "repo:refs_changed", "date": "2026-01-02T03:04:05+0000", "actor": {"name": "admin"},
        "repository": {
            "slug": "repo", "id": 84, "name": "repo", "scmId": "git", "project": {"key": "ORG", "id": 1},
            "links": {
                "clone": [
                    {"href": "ssh://git@git.example.com:7999/org/repo.git", "name": "ssh"},
                    {"href": "https://git.example.com/scm/org/repo.git", "name": "http"}
                ],
                "self": [{"href": "https://git.example.com/projects/ORG/repos/repo/browse"}]
            }
        },
        "changes": [
            {"ref": {"id": "refs/heads/main", "displayId": "main", "type": "BRANCH"}, "refId": "refs/heads/main", "type": "UPDATE"},
            {"refId": "refs/heads/next", "fromHash": "1", "toHash": "2", "type": "UPDATE"}
        ]
    });
    let urls = ["https://git.example.com/scm/ORG/repo", "ssh://git@git.example.com:7999/org/repo.git"];
    told(&push(Provider::BitbucketServer, "repo:refs_changed", &body), &urls, &["main", "next"], &["other"]);
}

#[test]
fn azure_tells_all_refs_of_a_push() {
    let body = json!({
        "subscriptionId": "00000000-0000-0000-0000-000000000000", "notificationId": 3, "id": "1", "eventType": "git.push",
        "publisherId": "tfs", "message": {"text": "t", "html": "t"},
        "resource": {
            "commits": [{"commitId": "2", "comment": "c"}],
            "refUpdates": [
                {"name": "refs/heads/main", "oldObjectId": "1", "newObjectId": "2"},
                {"name": "refs/heads/next", "oldObjectId": "1", "newObjectId": "2"}
            ],
            "repository": {
                "id": "2", "name": "repo", "url": "https://dev.azure.com/org/_apis/git/repositories/2",
                "project": {"id": "3", "name": "project", "url": "https://dev.azure.com/org/_apis/projects/3"},
                "defaultBranch": "refs/heads/main", "remoteUrl": "https://org@dev.azure.com/org/project/_git/repo"
            },
            "pushedBy": {"displayName": "d"}, "pushId": 14
        },
        "resourceVersion": "1.0"
    });
    let urls = ["https://dev.azure.com/org/project/_git/repo", "git@ssh.dev.azure.com:v3/org/project/repo"];
    told(&push(Provider::AzureDevOps, "", &body), &urls, &["main", "next"], &["other"]);
}

#[test]
fn our_own_form_names_a_repository_and_maybe_a_ref() {
    let body = |name: Option<&str>| json!({"repository": "https://git.example.com/org/repo.git", "ref": name});
    let urls = ["git@git.example.com:org/repo"];
    let named = |name: Option<&str>| push(Provider::Trueup, "", &body(name));
    told(&named(Some("refs/heads/main")), &urls, &["main", "HEAD"], &["other"]);
    told(&named(Some("v1.0.0")), &urls, &["v1.0.0", "1.x", "HEAD"], &["other"]);
    told(&named(None), &urls, &["anything", "HEAD"], &[]);
}

#[test]
fn of_very_many_refs_all_are_meant() {
    let change = |number: usize| json!({"refId": format!("refs/heads/b{number}")});
    let body = |count: usize| json!({"repository": {"links": {"clone": [{"href": "https://h/a"}]}}, "changes": (0..count).map(change).collect::<Vec<_>>()});
    let changed = |count: usize| push(Provider::BitbucketServer, "repo:refs_changed", &body(count));
    assert!(!changed(REFS_MAX).concerns("other") && changed(REFS_MAX).concerns("b999"));
    assert!(changed(REFS_MAX + 1).concerns("other"));
}

#[test]
fn a_body_that_means_nothing_is_an_error_that_quotes_nothing() {
    for (provider, kind, body) in [
        (Provider::GitHub, "push", r#"{"ref":"refs/heads/hunter2""#),
        (Provider::GitHub, "push", r#"{"ref":"refs/heads/main","repository":"hunter2"}"#),
        (Provider::GitHub, "push", r#"{"ref":"refs/heads/hunter2"}"#),
        (Provider::GitHub, "push", r#"{"repository":{"html_url":"hunter2"}}"#),
        (Provider::GitHub, "push", "payload=%7B%22hunter2"),
        (Provider::GitHub, "push", ""),
        (Provider::Trueup, "", r#"{"repository":{"hunter2":1}}"#),
        (Provider::Trueup, "", r#"{"hunter2":1}"#),
    ] {
        let error = read(provider, kind, body.as_bytes()).unwrap_err().to_string();
        assert!(!error.contains("hunter2"), "{error}");
    }
    let deep = "[".repeat(100_000);
    assert!(matches!(read(Provider::GitHub, "push", deep.as_bytes()), Err(BodyError::Json { .. })));
}

/// JSON with the names that bodies have, in any form.
fn bodies() -> impl Strategy<Value = Value> {
    let text = prop_oneof![
        Just("refs/heads/main".to_owned()),
        Just("git.push".to_owned()),
        Just("push".to_owned()),
        Just("https://git.example.com/org/repo.git".to_owned()),
        "\\PC{0,20}",
        "[a-z]{1,5}(://|@|:|/){1,2}[a-z./:@\\[\\]%]{0,20}",
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        text.prop_map(Value::from),
    ];
    let name = prop_oneof![
        Just("ref"),
        Just("refId"),
        Just("ref_type"),
        Just("name"),
        Just("type"),
        Just("new"),
        Just("old"),
        Just("push"),
        Just("changes"),
        Just("repository"),
        Just("project"),
        Just("resource"),
        Just("refUpdates"),
        Just("eventType"),
        Just("object_kind"),
        Just("event_name"),
        Just("links"),
        Just("clone"),
        Just("html"),
        Just("href"),
        Just("url"),
        Just("html_url"),
        Just("remoteUrl"),
        Just("other"),
    ];
    leaf.prop_recursive(5, 64, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::vec((name.clone(), inner), 0..6).prop_map(|pairs| {
                Value::Object(pairs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
            }),
        ]
    })
}

proptest! {
    #[test]
    fn any_json_is_an_event_or_an_error(body in bodies(), kind in prop::sample::select(&KINDS[..])) {
        for provider in Provider::ALL {
            if let Ok(Event::Push(push)) = event(provider, kind, &body) {
                // Asking of it ends, too.
                let _ = (push.concerns("main"), push.concerns("1.x"), push.is_at("git.example.com/org/repo"));
            }
        }
    }

    #[test]
    fn any_bytes_are_an_event_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..256), at in any::<prop::sample::Index>()) {
        // On their own, and in the midst of a body that is right.
        let whole = github().to_string().into_bytes();
        let at = at.index(whole.len());
        let spoilt = [&whole[..at], &bytes, &whole[at..]].concat();
        for provider in Provider::ALL {
            for kind in KINDS {
                let _ = (read(provider, kind, &bytes), read(provider, kind, &spoilt), read(provider, kind, &whole[..at]));
            }
        }
    }
}
