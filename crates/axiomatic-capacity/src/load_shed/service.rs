use std::fmt;
use std::marker::PhantomData;
use std::task::{Context, Poll};

use axiomatic_core::{Announce, Carrier, Classify, Complete, Mode, Reason, Refusable};
use tower_service::Service;

use super::sorting::Sorting;
use super::{Ask, LoadShedder, OwnedPermit, ResponseFuture};

/// A service behind a [`LoadShedder`].
///
/// It is always ready, unless the service behind it fails, or nothing is
/// refused because it is in shadow or switched off: a call that the one behind
/// is not ready for is refused at once, and leaves whatever queue it stood in,
/// because the instance that stood there is replaced by a clone. A refused call
/// leaves an instance that is ready as it was: so under an overload it is not
/// even asked.
pub struct LoadShedService<S, E, B, Q> {
    inner: S,
    readiness: Readiness,
    announces: bool,
    shedder: LoadShedder,
    sorting: Q,
    binding: B,
    error: PhantomData<fn() -> E>,
}

/// What is known of the inner service.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum Readiness {
    Unasked,
    /// It waits, and a waker of ours with it.
    Pending,
    Ready,
    /// It is, and a call was refused since.
    Kept,
}

impl<S, E, B, Q> LoadShedService<S, E, B, Q> {
    pub(super) fn new(
        inner: S,
        shedder: LoadShedder,
        announces: bool,
        sorting: Q,
        binding: B,
    ) -> Self {
        LoadShedService {
            inner,
            readiness: Readiness::Unasked,
            announces,
            shedder,
            sorting,
            binding,
            error: PhantomData,
        }
    }

    /// What sheds.
    pub fn shedder(&self) -> &LoadShedder {
        &self.shedder
    }

    /// The service behind it.
    pub fn get_ref(&self) -> &S {
        &self.inner
    }
}

impl<S, E, B, Q, Req> Service<Req> for LoadShedService<S, E, B, Q>
where
    S: Service<Req> + Clone,
    S::Error: Into<E>,
    E: Refusable,
    B: Carrier<Req> + Classify<S::Response, E> + Announce<S::Response>,
    B: Complete<OwnedPermit, S::Response> + Clone,
    Q: Sorting<Req>,
{
    type Response = B::Response;
    type Error = E;
    type Future = ResponseFuture<S::Future, E, B>;

    #[inline(always)]
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), E>> {
        // What was ready stays so until it is called, and a refused call did
        // not call it. Who asks without having called wants to know anew.
        if self.readiness == Readiness::Kept {
            self.readiness = Readiness::Ready;
            return Poll::Ready(Ok(()));
        }
        self.readiness = match self.inner.poll_ready(cx) {
            Poll::Ready(Ok(())) => Readiness::Ready,
            Poll::Ready(Err(error)) => {
                self.readiness = Readiness::Unasked;
                return Poll::Ready(Err(error.into()));
            }
            Poll::Pending => {
                let before = std::mem::replace(&mut self.readiness, Readiness::Pending);
                match self.shedder.mode() {
                    Mode::Enforce => {}
                    mode => return self.wait(mode, before),
                }
                Readiness::Pending
            }
        };
        Poll::Ready(Ok(()))
    }

    #[inline(always)]
    fn call(&mut self, mut request: Req) -> Self::Future {
        match self.readiness {
            Readiness::Ready => {}
            Readiness::Pending => return self.leave(&request),
            // Not asked since the last call, if one was refused.
            Readiness::Unasked | Readiness::Kept => {
                return ResponseFuture::refused(self.shedder.uncounted(Reason::NotReady));
            }
        }
        let now = self.shedder.now();
        let context = self.binding.context(&request);
        let sorted = self.sorting.sort(&request, Ask::of(&context), now);
        let admitted = match sorted {
            Some(ask) => self.shedder.lets_in(now, ask),
            None => Ok(self.shedder.exempt()),
        };
        match admitted {
            Ok(permit) => {
                // Whoever is asked for this request from here on should think
                // the same of it.
                let sorted = sorted.map(|ask| ask.priority);
                if let Some(priority) = sorted.filter(|it| *it != context.priority()) {
                    let context = context.with_priority(priority);
                    self.binding.set_context(&mut request, context);
                }
                self.readiness = Readiness::Unasked;
                // A panic in here drops the permit.
                let inner = self.inner.call(request);
                ResponseFuture::called(inner, permit, self.binding.clone(), self.announces)
            }
            Err(refusal) => {
                self.readiness = Readiness::Kept;
                ResponseFuture::refused(refusal)
            }
        }
    }
}

impl<S, E, B, Q> LoadShedService<S, E, B, Q> {
    /// Nothing is refused, so the inner service is waited for. In shadow each
    /// wait is counted, once.
    #[cold]
    fn wait<T>(&self, mode: Mode, before: Readiness) -> Poll<T> {
        if mode == Mode::Shadow && before != Readiness::Pending {
            self.shedder.would_refuse();
        }
        Poll::Pending
    }

    /// Refuses a call, and gives up its place in whatever queue it stood in.
    #[inline(always)]
    fn leave<F, Req>(&mut self, request: &Req) -> ResponseFuture<F, E, B>
    where
        S: Clone,
        B: Carrier<Req>,
        Q: Sorting<Req>,
    {
        self.readiness = Readiness::Unasked;
        self.inner = self.inner.clone();
        let now = self.shedder.now();
        let ask = Ask::of(&self.binding.context(request));
        let sorted = self.sorting.sort(request, ask, now);
        ResponseFuture::refused(self.shedder.unready(now, sorted))
    }
}

impl<S: Clone, E, B: Clone, Q: Clone> Clone for LoadShedService<S, E, B, Q> {
    fn clone(&self) -> Self {
        // Readiness belongs to the instance that was asked.
        LoadShedService::new(
            self.inner.clone(),
            self.shedder.clone(),
            self.announces,
            self.sorting.clone(),
            self.binding.clone(),
        )
    }
}

impl<S: fmt::Debug, E, B: fmt::Debug, Q: fmt::Debug> fmt::Debug for LoadShedService<S, E, B, Q> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoadShedService")
            .field("inner", &self.inner)
            .field("shedder", &self.shedder)
            .field("sorting", &self.sorting)
            .field("binding", &self.binding)
            .finish_non_exhaustive()
    }
}
