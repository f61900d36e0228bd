//! Which requests may be sent twice, and what the second says.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use axiomatic_core::context::{Choice, Deadline, Endpoint, Repeatability};
use axiomatic_core::repeat::{Repeat, WhenDeclared};
use axiomatic_core::{Context, Name};
use axiomatic_latency::hedge::{Config, Delay, Hedge};
use tower::Layer;

use super::backend::{Backend, Carried, MILLI, NEVER, Request, Trouble, call, now, over};
use super::hedge;

#[tokio::test(start_paused = true)]
async fn only_what_may_be_sent_twice_is() {
    let once = Context::default().with_repeatability(Repeatability::Once);
    let declared = Context::default().with_repeatability(Repeatability::Repeatable);
    let undeclared = Context::default();
    for (context, attempts) in [(once, 1), (declared, 2), (undeclared, 1)] {
        let backend = Backend::new(&[(80, Ok(1)), (100, Ok(2))]);
        let layer = hedge()
            .layer(WhenDeclared)
            .with_error()
            .with_binding(Carried);
        let service = layer.layer(backend.service());
        assert_eq!(call(service, context.into()).await, Ok(1));
        assert_eq!(backend.sent().len(), attempts);
        // Who is not to be hedged takes no second instance.
        assert_eq!(backend.clones(), attempts - 1);
    }
}

/// Whether what was made ahead can be sent still: a body that is kept up to a
/// cap may have outgrown it.
#[derive(Clone)]
struct UpTo(Arc<AtomicU32>);

impl Repeat<Request> for UpTo {
    fn repeat(&self, _: &Context, request: &Request) -> Option<Request> {
        Some(request.clone())
    }

    /// As often as this many times.
    fn is_intact(&self, _: &Request) -> bool {
        let left = |left: u32| left.checked_sub(1);
        let (one, other) = (Ordering::Relaxed, Ordering::Relaxed);
        self.0.fetch_update(one, other, left).is_ok()
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_no_longer_intact_is_neither_asked_for_nor_sent() {
    for (asked, granted) in [(0, 0), (1, 1), (2, 1)] {
        for first in [(80, Ok(1)), (10, Err(Trouble::Broken))] {
            let backend = Backend::new(&[first, (100, Ok(2))]);
            let hedge = hedge();
            let rule = UpTo(Arc::new(AtomicU32::new(asked)));
            let layer = hedge.layer(rule).with_error().with_binding(Carried);
            let answer = call(layer.layer(backend.service()), Request::default()).await;
            let expected = if asked == 2 && first.1.is_err() {
                Ok(2)
            } else {
                first.1
            };
            assert_eq!(answer, expected);
            assert_eq!(backend.sent().len(), if asked == 2 { 2 } else { 1 });
            let budget = hedge.budget().snapshot(now());
            let returned = u64::from(asked == 1);
            assert_eq!((budget.granted(), budget.returned()), (granted, returned));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn no_hedge_is_prepared_that_would_come_after_the_deadline() {
    for (deadline, attempts) in [(40, 1), (50, 1), (51, 2)] {
        let backend = Backend::new(&[(80, Ok(1)), (100, Ok(2))]);
        let deadline = Deadline::at(now() + deadline * MILLI);
        let context = Context::default().with_deadline(deadline);
        assert_eq!(call(over(&hedge(), &backend), context.into()).await, Ok(1));
        assert_eq!(
            (backend.sent().len(), backend.clones()),
            (attempts, attempts - 1)
        );
    }
}

#[tokio::test(start_paused = true)]
async fn the_second_attempt_says_which_it_is_and_the_first_is_as_it_came() {
    let retried = Context::default().with_retried_by(Name::from("r"));
    let context = retried.with_attempt(3);
    let backend = Backend::new(&[(NEVER, Ok(1)), (20, Ok(2))]);
    let answer = call(over(&hedge(), &backend), context.clone().into()).await;
    assert_eq!(answer, Ok(2));
    let [first, second] = backend.requests().try_into().unwrap();
    // Nor is one written that says what was there: it might allocate.
    assert_eq!((first.context, first.writes), (context.clone(), 0));
    assert!(first.choice.is_none());
    assert_eq!(
        (second.context, second.writes),
        (context.with_attempt(4), 1)
    );
}

/// What the attempts were told to avoid.
async fn avoided(hedge: &Hedge, backend: &Backend, request: Request) -> Vec<Vec<Endpoint>> {
    let answer = call(over(hedge, backend), request).await;
    assert_eq!(answer, Ok(2));
    let requests = backend.requests().into_iter();
    let avoided = |request: Request| request.context.avoided().collect();
    requests.map(avoided).collect()
}

#[tokio::test(start_paused = true)]
async fn the_second_attempt_avoids_the_endpoint_of_the_first() {
    let endpoint = Endpoint::from_hash(7);
    let avoiding = || {
        let config = Config::new(Delay::fixed(50 * MILLI)).avoiding_endpoints();
        config.build().unwrap()
    };
    let slow = [(NEVER, Ok(1)), (20, Ok(2))];
    let balanced = || Backend::new(&slow).choosing(endpoint);
    let elsewhere = [vec![], vec![endpoint]];

    // A balancer further in said which one it chose.
    let found = avoided(&avoiding(), &balanced(), Request::default()).await;
    assert_eq!(found, elsewhere);

    // Somebody further out wants to know as well.
    for hedge in [avoiding(), hedge()] {
        let choice = Choice::new();
        let request = Request {
            choice: Some(choice.clone()),
            ..Request::default()
        };
        assert_eq!(avoided(&hedge, &balanced(), request).await, elsewhere);
        assert_eq!(choice.told(), Some(endpoint));
    }

    // Nobody asked, and so nobody said.
    let found = avoided(&hedge(), &balanced(), Request::default()).await;
    assert_eq!(found, [vec![], vec![]]);

    // The answer that failed says where it came from.
    let backend = Backend::new(&[(10, Err(Trouble::At(endpoint))), (20, Ok(2))]);
    let found = avoided(&hedge(), &backend, Request::default()).await;
    assert_eq!(found, elsewhere);
}
