//! A history as a file: one line an event.
//!
//! ```text
//! published 67e55044-10b1-426f-9247-bb680e5fe0c8 3 .
//! crash .
//! committed 67e55044-10b1-426f-9247-bb680e5fe0c8 17 "order-17" .
//! ```
//!
//! A full stop ends what was written whole. Without it one could not tell a
//! line that lost its end from a line with a shorter number.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::str::FromStr;

use super::{Event, History};
use crate::outbox::Epoch;

/// A file to which processes append what happens, until they are killed.
///
/// An event is one call of the operating system, so several processes can
/// append to one file, and what is recorded has survived the process when
/// [`record`](Log::record) returns; not the machine.
#[derive(Debug)]
pub struct Log {
    file: File,
}

impl Log {
    /// The file at this path, which is made if there is none. If the line of
    /// somebody who died has no end, the next begins on a line of its own.
    ///
    /// # Errors
    ///
    /// If the file cannot be opened, read and written.
    pub fn open(path: impl AsRef<Path>) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        let mut file = options.append(true).create(true).read(true).open(path)?;
        if file.seek(SeekFrom::End(0))? > 0 {
            file.seek(SeekFrom::End(-1))?;
            let mut last = [0];
            file.read_exact(&mut last)?;
            if last != *b"\n" {
                file.write_all(b"\n")?;
            }
        }
        Ok(Log { file })
    }

    /// This happened next.
    ///
    /// # Errors
    ///
    /// If the file cannot be written.
    pub fn record(&self, event: &Event) -> io::Result<()> {
        (&self.file).write_all(format!("{event}\n").as_bytes())
    }
}

impl History {
    /// What is recorded in the file at this path. Lines that have no end are
    /// left out: what they were about to say was not said.
    ///
    /// # Errors
    ///
    /// If the file cannot be read; [`io::ErrorKind::InvalidData`] if a line
    /// that is whole says nothing.
    pub fn read(path: impl AsRef<Path>) -> io::Result<Self> {
        let text = std::fs::read(path)?;
        let whole = text.split(|byte| *byte == b'\n');
        let whole = whole.filter(|line| line.ends_with(b" ."));
        whole.map(event).collect()
    }
}

fn event(line: &[u8]) -> io::Result<Event> {
    let line = String::from_utf8_lossy(line);
    let says_nothing = || io::Error::new(io::ErrorKind::InvalidData, format!("an event: {line}"));
    Event::from_line(&line).ok_or_else(says_nothing)
}

/// As a line of a [`Log`], without the end of the line.
impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Event::Committed { id, key, order } => {
                // A key may hold anything: so it stays one word of one line.
                let key = serde_json::Value::from(key.as_deref());
                let key = key.to_string().replace(' ', r"\u0020");
                write!(f, "committed {id} {order} {key} .")
            }
            Event::RolledBack { id } => write!(f, "rolled-back {id} ."),
            Event::Published { id, epoch } => write!(f, "published {id} {epoch} ."),
            Event::Unknown { id } => write!(f, "unknown {id} ."),
            Event::Effect { id } => write!(f, "effect {id} ."),
            Event::Buried { id } => write!(f, "buried {id} ."),
            Event::Crash => write!(f, "crash ."),
            Event::LeaseLost => write!(f, "lease-lost ."),
        }
    }
}

impl Event {
    /// What a line says that is whole.
    fn from_line(line: &str) -> Option<Self> {
        let mut words = line.strip_suffix(" .")?.split(' ');
        let event = match words.next()? {
            "committed" => Event::Committed {
                id: parse(words.next())?,
                order: parse(words.next())?,
                key: serde_json::from_str(words.next()?).ok()?,
            },
            "published" => Event::Published {
                id: parse(words.next())?,
                epoch: Epoch(parse(words.next())?),
            },
            "rolled-back" => Event::RolledBack {
                id: parse(words.next())?,
            },
            "unknown" => Event::Unknown {
                id: parse(words.next())?,
            },
            "effect" => Event::Effect {
                id: parse(words.next())?,
            },
            "buried" => Event::Buried {
                id: parse(words.next())?,
            },
            "crash" => Event::Crash,
            "lease-lost" => Event::LeaseLost,
            _ => return None,
        };
        words.next().is_none().then_some(event)
    }
}

fn parse<T: FromStr>(word: Option<&str>) -> Option<T> {
    word?.parse().ok()
}
