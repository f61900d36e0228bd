use std::time::Duration;

use axiomatic_capacity::rate_limit::Quota;
use axiomatic_redis::rate_limit::{
    Config, ConfigError, ConnectError, Lease, OnFailure, RedisRateLimiter,
};

use crate::support::{slowly, some};

fn refused(config: Config) -> ConfigError {
    let client = redis::Client::open("redis://127.0.0.1:1/").unwrap();
    config.build(client).unwrap_err()
}

fn sound() -> Config {
    Config::new("p", slowly(10), OnFailure::FailClosed)
}

#[test]
fn a_limit_over_redis_that_cannot_work_is_refused() {
    let closed = OnFailure::FailClosed;
    assert_eq!(
        refused(Config::new("a{b}", slowly(1), closed)),
        ConfigError::Prefix
    );
    let never = Quota::new(some(1), Duration::ZERO);
    assert!(matches!(
        refused(Config::new("p", never, closed)),
        ConfigError::Quota(_)
    ));
    let (peers, overshoot) = (some(4), some(3));
    let share = OnFailure::LocalShare { peers, overshoot };
    assert_eq!(
        refused(Config::new("p", slowly(1), share)),
        ConfigError::Overshoot { peers, overshoot }
    );
    // A ten-thousandth of one a year is not kept by anybody.
    let (peers, overshoot) = (some(10_000), some(10_000));
    let yearly = Quota::new(some(1), Duration::from_secs(365 * 86_400));
    let share = OnFailure::LocalShare { peers, overshoot };
    assert!(matches!(
        refused(Config::new("p", yearly, share)),
        ConfigError::Quota(_)
    ));
    assert_eq!(
        refused(sound().lease(Lease::of(some(11)))),
        ConfigError::Batch(some(11))
    );
    let short = Duration::from_millis(9);
    assert_eq!(
        refused(sound().lease(Lease::of(some(1)).lasting(short))),
        ConfigError::Lasting(short)
    );
    assert_eq!(
        refused(sound().timeout(Duration::ZERO)),
        ConfigError::Timeout(Duration::ZERO)
    );
    let long = Duration::from_secs(61);
    assert_eq!(
        refused(sound().connect_timeout(long)),
        ConfigError::Timeout(long)
    );
    let second = Duration::from_secs(1);
    assert!(matches!(
        refused(sound().left_alone_for(second * 2, second)),
        ConfigError::Breaker(_)
    ));
}

#[tokio::test]
async fn who_connects_learns_at_once_that_nobody_is_there() {
    // Port 1 is nobody's.
    let failed = RedisRateLimiter::connect("redis://127.0.0.1:1/", sound()).await;
    assert!(matches!(failed, Err(ConnectError::Redis(_))), "{failed:?}");
    let failed = RedisRateLimiter::connect("no address", sound()).await;
    assert!(matches!(failed, Err(ConnectError::Redis(_))), "{failed:?}");
}

#[test]
fn the_bound_is_the_sum_of_its_parts() {
    let second = Duration::from_secs(1);
    let quota = Quota::per_second(some(100)).burst(some(20));
    let most = |on_failure, lease: u32, processes, outages| {
        let mut config = Config::new("p", quota, on_failure)
            .timeout(Duration::from_millis(50))
            .left_alone_for(second / 4, second * 4 / 10);
        if lease > 0 {
            config = config.lease(Lease::of(some(lease)));
        }
        config.most_admitted(some(processes), second, outages)
    };
    // A microsecond is a ten-thousandth of a cell, rounded up to one.
    let plain = 20 + 100 + 1;
    assert_eq!(most(OnFailure::FailOpen, 0, 4, 0), Some(plain));
    assert_eq!(most(OnFailure::FailOpen, 0, 4, 1), None);
    assert_eq!(most(OnFailure::FailClosed, 0, 4, 2), Some(plain + 2 * 20));
    assert_eq!(most(OnFailure::FailClosed, 5, 4, 0), Some(plain + 20));
    let share = OnFailure::LocalShare {
        peers: some(4),
        overshoot: some(11),
    };
    // 11 among 4 are 2 each, and half a second goes unnoticed.
    assert_eq!(most(share, 0, 4, 1), Some(plain + 20 + 8 + 50));
    // Twice the processes that were said admit twice as much by themselves.
    assert_eq!(most(share, 0, 8, 1), Some(20 + 300 + 1 + 20 + 16));
}
