//! A filter against bits in a row, whatever is done to it.

use axiomatic_core::hash::{Algorithm, Hasher, Seed};
use axiomatic_sketch::bloom::{BloomFilter, BloomView, Shape, Verify};

/// The multipliers of Parquet's specification, written down once more.
const SALT: [u64; 8] = [
    0x47b6_137b,
    0x4497_4d91,
    0x8824_ad5b,
    0xa2b7_289d,
    0x7054_95c7,
    0x2df1_424b,
    0x9efc_4947,
    0x5c6b_fb31,
];

/// One truth value a bit.
struct Naive {
    blocks: usize,
    bits: Vec<bool>,
}

impl Naive {
    fn new(blocks: usize) -> Self {
        let bits = vec![false; 256 * blocks];
        Naive { blocks, bits }
    }

    fn places(&self, hash: u64) -> [usize; 8] {
        let (high, low) = (hash >> 32, hash & 0xffff_ffff);
        let block = (u128::from(high) * self.blocks as u128 / (1 << 32)) as usize;
        std::array::from_fn(|word| {
            let bit = (low * SALT[word] % (1 << 32)) / (1 << 27);
            256 * block + 32 * word + bit as usize
        })
    }

    fn insert(&mut self, hash: u64) -> bool {
        let is_new = !self.may_contain(hash);
        for bit in self.places(hash) {
            self.bits[bit] = true;
        }
        is_new
    }

    fn insert_all(&mut self, hashes: &[u64]) {
        for hash in hashes {
            self.insert(*hash);
        }
    }

    fn may_contain(&self, hash: u64) -> bool {
        self.places(hash).into_iter().all(|bit| self.bits[bit])
    }

    fn folded(&self, blocks: usize) -> Naive {
        let mut folded = Naive::new(blocks);
        let factor = self.blocks / blocks;
        for (at, bit) in self.bits.iter().enumerate() {
            folded.bits[at / 256 / factor * 256 + at % 256] |= *bit;
        }
        folded
    }

    fn rate(&self) -> f64 {
        let blocks = self.bits.chunks(256).map(|block| {
            let words = block.chunks(32);
            let full = words.map(|word| word.iter().filter(|bit| **bit).count() as f64 / 32.0);
            full.product::<f64>()
        });
        blocks.sum::<f64>() / self.blocks as f64
    }
}

/// Does what these bytes say to both; `Err` says how they differ.
pub(crate) fn check(bytes: &[u8]) -> Result<(), String> {
    let Some((&first, mut rest)) = bytes.split_first() else {
        return Ok(());
    };
    let hasher = Hasher::new(Algorithm::Xxh3, Seed::fixed(0));
    let mut naive = Naive::new(usize::from(first) + 1);
    let shape = Shape::for_items(1).blocks(u32::from(first) + 1);
    let mut filter = BloomFilter::new(shape.unwrap(), hasher).unwrap();
    while let Some((&what, after)) = rest.split_first() {
        let many = usize::from(what >> 3) + 1;
        let hashes: Vec<u64> = after
            .chunks_exact(8)
            .take(if what & 7 < 2 { 1 } else { many })
            .map(|bytes| u64::from_le_bytes(bytes.try_into().unwrap()))
            .collect();
        rest = &after[8 * hashes.len()..];
        match what & 7 {
            0 => {
                for hash in hashes {
                    same("insert", filter.insert_hash(hash), naive.insert(hash))?;
                }
            }
            1 => {
                for hash in hashes {
                    let answer = filter.may_contain_hash(hash);
                    same("ask", answer, naive.may_contain(hash))?;
                }
            }
            2 => {
                filter.insert_hashes(&hashes);
                naive.insert_all(&hashes);
            }
            3 => {
                let mut answers = Vec::new();
                filter.may_contain_hashes(&hashes, &mut answers);
                let naively: Vec<bool> = hashes.iter().map(|h| naive.may_contain(*h)).collect();
                same("ask many", &answers, &naively)?;
            }
            4 => {
                let mut other = BloomFilter::new(filter.shape(), hasher).unwrap();
                other.insert_hashes(&hashes);
                filter.union(&other).unwrap();
                naive.insert_all(&hashes);
            }
            5 => {
                let rate = many as f64 / 33.0;
                filter = filter.fold_to(rate).unwrap();
                let blocks = filter.shape().blocks() as usize;
                if blocks < naive.blocks {
                    naive = naive.folded(blocks);
                    same(
                        "folds to the rate",
                        naive.rate() <= rate * (1.0 + 1e-9),
                        true,
                    )?;
                }
            }
            6 => {
                // Stored, at an address of any kind.
                let mut room = vec![what; many];
                room.extend(filter.to_bytes());
                let view = BloomView::new(&room[many..], Verify::All).unwrap();
                for hash in hashes {
                    let answer = view.may_contain_hash(hash);
                    same("view", answer, naive.may_contain(hash))?;
                }
                filter = view.to_filter().unwrap();
            }
            _ => {
                let rate = filter.snapshot().false_positives();
                same("rate", (rate - naive.rate()).abs() < 1e-9, true)?;
                if what == 7 {
                    filter.clear();
                    naive = Naive::new(naive.blocks);
                }
            }
        }
    }
    let bits = naive.bits.chunks(8);
    let bits: Vec<u8> = bits
        .map(|byte| {
            byte.iter()
                .rev()
                .fold(0, |byte, bit| byte << 1 | u8::from(*bit))
        })
        .collect();
    same("bits", &filter.to_bytes()[64..], &bits[..])
}

fn same<T: PartialEq + std::fmt::Debug + Copy>(
    what: &str,
    ours: T,
    naive: T,
) -> Result<(), String> {
    if ours == naive {
        return Ok(());
    }
    Err(format!("{what}: {ours:?} instead of {naive:?}"))
}
