//! Scan: a page that may take several shards, one after the other in the order of their hashes.
//!
//! How a page adds up and where it ends is the domain's ([`ScanRun`](trilith_domain::ops::scan::ScanRun)); here is
//! only the walking. Each shard gets what is left of the page's limit and megabyte.

use trilith_cluster::Freshness;
use trilith_domain::OpError;
use trilith_domain::ops::{PageOutput, Scan};
use trilith_domain::read::ReadReply;

use crate::engine::Engine;
use crate::error;
use crate::lookup::{Binding, Target};
use crate::read::{freshness, shard_of};

impl Engine {
    /// Scan.
    pub(crate) async fn scan(
        &self,
        target: Target<'_>,
        mut binding: Binding,
        scan: &Scan,
    ) -> Result<PageOutput, OpError> {
        let mut run = scan.bind(binding.record())?;
        let mut freshness = freshness(scan.options.consistent);
        while let Some(plan) = run.next_plan() {
            let shard = shard_of(binding.record(), &plan);
            match self
                .cluster
                .read(shard, freshness, &plan, target.caller.deadline)
                .await
                .map_err(error::answer)?
            {
                ReadReply::Page(page) => run.take(page),
                ReadReply::IndexPage(page) => run.take_index(page),
                ReadReply::NotMine | ReadReply::SchemaMismatch { .. } if freshness == Freshness::Eventual => {
                    // That replica may be behind; the leader is not.
                    freshness = Freshness::Strong;
                }
                ReadReply::NotMine | ReadReply::SchemaMismatch { .. } => {
                    let table = binding.record().id;
                    binding.again(self, target).await?;
                    if binding.record().id == table {
                        run.rebind(binding.record());
                    } else {
                        // Another table of this name: what was read is of one that is gone.
                        run = scan.bind(binding.record())?;
                    }
                }
                ReadReply::TransactGot(_)
                | ReadReply::Transactions(_)
                | ReadReply::Nearest(_)
                | ReadReply::Checked(_)
                | ReadReply::Got { .. }
                | ReadReply::Counted { .. }
                | ReadReply::Catalog(_)
                | ReadReply::IndexesCounted(_)
                | ReadReply::Owed(_)
                | ReadReply::Backfilled { .. } => {
                    return Err(error::out_of_place("a scan"));
                }
            }
        }
        Ok(scan.shape(binding.record(), run))
    }
}

#[cfg(test)]
mod tests;
