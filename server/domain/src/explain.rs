//! Readable forms of stored keys, stored values and commands, for logs, error messages, golden tests and the dump
//! tool. Nothing parses them back. Never fails: what cannot be decoded is shown in hexadecimal, with the reason.

use std::fmt::Write;

use trilith_values::KeyValue;

use crate::catalog::{ClusterRecord, Counters, NodeRecord, ShardRecord, TableRecord};
use crate::codec::{self, Damage};
use crate::item::{ItemKey, StoredItem};
use crate::keyspace::{Family, Key};
use crate::machine::ledger::{AgingRow, LedgerRow, TokenRow};
use crate::machine::{Command, CommandBody, IntentRow, MachineRow, Outbox, OwedRow, PoisonRow, PreparedRow};
use crate::node_key::NodeKey;
use crate::schema::Span;
use crate::time::Stamp;

/// A key with its family, such as `items/table 7/0000000000000001/"a"/12`.
pub fn key(family: Family, bytes: &[u8]) -> String {
    let shown = match Key::decode(family, bytes) {
        Ok(Key::Item(table, key)) => format!("table {table}/{}", item_key(&key)),
        Ok(Key::LocalIndex { table, key, index, sort }) => {
            format!("table {table}/index {index}/{}/{}", key_value(&sort), item_key(&key))
        }
        Ok(Key::Collection { table, hash, partition }) => {
            format!("table {table}/collection {hash:016x}/{}", key_value(&partition))
        }
        Ok(Key::GlobalIndex { index, hash, values }) => {
            let values: Vec<String> = values.iter().map(key_value).collect();
            format!("index {index}/{hash:016x}/{}", values.join("/"))
        }
        Ok(Key::Owed(shard, stamp)) => format!("shard {shard}/owed at {}", stamp.0),
        Ok(Key::Outbox(shard)) => format!("shard {shard}/outbox"),
        Ok(Key::Applied(shard)) => format!("shard {shard}/applied"),
        Ok(Key::Machine(shard)) => format!("shard {shard}/machine"),
        Ok(Key::Span(shard, table)) => format!("shard {shard}/span of table {table}"),
        Ok(Key::Poison { shard, index, n }) => format!("shard {shard}/poison {index}.{n}"),
        Ok(Key::Intent(table, key)) => format!("table {table}/{}", item_key(&key)),
        Ok(Key::LastRemoval(shard)) => format!("shard {shard}/last removal"),
        Ok(Key::Prepared(shard, transaction)) => format!("shard {shard}/prepared {transaction}"),
        Ok(Key::Ledger(shard, transaction)) => format!("shard {shard}/ledger {transaction}"),
        Ok(Key::Token { shard, account, token }) => format!("shard {shard}/token {account:012}/{token:?}"),
        Ok(Key::Aging(shard, stamp)) => format!("shard {shard}/token aging since {stamp}"),
        Ok(Key::Cluster) => "catalog/cluster".to_owned(),
        Ok(Key::Counters) => "catalog/counters".to_owned(),
        Ok(Key::Table(table)) => format!("catalog/table {table}"),
        Ok(Key::TableName(account, name)) => format!("catalog/name {account:012}/{name:?}"),
        Ok(Key::Node(node)) => format!("catalog/node {node}"),
        Ok(Key::Shard(shard)) => format!("catalog/shard {shard}"),
        Ok(Key::Join(token)) => format!("catalog/join {token:032x}"),
        Err(error) => match NodeKey::decode(bytes) {
            Some(key) if family == Family::Meta => format!("node/{key:?}"),
            Some(_) | None => format!("{} ({error})", hex(bytes)),
        },
    };
    format!("{}/{shown}", family.name())
}

/// An item's key, such as `0000000000000001/"a"/12`.
pub fn item_key(key: &ItemKey) -> String {
    let mut shown = format!("{:016x}/{}", key.hash, key_value(&key.partition));
    if let Some(sort) = &key.sort {
        let _ = write!(shown, "/{}", key_value(sort));
    }
    shown
}

fn key_value(value: &KeyValue) -> String {
    match value {
        KeyValue::S(text) => format!("{text:?}"),
        KeyValue::N(number) => number.to_string(),
        KeyValue::B(bytes) => format!("x{}", hex(bytes)),
    }
}

/// A stored value, by what its key says it is.
pub fn value(family: Family, key: &[u8], sealed: &[u8]) -> String {
    let shown = match Key::decode(family, key) {
        Ok(Key::Item(..) | Key::LocalIndex { .. } | Key::GlobalIndex { .. }) => item(sealed),
        Ok(Key::Collection { .. }) => row::<u64>(sealed),
        Ok(Key::Owed(..)) => row::<Vec<OwedRow>>(sealed),
        Ok(Key::Outbox(_)) => row::<Outbox>(sealed),
        Ok(Key::Machine(_)) => row::<MachineRow>(sealed),
        Ok(Key::Span(..)) => row::<Span>(sealed),
        Ok(Key::Poison { .. }) => row::<PoisonRow>(sealed),
        Ok(Key::Intent(..)) => row::<IntentRow>(sealed),
        Ok(Key::LastRemoval(_)) => row::<Stamp>(sealed),
        Ok(Key::Prepared(..)) => row::<PreparedRow>(sealed),
        Ok(Key::Ledger(..)) => row::<LedgerRow>(sealed),
        Ok(Key::Token { .. }) => row::<TokenRow>(sealed),
        Ok(Key::Aging(..)) => row::<AgingRow>(sealed),
        Ok(Key::Cluster) => row::<ClusterRecord>(sealed),
        Ok(Key::Counters) => row::<Counters>(sealed),
        Ok(Key::Table(_)) => row::<TableRecord>(sealed),
        Ok(Key::TableName(..)) => row::<trilith_values::TableId>(sealed),
        Ok(Key::Node(_)) => row::<NodeRecord>(sealed),
        Ok(Key::Shard(_)) => row::<ShardRecord>(sealed),
        Ok(Key::Join(_)) => row::<trilith_values::NodeId>(sealed),
        // Consensus' own rows, which it explains itself.
        Ok(Key::Applied(_)) | Err(_) => Ok(hex(sealed)),
    };
    shown.unwrap_or_else(|damage| format!("{} ({damage})", hex(sealed)))
}

fn item(sealed: &[u8]) -> Result<String, Damage> {
    let stored = StoredItem::open(sealed)?;
    Ok(format!("{:?} {:?}", stored.header, stored.item()?))
}

fn row<T: borsh::BorshDeserialize + std::fmt::Debug>(sealed: &[u8]) -> Result<String, Damage> {
    Ok(format!("{:?}", codec::open_row::<T>(sealed)?))
}

/// One line about a command, without the content of items.
pub fn command(command: &Command) -> String {
    let what = match &command.body {
        CommandBody::Write(write) => self::write(write),
        CommandBody::TransactWrite(transaction) => {
            let writes: Vec<_> = transaction.writes.iter().map(self::write).collect();
            format!("transaction of {}", writes.join(", "))
        }
        CommandBody::Prepare(prepare) => {
            let writes: Vec<_> = prepare.writes.iter().map(self::write).collect();
            format!("prepare {} of {}", prepare.transaction, writes.join(", "))
        }
        CommandBody::Finish(finish) => {
            let end = if finish.commit { "commit" } else { "abort" };
            format!("{end} {} of {} items", finish.transaction, finish.keys.len())
        }
        CommandBody::Ledger { command, .. } => format!("ledger {command:?}"),
        CommandBody::SpanOpen { schema, interval } => {
            format!("open table {} {:016x}..={:016x}", schema.table, interval.first, interval.last)
        }
        CommandBody::SpanAlter { schema } => {
            format!("alter table {} to version {}", schema.table, schema.version)
        }
        CommandBody::SpanDrop { table } => format!("drop table {table}"),
        CommandBody::Catalog(catalog) => format!("catalog {}", catalog.name()),
        CommandBody::PlantedPanic => "planted panic".to_owned(),
        CommandBody::IndexApply(apply) => {
            format!("index {}: {} rows of shard {}", apply.index, apply.rows.len(), apply.source)
        }
        CommandBody::OutboxTrim(rows) => format!("trim {} rows of the outbox", rows.len()),
        CommandBody::Backfill(backfill) => format!(
            "backfill index {} of table {}: {} items",
            backfill.index,
            backfill.table,
            backfill.keys.len()
        ),
    };
    format!("{}: {what}", command.id)
}

fn write(write: &crate::machine::Write) -> String {
    format!(
        "{} table {}/{}{}",
        write.action.name(),
        write.table,
        item_key(&write.key),
        if write.condition.is_some() { " if" } else { "" }
    )
}

/// Bytes in hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use trilith_values::{CommandId, ShardId, TableId};

    use super::*;
    use crate::item::{ItemHeader, seal_item};
    use crate::testing;
    use crate::time::Stamp;

    #[test]
    fn keys_are_readable() {
        let shown = |of: Key| key(of.family(), &of.encode());
        let place = testing::key(&testing::schema(7, true), "a\"b", -5);
        let hash = format!("{:016x}", place.hash);
        assert_eq!(shown(Key::Item(TableId(7), place)), format!("items/table 7/{hash}/\"a\\\"b\"/-5"));
        assert_eq!(shown(Key::Span(ShardId(3), TableId(7))), "meta/shard 3/span of table 7");
        assert_eq!(
            shown(Key::TableName(42, "orders".to_owned())),
            "meta/catalog/name 000000000042/\"orders\""
        );
        assert_eq!(key(Family::Items, b"odd"), "items/6f6464 (malformed key: the encoded value is cut off)");
    }

    #[test]
    fn values_are_shown_by_what_their_key_says() {
        let schema = testing::schema(7, true);
        let place = testing::key(&schema, "a", 1);
        let item = place.attributes(&schema);
        let sealed = seal_item(&ItemHeader::local(Stamp(5), &item), &item);
        let row = Key::Item(TableId(7), place).encode();
        let shown = value(Family::Items, &row, &sealed);
        assert!(shown.contains("stamp: Stamp(5)") && shown.contains("\"pk\": S(\"a\")"), "{shown}");
        assert_eq!(
            value(Family::Items, &row, &sealed[..4]),
            format!("{} (the value is too short to hold its checksum)", hex(&sealed[..4]))
        );
        let name = Key::TableName(42, "t".to_owned());
        let shown = value(name.family(), &name.encode(), &codec::seal_row(&TableId(7)));
        assert_eq!(shown, "TableId(7)");
    }

    #[test]
    fn commands_are_one_line_without_content() {
        let schema = testing::schema(7, true);
        let place = testing::key(&schema, "a", 1);
        let hash = format!("{:016x}", place.hash);
        let write = crate::machine::Write {
            table: schema.table,
            schema: schema.version,
            action: crate::machine::Action::Put(testing::item(&[("secret", testing::s("content"))])),
            key: place,
            condition: Some(testing::condition("attribute_exists(pk)", &[])),
            returns: crate::machine::ReturnValues::None,
            old_on_failure: false,
        };
        let shown = |body| command(&Command { id: CommandId(1), body });
        let id = format!("{:032x}", 1);
        assert_eq!(shown(CommandBody::Write(write)), format!("{id}: put table 7/{hash}/\"a\"/1 if"));
        assert_eq!(shown(CommandBody::SpanDrop { table: TableId(7) }), format!("{id}: drop table 7"));
    }
}
