//! The log against a power cut at any point.
//!
//! One sequence of operations on several logs runs over files in memory, with crashes that keep any prefix of the
//! unsynced bytes. The rule that everything else follows from: since all operations go into one stream in order, what a
//! restart finds is the state after some prefix of the operations, and that prefix holds at least every operation that
//! was acknowledged as durable. So no acknowledged entry is lost, no vote goes back, no truncated entry returns, and no
//! frame of a recycled segment appears.

use bytes::Bytes;
use parking_lot::Mutex;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::sync::Arc;
use trilith_storage::{Done, Driver, LogEntry, LogHandle, LogOptions, MemFiles, RaftLog};

/// What one log should hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct ModelLog {
    entries: BTreeMap<u64, Bytes>,
    vote: Option<Bytes>,
    purged: Option<(u64, Bytes)>,
    committed: Option<Bytes>,
}

type Model = BTreeMap<u64, ModelLog>;

impl ModelLog {
    fn next(&self) -> u64 {
        let last = self.entries.keys().next_back().copied();
        last.or(self.purged.as_ref().map(|(index, _)| *index)).map_or(1, |last| last + 1)
    }
}

#[derive(Debug, Clone)]
enum Step {
    /// Entries of the given sizes, beginning `back` before the end.
    Append {
        log: u64,
        back: u64,
        sizes: Vec<usize>,
    },
    Truncate {
        log: u64,
        back: u64,
    },
    /// Purges up to `reach` after the first entry.
    Purge {
        log: u64,
        reach: u64,
    },
    Vote {
        log: u64,
    },
    Committed {
        log: u64,
    },
    Forget {
        log: u64,
    },
    /// Lets the writer write what is queued.
    Drive,
    /// Ends in order and opens again.
    Reopen,
    /// Power cut, keeping these shares (of 255) of what was not synced.
    Crash {
        keep: [u8; 4],
    },
    /// The same in the middle of a write: the bytes are there, the sync is not.
    CrashInSync {
        keep: [u8; 4],
    },
    /// The same in the middle of a write call.
    CrashInWrite {
        keep: [u8; 4],
    },
}

struct Run {
    files: MemFiles,
    options: LogOptions,
    log: RaftLog,
    /// States after each operation since the last restart; the first is what the restart found.
    history: Vec<Model>,
    /// Position in `history` of the newest state known to be durable.
    acknowledged: Arc<Mutex<usize>>,
    unique: u64,
}

impl Run {
    fn new(files: MemFiles, options: LogOptions) -> Result<Run, String> {
        let log = open(&files, options)?;
        Ok(Run { files, options, log, history: vec![Model::new()], acknowledged: Arc::default(), unique: 0 })
    }

    fn now(&self) -> Model {
        self.history.last().cloned().unwrap_or_default()
    }

    /// Records the state after an operation that changed `log`; the callback acknowledges it.
    fn record(&mut self, log: u64, change: impl FnOnce(&mut ModelLog)) -> Done {
        let mut model = self.now();
        change(model.entry(log).or_default());
        self.history.push(model);
        let (position, acknowledged) = (self.history.len() - 1, Arc::clone(&self.acknowledged));
        Box::new(move |result| {
            if result.is_ok() {
                let mut newest = acknowledged.lock();
                *newest = (*newest).max(position);
            }
        })
    }

    /// A payload that occurs nowhere else.
    fn payload(&mut self, size: usize) -> Bytes {
        self.unique += 1;
        let mut bytes = format!("{}:", self.unique).into_bytes();
        bytes.resize(size.max(bytes.len()), b'x');
        Bytes::from(bytes)
    }

    fn step(&mut self, step: &Step) -> Result<(), String> {
        match step {
            Step::Append { log, back, sizes } => self.append(*log, *back, sizes),
            Step::Truncate { log, back } => {
                let next = self.now().entry(*log).or_default().next();
                let from = next.saturating_sub(*back);
                let done = self.record(*log, |model| drop(model.entries.split_off(&from)));
                self.log.open_log(*log).truncate_after(from.checked_sub(1), done);
            }
            Step::Purge { log, reach } => self.purge(*log, *reach),
            Step::Vote { log } => {
                let vote = self.payload(8);
                let done = self.record(*log, |model| model.vote = Some(vote.clone()));
                self.log.open_log(*log).save_vote(vote, done);
            }
            Step::Committed { log } => {
                let note = self.payload(8);
                drop(self.record(*log, |model| model.committed = Some(note.clone())));
                self.log.open_log(*log).save_committed(note);
            }
            Step::Forget { log } => {
                if self.log.known().contains(log) {
                    drop(self.record(*log, |model| *model = ModelLog::default()));
                    self.log.forget(*log);
                }
            }
            Step::Drive => self.log.drive(),
            Step::Reopen => {
                self.log.drive();
                let files = self.files.clone();
                return self.restart(files);
            }
            Step::Crash { keep } => return self.crash(keep),
            Step::CrashInSync { keep } => {
                self.files.fail_next_sync();
                self.log.drive();
                return self.crash(keep);
            }
            Step::CrashInWrite { keep } => {
                self.files.fail_next_write();
                self.log.drive();
                return self.crash(keep);
            }
        }
        self.check_live()
    }

    fn append(&mut self, log: u64, back: u64, sizes: &[usize]) {
        let model = self.now().remove(&log).unwrap_or_default();
        let floor = model.entries.keys().next().copied().unwrap_or_else(|| model.next());
        let first = model.next().saturating_sub(back).max(floor);
        let payloads: Vec<Bytes> = sizes.iter().map(|size| self.payload(*size)).collect();
        let entries: Vec<LogEntry> =
            (first..).zip(payloads).map(|(index, payload)| LogEntry { index, payload }).collect();
        // A crash may keep the first few of them: each one is a state of its own, and the last one is acknowledged.
        let mut done: Done = Box::new(|_| {});
        for LogEntry { index, payload } in entries.iter().cloned() {
            done = self.record(log, |model| {
                model.entries.split_off(&index);
                model.entries.insert(index, payload);
            });
        }
        self.log.open_log(log).append(entries, done);
    }

    fn purge(&mut self, log: u64, reach: u64) {
        let model = self.now().remove(&log).unwrap_or_default();
        let first = model.entries.keys().next().copied().unwrap_or_else(|| model.next());
        let upto = first + reach;
        let note = self.payload(8);
        drop(self.record(log, |model| {
            model.entries = model.entries.split_off(&(upto + 1));
            model.purged = Some((upto, note.clone()));
        }));
        self.log.open_log(log).purge(upto, note);
    }

    /// What can be read now must be the newest state, written or not.
    fn check_live(&self) -> Result<(), String> {
        let found = read_all(&self.log)?;
        let expected = without_empty(self.now());
        if found == expected { Ok(()) } else { Err(format!("live state {found:?}, expected {expected:?}")) }
    }

    fn crash(&mut self, keep: &[u8; 4]) -> Result<(), String> {
        let mut shares = keep.iter().cycle();
        let mut choose = |most: u64| most * u64::from(*shares.next().unwrap_or(&0)) / 255;
        let files = self.files.crash(&mut choose);
        self.restart(files)
    }

    fn restart(&mut self, files: MemFiles) -> Result<(), String> {
        let acknowledged = std::mem::take(&mut *self.acknowledged.lock());
        self.log = open(&files, self.options)?;
        self.files = files;
        let found = read_all(&self.log)?;
        let possible = &self.history[acknowledged..];
        if !possible.iter().any(|model| without_empty(model.clone()) == found) {
            return Err(format!(
                "after a restart: {found:?}\nis none of the {} states from {:?}\nto {:?}",
                possible.len(),
                possible.first(),
                possible.last()
            ));
        }
        self.history = vec![found];
        Ok(())
    }
}

fn open(files: &MemFiles, options: LogOptions) -> Result<RaftLog, String> {
    RaftLog::open(Arc::new(files.clone()), options, Driver::Manual).map_err(|error| error.to_string())
}

fn without_empty(mut model: Model) -> Model {
    model.retain(|_, log| *log != ModelLog::default());
    model
}

fn read_all(log: &RaftLog) -> Result<Model, String> {
    let mut found = Model::new();
    for id in log.known() {
        found.insert(id, read_one(&log.open_log(id))?);
    }
    Ok(without_empty(found))
}

fn read_one(handle: &LogHandle) -> Result<ModelLog, String> {
    let entries = handle.read(0..u64::MAX).map_err(|error| error.to_string())?;
    Ok(ModelLog {
        entries: entries.into_iter().map(|entry| (entry.index, entry.payload)).collect(),
        vote: handle.vote(),
        purged: handle.purged(),
        committed: handle.committed(),
    })
}

fn options() -> LogOptions {
    // Small enough that a run goes through many segments, recycles them and reads entries back from disk.
    LogOptions { segment_bytes: 1024, spares_max: 1, segments_slack: 2, cache_bytes: 500 }
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let log = || 1_u64..4;
    let size = prop_oneof![8 => 0_usize..120, 1 => 900_usize..2500];
    let step = prop_oneof![
        12 => (log(), prop_oneof![6 => Just(0_u64), 1 => 0_u64..4], proptest::collection::vec(size, 0..4))
            .prop_map(|(log, back, sizes)| Step::Append { log, back, sizes }),
        2 => (log(), 0_u64..5).prop_map(|(log, back)| Step::Truncate { log, back }),
        4 => (log(), 0_u64..8).prop_map(|(log, reach)| Step::Purge { log, reach }),
        2 => log().prop_map(|log| Step::Vote { log }),
        2 => log().prop_map(|log| Step::Committed { log }),
        1 => log().prop_map(|log| Step::Forget { log }),
        10 => Just(Step::Drive),
        1 => Just(Step::Reopen),
        1 => any::<[u8; 4]>().prop_map(|keep| Step::Crash { keep }),
        2 => any::<[u8; 4]>().prop_map(|keep| Step::CrashInSync { keep }),
        1 => any::<[u8; 4]>().prop_map(|keep| Step::CrashInWrite { keep }),
    ];
    proptest::collection::vec(step, 1..120)
}

fn run(files: MemFiles, steps: &[Step]) -> Result<RaftLog, String> {
    let mut run = Run::new(files, options())?;
    for step in steps {
        run.step(step)?;
    }
    run.step(&Step::Crash { keep: [0; 4] })?;
    Ok(run.log)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_was_acknowledged_survives_any_crash(steps in steps()) {
        run(MemFiles::new(), &steps).map_err(TestCaseError::fail)?;
    }
}

#[test]
fn a_skipped_fsync_is_noticed() {
    let steps = [Step::Append { log: 1, back: 0, sizes: vec![10] }, Step::Drive];
    assert!(run(MemFiles::new(), &steps).is_ok());
    let files = MemFiles::new();
    let mut run = Run::new(files.clone(), options()).expect("opened");
    files.skip_fsync(true);
    for step in &steps {
        run.step(step).expect("nothing is wrong until the crash");
    }
    let noticed = run.step(&Step::Crash { keep: [0; 4] }).expect_err("the acknowledged entry is gone");
    assert!(noticed.contains("after a restart"), "{noticed}");
}

/// An idle log with a vote and a few entries must not pin the history of a busy one.
#[test]
fn the_space_stays_bounded_beside_an_idle_log() {
    let files = MemFiles::new();
    let mut run = Run::new(files.clone(), options()).expect("opened");
    let idle = [
        Step::Vote { log: 1 },
        Step::Append { log: 1, back: 0, sizes: vec![20, 30] },
        Step::Purge { log: 1, reach: 0 },
        Step::Committed { log: 1 },
        Step::Drive,
    ];
    for step in &idle {
        run.step(step).expect("written");
    }
    for _ in 0..300 {
        run.step(&Step::Append { log: 2, back: 0, sizes: vec![100, 100] }).expect("written");
        run.step(&Step::Drive).expect("written");
        run.step(&Step::Purge { log: 2, reach: 1 }).expect("purged");
        run.step(&Step::Drive).expect("written");
        let stats = run.log.stats();
        assert!(stats.segments <= 5, "{stats:?}");
        assert!(files.bytes() <= 7 * 1100, "{} bytes", files.bytes());
    }
    assert!(run.log.stats().rewritten_bytes > 0, "the idle log's frames were moved");
    run.step(&Step::Crash { keep: [0; 4] }).expect("all is still there");
    assert_eq!(run.log.open_log(1).first_index(), Some(2));
}

/// A destroyed log must not come back when the segments with its frames are still there.
#[test]
fn a_forgotten_log_stays_away_and_frees_its_segments() {
    let mut run = Run::new(MemFiles::new(), options()).expect("opened");
    for _ in 0..20 {
        run.step(&Step::Append { log: 1, back: 0, sizes: vec![100] }).expect("written");
    }
    run.step(&Step::Drive).expect("written");
    let handle = run.log.open_log(1);
    run.step(&Step::Forget { log: 1 }).expect("forgotten");
    run.step(&Step::Drive).expect("written");
    assert_eq!(run.log.stats().segments, 1);
    assert!(handle.read(0..100).is_err());
    run.step(&Step::Crash { keep: [0; 4] }).expect("still away");
    assert_eq!(run.log.known(), Vec::<u64>::new());
}
