use std::sync::Arc;

use axiomatic_core::allowance::Policy;
use axiomatic_core::{Name, Reason, Rejected};
use http::{HeaderValue, Response};

use super::respond::respond;
use super::spread::Spread;
use crate::rate_limit;

/// How a refusal is put into words: how its wait is spread, and which policies
/// it may name.
#[derive(Clone, Debug)]
pub(super) struct Wording {
    pub(super) spread: Spread,
    announced: Option<Arc<[Announced]>>,
}

/// A policy that callers may know of, and the value that tells them.
#[derive(Debug)]
struct Announced {
    name: Name,
    policy: HeaderValue,
}

impl Wording {
    pub(super) const fn new() -> Self {
        Wording {
            spread: Spread::Own,
            announced: None,
        }
    }

    pub(super) fn announce(&mut self, policies: impl IntoIterator<Item = Policy>) {
        let policies = policies.into_iter().map(|policy| Announced {
            name: policy.name(),
            policy: rate_limit::policy_value(&policy),
        });
        self.announced = Some(policies.collect());
    }

    pub(super) fn respond<B: From<&'static str>>(&self, rejected: &Rejected) -> Response<B> {
        let mut response = respond(rejected, |wait| self.spread.value(wait));
        if let Some(Announced { name, policy }) = self.announced(rejected) {
            let headers = response.headers_mut();
            headers.insert(&rate_limit::POLICY, policy.clone());
            // Until then, and not until when it is best to come back: that is
            // spread, and may be later.
            let limit = rate_limit::limit_value(*name, 0, rejected.retry_after());
            headers.insert(&rate_limit::LIMIT, limit);
        }
        response
    }

    /// The policy by which a call was refused, if callers may know of it.
    fn announced(&self, rejected: &Rejected) -> Option<&Announced> {
        let announced = self.announced.as_deref()?;
        let mut policies = announced.iter();
        policies
            .find(|policy| rejected.reason() == Reason::Limited && policy.name == rejected.name())
    }
}
