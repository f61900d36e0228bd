//! Most who ask for an account ask for one that is not there.
//!
//! Where this is going: a table of 100,000 accounts is asked by people, some of
//! whom mistype their address, and by bots that try names out. Two of three
//! questions are for nothing, and the database answers them as carefully as the
//! others. A Bloom filter of all addresses, in a fraction of a set's memory,
//! answers 99 of 100 of those alone, and it is asked before the database. All
//! answers are those of the database. At the end the service starts again: the
//! filter comes back out of the database, and misses nobody who has signed up
//! since it was stored.

use std::collections::HashSet;
use std::error::Error;
use std::time::Instant;

use axiomatic_core::hash::{Algorithm, Hasher, Seed};
use axiomatic_sim::Random;
use axiomatic_sketch::bloom::{BloomFilter, Shape};
use rusqlite::{Connection, OptionalExtension, Statement};

const ACCOUNTS: u64 = 100_000;
/// Who signs up while it runs.
const NEW: u64 = 1_000;
const PLANNED: f64 = 0.01;
const QUESTIONS: usize = 200_000;

type Failure = Box<dyn Error>;

/// The address of the account of this number: of 16 first names, 16 last names
/// and as many numbers behind them as it takes.
fn address(number: u64) -> String {
    const FIRST: [&str; 16] = [
        "ada", "alan", "barbara", "claude", "donald", "edsger", "frances", "grace", "joan", "john",
        "kathleen", "leslie", "margaret", "niklaus", "radia", "tony",
    ];
    const LAST: [&str; 16] = [
        "allen", "backus", "clarke", "dijkstra", "hamilton", "hoare", "hopper", "knuth", "lamport",
        "liskov", "lovelace", "perlman", "booth", "shannon", "turing", "wirth",
    ];
    let first = FIRST[(number % 16) as usize];
    let last = LAST[(number / 16 % 16) as usize];
    format!("{first}.{last}{}@mail.example", number / 256)
}

/// The same address with two neighbouring letters in the wrong order. Some of
/// them have an account nevertheless: 12 and 21 both do.
fn mistyped(address: &str, random: &mut Random) -> String {
    let mut letters: Vec<char> = address.chars().collect();
    let at = random.below(letters.len() as u64 - 1) as usize;
    letters.swap(at, at + 1);
    letters.into_iter().collect()
}

/// A third of the questions is for accounts, some are mistyped, and the most
/// come from bots, who try numbers far beyond those that there are.
fn questions() -> Vec<String> {
    let mut random = Random::new(2);
    let one = |_| {
        let known = address(random.below(ACCOUNTS));
        match random.below(6) {
            0 | 1 => known,
            2 => mistyped(&known, &mut random),
            _ => address(random.below(100 * ACCOUNTS)),
        }
    };
    (0..QUESTIONS).map(one).collect()
}

/// In memory, where SQLite is at its fastest: what a database on a disk or
/// behind a network saves is more.
fn database() -> Result<Connection, Failure> {
    let mut database = Connection::open_in_memory()?;
    database.execute_batch(
        "CREATE TABLE accounts (id INTEGER PRIMARY KEY, address TEXT NOT NULL UNIQUE);
         CREATE TABLE filters (name TEXT PRIMARY KEY, bytes BLOB NOT NULL, up_to INTEGER NOT NULL);",
    )?;
    let transaction = database.transaction()?;
    for number in 0..ACCOUNTS {
        let insert = "INSERT INTO accounts (address) VALUES (?1)";
        transaction.execute(insert, [address(number)])?;
    }
    transaction.commit()?;
    Ok(database)
}

/// The filter of all accounts, and how many had to be read from the table: all
/// if none is stored, and else those that have come since.
///
/// The stored one is no authority, only a head start. Were it taken as it is,
/// who signed up after it was written would be told that he does not exist.
/// Numbers rise, and SQLite commits one writer after the other, so that they
/// are seen in their order; where writers commit side by side, begin a little
/// before `up_to`.
fn filter_of(database: &Connection) -> Result<(BloomFilter, usize), Failure> {
    let stored: Option<(Vec<u8>, i64)> = database
        .query_row("SELECT bytes, up_to FROM filters", [], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .optional()?;
    let (mut filter, up_to) = match stored {
        // A checksum that disagrees ends this program; a service had better
        // go on as if nothing were stored.
        Some((bytes, up_to)) => (BloomFilter::from_bytes(&bytes)?, up_to),
        None => {
            // Room for those who will come; with many more than that it gets
            // worse, and is made anew for as many as there are by then.
            let shape = Shape::for_items(ACCOUNTS + NEW).false_positives(PLANNED)?;
            // Where strangers must not know which addresses collide the seed
            // is a secret one, and kept beside the filter's bytes. This one
            // is fixed so that each run tells the same.
            let hasher = Hasher::new(Algorithm::Xxh3, Seed::fixed(9));
            (BloomFilter::new(shape, hasher)?, 0)
        }
    };
    let mut since = database.prepare("SELECT address FROM accounts WHERE id > ?1")?;
    let mut rows = since.query([up_to])?;
    let mut read = 0;
    while let Some(row) = rows.next()? {
        filter.insert(row.get_ref(0)?.as_str()?.as_bytes());
        read += 1;
    }
    Ok((filter, read))
}

fn store(filter: &BloomFilter, database: &Connection) -> Result<(), Failure> {
    let insert = "INSERT OR REPLACE INTO filters SELECT 'accounts', ?1, max(id) FROM accounts";
    database.execute(insert, [filter.to_bytes()])?;
    Ok(())
}

/// First the filter, then the table. The other way round, who asks in between
/// is told that an account is absent which is there. If the table refuses,
/// the filter knows one too many, which costs a look-up now and then.
fn sign_up(filter: &mut BloomFilter, database: &Connection, who: &str) -> Result<(), Failure> {
    filter.insert(who.as_bytes());
    database.execute("INSERT INTO accounts (address) VALUES (?1)", [who])?;
    Ok(())
}

fn ask(select: &mut Statement<'_>, who: &str) -> Result<Option<i64>, Failure> {
    Ok(select.query_row([who], |row| row.get(0)).optional()?)
}

/// A lower bound for the bytes of a set: std's table has a power of two of
/// places, of which seven eighths may be taken, each with a `String` and one
/// byte of control; the letters lie elsewhere. What the allocator takes for
/// itself, and strings that are longer than their letters, are not counted.
fn bytes_of(set: &HashSet<String>) -> usize {
    let places = (set.capacity() * 8 / 7).next_power_of_two();
    let letters: usize = set.iter().map(String::len).sum();
    places * (size_of::<String>() + 1) + letters
}

fn main() -> Result<(), Failure> {
    let database = database()?;
    let (mut filter, read) = filter_of(&database)?;
    assert_eq!(read as u64, ACCOUNTS, "nothing was stored yet");
    println!("planned:  {}", filter.shape());
    println!("filled:   {}", filter.snapshot());

    // What there is without a filter, and what is the truth.
    let questions = questions();
    let mut select = database.prepare("SELECT id FROM accounts WHERE address = ?1")?;
    let begun = Instant::now();
    let mut truth = Vec::with_capacity(QUESTIONS);
    for question in &questions {
        truth.push(ask(&mut select, question)?);
    }
    let without = begun.elapsed();

    let begun = Instant::now();
    let mut answers = Vec::with_capacity(QUESTIONS);
    let mut asked = 0;
    for question in &questions {
        answers.push(if filter.may_contain(question.as_bytes()) {
            asked += 1;
            ask(&mut select, question)?
        } else {
            None
        });
    }
    let with = begun.elapsed();
    // So that no account was taken for absent, among others.
    assert!(answers == truth, "every answer is the database's");

    let absent = truth.iter().filter(|id| id.is_none()).count();
    let saved = QUESTIONS - asked;
    println!();
    println!("questions                 {QUESTIONS:>9}");
    println!("  for nobody              {absent:>9}");
    println!("  kept from the database  {saved:>9}");
    println!("  false positives         {:>9}", absent - saved);
    assert!(saved as f64 >= 0.98 * absent as f64);

    // Each key once: who is asked for twice is no second try of the dice.
    let tries: HashSet<&String> = questions
        .iter()
        .zip(&truth)
        .filter_map(|(question, id)| id.is_none().then_some(question))
        .collect();
    let wrong = |key: &&&String| filter.may_contain(key.as_bytes());
    let rate = tries.iter().filter(wrong).count() as f64 / tries.len() as f64;
    let sigma = (PLANNED * (1.0 - PLANNED) / tries.len() as f64).sqrt();
    println!();
    println!("false positives, planned  {:>7.3} %", 100.0 * PLANNED);
    println!(
        "  by its bits             {:>7.3} %",
        100.0 * filter.snapshot().false_positives()
    );
    println!(
        "  measured                {:>7.3} % of {} different keys",
        100.0 * rate,
        tries.len()
    );
    assert!(rate <= 1.05 * PLANNED + 3.0 * sigma);

    let set: HashSet<String> = (0..ACCOUNTS).map(address).collect();
    let (small, large) = (filter.shape().bytes() as usize, bytes_of(&set));
    println!();
    println!("memory of the filter      {:>5} KiB", small >> 10);
    println!("  of a HashSet<String>    {:>5} KiB at least", large >> 10);
    println!(
        "  which is                {:>5} times as much",
        large / small
    );
    assert!(small < large / 10);

    // Times of one run, and only against each other.
    let begun = Instant::now();
    let maybe = |key: &&String| filter.may_contain(key.as_bytes());
    let alone = questions.iter().filter(maybe).count();
    let filtering = begun.elapsed();
    assert_eq!(alone, asked);
    let ratio = without.as_secs_f64() / filtering.as_secs_f64();
    println!();
    println!("the database takes        {ratio:>5.0} times as long as the filter, for one answer");
    let ratio = without.as_secs_f64() / with.as_secs_f64();
    println!("all questions took        {ratio:>7.1} times as long without it");

    // Stored; then some more sign up; then the service starts again.
    store(&filter, &database)?;
    for number in ACCOUNTS..ACCOUNTS + NEW {
        sign_up(&mut filter, &database, &address(number))?;
    }
    let (again, read) = filter_of(&database)?;
    println!();
    println!("started again, {read} of {} rows read", ACCOUNTS + NEW);
    println!("filled:   {}", again.snapshot());
    assert_eq!(read as u64, NEW);
    let is_known = |number| again.may_contain(address(number).as_bytes());
    assert!((0..ACCOUNTS + NEW).all(is_known), "nobody is missed");
    assert_eq!(
        again.to_bytes(),
        filter.to_bytes(),
        "nor is a bit too many set"
    );
    Ok(())
}
