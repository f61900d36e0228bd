//! Doing what is to be done in the saga's own database.

use std::panic::AssertUnwindSafe;

use bytes::Bytes;
use futures::FutureExt;

use super::doing::{Landed, Launch};
use super::driver::{Driver, Left};
use super::moving::too_large;
use crate::Why;
use crate::crash_points::reach;
use crate::saga::change::{Change, Wake};
use crate::saga::definition::{Run, UndoRun};
use crate::saga::fault::Fault;
use crate::saga::machine::{Direction, StepNo, Work};
use crate::saga::record::{Kind, Record, Stage};
use crate::saga::store::{Store, Then, Worked};

impl<S: Store> Driver<'_, S> {
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
