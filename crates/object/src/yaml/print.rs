//! Prints a value as `sigs.k8s.io/yaml` does, byte for byte.
//!
//! Keeps the text and where the pen stands. A port of the parts of Go's emitter that JSON values need. Entry point: [`print`].

use super::{order, scalar};
use crate::{Node, Number};

/// How far each level is indented, in columns.
const INDENT: usize = 2;
/// The column after which long strings are broken at spaces.
const WIDTH: usize = 80;
/// The longest key that is written on one line with its value, in bytes.
const SIMPLE_KEY_BYTES_MAX: usize = 128;

/// Prints a value with sorted keys, two spaces a level, lists not indented below their key, strings in quotes where Go
/// would not read them as strings, and several lines as a block.
pub fn print(node: &Node) -> String {
    let mut printer = Printer { text: String::new(), column: 0, after_space: true, in_indent: true };
    printer.node(node, None, Place::Root);
    printer.indent(0);
    printer.text
}

struct Printer {
    text: String,
    column: usize,
    /// The last character was white space, or nothing was written yet.
    after_space: bool,
    /// Only indentation and indicators were written on this line.
    in_indent: bool,
}

/// Where a value stands.
#[derive(Clone, Copy, PartialEq)]
enum Place {
    Root,
    Item,
    /// A key that shares its line with its value.
    SimpleKey,
    /// A value of a map, or a key on lines of its own.
    Entry,
}

#[derive(Clone, Copy, PartialEq)]
enum Style {
    Plain,
    Single,
    Double,
    Literal,
}

/// What a string holds that rules styles out.
#[expect(clippy::struct_excessive_bools, reason = "each style is ruled out on its own")]
struct Traits {
    several_lines: bool,
    plain: bool,
    single: bool,
    literal: bool,
}

// === impl Printer ===

impl Printer {
    /// `indent` is that of the list or map around the value.
    fn node(&mut self, node: &Node, indent: Option<usize>, place: Place) {
        match node {
            Node::Null => self.scalar("null", Style::Plain, indent, place),
            Node::Bool(value) => self.scalar(if *value { "true" } else { "false" }, Style::Plain, indent, place),
            Node::Number(Number::Int(value)) => self.scalar(&value.to_string(), Style::Plain, indent, place),
            Node::Number(Number::Uint(value)) => self.scalar(&value.to_string(), Style::Plain, indent, place),
            Node::Number(Number::Float(value)) => {
                self.scalar(&scalar::general(&format!("{value:e}")), Style::Plain, indent, place);
            }
            Node::String(text) => self.string(text, indent, place),
            Node::List(items) if items.is_empty() => self.indicator("[]", true, false),
            Node::Map(map) if map.is_empty() => self.indicator("{}", true, false),
            Node::List(items) => {
                let indent = match indent {
                    None => 0,
                    Some(indent) if place == Place::Entry && !self.in_indent => indent,
                    Some(indent) => indent + INDENT,
                };
                for item in items {
                    self.indent(indent);
                    self.indicator("-", true, true);
                    self.node(item, Some(indent), Place::Item);
                }
            }
            Node::Map(map) => {
                let indent = indent.map_or(0, |indent| indent + INDENT);
                let mut entries: Vec<_> = map.iter().collect();
                order::sort(&mut entries);
                for (key, value) in entries {
                    self.entry(key, value, indent);
                }
            }
        }
    }

    fn entry(&mut self, key: &str, value: &Node, indent: usize) {
        self.indent(indent);
        if key.len() <= SIMPLE_KEY_BYTES_MAX && !Traits::of(key).several_lines {
            if key == "<<" {
                // Go prints it plain, and reads it back as a merge.
                self.scalar(key, Style::Double, Some(indent), Place::SimpleKey);
            } else {
                self.string(key, Some(indent), Place::SimpleKey);
            }
            self.indicator(":", false, false);
        } else {
            self.indicator("?", true, true);
            self.string(key, Some(indent), Place::Entry);
            self.indent(indent);
            self.indicator(":", true, true);
        }
        self.node(value, Some(indent), Place::Entry);
    }

    fn string(&mut self, text: &str, indent: Option<usize>, place: Place) {
        let style = if text.contains('\n') {
            Style::Literal
        } else if scalar::is_plain_string(text) {
            Style::Plain
        } else {
            Style::Double
        };
        self.scalar(text, style, indent, place);
    }

    fn scalar(&mut self, text: &str, wanted: Style, indent: Option<usize>, place: Place) {
        let traits = Traits::of(text);
        let key = place == Place::SimpleKey;
        let mut style = if key && traits.several_lines { Style::Double } else { wanted };
        if style == Style::Plain && (!traits.plain || (text.is_empty() && key)) {
            style = Style::Single;
        }
        if (style == Style::Single && !traits.single) || (style == Style::Literal && (!traits.literal || key)) {
            style = Style::Double;
        }
        let indent = indent.map_or(INDENT, |indent| indent + INDENT);
        match style {
            Style::Plain => self.plain(text, indent, !key),
            Style::Single => self.single(text, indent, !key),
            Style::Double => self.double(text, indent, !key),
            Style::Literal => self.literal(text, indent),
        }
    }

    fn plain(&mut self, text: &str, indent: usize, may_break: bool) {
        if !self.after_space {
            self.put(' ');
        }
        self.flowing(text, indent, may_break, Self::put);
        self.after_space = false;
        self.in_indent = false;
    }

    fn single(&mut self, text: &str, indent: usize, may_break: bool) {
        self.indicator("'", true, false);
        self.flowing(text, indent, may_break, |printer, c| {
            if c == '\'' {
                printer.put('\'');
            }
            printer.put(c);
        });
        self.indicator("'", false, false);
        self.in_indent = false;
    }

    /// The text of a plain or single-quoted string, broken where it is long.
    fn flowing(&mut self, text: &str, indent: usize, may_break: bool, put: impl Fn(&mut Self, char)) {
        let (mut spaces, mut breaks) = (false, false);
        let mut characters = text.chars().enumerate().peekable();
        while let Some((at, c)) = characters.next() {
            if c == ' ' {
                let inside = at > 0 && characters.peek().is_some_and(|(_, next)| *next != ' ');
                if may_break && !spaces && self.column > WIDTH && inside {
                    self.indent(indent);
                } else {
                    self.put(' ');
                }
                spaces = true;
            } else if is_break(c) {
                if !breaks && c == '\n' {
                    self.line_break('\n');
                }
                self.line_break(c);
                self.in_indent = true;
                breaks = true;
            } else {
                if breaks {
                    self.indent(indent);
                }
                put(self, c);
                self.in_indent = false;
                (spaces, breaks) = (false, false);
            }
        }
    }

    fn double(&mut self, text: &str, indent: usize, may_break: bool) {
        self.indicator("\"", true, false);
        // Go looks for a byte order mark at the start of the text only, and then escapes everything.
        let all = text.starts_with('\u{feff}');
        let mut spaces = false;
        let mut characters = text.chars().enumerate().peekable();
        while let Some((at, c)) = characters.next() {
            if all || !is_printable(c) || is_break(c) || matches!(c, '"' | '\\') {
                self.escaped(c);
                spaces = false;
            } else if c == ' ' {
                let next = characters.peek();
                if may_break && !spaces && self.column > WIDTH && at > 0 && next.is_some() {
                    self.indent(indent);
                    if next.is_some_and(|(_, next)| *next == ' ') {
                        self.put('\\');
                    }
                } else {
                    self.put(' ');
                }
                spaces = true;
            } else {
                self.put(c);
                spaces = false;
            }
        }
        self.indicator("\"", false, false);
        self.in_indent = false;
    }

    fn escaped(&mut self, c: char) {
        let code = u32::from(c);
        let escape = match c {
            '\0' => "0".to_owned(),
            '\u{07}' => "a".to_owned(),
            '\u{08}' => "b".to_owned(),
            '\t' => "t".to_owned(),
            '\n' => "n".to_owned(),
            '\u{0b}' => "v".to_owned(),
            '\u{0c}' => "f".to_owned(),
            '\r' => "r".to_owned(),
            '\u{1b}' => "e".to_owned(),
            '"' => "\"".to_owned(),
            '\\' => "\\".to_owned(),
            '\u{85}' => "N".to_owned(),
            '\u{a0}' => "_".to_owned(),
            '\u{2028}' => "L".to_owned(),
            '\u{2029}' => "P".to_owned(),
            _ if code <= 0xff => format!("x{code:02X}"),
            _ if code <= 0xffff => format!("u{code:04X}"),
            _ => format!("U{code:08X}"),
        };
        self.put('\\');
        escape.chars().for_each(|c| self.put(c));
    }

    fn literal(&mut self, text: &str, indent: usize) {
        self.indicator("|", true, false);
        if text.starts_with(|c| c == ' ' || is_break(c)) {
            self.indicator("2", false, false);
        }
        let mut last = text.chars().rev();
        match (last.next(), last.next()) {
            (Some(end), _) if !is_break(end) => self.indicator("-", false, false),
            (Some(_), None) => self.indicator("+", false, false),
            (Some(_), Some(before)) if is_break(before) => self.indicator("+", false, false),
            _ => {}
        }
        self.line_break('\n');
        self.in_indent = true;
        self.after_space = true;
        let mut breaks = true;
        for c in text.chars() {
            if is_break(c) {
                self.line_break(c);
                self.in_indent = true;
                breaks = true;
            } else {
                if breaks {
                    self.indent(indent);
                }
                self.put(c);
                self.in_indent = false;
                breaks = false;
            }
        }
    }

    /// Brings the pen to this column, on a new line if it is past it.
    fn indent(&mut self, indent: usize) {
        if !self.in_indent || self.column > indent || (self.column == indent && !self.after_space) {
            self.line_break('\n');
        }
        while self.column < indent {
            self.put(' ');
        }
        self.after_space = true;
        self.in_indent = true;
    }

    /// Writes a mark of the syntax; `opens` says that a value may follow it in the same indentation.
    fn indicator(&mut self, mark: &str, needs_space: bool, opens: bool) {
        if needs_space && !self.after_space {
            self.put(' ');
        }
        mark.chars().for_each(|c| self.put(c));
        self.after_space = false;
        self.in_indent = self.in_indent && opens;
    }

    fn put(&mut self, c: char) {
        self.text.push(c);
        self.column += 1;
    }

    fn line_break(&mut self, c: char) {
        self.text.push(c);
        self.column = 0;
    }
}

// === impl Traits ===

impl Traits {
    fn of(text: &str) -> Self {
        if text.is_empty() {
            return Self { several_lines: false, plain: true, single: true, literal: false };
        }
        let mut indicators = text.starts_with("---") || text.starts_with("...");
        let (mut special, mut several_lines, mut break_space, mut space_break) = (false, false, false, false);
        let (mut after_space, mut after_break, mut after_white) = (false, false, true);
        let mut characters = text.char_indices().peekable();
        while let Some((at, c)) = characters.next() {
            let before_white = characters.peek().is_none_or(|(_, next)| matches!(next, ' ' | '\t'));
            indicators |= match c {
                '#' => after_white,
                ',' | '[' | ']' | '{' | '}' | '&' | '*' | '!' | '|' | '>' | '\'' | '"' | '%' | '@' | '`' => at == 0,
                '?' | '-' => at == 0 && before_white,
                ':' => before_white,
                _ => false,
            };
            special |= !is_printable(c);
            if c == ' ' {
                break_space |= after_break;
                (after_space, after_break) = (true, false);
            } else if is_break(c) {
                several_lines = true;
                space_break |= after_space;
                (after_space, after_break) = (false, true);
            } else {
                (after_space, after_break) = (false, false);
            }
            after_white = matches!(c, ' ' | '\t' | '\0') || is_break(c);
        }
        let edge = |c: char| c == ' ' || is_break(c);
        Self {
            several_lines,
            plain: !(text.starts_with(edge) || text.ends_with(edge))
                && !(break_space || space_break || special || several_lines || indicators),
            single: !(break_space || space_break || special),
            // Kubernetes ends a last line that has no line feed, so no other break may end a block (Go does not mind).
            literal: !(text.ends_with([' ', '\u{2028}', '\u{2029}']) || space_break || special),
        }
    }
}

fn is_break(c: char) -> bool {
    matches!(c, '\r' | '\n' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

/// What Go prints as it is. Characters beyond the first plane are not among them.
fn is_printable(c: char) -> bool {
    matches!(c, '\n' | '\u{20}'..='\u{7e}' | '\u{a0}'..='\u{d7ff}' | '\u{e000}'..='\u{fefe}' | '\u{ff00}'..='\u{fffd}')
}
