//! The slots of a resource: taken by one atomic step, given back by another,
//! handed to who waits.
//!
//! # How slots are handed over
//!
//! A slot that is given back while somebody waits is not free for an instant
//! that anybody could use: the bit that says so keeps newcomers out. Whoever
//! gave it back takes the queue's lock, takes slots for those who are next, and
//! wakes them after it has released the lock. A waiter sets the bit before it
//! looks for a slot a last time. Both are steps on one word, so one of the two
//! comes first: either the waiter finds the slot, or who gives it back finds
//! the waiter.
//!
//! # Partitions
//!
//! | | own word: taken, guarantee | common word: taken, limit |
//! |---|---|---|
//! | reserved | all that the partition has | what partitions have beyond their guarantees; the limit less all guarantees |
//! | borrowing | all that the partition has | all that anybody has; the limit |
//!
//! A slot has no name: what is given back is what was taken last, so a
//! partition whose calls within the guarantee end gives back what it had
//! beyond it.

mod handing;
mod partition;
mod rules;
mod wakers;
mod word_cell;

use std::time::Duration;

use axiomatic_core::sync::Mutex;
use axiomatic_core::time::{Clock, Instant};
use axiomatic_core::{Name, Ratio, Reason};

use crate::queue::{CoDel, Lines, Order, Queue, Ticket};
use partition::{Partition, Taker};
use word_cell::{Look, Pass, Word};

pub use rules::{Barging, Sharing};
pub(crate) use word_cell::MOST_SLOTS;

/// Slots, their partitions, and who waits for them.
pub(crate) struct Slots {
    common: Word,
    partitions: Box<[Partition]>,
    sharing: Sharing,
    pass: Pass,
    can_wait: bool,
    /// Whether anybody can be overdue, for who does not want to lock for that.
    has_codel: bool,
    /// Read only where somebody waits.
    clock: Clock,
    waiting: Mutex<Waiting>,
}

struct Waiting {
    queue: Queue<Taken>,
    /// The lines whose words say that somebody waits; that of the common word
    /// stands for all.
    flagged: Lines,
}

/// What slots are made by.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) limit: u32,
    pub(crate) shares: Vec<(Name, Ratio)>,
    pub(crate) sharing: Sharing,
    /// In each line.
    pub(crate) most_waiting: u32,
    pub(crate) order: Order,
    pub(crate) codel: Option<CoDel>,
    pub(crate) barging: Barging,
    pub(crate) clock: Clock,
}

/// Slots that were taken, to be [given back](Slots::give_back) once.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) struct Taken {
    pub(crate) weight: u32,
    pub(crate) line: u16,
}

/// What became of one who would wait.
pub(crate) enum Joined {
    Granted(Taken),
    Waiting(Ticket),
    Refused(Reason),
}

/// What a queue is like at a moment.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct QueueLook {
    pub(crate) waiting: u32,
    /// For how long somebody has waited, without a break.
    pub(crate) standing: Duration,
    pub(crate) oldest_age: Duration,
    pub(crate) is_overloaded: bool,
}

/// The line of those who are in no partition; that of partition n is n + 1.
pub(crate) const COMMON: u16 = 0;

impl Slots {
    pub(crate) fn new(plan: &Plan) -> Self {
        let partition = |(name, share): &(Name, Ratio)| Partition::new(*name, *share, plan.limit);
        let partitions: Box<[Partition]> = plan.shares.iter().map(partition).collect();
        let lines = 1 + partitions.len();
        debug_assert!(lines <= Lines::MOST && (1..=MOST_SLOTS).contains(&plan.limit));
        let slots = Slots {
            common: Word::new(plan.limit),
            partitions,
            sharing: plan.sharing,
            pass: match plan.barging {
                Barging::Allowed => Pass::Ahead,
                Barging::Forbidden => Pass::Behind,
            },
            can_wait: plan.most_waiting > 0,
            has_codel: plan.codel.is_some(),
            clock: plan.clock.clone(),
            waiting: Mutex::new(Waiting {
                queue: Queue::new(lines, plan.most_waiting, plan.order, plan.codel),
                flagged: Lines::default(),
            }),
        };
        slots.common.set_limit(slots.commons(plan.limit));
        slots
    }

    /// Takes slots that are free, and does not wait.
    #[inline(always)]
    pub(crate) fn try_take(&self, line: u16, weight: u32) -> Option<Taken> {
        let taken = if line == COMMON {
            self.common.try_take(weight, self.pass).is_ok()
        } else {
            self.try_take_in(line, weight, Taker::Newcomer)
        };
        taken.then_some(Taken { weight, line })
    }

    /// Whether a call that weighs one would be refused now, if it did not wait.
    #[inline(always)]
    pub(crate) fn is_full(&self, line: u16) -> bool {
        let keeps_out = |look: Look| look.is_waited_for() && self.pass == Pass::Behind;
        let has_none = |look: Look| !look.has(1) || keeps_out(look);
        match self.partition(line) {
            None => has_none(self.common.load()),
            Some(partition) => {
                let own = partition.word.load();
                keeps_out(own) || !own.has(1) && has_none(self.common.load())
            }
        }
    }

    /// Gives slots back, to whoever waits for them.
    #[inline(always)]
    pub(crate) fn give_back(&self, taken: Taken) {
        let is_waited_for = if taken.line == COMMON {
            self.common.give_back(taken.weight).is_waited_for()
        } else {
            self.give_back_in(taken)
        };
        if is_waited_for {
            self.serve();
        }
    }

    /// Changes the limit. What is taken beyond a lower one stays, and nobody is
    /// let in until enough was given back.
    pub(crate) fn resize(&self, limit: u32) {
        let limit = limit.clamp(1, MOST_SLOTS);
        let waiting = self.lock();
        let commons = self.commons(limit);
        // What is for all may become less while all guarantees grow, by what
        // was rounded off before. It does so before they grow, and grows after
        // they became less: so there is never more than the higher limit.
        self.common
            .set_limit(commons.min(self.common.load().limit()));
        for partition in &self.partitions {
            let guarantee = partition.guarantee(limit);
            // What was within the guarantee may be beyond it, and the other
            // way round. It is taken before it can be given back, and given
            // back after: nobody else reads the common word one too low.
            let spare = match self.sharing {
                Sharing::Reserved => partition.word.load().limit().saturating_sub(guarantee),
                Sharing::Borrowing => 0,
            };
            self.common.take_beyond(spare);
            let before = partition.word.set_limit(guarantee);
            if self.sharing == Sharing::Reserved {
                let was = before.beyond(before.taken());
                let is = before.taken().saturating_sub(guarantee);
                self.common.give_back(spare + was - is);
            }
        }
        self.common.set_limit(commons);
        drop(waiting);
        self.serve();
    }

    pub(crate) fn limit(&self) -> u32 {
        let guarantees = self.partitions.iter().map(|one| one.word.load().limit());
        match self.sharing {
            Sharing::Reserved => self.common.load().limit() + guarantees.sum::<u32>(),
            Sharing::Borrowing => self.common.load().limit(),
        }
    }

    pub(crate) fn taken(&self) -> u32 {
        let within = |one: &Partition| {
            let look = one.word.load();
            look.taken().min(look.limit())
        };
        match self.sharing {
            Sharing::Reserved => {
                self.common.load().taken() + self.partitions.iter().map(within).sum::<u32>()
            }
            Sharing::Borrowing => self.common.load().taken(),
        }
    }

    /// What the queue is like. Of nobody that waits that is known without its
    /// lock.
    pub(crate) fn queue(&self) -> QueueLook {
        self.look(|queue, now| QueueLook {
            waiting: queue.waiting(),
            standing: queue.has_stood(now),
            oldest_age: queue.oldest_age(now),
            is_overloaded: queue.is_overloaded(now),
        })
    }

    /// How long one of this level would wait that came now.
    pub(crate) fn estimated_wait(&self, level: u8) -> Duration {
        self.look(|queue, now| queue.estimated_wait(level, now))
    }

    /// Looks at the queue, if somebody waits.
    fn look<T: Default>(&self, look: impl FnOnce(&Queue<Taken>, Instant) -> T) -> T {
        if !self.common.load().is_waited_for() {
            return T::default();
        }
        let now = self.clock.now();
        look(&self.lock().queue, now)
    }

    /// The line of the partition of this name.
    pub(crate) fn find(&self, name: Name) -> Option<u16> {
        let at = self.partitions.iter().position(|one| one.name == name)?;
        Some(at as u16 + 1)
    }

    /// The name of each partition, what is guaranteed to it, and what it has.
    pub(crate) fn partitions(&self) -> impl Iterator<Item = (Name, u32, u32)> + '_ {
        self.partitions.iter().map(|one| {
            let look = one.word.load();
            (one.name, look.limit(), look.taken())
        })
    }

    /// The most that a line can have if nobody else has any.
    fn most(&self, line: u16) -> u32 {
        let common = self.common.load().limit();
        match (self.partition(line), self.sharing) {
            (Some(partition), Sharing::Reserved) => common + partition.word.load().limit(),
            _ => common,
        }
    }

    /// The limit of the common word.
    fn commons(&self, limit: u32) -> u32 {
        match self.sharing {
            Sharing::Borrowing => limit,
            Sharing::Reserved => {
                let shares = self.partitions.iter();
                limit - shares.map(|one| one.guarantee(limit)).sum::<u32>()
            }
        }
    }

    #[inline(always)]
    fn partition(&self, line: u16) -> Option<&Partition> {
        self.partitions.get(usize::from(line).wrapping_sub(1))
    }
}
