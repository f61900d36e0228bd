use std::thread::LocalKey;
use std::time::Duration;

use super::account_cell::{Account, SLICES, TOKEN};
use super::machine::{Core, Deposited, Machine, Model};
use super::{Class, ConfigError, Level, Tokens, UpdateError};
use crate::Ratio;
use crate::shared::{Shared, Stash};
use crate::time::{Instant, saturating_nanos};

/// Windowed deposits with a floor: every call deposits a share of a token,
/// time deposits a few more, a deposit lasts for a while, and an extra attempt
/// spends a token. Finagle's `RetryBudget`.
///
/// A hedge costs what a retry does. By default, as there: 20 %, 10 a second,
/// for 10 s.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Deposits {
    ratio: Ratio,
    floor: u32,
    lifetime: Duration,
}

impl Deposits {
    /// The shortest time that a deposit can last.
    pub const SHORTEST: Duration = Duration::from_millis(1);

    /// The longest.
    pub const LONGEST: Duration = Duration::from_secs(3_600);

    /// So many extra attempts for each call, in steps of 0.1 %.
    pub const fn of(ratio: Ratio) -> Self {
        Deposits {
            ratio,
            floor: 10,
            lifetime: Duration::from_secs(10),
        }
    }

    /// So many extra attempts a second besides, which is what a client has
    /// that makes few calls. As many as a lifetime's are there at first.
    pub const fn floor(mut self, a_second: u32) -> Self {
        self.floor = a_second;
        self
    }

    /// How long a deposit lasts, in ten steps.
    pub const fn lasting(mut self, lifetime: Duration) -> Self {
        self.lifetime = lifetime;
        self
    }

    fn slice(&self) -> u64 {
        saturating_nanos(self.lifetime).div_ceil(SLICES)
    }

    fn deposit(&self) -> u64 {
        thousandths(self.ratio)
    }
}

impl Default for Deposits {
    fn default() -> Self {
        Deposits::of(Ratio::percent(20))
    }
}

/// A share of a token.
pub(super) const fn thousandths(ratio: Ratio) -> u64 {
    ratio.as_parts_per_million() as u64 * TOKEN / 1_000_000
}

/// Whether a share can be counted in thousandths.
pub(super) const fn is_exact(ratio: Ratio) -> bool {
    ratio.as_parts_per_million() % (1_000_000 / TOKEN as u32) == 0
}

impl Model for Deposits {}

impl Machine for Deposits {
    type Cells = Account;
    type Call = Deposited;

    fn check(&self) -> Result<(), ConfigError> {
        if !is_exact(self.ratio) {
            return Err(ConfigError::Ratio(self.ratio));
        }
        if !(Self::SHORTEST..=Self::LONGEST).contains(&self.lifetime) {
            return Err(ConfigError::Lifetime(self.lifetime));
        }
        Ok(())
    }

    fn cells(&self) -> Account {
        Account::new(self.slice(), self.deposit(), u64::from(self.floor))
    }

    fn update(&self, account: &Account) -> Result<(), UpdateError> {
        if self.slice() != account.slice() {
            return Err(UpdateError::Lifetime);
        }
        account.update(self.deposit(), u64::from(self.floor));
        Ok(())
    }

    #[inline(always)]
    fn begin(core: &Shared<Core<Self>>, now: Instant) -> Deposited {
        core.cells.deposit(now);
        Deposited(())
    }

    fn take(account: &Account, now: Instant, _: Class) -> Option<u32> {
        account.spend(now).then_some(1)
    }

    #[inline]
    fn is_drained(_: &Account, was_refused: bool) -> bool {
        // What is deposited in that moment lasts, and is spent after it.
        was_refused
    }

    fn give_back(account: &Account, _: u32) {
        account.return_token();
    }

    fn level(account: &Account, now: Instant) -> Level {
        Level::Deposited {
            balance: Tokens::thousandths(account.balance(now)),
            total: Tokens::thousandths(account.deposited()),
        }
    }

    fn stash() -> &'static LocalKey<Stash<Core<Self>>> {
        thread_local!(static STASH: Stash<Core<Deposits>> = const { Stash::new() });
        &STASH
    }
}
