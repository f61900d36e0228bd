//! Clients of a server that pays for each call that it refuses, with a
//! throttler and without.
//!
//! The server can do a hundred calls a second: to read one takes a millisecond
//! of its only processor, to answer it nine more. What it has read and has no
//! place for it refuses, and so it is busy with refusing when a thousand come.

use std::collections::VecDeque;
use std::ops::Range;
use std::time::Duration;

use axiomatic_capacity::load_shed::throttle::{Config, OwnedPermit};
use axiomatic_core::context::Priority;
use axiomatic_core::time::{Clock, Instant, ManualClock};
use axiomatic_core::{Outcome, Ratio};
use axiomatic_sim::Random;

const CLIENTS: usize = 20;
const ATTEMPTS: u32 = 3;
/// How many may come in a step.
const DRAWS: u64 = 200;
/// What the server does in a step, in milliseconds of its processor.
const STEP: u64 = 10;
/// In a second.
const STEPS: u64 = 100;
const READING: u64 = 1;
const ANSWERING: u64 = 9;
/// Who waits longer than its caller is not worth the while.
const PLACES: usize = 20;

const REFUSED: Outcome = Outcome::Throttled { retry_after: None };

struct Call {
    client: usize,
    attempt: u32,
    permit: Option<OwnedPermit>,
}

impl Call {
    fn tell(&mut self, now: Instant, outcome: Outcome) {
        if let Some(permit) = self.permit.take() {
            permit.record(now, outcome);
        }
    }
}

/// What was answered in each second.
struct Run(Vec<u64>);

impl Run {
    /// In a second, on average.
    fn goodput(&self, seconds: Range<usize>) -> u64 {
        let answered = &self.0[seconds];
        answered.iter().sum::<u64>() / answered.len() as u64
    }
}

/// `offered` a second from all clients together, in each second.
fn run(config: Option<&Config>, seed: u64, seconds: usize, offered: impl Fn(usize) -> u64) -> Run {
    let clock = ManualClock::new();
    let throttlers: Vec<_> = (0..CLIENTS as u64)
        .map(|client| {
            let config = config?.clone().seed(seed * 100 + client);
            let config = config.clock(Clock::Manual(clock.clone()));
            Some(config.build().expect("it works"))
        })
        .collect();
    let mut random = Random::new(seed);
    let mut again: Vec<(usize, u32)> = Vec::new();
    let mut unread = VecDeque::new();
    let mut places: VecDeque<Call> = VecDeque::new();
    let mut answered = vec![0; seconds];
    // Of the first in line.
    let mut done = 0;
    for step in 0..seconds as u64 * STEPS {
        clock.advance(Duration::from_millis(STEP));
        let now = clock.now();
        // Who comes: by chance, and who was refused comes again.
        let mut calls = std::mem::take(&mut again);
        for _ in 0..DRAWS {
            if random.below(STEPS * DRAWS) < offered((step / STEPS) as usize) {
                calls.push((random.below(CLIENTS as u64) as usize, 0));
            }
        }
        for (client, attempt) in calls {
            let permit = match &throttlers[client] {
                None => None,
                Some(throttler) => match throttler.admit_owned(now, Priority::CRITICAL) {
                    Ok(permit) => Some(permit),
                    Err(_) => continue,
                },
            };
            unread.push_back(Call {
                client,
                attempt,
                permit,
            });
        }
        // To read comes first, as in any server whose kernel takes packets.
        let mut left = STEP;
        while left >= READING {
            let Some(mut call) = unread.pop_front() else {
                break;
            };
            left -= READING;
            if places.len() < PLACES {
                places.push_back(call);
                continue;
            }
            call.tell(now, REFUSED);
            if call.attempt + 1 < ATTEMPTS {
                again.push((call.client, call.attempt + 1));
            }
        }
        // What does not fit into the socket's queue is lost, and its caller
        // told so.
        while unread.len() > 100 {
            let Some(mut call) = unread.pop_back() else {
                break;
            };
            call.tell(now, Outcome::Transient);
            if call.attempt + 1 < ATTEMPTS {
                again.push((call.client, call.attempt + 1));
            }
        }
        done += left;
        while done >= ANSWERING {
            let Some(mut call) = places.pop_front() else {
                break;
            };
            done -= ANSWERING;
            call.tell(now, Outcome::Success);
            answered[(step / STEPS) as usize] += 1;
        }
        if places.is_empty() {
            done = 0;
        }
    }
    Run(answered)
}

/// The book's, with a window of ten seconds.
fn book(percent: u16) -> Config {
    Config::accepting(Ratio::percent(percent)).window(Duration::from_secs(10), 10)
}

fn envoy() -> Config {
    Config::success_rate(Ratio::percent(95)).window(Duration::from_secs(10), 10)
}

const SEEDS: Range<u64> = 1..6;

#[test]
fn throttled_clients_leave_an_overloaded_server_the_time_to_answer() {
    let ten_times = |_| 1_000;
    for seed in SEEDS {
        let goodput = |config: Option<&Config>| run(config, seed, 60, ten_times).goodput(30..60);
        let without = goodput(None);
        assert!(without <= 5, "it does nothing but refuse: {without}");
        // Of twice what it accepts a server has to refuse half.
        let twice = goodput(Some(&book(200)));
        assert!((88..=92).contains(&twice), "{twice}");
        let hardly_more = goodput(Some(&book(110)));
        assert!(hardly_more >= 96, "{hardly_more}");
        // Its cap lets a fifth through, which is 200.
        let capped = goodput(Some(&envoy()));
        assert!(capped >= 72, "{capped}");
    }
}

/// What throttling costs when the overload is over: a window, in which the
/// refusals of before are still counted; and with a low multiple more of them.
#[test]
fn when_the_overload_is_over_all_is_well_after_a_window() {
    let offered = |second| match second {
        20..60 => 1_000,
        _ => 60,
    };
    for seed in SEEDS {
        let unthrottled = run(None, seed, 120, offered);
        for (config, after) in [(book(200), 15), (envoy(), 15), (book(110), 40)] {
            let throttled = run(Some(&config), seed, 120, offered);
            let before = 5..20;
            assert_eq!(
                throttled.goodput(before.clone()),
                unthrottled.goodput(before)
            );
            let well = 60 + after..120;
            let all = unthrottled.goodput(well.clone());
            let answered = throttled.goodput(well);
            assert!(answered * 100 >= all * 98, "{answered} of {all}");
        }
    }
}
