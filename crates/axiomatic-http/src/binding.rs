use std::time::SystemTime;

use axiomatic_core::allowance::{Allowance, Announce, Heard, Heed};
use axiomatic_core::binding::Classified;
use axiomatic_core::context::{AdmissionLevel, Choice, Deadline, Endpoint};
use axiomatic_core::{
    Advice, Advise, Carrier, Classify, Complete, Context, Outcome, Refusable, Settle,
};
use http::{Extensions, HeaderMap, Request, Response, StatusCode};

use crate::body_end::ToBodyEnd;
use crate::{advice, fields, rate_limit, retry_after};

/// The binding for HTTP.
///
/// # What an answer means
///
/// | Status | Outcome | Because |
/// |---|---|---|
/// | 1xx, 2xx, 3xx | `Success` | it was understood and answered |
/// | 408, 425 | `Transient` | the same request, sent again, may pass |
/// | 429, 503 | `Throttled` | the other side asks for less, and `Retry-After` may say until when |
/// | 501, 505 | `Permanent` | it will not learn the method or the version by tomorrow |
/// | other 4xx | `Permanent` | the request is wrong, the dependency works |
/// | other 5xx, and beyond | `Transient` | it failed; an unknown class counts as 5xx (RFC 9110, 15) |
///
/// An error that is a [rejection](axiomatic_core::Rejected) is worth what its
/// [reason](axiomatic_core::Reason::outcome) says; any other error means that
/// there was no answer, which is `Transient`.
///
/// Where an API means something else, say so; the rest of the binding stays:
///
/// ```
/// use axiomatic_core::{BoxError, Classify, Outcome};
/// use axiomatic_http::Http;
/// use http::Response;
///
/// // This dependency says 404 while it has not yet replicated.
/// let binding = Http.classified_by(|result: Result<&Response<String>, &BoxError>| match result {
///     Ok(response) if response.status() == 404 => Outcome::Transient,
///     other => Classify::classify(&Http, other),
/// });
/// # let mut missing = Response::new(String::new());
/// # *missing.status_mut() = http::StatusCode::NOT_FOUND;
/// # assert_eq!(Classify::classify(&binding, Ok(&missing)), Outcome::Transient);
/// ```
///
/// # Where the context is
///
/// In the extensions of the request, as one [`Context`]. What that does not
/// say, the scope (`axiomatic_http::scope`) fills in, if the feature `tokio` is on and a
/// handler runs in one; without either it is the default context. Reading it
/// allocates nothing.
///
/// ```
/// use axiomatic_core::context::{Context, Repeatability};
/// use http::Request;
///
/// let request = Request::get("/price")
///     .extension(Context::default().with_repeatability(Repeatability::Repeatable))
///     .body(())?;
/// # use axiomatic_core::Carrier;
/// # let context = axiomatic_http::Http.context(&request);
/// # assert_eq!(context.repeatability(), Repeatability::Repeatable);
/// # Ok::<(), http::Error>(())
/// ```
///
/// # Whether to call again
///
/// Besides the outcome, an answer says ([`Advise`]):
///
/// | Answer | Advice |
/// |---|---|
/// | [`axiomatic-retry: never`](crate::fields::RETRY) | never: a retry closer to the failure has given up |
/// | an error whose chain has `ConnectionRefused` | it was not sent |
/// | an error of HTTP/2 by which the other side says so: `REFUSED_STREAM`, or a GOAWAY without an error that leaves the stream out (feature `h2`) | it was not sent |
/// | anything else | what its outcome says |
///
/// The chain is that of [`Refusable::as_error`]; the errors of hyper and
/// reqwest have the cause in it. An [`Endpoint`] in the extensions of an
/// answer is the instance that gave it. A retry that gives up marks its
/// answer with the same field, and tells the scope.
///
/// # What is left of a rate
///
/// Limiters announce it in an answer ([`Announce`]), and hear of it in one
/// ([`Heed`]): [`rate_limit`](crate::rate_limit) says in which fields.
///
/// # What is admitted
///
/// Who sheds load announces its level, and its callers hear it, in
/// [`axiomatic-admission-level`](crate::fields::ADMISSION_LEVEL).
///
/// # When a call is over
///
/// When the head of the answer is there. For a body that takes longer than
/// the head and can fail, that is too early:
/// [`to_body_end`](Http::to_body_end) is the binding whose calls are over when
/// the body is. It changes the response's type. [`body_end`](crate::body_end)
/// says for which bodies it is wrong.
///
/// # Time
///
/// `Retry-After` may be a date, as `X-RateLimit-Reset` may be a moment, and
/// either means nothing without a clock. It is read against the answer's own
/// `Date`: one clock wrote both, so that its error cancels out. Only an answer
/// without `Date` is read against the system's clock, and that is the one clock
/// this crate reads.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct Http;

impl Http {
    /// The same binding with another classification.
    pub fn classified_by<F>(self, classify: F) -> Classified<Self, F> {
        Classified::new(self, classify)
    }

    /// The same binding, but a call is over when the body of its answer is.
    /// What is to be classified otherwise comes after it:
    /// `Http.to_body_end().classified_by(…)`.
    pub const fn to_body_end(self) -> ToBodyEnd<Self> {
        ToBodyEnd::new(self)
    }
}

impl<B> Carrier<Request<B>> for Http {
    #[inline]
    fn context(&self, request: &Request<B>) -> Context {
        context(request.extensions())
    }

    #[inline]
    fn deadline(&self, request: &Request<B>) -> Option<Deadline> {
        match request.extensions().get::<Context>() {
            Some(context) => context.deadline(),
            None => self.context(request).deadline(),
        }
    }

    #[inline]
    fn set_context(&self, request: &mut Request<B>, context: Context) {
        // In the place of the one that is there, which allocates nothing.
        match request.extensions_mut().get_mut() {
            Some(carried) => *carried = context,
            None => drop(request.extensions_mut().insert(context)),
        }
    }

    fn choice(&self, request: &Request<B>) -> Option<Choice> {
        request.extensions().get().cloned()
    }

    fn set_choice(&self, request: &mut Request<B>, choice: Choice) {
        request.extensions_mut().insert(choice);
    }
}

impl<B, E: Refusable> Classify<Response<B>, E> for Http {
    #[inline]
    fn classify(&self, result: Result<&Response<B>, &E>) -> Outcome {
        match result {
            Ok(response) => outcome(response.status(), response.headers()),
            Err(error) => unanswered(error),
        }
    }
}

impl<P: Settle, B> Complete<P, Response<B>> for Http {
    type Response = Response<B>;

    #[inline]
    fn complete(&self, permit: P, outcome: Outcome, response: Response<B>) -> Response<B> {
        permit.settle(outcome);
        response
    }
}

impl<B, E: Refusable> Advise<Response<B>, E> for Http {
    fn advice(&self, result: Result<&Response<B>, &E>) -> Advice {
        match result {
            Ok(response) if fields::forbids_retry(response.headers()) => Advice::Never,
            Ok(_) => Advice::ByOutcome,
            Err(error) => advice::of_error(error),
        }
    }

    fn endpoint(&self, result: Result<&Response<B>, &E>) -> Option<Endpoint> {
        advice::endpoint(result)
    }

    fn given_up(&self, result: &mut Result<Response<B>, E>) {
        #[cfg(feature = "tokio")]
        crate::scope::give_up();
        if let Ok(response) = result {
            fields::forbid_retry(response.headers_mut());
        }
    }
}

impl<B> Announce<Response<B>> for Http {
    fn announce(&self, response: &mut Response<B>, allowance: impl FnOnce() -> Allowance) {
        rate_limit::announce(response.headers_mut(), &allowance());
    }

    fn announce_level(&self, response: &mut Response<B>, level: impl FnOnce() -> AdmissionLevel) {
        fields::announce_level(response.headers_mut(), level());
    }
}

impl<B> Heed<Response<B>> for Http {
    fn heed(&self, response: &Response<B>) -> Option<Heard> {
        // For a date in an answer that has no `Date` of its own to read it by.
        rate_limit::heed(response.status(), response.headers(), SystemTime::now)
    }

    #[inline]
    fn heed_level(&self, response: &Response<B>) -> Option<AdmissionLevel> {
        fields::admission_level(response.headers())
    }
}

/// What the extensions of a request say, and the scope where they do not.
#[inline]
pub(crate) fn context(extensions: &Extensions) -> Context {
    let own = extensions.get::<Context>();
    #[cfg(feature = "tokio")]
    {
        crate::scope::inherit(own)
    }
    #[cfg(not(feature = "tokio"))]
    {
        own.cloned().unwrap_or_default()
    }
}

/// What a call is worth that has an error for an answer.
#[inline]
pub(crate) fn unanswered<E: Refusable>(error: &E) -> Outcome {
    match error.rejected() {
        Some(rejected) => rejected.reason().outcome(),
        None => Outcome::Transient,
    }
}

pub(crate) fn outcome(status: StatusCode, headers: &HeaderMap) -> Outcome {
    match status.as_u16() {
        ..400 => Outcome::Success,
        408 | 425 => Outcome::Transient,
        429 | 503 => Outcome::Throttled {
            retry_after: retry_after::wait(headers, SystemTime::now),
        },
        501 | 505 => Outcome::Permanent,
        400..500 => Outcome::Permanent,
        500.. => Outcome::Transient,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axiomatic_core::context::Priority;
    use axiomatic_core::{BoxError, Pattern, Reason, Rejected};
    use std::time::Duration;

    fn of(status: u16) -> Outcome {
        outcome(StatusCode::from_u16(status).unwrap(), &HeaderMap::new())
    }

    #[test]
    fn a_status_means_what_the_table_says() {
        let throttled = Outcome::Throttled { retry_after: None };
        for (status, expected) in [
            (101, Outcome::Success),
            (200, Outcome::Success),
            (204, Outcome::Success),
            (304, Outcome::Success),
            (399, Outcome::Success),
            (400, Outcome::Permanent),
            (404, Outcome::Permanent),
            (408, Outcome::Transient),
            (409, Outcome::Permanent),
            (425, Outcome::Transient),
            (429, throttled),
            (499, Outcome::Permanent),
            (500, Outcome::Transient),
            (501, Outcome::Permanent),
            (502, Outcome::Transient),
            (503, throttled),
            (504, Outcome::Transient),
            (505, Outcome::Permanent),
            (599, Outcome::Transient),
            (600, Outcome::Transient),
            (999, Outcome::Transient),
        ] {
            assert_eq!(of(status), expected, "{status}");
        }
    }

    #[test]
    fn only_a_throttling_answer_is_asked_until_when() {
        let mut headers = HeaderMap::new();
        headers.insert(http::header::RETRY_AFTER, "7".parse().unwrap());
        let wait = Some(Duration::from_secs(7));
        assert_eq!(
            outcome(StatusCode::TOO_MANY_REQUESTS, &headers),
            Outcome::Throttled { retry_after: wait }
        );
        assert_eq!(
            outcome(StatusCode::MOVED_PERMANENTLY, &headers),
            Outcome::Success
        );
    }

    #[test]
    fn an_error_is_transient_unless_it_is_a_refusal() {
        let classify = |error: BoxError| Classify::classify(&Http, Err::<&Response<()>, _>(&error));
        assert_eq!(classify("reset".into()), Outcome::Transient);
        for (reason, expected) in [
            (Reason::Open, Outcome::Ignored),
            (Reason::Elapsed, Outcome::Transient),
        ] {
            let error = Rejected::new(Pattern::Timeout, reason).into();
            assert_eq!(classify(error), expected, "{reason:?}");
        }
    }

    #[test]
    fn the_context_travels_in_the_extensions() {
        let mut request = Request::new(());
        assert_eq!(Http.context(&request), Context::default());
        assert!(request.extensions().is_empty());

        let context = Context::default().with_priority(Priority::SHEDDABLE);
        Http.set_context(&mut request, context.clone());
        assert_eq!(Http.context(&request), context);
        assert_eq!(request.extensions().get(), Some(&context));
    }

    #[test]
    fn each_binding_finds_the_deadline_that_the_context_has() {
        fn told(request: &Request<()>) -> [Option<Deadline>; 5] {
            let classified = Http.classified_by(|_: Result<&(), &BoxError>| Outcome::Success);
            [
                Http.context(request).deadline(),
                Http.deadline(request),
                Http.to_body_end().deadline(request),
                classified.deadline(request),
                crate::Grpc.at_head().deadline(request),
            ]
        }
        let mut request = Request::new(());
        assert_eq!(told(&request), [None; 5]);
        let deadline = Deadline::at(axiomatic_core::time::Instant::from_nanos(7));
        Http.set_context(&mut request, Context::default().with_deadline(deadline));
        assert_eq!(told(&request), [Some(deadline); 5]);
    }

    /// What a binding around another does not hand on is lost.
    #[test]
    fn each_binding_carries_a_choice() {
        fn told(binding: &impl Carrier<Request<()>>) -> Option<Endpoint> {
            let chosen = Endpoint::from_bytes(b"10.0.0.7:443");
            let mut request = Request::new(());
            binding.set_choice(&mut request, Choice::new());
            binding.choice(&request)?.tell(chosen);
            binding
                .choice(&request)?
                .told()
                .filter(|told| *told == chosen)
        }
        let by_status = |_: Result<&Response<()>, &BoxError>| Outcome::Ignored;
        assert!(told(&Http).is_some());
        assert!(told(&Http.to_body_end()).is_some());
        assert!(told(&Http.classified_by(by_status)).is_some());
        assert!(told(&crate::Grpc).is_some());
        assert!(told(&crate::Grpc.at_head()).is_some());
    }

    #[test]
    fn an_answer_is_complete_with_its_head() {
        struct Permit<'a>(&'a mut Option<Outcome>);
        impl Settle for Permit<'_> {
            fn settle(self, outcome: Outcome) {
                *self.0 = Some(outcome);
            }
            fn cancelled(self) {}
            fn panicked(self) {}
        }
        let mut settled = None;
        let response = Http.complete(
            Permit(&mut settled),
            Outcome::Success,
            Response::new("a body nobody has read yet"),
        );
        assert_eq!(settled, Some(Outcome::Success));
        assert_eq!(*response.body(), "a body nobody has read yet");
    }
}
