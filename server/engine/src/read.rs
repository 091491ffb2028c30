//! The way of every read of one shard (GetItem, Query), and of each key of a batch.

use trilith_cluster::Freshness;
use trilith_domain::OpError;
use trilith_domain::catalog::TableRecord;
use trilith_domain::ops::get_item::GetItemOutput;
use trilith_domain::ops::{GetItem, PageOutput, Query};
use trilith_domain::read::{IndexPage, Plan, ReadReply};
use trilith_values::ShardId;

use crate::engine::Engine;
use crate::error::{self, Failure};
use crate::lookup::{Binding, Target};

/// `ConsistentRead`, as the cluster takes it.
pub(crate) fn freshness(consistent: bool) -> Freshness {
    if consistent { Freshness::Strong } else { Freshness::Eventual }
}

/// The shard that owns what the plan reads first.
pub(crate) fn shard_of(record: &TableRecord, plan: &Plan) -> ShardId {
    let hash = place(plan);
    let index = |id| record.definition.indexes.iter().find(|index| index.schema.id == id);
    let global = match plan {
        Plan::Index(plan) => index(plan.span),
        Plan::Vectors(plan) => index(plan.index),
        _ => None,
    };
    global.map_or_else(|| record.shard_of(hash), |index| index.shard_of(hash))
}

/// A hash that the owner of the plan's rows owns.
fn place(plan: &Plan) -> u64 {
    match plan {
        Plan::Get(plan) => plan.key.hash,
        Plan::Query(plan) => plan.hash,
        Plan::Scan(plan) => plan.interval.first,
        Plan::Index(plan) => plan.place(),
        Plan::Vectors(plan) => plan.place(),
        Plan::Count { .. }
        | Plan::Catalog { .. }
        | Plan::CountIndexes { .. }
        | Plan::Owed { .. }
        | Plan::Backfilled { .. }
        | Plan::TransactGet { .. }
        | Plan::Transactions { .. }
        | Plan::Check(_) => {
            unreachable!("no op is bound to such a plan")
        }
    }
}

impl Engine {
    /// GetItem, in the table that it is bound to.
    pub(crate) async fn get_item(
        &self,
        target: Target<'_>,
        mut binding: Binding,
        get: &GetItem,
    ) -> Result<GetItemOutput, OpError> {
        let plan = get.bind(binding.record())?;
        let bind = |record: &TableRecord| get.bind(record);
        match self.read_bound(target, &mut binding, plan, freshness(get.consistent), bind).await? {
            ReadReply::Got { item, size } => Ok(get.shape(item, size)),
            _ => Err(error::out_of_place("a get")),
        }
    }

    /// Query. One partition lies in one shard, so one plan is a page.
    pub(crate) async fn query(
        &self,
        target: Target<'_>,
        mut binding: Binding,
        query: &Query,
    ) -> Result<PageOutput, OpError> {
        let plan = query.bind(binding.record())?;
        let bind = |record: &TableRecord| query.bind(record);
        match self.read_bound(target, &mut binding, plan, freshness(query.options.consistent), bind).await? {
            ReadReply::Page(page) => {
                Ok(query.shape(binding.record(), IndexPage { page, ..IndexPage::default() }))
            }
            ReadReply::IndexPage(page) => Ok(query.shape(binding.record(), page)),
            _ => Err(error::out_of_place("a query")),
        }
    }

    /// Runs a plan that is bound to `binding`; `bind` makes it again for a newer record.
    ///
    /// A replica that does not know the table may be behind, so a mismatch sends an eventual read to the leader first.
    ///
    /// # Errors
    /// [`Failure`].
    pub(crate) async fn read_bound(
        &self,
        target: Target<'_>,
        binding: &mut Binding,
        mut plan: Plan,
        mut freshness: Freshness,
        bind: impl Fn(&TableRecord) -> Result<Plan, OpError>,
    ) -> Result<ReadReply, Failure> {
        loop {
            let shard = shard_of(binding.record(), &plan);
            let read = self.cluster.read(shard, freshness, &plan, target.caller.deadline).await;
            match read.map_err(Failure::Cluster)? {
                ReadReply::NotMine | ReadReply::SchemaMismatch { .. } => {}
                reply => return Ok(reply),
            }
            if freshness == Freshness::Eventual {
                freshness = Freshness::Strong;
                continue;
            }
            binding.again(self, target).await.map_err(Failure::Answer)?;
            plan = bind(binding.record()).map_err(Failure::Answer)?;
        }
    }
}

#[cfg(test)]
mod tests;
