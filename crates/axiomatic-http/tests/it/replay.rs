//! Bodies that are sent again: scripted originals, any schedule of who polls
//! when, and real sockets. It is one file because it is one list: what the
//! page promises, a test each.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::error::Error;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};

use axiomatic_core::BoxError;
use axiomatic_core::repeat::Repeat;
use axiomatic_http::replay::{FRAME, UP_TO};
use axiomatic_http::{ReplayBody, ReplayError, ReplayLayer, WhenIdempotent};
use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body::{Body, Frame, SizeHint};
use http_body_util::{BodyExt, Full};
use proptest::prelude::*;
use tower::{Layer, ServiceExt, service_fn};

use crate::scripted::{Knows, trailers};

/// The original's own error.
#[derive(Debug)]
struct Torn;

impl fmt::Display for Torn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("torn")
    }
}

impl Error for Torn {}

#[derive(Clone, Debug)]
enum Step {
    Data(Vec<u8>),
    /// Until somebody releases it.
    Pending,
    Trailers(HeaderMap),
    Break,
    Panic,
}

/// An original that does as it is told, and remembers only the last waker
/// that it was polled with, as real ones do.
struct Original {
    steps: VecDeque<Step>,
    knows: Knows,
    gate: Arc<Mutex<Gate>>,
}

#[derive(Default)]
struct Gate {
    waker: Option<Waker>,
    /// How often it was polled, and let go.
    polls: usize,
    is_dropped: bool,
    is_released: bool,
}

impl Original {
    fn new(knows: Knows, steps: impl IntoIterator<Item = Step>) -> Self {
        Original {
            steps: steps.into_iter().collect(),
            knows,
            gate: Arc::default(),
        }
    }

    fn of<const N: usize>(frames: [&str; N]) -> Self {
        Original::new(Knows::Nothing, frames.map(data))
    }

    fn length(&self) -> u64 {
        self.steps.iter().fold(0, |sum, step| match step {
            Step::Data(data) => sum + data.len() as u64,
            _ => sum,
        })
    }
}

fn data(text: &str) -> Step {
    Step::Data(text.into())
}

impl Drop for Original {
    fn drop(&mut self) {
        self.gate.lock().unwrap().is_dropped = true;
    }
}

impl Body for Original {
    type Data = VecDeque<u8>;
    type Error = Torn;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<VecDeque<u8>>, Torn>>> {
        let gate = Arc::clone(&self.gate);
        let mut gate = gate.lock().unwrap();
        gate.polls += 1;
        if let Some(Step::Pending) = self.steps.front() {
            if !std::mem::take(&mut gate.is_released) {
                gate.waker = Some(cx.waker().clone());
                return Poll::Pending;
            }
            self.steps.pop_front();
        }
        drop(gate);
        Poll::Ready(match self.steps.pop_front() {
            Some(Step::Data(data)) => Some(Ok(Frame::data(data.into()))),
            Some(Step::Trailers(trailers)) => Some(Ok(Frame::trailers(trailers))),
            Some(Step::Break) => Some(Err(Torn)),
            Some(Step::Panic) => panic!("the original's own"),
            Some(Step::Pending) => return self.poll_frame(cx),
            None => None,
        })
    }

    fn is_end_stream(&self) -> bool {
        self.knows == Knows::ItsEnd && self.steps.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        match self.knows {
            Knows::ItsLength => SizeHint::with_exact(self.length()),
            _ => SizeHint::default(),
        }
    }
}

type Replayed = ReplayBody<Original>;

fn replayed(original: Original) -> Replayed {
    ReplayBody::new(original, UP_TO)
}

/// What one attempt has sent.
#[derive(Default, Debug)]
struct Sent {
    data: Vec<u8>,
    trailers: Option<HeaderMap>,
    end: Option<Result<(), ReplayError>>,
}

impl Sent {
    fn poll<B>(&mut self, body: &mut B, waker: &Waker) -> Poll<()>
    where
        B: Body<Data = Bytes, Error = ReplayError> + Unpin,
    {
        let ended = body.is_end_stream();
        let polled = Pin::new(body).poll_frame(&mut Context::from_waker(waker));
        polled.map(|frame| match frame {
            Some(Ok(frame)) => {
                assert!(!ended, "a frame after the end: {frame:?}");
                match frame.into_data() {
                    Ok(data) => self.data.extend_from_slice(&data),
                    Err(frame) => self.trailers = frame.into_trailers().ok(),
                }
            }
            Some(Err(error)) => self.end = Some(Err(error)),
            None => self.end = Some(Ok(())),
        })
    }

    /// To the end, of an original that waits for nothing.
    fn all(body: &mut Replayed) -> Sent {
        let mut sent = Sent::default();
        while sent.end.is_none() {
            assert!(sent.poll(body, Waker::noop()).is_ready());
        }
        sent
    }

    fn is_whole(&self) -> bool {
        matches!(self.end, Some(Ok(())))
    }
}

fn poll(body: &mut Replayed) -> (Sent, bool) {
    let mut sent = Sent::default();
    let is_ready = sent.poll(body, Waker::noop()).is_ready();
    (sent, is_ready)
}

const ALL: [Knows; 3] = [Knows::Nothing, Knows::ItsEnd, Knows::ItsLength];

fn frames() -> impl Strategy<Value = Vec<Vec<u8>>> {
    prop::collection::vec(prop::collection::vec(any::<u8>(), 0..9), 0..7)
}

proptest! {
    #[test]
    fn the_second_attempt_sends_the_same_wherever_the_first_stopped(
        knows in prop::sample::select(&ALL[..]),
        frames in frames(),
        has_trailers in any::<bool>(),
        stops in prop::collection::vec((0..12_usize, any::<bool>()), 1..4),
    ) {
        let fields = has_trailers.then(|| trailers("x-checksum", "right"));
        let steps = frames.iter().cloned().map(Step::Data);
        let steps = steps.chain(fields.clone().map(Step::Trailers));
        let mut attempt = replayed(Original::new(knows, steps));
        let (length, bytes) = (attempt.size_hint().exact(), frames.concat());
        prop_assert_eq!(length, (knows == Knows::ItsLength).then_some(bytes.len() as u64)
            .or((knows == Knows::ItsEnd && frames.is_empty() && !has_trailers).then_some(0)));

        let mut held = Vec::new();
        for (polls, is_held) in stops {
            // As a retry does, before it sends.
            let next = attempt.again().expect("nothing is lost");
            prop_assert!(next.is_intact());
            prop_assert_eq!(next.size_hint().exact(), length);
            let mut sent = Sent::default();
            for _ in 0..polls {
                if sent.end.is_none() {
                    prop_assert!(sent.poll(&mut attempt, Waker::noop()).is_ready());
                }
            }
            prop_assert!(bytes.starts_with(&sent.data));
            let left = (bytes.len() - sent.data.len()) as u64;
            prop_assert_eq!(attempt.size_hint().exact(), length.map(|_| left));
            // The connection holds on to its body, or does not.
            if is_held {
                held.push(attempt);
            }
            attempt = next;
            prop_assert!(attempt.is_intact());
        }
        let sent = Sent::all(&mut attempt);
        prop_assert!(sent.is_whole());
        prop_assert_eq!(&sent.data, &bytes);
        prop_assert_eq!(&sent.trailers, &fields);
        prop_assert!(attempt.is_end_stream());
        // And those that were held can still go on.
        for mut held in held {
            prop_assert!(Sent::all(&mut held).is_whole());
        }
    }
}

/// Wakes nothing, but remembers.
#[derive(Default)]
struct Woken(Mutex<bool>);

impl Woken {
    fn take(&self) -> bool {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        *self.0.lock().unwrap() = true;
    }
}

struct Attempt {
    body: Option<Replayed>,
    sent: Sent,
    woken: Arc<Woken>,
}

impl Attempt {
    fn new(body: Replayed) -> Self {
        let woken = Arc::new(Woken(Mutex::new(true)));
        Attempt {
            body: Some(body),
            sent: Sent::default(),
            woken,
        }
    }

    /// Polls it if it was woken, as an executor would; says whether it was.
    fn run(&mut self) -> bool {
        let Some(body) = &mut self.body else {
            return false;
        };
        if self.sent.end.is_some() || !self.woken.take() {
            return false;
        }
        let waker = Waker::from(Arc::clone(&self.woken));
        if self.sent.poll(body, &waker).is_ready() {
            *self.woken.0.lock().unwrap() = true;
        }
        true
    }
}

proptest! {
    /// Each is polled only when it was woken. One that nobody wakes does not
    /// come to its end.
    #[test]
    fn two_attempts_at_once_both_send_it_all(
        frames in frames(),
        pauses in prop::collection::vec(any::<bool>(), 8),
        schedule in prop::collection::vec(0..4_usize, 0..60),
        dropped in prop::option::of((0..3_usize, 0..60_usize)),
    ) {
        let mut steps = Vec::new();
        for (frame, pause) in frames.iter().zip(&pauses) {
            steps.extend(pause.then_some(Step::Pending));
            steps.push(Step::Data(frame.clone()));
        }
        steps.extend(pauses[7].then_some(Step::Pending));
        let original = Original::new(Knows::Nothing, steps);
        let gate = Arc::clone(&original.gate);
        let first = replayed(original);
        let (second, third) = (first.again().unwrap(), first.again().unwrap());
        let mut attempts = [first, second, third].map(Attempt::new);

        let release = || {
            let waker = {
                let mut gate = gate.lock().unwrap();
                gate.is_released = gate.waker.is_some();
                gate.waker.take()
            };
            waker.map(Waker::wake).is_some()
        };
        let all = (0..60).flat_map(|_| 0..4);
        for (turn, who) in schedule.into_iter().chain(all).enumerate() {
            if let Some((of, _)) = dropped.filter(|(_, at)| *at == turn) {
                attempts[of].body = None;
            }
            match attempts.get_mut(who) {
                Some(attempt) => drop(attempt.run()),
                None => drop(release()),
            }
        }
        for attempt in attempts.iter().filter(|attempt| attempt.body.is_some()) {
            prop_assert!(attempt.sent.is_whole(), "left asleep: {:?}", attempt.sent);
            prop_assert_eq!(&attempt.sent.data, &frames.concat());
        }
    }
}

/// The first one's task has put its body away and does not poll it any more,
/// though it lives; so it must not be the only one that is woken.
#[test]
fn an_attempt_does_not_depend_on_one_that_was_put_away() {
    let original = Original::new(Knows::Nothing, [Step::Pending, data("late")]);
    let gate = Arc::clone(&original.gate);
    let first = replayed(original);
    let mut second = Attempt::new(first.again().unwrap());
    let mut first = Attempt::new(first);
    for order in [0, 1] {
        let (one, other) = if order == 0 {
            (&mut first, &mut second)
        } else {
            (&mut second, &mut first)
        };
        one.run();
        other.run();
        assert!(!one.woken.take() && !other.woken.take());
        let waker = {
            let mut gate = gate.lock().unwrap();
            gate.waker.take().expect("it waits")
        };
        waker.wake();
        assert!(*one.woken.0.lock().unwrap() && *other.woken.0.lock().unwrap());
    }
    gate.lock().unwrap().is_released = true;
    assert!(second.run());
    assert_eq!(second.sent.data, b"late");
}

#[test]
fn the_first_attempt_streams() {
    let steps = [data("a"), Step::Pending, data("b"), Step::Pending];
    let original = Original::new(Knows::Nothing, steps);
    let gate = Arc::clone(&original.gate);
    let mut first = replayed(original);
    let _spare = first.again().unwrap();
    assert_eq!(gate.lock().unwrap().polls, 0, "nobody asked yet");
    let (sent, is_ready) = poll(&mut first);
    assert!(is_ready && sent.data == b"a");
    assert_eq!(gate.lock().unwrap().polls, 1, "a frame for a frame");
    assert!(!poll(&mut first).1);
    gate.lock().unwrap().is_released = true;
    assert_eq!(poll(&mut first).0.data, b"b");
}

#[test]
fn a_body_that_outgrows_the_cap_is_sent_and_cannot_be_repeated() {
    let long = "x".repeat(100);
    let frames = || [long.as_str(), "and", "more"];
    for is_held in [true, false] {
        let mut first = ReplayBody::new(Original::of(frames()), 100 + FRAME);
        let mut second = first.again().unwrap();
        assert_eq!(poll(&mut first).0.data.len(), 100);
        assert_eq!(poll(&mut first).0.data, b"and");
        // All of the cap is used: a short frame counts as a whole handle.
        assert!(second.is_intact());
        assert_eq!(poll(&mut first).0.data, b"more");
        assert!(!second.is_intact());
        assert!(second.again().is_none() && first.again().is_none());
        assert!(poll(&mut first).0.is_whole());
        if !is_held {
            drop(first);
        }
        // Sent all the same, it fails at once, and once.
        let (sent, is_ready) = poll(&mut second);
        assert!(is_ready);
        assert!(matches!(sent.end, Some(Err(ReplayError::Outgrown))));
        assert!(second.is_end_stream());
        assert!(poll(&mut second).0.is_whole());
    }
}

/// Data that can be seen to be kept.
struct Owner(#[expect(dead_code, reason = "it is counted")] Arc<()>);

impl AsRef<[u8]> for Owner {
    fn as_ref(&self) -> &[u8] {
        b"data"
    }
}

#[test]
fn what_was_kept_is_let_go_when_nobody_can_come_for_it() {
    let kept = Arc::new(());
    let frames = || {
        let kept = Arc::clone(&kept);
        let frames = (0..4).map(move |_| Ok::<_, Infallible>(Owner(Arc::clone(&kept))));
        let frames = frames.map(|owner| owner.map(|owner| Frame::data(Bytes::from_owner(owner))));
        http_body_util::StreamBody::new(futures::stream::iter(frames))
    };
    // Besides ours, and that of the original itself.
    let count = || Arc::strong_count(&kept) - 2;
    let read = |body: &mut ReplayBody<_>| {
        let mut context = Context::from_waker(Waker::noop());
        let frame = Pin::new(body).poll_frame(&mut context);
        assert!(matches!(frame, Poll::Ready(Some(Ok(_)))));
    };
    // It does not fit.
    let mut first = ReplayBody::new(frames(), 2 * FRAME);
    let second = first.again().unwrap();
    for expected in [1, 2, 0, 0] {
        read(&mut first);
        assert_eq!(count(), expected);
    }
    drop((first, second));
    // The second attempt is the last, and has come past it.
    let mut first = ReplayBody::new(frames(), UP_TO);
    let mut second = first.again().unwrap();
    read(&mut first);
    read(&mut first);
    drop(first);
    assert_eq!(count(), 2);
    for expected in [2, 2, 0, 0] {
        read(&mut second);
        assert_eq!(count(), expected);
    }
    assert!(!second.is_intact() && second.again().is_none());
}

/// Or a client would send an empty frame more.
#[test]
fn the_second_attempt_knows_its_end_if_the_first_did() {
    for knows in [Knows::ItsEnd, Knows::Nothing] {
        let mut first = replayed(Original::new(knows, [data("a"), data("b")]));
        let mut second = first.again().unwrap();
        let _third = first.again().unwrap();
        // What the original did not know, the first has found out.
        let is_known = knows == Knows::ItsEnd;
        for (body, is_known) in [(&mut first, is_known), (&mut second, true)] {
            assert!(poll(body).1 && !body.is_end_stream());
            assert!(poll(body).1);
            assert_eq!(body.is_end_stream(), is_known);
            assert!(poll(body).0.is_whole());
        }
    }
}

#[test]
fn nobody_is_woken_who_is_gone() {
    let original = Original::new(Knows::Nothing, [Step::Pending]);
    let gate = Arc::clone(&original.gate);
    let first = replayed(original);
    let mut second = Attempt::new(first.again().unwrap());
    let mut first = Attempt::new(first);
    assert!(first.run() && second.run());
    first.body = None;
    assert_eq!(Arc::strong_count(&first.woken), 1, "its task can go");
    let waker = gate.lock().unwrap().waker.take();
    waker.expect("the second waits").wake();
    assert!(!first.woken.take() && second.woken.take());
}

#[test]
fn a_body_known_to_exceed_the_cap_is_not_repeatable_from_the_start() {
    for (knows, is_known) in [(Knows::ItsLength, true), (Knows::Nothing, false)] {
        let original = Original::new(knows, [data("abc"), data("d")]);
        let mut body = ReplayBody::new(original, 3);
        assert_eq!(body.again().is_none(), is_known, "{knows:?}");
        assert_eq!(body.is_intact(), !is_known);
        assert_eq!(Sent::all(&mut body).data, b"abcd");
    }
    let original = Original::new(Knows::ItsLength, [data("abc")]);
    assert!(ReplayBody::new(original, 3).again().is_some());
}

#[test]
fn of_two_attempts_that_outgrow_the_cap_the_later_goes_on() {
    let frames = ["a", "b", "c", "d"];
    let cap = 2 * FRAME;
    let begin = || {
        let mut first = ReplayBody::new(Original::of(frames), cap);
        let mut second = first.again().unwrap();
        assert_eq!(poll(&mut first).0.data, b"a");
        assert_eq!(poll(&mut second).0.data, b"a");
        (first, second)
    };
    // The earlier one comes to the frame that does not fit, the later after.
    let (mut first, mut second) = begin();
    assert_eq!(poll(&mut first).0.data, b"b");
    assert_eq!(poll(&mut first).0.data, b"c");
    let end = poll(&mut first).0.end;
    assert!(matches!(end, Some(Err(ReplayError::Superseded))));
    assert_eq!(Sent::all(&mut second).data, b"bcd");
    // The later one does.
    let (mut first, mut second) = begin();
    assert_eq!(Sent::all(&mut second).data, b"bcd");
    let end = poll(&mut first).0.end;
    assert!(matches!(end, Some(Err(ReplayError::Outgrown))));
    // The later one is gone, and the earlier has the way to itself.
    let (mut first, second) = begin();
    assert_eq!(poll(&mut first).0.data, b"b");
    assert_eq!(poll(&mut first).0.data, b"c");
    drop(second);
    assert_eq!(Sent::all(&mut first).data, b"d");
    // One that has not begun has no say.
    let mut first = ReplayBody::new(Original::of(frames), cap);
    let _spare = first.again().unwrap();
    assert_eq!(Sent::all(&mut first).data, b"abcd");
}

#[test]
fn a_body_that_breaks_is_not_repeated() {
    for (end, shows) in [(Step::Break, true), (Step::Panic, false)] {
        let mut first = replayed(Original::new(Knows::Nothing, [data("a"), end]));
        let mut second = first.again().unwrap();
        assert_eq!(poll(&mut first).0.data, b"a");
        assert!(second.is_intact());
        let end = catch_unwind(AssertUnwindSafe(|| poll(&mut first).0.end));
        match end {
            Ok(Some(Err(ReplayError::Body(error)))) if shows => assert!(error.is::<Torn>()),
            Err(_) if !shows => {}
            end => panic!("{end:?}"),
        }
        assert!(!second.is_intact());
        assert!(second.again().is_none());
        // What was kept is there; what is not is no end.
        let sent = Sent::all(&mut second);
        assert_eq!(sent.data, b"a");
        assert!(matches!(sent.end, Some(Err(ReplayError::Broken))));
    }
    // The source is the original's own.
    let mut alone = replayed(Original::new(Knows::Nothing, [Step::Break]));
    let Some(Err(error)) = Sent::all(&mut alone).end else {
        panic!("it breaks");
    };
    assert!(error.source().unwrap().is::<Torn>());
}

#[test]
fn dropped_at_any_point_it_lets_go() {
    let steps = || {
        let fields = trailers("a", "b");
        [Step::Pending, data("a"), data("b"), Step::Trailers(fields)]
    };
    for polls in 0..6 {
        for first_goes_first in [true, false] {
            let original = Original::new(Knows::Nothing, steps());
            let gate = Arc::clone(&original.gate);
            let mut first = replayed(original);
            let mut second = first.again().unwrap();
            for _ in 0..polls {
                poll(&mut first);
                gate.lock().unwrap().is_released = true;
                poll(&mut second);
            }
            // It is at its end after the trailers, and not needed any more.
            let is_over = gate.lock().unwrap().is_dropped;
            assert_eq!(is_over, polls >= 3);
            let (one, other) = if first_goes_first {
                (first, second)
            } else {
                (second, first)
            };
            drop(one);
            assert_eq!(gate.lock().unwrap().is_dropped, is_over);
            drop(other);
            assert!(gate.lock().unwrap().is_dropped);
        }
    }
}

#[test]
fn what_is_never_repeated_is_passed_on() {
    let fields = trailers("a", "b");
    let steps = [data("a"), Step::Trailers(fields.clone())];
    let mut body = replayed(Original::new(Knows::ItsEnd, steps));
    let sent = Sent::all(&mut body);
    assert_eq!((sent.data, sent.trailers), (b"a".to_vec(), Some(fields)));
    assert!(body.is_end_stream());
    // It was sent, and nothing was kept.
    assert!(!body.is_intact() && body.again().is_none());

    // An empty one is as empty again, and the original is let go.
    let original = Original::new(Knows::ItsEnd, []);
    let gate = Arc::clone(&original.gate);
    let empty = replayed(original);
    assert!(gate.lock().unwrap().is_dropped);
    let mut again = empty.again().unwrap();
    assert!(empty.is_end_stream() && again.is_end_stream() && again.is_intact());
    assert_eq!(again.size_hint().exact(), Some(0));
    assert!(Sent::all(&mut again).is_whole());
}

/// The rule as a retry asks it, and the layer that wraps the bodies.
#[tokio::test]
async fn the_rule_knows_what_was_kept() {
    let context = axiomatic_core::Context::default();
    let inner = service_fn(async |request: Request<ReplayBody<Original>>| {
        let spare = WhenIdempotent.repeat(&context, &request);
        let mut first = request.into_body();
        let sent = Sent::all(&mut first);
        let is_intact = spare.as_ref().map(|spare| WhenIdempotent.is_intact(spare));
        Ok::<_, Infallible>((sent.data, is_intact))
    });
    let service = ReplayLayer::up_to(FRAME).layer(inner);
    let send = async |request: http::request::Builder, frames: &[&str]| {
        let steps: Vec<_> = frames.iter().copied().map(data).collect();
        let original = Original::new(Knows::ItsLength, steps);
        let request = request.body(original).unwrap();
        let (sent, is_intact) = service.clone().oneshot(request).await.unwrap();
        assert_eq!(sent, frames.concat().as_bytes());
        is_intact
    };
    assert_eq!(send(Request::put("/"), &["ab"]).await, Some(true));
    // The cap was exceeded by frames, which the length does not tell.
    assert_eq!(send(Request::put("/"), &["a", "b"]).await, Some(false));
    // Known from the start, or not to be repeated at all.
    let long = "x".repeat(FRAME + 1);
    assert_eq!(send(Request::put("/"), &[&long]).await, None);
    assert_eq!(send(Request::post("/"), &["ab"]).await, None);
}

#[test]
fn bodies_are_as_sendable_as_what_they_read() {
    fn sendable<T: Send + Sync + Unpin>() {}
    sendable::<ReplayBody<Full<Bytes>>>();
    sendable::<ReplayError>();
    sendable::<ReplayLayer>();
    fn local<T: Unpin>() {}
    local::<ReplayBody<std::rc::Rc<()>>>();
    let body = ReplayBody::new(Full::<Bytes>::from("ab"), UP_TO);
    let shown = format!("{body:?}");
    assert!(shown.contains("is_intact: true"), "{shown}");
}

/// A server that answers 503 with half of the body, and reads the second
/// attempt's to its end. What the first sends meanwhile, nobody reads; its
/// connection or stream lives on, and with it its body.
#[tokio::test]
async fn a_second_attempt_sends_the_body_over_real_sockets() {
    use http_body_util::StreamBody;
    use http_body_util::combinators::BoxBody;
    use hyper::body::Incoming;
    use hyper_util::client::legacy::Client;
    use hyper_util::rt::{TokioExecutor, TokioIo};
    use hyper_util::server::conn::auto;
    use tokio::net::TcpListener;
    use tokio::sync::mpsc;

    type Unread = Arc<Mutex<Option<Incoming>>>;

    async fn serve(
        unread: Unread,
        request: Request<Incoming>,
    ) -> Result<Response<String>, BoxError> {
        let mut body = request.into_body();
        if unread.lock().unwrap().is_some() {
            let read = body.collect().await?.to_bytes();
            return Ok(Response::new(String::from_utf8(read.into())?));
        }
        let half = body.frame().await.ok_or("no body")??;
        assert_eq!(half.data_ref().unwrap(), "half, ");
        *unread.lock().unwrap() = Some(body);
        let mut response = Response::new(String::new());
        *response.status_mut() = http::StatusCode::SERVICE_UNAVAILABLE;
        Ok(response)
    }

    for is_http2 in [false, true] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let unread = Unread::default();
        let held = Arc::clone(&unread);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let held = Arc::clone(&held);
                let service = service_fn(move |request| serve(Arc::clone(&held), request));
                tokio::spawn(async move {
                    let service = hyper_util::service::TowerToHyperService::new(service);
                    let server = auto::Builder::new(TokioExecutor::new());
                    server.serve_connection(TokioIo::new(stream), service).await
                });
            }
        });

        let (source, mut frames) = mpsc::channel::<Frame<Bytes>>(1);
        let stream = futures::stream::poll_fn(move |cx| {
            let frame = frames.poll_recv(cx);
            frame.map(|frame| frame.map(Ok::<_, Infallible>))
        });
        let original = BoxBody::new(StreamBody::new(stream));
        let client = Client::builder(TokioExecutor::new())
            .http2_only(is_http2)
            // Nothing is read any more on the first one's connection.
            .pool_max_idle_per_host(0)
            .build_http::<ReplayBody<_>>();
        let first = Request::put(format!("http://{address}/"))
            .body(ReplayBody::new(original, UP_TO))
            .unwrap();
        let second = WhenIdempotent
            .repeat(&axiomatic_core::Context::default(), &first)
            .unwrap();
        source.send(Frame::data("half, ".into())).await.unwrap();
        let answer = client.request(first).await.unwrap();
        assert_eq!(answer.status(), 503);

        assert!(WhenIdempotent.is_intact(&second));
        let rest = async {
            source.send(Frame::data("and half".into())).await.unwrap();
            drop(source);
        };
        let (answer, ()) = tokio::join!(client.request(second), rest);
        let answer = answer.unwrap();
        assert_eq!(answer.status(), 200);
        let read = answer.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(read, "half, and half");
        assert!(unread.lock().unwrap().is_some());
    }
}

/// The same types that a client of hyper asks for.
#[tokio::test]
async fn a_box_can_be_the_original() {
    let original = Full::<Bytes>::from("text").map_err(BoxError::from).boxed();
    let first = ReplayBody::new(original, UP_TO);
    let second = first.again().unwrap();
    assert_eq!(first.collect().await.unwrap().to_bytes(), "text");
    assert_eq!(second.collect().await.unwrap().to_bytes(), "text");
}
