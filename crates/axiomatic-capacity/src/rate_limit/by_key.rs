use std::borrow::Borrow;
use std::fmt;
use std::marker::PhantomData;
use std::num::NonZeroU32;

use axiomatic_core::allowance::Allowance;
use axiomatic_core::time::{Clock, Instant};
use axiomatic_core::{BoxError, Plain, Reason, Rejected};

use super::gate::{Gate, Sealed};
use super::keyed::Key;
use super::{KeyedRateLimiter, RateLimitLayer};

/// A layer that asks for each request's key.
pub type KeyedRateLimitLayer<K, S, E = BoxError, B = Plain> = RateLimitLayer<E, B, ByKey<K, S>>;

/// Limits by key, and how to tell the key of a request.
pub struct ByKey<K: ?Sized, S> {
    limiter: KeyedRateLimiter<K>,
    selector: S,
}

/// What a request's key is. It is sealed.
pub trait Selector<Req>: Sealed {
    /// What is asked with.
    #[doc(hidden)]
    type Key: ?Sized;

    #[doc(hidden)]
    fn with<T>(&self, request: &Req, ask: impl FnOnce(&Self::Key) -> T) -> T;
}

/// A part of the request is the key.
pub struct Borrowing<F, Q: ?Sized>(F, PhantomData<fn(&Q)>);

/// The key is made from the request.
pub struct Computing<F, Q>(F, PhantomData<fn(Q)>);

impl<F, Q: ?Sized> Sealed for Borrowing<F, Q> {}

impl<F, Q: ?Sized, Req> Selector<Req> for Borrowing<F, Q>
where
    F: Fn(&Req) -> &Q,
{
    type Key = Q;

    #[inline(always)]
    fn with<T>(&self, request: &Req, ask: impl FnOnce(&Q) -> T) -> T {
        ask((self.0)(request))
    }
}

impl<F, Q> Sealed for Computing<F, Q> {}

impl<F, Q, Req> Selector<Req> for Computing<F, Q>
where
    F: Fn(&Req) -> Q,
{
    type Key = Q;

    #[inline(always)]
    fn with<T>(&self, request: &Req, ask: impl FnOnce(&Q) -> T) -> T {
        ask(&(self.0)(request))
    }
}

impl<K: Key + ?Sized> KeyedRateLimiter<K> {
    /// A tower layer that takes the key of each request from `key_of`, which
    /// borrows it: nothing is copied.
    ///
    /// ```
    /// use axiomatic_capacity::rate_limit::keyed::{Config, Table};
    /// use axiomatic_capacity::rate_limit::{KeyedRateLimiter, Quota};
    /// use axiomatic_core::BoxError;
    /// use std::num::NonZeroU32;
    /// use tower::{Service, ServiceBuilder, ServiceExt, service_fn};
    ///
    /// struct Search { tenant: String }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), BoxError> {
    /// let ten = NonZeroU32::new(10).ok_or("nothing")?;
    /// let tenants = NonZeroU32::new(100_000).ok_or("nobody")?;
    /// let each: KeyedRateLimiter<str> =
    ///     Config::new(Quota::per_second(ten), Table::for_keys(tenants)).build()?;
    /// let mut service = ServiceBuilder::new()
    ///     .layer(each.layer(|search: &Search| search.tenant.as_str()))
    ///     .service(service_fn(|search: Search| async move { Ok::<_, BoxError>(search.tenant) }));
    /// let search = Search { tenant: "acme".into() };
    /// assert_eq!(service.ready().await?.call(search).await?, "acme");
    /// # Ok(())
    /// # }
    /// ```
    pub fn layer<Req, Q, F>(&self, key_of: F) -> KeyedRateLimitLayer<K, Borrowing<F, Q>>
    where
        K: Borrow<Q>,
        Q: Key + ?Sized,
        F: Fn(&Req) -> &Q,
    {
        RateLimitLayer::new(self.by(key_of))
    }

    /// The same, where the key is made from the request: a number, an address.
    pub fn layer_computing<Req, Q, F>(&self, key_of: F) -> KeyedRateLimitLayer<K, Computing<F, Q>>
    where
        K: Borrow<Q>,
        Q: Key,
        F: Fn(&Req) -> Q,
    {
        RateLimitLayer::new(self.computing(key_of))
    }

    /// A [`Gate`] for a layer of several limits that decide as one.
    ///
    /// ```
    /// # use axiomatic_capacity::rate_limit::keyed::{self, Table};
    /// # use axiomatic_capacity::rate_limit::{Config, KeyedRateLimiter, Quota, RateLimitLayer};
    /// # use axiomatic_core::BoxError;
    /// # use std::num::NonZeroU32;
    /// # use tower::{Layer, service_fn};
    /// # struct Search { tenant: String }
    /// # fn main() -> Result<(), BoxError> {
    /// # let ten = NonZeroU32::new(10).ok_or("nothing")?;
    /// let all = Config::new(Quota::per_second(ten)).build()?;
    /// let each: KeyedRateLimiter<str> =
    ///     keyed::Config::new(Quota::per_second(ten), Table::for_keys(ten)).build()?;
    /// let tenants = each.by(|search: &Search| search.tenant.as_str());
    /// let layer = RateLimitLayer::new((tenants, all));
    /// # let service = layer.layer(service_fn(|_: Search| async { Ok::<_, BoxError>(()) }));
    /// # fn is_service<S: tower::Service<R>, R>(_: S) {}
    /// # is_service(service);
    /// # Ok(())
    /// # }
    /// ```
    pub fn by<Req, Q, F>(&self, key_of: F) -> ByKey<K, Borrowing<F, Q>>
    where
        K: Borrow<Q>,
        Q: Key + ?Sized,
        F: Fn(&Req) -> &Q,
    {
        self.selecting(Borrowing(key_of, PhantomData))
    }

    /// The same, where the key is made from the request.
    pub fn computing<Req, Q, F>(&self, key_of: F) -> ByKey<K, Computing<F, Q>>
    where
        K: Borrow<Q>,
        Q: Key,
        F: Fn(&Req) -> Q,
    {
        self.selecting(Computing(key_of, PhantomData))
    }

    fn selecting<S>(&self, selector: S) -> ByKey<K, S> {
        ByKey {
            limiter: self.clone(),
            selector,
        }
    }
}

impl<K: ?Sized, S> ByKey<K, S> {
    /// The limits.
    pub fn limiter(&self) -> &KeyedRateLimiter<K> {
        &self.limiter
    }
}

impl<K: ?Sized, S> Sealed for ByKey<K, S> {}

impl<K, S, Req> Gate<Req> for ByKey<K, S>
where
    K: Key + Borrow<S::Key> + ?Sized,
    S: Selector<Req>,
    S::Key: Key,
{
    /// How much, of the request's key; nothing, if it was let in uncounted.
    type Taken = Option<NonZeroU32>;

    fn peek(&self, request: &Req, now: Instant, cost: NonZeroU32) -> Result<(), Rejected> {
        // Who takes is told when; this only keeps others from being asked.
        self.selector
            .with(request, |key| self.limiter.would_admit(key, now, cost))
    }

    #[inline(always)]
    fn take(&self, request: &Req, now: Instant, cost: NonZeroU32) -> Result<Self::Taken, Rejected> {
        self.selector
            .with(request, |key| self.limiter.admit_weighing(key, now, cost))
            .map(|permit| permit.left().map(|_| cost))
    }

    fn give_back(&self, request: &Req, taken: Self::Taken, now: Instant) {
        let Some(cost) = taken else {
            return;
        };
        self.selector
            .with(request, |key| self.limiter.refund(key, now, cost));
    }

    fn left(&self, request: &Req, now: Instant) -> Allowance {
        let left = self
            .selector
            .with(request, |key| self.limiter.peek(key, now));
        let quota = self.limiter.quota();
        let policy = quota.policy(self.limiter.name());
        // One comes back in this time, and the next may be nearer.
        Allowance::new(policy, left.into(), quota.interval())
    }

    fn turn_away(&self, reason: Reason) -> Rejected {
        self.limiter.turn_away(reason)
    }

    fn rejected(&self, reason: Reason) -> Rejected {
        self.limiter.rejected(reason)
    }

    #[inline(always)]
    fn clock(&self) -> &Clock {
        self.limiter.clock()
    }
}

impl<K: ?Sized, S: Clone> Clone for ByKey<K, S> {
    fn clone(&self) -> Self {
        ByKey {
            limiter: self.limiter.clone(),
            selector: self.selector.clone(),
        }
    }
}

impl<F: Clone, Q: ?Sized> Clone for Borrowing<F, Q> {
    fn clone(&self) -> Self {
        Borrowing(self.0.clone(), PhantomData)
    }
}

impl<F: Clone, Q> Clone for Computing<F, Q> {
    fn clone(&self) -> Self {
        Computing(self.0.clone(), PhantomData)
    }
}

impl<K: ?Sized, S> fmt::Debug for ByKey<K, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ByKey")
            .field("limiter", &self.limiter)
            .finish_non_exhaustive()
    }
}

impl<F, Q: ?Sized> fmt::Debug for Borrowing<F, Q> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Borrowing").finish_non_exhaustive()
    }
}

impl<F, Q> fmt::Debug for Computing<F, Q> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Computing").finish_non_exhaustive()
    }
}
