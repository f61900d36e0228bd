use std::convert::Infallible;
use std::time::Duration;

use axiomatic_failure::circuit_breaker::CircuitBreaker;
use tokio::time::{Instant, sleep_until};

use crate::log::Log;
use crate::report::{Share, millis, percentile};
use crate::script::Script;

/// Prints a line a second, about the requests that ended in it, until it is
/// dropped.
pub(crate) async fn show(
    started: Instant,
    script: &Script,
    log: &Log,
    breaker: Option<CircuitBreaker>,
) -> Infallible {
    println!("   t  phase              rps     good      p99  breaker");
    let mut seen = 0;
    for second in 1.. {
        let time = Duration::from_secs(second);
        sleep_until(started + time).await;
        let ended = log.since(seen);
        seen += ended.len();
        let state = match &breaker {
            Some(breaker) => breaker.state().to_string(),
            None => String::from("none"),
        };
        println!(
            "{second:>3}s  {:<16} {:>5}  {:>7}  {:>7}  {state}",
            script.phase_at(time),
            ended.len(),
            Share::good(&ended).to_string(),
            millis(percentile(&ended, 99)),
        );
    }
    unreachable!("time does not end")
}
