//! A look at exchanges and queues before anything is published to them.

use std::error::Error;
use std::fmt;

use axiomatic_core::BoxError;
use lapin::options::{
    ExchangeDeclareOptions, ExchangeDeleteOptions, QueueBindOptions, QueueDeclareOptions,
    QueueDeleteOptions,
};
use lapin::protocol::{AMQPErrorKind, AMQPSoftError};
use lapin::types::{FieldTable, ShortString};
use lapin::{Channel, ErrorKind, ExchangeKind};
use tokio::time::timeout;

use super::config::{Config, ConfigError};
use super::publisher::RabbitMq;
use super::requirements::{Caveat, Queue, Requirements, Unfit};
use super::route::Route;
use super::telemetry;
use crate::connection::Server;

impl RabbitMq {
    /// A publisher that has looked at what it publishes to, with what is to be
    /// known of it.
    ///
    /// # Errors
    ///
    /// [`CheckError`] if it cannot work so, or if something is not there or does
    /// not do what it must.
    ///
    /// # Panics
    ///
    /// Outside of a Tokio runtime.
    pub async fn checked(
        server: Server,
        config: Config,
        requirements: &Requirements,
    ) -> Result<(Self, Vec<QueueReport>), CheckError> {
        let publisher = RabbitMq::new(server, config).map_err(CheckError::Config)?;
        let reports = publisher.check(requirements).await?;
        Ok((publisher, reports))
    }

    /// Looks at exchanges and queues. What is to be known of a queue is an
    /// event too.
    ///
    /// An exchange or a queue is first asked for without making it. Then it is
    /// declared as it should be, which does nothing if it is so, and is refused
    /// if it is not. That takes the permission to configure it. The server does
    /// not compare all that there is: what RabbitMQ 3.10 does not compare is
    /// said in [the module](super). What a policy says is not seen.
    ///
    /// # Errors
    ///
    /// [`CheckError`] if something is not there or does not do what it must.
    pub async fn check(&self, requirements: &Requirements) -> Result<Vec<QueueReport>, CheckError> {
        for (name, kind) in &requirements.exchanges {
            let missing = || CheckError::NoExchange { name: name.clone() };
            self.asked(declare_exchange(self, name, kind, Declare::Passively))
                .await
                .map_err(|fault| fault.or(missing))?;
            self.asked(declare_exchange(self, name, kind, Declare::Actively))
                .await
                .map_err(|fault| fault.or(missing))?;
        }
        let mut reports = Vec::new();
        for queue in &requirements.queues {
            let name = &queue.name;
            let (unfit, caveats) = requirements.judge(queue);
            if !unfit.is_empty() {
                return Err(CheckError::Unfit {
                    queue: name.clone(),
                    why: unfit,
                });
            }
            let missing = || CheckError::NoQueue { name: name.clone() };
            self.asked(declare_queue(self, queue, Declare::Passively))
                .await
                .map_err(|fault| fault.or(missing))?;
            self.asked(declare_queue(self, queue, Declare::Actively))
                .await
                .map_err(|fault| fault.or(missing))?;
            for caveat in &caveats {
                telemetry::caveat(name, caveat);
            }
            reports.push(QueueReport {
                queue: name.clone(),
                caveats,
            });
        }
        Ok(reports)
    }

    /// Makes exchanges, queues and bindings as these requirements have them, if
    /// they are not there. For tests and examples, and where a program may do
    /// that.
    ///
    /// # Errors
    ///
    /// [`CheckError`] if there are others of the same name, or the server does
    /// not answer.
    pub async fn ensure(&self, requirements: &Requirements) -> Result<(), CheckError> {
        let missing = || CheckError::Unanswered("it was removed".into());
        for (name, kind) in &requirements.exchanges {
            self.asked(declare_exchange(self, name, kind, Declare::Actively))
                .await
                .map_err(|fault| fault.or(missing))?;
        }
        for queue in &requirements.queues {
            self.asked(declare_queue(self, queue, Declare::Actively))
                .await
                .map_err(|fault| fault.or(missing))?;
            // To the default exchange every queue is bound, by its name.
            let bindings = queue.bindings.iter();
            for to in bindings.filter(|to| !to.exchange().is_empty()) {
                self.asked(bind(self, queue, to)).await.map_err(|fault| {
                    fault.or(|| CheckError::NoExchange {
                        name: to.exchange().into(),
                    })
                })?;
            }
        }
        Ok(())
    }

    /// Removes exchanges and queues with what is in them, for tests.
    ///
    /// # Errors
    ///
    /// [`CheckError`] if the server does not answer.
    pub async fn remove(&self, requirements: &Requirements) -> Result<(), CheckError> {
        let removing = async {
            let channel = self.channel().await?;
            for queue in &requirements.queues {
                let options = QueueDeleteOptions::default();
                channel.queue_delete(short(&queue.name)?, options).await?;
            }
            for (name, _) in &requirements.exchanges {
                let options = ExchangeDeleteOptions::default();
                channel.exchange_delete(short(name)?, options).await?;
            }
            Ok(())
        };
        let gone = || CheckError::Unanswered("it was removed".into());
        self.asked(removing).await.map_err(|fault| fault.or(gone))
    }

    async fn asked(&self, asking: impl Future<Output = Result<(), BoxError>>) -> Result<(), Fault> {
        match timeout(self.config().timeout, asking).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(Fault::of(error)),
            Err(_) => {
                let error = self.snapshot().error;
                let why = error.unwrap_or_else(|| "no answer in time".into());
                Err(Fault::Unanswered(String::from(why).into()))
            }
        }
    }
}

#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum Declare {
    /// Only if it is there.
    Passively,
    Actively,
}

async fn declare_exchange(
    publisher: &RabbitMq,
    name: &str,
    kind: &ExchangeKind,
    declare: Declare,
) -> Result<(), BoxError> {
    let options = ExchangeDeclareOptions {
        passive: declare == Declare::Passively,
        durable: true,
        ..ExchangeDeclareOptions::default()
    };
    let channel = publisher.channel().await?;
    let none = FieldTable::default();
    let declared = channel.exchange_declare(short(name)?, kind.clone(), options, none);
    Ok(declared.await?)
}

async fn declare_queue(
    publisher: &RabbitMq,
    queue: &Queue,
    declare: Declare,
) -> Result<(), BoxError> {
    let options = QueueDeclareOptions {
        passive: declare == Declare::Passively,
        durable: true,
        ..QueueDeclareOptions::default()
    };
    let channel: Channel = publisher.channel().await?;
    let name = short(&queue.name)?;
    channel
        .queue_declare(name, options, queue.arguments())
        .await?;
    Ok(())
}

async fn bind(publisher: &RabbitMq, queue: &Queue, to: &Route) -> Result<(), BoxError> {
    let channel = publisher.channel().await?;
    let options = QueueBindOptions::default();
    let (exchange, key) = (short(to.exchange())?, short(to.key())?);
    let none = FieldTable::default();
    let bound = channel.queue_bind(short(&queue.name)?, exchange, key, options, none);
    Ok(bound.await?)
}

fn short(name: &str) -> Result<ShortString, BoxError> {
    Ok(ShortString::try_new(name)?)
}

/// What the server has against it.
enum Fault {
    Missing,
    Different(Box<str>),
    Unanswered(BoxError),
}

impl Fault {
    fn of(error: BoxError) -> Self {
        let kind = error.downcast_ref::<lapin::Error>().map(lapin::Error::kind);
        if let Some(ErrorKind::ProtocolError(said)) = kind {
            match said.kind() {
                AMQPErrorKind::Soft(AMQPSoftError::NOTFOUND) => return Fault::Missing,
                AMQPErrorKind::Soft(AMQPSoftError::PRECONDITIONFAILED) => {
                    return Fault::Different(said.get_message().as_str().into());
                }
                _ => {}
            }
        }
        Fault::Unanswered(error)
    }

    fn or(self, missing: impl FnOnce() -> CheckError) -> CheckError {
        match self {
            Fault::Missing => missing(),
            Fault::Different(why) => CheckError::Different(why),
            Fault::Unanswered(error) => CheckError::Unanswered(error),
        }
    }
}

/// What is to be known of a queue that an outbox publishes to.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct QueueReport {
    /// The queue's name.
    pub queue: Box<str>,
    /// What one should know of it.
    pub caveats: Vec<Caveat>,
}

impl fmt::Display for QueueReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: there, and as required", self.queue)?;
        for caveat in &self.caveats {
            write!(f, "; {caveat}")?;
        }
        Ok(())
    }
}

/// Why nothing should be published.
#[derive(Debug)]
#[non_exhaustive]
pub enum CheckError {
    /// The publisher cannot work so.
    Config(ConfigError),
    /// The exchange is not there.
    NoExchange {
        /// Its name.
        name: Box<str>,
    },
    /// The queue is not there.
    NoQueue {
        /// Its name.
        name: Box<str>,
    },
    /// What is there is not as required. The server says how.
    Different(Box<str>),
    /// A queue like that does not do what it must.
    Unfit {
        /// Its name.
        queue: Box<str>,
        /// All that is wrong with it.
        why: Vec<Unfit>,
    },
    /// The server does not say, or is not there.
    Unanswered(BoxError),
}

impl fmt::Display for CheckError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CheckError::Config(error) => error.fmt(f),
            CheckError::NoExchange { name } => write!(f, "there is no exchange {name}"),
            CheckError::NoQueue { name } => write!(f, "there is no queue {name}"),
            CheckError::Different(why) => write!(f, "it is not as required: {why}"),
            CheckError::Unfit { queue, why } => {
                write!(f, "the queue {queue} will not do")?;
                let mut before = ": ";
                for each in why {
                    write!(f, "{before}{each}")?;
                    before = "; ";
                }
                Ok(())
            }
            CheckError::Unanswered(error) => write!(f, "RabbitMQ does not say: {error}"),
        }
    }
}

impl Error for CheckError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            CheckError::Config(error) => Some(error),
            CheckError::Unanswered(error) => Some(&**error),
            CheckError::NoExchange { .. }
            | CheckError::NoQueue { .. }
            | CheckError::Different(_)
            | CheckError::Unfit { .. } => None,
        }
    }
}
