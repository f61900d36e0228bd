//! What a request carries from layer to layer.
//!
//! Retry, hedge, timeout and shedding compose without multiplying load only
//! if they know of each other. They do so through the [`Context`] of a
//! request, which a [`Carrier`](crate::Carrier) reads and writes; absent, it
//! is all defaults, and a layer writes one only when it changes a value.

mod admission_level;
mod choice_cell;
mod endpoint;

use std::fmt;
use std::time::Duration;

use crate::Name;
use crate::time::Instant;

pub use admission_level::AdmissionLevel;
pub use choice_cell::Choice;
pub use endpoint::Endpoint;

/// What a request carries from layer to layer.
///
/// ```
/// use axiomatic_core::context::{Context, Deadline, Priority};
/// use axiomatic_core::time::Instant;
/// use std::time::Duration;
///
/// let now = Instant::from_nanos(1_000);
/// let context = Context::default()
///     .with_deadline(Deadline::at(now + Duration::from_secs(2)))
///     .with_priority(Priority::CRITICAL);
/// let child = context.child();
/// assert_eq!(child.deadline(), context.deadline());
/// assert_eq!(child.attempt(), 1);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Context {
    deadline: Option<Deadline>,
    priority: Priority,
    attempt: Attempt,
    repeatability: Repeatability,
    retried_by: Option<Name>,
    avoided: Avoided,
    slow_after: Option<Duration>,
}

impl Context {
    /// When the answer stops being worth anything.
    #[inline]
    pub fn deadline(&self) -> Option<Deadline> {
        self.deadline
    }

    /// How much the request matters when not all can be served.
    pub fn priority(&self) -> Priority {
        self.priority
    }

    /// Which attempt this is, from 1.
    pub fn attempt(&self) -> u32 {
        self.attempt.0
    }

    /// Whether the request may be sent twice.
    pub fn repeatability(&self) -> Repeatability {
        self.repeatability
    }

    /// The retry further out that already repeats this request, so that
    /// those further in pass it through.
    ///
    /// It crosses a process as a yes or no. Whoever reads from a header that
    /// the caller repeats the request says [`Name::REMOTE`], and never the
    /// header's text: names are kept for ever, and the caller would choose
    /// them.
    pub fn retried_by(&self) -> Option<Name> {
        self.retried_by
    }

    /// From which duration on this call is slow, where that is not the same
    /// for all calls of a dependency: a report may take what a lookup must
    /// not.
    pub fn slow_after(&self) -> Option<Duration> {
        self.slow_after
    }

    /// The endpoints that earlier attempts found wanting; the most recent
    /// [`Context::AVOIDED`] of them, the latest first.
    pub fn avoided(&self) -> impl Iterator<Item = Endpoint> + '_ {
        self.avoided.0.iter().copied().flatten()
    }

    /// How many avoided endpoints are remembered. Two tries elsewhere are
    /// what retry and hedge make; a longer memory would only make a context
    /// more expensive to copy.
    pub const AVOIDED: usize = 2;

    /// The same with a deadline, if it is the earlier one: a deadline is only
    /// ever shortened on the way in. One that is there already stays, and is
    /// armed once either is.
    #[inline]
    #[must_use]
    pub fn with_deadline(mut self, deadline: Deadline) -> Self {
        self.deadline = Some(match self.deadline {
            Some(inherited) if inherited.at < deadline.at => inherited,
            Some(inherited) if inherited.at == deadline.at && inherited.armed => inherited,
            _ => deadline,
        });
        self
    }

    /// The same with another priority.
    #[must_use]
    pub fn with_priority(mut self, priority: Priority) -> Self {
        self.priority = priority;
        self
    }

    /// The same as attempt number `attempt`; 0 is taken as 1.
    #[must_use]
    pub fn with_attempt(mut self, attempt: u32) -> Self {
        self.attempt = Attempt(attempt.max(1));
        self
    }

    /// The same, declared repeatable or not.
    #[must_use]
    pub fn with_repeatability(mut self, repeatability: Repeatability) -> Self {
        self.repeatability = repeatability;
        self
    }

    /// The same, marked as repeated by the retry of this name;
    /// [`Name::REMOTE`] if it is the caller's, in another process.
    #[must_use]
    pub fn with_retried_by(mut self, name: Name) -> Self {
        self.retried_by = Some(name);
        self
    }

    /// The same, slow from this duration on.
    #[must_use]
    pub fn with_slow_after(mut self, duration: Duration) -> Self {
        self.slow_after = Some(duration);
        self
    }

    /// The same, with one more endpoint to avoid.
    #[must_use]
    pub fn avoiding(mut self, endpoint: Endpoint) -> Self {
        self.avoided.0.rotate_right(1);
        self.avoided.0[0] = Some(endpoint);
        self
    }

    /// The same without a deadline: where the one that came is not to be
    /// believed. On any other way in a deadline is only shortened.
    #[inline]
    #[must_use]
    pub fn without_deadline(mut self) -> Self {
        self.deadline = None;
        self
    }

    /// The same for a call that goes on when the one it belongs to is
    /// dropped, a spawned one for example: its deadline is unarmed, since
    /// whoever held the timer cannot stop it any more.
    #[must_use]
    pub fn detached(mut self) -> Context {
        self.deadline = self.deadline.map(|deadline| Deadline::at(deadline.at));
        self
    }

    /// The context for the calls that a handler makes while it serves this
    /// request: detached, because the timer belongs to another task's call;
    /// the same priority and `retried_by`; everything about this attempt
    /// reset.
    #[must_use]
    pub fn child(&self) -> Context {
        Context {
            deadline: self.clone().detached().deadline,
            priority: self.priority,
            retried_by: self.retried_by,
            ..Context::default()
        }
    }
}

/// A point in time after which nobody waits for the answer.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Deadline {
    at: Instant,
    armed: bool,
}

impl Deadline {
    /// A deadline that no timer enforces yet.
    #[inline]
    pub const fn at(at: Instant) -> Self {
        Deadline { at, armed: false }
    }

    /// The same, with a layer further out holding the timer: layers further
    /// in need one only if theirs is earlier. It promises that dropping that
    /// layer's future drops the call; what detaches a call says
    /// [`Context::detached`].
    #[inline]
    #[must_use]
    pub const fn armed(mut self) -> Self {
        self.armed = true;
        self
    }

    /// When it is.
    #[inline]
    pub const fn instant(&self) -> Instant {
        self.at
    }

    /// Whether a layer further out enforces it.
    #[inline]
    pub const fn is_armed(&self) -> bool {
        self.armed
    }

    /// The time left at `now`, zero once it has passed.
    #[inline]
    pub const fn remaining(&self, now: Instant) -> Duration {
        self.at.saturating_duration_since(now)
    }

    /// Whether it has passed at `now`.
    #[inline]
    pub fn is_expired(&self, now: Instant) -> bool {
        self.at <= now
    }
}

/// How much a request matters when not all can be served: four classes, with
/// 64 levels in each. Greater matters more.
///
/// ```
/// use axiomatic_core::context::Priority;
/// assert!(Priority::CRITICAL > Priority::SHEDDABLE_PLUS);
/// assert!(Priority::CRITICAL.with_level(63) < Priority::CRITICAL_PLUS);
/// ```
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Priority(u8);

impl Priority {
    /// Batch work: the first to go.
    pub const SHEDDABLE: Priority = Priority(0);
    /// Work that is repeated anyway.
    pub const SHEDDABLE_PLUS: Priority = Priority(64);
    /// What a user waits for; the default.
    pub const CRITICAL: Priority = Priority(128);
    /// What a user's money depends on: the last to go.
    pub const CRITICAL_PLUS: Priority = Priority(192);

    /// The same class at a level from 0 to 63; more is taken as 63.
    #[must_use]
    pub const fn with_level(self, level: u8) -> Self {
        let level = if level > 63 { 63 } else { level };
        Priority((self.0 & !63) | level)
    }

    /// The level inside the class.
    pub const fn level(self) -> u8 {
        self.0 & 63
    }

    /// Class and level as one number, more mattering more.
    pub const fn as_u8(self) -> u8 {
        self.0
    }

    /// The inverse of [`as_u8`](Priority::as_u8).
    pub const fn from_u8(number: u8) -> Self {
        Priority(number)
    }
}

impl Default for Priority {
    fn default() -> Self {
        Priority::CRITICAL
    }
}

impl fmt::Display for Priority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 >> 6 {
            0 => "sheddable",
            1 => "sheddable plus",
            2 => "critical",
            _ => "critical plus",
        })?;
        match self.level() {
            0 => Ok(()),
            level => write!(f, " {level}"),
        }
    }
}

/// Whether a request may be sent twice.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum Repeatability {
    /// Nobody said; patterns that repeat requests do not.
    #[default]
    Undeclared,
    /// Twice is the same as once.
    Repeatable,
    /// Twice is not the same as once.
    Once,
}

#[derive(Copy, Clone, Debug, PartialEq, Eq)]
struct Attempt(u32);

impl Default for Attempt {
    fn default() -> Self {
        Attempt(1)
    }
}

#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
struct Avoided([Option<Endpoint>; Context::AVOIDED]);

#[cfg(test)]
mod tests {
    use super::*;

    fn deadline(nanos: u64) -> Deadline {
        Deadline::at(Instant::from_nanos(nanos))
    }

    #[test]
    fn a_deadline_is_only_ever_shortened() {
        let context = Context::default().with_deadline(deadline(50));
        let longer = context.clone().with_deadline(deadline(70));
        assert_eq!(longer.deadline(), Some(deadline(50)));
        let shorter = context.with_deadline(deadline(30).armed());
        assert_eq!(shorter.deadline(), Some(deadline(30).armed()));
        let armed = shorter.with_deadline(deadline(30));
        assert_eq!(armed.deadline(), Some(deadline(30).armed()));
        let arms = Context::default()
            .with_deadline(deadline(30))
            .with_deadline(deadline(30).armed());
        assert_eq!(arms.deadline(), Some(deadline(30).armed()));
    }

    #[test]
    fn a_child_keeps_what_concerns_the_user_and_forgets_the_attempt() {
        let parent = Context::default()
            .with_deadline(deadline(50).armed())
            .with_priority(Priority::SHEDDABLE.with_level(9))
            .with_attempt(3)
            .with_repeatability(Repeatability::Repeatable)
            .with_retried_by(Name::from("edge"))
            .with_slow_after(Duration::from_secs(2))
            .avoiding(Endpoint::from_hash(11));
        let child = parent.child();
        assert_eq!(child.deadline(), Some(deadline(50)));
        assert_eq!(parent.clone().detached().deadline(), Some(deadline(50)));
        assert_eq!(child.priority(), parent.priority());
        assert_eq!(child.retried_by(), Some(Name::from("edge")));
        assert_eq!(child.attempt(), 1);
        assert_eq!(child.repeatability(), Repeatability::Undeclared);
        assert_eq!(child.avoided().count(), 0);
        assert_eq!(child.slow_after(), None);
    }

    #[test]
    fn the_latest_avoided_endpoints_are_kept() {
        let context = [1, 2, 3].map(Endpoint::from_hash).into_iter();
        let context = context.fold(Context::default(), Context::avoiding);
        let avoided: Vec<_> = context.avoided().map(Endpoint::as_hash).collect();
        assert_eq!(avoided, [3, 2]);
    }
}
