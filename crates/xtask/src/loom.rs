//! Building and running the loom models of a crate, for the lane and for the
//! ordering sweep.
//!
//! Models choose their own preemption bound through `loom::model::Builder`:
//! two threads run unbounded, three at three preemptions. So the variable
//! that would bound them all is taken away here, and only
//! `AXIOMATIC_LOOM_UNBOUNDED=1` (from `deep`) tells models to drop theirs.

use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::counts::Counts;
use crate::lanes::Report;
use crate::run::{End, Run, cargo};
use crate::tree::Tree;

/// One crate's models take seconds; this is for a model that never ends.
const LIMIT: Duration = Duration::from_secs(600);
const LIMIT_UNBOUNDED: Duration = Duration::from_secs(3600);

pub(crate) fn lane(tree: &Tree) -> Report {
    models(tree, false)
}

pub(crate) fn unbounded(tree: &Tree) -> Report {
    models(tree, true)
}

fn models(tree: &Tree, unbounded: bool) -> Report {
    let mut total = Counts::default();
    let mut success = true;
    for package in tree.crates_with_test("loom") {
        println!("models of {package}");
        let Ok(binary) = build(&tree.root, &package, &tree.target.join("loom"), true) else {
            success = false;
            continue;
        };
        let mut command = command(&tree.root, &package, &binary);
        if unbounded {
            command.env("AXIOMATIC_LOOM_UNBOUNDED", "1");
        }
        let limit = if unbounded { LIMIT_UNBOUNDED } else { LIMIT };
        let finished = Run::new(&mut command).limit(limit).go();
        let mut counts = Counts::of_tests(&finished.output);
        if matches!(finished.end, End::TimedOut) {
            println!("{package}: killed after {} s", limit.as_secs());
            counts.failed += 1;
        }
        success &= finished.success() && counts.passed > 0;
        total += counts;
    }
    Report::of(success, total)
}

/// Builds `tests/loom.rs` of a package and returns the binary, or what the
/// compiler said. Shown, the compiler speaks to the terminal instead.
pub(crate) fn build(
    root: &Path,
    package: &str,
    target: &Path,
    shown: bool,
) -> Result<PathBuf, String> {
    let args = ["test", "--release", "-p", package, "--test", "loom"];
    let mut command = cargo(root, args);
    command
        .args(["--no-run", "--message-format=json-render-diagnostics"])
        .env("RUSTFLAGS", "--cfg axiomatic_loom -C debug-assertions")
        .env("CARGO_TARGET_DIR", target)
        .stdin(Stdio::null());
    if shown {
        command.stderr(Stdio::inherit());
    }
    let output = command.output().map_err(|error| error.to_string())?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    if !output.status.success() {
        return Err(said);
    }
    executable(&String::from_utf8_lossy(&output.stdout)).ok_or(said)
}

/// The test binary among cargo's messages.
fn executable(messages: &str) -> Option<PathBuf> {
    messages
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|message| {
            message["target"]["name"] == "loom" && message["target"]["kind"][0] == "test"
        })
        .find_map(|message| message["executable"].as_str().map(PathBuf::from))
}

/// The command that runs a built model binary.
pub(crate) fn command(root: &Path, package: &str, binary: &Path) -> Command {
    let mut command = Command::new(binary);
    command
        .current_dir(root.join("crates").join(package))
        .env("LOOM_MAX_BRANCHES", "10000")
        .env_remove("LOOM_MAX_PREEMPTIONS")
        .env_remove("AXIOMATIC_LOOM_UNBOUNDED");
    command
}

#[cfg(test)]
mod tests {
    use super::executable;
    use std::path::PathBuf;

    #[test]
    fn the_test_binary_is_told_from_the_crate_of_the_same_name() {
        let messages = r#"{"reason":"compiler-artifact","target":{"kind":["lib"],"name":"loom"},"executable":null}
not json
{"reason":"compiler-artifact","target":{"kind":["test"],"name":"loom"},"executable":"/t/loom-1"}
{"reason":"build-finished","success":true}"#;
        assert_eq!(executable(messages), Some(PathBuf::from("/t/loom-1")));
    }
}
