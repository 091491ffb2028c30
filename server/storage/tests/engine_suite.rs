//! One suite for both engines: random operations against a plain ordered map.

use bytes::Bytes;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::Path;
use trilith_storage::engine::{Snapshot, prefix_end};
use trilith_storage::{
    Engine, EngineView, Family, MemEngine, RocksEngine, RocksSettings, RocksShared, StorageError, WriteBatch,
};

type Model = BTreeMap<(Family, Vec<u8>), Vec<u8>>;
type Row = (Vec<u8>, Vec<u8>);

#[derive(Debug, Clone)]
enum Change {
    Put(Family, Vec<u8>, Vec<u8>),
    Delete(Family, Vec<u8>),
    DeleteRange(Family, Vec<u8>, Vec<u8>),
}

#[derive(Debug, Clone)]
enum Step {
    Write(Vec<Change>),
    Sync,
    Pin,
    Unpin(usize),
    Check { family: Family, start: Vec<u8>, end: Option<Vec<u8>>, limit: usize },
}

fn family() -> impl Strategy<Value = Family> {
    // Three are enough to see a mix-up, and few enough that ranges overlap.
    prop_oneof![Just(Family::Items), Just(Family::Outbox), Just(Family::Meta)]
}

fn key() -> impl Strategy<Value = Vec<u8>> {
    proptest::collection::vec(prop_oneof![Just(0_u8), Just(1), Just(0x7f), Just(0xff)], 1..4)
}

fn change() -> impl Strategy<Value = Change> {
    let value = proptest::collection::vec(any::<u8>(), 0..20);
    prop_oneof![
        5 => (family(), key(), value).prop_map(|(family, key, value)| Change::Put(family, key, value)),
        2 => (family(), key()).prop_map(|(family, key)| Change::Delete(family, key)),
        1 => (family(), key(), key()).prop_map(|(family, a, b)| Change::DeleteRange(family, a, b)),
    ]
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => proptest::collection::vec(change(), 0..8).prop_map(Step::Write),
        1 => Just(Step::Sync),
        1 => Just(Step::Pin),
        1 => any::<usize>().prop_map(Step::Unpin),
        4 => (family(), key(), proptest::option::of(key()), prop_oneof![Just(usize::MAX), 0_usize..4])
            .prop_map(|(family, start, end, limit)| Step::Check { family, start, end, limit }),
    ];
    proptest::collection::vec(step, 1..60)
}

fn apply(model: &mut Model, change: &Change) {
    match change {
        Change::Put(family, key, value) => {
            model.insert((*family, key.clone()), value.clone());
        }
        Change::Delete(family, key) => {
            model.remove(&(*family, key.clone()));
        }
        Change::DeleteRange(family, start, end) => {
            model.retain(|(of, key), _| of != family || key < start || key >= end);
        }
    }
}

fn batch(changes: &[Change]) -> WriteBatch {
    let mut batch = WriteBatch::new();
    for change in changes.iter().cloned() {
        match change {
            Change::Put(family, key, value) => batch.put(family, key, value),
            Change::Delete(family, key) => batch.delete(family, key),
            Change::DeleteRange(family, start, end) => batch.delete_range(family, start, end),
        }
    }
    batch
}

fn scan(
    view: &dyn EngineView,
    family: Family,
    start: &[u8],
    end: Option<&[u8]>,
    reverse: bool,
    limit: usize,
) -> Vec<Row> {
    let mut rows = Vec::new();
    let mut visit = |key: &[u8], value: &[u8]| {
        if rows.len() == limit {
            return ControlFlow::Break(());
        }
        rows.push((key.to_vec(), value.to_vec()));
        ControlFlow::Continue(())
    };
    view.scan(family, start, end, reverse, &mut visit).expect("scanned");
    rows
}

/// Checks one range of a view, in both directions, and point reads around it.
fn check(
    view: &dyn EngineView,
    model: &Model,
    family: Family,
    start: &[u8],
    end: Option<&[u8]>,
    limit: usize,
) {
    let inside = |key: &[u8]| key >= start && end.is_none_or(|end| key < end);
    let rows = model.iter().filter(|((of, key), _)| *of == family && inside(key));
    let mut expected: Vec<Row> = rows.map(|((_, key), value)| (key.clone(), value.clone())).collect();
    let first: Vec<Row> = expected.iter().take(limit).cloned().collect();
    assert_eq!(scan(view, family, start, end, false, limit), first);
    expected.reverse();
    expected.truncate(limit);
    assert_eq!(scan(view, family, start, end, true, limit), expected);

    let mut keys: Vec<(Family, Bytes)> =
        vec![(family, Bytes::copy_from_slice(start)), (Family::Intents, Bytes::from_static(b"k"))];
    keys.extend(end.map(|end| (Family::Items, Bytes::copy_from_slice(end))));
    keys.extend(expected.iter().map(|(key, _)| (family, Bytes::copy_from_slice(key))));
    keys.push(keys[0].clone());
    let values = view.multi_get(&keys).expect("read");
    for ((of, key), value) in keys.iter().zip(&values) {
        let expected = model.get(&(*of, key.to_vec())).map(Vec::as_slice);
        assert_eq!(value.as_deref(), expected);
        assert_eq!(view.get(*of, key).expect("read").as_deref(), expected);
    }
}

fn run(engine: &dyn Engine, steps: &[Step]) {
    let mut model = Model::new();
    let mut pinned: Vec<(Snapshot, Model)> = Vec::new();
    for step in steps {
        match step {
            Step::Write(changes) => {
                changes.iter().for_each(|change| apply(&mut model, change));
                engine.write(batch(changes)).expect("written");
            }
            Step::Sync => engine.sync().expect("synced"),
            Step::Pin => pinned.push((engine.snapshot(), model.clone())),
            Step::Unpin(at) if !pinned.is_empty() => drop(pinned.swap_remove(at % pinned.len())),
            Step::Unpin(_) => {}
            Step::Check { family, start, end, limit } => {
                check(engine, &model, *family, start, end.as_deref(), *limit);
                for (view, then) in &pinned {
                    check(&**view, then, *family, start, end.as_deref(), *limit);
                }
            }
        }
    }
    for family in Family::ALL {
        check(engine, &model, family, b"", None, usize::MAX);
        for (view, then) in &pinned {
            check(&**view, then, family, b"", None, usize::MAX);
        }
    }
}

fn rocks(path: &Path) -> RocksEngine {
    RocksEngine::open(path, &RocksSettings::default(), &RocksShared::new(8 << 20, 4 << 20)).expect("opened")
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn memory_is_an_ordered_map(steps in steps()) {
        run(&MemEngine::new(), &steps);
        run(&MemEngine::crashable(), &steps);
    }

    #[test]
    fn memory_loses_a_suffix_of_unsynced_batches(
        batches in proptest::collection::vec((proptest::collection::vec(change(), 0..6), any::<bool>()), 1..20),
        keep in any::<usize>(),
    ) {
        let engine = MemEngine::crashable();
        let mut states = vec![Model::new()];
        for (changes, sync) in &batches {
            let mut model = states.last().cloned().unwrap_or_default();
            changes.iter().for_each(|change| apply(&mut model, change));
            engine.write(batch(changes)).expect("written");
            states.push(model);
            if *sync {
                engine.sync().expect("synced");
                states.drain(..states.len() - 1);
            }
        }
        prop_assert_eq!(engine.unsynced(), states.len() - 1);
        let snapshot = engine.snapshot();
        let keep = keep % states.len();
        let after = engine.crash(keep);
        for family in Family::ALL {
            check(&after, &states[keep], family, b"", None, usize::MAX);
        }
        prop_assert!(engine.get(Family::Items, b"k").is_err(), "the dead process reads nothing");
        prop_assert!(engine.write(WriteBatch::new()).is_err());
        prop_assert!(snapshot.get(Family::Items, b"k").is_err());
        prop_assert_eq!(after.unsynced(), 0);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn rocksdb_is_an_ordered_map(steps in steps()) {
        let folder = tempfile::tempdir().expect("a temporary folder");
        run(&rocks(folder.path()), &steps);
    }
}

/// More rows than one chunk of a scan holds, so that the seams show.
#[test]
fn long_scans_have_no_seams() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for engine in [Box::new(MemEngine::new()) as Box<dyn Engine>, Box::new(rocks(folder.path()))] {
        let mut rows = WriteBatch::new();
        let mut model = Model::new();
        for number in 0..1000_u32 {
            rows.put(Family::Items, number.to_be_bytes().to_vec(), "v");
            model.insert((Family::Items, number.to_be_bytes().to_vec()), b"v".to_vec());
        }
        engine.write(rows).expect("written");
        for (start, end) in [(0, 1000), (0, 128), (1, 257), (999, 1000), (0, 0)] {
            let (start, end) = (u32::to_be_bytes(start), u32::to_be_bytes(end));
            check(&*engine, &model, Family::Items, &start, Some(&end), usize::MAX);
        }
        // A visitor may write, and does not see it.
        let mut seen = 0;
        let mut visit = |key: &[u8], _: &[u8]| {
            seen += 1;
            let mut more = WriteBatch::new();
            more.put(Family::Items, [key, b"+"].concat(), "later");
            engine.write(more).expect("written");
            ControlFlow::Continue(())
        };
        engine.scan(Family::Items, b"", None, false, &mut visit).expect("scanned");
        assert_eq!(seen, 1000);
    }
}

#[test]
fn rocksdb_finds_its_rows_again() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut rows = WriteBatch::new();
    for family in Family::ALL {
        rows.put(family, "k", family.name());
    }
    rocks(folder.path()).write(rows).expect("written");
    let engine = rocks(folder.path());
    for family in Family::ALL {
        assert_eq!(engine.get(family, b"k").expect("read").as_deref(), Some(family.name().as_bytes()));
    }
    assert!(engine.stats().disk_bytes > 0);
    assert_eq!(engine.stats().background_errors, 0);
}

#[test]
fn a_snapshot_outlives_its_engine() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for engine in [Box::new(MemEngine::new()) as Box<dyn Engine>, Box::new(rocks(folder.path()))] {
        let mut rows = WriteBatch::new();
        rows.put(Family::Items, "k", "v");
        engine.write(rows).expect("written");
        let snapshot = engine.snapshot();
        drop(engine);
        assert_eq!(snapshot.get(Family::Items, b"k").expect("read").as_deref(), Some(&b"v"[..]));
    }
}

/// Deleting a range and reclaiming it makes the folder small again, and leaves the neighbours alone.
#[test]
fn reclaim_shrinks_the_folder_and_spares_the_neighbours() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let settings = RocksSettings {
        memtable_bytes: 256 << 10,
        table_bytes: 256 << 10,
        level_base_bytes: 1 << 20,
        wal_bytes_max: 1 << 20,
        ..RocksSettings::default()
    };
    let engine =
        RocksEngine::open(folder.path(), &settings, &RocksShared::new(8 << 20, 4 << 20)).expect("opened");
    let filler = |number: u32| -> Vec<u8> {
        (0..4000_u32).map(|at| (at.wrapping_mul(number ^ 0x9e37) >> 7) as u8).collect()
    };
    for number in 0..2000_u32 {
        let mut row = WriteBatch::new();
        row.put(Family::Items, [&[1][..], &number.to_be_bytes()].concat(), filler(number));
        row.put(Family::Items, [&[2][..], &number.to_be_bytes()].concat(), "neighbour");
        engine.write(row).expect("written");
    }
    let mut drop_table = WriteBatch::new();
    drop_table.delete_range(Family::Items, vec![1], prefix_end(&[1]).expect("an end"));
    engine.write(drop_table).expect("written");
    engine.sync().expect("synced");
    let before = engine.stats().disk_bytes;
    engine.reclaim(Family::Items, &[1], &[2]).expect("reclaimed");
    let after = engine.stats().disk_bytes;
    assert!(after * 2 < before, "{before} bytes became {after}");
    assert_eq!(scan(&engine, Family::Items, &[1], Some(&[2]), false, usize::MAX), Vec::<Row>::new());
    assert_eq!(scan(&engine, Family::Items, &[2], None, false, usize::MAX).len(), 2000);
}

/// A thousand rows overwritten again and again must not pile up.
#[test]
fn overwritten_rows_do_not_pile_up() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let settings = RocksSettings {
        memtable_bytes: 512 << 10,
        table_bytes: 512 << 10,
        level_base_bytes: 2 << 20,
        wal_bytes_max: 2 << 20,
        ..RocksSettings::default()
    };
    let engine =
        RocksEngine::open(folder.path(), &settings, &RocksShared::new(8 << 20, 4 << 20)).expect("opened");
    let mut state = 1_u64;
    let mut most = 0;
    for round in 0..60_u32 {
        for key in 0..1000_u32 {
            let mut row = WriteBatch::new();
            let value: Vec<u8> = std::iter::repeat_with(|| {
                state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                (state >> 56) as u8
            })
            .take(1000)
            .collect();
            row.put(Family::Items, key.to_be_bytes().to_vec(), value);
            engine.write(row).expect("written");
        }
        if round > 10 {
            most = most.max(engine.stats().disk_bytes);
        }
    }
    // 60 MB were written, 1 MB lives: what is allowed is a few levels, the WAL and files about to be deleted.
    assert!(most < 16 << 20, "{most} bytes");
}

/// A flipped bit in a table file is reported by whoever reads it, and never served.
#[test]
fn a_damaged_table_file_is_reported() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let settings = RocksSettings { memtable_bytes: 64 << 10, ..RocksSettings::default() };
    let open = || RocksEngine::open(folder.path(), &settings, &RocksShared::new(1 << 20, 1 << 20));
    let engine = open().expect("opened");
    for number in 0..2000_u32 {
        let mut row = WriteBatch::new();
        row.put(Family::Items, number.to_be_bytes().to_vec(), vec![number as u8; 300]);
        engine.write(row).expect("written");
    }
    drop(engine);
    let files = std::fs::read_dir(folder.path()).expect("a folder").flatten();
    let tables = files.filter(|file| file.path().extension().is_some_and(|end| end == "sst"));
    let mut damaged = 0;
    for table in tables {
        let mut bytes = std::fs::read(table.path()).expect("read");
        // In the first block, which holds rows.
        bytes[100] ^= 4;
        std::fs::write(table.path(), bytes).expect("written");
        damaged += 1;
    }
    assert!(damaged > 0, "the rows reached table files");
    let scanned = open().and_then(|engine| {
        engine.scan(Family::Items, b"", None, false, &mut |key, value| {
            assert_eq!(value, [key[3]; 300], "no damaged row is served");
            ControlFlow::Continue(())
        })
    });
    assert!(scanned.as_ref().is_err_and(StorageError::is_corrupt), "{scanned:?}");
}
