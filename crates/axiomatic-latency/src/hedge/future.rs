use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use axiomatic_core::binding::Advise;
use axiomatic_core::budget::{Budget, Class};
use axiomatic_core::repeat::Repeat;
use axiomatic_core::{Carrier, Classify, Mode, Refusable};
use pin_project::{pin_project, pinned_drop};
use tower_service::Service;

use super::Call;
use super::second::{Second, SecondOwned, SecondProjection, Spare, Timer};
use super::verdict::{Verdict, judged};

/// The response of a [`HedgeService`](super::HedgeService): the first attempt,
/// and a second beside it if it comes to that. Both lie in here; there is no
/// box.
#[pin_project(project = Parts, PinnedDrop)]
pub struct ResponseFuture<S: Service<Req>, Req, E, B, R, Bu: Budget> {
    #[pin]
    first: First<S::Future, S::Response, E>,
    #[pin]
    second: Second<S, Req, R, Bu>,
    /// None while the hedge stands aside, and once there is an answer.
    call: Option<Call<Bu>>,
    binding: B,
    /// Whether the first attempt was ever pending: an answer that is there
    /// when it is first asked for could not have been hedged, and takes no
    /// clock to measure.
    was_pending: bool,
    /// How many polls there were, modulo 256: by that it is somebody else's
    /// turn to go first.
    polls: u8,
}

#[pin_project(project = FirstProjection, project_replace = FirstOwned)]
enum First<F, Res, E> {
    /// Of a call that is not watched.
    Alone(#[pin] F),
    UnderWay(#[pin] F),
    /// It failed with this, and the second is waited for.
    Failed(Result<Res, E>),
    Gone,
}

impl<S: Service<Req>, Req, E, B, R, Bu: Budget> ResponseFuture<S, Req, E, B, R, Bu> {
    pub(super) fn once(first: S::Future, binding: B) -> Self {
        ResponseFuture {
            first: First::Alone(first),
            second: Second::Absent,
            call: None,
            binding,
            was_pending: false,
            polls: 0,
        }
    }

    #[inline(always)]
    pub(super) fn watched(
        first: S::Future,
        spare: Option<Spare<S, Req, R>>,
        call: Call<Bu>,
        binding: B,
    ) -> Self {
        ResponseFuture {
            first: First::UnderWay(first),
            second: match spare {
                Some(spare) => Second::Spare(spare, Timer::Unset),
                None => Second::Absent,
            },
            call: Some(call),
            binding,
            was_pending: false,
            polls: 0,
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

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        if let FirstProjection::Alone(first) = this.first.as_mut().project() {
            return first.poll(cx).map_err(Into::into);
        }
        // Tokio grants a task so much work for each poll, and an attempt that
        // uses all of it must not starve the other. Before there is another,
        // the first goes first: an answer that is there needs no second.
        let is_prepared = matches!(*this.second, Second::Spare(..));
        let first_goes_last = *this.polls % 4 == 3 && !is_prepared;
        if first_goes_last {
            if let Poll::Ready(result) = this.poll_beside(cx) {
                return Poll::Ready(result);
            }
        }
        // Before the timer, so that an answer counts if it comes with the last
        // tick, and one that is there needs no look at it.
        if let Poll::Ready(result) = this.poll_first(cx) {
            return Poll::Ready(result);
        }
        // The second may have been allowed only now.
        if !first_goes_last || matches!(*this.second, Second::Readying(..)) {
            if let Poll::Ready(result) = this.poll_beside(cx) {
                return Poll::Ready(result);
            }
        }
        *this.polls = this.polls.wrapping_add(1);
        Poll::Pending
    }
}

impl<S, Req, E, B, R, Bu> Parts<'_, S, Req, E, B, R, Bu>
where
    S: Service<Req>,
    S::Error: Into<E>,
    E: Refusable,
    B: Carrier<Req> + Classify<S::Response, E> + Advise<S::Response, E>,
    R: Repeat<Req>,
    Bu: Budget,
{
    #[inline(always)]
    fn poll_first(&mut self, cx: &mut Context<'_>) -> Poll<Result<S::Response, E>> {
        let Some(call) = self.call else {
            panic!("polled after it was ready");
        };
        let FirstProjection::UnderWay(first) = self.first.as_mut().project() else {
            return Poll::Pending;
        };
        let Poll::Ready(result) = first.poll(cx) else {
            *self.was_pending = true;
            return Poll::Pending;
        };
        let result = result.map_err(Into::into);
        let (outcome, verdict) = judged(self.binding, result.as_ref());
        let now = if call.is_timed(*self.was_pending) {
            call.core().now()
        } else {
            call.began()
        };
        call.record(now, outcome);
        if verdict == Verdict::Answer {
            self.end();
            return Poll::Ready(result);
        }
        self.first_failed(result, verdict)
    }

    /// There is no answer in the first attempt: the second may have one.
    #[cold]
    fn first_failed(
        &mut self,
        result: Result<S::Response, E>,
        verdict: Verdict,
    ) -> Poll<Result<S::Response, E>> {
        if let (Verdict::Repeatable(class), Second::Spare(spare, _)) = (verdict, &*self.second) {
            // A second attempt after a failure is a retry in all but its
            // name, and leaves the call to one that repeats it already.
            let context = self.binding.context(&spare.request);
            if context.retried_by().is_none() {
                self.ask(class);
            }
        }
        if let Second::Readying(spare, _) = &*self.second {
            // Allowed, and not sent yet: not after an answer that asks for
            // none, nor for a failure that is another's to repeat.
            let is_anothers = || self.binding.context(&spare.request).retried_by().is_some();
            if verdict == Verdict::NoAnswer || is_anothers() {
                self.second.set(Second::Absent);
            }
        }
        match &*self.second {
            Second::Readying(..) | Second::UnderWay(..) => {
                self.first.set(First::Failed(result));
                Poll::Pending
            }
            Second::Absent | Second::Spare(..) => {
                self.end();
                Poll::Ready(result)
            }
        }
    }

    /// Asks for the second attempt, if its request can be sent still.
    #[cold]
    fn ask(&mut self, class: Class) {
        let spare = self.second.as_mut().project_replace(Second::Absent);
        let (Some(call), SecondOwned::Spare(spare, _)) = (&self.call, spare) else {
            return;
        };
        let now = call.core().now();
        let deadline = self.binding.deadline(&spare.request);
        let is_late = deadline.is_some_and(|deadline| deadline.is_expired(now));
        if is_late || !spare.is_intact() {
            return;
        }
        if let Some(permit) = call.admit(now, class) {
            self.second.set(Second::Readying(spare, permit));
        }
    }

    /// The timer, or what came of it.
    #[inline]
    fn poll_beside(&mut self, cx: &mut Context<'_>) -> Poll<Result<S::Response, E>> {
        match &*self.second {
            Second::Absent => Poll::Pending,
            Second::Spare(..) => {
                ready!(self.second.as_mut().poll_timer(cx));
                self.ask(Class::Hedge);
                self.poll_second(cx)
            }
            Second::Readying(..) | Second::UnderWay(..) => self.poll_second(cx),
        }
    }

    #[cold]
    fn poll_second(&mut self, cx: &mut Context<'_>) -> Poll<Result<S::Response, E>> {
        if let SecondProjection::Readying(spare, _) = self.second.as_mut().project() {
            let is_ready = ready!(spare.service.poll_ready(cx)).is_ok();
            // It may have taken its time: until after the deadline, or until
            // somebody switched the hedge off.
            let deadline = self.binding.deadline(&spare.request);
            let is_wanted = self.call.as_ref().is_some_and(|call| {
                let core = call.core();
                let now = || core.now();
                let is_late = deadline.is_some_and(|deadline| deadline.is_expired(now()));
                core.settings.mode.load() == Mode::Enforce && !is_late
            });
            if !is_ready || !is_wanted || !spare.is_intact() {
                return self.second_failed();
            }
            self.send();
        }
        let SecondProjection::UnderWay(second, _) = self.second.as_mut().project() else {
            return Poll::Pending;
        };
        let result = ready!(second.poll(cx)).map_err(Into::into);
        let (outcome, verdict) = judged(self.binding, result.as_ref());
        let attempt = self.second.as_mut().project_replace(Second::Absent);
        if let (Some(call), SecondOwned::UnderWay(_, attempt)) = (self.call.as_mut(), attempt) {
            let now = call.core().now();
            attempt.ended(now, outcome, verdict == Verdict::Answer);
            if verdict == Verdict::Answer && matches!(*self.first, First::UnderWay(_)) {
                call.lost(now);
            }
        }
        if verdict == Verdict::Answer {
            self.end();
            return Poll::Ready(result);
        }
        self.second_failed()
    }

    /// Sends the second attempt, whose instance is ready.
    fn send(&mut self) {
        let readying = self.second.as_mut().project_replace(Second::Absent);
        let (Some(call), SecondOwned::Readying(mut spare, permit)) = (&self.call, readying) else {
            return;
        };
        let context = self.binding.context(&spare.request);
        let failed_at = match &*self.first {
            First::Failed(result) => self.binding.endpoint(result.as_ref()),
            _ => None,
        };
        let chosen = || {
            let choice = spare.choice.take();
            choice
                .or_else(|| self.binding.choice(&spare.request))?
                .told()
        };
        let avoided = failed_at.or_else(chosen);
        let number = context.attempt().saturating_add(1);
        let mut context = context.with_attempt(number);
        if let Some(endpoint) = avoided {
            context = context.avoiding(endpoint);
        }
        self.binding.set_context(&mut spare.request, context);
        let attempt = permit.send(call.core().now());
        let second = spare.service.call(spare.request);
        self.second.set(Second::UnderWay(second, attempt));
    }

    /// There will be no answer in the second attempt. If the first has failed
    /// as well, that is what the caller gets: what it would have got without
    /// a hedge.
    fn second_failed(&mut self) -> Poll<Result<S::Response, E>> {
        self.second.set(Second::Absent);
        if !matches!(*self.first, First::Failed(_)) {
            return Poll::Pending;
        }
        match self.first.as_mut().project_replace(First::Gone) {
            FirstOwned::Failed(result) => {
                self.end();
                Poll::Ready(result)
            }
            _ => Poll::Pending,
        }
    }

    /// There is an answer: what else runs or rings goes before it is returned.
    #[inline(always)]
    fn end(&mut self) {
        self.first.set(First::Gone);
        match &*self.second {
            // Goes with the future.
            Second::Absent | Second::Spare(_, Timer::Unset) => {}
            Second::Spare(..) | Second::Readying(..) => self.second.set(Second::Absent),
            Second::UnderWay(..) => {
                if let Some(call) = &self.call {
                    self.second.as_mut().lose(call);
                }
            }
        }
        *self.call = None;
    }
}

#[pinned_drop]
impl<S: Service<Req>, Req, E, B, R, Bu: Budget> PinnedDrop for ResponseFuture<S, Req, E, B, R, Bu> {
    /// Who gives up waiting has learned how long it takes at least.
    #[inline]
    fn drop(self: Pin<&mut Self>) {
        let this = self.project();
        if let Some(call) = this.call {
            give_up(&this.first, this.second, call, *this.was_pending);
        }
    }
}

#[cold]
fn give_up<S: Service<Req>, Req, E, R, Bu: Budget>(
    first: &First<S::Future, S::Response, E>,
    second: Pin<&mut Second<S, Req, R, Bu>>,
    call: &mut Call<Bu>,
    was_pending: bool,
) {
    if was_pending && matches!(first, First::UnderWay(_)) {
        call.lost(call.core().now());
    }
    second.lose(call);
}

impl<S: Service<Req>, Req, E, B, R, Bu: Budget> fmt::Debug for ResponseFuture<S, Req, E, B, R, Bu> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture")
            .field("call", &self.call)
            .field("second", &self.second.as_str())
            .finish_non_exhaustive()
    }
}
