use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use axiomatic_core::{Outcome, Settle};
use http::{HeaderMap, Response, StatusCode};
use http_body::{Body, Frame, SizeHint};
use pin_project::{pin_project, pinned_drop};

use super::{ByHead, ClassifyEnd};

/// The body of an answer, with the permit of the call until that is settled.
///
/// Whoever has to name it and would rather not may box it:
/// `.map_response(|response| response.map(axum::body::Body::new))`.
#[pin_project(PinnedDrop)]
pub struct PermitBody<B: Body, P: Settle, C: ClassifyEnd<B::Error> = ByHead> {
    #[pin]
    inner: B,
    /// The call, until it is settled.
    call: Option<Call<P, C>>,
    /// Whether the inner body is being polled. If it still is when we are
    /// dropped, now or after someone caught the panic, the call panicked.
    is_polling: bool,
}

/// A call that waits for the end of its body.
struct Call<P, C> {
    permit: P,
    head: Outcome,
    end: C,
}

impl<P: Settle, C> Call<P, C> {
    #[inline]
    fn settle<E>(self, end: Result<Option<&HeaderMap>, &E>)
    where
        C: ClassifyEnd<E>,
    {
        let outcome = self.end.classify_end(self.head, end);
        self.permit.settle(outcome);
    }
}

impl<B: Body, P: Settle, C: ClassifyEnd<B::Error>> PermitBody<B, P, C> {
    /// The response with the permit in its body; or, if there is nothing to
    /// wait for, with the permit settled.
    #[inline]
    pub(crate) fn carry(
        permit: P,
        head: Outcome,
        end: C,
        response: Response<B>,
    ) -> Response<PermitBody<B, P, C>> {
        match head {
            Outcome::Success | Outcome::Permanent => {}
            Outcome::Transient | Outcome::Throttled { .. } | Outcome::Ignored => {
                return Self::settle(permit, head, response);
            }
        }
        let call = Call { permit, head, end };
        let is_over = has_no_body(response.status()) || response.body().is_end_stream();
        let call = if is_over {
            call.settle::<B::Error>(Ok(None));
            None
        } else {
            Some(call)
        };
        response.map(|inner| PermitBody::new(inner, call))
    }

    /// The response of a call that is over with its head.
    #[inline]
    pub(crate) fn settle(
        permit: P,
        outcome: Outcome,
        response: Response<B>,
    ) -> Response<PermitBody<B, P, C>> {
        permit.settle(outcome);
        response.map(|inner| PermitBody::new(inner, None))
    }

    fn new(inner: B, call: Option<Call<P, C>>) -> Self {
        PermitBody {
            inner,
            call,
            is_polling: false,
        }
    }

    /// The body as it came.
    pub fn get_ref(&self) -> &B {
        &self.inner
    }
}

/// Answers that end with their head, whatever their fields say (RFC 9112,
/// 6.3). Those to `HEAD` do too, and only their body knows of it.
fn has_no_body(status: StatusCode) -> bool {
    status.is_informational()
        || status == StatusCode::NO_CONTENT
        || status == StatusCode::NOT_MODIFIED
}

impl<B: Body, P: Settle, C: ClassifyEnd<B::Error>> Body for PermitBody<B, P, C> {
    type Data = B::Data;
    type Error = B::Error;

    #[inline]
    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let mut this = self.project();
        *this.is_polling = true;
        let polled = this.inner.as_mut().poll_frame(cx);
        // Trailers are read from the frame itself. After any other frame the
        // body may know that it was the last, and then nobody has to poll.
        let is_over = match &polled {
            Poll::Pending => false,
            Poll::Ready(Some(Ok(frame))) => frame.is_trailers() || this.inner.is_end_stream(),
            Poll::Ready(None | Some(Err(_))) => true,
        };
        *this.is_polling = false;

        let frame = ready!(polled);
        if is_over {
            if let Some(call) = this.call.take() {
                call.settle(match &frame {
                    Some(Ok(frame)) => Ok(frame.trailers_ref()),
                    Some(Err(error)) => Err(error),
                    None => Ok(None),
                });
            }
        }
        Poll::Ready(frame)
    }

    #[inline]
    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    #[inline]
    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

#[pinned_drop]
impl<B: Body, P: Settle, C: ClassifyEnd<B::Error>> PinnedDrop for PermitBody<B, P, C> {
    #[inline]
    fn drop(self: Pin<&mut Self>) {
        let this = self.project();
        let Some(call) = this.call.take() else {
            return;
        };
        if *this.is_polling {
            call.permit.panicked();
            return;
        }
        // Whoever saw that it is at its end had no reason to poll again.
        let all_came = || !C::READS_TRAILERS && this.inner.size_hint().exact() == Some(0);
        if this.inner.is_end_stream() || all_came() {
            call.settle::<B::Error>(Ok(None));
        } else {
            call.permit.cancelled();
        }
    }
}

/// A body that no call waits for: what a refusal is answered with.
impl<B, P, C> From<&'static str> for PermitBody<B, P, C>
where
    B: Body + From<&'static str>,
    P: Settle,
    C: ClassifyEnd<B::Error>,
{
    fn from(text: &'static str) -> Self {
        PermitBody::new(text.into(), None)
    }
}

impl<B, P, C> fmt::Debug for PermitBody<B, P, C>
where
    B: Body + fmt::Debug,
    P: Settle,
    C: ClassifyEnd<B::Error>,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PermitBody")
            .field("inner", &self.inner)
            .field("is_settled", &self.call.is_none())
            .finish_non_exhaustive()
    }
}
