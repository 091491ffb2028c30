//! The one parent with the branches: each kind of command and the function that applies it.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use bytes::Bytes;

use super::change::{Change, Effects, Outcome};
use super::command::{Batch, Command, CommandBody, Write};
use super::reply::{Reply, ReplyBody};
use super::state::{PoisonRow, ShardState};
use super::working::{Prefetched, Working};
use super::{index, item_write, ledger, outbox, spans, transaction};
use crate::catalog;
use crate::codec::{self, CorruptValue};
use crate::explain;
use crate::keyspace::{CATALOG_SHARD, Family, Key, item_key};
use crate::time::Stamp;

/// No leader's stamp counts for more (the year 148,000): a clock that is beyond all reason cannot make stamps
/// overflow.
const STAMP_CEILING: Stamp = Stamp(1 << 62);

/// The most of a panic's text that is kept, in bytes.
const POISON_TEXT_MAX: usize = 1024;

/// Where and when a command applies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct At {
    /// Its stamp.
    pub stamp: Stamp,
    /// Index of its log entry.
    pub index: u64,
    /// Which command of the entry.
    pub n: u32,
}

/// The keys that a command needs. It never reads another.
pub fn reads(command: &Command) -> Vec<(Family, Bytes)> {
    match &command.body {
        CommandBody::Write(write) => reads_of_write(write).into(),
        CommandBody::TransactWrite(transaction) => {
            let mut keys: Vec<_> = transaction.writes.iter().flat_map(reads_of_write).collect();
            let tokens = transaction.token.iter();
            keys.extend(tokens.map(|token| (Family::Meta, token.key(transaction.shard).encode())));
            keys
        }
        CommandBody::Prepare(prepare) => prepare.writes.iter().flat_map(reads_of_write).collect(),
        CommandBody::Finish(finish) => transaction::reads_to_finish(finish),
        CommandBody::Ledger { shard, command } => ledger::reads(*shard, command),
        CommandBody::IndexApply(apply) => outbox::reads(apply).collect(),
        CommandBody::Backfill(backfill) => outbox::backfill_reads(backfill).collect(),
        CommandBody::SpanOpen { .. }
        | CommandBody::SpanAlter { .. }
        | CommandBody::SpanDrop { .. }
        // The catalog is in the state.
        | CommandBody::Catalog(_)
        | CommandBody::OutboxTrim(_)
        | CommandBody::PlantedPanic => Vec::new(),
    }
}

fn reads_of_write(write: &Write) -> [(Family, Bytes); 2] {
    [(Family::Items, item_key(write.table, &write.key)), index::reads(write.table, &write.key)]
}

/// The keys that the commands of an entry need, each once.
pub fn reads_of(batch: &Batch) -> Vec<(Family, Bytes)> {
    let mut keys: Vec<_> = batch.commands.iter().flat_map(reads).collect();
    keys.sort_unstable();
    keys.dedup();
    keys
}

/// Applies one log entry. Replies are in the order of its commands. The state has changed when it returns: the
/// effects must be written.
///
/// # Errors
/// [`CorruptValue`] when a fetched value is damaged. Then the state must be thrown away: the node stops serving the
/// shard, and its peers repair it.
pub fn apply_batch(
    state: &mut ShardState,
    fetched: Prefetched,
    batch: &Batch,
    index: u64,
) -> Result<(Vec<Reply>, Effects), CorruptValue> {
    let (mut replies, effects) = apply_entries(state, fetched, &[(index, batch)])?;
    Ok((replies.pop().expect("one entry, one list of replies"), effects))
}

/// Applies log entries that follow each other, with one set of effects: the same as applying them one by one.
/// `fetched` holds the keys of them all.
///
/// # Errors
/// As [`apply_batch`].
pub fn apply_entries(
    state: &mut ShardState,
    fetched: Prefetched,
    entries: &[(u64, &Batch)],
) -> Result<(Vec<Vec<Reply>>, Effects), CorruptValue> {
    let mut working = Working::new(fetched)?;
    let mut replies = Vec::with_capacity(entries.len());
    for (index, batch) in entries {
        replies.push(apply_entry(state, &mut working, batch, *index)?);
    }
    state.store(&mut working);
    Ok((replies, working.into_effects()))
}

fn apply_entry(
    state: &mut ShardState,
    working: &mut Working,
    batch: &Batch,
    index: u64,
) -> Result<Vec<Reply>, CorruptValue> {
    let leader = batch.leader_stamp.min(STAMP_CEILING);
    let last = state.last_stamp();
    let mut replies = Vec::with_capacity(batch.commands.len());
    for (i, command) in batch.commands.iter().enumerate() {
        let n = u32::try_from(i).expect("an entry's length is a u32 in its format");
        let at = At { stamp: Stamp::of_command(leader, last, i), index, n };
        replies.push(apply(state, working, command, at)?);
    }
    Ok(replies)
}

/// Applies one command. A command that panics changes nothing but its own record.
///
/// # Errors
/// [`CorruptValue`] as [`apply_batch`].
pub fn apply(
    state: &mut ShardState,
    working: &mut Working,
    command: &Command,
    at: At,
) -> Result<Reply, CorruptValue> {
    assert!(at.stamp > state.last_stamp(), "stamps follow the log");
    // Safe to unwind: `run` changes neither the state nor the working set.
    let run = catch_unwind(AssertUnwindSafe(|| run(state, working, command, at.stamp)));
    state.row.last_stamp = at.stamp;
    let body = match run {
        Ok(outcome) => {
            let outcome = outcome?;
            state.make(outcome.changes, working)?;
            outcome.body
        }
        Err(panic) => {
            set_aside(state, working, command, at, panic.as_ref());
            ReplyBody::Poisoned
        }
    };
    Ok(Reply { stamp: at.stamp, body })
}

fn run(
    state: &ShardState,
    working: &Working,
    command: &Command,
    stamp: Stamp,
) -> Result<Outcome, CorruptValue> {
    Ok(match &command.body {
        CommandBody::Write(write) => return item_write::write(state, working, write, stamp),
        CommandBody::TransactWrite(writes) => {
            return transaction::write_all(state, working, writes, stamp);
        }
        CommandBody::Prepare(prepare) => return transaction::prepare(state, working, prepare, stamp),
        CommandBody::Finish(finish) => return transaction::finish(state, working, finish, stamp),
        CommandBody::Ledger { shard, .. } if *shard != state.shard() => Outcome::reply(ReplyBody::NotMine),
        CommandBody::Ledger { shard, command } => return ledger::run(working, *shard, command, stamp),
        CommandBody::SpanOpen { schema, interval } => spans::open(state, schema, interval),
        CommandBody::SpanAlter { schema } => spans::alter(state, schema),
        CommandBody::SpanDrop { table } => spans::drop(state, *table),
        CommandBody::Catalog(command) if state.shard() == CATALOG_SHARD => {
            let outcome = catalog::apply(state.catalog(), command, stamp);
            Outcome {
                body: ReplyBody::Catalog(outcome.reply),
                changes: outcome.changes.into_iter().map(Change::Catalog).collect(),
            }
        }
        CommandBody::Catalog(_) => Outcome::reply(ReplyBody::NotMine),
        CommandBody::PlantedPanic => panic!("planted panic"),
        CommandBody::IndexApply(apply) => return outbox::index_apply(state, working, apply),
        CommandBody::OutboxTrim(rows) => outbox::trim(state, rows),
        CommandBody::Backfill(backfill) => return outbox::backfill(state, working, backfill, stamp),
    })
}

fn set_aside(
    state: &mut ShardState,
    working: &mut Working,
    command: &Command,
    at: At,
    panic: &(dyn Any + Send),
) {
    let key = Key::Poison { shard: state.shard(), index: at.index, n: at.n };
    let row = PoisonRow {
        stamp: at.stamp,
        command: command.id,
        what: shortened(&explain::command(command)),
        text: shortened(panic_text(panic)),
    };
    state.set_aside(command.id, &key, codec::seal_row(&row), working);
}

fn panic_text(panic: &(dyn Any + Send)) -> &str {
    match (panic.downcast_ref::<&str>(), panic.downcast_ref::<String>()) {
        (Some(text), _) => text,
        (_, Some(text)) => text,
        _ => "a panic without a text",
    }
}

fn shortened(text: &str) -> String {
    let fits = |c: &(usize, char)| c.0 + c.1.len_utf8() <= POISON_TEXT_MAX;
    text.char_indices().take_while(fits).map(|(_, c)| c).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_is_cut_between_characters() {
        assert_eq!(shortened("short"), "short");
        let long = format!("x{}", "é".repeat(POISON_TEXT_MAX));
        assert_eq!(shortened(&long).len(), POISON_TEXT_MAX - 1);
    }
}
