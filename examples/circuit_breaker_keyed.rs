//! A circuit breaker for each host, in bounded memory.
//!
//! Where this is going: a client with twenty workers calls ten hosts ten times
//! a second each, for half a minute. One of them hangs for half of that, and
//! each call to it holds a worker for three seconds. Without a breaker they
//! are soon all held, and the good hosts are not called either. One breaker
//! for all sees a tenth of its calls go bad: it does not trip, or refuses the
//! good hosts too. With a breaker for each host the good ones lose nothing.
//! Then a stranger makes up a hundred thousand hosts, and there are no more
//! breakers than places. Time is an argument, so all of it passes at once.

use std::error::Error;
use std::num::NonZeroU32;
use std::time::Duration;

use axiomatic_core::keyed::WhenFull;
use axiomatic_core::time::{Clock, ManualClock};
use axiomatic_core::{Outcome, Ratio};
use axiomatic_failure::circuit_breaker::{
    Config, HalfOpen, KeyedCircuitBreaker, OpenFor, OwnedPermit, TripWhen, Window,
};

const HOSTS: [&str; 10] = ["a", "b", "c", "d", "bad", "e", "f", "g", "h", "i"];
const WORKERS: usize = 20;
const TIMEOUT: Duration = Duration::from_secs(3);

/// What became of the calls to one host.
#[derive(Clone, Copy, Default)]
struct Calls {
    served: u32,
    hung: u32,
    /// Refused, or no worker was free.
    lost: u32,
}

/// Half a minute of calls; the bad host hangs from the sixth second to the
/// twentieth.
fn run<P>(
    clock: &ManualClock,
    admit: impl Fn(&str) -> Option<P>,
    tell: impl Fn(P, Outcome),
) -> [Calls; 10] {
    let mut calls = [Calls::default(); 10];
    let mut held: Vec<(_, P)> = Vec::new();
    for tick in 0..300 {
        clock.advance(Duration::from_millis(100));
        // Those that were held first time out first.
        let over = held.partition_point(|(until, _)| *until <= clock.now());
        for (_, permit) in held.drain(..over) {
            tell(permit, Outcome::Transient);
        }
        for (host, calls) in HOSTS.iter().zip(&mut calls) {
            match admit(host) {
                // Dropped without a word, a permit says nothing of the host.
                Some(_) if held.len() == WORKERS => calls.lost += 1,
                None => calls.lost += 1,
                Some(permit) if *host == "bad" && (50..200).contains(&tick) => {
                    calls.hung += 1;
                    held.push((clock.now() + TIMEOUT, permit));
                }
                Some(permit) => {
                    calls.served += 1;
                    tell(permit, Outcome::Success);
                }
            }
        }
    }
    calls
}

fn main() -> Result<(), Box<dyn Error>> {
    let clock = ManualClock::new();
    let config = |trips_at| {
        let rate = TripWhen::failure_or_slow_rate(Ratio::percent(trips_at), 10);
        Config::new(Window::last(Duration::from_secs(2)))
            .trip_when(rate)
            .slow_after(Duration::from_millis(500))
            .slow_in_flight()
            .open_for(OpenFor::fixed(Duration::from_secs(1)))
            .half_open(HalfOpen::successes(2))
            .clock(Clock::Manual(clock.clone()))
    };
    let tell = |permit: OwnedPermit, outcome| permit.record(clock.now(), outcome);
    let shared = |trips_at| -> Result<_, Box<dyn Error>> {
        let breaker = config(trips_at).build()?;
        Ok(run(&clock, |_| breaker.admit_owned(clock.now()).ok(), tell))
    };
    let cap = NonZeroU32::new(1_000).ok_or("no places")?;
    let hosts: KeyedCircuitBreaker<String> =
        KeyedCircuitBreaker::new(config(50).named("hosts"), cap, WhenFull::Shared)?;
    let admit = |host: &str| hosts.admit_owned(host, clock.now()).ok();

    println!("                    nine good hosts         bad host");
    println!("                      served   lost  served  hung  lost");
    let mut good_lost = Vec::new();
    for (name, mut calls) in [
        ("no breaker", run(&clock, |_| Some(()), |(), _| {})),
        ("one, trips at 50 %", shared(50)?),
        ("one, trips at 5 %", shared(5)?),
        ("one for each host", run(&clock, admit, tell)),
    ] {
        let bad = std::mem::take(&mut calls[4]);
        let served: u32 = calls.iter().map(|good| good.served).sum();
        let lost: u32 = calls.iter().map(|good| good.lost).sum();
        print!("{name:<20}  {served:>6}  {lost:>5}  ");
        println!("{:>6}  {:>4}  {:>4}", bad.served, bad.hung, bad.lost);
        good_lost.push(lost);
    }
    assert!(good_lost[..3].iter().all(|lost| *lost > 500));
    assert_eq!(good_lost[3], 0, "a good host lost a call");

    // The bad host is bad again, and a stranger makes up hosts.
    while let Some(permit) = admit("bad") {
        tell(permit, Outcome::Transient);
    }
    println!("\nbefore the flood: {}", hosts.snapshot());
    for number in 0..100_000 {
        drop(admit(&format!("made-up-{number}")));
    }
    println!("after the flood:  {}", hosts.snapshot());
    let bad = hosts.breaker("bad", clock.now()).ok_or("no place")?;
    println!("bad: {}", bad.snapshot());
    assert!(hosts.snapshot().live() <= 1_000, "more keys than places");
    assert!(admit("bad").is_none(), "it was forgotten");
    Ok(())
}
