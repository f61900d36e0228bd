//! The script as a command of Redis, and what it replies.

use std::num::NonZeroU32;

use redis::{Cmd, FromRedisValue, RedisError, Value};

use super::gcra::{Limit, Span};

const SOURCE: &str = include_str!("gcra.lua");

/// The script's name in Redis: its hash.
#[derive(Debug)]
pub(super) struct Script(redis::Script);

/// What is asked of Redis: one call of the script.
#[derive(Clone, Debug)]
pub(super) struct Question {
    what: &'static str,
    names: Vec<Vec<u8>>,
    arguments: Vec<u64>,
}

/// What the script said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Answer {
    /// Which of the sums was taken, counted from 0, if one was.
    pub(super) taken: Option<usize>,
    /// How far the arrival time of each key is ahead of now.
    pub(super) ahead: Vec<Span>,
}

impl Question {
    /// To take one of these sums, the largest that fits.
    pub(super) fn take(name: Vec<u8>, limit: &Limit, sums: &[NonZeroU32]) -> Self {
        Self::empty("take").about(name, limit, sums)
    }

    /// To take a sum of each of the keys that are added, or nothing.
    pub(super) fn take_all() -> Self {
        Self::empty("take")
    }

    /// To take nothing.
    pub(super) fn look(name: Vec<u8>, limit: &Limit) -> Self {
        Self::empty("look").about(name, limit, &[])
    }

    /// To give back.
    pub(super) fn give(name: Vec<u8>, limit: &Limit, sum: NonZeroU32) -> Self {
        Self::empty("give").about(name, limit, &[sum])
    }

    fn empty(what: &'static str) -> Self {
        Question {
            what,
            names: Vec::with_capacity(1),
            arguments: Vec::with_capacity(6),
        }
    }

    /// The same, about one key more.
    pub(super) fn about(mut self, name: Vec<u8>, limit: &Limit, sums: &[NonZeroU32]) -> Self {
        self.names.push(name);
        let burst = limit.burst();
        let head = [limit.of(), burst.micros, burst.parts, sums.len() as u64];
        self.arguments.extend(head);
        for sum in sums {
            let span = limit.sum(*sum);
            self.arguments.extend([span.micros, span.parts]);
        }
        self
    }
}

impl Script {
    pub(super) fn new() -> Self {
        Script(redis::Script::new(SOURCE))
    }

    /// The question, with the script's hash in place of the script.
    pub(super) fn by_hash(&self, question: &Question) -> Cmd {
        command("EVALSHA", self.0.get_hash(), question)
    }

    /// The question with the script, which Redis then keeps.
    pub(super) fn in_full(&self, question: &Question) -> Cmd {
        command("EVAL", SOURCE, question)
    }
}

fn command(name: &str, script: &str, question: &Question) -> Cmd {
    let mut command = redis::cmd(name);
    command.arg(script).arg(question.names.len());
    for name in &question.names {
        command.arg(name.as_slice());
    }
    command.arg(question.what);
    for argument in &question.arguments {
        command.arg(*argument);
    }
    command
}

impl Answer {
    pub(super) fn read(value: Value) -> Result<Self, RedisError> {
        let numbers = Vec::<u64>::from_redis_value(value)?;
        let Some((taken, times)) = numbers.split_first() else {
            return Err(malformed());
        };
        let times = times.chunks_exact(2);
        if !times.remainder().is_empty() {
            return Err(malformed());
        }
        Ok(Answer {
            taken: usize::try_from(*taken).ok().and_then(|n| n.checked_sub(1)),
            ahead: times
                .map(|pair| Span {
                    micros: pair[0],
                    parts: pair[1],
                })
                .collect(),
        })
    }
}

fn malformed() -> RedisError {
    let kind = redis::ErrorKind::UnexpectedReturnType;
    RedisError::from((kind, "the script does not reply so"))
}
