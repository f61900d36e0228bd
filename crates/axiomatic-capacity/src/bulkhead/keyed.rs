use std::borrow::Borrow;
use std::fmt;
use std::hash::Hash;
use std::num::NonZeroU32;
use std::sync::Arc;

use axiomatic_core::keyed::{self, Found, Full, Idle, Keyed, WhenFull as WhenCrowded};
use axiomatic_core::mode_cell::ModeCell;
use axiomatic_core::number_cell::Setting;
use axiomatic_core::time::{Clock, Instant};
use axiomatic_core::{Mode, Name, Reason, Rejected};

use super::{
    Admission, Ask, Bulkhead, BulkheadLayer, ByKey, Config, ConfigError, KeyedBulkheadLayer,
    OwnedPermit,
};
use crate::gate::Token;

/// A bulkhead for each key, a tenant, a host or a path, in bounded memory: one
/// that is slow takes nobody else's slots.
///
/// Bulkheads are made when their keys are first asked for. One with nothing in
/// flight and nobody waiting gives its place to a new key, unless somebody has
/// a handle to it, or it was switched or given a limit of its own. When all places are taken,
/// [`WhenFull`](keyed::WhenFull) says what becomes of further keys: they share
/// a bulkhead, are refused with [`Reason::Full`], or pass without a limit.
///
/// ```
/// use axiomatic_capacity::bulkhead::{Ask, Config, KeyedBulkhead};
/// use axiomatic_core::keyed::WhenFull;
/// use std::num::NonZeroU32;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let each = NonZeroU32::new(5).ok_or("no slots")?;
/// let cap = NonZeroU32::new(10_000).ok_or("no places")?;
/// let tenants: KeyedBulkhead<String> =
///     KeyedBulkhead::new(Config::new(each).named("tenants"), cap, WhenFull::Shared)?;
/// let permit = tenants.admit("acme", Ask::default())?;
/// println!("{}", tenants.snapshot());
/// # Ok(())
/// # }
/// ```
///
/// Keys never enter names: events and metrics of all keys carry the one name of
/// the configuration. What waits for a slot needs memory for each key: take few
/// places.
pub struct KeyedBulkhead<K> {
    shared: Arc<Store<K>>,
}

struct Store<K> {
    bulkheads: Keyed<K, Kept>,
    /// The limit of each, as it was changed last.
    limit: Arc<Setting>,
    /// Admits whoever has no limit, and counts whoever has no place.
    aside: Bulkhead,
    mode: ModeCell,
}

/// The bulkhead of a key, or the one of those for which there is no place.
struct Kept {
    bulkhead: Bulkhead,
    /// The limit that it was given last.
    has: Setting,
}

impl<K> Store<K> {
    /// A permit of one that would be refused, or would wait.
    fn would_refuse(&self, weight: u32) -> OwnedPermit {
        let core = &self.aside.0.core;
        OwnedPermit::begin(core.hold(), core.would_refuse(weight))
    }
}

impl Idle for Kept {
    fn is_idle(&self, _: Instant) -> bool {
        let core = &self.bulkhead.0.core;
        // In this order: a call gives its slot back before it lets go.
        !core.is_held()
            && core.slots.taken() == 0
            && self.bulkhead.mode() == Mode::Enforce
            && u64::from(core.slots.limit()) == self.has.load()
    }
}

impl<K> KeyedBulkhead<K>
where
    K: Hash + Eq + Send + Sync + 'static,
{
    /// A bulkhead by `config` for each of at most `cap` keys.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] says which value cannot work, and why.
    pub fn new(
        config: Config,
        cap: NonZeroU32,
        when_full: WhenCrowded,
    ) -> Result<Self, ConfigError> {
        let aside = config.clone().mode(Mode::Off).build_compact()?;
        let mode = ModeCell::new(config.settings.mode);
        let limit = Arc::new(Setting::new(u64::from(config.limit.get())));
        let of_new = Arc::clone(&limit);
        let config = config.mode(Mode::Enforce);
        let make = move |_: keyed::Owner<'_, K>| {
            let mut config = config.clone();
            let limit = u32::try_from(of_new.load()).ok().and_then(NonZeroU32::new);
            config.limit = limit.unwrap_or(config.limit);
            Kept {
                has: Setting::new(u64::from(config.limit.get())),
                bulkhead: config
                    .build_compact()
                    .expect("one was built by the same configuration"),
            }
        };
        Ok(KeyedBulkhead {
            shared: Arc::new(Store {
                bulkheads: Keyed::new(cap, when_full, make),
                limit,
                aside,
                mode,
            }),
        })
    }

    /// Asks for a slot of a key. One that is known is looked up by reference
    /// and without allocating.
    ///
    /// # Errors
    ///
    /// [`Rejected`] with [`Reason::Full`] if the key has no slot left, or no
    /// bulkhead and that was chosen.
    pub fn admit<Q>(&self, key: &Q, ask: Ask) -> Result<OwnedPermit, Rejected>
    where
        K: Borrow<Q> + From<Q::Owned>,
        Q: ?Sized + Hash + Eq + ToOwned,
    {
        self.with(
            key,
            ask,
            |permit| permit,
            |bulkhead| bulkhead.admit_owned(ask),
        )
    }

    /// Asks for a slot of a key, and has a place in its queue if there is none.
    ///
    /// # Errors
    ///
    /// As [`admit`](KeyedBulkhead::admit), and
    /// [`Bulkhead::admit_or_wait`].
    pub fn admit_or_wait<Q>(&self, key: &Q, ask: Ask) -> Result<Admission, Rejected>
    where
        K: Borrow<Q> + From<Q::Owned>,
        Q: ?Sized + Hash + Eq + ToOwned,
    {
        self.with(key, ask, Admission::Admitted, |bulkhead| {
            bulkhead.admit_or_wait(ask)
        })
    }

    fn with<Q, T>(
        &self,
        key: &Q,
        ask: Ask,
        admitted: impl Fn(OwnedPermit) -> T,
        admit: impl Fn(&Bulkhead) -> Result<T, Rejected>,
    ) -> Result<T, Rejected>
    where
        K: Borrow<Q> + From<Q::Owned>,
        Q: ?Sized + Hash + Eq + ToOwned,
    {
        let store = &*self.shared;
        let (mode, weight) = (store.mode.load(), ask.weight.get());
        if mode == Mode::Off {
            return admit(&store.aside);
        }
        store.bulkheads.with(key, now(), |found| match found {
            Found::Own(kept) | Found::Shared(kept) => {
                let bulkhead = kept.updated(&store.limit);
                let core = &bulkhead.0.core;
                if mode == Mode::Enforce || core.mode.load() != Mode::Enforce {
                    return admit(bulkhead);
                }
                let taken = core.slots.try_take(bulkhead.0.line, weight);
                Ok(admitted(match taken {
                    Some(taken) => OwnedPermit::begin(core.hold(), Token::of(taken)),
                    None => store.would_refuse(weight),
                }))
            }
            Found::Full(Full::Refuse) if mode == Mode::Enforce => {
                Err(store.aside.0.core.refuse(Reason::Full))
            }
            Found::Full(Full::Refuse) => Ok(admitted(store.would_refuse(weight))),
            Found::Full(Full::Admit) => admit(&store.aside),
        })
    }

    /// The bulkhead of a key, made if it is new. None if there is no place for
    /// it. The key keeps its place as long as there is such a handle.
    pub fn bulkhead<Q>(&self, key: &Q) -> Option<Bulkhead>
    where
        K: Borrow<Q> + From<Q::Owned>,
        Q: ?Sized + Hash + Eq + ToOwned,
    {
        let store = &*self.shared;
        store.bulkheads.with(key, now(), |found| {
            let kept = found.value()?;
            Some(kept.updated(&store.limit).clone())
        })
    }

    /// Shows every key with its bulkhead, in no order.
    pub fn for_each(&self, mut each: impl FnMut(&K, &Bulkhead)) {
        let store = &*self.shared;
        let limit = &store.limit;
        store
            .bulkheads
            .for_each(|key, kept| each(key, kept.updated(limit)));
    }

    /// Forgets a key, whatever it has in flight; false if it was not there.
    pub fn remove<Q>(&self, key: &Q) -> bool
    where
        K: Borrow<Q>,
        Q: ?Sized + Hash + Eq,
    {
        self.shared.bulkheads.remove(key)
    }

    /// Evicts every key with nothing in flight, and returns how many.
    pub fn evict_idle(&self) -> usize {
        self.shared.bulkheads.evict_idle(now())
    }

    /// Changes the limit of every key, and of those that are made later, to at
    /// most [`Config::MOST`].
    pub fn resize(&self, limit: NonZeroU32) {
        let slots = limit.get().min(Config::MOST);
        self.shared.limit.store(u64::from(slots));
        // A bulkhead is brought up to date when it is looked at, and who waits
        // at one that nobody asks for should not be the last to know.
        self.for_each(|_, _| {});
    }

    /// Switches between enforcing, shadowing and standing aside, for all keys.
    pub fn set_mode(&self, mode: Mode) {
        self.shared.mode.store(mode);
    }

    /// Whether it acts on its decisions.
    pub fn mode(&self) -> Mode {
        self.shared.mode.load()
    }

    /// Places, evictions, and what became of keys without a place.
    pub fn snapshot(&self) -> keyed::Snapshot {
        self.shared.bulkheads.snapshot()
    }

    /// Calls that would have been refused, had the mode not been shadow.
    pub fn would_refuse(&self) -> u64 {
        self.shared.aside.snapshot().would_refuse()
    }

    /// The name of the bulkheads.
    pub fn name(&self) -> Name {
        self.shared.aside.name()
    }

    /// A tower layer that takes the key of each request from `key_of`, and
    /// refuses what finds no slot.
    ///
    /// ```
    /// # use axiomatic_capacity::bulkhead::{Config, KeyedBulkhead};
    /// # use axiomatic_core::{BoxError, keyed::WhenFull};
    /// # use std::num::NonZeroU32;
    /// # use tower::{Service, ServiceBuilder, ServiceExt, service_fn};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), BoxError> {
    /// # let cap = NonZeroU32::new(100).ok_or("no places")?;
    /// # let each = NonZeroU32::new(5).ok_or("no slots")?;
    /// struct Lookup { tenant: u64 }
    ///
    /// let tenants: KeyedBulkhead<u64> =
    ///     KeyedBulkhead::new(Config::new(each), cap, WhenFull::Shared)?;
    /// let mut service = ServiceBuilder::new()
    ///     .layer(tenants.layer(|lookup: &Lookup| lookup.tenant))
    ///     .service(service_fn(|lookup: Lookup| async move { Ok::<_, BoxError>(lookup.tenant) }));
    /// assert_eq!(service.ready().await?.call(Lookup { tenant: 7 }).await?, 7);
    /// # Ok(())
    /// # }
    /// ```
    pub fn layer<F>(&self, key_of: F) -> KeyedBulkheadLayer<K, F> {
        BulkheadLayer::new(self.by_key(key_of))
    }

    /// The same, whose calls wait for a slot of their key.
    #[cfg(feature = "tokio")]
    pub fn queued_layer<F>(
        &self,
        key_of: F,
    ) -> super::QueuedBulkheadLayer<axiomatic_core::BoxError, axiomatic_core::Plain, ByKey<K, F>>
    {
        super::QueuedBulkheadLayer::new(self.by_key(key_of))
    }

    fn by_key<F>(&self, key_of: F) -> ByKey<K, F> {
        ByKey::new(self.clone(), key_of)
    }

    /// A refusal in words.
    pub(super) fn rejected(&self, reason: Reason) -> Rejected {
        self.shared.aside.0.core.rejected(reason)
    }
}

impl Kept {
    /// The bulkhead, with the limit that all were given last.
    #[inline]
    fn updated(&self, limit: &Setting) -> &Bulkhead {
        if self.has.load() != limit.load() {
            self.resize(limit);
        }
        &self.bulkhead
    }

    /// Of two that race, the one with the older limit may come last. It has
    /// taken the lock of the slots after the other, and so sees the newer limit
    /// when it looks again. What `has` says may then be the older one: the next
    /// look mends it.
    #[cold]
    fn resize(&self, limit: &Setting) {
        loop {
            let given = limit.load();
            let slots = u32::try_from(given).unwrap_or(Config::MOST);
            // One of thousands tells of nothing.
            self.bulkhead.0.core.slots.resize(slots);
            self.has.store(given);
            if limit.load() == given {
                return;
            }
        }
    }
}

/// For the store's own sake, which asks for the time of nothing that matters
/// here.
fn now() -> Instant {
    Clock::Coarse.now()
}

impl<K> Clone for KeyedBulkhead<K> {
    fn clone(&self) -> Self {
        KeyedBulkhead {
            shared: Arc::clone(&self.shared),
        }
    }
}

impl<K> fmt::Debug for KeyedBulkhead<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyedBulkhead")
            .field("name", &self.shared.aside.name())
            .finish_non_exhaustive()
    }
}
