//! A write transaction over several shards, in two phases.
//!
//! ```text
//! 1  prepare on every shard, and claim the token       nothing has happened; anybody may still abort
//! 2  decide on the ledger shard                        the commit point, and the only one
//! 3  finish on every shard                             then the client is answered, so that its next read sees it all
//! ```
//!
//! The coordinator remembers nothing. If it ends in phase 1, the shards find out that nothing was decided and give up; if
//! it ends after phase 2, they find out that it was, and finish ([`crate::workers::txn_sweep`]). So its own errors are
//! simple: before the decision nothing was done, and the request may be sent again; of the decision the outcome may be
//! unknown; after it, it is only late.

use futures::future::{join, join_all};
use trilith_cluster::ClusterError;
use trilith_domain::OpError;
use trilith_domain::machine::ledger::{Decision, LedgerCommand, LedgerReply, Token};
use trilith_domain::machine::{CommandBody, Finish, PartVerdict, Prepare, ReplyBody, Write, WrittenIndexed};
use trilith_domain::time::Stamp;
use trilith_values::{ShardId, TransactionId};

use super::{Part, Written, overloaded, refused_token};
use crate::engine::Engine;
use crate::error;
use crate::service::Caller;

/// A decision is not taken later than this after the beginning, by the ledger's stamp. Far longer than any deadline, and
/// far shorter than aborted transactions are remembered.
const DECIDE_WITHIN_MICROS: u64 = 60_000_000;

/// A transaction on its way.
struct Attempt<'a> {
    caller: &'a Caller,
    id: TransactionId,
    ledger: ShardId,
    parts: &'a [Part<Write>],
    token: Option<Token>,
}

/// What the shards said to phase 1.
enum Phase1 {
    /// All are ready: each write, in the order of the request.
    Ready(Vec<WrittenIndexed>),
    /// They are not.
    Not(Result<Written, OpError>),
}

impl Engine {
    /// Writes on several shards. `count` is the number of all writes.
    ///
    /// # Errors
    /// What the cluster's failures become; those of tokens.
    pub(super) async fn write_on_many(
        &self,
        caller: &Caller,
        parts: Vec<Part<Write>>,
        count: usize,
        token: Option<Token>,
    ) -> Result<Written, OpError> {
        let bits = self.entropy.bits();
        let ledger = match &token {
            Some(token) => token.shard,
            None => self.ledger_shard((bits >> 64) as u64 ^ bits as u64)?,
        };
        let attempt = Attempt { caller, id: TransactionId(bits), ledger, parts: &parts, token };
        let until = Stamp(self.cluster.now_micros() + DECIDE_WITHIN_MICROS);
        let ready = match self.phase_1(&attempt, count).await {
            Phase1::Ready(ready) => ready,
            Phase1::Not(written) => {
                self.give_up(&attempt).await;
                return written;
            }
        };
        let decide = LedgerCommand::Decide {
            transaction: attempt.id,
            participants: parts.iter().map(|part| part.shard).collect(),
            until,
            token: attempt.token.clone(),
            sizes: ready.iter().map(WrittenIndexed::larger).collect(),
        };
        match self.ledger(caller, ledger, decide).await {
            Ok(LedgerReply::Decided(Decision::Commit)) => {
                self.finish(&attempt).await?;
                Ok(Written::Done(ready))
            }
            // Somebody gave up on it: it was too slow.
            Ok(LedgerReply::Decided(Decision::Abort)) => {
                self.give_up(&attempt).await;
                Ok(Written::Cancelled(vec![PartVerdict::Conflict; count]))
            }
            Ok(_) => Err(error::out_of_place("a decision")),
            Err(failure @ ClusterError::NotDone(_)) => {
                self.give_up(&attempt).await;
                Err(error::answer(failure))
            }
            Err(failure) => Err(error::answer(failure)),
        }
    }

    async fn phase_1(&self, attempt: &Attempt<'_>, count: usize) -> Phase1 {
        let prepared = join_all(attempt.parts.iter().map(|part| async move {
            let (transaction, ledger) = (attempt.id, attempt.ledger);
            let writes = part.content.clone();
            let command = CommandBody::Prepare(Prepare { transaction, ledger, writes });
            self.cluster.write(part.shard, command, attempt.caller.deadline).await
        }));
        let (claimed, prepared) = join(self.claim(attempt), prepared).await;
        match claimed {
            Ok(LedgerReply::Claimed) => {}
            Ok(used) => return Phase1::Not(refused_token(used)),
            Err(failure) => return Phase1::Not(Err(undecided(failure))),
        }
        let mut verdicts = vec![PartVerdict::Conflict; count];
        let (mut again, mut failed) = (false, None);
        for (part, reply) in attempt.parts.iter().zip(prepared) {
            let found = match reply.map(|reply| reply.body) {
                Ok(ReplyBody::Prepared(ready)) => {
                    ready.into_iter().map(|ready| PartVerdict::Fine(Box::new(ready))).collect()
                }
                Ok(ReplyBody::Cancelled(verdicts)) => verdicts,
                Ok(ReplyBody::NotMine | ReplyBody::SchemaMismatch { .. }) => {
                    again = true;
                    continue;
                }
                Ok(ReplyBody::Overloaded) => {
                    failed.get_or_insert(overloaded());
                    continue;
                }
                Ok(ReplyBody::Poisoned) => {
                    failed = Some(OpError::Internal("Internal server error".to_owned()));
                    continue;
                }
                Ok(_) => {
                    failed = Some(error::out_of_place("a part of a transaction"));
                    continue;
                }
                Err(failure) => {
                    failed.get_or_insert(undecided(failure));
                    continue;
                }
            };
            for (place, verdict) in part.places.iter().zip(found) {
                verdicts[*place] = verdict;
            }
        }
        if let Some(error) = failed {
            return Phase1::Not(Err(error));
        }
        if again {
            return Phase1::Not(Ok(Written::Again));
        }
        if !verdicts.iter().all(|verdict| matches!(verdict, PartVerdict::Fine(_))) {
            return Phase1::Not(Ok(Written::Cancelled(verdicts)));
        }
        let ready = verdicts.into_iter().filter_map(|verdict| match verdict {
            PartVerdict::Fine(ready) => Some(*ready),
            PartVerdict::ConditionFailed { .. }
            | PartVerdict::Invalid(_)
            | PartVerdict::Conflict
            | PartVerdict::CollectionFull => None,
        });
        Phase1::Ready(ready.collect())
    }

    /// Claims the token; without one there is nothing to claim.
    async fn claim(&self, attempt: &Attempt<'_>) -> Result<LedgerReply, ClusterError> {
        let Some(token) = attempt.token.clone() else { return Ok(LedgerReply::Claimed) };
        let claim = LedgerCommand::Claim { token, transaction: Some(attempt.id) };
        self.ledger(attempt.caller, attempt.ledger, claim).await
    }

    /// Nothing was decided, and this coordinator will not: unlocks what was locked, and gives the token back. What does not
    /// arrive is found by the sweep.
    async fn give_up(&self, attempt: &Attempt<'_>) {
        let unlock = join_all(attempt.parts.iter().map(|part| self.finish_part(attempt, part, false)));
        let release = async {
            if let Some(token) = attempt.token.clone() {
                let release = LedgerCommand::Release { token, transaction: attempt.id };
                drop(self.ledger(attempt.caller, attempt.ledger, release).await);
            }
        };
        join(unlock, release).await;
    }

    /// Makes it real everywhere.
    async fn finish(&self, attempt: &Attempt<'_>) -> Result<(), OpError> {
        let parts = attempt.parts.iter().map(|part| async move {
            match self.finish_part(attempt, part, true).await {
                // Finishing may be done twice.
                Err(ClusterError::Unknown(_)) => self.finish_part(attempt, part, true).await,
                done => done,
            }
        });
        match join_all(parts).await.into_iter().collect::<Result<Vec<()>, _>>() {
            Ok(_) => Ok(()),
            Err(why) => Err(OpError::Internal(format!(
                "The transaction is decided, and not all of it can be read yet: {why}"
            ))),
        }
    }

    async fn finish_part(
        &self,
        attempt: &Attempt<'_>,
        part: &Part<Write>,
        commit: bool,
    ) -> Result<(), ClusterError> {
        let keys = part.content.iter().map(|write| (write.table, write.key.clone())).collect();
        let command = CommandBody::Finish(Finish { transaction: attempt.id, keys, commit });
        match self.cluster.write(part.shard, command, attempt.caller.deadline).await?.body {
            ReplyBody::Finished => Ok(()),
            other => Err(ClusterError::Unknown(format!("a shard answered {other:?}"))),
        }
    }
}

/// A failure while nothing is decided: nothing was done, whatever it was.
fn undecided(failure: ClusterError) -> OpError {
    match failure {
        ClusterError::Unknown(why) => error::answer(ClusterError::NotDone(why)),
        ClusterError::NotDone(_) | ClusterError::Storage(_) => error::answer(failure),
    }
}
