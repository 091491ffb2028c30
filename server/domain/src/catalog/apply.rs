//! The one parent with the branches: each catalog command and the function that applies it.

use super::command::{CatalogCommand, CatalogReply, Refusal};
use super::view::{Catalog, Change, Counters};
use super::{indexes, nodes, tables};
use crate::time::Stamp;

/// What a catalog command answers and changes.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// The answer.
    pub reply: CatalogReply,
    /// The records it changes, the counters last; empty where nothing changes.
    pub changes: Vec<Change>,
}

impl Outcome {
    /// An answer that changes nothing.
    pub(super) fn reply(reply: CatalogReply) -> Self {
        Self { reply, changes: Vec::new() }
    }

    /// A refusal with a ValidationException's text.
    pub(super) fn invalid(text: impl Into<String>) -> Self {
        Self::reply(CatalogReply::Refused(Refusal::Validation(text.into())))
    }

    /// A refusal with a LimitExceededException's text.
    pub(super) fn limit(text: impl Into<String>) -> Self {
        Self::reply(CatalogReply::Refused(Refusal::Limit(text.into())))
    }
}

/// A change in the making: what the catalog becomes, with ids taken from the sequences.
pub(super) struct Draft {
    counters: Counters,
    changes: Vec<Change>,
}

impl Draft {
    pub(super) fn of(catalog: &Catalog) -> Self {
        Self { counters: catalog.counters, changes: Vec::new() }
    }

    pub(super) fn push(&mut self, change: Change) {
        self.changes.push(change);
    }

    pub(super) fn counters(&mut self) -> &mut Counters {
        &mut self.counters
    }

    /// The outcome. Every change of the catalog raises its version.
    pub(super) fn done(mut self, reply: CatalogReply) -> Outcome {
        if !self.changes.is_empty() {
            self.counters.version += 1;
            self.changes.push(Change::Counters(self.counters));
        }
        Outcome { reply, changes: self.changes }
    }
}

/// What a command answers and changes, given the catalog.
pub fn apply(catalog: &Catalog, command: &CatalogCommand, stamp: Stamp) -> Outcome {
    match command {
        CatalogCommand::Bootstrap { cluster, nodes, shards } => {
            nodes::bootstrap(catalog, cluster, nodes, shards)
        }
        CatalogCommand::CreateTable { account, name, uuid, seed, definition, tags } => {
            let new =
                tables::NewTable { account: *account, name, uuid: *uuid, seed: *seed, definition, tags };
            tables::create(catalog, &new, stamp)
        }
        CatalogCommand::TableReady { table } => tables::ready(catalog, *table),
        CatalogCommand::DeleteTable { account, name } => tables::delete(catalog, *account, name),
        CatalogCommand::TableGone { table } => tables::gone(catalog, *table),
        CatalogCommand::AlterTable { account, name, settings } => {
            tables::alter(catalog, *account, name, settings, stamp)
        }
        CatalogCommand::Tag { table, tags } => tables::tag(catalog, *table, tags),
        CatalogCommand::Untag { table, keys } => tables::untag(catalog, *table, keys),
        CatalogCommand::AddNode { token, zone, peer, http, replaces } => {
            let joining = nodes::Joining { token: *token, zone, peer, http, replaces: *replaces };
            nodes::add(catalog, &joining)
        }
        CatalogCommand::ReplicaPlaced { shard, replica } => nodes::replica_placed(catalog, *shard, *replica),
        CatalogCommand::NodeUp { node } => nodes::up(catalog, *node),
        CatalogCommand::NodeLeft { node } => nodes::left(catalog, *node),
        CatalogCommand::AlterIndexes { account, name, settings, changes } => {
            indexes::alter(catalog, *account, name, settings, changes, stamp)
        }
        CatalogCommand::IndexReady { index } => indexes::ready(catalog, *index),
    }
}
