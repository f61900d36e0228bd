//! What a stream must be for an outbox to publish to it: a pure function of
//! its configuration.

use std::fmt;
use std::time::Duration;

use async_nats::jetstream::stream::{
    Config, DiscardPolicy, PersistenceMode, RetentionPolicy, StorageType,
};

/// What a stream must be for an outbox to publish to it.
///
/// ```
/// use axiomatic_nats::outbox::Requirements;
/// use std::time::Duration;
///
/// let requirements = Requirements::new()
///     .replicas_at_least(3)
///     .retried_for(Duration::from_secs(15 * 60));
/// # let _ = requirements;
/// ```
#[derive(Clone, Debug)]
pub struct Requirements {
    pub(super) window: Duration,
    pub(super) horizon: Duration,
    replicas: usize,
    volatile: Volatile,
}

/// Whether a stream will do that loses what it has when its server stops.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub enum Volatile {
    /// It is refused.
    #[default]
    Refuse,
    /// It will do: for tests, and for what may be lost.
    Allow,
}

impl Requirements {
    /// A window for duplicates of two minutes, one replica, and storage in
    /// files.
    pub fn new() -> Self {
        Requirements {
            window: Duration::from_secs(120),
            horizon: Duration::ZERO,
            replicas: 1,
            volatile: Volatile::default(),
        }
    }

    /// For how long the stream must know an id again, at least.
    #[must_use]
    pub fn duplicate_window_at_least(mut self, window: Duration) -> Self {
        self.window = window;
        self
    }

    /// How long after its first attempt a relay may publish a message again: the
    /// longest outage that the stream shall hide from consumers without an
    /// inbox. The window for duplicates must be as long.
    #[must_use]
    pub fn retried_for(mut self, horizon: Duration) -> Self {
        self.horizon = horizon;
        self
    }

    /// On how many servers the stream must be.
    #[must_use]
    pub fn replicas_at_least(mut self, replicas: usize) -> Self {
        self.replicas = replicas;
        self
    }

    /// What about streams in memory, and those that acknowledge before they
    /// store?
    #[must_use]
    pub fn volatile(mut self, volatile: Volatile) -> Self {
        self.volatile = volatile;
        self
    }

    /// A stream as these requirements have it, with all else as JetStream has
    /// it by default.
    pub fn stream<S: Into<String>>(
        &self,
        name: impl Into<String>,
        subjects: impl IntoIterator<Item = S>,
    ) -> Config {
        Config {
            name: name.into(),
            subjects: subjects.into_iter().map(Into::into).collect(),
            duplicate_window: self.window.max(self.horizon),
            num_replicas: self.replicas,
            ..Config::default()
        }
    }

    /// What is wrong with a stream, and what one should know of it.
    pub(super) fn judge(&self, stream: &Config, consumers: usize) -> (Vec<Unfit>, Vec<Caveat>) {
        let mut unfit = Vec::new();
        let mut caveats = Vec::new();
        let window = stream.duplicate_window;
        if window < self.window {
            unfit.push(Unfit::DuplicateWindow {
                window,
                at_least: self.window,
            });
        } else if window < self.horizon {
            unfit.push(Unfit::RetryHorizon {
                window,
                horizon: self.horizon,
            });
        }
        if stream.num_replicas < self.replicas {
            unfit.push(Unfit::Replicas {
                replicas: stream.num_replicas,
                at_least: self.replicas,
            });
        }
        if self.volatile == Volatile::Refuse {
            if stream.storage == StorageType::Memory {
                unfit.push(Unfit::InMemory);
            }
            if stream.persist_mode == Some(PersistenceMode::Async) {
                unfit.push(Unfit::AcknowledgesEarly);
            }
        }
        if stream.no_ack {
            unfit.push(Unfit::NeverAcknowledges);
        }
        if stream.sealed {
            unfit.push(Unfit::Sealed);
        }
        match stream.retention {
            RetentionPolicy::Limits => {}
            RetentionPolicy::Interest if consumers == 0 => unfit.push(Unfit::NobodyIsInterested),
            RetentionPolicy::Interest => caveats.push(Caveat::Interest),
            RetentionPolicy::WorkQueue => caveats.push(Caveat::WorkQueue),
        }
        let bounded = [
            stream.max_messages,
            stream.max_bytes,
            stream.max_messages_per_subject,
        ];
        if bounded.iter().any(|limit| *limit > 0) {
            caveats.push(match stream.discard {
                DiscardPolicy::Old => Caveat::DiscardsOld,
                DiscardPolicy::New => Caveat::RefusesWhenFull,
            });
        }
        if !stream.max_age.is_zero() {
            caveats.push(Caveat::MaxAge(stream.max_age));
        }
        if stream.num_replicas == 1 {
            caveats.push(Caveat::OneReplica);
        }
        (unfit, caveats)
    }
}

impl Default for Requirements {
    fn default() -> Self {
        Requirements::new()
    }
}

/// Why an outbox must not publish to a stream.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unfit {
    /// It does not know an id again for as long as it must.
    DuplicateWindow {
        /// For how long it does.
        window: Duration,
        /// For how long it must.
        at_least: Duration,
    },
    /// A message may be published again after the stream has forgotten it.
    RetryHorizon {
        /// For how long it knows an id again.
        window: Duration,
        /// How late a message may be published again.
        horizon: Duration,
    },
    /// It is on too few servers.
    Replicas {
        /// On how many it is.
        replicas: usize,
        /// On how many it must be.
        at_least: usize,
    },
    /// It is in memory: its acknowledgement says nothing.
    InMemory,
    /// It acknowledges before it stores (`persist_mode: async`).
    AcknowledgesEarly,
    /// It acknowledges nothing (`no_ack`): everything would be published again
    /// and again.
    NeverAcknowledges,
    /// It is sealed, and takes no message.
    Sealed,
    /// It keeps what consumers are interested in, and has no consumer: it would
    /// acknowledge a message and throw it away.
    NobodyIsInterested,
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unfit::DuplicateWindow { window, at_least } => write!(
                f,
                "it knows an id again for {window:?}, of at least {at_least:?}"
            ),
            Unfit::RetryHorizon { window, horizon } => write!(
                f,
                "it knows an id again for {window:?}, and a message may be published again after \
                 {horizon:?}"
            ),
            Unfit::Replicas { replicas, at_least } => {
                write!(f, "it is on {replicas} servers, of at least {at_least}")
            }
            Unfit::InMemory => f.write_str("it is in memory"),
            Unfit::AcknowledgesEarly => f.write_str("it acknowledges before it stores"),
            Unfit::NeverAcknowledges => f.write_str("it acknowledges nothing"),
            Unfit::Sealed => f.write_str("it is sealed"),
            Unfit::NobodyIsInterested => {
                f.write_str("it keeps what consumers are interested in, and has none")
            }
        }
    }
}

/// What one should know of a stream that an outbox publishes to.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Caveat {
    /// It keeps a message until all consumers that it has when the message
    /// comes have acknowledged it. A consumer that is made later misses it.
    Interest,
    /// It keeps a message until one consumer has acknowledged it.
    WorkQueue,
    /// Full, it throws away its oldest message, whether or not anybody had it.
    DiscardsOld,
    /// Full, it refuses messages, and the outbox keeps them.
    RefusesWhenFull,
    /// It throws messages away at this age, whether or not anybody had them.
    MaxAge(Duration),
    /// It is on one server: while that is away nothing is published, and with
    /// its disk the stream is lost.
    OneReplica,
}

impl fmt::Display for Caveat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Caveat::Interest => {
                f.write_str("consumers that are made later miss what they had to acknowledge")
            }
            Caveat::WorkQueue => f.write_str("each message is for one consumer"),
            Caveat::DiscardsOld => f.write_str("full, it throws away its oldest message"),
            Caveat::RefusesWhenFull => f.write_str("full, it refuses messages"),
            Caveat::MaxAge(age) => write!(f, "it throws messages away at the age of {age:?}"),
            Caveat::OneReplica => f.write_str("it is on one server"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn fit() -> Config {
        let requirements = Requirements::new().replicas_at_least(3);
        requirements.stream("ORDERS", ["orders.>"])
    }

    #[test]
    fn every_reason_to_refuse_a_stream_is_found() {
        let requirements = Requirements::new()
            .replicas_at_least(3)
            .duplicate_window_at_least(MINUTE)
            .retried_for(2 * MINUTE);
        let judged = |change: fn(&mut Config), consumers| {
            let mut stream = fit();
            change(&mut stream);
            requirements.judge(&stream, consumers).0
        };
        assert_eq!(judged(|_| {}, 0), []);
        let window = MINUTE / 2;
        let short = Unfit::DuplicateWindow {
            window,
            at_least: MINUTE,
        };
        assert_eq!(
            judged(|stream| stream.duplicate_window = MINUTE / 2, 0),
            [short]
        );
        let horizon = Unfit::RetryHorizon {
            window: MINUTE,
            horizon: 2 * MINUTE,
        };
        assert_eq!(
            judged(|stream| stream.duplicate_window = MINUTE, 0),
            [horizon]
        );
        let replicas = Unfit::Replicas {
            replicas: 1,
            at_least: 3,
        };
        assert_eq!(judged(|stream| stream.num_replicas = 1, 0), [replicas]);
        let memory = |stream: &mut Config| stream.storage = StorageType::Memory;
        assert_eq!(judged(memory, 0), [Unfit::InMemory]);
        let early = |stream: &mut Config| stream.persist_mode = Some(PersistenceMode::Async);
        assert_eq!(judged(early, 0), [Unfit::AcknowledgesEarly]);
        assert_eq!(
            judged(|stream| stream.no_ack = true, 0),
            [Unfit::NeverAcknowledges]
        );
        assert_eq!(judged(|stream| stream.sealed = true, 0), [Unfit::Sealed]);
        let interest = |stream: &mut Config| stream.retention = RetentionPolicy::Interest;
        assert_eq!(judged(interest, 0), [Unfit::NobodyIsInterested]);
        assert_eq!(judged(interest, 1), []);
        let all = judged(
            |stream| {
                stream.sealed = true;
                stream.no_ack = true;
            },
            0,
        );
        assert_eq!(all, [Unfit::NeverAcknowledges, Unfit::Sealed]);
    }

    #[test]
    fn what_may_be_lost_may_be_in_memory() {
        let requirements = Requirements::new().volatile(Volatile::Allow);
        let mut stream = fit();
        stream.storage = StorageType::Memory;
        stream.persist_mode = Some(PersistenceMode::Async);
        assert_eq!(requirements.judge(&stream, 0).0, []);
    }

    #[test]
    fn what_one_should_know_of_a_stream_is_said() {
        let judged = |change: fn(&mut Config)| {
            let mut stream = fit();
            change(&mut stream);
            Requirements::new().judge(&stream, 1).1
        };
        assert_eq!(judged(|_| {}), []);
        let interest = |stream: &mut Config| stream.retention = RetentionPolicy::Interest;
        assert_eq!(judged(interest), [Caveat::Interest]);
        let queue = |stream: &mut Config| stream.retention = RetentionPolicy::WorkQueue;
        assert_eq!(judged(queue), [Caveat::WorkQueue]);
        for bound in [
            (|stream: &mut Config| stream.max_bytes = 1) as fn(&mut Config),
            |stream| stream.max_messages = 1,
            |stream| stream.max_messages_per_subject = 1,
        ] {
            assert_eq!(judged(bound), [Caveat::DiscardsOld]);
        }
        let full = |stream: &mut Config| {
            stream.max_bytes = 1;
            stream.discard = DiscardPolicy::New;
        };
        assert_eq!(judged(full), [Caveat::RefusesWhenFull]);
        let old = |stream: &mut Config| stream.max_age = MINUTE;
        assert_eq!(judged(old), [Caveat::MaxAge(MINUTE)]);
        assert_eq!(
            judged(|stream| stream.num_replicas = 1),
            [Caveat::OneReplica]
        );
    }
}
