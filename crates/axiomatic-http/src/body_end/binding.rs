use axiomatic_core::allowance::{Allowance, Announce, Heard, Heed};
use axiomatic_core::binding::Classified;
use axiomatic_core::context::{AdmissionLevel, Endpoint};
use axiomatic_core::{Advice, Advise, Carrier, Classify, Complete, Outcome, Settle};
use http::Response;
use http_body::Body;

use super::{ByHead, ClassifyEnd, PermitBody};

/// A binding whose calls are over when the body of the answer is.
///
/// `B` reads the head, and where the context is; `C` judges the end. What it
/// answers with is a [`PermitBody`].
#[derive(Copy, Clone, Debug, Default)]
pub struct ToBodyEnd<B, C = ByHead> {
    binding: B,
    end: C,
}

impl<B> ToBodyEnd<B> {
    /// `binding` in all but completion: [`Http`](crate::Http), one with
    /// another classification, or one of your own.
    pub const fn new(binding: B) -> Self {
        ToBodyEnd {
            binding,
            end: ByHead,
        }
    }
}

impl<B, C> ToBodyEnd<B, C> {
    /// The same with another classification of the head.
    pub fn classified_by<F>(self, classify: F) -> Classified<Self, F> {
        Classified::new(self, classify)
    }

    /// The same with another classification of the end. It is cloned for
    /// each call.
    pub fn end_classified_by<F>(self, end: F) -> ToBodyEnd<B, F> {
        ToBodyEnd {
            binding: self.binding,
            end,
        }
    }
}

impl<B: Carrier<R>, C, R> Carrier<R> for ToBodyEnd<B, C> {
    axiomatic_core::carry_as!(R, |this| this.binding);
}

impl<B: Classify<Res, E>, C, Res, E> Classify<Res, E> for ToBodyEnd<B, C> {
    #[inline]
    fn classify(&self, result: Result<&Res, &E>) -> Outcome {
        self.binding.classify(result)
    }
}

impl<P, D, B, C> Complete<P, Response<D>> for ToBodyEnd<B, C>
where
    P: Settle,
    D: Body,
    C: ClassifyEnd<D::Error> + Clone,
{
    type Response = Response<PermitBody<D, P, C>>;

    #[inline]
    fn complete(&self, permit: P, outcome: Outcome, response: Response<D>) -> Self::Response {
        PermitBody::carry(permit, outcome, self.end.clone(), response)
    }
}

impl<B: Advise<Res, E>, C, Res, E> Advise<Res, E> for ToBodyEnd<B, C> {
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

impl<B: Announce<Res>, C, Res> Announce<Res> for ToBodyEnd<B, C> {
    #[inline]
    fn announce(&self, response: &mut Res, allowance: impl FnOnce() -> Allowance) {
        self.binding.announce(response, allowance);
    }

    #[inline]
    fn announce_level(&self, response: &mut Res, level: impl FnOnce() -> AdmissionLevel) {
        self.binding.announce_level(response, level);
    }
}

impl<B: Heed<Res>, C, Res> Heed<Res> for ToBodyEnd<B, C> {
    #[inline]
    fn heed(&self, response: &Res) -> Option<Heard> {
        self.binding.heed(response)
    }

    #[inline]
    fn heed_level(&self, response: &Res) -> Option<AdmissionLevel> {
        self.binding.heed_level(response)
    }
}
