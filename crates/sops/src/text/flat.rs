//! Metadata where maps cannot nest: `age__list_0__map_enc` is the field `enc` of the first item of `age`.
//!
//! Entry points: [`take_prefixed`] and [`unflatten`].

use std::collections::BTreeMap;

use crate::error::Problem;
use crate::value::{Entries, Value};

const MAP: &str = "__map_";
const LIST: &str = "__list_";
/// How deep the metadata nests: groups, their kinds of keys, their keys, and the fields of these, with room.
const DEPTH_MAX: usize = 8;

/// Takes out the entries whose names begin so, and the prefix from their names.
pub(crate) fn take_prefixed(entries: &mut Entries, prefix: &str) -> Entries {
    let taken = entries.extract_if(.., |(name, _)| name.starts_with(prefix));
    taken.map(|(name, value)| (name[prefix.len()..].to_owned(), value)).collect()
}

/// Puts together what was flattened.
pub(crate) fn unflatten(entries: Entries) -> Result<Entries, Problem> {
    let mut root = Branch::default();
    for (name, value) in entries {
        let value = match value {
            // INI has no line breaks, and SOPS no way of its own to write them there.
            Value::Text(text) => match std::str::from_utf8(&text) {
                Ok(text) => Value::text(text.replace("\\n", "\n")),
                Err(_) => Value::Text(text),
            },
            other => other,
        };
        root.place(&name, value, DEPTH_MAX).ok_or_else(|| Problem::metadata("its names do not fit together"))?;
    }
    match root.into_value() {
        Some(Value::Map(fields)) => Ok(fields),
        _ => Err(Problem::metadata("its names do not fit together")),
    }
}

#[derive(Default)]
struct Branch {
    value: Option<Value>,
    fields: BTreeMap<String, Self>,
    items: BTreeMap<usize, Self>,
}

// === impl Branch ===

impl Branch {
    fn place(&mut self, name: &str, value: Value, depth: usize) -> Option<()> {
        let next = [MAP, LIST].iter().filter_map(|separator| name.find(separator)).min().unwrap_or(name.len());
        let (step, rest) = name.split_at(next);
        self.fields.entry(step.to_owned()).or_default().place_below(rest, value, depth)
    }

    fn place_below(&mut self, rest: &str, value: Value, depth: usize) -> Option<()> {
        if rest.is_empty() {
            return self.value.replace(value).is_none().then_some(());
        }
        let depth = depth.checked_sub(1)?;
        if let Some(name) = rest.strip_prefix(MAP) {
            return self.place(name, value, depth);
        }
        let name = rest.strip_prefix(LIST)?;
        let next = [MAP, LIST].iter().filter_map(|separator| name.find(separator)).min().unwrap_or(name.len());
        let (item, rest) = name.split_at(next);
        self.items.entry(item.parse().ok()?).or_default().place_below(rest, value, depth)
    }

    /// None if it is several things at once, or a list with a gap.
    fn into_value(self) -> Option<Value> {
        match (self.value, self.fields.is_empty(), self.items.is_empty()) {
            (Some(value), true, true) => Some(value),
            (None, false, true) => {
                let fields = self.fields.into_iter().map(|(name, branch)| Some((name, branch.into_value()?)));
                fields.collect::<Option<_>>().map(Value::Map)
            }
            (None, true, false) => {
                let whole = self.items.keys().enumerate().all(|(at, item)| at == *item);
                let items = self.items.into_values().map(Self::into_value);
                whole.then(|| items.collect::<Option<_>>())?.map(Value::List)
            }
            _ => None,
        }
    }
}
