//! What it changes.

use super::actions::{Action, Answer, Does};
use super::world::{
    Held, Kind, Line, Next, Place, Protocol, Request, Rule, Stage, Work, World, can_turn, next,
};

/// What the store says to who appends.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Appended {
    Held,
    Lost,
    Conflict,
}

/// Whether the store knows what it was asked before.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Again {
    Known,
    /// Work cannot be done again.
    Unknown,
}

impl Protocol {
    /// Does it, or nothing if it is not possible.
    pub(crate) fn step(&self, world: &mut World, action: Action) -> Option<()> {
        match action {
            Action::End => {
                let lease = &mut world.lease;
                lease.owner.filter(|_| !lease.has_ended)?;
                lease.has_ended = true;
                Some(())
            }
            Action::Claim { executor } => self.claim(world, executor),
            Action::Attend { executor } => {
                let held = world.executors[usize::from(executor)].held?;
                let is_lost = !world.compares(world.name(executor), held);
                is_lost.then(|| world.forget(executor))
            }
            Action::Crash { executor } => {
                world.forget(executor);
                world.executors[usize::from(executor)].run += 1;
                world.left.crashes = world.left.crashes.saturating_sub(1);
                Some(())
            }
            Action::Take { executor, saga } => take(world, executor, saga),
            Action::Say {
                executor,
                saga,
                answer,
            } => self.say(world, executor, saga, answer),
            Action::Turn { executor, saga } => self.turn(world, executor, saga),
            Action::Work {
                executor,
                saga,
                does,
                answer,
            } => self.work(world, executor, saga, does, answer),
            Action::Load { executor, saga } => load(world, executor, saga),
            Action::Send { executor, saga } => self.send(world, executor, saga),
            Action::Arrive { request, does } => self.arrive(world, request, does),
            Action::GiveUp { executor, saga } => {
                let work = world.work(executor, saga)?;
                let Stage::Waits(request) = work.stage else {
                    return None;
                };
                let kind = match request.is_undo {
                    false => Kind::Doubted,
                    true => Kind::UndoDoubted,
                };
                work.stage = Stage::Says(kind, request.step);
                world.left.unknowns = world.left.unknowns.saturating_sub(1);
                Some(())
            }
        }
    }

    fn claim(&self, world: &mut World, executor: u8) -> Option<()> {
        let name = world.name(executor);
        let lease = &mut world.lease;
        let is_free = lease.owner.is_none() || lease.has_ended;
        if !is_free || world.executors[usize::from(executor)].held.is_some() {
            return None;
        }
        if self.rule != Rule::KeepsEpoch {
            lease.epoch += 1;
        }
        lease.owner = Some(name);
        lease.has_ended = false;
        lease.holding += 1;
        let held = Held {
            epoch: lease.epoch,
            holding: lease.holding,
        };
        world.executors[usize::from(executor)].held = Some(held);
        if self.rule != Rule::LeavesHeld {
            world.sagas.iter_mut().for_each(|saga| saga.is_held = false);
        }
        world.left.claims = world.left.claims.saturating_sub(1);
        Some(())
    }

    fn say(&self, world: &mut World, executor: u8, saga: u8, answer: Answer) -> Option<()> {
        let work = *world.work(executor, saga)?;
        let (kind, step) = match work.stage {
            Stage::Says(kind, step) => (kind, step),
            Stage::Thinks => match next(world.known(saga, &work)) {
                Next::Act { step, is_undo } if self.place(saga, step) == Place::Foreign => {
                    if !is_undo && self.rule == Rule::SaysNoIntent {
                        world.work(executor, saga)?.stage = Stage::Sends { step, is_undo };
                        return (answer == Answer::Heard).then_some(());
                    }
                    match is_undo {
                        false => (Kind::Began, step),
                        true => (Kind::UndoBegan, step),
                    }
                }
                _ => return None,
            },
            _ => return None,
        };
        let name = world.name(executor);
        let appended = self.append(world, name, &work, saga, (kind, step), Again::Known);
        if answer == Answer::Lost {
            world.left.unknowns = world.left.unknowns.saturating_sub(1);
            world.work(executor, saga)?.stage = Stage::Says(kind, step);
            // Whatever the store did not do was asked for in vain.
            return (appended == Appended::Held).then_some(());
        }
        let then = match kind {
            Kind::Began if self.rule == Rule::SaysDoneFirst => Stage::Says(Kind::Done, step),
            Kind::Done if self.rule == Rule::SaysDoneFirst => {
                let is_undo = false;
                Stage::Sends { step, is_undo }
            }
            Kind::Began | Kind::UndoBegan => Stage::Sends {
                step,
                is_undo: kind == Kind::UndoBegan,
            },
            _ => Stage::Thinks,
        };
        world.hears(executor, saga, appended, then);
        Some(())
    }

    fn turn(&self, world: &mut World, executor: u8, saga: u8) -> Option<()> {
        let work = *world.work(executor, saga)?;
        if work.stage != Stage::Thinks || !can_turn(world.known(saga, &work)) {
            return None;
        }
        world.left.cancels = world.left.cancels.saturating_sub(1);
        let name = world.name(executor);
        let turned = (Kind::Turned, 0);
        let appended = self.append(world, name, &work, saga, turned, Again::Known);
        world.hears(executor, saga, appended, Stage::Thinks);
        Some(())
    }

    /// One transaction.
    fn work(
        &self,
        world: &mut World,
        executor: u8,
        saga: u8,
        does: Does,
        answer: Answer,
    ) -> Option<()> {
        let work = *world.work(executor, saga)?;
        let Next::Act { step, is_undo } = next(world.known(saga, &work)) else {
            return None;
        };
        if work.stage != Stage::Thinks || self.place(saga, step) != Place::Local {
            return None;
        }
        let kind = match (is_undo, does) {
            (true, _) => Kind::Undone,
            (false, Does::What) => Kind::Done,
            (false, Does::Refuses) => {
                world.left.refusals = world.left.refusals.saturating_sub(1);
                Kind::Failed
            }
        };
        let name = world.name(executor);
        let appended = self.append(world, name, &work, saga, (kind, step), Again::Unknown);
        if appended == Appended::Held || self.rule == Rule::WorksUnfenced {
            let count = &mut world.sagas[usize::from(saga)].effects[usize::from(step)].count;
            match kind {
                Kind::Done => *count += 1,
                Kind::Undone => *count = count.saturating_sub(1),
                _ => {}
            }
        }
        if answer == Answer::Lost {
            world.left.unknowns = world.left.unknowns.saturating_sub(1);
            world.work(executor, saga)?.stage = Stage::Loads;
        } else {
            world.hears(executor, saga, appended, Stage::Thinks);
        }
        Some(())
    }

    fn append(
        &self,
        world: &mut World,
        name: (u8, u8),
        work: &Work,
        saga: u8,
        (kind, step): (Kind, u8),
        again: Again,
    ) -> Appended {
        let lease = &world.lease;
        let is_owner = lease.owner == Some(name) && lease.epoch == work.under.epoch;
        let passes = match self.rule {
            Rule::AppendsForAnyone => lease.owner.is_some() && !lease.has_ended,
            Rule::AppendsAfterTheEnd => is_owner,
            _ => world.compares(name, work.under),
        };
        if !passes {
            world.seen.late_append_refused = true;
            return Appended::Lost;
        }
        let line = Line {
            at: work.knows,
            kind,
            step,
            by: work.under,
        };
        let of = &mut world.sagas[usize::from(saga)];
        let is_next = of.log.len() == usize::from(work.knows) && of.end().is_none();
        if !is_next && self.rule != Rule::AppendsAnywhere {
            if of.log.get(usize::from(work.knows)) == Some(&line) && again == Again::Known {
                world.seen.append_known_again = true;
                return Appended::Held;
            }
            world.seen.conflict = true;
            return Appended::Conflict;
        }
        of.log.push(line);
        let lease = &world.lease;
        let was_last = lease.owner == Some(name) && lease.holding == work.under.holding;
        world.seen.line_of_another |= !was_last;
        world.seen.line_after_the_end |= was_last && lease.has_ended;
        Appended::Held
    }

    fn send(&self, world: &mut World, executor: u8, saga: u8) -> Option<()> {
        let from = world.name(executor);
        let work = *world.work(executor, saga)?;
        let Stage::Sends { step, is_undo } = work.stage else {
            return None;
        };
        let key = match self.rule {
            Rule::KeysByAttempt => {
                let known = world.known(saga, &work).iter();
                let attempts = known.filter(|line| line.kind == Kind::Began && line.step == step);
                attempts.count() as u8
            }
            _ => 0,
        };
        let under = work.under;
        let request = Request {
            saga,
            step,
            is_undo,
            key,
            from,
            under,
        };
        world.on_the_wire.push(request);
        world.on_the_wire.sort_unstable();
        world.work(executor, saga)?.stage = Stage::Waits(request);
        Some(())
    }
}

fn take(world: &mut World, executor: u8, saga: u8) -> Option<()> {
    let name = world.name(executor);
    let held = world.executors[usize::from(executor)].held?;
    if !world.compares(name, held) {
        world.forget(executor);
        return Some(());
    }
    let row = &mut world.sagas[usize::from(saga)];
    if row.is_held || row.end().is_some() {
        return None;
    }
    row.is_held = true;
    let knows = row.log.len() as u8;
    world.executors[usize::from(executor)].works[usize::from(saga)] = Some(Work {
        under: held,
        knows,
        stage: Stage::Thinks,
    });
    Some(())
}

fn load(world: &mut World, executor: u8, saga: u8) -> Option<()> {
    let name = world.name(executor);
    let work = *world.work(executor, saga)?;
    if work.stage != Stage::Loads {
        return None;
    }
    if !world.compares(name, work.under) {
        world.forget(executor);
        return Some(());
    }
    let row = &world.sagas[usize::from(saga)];
    let knows = row.log.len() as u8;
    let has_ended = row.end().is_some();
    let work = &mut world.executors[usize::from(executor)].works[usize::from(saga)];
    *work = work.filter(|_| !has_ended).map(|work| Work {
        knows,
        stage: Stage::Thinks,
        ..work
    });
    Some(())
}

impl World {
    pub(crate) fn work(&mut self, executor: u8, saga: u8) -> Option<&mut Work> {
        self.executors[usize::from(executor)].works[usize::from(saga)].as_mut()
    }

    /// What an executor knows of the log.
    pub(crate) fn known(&self, saga: u8, work: &Work) -> &[Line] {
        let log = &self.sagas[usize::from(saga)].log;
        &log[..usize::from(work.knows).min(log.len())]
    }

    /// The executor knows that the bucket is another's: it stops. What it has
    /// sent is on its way.
    fn forget(&mut self, executor: u8) {
        let executor = &mut self.executors[usize::from(executor)];
        executor.held = None;
        executor.works.fill(None);
    }

    fn hears(&mut self, executor: u8, saga: u8, appended: Appended, then: Stage) {
        let has_ended = self.sagas[usize::from(saga)].end().is_some();
        let own = &mut self.executors[usize::from(executor)].works[usize::from(saga)];
        match (appended, own.as_mut()) {
            (Appended::Lost, _) => self.forget(executor),
            (Appended::Held, Some(work)) => {
                work.knows += 1;
                work.stage = then;
                if has_ended && then == Stage::Thinks {
                    *own = None;
                }
            }
            (Appended::Conflict, Some(work)) => work.stage = Stage::Loads,
            (_, None) => {}
        }
    }
}
