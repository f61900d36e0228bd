//! How a layer reads a protocol: where the context is, what an answer means,
//! when a call is over, and whether it may be made again.
//!
//! A binding is one value that answers these questions. [`Plain`] works
//! for every type and knows no protocol; `axiomatic_http::Http` reads
//! extensions and status codes; `classified_by` replaces the second answer of
//! either:
//!
//! ```
//! use axiomatic_core::{Outcome, Plain, Rejected};
//!
//! let binding = Plain.classified_by(|result: Result<&u16, &Rejected>| match result {
//!     Ok(500..) | Err(_) => Outcome::Transient,
//!     Ok(_) => Outcome::Success,
//! });
//! # use axiomatic_core::Classify;
//! # assert_eq!(binding.classify(Ok(&500)), Outcome::Transient);
//! ```

use crate::context::{Choice, Deadline, Endpoint};
use crate::{Classify, Context, Outcome, Refusable};

/// Reads and writes the [`Context`] of a request.
///
/// A binding around another hands on all of its methods.
pub trait Carrier<R> {
    /// The context that `request` carries, the default if none.
    fn context(&self, request: &R) -> Context;

    /// The deadline of that context, for a layer that looks at nothing else:
    /// where a context is kept with the request, it need not be copied.
    #[inline]
    fn deadline(&self, request: &R) -> Option<Deadline> {
        self.context(request).deadline()
    }

    /// Makes `request` carry `context`. A layer calls this only when it has
    /// changed a value, because some protocols allocate for it.
    fn set_context(&self, request: &mut R, context: Context);

    /// Where whoever chooses an endpoint for `request` says which it chose, if
    /// somebody further out wants to know before there is an answer. By
    /// default nobody does.
    #[inline]
    fn choice(&self, request: &R) -> Option<Choice> {
        let _ = request;
        None
    }

    /// Makes `request` carry such a place. By default it is lost.
    #[inline]
    fn set_choice(&self, request: &mut R, choice: Choice) {
        let _ = (request, choice);
    }
}

/// A call's permit as a binding sees it: something that takes one verdict.
///
/// The permits of layers implement it; they read their mechanism's clock when
/// they are settled. A permit of your own needs [`settle`](Settle::settle)
/// alone; one that wraps another hands on all three, since its mechanism may
/// tell them apart.
pub trait Settle {
    /// Tells the mechanism what became of the call.
    fn settle(self, outcome: Outcome);

    /// Tells it that nobody waits for the answer any more: a binding that
    /// carries the permit to the end of a body says so when the body is
    /// dropped before. By default that is [`Outcome::Ignored`].
    fn cancelled(self)
    where
        Self: Sized,
    {
        self.settle(Outcome::Ignored);
    }

    /// Tells it that the call itself panicked. By default that is
    /// [`Outcome::Transient`].
    fn panicked(self)
    where
        Self: Sized,
    {
        self.settle(Outcome::Transient);
    }
}

/// Decides when a call that was answered is over.
pub trait Complete<P, Res> {
    /// The response that is handed on; another type only if it has to carry
    /// the permit further.
    type Response;

    /// Settles `permit`, now or when `response` has been consumed.
    fn complete(&self, permit: P, outcome: Outcome, response: Res) -> Self::Response;
}

/// What an answer says of making its call again, besides its outcome.
///
/// Every method has a default, which is what a protocol says that knows of
/// nothing of the kind: so for a binding of your own the implementation may
/// be empty.
pub trait Advise<Res, E> {
    /// What the answer asks of whoever would repeat the call.
    #[inline]
    fn advice(&self, result: Result<&Res, &E>) -> Advice {
        let _ = result;
        Advice::ByOutcome
    }

    /// Which instance answered, or failed to, where that can be seen: a
    /// repetition avoids it.
    #[inline]
    fn endpoint(&self, result: Result<&Res, &E>) -> Option<Endpoint> {
        let _ = result;
        None
    }

    /// Marks an answer that is bad and final, because whoever repeats calls
    /// here has given up: those further out, in another process too, should
    /// not begin.
    #[inline]
    fn given_up(&self, result: &mut Result<Res, E>) {
        let _ = result;
    }
}

/// What an answer asks of whoever would repeat its call.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum Advice {
    /// No more than its outcome says.
    #[default]
    ByOutcome,
    /// The other side never began to work on it: a connection that was
    /// refused, a stream that was refused before it was opened. It adds no
    /// load to make such a call once more.
    Unsent,
    /// Not to make it again, whatever its outcome.
    Never,
}

/// The binding for every type: no context, an error is transient unless it
/// says that it is a rejection, and a call is over when it is answered.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct Plain;

impl Plain {
    /// The same binding with another classification.
    pub fn classified_by<F>(self, classify: F) -> Classified<Self, F> {
        Classified::new(self, classify)
    }
}

impl<R> Carrier<R> for Plain {
    #[inline]
    fn context(&self, _: &R) -> Context {
        Context::default()
    }

    #[inline]
    fn deadline(&self, _: &R) -> Option<Deadline> {
        None
    }

    #[inline]
    fn set_context(&self, _: &mut R, _: Context) {}
}

impl<Res, E: Refusable> Classify<Res, E> for Plain {
    #[inline]
    fn classify(&self, result: Result<&Res, &E>) -> Outcome {
        match result {
            Ok(_) => Outcome::Success,
            Err(error) => match error.rejected() {
                Some(rejected) => rejected.reason().outcome(),
                None => Outcome::Transient,
            },
        }
    }
}

impl<P: Settle, Res> Complete<P, Res> for Plain {
    type Response = Res;

    #[inline(always)]
    fn complete(&self, permit: P, outcome: Outcome, response: Res) -> Res {
        permit.settle(outcome);
        response
    }
}

impl<Res, E> Advise<Res, E> for Plain {}

/// A binding whose classification was replaced.
#[derive(Copy, Clone, Debug, Default)]
pub struct Classified<B, F> {
    binding: B,
    classify: F,
}

impl<B, F> Classified<B, F> {
    /// `binding` in all but classification.
    pub fn new(binding: B, classify: F) -> Self {
        Classified { binding, classify }
    }

    /// The binding that does the rest.
    #[inline]
    pub(crate) fn inner(&self) -> &B {
        &self.binding
    }
}

impl<B: Carrier<R>, F, R> Carrier<R> for Classified<B, F> {
    crate::carry_as!(R, |this| this.binding);
}

impl<B, F: Classify<Res, E>, Res, E> Classify<Res, E> for Classified<B, F> {
    #[inline]
    fn classify(&self, result: Result<&Res, &E>) -> Outcome {
        self.classify.classify(result)
    }
}

impl<B: Complete<P, Res>, F, P, Res> Complete<P, Res> for Classified<B, F> {
    type Response = B::Response;

    #[inline(always)]
    fn complete(&self, permit: P, outcome: Outcome, response: Res) -> B::Response {
        self.binding.complete(permit, outcome, response)
    }
}

impl<B: Advise<Res, E>, F, Res, E> Advise<Res, E> for Classified<B, F> {
    #[inline]
    fn advice(&self, result: Result<&Res, &E>) -> Advice {
        self.binding.advice(result)
    }

    #[inline]
    fn endpoint(&self, result: Result<&Res, &E>) -> Option<Endpoint> {
        self.binding.endpoint(result)
    }

    #[inline]
    fn given_up(&self, result: &mut Result<Res, E>) {
        self.binding.given_up(result);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Pattern, Reason, Rejected};

    #[test]
    fn a_permit_that_only_settles_knows_the_other_ends() {
        struct Permit<'a>(&'a mut Option<Outcome>);
        impl Settle for Permit<'_> {
            fn settle(self, outcome: Outcome) {
                *self.0 = Some(outcome);
            }
        }
        let mut told = None;
        Permit(&mut told).cancelled();
        assert_eq!(told, Some(Outcome::Ignored));
        Permit(&mut told).panicked();
        assert_eq!(told, Some(Outcome::Transient));
    }

    #[test]
    fn plain_ignores_refusals_and_counts_calls_given_up() {
        let classify = |reason| {
            let error = Rejected::new(Pattern::Timeout, reason);
            Classify::<(), Rejected>::classify(&Plain, Err(&error))
        };
        assert_eq!(classify(Reason::Expired), Outcome::Ignored);
        assert_eq!(classify(Reason::Elapsed), Outcome::Transient);
        let other = std::io::Error::other("reset");
        assert_eq!(
            Classify::<(), _>::classify(&Plain, Err(&other)),
            Outcome::Transient
        );
    }
}
