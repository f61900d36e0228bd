//! What is not seen from outside: the bell.

use axiomatic_coordination::outbox::Message;

use crate::{Database, EnqueueError, Options};

/// Whether the bell has rung since.
fn rings(wake_ups: &mut axiomatic_coordination::outbox::WakeUps) -> bool {
    let next = std::pin::pin!(wake_ups.next());
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    next.poll(&mut context).is_ready()
}

#[test]
fn the_bell_rings_after_a_commit_that_has_messages_and_not_otherwise() {
    let name = format!(
        "axiomatic-sqlite-{}.db",
        axiomatic_coordination::MessageId::unique()
    );
    let path = std::env::temp_dir().join(name);
    let database = Database::open(&path, Options::new()).expect("opens");
    let mut wake_ups = database.wake().wake_ups();
    let run = |messages: usize, kept: Result<(), ()>| {
        let _ = database.writer().run_blocking(move |tx| {
            for _ in 0..messages {
                tx.enqueue(Message::new("bell", "rings"))
                    .map_err(|_: EnqueueError| ())?;
            }
            kept
        });
    };
    run(0, Ok(()));
    assert!(!rings(&mut wake_ups), "nothing was said");
    run(1, Err(()));
    assert!(!rings(&mut wake_ups), "it was rolled back");
    run(3, Ok(()));
    assert!(rings(&mut wake_ups));
    assert!(!rings(&mut wake_ups), "once for all three");
    drop(database);
    for end in ["", "-wal", "-shm"] {
        let mut file = path.clone().into_os_string();
        file.push(end);
        let _ = std::fs::remove_file(file);
    }
}
