//! Time and allocations: rounds, interleaved. It is one file because a round
//! is one procedure, and what disturbs it has to be in view.

use std::collections::HashMap;
use std::fs::File;
use std::io::{IsTerminal, Write};
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use super::allocations;
use super::options::Options;
use super::suite::{Batch, Operation, PerThread};

/// How long a case runs in one round: long enough for the clock, and short
/// enough to be over before a scheduler gives the processor away.
fn slice(threads: usize) -> Duration {
    Duration::from_millis(if threads == 1 { 1 } else { 2 })
}

/// What one case did in one round.
#[derive(Copy, Clone, Debug)]
pub(super) struct Sample {
    pub(super) nanos: f64,
    pub(super) operations: u64,
    pub(super) allocations: u64,
    /// No thread waited for a processor meanwhile.
    pub(super) undisturbed: bool,
}

/// The samples of an operation: by run, then by case and threads, by round.
pub(super) struct Measured {
    pub(super) runs: Vec<HashMap<(usize, usize), Vec<Sample>>>,
}

pub(super) fn all(operations: &[Operation], options: &Options) -> Vec<Measured> {
    let most = operations
        .iter()
        .flat_map(|operation| &operation.cases)
        .flat_map(|case| case.threads.iter().copied())
        .max();
    let mut crew = Crew::new(most.unwrap_or(1));
    let mut measured: Vec<Measured> = operations
        .iter()
        .map(|_| Measured { runs: Vec::new() })
        .collect();
    let mut progress = Progress::new(options, operations.len());
    for run in 0..options.runs {
        for (operation, measured) in operations.iter().zip(&mut measured) {
            progress.operation(run, &operation.name);
            measured
                .runs
                .push(one_run(operation, &mut crew, options.rounds, &mut progress));
        }
    }
    progress.done();
    measured
}

fn one_run(
    operation: &Operation,
    crew: &mut Crew,
    rounds: usize,
    progress: &mut Progress,
) -> HashMap<(usize, usize), Vec<Sample>> {
    let mut places = Vec::new();
    for (index, case) in operation.cases.iter().enumerate() {
        for &threads in &case.threads {
            // State of its own for each number of threads, so that what two
            // threads did to it (a lock inflated, a line moved) is not in
            // what one thread is measured with.
            let slot = crew.prepare(&(case.setup)());
            places.push((index, threads, slot));
        }
    }
    // One thread first, then two: a round's figures lie close together.
    places.sort_by_key(|&(index, threads, _)| (threads, index));
    let times: Vec<u64> = places
        .iter()
        .map(|&(_, threads, slot)| calibrate(crew, slot, threads))
        .collect();

    let mut samples: HashMap<_, Vec<_>> = HashMap::new();
    for round in 0..rounds {
        progress.round(round);
        for step in 0..places.len() {
            let at = (round + step) % places.len();
            let (index, threads, slot) = places[at];
            for _ in 0..operation.cases[index].warm_ups {
                crew.run(slot, threads, times[at]);
            }
            let sample = crew.run(slot, threads, times[at]);
            samples.entry((index, threads)).or_default().push(sample);
        }
    }
    crew.clear();
    samples
}

/// How many operations fill a slice; warms the case up on the way.
fn calibrate(crew: &mut Crew, slot: usize, threads: usize) -> u64 {
    let target = slice(threads).as_nanos() as f64;
    let mut times = 1_u64;
    loop {
        let sample = crew.run(slot, threads, times);
        let took = sample.nanos * times as f64;
        if took >= target / 2.0 {
            return ((target / sample.nanos) as u64).max(1);
        }
        // At most eightfold: the first calls may be nothing like the rest.
        let factor = (target / took.max(1.0)).clamp(1.1, 8.0);
        times = (times as f64 * factor).ceil() as u64;
    }
}

/// The threads that measure: this one, and helpers that wait between batches
/// without using a processor.
struct Crew {
    own: Vec<Batch>,
    helpers: Vec<Helper>,
}

struct Helper {
    tasks: Sender<Task>,
    results: Receiver<Tally>,
}

enum Task {
    Prepare(PerThread),
    Run {
        slot: usize,
        times: u64,
        gate: Arc<Gate>,
    },
    Clear,
}

/// What one thread did in a batch.
struct Tally {
    operations: u64,
    allocations: u64,
    wall: Duration,
    undisturbed: bool,
}

/// Lets all threads start at once, and stop when the first is done, so that
/// nobody is measured without the others' company.
struct Gate {
    missing: AtomicUsize,
    done: AtomicBool,
}

impl Crew {
    fn new(threads: usize) -> Self {
        let processors = processors();
        if processors.len() < threads {
            eprintln!("fewer processors than threads: their figures mean little");
        }
        let helpers = (1..threads)
            .map(|index| {
                let (tasks, inbox) = channel();
                let (outbox, results) = channel();
                let processors = processors.clone();
                // It ends with the process, or when `tasks` is dropped.
                thread::spawn(move || {
                    pin(&processors, index);
                    help(&inbox, &outbox);
                });
                Helper { tasks, results }
            })
            .collect();
        pin(&processors, 0);
        Crew {
            own: Vec::new(),
            helpers,
        }
    }

    fn prepare(&mut self, per_thread: &PerThread) -> usize {
        self.own.push(per_thread());
        for helper in &self.helpers {
            let task = Task::Prepare(per_thread.clone());
            helper.tasks.send(task).expect("helpers live as long");
        }
        self.own.len() - 1
    }

    fn clear(&mut self) {
        self.own.clear();
        for helper in &self.helpers {
            helper
                .tasks
                .send(Task::Clear)
                .expect("helpers live as long");
        }
    }

    fn run(&mut self, slot: usize, threads: usize, times: u64) -> Sample {
        if threads == 1 {
            return sample(&[timed(&mut self.own[slot], times, None)]);
        }
        let gate = Arc::new(Gate {
            missing: AtomicUsize::new(threads),
            done: AtomicBool::new(false),
        });
        let company = &self.helpers[..threads - 1];
        for helper in company {
            let task = Task::Run {
                slot,
                times,
                gate: gate.clone(),
            };
            helper.tasks.send(task).expect("helpers live as long");
        }
        let mut tallies = vec![timed(&mut self.own[slot], times, Some(&gate))];
        for helper in company {
            tallies.push(helper.results.recv().expect("a case panicked"));
        }
        sample(&tallies)
    }
}

/// The processors that we may use.
fn processors() -> Vec<usize> {
    #[cfg(target_os = "linux")]
    {
        use rustix::thread::{CpuSet, sched_getaffinity};
        let allowed = sched_getaffinity(None).unwrap_or_else(|_| CpuSet::new());
        (0..CpuSet::MAX_CPU)
            .filter(|&processor| allowed.is_set(processor))
            .collect()
    }
    #[cfg(not(target_os = "linux"))]
    {
        Vec::new()
    }
}

/// Keeps the calling thread on the `index`th processor: a scheduler may well
/// put two threads that wake each other on one, where they never meet.
fn pin(processors: &[usize], index: usize) {
    #[cfg(target_os = "linux")]
    if let Some(&processor) = processors.get(index) {
        use rustix::thread::{CpuSet, sched_setaffinity};
        let mut only = CpuSet::new();
        only.set(processor);
        // Where it is refused, figures are noisier, and no less true.
        let _ = sched_setaffinity(None, &only);
    }
    #[cfg(not(target_os = "linux"))]
    let _ = (processors, index);
}

fn help(inbox: &Receiver<Task>, outbox: &Sender<Tally>) {
    let mut batches: Vec<Batch> = Vec::new();
    for task in inbox {
        match task {
            Task::Prepare(per_thread) => batches.push(per_thread()),
            Task::Clear => batches.clear(),
            Task::Run { slot, times, gate } => {
                let tally = timed(&mut batches[slot], times, Some(&gate));
                if outbox.send(tally).is_err() {
                    return;
                }
            }
        }
    }
}

fn timed(batch: &mut Batch, times: u64, gate: Option<&Gate>) -> Tally {
    if let Some(gate) = gate {
        gate.start_together();
    }
    let waited = waited_for_a_processor();
    let allocations = allocations::so_far();
    let start = Instant::now();
    let operations = match gate {
        None => {
            batch(times);
            times
        }
        Some(gate) => {
            // A look at the gate 64 times in a batch is too rare to be seen.
            let chunk = (times / 64).max(1);
            let mut operations = 0;
            while operations < times && !gate.done.load(Ordering::Relaxed) {
                batch(chunk);
                operations += chunk;
            }
            gate.done.store(true, Ordering::Relaxed);
            operations
        }
    };
    let wall = start.elapsed();
    let allocations = allocations::so_far() - allocations;
    let waited = waited_for_a_processor().saturating_sub(waited);
    Tally {
        operations,
        allocations,
        wall,
        undisturbed: waited <= wall.mul_f64(0.02),
    }
}

fn sample(tallies: &[Tally]) -> Sample {
    let rate: f64 = tallies
        .iter()
        .map(|tally| tally.operations as f64 / tally.wall.as_nanos().max(1) as f64)
        .sum();
    Sample {
        nanos: tallies.len() as f64 / rate,
        operations: tallies.iter().map(|tally| tally.operations).sum(),
        allocations: tallies.iter().map(|tally| tally.allocations).sum(),
        undisturbed: tallies.iter().all(|tally| tally.undisturbed),
    }
}

impl Gate {
    fn start_together(&self) {
        self.missing.fetch_sub(1, Ordering::AcqRel);
        let mut spins = 0_u32;
        while self.missing.load(Ordering::Acquire) != 0 {
            spins += 1;
            if spins.is_multiple_of(1 << 12) {
                // The other one may need this very processor to arrive.
                thread::yield_now();
            } else {
                std::hint::spin_loop();
            }
        }
    }
}

/// How long the calling thread has been ready to run and did not: the
/// machine's fault. A subject that parks its threads is not blamed on it.
fn waited_for_a_processor() -> Duration {
    thread_local! {
        // Time on a processor, time waiting for one, time slices.
        static ACCOUNT: Option<File> = File::open("/proc/thread-self/schedstat").ok();
    }
    ACCOUNT.with(|account| {
        let mut text = [0; 64];
        let read = account
            .as_ref()
            .and_then(|file| file.read_at(&mut text, 0).ok());
        let text = std::str::from_utf8(&text[..read.unwrap_or(0)]).unwrap_or_default();
        let nanos = text.split(' ').nth(1).and_then(|field| field.parse().ok());
        // Where there is no such account, every round counts.
        Duration::from_nanos(nanos.unwrap_or(0))
    })
}

impl Measured {
    /// The median of the runs' medians of a value that each round has.
    pub(super) fn median(&self, value: impl Fn(&Round<'_>) -> Option<f64>) -> Option<f64> {
        let medians = self.runs.iter().filter_map(|run| {
            let rounds = run.values().next()?.len();
            let rounds = (0..rounds).map(|round| Round {
                run,
                round,
                undisturbed: true.into(),
            });
            let values: Vec<(f64, bool)> = rounds
                .filter_map(|round| value(&round).map(|v| (v, round.undisturbed.get())))
                .collect();
            median(&mut best(&values))
        });
        median(&mut medians.collect::<Vec<_>>())
    }

    /// Half the distance of the quartiles, as a share of the median.
    pub(super) fn spread(&self, case: usize, threads: usize) -> Option<f64> {
        let all: Vec<(f64, bool)> = self
            .runs
            .iter()
            .filter_map(|run| run.get(&(case, threads)))
            .flatten()
            .map(|sample| (sample.nanos, sample.undisturbed))
            .collect();
        let mut best = best(&all);
        let middle = median(&mut best)?;
        let quartile = |quarters: usize| best[(best.len() - 1) * quarters / 4];
        Some((quartile(3) - quartile(1)) / 2.0 / middle)
    }

    /// Exact: all allocations over all operations.
    pub(super) fn allocations(&self, case: usize, threads: usize) -> Option<f64> {
        let mut samples = self
            .runs
            .iter()
            .filter_map(|run| run.get(&(case, threads)))
            .flatten()
            .peekable();
        samples.peek()?;
        let (allocations, operations) = samples.fold((0, 0), |sum, sample| {
            (sum.0 + sample.allocations, sum.1 + sample.operations)
        });
        Some(allocations as f64 / operations as f64)
    }

    /// The share of a case's rounds in which nothing came between.
    pub(super) fn undisturbed(&self) -> f64 {
        let samples = self.runs.iter().flat_map(HashMap::values).flatten();
        let (all, good) = samples.fold((0, 0), |(all, good), sample| {
            (all + 1, good + usize::from(sample.undisturbed))
        });
        good as f64 / f64::from(all.max(1))
    }
}

/// A round's samples, as a value is formed from them.
pub(super) struct Round<'a> {
    run: &'a HashMap<(usize, usize), Vec<Sample>>,
    round: usize,
    undisturbed: std::cell::Cell<bool>,
}

impl Round<'_> {
    pub(super) fn nanos(&self, case: usize, threads: usize) -> Option<f64> {
        let sample = self.run.get(&(case, threads))?.get(self.round)?;
        if !sample.undisturbed {
            self.undisturbed.set(false);
        }
        Some(sample.nanos)
    }
}

/// The undisturbed values, if there are some; else all, because on a machine
/// that busy there is nothing better.
fn best(values: &[(f64, bool)]) -> Vec<f64> {
    let good = values.iter().filter(|(_, undisturbed)| *undisturbed);
    if good.clone().count() >= (values.len() / 20).max(3) {
        good.map(|(value, _)| *value).collect()
    } else {
        values.iter().map(|(value, _)| *value).collect()
    }
}

/// Sorts, and takes the middle.
fn median(values: &mut [f64]) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let upper = values.get(values.len() / 2)?;
    let lower = values[(values.len() - 1) / 2];
    Some(f64::midpoint(lower, *upper))
}

/// A line on stderr that says how far we are.
struct Progress {
    live: bool,
    rounds: usize,
    runs: usize,
    operations: usize,
    seen: usize,
    line: String,
    started: Instant,
}

impl Progress {
    fn new(options: &Options, operations: usize) -> Self {
        Progress {
            live: std::io::stderr().is_terminal(),
            rounds: options.rounds,
            runs: options.runs,
            operations,
            seen: 0,
            line: String::new(),
            started: Instant::now(),
        }
    }

    fn operation(&mut self, run: usize, name: &str) {
        self.seen += 1;
        self.line = format!(
            "run {}/{}  {}/{}  {name}",
            run + 1,
            self.runs,
            (self.seen - 1) % self.operations + 1,
            self.operations
        );
        if !self.live {
            eprintln!("{}  ({:.0?} in)", self.line, self.started.elapsed());
        }
    }

    fn round(&self, round: usize) {
        if self.live && round.is_multiple_of(5) {
            eprint!("\r\x1b[K{}  round {}/{}", self.line, round + 1, self.rounds);
            let _ = std::io::stderr().flush();
        }
    }

    fn done(&self) {
        let cleared = if self.live { "\r\x1b[K" } else { "" };
        eprintln!("{cleared}measured in {:.0?}", self.started.elapsed());
    }
}
