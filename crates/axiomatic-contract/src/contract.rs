//! The contract itself: a class, a subject, and the verdicts.

use std::error::Error;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use axiomatic_core::BoxError;
use tower_service::Service;

use crate::checks::{Bench, Stop};
use crate::{Class, Obligation, Report, Request, Response, Subject, Verdict, Violation};

/// Holds a layer to the obligations of `tower::Service`.
///
/// The closure that makes the [`Subject`] runs once for each check, so that
/// no check inherits what an earlier one did to the mechanism. It should make
/// a mechanism of its own each time.
///
/// ```
/// use axiomatic_contract::{Class, Contract, Obligation, Subject};
/// use tower::limit::ConcurrencyLimitLayer;
/// use tower::limit::GlobalConcurrencyLimitLayer;
///
/// // A limit that is made anew for each service does not limit them together.
/// let report = Contract::new(Class::Direct, || {
///     Subject::new(ConcurrencyLimitLayer::new(2)).limit_in_flight(2)
/// })
/// .check();
/// let broken: Vec<_> = report.broken().map(|found| found.obligation()).collect();
/// assert!(broken.contains(&Obligation::SharedState), "{report}");
///
/// // This one does, and keeps every other obligation but one.
/// Contract::new(Class::Direct, || {
///     Subject::new(GlobalConcurrencyLimitLayer::new(2)).limit_in_flight(2)
/// })
/// .except(Obligation::IdleHoldsNothing, "tower reserves in poll_ready")
/// .assert();
/// ```
pub struct Contract<'a, S: Service<Request>> {
    class: Class,
    subject: Box<dyn Fn() -> Subject<'a, S> + 'a>,
    clone: Option<fn(&S) -> S>,
    is_refusal: Option<Box<IsRefusal<'a>>>,
    pass_time: Option<Box<dyn Fn(Duration) + 'a>>,
    gives_up_after: Option<Duration>,
    exceptions: Vec<(Obligation, String)>,
}

/// Whether an error of the layer is a refusal.
pub(crate) type IsRefusal<'a> = dyn Fn(&(dyn Error + 'static)) -> bool + 'a;

impl<'a, S> Contract<'a, S>
where
    S: Service<Request, Response = Response>,
    S::Error: Into<BoxError> + 'static,
{
    /// The contract of a layer of this class.
    ///
    /// An error counts as the inner service's if it is or holds the scripted
    /// [`Failure`](crate::Failure), and as a refusal if a
    /// [`Refusable`](axiomatic_core::Refusable) of its type says so. An enum
    /// of the user's own cannot be asked here; there a source that is the one
    /// or the other will do. In a `BoxError` it will not: a layer that asks
    /// the box finds neither.
    pub fn new(class: Class, subject: impl Fn() -> Subject<'a, S> + 'a) -> Self
    where
        S: Clone,
    {
        Contract {
            clone: Some(S::clone),
            ..Contract::without_clone(class, subject)
        }
    }

    /// The contract of a layer whose service cannot be cloned. What concerns
    /// clones is skipped.
    pub fn without_clone(class: Class, subject: impl Fn() -> Subject<'a, S> + 'a) -> Self {
        Contract {
            class,
            subject: Box::new(subject),
            clone: None,
            is_refusal: None,
            pass_time: None,
            gives_up_after: None,
            exceptions: Vec::new(),
        }
    }

    /// Which errors are refusals, for a layer that has no
    /// [`Rejected`](axiomatic_core::Rejected).
    #[must_use]
    pub fn refused_as(mut self, is_refusal: impl Fn(&(dyn Error + 'static)) -> bool + 'a) -> Self {
        self.is_refusal = Some(Box::new(is_refusal));
        self
    }

    /// How to let time pass, for a layer that waits for it.
    ///
    /// With tokio, make a runtime of the current thread whose time is paused,
    /// enter it, and let it sleep. (Do not run the kit inside `block_on` or
    /// `#[tokio::test]`: timers fire when the runtime is idle, and the kit,
    /// which polls by hand, would never let it be. It would also run out of
    /// the budget that tokio grants a task, and tokio's own types then wake
    /// themselves.)
    ///
    /// ```
    /// use std::time::Duration;
    /// use axiomatic_contract::{Class, Contract, Subject};
    /// use tower::timeout::TimeoutLayer;
    ///
    /// let runtime = tokio::runtime::Builder::new_current_thread()
    ///     .enable_time()
    ///     .start_paused(true)
    ///     .build()
    ///     .unwrap();
    /// let _entered = runtime.enter();
    ///
    /// let limit = Duration::from_secs(1);
    /// Contract::new(Class::Direct, || Subject::new(TimeoutLayer::new(limit)))
    ///     .passing_time(|time| runtime.block_on(tokio::time::sleep(time)))
    ///     .gives_up_after(limit)
    ///     .assert();
    /// ```
    #[must_use]
    pub fn passing_time(mut self, pass: impl Fn(Duration) + 'a) -> Self {
        self.pass_time = Some(Box::new(pass));
        self
    }

    /// The layer gives up a call that takes longer than this. Needs
    /// [`passing_time`](Contract::passing_time).
    #[must_use]
    pub fn gives_up_after(mut self, limit: Duration) -> Self {
        self.gives_up_after = Some(limit);
        self
    }

    /// The layer breaks this obligation, knowingly and for this reason; what
    /// rests on it is skipped. If it turns out to keep it, the contract
    /// fails: an exception does not outlive its reason.
    #[must_use]
    pub fn except(mut self, obligation: Obligation, reason: impl Into<String>) -> Self {
        self.exceptions.push((obligation, reason.into()));
        self
    }

    /// Judges everything.
    pub fn check(&self) -> Report {
        let mut verdicts: Vec<(Obligation, Verdict)> = Vec::new();
        for &obligation in Obligation::ALL {
            let verdict = obligation
                .rests_on()
                .iter()
                .find_map(|needed| {
                    let known = verdicts.iter().find(|(judged, _)| judged == needed);
                    match &known?.1 {
                        Verdict::Broken(_) | Verdict::Unjudged(_) => {
                            Some(Verdict::Unjudged(format!("it rests on \"{needed}\"")))
                        }
                        Verdict::Excepted(_) => {
                            let why = format!("it rests on \"{needed}\", which is excepted");
                            Some(Verdict::Skipped(why))
                        }
                        _ => None,
                    }
                })
                .unwrap_or_else(|| self.judge(obligation));
            let exception = self.exceptions.iter().find(|(of, _)| *of == obligation);
            let verdict = match (verdict, exception) {
                (Verdict::Broken(_) | Verdict::Unjudged(_), Some((_, why))) => {
                    Verdict::Excepted(why.clone())
                }
                (Verdict::Kept | Verdict::Skipped(_), Some((_, why))) => {
                    Verdict::ExceptedInVain(why.clone())
                }
                (verdict, _) => verdict,
            };
            verdicts.push((obligation, verdict));
        }
        Report::new(self.class, verdicts)
    }

    /// Judges one obligation, whatever else the layer breaks and whatever was
    /// excepted.
    pub fn judge(&self, obligation: Obligation) -> Verdict {
        let bench = Bench::new(self);
        // A layer that panics must not take the report with it.
        let found = catch_unwind(AssertUnwindSafe(|| bench.check(obligation)));
        let stop = match found {
            Ok(Ok(())) => return Verdict::Kept,
            Ok(Err(stop)) => stop,
            Err(panic) => Stop::Broken(
                format!("the layer panicked: {}", message(&*panic)),
                bench.script.events(),
            ),
        };
        match stop {
            Stop::Broken(what, events) => Verdict::Broken(Violation::new(obligation, what, events)),
            Stop::Skipped(why) => Verdict::Skipped(why),
            Stop::Unjudged(why) => Verdict::Unjudged(why),
        }
    }

    /// Judges everything.
    ///
    /// # Panics
    ///
    /// If the report is not [kept](Report::is_kept), with the report.
    #[track_caller]
    pub fn assert(&self) {
        let report = self.check();
        assert!(report.is_kept(), "{report}");
    }

    pub(crate) fn class(&self) -> Class {
        self.class
    }

    pub(crate) fn subject(&self) -> Subject<'a, S> {
        (self.subject)()
    }

    pub(crate) fn is_refusal(&self) -> Option<&IsRefusal<'a>> {
        self.is_refusal.as_deref()
    }

    pub(crate) fn clone_service(&self, service: &S) -> Option<S> {
        self.clone.map(|clone| clone(service))
    }

    /// Lets time pass, if it is known how.
    pub(crate) fn pass_time(&self, time: Duration) -> bool {
        match &self.pass_time {
            Some(pass) => {
                pass(time);
                true
            }
            None => false,
        }
    }

    pub(crate) fn can_pass_time(&self) -> bool {
        self.pass_time.is_some()
    }

    pub(crate) fn patience(&self) -> Option<Duration> {
        self.gives_up_after
    }
}

impl<S: Service<Request>> fmt::Debug for Contract<'_, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Contract")
            .field("class", &self.class)
            .field("clone", &self.clone.is_some())
            .field("gives_up_after", &self.gives_up_after)
            .field("exceptions", &self.exceptions)
            .finish_non_exhaustive()
    }
}

fn message(panic: &(dyn std::any::Any + Send)) -> &str {
    panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("something that is no text")
}
