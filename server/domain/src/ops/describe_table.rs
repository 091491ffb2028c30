//! DescribeTable, and the description that every operation on tables answers with.

use std::collections::BTreeMap;

use trilith_values::TableId;
use trilith_values::key::KeyType;

use super::types::{
    AttributeDefinition, BillingModeSummary, KeySchemaElement, OnDemandThroughput, TableClassSummary,
    TableDescription, TableInput, ThroughputDescription, WarmThroughputDescription,
};
use super::{TableRef, indexes, keys, vector_indexes};
use crate::arn;
use crate::catalog::{BillingMode, TableDefinition, TableRecord, TableStatus, Units};
use crate::error::OpError;
use crate::limits;
use crate::schema::{IndexKind, KeyAttribute};
use crate::time::Stamp;
use crate::validate::{CHECKED, Constraints};

/// What DescribeTable is asked.
pub type DescribeTableInput = TableInput;

/// DescribeTable, parsed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DescribeTable {
    /// The table.
    pub table: TableRef,
}

/// What a table holds, summed over its spans.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Items.
    pub items: u64,
    /// Their sizes in the service's accounting, bytes.
    pub bytes: u64,
}

impl DescribeTable {
    /// Checks the table's name.
    pub fn parse(input: DescribeTableInput) -> Result<Self, OpError> {
        let mut check = Constraints::new();
        let table = check.table("tableName", input.table_name.as_deref());
        check.finish()?;
        Ok(Self { table: table.expect(CHECKED) })
    }
}

/// The description of a table in `region`. `now` decides which decreases of its throughput were made today (UTC).
/// Of a table that is being deleted, only what is left of it is told.
///
/// `counts` are the table's under its own id, and those of its indexes under theirs.
pub fn describe(
    record: &TableRecord,
    counts: &BTreeMap<TableId, Counts>,
    region: &str,
    now: Stamp,
) -> TableDescription {
    let own = counts.get(&record.id).copied().unwrap_or_default();
    let definition = &record.definition;
    let there = record.status != TableStatus::Deleting;
    TableDescription {
        attribute_definitions: there.then(|| attribute_definitions(definition)),
        table_name: record.name.clone(),
        key_schema: there.then(|| key_schema(definition)),
        table_status: record.status,
        creation_date_time: there.then_some(record.created),
        provisioned_throughput: throughput(record, now),
        table_size_bytes: own.bytes,
        item_count: own.items,
        table_arn: arn::table_arn(region, record.account, &record.name),
        table_id: uuid_text(record.uuid),
        local_secondary_indexes: indexes::describe(record, IndexKind::Local, counts, region),
        global_secondary_indexes: indexes::describe(record, IndexKind::Global, counts, region),
        vector_indexes: vector_indexes::describe(record, counts, region),
        billing_mode_summary: billing(record),
        table_class_summary: definition
            .class
            .map(|table_class| TableClassSummary { table_class, last_update: record.class_changed }),
        deletion_protection_enabled: definition.deletion_protection,
        on_demand_throughput: definition.on_demand_maximum.filter(|_| there).map(|maximum| {
            OnDemandThroughput {
                max_read_request_units: Some(maximum.read),
                max_write_request_units: Some(maximum.write),
            }
        }),
        warm_throughput: there.then(|| warm(record)),
    }
}

/// The table's key attributes, partition key first.
fn key_attributes(definition: &TableDefinition) -> impl Iterator<Item = (&KeyAttribute, &'static str)> {
    let range = definition.range.iter().map(|range| (range, "RANGE"));
    std::iter::once((&definition.hash, "HASH")).chain(range)
}

fn attribute_definitions(definition: &TableDefinition) -> Vec<AttributeDefinition> {
    let define = |attribute: &KeyAttribute| AttributeDefinition {
        attribute_name: Some(attribute.name.clone()),
        attribute_type: Some(keys::type_name(attribute.kind).to_owned()),
    };
    indexes::key_attributes(definition).into_iter().map(define).collect()
}

fn key_schema(definition: &TableDefinition) -> Vec<KeySchemaElement> {
    let element = |(attribute, key_type): (&KeyAttribute, &str)| KeySchemaElement {
        attribute_name: Some(attribute.name.clone()),
        key_type: Some(key_type.to_owned()),
    };
    key_attributes(definition).map(element).collect()
}

/// On-demand tables have 0 and 0.
fn throughput(record: &TableRecord, now: Stamp) -> ThroughputDescription {
    let units = match record.definition.billing {
        BillingMode::Provisioned => record.definition.throughput,
        BillingMode::PayPerRequest => Units::default(),
    };
    let day = |stamp: &Stamp| stamp.seconds() / 86_400;
    ThroughputDescription {
        last_increase: record.last_increase,
        last_decrease: record.last_decrease,
        decreases_today: record.decreases.iter().filter(|stamp| day(stamp) == day(&now)).count() as u64,
        read_capacity_units: units.read,
        write_capacity_units: units.write,
    }
}

/// Left out of a provisioned table that never was on-demand.
fn billing(record: &TableRecord) -> Option<BillingModeSummary> {
    let billing_mode = record.definition.billing;
    let since = match billing_mode {
        BillingMode::PayPerRequest => record.on_demand_since.or(Some(record.created)),
        BillingMode::Provisioned => Some(record.on_demand_since?),
    };
    Some(BillingModeSummary { billing_mode, last_update_to_pay_per_request: since })
}

/// What a table sustains at once: what was asked for, and not less than it has anyway.
fn warm(record: &TableRecord) -> WarmThroughputDescription {
    let base = warm_base(record.definition.billing, record.definition.throughput);
    let asked = record.definition.warm.unwrap_or(base);
    WarmThroughputDescription {
        read_units_per_second: asked.read.max(base.read),
        write_units_per_second: asked.write.max(base.write),
        status: record.status,
    }
}

/// What a table sustains at once without asking for more: its provisioned units, or those of any on-demand table.
pub(super) fn warm_base(billing: BillingMode, throughput: Units) -> Units {
    match billing {
        BillingMode::Provisioned => throughput,
        BillingMode::PayPerRequest => {
            Units { read: limits::ON_DEMAND_READ_UNITS, write: limits::ON_DEMAND_WRITE_UNITS }
        }
    }
}

/// A UUID in its usual, lower-case form.
fn uuid_text(uuid: u128) -> String {
    let hex = format!("{uuid:032x}");
    [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
}

/// The type a descriptor (`S`, `N`, `B`) names.
pub(super) const KEY_TYPES: [(&str, KeyType); 3] = [("S", KeyType::S), ("N", KeyType::N), ("B", KeyType::B)];
