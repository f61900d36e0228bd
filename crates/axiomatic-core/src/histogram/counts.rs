use std::time::Duration;

use super::scale::{BUCKETS, middle};
use crate::Ratio;

/// What was counted, bucket by bucket: calls that ended, and calls of which
/// only a beginning was seen.
#[derive(Debug)]
pub(super) struct Counts {
    pub(super) ended: [u64; BUCKETS],
    pub(super) cut_short: [u64; BUCKETS],
}

/// The whole, in the estimator's fixed point. With 62 bits the roundings of
/// all buckets together are less than what one call among 2^34 amounts to.
const WHOLE: u128 = 1 << 62;

impl Counts {
    pub(super) fn ended(&self) -> u64 {
        self.ended.iter().sum()
    }

    pub(super) fn cut_short(&self) -> u64 {
        self.cut_short.iter().sum()
    }

    pub(super) fn total(&self) -> u64 {
        self.ended() + self.cut_short()
    }

    /// The least latency within which so large a share of the calls ends, by
    /// the product-limit estimator of Kaplan and Meier: of the calls that
    /// were seen to last until a bucket, so many end in it, and those that
    /// are cut short count until then and no longer.
    ///
    /// Where the share is not reached, since too many were cut short, the
    /// longest time that was seen: the answer is that or more.
    pub(super) fn quantile(&self, share: Ratio) -> Option<Duration> {
        let million = u128::from(Ratio::ONE.as_parts_per_million());
        let share = u128::from(share.as_parts_per_million()).min(million);
        let may_last = WHOLE * (million - share) / million;

        let mut lasting = WHOLE;
        let mut seen = u128::from(self.total());
        let mut longest = None;
        for (bucket, (&ended, &cut_short)) in self.ended.iter().zip(&self.cut_short).enumerate() {
            let (ended, cut_short) = (u128::from(ended), u128::from(cut_short));
            if ended + cut_short == 0 {
                continue;
            }
            longest = Some(bucket);
            if ended > 0 {
                lasting = lasting * (seen - ended) / seen;
                if lasting <= may_last {
                    break;
                }
            }
            // Who is cut short in the bucket may have lasted to its end.
            seen -= ended + cut_short;
        }
        longest.map(middle)
    }
}
