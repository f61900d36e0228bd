//! What goes through a layer under test. Everything has a number, so that
//! "the very same" can be checked.

use std::error::Error;
use std::fmt;

/// A request. No two that the kit makes are equal, so one that comes out of a
/// layer can be told from one that the layer made up.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Request {
    pub(crate) id: u64,
}

impl Request {
    /// The request of this number.
    pub const fn new(id: u64) -> Self {
        Request { id }
    }

    /// Its number.
    pub const fn id(&self) -> u64 {
        self.id
    }
}

/// A response. Like a [`Request`], it is known by a number of its own.
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct Response {
    pub(crate) id: u64,
}

impl Response {
    /// The response of this number.
    pub const fn new(id: u64) -> Self {
        Response { id }
    }

    /// Its number.
    pub const fn id(&self) -> u64 {
        self.id
    }
}

/// The error of a [`Probe`](crate::Probe): a type that no layer can make by accident, with
/// a number, so that "the very same error" can be checked.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub struct Failure {
    pub(crate) id: u64,
}

impl Failure {
    /// Its number.
    pub const fn id(&self) -> u64 {
        self.id
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "scripted failure {}", self.id)
    }
}

impl Error for Failure {}
