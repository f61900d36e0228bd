//! Boundaries at which a test can have its process die.
//!
//! Code calls [`reach`] between two steps that a crash may part. Without the
//! feature `crash-points` that is nothing at all. With it, two variables of
//! the environment say what happens:
//!
//! - `AXIOMATIC_CRASH_AT=name:3`: the process aborts when it reaches `name`
//!   for the third time.
//! - `AXIOMATIC_CRASH_LOG=path`: each name is appended to this file when it is
//!   reached for the first time, which is how a test learns which there are.
//!
//! Not public API.

#[cfg(not(feature = "crash-points"))]
mod off {
    /// Nothing.
    #[inline(always)]
    pub fn reach(_name: &'static str) {}
}

#[cfg(feature = "crash-points")]
mod on {
    use std::collections::HashMap;
    use std::io::Write;
    use std::sync::{Mutex, OnceLock, PoisonError};

    static PLAN: OnceLock<Option<Plan>> = OnceLock::new();

    struct Plan {
        at: Option<(String, u64)>,
        log: Option<String>,
        reached: Mutex<HashMap<&'static str, u64>>,
    }

    impl Plan {
        fn from_environment() -> Option<Plan> {
            let at = std::env::var("AXIOMATIC_CRASH_AT").ok();
            let log = std::env::var("AXIOMATIC_CRASH_LOG").ok();
            if at.is_none() && log.is_none() {
                return None;
            }
            let at = at.map(|at| {
                let (name, nth) = at.split_once(':').expect("name:nth");
                (
                    name.to_owned(),
                    nth.parse().expect("a number after the colon"),
                )
            });
            Some(Plan {
                at,
                log,
                reached: Mutex::default(),
            })
        }

        fn reach(&self, name: &'static str) {
            let mut reached = self.reached.lock().unwrap_or_else(PoisonError::into_inner);
            let times = reached.entry(name).or_default();
            *times += 1;
            if self
                .at
                .as_ref()
                .is_some_and(|(at, nth)| at == name && nth == times)
            {
                std::process::abort();
            }
            if let (1, Some(log)) = (*times, &self.log) {
                let mut log = std::fs::OpenOptions::new()
                    .append(true)
                    .create(true)
                    .open(log)
                    .expect("the log of boundaries can be written");
                writeln!(log, "{name}").expect("the log of boundaries can be written");
            }
        }
    }

    /// The process is between two steps. It may end here.
    pub fn reach(name: &'static str) {
        if let Some(plan) = PLAN.get_or_init(Plan::from_environment) {
            plan.reach(name);
        }
    }
}

#[cfg(not(feature = "crash-points"))]
pub use off::reach;
#[cfg(feature = "crash-points")]
pub use on::reach;
