use super::{Budget, Call, Class, Exhausted, Spent, Token};
use crate::Outcome;
use crate::time::Instant;

/// A budget inside another: an extra attempt needs a token of each, and
/// returns both.
///
/// The inner one is asked first. If the outer one refuses, the inner token is
/// returned at once; who asks in between may be refused although it was not
/// used, and nobody is granted too much.
#[derive(Clone, Debug)]
pub struct Nested<I, O> {
    inner: I,
    outer: O,
}

impl<I, O> Nested<I, O> {
    /// One inside the other.
    pub const fn new(inner: I, outer: O) -> Self {
        Nested { inner, outer }
    }

    /// The one that is asked first.
    pub const fn inner(&self) -> &I {
        &self.inner
    }

    /// The one around it.
    pub const fn outer(&self) -> &O {
        &self.outer
    }
}

/// What stands for the same thing in a budget and in the one around it.
#[derive(Debug)]
#[must_use = "dropped, each of the two does what it does when dropped"]
pub struct Both<I, O> {
    inner: I,
    outer: O,
}

impl<I: Budget, O: Budget> Budget for Nested<I, O> {
    type Call = Both<I::Call, O::Call>;
    type Token = Both<I::Token, O::Token>;

    #[inline]
    fn begin(&self, now: Instant) -> Self::Call {
        Both {
            inner: self.inner.begin(now),
            outer: self.outer.begin(now),
        }
    }

    fn try_extra(&self, now: Instant, class: Class) -> Result<Self::Token, Exhausted> {
        let inner = self.inner.try_extra(now, class)?;
        let outer = self.outer.try_extra(now, class)?;
        Ok(Both { inner, outer })
    }

    #[inline]
    fn is_drained(&self, now: Instant) -> bool {
        self.inner.is_drained(now) || self.outer.is_drained(now)
    }
}

impl<I: Call, O: Call> Call for Both<I, O> {
    const IS_DATED: bool = I::IS_DATED || O::IS_DATED;

    #[inline]
    fn record(&mut self, now: Instant, outcome: Outcome) {
        self.inner.record(now, outcome);
        self.outer.record(now, outcome);
    }
}

impl<I: Token, O: Token> Token for Both<I, O> {
    type Spent = Both<I::Spent, O::Spent>;

    fn spend(self) -> Self::Spent {
        Both {
            inner: self.inner.spend(),
            outer: self.outer.spend(),
        }
    }
}

impl<I: Spent, O: Spent> Spent for Both<I, O> {
    fn record(self, now: Instant, outcome: Outcome) {
        self.inner.record(now, outcome);
        self.outer.record(now, outcome);
    }
}
