//! The promises, one by one.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use uuid::Uuid;

use super::{Answer, Call, Complaint, Seen, Which};
use crate::saga::record::{Kind, Record, Stage};
use crate::saga::store::Found;

/// What of a definition matters here.
#[derive(Clone, Debug)]
pub(crate) struct Shape(pub(crate) Vec<StepShape>);

#[derive(Clone, Debug)]
pub(crate) struct StepShape {
    pub(crate) name: Arc<str>,
    /// It is done in the sagas' database.
    pub(crate) is_local: bool,
    /// It does something: it does not only wait.
    pub(crate) acts: bool,
    /// It has an item for each of a list, of which there may be none.
    pub(crate) is_each: bool,
    pub(crate) is_undone: bool,
    pub(crate) is_undone_if_failed: bool,
    /// Numbers of steps.
    pub(crate) after: Vec<usize>,
}

impl Shape {
    fn find(&self, name: &str) -> Option<usize> {
        self.0.iter().position(|step| *step.name == *name)
    }

    /// Whether the first comes somewhere behind the other.
    fn is_behind(&self, step: usize, other: usize) -> bool {
        let after = &self.0[step].after;
        after.contains(&other) || after.iter().any(|before| self.is_behind(*before, other))
    }
}

pub(super) fn check(shape: &Shape, found: &Found, seen: Seen<'_>) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    let log: Vec<&Record> = found.records.iter().map(|line| &line.record).collect();
    let has = |kind: Kind| log.iter().any(|record| record.kind == kind);
    let stage = found.summary.stage;
    // A saga that was only put aside and brought back goes on as it was.
    let was_stuck = has(Kind::Stuck) && has(Kind::Resumed);
    let by_operator = was_stuck || has(Kind::UndoSkipped) || stage == Stage::Abandoned;
    let asks_operator = stage == Stage::Stuck && has(Kind::Stuck);
    if !stage.is_end() && !asks_operator {
        complaints.push(Complaint::NotEnded(stage));
    }
    if !by_operator {
        effects(shape, &log, stage, seen, &mut complaints);
        keys(seen, &mut complaints);
        local(shape, &log, seen.local, &mut complaints);
    }
    begun(&log, seen.elsewhere, &mut complaints);
    backwards(shape, &log, &mut complaints);
    fences(seen.elsewhere, &mut complaints);
    fences(seen.local, &mut complaints);
    complaints
}

/// All once, or none left.
fn effects(
    shape: &Shape,
    log: &[&Record],
    stage: Stage,
    seen: Seen<'_>,
    complaints: &mut Vec<Complaint>,
) {
    let mut net: BTreeMap<Which, i64> = BTreeMap::new();
    let calls = || seen.elsewhere.iter().chain(seen.local);
    let happened = || calls().filter(|call| call.answer == Answer::Happened);
    // Of two undos of one action, wherever they are done, each counts.
    for call in happened() {
        *net.entry(action(&call.step, call.item)).or_default() += match call.undoes {
            false => 1,
            true => -1,
        };
    }
    if stage == Stage::Done {
        let mut all: BTreeSet<Which> = BTreeSet::new();
        for step in shape.0.iter().filter(|step| step.acts && !step.is_each) {
            all.insert(action(&step.name, 0));
        }
        for record in log.iter().filter(|record| record.kind == Kind::Done) {
            let step = shape.find(&record.step);
            if step.is_some_and(|step| shape.0[step].acts) {
                all.insert(action(&record.step, record.item));
            }
        }
        let missing = all.into_iter().filter(|which| {
            let times = net.get(which).copied().unwrap_or_default();
            times < 1
        });
        complaints.extend(missing.map(Complaint::Missing));
    }
    for (which, times) in net {
        if times > 1 {
            complaints.push(Complaint::Twice(which));
        } else if times < 0 {
            let undo = Which {
                undoes: true,
                ..which
            };
            complaints.push(Complaint::Twice(undo));
        } else if times == 1 && stage == Stage::Compensated {
            complaints.push(Complaint::Left(which));
        }
    }
}

/// Each call of an attempt has a line that says that it begins.
fn begun(log: &[&Record], elsewhere: &[Call], complaints: &mut Vec<Complaint>) {
    let mut calls: BTreeMap<(Which, u32), usize> = BTreeMap::new();
    for call in elsewhere {
        *calls.entry((which(call), call.attempt)).or_default() += 1;
    }
    for ((which, attempt), calls) in calls {
        let kind = match which.undoes {
            false => Kind::Began,
            true => Kind::UndoBegan,
        };
        let begins = log.iter().filter(|record| {
            record.kind == kind
                && record.step == which.step
                && record.item == which.item
                && record.attempt == attempt
        });
        let begun = begins.count();
        if calls > begun {
            complaints.push(Complaint::NotBegun {
                which,
                attempt,
                calls,
                begun,
            });
        }
    }
}

fn keys(seen: Seen<'_>, complaints: &mut Vec<Complaint>) {
    let mut keys: BTreeMap<Which, Uuid> = BTreeMap::new();
    let mut several = BTreeSet::new();
    for call in seen.elsewhere.iter().chain(seen.local) {
        let which = which(call);
        if *keys.entry(which.clone()).or_insert(call.key) != call.key {
            several.insert(which);
        }
    }
    complaints.extend(several.into_iter().map(Complaint::Keys));
}

/// What is undone is undone after all that came behind it.
fn backwards(shape: &Shape, log: &[&Record], complaints: &mut Vec<Complaint>) {
    // What is there, or may be.
    let mut there: BTreeSet<(usize, u32)> = BTreeSet::new();
    for record in log {
        let Some(step) = shape.find(&record.step) else {
            continue;
        };
        let it = (step, record.item);
        let undoes = matches!(record.kind, Kind::UndoBegan | Kind::Undone);
        if undoes {
            let left = there.iter().find(|(other, _)| {
                shape.0[*other].is_undone && *other != step && shape.is_behind(*other, step)
            });
            if let Some((other, item)) = left {
                let which = Which {
                    step: record.step.clone(),
                    item: record.item,
                    undoes: true,
                };
                let left = action(&shape.0[*other].name, *item);
                complaints.push(Complaint::UndoneEarly { which, left });
            }
        }
        match record.kind {
            Kind::Began | Kind::Done | Kind::Doubted => {
                there.insert(it);
            }
            Kind::Failed if !shape.0[step].is_undone_if_failed => {
                there.remove(&it);
            }
            Kind::Undone | Kind::UndoSkipped => {
                there.remove(&it);
            }
            _ => {}
        }
    }
}

/// Who has been followed is not heard any more.
fn fences(calls: &[Call], complaints: &mut Vec<Complaint>) {
    let mut greatest = 0;
    for call in calls.iter().filter(|call| call.answer != Answer::TooLate) {
        if call.fence < greatest {
            complaints.push(Complaint::FenceFell {
                which: which(call),
                from: greatest,
                to: call.fence,
            });
        }
        greatest = greatest.max(call.fence);
    }
}

/// As many lines as transactions.
fn local(shape: &Shape, log: &[&Record], local: &[Call], complaints: &mut Vec<Complaint>) {
    let mut balance: BTreeMap<Which, i64> = BTreeMap::new();
    for call in local {
        *balance.entry(which(call)).or_default() += 1;
    }
    for record in log {
        let is_local = shape
            .find(&record.step)
            .is_some_and(|step| shape.0[step].is_local);
        let undoes = match record.kind {
            Kind::Done => false,
            Kind::Undone => true,
            _ => continue,
        };
        let which = Which {
            step: record.step.clone(),
            item: record.item,
            undoes,
        };
        // The undo of a local step may be done elsewhere, and the other way
        // round: it is local if it was seen to be.
        if is_local && !undoes || balance.contains_key(&which) {
            *balance.entry(which).or_default() -= 1;
        }
    }
    let parted = balance.into_iter().filter(|(_, balance)| *balance != 0);
    complaints.extend(parted.map(|(which, _)| Complaint::Parted(which)));
}

fn which(call: &Call) -> Which {
    Which {
        step: call.step.clone(),
        item: call.item,
        undoes: call.undoes,
    }
}

fn action(step: &Arc<str>, item: u32) -> Which {
    Which {
        step: step.clone(),
        item,
        undoes: false,
    }
}
