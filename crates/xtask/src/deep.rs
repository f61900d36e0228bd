//! Everything that is too slow for every change, lane by lane, resumable: a
//! lane that passed is not run again on the same code.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::checks::{WORKSPACE, counted};
use crate::counts::Counts;
use crate::lanes::{Lane, Report, Row, Verdict, run_one, table, total};
use crate::progress::Progress;
use crate::run::{Run, cargo, has_cargo};
use crate::tree::{Package, Tree};
use crate::{bench, fuzz, loom, orderings};

pub(crate) const LANES: &[Lane] = &[
    Lane {
        name: "orderings",
        about: "weaken each ordering, expect a model to fail",
        run: orderings::sweep_all,
    },
    Lane {
        name: "loom",
        about: "the models without their preemption bounds",
        run: loom::unbounded,
    },
    Lane {
        name: "properties",
        about: "property tests, 100,000 cases each",
        run: properties,
    },
    Lane {
        name: "asan",
        about: "the libraries' tests under the address sanitizer",
        run: asan,
    },
    Lane {
        name: "fuzz",
        about: "each fuzz target for ten minutes",
        run: fuzz::long,
    },
    Lane {
        name: "mutants",
        about: "cargo-mutants on the libraries",
        run: mutants,
    },
    Lane {
        name: "costs",
        about: "each bench: time, allocations, instructions",
        run: costs,
    },
];

/// Runs the lanes that have not passed on this code yet. True if none failed.
pub(crate) fn run(tree: &Tree, fresh: bool, only: &[String]) -> bool {
    let folder = tree.target.join("deep");
    let mut progress = if fresh {
        Progress::none(code(&tree.root))
    } else {
        Progress::read(&folder, code(&tree.root))
    };
    let mut rows = Vec::new();
    for lane in LANES
        .iter()
        .filter(|lane| only.is_empty() || only.iter().any(|name| name == lane.name))
    {
        if let Some(done) = progress.of(lane.name) {
            println!("\n=== {}: passed before on this code", lane.name);
            rows.push(Row {
                name: lane.name,
                report: Report::of(true, done.counts),
                took: Duration::from_secs(done.seconds),
            });
            continue;
        }
        let row = run_one(tree, lane);
        if row.report.verdict == Verdict::Ok {
            progress.passed(lane.name, row.took.as_secs(), row.report.counts);
            if let Err(error) = progress.write(&folder) {
                eprintln!("{}: {error}; this run cannot be resumed", folder.display());
            }
        }
        rows.push(row);
    }
    let today = date(SystemTime::now());
    let summary = format!(
        "cargo xtask deep, {today}, code {}\n\n{}\n{}",
        progress.code,
        table(&rows),
        total(&rows)
    );
    println!("\n{summary}");
    let file = folder.join(format!("summary-{today}.txt"));
    match fs::create_dir_all(&folder).and_then(|()| fs::write(&file, &summary)) {
        Ok(()) => eprintln!("(also in {})", file.display()),
        Err(error) => eprintln!("{}: {error}", file.display()),
    }
    !rows.iter().any(Row::failed)
}

/// The commit and a hash of what was changed since: results of one code are
/// no results of another.
fn code(root: &Path) -> String {
    let git = |args: &[&str]| {
        let output = Command::new("git").current_dir(root).args(args).output();
        output.map(|output| output.stdout).unwrap_or_default()
    };
    let head = git(&["rev-parse", "--short=12", "HEAD"]);
    let mut changes = git(&["diff", "HEAD"]);
    for path in
        String::from_utf8_lossy(&git(&["ls-files", "--others", "--exclude-standard"])).lines()
    {
        changes.extend_from_slice(path.as_bytes());
        changes.extend(fs::read(root.join(path)).unwrap_or_default());
    }
    let head = String::from_utf8_lossy(&head).trim().to_owned();
    if changes.is_empty() {
        head
    } else {
        format!("{head}+{:016x}", fnv(&changes))
    }
}

/// FNV-1a: the state file outlives the compiler, std's hasher need not.
fn fnv(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

fn properties(tree: &Tree) -> Report {
    let runner: &[&str] = if has_cargo(&tree.root, "nextest") {
        &["nextest", "run", "--profile", "deep"]
    } else {
        &["test"]
    };
    let args = runner.iter().copied().chain(WORKSPACE);
    let args = args.chain(["--release", "--tests", "--all-features", "--no-fail-fast"]);
    let mut command = cargo(&tree.root, args);
    command.env("PROPTEST_CASES", "100000");
    counted(Run::new(&mut command))
}

fn asan(tree: &Tree) -> Report {
    const TARGET: &str = "x86_64-unknown-linux-gnu";
    if !cfg!(all(
        target_arch = "x86_64",
        target_os = "linux",
        target_env = "gnu"
    )) {
        return Report::skipped(format!("the sanitizer is used on {TARGET} only"));
    }
    let libraries = match tree.libraries() {
        Ok(libraries) => libraries,
        Err(error) => return Report::failed(format!("cargo metadata: {error}")),
    };
    // The contract kit's tests hold layers that leak on purpose.
    let sound = |library: &&Package| library.name != "axiomatic-contract";
    let packages = libraries.iter().filter(sound);
    let packages = packages.flat_map(|library| ["-p", &library.name]);
    let args = [
        "test",
        "--tests",
        "--all-features",
        "--no-fail-fast",
        "--target",
        TARGET,
    ];
    let mut command = cargo(&tree.root, args.into_iter().chain(packages));
    // The bootstrap variable makes stable take `-Z`, and build scripts believe
    // they are on nightly: hence a target directory of its own.
    command
        .env("RUSTC_BOOTSTRAP", "1")
        .env("RUSTFLAGS", "-Zsanitizer=address")
        .env("CARGO_TARGET_DIR", tree.target.join("asan"));
    counted(Run::new(&mut command))
}

fn mutants(tree: &Tree) -> Report {
    if !has_cargo(&tree.root, "mutants") {
        return Report::skipped(
            "cargo-mutants is not installed; get it with `cargo install cargo-mutants --locked`",
        );
    }
    let libraries = match tree.libraries() {
        Ok(libraries) => libraries,
        Err(error) => return Report::failed(format!("cargo metadata: {error}")),
    };
    let output = tree.target.join("deep");
    let mut command = cargo(
        &tree.root,
        ["mutants", "-j2", "--no-shuffle", "--timeout=60"],
    );
    for library in &libraries {
        command.args(["-p", &library.name]);
    }
    command.arg("--output").arg(output);
    let finished = Run::new(&mut command).go();
    let Some(counts) = mutants_tested(&finished.output) else {
        return Report::failed("cargo-mutants did not come to a result");
    };
    // Nine of ten viable mutants must be caught; which survive stands in
    // mutants.out/missed.txt.
    let mut report = Report::of(
        true,
        Counts {
            failed: 0,
            skipped: 0,
            ..counts
        },
    );
    if counts.passed < 9 * counts.failed {
        report.verdict = Verdict::Failed(format!(
            "{} caught, {} missed",
            counts.passed, counts.failed
        ));
        report.counts = counts;
    }
    report
}

/// Reads `169 mutants tested in 75s: 53 missed, 99 caught, 17 unviable`:
/// caught passed, missed failed, unviable skipped.
fn mutants_tested(output: &str) -> Option<Counts> {
    let summary = output
        .lines()
        .rfind(|line| line.contains("mutants tested"))?;
    let (_, parts) = summary.split_once(": ")?;
    let mut counts = Counts::default();
    for part in parts.split(", ") {
        let (number, what) = part.trim().split_once(' ')?;
        let number: usize = number.parse().ok()?;
        match what {
            "missed" => counts.failed += number,
            "unviable" => counts.skipped += number,
            // Caught, and timeouts: something noticed.
            _ => counts.passed += number,
        }
    }
    Some(counts)
}

fn costs(tree: &Tree) -> Report {
    let names = match bench::names(tree) {
        Ok(names) => names,
        Err(error) => return Report::failed(format!("cargo metadata: {error}")),
    };
    let mut counts = Counts::default();
    for name in names {
        counts += Counts::one(bench::run(tree, Some(&name), false));
    }
    Report::of(true, counts)
}

/// The day in UTC, as 2026-08-04.
fn date(time: SystemTime) -> String {
    let seconds = time
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs());
    // Howard Hinnant's civil_from_days, for days after 1970 only.
    let days = seconds / 86_400 + 719_468;
    let era = days / 146_097;
    let day_of_era = days % 146_097;
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 {
        shifted + 3
    } else {
        shifted - 9
    };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_become_dates() {
        let cases = [
            (0, "1970-01-01"),
            (951_782_399, "2000-02-28"),
            (951_782_400, "2000-02-29"),
            (951_868_800, "2000-03-01"),
            (1_798_761_599, "2026-12-31"),
        ];
        for (seconds, expected) in cases {
            assert_eq!(date(UNIX_EPOCH + Duration::from_secs(seconds)), expected);
        }
    }

    #[test]
    fn a_mutation_run_is_counted() {
        let output =
            "ok\n170 mutants tested in 75s: 53 missed, 98 caught, 17 unviable, 2 timeouts\n";
        let expected = Counts {
            passed: 100,
            failed: 53,
            skipped: 17,
        };
        assert_eq!(mutants_tested(output), Some(expected));
        assert_eq!(mutants_tested("error: baseline failed"), None);
    }
}
