use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use axiomatic_core::binding::Advise;
use axiomatic_core::budget::Budget;
use axiomatic_core::context::Endpoint;
use axiomatic_core::repeat::Repeat;
use axiomatic_core::{Carrier, Classify, Outcome, Pattern, Reason, Refusable, Rejected};
use pin_project::pin_project;
use tokio::time::{Sleep, sleep};
use tower_service::Service;

use super::retry::Core;
use super::{Ended, GaveUp, Session, Verdict};

/// The response of a [`RetryService`](super::RetryService): one attempt after
/// the other, with the waits between them.
#[pin_project]
pub struct ResponseFuture<S: Service<Req>, Req, E, B, R, Bu: Budget> {
    #[pin]
    state: State<S::Future, E>,
    /// None while the retry stands aside.
    session: Option<Session<Bu>>,
    spare: Option<Spare<S, Req, R>>,
    binding: B,
}

/// What another attempt takes.
pub(super) struct Spare<S, Req, R> {
    pub(super) service: S,
    pub(super) rule: R,
    /// None once it is clear that no attempt after this one is allowed.
    pub(super) request: Option<Req>,
}

impl<S, Req, R: Repeat<Req>> Spare<S, Req, R> {
    /// Whether the request can be sent, if there is one.
    fn is_intact(&self) -> bool {
        let request = self.request.as_ref();
        request.is_none_or(|request| self.rule.is_intact(request))
    }
}

#[pin_project(project = StateProjection)]
enum State<F, E> {
    /// An attempt is under way.
    Attempt(#[pin] F),
    /// The wait before the next. A response that failed has been dropped: a
    /// connection, or a permit further in, should not wait with us.
    Waiting(#[pin] Sleep, Before<E>),
    /// The instance for the next becomes ready.
    Readying(Before<E>),
    Done,
}

/// What is kept of the attempt before.
struct Before<E> {
    /// Its error, should there be no time for another attempt after all.
    error: Option<E>,
    /// Who answered it, to be avoided.
    endpoint: Option<Endpoint>,
}

impl<E> Before<E> {
    fn take(&mut self) -> Self {
        Before {
            error: self.error.take(),
            endpoint: self.endpoint,
        }
    }
}

impl<S: Service<Req>, Req, E, B, R, Bu: Budget> ResponseFuture<S, Req, E, B, R, Bu> {
    #[inline]
    pub(super) fn once(attempt: S::Future, binding: B) -> Self {
        ResponseFuture {
            state: State::Attempt(attempt),
            session: None,
            spare: None,
            binding,
        }
    }

    #[inline]
    pub(super) fn repeating(
        attempt: S::Future,
        binding: B,
        session: Session<Bu>,
        spare: Option<Spare<S, Req, R>>,
    ) -> Self {
        ResponseFuture {
            state: State::Attempt(attempt),
            session: Some(session),
            spare,
            binding,
        }
    }
}

impl<S, Req, E, B, R, Bu> Future for ResponseFuture<S, Req, E, B, R, Bu>
where
    S: Service<Req>,
    S::Error: Into<E>,
    E: Refusable,
    B: Carrier<Req> + Classify<S::Response, E> + Advise<S::Response, E>,
    R: Repeat<Req>,
    Bu: Budget,
{
    type Output = Result<S::Response, E>;

    #[inline(always)]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        loop {
            let this = self.as_mut().project();
            let StateProjection::Attempt(attempt) = this.state.project() else {
                match ready!(self.as_mut().poll_between(cx)) {
                    Ok(()) => continue,
                    Err(result) => return Poll::Ready(result),
                }
            };
            let result = ready!(attempt.poll(cx)).map_err(Into::into);
            let Some(session) = this.session else {
                return Poll::Ready(result);
            };
            let ended = Ended::read(this.binding, result.as_ref());
            // Only who would repeat a call asks whether it still can.
            if ended.outcome != Outcome::Success
                && this.spare.as_ref().is_some_and(|spare| !spare.is_intact())
            {
                session.only_once();
            }
            let verdict = session.record_reading(Core::exact_now, &ended);
            if verdict == Verdict::Return {
                // The call is over, also if its future is kept.
                *this.session = None;
                *this.spare = None;
                return Poll::Ready(result);
            }
            if let Some(result) = self.as_mut().after(verdict, result) {
                return Poll::Ready(result);
            }
        }
    }
}

impl<S, Req, E, B, R, Bu> ResponseFuture<S, Req, E, B, R, Bu>
where
    S: Service<Req>,
    S::Error: Into<E>,
    E: Refusable,
    B: Carrier<Req> + Advise<S::Response, E>,
    R: Repeat<Req>,
    Bu: Budget,
{
    /// An attempt has failed: begins the wait for the next, or returns what
    /// is final.
    #[inline(never)]
    fn after(
        mut self: Pin<&mut Self>,
        verdict: Verdict,
        result: Result<S::Response, E>,
    ) -> Option<Result<S::Response, E>> {
        let after = match verdict {
            Verdict::Return => return Some(result),
            Verdict::GiveUp(why) => return Some(self.end(why, result)),
            Verdict::Again { after } => after,
        };
        let mut this = self.as_mut().project();
        let before = Before {
            endpoint: this.binding.endpoint(result.as_ref()),
            error: result.err(),
        };
        this.state.set(if after.is_zero() {
            State::Readying(before)
        } else {
            State::Waiting(sleep(after), before)
        });
        None
    }

    /// There is no other attempt: marks what those further out should not
    /// repeat either, and lets go of everything.
    fn end(
        self: Pin<&mut Self>,
        why: GaveUp,
        mut result: Result<S::Response, E>,
    ) -> Result<S::Response, E> {
        let mut this = self.project();
        let made = this.session.as_ref().map_or(1, Session::attempt);
        if why.is_final(made) {
            this.binding.given_up(&mut result);
        }
        this.state.set(State::Done);
        *this.session = None;
        *this.spare = None;
        result
    }

    /// Between two attempts: waits, readies the instance for the next, and
    /// makes it.
    #[inline(never)]
    fn poll_between(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), Result<S::Response, E>>> {
        let mut this = self.as_mut().project();
        if let StateProjection::Waiting(wait, before) = this.state.as_mut().project() {
            ready!(wait.poll(cx));
            let before = before.take();
            this.state.set(State::Readying(before));
        }
        let StateProjection::Readying(before) = this.state.as_mut().project() else {
            panic!("polled after it was ready");
        };
        let (Some(session), Some(spare)) = (this.session.as_mut(), this.spare.as_mut()) else {
            unreachable!("whoever is to try again has what that takes");
        };
        if let Err(error) = ready!(spare.service.poll_ready(cx)) {
            session.unready();
            return Poll::Ready(Err(self.end(GaveUp::Unready, Err(error.into()))));
        }
        let before = before.take();
        if !spare.is_intact() {
            session.only_once();
        }
        let now = session.core().exact_now();
        let started = session.try_start(now);
        let (Ok(()), Some(mut request)) = (started, spare.request.take()) else {
            let why = started.err().unwrap_or(GaveUp::Unrepeatable);
            let name = session.core().name;
            let error = before.error.unwrap_or_else(|| {
                let reason = match why {
                    GaveUp::Deadline => Reason::Elapsed,
                    _ => Reason::Unrepeated,
                };
                Rejected::new(Pattern::Retry, reason).with_name(name).into()
            });
            return Poll::Ready(Err(self.end(why, Err(error))));
        };
        let mut context = session.mark(this.binding.context(&request));
        if let Some(endpoint) = before.endpoint {
            context = context.avoiding(endpoint);
        }
        this.binding.set_context(&mut request, context.clone());
        spare.request = if session.has_more() {
            spare.rule.repeat(&context, &request)
        } else {
            None
        };
        if spare.request.is_none() {
            session.only_once();
        }
        let attempt = spare.service.call(request);
        this.state.set(State::Attempt(attempt));
        Poll::Ready(Ok(()))
    }
}

impl<S: Service<Req>, Req, E, B, R, Bu: Budget> fmt::Debug for ResponseFuture<S, Req, E, B, R, Bu> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match &self.state {
            State::Attempt(_) => "attempt",
            State::Waiting(..) => "waiting",
            State::Readying(_) => "readying",
            State::Done => "done",
        };
        f.debug_struct("ResponseFuture")
            .field("state", &state)
            .field("session", &self.session)
            .finish_non_exhaustive()
    }
}
