//! Why a consumer stopped by itself.

use std::error::Error;
use std::fmt;

use lapin::ErrorKind;
use lapin::protocol::{AMQPErrorKind, AMQPSoftError};

/// Why a consumer stopped by itself.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum ConsumeError {
    /// The queue is not there, or was deleted.
    NoQueue(lapin::Error),
    /// The queue is another than [was said](super::Queue): the server names what
    /// is different.
    AnotherQueue(lapin::Error),
    /// This user may not consume the queue, or not configure it, and so it was
    /// the first time. One that has consumed waits until it may again.
    Refused(lapin::Error),
}

impl fmt::Display for ConsumeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ConsumeError::NoQueue(error) => write!(f, "no such queue: {error}"),
            ConsumeError::AnotherQueue(error) => write!(f, "another queue: {error}"),
            ConsumeError::Refused(error) => write!(f, "refused: {error}"),
        }
    }
}

impl Error for ConsumeError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            ConsumeError::NoQueue(error)
            | ConsumeError::AnotherQueue(error)
            | ConsumeError::Refused(error) => Some(error),
        }
    }
}

/// What an error says of trying again.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Says {
    /// There is no such queue.
    NoQueue,
    /// What was said of the queue is not so.
    AnotherQueue,
    /// The server does not want us.
    Refused,
    /// It passes, as far as anybody knows.
    Passing,
}

impl Says {
    pub(super) fn of(error: &lapin::Error) -> Self {
        let ErrorKind::ProtocolError(error) = error.kind() else {
            return Says::Passing;
        };
        Says::by(error.kind(), error.get_message().as_str())
    }

    fn by(kind: &AMQPErrorKind, said: &str) -> Self {
        match kind {
            // A queue whose node is down is said not to be found, and comes back.
            AMQPErrorKind::Soft(AMQPSoftError::NOTFOUND) if said.contains("is down") => {
                Says::Passing
            }
            AMQPErrorKind::Soft(AMQPSoftError::NOTFOUND) => Says::NoQueue,
            AMQPErrorKind::Soft(AMQPSoftError::PRECONDITIONFAILED) => Says::AnotherQueue,
            AMQPErrorKind::Soft(AMQPSoftError::ACCESSREFUSED) => Says::Refused,
            _ => Says::Passing,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_whose_node_is_down_is_not_one_that_was_deleted() {
        let not_found = AMQPErrorKind::Soft(AMQPSoftError::NOTFOUND);
        let down = "NOT_FOUND - home node 'rabbit@two' of durable queue 'a' in vhost '/' is down \
                    or inaccessible";
        assert_eq!(Says::by(&not_found, down), Says::Passing);
        let deleted = "NOT_FOUND - no queue 'a' in vhost '/'";
        assert_eq!(Says::by(&not_found, deleted), Says::NoQueue);
    }
}
