//! TransactWriteItems and TransactGetItems: many items at one moment.
//!
//! All tables are looked up and every action is bound before anything is sent. Where one shard owns all the items, a
//! write transaction is one command, and whether it happened is the one reply to it; otherwise [`coordinator`] runs two
//! phases. A read transaction is [`read`]. [`statements`] makes either of statements.
//!
//! A `ClientRequestToken` chooses a shard that remembers it, wherever the items are. For a transaction of one shard it is
//! claimed there first (so that another request cannot have it), and its outcome stands with the items.

mod coordinator;
mod read;
mod statements;

use std::collections::BTreeMap;
use std::sync::Arc;

use trilith_cluster::ClusterError;
use trilith_domain::OpError;
use trilith_domain::catalog::TableRecord;
use trilith_domain::machine::ledger::{LedgerCommand, LedgerReply, Token, shard_for, token_place};
use trilith_domain::machine::{CommandBody, PartVerdict, ReplyBody, TransactWrite, Write, WrittenIndexed};
use trilith_domain::ops::transact_write_items::TransactWriteItemsOutput;
use trilith_domain::ops::{Op, TableRef, TransactWriteItems};
use trilith_values::ShardId;

use crate::engine::Engine;
use crate::error;
use crate::lookup::{Binding, Target};
use crate::service::Caller;

/// The tables that a transaction names, each bound once.
struct Tables<'a> {
    caller: &'a Caller,
    op: &'a Op,
    known: Vec<(&'a TableRef, Binding)>,
}

impl<'a> Tables<'a> {
    async fn look_up(
        engine: &Engine,
        caller: &'a Caller,
        op: &'a Op,
        named: impl Iterator<Item = &'a TableRef>,
    ) -> Result<Self, OpError> {
        let mut known: Vec<(&TableRef, Binding)> = Vec::new();
        for table in named {
            if !known.iter().any(|(other, _)| *other == table) {
                let record = engine.data_table(Target { caller, op, table }).await?;
                known.push((table, Binding::to(record)));
            }
        }
        Ok(Self { caller, op, known })
    }

    /// Those of the tables that are there.
    async fn look_up_existing(
        engine: &Engine,
        caller: &'a Caller,
        op: &'a Op,
        named: impl Iterator<Item = &'a TableRef>,
    ) -> Result<Self, OpError> {
        let mut known: Vec<(&TableRef, Binding)> = Vec::new();
        let mut absent: Vec<&TableRef> = Vec::new();
        for table in named {
            if absent.contains(&table) || known.iter().any(|(other, _)| *other == table) {
                continue;
            }
            match engine.data_table(Target { caller, op, table }).await {
                Ok(record) => known.push((table, Binding::to(record))),
                Err(OpError::ResourceNotFound(_)) => absent.push(table),
                Err(error) => return Err(error),
            }
        }
        Ok(Self { caller, op, known })
    }

    fn get(&self, table: &TableRef) -> Option<&Arc<TableRecord>> {
        self.known.iter().find(|(known, _)| *known == table).map(|(_, binding)| binding.record())
    }

    fn record(&self, table: &TableRef) -> &Arc<TableRecord> {
        self.get(table).expect("every table was looked up")
    }

    /// A shard knows one of them otherwise: all are looked up again.
    async fn again(&mut self, engine: &Engine) -> Result<(), OpError> {
        for (table, binding) in &mut self.known {
            binding.again(engine, Target { caller: self.caller, op: self.op, table }).await?;
        }
        Ok(())
    }
}

/// The part of a transaction that one shard has.
struct Part<T> {
    shard: ShardId,
    /// Which of the transaction's items, in its order.
    places: Vec<usize>,
    /// What is to be done with each.
    content: Vec<T>,
}

/// Things that lie on shards, by shard.
fn parts<T>(located: impl Iterator<Item = (ShardId, T)>) -> Vec<Part<T>> {
    let mut parts: BTreeMap<ShardId, Part<T>> = BTreeMap::new();
    for (place, (shard, one)) in located.enumerate() {
        let part =
            parts.entry(shard).or_insert_with(|| Part { shard, places: Vec::new(), content: Vec::new() });
        part.places.push(place);
        part.content.push(one);
    }
    parts.into_values().collect()
}

/// What became of an attempt to write.
enum Written {
    /// All of it was done: each write, in the order of the request.
    Done(Vec<WrittenIndexed>),
    /// It had been done before: sizes of the larger images around each write.
    Replayed(Vec<u64>),
    /// None of it was done, for these reasons.
    Cancelled(Vec<PartVerdict>),
    /// None of it was done: a shard knows a table otherwise.
    Again,
}

impl Engine {
    /// TransactWriteItems.
    pub(crate) async fn transact_write(
        &self,
        caller: &Caller,
        op: &Op,
        transaction: &TransactWriteItems,
    ) -> Result<TransactWriteItemsOutput, OpError> {
        let named = transaction.actions.iter().map(|action| &action.table);
        let mut tables = Tables::look_up(self, caller, op, named).await?;
        self.transact_write_in(caller, &mut tables, transaction).await
    }

    /// A write transaction in tables that were looked up.
    async fn transact_write_in(
        &self,
        caller: &Caller,
        tables: &mut Tables<'_>,
        transaction: &TransactWriteItems,
    ) -> Result<TransactWriteItemsOutput, OpError> {
        loop {
            let writes = transaction.bind(|table| tables.record(table))?;
            let shards = transaction
                .actions
                .iter()
                .zip(&writes)
                .map(|(action, write)| tables.record(&action.table).shard_of(write.key.hash))
                .collect::<Vec<_>>();
            let mut parts = parts(shards.into_iter().zip(writes));
            let token = self.token(caller, transaction)?;
            let written = if parts.len() == 1 {
                let part = parts.remove(0);
                self.write_on_one(caller, part.shard, part.content, token).await?
            } else {
                self.write_on_many(caller, parts, transaction.actions.len(), token).await?
            };
            match written {
                Written::Done(written) => return Ok(transaction.shape(written)),
                Written::Replayed(sizes) => return Ok(transaction.shape_replay(&sizes)),
                Written::Cancelled(verdicts) => return Err(transaction.cancelled(verdicts)),
                Written::Again => tables.again(self).await?,
            }
        }
    }

    /// The request's token, with the shard that keeps it.
    fn token(&self, caller: &Caller, transaction: &TransactWriteItems) -> Result<Option<Token>, OpError> {
        let Some(request) = &transaction.token else { return Ok(None) };
        let account = caller.account;
        let shard = self.ledger_shard(token_place(account, &request.token))?;
        Ok(Some(Token { shard, account, token: request.token.clone(), digest: request.digest }))
    }

    /// The shard whose ledger a place belongs to.
    fn ledger_shard(&self, place: u64) -> Result<ShardId, OpError> {
        let catalog = self.cluster.catalog();
        shard_for(place, catalog.data_shards().map(|shard| shard.id)).ok_or_else(|| {
            OpError::Unavailable("This node does not know the cluster's shards yet".to_owned())
        })
    }

    /// The whole transaction as one command.
    async fn write_on_one(
        &self,
        caller: &Caller,
        shard: ShardId,
        writes: Vec<Write>,
        token: Option<Token>,
    ) -> Result<Written, OpError> {
        if let Some(token) = &token
            && token.shard != shard
        {
            let claim = LedgerCommand::Claim { token: token.clone(), transaction: None };
            match self.ledger(caller, token.shard, claim).await.map_err(error::answer)? {
                LedgerReply::Claimed => {}
                used => return refused_token(used),
            }
        }
        let command = CommandBody::TransactWrite(TransactWrite { writes, token, shard });
        let reply = self.cluster.write(shard, command, caller.deadline).await.map_err(error::answer)?;
        match reply.body {
            ReplyBody::TransactWritten(written) => Ok(Written::Done(written)),
            ReplyBody::Cancelled(verdicts) => Ok(Written::Cancelled(verdicts)),
            ReplyBody::NotMine | ReplyBody::SchemaMismatch { .. } => Ok(Written::Again),
            ReplyBody::Ledger(used) => refused_token(used),
            ReplyBody::Overloaded => Err(overloaded()),
            ReplyBody::Poisoned => Err(OpError::Internal("Internal server error".to_owned())),
            _ => Err(error::out_of_place("a transaction")),
        }
    }

    /// A change of a shard's ledger.
    async fn ledger(
        &self,
        caller: &Caller,
        shard: ShardId,
        command: LedgerCommand,
    ) -> Result<LedgerReply, ClusterError> {
        let body = CommandBody::Ledger { shard, command };
        match self.cluster.write(shard, body, caller.deadline).await?.body {
            ReplyBody::Ledger(reply) => Ok(reply),
            other => Err(ClusterError::Unknown(format!("the ledger answered {other:?}"))),
        }
    }
}

/// The answer of a shard that owes its indexes too much: nothing was done.
fn overloaded() -> OpError {
    OpError::Throttling("The table's indexes are behind; send the request again".to_owned())
}

/// What a token that is not to be had means for its request.
fn refused_token(reply: LedgerReply) -> Result<Written, OpError> {
    match reply {
        LedgerReply::Replayed(sizes) => Ok(Written::Replayed(sizes)),
        LedgerReply::Mismatch => Err(OpError::IdempotentParameterMismatch),
        LedgerReply::InProgress => Err(OpError::TransactionInProgress),
        LedgerReply::Claimed | LedgerReply::Decided(_) | LedgerReply::Done => {
            Err(error::out_of_place("a token"))
        }
    }
}

#[cfg(test)]
mod tests;
