use std::fmt::{self, Write};
use std::ops::Range;
use std::time::Duration;

use axiomatic_core::Ratio;

use crate::client::Protection;
use crate::log::{Answer, Kind, Record};
use crate::script::Script;

/// So many full and timely purchases in a row are a recovery.
const RECOVERED: usize = 20;

/// What one run left behind.
pub(crate) struct Measured {
    /// In the order of arrival.
    pub(crate) records: Vec<Record>,
    /// When payment was at fault.
    pub(crate) fault: Range<Duration>,
    /// When a call to payment was first refused instead of sent.
    pub(crate) first_refusal: Option<Duration>,
    /// The calls sent to payment while it was at fault.
    pub(crate) wasted: u64,
}

/// The numbers made of it.
pub(crate) struct Report {
    pub(crate) all: Share,
    browse_in_fault: Share,
    buy_in_fault: Share,
    /// Purchases in full before the fault.
    full_before: Share,
    /// Purchases that arrived while payment was at fault.
    bought_in_fault: u64,
    degraded: usize,
    p50: Option<Duration>,
    p99: Option<Duration>,
    detected: Took,
    recovered: Took,
    wasted: u64,
}

/// How long something took to happen.
enum Took {
    Time(Duration),
    Never,
    /// The run ended before it could.
    NotPlayed,
}

impl Took {
    /// From `begin` on, in a run in which these requests arrived.
    fn since(begin: Duration, happened: Option<Duration>, records: &[Record]) -> Self {
        match happened {
            Some(at) => Took::Time(at.saturating_sub(begin)),
            None if records.iter().any(|record| record.arrived >= begin) => Took::Never,
            None => Took::NotPlayed,
        }
    }
}

impl fmt::Display for Took {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Took::Time(time) => write!(f, "{} ms", time.as_millis()),
            Took::Never => f.write_str("never"),
            Took::NotPlayed => f.write_str("-"),
        }
    }
}

impl Report {
    pub(crate) fn new(measured: &Measured) -> Self {
        let records = &measured.records;
        let in_fault = |kind| {
            let chosen = records
                .iter()
                .filter(|record| record.kind == kind && measured.fault.contains(&record.arrived));
            Share::good(chosen)
        };
        let before =
            |record: &&Record| record.kind == Kind::Buy && record.arrived < measured.fault.start;
        let is_degraded = |record: &&Record| record.is_good() && record.answer == Answer::Degraded;
        Report {
            all: Share::good(records),
            browse_in_fault: in_fault(Kind::Browse),
            buy_in_fault: in_fault(Kind::Buy),
            full_before: Share::of(records.iter().filter(before), Record::is_good_and_full),
            bought_in_fault: in_fault(Kind::Buy).whole,
            degraded: records.iter().filter(is_degraded).count(),
            p50: percentile(records, 50),
            p99: percentile(records, 99),
            detected: Took::since(measured.fault.start, measured.first_refusal, records),
            recovered: Took::since(
                measured.fault.end,
                recovery(records, measured.fault.end),
                records,
            ),
            wasted: measured.wasted,
        }
    }
}

impl Report {
    /// What a purchase cost payment while that was at fault, in calls.
    fn amplification(&self) -> String {
        match (self.wasted * 100).checked_div(self.bought_in_fault) {
            Some(hundredths) => format!("{}.{:02}", hundredths / 100, hundredths % 100),
            None => String::from("-"),
        }
    }
}

/// The arrival of the first of [`RECOVERED`] purchases in a row that were
/// served in full and in time once payment was `repaired`.
fn recovery(records: &[Record], repaired: Duration) -> Option<Duration> {
    let purchases: Vec<&Record> = records
        .iter()
        .filter(|record| record.kind == Kind::Buy && record.arrived >= repaired)
        .collect();
    purchases
        .windows(RECOVERED)
        .find(|row| row.iter().all(|record| record.is_good_and_full()))
        .map(|row| row[0].arrived)
}

/// A share of requests.
#[derive(Copy, Clone)]
pub(crate) struct Share {
    part: u64,
    whole: u64,
}

impl Share {
    /// The good ones among `records`.
    pub(crate) fn good<'a>(records: impl IntoIterator<Item = &'a Record>) -> Self {
        Share::of(records, Record::is_good)
    }

    fn of<'a>(
        records: impl IntoIterator<Item = &'a Record>,
        is_counted: fn(&Record) -> bool,
    ) -> Self {
        let mut share = Share { part: 0, whole: 0 };
        for record in records {
            share.whole += 1;
            share.part += u64::from(is_counted(record));
        }
        share
    }

    pub(crate) fn reaches(self, ratio: Ratio) -> bool {
        self.whole > 0 && ratio.is_reached_by(self.part, self.whole)
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.part * 1000).checked_div(self.whole) {
            Some(per_mille) => write!(f, "{}.{} %", per_mille / 10, per_mille % 10),
            None => f.write_str("-"),
        }
    }
}

/// The latency that `percent` of the requests did not exceed.
pub(crate) fn percentile(records: &[Record], percent: usize) -> Option<Duration> {
    let mut latencies: Vec<Duration> = records.iter().map(|record| record.latency).collect();
    latencies.sort_unstable();
    let rank = (latencies.len() * percent).div_ceil(100);
    latencies.get(rank.saturating_sub(1)).copied()
}

pub(crate) fn millis(duration: Option<Duration>) -> String {
    match duration {
        Some(duration) => format!("{} ms", duration.as_millis()),
        None => String::from("-"),
    }
}

/// The runs side by side.
pub(crate) fn table(script: &Script, runs: &[(Protection, Report)]) -> String {
    let mut table = String::new();
    let mut row = |name: &str, cell: &dyn Fn(&Report) -> String| {
        let _ = write!(table, "{name:<38}");
        for (_, report) in runs {
            let _ = write!(table, "{:>13}", cell(report));
        }
        table.push('\n');
    };
    let fault = script.fault_name();
    row("requests", &|report| report.all.whole.to_string());
    row("goodput", &|report| report.all.to_string());
    row(&format!("  to browse, while {fault}"), &|report| {
        report.browse_in_fault.to_string()
    });
    row(&format!("  to buy, while {fault}"), &|report| {
        report.buy_in_fault.to_string()
    });
    row("bought in full, before", &|report| {
        report.full_before.to_string()
    });
    row("degraded (\"pay later\"), within goodput", &|report| {
        report.degraded.to_string()
    });
    row("latency, p50", &|report| millis(report.p50));
    row("latency, p99", &|report| millis(report.p99));
    row("time to detect: first call not sent", &|report| {
        report.detected.to_string()
    });
    row("time to recover: all buy in full", &|report| {
        report.recovered.to_string()
    });
    row("wasted calls, to payment at fault", &|report| {
        report.wasted.to_string()
    });
    row("  of them for each purchase", &|report| {
        report.amplification()
    });

    let mut head = format!("{:<38}", "");
    for (protection, _) in runs {
        let _ = write!(head, "{protection:>13}");
    }
    format!("{head}\n{table}")
}
