//! What archives become, good ones and bad ones.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use proptest::prelude::*;
use tar::{Builder, Header};

use super::*;

fn entry(builder: &mut Builder<Vec<u8>>, kind: EntryType, path: &str, link: &str, content: &[u8]) {
    let mut header = Header::new_ustar();
    // The builder itself refuses what these tests are about.
    header.as_old_mut().name[..path.len()].copy_from_slice(path.as_bytes());
    header.as_old_mut().linkname[..link.len()].copy_from_slice(link.as_bytes());
    header.set_entry_type(kind);
    header.set_size(content.len() as u64);
    header.set_mode(0o644);
    header.set_cksum();
    builder.append(&header, content).unwrap();
}

/// An archive of paths with their contents; a path that begins with `->` is followed by where it leads.
fn tar(entries: &[(&str, &str)]) -> Vec<u8> {
    let mut builder = Builder::new(Vec::new());
    for (path, content) in entries {
        match path.strip_prefix("->") {
            Some(path) => entry(&mut builder, EntryType::Symlink, path, content, b""),
            None => entry(&mut builder, EntryType::Regular, path, "", content.as_bytes()),
        }
    }
    builder.into_inner().unwrap()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn small() -> Limits {
    Limits { unpacked_bytes: 1000, entries: 5, ratio: 10, ratio_from_bytes: 500, path_bytes: 60, ..Limits::default() }
}

fn plain(bytes: &[u8]) -> Result<Files, ArchiveError> {
    unpack(bytes, &Layout { below: None, gzip: false }, &small())
}

fn chart(entries: &[(&str, &str)]) -> Result<String, ArchiveError> {
    let layout = Layout { below: Some("redis".to_owned()), gzip: true };
    let files = unpack(&gzip(&tar(entries)), &layout, &small())?;
    let written = files.iter().map(|(path, content)| format!("{path}={}", String::from_utf8_lossy(content)));
    Ok(written.collect::<Vec<_>>().join(" "))
}

#[test]
fn a_chart_s_files_are_below_its_directory() {
    let own = [("redis/Chart.yaml", "a"), ("redis/templates/x.yaml", "b")];
    assert_eq!(chart(&own).unwrap(), "Chart.yaml=a templates/x.yaml=b");
    assert_eq!(chart(&[("./other//Chart.yaml", "a")]).unwrap(), "Chart.yaml=a");
    assert_eq!(chart(&[("redis/Chart.yaml", "a"), ("README", "b")]).unwrap(), "Chart.yaml=a");
    assert_eq!(chart(&[("redis/a", "old"), ("redis/a", "new")]).unwrap(), "a=new");
    for entries in [&[("Chart.yaml", "a")][..], &[("a/x", ""), ("b/x", "")], &[]] {
        assert_eq!(chart(entries), Err(ArchiveError::Directory));
    }
}

#[test]
fn no_path_leads_out() {
    for path in ["../x", "a/../../x", "/etc/passwd", "a\\..\\x", "c:/x", "C:x", "a/..", "..", &"a/".repeat(40)] {
        assert!(matches!(plain(&tar(&[(path, "")])), Err(ArchiveError::Path(_))), "{path}");
    }
    assert!(plain(&tar(&[("a\u{1b}[31m/../..", "")])).unwrap_err().to_string().contains("'a[31m/../..'"));
    assert_eq!(plain(&tar(&[(".", ""), ("./", "")])).unwrap().len(), 0);
    assert_eq!(plain(&tar(&[("...", ""), ("a..b/c", "")])).unwrap().len(), 2);
}

#[test]
fn a_link_becomes_the_file_that_it_leads_to() {
    let files = plain(&tar(&[("a/x", "1"), ("->b/y", "../a/x"), ("->l", "a"), ("->m", "l/../a/x")]));
    assert!(matches!(files, Err(ArchiveError::Link { .. })), "a directory is no file");
    let files = plain(&tar(&[("a/x", "1"), ("->b/y", "../a/x"), ("->z", "b/./y")])).unwrap();
    assert_eq!((files["b/y"].as_slice(), files["z"].as_slice()), (&b"1"[..], &b"1"[..]));
    for (path, target) in [
        ("->x", "../y"),
        ("->x", "/etc/passwd"),
        ("->a/x", "../../y"),
        ("->x", "nowhere"),
        ("->x", "x"),
        ("->x", ""),
        ("->x", "x/y"),
    ] {
        let error = plain(&tar(&[("y", ""), (path, target)]));
        assert!(matches!(error, Err(ArchiveError::Link { .. })), "{path} {target}: {error:?}");
    }
    let circle = plain(&tar(&[("->a", "b"), ("->b", "a")]));
    assert!(matches!(circle, Err(ArchiveError::Link { .. })));
    let mut hard = Builder::new(Vec::new());
    entry(&mut hard, EntryType::Regular, "a/x", "", b"1");
    entry(&mut hard, EntryType::Link, "b/y", "a/x", b"");
    assert_eq!(plain(&hard.into_inner().unwrap()).unwrap()["b/y"], b"1");
}

#[test]
fn links_do_not_multiply_what_there_is() {
    let large = "x".repeat(400);
    let error = plain(&tar(&[("a", &large), ("->b", "a"), ("->c", "a")]));
    assert_eq!(error, Err(ArchiveError::TooLarge { limit: 1000, unit: "bytes" }));
}

#[test]
fn devices_and_the_like_are_refused() {
    for kind in [EntryType::Block, EntryType::Char, EntryType::Fifo, EntryType::GNUSparse] {
        let mut builder = Builder::new(Vec::new());
        entry(&mut builder, kind, "dev", "", b"");
        let error = plain(&builder.into_inner().unwrap());
        assert!(matches!(error, Err(ArchiveError::Kind(_) | ArchiveError::Malformed(_))), "{kind:?}: {error:?}");
    }
}

#[test]
fn a_bomb_is_an_error() {
    let layout = Layout { below: None, gzip: true };
    let bomb = gzip(&tar(&[("a", &"\0".repeat(900))]));
    let error = unpack(&bomb, &layout, &Limits { ratio: 3, ..small() });
    assert_eq!(error, Err(ArchiveError::Bomb { packed: bomb.len() as u64, ratio: 3 }));
    let error = unpack(&gzip(&tar(&[("a", &"\0".repeat(90_000))])), &layout, &Limits { ratio: 9999, ..small() });
    assert_eq!(error, Err(ArchiveError::TooLarge { limit: 1000, unit: "bytes" }));
    // What no file holds, but is inflated all the same.
    let mut skipped = Builder::new(Vec::new());
    entry(&mut skipped, EntryType::Directory, "a", "", &vec![0; 2_000_000]);
    let error = unpack(&gzip(&skipped.into_inner().unwrap()), &layout, &small());
    assert_eq!(error, Err(ArchiveError::TooLarge { limit: 1000, unit: "bytes" }));
    let many: Vec<(&str, &str)> = vec![("a", ""); 6];
    assert_eq!(plain(&tar(&many)), Err(ArchiveError::TooLarge { limit: 5, unit: "entries" }));
}

#[test]
fn what_is_cut_off_or_no_archive_is_told() {
    let whole = tar(&[("a/b", &"x".repeat(700))]);
    for end in [100, 512, 600, 1000, 1200] {
        let cut = plain(&whole[..end]);
        assert!(matches!(cut, Err(ArchiveError::Malformed(_))), "{end}: {cut:?}");
    }
    let packed = gzip(&whole);
    let layout = Layout { below: None, gzip: true };
    for bytes in [&packed[..packed.len() / 2], &b"<html>no archive</html>"[..], &b""[..]] {
        assert!(matches!(unpack(bytes, &layout, &small()), Err(ArchiveError::Malformed(_))), "{bytes:?}");
    }
}

proptest! {
    #[test]
    fn whatever_comes_out_stays_inside(
        entries in proptest::collection::vec(("(->)?[ab./\\\\]{0,8}", "[ab./]{0,6}"), 0..5),
    ) {
        let entries: Vec<(&str, &str)> = entries.iter().map(|(path, to)| (path.as_str(), to.as_str())).collect();
        if let Ok(files) = plain(&tar(&entries)) {
            for path in files.keys() {
                prop_assert!(!path.is_empty() && path.split('/').all(|part| !matches!(part, "" | "." | "..")), "{path}");
            }
        }
    }

    #[test]
    fn any_bytes_are_refused_or_read(bytes in proptest::collection::vec(any::<u8>(), 0..2000), gzip in any::<bool>()) {
        let _ = unpack(&bytes, &Layout { below: None, gzip }, &small());
    }
}
