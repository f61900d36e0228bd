use std::time::Duration;

/// Who is served first of those that wait and matter the same.
///
/// ```
/// use axiomatic_capacity::bulkhead::Order;
/// use std::time::Duration;
///
/// let order = Order::Adaptive { standing: Duration::from_millis(100) };
/// # assert_eq!(order, Order::default());
/// ```
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Order {
    /// Who came first. Fair, and right for bursts; under an overload that
    /// lasts, everybody waits as long as anybody can.
    Fifo,
    /// Who came last. Under an overload some are served at once and the others
    /// not at all, instead of all of them too late.
    Lifo,
    /// Who came first, until the queue has not been empty for so long: that is
    /// no burst any more. Then who came last, until it is empty again.
    /// Facebook's adaptive LIFO.
    Adaptive {
        /// For how long the queue has stood.
        standing: Duration,
    },
}

impl Default for Order {
    /// Adaptive, after 100 ms: what a burst takes to drain that is not worth
    /// refusing. It was not measured.
    fn default() -> Self {
        Order::Adaptive {
            standing: Duration::from_millis(100),
        }
    }
}
