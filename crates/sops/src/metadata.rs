//! What SOPS adds to a file: for whom it is encrypted, by which rule, and its message authentication code.
//!
//! Entry points: [`Metadata::read`] and [`Metadata::data_key`].

use zeroize::Zeroizing;

use crate::age;
use crate::error::Problem;
use crate::keys::Keys;
use crate::rule::Rule;
use crate::shamir;
use crate::timestamp;
use crate::value::{Entries, Value};

/// The most keys that a file may be encrypted for: each is tried with each of ours.
const RECIPIENTS_MAX: usize = 256;
/// The kinds of keys that live elsewhere: the field of the metadata, what it is called, and what names one of them.
const ELSEWHERE: [(&str, &str, &[&str]); 6] = [
    ("pgp", "the PGP key", &["fp"]),
    ("kms", "the AWS KMS key", &["arn"]),
    ("gcp_kms", "the Google Cloud KMS key", &["resource_id"]),
    ("azure_kv", "the Azure Key Vault key", &["name", "version"]),
    ("hc_vault", "the Vault key", &["engine_path", "key_name"]),
    ("hckms", "the Huawei Cloud KMS key", &["key_id"]),
];

/// The metadata of one file.
pub(crate) struct Metadata {
    groups: Vec<Vec<Recipient>>,
    /// How many of the groups it takes, if there are several.
    threshold: usize,
    pub(crate) rule: Rule,
    pub(crate) mac: String,
    pub(crate) mac_only_encrypted: bool,
    /// As Go prints it: it is authenticated along with the code.
    pub(crate) last_modified: String,
}

/// One of those for whom the data key, or a part of it, is encrypted.
enum Recipient {
    Age { name: String, envelope: String },
    Elsewhere(String),
}

// === impl Metadata ===

impl Metadata {
    pub(crate) fn read(fields: &Entries) -> Result<Self, Problem> {
        let top = recipients(fields)?;
        let groups = match field(fields, "key_groups") {
            _ if !top.is_empty() => vec![top],
            Some(Value::List(groups)) => groups
                .iter()
                .map(|group| match group {
                    Value::Map(group) => recipients(group),
                    _ => Err(Problem::metadata("key_groups has an item that is no map")),
                })
                .collect::<Result<_, _>>()?,
            _ => Vec::new(),
        };
        let count: usize = groups.iter().map(Vec::len).sum();
        if count == 0 {
            return Err(Problem::metadata("it names nobody for whom the file is encrypted"));
        }
        if count > RECIPIENTS_MAX || groups.len() > RECIPIENTS_MAX {
            return Err(Problem::metadata(format!("it names more than {RECIPIENTS_MAX} keys")));
        }
        let last_modified = timestamp::to_the_second(text(fields, "lastmodified"))
            .ok_or_else(|| Problem::metadata("lastmodified is no time"))?;
        Ok(Self {
            groups,
            threshold: whole(fields, "shamir_threshold")?,
            rule: Rule::new(|name| text(fields, name))?,
            mac: text(fields, "mac").to_owned(),
            mac_only_encrypted: truth(fields, "mac_only_encrypted")?,
            last_modified,
        })
    }

    /// Opens the data key with one of the keys, or with several where it takes several.
    pub(crate) fn data_key(&self, keys: &Keys) -> Result<Zeroizing<Vec<u8>>, Problem> {
        let mut parts = Vec::new();
        let mut damaged = None;
        for group in &self.groups {
            for recipient in group {
                let Recipient::Age { name, envelope } = recipient else { continue };
                match age::open(envelope, keys.identities()) {
                    Ok(part) => {
                        parts.push(part);
                        break;
                    }
                    Err(age::AgeError::NoKeyFits) => {}
                    Err(age::AgeError::Damaged(message)) => {
                        damaged.get_or_insert(Problem::Envelope { recipient: name.clone(), message });
                    }
                }
            }
        }
        let several = self.groups.len() > 1;
        // SOPS wants all groups where the file does not say, and two points make the simplest curve.
        let needed = match self.threshold {
            _ if !several => 1,
            0 => self.groups.len(),
            threshold => threshold.max(2),
        };
        if parts.len() < needed {
            return Err(damaged.unwrap_or_else(|| self.unopened(keys, parts.len(), needed)));
        }
        if several {
            return shamir::combine(&parts).ok_or(Problem::DataKey);
        }
        parts.pop().ok_or(Problem::DataKey)
    }

    /// Why the data key could not be opened.
    fn unopened(&self, keys: &Keys, opened: usize, needed: usize) -> Problem {
        let all = || self.groups.iter().flatten();
        let recipients = all().map(Recipient::name).collect::<Vec<_>>().join(", ");
        if !all().any(|recipient| matches!(recipient, Recipient::Age { .. })) {
            Problem::NotForUs { recipients }
        } else if keys.is_empty() {
            Problem::NoKeys { recipients }
        } else {
            Problem::NoKeyFits { recipients, keys: keys.recipients().join(", "), opened, needed }
        }
    }
}

// === impl Recipient ===

impl Recipient {
    fn name(&self) -> &str {
        match self {
            Self::Age { name, .. } | Self::Elsewhere(name) => name,
        }
    }
}

/// For whom one group is encrypted.
fn recipients(group: &Entries) -> Result<Vec<Recipient>, Problem> {
    let mut recipients = Vec::new();
    for entry in list(group, "age")? {
        let name = text(entry, "recipient").to_owned();
        recipients.push(Recipient::Age { name, envelope: text(entry, "enc").to_owned() });
    }
    for (kind, called, naming) in ELSEWHERE {
        for entry in list(group, kind)? {
            let names: Vec<&str> = naming.iter().map(|name| text(entry, name)).collect();
            recipients.push(Recipient::Elsewhere(format!("{called} {}", names.join("/"))));
        }
    }
    Ok(recipients)
}

/// The maps in a list.
fn list<'f>(fields: &'f Entries, name: &'static str) -> Result<Vec<&'f Entries>, Problem> {
    let no_list = || Problem::metadata(format!("{name} is no list of maps"));
    match field(fields, name) {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::List(items)) => {
            items.iter().map(|item| if let Value::Map(entry) = item { Ok(entry) } else { Err(no_list()) }).collect()
        }
        Some(_) => Err(no_list()),
    }
}

fn field<'f>(fields: &'f Entries, name: &str) -> Option<&'f Value> {
    fields.iter().find(|(key, _)| key == name).map(|(_, value)| value)
}

/// A text; empty if it is missing or something else.
fn text<'f>(fields: &'f Entries, name: &str) -> &'f str {
    match field(fields, name) {
        Some(Value::Text(text)) => std::str::from_utf8(text).unwrap_or_default(),
        _ => "",
    }
}

/// A whole number, or one as text as dotenv and INI have it; 0 if it is missing.
fn whole(fields: &Entries, name: &'static str) -> Result<usize, Problem> {
    let value = match field(fields, name) {
        None | Some(Value::Null) => Some(0),
        Some(Value::Int(value)) => usize::try_from(*value).ok(),
        Some(Value::Text(_)) => text(fields, name).parse().ok(),
        Some(_) => None,
    };
    value.ok_or_else(|| Problem::metadata(format!("{name} is no whole number")))
}

/// True or false, or either as text; false if it is missing.
fn truth(fields: &Entries, name: &'static str) -> Result<bool, Problem> {
    let value = match field(fields, name) {
        None | Some(Value::Null) => Some(false),
        Some(Value::Bool(value)) => Some(*value),
        Some(Value::Text(_)) => match text(fields, name) {
            "true" | "True" | "TRUE" | "1" => Some(true),
            "false" | "False" | "FALSE" | "0" | "" => Some(false),
            _ => None,
        },
        Some(_) => None,
    };
    value.ok_or_else(|| Problem::metadata(format!("{name} is neither true nor false")))
}
