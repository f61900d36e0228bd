//! The order of a key's messages: what to do with one, given what came before.

mod spans;
#[cfg(test)]
mod tests;

use std::fmt;
use std::num::{NonZeroU32, NonZeroU64};
use std::time::Duration;

pub use spans::{Spans, SpansError};

use crate::Timestamp;
use crate::outbox::{Epoch, Sequence};

/// What becomes of a message that comes before one with a smaller number.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Policy {
    /// It is handled at once. What is missing is handled when it comes.
    Accept {
        /// So many gaps of a key are remembered. If there is one more, the
        /// lowest is given up.
        gaps_at_most: NonZeroU32,
    },
    /// It is stored in the inbox's database, and handled behind what is
    /// missing.
    Buffer {
        /// So many messages of a key are stored. One more is rejected.
        at_most: NonZeroU32,
        /// After so long, what is missing is given up.
        patience: Duration,
    },
    /// It is rejected, and the broker keeps it.
    Reject {
        /// After so long, what is missing is given up.
        patience: Duration,
    },
}

impl Policy {
    fn patience(self) -> Option<Duration> {
        match self {
            Policy::Accept { .. } => None,
            Policy::Buffer { patience, .. } | Policy::Reject { patience } => Some(patience),
        }
    }
}

/// What is remembered of a key: the highest number up to which nothing is
/// missing, and what came ahead of it.
///
/// It grows with gaps, not with messages: of a million messages of which one
/// is missing it keeps two numbers and one [span](Spans).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Watermark {
    /// Everything up to this number was handled or given up. Zero: nothing
    /// has come yet, and numbers begin at one.
    pub through: u64,
    /// The greatest epoch under which any of it was published.
    pub epoch: Epoch,
    /// What came ahead: handled if the policy was to accept it, stored if it
    /// was to buffer it.
    pub ahead: Spans,
    /// The lowest number that was rejected because it came ahead.
    pub rejected: Option<NonZeroU64>,
    /// Since when the message after [`through`](Self::through) is missing.
    pub missing_since: Option<Timestamp>,
}

/// What to do with a message, and what is remembered afterwards.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judgement {
    /// What to do with it.
    pub verdict: Verdict,
    /// What is remembered afterwards. Stored messages that it does not miss
    /// any more, those up to its [`through`](Watermark::through), are handled
    /// now, in the order of their numbers, and this one in its place.
    pub after: Watermark,
    /// What is not waited for any longer: if it comes, it is a duplicate.
    pub given_up: Vec<Gap>,
    /// It came behind a message with a greater number.
    pub is_late: bool,
    /// It was published under a smaller epoch than one before it: by a relay
    /// that had lost its lease.
    pub is_from_a_zombie: bool,
}

/// What to do with a message.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is handled.
    Handle,
    /// It was handled, or is stored, or was given up.
    Duplicate,
    /// It is stored until what is missing has come.
    Hold,
    /// It is not taken. The broker may bring it again.
    Reject {
        /// Why.
        because: Because,
        /// When it will be taken at the latest, if nothing comes before.
        retry_after: Duration,
    },
}

/// Why a message is not taken.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Because {
    /// One before it is missing.
    Ahead,
    /// One before it is missing, and no more are stored.
    Full,
}

/// Numbers that are not waited for any longer.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Gap {
    /// The number before them; zero if no message of the key had come.
    pub after: u64,
    /// The number behind them.
    pub before: u64,
}

impl Gap {
    /// How many they are. Nothing if no message of the key had come: then
    /// nobody knows where the numbers began.
    pub const fn missing(self) -> Option<u64> {
        match self.after {
            0 => None,
            after => Some(self.before - after - 1),
        }
    }

    /// Whether this number is among them.
    pub const fn contains(self, number: u64) -> bool {
        self.after < number && number < self.before
    }
}

impl fmt::Display for Gap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Gap { after, before } = self;
        match self.missing() {
            None => write!(f, "whatever was before {before}"),
            Some(1) => write!(f, "{}", after + 1),
            Some(_) => write!(f, "{} to {}", after + 1, before - 1),
        }
    }
}

impl Watermark {
    /// Judges a message that has come. A pure function: what it says is to be
    /// done in the transaction that writes down what is to be remembered.
    ///
    /// | The number is | accept | buffer | reject |
    /// |---|---|---|---|
    /// | at or below the watermark, or came ahead already | duplicate | duplicate | duplicate |
    /// | the next one, or the first of a run | handle | handle, and what is stored behind it | handle |
    /// | further ahead | handle, remember | hold; full: reject | reject |
    /// | further ahead, and patience is at its end | – | give up what is missing, judge again | give up, judge again |
    ///
    /// ```
    /// use axiomatic_coordination::inbox::{Policy, Verdict, Watermark};
    /// use axiomatic_coordination::outbox::Sequence;
    /// use axiomatic_coordination::Timestamp;
    /// use std::time::Duration;
    ///
    /// let policy = Policy::Reject { patience: Duration::from_secs(60) };
    /// let now = Timestamp::from_micros(0);
    /// let number = |number| Sequence { number, first: number == 7 };
    ///
    /// let seven = Watermark::default().judge(number(7), None, policy, now);
    /// assert_eq!(seven.verdict, Verdict::Handle);
    /// let nine = seven.after.judge(number(9), None, policy, now);
    /// assert!(matches!(nine.verdict, Verdict::Reject { .. }), "8 is missing");
    /// assert_eq!(nine.after.judge(number(7), None, policy, now).verdict, Verdict::Duplicate);
    /// ```
    #[must_use]
    pub fn judge(
        &self,
        sequence: Sequence,
        epoch: Option<Epoch>,
        policy: Policy,
        now: Timestamp,
    ) -> Judgement {
        let number = sequence.number;
        let mut after = self.clone();
        let mut given_up = Vec::new();
        let is_late = self.ahead.last().is_some_and(|last| number < last);
        let is_from_a_zombie = epoch.is_some_and(|epoch| epoch < self.epoch);
        after.epoch = epoch.map_or(self.epoch, |epoch| epoch.max(self.epoch));

        let verdict = loop {
            if after.has(number) {
                break Verdict::Duplicate;
            }
            if sequence.first || number - 1 == after.through {
                after.begin_or_continue(number, &mut given_up, now);
                break Verdict::Handle;
            }
            // One in hand is not missing, however long it took to come.
            if !after.is_overdue(policy, now) {
                break after.come_ahead(number, policy, &mut given_up, now);
            }
            let behind = after.behind_the_gap().map_or(number, |n| n.min(number));
            after.give_up(behind, &mut given_up, now);
        };
        Judgement {
            // What came twice is not late the second time.
            is_late: is_late && verdict != Verdict::Duplicate,
            verdict,
            after,
            given_up,
            is_from_a_zombie,
        }
    }

    /// Gives up what was missing for longer than one has patience, without a
    /// message having come. Nothing if there is no such gap.
    ///
    /// Stored messages up to the new watermark are handled, in order.
    #[must_use]
    pub fn give_up_overdue(&self, policy: Policy, now: Timestamp) -> Option<(Watermark, Vec<Gap>)> {
        let mut after = self.clone();
        let mut given_up = Vec::new();
        while after.is_overdue(policy, now) {
            // Where all are rejected, the next one to come finds it overdue.
            let Some(behind) = after.ahead.first() else {
                break;
            };
            after.give_up(behind, &mut given_up, now);
        }
        (!given_up.is_empty()).then_some((after, given_up))
    }

    /// Nothing more is to be done for this number.
    fn has(&self, number: u64) -> bool {
        number <= self.through || self.ahead.contains(number)
    }

    /// The number in hand is the next one, or begins a run above all that was.
    fn begin_or_continue(&mut self, number: u64, given_up: &mut Vec<Gap>, now: Timestamp) {
        // Of an earlier run, what came ahead will not be reached any more from
        // below. Between the runs nothing is missing.
        while let Some(behind) = self.ahead.first().filter(|first| *first < number) {
            self.give_up(behind, given_up, now);
        }
        self.move_to(number, now);
    }

    /// Whether the message after the watermark has been missing for too long.
    fn is_overdue(&self, policy: Policy, now: Timestamp) -> bool {
        let (Some(patience), Some(since)) = (policy.patience(), self.missing_since) else {
            return false;
        };
        now.saturating_since(since) >= patience
    }

    /// The lowest number above the watermark that is known to exist.
    fn behind_the_gap(&self) -> Option<u64> {
        let rejected = self.rejected.map(NonZeroU64::get);
        self.ahead.first().into_iter().chain(rejected).min()
    }

    fn come_ahead(
        &mut self,
        number: u64,
        policy: Policy,
        given_up: &mut Vec<Gap>,
        now: Timestamp,
    ) -> Verdict {
        let since = *self.missing_since.get_or_insert(now);
        let left = |patience: Duration| patience.saturating_sub(now.saturating_since(since));
        match policy {
            Policy::Accept { gaps_at_most } => {
                self.ahead.insert(number);
                while self.ahead.spans() > gaps_at_most.get() as usize {
                    let behind = self.ahead.first().expect("there are spans");
                    self.give_up(behind, given_up, now);
                }
                Verdict::Handle
            }
            Policy::Buffer { at_most, patience } => {
                if self.ahead.numbers() >= u64::from(at_most.get()) {
                    return Verdict::Reject {
                        because: Because::Full,
                        retry_after: left(patience),
                    };
                }
                self.ahead.insert(number);
                Verdict::Hold
            }
            Policy::Reject { patience } => {
                let lowest = self.rejected.map_or(number, |n| n.get().min(number));
                self.rejected = NonZeroU64::new(lowest);
                Verdict::Reject {
                    because: Because::Ahead,
                    retry_after: left(patience),
                }
            }
        }
    }

    /// What lies between the watermark and this number is given up.
    fn give_up(&mut self, behind: u64, given_up: &mut Vec<Gap>, now: Timestamp) {
        given_up.push(Gap {
            after: self.through,
            before: behind,
        });
        self.move_to(behind - 1, now);
    }

    /// The watermark is here, or higher if what follows came ahead.
    fn move_to(&mut self, through: u64, now: Timestamp) {
        self.through = self.ahead.absorb(through);
        self.rejected = self.rejected.filter(|lowest| lowest.get() > self.through);
        let is_next = |lowest: NonZeroU64| lowest.get() == self.through + 1;
        let misses = !self.ahead.is_empty() || self.rejected.is_some_and(|n| !is_next(n));
        self.missing_since = misses.then_some(now);
    }
}
