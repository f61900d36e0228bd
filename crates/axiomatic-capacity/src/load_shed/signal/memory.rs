use std::io;
use std::path::Path;
use std::time::Duration;

use axiomatic_core::Ratio;
use axiomatic_core::pressure::{Pressure, Signal};
use axiomatic_core::time::Instant;

use super::kept::{Buffer, Kept, buffer};
use super::parse::{keyed, limit, number};
use super::sampled::{Reader, Sampled};
use super::{SignalError, Source};

/// How much memory is used that cannot be had back for nothing, against a share
/// of the limit.
///
/// In a cgroup of version 2 it is `memory.current` less `inactive_file`, the
/// pages of files that nobody has used lately: what kubelet calls the working
/// set. The limit is `memory.max`, beyond which the kernel kills, or
/// `memory.high`, beyond which it slows down, whichever is lower. Of this
/// process's cgroup and its ancestors that which is nearest to its limit
/// counts, with all that others use in it. Limits are read each time: they
/// change live. Where no cgroup has a limit, it is what `/proc/meminfo` has not
/// as `MemAvailable`, of `MemTotal`. Bytes throughout.
///
/// It is read once a second: reading `memory.stat` makes the kernel add up what
/// all processors have counted, which costs some ten microseconds and more on
/// large machines.
///
/// Shed for memory only if calls hold it: what a cache or a leak holds does not
/// come back by refusing. 90 % is a target to begin with.
///
/// ```
/// use axiomatic_capacity::load_shed::signal::Memory;
/// use axiomatic_core::Ratio;
/// use axiomatic_core::pressure::Signal;
/// use axiomatic_core::time::Clock;
///
/// match Memory::of_this_cgroup(Ratio::percent(90)) {
///     Ok(memory) => println!("{}: {}", memory.name(), memory.pressure(Clock::Precise.now())),
///     Err(error) => println!("{error}"),
/// }
/// ```
#[derive(Debug)]
pub struct Memory(Sampled<Use>);

const EVERY: Duration = Duration::from_secs(1);
const NAME: &str = "memory";

struct Use {
    levels: Vec<Level>,
    machine: Kept,
    buffer: Buffer,
    target: Ratio,
}

/// A cgroup that counts its memory.
struct Level {
    current: Kept,
    stat: Kept,
    max: Kept,
    /// Not there in old kernels.
    high: Option<Kept>,
}

/// What is used, and of how much.
#[derive(Copy, Clone)]
struct Share {
    used: u64,
    of: u64,
}

impl Memory {
    /// The memory of the cgroup that this process is in; full when so much of
    /// it is used.
    ///
    /// # Errors
    ///
    /// [`SignalError::Unsupported`] where there is no Linux, and
    /// [`SignalError::Unreadable`] where no file tells.
    pub fn of_this_cgroup(target: Ratio) -> Result<Self, SignalError> {
        Memory::read_from(&Source::machine(), target)
    }

    /// The same, read elsewhere.
    ///
    /// # Errors
    ///
    /// As [`of_this_cgroup`](Memory::of_this_cgroup).
    pub fn read_from(source: &Source, target: Ratio) -> Result<Self, SignalError> {
        source.check()?;
        let levels = source
            .cgroups()
            .iter()
            .filter_map(|folder| Level::of(folder))
            .collect();
        let mut used = Use {
            levels,
            machine: Kept::at(source.file("/proc/meminfo")),
            buffer: buffer(),
            target,
        };
        match used.fullest() {
            Ok(_) => Ok(Memory(Sampled::new(NAME, EVERY, used))),
            Err(error) => Err(SignalError::Unreadable {
                sought: NAME,
                kind: error.kind(),
            }),
        }
    }

    /// Reads it this often instead.
    pub fn every(self, every: Duration) -> Self {
        Memory(self.0.every(every))
    }

    /// How many readings failed. The last value is believed for ten of them,
    /// and then there is no pressure.
    pub fn unread(&self) -> u64 {
        self.0.unread()
    }
}

impl Signal for Memory {
    fn name(&self) -> &'static str {
        self.0.name()
    }

    fn pressure(&self, now: Instant) -> Pressure {
        self.0.pressure(now)
    }
}

impl Level {
    /// Nothing where memory is not counted, as in the root of all cgroups.
    fn of(folder: &Path) -> Option<Self> {
        let file = |name| Some(Kept::at(folder.join(name))).filter(Kept::is_there);
        Some(Level {
            current: file("memory.current")?,
            stat: file("memory.stat")?,
            max: file("memory.max")?,
            high: file("memory.high"),
        })
    }

    /// Nothing where there is no limit.
    fn share(&mut self, buffer: &mut Buffer) -> io::Result<Option<Share>> {
        let max = self.max.read(buffer, limit)?;
        let high = match &mut self.high {
            Some(high) => high.read(buffer, limit)?,
            None => u64::MAX,
        };
        let of = max.min(high);
        if of == u64::MAX {
            return Ok(None);
        }
        let current = self.current.read(buffer, number)?;
        let idle = self
            .stat
            .read(buffer, |stat| keyed(stat, "inactive_file"))?;
        Ok(Some(Share {
            used: current.saturating_sub(idle),
            of,
        }))
    }
}

impl Use {
    /// That which is nearest to its limit.
    fn fullest(&mut self) -> io::Result<Share> {
        let mut fullest: Option<Share> = None;
        for level in &mut self.levels {
            let Some(share) = level.share(&mut self.buffer)? else {
                continue;
            };
            if fullest.is_none_or(|so_far| share.is_fuller(so_far)) {
                fullest = Some(share);
            }
        }
        match fullest {
            Some(share) => Ok(share),
            None => self.machine.read(&mut self.buffer, |meminfo| {
                let of = keyed(meminfo, "MemTotal:")?;
                let available = keyed(meminfo, "MemAvailable:")?;
                Some(Share {
                    used: of.saturating_sub(available),
                    of,
                })
            }),
        }
    }
}

impl Share {
    fn is_fuller(self, than: Share) -> bool {
        u128::from(self.used) * u128::from(than.of) > u128::from(than.used) * u128::from(self.of)
    }
}

impl Reader for Use {
    fn read(&mut self, _: Instant) -> io::Result<Option<Pressure>> {
        let Share { used, of } = self.fullest()?;
        Ok(Some(Pressure::of(used, self.target.ceil_of(of))))
    }
}
