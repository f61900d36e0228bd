//! What a budget is told of the attempts.

use std::sync::{Arc, Mutex};

use axiomatic_core::Outcome;
use axiomatic_core::budget::{Budget, Call, Class, Exhausted, Spent, Token};
use axiomatic_core::time::Instant;
use axiomatic_latency::hedge::{Config, Delay};

use super::backend::{Backend, MILLI, NEVER, Request, Trouble, call, over};
use super::{ELAPSED, OPEN};

const BROKEN: Result<u32, Trouble> = Err(Trouble::Broken);

/// A budget that writes down what it is told.
#[derive(Clone, Debug, Default)]
struct Diary(Arc<Mutex<Vec<String>>>);

#[derive(Debug)]
struct Page(Diary, &'static str);

impl Diary {
    fn note(&self, line: String) {
        self.0.lock().unwrap().push(line);
    }

    fn page(&self, name: &'static str) -> Page {
        Page(self.clone(), name)
    }

    fn lines(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        self.0.note(format!("{} ends", self.1));
    }
}

impl Budget for Diary {
    type Call = Page;
    type Token = Page;

    fn begin(&self, _: Instant) -> Page {
        self.page("call")
    }

    fn try_extra(&self, _: Instant, class: Class) -> Result<Page, Exhausted> {
        self.note(format!("asked for {class:?}"));
        Ok(self.page("token"))
    }
}

impl Call for Page {
    fn record(&mut self, _: Instant, outcome: Outcome) {
        self.0.note(format!("first: {outcome:?}"));
    }
}

impl Token for Page {
    type Spent = Page;

    fn spend(self) -> Page {
        self.0.page("attempt")
    }
}

impl Spent for Page {
    fn record(self, _: Instant, outcome: Outcome) {
        self.0.note(format!("second: {outcome:?}"));
    }
}

#[tokio::test(start_paused = true)]
async fn the_budget_is_told_what_became_of_each_attempt_once() {
    let diary = Diary::default();
    let config = Config::new(Delay::fixed(50 * MILLI)).budget(diary.clone());
    let hedge = config.build().unwrap();
    let ok = |attempt| format!("{attempt}: Success");
    let failed = |attempt| format!("{attempt}: Transient");
    let asked = |class| format!("asked for {class}");
    for (answers, mut expected) in [
        (vec![(20, Ok(1))], vec![ok("first")]),
        // The loser is dropped, and nobody knows how it would have ended.
        (
            vec![(80, Ok(1)), (NEVER, Ok(2))],
            vec![asked("Hedge"), ok("first")],
        ),
        (
            vec![(NEVER, Ok(1)), (20, Ok(2))],
            vec![asked("Hedge"), ok("second")],
        ),
        (
            vec![(10, BROKEN), (20, Ok(2))],
            vec![failed("first"), asked("Transient"), ok("second")],
        ),
        (
            vec![(10, Err(ELAPSED)), (20, BROKEN)],
            vec![failed("first"), asked("Timeout"), failed("second")],
        ),
        (
            vec![(10, Err(Trouble::Unsent)), (20, Ok(2))],
            vec![failed("first"), asked("Unsent"), ok("second")],
        ),
        (vec![(10, Err(OPEN))], vec!["first: Ignored".to_owned()]),
    ] {
        let backend = Backend::new(&answers);
        let _ = call(over(&hedge, &backend), Request::default()).await;
        let lines = diary.lines();
        let (ends, told): (Vec<_>, Vec<_>) = lines.iter().partition(|line| line.ends_with("ends"));
        assert_eq!(told, expected.iter().collect::<Vec<_>>(), "{answers:?}");
        let was_asked = expected.iter().any(|line| line.starts_with("asked"));
        expected = vec!["call ends".to_owned()];
        if was_asked {
            expected.extend(["token ends".to_owned(), "attempt ends".to_owned()]);
        }
        let mut ends: Vec<_> = ends.into_iter().cloned().collect();
        ends.sort();
        expected.sort();
        assert_eq!(ends, expected, "{answers:?}");
    }
}
