//! Whether a request may be sent twice, and how a second one is made of it.
//!
//! What repeats requests (a retry, a hedge) is given a rule when it is built,
//! since the types cannot know: that a request can be cloned does not mean
//! that it may be.
//!
//! | Rule | Repeats | By |
//! |---|---|---|
//! | [`WhenDeclared`] | what its context declares [`Repeatable`](Repeatability::Repeatable) | `Clone` |
//! | [`Always`] | all but what its context declares [`Once`](Repeatability::Once) | `Clone` |
//! | `axiomatic_http::WhenIdempotent` | what HTTP's methods and `Idempotency-Key` allow | `Clone` |
//! | a closure | what it makes a second one of | itself |
//!
//! ```
//! use axiomatic_core::repeat::{Repeat, WhenDeclared};
//! use axiomatic_core::Context;
//! use axiomatic_core::context::Repeatability;
//!
//! let declared = Context::default().with_repeatability(Repeatability::Repeatable);
//! assert_eq!(WhenDeclared.repeat(&declared, &"lookup"), Some("lookup"));
//! assert_eq!(WhenDeclared.repeat(&Context::default(), &"charge"), None);
//!
//! // A rule of one's own: lookups, whatever the context says.
//! let lookups = |_: &Context, request: &&'static str| (*request == "lookup").then_some(*request);
//! assert_eq!(lookups.repeat(&Context::default(), &"lookup"), Some("lookup"));
//! ```

use crate::Context;
use crate::context::Repeatability;

/// A rule that makes a second request of one, if it may be sent twice.
pub trait Repeat<R> {
    /// The same request once more; none if it must not, or cannot, be sent
    /// twice. It is asked before the request is sent, and for each attempt
    /// anew.
    fn repeat(&self, context: &Context, request: &R) -> Option<R>;

    /// Whether it would make a second one, if that can be told without making
    /// it. By default it cannot, and then the answer is no: as for a closure.
    fn allows(&self, context: &Context, request: &R) -> bool {
        let _ = (context, request);
        false
    }

    /// Whether `request`, which this rule made ahead, can still be sent.
    ///
    /// A second request is made before the first is sent, and may come to
    /// lack something meanwhile: a body that is kept up to a cap may have
    /// outgrown it. So whoever repeats asks once more when a repetition is
    /// about to begin, before a wait and after it, and leaves the answer that
    /// there is as it is where one would be sent in vain. By default nothing
    /// gets lost.
    fn is_intact(&self, request: &R) -> bool {
        let _ = request;
        true
    }
}

/// Repeats what was declared repeatable, and nothing else: the rule that is
/// safe for every service.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct WhenDeclared;

/// Repeats everything that was not declared to be sent once, because whoever
/// builds the stack knows the service: for lookups, or for a binding that
/// carries no context.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct Always;

impl<R: Clone> Repeat<R> for WhenDeclared {
    #[inline]
    fn repeat(&self, context: &Context, request: &R) -> Option<R> {
        self.allows(context, request).then(|| request.clone())
    }

    #[inline]
    fn allows(&self, context: &Context, _: &R) -> bool {
        context.repeatability() == Repeatability::Repeatable
    }
}

impl<R: Clone> Repeat<R> for Always {
    #[inline]
    fn repeat(&self, context: &Context, request: &R) -> Option<R> {
        self.allows(context, request).then(|| request.clone())
    }

    #[inline]
    fn allows(&self, context: &Context, _: &R) -> bool {
        context.repeatability() != Repeatability::Once
    }
}

impl<F, R> Repeat<R> for F
where
    F: Fn(&Context, &R) -> Option<R>,
{
    #[inline]
    fn repeat(&self, context: &Context, request: &R) -> Option<R> {
        self(context, request)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_repeats_what_was_declared_once() {
        let context = Context::default().with_repeatability(Repeatability::Once);
        assert_eq!(WhenDeclared.repeat(&context, &7), None);
        assert_eq!(Always.repeat(&context, &7), None);
    }

    #[test]
    fn what_nobody_declared_is_repeated_only_on_the_word_of_who_stacked_it() {
        let context = Context::default();
        assert_eq!(WhenDeclared.repeat(&context, &7), None);
        assert_eq!(Always.repeat(&context, &7), Some(7));
    }
}
