//! The timeout beside its floors and its peers.
//!
//! Judged is what a call pays that is answered at once (`layer/ready`), one
//! that is pending once and then answered (`layer/pending`), and either behind
//! three timeouts of which the outermost is the tightest (`nested/…`).
//!
//! Each thread has entered a current-thread runtime of its own, in which an
//! earlier timer stands, as on a busy server: without one, each registration
//! would wake the driver by a system call, which costs all subjects the same
//! 300 ns. The futures are polled by hand, twice where they are pending, and
//! the driver does not turn meanwhile. Not shown: what a timer costs that
//! rings, a wheel that several threads share, and what tokio's scheduler does.
//! Nobody gives up: all have an hour. It is one file, as every bench is: one
//! pattern, its operations, its peers.

mod harness;

use std::future::Future;
use std::hint::black_box;
use std::marker::PhantomData;
use std::pin::{Pin, pin};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context as Polling, Poll, Waker};
use std::time::Duration;

use axiomatic_core::time::Clock;
use axiomatic_core::{BoxError, Carrier, Classify, Context, Outcome, Plain, Ratio, Refusable};
use axiomatic_latency::timeout::{Adaptive, Config, Expired, Timeout};
use harness::{
    BARE, Line, OURS, Operation, PARTS, Suite, allocations, coarse_nanos, peer, ratio, time,
};
use tower_layer::Layer;
use tower_resilience_timelimiter::TimeLimiterLayer;
use tower_service::Service;

const SECOND: Duration = Duration::from_secs(1);
/// The tightest first.
const NESTED: [Duration; 3] = [
    Duration::from_secs(3_600),
    Duration::from_secs(3_700),
    Duration::from_secs(3_800),
];
const ONE_OF_OURS: &str = "ours, one layer";
const ADAPTIVE: &str = "ours, adaptive";
const PARTS_ADAPTIVE: &str = "floor:parts, adaptive";
const PARTS_PRECISE: &str = "floor:parts, precise clock";

fn main() -> ExitCode {
    let mut suite = Suite::new("timeout");
    layer_ready(suite.operation("layer/ready"));
    layer_pending(suite.operation("layer/pending"));
    nested(suite.operation("nested/ready"), Answer::AtOnce);
    nested(suite.operation("nested/pending"), Answer::PendingOnce);
    goals(&mut suite);
    suite.run()
}

fn goals(suite: &mut Suite) {
    let over = |operation: &str, subject: &str| time(operation, subject).over(BARE);
    let (tower, limiter) = (peer("tower"), peer("tower-resilience-timelimiter"));

    let ready = "layer/ready";
    // The issue's, of a precise clock read, and what a coarse one allows.
    suite.goal(
        "layer/ready, over bare, to one precise clock read",
        ratio(over(ready, OURS), over(ready, PARTS_PRECISE)).at_most(1.2),
    );
    suite.goal(
        "layer/ready, over one coarse clock read",
        time(ready, OURS).over(PARTS).at_most(5.0),
    );
    suite.goal(
        "layer/ready, over bare, to tower",
        ratio(over(ready, OURS), over(ready, &tower)).at_most(0.1),
    );
    suite.goal(
        "layer/ready, over bare, to tower-resilience",
        ratio(over(ready, OURS), over(ready, &limiter)).at_most(0.1),
    );
    suite.goal(
        "layer/ready, adaptive, over bare, to its parts",
        ratio(over(ready, ADAPTIVE), over(ready, PARTS_ADAPTIVE)).at_most(1.4),
    );
    suite.goal(
        "layer/ready, two threads to one",
        ratio(over(ready, OURS).threads(2), over(ready, OURS)).at_most(1.5),
    );

    let pending = "layer/pending";
    suite.goal(
        "layer/pending, over bare, to its parts",
        ratio(over(pending, OURS), over(pending, PARTS)).at_most(1.4),
    );
    suite.goal(
        "layer/pending, over bare, to tower",
        ratio(over(pending, OURS), over(pending, &tower)).at_most(1.0),
    );
    // Three timers would be three times as much.
    suite.goal(
        "nested/pending, over bare, to one layer",
        ratio(
            over("nested/pending", OURS),
            over("nested/pending", ONE_OF_OURS),
        )
        .at_most(2.0),
    );
    suite.goal(
        "nested/pending, over bare, to tower",
        ratio(over("nested/pending", OURS), over("nested/pending", &tower)).at_most(0.6),
    );
    for operation in [ready, pending, "nested/ready", "nested/pending"] {
        suite.goal(
            &format!("{operation}, allocations"),
            allocations(operation, OURS).at_most(0.0),
        );
    }
}

// --- The operations -----------------------------------------------------

/// A call that is answered when it is first polled.
fn layer_ready(operation: &mut Operation) {
    operation.over(BARE);
    let answer = Answer::AtOnce;
    calling(operation, OURS, move || {
        Timeout::after(SECOND).layer().layer(Inner(answer))
    });
    calling(operation, ADAPTIVE, move || {
        let adaptive = Adaptive::of(Ratio::percent(99));
        configured(Config::after(SECOND).adaptive(adaptive)).layer(Inner(answer))
    });
    calling(operation, "ours, refuses a share", move || {
        let expired = Expired::RefuseAtMost(Ratio::percent(10));
        configured(Config::after(SECOND).expired(expired)).layer(Inner(answer))
    });
    bare(operation, answer);
    operation.fetch_add();
    operation.case(PARTS, move || {
        move || {
            let mut service = Inner(answer);
            move || {
                black_box(coarse_nanos());
                call(&mut service, Plainly)
            }
        }
    });
    operation.case(PARTS_PRECISE, move || {
        move || {
            let mut service = Inner(answer);
            move || {
                black_box(Clock::Precise.now());
                call(&mut service, Plainly)
            }
        }
    });
    operation
        .case(PARTS_ADAPTIVE, move || {
            let held = Arc::new(Line::default());
            move || {
                let held = held.clone();
                let own = Box::new(Line::default());
                let mut service = Inner(answer);
                move || {
                    let began = Clock::Precise.now();
                    let answer = call(&mut service, Plainly);
                    let took = Clock::Precise.now() - began;
                    black_box((took, held.0.load(Relaxed)));
                    own.0.fetch_add(1, Relaxed);
                    answer
                }
            }
        })
        .note("two precise clock reads, a load, a fetch_add on the thread's own line");
    peers(operation, answer, 1, Plainly);
}

/// A call that is pending once, and answered when it is polled again.
fn layer_pending(operation: &mut Operation) {
    operation.over(BARE);
    let answer = Answer::PendingOnce;
    calling(operation, OURS, move || {
        Timeout::after(NESTED[0]).layer().layer(Inner(answer))
    });
    bare(operation, answer);
    operation.fetch_add();
    parts_pending(operation, answer);
    peers(operation, answer, 1, Plainly);
}

/// The same behind three timeouts, the tightest outside. The request carries
/// its context, so that the inner two can know of the outermost.
fn nested(operation: &mut Operation, answer: Answer) {
    operation.over(BARE);
    operation.case(OURS, move || {
        let layers = NESTED.map(|after| Timeout::after(after).layer().with_binding(Carried));
        move || {
            enter_a_runtime();
            let [outer, middle, inner] = layers.clone();
            let mut service = outer.layer(middle.layer(inner.layer(Inner(answer))));
            move || call(&mut service, Context::default())
        }
    });
    operation.case(ONE_OF_OURS, move || {
        let layer = Timeout::after(NESTED[0]).layer().with_binding(Carried);
        move || {
            enter_a_runtime();
            let mut service = layer.layer(Inner(answer));
            move || call(&mut service, Context::default())
        }
    });
    operation.case(BARE, move || {
        move || {
            let mut service = Inner(answer);
            move || call(&mut service, Context::default())
        }
    });
    operation.fetch_add();
    match answer {
        Answer::PendingOnce => parts_pending(operation, answer),
        Answer::AtOnce => {
            operation
                .case(PARTS, move || {
                    move || {
                        let mut service = Inner(answer);
                        move || {
                            black_box([coarse_nanos(), coarse_nanos(), coarse_nanos()]);
                            call(&mut service, Context::default())
                        }
                    }
                })
                .note("three coarse clock reads");
        }
    }
    peers(operation, answer, 3, Context::default());
}

fn calling<S, L>(operation: &mut Operation, subject: &str, service: L)
where
    S: Service<Plainly, Response = (), Error = BoxError> + Clone + Send + Sync + 'static,
    L: Fn() -> S + 'static,
{
    operation.case(subject, move || {
        let service = service();
        move || {
            enter_a_runtime();
            let mut service = service.clone();
            move || call(&mut service, Plainly)
        }
    });
}

fn configured(config: Config) -> axiomatic_latency::timeout::TimeoutLayer {
    config.build().expect("the configuration is valid").layer()
}

// --- The floors ---------------------------------------------------------

fn bare(operation: &mut Operation, answer: Answer) {
    operation.case(BARE, move || {
        move || {
            let mut service = Inner(answer);
            move || call(&mut service, Plainly)
        }
    });
}

fn parts_pending(operation: &mut Operation, answer: Answer) {
    operation
        .case(PARTS, move || {
            move || {
                enter_a_runtime();
                let mut service = Inner(answer);
                move || {
                    let now = Clock::Coarse.now();
                    let timer = tokio::time::sleep_until((now + black_box(NESTED[0])).into());
                    let mut timer = pin!(timer);
                    let mut polling = Polling::from_waker(Waker::noop());
                    assert!(timer.as_mut().poll(&mut polling).is_pending());
                    call(&mut service, Plainly)
                }
            }
        })
        .note("a coarse clock read and one of tokio's timers");
}

/// Enters a runtime for the rest of the thread's life. In it stands a timer
/// that is earlier than those which are measured, and its driver knows it.
fn enter_a_runtime() {
    thread_local!(static ENTERED: () = {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
        let runtime = Box::leak(Box::new(runtime.expect("a runtime")));
        std::mem::forget(runtime.enter());
        runtime.spawn(tokio::time::sleep(NESTED[0] / 2));
        // The driver learns of the earliest timer when it parks.
        runtime.block_on(tokio::time::sleep(Duration::from_millis(2)));
    });
    ENTERED.with(|()| ());
}

// --- The peers ----------------------------------------------------------

fn peers<R: Clone + Send + Sync + 'static>(
    operation: &mut Operation,
    answer: Answer,
    layers: usize,
    request: R,
) {
    let sent = request.clone();
    operation.case(peer("tower"), move || {
        let request = sent.clone();
        let [outer, middle, inner] = NESTED.map(tower::timeout::TimeoutLayer::new);
        move || {
            enter_a_runtime();
            let mut one = outer.layer(Inner(answer));
            let mut three = outer.layer(middle.layer(inner.layer(Inner(answer))));
            let request = request.clone();
            move || match layers {
                1 => call(&mut one, request.clone()),
                _ => call(&mut three, request.clone()),
            }
        }
    });
    operation.case(peer("tower-resilience-timelimiter"), move || {
        let request = request.clone();
        let [outer, middle, inner] =
            NESTED.map(|after| TimeLimiterLayer::builder().timeout_duration(after).build());
        move || {
            enter_a_runtime();
            let mut one = outer.layer(Inner(answer));
            let mut three = outer.layer(middle.layer(inner.layer(Inner(answer))));
            let request = request.clone();
            move || match layers {
                1 => call(&mut one, request.clone()).is_ok(),
                _ => call(&mut three, request.clone()).is_ok(),
            }
        }
    });
}

// --- The service --------------------------------------------------------

/// When a service answers.
#[derive(Copy, Clone)]
enum Answer {
    AtOnce,
    PendingOnce,
}

/// A request that carries nothing.
#[derive(Copy, Clone)]
struct Plainly;

/// A service that is ready, and answers as it is told.
#[derive(Copy, Clone)]
struct Inner(Answer);

impl<R> Service<R> for Inner {
    type Response = ();
    type Error = BoxError;
    type Future = Answering<R>;

    #[inline]
    fn poll_ready(&mut self, _: &mut Polling<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    #[inline]
    fn call(&mut self, request: R) -> Answering<R> {
        black_box(&request);
        Answering {
            is_ready: matches!(self.0, Answer::AtOnce),
            request: PhantomData,
        }
    }
}

struct Answering<R> {
    is_ready: bool,
    request: PhantomData<fn(R)>,
}

impl<R> Future for Answering<R> {
    type Output = Result<(), BoxError>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, _: &mut Polling<'_>) -> Poll<Self::Output> {
        if self.is_ready {
            return Poll::Ready(Ok(()));
        }
        self.is_ready = true;
        Poll::Pending
    }
}

/// Polls until there is an answer, which is twice at most. Inlined into each
/// subject, whether it is its type's only one or not.
#[inline(always)]
fn call<S: Service<R>, R>(service: &mut S, request: R) -> Result<S::Response, S::Error> {
    let mut polling = Polling::from_waker(Waker::noop());
    match service.poll_ready(&mut polling) {
        Poll::Ready(Ok(())) => {}
        Poll::Ready(Err(error)) => return Err(error),
        Poll::Pending => unreachable!("the service is always ready"),
    }
    let mut future = pin!(service.call(request));
    loop {
        if let Poll::Ready(answer) = future.as_mut().poll(&mut polling) {
            return answer;
        }
    }
}

/// The request is its context.
#[derive(Copy, Clone)]
struct Carried;

impl Carrier<Context> for Carried {
    #[inline]
    fn context(&self, request: &Context) -> Context {
        request.clone()
    }

    #[inline]
    fn deadline(&self, request: &Context) -> Option<axiomatic_core::context::Deadline> {
        request.deadline()
    }

    #[inline]
    fn set_context(&self, request: &mut Context, context: Context) {
        *request = context;
    }
}

impl<Res, E: Refusable> Classify<Res, E> for Carried {
    #[inline]
    fn classify(&self, result: Result<&Res, &E>) -> Outcome {
        Plain.classify(result)
    }
}
