use std::borrow::Borrow;
use std::fmt;
#[cfg(feature = "keyed")]
use std::hash::Hash;
use std::marker::PhantomData;
use std::num::NonZeroU32;

use axiomatic_core::allowance::Allowance;
use axiomatic_core::time::{Clock, Instant};
use axiomatic_core::{BoxError, Mode, Plain, Reason, Rejected};

#[cfg(feature = "keyed")]
use super::ExactKeyedRateLimiter;
use super::gate::{Gate, Sealed};
use super::keyed::{Key, Permit};
use super::{KeyedRateLimiter, RateLimitLayer};

/// A layer that asks for each request's key. `L` is what limits: a
/// [`KeyedRateLimiter`], or the exact one.
pub type KeyedRateLimitLayer<L, S, E = BoxError, B = Plain> = RateLimitLayer<E, B, ByKey<L, S>>;

/// Limits by key, and how to tell the key of a request.
#[derive(Clone)]
pub struct ByKey<L, S> {
    limiter: L,
    selector: S,
}

/// What limits by key, and is asked with a `Q`. It is sealed.
pub trait LimitsByKey<Q: ?Sized>: Sealed {
    #[doc(hidden)]
    fn ask(&self, key: &Q, now: Instant, cost: NonZeroU32) -> Result<Permit, Rejected>;

    #[doc(hidden)]
    fn left_to(&self, key: &Q, now: Instant) -> u32;

    #[doc(hidden)]
    fn put_back(&self, key: &Q, now: Instant, cost: NonZeroU32);

    /// What it allows whom, in the time in which one comes back.
    #[doc(hidden)]
    fn allowing(&self, left: u32) -> Allowance;

    #[doc(hidden)]
    fn is_enforcing(&self) -> bool;

    #[doc(hidden)]
    fn time(&self) -> &Clock;

    #[doc(hidden)]
    fn say(&self, reason: Reason) -> Rejected;

    #[doc(hidden)]
    fn say_and_count(&self, reason: Reason) -> Rejected;
}

/// What both limiters have besides their keys.
macro_rules! limits_by_key {
    () => {
        #[inline(always)]
        fn ask(&self, key: &Q, now: Instant, cost: NonZeroU32) -> Result<Permit, Rejected> {
            self.admit_weighing(key, now, cost)
        }

        fn left_to(&self, key: &Q, now: Instant) -> u32 {
            self.peek(key, now)
        }

        fn put_back(&self, key: &Q, now: Instant, cost: NonZeroU32) {
            self.refund(key, now, cost);
        }

        fn allowing(&self, left: u32) -> Allowance {
            let quota = self.quota();
            // One comes back in this time, and the next may be nearer.
            Allowance::new(quota.policy(self.name()), left.into(), quota.interval())
        }

        fn is_enforcing(&self) -> bool {
            self.mode() == Mode::Enforce
        }

        #[inline(always)]
        fn time(&self) -> &Clock {
            self.clock()
        }

        fn say(&self, reason: Reason) -> Rejected {
            self.rejected(reason)
        }

        fn say_and_count(&self, reason: Reason) -> Rejected {
            self.turn_away(reason)
        }
    };
}

impl<K: ?Sized> Sealed for KeyedRateLimiter<K> {}

impl<K, Q> LimitsByKey<Q> for KeyedRateLimiter<K>
where
    K: Key + Borrow<Q> + ?Sized,
    Q: Key + ?Sized,
{
    limits_by_key!();
}

#[cfg(feature = "keyed")]
impl<K> Sealed for ExactKeyedRateLimiter<K> {}

#[cfg(feature = "keyed")]
impl<K, Q> LimitsByKey<Q> for ExactKeyedRateLimiter<K>
where
    K: Hash + Eq + Borrow<Q> + From<Q::Owned> + Send + Sync + 'static,
    Q: Hash + Eq + ToOwned + ?Sized,
{
    limits_by_key!();
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

/// The layers of both.
macro_rules! layers_by_key {
    () => {
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
        pub fn layer<Req, Q, F>(&self, key_of: F) -> KeyedRateLimitLayer<Self, Borrowing<F, Q>>
        where
            Q: ?Sized,
            F: Fn(&Req) -> &Q,
        {
            RateLimitLayer::new(self.by(key_of))
        }

        /// The same, where the key is made from the request: a number, an address.
        pub fn layer_computing<Req, Q, F>(
            &self,
            key_of: F,
        ) -> KeyedRateLimitLayer<Self, Computing<F, Q>>
        where
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
        pub fn by<Req, Q, F>(&self, key_of: F) -> ByKey<Self, Borrowing<F, Q>>
        where
            Q: ?Sized,
            F: Fn(&Req) -> &Q,
        {
            ByKey::new(self.clone(), Borrowing(key_of, PhantomData))
        }

        /// The same, where the key is made from the request.
        pub fn computing<Req, Q, F>(&self, key_of: F) -> ByKey<Self, Computing<F, Q>>
        where
            F: Fn(&Req) -> Q,
        {
            ByKey::new(self.clone(), Computing(key_of, PhantomData))
        }
    };
}

impl<K: Key + ?Sized> KeyedRateLimiter<K> {
    layers_by_key!();
}

#[cfg(feature = "keyed")]
impl<K: Hash + Eq + Send + Sync + 'static> ExactKeyedRateLimiter<K> {
    layers_by_key!();
}

impl<L, S> ByKey<L, S> {
    fn new(limiter: L, selector: S) -> Self {
        ByKey { limiter, selector }
    }

    /// The limits.
    pub fn limiter(&self) -> &L {
        &self.limiter
    }
}

impl<L, S> Sealed for ByKey<L, S> {}

impl<L, S, Req> Gate<Req> for ByKey<L, S>
where
    L: LimitsByKey<S::Key>,
    S: Selector<Req>,
{
    /// How much, of the request's key; nothing, if it was let in uncounted.
    type Taken = Option<NonZeroU32>;

    fn peek(&self, request: &Req, now: Instant, cost: NonZeroU32) -> Result<(), Rejected> {
        let limiter = &self.limiter;
        self.selector.with(request, |key| {
            if !limiter.is_enforcing() || limiter.left_to(key, now) >= cost.get() {
                return Ok(());
            }
            // A refusal spends nothing, and knows why and until when.
            if limiter.ask(key, now, cost)?.left().is_some() {
                limiter.put_back(key, now, cost);
            }
            Ok(())
        })
    }

    #[inline(always)]
    fn take(&self, request: &Req, now: Instant, cost: NonZeroU32) -> Result<Self::Taken, Rejected> {
        self.selector
            .with(request, |key| self.limiter.ask(key, now, cost))
            .map(|permit| permit.left().map(|_| cost))
    }

    fn give_back(&self, request: &Req, taken: Self::Taken, now: Instant) {
        let Some(cost) = taken else {
            return;
        };
        self.selector
            .with(request, |key| self.limiter.put_back(key, now, cost));
    }

    fn left(&self, request: &Req, now: Instant) -> Allowance {
        let left = self
            .selector
            .with(request, |key| self.limiter.left_to(key, now));
        self.limiter.allowing(left)
    }

    fn turn_away(&self, reason: Reason) -> Rejected {
        self.limiter.say_and_count(reason)
    }

    fn rejected(&self, reason: Reason) -> Rejected {
        self.limiter.say(reason)
    }

    #[inline(always)]
    fn clock(&self) -> &Clock {
        self.limiter.time()
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

impl<L: fmt::Debug, S> fmt::Debug for ByKey<L, S> {
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
