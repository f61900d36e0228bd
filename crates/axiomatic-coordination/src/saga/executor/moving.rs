//! From moves to lines of the log, and from outcomes.

use std::sync::Arc;

use bytes::Bytes;

use super::doing::{Landed, Launch};
use super::driver::Driver;
use crate::crash_points::reach;
use crate::saga::definition::{Doing, Run, UndoRun};
use crate::saga::fault::Fault;
use crate::saga::machine::{Class, Direction, Illegal, Move, NO_SIGNAL, Standing, StepNo};
use crate::saga::record::{Kind, Record};
use crate::saga::store::Store;

impl<S: Store> Driver<'_, S> {
    /// Makes a move, as far as that needs no waiting.
    pub(super) fn make(&mut self, next: Move) -> Result<(), Illegal> {
        match next {
            Move::Begin {
                step,
                item,
                attempt,
            } => self.begin_it(
                Launch {
                    step,
                    item,
                    attempt,
                    undoes: false,
                },
                Kind::Began,
            ),
            Move::Undo {
                step,
                item,
                attempt,
            } => self.begin_it(
                Launch {
                    step,
                    item,
                    attempt,
                    undoes: true,
                },
                Kind::UndoBegan,
            ),
            Move::Pass { step } => {
                let name = &self.plan.graph.spec(step).name;
                let payload = self.progress.signal(name).cloned();
                let output = payload.unwrap_or(Bytes::from_static(b"null"));
                self.went_forward = true;
                self.say(Kind::Done, step, 0, 0, output)
            }
            Move::Expire { step } => {
                self.went_forward = true;
                self.say(Kind::Failed, step, 0, 0, text(NO_SIGNAL))
            }
            Move::TurnLate => self.turn("".into(), "its deadline has passed"),
            Move::Turn { step, item } => {
                let spec = self.plan.graph.spec(step);
                let slot = &self.progress.slots(step)[item as usize];
                self.turn(spec.name.clone(), &slot.why_no_more(spec.work))
            }
            Move::Stick { step, item } => {
                let work = self.plan.graph.spec(step).work;
                let slot = &self.progress.slots(step)[item as usize];
                let why = text(&slot.why_no_more(work));
                self.say(Kind::Stuck, step, item, 0, why)
            }
        }
    }

    fn begin_it(&mut self, launch: Launch, kind: Kind) -> Result<(), Illegal> {
        let Launch {
            step,
            item,
            attempt,
            undoes,
        } = launch;
        let action = &self.plan.actions[step.index()];
        let is_local = match undoes {
            false => matches!(action.run, Run::Local(_)),
            true => matches!(action.undo, Some(UndoRun::Local(_))),
        };
        let waits = !undoes && matches!(action.run, Run::Wait);
        if !is_local {
            self.say(kind, step, item, attempt, Bytes::new())?;
        }
        if !waits {
            self.progress.fly(step, item);
            let lanes = match is_local {
                true => &mut self.locals,
                false => &mut self.launches,
            };
            lanes.push(launch);
        }
        Ok(())
    }

    /// It turns: for this step, if one is named.
    fn turn(&mut self, step: Arc<str>, why: &str) -> Result<(), Illegal> {
        self.went_forward = true;
        self.note(Record {
            kind: Kind::Turned,
            step,
            item: 0,
            attempt: 0,
            data: text(why),
            mail: None,
        })
    }

    /// A line about a step.
    fn say(
        &mut self,
        kind: Kind,
        step: StepNo,
        item: u32,
        attempt: u32,
        data: Bytes,
    ) -> Result<(), Illegal> {
        let step = self.plan.graph.spec(step).name.clone();
        self.note(Record {
            kind,
            step,
            item,
            attempt,
            data,
            mail: None,
        })
    }

    /// A line of the log, to be written.
    pub(super) fn note(&mut self, record: Record) -> Result<(), Illegal> {
        let now = self.now();
        self.progress.apply(&self.plan.graph, &record, now)?;
        self.unwritten.push(record);
        Ok(())
    }

    /// Something that was launched has ended.
    pub(super) fn land(&mut self, landed: Landed) -> Result<(), Illegal> {
        let Landed { launch, outcome } = landed;
        self.went_forward = true;
        if outcome.is_err() {
            // It is tried again a while from now.
            self.tick();
        }
        reach(match launch.undoes {
            false => "saga.landed",
            true => "saga.undo_landed",
        });
        let class = self.plan.graph.spec(launch.step).class;
        let limit = self.plan.output_limit;
        let outcome = outcome.and_then(|output| match output.len() > limit {
            true => Err(too_large(output.len(), limit)),
            false => Ok(output),
        });
        let (kind, data) = match (launch.undoes, outcome) {
            (false, Ok(output)) => (Kind::Done, output),
            (false, Err(Fault::Failed(why))) if class != Class::Retriable => {
                (Kind::Failed, text(&why.to_string()))
            }
            (false, Err(Fault::Failed(why) | Fault::Unknown(why))) => {
                (Kind::Doubted, text(&why.to_string()))
            }
            (true, Ok(_)) => (Kind::Undone, Bytes::new()),
            (true, Err(Fault::Failed(why) | Fault::Unknown(why))) => {
                (Kind::UndoDoubted, text(&why.to_string()))
            }
        };
        self.say(kind, launch.step, launch.item, launch.attempt, data)
    }

    /// The lists that are known by now: how many items the steps have that are
    /// for each of one.
    pub(super) fn expand(&mut self) -> Result<(), Illegal> {
        if self.progress.direction() != Direction::Forward {
            return Ok(());
        }
        for step in self.plan.graph.numbers() {
            let Some(count) = &self.plan.actions[step.index()].count else {
                continue;
            };
            let spec = self.plan.graph.spec(step);
            let slots = self.progress.slots(step);
            let is_ready = spec
                .after
                .iter()
                .all(|before| self.progress.is_done(*before));
            let is_stuck = slots.iter().any(|slot| slot.standing == Standing::Stuck);
            if !is_ready || self.progress.is_expanded(step) || is_stuck {
                continue;
            }
            match count(&self.outputs()) {
                Ok(items) => self.progress.expand(step, items),
                Err(error) if spec.class == Class::Retriable => {
                    self.say(Kind::Began, step, 0, 1, Bytes::new())?;
                    self.say(Kind::Stuck, step, 0, 1, text(&error.to_string()))?;
                }
                Err(error) => {
                    self.say(Kind::Failed, step, 0, 0, text(&error.to_string()))?;
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// What a launch does.
    pub(super) fn doing(&self, launch: Launch) -> Doing<Bytes> {
        let action = &self.plan.actions[launch.step.index()];
        let outputs = self.outputs();
        let context = self.context(launch);
        let doing = match (&action.run, &action.undo) {
            (_, Some(UndoRun::Foreign(undo))) if launch.undoes => {
                let undoing = undo(context, &outputs, self.was(launch));
                undoing.map(|undoing| -> Doing<Bytes> {
                    Box::pin(async move { undoing.await.map(|()| Bytes::new()) })
                })
            }
            (Run::Foreign(run), _) if !launch.undoes => match &action.probe {
                Some(probe) if launch.attempt > 1 => {
                    let asking = probe(context.clone(), &outputs);
                    let running = run(context, &outputs);
                    asking.and_then(|asking| Ok((asking, running?))).map(
                        |(asking, running)| -> Doing<Bytes> {
                            Box::pin(async move {
                                match asking.await? {
                                    Some(output) => Ok(output),
                                    None => running.await,
                                }
                            })
                        },
                    )
                }
                _ => run(context, &outputs),
            },
            (Run::Lock(ask), _) if !launch.undoes => {
                (ask.locks)(&outputs).map(|locks| self.asking(ask.name.clone(), locks, ask.waits))
            }
            _ => unreachable!("only what is elsewhere is launched"),
        };
        doing.unwrap_or_else(|error| {
            let why = format!("what it depends on cannot be read: {error}");
            Box::pin(std::future::ready(Err(Fault::unknown(why))))
        })
    }
}

/// Text as it stands in the log: JSON.
pub(super) fn text(text: &str) -> Bytes {
    serde_json::Value::from(text).to_string().into()
}

/// That an action is not known to have happened, for what it returned.
pub(super) fn too_large(bytes: usize, limit: usize) -> Fault {
    Fault::unknown(format!("the output has {bytes} bytes of at most {limit}"))
}
