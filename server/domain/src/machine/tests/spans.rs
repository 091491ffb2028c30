//! What a shard owns.

use super::*;

#[test]
fn a_write_needs_the_span_and_its_version() {
    let mut shard = Shard::empty(1);
    let schema = table();
    assert_eq!(shard.write(put("a", 1, &[])), ReplyBody::NotMine);
    let hash = key(&schema, "a", 1).hash;
    let interval = HashInterval { first: hash, last: hash };
    shard.apply(vec![CommandBody::SpanOpen { schema: schema.clone(), interval }]);
    assert_eq!(shard.write(put("b", 1, &[])), ReplyBody::NotMine, "another hash");
    assert!(matches!(shard.write(put("a", 1, &[])), ReplyBody::Written(_)));
    let newer = TableSchema { version: SchemaVersion(3), ..schema };
    assert_eq!(shard.apply(vec![CommandBody::SpanAlter { schema: newer }]), [ReplyBody::SpanDone]);
    let mismatch = ReplyBody::SchemaMismatch { current: SchemaVersion(3) };
    assert_eq!(shard.write(put("a", 1, &[])), mismatch);
    let ahead = Write { schema: SchemaVersion(4), ..put("a", 1, &[]) };
    assert_eq!(shard.write(ahead), mismatch);
    assert!(matches!(
        shard.write(Write { schema: SchemaVersion(3), ..put("a", 1, &[]) }),
        ReplyBody::Written(_)
    ));
}

#[test]
fn span_commands_are_idempotent() {
    let mut shard = Shard::with_table();
    shard.write(put("a", 1, &[]));
    let (hash, counters) = (shard.state.hash(), shard.counters());
    let open = |schema, interval| CommandBody::SpanOpen { schema, interval };
    let again =
        shard.apply(vec![open(table(), HashInterval::ALL), CommandBody::SpanAlter { schema: table() }]);
    assert_eq!(again, [ReplyBody::SpanDone, ReplyBody::SpanDone]);
    assert_eq!((shard.state.hash(), shard.counters()), (hash, counters));
    let half = shard.apply(vec![open(table(), HashInterval::part(0, 2))]);
    assert!(matches!(half[0], ReplyBody::Invalid(_)), "another interval");
    let backwards = open(schema(9, false), HashInterval { first: 2, last: 1 });
    assert!(matches!(shard.apply(vec![backwards])[0], ReplyBody::Invalid(_)));
    let unknown = CommandBody::SpanAlter { schema: schema(9, false) };
    assert_eq!(shard.apply(vec![unknown]), [ReplyBody::NotMine]);
    let newer = TableSchema { version: SchemaVersion(2), ..table() };
    shard.apply(vec![open(newer, HashInterval::ALL)]);
    assert_eq!(shard.state.spans()[&TableId(7)].schema.version, SchemaVersion(2));
    assert_eq!(shard.counters(), counters, "an open span keeps its rows");
}

#[test]
fn a_dropped_span_leaves_no_row_and_its_neighbours_stay() {
    let mut shard = Shard::with_table();
    let other = schema(8, true);
    let open = CommandBody::SpanOpen { schema: other.clone(), interval: HashInterval::ALL };
    shard.apply(vec![open]);
    let bystander = Write {
        table: other.table,
        key: key(&other, "a", 1),
        action: Action::Put(key(&other, "a", 1).attributes(&other)),
        ..put("a", 1, &[])
    };
    shard.write(bystander);
    shard.write(put("a", 1, &[]));
    let drop = || CommandBody::SpanDrop { table: table().table };
    assert!(drop().stands_alone());
    assert_eq!(shard.apply(vec![drop()]), [ReplyBody::SpanDone]);
    let items = shard.rows.0.keys().filter(|(family, _)| *family == Family::Items).count();
    assert_eq!(items, 1, "the bystander's");
    assert_eq!(shard.state.spans().keys().collect::<Vec<_>>(), [&other.table]);
    assert_eq!(shard.write(put("a", 1, &[])), ReplyBody::NotMine);
    let hash = shard.state.hash();
    assert_eq!(shard.apply(vec![drop()]), [ReplyBody::SpanDone], "again");
    assert_eq!(shard.state.hash(), hash);
}

#[test]
fn writes_around_a_drop_in_one_entry_come_out_in_order() {
    let mut shard = Shard::with_table();
    shard.write(put("a", 1, &[]));
    let count = Action::Update(update("ADD c :one", &[(":one", n(1))]));
    let replies = shard.apply(vec![
        CommandBody::Write(put("a", 2, &[])),
        CommandBody::SpanDrop { table: table().table },
        CommandBody::Write(put("a", 3, &[])),
        CommandBody::SpanOpen { schema: table(), interval: HashInterval::ALL },
        CommandBody::Write(write("a", 1, count)),
    ]);
    assert_eq!(replies[2], ReplyBody::NotMine);
    let size = 7 + 3;
    let created = Written { attributes: None, old_size: 0, new_size: size };
    assert_eq!(replies[4], ReplyBody::Written(created));
    assert_eq!(shard.counters(), (1, size));
    assert_eq!((shard.item("a", 2), shard.item("a", 3)), (None, None));
}
