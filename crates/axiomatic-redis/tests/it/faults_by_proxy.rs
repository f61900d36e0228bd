//! Connections to Redis that break in every way: no more passes than may, no
//! call waits, and Redis decides again by itself.

use std::time::Duration;

use axiomatic_capacity::rate_limit::Quota;
use axiomatic_core::Reason;
use axiomatic_redis::rate_limit::{Config, OnFailure, RedisRateLimiter, Source};
use axiomatic_testbed::matrix::{Subject, are_backed_off, cells, refuse, try_at_random, try_each};
use axiomatic_testbed::proxy::{At, FaultProxy, Trigger, Way};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use crate::support::{FOR_EVER, Server, slowly, some};

/// Within the greeting of a client; within a question and its answer.
const HANDSHAKE: [u64; 3] = [0, 5, 60];
const QUESTION: [u64; 4] = [0, 3, 100, 700];

/// How long it may take to connect, which no call waits for.
const CONNECT: Duration = Duration::from_secs(2);

/// For how long Redis is left alone.
const FIRST: Duration = Duration::from_millis(50);
const LONGEST: Duration = Duration::from_millis(200);

/// All that ever passes of a key.
const TOKENS: u32 = 50_000;

const SHARE: OnFailure = OnFailure::LocalShare {
    peers: std::num::NonZeroU32::new(4).unwrap(),
    overshoot: std::num::NonZeroU32::new(40).unwrap(),
};

/// A limiter behind a proxy, and what it said.
struct Limited {
    server: Server,
    limiter: RedisRateLimiter,
    on_failure: OnFailure,
    /// How many keys there were, and what was said of the last.
    keys: u32,
    asked: u32,
    by_redis: u32,
    by_share: u32,
    wrong: Vec<String>,
}

impl Limited {
    fn start(on_failure: OnFailure) -> Option<(FaultProxy, Limited)> {
        let server = Server::start()?;
        let proxy = FaultProxy::to(server.port());
        let client = redis::Client::open(server.url_through(proxy.port()));
        // None comes back in the time that a key is asked for.
        let quota = Quota::new(some(1), Duration::from_secs(600)).burst(some(TOKENS));
        let limiter = Config::new("api", quota, on_failure)
            .timeout(Duration::from_millis(100))
            .connect_timeout(CONNECT)
            .left_alone_for(FIRST, LONGEST)
            .build(client.expect("an address"));
        let limited = Limited {
            server,
            limiter: limiter.expect("it can work"),
            on_failure,
            keys: 0,
            asked: 0,
            by_redis: 0,
            by_share: 0,
            wrong: Vec::new(),
        };
        Some((proxy, limited))
    }

    fn key(&self) -> String {
        format!("key {}", self.keys)
    }

    /// Asks, and holds what is said to what was promised for a Redis that is
    /// away. Returns whether Redis decided.
    async fn ask(&mut self, at_once: u32) -> bool {
        let mut calls = JoinSet::new();
        for _ in 0..at_once {
            let (limiter, key) = (self.limiter.clone(), self.key());
            calls.spawn(async move {
                let began = Instant::now();
                let decided = timeout(FOR_EVER, limiter.admit(&key)).await;
                (decided.expect("nobody waits for ever"), began.elapsed())
            });
        }
        self.asked += at_once;
        let mut is_by_redis = true;
        for (decided, took) in calls.join_all().await {
            if took >= CONNECT {
                self.wrong.push(format!("a call took {took:?}"));
            }
            let is_as_promised = match (&decided, self.on_failure) {
                (Ok(decision), _) if decision.source() == Source::Store => {
                    self.by_redis += 1;
                    continue;
                }
                (Ok(decision), OnFailure::FailOpen) => decision.source() == Source::FailedOpen,
                (Ok(decision), OnFailure::LocalShare { .. }) => {
                    self.by_share += 1;
                    decision.source() == Source::LocalShare
                }
                (Err(rejected), OnFailure::FailClosed) => rejected.reason() == Reason::Unreachable,
                (Err(rejected), OnFailure::LocalShare { .. }) => {
                    rejected.reason() == Reason::Limited
                }
                _ => false,
            };
            is_by_redis = false;
            if !is_as_promised {
                self.wrong.push(format!("{decided:?}"));
            }
        }
        is_by_redis
    }
}

impl Subject for Limited {
    async fn work(&mut self) {
        self.ask(5).await;
    }

    async fn is_done(&mut self) -> bool {
        self.ask(1).await
    }

    async fn wrong(&mut self) -> Vec<String> {
        let Some(standing) = self.limiter.peek(&self.key()).await else {
            return vec!["it cannot be looked at".to_owned()];
        };
        let charged = TOKENS - standing.remaining();
        // Of a question without an answer nobody knows whether it was charged;
        // it was not charged twice.
        if !(self.by_redis..=self.asked).contains(&charged) {
            let (passed, asked) = (self.by_redis, self.asked);
            let wrong = format!("{charged} were charged, {passed} of {asked} passed");
            self.wrong.push(wrong);
        }
        // A quarter of the overshoot, and nothing for the time since.
        if self.by_share > 10 {
            self.wrong.push(format!("{} by the share", self.by_share));
        }
        self.keys += 1;
        (self.asked, self.by_redis, self.by_share) = (0, 0, 0);
        std::mem::take(&mut self.wrong)
    }
}

/// Every fault, and then some at random.
async fn try_all(on_failure: OnFailure) {
    let Some((proxy, mut limited)) = Limited::start(on_failure) else {
        return;
    };
    try_each(&proxy, &cells(&HANDSHAKE, &QUESTION), &mut limited).await;
    let is_deep = std::env::var_os("AXIOMATIC_DEEP").is_some();
    let (seeds, lasting) = if is_deep { (20, 20) } else { (1, 3) };
    for seed in 0..seeds {
        let lasting = Duration::from_secs(lasting);
        try_at_random(&proxy, seed, lasting, &mut limited).await;
    }
    let snapshot = limited.limiter.snapshot();
    println!("{snapshot}");
    assert!(snapshot.failures() > 0, "it has not noticed");
    drop(limited.server);
}

#[tokio::test(flavor = "multi_thread")]
async fn closed_it_keeps_its_word_behind_every_fault() {
    try_all(OnFailure::FailClosed).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn open_it_keeps_its_word_behind_every_fault() {
    try_all(OnFailure::FailOpen).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn with_a_share_it_keeps_its_word_behind_every_fault() {
    try_all(SHARE).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_passes_while_answers_are_lost_is_no_more_than_may() {
    let Some(server) = Server::start() else {
        return;
    };
    let proxy = FaultProxy::to(server.port());
    let client = redis::Client::open(server.url_through(proxy.port()));
    let limiter = Config::new("api", slowly(100), OnFailure::FailClosed)
        .timeout(Duration::from_millis(100))
        .left_alone_for(FIRST, FIRST)
        .build(client.expect("an address"));
    let limiter = limiter.expect("it can work");
    let mut passed = 0;
    let answers = async || {
        let limiter = limiter.clone();
        let all = timeout(FOR_EVER, async move {
            loop {
                match limiter.admit("a").await {
                    Ok(_) => return true,
                    Err(rejected) if rejected.reason() == Reason::Limited => return false,
                    Err(_) => tokio::time::sleep(FIRST / 10).await,
                }
            }
        });
        all.await.expect("it decides in the end")
    };
    let mut armed = 0;
    loop {
        if proxy.counts().triggered == armed {
            // Redis has charged it, and the limiter does not hear so.
            let asks = Trigger::on(Way::ToServer, b"EVALSHA", At::Answer);
            proxy.cut_when(asks.after(3));
            armed += 1;
        }
        if !answers().await {
            break;
        }
        passed += 1;
    }
    let cut = proxy.counts().triggered;
    println!("{passed} passed, {cut} answers were lost");
    assert!(cut > 5, "no answer was lost");
    assert!(passed <= 100, "{passed} passed of 100");
    assert!(
        passed + cut as u32 >= 100,
        "{passed} and {cut}: some are charged twice"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_it_comes_back_no_more_often_than_its_breaker_says() {
    let Some((proxy, mut limited)) = Limited::start(OnFailure::FailClosed) else {
        return;
    };
    let lasting = Duration::from_secs(3);
    let between = refuse(&proxy, lasting, &mut limited).await;
    // Five find out; and then there is one for each time that the breaker is
    // open, which is half of the longest at least once it has grown to that.
    let most = lasting.div_duration_f64(LONGEST / 2) + 13.0;
    let fewest = lasting.div_duration_f64(LONGEST) / 3.0;
    are_backed_off(&between, fewest, most);
}
