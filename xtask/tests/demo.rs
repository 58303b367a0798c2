//! The demo is the README's first command: every step of it holds, and nothing stays.

use std::process::Command;
use std::process::Stdio;

#[test]
fn every_step_of_the_demo_holds() {
    let trueup = trueup_bed::trueup_binary().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_xtask"))
        .args(["demo", "--once"])
        .env("TRUEUP_BIN", trueup)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{told}\n{errors}");
    for step in ["Synced and Healthy", "rolled out", "noticed: it was kubectl-edit", "healed", "pruned: ConfigMap"] {
        assert!(told.contains(&format!("✓ {step}")), "no '{step}' in\n{told}");
    }
    assert!(!told.contains('\x1b'), "colour, though nobody sees it:\n{told}");
}
