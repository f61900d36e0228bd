//! Two processes, one quota, and a Redis that goes away.
//!
//! Where this is going: two processes call as often as they are let, and share a
//! quota of 200 a second with 40 at once, over a Redis that this program starts
//! for itself. A third of the way Redis is killed, and two thirds of the way it
//! is there again, knowing nothing. While it answers, the two together pass 200
//! a second, however they divide them; while it is away each keeps to its share,
//! and they pass 200 a second still; and over the whole time they pass no more
//! than what was computed before. Without `redis-server` on the path there is
//! nothing to show, and it says so.

use std::error::Error;
use std::io::Read;
use std::net::TcpListener;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use axiomatic_capacity::rate_limit::Quota;
use axiomatic_core::time::{Clock, Instant};
use axiomatic_redis::rate_limit::{Config, OnFailure, RedisRateLimiter, Source};
use axiomatic_redis::redis::Client;

const PROCESSES: NonZeroU32 = NonZeroU32::new(2).unwrap();
const RATE: NonZeroU32 = NonZeroU32::new(200).unwrap();
const AT_ONCE: NonZeroU32 = NonZeroU32::new(40).unwrap();
/// What both may let pass at once when Redis goes away.
const OVERSHOOT: NonZeroU32 = NonZeroU32::new(20).unwrap();
/// Each of the three parts.
const PART: Duration = Duration::from_millis(1_500);

type Failure = Box<dyn Error>;

fn config() -> Config {
    let share = OnFailure::LocalShare {
        peers: PROCESSES,
        overshoot: OVERSHOOT,
    };
    Config::new("example", Quota::per_second(RATE).burst(AT_ONCE), share)
        .named("example")
        .timeout(Duration::from_millis(100))
        .left_alone_for(Duration::from_millis(50), Duration::from_millis(100))
}

fn main() -> Result<(), Failure> {
    let words: Vec<String> = std::env::args().collect();
    match &words[..] {
        [_, word, address, end] if word == "caller" => call(address, end.parse()?),
        _ => tell(),
    }
}

/// One of the two processes: calls until the time is over, and prints who let
/// which call pass, and when.
#[tokio::main(flavor = "current_thread")]
async fn call(address: &str, end: u64) -> Result<(), Failure> {
    let limiter: RedisRateLimiter = config().build(Client::open(address)?)?;
    // The machine's clock, which all its processes share.
    let clock = Clock::Precise;
    let mut passed = Vec::new();
    while clock.now() < Instant::from_nanos(end) {
        if let Ok(decision) = limiter.admit("everybody").await {
            passed.push((clock.now(), decision.source()));
        } else {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
    for (at, source) in passed {
        println!("{} {source}", at.as_nanos());
    }
    eprintln!("{}", limiter.snapshot());
    Ok(())
}

/// The other program: starts all, kills Redis, starts it again, and counts.
fn tell() -> Result<(), Failure> {
    let Some(mut redis) = Redis::start()? else {
        println!("There is no redis-server here, and so nothing to show.");
        return Ok(());
    };
    let began = Clock::Precise.now();
    let end = (began + PART * 3).as_nanos().to_string();
    let program = std::env::current_exe()?;
    let callers: Vec<Child> = (0..PROCESSES.get())
        .map(|_| {
            Command::new(&program)
                .args(["caller", &redis.address(), &end])
                .stdout(Stdio::piped())
                .spawn()
        })
        .collect::<Result<_, _>>()?;

    sleep(PART);
    let killed = Clock::Precise.now();
    redis.kill()?;
    sleep(PART);
    redis.run()?;
    let back = Clock::Precise.now();

    let mut passed = Vec::new();
    for mut caller in callers {
        let mut text = String::new();
        caller
            .stdout
            .take()
            .ok_or("no output")?
            .read_to_string(&mut text)?;
        assert!(caller.wait()?.success(), "a process failed");
        for line in text.lines() {
            let (at, source) = line.split_once(' ').ok_or("no time")?;
            passed.push((Instant::from_nanos(at.parse()?), source.to_owned()));
        }
    }
    let over = Clock::Precise.now();

    let by = |from: Instant, to: Instant, source: Source| {
        let source = source.to_string();
        let all = passed.iter();
        all.filter(|(at, by)| (from..to).contains(at) && *by == source)
            .count() as u64
    };
    println!(
        "{:24} {:>8} {:>8} {:>8} {:>8}",
        "", "seconds", "by redis", "by share", "a second"
    );
    for (part, from, to) in [
        ("Redis is there", began, killed),
        ("it is away", killed, back),
        ("it is there again", back, over),
    ] {
        let (store, share) = (
            by(from, to, Source::Store),
            by(from, to, Source::LocalShare),
        );
        let seconds = (to - from).as_secs_f64();
        let rate = (store + share) as f64 / seconds;
        println!("{part:24} {seconds:8.2} {store:8} {share:8} {rate:8.0}");
    }

    let whole = config().most_admitted(PROCESSES, over - began, 1);
    let most = whole.ok_or("no bound")?;
    println!(
        "together {} passed, and no more than {most} could have",
        passed.len()
    );
    assert!(passed.len() as u64 <= most);
    // Each part was decided by whoever was there.
    assert!(by(began, killed, Source::Store) >= u64::from(AT_ONCE.get()));
    assert!(by(killed, back, Source::LocalShare) >= u64::from(OVERSHOOT.get()));
    assert!(
        by(back, over, Source::Store) > 0,
        "nobody noticed that it is back"
    );
    Ok(())
}

/// A Redis of this program's own, which keeps nothing on disk.
struct Redis {
    port: u16,
    folder: PathBuf,
    process: Option<Child>,
}

impl Redis {
    fn start() -> Result<Option<Self>, Failure> {
        if Command::new("redis-server")
            .arg("--version")
            .output()
            .is_err()
        {
            return Ok(None);
        }
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let folder = std::env::temp_dir().join(format!("axiomatic-example.{port}"));
        std::fs::create_dir_all(&folder)?;
        let mut redis = Redis {
            port,
            folder,
            process: None,
        };
        redis.run()?;
        Ok(Some(redis))
    }

    fn address(&self) -> String {
        format!("redis://127.0.0.1:{}/", self.port)
    }

    /// Starts it, and waits until it answers.
    fn run(&mut self) -> Result<(), Failure> {
        let process = Command::new("redis-server")
            .args(["--port", &self.port.to_string(), "--bind", "127.0.0.1"])
            .args(["--save", "", "--appendonly", "no"])
            .arg("--dir")
            .arg(&self.folder)
            .stdout(Stdio::null())
            .spawn()?;
        self.process = Some(process);
        let client = Client::open(self.address())?;
        for _ in 0..2_000 {
            if client.get_connection().is_ok() {
                return Ok(());
            }
            sleep(Duration::from_millis(5));
        }
        Err("redis-server does not answer".into())
    }

    fn kill(&mut self) -> Result<(), Failure> {
        if let Some(mut process) = self.process.take() {
            process.kill()?;
            process.wait()?;
        }
        Ok(())
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.kill();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}
