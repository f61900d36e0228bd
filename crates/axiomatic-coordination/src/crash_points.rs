//! Boundaries at which a test can have its process die.
//!
//! Code calls [`reach`] between two steps that a crash may part. Without the
//! feature `crash-points` that is nothing at all. With it, variables of the
//! environment say what happens:
//!
//! - `AXIOMATIC_CRASH_AT=name:3`: the process aborts when it reaches `name`
//!   for the third time, and says so on the standard error.
//! - `AXIOMATIC_STOP_AT=name:3`: there it is stopped as by `SIGSTOP`, until
//!   somebody continues it.
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
        abort: Option<Boundary>,
        stop: Option<Boundary>,
        log: Option<String>,
        reached: Mutex<HashMap<&'static str, u64>>,
    }

    struct Boundary {
        name: String,
        nth: u64,
    }

    impl Boundary {
        fn from_environment(variable: &str) -> Option<Boundary> {
            let at = std::env::var(variable).ok()?;
            let (name, nth) = at.split_once(':').expect("name:nth");
            Some(Boundary {
                name: name.to_owned(),
                nth: nth.parse().expect("a number after the colon"),
            })
        }
    }

    impl Plan {
        fn from_environment() -> Option<Plan> {
            let plan = Plan {
                abort: Boundary::from_environment("AXIOMATIC_CRASH_AT"),
                stop: Boundary::from_environment("AXIOMATIC_STOP_AT"),
                log: std::env::var("AXIOMATIC_CRASH_LOG").ok(),
                reached: Mutex::default(),
            };
            let does_something = plan.abort.is_some() || plan.stop.is_some() || plan.log.is_some();
            does_something.then_some(plan)
        }

        fn reach(&self, name: &'static str) {
            let mut reached = self.reached.lock().unwrap_or_else(PoisonError::into_inner);
            let times = reached.entry(name).or_default();
            *times += 1;
            let is_here = |boundary: &Option<Boundary>| {
                let boundary = boundary.as_ref();
                boundary.is_some_and(|boundary| boundary.name == name && boundary.nth == *times)
            };
            if is_here(&self.abort) {
                eprintln!("the process ends at {name}:{times}");
                std::process::abort();
            }
            if is_here(&self.stop) {
                let me = std::process::id().to_string();
                let mut kill = std::process::Command::new("kill");
                let stopped = kill.args(["-STOP", &me]).status();
                stopped.expect("there is a command to stop processes with");
                // The signal may reach this thread later than the command's
                // end does: nothing is to happen in between.
                std::thread::sleep(std::time::Duration::from_millis(100));
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
