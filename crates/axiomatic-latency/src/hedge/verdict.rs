//! What follows from an attempt that has ended: a pure function, with its
//! table.

use axiomatic_core::binding::{Advice, Advise};
use axiomatic_core::budget::Class;
use axiomatic_core::{Classify, Outcome, Reason, Refusable, Rejected};

/// What an attempt's end means for the call.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is what the caller gets, and the other attempt is dropped.
    Answer,
    /// The other attempt may do better, and is waited for if there is one.
    NoAnswer,
    /// The same; and if there is no other attempt yet, one of this class may
    /// be made at once.
    Repeatable(Class),
}

/// | The attempt | Then |
/// |---|---|
/// | worked, or the request is wrong | answer |
/// | was answered, which says nothing of the dependency | answer |
/// | was refused by a layer further in, or failed so that it says nothing | no answer |
/// | was throttled: the other side asks for less | no answer |
/// | failed, and the other side wants no other | no answer |
/// | failed, and never reached the other side | repeatable, free of budget |
/// | was given up when its time was over | repeatable, as a timeout |
/// | failed | repeatable |
fn verdict(outcome: Outcome, is_ok: bool, advice: Advice, rejected: Option<Rejected>) -> Verdict {
    match (outcome, advice) {
        (Outcome::Success | Outcome::Permanent, _) => Verdict::Answer,
        (Outcome::Ignored, _) if is_ok => Verdict::Answer,
        (Outcome::Ignored | Outcome::Throttled { .. }, _) => Verdict::NoAnswer,
        (Outcome::Transient, Advice::Never) => Verdict::NoAnswer,
        (Outcome::Transient, Advice::Unsent) => Verdict::Repeatable(Class::Unsent),
        (Outcome::Transient, Advice::ByOutcome) => Verdict::Repeatable(match rejected {
            Some(elapsed) if elapsed.reason() == Reason::Elapsed => Class::Timeout,
            _ => Class::Transient,
        }),
    }
}

/// The same, as a binding reads the result, with what it was worth.
#[inline(always)]
pub(super) fn judged<B, Res, E>(binding: &B, result: Result<&Res, &E>) -> (Outcome, Verdict)
where
    B: Classify<Res, E> + Advise<Res, E>,
    E: Refusable,
{
    let outcome = binding.classify(result);
    if outcome == Outcome::Success {
        return (outcome, Verdict::Answer);
    }
    let rejected = result.err().and_then(Refusable::rejected);
    let advice = binding.advice(result);
    (outcome, verdict(outcome, result.is_ok(), advice, rejected))
}

#[cfg(test)]
mod tests {
    use super::*;
    use axiomatic_core::Pattern;

    #[test]
    fn an_attempt_means_what_the_table_says() {
        let throttled = Outcome::Throttled { retry_after: None };
        let by_outcome = Advice::ByOutcome;
        let elapsed = Some(Rejected::new(Pattern::Timeout, Reason::Elapsed));
        let open = Some(Rejected::new(Pattern::CircuitBreaker, Reason::Open));
        for (outcome, is_ok, advice, rejected, expected) in [
            (Outcome::Success, true, by_outcome, None, Verdict::Answer),
            (Outcome::Permanent, true, by_outcome, None, Verdict::Answer),
            (Outcome::Permanent, false, by_outcome, None, Verdict::Answer),
            (
                Outcome::Permanent,
                true,
                Advice::Never,
                None,
                Verdict::Answer,
            ),
            (Outcome::Ignored, true, by_outcome, None, Verdict::Answer),
            (Outcome::Ignored, false, by_outcome, open, Verdict::NoAnswer),
            (Outcome::Ignored, false, by_outcome, None, Verdict::NoAnswer),
            (throttled, true, by_outcome, None, Verdict::NoAnswer),
            (throttled, false, Advice::Unsent, None, Verdict::NoAnswer),
            (
                Outcome::Transient,
                true,
                Advice::Never,
                None,
                Verdict::NoAnswer,
            ),
            (
                Outcome::Transient,
                false,
                Advice::Unsent,
                None,
                Verdict::Repeatable(Class::Unsent),
            ),
            (
                Outcome::Transient,
                false,
                by_outcome,
                elapsed,
                Verdict::Repeatable(Class::Timeout),
            ),
            (
                Outcome::Transient,
                true,
                by_outcome,
                None,
                Verdict::Repeatable(Class::Transient),
            ),
        ] {
            let found = verdict(outcome, is_ok, advice, rejected);
            assert_eq!(found, expected, "{outcome:?} {is_ok} {advice:?}");
        }
    }
}
