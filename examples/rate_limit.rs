//! So many a second, and from where that number comes.
//!
//! Where this is going: a service has four workers, and a call takes them 5 ms.
//! Fifty clients want eight calls a second each, which is half of what it can
//! do; then a crawler comes with 2,000 a second. Without a limit all of them
//! stand in the crawler's queue. A limit for each client, and one for all of
//! them together as one decision, leave the fifty as they were. The rate and the
//! burst are not guessed: they follow from the service time that was measured.
//! At the end a client paces itself instead of being refused. All but the
//! last is in virtual time.

use std::collections::VecDeque;
use std::num::NonZeroU32;
use std::time::Duration;

use axiomatic_capacity::rate_limit::keyed::{self, Table};
use axiomatic_capacity::rate_limit::{Config, KeyedRateLimiter, Quota, RateLimiter, WhenLimited};
use axiomatic_core::BoxError;
use axiomatic_core::time::{Clock, Instant, ManualClock};

const WORKERS: u32 = 4;
const SERVICE_TIME: Duration = Duration::from_millis(5);
/// How long a call may wait before it is served.
const PATIENCE: Duration = Duration::from_millis(50);

const CLIENTS: u64 = 50;
const CRAWLER: u64 = 999;
const SECONDS: u64 = 20;

fn some(count: u32) -> Result<NonZeroU32, BoxError> {
    Ok(NonZeroU32::new(count).ok_or("nothing")?)
}

/// By Little's law as many calls are in service as come in a second times the
/// seconds that each takes. With all workers busy that is `WORKERS`, so the
/// most that can come is workers through service time. At four fifths of it
/// queues are short. A burst waits for those before it: what may come at once
/// is what is served within the patience of the last.
fn quota_for_all() -> Result<Quota, BoxError> {
    let in_a_second = u128::from(WORKERS) * 1_000_000_000 / SERVICE_TIME.as_nanos();
    let rate = u32::try_from(in_a_second * 4 / 5)?;
    let burst = u32::try_from(in_a_second * PATIENCE.as_millis() / 1_000)?;
    Ok(Quota::per_second(some(rate)?).burst(some(burst)?))
}

struct Limits {
    all: RateLimiter,
    each: KeyedRateLimiter<u64>,
}

impl Limits {
    fn new() -> Result<Self, BoxError> {
        // Twice what a client needs, so that it is not refused for being a
        // little early.
        let each = Quota::per_second(some(16)?).burst(some(4)?);
        Ok(Limits {
            all: Config::new(quota_for_all()?).named("all").build()?,
            each: keyed::Config::new(each, Table::for_keys(some(10_000)?))
                .named("each")
                .build()?,
        })
    }

    /// One decision, as layers make it of a tuple: who is refused by the one
    /// has taken nothing of the other.
    fn admit(&self, client: u64, now: Instant) -> bool {
        if self.each.admit(&client, now).is_err() {
            return false;
        }
        if self.all.admit(now).is_err() {
            self.each.refund(&client, now, NonZeroU32::MIN);
            return false;
        }
        true
    }
}

#[derive(Default)]
struct Served {
    asked: u32,
    in_time: u32,
    refused: u32,
    slowest: Duration,
}

/// Twenty seconds of calls, in the order of their coming. Who is let in is
/// served by the first worker that is free.
fn run(limits: Option<&Limits>, start: Instant) -> [Served; 2] {
    let mut workers: VecDeque<Instant> = vec![start; WORKERS as usize].into();
    let mut served = [Served::default(), Served::default()];
    // A tick is half a millisecond, in which the crawler sends one call. Each
    // client sends one in 250 ticks, not all of them in the same one.
    for tick in 0..SECONDS * 2_000 {
        let now = start + Duration::from_micros(500) * u32::try_from(tick).unwrap_or(u32::MAX);
        let clients = (0..CLIENTS).filter(|client| tick % 250 == client * 5);
        for client in clients.chain([CRAWLER]) {
            let of = &mut served[usize::from(client == CRAWLER)];
            of.asked += 1;
            if limits.is_some_and(|limits| !limits.admit(client, now)) {
                of.refused += 1;
                continue;
            }
            let Some(free) = workers.pop_front() else {
                continue;
            };
            let done = free.max(now) + SERVICE_TIME;
            workers.push_back(done);
            let took = done - now;
            of.slowest = of.slowest.max(took);
            of.in_time += u32::from(took <= PATIENCE + SERVICE_TIME);
        }
    }
    served
}

fn print(name: &str, served: &[Served; 2]) {
    for (who, served) in ["clients", "crawler"].iter().zip(served) {
        println!(
            "{name:10} {who:8} {:>6} {:>8} {:>8} {:>11.1?}",
            served.asked, served.in_time, served.refused, served.slowest
        );
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), BoxError> {
    println!("the service bears {}", quota_for_all()?);
    let clock = Clock::Manual(ManualClock::new());
    println!("limit      who       asked  in time  refused     slowest");
    let without = run(None, clock.now());
    print("none", &without);
    let limits = Limits::new()?;
    let with = run(Some(&limits), clock.now());
    print("by client", &with);
    println!(
        "{}",
        limits
            .each
            .snapshot(clock.now() + Duration::from_secs(SECONDS))
    );

    let [clients, crawler] = &without;
    assert!(
        clients.in_time * 20 < clients.asked,
        "in the crawler's queue"
    );
    assert!(crawler.in_time * 20 < crawler.asked);
    let [clients, crawler] = &with;
    assert_eq!(clients.in_time, clients.asked, "nobody is late or refused");
    // 16 a second, and 4 at once.
    assert!(crawler.asked - crawler.refused <= 16 * SECONDS as u32 + 4);

    // A client that knows of a limit waits instead of asking in vain.
    let paced = Config::new(Quota::per_second(some(200)?).paced())
        .when_limited(WhenLimited::Wait {
            max_wait: Duration::from_secs(1),
            max_waiting: some(100)?,
        })
        .build()?;
    let begun = paced.clock().now();
    for _ in 0..11 {
        paced.wait(NonZeroU32::MIN, None).await?;
    }
    let took = paced.clock().now() - begun;
    println!("11 calls at 200 a second took {took:.0?}");
    // Ten intervals, but for the two nanoseconds of a unit of virtual time.
    assert!(took + Duration::from_nanos(2) >= Duration::from_millis(50));
    Ok(())
}
