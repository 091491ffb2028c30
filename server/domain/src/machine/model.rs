//! The machine against a model: random entries, and a map of items that does what the service's rules say.
//!
//! The model shares the expressions' evaluators with the machine (they have their own tests) and nothing else: it
//! stores trees, counts by walking, and knows no rows.

use std::collections::BTreeMap;

use proptest::prelude::*;
use trilith_values::size::item_size;
use trilith_values::{CommandId, Item, SchemaVersion, ShardId, TableId};

use super::*;
use crate::expr::{Condition, Update, updated_view};
use crate::item::{ItemKey, StoredItem};
use crate::keyspace::{Family, Key};
use crate::schema::{HashInterval, TableSchema};
use crate::testing::{Rows, any_attributes, condition, key, n, s, schema, update};
use crate::time::Stamp;

#[derive(Clone, Debug, Default)]
struct Model {
    spans: BTreeMap<TableId, (TableSchema, HashInterval)>,
    items: BTreeMap<(TableId, ItemKey), Item>,
}

impl Model {
    fn apply(&mut self, body: &CommandBody) -> ReplyBody {
        match body {
            CommandBody::Write(write) => self.write(write),
            CommandBody::SpanOpen { schema, interval } => match self.spans.get(&schema.table) {
                Some((_, other)) if other != interval => ReplyBody::Invalid(String::new()),
                _ => {
                    let known = self.spans.entry(schema.table).or_insert((schema.clone(), *interval));
                    if known.0.version < schema.version {
                        known.0 = schema.clone();
                    }
                    ReplyBody::SpanDone
                }
            },
            CommandBody::SpanAlter { schema } => match self.spans.get_mut(&schema.table) {
                Some((known, _)) => {
                    if known.version < schema.version {
                        *known = schema.clone();
                    }
                    ReplyBody::SpanDone
                }
                None => ReplyBody::NotMine,
            },
            CommandBody::SpanDrop { table } => {
                if let Some((_, interval)) = self.spans.remove(table) {
                    self.items.retain(|(of, key), _| of != table || !interval.contains(key.hash));
                }
                ReplyBody::SpanDone
            }
            CommandBody::Catalog(_) => ReplyBody::NotMine,
            CommandBody::PlantedPanic => ReplyBody::Poisoned,
            CommandBody::IndexApply(_) | CommandBody::OutboxTrim(_) | CommandBody::Backfill(_) => {
                unreachable!("indexes have a model of their own")
            }
            CommandBody::TransactWrite(transaction) => self.write_all(&transaction.writes),
            CommandBody::Prepare(_) | CommandBody::Finish(_) | CommandBody::Ledger { .. } => {
                panic!("these have a test of their own")
            }
        }
    }

    /// All writes on a copy, which becomes the model if all of them happened.
    fn write_all(&mut self, writes: &[Write]) -> ReplyBody {
        let mut after = self.clone();
        let replies: Vec<ReplyBody> = writes.iter().map(|write| after.write(write)).collect();
        let elsewhere =
            |reply: &&ReplyBody| matches!(reply, ReplyBody::NotMine | ReplyBody::SchemaMismatch { .. });
        if let Some(elsewhere) = replies.iter().find(elsewhere) {
            return elsewhere.clone();
        }
        let verdicts = replies.into_iter().map(|reply| match reply {
            ReplyBody::Written(written) => {
                PartVerdict::Fine(Box::new(WrittenIndexed { written, ..WrittenIndexed::default() }))
            }
            ReplyBody::ConditionFailed { item, .. } => PartVerdict::ConditionFailed { item },
            ReplyBody::Invalid(text) => PartVerdict::Invalid(text),
            other => panic!("not the reply to a write: {other:?}"),
        });
        let verdicts: Vec<PartVerdict> = verdicts.collect();
        let fine = |verdict: &PartVerdict| match verdict {
            PartVerdict::Fine(written) => Some(WrittenIndexed::clone(written)),
            PartVerdict::ConditionFailed { .. }
            | PartVerdict::Invalid(_)
            | PartVerdict::Conflict
            | PartVerdict::CollectionFull => None,
        };
        match verdicts.iter().map(fine).collect::<Option<Vec<_>>>() {
            Some(written) => {
                *self = after;
                ReplyBody::TransactWritten(written)
            }
            None => ReplyBody::Cancelled(verdicts),
        }
    }

    fn write(&mut self, write: &Write) -> ReplyBody {
        let Some((schema, interval)) = self.spans.get(&write.table) else {
            return ReplyBody::NotMine;
        };
        if !interval.contains(write.key.hash) {
            return ReplyBody::NotMine;
        }
        if schema.version != write.schema {
            return ReplyBody::SchemaMismatch { current: schema.version };
        }
        let place = (write.table, write.key.clone());
        let old = self.items.get(&place).cloned();
        let size = |item: Option<&Item>| item.map_or(0, |item| item_size(item) as u64);
        if let Some(condition) = &write.condition
            && !condition.evaluate(&old.clone().unwrap_or_default())
        {
            let new_size = match &write.action {
                Action::Put(item) => size(Some(item)),
                Action::Delete | Action::Update(_) | Action::Check => 0,
            };
            let item = if write.old_on_failure { old.clone() } else { None };
            return ReplyBody::ConditionFailed { item, old_size: size(old.as_ref()), new_size };
        }
        let mut touched = Vec::new();
        let new = match &write.action {
            Action::Put(item) => Some(item.clone()),
            Action::Delete => None,
            Action::Check => old.clone(),
            Action::Update(update) => {
                let mut item = old.clone().unwrap_or_else(|| write.key.attributes(schema));
                let done = match &old {
                    Some(_) => update.apply(&mut item),
                    None => update.apply_to_new(&mut item),
                };
                match done {
                    Ok(paths) => touched = paths,
                    Err(error) => return ReplyBody::Invalid(error.to_string()),
                }
                (old.is_some() || !update.only_removes()).then_some(item)
            }
        };
        let part = |item: &Option<Item>| {
            let view = updated_view(item.as_ref()?, &touched);
            (!view.is_empty()).then_some(view)
        };
        let attributes = match write.returns {
            ReturnValues::None => None,
            ReturnValues::AllOld => old.clone(),
            ReturnValues::AllNew => new.clone(),
            ReturnValues::UpdatedOld => part(&old),
            ReturnValues::UpdatedNew => part(&new),
        };
        let (old_size, new_size) = (size(old.as_ref()), size(new.as_ref()));
        match new {
            Some(item) => drop(self.items.insert(place, item)),
            None => drop(self.items.remove(&place)),
        }
        ReplyBody::Written(Written { attributes, old_size, new_size })
    }

    fn counters(&self, table: TableId) -> (u64, u64) {
        let items = self.items.iter().filter(|((of, _), _)| *of == table);
        items.fold((0, 0), |(items, bytes), (_, item)| (items + 1, bytes + item_size(item) as u64))
    }
}

/// Table 1 has a partition key alone, table 2 a sort key too; both have a span of half the hashes or all.
fn any_schema() -> impl Strategy<Value = TableSchema> {
    (1u64..3, 1u64..3).prop_map(|(table, version)| TableSchema {
        version: SchemaVersion(version),
        ..schema(table, table == 2)
    })
}

fn any_interval() -> impl Strategy<Value = HashInterval> {
    prop_oneof![4 => Just(HashInterval::ALL), 1 => Just(HashInterval::part(0, 2))]
}

fn any_condition() -> impl Strategy<Value = Option<Condition>> {
    let attributes = prop_oneof![Just("v"), Just("w")];
    prop_oneof![
        3 => Just(None),
        1 => Just(Some(condition("attribute_exists(pk)", &[]))),
        1 => Just(Some(condition("attribute_not_exists(pk)", &[]))),
        1 => (attributes, -5i64..100).prop_map(|(name, value)| {
            Some(condition(&format!("{name} < :v OR NOT attribute_exists(w)"), &[(":v", n(value))]))
        }),
    ]
}

fn any_update() -> impl Strategy<Value = Update> {
    let text = prop_oneof![
        Just("SET v = :v"),
        Just("SET v = if_not_exists(v, :v), w = :v"),
        Just("SET v = v + :v"),
        Just("ADD w :v"),
        Just("SET x.a = :v"),
        Just("SET y[1] = :v REMOVE w"),
    ];
    prop_oneof![
        (text, -5i64..100).prop_map(|(text, value)| update(text, &[(":v", n(value))])),
        Just(update("REMOVE v, z", &[])),
        Just(update("SET v = :v", &[(":v", s("text"))])),
    ]
}

fn any_action(schema: TableSchema, key: ItemKey) -> impl Strategy<Value = Action> {
    prop_oneof![
        3 => any_attributes().prop_map(move |attributes| {
            let mut item = key.attributes(&schema);
            item.extend(attributes);
            Action::Put(item)
        }),
        1 => Just(Action::Delete),
        3 => any_update().prop_map(Action::Update),
    ]
}

fn any_write() -> impl Strategy<Value = CommandBody> {
    let returns = prop_oneof![
        Just(ReturnValues::None),
        Just(ReturnValues::AllOld),
        Just(ReturnValues::AllNew),
        Just(ReturnValues::UpdatedOld),
        Just(ReturnValues::UpdatedNew),
    ];
    let version = prop_oneof![12 => Just(1u64), 1 => Just(2u64)];
    (1u64..3, "[ab]", 0i64..3, version)
        .prop_flat_map(|(table, partition, sort, version)| {
            let schema = schema(table, table == 2);
            let key = key(&schema, &partition, sort);
            (any_action(schema, key.clone()), Just((TableId(table), SchemaVersion(version), key)))
        })
        .prop_flat_map(move |(action, place)| {
            (Just(action), Just(place), any_condition(), returns.clone(), any::<bool>())
        })
        .prop_map(|(action, (table, schema, key), condition, returns, old_on_failure)| {
            let write = Write { table, schema, key, condition, action, returns, old_on_failure };
            CommandBody::Write(write)
        })
}

/// Writes of distinct items, some of which only check.
fn any_transaction() -> impl Strategy<Value = CommandBody> {
    let part = (any_write(), prop::bool::weighted(0.2)).prop_map(|(body, checks)| match body {
        CommandBody::Write(write) if checks => {
            Write { action: Action::Check, returns: ReturnValues::None, ..write }
        }
        CommandBody::Write(write) => Write { returns: ReturnValues::None, ..write },
        other => panic!("not a write: {other:?}"),
    });
    proptest::collection::vec(part, 1..5).prop_map(|parts| {
        let distinct: BTreeMap<_, _> =
            parts.into_iter().map(|write| ((write.table, write.key.clone()), write)).collect();
        CommandBody::TransactWrite(TransactWrite {
            writes: distinct.into_values().collect(),
            token: None,
            shard: ShardId(1),
        })
    })
}

fn any_body() -> impl Strategy<Value = CommandBody> {
    prop_oneof![
        40 => any_write(),
        10 => any_transaction(),
        2 => (any_schema(), any_interval())
            .prop_map(|(schema, interval)| CommandBody::SpanOpen { schema, interval }),
        1 => any_schema().prop_map(|schema| CommandBody::SpanAlter { schema }),
        1 => (1u64..3).prop_map(|table| CommandBody::SpanDrop { table: TableId(table) }),
        1 => Just(CommandBody::PlantedPanic),
    ]
}

/// Both tables are there from the start, so that most writes find their span.
fn any_commands() -> impl Strategy<Value = Vec<Command>> {
    proptest::collection::vec(any_body(), 1..40).prop_map(|bodies| {
        let open = [1, 2].map(|table| CommandBody::SpanOpen {
            schema: schema(table, table == 2),
            interval: HashInterval::ALL,
        });
        let bodies = open.into_iter().chain(bodies).enumerate();
        bodies.map(|(i, body)| Command { id: CommandId(i as u128), body }).collect()
    })
}

/// Cuts commands into entries after each place where `cuts` says so.
fn cut(commands: &[Command], cuts: &[bool]) -> Vec<Batch> {
    let mut batches = vec![Vec::new()];
    for (i, command) in commands.iter().enumerate() {
        let last = batches.last_mut().expect("never empty");
        last.push(command.clone());
        if cuts[i % cuts.len()] && i + 1 < commands.len() {
            batches.push(Vec::new());
        }
    }
    batches.into_iter().map(|commands| Batch { leader_stamp: Stamp(1_000), commands }).collect()
}

/// Applies entries, `group` at a time in one set of effects.
fn run(batches: &[Batch], group: usize) -> (ShardState, Rows, Vec<Reply>) {
    let mut state = ShardState::new(ShardId(1));
    let mut rows = Rows::default();
    let mut replies = Vec::new();
    let entries: Vec<(u64, &Batch)> = (1..).zip(batches).collect();
    for group in entries.chunks(group) {
        let batches: Vec<&Batch> = group.iter().map(|(_, batch)| *batch).collect();
        let applied = apply_entries(&mut state, rows.fetch(&batches), group);
        let (answers, effects) = applied.expect("nothing is damaged");
        rows.write(effects);
        replies.extend(answers.into_iter().flatten());
    }
    (state, rows, replies)
}

/// All rows but the records of panics, whose keys name the place in the log.
fn without_poison(rows: &Rows) -> Rows {
    let poison = |family: &Family, key: &[u8]| matches!(Key::decode(*family, key), Ok(Key::Poison { .. }));
    let mut rows = rows.clone();
    rows.0.retain(|(family, key), _| !poison(family, key));
    rows
}

fn items_of(rows: &Rows) -> BTreeMap<(TableId, ItemKey), Item> {
    let items = rows.0.iter().filter(|((family, _), _)| *family == Family::Items);
    items
        .map(|((family, key), sealed)| match Key::decode(*family, key) {
            Ok(Key::Item(table, key)) => {
                let stored = StoredItem::open(sealed).expect("intact");
                let item = stored.item().expect("decodes");
                assert_eq!(stored.size(), item_size(&item) as u64);
                ((table, key), item)
            }
            other => panic!("not an item's key: {other:?}"),
        })
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn the_machine_does_what_the_model_does(
        commands in any_commands(),
        cuts in proptest::collection::vec(any::<bool>(), 1..8),
    ) {
        let (state, rows, replies) = run(&cut(&commands, &cuts), 1);
        let mut model = Model::default();
        for (command, reply) in commands.iter().zip(&replies) {
            match (model.apply(&command.body), &reply.body) {
                // The model does not word refusals of spans.
                (ReplyBody::Invalid(text), ReplyBody::Invalid(_)) if text.is_empty() => {}
                (expected, body) => prop_assert_eq!(&expected, body, "{:?}", command),
            }
        }
        prop_assert_eq!(replies.len(), commands.len());
        prop_assert!(replies.is_sorted_by(|a, b| a.stamp < b.stamp));
        prop_assert_eq!(items_of(&rows), model.items.clone());
        for (table, span) in state.spans() {
            prop_assert_eq!((span.items, span.bytes), model.counters(*table));
        }
        prop_assert_eq!(state.spans().len(), model.spans.len());
        prop_assert_eq!(ShardState::load(ShardId(1), &rows), Ok(state));
    }

    /// How commands were grouped into entries, and entries into writes, leaves no trace.
    #[test]
    fn replicas_agree_however_the_log_is_cut(
        commands in any_commands(),
        cuts in proptest::collection::vec(any::<bool>(), 1..8),
        other_cuts in proptest::collection::vec(any::<bool>(), 1..8),
        group in 1usize..5,
    ) {
        let (state, rows, replies) = run(&cut(&commands, &cuts), 1);
        let (other, other_rows, other_replies) = run(&cut(&commands, &other_cuts), group);
        prop_assert_eq!(&state, &other);
        prop_assert_eq!(replies, other_replies);
        prop_assert_eq!(without_poison(&rows), without_poison(&other_rows));
    }

    /// The hash notices any command that changed something and was left out.
    #[test]
    fn the_hash_tells_different_histories_apart(commands in any_commands(), at in any::<prop::sample::Index>()) {
        let at = at.index(commands.len());
        let (state, _, replies) = run(&cut(&commands, &[true]), 1);
        let mut fewer = commands.clone();
        fewer.remove(at);
        let (other, _, _) = run(&cut(&fewer, &[true]), 1);
        let puts = matches!(&commands[at].body, CommandBody::Write(write) if matches!(write.action, Action::Put(_)));
        if puts && matches!(replies[at].body, ReplyBody::Written(_)) {
            prop_assert_ne!(state.hash(), other.hash());
        }
    }

    #[test]
    fn entries_survive_their_encoding(commands in any_commands()) {
        for batch in cut(&commands, &[false, true, true]) {
            let bytes = borsh::to_vec(&batch).expect("encodes");
            prop_assert_eq!(borsh::from_slice::<Batch>(&bytes).ok(), Some(batch));
        }
        let (_, _, replies) = run(&cut(&commands, &[false]), 1);
        for reply in replies {
            let bytes = borsh::to_vec(&reply).expect("encodes");
            prop_assert_eq!(borsh::from_slice::<Reply>(&bytes).ok(), Some(reply));
        }
    }

    #[test]
    fn no_bytes_panic_a_decoder(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = borsh::from_slice::<Batch>(&bytes);
        let _ = borsh::from_slice::<Reply>(&bytes);
        let _ = borsh::from_slice::<crate::read::Plan>(&bytes);
        let _ = borsh::from_slice::<crate::read::ReadReply>(&bytes);
    }

    /// Entries that nearly decode: every cut and every changed byte of a real one.
    #[test]
    fn no_damaged_entry_panics_a_decoder(
        commands in any_commands(),
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
    ) {
        let batch = cut(&commands, &[false]).remove(0);
        let mut bytes = borsh::to_vec(&batch).expect("encodes");
        let at = at.index(bytes.len());
        prop_assert!(borsh::from_slice::<Batch>(&bytes[..at]).is_err());
        bytes[at] = byte;
        if let Ok(other) = borsh::from_slice::<Batch>(&bytes) {
            // Whatever it says, applying it does no harm beyond itself.
            let (_, _, replies) = run(&[other], 1);
            prop_assert!(!replies.is_empty());
        }
    }
}
