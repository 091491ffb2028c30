//! Fuzz targets for every parser: whatever anybody may send and whatever a disk may hold.
//!
//! A target takes bytes and promises: no panic, no overflow, no endless loop; and where what was read can be written, writing
//! and reading it again is the identity. It answers what it made of the bytes, in words. There is no instrumentation: an
//! input that makes a target say something new is kept and changed further, so each kind of error is a step on the way to
//! the next one. Seeds are the golden scripts, the expression scripts and the pinned formats.
//!
//! Under `cargo test` every target gets a few hundred inputs, always the same. `make fuzz SECONDS=n` gives each n seconds and
//! another seed each time. What breaks a target is kept in the folder that is printed; it belongs into a test beside the
//! parser. `FUZZ_INPUT=file` runs that input alone, `FUZZ_TARGET=name` only that target.

mod bytes;
mod requests;
mod seeds;

use std::collections::HashSet;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

/// Reads an input and says what it made of it.
type Read = fn(&[u8]) -> String;

/// A parser under test.
struct Target {
    name: &'static str,
    read: Read,
    seeds: fn() -> Vec<Vec<u8>>,
    /// What its inputs are made of, beside what is in the seeds.
    words: &'static [&'static str],
}

const TARGETS: &[Target] = &[
    Target {
        name: "number",
        read: bytes::number,
        seeds: seeds::numbers,
        words: &["e", "E-", ".", "0", "9", "-"],
    },
    Target { name: "value", read: bytes::value, seeds: seeds::formats, words: &[] },
    Target { name: "key", read: bytes::key, seeds: seeds::formats, words: &[] },
    Target { name: "row", read: bytes::row, seeds: seeds::formats, words: &[] },
    Target { name: "command", read: bytes::command, seeds: seeds::formats, words: &[] },
    Target { name: "log", read: bytes::log, seeds: seeds::formats, words: &[] },
    Target {
        name: "expression",
        read: requests::expression,
        seeds: seeds::expressions,
        words: EXPRESSION_WORDS,
    },
    Target { name: "partiql", read: requests::partiql, seeds: seeds::statements, words: PARTIQL_WORDS },
    Target { name: "token", read: requests::token, seeds: seeds::tokens, words: &["0", "f"] },
    Target {
        name: "arn",
        read: requests::arn,
        seeds: seeds::arns,
        words: &["arn:", ":", "/", "table/", "index/"],
    },
    Target { name: "json", read: requests::json, seeds: seeds::requests, words: JSON_WORDS },
    Target { name: "typed", read: requests::typed, seeds: seeds::messages, words: &[] },
    Target { name: "request", read: requests::request, seeds: seeds::requests, words: JSON_WORDS },
];

const EXPRESSION_WORDS: &[&str] = &[
    "AND ",
    "OR ",
    "NOT ",
    "(",
    ")",
    "#a",
    ":n",
    ":s",
    ":x",
    " = ",
    " <> ",
    " < ",
    " IN ",
    " BETWEEN ",
    "size(",
    "contains(",
    "begins_with(",
    "attribute_type(",
    "if_not_exists(",
    "list_append(",
    "SET ",
    "REMOVE ",
    "ADD ",
    "DELETE ",
    "[0]",
    ".a",
];

const PARTIQL_WORDS: &[&str] = &[
    "SELECT ",
    "FROM ",
    "WHERE ",
    "INSERT INTO ",
    "VALUE ",
    "UPDATE ",
    "SET ",
    "REMOVE ",
    "DELETE ",
    "RETURNING ALL OLD *",
    "EXISTS(",
    "ORDER BY ",
    " AND ",
    " OR ",
    " NOT ",
    " IN ",
    " IS ",
    "MISSING",
    "NULL",
    " BETWEEN ",
    "?",
    "'",
    "\"",
    "<<",
    ">>",
    "[",
    "]",
    "{",
    "}",
    "(",
    ")",
    ":",
    "--",
    "/*",
    "*/",
    "1e9",
    "-",
    "set_add(",
    "list_append(",
    "size(",
    "pk",
    "sk",
    "t-both",
];

const JSON_WORDS: &[&str] = &[
    "{",
    "}",
    "[",
    "]",
    ":",
    ",",
    "\"",
    "\\u0000",
    "\\ud800",
    "null",
    "true",
    "1e400",
    "{\"S\":\"x\"}",
    "{\"N\":\"1\"}",
    "{\"M\":{",
    "{\"L\":[",
    "\"TableName\"",
    "\"Key\"",
    "\"Limit\":1",
    "\"IndexName\":\"nope\"",
    "\"t-both\"",
    "\"t-hash\"",
];

/// Inputs of a target where no time is given.
const INPUTS: u32 = 300;
/// Inputs that are kept of one target.
const CORPUS_MAX: usize = 20_000;
/// Bytes of an input.
const INPUT_MAX: usize = 4096;
/// The longest that one input may take.
const PATIENCE: Duration = Duration::from_secs(20);
/// As little stack as a server's threads have.
const STACK: usize = 2 << 20;

#[test]
fn no_input_breaks_a_parser() {
    let only = std::env::var("FUZZ_TARGET").ok();
    let seconds = std::env::var("FUZZ_SECONDS").ok().and_then(|text| text.parse::<f64>().ok());
    let seed = match seconds {
        Some(_) => Instant::now().elapsed().as_nanos() as u64 ^ u64::from(std::process::id()) << 20,
        None => 1,
    };
    let single = std::env::var_os("FUZZ_INPUT").map(|file| fs::read(file).expect("the input is there"));
    let mut broken = Vec::new();
    for target in TARGETS.iter().filter(|target| only.as_deref().is_none_or(|only| only == target.name)) {
        let budget = match (&single, seconds) {
            (Some(input), _) => Budget::These(vec![input.clone()]),
            (None, Some(seconds)) => Budget::Until(Instant::now() + Duration::from_secs_f64(seconds)),
            (None, None) => Budget::Count(INPUTS),
        };
        broken.extend(watched(target, budget, seed));
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

/// How long a target is tried.
enum Budget {
    These(Vec<Vec<u8>>),
    Until(Instant),
    Count(u32),
}

/// Where inputs are kept that broke a target.
fn folder() -> PathBuf {
    let folder = std::env::temp_dir().join("trilith-fuzz");
    fs::create_dir_all(&folder).expect("a folder for temporary files");
    folder
}

/// Tries a target on a thread of its own; what broke it. An input that takes too long, or too much stack, ends the process:
/// it is the one in the file `running`.
fn watched(target: &'static Target, budget: Budget, seed: u64) -> Vec<String> {
    let (beat, beats) = mpsc::channel();
    let work = move || {
        let found = tries(target, budget, seed, &beat);
        drop(beat);
        found
    };
    let worker = thread::Builder::new().stack_size(STACK).spawn(work).expect("a thread");
    while let Ok(()) | Err(mpsc::RecvTimeoutError::Timeout) = match beats.recv_timeout(PATIENCE) {
        Err(mpsc::RecvTimeoutError::Timeout) => {
            panic!("{}: no answer in {PATIENCE:?}; see {}", target.name, folder().display())
        }
        other => other,
    } {}
    worker.join().expect("panics are caught")
}

fn tries(target: &Target, budget: Budget, seed: u64, beat: &mpsc::Sender<()>) -> Vec<String> {
    let mut random = StdRng::seed_from_u64(seed);
    let mut corpus = match &budget {
        Budget::These(inputs) => inputs.clone(),
        Budget::Until(_) | Budget::Count(_) => (target.seeds)(),
    };
    let (mut said, mut broken) = (HashSet::new(), Vec::new());
    let seeds = corpus.len();
    let running = folder().join(format!("running-{}", target.name));
    let mut count: u32 = 0;
    loop {
        let place = count as usize;
        let is_over = match &budget {
            Budget::These(inputs) => place >= inputs.len(),
            Budget::Until(end) => Instant::now() >= *end,
            Budget::Count(inputs) => count >= *inputs,
        };
        if is_over {
            break;
        }
        // The seeds as they are first; where inputs are counted, every other one.
        let is_seed = place < seeds && (place.is_multiple_of(2) || !matches!(budget, Budget::Count(_)));
        let input = if is_seed { corpus[place].clone() } else { changed(&corpus, target.words, &mut random) };
        if !matches!(budget, Budget::Count(_)) {
            fs::write(&running, &input).expect("a file for temporary files");
        }
        count += 1;
        match catch_unwind(AssertUnwindSafe(|| (target.read)(&input))) {
            Ok(words) => {
                if said.insert(skeleton(&words)) && !is_seed && corpus.len() < CORPUS_MAX {
                    corpus.push(input);
                }
            }
            Err(_) => {
                let file = folder().join(format!("broken-{}-{count}", target.name));
                fs::write(&file, &input).expect("a file for temporary files");
                broken.push(format!("{}: {} ({})", target.name, file.display(), input.escape_ascii()));
                if broken.len() >= 5 {
                    break;
                }
            }
        }
        // Nobody waits for it any more where the process is ending.
        let _ = beat.send(());
    }
    println!("{}: {count} inputs, {} kinds of answer, {} broke it", target.name, said.len(), broken.len());
    broken
}

/// What was said, without what came from the input: digits and quoted parts.
fn skeleton(words: &str) -> String {
    let mut out = String::with_capacity(words.len().min(200));
    let mut quoted = false;
    for c in words.chars().take(400) {
        if matches!(c, '"' | '\'' | '`') {
            quoted = !quoted;
        } else if !quoted && !c.is_ascii_digit() {
            out.push(c);
        }
    }
    out
}

/// An input of the corpus, changed in a few places.
fn changed(corpus: &[Vec<u8>], words: &[&str], random: &mut StdRng) -> Vec<u8> {
    let mut input = match corpus.len() {
        0 => Vec::new(),
        some => corpus[random.random_range(0..some)].clone(),
    };
    for _ in 0..random.random_range(1..=6) {
        let at = random.random_range(0..=input.len());
        let longest = 1 << random.random_range(0..8);
        let length = random.random_range(0..=(input.len() - at).min(longest));
        match random.random_range(0..9) {
            0 if at < input.len() => input[at] ^= 1 << random.random_range(0..8),
            1 if at < input.len() => {
                input[at] = [0, 1, 0x7f, 0x80, 0xff, b'0', b'"', b' '][random.random_range(0..8)]
            }
            2 => drop(input.drain(at..at + length)),
            3 => {
                let part = input[at..at + length].to_vec();
                input.splice(at..at, part);
            }
            // Depth comes of repeating what opens something.
            4 => {
                let part = input[at..at + length.min(12)].repeat(random.random_range(1..200));
                input.splice(at..at, part);
            }
            5 if !words.is_empty() => {
                let word = words[random.random_range(0..words.len())].bytes();
                input.splice(at..at, word);
            }
            6 if !corpus.is_empty() => {
                let other = &corpus[random.random_range(0..corpus.len())];
                let from = random.random_range(0..=other.len());
                let to = random.random_range(from..=other.len());
                input.splice(at..at + length, other[from..to].iter().copied());
            }
            7 => input.truncate(at),
            _ => input.insert(at, random.random()),
        }
        input.truncate(INPUT_MAX);
    }
    input
}
