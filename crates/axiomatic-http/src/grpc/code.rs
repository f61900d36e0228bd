use std::time::Duration;

use axiomatic_core::Outcome;
use http::{HeaderMap, HeaderValue, StatusCode};

use super::{PUSHBACK, STATUS};

/// What the fields of a head or of trailers say of a call; nothing if they
/// have no `grpc-status`.
pub fn outcome(fields: &HeaderMap) -> Option<Outcome> {
    let outcome = Code::read(fields)?.outcome();
    Some(match (outcome, Pushback::read(fields)) {
        (Outcome::Transient | Outcome::Throttled { .. }, Some(Pushback::Wait(wait))) => {
            Outcome::Throttled {
                retry_after: Some(wait),
            }
        }
        (outcome, _) => outcome,
    })
}

/// A status code of gRPC.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "gRPC documents its codes")]
pub enum Code {
    Ok = 0,
    Cancelled = 1,
    Unknown = 2,
    InvalidArgument = 3,
    DeadlineExceeded = 4,
    NotFound = 5,
    AlreadyExists = 6,
    PermissionDenied = 7,
    ResourceExhausted = 8,
    FailedPrecondition = 9,
    Aborted = 10,
    OutOfRange = 11,
    Unimplemented = 12,
    Internal = 13,
    Unavailable = 14,
    DataLoss = 15,
    Unauthenticated = 16,
}

impl Code {
    /// Every code, by its number.
    pub const ALL: [Code; 17] = [
        Code::Ok,
        Code::Cancelled,
        Code::Unknown,
        Code::InvalidArgument,
        Code::DeadlineExceeded,
        Code::NotFound,
        Code::AlreadyExists,
        Code::PermissionDenied,
        Code::ResourceExhausted,
        Code::FailedPrecondition,
        Code::Aborted,
        Code::OutOfRange,
        Code::Unimplemented,
        Code::Internal,
        Code::Unavailable,
        Code::DataLoss,
        Code::Unauthenticated,
    ];

    /// The code in these fields. One that is not listed, or no number at all,
    /// is [`Code::Unknown`], as for every client of gRPC.
    pub fn read(fields: &HeaderMap) -> Option<Code> {
        let code = |value: &HeaderValue| {
            let number: usize = value.to_str().ok()?.parse().ok()?;
            Code::ALL.get(number).copied()
        };
        let value = fields.get(STATUS)?;
        Some(code(value).unwrap_or(Code::Unknown))
    }

    /// What an HTTP status means where gRPC's own is missing.
    pub const fn of_http(status: StatusCode) -> Code {
        match status.as_u16() {
            400 => Code::Internal,
            401 => Code::Unauthenticated,
            403 => Code::PermissionDenied,
            404 => Code::Unimplemented,
            429 | 502 | 503 | 504 => Code::Unavailable,
            _ => Code::Unknown,
        }
    }

    /// What a call with this code is worth.
    pub const fn outcome(self) -> Outcome {
        match self {
            Code::Ok => Outcome::Success,
            Code::Cancelled => Outcome::Ignored,
            Code::InvalidArgument
            | Code::NotFound
            | Code::AlreadyExists
            | Code::PermissionDenied
            | Code::FailedPrecondition
            | Code::OutOfRange
            | Code::Unimplemented
            | Code::Unauthenticated => Outcome::Permanent,
            Code::ResourceExhausted => Outcome::Throttled { retry_after: None },
            Code::Unknown
            | Code::DeadlineExceeded
            | Code::Aborted
            | Code::Internal
            | Code::Unavailable
            | Code::DataLoss => Outcome::Transient,
        }
    }
}

/// What a server asks of those who would try again.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Pushback {
    /// Not before so long.
    Wait(Duration),
    /// Not at all.
    Never,
}

impl Pushback {
    /// The pushback in these fields.
    pub fn read(fields: &HeaderMap) -> Option<Pushback> {
        let millis = |value: &HeaderValue| -> Option<u32> {
            let millis: i32 = value.to_str().ok()?.parse().ok()?;
            millis.try_into().ok()
        };
        let value = fields.get(PUSHBACK)?;
        Some(match millis(value) {
            Some(millis) => Pushback::Wait(Duration::from_millis(millis.into())),
            None => Pushback::Never,
        })
    }
}
