//! Globs on paths, as Argo CD's users know them (gobwas/glob without separators).
//!
//! `*` and `**` stand for anything, slashes included; `?` for one character; `[abc]`, `[a-c]`, `[!a-c]` for one of these or
//! none of these; `{a,b}` for one of several patterns; `\` takes the meaning from the next character. Matching takes time in
//! proportion to pattern times text, whatever the pattern. Entry point: [`Glob::parse`].

/// The longest glob, in bytes: several hundred names in braces.
const PATTERN_BYTES_MAX: usize = 8 * 1024;
/// How deep braces are nested at most; people write one level.
const DEPTH_MAX: usize = 16;

/// A pattern that paths match or not.
#[derive(Debug, Clone)]
pub(crate) struct Glob {
    /// One of these must match the whole text.
    alternatives: Vec<Alternative>,
}

#[derive(Debug, Clone)]
enum Alternative {
    /// `prefix*suffix`. Both may share characters, so that `a/**/b` matches `a/b` too: what people expect of `**`, and what
    /// Argo CD does for patterns of this form.
    Around { prefix: String, suffix: String },
    /// Everything else.
    Machine(Vec<Instruction>),
}

/// One step of a machine that is in several places at once.
#[derive(Debug, Clone)]
enum Instruction {
    /// Goes on behind this character.
    Literal(char),
    /// Goes on behind any character.
    One,
    /// Goes on behind one of these characters, or of all others.
    Class { negated: bool, ranges: Vec<(char, char)> },
    /// Goes on at both places.
    Fork(usize, usize),
    /// Goes on elsewhere.
    Jump(usize),
    /// The text matches if it ends here.
    End,
}

/// A part of a pattern.
#[derive(Debug, Clone, PartialEq)]
enum Part {
    Literal(char),
    One,
    Many,
    Class { negated: bool, ranges: Vec<(char, char)> },
    Either(Vec<Vec<Self>>),
}

// === impl Glob ===

impl Glob {
    /// Reads a pattern. What Argo CD could not read, and would silently take for "nothing matches", is an error.
    pub(crate) fn parse(pattern: &str) -> Result<Self, String> {
        if pattern.len() > PATTERN_BYTES_MAX {
            return Err(format!("it is longer than {PATTERN_BYTES_MAX} bytes"));
        }
        let mut reader = Reader { rest: pattern.chars().peekable() };
        let parts = reader.sequence(0)?;
        let alternatives = match parts.as_slice() {
            [Part::Either(alternatives)] => alternatives.iter().map(|parts| Alternative::new(parts)).collect(),
            parts => vec![Alternative::new(parts)],
        };
        Ok(Self { alternatives })
    }

    /// Whether the whole text matches.
    pub(crate) fn matches(&self, text: &str) -> bool {
        self.alternatives.iter().any(|alternative| alternative.matches(text))
    }
}

impl Alternative {
    fn new(parts: &[Part]) -> Self {
        let text = |parts: &[Part]| -> Option<String> {
            let literal = |part: &Part| if let Part::Literal(c) = part { Some(*c) } else { None };
            parts.iter().map(literal).collect()
        };
        let mut around = parts.splitn(2, |part| *part == Part::Many);
        if let (Some(before), Some(after)) = (around.next().and_then(text), around.next().and_then(text)) {
            return Self::Around { prefix: before, suffix: after };
        }
        let mut program = Vec::new();
        compile(parts, &mut program);
        program.push(Instruction::End);
        Self::Machine(program)
    }

    fn matches(&self, text: &str) -> bool {
        match self {
            Self::Around { prefix, suffix } => text.starts_with(prefix) && text.ends_with(suffix),
            Self::Machine(program) => run(program, text),
        }
    }
}

fn compile(parts: &[Part], program: &mut Vec<Instruction>) {
    for part in parts {
        match part {
            Part::Literal(c) => program.push(Instruction::Literal(*c)),
            Part::One => program.push(Instruction::One),
            Part::Class { negated, ranges } => {
                program.push(Instruction::Class { negated: *negated, ranges: ranges.clone() });
            }
            Part::Many => {
                let start = program.len();
                program.extend([Instruction::Fork(start + 1, start + 3), Instruction::One, Instruction::Jump(start)]);
            }
            Part::Either(alternatives) => {
                let mut ends = Vec::new();
                for (at, alternative) in alternatives.iter().enumerate() {
                    let is_last = at + 1 == alternatives.len();
                    let fork = program.len();
                    if !is_last {
                        program.push(Instruction::Fork(fork + 1, fork + 1));
                    }
                    compile(alternative, program);
                    if !is_last {
                        ends.push(program.len());
                        program.push(Instruction::Jump(0));
                        program[fork] = Instruction::Fork(fork + 1, program.len());
                    }
                }
                let end = program.len();
                for jump in ends {
                    program[jump] = Instruction::Jump(end);
                }
            }
        }
    }
}

/// Walks the text once, in all places of the program that it can be in.
fn run(program: &[Instruction], text: &str) -> bool {
    let (mut here, mut next) = (Places::new(program.len()), Places::new(program.len()));
    here.enter(program, 0);
    for c in text.chars() {
        next.clear();
        for &place in &here.list {
            let goes_on = match &program[place] {
                Instruction::Literal(literal) => *literal == c,
                Instruction::One => true,
                Instruction::Class { negated, ranges } => {
                    *negated != ranges.iter().any(|(low, high)| (*low..=*high).contains(&c))
                }
                Instruction::Fork(..) | Instruction::Jump(_) | Instruction::End => false,
            };
            if goes_on {
                next.enter(program, place + 1);
            }
        }
        std::mem::swap(&mut here, &mut next);
    }
    here.list.iter().any(|&place| matches!(program[place], Instruction::End))
}

/// Where a machine is.
struct Places {
    list: Vec<usize>,
    seen: Vec<bool>,
}

impl Places {
    fn new(program: usize) -> Self {
        Self { list: Vec::new(), seen: vec![false; program] }
    }

    fn clear(&mut self) {
        self.list.clear();
        self.seen.fill(false);
    }

    /// Enters a place and all that are reached from it without a character.
    fn enter(&mut self, program: &[Instruction], place: usize) {
        let mut entered = vec![place];
        while let Some(place) = entered.pop() {
            if std::mem::replace(&mut self.seen[place], true) {
                continue;
            }
            match program[place] {
                Instruction::Fork(one, other) => entered.extend([one, other]),
                Instruction::Jump(elsewhere) => entered.push(elsewhere),
                _ => self.list.push(place),
            }
        }
    }
}

/// Reads a pattern character by character.
struct Reader<'a> {
    rest: std::iter::Peekable<std::str::Chars<'a>>,
}

impl Reader<'_> {
    /// Reads up to the end, or up to the `,` or `}` that ends an alternative.
    fn sequence(&mut self, depth: usize) -> Result<Vec<Part>, String> {
        let mut parts = Vec::new();
        while let Some(&c) = self.rest.peek() {
            if depth > 0 && (c == ',' || c == '}') {
                break;
            }
            self.rest.next();
            match c {
                // Several in a row say no more than one.
                '*' if parts.last() == Some(&Part::Many) => {}
                '*' => parts.push(Part::Many),
                '?' => parts.push(Part::One),
                '[' => parts.push(self.class()?),
                '{' if depth == DEPTH_MAX => {
                    return Err(format!("its braces are nested deeper than {DEPTH_MAX} levels"));
                }
                '{' => parts.push(self.either(depth + 1)?),
                '\\' => parts.push(Part::Literal(self.rest.next().ok_or("it ends in a backslash")?)),
                c => parts.push(Part::Literal(c)),
            }
        }
        Ok(parts)
    }

    fn either(&mut self, depth: usize) -> Result<Part, String> {
        let mut alternatives = Vec::new();
        loop {
            alternatives.push(self.sequence(depth)?);
            match self.rest.next() {
                Some(',') => {}
                Some('}') => return Ok(Part::Either(alternatives)),
                _ => return Err("'{' is not closed".to_owned()),
            }
        }
    }

    /// One range, or characters one by one; both at once is more than this dialect has.
    fn class(&mut self) -> Result<Part, String> {
        let negated = self.rest.next_if_eq(&'!').is_some();
        let mut ranges: Vec<(char, char)> = Vec::new();
        let mut is_range = false;
        loop {
            let c = match self.rest.next().ok_or("'[' is not closed")? {
                ']' if ranges.is_empty() => return Err("'[]' is empty: write '\\]' for the bracket itself".to_owned()),
                ']' => return Ok(Part::Class { negated, ranges }),
                _ if is_range => return Err("'[a-b]' holds one range only: write {[a-b],[c-d]} for two".to_owned()),
                '\\' => self.rest.next().ok_or("'[' is not closed")?,
                c => c,
            };
            if ranges.is_empty() && self.rest.next_if_eq(&'-').is_some() {
                let high = self
                    .rest
                    .next()
                    .filter(|&high| high != ']')
                    .ok_or("'-' in '[]' needs a character on both sides")?;
                if high < c {
                    return Err(format!("the range '{c}-{high}' is empty"));
                }
                is_range = true;
                ranges.push((c, high));
            } else {
                ranges.push((c, c));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Deserialize)]
    struct Texts {
        texts: Vec<String>,
    }

    #[derive(Deserialize)]
    struct Row {
        pattern: String,
        #[serde(default)]
        bad: bool,
        #[serde(default)]
        matches: Vec<String>,
    }

    /// Where gobwas/glob is wrong by its own documentation: we do what the documentation says, or refuse the pattern. It also
    /// counts bytes where it means characters, so names beyond ASCII are left out.
    const BROKEN_UPSTREAM: [&str; 5] = ["{a,b", "\\", "a\\", "{}.yaml", "{**/a,b}.yaml"];

    #[test]
    fn answers_as_the_library_that_argo_cd_uses() {
        let mut lines = include_str!("../tests/answers/glob.jsonl").lines();
        let texts: Texts = serde_json::from_str(lines.next().unwrap()).unwrap();
        for line in lines {
            let row: Row = serde_json::from_str(line).unwrap();
            if BROKEN_UPSTREAM.contains(&row.pattern.as_str()) || !row.pattern.is_ascii() {
                continue;
            }
            let Ok(glob) = Glob::parse(&row.pattern) else {
                assert!(row.bad, "{} is refused", row.pattern);
                continue;
            };
            assert!(!row.bad, "{} is accepted", row.pattern);
            for text in texts.texts.iter().filter(|text| text.is_ascii()) {
                assert_eq!(glob.matches(text), row.matches.contains(text), "{} on {text}", row.pattern);
            }
        }
    }

    #[test]
    fn does_better_where_that_library_is_wrong() {
        let matches = |pattern: &str, text: &str| Glob::parse(pattern).unwrap().matches(text);
        assert!(matches("{**/a,b}.yaml", "sub/a.yaml"));
        assert!(matches("ä?.yaml", "ää.yaml"));
        assert!(matches("[ä-ü].yaml", "ä.yaml"));
        assert!(matches("{}.yaml", ".yaml"));
        for pattern in ["{a,b", "\\", "a\\"] {
            assert!(Glob::parse(pattern).is_err(), "{pattern}");
        }
    }

    #[test]
    fn a_hostile_pattern_costs_no_more_than_its_length_times_the_text() {
        let glob = Glob::parse(&"{*a,*b}*".repeat(200)).unwrap();
        assert!(!glob.matches(&"ab".repeat(90)));
        assert!(Glob::parse(&"{".repeat(1000)).is_err());
        assert!(Glob::parse(&"a".repeat(PATTERN_BYTES_MAX + 1)).is_err());
    }
}
