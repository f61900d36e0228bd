//! Every client against every fault.
//!
//! A [`Subject`] is a client that works through a proxy, with the business that
//! it works for. [`try_each`] has it go through [`cells`], one fault after the
//! other, without being restarted: all is well before, the fault is felt, and
//! when it is over everything is done that was begun, by itself. What is wrong
//! then is told with the cell's name.

use std::fmt;
use std::time::Duration;

use tokio::time::{sleep, timeout};

use crate::proxy::{Counts, Ending, Fault, FaultProxy, Script, Side, Way, Whom};

/// Longer than anything takes, also on a machine with other things to do.
const FOR_EVER: Duration = Duration::from_secs(60);

/// How often it is looked whether something has happened.
const A_MOMENT: Duration = Duration::from_millis(5);

/// A client that works through a proxy.
pub trait Subject {
    /// Begins a little work, and lets go of it. What does not go through the
    /// proxy succeeds; the rest may fail, and is to be tried again by the client
    /// itself.
    fn work(&mut self) -> impl Future<Output = ()>;

    /// Whether all is done that was begun.
    fn is_done(&mut self) -> impl Future<Output = bool>;

    /// What is wrong with what was done; asked when all is.
    fn wrong(&mut self) -> impl Future<Output = Vec<String>>;
}

/// A fault, and how it is brought about.
#[derive(Clone, Debug)]
pub struct Cell {
    /// What goes wrong.
    pub fault: Fault,
    /// For whom.
    pub whom: Whom,
    /// Whether those that are there are cut, so that there are new ones.
    pub cuts_present: bool,
}

impl Cell {
    /// For all connections.
    fn all(fault: Fault) -> Cell {
        Cell {
            fault,
            whom: Whom::All,
            cuts_present: false,
        }
    }

    /// For those that are there.
    fn present(fault: Fault) -> Cell {
        Cell {
            whom: Whom::Present,
            ..Cell::all(fault)
        }
    }

    /// For new ones, in the place of those that are there.
    fn anew(fault: Fault) -> Cell {
        Cell {
            fault,
            whom: Whom::Coming,
            cuts_present: true,
        }
    }

    /// Whether the fault was felt since then, and not only the first time.
    fn is_felt(&self, before: Counts, now: Counts) -> bool {
        match self.fault {
            Fault::Latency { .. } | Fault::Bandwidth { .. } => now.delayed >= before.delayed + 4,
            Fault::Hold => now.delayed > before.delayed,
            Fault::CutAfter { .. } if self.cuts_present => now.cut >= before.cut + 3,
            Fault::CutAfter { .. } | Fault::Cut(_) => now.cut > before.cut,
            Fault::Silence(_) | Fault::Blackhole => now.swallowed > before.swallowed,
            Fault::HalfOpen(_) => now.half_open > before.half_open,
            Fault::Refuse => now.refused >= before.refused + 3,
        }
    }
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, {}", self.fault, self.whom)
    }
}

/// All faults. New connections are cut after so many bytes, for each of these
/// numbers, which are within a handshake; and those that are there after so
/// many, which are within a message and its answer.
pub fn cells(handshake: &[u64], message: &[u64]) -> Vec<Cell> {
    let ms = Duration::from_millis;
    let mut cells = Vec::new();
    for way in Way::BOTH {
        cells.push(Cell::all(Fault::Latency {
            way,
            by: ms(10),
            jitter: ms(20),
        }));
    }
    let mut endings = [Ending::Close, Ending::Reset].into_iter().cycle();
    let mut cut = |way, bytes| {
        let ending = endings.next().unwrap_or(Ending::Close);
        Fault::CutAfter { way, bytes, ending }
    };
    for way in Way::BOTH {
        cells.extend(message.iter().map(|bytes| Cell::present(cut(way, *bytes))));
    }
    for way in Way::BOTH {
        cells.extend(handshake.iter().map(|bytes| Cell::anew(cut(way, *bytes))));
    }
    cells.extend([
        Cell::present(Fault::Cut(Ending::Close)),
        Cell::present(Fault::Cut(Ending::Reset)),
        Cell::all(Fault::Silence(Way::ToServer)),
        Cell::all(Fault::Silence(Way::ToClient)),
        Cell::all(Fault::Blackhole),
        Cell::anew(Fault::Blackhole),
        Cell::all(Fault::Hold),
        Cell::present(Fault::HalfOpen(Side::Client)),
        Cell::present(Fault::HalfOpen(Side::Server)),
        Cell::anew(Fault::HalfOpen(Side::Server)),
        Cell::anew(Fault::Refuse),
    ]);
    cells
}

/// Has a subject go through these, one after the other.
///
/// # Panics
///
/// If a fault is not felt, if what was begun is not done when it is over, or if
/// something is wrong then.
pub async fn try_each<S: Subject>(proxy: &FaultProxy, cells: &[Cell], subject: &mut S) {
    for cell in cells {
        // Whatever panics in it: this is the last that was said.
        println!("{cell}");
        subject.work().await;
        all_is_done(subject, &format!("before {cell}")).await;
        let before = proxy.counts();
        proxy.inflict(&cell.fault, cell.whom);
        if cell.cuts_present {
            proxy.cut();
        }
        let felt = async {
            loop {
                subject.work().await;
                if cell.is_felt(before, proxy.counts()) {
                    return;
                }
                sleep(A_MOMENT).await;
            }
        };
        let felt = timeout(FOR_EVER, felt).await;
        assert!(felt.is_ok(), "{cell}: it is not felt, {}", proxy.counts());
        subject.work().await;
        proxy.heal();
        subject.work().await;
        all_is_done(subject, &format!("after {cell}")).await;
        let wrong = subject.wrong().await;
        assert!(wrong.is_empty(), "{cell}: {wrong:#?}");
    }
}

/// Has a subject work while faults come and go at random, for so long.
///
/// # Panics
///
/// If what was begun is not done when they are over, or if something is wrong
/// then.
pub async fn try_at_random<S: Subject>(
    proxy: &FaultProxy,
    seed: u64,
    lasting: Duration,
    subject: &mut S,
) {
    let before = proxy.counts();
    let script = Script::random(seed, Duration::from_millis(300));
    let work = async {
        let work = async {
            loop {
                subject.work().await;
                sleep(A_MOMENT).await;
            }
        };
        let _ = timeout(lasting, work).await;
    };
    let tell = |fault: &Fault, whom| println!("{fault}, {whom}");
    proxy.play(script, work, tell).await;
    println!("seed {seed}: {}", proxy.counts());
    all_is_done(subject, &format!("after seed {seed}")).await;
    let wrong = subject.wrong().await;
    assert!(wrong.is_empty(), "seed {seed}: {wrong:#?}");
    assert!(proxy.counts().felt() > before.felt(), "nothing was felt");
}

/// Refuses all connections of a subject for so long, and returns the times
/// between its attempts.
///
/// # Panics
///
/// If what was begun is not done when that is over.
pub async fn refuse<S: Subject>(
    proxy: &FaultProxy,
    lasting: Duration,
    subject: &mut S,
) -> Vec<Duration> {
    subject.work().await;
    all_is_done(subject, "before it is refused").await;
    proxy.inflict(&Fault::Refuse, Whom::All);
    proxy.cut();
    let before = proxy.attempts().len();
    let work = async {
        loop {
            subject.work().await;
            sleep(A_MOMENT / 5).await;
        }
    };
    let _ = timeout(lasting, work).await;
    let attempts = proxy.attempts();
    proxy.heal();
    all_is_done(subject, "after it was refused").await;
    let refused = &attempts[before..];
    refused.windows(2).map(|two| two[1] - two[0]).collect()
}

/// Whether attempts, with these times between them, were as many as a backoff
/// makes, and at times that no two clients have in common.
///
/// # Panics
///
/// If not.
pub fn are_backed_off(between: &[Duration], fewest: f64, most: f64) {
    println!(
        "{} attempts, {fewest} to {most}: {between:?}",
        between.len()
    );
    let attempts = between.len() as f64;
    assert!(attempts <= most, "it comes back too often");
    assert!(attempts >= fewest, "it has given up");
    let mut lengths: Vec<_> = between.iter().map(Duration::as_millis).collect();
    lengths.sort_unstable();
    lengths.dedup();
    assert!(lengths.len() >= 5, "each wait is as long as another");
}

async fn all_is_done<S: Subject>(subject: &mut S, when: &str) {
    let done = timeout(FOR_EVER, async {
        while !subject.is_done().await {
            sleep(A_MOMENT).await;
        }
    });
    assert!(done.await.is_ok(), "{when}: not all is done");
}
