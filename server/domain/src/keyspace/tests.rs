use proptest::prelude::*;
use trilith_values::Number;

use super::*;
use crate::testing::Rows;

fn any_key_value() -> impl Strategy<Value = KeyValue> {
    prop_oneof![
        "[a-c\0]{0,4}".prop_map(KeyValue::S),
        (-300i64..300).prop_map(|value| KeyValue::N(Number::from_i64(value))),
        proptest::collection::vec(prop_oneof![Just(0u8), Just(1), Just(0xff)], 0..4).prop_map(KeyValue::B),
    ]
}

fn any_item_key() -> impl Strategy<Value = (TableId, ItemKey)> {
    let near = prop_oneof![Just(0u64), Just(1), Just(255), Just(256), Just(u64::MAX), any::<u64>()];
    let keys = (any_key_value(), proptest::option::of(any_key_value()));
    (near.clone(), near, keys)
        .prop_map(|(table, hash, (partition, sort))| (TableId(table), ItemKey { hash, partition, sort }))
}

fn any_key() -> impl Strategy<Value = Key> {
    let id = any::<u64>();
    let shard = (0..u32::MAX).prop_map(ShardId);
    prop_oneof![
        any_item_key().prop_map(|(table, key)| Key::Item(table, key)),
        (any_item_key(), 1..u64::MAX, any_key_value()).prop_map(|((table, key), index, sort)| {
            Key::LocalIndex { table, key, index: TableId(index), sort }
        }),
        any_item_key().prop_map(|(table, ItemKey { hash, partition, .. })| {
            Key::Collection { table, hash, partition }
        }),
        (id, id, proptest::collection::vec(any_key_value(), 1..5))
            .prop_map(|(index, hash, values)| Key::GlobalIndex { index: TableId(index), hash, values }),
        (shard.clone(), id).prop_map(|(shard, stamp)| Key::Owed(shard, Stamp(stamp))),
        shard.clone().prop_map(Key::Outbox),
        any_item_key().prop_map(|(table, key)| Key::Intent(table, key)),
        shard.clone().prop_map(Key::LastRemoval),
        (shard.clone(), any::<u128>()).prop_map(|(shard, id)| Key::Prepared(shard, TransactionId(id))),
        (shard.clone(), any::<u128>()).prop_map(|(shard, id)| Key::Ledger(shard, TransactionId(id))),
        (shard.clone(), id, "[a-z.]{0,6}").prop_map(|(shard, account, token)| Key::Token {
            shard,
            account,
            token
        }),
        (shard.clone(), id).prop_map(|(shard, stamp)| Key::Aging(shard, Stamp(stamp))),
        shard.clone().prop_map(Key::Applied),
        shard.clone().prop_map(Key::Machine),
        (shard.clone(), id).prop_map(|(shard, table)| Key::Span(shard, TableId(table))),
        (shard.clone(), id, any::<u32>()).prop_map(|(shard, index, n)| Key::Poison { shard, index, n }),
        Just(Key::Cluster),
        Just(Key::Counters),
        id.prop_map(|table| Key::Table(TableId(table))),
        (id, "[a-z.]{0,6}").prop_map(|(account, name)| Key::TableName(account, name)),
        id.prop_map(|node| Key::Node(NodeId(node))),
        shard.prop_map(Key::Shard),
        any::<u128>().prop_map(Key::Join),
    ]
}

/// The prefixes that a key falls under, whole: every list of keys that something scans.
fn prefixes_of(key: &Key) -> Vec<Prefix> {
    match key {
        Key::Item(table, key) | Key::Intent(table, key) | Key::LocalIndex { table, key, .. } => {
            vec![Prefix::Table(*table), Prefix::Partition(*table, key.hash, key.partition.clone())]
        }
        Key::Collection { table, hash, partition } => {
            vec![Prefix::Table(*table), Prefix::Partition(*table, *hash, partition.clone())]
        }
        Key::GlobalIndex { index, .. } => vec![Prefix::Table(*index)],
        Key::Owed(shard, _) | Key::Outbox(shard) => vec![Prefix::Shard(*shard)],
        Key::Prepared(shard, _) => vec![Prefix::Shard(*shard), Prefix::Prepared(*shard)],
        Key::Ledger(shard, _) => vec![Prefix::Shard(*shard), Prefix::Ledger(*shard)],
        Key::Aging(shard, _) => vec![Prefix::Shard(*shard), Prefix::Aging(*shard)],
        Key::Applied(shard) | Key::Machine(shard) | Key::LastRemoval(shard) | Key::Token { shard, .. } => {
            vec![Prefix::Shard(*shard)]
        }
        Key::Span(shard, _) => vec![Prefix::Shard(*shard), Prefix::Spans(*shard)],
        Key::Poison { shard, .. } => vec![Prefix::Shard(*shard), Prefix::Poisons(*shard)],
        Key::Cluster | Key::Counters => vec![Prefix::Shard(CATALOG_SHARD)],
        Key::Table(_) => vec![Prefix::Shard(CATALOG_SHARD), Prefix::Tables],
        Key::TableName(account, _) => vec![Prefix::TableNames(*account)],
        Key::Node(_) => vec![Prefix::Nodes],
        Key::Shard(_) => vec![Prefix::Shards],
        Key::Join(_) => vec![Prefix::Joins],
    }
}

#[test]
fn encodings_are_fixed() {
    let shown = |key: Key| crate::explain::hex(&key.encode());
    let sort = Some(KeyValue::N(Number::from_i64(12)));
    let key = ItemKey { hash: 0xabc, partition: KeyValue::S("a\0b".to_owned()), sort };
    assert_eq!(
        shown(Key::Item(TableId(7), key)),
        "00000000000000070000000000000abc106100ff62000122831 8".replace(' ', "")
    );
    assert_eq!(shown(Key::Applied(ShardId(3))), "0000000301");
    assert_eq!(shown(Key::Machine(ShardId(3))), "0000000302");
    assert_eq!(shown(Key::Span(ShardId(3), TableId(9))), "00000003030000000000000009");
    assert_eq!(
        shown(Key::Poison { shard: ShardId(3), index: 5, n: 6 }),
        "0000000304000000000000000500000006"
    );
    assert_eq!(shown(Key::Cluster), "0000000040");
    assert_eq!(shown(Key::Counters), "0000000041");
    assert_eq!(shown(Key::Table(TableId(9))), "00000000420000000000000009");
    assert_eq!(shown(Key::TableName(1, "ab".to_owned())), "000000004300000000000000016162");
    assert_eq!(shown(Key::Node(NodeId(2))), "00000000440000000000000002");
    assert_eq!(shown(Key::Shard(ShardId(2))), "000000004500000002");
    assert_eq!(shown(Key::Join(1)), format!("0000000046{:032x}", 1));
}

#[test]
fn names_of_families_are_fixed() {
    let names: Vec<&str> = Family::ALL.iter().map(|family| family.name()).collect();
    assert_eq!(names, ["items", "local_index", "global_index", "outbox", "expiry", "intents", "meta"]);
    let mut all = [&Family::OF_ITEMS[..], &Family::OF_SHARDS].concat();
    all.sort_unstable();
    assert_eq!(all, Family::ALL, "every family belongs to items or to shards");
}

#[test]
fn catalog_rows_stand_in_their_shard_alone() {
    let foreign = [&[0, 0, 0, 9, TABLE], &[0; 8][..]].concat();
    assert_eq!(Key::decode(Family::Meta, &foreign), Err(BadKey::Kind(TABLE)));
    assert_eq!(Key::decode(Family::Meta, &[0, 0, 0, 0, 0x3f]), Err(BadKey::Kind(0x3f)));
    assert_eq!(Key::decode(Family::Expiry, &[]), Err(BadKey::Family(Family::Expiry)));
}

#[test]
fn the_highest_ids_have_an_end_too() {
    let key = ItemKey { hash: u64::MAX, partition: KeyValue::B(vec![0xff; 20]), sort: None };
    let key = item_key(TableId(u64::MAX), &key);
    for prefix in [&key[..1], &key[..8], &key[..16]] {
        assert!(key[..] < prefix_end(prefix)[..]);
    }
    assert!(Prefix::Shard(NO_SHARD).range().1[..] > [0xff, 0xff, 0xff, 0xff, 0xfe][..]);
}

#[test]
fn rows_of_a_node_are_no_shards() {
    let row = crate::node_key::NodeKey::Installing(trilith_values::ReplicaId(7)).encode();
    assert_eq!(Key::decode(Family::Meta, &row), Err(BadKey::NoShard));
    let shown = crate::explain::key(Family::Meta, &row);
    assert_eq!(shown, "meta/node/Installing(ReplicaId(7))");
}

proptest! {
    #[test]
    fn keys_return(key in any_key()) {
        prop_assert_eq!(Key::decode(key.family(), &key.encode()), Ok(key));
    }

    #[test]
    fn no_bytes_panic_and_what_decodes_encodes(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
        for family in Family::ALL {
            if let Ok(key) = Key::decode(family, &bytes) {
                prop_assert_eq!(&key.encode()[..], &bytes[..]);
            }
        }
    }

    #[test]
    fn prefixes_are_prefixes_and_their_ranges_hold_them_alone(key in any_key(), other in any_key()) {
        let bytes = key.encode();
        for prefix in prefixes_of(&key) {
            prop_assert!(bytes.starts_with(&prefix.encode()), "{key:?} {prefix:?}");
            let (start, end) = prefix.range();
            prop_assert!(start[..] <= bytes[..] && bytes[..] < end[..]);
            if other.family() == key.family() {
                let other = other.encode();
                let inside = start[..] <= other[..] && other[..] < end[..];
                prop_assert_eq!(inside, other.starts_with(&start));
            }
        }
    }

    #[test]
    fn item_rows_are_in_the_order_of_their_keys(mut keys in proptest::collection::vec(any_item_key(), 2..12)) {
        let mut encoded: Vec<Bytes> = keys.iter().map(|(table, key)| item_key(*table, key)).collect();
        keys.sort_unstable();
        encoded.sort_unstable();
        let in_order: Vec<Bytes> = keys.iter().map(|(table, key)| item_key(*table, key)).collect();
        prop_assert_eq!(in_order, encoded);
    }

    /// A span is its ranges: copying them copies all of it and nothing else, and wiping them leaves no row behind.
    #[test]
    fn a_span_is_copied_and_wiped_by_ranges_alone(
        keys in proptest::collection::btree_set(any_item_key(), 1..30),
        table in 0u64..2,
        ends in prop_oneof![Just((0, u64::MAX)), (0u64..300, 0u64..300), any::<(u64, u64)>()],
    ) {
        let interval = HashInterval { first: ends.0.min(ends.1), last: ends.0.max(ends.1) };
        let inside = |of: TableId, key: &ItemKey| of == TableId(table) && interval.contains(key.hash);
        let mut rows = Rows::default();
        for (of, key) in &keys {
            for family in Family::OF_ITEMS {
                rows.0.insert((family, item_key(*of, key)), Bytes::from_static(b"row"));
            }
        }
        let mut copied = 0;
        for (family, start, end) in span_ranges(TableId(table), &interval) {
            for (key, _) in rows.range(family, &start, &end) {
                copied += 1;
                prop_assert!(rows.0.remove(&(family, key)).is_some());
            }
        }
        let of_span = keys.iter().filter(|(of, key)| inside(*of, key)).count();
        prop_assert_eq!(copied, of_span * Family::OF_ITEMS.len());
        prop_assert_eq!(rows.0.len(), (keys.len() - of_span) * Family::OF_ITEMS.len());
    }
}
