use std::fs;
use std::io;
use std::path::Path;
use std::thread::available_parallelism;
use std::time::Duration;

use axiomatic_core::Ratio;
use axiomatic_core::pressure::{Pressure, Signal};
use axiomatic_core::time::{Instant, saturating_nanos};

use super::kept::{Buffer, Kept, buffer};
use super::parse::{Processors, Quota, Ticks, allowed_processors, cpu_max, keyed, processor_ticks};
use super::sampled::{Reader, Sampled};
use super::{SignalError, Source};

/// The busy share of the processors that this process may use, against a share
/// of them.
///
/// In a cgroup of version 2 it is what `usage_usec` in `cpu.stat` grew by, of
/// what it could have: the quota of `cpu.max`, or the processors that the
/// process may run on where that is less. An ancestor that has a quota is
/// asked too, with all that others use in it, and the busiest counts. Quotas
/// are read each time: they change live. Where there is no such cgroup, or only
/// the root of all, it is the busy share of these processors in `/proc/stat`,
/// whoever made them busy.
///
/// **Throttled** time counts as busy: a period in which the kernel stopped the
/// cgroup, because its quota had run out, was used whole, though
/// the average over several is not. So what counts is the greater of the usage
/// and of the share of the time that lies in throttled periods (`nr_throttled`
/// times the period of `cpu.max`). That the count grows is not full pressure in
/// itself: thirty threads that wake together for a moment are throttled at a
/// tenth of the usage, and to shed calls for it would shed them at every burst.
///
/// It is read every 100 ms and smoothed over a second: what is new counts for
/// its age, against that second. The first reading is the beginning of a
/// measurement, and tells nothing yet.
///
/// Other cgroups may keep the processors busy while this one stays below its
/// quota: that is seen by [`Stall::of_cpu`](super::Stall::of_cpu).
///
/// ```
/// use axiomatic_capacity::load_shed::signal::Cpu;
/// use axiomatic_core::Ratio;
/// use axiomatic_core::pressure::Signal;
/// use axiomatic_core::time::Clock;
///
/// match Cpu::of_this_cgroup(Ratio::percent(85)) {
///     Ok(cpu) => println!("{}: {}", cpu.name(), cpu.pressure(Clock::Precise.now())),
///     Err(error) => println!("{error}"),
/// }
/// ```
#[derive(Debug)]
pub struct Cpu(Sampled<Smoothed>);

const EVERY: Duration = Duration::from_millis(100);
const NAME: &str = "cpu";

/// Over what the busy share is smoothed. Not measured: long enough that one
/// throttled period in ten is no overload, short enough that an overload is
/// seen within two seconds.
const SMOOTHED_OVER: u64 = 1_000_000_000;

/// More than twice of what there is was never used: then the process was moved
/// to another cgroup, or the clock jumped, and one reading should not be felt
/// for long.
const MOST_BUSY: u64 = 2 * MILLION;

struct Smoothed {
    busy: Busy,
    buffer: Buffer,
    /// In parts per million.
    average: Option<u64>,
    measured: Option<Instant>,
    target: Ratio,
}

enum Busy {
    Cgroups {
        levels: Vec<Level>,
        /// Of how many processors, in millionths.
        processors: u64,
    },
    Machine {
        stat: Kept,
        processors: Option<Processors>,
        before: Option<Ticks>,
    },
}

/// A cgroup, and what was read of it last.
struct Level {
    stat: Kept,
    /// Not there where processors are not limited.
    max: Option<Kept>,
    is_own: bool,
    before: Option<Usage>,
}

/// What `cpu.stat` counts.
#[derive(Copy, Clone)]
struct Usage {
    micros: u64,
    /// Not there where processors are not limited.
    throttled: u64,
}

impl Cpu {
    /// The processors of the cgroup that this process is in; full when so much
    /// of them is busy.
    ///
    /// # Errors
    ///
    /// [`SignalError::Unsupported`] where there is no Linux, and
    /// [`SignalError::Unreadable`] where no file tells.
    pub fn of_this_cgroup(target: Ratio) -> Result<Self, SignalError> {
        Cpu::read_from(&Source::machine(), target)
    }

    /// The same, read elsewhere.
    ///
    /// # Errors
    ///
    /// As [`of_this_cgroup`](Cpu::of_this_cgroup).
    pub fn read_from(source: &Source, target: Ratio) -> Result<Self, SignalError> {
        source.check()?;
        let status = fs::read(source.file("/proc/self/status"));
        let processors = status.ok().and_then(|status| allowed_processors(&status));
        let mut buffer = buffer();
        let mut kind = io::ErrorKind::NotFound;
        for busy in [
            Busy::of_cgroups(source, processors.as_ref()),
            Some(Busy::of_machine(source, processors)),
        ] {
            let Some(mut busy) = busy else { continue };
            match busy.try_out(&mut buffer) {
                Ok(()) => {
                    let smoothed = Smoothed {
                        busy,
                        buffer,
                        average: None,
                        measured: None,
                        target,
                    };
                    return Ok(Cpu(Sampled::new(NAME, EVERY, smoothed)));
                }
                Err(error) => kind = error.kind(),
            }
        }
        Err(SignalError::Unreadable { sought: NAME, kind })
    }

    /// Reads it this often instead; below 20 ms the ticks of `/proc/stat` are
    /// too coarse.
    pub fn every(self, every: Duration) -> Self {
        Cpu(self.0.every(every))
    }

    /// How many readings failed. The last value is believed for ten of them,
    /// and then there is no pressure.
    pub fn unread(&self) -> u64 {
        self.0.unread()
    }
}

impl Signal for Cpu {
    fn name(&self) -> &'static str {
        self.0.name()
    }

    fn pressure(&self, now: Instant) -> Pressure {
        self.0.pressure(now)
    }
}

impl Busy {
    /// Nothing where there is no cgroup, and in the root of all, whose usage is
    /// that of the machine and which has no limits: it alone has no type.
    fn of_cgroups(source: &Source, processors: Option<&Processors>) -> Option<Self> {
        let folders = source.cgroups();
        let is_root = !folders.first()?.join("cgroup.type").exists();
        if is_root && !folders.first()?.join("cpu.max").exists() {
            return None;
        }
        let levels = folders.iter().enumerate();
        let levels = levels.filter_map(|(at, folder)| Level::of(folder, at == 0));
        let processors = match processors {
            Some(processors) => processors.count(),
            None => available_parallelism().map_or(1, |count| count.get() as u64),
        };
        Some(Busy::Cgroups {
            levels: levels.collect(),
            processors: processors * MILLION,
        })
    }

    fn of_machine(source: &Source, processors: Option<Processors>) -> Self {
        Busy::Machine {
            stat: Kept::at(source.file("/proc/stat")),
            processors,
            before: None,
        }
    }

    /// Reads all files once, and forgets what they held.
    fn try_out(&mut self, buffer: &mut Buffer) -> io::Result<()> {
        self.share(0, buffer)?;
        match self {
            Busy::Cgroups { levels, .. } => levels.iter_mut().for_each(|level| level.before = None),
            Busy::Machine { before, .. } => *before = None,
        }
        Ok(())
    }

    /// The busy share since the last reading, so many nanoseconds ago, in parts
    /// per million. Nothing if there was none.
    fn share(&mut self, nanos: u64, buffer: &mut Buffer) -> io::Result<Option<u64>> {
        match self {
            Busy::Cgroups { levels, processors } => {
                let mut busiest = None;
                for level in levels {
                    busiest = busiest.max(level.share(nanos, *processors, buffer)?);
                }
                Ok(busiest)
            }
            Busy::Machine {
                stat,
                processors,
                before,
            } => {
                let processors = processors.as_ref();
                let ticks = stat.read(buffer, |stat| processor_ticks(stat, processors))?;
                let before = before.replace(ticks);
                Ok(before.and_then(|before| {
                    let busy = ticks.busy.saturating_sub(before.busy);
                    let all = ticks.all.saturating_sub(before.all);
                    (all > 0).then(|| part(busy, all))
                }))
            }
        }
    }
}

const MILLION: u64 = 1_000_000;

impl Level {
    fn of(folder: &Path, is_own: bool) -> Option<Self> {
        let file = |name| Some(Kept::at(folder.join(name))).filter(Kept::is_there);
        let max = file("cpu.max");
        // An ancestor that cannot have a quota has nothing to say.
        (is_own || max.is_some()).then(|| Level {
            stat: Kept::at(folder.join("cpu.stat")),
            max,
            is_own,
            before: None,
        })
    }

    fn share(
        &mut self,
        nanos: u64,
        processors: u64,
        buffer: &mut Buffer,
    ) -> io::Result<Option<u64>> {
        let max = match &mut self.max {
            Some(max) => Some(max.read(buffer, cpu_max)?),
            None => None,
        };
        let quota = max.filter(|max| max.quota != u64::MAX);
        if quota.is_none() && !self.is_own {
            // It may have had one before, and may have one again.
            self.before = None;
            return Ok(None);
        }
        let usage = self.stat.read(buffer, |stat| {
            Some(Usage {
                micros: keyed(stat, "usage_usec")?,
                throttled: keyed(stat, "nr_throttled").unwrap_or(0),
            })
        })?;
        let before = self.before.replace(usage);
        Ok(before.map(|before| usage.since(before, nanos, quota, processors)))
    }
}

impl Usage {
    /// The share of what could be used in so many nanoseconds, in parts per
    /// million.
    fn since(self, before: Usage, nanos: u64, quota: Option<Quota>, processors: u64) -> u64 {
        let used = self.micros.saturating_sub(before.micros);
        let throttled = self.throttled.saturating_sub(before.throttled);
        let usable = quota.map_or(processors, |max| {
            part(max.quota, max.period).min(processors)
        });
        // Both in nanoseconds of one processor, in millionths.
        let used = u128::from(used) * 1_000 * u128::from(MILLION);
        let could = u128::from(nanos) * u128::from(usable);
        let busy = used * u128::from(MILLION) / could.max(1);
        let period = quota.map_or(0, |max| max.period).saturating_mul(1_000);
        let stopped = part(throttled.saturating_mul(period), nanos).min(MILLION);
        u64::try_from(busy).unwrap_or(u64::MAX).max(stopped)
    }
}

/// In parts per million, saturating.
fn part(of: u64, whole: u64) -> u64 {
    let millionths = u128::from(of) * u128::from(MILLION) / u128::from(whole.max(1));
    u64::try_from(millionths).unwrap_or(u64::MAX)
}

impl Reader for Smoothed {
    fn read(&mut self, now: Instant) -> io::Result<Option<Pressure>> {
        let nanos = self.measured.map_or(0, |then| saturating_nanos(now - then));
        // If it fails, some levels were read and others not: begun anew.
        let was_measured = self.measured.take().is_some();
        let share = self.busy.share(nanos, &mut self.buffer)?;
        self.measured = Some(now);
        // A clock that stands, or stepped back, measures nothing.
        let Some(share) = share.filter(|_| was_measured && nanos > 0) else {
            return Ok(None);
        };
        let share = share.min(MOST_BUSY);
        let average = match self.average {
            None => share,
            Some(before) => smoothed(before, share, nanos),
        };
        self.average = Some(average);
        let target = self.target.as_parts_per_million();
        Ok(Some(Pressure::of(average, target.into())))
    }
}

/// The average moves by the age of what is new, of that and a second.
fn smoothed(before: u64, share: u64, nanos: u64) -> u64 {
    let (new, old) = (u128::from(nanos), u128::from(SMOOTHED_OVER));
    let sum = (u128::from(share) * new).saturating_add(u128::from(before) * old);
    u64::try_from(sum / (new + old)).unwrap_or(u64::MAX)
}

#[cfg(all(test, not(axiomatic_loom)))]
mod tests;
