//! Builds values from the events of a YAML text.
//!
//! Keeps the anchors of one document and what its aliases have cost. Invariant: a value nests less than [`DEPTH_MAX`] deep, and
//! aliases multiply a text by no more than the limits here. Entry point: [`read`].

use std::borrow::Cow;
use std::cell::Cell;
use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use compact_str::CompactString;
use libyaml_safer::{Encoding, Event, EventData, Mark, Parser};

use super::scalar::{self, Scalar};
use super::{Document, YamlError};
use crate::node::DEPTH_MAX;
use crate::{Map, Node};

/// What is wrong with an alias of nothing.
const UNKNOWN_ANCHOR: &str =
    "an alias ('*') names an anchor that is not defined before it: define it, or quote the value if it begins with '*'";
/// The most values that anchors and aliases of one text may copy. As many as Go allows before it speaks of excessive aliasing.
const COPIED_VALUES_MAX: usize = 400_000;
/// The most bytes of strings that they may copy: many times the largest object that an API server takes (1.5 MiB).
const COPIED_BYTES_MAX: usize = 32 << 20;

/// Reads every document of a text; empty ones are dropped.
pub(super) fn read(text: &[u8]) -> Result<Vec<Document>, YamlError> {
    let text = decode(text)?;
    let line = Cell::new(1);
    // The parser panics on a few malformed texts, such as `[!a, b]`. It is dropped afterwards, so nothing half-done is seen.
    catch_unwind(AssertUnwindSafe(|| read_events(&text, &line))).unwrap_or_else(|_| {
        Err(YamlError::new(line.get(), "malformed after this line: quote strings that hold an exclamation mark"))
    })
}

fn read_events(text: &str, line: &Cell<usize>) -> Result<Vec<Document>, YamlError> {
    let text = end_line(text);
    let mut input = text.as_bytes();
    let mut parser = Parser::new();
    parser.set_encoding(Encoding::Utf8);
    parser.set_input_string(&mut input);
    let mut reader = Reader { parser, text: &text, line, anchors: HashMap::new(), cost: Cost::default() };
    let mut documents = Vec::new();
    loop {
        let event = reader.next()?;
        match event.data {
            EventData::StreamEnd => return Ok(documents),
            EventData::DocumentStart { .. } => {
                reader.anchors.clear();
                let event = reader.next()?;
                let line = reader.line.get();
                let node = reader.value(event, 0)?;
                if !node.is_null() {
                    documents.push(Document { node, line });
                }
            }
            _ => {}
        }
    }
}

/// The text with its last line ended, as Kubernetes hands it to its parser. (Ours could not read a block scalar whose last
/// line has no end.)
fn end_line(text: &str) -> Cow<'_, str> {
    if text.is_empty() || text.ends_with('\n') { Cow::Borrowed(text) } else { Cow::Owned(format!("{text}\n")) }
}

/// The text in UTF-8, without a byte order mark. UTF-16 with a mark is read too, as Go does.
fn decode(text: &[u8]) -> Result<Cow<'_, str>, YamlError> {
    let units = |pair: fn([u8; 2]) -> u16| -> Option<String> {
        let units: Vec<u16> = text[2..].chunks(2).map(|two| two.try_into().map(pair)).collect::<Result<_, _>>().ok()?;
        String::from_utf16(&units).ok()
    };
    let wide = match text {
        [0xff, 0xfe, ..] => units(u16::from_le_bytes),
        [0xfe, 0xff, ..] => units(u16::from_be_bytes),
        _ => {
            let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
            return std::str::from_utf8(text).map(Cow::Borrowed).map_err(|error| {
                YamlError::new(super::line_at(text, error.valid_up_to()), "the text is not UTF-8: save it as UTF-8")
            });
        }
    };
    wide.map(Cow::Owned)
        .ok_or_else(|| YamlError::new(1, "the text is not the UTF-16 that it begins as: save it as UTF-8"))
}

struct Reader<'r, 'b> {
    parser: Parser<&'b mut &'r [u8]>,
    text: &'r str,
    /// Where the last event began.
    line: &'r Cell<usize>,
    /// None while the value of the anchor is still being read.
    anchors: HashMap<String, Option<Anchored>>,
    cost: Cost,
}

/// A value that aliases can stand for.
struct Anchored {
    node: Node,
    size: Size,
}

/// How large a value is.
#[derive(Clone, Copy, Default)]
struct Size {
    values: usize,
    bytes: usize,
    depth: usize,
}

/// What was copied so far.
#[derive(Default)]
struct Cost {
    values: usize,
    bytes: usize,
}

// === impl Reader ===

impl Reader<'_, '_> {
    fn next(&mut self) -> Result<Event, YamlError> {
        let event =
            self.parser.parse().map_err(|error| YamlError::new(problem_line(&error, self.text), problem(&error)))?;
        self.line.set(line_of(event.start_mark));
        Ok(event)
    }

    /// The value that begins with this event, inside `depth` lists and maps.
    fn value(&mut self, event: Event, depth: usize) -> Result<Node, YamlError> {
        let line = self.line.get();
        match event.data {
            EventData::Alias { anchor } => self.alias(&anchor, line, depth),
            EventData::Scalar { anchor, tag, value, plain_implicit, .. } => {
                let scalar = self.scalar(anchor, tag.as_deref(), value, plain_implicit, line)?;
                scalar.into_node().map_err(|message| YamlError::new(line, message))
            }
            EventData::SequenceStart { anchor, .. } => {
                self.open(anchor.as_deref(), line, depth)?;
                let items = self.list(depth + 1)?;
                self.close(anchor, Node::List(items), line)
            }
            EventData::MappingStart { anchor, .. } => {
                self.open(anchor.as_deref(), line, depth)?;
                let entries = self.entries(depth + 1)?;
                self.close(anchor, Node::Map(entries.into_iter().collect()), line)
            }
            _ => Err(YamlError::new(line, "did not find expected node content")),
        }
    }

    fn scalar(
        &mut self,
        anchor: Option<String>,
        tag: Option<&str>,
        value: String,
        implicit: bool,
        line: usize,
    ) -> Result<Scalar, YamlError> {
        let scalar = scalar::resolve(tag, value, implicit).map_err(|message| YamlError::new(line, message))?;
        if let Some(anchor) = anchor {
            // A number that JSON lacks is refused where it is used as a value.
            let node = match &scalar {
                Scalar::Float(value) if !value.is_finite() => Node::Null,
                scalar => scalar.clone().into_node().map_err(|message| YamlError::new(line, message))?,
            };
            self.close(Some(anchor), node, line)?;
        }
        Ok(scalar)
    }

    fn list(&mut self, depth: usize) -> Result<Vec<Node>, YamlError> {
        let mut items = Vec::new();
        loop {
            let event = self.next()?;
            if matches!(event.data, EventData::SequenceEnd) {
                items.shrink_to_fit();
                return Ok(items);
            }
            items.push(self.value(event, depth)?);
        }
    }

    /// The entries of a map in the order in which they take effect: of several with one key the last one stays.
    fn entries(&mut self, depth: usize) -> Result<Vec<(CompactString, Node)>, YamlError> {
        let mut entries = Vec::new();
        loop {
            let event = self.next()?;
            let line = self.line.get();
            let key = match event.data {
                EventData::MappingEnd => return Ok(entries),
                EventData::Scalar { anchor, tag, value, plain_implicit, .. } => {
                    if value == "<<" && (plain_implicit || tag.as_deref() == Some(scalar::MERGE)) {
                        self.merge(&mut entries, depth)?;
                        continue;
                    }
                    self.scalar(anchor, tag.as_deref(), value, plain_implicit, line)?
                }
                EventData::Alias { anchor } => match self.alias(&anchor, line, depth)? {
                    Node::Null => Scalar::Null,
                    Node::Bool(value) => Scalar::Bool(value),
                    Node::Number(crate::Number::Int(value)) => Scalar::Int(value),
                    Node::Number(crate::Number::Uint(value)) => Scalar::Uint(value),
                    Node::Number(crate::Number::Float(value)) => Scalar::Float(value),
                    Node::String(text) => Scalar::String(text.into()),
                    Node::List(_) | Node::Map(_) => return Err(YamlError::new(line, NO_KEY)),
                },
                _ => return Err(YamlError::new(line, NO_KEY)),
            };
            let key = key.into_key().map_err(|message| YamlError::new(line, message))?;
            let event = self.next()?;
            entries.push((key.into(), self.value(event, depth)?));
        }
    }

    /// Reads the value of a merge key and takes its entries over, where they may replace earlier ones.
    fn merge(&mut self, entries: &mut Vec<(CompactString, Node)>, depth: usize) -> Result<(), YamlError> {
        const NO_MAP: &str = "a merge key needs a map, or a list of maps, as its value";
        let event = self.next()?;
        let line = self.line.get();
        // An alias of a list is no list of maps to Go.
        let alias = matches!(event.data, EventData::Alias { .. });
        let maps = match self.value(event, depth)? {
            Node::Map(map) => vec![map],
            Node::List(items) if !alias => items
                .into_iter()
                .map(|item| if let Node::Map(map) = item { Some(map) } else { None })
                .collect::<Option<Vec<Map>>>()
                .ok_or_else(|| YamlError::new(line, NO_MAP))?,
            _ => return Err(YamlError::new(line, NO_MAP)),
        };
        // Of several maps the first one wins.
        entries.extend(maps.into_iter().rev().flatten());
        Ok(())
    }

    fn alias(&mut self, anchor: &str, line: usize, depth: usize) -> Result<Node, YamlError> {
        match self.anchors.get(anchor) {
            // The name is not repeated: it may be a password that begins with '*'.
            None => Err(YamlError::new(line, UNKNOWN_ANCHOR)),
            Some(None) => Err(YamlError::new(line, "an anchor contains itself: take out the alias")),
            Some(Some(Anchored { node, size })) => {
                self.cost.add(*size, line)?;
                check_depth(depth + size.depth, line)?;
                Ok(node.clone())
            }
        }
    }

    /// Begins a list or a map.
    fn open(&mut self, anchor: Option<&str>, line: usize, depth: usize) -> Result<(), YamlError> {
        if let Some(anchor) = anchor {
            self.anchors.insert(anchor.to_owned(), None);
        }
        check_depth(depth + 1, line)
    }

    /// Ends a value: keeps it for aliases if it has an anchor.
    fn close(&mut self, anchor: Option<String>, node: Node, line: usize) -> Result<Node, YamlError> {
        if let Some(anchor) = anchor {
            let size = Size::of(&node);
            self.cost.add(size, line)?;
            self.anchors.insert(anchor, Some(Anchored { node: node.clone(), size }));
        }
        Ok(node)
    }
}

const NO_KEY: &str = "a key must be a string or a number, not a list or a map";

// === impl Size ===

impl Size {
    fn of(node: &Node) -> Self {
        let mut size = Self { values: 1, ..Self::default() };
        match node {
            Node::String(text) => size.bytes = text.len(),
            Node::List(items) => items.iter().for_each(|item| size.hold(Self::of(item), 0)),
            Node::Map(map) => map.iter().for_each(|(key, value)| size.hold(Self::of(value), key.len())),
            Node::Null | Node::Bool(_) | Node::Number(_) => {}
        }
        size.depth += usize::from(matches!(node, Node::List(_) | Node::Map(_)));
        size
    }

    fn hold(&mut self, inner: Self, key_bytes: usize) {
        self.values += inner.values;
        self.bytes += inner.bytes + key_bytes;
        self.depth = self.depth.max(inner.depth);
    }
}

// === impl Cost ===

impl Cost {
    fn add(&mut self, size: Size, line: usize) -> Result<(), YamlError> {
        self.values += size.values;
        self.bytes += size.bytes;
        if self.values > COPIED_VALUES_MAX || self.bytes > COPIED_BYTES_MAX {
            return Err(YamlError::new(
                line,
                "aliases make the text too large: write the values out, or split the file",
            ));
        }
        Ok(())
    }
}

/// As deep as JSON is read: a value that was read here can be read back from its JSON.
fn check_depth(depth: usize, line: usize) -> Result<(), YamlError> {
    if depth < DEPTH_MAX {
        Ok(())
    } else {
        Err(YamlError::new(line, format!("lists and maps nest {DEPTH_MAX} levels deep or more: that is too deep")))
    }
}

fn line_of(mark: Mark) -> usize {
    usize::try_from(mark.line).unwrap_or(usize::MAX - 1) + 1
}

/// Where the parser met the problem.
fn problem_line(error: &libyaml_safer::Error, text: &str) -> usize {
    if let Some(mark) = error.problem_mark() {
        return line_of(mark);
    }
    // A character that may not be in a text at all: the parser does not tell its line.
    let refused = |c: char| (c.is_control() && !matches!(c, '\t' | '\n' | '\r' | '\u{85}')) || c == '\u{ffff}';
    super::line_at(text.as_bytes(), text.find(refused).unwrap_or(text.len()))
}

/// What the problem is, and what to do where that is known.
fn problem(error: &libyaml_safer::Error) -> String {
    let problem = match (error.context(), error.context_mark(), error.problem_mark()) {
        (Some(context), Some(from), Some(at)) if from.line != at.line => {
            format!("{}, {context} from line {}", error.problem(), line_of(from))
        }
        _ => error.problem().to_owned(),
    };
    match error.problem() {
        "found character that cannot start any token" => {
            format!("{problem}: indent with spaces, not tabs, and quote values that begin with @, ` or %")
        }
        "mapping values are not allowed in this context" => {
            format!("{problem}: check the indentation, and quote values that hold a colon and a space")
        }
        "did not find expected key" | "could not find expected ':'" => format!("{problem}: check the indentation"),
        _ => problem,
    }
}
