//! What comes next for a message, given what became of it: a pure function.

use std::time::Duration;

use axiomatic_core::backoff::{Backoff, Session};

use super::config::{Config, HeadPolicy};
use super::publisher::{Class, Verdict};
use super::record::Stored;
use super::store::{Cause, Failure, Fate};

/// Whether it is the broker that failed, and no message is to be charged with
/// it: all of a wave failed alike, several messages, or fewer after a wave of
/// which that was so.
///
/// A wave of one message says nothing of the broker: were it never charged, a
/// message that cannot be published would be tried for ever, as long as it is
/// alone.
pub(super) fn is_outage(verdicts: &[Verdict], was_outage: bool) -> bool {
    let all_failed = verdicts.iter().all(|verdict| match verdict {
        Verdict::Acked | Verdict::Duplicate => false,
        Verdict::Rejected { class, .. } => *class == Class::Transient,
        Verdict::Unknown => true,
    });
    all_failed && (verdicts.len() > 1 || was_outage)
}

/// What comes next.
pub(super) fn after(verdict: &Verdict, stored: &Stored, outage: bool, config: &Config) -> Fate {
    let again = |failure: Option<Failure>| Fate::Again {
        after: wait(config.backoff, stored.failures),
        failure,
    };
    let (class, error) = match verdict {
        Verdict::Acked | Verdict::Duplicate => return Fate::Published,
        Verdict::Unknown => return again(None),
        Verdict::Rejected { class, .. } if outage && *class == Class::Transient => {
            return again(None);
        }
        Verdict::Rejected { class, error } => (*class, error.clone()),
    };
    let cause = Cause::Rejected(class);
    let failure = Failure { cause, error };
    let has_attempts = stored.failures + 1 < config.max_failures;
    if class == Class::Transient && (has_attempts || policy(stored, config) == HeadPolicy::BlockKey)
    {
        return again(Some(failure));
    }
    given_up(failure, stored, config)
}

/// What comes next for a message that has ended processes.
pub(super) fn of_poison(stored: &Stored, config: &Config) -> Fate {
    let error = format!(
        "{} attempts were begun and never ended: whoever made them died or lost its lease",
        stored.started
    );
    let failure = Failure {
        cause: Cause::Poison,
        error: error.into(),
    };
    given_up(failure, stored, config)
}

fn given_up(failure: Failure, stored: &Stored, config: &Config) -> Fate {
    match policy(stored, config) {
        HeadPolicy::ParkMessage => Fate::Buried(failure),
        HeadPolicy::BlockKey | HeadPolicy::ParkKey => Fate::Parked(failure),
    }
}

fn policy(stored: &Stored, config: &Config) -> HeadPolicy {
    if stored.message.key().is_none() {
        return HeadPolicy::ParkMessage;
    }
    let of_topic = config.head_policies.get(stored.message.topic());
    *of_topic.unwrap_or(&config.head_policy)
}

/// The wait after so many failures and one more.
fn wait(backoff: Backoff, failures: u32) -> Duration {
    // A walk that remembers its last step has to be walked; after 64 steps
    // every sensible one is at its longest.
    let mut session = Session::new();
    for _ in 0..failures.min(64) {
        backoff.wait(&mut session, None);
    }
    backoff.wait(&mut session, None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Timestamp;
    use crate::outbox::{Message, RowId};
    use axiomatic_core::backoff::Jitter;

    fn stored(failures: u32, key: Option<&str>) -> Stored {
        let message = Message::new("orders", "");
        let message = match key {
            Some(key) => message.keyed(key),
            None => message,
        };
        Stored {
            row: RowId(1),
            lane: message.lane(),
            sequence: None,
            failures,
            started: 0,
            enqueued_at: Timestamp::default(),
            message,
        }
    }

    fn config(policy: HeadPolicy) -> Config {
        let second = Duration::from_secs(1);
        let backoff = Backoff::exponential(second, second * 60).jitter(Jitter::Off);
        let config = Config::new().backoff(backoff).max_failures(3);
        config.head_policy(policy)
    }

    /// The table of [`HeadPolicy`], cell by cell.
    #[test]
    fn every_cell_of_the_table_of_policies_holds() {
        use HeadPolicy::{BlockKey, ParkKey, ParkMessage};
        #[derive(Debug, PartialEq)]
        enum Next {
            Again,
            Buried,
            Parked,
        }
        use Next::{Again, Buried, Parked};
        let table = [
            (BlockKey, Class::Transient, [Again, Again, Again]),
            (ParkMessage, Class::Transient, [Again, Again, Buried]),
            (ParkKey, Class::Transient, [Again, Again, Parked]),
            (BlockKey, Class::Permanent, [Parked, Parked, Parked]),
            (ParkMessage, Class::Unroutable, [Buried, Buried, Buried]),
            (ParkKey, Class::TooLarge, [Parked, Parked, Parked]),
        ];
        for (policy, class, expected) in table {
            let verdict = Verdict::rejected(class, "no");
            let next = [0, 1, 2].map(|failures| {
                let stored = stored(failures, Some("key"));
                match after(&verdict, &stored, false, &config(policy)) {
                    Fate::Again {
                        failure: Some(_), ..
                    } => Again,
                    Fate::Buried(_) => Buried,
                    Fate::Parked(_) => Parked,
                    other => panic!("{other:?}"),
                }
            });
            assert_eq!(next, expected, "{policy:?} {class:?}");
        }
        for policy in [BlockKey, ParkMessage, ParkKey] {
            let poison = of_poison(&stored(0, Some("key")), &config(policy));
            assert_eq!(matches!(poison, Fate::Buried(_)), policy == ParkMessage);
        }
    }

    #[test]
    fn a_message_without_a_key_is_buried_whatever_the_policy() {
        let verdict = Verdict::rejected(Class::Permanent, "no");
        let fate = after(
            &verdict,
            &stored(0, None),
            false,
            &config(HeadPolicy::BlockKey),
        );
        assert!(matches!(fate, Fate::Buried(_)));
    }

    #[test]
    fn the_policy_of_a_topic_comes_before_that_of_all() {
        let config = config(HeadPolicy::BlockKey).head_policy_of("orders", HeadPolicy::ParkMessage);
        let verdict = Verdict::rejected(Class::Permanent, "no");
        let fate = after(&verdict, &stored(0, Some("key")), false, &config);
        assert!(matches!(fate, Fate::Buried(_)));
    }

    #[test]
    fn what_is_unknown_or_fails_with_all_others_is_charged_to_no_message() {
        let config = config(HeadPolicy::ParkMessage);
        let last = stored(2, Some("key"));
        let transient = Verdict::rejected(Class::Transient, "no");
        for (verdict, outage) in [(&Verdict::Unknown, false), (&transient, true)] {
            let fate = after(verdict, &last, outage, &config);
            assert!(matches!(fate, Fate::Again { failure: None, .. }));
        }
    }

    #[test]
    fn the_wait_grows_with_the_failures() {
        let config = config(HeadPolicy::BlockKey);
        let waits = [0, 1, 2, 3, 100].map(|failures| wait(config.backoff, failures).as_secs());
        assert_eq!(waits, [1, 2, 4, 8, 60]);
    }

    #[test]
    fn an_outage_is_several_messages_of_which_none_came_through() {
        let transient = Verdict::rejected(Class::Transient, "no");
        let permanent = Verdict::rejected(Class::Permanent, "no");
        let failed = [transient.clone(), Verdict::Unknown];
        assert!(is_outage(&failed, false));
        assert!(!is_outage(&failed[..1], false), "one says nothing");
        assert!(is_outage(&failed[..1], true), "it goes on");
        for came_through in [Verdict::Acked, Verdict::Duplicate] {
            assert!(!is_outage(&[transient.clone(), came_through], true));
        }
        let never = [transient, permanent];
        assert!(
            !is_outage(&never, true),
            "a broker that says never is there"
        );
    }
}
