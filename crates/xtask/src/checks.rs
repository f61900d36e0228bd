//! The lanes of `cargo xtask test` that are plain calls of cargo.

use crate::counts::Counts;
use crate::lanes::{Lane, Report};
use crate::run::{Run, cargo, has_cargo};
use crate::tree::Tree;
use crate::{examples, fuzz, loom};

/// In the order in which they run: what is fast and fails often comes first.
pub(crate) const LANES: &[Lane] = &[
    Lane {
        name: "format",
        about: "cargo fmt --check",
        run: format,
    },
    Lane {
        name: "lint",
        about: "clippy, warnings denied",
        run: lint,
    },
    Lane {
        name: "tests",
        about: "the whole test suite",
        run: tests,
    },
    Lane {
        name: "costs",
        about: "allocations and instructions a call, in a release build",
        run: costs,
    },
    Lane {
        name: "doctests",
        about: "the examples in the documentation",
        run: doctests,
    },
    Lane {
        name: "docs",
        about: "the documentation builds without a warning",
        run: docs,
    },
    Lane {
        name: "features",
        about: "each library with no feature, each alone, and all",
        run: features,
    },
    Lane {
        name: "loom",
        about: "models of the atomics, under every interleaving",
        run: loom::lane,
    },
    Lane {
        name: "shuttle",
        about: "schedules of what waits",
        run: shuttle,
    },
    Lane {
        name: "examples",
        about: "each example runs and exits with 0",
        run: examples::lane,
    },
    Lane {
        name: "fuzz",
        about: "each fuzz target for ten seconds",
        run: fuzz::smoke,
    },
];

/// The workspace without the benches, whose peers are heavy and are built by
/// `cargo xtask bench` alone.
pub(crate) const WORKSPACE: [&str; 3] = ["--workspace", "--exclude", "axiomatic-benches"];

fn format(tree: &Tree) -> Report {
    one_check(Run::new(&mut cargo(
        &tree.root,
        ["fmt", "--all", "--check"],
    )))
}

fn lint(tree: &Tree) -> Report {
    let args = ["clippy"].into_iter().chain(WORKSPACE);
    let args = args.chain(["--all-targets", "--all-features", "--", "-D", "warnings"]);
    one_check(Run::new(&mut cargo(&tree.root, args)))
}

fn docs(tree: &Tree) -> Report {
    let args = ["doc", "--no-deps", "--all-features"];
    let mut command = cargo(&tree.root, args.into_iter().chain(WORKSPACE));
    command.env("RUSTDOCFLAGS", "-D warnings");
    one_check(Run::new(&mut command))
}

fn one_check(run: Run<'_>) -> Report {
    let success = run.go().success();
    Report::of(success, Counts::one(success))
}

fn tests(tree: &Tree) -> Report {
    // All features, so that no test behind one is silently left out; the
    // lane `features` sees to the other combinations.
    let runner: &[&str] = if has_cargo(&tree.root, "nextest") {
        &["nextest", "run"]
    } else {
        &["test"]
    };
    let flags = ["--tests", "--no-fail-fast"];
    let all = runner.iter().copied().chain(WORKSPACE).chain(flags);
    let all = counted(Run::new(&mut cargo(
        &tree.root,
        all.chain(["--all-features"]),
    )));
    // Once more where `test-util` puts tokio's clock in place of the real
    // ones, which otherwise no test would read.
    let core = runner.iter().copied().chain(["-p", "axiomatic-core"]);
    let core = counted(Run::new(&mut cargo(&tree.root, core.chain(flags))));
    all.and(core)
}

fn costs(tree: &Tree) -> Report {
    let args = ["test", "--release", "-p", "axiomatic-tests"];
    let args = args
        .into_iter()
        .chain(["--test", "costs", "--", "--nocapture"]);
    counted(Run::new(&mut cargo(&tree.root, args)))
}

fn doctests(tree: &Tree) -> Report {
    let args = ["test", "--doc", "--all-features", "--no-fail-fast"];
    counted(Run::new(&mut cargo(
        &tree.root,
        args.into_iter().chain(WORKSPACE),
    )))
}

pub(crate) fn counted(run: Run<'_>) -> Report {
    let finished = run.go();
    Report::of(finished.success(), Counts::of_tests(&finished.output))
}

/// Clippy instead of a plain check, at the same price: its `-D warnings`
/// reaches only the package at hand, where RUSTFLAGS would rebuild them all.
/// Its own opinions are left out, the lane `lint` has them.
fn features(tree: &Tree) -> Report {
    let libraries = match tree.libraries() {
        Ok(libraries) => libraries,
        Err(error) => return Report::failed(format!("cargo metadata: {error}")),
    };
    let mut counts = Counts::default();
    for library in libraries {
        for set in feature_sets(&library.features) {
            println!("{} {}", library.name, set.join(" "));
            let args = [
                "clippy",
                "--quiet",
                "--no-deps",
                "--lib",
                "-p",
                &library.name,
            ];
            let args = args.into_iter().chain(set.iter().map(String::as_str));
            let mut command = cargo(
                &tree.root,
                args.chain([
                    "--",
                    "-A",
                    "clippy::all",
                    "-A",
                    "clippy::pedantic",
                    "-D",
                    "warnings",
                ]),
            );
            counts += Counts::one(Run::new(&mut command).go().success());
        }
    }
    Report::of(true, counts)
}

/// The arguments of each build: with no feature, each alone, all.
fn feature_sets(features: &[String]) -> Vec<Vec<String>> {
    let flags = |flags: &[&str]| flags.iter().map(ToString::to_string).collect();
    let mut sets: Vec<Vec<String>> = vec![flags(&["--no-default-features"])];
    let named = features.iter().filter(|name| *name != "default");
    sets.extend(named.map(|name| flags(&["--no-default-features", "--features", name])));
    // With one feature, alone and all are the same build.
    if sets.len() > 2 {
        sets.push(flags(&["--all-features"]));
    }
    sets
}

/// Packages with `tests/shuttle.rs` run it under `--cfg axiomatic_shuttle`.
fn shuttle(tree: &Tree) -> Report {
    let packages = tree.crates_with_test("shuttle");
    if packages.is_empty() {
        return Report::skipped("nothing waits yet (no crate has tests/shuttle.rs)");
    }
    let mut total = Counts::default();
    let mut success = true;
    for package in packages {
        let args = ["test", "--release", "-p", &package, "--test", "shuttle"];
        let mut command = cargo(&tree.root, args);
        command
            .env("RUSTFLAGS", "--cfg axiomatic_shuttle -C debug-assertions")
            .env("CARGO_TARGET_DIR", tree.target.join("shuttle"));
        let finished = Run::new(&mut command).go();
        let counts = Counts::of_tests(&finished.output);
        // Each of them must have run something, not only their sum.
        success &= finished.success() && counts.passed > 0;
        total += counts;
    }
    Report::of(success, total)
}

#[cfg(test)]
mod tests {
    use super::{LANES, feature_sets};

    fn sets(features: &[&str]) -> Vec<String> {
        let features: Vec<String> = features.iter().map(ToString::to_string).collect();
        feature_sets(&features)
            .iter()
            .map(|set| set.join(" "))
            .collect()
    }

    #[test]
    fn features_are_built_none_each_and_all() {
        assert_eq!(sets(&[]), ["--no-default-features"]);
        assert_eq!(
            sets(&["default", "a"]),
            [
                "--no-default-features",
                "--no-default-features --features a"
            ]
        );
        assert_eq!(
            sets(&["a", "b", "default"]),
            [
                "--no-default-features",
                "--no-default-features --features a",
                "--no-default-features --features b",
                "--all-features"
            ]
        );
    }

    #[test]
    fn lanes_have_names_of_their_own() {
        for (index, lane) in LANES.iter().enumerate() {
            assert!(
                LANES[index + 1..]
                    .iter()
                    .all(|other| other.name != lane.name)
            );
        }
    }
}
