//! A body that does as it is told, and a permit that tells what it was told.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::mem;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use axiomatic_core::{BoxError, Outcome, Settle};
use axum::body::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};

/// What a poll of the body does.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    Pending,
    Data(&'static str),
    Trailers(HeaderMap),
    Break,
    Panic,
}

/// The body's own error, which knows nothing of refusals.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Broken;

/// What a body can tell of itself without being polled.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum Knows {
    Nothing,
    ItsEnd,
    ItsLength,
}

#[derive(Clone, Debug)]
pub(crate) struct Scripted {
    pub(crate) steps: VecDeque<Step>,
    pub(crate) knows: Knows,
}

impl Scripted {
    pub(crate) fn new(knows: Knows, steps: impl IntoIterator<Item = Step>) -> Self {
        Scripted {
            steps: steps.into_iter().collect(),
            knows,
        }
    }
}

impl Body for Scripted {
    type Data = &'static [u8];
    type Error = Broken;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Broken>>> {
        Poll::Ready(match self.steps.pop_front() {
            Some(Step::Pending) => return Poll::Pending,
            Some(Step::Data(data)) => Some(Ok(Frame::data(data.as_bytes()))),
            Some(Step::Trailers(trailers)) => Some(Ok(Frame::trailers(trailers))),
            Some(Step::Break) => Some(Err(Broken)),
            Some(Step::Panic) => panic!("the body's own"),
            None => None,
        })
    }

    fn is_end_stream(&self) -> bool {
        self.knows == Knows::ItsEnd && self.steps.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        if self.knows != Knows::ItsLength {
            return SizeHint::default();
        }
        SizeHint::with_exact(self.steps.iter().fold(0, |length, step| match step {
            Step::Data(data) => length + data.len() as u64,
            _ => length,
        }))
    }
}

#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Settled(Outcome),
    Cancelled,
    Panicked,
    /// Dropped without a word.
    Forgotten,
}

pub(crate) const GOOD: Verdict = Verdict::Settled(Outcome::Success);
pub(crate) const FAILED: Verdict = Verdict::Settled(Outcome::Transient);

/// Every verdict there was, in order; cannot be sent.
#[derive(Clone, Default)]
pub(crate) struct Verdicts(Rc<RefCell<Vec<Verdict>>>);

impl Verdicts {
    pub(crate) fn permit(&self) -> Permit {
        Permit(Some(self.clone()))
    }

    pub(crate) fn all(&self) -> Vec<Verdict> {
        self.0.borrow().clone()
    }
}

pub(crate) struct Permit(Option<Verdicts>);

impl Permit {
    fn tell(&mut self, verdict: Verdict) {
        if let Some(verdicts) = self.0.take() {
            verdicts.0.borrow_mut().push(verdict);
        }
    }
}

impl Settle for Permit {
    fn settle(mut self, outcome: Outcome) {
        self.tell(Verdict::Settled(outcome));
    }

    fn cancelled(mut self) {
        self.tell(Verdict::Cancelled);
    }

    fn panicked(mut self) {
        self.tell(Verdict::Panicked);
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.tell(Verdict::Forgotten);
    }
}

/// A body that can be sent: text, then trailers or an error, or neither. It
/// waits once before the end, so that a server writes what there is.
pub(crate) struct Frames {
    text: std::vec::IntoIter<&'static str>,
    trailers: Option<HeaderMap>,
    error: Option<BoxError>,
    has_waited: bool,
}

impl Frames {
    pub(crate) fn new<const N: usize>(
        text: [&'static str; N],
        trailers: Option<HeaderMap>,
        error: Option<BoxError>,
    ) -> Self {
        Frames {
            text: Vec::from(text).into_iter(),
            trailers,
            error,
            has_waited: false,
        }
    }
}

impl Body for Frames {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if let Some(text) = self.text.next() {
            return Poll::Ready(Some(Ok(Frame::data(text.into()))));
        }
        if !mem::replace(&mut self.has_waited, true) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        if let Some(error) = self.error.take() {
            return Poll::Ready(Some(Err(error)));
        }
        Poll::Ready(
            self.trailers
                .take()
                .map(|fields| Ok(Frame::trailers(fields))),
        )
    }
}

pub(crate) type Polled<B> = Poll<Option<Result<Frame<<B as Body>::Data>, <B as Body>::Error>>>;

pub(crate) fn poll<B: Body + Unpin>(body: &mut B) -> Polled<B> {
    Pin::new(body).poll_frame(&mut Context::from_waker(Waker::noop()))
}

pub(crate) fn trailers(name: &'static str, value: &'static str) -> HeaderMap {
    let mut trailers = HeaderMap::new();
    trailers.insert(name, value.parse().expect("a value"));
    trailers
}
