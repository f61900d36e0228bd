//! What a call costs, claim by claim: heap allocations, exact in any build,
//! and instructions, in release builds where valgrind is there.
//!
//! Every later pattern adds its rows to [`CLAIMS`]. A claim of instructions is
//! what was measured plus a tenth; the toolchain may move it, in a commit of
//! its own. Clocks are a function that returns a constant, so that the
//! kernel's clock is not counted and every run counts the same. It is one file
//! because it is one list, with the subjects that its rows need.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::convert::Infallible;
use std::future::{Future, Ready, ready};
use std::hint::black_box;
use std::num::NonZeroU32;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use axiomatic_capacity::adaptive::{
    AdaptiveLimit, Config as AdaptiveConfig, LimitAlgorithm, Sample, Step, Why,
};
use axiomatic_capacity::bulkhead::{
    Admission, Ask, Bulkhead, Config as BulkheadConfig, KeyedBulkhead, Order, Partitions, Sharing,
    WhenFull,
};
use axiomatic_capacity::load_shed::fail_fast::{
    Config as FailFastConfig, FailFast, Verdict as ReadinessVerdict, Wait,
};
use axiomatic_capacity::load_shed::signal::Watched;
use axiomatic_capacity::load_shed::throttle::Config as ThrottleConfig;
use axiomatic_capacity::load_shed::upstream::Config as UpstreamConfig;
use axiomatic_capacity::load_shed::{
    Config as LoadShedConfig, LoadShedder, Prioritizer, Throttler, Upstream, fairness, prioritizer,
};
use axiomatic_capacity::rate_limit::{
    Algorithm, Config as RateLimitConfig, Quota, RateLimitLayer, RateLimiter, WhenLimited,
};
use axiomatic_coordination::inbox::{Policy, Watermark};
use axiomatic_coordination::outbox::{Epoch, Lane, Message, Sequence};
use axiomatic_coordination::{MessageId, Timestamp};
use axiomatic_core::backoff::Backoff;
use axiomatic_core::budget::{Budget, Call, Class, Deposits, RetryBudget};
use axiomatic_core::context::{AdmissionLevel, Priority};
use axiomatic_core::hash::{Algorithm as HashAlgorithm, Hasher, Seed};
use axiomatic_core::histogram::LatencyHistogram;
use axiomatic_core::keyed::WhenFull as KeysWhenFull;
use axiomatic_core::pressure::Pressure;
use axiomatic_core::repeat::{Always, Repeat, WhenDeclared};
use axiomatic_core::time::{Clock, Instant, ManualClock};
use axiomatic_core::{Carrier, Outcome, Plain, Ratio, Rejected};
use axiomatic_failure::circuit_breaker::{
    Adaptive, CircuitBreaker, Config, HalfOpen, KeyedCircuitBreaker, OpenFor, Ramp, State, Window,
};
use axiomatic_failure::retry::{self, Ended, Retry, Verdict};
use axiomatic_http::{
    Http, InboundLayer, OutboundLayer, ReplayBody, ScopeLayer, WhenIdempotent, fields, replay,
};
use axiomatic_latency::hedge::{Config as HedgeConfig, Delay, Hedge};
use axiomatic_latency::timeout::{
    Adaptive as AdaptiveTimeout, Config as TimeoutConfig, Expired, Timeout,
};
use axiomatic_placement::bounded_load::BoundedLoad;
use axiomatic_placement::consistent_hash::{
    Format, JumpBack, Maglev, Membership, MultiProbe, Node, NumberedShards, Placement, Rendezvous,
    Ring, ShardSet, Shortage, Skeleton, Spread, sample,
};
use axiomatic_placement::router::Routes;
use axiomatic_placement::slot_map::{Config as SlotConfig, SlotMap, Slotting};
use axiomatic_sketch::bloom::{
    AtomicBloomFilter, AtomicWordFilter, BloomFilter, Shape, WindowedConfig, WindowedFilter,
    WordShape,
};
use axiomatic_sketch::count_min::{self, CountMinSketch};
use bytes::{Buf, Bytes};
use http_body::{Body, Frame};
use tower::discover::Change;
use tower::{Layer, Service};

/// What an operation may cost at most.
struct Claim {
    operation: &'static str,
    allocations: u64,
    #[cfg_attr(
        debug_assertions,
        expect(dead_code, reason = "judged in release builds")
    )]
    instructions: u64,
    /// Sets the subject up and returns the operation.
    subject: fn() -> Box<dyn FnMut()>,
}

const CLAIMS: &[Claim] = &[
    Claim {
        operation: "circuit breaker, mechanism, closed",
        allocations: 0,
        instructions: 154,
        subject: || {
            let breaker = breaker();
            Box::new(move || {
                let permit = breaker.admit(now()).expect("closed");
                permit.record(now(), Outcome::Success);
            })
        },
    },
    Claim {
        operation: "circuit breaker, mechanism, refused",
        allocations: 0,
        instructions: 125,
        subject: || {
            let breaker = opened();
            Box::new(move || assert!(black_box(breaker.admit(now())).is_err()))
        },
    },
    Claim {
        operation: "circuit breaker, mechanism, closed, sees slow calls in flight",
        allocations: 0,
        instructions: 294,
        subject: || {
            let second = Duration::from_secs(1);
            let breaker = config().slow_after(second).slow_in_flight();
            let breaker = breaker.build().expect("a valid configuration");
            Box::new(move || {
                let permit = breaker.admit(now()).expect("closed");
                permit.record(now(), Outcome::Success);
            })
        },
    },
    Claim {
        operation: "circuit breaker, mechanism, ramping, an admitted and a refused call",
        allocations: 0,
        instructions: 1584,
        subject: || every_second(ramping(), State::Ramping),
    },
    Claim {
        operation: "circuit breaker, mechanism, thinning, an admitted and a refused call",
        allocations: 0,
        instructions: 1728,
        subject: || every_second(thinning(), State::Thinning),
    },
    Claim {
        operation: "circuit breaker, mechanism, by a known key, closed",
        allocations: 0,
        instructions: 738,
        subject: || {
            let hosts: KeyedCircuitBreaker<String> = keyed();
            Box::new(move || {
                let host = black_box("api.example.org");
                let permit = hosts.admit_owned(host, now()).expect("closed");
                permit.record(now(), Outcome::Success);
            })
        },
    },
    Claim {
        operation: "circuit breaker, layer, by a known key, closed",
        allocations: 0,
        instructions: 709,
        subject: || {
            let layer = keyed().layer(|tenant: &u64| *tenant);
            let mut service = layer.with_error::<Rejected>().layer(Echo);
            Box::new(move || assert!(call(&mut service).is_ok()))
        },
    },
    Claim {
        operation: "circuit breaker, layer, closed",
        allocations: 0,
        instructions: 376,
        subject: || {
            let mut service = breaker().layer().with_error::<Rejected>().layer(Echo);
            Box::new(move || assert!(call(&mut service).is_ok()))
        },
    },
    Claim {
        operation: "circuit breaker, layer, refused",
        allocations: 0,
        instructions: 174,
        subject: || {
            let mut service = opened().layer().with_error::<Rejected>().layer(Echo);
            Box::new(move || assert!(call(&mut service).is_err()))
        },
    },
    Claim {
        operation: "circuit breaker, layer, to the end of the body",
        allocations: 0,
        instructions: 881,
        subject: || {
            let layer = breaker().layer().with_error::<Rejected>();
            let mut service = layer.with_binding(Http.to_body_end()).layer(Answers);
            Box::new(move || {
                let mut context = Context::from_waker(Waker::noop());
                assert!(service.poll_ready(&mut context).is_ready());
                let request = http::Request::new(black_box(1));
                let Poll::Ready(Ok(response)) = pin!(service.call(request)).poll(&mut context)
                else {
                    panic!("the inner service answers at once");
                };
                let mut body = response.into_body();
                while let Poll::Ready(Some(frame)) = Pin::new(&mut body).poll_frame(&mut context) {
                    assert!(black_box(frame).is_ok());
                }
            })
        },
    },
    Claim {
        operation: "backoff, one wait of a session",
        allocations: 0,
        instructions: 242,
        subject: || {
            let longest = Duration::from_secs(10);
            let backoff = Backoff::exponential(Duration::from_millis(100), longest);
            let mut delays = backoff.seeded(7);
            Box::new(move || assert!(black_box(delays.next()).is_some()))
        },
    },
    Claim {
        operation: "budget, deposits, a call",
        allocations: 0,
        instructions: 36,
        subject: || {
            let budget = deposits();
            Box::new(move || budget.begin(now()).finish(now(), Outcome::Success))
        },
    },
    Claim {
        operation: "budget, deposits, a grant that is returned",
        allocations: 0,
        instructions: 252,
        subject: || {
            let budget = deposits();
            Box::new(move || assert!(budget.try_extra(now(), Class::Transient).is_ok()))
        },
    },
    Claim {
        operation: "histogram, one record",
        allocations: 0,
        instructions: 78,
        subject: || {
            let histogram = LatencyHistogram::new(Ratio::percent(95), Duration::from_secs(10));
            let record = move |passed, millis| {
                let latency = Duration::from_millis(black_box(millis));
                histogram.record(now() + Duration::from_secs(passed), latency);
            };
            // Warm, and old enough for its estimates to last.
            (0..100).for_each(|millis| record(0, millis));
            record(1, 20);
            Box::new(move || record(1, 20))
        },
    },
    Claim {
        operation: "timeout, mechanism",
        allocations: 0,
        instructions: 77,
        subject: || {
            let timeout = Timeout::after(Duration::from_secs(1));
            Box::new(move || {
                let permit = timeout.admit(now(), None).expect("not expired");
                permit.record(now(), Outcome::Success);
            })
        },
    },
    Claim {
        operation: "timeout, mechanism, refuses a share of the expired",
        allocations: 0,
        instructions: 103,
        subject: || {
            let expired = Expired::RefuseAtMost(Ratio::percent(10));
            let timeout = timeout(|config| config.expired(expired));
            Box::new(move || {
                let permit = timeout.admit(now(), None).expect("not expired");
                permit.record(now(), Outcome::Success);
            })
        },
    },
    Claim {
        operation: "timeout, mechanism, adaptive",
        allocations: 0,
        instructions: 248,
        subject: || {
            let adaptive = AdaptiveTimeout::of(Ratio::percent(90));
            let timeout = timeout(|config| config.adaptive(adaptive));
            let call = move |passed| {
                let now = now() + Duration::from_secs(passed);
                let permit = timeout.admit(now, None).expect("not expired");
                permit.record(now + Duration::from_millis(20), Outcome::Success);
            };
            // Warm, and old enough for its estimates to last.
            (0..50).for_each(|_| call(0));
            call(1);
            Box::new(move || call(1))
        },
    },
    Claim {
        operation: "retry, layer, answered, repeatable",
        allocations: 0,
        instructions: 287,
        subject: || {
            let layer = retry().layer(Always).with_error::<Rejected>();
            let mut service = layer.layer(Echo);
            Box::new(move || assert!(call(&mut service).is_ok()))
        },
    },
    Claim {
        operation: "retry, layer, answered, not repeatable",
        allocations: 0,
        instructions: 242,
        subject: || {
            let layer = retry().layer(WhenDeclared).with_error::<Rejected>();
            let mut service = layer.layer(Echo);
            Box::new(move || assert!(call(&mut service).is_ok()))
        },
    },
    Claim {
        operation: "retry, layer, failed, nothing left in the budget",
        allocations: 0,
        instructions: 530,
        subject: || {
            let deposits = Deposits::of(Ratio::ZERO).floor(0);
            let budget = RetryBudget::new("empty", deposits).expect("a valid configuration");
            let retry = retry::Config::new(budget).clock(Clock::Source(now));
            let retry = retry.build().expect("a valid configuration");
            let fails = |_: Result<&u64, &Rejected>| Outcome::Transient;
            let layer = retry.layer(Always).with_error::<Rejected>();
            let mut service = layer.with_binding(Plain.classified_by(fails)).layer(Echo);
            Box::new(move || assert!(call(&mut service).is_ok()))
        },
    },
    Claim {
        operation: "retry, session, answered",
        allocations: 0,
        instructions: 145,
        subject: || {
            let retry = retry();
            Box::new(move || {
                let mut session = retry.begin(&axiomatic_core::Context::default(), now());
                let ended = Ended::with(black_box(Outcome::Success));
                assert_eq!(session.record(now(), &ended), Verdict::Return);
            })
        },
    },
    Claim {
        operation: "hedge, mechanism, answered",
        allocations: 0,
        instructions: 194,
        subject: || {
            let hedge = hedge(Clock::Source(now));
            Box::new(move || {
                let mut call = hedge.begin(now());
                assert!(call.fires_at().is_some());
                call.record(now(), Outcome::Success);
            })
        },
    },
    Claim {
        operation: "hedge, layer, ready at once, repeatable",
        allocations: 0,
        instructions: 287,
        subject: || {
            let layer = hedge(Clock::Source(now)).layer(Always);
            let mut service = layer.with_error::<Rejected>().layer(Echo);
            Box::new(move || assert!(call(&mut service).is_ok()))
        },
    },
    // With tokio's timer, and tokio's clock, which the tests need.
    Claim {
        operation: "hedge, layer, pending once, repeatable",
        allocations: 0,
        instructions: 1550,
        subject: || {
            let layer = hedge(Clock::Precise).layer(Always);
            let service = layer.with_error::<Rejected>().layer(Later(1));
            in_a_runtime(service, 1)
        },
    },
    // By its clock calls began long ago, so that the timer rings at once.
    Claim {
        operation: "hedge, layer, both attempts under way",
        allocations: 0,
        instructions: 2210,
        subject: || {
            let hedge = hedge(Clock::Source(|| Instant::from_nanos(200_000_000_000)));
            let layer = hedge.layer(Always).with_error::<Rejected>();
            in_a_runtime(layer.layer(Later(2)), 2)
        },
    },
    // With tokio's clock, which the tests need: half of it is that.
    Claim {
        operation: "timeout, layer, ready at once",
        allocations: 0,
        instructions: 255,
        subject: || {
            let timeout = Timeout::after(Duration::from_secs(1));
            let mut service = timeout.layer().with_error::<Rejected>().layer(Echo);
            Box::new(move || assert!(call(&mut service).is_ok()))
        },
    },
    Claim {
        operation: "http, fields of a request that has none of ours, in and out",
        allocations: 0,
        instructions: 2190,
        subject: || {
            let clock = Clock::Source(now);
            let outbound = OutboundLayer::new().clock(clock.clone()).layer(Echo);
            let mut service = InboundLayer::new().clock(clock).layer(outbound);
            let mut request = Some(request());
            Box::new(move || {
                let sent = request.take().expect("the one before came back");
                request = Some(call_http(&mut service, sent));
            })
        },
    },
    Claim {
        operation: "http, fields with a timeout, in and out",
        // The extensions' map, its table and the context; the field's value.
        allocations: 4,
        instructions: 4370,
        subject: || {
            let clock = Clock::Source(now);
            let outbound = OutboundLayer::new().clock(clock.clone()).layer(Echo);
            let mut service = InboundLayer::new().clock(clock).layer(outbound);
            let mut request = Some(request());
            Box::new(move || {
                let mut sent = request.take().expect("the one before came back");
                *sent.extensions_mut() = http::Extensions::new();
                let timeout = http::HeaderValue::from_static("1500");
                sent.headers_mut().insert(&fields::TIMEOUT, timeout);
                request = Some(call_http(&mut service, sent));
            })
        },
    },
    Claim {
        operation: "http, a scope, and a context that a call inherits",
        allocations: 0,
        instructions: 2212,
        subject: || {
            let mut service = ScopeLayer::new().layer(Inherits);
            let mut request = Some(request());
            Box::new(move || {
                let sent = request.take().expect("the one before came back");
                let answer = call_http(&mut service, sent);
                request = Some(answer.into_body());
            })
        },
    },
    Claim {
        operation: "http, a body that is never repeated",
        allocations: 0,
        instructions: 271,
        subject: || {
            Box::new(|| {
                let body = ReplayBody::new(Whole::new(), replay::UP_TO);
                assert_eq!(read(body), 4);
            })
        },
    },
    Claim {
        operation: "http, a body that is read twice",
        // The recording, its wakers, its frames, and two lists of readers.
        allocations: 5,
        instructions: 3584,
        subject: || {
            Box::new(|| {
                let first = ReplayBody::new(Whole::new(), replay::UP_TO);
                let second = first.again().expect("nothing was read");
                assert_eq!(read(first), 4);
                assert!(second.is_intact());
                assert_eq!(read(second), 4);
            })
        },
    },
    Claim {
        operation: "http, a request without a body, made twice",
        // As many as the clone of a request with an empty body has.
        allocations: 0,
        instructions: 728,
        subject: || {
            let request = http::Request::new(ReplayBody::new(Nothing, replay::UP_TO));
            let context = axiomatic_core::Context::default();
            Box::new(move || {
                let again = WhenIdempotent.repeat(&context, black_box(&request));
                assert!(again.is_some());
            })
        },
    },
    Claim {
        operation: "bulkhead, mechanism, a slot taken and given back",
        allocations: 0,
        instructions: 72,
        subject: || {
            let bulkhead = bulkhead(WhenFull::Reject);
            Box::new(move || drop(black_box(bulkhead.admit()).expect("a slot")))
        },
    },
    Claim {
        operation: "bulkhead, mechanism, with a permit that outlives the borrow",
        allocations: 0,
        instructions: 193,
        subject: || {
            let bulkhead = bulkhead(WhenFull::Reject);
            Box::new(move || {
                let permit = bulkhead.admit_owned(black_box(Ask::default()));
                drop(black_box(permit).expect("a slot"));
            })
        },
    },
    Claim {
        operation: "bulkhead, mechanism, refused",
        allocations: 0,
        instructions: 70,
        subject: || {
            let bulkhead = full(WhenFull::Reject);
            Box::new(move || assert!(black_box(bulkhead.admit()).is_err()))
        },
    },
    Claim {
        operation: "bulkhead, mechanism, within the guarantee of a partition",
        allocations: 0,
        instructions: 156,
        subject: || {
            let shares = Partitions::new(Sharing::Reserved).with("own", Ratio::percent(50));
            let config = BulkheadConfig::new(slots(10)).partitions(shares);
            let bulkhead = config.build().expect("a valid configuration");
            let own = bulkhead.partition("own").expect("it was named");
            let own = bulkhead.within(own);
            Box::new(move || drop(black_box(own.admit()).expect("a slot")))
        },
    },
    Claim {
        operation: "bulkhead, mechanism, by a known key",
        allocations: 0,
        instructions: 689,
        subject: || {
            let config = BulkheadConfig::new(slots(10));
            let tenants: KeyedBulkhead<String> =
                KeyedBulkhead::new(config, slots(100), KeysWhenFull::Refuse).expect("valid");
            Box::new(move || {
                let permit = tenants.admit(black_box("acme"), Ask::default());
                drop(permit.expect("a slot"));
            })
        },
    },
    Claim {
        operation: "bulkhead, layer, answered",
        allocations: 0,
        instructions: 218,
        subject: || {
            let layer = bulkhead(WhenFull::Reject).layer();
            let mut service = layer.with_error::<Rejected>().layer(Echo);
            Box::new(move || assert!(call(&mut service).is_ok()))
        },
    },
    Claim {
        operation: "bulkhead, layer, refused",
        allocations: 0,
        // 80, and 104 in builds whose units leave a part of it out of line,
        // which depends on what else is in this file.
        instructions: 112,
        subject: || {
            let layer = full(WhenFull::Reject).layer();
            let mut service = layer.with_error::<Rejected>().layer(Echo);
            Box::new(move || assert!(call(&mut service).is_err()))
        },
    },
    Claim {
        operation: "bulkhead, queued layer, answered",
        allocations: 0,
        instructions: 335,
        subject: || {
            let layer = bulkhead(waits()).queued_layer();
            let mut service = layer.with_error::<Rejected>().layer(Echo);
            Box::new(move || assert!(call(&mut service).is_ok()))
        },
    },
    Claim {
        operation: "bulkhead, queue, a place taken, a slot handed over, taken up and given back",
        allocations: 0,
        instructions: 1945,
        subject: || {
            let bulkhead = bulkhead(waits());
            bulkhead.resize(slots(1));
            Box::new(move || {
                let first = bulkhead.admit().expect("a slot");
                let Ok(Admission::Waiting(mut second)) = bulkhead.admit_or_wait(Ask::default())
                else {
                    panic!("there is no slot")
                };
                let mut context = Context::from_waker(Waker::noop());
                assert!(Pin::new(&mut second).poll(&mut context).is_pending());
                drop(first);
                assert!(Pin::new(&mut second).poll(&mut context).is_ready());
            })
        },
    },
    Claim {
        operation: "rate limiter, mechanism, admitted",
        allocations: 0,
        instructions: 121,
        subject: || {
            let limiter = limiter(Algorithm::Gcra);
            Box::new(move || assert!(black_box(limiter.admit(now())).is_ok()))
        },
    },
    Claim {
        operation: "rate limiter, mechanism, admitted at a cost",
        allocations: 0,
        instructions: 121,
        subject: || {
            let limiter = limiter(Algorithm::Gcra);
            Box::new(move || {
                let permit = limiter.admit_weighing(now(), black_box(slots(3)));
                assert!(black_box(permit).is_ok());
            })
        },
    },
    Claim {
        operation: "rate limiter, mechanism, refused",
        allocations: 0,
        instructions: 202,
        subject: || {
            let limiter = spent();
            Box::new(move || assert!(black_box(limiter.admit(now())).is_err()))
        },
    },
    Claim {
        operation: "rate limiter, mechanism, a token bucket, admitted",
        allocations: 0,
        instructions: 206,
        subject: || {
            let limiter = limiter(Algorithm::TokenBucket);
            Box::new(move || assert!(black_box(limiter.admit(now())).is_ok()))
        },
    },
    Claim {
        operation: "rate limiter, mechanism, a fixed window, admitted",
        allocations: 0,
        instructions: 200,
        subject: || {
            let limiter = limiter(Algorithm::FixedWindow);
            Box::new(move || assert!(black_box(limiter.admit(now())).is_ok()))
        },
    },
    Claim {
        operation: "rate limiter, mechanism, a sliding window, admitted",
        allocations: 0,
        instructions: 279,
        subject: || {
            let limiter = limiter(Algorithm::SlidingWindow);
            Box::new(move || assert!(black_box(limiter.admit(now())).is_ok()))
        },
    },
    Claim {
        operation: "rate limiter, mechanism, warm, admitted",
        allocations: 0,
        instructions: 284,
        subject: || {
            let limiter = limiter(Algorithm::WarmUp {
                length: Duration::from_secs(1),
                cold_factor: 3.try_into().expect("some"),
                cools_after: Duration::from_secs(3_600),
            });
            let early = Instant::from_nanos(now().as_nanos() - 60_000_000_000);
            limiter.admit(early).expect("the first");
            Box::new(move || assert!(black_box(limiter.admit(now())).is_ok()))
        },
    },
    Claim {
        operation: "rate limiter, mechanism, reserved and cancelled",
        allocations: 0,
        instructions: 361,
        subject: || {
            let limiter = limiter(Algorithm::Gcra);
            Box::new(move || {
                let reservation = limiter.reserve(now(), slots(1), now());
                black_box(reservation.expect("some is left")).cancel(now());
            })
        },
    },
    Claim {
        operation: "rate limiter, mechanism, waited for nothing",
        allocations: 0,
        instructions: 279,
        subject: || {
            let limiter = limiter(Algorithm::Gcra);
            Box::new(move || {
                let waiting = pin!(limiter.wait(slots(1), None));
                let mut context = Context::from_waker(Waker::noop());
                assert_eq!(waiting.poll(&mut context), Poll::Ready(Ok(())));
            })
        },
    },
    Claim {
        operation: "rate limiter, layer, answered",
        allocations: 0,
        instructions: 121,
        subject: || {
            let layer = limiter(Algorithm::Gcra).layer();
            let mut service = layer.with_error::<Rejected>().layer(Echo);
            Box::new(move || assert!(call(&mut service).is_ok()))
        },
    },
    Claim {
        operation: "rate limiter, layer, refused",
        allocations: 0,
        instructions: 216,
        subject: || {
            let layer = spent().layer();
            let mut service = layer.with_error::<Rejected>().layer(Echo);
            Box::new(move || assert!(call(&mut service).is_err()))
        },
    },
    Claim {
        operation: "rate limiter, waiting layer, answered",
        allocations: 0,
        instructions: 252,
        subject: || {
            let layer = limiter(Algorithm::Gcra).waiting_layer();
            let mut service = layer.with_error::<Rejected>().layer(Echo);
            Box::new(move || assert!(call(&mut service).is_ok()))
        },
    },
    Claim {
        operation: "rate limiter, layer, two limits as one, answered",
        allocations: 0,
        instructions: 367,
        subject: || {
            let limits = (limiter(Algorithm::Gcra), limiter(Algorithm::Gcra));
            let layer = RateLimitLayer::new(limits);
            let mut service = layer.with_error::<Rejected>().layer(Echo);
            Box::new(move || assert!(call(&mut service).is_ok()))
        },
    },
    Claim {
        operation: "adaptive limit, mechanism, answered",
        allocations: 0,
        instructions: 200,
        subject: || {
            let limit = adaptive();
            Box::new(move || {
                let permit = limit.admit(now()).expect("a slot");
                permit.record(now(), Outcome::Success);
            })
        },
    },
    Claim {
        operation: "adaptive limit, mechanism, ten calls and the step that they lead to",
        allocations: 0,
        // 13,817 on two processors: most is to read the lines, of which the
        // largest machine has 33 and this one 5.
        instructions: 90_000,
        subject: || {
            let clock = ManualClock::new();
            let limit = adaptive_by(Clock::Manual(clock.clone()));
            Box::new(move || {
                clock.advance(Duration::from_millis(100));
                for _ in 0..10 {
                    let permit = limit.admit(clock.now()).expect("a slot");
                    permit.record(clock.now(), Outcome::Success);
                }
            })
        },
    },
    Claim {
        operation: "adaptive limit, layer, answered",
        allocations: 0,
        instructions: 366,
        subject: || {
            let mut service = adaptive().layer().with_error::<Rejected>().layer(Echo);
            Box::new(move || assert!(call(&mut service).is_ok()))
        },
    },
    Claim {
        operation: "load shedder, mechanism, let in",
        allocations: 0,
        instructions: 99,
        subject: || {
            let shedder = shedder(None);
            Box::new(move || drop(black_box(shedder.admit(now(), Ask::default())).expect("in")))
        },
    },
    Claim {
        operation: "load shedder, mechanism, let in while others are shed",
        allocations: 0,
        instructions: 110,
        subject: || {
            let shedder = shedder(Some(Priority::SHEDDABLE));
            Box::new(move || drop(black_box(shedder.admit(now(), Ask::default())).expect("in")))
        },
    },
    Claim {
        operation: "load shedder, mechanism, with a permit that outlives the borrow",
        allocations: 0,
        instructions: 172,
        subject: || {
            let shedder = shedder(None);
            Box::new(move || {
                let permit = shedder.admit_owned(now(), black_box(Ask::default()));
                drop(black_box(permit).expect("in"));
            })
        },
    },
    Claim {
        operation: "load shedder, mechanism, shed",
        allocations: 0,
        instructions: 118,
        subject: || {
            let shedder = shedder(Some(Priority::CRITICAL_PLUS));
            Box::new(move || assert!(black_box(shedder.admit(now(), Ask::default())).is_err()))
        },
    },
    Claim {
        operation: "load shedder, layer, answered",
        allocations: 0,
        instructions: 216,
        subject: || {
            let layer = shedder(None).layer().with_error::<Rejected>();
            let mut service = layer.layer(Echo);
            Box::new(move || assert!(call(&mut service).is_ok()))
        },
    },
    Claim {
        operation: "load shedder, layer, answered while others are shed",
        allocations: 0,
        instructions: 227,
        subject: || {
            let layer = shedder(Some(Priority::SHEDDABLE)).layer();
            let mut service = layer.with_error::<Rejected>().layer(Echo);
            Box::new(move || assert!(call(&mut service).is_ok()))
        },
    },
    Claim {
        operation: "load shedder, layer, shed",
        allocations: 0,
        instructions: 141,
        subject: || {
            let layer = shedder(Some(Priority::CRITICAL_PLUS)).layer();
            let mut service = layer.with_error::<Rejected>().layer(Echo);
            Box::new(move || assert!(call(&mut service).is_err()))
        },
    },
    Claim {
        operation: "load shedder, layer, shed because the inner service is not ready",
        allocations: 0,
        instructions: 144,
        subject: || {
            let layer = shedder(None).layer().with_error::<Rejected>();
            let mut service = layer.layer(Never);
            Box::new(move || assert!(call(&mut service).is_err()))
        },
    },
    Claim {
        operation: "prioritizer, let in",
        allocations: 0,
        instructions: 72,
        subject: || {
            let prioritizer = prioritizer(None);
            Box::new(move || prioritizer.admit(now(), Priority::CRITICAL).expect("in"))
        },
    },
    Claim {
        operation: "prioritizer, shed",
        allocations: 0,
        instructions: 83,
        subject: || {
            let prioritizer = prioritizer(Some(Priority::CRITICAL_PLUS));
            Box::new(move || {
                let shed = prioritizer.admit(now(), Priority::CRITICAL);
                assert!(black_box(shed).is_err());
            })
        },
    },
    Claim {
        operation: "fairness, a user ranked",
        allocations: 0,
        instructions: 84,
        subject: || {
            let fairness = fairness::Config::new().build().expect("valid");
            let user = fairness.hasher().bytes(b"ann");
            Box::new(move || {
                let ranked = fairness.rank(now(), black_box(user), Priority::CRITICAL);
                assert!(ranked >= Priority::CRITICAL);
            })
        },
    },
    Claim {
        operation: "upstream, mechanism, sent",
        allocations: 0,
        instructions: 53,
        subject: || {
            let upstream = upstream(Priority::SHEDDABLE);
            Box::new(move || upstream.admit(now(), Priority::CRITICAL).expect("sent"))
        },
    },
    Claim {
        operation: "upstream, mechanism, kept back",
        allocations: 0,
        instructions: 102,
        subject: || {
            let upstream = upstream(Priority::CRITICAL_PLUS);
            Box::new(move || {
                let kept = upstream.admit(now(), Priority::CRITICAL);
                assert!(black_box(kept).is_err());
            })
        },
    },
    Claim {
        operation: "upstream, layer, answered",
        allocations: 0,
        instructions: 95,
        subject: || {
            let layer = upstream(Priority::SHEDDABLE).layer();
            let mut service = layer.with_error::<Rejected>().layer(Echo);
            Box::new(move || assert!(call(&mut service).is_ok()))
        },
    },
    Claim {
        operation: "upstream, layer, kept back",
        allocations: 0,
        instructions: 135,
        subject: || {
            let layer = upstream(Priority::CRITICAL_PLUS).layer();
            let mut service = layer.with_error::<Rejected>().layer(Echo);
            Box::new(move || assert!(call(&mut service).is_err()))
        },
    },
    Claim {
        operation: "fail-fast, layer, answered",
        allocations: 0,
        instructions: 67,
        subject: || {
            let layer = fail_fast().layer().with_error::<Rejected>();
            let mut service = layer.layer(Echo);
            Box::new(move || assert!(call(&mut service).is_ok()))
        },
    },
    Claim {
        operation: "fail-fast, layer, refused for what was not ready for too long",
        allocations: 0,
        instructions: 86,
        subject: || {
            let fail_fast = fail_fast();
            let mut wait = Wait::default();
            let waits = fail_fast.found_unready(&mut wait, now());
            assert_ne!(waits, ReadinessVerdict::Refuse);
            let later = now() + fail_fast.max_unavailable();
            let refused = fail_fast.found_unready(&mut wait, later);
            assert_eq!(refused, ReadinessVerdict::Refuse);
            let mut service = fail_fast.layer().with_error::<Rejected>().layer(Never);
            Box::new(move || assert!(call(&mut service).is_err()))
        },
    },
    Claim {
        operation: "throttle, mechanism, answered",
        allocations: 0,
        instructions: 105,
        subject: || {
            let throttler = throttler();
            Box::new(move || {
                let permit = throttler.admit(now(), Priority::CRITICAL).expect("in");
                permit.record(now(), Outcome::Success);
            })
        },
    },
    // One in a hundred thousand passes.
    Claim {
        operation: "throttle, mechanism, refused",
        allocations: 0,
        instructions: 146,
        subject: || {
            let throttler = throttling();
            Box::new(move || drop(black_box(throttler.admit(now(), Priority::CRITICAL))))
        },
    },
    Claim {
        operation: "throttle, layer, answered",
        allocations: 0,
        instructions: 252,
        subject: || {
            let layer = throttler().layer().with_error::<Rejected>();
            let mut service = layer.layer(Echo);
            Box::new(move || assert!(call(&mut service).is_ok()))
        },
    },
    Claim {
        operation: "throttle, layer, refused",
        allocations: 0,
        instructions: 176,
        subject: || {
            let layer = throttling().layer().with_error::<Rejected>();
            let mut service = layer.layer(Echo);
            Box::new(move || {
                let _ = black_box(call(&mut service));
            })
        },
    },
    // Placements: the hash of a key is the caller's, another one each time.
    Claim {
        operation: "rendezvous, owner of ten nodes",
        allocations: 0,
        instructions: 223,
        subject: || owning(Rendezvous::new(&nodes(10))),
    },
    Claim {
        operation: "rendezvous, owner of ten nodes of unequal weights",
        allocations: 0,
        instructions: 607,
        subject: || owning(Rendezvous::new(&weighing(10))),
    },
    Claim {
        operation: "rendezvous, three candidates of ten nodes",
        allocations: 0,
        instructions: 628,
        subject: || {
            let placement = Rendezvous::new(&nodes(10));
            let mut hashes = sample(u64::MAX);
            Box::new(move || {
                let candidates = placement.candidates(hash(&mut hashes));
                for node in candidates.take(3) {
                    black_box(node);
                }
            })
        },
    },
    Claim {
        operation: "rendezvous, three replicas of ten nodes in three zones",
        // Who they are.
        allocations: 1,
        instructions: 1367,
        subject: || {
            let placement = Rendezvous::new(&nodes(10));
            let mut hashes = sample(u64::MAX);
            Box::new(move || {
                let hash = hash(&mut hashes);
                let three = placement.replicas(hash, 3, Spread::Zone, Shortage::Strict);
                assert_eq!(black_box(three).len(), 3);
            })
        },
    },
    Claim {
        operation: "skeleton, owner of a thousand nodes",
        allocations: 0,
        instructions: 1727,
        subject: || owning(Skeleton::new(&nodes(1000))),
    },
    Claim {
        operation: "maglev, owner",
        allocations: 0,
        instructions: 57,
        subject: || owning(Maglev::new(&nodes(100)).expect("slots enough")),
    },
    Claim {
        operation: "ring, owner, of 160 points a node",
        allocations: 0,
        instructions: 104,
        subject: || {
            let (least, most) = (16_000, 16_000);
            let ring = Ring::new(&nodes(100), Format::Envoy { least, most });
            owning(ring.expect("any name will do"))
        },
    },
    Claim {
        operation: "multi-probe, owner, by 21 probes",
        allocations: 0,
        instructions: 1631,
        subject: || owning(MultiProbe::new(&nodes(100)).expect("a point a node")),
    },
    Claim {
        operation: "jump back, owner of a thousand shards",
        allocations: 0,
        instructions: 92,
        subject: || sharding(JumpBack::new(1000).expect("not too many")),
    },
    Claim {
        operation: "shard set, owner where every second shard works",
        allocations: 0,
        instructions: 125,
        subject: || {
            let every_second = (0..2000).step_by(2);
            sharding(ShardSet::of(2000, every_second).expect("not too many"))
        },
    },
    Claim {
        operation: "bounded load over maglev, a pick that is dropped",
        allocations: 0,
        instructions: 145,
        subject: || {
            let placement = Maglev::new(&nodes(100)).expect("slots enough");
            let bounded = BoundedLoad::new(placement, Ratio::percent(125)).expect("room enough");
            let mut hashes = sample(u64::MAX);
            Box::new(move || assert_eq!(bounded.pick(hash(&mut hashes)).displacement(), 0))
        },
    },
    Claim {
        operation: "slot map, owner of a key",
        allocations: 0,
        instructions: 80,
        subject: || {
            let config = SlotConfig::new(Slotting::Xxh3(Seed::fixed(0)));
            let map = SlotMap::new(&nodes(100), config).expect("slots enough");
            let mut keys = sample(u64::MAX);
            Box::new(move || {
                let key = hash(&mut keys).to_le_bytes();
                black_box(map.owner_of(&key));
            })
        },
    },
    Claim {
        operation: "router, the first of 8 candidates",
        allocations: 0,
        instructions: 417,
        subject: || routed_attempt(1),
    },
    Claim {
        operation: "router, the second of 8 candidates",
        allocations: 0,
        instructions: 1112,
        subject: || routed_attempt(2),
    },
    // Sketches: of hashes, another one each time, unless a key is said.
    Claim {
        operation: "bloom, a question, given the hash",
        allocations: 0,
        instructions: 69,
        subject: || {
            let filter = bloom();
            let mut hashes = sample(u64::MAX);
            Box::new(move || {
                black_box(filter.may_contain_hash(hash(&mut hashes)));
            })
        },
    },
    Claim {
        operation: "bloom, a question, by a key of 16 bytes",
        allocations: 0,
        instructions: 126,
        subject: || {
            let filter = bloom();
            let key = *b"customer-0000017";
            Box::new(move || {
                black_box(filter.may_contain(black_box(&key)));
            })
        },
    },
    Claim {
        operation: "bloom, insert, given the hash",
        allocations: 0,
        instructions: 71,
        subject: || {
            let mut filter = bloom();
            let mut hashes = sample(u64::MAX);
            Box::new(move || {
                black_box(filter.insert_hash(hash(&mut hashes)));
            })
        },
    },
    Claim {
        operation: "bloom, 32 questions at once",
        allocations: 0,
        instructions: 1401,
        subject: || {
            let filter = bloom();
            let mut hashes = sample(u64::MAX);
            let mut answers = Vec::with_capacity(32);
            Box::new(move || {
                let hashes: [u64; 32] = std::array::from_fn(|_| hash(&mut hashes));
                filter.may_contain_hashes(&hashes, &mut answers);
                black_box(&answers);
            })
        },
    },
    Claim {
        operation: "bloom, shared, an insert of a new key",
        allocations: 0,
        instructions: 145,
        subject: || {
            // Large enough to stay almost empty.
            let filter = shared_bloom(1_000_000);
            let mut hashes = sample(u64::MAX);
            Box::new(move || assert!(filter.insert_hash(hash(&mut hashes))))
        },
    },
    Claim {
        operation: "bloom, shared, an insert of a known key",
        allocations: 0,
        instructions: 64,
        subject: || {
            let filter = shared_bloom(10_000);
            filter.insert_hash(KNOWN);
            Box::new(move || assert!(!filter.insert_hash(black_box(KNOWN))))
        },
    },
    Claim {
        operation: "bloom, shared words, an insert of a new key",
        allocations: 0,
        instructions: 80,
        subject: || {
            let filter = word_bloom(10_000_000);
            let mut hashes = sample(u64::MAX);
            Box::new(move || {
                black_box(filter.insert_hash(hash(&mut hashes)));
            })
        },
    },
    Claim {
        operation: "bloom, shared words, an insert of a known key",
        allocations: 0,
        instructions: 50,
        subject: || {
            let filter = word_bloom(10_000);
            filter.insert_hash(KNOWN);
            Box::new(move || assert!(!filter.insert_hash(black_box(KNOWN))))
        },
    },
    Claim {
        operation: "bloom, windowed, an insert of a known key",
        allocations: 0,
        instructions: 133,
        subject: || {
            let filter = windowed_bloom();
            filter.insert_hash(KNOWN, now());
            Box::new(move || assert!(!filter.insert_hash(black_box(KNOWN), now())))
        },
    },
    Claim {
        operation: "bloom, windowed, a question",
        allocations: 0,
        instructions: 196,
        subject: || {
            let filter = windowed_bloom();
            filter.insert_hash(KNOWN, now());
            Box::new(move || assert!(filter.may_contain_hash(black_box(KNOWN), now())))
        },
    },
    Claim {
        operation: "outbox, a message of a key",
        allocations: 2,
        instructions: 700,
        subject: || {
            let id = MessageId::from_u128(17);
            Box::new(move || {
                let message = Message::identified(id, "orders", &b"placed"[..]);
                black_box(message.keyed("order-17"));
            })
        },
    },
    Claim {
        operation: "outbox, the lane of a key",
        allocations: 1,
        instructions: 600,
        subject: || {
            Box::new(|| {
                black_box(Lane::of_key(None, black_box("order-17")));
            })
        },
    },
    Claim {
        operation: "inbox, the next number of a key",
        allocations: 0,
        instructions: 300,
        subject: || {
            let policy = Policy::Reject {
                patience: Duration::from_secs(60),
            };
            let mut watermark = Watermark::default();
            let mut sequence = Sequence {
                number: 1,
                first: true,
            };
            Box::new(move || {
                let epoch = Some(Epoch(7));
                let judged = watermark.judge(sequence, epoch, policy, Timestamp::default());
                watermark = judged.after;
                sequence.number += 1;
                sequence.first = false;
            })
        },
    },
    Claim {
        operation: "count-min, one more",
        allocations: 0,
        instructions: 222,
        subject: || {
            let sketch = counts();
            let mut hashes = sample(u64::MAX);
            Box::new(move || {
                black_box(sketch.add_hash(hash(&mut hashes), 1));
            })
        },
    },
    Claim {
        operation: "count-min, an estimate",
        allocations: 0,
        instructions: 79,
        subject: || {
            let sketch = counts();
            let mut hashes = sample(u64::MAX);
            Box::new(move || {
                black_box(sketch.estimate_hash(hash(&mut hashes)));
            })
        },
    },
];

fn now() -> Instant {
    Instant::from_nanos(black_box(7_200_000_000_000))
}

fn slots(count: u32) -> NonZeroU32 {
    NonZeroU32::new(count).expect("some")
}

fn waits() -> WhenFull {
    WhenFull::Wait {
        max_waiting: 10,
        max_wait: Duration::from_secs(3_600),
        order: Order::default(),
    }
}

fn bulkhead(when_full: WhenFull) -> Bulkhead {
    let config = BulkheadConfig::new(slots(10)).when_full(when_full);
    config.clock(Clock::Source(now)).build().expect("valid")
}

/// Whose only slot is taken for ever.
fn full(when_full: WhenFull) -> Bulkhead {
    let bulkhead = bulkhead(when_full);
    bulkhead.resize(slots(1));
    std::mem::forget(bulkhead.admit_owned(Ask::default()).expect("a slot"));
    bulkhead
}

/// Nobody uses it up. Windows are of as many as they count.
fn limiter(algorithm: Algorithm) -> RateLimiter {
    let count = slots(Algorithm::MOST_IN_WINDOW);
    let quota = Quota::per_second(count);
    let quota = match algorithm {
        Algorithm::FixedWindow | Algorithm::SlidingWindow => quota,
        _ => quota.burst(NonZeroU32::MAX),
    };
    let config = RateLimitConfig::new(quota).algorithm(algorithm);
    // In windows nobody waits.
    let config = match algorithm {
        Algorithm::Gcra => config.when_limited(WhenLimited::Wait {
            max_wait: Duration::from_secs(1),
            max_waiting: slots(10),
        }),
        _ => config,
    };
    config.clock(Clock::Source(now)).build().expect("valid")
}

/// What there is in an hour was had.
fn spent() -> RateLimiter {
    let config = RateLimitConfig::new(Quota::per_hour(slots(1)));
    let limiter = config.clock(Clock::Source(now)).build().expect("valid");
    limiter.admit(now()).expect("the first");
    limiter
}

/// Its clock stands, so no window ends.
fn adaptive() -> AdaptiveLimit {
    adaptive_by(Clock::Source(now))
}

fn adaptive_by(clock: Clock) -> AdaptiveLimit {
    #[derive(Debug)]
    struct Ten;
    impl LimitAlgorithm for Ten {
        fn initial(&self) -> u32 {
            10
        }
        fn step(&mut self, _: &Sample) -> Step {
            Step {
                limit: 10,
                why: Why::Steady,
            }
        }
    }
    let config = AdaptiveConfig::new(Ten).clock(clock);
    config.build().expect("a valid configuration")
}

/// It has just decided that half of this priority is shed and all that matters
/// less; or nothing. By its clock no period ends.
fn prioritizer(level: Option<Priority>) -> Prioritizer {
    let pressure = match level {
        Some(_) => Pressure::percent(1_000),
        None => Pressure::NONE,
    };
    let prioritizer = prioritizer::Config::new()
        .signal(Watched::new("costs", move |_| pressure))
        .most_refused(Ratio::percent(50))
        .build()
        .expect("a valid configuration");
    for seconds_ago in (0..100).rev() {
        let at = Instant::from_nanos(now().as_nanos() - seconds_ago * 1_000_000_000);
        for _ in 0..100 {
            let _ = prioritizer.admit(at, level.unwrap_or_default());
        }
    }
    match level {
        None => assert_eq!(prioritizer.level(), AdmissionLevel::ALL),
        Some(level) => assert_eq!(prioritizer.level().priority(), level),
    }
    prioritizer
}

fn shedder(level: Option<Priority>) -> LoadShedder {
    let config = LoadShedConfig::new(&prioritizer(level));
    config.clock(Clock::Source(now)).build()
}

/// It has heard that half of this priority is shed there, and sends no probes.
fn upstream(level: Priority) -> Upstream {
    let config = UpstreamConfig::new().probes(Ratio::ZERO);
    let upstream = config.clock(Clock::Source(now)).build().expect("valid");
    upstream.hear(now(), AdmissionLevel::at(level, 32_768));
    upstream
}

fn fail_fast() -> FailFast {
    let config = FailFastConfig::new(Duration::from_secs(1));
    config.build().expect("a valid configuration")
}

fn throttler() -> Throttler {
    let config = ThrottleConfig::success_rate(Ratio::percent(95))
        .most_refused(Ratio::parts_per_million(999_990))
        .clock(Clock::Source(now));
    config.seed(7).build().expect("a valid configuration")
}

/// All calls have failed before, and nearly all are refused.
fn throttling() -> Throttler {
    let throttler = throttler();
    for _ in 0..100_000 {
        if let Ok(permit) = throttler.admit(now(), Priority::CRITICAL) {
            permit.record(now(), Outcome::Transient);
        }
    }
    // The next turn, of which by its clock nobody is behind.
    let _ = throttler.admit(now() + Duration::from_secs(2), Priority::CRITICAL);
    assert!(throttler.refused_share().ratio() > Ratio::percent(99));
    throttler
}

fn deposits() -> RetryBudget<Deposits> {
    RetryBudget::new("costs", Deposits::default()).expect("a valid configuration")
}

fn timeout(configure: impl FnOnce(TimeoutConfig) -> TimeoutConfig) -> Timeout {
    let config = configure(TimeoutConfig::after(Duration::from_secs(1)));
    config.build().expect("a valid configuration")
}

fn config() -> Config {
    Config::new(Window::last(Duration::from_secs(10))).clock(Clock::Source(now))
}

fn retry() -> Retry {
    let retry = retry::Config::default().clock(Clock::Source(now));
    retry.build().expect("a valid configuration")
}

/// It has learned that calls take a hundred seconds, may make each of them
/// twice, and its estimates are old enough to last.
fn hedge(clock: Clock) -> Hedge {
    let all = Deposits::of(Ratio::percent(100)).floor(10);
    let budget = RetryBudget::new("all", all).expect("a valid configuration");
    let config = HedgeConfig::new(Delay::quantile(Ratio::percent(95))).clock(clock);
    let hedge = config.budget(budget).build();
    let hedge = hedge.expect("a valid configuration");
    let now = hedge.now().as_nanos();
    let answered = |seconds_ago: u64| {
        let ended = Instant::from_nanos(now - seconds_ago * 1_000_000_000);
        let began = Instant::from_nanos(ended.as_nanos() - 100_000_000_000);
        hedge.begin(began).record(ended, Outcome::Success);
    };
    (0..100).for_each(|_| answered(5));
    answered(0);
    hedge
}

fn breaker() -> CircuitBreaker {
    config().build().expect("a valid configuration")
}

fn keyed<K: std::hash::Hash + Eq + Send + Sync + 'static>() -> KeyedCircuitBreaker<K> {
    let cap = NonZeroU32::new(100).expect("a cap");
    KeyedCircuitBreaker::new(config(), cap, KeysWhenFull::Refuse).expect("a valid configuration")
}

/// In the last stage of a ramp, in which half of the calls pass.
fn ramping() -> CircuitBreaker {
    let clock = ManualClock::new();
    let breaker = Config::new(Window::last(Duration::from_secs(10)))
        .open_for(OpenFor::fixed(Duration::from_secs(1)))
        .half_open(HalfOpen::successes(1))
        .ramp(Ramp::over(Duration::from_secs(4)))
        .clock(Clock::Manual(clock.clone()))
        .build()
        .expect("a valid configuration");
    fail_all(&breaker, &clock);
    while breaker.snapshot().admitting() != Ratio::percent(50) {
        clock.advance(Duration::from_secs(2));
        if let Ok(permit) = breaker.admit(clock.now()) {
            permit.record(clock.now(), Outcome::Success);
        }
    }
    breaker
}

/// All failed, and half of the calls is the most that is refused.
fn thinning() -> CircuitBreaker {
    let clock = ManualClock::new();
    let breaker = Config::new(Window::last(Duration::from_secs(10)))
        .adaptive(Adaptive::accepting(Ratio::percent(200)).at_most(Ratio::percent(50)))
        .clock(Clock::Manual(clock.clone()))
        .build()
        .expect("a valid configuration");
    fail_all(&breaker, &clock);
    clock.advance(Duration::from_secs(2));
    breaker
        .admit(clock.now())
        .expect("closed")
        .record(clock.now(), Outcome::Transient);
    breaker
}

fn fail_all(breaker: &CircuitBreaker, clock: &ManualClock) {
    for _ in 0..20 {
        let permit = breaker.admit(clock.now()).expect("closed");
        permit.record(clock.now(), Outcome::Transient);
    }
}

/// Where half of the calls pass: one that does and one that does not.
fn every_second(breaker: CircuitBreaker, state: State) -> Box<dyn FnMut()> {
    assert_eq!(breaker.state(), state);
    let now = breaker.now();
    // The first one passes in any case.
    if breaker.admit(now).is_ok() && breaker.admit(now).is_ok() {
        assert!(breaker.admit(now).is_err());
    }
    Box::new(move || {
        let now = black_box(now);
        let permit = breaker.admit(now).expect("its turn");
        permit.record(now, Outcome::Success);
        assert!(black_box(breaker.admit(now)).is_err());
    })
}

fn opened() -> CircuitBreaker {
    let breaker = breaker();
    for _ in 0..20 {
        let permit = breaker.admit(now()).expect("closed");
        permit.record(now(), Outcome::Transient);
    }
    breaker.admit(now()).expect_err("20 of 20 failed");
    breaker
}

/// Answers at once with its request.
#[derive(Clone)]
struct Echo;

impl Service<u64> for Echo {
    type Response = u64;
    type Error = Infallible;
    type Future = Ready<Result<u64, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: u64) -> Self::Future {
        ready(Ok(request))
    }
}

/// Is never ready.
#[derive(Clone)]
struct Never;

impl Service<u64> for Never {
    type Response = u64;
    type Error = Infallible;
    type Future = Ready<Result<u64, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Pending
    }

    fn call(&mut self, _: u64) -> Self::Future {
        unreachable!("it was never ready")
    }
}

/// Answers at once with a body of one frame, which does not know its end.
struct Answers;

struct OneFrame(Option<&'static [u8]>);

impl Body for OneFrame {
    type Data = &'static [u8];
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<&'static [u8]>, Infallible>>> {
        Poll::Ready(self.0.take().map(|data| Ok(Frame::data(data))))
    }
}

impl Service<http::Request<u64>> for Answers {
    type Response = http::Response<OneFrame>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: http::Request<u64>) -> Self::Future {
        ready(Ok(http::Response::new(OneFrame(Some(b"data")))))
    }
}

/// Of another's field, so that lookups are not in an empty map.
fn request() -> http::Request<()> {
    let request = http::Request::builder().header("accept", "text/plain");
    request.body(()).expect("a request")
}

impl Service<http::Request<()>> for Echo {
    type Response = http::Request<()>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<()>) -> Self::Future {
        ready(Ok(request))
    }
}

/// A handler that makes a call, as far as its context.
struct Inherits;

impl Service<http::Request<()>> for Inherits {
    type Response = http::Response<http::Request<()>>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<()>) -> Self::Future {
        black_box(Http.context(&request));
        ready(Ok(http::Response::new(request)))
    }
}

/// A body of one frame of `Bytes`, whose clone costs a count at most.
struct Whole(Option<Bytes>);

impl Whole {
    fn new() -> Self {
        Whole(Some(Bytes::from_static(b"data")))
    }
}

impl Body for Whole {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.0.take().map(|data| Ok(Frame::data(data))))
    }
}

/// The empty body.
struct Nothing;

impl Body for Nothing {
    type Data = &'static [u8];
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<&'static [u8]>, Infallible>>> {
        Poll::Ready(None)
    }

    fn is_end_stream(&self) -> bool {
        true
    }
}

fn read<B: Body + Unpin>(mut body: B) -> usize {
    let mut context = Context::from_waker(Waker::noop());
    let mut length = 0;
    while let Poll::Ready(Some(Ok(frame))) = Pin::new(&mut body).poll_frame(&mut context) {
        length += frame.data_ref().map_or(0, Buf::remaining);
    }
    length
}

fn call_http<S: Service<http::Request<()>, Error = Infallible>>(
    service: &mut S,
    request: http::Request<()>,
) -> S::Response {
    let mut context = Context::from_waker(Waker::noop());
    assert!(service.poll_ready(&mut context).is_ready());
    match pin!(service.call(black_box(request))).poll(&mut context) {
        Poll::Ready(Ok(answer)) => answer,
        Poll::Pending => panic!("the inner service answers at once"),
    }
}

fn call<S: Service<u64, Error = Rejected>>(service: &mut S) -> Result<S::Response, Rejected> {
    let mut context = Context::from_waker(Waker::noop());
    assert!(service.poll_ready(&mut context).is_ready());
    match pin!(service.call(black_box(1))).poll(&mut context) {
        Poll::Ready(answer) => answer,
        Poll::Pending => panic!("the inner service answers at once"),
    }
}

/// Says that each request is this attempt.
#[derive(Copy, Clone)]
struct Attempt(u32);

impl Carrier<u64> for Attempt {
    fn context(&self, _: &u64) -> axiomatic_core::Context {
        axiomatic_core::Context::default().with_attempt(self.0)
    }

    fn set_context(&self, _: &mut u64, _: axiomatic_core::Context) {}
}

fn routed_attempt(attempt: u32) -> Box<dyn FnMut()> {
    let found = (b'a'..=b'h').map(|name| Ok::<_, Infallible>(Change::Insert([name], Echo)));
    let place = |nodes: &Membership| Ok(Rendezvous::new(nodes));
    let (routes, driver) = Routes::discovered(futures::stream::iter(found), place);
    let ended = pin!(driver).poll(&mut Context::from_waker(Waker::noop()));
    assert!(ended.is_ready());
    let mut service = routes
        .router(|key: &u64| *key)
        .with_binding(Attempt(attempt));
    Box::new(move || {
        let mut context = Context::from_waker(Waker::noop());
        assert!(service.poll_ready(&mut context).is_ready());
        let answer = pin!(service.call(black_box(1))).poll(&mut context);
        assert!(matches!(answer, Poll::Ready(Ok(1))));
    })
}

/// Answers its request when it was asked so many times in vain.
#[derive(Clone)]
struct Later(u32);

impl Service<u64> for Later {
    type Response = u64;
    type Error = Infallible;
    type Future = Asked;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: u64) -> Asked {
        Asked {
            request,
            left: self.0,
        }
    }
}

struct Asked {
    request: u64,
    left: u32,
}

impl Future for Asked {
    type Output = Result<u64, Infallible>;

    fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Self::Output> {
        match self.left.checked_sub(1) {
            None => Poll::Ready(Ok(self.request)),
            Some(left) => {
                self.left = left;
                Poll::Pending
            }
        }
    }
}

/// Calls that are pending so often, with tokio's timers.
fn in_a_runtime<S>(mut service: S, pending: u32) -> Box<dyn FnMut()>
where
    S: Service<u64, Response = u64, Error = Rejected> + 'static,
{
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let runtime = builder.enable_time().build().expect("a runtime");
    Box::new(move || {
        let _entered = runtime.enter();
        let mut context = Context::from_waker(Waker::noop());
        assert!(service.poll_ready(&mut context).is_ready());
        let mut future = pin!(service.call(black_box(1)));
        for _ in 0..pending {
            assert!(future.as_mut().poll(&mut context).is_pending());
        }
        assert!(future.poll(&mut context).is_ready());
    })
}

/// So many nodes in three zones.
fn nodes(count: u32) -> Membership {
    let node = |n| Node::new(format!("node-{n:04}")).in_zone(["a", "b", "c"][n as usize % 3]);
    Membership::new(1, (0..count).map(node)).expect("valid nodes")
}

/// The same, of which no two weigh the same.
fn weighing(count: u32) -> Membership {
    let node = |n| Node::new(format!("node-{n:04}")).weighing(100 + n);
    Membership::new(1, (0..count).map(node)).expect("valid nodes")
}

fn hash(hashes: &mut impl Iterator<Item = u64>) -> u64 {
    hashes.next().expect("there is no end")
}

const HASHER: Hasher = Hasher::new(HashAlgorithm::Xxh3, Seed::fixed(0));
/// The hash of a key that is there.
const KNOWN: u64 = 0x9e37_79b9_7f4a_7c15;

fn bloom() -> BloomFilter {
    let shape = Shape::for_items(10_000).bits_per_item(10.53);
    BloomFilter::new(shape.expect("a possible size"), HASHER).expect("there is memory")
}

fn shared_bloom(items: u64) -> AtomicBloomFilter {
    let shape = Shape::for_items(items).bits_per_item(10.53);
    AtomicBloomFilter::new(shape.expect("a possible size"), HASHER).expect("there is memory")
}

fn word_bloom(items: u64) -> AtomicWordFilter {
    let shape = WordShape::for_items(items).bits_per_item(10.53);
    AtomicWordFilter::new(shape.expect("a possible size"), HASHER).expect("there is memory")
}

fn windowed_bloom() -> WindowedFilter {
    let config = WindowedConfig::last(Duration::from_secs(60)).for_items(10_000);
    config.build(HASHER).expect("a possible size")
}

fn counts() -> CountMinSketch {
    let shape = count_min::Shape::within(0.001).with_confidence(0.99);
    CountMinSketch::new(shape.expect("a possible size"), HASHER).expect("there is memory")
}

fn owning<P: Placement + 'static>(placement: P) -> Box<dyn FnMut()> {
    let mut hashes = sample(u64::MAX);
    Box::new(move || {
        black_box(placement.owner(hash(&mut hashes)));
    })
}

fn sharding<S: NumberedShards + 'static>(shards: S) -> Box<dyn FnMut()> {
    let mut hashes = sample(u64::MAX);
    Box::new(move || {
        black_box(shards.owner(hash(&mut hashes)));
    })
}

/// Counts what the calling thread allocates.
struct Counting;

thread_local!(static ALLOCATED: Cell<u64> = const { Cell::new(0) });

// SAFETY: 1. every method hands its arguments to `System` unchanged and
// returns what it returns, so `System`'s guarantees are ours; 2. counting
// does not allocate: the cell is const and has no destructor.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATED.set(ALLOCATED.get() + 1);
        // SAFETY: the caller's obligations are `System`'s.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's obligations are `System`'s.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

const CALLS: u64 = 10_000;

fn allocations(mut operation: impl FnMut()) -> u64 {
    // The first calls set up what a thread keeps.
    (0..100).for_each(|_| operation());
    let before = ALLOCATED.get();
    (0..CALLS).for_each(|_| operation());
    ALLOCATED.get() - before
}

#[test]
fn every_claim_of_allocations_holds() {
    for claim in CLAIMS {
        let counted = allocations((claim.subject)());
        assert_eq!(counted, CALLS * claim.allocations, "{}", claim.operation);
    }
}

#[test]
fn a_planted_allocation_is_seen() {
    assert_eq!(allocations(|| drop(black_box(Box::new(1)))), CALLS);
}

#[cfg(not(debug_assertions))]
mod instructions {
    use super::{CLAIMS, Claim};
    use std::hint::black_box;
    use std::process::Command;

    const ROW: &str = "AXIOMATIC_COSTS_ROW";
    const TIMES: &str = "AXIOMATIC_COSTS_TIMES";
    const N: u64 = 2_000;

    fn number(variable: &str) -> Option<u64> {
        std::env::var(variable).ok()?.parse().ok()
    }

    /// The other side of the test below, under callgrind; by itself it does
    /// nothing.
    #[test]
    fn one_row() {
        if let (Some(row), Some(times)) = (number(ROW), number(TIMES)) {
            let mut operation = match CLAIMS.get(row as usize) {
                Some(claim) => (claim.subject)(),
                None => Box::new(planted),
            };
            (0..times).for_each(|_| operation());
        }
    }

    /// A thousand additions, for the oracle.
    fn planted() {
        let mut sum = 0;
        (0..1_000u64).for_each(|i| sum = black_box(sum + i));
    }

    /// The instructions that callgrind counts for so many calls.
    fn counted(row: usize, times: u64) -> Option<u64> {
        let output = Command::new("valgrind")
            .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
            .arg(std::env::current_exe().ok()?)
            .args(["--exact", "instructions::one_row", "--test-threads=1"])
            .env(ROW, row.to_string())
            .env(TIMES, times.to_string())
            .output()
            .ok()?;
        assert!(output.status.success(), "{output:?}");
        let report = String::from_utf8_lossy(&output.stderr);
        let (_, collected) = report.split_once("Collected :")?;
        collected.split_whitespace().next()?.parse().ok()
    }

    /// Set-up cancels: what 2N calls cost more than N.
    fn a_call(row: usize) -> Option<u64> {
        Some((counted(row, 2 * N)? - counted(row, N)?) / N)
    }

    #[test]
    fn every_claim_of_instructions_holds() {
        let Some(planted) = a_call(CLAIMS.len()) else {
            println!("skipped: valgrind is not there");
            return;
        };
        assert!(planted >= 1_000, "{planted} of 1,000 planted were seen");
        let mut broken = Vec::new();
        for (row, claim) in CLAIMS.iter().enumerate() {
            let Claim {
                operation,
                instructions,
                ..
            } = claim;
            let found = a_call(row).expect("valgrind ran before");
            println!("{operation}: {found} instructions, at most {instructions}");
            if found > *instructions {
                broken.push(format!("{operation}: {found} > {instructions}"));
            }
        }
        assert!(broken.is_empty(), "{broken:?}");
    }
}
