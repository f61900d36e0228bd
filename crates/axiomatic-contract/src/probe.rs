//! The scripted service and its future.

use std::fmt;
use std::mem;
use std::pin::Pin;
use std::task::{Context, Poll};

use tower_service::Service;

use crate::script::Call;
use crate::{Event, Failure, Readiness, Reply, Request, Response, Script};

/// The scripted service. A clone is an instance of its own: that the one it
/// was cloned from is ready says nothing about it.
pub struct Probe {
    pub(crate) id: u64,
    pub(crate) script: Script,
}

impl Clone for Probe {
    fn clone(&self) -> Self {
        let clone = self.script.service();
        self.script.lock().events.push(Event::Cloned {
            from: self.id,
            to: clone.id,
        });
        clone
    }
}

impl Drop for Probe {
    fn drop(&mut self) {
        let mut state = self.script.lock();
        let gone = state.instances.remove(&self.id).unwrap_or_default();
        state.events.push(Event::Discarded {
            instance: self.id,
            readied: gone.readied,
        });
        // The waker drops after the lock, as its drop may run the layer's.
        drop(state);
    }
}

impl fmt::Debug for Probe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Probe").field("instance", &self.id).finish()
    }
}

impl Service<Request> for Probe {
    type Response = Response;
    type Error = Failure;
    type Future = ProbeFuture;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        let mut state = self.script.lock();
        let readiness = state.readiness;
        let fresh = state.fresh();
        let instance = state.instances.entry(self.id).or_default();
        let said = if instance.readied && readiness != Readiness::Failing {
            Readiness::Ready
        } else {
            readiness
        };
        instance.readied = said == Readiness::Ready;
        let waits = (said == Readiness::Pending).then(|| cx.waker().clone());
        let replaced = mem::replace(&mut instance.waker, waits);
        state.events.push(Event::PolledReady {
            instance: self.id,
            said,
        });
        drop(state);
        drop(replaced);
        match said {
            Readiness::Ready => Poll::Ready(Ok(())),
            Readiness::Pending => Poll::Pending,
            Readiness::Failing => Poll::Ready(Err(Failure { id: fresh })),
        }
    }

    fn call(&mut self, request: Request) -> ProbeFuture {
        let mut state = self.script.lock();
        let instance = state.instances.entry(self.id).or_default();
        let readied = mem::replace(&mut instance.readied, false);
        state.events.push(Event::Called {
            instance: self.id,
            request: request.id,
            readied,
        });
        let reply = state.reply;
        let (steps, end) = match reply {
            Reply::Answer => (0, End::Answer),
            Reply::AnswerAfter(steps) => (steps, End::Answer),
            Reply::FailAfter(steps) => (steps, End::Fail),
            Reply::PanicAfter(steps) => (steps, End::Panic),
            Reply::Never => (usize::MAX, End::Answer),
            Reply::PanicInCall => {
                drop(state);
                scripted_panic()
            }
        };
        let id = state.fresh();
        state.calls.insert(id, Call { steps, waker: None });
        drop(state);
        ProbeFuture {
            id,
            request: request.id,
            end,
            done: false,
            script: self.script.clone(),
        }
    }
}

/// Unwinds without the panic hook: a panic that the test itself ordered is
/// not worth a backtrace in its output.
fn scripted_panic() -> ! {
    std::panic::resume_unwind(Box::new("scripted panic"))
}

#[derive(Copy, Clone)]
enum End {
    Answer,
    Fail,
    Panic,
}

/// The future of a call of a [`Probe`].
pub struct ProbeFuture {
    id: u64,
    request: u64,
    end: End,
    done: bool,
    script: Script,
}

impl Future for ProbeFuture {
    type Output = Result<Response, Failure>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.script.lock();
        let fresh = state.fresh();
        let Some(call) = state.calls.get_mut(&self.id) else {
            unreachable!("a call is known until its future is dropped");
        };
        if self.done {
            // Against the contract of futures.
            let request = self.request;
            state.events.push(Event::PolledAgain { request });
            return Poll::Pending;
        }
        let waits = call.steps > 0;
        let replaced = mem::replace(&mut call.waker, waits.then(|| cx.waker().clone()));
        state.events.push(Event::Polled {
            request: self.request,
            done: !waits,
        });
        drop(state);
        drop(replaced);
        if waits {
            return Poll::Pending;
        }
        self.done = true;
        match self.end {
            End::Answer => {
                self.script.lock().answers.insert(self.request, fresh);
                Poll::Ready(Ok(Response { id: fresh }))
            }
            End::Fail => Poll::Ready(Err(Failure { id: fresh })),
            End::Panic => scripted_panic(),
        }
    }
}

impl Drop for ProbeFuture {
    fn drop(&mut self) {
        let mut state = self.script.lock();
        let gone = state.calls.remove(&self.id);
        state.events.push(Event::Dropped {
            request: self.request,
            done: self.done,
        });
        drop(state);
        drop(gone);
    }
}

impl fmt::Debug for ProbeFuture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProbeFuture")
            .field("request", &self.request)
            .field("done", &self.done)
            .finish()
    }
}
