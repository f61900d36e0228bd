use std::fmt;
use std::num::NonZeroU32;
use std::sync::{Arc, OnceLock};

use axiomatic_core::mode_cell::ModeCell;
use axiomatic_core::time::Instant;
use axiomatic_core::{BoxError, Mode, Name, Plain, Rejected};
use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};

use super::config::Parts;
use super::core::{AtOnce, Core, Counts};
use super::gcra::Limit;
use super::leases::Leases;
use super::shares::Shares;
use super::store::Store;
use super::telemetry::Telemetry;
use super::{
    ByKey, Claim, Config, ConfigError, ConnectError, Decision, OnFailure, RedisRateLimitLayer,
    SharedQuota, Snapshot, Standing,
};
use axiomatic_capacity::rate_limit::Quota;

/// A rate limiter whose quota all processes share: see [the module](super).
///
/// It is a handle, and its clones are the same limiter.
#[derive(Clone)]
pub struct RedisRateLimiter(Arc<Handle>);

struct Handle {
    core: Arc<Core>,
    /// Dropped with the last handle, which tells the task that gives leases
    /// back; there is one once there are leases.
    alive: OnceLock<oneshot::Sender<()>>,
}

impl RedisRateLimiter {
    /// Connects, and sees that Redis answers.
    ///
    /// A process that has to start while Redis is away uses
    /// [`Config::build`], which connects when it is first needed.
    ///
    /// # Errors
    ///
    /// [`ConnectError`] says whether the configuration cannot work or Redis
    /// cannot be reached.
    pub async fn connect(
        address: impl redis::IntoConnectionInfo,
        config: Config,
    ) -> Result<Self, ConnectError> {
        let client = redis::Client::open(address).map_err(ConnectError::Redis)?;
        let longest = config.connect_timeout;
        let limiter = config.build(client)?;
        match timeout(longest, limiter.0.core.store.connect()).await {
            Ok(Ok(())) => Ok(limiter),
            Ok(Err(error)) => Err(ConnectError::Redis(error)),
            Err(_) => Err(ConnectError::Elapsed),
        }
    }

    pub(super) fn assemble(client: redis::Client, config: Config, parts: Parts) -> Self {
        let is_shared = matches!(config.on_failure, OnFailure::LocalShare { .. });
        let core = Core {
            name: config.name,
            mode: ModeCell::new(config.mode),
            on_failure: config.on_failure,
            prefix: parts.prefix,
            own: SharedQuota {
                limit: parts.limit,
                share: parts.share,
            },
            store: Store::new(
                client,
                parts.breaker,
                config.clock.clone(),
                (config.timeout, config.connect_timeout),
            ),
            clock: config.clock,
            leases: config.lease.map(|lease| Leases::new(lease, config.keys)),
            shares: is_shared.then(|| Shares::new(config.keys)),
            telemetry: Telemetry::new(config.name),
            counts: Counts::new(),
        };
        RedisRateLimiter(Arc::new(Handle {
            core: Arc::new(core),
            alive: OnceLock::new(),
        }))
    }

    /// Asks whether a call of a key may be made.
    ///
    /// It takes as long as Redis takes to answer, and no longer than the
    /// timeout; nothing if a lease pays, or while Redis is left alone. A future
    /// that is dropped may have taken a token.
    ///
    /// ```no_run
    /// # use axiomatic_capacity::rate_limit::Quota;
    /// # use axiomatic_redis::rate_limit::{Config, OnFailure, RedisRateLimiter};
    /// # use std::num::NonZeroU32;
    /// # async fn f() -> Result<(), Box<dyn std::error::Error>> {
    /// # let hundred = NonZeroU32::new(100).ok_or("nothing")?;
    /// let config = Config::new("api", Quota::per_second(hundred), OnFailure::FailClosed);
    /// let limiter = RedisRateLimiter::connect("redis://127.0.0.1/", config).await?;
    /// let decision = limiter.admit("tenant 7").await?;
    /// println!("{:?} left", decision.remaining());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Rejected`] with [`Reason::Limited`](axiomatic_core::Reason::Limited)
    /// if the quota is spent, and how long to wait;
    /// [`Reason::Unreachable`](axiomatic_core::Reason::Unreachable) if Redis is
    /// away and it is to fail closed.
    pub async fn admit<K: AsRef<[u8]> + ?Sized>(&self, key: &K) -> Result<Decision, Rejected> {
        self.admit_weighing(key, NonZeroU32::MIN).await
    }

    /// The same for a call that costs more than one. One that costs more than
    /// the burst is refused without a time to wait, since that time never
    /// comes.
    ///
    /// # Errors
    ///
    /// As [`admit`](RedisRateLimiter::admit).
    pub async fn admit_weighing<K: AsRef<[u8]> + ?Sized>(
        &self,
        key: &K,
        cost: NonZeroU32,
    ) -> Result<Decision, Rejected> {
        let key = key.as_ref();
        let at_once = self.0.core.at_once(key, cost);
        self.decide(key, cost, at_once, None).await
    }

    /// Asks several limits as one decision, in one round trip: all of them
    /// have room, or none is charged. Leases have no part in it. No limits at
    /// all have room.
    ///
    /// ```no_run
    /// # use axiomatic_capacity::rate_limit::Quota;
    /// # use axiomatic_redis::rate_limit::{Claim, RedisRateLimiter};
    /// # use std::num::NonZeroU32;
    /// # async fn f(limiter: RedisRateLimiter) -> Result<(), Box<dyn std::error::Error>> {
    /// # let thousand = NonZeroU32::new(1000).ok_or("nothing")?;
    /// let global = limiter.quota(Quota::per_second(thousand))?;
    /// limiter
    ///     .admit_all(&[Claim::of("global").by(global), Claim::of("tenant 7")])
    ///     .await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`admit`](RedisRateLimiter::admit), with the longest of the times to
    /// wait.
    pub async fn admit_all(&self, claims: &[Claim<'_>]) -> Result<Decision, Rejected> {
        self.0.core.decide_all(claims).await
    }

    /// A quota for claims, beside the limiter's own.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] if it cannot be kept, or not be shared.
    pub fn quota(&self, quota: Quota) -> Result<SharedQuota, ConfigError> {
        Ok(SharedQuota {
            limit: Limit::new(quota).map_err(ConfigError::Quota)?,
            share: self.0.core.on_failure.share(quota)?,
        })
    }

    /// Where a key stands, without taking anything; none while Redis is away.
    pub async fn peek<K: AsRef<[u8]> + ?Sized>(&self, key: &K) -> Option<Standing> {
        self.0.core.peek(key.as_ref()).await
    }

    /// Gives back what a call took that was not made after all, and says
    /// whether Redis was told. Give back no more than was admitted by
    /// [`Source::Store`](super::Source::Store) or
    /// [`Source::Lease`](super::Source::Lease), or more will pass than the
    /// quota says.
    pub async fn refund<K: AsRef<[u8]> + ?Sized>(&self, key: &K, count: NonZeroU32) -> bool {
        self.0.core.refund(key.as_ref(), count).await
    }

    /// Gives back what all leases hold. The last handle that is dropped does
    /// so too, if its runtime lives on; at the end of a process, wait for this.
    pub async fn close(&self) {
        self.0.core.give_leases(None).await;
    }

    /// What it is like now.
    pub fn snapshot(&self) -> Snapshot {
        self.0.core.snapshot()
    }

    /// The limiter's name.
    pub fn name(&self) -> Name {
        self.0.core.name
    }

    /// Whether it acts on its decisions.
    pub fn mode(&self) -> Mode {
        self.0.core.mode.load()
    }

    /// Switches between enforcing, shadowing and standing aside, in this
    /// process.
    pub fn set_mode(&self, mode: Mode) {
        self.0.core.mode.store(mode);
    }

    /// A tower layer that takes the key of each request from `key_of`, which
    /// borrows it; each call waits for Redis, and is refused or made.
    ///
    /// A call whose deadline has passed is refused with
    /// [`Reason::Expired`](axiomatic_core::Reason::Expired) and costs nothing.
    /// One whose deadline passes in the wait is refused then, and may have been
    /// charged: Redis has the question by then.
    ///
    /// ```
    /// # use axiomatic_core::BoxError;
    /// # use axiomatic_redis::rate_limit::RedisRateLimiter;
    /// # use tower::{Service, ServiceBuilder, ServiceExt, service_fn};
    /// # async fn f(limiter: RedisRateLimiter) -> Result<(), BoxError> {
    /// struct Lookup { tenant: String }
    ///
    /// let mut service = ServiceBuilder::new()
    ///     .layer(limiter.layer(|lookup: &Lookup| lookup.tenant.as_str()))
    ///     .service(service_fn(|lookup: Lookup| async move { Ok::<_, BoxError>(lookup.tenant) }));
    /// service.ready().await?.call(Lookup { tenant: "7".into() }).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn layer<Req, F>(&self, key_of: F) -> RedisRateLimitLayer<BoxError, Plain, ByKey<F>>
    where
        F: Fn(&Req) -> &str,
    {
        RedisRateLimitLayer::new(self.clone(), ByKey::new(key_of))
    }

    pub(super) fn at_once_before(
        &self,
        deadline: Option<Instant>,
        key: &[u8],
        cost: NonZeroU32,
    ) -> AtOnce {
        self.0.core.at_once_before(deadline, key, cost)
    }

    pub(super) async fn decide(
        &self,
        key: &[u8],
        cost: NonZeroU32,
        at_once: AtOnce,
        deadline: Option<Instant>,
    ) -> Result<Decision, Rejected> {
        if let AtOnce::Refill(_) = at_once {
            self.0.keep_leases();
        }
        self.0.core.decide(key, cost, at_once, deadline).await
    }
}

impl Handle {
    /// Begins to give back what expires, with the first lease: only then there
    /// is a runtime for certain.
    fn keep_leases(&self) {
        let Some(leases) = &self.core.leases else {
            return;
        };
        self.alive.get_or_init(|| {
            let (alive, mut ended) = oneshot::channel();
            let (core, lasting) = (Arc::clone(&self.core), leases.lease().lasting);
            tokio::spawn(async move {
                loop {
                    tokio::select! {
                        _ = &mut ended => break,
                        () = sleep(lasting) => {
                            let now = core.clock.now();
                            core.give_leases(Some(now)).await;
                        }
                    }
                }
                core.give_leases(None).await;
            });
            alive
        });
    }
}

impl fmt::Debug for RedisRateLimiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisRateLimiter")
            .field("name", &self.name())
            .field("mode", &self.mode())
            .finish_non_exhaustive()
    }
}
