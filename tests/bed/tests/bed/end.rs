//! Whatever ends a control plane, nothing is left behind.

use std::path::Path;
use std::process::Command;

use trueup_bed::ControlPlane;
use trueup_bed::Deadline;
use trueup_bed::until;

/// The processes that a control plane consists of.
fn processes(control_plane: &ControlPlane) -> Vec<u32> {
    let components = control_plane.pids().values().copied();
    let pids: Vec<u32> = components.chain([control_plane.pid()]).collect();
    assert_eq!(pids.len(), 6);
    assert_eq!(alive(&pids), pids);
    pids
}

fn alive(pids: &[u32]) -> Vec<u32> {
    // A zombie runs no more; it waits for its parent only.
    let runs =
        |pid: &&u32| std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "));
    pids.iter().filter(runs).copied().collect()
}

async fn all_gone(pids: &[u32]) {
    until("the processes to end", Deadline::SHORT, async || match alive(pids).as_slice() {
        [] => Ok(()),
        left => Err(left.to_vec()),
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn nothing_is_left_after_a_drop() {
    let control_plane = ControlPlane::start(&[]).await.unwrap();
    let pids = processes(&control_plane);
    let dir = control_plane.dir().to_owned();
    drop(control_plane);
    assert!(alive(&pids).is_empty());
    assert!(!dir.exists());
}

#[tokio::test]
async fn no_process_is_left_after_a_kill_9() {
    let control_plane = ControlPlane::start(&[]).await.unwrap();
    let pids = processes(&control_plane);
    kill("-9", control_plane.pid());
    all_gone(&pids).await;
}

#[tokio::test]
async fn ends_when_asked_and_when_its_parent_dies() {
    for end in ["-TERM", "parent"] {
        let dir = tempfile::tempdir().unwrap();
        let binary = trueup_bed::controlplane_binary().unwrap();
        // The shell is the parent that dies; the pipe to it says nothing, since it is not asked for.
        let up = format!(
            "'{}' up --dir '{}' >'{dir}/out' 2>'{dir}/err' </dev/null & echo $!; exec sleep 300",
            binary.display(),
            dir.path().join("cp").display(),
            dir = dir.path().display(),
        );
        let mut shell = Command::new("sh").args(["-c", &up]).stdout(std::process::Stdio::piped()).spawn().unwrap();
        let pids = started(dir.path()).await;
        let up = parent_of(pids[0]);
        if end == "-TERM" {
            kill(end, up);
        } else {
            shell.kill().unwrap();
            shell.wait().unwrap();
        }
        all_gone(&[pids, vec![up]].concat()).await;
        let _ = shell.kill();
        shell.wait().unwrap();
    }
}

/// Waits for the line that tells that all is ready, and answers the components' process ids.
async fn started(dir: &Path) -> Vec<u32> {
    let line = until("the control plane", Deadline::LONG, async || {
        let out = std::fs::read_to_string(dir.join("out")).unwrap_or_default();
        if out.ends_with('\n') { Ok(out) } else { Err(std::fs::read_to_string(dir.join("err"))) }
    });
    let summary: serde_json::Value = serde_json::from_str(&line.await.unwrap()).unwrap();
    let pids = summary["pids"].as_object().unwrap();
    pids.values().map(|pid| u32::try_from(pid.as_u64().unwrap()).unwrap()).collect()
}

fn parent_of(pid: u32) -> u32 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    status.lines().find_map(|line| line.strip_prefix("PPid:")).unwrap().trim().parse().unwrap()
}

fn kill(signal: &str, pid: u32) {
    assert!(Command::new("kill").args([signal, &pid.to_string()]).status().unwrap().success());
}
