//! What a repository may cost, and that more of it is an error of that repository.

use trueup_git::{Access, EntryKind, GitError, Limits};

use crate::bench::{Bench, text, url};

fn noise(bytes: usize) -> String {
    let mut state = 1_u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        char::from(b'!' + u8::try_from(state >> 58).unwrap())
    };
    (0..bytes).map(|_| next()).collect()
}

#[tokio::test]
async fn a_pack_over_the_limit_is_refused_and_keeps_no_other_away() {
    let bench = Bench::limited(Limits { pack_bytes: 100_000, ..Limits::default() }).await;
    let small = bench.commit(&[("a", Some("1"))]);
    let large = bench.commit(&[("b", Some(&noise(200_000)))]);
    let on_disk =
        bench.stores.store(&url(&format!("file://{}", bench.repository.dir().display())), &Access::default()).unwrap();
    for store in [&bench.store, &on_disk] {
        let error = store.fetch(&[large]).await.unwrap_err();
        assert!(matches!(&error, GitError::TooLarge { limit, .. } if limit == "100000 bytes"), "{error}");
        assert!(!store.has(&large));
        let error = store.fetch(&[large, small]).await.unwrap_err();
        assert!(matches!(&error, GitError::TooLarge { .. }), "{error}");
        assert_eq!(text(store, small, "a").unwrap(), "1");
    }
}

#[tokio::test]
async fn a_pack_of_too_many_objects_is_refused() {
    let bench = Bench::limited(Limits { pack_objects: 10, ..Limits::default() }).await;
    let small = bench.commit(&[("a", Some("1"))]);
    let files: Vec<(String, String)> = (0..20).map(|number| (format!("f{number}"), format!("{number}"))).collect();
    let files: Vec<(&str, Option<&str>)> =
        files.iter().map(|(path, text)| (path.as_str(), Some(text.as_str()))).collect();
    let large = bench.commit(&files);
    let on_disk =
        bench.stores.store(&url(&format!("file://{}", bench.repository.dir().display())), &Access::default()).unwrap();
    for store in [&bench.store, &on_disk] {
        let error = store.fetch(&[large]).await.unwrap_err();
        assert!(matches!(&error, GitError::TooLarge { limit, .. } if limit == "10"), "{error}");
        store.fetch(&[small]).await.unwrap();
    }
}

#[tokio::test]
async fn a_listing_over_the_limit_is_refused() {
    let bench = Bench::limited(Limits { listing_refs: 10, ..Limits::default() }).await;
    let first = bench.commit(&[("a", Some("1"))]);
    for number in 0..20 {
        bench.repository.branch(&format!("crowd{number}"), &first.to_string()).unwrap();
    }
    let error = bench.resolve("crowd").await.unwrap_err();
    assert!(matches!(&error, GitError::TooLarge { .. }), "{error}");
    assert_eq!(bench.resolve("main").await, Ok(first));
}

#[tokio::test]
async fn a_large_file_is_not_read_but_the_others_are() {
    let bench = Bench::limited(Limits { blob_bytes: 1000, ..Limits::default() }).await;
    let first = bench.commit(&[("large", Some(&noise(1001))), ("small", Some("1"))]);
    bench.fetch(first).await.unwrap();
    let entries = bench.store.entries(&bench.store.tree(&first, "").unwrap()).unwrap();
    let EntryKind::File { id, size, .. } = &entries[0].kind else { panic!("{entries:?}") };
    assert_eq!((entries[0].name.as_str(), *size), ("large", 1001));
    let error = bench.store.blob(id, 1 << 20).unwrap_err();
    assert!(matches!(error, GitError::ObjectTooLarge { bytes: 1001, limit: 1000, .. }), "{error}");
    let EntryKind::File { id, .. } = &entries[1].kind else { panic!("{entries:?}") };
    assert_eq!(bench.store.blob(id, 1).unwrap(), b"1");
    assert!(matches!(bench.store.blob(id, 0), Err(GitError::ObjectTooLarge { .. })));
}

#[tokio::test]
async fn a_large_directory_is_not_read() {
    let bench = Bench::limited(Limits { directory_bytes: 1000, ..Limits::default() }).await;
    let files: Vec<String> = (0..50).map(|number| format!("large/f{number}")).collect();
    let mut files: Vec<(&str, Option<&str>)> = files.iter().map(|path| (path.as_str(), Some("x"))).collect();
    files.push(("small/a", Some("1")));
    let first = bench.commit(&files);
    bench.fetch(first).await.unwrap();
    let large = bench.store.tree(&first, "large").unwrap();
    assert!(matches!(bench.store.entries(&large), Err(GitError::ObjectTooLarge { .. })));
    assert_eq!(text(&bench.store, first, "small/a").unwrap(), "1");
}
