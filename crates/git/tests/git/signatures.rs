//! Signatures that real gpg, ssh-keygen and git made, and what became of them on the way.

use std::process::Command;

use jiff::Timestamp;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use trueup_git::{Keyring, Resolved, Signed, Verdict};

use crate::bench::{Bench, id as commit_id};
use crate::signers::{Gpg, SshKey, UNSIGNED, commit, id, run};

/// A keyring with the keys of gpg that have these fingerprints.
fn keyring(gpg: &Gpg, fingerprints: &[&str]) -> Keyring {
    let entries: Vec<(&str, String)> = fingerprints.iter().map(|key| (id(key), gpg.export(key))).collect();
    let keyring = Keyring::new(entries.iter().map(|(id, armored)| (*id, armored.as_str())), "");
    assert_eq!(keyring.problems(), &[] as &[String]);
    keyring
}

fn verify(keyring: &Keyring, signed: &Signed) -> Verdict {
    keyring.verify(signed, Timestamp::now())
}

fn reason(verdict: &Verdict) -> &str {
    match verdict {
        Verdict::Bad { reason, .. } | Verdict::Expired { reason, .. } | Verdict::Revoked { reason, .. } => reason,
        other => panic!("{other:?}"),
    }
}

#[test]
fn keys_of_every_accepted_kind_are_verified_as_gpg_does() {
    let gpg = Gpg::new();
    let table = [
        ("rsa", "rsa2048", &["SHA256", "SHA384", "SHA512"][..]),
        ("edwards", "ed25519", &["SHA256", "SHA384", "SHA512"]),
        ("p256", "nistp256", &["SHA256", "SHA384", "SHA512"]),
        ("p384", "nistp384", &["SHA384", "SHA512"]),
        ("p521", "nistp521", &["SHA512"]),
    ];
    for (name, algorithm, digests) in table {
        let key = gpg.key(name, algorithm, "never");
        let (keyring, other) = (keyring(&gpg, &[&key]), Keyring::default());
        for digest in digests {
            let signature = gpg.sign(&key, &["--digest-algo", digest], UNSIGNED);
            let Verdict::Good(signer) = verify(&keyring, &commit(UNSIGNED, &signature)) else {
                panic!("{algorithm} with {digest}: {}", verify(&keyring, &commit(UNSIGNED, &signature)))
            };
            assert_eq!((signer.key.as_str(), signer.primary.as_str()), (id(&key), key.as_str()));
            assert_eq!(signer.name, format!("{name} <{name}@example.com>"));
            assert!(signer.is_among(&[id(&key)]) && !signer.is_among(&["0123456789ABCDEF"]));
            let changed = UNSIGNED.replace("words", "other words");
            assert_eq!(gpg.verdict(&changed, &signature), "BADSIG");
            let bad = verify(&keyring, &commit(&changed, &signature));
            assert!(matches!(&bad, Verdict::Bad { key: Some(by), .. } if by == id(&key)), "{algorithm}: {bad:?}");
            let unknown = verify(&other, &commit(UNSIGNED, &signature));
            assert_eq!(unknown, Verdict::UnknownKey { id: key.clone() }, "{algorithm}");
        }
    }
    let unsigned = verify(&Keyring::default(), &Signed::commit(UNSIGNED.as_bytes()));
    assert_eq!(unsigned, Verdict::Unsigned);
    assert!(unsigned.to_string().starts_with("it is not signed: sign it"));
}

#[test]
fn a_subkey_signs_for_its_key_as_long_as_both_count() {
    let gpg = Gpg::new();
    let key = gpg.key("main", "ed25519", "never");
    gpg.run(&["--quick-add-key", &key, "ed25519", "sign", "never"], b"");
    gpg.run(&["--quick-add-key", &key, "cv25519", "encr", "never"], b"");
    let [_, subkey, _] = gpg.fingerprints("main").try_into().unwrap();
    let signature = gpg.sign(&subkey, &[], UNSIGNED);
    let Verdict::Good(signer) = verify(&keyring(&gpg, &[&key]), &commit(UNSIGNED, &signature)) else { panic!() };
    assert_eq!((signer.key.as_str(), signer.primary.as_str()), (id(&subkey), key.as_str()));
    assert!(signer.is_among(&[id(&key)]) && signer.is_among(&[id(&subkey)]) && signer.is_among(&[&key]));

    // The subkey is revoked: by hand, since gpg asks.
    let commands = "key 1\nrevkey\ny\n1\n\ny\nsave\n";
    gpg.run(&["--command-fd", "0", "--no-batch", "--edit-key", &key], commands.as_bytes());
    assert_eq!(gpg.verdict(UNSIGNED, &signature), "REVKEYSIG");
    let revoked = verify(&keyring(&gpg, &[&key]), &commit(UNSIGNED, &signature));
    assert!(matches!(&revoked, Verdict::Revoked { signer, .. } if signer.key == id(&subkey)), "{revoked:?}");
    assert_eq!(reason(&revoked), "it was compromised");
    let by_main = gpg.sign(&key, &[], UNSIGNED);
    assert!(matches!(verify(&keyring(&gpg, &[&key]), &commit(UNSIGNED, &by_main)), Verdict::Good(_)));
}

#[test]
fn a_revoked_key_counts_no_more() {
    let gpg = Gpg::new();
    let key = gpg.key("gone", "ed25519", "never");
    let signature = gpg.sign(&key, &[], UNSIGNED);
    let made = std::fs::read_to_string(gpg.home().join(format!("openpgp-revocs.d/{key}.rev"))).unwrap();
    gpg.run(&["--import"], made.replace(":-----BEGIN", "-----BEGIN").as_bytes());
    assert_eq!(gpg.verdict(UNSIGNED, &signature), "REVKEYSIG");
    let verdict = verify(&keyring(&gpg, &[&key]), &commit(UNSIGNED, &signature));
    assert!(matches!(verdict, Verdict::Revoked { .. }), "{verdict:?}");
    assert!(verdict.to_string().contains("which its owner has revoked"), "{verdict}");
}

#[test]
fn what_has_expired_counts_no_more_but_did() {
    let mut gpg = Gpg::at("20200101T000000");
    let key = gpg.key("old", "ed25519", "10d");
    let lasting = gpg.key("lasting", "ed25519", "never");
    let by_old = gpg.sign(&key, &[], UNSIGNED);
    let short = gpg.sign(&lasting, &["--default-sig-expire", "10d"], UNSIGNED);
    gpg.set_time(None);
    assert_eq!(
        (gpg.verdict(UNSIGNED, &by_old).as_str(), gpg.verdict(UNSIGNED, &short).as_str()),
        ("EXPKEYSIG", "EXPSIG")
    );
    let keyring = keyring(&gpg, &[&key, &lasting]);
    for (signature, expected) in
        [(&by_old, "which expired on 2020-01-11"), (&short, "but was valid until 2020-01-11 only")]
    {
        let signed = commit(UNSIGNED, signature);
        assert_eq!(reason(&verify(&keyring, &signed)), expected);
        let then: Timestamp = "2020-01-05T00:00:00Z".parse().unwrap();
        assert!(matches!(keyring.verify(&signed, then), Verdict::Good(_)));
    }
    // The owner prolongs the key: what the keyring has then counts.
    gpg.set_time(Some("20200102T000000"));
    gpg.run(&["--quick-set-expire", &key, "0"], b"");
    gpg.set_time(None);
    assert!(matches!(verify(&self::keyring(&gpg, &[&key]), &commit(UNSIGNED, &by_old)), Verdict::Good(_)));
}

#[test]
fn weak_and_unknown_kinds_are_refused_with_their_reason() {
    let gpg = Gpg::new();
    let key = gpg.key("strong", "ed25519", "never");
    let rsa = gpg.key("rsa", "rsa2048", "never");
    let dsa = gpg.key("dsa", "dsa2048", "never");
    let small = gpg.key("small", "rsa1024", "never");
    let keyring = keyring(&gpg, &[&key, &rsa, &dsa, &small]);
    let sha1 = gpg.sign(&rsa, &["--digest-algo", "SHA1"], UNSIGNED);
    let text = gpg.sign(&key, &["--textmode"], UNSIGNED);
    let (by_dsa, by_small) = (gpg.sign(&dsa, &[], UNSIGNED), gpg.sign(&small, &[], UNSIGNED));
    let good = gpg.sign(&key, &[], UNSIGNED);
    let inline = String::from_utf8(gpg.run(&["--armor", "--local-user", &key, "--sign"], UNSIGNED.as_bytes())).unwrap();
    let table = [
        (sha1, "its hash is SHA-1, which is not accepted"),
        (text, "something else than a document"),
        (by_dsa, "DSA keys are not supported"),
        (by_small, "1024 bits"),
        (format!("{good}{good}"), "more than one signature"),
        (format!("{good}hello"), "something else beside"),
        (good.replace("-----END PGP SIGNATURE-----", ""), "cut off"),
        (inline, "neither an OpenPGP nor an SSH signature"),
        ("-----BEGIN SIGNED MESSAGE-----\nMII\n-----END SIGNED MESSAGE-----".to_owned(), "X.509 is not supported"),
        ("gibberish".to_owned(), "neither an OpenPGP nor an SSH signature"),
    ];
    for (signature, expected) in table {
        let verdict = verify(&keyring, &commit(UNSIGNED, &signature));
        assert!(
            matches!(&verdict, Verdict::Bad { reason, .. } if reason.contains(expected)),
            "{expected}: {verdict:?}"
        );
    }
}

#[test]
fn nobody_signs_in_the_name_of_another() {
    let gpg = Gpg::new();
    let alice = gpg.key("alice", "ed25519", "never");
    let mallory = gpg.key("mallory", "ed25519", "never");
    gpg.run(&["--quick-add-key", &mallory, "ed25519", "sign", "never"], b"");
    let keyring = keyring(&gpg, &[&alice]);
    let ids = [&alice, &mallory].map(|key| bytes(id(key)));
    // Mallory's signature with Alice's id wherever hers stood, but not where it is signed along.
    let signature = dearmored(&gpg, &gpg.sign(&mallory, &[], UNSIGNED));
    let at = signature.windows(8).rposition(|window| window == ids[1]).unwrap();
    let mut forged = signature.clone();
    forged[at..at + 8].copy_from_slice(&ids[0]);
    let verdict = verify(&keyring, &commit(UNSIGNED, &armored("SIGNATURE", &forged)));
    assert_eq!(verdict, Verdict::UnknownKey { id: mallory.clone() });
    // And with the fingerprint as well, which is signed along.
    let fingerprints = [&alice, &mallory].map(|key| bytes(key));
    let at = forged.windows(20).position(|window| window == fingerprints[1]).unwrap();
    forged[at..at + 20].copy_from_slice(&fingerprints[0]);
    let verdict = verify(&keyring, &commit(UNSIGNED, &armored("SIGNATURE", &forged)));
    assert!(matches!(&verdict, Verdict::Bad { key: Some(key), .. } if key == id(&alice)), "{verdict:?}");

    // Mallory's subkey, put into Alice's key, is none of hers.
    let [alices, mallorys] = [&alice, &mallory].map(|key| gpg.run(&["--export", key], b""));
    let subkey = packets(&mallorys).into_iter().skip_while(|(tag, _)| *tag != 14).map(|(_, packet)| packet);
    let both = [vec![alices], subkey.collect()].concat().concat();
    let grafted = armored("PUBLIC KEY BLOCK", &both);
    let keyring = Keyring::new([(id(&alice), grafted.as_str())], "");
    assert_eq!(keyring.problems(), &[] as &[String]);
    let subkey = gpg.fingerprints("mallory").remove(1);
    let verdict = verify(&keyring, &commit(UNSIGNED, &gpg.sign(&subkey, &[], UNSIGNED)));
    assert_eq!(verdict, Verdict::UnknownKey { id: subkey });
}

#[test]
fn a_key_without_its_owners_word_is_not_used() {
    let gpg = Gpg::new();
    let key = gpg.key("bare", "ed25519", "never");
    let signature = gpg.sign(&key, &[], UNSIGNED);
    let bare: Vec<u8> = packets(&gpg.run(&["--export", &key], b""))
        .into_iter()
        .filter(|(tag, _)| *tag != 2)
        .flat_map(|(_, packet)| packet)
        .collect();
    let bare = armored("PUBLIC KEY BLOCK", &bare);
    let verdict = verify(&Keyring::new([(id(&key), bare.as_str())], ""), &commit(UNSIGNED, &signature));
    assert!(reason(&verdict).contains("own signature on it is missing"), "{verdict:?}");
    // Its owner takes back that it may sign: what it then may do alone is certify other keys.
    gpg.run(&["--command-fd", "0", "--no-batch", "--edit-key", &key], b"change-usage\nS\nQ\nsave\n");
    let verdict = verify(&keyring(&gpg, &[&key]), &commit(UNSIGNED, &signature));
    assert_eq!(reason(&verdict), "it is not a key for signing data");
}

#[test]
fn an_entry_that_is_not_what_it_says_is_left_out_and_told() {
    let gpg = Gpg::new();
    let (key, other) = (gpg.key("one", "ed25519", "never"), gpg.key("two", "ed25519", "never"));
    let private = String::from_utf8(gpg.run(&["--armor", "--export-secret-keys", &key], b"")).unwrap();
    let public = gpg.export(&key);
    let hidden = private.replace("PRIVATE KEY", "PUBLIC KEY");
    let table = [
        (id(&other), public.as_str(), "and not the one that it is named after"),
        ("one.asc", &public, "named after the key's id"),
        (id(&key), &private, "there is a PGP PRIVATE KEY BLOCK where a PGP PUBLIC KEY BLOCK is needed"),
        (id(&key), &hidden, "it is a PRIVATE key"),
        (id(&key), "", "there is no key in it"),
        (id(&key), "-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nmQEN\n-----END PGP PUBLIC KEY BLOCK-----", "cut off"),
    ];
    for (name, armored, expected) in table {
        let keyring = Keyring::new([(name, armored)], "");
        let [problem] = keyring.problems() else { panic!("{expected}: {:?}", keyring.problems()) };
        assert!(problem.contains(expected), "{problem}");
        assert!(!problem.contains("lQ"), "{problem}");
    }
    // Of several keys in a block the one that is meant is used, and no other.
    let both = String::from_utf8(gpg.run(&["--armor", "--export", &key, &other], b"")).unwrap();
    let keyring = Keyring::new([(id(&other), both.as_str())], "");
    assert!(matches!(verify(&keyring, &commit(UNSIGNED, &gpg.sign(&other, &[], UNSIGNED))), Verdict::Good(_)));
    assert!(matches!(verify(&keyring, &commit(UNSIGNED, &gpg.sign(&key, &[], UNSIGNED))), Verdict::UnknownKey { .. }));
}

#[test]
fn ssh_keys_sign_for_git_and_nothing_else() {
    let table: [&[&str]; 5] = [
        &["-t", "ed25519"],
        &["-t", "ecdsa", "-b", "256"],
        &["-t", "ecdsa", "-b", "384"],
        &["-t", "ecdsa", "-b", "521"],
        &["-t", "rsa", "-b", "2048"],
    ];
    for kind in table {
        let key = SshKey::new(kind);
        let keyring = Keyring::new([], &format!("# who may sign\n\nann@example.com {}", key.public()));
        assert_eq!(keyring.problems(), &[] as &[String]);
        let signed = commit(UNSIGNED, &key.sign("git", UNSIGNED));
        let Verdict::Good(signer) = verify(&keyring, &signed) else {
            panic!("{kind:?}: {}", verify(&keyring, &signed))
        };
        assert_eq!((signer.key, signer.name.as_str()), (key.fingerprint(), "ann@example.com"));
        let changed = commit(&UNSIGNED.replace("words", "other words"), &key.sign("git", UNSIGNED));
        assert!(reason(&verify(&keyring, &changed)).contains("does not fit"), "{kind:?}");
        let for_files = commit(UNSIGNED, &key.sign("file", UNSIGNED));
        assert!(reason(&verify(&keyring, &for_files)).contains("something else than git"), "{kind:?}");
        assert_eq!(verify(&Keyring::default(), &signed), Verdict::UnknownKey { id: key.fingerprint() });
    }
}

#[test]
fn lines_of_ssh_keys_are_read_as_git_reads_them() {
    let (key, weak) = (SshKey::new(&["-t", "ed25519"]), SshKey::new(&["-t", "rsa", "-b", "1024"]));
    let (public, signed) = (key.public(), commit(UNSIGNED, &key.sign("git", UNSIGNED)));
    for good in [public.clone(), format!("ann {public}"), format!("ann namespaces=\"file,git\" {public} a comment")] {
        assert!(matches!(verify(&Keyring::new([], &good), &signed), Verdict::Good(_)), "{good}");
    }
    let for_files = Keyring::new([], &format!("ann namespaces=\"file\" {public}"));
    assert_eq!(verify(&for_files, &signed), Verdict::UnknownKey { id: key.fingerprint() });
    let table = [
        (format!("ann cert-authority {public}"), "only namespaces"),
        (format!("ann valid-before=\"20200101\" {public}"), "only namespaces"),
        ("ann".to_owned(), "no public key"),
        ("ann ssh-ed25519 AAAA".to_owned(), "damaged"),
        (weak.public(), "fewer than 2048 bits"),
    ];
    for (line, expected) in table {
        let keyring = Keyring::new([], &line);
        assert!(keyring.problems()[0].contains(expected), "{line}: {:?}", keyring.problems());
        assert!(!matches!(verify(&keyring, &signed), Verdict::Good(_)));
    }
}

#[tokio::test]
async fn git_s_own_commits_and_tags_are_verified_through_the_store() {
    let bench = Bench::new().await;
    let gpg = Gpg::new();
    let (key, ssh) = (gpg.key("ann", "ed25519", "never"), SshKey::new(&["-t", "ed25519"]));
    let ssh_file = ssh.private().to_str().unwrap().to_owned();
    let git = |args: &[&str]| {
        let mut command = Command::new("git");
        command.current_dir(bench.repository.dir()).env("GNUPGHOME", gpg.home()).env("GIT_CONFIG_NOSYSTEM", "1");
        command.args(["-c", "user.name=Ann", "-c", "user.email=ann@example.com"]).args(args);
        String::from_utf8(run(&mut command, b"")).unwrap().trim().to_owned()
    };
    let plain = bench.commit(&[("a.yaml", Some("a: 1"))]);
    let tree = git(&["rev-parse", &format!("{plain}^{{tree}}")]);
    let by_gpg = git(&["commit-tree", "-m", "signed", &format!("-S{key}"), &tree]);
    let by_ssh = git(&[
        "-c",
        "gpg.format=ssh",
        "-c",
        &format!("user.signingkey={ssh_file}"),
        "commit-tree",
        "-m",
        "signed",
        "-S",
        &tree,
    ]);
    git(&["update-ref", "refs/heads/gpg", &by_gpg]);
    git(&["update-ref", "refs/heads/ssh", &by_ssh]);
    git(&["tag", "-s", "-u", &key, "-m", "a release", "v1", &plain.to_string()]);
    git(&[
        "-c",
        "gpg.format=ssh",
        "-c",
        &format!("user.signingkey={ssh_file}"),
        "tag",
        "-s",
        "-m",
        "a release",
        "v2",
        &plain.to_string(),
    ]);
    git(&["tag", "-a", "-m", "unsigned", "v3", &by_gpg]);
    git(&["tag", "v4", &by_gpg]);
    git(&["tag", "-a", "-m", "a tag of a tag", "-s", "-u", &key, "v5", "v1"]);

    let keyring = Keyring::new([(id(&key), gpg.export(&key).as_str())], &ssh.public());
    let names = ["main", "gpg", "ssh", "v1", "v2", "v3", "v4", "v5", "1.x"].map(str::to_owned);
    let mut verdicts = Vec::new();
    for found in bench.store.look_up(&names).await.unwrap() {
        let found: Resolved = found.unwrap();
        bench.fetch(found.commit).await.unwrap();
        let fetches = bench.store.counters().fetches;
        let signed = bench.store.signed(&found).await.unwrap();
        assert_eq!(bench.store.signed(&found).await.unwrap(), signed);
        // A tag costs one fetch, once; a commit that is here none.
        assert!(bench.store.counters().fetches - fetches <= u64::from(found.tag.is_some()));
        verdicts.push(match verify(&keyring, &signed) {
            Verdict::Good(signer) => signer.key,
            Verdict::Unsigned => "unsigned".to_owned(),
            other => reason(&other).to_owned(),
        });
    }
    let about_a_tag = format!("the tag is about something else than commit {plain}");
    let (gpg_key, ssh_key) = (id(&key).to_owned(), ssh.fingerprint());
    let unsigned = "unsigned".to_owned();
    let expected = [&unsigned, &gpg_key, &ssh_key, &gpg_key, &ssh_key, &unsigned, &gpg_key, &about_a_tag, &about_a_tag]
        .map(Clone::clone);
    assert_eq!(verdicts[..8], expected[..8]);
    // The same by file://, where nothing is listed.
    let on_disk = crate::bench::url(&format!("file://{}", bench.repository.dir().display()));
    let store = bench.stores.store(&on_disk, &trueup_git::Access::default()).unwrap();
    let found = store.look_up(&["v1".to_owned()]).await.unwrap().remove(0).unwrap();
    store.fetch(&[found.commit]).await.unwrap();
    assert!(matches!(verify(&keyring, &store.signed(&found).await.unwrap()), Verdict::Good(_)));
    // A listing that says that a good tag is about another commit.
    let lie = Resolved { commit: commit_id(&by_gpg), tag: found.tag };
    bench.fetch(lie.commit).await.unwrap();
    let verdict = verify(&keyring, &bench.store.signed(&lie).await.unwrap());
    assert!(reason(&verdict).contains("something else than commit"), "{verdict:?}");
}

#[test]
fn no_change_of_a_signature_or_key_makes_it_good_or_panics() {
    let gpg = Gpg::new();
    let key = gpg.key("fuzzed", "ed25519", "never");
    gpg.run(&["--quick-add-key", &key, "ed25519", "sign", "never"], b"");
    let subkey = gpg.fingerprints("fuzzed").remove(1);
    let ssh = SshKey::new(&["-t", "ed25519"]);
    let public = gpg.run(&["--export", &key], b"");
    let signatures = [&key, &subkey].map(|key| dearmored(&gpg, &gpg.sign(key, &[], UNSIGNED)));
    let ssh_signature = {
        let text = ssh.sign("git", UNSIGNED);
        text.lines().filter(|line| !line.starts_with('-')).collect::<String>()
    };
    let ssh_signature = base64_decoded(&ssh_signature);
    let changed = UNSIGNED.replace("words", "other");
    let mut runner = TestRunner::new(Config { failure_persistence: None, ..Config::with_cases(400) });
    let edits = proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4);
    let outcome = runner.run(&(edits, any::<Option<prop::sample::Index>>()), |(edits, cut)| {
        let mutated = |bytes: &[u8]| {
            let mut bytes = bytes.to_vec();
            for (at, value) in &edits {
                let at = at.index(bytes.len());
                bytes[at] = *value;
            }
            if let Some(cut) = &cut {
                bytes.truncate(cut.index(bytes.len()));
            }
            bytes
        };
        let keys = [public.clone(), mutated(&public)].map(|key| armored("PUBLIC KEY BLOCK", &key));
        for key_text in &keys {
            let keyring = Keyring::new([(id(&key), key_text.as_str())], &ssh.public());
            for signature in &signatures {
                for signature in [signature.clone(), mutated(signature)] {
                    let signature = armored("SIGNATURE", &signature);
                    let verdict = verify(&keyring, &commit(&changed, &signature));
                    prop_assert!(!matches!(verdict, Verdict::Good(_)));
                    verify(&keyring, &commit(UNSIGNED, &signature));
                }
            }
            let text = armored_as("SSH SIGNATURE", &mutated(&ssh_signature));
            prop_assert!(!matches!(verify(&keyring, &commit(&changed, &text)), Verdict::Good(_)));
        }
        Ok(())
    });
    outcome.unwrap();
}

/// The packets of OpenPGP data, with their tags and headers, as far as gpg writes them.
fn packets(mut bytes: &[u8]) -> Vec<(u8, Vec<u8>)> {
    let mut packets = Vec::new();
    while let [first, ..] = bytes {
        let (tag, header, length) = match (first & 0x40, first & 3) {
            (0, 0) => ((first >> 2) & 15, 2, usize::from(bytes[1])),
            (0, 1) => ((first >> 2) & 15, 3, usize::from(u16::from_be_bytes([bytes[1], bytes[2]]))),
            _ => panic!("{first}"),
        };
        let (packet, rest) = bytes.split_at(header + length);
        packets.push((tag, packet.to_vec()));
        bytes = rest;
    }
    packets
}

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

fn dearmored(gpg: &Gpg, text: &str) -> Vec<u8> {
    gpg.run(&["--dearmor"], text.as_bytes())
}

fn armored(kind: &str, bytes: &[u8]) -> String {
    armored_as(&format!("PGP {kind}"), bytes)
}

fn armored_as(kind: &str, bytes: &[u8]) -> String {
    use base64::Engine as _;
    let text = base64::engine::general_purpose::STANDARD.encode(bytes);
    format!("-----BEGIN {kind}-----\n\n{text}\n-----END {kind}-----\n")
}

fn base64_decoded(text: &str) -> Vec<u8> {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.decode(text).unwrap()
}
