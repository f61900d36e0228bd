//! Instructions per operation, by callgrind: our own binary once more, with
//! a dump of callgrind's counters before, between and after a batch of N and
//! one of 2N. Their difference holds N operations and nothing else.

use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::suite::Operation;

/// N. The steady state of a hot path needs no more, and callgrind is slow.
const TIMES: u64 = 2_000;
/// Before the first dump, so that lazy set-up is over.
const WARM_UP: u64 = 200;
/// What a callgrind pattern makes of [`dump`]'s name.
const DUMP: &str = "*harness::instructions::dump*";

/// By operation, then by case.
pub(super) type Counted = Vec<Vec<Option<f64>>>;

pub(super) fn none(operations: &[Operation]) -> Counted {
    operations
        .iter()
        .map(|operation| vec![None; operation.cases.len()])
        .collect()
}

pub(super) fn count(operations: &[Operation], filter: Option<&str>) -> Counted {
    let mut counted = none(operations);
    let here = Command::new("valgrind")
        .arg("--version")
        .stdout(Stdio::null())
        .status();
    if !here.is_ok_and(|status| status.success()) {
        eprintln!("no valgrind on the path: instructions are not counted");
        return counted;
    }
    eprintln!("counting instructions under callgrind");
    let places: Vec<(usize, usize)> = places(operations);
    let folder = std::env::temp_dir().join(format!("axiomatic-bench-{}", std::process::id()));
    let mut next = 0;
    // A case that callgrind cannot run ends the process; go on behind it.
    while next < places.len() {
        let Some(counts) = run_callgrind(&folder, next, filter) else {
            break;
        };
        for (&(operation, case), count) in places[next..].iter().zip(&counts) {
            counted[operation][case] = Some(*count);
        }
        next += counts.len();
        if next < places.len() {
            let (operation, case) = places[next];
            let name = &operations[operation].name;
            let subject = &operations[operation].cases[case].subject;
            eprintln!("callgrind could not run {name}, {subject}");
            next += 1;
        }
    }
    counted
}

/// The cases that are counted, in order; parent and child must agree on it.
fn places(operations: &[Operation]) -> Vec<(usize, usize)> {
    let mut places = Vec::new();
    for (operation, cases) in operations.iter().map(|o| &o.cases).enumerate() {
        for (case, it) in cases.iter().enumerate() {
            if it.threads.contains(&1) && it.counts_instructions {
                places.push((operation, case));
            }
        }
    }
    places
}

fn run_callgrind(folder: &Path, from: usize, filter: Option<&str>) -> Option<Vec<f64>> {
    std::fs::create_dir_all(folder).ok()?;
    let mut command = Command::new("valgrind");
    command
        .arg("--tool=callgrind")
        .arg(format!("--callgrind-out-file={}/out", folder.display()))
        .arg(format!("--dump-before={DUMP}"))
        .arg(std::env::current_exe().ok()?)
        .args(["--under-callgrind-from", &from.to_string()])
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    if let Some(filter) = filter {
        command.args(["--filter", filter]);
    }
    let ran = command.status();
    let mut totals = Vec::new();
    for part in 1.. {
        let path: PathBuf = folder.join(format!("out.{part}"));
        let Ok(text) = std::fs::read_to_string(path) else {
            break;
        };
        let total = text.lines().find_map(|line| {
            let rest = line
                .strip_prefix("summary:")
                .or(line.strip_prefix("totals:"))?;
            rest.split_whitespace().next()?.parse::<f64>().ok()
        });
        totals.push(total?);
    }
    let _ = std::fs::remove_dir_all(folder);
    ran.ok()?;
    // Three dumps a case: all that was before, N operations, 2N operations.
    let counts = totals.chunks_exact(3);
    Some(counts.map(|t| (t[2] - t[1]) / TIMES as f64).collect())
}

/// The child's side.
pub(super) fn run_under_callgrind(operations: &[Operation], from: usize) {
    for (operation, case) in places(operations).into_iter().skip(from) {
        let per_thread = (operations[operation].cases[case].setup)();
        let mut batch = per_thread();
        batch(WARM_UP);
        dump();
        batch(TIMES);
        dump();
        batch(2 * TIMES);
        dump();
    }
}

#[inline(never)]
fn dump() {
    black_box(());
}
