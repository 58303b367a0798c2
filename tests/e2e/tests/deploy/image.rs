//! The Dockerfile: its own command lines, run stage by stage in a copy of what an engine would send to the builder.
//!
//! A stage is a directory; `WORKDIR` and the paths of `COPY` lie below it, and so all of its files are relative to its
//! `WORKDIR` for `RUN`. Only the target directory of cargo is outside, kept from run to run as an engine keeps layers; what
//! cargo builds of dependencies is shared with this workspace.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;

use parse_dockerfile::Command as Line;
use parse_dockerfile::Dockerfile;
use parse_dockerfile::Instruction;
use parse_dockerfile::Source;
use trueup_bed::workspace;

use crate::container::libraries;

fn text() -> String {
    fs::read_to_string(workspace().join("Dockerfile")).unwrap()
}

/// `NAME=VALUE` pairs of ARG, ENV and LABEL, which may be quoted.
fn pairs(text: &str) -> Vec<(String, Option<String>)> {
    let (mut words, mut word, mut quoted) = (Vec::new(), String::new(), false);
    for character in text.chars() {
        match character {
            '"' => quoted = !quoted,
            character if character.is_whitespace() && !quoted => words.push(std::mem::take(&mut word)),
            character => word.push(character),
        }
    }
    words.push(word);
    let split = |word: String| match word.split_once('=') {
        Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
        None => (word, None),
    };
    words.into_iter().filter(|word| !word.is_empty()).map(split).collect()
}

/// One stage as it is being built.
struct Built {
    root: PathBuf,
    workdir: String,
    environment: BTreeMap<String, String>,
    /// What each RUN has said.
    said: Vec<String>,
}

impl Built {
    /// Where a path of the stage lies.
    fn place(&self, path: &str) -> PathBuf {
        let absolute = if path.starts_with('/') { path.to_owned() } else { format!("{}/{path}", self.workdir) };
        let parts = absolute.split('/').filter(|part| !part.is_empty() && *part != ".");
        parts.fold(self.root.clone(), |place, part| {
            assert_ne!(part, "..", "{path} leads out of the stage");
            place.join(part)
        })
    }
}

/// What is sent to the builder: what `.dockerignore` lets through, which ignores all but whole entries, and of one the test data.
fn context(dir: &Path) {
    let ignore = fs::read_to_string(workspace().join(".dockerignore")).unwrap();
    let mut lines = ignore.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    assert_eq!(lines.next(), Some("*"), ".dockerignore lets through only what it names");
    fs::create_dir_all(dir).unwrap();
    for line in lines {
        if let Some(name) = line.strip_suffix("/*/testdata") {
            for entry in fs::read_dir(dir.join(name)).unwrap() {
                let data = entry.unwrap().path().join("testdata");
                if data.exists() {
                    fs::remove_dir_all(data).unwrap();
                }
            }
            continue;
        }
        let name = line.strip_prefix('!').unwrap_or_else(|| panic!("'{line}' is not an entry that is let through"));
        assert!(!name.contains(['/', '*', '?', '[']), "'{line}' is not a whole entry");
        copy(&workspace().join(name), &dir.join(name));
    }
}

/// Copies a file, or the content of a directory, as COPY does.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to.parent().unwrap()).unwrap();
    let mut command = Command::new("cp");
    if from.is_dir() {
        fs::create_dir_all(to).unwrap();
        command.arg("-R").arg(from.join("."));
    } else {
        command.arg(from);
    }
    let output = command.arg(to).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// Where this workspace is built, whose dependencies are the image's.
fn build_directory() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| workspace().join("target"), PathBuf::from)
}

/// Where the binary goes: apart from that of this workspace, which has the same name.
fn target_directory() -> PathBuf {
    build_directory().join("image")
}

/// Builds all stages with these arguments, and answers them by name; the last is the image.
fn build(dockerfile: &Dockerfile<'_>, dir: &Path, arguments: &[(&str, &str)]) -> Vec<(String, Built)> {
    let sent = dir.join("context");
    context(&sent);
    let mut stages: Vec<(String, Built)> = Vec::new();
    for (number, stage) in dockerfile.stages().enumerate() {
        let name = stage.from.as_.as_ref().map_or_else(|| "image".to_owned(), |(_, name)| name.value.to_string());
        let root = dir.join(format!("stage-{number}"));
        let mut built = Built { root, workdir: "/".to_owned(), environment: BTreeMap::new(), said: Vec::new() };
        fs::create_dir_all(&built.root).unwrap();
        for instruction in stage.instructions {
            match instruction {
                Instruction::Arg(arg) => {
                    for (name, default) in pairs(&arg.arguments.value) {
                        let given = arguments.iter().find(|(known, _)| *known == name).map(|(_, it)| (*it).to_owned());
                        built.environment.extend(given.or(default).map(|value| (name, value)));
                    }
                }
                Instruction::Env(env) => {
                    let set = pairs(&env.arguments.value).into_iter();
                    built.environment.extend(set.map(|(name, value)| (name, value.unwrap_or_default())));
                }
                Instruction::Workdir(workdir) => {
                    built.workdir = workdir.arguments.value.to_string();
                    fs::create_dir_all(built.place(".")).unwrap();
                }
                Instruction::Copy(copied) => {
                    let from = copied.options.iter().find(|option| option.name.value == "from");
                    assert_eq!(from.is_some(), !copied.options.is_empty(), "an option of COPY that is not known here");
                    for source in &copied.src {
                        let Source::Path(path) = source else { panic!("a COPY of a here-document") };
                        let source = match from {
                            None => sent.join(path.value.trim_start_matches("./")),
                            Some(from) => {
                                let wanted = from.value.as_ref().unwrap();
                                let of = stages.iter().find(|(name, _)| *name == wanted.value);
                                of.unwrap_or_else(|| panic!("no stage {}", wanted.value)).1.place(&path.value)
                            }
                        };
                        copy(&source, &built.place(&copied.dest.value));
                    }
                }
                Instruction::Run(run) => {
                    assert!(run.options.is_empty() && run.here_docs.is_empty(), "a RUN that is not known here");
                    let Line::Shell(line) = &run.arguments else { panic!("a RUN without a shell") };
                    let said = execute(&built, line.value);
                    built.said.push(said);
                }
                Instruction::Label(_)
                | Instruction::User(_)
                | Instruction::Expose(_)
                | Instruction::Entrypoint(_)
                | Instruction::Cmd(_) => {}
                other => panic!("an instruction that is not known here: {other:?}"),
            }
        }
        stages.push((name, built));
    }
    stages
}

/// The version of Rust that this repository is built with.
fn toolchain() -> String {
    let text = fs::read_to_string(workspace().join("rust-toolchain.toml")).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix("channel = \"")).unwrap();
    line.trim_end_matches('"').to_owned()
}

/// Runs one command line as the builder does, and answers what it says.
fn execute(stage: &Built, line: &str) -> String {
    // Nobody waits for it, but the tests beside it wait for each other.
    let output = Command::new("nice")
        .args(["-n", "19", "sh", "-c", line])
        .current_dir(stage.place("."))
        .envs(&stage.environment)
        .env("CARGO_TARGET_DIR", target_directory())
        .env("CARGO_BUILD_BUILD_DIR", build_directory())
        // As in the builder's image; a test that is not run by cargo would take whatever is the default here.
        .env("RUSTUP_TOOLCHAIN", toolchain())
        // Nobody debugs this build; and by another profile than this workspace's, the crates in both are files in both.
        .env("CARGO_PROFILE_DEV_DEBUG", "false")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{line}\n{said}");
    said
}

/// The packages that cargo says it compiled.
fn compiled(said: &str) -> Vec<&str> {
    said.lines().filter_map(|line| line.trim().strip_prefix("Compiling ")?.split(' ').next()).collect()
}

#[test]
fn each_stage_builds_and_the_image_holds_binaries_that_run() {
    let text = text();
    let dockerfile = parse_dockerfile::parse(&text).unwrap();
    let dir = tempfile::tempdir().unwrap();
    // Two builds at a time would change each other's files.
    fs::create_dir_all(target_directory()).unwrap();
    let held = fs::File::create(target_directory().join("lock")).unwrap();
    held.lock().unwrap();
    let arguments = [("PROFILE", "dev"), ("PROFILE_DIRECTORY", "debug"), ("REVISION", "0123456789abcdef")];
    let stages = build(&dockerfile, dir.path(), &arguments);
    let names: Vec<&str> = stages.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["manifests", "build", "renderer", "image"]);
    // The sources come after the dependencies: with them only our own crates are compiled.
    let with_sources = compiled(stages[1].1.said.last().unwrap());
    assert!(with_sources.contains(&"trueup"), "{with_sources:?}");
    let foreign: Vec<&&str> = with_sources.iter().filter(|name| !name.starts_with("trueup")).collect();
    assert!(foreign.is_empty(), "compiled again with the sources: {foreign:?}");
    // What the image's base has not is linked in.
    let image = &stages[3].1;
    let binary = image.place("/usr/local/bin/trueup");
    for library in libraries(&binary) {
        let name = library.rsplit('/').next().unwrap();
        let known = ["libc.so.", "libm.so.", "libgcc_s.so.", "ld-linux"].iter().any(|known| name.starts_with(known));
        assert!(known, "the image has no {name}");
    }
    let output = Command::new(&binary).args(["version", "-o", "json"]).env_clear().output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success() && said.contains("0123456789abcdef"), "{said}");
    let renderer = image.place("/usr/local/bin/trueup-renderer");
    assert_eq!(libraries(&renderer), Vec::<String>::new());
    let output = Command::new(&renderer).arg("--version").env_clear().output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success() && said.contains("protocol 1"), "{said}");
    assert!(!stages[2].1.place("/src/helm/testdata").exists(), "what only tests need is sent to the builder");
}

#[test]
fn tags_are_named_and_the_image_is_confined_and_labelled() {
    let text = text();
    let dockerfile = parse_dockerfile::parse(&text).unwrap();
    let globals: Vec<_> = dockerfile.global_args().flat_map(|arg| pairs(&arg.arguments.value)).collect();
    let [(name, Some(rust)), (go_name, Some(go))] = &globals[..] else { panic!("{globals:?}") };
    assert_eq!((name.as_str(), go_name.as_str()), ("RUST_VERSION", "GO_VERSION"));
    let module = fs::read_to_string(workspace().join("renderer/go.mod")).unwrap();
    assert!(module.contains(&format!("\ngo {go}.")), "the version of renderer/go.mod");
    assert_eq!(*rust, toolchain(), "the version of rust-toolchain.toml");
    let mut distributions = Vec::new();
    for stage in dockerfile.stages() {
        let image = stage.from.image.value.replace("${RUST_VERSION}", rust).replace("${GO_VERSION}", go);
        let (name, tag) = image.rsplit_once(':').unwrap_or_else(|| panic!("{image} has no tag"));
        assert!(tag != "latest" && !tag.contains('$'), "{image}");
        distributions.push((name.to_owned(), tag.to_owned()));
    }
    // The C library of the last stage must not be older than that of the others.
    assert_eq!(distributions[0], distributions[1]);
    assert!(distributions[2].1.ends_with("-trixie"), "{distributions:?}");
    assert!(distributions[0].1.ends_with("-trixie") && distributions[3].0.ends_with("-debian13"), "{distributions:?}");
    let last = dockerfile.stages().last().unwrap();
    let of = |wanted: fn(&Instruction<'_>) -> Option<String>| last.instructions.iter().filter_map(wanted);
    assert_eq!(of(|it| matches!(it, Instruction::Run(_)).then(String::new)).count(), 0, "it has no shell to run");
    let user = of(|it| if let Instruction::User(user) = it { Some(user.arguments.value.to_string()) } else { None });
    assert_eq!(user.collect::<Vec<_>>(), ["65532:65532"]);
    let labels =
        of(|it| if let Instruction::Label(label) = it { Some(label.arguments.value.to_string()) } else { None });
    let labels: Vec<String> = labels.flat_map(|label| pairs(&label)).map(|(name, _)| name).collect();
    for label in ["title", "description", "url", "licenses", "version", "revision"] {
        assert!(labels.contains(&format!("org.opencontainers.image.{label}")), "{labels:?}");
    }
    let version = of(|it| if let Instruction::Arg(arg) = it { Some(arg.arguments.value.to_string()) } else { None });
    assert!(version.collect::<Vec<_>>().contains(&format!("VERSION={}", env!("CARGO_PKG_VERSION"))));
}
