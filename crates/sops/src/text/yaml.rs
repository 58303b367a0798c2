//! YAML in the order of the file, as SOPS reads it: aliases are written out, and `<<` is a key like any other until it is printed.
//!
//! Keeps the anchors of one document. Invariant: a value nests less than [`DEPTH_MAX`] deep, and aliases multiply a text by no
//! more than the limits here. Entry points: [`read`] and [`print`].

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use libyaml_safer::{Encoding, Event, EventData, Parser};
use trueup_object::node::DEPTH_MAX;
use trueup_object::{Map, Node, Number};
use zeroize::Zeroizing;

use super::scalar;
use crate::error::Problem;
use crate::value::{Entries, TWICE, Value, has_duplicates};

/// The most values that a file may hold, those that aliases stand for among them: as many as the reader of manifests copies.
const VALUES_MAX: usize = 400_000;
/// The most bytes that aliases may stand for: many times the largest object that an API server takes (1.5 MiB).
const COPIED_BYTES_MAX: usize = 32 << 20;
const MERGE: &str = "<<";

/// Reads every document of a text; empty ones are dropped.
pub(crate) fn read(text: &[u8]) -> Result<Vec<Entries>, Problem> {
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    let text = std::str::from_utf8(text).map_err(|_| malformed(0, "it is not UTF-8"))?;
    // A block whose last line has no end could not be read.
    let mut ended = Zeroizing::new(String::with_capacity(text.len() + 1));
    ended.push_str(text);
    ended.push('\n');
    // The parser panics on a few malformed texts, such as `[!a, b]`. It is dropped afterwards, so nothing half-done is seen.
    catch_unwind(AssertUnwindSafe(|| read_events(&ended)))
        .unwrap_or_else(|_| Err(malformed(0, "quote texts that hold an exclamation mark")))
}

/// Prints the documents as Kubernetes does.
pub(crate) fn print(documents: &[Entries]) -> Result<Zeroizing<Vec<u8>>, Problem> {
    let mut text = Zeroizing::new(Vec::new());
    for (at, document) in documents.iter().filter(|document| !document.is_empty()).enumerate() {
        if at > 0 {
            text.extend_from_slice(b"---\n");
        }
        let printed = Zeroizing::new(trueup_object::yaml::print(&node_of_map(document)?));
        text.extend_from_slice(printed.as_bytes());
    }
    Ok(text)
}

fn read_events(text: &str) -> Result<Vec<Entries>, Problem> {
    let mut input = text.as_bytes();
    let mut parser = Parser::new();
    parser.set_encoding(Encoding::Utf8);
    parser.set_input_string(&mut input);
    let mut reader = Reader { parser, line: 1, anchors: HashMap::new(), values: 0, copied_bytes: 0 };
    let mut documents = Vec::new();
    loop {
        match reader.next()?.data {
            EventData::StreamEnd => return Ok(documents),
            EventData::DocumentStart { .. } => {
                reader.anchors.clear();
                let event = reader.next()?;
                match reader.value(event, 0)? {
                    Value::Map(entries) => documents.push(entries),
                    Value::Null => {}
                    _ => return Err(malformed(reader.line, "a document is no map, and SOPS encrypts maps only")),
                }
            }
            _ => {}
        }
    }
}

struct Reader<'r, 'b> {
    parser: Parser<&'b mut &'r [u8]>,
    /// Where the last event began.
    line: usize,
    /// None while the value of the anchor is still being read.
    anchors: HashMap<String, Option<Value>>,
    values: usize,
    copied_bytes: usize,
}

// === impl Reader ===

impl Reader<'_, '_> {
    fn next(&mut self) -> Result<Event, Problem> {
        let event = self.parser.parse().map_err(|error| {
            let mark = error.problem_mark().map_or(self.line, |mark| line_of(mark.line));
            malformed(mark, error.problem())
        })?;
        self.line = line_of(event.start_mark.line);
        Ok(event)
    }

    /// The value that begins with this event, inside `depth` lists and maps.
    fn value(&mut self, event: Event, depth: usize) -> Result<Value, Problem> {
        self.count(1, 0)?;
        match event.data {
            EventData::Alias { anchor } => self.alias(&anchor, depth),
            EventData::Scalar { anchor, tag, value, plain_implicit, .. } => {
                let value = scalar::resolve(tag.as_deref(), value, plain_implicit)
                    .map_err(|message| malformed(self.line, message))?;
                self.close(anchor, value)
            }
            EventData::SequenceStart { anchor, .. } => {
                self.open(anchor.as_ref(), depth)?;
                let mut items = Vec::new();
                loop {
                    let event = self.next()?;
                    if matches!(event.data, EventData::SequenceEnd) {
                        break;
                    }
                    items.push(self.value(event, depth + 1)?);
                }
                self.close(anchor, Value::List(items))
            }
            EventData::MappingStart { anchor, .. } => {
                self.open(anchor.as_ref(), depth)?;
                let entries = self.entries(depth + 1)?;
                self.close(anchor, Value::Map(entries))
            }
            _ => Err(malformed(self.line, "did not find expected node content")),
        }
    }

    fn entries(&mut self, depth: usize) -> Result<Entries, Problem> {
        let mut entries = Entries::new();
        loop {
            let event = self.next()?;
            if matches!(event.data, EventData::MappingEnd) {
                if has_duplicates(&entries) {
                    return Err(malformed(self.line, TWICE));
                }
                return Ok(entries);
            }
            let line = self.line;
            let key = match self.value(event, depth)? {
                Value::Text(text) => String::from_utf8(text.to_vec()).ok(),
                _ => None,
            };
            let key = key.ok_or_else(|| malformed(line, "a key is no text, and SOPS takes only those: quote it"))?;
            let event = self.next()?;
            entries.push((key, self.value(event, depth)?));
        }
    }

    fn alias(&mut self, anchor: &str, depth: usize) -> Result<Value, Problem> {
        // The name is not repeated: it may be a password that begins with '*'.
        let value = match self.anchors.get(anchor) {
            Some(Some(value)) => value,
            Some(None) => return Err(malformed(self.line, "an anchor contains itself: take out the alias")),
            None => {
                return Err(malformed(
                    self.line,
                    "an alias ('*') names an anchor that is not defined before it: define it, or quote the value",
                ));
            }
        };
        let size = Size::of(value);
        self.count(size.values, size.bytes)?;
        self.check_depth(depth + size.depth)?;
        match self.anchors.get(anchor) {
            Some(Some(value)) => Ok(copy(value)),
            _ => Ok(Value::Null),
        }
    }

    /// Begins a list or a map.
    fn open(&mut self, anchor: Option<&String>, depth: usize) -> Result<(), Problem> {
        if let Some(anchor) = anchor {
            self.anchors.insert(anchor.clone(), None);
        }
        self.check_depth(depth + 1)
    }

    /// Ends a value: keeps it for aliases if it has an anchor.
    fn close(&mut self, anchor: Option<String>, value: Value) -> Result<Value, Problem> {
        if let Some(anchor) = anchor {
            let size = Size::of(&value);
            self.count(size.values, size.bytes)?;
            self.anchors.insert(anchor, Some(copy(&value)));
        }
        Ok(value)
    }

    fn count(&mut self, values: usize, copied_bytes: usize) -> Result<(), Problem> {
        self.values += values;
        self.copied_bytes += copied_bytes;
        if self.values > VALUES_MAX || self.copied_bytes > COPIED_BYTES_MAX {
            return Err(malformed(
                self.line,
                "it holds more than 400,000 values, or 32 MiB behind aliases: split the file",
            ));
        }
        Ok(())
    }

    fn check_depth(&self, depth: usize) -> Result<(), Problem> {
        if depth < DEPTH_MAX {
            Ok(())
        } else {
            Err(malformed(self.line, &format!("lists and maps nest {DEPTH_MAX} levels deep or more: that is too deep")))
        }
    }
}

/// How large a value is.
#[derive(Default)]
struct Size {
    values: usize,
    bytes: usize,
    depth: usize,
}

// === impl Size ===

impl Size {
    fn of(value: &Value) -> Self {
        let mut size = Self { values: 1, ..Self::default() };
        match value {
            Value::Text(text) => size.bytes = text.len(),
            Value::List(items) => items.iter().for_each(|item| size.hold(&Self::of(item), 0)),
            Value::Map(entries) => entries.iter().for_each(|(key, value)| size.hold(&Self::of(value), key.len())),
            Value::Null | Value::Bool(_) | Value::Int(_) | Value::Float(_) => {}
        }
        size.depth += usize::from(matches!(value, Value::List(_) | Value::Map(_)));
        size
    }

    fn hold(&mut self, inner: &Self, key_bytes: usize) {
        self.values += inner.values;
        self.bytes += inner.bytes + key_bytes;
        self.depth = self.depth.max(inner.depth);
    }
}

fn copy(value: &Value) -> Value {
    match value {
        Value::Null => Value::Null,
        Value::Bool(value) => Value::Bool(*value),
        Value::Int(value) => Value::Int(*value),
        Value::Float(value) => Value::Float(*value),
        Value::Text(text) => Value::Text(text.clone()),
        Value::List(items) => Value::List(items.iter().map(copy).collect()),
        Value::Map(entries) => Value::Map(entries.iter().map(|(key, value)| (key.clone(), copy(value))).collect()),
    }
}

fn node(path: &str, value: &Value) -> Result<Node, Problem> {
    let unprintable = |message| Problem::Unprintable { path: path.to_owned(), message };
    Ok(match value {
        Value::Null => Node::Null,
        Value::Bool(value) => Node::Bool(*value),
        Value::Int(value) => Node::Number(Number::Int(*value)),
        Value::Float(value) => Node::Number(Number::from_f64(*value).ok_or_else(|| unprintable("no finite number"))?),
        Value::Text(text) => {
            let text = std::str::from_utf8(text).map_err(|_| unprintable("it is not UTF-8: encrypt it as base64"))?;
            Node::string(text)
        }
        Value::List(items) => Node::List(items.iter().map(|item| node(path, item)).collect::<Result<_, _>>()?),
        Value::Map(entries) => node_of_map(entries)?,
    })
}

/// SOPS prints a key `<<` so that it is read as a merge, however it was written: here it is merged, as Kubernetes would.
fn node_of_map(entries: &[(String, Value)]) -> Result<Node, Problem> {
    let mut nodes = Vec::with_capacity(entries.len());
    for (key, value) in entries {
        let value = node(key, value)?;
        match value {
            Node::Map(map) if key == MERGE => nodes.extend(map),
            Node::List(items) if key == MERGE && items.iter().all(|item| item.as_map().is_some()) => {
                // Of several maps the first one wins.
                let maps =
                    items.into_iter().rev().filter_map(|item| if let Node::Map(map) = item { Some(map) } else { None });
                nodes.extend(maps.flatten());
            }
            value => nodes.push((key.as_str().into(), value)),
        }
    }
    Ok(Node::Map(nodes.into_iter().collect::<Map>()))
}

fn line_of(line: u64) -> usize {
    usize::try_from(line).unwrap_or(usize::MAX - 1) + 1
}

fn malformed(line: usize, message: &str) -> Problem {
    Problem::Malformed { format: "YAML", line, message: message.to_owned() }
}
