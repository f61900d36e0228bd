//! Bit by bit what Parquet has.

use axiomatic_sketch::bloom::{BloomFilter, BloomView, PARQUET, ParquetError, Shape};

use crate::support::hasher;

fn one_block(values: impl Iterator<Item = Vec<u8>>) -> Vec<u8> {
    let shape = Shape::for_items(10).blocks(1).unwrap();
    let mut filter = BloomFilter::new(shape, PARQUET).unwrap();
    values.for_each(|value| {
        filter.insert(&value);
    });
    filter.to_parquet().unwrap()[15..].to_vec()
}

/// Both were written by parquet-mr under Spark, and are in the tests of
/// parquet2 and of arrow-rs: text `a0` to `a9`, and numbers 0 to 9.
#[test]
fn the_bits_are_those_that_spark_wrote() {
    let text = one_block((0..10).map(|n| format!("a{n}").into_bytes()));
    let by_spark = [
        200, 1, 80, 20, 64, 68, 8, 109, 6, 37, 4, 67, 144, 80, 96, 32, 8, 132, 43, 33, 0, 5, 99,
        65, 2, 0, 224, 44, 64, 78, 96, 4,
    ];
    assert_eq!(text, by_spark);
    let numbers = one_block((0..10_i64).map(|n| n.to_le_bytes().to_vec()));
    let by_spark = [
        24, 130, 24, 8, 134, 8, 68, 6, 2, 101, 128, 10, 64, 2, 38, 78, 114, 1, 64, 38, 1, 192, 194,
        152, 64, 70, 0, 36, 56, 121, 64, 0,
    ];
    assert_eq!(numbers, by_spark);
}

#[test]
fn the_hash_is_the_one_that_the_specification_names() {
    assert_eq!(PARQUET.hash(b""), 17_241_709_254_077_376_921);
}

#[test]
fn a_filter_by_another_hash_is_no_parquet_filter() {
    let shape = Shape::for_items(10).blocks(1).unwrap();
    let filter = BloomFilter::new(shape, hasher()).unwrap();
    assert_eq!(filter.to_parquet(), Err(ParquetError::Hasher));
}

#[test]
fn filters_follow_one_another_in_a_file() {
    let filter = |blocks, key: &[u8]| {
        let shape = Shape::for_items(10).blocks(blocks).unwrap();
        let mut filter = BloomFilter::new(shape, PARQUET).unwrap();
        filter.insert(key);
        filter
    };
    let mut file = filter(3, b"first").to_parquet().unwrap();
    file.extend(filter(500, b"second").to_parquet().unwrap());
    let (first, rest) = BloomView::of_parquet(&file).unwrap();
    let (second, rest) = BloomView::of_parquet(rest).unwrap();
    assert!(first.may_contain(b"first") && second.may_contain(b"second"));
    assert!(rest.is_empty());
    let again = second.to_filter().unwrap().to_parquet().unwrap();
    assert_eq!(again, file[file.len() - again.len()..]);
}
