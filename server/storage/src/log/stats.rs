//! Counters of the log, for metrics.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// Number of buckets of a histogram: bucket `i` counts values below `2^i`, and the last one all others.
pub const BUCKETS: usize = 24;

/// A moment's copy of the counters. All counts are since the log was opened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LogStats {
    /// Entries written.
    pub appends: u64,
    /// Calls of fdatasync on segments.
    pub fsyncs: u64,
    /// Batches written: each is one write, and one fsync at most (two where a segment ends).
    pub batches: u64,
    /// Bytes written, frames and headers.
    pub bytes: u64,
    /// Bytes of frames that were moved out of old segments.
    pub rewritten_bytes: u64,
    /// Microseconds that the last fsync took.
    pub last_fsync_micros: u64,
    /// Microseconds of all fsyncs.
    pub fsync_micros: u64,
    /// How long the fsync that runs now has been running; zero when none runs. A stalled disk shows here.
    pub fsync_running: Duration,
    /// Fsyncs by microseconds: bucket `i` counts those below `2^i`.
    pub fsync_micros_buckets: [u64; BUCKETS],
    /// Batches that held entries, by number of entries: bucket `i` counts those below `2^i`.
    pub entries_per_batch_buckets: [u64; BUCKETS],
    /// Segments in use.
    pub segments: u64,
    /// Files kept for the next segments.
    pub spares: u64,
    /// Bytes of all segments and spares.
    pub disk_bytes: u64,
    /// Bytes of entries cached in memory.
    pub cached_bytes: u64,
    /// Entries read back from disk because they were no longer cached.
    pub cache_misses: u64,
    /// Whether a failure has closed the log.
    pub fenced: bool,
}

impl LogStats {
    /// The mean number of entries that one fsync made durable.
    pub fn entries_per_fsync(&self) -> f64 {
        if self.fsyncs == 0 { 0.0 } else { self.appends as f64 / self.fsyncs as f64 }
    }
}

/// The running counters.
pub(super) struct Meter {
    opened: Instant,
    pub(super) appends: AtomicU64,
    pub(super) fsyncs: AtomicU64,
    pub(super) batches: AtomicU64,
    pub(super) bytes: AtomicU64,
    pub(super) rewritten_bytes: AtomicU64,
    pub(super) last_fsync_micros: AtomicU64,
    pub(super) fsync_micros: AtomicU64,
    /// Microseconds from `opened` to the start of the running fsync, plus one; 0 when none runs.
    fsync_started: AtomicU64,
    fsync_buckets: [AtomicU64; BUCKETS],
    entries_buckets: [AtomicU64; BUCKETS],
    pub(super) segments: AtomicU64,
    pub(super) spares: AtomicU64,
    pub(super) disk_bytes: AtomicU64,
    pub(super) cached_bytes: AtomicU64,
    pub(super) cache_misses: AtomicU64,
}

impl Meter {
    pub(super) fn new() -> Meter {
        let zero = || AtomicU64::new(0);
        Meter {
            opened: Instant::now(),
            appends: zero(),
            fsyncs: zero(),
            batches: zero(),
            bytes: zero(),
            rewritten_bytes: zero(),
            last_fsync_micros: zero(),
            fsync_micros: zero(),
            fsync_started: zero(),
            fsync_buckets: std::array::from_fn(|_| zero()),
            entries_buckets: std::array::from_fn(|_| zero()),
            segments: zero(),
            spares: zero(),
            disk_bytes: zero(),
            cached_bytes: zero(),
            cache_misses: zero(),
        }
    }

    /// Runs `sync` and counts it.
    pub(super) fn time_fsync<T>(&self, sync: impl FnOnce() -> T) -> T {
        let start = self.since_opened();
        self.fsync_started.store(start + 1, Relaxed);
        let answer = sync();
        let micros = self.since_opened() - start;
        self.fsync_started.store(0, Relaxed);
        self.fsyncs.fetch_add(1, Relaxed);
        self.last_fsync_micros.store(micros, Relaxed);
        self.fsync_micros.fetch_add(micros, Relaxed);
        self.fsync_buckets[bucket(micros)].fetch_add(1, Relaxed);
        answer
    }

    /// Counts a batch of `entries` entries and `bytes` bytes.
    pub(super) fn batch(&self, entries: u64) {
        self.batches.fetch_add(1, Relaxed);
        if entries > 0 {
            self.appends.fetch_add(entries, Relaxed);
            self.entries_buckets[bucket(entries)].fetch_add(1, Relaxed);
        }
    }

    fn since_opened(&self) -> u64 {
        self.opened.elapsed().as_micros() as u64
    }

    pub(super) fn snapshot(&self, fenced: bool) -> LogStats {
        let started = self.fsync_started.load(Relaxed);
        let running = if started == 0 { 0 } else { (self.since_opened() + 1).saturating_sub(started) };
        LogStats {
            appends: self.appends.load(Relaxed),
            fsyncs: self.fsyncs.load(Relaxed),
            batches: self.batches.load(Relaxed),
            bytes: self.bytes.load(Relaxed),
            rewritten_bytes: self.rewritten_bytes.load(Relaxed),
            last_fsync_micros: self.last_fsync_micros.load(Relaxed),
            fsync_micros: self.fsync_micros.load(Relaxed),
            fsync_running: Duration::from_micros(running),
            fsync_micros_buckets: std::array::from_fn(|i| self.fsync_buckets[i].load(Relaxed)),
            entries_per_batch_buckets: std::array::from_fn(|i| self.entries_buckets[i].load(Relaxed)),
            segments: self.segments.load(Relaxed),
            spares: self.spares.load(Relaxed),
            disk_bytes: self.disk_bytes.load(Relaxed),
            cached_bytes: self.cached_bytes.load(Relaxed),
            cache_misses: self.cache_misses.load(Relaxed),
            fenced,
        }
    }
}

/// The bucket of `value`: the number of bits it needs.
fn bucket(value: u64) -> usize {
    ((u64::BITS - value.leading_zeros()) as usize).min(BUCKETS - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_counts_values_below_its_power_of_two() {
        assert_eq!((bucket(0), bucket(1), bucket(2), bucket(3), bucket(4)), (0, 1, 2, 2, 3));
        assert_eq!(bucket(u64::MAX), BUCKETS - 1);
    }

    #[test]
    fn a_running_fsync_is_seen_while_it_runs() {
        let meter = Meter::new();
        let seen = meter.time_fsync(|| meter.fsync_started.load(Relaxed) > 0);
        assert!(seen);
        assert_eq!(meter.snapshot(false).fsync_running, Duration::ZERO);
        assert_eq!(meter.snapshot(false).fsyncs, 1);
    }
}
