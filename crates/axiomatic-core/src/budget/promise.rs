use std::fmt;

use crate::time::Instant;
use crate::{Name, Outcome};

/// What retries and hedges may add to the load: a cheap handle to an account
/// that many of them share.
///
/// A layer begins a call, asks before each extra attempt and *before* it
/// sleeps, and tells each attempt's outcome once, to whoever stands for that
/// attempt: the [`Call`] for the first, the [`Spent`] token for an extra one.
/// What it holds meanwhile borrows nothing and counts no reference that two
/// threads share, so it can lie in a future.
pub trait Budget: Clone + Send + Sync + 'static {
    /// A call under way; of no size where a model needs nothing at its end.
    type Call: Call + Send + Sync + 'static;
    /// The right to one extra attempt.
    type Token: Token + Send + Sync + 'static;

    /// Begins a call, before its first attempt.
    fn begin(&self, now: Instant) -> Self::Call;

    /// Asks for one extra attempt.
    ///
    /// # Errors
    ///
    /// [`Exhausted`] says whose budget has nothing left. Calls that race may
    /// be refused although a token is about to come back, and are never
    /// granted one that another has.
    fn try_extra(&self, now: Instant, class: Class) -> Result<Self::Token, Exhausted>;

    /// Whether nothing was left a moment ago: a hint, at the price of a load,
    /// for whoever would have to prepare an extra attempt before it knows
    /// that it needs one. What was deposited since may make it wrong.
    fn is_drained(&self, now: Instant) -> bool {
        let _ = now;
        false
    }

    /// This budget inside another, the process's around a client's: an extra
    /// attempt needs a token of each.
    fn within<O: Budget>(self, outer: O) -> super::Nested<Self, O> {
        super::Nested::new(self, outer)
    }
}

/// A call under way, with all of its attempts.
///
/// Dropped, it has ended, and what was not recorded is not known.
pub trait Call {
    /// Whether it matters when the outcome is told. If not, whoever tells it
    /// need not read a clock for that, and may tell the time of the beginning.
    const IS_DATED: bool = true;

    /// What became of the first attempt, told once.
    fn record(&mut self, now: Instant, outcome: Outcome);

    /// The same, of a call that ends with its first attempt.
    #[inline]
    fn finish(mut self, now: Instant, outcome: Outcome)
    where
        Self: Sized,
    {
        self.record(now, outcome);
    }
}

/// The right to one extra attempt, taken before the wait for it.
///
/// Dropped, it is returned: the attempt was never sent.
pub trait Token {
    /// What the token becomes when its attempt is sent.
    type Spent: Spent + Send + Sync + 'static;

    /// The attempt is sent.
    fn spend(self) -> Self::Spent;
}

/// A token whose attempt is under way.
///
/// Dropped, the attempt has ended, and nobody knows how.
pub trait Spent {
    /// What became of the attempt.
    fn record(self, now: Instant, outcome: Outcome);
}

/// What an extra attempt is for.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Class {
    /// The attempt before failed, and the same call may work later.
    Transient,
    /// The other side asked for less.
    Throttled,
    /// The attempt before was given up, and may be working on still.
    Timeout,
    /// The attempt before is under way, and slow.
    Hedge,
    /// The attempt before never left: a refused connection, a pool that was
    /// closed. It adds no load that was not budgeted, and is free in every
    /// model; what bounds it is the number of attempts.
    Unsent,
}

/// There is nothing left in a budget.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Exhausted {
    pub(super) name: Name,
}

impl Exhausted {
    /// Of the budget of this name; how a budget of one's own says so.
    pub const fn of(name: Name) -> Self {
        Exhausted { name }
    }

    /// Whose budget it is: of nested ones, the innermost that refused.
    pub const fn name(&self) -> Name {
        self.name
    }
}

impl fmt::Display for Exhausted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "retry budget {} is exhausted", self.name)
    }
}

impl std::error::Error for Exhausted {}
