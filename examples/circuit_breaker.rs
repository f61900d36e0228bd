//! A circuit breaker alone: no tower, no runtime and no waiting.
//!
//! Where this is going: a dependency is called ten times a second for twelve
//! seconds and is down for five of them. The breaker finds out with five
//! calls, asks again with one call a second, and lets everything through soon
//! after the dependency is back. Time is an argument, so the twelve seconds
//! pass at once.

use std::error::Error;
use std::time::Duration;

use axiomatic_core::Outcome;
use axiomatic_core::time::{Clock, ManualClock};
use axiomatic_failure::circuit_breaker::{Config, HalfOpen, OpenFor, TripWhen, Window};

fn main() -> Result<(), Box<dyn Error>> {
    let clock = ManualClock::new();
    let breaker = Config::new(Window::last(Duration::from_secs(10)))
        .named("payment")
        .trip_when(TripWhen::consecutive_failures(5))
        .open_for(OpenFor::fixed(Duration::from_secs(1)))
        .half_open(HalfOpen::successes(3))
        .clock(Clock::Manual(clock.clone()))
        .build()?;
    let (mut sent_in_vain, mut refused_in_vain) = (0, 0);

    println!("second  dependency  served  failed  refused  breaker at the end of it");
    for second in 1..=12 {
        let up = !(4..=8).contains(&second);
        let (mut served, mut failed, mut refused) = (0, 0, 0);
        for _ in 0..10 {
            clock.advance(Duration::from_millis(100));
            match breaker.admit(clock.now()) {
                Ok(permit) if up => {
                    served += 1;
                    permit.record(clock.now(), Outcome::Success);
                }
                Ok(permit) => {
                    failed += 1;
                    permit.record(clock.now(), Outcome::Transient);
                }
                Err(_) => refused += 1,
            }
        }
        println!(
            "{second:>6}  {:<10}  {served:>6}  {failed:>6}  {refused:>7}  {}",
            if up { "up" } else { "down" },
            breaker.state(),
        );
        sent_in_vain += failed;
        refused_in_vain += if up { refused } else { 0 };
    }

    println!("\n{}", breaker.snapshot());
    println!("of 50 calls while it was down, {sent_in_vain} were sent");
    println!("of 70 calls while it was up, {refused_in_vain} were refused");
    assert!(sent_in_vain <= 10, "the breaker did not open");
    assert!(refused_in_vain <= 10, "the breaker did not close in time");
    Ok(())
}
