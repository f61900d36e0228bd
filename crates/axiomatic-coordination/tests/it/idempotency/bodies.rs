//! Bodies that are long, of unknown length, or break off.

use std::convert::Infallible;
use std::task::Poll;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full, StreamBody};
use tower::{Layer, service_fn};

use super::bench::{
    Asks, Calls, Flaky, Says, answer, ask, config, is_replayed, layer, post, problem, status,
};

/// A body that is made when it is called for, in pieces that may break off.
type Pieces = StreamBody<
    futures::stream::Iter<std::vec::IntoIter<Result<http_body::Frame<Bytes>, &'static str>>>,
>;

fn pieces(pieces: &[Result<&'static str, &'static str>]) -> Pieces {
    let frames = pieces.iter().map(|piece| match piece {
        Ok(piece) => Ok(http_body::Frame::data(Bytes::from(*piece))),
        Err(error) => Err(*error),
    });
    StreamBody::new(futures::stream::iter(frames.collect::<Vec<_>>()))
}

/// Either a whole body or one of unknown length.
type Any = http_body_util::combinators::UnsyncBoxBody<Bytes, &'static str>;

struct AnyBody(Any);

impl From<Bytes> for AnyBody {
    fn from(bytes: Bytes) -> Self {
        let full = Full::new(bytes).map_err(|never: Infallible| match never {});
        AnyBody(full.boxed_unsync())
    }
}

impl http_body::Body for AnyBody {
    type Data = Bytes;
    type Error = &'static str;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<http_body::Frame<Bytes>, &'static str>>> {
        std::pin::Pin::new(&mut self.0).poll_frame(context)
    }

    fn size_hint(&self) -> http_body::SizeHint {
        self.0.size_hint()
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_of_unknown_length_is_refused_before_it_is_read() {
    let calls = Calls::default();
    let counted = calls.clone();
    let handler = service_fn(move |_: Request<AnyBody>| {
        counted.add();
        async { Says::Ok(answer(201, "done")) }
    });
    let service = layer(config(), &Flaky::new()).layer(handler);
    let streaming = post("k", "").map(|_| AnyBody(pieces(&[Ok("x")]).boxed_unsync()));
    let told = tower::ServiceExt::oneshot(service.clone(), streaming).await;
    assert_eq!(told.unwrap().status(), 411);
    let whole = post("k", "").map(|_| AnyBody::from(Bytes::from("x")));
    let told = tower::ServiceExt::oneshot(service, whole).await;
    assert_eq!((told.unwrap().status().as_u16(), calls.count()), (201, 1));
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_cannot_be_stored_is_the_same_problem_for_all() {
    // As long as it may be; longer; of unknown length; broken off.
    type Body = AnyBody;
    let says = |key: &str| match key {
        "whole" => Body::from(Bytes::from("1234")),
        "long" => Body::from(Bytes::from("12345")),
        "unknown" => AnyBody(pieces(&[Ok("1")]).boxed_unsync()),
        _ => unreachable!("no other key"),
    };
    let calls = Calls::default();
    let counted = calls.clone();
    let handler = service_fn(move |request: Asks| {
        counted.add();
        let key = request.headers()["idempotency-key"].to_str().unwrap();
        let response = Response::new(says(key));
        async { Ok::<_, Infallible>(response) }
    });
    let service = layer(config().response_at_most(4), &Flaky::new()).layer(handler);
    for replayed in [false, true] {
        let told = ask(&service, post("whole", "x")).await.unwrap();
        assert_eq!((status(&told), is_replayed(&told)), (200, replayed));
        assert_eq!(told.body(), "1234");
        for key in ["long", "unknown"] {
            let told = ask(&service, post(key, "x")).await.unwrap();
            assert_eq!(
                (status(&told), is_replayed(&told)),
                (500, replayed),
                "{key}"
            );
            assert_eq!(problem(&told), "response-not-storable");
        }
    }
    assert_eq!(calls.count(), 3, "what it did is not done again");
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_breaks_off_is_not_stored() {
    /// Says that it is longer than it is.
    struct Broken(StreamBody<futures::stream::Once<std::future::Ready<Frame>>>);
    type Frame = Result<http_body::Frame<Bytes>, &'static str>;
    impl http_body::Body for Broken {
        type Data = Bytes;
        type Error = &'static str;
        fn poll_frame(
            mut self: std::pin::Pin<&mut Self>,
            context: &mut std::task::Context<'_>,
        ) -> Poll<Option<Frame>> {
            std::pin::Pin::new(&mut self.0).poll_frame(context)
        }
        fn size_hint(&self) -> http_body::SizeHint {
            http_body::SizeHint::with_exact(4)
        }
    }
    let calls = Calls::default();
    let counted = calls.clone();
    let handler = service_fn(move |_: Asks| {
        let frame = match counted.add() {
            1 => Err("the disk is gone"),
            _ => Ok(http_body::Frame::data("done".into())),
        };
        let body = Broken(StreamBody::new(futures::stream::once(std::future::ready(
            frame,
        ))));
        async { Ok::<_, Infallible>(Response::new(body)) }
    });
    let service = layer(config(), &Flaky::new()).layer(handler);
    let told = ask(&service, post("k", "x")).await.unwrap();
    assert_eq!((status(&told), &*problem(&told)), (500, "response-failed"));
    let told = ask(&service, post("k", "x")).await.unwrap();
    assert_eq!((status(&told), told.body().as_ref()), (200, &b"done"[..]));
    assert_eq!(calls.count(), 2);
}
