//! A commit or tag object, taken apart into what is signed and the signature.
//!
//! Invariant: together they are the whole object; a header beside the signature that we do not know is signed as well. As git reads
//! them (`gitformat-signature`): a commit has its signature in the header `gpgsig`, a tag at its end.

use std::sync::Arc;

use crate::fetch::Work;
use crate::revision::Resolved;
use crate::{CommitId, GitError, Store, TagId};

/// Headers of a commit that are no part of what is signed: the signature over this form of the object, and over its SHA-256 form.
const SIGNATURE_HEADERS: [&[u8]; 2] = [b"gpgsig", b"gpgsig-sha256"];
/// How a signature at the end of a tag begins.
const BEGINNINGS: [&[u8]; 4] = [
    b"-----BEGIN PGP SIGNATURE-----",
    b"-----BEGIN PGP MESSAGE-----",
    b"-----BEGIN SSH SIGNATURE-----",
    b"-----BEGIN SIGNED MESSAGE-----",
];
/// Bytes of one signature: some thousands is what the largest keys make.
const SIGNATURE_BYTES_MAX: usize = 64 * 1024;

/// A commit or a tag, and its signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signed {
    pub(crate) payload: Vec<u8>,
    /// Empty: it has none.
    pub(crate) signature: String,
    /// Why the object itself cannot be trusted, whoever signed it.
    pub(crate) problem: Option<String>,
}

impl Signed {
    /// Of a commit object, byte by byte.
    pub fn commit(raw: &[u8]) -> Self {
        let (payload, signatures) = without_signatures(raw);
        Self::new(payload, &signatures, None)
    }

    /// Of a tag object, byte by byte, which must be about this commit.
    pub fn tag(raw: &[u8], commit: CommitId) -> Self {
        let start = last_beginning(raw).unwrap_or(raw.len());
        let (text, signature) = raw.split_at(start);
        let (payload, _) = without_signatures(text);
        // What is signed names what the tag is about; the server's listing is only its word.
        let expected = format!("object {commit}\ntype commit\n");
        let problem = (!payload.starts_with(expected.as_bytes()))
            .then(|| format!("the tag is about something else than commit {commit}"));
        let signatures = if signature.is_empty() { Vec::new() } else { vec![signature.to_owned()] };
        Self::new(payload, &signatures, problem)
    }

    fn new(payload: Vec<u8>, signatures: &[Vec<u8>], problem: Option<String>) -> Self {
        let (signature, own) = match signatures {
            [] => (String::new(), None),
            [one] if one.len() > SIGNATURE_BYTES_MAX => {
                (String::new(), Some(format!("the signature is longer than {SIGNATURE_BYTES_MAX} bytes")))
            }
            [one] => (String::from_utf8_lossy(one).into_owned(), None),
            _ => (String::new(), Some("there is more than one signature".to_owned())),
        };
        Self { payload, signature, problem: problem.or(own) }
    }
}

impl Store {
    /// What is signed of a revision: the tag if it is an annotated one, which is fetched if it is not here, else the commit, which
    /// must have been fetched.
    pub async fn signed(&self, resolved: &Resolved) -> Result<Signed, GitError> {
        let Some(tag) = resolved.tag else { return Ok(Signed::commit(&self.commit_object(resolved.commit)?)) };
        if let Some(raw) = self.tag_object(tag)? {
            return Ok(Signed::tag(&raw, resolved.commit));
        }
        self.fetch_tag(tag).await?;
        let missing = || GitError::RevisionNotFound { repository: self.url().to_string(), revision: tag.to_string() };
        let raw = self.tag_object(tag)?.ok_or_else(missing)?;
        Ok(Signed::tag(&raw, resolved.commit))
    }

    async fn fetch_tag(&self, tag: TagId) -> Result<(), GitError> {
        let _flight = Arc::clone(&self.disk.flight).lock_owned().await;
        // Somebody else may have brought it while we waited.
        if self.tag_object(tag)?.is_none() {
            self.bring(|discovered| Work::Tag { tag, discovered }).await?;
        }
        Ok(())
    }
}

/// An object without its signature headers, and the values of those that are for this form of the object.
fn without_signatures(raw: &[u8]) -> (Vec<u8>, Vec<Vec<u8>>) {
    let mut payload = Vec::with_capacity(raw.len());
    let mut signatures: Vec<Vec<u8>> = Vec::new();
    // Whether the line before belongs to a signature, and to one that is read.
    let mut inside: Option<bool> = None;
    let mut rest = raw;
    while let Some(line) = rest.split_inclusive(|&byte| byte == b'\n').next() {
        if line == b"\n" {
            // The message.
            payload.extend_from_slice(rest);
            break;
        }
        rest = &rest[line.len()..];
        let value = match (line.strip_prefix(b" "), inside) {
            (Some(value), Some(read)) => Some((value, read, false)),
            _ => header(line).map(|(at, value)| (value, at == 0, true)),
        };
        inside = value.map(|(_, read, _)| read);
        match (value, signatures.last_mut()) {
            (None, _) => payload.extend_from_slice(line),
            (Some((value, true, true)), _) => signatures.push(value.to_owned()),
            (Some((value, true, false)), Some(signature)) => signature.extend_from_slice(value),
            (Some(_), _) => {}
        }
    }
    (payload, signatures)
}

/// Which signature header a line is, and its value.
fn header(line: &[u8]) -> Option<(usize, &[u8])> {
    SIGNATURE_HEADERS
        .iter()
        .enumerate()
        .find_map(|(at, name)| Some((at, line.strip_prefix(*name)?.strip_prefix(b" ")?)))
}

/// Where the last line stands that begins a signature.
fn last_beginning(raw: &[u8]) -> Option<usize> {
    let mut found = None;
    let mut at = 0;
    for line in raw.split_inclusive(|&byte| byte == b'\n') {
        if BEGINNINGS.iter().any(|beginning| line.starts_with(beginning)) {
            found = Some(at);
        }
        at += line.len();
    }
    found
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TREE: &str = "tree 0123456789abcdef0123456789abcdef01234567\n";

    fn texts(signed: &Signed) -> (&str, &str) {
        (std::str::from_utf8(&signed.payload).unwrap(), &signed.signature)
    }

    #[test]
    fn a_commit_is_signed_without_its_signature() {
        let raw = format!(
            "{TREE}gpgsig one\n two\n \ngpgsig-sha256 x\n y\nencoding utf-8\n more\n\ngpgsig not this\n text\n"
        );
        let expected = format!("{TREE}encoding utf-8\n more\n\ngpgsig not this\n text\n");
        let signed = Signed::commit(raw.as_bytes());
        assert_eq!(texts(&signed), (expected.as_str(), "one\ntwo\n\n"));
        assert_eq!(signed.problem, None);
        let unsigned = Signed::commit(expected.as_bytes());
        assert_eq!(texts(&unsigned), (expected.as_str(), ""));
        // A header of our own invention is signed, and what looks like ours is not ours.
        let raw = format!("{TREE}gpgsigx one\n two\n\n");
        assert_eq!(texts(&Signed::commit(raw.as_bytes())), (raw.as_str(), ""));
        let only_other = format!("{TREE}gpgsig-sha256 x\n y\n\n");
        assert_eq!(texts(&Signed::commit(only_other.as_bytes())), (format!("{TREE}\n").as_str(), ""));
        let two = format!("{TREE}gpgsig one\ngpgsig two\n\n");
        assert!(Signed::commit(two.as_bytes()).problem.unwrap().contains("more than one"));
        let long = format!("{TREE}gpgsig {}\n\n", "x".repeat(SIGNATURE_BYTES_MAX));
        assert!(Signed::commit(long.as_bytes()).problem.unwrap().contains("longer"));
    }

    #[test]
    fn a_tag_is_signed_up_to_the_last_signature_and_is_about_its_commit() {
        let commit: CommitId = "0123456789abcdef0123456789abcdef01234567".parse().unwrap();
        let text = format!("object {commit}\ntype commit\ntag v1\n\nwords\n-----BEGIN PGP SIGNATURE-----\nfake\n");
        let raw = format!("{text}-----BEGIN SSH SIGNATURE-----\nreal\n");
        let signed = Signed::tag(raw.as_bytes(), commit);
        assert_eq!(texts(&signed), (text.as_str(), "-----BEGIN SSH SIGNATURE-----\nreal\n"));
        assert_eq!(signed.problem, None);
        let other: CommitId = "f123456789abcdef0123456789abcdef01234567".parse().unwrap();
        assert!(Signed::tag(raw.as_bytes(), other).problem.unwrap().contains("something else than commit"));
        let of_tag = raw.replace("type commit", "type tag");
        assert!(Signed::tag(of_tag.as_bytes(), commit).problem.is_some());
    }

    proptest! {
        #[test]
        fn no_object_is_too_odd(raw in "(tree [0-9]\n|gpgsig(-sha256)? ?[a-z]{0,3}\n| [a-z]\n|\n|-----BEGIN PGP SIGNATURE-----|[^\n]{0,5}){0,12}") {
            let signed = Signed::commit(raw.as_bytes());
            prop_assert!(signed.payload.len() + signed.signature.len() <= raw.len());
            let again = Signed::commit(&signed.payload);
            prop_assert!(again.signature.is_empty() || signed.payload != raw.as_bytes());
            Signed::tag(raw.as_bytes(), [0; 20].into());
        }
    }
}
