//! How long a wait may be at most, retry by retry.

use std::time::Duration;

use super::ConfigError;
use super::session::Session;
use crate::time::saturating_nanos;

/// All in nanoseconds, and every operation saturates.
#[derive(Copy, Clone, Debug)]
pub(super) enum Growth {
    Constant { wait: u64 },
    Linear { first: u64, step: u64 },
    Exponential { first: u64, factor: u32 },
    Fibonacci { first: u64 },
    Decorrelated { first: u64 },
    Custom(fn(u32) -> Duration),
}

impl Growth {
    /// How many times as long as the last wait the next of a decorrelated
    /// walk is at most. It is Brooker's number; below two, the walk would not
    /// grow on average.
    const STRIDE: u64 = 3;

    /// The ceiling of the session's next wait, at most `longest`.
    pub(super) fn ceiling(self, longest: u64, session: &mut Session) -> u64 {
        let retry = session.waits();
        let grown = match self {
            Growth::Constant { wait } => wait,
            Growth::Linear { first, step } => {
                first.saturating_add(step.saturating_mul(u64::from(retry)))
            }
            Growth::Exponential { first, factor } => {
                first.saturating_mul(u64::from(factor).saturating_pow(retry))
            }
            Growth::Fibonacci { first } => first.saturating_mul(fibonacci(retry)),
            Growth::Decorrelated { first } => {
                let lowest = first.min(longest);
                let last = session.last().max(lowest);
                let highest = last.saturating_mul(Self::STRIDE).min(longest);
                session.draw(lowest, highest)
            }
            Growth::Custom(wait) => saturating_nanos(wait(retry)),
        };
        grown.min(longest)
    }

    pub(super) fn check(self, longest: u64) -> Result<(), ConfigError> {
        let first = match self {
            Growth::Exponential {
                factor: factor @ (0 | 1),
                ..
            } => return Err(ConfigError::Factor(factor)),
            Growth::Linear { first, .. }
            | Growth::Exponential { first, .. }
            | Growth::Fibonacci { first }
            | Growth::Decorrelated { first } => first,
            Growth::Constant { .. } | Growth::Custom(_) => 0,
        };
        if first > longest {
            return Err(ConfigError::Longest);
        }
        Ok(())
    }
}

/// 1, 1, 2, 3, 5 and so on. The first 93 numbers fit into 64 bits, so a loop
/// ends that is asked for the four billionth.
fn fibonacci(retry: u32) -> u64 {
    let (mut this, mut next) = (1u64, 1u64);
    for _ in 0..retry.min(93) {
        (this, next) = (next, this.saturating_add(next));
    }
    this
}
