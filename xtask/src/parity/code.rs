//! What the checkout itself says: its tests, what it refuses, the names that it knows, the fields of its definitions.
//!
//! Sources are read line by line as rustfmt writes them. Entry point: [`Code::read`].

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::path::Path;

use anyhow::Context as _;
use serde_json::Value;

use crate::parity::Kind;

/// Where what is not honoured stands.
const UNSUPPORTED: &str = "crates/api/src/unsupported";
/// Where the names of annotations, labels and finalizers stand.
const ANNOTATIONS: &str = "crates/api/src/annotations.rs";
/// Where the types of conditions stand.
const CONDITIONS: &str = "crates/api/src/condition.rs";
/// What every type of a condition ends with.
const SEVERITIES: [&str; 3] = ["Error", "Warning", "Info"];
/// Files that give their module no name of their own.
const NAMELESS: [&str; 3] = ["lib", "main", "mod"];

/// What the checkout says.
#[derive(Debug, Default)]
pub(super) struct Code {
    /// Every test, and the file that it stands in.
    pub(super) tests: BTreeMap<String, String>,
    /// What is not honoured.
    pub(super) refusals: Vec<Refusal>,
    /// Annotations, labels, finalizers, conditions, and options without their values.
    pub(super) names: Vec<String>,
    /// The paths of all fields without fields of their own.
    pub(super) leaves: Vec<(Kind, String)>,
    /// The paths of all others.
    pub(super) inner: Vec<(Kind, String)>,
}

/// Something that is not honoured.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) kind: Kind,
    pub(super) name: String,
    /// It stops the sync; otherwise it warns.
    pub(super) stops: bool,
}

// === impl Code ===

impl Code {
    /// Reads a checkout.
    pub(super) fn read(root: &Path) -> anyhow::Result<Self> {
        let mut code = Self::default();
        let mut files = Vec::new();
        for room in ["crates", "tests", "xtask"] {
            let found = sources(root, room)?.into_iter();
            files.extend(found.filter_map(|(path, text)| Some((module(&path)?, path, text))));
        }
        let declared: HashSet<String> = files.iter().flat_map(|(module, _, text)| declared(module, text)).collect();
        // A file that nobody declares is not compiled, and its tests never run.
        for (module, path, text) in files.iter().filter(|(module, ..)| is_root(module) || declared.contains(module)) {
            code.tests.extend(tests(module, text).map(|test| (test, path.clone())));
        }
        let constants = constants(&text(root, ANNOTATIONS)?);
        for (path, text) in sources(root, UNSUPPORTED)? {
            let kind = if path.ends_with("project.rs") { Kind::AppProject } else { Kind::Application };
            code.refusals.extend(refusals(kind, &text, &constants)?);
            code.names.extend(options(&text));
        }
        code.names.extend(constants.into_values());
        let types = self::constants(&text(root, CONDITIONS)?).into_values();
        code.names.extend(types.filter(|name| SEVERITIES.iter().any(|end| name.ends_with(end) && !name.contains(' '))));
        for (kind, file) in [(Kind::Application, "application-crd.yaml"), (Kind::AppProject, "appproject-crd.yaml")] {
            let definition: Value = yaml_serde::from_str(&text(root, &format!("crds/{file}"))?)
                .with_context(|| format!("cannot read 'crds/{file}'"))?;
            let schema = &definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
            for top in ["spec", "operation", "status"] {
                code.fields(kind, top, &schema["properties"][top]);
            }
        }
        Ok(code)
    }

    fn fields(&mut self, kind: Kind, path: &str, schema: &Value) {
        let mut schema = schema;
        while schema.get("items").is_some() {
            schema = &schema["items"];
        }
        match schema.get("properties").and_then(Value::as_object) {
            Some(fields) => {
                self.inner.push((kind, path.to_owned()));
                for (name, field) in fields {
                    self.fields(kind, &format!("{path}.{name}"), field);
                }
            }
            None if schema.is_object() => self.leaves.push((kind, path.to_owned())),
            None => {}
        }
    }
}

fn text(root: &Path, path: &str) -> anyhow::Result<String> {
    fs::read_to_string(root.join(path)).with_context(|| format!("cannot read '{path}'"))
}

/// The Rust files below a directory, by their paths from the root.
fn sources(root: &Path, under: &str) -> anyhow::Result<Vec<(String, String)>> {
    let mut found = Vec::new();
    let entries = fs::read_dir(root.join(under)).with_context(|| format!("cannot list '{under}'"))?;
    for entry in entries {
        let entry = entry.with_context(|| format!("cannot list '{under}'"))?;
        let path = format!("{under}/{}", entry.file_name().to_string_lossy());
        if entry.file_type()?.is_dir() {
            found.extend(sources(root, &path)?);
        } else if Path::new(&path).extension().is_some_and(|extension| extension == "rs") {
            let text = text(root, &path)?;
            found.push((path, text));
        }
    }
    Ok(found)
}

/// The module that a file is: of a crate by its name, of a test binary by the binary's.
fn module(path: &str) -> Option<String> {
    let path = path.strip_suffix(".rs")?;
    let (package, file) = if let Some(file) = path.strip_prefix("xtask/") {
        ("xtask".to_owned(), file)
    } else {
        let (_, rest) = path.split_once('/')?;
        let (package, file) = rest.split_once('/')?;
        (if package == "trueup" { package.to_owned() } else { format!("trueup_{package}") }, file)
    };
    let (binary, file) = match file.split_once('/')? {
        ("src", file) => (Some(package), file),
        ("tests", file) => (None, file),
        _ => return None,
    };
    let mut names: Vec<&str> = file.split('/').collect();
    if names.last().is_some_and(|last| NAMELESS.contains(last)) {
        names.pop();
    }
    Some(binary.as_deref().into_iter().chain(names).collect::<Vec<_>>().join("::"))
}

/// Whether a module is a crate or a test binary by itself.
fn is_root(module: &str) -> bool {
    !module.contains("::")
}

/// The modules in files of their own that a file declares.
fn declared(module: &str, text: &str) -> impl Iterator<Item = String> {
    let names = text.lines().filter_map(|line| line.strip_suffix(';')?.rsplit_once("mod ").filter(is_declaration));
    names.map(move |(_, name)| format!("{module}::{name}"))
}

/// Whether it is a declaration by what stands before it.
fn is_declaration((before, _): &(&str, &str)) -> bool {
    before.is_empty() || before.starts_with("pub")
}

/// The tests of a file, its own modules included.
fn tests<'a>(module: &'a str, text: &'a str) -> impl Iterator<Item = String> + 'a {
    let mut modules: Vec<(&str, &str)> = Vec::new();
    let mut is_test = false;
    text.lines().filter_map(move |line| {
        let bare = line.trim_start();
        let indent = &line[..line.len() - bare.len()];
        let opened = bare.strip_suffix(" {").and_then(|head| head.split_once("mod ")).filter(is_declaration);
        if let Some((_, name)) = opened {
            modules.push((indent, name));
        } else if bare == "}" && modules.last().is_some_and(|(open, _)| *open == indent) {
            modules.pop();
        } else if bare.starts_with("#[test]") || bare.starts_with("#[tokio::test") {
            is_test = true;
        }
        let function = bare.strip_prefix("async ").unwrap_or(bare).strip_prefix("fn ")?;
        if !std::mem::take(&mut is_test) {
            return None;
        }
        let name = function.split(['(', '<']).next()?;
        let inside = modules.iter().map(|(_, name)| *name);
        Some(std::iter::once(module).chain(inside).chain([name]).collect::<Vec<_>>().join("::"))
    })
}

/// The texts that a file gives names to.
fn constants(text: &str) -> BTreeMap<String, String> {
    let all = text.lines().filter_map(|line| {
        let (name, value) = line.strip_prefix("pub const ")?.split_once(": &str = \"")?;
        Some((name.to_owned(), value.strip_suffix("\";")?.to_owned()))
    });
    all.collect()
}

/// The part of a file that is no test.
fn without_tests(text: &str) -> &str {
    text.split("\n#[cfg(test)]").next().unwrap_or(text)
}

/// The rows of a table of what is not honoured: a field, and below it whether it stops.
fn refusals(kind: Kind, text: &str, constants: &BTreeMap<String, String>) -> anyhow::Result<Vec<Refusal>> {
    let mut found = Vec::new();
    let mut open: Option<String> = None;
    for line in without_tests(text).lines() {
        let line = line.trim();
        if let Some(field) = line.strip_prefix("field: ").and_then(|rest| rest.strip_suffix(',')) {
            let name = quoted(field).map(str::to_owned).or_else(|| constants.get(field).cloned());
            open = Some(name.with_context(|| format!("'{field}' is not in '{ANNOTATIONS}'"))?);
        } else if let Some(stops) = line.strip_prefix("stops: ") {
            found.extend(open.take().map(|name| Refusal { kind, name, stops: stops == "true," }));
        }
    }
    Ok(found)
}

/// The names of sync options, with the sign that a value follows.
fn options(text: &str) -> impl Iterator<Item = String> {
    let rows = without_tests(text).lines().filter_map(|line| line.split_once("name: \"")?.1.split_once('"'));
    rows.map(|(name, _)| format!("{name}="))
}

fn quoted(text: &str) -> Option<&str> {
    text.strip_prefix('"')?.strip_suffix('"')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_a_module() {
        for (path, name) in [
            ("crates/api/src/options.rs", Some("trueup_api::options")),
            ("crates/api/src/lib.rs", Some("trueup_api")),
            ("crates/plan/src/windows/tests.rs", Some("trueup_plan::windows::tests")),
            ("crates/trueup/src/cli.rs", Some("trueup::cli")),
            ("crates/diff/tests/diff/main.rs", Some("diff")),
            ("tests/e2e/tests/e2e/waves.rs", Some("e2e::waves")),
            ("xtask/src/demo/mod.rs", Some("xtask::demo")),
            ("xtask/tests/demo.rs", Some("demo")),
            ("crates/git/build.rs", None),
        ] {
            assert_eq!(module(path).as_deref(), name, "{path}");
        }
    }

    #[test]
    fn a_file_counts_where_it_is_declared() {
        let found: Vec<String> =
            declared("e2e", "mod waves;\npub(crate) mod hooks;\nmod inline {\n}\n// see mod x;\n").collect();
        assert_eq!(found, ["e2e::waves", "e2e::hooks"]);
        assert!(is_root("e2e") && !is_root("e2e::waves"));
    }

    #[test]
    fn a_test_is_a_function_that_is_marked_as_one() {
        let text = "fn helper() {\n}\n\n#[tokio::test]\nasync fn outside() {\n}\n\nmod tests {\n    #[test]\n    #[should_panic]\n    fn inside() {\n        {\n        }\n    }\n\n    pub(crate) mod more {\n        #[test]\n        fn deep() {}\n    }\n    fn helper() {}\n}\n\n#[test]\nfn after() {}\n";
        let found: Vec<String> = tests("m", text).collect();
        assert_eq!(found, ["m::outside", "m::tests::inside", "m::tests::more::deep", "m::after"]);
    }

    #[test]
    fn refusals_and_options_are_read_from_their_tables() {
        let constants = constants("pub const HOOK: &str = \"argocd.argoproj.io/hook\";\n");
        let text = "const A: &[Row<A>] = &[\n    Row {\n        field: \"spec.a\",\n        stops: true,\n    },\n    Row {\n        field: HOOK,\n        stops: false,\n    },\n    OptionRow { name: \"O\", values: BOOLEAN },\n];\n\n#[cfg(test)]\nmod tests {\n    field: \"never\",\n    stops: true,\n    name: \"Never\",\n}\n";
        let found = refusals(Kind::Application, text, &constants).unwrap();
        let found: Vec<(&str, bool)> = found.iter().map(|row| (row.name.as_str(), row.stops)).collect();
        assert_eq!(found, [("spec.a", true), ("argocd.argoproj.io/hook", false)]);
        assert_eq!(options(text).collect::<Vec<_>>(), ["O="]);
        refusals(Kind::Application, "        field: NOBODY,\n", &constants).unwrap_err();
    }
}
