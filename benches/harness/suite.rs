//! What is to be measured: a suite of operations, each a list of cases.

use std::hint::black_box;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::goal::{Account, Bound, Goal};
use super::options::Options;
use super::report::Report;
use super::{FETCH_ADD, Line, instructions, measure, report};

/// Runs an operation so many times; belongs to one thread.
pub(super) type Batch = Box<dyn FnMut(u64)>;
/// Makes a thread's batch over the state that its makers share.
pub(super) type PerThread = Arc<dyn Fn() -> Batch + Send + Sync>;

/// All that is measured of one pattern.
pub(crate) struct Suite {
    pattern: &'static str,
    operations: Vec<Operation>,
    goals: Vec<Goal>,
    accounts: Vec<Account>,
}

/// Something one does with the pattern, done by every subject in turn.
pub(crate) struct Operation {
    pub(super) name: String,
    pub(super) over: Option<&'static str>,
    pub(super) cases: Vec<Case>,
}

/// An operation done by one subject.
pub(crate) struct Case {
    pub(super) subject: String,
    pub(super) note: String,
    remark: Option<Box<dyn Fn() -> String>>,
    pub(super) counts_instructions: bool,
    pub(super) warm_ups: usize,
    pub(super) threads: Vec<usize>,
    pub(super) setup: Box<dyn Fn() -> PerThread>,
}

impl Suite {
    pub(crate) fn new(pattern: &'static str) -> Self {
        Suite {
            pattern,
            operations: Vec::new(),
            goals: Vec::new(),
            accounts: Vec::new(),
        }
    }

    /// Adds an operation; its cases are added to what is returned.
    pub(crate) fn operation(&mut self, name: &str) -> &mut Operation {
        self.operations.push(Operation {
            name: name.to_owned(),
            over: None,
            cases: Vec::new(),
        });
        self.operations.last_mut().expect("it was just added")
    }

    /// Adds a goal, judged from this run's figures.
    pub(crate) fn goal(&mut self, text: &str, bound: Bound) {
        self.goals.push(Goal {
            text: text.to_owned(),
            bound,
        });
    }

    /// Adds a goal for a share that is not an operation's time: `measure` is
    /// called three times after all else, and the median counts.
    pub(crate) fn account(&mut self, text: &str, limit: f64, measure: fn() -> f64) {
        self.accounts.push(Account {
            text: text.to_owned(),
            limit,
            measure,
        });
    }

    /// Measures as the command line asks, prints, and writes the file.
    pub(crate) fn run(mut self) -> ExitCode {
        let options = match Options::parse(self.pattern) {
            Ok(options) => options,
            Err(exit) => return exit,
        };
        self.add_self_check();
        self.keep_only(options.filter.as_deref());
        if options.list {
            for operation in &self.operations {
                for case in &operation.cases {
                    println!("{}  {}  {:?}", operation.name, case.subject, case.threads);
                }
            }
            return ExitCode::SUCCESS;
        }
        if let Some(first) = options.under_callgrind_from {
            instructions::run_under_callgrind(&self.operations, first);
            return ExitCode::SUCCESS;
        }
        let measured = measure::all(&self.operations, &options);
        let counted = if options.instructions {
            instructions::count(&self.operations, options.filter.as_deref())
        } else {
            instructions::none(&self.operations)
        };
        for case in self.operations.iter_mut().flat_map(|o| &mut o.cases) {
            case.look_closer();
        }
        let report = Report {
            pattern: self.pattern,
            operations: self.operations,
            measured,
            instructions: counted,
        };
        report.print(&self.goals, &options);
        if options.filter.is_none() {
            for account in &self.accounts {
                println!("{}", account.judged());
            }
        }
        report.write_json();
        report.self_check()
    }

    /// What the harness must see in every run, or it is broken.
    fn add_self_check(&mut self) {
        let check = self.operation(report::SELF_CHECK);
        check.fetch_add();
        check
            .shared_fetch_add("check:fetch_add again")
            .note("its twin: their distance is noise");
        check
            .case("check:planted", || || || Box::new(black_box(1_u64)))
            .note("one allocation, which must be seen")
            .threads(&[1]);
    }

    fn keep_only(&mut self, filter: Option<&str>) {
        let Some(text) = filter else { return };
        self.operations.retain_mut(|operation| {
            if operation.name.contains(text) || operation.name == report::SELF_CHECK {
                return true;
            }
            if !operation
                .cases
                .iter()
                .any(|case| case.subject.contains(text))
            {
                return false;
            }
            operation
                .cases
                .retain(|case| case.subject.contains(text) || case.subject.starts_with("floor:"));
            true
        });
    }
}

impl Operation {
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Names the subject whose cost is taken off before ratios are formed:
    /// what the inner service would have cost alone.
    pub(crate) fn over(&mut self, subject: &'static str) -> &mut Self {
        self.over = Some(subject);
        self
    }

    /// Adds a case. `setup` is called once a run and builds what the threads
    /// share; what it returns is called once a thread; and what that returns
    /// is the operation. Only the operation is timed.
    ///
    /// The result of the operation is consumed by a `black_box`; its inputs
    /// are the case's own business.
    pub(crate) fn case<Setup, Thread, Op, Out>(
        &mut self,
        subject: impl Into<String>,
        setup: Setup,
    ) -> &mut Case
    where
        Setup: Fn() -> Thread + 'static,
        Thread: Fn() -> Op + Send + Sync + 'static,
        Op: FnMut() -> Out + 'static,
    {
        let setup = move || -> PerThread {
            let thread = setup();
            Arc::new(move || -> Batch {
                let mut operation = thread();
                Box::new(move |times| {
                    for _ in 0..times {
                        black_box(operation());
                    }
                })
            })
        };
        self.cases.push(Case {
            subject: subject.into(),
            note: String::new(),
            remark: None,
            counts_instructions: true,
            warm_ups: 0,
            threads: vec![1, 2],
            setup: Box::new(setup),
        });
        self.cases.last_mut().expect("it was just added")
    }

    /// Adds the yardstick: one `fetch_add` on a shared line.
    pub(crate) fn fetch_add(&mut self) {
        self.shared_fetch_add(FETCH_ADD);
    }

    fn shared_fetch_add(&mut self, subject: &str) -> &mut Case {
        self.case(subject, || {
            let line = Arc::new(Line::default());
            move || {
                let line = line.clone();
                move || line.0.fetch_add(1, Ordering::Relaxed)
            }
        })
    }
}

impl Case {
    /// Says what a reader of the table should know.
    pub(crate) fn note(&mut self, note: &str) -> &mut Self {
        note.clone_into(&mut self.note);
        self
    }

    /// Says what has to be found out first, and is no time: it is after all
    /// times are measured.
    pub(crate) fn remark(&mut self, look: impl Fn() -> String + 'static) -> &mut Self {
        self.remark = Some(Box::new(look));
        self
    }

    /// Runs it twice as long before each measurement: for what reads so
    /// much that a millisecond would go into finding it again, after the other
    /// cases of a round had the caches.
    pub(crate) fn warmed(&mut self) -> &mut Self {
        self.warm_ups = 2;
        self
    }

    /// Does not count its instructions: so many would keep callgrind busy for
    /// minutes.
    pub(crate) fn uncounted(&mut self) -> &mut Self {
        self.counts_instructions = false;
        self
    }

    fn look_closer(&mut self) {
        let Some(look) = &self.remark else { return };
        let separator = if self.note.is_empty() { "" } else { "; " };
        self.note = format!("{}{separator}{}", look(), self.note);
    }

    /// How many threads share the state, one figure for each.
    pub(crate) fn threads(&mut self, threads: &[usize]) -> &mut Self {
        self.threads = threads.to_vec();
        self
    }
}
