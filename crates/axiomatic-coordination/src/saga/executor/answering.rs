//! What is done about letters.

use bytes::Bytes;
use serde_json::Value;

use super::driver::Driver;
use crate::crash_points::reach;
use crate::saga::machine::{Class, Direction, Illegal, Standing, StepNo};
use crate::saga::mail::{Mail, Subject};
use crate::saga::record::{Kind, Record, Stage};
use crate::saga::store::Store;

impl<S: Store> Driver<'_, S> {
    /// For mail that an executor has given with the log.
    pub(super) fn take_mail(&mut self, mail: &[Mail]) -> Result<(), Illegal> {
        for letter in mail {
            if !self.seen.contains(&letter.id) {
                self.seen.push(letter.id);
                self.read += 1;
                self.answer(letter)?;
                reach("saga.mail_answered");
            }
        }
        Ok(())
    }

    /// Does what a letter asks for, or says why not; either is a line of the
    /// log, which knows the letter again.
    pub(super) fn answer(&mut self, mail: &Mail) -> Result<(), Illegal> {
        let done = match mail.subject {
            Subject::Signal => self.line(mail, Kind::Signalled, &mail.name, 0),
            Subject::Cancel => self.cancel(mail),
            Subject::RetryUndo => self.all(mail, Kind::UndoRetried, |standing| {
                standing == Standing::UndoStuck
            }),
            Subject::SkipUndo => self.all(mail, Kind::UndoSkipped, |standing| {
                matches!(standing, Standing::UndoStuck | Standing::UndoInDoubt)
            }),
            Subject::Resume => self.resume_it(mail),
            Subject::Abandon => self.line(mail, Kind::Abandoned, "", 0),
        };
        match done {
            Ok(()) => Ok(()),
            Err(Why::Refused(why)) => self.refuse(mail, why),
            // Nothing was changed.
            Err(Why::Illegal) => self.refuse(mail, "it does not follow from how the saga stands"),
        }
    }

    fn cancel(&mut self, mail: &Mail) -> Result<(), Why> {
        let graph = &self.plan.graph;
        if self.progress.direction() != Direction::Forward {
            return Err(Why::Refused("it is being unwound"));
        }
        // On the operator's word that it did not happen.
        let is_stuck = |step: &StepNo| {
            let is_pivot = graph.spec(*step).class == Class::Pivot;
            is_pivot && self.progress.slots(*step)[0].standing == Standing::Stuck
        };
        if let Some(pivot) = graph.numbers().find(is_stuck) {
            let name = graph.spec(pivot).name.clone();
            return self.line(mail, Kind::Failed, &name, 0);
        }
        if self.progress.is_committed(graph) {
            return Err(Why::Refused("its pivot is done"));
        }
        if self.progress.is_committing(graph) {
            return Err(Why::Refused("its pivot has begun"));
        }
        self.line(mail, Kind::Turned, "", 0)
    }

    fn resume_it(&mut self, mail: &Mail) -> Result<(), Why> {
        // One that was put aside is run again by now, as it is.
        match (self.progress.is_stuck(), self.progress.direction()) {
            (false, _) if self.stage != Stage::Parked => Err(Why::Refused("it is not stuck")),
            (true, Direction::Forward) => {
                self.all(mail, Kind::Resumed, |standing| standing == Standing::Stuck)
            }
            (true, _) => {
                let resumed = self.line(mail, Kind::Resumed, "", 0);
                resumed.map_err(|_| Why::Refused("something is being undone"))
            }
            (false, _) => self.line(mail, Kind::Resumed, "", 0),
        }
    }

    /// A line about each item of the step that the letter names, or of all
    /// steps, that stands so.
    fn all(
        &mut self,
        mail: &Mail,
        kind: Kind,
        stands: impl Fn(Standing) -> bool,
    ) -> Result<(), Why> {
        let graph = &self.plan.graph;
        let mut found = Vec::new();
        for step in graph.numbers() {
            let name = &graph.spec(step).name;
            if !mail.name.is_empty() && *mail.name != **name {
                continue;
            }
            for (item, slot) in (0u32..).zip(self.progress.slots(step)) {
                if stands(slot.standing) && !slot.in_flight {
                    found.push((name.clone(), item));
                }
            }
        }
        if found.is_empty() {
            return Err(Why::Refused("nothing that it names stands so"));
        }
        for (name, item) in found {
            self.line(mail, kind, &name, item)?;
        }
        Ok(())
    }

    fn line(&mut self, mail: &Mail, kind: Kind, step: &str, item: u32) -> Result<(), Why> {
        let record = Record {
            kind,
            step: step.into(),
            item,
            attempt: 0,
            data: mail.data.clone(),
            mail: Some(mail.id),
        };
        self.note(record).map_err(|_| Why::Illegal)
    }

    fn refuse(&mut self, mail: &Mail, why: &str) -> Result<(), Illegal> {
        let asked: Value = serde_json::from_slice(&mail.data).unwrap_or(Value::Null);
        let data = serde_json::json!({
            "subject": mail.subject.as_str(),
            "name": mail.name,
            "asked": asked,
            "why": why,
        });
        self.note(Record {
            kind: Kind::Refused,
            step: "".into(),
            item: 0,
            attempt: 0,
            data: Bytes::from(data.to_string()),
            mail: Some(mail.id),
        })
    }
}

/// Why a letter is not done as it says.
enum Why {
    Refused(&'static str),
    Illegal,
}
