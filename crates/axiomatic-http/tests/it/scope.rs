//! What the calls of a handler inherit, and what they tell.

use std::cell::Cell;
use std::convert::Infallible;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::rc::Rc;
use std::task::{self, Poll, Waker};
use std::time::Duration;

use axiomatic_core::context::{Deadline, Endpoint, Priority, Repeatability};
use axiomatic_core::time::Instant;
use axiomatic_core::{Advise, BoxError, Carrier, Context, Name, Pattern, Reason, Rejected};
use axiomatic_http::{Http, RejectionLayer, ScopeLayer, fields, scope};
use http::{Request, Response, StatusCode};
use tower::{Layer, Service, ServiceBuilder, ServiceExt, service_fn};

fn deadline(seconds: u64) -> Deadline {
    Deadline::at(Instant::from_nanos(0) + Duration::from_secs(seconds))
}

fn served() -> Context {
    Context::default()
        .with_deadline(deadline(50).armed())
        .with_priority(Priority::SHEDDABLE)
        .with_retried_by(Name::literal("edge"))
        .with_attempt(3)
        .with_repeatability(Repeatability::Repeatable)
        .avoiding(Endpoint::from_hash(7))
}

/// What a layer of a client reads of a request with this context, or none.
fn read(own: Option<Context>) -> Context {
    let mut request = Request::new(());
    if let Some(own) = own {
        request.extensions_mut().insert(own);
    }
    Http.context(&request)
}

#[tokio::test]
async fn what_is_inherited_is_a_childs() {
    assert_eq!(read(None), Context::default());
    let inherited = scope(served(), async { read(None) }).await;
    assert_eq!(inherited, served().child());
    assert_eq!(inherited.deadline(), Some(deadline(50)), "and unarmed");
    let named = scope(served(), async { scope::current() }).await;
    assert_eq!(named, served().child());
    assert_eq!(scope::current(), Context::default());
}

#[tokio::test]
async fn a_call_inherits_what_it_does_not_say() {
    scope(served(), async {
        let declared = Context::default().with_repeatability(Repeatability::Once);
        let call = read(Some(declared.clone()));
        assert_eq!(call.repeatability(), Repeatability::Once);
        assert_eq!(call.deadline(), Some(deadline(50)));
        assert_eq!(call.priority(), Priority::SHEDDABLE);
        assert_eq!(call.retried_by(), Some(Name::literal("edge")));
        assert_eq!(call.attempt(), 1);

        for (own, expected) in [(40, 40), (60, 50)] {
            let call = read(Some(declared.clone().with_deadline(deadline(own))));
            assert_eq!(call.deadline(), Some(deadline(expected)));
        }
        // Once a timeout has armed it, it stays armed.
        let armed = declared.clone().with_deadline(deadline(50).armed());
        assert_eq!(read(Some(armed.clone())).deadline(), armed.deadline());

        let own = declared
            .with_priority(Priority::CRITICAL_PLUS)
            .with_retried_by(Name::literal("own"))
            .with_attempt(2);
        let call = read(Some(own));
        assert_eq!(call.priority(), Priority::CRITICAL_PLUS);
        assert_eq!(call.retried_by(), Some(Name::literal("own")));
        assert_eq!(call.attempt(), 2);
    })
    .await;
    // Nothing is filled in where there is no scope.
    let own = Context::default().with_attempt(2);
    assert_eq!(read(Some(own.clone())), own);
}

#[tokio::test]
async fn the_inner_scope_counts_and_ends_with_its_future() {
    scope(served(), async {
        let inner = Context::default().with_priority(Priority::CRITICAL_PLUS);
        scope(inner.clone(), async {
            assert_eq!(read(None), inner);
            tokio::task::yield_now().await;
            assert_eq!(read(None), inner);
        })
        .await;
        assert_eq!(read(None), served().child());
        // Two at once, polled in turns.
        let one = scope(inner.clone(), async {
            tokio::task::yield_now().await;
            read(None)
        });
        let other = async {
            tokio::task::yield_now().await;
            read(None)
        };
        assert_eq!(tokio::join!(one, other), (inner, served().child()));
    })
    .await;
    assert_eq!(read(None), Context::default());
}

#[test]
fn a_scope_ends_when_its_future_is_dropped_or_panics() {
    let mut context = task::Context::from_waker(Waker::noop());
    let dropped = Rc::new(Cell::new(None));
    struct Last(Rc<Cell<Option<Context>>>);
    impl Drop for Last {
        fn drop(&mut self) {
            self.0.set(Some(read(None)));
        }
    }
    {
        let last = Last(Rc::clone(&dropped));
        let mut pending = Box::pin(scope(served(), async move {
            let _last = last;
            std::future::pending::<()>().await;
        }));
        assert!(pending.as_mut().poll(&mut context).is_pending());
        assert_eq!(read(None), Context::default());
    }
    // What is dropped with it was still in it.
    assert_eq!(dropped.take(), Some(served().child()));
    assert_eq!(read(None), Context::default());

    let mut panics = pin!(scope(served(), async { panic!("the handler's") }));
    let unwound = catch_unwind(AssertUnwindSafe(|| panics.as_mut().poll(&mut context)));
    assert!(unwound.is_err());
    assert_eq!(read(None), Context::default());
}

#[tokio::test]
async fn a_spawned_task_is_in_no_scope() {
    scope(served(), async {
        let alone = tokio::spawn(async { read(None) }).await.unwrap();
        assert_eq!(alone, Context::default());
        let joined = tokio::spawn(scope(scope::current(), async { read(None) }));
        assert_eq!(joined.await.unwrap(), served().child());
    })
    .await;
}

/// A retry that gives up on a call that this status was the answer to.
fn give_up(status: u16) -> Response<()> {
    let mut response = Response::new(());
    *response.status_mut() = StatusCode::from_u16(status).unwrap();
    let mut answer: Result<_, BoxError> = Ok(response);
    Http.given_up(&mut answer);
    answer.unwrap()
}

fn answer(status: u16) -> Response<String> {
    let mut response = Response::new(String::new());
    *response.status_mut() = StatusCode::from_u16(status).unwrap();
    response
}

#[tokio::test]
async fn a_failed_answer_after_a_retry_gave_up_is_marked() {
    for (status, repeats) in [
        (200, false),
        (302, false),
        (400, false),
        (404, false),
        (408, true),
        (429, true),
        (500, true),
        (501, false),
        (502, true),
        (503, true),
        (504, true),
    ] {
        for gives_up in [false, true] {
            let handler = service_fn(async |_: Request<()>| {
                tokio::task::yield_now().await;
                if gives_up {
                    give_up(503);
                }
                tokio::task::yield_now().await;
                Ok::<_, Infallible>(answer(status))
            });
            let service = ScopeLayer::new().layer(handler);
            let response = service.oneshot(Request::new(())).await.unwrap();
            let is_marked = fields::forbids_retry(response.headers());
            assert_eq!(is_marked, gives_up && repeats, "{status} {gives_up}");
            assert_eq!(response.headers().len(), usize::from(is_marked));
        }
    }
    // Outside of any scope there is nobody to tell.
    give_up(503);
}

#[tokio::test]
async fn an_error_after_a_retry_gave_up_marks_further_out() {
    let handle = async |gives_up: bool, is_scoped_twice: bool| {
        let handler = service_fn(async |_: Request<()>| {
            if gives_up {
                give_up(503);
            }
            let open = Rejected::new(Pattern::CircuitBreaker, Reason::Open);
            Err::<Response<String>, BoxError>(open.into())
        });
        let rejecting = ServiceBuilder::new()
            .layer(RejectionLayer::new())
            .layer(ScopeLayer::new())
            .service(handler);
        let request = Request::new(());
        let answer = if is_scoped_twice {
            ScopeLayer::new().layer(rejecting).oneshot(request).await
        } else {
            rejecting.oneshot(request).await
        };
        let Ok(response) = answer;
        assert_eq!(response.status(), 503);
        fields::forbids_retry(response.headers())
    };
    assert!(handle(true, true).await);
    assert!(!handle(false, true).await);
    // Nobody was there to tell.
    assert!(!handle(true, false).await);
}

#[tokio::test]
async fn a_future_that_gave_up_tells_the_scope_around_and_a_good_answer_does_not() {
    let marked = async |inner: u16| {
        let handler = service_fn(|_: Request<()>| async move {
            // In this process, a service that the handler calls.
            let called = ScopeLayer::new().layer(service_fn(|_: Request<()>| async move {
                scope(scope::current(), async { give_up(503) }).await;
                Ok::<_, Infallible>(answer(inner))
            }));
            called.oneshot(Request::new(())).await.unwrap();
            Ok::<_, Infallible>(answer(500))
        });
        let service = ScopeLayer::new().layer(handler);
        let response = service.oneshot(Request::new(())).await.unwrap();
        fields::forbids_retry(response.headers())
    };
    assert!(marked(500).await);
    assert!(!marked(200).await, "a fallback made it good");
}

/// A proxy calls its client before anybody polls, in `call` itself.
#[tokio::test]
async fn what_is_called_before_the_first_poll_is_in_the_scope() {
    let proxy = tower::util::MapRequest::new(
        service_fn(|inherited: Context| {
            std::future::ready(Ok::<_, Infallible>(Response::new(inherited)))
        }),
        |_: Request<()>| read(None),
    );
    let request = Request::builder().extension(served()).body(()).unwrap();
    let service = ScopeLayer::new().layer(proxy);
    let response = service.oneshot(request).await.unwrap();
    assert_eq!(*response.body(), served().child());
}

#[test]
fn the_scope_asks_for_nothing() {
    /// Neither sent, cloned, nor kept.
    struct Local<'a>(&'a Cell<u32>, #[expect(dead_code)] Rc<()>);
    struct Inner;
    impl<'a> Service<Request<Local<'a>>> for Inner {
        type Response = Response<Local<'a>>;
        type Error = Rc<()>;
        type Future = std::future::Ready<Result<Self::Response, Rc<()>>>;
        fn poll_ready(&mut self, _: &mut task::Context<'_>) -> Poll<Result<(), Rc<()>>> {
            Poll::Ready(Ok(()))
        }
        fn call(&mut self, request: Request<Local<'a>>) -> Self::Future {
            std::future::ready(Ok(Response::new(request.into_body())))
        }
    }
    let calls = Cell::new(0);
    let mut service = ScopeLayer::new().layer(Inner);
    let mut called = pin!(service.call(Request::new(Local(&calls, Rc::default()))));
    let mut context = task::Context::from_waker(Waker::noop());
    let Poll::Ready(Ok(response)) = called.as_mut().poll(&mut context) else {
        panic!("it is ready");
    };
    response.into_body().0.set(1);
    assert_eq!(calls.get(), 1);

    fn sendable<T: Send>(_: &T) {}
    let future = ScopeLayer::new()
        .layer(service_fn(async |_: Request<()>| {
            Ok::<_, BoxError>(answer(200))
        }))
        .call(Request::new(()));
    sendable(&future);
    sendable(&scope(Context::default(), async {}));
}
