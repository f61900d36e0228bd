use std::time::Duration;

use axiomatic_core::{Reason, Rejected};
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderValue, Response, StatusCode};

use crate::retry_after;

/// The answer to a call that was rejected.
///
/// The module's table says which status it has. Its `Retry-After` is exact;
/// [`RejectionLayer`](super::RejectionLayer) spreads it.
pub fn response<B: From<&'static str>>(rejected: &Rejected) -> Response<B> {
    respond(rejected, retry_after::value)
}

pub(super) fn respond<B: From<&'static str>>(
    rejected: &Rejected,
    value: impl FnOnce(Duration) -> HeaderValue,
) -> Response<B> {
    let (status, text) = match rejected.reason() {
        Reason::Limited => (StatusCode::TOO_MANY_REQUESTS, "rate limit exceeded\n"),
        Reason::Elapsed => (StatusCode::GATEWAY_TIMEOUT, "no answer in time\n"),
        Reason::Unrepeated => (StatusCode::BAD_GATEWAY, "no good answer\n"),
        Reason::Expired => (StatusCode::GATEWAY_TIMEOUT, "came too late to answer\n"),
        Reason::Open | Reason::Unreachable => (
            StatusCode::SERVICE_UNAVAILABLE,
            "temporarily out of order\n",
        ),
        // Full, shed, and whatever reason comes to refuse for lack of room.
        _ => (StatusCode::SERVICE_UNAVAILABLE, "too busy\n"),
    };
    let mut response = plain_text(status, text);
    if let Some(wait) = rejected.retry_after() {
        let headers = response.headers_mut();
        headers.insert(RETRY_AFTER, value(wait));
    }
    response
}

/// What becomes of an error that is no rejection.
///
/// A closure from the error to a response is one; its argument has to be
/// annotated.
pub trait Respond<E, B> {
    /// The answer to `error`.
    fn respond(&self, error: E) -> Response<B>;
}

impl<F, E, B> Respond<E, B> for F
where
    F: Fn(E) -> Response<B>,
{
    fn respond(&self, error: E) -> Response<B> {
        self(error)
    }
}

/// A 500 without details: what went wrong inside is nobody's business
/// outside.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct InternalError;

impl<E, B: From<&'static str>> Respond<E, B> for InternalError {
    fn respond(&self, _: E) -> Response<B> {
        plain_text(StatusCode::INTERNAL_SERVER_ERROR, "internal error\n")
    }
}

fn plain_text<B: From<&'static str>>(status: StatusCode, text: &'static str) -> Response<B> {
    const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
    let mut response = Response::new(B::from(text));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, TEXT);
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Http;
    use axiomatic_core::{Classify, Outcome, Pattern};

    fn answer(reason: Reason, wait: Option<Duration>) -> Response<String> {
        let mut rejected = Rejected::new(Pattern::LoadShedder, reason).with_name("secret".into());
        if let Some(wait) = wait {
            rejected = rejected.with_retry_after(wait);
        }
        response(&rejected)
    }

    #[test]
    fn each_reason_has_its_status() {
        for (reason, status) in [
            (Reason::Open, 503),
            (Reason::Full, 503),
            (Reason::QueueFull, 503),
            (Reason::WaitedTooLong, 503),
            (Reason::Limited, 429),
            (Reason::Shed, 503),
            (Reason::Unreachable, 503),
            (Reason::Expired, 504),
            (Reason::Elapsed, 504),
            (Reason::Unrepeated, 502),
        ] {
            assert_eq!(answer(reason, None).status(), status, "{reason:?}");
        }
    }

    #[test]
    fn says_when_to_come_back_only_if_that_is_known() {
        let unknown = answer(Reason::Shed, None);
        assert!(!unknown.headers().contains_key(RETRY_AFTER));
        let known = answer(Reason::Shed, Some(Duration::from_millis(10)));
        assert_eq!(known.headers()[RETRY_AFTER], "1");
    }

    #[test]
    fn tells_nothing_of_the_inside() {
        let answer = answer(Reason::Full, None);
        assert_eq!(answer.body(), "too busy\n");
        assert_eq!(answer.headers()[CONTENT_TYPE], "text/plain; charset=utf-8");
        assert!(!format!("{answer:?}").contains("secret"));
    }

    #[test]
    fn what_one_side_refuses_the_other_side_understands() {
        let read = |reason, wait| {
            let answer = answer(reason, wait);
            Classify::classify(&Http, Ok::<_, &Rejected>(&answer))
        };
        for reason in [Reason::Open, Reason::Full, Reason::Shed, Reason::Limited] {
            assert_eq!(
                read(reason, Some(Duration::from_millis(1500))),
                Outcome::Throttled {
                    retry_after: Some(Duration::from_secs(2))
                },
                "{reason:?}"
            );
        }
        for reason in [Reason::Elapsed, Reason::Expired] {
            assert_eq!(read(reason, None), Outcome::Transient, "{reason:?}");
        }
    }
}
