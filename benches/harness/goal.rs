//! Goals: what a figure, or the ratio of two, is allowed to be.

use super::report::Report;

/// Something to be read off a finished run.
#[derive(Clone, Debug)]
pub(crate) struct Reading {
    operation: String,
    subject: String,
    threads: usize,
    over: Option<String>,
    quantity: Quantity,
}

#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum Quantity {
    Nanos,
    Allocations,
    Instructions,
}

/// The nanoseconds of an operation by a subject, at one thread.
pub(crate) fn time(operation: &str, subject: impl Into<String>) -> Reading {
    Reading::new(operation, subject.into(), Quantity::Nanos)
}

/// The allocations of an operation by a subject.
pub(crate) fn allocations(operation: &str, subject: impl Into<String>) -> Reading {
    Reading::new(operation, subject.into(), Quantity::Allocations)
}

/// The instructions of an operation by a subject.
pub(crate) fn instructions(operation: &str, subject: impl Into<String>) -> Reading {
    Reading::new(operation, subject.into(), Quantity::Instructions)
}

impl Reading {
    fn new(operation: &str, subject: String, quantity: Quantity) -> Self {
        Reading {
            operation: operation.to_owned(),
            subject,
            threads: 1,
            over: None,
            quantity,
        }
    }

    /// The same with so many threads on one object.
    pub(crate) fn threads(mut self, threads: usize) -> Self {
        self.threads = threads;
        self
    }

    /// The same without what `subject` costs: the overhead over it.
    pub(crate) fn over(mut self, subject: impl Into<String>) -> Self {
        self.over = Some(subject.into());
        self
    }

    /// The goal that this be `limit` or less.
    pub(crate) fn at_most(self, limit: f64) -> Bound {
        Bound {
            of: self,
            to: None,
            limit,
        }
    }
}

/// One reading divided by another, inside each round if both are of the same
/// operation.
#[derive(Clone, Debug)]
pub(crate) struct Ratio {
    of: Reading,
    to: Reading,
}

/// See [`Ratio`].
pub(crate) fn ratio(of: Reading, to: Reading) -> Ratio {
    Ratio { of, to }
}

impl Ratio {
    /// The goal that this be `limit` or less.
    pub(crate) fn at_most(self, limit: f64) -> Bound {
        Bound {
            of: self.of,
            to: Some(self.to),
            limit,
        }
    }
}

/// A limit on a reading or on a ratio.
#[derive(Clone, Debug)]
pub(crate) struct Bound {
    of: Reading,
    to: Option<Reading>,
    limit: f64,
}

pub(super) struct Goal {
    pub(super) text: String,
    pub(super) bound: Bound,
}

/// A share that is measured apart from the operations.
pub(super) struct Account {
    pub(super) text: String,
    pub(super) limit: f64,
    pub(super) measure: fn() -> f64,
}

impl Account {
    /// As a goal is.
    pub(super) fn judged(&self) -> String {
        let mut measured = [(); 3].map(|()| (self.measure)());
        measured.sort_by(f64::total_cmp);
        let [_, share, _] = measured;
        let verdict = if share <= self.limit {
            "ok    "
        } else {
            "MISSED"
        };
        let [share, limit] = [share, self.limit].map(|share| share * 100.0);
        format!(
            "  {verdict}  {}: {share:.3} % (at most {limit} %)",
            self.text
        )
    }
}

impl Goal {
    /// `ok    text: measured, limit`.
    pub(super) fn judged(&self, report: &Report) -> String {
        let Bound { of, to, limit } = &self.bound;
        let measured = match to {
            None => of.value(report),
            Some(to) => quotient(report, of, to),
        };
        let unit = match (to, of.quantity) {
            (Some(_), _) => "x",
            (None, Quantity::Nanos) => " ns",
            (None, _) => "",
        };
        let text = &self.text;
        match measured {
            None => format!("  -       {text}: not measured (at most {limit}{unit})"),
            Some(value) => {
                // Nothing is quicker than nothing: such a subject was
                // optimized away, or measured in another state than meant.
                let verdict = match value {
                    _ if value < 0.0 || (to.is_some() && value == 0.0) => "DOUBT ",
                    _ if value <= *limit => "ok    ",
                    _ => "MISSED",
                };
                format!("  {verdict}  {text}: {value:.2}{unit} (at most {limit}{unit})")
            }
        }
    }
}

fn quotient(report: &Report, of: &Reading, to: &Reading) -> Option<f64> {
    let by_round = of.operation == to.operation
        && of.quantity == Quantity::Nanos
        && to.quantity == Quantity::Nanos;
    if !by_round {
        return Some(of.value(report)? / to.value(report)?);
    }
    let (of_at, of_over) = of.places(report)?;
    let (to_at, to_over) = to.places(report)?;
    let (operation, _) = report.find(&of.operation, &of.subject)?;
    report.measured[operation].median(|round| {
        let nanos = |at: usize, over: Option<usize>, threads: usize| {
            let less = over.map_or(Some(0.0), |over| round.nanos(over, threads))?;
            Some(round.nanos(at, threads)? - less)
        };
        Some(nanos(of_at, of_over, of.threads)? / nanos(to_at, to_over, to.threads)?)
    })
}

impl Reading {
    /// The cases that are read: the subject's, and that of what is taken off.
    fn places(&self, report: &Report) -> Option<(usize, Option<usize>)> {
        let (_, case) = report.find(&self.operation, &self.subject)?;
        let over = match &self.over {
            None => None,
            Some(subject) => Some(report.find(&self.operation, subject)?.1),
        };
        Some((case, over))
    }

    fn value(&self, report: &Report) -> Option<f64> {
        let (operation, case) = report.find(&self.operation, &self.subject)?;
        let (_, over) = self.places(report)?;
        match self.quantity {
            Quantity::Nanos => report.measured[operation].median(|round| {
                let less = over.map_or(Some(0.0), |over| round.nanos(over, self.threads))?;
                Some(round.nanos(case, self.threads)? - less)
            }),
            Quantity::Allocations => report.measured[operation].allocations(case, self.threads),
            Quantity::Instructions => report.instructions[operation][case],
        }
    }
}
