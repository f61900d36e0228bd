//! Bit compatibility with what others published.

use axiomatic_placement::consistent_hash::{Jump, JumpBack};
use axiomatic_placement::consistent_hash::{MAX_SHARDS, NumberedShards, ShardsError};

use super::{jump, jump_back};

/// From the tests of <https://github.com/dgryski/go-jump> (`jump_test.go`),
/// which were made with the paper's C++: the owners at 1, 2, 3, … shards.
#[test]
fn jump_gives_the_answers_of_the_papers_code() {
    let published: [(u64, [u32; 19]); 4] = [
        (0, [0; 19]),
        (
            1,
            [0, 0, 0, 0, 0, 0, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 17, 17],
        ),
        (
            0xdead_beef,
            [0, 1, 2, 3, 3, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 16, 16, 16],
        ),
        (
            0x0ddc_0ffe_ebad_f00d,
            [0, 1, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 15, 15, 15, 15],
        ),
    ];
    for (key, owners) in published {
        for (shards, owner) in (1..).zip(owners) {
            assert_eq!(jump(shards).owner(key), owner, "{key:#x} of {shards}");
        }
    }
}

/// From <https://github.com/lithammer/go-jump-consistent-hash>
/// (`jump_test.go`).
#[test]
fn jump_gives_the_answers_of_another_implementation() {
    for (key, shards, owner) in [
        (1, 1, 0),
        (42, 57, 43),
        (0xdead_10cc, 1, 0),
        (0xdead_10cc, 666, 361),
        (256, 1024, 520),
    ] {
        assert_eq!(jump(shards).owner(key), owner);
    }
}

/// The checksum of hash4j's `ConsistentJumpBackBucketHasherSplitMix64Test`,
/// over a million numbers of shards and hashes as its superclass
/// `AbstractConsistentBucketHasherTest` draws them.
/// <https://github.com/dynatrace-oss/hash4j>
#[test]
fn jump_back_reproduces_the_checksum_of_hash4j() {
    let mut random = SplittableRandom(0x0a55_871a_9d91_03b7);
    let mut sum = Komihash::new();
    let mut block = [0; 16];
    for at in 0..1_000_000 {
        let bits = random.next_u32() >> 1;
        let shards = (bits >> (random.next_u32() % 32)).max(1);
        block[at % 16] = jump_back(shards).owner(random.next_u64());
        if at % 16 == 15 {
            sum.update(&block);
        }
    }
    assert_eq!(sum.finish(), 0x23d7_a0d2_88cd_67e7);
}

#[test]
fn no_shards_and_too_many_are_refused_where_the_value_is_made() {
    assert_eq!(Jump::new(0), Err(ShardsError::Empty));
    assert_eq!(JumpBack::new(0), Err(ShardsError::Empty));
    let many = MAX_SHARDS + 1;
    assert_eq!(Jump::new(many), Err(ShardsError::TooMany(many)));
    assert_eq!(JumpBack::new(many), Err(ShardsError::TooMany(many)));
    assert_eq!(jump_back(MAX_SHARDS).count(), MAX_SHARDS);
    assert_eq!(jump(MAX_SHARDS).count(), MAX_SHARDS);
}

/// Java's `java.util.SplittableRandom`, as seeded there.
struct SplittableRandom(u64);

impl SplittableRandom {
    fn step(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        self.0
    }

    fn next_u64(&mut self) -> u64 {
        let z = self.step();
        let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn next_u32(&mut self) -> u32 {
        let z = self.step();
        let z = (z ^ (z >> 33)).wrapping_mul(0x62a9_d9ed_7997_05f5);
        let z = (z ^ (z >> 28)).wrapping_mul(0xcb24_d0a5_c88c_35b3);
        (z >> 32) as u32
    }
}

/// Komihash 5.0 with seed 0 (<https://github.com/avaneev/komihash>), of whole
/// blocks of 64 bytes: what the checksum above is made of.
struct Komihash {
    low: [u64; 4],
    high: [u64; 4],
}

impl Komihash {
    fn new() -> Self {
        let (low, high) = round(0x243f_6a88_85a3_08d3, 0x4528_21e6_38d0_1377);
        let of_low = [
            0,
            0x1319_8a2e_0370_7344,
            0xa409_3822_299f_31d0,
            0x082e_fa98_ec4e_6c89,
        ];
        let of_high = [
            0,
            0xbe54_66cf_34e9_0c6c,
            0xc0ac_29b7_c97c_50dd,
            0x3f84_d5b5_b547_0917,
        ];
        Komihash {
            low: of_low.map(|pi| pi ^ low),
            high: of_high.map(|pi| pi ^ high),
        }
    }

    fn update(&mut self, block: &[u32; 16]) {
        let word = |at: usize| u64::from(block[2 * at]) | u64::from(block[2 * at + 1]) << 32;
        let products: [_; 4] = std::array::from_fn(|lane| {
            multiply(
                self.low[lane] ^ word(lane),
                self.high[lane] ^ word(lane + 4),
            )
        });
        for (high, (_, carry)) in self.high.iter_mut().zip(products) {
            *high = high.wrapping_add(carry);
        }
        // Each lane's low half meets the high half of the lane before it.
        self.low = std::array::from_fn(|lane| products[lane].0 ^ self.high[(lane + 3) % 4]);
    }

    fn finish(&self) -> u64 {
        let low = self.low.iter().fold(0, |sum, lane| sum ^ lane);
        let high = self.high.iter().fold(0, |sum, lane| sum ^ lane);
        // The mark of the end, and as many rounds as there are at the end.
        let (product, carry) = multiply(low ^ 1, high);
        let high = high.wrapping_add(carry);
        round(product ^ high, high).0
    }
}

fn multiply(a: u64, b: u64) -> (u64, u64) {
    let product = u128::from(a) * u128::from(b);
    (product as u64, (product >> 64) as u64)
}

fn round(low: u64, high: u64) -> (u64, u64) {
    let (product, carry) = multiply(low, high);
    let high = high.wrapping_add(carry);
    (product ^ high, high)
}
