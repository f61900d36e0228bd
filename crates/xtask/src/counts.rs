use std::fmt;
use std::ops::AddAssign;

/// How many tests, or checks that stand for one, ended how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) passed: usize,
    pub(crate) failed: usize,
    pub(crate) skipped: usize,
}

impl Counts {
    pub(crate) fn skipped() -> Self {
        Counts {
            skipped: 1,
            ..Counts::default()
        }
    }

    pub(crate) fn one(passed: bool) -> Self {
        Counts {
            passed: usize::from(passed),
            failed: usize::from(!passed),
            skipped: 0,
        }
    }

    /// Reads the summaries that nextest and libtest print.
    pub(crate) fn of_tests(output: &str) -> Self {
        let output = without_colours(output);
        let nextest = output
            .lines()
            .filter(|line| line.trim_start().starts_with("Summary ["))
            .filter_map(|line| line.split_once(" run: "))
            .next_back();
        let mut counts = Counts::default();
        if let Some((_, summary)) = nextest {
            // Nextest shows the output of failed tests, libtest's summaries
            // included: its own summary is the only one that counts.
            counts.add_summary(summary);
        } else {
            for line in output.lines() {
                if let Some(summary) = line.strip_prefix("test result: ") {
                    counts.add_summary(summary.split_once(". ").map_or("", |(_, rest)| rest));
                }
            }
        }
        counts
    }

    /// Adds `11 passed (1 slow), 1 timed out; 2 ignored`.
    fn add_summary(&mut self, summary: &str) {
        let mut depth = 0;
        let plain: String = summary
            .chars()
            .filter(|c| {
                depth += i32::from(*c == '(');
                let kept = depth == 0;
                depth -= i32::from(*c == ')');
                kept
            })
            .collect();
        for part in plain.split([',', ';']) {
            let Some((number, what)) = part.trim().split_once(' ') else {
                continue;
            };
            let Ok(number) = number.parse::<usize>() else {
                continue;
            };
            match what.trim() {
                "passed" => self.passed += number,
                "failed" | "timed out" | "exec failed" => self.failed += number,
                "skipped" | "ignored" => self.skipped += number,
                _ => {}
            }
        }
    }
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} passed, {} failed, {} skipped",
            self.passed, self.failed, self.skipped
        )
    }
}

fn without_colours(output: &str) -> String {
    let mut plain = String::with_capacity(output.len());
    let mut chars = output.chars();
    while let Some(c) = chars.next() {
        if c == '\u{1b}' {
            chars.by_ref().find(char::is_ascii_alphabetic);
        } else {
            plain.push(c);
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::Counts;

    fn counts(passed: usize, failed: usize, skipped: usize) -> Counts {
        Counts {
            passed,
            failed,
            skipped,
        }
    }

    #[test]
    fn libtest_summaries_add_up() {
        let output = "running 3 tests\n\
            test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s\n\
            test result: FAILED. 1 passed; 2 failed; 0 ignored; 0 measured; 4 filtered out; finished in 0.00s\n";
        assert_eq!(Counts::of_tests(output), counts(4, 2, 1));
    }

    #[test]
    fn a_nextest_summary_counts_once_and_alone() {
        let output = "test result: FAILED. 0 passed; 1 failed; 0 ignored; 0 measured; 9 filtered out\n\
            \u{1b}[31;1m     Summary\u{1b}[0m [   0.013s] \u{1b}[1m15/20\u{1b}[0m tests run: 11 passed (1 slow, 2 leaky), 3 failed, 1 timed out, 4 skipped\n";
        assert_eq!(Counts::of_tests(output), counts(11, 4, 4));
    }

    #[test]
    fn output_without_a_summary_ran_nothing() {
        assert_eq!(
            Counts::of_tests("error: could not compile `x`"),
            Counts::default()
        );
    }
}
