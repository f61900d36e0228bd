//! The books of what is published: what a key's messages must be is known from
//! the last of them, so that a million take no more memory than a thousand.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use axiomatic_coordination::MessageId;
use axiomatic_coordination::outbox::{Class, Envelope, Publisher, Sequence, Verdict};
use axiomatic_testbed::chance::Chance;

/// How many of a key's last messages are known again. A second copy comes
/// while its message is in flight, or soon after; and no more than 16 of a key
/// are in a relay's hands.
const KNOWN: usize = 64;

/// How many things that are wrong are told of.
const TOLD: usize = 20;

/// What was published, and what was wrong with it.
#[derive(Debug, Default)]
pub(crate) struct Ledger(Mutex<Books>);

#[derive(Debug, Default)]
struct Books {
    keys: HashMap<Box<str>, Key>,
    published: u64,
    duplicates: u64,
    late: u64,
    wrong: Vec<String>,
}

#[derive(Debug, Default)]
struct Key {
    last: u64,
    digest: i64,
    sequence: Option<u64>,
    epoch: u64,
    known: VecDeque<(u64, MessageId)>,
}

/// A message as it was published: its number is that of the business.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Copy<'a> {
    pub(crate) id: MessageId,
    pub(crate) key: &'a str,
    pub(crate) number: u64,
    pub(crate) sequence: Option<Sequence>,
    pub(crate) epoch: u64,
}

impl Ledger {
    /// This was published next.
    pub(crate) fn take(&self, copy: &Copy<'_>) {
        let mut books = self.books();
        let books = &mut *books;
        let key = books.keys.entry(copy.key.into()).or_default();
        if copy.epoch < key.epoch {
            books.late += 1;
        }
        key.epoch = key.epoch.max(copy.epoch);
        let wrong = if copy.number <= key.last {
            books.duplicates += 1;
            let is_known = key.known.contains(&(copy.number, copy.id));
            (!is_known).then_some("a phantom")
        } else {
            books.published += 1;
            let follows = copy.number == key.last + 1;
            let is_first = |sequence: Sequence| sequence.first;
            let is_next = match (key.sequence, copy.sequence) {
                (_, None) => true,
                (None, Some(sequence)) => is_first(sequence),
                (Some(last), Some(sequence)) => sequence.number == last + 1 && !is_first(sequence),
            };
            key.last = copy.number;
            key.digest ^= digest(copy.id);
            key.sequence = copy.sequence.map(|sequence| sequence.number);
            key.known.push_back((copy.number, copy.id));
            if key.known.len() > KNOWN {
                key.known.pop_front();
            }
            match (follows, is_next) {
                (false, _) => Some("out of order, or behind one that is lost"),
                (_, false) => Some("not the next number"),
                _ => None,
            }
        };
        if let Some(wrong) = wrong {
            books.wrong.push(format!("{wrong}: {copy:?}"));
            books.wrong.truncate(TOLD);
        }
    }

    /// What is wrong, if that is what the business has: keys with how many
    /// messages, and what all of them are together.
    pub(crate) fn compare(
        &self,
        accounts: impl IntoIterator<Item = (String, u64, i64)>,
    ) -> Vec<String> {
        let books = self.books();
        let mut wrong = books.wrong.clone();
        let mut keys = 0;
        for (name, last, digest) in accounts {
            keys += 1;
            let book = books.keys.get(&*name);
            let (published, is_same) =
                book.map_or((0, false), |key| (key.last, key.digest == digest));
            if published != last || !is_same {
                wrong.push(format!(
                    "{name}: {last} were committed, {published} published"
                ));
            }
        }
        if books.keys.len() != keys {
            wrong.push(format!("{} keys, of which {keys} exist", books.keys.len()));
        }
        wrong
    }

    /// Whether anything was wrong so far.
    pub(crate) fn is_wrong(&self) -> bool {
        !self.books().wrong.is_empty()
    }

    /// How many messages were published, second copies not counted.
    pub(crate) fn published(&self) -> u64 {
        self.books().published
    }

    /// How many were published again.
    pub(crate) fn duplicates(&self) -> u64 {
        self.books().duplicates
    }

    /// How many came under an epoch that was over.
    pub(crate) fn late(&self) -> u64 {
        self.books().late
    }

    fn books(&self) -> MutexGuard<'_, Books> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take_envelope(&self, envelope: &Envelope) {
        let body = std::str::from_utf8(envelope.body()).expect("a number");
        self.take(&Copy {
            id: envelope.id(),
            key: envelope.key().expect("all have keys"),
            number: body.parse().expect("a number"),
            sequence: envelope.stored().sequence,
            epoch: envelope.epoch().0,
        });
    }
}

/// What a message adds to what all of a key are together.
pub(crate) fn digest(id: MessageId) -> i64 {
    let id = id.into_bytes();
    let (one, other) = id.split_at(8);
    let half = |bytes: &[u8]| i64::from_be_bytes(bytes.try_into().expect("eight of them"));
    half(one) ^ half(other)
}

/// A broker in the process: whatever is published is in the books. Now and then
/// it refuses a message, or its confirmation is lost.
pub(crate) struct Broker {
    ledger: std::sync::Arc<Ledger>,
    chance: Mutex<Chance>,
}

impl Broker {
    pub(crate) fn new(ledger: &std::sync::Arc<Ledger>, seed: u64) -> Broker {
        Broker {
            ledger: std::sync::Arc::clone(ledger),
            chance: Mutex::new(Chance::of(seed)),
        }
    }
}

impl Publisher for Broker {
    async fn publish(&self, messages: &[Envelope]) -> Vec<Verdict> {
        let mut verdicts = Vec::with_capacity(messages.len());
        for envelope in messages {
            let chance = self.chance.lock().expect("nobody panics").below(1_000);
            if chance == 0 {
                verdicts.push(Verdict::rejected(Class::Transient, "not now"));
                continue;
            }
            self.ledger.take_envelope(envelope);
            if chance % 100 == 7 {
                // Another has its turn while it is in flight.
                tokio::task::yield_now().await;
            }
            verdicts.push(match chance {
                1 => Verdict::Unknown,
                _ => Verdict::Acked,
            });
        }
        verdicts
    }
}
