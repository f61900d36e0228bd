//! The table, the goals, and the file.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use super::goal::Goal;
use super::measure::Measured;
use super::options::Options;
use super::suite::Operation;
use super::{FETCH_ADD, PARTS};

/// The operation in which the harness measures itself.
pub(super) const SELF_CHECK: &str = "harness/check";

pub(super) struct Report {
    pub(super) pattern: &'static str,
    pub(super) operations: Vec<Operation>,
    pub(super) measured: Vec<Measured>,
    pub(super) instructions: super::instructions::Counted,
}

struct Row<'a> {
    subject: &'a str,
    threads: usize,
    nanos: f64,
    spread: f64,
    /// Nanoseconds over the operation's bare subject.
    over: Option<f64>,
    /// Times `floor:parts`, of the same threads, over bare.
    parts: Option<f64>,
    allocations: f64,
    instructions: Option<f64>,
    note: &'a str,
}

impl Report {
    /// The indices of an operation and of a subject's case in it.
    pub(super) fn find(&self, operation: &str, subject: &str) -> Option<(usize, usize)> {
        let index = self.operations.iter().position(|o| o.name == operation)?;
        let cases = &self.operations[index].cases;
        let case = cases.iter().position(|case| case.subject == subject)?;
        Some((index, case))
    }

    fn rows(&self, operation: usize) -> Vec<Row<'_>> {
        let Operation { name, over, cases } = &self.operations[operation];
        let measured = &self.measured[operation];
        let bare = over.and_then(|subject| Some(self.find(name, subject)?.1));
        let parts = self.find(name, PARTS).map(|(_, case)| case);
        let mut rows = Vec::new();
        for (case, it) in cases.iter().enumerate() {
            for &threads in &it.threads {
                let Some(nanos) = measured.median(|round| round.nanos(case, threads)) else {
                    continue;
                };
                let is_bare = bare == Some(case);
                let over_bare = bare.filter(|_| !is_bare).and_then(|bare| {
                    measured.median(|r| Some(r.nanos(case, threads)? - r.nanos(bare, threads)?))
                });
                let times_parts = parts.filter(|_| !is_bare).and_then(|parts| {
                    measured.median(|round| {
                        let less = match bare {
                            Some(bare) => round.nanos(bare, threads)?,
                            None => 0.0,
                        };
                        let own = round.nanos(case, threads)? - less;
                        Some(own / (round.nanos(parts, threads)? - less))
                    })
                });
                rows.push(Row {
                    subject: &it.subject,
                    threads,
                    nanos,
                    spread: measured.spread(case, threads).unwrap_or(0.0),
                    over: over_bare,
                    parts: times_parts,
                    allocations: measured.allocations(case, threads).unwrap_or(0.0),
                    instructions: self.instructions[operation][case].filter(|_| threads == 1),
                    note: &it.note,
                });
            }
        }
        rows
    }

    pub(super) fn print(&self, goals: &[Goal], options: &Options) {
        println!(
            "{}: medians of {} run(s) of {} rounds; compare within an operation, never between runs of the bench",
            self.pattern, options.runs, options.rounds
        );
        for (index, operation) in self.operations.iter().enumerate() {
            println!();
            println!(
                "{:<52} {:>2} {:>10} {:>6} {:>9} {:>8} {:>7} {:>8}  note",
                operation.name, "t", "ns", "+-", "over bare", "x parts", "allocs", "instr"
            );
            for row in self.rows(index) {
                println!(
                    "  {:<50} {:>2} {:>10} {:>5.0}% {:>9} {:>8} {:>7} {:>8}  {}",
                    row.subject,
                    row.threads,
                    figure(Some(row.nanos)),
                    row.spread * 100.0,
                    figure(row.over),
                    figure(row.parts),
                    count(Some(row.allocations)),
                    count(row.instructions),
                    row.note
                );
            }
        }
        println!();
        let samples = self.measured.iter().map(Measured::undisturbed).sum::<f64>();
        println!(
            "{:.0}% of the batches ran undisturbed; the same fetch_add, measured twice, differs by {}",
            100.0 * samples / self.measured.len().max(1) as f64,
            self.noise()
        );
        if !goals.is_empty() {
            println!("\ngoals");
            for goal in goals {
                println!("{}", goal.judged(self));
            }
        }
    }

    fn noise(&self) -> String {
        let apart = |threads: usize| {
            let (index, one) = self.find(SELF_CHECK, FETCH_ADD)?;
            let (_, two) = self.find(SELF_CHECK, "check:fetch_add again")?;
            let ratio = self.measured[index]
                .median(|round| Some(round.nanos(two, threads)? / round.nanos(one, threads)?))?;
            Some(format!("{:.1}%", (ratio - 1.0).abs() * 100.0))
        };
        let said = |threads| apart(threads).unwrap_or_else(|| "?".to_owned());
        format!("{} (2 threads: {})", said(1), said(2))
    }

    pub(super) fn write_json(&self) {
        let mut rows = Vec::new();
        for (index, operation) in self.operations.iter().enumerate() {
            for row in self.rows(index) {
                let mut note = row.note.to_owned();
                for (value, what) in [
                    (row.parts, "x floor:parts"),
                    (row.over, " ns over floor:bare"),
                ] {
                    if let Some(value) = value {
                        let separator = if note.is_empty() { "" } else { "; " };
                        let _ = write!(note, "{separator}{value:.2}{what}");
                    }
                }
                let instructions = match row.instructions {
                    Some(count) => format!("{count:.1}"),
                    None => "null".to_owned(),
                };
                rows.push(format!(
                    "  {{\"pattern\": {}, \"operation\": {}, \"subject\": {}, \"threads\": {}, \
                     \"ns\": {:.3}, \"allocs\": {}, \"instructions\": {instructions}, \"note\": {}}}",
                    quoted(self.pattern),
                    quoted(&operation.name),
                    quoted(row.subject),
                    row.threads,
                    row.nanos,
                    row.allocations,
                    quoted(&note),
                ));
            }
        }
        let folder = target().join("bench");
        let path = folder.join(format!("{}.json", self.pattern));
        let text = format!("[\n{}\n]\n", rows.join(",\n"));
        let written = std::fs::create_dir_all(&folder).and_then(|()| std::fs::write(&path, text));
        match written {
            Ok(()) => println!("\nwrote {}", path.display()),
            Err(error) => eprintln!("cannot write {}: {error}", path.display()),
        }
    }

    /// Fails if the harness does not see what was planted for it.
    pub(super) fn self_check(&self) -> ExitCode {
        let seen = |subject| {
            let (operation, case) = self.find(SELF_CHECK, subject)?;
            self.measured[operation].allocations(case, 1)
        };
        let (none, one) = (seen(FETCH_ADD), seen("check:planted"));
        if none == Some(0.0) && one == Some(1.0) {
            return ExitCode::SUCCESS;
        }
        eprintln!("the harness is broken: of no and one allocation it saw {none:?} and {one:?}");
        ExitCode::FAILURE
    }
}

/// Where cargo puts what it builds for this workspace.
fn target() -> PathBuf {
    let root = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    // An absolute folder replaces the root it is joined to.
    root.join(std::env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into()))
}

fn figure(value: Option<f64>) -> String {
    match value {
        None => String::new(),
        Some(value) if value.abs() < 100.0 => format!("{value:.2}"),
        Some(value) => format!("{value:.0}"),
    }
}

/// An exact average: whole if it is whole.
fn count(value: Option<f64>) -> String {
    match value {
        None => "-".to_owned(),
        Some(value) if value.fract() == 0.0 => format!("{value:.0}"),
        Some(value) if value < 0.001 => format!("{value:.0e}"),
        Some(value) if value < 10.0 => format!("{value:.3}"),
        Some(value) => format!("{value:.0}"),
    }
}

fn quoted(text: &str) -> String {
    let mut quoted = String::from('"');
    for letter in text.chars() {
        match letter {
            '"' | '\\' => quoted.extend(['\\', letter]),
            letter if letter.is_control() => {
                let _ = write!(quoted, "\\u{:04x}", u32::from(letter));
            }
            letter => quoted.push(letter),
        }
    }
    quoted.push('"');
    quoted
}
