//! From moves to lines of the log, and from outcomes.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use bytes::Bytes;
use futures::FutureExt;

use super::doing::{Landed, Launch};
use super::driver::{Driver, Left};
use crate::Why;
use crate::crash_points::reach;
use crate::saga::change::{Change, Wake};
use crate::saga::definition::{Doing, Run, UndoRun};
use crate::saga::fault::Fault;
use crate::saga::machine::{Class, Direction, Illegal, Move, NO_SIGNAL, Standing, StepNo, Work};
use crate::saga::record::{Kind, Record, Stage};
use crate::saga::store::{Store, Then, Worked};

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

    /// Does what is to be done in the saga's own database, one after the
    /// other. Returns whether there was something.
    pub(super) async fn work_locally(&mut self) -> Result<bool, Left> {
        let mut has_worked = false;
        while let Some(launch) = self.locals.pop() {
            has_worked = true;
            // What has landed meanwhile is written first: the work's line is
            // behind it.
            if !self.unwritten.is_empty() {
                let stage = self.progress.stage();
                let why = self.progress.why();
                self.write(stage, Wake::Held, why).await?;
            }
            self.work(launch).await?;
        }
        Ok(has_worked)
    }

    async fn work(&mut self, launch: Launch) -> Result<(), Left> {
        let work = match self.local_work(launch) {
            Ok(work) => work,
            Err(error) => {
                let why = format!("what it depends on cannot be read: {error}");
                let outcome = Err(Fault::unknown(why));
                return self.land(Landed { launch, outcome }).map_err(Left::Illegal);
            }
        };
        let store = &self.shared.store;
        let (lease, after) = (&self.held.lease, self.written);
        reach(match launch.undoes {
            false => "saga.working",
            true => "saga.undo_working",
        });
        let working = store.append_with(lease, self.saga, after, work);
        let working = AssertUnwindSafe(working).catch_unwind();
        let worked = self.flights.beside(&self.held, working).await;
        let worked = worked.ok_or(Left::Lost)?.unwrap_or_else(|_| {
            let fault = Fault::unknown("the action panicked");
            Ok(Worked::Faulted(fault))
        });
        match worked {
            Ok(Worked::Done(change)) => {
                reach(match launch.undoes {
                    false => "saga.worked",
                    true => "saga.undo_worked",
                });
                let now = self.now();
                for record in &change.records {
                    let applied = self.progress.apply(&self.plan.graph, record, now);
                    applied.map_err(Left::Illegal)?;
                }
                self.written += change.records.len() as u64;
                self.stage = change.stage;
                Ok(())
            }
            Ok(Worked::Faulted(fault)) => {
                let outcome = Err(fault);
                self.land(Landed { launch, outcome }).map_err(Left::Illegal)
            }
            Ok(Worked::Lost | Worked::Conflict) => Err(Left::Lost),
            Err(error) if error.why().is_transient() => self.reload().await,
            // What it did is refused, and with it its line.
            Err(error) if error.why() == Why::Refused => {
                self.shared.counts.store_error(&error);
                let outcome = Err(Fault::unknown(error));
                self.land(Landed { launch, outcome }).map_err(Left::Illegal)
            }
            Err(error) => Err(Left::Store(error)),
        }
    }

    fn local_work(&self, launch: Launch) -> Result<S::Work, axiomatic_core::BoxError> {
        let action = &self.plan.actions[launch.step.index()];
        let (outputs, context) = (self.outputs(), self.context(launch));
        let then = self.then(launch);
        match (&action.run, &action.undo) {
            (_, Some(UndoRun::Local(undo))) if launch.undoes => {
                undo(context, &outputs, self.was(launch), then)
            }
            (Run::Local(run), _) if !launch.undoes => run(context, &outputs, then),
            _ => unreachable!("only what is local is done locally"),
        }
    }

    /// What is written with local work, when it is done. If nothing else is
    /// left to do, the saga ends with it.
    fn then(&self, launch: Launch) -> Then {
        let name = self.plan.graph.spec(launch.step).name.clone();
        let limit = self.plan.output_limit;
        let ends = !launch.undoes && self.ends_with(launch.step);
        let other_result = match ends && self.plan.output_is(launch.step) {
            true => None,
            false => Some(self.plan.result(&self.outputs())),
        };
        let stage = match ends {
            true => Stage::Done,
            false => self.progress.stage(),
        };
        let why = self.progress.why();
        Box::new(move |output: Bytes| {
            if output.len() > limit {
                return Err(too_large(output.len(), limit));
            }
            let result = match (ends, other_result) {
                (false, _) => why,
                (true, Some(other)) => Some(other),
                (true, None) => Some(output.clone()),
            };
            let (kind, data) = match launch.undoes {
                false => (Kind::Done, output),
                true => (Kind::Undone, Bytes::new()),
            };
            let record = Record {
                kind,
                step: name,
                item: launch.item,
                attempt: launch.attempt,
                data,
                mail: None,
            };
            Ok(Change {
                records: vec![record],
                stage,
                wake: Wake::Held,
                result,
                progress: true,
            })
        })
    }

    /// Whether all but this step is done, which is one action.
    fn ends_with(&self, step: StepNo) -> bool {
        let is_one = !matches!(self.plan.graph.spec(step).work, Work::Each(_));
        let mut others = self.plan.graph.numbers().filter(|other| *other != step);
        let is_forward = self.progress.direction() == Direction::Forward;
        is_one
            && is_forward
            && self.locals.is_empty()
            && others.all(|other| self.progress.is_done(other))
    }
}

/// Text as it stands in the log: JSON.
pub(super) fn text(text: &str) -> Bytes {
    serde_json::Value::from(text).to_string().into()
}

/// That an action is not known to have happened, for what it returned.
fn too_large(bytes: usize, limit: usize) -> Fault {
    Fault::unknown(format!("the output has {bytes} bytes of at most {limit}"))
}
