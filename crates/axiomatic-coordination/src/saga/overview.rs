//! Which sagas there are, for operators.

use std::fmt;

use super::client::Client;
use super::record::Stage;
use super::store::{Store, Summary};
use crate::StoreError;

/// Sagas that have not ended, and how many are at each stage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Overview {
    /// How many are at each stage.
    pub counts: [(Stage, u64); 7],
    /// Those whose steps are being done.
    pub running: Vec<Summary>,
    /// Those whose steps are being undone.
    pub unwinding: Vec<Summary>,
    /// Those that wait for an operator.
    pub stuck: Vec<Summary>,
    /// Those that nobody who has tried can run.
    pub parked: Vec<Summary>,
}

impl<S: Store> Client<S> {
    /// The sagas that have not ended, at most so many of each stage. What
    /// several questions to the store find is not of one moment.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn overview(&self, at_most: usize) -> Result<Overview, StoreError> {
        Ok(Overview {
            counts: self.count().await?,
            running: self.list(Stage::Running, None, at_most).await?,
            unwinding: self.list(Stage::Unwinding, None, at_most).await?,
            stuck: self.list(Stage::Stuck, None, at_most).await?,
            parked: self.list(Stage::Parked, None, at_most).await?,
        })
    }
}

/// The counts, and a line for each saga: those that somebody should look at
/// first.
impl fmt::Display for Overview {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("sagas:")?;
        for (stage, count) in self.counts {
            write!(f, " {}={count}", stage.as_str())?;
        }
        for sagas in [&self.stuck, &self.parked, &self.unwinding, &self.running] {
            for saga in sagas {
                let Summary {
                    definition, stage, ..
                } = saga;
                let (name, version) = (&definition.name, definition.version);
                let stage = stage.as_str();
                write!(f, "\n{stage} {} {name:?} version {version}", saga.saga)?;
                if let Some(why) = &saga.result {
                    write!(f, " {}", String::from_utf8_lossy(why))?;
                }
            }
        }
        Ok(())
    }
}
