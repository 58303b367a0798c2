//! What the page on Argo CD's API claims is what the code and the tests say.

use std::process::Command;

#[test]
fn every_row_is_vouched_for_and_nothing_is_forgotten() {
    let output = Command::new(env!("CARGO_BIN_EXE_xtask")).args(["parity", "--check"]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
