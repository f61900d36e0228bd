//! One connection: two directions, and how it ends.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep, sleep_until};

use super::fault::{Ending, Side, Way};
use super::plan::{End, Flow, Line, Plan};
use super::shared::Shared;
use super::trigger::{At, Seen};
use crate::chance::Chance;

/// How many pieces may be on their way in one direction. More wait at their
/// sender, as they do for a window that is full.
const ON_THE_WAY: usize = 256;

/// The longest piece of what passes, and of what is limited to a rate.
const PIECE: usize = 1 << 14;

/// How many pieces a second is in where the rate is limited.
const PIECES_A_SECOND: usize = 50;

pub(super) async fn forward(
    shared: &Shared,
    client: TcpStream,
    mut plan: watch::Receiver<Plan>,
    mut chance: Chance,
) {
    let Ok(server) = TcpStream::connect(shared.server).await else {
        let _ = client.set_zero_linger();
        return;
    };
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let connection = Connection {
        shared,
        plan: plan.clone(),
        answer: Mutex::new(None),
    };
    let chances = [Chance::of(chance.next()), Chance::of(chance.next())];
    let end = {
        let [up, down] = chances;
        let up = connection.pump(Way::ToServer, &mut from_client, &mut to_server, up);
        let down = connection.pump(Way::ToClient, &mut from_server, &mut to_client, down);
        tokio::select! {
            biased;
            end = ends(&mut plan) => end,
            ended = async { tokio::try_join!(up, down) } => match ended {
                // Both ends have said all.
                Ok(_) => return,
                Err(Broken::Cut(ending)) => End::Cut(ending),
                Err(Broken::Reset) => {
                    reset(from_client, to_client);
                    return reset(from_server, to_server);
                }
            },
        }
    };
    match end {
        End::Cut(ending) => {
            if ending == Ending::Reset {
                reset(from_client, to_client);
                reset(from_server, to_server);
            }
            shared.count(|counts| counts.cut += 1);
        }
        End::HalfOpen(Side::Server) => {
            drop((from_server, to_server));
            shared.count(|counts| counts.half_open += 1);
            swallow(shared, &mut from_client, plan, false).await;
        }
        End::HalfOpen(Side::Client) => {
            drop((from_client, to_client));
            shared.count(|counts| counts.half_open += 1);
            // Nobody is left who could find out.
            swallow(shared, &mut from_server, plan, true).await;
        }
    }
}

async fn ends(plan: &mut watch::Receiver<Plan>) -> End {
    match plan.wait_for(|plan| plan.end.is_some()).await {
        Ok(plan) => plan.end.unwrap_or(End::Cut(Ending::Close)),
        // The proxy is gone.
        Err(_) => End::Cut(Ending::Close),
    }
}

fn reset(from: OwnedReadHalf, to: OwnedWriteHalf) {
    let _ = to.as_ref().set_zero_linger();
    // Dropped, it would close its direction in order, before the reset.
    to.forget();
    drop(from);
}

/// The end that is left of a connection: it may say what it likes.
async fn swallow(
    shared: &Shared,
    from: &mut OwnedReadHalf,
    mut plan: watch::Receiver<Plan>,
    ends_when_healed: bool,
) {
    let heals = plan.borrow().heals;
    let read = async {
        let mut bytes = vec![0; PIECE];
        while let Ok(length @ 1..) = from.read(&mut bytes).await {
            shared.count(|counts| counts.swallowed += length as u64);
        }
    };
    let is_over = |plan: &Plan| {
        matches!(plan.end, Some(End::Cut(_))) || (ends_when_healed && plan.heals != heals)
    };
    tokio::select! {
        () = read => {}
        _ = plan.wait_for(is_over) => {}
    }
}

/// Why a direction ended otherwise than by what was said.
enum Broken {
    Cut(Ending),
    /// By one of the ends.
    Reset,
}

struct Connection<'a> {
    shared: &'a Shared,
    plan: watch::Receiver<Plan>,
    /// The direction in which the next bytes are the answer at which it is cut.
    answer: Mutex<Option<Way>>,
}

struct Chunk {
    due: Instant,
    /// None at the end.
    bytes: Vec<u8>,
}

/// What one direction has to remember.
struct Direction {
    way: Way,
    plan: watch::Receiver<Plan>,
    seen: Seen,
    /// It has lost bytes: nothing behind them arrives.
    is_silent: bool,
    /// Which cut is counted for, and how many bytes have passed since.
    counted: (u64, u64),
}

impl Connection<'_> {
    /// All that one end says, to the other.
    async fn pump(
        &self,
        way: Way,
        from: &mut OwnedReadHalf,
        to: &mut OwnedWriteHalf,
        chance: Chance,
    ) -> Result<(), Broken> {
        let (chunks, arriving) = mpsc::channel(ON_THE_WAY);
        let read = self.read(way, from, chunks, chance);
        let write = self.write(way, arriving, to);
        tokio::try_join!(read, write).map(drop)
    }

    async fn read(
        &self,
        way: Way,
        from: &mut OwnedReadHalf,
        chunks: mpsc::Sender<Chunk>,
        mut chance: Chance,
    ) -> Result<(), Broken> {
        let mut due = Instant::now();
        let mut buffer = vec![0; PIECE];
        loop {
            let length = from.read(&mut buffer).await.map_err(|_| Broken::Reset)?;
            let bytes = buffer[..length].to_vec();
            let (latency, jitter) = {
                let plan = self.plan.borrow();
                (plan.line(way).latency, plan.line(way).jitter)
            };
            let late = latency + chance.up_to(jitter);
            // None overtakes another.
            due = due.max(Instant::now() + late);
            if !late.is_zero() {
                self.shared.count(|counts| counts.delayed += 1);
            }
            if chunks.send(Chunk { due, bytes }).await.is_err() || length == 0 {
                return Ok(());
            }
        }
    }

    async fn write(
        &self,
        way: Way,
        mut arriving: mpsc::Receiver<Chunk>,
        to: &mut OwnedWriteHalf,
    ) -> Result<(), Broken> {
        let mut direction = Direction {
            way,
            plan: self.plan.clone(),
            seen: Seen::default(),
            is_silent: false,
            counted: (0, 0),
        };
        loop {
            direction.cut_here()?;
            let chunk = tokio::select! {
                chunk = arriving.recv() => chunk,
                changed = direction.plan.changed() => match changed {
                    Ok(()) => continue,
                    Err(_) => return Err(Broken::Cut(Ending::Close)),
                },
            };
            let Some(Chunk { due, bytes }) = chunk else {
                return Ok(());
            };
            sleep_until(due).await;
            self.wait_while_held(&mut direction).await;
            if bytes.is_empty() {
                if direction.is_silenced() {
                    // The other end is not told; it ends when all is well.
                    let _ = direction.plan.wait_for(|plan| passes(plan, way)).await;
                    return Err(Broken::Reset);
                }
                let _ = to.shutdown().await;
                return Ok(());
            }
            self.pass(&mut direction, &bytes, to).await?;
        }
    }

    async fn wait_while_held(&self, direction: &mut Direction) {
        let way = direction.way;
        if direction.line().flow == Flow::Hold {
            self.shared.count(|counts| counts.delayed += 1);
            let moves = |plan: &Plan| plan.line(way).flow != Flow::Hold;
            let _ = direction.plan.wait_for(moves).await;
        }
    }

    async fn pass(
        &self,
        direction: &mut Direction,
        bytes: &[u8],
        to: &mut OwnedWriteHalf,
    ) -> Result<(), Broken> {
        let way = direction.way;
        if *self.answer() == Some(way) {
            return Err(Broken::Cut(Ending::Close));
        }
        if direction.is_silenced() {
            let length = bytes.len() as u64;
            self.shared.count(|counts| counts.swallowed += length);
            return Ok(());
        }
        let found = self.shared.look(way, &mut direction.seen, bytes);
        let (mut bytes, cut) = match found {
            None => (bytes, false),
            Some((_, At::Answer)) => {
                *self.answer() = Some(way.back());
                (bytes, false)
            }
            Some((arrive, At::Before | At::Behind)) => (&bytes[..arrive], true),
        };
        while !bytes.is_empty() {
            let line = direction.line();
            let mut piece = bytes.len();
            if let Some(rate) = line.bytes_per_second {
                piece = piece.min((rate.get() as usize / PIECES_A_SECOND).max(1));
            }
            if let Some(left) = direction.left() {
                piece = piece.min(usize::try_from(left).unwrap_or(usize::MAX));
            }
            let (now, later) = bytes.split_at(piece);
            to.write_all(now).await.map_err(|_| Broken::Reset)?;
            direction.counted.1 += piece as u64;
            self.shared.count(|counts| match way {
                Way::ToServer => counts.to_server += piece as u64,
                Way::ToClient => counts.to_client += piece as u64,
            });
            direction.cut_here()?;
            bytes = later;
            if let Some(rate) = line.bytes_per_second {
                self.shared.count(|counts| counts.delayed += 1);
                sleep(Duration::from_secs_f64(
                    piece as f64 / f64::from(rate.get()),
                ))
                .await;
            }
        }
        if cut {
            return Err(Broken::Cut(Ending::Close));
        }
        Ok(())
    }

    fn answer(&self) -> std::sync::MutexGuard<'_, Option<Way>> {
        self.answer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Direction {
    fn line(&self) -> Line {
        *self.plan.borrow().line(self.way)
    }

    fn is_silenced(&mut self) -> bool {
        self.is_silent |= self.line().flow == Flow::Swallow;
        self.is_silent
    }

    /// How many bytes pass yet, if it is to be cut.
    fn left(&mut self) -> Option<u64> {
        let cut = self.line().cut?;
        if self.counted.0 != cut.number {
            self.counted = (cut.number, 0);
        }
        Some(cut.bytes.saturating_sub(self.counted.1))
    }

    /// Cuts it if all has passed that was to pass.
    fn cut_here(&mut self) -> Result<(), Broken> {
        match (self.left(), self.line().cut) {
            (Some(0), Some(cut)) => Err(Broken::Cut(cut.ending)),
            _ => Ok(()),
        }
    }
}

fn passes(plan: &Plan, way: Way) -> bool {
    plan.line(way).flow == Flow::Pass
}
