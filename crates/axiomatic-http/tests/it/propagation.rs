//! What the two layers make of fields and contexts, by hand-set clocks.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::time::Duration;

use axiomatic_core::context::{AdmissionLevel, Deadline, Priority, Repeatability};
use axiomatic_core::time::{Clock, ManualClock};
use axiomatic_core::{Announce, Context, Heed, Name};
use axiomatic_http::{Http, InboundLayer, OutboundLayer, fields};
use http::{HeaderMap, HeaderName, Request, Response};
use tower::{Layer, Service, ServiceExt, service_fn};

const SECOND: Duration = Duration::from_secs(1);

type Answer = Ready<Result<Request<()>, Infallible>>;

fn echo(request: Request<()>) -> Answer {
    ready(Ok(request))
}

/// What the inner service gets.
async fn through<L>(layer: &L, request: Request<()>) -> Request<()>
where
    L: Layer<tower::util::ServiceFn<fn(Request<()>) -> Answer>>,
    L::Service: Service<Request<()>, Response = Request<()>, Error = Infallible>,
{
    let inner = service_fn(echo as fn(_) -> _);
    layer.layer(inner).oneshot(request).await.unwrap()
}

async fn inbound(layer: &InboundLayer, request: Request<()>) -> Option<Context> {
    let request = through(layer, request).await;
    request.extensions().get().cloned()
}

fn request(fields: &[(&HeaderName, &str)]) -> Request<()> {
    let request = fields
        .iter()
        .fold(Request::builder(), |request, (name, value)| {
            request.header(*name, *value)
        });
    request.body(()).unwrap()
}

fn carrying(context: Context, fields: &[(&HeaderName, &str)]) -> Request<()> {
    let mut request = request(fields);
    request.extensions_mut().insert(context);
    request
}

#[tokio::test]
async fn a_deadline_counts_from_the_arrival() {
    let hand = ManualClock::new();
    let layer = InboundLayer::new().clock(Clock::Manual(hand.clone()));
    let at = |after| hand.now() + after;
    let timeout = [(&fields::TIMEOUT, "1500")];
    let deadline = |context: Option<Context>| context.unwrap().deadline();

    let arrived = deadline(inbound(&layer, request(&timeout)).await);
    assert_eq!(arrived, Some(Deadline::at(at(SECOND * 3 / 2))));
    hand.advance(SECOND);
    let later = deadline(inbound(&layer, request(&timeout)).await);
    assert_eq!(later, Some(Deadline::at(at(SECOND * 3 / 2))));
    let grpc = request(&[(&fields::GRPC_TIMEOUT, "200m")]);
    let expected = Deadline::at(at(SECOND / 5));
    assert_eq!(deadline(inbound(&layer, grpc).await), Some(expected));
    // None is left, which is not the same as none was said.
    let expired = request(&[(&fields::TIMEOUT, "0")]);
    let expired = deadline(inbound(&layer, expired).await).unwrap();
    assert!(expired.is_expired(hand.now()));

    // One of this process that is earlier stands, armed as it is.
    for (own, expected) in [(1, 1000), (2, 1500)] {
        let own = Deadline::at(at(SECOND * own)).armed();
        let known = carrying(Context::default().with_deadline(own), &timeout);
        let deadline = deadline(inbound(&layer, known).await).unwrap();
        assert_eq!(deadline.instant(), at(Duration::from_millis(expected)));
        assert_eq!(deadline.is_armed(), deadline == own);
    }
}

#[tokio::test]
async fn a_stranger_may_say_that_it_matters_less_and_no_more() {
    let priority = async |layer: &InboundLayer, claim: Option<&str>| {
        let claim = claim.map(|claim| (&fields::PRIORITY, claim));
        let context = inbound(layer, request(claim.as_slice())).await;
        context.unwrap_or_default().priority()
    };
    let strangers = InboundLayer::new();
    let gateway = InboundLayer::new().highest_priority(Priority::from_u8(255));
    let batch = InboundLayer::new().highest_priority(Priority::SHEDDABLE_PLUS);
    for (claim, stranger, trusted, at_most_batch) in [
        (None, 128, 128, 64),
        (Some("0"), 0, 0, 0),
        (Some("70"), 70, 70, 64),
        (Some("128"), 128, 128, 64),
        (Some("129"), 128, 129, 64),
        (Some("255"), 128, 255, 64),
        (Some("256"), 128, 128, 64),
    ] {
        let got = [
            priority(&strangers, claim).await,
            priority(&gateway, claim).await,
            priority(&batch, claim).await,
        ];
        let expected = [stranger, trusted, at_most_batch];
        assert_eq!(got.map(Priority::as_u8), expected, "{claim:?}");
    }
}

#[tokio::test]
async fn what_is_known_already_stands() {
    let all = [
        (&fields::PRIORITY, "70"),
        (&fields::ATTEMPT, "3"),
        (&fields::RETRIED, "?1"),
    ];
    let layer = InboundLayer::new();
    let told = inbound(&layer, request(&all)).await.unwrap();
    assert_eq!(told.priority(), Priority::from_u8(70));
    assert_eq!(told.attempt(), 3);
    assert_eq!(told.retried_by(), Some(Name::REMOTE));

    let known = Context::default()
        .with_priority(Priority::CRITICAL_PLUS)
        .with_attempt(2)
        .with_retried_by(Name::literal("ours"));
    let kept = inbound(&layer, carrying(known.clone(), &all)).await;
    assert_eq!(kept, Some(known));
    // And what it does not say is filled in, with the rest kept.
    let known = Context::default().with_repeatability(Repeatability::Once);
    let filled = inbound(&layer, carrying(known, &all)).await.unwrap();
    assert_eq!(filled.repeatability(), Repeatability::Once);
    assert_eq!(filled.priority(), told.priority());
    assert_eq!(filled.attempt(), 3);
    assert_eq!(filled.retried_by(), Some(Name::REMOTE));
}

#[tokio::test]
async fn what_carries_nothing_passes_unaltered() {
    let plain = || request(&[(&http::header::ACCEPT, "text/plain")]);
    let inbound = through(&InboundLayer::new(), plain()).await;
    assert!(inbound.extensions().is_empty());
    let outbound = through(&OutboundLayer::new().with_grpc_timeout(), plain()).await;
    assert!(outbound.extensions().is_empty());
    assert_eq!(outbound.headers(), plain().headers());
    // What says no more than silence does, is no context either.
    let nothing = [
        (&fields::ATTEMPT, "1"),
        (&fields::PRIORITY, "128"),
        (&fields::RETRIED, "?0"),
    ];
    let inbound = through(&InboundLayer::new(), request(&nothing)).await;
    assert!(inbound.extensions().is_empty());
}

#[tokio::test]
async fn what_is_written_is_the_context_as_it_is_now() {
    let hand = ManualClock::new();
    let clock = Clock::Manual(hand.clone());
    let context = Context::default()
        .with_deadline(Deadline::at(hand.now() + SECOND))
        .with_priority(Priority::SHEDDABLE)
        .with_attempt(2)
        .with_retried_by(Name::literal("checkout"));
    let told = |headers: &HeaderMap| {
        let text = |name: &HeaderName| {
            headers
                .get(name)
                .map(|value| value.to_str().unwrap().to_owned())
        };
        [
            &fields::TIMEOUT,
            &fields::GRPC_TIMEOUT,
            &fields::PRIORITY,
            &fields::ATTEMPT,
            &fields::RETRIED,
        ]
        .map(text)
    };
    let layer = OutboundLayer::new().clock(clock.clone());
    hand.advance(SECOND / 4);
    let sent = through(&layer, carrying(context.clone(), &[])).await;
    let texts = told(sent.headers());
    let texts = texts.each_ref().map(Option::as_deref);
    assert_eq!(texts, [Some("750"), None, Some("0"), Some("2"), Some("?1")]);
    assert_eq!(sent.extensions().get(), Some(&context));

    let layer = OutboundLayer::new().with_grpc_timeout().clock(clock);
    hand.advance(SECOND / 4);
    let sent = through(&layer, carrying(context.clone(), &[])).await;
    assert_eq!(sent.headers()[&fields::TIMEOUT], "500");
    assert_eq!(sent.headers()[&fields::GRPC_TIMEOUT], "500000u");
    let shorter = [(&fields::GRPC_TIMEOUT, "3m")];
    let sent = through(&layer, carrying(context, &shorter)).await;
    assert_eq!(sent.headers()[&fields::GRPC_TIMEOUT], "3m");
    // Without a deadline of ours, gRPC's own stays.
    let sent = through(&layer, request(&shorter)).await;
    assert_eq!(sent.headers()[&fields::GRPC_TIMEOUT], "3m");
}

/// A gateway that hands a request on: what it did not believe is not what
/// the next one hears.
#[tokio::test]
async fn a_claim_that_was_not_believed_goes_no_further() {
    let claims = request(&[(&fields::PRIORITY, "255"), (&fields::ATTEMPT, "0")]);
    let gateway = InboundLayer::new().layer(OutboundLayer::new().layer(service_fn(echo)));
    let sent = gateway.oneshot(claims).await.unwrap();
    assert!(sent.headers().is_empty());
}

/// There by number, and back by the level that the other side announces.
#[tokio::test]
async fn class_and_level_survive_a_hop_and_a_child_keeps_them() {
    let classes = [
        Priority::SHEDDABLE,
        Priority::SHEDDABLE_PLUS,
        Priority::CRITICAL,
        Priority::CRITICAL_PLUS,
    ];
    let gateway = InboundLayer::new().highest_priority(Priority::from_u8(255));
    let all = classes
        .into_iter()
        .flat_map(|class| (0..64).map(move |level| class.with_level(level)));
    for priority in all {
        let context = Context::default().with_priority(priority);
        let mut sent = through(&OutboundLayer::new(), carrying(context, &[])).await;
        sent.extensions_mut().clear();
        let told = inbound(&gateway, sent).await.unwrap_or_default();
        assert_eq!(told.priority(), priority);
        assert_eq!(told.child().priority(), priority);
        // What the handler sends on says the same to the next one.
        let sent = through(&OutboundLayer::new(), carrying(told.child(), &[])).await;
        let claimed = fields::priority(sent.headers()).unwrap_or_default();
        assert_eq!(claimed, priority);

        let level = AdmissionLevel::at(priority, 7);
        let mut answer = Response::new(());
        Http.announce_level(&mut answer, || level);
        let heard = Http.heed_level(&answer).unwrap();
        assert_eq!(heard.priority(), priority);
        assert!(heard.admits(priority, 7) && !heard.admits(priority, 6));
    }
}

/// Who writes a field by hand may call a class by its name, and gets no more
/// by it than by its number.
#[tokio::test]
async fn a_claim_by_class_is_bounded_as_one_by_number() {
    let strangers = InboundLayer::new();
    let gateway = InboundLayer::new().highest_priority(Priority::from_u8(255));
    for (claim, stranger, trusted) in [
        ("sheddable;level=3", 3, 3),
        ("critical-plus", 128, 192),
        ("critical;level=5", 128, 133),
        ("important", 128, 128),
    ] {
        let claims = [(&fields::PRIORITY, claim)];
        for (layer, expected) in [(&strangers, stranger), (&gateway, trusted)] {
            let context = inbound(layer, request(&claims)).await;
            let got = context.unwrap_or_default().priority();
            assert_eq!(got, Priority::from_u8(expected), "{claim}");
        }
    }
}

#[test]
fn layers_are_as_sendable_as_what_they_hold() {
    fn sendable<T: Send + Sync + Unpin + Clone>() {}
    sendable::<InboundLayer>();
    sendable::<OutboundLayer>();
    sendable::<axiomatic_http::InboundService<()>>();
    sendable::<axiomatic_http::OutboundService<()>>();
}
