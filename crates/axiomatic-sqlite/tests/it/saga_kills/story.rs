//! What the sagas go through.

use std::collections::BTreeSet;
use std::time::Duration;

use axiomatic_coordination::saga::{
    Change, Kind, Loaded, Lock, LockRequest, Mail, Record, SagaId, Stage, Subject, Wake,
};
use uuid::Uuid;

/// What a saga goes through.
#[derive(Clone, Copy)]
pub(super) struct Story {
    number: u128,
    pub(super) begins: Begins,
    letter: Option<(Subject, &'static str)>,
    /// What it locks before it goes on.
    locks: &'static [&'static str],
    pub(super) writes: &'static [Write],
}

/// How it begins.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Begins {
    /// With a lease, and its first write.
    Held,
    Waiting,
    /// In a transaction of the business.
    WithBusiness,
}

/// What is written of it at once.
#[derive(Clone, Copy)]
pub(super) struct Write {
    pub(super) how: How,
    pub(super) lines: &'static [(Kind, &'static str)],
    stage: Stage,
    pub(super) wake: Wake,
}

#[derive(Clone, Copy, PartialEq)]
pub(super) enum How {
    /// As it is.
    Alone,
    /// After this was asked of another.
    Calls(&'static str),
    /// With work, which leaves this.
    Works(&'static str),
    /// When a letter is there.
    Reads,
}

const fn write(how: How, lines: &'static [(Kind, &'static str)]) -> Write {
    Write {
        how,
        lines,
        stage: Stage::Running,
        wake: Wake::Held,
    }
}

impl Write {
    const fn at(mut self, stage: Stage) -> Self {
        self.stage = stage;
        self
    }

    const fn sleep(mut self, time: Duration) -> Self {
        self.wake = Wake::In(time);
        self
    }
}

/// All steps, the second of them local.
const FORWARD: [Write; 4] = [
    write(How::Alone, &[(Kind::Began, "book")]),
    write(How::Calls("book"), &[(Kind::Done, "book")]),
    write(
        How::Works("pay"),
        &[(Kind::Done, "pay"), (Kind::Began, "ship")],
    ),
    write(How::Calls("ship"), &[(Kind::Done, "ship")]).at(Stage::Done),
];

/// Sleeps between its steps, and waits for a letter.
const PATIENT: [Write; 4] = [
    write(How::Works("pay"), &[(Kind::Done, "pay")]).sleep(Duration::ZERO),
    write(How::Alone, &[]).sleep(Duration::MAX),
    write(
        How::Reads,
        &[(Kind::Signalled, "go"), (Kind::Began, "ship")],
    ),
    write(How::Calls("ship"), &[(Kind::Done, "ship")]).at(Stage::Done),
];

/// Is cancelled, and undone.
const TURNED: [Write; 5] = [
    write(
        How::Works("pay"),
        &[(Kind::Done, "pay"), (Kind::Began, "book")],
    ),
    write(How::Calls("book"), &[(Kind::Done, "book")]).sleep(Duration::MAX),
    write(How::Reads, &[(Kind::Turned, ""), (Kind::UndoBegan, "book")]).at(Stage::Unwinding),
    write(How::Calls("unbook"), &[(Kind::Undone, "book")]).at(Stage::Unwinding),
    write(How::Works("repay"), &[(Kind::Undone, "pay")]).at(Stage::Compensated),
];

pub(super) const SAGAS: [(&str, Story); 4] = [
    (
        "held",
        Story {
            number: 1,
            begins: Begins::Held,
            letter: None,
            locks: &[],
            writes: &FORWARD,
        },
    ),
    (
        "patient",
        Story {
            number: 2,
            begins: Begins::Waiting,
            letter: Some((Subject::Signal, "go")),
            locks: &["stock", "truck"],
            writes: &PATIENT,
        },
    ),
    (
        "turned",
        Story {
            number: 3,
            begins: Begins::Waiting,
            letter: Some((Subject::Cancel, "")),
            locks: &["desk", "stock"],
            writes: &TURNED,
        },
    ),
    (
        "ordered",
        Story {
            number: 4,
            begins: Begins::WithBusiness,
            letter: None,
            locks: &[],
            writes: &FORWARD,
        },
    ),
];

impl Story {
    pub(super) fn saga(&self) -> SagaId {
        SagaId(Uuid::from_u128(self.number))
    }

    /// The whole log.
    pub(super) fn lines(&self) -> Vec<String> {
        let lines = self.writes.iter().flat_map(|write| write.lines);
        lines
            .map(|(kind, step)| format!("{} {step}", kind.as_str()))
            .collect()
    }

    pub(super) fn end(&self) -> Stage {
        self.writes.last().expect("there is one").stage
    }

    pub(super) fn effects(&self, name: &str) -> Vec<String> {
        let effects = self.writes.iter().filter_map(|write| match write.how {
            How::Works(what) => Some(format!("{name} {what}")),
            _ => None,
        });
        effects.collect()
    }

    pub(super) fn calls(&self) -> BTreeSet<String> {
        let calls = self.writes.iter().filter_map(|write| match write.how {
            How::Calls(what) => Some(what.to_owned()),
            _ => None,
        });
        calls.collect()
    }

    /// The letter, which is the same whoever posts it.
    pub(super) fn mail(&self) -> Option<Mail> {
        let (subject, name) = self.letter?;
        Some(Mail {
            id: Uuid::from_u128(1000 + self.number),
            subject,
            name: name.into(),
            data: "true".into(),
        })
    }

    /// The same as often as it is asked.
    pub(super) fn request(&self) -> Option<LockRequest> {
        let locks = self.locks.iter().map(|resource| Lock::exclusive(*resource));
        (!self.locks.is_empty()).then(|| LockRequest {
            saga: self.saga(),
            name: "lock".into(),
            locks: locks.collect(),
            waits: true,
        })
    }

    /// Whether it has the letter for which it waits.
    pub(super) fn has_letter(&self, loaded: &Loaded) -> bool {
        loaded
            .mail
            .iter()
            .any(|mail| Some(mail) == self.mail().as_ref())
    }

    pub(super) fn change(&self, write: &Write) -> Change {
        let mail = self.mail().map(|mail| mail.id);
        let records = write.lines.iter().enumerate();
        let records = records.map(|(nth, (kind, step))| Record {
            kind: *kind,
            step: (*step).into(),
            item: 0,
            attempt: 1,
            data: "17".into(),
            mail: mail.filter(|_| write.how == How::Reads && nth == 0),
        });
        Change {
            records: records.collect(),
            stage: write.stage,
            wake: write.wake,
            result: None,
            progress: true,
        }
    }

    /// What is written next, behind this log: whole writes alone.
    pub(super) fn next(&self, loaded: &Loaded) -> &'static [Write] {
        let log = loaded.records.iter();
        let log = log.map(|line| format!("{} {}", line.record.kind.as_str(), line.record.step));
        let log: Vec<_> = log.collect();
        assert_eq!(
            log,
            self.lines()[..log.len()],
            "a log without gap or double"
        );
        let mut lines = 0;
        let begun = self.writes.iter().position(|write| {
            // What has no lines is written as often as it comes to that.
            let is_next = lines == log.len();
            lines += write.lines.len();
            is_next
        });
        let begun = begun.expect("a log of whole writes");
        let mut rest = &self.writes[begun..];
        // Whoever has a letter has slept.
        if rest[0].lines.is_empty() && self.has_letter(loaded) {
            rest = &rest[1..];
        }
        rest
    }
}
