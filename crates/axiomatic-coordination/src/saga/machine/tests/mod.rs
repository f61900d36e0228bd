//! Sagas that are led by hand, and sagas that are led by chance.

mod back;
mod driver;
mod forward;
mod onward;
mod oracle;
mod properties;
mod story;
mod table;

use std::time::Duration;

use axiomatic_core::backoff::{Backoff, Jitter};
use bytes::Bytes;

use super::super::record::{Kind, Record, Stage};
use super::slots::Slot;
use super::*;
use crate::Timestamp;

const PAUSE: Duration = Duration::from_millis(10);

/// A step that can be undone, elsewhere, with three attempts at most.
fn step(name: &str, after: &[u16]) -> Spec {
    let retry = Retry {
        attempts: 3,
        backoff: Backoff::constant(PAUSE).jitter(Jitter::Off),
    };
    Spec {
        name: name.into(),
        class: Class::Compensatable,
        work: Work::Foreign,
        after: after.iter().copied().map(StepNo).collect(),
        before: Vec::new(),
        undo: Undo::Effects,
        has_probe: false,
        retry,
        undo_retry: retry,
        timeout: Duration::from_secs(1),
    }
}

/// A step with nothing to undo.
fn plain(name: &str, class: Class, after: &[u16]) -> Spec {
    Spec {
        class,
        undo: Undo::Nothing,
        ..step(name, after)
    }
}

/// A step that waits, or is for each of many.
fn working(work: Work, spec: Spec) -> Spec {
    Spec { work, ..spec }
}

fn graph(mut steps: Vec<Spec>) -> Graph {
    for at in 0..steps.len() {
        for before in steps[at].after.clone() {
            steps[before.index()].before.push(StepNo(at as u16));
        }
    }
    Graph { steps }
}

fn record(kind: Kind, step: &str, item: u32, attempt: u32) -> Record {
    Record {
        kind,
        step: step.into(),
        item,
        attempt,
        data: Bytes::new(),
        mail: None,
    }
}

/// A saga that is led by hand.
struct Saga {
    graph: Graph,
    progress: Progress,
    now: Timestamp,
    deadline: Option<Timestamp>,
}

impl Saga {
    fn new(steps: Vec<Spec>) -> Self {
        let graph = graph(steps);
        Saga {
            progress: Progress::new(&graph),
            graph,
            now: Timestamp::from_micros(0),
            deadline: None,
        }
    }

    fn tries(&mut self, record: &Record) -> Result<(), Illegal> {
        self.progress.apply(&self.graph, record, self.now)
    }

    #[track_caller]
    fn says(&mut self, kind: Kind, step: &str) -> &mut Self {
        self.says_of(kind, step, 0, 1)
    }

    #[track_caller]
    fn says_of(&mut self, kind: Kind, step: &str, item: u32, attempt: u32) -> &mut Self {
        let done = self.tries(&record(kind, step, item, attempt));
        done.unwrap_or_else(|illegal| panic!("{illegal}"));
        self
    }

    /// These lines are refused.
    #[track_caller]
    fn refuses(&mut self, lines: &[(Kind, &str)]) {
        for (kind, step) in lines {
            let before = format!("{:?}", self.progress);
            let refused = self.tries(&record(*kind, step, 0, 1));
            assert!(refused.is_err(), "{kind:?} of {step:?} is taken");
            assert_eq!(format!("{:?}", self.progress), before);
        }
    }

    /// These actions were begun, and are being done here.
    fn flies(&mut self, steps: &[&str]) -> &mut Self {
        for name in steps {
            let step = self.graph.find(name).expect("a step");
            self.says(Kind::Began, name);
            self.progress.fly(step, 0);
        }
        self
    }

    /// These are done.
    fn has_done(&mut self, steps: &[&str]) -> &mut Self {
        for name in steps {
            self.says(Kind::Began, name).says(Kind::Done, name);
        }
        self
    }

    fn passes(&mut self, time: Duration) -> &mut Self {
        self.now = self.now.saturating_add(time);
        self
    }

    fn outlook(&self) -> Outlook {
        let now = Circumstances {
            now: self.now,
            deadline: self.deadline,
            seed: 7,
        };
        outlook(&self.graph, &self.progress, now, Vec::new())
    }

    fn stage(&self) -> Stage {
        self.outlook().stage
    }

    /// What is next, in words.
    fn next(&self) -> Vec<String> {
        let name = |step: &StepNo| self.graph.spec(*step).name.to_string();
        let one = |next: &Move| match next {
            Move::Begin {
                step,
                item,
                attempt,
            } => format!("begin {} {item} #{attempt}", name(step)),
            Move::Undo {
                step,
                item,
                attempt,
            } => format!("undo {} {item} #{attempt}", name(step)),
            Move::Pass { step } => format!("pass {}", name(step)),
            Move::Expire { step } => format!("expire {}", name(step)),
            Move::TurnLate => "turn late".to_owned(),
            Move::Turn { step, .. } => format!("turn {}", name(step)),
            Move::Stick { step, item } => format!("stick {} {item}", name(step)),
        };
        self.outlook().moves.iter().map(one).collect()
    }

    fn slot(&self, step: &str) -> &Slot {
        &self.progress.slots(self.graph.find(step).expect("a step"))[0]
    }

    fn wakes_in(&self) -> Option<Duration> {
        let wake = self.outlook().wake?;
        Some(wake.saturating_since(self.now))
    }
}
