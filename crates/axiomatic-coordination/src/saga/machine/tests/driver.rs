//! An executor of whom chance says what happens to it, and the world outside
//! that counts effects.

use std::collections::BTreeSet;

use super::story::{Key, Line, Story, behind, expand, replay, stands};
use super::table::follows;
use super::*;

/// What chance says, and when nothing is left of it, that all goes well.
#[derive(Clone, Debug)]
pub(super) struct Chance(std::vec::IntoIter<u16>);

impl Chance {
    pub(super) fn new(said: Vec<u16>) -> Self {
        Chance(said.into_iter())
    }

    /// One of so many; the first when chance says nothing any more.
    fn one_of(&mut self, count: usize) -> usize {
        usize::from(self.0.next().unwrap_or(0)) % count
    }

    fn says_yes(&mut self) -> bool {
        self.one_of(2) == 1
    }
}

#[derive(Clone, Copy, Debug)]
struct Flight {
    key: Key,
    attempt: u32,
    is_undo: bool,
}

pub(super) struct Driver {
    story: Story,
    now: Timestamp,
    deadline: Option<Timestamp>,
    flights: Vec<Flight>,
    chance: Chance,
}

impl Driver {
    pub(super) fn new(graph: Graph, deadline: Option<Duration>, chance: Chance) -> Self {
        let now = Timestamp::from_micros(0);
        Driver {
            story: Story {
                log: Vec::new(),
                end: Stage::Running,
                progress: Progress::new(&graph),
                effects: BTreeSet::new(),
                skipped: BTreeSet::new(),
                uncertain: BTreeSet::new(),
                graph,
            },
            now,
            deadline: deadline.map(|deadline| now.saturating_add(deadline)),
            flights: Vec::new(),
            chance,
        }
    }

    /// Leads the saga to its end.
    pub(super) fn run(mut self) -> Story {
        // Each step and item begins and ends, and is undone; what chance says
        // comes on top, and it may have it go back and forth.
        let slots = 4 * self.story.graph.steps.len() + 4;
        let bound = (self.chance.0.len() + 2) * (8 * slots);
        for _ in 0..bound {
            expand(&self.story.graph, &mut self.story.progress);
            let outlook = self.outlook();
            if outlook.stage.is_end() {
                let is_given_up = outlook.stage == Stage::Abandoned;
                assert!(is_given_up || self.flights.is_empty(), "it has ended early");
                self.story.end = outlook.stage;
                return self.story;
            }
            match self.chance.one_of(16) {
                1 => self.crash(),
                2 => self.signal(),
                3 => self.cancel(),
                4 => {
                    let time = PAUSE * self.chance.one_of(8) as u32;
                    self.now = self.now.saturating_add(time);
                }
                5 | 6 => self.land(),
                7 | 8 => self.bother(),
                9 if self.chance.one_of(32) == 31 => self.say(Kind::Abandoned, "", 0, 0),
                _ => self.go_on(&outlook),
            }
        }
        panic!("it does not end");
    }

    fn outlook(&self) -> Outlook {
        let now = Circumstances {
            now: self.now,
            deadline: self.deadline,
            seed: 1,
        };
        outlook(&self.story.graph, &self.story.progress, now, Vec::new())
    }

    fn go_on(&mut self, outlook: &Outlook) {
        let may_move = self.flights.is_empty() || self.chance.says_yes();
        if !outlook.moves.is_empty() && may_move {
            assert_ne!(outlook.stage, Stage::Stuck);
            // All of them as they were seen, or one.
            let one = self.chance.one_of(outlook.moves.len() + 1);
            match one.checked_sub(1) {
                None => outlook.moves.iter().for_each(|next| self.make(*next)),
                Some(one) => self.make(outlook.moves[one]),
            }
        } else if !self.flights.is_empty() {
            assert_ne!(outlook.stage, Stage::Stuck);
            self.land();
        } else if outlook.stage == Stage::Stuck {
            assert_eq!(outlook.wake, None);
            self.operate();
        } else {
            // Nothing moves, and nobody is to act: it waits for a signal, or
            // for a time.
            match (self.awaited(), outlook.wake) {
                (Some(step), None) => self.say(Kind::Signalled, &self.name(step), 0, 0),
                (Some(step), Some(_)) if self.chance.one_of(3) == 0 => {
                    self.say(Kind::Signalled, &self.name(step), 0, 0);
                }
                (_, wake) => self.now = wake.expect("it goes on"),
            }
        }
    }

    fn name(&self, step: StepNo) -> std::sync::Arc<str> {
        self.story.graph.spec(step).name.clone()
    }

    fn say_of(&mut self, kind: Kind, key: Key, attempt: u32) {
        let name = self.name(key.step);
        self.say(kind, &name, key.item, attempt);
    }

    fn say(&mut self, kind: Kind, step: &str, item: u32, attempt: u32) {
        let mut record = record(kind, step, item, attempt);
        if kind == Kind::Done {
            record.data = Bytes::from(self.story.log.len().to_string());
        }
        let Story {
            graph, progress, ..
        } = &mut self.story;
        let known = |step| {
            progress
                .is_expanded(step)
                .then(|| progress.slots(step).len())
        };
        let items = graph.numbers().map(known).collect();
        let done = progress.apply(graph, &record, self.now);
        done.unwrap_or_else(|illegal| panic!("an executor writes what is illegal: {illegal}"));
        let stands = stands(graph, progress);
        self.story.log.push(Line {
            record,
            at: self.now,
            items,
            stands,
        });
    }

    fn key(&self, step: StepNo, item: u32) -> Key {
        let round = self.story.progress.slots(step)[item as usize].round;
        Key { step, item, round }
    }

    fn make(&mut self, next: Move) {
        match next {
            Move::Begin {
                step,
                item,
                attempt,
            } => self.begin(self.key(step, item), attempt),
            Move::Undo {
                step,
                item,
                attempt,
            } => {
                let behind = behind(&self.story.graph, step);
                let flies = |flight: &Flight| behind.contains(&flight.key.step);
                assert!(!self.flights.iter().any(flies), "it is undone too early");
                let key = self.key(step, item);
                if self.story.graph.spec(step).work != Work::Local {
                    self.say_of(Kind::UndoBegan, key, attempt);
                }
                self.fly(key, attempt, true);
            }
            Move::Pass { step } => self.say_of(Kind::Done, self.key(step, 0), 1),
            Move::Expire { step } => self.say_of(Kind::Failed, self.key(step, 0), 1),
            Move::TurnLate | Move::Turn { .. } => self.say(Kind::Turned, "", 0, 0),
            Move::Stick { step, item } => self.say_of(Kind::Stuck, self.key(step, item), 0),
        }
    }

    fn begin(&mut self, key: Key, attempt: u32) {
        let work = self.story.graph.spec(key.step).work;
        if work != Work::Local {
            self.say_of(Kind::Began, key, attempt);
        }
        if !work.only_waits() {
            self.fly(key, attempt, false);
        }
        let of_step = |flight: &&Flight| flight.key.step == key.step;
        let in_flight = self.flights.iter().filter(of_step).count();
        let at_once = match work {
            Work::Each(at_once) => at_once as usize,
            _ => 1,
        };
        assert!(in_flight <= at_once, "{in_flight} are in flight");
    }

    fn fly(&mut self, key: Key, attempt: u32, is_undo: bool) {
        let twice = |flight: &Flight| (flight.key.step, flight.key.item) == (key.step, key.item);
        assert!(!self.flights.iter().any(twice), "it is in flight already");
        self.story.progress.fly(key.step, key.item);
        self.flights.push(Flight {
            key,
            attempt,
            is_undo,
        });
    }

    /// Something that is in flight ends.
    fn land(&mut self) {
        if self.flights.is_empty() {
            return;
        }
        let at = self.chance.one_of(self.flights.len());
        let flight = self.flights.swap_remove(at);
        let (key, attempt) = (flight.key, flight.attempt);
        let spec = self.story.graph.spec(key.step).clone();
        let how = self.chance.one_of(6);
        let kind = match (flight.is_undo, how) {
            (true, 1..=3) => {
                self.may_happen(flight);
                Kind::UndoDoubted
            }
            (true, _) => {
                self.story.effects.remove(&key);
                Kind::Undone
            }
            (false, 1 | 2) => {
                self.may_happen(flight);
                Kind::Doubted
            }
            // Known not to have happened, so no attempt did.
            (false, 3) if spec.class != Class::Retriable && !self.story.effects.contains(&key) => {
                if spec.undo == Undo::EvenFailed && self.chance.says_yes() {
                    self.story.effects.insert(key);
                }
                Kind::Failed
            }
            (false, _) => {
                self.story.effects.insert(key);
                Kind::Done
            }
        };
        self.say_of(kind, key, attempt);
    }

    /// Nobody knows whether it happened, but in the saga's own database, where
    /// it did not.
    fn may_happen(&mut self, flight: Flight) {
        let is_local = self.story.graph.spec(flight.key.step).work == Work::Local;
        if is_local || !self.chance.says_yes() {
        } else if flight.is_undo {
            self.story.effects.remove(&flight.key);
        } else {
            self.story.effects.insert(flight.key);
        }
    }

    /// The process dies, and another takes over from what is written.
    fn crash(&mut self) {
        for flight in std::mem::take(&mut self.flights) {
            self.may_happen(flight);
        }
        self.story.progress = replay(&self.story);
        // It was loaded too often, and an operator brings it back.
        if !self.story.progress.is_stuck() && self.chance.one_of(4) == 3 {
            self.say(Kind::Resumed, "", 0, 0);
        }
    }

    fn signals(&self) -> Vec<StepNo> {
        let numbers = self.story.graph.numbers();
        let is_signal =
            |step: &StepNo| matches!(self.story.graph.spec(*step).work, Work::Signal(_));
        numbers.filter(is_signal).collect()
    }

    fn signal(&mut self) {
        let signals = self.signals();
        if !signals.is_empty() {
            let one = self.chance.one_of(signals.len());
            let name = self.name(signals[one]);
            self.say(Kind::Signalled, &name, 0, 0);
        }
    }

    /// A step that waits for its signal.
    fn awaited(&self) -> Option<StepNo> {
        let progress = &self.story.progress;
        self.signals().into_iter().find(|step| {
            let is_there = progress.signal(&self.name(*step)).is_some();
            progress.direction() == Direction::Forward
                && progress.slots(*step)[0].standing == Standing::Running
                && !is_there
        })
    }

    fn cancel(&mut self) {
        let Story {
            graph, progress, ..
        } = &self.story;
        let goes_forward = progress.direction() == Direction::Forward;
        if goes_forward && !progress.is_committing(graph) && self.chance.says_yes() {
            self.say(Kind::Turned, "", 0, 0);
        }
    }

    /// An operator has a saga that is stuck go on, some way or other.
    fn operate(&mut self) {
        let mut stuck = Vec::new();
        for step in self.story.graph.numbers() {
            for (item, slot) in (0u32..).zip(self.story.progress.slots(step)) {
                if matches!(slot.standing, Standing::Stuck | Standing::UndoStuck) {
                    stuck.push((self.key(step, item), slot.standing));
                }
            }
        }
        let one = self.chance.one_of(stuck.len());
        let (key, standing) = stuck[one];
        let how = self.chance.one_of(4);
        if standing == Standing::Stuck {
            self.say_of(Kind::Resumed, key, 0);
        } else if how == 1 {
            self.story.skipped.insert(key);
            self.say_of(Kind::UndoSkipped, key, 0);
        } else if how == 2 {
            let keys = stuck.iter().map(|(key, _)| *key);
            self.story.uncertain.extend(keys);
            self.say(Kind::Resumed, "", 0, 0);
        } else {
            self.say_of(Kind::UndoRetried, key, 0);
        }
    }

    /// Lines that nobody writes: they are refused, and nothing is changed. A
    /// line that may be is not applied.
    fn bother(&mut self) {
        let graph = &self.story.graph;
        let mut progress = self.story.progress.clone();
        let before = format!("{progress:?}");
        let kind = Kind::ALL[self.chance.one_of(Kind::ALL.len())];
        let step = self.chance.one_of(graph.steps.len() + 1);
        let item = self.chance.one_of(4) as u32;
        let name = graph.steps.get(step).map_or("nobody", |spec| &*spec.name);
        let is_legal = progress.apply(graph, &record(kind, name, item, 1), self.now);
        let is_of_saga = matches!(
            kind,
            Kind::Signalled | Kind::Refused | Kind::Abandoned | Kind::Turned
        );
        match is_legal {
            Err(_) => assert_eq!(format!("{progress:?}"), before),
            Ok(()) if is_of_saga => {}
            Ok(()) => {
                assert!(step < graph.steps.len(), "there is no such step");
                let step = StepNo(step as u16);
                let slot = self.story.progress.slots(step).get(item as usize);
                let from = slot.map_or(Standing::Waiting, |slot| slot.standing);
                let then = progress.slots(step)[item as usize].standing;
                assert_eq!(follows(from, kind), Some(then));
                let is_back = self.story.progress.direction() == Direction::Back;
                assert!(kind != Kind::Began || !is_back, "begun while unwinding");
                let is_undo = matches!(kind, Kind::UndoBegan | Kind::Undone | Kind::UndoDoubted);
                assert!(!is_undo || is_back, "undone while going forward");
            }
        }
    }
}
