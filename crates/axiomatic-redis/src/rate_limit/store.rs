use std::sync::Arc;
use std::time::Duration;

use axiomatic_core::Outcome;
use axiomatic_core::number_cell::Tally;
use axiomatic_core::time::Clock;
use axiomatic_failure::circuit_breaker::{CircuitBreaker, OwnedPermit, State};
use redis::{ErrorKind, RedisError, ServerErrorKind};

use super::link::Link;
use super::script::{Answer, Question, Script};
use super::telemetry::Telemetry;

/// Redis, as a limiter sees it: it answers in time, or it is away.
#[derive(Debug)]
pub(super) struct Store {
    link: Arc<Link>,
    script: Script,
    breaker: CircuitBreaker,
    clock: Clock,
    timeout: Duration,
    /// Questions that were sent, and how many of them had no answer.
    asked: Tally,
    failed: Tally,
    /// How often the script had to be sent in full.
    loaded: Tally,
}

/// Why there is no answer.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Away {
    /// It was not asked: it did not answer lately, and is left alone so long.
    LeftAlone(Option<Duration>),
    /// It did not answer in time.
    TimedOut,
    /// There is no connection, or it broke.
    Broken,
    /// It answered that it cannot.
    Unable,
}

impl Away {
    #[cfg(any(feature = "tracing", feature = "metrics"))]
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Away::LeftAlone(_) => "left alone",
            Away::TimedOut => "timed out",
            Away::Broken => "broken",
            Away::Unable => "unable",
        }
    }
}

impl Store {
    pub(super) fn new(
        client: redis::Client,
        breaker: CircuitBreaker,
        clock: Clock,
        (timeout, connect_timeout): (Duration, Duration),
    ) -> Self {
        Store {
            link: Link::new(client, connect_timeout),
            script: Script::new(),
            breaker,
            clock,
            timeout,
            asked: Tally::new(),
            failed: Tally::new(),
            loaded: Tally::new(),
        }
    }

    pub(super) fn breaker(&self) -> &CircuitBreaker {
        &self.breaker
    }

    /// How long a call waits for an answer.
    pub(super) fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Questions that were sent, those without an answer, and how often the
    /// script was sent in full.
    pub(super) fn counts(&self) -> [u64; 3] {
        [self.asked.load(), self.failed.load(), self.loaded.load()]
    }

    /// Connects, if there is no connection.
    pub(super) async fn connect(&self) -> Result<(), RedisError> {
        self.link.connection().await.map(drop)
    }

    /// Asks, once.
    pub(super) async fn ask(
        &self,
        question: &Question,
        telemetry: &Telemetry,
    ) -> Result<Answer, Away> {
        let permit = self.admit()?;
        self.ask_by(permit, question, telemetry).await
    }

    /// Whether it may be asked, or is left alone. Who gets leave asks.
    pub(super) fn admit(&self) -> Result<OwnedPermit, Away> {
        let permit = self
            .breaker
            .admit_owned(self.clock.now())
            .map_err(|open| Away::LeftAlone(open.retry_after()))?;
        self.asked.count();
        Ok(permit)
    }

    /// Asks, once, by leave of the breaker.
    pub(super) async fn ask_by(
        &self,
        permit: OwnedPermit,
        question: &Question,
        telemetry: &Telemetry,
    ) -> Result<Answer, Away> {
        let mut used = None;
        let answered = tokio::time::timeout(self.timeout, self.round_trip(question, &mut used));
        let (away, error) = match answered.await {
            Ok(Ok(answer)) => {
                permit.record(self.clock.now(), Outcome::Success);
                telemetry.asked(None);
                return Ok(answer);
            }
            Ok(Err(error)) => (kind(&error), Some(error)),
            Err(_) => (Away::TimedOut, None),
        };
        self.failed.count();
        permit.record(self.clock.now(), Outcome::Transient);
        telemetry.asked(Some((away, error.as_ref())));
        // A call may time out because Redis is slow, or because packets vanish
        // and this connection will never answer again. Once the breaker is
        // open there is time to find out by a new one, and it costs one
        // connection a probe.
        let is_given_up = away == Away::Broken || self.breaker.state() != State::Closed;
        if let Some(connection) = used.filter(|_| is_given_up) {
            self.link.is_broken(&connection);
        }
        Err(away)
    }

    /// One round trip; two where Redis has lost the script.
    async fn round_trip(
        &self,
        question: &Question,
        used: &mut Option<super::link::Connection>,
    ) -> Result<Answer, RedisError> {
        let mut connection = self.link.connection().await?;
        *used = Some(connection.clone());
        let redis = &mut connection.redis;
        let by_hash = self.script.by_hash(question);
        let value = match by_hash.query_async(redis).await {
            Err(error) if error.kind() == ErrorKind::Server(ServerErrorKind::NoScript) => {
                self.loaded.count();
                self.script.in_full(question).query_async(redis).await?
            }
            other => other?,
        };
        Answer::read(value)
    }
}

fn kind(error: &RedisError) -> Away {
    match error.kind() {
        ErrorKind::Io | ErrorKind::Parse => Away::Broken,
        _ => Away::Unable,
    }
}
