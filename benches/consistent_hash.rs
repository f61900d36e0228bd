//! Consistent hashing beside its floors and ten peers, at 10, 100 and 1000
//! nodes.
//!
//! Two operations for each number of nodes: the owner of a *hash*, which is
//! the algorithm alone, and the owner of a *key*, a `u64`, which is hashed as
//! well. Ours hashes keys by XXH3. A peer is measured as it comes; with our
//! XXH3 instead, `xxh3`, where the hasher can be chosen; and with one that
//! returns what it is given, `given`, where it must do for the owner of a hash.
//! `mpchash`, `maglev-hash` and `pingora-ketama` have one hasher and take no
//! hash. Keys are drawn one after the other by a multiplication, which is in
//! all figures and alone is `floor:bare`; lookups do not wait for each other,
//! as calls do not. Rings have 160 points a node, tables 65,537 slots.
//!
//! Beside the time of the owner of a key stand the balance, as the fullest
//! node's keys over the mean; what moves when a node joins, over 1 / (n + 1),
//! and which share of the keys *strays*, between two nodes that both stayed;
//! and what it takes to build it, in milliseconds and in bytes of the heap,
//! kept and, in brackets, asked for. Of a million keys, or as many as were
//! done in two seconds: the fewer, the more of the imbalance is chance.
//!
//! Each row is warmed up before each measurement, so that its table is in
//! whichever cache holds it. Not shown: lookups where it is in none, and
//! weights but in rendezvous hashing. It is one file, as every bench is: one
//! pattern, its operations, its peers.

mod harness;

use std::collections::hash_map::DefaultHasher;
use std::hash::{BuildHasher, BuildHasherDefault, Hash, Hasher};
use std::hint::black_box;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axiomatic_core::Ratio;
use axiomatic_core::hash::{Algorithm, Hasher as KeyHasher, Seed, mix};
use axiomatic_placement::bounded_load::BoundedLoad;
use axiomatic_placement::consistent_hash::{
    Format, Jump, JumpBack, Maglev, Membership, MultiProbe, Node, NumberedShards, Placement,
    Rendezvous, Ring, ShardSet, Shortage, Skeleton, Spread, sample,
};
use axiomatic_placement::slot_map::{Config as SlotConfig, SlotMap, Slotting};
use harness::{BARE, Operation, Suite, allocations, bytes_of, peer, ratio, time};
use maglev::ConsistentHasher as _;

const SIZES: [u32; 3] = [10, 100, 1000];
const SLOTS: u32 = Maglev::SLOTS;
const POINTS: u32 = 160;
const REPLICAS: usize = 3;

const RENDEZVOUS: &str = "ours, rendezvous";
const WEIGHTED: &str = "ours, rendezvous, weighted";
const SKELETON: &str = "ours, skeleton";
const MAGLEV: &str = "ours, maglev";
const JUMP_BACK: &str = "ours, jump back";
const JUMP: &str = "ours, jump";
const SHARD_SET: &str = "ours, shard set";
const SHARD_SET_BY_FOLDHASH: &str = "ours, shard set, foldhash";
const MULTI_PROBE: &str = "ours, multi-probe";
const RING: &str = "ours, ring, envoy";
const RINGS: [&str; 4] = [
    RING,
    "ours, ring, nginx",
    "ours, ring, libketama",
    "ours, ring, haproxy",
];
/// To build, or to ask: at 1000 nodes their instructions are not counted.
const SLOW: [&str; 3] = ["maglev 0", "hrw-hash", "rendezvous_hash"];
const TABLE_LOAD: &str = "floor:load, 65537 slots";
const SLOT_OF: &str = "floor:a remainder, and a load";
const SLOT_LOAD: &str = "floor:load, 16384 slots";
const SLOT_MAP: &str = "ours, slot map";
const POINTS_LOAD: &str = "floor:load, points";
const MULTIPLIES: &str = "floor:two multiplies";
const DRAWS: &str = "floor:a multiply a node";

fn main() -> ExitCode {
    let mut suite = Suite::new("consistent_hash");
    for nodes in SIZES {
        let hash = suite.operation(&hash(nodes));
        hash.over(BARE);
        floors(hash, nodes);
        ours(hash, nodes, |hash| hash);
        generic_peers::<Given>(hash, nodes, ", given");
    }
    for nodes in SIZES {
        let key = suite.operation(&key(nodes));
        key.over(BARE);
        bare(key);
        ours(key, nodes, xxh3);
        generic_peers::<Xxh3>(key, nodes, ", xxh3");
        peers(key, nodes);
    }
    for nodes in SIZES {
        replicas(suite.operation(&three(nodes)), nodes);
    }
    for nodes in SIZES {
        bounded(suite.operation(&picked(nodes)), nodes);
    }
    for nodes in SIZES {
        slots(suite.operation(&slotted(nodes)), nodes);
    }
    for nodes in [100, 1000] {
        build(suite.operation(&built(nodes)), nodes);
    }
    goals(&mut suite);
    suite.run()
}

fn hash(nodes: u32) -> String {
    format!("owner of a hash, {nodes} nodes")
}

fn key(nodes: u32) -> String {
    format!("owner of a key, {nodes} nodes")
}

fn three(nodes: u32) -> String {
    format!("three replicas of a hash, {nodes} nodes")
}

fn picked(nodes: u32) -> String {
    format!("picked and dropped, {nodes} nodes")
}

fn slotted(nodes: u32) -> String {
    format!("owner by a slot map, {nodes} nodes")
}

fn built(nodes: u32) -> String {
    format!("built, {nodes} nodes")
}

// --- The goals ------------------------------------------------------------

fn goals(suite: &mut Suite) {
    maglev_goals(suite);
    numbered_goals(suite);
    rendezvous_goals(suite);
    ring_goals(suite);
    for nodes in SIZES {
        suite.goal(
            &format!("slot map, to a load from such a table, {nodes} nodes"),
            ratio(
                time(&slotted(nodes), SLOT_MAP),
                time(&slotted(nodes), SLOT_LOAD),
            )
            .at_most(1.3),
        );
        for base in ["rendezvous", "maglev"] {
            suite.goal(
                &format!("bounded pick and drop, over the owner, {base}, {nodes} nodes"),
                time(&picked(nodes), format!("ours, bounded {base}"))
                    .over(format!("ours, {base}"))
                    .at_most(12.0),
            );
        }
    }
    for nodes in SIZES {
        for ours in [
            RENDEZVOUS,
            WEIGHTED,
            SKELETON,
            MAGLEV,
            JUMP_BACK,
            JUMP,
            SHARD_SET,
            MULTI_PROBE,
        ]
        .into_iter()
        .chain(RINGS)
        {
            suite.goal(
                &format!("{ours}, allocations, {nodes} nodes"),
                allocations(&hash(nodes), ours).at_most(0.0),
            );
        }
    }
}

fn maglev_goals(suite: &mut Suite) {
    for nodes in SIZES {
        let hash = hash(nodes);
        suite.goal(
            &format!("maglev, given the hash, {nodes} nodes"),
            time(&hash, MAGLEV).at_most(2.0),
        );
        for floor in [TABLE_LOAD, SLOT_OF] {
            suite.goal(
                &format!("maglev, to {floor}, {nodes} nodes"),
                ratio(time(&hash, MAGLEV), time(&hash, floor)).at_most(1.3),
            );
        }
        let of_key = |suite: &mut Suite, subject: String| {
            suite.goal(
                &format!("maglev, to {subject}, {nodes} nodes"),
                ratio(time(&key(nodes), MAGLEV), time(&key(nodes), subject)).at_most(0.3),
            );
        };
        of_key(suite, peer("maglev"));
        of_key(suite, format!("{}, xxh3", peer("maglev")));
        of_key(suite, peer("maglev-hash"));
    }
    for nodes in [100, 1000] {
        suite.goal(
            &format!("maglev, built at 20 ns a slot, {nodes} nodes"),
            time(&built(nodes), MAGLEV).at_most(20.0 * f64::from(SLOTS)),
        );
    }
    suite.goal(
        "maglev, built, to maglev, 100 nodes",
        ratio(time(&built(100), MAGLEV), time(&built(100), peer("maglev"))).at_most(0.2),
    );
    suite.account("maglev, built, to maglev, 1000 nodes", 0.2, || {
        seconds(|| maglev(1000)) / seconds(|| their_maglev::<Xxh3>(1000))
    });
    suite.account(
        "maglev, bytes to build it, to maglev, 1000 nodes",
        0.01,
        || {
            let (_, ours) = bytes_of(|| maglev(1000));
            let (_, theirs) = bytes_of(|| their_maglev::<Xxh3>(1000));
            ours.allocated as f64 / theirs.allocated as f64
        },
    );
    for (text, extra) in [
        ("10", extra::<10> as fn() -> f64),
        ("100", extra::<100>),
        ("1000", extra::<1000>),
    ] {
        suite.account(
            &format!("maglev, keys that stray when one joins {text} nodes"),
            0.006,
            extra,
        );
    }
}

fn numbered_goals(suite: &mut Suite) {
    for (nodes, limit) in [(10, 26.0), (100, 26.0), (1000, 4.0)] {
        suite.goal(
            &format!("jump back, given the hash, {nodes} nodes"),
            time(&hash(nodes), JUMP_BACK).at_most(limit),
        );
    }
    for subject in [JUMP.to_owned(), format!("{}, given", peer("jumphash"))] {
        suite.goal(
            &format!("jump back, to {subject}, 1000 nodes"),
            ratio(
                time(&hash(1000), JUMP_BACK),
                time(&hash(1000), subject.clone()),
            )
            .at_most(0.1),
        );
    }
    for nodes in SIZES {
        let given = format!("{}, given", peer("anchorhash"));
        suite.goal(
            &format!("shard set, to anchorhash, given the hash, {nodes} nodes"),
            ratio(time(&hash(nodes), SHARD_SET), time(&hash(nodes), given)).at_most(0.65),
        );
        for (ours, hasher) in [
            (SHARD_SET_BY_FOLDHASH, "foldhash"),
            (SHARD_SET, "foldhash"),
            (SHARD_SET, "xxh3"),
        ] {
            let theirs = format!("{}, {hasher}", peer("anchorhash"));
            suite.goal(
                &format!("{ours}, to {theirs}, {nodes} nodes"),
                ratio(time(&key(nodes), ours), time(&key(nodes), theirs)).at_most(0.65),
            );
        }
    }
}

fn rendezvous_goals(suite: &mut Suite) {
    for nodes in SIZES {
        for ours in [RENDEZVOUS, WEIGHTED] {
            suite.goal(
                &format!("{ours}, 2.5 ns a node, {nodes} nodes"),
                time(&hash(nodes), ours).at_most(2.5 * f64::from(nodes)),
            );
        }
        for three_of in ["ours, rendezvous, take(3)", "ours, rendezvous, replicas"] {
            suite.goal(
                &format!("{three_of}, to the owner, {nodes} nodes"),
                ratio(
                    time(&three(nodes), three_of),
                    time(&three(nodes), RENDEZVOUS),
                )
                .at_most(1.3),
            );
        }
    }
    for nodes in [100, 1000] {
        for name in ["rendezvous_hash", "hrw-hash"] {
            for theirs in [peer(name), format!("{}, xxh3", peer(name))] {
                suite.goal(
                    &format!("rendezvous, to {theirs}, {nodes} nodes"),
                    ratio(time(&key(nodes), RENDEZVOUS), time(&key(nodes), theirs)).at_most(0.05),
                );
            }
        }
    }
    suite.goal(
        "skeleton, to rendezvous, 1000 nodes",
        ratio(time(&hash(1000), SKELETON), time(&hash(1000), RENDEZVOUS)).at_most(0.2),
    );
}

fn ring_goals(suite: &mut Suite) {
    for ring in RINGS {
        suite.goal(
            &format!("{ring}, given the hash, 160,000 points"),
            time(&hash(1000), ring).at_most(25.0),
        );
    }
    for (nodes, limit) in [(10, 0.8), (100, 0.8), (1000, 0.45)] {
        for theirs in [peer("hashring"), format!("{}, xxh3", peer("hashring"))] {
            suite.goal(
                &format!("ring, to {theirs}, {nodes} nodes"),
                ratio(time(&key(nodes), RING), time(&key(nodes), theirs)).at_most(limit),
            );
        }
        let given = format!("{}, given", peer("hashring"));
        suite.goal(
            &format!("ring, to hashring, given the hash, {nodes} nodes"),
            ratio(time(&hash(nodes), RING), time(&hash(nodes), given)).at_most(limit),
        );
        // Both of CRC32.
        suite.goal(
            &format!("ring, nginx, to pingora-ketama, {nodes} nodes"),
            ratio(
                time(&key(nodes), "ours, ring, nginx"),
                time(&key(nodes), peer("pingora-ketama")),
            )
            .at_most(limit),
        );
    }
}

// --- What a row is ----------------------------------------------------------

/// Adds a row: over so many nodes `$build` makes it, `$owner` is what is timed,
/// and `$number` tells which node that was.
macro_rules! row {
    ($operation:expr, $subject:expr, $nodes:expr, $build:expr,
        |$of:ident, $key:ident| $owner:expr, |$found:ident| $number:expr) => {
        add(
            $operation,
            $subject.into(),
            $nodes,
            $build,
            move |$of, $key| {
                black_box($owner);
            },
            move |$of, $key| {
                let $found = $owner;
                $number
            },
        )
    };
}

fn add<T: Send + Sync + 'static>(
    operation: &mut Operation,
    subject: String,
    nodes: u32,
    build: impl Fn(u32) -> T + Copy + 'static,
    look: impl Fn(&T, u64) + Copy + Send + Sync + 'static,
    number: impl Fn(&T, u64) -> u32 + Copy + 'static,
) {
    let is_slow = nodes > 100 && SLOW.iter().any(|name| subject.contains(name));
    let is_of_keys = operation.name().contains("a key");
    let case = operation.case(subject, move || {
        let built = Arc::new(build(nodes));
        move || {
            let built = Arc::clone(&built);
            let mut keys = Keys::default();
            move || look(&built, keys.draw())
        }
    });
    case.threads(&[1]).warmed();
    if is_slow {
        case.uncounted();
    }
    if is_of_keys {
        case.remark(move || properties(nodes, build, number));
    }
}

/// Numbers that have nothing in common: one addition, and one multiplication
/// that does not wait for the one before.
struct Keys(u64);

impl Default for Keys {
    fn default() -> Self {
        Keys(0x2d35_8dcc_aa6c_78a5)
    }
}

impl Keys {
    #[inline(always)]
    fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0xa076_1d64_78bd_642f);
        fold(self.0, self.0 ^ 0xe703_7ed1_a0b4_28db)
    }
}

#[inline(always)]
fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    (product >> 64) as u64 ^ product as u64
}

/// Balance, movement, and what it takes to build it.
fn properties<T>(nodes: u32, build: impl Fn(u32) -> T, number: impl Fn(&T, u64) -> u32) -> String {
    let start = Instant::now();
    let (of, bytes) = bytes_of(|| build(nodes));
    let took = start.elapsed();
    let joined = build(nodes + 1);
    let mut counts = vec![0_u64; nodes as usize];
    let (mut keys, mut moved, mut strays) = (0, 0, 0);
    let start = Instant::now();
    for key in sample(1_000_000) {
        let (before, after) = (number(&of, key), number(&joined, key));
        counts[before as usize] += 1;
        keys += 1;
        moved += u64::from(before != after);
        strays += u64::from(before != after && after != nodes);
        if keys % 10_000 == 0 && start.elapsed() > Duration::from_secs(2) {
            break;
        }
    }
    let share = |of: u64| of as f64 / keys as f64;
    let most = share(counts.into_iter().max().unwrap_or(0)) * f64::from(nodes);
    let few = if keys < 1_000_000 {
        format!(" (of {}k keys)", keys / 1000)
    } else {
        String::new()
    };
    format!(
        "max/mean {most:.3}{few}, moved {:.2}, strays {:.2} %, built in {:.3} ms, {} ({})",
        share(moved) * f64::from(nodes + 1),
        100.0 * share(strays),
        took.as_secs_f64() * 1e3,
        size(bytes.kept),
        size(bytes.allocated),
    )
}

fn size(bytes: u64) -> String {
    match bytes {
        0..10_000 => format!("{bytes} B"),
        10_000..10_000_000 => format!("{} kB", bytes / 1000),
        _ => format!("{} MB", bytes / 1_000_000),
    }
}

fn seconds<T>(make: impl Fn() -> T) -> f64 {
    let start = Instant::now();
    black_box(make());
    start.elapsed().as_secs_f64()
}

/// The share of keys that move between nodes that stay when one joins.
fn extra<const NODES: u32>() -> f64 {
    let movement = axiomatic_placement::consistent_hash::moved(
        &maglev(NODES),
        &maglev(NODES + 1),
        sample(1_000_000),
    );
    movement.extra() as f64 / movement.keys() as f64
}

// --- Floors -----------------------------------------------------------------

fn bare(operation: &mut Operation) {
    let case = operation.case(BARE, || {
        || {
            let mut keys = Keys::default();
            move || keys.draw()
        }
    });
    case.note("the key or the hash alone").threads(&[1]);
}

fn floors(operation: &mut Operation, nodes: u32) {
    bare(operation);
    load(operation, TABLE_LOAD, vec![1_u32; SLOTS as usize]);
    load(
        operation,
        POINTS_LOAD,
        vec![1_u64; (nodes * POINTS) as usize],
    );
    let slot_of = operation.case(SLOT_OF, || {
        let words: Arc<[u32]> = vec![1; SLOTS as usize].into();
        move || {
            let words = Arc::clone(&words);
            let mut keys = Keys::default();
            move || words[(keys.draw() % u64::from(SLOTS)) as usize]
        }
    });
    slot_of
        .note("of a number known beforehand")
        .threads(&[1])
        .warmed();
    let multiplies = operation.case(MULTIPLIES, || {
        || {
            let mut keys = Keys::default();
            move || {
                let first = fold(keys.draw(), 0xd6e8_feb8_6659_fd93);
                fold(first, 0xa5a3_56e9_28d3_3b7b)
            }
        }
    });
    multiplies.threads(&[1]);
    let draws = operation.case(DRAWS, move || {
        let seeds: Arc<[u64]> = (0..u64::from(nodes)).map(mix).collect();
        move || {
            let seeds = Arc::clone(&seeds);
            let mut keys = Keys::default();
            move || {
                let key = keys.draw();
                seeds.iter().map(|seed| fold(key, *seed)).max()
            }
        }
    });
    draws
        .note("the greatest draw, not whose it is")
        .threads(&[1]);
}

fn load<T: Copy + Send + Sync + 'static>(operation: &mut Operation, name: &str, words: Vec<T>) {
    let words: Arc<[T]> = words.into();
    let case = operation.case(name, move || {
        let words = Arc::clone(&words);
        move || {
            let words = Arc::clone(&words);
            let mut keys = Keys::default();
            move || {
                let at = (u128::from(keys.draw()) * words.len() as u128) >> 64;
                words[at as usize]
            }
        }
    });
    case.note("its place by a multiplication")
        .threads(&[1])
        .warmed();
}

// --- Ours -------------------------------------------------------------------

fn xxh3(key: u64) -> u64 {
    const HASHER: KeyHasher = KeyHasher::new(Algorithm::Xxh3, Seed::fixed(0));
    HASHER.hash(&key.to_le_bytes())
}

/// Whose order is that of their numbers, and whose names all formats know.
fn members(nodes: u32) -> Membership {
    weighing(nodes, |_| 1)
}

fn weighing(nodes: u32, weight: impl Fn(u32) -> u32) -> Membership {
    let node = |n| Node::new(format!("127.0.0.1:{}", 10_000 + n)).weighing(weight(n));
    Membership::new(1, (0..nodes).map(node)).expect("it is not empty")
}

fn maglev(nodes: u32) -> Maglev {
    Maglev::new(&members(nodes)).expect("there are slots enough")
}

fn ours(
    operation: &mut Operation,
    nodes: u32,
    hash: impl Fn(u64) -> u64 + Copy + Send + Sync + 'static,
) {
    let to = operation;
    placed(to, RENDEZVOUS, nodes, hash, |n| {
        Rendezvous::new(&members(n))
    });
    placed(to, WEIGHTED, nodes, hash, |n| {
        Rendezvous::new(&weighing(n, |n| 90 + n % 21))
    });
    placed(to, SKELETON, nodes, hash, |n| Skeleton::new(&members(n)));
    placed(to, MAGLEV, nodes, hash, maglev);
    numbered(to, JUMP_BACK, nodes, hash, JumpBack::new);
    numbered(to, JUMP, nodes, hash, Jump::new);
    numbered(to, SHARD_SET, nodes, hash, move |n| {
        ShardSet::of(2 * nodes, 0..n)
    });
    placed(to, RINGS[0], nodes, hash, move |n| ring(n, envoy(n)));
    placed(to, RINGS[1], nodes, hash, |n| ring(n, Format::Nginx));
    placed(to, RINGS[2], nodes, hash, |n| ring(n, Format::Libketama));
    placed(to, RINGS[3], nodes, hash, |n| {
        let node = |n| Node::new(format!("{}", 10_000 + n)).weighing(POINTS / 16);
        let members = Membership::new(1, (0..n).map(node)).expect("it is not empty");
        Ring::new(&members, Format::Haproxy).expect("HAProxy knows them")
    });
    placed(to, MULTI_PROBE, nodes, hash, |n| {
        MultiProbe::new(&members(n)).expect("there are few points")
    });
}

fn envoy(nodes: u32) -> Format {
    let least = POINTS * nodes;
    Format::Envoy { least, most: least }
}

fn ring(nodes: u32, format: Format) -> Ring {
    Ring::new(&members(nodes), format).expect("all formats know these nodes")
}

fn placed<P: Placement + Send + Sync + 'static>(
    operation: &mut Operation,
    subject: &str,
    nodes: u32,
    hash: impl Fn(u64) -> u64 + Copy + Send + Sync + 'static,
    build: impl Fn(u32) -> P + Copy + 'static,
) {
    row!(
        operation,
        subject,
        nodes,
        build,
        |of, key| of.owner(hash(key)),
        |member| member.index() as u32
    );
}

fn numbered<S: NumberedShards + Send + Sync + 'static, E: std::fmt::Debug>(
    operation: &mut Operation,
    subject: &str,
    nodes: u32,
    hash: impl Fn(u64) -> u64 + Copy + Send + Sync + 'static,
    build: impl Fn(u32) -> Result<S, E> + Copy + 'static,
) {
    row!(
        operation,
        subject,
        nodes,
        move |n| build(n).expect("not too many"),
        |of, key| of.owner(hash(key)),
        |shard| shard
    );
}

// --- Peers --------------------------------------------------------------------

/// A node or a point of a peer's: hashed as one well mixed number, so that the
/// hasher that returns what it is given will do.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Id(u32);

impl Hash for Id {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(mix(u64::from(self.0)));
    }
}

impl hrw_hash::HrwNode for Id {}

/// A point of a ring, and whose it is.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
struct Point {
    node: u32,
    replica: u32,
}

impl Hash for Point {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(mix(u64::from(self.node) << 32 | u64::from(self.replica)));
    }
}

/// Returns the number it is given; of several, all.
#[derive(Copy, Clone, Default)]
struct Given(u64);

impl Hasher for Given {
    #[inline]
    fn write(&mut self, bytes: &[u8]) {
        bytes
            .iter()
            .for_each(|byte| self.write_u64(u64::from(*byte)));
    }

    #[inline]
    fn write_u32(&mut self, number: u32) {
        self.write_u64(u64::from(number));
    }

    #[inline]
    fn write_u64(&mut self, number: u64) {
        self.0 ^= number;
    }

    #[inline]
    fn finish(&self) -> u64 {
        self.0
    }
}

/// Our XXH3 of all bytes, for peers: they have no more than three words.
#[derive(Copy, Clone, Default)]
struct Xxh3 {
    bytes: [u8; 24],
    length: usize,
}

impl Hasher for Xxh3 {
    #[inline]
    fn write(&mut self, bytes: &[u8]) {
        let end = self.length + bytes.len();
        self.bytes[self.length..end].copy_from_slice(bytes);
        self.length = end;
    }

    #[inline]
    fn finish(&self) -> u64 {
        const HASHER: KeyHasher = KeyHasher::new(Algorithm::Xxh3, Seed::fixed(0));
        HASHER.hash(&self.bytes[..self.length])
    }
}

/// What a peer's hasher has to be.
trait Chosen: Hasher + Default + Copy + Send + Sync + 'static {}

impl<H: Hasher + Default + Copy + Send + Sync + 'static> Chosen for H {}

type Build<H> = BuildHasherDefault<H>;

fn their_maglev<H: Hasher + Default>(nodes: u32) -> maglev::Maglev<Id, Build<H>> {
    let nodes = (0..nodes).map(Id);
    maglev::Maglev::with_capacity_and_hasher(nodes, SLOTS as usize, Build::default())
}

fn hashring<S: BuildHasher>(nodes: u32, hasher: S) -> hashring::HashRing<Point, S> {
    let mut ring = hashring::HashRing::with_hasher(hasher);
    ring.batch_add(points(nodes));
    ring
}

fn points(nodes: u32) -> Vec<Point> {
    let of = |node| (0..POINTS).map(move |replica| Point { node, replica });
    (0..nodes).flat_map(of).collect()
}

/// With a capacity of twice the number of nodes there were.
fn anchor<S: BuildHasher>(
    nodes: u32,
    planned: u32,
    hasher: S,
) -> anchorhash::AnchorHash<u64, u32, S> {
    let capacity = u16::try_from(2 * planned).expect("a u16");
    anchorhash::Builder::with_hasher(hasher)
        .with_resources(0..nodes)
        .build(capacity)
}

/// The peer's way to hash a node and a key together, by any hasher.
#[derive(Copy, Clone, Default)]
struct Together<H>(H);

impl<H: Chosen> rendezvous_hash::NodeHasher<Id> for Together<H> {
    fn hash<T: Hash>(&self, node: &Id, item: &T) -> u64 {
        let mut hasher = self.0;
        item.hash(&mut hasher);
        node.hash(&mut hasher);
        hasher.finish()
    }
}

fn rendezvous_hash<H: rendezvous_hash::NodeHasher<Id>>(
    nodes: u32,
    hasher: H,
) -> rendezvous_hash::RendezvousNodes<rendezvous_hash::IdNode<Id>, H> {
    let mut all = rendezvous_hash::RendezvousNodes::new(hasher);
    all.extend((0..nodes).map(|n| rendezvous_hash::IdNode::new(Id(n))));
    all
}

/// The ring of a peer that borrows its nodes, for ever.
fn hash_rings<S: BuildHasher + Default>(
    nodes: u32,
) -> hash_rings::consistent::Ring<'static, Id, S> {
    let ids: &'static [Id] = Box::leak((0..nodes).map(Id).collect());
    let mut ring = hash_rings::consistent::Ring::with_hasher(S::default());
    ids.iter()
        .for_each(|id| ring.insert_node(id, POINTS as usize));
    ring
}

/// Those whose hasher can be chosen.
fn generic_peers<H: Chosen>(operation: &mut Operation, nodes: u32, with: &str) {
    let to = operation;
    let name = |name| format!("{}{with}", peer(name));
    row!(
        to,
        name("maglev"),
        nodes,
        their_maglev::<H>,
        |of, key| of.get(&key),
        |id| id.expect("one").0
    );
    row!(
        to,
        name("jumphash"),
        nodes,
        |n| (jumphash::CustomJumpHasher::new(H::default()), n),
        |of, key| of.0.slot(&key, of.1),
        |slot| slot
    );
    row!(
        to,
        name("anchorhash"),
        nodes,
        move |n| anchor(n, nodes, Build::<H>::default()),
        |of, key| of.get_resource(key),
        |shard| *shard.expect("one")
    );
    row!(
        to,
        name("hashring"),
        nodes,
        |n| hashring(n, Build::<H>::default()),
        |of, key| of.get(&key),
        |point| point.expect("one").node
    );
    row!(
        to,
        name("hrw-hash"),
        nodes,
        |n| hrw_hash::HrwNodes::with_build_hasher(Build::<H>::default(), (0..n).map(Id)),
        |of, key| of.sorted(&key).next(),
        |id| id.expect("one").0
    );
    row!(
        to,
        name("rendezvous_hash"),
        nodes,
        |n| rendezvous_hash(n, Together(H::default())),
        |of, key| of.calc_candidates(&key).next(),
        |id| id.expect("one").0
    );
}

/// As they come, and what is hashed as one of them likes it.
fn peers(operation: &mut Operation, nodes: u32) {
    let to = operation;
    row!(
        to,
        SHARD_SET_BY_FOLDHASH,
        nodes,
        move |n| {
            let shards = ShardSet::of(2 * nodes, 0..n).expect("not too many");
            (shards, foldhash::fast::FixedState::with_seed(1))
        },
        |of, key| of.0.owner(of.1.hash_one(key)),
        |shard| shard
    );
    row!(
        to,
        peer("maglev"),
        nodes,
        their_maglev::<DefaultHasher>,
        |of, key| of.get(&key),
        |id| id.expect("one").0
    );
    row!(
        to,
        peer("maglev-hash"),
        nodes,
        their_maglev_hash,
        |of, key| of.get(&key),
        |id| id.expect("one").0
    );
    row!(
        to,
        peer("jumphash"),
        nodes,
        |n| (jumphash::JumpHasher::new_with_keys(1, 2), n),
        |of, key| of.0.slot(&key, of.1),
        |slot| slot
    );
    row!(
        to,
        peer("anchorhash"),
        nodes,
        move |n| anchor(n, nodes, Build::<DefaultHasher>::default()),
        |of, key| of.get_resource(key),
        |shard| *shard.expect("one")
    );
    row!(
        to,
        format!("{}, foldhash", peer("anchorhash")),
        nodes,
        move |n| anchor(n, nodes, foldhash::fast::FixedState::with_seed(1)),
        |of, key| of.get_resource(key),
        |shard| *shard.expect("one")
    );
    row!(
        to,
        peer("hashring"),
        nodes,
        |n| hashring(n, hashring::DefaultHashBuilder),
        |of, key| of.get(&key),
        |point| point.expect("one").node
    );
    row!(
        to,
        peer("hash-rings"),
        nodes,
        hash_rings::<Build<DefaultHasher>>,
        |of, key| of.get_node(&key),
        |id| id.0
    );
    row!(
        to,
        peer("pingora-ketama"),
        nodes,
        ketama,
        |of, key| of.node(&key.to_le_bytes()),
        |address| u32::from(address.expect("one").port()) - 10_000
    );
    row!(
        to,
        peer("mpchash"),
        nodes,
        mpchash,
        |of, key| of.node(&key),
        |token| token.expect("one").node().0
    );
    row!(
        to,
        peer("hrw-hash"),
        nodes,
        |n| hrw_hash::HrwNodes::new((0..n).map(Id)),
        |of, key| of.sorted(&key).next(),
        |id| id.expect("one").0
    );
    row!(
        to,
        peer("rendezvous_hash"),
        nodes,
        |n| rendezvous_hash(n, rendezvous_hash::DefaultNodeHasher::new()),
        |of, key| of.calc_candidates(&key).next(),
        |id| id.expect("one").0
    );
}

/// Its own number of slots would be 100 a node: another table for each number
/// of nodes, in which nine of ten keys move.
fn their_maglev_hash(nodes: u32) -> maglev_hash::MaglevTable<Id> {
    maglev_hash::MaglevTable::with_capacity((0..nodes).map(Id).collect(), SLOTS as usize)
}

fn ketama(nodes: u32) -> pingora_ketama::Continuum {
    let bucket = |n| {
        let port = u16::try_from(10_000 + n).expect("a port");
        pingora_ketama::Bucket::new(SocketAddr::from(([127, 0, 0, 1], port)), 1)
    };
    pingora_ketama::Continuum::new(&(0..nodes).map(bucket).collect::<Vec<_>>())
}

fn mpchash(nodes: u32) -> mpchash::HashRing<Id> {
    let ring = mpchash::HashRing::new();
    (0..nodes).for_each(|n| ring.add(Id(n)));
    ring
}

// --- The other operations -----------------------------------------------------

/// The owner and two more.
fn replicas(operation: &mut Operation, nodes: u32) {
    let to = operation;
    let rendezvous = |n| Rendezvous::new(&members(n));
    row!(
        to,
        RENDEZVOUS,
        nodes,
        rendezvous,
        |of, key| of.owner(key),
        |member| member.index() as u32
    );
    taken(to, "ours, rendezvous, take(3)", nodes, rendezvous);
    replicated(to, "ours, rendezvous, replicas", nodes, rendezvous);
    taken(to, "ours, rendezvous, weighted, take(3)", nodes, |n| {
        Rendezvous::new(&weighing(n, |n| 90 + n % 21))
    });
    taken(to, "ours, maglev, take(3)", nodes, maglev);
    replicated(to, "ours, maglev, replicas", nodes, maglev);
    taken(to, "ours, ring, envoy, take(3)", nodes, |n| {
        ring(n, envoy(n))
    });
    row!(
        to,
        peer("maglev-hash"),
        nodes,
        their_maglev_hash,
        |of, key| of.get_top_k(&key, REPLICAS),
        |ids| ids[0].0
    );
    row!(
        to,
        peer("mpchash"),
        nodes,
        mpchash,
        |of, key| of.replicas(&key, REPLICAS),
        |tokens| tokens[0].node().0
    );
    row!(
        to,
        format!("{}, given", peer("rendezvous_hash")),
        nodes,
        |n| rendezvous_hash(n, Together(Given::default())),
        |of, key| of.calc_candidates(&key).take(REPLICAS).for_each(|id| {
            black_box(id);
        }),
        |_found| 0
    );
    row!(
        to,
        format!("{}, given", peer("hrw-hash")),
        nodes,
        |n| hrw_hash::HrwNodes::with_build_hasher(Build::<Given>::default(), (0..n).map(Id)),
        |of, key| of.sorted(&key).take(REPLICAS).for_each(|id| {
            black_box(id);
        }),
        |_found| 0
    );
}

fn taken<P: Placement + Send + Sync + 'static>(
    operation: &mut Operation,
    subject: &str,
    nodes: u32,
    build: impl Fn(u32) -> P + Copy + 'static,
) {
    row!(
        operation,
        subject,
        nodes,
        build,
        |of, key| of.candidates(key).take(REPLICAS).for_each(|member| {
            black_box(member);
        }),
        |_found| 0
    );
}

fn replicated<P: Placement + Send + Sync + 'static>(
    operation: &mut Operation,
    subject: &str,
    nodes: u32,
    build: impl Fn(u32) -> P + Copy + 'static,
) {
    row!(
        operation,
        subject,
        nodes,
        build,
        |of, key| of.replicas(key, REPLICAS, Spread::Node, Shortage::BestEffort),
        |found| found[0].index() as u32
    );
}

/// A request is placed where there is room, and over at once.
fn bounded(operation: &mut Operation, nodes: u32) {
    operation.fetch_add();
    bounded_over(operation, "rendezvous", nodes, |n| {
        Rendezvous::new(&members(n))
    });
    bounded_over(operation, "maglev", nodes, maglev);
}

fn bounded_over<P: Placement + Send + Sync + 'static>(
    operation: &mut Operation,
    base: &str,
    nodes: u32,
    build: impl Fn(u32) -> P + Copy + 'static,
) {
    let owner = operation.case(format!("ours, {base}"), move || {
        let of = Arc::new(build(nodes));
        move || {
            let of = Arc::clone(&of);
            let mut keys = Keys::default();
            move || {
                black_box(of.owner(keys.draw()));
            }
        }
    });
    owner.warmed();
    let bounded = operation.case(format!("ours, bounded {base}"), move || {
        let bounded = BoundedLoad::new(build(nodes), Ratio::percent(125));
        let of = Arc::new(bounded.expect("more than its share"));
        move || {
            let of = Arc::clone(&of);
            let mut keys = Keys::default();
            move || {
                black_box(of.pick(keys.draw()).member());
            }
        }
    });
    bounded.warmed();
}

/// Of a hash, as far as the map is asked with one, and of a key.
fn slots(operation: &mut Operation, nodes: u32) {
    operation.over(BARE);
    bare(operation);
    load(operation, SLOT_LOAD, vec![1_u32; 1 << 14]);
    let map = |n| {
        let config = SlotConfig::new(Slotting::Xxh3(Seed::fixed(0)));
        SlotMap::new(&members(n), config).expect("there are slots enough")
    };
    row!(
        operation,
        SLOT_MAP,
        nodes,
        map,
        |of, key| of.owner(of.slot_of_hash(key)),
        |member| member.expect("a slot").index() as u32
    );
    row!(
        operation,
        "ours, slot map, of a key",
        nodes,
        map,
        |of, key| of.owner_of(&key.to_le_bytes()),
        |member| member.index() as u32
    );
}

/// From the nodes to the table.
fn build(operation: &mut Operation, nodes: u32) {
    let members = members(nodes);
    let to = operation;
    let mut add = |subject: String, build: Box<dyn Fn() + Send + Sync>| {
        let build: Arc<dyn Fn() + Send + Sync> = build.into();
        let case = to.case(subject, move || {
            let build = Arc::clone(&build);
            move || {
                let build = Arc::clone(&build);
                move || build()
            }
        });
        case.threads(&[1]).uncounted();
    };
    fn made<T>(build: impl Fn() -> T + Send + Sync + 'static) -> Box<dyn Fn() + Send + Sync> {
        Box::new(move || {
            black_box(build());
        })
    }
    let of = members.clone();
    add(RENDEZVOUS.into(), made(move || Rendezvous::new(&of)));
    let of = members.clone();
    add(SKELETON.into(), made(move || Skeleton::new(&of)));
    let of = members.clone();
    add(MAGLEV.into(), made(move || Maglev::new(&of)));
    let of = members.clone();
    add(RING.into(), made(move || Ring::new(&of, envoy(nodes))));
    let of = members;
    add(RINGS[1].into(), made(move || Ring::new(&of, Format::Nginx)));
    add(peer("maglev-hash"), made(move || their_maglev_hash(nodes)));
    if nodes <= 100 {
        add(peer("maglev"), made(move || their_maglev::<Xxh3>(nodes)));
    }
    let hashring = move || hashring(nodes, Build::<Xxh3>::default());
    add(format!("{}, xxh3", peer("hashring")), made(hashring));
    add(peer("pingora-ketama"), made(move || ketama(nodes)));
}
