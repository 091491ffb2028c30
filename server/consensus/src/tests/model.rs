//! A plain model of a shard, and random entries for it.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use trilith_domain::Stamp;
use trilith_domain::item::StoredItem;
use trilith_domain::keyspace::Key;
use trilith_domain::machine::{Action, Batch, CommandBody, Reply, ReplyBody, Written};
use trilith_storage::engine::{EngineView, Family};
use trilith_values::size::item_size;
use trilith_values::{Item, KeyValue, TableId};

use super::commands::{command, delete, open, put};

/// Items in a map; it knows no rows, batches or logs.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Model {
    tables: BTreeSet<TableId>,
    pub(super) items: BTreeMap<(TableId, String), Item>,
    pub(super) poisoned: u64,
    last_stamp: u64,
}

impl Model {
    pub(super) fn apply(&mut self, batch: &Batch) -> Vec<Reply> {
        let leader = batch.leader_stamp.0;
        let mut replies = Vec::new();
        for command in &batch.commands {
            self.last_stamp = (self.last_stamp + 1).max(leader + 1);
            let body = self.apply_one(&command.body);
            replies.push(Reply { stamp: Stamp(self.last_stamp), body });
        }
        replies
    }

    fn apply_one(&mut self, body: &CommandBody) -> ReplyBody {
        match body {
            CommandBody::Write(write) => {
                let KeyValue::S(name) = &write.key.partition else { panic!("keys are texts") };
                if !self.tables.contains(&write.table) {
                    return ReplyBody::NotMine;
                }
                let place = (write.table, name.clone());
                let size = |item: Option<&Item>| item.map_or(0, |item| item_size(item) as u64);
                let old = match &write.action {
                    Action::Put(item) => self.items.insert(place.clone(), item.clone()),
                    Action::Delete => self.items.remove(&place),
                    Action::Update(_) | Action::Check => panic!("the entries have neither"),
                };
                let (old_size, new_size) = (size(old.as_ref()), size(self.items.get(&place)));
                ReplyBody::Written(Written { attributes: old, old_size, new_size })
            }
            CommandBody::SpanOpen { schema, .. } => {
                self.tables.insert(schema.table);
                ReplyBody::SpanDone
            }
            CommandBody::SpanDrop { table } => {
                self.tables.remove(table);
                self.items.retain(|(of, _), _| of != table);
                ReplyBody::SpanDone
            }
            CommandBody::PlantedPanic => {
                self.poisoned += 1;
                ReplyBody::Poisoned
            }
            CommandBody::SpanAlter { .. }
            | CommandBody::Catalog(_)
            | CommandBody::IndexApply(_)
            | CommandBody::OutboxTrim(_)
            | CommandBody::Backfill(_)
            | CommandBody::TransactWrite(_)
            | CommandBody::Prepare(_)
            | CommandBody::Finish(_)
            | CommandBody::Ledger { .. } => {
                panic!("the entries have none of these")
            }
        }
    }

    /// Items and bytes of a table; `None` where there is no such table.
    pub(super) fn count(&self, table: TableId) -> Option<(u64, u64)> {
        self.tables.contains(&table).then(|| {
            let items = self.items.iter().filter(|((of, _), _)| *of == table);
            items.fold((0, 0), |(count, bytes), (_, item)| (count + 1, bytes + item_size(item) as u64))
        })
    }
}

/// All items that lie in an engine.
pub(super) fn items_in(engine: &dyn EngineView) -> BTreeMap<(TableId, String), Item> {
    let mut items = BTreeMap::new();
    let read = engine.scan(Family::Items, &[], None, false, &mut |key, value| {
        let Ok(Key::Item(table, key)) = Key::decode(Family::Items, key) else { panic!("an item's key") };
        let KeyValue::S(name) = key.partition else { panic!("keys are texts") };
        let item = StoredItem::open(value).and_then(|stored| stored.item()).expect("intact");
        items.insert((table, name), item);
        std::ops::ControlFlow::Continue(())
    });
    read.expect("readable");
    items
}

fn any_body() -> impl Strategy<Value = CommandBody> {
    let name = "[a-d]";
    prop_oneof![
        12 => (1u64..3, name, "[xyz]{0,40}").prop_map(|(table, name, value)| put(table, &name, &value)),
        4 => (1u64..3, name).prop_map(|(table, name)| delete(table, &name)),
        2 => (1u64..3).prop_map(open),
        1 => Just(CommandBody::PlantedPanic),
    ]
}

/// The bodies of one entry: many commands, or one that stands alone.
pub(super) fn any_entry() -> impl Strategy<Value = Vec<CommandBody>> {
    prop_oneof![
        12 => proptest::collection::vec(any_body(), 1..20),
        1 => (1u64..3).prop_map(|table| vec![CommandBody::SpanDrop { table: TableId(table) }]),
    ]
}

/// An entry's batch; a leader's clock may stand behind that of the leader before.
pub(super) fn batch(at: u64, bodies: Vec<CommandBody>) -> Batch {
    let commands = (0..).zip(bodies).map(|(n, body)| command(u128::from(at) * 1_000 + n, body)).collect();
    Batch { leader_stamp: Stamp(1_000 + (at * 7_919) % 500), commands }
}
