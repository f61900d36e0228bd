//! What a history and its end must be, said without the machine.

use std::collections::{BTreeMap, BTreeSet};

use super::story::{Key, Line, Story, behind};
use super::*;

type Place = (StepNo, u32);

/// All that is asked.
pub(super) fn judge(story: &Story) {
    judge_log(story);
    match story.end {
        Stage::Done => judge_done(story),
        Stage::Compensated => judge_compensated(story),
        Stage::Abandoned => {}
        other => panic!("{other:?} is no end"),
    }
}

/// What the history has said so far.
#[derive(Default)]
struct Said {
    is_back: bool,
    is_pivot_done: bool,
    /// Whose undo waits for an operator.
    stuck: BTreeSet<Place>,
    /// What was begun, and is not known to have failed or to be undone.
    there: BTreeSet<Place>,
    done: BTreeSet<Place>,
    /// Known to have failed, and not undone.
    failed: BTreeSet<Place>,
}

fn judge_log(story: &Story) {
    let mut said = Said::default();
    for (number, line) in story.log.iter().enumerate() {
        let before = story.log[..number].iter();
        let told = || {
            let lines = before.clone().chain([line]);
            let told = lines.map(|line| {
                let Record {
                    kind, step, item, ..
                } = &line.record;
                format!("{kind:?} {step} {item}")
            });
            told.collect::<Vec<_>>().join(", ")
        };
        said.hears(story, line)
            .unwrap_or_else(|wrong| panic!("{wrong}: {}", told()));
    }
}

impl Said {
    fn hears(&mut self, story: &Story, line: &Line) -> Result<(), &'static str> {
        let graph = &story.graph;
        let Record {
            kind, step, item, ..
        } = &line.record;
        match (kind, &**step) {
            (Kind::Turned, _) => self.is_back = true,
            // Or it was put aside, and goes on as it was.
            (Kind::Resumed, "") if !self.stuck.is_empty() => {
                self.is_back = false;
                self.stuck.clear();
            }
            _ => {}
        }
        let Some(step) = graph.find(step) else {
            return Ok(());
        };
        let (place, spec) = ((step, *item), graph.spec(step));
        match kind {
            Kind::Began | Kind::Done => {
                let is_first = *kind == Kind::Began || !self.there.contains(&place);
                if is_first && spec.work != Work::Local {
                    self.begins(graph, line, step)?;
                }
                self.there.insert(place);
                self.failed.remove(&place);
                if *kind == Kind::Done {
                    self.done.insert(place);
                    self.is_pivot_done |= spec.class == Class::Pivot;
                }
            }
            Kind::Doubted => {
                self.there.insert(place);
            }
            Kind::Failed => {
                self.is_back = true;
                self.there.remove(&place);
                self.failed.insert(place);
            }
            Kind::UndoBegan | Kind::UndoDoubted | Kind::Undone => {
                self.undoes(graph, place)?;
                self.failed.remove(&place);
                self.there.insert(place);
                if *kind == Kind::Undone {
                    self.there.remove(&place);
                    self.done.remove(&place);
                }
            }
            Kind::Stuck if self.is_back => {
                self.stuck.insert(place);
            }
            Kind::UndoRetried => {
                self.stuck.remove(&place);
            }
            Kind::UndoSkipped => {
                self.stuck.remove(&place);
                self.there.remove(&place);
                self.done.remove(&place);
            }
            _ => {}
        }
        Ok(())
    }

    fn begins(&self, graph: &Graph, line: &Line, step: StepNo) -> Result<(), &'static str> {
        let spec = graph.spec(step);
        if self.is_back {
            return Err("an action begins while the saga is unwound");
        }
        if spec.class == Class::Compensatable && self.is_pivot_done {
            return Err("what can be undone begins behind the pivot");
        }
        let is_done = |before: &StepNo| {
            let items = line.items[before.index()];
            items.is_some_and(|items| {
                (0..items as u32).all(|item| self.done.contains(&(*before, item)))
            })
        };
        if !spec.after.iter().all(is_done) {
            return Err("a step begins before what it depends on is done");
        }
        Ok(())
    }

    fn undoes(&self, graph: &Graph, place: Place) -> Result<(), &'static str> {
        let spec = graph.spec(place.0);
        if !self.is_back {
            return Err("a step is undone while the saga goes forward");
        }
        if spec.undo == Undo::Nothing {
            return Err("a step is undone that has no undo");
        }
        let may_be_there = match spec.undo {
            Undo::EvenFailed => self.there.contains(&place) || self.failed.contains(&place),
            _ => self.there.contains(&place),
        };
        if !may_be_there {
            return Err("a step is undone of which nothing is there");
        }
        let behind = behind(graph, place.0);
        let is_left = |step: &StepNo| {
            let undo = graph.spec(*step).undo;
            let of_step = |places: &BTreeSet<Place>| places.iter().any(|(other, _)| other == step);
            let has_failed = undo == Undo::EvenFailed && of_step(&self.failed);
            undo != Undo::Nothing && (of_step(&self.there) || has_failed)
        };
        if behind.iter().any(is_left) {
            return Err("a step is undone before what came behind it");
        }
        Ok(())
    }
}

/// How many effects there are of each place, without those that an operator
/// left there.
fn effects(story: &Story) -> BTreeMap<Place, usize> {
    let mut found = BTreeMap::new();
    for Key { step, item, .. } in story.effects.difference(&story.skipped) {
        *found.entry((*step, *item)).or_default() += 1;
    }
    found
}

fn judge_done(story: &Story) {
    let effects = effects(story);
    for step in story.graph.numbers() {
        let spec = story.graph.spec(step);
        let items = 0..story.progress.slots(step).len() as u32;
        for item in items.clone() {
            let count = effects.get(&(step, item)).copied().unwrap_or(0);
            let may_be_undone = story.uncertain.iter().any(|key| {
                let is_of_it = (key.step, key.item) == (step, item);
                is_of_it && story.progress.slots(step)[item as usize].round == key.round
            });
            let name = &spec.name;
            match spec.work {
                Work::Sleep(_) | Work::Signal(_) => {}
                // What has no undo may be done again.
                _ if spec.undo == Undo::Nothing && spec.class == Class::Compensatable => {
                    assert!(count >= 1, "{name} {item} has no effect");
                }
                _ if may_be_undone => assert!(count <= 1, "{name} {item} has {count} effects"),
                _ => assert_eq!(count, 1, "effects of {name} {item}"),
            }
        }
        let others = effects.keys().filter(|(other, _)| *other == step);
        let mut others = others.filter(|(_, item)| !items.contains(item));
        let is_plain = spec.undo == Undo::Nothing;
        assert!(is_plain || others.next().is_none(), "an item too many");
        judge_order(story, step);
    }
}

/// Whatever was done last of a step was done behind what it depends on.
fn judge_order(story: &Story, step: StepNo) {
    let last = |place: Place| {
        story.log.iter().rposition(|line| {
            let record = &line.record;
            let is_of_it = story.graph.find(&record.step) == Some(place.0);
            is_of_it && record.kind == Kind::Done && record.item == place.1
        })
    };
    let places = |step: StepNo| {
        let items = 0..story.progress.slots(step).len() as u32;
        items.map(move |item| (step, item))
    };
    for before in &story.graph.spec(step).after {
        let before = places(*before).filter_map(last).max();
        let own = places(step).filter_map(last).min();
        let is_behind = own.is_none() || before < own;
        assert!(is_behind, "step {step:?} stands on what is no more");
    }
}

fn judge_compensated(story: &Story) {
    for ((step, item), count) in effects(story) {
        let spec = story.graph.spec(step);
        let has_no_undo = spec.undo == Undo::Nothing && spec.class == Class::Compensatable;
        let name = &spec.name;
        assert!(has_no_undo, "{count} effects of {name} {item} are left");
    }
}
