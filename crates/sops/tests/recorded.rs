//! What we decrypt against what the real sops does, as `tools/oracles/sops` recorded it.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::collections::BTreeMap;
use std::fmt::Write as _;

use proptest::prelude::*;
use serde::Deserialize;
use trueup_object::{Node, yaml};
use trueup_sops::{Decrypted, Format, KeyError, Keys, Problem, SopsError, decrypt, is_encrypted};

#[derive(Deserialize)]
struct Recorded {
    name: String,
    format: String,
    encrypted: String,
    /// In base64.
    decrypted: String,
}

#[derive(Deserialize)]
struct Recipients {
    secret: BTreeMap<String, String>,
    public: BTreeMap<String, String>,
}

fn recorded() -> Vec<Recorded> {
    serde_json::from_str(include_str!("data/encrypted.json")).unwrap()
}

fn one(name: &str) -> Recorded {
    recorded().into_iter().find(|one| one.name == name).unwrap()
}

fn recipients() -> Recipients {
    serde_json::from_str(include_str!("data/keys.json")).unwrap()
}

fn keys(names: &[&str]) -> Keys {
    let recipients = recipients();
    let mut keys = Keys::new();
    for name in names {
        keys.add(recipients.secret[*name].as_bytes()).unwrap();
    }
    keys
}

/// Those that most files are encrypted for.
fn usual() -> Keys {
    keys(&["one", "two", "ssh-ed25519", "ssh-rsa"])
}

fn format(one: &Recorded) -> Format {
    Format::of(&format!("dir.d/{}.{}", one.name, one.format))
}

fn open(name: &str, text: &str, keys: &Keys) -> Result<Decrypted, SopsError> {
    decrypt("file", format(&one(name)), text.as_bytes(), keys)
}

fn refused(name: &str, text: &str) -> Problem {
    open(name, text, &usual()).unwrap_err().problem
}

/// What is in a file. (Of a document with nothing but comments sops makes an empty map; we leave it out.)
fn objects(text: &[u8]) -> Vec<Node> {
    let documents = yaml::documents(text).unwrap().into_iter().map(|document| document.node);
    documents.filter(|node| node.as_map().is_none_or(|map| !map.is_empty())).collect()
}

#[test]
fn what_sops_encrypts_is_decrypted_as_sops_does() {
    let keys = usual();
    let (mut checked, mut wrong) = (0, Vec::new());
    for one in recorded() {
        // One has a key that we do not read; of the other we lack what it takes.
        if one.name == "post-quantum" || one.name == "key-groups-out-of-reach" {
            continue;
        }
        assert!(is_encrypted(one.encrypted.as_bytes()), "{}", one.name);
        let wanted = from_base64(&one.decrypted);
        assert!(!is_encrypted(&wanted), "{}", one.name);
        let answer = decrypt(&one.name, format(&one), one.encrypted.as_bytes(), &keys);
        checked += 1;
        match answer {
            Err(error) => wrong.push(error.to_string()),
            Ok(answer) => {
                let (got, wanted) = match format(&one) {
                    Format::Yaml | Format::Json => {
                        (format!("{:?}", objects(answer.reveal())), format!("{:?}", objects(&wanted)))
                    }
                    Format::Binary => (format!("{:?}", answer.reveal()), format!("{wanted:?}")),
                    Format::Dotenv | Format::Ini => (without_comments(answer.reveal()), without_comments(&wanted)),
                };
                if got != wanted {
                    wrong.push(format!("{}:\n{got}\ninstead of\n{wanted}", one.name));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
    assert!(checked > 25, "{checked}");
}

/// Dotenv and INI lose their comments, and nothing else.
fn without_comments(text: &[u8]) -> String {
    let text = String::from_utf8(text.to_vec()).unwrap();
    text.lines().filter(|line| !line.starts_with(['#', ';'])).flat_map(|line| [line, "\n"]).collect()
}

fn from_base64(text: &str) -> Vec<u8> {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.decode(text).unwrap()
}

#[test]
fn json_keeps_its_order_and_shape() {
    let answer = open("objects-encrypted-regex", &one("objects-encrypted-regex").encrypted, &usual()).unwrap();
    let wanted = String::from_utf8(from_base64(&one("objects-encrypted-regex").decrypted)).unwrap();
    let got = String::from_utf8(answer.reveal().to_vec()).unwrap();
    let keys =
        |text: &str| text.lines().map(|line| line.split(':').next().unwrap_or_default().to_owned()).collect::<Vec<_>>();
    assert_eq!(keys(&got)[..12], keys(&wanted)[..12]);
    assert!(got.starts_with("{\n\t\"text\": \"a<b>"), "{got}");
}

#[test]
fn any_one_key_of_several_is_enough() {
    for (name, key) in [
        ("several-recipients", "one"),
        ("several-recipients", "three"),
        ("other-recipients", "two"),
        ("ssh-rsa", "ssh-rsa"),
    ] {
        let text = one(name).encrypted;
        assert!(open(name, &text, &keys(&[key])).is_ok(), "{name} {key}");
    }
}

#[test]
fn a_key_that_does_not_fit_is_named() {
    let text = one("other-recipients").encrypted;
    let known = recipients().public;
    let error = open("other-recipients", &text, &keys(&["one"])).unwrap_err();
    let message = error.to_string();
    for name in ["one", "two", "three"] {
        assert!(message.contains(&known[name]), "{message}");
    }
    assert!(message.starts_with("'file': none of the keys given fits"), "{message}");
    let error = open("other-recipients", &text, &Keys::new()).unwrap_err();
    assert!(matches!(error.problem, Problem::NoKeys { .. }), "{error}");
}

#[test]
fn as_many_groups_of_keys_are_needed_as_the_file_says() {
    let text = one("key-groups").encrypted;
    for pair in [["one", "two"], ["one", "four"], ["two", "four"]] {
        assert!(open("key-groups", &text, &keys(&pair)).is_ok(), "{pair:?}");
    }
    assert!(open("key-groups", &text, &keys(&["one", "two", "four"])).is_ok());
    let error =
        open("key-groups-out-of-reach", &one("key-groups-out-of-reach").encrypted, &keys(&["one"])).unwrap_err();
    assert!(error.to_string().contains("1 of 2 groups of keys were opened"), "{error}");
}

#[test]
fn what_was_changed_is_refused() {
    let text = one("secret-kubernetes").encrypted;
    let line = |name: &str| text.lines().find(|line| line.trim_start().starts_with(name)).unwrap().to_owned();
    let value = |name: &str| line(name).split_once(": ").unwrap().1.to_owned();
    let damaged = |path: &str| Problem::Damaged { path: path.to_owned() };

    // One value in the place of another.
    let swapped = text.replace(&value("user:"), &value("password:"));
    assert_eq!(refused("secret-kubernetes", &swapped), damaged("stringData.user"));
    // One symbol of a value.
    let user = value("user:");
    let at = user.find("data:").unwrap() + 5;
    let other = if user.as_bytes()[at] == b'A' { "B" } else { "A" };
    let tampered = text.replace(&user, &format!("{}{other}{}", &user[..at], &user[at + 1..]));
    assert_eq!(refused("secret-kubernetes", &tampered), damaged("stringData.user"));
    // A value in plain text where one has to be encrypted, and the other way round.
    assert_eq!(
        refused("secret-kubernetes", &text.replace(&user, "hunter2")),
        Problem::NotEncrypted { path: "stringData.user".into() }
    );
    assert_eq!(refused("secret-kubernetes", &text.replace("name: login", "name: other")), Problem::Mac);
    // A value less.
    assert_eq!(refused("secret-kubernetes", &text.replace(&format!("{}\n", line("user:")), "")), Problem::Mac);
    // Another time, which is authenticated, and no code at all.
    let time = value("lastmodified:");
    assert_eq!(refused("secret-kubernetes", &text.replace(&time, "\"2020-01-01T00:00:00Z\"")), Problem::Mac);
    assert_eq!(refused("secret-kubernetes", &text.replace(&value("mac:"), "\"\"")), Problem::NoMac);
    let foreign = text.replace(&user, &user.replace("AES256_GCM", "NEW"));
    assert_eq!(refused("secret-kubernetes", &foreign), Problem::UnknownCipher { path: "stringData.user".into() });
    // A type that the value does not have.
    let number = text.replace(&user, &user.replace("type:str", "type:int"));
    assert_eq!(refused("secret-kubernetes", &number), Problem::Type { path: "stringData.user".into() });
    // Cut off.
    let half = &text[..text.find("sops:").unwrap()];
    assert_eq!(refused("secret-kubernetes", half), Problem::NoMetadata);
    // Two items of a list have one path: their order is in the code.
    let lists = one("shapes").encrypted;
    let items: Vec<&str> = lists
        .lines()
        .skip_while(|line| *line != "list:")
        .filter(|line| line.starts_with("    - ENC["))
        .take(4)
        .collect();
    let swapped = lists.replace(items[0], "@").replace(items[3], items[0]).replace('@', items[3]);
    assert_eq!(refused("shapes", &swapped), Problem::Mac);
}

#[test]
fn only_what_is_encrypted_counts_where_the_file_says_so() {
    let name = "secret-kubernetes-mac-only-encrypted";
    let text = one(name).encrypted.replace("name: login", "name: other");
    assert_eq!(objects(open(name, &text, &usual()).unwrap().reveal())[0].str_at(&["metadata", "name"]), Some("other"));
    assert_eq!(refused(name, &text.replace("mac_only_encrypted: true", "mac_only_encrypted: false")), Problem::Mac);
}

#[test]
fn an_envelope_that_was_changed_is_told_from_one_for_others() {
    let text = one("secret").encrypted;
    let header = text.find("-----BEGIN AGE").unwrap();
    // The first symbols of an armoured line decide what the header begins with.
    let at = header + text[header..].find("YWdl").unwrap();
    let broken = format!("{}ZZZZ{}", &text[..at], &text[at + 4..]);
    assert!(matches!(refused("secret", &broken), Problem::Envelope { .. }));
}

#[test]
fn keys_that_live_elsewhere_are_named() {
    let file = |field: &str| {
        format!(
            "a: ENC[AES256_GCM,data:AA==,iv:AA==,tag:AA==,type:str]\nsops:\n  {field}\n  lastmodified: '2024-01-01T00:00:00Z'\n  mac: ENC[]\n  version: 3.9.0\n"
        )
    };
    for (field, wanted) in [
        ("kms: [{arn: 'arn:aws:kms:eu-1:1:key/k', enc: x}]", "the AWS KMS key arn:aws:kms:eu-1:1:key/k"),
        ("gcp_kms: [{resource_id: projects/p, enc: x}]", "the Google Cloud KMS key projects/p"),
        ("azure_kv: [{vault_url: 'https://user:hunter2@v', name: n, version: w}]", "the Azure Key Vault key n/w"),
        ("hc_vault: [{vault_address: 'https://v', engine_path: sops, key_name: k}]", "the Vault key sops/k"),
        ("pgp: [{fp: ABCD, enc: x}]", "the PGP key ABCD"),
    ] {
        assert!(is_encrypted(file(field).as_bytes()));
        let error = decrypt("x", Format::Yaml, file(field).as_bytes(), &usual()).unwrap_err();
        let message = error.to_string();
        assert!(matches!(error.problem, Problem::NotForUs { .. }) && message.contains(wanted), "{message}");
        assert!(message.contains("--add-age") && !message.contains("hunter2"), "{message}");
    }
    let error = decrypt("x", Format::Yaml, file("age: []").as_bytes(), &usual()).unwrap_err();
    assert!(matches!(error.problem, Problem::Metadata(_)), "{error}");
}

#[test]
fn keys_are_read_and_not_shown() {
    let known = recipients();
    let both = keys(&["one", "ssh-ed25519"]);
    assert_eq!(both.recipients(), [&known.public["one"], &known.public["ssh-ed25519"]]);
    assert_eq!(both.identity(), keys(&["ssh-ed25519", "one", "one"]).identity());
    assert_ne!(both.identity(), keys(&["one"]).identity());
    let shown = format!("{both:?}");
    assert!(shown.contains(&known.public["one"]) && !shown.contains("SECRET"), "{shown}");

    let add = |text: &str| Keys::new().add(text.as_bytes()).unwrap_err();
    assert_eq!(add(""), KeyError::Empty);
    assert_eq!(add("# only a comment\n"), KeyError::Empty);
    assert_eq!(add("# x\nhunter2"), KeyError::NotAKey(2));
    let secret = known.secret["one"].lines().last().unwrap();
    assert_eq!(add(&secret[..secret.len() - 1]), KeyError::Damaged(1));
    assert_eq!(add(&known.secret["post-quantum"]), KeyError::Unsupported(3));
    assert_eq!(add(&known.secret["ssh-locked"]), KeyError::Ssh);
    assert_eq!(add("-----BEGIN PGP PRIVATE KEY BLOCK-----\n"), KeyError::Pgp);
}

#[test]
fn what_is_not_encrypted_is_not_taken_for_it() {
    for text in [
        "",
        "apiVersion: v1\nkind: ConfigMap\ndata:\n  sops: mac\n",
        "a:\n  sops:\n    mac: x\n    version: y\n",
        "sops: true\n",
        "tool: sops\nmac: x\nversion: y\n",
        "sops:\n  image: x\n  version: y\n",
        "{\"data\": {\"sops\": {\"mac\": 1}}}",
        "{\"sops\": 1, \"mac\": 2}",
        "A=sops_mac=1\n",
        "[other]\nmac = sops\n",
    ] {
        assert!(!is_encrypted(text.as_bytes()), "{text}");
    }
    assert!(is_encrypted(b"\xef\xbb\xbfa: b\n\"sops\":\n    'mac': x\n    version: y\n"));
    assert!(is_encrypted(b"{\"a\":1,\"sops\":{\"version\":\"3\",\"lastmodified\":\"x\"}}"));
}

#[test]
fn what_nests_or_multiplies_too_far_is_refused() {
    let keys = usual();
    let nested = format!("a: {}{}\n", "[".repeat(500), "]".repeat(500));
    let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..10 {
        let list = vec![format!("*a{}", level - 1); 9].join(", ");
        writeln!(bomb, "a{level}: &a{level} [{list}]").unwrap();
    }
    for text in [
        nested.as_str(),
        &bomb,
        "a: *b\n",
        "a: &a [*a]\n",
        "a: 1\na: 2\n",
        "1: x\n",
        "- a\n",
        "a: [!a, b]\n",
        "a: .inf\n",
    ] {
        let error = decrypt("x", Format::Yaml, text.as_bytes(), &keys).unwrap_err();
        assert!(matches!(error.problem, Problem::Malformed { .. }), "{error}");
    }
    let nested = format!("{{\"a\": {}{}}}", "[".repeat(500), "]".repeat(500));
    for text in [nested.as_str(), "{\"a\": 1, \"a\": 2}", "[]", "{\"a\": 1", "{\"a\": \"hunter2\"x}"] {
        let error = decrypt("x", Format::Json, text.as_bytes(), &keys).unwrap_err();
        assert!(
            matches!(error.problem, Problem::Malformed { .. }) && !error.to_string().contains("hunter2"),
            "{error}"
        );
    }
    let large = vec![b' '; trueup_sops::FILE_BYTES_MAX + 1];
    assert_eq!(decrypt("x", Format::Yaml, &large, &keys).unwrap_err().problem, Problem::TooLarge);
}

const FORMATS: [Format; 5] = [Format::Yaml, Format::Json, Format::Dotenv, Format::Ini, Format::Binary];

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_are_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let keys = keys(&["one"]);
        is_encrypted(&bytes);
        for format in FORMATS {
            prop_assert!(decrypt("x", format, &bytes, &keys).is_err());
        }
        prop_assert!(Keys::new().add(&bytes).is_err());
    }

    /// Nothing that was changed comes through with another value of what was encrypted.
    #[test]
    fn changed_files_are_refused_or_unchanged_in_what_counts(
        which in 0_usize..28, at in any::<prop::sample::Index>(), length in 0_usize..40, with in "[ -~\n]{0,12}",
    ) {
        let all = recorded();
        let one = &all[which.min(all.len() - 1)];
        let mut text = one.encrypted.clone().into_bytes();
        let start = at.index(text.len());
        let end = (start + length).min(text.len());
        text.splice(start..end, with.bytes());
        is_encrypted(&text);
        let secret = b"hunter2";
        match decrypt("x", format(one), &text, &usual()) {
            Err(error) => prop_assert!(!error.to_string().contains("hunter2")),
            Ok(answer) => {
                let wanted = from_base64(&one.decrypted);
                let has = |text: &[u8]| text.windows(secret.len()).any(|part| part == secret);
                prop_assert_eq!(has(answer.reveal()), has(&wanted));
            }
        }
    }
}
