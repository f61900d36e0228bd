//! The publisher.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axiomatic_coordination::outbox::{Class, Envelope, Publisher, Verdict};
use bytes::Bytes;
use futures::future::join_all;
use futures::stream::{FuturesUnordered, StreamExt};
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::{BasicProperties, Channel, Confirmation};
use tokio::time::{Instant, timeout_at};

use super::answer::{Heard, Sent, verdicts};
use super::config::{Config, ConfigError};
use super::properties::properties;
use super::route::Route;
use crate::connection::{ConnectionSnapshot, ConnectionState, Link, Live, Server};

/// Publishes to RabbitMQ; [the module](super) says what that means. Cheap to
/// clone. Its connection ends when the last clone is dropped.
#[derive(Clone, Debug)]
pub struct RabbitMq {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    config: Config,
    link: Link,
    /// Channels by which nothing is in flight.
    idle: Mutex<Vec<Idle>>,
}

/// A channel that confirms, with the connection that it is of.
#[derive(Clone, Debug)]
struct Idle {
    live: Arc<Live>,
    channel: Channel,
}

impl RabbitMq {
    /// A publisher that begins to connect, and has not looked at what it
    /// publishes to: [`check`](Self::check) does.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] if it cannot work so.
    ///
    /// # Panics
    ///
    /// Outside of a Tokio runtime.
    pub fn new(server: Server, config: Config) -> Result<Self, ConfigError> {
        let config = config.checked()?;
        let server = server.checked().map_err(ConfigError::Server)?;
        Ok(RabbitMq {
            inner: Arc::new(Inner {
                config,
                link: Link::start(server),
                idle: Mutex::default(),
            }),
        })
    }

    /// How long a relay must
    /// [allow](axiomatic_coordination::outbox::Config::publish_timeout) a wave
    /// to take; see [`Config::publish_timeout`].
    pub fn publish_timeout(&self) -> Duration {
        self.inner.config.publish_timeout()
    }

    /// How the connection is.
    pub fn snapshot(&self) -> ConnectionSnapshot {
        self.inner.link.snapshot()
    }

    /// Whether the server does not read what is published, since it is short of
    /// memory or of disk. Then nothing is sent.
    pub fn is_blocked(&self) -> bool {
        self.snapshot().state == ConnectionState::Blocked
    }

    /// Waits until there is a connection.
    pub async fn connected(&self) {
        self.inner.link.live().await;
    }

    /// Waits for the connection, and opens a channel of it.
    pub(super) async fn channel(&self) -> lapin::Result<Channel> {
        self.inner.link.live().await.channel().await
    }

    pub(super) fn config(&self) -> &Config {
        &self.inner.config
    }

    /// Sends messages for one exchange by a channel of their own, and says what
    /// became of each.
    async fn send(&self, live: &Arc<Live>, group: Vec<Prepared>, until: Instant) -> Vec<Verdict> {
        let unknown = vec![Verdict::Unknown; group.len()];
        let idle = match timeout_at(until, self.inner.idle(live)).await {
            Ok(Ok(idle)) => idle,
            Ok(Err(_)) => return unknown,
            Err(_) => {
                // A server answers this at once, if it answers anything.
                if !live.is_blocked() {
                    live.cut();
                }
                return unknown;
            }
        };
        let mut sent = Vec::with_capacity(group.len());
        let mut waiting = FuturesUnordered::new();
        for (at, message) in group.into_iter().enumerate() {
            sent.push(message.sent);
            let publishing = publish(
                &idle.channel,
                message.route,
                message.properties,
                message.body,
            );
            waiting.push(async move { (at, publishing.await) });
        }
        let mut heard: Vec<Heard> = sent.iter().map(|_| None).collect();
        while let Ok(Some((at, confirmed))) = timeout_at(until, waiting.next()).await {
            heard[at] = Some(confirmed);
        }
        drop(waiting);
        if heard.iter().all(|heard| matches!(heard, Some(Ok(_)))) {
            self.inner.lock().push(idle);
        }
        // A channel with something in flight is closed: who used it next would
        // be told of that.
        verdicts(&sent, &heard)
    }

    fn prepare(&self, envelope: &Envelope, live: &Live) -> Result<Prepared, Verdict> {
        let permanent = |error: &dyn std::fmt::Display| Verdict::rejected(Class::Permanent, error);
        let config = &self.inner.config;
        let route = config.routes.of(envelope);
        let route = route.map_err(|error| permanent(&error))?;
        let (properties, frame) = properties(envelope).map_err(|error| permanent(&error))?;
        let (length, largest) = (envelope.body().len(), config.largest);
        if length > largest {
            let why = format_args!("a body of {length} bytes, of at most {largest}");
            return Err(Verdict::rejected(Class::TooLarge, why));
        }
        let longest = live.longest_frame();
        if frame > longest {
            let why = format_args!("headers of {frame} bytes, of at most {longest}");
            return Err(Verdict::rejected(Class::TooLarge, why));
        }
        Ok(Prepared {
            sent: Sent {
                exchange: route.exchange().into(),
                key: route.key().into(),
                id: envelope.id().to_string(),
                length,
            },
            route,
            properties,
            body: envelope.body().clone(),
        })
    }
}

impl Inner {
    /// A channel by which nothing is in flight.
    async fn idle(&self, live: &Arc<Live>) -> lapin::Result<Idle> {
        let is_usable =
            |idle: &Idle| Arc::ptr_eq(&idle.live, live) && idle.channel.status().connected();
        let found = {
            let mut idle = self.lock();
            // Those of connections that have ended go.
            idle.retain(is_usable);
            idle.pop()
        };
        if let Some(found) = found {
            return Ok(found);
        }
        let channel = live.channel().await?;
        channel
            .confirm_select(ConfirmSelectOptions::default())
            .await?;
        Ok(Idle {
            live: live.clone(),
            channel,
        })
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Idle>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Publisher for RabbitMq {
    async fn publish(&self, messages: &[Envelope]) -> Vec<Verdict> {
        let mut verdicts = vec![Verdict::Unknown; messages.len()];
        // The client would keep what it is given and send it when it can,
        // however often each was given up since.
        let Some(live) = self.inner.link.now() else {
            return verdicts;
        };
        let is_blocked = live.is_blocked();
        let until = Instant::now() + self.inner.config.timeout;
        let mut groups: HashMap<Box<str>, (Vec<usize>, Vec<Prepared>)> = HashMap::new();
        for (at, envelope) in messages.iter().enumerate() {
            match self.prepare(envelope, &live) {
                Err(refused) => verdicts[at] = refused,
                Ok(_) if is_blocked => {}
                Ok(prepared) => {
                    let exchange = prepared.sent.exchange.clone();
                    let (places, group) = groups.entry(exchange).or_default();
                    places.push(at);
                    group.push(prepared);
                }
            }
        }
        // What is wrong with an exchange closes the channel, so each has one.
        let sending = groups.into_values().map(|(places, group)| {
            let sending = self.send(&live, group, until);
            async move { (places, sending.await) }
        });
        for (places, said) in join_all(sending).await {
            for (at, verdict) in places.into_iter().zip(said) {
                verdicts[at] = verdict;
            }
        }
        verdicts
    }
}

/// A message that can be sent.
#[derive(Debug)]
struct Prepared {
    sent: Sent,
    route: Route,
    properties: BasicProperties,
    body: Bytes,
}

async fn publish(
    channel: &Channel,
    route: Route,
    properties: BasicProperties,
    body: Bytes,
) -> lapin::Result<Confirmation> {
    let (exchange, key) = route.short();
    // Returned, if there is no queue for it.
    let options = BasicPublishOptions {
        mandatory: true,
        ..BasicPublishOptions::default()
    };
    let confirm = channel
        .basic_publish(exchange, key, options, &body, properties)
        .await?;
    confirm.await
}
