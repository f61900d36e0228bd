//! Rings against those they are to be the same as.
//!
//! The golden files, but for nginx's own, were computed by references that
//! share no code with the crate: the points by the formulas of the original's
//! source, Python's `hashlib` and `zlib` for the hashes (C for HAProxy's), and
//! a search among all points. Where the original publishes vectors, the
//! references agree with these, too.

use axiomatic_placement::consistent_hash::{Format, Membership, Node, Placement, Ring, State};

fn ring(format: Format, nodes: &[(&str, u32)]) -> Ring {
    let nodes = nodes
        .iter()
        .map(|(id, weight)| Node::new(id).weighing(*weight));
    let membership = Membership::new(1, nodes).expect("nodes");
    Ring::new(&membership, format).expect("points")
}

fn owner(ring: &Ring, hash: u64) -> &str {
    std::str::from_utf8(ring.owner(hash).id()).expect("text")
}

/// Lines of a key, its hash, and what else there is.
fn lines(golden: &str) -> impl Iterator<Item = (&str, u64, Vec<&str>)> {
    golden.lines().map(|line| {
        let mut words = line.split(' ');
        let key = words.next().expect("a key");
        let hash = words.next().and_then(|hash| hash.parse().ok());
        (key, hash.expect("a hash"), words.collect())
    })
}

#[cfg(feature = "ketama")]
mod libketama {
    use super::*;
    use axiomatic_core::hash::{Algorithm, Hasher, Seed};
    use std::fmt::Write;

    /// `ketama.servers` of the repository.
    const SERVERS: [(&str, u32); 8] = [
        ("10.0.1.1:11211", 600),
        ("10.0.1.2:11211", 300),
        ("10.0.1.3:11211", 200),
        ("10.0.1.4:11211", 350),
        ("10.0.1.5:11211", 1000),
        ("10.0.1.6:11211", 800),
        ("10.0.1.7:11211", 950),
        ("10.0.1.8:11211", 100),
    ];

    /// `python_ketama/tests.py` of the repository.
    #[test]
    fn it_passes_the_test_of_libketamas_python_module() {
        let ring = ring(
            Format::Libketama,
            &[("127.0.0.1:11211", 600), ("127.0.0.1:11212", 400)],
        );
        let hash = Format::Libketama.hash(b"test");
        assert_eq!(hash, 3_446_378_249);
        assert_eq!(ring.points().len(), 160 * 2);
        let mut points = ring.points();
        let (point, node) = points.find(|(point, _)| *point >= hash).expect("a point");
        assert_eq!(point, 3_454_255_383);
        assert_eq!(node.id(), b"127.0.0.1:11211");
        assert_eq!(ring.owner(hash), node);
    }

    /// `libketama/test.sh` of the repository: the MD5 of what `ketama_test`
    /// prints for the keys from 0 to 999999, their hashes, points and servers.
    #[test]
    fn a_million_keys_are_where_libketama_has_them() {
        let ring = ring(Format::Libketama, &SERVERS);
        let points: Vec<(u64, &str)> = ring
            .points()
            .map(|(point, node)| (point, std::str::from_utf8(node.id()).expect("text")))
            .collect();
        // It begins with an empty line: that there was no error.
        let mut printed = String::from("\n");
        for key in 0..1_000_000 {
            let hash = Format::Libketama.hash(key.to_string().as_bytes());
            let place = points.partition_point(|(point, _)| *point < hash);
            let (point, _) = points[place % points.len()];
            writeln!(printed, "{hash} {point} {}", owner(&ring, hash)).expect("memory");
        }
        let digest = Hasher::new(Algorithm::Md5, Seed::fixed(0)).hash128(printed.as_bytes());
        let published = 0x5672_b131_391f_5aa2_b280_936a_ec1e_ea74_u128;
        let digest = digest.expect("of 128 bits").to_le_bytes();
        assert_eq!(digest, published.to_be_bytes());
    }

    #[test]
    fn libketama_agrees_with_its_golden_file() {
        let ring = ring(Format::Libketama, &SERVERS);
        for (key, hash, rest) in lines(include_str!("../golden/placement_19_ring_libketama.txt")) {
            assert_eq!(Format::Libketama.hash(key.as_bytes()), hash, "{key}");
            assert_eq!(owner(&ring, hash), rest[1], "{key}");
        }
    }
}

#[cfg(feature = "nginx")]
mod nginx {
    use super::*;

    /// 300 lines of what nginx itself logged, with nine servers of weight 100:
    /// `test-data/sample-nginx-upstream.csv` of pingora-ketama 0.9.1.
    #[test]
    fn requests_go_where_nginx_sent_them() {
        let servers: Vec<String> = (1..=9).map(|i| format!("10.0.0.{i}:443")).collect();
        let servers: Vec<_> = servers.iter().map(|id| (id.as_str(), 100)).collect();
        let ring = ring(Format::Nginx, &servers);
        let golden = include_str!("../golden/ring_nginx_upstream.csv");
        for line in golden.lines() {
            let (uri, upstream) = line.split_once(',').expect("two columns");
            let hash = Format::Nginx.hash(uri.as_bytes());
            assert_eq!(owner(&ring, hash), upstream, "{uri}");
        }
        assert_eq!(golden.lines().count(), 300);
    }

    /// `matches_nginx_sample`, `consistency_after_adding_host` and `node_iter`
    /// in `src/lib.rs` of pingora-ketama 0.9.1.
    #[test]
    fn it_passes_the_tests_of_pingora_ketama() {
        let two = ring(
            Format::Nginx,
            &[("127.0.0.1:7777", 1), ("127.0.0.1:7778", 1)],
        );
        for (key, port) in [
            ("/some/path", "7778"),
            ("/some/longer/path", "7777"),
            ("/sad/zaidoon", "7778"),
            ("/g", "7777"),
            ("/pingora/team/is/cool/and/this/is/a/long/uri", "7778"),
            ("/i/am/not/confident/in/this/code", "7777"),
        ] {
            let owner = owner(&two, Format::Nginx.hash(key.as_bytes()));
            assert!(owner.ends_with(port), "{key}: {owner}");
        }

        for hosts in [10, 11] {
            let hosts: Vec<String> = (1..=hosts).map(|i| format!("127.0.0.{i}:6443")).collect();
            let hosts: Vec<_> = hosts.iter().map(|id| (id.as_str(), 1)).collect();
            let ring = ring(Format::Nginx, &hosts);
            assert_eq!(owner(&ring, Format::Nginx.hash(b"a")), "127.0.0.10:6443");
            assert_eq!(owner(&ring, Format::Nginx.hash(b"b")), "127.0.0.5:6443");
        }

        let three = [7777, 7778, 7779].map(|port| format!("127.0.0.1:{port}"));
        let three: Vec<_> = three.iter().map(|id| (id.as_str(), 1)).collect();
        let ring = ring(Format::Nginx, &three);
        let order = ring.candidates(Format::Nginx.hash(b"doghash"));
        let order: Vec<_> = order.map(|node| node.id().to_vec()).collect();
        let ports = ["7778", "7779", "7777"].map(|port| format!("127.0.0.1:{port}").into_bytes());
        assert_eq!(order, ports);
    }

    #[test]
    fn nginx_agrees_with_its_golden_file() {
        let ring = ring(
            Format::Nginx,
            &[
                ("10.0.0.1:443", 1),
                ("10.0.0.2:443", 3),
                ("[::1]:80", 2),
                ("backend", 1),
                ("unix:/run/backend", 5),
            ],
        );
        for (key, hash, rest) in lines(include_str!("../golden/placement_20_ring_nginx.txt")) {
            assert_eq!(Format::Nginx.hash(key.as_bytes()), hash, "{key}");
            assert_eq!(owner(&ring, hash), rest[0], "{key}");
        }
    }
}

/// The tests named are in `ring_hash_lb_test.cc` of Envoy.
mod envoy {
    use super::*;

    fn hosts(ports: &[(u32, u32)], least: u32, most: u32) -> Ring {
        let hosts: Vec<_> = ports
            .iter()
            .map(|(port, weight)| (format!("127.0.0.1:{port}"), *weight))
            .collect();
        let hosts: Vec<_> = hosts.iter().map(|(id, w)| (id.as_str(), *w)).collect();
        ring(Format::Envoy { least, most }, &hosts)
    }

    fn port(id: &[u8]) -> u32 {
        let id = std::str::from_utf8(id).expect("text");
        id["127.0.0.1:".len()..].parse().expect("a port")
    }

    fn points(ring: &Ring) -> Vec<(u32, u64)> {
        let points = ring.points();
        points
            .map(|(point, host)| (port(host.id()), point))
            .collect()
    }

    const MOST: u32 = 8 << 20;

    #[test]
    fn the_ring_of_envoys_basic_test_has_the_points_it_publishes() {
        let ring = hosts(&[90, 91, 92, 93, 94, 95].map(|port| (port, 1)), 12, MOST);
        let published = [
            (94, 833_437_586_790_550_860),
            (92, 928_266_305_478_181_108),
            (90, 1_033_482_794_131_418_490),
            (95, 3_551_244_743_356_806_947),
            (93, 3_851_675_632_748_031_481),
            (91, 5_583_722_120_771_150_861),
            (91, 6_311_230_543_546_372_928),
            (93, 7_700_377_290_971_790_572),
            (95, 13_144_177_310_400_110_813),
            (92, 13_444_792_449_719_432_967),
            (94, 15_516_499_411_664_133_160),
            (90, 16_117_243_373_044_804_889),
        ];
        assert_eq!(points(&ring), published);
        for (hash, expected) in [
            (0, 94),
            (u64::MAX, 94),
            (3_551_244_743_356_806_947, 95),
            (3_551_244_743_356_806_948, 93),
            (16_117_243_373_044_804_880, 90),
        ] {
            assert_eq!(port(ring.owner(hash).id()), expected, "{hash}");
        }
    }

    #[test]
    fn a_ring_of_envoys_is_rounded_up_to_whole_points() {
        let first = hosts(&[(80, 1), (81, 1)], 3, MOST);
        assert_eq!(
            points(&first),
            [
                (80, 5_454_692_015_285_649_509),
                (81, 7_859_399_908_942_313_493),
                (80, 13_838_424_394_637_650_569),
                (81, 16_064_866_803_292_627_174),
            ]
        );
        let then = hosts(&[(81, 1), (82, 1)], 3, MOST);
        assert_eq!(
            points(&then),
            [
                (81, 7_859_399_908_942_313_493),
                (82, 8_241_336_090_459_785_962),
                (82, 12_882_406_409_176_325_258),
                (81, 16_064_866_803_292_627_174),
            ]
        );
    }

    #[test]
    fn weights_count_as_in_envoys_tests() {
        let weights = [(90, 1), (91, 2), (92, 3)];
        let tiny = hosts(&weights, 6, 6);
        for (hash, expected) in [
            (928_266_305_478_181_108, 92),
            (4_443_673_547_860_492_590, 92),
            (5_583_722_120_771_150_861, 91),
            (6_311_230_543_546_372_928, 91),
            (13_444_792_449_719_432_967, 92),
            (16_117_243_373_044_804_889, 90),
        ] {
            assert_eq!(port(tiny.owner(hash).id()), expected, "{hash}");
        }

        let large = hosts(&weights, 6144, MOST);
        let mut counts = [0; 3];
        for i in 0..6000 {
            let owner = large.owner(i * (u64::MAX / 6000));
            counts[port(owner.id()) as usize - 90] += 1;
        }
        assert_eq!(counts, [987, 1932, 3081]);
    }

    /// 75 times the share of one is a little more than it should be, so the
    /// first of 75 equal hosts has a point more than the others: as the same
    /// double-precision arithmetic comes out in Python.
    #[test]
    fn the_sums_are_rounded_as_envoy_rounds_them() {
        for (hosts, points) in [(64, 1024), (74, 1036), (75, 1051), (77, 1079), (91, 1093)] {
            let ring = self::hosts(&hosts_of_equal_weight(hosts), 1024, MOST);
            assert_eq!(ring.points().len(), points, "{hosts}");
        }
    }

    fn hosts_of_equal_weight(count: u32) -> Vec<(u32, u32)> {
        (100..100 + count).map(|port| (port, 1)).collect()
    }

    /// 300 points that are not enough for whole ones: 7.4, 17.2, 27.0, 2.5 and
    /// 245.9 of them.
    #[test]
    fn envoy_agrees_with_its_golden_file() {
        let format = Format::Envoy {
            least: 300,
            most: 300,
        };
        let weights = [3, 7, 11, 1, 100];
        let hosts: Vec<_> = (1..=5).map(|i| format!("10.1.2.{i}:8080")).collect();
        let hosts: Vec<_> = hosts.iter().map(String::as_str).zip(weights).collect();
        let ring = ring(format, &hosts);
        for (key, hash, rest) in lines(include_str!("../golden/placement_21_ring_envoy.txt")) {
            assert_eq!(format.hash(key.as_bytes()), hash, "{key}");
            assert_eq!(owner(&ring, hash), rest[0], "{key}");
        }
    }
}

/// Owners in the golden file are ids, and then those while server 3 is down.
#[test]
fn haproxy_agrees_with_its_golden_file_up_and_down() {
    let ring = ring(
        Format::Haproxy,
        &[
            ("1", 1),
            ("2", 1),
            ("3", 3),
            ("10", 2),
            ("700", 1),
            ("1048575", 4),
        ],
    );
    let down = ring.membership().marked("3", State::Down).expect("a node");
    let down = ring.over(&down).expect("the same points");
    for (key, hash, rest) in lines(include_str!("../golden/placement_22_ring_haproxy.txt")) {
        assert_eq!(Format::Haproxy.hash(key.as_bytes()), hash, "{key}");
        assert_eq!(owner(&ring, hash), rest[0], "{key}");
        assert_eq!(owner(&down, hash), rest[1], "{key}");
    }
}
