//! Lanes: what each is called, how they are run in a row, what is printed.

use std::time::{Duration, Instant};

use crate::counts::Counts;
use crate::tree::Tree;

/// One thing that is checked.
pub(crate) struct Lane {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    pub(crate) run: fn(&Tree) -> Report,
}

/// What a lane has to say at its end.
pub(crate) struct Report {
    pub(crate) verdict: Verdict,
    pub(crate) counts: Counts,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Ok,
    Failed(String),
    /// It could not run here, and why.
    Skipped(String),
}

/// A lane that has run.
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) report: Report,
    pub(crate) took: Duration,
}

impl Report {
    /// All that was counted passed, or the reason stands in the output above.
    pub(crate) fn of(success: bool, counts: Counts) -> Self {
        let verdict = if success && counts.failed == 0 {
            Verdict::Ok
        } else if counts.failed == 0 {
            Verdict::Failed("the command failed, and no test did".to_owned())
        } else {
            Verdict::Failed(format!("{} failed", counts.failed))
        };
        Report { verdict, counts }
    }

    /// Both, in one lane: the first failure is the lane's.
    pub(crate) fn and(mut self, mut other: Report) -> Self {
        other.counts += std::mem::take(&mut self.counts);
        if self.verdict != Verdict::Ok {
            other.verdict = self.verdict;
        }
        other
    }

    pub(crate) fn failed(why: impl Into<String>) -> Self {
        Report {
            verdict: Verdict::Failed(why.into()),
            counts: Counts::default(),
        }
    }

    pub(crate) fn skipped(why: impl Into<String>) -> Self {
        Report {
            verdict: Verdict::Skipped(why.into()),
            counts: Counts::default(),
        }
    }

    /// A lane that looked at nothing proves nothing, and every lane that did
    /// not pass shows in the counts, also if it broke before it could count.
    fn judged(mut self) -> Self {
        if self.verdict == Verdict::Ok && self.counts.passed == 0 {
            self.verdict = Verdict::Failed("it ran no test".to_owned());
        }
        match self.verdict {
            Verdict::Failed(_) if self.counts.failed == 0 => self.counts.failed = 1,
            Verdict::Skipped(_) if self.counts.skipped == 0 => self.counts.skipped = 1,
            _ => {}
        }
        self
    }
}

impl Row {
    pub(crate) fn failed(&self) -> bool {
        matches!(self.report.verdict, Verdict::Failed(_))
    }

    /// `ok`, or the verdict with its reason.
    pub(crate) fn verdict(&self) -> String {
        match &self.report.verdict {
            Verdict::Ok => "ok".to_owned(),
            Verdict::Failed(why) => format!("FAILED: {why}"),
            Verdict::Skipped(why) => format!("skipped: {why}"),
        }
    }
}

/// Runs one lane between a heading and a closing line.
pub(crate) fn run_one(tree: &Tree, lane: &Lane) -> Row {
    println!("\n=== {}: {}", lane.name, lane.about);
    let start = Instant::now();
    let report = (lane.run)(tree).judged();
    let row = Row {
        name: lane.name,
        report,
        took: start.elapsed(),
    };
    println!(
        "=== {}: {}; {} in {:.1} s",
        row.name,
        row.verdict(),
        row.report.counts,
        row.took.as_secs_f64()
    );
    row
}

/// Runs all of them, also past a failure, and says at the end how it went.
/// True if nothing failed.
pub(crate) fn run_all(tree: &Tree, lanes: &[&Lane]) -> bool {
    let rows: Vec<Row> = lanes.iter().map(|lane| run_one(tree, lane)).collect();
    println!("\n{}", table(&rows));
    println!("{}", total(&rows));
    !rows.iter().any(Row::failed)
}

pub(crate) fn total(rows: &[Row]) -> Counts {
    let mut total = Counts::default();
    for row in rows {
        total += row.report.counts;
    }
    total
}

pub(crate) fn table(rows: &[Row]) -> String {
    let width = rows.iter().map(|row| row.name.len()).max().unwrap_or(0);
    let mut table = format!(
        "{:width$}  {:>8}  {:>6}  result\n",
        "lane", "seconds", "tests"
    );
    for row in rows {
        let counts = row.report.counts;
        table.push_str(&format!(
            "{:width$}  {:>8.1}  {:>6}  {}\n",
            row.name,
            row.took.as_secs_f64(),
            counts.passed + counts.failed,
            row.verdict()
        ));
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(report: Report) -> (Verdict, Counts) {
        let judged = report.judged();
        (judged.verdict, judged.counts)
    }

    #[test]
    fn a_lane_that_ran_no_test_fails() {
        let (verdict, counts) = verdict(Report::of(true, Counts::default()));
        assert_eq!(verdict, Verdict::Failed("it ran no test".to_owned()));
        assert_eq!(counts.failed, 1);
    }

    #[test]
    fn a_lane_that_breaks_before_its_tests_counts_as_a_failure() {
        let (verdict, counts) = verdict(Report::of(false, Counts::default()));
        assert!(matches!(verdict, Verdict::Failed(_)));
        assert_eq!(counts.failed, 1);
    }

    #[test]
    fn a_skipped_lane_says_why_and_is_counted() {
        let row = Row {
            name: "fuzz",
            report: Report::skipped("no cargo-fuzz").judged(),
            took: Duration::ZERO,
        };
        assert!(!row.failed());
        assert_eq!(
            total(std::slice::from_ref(&row)).to_string(),
            "0 passed, 0 failed, 1 skipped"
        );
        assert!(table(&[row]).contains("skipped: no cargo-fuzz"));
    }
}
