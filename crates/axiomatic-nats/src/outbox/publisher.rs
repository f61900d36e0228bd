//! The publisher.

use std::collections::HashMap;
use std::time::Duration;

use async_nats::client::RequestErrorKind;
use async_nats::connection::State;
use async_nats::jetstream::Context;
use async_nats::jetstream::context::GetStreamByNameErrorKind;
use async_nats::{Client, Request, Subject};
use axiomatic_coordination::outbox::{Class, Envelope, Publisher, Verdict};
use futures::future::Either;
use futures::stream::{FuturesUnordered, StreamExt};
use serde_json::Value;
use tokio::time::{sleep, timeout};

use super::answer::verdict;
use super::config::{Config, ConfigError, Durability};
use super::headers::headers;
use crate::telemetry;

/// Publishes to JetStream; [the module](super) says what that means. Cheap to
/// clone.
#[derive(Clone, Debug)]
pub struct JetStream {
    pub(super) context: Context,
    client: Client,
    pub(super) config: Config,
}

impl JetStream {
    /// A publisher that has not looked at the streams it publishes to:
    /// [`check`](Self::check) does.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] if it cannot work so.
    pub fn new(context: Context, config: Config) -> Result<Self, ConfigError> {
        let config = config.checked()?;
        Ok(JetStream {
            client: context.client(),
            context,
            config,
        })
    }

    /// How long a wave takes at most: what the relay must
    /// [allow](axiomatic_coordination::outbox::Config::publish_timeout).
    pub fn publish_timeout(&self) -> Duration {
        self.config.publish_timeout()
    }

    /// Which server the client is connected to. A server that is started anew
    /// is another.
    fn server(&self) -> Option<String> {
        if self.client.connection_state() != State::Connected {
            return None;
        }
        Some(self.client.try_server_info()?.server_id)
    }

    /// Sends all of them at once, and notes what is answered. A message
    /// without an answer keeps the verdict that it has.
    async fn send(&self, messages: &[Envelope], verdicts: &mut [Verdict]) {
        let mut waiting = FuturesUnordered::new();
        let is_connected = self.client.connection_state() == State::Connected;
        for (at, envelope) in messages.iter().enumerate() {
            let (subject, request) = match self.prepare(envelope) {
                Ok(prepared) => prepared,
                Err(refused) => {
                    verdicts[at] = refused;
                    continue;
                }
            };
            // The client would keep them all and send them when it is
            // connected again, however often each was given up since.
            if is_connected {
                waiting.push(Either::Left(self.request(at, subject, request)));
            }
        }
        // Of each subject for which nobody answers is asked once, whose it is.
        let mut nobody: HashMap<String, Vec<usize>> = HashMap::new();
        while let Some(heard) = waiting.next().await {
            match heard {
                Heard::Verdict { at, verdict } => verdicts[at] = verdict,
                Heard::Nobody { at, subject } => {
                    verdicts[at] =
                        Verdict::rejected(Class::Transient, "nobody answers for its subject");
                    let subject = subject.into_string();
                    if !nobody.contains_key(&subject) {
                        waiting.push(Either::Right(self.whose(subject.clone())));
                    }
                    nobody.entry(subject).or_default().push(at);
                }
                Heard::Whose { subject, verdict } => {
                    for at in nobody.remove(&subject).into_iter().flatten() {
                        verdicts[at] = verdict.clone();
                    }
                }
            }
        }
    }

    fn prepare(&self, envelope: &Envelope) -> Result<(Subject, Request), Verdict> {
        let subject = self.config.subjects.of(envelope);
        let subject = subject.map_err(|error| Verdict::rejected(Class::Permanent, error))?;
        let headers = headers(envelope);
        let headers = headers.map_err(|error| Verdict::rejected(Class::Permanent, error))?;
        let request = Request::new()
            .headers(headers)
            .payload(envelope.body().clone())
            // All of the wave has one.
            .timeout(None);
        Ok((Subject::from(&*subject), request))
    }

    async fn request(&self, at: usize, subject: Subject, request: Request) -> Heard {
        let answer = self.client.send_request(subject.clone(), request).await;
        let verdict = match answer {
            Ok(answer) => verdict(&answer.payload),
            Err(error) => match error.kind() {
                RequestErrorKind::NoResponders => return Heard::Nobody { at, subject },
                RequestErrorKind::MaxPayloadExceeded => Verdict::rejected(Class::TooLarge, error),
                RequestErrorKind::InvalidSubject => Verdict::rejected(Class::Permanent, error),
                RequestErrorKind::TimedOut | RequestErrorKind::Other => Verdict::Unknown,
            },
        };
        Heard::Verdict { at, verdict }
    }

    /// Whether there is no stream for a subject, or one that has no leader at
    /// the moment, which looks the same to a message.
    async fn whose(&self, subject: String) -> Heard {
        let verdict = match self.context.stream_by_subject(&*subject).await {
            Ok(stream) => Verdict::rejected(
                Class::Transient,
                format_args!("the stream {stream} of {subject} does not answer"),
            ),
            Err(error) if error.kind() == GetStreamByNameErrorKind::NotFound => Verdict::rejected(
                Class::Unroutable,
                format_args!("no stream has the subject {subject}"),
            ),
            Err(error) => Verdict::rejected(
                Class::Transient,
                format_args!("nobody answers for {subject}, nor whose it is: {error}"),
            ),
        };
        Heard::Whose { subject, verdict }
    }

    /// Waits until what is confirmed is old enough, and forgets the
    /// confirmations if the server is another than before they were sent.
    async fn age(&self, age: Duration, before: Option<String>, verdicts: &mut [Verdict]) {
        if !verdicts.iter().any(is_confirmed) {
            return;
        }
        sleep(age).await;
        if self.still_runs(before.as_deref()).await {
            return;
        }
        let mut forgotten = 0;
        for verdict in verdicts.iter_mut().filter(|verdict| is_confirmed(verdict)) {
            *verdict = Verdict::Unknown;
            forgotten += 1;
        }
        telemetry::restarted(self.config.name, forgotten);
    }

    /// Whether this server runs still. An answer has to come by the connection
    /// for that: what is connected may be so only as long as nobody looks.
    async fn still_runs(&self, server: Option<&str>) -> bool {
        let asked = self.context.request::<_, _, Value>("INFO", &());
        let answer = timeout(self.config.timeout, asked).await;
        matches!(answer, Ok(Ok(_))) && server.is_some() && self.server().as_deref() == server
    }
}

impl Publisher for JetStream {
    async fn publish(&self, messages: &[Envelope]) -> Vec<Verdict> {
        let mut verdicts = vec![Verdict::Unknown; messages.len()];
        if messages.is_empty() {
            return verdicts;
        }
        // Asked before anything is sent: a server that confirms is not older.
        let before = match self.config.durability {
            Durability::Acked => None,
            Durability::AckedAndAged(_) => self.server(),
        };
        let sending = self.send(messages, &mut verdicts);
        // What has no answer by then is unknown.
        let _ = timeout(self.config.timeout, sending).await;
        if let Durability::AckedAndAged(age) = self.config.durability {
            self.age(age, before, &mut verdicts).await;
        }
        verdicts
    }
}

fn is_confirmed(verdict: &Verdict) -> bool {
    matches!(verdict, Verdict::Acked | Verdict::Duplicate)
}

/// What is heard of a wave.
enum Heard {
    /// What became of a message.
    Verdict { at: usize, verdict: Verdict },
    /// Nobody subscribes to its subject.
    Nobody { at: usize, subject: Subject },
    /// What that means for all messages of the subject.
    Whose { subject: String, verdict: Verdict },
}
