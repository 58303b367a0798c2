//! The built binary, without a cluster: what it prints, where, and how it ends.
#![expect(clippy::unwrap_used, reason = "in the helpers of the tests, which the setting for tests does not cover")]

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

const DEPLOYMENT: &str = "\
apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
  generation: 2
spec:
  replicas: 2
status:
  observedGeneration: 2
  replicas: 2
  updatedReplicas: 2
  availableReplicas: 2
";

/// The binary with an environment of its own: nothing of this machine decides what it does.
fn trueup(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_trueup"));
    command.args(arguments).env_clear().env("HOME", "/nonexistent").stdin(Stdio::null());
    command
}

fn run(command: &mut Command) -> Output {
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).output().unwrap()
}

fn run_with_stdin(command: &mut Command, stdin: &str) -> Output {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(stdin.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

#[track_caller]
fn stdout(output: &Output) -> &str {
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    text(&output.stdout)
}

/// Asserts exit code and message of a command that must fail, and that it leaves stdout alone.
#[track_caller]
fn fails(output: &Output, code: i32, messages: &[&str]) {
    let stderr = text(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{stderr}");
    assert_eq!(text(&output.stdout), "");
    for message in messages {
        assert!(stderr.contains(message), "'{message}' is not in:\n{stderr}");
    }
}

fn write(dir: &Path, name: &str, content: &str) {
    let path = dir.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
}

#[test]
fn version_is_text_json_and_yaml() {
    let version = env!("CARGO_PKG_VERSION");
    assert!(stdout(&run(&mut trueup(&["version"]))).starts_with(&format!("trueup {version}")));
    let json: Value = serde_json::from_str(stdout(&run(&mut trueup(&["version", "-o", "json"])))).unwrap();
    assert_eq!(json["version"], version);
    let yaml = run(&mut trueup(&["version", "-o", "yaml"]));
    assert!(stdout(&yaml).lines().any(|line| line == format!("version: {version}")), "{}", stdout(&yaml));
}

#[test]
fn crds_are_documents_that_kubectl_takes() {
    let output = run(&mut trueup(&["crds"]));
    let documents = trueup_object::yaml::documents(stdout(&output).as_bytes()).unwrap();
    let names: Vec<&str> =
        documents.iter().filter_map(|document| document.node.str_at(&["metadata", "name"])).collect();
    assert_eq!(names.len(), documents.len());
    for name in ["applications.argoproj.io", "appprojects.argoproj.io"] {
        assert!(names.contains(&name), "{names:?}");
    }
    assert!(documents.iter().all(|document| document.node.str_at(&["kind"]) == Some("CustomResourceDefinition")));
}

#[test]
fn render_prints_the_objects_of_a_directory() {
    let dir = tempfile::tempdir().unwrap();
    write(
        dir.path(),
        "b.yaml",
        "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: b\ndata:\n  port: \"8080\"\n---\n---\n",
    );
    write(dir.path(), "a.yaml", DEPLOYMENT);
    write(dir.path(), "deep/c.json", r#"{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"c"}}"#);
    let path = dir.path().to_str().unwrap();

    let flat = run(&mut trueup(&["render", path]));
    let documents = trueup_object::yaml::documents(stdout(&flat).as_bytes()).unwrap();
    let names: Vec<&str> =
        documents.iter().filter_map(|document| document.node.str_at(&["metadata", "name"])).collect();
    assert_eq!(names, ["web", "b"]);
    assert_eq!(documents[1].node.str_at(&["data", "port"]), Some("8080"));

    let deep = run(&mut trueup(&["render", path, "--recurse", "--exclude", "a.yaml", "-o", "json"]));
    let list: Value = serde_json::from_str(stdout(&deep)).unwrap();
    let names: Vec<&str> =
        list["items"].as_array().unwrap().iter().map(|item| item["metadata"]["name"].as_str().unwrap()).collect();
    assert_eq!((list["kind"].as_str(), names.as_slice()), (Some("List"), ["b", "c"].as_slice()));
}

#[test]
fn render_of_nothing_is_no_error() {
    let dir = tempfile::tempdir().unwrap();
    let output = run(&mut trueup(&["render", dir.path().to_str().unwrap()]));
    assert_eq!(stdout(&output), "");
    assert!(text(&output.stderr).starts_with("warning: there are no objects in"), "{}", text(&output.stderr));
}

#[test]
fn render_names_file_and_line_of_what_is_wrong() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "broken.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: [a\n");
    let output = run(&mut trueup(&["render", dir.path().to_str().unwrap()]));
    fails(&output, 2, &["error: ", "cannot be rendered", "broken.yaml"]);
    fails(&run(&mut trueup(&["render", "/nonexistent/dir"])), 2, &["error: cannot read '/nonexistent/dir'"]);
}

#[test]
fn health_prints_a_line_per_object() {
    let dir = tempfile::tempdir().unwrap();
    let config_map = "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings}\n";
    write(dir.path(), "live.yaml", &format!("{DEPLOYMENT}{config_map}"));
    let path = dir.path().join("live.yaml");
    let from_file = run(&mut trueup(&["health", "-f", path.to_str().unwrap()]));
    assert_eq!(stdout(&from_file), "Deployment/web Healthy\nConfigMap/settings -\n");

    let waiting = DEPLOYMENT.replace("availableReplicas: 2", "availableReplicas: 1");
    let list = format!("apiVersion: v1\nkind: List\nitems:\n- {}", waiting.trim_end().replace('\n', "\n  "));
    let from_stdin = run_with_stdin(&mut trueup(&["health", "-f", "-"]), &list);
    let line = stdout(&from_stdin);
    assert!(line.starts_with("Deployment/web Progressing ") && line.trim_end().lines().count() == 1, "{line}");
}

#[test]
fn health_says_what_it_cannot_read() {
    fails(&run(&mut trueup(&["health", "-f", "/nonexistent.yaml"])), 2, &["error: cannot read '/nonexistent.yaml'"]);
    let nameless = run_with_stdin(&mut trueup(&["health", "-f", "-"]), "apiVersion: v1\nkind: Pod\n");
    fails(&nameless, 2, &["error: stdin: the document at line 1 is a Pod without a name", "hint: "]);
    let broken = run_with_stdin(&mut trueup(&["health", "-f", "-"]), "a: b\nc: [d\n");
    fails(&broken, 2, &["error: stdin cannot be read as YAML", "line "]);
}

#[test]
fn wrong_arguments_end_with_two() {
    fails(&run(&mut trueup(&["aap", "list"])), 2, &["unrecognized subcommand", "app"]);
    fails(&run(&mut trueup(&["controller", "--resync", "10 s"])), 2, &["--resync", "is not a unit of time"]);
    fails(&run(trueup(&["controller"]).env("TRUEUP_LISTEN", "here")), 2, &["--listen"]);
    // What the environment sets is no argument.
    let mut lacking = trueup(&["app", "get"]);
    let lacking = run(lacking.env("TRUEUP_KUBECONFIG", "/k").env("TRUEUP_NAMESPACE", "n"));
    fails(&lacking, 2, &["<NAME>\n", "Usage: trueup app get [OPTIONS] <NAME>\n"]);
    fails(
        &run(trueup(&["controller"]).env("RUST_LOG", "a=b=c")),
        2,
        &["RUST_LOG 'a=b=c' is not a log filter", "hint: "],
    );
    fails(&run(&mut trueup(&[])), 2, &["Usage: trueup"]);
}

#[test]
fn help_goes_to_stdout_and_tells_exit_codes_and_examples() {
    let help = run(&mut trueup(&["--help"]));
    assert!(stdout(&help).contains("Exit codes:"), "{}", stdout(&help));
    assert!(!stdout(&help).contains("git-fetch"));
    let commands: [&[&str]; 19] = [
        &["controller"],
        &["render"],
        &["health"],
        &["crds"],
        &["app", "list"],
        &["app", "diff"],
        &["app", "sync"],
        &["app", "wait"],
        &["app", "history"],
        &["app", "rollback"],
        &["app", "terminate-op"],
        &["app", "confirm-deletion"],
        &["app", "manifests"],
        &["app", "resources"],
        &["app", "pause"],
        &["app", "resume"],
        &["app", "create"],
        &["app", "set"],
        &["app", "delete"],
    ];
    for command in commands {
        let help = run(&mut trueup(&[command, &["--help"]].concat()));
        assert!(stdout(&help).contains("Examples:"), "{command:?}");
    }
}

#[test]
fn a_cluster_that_cannot_be_used_says_what_to_do() {
    let missing = run(&mut trueup(&["app", "list", "--kubeconfig", "/nonexistent/kubeconfig"]));
    fails(
        &missing,
        2,
        &["error: cannot use the cluster", "/nonexistent/kubeconfig", "hint: name a kubeconfig with --kubeconfig"],
    );
    let none = run(&mut trueup(&["app", "get", "web"]));
    fails(&none, 2, &["error: ", "hint: "]);

    let dir = tempfile::tempdir().unwrap();
    // Nobody can listen on port 0, so the connection is refused at once.
    let kubeconfig = "\
apiVersion: v1
kind: Config
clusters: [{name: c, cluster: {server: 'http://127.0.0.1:0'}}]
contexts: [{name: x, context: {cluster: c, user: u}}]
users: [{name: u, user: {token: hunter2}}]
current-context: x
";
    write(dir.path(), "kubeconfig", kubeconfig);
    let silent = run(trueup(&["app", "list"]).env("KUBECONFIG", dir.path().join("kubeconfig")));
    fails(&silent, 2, &["error: ", "hint: check that the cluster runs"]);
    assert!(!text(&silent.stderr).contains("hunter2"));
}

#[test]
fn what_a_sync_cannot_mean_is_refused_before_anything_is_asked() {
    let refused = |words: &[&str], told: &[&str]| {
        fails(&run(&mut trueup(&[&["app", "sync"], words].concat())), 2, told);
    };
    refused(&["web", "--resource", "Deployment/web"], &["--resource", "GROUP:KIND:NAME"]);
    refused(&["web", "-l", "team=shop"], &["cannot be used with"]);
    refused(&["web", "--local", ".", "--revision", "main"], &["cannot be used with"]);
    refused(&["web", "shop", "--local", "."], &["--local is for one Application"]);
    refused(&["web", "--info", "ticket"], &["write NAME=VALUE"]);
}

#[test]
fn completion_prints_a_script_and_answers_it() {
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let script = run(&mut trueup(&["completion", shell]));
        assert!(stdout(&script).contains("TRUEUP_COMPLETE"), "{shell}");
    }
    fails(&run(&mut trueup(&["completion", "tcsh"])), 2, &["tcsh", "bash"]);

    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "kubeconfig", "contexts: [{name: dev}, {name: prod}]");
    let kubeconfig = dir.path().join("kubeconfig");
    let offered = |words: &[&str]| {
        let mut command = trueup(&[&["--", "trueup"], words].concat());
        let output = run(command.env("TRUEUP_COMPLETE", "fish").env("KUBECONFIG", &kubeconfig));
        assert_eq!(text(&output.stderr), "");
        let lines = stdout(&output).lines().map(|line| line.split('\t').next().unwrap().to_owned());
        lines.collect::<Vec<String>>()
    };
    assert_eq!(offered(&["app", "hist"]), ["history"]);
    assert_eq!(offered(&["app", "list", "--context", "p"]), ["prod"]);
    // No cluster answers: that is silence.
    assert_eq!(offered(&["app", "get", "we"]), Vec::<String>::new());
}

#[test]
fn what_is_to_be_created_is_read_before_anything_is_asked() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "other.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n");
    let path = dir.path().join("other.yaml");
    let other = run(&mut trueup(&["app", "create", "-f", path.to_str().unwrap()]));
    fails(&other, 2, &["is no Application of argoproj.io: it is a 'ConfigMap'"]);
    fails(&run(&mut trueup(&["app", "create"])), 2, &["the Application has no name", "hint: "]);
    let half = run(&mut trueup(&["app", "create", "web", "--repo", "https://git.example/a", "--path", "a"]));
    fails(&half, 2, &["the specification is not valid", "Destination server missing", "hint: "]);
    let alone = run(&mut trueup(&["app", "create", "web", "--auto-prune"]));
    fails(&alone, 2, &["--auto-prune is of automated syncs", "hint: turn them on as well: --sync-policy automated"]);
    fails(&run(&mut trueup(&["app", "set", "web"])), 2, &["nothing to set is named", "hint: "]);
}

#[test]
fn colours_are_for_terminals_and_for_those_who_ask() {
    let input = DEPLOYMENT;
    let plain = run_with_stdin(&mut trueup(&["health", "-f", "-"]), input);
    assert!(!stdout(&plain).contains('\u{1b}'));
    let coloured = run_with_stdin(&mut trueup(&["health", "-f", "-", "--color", "always"]), input);
    assert!(stdout(&coloured).contains("\u{1b}[32mHealthy\u{1b}[0m"), "{}", stdout(&coloured));
}

#[test]
fn a_reader_that_leaves_is_no_error() {
    let mut child = trueup(&["crds"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), text(&output.stderr)), (Some(0), ""));
}

#[test]
fn a_full_disk_is_an_error() {
    let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let output = trueup(&["version"]).stdout(full).stderr(Stdio::piped()).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).starts_with("error: cannot write to stdout"), "{}", text(&output.stderr));
}

#[test]
fn the_fetch_process_ends_without_a_request() {
    let output = run(&mut trueup(&["git-fetch"]));
    assert_eq!((output.status.code(), text(&output.stdout), text(&output.stderr)), (Some(1), "", ""));
}

#[test]
fn the_settings_of_the_allocator_are_in_the_binary() {
    let output = run(trueup(&["version"]).env("_RJEM_MALLOC_CONF", "stats_print:true"));
    let stderr = text(&output.stderr);
    for setting in
        ["opt.narenas: 2", "opt.background_thread: true", "opt.dirty_decay_ms: 2000", "opt.muzzy_decay_ms: 0"]
    {
        assert!(stderr.contains(setting), "{setting}");
    }
}

#[test]
fn a_controller_that_cannot_start_says_once_what_to_do() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let cache = tempfile::tempdir().unwrap();
    let cache = cache.path().to_str().unwrap();
    let output = run(&mut trueup(&["controller", "--listen", &address, "--cache-dir", cache]));
    fails(&output, 2, &["cannot listen on", "choose another with --listen"]);
    assert!(!text(&output.stderr).contains("hint:"), "{}", text(&output.stderr));
}
