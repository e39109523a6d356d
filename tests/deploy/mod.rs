//! The Kubernetes manifests and the image's recipe; `main.py` beside this file does the work.

use std::process::Command;

use crate::harness::program::run;
use crate::harness::{packages, tests_dir};

#[test]
fn the_manifests_hold_together() {
    let (directory, python) = packages::python("deploy");
    run(Command::new(python)
        .arg("-B")
        .arg(directory.join("main.py"))
        .arg("--root")
        .arg(tests_dir().join(".."))
        .arg("--work")
        .arg(directory.join("work"))
        .arg("--weir")
        .arg(env!("CARGO_BIN_EXE_weir")));
}
