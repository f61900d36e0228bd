//! Laws of messages that end processes.

use std::num::NonZeroU32;

use super::{Script, Subject, config, message};
use crate::inbox::{Admission, Id, Outcome};

/// After as many attempts as the configuration says, of which nobody heard
/// how they ended.
///
/// # Panics
///
/// If the law is broken.
pub async fn a_message_that_ends_processes_goes_to_quarantine<S: Subject>() {
    let inbox = S::fresh(config()).await;
    let poison = message("poison").keyed("key").with_header("a", "b");
    for attempt in 1..5 {
        let delivery = poison.clone().attempted(attempt);
        let admitted = inbox.begin("bank", &delivery).await.unwrap();
        assert_eq!(admitted, Admission::Handle, "attempt {attempt}");
        // And the process ends.
    }
    assert_eq!(inbox.quarantined().await, []);
    for attempt in 5..7 {
        let delivery = poison.clone().attempted(attempt);
        let admitted = inbox.begin("bank", &delivery).await.unwrap();
        assert_eq!(admitted, Admission::Quarantined, "attempt {attempt}");
    }
    let mail = inbox.begin("mail", &poison.clone().attempted(2)).await;
    assert_eq!(mail.unwrap(), Admission::Handle, "another consumer");
    let quarantined = inbox.quarantined().await;
    let [found] = &quarantined[..] else {
        panic!("one: {quarantined:?}");
    };
    assert_eq!(
        (&*found.consumer, found.id.as_str(), found.started),
        ("bank", "poison", 3)
    );
    assert_eq!(found.delivery, poison.attempted(5), "as it was delivered");
    assert_eq!(inbox.effects().await, [""; 0]);
}

/// Neither a failure nor a success, however often.
///
/// # Panics
///
/// If the law is broken.
pub async fn an_attempt_of_which_one_hears_is_not_counted<S: Subject>() {
    let inbox = S::fresh(config()).await;
    let sick = message("sick");
    for attempt in 2..12 {
        let delivery = sick.clone().attempted(attempt);
        let admitted = inbox.begin("bank", &delivery).await.unwrap();
        assert_eq!(admitted, Admission::Handle, "attempt {attempt}");
        assert!(inbox.once("bank", &delivery, Script::Fail).await.is_err());
        inbox.failed("bank", &delivery).await.unwrap();
    }
    // Handled, and the acknowledgement is lost again and again.
    for attempt in 12..20 {
        let delivery = sick.clone().attempted(attempt);
        let admitted = inbox.begin("bank", &delivery).await.unwrap();
        assert_eq!(admitted, Admission::Handle, "attempt {attempt}");
        let _ = inbox
            .once("bank", &delivery, Script::Succeed)
            .await
            .unwrap();
    }
    assert_eq!(inbox.effects().await, ["sick"]);
}

/// An operator decides.
///
/// # Panics
///
/// If the law is broken.
pub async fn what_leaves_quarantine_is_handled_once_or_never<S: Subject>() {
    let inbox = S::fresh(config().starts(NonZeroU32::MIN)).await;
    for poison in [message("released"), message("discarded")] {
        for attempt in 2..4 {
            let _ = inbox
                .begin("bank", &poison.clone().attempted(attempt))
                .await
                .unwrap();
        }
    }
    assert_eq!(inbox.quarantined().await.len(), 2);
    let id = |id: &str| Id::new(id).expect("an id");
    let (released, discarded) = (id("released"), id("discarded"));

    assert!(
        inbox
            .release("bank", &released, Script::Fail)
            .await
            .is_err()
    );
    assert_eq!(inbox.quarantined().await.len(), 2, "it is there still");
    let done = inbox
        .release("bank", &released, Script::Succeed)
        .await
        .unwrap();
    assert_eq!(done, Some(Outcome::Done(())));
    let again = inbox
        .release("bank", &released, Script::Succeed)
        .await
        .unwrap();
    assert_eq!(again, None);

    assert!(inbox.discard("bank", &discarded).await.unwrap());
    assert!(!inbox.discard("bank", &discarded).await.unwrap());
    assert_eq!(inbox.quarantined().await, []);
    for body in ["released", "discarded"] {
        let again = message(body).attempted(9);
        assert_eq!(
            inbox.begin("bank", &again).await.unwrap(),
            Admission::Handle
        );
        let again = inbox.once("bank", &again, Script::Succeed).await.unwrap();
        assert!(again.is_duplicate(), "{body}");
    }
    assert_eq!(inbox.effects().await, ["released"]);
}
