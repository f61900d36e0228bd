use std::time::Duration;

use axiomatic_core::time::Instant;

/// One asker's wait for the inner service: since when it has found it not
/// ready, time after time. Belongs to whoever asks, and starts empty.
#[derive(Debug, Default)]
pub struct Wait {
    under_way: Option<UnderWay>,
}

#[derive(Debug)]
struct UnderWay {
    began: Instant,
    /// When it is to be asked again, whatever happens.
    until: Instant,
    /// In shadow: whether it was counted as one that would be refused.
    is_counted: bool,
}

/// Who comes back this much later than it was to did not wait. A loaded
/// runtime, which does not poll a task at once either, is to be told from that.
const LAPSE: Duration = Duration::from_secs(1);

impl Wait {
    /// Since when, at `now`: from now on, if there was none or nobody attended
    /// to it.
    pub(super) fn attend(&mut self, now: Instant, max_unavailable: Duration) -> Instant {
        let wait = self.under_way.get_or_insert(UnderWay {
            began: now,
            until: now,
            is_counted: false,
        });
        if now > wait.until + max_unavailable.max(LAPSE) {
            wait.began = now;
        }
        wait.began
    }

    pub(super) fn set_until(&mut self, until: Instant) {
        if let Some(wait) = &mut self.under_way {
            wait.until = until;
        }
    }

    /// True the first time in a wait.
    pub(super) fn count(&mut self, now: Instant) -> bool {
        let wait = self.under_way.get_or_insert(UnderWay {
            began: now,
            until: now,
            is_counted: false,
        });
        !std::mem::replace(&mut wait.is_counted, true)
    }

    pub(super) fn end(&mut self) {
        self.under_way = None;
    }
}

#[cfg(all(test, not(axiomatic_loom)))]
mod tests {
    use super::*;

    #[test]
    fn who_is_late_by_less_than_a_second_or_the_time_itself_has_waited() {
        let start = Instant::from_nanos(1_000_000_000);
        let second = Duration::from_secs(1);
        for (patience, lapse) in [(second / 10, second), (3 * second, 3 * second)] {
            let mut wait = Wait::default();
            assert_eq!(wait.attend(start, patience), start);
            wait.set_until(start + patience);
            let late = start + patience + lapse;
            assert_eq!(wait.attend(late, patience), start);
            let too_late = late + Duration::from_nanos(1);
            assert_eq!(wait.attend(too_late, patience), too_late);
        }
    }
}
