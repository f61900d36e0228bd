//! `cargo xtask`: the commands of the Axiomatic project.
//!
//! This file is the command line; each job has a file of its own.
#![forbid(unsafe_code)]

mod bench;
mod checks;
mod counts;
mod deep;
mod examples;
mod fuzz;
mod lanes;
mod loom;
mod orderings;
mod progress;
mod run;
mod services;
mod sites;
mod text;
mod tree;

use clap::{Parser, Subcommand};
use std::process::ExitCode;
use std::time::Duration;

use lanes::{Lane, Report, Verdict};
use tree::Tree;

/// The commands of the Axiomatic project.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Everything that a change must pass, lane by lane; what CI runs
    Test {
        /// Run only this lane (may be given several times)
        #[arg(long, value_name = "LANE")]
        only: Vec<String>,
        /// List the lanes and run nothing
        #[arg(long)]
        list: bool,
    },
    /// The lanes `format` and `lint` of `test`
    Lint,
    /// The lane `docs` of `test`
    Doc,
    /// The lane `loom` of `test`
    Loom,
    /// The lane `examples` of `test`
    Examples,
    /// Weaken each atomic ordering in turn and expect a loom model to fail
    Orderings {
        /// Only files whose path ends so (may be given several times)
        #[arg(long, value_name = "PATH")]
        file: Vec<String>,
        /// Only files that differ from this commit
        #[arg(long, value_name = "BASE", num_args = 0..=1, default_missing_value = "HEAD")]
        changed: Option<String>,
        /// List the mutants and run nothing
        #[arg(long)]
        list: bool,
        /// How many seconds the models of one mutant may run, unless three
        /// times what they take on the unchanged code is more
        #[arg(long, value_name = "SECONDS", default_value_t = 60)]
        limit: u64,
    },
    /// Run one pattern's bench beside its floors and peers
    Bench {
        /// Which; without it, they are listed
        name: Option<String>,
        /// Fewer rounds: a look, not a measurement
        #[arg(long)]
        quick: bool,
    },
    /// Fuzz one target, or all of them in turn
    Fuzz {
        target: Option<String>,
        /// How long each target runs
        #[arg(long, value_name = "SECONDS", default_value_t = 60)]
        seconds: u32,
    },
    /// Which of the servers that tests can use answer here
    Services,
    /// Everything slow; goes on where the last run on the same code stopped
    Deep {
        /// Forget what passed before
        #[arg(long)]
        fresh: bool,
        /// Run only this lane (may be given several times)
        #[arg(long, value_name = "LANE")]
        only: Vec<String>,
        /// List the lanes and run nothing
        #[arg(long)]
        list: bool,
    },
}

fn main() -> ExitCode {
    let tree = Tree::here();
    let success = match Arguments::parse().verb {
        Verb::Test { list: true, .. } => list(checks::LANES),
        Verb::Test { only, .. } => test(&tree, &only),
        Verb::Lint => test(&tree, &["format".to_owned(), "lint".to_owned()]),
        Verb::Doc => test(&tree, &["docs".to_owned()]),
        Verb::Loom => test(&tree, &["loom".to_owned()]),
        Verb::Examples => test(&tree, &["examples".to_owned()]),
        Verb::Orderings {
            file,
            changed,
            list,
            limit,
        } => {
            let options = orderings::Options {
                files: file,
                changed,
                list,
                limit: Some(Duration::from_secs(limit)),
            };
            concluded(&orderings::sweep(&tree, &options))
        }
        Verb::Bench { name, quick } => bench::run(&tree, name.as_deref(), quick),
        Verb::Fuzz { target, seconds } => {
            let report = fuzz::each(&tree, target.as_deref(), seconds);
            concluded(&report) && report.verdict == Verdict::Ok
        }
        Verb::Services => {
            services::print();
            true
        }
        Verb::Deep { list: true, .. } => list(deep::LANES),
        Verb::Deep { fresh, only, .. } => {
            known(deep::LANES, &only) && deep::run(&tree, fresh, &only)
        }
    };
    if success {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn test(tree: &Tree, only: &[String]) -> bool {
    let chosen: Vec<&Lane> = checks::LANES
        .iter()
        .filter(|lane| only.is_empty() || only.iter().any(|name| name == lane.name))
        .collect();
    known(checks::LANES, only) && lanes::run_all(tree, &chosen)
}

/// Says which of the names are no lane; true if all are one.
fn known(lanes: &[Lane], names: &[String]) -> bool {
    let unknown = names
        .iter()
        .find(|name| !lanes.iter().any(|lane| lane.name == **name));
    if let Some(name) = unknown {
        eprintln!("There is no lane {name}. There are:");
        list(lanes);
    }
    unknown.is_none()
}

fn list(lanes: &[Lane]) -> bool {
    for lane in lanes {
        println!("{:12}{}", lane.name, lane.about);
    }
    true
}

/// Prints why a command that is no lane did not pass; true if it did not
/// fail.
fn concluded(report: &Report) -> bool {
    match &report.verdict {
        Verdict::Ok => true,
        Verdict::Skipped(why) => {
            println!("skipped: {why}");
            true
        }
        Verdict::Failed(why) => {
            eprintln!("failed: {why}");
            false
        }
    }
}
