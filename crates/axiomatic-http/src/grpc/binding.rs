use axiomatic_core::binding::Classified;
use axiomatic_core::context::{AdmissionLevel, Endpoint};
use axiomatic_core::{
    Advice, Advise, Announce, Carrier, Classify, Complete, Heed, Outcome, Refusable, Settle,
};
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use http_body::Body;

use super::{Code, PUSHBACK, Pushback, outcome};
use crate::body_end::{ClassifyEnd, PermitBody};
use crate::{Http, binding};

/// The binding for gRPC: a call is over with its trailers.
///
/// The context is where [`Http`] has it. The [module](super) says what an
/// answer means.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct Grpc;

impl Grpc {
    /// The same binding with another classification of the head. What it
    /// calls a success is still to be confirmed by the trailers, unless the
    /// head says in its status that no trailers mean anything.
    pub fn classified_by<F>(self, classify: F) -> Classified<Self, F> {
        Classified::new(self, classify)
    }

    /// The same binding, but a call is over when the server has begun to
    /// answer: for streams that stay open.
    pub const fn at_head(self) -> AtHead {
        AtHead
    }
}

/// [`Grpc`], with calls that are over with their head.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct AtHead;

impl AtHead {
    /// The same binding with another classification.
    pub fn classified_by<F>(self, classify: F) -> Classified<Self, F> {
        Classified::new(self, classify)
    }
}

/// Judges the end of a gRPC call by its trailers.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct ByTrailers;

impl<E> ClassifyEnd<E> for ByTrailers {
    fn classify_end(&self, _: Outcome, end: Result<Option<&HeaderMap>, &E>) -> Outcome {
        let trailers = end.ok().flatten();
        trailers.and_then(outcome).unwrap_or(Outcome::Transient)
    }
}

impl<B> Carrier<Request<B>> for Grpc {
    axiomatic_core::carry_as!(Request<B>, |_| Http);
}

impl<B> Carrier<Request<B>> for AtHead {
    axiomatic_core::carry_as!(Request<B>, |_| Http);
}

impl<B, E: Refusable> Classify<Response<B>, E> for Grpc {
    #[inline]
    fn classify(&self, result: Result<&Response<B>, &E>) -> Outcome {
        match result {
            Ok(response) => decided(response).unwrap_or(Outcome::Success),
            Err(error) => binding::unanswered(error),
        }
    }
}

impl<B, E: Refusable> Classify<Response<B>, E> for AtHead {
    #[inline]
    fn classify(&self, result: Result<&Response<B>, &E>) -> Outcome {
        Grpc.classify(result)
    }
}

impl<P: Settle, B: Body> Complete<P, Response<B>> for Grpc {
    type Response = Response<PermitBody<B, P, ByTrailers>>;

    #[inline]
    fn complete(&self, permit: P, outcome: Outcome, response: Response<B>) -> Self::Response {
        if decided(&response).is_some() {
            PermitBody::settle(permit, outcome, response)
        } else {
            PermitBody::carry(permit, outcome, ByTrailers, response)
        }
    }
}

impl<P: Settle, B> Complete<P, Response<B>> for AtHead {
    type Response = Response<B>;

    #[inline]
    fn complete(&self, permit: P, outcome: Outcome, response: Response<B>) -> Response<B> {
        permit.settle(outcome);
        response
    }
}

impl<B, E: Refusable> Advise<Response<B>, E> for Grpc {
    fn advice(&self, result: Result<&Response<B>, &E>) -> Advice {
        let pushback = result.ok().map(Response::headers).and_then(Pushback::read);
        match pushback {
            Some(Pushback::Never) => Advice::Never,
            Some(Pushback::Wait(_)) | None => Http.advice(result),
        }
    }

    fn endpoint(&self, result: Result<&Response<B>, &E>) -> Option<Endpoint> {
        Http.endpoint(result)
    }

    fn given_up(&self, result: &mut Result<Response<B>, E>) {
        Http.given_up(result);
        if let Ok(response) = result {
            let never = HeaderValue::from_static("-1");
            response.headers_mut().insert(PUSHBACK, never);
        }
    }
}

impl<B, E: Refusable> Advise<Response<B>, E> for AtHead {
    fn advice(&self, result: Result<&Response<B>, &E>) -> Advice {
        Grpc.advice(result)
    }

    fn endpoint(&self, result: Result<&Response<B>, &E>) -> Option<Endpoint> {
        Grpc.endpoint(result)
    }

    fn given_up(&self, result: &mut Result<Response<B>, E>) {
        Grpc.given_up(result);
    }
}

/// Clients of gRPC look for nothing of a rate: a refusal has its status, and
/// its pushback. The level is for callers that have this binding too, and is in
/// the head, since the call may not have ended when it is worth most.
impl<B> Announce<Response<B>> for Grpc {
    fn announce_level(&self, response: &mut Response<B>, level: impl FnOnce() -> AdmissionLevel) {
        Http.announce_level(response, level);
    }
}

impl<B> Announce<Response<B>> for AtHead {
    fn announce_level(&self, response: &mut Response<B>, level: impl FnOnce() -> AdmissionLevel) {
        Http.announce_level(response, level);
    }
}

impl<B> Heed<Response<B>> for Grpc {
    #[inline]
    fn heed_level(&self, response: &Response<B>) -> Option<AdmissionLevel> {
        Http.heed_level(response)
    }
}

impl<B> Heed<Response<B>> for AtHead {
    #[inline]
    fn heed_level(&self, response: &Response<B>) -> Option<AdmissionLevel> {
        Http.heed_level(response)
    }
}

/// What the head says, if it says anything: nothing of a body can change it.
fn decided<B>(response: &Response<B>) -> Option<Outcome> {
    let (status, headers) = (response.status(), response.headers());
    match outcome(headers) {
        None if status != StatusCode::OK => Some(of_http(status, headers)),
        by_grpc => by_grpc,
    }
}

fn of_http(status: StatusCode, headers: &HeaderMap) -> Outcome {
    match status {
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
            binding::outcome(status, headers)
        }
        other => Code::of_http(other).outcome(),
    }
}
