//! The page, written from the verdicts.

use std::fmt::Write as _;
use std::path::Path;

use axiomatic_sim::{BLESS, Table};

use crate::judge::{SEEDS, figures};
use crate::servers::{self, Pieces};
use crate::stories::{self, ALL, Bound, Unit};

/// What is left of a server when pieces are left out of it.
const ABLATION: &[&Pieces] = &[
    &servers::NOTHING,
    &servers::TURNS,
    &servers::CODEL,
    &servers::DEADLINES,
    &servers::SHEDDER,
    &servers::NO_SHEDDER,
    &servers::REPORTS,
    &servers::SIGNAL,
    &servers::LAGGING,
    &servers::EVERYTHING,
];

/// Compares the page with what would be written now, or writes it.
pub(crate) fn compare_or_bless() {
    let page_of = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/overload.md");
    let old = axiomatic_sim::compare_or_bless(&[(page_of, page())]);
    let old = old.expect("the crate can be written");
    assert!(
        old.is_empty(),
        "the simulations no longer say what this file says: {old:#?}\n\
         If that is meant, run\n    \
         {BLESS}=1 cargo test -p axiomatic-capacity --test overload\n\
         look at the difference, and commit it."
    );
}

fn page() -> String {
    let mut page = format!(
        "# Overload\n\n\
         <!-- Written by tests/overload.rs. Do not edit: AXIOMATIC_BLESS=1 \
         cargo test -p axiomatic-capacity --test overload -->\n\n\
         What becomes of an overloaded server in {} stories, with load shedding and without.\n\
         It has 20 slots, and a call takes 20 ms, more or less (exponentially): a thousand can be\n\
         served in a second. Requests arrive at random. A caller waits half a second for an\n\
         answer, and then, or when it is refused, comes again after 50 to 150 ms, twice at most.\n\
         Of ten requests three are sheddable, two sheddable plus, four critical, and one critical\n\
         plus. *Goodput* is answers in time: of what can be served, or of the requests that come,\n\
         where these are fewer.\n",
        ALL.len(),
    );
    page += "\n## Gates\n\n";
    let _ = writeln!(page, "{}", results());
    let _ = writeln!(
        page,
        "Each figure is the worst of {} seeds. *With* is the server that has everything listed\n\
         below (and fairness, with one user of many), *without* the one that has nothing of it\n\
         (with one user of many: no fairness; with a narrow entrance: all but the shedder). Its\n\
         figure is marked with ✗ where it fails the gate, and where a bound stands beside it, that\n\
         is tested too.\n",
        SEEDS.count(),
    );
    page += "## What each piece does\n\n";
    let _ = writeln!(page, "{}", ablation());
    page += "Of the stories of twice the load and of the retry storm. A queue that refuses does as\n\
             much as the shedder where refusing costs nothing, as it does here; the narrow entrance\n\
             is the story of where it does not.\n\n";
    for pieces in ABLATION {
        let _ = writeln!(page, "- *{}*: {}.", pieces.name, pieces.about);
    }
    page += "\n## Stories\n\n";
    for story in ALL {
        let story = story();
        let _ = writeln!(page, "- *{}*: {}.", story.name, story.about);
    }
    page
}

fn results() -> Table {
    let columns = ["story", "gate", "", "with", "", "without"];
    let mut table = Table::new(columns).with_text_columns(2);
    for tell in ALL {
        let story = tell();
        let (with, without) = (figures(*tell, story.with), figures(*tell, story.without));
        for (row, gate) in story.gates.iter().enumerate() {
            let name = if row == 0 { story.name } else { "" };
            let known = gate.without;
            let worst = known.unwrap_or(gate.bound).worst(&without[row]);
            let mark = if gate.bound.holds(worst) { "" } else { "✗ " };
            table.row([
                name.to_owned(),
                gate.promise.to_owned(),
                gate.bound.said(gate.unit),
                gate.unit.said(gate.bound.worst(&with[row])),
                known.map_or_else(String::new, |bound| bound.said(gate.unit)),
                format!("{mark}{}", gate.unit.said(worst)),
            ]);
        }
    }
    table
}

/// The gates of two stories, as columns.
fn ablation() -> Table {
    let told = [
        (stories::double as stories::Tell, 0, "x2: goodput"),
        (stories::double, 2, "critical plus served"),
        (stories::double, 3, "critical served"),
        (stories::double, 5, "done in vain"),
        (stories::double, 6, "p99"),
        (stories::storm, 0, "storm: back after"),
    ];
    let columns = [""]
        .into_iter()
        .chain(told.iter().map(|(_, _, name)| *name));
    let mut table = Table::new(columns).with_text_columns(1);
    for pieces in ABLATION {
        let mut cells = vec![pieces.name.to_owned()];
        for (tell, row, _) in told {
            let gate = &tell().gates[row];
            let worst = gate.bound.worst(&figures(tell, pieces)[row]);
            let mark = if gate.bound.holds(worst) { "" } else { "✗ " };
            cells.push(format!("{mark}{}", gate.unit.said(worst)));
        }
        table.row(cells);
    }
    table
}

impl Bound {
    fn said(self, unit: Unit) -> String {
        match self {
            Bound::AtLeast(least) => format!("≥ {}", unit.said(least)),
            Bound::AtMost(most) => format!("≤ {}", unit.said(most)),
        }
    }
}

impl Unit {
    fn said(self, figure: u64) -> String {
        match self {
            Unit::Share => format!("{}.{} %", figure / 10, figure % 10),
            Unit::Millis => format!("{}.{} s", figure / 1_000, figure / 100 % 10),
        }
    }
}
