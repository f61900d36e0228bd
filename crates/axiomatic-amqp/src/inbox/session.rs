//! One channel on which a queue is consumed.

use std::time::Duration;

use futures::StreamExt;
use lapin::Channel;
use lapin::message::Delivery as Delivered;
use lapin::options::{
    BasicCancelOptions, BasicConsumeOptions, BasicQosOptions, QueueDeclareOptions,
};
use lapin::protocol::constants::REPLY_SUCCESS;
use lapin::types::{FieldTable, ShortString};
use tokio::time::{interval, timeout};

use super::error::{ConsumeError, Says};
use super::queue::Queue;
use crate::connection::Link;

/// How long a server may take for all that is asked of it at the beginning, and
/// for all at the end.
const PATIENCE: Duration = Duration::from_secs(30);

/// How often a channel that is to end is looked at.
const LOOK: Duration = Duration::from_millis(50);

/// A channel on which a queue is consumed. Delivery tags are the channel's:
/// whatever was delivered on it is answered on it or not at all.
pub(super) struct Session {
    channel: Channel,
    deliveries: lapin::Consumer,
}

/// Why nothing can be consumed.
pub(super) enum Refusal {
    /// It would be the same the next time.
    Final(ConsumeError),
    /// The server does not want us now.
    Refused(lapin::Error),
    /// It is to be tried again.
    Passing(String),
}

/// What comes instead of a message.
pub(super) enum Loss {
    Failed(lapin::Error),
    /// The server does not send any more, and says not why: the queue was
    /// deleted, or its node is gone.
    Cancelled,
}

impl Session {
    /// Consumes a queue, as soon as there is a connection.
    pub(super) async fn open(link: &Link, queue: &Queue, prefetch: u16) -> Result<Self, Refusal> {
        let live = link.live().await;
        let opening = async {
            let channel = live.channel().await;
            let channel = channel.map_err(|error| Refusal::Passing(error.to_string()))?;
            let consumed = consume(&channel, queue, prefetch).await;
            let deliveries = consumed.map_err(|error| match Says::of(&error) {
                Says::NoQueue => Refusal::Final(ConsumeError::NoQueue(error)),
                Says::AnotherQueue => Refusal::Final(ConsumeError::AnotherQueue(error)),
                Says::Refused => Refusal::Refused(error),
                Says::Passing => Refusal::Passing(error.to_string()),
            })?;
            Ok(Session {
                channel,
                deliveries,
            })
        };
        timeout(PATIENCE, opening).await.unwrap_or_else(|_| {
            live.cut();
            Err(Refusal::Passing("the server does not answer".to_owned()))
        })
    }

    /// The next message.
    pub(super) async fn next(&mut self) -> Result<Delivered, Loss> {
        match self.deliveries.next().await {
            Some(Ok(message)) => Ok(message),
            Some(Err(error)) => Err(Loss::Failed(error)),
            None => Err(Loss::Cancelled),
        }
    }

    /// Asks for no more, and returns what came before the server heard of that.
    pub(super) async fn cancel(&mut self) -> Vec<Delivered> {
        let tag = self.deliveries.tag();
        let cancelling = self
            .channel
            .basic_cancel(tag, BasicCancelOptions::default());
        let mut rest = Vec::new();
        if let Ok(Ok(())) = timeout(PATIENCE, cancelling).await {
            while let Ok(message) = self.next().await {
                rest.push(message);
            }
        }
        rest
    }

    /// Waits until the channel is lost: one without a consumer tells nobody.
    pub(super) async fn lost(&self) {
        let mut look = interval(LOOK);
        while self.channel.status().connected() {
            look.tick().await;
        }
    }

    /// Ends it, once the server has had all that was said on it. What is not
    /// answered it gives to others.
    pub(super) async fn close(self) {
        let closing = self.channel.close(REPLY_SUCCESS, ShortString::default());
        // Where that fails, the end of the connection does the same.
        let _ = timeout(PATIENCE, closing).await;
    }
}

/// Consumes a queue, if it is there and as was said.
async fn consume(
    channel: &Channel,
    queue: &Queue,
    prefetch: u16,
) -> lapin::Result<lapin::Consumer> {
    let is_there = QueueDeclareOptions::default().passive();
    let nothing = FieldTable::default;
    // First, as the other would make one that is not there.
    let name = || queue.name.clone();
    channel.queue_declare(name(), is_there, nothing()).await?;
    if let Some((options, arguments)) = queue.declaration() {
        channel.queue_declare(name(), options, arguments).await?;
    }
    channel
        .basic_qos(prefetch, BasicQosOptions { global: false })
        .await?;
    let options = BasicConsumeOptions::default();
    let tag = ShortString::default();
    channel.basic_consume(name(), tag, options, nothing()).await
}
