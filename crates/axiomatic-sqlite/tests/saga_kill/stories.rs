//! The sagas that are run, for any store.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axiomatic_coordination::saga::history::{Answer, Call, Ledger};
use axiomatic_coordination::saga::{
    Builder, Busy, Context, Description, Fault, LocalAction, Lock, Plans, Saga, SagaId, Store, Was,
};
use axiomatic_core::backoff::Backoff;
use uuid::Uuid;

/// From which account, to which, how much, and what goes wrong.
pub(crate) type Transfer = (u32, u32, i64, u8);

pub(crate) const FINE: u8 = 0;
/// The pivot says no.
pub(crate) const REFUSED: u8 = 1;
/// The answer to each first attempt is lost.
pub(crate) const DOUBTED: u8 = 2;

/// Accounts of the database, numbered from 1, and what is in each at first.
pub(crate) const ACCOUNTS: u32 = 20;
pub(crate) const BALANCE: i64 = 10_000;

/// What each tour has for itself.
pub(crate) const HALL: &str = "hall";

/// Not among the accounts.
pub(crate) const NOBODY: u32 = 99;

const SOON: Backoff = Backoff::exponential(Duration::from_millis(1), Duration::from_millis(5));

/// What local steps do, in a store.
///
/// Each writes into the table `effect` that it was done. `debit` takes from an
/// account, `credit` gives to one, and others do nothing more.
pub(crate) trait Books: Store {
    fn book() -> impl LocalAction<Self, Transfer, i64>;

    fn take_back() -> impl LocalAction<Self, (Transfer, Was<i64>), ()>;
}

/// By which account of a local step changes, and how much.
pub(crate) fn posting(step: &str, transfer: Transfer, undoes: bool) -> Option<(u32, i64)> {
    let (from, to, amount, _) = transfer;
    match (step, undoes) {
        ("debit", false) => Some((from, -amount)),
        ("debit", true) => Some((from, amount)),
        ("credit", _) => Some((to, amount)),
        _ => None,
    }
}

pub(crate) fn line(context: &Context) -> String {
    Call::of(context, "", Answer::Happened).to_string()
}

/// Whether an undo is told this.
pub(crate) fn undoes(context: &Context) -> bool {
    context.key() != context.action_key()
}

/// A service elsewhere.
#[derive(Clone)]
struct Bank(Arc<Ledger>);

impl Bank {
    async fn act(self, context: Context, transfer: Transfer) -> Result<i64, Fault> {
        let (_, _, amount, wrong) = transfer;
        if context.step() == "send" && wrong == REFUSED {
            return Err(Fault::failed("refused"));
        }
        if context.step() == "reserve" {
            // This one is waited for.
            tokio::task::yield_now().await;
        }
        match self.0.call(&context, &amount.to_string())? {
            Answer::TooLate => Err(Fault::unknown("too late")),
            _ if wrong == DOUBTED && context.attempt() == 1 => Err(Fault::unknown("lost")),
            _ => Ok(amount),
        }
    }

    async fn undo(self, context: Context, transfer: Transfer) -> Result<(), Fault> {
        let (_, _, amount, wrong) = transfer;
        match self.0.call(&context, &amount.to_string())? {
            Answer::TooLate => Err(Fault::unknown("too late")),
            _ if wrong == DOUBTED && context.attempt() == 1 => Err(Fault::unknown("lost")),
            _ => Ok(()),
        }
    }
}

pub(crate) struct Stories<S: Store> {
    /// A local step, one elsewhere, the pivot elsewhere, and one of each that
    /// is tried until it is done.
    pub(crate) transfer: Saga<S, Transfer, i64>,
    /// Two local steps.
    pub(crate) inner: Saga<S, Transfer, i64>,
    /// A lock, a list, a step for each of it, a pause, a signal, and the pivot;
    /// and a local step beside them.
    pub(crate) tour: Saga<S, Transfer, i64>,
}

impl<S: Books> Stories<S> {
    /// With a ledger in this directory.
    pub(crate) fn of(place: &Path) -> Self {
        let bank = Bank(Arc::new(Ledger::open(place.join("ledger")).unwrap()));
        Stories {
            transfer: transfer(&bank),
            inner: inner(),
            tour: tour(&bank),
        }
    }

    pub(crate) fn plans(&self) -> Plans<S> {
        let plans = Plans::new().with(&self.transfer);
        plans.with(&self.inner).with(&self.tour)
    }

    pub(crate) fn describe(&self, name: &str) -> Description {
        match name {
            "transfer" => self.transfer.describe(),
            "inner" => self.inner.describe(),
            "tour" => self.tour.describe(),
            _ => panic!("no saga is called {name}"),
        }
    }
}

fn transfer<S: Books>(bank: &Bank) -> Saga<S, Transfer, i64> {
    let mut saga = Builder::<S, Transfer>::new("transfer", 1);
    let transfer = saga.input();
    let debited = saga
        .local_step("debit", transfer, S::book())
        .compensate_with_local(S::take_back());
    let (doing, undoing) = (bank.clone(), bank.clone());
    let reserved = saga
        .step(
            "reserve",
            (transfer, debited),
            move |context, (transfer, _)| doing.clone().act(context, transfer),
        )
        .attempts(0, SOON)
        .undo_attempts(0, SOON)
        .compensate_with(move |context, (transfer, _), _| undoing.clone().undo(context, transfer));
    let doing = bank.clone();
    let (mut saga, sent) = saga
        .pivot(
            "send",
            (transfer, reserved),
            move |context, (transfer, _)| doing.clone().act(context, transfer),
        )
        .attempts(0, SOON)
        .commit();
    let doing = bank.clone();
    saga.step("tell", (transfer, sent), move |context, (transfer, _)| {
        doing.clone().act(context, transfer)
    })
    .attempts(0, SOON)
    .retriable();
    let noted = saga.local_step("note", transfer, S::book()).retriable();
    saga.returns(noted).unwrap()
}

fn inner<S: Books>() -> Saga<S, Transfer, i64> {
    let mut saga = Builder::<S, Transfer>::new("inner", 1);
    let transfer = saga.input();
    saga.local_step("debit", transfer, S::book())
        .compensate_with_local(S::take_back());
    let (saga, credited) = saga.local_pivot("credit", transfer, S::book()).commit();
    saga.returns(credited).unwrap()
}

fn tour<S: Books>(bank: &Bank) -> Saga<S, Transfer, i64> {
    let mut saga = Builder::<S, Transfer>::new("tour", 1);
    let transfer = saga.input();
    saga.local_step("enter", transfer, S::book())
        .compensate_with_local(S::take_back());
    let mine = saga.lock(HALL, transfer, Busy::Stash, |_| vec![Lock::exclusive(HALL)]);
    let (doing, undoing) = (bank.clone(), bank.clone());
    let list = saga
        .step(
            "plan",
            (transfer, mine.only_after()),
            move |context, (transfer, ())| {
                let doing = doing.clone();
                async move {
                    doing.act(context, transfer).await?;
                    Ok(vec![7_u32, 8, 9])
                }
            },
        )
        .attempts(0, SOON)
        .undo_attempts(0, SOON)
        .compensate_with(move |context, (transfer, ()), _| undoing.clone().undo(context, transfer));
    let (doing, undoing) = (bank.clone(), bank.clone());
    let booked = saga
        .for_each("book", list, 2, transfer, move |context, (_, transfer)| {
            doing.clone().act(context, transfer)
        })
        .attempts(0, SOON)
        .undo_attempts(0, SOON)
        .compensate_with(move |context, (_, transfer), _| undoing.clone().undo(context, transfer));
    let slept = saga.sleep("pause", booked, Duration::from_millis(3));
    let approved = saga.signal::<u32, _>("approved", slept);
    let doing = bank.clone();
    let (saga, sent) = saga
        .pivot(
            "close",
            (transfer, approved),
            move |context, (transfer, _)| doing.clone().act(context, transfer),
        )
        .attempts(0, SOON)
        .commit();
    saga.returns(sent).unwrap()
}

pub(crate) const fn saga(number: u128) -> SagaId {
    SagaId(Uuid::from_u128(number))
}
