//! How the outbox's table does, and who keeps it from being vacuumed.
//!
//! A message that is published leaves a dead row behind, which every search
//! for messages passes over until a vacuum has removed it. No vacuum removes
//! what somebody may still see: a session that has been in a transaction since
//! before, a transaction that was prepared and forgotten, a standby or a slot.
//! So one report that runs for an hour makes a busy outbox slow, and nothing of
//! the outbox says why. This does.

mod holder;
mod statements;

use std::fmt;
use std::time::Duration;

use axiomatic_coordination::StoreError;
#[cfg(feature = "metrics")]
use axiomatic_coordination::outbox::Holding;

pub use self::holder::{Held, Holder, Who};
pub(super) use self::statements::Sql;
use super::Outbox;
use crate::wire::{Row, damaged};

/// How the outbox's table does.
///
/// ```no_run
/// # async fn look(outbox: axiomatic_postgres::outbox::Outbox) -> Result<(), axiomatic_coordination::StoreError> {
/// let health = outbox.health().await?;
/// println!("{health}");
/// for holder in &health.holders {
///     println!("{holder}");
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Health {
    /// Rows of messages that wait, as PostgreSQL estimates them.
    pub live: u64,
    /// Rows of messages that were published and are not vacuumed, as
    /// PostgreSQL estimates them.
    pub dead: u64,
    /// How large the table is, with its index, in bytes.
    pub bytes: u64,
    /// How long ago it was vacuumed, by the server or by somebody.
    pub vacuumed: Option<Duration>,
    /// Who may still see rows that are dead, the oldest first: at most
    /// [`MOST_HOLDERS`](Self::MOST_HOLDERS).
    pub holders: Vec<Holder>,
    /// Sessions of other roles of which nothing can be seen: they may hold
    /// back the vacuum, and are not among the holders. None if this role is a
    /// member of `pg_monitor`.
    pub hidden: u64,
}

impl Health {
    /// How many holders are named at most.
    pub const MOST_HOLDERS: usize = 20;

    /// Who holds back the vacuum of the outbox most, if anybody does.
    pub fn oldest(&self) -> Option<&Holder> {
        let mut holders = self.holders.iter();
        holders.find(|holder| holder.held == Held::Rows)
    }

    /// Sets the gauges of the outbox of this name, which TELEMETRY.md lists:
    /// for whoever asks for the health now and then.
    #[cfg(feature = "metrics")]
    pub fn record(&self, name: axiomatic_core::Name) {
        let name = name.as_str();
        let oldest = self.oldest();
        let transactions = oldest.map_or(0, |oldest| oldest.transactions);
        let lasts = oldest.and_then(|oldest| oldest.lasts);
        let set = |gauge: metrics::Gauge, value: u64| gauge.set(value as f64);
        set(
            metrics::gauge!("axiomatic_outbox_live_rows", "name" => name),
            self.live,
        );
        set(
            metrics::gauge!("axiomatic_outbox_dead_rows", "name" => name),
            self.dead,
        );
        set(
            metrics::gauge!("axiomatic_outbox_table_bytes", "name" => name),
            self.bytes,
        );
        set(
            metrics::gauge!("axiomatic_outbox_vacuum_held_transactions", "name" => name),
            transactions,
        );
        metrics::gauge!("axiomatic_outbox_vacuum_held_seconds", "name" => name)
            .set(lasts.unwrap_or_default().as_secs_f64());
    }
}

impl fmt::Display for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Health {
            live, dead, bytes, ..
        } = self;
        write!(f, "{live} rows and {dead} dead ones in {bytes} bytes, ")?;
        match self.vacuumed {
            Some(ago) => write!(f, "vacuumed {} ago; ", holder::Rounded(ago))?,
            None => f.write_str("never vacuumed; ")?,
        }
        match self.oldest() {
            Some(oldest) => oldest.fmt(f)?,
            None => f.write_str("nobody who can be seen holds back its vacuum")?,
        }
        if self.hidden > 0 {
            write!(
                f,
                "; {} sessions of other roles cannot be seen by one that is no member of pg_monitor",
                self.hidden
            )?;
        }
        Ok(())
    }
}

/// Sets the gauges of the buckets of the outbox of this name, which
/// TELEMETRY.md lists: the epoch of each, and who holds it, as a number that
/// stands for a relay. A relay's name is no label: each run has another.
#[cfg(feature = "metrics")]
pub fn record_leases(leases: &[Holding], name: axiomatic_core::Name) {
    let name = name.as_str();
    for lease in leases {
        let bucket = lease.bucket.to_string();
        let held = lease.owner.as_ref().filter(|_| !lease.left.is_zero());
        let owner = held.map_or(0, owner_number);
        metrics::gauge!("axiomatic_outbox_bucket_epoch", "name" => name, "bucket" => bucket.clone())
            .set(lease.epoch.0 as f64);
        metrics::gauge!("axiomatic_outbox_bucket_owner", "name" => name, "bucket" => bucket)
            .set(owner as f64);
    }
}

/// The number that stands for a relay in the gauge of owners: 32 bits of a
/// hash of its name, and never 0, which is nobody.
pub fn owner_number(relay: &axiomatic_coordination::outbox::RelayId) -> u64 {
    use axiomatic_core::hash::{Algorithm, Hasher, Seed};
    let hasher = Hasher::new(Algorithm::Xxh3, Seed::fixed(0));
    (hasher.hash(relay.as_str().as_bytes()) >> 32).max(1)
}

impl Outbox {
    /// How the table does, and who holds back its vacuum, by name and age. Two
    /// looks at what PostgreSQL knows of itself, some milliseconds together;
    /// no row of the outbox is read.
    ///
    /// A role that is no member of `pg_monitor` sees the transactions of its
    /// own sessions only; of the others it learns that they are there
    /// ([`Health::hidden`]).
    ///
    /// # Errors
    ///
    /// What PostgreSQL said.
    pub async fn health(&self) -> Result<Health, StoreError> {
        let table = self.database.query(&self.sql.health.table, &[]).await?;
        let table = table.first();
        let table = table.ok_or_else(|| damaged("an answer without a row".into()))?;
        let holders = self.database.query(&self.sql.health.holders, &[]).await?;
        Ok(Health {
            live: count(table, 0)?,
            dead: count(table, 1)?,
            bytes: count(table, 2)?,
            vacuumed: table.nullable(3)?.map(micros),
            hidden: count(table, 4)?,
            holders: holders.iter().map(holder::read).collect::<Result<_, _>>()?,
        })
    }
}

fn count(row: &Row, column: usize) -> Result<u64, StoreError> {
    Ok(row.get::<i64>(column)?.max(0).cast_unsigned())
}

fn micros(micros: i64) -> Duration {
    Duration::from_micros(micros.max(0).cast_unsigned())
}
