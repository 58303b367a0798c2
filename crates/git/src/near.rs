//! Names that look like one that does not exist. Entry point: [`near`].

/// How many names are proposed in place of one that does not exist.
const NEAR_NAMES_MAX: usize = 3;
/// The longest name that is compared, in bytes: as long as a file name may be.
const NAME_BYTES_MAX: usize = 255;
/// A part of a name counts as near from this length on, in bytes: a letter or two are in every name.
const PART_BYTES_MIN: usize = 3;

/// The names that look like what was meant, best first; a few of them.
pub fn near<'a>(wanted: &str, names: &[&'a str]) -> Vec<&'a str> {
    if wanted.len() > NAME_BYTES_MAX {
        return Vec::new();
    }
    let wanted = wanted.to_lowercase();
    // A third of it may be wrong; a part of a name is near however long the rest is.
    let tolerance = wanted.chars().count().div_ceil(3);
    let rate = |name: &str| {
        if name.len() > NAME_BYTES_MAX {
            return None;
        }
        let name = name.to_lowercase();
        let distance = distance(&wanted, &name);
        let part = wanted.len() >= PART_BYTES_MIN && name.contains(&wanted);
        (distance <= tolerance || part).then_some(distance)
    };
    let mut rated: Vec<(usize, &str)> = names.iter().filter_map(|name| Some((rate(name)?, *name))).collect();
    rated.sort_unstable();
    rated.into_iter().take(NEAR_NAMES_MAX).map(|(_, name)| name).collect()
}

/// How many letters must be changed, added, left out or swapped with their neighbour to make one of the other.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut above: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let changed = last[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut best = changed.min(row[j - 1] + 1).min(last[j] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(above[j - 2] + 1);
            }
            row.push(best);
        }
        above = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_distance_counts_letters() {
        for (a, b, expected) in [
            ("", "", 0),
            ("abc", "abc", 0),
            ("abc", "", 3),
            ("kitten", "sitting", 3),
            ("shop", "shpo", 1),
            ("web", "wbe", 1),
            ("abcd", "cdab", 4),
            ("é", "e", 1),
        ] {
            assert_eq!((distance(a, b), distance(b, a)), (expected, expected), "{a} {b}");
        }
    }

    #[test]
    fn near_names_are_proposed_best_first() {
        let names = ["shop-dev", "shop-prod", "billing", "shop-staging"];
        assert_eq!(near("shop-dve", &names), ["shop-dev"]);
        assert_eq!(near("shop", &names), ["shop-dev", "shop-prod", "shop-staging"]);
        assert_eq!(near("biling", &names), ["billing"]);
        assert_eq!(near("Billing", &names), ["billing"]);
        assert_eq!(near("zzz", &names), Vec::<&str>::new());
        assert_eq!(near(&"x".repeat(300), &[&"x".repeat(300)]), Vec::<&str>::new());
    }
}
