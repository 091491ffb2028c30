//! Commands about spans: what a shard owns of a table, and the descriptor it applies by. All idempotent.

use trilith_values::TableId;

use super::change::{Change, Outcome};
use super::reply::ReplyBody;
use super::state::ShardState;
use super::transaction;
use crate::keyspace::span_ranges;
use crate::schema::{HashInterval, Span, TableSchema};

/// Takes a span on, empty. One that is there already keeps its rows and takes a newer descriptor.
pub(super) fn open(state: &ShardState, schema: &TableSchema, interval: &HashInterval) -> Outcome {
    match state.spans.get(&schema.table) {
        None if interval.first > interval.last => {
            Outcome::reply(ReplyBody::Invalid("an interval of hashes ends before it begins".to_owned()))
        }
        None => {
            let span = Span::new(schema.clone(), *interval);
            done(vec![Change::Span(Box::new(span))])
        }
        Some(span) if span.interval != *interval => Outcome::reply(ReplyBody::Invalid(format!(
            "shard {} has another span of table {}",
            state.shard(),
            schema.table
        ))),
        Some(_) => alter(state, schema),
    }
}

/// Replaces the descriptor by a newer one.
pub(super) fn alter(state: &ShardState, schema: &TableSchema) -> Outcome {
    match state.spans.get(&schema.table) {
        None => Outcome::reply(ReplyBody::NotMine),
        Some(span) if span.schema.version >= schema.version => done(Vec::new()),
        Some(span) => done(vec![Change::Span(Box::new(span.with_schema(schema.clone())))]),
    }
}

/// Gives a span up, rows and all. Ranges, not rows: the cost does not depend on how much is in it.
pub(super) fn drop(state: &ShardState, table: TableId) -> Outcome {
    let Some(span) = state.spans.get(&table) else {
        return done(Vec::new());
    };
    let mut changes: Vec<Change> = span_ranges(table, &span.interval)
        .into_iter()
        .map(|(family, start, end)| Change::Range { family, start, end })
        .collect();
    changes.extend(transaction::without_table(state, table));
    changes.push(Change::SpanGone(table));
    done(changes)
}

fn done(changes: Vec<Change>) -> Outcome {
    Outcome { body: ReplyBody::SpanDone, changes }
}
