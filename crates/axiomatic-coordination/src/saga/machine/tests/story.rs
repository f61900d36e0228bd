//! What happened to a saga, and what it left outside.

use std::collections::BTreeSet;

use super::*;

/// An effect outside, by the key that the other side knows it by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    pub(super) step: StepNo,
    pub(super) item: u32,
    pub(super) round: u32,
}

/// A line, and what a replay must find after it.
pub(super) struct Line {
    pub(super) record: Record,
    pub(super) at: Timestamp,
    /// How many items each step had then, if that was known.
    pub(super) items: Vec<Option<usize>>,
    pub(super) stands: String,
}

/// What there is in the end.
pub(super) struct Story {
    pub(super) graph: Graph,
    pub(super) log: Vec<Line>,
    pub(super) end: Stage,
    pub(super) progress: Progress,
    pub(super) effects: BTreeSet<Key>,
    /// Whose undo an operator left out.
    pub(super) skipped: BTreeSet<Key>,
    /// Whose undo may have happened when an operator had it go forward again.
    pub(super) uncertain: BTreeSet<Key>,
}

/// What an executor does before it asks what is next: it reads the lists of
/// which all is there. They are longer in some rounds than in others.
pub(super) fn expand(graph: &Graph, progress: &mut Progress) {
    for step in graph.numbers() {
        let after = &graph.spec(step).after;
        let is_ready = after.iter().all(|before| progress.is_done(*before));
        if is_ready && !progress.is_expanded(step) {
            let rounds = after.iter().flat_map(|before| progress.slots(*before));
            let round = rounds.map(|slot| slot.round).max().unwrap_or(0);
            progress.expand(step, (usize::from(step.0) + round as usize) % 4);
        }
    }
}

/// All steps that depend on it, by whatever way.
pub(super) fn behind(graph: &Graph, step: StepNo) -> BTreeSet<StepNo> {
    let mut found = BTreeSet::from([step]);
    for other in graph.numbers() {
        let after = &graph.spec(other).after;
        if after.iter().any(|before| found.contains(before)) {
            found.insert(other);
        }
    }
    found.remove(&step);
    found
}

/// What another process finds, line by line as it was.
pub(super) fn replay(story: &Story) -> Progress {
    let mut progress = Progress::new(&story.graph);
    for line in &story.log {
        let done = progress.apply(&story.graph, &line.record, line.at);
        done.unwrap_or_else(|illegal| panic!("a log that nobody can read: {illegal}"));
        assert_eq!(stands(&story.graph, &progress), line.stands);
    }
    progress
}

/// All that is known of a saga, but what is in flight, and items of which
/// nothing was ever said.
pub(super) fn stands(graph: &Graph, progress: &Progress) -> String {
    let mut found = format!("{:?}", progress.direction());
    for step in graph.numbers() {
        let slots = progress.slots(step).iter().map(|slot| Slot {
            in_flight: false,
            ..slot.clone()
        });
        let is_new = |slot: &Slot| slot.standing == Standing::Waiting;
        let slots: Vec<(usize, Slot)> = slots.enumerate().collect();
        let slots: Vec<_> = slots.iter().filter(|(_, slot)| !is_new(slot)).collect();
        found.push_str(&format!("\n{slots:?}"));
    }
    found
}
