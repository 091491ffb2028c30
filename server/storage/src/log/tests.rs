//! The log as its callers see it. Crashes at random points are in `tests/log_crash.rs`.

use super::*;
use crate::files::{LogFile, MemFiles, OsFiles};
use proptest::prelude::*;
use std::sync::mpsc;

fn small() -> LogOptions {
    LogOptions { segment_bytes: 1024, spares_max: 1, segments_slack: 2, cache_bytes: 400 }
}

fn open(files: &MemFiles, driver: Driver) -> RaftLog {
    RaftLog::open(Arc::new(files.clone()), small(), driver).expect("opened")
}

fn entry(index: u64, payload: &[u8]) -> LogEntry {
    LogEntry { index, payload: Bytes::copy_from_slice(payload) }
}

/// A callback, and where its answer arrives.
fn answer() -> (Done, mpsc::Receiver<io::Result<()>>) {
    let (sender, receiver) = mpsc::channel();
    let done = Box::new(move |result| drop(sender.send(result)));
    (done, receiver)
}

fn append(handle: &LogHandle, index: u64, payload: &[u8]) -> mpsc::Receiver<io::Result<()>> {
    let (done, receiver) = answer();
    handle.append(vec![entry(index, payload)], done);
    receiver
}

fn is_ok(answer: &mpsc::Receiver<io::Result<()>>) -> bool {
    matches!(answer.try_recv(), Ok(Ok(())))
}

#[test]
fn an_entry_is_readable_at_once_and_answered_when_durable() {
    let files = MemFiles::new();
    let log = open(&files, Driver::Manual);
    let handle = log.open_log(7);
    let first = append(&handle, 1, b"one");
    assert_eq!(handle.read(0..9).expect("read"), [entry(1, b"one")]);
    assert!(first.try_recv().is_err(), "not durable yet");
    log.drive();
    assert!(is_ok(&first));
    assert_eq!(handle.last_entry().expect("read"), Some(entry(1, b"one")));
    assert_eq!((handle.first_index(), handle.last_index(), log.known()), (Some(1), Some(1), vec![7]));
}

#[test]
fn one_fsync_answers_all_who_wait() {
    let files = MemFiles::new();
    let log = open(&files, Driver::Manual);
    let answers: Vec<_> = (1..=20).map(|id| append(&log.open_log(id), 1, b"x")).collect();
    let (syncs, writes) = (files.syncs(), files.writes());
    log.drive();
    assert_eq!((files.syncs() - syncs, files.writes() - writes), (1, 1));
    assert!(answers.iter().all(is_ok));
    let stats = log.stats();
    assert_eq!((stats.appends, stats.batches, stats.entries_per_batch_buckets[5]), (20, 1, 1));
    assert_eq!((stats.cached_bytes, stats.fenced), (20, false));
}

#[test]
fn purge_and_commit_notes_cause_no_fsync() {
    let files = MemFiles::new();
    let log = open(&files, Driver::Inline);
    let handle = log.open_log(1);
    let (syncs, writes) = (files.syncs(), files.writes());
    handle.save_committed(Bytes::from_static(b"c"));
    handle.purge(5, Bytes::from_static(b"p"));
    assert_eq!((files.syncs() - syncs, files.writes() - writes), (0, 2));
    assert!(is_ok(&append(&handle, 6, b"six")));
    assert_eq!(files.syncs() - syncs, 1);
    drop(log);
    let handle = open(&files, Driver::Inline).open_log(1);
    assert_eq!(handle.purged(), Some((5, Bytes::from_static(b"p"))));
    assert_eq!(handle.committed(), Some(Bytes::from_static(b"c")));
}

#[test]
fn all_is_found_again() {
    let files = MemFiles::new();
    let log = open(&files, Driver::Inline);
    let handle = log.open_log(3);
    for index in 1..=30 {
        assert!(is_ok(&append(&handle, index, &[index as u8; 100])));
    }
    handle.save_vote(Bytes::from_static(b"vote"), Box::new(|_| {}));
    handle.truncate_after(Some(25), Box::new(|_| {}));
    handle.purge(10, Bytes::from_static(b"note"));
    drop((handle, log));
    let log = open(&files, Driver::Inline);
    let handle = log.open_log(3);
    assert_eq!((handle.first_index(), handle.last_index()), (Some(11), Some(25)));
    let expected: Vec<LogEntry> = (11..=25).map(|index| entry(index, &[index as u8; 100])).collect();
    assert_eq!(handle.read(0..u64::MAX).expect("read"), expected);
    assert_eq!(handle.read_limited(12, 20, 250).expect("read"), expected[1..3]);
    assert_eq!(handle.read_limited(12, 20, 0).expect("read"), expected[1..2]);
    assert_eq!(handle.vote(), Some(Bytes::from_static(b"vote")));
    assert!(log.stats().cache_misses > 0, "nothing is cached after a start");
}

#[test]
fn gaps_and_destroyed_logs_are_refused_and_harm_nothing() {
    let log = open(&MemFiles::new(), Driver::Inline);
    let handle = log.open_log(1);
    let refused = |answer: mpsc::Receiver<io::Result<()>>| {
        let error = answer.try_recv().expect("answered").expect_err("refused");
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput, "{error}");
    };
    assert!(is_ok(&append(&handle, 4, b"four")));
    refused(append(&handle, 6, b"six"));
    refused(append(&handle, 3, b"three"));
    let (done, receiver) = answer();
    handle.append(vec![entry(5, b"five"), entry(7, b"seven")], done);
    refused(receiver);
    assert_eq!(handle.last_index(), Some(4));
    handle.purge(9, Bytes::new());
    refused(append(&handle, 5, b"five"));
    assert!(is_ok(&append(&handle, 10, b"ten")));
    let (done, receiver) = answer();
    handle.append(Vec::new(), done);
    assert!(is_ok(&receiver));
    log.forget(1);
    refused(append(&handle, 11, b"eleven"));
    assert!(matches!(handle.read(0..20), Err(StorageError::OutOfOrder { log: 1, .. })));
    assert!(is_ok(&append(&log.open_log(1), 1, b"anew")));
}

#[test]
fn a_failed_sync_or_write_closes_the_log_for_good() {
    for plant in [MemFiles::fail_next_sync, MemFiles::fail_next_write] {
        let files = MemFiles::new();
        let log = open(&files, Driver::Manual);
        let handle = log.open_log(1);
        let first = append(&handle, 1, b"one");
        plant(&files);
        log.drive();
        assert!(matches!(first.try_recv(), Ok(Err(_))));
        let syncs = files.syncs();
        let second = append(&handle, 2, b"two");
        let error = second.try_recv().expect("answered at once").expect_err("fenced");
        assert!(error.to_string().contains("planted"), "{error}");
        let (done, vote) = answer();
        handle.save_vote(Bytes::new(), done);
        assert!(matches!(vote.try_recv(), Ok(Err(_))));
        assert!(matches!(handle.read(0..9), Err(StorageError::Fenced { .. })));
        log.drive();
        assert_eq!(files.syncs(), syncs, "no sync is tried again");
        assert!(log.stats().fenced && log.check().is_err());
    }
}

#[test]
fn a_callback_may_use_the_log() {
    let log = open(&MemFiles::new(), Driver::Inline);
    let handle = log.open_log(1);
    let (done, receiver) = answer();
    let again = handle.clone();
    handle.append(vec![entry(1, b"one")], Box::new(move |_| again.append(vec![entry(2, b"two")], done)));
    assert!(is_ok(&receiver));
    assert_eq!(handle.last_index(), Some(2));
}

#[test]
fn the_cache_is_bounded_and_evicted_entries_are_read_back() {
    let log = open(&MemFiles::new(), Driver::Inline);
    let (one, two) = (log.open_log(1), log.open_log(2));
    for index in 1..=20 {
        append(&one, index, &[1; 50]);
        append(&two, index, &[2; 50]);
        assert!(log.stats().cached_bytes <= 400, "{:?}", log.stats());
    }
    assert_eq!(one.read(1..21).expect("read").len(), 20);
    let misses = log.stats().cache_misses;
    assert!((12..20).contains(&misses), "the newest of each log are cached: {misses}");
    one.truncate_after(None, Box::new(|_| {}));
    two.purge(20, Bytes::new());
    assert_eq!(log.stats().cached_bytes, 0);
}

#[test]
fn an_entry_larger_than_a_segment_gets_one_of_its_own() {
    let files = MemFiles::new();
    let log = open(&files, Driver::Inline);
    let handle = log.open_log(1);
    append(&handle, 1, b"small");
    append(&handle, 2, &[7; 5000]);
    append(&handle, 3, b"small");
    assert_eq!(log.stats().segments, 3);
    drop((handle, log));
    let log = open(&files, Driver::Inline);
    assert_eq!(log.open_log(1).read(2..3).expect("read"), [entry(2, &[7; 5000])]);
}

/// Fills segments with aligned frames, so that every byte up to a segment's end is covered by a checksum.
fn filled(files: &MemFiles) -> RaftLog {
    let log = open(files, Driver::Inline);
    for index in 1..=12 {
        append(&log.open_log(1), index, &[index as u8; 120]);
        append(&log.open_log(2), index, &[index as u8; 40]);
    }
    log
}

#[test]
fn any_flipped_bit_in_a_closed_segment_is_reported() {
    let files = MemFiles::new();
    drop(filled(&files));
    let name = segment::name(2);
    let segments = files.list().expect("listed");
    assert!(segments.contains(&name) && segments.len() >= 3, "{segments:?}");
    let after = segment::Segment::open(&files, 3).expect("opened").header().expect("read").expect("valid");
    for bit in (0..u64::from(after.previous_end) * 8).step_by(5) {
        assert!(files.flip_bit(&name, bit));
        let error = RaftLog::open(Arc::new(files.clone()), small(), Driver::Inline).expect_err("damaged");
        let StorageError::Corrupt { place, .. } = &error else { panic!("bit {bit}: {error}") };
        assert!(place.contains(&name), "bit {bit}: {error}");
        assert!(files.flip_bit(&name, bit));
    }
    assert!(RaftLog::open(Arc::new(files), small(), Driver::Inline).is_ok());
}

#[test]
fn damage_in_a_payload_names_its_log() {
    let files = MemFiles::new();
    drop(filled(&files));
    // The first frame of a segment: its payload begins behind the two headers.
    let bit = (u64::from(segment::START) + frame::HEADER as u64 + 3) * 8;
    assert!(files.flip_bit(&segment::name(2), bit));
    let error = RaftLog::open(Arc::new(files), small(), Driver::Inline).expect_err("damaged");
    assert!(matches!(&error, StorageError::Corrupt { affected, .. } if affected.len() == 1), "{error}");
}

#[test]
fn damage_before_a_durable_record_of_the_last_segment_is_no_torn_tail() {
    let files = MemFiles::new();
    let log = open(&files, Driver::Inline);
    let handle = log.open_log(1);
    append(&handle, 1, &[1; 40]);
    append(&handle, 2, &[2; 40]);
    drop((handle, log));
    let first = u64::from(segment::START) * 8;
    for bit in [first, first + 8 * 16, first + 8 * frame::HEADER as u64] {
        assert!(files.flip_bit(&segment::name(1), bit));
        assert!(
            RaftLog::open(Arc::new(files.clone()), small(), Driver::Inline)
                .is_err_and(|error| error.is_corrupt())
        );
        assert!(files.flip_bit(&segment::name(1), bit));
    }
}

#[test]
fn a_missing_segment_and_a_damaged_last_header_are_reported() {
    let files = MemFiles::new();
    drop(filled(&files));
    let last = files.list().expect("listed").pop().expect("a segment");
    assert!(files.flip_bit(&last, 8 * 20));
    assert!(
        RaftLog::open(Arc::new(files.clone()), small(), Driver::Inline)
            .is_err_and(|error| error.is_corrupt())
    );
    assert!(files.flip_bit(&last, 8 * 20));
    files.remove(&segment::name(2)).expect("removed");
    let error = RaftLog::open(Arc::new(files), small(), Driver::Inline).expect_err("a gap");
    assert!(error.to_string().contains("missing"), "{error}");
}

#[test]
fn a_damaged_entry_is_reported_when_it_is_read() {
    let files = MemFiles::new();
    let log = filled(&files);
    let bit = (u64::from(segment::START) + frame::HEADER as u64 + 3) * 8;
    assert!(files.flip_bit(&segment::name(1), bit));
    let error = log.open_log(1).read(1..2).expect_err("damaged");
    assert!(matches!(&error, StorageError::Corrupt { affected, .. } if *affected == [1]), "{error}");
    assert_eq!(log.open_log(2).read(1..2).expect("the other log is unharmed").len(), 1);
}

#[test]
fn a_newer_segment_format_is_refused_untouched() {
    let files = MemFiles::new();
    drop(filled(&files));
    let file = files.open(&segment::name(1)).expect("opened");
    let mut header = vec![0; segment::START as usize];
    file.read_at(0, &mut header).expect("read");
    header[8] = 2;
    header[12..16].fill(0);
    let crc = crc32fast::hash(&header);
    header[12..16].copy_from_slice(&crc.to_le_bytes());
    file.write_at(0, &header).expect("written");
    let writes = files.writes();
    let error = RaftLog::open(Arc::new(files.clone()), small(), Driver::Inline).expect_err("newer");
    assert!(matches!(error, StorageError::NewerFormat { found: 2, supported: 1, .. }));
    assert_eq!(files.writes(), writes);
}

/// Bytes that a crash left behind a torn record must not be read once the log has grown up to them.
#[test]
fn records_behind_a_torn_one_never_appear() {
    let files = MemFiles::new();
    let log = open(&files, Driver::Manual);
    let handle = log.open_log(1);
    for index in 1..=3 {
        append(&handle, index, &[index as u8; 40]);
    }
    files.fail_next_sync();
    log.drive();
    // The disk kept the second and third record of the batch, but not the first one.
    let files = files.crash(&mut |most| most);
    assert!(files.flip_bit(&segment::name(1), u64::from(segment::START + 64) * 8));
    let log = open(&files, Driver::Inline);
    let handle = log.open_log(1);
    assert_eq!(handle.last_index(), None);
    // Same size as the lost one, so that the old second record follows it exactly.
    append(&handle, 1, &[9; 40]);
    drop((handle, log));
    let log = open(&files, Driver::Inline);
    assert_eq!(log.open_log(1).read(0..9).expect("read"), [entry(1, &[9; 40])]);
}

#[test]
fn freed_segments_are_used_again() {
    let files = MemFiles::new();
    let log = open(&files, Driver::Inline);
    let handle = log.open_log(1);
    for index in 1..=100 {
        append(&handle, index, &[1; 200]);
        handle.purge(index, Bytes::new());
    }
    let stats = log.stats();
    assert!(stats.segments <= 2 && stats.spares <= 1, "{stats:?}");
    assert_eq!(stats.disk_bytes, (stats.segments + stats.spares) * 1024);
    assert_eq!(files.list().expect("listed").len() as u64, stats.segments + stats.spares);
    drop((handle, log));
    assert_eq!(open(&files, Driver::Inline).open_log(1).purged(), Some((100, Bytes::new())));
}

#[test]
fn the_thread_serves_many_callers_and_ends_with_the_log() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let files = Arc::new(OsFiles::new(folder.path()).expect("made"));
    let options = LogOptions { segment_bytes: 64 << 10, ..LogOptions::default() };
    let log = RaftLog::open(files.clone(), options, Driver::Thread).expect("opened");
    std::thread::scope(|scope| {
        for id in 0..8 {
            let handle = log.open_log(id);
            scope.spawn(move || {
                for index in 1..=100 {
                    append(&handle, index, &[id as u8; 300]).recv().expect("answered").expect("durable");
                    if index % 10 == 0 {
                        handle.purge(index - 5, Bytes::new());
                    }
                }
            });
        }
    });
    let stats = log.stats();
    assert_eq!(stats.appends, 800);
    assert!(stats.fsyncs <= 800 + 2 * 20 + 10, "{stats:?}");
    let last = append(&log.open_log(0), 101, b"queued when the log ends");
    let handle = log.open_log(0);
    drop(log);
    last.recv().expect("answered").expect("written before the end");
    assert!(append(&handle, 102, b"late").recv().expect("answered").is_err());
    let log = RaftLog::open(files, options, Driver::Thread).expect("opened again");
    for id in 1..8 {
        assert_eq!(
            log.open_log(id).read(0..u64::MAX).expect("read"),
            (96..=100).map(|index| entry(index, &[id as u8; 300])).collect::<Vec<_>>()
        );
    }
}

proptest! {
    /// Whatever lies in a last segment that was never acknowledged, opening ends, and never in a panic.
    #[test]
    fn noise_is_no_log(noise in proptest::collection::vec(any::<u8>(), 0..400), at in 0_u64..300) {
        let files = MemFiles::new();
        drop(open(&files, Driver::Inline));
        let file: Box<dyn LogFile> = files.open(&segment::name(1)).expect("opened");
        file.write_at(at, &noise).expect("written");
        match RaftLog::open(Arc::new(files), small(), Driver::Inline) {
            Ok(log) => prop_assert_eq!(log.known(), Vec::<u64>::new()),
            Err(error) => prop_assert!(matches!(error, StorageError::Corrupt { .. }), "{}", error),
        }
    }
}
