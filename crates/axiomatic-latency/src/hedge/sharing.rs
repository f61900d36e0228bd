use axiomatic_core::Outcome;
use axiomatic_core::budget::{Budget, Call, Class, Exhausted, Spent, Token};
use axiomatic_core::time::Instant;

/// A budget with which somebody further out begins the calls: second attempts
/// spend from it, and calls do not deposit a second time.
///
/// See [`Config::sharing`](super::Config::sharing).
#[derive(Clone, Debug)]
pub struct Sharing<Bu>(pub(super) Bu);

impl<Bu> Sharing<Bu> {
    /// The budget itself.
    pub const fn shared(&self) -> &Bu {
        &self.0
    }
}

/// A call that began further out.
#[derive(Debug)]
pub struct BegunElsewhere(());

impl Call for BegunElsewhere {
    const IS_DATED: bool = false;

    #[inline(always)]
    fn record(&mut self, _: Instant, _: Outcome) {}
}

/// The right to a second attempt of a call that began further out, where it is
/// told what became of the call: once, and not for each of its attempts.
#[derive(Debug)]
#[must_use = "a token that is dropped is returned"]
pub struct SharedToken<T>(T);

/// Such an attempt under way.
#[derive(Debug)]
pub struct SharedAttempt<S>(S);

impl<T: Token> Token for SharedToken<T> {
    type Spent = SharedAttempt<T::Spent>;

    fn spend(self) -> Self::Spent {
        SharedAttempt(self.0.spend())
    }
}

impl<S: Spent> Spent for SharedAttempt<S> {
    fn record(self, _: Instant, _: Outcome) {}
}

impl<Bu: Budget> Budget for Sharing<Bu> {
    type Call = BegunElsewhere;
    type Token = SharedToken<Bu::Token>;

    #[inline(always)]
    fn begin(&self, _: Instant) -> BegunElsewhere {
        BegunElsewhere(())
    }

    fn try_extra(&self, now: Instant, class: Class) -> Result<Self::Token, Exhausted> {
        self.0.try_extra(now, class).map(SharedToken)
    }

    #[inline]
    fn is_drained(&self, now: Instant) -> bool {
        self.0.is_drained(now)
    }
}
