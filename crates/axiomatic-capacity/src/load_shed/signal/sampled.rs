//! What is read from files: not more often than every so often, by one caller
//! at a time, and with patience for a file that cannot be read.

use std::fmt;
use std::io;
use std::sync::TryLockError;
use std::time::Duration;

use axiomatic_core::number_cell::Tally;
use axiomatic_core::pressure::Pressure;
use axiomatic_core::sync::Mutex;
use axiomatic_core::time::Instant;

use super::sampled_cell::Known;

/// What finds out a pressure, and may remember what it found before.
pub(super) trait Reader: Send {
    /// Nothing, if more than one reading is needed.
    fn read(&mut self, now: Instant) -> io::Result<Option<Pressure>>;
}

/// A pressure that is found out every so often by whoever asks for it, while
/// others have the answer of before.
pub(super) struct Sampled<R> {
    name: &'static str,
    every: Duration,
    known: Known,
    /// Only ever tried: nobody waits for who reads.
    reading: Mutex<Reading<R>>,
    unread: Tally,
}

struct Reading<R> {
    reader: R,
    last_good: Option<Instant>,
    is_failing: bool,
}

/// So many readings that fail in a row are borne with what was known before.
/// Not measured: a second of a processor's load, ten of the memory's, are
/// still about the present.
const BORNE: u32 = 10;

impl<R: Reader> Sampled<R> {
    pub(super) fn new(name: &'static str, every: Duration, reader: R) -> Self {
        Sampled {
            name,
            every,
            known: Known::nothing(),
            reading: Mutex::new(Reading {
                reader,
                last_good: None,
                is_failing: false,
            }),
            unread: Tally::new(),
        }
    }

    pub(super) fn every(self, every: Duration) -> Self {
        Sampled { every, ..self }
    }

    pub(super) fn name(&self) -> &'static str {
        self.name
    }

    /// How many readings failed.
    pub(super) fn unread(&self) -> u64 {
        self.unread.load()
    }

    #[inline]
    pub(super) fn pressure(&self, now: Instant) -> Pressure {
        if self.known.is_due(now, self.every) {
            self.sample(now);
        }
        self.known.pressure()
    }

    #[inline(never)]
    fn sample(&self, now: Instant) {
        let mut reading = match self.reading.try_lock() {
            Ok(reading) => reading,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return,
        };
        if !self.known.is_due(now, self.every) {
            return;
        }
        self.known.put_off(now + self.every);
        let read = reading.reader.read(now);
        let was_failing = reading.is_failing;
        reading.is_failing = read.is_err();
        match &read {
            Ok(found) => {
                reading.last_good = Some(now);
                if let Some(pressure) = found {
                    self.known.found(*pressure);
                }
            }
            Err(_) => {
                self.unread.count();
                let is_old = |good| now - good > self.every.saturating_mul(BORNE);
                if reading.last_good.is_none_or(is_old) {
                    self.known.found(Pressure::NONE);
                }
            }
        }
        drop(reading);
        // Told once the lock is free, and once for each row of failures.
        match read {
            Err(error) if !was_failing => tell_failing(self.name, &error),
            Ok(_) if was_failing => tell_working(self.name),
            _ => {}
        }
    }
}

#[cold]
fn tell_failing(signal: &'static str, error: &io::Error) {
    #[cfg(feature = "tracing")]
    tracing::warn!(
        target: "axiomatic::load_shed",
        signal,
        error = %error,
        "signal unreadable"
    );
    let _ = (signal, error);
}

#[cold]
fn tell_working(signal: &'static str) {
    #[cfg(feature = "tracing")]
    tracing::info!(target: "axiomatic::load_shed", signal, "signal readable again");
    let _ = signal;
}

impl<R> fmt::Debug for Sampled<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sampled")
            .field("name", &self.name)
            .field("every", &self.every)
            .field("known", &self.known.pressure())
            .finish_non_exhaustive()
    }
}

#[cfg(all(test, not(axiomatic_loom)))]
mod tests {
    use super::*;
    use std::sync::mpsc;

    const SECOND: Duration = Duration::from_secs(1);
    const START: Instant = Instant::from_nanos(3_600_000_000_000);

    /// Reads what is sent, and fails when there is nothing.
    struct Sent(mpsc::Receiver<Option<Pressure>>);

    impl Reader for Sent {
        fn read(&mut self, _: Instant) -> io::Result<Option<Pressure>> {
            self.0.try_recv().map_err(io::Error::other)
        }
    }

    fn sampled() -> (mpsc::Sender<Option<Pressure>>, Sampled<Sent>) {
        let (send, receive) = mpsc::channel();
        (send, Sampled::new("sent", SECOND, Sent(receive)))
    }

    #[test]
    fn what_was_read_is_not_read_again_before_its_time() {
        let (send, sampled) = sampled();
        for percent in [10, 20, 30] {
            send.send(Some(Pressure::percent(percent))).unwrap();
        }
        let millis = |after| START + Duration::from_millis(after);
        for (after, percent) in [
            (0, 10),
            (1, 10),
            (999, 10),
            (1_000, 20),
            (1_999, 20),
            (2_500, 30),
            (3_499, 30),
        ] {
            let pressure = sampled.pressure(millis(after));
            assert_eq!(pressure, Pressure::percent(percent), "after {after} ms");
        }
        assert_eq!(sampled.unread(), 0);
    }

    #[test]
    fn what_cannot_be_read_any_more_is_believed_for_a_while_only() {
        let (send, sampled) = sampled();
        send.send(Some(Pressure::percent(70))).unwrap();
        for second in 0..=BORNE {
            let pressure = sampled.pressure(START + second * SECOND);
            assert_eq!(pressure, Pressure::percent(70), "after {second} s");
        }
        let later = START + (BORNE + 1) * SECOND;
        assert_eq!(sampled.pressure(later), Pressure::NONE);
        assert_eq!(sampled.unread(), u64::from(BORNE) + 1);
        send.send(Some(Pressure::percent(40))).unwrap();
        assert_eq!(sampled.pressure(later + SECOND), Pressure::percent(40));
    }

    #[test]
    fn a_clock_that_steps_back_does_not_stop_the_reading() {
        let (send, sampled) = sampled();
        send.send(Some(Pressure::percent(10))).unwrap();
        send.send(Some(Pressure::percent(20))).unwrap();
        assert_eq!(
            sampled.pressure(START + 100 * SECOND),
            Pressure::percent(10)
        );
        assert_eq!(sampled.pressure(START), Pressure::percent(20));
    }

    #[test]
    fn a_reading_that_tells_nothing_yet_changes_nothing() {
        let (send, sampled) = sampled();
        for read in [None, Some(Pressure::FULL), None] {
            send.send(read).unwrap();
        }
        assert_eq!(sampled.pressure(START), Pressure::NONE);
        assert_eq!(sampled.pressure(START + SECOND), Pressure::FULL);
        assert_eq!(sampled.pressure(START + 2 * SECOND), Pressure::FULL);
    }

    /// Says that it has begun to read, and reads what it is sent.
    struct Slow(mpsc::Sender<()>, mpsc::Receiver<Pressure>);

    impl Reader for Slow {
        fn read(&mut self, _: Instant) -> io::Result<Option<Pressure>> {
            self.0.send(()).map_err(io::Error::other)?;
            self.1.recv().map(Some).map_err(io::Error::other)
        }
    }

    #[test]
    fn who_asks_while_another_reads_has_the_answer_of_before() {
        let (begin, begun) = mpsc::channel();
        let (send, receive) = mpsc::channel();
        let sampled = Sampled::new("slow", SECOND, Slow(begin, receive));
        send.send(Pressure::percent(10)).unwrap();
        assert_eq!(sampled.pressure(START), Pressure::percent(10));
        begun.recv().unwrap();
        std::thread::scope(|scope| {
            let reading = scope.spawn(|| sampled.pressure(START + SECOND));
            begun.recv().unwrap();
            // Due by its own time too: it finds the lock taken, and goes on.
            let meanwhile = sampled.pressure(START + 5 * SECOND);
            assert_eq!(meanwhile, Pressure::percent(10));
            send.send(Pressure::percent(90)).unwrap();
            assert_eq!(reading.join().unwrap(), Pressure::percent(90));
        });
    }
}
