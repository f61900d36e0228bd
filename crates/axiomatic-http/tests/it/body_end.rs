//! Completion at the end of the body, by hand and by scripted bodies. It is
//! one file because it is one list: what the page promises, a test each.

use std::cell::Cell;
use std::convert::Infallible;
use std::marker::{PhantomData, PhantomPinned};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use axiomatic_core::{BoxError, Classify, Complete, Outcome, Rejected};
use axiomatic_failure::circuit_breaker::{CircuitBreaker, OwnedPermit};
use axiomatic_http::body_end::{ByHead, ClassifyEnd, PermitBody, ToBodyEnd};
use axiomatic_http::{Http, RejectionLayer};
use http::{HeaderMap, Request, Response, StatusCode};
use http_body::{Body, Frame};
use http_body_util::{BodyExt, Full};
use proptest::prelude::*;
use tower::{Layer, ServiceBuilder, ServiceExt, service_fn};

use crate::scripted::{
    Broken, FAILED, Frames, GOOD, Knows, Permit, Scripted, Step, Verdict, Verdicts, poll, trailers,
};

type Carried<C = ByHead> = PermitBody<Scripted, Permit, C>;

/// Completes an answer of this status, as a layer does.
fn answer<B, C>(
    binding: &ToBodyEnd<Http, C>,
    status: u16,
    body: B,
) -> (Verdicts, PermitBody<B, Permit, C>)
where
    B: Body,
    C: ClassifyEnd<B::Error> + Clone,
{
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(status).unwrap();
    let outcome = Classify::classify(binding, Ok::<_, &BoxError>(&response));
    let verdicts = Verdicts::default();
    let response = binding.complete(verdicts.permit(), outcome, response);
    (verdicts, response.into_body())
}

fn ok(knows: Knows, steps: impl IntoIterator<Item = Step>) -> (Verdicts, Carried) {
    answer(&Http.to_body_end(), 200, Scripted::new(knows, steps))
}

const ALL: [Knows; 3] = [Knows::Nothing, Knows::ItsEnd, Knows::ItsLength];

#[test]
fn the_end_of_the_body_settles() {
    let steps = || [Step::Data("a"), Step::Pending, Step::Data("b")];
    for knows in ALL {
        let (verdicts, mut body) = ok(knows, steps());
        assert!(poll(&mut body).is_ready());
        assert!(poll(&mut body).is_pending());
        assert_eq!(verdicts.all(), [], "{knows:?}");
        assert!(poll(&mut body).is_ready(), "the last of the data");
        // Only a body that knows its end lets us know without a poll.
        assert_eq!(verdicts.all().len(), usize::from(knows == Knows::ItsEnd));
        assert!(matches!(poll(&mut body), Poll::Ready(None)));
        assert_eq!(verdicts.all(), [GOOD], "{knows:?}");
    }
    // The head's verdict is kept, not made anew.
    let (verdicts, mut body) = answer(
        &Http.to_body_end(),
        404,
        Scripted::new(Knows::Nothing, [Step::Data("not here")]),
    );
    assert!(poll(&mut body).is_ready());
    assert!(poll(&mut body).is_ready());
    assert_eq!(verdicts.all(), [Verdict::Settled(Outcome::Permanent)]);
}

#[test]
fn trailers_settle() {
    let steps = || {
        let fields = trailers("x-checksum", "wrong");
        [Step::Data("a"), Step::Pending, Step::Trailers(fields)]
    };
    for knows in ALL {
        let (verdicts, mut body) = ok(knows, steps());
        assert!(poll(&mut body).is_ready());
        assert!(poll(&mut body).is_pending());
        assert_eq!(verdicts.all(), []);
        assert!(poll(&mut body).is_ready());
        assert_eq!(verdicts.all(), [GOOD], "after the trailers, unpolled");
    }
    let by_checksum = |head: Outcome, end: Result<Option<&HeaderMap>, &Broken>| match end {
        Ok(Some(trailers)) if trailers["x-checksum"] == "wrong" => Outcome::Transient,
        _ => head,
    };
    let binding = Http.to_body_end().end_classified_by(by_checksum);
    for knows in ALL {
        let (verdicts, mut body) = answer(&binding, 200, Scripted::new(knows, steps()));
        while !matches!(poll(&mut body), Poll::Ready(None)) {}
        assert_eq!(verdicts.all(), [FAILED], "and they can decide");
        // All data has come, but what decides has not.
        let (verdicts, mut body) = answer(&binding, 200, Scripted::new(knows, steps()));
        assert!(poll(&mut body).is_ready());
        drop(body);
        assert_eq!(verdicts.all(), [Verdict::Cancelled], "{knows:?}");
    }
}

#[test]
fn an_answer_without_a_body_is_over_with_its_head() {
    let (verdicts, body) = ok(Knows::ItsEnd, []);
    assert_eq!(verdicts.all(), [GOOD], "no content, or an answer to HEAD");
    assert!(body.is_end_stream());
    let (verdicts, _body) = answer(&Http.to_body_end(), 404, Scripted::new(Knows::ItsEnd, []));
    assert_eq!(verdicts.all(), [Verdict::Settled(Outcome::Permanent)]);
    // Whatever their bodies say.
    for status in [101, 204, 304] {
        let body = Scripted::new(Knows::Nothing, [Step::Pending]);
        let (verdicts, body) = answer(&Http.to_body_end(), status, body);
        assert_eq!(verdicts.all(), [GOOD], "{status}");
        drop(body);
        assert_eq!(verdicts.all().len(), 1);
    }
    for status in [200, 205, 206, 302] {
        let body = Scripted::new(Knows::Nothing, []);
        let (verdicts, _body) = answer(&Http.to_body_end(), status, body);
        assert_eq!(verdicts.all(), [], "{status}: it may have a body");
    }
}

#[test]
fn a_bad_head_is_settled_at_once() {
    let throttled = Outcome::Throttled { retry_after: None };
    for (status, outcome) in [
        (500, Outcome::Transient),
        (429, throttled),
        (503, throttled),
    ] {
        let body = Scripted::new(Knows::Nothing, [Step::Data("sorry"), Step::Break]);
        let (verdicts, mut body) = answer(&Http.to_body_end(), status, body);
        assert_eq!(verdicts.all(), [Verdict::Settled(outcome)]);
        assert!(poll(&mut body).is_ready());
        assert!(poll(&mut body).is_ready());
        drop(body);
        assert_eq!(verdicts.all().len(), 1);
    }
    // No evidence at the head is none at the end.
    let nothing = |_: Result<&Response<Scripted>, &BoxError>| Outcome::Ignored;
    let binding = Http.to_body_end().classified_by(nothing);
    let response = Response::new(Scripted::new(Knows::Nothing, [Step::Break]));
    let outcome = Classify::classify(&binding, Ok::<_, &BoxError>(&response));
    let verdicts = Verdicts::default();
    let _response = binding.complete(verdicts.permit(), outcome, response);
    assert_eq!(verdicts.all(), [Verdict::Settled(Outcome::Ignored)]);
}

#[test]
fn a_reclassified_binding_completes_at_the_body_end_too() {
    let missing = |result: Result<&Response<Scripted>, &BoxError>| match result {
        Ok(response) if response.status() == 404 => Outcome::Success,
        other => Classify::classify(&Http, other),
    };
    fn completes<B>(binding: &B)
    where
        B: Classify<Response<Scripted>, BoxError>
            + Complete<Permit, Response<Scripted>, Response = Response<Carried>>,
    {
        let mut response = Response::new(Scripted::new(Knows::Nothing, [Step::Data("a")]));
        *response.status_mut() = StatusCode::NOT_FOUND;
        let outcome = binding.classify(Ok(&response));
        let verdicts = Verdicts::default();
        let mut body = binding
            .complete(verdicts.permit(), outcome, response)
            .into_body();
        assert!(poll(&mut body).is_ready());
        assert_eq!(verdicts.all(), []);
        assert!(poll(&mut body).is_ready());
        assert_eq!(verdicts.all(), [GOOD]);
    }
    completes(&Http.to_body_end().classified_by(missing));
    completes(&ToBodyEnd::new(Http.classified_by(missing)));
}

#[test]
fn an_error_of_the_body_settles() {
    for knows in ALL {
        let (verdicts, mut body) = ok(knows, [Step::Data("a"), Step::Break]);
        assert!(poll(&mut body).is_ready());
        assert_eq!(verdicts.all(), []);
        assert!(matches!(poll(&mut body), Poll::Ready(Some(Err(Broken)))));
        assert_eq!(verdicts.all(), [FAILED]);
    }
    let ours = |_: Outcome, end: Result<Option<&HeaderMap>, &Broken>| match end {
        Ok(_) => Outcome::Success,
        Err(Broken) => Outcome::Ignored,
    };
    let body = Scripted::new(Knows::Nothing, [Step::Break]);
    let binding = Http.to_body_end().end_classified_by(ours);
    let (verdicts, mut body) = answer(&binding, 200, body);
    assert!(poll(&mut body).is_ready());
    assert_eq!(verdicts.all(), [Verdict::Settled(Outcome::Ignored)]);
}

#[test]
fn settled_once_whatever_is_polled_after_the_end() {
    let fields = || trailers("a", "b");
    let after = [
        Step::Data("late"),
        Step::Break,
        Step::Trailers(fields()),
        Step::Pending,
    ];
    for (end, verdict) in [(Step::Break, FAILED), (Step::Trailers(fields()), GOOD)] {
        let steps = std::iter::once(end).chain(after.clone());
        let (verdicts, mut body) = ok(Knows::Nothing, steps);
        let mut frames = 0;
        while !matches!(poll(&mut body), Poll::Ready(None)) {
            frames += 1;
            assert_eq!(verdicts.all(), [verdict]);
        }
        assert_eq!(frames, 5, "what comes late is passed on all the same");
        for _ in 0..3 {
            assert!(matches!(poll(&mut body), Poll::Ready(None)));
        }
        drop(body);
        assert_eq!(verdicts.all(), [verdict]);
    }
    // A body that goes on after it has said that it is over.
    let (verdicts, mut body) = ok(Knows::ItsEnd, [Step::Data("last")]);
    assert!(poll(&mut body).is_ready());
    assert!(poll(&mut body).is_ready());
    assert!(poll(&mut body).is_ready());
    drop(body);
    assert_eq!(verdicts.all(), [GOOD]);
    // And a panic after the end is no longer the call's.
    let (verdicts, mut body) = ok(Knows::Nothing, [Step::Break, Step::Panic]);
    assert!(poll(&mut body).is_ready());
    assert!(catch_unwind(AssertUnwindSafe(|| poll(&mut body).is_ready())).is_err());
    drop(body);
    assert_eq!(verdicts.all(), [FAILED]);
}

#[test]
fn dropped_before_the_end_is_cancelled_at_every_point() {
    let steps = || {
        [
            Step::Pending,
            Step::Data("a"),
            Step::Pending,
            Step::Data("b"),
            Step::Pending,
            Step::Trailers(trailers("a", "b")),
        ]
    };
    for knows in [Knows::Nothing, Knows::ItsEnd] {
        for polls in 0..=5 {
            let (verdicts, mut body) = ok(knows, steps());
            for _ in 0..polls {
                assert!(!matches!(poll(&mut body), Poll::Ready(None)));
            }
            assert_eq!(verdicts.all(), [], "{knows:?} {polls}");
            drop(body);
            assert_eq!(verdicts.all(), [Verdict::Cancelled], "{knows:?} {polls}");
        }
    }
}

#[test]
fn dropped_at_its_end_is_over() {
    // All of the content has come, and nobody asked for what is not there.
    let (verdicts, mut body) = ok(Knows::ItsLength, [Step::Data("ab"), Step::Data("c")]);
    assert!(poll(&mut body).is_ready());
    assert_eq!(body.size_hint().exact(), Some(1));
    assert!(poll(&mut body).is_ready());
    assert_eq!(verdicts.all(), []);
    drop(body);
    assert_eq!(verdicts.all(), [GOOD]);
    // One byte less is a body given up.
    let (verdicts, mut body) = ok(Knows::ItsLength, [Step::Data("ab"), Step::Data("c")]);
    assert!(poll(&mut body).is_ready());
    drop(body);
    assert_eq!(verdicts.all(), [Verdict::Cancelled]);

    // The end comes by itself, between two polls, as over HTTP/2.
    #[derive(Default)]
    struct Late(Rc<Cell<bool>>);
    impl Body for Late {
        type Data = &'static [u8];
        type Error = Infallible;
        fn poll_frame(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Self::Data>, Infallible>>> {
            Poll::Ready(Some(Ok(Frame::data(b"all of it"))))
        }
        fn is_end_stream(&self) -> bool {
            self.0.get()
        }
    }
    let late = Late::default();
    let ended = Rc::clone(&late.0);
    let (verdicts, mut body) = answer(&Http.to_body_end(), 200, late);
    assert!(poll(&mut body).is_ready());
    ended.set(true);
    assert_eq!(verdicts.all(), []);
    drop(body);
    assert_eq!(verdicts.all(), [GOOD]);
}

#[test]
fn a_panic_of_the_body_is_the_calls_and_a_neighbours_is_not() {
    // Dropped by the panic, or after someone has caught it.
    for outlives in [false, true] {
        let (verdicts, mut body) = ok(Knows::ItsLength, [Step::Data("a"), Step::Panic]);
        assert!(poll(&mut body).is_ready());
        let mut kept = None;
        let unwound = catch_unwind(AssertUnwindSafe(|| {
            let mut body = body;
            let body = if outlives {
                kept.insert(body)
            } else {
                &mut body
            };
            poll(body).is_ready()
        }));
        assert!(unwound.is_err());
        drop(kept);
        assert_eq!(verdicts.all(), [Verdict::Panicked], "{outlives}");
    }
    let (verdicts, mut body) = ok(Knows::Nothing, [Step::Data("a"), Step::Data("b")]);
    assert!(poll(&mut body).is_ready());
    let unwound = catch_unwind(AssertUnwindSafe(move || {
        let _dropped_by_the_panic = body;
        panic!("a neighbour's");
    }));
    assert!(unwound.is_err());
    assert_eq!(verdicts.all(), [Verdict::Cancelled]);
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        Just(Step::Pending),
        Just(Step::Data("data")),
        Just(Step::Data("")),
        Just(Step::Trailers(trailers("a", "b"))),
        Just(Step::Break),
        Just(Step::Panic),
    ]
}

/// What the page says, over lists.
fn expected(knows: Knows, steps: &[Step], polls: usize) -> Verdict {
    let at_end = |rest: &[Step]| knows == Knows::ItsEnd && rest.is_empty();
    if at_end(steps) {
        return GOOD;
    }
    let mut has_panicked = false;
    for poll in 0..polls {
        match steps.get(poll) {
            None | Some(Step::Trailers(_)) => return GOOD,
            Some(Step::Break) => return FAILED,
            Some(Step::Data(_)) if at_end(&steps[poll + 1..]) => return GOOD,
            last => has_panicked = matches!(last, Some(Step::Panic)),
        }
    }
    let rest = steps.get(polls..).unwrap_or_default();
    let is_left = |step: &Step| matches!(step, Step::Data(data) if !data.is_empty());
    let all_came = knows == Knows::ItsLength && !rest.iter().any(is_left);
    match (has_panicked, all_came || at_end(rest)) {
        (true, _) => Verdict::Panicked,
        (false, true) => GOOD,
        (false, false) => Verdict::Cancelled,
    }
}

proptest! {
    #[test]
    fn settled_once_however_the_body_goes_on(
        knows in prop::sample::select(&ALL[..]),
        steps in prop::collection::vec(step(), 0..6),
        polls in 0..9_usize,
    ) {
        let (verdicts, mut body) = ok(knows, steps.clone());
        for _ in 0..polls {
            // Whoever caught a panic may even go on.
            let _ = catch_unwind(AssertUnwindSafe(|| poll(&mut body).is_ready()));
        }
        drop(body);
        prop_assert_eq!(verdicts.all(), [expected(knows, &steps, polls)]);
    }
}

#[test]
fn the_body_passes_unaltered() {
    for knows in ALL {
        let steps = [
            Step::Data("one"),
            Step::Pending,
            Step::Data("two"),
            Step::Trailers(trailers("x-sum", "6")),
            Step::Break,
        ];
        let mut bare = Scripted::new(knows, steps);
        let (_verdicts, mut carried) = ok(knows, bare.steps.clone());
        for _ in 0..=6 {
            assert_eq!(carried.is_end_stream(), bare.is_end_stream());
            assert_eq!(carried.size_hint().exact(), bare.size_hint().exact());
            assert_eq!(carried.get_ref().steps.len(), bare.steps.len());
            let (passed, original) = (poll(&mut carried), poll(&mut bare));
            assert_eq!(format!("{passed:?}"), format!("{original:?}"));
        }
    }
}

#[test]
fn needs_nothing_of_the_body_and_its_types() {
    // Neither Send nor Unpin nor Debug, and not 'static: data and error
    // borrow.
    struct Borrowing<'a>(&'a Cell<u32>, PhantomData<Rc<()>>, PhantomPinned);
    struct Fails<'a>(&'a Cell<u32>);
    impl<'a> Body for Borrowing<'a> {
        type Data = &'a [u8];
        type Error = Fails<'a>;
        fn poll_frame(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<&'a [u8]>, Fails<'a>>>> {
            Poll::Ready(Some(Err(Fails(self.0))))
        }
    }
    let place = Cell::new(0);
    let body = Borrowing(&place, PhantomData, PhantomPinned);
    let (verdicts, body) = answer(&Http.to_body_end(), 200, body);
    let mut body = std::pin::pin!(body);
    let mut context = Context::from_waker(std::task::Waker::noop());
    match body.as_mut().poll_frame(&mut context) {
        Poll::Ready(Some(Err(Fails(same)))) => same.set(1),
        _ => panic!("it fails at once"),
    }
    assert_eq!((place.get(), verdicts.all()), (1, vec![FAILED]));
}

#[test]
fn bodies_are_as_sendable_as_what_they_hold() {
    fn all<T: Send + Sync + Unpin + 'static>() {}
    fn unpin<T: Unpin>() {}
    type Text = Full<axum::body::Bytes>;
    all::<PermitBody<Text, OwnedPermit>>();
    all::<PermitBody<Text, OwnedPermit, axiomatic_http::grpc::ByTrailers>>();
    all::<PermitBody<hyper::body::Incoming, OwnedPermit>>();
    all::<ToBodyEnd<Http>>();
    unpin::<Carried>();
}

#[test]
fn debug_tells_whether_the_call_is_over() {
    let (_verdicts, body) = ok(Knows::ItsEnd, []);
    let text = format!("{body:?}");
    assert!(text.starts_with("PermitBody") && text.contains("is_settled: true"));
}

#[tokio::test]
async fn fits_a_router_of_axum() {
    use axum::{Router, body::Body, response::Response};

    let breaker = CircuitBreaker::default();
    let inner = service_fn(
        async |request: Request<Body>| -> Result<Response, BoxError> {
            let broken = request.uri().path() == "/broken";
            let error = broken.then(|| BoxError::from("the disk is gone"));
            Ok(Response::new(Body::new(Frames::new(["page"], None, error))))
        },
    );
    // The refusal has the type of the body, so the layers meet.
    let service = ServiceBuilder::new()
        .layer(RejectionLayer::new())
        .layer(breaker.layer().with_binding(Http.to_body_end()))
        .service(inner);
    let app: Router = Router::new().fallback_service(service);
    let get = async |path: &str| {
        let request = Request::get(path).body(Body::empty()).unwrap();
        let response = app.clone().oneshot(request).await.unwrap();
        let status = response.status();
        (status, response.into_body().collect().await.is_ok())
    };
    assert_eq!(get("/whole").await, (StatusCode::OK, true));
    assert_eq!(get("/broken").await, (StatusCode::OK, false));
    let counts = breaker.snapshot().counts();
    assert_eq!((counts.total(), counts.failed()), (2, 1));
    breaker.force_open();
    assert_eq!(get("/whole").await, (StatusCode::SERVICE_UNAVAILABLE, true));
}

#[tokio::test]
async fn a_refusal_and_an_error_have_no_body_to_wait_for() {
    let breaker = CircuitBreaker::default();
    let fails = service_fn(
        async |_: Request<()>| -> Result<Response<Full<&'static [u8]>>, Rejected> {
            Err(Rejected::new(
                axiomatic_core::Pattern::Timeout,
                axiomatic_core::Reason::Elapsed,
            )
            .with_retry_after(Duration::from_secs(1)))
        },
    );
    let service = breaker
        .layer()
        .with_error::<Rejected>()
        .with_binding(Http.to_body_end())
        .layer(fails);
    assert!(service.oneshot(Request::new(())).await.is_err());
    assert_eq!(breaker.snapshot().counts().failed(), 1);
}
