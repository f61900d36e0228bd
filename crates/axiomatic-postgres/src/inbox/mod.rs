//! The inbox in PostgreSQL.

mod attempts;
mod by_id;
mod by_number;
mod handle;
#[expect(
    clippy::module_inception,
    reason = "the mechanism is named like its pattern"
)]
mod inbox;
mod options;
mod rows;
mod sql;
mod tables;
mod undo;

pub use self::handle::Handled;
pub use self::inbox::{Inbox, Swept};
pub use self::options::Options;
