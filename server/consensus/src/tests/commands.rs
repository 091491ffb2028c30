//! Commands and plans in a few words: tables with one text key `k`, items with one text attribute `v`.

use trilith_domain::item::ItemKey;
use trilith_domain::machine::{Action, Command, CommandBody, ReturnValues, Write};
use trilith_domain::read::{GetPlan, Plan, ReadReply};
use trilith_domain::schema::{HashInterval, KeyAttribute, TableSchema};
use trilith_values::{AttributeValue, CommandId, Item, KeyType, KeyValue, SchemaVersion, TableId};

pub(super) fn schema(table: u64) -> TableSchema {
    TableSchema {
        table: TableId(table),
        version: SchemaVersion::FIRST,
        hash: KeyAttribute { name: "k".into(), kind: KeyType::S },
        range: None,
        seed: 90 + table,
        indexes: Vec::new(),
        index_of: None,
        vector: None,
    }
}

pub(super) fn key(table: u64, key: &str) -> ItemKey {
    ItemKey::new(schema(table).seed, KeyValue::S(key.into()), None)
}

pub(super) fn item(key: &str, value: &str) -> Item {
    Item::from([("k".into(), AttributeValue::from(key)), ("v".into(), AttributeValue::from(value))])
}

pub(super) fn open(table: u64) -> CommandBody {
    CommandBody::SpanOpen { schema: schema(table), interval: HashInterval::ALL }
}

fn write(table: u64, name: &str, action: Action) -> CommandBody {
    CommandBody::Write(Write {
        table: TableId(table),
        schema: SchemaVersion::FIRST,
        key: key(table, name),
        condition: None,
        action,
        returns: ReturnValues::AllOld,
        old_on_failure: false,
    })
}

/// Puts an item and answers the one before.
pub(super) fn put(table: u64, name: &str, value: &str) -> CommandBody {
    write(table, name, Action::Put(item(name, value)))
}

/// Deletes an item and answers it.
pub(super) fn delete(table: u64, name: &str) -> CommandBody {
    write(table, name, Action::Delete)
}

pub(super) fn command(id: u128, body: CommandBody) -> Command {
    Command { id: CommandId(id), body }
}

pub(super) fn get(table: u64, name: &str) -> Plan {
    Plan::Get(GetPlan {
        table: TableId(table),
        schema: SchemaVersion::FIRST,
        key: key(table, name),
        projection: None,
    })
}

/// The attribute `v` of what a get answered.
///
/// # Panics
/// When the shard did not answer with an item or its absence.
pub(super) fn value_of(reply: &ReadReply) -> Option<String> {
    match reply {
        ReadReply::Got { item, .. } => {
            item.as_ref().map(|item| item["v"].as_s().expect("v is a text").to_owned())
        }
        other => panic!("not an item: {other:?}"),
    }
}
