//! Go's `filepath.Match`: the globs by which a project names kinds.
//!
//! `*` and `?` stop at `/`, `[a-z]` and `[^a]` are classes, `\` escapes. A bad pattern matches nothing. Entry point: [`matches`].

/// Whether a name matches a pattern.
pub(crate) fn matches(pattern: &str, name: &str) -> bool {
    let pattern: Vec<char> = pattern.chars().collect();
    let name: Vec<char> = name.chars().collect();
    let (mut at, mut from) = (0, 0);
    // Where to go on when what follows the last star does not match: the star takes one character more.
    let mut retry: Option<(usize, usize)> = None;
    loop {
        let step = if at == pattern.len() {
            if from == name.len() { Step::Done } else { Step::Mismatch }
        } else if pattern[at] == '*' {
            retry = Some((at + 1, from));
            at += 1;
            continue;
        } else {
            one(&pattern[at..], name.get(from).copied())
        };
        match step {
            Step::Done => return true,
            Step::Bad => return false,
            Step::Taken(width) => {
                at += width;
                from += 1;
            }
            Step::Mismatch => match retry {
                Some((after, start)) if start < name.len() && name[start] != '/' => {
                    retry = Some((after, start + 1));
                    (at, from) = (after, start + 1);
                }
                _ => return false,
            },
        }
    }
}

enum Step {
    Done,
    /// The pattern is malformed.
    Bad,
    /// One character matched; so much of the pattern is used up.
    Taken(usize),
    Mismatch,
}

/// Matches one character against the pattern's next element, which is no star.
fn one(pattern: &[char], name: Option<char>) -> Step {
    match pattern[0] {
        '?' => match name {
            Some(c) if c != '/' => Step::Taken(1),
            _ => Step::Mismatch,
        },
        '\\' => match (pattern.get(1), name) {
            (None, _) => Step::Bad,
            (Some(expected), Some(c)) if *expected == c => Step::Taken(2),
            _ => Step::Mismatch,
        },
        '[' => class(pattern, name),
        expected if name == Some(expected) => Step::Taken(1),
        _ => Step::Mismatch,
    }
}

fn class(pattern: &[char], name: Option<char>) -> Step {
    let Some(c) = name else { return Step::Mismatch };
    let negated = pattern.get(1) == Some(&'^');
    let mut at = if negated { 2 } else { 1 };
    let (mut found, mut ranges) = (false, 0);
    loop {
        if pattern.get(at) == Some(&']') && ranges > 0 {
            break;
        }
        let Some((low, next)) = bound(pattern, at) else { return Step::Bad };
        let (high, next) = if pattern.get(next) == Some(&'-') {
            let Some(high) = bound(pattern, next + 1) else { return Step::Bad };
            high
        } else {
            (low, next)
        };
        found |= low <= c && c <= high;
        ranges += 1;
        at = next;
    }
    if found == negated { Step::Mismatch } else { Step::Taken(at + 1) }
}

/// One end of a range, and where the pattern goes on behind it.
fn bound(pattern: &[char], at: usize) -> Option<(char, usize)> {
    match pattern.get(at)? {
        '-' | ']' => None,
        '\\' => Some((*pattern.get(at + 1)?, at + 2)),
        c => Some((*c, at + 1)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Answers of Go 1.26's `filepath.Match`, pattern, name and answer (`true`, `false`, `bad`), recorded by `tools/oracles/globs`.
    const ANSWERS: &str = include_str!("../tests/data/file_match.txt");

    #[test]
    fn answers_as_go_does() {
        let mut count = 0;
        for line in ANSWERS.lines().filter(|line| !line.starts_with('#')) {
            let mut parts = line.split('\t');
            let (pattern, name, answer) = (parts.next().unwrap(), parts.next().unwrap(), parts.next().unwrap());
            assert_eq!(matches(pattern, name), answer == "true", "{pattern} against {name}");
            count += 1;
        }
        assert!(count > 100, "{count} answers");
    }
}
