//! The limiter over Redis: round trips, and what is saved of them.
//!
//! Beside the limiter stand its floors on the same connection: a `PING`, which
//! is what a round trip costs, and an `EVALSHA` of a script that does nothing.
//! One caller after the other shows what a call takes, sixty-four at a time how
//! many there are in a second. Client and server share this machine, so the
//! server's work and the client's are paid by the same processors, and there is
//! no network: with one, a round trip costs more and a lease saves more. It
//! needs the Redis at `AXIOMATIC_REDIS_URL` or on this machine, and without one
//! says so and measures nothing. It has no harness of nanoseconds: what it
//! measures is a system call and a half.

use std::error::Error;
use std::future::Future;
use std::num::NonZeroU32;
use std::time::Duration;

use axiomatic_capacity::rate_limit::Quota;
use axiomatic_core::Rejected;
use axiomatic_core::time::Clock;
use axiomatic_redis::rate_limit::{Config, Lease, OnFailure, RedisRateLimiter};
use axiomatic_redis::redis;
use tokio::task::JoinSet;
use tower::{Layer, Service, service_fn};

const CALLERS: u32 = 64;

fn main() -> Result<(), Box<dyn Error>> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(measure(std::env::args().any(|word| word == "--quick")))
}

async fn measure(quick: bool) -> Result<(), Box<dyn Error>> {
    let calls = if quick { 2_000 } else { 40_000 };
    let url = std::env::var("AXIOMATIC_REDIS_URL");
    let client = redis::Client::open(url.unwrap_or_else(|_| "redis://127.0.0.1/".to_owned()))?;
    let Ok(connection) = client.get_multiplexed_async_connection().await else {
        println!("There is no Redis here, and so nothing to measure.");
        return Ok(());
    };
    let nothing = redis::Script::new("return {1, 0, 0}");
    let _: Vec<u64> = nothing.invoke_async(&mut connection.clone()).await?;
    let hash = nothing.get_hash().to_owned();

    println!("{:32} {:>12} {:>12}", "", "alone", "64 at a time");
    let ping = connection.clone();
    row("floor:ping", calls, move || {
        let mut connection = ping.clone();
        async move {
            let pong: Result<String, _> = redis::cmd("PING").query_async(&mut connection).await;
            pong.is_ok()
        }
    })
    .await;
    row("floor:script of nothing", calls, move || {
        let (mut connection, mut script) = (connection.clone(), redis::cmd("EVALSHA"));
        script.arg(&hash).arg(1).arg("{bench}:key");
        async move {
            let said: Result<Vec<u64>, _> = script.query_async(&mut connection).await;
            said.is_ok()
        }
    })
    .await;
    for batch in [1, 10, 100, 10_000] {
        let limiter = limiter(&client, batch)?;
        let name = match batch {
            1 => "ours".to_owned(),
            _ => format!("ours, leases of {batch}"),
        };
        let asking = limiter.clone();
        let told = row(&name, calls, move || {
            let limiter = asking.clone();
            async move { limiter.admit("key").await.is_ok() }
        });
        told.await;
        let snapshot = limiter.snapshot();
        println!(
            "    {} round trips for {} calls",
            snapshot.round_trips(),
            2 * calls
        );
        limiter.close().await;
    }
    // The layer boxes a future where Redis may have to be asked. While it is
    // away nothing else is done, so that what the box costs can be seen.
    let nobody = limiter(&redis::Client::open("redis://127.0.0.1:1/")?, 1)?;
    let asking = nobody.clone();
    row("ours, Redis is away", calls, move || {
        let limiter = asking.clone();
        async move { limiter.admit("key").await.is_ok() }
    })
    .await;
    layer("ours, layer, Redis is away", calls, &nobody).await;
    let leasing = limiter(&client, 10_000)?;
    layer("ours, layer, leases of 10000", calls, &leasing).await;
    leasing.close().await;
    Ok(())
}

async fn layer(name: &str, calls: u32, limiter: &RedisRateLimiter) {
    let answer = service_fn(|_: u32| async { Ok::<_, Rejected>(()) });
    let layer = limiter.layer(|_: &u32| "key").with_error::<Rejected>();
    let service = layer.layer(answer);
    row(name, calls, move || {
        let mut service = service.clone();
        async move { service.call(7).await.is_ok() }
    })
    .await;
}

fn limiter(client: &redis::Client, batch: u32) -> Result<RedisRateLimiter, Box<dyn Error>> {
    let some = |n| NonZeroU32::new(n).ok_or("nothing");
    // None of the calls is refused.
    let quota = Quota::per_second(some(1_000_000)?).burst(some(1_000_000)?);
    let config = Config::new(format!("bench.{batch}"), quota, OnFailure::FailOpen);
    let config = config.timeout(Duration::from_secs(10));
    let config = match batch {
        1 => config,
        _ => config.lease(Lease::of(some(batch)?)),
    };
    Ok(config.build(client.clone())?)
}

/// What a call takes, and how many there are in a second.
async fn row<F, R>(name: &str, calls: u32, call: F)
where
    F: Fn() -> R + Clone + 'static,
    R: Future<Output = bool> + 'static,
{
    let clock = Clock::Precise;
    assert!(call().await, "{name} was refused");
    let began = clock.now();
    for _ in 0..calls {
        assert!(call().await, "{name} was refused");
    }
    let alone = (clock.now() - began) / calls;
    let began = clock.now();
    let local = tokio::task::LocalSet::new();
    let all = local.run_until(async {
        let mut callers = JoinSet::new();
        for _ in 0..CALLERS {
            let call = call.clone();
            callers.spawn_local(async move {
                for _ in 0..calls / CALLERS {
                    assert!(call().await);
                }
            });
        }
        callers.join_all().await;
    });
    all.await;
    let a_second = f64::from(calls / CALLERS * CALLERS) / (clock.now() - began).as_secs_f64();
    println!("{name:32} {alone:>12.1?} {a_second:>10.0}/s");
}
