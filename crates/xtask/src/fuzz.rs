use std::path::Path;

use crate::counts::Counts;
use crate::lanes::Report;
use crate::run::{Run, cargo, has_cargo};
use crate::tree::{Tree, entries};

const MISSING: &str = "cargo-fuzz is not installed; get it with `cargo install cargo-fuzz --locked` (it needs no nightly here)";

/// Ten seconds a target: enough to see that it builds, reads its corpus and
/// has an oracle that does not fire on everything.
pub(crate) fn smoke(tree: &Tree) -> Report {
    each(tree, None, 10)
}

pub(crate) fn long(tree: &Tree) -> Report {
    each(tree, None, 600)
}

/// Fuzzes one target, or all, for some seconds each.
pub(crate) fn each(tree: &Tree, only: Option<&str>, seconds: u32) -> Report {
    let all = targets(&tree.root);
    let unknown = only.filter(|name| !all.iter().any(|target| target == name));
    if let Some(name) = unknown {
        return Report::failed(format!("no target {name}; there are: {}", all.join(", ")));
    }
    if all.is_empty() {
        return Report::skipped("there is no target under fuzz/fuzz_targets");
    }
    if !has_cargo(&tree.root, "fuzz") {
        return Report::skipped(MISSING);
    }
    let mut counts = Counts::default();
    for target in all
        .iter()
        .filter(|target| only.is_none_or(|name| name == *target))
    {
        let time = format!("-max_total_time={seconds}");
        let mut command = cargo(&tree.root, ["fuzz", "run", target, "--", &time]);
        // Its sanitizer flags are unstable; this makes stable take them. The
        // packages of fuzz/ have a target directory of their own, so that
        // nothing shipped is built this way.
        command
            .env("RUSTC_BOOTSTRAP", "1")
            .env_remove("CARGO_TARGET_DIR");
        counts += Counts::one(Run::new(&mut command).go().success());
    }
    Report::of(true, counts)
}

fn targets(root: &Path) -> Vec<String> {
    entries(&root.join("fuzz/fuzz_targets"))
        .iter()
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned()))
        .collect()
}
