//! What became of a call, in the one classification that all patterns share.

use std::time::Duration;

/// What became of a call.
///
/// The enum is exhaustive on purpose: a new kind of outcome would change the
/// meaning of every pattern, and each should then say what it makes of it.
///
/// | | a breaker | a retry |
/// |---|---|---|
/// | `Success` | counts a success | returns it |
/// | `Transient` | counts a failure | tries again |
/// | `Throttled` | counts a failure | tries again, later |
/// | `Permanent` | counts a success: the dependency answered | returns it |
/// | `Ignored` | counts nothing | returns it |
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// The call worked.
    Success,
    /// The call failed, and the same call may work later.
    Transient,
    /// The other side asks for less.
    Throttled {
        /// When it wants to hear from us again, if it said.
        retry_after: Option<Duration>,
    },
    /// The dependency works and the request is wrong: asking again is
    /// useless.
    Permanent,
    /// No evidence of anything.
    Ignored,
}

/// Decides what became of a call from its result.
///
/// A closure is a classifier. Its argument must be annotated, since inference
/// does not find a type that holds for every lifetime:
///
/// ```
/// use axiomatic_core::{Classify, Outcome};
///
/// let by_status = |result: Result<&u16, &std::io::Error>| match result {
///     Ok(500..) => Outcome::Transient,
///     Ok(400..) => Outcome::Permanent,
///     Ok(_) => Outcome::Success,
///     Err(_) => Outcome::Transient,
/// };
/// assert_eq!(by_status.classify(Ok(&503)), Outcome::Transient);
/// ```
pub trait Classify<Res, Err> {
    /// The outcome of a call that returned `result`.
    fn classify(&self, result: Result<&Res, &Err>) -> Outcome;
}

impl<F, Res, Err> Classify<Res, Err> for F
where
    F: Fn(Result<&Res, &Err>) -> Outcome,
{
    #[inline]
    fn classify(&self, result: Result<&Res, &Err>) -> Outcome {
        self(result)
    }
}
