//! What is left of a rate, in header fields.

mod client;
mod members;
mod read;
#[cfg(test)]
mod tests;
mod write;

use axiomatic_core::Allowance;
use axiomatic_core::allowance::{Announce, Heard, Heed};
use http::{HeaderName, Response};

use crate::Http;
use std::time::SystemTime;

pub use client::{client_key, forwarded_for};
pub use read::heed;
pub use write::{announce, limit_value, policy_value};

/// What a limiter promises: a list of policies.
pub static POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// What is left: a list, with what is left under each policy.
pub static LIMIT: HeaderName = HeaderName::from_static("ratelimit");

/// The largest number that is written: an integer of structured fields has 15
/// digits (RFC 9651, 3.3.1).
const MOST: u64 = 999_999_999_999_999;

impl<B> Announce<Response<B>> for Http {
    fn announce(&self, response: &mut Response<B>, allowance: impl FnOnce() -> Allowance) {
        announce(response.headers_mut(), &allowance());
    }
}

impl<B> Heed<Response<B>> for Http {
    fn heed(&self, response: &Response<B>) -> Option<Heard> {
        heed(response.status(), response.headers(), SystemTime::now)
    }
}
