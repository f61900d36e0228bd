//! What a limiter tells its callers of what is left to them, and what an
//! answer tells of the limiter of the other side.
//!
//! Who limits a rate knows what a caller would like to know before it is
//! refused: how much is left, and until when. How that is said is a question
//! of the protocol, so a binding says it ([`Announce`]), and a binding reads it
//! in the answers of others ([`Heed`]). `axiomatic_http::Http` does both, in
//! the fields `RateLimit` and `RateLimit-Policy`; [`Plain`] says nothing and
//! hears nothing.
//!
//! ```
//! use axiomatic_core::allowance::{Allowance, Policy};
//! use axiomatic_core::{Announce, Plain};
//! use std::time::Duration;
//!
//! let search = Policy::new("search".into(), 100, Duration::from_secs(60));
//! let left = Allowance::new(search, 50, Duration::from_millis(600));
//! assert_eq!(left.remaining(), 50);
//!
//! // Who announces nothing does not ask what there is.
//! Plain.announce(&mut "an answer", || unreachable!());
//! ```

use std::time::Duration;

use crate::Name;
use crate::binding::{Classified, Plain};
use crate::context::AdmissionLevel;

/// What a limiter promises to everybody: so many in a window.
///
/// A caller that keeps to it should not be refused, so it is to be no more
/// generous than the limiter is. Of a limiter that lets `burst` cells pass at
/// once and gives them back at a rate, that is `burst` in the time in which so
/// many come back: of "100 a minute, 10 at once" it is 10 in 6 s.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub struct Policy {
    name: Name,
    quota: u64,
    window: Duration,
}

impl Policy {
    /// `quota` cells in each `window`, by the limiter of this name. The name
    /// is shown to callers.
    pub const fn new(name: Name, quota: u64, window: Duration) -> Self {
        Policy {
            name,
            quota,
            window,
        }
    }

    /// What the limiter is called.
    pub const fn name(&self) -> Name {
        self.name
    }

    /// How many cells there are in a window.
    pub const fn quota(&self) -> u64 {
        self.quota
    }

    /// How long that is.
    pub const fn window(&self) -> Duration {
        self.window
    }
}

/// What a limiter has left for a caller, at one moment.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub struct Allowance {
    policy: Policy,
    remaining: u64,
    more_after: Duration,
}

impl Allowance {
    /// `remaining` cells under `policy`, and no more than these before
    /// `more_after` has passed.
    ///
    /// That is the time until the *next* cell is there, not until all of them
    /// are: the "effective window" of RateLimit header fields, "within which
    /// the client can use no more than the available quota". In a fixed window
    /// it is what is left of the window. A limiter at rest, from which nothing
    /// was taken, says in which time the first comes back that is.
    pub const fn new(policy: Policy, remaining: u64, more_after: Duration) -> Self {
        Allowance {
            policy,
            remaining,
            more_after,
        }
    }

    /// Whose allowance it is, and of how many in which time.
    pub const fn policy(&self) -> Policy {
        self.policy
    }

    /// How many cells are left, rounded down.
    pub const fn remaining(&self) -> u64 {
        self.remaining
    }

    /// How long nothing comes on top of them.
    pub const fn more_after(&self) -> Duration {
        self.more_after
    }
}

/// How a binding tells a caller what is left to it.
///
/// By default it says nothing, and so does not ask: for a binding of your own
/// the implementation may be empty.
pub trait Announce<Res> {
    /// Writes an allowance into `response`. What another limiter, further in,
    /// has written there stays. A binding that says nothing does not call
    /// `allowance`.
    #[inline]
    fn announce(&self, response: &mut Res, allowance: impl FnOnce() -> Allowance) {
        let _ = (response, allowance);
    }

    /// Writes into `response` from which priority on requests are admitted, so
    /// that callers keep back what would not be. What another, further in, has
    /// written there stays if it is higher.
    #[inline]
    fn announce_level(&self, response: &mut Res, level: impl FnOnce() -> AdmissionLevel) {
        let _ = (response, level);
    }
}

/// How a binding reads in an answer what the other side allows, for a client
/// that limits itself.
///
/// By default it hears nothing: for a binding of your own the implementation
/// may be empty.
pub trait Heed<Res> {
    /// What `response` says of the limits of who answered; nothing if it does
    /// not speak of them.
    #[inline]
    fn heed(&self, response: &Res) -> Option<Heard> {
        let _ = response;
        None
    }

    /// From which priority on who answered admits requests; nothing if
    /// `response` does not speak of it.
    #[inline]
    fn heed_level(&self, response: &Res) -> Option<AdmissionLevel> {
        let _ = response;
        None
    }
}

/// What an answer said of the limiter of the other side: as much of it as was
/// told, and all of it the other side's word, to be bounded by who acts on it.
///
/// If several limits were told, it is the one that runs out first.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Heard {
    quota: Option<u64>,
    window: Option<Duration>,
    remaining: Option<u64>,
    more_after: Option<Duration>,
    retry_after: Option<Duration>,
}

impl Heard {
    /// Nothing.
    pub const fn nothing() -> Self {
        Heard {
            quota: None,
            window: None,
            remaining: None,
            more_after: None,
            retry_after: None,
        }
    }

    /// The same, with so many in a window.
    #[must_use]
    pub const fn with_quota(mut self, quota: u64) -> Self {
        self.quota = Some(quota);
        self
    }

    /// The same, with the time in which the quota may be used.
    #[must_use]
    pub const fn with_window(mut self, window: Duration) -> Self {
        self.window = Some(window);
        self
    }

    /// The same, with so many left.
    #[must_use]
    pub const fn with_remaining(mut self, remaining: u64) -> Self {
        self.remaining = Some(remaining);
        self
    }

    /// The same, with the time in which no more than what is left may be used.
    #[must_use]
    pub const fn with_more_after(mut self, wait: Duration) -> Self {
        self.more_after = Some(wait);
        self
    }

    /// The same, with the time in which not to ask again.
    #[must_use]
    pub const fn with_retry_after(mut self, wait: Duration) -> Self {
        self.retry_after = Some(wait);
        self
    }

    /// How many there are in a window.
    pub const fn quota(&self) -> Option<u64> {
        self.quota
    }

    /// How long a window is.
    pub const fn window(&self) -> Option<Duration> {
        self.window
    }

    /// How many are left.
    pub const fn remaining(&self) -> Option<u64> {
        self.remaining
    }

    /// How long nothing comes on top of them.
    pub const fn more_after(&self) -> Option<Duration> {
        self.more_after
    }

    /// How long not to ask again, if the answer was a refusal that says so.
    pub const fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }

    /// How long to ask for nothing: as long as a refusal said, which goes
    /// before the rest, or until there is more if nothing is left. No time if
    /// something is left, or if nothing was said.
    ///
    /// ```
    /// use axiomatic_core::allowance::Heard;
    /// use std::time::Duration;
    ///
    /// let spent = Heard::nothing()
    ///     .with_remaining(0)
    ///     .with_more_after(Duration::from_secs(7));
    /// assert_eq!(spent.wait(), Duration::from_secs(7));
    /// assert_eq!(spent.with_remaining(1).wait(), Duration::ZERO);
    /// let refused = spent.with_retry_after(Duration::from_secs(9));
    /// assert_eq!(refused.wait(), Duration::from_secs(9));
    /// ```
    pub fn wait(&self) -> Duration {
        match (self.retry_after, self.remaining) {
            (Some(wait), _) => wait,
            (None, Some(0)) => self.more_after.unwrap_or_default(),
            (None, _) => Duration::ZERO,
        }
    }

    /// Whether nothing was said at all.
    pub fn is_nothing(&self) -> bool {
        *self == Heard::nothing()
    }
}

impl<Res> Announce<Res> for Plain {}

impl<Res> Heed<Res> for Plain {}

impl<B: Announce<Res>, F, Res> Announce<Res> for Classified<B, F> {
    #[inline]
    fn announce(&self, response: &mut Res, allowance: impl FnOnce() -> Allowance) {
        self.inner().announce(response, allowance);
    }

    #[inline]
    fn announce_level(&self, response: &mut Res, level: impl FnOnce() -> AdmissionLevel) {
        self.inner().announce_level(response, level);
    }
}

impl<B: Heed<Res>, F, Res> Heed<Res> for Classified<B, F> {
    #[inline]
    fn heed(&self, response: &Res) -> Option<Heard> {
        self.inner().heed(response)
    }

    #[inline]
    fn heed_level(&self, response: &Res) -> Option<AdmissionLevel> {
        self.inner().heed_level(response)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Outcome;

    const SECOND: Duration = Duration::from_secs(1);

    /// A protocol whose answers are what is left.
    struct Left;

    impl Announce<u64> for Left {
        fn announce(&self, response: &mut u64, allowance: impl FnOnce() -> Allowance) {
            *response = allowance().remaining();
        }
    }

    impl Heed<u64> for Left {
        fn heed(&self, response: &u64) -> Option<Heard> {
            Some(Heard::nothing().with_remaining(*response))
        }
    }

    #[test]
    fn plain_asks_for_nothing_and_hears_nothing() {
        let mut answer = 7;
        Plain.announce(&mut answer, || panic!("nobody listens"));
        assert_eq!(answer, 7);
        assert_eq!(Plain.heed(&answer), None);
    }

    #[test]
    fn a_classification_of_ones_own_changes_neither() {
        let binding = Classified::new(Left, |_: Result<&u64, &()>| Outcome::Success);
        let policy = Policy::new("a".into(), 10, SECOND);
        let mut answer = 0;
        binding.announce(&mut answer, || Allowance::new(policy, 3, SECOND));
        assert_eq!(answer, 3);
        assert_eq!(binding.heed(&answer).unwrap().remaining(), Some(3));
    }

    #[test]
    fn a_refusal_goes_before_what_is_left() {
        let heard = Heard::nothing().with_remaining(5).with_more_after(SECOND);
        assert_eq!(heard.wait(), Duration::ZERO);
        assert_eq!(heard.with_retry_after(2 * SECOND).wait(), 2 * SECOND);
        assert_eq!(heard.with_remaining(0).wait(), SECOND);
        assert_eq!(Heard::nothing().with_remaining(0).wait(), Duration::ZERO);
        assert!(Heard::nothing().is_nothing() && !heard.is_nothing());
    }
}
