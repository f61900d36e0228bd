//! Who may still see rows that are dead.

use std::fmt;
use std::time::Duration;

use axiomatic_coordination::StoreError;

use super::micros;
use crate::wire::{Row, damaged};

/// Somebody who may still see rows that are dead, and so keeps them from being
/// vacuumed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// Who.
    pub who: Who,
    /// How many transactions of the server began since: what they made dead
    /// is not vacuumed.
    pub transactions: u64,
    /// How long the transaction has lasted, or how long ago it was prepared.
    pub lasts: Option<Duration>,
    /// Of what.
    pub held: Held,
}

/// Of which tables somebody holds back the vacuum.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Held {
    /// Of all tables, the outbox's among them.
    Rows,
    /// Of the system's catalogs only.
    Catalogs,
}

/// Who holds back a vacuum.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Who {
    /// A session in a transaction.
    Session {
        /// What `pg_terminate_backend` takes.
        pid: i32,
        /// What it calls itself.
        application: Box<str>,
        /// Its role.
        user: Box<str>,
        /// Its database: another one counts by what it writes.
        database: Box<str>,
        /// `active`, `idle in transaction`, and so on.
        state: Box<str>,
    },
    /// A transaction that was prepared, and neither committed nor rolled back.
    Prepared {
        /// What `ROLLBACK PREPARED` takes.
        gid: Box<str>,
        /// Whose it is.
        user: Box<str>,
        /// In which database.
        database: Box<str>,
    },
    /// A replication slot, of a standby or of logical replication.
    Slot {
        /// What `pg_drop_replication_slot` takes.
        name: Box<str>,
        /// `active`, or `inactive`: nobody is connected.
        state: Box<str>,
    },
    /// A standby without a slot that tells what it still reads
    /// (`hot_standby_feedback`).
    Standby {
        /// The session that sends to it.
        pid: i32,
        /// What it calls itself.
        application: Box<str>,
    },
}

/// The state of a session that executes a statement. The others say by
/// themselves that they are in a transaction.
const ACTIVE: &str = "active";

/// What a row of the statement says.
pub(super) fn read(row: &Row) -> Result<Holder, StoreError> {
    let text = |column| -> Result<Box<str>, StoreError> {
        let text = row.nullable::<String>(column)?;
        Ok(text.unwrap_or_default().into())
    };
    let who = match &*row.get::<String>(0)? {
        "session" => Who::Session {
            pid: row.get(3)?,
            application: text(4)?,
            user: text(5)?,
            database: text(6)?,
            state: text(7)?,
        },
        "prepared" => Who::Prepared {
            gid: text(4)?,
            user: text(5)?,
            database: text(6)?,
        },
        "slot" => Who::Slot {
            name: text(4)?,
            state: text(7)?,
        },
        "standby" => Who::Standby {
            pid: row.get(3)?,
            application: text(4)?,
        },
        other => return Err(damaged(format!("a holder that is a {other:?}"))),
    };
    Ok(Holder {
        who,
        transactions: row.get::<i64>(1)?.max(0).cast_unsigned(),
        lasts: row.nullable(2)?.map(micros),
        held: match row.get::<bool>(8)? {
            true => Held::Rows,
            false => Held::Catalogs,
        },
    })
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.who.fmt(f)?;
        match (&self.who, self.lasts) {
            (Who::Session { state, .. }, Some(lasts)) if **state == *ACTIVE => {
                write!(f, " in a transaction for {}", Rounded(lasts))?;
            }
            (_, Some(lasts)) => write!(f, " for {}", Rounded(lasts))?,
            (_, None) => {}
        }
        let of = match self.held {
            Held::Rows => "vacuum",
            Held::Catalogs => "vacuum of the catalogs",
        };
        write!(f, ", holds back {of} by {} transactions", self.transactions)
    }
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Who::Session {
                pid,
                application,
                user,
                database,
                state,
            } => write!(
                f,
                "session {pid} `{application}` of user {user} in database {database}, {state}"
            ),
            Who::Prepared {
                gid,
                user,
                database,
            } => write!(
                f,
                "transaction `{gid}` of user {user} in database {database}, prepared"
            ),
            Who::Slot { name, state } => write!(f, "replication slot `{name}`, {state}"),
            Who::Standby { pid, application } => {
                write!(f, "standby `{application}` by its sender {pid}")
            }
        }
    }
}

/// A duration as people say it.
pub(super) struct Rounded(pub(super) Duration);

impl fmt::Display for Rounded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs();
        match seconds {
            0..120 => write!(f, "{seconds} s"),
            120..7200 => write!(f, "{} min", seconds / 60),
            7200..172_800 => write!(f, "{} h", seconds / 3600),
            _ => write!(f, "{} days", seconds / 86_400),
        }
    }
}
