use super::*;

const PROCESSOR: u64 = MILLION;
const SECOND: u64 = 1_000_000_000;

fn usage(micros: u64, throttled: u64) -> Usage {
    Usage { micros, throttled }
}

#[test]
fn usage_is_a_share_of_the_quota_or_of_the_processors() {
    let quota = |quota| {
        Some(Quota {
            quota,
            period: 100_000,
        })
    };
    for (micros, throttled, quota, processors, percent) in [
        (500_000, 0, None, 1, 50),
        (500_000, 0, None, 4, 12),
        (500_000, 0, quota(50_000), 4, 100),
        (500_000, 0, quota(200_000), 4, 25),
        // A quota beyond the processors is none.
        (500_000, 0, quota(800_000), 1, 50),
        (2_000_000, 0, quota(100_000), 4, 200),
        (0, 0, quota(100_000), 4, 0),
        // Throttled in three of ten periods.
        (100_000, 3, quota(100_000), 4, 30),
        (900_000, 3, quota(100_000), 4, 90),
        (100_000, 11, quota(100_000), 4, 100),
        (100_000, 3, None, 1, 10),
    ] {
        let (before, after) = (usage(7, 5), usage(7 + micros, 5 + throttled));
        let share = after.since(before, SECOND, quota, processors * PROCESSOR);
        assert_eq!(
            share / 10_000,
            percent,
            "{micros} us, {throttled} throttled, {quota:?}"
        );
    }
}

#[test]
fn no_numbers_overflow() {
    let most = usage(u64::MAX, u64::MAX);
    let quota = Some(Quota {
        quota: u64::MAX - 1,
        period: u64::MAX,
    });
    for nanos in [0, 1, u64::MAX] {
        for quota in [
            None,
            quota,
            Some(Quota {
                quota: 1,
                period: u64::MAX,
            }),
        ] {
            let _ = most.since(usage(0, 0), nanos, quota, u64::MAX);
            let _ = most.since(usage(0, 0), nanos, quota, 1);
        }
        let _ = smoothed(u64::MAX, u64::MAX, nanos);
    }
    // A counter that began anew.
    assert_eq!(usage(0, 0).since(most, SECOND, None, PROCESSOR), 0);
}

#[test]
fn a_step_is_seen_to_two_thirds_within_a_second_or_two() {
    let mut average = 0;
    let mut samples = 0;
    while average < 660_000 {
        average = smoothed(average, MILLION, SECOND / 10);
        samples += 1;
    }
    assert!((10..=20).contains(&samples), "{samples} samples");
    // After a long time without a reading, what is new is nearly all.
    assert!(smoothed(0, MILLION, 100 * SECOND) > 980_000);
}
