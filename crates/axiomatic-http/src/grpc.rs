//! gRPC over HTTP: the verdict stands at the end.
//!
//! # The problem
//!
//! A gRPC call that fails is answered with `200 OK`. What became of it is in
//! the field `grpc-status`, which comes in the trailers, after all messages.
//! Whoever judges the head counts every failure of a gRPC server as a
//! success.
//!
//! # Example
//!
//! ```
//! use axiomatic_failure::circuit_breaker::CircuitBreaker;
//! use axiomatic_http::Grpc;
//!
//! let breaker = CircuitBreaker::default();
//! let unary = breaker.layer().with_binding(Grpc);
//! // For streams that stay open, which must not hold a permit as long:
//! let streams = breaker.layer().with_binding(Grpc.at_head());
//! # let _: (&axiomatic_failure::circuit_breaker::CircuitBreakerLayer<_, Grpc>, _) = (&unary, streams);
//! ```
//!
//! # How it works
//!
//! | The answer | Is judged by |
//! |---|---|
//! | has `grpc-status` in its head ("trailers only") | that, at once, whatever the HTTP status |
//! | has another HTTP status than 200 | that, at once: no gRPC server wrote it |
//! | has `grpc-status` in its trailers | that, when they come |
//! | ends without one, or breaks | `Transient`: half an answer |
//! | is dropped before its end | nothing: cancelled |
//!
//! | Code | Outcome | Because |
//! |---|---|---|
//! | `OK` | `Success` | |
//! | `CANCELLED` | `Ignored` | the caller gave up; servers echo it, and it says nothing of them |
//! | `UNKNOWN` | `Transient` | what a handler that threw is answered with, and every code that is not listed |
//! | `INVALID_ARGUMENT`, `NOT_FOUND`, `ALREADY_EXISTS`, `FAILED_PRECONDITION`, `OUT_OF_RANGE` | `Permanent` | the request does not fit the state of things, the dependency works |
//! | `PERMISSION_DENIED`, `UNAUTHENTICATED` | `Permanent` | the caller lacks something |
//! | `UNIMPLEMENTED` | `Permanent` | it will not learn the method by tomorrow |
//! | `DEADLINE_EXCEEDED` | `Transient` | it did not answer in time |
//! | `RESOURCE_EXHAUSTED` | `Throttled` | a quota or a queue is full |
//! | `ABORTED` | `Transient` | a conflict, and the call may work when it is made again |
//! | `INTERNAL`, `DATA_LOSS` | `Transient` | it broke; that a retry will not bring data back is the retry's affair |
//! | `UNAVAILABLE` | `Transient` | it is not there |
//!
//! | HTTP status without `grpc-status` | Is read as |
//! |---|---|
//! | 400 | `INTERNAL` |
//! | 401 | `UNAUTHENTICATED` |
//! | 403 | `PERMISSION_DENIED` |
//! | 404 | `UNIMPLEMENTED` |
//! | 429, 503 | `UNAVAILABLE`, and `Throttled`: HTTP says it, so its `Retry-After` counts |
//! | 502, 504 | `UNAVAILABLE` |
//! | others | `UNKNOWN` |
//!
//! A server that wants to be left alone for a while says so in
//! `grpc-retry-pushback-ms`: with a wait, `RESOURCE_EXHAUSTED` and every
//! transient code are `Throttled`, until then. A negative or unreadable value
//! asks not to be tried again at all. No [`Outcome`] says "a failure that is
//! not repeated", so the code stands as it is, and the binding
//! [advises](Advise) against it where the head says so: an answer of trailers
//! only. A failure that comes with real trailers is past any retry, since the
//! answer has been handed on. `RetryInfo`, which is protobuf inside of
//! `grpc-status-details-bin`, is not read.
//!
//! Otherwise the advice is that of [`Http`]. A retry that gives up marks its
//! answer with a negative pushback too, for clients that know gRPC and not
//! us.
//!
//! # Guarantees
//!
//! - Every code and every HTTP status means what the tables say
//!   (`a_code_means_what_the_table_says`,
//!   `a_status_of_http_counts_only_without_one_of_grpc`).
//! - The trailers decide, and nothing before them
//!   (`the_trailers_decide`); without them a call has failed
//!   (`an_answer_without_a_status_is_transient`).
//! - An answer of trailers only is settled at its head
//!   (`trailers_only_is_settled_at_once`).
//! - A wait is read, and its absence is no wait
//!   (`a_pushback_throttles`).
//! - At the head, no permit outlives it (`at_head_a_stream_holds_no_permit`).
//! - What real HTTP/2 makes of trailers, trips a breaker
//!   (`a_breaker_sees_the_trailers_of_http_2`).
//!
//! # Cost
//!
//! As [`body_end`](crate::body_end), and two lookups of a field in a map.
//!
//! # When not to use it
//!
//! For streams that stay open, for the reasons in
//! [`body_end`](crate::body_end#when-not-to-use-it): their verdict comes when
//! they break, and until then they hold a probe's place.
//! [`Grpc::at_head`] settles when the server has begun to answer. It sees
//! what failed before: trailers only, a proxy's status, no connection.
//!
//! Not for gRPC-Web, whose trailers are inside of the body.
//!
//! # References
//!
//! gRPC over HTTP/2, "Responses"; gRPC, "HTTP to gRPC Status Code Mapping";
//! gRFC A6, "Client Retries".

use std::time::Duration;

use axiomatic_core::binding::Classified;
use axiomatic_core::context::{Choice, Deadline, Endpoint};
use axiomatic_core::{
    Advice, Advise, Carrier, Classify, Complete, Context, Outcome, Refusable, Settle,
};
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use http_body::Body;

use crate::body_end::{ClassifyEnd, PermitBody};
use crate::{Http, binding};

/// The field that says what became of a call.
pub const STATUS: &str = "grpc-status";

/// The field that says when the server wants to hear from us again.
pub const PUSHBACK: &str = "grpc-retry-pushback-ms";

/// The binding for gRPC: a call is over with its trailers.
///
/// The context is where [`Http`] has it. The [module](self) says what an
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
    #[inline]
    fn context(&self, request: &Request<B>) -> Context {
        Http.context(request)
    }

    #[inline]
    fn deadline(&self, request: &Request<B>) -> Option<Deadline> {
        Http.deadline(request)
    }

    #[inline]
    fn set_context(&self, request: &mut Request<B>, context: Context) {
        Http.set_context(request, context);
    }

    fn choice(&self, request: &Request<B>) -> Option<Choice> {
        Http.choice(request)
    }

    fn set_choice(&self, request: &mut Request<B>, choice: Choice) {
        Http.set_choice(request, choice);
    }
}

impl<B> Carrier<Request<B>> for AtHead {
    #[inline]
    fn context(&self, request: &Request<B>) -> Context {
        Http.context(request)
    }

    #[inline]
    fn deadline(&self, request: &Request<B>) -> Option<Deadline> {
        Http.deadline(request)
    }

    #[inline]
    fn set_context(&self, request: &mut Request<B>, context: Context) {
        Http.set_context(request, context);
    }

    fn choice(&self, request: &Request<B>) -> Option<Choice> {
        Http.choice(request)
    }

    fn set_choice(&self, request: &mut Request<B>, choice: Choice) {
        Http.set_choice(request, choice);
    }
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

/// What the fields of a head or of trailers say of a call; nothing if they
/// have no `grpc-status`.
pub fn outcome(fields: &HeaderMap) -> Option<Outcome> {
    let outcome = Code::read(fields)?.outcome();
    Some(match (outcome, Pushback::read(fields)) {
        (Outcome::Transient | Outcome::Throttled { .. }, Some(Pushback::Wait(wait))) => {
            Outcome::Throttled {
                retry_after: Some(wait),
            }
        }
        (outcome, _) => outcome,
    })
}

/// A status code of gRPC.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "gRPC documents its codes")]
pub enum Code {
    Ok = 0,
    Cancelled = 1,
    Unknown = 2,
    InvalidArgument = 3,
    DeadlineExceeded = 4,
    NotFound = 5,
    AlreadyExists = 6,
    PermissionDenied = 7,
    ResourceExhausted = 8,
    FailedPrecondition = 9,
    Aborted = 10,
    OutOfRange = 11,
    Unimplemented = 12,
    Internal = 13,
    Unavailable = 14,
    DataLoss = 15,
    Unauthenticated = 16,
}

impl Code {
    /// Every code, by its number.
    pub const ALL: [Code; 17] = [
        Code::Ok,
        Code::Cancelled,
        Code::Unknown,
        Code::InvalidArgument,
        Code::DeadlineExceeded,
        Code::NotFound,
        Code::AlreadyExists,
        Code::PermissionDenied,
        Code::ResourceExhausted,
        Code::FailedPrecondition,
        Code::Aborted,
        Code::OutOfRange,
        Code::Unimplemented,
        Code::Internal,
        Code::Unavailable,
        Code::DataLoss,
        Code::Unauthenticated,
    ];

    /// The code in these fields. One that is not listed, or no number at all,
    /// is [`Code::Unknown`], as for every client of gRPC.
    pub fn read(fields: &HeaderMap) -> Option<Code> {
        let code = |value: &HeaderValue| {
            let number: usize = value.to_str().ok()?.parse().ok()?;
            Code::ALL.get(number).copied()
        };
        let value = fields.get(STATUS)?;
        Some(code(value).unwrap_or(Code::Unknown))
    }

    /// What an HTTP status means where gRPC's own is missing.
    pub const fn of_http(status: StatusCode) -> Code {
        match status.as_u16() {
            400 => Code::Internal,
            401 => Code::Unauthenticated,
            403 => Code::PermissionDenied,
            404 => Code::Unimplemented,
            429 | 502 | 503 | 504 => Code::Unavailable,
            _ => Code::Unknown,
        }
    }

    /// What a call with this code is worth.
    pub const fn outcome(self) -> Outcome {
        match self {
            Code::Ok => Outcome::Success,
            Code::Cancelled => Outcome::Ignored,
            Code::InvalidArgument
            | Code::NotFound
            | Code::AlreadyExists
            | Code::PermissionDenied
            | Code::FailedPrecondition
            | Code::OutOfRange
            | Code::Unimplemented
            | Code::Unauthenticated => Outcome::Permanent,
            Code::ResourceExhausted => Outcome::Throttled { retry_after: None },
            Code::Unknown
            | Code::DeadlineExceeded
            | Code::Aborted
            | Code::Internal
            | Code::Unavailable
            | Code::DataLoss => Outcome::Transient,
        }
    }
}

/// What a server asks of those who would try again.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Pushback {
    /// Not before so long.
    Wait(Duration),
    /// Not at all.
    Never,
}

impl Pushback {
    /// The pushback in these fields.
    pub fn read(fields: &HeaderMap) -> Option<Pushback> {
        let millis = |value: &HeaderValue| -> Option<u32> {
            let millis: i32 = value.to_str().ok()?.parse().ok()?;
            millis.try_into().ok()
        };
        let value = fields.get(PUSHBACK)?;
        Some(match millis(value) {
            Some(millis) => Pushback::Wait(Duration::from_millis(millis.into())),
            None => Pushback::Never,
        })
    }
}
