use std::task::{Context as TaskContext, Poll};
use std::time::Duration;

use axiomatic_capacity::load_shed::ConfigError;
use axiomatic_capacity::load_shed::upstream::{Config, Upstream};
use axiomatic_core::context::{AdmissionLevel, Context, Priority};
use axiomatic_core::time::{Clock, Instant, ManualClock};
use axiomatic_core::{Carrier, Heed, Mode, Ratio, Reason, Rejected};
use tower::{Service, ServiceBuilder, ServiceExt, service_fn};

use super::START;
use crate::support::SECOND;

fn upstream() -> Config {
    Config::new().named("payment").probes(Ratio::ZERO)
}

fn passing(upstream: &Upstream, at: Duration, priority: Priority) -> usize {
    (0..1_000)
        .filter(|_| upstream.admit(START + at, priority).is_ok())
        .count()
}

#[test]
fn what_would_be_refused_is_not_sent() {
    let upstream = upstream().build().unwrap();
    assert_eq!(
        passing(&upstream, Duration::ZERO, Priority::SHEDDABLE),
        1_000
    );
    upstream.hear(START, AdmissionLevel::at(Priority::CRITICAL, 16_384));
    let now = Duration::ZERO;
    assert_eq!(passing(&upstream, now, Priority::SHEDDABLE_PLUS), 0);
    assert_eq!(passing(&upstream, now, Priority::CRITICAL_PLUS), 1_000);
    // Of which the server refuses a quarter by itself.
    assert_eq!(passing(&upstream, now, Priority::CRITICAL), 1_000);
    let refused = upstream.admit(START, Priority::SHEDDABLE).unwrap_err();
    assert_eq!(refused.reason(), Reason::Shed);
    assert!(refused.to_string().contains("payment"), "{refused}");
}

#[test]
fn what_is_not_heard_again_is_not_believed_for_long() {
    let upstream = upstream().build().unwrap();
    let level = AdmissionLevel::at(Priority::CRITICAL, 0);
    upstream.hear(START, level);
    let almost = SECOND - Duration::from_millis(1);
    assert_eq!(passing(&upstream, almost, Priority::SHEDDABLE), 0);
    let after = SECOND + Duration::from_millis(3);
    assert_eq!(passing(&upstream, after, Priority::SHEDDABLE), 1_000);
    upstream.hear(START + SECOND, level);
    assert_eq!(
        passing(&upstream, after, Priority::SHEDDABLE),
        0,
        "heard again"
    );
}

#[test]
fn a_few_are_sent_all_the_same() {
    let upstream = Config::new().probes(Ratio::percent(5)).build().unwrap();
    upstream.hear(START, AdmissionLevel::at(Priority::CRITICAL_PLUS, u16::MAX));
    let probes = passing(&upstream, Duration::ZERO, Priority::SHEDDABLE);
    assert!((30..=70).contains(&probes), "{probes}");
}

#[test]
fn in_shadow_all_is_sent_and_counted() {
    let upstream = upstream().mode(Mode::Shadow).build().unwrap();
    upstream.hear(START, AdmissionLevel::at(Priority::CRITICAL, 0));
    assert_eq!(
        passing(&upstream, Duration::ZERO, Priority::SHEDDABLE),
        1_000
    );
    assert_eq!(upstream.snapshot().would_refuse(), 1_000);
    upstream.set_mode(Mode::Off);
    assert_eq!(
        passing(&upstream, Duration::ZERO, Priority::SHEDDABLE),
        1_000
    );
    assert_eq!(upstream.snapshot().would_refuse(), 1_000);
    upstream.set_mode(Mode::Enforce);
    assert_eq!(passing(&upstream, Duration::ZERO, Priority::SHEDDABLE), 0);
    assert_eq!(upstream.snapshot().refused(), 1_000);
}

#[test]
fn no_time_is_too_short_to_be_believed() {
    let none = upstream().believed_for(Duration::ZERO).build();
    assert_eq!(none.map(drop).unwrap_err(), ConfigError::Believed);
}

/// A protocol whose answers are levels.
#[derive(Copy, Clone)]
struct Levels;

impl Carrier<Priority> for Levels {
    fn context(&self, request: &Priority) -> Context {
        Context::default().with_priority(*request)
    }

    fn set_context(&self, request: &mut Priority, context: Context) {
        *request = context.priority();
    }
}

impl Heed<AdmissionLevel> for Levels {
    fn heed_level(&self, response: &AdmissionLevel) -> Option<AdmissionLevel> {
        Some(*response)
    }
}

#[tokio::test]
async fn a_client_heeds_the_answers_that_it_gets() {
    let clock = Clock::Manual(ManualClock::new());
    let upstream = upstream().clock(clock).build().unwrap();
    let level = AdmissionLevel::at(Priority::CRITICAL, 0);
    let mut client = ServiceBuilder::new()
        .layer(
            upstream
                .layer()
                .with_error::<Rejected>()
                .with_binding(Levels),
        )
        .service(service_fn(move |_: Priority| async move {
            Ok::<_, Rejected>(level)
        }));
    let mut send = async |priority| client.ready().await?.call(priority).await;
    assert_eq!(send(Priority::SHEDDABLE).await, Ok(level));
    let refused = send(Priority::SHEDDABLE).await.unwrap_err();
    assert_eq!(refused.reason(), Reason::Shed);
    assert_eq!(send(Priority::CRITICAL).await, Ok(level));
}

#[tokio::test]
async fn who_calls_without_being_ready_is_refused() {
    let upstream = upstream().build().unwrap();
    let mut client = ServiceBuilder::new()
        .layer(
            upstream
                .layer()
                .with_error::<Rejected>()
                .with_binding(Levels),
        )
        .service(service_fn(async |_: Priority| {
            Ok::<_, Rejected>(AdmissionLevel::ALL)
        }));
    let refused = client.call(Priority::CRITICAL).await.unwrap_err();
    assert_eq!(refused.reason(), Reason::NotReady);
    assert!(client.ready().await.is_ok());
    // The clone was not asked.
    let refused = client.clone().call(Priority::CRITICAL).await.unwrap_err();
    assert_eq!(refused.reason(), Reason::NotReady);
    assert!(client.call(Priority::CRITICAL).await.is_ok());
    // It has been called.
    let refused = client.call(Priority::CRITICAL).await.unwrap_err();
    assert_eq!(refused.reason(), Reason::NotReady);
}

#[test]
fn a_level_is_believed_until_its_time_is_over_however_late_it_is() {
    let level = AdmissionLevel::at(Priority::CRITICAL, 7);
    for heard in [
        START.as_nanos(),
        START.as_nanos() + 1_048_575,
        u64::MAX >> 5,
    ] {
        let upstream = upstream().build().unwrap();
        let heard = Instant::from_nanos(heard);
        upstream.hear(heard, level);
        let last = heard + (SECOND - Duration::from_nanos(1));
        assert_eq!(upstream.level(heard), level);
        assert_eq!(upstream.level(last), level);
    }
    // Beyond 36 years it is not believed, and nothing else is either.
    let upstream = upstream().build().unwrap();
    upstream.hear(Instant::from_nanos(u64::MAX / 2), level);
    let far = Instant::from_nanos(u64::MAX / 2);
    assert_eq!(upstream.level(far), AdmissionLevel::ALL);
}

/// Its readiness fails every other time.
#[derive(Clone)]
struct Failing(bool);

impl Service<Priority> for Failing {
    type Response = AdmissionLevel;
    type Error = Rejected;
    type Future = std::future::Ready<Result<AdmissionLevel, Rejected>>;

    fn poll_ready(&mut self, _: &mut TaskContext<'_>) -> Poll<Result<(), Rejected>> {
        self.0 = !self.0;
        let broken = Rejected::new(axiomatic_core::Pattern::Retry, Reason::Open);
        Poll::Ready(if self.0 { Ok(()) } else { Err(broken) })
    }

    fn call(&mut self, _: Priority) -> Self::Future {
        std::future::ready(Ok(AdmissionLevel::ALL))
    }
}

#[tokio::test]
async fn who_calls_although_readiness_failed_is_refused() {
    let upstream = upstream().build().unwrap();
    let layer = upstream.layer().with_error::<Rejected>();
    let mut client = ServiceBuilder::new()
        .layer(layer.with_binding(Levels))
        .service(Failing(false));
    client.ready().await.unwrap();
    assert!(client.ready().await.is_err());
    let refused = client.call(Priority::CRITICAL).await.unwrap_err();
    assert_eq!(refused.reason(), Reason::NotReady);
}
