//! What follows from an attempt that has ended: a pure function, with its
//! table.

use std::time::Duration;

use axiomatic_core::binding::{Advice, Advise};
use axiomatic_core::budget::Class;
use axiomatic_core::reject::Side;
use axiomatic_core::{Classify, Outcome, Reason, Refusable, Rejected};

use super::Refusals;

/// How an attempt ended, as far as it decides about another.
///
/// ```
/// use axiomatic_core::{Outcome, Plain, Rejected};
/// use axiomatic_failure::retry::Ended;
///
/// let answer: Result<&u8, &std::io::Error> = Ok(&7);
/// assert_eq!(Ended::read(&Plain, answer).outcome(), Outcome::Success);
/// ```
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    pub(super) outcome: Outcome,
    pub(super) advice: Advice,
    /// By one of our own patterns.
    pub(super) rejected: Option<Rejected>,
}

impl Ended {
    /// With this outcome, and nothing else to say.
    pub const fn with(outcome: Outcome) -> Self {
        Ended {
            outcome,
            advice: Advice::ByOutcome,
            rejected: None,
        }
    }

    /// As a binding reads it.
    #[inline]
    pub fn read<B, Res, E>(binding: &B, result: Result<&Res, &E>) -> Self
    where
        B: Classify<Res, E> + Advise<Res, E>,
        E: Refusable,
    {
        let outcome = binding.classify(result);
        if outcome == Outcome::Success {
            return Ended::with(outcome);
        }
        Ended {
            outcome,
            advice: binding.advice(result),
            rejected: result.err().and_then(Refusable::rejected),
        }
    }

    /// The same, with another advice.
    #[must_use]
    pub const fn advised(mut self, advice: Advice) -> Self {
        self.advice = advice;
        self
    }

    /// What it is worth.
    pub const fn outcome(&self) -> Outcome {
        self.outcome
    }
}

/// What follows.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// The result is what the caller gets, good or bad: another attempt would
    /// change nothing.
    Return,
    /// It is bad, and there is no other attempt.
    GiveUp(GaveUp),
    /// Another attempt of this class, after a wait that a hint prolongs.
    Again(Class, Option<Duration>),
    /// Another attempt at once: this one never reached the other side.
    AtOnce,
}

/// Why a call that might have been repeated was not.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum GaveUp {
    /// It was tried as often as it may be.
    Attempts,
    /// The budget has nothing left.
    Budget,
    /// Too little time is left.
    Deadline,
    /// The other side asked not to be asked again.
    Advised,
    /// The request cannot be sent once more, or nobody said that it may.
    Unrepeatable,
    /// A layer further in refused another attempt.
    Refused,
    /// The service did not become ready for another attempt.
    Unready,
    /// The retry was switched off in the wait for another attempt.
    Off,
}

impl GaveUp {
    /// All of them, in the order of their numbers.
    pub(super) const ALL: [GaveUp; 8] = [
        GaveUp::Attempts,
        GaveUp::Budget,
        GaveUp::Deadline,
        GaveUp::Advised,
        GaveUp::Unrepeatable,
        GaveUp::Refused,
        GaveUp::Unready,
        GaveUp::Off,
    ];

    /// The cause as a word, as it stands in events and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            GaveUp::Attempts => "attempts",
            GaveUp::Budget => "budget",
            GaveUp::Deadline => "deadline",
            GaveUp::Advised => "advised",
            GaveUp::Unrepeatable => "unrepeatable",
            GaveUp::Refused => "refused",
            GaveUp::Unready => "unready",
            GaveUp::Off => "off",
        }
    }

    /// Whether a call that had so many attempts is one that those further out
    /// should leave alone as well: because this retry tried, or could not for
    /// a reason that is theirs too.
    pub const fn is_final(self, made: u32) -> bool {
        match self {
            GaveUp::Budget | GaveUp::Advised => true,
            GaveUp::Attempts
            | GaveUp::Deadline
            | GaveUp::Unrepeatable
            | GaveUp::Refused
            | GaveUp::Unready
            | GaveUp::Off => made > 1,
        }
    }
}

/// How far a call has come.
#[derive(Copy, Clone, Debug)]
pub(super) struct Progress {
    /// Attempts that were made.
    pub(super) made: u32,
    /// How many there may be.
    pub(super) most: u32,
    /// Whether one of them was repeated at once, since it was not sent.
    pub(super) was_unsent: bool,
}

/// | The attempt | Then |
/// |---|---|
/// | worked, or the request is wrong, or says nothing | return |
/// | was refused by a layer further in | return, unless refusals are repeated; after another attempt that is to give up |
/// | failed, and the other side wants no other | give up |
/// | failed, and was the last | give up |
/// | never reached the other side, for the first time | again, at once |
/// | was given up when its time was over | again, as a timeout |
/// | was throttled | again, later than asked |
/// | failed | again |
pub(super) fn step(ended: &Ended, progress: Progress, refusals: Refusals) -> Step {
    let refused = ended
        .rejected
        .filter(|no| no.reason().side() == Side::Refused);
    let (class, hint) = match (ended.outcome, refused, refusals) {
        (_, Some(refused), Refusals::Repeat) => (Class::Transient, refused.retry_after()),
        (_, Some(_), Refusals::Return) if progress.made > 1 => {
            return Step::GiveUp(GaveUp::Refused);
        }
        (_, Some(_), Refusals::Return) => return Step::Return,
        (Outcome::Success | Outcome::Permanent | Outcome::Ignored, None, _) => return Step::Return,
        (Outcome::Throttled { retry_after }, None, _) => (Class::Throttled, retry_after),
        (Outcome::Transient, None, _) => match ended.rejected {
            Some(elapsed) if elapsed.reason() == Reason::Elapsed => (Class::Timeout, None),
            _ => (Class::Transient, None),
        },
    };
    if ended.advice == Advice::Never {
        return Step::GiveUp(GaveUp::Advised);
    }
    if progress.made >= progress.most {
        return Step::GiveUp(GaveUp::Attempts);
    }
    if ended.advice == Advice::Unsent && !progress.was_unsent {
        return Step::AtOnce;
    }
    Step::Again(class, hint)
}

/// Whether what remains until the deadline suffices for a wait and for an
/// attempt of the least length.
pub(super) fn is_in_time(remaining: Duration, wait: Duration, least: Duration) -> bool {
    remaining > wait.saturating_add(least)
}

#[cfg(test)]
mod tests {
    use super::*;
    use axiomatic_core::Pattern;

    const SECOND: Duration = Duration::from_secs(1);

    fn progress(made: u32, was_unsent: bool) -> Progress {
        Progress {
            made,
            most: 3,
            was_unsent,
        }
    }

    fn of_three(ended: Ended, made: u32, was_unsent: bool) -> Step {
        step(&ended, progress(made, was_unsent), Refusals::Return)
    }

    fn first(ended: Ended) -> Step {
        of_three(ended, 1, false)
    }

    fn rejected(reason: Reason) -> Ended {
        let rejected = Rejected::new(Pattern::Timeout, reason).with_retry_after(SECOND);
        Ended {
            rejected: Some(rejected),
            ..Ended::with(reason.outcome())
        }
    }

    #[test]
    fn what_another_attempt_would_not_change_is_returned() {
        for outcome in [Outcome::Success, Outcome::Permanent, Outcome::Ignored] {
            assert_eq!(first(Ended::with(outcome)), Step::Return);
            // Also where the other side says more than it has to.
            let advised = Ended::with(outcome).advised(Advice::Never);
            assert_eq!(first(advised), Step::Return);
        }
    }

    #[test]
    fn a_failure_is_repeated_by_its_class() {
        let hint = Some(SECOND);
        for (ended, class, expected) in [
            (Ended::with(Outcome::Transient), Class::Transient, None),
            (
                Ended::with(Outcome::Throttled { retry_after: hint }),
                Class::Throttled,
                hint,
            ),
            (
                Ended::with(Outcome::Throttled { retry_after: None }),
                Class::Throttled,
                None,
            ),
            (rejected(Reason::Elapsed), Class::Timeout, None),
        ] {
            assert_eq!(first(ended), Step::Again(class, expected), "{ended:?}");
        }
    }

    #[test]
    fn a_refusal_is_repeated_only_on_request() {
        for reason in [Reason::Open, Reason::Full, Reason::Limited, Reason::Shed] {
            assert_eq!(first(rejected(reason)), Step::Return, "{reason:?}");
            let asked = step(&rejected(reason), progress(1, false), Refusals::Repeat);
            assert_eq!(asked, Step::Again(Class::Transient, Some(SECOND)));
        }
    }

    #[test]
    fn a_refusal_after_another_attempt_is_to_give_up() {
        let step = of_three(rejected(Reason::Open), 2, false);
        assert_eq!(step, Step::GiveUp(GaveUp::Refused));
    }

    /// Who did nothing forbids nothing, unless the reason is everybody's.
    #[test]
    fn what_is_final_for_all_is_what_was_tried_or_must_not_be() {
        for why in GaveUp::ALL {
            let at_once = matches!(why, GaveUp::Budget | GaveUp::Advised);
            assert_eq!(why.is_final(1), at_once, "{why:?}");
            assert!(why.is_final(2), "{why:?}");
        }
    }

    #[test]
    fn the_last_attempt_is_the_last() {
        let failed = Ended::with(Outcome::Transient);
        assert_eq!(
            of_three(failed, 2, false),
            Step::Again(Class::Transient, None)
        );
        assert_eq!(of_three(failed, 3, false), Step::GiveUp(GaveUp::Attempts));
        let unsent = failed.advised(Advice::Unsent);
        assert_eq!(of_three(unsent, 3, false), Step::GiveUp(GaveUp::Attempts));
    }

    #[test]
    fn what_was_never_sent_is_repeated_at_once_and_once() {
        let unsent = Ended::with(Outcome::Transient).advised(Advice::Unsent);
        assert_eq!(first(unsent), Step::AtOnce);
        assert_eq!(
            of_three(unsent, 2, true),
            Step::Again(Class::Transient, None)
        );
    }

    #[test]
    fn who_asks_not_to_be_asked_again_is_not() {
        for outcome in [Outcome::Transient, Outcome::Throttled { retry_after: None }] {
            let told = Ended::with(outcome).advised(Advice::Never);
            assert_eq!(first(told), Step::GiveUp(GaveUp::Advised));
        }
    }

    #[test]
    fn time_suffices_for_the_wait_and_the_least_attempt_together() {
        assert!(is_in_time(3 * SECOND, SECOND, SECOND));
        assert!(!is_in_time(2 * SECOND, SECOND, SECOND));
        assert!(!is_in_time(Duration::ZERO, Duration::ZERO, Duration::ZERO));
        assert!(!is_in_time(Duration::MAX, Duration::MAX, SECOND));
    }
}
