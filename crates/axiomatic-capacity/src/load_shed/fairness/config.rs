use std::time::Duration;

use axiomatic_core::hash::Seed;

use super::Fairness;
use crate::load_shed::ConfigError;

/// What is fair between users.
///
/// ```
/// use axiomatic_capacity::load_shed::fairness::Config;
/// use axiomatic_core::context::Priority;
/// use axiomatic_core::time::Instant;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let fairness = Config::new().build()?;
/// let user = fairness.hasher().bytes(b"ann");
/// let now = Instant::from_nanos(1_000_000_000);
/// let ranked = fairness.rank(now, user, Priority::CRITICAL);
/// assert!(ranked >= Priority::CRITICAL && ranked < Priority::CRITICAL_PLUS);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use = "a configuration does nothing until it is built"]
pub struct Config {
    pub(super) shuffle: Duration,
    pub(super) half_life: Duration,
    pub(super) seed: Seed,
}

impl Config {
    /// The shortest time after which users are shuffled, or half of what they
    /// used is forgotten.
    pub const SHORTEST: Duration = Duration::from_millis(100);

    /// Half of what users asked for is forgotten every ten seconds, and who is
    /// unlucky is so for ten minutes.
    pub fn new() -> Self {
        Config {
            shuffle: Duration::from_secs(600),
            half_life: Duration::from_secs(10),
            seed: Seed::secret(),
        }
    }

    /// After which time other users are unlucky. Longer is better for who is
    /// lucky, and needs several calls; shorter for who is not.
    pub const fn shuffled_every(mut self, time: Duration) -> Self {
        self.shuffle = time;
        self
    }

    /// After which time half of what a user asked for is forgotten.
    pub const fn half_life(mut self, time: Duration) -> Self {
        self.half_life = time;
        self
    }

    /// The seed of the hash, by default a secret one: with another, whoever
    /// chooses its user's name may choose its luck.
    pub fn seed(mut self, seed: Seed) -> Self {
        self.seed = seed;
        self
    }

    /// The ranking.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Fairness`].
    pub fn build(self) -> Result<Fairness, ConfigError> {
        let shortest = self.shuffle.min(self.half_life);
        if shortest < Self::SHORTEST {
            return Err(ConfigError::Fairness(shortest));
        }
        Ok(Fairness::new(&self))
    }
}

impl Default for Config {
    fn default() -> Self {
        Config::new()
    }
}
