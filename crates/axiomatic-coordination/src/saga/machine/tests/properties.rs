//! Whatever the steps, and whatever happens.

use std::cell::Cell;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use super::driver::{Chance, Driver};
use super::oracle::judge;
use super::story::{Line, Story, replay};
use super::*;

/// A step as numbers: what it is is said by [`build`].
type Drawn = (u16, u8, u8, u8, u8);

/// A graph with a pivot, if that is one of the steps: all before it is before
/// it, and all behind it is behind it.
fn build(drawn: &[Drawn], pivot: usize) -> Graph {
    let steps = drawn.iter().enumerate().map(|(at, drawn)| {
        let (after, work, undo, attempts, undo_attempts) = *drawn;
        let class = match at.cmp(&pivot) {
            std::cmp::Ordering::Less => Class::Compensatable,
            std::cmp::Ordering::Equal => Class::Pivot,
            std::cmp::Ordering::Greater => Class::Retriable,
        };
        let work = match work {
            _ if class == Class::Pivot => [Work::Foreign, Work::Local][usize::from(work % 2)],
            0 => Work::Sleep(PAUSE * 3),
            1 => Work::Signal(None),
            2 => Work::Signal(Some(PAUSE * 4)),
            3 | 4 => Work::Local,
            5..=7 => Work::Each(u32::from(work) - 4),
            _ => Work::Foreign,
        };
        let after = (0..at).filter(|before| match class {
            Class::Pivot => true,
            // Some more than half are not: graphs are wide, then.
            Class::Retriable if *before == pivot => true,
            _ => after >> before & 1 == 1 && (after >> ((before + 5) % 16)) & 1 == 1,
        });
        let undo = match undo {
            _ if class != Class::Compensatable || work.only_waits() => Undo::Nothing,
            0 => Undo::Nothing,
            1 => Undo::EvenFailed,
            _ => Undo::Effects,
        };
        let after: Vec<u16> = after.map(|before| before as u16).collect();
        let mut spec = step(&format!("s{at}"), &after);
        (spec.class, spec.work, spec.undo) = (class, work, undo);
        spec.retry.attempts = u32::from(attempts);
        spec.undo_retry.attempts = u32::from(undo_attempts);
        spec
    });
    graph(steps.collect())
}

/// Steps, which of them is the pivot, a deadline, and what chance says.
type Told = (Vec<Drawn>, usize, Option<u32>, Vec<u16>);

fn stories() -> impl Strategy<Value = Told> {
    let drawn = (any::<u16>(), 0..12u8, 0..4u8, 0..4u8, 0..4u8);
    let deadline = proptest::option::weighted(0.2, 0..40u32);
    (
        vec(drawn, 1..=12),
        0..16usize,
        deadline,
        vec(any::<u16>(), 0..250),
    )
}

fn tell((drawn, pivot, deadline, said): Told) -> Story {
    let deadline = deadline.map(|count| PAUSE * count);
    Driver::new(build(&drawn, pivot), deadline, Chance::new(said)).run()
}

/// Every saga ends with all done, or with nothing left, or given up; it is
/// undone in the reverse order, nothing begins that must not, and whoever reads
/// any part of the log knows as much as who wrote it.
#[test]
fn all_happens_or_nothing_is_left_whatever_happens() {
    let seen = Seen::default();
    let mut runner = TestRunner::new(ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::with_cases(2000)
    });
    let run = runner.run(&stories(), |drawn| {
        let story = tell(drawn);
        judge(&story);
        replay(&story);
        seen.counts(&story);
        Ok(())
    });
    run.unwrap_or_else(|failed| panic!("{failed}"));
    seen.is_enough();
}

/// How many stories had what the properties speak of: they would hold if none
/// had.
#[derive(Default)]
struct Seen {
    done: Cell<u32>,
    compensated: Cell<u32>,
    abandoned: Cell<u32>,
    went_forward_again: Cell<u32>,
    brought_back: Cell<u32>,
    skipped: Cell<u32>,
    stuck: Cell<u32>,
    undid_items: Cell<u32>,
}

impl Seen {
    fn counts(&self, story: &Story) {
        let has = |kind| story.log.iter().any(|line| line.record.kind == kind);
        // Those that were brought back go on as they were.
        let resumes =
            |line: &Line| line.record.kind == Kind::Resumed && line.record.step.is_empty();
        let is_back = |line: &Line| line.stands.starts_with("Back");
        let mut lines = story.log.windows(2).filter(|lines| resumes(&lines[1]));
        let forward = lines.any(|lines| is_back(&lines[0]) && !is_back(&lines[1]));
        let mut lines = story.log.windows(2).filter(|lines| resumes(&lines[1]));
        let brought_back = lines.any(|lines| lines[0].stands == lines[1].stands);
        let items = story
            .log
            .iter()
            .any(|line| line.record.kind == Kind::Undone && line.record.item > 0);
        for (count, is_so) in [
            (&self.done, story.end == Stage::Done),
            (&self.compensated, story.end == Stage::Compensated),
            (&self.abandoned, story.end == Stage::Abandoned),
            (&self.went_forward_again, forward),
            (&self.brought_back, brought_back),
            (&self.skipped, has(Kind::UndoSkipped)),
            (&self.stuck, has(Kind::Stuck)),
            (&self.undid_items, items),
        ] {
            count.set(count.get() + u32::from(is_so));
        }
    }

    fn is_enough(&self) {
        println!(
            "done {:?}, compensated {:?}, abandoned {:?}, forward again {:?}, brought back {:?}, \
             skipped {:?}, stuck {:?}, items undone {:?}",
            self.done,
            self.compensated,
            self.abandoned,
            self.went_forward_again,
            self.brought_back,
            self.skipped,
            self.stuck,
            self.undid_items
        );
        for count in [
            &self.done,
            &self.compensated,
            &self.abandoned,
            &self.went_forward_again,
            &self.brought_back,
            &self.skipped,
            &self.stuck,
            &self.undid_items,
        ] {
            assert!(count.get() >= 10, "hardly any story has it");
        }
    }
}
