#![cfg(not(axiomatic_loom))]
#[path = "overload/world.rs"]
mod world;

use std::num::NonZeroU32;
use std::time::Duration;

use axiomatic_capacity::bulkhead::{self, Order, WhenFull};
use axiomatic_capacity::load_shed::{self, prioritizer, signal::QueueDelay};
use axiomatic_sim::{Arrivals, Rate, Timeline};
use world::{Server, Story, manual, run};

const MS: fn(u64) -> Duration = Duration::from_millis;

fn story(rate: u32) -> Story {
    Story {
        arrivals: Arrivals::poisson(Timeline::always(Rate::per_second(700)).during(
            Duration::from_secs(10)..Duration::from_secs(40),
            Rate::per_second(rate),
        )),
        service: Timeline::always(MS(20)),
        workers: 20,
        patience: MS(500),
        retries: 2,
        pause: MS(100),
        end: Duration::from_secs(60),
    }
}

#[test]
fn try_it() {
    for (name, shed, reports, signals) in [
        ("nothing", false, false, false),
        ("signals", true, false, true),
        ("reports", true, true, false),
        ("both", true, true, true),
    ] {
        for rate in [2000, 10000] {
            let story = story(rate);
            let seconds = run(&story, 1, |clock| {
                let bulkhead = bulkhead::Config::new(NonZeroU32::new(story.workers).unwrap())
                    .clock(manual(clock))
                    .when_full(WhenFull::Wait {
                        max_waiting: if shed && reports { 200 } else { 100_000 },
                        max_wait: Duration::from_secs(if shed { 1 } else { 60 }),
                        order: if shed { Order::default() } else { Order::Fifo },
                    })
                    .build()
                    .unwrap();
                let mut config = prioritizer::Config::new();
                if signals {
                    config = config.signal(QueueDelay::of(bulkhead.clone(), MS(50)));
                }
                let p = config.build().unwrap();
                Server {
                    shedder: shed.then(|| load_shed::Config::new(&p).clock(manual(clock)).build()),
                    prioritizer: reports.then_some(p),
                    bulkhead,
                    tells_deadlines: shed,
                }
            });
            let good: Vec<_> = seconds.iter().map(|s| s.good).collect();
            let crit: Vec<_> = seconds
                .iter()
                .map(|s| s.good_by_class[3] * 100 / s.offered_by_class[3].max(1))
                .collect();
            println!("{name} {rate}\n  {good:?}\n  critical+ %: {crit:?}");
            println!(
                "  worst {:?}",
                seconds
                    .iter()
                    .map(|s| s.worst.as_millis())
                    .collect::<Vec<_>>()
            );
        }
    }
}
