//! The other side, as a file.

use std::collections::{HashMap, HashSet};
use std::error::Error;
use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::str::FromStr;
use std::sync::{Mutex, PoisonError};

use uuid::Uuid;

use super::{Answer, Call};
use crate::crash_points::reach;
use crate::saga::definition::Context;
use crate::saga::id::SagaId;

/// A service as sagas want it: does what it is told once for each key, and
/// nothing for whoever has a smaller fencing token than one that it has heard
/// of in that saga.
///
/// It is a file to which each call is appended in one write, by any number of
/// processes, which may be killed meanwhile. What is answered follows from what
/// stands before the call in the file, so nobody needs a lock, and whoever
/// reads the file finds the same answers.
#[derive(Debug)]
pub struct Ledger(Mutex<Reader>);

impl Ledger {
    /// The one in this file, which is made if it is not there.
    ///
    /// # Errors
    ///
    /// What the system said.
    pub fn open(path: impl AsRef<Path>) -> io::Result<Self> {
        let options = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .open(path);
        Ok(Ledger(Mutex::new(Reader {
            file: options?,
            read: 0,
            rest: Vec::new(),
            state: State::default(),
        })))
    }

    /// Does what a step says, or does not, and says which.
    ///
    /// # Errors
    ///
    /// What the system said: it may have happened.
    pub fn call(&self, context: &Context, data: &str) -> io::Result<Answer> {
        reach("ledger.asked");
        let call = Call::of(context, data, Answer::Nothing);
        let nonce = Uuid::now_v7();
        let mut reader = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        reader.file.write_all(line(nonce, &call).as_bytes())?;
        let mut answer = None;
        reader.read_on(|line, call| {
            if line == nonce {
                answer = Some(call.answer);
            }
        })?;
        drop(reader);
        reach("ledger.answered");
        answer.ok_or_else(|| io::Error::other("what was written is not there"))
    }

    /// All that was called, in its order, with what was answered.
    ///
    /// # Errors
    ///
    /// What the system said.
    pub fn read(path: impl AsRef<Path>) -> io::Result<Vec<Call>> {
        let ledger = Ledger::open(path)?;
        let mut calls = Vec::new();
        let mut reader = ledger.0.lock().unwrap_or_else(PoisonError::into_inner);
        reader.read_on(|_, call| calls.push(call.clone()))?;
        drop(reader);
        Ok(calls)
    }
}

#[derive(Debug)]
struct Reader {
    file: File,
    read: u64,
    /// The beginning of a line whose end is not there yet.
    rest: Vec<u8>,
    state: State,
}

impl Reader {
    /// Reads what was appended since, by whomever.
    fn read_on(&mut self, mut each: impl FnMut(Uuid, &Call)) -> io::Result<()> {
        self.file.seek(SeekFrom::Start(self.read))?;
        self.read += self.file.read_to_end(&mut self.rest)? as u64;
        let Some(end) = self.rest.iter().rposition(|byte| *byte == b'\n') else {
            return Ok(());
        };
        let whole: Vec<u8> = self.rest.drain(..=end).collect();
        let whole = String::from_utf8(whole).map_err(io::Error::other)?;
        for text in whole.lines() {
            // Of who was killed while it wrote there may be a part of a line:
            // that call has not come.
            let Some((nonce, mut call)) = parse(text) else {
                continue;
            };
            call.answer = self.state.answer(&call);
            each(nonce, &call);
        }
        Ok(())
    }
}

/// All that the other side has to know.
#[derive(Debug, Default)]
struct State {
    fences: HashMap<SagaId, u64>,
    happened: HashSet<Uuid>,
    /// Keys of actions that were undone, or are not to happen.
    undone: HashSet<Uuid>,
}

impl State {
    fn answer(&mut self, call: &Call) -> Answer {
        let fence = self.fences.entry(call.saga).or_insert(call.fence);
        if call.fence < *fence {
            return Answer::TooLate;
        }
        *fence = call.fence;
        if self.happened.contains(&call.key) {
            return Answer::Again;
        }
        if !call.undoes && self.undone.contains(&call.key) {
            return Answer::TooLate;
        }
        if call.undoes {
            let is_new = self.undone.insert(call.action_key);
            if !is_new || !self.happened.contains(&call.action_key) {
                return Answer::Nothing;
            }
        }
        self.happened.insert(call.key);
        Answer::Happened
    }
}

fn line(nonce: Uuid, call: &Call) -> String {
    format!("\n{nonce}\t{call}\t.\n")
}

fn parse(line: &str) -> Option<(Uuid, Call)> {
    let (nonce, call) = line.strip_suffix("\t.")?.split_once('\t')?;
    Some((nonce.parse().ok()?, call.parse().ok()?))
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Call {
            saga,
            step,
            item,
            attempt,
            key,
            action_key,
            fence,
            data,
            ..
        } = self;
        let undoes = u8::from(self.undoes);
        write!(
            f,
            "{saga}\t{step}\t{item}\t{attempt}\t{undoes}\t{key}\t{action_key}\t{fence}\t{data}"
        )
    }
}

/// Reads what [`Display`](fmt::Display) has written. The answer is not in it:
/// it is taken for [`Answer::Happened`].
impl FromStr for Call {
    type Err = NoCall;

    fn from_str(line: &str) -> Result<Self, NoCall> {
        fields(line).ok_or_else(|| NoCall(line.into()))
    }
}

fn fields(line: &str) -> Option<Call> {
    let mut fields = line.split('\t');
    let mut next = || fields.next();
    Some(Call {
        saga: SagaId(next()?.parse().ok()?),
        step: next()?.into(),
        item: next()?.parse().ok()?,
        attempt: next()?.parse().ok()?,
        undoes: next()? == "1",
        key: next()?.parse().ok()?,
        action_key: next()?.parse().ok()?,
        fence: next()?.parse().ok()?,
        data: next()?.to_owned(),
        answer: Answer::Happened,
    })
}

/// A line that is not one of a [`Call`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoCall(Box<str>);

impl fmt::Display for NoCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "not a call: {:?}", self.0)
    }
}

impl Error for NoCall {}
