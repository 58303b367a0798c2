//! From the text of a file to manifests.
//!
//! A YAML file that has nothing to do with Kubernetes is passed over, as Argo CD does; one that may be meant as a manifest and
//! is broken is an error, because its objects would otherwise look deleted. Of what a tool made, everything is meant. Entry points:
//! [`read`] and [`read_documents`].

use std::borrow::Cow;

use trueup_api::annotations;
use trueup_object::{Manifest, Node, yaml};

use crate::tree::join;
use crate::view::View;
use crate::walk::{Choice, Format};
use crate::workers::Document;
use crate::{RenderError, Rendered, Tool};

/// Bytes of all manifest files of an application together, as Argo CD's default of 10M.
pub(crate) const FILES_BYTES_MAX: u64 = 10_000_000;
/// Bytes of all objects of an application as JSON. Aliases let a file grow when it is read; this is what stays in memory.
const OBJECTS_BYTES_MAX: usize = 32 * 1024 * 1024;
/// Objects of an application: the status lists each with some 100 bytes, and etcd takes 1.5 MB per object.
const OBJECTS_MAX: usize = 15_000;
/// A file that has this text anywhere is passed over.
const SKIP: &[u8] = b"+argocd:skip-file-rendering";
/// What makes a generated name harmless: a hook is created once per sync on purpose.
const HOOKS: [&str; 2] = [annotations::HOOK, annotations::HELM_HOOK];

/// Makes documents and warnings of a Jsonnet file, given its path and its name for people.
pub(crate) type Evaluate<'a> =
    dyn FnMut(&mut View, &str, &str) -> Result<(Vec<Document>, Vec<String>), RenderError> + 'a;

/// Reads the chosen files of a directory at `top`; Jsonnet files give what `evaluate` makes of them.
pub(crate) fn read(
    view: &mut View,
    top: &str,
    choice: Choice,
    evaluate: &mut Evaluate,
) -> Result<Rendered, RenderError> {
    // Jsonnet is a program, whose result counts elsewhere.
    let bytes: u64 =
        choice.files.iter().filter(|chosen| chosen.format != Format::Jsonnet).map(|chosen| chosen.size).sum();
    if bytes > FILES_BYTES_MAX {
        return Err(RenderError::TooLarge {
            what: format!("the manifest files have {bytes} bytes"),
            limit: format!("{FILES_BYTES_MAX} bytes"),
        });
    }
    let tree = &view.present().trees.own;
    let (mut reader, mut warnings) = (Reader::default(), choice.warnings);
    for chosen in &choice.files {
        let path = join(top, &chosen.path);
        let text = tree.read(&path, FILES_BYTES_MAX)?;
        let text = view.decrypt(&path, text)?;
        let text = utf8(&text);
        if find(&text, SKIP) {
            continue;
        }
        match chosen.format {
            Format::Jsonnet => {
                let (documents, told) = evaluate(view, &path, &chosen.path)?;
                warnings.extend(told);
                for document in documents {
                    reader.json(&chosen.path, document.text.as_bytes())?;
                }
            }
            Format::Json => reader.json(&chosen.path, &text)?,
            Format::Yaml => reader.yaml(&chosen.path, &text)?,
        }
    }
    Ok(Rendered::new(Tool::Directory, reader.manifests, warnings))
}

/// Reads what a tool made: every document is an object, or empty.
pub(crate) fn read_documents(
    tool: Tool,
    documents: &[Document],
    warnings: Vec<String>,
) -> Result<Rendered, RenderError> {
    let mut reader = Reader::default();
    for document in documents {
        let file = if document.file.is_empty() { tool.name() } else { &document.file };
        let read = yaml::documents(document.text.as_bytes()).map_err(|error| RenderError::Syntax {
            file: file.to_owned(),
            line: error.line,
            message: error.message,
        })?;
        for document in read {
            // Comments and separators of templates that render to nothing.
            if !document.node.is_null() {
                reader.object(file, document.line, document.node).map_err(|error| made(tool, error))?;
            }
        }
    }
    Ok(Rendered::new(tool, reader.manifests, warnings))
}

/// What is wrong with an object that a tool made: no file can be left out for it.
fn made(tool: Tool, error: RenderError) -> RenderError {
    let RenderError::NotAnObject { file, line, reason } = error else { return error };
    RenderError::Failed {
        tool: tool.name(),
        message: format!("{file}, line {line} of what it renders to: not a Kubernetes object: {reason}"),
    }
}

/// Reads manifests that somebody brings along, each text as a file of YAML or JSON.
pub fn of_texts(texts: &[String]) -> Result<Rendered, RenderError> {
    let bytes: usize = texts.iter().map(String::len).sum();
    if bytes as u64 > FILES_BYTES_MAX {
        return Err(RenderError::TooLarge {
            what: format!("the manifests have {bytes} bytes"),
            limit: format!("{FILES_BYTES_MAX} bytes"),
        });
    }
    let mut reader = Reader::default();
    for (at, text) in texts.iter().enumerate() {
        let (file, before) = (format!("manifest {}", at + 1), reader.manifests.len());
        reader.yaml(&file, text.as_bytes())?;
        // A file may be about something else; a manifest that is none is a mistake, whose object would look deleted.
        if reader.manifests.len() == before {
            let message = "no object: apiVersion, kind and metadata.name are required".to_owned();
            return Err(RenderError::Syntax { file, line: 1, message });
        }
    }
    Ok(Rendered::new(Tool::Directory, reader.manifests, Vec::new()))
}

#[derive(Default)]
struct Reader {
    manifests: Vec<Manifest>,
    bytes: usize,
}

impl Reader {
    fn json(&mut self, file: &str, text: &[u8]) -> Result<(), RenderError> {
        let node: Node = serde_json::from_slice(text).map_err(|error| RenderError::Syntax {
            file: file.to_owned(),
            line: error.line(),
            message: json_message(&error),
        })?;
        self.object(file, 1, node)
    }

    fn yaml(&mut self, file: &str, text: &[u8]) -> Result<(), RenderError> {
        let documents = match yaml::documents(text) {
            Ok(documents) => documents,
            Err(error) if mentions_an_object(text) => {
                return Err(RenderError::Syntax { file: file.to_owned(), line: error.line, message: error.message });
            }
            Err(_) => return Ok(()),
        };
        let is_alien = documents.iter().all(|document| !has_kind(&document.node) && !lacks_only_a_kind(&document.node));
        if is_alien && !mentions_an_object(text) {
            return Ok(());
        }
        documents.into_iter().try_for_each(|document| self.object(file, document.line, document.node))
    }

    /// Takes in an object, or the objects of a list.
    fn object(&mut self, file: &str, line: usize, mut node: Node) -> Result<(), RenderError> {
        if has_kind(&node) {
            if let Some(items) = node.as_map_mut().and_then(|map| map.get_mut("items")?.as_list_mut()) {
                return std::mem::take(items).into_iter().try_for_each(|item| self.object(file, line, item));
            }
            // An empty list, as Go prints it.
            if node.get("items").is_some_and(Node::is_null)
                && node.get("spec").is_none()
                && node.get("status").is_none()
            {
                return Ok(());
            }
        }
        let name = name(&node);
        let manifest = Manifest::try_from(node).map_err(|error| RenderError::NotAnObject {
            file: file.to_owned(),
            line,
            reason: format!("{error}{name}"),
        })?;
        if manifest.name().is_empty() && !HOOKS.iter().any(|hook| manifest.annotation(hook).is_some()) {
            return Err(RenderError::GeneratedName { file: file.to_owned(), line, kind: manifest.kind().to_owned() });
        }
        self.bytes += manifest.node().to_json().len();
        if self.bytes > OBJECTS_BYTES_MAX {
            let limit = format!("{OBJECTS_BYTES_MAX} bytes");
            return Err(RenderError::TooLarge { what: "the objects, written as JSON,".to_owned(), limit });
        }
        if self.manifests.len() == OBJECTS_MAX {
            return Err(RenderError::TooLarge { what: "objects".to_owned(), limit: OBJECTS_MAX.to_string() });
        }
        self.manifests.push(manifest);
        Ok(())
    }
}

/// What is known of an object that is none, for the one who looks for it.
fn name(node: &Node) -> String {
    let parts = [("kind", node.str_at(&["kind"])), ("name", node.str_at(&["metadata", "name"]))];
    let known: Vec<String> = parts.iter().filter_map(|(what, text)| Some(format!("{what} '{}'", (*text)?))).collect();
    if known.is_empty() { String::new() } else { format!(" ({})", known.join(", ")) }
}

fn has_kind(node: &Node) -> bool {
    node.str_at(&["kind"]).is_some_and(|kind| !kind.is_empty())
}

/// Nothing but a manifest has both of these.
fn lacks_only_a_kind(node: &Node) -> bool {
    node.get("apiVersion").is_some() && node.get("metadata").is_some()
}

/// Whether a text has all three keys of an object, bare or in quotes.
fn mentions_an_object(text: &[u8]) -> bool {
    ["apiVersion", "kind", "metadata"].iter().all(|key| {
        let mut rest = text;
        while let Some(at) = position(rest, key.as_bytes()) {
            rest = &rest[at + key.len()..];
            let behind = rest.iter().find(|byte| !matches!(byte, b' ' | b'"' | b'\''));
            if behind == Some(&b':') {
                return true;
            }
        }
        false
    })
}

fn find(text: &[u8], words: &[u8]) -> bool {
    position(text, words).is_some()
}

fn position(text: &[u8], words: &[u8]) -> Option<usize> {
    let first = words.first()?;
    let mut from = 0;
    loop {
        from += text.get(from..)?.iter().position(|byte| byte == first)?;
        if text[from..].starts_with(words) {
            return Some(from);
        }
        from += 1;
    }
}

/// The text without a byte order mark; UTF-16, which some editors of Windows write, becomes UTF-8. Taken for garbage instead, it
/// would be passed over like a file that has nothing to do with Kubernetes.
fn utf8(text: &[u8]) -> Cow<'_, [u8]> {
    let decoded = |text: &[u8], unit: fn([u8; 2]) -> u16| {
        let units = text.chunks(2).map(|pair| unit([pair[0], pair.get(1).copied().unwrap_or(0)]));
        char::decode_utf16(units).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)).collect::<String>().into_bytes()
    };
    match text {
        [0xef, 0xbb, 0xbf, rest @ ..] => Cow::Borrowed(rest),
        [0xff, 0xfe, rest @ ..] => Cow::Owned(decoded(rest, u16::from_le_bytes)),
        [0xfe, 0xff, rest @ ..] => Cow::Owned(decoded(rest, u16::from_be_bytes)),
        text => Cow::Borrowed(text),
    }
}

/// What is wrong with a JSON text, without the place, which is told beside it.
fn json_message(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let text = text.rsplit_once(" at line ").map_or(text.as_str(), |(message, _)| message);
    if text == "trailing characters" {
        return "something stands behind the object: a .json file holds exactly one object".to_owned();
    }
    format!("not valid JSON: {text}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_mentions_an_object_by_its_three_keys() {
        let table = [
            ("apiVersion: v1\nkind: A\nmetadata:\n  name: {{ a }}", true),
            (r#"{"apiVersion": "v1", "kind": "A", "metadata": {"#, true),
            ("'apiVersion' : v1\nkind: A\nmetadata: a: b", true),
            ("kinds of metadata: x\napiVersion: v1", false),
            ("apiVersion: v2\nname: chart", false),
            ("", false),
        ];
        for (text, expected) in table {
            assert_eq!(mentions_an_object(text.as_bytes()), expected, "{text}");
        }
    }

    #[test]
    fn manifests_that_somebody_brings_along_are_read_as_files_are() {
        let of = |texts: &[&str]| of_texts(&texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>());
        let two = "apiVersion: v1\nkind: A\nmetadata: {name: a}\n---\napiVersion: v1\nkind: A\nmetadata: {name: b}\n";
        let read = of(&[two, r#"{"apiVersion":"v1","kind":"A","metadata":{"name":"c"}}"#]).unwrap();
        assert_eq!(read.manifests.iter().map(Manifest::name).collect::<Vec<_>>(), ["a", "b", "c"]);
        let error = of(&[two, "apiVersion: v1\nkind: A\nmetadata: ["]).unwrap_err().to_string();
        assert!(error.contains("manifest 2"), "{error}");
        for nothing in ["", "a: b", "kind: ["] {
            assert!(of(&[two, nothing]).unwrap_err().to_string().contains("manifest 2"), "{nothing}");
        }
        let large = "#".repeat(usize::try_from(FILES_BYTES_MAX).unwrap());
        assert!(matches!(of(&[&large, "#"]), Err(RenderError::TooLarge { .. })));
    }

    #[test]
    fn text_in_utf_16_is_read() {
        let little: Vec<u8> = "\u{feff}kind: ä".encode_utf16().flat_map(u16::to_le_bytes).collect();
        let big: Vec<u8> = "\u{feff}kind: ä".encode_utf16().flat_map(u16::to_be_bytes).collect();
        for text in [little.as_slice(), &big, "\u{feff}kind: ä".as_bytes(), "kind: ä".as_bytes()] {
            assert_eq!(utf8(text), "kind: ä".as_bytes());
        }
        assert_eq!(utf8(&[0xff, 0xfe, 0x41]), b"A".as_slice());
    }
}
