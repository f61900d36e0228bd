//! The pages and their charts, written from the verdicts.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use axiomatic_core::Ratio;
use axiomatic_sim::{BLESS, Chart, Panel, Table};

use crate::judge::{SEEDS, median, verdicts};
use crate::policies::{
    ACCEPTING, CLASSIC, IN_FLIGHT, POLICIES, PROMPT, RAMP, SHORT, STEERING, WITHOUT,
};
use crate::stories::{self, ALL, Story, Tell};

/// The charts: a file, the story whose first run it shows, and the policies.
const CHARTS: &[(&str, Tell, &[&str])] = &[
    (
        "simulation-error-spike.svg",
        stories::error_spike,
        &[WITHOUT, CLASSIC, PROMPT, SHORT],
    ),
    (
        "simulation-hung.svg",
        stories::hung_and_patient,
        &[WITHOUT, CLASSIC, SHORT, IN_FLIGHT],
    ),
    (
        "simulation-overload.svg",
        stories::overload,
        &[WITHOUT, CLASSIC, ACCEPTING, STEERING],
    ),
    (
        "simulation-recovery.svg",
        stories::recovery_under_load,
        &[WITHOUT, CLASSIC, SHORT],
    ),
    (
        "simulation-cold-start.svg",
        stories::cold_start,
        &[WITHOUT, CLASSIC, SHORT, RAMP],
    ),
];

/// Where a page is read. In the documentation there are no files beside it,
/// so that a chart stands in the page itself and a link names a module.
#[derive(Copy, Clone)]
enum Reader {
    Repository,
    Rustdoc,
}

/// Compares every file with what would be written now, or writes it.
pub(crate) fn compare_or_bless() {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs");
    let mut files: Vec<(PathBuf, String)> = Vec::new();
    for (file, story, policies) in CHARTS {
        files.push((docs.join(file), chart(&story(), policies)));
    }
    for (folder, reader) in [
        (docs.clone(), Reader::Repository),
        (docs.join("rustdoc"), Reader::Rustdoc),
    ] {
        files.push((folder.join("simulations.md"), page(reader)));
        files.push((folder.join("choosing.md"), choosing(reader)));
    }
    let old = axiomatic_sim::compare_or_bless(&files).expect("the crate can be written");
    assert!(
        old.is_empty(),
        "the simulations no longer say what these files say: {old:#?}\n\
         If that is meant, run\n    \
         {BLESS}=1 cargo test -p axiomatic-failure --test simulations\n\
         look at the difference, and commit it."
    );
}

fn page(reader: Reader) -> String {
    let mut page = format!(
        "# Simulations\n\n\
         <!-- Written by tests/simulations.rs. Do not edit: AXIOMATIC_BLESS=1 \
         cargo test -p axiomatic-failure --test simulations -->\n\n\
         What a breaker does in {} stories, against the same requests with the same luck\n\
         and no breaker. 200 requests a second arrive at random; a client with 30 workers,\n\
         where a story does not say otherwise, waits a second at most for each call, and a\n\
         request half a second for a worker. What follows from it stands in\n\
         {}.\n",
        ALL.len(),
        link(reader, "which policy for which failure", "choosing"),
    );
    page += "\n## Results\n\n";
    let _ = writeln!(page, "{}", results());
    let near = verdicts(stories::near_threshold, SHORT).iter();
    let spread = near.map(|verdict| verdict.goodput);
    let _ = writeln!(
        page,
        "Each number is the median of {} seeds. *Goodput*: requests that were served, of all\n\
         that arrived. *Detection*: from the onset of the fault to the first refusal.\n\
         *Recovery*: from the end of the fault to the first second in which 95 % were served.\n\
         *Wasted*: calls that were sent and brought nothing. *Refused*: requests that the\n\
         breaker turned away. Near the threshold it is chance whether a breaker opens: the\n\
         goodput of the short window goes there from {} to {}\n\
         with the seed, and policies that differ by less do not differ.\n",
        SEEDS.count(),
        percent(spread.clone().min().unwrap_or(Ratio::ZERO)),
        percent(spread.max().unwrap_or(Ratio::ZERO)),
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
    for (file, story, policies) in CHARTS {
        let story = story();
        page += "\n";
        page += &match reader {
            Reader::Repository => format!("![{}: {}]({file})\n", story.name, story.about),
            Reader::Rustdoc => chart(&story, policies),
        };
    }
    page
}

fn link(reader: Reader, text: &str, page: &str) -> String {
    match reader {
        Reader::Repository => format!("[{text}]({page}.md)"),
        Reader::Rustdoc => format!("[{text}](crate::circuit_breaker::{page})"),
    }
}

/// The page that draws the conclusions: its text stands in a file beside
/// this one, and each number in it is a reference to a result,
/// `{{story|policy|what}}`.
fn choosing(reader: Reader) -> String {
    let mut page = String::new();
    let mut rest = include_str!("choosing.template.md");
    while let Some((before, after)) = rest.split_once("{{") {
        let (reference, after) = after.split_once("}}").expect("a reference ends");
        page += before;
        page += &match reference.split('|').collect::<Vec<_>>()[..] {
            ["link", text, to] => link(reader, text, to),
            [story, policy, what] => number(story, policy, what),
            _ => panic!("{reference} is no reference"),
        };
        rest = after;
    }
    page + rest
}

fn number(story: &str, policy: &str, what: &str) -> String {
    let tell = ALL.iter().find(|tell| tell().name == story);
    let tell = tell.unwrap_or_else(|| panic!("no story is called {story}"));
    let verdicts = verdicts(*tell, policy);
    let share = |goodput: Option<Ratio>| percent(goodput.unwrap_or(Ratio::ZERO));
    match what {
        "goodput" => share(median(verdicts, |verdict| Some(verdict.goodput))),
        "detection" => {
            median(verdicts, |verdict| verdict.detection).map_or("never".into(), seconds)
        }
        "recovery" => median(verdicts, |verdict| verdict.recovery).map_or("never".into(), seconds),
        "wasted" => median(verdicts, |verdict| Some(verdict.wasted))
            .unwrap_or(0)
            .to_string(),
        "refused" => median(verdicts, |verdict| Some(verdict.refused))
            .unwrap_or(0)
            .to_string(),
        "least" => share(verdicts.iter().map(|verdict| verdict.goodput).min()),
        "most" => share(verdicts.iter().map(|verdict| verdict.goodput).max()),
        _ => panic!("{what} is not measured"),
    }
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

fn chart(story: &Story, policies: &[&str]) -> String {
    let second = Duration::from_secs(1);
    let chart =
        Chart::new(story.name, "requests a second", second).shaded(story.fault.clone(), "fault");
    let shown = POLICIES
        .iter()
        .filter(|policy| policies.contains(&policy.name));
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
