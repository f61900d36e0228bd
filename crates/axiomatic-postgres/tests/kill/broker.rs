//! The broker: a history, to which what is published is appended.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Mutex;

use axiomatic_coordination::MessageId;
use axiomatic_coordination::crash_points::reach;
use axiomatic_coordination::outbox::history::{Event, Log};
use axiomatic_coordination::outbox::{Class, Envelope, Publisher, Verdict};

/// Publishes into the history of a place. What a message says decides what
/// becomes of it:
///
/// | body | |
/// |---|---|
/// | `unknown` | the first time in a process, its confirmation is lost |
/// | `late` | the first time it is refused, and may come again |
/// | `never` | it is refused for ever |
/// | anything else | it is confirmed |
pub(crate) struct Broker {
    history: Log,
    seen: Mutex<HashSet<MessageId>>,
}

impl Broker {
    pub(crate) fn of(history: &Path) -> Self {
        Broker {
            history: Log::open(history).unwrap(),
            seen: Mutex::default(),
        }
    }

    fn take(&self, envelope: &Envelope) -> Verdict {
        let id = envelope.id();
        let is_new = self.seen.lock().unwrap().insert(id);
        match &envelope.body()[..] {
            b"never" => return Verdict::rejected(Class::Permanent, "never"),
            b"late" if is_new && envelope.stored().failures == 0 => {
                return Verdict::rejected(Class::Transient, "not now");
            }
            _ => {}
        }
        reach("broker.taking");
        let epoch = envelope.epoch();
        let published = Event::Published { id, epoch };
        self.history.record(&published).unwrap();
        reach("broker.taken");
        if &envelope.body()[..] == b"unknown" && is_new {
            self.history.record(&Event::Unknown { id }).unwrap();
            return Verdict::Unknown;
        }
        Verdict::Acked
    }
}

impl Publisher for Broker {
    async fn publish(&self, messages: &[Envelope]) -> Vec<Verdict> {
        let verdicts = messages.iter().map(|envelope| self.take(envelope));
        let verdicts = verdicts.collect();
        reach("broker.confirming");
        verdicts
    }
}
