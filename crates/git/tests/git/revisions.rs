//! Which commit a revision is at, over HTTP and on disk.

use trueup_bed::Asked;
use trueup_git::{Access, Counters, GitError};

use crate::bench::{Bench, id, resolve, url};

#[tokio::test]
async fn every_kind_of_revision_is_found() {
    let bench = Bench::new().await;
    let first = bench.commit(&[("a", Some("1"))]);
    let second = bench.commit(&[("a", Some("2"))]);
    let other = id(&bench.repository.commit_to("feature/x.y", &[("b", Some("3"))], "other").unwrap());
    let repository = &bench.repository;
    repository.tag("light", &first.to_string()).unwrap();
    repository.annotated_tag("v1", &first.to_string()).unwrap();
    bench.git(&["tag", "--annotate", "--message", "x", "nested", "v1"]);
    bench.git(&["update-ref", "refs/pull/7/head", &other.to_string()]);
    // A branch and a tag of one name, and a name that begins like another.
    repository.branch("both", &first.to_string()).unwrap();
    repository.tag("both", &second.to_string()).unwrap();
    repository.branch("main-2", &first.to_string()).unwrap();
    // Versions, on commits of their own or not, beside what is none.
    for (tag, commit) in [("1.0", first), ("v1.2.0", second), ("v1.3.0-rc.1", other), ("stable", other)] {
        repository.tag(tag, &commit.to_string()).unwrap();
    }
    repository.branch("1.x", &other.to_string()).unwrap();
    repository.branch("9.x", &other.to_string()).unwrap();
    let full = first.to_string();
    let table = [
        ("^1.0", second),
        ("1.x", second),
        ("~1.0", first),
        (">=1.0-0", other),
        ("9.x", other),
        ("main", second),
        ("HEAD", second),
        ("", second),
        ("feature/x.y", other),
        ("light", first),
        ("v1", first),
        ("nested", first),
        ("both", first),
        ("refs/heads/both", first),
        ("refs/tags/both", second),
        ("refs/tags/v1", first),
        ("refs/pull/7/head", other),
        ("pull/7/head", other),
        ("main-2", first),
        (full.as_str(), first),
    ];
    let names: Vec<String> = table.iter().map(|(name, _)| (*name).to_owned()).collect();
    let on_disk =
        bench.stores.store(&url(&format!("file://{}", repository.dir().display())), &Access::default()).unwrap();
    for store in [&bench.store, &on_disk] {
        let found = store.resolve(&names).await.unwrap();
        for ((name, expected), found) in table.iter().zip(found) {
            assert_eq!(found, Ok(*expected), "{name}");
        }
        assert_eq!(store.counters(), Counters { listings: 1, fetches: 0 });
    }
    // One request for all of them, and none to see again what the server can do.
    resolve(&bench.store, "main").await.unwrap();
    assert_eq!(repository.all_asked(), [(Asked::Discovery, 1), (Asked::LsRefs, 2)].into());
}

#[tokio::test]
async fn what_is_not_there_is_named_and_harms_no_other() {
    let bench = Bench::new().await;
    let first = bench.commit(&[("a", Some("1"))]);
    // A tag of something that is no commit.
    let blob = crate::bench::git(bench.repository.dir(), &["hash-object", "-w", "--stdin"], "x");
    bench.git(&["tag", "--annotate", "--message", "x", "blob", &blob]);
    let names = ["main", "nope", "deadbee", "a b", "refs/heads/nope", "mai", "^3"].map(str::to_owned);
    let on_disk =
        bench.stores.store(&url(&format!("file://{}", bench.repository.dir().display())), &Access::default()).unwrap();
    for store in [&bench.store, &on_disk] {
        let found = store.resolve(&names).await.unwrap();
        assert_eq!(found[0], Ok(first));
        assert!(matches!(&found[1], Err(GitError::RevisionNotFound { revision, .. }) if revision == "nope"));
        assert!(matches!(&found[2], Err(GitError::ShortCommitId { .. })));
        assert!(matches!(&found[3], Err(GitError::InvalidRevision { .. })));
        assert!(matches!(&found[4], Err(GitError::RevisionNotFound { .. })));
        assert!(matches!(&found[5], Err(GitError::RevisionNotFound { .. })), "a beginning is no name");
        assert!(matches!(&found[6], Err(GitError::NoTagWithin { range, .. }) if range == "^3"));
        let outcome = match resolve(store, "blob").await {
            Ok(id) => store.fetch(&[id]).await,
            Err(error) => Err(error),
        };
        assert!(matches!(outcome, Err(GitError::NotACommit { .. })), "{outcome:?}");
    }
}

#[tokio::test]
async fn an_empty_repository_has_no_revision_yet() {
    let bench = Bench::new().await;
    let on_disk =
        bench.stores.store(&url(&format!("file://{}", bench.repository.dir().display())), &Access::default()).unwrap();
    for store in [&bench.store, &on_disk] {
        for name in ["HEAD", "main"] {
            let error = resolve(store, name).await.unwrap_err();
            assert!(matches!(error, GitError::RevisionNotFound { .. }), "{error}");
        }
    }
    let first = bench.commit(&[("a", Some("1"))]);
    assert_eq!(bench.resolve("HEAD").await, Ok(first));
}

#[tokio::test]
async fn commit_ids_ask_nobody() {
    let bench = Bench::new().await;
    let any = "0123456789abcdef0123456789abcdef01234567";
    assert_eq!(bench.resolve(any).await, Ok(id(any)));
    assert_eq!(bench.store.counters(), Counters::default());
    assert!(bench.repository.all_asked().is_empty());
}

#[tokio::test]
async fn branches_move_as_they_like() {
    let bench = Bench::new().await;
    let first = bench.commit(&[("a", Some("1"))]);
    assert_eq!(bench.resolve("main").await, Ok(first));
    let second = bench.commit(&[("a", Some("2"))]);
    assert_eq!(bench.resolve("main").await, Ok(second));
    bench.repository.branch("main", &first.to_string()).unwrap();
    assert_eq!(bench.resolve("main").await, Ok(first));
    bench.repository.delete_branch("main").unwrap();
    assert!(matches!(bench.resolve("main").await, Err(GitError::RevisionNotFound { .. })));
}
