//! What happened, in order: hashed, and printed with `TRACE=1`.

use std::fmt::Display;
use std::hash::{DefaultHasher, Hash, Hasher};

use parking_lot::Mutex;
use tokio::time::Instant;

/// The trace of a run.
pub(crate) struct Trace {
    began: Instant,
    prints: bool,
    /// With fixed keys: alike in every process.
    hasher: Mutex<(u64, DefaultHasher)>,
}

impl Trace {
    pub(crate) fn new() -> Self {
        let prints = std::env::var_os("TRACE").is_some();
        Self { began: Instant::now(), prints, hasher: Mutex::new((0, DefaultHasher::new())) }
    }

    /// Notes an event, and gives its number.
    pub(crate) fn note(&self, event: impl Display) -> u64 {
        let (text, at) = (event.to_string(), self.began.elapsed());
        if self.prints {
            println!("{:>10} {text}", at.as_micros());
        }
        let mut hasher = self.hasher.lock();
        hasher.0 += 1;
        (at, text).hash(&mut hasher.1);
        hasher.0
    }

    pub(crate) fn hash(&self) -> u64 {
        self.hasher.lock().1.finish()
    }
}
