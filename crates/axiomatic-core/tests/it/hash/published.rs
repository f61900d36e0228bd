//! Vectors that others published, by the names under which they did.

use axiomatic_core::hash::{Algorithm, Hasher, Seed};

use super::buffer;

fn hash(algorithm: Algorithm, seed: u64, bytes: &[u8]) -> u64 {
    Hasher::new(algorithm, Seed::fixed(seed)).hash(bytes)
}

fn hash128(algorithm: Algorithm, seed: u64, bytes: &[u8]) -> u128 {
    let hash = Hasher::new(algorithm, Seed::fixed(seed)).hash128(bytes);
    hash.expect("it has 128 bits")
}

/// SMHasher's `VerificationTest` (`src/KeysetTest.cpp`): of the keys `{0}`,
/// `{0, 1}` and so on with the seeds 256, 255 and so on the hash of all hashes.
fn verification<const N: usize>(hash: impl Fn(u64, &[u8]) -> [u8; N]) -> u32 {
    let key: Vec<u8> = (0..=u8::MAX).collect();
    let hashes: Vec<u8> = (0..256)
        .flat_map(|length| hash(256 - length as u64, &key[..length]))
        .collect();
    let last = hash(0, &hashes);
    u32::from_le_bytes([last[0], last[1], last[2], last[3]])
}

/// xxHash's `cli/xsum_sanity_check.c`, `XSUM_XXH3_testdata`.
#[test]
fn xxh3_matches_published_vectors() {
    let prime = 0x9e37_79b1_85eb_ca8d;
    for (length, with_zero, with_prime) in [
        (0, 0x2d06_8005_38d3_94c2, 0xa8a6_b918_b2f0_364a),
        (1, 0xc44b_dff4_074e_ecdb, 0x032b_e332_dd76_6ef8),
        (6, 0x27b5_6a84_cd2d_7325, 0x8458_9c11_6ab5_9ab9),
        (12, 0xa713_daf0_dfbb_77e7, 0xe730_3e1b_2336_de0e),
        (24, 0xa3fe_70bf_9d35_10eb, 0x850e_80fc_35bd_d690),
        (48, 0x397d_a259_ecba_1f11, 0xadc2_cbaa_44ac_c616),
        (80, 0xbcde_fbbb_2c47_c90a, 0xc6dd_0cb6_9953_2e73),
        (195, 0xcd94_217e_e362_ec3a, 0xba68_003d_370c_b3d9),
        (403, 0xcdeb_804d_65c6_dea4, 0x6259_f6ec_fd64_43fd),
        (512, 0x617e_4959_9013_cb6b, 0x3ce4_57de_14c2_7708),
        (2048, 0xdd59_e2c3_a5f0_38e0, 0x66f8_1670_669a_babc),
        (2367, 0xcb37_aeb9_e5d3_61ed, 0xd2db_3415_b942_b42a),
    ] {
        let key = buffer(length);
        assert_eq!(hash(Algorithm::Xxh3, 0, &key), with_zero, "length {length}");
        let seeded = hash(Algorithm::Xxh3, prime, &key);
        assert_eq!(seeded, with_prime, "length {length}");
    }
    // rurban's SMHasher.
    let verified = verification(|seed, key| hash(Algorithm::Xxh3, seed, key).to_le_bytes());
    assert_eq!(verified, 0x9a63_6405);
}

/// The same file's `XSUM_XXH128_testdata`.
#[test]
fn xxh3_with_128_bits_matches_published_vectors() {
    let (prime32, prime64) = (0x9e37_79b1, 0x9e37_79b1_85eb_ca8d);
    for (length, seed, low, high) in [
        (0, 0, 0x6001_c324_468d_497f_u64, 0x99aa_06d3_0147_98d8_u64),
        (0, prime32, 0x5444_f786_9c67_1ab0, 0x9222_0ae5_5e14_ab50),
        (6, 0, 0x3e70_39bd_da43_cfc6, 0x082a_fe0b_8162_d12a),
        (12, prime32, 0x9be9_f9a6_7f3c_7dfb, 0xd7e0_9d51_8a34_05d3),
        (48, 0, 0xf942_219a_ed80_f67b, 0xa002_ac4e_5478_227e),
        (222, prime32, 0xae99_5bb8_af91_7a8d, 0x9182_0016_621e_97f1),
        (512, prime64, 0x3ce4_57de_14c2_7708, 0x925d_06b8_ec5b_8040),
    ] {
        let want = u128::from(high) << 64 | u128::from(low);
        let got = hash128(Algorithm::Xxh3, seed, &buffer(length));
        assert_eq!(got, want, "length {length}");
    }
}

/// The same file's `XSUM_XXH64_testdata`; Envoy's `hash_test.cc`.
#[test]
fn xxh64_matches_published_vectors() {
    let prime = 0x9e37_79b1;
    for (length, seed, want) in [
        (0, 0, 0xef46_db37_51d8_e999),
        (0, prime, 0xac75_fda2_929b_17ef),
        (1, 0, 0xe934_a84a_db05_2768),
        (1, prime, 0x5014_6076_43a9_b4c3),
        (4, 0, 0x9136_a0dc_a574_57ee),
        (14, 0, 0x8282_dcc4_994e_35c8),
        (14, prime, 0xc3bd_6bf6_3deb_6df0),
        (222, 0, 0xb641_ae8c_b691_c174),
        (222, prime, 0x20cb_8ab7_ae10_c14a),
    ] {
        let got = hash(Algorithm::Xxh64, seed, &buffer(length));
        assert_eq!(got, want, "length {length}, seed {seed}");
    }
    for (key, want) in [
        ("foo", 3_728_699_739_546_630_719),
        ("bar", 5_234_164_152_756_840_025),
        ("foo\nbar", 8_917_841_378_505_826_757),
        ("lyft", 4_400_747_396_090_729_504),
    ] {
        assert_eq!(hash(Algorithm::Xxh64, 0, key.as_bytes()), want, "{key}");
    }
    // SMHasher.
    let verified = verification(|seed, key| hash(Algorithm::Xxh64, seed, key).to_le_bytes());
    assert_eq!(verified, 0x024b_7cf4);
}

#[cfg(feature = "murmur")]
#[test]
fn murmur3_matches_published_vectors() {
    // Guava's `Murmur3Hash128Test`, `testKnownValues`.
    let fox = "The quick brown fox jumps over the lazy ";
    for (seed, low, high, key) in [
        (
            0,
            0x6299_4269_3e10_f867_u64,
            0x92db_0b82_baeb_5347_u64,
            "hell",
        ),
        (1, 0xa78d_dff5_adae_8d10, 0x1289_00ef_2090_0135, "hello"),
        (2, 0x8a48_6b23_f422_e826, 0xf962_a2c5_8947_765f, "hello "),
        (3, 0x2ea5_9f46_6f6b_ed8c, 0xc610_990a_cc42_8a17, "hello w"),
        (4, 0x79f6_305a_386c_572c, 0x4630_5aed_3483_b94e, "hello wo"),
        (5, 0xc221_9d21_3ec1_f1b5, 0xa1d8_e2e0_a527_85bd, "hello wor"),
        (
            0,
            0xe34b_bc7b_bc07_1b6c,
            0x7a43_3ca9_c49a_9347,
            &format!("{fox}dog"),
        ),
        (
            0,
            0x658c_a970_ff85_269a,
            0x43fe_e3ea_a68e_5c3e,
            &format!("{fox}cog"),
        ),
    ] {
        let key = key.as_bytes();
        let want = u128::from(high) << 64 | u128::from(low);
        assert_eq!(hash128(Algorithm::Murmur3, seed, key), want);
        assert_eq!(hash(Algorithm::Murmur3, seed, key), low);
    }
    // SMHasher's `main.cpp`, Murmur3F.
    let verified = verification(|seed, key| hash128(Algorithm::Murmur3, seed, key).to_le_bytes());
    assert_eq!(verified, 0x6384_ba69);
}

/// Kafka's `UtilsTest.testMurmur2`; Java's numbers are signed.
#[cfg(feature = "murmur")]
#[test]
fn murmur2_matches_kafkas_test() {
    for (key, want) in [
        ("21", -973_932_308_i32),
        ("foobar", -790_332_482),
        ("a-little-bit-long-string", -985_981_536),
        ("a-little-bit-longer-string", -1_486_304_829),
        (
            "lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8",
            -58_897_971,
        ),
        ("abc", 479_470_107),
    ] {
        let got = hash(Algorithm::Murmur2, 0, key.as_bytes());
        assert_eq!(got, u64::from(want as u32), "{key}");
    }
}

#[cfg(feature = "murmur")]
#[test]
fn murmur64a_matches_published_vectors() {
    // Envoy's `hash_test.cc`, with the seed of its `hash.h`.
    for (key, want) in [
        ("foo", 9_631_199_822_919_835_226),
        ("bar", 11_474_628_671_133_349_555),
        ("foo\nbar", 16_306_510_975_912_980_159),
        ("lyft", 12_847_078_931_730_529_320),
        ("", 6_142_509_188_972_423_790),
    ] {
        let got = hash(Algorithm::Murmur64A, 0xc70f_6907, key.as_bytes());
        assert_eq!(got, want, "{key}");
    }
    // Kudu's `hash_util-test.cc`.
    for (key, seed, want) in [
        ("ab", 0, 7_115_271_465_109_541_368),
        ("abcdefg", 0, 2_601_573_339_036_254_301),
        ("quick brown fox", 42, 3_575_930_248_840_144_026),
    ] {
        let got = hash(Algorithm::Murmur64A, seed, key.as_bytes());
        assert_eq!(got, want, "{key}");
    }
    // SMHasher's `main.cpp`, Murmur2B.
    let verified = verification(|seed, key| hash(Algorithm::Murmur64A, seed, key).to_le_bytes());
    assert_eq!(verified, 0x1f0d_3804);
}

/// The check values of Cook's catalogue (reveng.sourceforge.io); for CRC-16
/// also in the specification of Redis Cluster.
#[cfg(feature = "crc")]
#[test]
fn the_crcs_match_their_check_values() {
    assert_eq!(hash(Algorithm::Crc32, 0, b"123456789"), 0xcbf4_3926);
    assert_eq!(hash(Algorithm::Crc16, 0, b"123456789"), 0x31c3);
    // The slot that Redis' documentation of CLUSTER KEYSLOT gives.
    assert_eq!(hash(Algorithm::Crc16, 0, b"somekey") % 16384, 11058);
}

/// RFC 1321, A.5.
#[cfg(feature = "md5")]
#[test]
fn md5_matches_its_rfc() {
    let digits = "1234567890".repeat(8);
    let letters: String = ('A'..='Z').chain('a'..='z').chain('0'..='9').collect();
    for (key, want) in [
        ("", 0xd41d_8cd9_8f00_b204_e980_0998_ecf8_427e_u128),
        ("a", 0x0cc1_75b9_c0f1_b6a8_31c3_99e2_6977_2661),
        ("abc", 0x9001_5098_3cd2_4fb0_d696_3f7d_28e1_7f72),
        ("message digest", 0xf96b_697d_7cb7_938d_525a_2f31_aaf1_61d0),
        (&letters[26..52], 0xc3fc_d3d7_6192_e400_7dfb_496c_ca67_e13b),
        (&letters, 0xd174_ab98_d277_d9f5_a561_1c2c_9f41_9d9f),
        (&digits, 0x57ed_f4a2_2be3_c955_ac49_da2e_2107_b67a),
    ] {
        let digest = want.to_be_bytes();
        let got = hash128(Algorithm::Md5, 0, key.as_bytes());
        assert_eq!(got.to_le_bytes(), digest, "{key}");
        let first = u32::from_le_bytes([digest[0], digest[1], digest[2], digest[3]]);
        assert_eq!(
            hash(Algorithm::Md5, 0, key.as_bytes()),
            u64::from(first),
            "{key}"
        );
    }
}

/// The key 00 01 … 0f and messages of the same row: of the reference code
/// `vectors.h`, whose bytes are little-endian (the paper's appendix A has the
/// one of 15 bytes), and of `rust-siphash`, `src/tests.rs`, those of 1-3.
#[cfg(feature = "siphash")]
#[test]
fn siphash_matches_its_reference() {
    let row: [u8; 64] = std::array::from_fn(|at| at as u8);
    let seed = Seed::key(std::array::from_fn(|at| at as u8));
    let of = |algorithm, length| Hasher::new(algorithm, seed).hash(&row[..length]);
    for (length, one_three, two_four) in [
        (0, 0xdcc4_0f05_5801_acab_u64, 0x310e_0edd_47db_6f72_u64),
        (1, 0x93ca_577d_f39b_f4c9, 0xfd67_dc93_c539_f874),
        (7, 0x4011_b19b_987d_92d3, 0x37d1_018b_f500_02ab),
        (8, 0x8e9a_298d_1195_9036, 0x6224_939a_79f5_f593),
        (15, 0x5699_512a_6dd8_20d3, 0xe545_be49_61ca_29a1),
        (16, 0x668b_907d_1add_4fcc, 0xdb9b_c257_7fcc_2a3f),
        (63, 0xa8b3_bbb7_6290_199d, 0x7245_06eb_4c32_8a95),
    ] {
        assert_eq!(of(Algorithm::SipHash13, length), one_three.swap_bytes());
        assert_eq!(of(Algorithm::SipHash24, length), two_four.swap_bytes());
    }
    let of = |algorithm, length| {
        Hasher::new(algorithm, seed)
            .hash128(&row[..length])
            .unwrap()
    };
    for (length, want) in [
        (0, 0xa381_7f04_ba25_a8e6_6df6_7214_c755_0293_u128),
        (1, 0xda87_c1d8_6b99_af44_3476_5911_9b22_fc45),
        (15, 0x5493_e999_33b0_a811_7e08_ec0f_97cf_c3d9),
        (63, 0x5150_d177_2f50_834a_503e_069a_973f_bd7c),
    ] {
        assert_eq!(of(Algorithm::SipHash24, length), want.swap_bytes());
    }
    let one_three = 0xe77e_bcb2_2788_a5be_fd62_db6a_dd30_3001_u128;
    assert_eq!(of(Algorithm::SipHash13, 0), one_three.swap_bytes());
}
