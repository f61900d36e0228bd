//! A look at the streams before anything is published to them.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use async_nats::jetstream::Context;
use async_nats::jetstream::context::{
    CreateStreamError, GetStreamByNameErrorKind, GetStreamError, GetStreamErrorKind,
};
use async_nats::jetstream::{ErrorCode, stream};
use axiomatic_core::BoxError;

use super::config::{Config, ConfigError, Durability};
use super::publisher::JetStream;
use super::requirements::{Caveat, Requirements, Unfit};
use super::subject::{SubjectError, admit};
use crate::telemetry;

impl JetStream {
    /// A publisher that has looked at the streams of these subjects, with what
    /// is to be known of them. A subject is what [`Subjects`](super::Subjects)
    /// makes of a topic.
    ///
    /// # Errors
    ///
    /// [`CheckError`] if it cannot work so, or one of the streams does not do
    /// what it must.
    pub async fn checked(
        context: Context,
        config: Config,
        requirements: &Requirements,
        subjects: &[&str],
    ) -> Result<(Self, Vec<StreamReport>), CheckError> {
        let publisher = JetStream::new(context, config).map_err(CheckError::Config)?;
        let mut reports = Vec::new();
        for subject in subjects {
            let report = publisher.check(subject, requirements).await?;
            if !reports
                .iter()
                .any(|other: &StreamReport| other.stream == report.stream)
            {
                reports.push(report);
            }
        }
        Ok((publisher, reports))
    }

    /// Looks at the stream of a subject. What is to be known of it is an event
    /// too.
    ///
    /// With [`Durability::AckedAndAged`] its window for duplicates must last
    /// for a wave that is published again when it was nearly old enough.
    ///
    /// # Errors
    ///
    /// [`CheckError`] if there is none, or if it does not do what it must.
    pub async fn check(
        &self,
        subject: &str,
        requirements: &Requirements,
    ) -> Result<StreamReport, CheckError> {
        admit(subject).map_err(CheckError::Subject)?;
        let asked = |error: BoxError| CheckError::Unanswered {
            subject: subject.into(),
            error,
        };
        let name = self.context.stream_by_subject(subject).await;
        let name = name.map_err(|error| match error.kind() {
            GetStreamByNameErrorKind::NotFound => CheckError::NoStream {
                subject: subject.into(),
            },
            _ => asked(error.into()),
        })?;
        let stream = self.context.get_stream(&name).await;
        let stream = stream.map_err(|error| asked(error.into()))?;
        let info = stream.cached_info();
        let mut requirements = requirements.clone();
        if let Durability::AckedAndAged(_) = self.config.durability {
            requirements.horizon = requirements.horizon.max(self.publish_timeout());
        }
        let (unfit, caveats) = requirements.judge(&info.config, info.state.consumer_count);
        if !unfit.is_empty() {
            return Err(CheckError::Unfit {
                stream: name.into(),
                why: unfit,
            });
        }
        for each in &caveats {
            telemetry::caveat(self.config.name, &name, each);
        }
        Ok(StreamReport {
            stream: name.into(),
            replicas: info.config.num_replicas,
            duplicate_window: info.config.duplicate_window,
            caveats,
        })
    }
}

impl Requirements {
    /// Makes a stream as these requirements have it, if there is none of this
    /// name. One that is there stays as it is: whether it will do is for
    /// [`JetStream::check`] to say.
    ///
    /// # Errors
    ///
    /// What the server says against it.
    pub async fn ensure<S: Into<String>>(
        &self,
        context: &Context,
        name: impl Into<String>,
        subjects: impl IntoIterator<Item = S>,
    ) -> Result<(), EnsureError> {
        let stream = self.stream(name, subjects);
        match context.get_stream(&stream.name).await {
            Ok(_) => return Ok(()),
            Err(error) if is_not_found(&error) => {}
            Err(error) => return Err(EnsureError(error.into())),
        }
        let made: Result<stream::Stream, CreateStreamError> = context.create_stream(stream).await;
        made.map(drop).map_err(|error| EnsureError(error.into()))
    }
}

fn is_not_found(error: &GetStreamError) -> bool {
    match error.kind() {
        GetStreamErrorKind::JetStream(error) => error.error_code() == ErrorCode::STREAM_NOT_FOUND,
        _ => false,
    }
}

/// What is to be known of a stream that an outbox publishes to.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StreamReport {
    /// The stream's name.
    pub stream: Box<str>,
    /// On how many servers it is.
    pub replicas: usize,
    /// For how long it knows an id again.
    pub duplicate_window: Duration,
    /// What one should know besides.
    pub caveats: Vec<Caveat>,
}

impl fmt::Display for StreamReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}: on {} servers, knows ids for {:?}",
            self.stream, self.replicas, self.duplicate_window
        )?;
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
    /// Nothing can be published under this subject.
    Subject(SubjectError),
    /// There is no stream for the subject.
    NoStream {
        /// The subject.
        subject: Box<str>,
    },
    /// The stream does not do what it must.
    Unfit {
        /// The stream's name.
        stream: Box<str>,
        /// All that is wrong with it.
        why: Vec<Unfit>,
    },
    /// JetStream does not say which stream has the subject, or what it is like.
    Unanswered {
        /// The subject.
        subject: Box<str>,
        /// What was said instead.
        error: BoxError,
    },
}

impl fmt::Display for CheckError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CheckError::Config(error) => error.fmt(f),
            CheckError::Subject(error) => error.fmt(f),
            CheckError::NoStream { subject } => write!(f, "no stream has the subject {subject}"),
            CheckError::Unfit { stream, why } => {
                write!(f, "the stream {stream} will not do")?;
                let mut before = ": ";
                for each in why {
                    write!(f, "{before}{each}")?;
                    before = "; ";
                }
                Ok(())
            }
            CheckError::Unanswered { subject, error } => {
                write!(f, "JetStream does not say what {subject} is: {error}")
            }
        }
    }
}

impl Error for CheckError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            CheckError::Config(error) => Some(error),
            CheckError::Subject(error) => Some(error),
            CheckError::Unanswered { error, .. } => Some(&**error),
            CheckError::NoStream { .. } | CheckError::Unfit { .. } => None,
        }
    }
}

/// A stream could not be made.
#[derive(Debug)]
pub struct EnsureError(BoxError);

impl fmt::Display for EnsureError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the stream could not be made: {}", self.0)
    }
}

impl Error for EnsureError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&*self.0)
    }
}
