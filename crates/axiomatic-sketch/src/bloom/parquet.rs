//! The form that filters have in Parquet files: a header in Thrift's compact
//! protocol, and the bits (parquet-format, `BloomFilter.md` and
//! `parquet.thrift`).
//!
//! The header says how many bytes follow, and names the one algorithm, the one
//! hash and the one compression that there are, each as the first field of a
//! union. So all of it but the length is fixed.

use axiomatic_core::hash::{Algorithm, Hasher, Seed};

use super::error::ParquetError;
use super::filter::BloomFilter;
use super::shape::{Shape, load_for};
use super::view::BloomView;

/// The first field, of type i32: how many bytes.
const LENGTH: u8 = 0x15;
/// Three unions, each a struct whose first field is a struct without fields,
/// and the end.
const REST: [u8; 13] = [
    0x1c, 0x1c, 0, 0, // split blocks
    0x1c, 0x1c, 0, 0, // XXH64
    0x1c, 0x1c, 0, 0, // not compressed
    0,
];

/// XXH64 with seed 0, the one that Parquet knows. A value is hashed as its
/// plain encoding: numbers little-endian in as many bytes as their type has,
/// text without its length.
pub const PARQUET: Hasher = Hasher::new(Algorithm::Xxh64, Seed::fixed(0));

impl BloomFilter {
    /// The filter as it stands in a Parquet file, with its header.
    ///
    /// Any number of blocks is allowed by the format. Arrow's C++ reader
    /// refuses what is no power of two: give it a shape of
    /// [so many blocks](super::Sizing::blocks).
    ///
    /// # Errors
    ///
    /// [`ParquetError::Hasher`] if it does not hash by [`PARQUET`];
    /// [`ParquetError::TooLarge`] if it has 2 GiB or more.
    pub fn to_parquet(&self) -> Result<Vec<u8>, ParquetError> {
        if self.hasher != PARQUET {
            return Err(ParquetError::Hasher);
        }
        let length = i32::try_from(self.shape.bytes()).map_err(|_| ParquetError::TooLarge)?;
        let mut bytes = vec![LENGTH];
        // Zigzag: twice the number, since it is positive; then seven bits to a
        // byte, the lowest first.
        let mut rest = 2 * length as u32;
        while rest >= 0x80 {
            bytes.push(rest as u8 | 0x80);
            rest >>= 7;
        }
        bytes.push(rest as u8);
        bytes.extend_from_slice(&REST);
        bytes.extend_from_slice(&self.table.to_bytes());
        Ok(bytes)
    }
}

impl<'a> BloomView<'a> {
    /// The filter that stands in a Parquet file from here on, and what follows
    /// it. It is asked with [`PARQUET`].
    ///
    /// For how many items it was meant is not written; it is taken to be for as
    /// many as make 1 % false positives.
    ///
    /// ```
    /// use axiomatic_sketch::bloom::{BloomFilter, BloomView, PARQUET, Shape};
    ///
    /// let mut filter = BloomFilter::new(Shape::for_items(10).blocks(1)?, PARQUET)?;
    /// filter.insert(b"Hello");
    /// let column = filter.to_parquet()?;
    /// let (view, rest) = BloomView::of_parquet(&column)?;
    /// assert!(view.may_contain(b"Hello") && rest.is_empty());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`ParquetError`] if this is no such header, or the bits are cut short.
    pub fn of_parquet(bytes: &'a [u8]) -> Result<(Self, &'a [u8]), ParquetError> {
        let (length, rest) = length(bytes)?;
        let rest = rest.strip_prefix(&REST).ok_or(ParquetError::Header)?;
        if length == 0 || length % 32 != 0 {
            return Err(ParquetError::Length);
        }
        let bits = rest.split_at_checked(length as usize);
        let (bits, rest) = bits.ok_or(ParquetError::Truncated)?;
        let blocks = f64::from(length / 32);
        let items = (blocks * load_for(0.01).expect("it is a rate")) as u64;
        let shape = Shape::of(u64::from(length / 32), items).map_err(|_| ParquetError::Length)?;
        let view = BloomView::of(bits, shape, PARQUET).map_err(|_| ParquetError::Length)?;
        Ok((view, rest))
    }
}

/// The first field, and what follows it.
fn length(bytes: &[u8]) -> Result<(u32, &[u8]), ParquetError> {
    let rest = bytes.strip_prefix(&[LENGTH]).ok_or(ParquetError::Header)?;
    let mut zigzag = 0_u64;
    // 32 bits take five bytes at most.
    for (at, byte) in rest.iter().take(5).enumerate() {
        zigzag |= u64::from(byte & 0x7f) << (7 * at);
        if byte & 0x80 == 0 {
            // Odd numbers are negative.
            let length = i32::try_from(zigzag / 2).ok().filter(|_| zigzag % 2 == 0);
            let length = length.ok_or(ParquetError::Length)?;
            return Ok((length as u32, &rest[at + 1..]));
        }
    }
    Err(ParquetError::Header)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The one that arrow-rs tests its reader with: 32 bytes.
    const SMALLEST: [u8; 15] = [21, 64, 28, 28, 0, 0, 28, 28, 0, 0, 28, 28, 0, 0, 0];

    #[test]
    fn the_header_is_that_of_arrow() {
        let shape = Shape::for_items(1).blocks(1).unwrap();
        let filter = BloomFilter::new(shape, PARQUET).unwrap();
        let bytes = filter.to_parquet().unwrap();
        assert_eq!(bytes, [&SMALLEST[..], &[0; 32]].concat());
    }

    #[test]
    fn every_length_is_read_as_written() {
        for blocks in [1, 2, 3, 4, 255, 256, 257, 8191, 8192, 100_000] {
            let shape = Shape::for_items(1).blocks(blocks).unwrap();
            let filter = BloomFilter::new(shape, PARQUET).unwrap();
            let mut bytes = filter.to_parquet().unwrap();
            bytes.extend_from_slice(b"more");
            let (view, rest) = BloomView::of_parquet(&bytes).unwrap();
            assert_eq!(view.shape().blocks(), blocks);
            assert_eq!(rest, b"more");
        }
    }

    #[test]
    fn what_is_no_header_is_refused_and_every_prefix_is() {
        let whole = [&SMALLEST[..], &[0; 32]].concat();
        for len in 0..whole.len() {
            assert!(BloomView::of_parquet(&whole[..len]).is_err(), "{len}");
        }
        for at in 0..SMALLEST.len() {
            let mut other = whole.clone();
            other[at] ^= 2;
            assert!(BloomView::of_parquet(&other).is_err(), "{at}");
        }
        let of = |length: &[u8]| {
            let bytes = [&[LENGTH], length, &REST, &[0; 64]].concat();
            BloomView::of_parquet(&bytes).map(|(view, _)| view.shape().blocks())
        };
        assert_eq!(of(&[64]), Ok(1));
        // Zero bits, negative numbers, half a block, beyond 32 bits.
        assert_eq!(of(&[0]), Err(ParquetError::Length));
        assert_eq!(of(&[63]), Err(ParquetError::Length));
        assert_eq!(of(&[65]), Err(ParquetError::Length));
        assert_eq!(of(&[32]), Err(ParquetError::Length));
        assert_eq!(
            of(&[0xff, 0xff, 0xff, 0xff, 0x7f]),
            Err(ParquetError::Length)
        );
        assert_eq!(of(&[0x80; 6]), Err(ParquetError::Header));
        // 2 GiB less a block, which are not there.
        let most = 2 * (i32::MAX as u32 / 32 * 32);
        let most: Vec<u8> = (0..5)
            .map(|at| (most >> (7 * at)) as u8 & 0x7f | if at < 4 { 0x80 } else { 0 })
            .collect();
        assert_eq!(of(&most), Err(ParquetError::Truncated));
    }
}
