//! A git server that is told to misbehave does, towards one repository only.

use std::time::Duration;

use trueup_bed::Asked;
use trueup_bed::Fault;
use trueup_bed::GitServer;

use crate::git_server::git;

/// Long enough for a git that works.
const PATIENCE: Duration = Duration::from_secs(2);

#[tokio::test]
async fn misbehaves_as_told_and_recovers() {
    let server = GitServer::start().await.unwrap();
    let (broken, whole) = (server.create("broken").unwrap(), server.create("whole").unwrap());
    for repository in [&broken, &whole] {
        repository.commit(&[("a", Some(&"some content\n".repeat(1000)))], "first").unwrap();
    }
    let dir = tempfile::tempdir().unwrap();
    let cases = [
        (Asked::Discovery, Fault::Status(500), "500"),
        (Asked::LsRefs, Fault::Status(401), "could not read Username"),
        (Asked::Discovery, Fault::Status(404), "not found"),
        (Asked::LsRefs, Fault::Truncate(10), "early EOF|unexpected|transfer closed|hung up|bad line length"),
        (Asked::Fetch, Fault::Truncate(100), "early EOF|unexpected|transfer closed|hung up|bad line length"),
    ];
    for (at, fault, complaint) in cases {
        broken.misbehave_at(at, fault);
        let output = git(dir.path(), &["clone", broken.url(), "broken"]).await;
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success(), "{fault:?} at {at:?}");
        assert!(complaint.split('|').any(|word| stderr.contains(word)), "{fault:?} at {at:?}: {stderr}");
        assert!(git(dir.path(), &["ls-remote", whole.url()]).await.status.success());
    }
    for fault in [Fault::Hang, Fault::Stall(4)] {
        broken.misbehave(fault);
        let args = ["ls-remote", broken.url()];
        let listing = tokio::time::timeout(PATIENCE, git(dir.path(), &args));
        assert!(listing.await.is_err(), "{fault:?}");
    }
    broken.behave();
    assert!(git(dir.path(), &["clone", broken.url(), "broken"]).await.status.success());
}

#[tokio::test]
async fn demands_a_login() {
    let server = GitServer::start().await.unwrap();
    let repository = server.create("private").unwrap();
    repository.commit(&[("a", Some("1"))], "first").unwrap();
    repository.require_login("me", "pa ss:word");
    let dir = tempfile::tempdir().unwrap();
    assert!(!git(dir.path(), &["ls-remote", repository.url()]).await.status.success());
    let with = |password: &str| repository.url().replace("http://", &format!("http://me:{password}@"));
    assert!(!git(dir.path(), &["ls-remote", &with("wrong")]).await.status.success());
    assert!(git(dir.path(), &["ls-remote", &with("pa%20ss%3Aword")]).await.status.success());
}
