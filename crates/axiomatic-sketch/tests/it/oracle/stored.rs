//! Stored filters, which may come from anybody: nothing panics, and what is
//! read is written as it was.

use axiomatic_core::hash::{Algorithm, Hasher, Seed};
use axiomatic_sketch::bloom::{AtomicWordFilter, BloomFilter, BloomView, DecodeError, Verify};

/// Keys that are as good as any others.
const ASKED: [u64; 4] = [0, 1, u64::MAX, 0x0123_4567_89ab_cdef];

/// Reads these bytes by every decoder, as they are and with the checksums that
/// a forger would give them.
pub(crate) fn check(bytes: &[u8]) -> Result<(), String> {
    read(bytes)?;
    if let Some(forged) = forged(bytes) {
        read(&forged)?;
    }
    #[cfg(feature = "parquet")]
    parquet(bytes)?;
    Ok(())
}

/// As the one kind and as the other.
fn read(bytes: &[u8]) -> Result<(), String> {
    blocks(bytes)?;
    words(bytes)
}

fn words(bytes: &[u8]) -> Result<(), String> {
    let filter = match AtomicWordFilter::from_bytes(bytes) {
        Err(DecodeError::SeedNeeded) => AtomicWordFilter::from_bytes_keyed(bytes, key()),
        filter => filter,
    };
    let Ok(filter) = filter else {
        return Ok(());
    };
    if filter.to_bytes() != bytes {
        return Err("it is written otherwise".to_owned());
    }
    if filter.snapshot().to_string().is_empty() {
        return Err("a snapshot of nothing".to_owned());
    }
    for hash in ASKED {
        let answer = filter.may_contain_hash(hash);
        if filter.insert_hash(hash) == answer || !filter.may_contain_hash(hash) {
            return Err(format!("{hash} was answered with {answer}"));
        }
    }
    Ok(())
}

fn key() -> Hasher {
    Hasher::new(Algorithm::Xxh3, Seed::key([7; 16]))
}

fn blocks(bytes: &[u8]) -> Result<(), String> {
    let keyed = BloomView::keyed(bytes, key(), Verify::All);
    let view = match BloomView::new(bytes, Verify::All) {
        Err(DecodeError::SeedNeeded) => keyed,
        view => view,
    };
    let by_header = BloomView::new(bytes, Verify::Header);
    let Ok(view) = view else {
        // What is taken without its checksum has the right size at least.
        return match by_header {
            Ok(view) if view.shape().bytes() + 64 != bytes.len() as u64 => {
                Err("a view of another size".to_owned())
            }
            _ => Ok(()),
        };
    };
    used(&view)?;
    let filter = view.to_filter().map_err(|error| error.to_string())?;
    if filter.to_bytes() != bytes {
        return Err("it is written otherwise".to_owned());
    }
    Ok(())
}

fn used(view: &BloomView<'_>) -> Result<(), String> {
    let mut filter: BloomFilter = view.to_filter().map_err(|error| error.to_string())?;
    let rate = view.snapshot().false_positives();
    if !(0.0..=1.0).contains(&rate) || view.snapshot().to_string().is_empty() {
        return Err(format!("a rate of {rate}"));
    }
    for hash in ASKED {
        let answer = view.may_contain_hash(hash);
        if filter.may_contain_hash(hash) != answer {
            return Err(format!("{hash} was answered with {answer}"));
        }
    }
    for hash in ASKED {
        filter.insert_hash(hash);
        if !filter.may_contain_hash(hash) {
            return Err(format!("{hash} was inserted, and denied"));
        }
    }
    Ok(())
}

fn forged(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = bytes.to_vec();
    let hasher = Hasher::new(Algorithm::Xxh3, Seed::fixed(0));
    let of_bits = hasher.hash(bytes.get(64..)?);
    bytes[..10].copy_from_slice(b"axbloom\0\x01\0");
    bytes[48..56].copy_from_slice(&of_bits.to_le_bytes());
    let of_header = hasher.hash(&bytes[..56]);
    bytes[56..64].copy_from_slice(&of_header.to_le_bytes());
    Some(bytes)
}

#[cfg(feature = "parquet")]
fn parquet(bytes: &[u8]) -> Result<(), String> {
    let Ok((view, rest)) = BloomView::of_parquet(bytes) else {
        return Ok(());
    };
    used(&view)?;
    let filter = view.to_filter().map_err(|error| error.to_string())?;
    let written = filter.to_parquet().map_err(|error| error.to_string())?;
    // A length may have been written in more bytes than it takes.
    let whole = &bytes[..bytes.len() - rest.len()];
    if written.len() > whole.len() || !whole.ends_with(&written[written.len() - 45..]) {
        return Err("Parquet's is written otherwise".to_owned());
    }
    Ok(())
}
