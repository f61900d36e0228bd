//! The page and its chart, written from the verdicts.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use axiomatic_sim::{BLESS, Chart, Color, Panel, Table};

use crate::judge::{SEEDS, figures};
use crate::policies::{GRADIENT, POLICIES, SEEKER, VEGAS};
use crate::stories::{self, ALL, Bound, Unit, s};

const CHART: &str = "simulation-capacity-steps.svg";

/// Compares every file with what would be written now, or writes it.
pub(crate) fn compare_or_bless() {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs");
    let files: Vec<(PathBuf, String)> = vec![
        (docs.join("simulations.md"), page()),
        (docs.join(CHART), chart()),
        // rustdoc shows no file beside a page, so there the picture is in it.
        (
            docs.join("rustdoc/simulations.md"),
            drawn(&page(), &chart()),
        ),
    ];
    let old = axiomatic_sim::compare_or_bless(&files).expect("the crate can be written");
    assert!(
        old.is_empty(),
        "the simulations no longer say what these files say: {old:#?}\n\
         If that is meant, run\n    \
         {BLESS}=1 cargo test -p axiomatic-capacity --test simulations\n\
         look at the difference, and commit it."
    );
}

/// The page with the picture in the place of the link to it.
fn drawn(page: &str, chart: &str) -> String {
    let is_link = |line: &str| line.starts_with("![") && line.ends_with(&format!("({CHART})"));
    let lines = page
        .lines()
        .map(|line| if is_link(line) { chart } else { line });
    let drawn: Vec<&str> = lines.collect();
    drawn.join("\n") + "\n"
}

fn page() -> String {
    let mut page = format!(
        "# Simulations\n\n\
         <!-- Written by tests/simulations.rs. Do not edit: AXIOMATIC_BLESS=1 \
         cargo test -p axiomatic-capacity --test simulations -->\n\n\
         What a limit does in {} stories, made by each of the algorithms. A server takes 40 ms\n\
         at the median and 160 ms for one call in a hundred. Requests arrive at random, and\n\
         more than it can do, where a story does not say otherwise; a caller waits a second at\n\
         most. Who is over the limit is turned away. Limits go from 1 to 1000. A window has\n\
         100 ms and ten calls, or a second.\n",
        ALL.len(),
    );
    page += "\n## Gates\n\n";
    let _ = writeln!(page, "{}", results());
    let _ = writeln!(
        page,
        "Each figure is the worst of {} seeds, and a gate that it fails is marked with ✗.\n\
         *The optimum* is what the best fixed limit gets served, of seven from half to three\n\
         times the workers. *The unloaded* is the median latency of a call that meets nobody.\n\
         Windows are 100 ms long here, so 5 s are 50 of them, and two minutes are 1200.\n",
        SEEDS.count(),
    );
    page += "What falls short of the default's own promises:\n\n\
             - Eight clients of one server do not share it equally. A client cannot tell a slow\n  \
             server from one where others queue, so each believes in another baseline. For the\n  \
             same reason their latency creeps up, if slowly, as long as none of them is ever\n  \
             idle.\n\
             - Where calls become slower for good under full load, it follows within seconds in\n  \
             some runs. In others chance speaks against it, and the next probe or two have to:\n  \
             until then it serves as little as the table says.\n\n";
    page += "The medians of short windows scatter, and Vegas takes the least of them for its\n\
             minimum: with longer windows it fares better than here.\n\n";
    page += "## Algorithms\n\n";
    for policy in POLICIES {
        let _ = writeln!(page, "- *{}*: {}.", policy.name, policy.about);
    }
    page += "\n## Stories\n\n";
    for story in ALL {
        let story = story();
        let _ = writeln!(page, "- *{}*: {}.", story.name, story.about);
    }
    let story = stories::capacity_steps();
    let _ = writeln!(
        page,
        "\n## Chart\n\n\
         ![{}: {}]({CHART})\n\n\
         AIMD is not in it: its limit grows until calls time out, which is past 400.",
        story.name, story.about
    );
    page
}

fn results() -> Table {
    let columns = ["story", "gate", ""].into_iter();
    let columns = columns.chain(POLICIES.iter().map(|policy| policy.name));
    let mut table = Table::new(columns).with_text_columns(2);
    for make in ALL {
        let story = make();
        for (row, gate) in story.gates.iter().enumerate() {
            let name = if row == 0 { story.name } else { "" };
            let bound = match gate.bound {
                Bound::AtLeast(least) => format!("≥ {}", gate.unit.said(least)),
                Bound::AtMost(most) => format!("≤ {}", gate.unit.said(most)),
            };
            let mut cells = vec![name.to_owned(), gate.promise.to_owned(), bound];
            for policy in POLICIES {
                let figures = &figures(*make, policy.name)[row];
                let worst = gate.bound.worst(figures);
                let mark = if gate.bound.holds(worst) { "" } else { "✗ " };
                cells.push(format!("{mark}{}", gate.unit.said(worst)));
            }
            table.row(cells);
        }
    }
    table
}

impl Unit {
    fn said(self, figure: u64) -> String {
        match self {
            Unit::Share => format!("{}.{} %", figure / 10, figure % 10),
            Unit::Calls => figure.to_string(),
            Unit::Millis => format!("{}.{} s", figure / 1_000, figure / 100 % 10),
        }
    }
}

/// The limit over time, in the first run.
fn chart() -> String {
    let story = stories::capacity_steps();
    let seconds = story.end.as_secs();
    let second = Duration::from_secs(1);
    let chart = Chart::new("The limit in the story of capacity steps", "calls", second)
        .shaded(s(60)..s(120), "40 workers, else 20");
    let workers = (0..seconds).map(|at| if (60..120).contains(&at) { 40 } else { 20 });
    let mut panel = Panel::new("limit, mean of a second").line("workers", Color::Ink, workers);
    for (name, color) in [
        (GRADIENT, Color::Purple),
        (VEGAS, Color::Orange),
        (SEEKER, Color::Blue),
    ] {
        let policy = POLICIES.iter().find(|policy| policy.name == name);
        let policy = policy.expect("the algorithm stands in the list of all");
        let run = story.run(&policy.make, *SEEDS.start());
        let limits = (0..seconds).map(|at| (run.mean_limit(s(at)..s(at + 1)) + 50) / 100);
        panel = panel.line(name, color, limits);
    }
    chart.panel(panel).to_string()
}
