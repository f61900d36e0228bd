//! Histories in which one thing is wrong.

use std::sync::Arc;

use uuid::Uuid;

use super::{Answer, Call, Complaint, Seen, Which, check};
use crate::Timestamp;
use crate::saga::definition::{Builder, Context, Description, Was};
use crate::saga::fault::Fault;
use crate::saga::id::SagaId;
use crate::saga::memory::MemorySagas;
use crate::saga::record::{Kind, Record, Recorded, Stage};
use crate::saga::store::{Definition, Found, Summary};

/// A local step, one elsewhere behind it, and the pivot.
fn description() -> Description {
    async fn act(_: Context, _: ()) -> Result<(), Fault> {
        Ok(())
    }
    async fn undo(_: Context, _: (), _: Was<()>) -> Result<(), Fault> {
        Ok(())
    }
    let mut saga = Builder::<MemorySagas, ()>::new("purchase", 1);
    let nothing = saga.input();
    let pay = MemorySagas::local(|_, _: &Context, ()| Ok(()));
    let back = MemorySagas::local(|_, _: &Context, ((), _): ((), Was<()>)| Ok(()));
    let paid = saga
        .local_step("pay", nothing, pay)
        .compensate_with_local(back);
    let booked = saga.step("book", paid, act).compensate_with(undo);
    let (saga, _) = saga.pivot("send", booked, act).commit();
    saga.build().expect("is one").describe()
}

const SAGA: SagaId = SagaId(Uuid::from_u128(17));

/// `kind step attempt`, and so on.
fn found(stage: Stage, lines: &[(Kind, &str, u32)]) -> Found {
    let records = lines.iter().map(|(kind, step, attempt)| Recorded {
        record: Record {
            kind: *kind,
            step: (*step).into(),
            item: 0,
            attempt: *attempt,
            data: "null".into(),
            mail: None,
        },
        at: Timestamp::from_micros(1),
    });
    Found {
        summary: Summary {
            saga: SAGA,
            definition: Definition {
                name: "purchase".into(),
                version: 1,
                hash: 1,
            },
            stage,
            result: None,
            started: Timestamp::from_micros(1),
            changed: Timestamp::from_micros(1),
        },
        input: "null".into(),
        records: records.collect(),
        mail: Vec::new(),
    }
}

fn call(step: &str, attempt: u32, fence: u64) -> Call {
    let key = Uuid::new_v5(&SAGA.0, step.as_bytes());
    Call {
        saga: SAGA,
        step: step.into(),
        item: 0,
        attempt,
        undoes: false,
        key,
        action_key: key,
        fence,
        data: String::new(),
        answer: Answer::Happened,
    }
}

fn undo(step: &str, attempt: u32, fence: u64) -> Call {
    let done = call(step, attempt, fence);
    Call {
        undoes: true,
        key: Uuid::new_v5(&done.key, b"undo"),
        ..done
    }
}

fn again(call: Call) -> Call {
    Call {
        answer: Answer::Again,
        ..call
    }
}

fn which(step: &str) -> Which {
    Which {
        step: step.into(),
        item: 0,
        undoes: false,
    }
}

fn complaints(found: &Found, elsewhere: &[Call], local: &[Call]) -> Vec<Complaint> {
    check(&description(), found, Seen { elsewhere, local })
}

const DONE: [(Kind, &str, u32); 5] = [
    (Kind::Done, "pay", 1),
    (Kind::Began, "book", 1),
    (Kind::Done, "book", 1),
    (Kind::Began, "send", 1),
    (Kind::Done, "send", 1),
];

const UNDONE: [(Kind, &str, u32); 8] = [
    (Kind::Done, "pay", 1),
    (Kind::Began, "book", 1),
    (Kind::Done, "book", 1),
    (Kind::Began, "send", 1),
    (Kind::Failed, "send", 1),
    (Kind::UndoBegan, "book", 1),
    (Kind::Undone, "book", 1),
    (Kind::Undone, "pay", 1),
];

#[test]
fn a_history_as_it_should_be_gives_no_complaint() {
    let done = found(Stage::Done, &DONE);
    let elsewhere = [call("book", 1, 1), call("send", 1, 2)];
    assert_eq!(complaints(&done, &elsewhere, &[call("pay", 1, 1)]), []);
    let undone = found(Stage::Compensated, &UNDONE);
    let elsewhere = [call("book", 1, 1), undo("book", 1, 1)];
    let local = [call("pay", 1, 1), undo("pay", 1, 1)];
    assert_eq!(complaints(&undone, &elsewhere, &local), []);
}

#[test]
fn a_saga_that_has_not_ended_is_complained_of_unless_an_operator_was_asked() {
    let local = [call("pay", 1, 1)];
    let running = found(Stage::Running, &DONE[..1]);
    let complaint = Complaint::NotEnded(Stage::Running);
    assert_eq!(complaints(&running, &[], &local), [complaint]);
    let mut lines = UNDONE[..6].to_vec();
    let elsewhere = [call("book", 1, 1), undo("book", 1, 1)];
    let stuck = found(Stage::Stuck, &lines);
    let complaint = Complaint::NotEnded(Stage::Stuck);
    assert_eq!(complaints(&stuck, &elsewhere, &local), [complaint]);
    lines.push((Kind::Stuck, "book", 1));
    let stuck = found(Stage::Stuck, &lines);
    assert_eq!(complaints(&stuck, &elsewhere, &local), []);
}

#[test]
fn an_effect_that_is_missing_left_or_there_twice_is_found() {
    let done = found(Stage::Done, &DONE);
    let local = [call("pay", 1, 1)];
    let (book, send) = (call("book", 1, 1), call("send", 1, 1));
    let missing = complaints(&done, std::slice::from_ref(&book), &local);
    assert_eq!(missing, [Complaint::Missing(which("send"))]);

    let mut lines = DONE.to_vec();
    lines.insert(2, (Kind::Began, "book", 2));
    let twice = [book.clone(), call("book", 2, 1), send];
    let twice = complaints(&found(Stage::Done, &lines), &twice, &local);
    assert_eq!(twice, [Complaint::Twice(which("book"))]);

    let undone = found(Stage::Compensated, &UNDONE);
    let local = [call("pay", 1, 1), undo("pay", 1, 1)];
    let left = complaints(&undone, &[book], &local);
    assert_eq!(left, [Complaint::Left(which("book"))]);
}

/// An operator who brings back what was put aside has decided nothing.
#[test]
fn a_saga_that_was_put_aside_and_brought_back_is_asked_as_much_as_any() {
    let (book, local) = (call("book", 1, 1), [call("pay", 1, 1)]);
    let mut lines = DONE.to_vec();
    lines.insert(3, (Kind::Resumed, "", 0));
    let brought_back = found(Stage::Done, &lines);
    let missing = complaints(&brought_back, std::slice::from_ref(&book), &local);
    assert_eq!(missing, [Complaint::Missing(which("send"))]);
    lines.insert(3, (Kind::Stuck, "book", 0));
    let decided = found(Stage::Done, &lines);
    assert_eq!(complaints(&decided, &[book], &local), []);
}

#[test]
fn what_was_called_and_is_not_written_to_have_begun_is_found() {
    let done = found(Stage::Done, &DONE);
    let local = [call("pay", 1, 1)];
    // A process died that had not written it, and the next one began anew.
    let (book, send) = (call("book", 1, 1), call("send", 1, 2));
    let elsewhere = [book, again(call("book", 1, 2)), send];
    let complaint = Complaint::NotBegun {
        which: which("book"),
        attempt: 1,
        calls: 2,
        begun: 1,
    };
    assert_eq!(complaints(&done, &elsewhere, &local), [complaint]);
}

#[test]
fn two_keys_of_one_action_are_found() {
    let mut lines = DONE.to_vec();
    lines.insert(2, (Kind::Began, "book", 2));
    let other = Call {
        key: Uuid::from_u128(4),
        ..call("book", 2, 1)
    };
    let elsewhere = [call("book", 1, 1), other, call("send", 1, 1)];
    let found = complaints(
        &found(Stage::Done, &lines),
        &elsewhere,
        &[call("pay", 1, 1)],
    );
    let (twice, keys) = (which("book"), which("book"));
    assert_eq!(found, [Complaint::Twice(twice), Complaint::Keys(keys)]);
}

#[test]
fn an_undo_before_what_came_behind_it_is_found() {
    let mut lines = UNDONE.to_vec();
    lines.swap(5, 7);
    let elsewhere = [call("book", 1, 1), undo("book", 1, 1)];
    let local = [call("pay", 1, 1), undo("pay", 1, 1)];
    let early = complaints(&found(Stage::Compensated, &lines), &elsewhere, &local);
    let complaint = Complaint::UndoneEarly {
        which: Which {
            undoes: true,
            ..which("pay")
        },
        left: which("book"),
    };
    assert_eq!(early[0], complaint);
}

#[test]
fn a_token_that_falls_is_found_unless_it_was_refused() {
    let done = found(Stage::Done, &DONE);
    let local = [call("pay", 1, 1)];
    let elsewhere = [call("book", 1, 2), call("send", 1, 1)];
    let complaint = Complaint::FenceFell {
        which: which("send"),
        from: 2,
        to: 1,
    };
    assert_eq!(complaints(&done, &elsewhere, &local), [complaint]);

    let mut lines = DONE.to_vec();
    lines.insert(4, (Kind::Began, "send", 2));
    let late = Call {
        answer: Answer::TooLate,
        ..call("send", 1, 1)
    };
    let elsewhere = [call("book", 1, 2), late, call("send", 2, 2)];
    assert_eq!(
        complaints(&found(Stage::Done, &lines), &elsewhere, &local),
        []
    );
}

#[test]
fn local_work_without_a_line_and_a_line_without_work_are_found() {
    let running = found(Stage::Running, &[]);
    let not_ended = Complaint::NotEnded(Stage::Running);
    let parted = Complaint::Parted(which("pay"));
    let local = complaints(&running, &[], &[call("pay", 1, 1)]);
    assert_eq!(local, [not_ended.clone(), parted.clone()]);
    let running = found(Stage::Running, &DONE[..1]);
    assert_eq!(complaints(&running, &[], &[]), [not_ended, parted]);
}

#[test]
fn a_ledger_does_a_thing_once_for_a_key_and_nothing_for_an_old_token() {
    let place = std::env::temp_dir().join(format!("axiomatic-ledger-{}", Uuid::now_v7()));
    let context = |fence, undoes| Context {
        saga: SAGA,
        step: Arc::from("book"),
        item: 0,
        attempt: 1,
        round: 0,
        epoch: crate::outbox::Epoch(fence),
        undoes,
    };
    let said = [
        (3, false),
        (3, false),
        (2, false),
        (4, true),
        (4, true),
        (4, false),
    ];
    let [first, second] = [(), ()].map(|()| super::Ledger::open(&place).expect("is made"));
    let mut answers = Vec::new();
    for (nth, (fence, undoes)) in said.into_iter().enumerate() {
        // Two who have it open, as in two processes.
        let ledger = if nth % 2 == 0 { &first } else { &second };
        let answer = ledger.call(&context(fence, undoes), "17");
        answers.push(answer.expect("is written"));
    }
    let late = Answer::TooLate;
    let (happened, again) = (Answer::Happened, Answer::Again);
    assert_eq!(answers, [happened, again, late, happened, again, again]);
    let read = super::Ledger::read(&place).expect("is read");
    let read: Vec<Answer> = read.iter().map(|call| call.answer).collect();
    assert_eq!(read, answers);
    std::fs::remove_file(place).expect("was there");
}
