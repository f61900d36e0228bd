//! Where the tests find a Redis.
//!
//! A test that needs one begins with `let Some(..) = .. else { return }`. On a
//! laptop without Redis it is skipped, and says so by its name; where `CI` is
//! true it fails.

use std::num::NonZeroU32;
use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axiomatic_capacity::rate_limit::Quota;
use axiomatic_redis::rate_limit::{Config, OnFailure, RedisRateLimiter};
use axiomatic_testbed::redis::Redis;
use axiomatic_testbed::skip;

/// Longer than anything takes, also on a machine with other things to do: who
/// waits so long waits for something that does not come.
pub(crate) const FOR_EVER: Duration = Duration::from_secs(30);

pub(crate) fn some(n: u32) -> NonZeroU32 {
    NonZeroU32::new(n).expect("more than nothing")
}

/// So many at once, and practically none after that.
pub(crate) fn slowly(at_once: u32) -> Quota {
    Quota::new(some(1), Duration::from_secs(3_600)).burst(some(at_once))
}

/// A limit by which nobody has to wait for Redis in vain because the machine is
/// busy.
pub(crate) fn patient(prefix: impl Into<Box<str>>, quota: Quota, on_failure: OnFailure) -> Config {
    Config::new(prefix, quota, on_failure).timeout(FOR_EVER)
}

/// Waits until a condition holds.
pub(crate) async fn until<F: Future<Output = bool>>(what: &str, mut holds: impl FnMut() -> F) {
    let waited = tokio::time::timeout(FOR_EVER, async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    });
    assert!(waited.await.is_ok(), "waited for ever: {what}");
}

/// A prefix of its own on a Redis that others use too, and a connection to look
/// at it. Its keys are removed when it is dropped.
pub(crate) struct Shared {
    pub(crate) address: String,
    pub(crate) client: redis::Client,
    pub(crate) prefix: String,
}

impl Shared {
    /// The Redis that is there.
    pub(crate) fn find() -> Option<Shared> {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let address = std::env::var("AXIOMATIC_REDIS_URL")
            .unwrap_or_else(|_| "redis://127.0.0.1:6379/".to_owned());
        let client = redis::Client::open(&*address).expect("an address");
        if let Err(error) = client.get_connection_with_timeout(Duration::from_secs(5)) {
            skip(&format!("Redis: {error}"));
            return None;
        }
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        Some(Shared {
            address,
            client,
            prefix: format!("axiomatic-test.{}.{number}", std::process::id()),
        })
    }

    /// Another prefix on the same Redis.
    pub(crate) fn beside(&self, prefix: String) -> Shared {
        Shared {
            address: self.address.clone(),
            client: self.client.clone(),
            prefix,
        }
    }

    pub(crate) fn build(&self, config: Config) -> RedisRateLimiter {
        config.build(self.client.clone()).expect("it can work")
    }

    /// The names of its keys.
    pub(crate) fn keys(&self) -> Vec<Vec<u8>> {
        let mut redis = self.client.get_connection().expect("it was there");
        let pattern = format!("{{{}}}*", self.prefix);
        let mut names = Vec::new();
        let mut cursor = 0u64;
        loop {
            let (next, some): (u64, Vec<Vec<u8>>) = redis::cmd("SCAN")
                .arg(cursor)
                .arg("MATCH")
                .arg(&pattern)
                .arg("COUNT")
                .arg(1_000)
                .query(&mut redis)
                .expect("it scans");
            names.extend(some);
            cursor = next;
            if cursor == 0 {
                return names;
            }
        }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        for name in self.keys() {
            let mut redis = self.client.get_connection().expect("it was there");
            let _: i64 = redis::cmd("DEL").arg(name).query(&mut redis).unwrap_or(0);
        }
    }
}

/// A Redis of a test's own, which it may stop, pause and start again, and what
/// a client of it needs.
pub(crate) struct Server(Redis);

impl Server {
    pub(crate) fn start() -> Option<Server> {
        Redis::start().map(Server)
    }

    pub(crate) fn start_with(arguments: &'static [&'static str]) -> Option<Server> {
        Redis::start_with(arguments).map(Server)
    }

    pub(crate) fn client(&self) -> redis::Client {
        redis::Client::open(self.url()).expect("an address")
    }

    pub(crate) fn build(&self, config: Config) -> RedisRateLimiter {
        config.build(self.client()).expect("it can work")
    }

    /// What it says to a command.
    pub(crate) fn say<T: redis::FromRedisValue>(&self, words: &[&str]) -> T {
        let mut command = redis::cmd(words[0]);
        for word in &words[1..] {
            command.arg(*word);
        }
        let mut redis = self.client().get_connection().expect("it runs");
        command.query(&mut redis).expect("it answers")
    }

    /// How many connections it has ever accepted.
    pub(crate) fn connections(&self) -> u64 {
        let stats: String = self.say(&["INFO", "stats"]);
        let line = stats
            .lines()
            .find_map(|line| line.strip_prefix("total_connections_received:"));
        line.and_then(|n| n.trim().parse().ok()).expect("a count")
    }
}

impl Deref for Server {
    type Target = Redis;

    fn deref(&self) -> &Redis {
        &self.0
    }
}

impl DerefMut for Server {
    fn deref_mut(&mut self) -> &mut Redis {
        &mut self.0
    }
}
