//! Real git clones from the git server, and every request is counted.

use std::path::Path;
use std::process::Output;
use std::process::Stdio;

use tokio::process::Command;
use trueup_bed::Asked;
use trueup_bed::GitServer;

/// Runs git as somebody without any configuration.
pub(crate) async fn git(dir: &Path, args: &[&str]) -> Output {
    Command::new("git")
        .args(args)
        .current_dir(dir)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_TERMINAL_PROMPT", "0")
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .unwrap()
}

fn said(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

#[tokio::test]
async fn git_clones_and_fetches_what_was_committed() {
    let server = GitServer::start().await.unwrap();
    let repository = server.create("team/app").unwrap();
    let first = repository.commit(&[("a/b.yaml", Some("x: 1\n")), ("c", Some(""))], "first\n\nbody").unwrap();
    let dir = tempfile::tempdir().unwrap();
    said(&git(dir.path(), &["clone", "--quiet", repository.url(), "here"]).await);
    let here = dir.path().join("here");
    assert_eq!(std::fs::read_to_string(here.join("a/b.yaml")).unwrap(), "x: 1\n");
    assert_eq!(said(&git(&here, &["rev-parse", "HEAD"]).await), first);
    let counted = [(Asked::Discovery, 1), (Asked::LsRefs, 1), (Asked::Fetch, 1)];
    assert_eq!(repository.all_asked(), counted.into());

    repository.forget_asked();
    let second = repository.commit(&[("a", None), ("c", Some("new\n"))], "second").unwrap();
    assert_ne!(first, second);
    assert_eq!(said(&git(&here, &["ls-remote", "origin", "main"]).await), format!("{second}\trefs/heads/main"));
    assert_eq!((repository.asked(Asked::LsRefs), repository.asked(Asked::Fetch)), (1, 0));
    said(&git(&here, &["pull", "--quiet"]).await);
    assert!(!here.join("a").exists());
    assert_eq!(said(&git(&here, &["log", "-1", "--format=%s %an", "HEAD~1"]).await), "first Bed");
}

#[tokio::test]
async fn branches_and_tags_move_at_will() {
    let server = GitServer::start().await.unwrap();
    let repository = server.create("app").unwrap();
    assert_eq!(repository.resolve("main").unwrap(), None);
    let first = repository.commit(&[("a", Some("1"))], "first").unwrap();
    let second = repository.commit(&[("a", Some("2"))], "second").unwrap();
    let other = repository.commit_to("other", &[("b", Some("3"))], "an unrelated one").unwrap();
    repository.branch("main", &first).unwrap();
    repository.tag("v1", &first).unwrap();
    repository.tag("v1", &second).unwrap();
    repository.annotated_tag("v2", &other).unwrap();
    repository.delete_branch("other").unwrap();
    let resolved = ["main", "v1", "v2", "other"].map(|name| repository.resolve(name).unwrap());
    assert_eq!(resolved, [Some(first), Some(second), Some(other), None]);
}

#[tokio::test]
async fn a_thousand_files_and_a_large_fetch() {
    let server = GitServer::start().await.unwrap();
    let repository = server.create("app").unwrap();
    let content = "0123456789abcdef\n".repeat(50);
    let files: Vec<(String, String)> =
        (0..1000).map(|i| (format!("d{}/f{i}", i % 10), format!("{i} {content}"))).collect();
    let files: Vec<(&str, Option<&str>)> = files.iter().map(|(path, content)| (&**path, Some(&**content))).collect();
    repository.commit(&files, "many").unwrap();
    let dir = tempfile::tempdir().unwrap();
    said(&git(dir.path(), &["clone", "--quiet", repository.url(), "here"]).await);
    assert_eq!(std::fs::read_dir(dir.path().join("here/d7")).unwrap().count(), 100);
}
