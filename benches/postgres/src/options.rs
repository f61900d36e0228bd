//! The command line.

use std::process::ExitCode;

const SECTIONS: [&str; 6] = ["enqueue", "dequeue", "latency", "xmin", "blocked", "sagas"];

const HELP: &str = "Measures the outbox and sagas on PostgreSQL beside floors and peers.

Usage: cargo run --release -- [OPTIONS]

  --quick         fewer and shorter rounds: a first look
  --only SECTION  enqueue, dequeue, latency, xmin, blocked or sagas; may be
                  repeated
  --filter TEXT   only cases whose line contains TEXT; their floors stay
  --rounds N      rounds of each section
  --help          this text

The server is the one of AXIOMATIC_POSTGRES_URL, or that on loopback at the
usual port, and the user must be allowed to create databases.";

#[derive(Debug, Default)]
pub(crate) struct Options {
    pub(crate) quick: bool,
    only: Vec<String>,
    pub(crate) filter: Option<String>,
    rounds: Option<usize>,
}

impl Options {
    /// `Err` holds what `main` is to return at once.
    pub(crate) fn parse() -> Result<Options, ExitCode> {
        let mut options = Options::default();
        let mut arguments = std::env::args().skip(1);
        while let Some(argument) = arguments.next() {
            let parsed = match argument.as_str() {
                "--quick" => {
                    options.quick = true;
                    Some(())
                }
                "--only" => arguments
                    .next()
                    .filter(|section| SECTIONS.contains(&section.as_str()))
                    .map(|section| options.only.push(section)),
                "--filter" => arguments.next().map(|text| options.filter = Some(text)),
                "--rounds" => arguments
                    .next()
                    .and_then(|rounds| rounds.parse().ok())
                    .filter(|rounds| *rounds > 0)
                    .map(|rounds| options.rounds = Some(rounds)),
                "--help" | "-h" => {
                    println!("{HELP}");
                    return Err(ExitCode::SUCCESS);
                }
                _ => None,
            };
            if parsed.is_none() {
                eprintln!("error: cannot make sense of `{argument}`\n\n{HELP}");
                return Err(ExitCode::from(2));
            }
        }
        Ok(options)
    }

    /// The sections that are wanted, in order.
    pub(crate) fn sections(&self) -> impl Iterator<Item = &'static str> {
        let wanted =
            |section: &&str| self.only.is_empty() || self.only.iter().any(|o| o == section);
        SECTIONS.into_iter().filter(wanted)
    }

    /// Odd, so that the median is a round's.
    pub(crate) fn rounds(&self, quick: usize, full: usize) -> usize {
        let usual = if self.quick { quick } else { full };
        self.rounds.unwrap_or(usual)
    }
}
