//! Several processes and one quota: whatever happens, what they admit in any
//! stretch of time is no more than the bound says.

use std::time::Duration;

use axiomatic_redis::rate_limit::Config;

use crate::child::{Admitted, Orders, Process};
use crate::support::{Server, Shared, some};

const PROCESSES: u32 = 3;

fn spawn(orders: Orders<'_>) -> Vec<Process> {
    (0..PROCESSES).map(|_| orders.spawn()).collect()
}

/// Of every two calls, what was admitted from the beginning of the one to the
/// end of the other is within the bound.
fn assert_within(admitted: &[Admitted], config: &Config, outages: u32) {
    for first in admitted {
        // Those that end before it began are out of it, and so are those that
        // began before: the stretch holds whole calls only.
        let mut inside: Vec<u64> = admitted
            .iter()
            .filter(|one| one.began >= first.began)
            .map(|one| one.ended)
            .collect();
        inside.sort_unstable();
        for (n, ended) in (1u64..).zip(&inside) {
            let stretch = Duration::from_nanos(ended - first.began);
            let most = config.most_admitted(some(PROCESSES), stretch, outages);
            let most = most.expect("it is bounded");
            assert!(n <= most, "{n} in {stretch:?}, not {most}");
        }
    }
}

/// That the bound is not met because nobody calls.
fn assert_not_idle(admitted: &[Admitted], lasting: Duration) {
    let least = 200 * lasting.as_millis() / 1_000 / 2;
    assert!(admitted.len() as u128 > least, "only {}", admitted.len());
}

#[test]
fn processes_never_admit_more_than_the_quota_says() {
    let Some(redis) = Shared::find() else { return };
    for (n, batch) in [0, 10].into_iter().enumerate() {
        let orders = Orders {
            address: &redis.address,
            prefix: &format!("{}/{n}", redis.prefix),
            batch,
            peers: 0,
            lasting: Duration::from_millis(2_000),
        };
        let running = spawn(orders);
        let admitted: Vec<Admitted> = running.into_iter().flat_map(Process::admitted).collect();
        assert_within(&admitted, &orders.config(), 0);
        assert_not_idle(&admitted, orders.lasting);
        drop(redis.beside(orders.prefix.to_owned()));
    }
}

#[test]
fn processes_keep_to_the_bound_while_redis_is_killed_and_comes_back() {
    for (batch, peers) in [(0, 0), (0, PROCESSES), (10, PROCESSES)] {
        let Some(mut server) = Server::start() else {
            return;
        };
        let address = server.url();
        let orders = Orders {
            address: &address,
            prefix: "api",
            batch,
            peers,
            lasting: Duration::from_millis(3_000),
        };
        let running = spawn(orders);
        let outages = 2;
        for _ in 0..outages {
            // How long Redis is there and how long it is away: these are the
            // outage itself, and no waits for something to have happened.
            std::thread::sleep(Duration::from_millis(700));
            server.kill();
            std::thread::sleep(Duration::from_millis(500));
            server.run();
        }
        let admitted: Vec<Admitted> = running.into_iter().flat_map(Process::admitted).collect();
        assert_within(&admitted, &orders.config(), outages);
        assert_not_idle(&admitted, orders.lasting / 2);
    }
}
