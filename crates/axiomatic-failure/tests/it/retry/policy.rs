//! What is repeated, when, and what the attempts are told.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_refusal_is_returned_and_an_abandoned_call_repeated() {
    let rejected = |reason| Err(Rejected::new(Pattern::CircuitBreaker, reason));
    for (reason, calls) in [
        (Reason::Open, 1),
        (Reason::Limited, 1),
        (Reason::Expired, 1),
        (Reason::Elapsed, 2),
    ] {
        let dependency = Dependency::with([rejected(reason), Ok(GOOD)]);
        let retry = config().build().unwrap();
        let answer = call(&retry, &dependency, Call::repeatable()).await;
        assert_eq!(dependency.calls(), calls, "{reason:?}");
        assert_eq!(answer.is_err(), calls == 1);
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_never_sent_is_repeated_at_once_and_free() {
    let unsent = Answer::Advised(Advice::Unsent);
    let dependency = Dependency::that([unsent, GOOD]);
    let retry = Config::new(budget(0)).build().unwrap();
    let answer = call(&retry, &dependency, Call::repeatable()).await;
    assert_eq!(answer, Ok(GOOD));
    assert_eq!(dependency.waits(), [Duration::ZERO]);

    // The second time it costs what others do, and there is nothing.
    let dependency = Dependency::that([unsent, unsent, GOOD]);
    let _ = call(&retry, &dependency, Call::repeatable()).await;
    assert_eq!(dependency.calls(), 2);
}

#[tokio::test(start_paused = true)]
async fn who_says_never_is_not_asked_again() {
    let dependency = Dependency::that([Answer::Advised(Advice::Never), GOOD]);
    let retry = config().build().unwrap();
    let _ = call(&retry, &dependency, Call::repeatable()).await;
    assert_eq!(dependency.calls(), 1);
    assert_eq!(retry.snapshot().gave_up(GaveUp::Advised), 1);
}

#[tokio::test(start_paused = true)]
async fn a_hint_is_clamped_to_an_envelope_and_jittered_upward() {
    let backoff = Backoff::constant(SECOND).retry_after_up_to(4 * SECOND);
    for (hint, least) in [(0, 0), (3, 3), (4, 4), (60, 4)] {
        let retry = config().backoff(backoff).seed(7).build().unwrap();
        let mut waits = Vec::new();
        for _ in 0..20 {
            let retry_after = Some(hint * SECOND);
            let throttled = Answer::Is(Outcome::Throttled { retry_after });
            let dependency = Dependency::that([throttled, GOOD]);
            let _ = call(&retry, &dependency, Call::repeatable()).await;
            waits.extend(dependency.waits());
        }
        let least = least * SECOND;
        // Tokio's timers are true to a millisecond.
        let most = least + SECOND + MILLI;
        assert!(
            waits.iter().all(|wait| (least..=most).contains(wait)),
            "{waits:?}"
        );
        waits.sort_unstable();
        waits.dedup();
        assert!(waits.len() > 15, "they come apart: {waits:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn attempts_are_told_their_number_and_who_repeats_them() {
    let retry = config().named("edge").build().unwrap();
    let dependency = Dependency::that([Answer::By(1), Answer::By(2), GOOD]);
    let deadline = Deadline::at(Clock::Precise.now() + 60 * SECOND);
    let mut request = Call::repeatable();
    request.context = request.context.with_deadline(deadline);
    let _ = call(&retry, &dependency, request).await;
    let told: Vec<_> = dependency.contexts().iter().map(Context::attempt).collect();
    assert_eq!(told, [1, 2, 3]);
    let in_time = |context: &Context| context.deadline() == Some(deadline);
    assert!(dependency.contexts().iter().all(in_time));
    let edge = Some(Name::from("edge"));
    assert!(dependency.contexts().iter().all(|c| c.retried_by() == edge));
    let avoided: Vec<Vec<u64>> = dependency
        .contexts()
        .iter()
        .map(|context| context.avoided().map(Endpoint::as_hash).collect())
        .collect();
    assert_eq!(avoided, [vec![], vec![1], vec![2, 1]]);
}

#[tokio::test(start_paused = true)]
async fn an_inner_retry_leaves_the_call_to_the_outer_one() {
    let outer = config().named("outer").build().unwrap();
    let inner = config().named("inner").build().unwrap();
    let dependency = Dependency::default();
    let stack = typed(&inner, WhenDeclared).layer(dependency.clone());
    let mut stack = typed(&outer, WhenDeclared).layer(stack);
    let _ = stack.ready().await.unwrap().call(Call::repeatable()).await;
    assert_eq!(dependency.calls(), 3, "and not nine");
    assert_eq!(inner.snapshot().retried(), 0);
    let counted = inner.snapshot().to_string();
    let nothing = "retry inner: 0 retried, 0 recovered";
    assert_eq!(counted, nothing, "nor is it the inner one that gave up");

    // What the outer one does not repeat, the inner one does.
    outer.set_mode(Mode::Off);
    let _ = stack.ready().await.unwrap().call(Call::repeatable()).await;
    assert_eq!(inner.snapshot().retried(), 2);
}

/// The rule is a public trait, so a closure that is neither `Send` nor
/// `'static` is one as well.
#[tokio::test(start_paused = true)]
async fn a_rule_may_borrow() {
    let count = Cell::new(0);
    let rule = |_: &Context, request: &Call| {
        count.set(count.get() + 1);
        Always.repeat(&Context::default(), request)
    };
    let retry = config().build().unwrap();
    let mut service = typed(&retry, &rule).layer(Dependency::that([BAD, GOOD]));
    let answer = service.ready().await.unwrap().call(Call::default()).await;
    assert_eq!(answer, Ok(GOOD));
    assert_eq!(count.get(), 2);
}

/// Who has nothing left to repeat a call with still keeps others from it:
/// they would add to a load that is too much already.
#[tokio::test(start_paused = true)]
async fn a_drained_budget_keeps_inner_retries_from_adding_too() {
    let outer = Config::new(budget(0)).build().unwrap();
    let inner = config().build().unwrap();
    let dependency = Dependency::default();
    let stack = typed(&inner, WhenDeclared).layer(dependency.clone());
    let mut stack = typed(&outer, WhenDeclared).layer(stack);
    for calls in [1, 2] {
        let _ = stack.ready().await.unwrap().call(Call::repeatable()).await;
        assert_eq!(dependency.calls(), calls);
    }
}

/// Makes second requests, which are lost when the test says so.
pub(super) struct Lossy(pub(super) Rc<Cell<bool>>);

impl Clone for Lossy {
    fn clone(&self) -> Self {
        Lossy(Rc::clone(&self.0))
    }
}

impl Repeat<Call> for Lossy {
    fn repeat(&self, _: &Context, request: &Call) -> Option<Call> {
        Some(request.clone())
    }

    fn is_intact(&self, _: &Call) -> bool {
        !self.0.get()
    }
}

/// Before the wait, and after it: nothing is sent in vain, and no token lost.
#[tokio::test(start_paused = true)]
async fn a_request_that_was_lost_meanwhile_is_not_sent() {
    for (lost_at, granted) in [(0, 0), (500, 1)] {
        let retry = config().build().unwrap();
        let is_lost = Rc::new(Cell::new(lost_at == 0));
        let dependency = Dependency::with([Err(Rejected::new(Pattern::Timeout, Reason::Elapsed))]);
        let layer = typed(&retry, Lossy(Rc::clone(&is_lost)));
        let mut service = layer.layer(dependency.clone());
        let answer = service.ready().await.unwrap().call(Call::default());
        let (answer, ()) = tokio::join!(answer, async {
            tokio::time::sleep(lost_at * MILLI).await;
            is_lost.set(true);
        });
        assert_eq!(answer.unwrap_err().pattern(), Pattern::Timeout);
        assert_eq!(dependency.calls(), 1);
        assert_eq!(retry.snapshot().gave_up(GaveUp::Unrepeatable), 1);
        let budget = retry.budget().snapshot(retry.now());
        assert_eq!((budget.granted(), budget.returned()), (granted, granted));
    }
}
