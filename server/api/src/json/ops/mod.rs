//! The shapes of the operations on the wire, by area. Each file pairs an input's members with its fields and writes
//! the members of the output that answers it.

mod batch;
mod features;
mod items;
mod pages;
mod statements;
mod tables;
mod tags;
mod transactions;
mod vectors;

use std::collections::BTreeMap;

use trilith_domain::ops::types::{ConsumedCapacity, ItemCollectionMetrics, UnitKind};
use trilith_domain::ops::{HalfUnits, Output};

use super::shape::structure;
use super::write::{ToJson, Writer};

/// The input of operations that are asked nothing; still an object.
#[derive(Clone, Copy, Debug, Default)]
pub struct Nothing {}

structure!(Nothing {});

/// An operation's answer as a body.
pub fn encode(output: &Output) -> Vec<u8> {
    let mut out = Writer::new();
    out.object(|out| members(output, out));
    out.into_bytes()
}

/// The members of an answer.
fn members(output: &Output, out: &mut Writer) {
    match output {
        Output::CreateTable(table) | Output::DeleteTable(table) | Output::UpdateTable(table) => {
            out.member("TableDescription", &**table);
        }
        Output::DescribeTable(table) => out.member("Table", &**table),
        Output::ListTables(list) => tables::list_members(list, out),
        Output::PutItem(written) | Output::UpdateItem(written) | Output::DeleteItem(written) => {
            items::write_members(written, out);
        }
        Output::GetItem(got) => items::get_members(got, out),
        Output::Query(page) | Output::Scan(page) => pages::members(page, out),
        Output::SearchVectors(found) => vectors::members(found, out),
        Output::BatchGetItem(batch) => batch::get_members(batch, out),
        Output::BatchWriteItem(batch) => batch::write_members(batch, out),
        Output::ExecuteStatement(executed) => statements::members(executed, out),
        Output::ExecuteTransaction(executed) => statements::transaction_members(executed, out),
        Output::BatchExecuteStatement(batch) => statements::batch_members(batch, out),
        Output::TransactGetItems(got) => transactions::get_members(got, out),
        Output::TransactWriteItems(written) => transactions::write_members(written, out),
        Output::TagResource | Output::UntagResource => {}
        Output::ListTagsOfResource(list) => tags::list_members(list, out),
        Output::DescribeLimits(limits) => tables::limits_members(limits, out),
        Output::DescribeEndpoints(endpoints) => tables::endpoints_members(endpoints, out),
        Output::DescribeTimeToLive(description) => features::time_to_live_members(description, out),
        Output::DescribeContinuousBackups(backups) => features::continuous_backups_members(backups, out),
        Output::DescribeTableReplicaAutoScaling(table) => features::auto_scaling_members(table, out),
        Output::DescribeKinesisStreamingDestination(table) => features::kinesis_members(table, out),
        Output::DescribeContributorInsights(insights) => features::insights_members(insights, out),
        Output::ListBackups => features::empty_list("BackupSummaries", out),
        Output::ListGlobalTables => features::empty_list("GlobalTables", out),
        Output::ListContributorInsights => features::empty_list("ContributorInsightsSummaries", out),
        Output::ListExports => features::empty_list("ExportSummaries", out),
        Output::ListImports => features::empty_list("ImportSummaryList", out),
        Output::ListBulkOperations => features::empty_list("BulkOperationsSummaryList", out),
        Output::ListStreams => features::empty_list("Streams", out),
    }
}

impl ToJson for HalfUnits {
    fn to_json(&self, out: &mut Writer) {
        out.double(self.as_f64());
    }
}

/// A figure, and for transactions once more under the name of its kind.
fn units(kind: Option<UnitKind>, figure: &HalfUnits, out: &mut Writer) {
    out.member("CapacityUnits", figure);
    match kind {
        Some(UnitKind::Read) => out.member("ReadCapacityUnits", figure),
        Some(UnitKind::Write) => out.member("WriteCapacityUnits", figure),
        None => {}
    }
}

impl ToJson for ConsumedCapacity {
    fn to_json(&self, out: &mut Writer) {
        out.object(|out| {
            out.member("TableName", &self.table_name);
            units(self.kind, &self.capacity_units, out);
            if let Some(table) = &self.table {
                out.name("Table");
                out.object(|out| units(self.kind, table, out));
            }
            index_parts(out, "LocalSecondaryIndexes", self.kind, &self.local);
            index_parts(out, "GlobalSecondaryIndexes", self.kind, &self.global);
            vectors::parts(out, &self.vector);
        });
    }
}

fn index_parts(out: &mut Writer, name: &str, kind: Option<UnitKind>, parts: &BTreeMap<String, HalfUnits>) {
    if parts.is_empty() {
        return;
    }
    out.name(name);
    out.object(|out| {
        for (index, figure) in parts {
            out.name(index);
            out.object(|out| units(kind, figure, out));
        }
    });
}

impl ToJson for ItemCollectionMetrics {
    fn to_json(&self, out: &mut Writer) {
        out.object(|out| {
            out.member("ItemCollectionKey", &self.item_collection_key);
            out.name("SizeEstimateRangeGB");
            out.array([self.size_from_gb, self.size_from_gb + 1], |out, gigabytes| {
                out.double(gigabytes as f64);
            });
        });
    }
}
