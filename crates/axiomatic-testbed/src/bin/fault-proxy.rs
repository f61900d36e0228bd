//! Forwards a port of this machine to another, and breaks what it forwards.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::num::NonZeroU32;
use std::process::ExitCode;
use std::time::Duration;

use axiomatic_testbed::proxy::{Ending, Fault, FaultProxy, Script, Side, Way, Whom};
use clap::{Parser, ValueEnum};

/// Forwards connections on loopback, and breaks them as it is told. Ends with
/// Ctrl-C, and says what it has seen.
#[derive(Debug, Parser)]
#[command(name = "fault-proxy")]
struct Arguments {
    /// Where clients connect; a free port if it is 0
    #[arg(long, value_name = "PORT", default_value_t = 0)]
    listen: u16,
    /// Where the server is
    #[arg(long, value_name = "PORT")]
    to: u16,
    /// The address of both, which is on loopback
    #[arg(long, default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    host: IpAddr,
    /// The direction of latency, bandwidth, cuts and silence
    #[arg(long, value_enum, default_value_t = Direction::Both)]
    way: Direction,
    /// How late all is, such as 20ms or 1s
    #[arg(long, value_name = "TIME", value_parser = time)]
    latency: Option<Duration>,
    /// How much later it may be, at random
    #[arg(long, value_name = "TIME", value_parser = time, default_value = "0ms")]
    jitter: Duration,
    /// How many bytes pass in a second
    #[arg(long, value_name = "BYTES")]
    bandwidth: Option<NonZeroU32>,
    /// After how many bytes each connection is cut
    #[arg(long, value_name = "BYTES")]
    cut_after: Option<u64>,
    /// Cuts with a reset, not as if the other end had closed
    #[arg(long)]
    reset: bool,
    /// Swallows what is said in the direction, and closes nothing
    #[arg(long)]
    silence: bool,
    /// Keeps what is said
    #[arg(long)]
    hold: bool,
    /// Closes one end, and does not tell the other
    #[arg(long, value_enum, value_name = "END")]
    half_open: Option<End>,
    /// Refuses connections
    #[arg(long)]
    refuse: bool,
    /// Lets all pass for so long before
    #[arg(long, value_name = "TIME", value_parser = time, default_value = "0ms")]
    healthy_for: Duration,
    /// Instead of all that: faults at random, as they follow from a seed
    #[arg(long, value_name = "SEED")]
    random: Option<u64>,
    /// How long a fault at random lasts at most
    #[arg(long, value_name = "TIME", value_parser = time, default_value = "2s")]
    longest: Duration,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Direction {
    ToServer,
    ToClient,
    Both,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum End {
    Client,
    Server,
}

/// A time with its unit.
fn time(text: &str) -> Result<Duration, String> {
    let digits = text.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    let number: u64 = digits.parse().map_err(|_| "not a whole number")?;
    match &text[digits.len()..] {
        "us" => Ok(Duration::from_micros(number)),
        "ms" => Ok(Duration::from_millis(number)),
        "s" => Ok(Duration::from_secs(number)),
        _ => Err("the unit is us, ms or s".to_owned()),
    }
}

impl Arguments {
    fn faults(&self) -> Vec<Fault> {
        let ending = match self.reset {
            true => Ending::Reset,
            false => Ending::Close,
        };
        let ways: &[Way] = match self.way {
            Direction::ToServer => &[Way::ToServer],
            Direction::ToClient => &[Way::ToClient],
            Direction::Both => &Way::BOTH,
        };
        let mut faults = Vec::new();
        for &way in ways {
            let (by, jitter) = (self.latency.unwrap_or_default(), self.jitter);
            if !(by + jitter).is_zero() {
                faults.push(Fault::Latency { way, by, jitter });
            }
            if let Some(bytes_per_second) = self.bandwidth {
                faults.push(Fault::Bandwidth {
                    way,
                    bytes_per_second,
                });
            }
            if let Some(bytes) = self.cut_after {
                faults.push(Fault::CutAfter { way, bytes, ending });
            }
            if self.silence {
                faults.push(Fault::Silence(way));
            }
        }
        if self.hold {
            faults.push(Fault::Hold);
        }
        match self.half_open {
            Some(End::Client) => faults.push(Fault::HalfOpen(Side::Client)),
            Some(End::Server) => faults.push(Fault::HalfOpen(Side::Server)),
            None => {}
        }
        if self.refuse {
            faults.push(Fault::Refuse);
        }
        faults
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let address = |port| SocketAddr::from((arguments.host, port));
    let seed = arguments.random.unwrap_or_default();
    let proxy = FaultProxy::between(address(arguments.listen), address(arguments.to), seed);
    let proxy = match proxy {
        Ok(proxy) => proxy,
        Err(error) => {
            eprintln!("fault-proxy: {error}");
            return ExitCode::FAILURE;
        }
    };
    println!("{} to {}", proxy.address(), address(arguments.to));
    let ended = async { drop(tokio::signal::ctrl_c().await) };
    if let Some(seed) = arguments.random {
        let script = Script::random(seed, arguments.longest);
        let tell = |fault: &Fault, whom| println!("{fault}, {whom}");
        proxy.play(script, ended, tell).await;
    } else {
        tokio::select! {
            () = ended => {}
            () = break_it(&proxy, &arguments) => {}
        }
    }
    println!("{}", proxy.counts());
    ExitCode::SUCCESS
}

/// After the time in which all is well, never ends.
async fn break_it(proxy: &FaultProxy, arguments: &Arguments) {
    tokio::time::sleep(arguments.healthy_for).await;
    for fault in arguments.faults() {
        println!("{fault}");
        proxy.inflict(&fault, Whom::All);
    }
    std::future::pending::<()>().await;
}
