//! Several writes at once.

use trilith_values::TransactionId;

use super::*;
use crate::machine::ledger::{CLAIM_MICROS, Decision, LedgerCommand, LedgerReply, TOKEN_MICROS, Token};

const ID: TransactionId = TransactionId(5);

fn all(writes: Vec<Write>) -> Vec<CommandBody> {
    vec![CommandBody::TransactWrite(TransactWrite { writes, token: None, shard: ShardId(1) })]
}

fn check(partition: &str, sort: i64, text: &str) -> Write {
    Write { condition: Some(condition(text, &[])), ..write(partition, sort, Action::Check) }
}

#[test]
fn all_writes_happen_under_one_stamp() {
    let mut shard = Shard::with_table();
    shard.write(put("old", 1, &[("v", n(1))]));
    let replies = shard.apply_batch(&batch(all(vec![
        put("a", 1, &[]),
        write("old", 1, Action::Delete),
        write("b", 1, Action::Update(update("ADD c :one", &[(":one", n(1))]))),
        check("none", 1, "attribute_not_exists(pk)"),
    ])));
    let ReplyBody::TransactWritten(sizes) = &replies[0].body else { panic!("{replies:?}") };
    let sizes: Vec<u64> = sizes.iter().map(|written| written.written.new_size).collect();
    let after: Vec<bool> = sizes.iter().map(|size| *size > 0).collect();
    assert_eq!(after, [true, false, true, false]);
    assert_eq!(shard.counters(), (2, sizes[0] + sizes[2]));
    for partition in ["a", "b"] {
        let key = item_key(table().table, &key(&table(), partition, 1));
        let stored = StoredItem::open(&shard.rows.0[&(Family::Items, key)]).expect("intact");
        assert_eq!(stored.header.stamp, replies[0].stamp);
    }
    assert_eq!((shard.item("old", 1), shard.item("none", 1)), (None, None));
}

#[test]
fn one_that_cannot_happen_keeps_all_from_happening() {
    let mut shard = Shard::with_table();
    shard.write(put("full", 1, &[("v", s("text"))]));
    let (hash, counters) = (shard.state.hash(), shard.counters());
    let mut refused = check("full", 1, "attribute_not_exists(pk)");
    refused.old_on_failure = true;
    let bad = write("b", 1, Action::Update(update("SET x = y", &[])));
    let replies = shard.apply(all(vec![put("a", 1, &[]), refused, bad]));
    let ReplyBody::Cancelled(verdicts) = &replies[0] else { panic!("{replies:?}") };
    assert!(matches!(&verdicts[0], PartVerdict::Fine(fine) if fine.written.new_size > 0));
    assert_eq!(verdicts[1], PartVerdict::ConditionFailed { item: shard.item("full", 1) });
    assert!(
        matches!(&verdicts[2], PartVerdict::Invalid(text) if text.contains("does not exist in the item"))
    );
    assert_eq!((shard.state.hash(), shard.counters()), (hash, counters));
    assert_eq!(shard.item("a", 1), None);
}

#[test]
fn writes_that_are_not_the_shards_send_the_whole_elsewhere() {
    let mut shard = Shard::with_table();
    let newer = Write { schema: SchemaVersion(2), ..put("a", 2, &[]) };
    let replies = shard.apply(all(vec![check("none", 1, "attribute_exists(pk)"), newer]));
    assert_eq!(replies, [ReplyBody::SchemaMismatch { current: SchemaVersion::FIRST }]);
    let stranger = Write { table: TableId(99), ..put("a", 2, &[]) };
    assert_eq!(shard.apply(all(vec![stranger])), [ReplyBody::NotMine]);
    assert_eq!(shard.counters(), (0, 0));
}

fn prepare(id: TransactionId, writes: Vec<Write>) -> CommandBody {
    CommandBody::Prepare(Prepare { transaction: id, ledger: ShardId(2), writes })
}

fn finish(id: TransactionId, keys: &[(&str, i64)], commit: bool) -> CommandBody {
    let key = |(partition, sort): &(&str, i64)| (table().table, key(&table(), partition, *sort));
    CommandBody::Finish(Finish { transaction: id, keys: keys.iter().map(key).collect(), commit })
}

#[test]
fn what_is_prepared_is_locked_and_unseen_until_it_is_committed() {
    let mut shard = Shard::with_table();
    shard.write(put("a", 1, &[("v", n(1))]));
    shard.write(put("gone", 1, &[]));
    let before = shard.counters();
    let writes = vec![
        put("a", 1, &[("v", n(2))]),
        put("new", 1, &[]),
        write("gone", 1, Action::Delete),
        check("checked", 1, "attribute_not_exists(pk)"),
    ];
    let replies = shard.apply(vec![prepare(ID, writes)]);
    assert!(matches!(&replies[0], ReplyBody::Prepared(sizes) if sizes.len() == 4), "{replies:?}");
    assert_eq!(shard.item("a", 1).and_then(|item| item.get("v").cloned()), Some(n(1)));
    assert_eq!((shard.item("new", 1), shard.counters()), (None, before));

    for partition in ["a", "new", "gone", "checked"] {
        assert_eq!(shard.write(put(partition, 1, &[])), ReplyBody::Conflict, "{partition}");
    }
    let other = vec![put("b", 1, &[]), check("checked", 1, "attribute_not_exists(pk)")];
    let replies = shard.apply(vec![prepare(TransactionId(6), other)]);
    let ReplyBody::Cancelled(verdicts) = &replies[0] else { panic!("{replies:?}") };
    assert!(matches!(verdicts[..], [PartVerdict::Fine(_), PartVerdict::Conflict]));

    let keys = [("a", 1), ("new", 1), ("gone", 1), ("checked", 1)];
    assert_eq!(shard.apply(vec![finish(ID, &keys, true)]), [ReplyBody::Finished]);
    assert_eq!(shard.item("a", 1).and_then(|item| item.get("v").cloned()), Some(n(2)));
    assert_eq!((shard.item("new", 1).is_some(), shard.item("gone", 1), shard.counters().0), (true, None, 2));
    assert!(shard.state.prepared().is_empty());
    let hash = shard.state.hash();
    assert_eq!(shard.apply(vec![finish(ID, &keys, true)]), [ReplyBody::Finished]);
    assert_eq!(shard.state.hash(), hash, "finishing twice is finishing once");
    written(shard.write(put("checked", 1, &[])));
}

#[test]
fn an_aborted_part_leaves_no_trace() {
    let mut shard = Shard::with_table();
    shard.write(put("a", 1, &[("v", n(1))]));
    let rows = |shard: &Shard| {
        let mut rows = shard.rows.clone();
        rows.0.remove(&(Family::Meta, Key::Machine(ShardId(1)).encode()));
        rows
    };
    let before = rows(&shard);
    shard.apply(vec![prepare(ID, vec![write("a", 1, Action::Delete), put("b", 1, &[])])]);
    assert_ne!(rows(&shard), before);
    shard.apply(vec![finish(ID, &[("a", 1), ("b", 1)], false)]);
    assert_eq!(rows(&shard), before);
}

#[test]
fn a_dropped_table_takes_its_locks_along() {
    let mut shard = Shard::with_table();
    let other = schema(8, false);
    let open = CommandBody::SpanOpen { schema: other.clone(), interval: HashInterval::ALL };
    shard.apply(vec![open]);
    let key = key(&other, "a", 0);
    let action = Action::Put(key.attributes(&other));
    let in_other = Write { table: other.table, key: key.clone(), ..write("a", 1, action) };
    shard.apply(vec![prepare(ID, vec![put("a", 1, &[]), in_other])]);
    shard.apply(vec![CommandBody::SpanDrop { table: other.table }]);
    assert_eq!(shard.state.prepared()[&ID].keys.len(), 1);
    let keys = vec![(table().table, super::key(&table(), "a", 1)), (other.table, key)];
    let end = Finish { transaction: ID, keys, commit: true };
    assert_eq!(shard.apply(vec![CommandBody::Finish(end)]), [ReplyBody::Finished]);
    assert!(shard.item("a", 1).is_some() && shard.state.prepared().is_empty());
}

/// A ledger, to which commands are sent at times.
struct Ledger(Shard);

impl Ledger {
    fn at(&mut self, micros: u64, command: LedgerCommand) -> LedgerReply {
        let body = CommandBody::Ledger { shard: ShardId(1), command };
        let batch = Batch { leader_stamp: Stamp(micros), ..batch(vec![body]) };
        match self.0.apply_batch(&batch).remove(0).body {
            ReplyBody::Ledger(reply) => reply,
            other => panic!("not of the ledger: {other:?}"),
        }
    }
}

fn token(digest: u128) -> Token {
    Token { shard: ShardId(1), account: 3, token: "t".to_owned(), digest }
}

fn decide(id: TransactionId, until: u64, token: Option<Token>) -> LedgerCommand {
    let (participants, sizes) = (vec![ShardId(1), ShardId(2)], vec![7]);
    LedgerCommand::Decide { transaction: id, participants, until: Stamp(until), token, sizes }
}

#[test]
fn whoever_decides_first_has_decided() {
    let mut ledger = Ledger(Shard::empty(1));
    let resolve = |id| LedgerCommand::Resolve { transaction: id };
    let (commit, abort) = (LedgerReply::Decided(Decision::Commit), LedgerReply::Decided(Decision::Abort));
    assert_eq!(ledger.at(1, decide(ID, 100, None)), commit);
    assert_eq!(ledger.at(2, resolve(ID)), commit);
    let other = TransactionId(6);
    assert_eq!(ledger.at(3, resolve(other)), abort);
    assert_eq!(ledger.at(4, decide(other, 100, None)), abort);
    assert_eq!(ledger.at(101, decide(TransactionId(7), 100, None)), abort, "too late");

    let forget = |id| LedgerCommand::Forget { transactions: vec![id] };
    ledger.at(102, forget(ID));
    ledger.at(103, forget(other));
    assert_eq!(ledger.at(104, decide(other, 200, None)), abort, "not forgotten so soon");
    ledger.at(200 + TOKEN_MICROS, forget(other));
    let left = ledger
        .0
        .rows
        .0
        .keys()
        .filter(|(family, key)| matches!(Key::decode(*family, key), Ok(Key::Ledger(..))));
    assert_eq!(left.count(), 0);
}

#[test]
fn a_token_stands_for_one_request() {
    let mut ledger = Ledger(Shard::empty(1));
    let claim = |digest, id| LedgerCommand::Claim { token: token(digest), transaction: id };
    let other = Some(TransactionId(6));
    assert_eq!(ledger.at(1, claim(1, Some(ID))), LedgerReply::Claimed);
    assert_eq!(ledger.at(2, claim(2, other)), LedgerReply::Mismatch);
    assert_eq!(ledger.at(3, claim(1, other)), LedgerReply::InProgress);
    assert_eq!(ledger.at(10 + CLAIM_MICROS, claim(1, other)), LedgerReply::Claimed, "it was given up");
    let abort = LedgerReply::Decided(Decision::Abort);
    assert_eq!(ledger.at(11 + CLAIM_MICROS, decide(ID, u64::MAX, Some(token(1)))), abort);
    let commit = decide(TransactionId(6), u64::MAX, Some(token(1)));
    let done = 12 + CLAIM_MICROS;
    assert_eq!(ledger.at(done, commit), LedgerReply::Decided(Decision::Commit));
    assert_eq!(ledger.at(done + 10, claim(1, Some(ID))), LedgerReply::Replayed(vec![7]));
    let again = LedgerReply::Replayed(vec![7]);
    assert_eq!(ledger.at(done - 10 + TOKEN_MICROS, claim(1, Some(ID))), again);
    assert_eq!(ledger.at(done + 10 + TOKEN_MICROS, claim(2, Some(ID))), LedgerReply::Claimed, "expired");
    let release = LedgerCommand::Release { token: token(2), transaction: ID };
    ledger.at(done + 20 + TOKEN_MICROS, release);
    assert_eq!(ledger.at(done + 30 + TOKEN_MICROS, claim(2, other)), LedgerReply::Claimed);
}

#[test]
fn expired_tokens_leave_no_rows() {
    let mut ledger = Ledger(Shard::empty(1));
    ledger.at(1, LedgerCommand::Claim { token: token(1), transaction: Some(ID) });
    ledger.at(9, decide(ID, 100, Some(token(1))));
    let aged = |ledger: &Ledger| -> Vec<Stamp> {
        let keys = ledger.0.rows.0.keys().map(|(family, key)| Key::decode(*family, key));
        keys.filter_map(|key| if let Ok(Key::Aging(_, at)) = key { Some(at) } else { None }).collect()
    };
    let tokens = |stamps: Vec<Stamp>| stamps.into_iter().map(|at| (at, 3, "t".to_owned())).collect();
    let notes = aged(&ledger);
    assert_eq!(notes.len(), 2);
    ledger.at(50, LedgerCommand::Trim { tokens: tokens(notes.clone()) });
    assert_eq!(aged(&ledger), notes, "too early");
    ledger.at(100 + TOKEN_MICROS, LedgerCommand::Trim { tokens: tokens(notes) });
    let row = (Family::Meta, token(1).key(ShardId(1)).encode());
    assert!(aged(&ledger).is_empty() && !ledger.0.rows.0.contains_key(&row));
}

#[test]
fn a_token_makes_a_transaction_of_one_shard_happen_once() {
    let mut shard = Shard::with_table();
    let add = || write("a", 1, Action::Update(update("ADD c :one", &[(":one", n(1))])));
    let with = |digest| {
        let token = Some(token(digest));
        CommandBody::TransactWrite(TransactWrite { writes: vec![add()], token, shard: ShardId(1) })
    };
    let first = shard.apply(vec![with(1)]).remove(0);
    let ReplyBody::TransactWritten(sizes) = first else { panic!("{first:?}") };
    let replayed = ReplyBody::Ledger(LedgerReply::Replayed(vec![sizes[0].larger()]));
    assert_eq!(shard.apply(vec![with(1), with(2)]), [replayed, ReplyBody::Ledger(LedgerReply::Mismatch)]);
    assert_eq!(shard.item("a", 1).and_then(|item| item.get("c").cloned()), Some(n(1)));
}
