//! The page and its charts, written from the verdicts.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{env, fs};

use axiomatic_core::Ratio;
use axiomatic_sim::{Chart, Panel, Table};

use crate::judge::{SEEDS, median, verdicts};
use crate::policies::POLICIES;
use crate::stories::{self, ALL, Story, Tell};

/// Set to 1, it has the files written instead of compared.
const BLESS: &str = "AXIOMATIC_BLESS";

/// The charts: a file, and the story whose first run it shows.
const CHARTS: &[(&str, Tell)] = &[
    ("simulation-error-spike.svg", stories::error_spike),
    ("simulation-hung.svg", stories::hung),
    ("simulation-recovery.svg", stories::recovery_under_load),
];

/// Compares every file with what would be written now, or writes it.
pub(crate) fn compare_or_bless() {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs");
    let charts = CHARTS.iter().map(|(file, story)| (*file, chart(&story())));
    let files: Vec<(PathBuf, String)> = charts
        .chain([("simulations.md", page())])
        .map(|(file, text)| (docs.join(file), text))
        .collect();
    if env::var(BLESS).is_ok_and(|value| value == "1") {
        fs::create_dir_all(&docs).expect("the crate can be written");
        for (path, text) in &files {
            fs::write(path, text).expect("the crate can be written");
        }
        return;
    }
    let is_old = |(path, text): &&(PathBuf, String)| {
        // Git may have turned the line ends around.
        let found = fs::read_to_string(path).unwrap_or_default();
        found.replace("\r\n", "\n") != *text
    };
    let old: Vec<_> = files.iter().filter(is_old).map(|(path, _)| path).collect();
    assert!(
        old.is_empty(),
        "the simulations no longer say what these files say: {old:#?}\n\
         If that is meant, run\n    \
         {BLESS}=1 cargo test -p axiomatic-failure --test simulations\n\
         look at the difference, and commit it."
    );
}

fn page() -> String {
    let mut page = String::from(
        "# Simulations\n\n\
         <!-- Written by tests/simulations.rs. Do not edit: AXIOMATIC_BLESS=1 \
         cargo test -p axiomatic-failure --test simulations -->\n\n\
         What a breaker does in eleven stories, against the same requests with the same luck\n\
         and no breaker. 200 requests a second arrive at random; a client with 30 workers,\n\
         where a story does not say otherwise, waits a second at most for each call, and a\n\
         request half a second for a worker.\n",
    );
    page += "\n## Results\n\n";
    let _ = writeln!(page, "{}", results());
    let _ = writeln!(
        page,
        "Each number is the median of {} seeds. *Goodput*: requests that were served, of all\n\
         that arrived. *Detection*: from the onset of the fault to the first refusal.\n\
         *Recovery*: from the end of the fault to the first second in which 95 % were served.\n\
         *Wasted*: calls that were sent and brought nothing. *Refused*: requests that the\n\
         breaker turned away.\n",
        SEEDS.count()
    );
    page += "## Policies\n\n";
    for policy in POLICIES {
        let _ = writeln!(page, "- *{}*: {}.", policy.name, policy.about);
    }
    page += "\n## Stories\n\n";
    for story in ALL {
        let story = story();
        let _ = writeln!(page, "- *{}*: {}.", story.name, story.about);
    }
    page += "\n## Charts\n";
    for (file, story) in CHARTS {
        let _ = write!(page, "\n![{}: {}]({file})\n", story().name, story().about);
    }
    page
}

fn results() -> Table {
    let mut table = Table::new([
        "story",
        "policy",
        "goodput",
        "detection",
        "recovery",
        "wasted",
        "refused",
    ])
    .with_text_columns(2);
    for make in ALL {
        let story = make();
        let shown = POLICIES.iter().filter(|policy| story.tells_apart(policy));
        for (row, policy) in shown.enumerate() {
            let verdicts = verdicts(*make, policy.name);
            let count = |of: fn(&crate::judge::Verdict) -> u64| {
                median(verdicts, |verdict| Some(of(verdict))).unwrap_or(0)
            };
            let goodput = median(verdicts, |verdict| Some(verdict.goodput));
            let recovery = if story.fault.end < story.end {
                median(verdicts, |verdict| verdict.recovery).map_or("never".into(), seconds)
            } else {
                nothing()
            };
            table.row([
                if row == 0 {
                    story.name.to_owned()
                } else {
                    String::new()
                },
                policy.name.to_owned(),
                percent(goodput.unwrap_or(Ratio::ZERO)),
                median(verdicts, |verdict| verdict.detection).map_or_else(nothing, seconds),
                recovery,
                count(|verdict| verdict.wasted).to_string(),
                count(|verdict| verdict.refused).to_string(),
            ]);
        }
    }
    table
}

fn chart(story: &Story) -> String {
    let second = Duration::from_secs(1);
    let chart =
        Chart::new(story.name, "requests a second", second).shaded(story.fault.clone(), "fault");
    let shown = POLICIES.iter().filter(|policy| story.tells_apart(policy));
    let chart = shown.fold(chart, |chart, policy| {
        // Requests that arrive at the very end of a run make no second.
        let bins = story.run(policy, *SEEDS.start()).every(second);
        let whole = (story.end.as_secs() as usize).min(bins.len());
        chart.panel(Panel::fates(policy.name, &bins[..whole]))
    });
    chart.to_string()
}

fn nothing() -> String {
    "–".to_owned()
}

/// Rounded to a tenth.
fn seconds(duration: Duration) -> String {
    let tenths = (duration.as_millis() + 50) / 100;
    format!("{}.{} s", tenths / 10, tenths % 10)
}

/// Rounded to a tenth.
fn percent(ratio: Ratio) -> String {
    let tenths = (ratio.as_parts_per_million() + 500) / 1_000;
    format!("{}.{} %", tenths / 10, tenths % 10)
}
