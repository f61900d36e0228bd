use axiomatic_core::Outcome;
use axiomatic_core::budget::{Budget, Call, Class, Exhausted};
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

impl<Bu: Budget> Budget for Sharing<Bu> {
    type Call = BegunElsewhere;
    type Token = Bu::Token;

    #[inline(always)]
    fn begin(&self, _: Instant) -> BegunElsewhere {
        BegunElsewhere(())
    }

    fn try_extra(&self, now: Instant, class: Class) -> Result<Bu::Token, Exhausted> {
        self.0.try_extra(now, class)
    }

    #[inline]
    fn is_drained(&self, now: Instant) -> bool {
        self.0.is_drained(now)
    }
}
