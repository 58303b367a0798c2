//! What never counts, by JSON pointers (RFC 6901).
//!
//! Entry point: [`Ignore`], a place that moves along with a walk and knows which pointers still lead further. A list item
//! is reached by its place in desired as well as by its place in live, as if each had been cut by itself.

/// The pointers of a comparison, split.
pub(crate) struct Pointers(Vec<Vec<String>>);

/// What is left of the pointers at one place.
#[derive(Clone, Default)]
pub(crate) struct Ignore<'a> {
    rests: Vec<&'a [String]>,
}

// === impl Pointers ===

impl Pointers {
    /// Splits the pointers. What is no pointer (it must be empty or begin with `/`) matches nothing.
    pub(crate) fn new(pointers: &[&str]) -> Self {
        let split = |pointer: &&str| match pointer.strip_prefix('/') {
            Some(rest) => Some(rest.split('/').map(|token| token.replace("~1", "/").replace("~0", "~")).collect()),
            None if pointer.is_empty() => Some(Vec::new()),
            None => None,
        };
        Self(pointers.iter().filter_map(split).collect())
    }

    /// The place of the whole object.
    pub(crate) fn root(&self) -> Ignore<'_> {
        Ignore { rests: self.0.iter().map(Vec::as_slice).collect() }
    }
}

// === impl Ignore ===

impl<'a> Ignore<'a> {
    /// Whether a pointer ends here: nothing at this place and below it counts.
    pub(crate) fn here(&self) -> bool {
        self.rests.iter().any(|rest| rest.is_empty())
    }

    /// The place of a map's entry.
    pub(crate) fn field(&self, name: &str) -> Self {
        self.step(|token| token == name)
    }

    /// The place of a list's item, which may be at several places. `-` is the item after the last: never one that is.
    pub(crate) fn item(&self, places: &[Option<usize>]) -> Self {
        self.step(|token| index(token).is_some_and(|at| places.contains(&Some(at))))
    }

    fn step(&self, leads: impl Fn(&str) -> bool) -> Self {
        let follow = |rest: &&'a [String]| match rest.split_first() {
            // Below what is ignored everything is.
            None => Some(*rest),
            Some((first, rest)) if leads(first) => Some(rest),
            Some(_) => None,
        };
        Self { rests: self.rests.iter().filter_map(follow).collect() }
    }
}

/// An array index has no leading zeros.
fn index(token: &str) -> Option<usize> {
    let plain = token == "0" || (!token.starts_with('0') && token.bytes().all(|byte| byte.is_ascii_digit()));
    plain.then(|| token.parse().ok())?
}

/// Adds one token to a pointer.
pub(crate) fn push(pointer: &mut String, token: &str) {
    pointer.push('/');
    pointer.push_str(&token.replace('~', "~0").replace('/', "~1"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn follows_pointers_with_escapes_and_indices() {
        let pointers =
            Pointers::new(&["/metadata/annotations/a~1b~0c", "/spec/items/1/x", "/spec/items/-", "/spec/items/01"]);
        let root = pointers.root();
        assert!(!root.here());
        assert!(root.field("metadata").field("annotations").field("a/b~c").here());
        let items = root.field("spec").field("items");
        assert!(items.item(&[Some(0), Some(1)]).field("x").here());
        assert!(items.item(&[Some(0), None]).rests.is_empty());
        assert!(!items.item(&[Some(1)]).here(), "'01' is no index");
        assert!(items.item(&[Some(2)]).rests.is_empty(), "'-' is no item");
        assert!(root.field("status").rests.is_empty());
    }

    #[test]
    fn the_empty_pointer_is_the_whole_object() {
        assert!(Pointers::new(&[""]).root().here());
        assert!(Pointers::new(&["spec"]).root().rests.is_empty());
    }

    #[test]
    fn escapes_what_it_adds() {
        let mut pointer = String::new();
        push(&mut pointer, "a/b~c");
        push(&mut pointer, "0");
        assert_eq!(pointer, "/a~1b~0c/0");
    }
}
