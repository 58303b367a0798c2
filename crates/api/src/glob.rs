//! The globs of Argo CD's lists: `*`, `**`, `?`, `[a-c]`, `[!abc]`, `{a,b}`, `\` escapes.
//!
//! `*` and `?` stop at the separators, if there are any. A glob is run as a set of places in the pattern, so that no pattern
//! takes longer than its length times the text's. Entry points: [`Glob::new`] and [`Glob::matches`].

/// The longest pattern, in bytes: no name or URL that Kubernetes takes is longer, and matching costs its length.
pub(crate) const PATTERN_BYTES_MAX: usize = 4096;
/// How deep alternatives nest: far more than people write, and little enough for the stack.
const DEPTH_MAX: usize = 32;

/// A compiled pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Glob {
    code: Vec<Code>,
    /// Characters that `*` and `?` do not match.
    separators: &'static [char],
}

/// One step of a pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Code {
    Char(char),
    /// Any character but a separator.
    Single,
    /// Any character at all.
    Anything,
    Class {
        negated: bool,
        ranges: Vec<(char, char)>,
    },
    /// Go on at both places.
    Split(usize, usize),
    Jump(usize),
}

/// A pattern that is malformed, or too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a valid glob")]
pub(crate) struct GlobError;

// === impl Glob ===

impl Glob {
    pub(crate) fn new(pattern: &str, separators: &'static [char]) -> Result<Self, GlobError> {
        if pattern.len() > PATTERN_BYTES_MAX {
            return Err(GlobError);
        }
        let mut parser = Parser { chars: pattern.chars().collect(), at: 0, code: Vec::new() };
        parser.sequence(0)?;
        if parser.at < parser.chars.len() {
            return Err(GlobError);
        }
        Ok(Self { code: parser.code, separators })
    }

    pub(crate) fn matches(&self, text: &str) -> bool {
        let mut places = Places::new(self.code.len() + 1);
        let mut next = Places::new(self.code.len() + 1);
        self.add(&mut places, 0);
        for c in text.chars() {
            next.clear();
            for at in places.list.iter().copied().filter(|at| *at < self.code.len()) {
                if self.takes(&self.code[at], c) {
                    self.add(&mut next, at + 1);
                }
            }
            std::mem::swap(&mut places, &mut next);
            if places.list.is_empty() {
                return false;
            }
        }
        places.seen[self.code.len()]
    }

    fn takes(&self, code: &Code, c: char) -> bool {
        match code {
            Code::Char(expected) => *expected == c,
            Code::Single => !self.separators.contains(&c),
            Code::Anything => true,
            Code::Class { negated, ranges } => ranges.iter().any(|(low, high)| (*low..=*high).contains(&c)) != *negated,
            Code::Split(..) | Code::Jump(_) => false,
        }
    }

    /// Adds a place, and those that are reached from it without a character.
    fn add(&self, places: &mut Places, start: usize) {
        let mut open = vec![start];
        while let Some(at) = open.pop() {
            if std::mem::replace(&mut places.seen[at], true) {
                continue;
            }
            match self.code.get(at) {
                Some(Code::Split(first, second)) => open.extend([*second, *first]),
                Some(Code::Jump(to)) => open.push(*to),
                _ => places.list.push(at),
            }
        }
    }
}

struct Places {
    list: Vec<usize>,
    seen: Vec<bool>,
}

// === impl Places ===

impl Places {
    fn new(size: usize) -> Self {
        Self { list: Vec::new(), seen: vec![false; size] }
    }

    fn clear(&mut self) {
        self.list.clear();
        self.seen.fill(false);
    }
}

struct Parser {
    chars: Vec<char>,
    at: usize,
    code: Vec<Code>,
}

// === impl Parser ===

impl Parser {
    fn next(&mut self) -> Option<char> {
        let c = self.chars.get(self.at).copied();
        self.at += usize::from(c.is_some());
        c
    }

    fn peek(&self) -> Option<char> {
        self.chars.get(self.at).copied()
    }

    /// Everything up to the end, or to the end of an alternative.
    fn sequence(&mut self, depth: usize) -> Result<(), GlobError> {
        while let Some(c) = self.peek() {
            if depth > 0 && matches!(c, ',' | '}') {
                return Ok(());
            }
            self.at += 1;
            match c {
                '*' if self.peek() == Some('*') => {
                    self.at += 1;
                    self.star(Code::Anything);
                }
                '*' => self.star(Code::Single),
                '?' => self.code.push(Code::Single),
                '[' => self.class()?,
                '{' => self.alternatives(depth + 1)?,
                '\\' => {
                    let c = self.next().ok_or(GlobError)?;
                    self.code.push(Code::Char(c));
                }
                c => self.code.push(Code::Char(c)),
            }
        }
        Ok(())
    }

    fn star(&mut self, each: Code) {
        let start = self.code.len();
        self.code.extend([Code::Split(start + 1, start + 3), each, Code::Jump(start)]);
    }

    fn alternatives(&mut self, depth: usize) -> Result<(), GlobError> {
        if depth > DEPTH_MAX {
            return Err(GlobError);
        }
        let mut ends = Vec::new();
        loop {
            let start = self.code.len();
            self.code.push(Code::Split(start + 1, 0));
            self.sequence(depth)?;
            ends.push(self.code.len());
            self.code.push(Code::Jump(0));
            let after = self.code.len();
            if self.next().ok_or(GlobError)? == ',' {
                self.code[start] = Code::Split(start + 1, after);
            } else {
                // The last alternative is no choice.
                self.code[start] = Code::Jump(start + 1);
                break;
            }
        }
        let after = self.code.len();
        for end in ends {
            self.code[end] = Code::Jump(after);
        }
        Ok(())
    }

    fn class(&mut self) -> Result<(), GlobError> {
        let negated = self.peek() == Some('!');
        self.at += usize::from(negated);
        let first = self.peek().ok_or(GlobError)?;
        // Either one range, or a set of characters; both together are an error.
        let ranges = if self.chars.get(self.at + 1) == Some(&'-') {
            let high = self.chars.get(self.at + 2).copied().ok_or(GlobError)?;
            self.at += 3;
            if high < first {
                return Err(GlobError);
            }
            vec![(first, high)]
        } else {
            self.set()?
        };
        if self.next() != Some(']') || ranges.is_empty() {
            return Err(GlobError);
        }
        self.code.push(Code::Class { negated, ranges });
        Ok(())
    }

    fn set(&mut self) -> Result<Vec<(char, char)>, GlobError> {
        let mut ranges = Vec::new();
        loop {
            match self.peek().ok_or(GlobError)? {
                ']' => return Ok(ranges),
                '\\' => {
                    self.at += 1;
                    let c = self.next().ok_or(GlobError)?;
                    ranges.push((c, c));
                }
                c => {
                    self.at += 1;
                    ranges.push((c, c));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Answers of the library that Argo CD uses (gobwas/glob 1.0.0): separators, pattern, text and answer (`true`, `false`,
    /// `bad`), recorded by `tools/oracles/globs`.
    const ANSWERS: &str = include_str!("../tests/data/globs.txt");

    #[test]
    fn answers_as_argo_cd_does() {
        let mut count = 0;
        for line in ANSWERS.lines().filter(|line| !line.starts_with('#')) {
            let parts: Vec<&str> = line.split('\t').collect();
            let [separators, pattern, text, expected] = parts[..] else { panic!("{line}") };
            let separators: &[char] = if separators == "/" { &['/'] } else { &[] };
            let answer = match Glob::new(pattern, separators) {
                Err(_) => "bad",
                Ok(glob) if glob.matches(text) => "true",
                Ok(_) => "false",
            };
            assert_eq!(answer, expected, "{line}");
            count += 1;
        }
        assert!(count > 300, "{count} answers");
    }

    #[test]
    fn no_pattern_takes_for_ever() {
        let glob = Glob::new(&"*a".repeat(500), &[]).unwrap();
        assert!(!glob.matches(&"a".repeat(499)));
        assert!(glob.matches(&"a".repeat(500)));
        assert_eq!(Glob::new(&"{".repeat(100), &[]), Err(GlobError));
        assert_eq!(Glob::new(&"a".repeat(PATTERN_BYTES_MAX + 1), &[]), Err(GlobError));
    }
}
