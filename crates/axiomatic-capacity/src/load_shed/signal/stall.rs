use std::io;
use std::time::Duration;

use axiomatic_core::Ratio;
use axiomatic_core::pressure::{Pressure, Signal};
use axiomatic_core::time::Instant;

use super::kept::{Buffer, Kept, buffer};
use super::parse::some_avg10;
use super::sampled::{Reader, Sampled};
use super::{SignalError, Source};

/// The share of the last ten seconds in which some tasks stood still for want
/// of a processor, or of memory, against a share of the time: what the kernel
/// calls pressure stall information (PSI).
///
/// It sees what [`Cpu`](super::Cpu) and [`Memory`](super::Memory) cannot: tasks
/// that wait for processors which others keep busy, and memory that is
/// reclaimed as fast as it is used. It is `some avg10` in `cpu.pressure` or
/// `memory.pressure` of this process's cgroup; where there is none, in
/// `/proc/pressure`, which is that of the whole machine. The kernel takes the
/// average every two seconds, so it is late by some; it is read once a second.
///
/// Tasks also wait for a processor on a healthy machine: a few percent is
/// usual, 20 to 40 % are targets to begin with. To wait for memory is not: 5 to
/// 10 %.
///
/// ```
/// use axiomatic_capacity::load_shed::signal::Stall;
/// use axiomatic_core::Ratio;
/// use axiomatic_core::pressure::Signal;
/// use axiomatic_core::time::Clock;
///
/// match Stall::of_cpu(Ratio::percent(40)) {
///     Ok(stall) => println!("{}: {}", stall.name(), stall.pressure(Clock::Precise.now())),
///     Err(error) => println!("{error}"), // a kernel without PSI
/// }
/// ```
#[derive(Debug)]
pub struct Stall(Sampled<Average>);

/// How often it is read: the kernel averages every two seconds.
const EVERY: Duration = Duration::from_secs(1);

struct Average {
    file: Kept,
    buffer: Buffer,
    target: Ratio,
}

impl Stall {
    /// Standing still for want of a processor; full when some tasks did for so
    /// much of the time. Being throttled by a quota is in it.
    ///
    /// # Errors
    ///
    /// [`SignalError::Unsupported`] where there is no Linux, and
    /// [`SignalError::Unreadable`] where the kernel does not tell.
    pub fn of_cpu(target: Ratio) -> Result<Self, SignalError> {
        Stall::of_cpu_from(&Source::machine(), target)
    }

    /// The same, read elsewhere.
    ///
    /// # Errors
    ///
    /// As [`of_cpu`](Stall::of_cpu).
    pub fn of_cpu_from(source: &Source, target: Ratio) -> Result<Self, SignalError> {
        Stall::of("cpu stall", "cpu", source, target)
    }

    /// Standing still for want of memory: for pages that were taken away to be
    /// read again, and while memory is reclaimed.
    ///
    /// # Errors
    ///
    /// As [`of_cpu`](Stall::of_cpu).
    pub fn of_memory(target: Ratio) -> Result<Self, SignalError> {
        Stall::of_memory_from(&Source::machine(), target)
    }

    /// The same, read elsewhere.
    ///
    /// # Errors
    ///
    /// As [`of_cpu`](Stall::of_cpu).
    pub fn of_memory_from(source: &Source, target: Ratio) -> Result<Self, SignalError> {
        Stall::of("memory stall", "memory", source, target)
    }

    fn of(
        name: &'static str,
        resource: &str,
        source: &Source,
        target: Ratio,
    ) -> Result<Self, SignalError> {
        source.check()?;
        let own = source.cgroups().into_iter().next();
        let own = own.map(|folder| folder.join(format!("{resource}.pressure")));
        let machine = source.file(&format!("/proc/pressure/{resource}"));
        let mut kind = io::ErrorKind::NotFound;
        for path in own.into_iter().chain([machine]) {
            let mut average = Average {
                file: Kept::at(path),
                buffer: buffer(),
                target,
            };
            match average.share() {
                Ok(_) => return Ok(Stall(Sampled::new(name, EVERY, average))),
                Err(error) => kind = error.kind(),
            }
        }
        Err(SignalError::Unreadable { sought: name, kind })
    }

    /// Reads it this often instead.
    pub fn every(self, every: Duration) -> Self {
        Stall(self.0.every(every))
    }

    /// How many readings failed. The last value is believed for ten of them,
    /// and then there is no pressure.
    pub fn unread(&self) -> u64 {
        self.0.unread()
    }
}

impl Signal for Stall {
    fn name(&self) -> &'static str {
        self.0.name()
    }

    fn pressure(&self, now: Instant) -> Pressure {
        self.0.pressure(now)
    }
}

impl Average {
    fn share(&mut self) -> io::Result<u32> {
        self.file.read(&mut self.buffer, some_avg10)
    }
}

impl Reader for Average {
    fn read(&mut self, _: Instant) -> io::Result<Option<Pressure>> {
        let target = self.target.as_parts_per_million();
        Ok(Some(Pressure::of(self.share()?.into(), target.into())))
    }
}
