//! The command line.

use std::process::ExitCode;

#[derive(Debug)]
pub(super) struct Options {
    /// Rounds in a run.
    pub(super) rounds: usize,
    pub(super) runs: usize,
    /// Count instructions, if valgrind is there.
    pub(super) instructions: bool,
    pub(super) list: bool,
    /// Only what contains this.
    pub(super) filter: Option<String>,
    /// We are the process under callgrind, and measure from this case on.
    pub(super) under_callgrind_from: Option<usize>,
}

fn help(pattern: &str) -> String {
    format!(
        "Measures {pattern} beside its floors and its peers, in one run.

Usage: cargo xtask bench {pattern} [--quick]
   or: cargo bench -p axiomatic-benches --bench {pattern} -- [OPTIONS]

  --quick          1 run of 15 rounds, no instruction counts: a first look
  --filter TEXT    only operations and subjects that contain TEXT; the floors
                   of their operations stay
  --rounds N       rounds in a run (101)
  --runs N         runs (3)
  --no-instructions  do not count instructions, even where valgrind is there
  --list           say what would be measured
  --help           this text

Prints a table and the goals, and writes target/bench/{pattern}.json. A goal
that is missed is reported and does not fail the command."
    )
}

impl Options {
    /// `Err` holds what `main` is to return at once.
    pub(super) fn parse(pattern: &str) -> Result<Options, ExitCode> {
        let mut options = Options {
            rounds: 101,
            runs: 3,
            instructions: true,
            list: false,
            filter: None,
            under_callgrind_from: None,
        };
        let mut arguments = std::env::args().skip(1);
        while let Some(argument) = arguments.next() {
            let parsed = match argument.as_str() {
                "--quick" => {
                    (options.rounds, options.runs) = (15, 1);
                    options.instructions = false;
                    Some(())
                }
                "--filter" => arguments.next().map(|text| options.filter = Some(text)),
                "--rounds" => positive(arguments.next()).map(|n| options.rounds = n),
                "--runs" => positive(arguments.next()).map(|n| options.runs = n),
                "--no-instructions" => {
                    options.instructions = false;
                    Some(())
                }
                "--list" => {
                    options.list = true;
                    Some(())
                }
                "--under-callgrind-from" => arguments
                    .next()
                    .and_then(|n| n.parse().ok())
                    .map(|n| options.under_callgrind_from = Some(n)),
                // What cargo bench adds for the standard harness.
                "--bench" => Some(()),
                "--help" | "-h" => {
                    println!("{}", help(pattern));
                    return Err(ExitCode::SUCCESS);
                }
                _ => None,
            };
            if parsed.is_none() {
                eprintln!(
                    "error: cannot make sense of `{argument}`\n\n{}",
                    help(pattern)
                );
                return Err(ExitCode::from(2));
            }
        }
        Ok(options)
    }
}

fn positive(argument: Option<String>) -> Option<usize> {
    argument?.parse().ok().filter(|n| *n > 0)
}
