//! Another process of a test: the test binary itself, told by its environment
//! what to do.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use axiomatic_capacity::rate_limit::Quota;
use axiomatic_core::time::Clock;
use axiomatic_redis::rate_limit::{Config, Lease, OnFailure};

use crate::support::some;

const ORDERS: &str = "AXIOMATIC_REDIS_CHILD";

/// What all processes of a test have in common.
#[derive(Copy, Clone)]
pub(crate) struct Orders<'a> {
    pub(crate) address: &'a str,
    pub(crate) prefix: &'a str,
    /// The tokens of a lease, 0 for none.
    pub(crate) batch: u32,
    /// The processes of a local share, 0 to fail closed.
    pub(crate) peers: u32,
    pub(crate) lasting: Duration,
}

impl Orders<'_> {
    pub(crate) fn quota(&self) -> Quota {
        Quota::per_second(some(200)).burst(some(50))
    }

    pub(crate) fn config(&self) -> Config {
        let on_failure = match self.peers {
            0 => OnFailure::FailClosed,
            peers => OnFailure::LocalShare {
                peers: some(peers),
                overshoot: some(30),
            },
        };
        let config = Config::new(self.prefix, self.quota(), on_failure);
        let tenth = Duration::from_millis(100);
        let config = config.timeout(tenth * 2).left_alone_for(tenth, tenth * 2);
        match self.batch {
            0 => config,
            batch => config.lease(Lease::of(some(batch)).lasting(Duration::from_millis(200))),
        }
    }

    /// Starts a process that calls as fast as it can for so long.
    pub(crate) fn spawn(&self) -> Process {
        let Orders {
            address,
            prefix,
            batch,
            peers,
            lasting,
        } = self;
        let lasting = lasting.as_millis();
        let child = Command::new(std::env::current_exe().expect("this test"))
            .args([
                "--exact",
                "child::does_what_another_test_orders",
                "--nocapture",
            ])
            .env(
                ORDERS,
                format!("{address} {prefix} {batch} {peers} {lasting}"),
            )
            .stdout(Stdio::piped())
            .spawn()
            .expect("it runs");
        Process(child)
    }
}

/// A process, which is ended with its test.
pub(crate) struct Process(Child);

/// When a call that was admitted began and ended, in nanoseconds of the
/// machine's clock, which all processes share.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Admitted {
    pub(crate) began: u64,
    pub(crate) ended: u64,
}

impl Process {
    /// Whom it admitted, when it is over.
    pub(crate) fn admitted(mut self) -> Vec<Admitted> {
        let mut output = String::new();
        let mut stdout = self.0.stdout.take().expect("it was piped");
        std::io::Read::read_to_string(&mut stdout, &mut output).expect("text");
        assert!(self.0.wait().expect("it ends").success(), "{output}");
        let lines = output
            .lines()
            .filter_map(|line| line.split_once("admitted "));
        lines
            .map(|(_, times)| {
                let (began, ended) = times.split_once(' ').expect("two times");
                Admitted {
                    began: began.parse().expect("a time"),
                    ended: ended.parse().expect("a time"),
                }
            })
            .collect()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test]
async fn does_what_another_test_orders() {
    let Ok(orders) = std::env::var(ORDERS) else {
        return;
    };
    let words: Vec<&str> = orders.split(' ').collect();
    let number = |n: usize| words[n].parse::<u32>().expect("a number");
    let orders = Orders {
        address: words[0],
        prefix: words[1],
        batch: number(2),
        peers: number(3),
        lasting: Duration::from_millis(u64::from(number(4))),
    };
    let client = redis::Client::open(orders.address).expect("an address");
    let limiter = orders.config().build(client).expect("it can work");
    let clock = Clock::Precise;
    let end = clock.now() + orders.lasting;
    let mut admitted = Vec::new();
    while clock.now() < end {
        let began = clock.now();
        match limiter.admit("all").await {
            Ok(_) => admitted.push((began, clock.now())),
            // Not as fast as it can where it would only burn the machine.
            Err(_) => tokio::time::sleep(Duration::from_micros(500)).await,
        }
    }
    limiter.close().await;
    for (began, ended) in admitted {
        println!("admitted {} {}", began.as_nanos(), ended.as_nanos());
    }
}
