//! What is guaranteed to some, and shared by the others.

use axiomatic_core::{Name, Ratio};

use super::word_cell::{Pass, Word};
use super::{Sharing, Slots, Taken};

pub(super) struct Partition {
    pub(super) name: Name,
    share: Ratio,
    pub(super) word: Word,
}

impl Partition {
    pub(super) fn new(name: Name, share: Ratio, limit: u32) -> Self {
        let mut partition = Partition {
            name,
            share,
            word: Word::new(0),
        };
        partition.word = Word::new(partition.guarantee(limit));
        partition
    }

    /// What is guaranteed to it of so many.
    pub(super) fn guarantee(&self, limit: u32) -> u32 {
        let millionths = u64::from(self.share.as_parts_per_million()) * u64::from(limit);
        (millionths / 1_000_000) as u32
    }
}

/// Who takes slots.
#[derive(Copy, Clone, PartialEq, Eq)]
pub(super) enum Taker {
    Newcomer,
    /// The queue, for who is next.
    Queue,
    /// The queue, for one who must leave alone what partitions share: somebody
    /// who is served before needs it.
    QueueOwnOnly,
}

impl Slots {
    /// The same for a partition, whose guarantee is looked at first.
    pub(super) fn try_take_in(&self, line: u16, weight: u32, taker: Taker) -> bool {
        let pass = if taker == Taker::Newcomer {
            self.pass
        } else {
            Pass::Ahead
        };
        let may_share = taker != Taker::QueueOwnOnly;
        let Some(partition) = self.partition(line) else {
            return may_share && self.common.try_take(weight, pass).is_ok();
        };
        let own = &partition.word;
        loop {
            let look = own.load();
            let is_guaranteed = look.has(weight);
            let is_kept_out = look.is_waited_for() && pass == Pass::Behind;
            if is_kept_out || !is_guaranteed && !may_share {
                return false;
            }
            let taken = look.taken();
            match self.sharing {
                Sharing::Borrowing if is_guaranteed => {
                    if own.take_from(look, weight) {
                        self.common.take_beyond(weight);
                        return true;
                    }
                }
                Sharing::Borrowing => {
                    let lent = self.common.try_take(weight, pass).is_ok();
                    if lent {
                        own.take_beyond(weight);
                    }
                    return lent;
                }
                Sharing::Reserved => {
                    let more = look.beyond(taken.saturating_add(weight)) - look.beyond(taken);
                    if more > 0 && self.common.try_take(more, pass).is_err() {
                        return false;
                    }
                    if own.take_from(look, weight) {
                        return true;
                    }
                    // The partition changed meanwhile, and with it what it
                    // needs. A waiter may have missed what we had for a
                    // moment, unless we are whoever serves the waiters.
                    let missed = more > 0 && self.common.give_back(more).is_waited_for();
                    if missed && taker == Taker::Newcomer {
                        self.serve();
                    }
                }
            }
        }
    }

    pub(super) fn give_back_in(&self, taken: Taken) -> bool {
        let Some(partition) = self.partition(taken.line) else {
            return self.common.give_back(taken.weight).is_waited_for();
        };
        let own = partition.word.give_back(taken.weight);
        let had = own.taken();
        let common = match self.sharing {
            Sharing::Borrowing => taken.weight,
            Sharing::Reserved => own.beyond(had) - own.beyond(had - taken.weight),
        };
        let is_waited_for = common > 0 && self.common.give_back(common).is_waited_for();
        is_waited_for || own.is_waited_for()
    }
}
