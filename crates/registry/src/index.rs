//! The `index.yaml` of a Helm repository: of each version of a chart, where it is and which digest it has.
//!
//! Invariant: the text is read event by event, and all but these few fields is dropped at once. Pure. Entry point:
//! [`Index::parse`].

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use libyaml_safer::{Encoding, EventData, Parser};
use serde::Deserialize;

use crate::Limits;
use crate::cost::Cost;
use crate::digest::Digest;

/// How deep a text may nest: an index has six levels, and what people write into annotations some more.
const DEPTH_MAX: usize = 100;

/// What is kept of an index.
#[derive(Debug, Default)]
pub(crate) struct Index {
    charts: HashMap<String, Vec<Entry>>,
    /// As it was sent, in bytes.
    size: u64,
    /// What the server called this state of it, for the next question.
    pub(crate) etag: Option<String>,
    pub(crate) last_modified: Option<String>,
}

/// One version of a chart.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) version: String,
    /// The first of its URLs; Helm asks no other.
    pub(crate) url: Option<String>,
    pub(crate) digest: Option<Digest>,
    /// When it was made: another time is another archive, where no digest tells.
    pub(crate) created: String,
}

#[derive(Deserialize)]
struct Written {
    #[serde(default)]
    entries: Option<HashMap<String, Option<Vec<Option<WrittenEntry>>>>>,
}

#[derive(Deserialize, Default)]
struct WrittenEntry {
    #[serde(default)]
    version: Option<String>,
    #[serde(default)]
    urls: Option<Vec<String>>,
    #[serde(default)]
    digest: Option<String>,
    #[serde(default)]
    created: Option<String>,
}

// === impl Index ===

impl Index {
    /// Reads an index. An error says what is wrong with the text.
    pub(crate) fn parse(text: &[u8], limits: &Limits) -> Result<Self, String> {
        let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
        let text = std::str::from_utf8(text).map_err(|_| "it is not UTF-8".to_owned())?;
        let charts = if text.trim_start().starts_with('{') {
            of_json(text, limits)?
        } else {
            // The parser panics on a few malformed texts. It is dropped afterwards, so nothing half-done is seen.
            catch_unwind(AssertUnwindSafe(|| of_yaml(text, limits)))
                .unwrap_or_else(|_| Err("it is malformed".to_owned()))?
        };
        Ok(Self { charts, size: text.len() as u64, etag: None, last_modified: None })
    }

    /// The same, with what the server calls this state of it.
    pub(crate) fn named(self, etag: Option<String>, last_modified: Option<String>) -> Self {
        Self { etag, last_modified, ..self }
    }

    /// The versions of a chart, if there is such a chart.
    pub(crate) fn versions(&self, chart: &str) -> Option<&[Entry]> {
        self.charts.get(chart).map(Vec::as_slice)
    }

    /// The names of all charts.
    pub(crate) fn charts(&self) -> Vec<&str> {
        self.charts.keys().map(String::as_str).collect()
    }
}

impl Cost for Index {
    fn cost(&self) -> u64 {
        self.size
    }
}

fn of_json(text: &str, limits: &Limits) -> Result<HashMap<String, Vec<Entry>>, String> {
    let written: Written = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let mut count = 0;
    let mut charts = HashMap::new();
    for (name, versions) in written.entries.unwrap_or_default() {
        let versions: Vec<Entry> = versions.into_iter().flatten().flatten().map(Entry::from).collect();
        count += versions.len();
        charts.insert(name, versions);
    }
    check_count(count, limits).map(|()| charts)
}

fn check_count(count: usize, limits: &Limits) -> Result<(), String> {
    let most = limits.index_versions;
    if count > most { Err(format!("it has more than {most} versions of charts")) } else { Ok(()) }
}

impl From<WrittenEntry> for Entry {
    fn from(written: WrittenEntry) -> Self {
        Self {
            version: written.version.unwrap_or_default(),
            url: written.urls.into_iter().flatten().next(),
            digest: written.digest.as_deref().and_then(Digest::of_index),
            created: written.created.unwrap_or_default(),
        }
    }
}

fn of_yaml(text: &str, limits: &Limits) -> Result<HashMap<String, Vec<Entry>>, String> {
    let mut input = text.as_bytes();
    let mut parser = Parser::new();
    parser.set_encoding(Encoding::Utf8);
    parser.set_input_string(&mut input);
    let mut events = Events { parser, depth: 0 };
    let mut charts = HashMap::new();
    let mut count = 0;
    loop {
        match events.next()? {
            Event::Mapping => break,
            Event::StreamEnd => return Err("it is empty".to_owned()),
            Event::Other => {}
            _ => return Err("it is no mapping".to_owned()),
        }
    }
    while let Some(key) = events.key()? {
        if key == "entries" {
            events.charts(&mut charts, &mut count, limits)?;
        } else {
            events.skip()?;
        }
    }
    Ok(charts)
}

/// The events of a text, as far as they matter here.
struct Events<'r, 'b> {
    parser: Parser<&'b mut &'r [u8]>,
    depth: usize,
}

enum Event {
    Mapping,
    Sequence,
    /// The end of either.
    End,
    Scalar(String),
    Alias,
    StreamEnd,
    Other,
}

impl Events<'_, '_> {
    fn next(&mut self) -> Result<Event, String> {
        let event = self.parser.parse().map_err(|error| {
            let line = error.problem_mark().map(|mark| format!("line {}: ", mark.line + 1)).unwrap_or_default();
            format!("{line}{}", error.problem())
        })?;
        Ok(match event.data {
            EventData::MappingStart { .. } => self.deeper(Event::Mapping)?,
            EventData::SequenceStart { .. } => self.deeper(Event::Sequence)?,
            EventData::MappingEnd | EventData::SequenceEnd => {
                self.depth = self.depth.saturating_sub(1);
                Event::End
            }
            EventData::Scalar { value, .. } => Event::Scalar(value),
            EventData::Alias { .. } => Event::Alias,
            EventData::StreamEnd => Event::StreamEnd,
            _ => Event::Other,
        })
    }

    fn deeper(&mut self, event: Event) -> Result<Event, String> {
        self.depth += 1;
        if self.depth > DEPTH_MAX { Err(format!("it nests more than {DEPTH_MAX} deep")) } else { Ok(event) }
    }

    /// The next key of a mapping; none at its end.
    fn key(&mut self) -> Result<Option<String>, String> {
        match self.next()? {
            Event::Scalar(key) => Ok(Some(key)),
            Event::End => Ok(None),
            _ => Err("a key is no text".to_owned()),
        }
    }

    /// Passes over a value.
    fn skip(&mut self) -> Result<(), String> {
        let begun = self.next()?;
        self.skip_begun(&begun)
    }

    /// Passes over the rest of a value.
    fn skip_begun(&mut self, begun: &Event) -> Result<(), String> {
        if !matches!(begun, Event::Mapping | Event::Sequence) {
            return Ok(());
        }
        let outside = self.depth - 1;
        while self.depth > outside {
            if matches!(self.next()?, Event::StreamEnd) {
                return Err("it ends early".to_owned());
            }
        }
        Ok(())
    }

    /// A text; of anything else nothing.
    fn text(&mut self) -> Result<String, String> {
        match self.next()? {
            Event::Scalar(text) => Ok(text),
            Event::Alias => Err("it has an alias ('*'), which is not supported there".to_owned()),
            other => self.skip_begun(&other).map(|()| String::new()),
        }
    }

    /// What stands under `entries`.
    fn charts(
        &mut self,
        charts: &mut HashMap<String, Vec<Entry>>,
        count: &mut usize,
        limits: &Limits,
    ) -> Result<(), String> {
        match self.next()? {
            Event::Mapping => {}
            // `entries:` alone.
            Event::Scalar(_) => return Ok(()),
            _ => return Err("its entries are no mapping".to_owned()),
        }
        while let Some(name) = self.key()? {
            let mut versions = Vec::new();
            match self.next()? {
                Event::Sequence => self.versions(&mut versions, count, limits)?,
                Event::Scalar(_) => {}
                _ => return Err("the versions of a chart are no list".to_owned()),
            }
            versions.shrink_to_fit();
            charts.insert(name, versions);
        }
        Ok(())
    }

    /// The versions of a chart, up to the end of their list.
    fn versions(&mut self, versions: &mut Vec<Entry>, count: &mut usize, limits: &Limits) -> Result<(), String> {
        loop {
            match self.next()? {
                Event::End => return Ok(()),
                Event::Mapping => versions.push(self.entry()?),
                Event::Alias => return Err("it has an alias ('*'), which is not supported there".to_owned()),
                // What is no version is none.
                other => self.skip_begun(&other)?,
            }
            *count += 1;
            check_count(*count, limits)?;
        }
    }

    /// The rest of a version.
    fn entry(&mut self) -> Result<Entry, String> {
        let mut entry = Entry::default();
        while let Some(key) = self.key()? {
            match key.as_str() {
                "version" => entry.version = self.text()?,
                "digest" => entry.digest = Digest::of_index(&self.text()?),
                "created" => entry.created = self.text()?,
                "urls" => entry.url = self.first_text()?,
                _ => self.skip()?,
            }
        }
        Ok(entry)
    }

    /// The first text of a list.
    fn first_text(&mut self) -> Result<Option<String>, String> {
        let begun = self.next()?;
        if !matches!(begun, Event::Sequence) {
            return self.skip_begun(&begun).map(|()| None);
        }
        let mut first = None;
        loop {
            match self.next()? {
                Event::End => return Ok(first),
                Event::Scalar(text) => {
                    first.get_or_insert(text);
                }
                other => self.skip_begun(&other)?,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const DIGEST: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    fn parse(text: &str) -> Result<Index, String> {
        Index::parse(text.as_bytes(), &Limits { index_versions: 4, ..Limits::default() })
    }

    fn written() -> String {
        format!(
            "apiVersion: v1\nentries:\n  redis:\n  - apiVersion: v2\n    created: \"2026-01-02T03:04:05Z\"\n    \
             dependencies:\n    - {{name: common, version: 2.x}}\n    description: |\n      a: b\n      - c\n    digest: \
             {DIGEST}\n    urls:\n    - charts/redis-1.2.3.tgz\n    - https://elsewhere/x.tgz\n    version: 1.2.3\n  - null\n  \
             - version: 1.0\n    urls: []\n  empty: []\n  none:\ngenerated: \"x\"\n"
        )
    }

    #[test]
    fn of_an_index_is_kept_what_finds_an_archive() {
        let index = parse(&written()).unwrap();
        let [new, old] = index.versions("redis").unwrap() else { panic!("{index:?}") };
        assert_eq!((new.version.as_str(), new.url.as_deref()), ("1.2.3", Some("charts/redis-1.2.3.tgz")));
        assert_eq!(
            (new.digest.as_ref(), new.created.as_str()),
            (Digest::of_index(DIGEST).as_ref(), "2026-01-02T03:04:05Z")
        );
        assert_eq!((old.version.as_str(), old.url.as_deref(), &old.digest), ("1.0", None, &None));
        assert_eq!((index.versions("empty"), index.versions("none")), (Some(&[][..]), Some(&[][..])));
        assert_eq!(index.versions("nginx"), None);
        assert_eq!(index.charts().len(), 3);
    }

    #[test]
    fn an_index_in_json_is_the_same() {
        let json = format!(
            r#"{{"apiVersion":"v1","entries":{{"redis":[{{"version":"1.2.3","digest":"{DIGEST}","created":"c",
            "urls":["a","b"],"annotations":{{"x":"\ud83d\ude00\/"}}}},null],"none":null}}}}"#
        );
        let index = parse(&json).unwrap();
        let [entry] = index.versions("redis").unwrap() else { panic!("{index:?}") };
        let digest = Digest::of_index(DIGEST);
        let expected =
            Entry { version: "1.2.3".to_owned(), url: Some("a".to_owned()), digest, created: "c".to_owned() };
        assert_eq!(*entry, expected);
        assert_eq!(parse("entries: {}").unwrap().charts().len(), 0);
        assert_eq!(parse("entries:").unwrap().charts().len(), 0);
    }

    #[test]
    fn what_is_no_index_says_why() {
        let many = format!("entries: {{a: [{}]}}", "{version: 1},".repeat(5));
        let json = format!(r#"{{"entries": {{"a": [{}null]}}}}"#, r#"{"version": "1"},"#.repeat(5));
        for (text, why) in [
            ("", "empty"),
            ("<!DOCTYPE html>\n<html>", "no mapping"),
            ("- a", "no mapping"),
            ("a: b: c", "line 1"),
            ("entries: [a]", "no mapping"),
            ("entries: {a: {b: c}}", "no list"),
            ("entries: {a: [*b]}", "alias"),
            ("entries:\n  a:\n  - version: [", "did not find"),
            ("[!a, b]", ""),
            ("{\"entries\": 1}", "line 1"),
            (&many, "more than 4 versions"),
            (&json, "more than 4 versions"),
            (&format!("a: {}", "[".repeat(200)), "nests more than"),
            (&format!("entries: {{a: [{}", "[".repeat(100_000)), "nests more than"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.contains(why), "{text:.40}: {error}");
        }
        assert!(Index::parse(b"\xff\xfe", &Limits::default()).is_err());
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "(entries|a|:|\n| |- |\\[|\\]|\\{|\\}|!|&x|\\*x|\"|version|urls|,|\\|){0,40}") {
            let _ = parse(&text);
        }
    }
}
