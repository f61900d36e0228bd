use std::borrow::Borrow;
use std::fmt;
use std::hash::Hash;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

#[cfg(doc)]
use axiomatic_core::Reason;
use axiomatic_core::keyed::{self, Found, Full, Keyed, WhenFull};
use axiomatic_core::mode_cell::ModeCell;
use axiomatic_core::time::Instant;
use axiomatic_core::{Context, Mode, Name, Rejected};

use super::gate::{Gate, Refusal, Sealed};
use super::kept::{Kept, Mould};
use super::{CircuitBreaker, CircuitBreakerLayer, Config, ConfigError, OwnedPermit, UpdateError};

/// A circuit breaker for each key, a host, a tenant or a path, in bounded
/// memory: one bad host does not cost the calls to the good ones.
///
/// Breakers are made when their keys are first asked for. One that is closed,
/// with an empty window and no call under way, gives its place to a new key,
/// once it was stable for so long that it has forgotten how often it opened;
/// one that is open, half-open, ramping or thinning does not before it could
/// have been asked, and was not, for ten of its longest openings; one that is
/// forced or switched never does, nor one to which somebody has a handle. When
/// all places are taken, [`WhenFull`] says what becomes of further keys: they share a
/// breaker, are refused with [`Reason::Full`], or pass unwatched.
///
/// ```
/// use axiomatic_core::Outcome;
/// use axiomatic_core::keyed::WhenFull;
/// use axiomatic_failure::circuit_breaker::{Config, KeyedCircuitBreaker};
/// use std::num::NonZeroU32;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let cap = NonZeroU32::new(10_000).ok_or("no places")?;
/// let hosts: KeyedCircuitBreaker<String> =
///     KeyedCircuitBreaker::new(Config::default().named("hosts"), cap, WhenFull::Shared)?;
/// let permit = hosts.admit_owned("api.example.org", hosts.now())?;
/// permit.record(hosts.now(), Outcome::Success);
/// println!("{}", hosts.snapshot());
/// # Ok(())
/// # }
/// ```
///
/// Keys never enter names: events and metrics of all keys carry the one name
/// of the configuration, and there is no gauge of the state.
/// [`for_each`](KeyedCircuitBreaker::for_each) shows which key is in which.
///
/// Take a window of time. In a window of calls none becomes old, so a key
/// that was called once keeps its place until it is
/// [removed](KeyedCircuitBreaker::remove). And a streak of failures is
/// forgotten with the window: no key keeps its place for one failure.
pub struct KeyedCircuitBreaker<K> {
    shared: Arc<Shared<K>>,
}

struct Shared<K> {
    breakers: Keyed<K, Kept>,
    mould: Arc<Mould>,
    /// Admits whoever is not watched, and reads the clock.
    aside: CircuitBreaker,
    mode: ModeCell,
}

impl<K> KeyedCircuitBreaker<K>
where
    K: Hash + Eq + Send + Sync + 'static,
{
    /// A breaker by `config` for each of at most `cap` keys.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] says which value cannot work, and why.
    pub fn new(config: Config, cap: NonZeroU32, when_full: WhenFull) -> Result<Self, ConfigError> {
        config.check()?;
        let mode = ModeCell::new(config.mode);
        let config = config.compact();
        let aside = CircuitBreaker::from_checked(&Config {
            mode: Mode::Off,
            ..config.clone()
        });
        let mould = Arc::new(Mould::new(config));
        let of_new = Arc::clone(&mould);
        let make = move |_: keyed::Owner<'_, K>| of_new.make();
        Ok(KeyedCircuitBreaker {
            shared: Arc::new(Shared {
                breakers: Keyed::new(cap, when_full, make),
                mould,
                aside,
                mode,
            }),
        })
    }

    /// Asks whether a call for `key` may be made at `now`. A key that is
    /// known is looked up by reference and without allocating.
    ///
    /// # Errors
    ///
    /// [`Rejected`] with [`Reason::Open`] if the key's breaker refuses, with
    /// [`Reason::Full`] if it has none and that was chosen.
    pub fn admit_owned<Q>(&self, key: &Q, now: Instant) -> Result<OwnedPermit, Rejected>
    where
        K: Borrow<Q> + From<Q::Owned>,
        Q: ?Sized + Hash + Eq + ToOwned,
    {
        self.admit_with(key, now, None)
    }

    /// The same for a call with this context, which may have a slow threshold
    /// of its own.
    ///
    /// # Errors
    ///
    /// As [`admit_owned`](KeyedCircuitBreaker::admit_owned).
    pub fn admit_owned_for<Q>(
        &self,
        key: &Q,
        context: &Context,
        now: Instant,
    ) -> Result<OwnedPermit, Rejected>
    where
        K: Borrow<Q> + From<Q::Owned>,
        Q: ?Sized + Hash + Eq + ToOwned,
    {
        self.admit_with(key, now, context.slow_after())
    }

    fn admit_with<Q>(
        &self,
        key: &Q,
        now: Instant,
        slow_after: Option<Duration>,
    ) -> Result<OwnedPermit, Rejected>
    where
        K: Borrow<Q> + From<Q::Owned>,
        Q: ?Sized + Hash + Eq + ToOwned,
    {
        let shared = &*self.shared;
        let mode = shared.mode.load();
        if mode == Mode::Off {
            return shared.aside.admit_owned(now);
        }
        let is_enforced = mode == Mode::Enforce;
        let answer = shared.breakers.with(key, now, |found| match found {
            Found::Own(kept) | Found::Shared(kept) => {
                let breaker = shared.mould.updated(kept);
                if is_enforced {
                    return breaker.admit_reading(|| now, slow_after).map(Some);
                }
                Ok(breaker.admit_unless_refused(now, slow_after))
            }
            Found::Full(Full::Admit) => shared.aside.admit_owned(now).map(Some),
            Found::Full(Full::Refuse) if is_enforced => Err(shared.aside.rejected_as_full()),
            Found::Full(Full::Refuse) => Ok(None),
        });
        match answer {
            Ok(Some(permit)) => Ok(permit),
            Ok(None) => {
                shared.aside.would_refuse();
                shared.aside.admit_owned(now)
            }
            Err(rejected) => Err(rejected),
        }
    }

    /// The breaker of a key, made if it is new: its state, its switches. None
    /// if there is no place for it. Without a place and with
    /// [`WhenFull::Shared`], it is the one that such keys share.
    ///
    /// The key keeps its place as long as there is such a handle, so what is
    /// done to it is done to the key. What a breaker was told apart from the
    /// others by [`update`](CircuitBreaker::update) or
    /// [`set_adaptive_mode`](CircuitBreaker::set_adaptive_mode) goes with it
    /// when it is idle and the handle is gone.
    pub fn breaker<Q>(&self, key: &Q, now: Instant) -> Option<CircuitBreaker>
    where
        K: Borrow<Q> + From<Q::Owned>,
        Q: ?Sized + Hash + Eq + ToOwned,
    {
        let shared = &*self.shared;
        shared.breakers.with(key, now, |found| {
            let kept = found.value()?;
            Some(shared.mould.updated(kept).clone())
        })
    }

    /// Shows every key with its breaker, in no order.
    pub fn for_each(&self, mut each: impl FnMut(&K, &CircuitBreaker)) {
        let shared = &*self.shared;
        shared
            .breakers
            .for_each(|key, kept| each(key, shared.mould.updated(kept)));
    }

    /// Forgets a key, whatever the state of its breaker; false if it was not
    /// there.
    pub fn remove<Q>(&self, key: &Q) -> bool
    where
        K: Borrow<Q>,
        Q: ?Sized + Hash + Eq,
    {
        self.shared.breakers.remove(key)
    }

    /// Evicts every key whose breaker is idle, and returns how many.
    pub fn evict_idle(&self, now: Instant) -> usize {
        self.shared.breakers.evict_idle(now)
    }

    /// Changes the breakers of all keys, those that are made later and those
    /// that are being made: a call that asks after this has returned is judged
    /// by this configuration.
    ///
    /// # Errors
    ///
    /// As [`CircuitBreaker::update`]; nothing was changed then.
    pub fn update(&self, config: &Config) -> Result<(), UpdateError> {
        self.shared.mould.update(config, &self.shared.aside)?;
        // A breaker is brought up to date when it is looked at, and one that
        // nobody asks for should not be the last to know.
        self.for_each(|_, _| {});
        Ok(())
    }

    /// Switches between enforcing, shadowing and standing aside, for all
    /// keys.
    pub fn set_mode(&self, mode: Mode) {
        self.shared.mode.store(mode);
    }

    /// Whether it acts on its decisions.
    pub fn mode(&self) -> Mode {
        self.shared.mode.load()
    }

    /// Places, evictions, and what became of keys without a place.
    pub fn snapshot(&self) -> keyed::Snapshot {
        self.shared.breakers.snapshot()
    }

    /// Calls that would have been refused, had the mode not been shadow.
    pub fn would_refuse(&self) -> u64 {
        self.shared.aside.snapshot().would_refuse()
    }

    /// The name of the breakers.
    pub fn name(&self) -> Name {
        self.shared.aside.name()
    }

    /// Reads the breakers' clock. Only adapters need to.
    pub fn now(&self) -> Instant {
        self.shared.aside.now()
    }

    /// A tower layer that takes the key of each request from `key_of`.
    ///
    /// ```
    /// # use axiomatic_core::{BoxError, keyed::WhenFull};
    /// # use axiomatic_failure::circuit_breaker::{Config, KeyedCircuitBreaker};
    /// # use std::num::NonZeroU32;
    /// # use tower::{Service, ServiceBuilder, ServiceExt, service_fn};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), BoxError> {
    /// # let cap = NonZeroU32::new(100).ok_or("no places")?;
    /// struct Lookup { tenant: u64 }
    ///
    /// let tenants: KeyedCircuitBreaker<u64> =
    ///     KeyedCircuitBreaker::new(Config::default(), cap, WhenFull::Shared)?;
    /// let mut service = ServiceBuilder::new()
    ///     .layer(tenants.layer(|lookup: &Lookup| lookup.tenant))
    ///     .service(service_fn(|lookup: Lookup| async move { Ok::<_, BoxError>(lookup.tenant) }));
    /// assert_eq!(service.ready().await?.call(Lookup { tenant: 7 }).await?, 7);
    /// # Ok(())
    /// # }
    /// ```
    pub fn layer<F>(&self, key_of: F) -> KeyedCircuitBreakerLayer<K, F> {
        CircuitBreakerLayer::new(ByKey {
            breakers: self.clone(),
            key_of,
        })
    }
}

impl<K> Clone for KeyedCircuitBreaker<K> {
    fn clone(&self) -> Self {
        KeyedCircuitBreaker {
            shared: Arc::clone(&self.shared),
        }
    }
}

impl<K> fmt::Debug for KeyedCircuitBreaker<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyedCircuitBreaker")
            .field("name", &self.shared.aside.name())
            .finish_non_exhaustive()
    }
}

/// A layer that asks the breaker of each request's key.
pub type KeyedCircuitBreakerLayer<K, F, E = axiomatic_core::BoxError, B = axiomatic_core::Plain> =
    CircuitBreakerLayer<E, B, ByKey<K, F>>;

/// A service behind a breaker for each key.
pub type KeyedCircuitBreakerService<S, K, F, E, B> =
    super::CircuitBreakerService<S, E, B, ByKey<K, F>>;

/// Breakers by key, and how to tell the key of a request.
///
/// Readiness knows no key, so a service behind it becomes ready with the
/// inner one, whatever state any breaker is in.
pub struct ByKey<K, F> {
    breakers: KeyedCircuitBreaker<K>,
    key_of: F,
}

impl<K, F> ByKey<K, F> {
    /// The breakers.
    pub fn breakers(&self) -> &KeyedCircuitBreaker<K> {
        &self.breakers
    }
}

impl<K, F> Sealed for ByKey<K, F> {}

impl<K, F, Req> Gate<Req> for ByKey<K, F>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    F: Fn(&Req) -> K,
{
    fn look(&self) -> Option<Refusal> {
        None
    }

    fn rejected(&self, refusal: Refusal) -> Rejected {
        self.breakers.shared.aside.rejected(refusal.0)
    }

    fn measures_slowness(&self) -> bool {
        self.breakers.shared.aside.measures_slowness()
    }

    fn admit(&self, request: &Req, slow_after: Option<Duration>) -> Result<OwnedPermit, Rejected> {
        let key = (self.key_of)(request);
        self.breakers
            .admit_with(&key, self.breakers.now(), slow_after)
    }

    fn name(&self) -> Name {
        self.breakers.name()
    }
}

impl<K, F: Clone> Clone for ByKey<K, F> {
    fn clone(&self) -> Self {
        ByKey {
            breakers: self.breakers.clone(),
            key_of: self.key_of.clone(),
        }
    }
}

impl<K, F> fmt::Debug for ByKey<K, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ByKey")
            .field("breakers", &self.breakers)
            .finish_non_exhaustive()
    }
}
