//! Shapes that several operations share: parts of inputs as front ends fill them, parts of outputs as they show them.
//!
//! An input is wire-neutral. Each member of the service's API is a field in snake case, and every field is optional,
//! required members too: what is missing, too long or of an unknown enum value becomes the service's own text in
//! `parse`, in one place for all front ends. Front ends decide nothing but JSON (or protobuf) types.
//!
//! Two fields carry what a front end knows and a plain value cannot hold:
//! - `not_built`: wire names of members that the service has, that were sent with an effect, and that are not built
//!   here. Never a silent success: `parse` refuses them by name. Members sent without an effect (`null`,
//!   `StreamEnabled: false`) are not reported.
//! - `value_fault`: the first fault met while attribute values were decoded (see [`super::value_rules`]). The service
//!   reports it after constraints and parameter combinations, so decoding goes on and `parse` chooses the moment.
//!   The member whose decoding failed is `Some` with what could be decoded.

use std::collections::BTreeMap;

use trilith_values::{AttributeValue, Item, Map};

use crate::catalog::{BillingMode, IndexStatus, TableClass, TableStatus};
use crate::error::OpError;
use crate::time::Stamp;

/// `ExpressionAttributeNames`: `#alias` to attribute name.
pub type Names = BTreeMap<String, String>;
/// `ExpressionAttributeValues`: `:placeholder` to value.
pub type Values = Map;
/// See the module's header.
pub type NotBuilt = Vec<&'static str>;
/// See the module's header.
pub type ValueFault = Option<OpError>;

/// An element of `KeySchema`, in and out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeySchemaElement {
    /// `AttributeName`.
    pub attribute_name: Option<String>,
    /// `KeyType`: `HASH` or `RANGE`.
    pub key_type: Option<String>,
}

/// An element of `AttributeDefinitions`, in and out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AttributeDefinition {
    /// `AttributeName`.
    pub attribute_name: Option<String>,
    /// `AttributeType`: `S`, `N` or `B`.
    pub attribute_type: Option<String>,
}

/// `Projection` of an index, in and out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Projection {
    /// `ProjectionType`: `ALL`, `KEYS_ONLY` or `INCLUDE`.
    pub projection_type: Option<String>,
    /// `NonKeyAttributes`.
    pub non_key_attributes: Option<Vec<String>>,
}

/// An index of a request: an element of `LocalSecondaryIndexes` or `GlobalSecondaryIndexes`. The last three members are
/// a global index's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IndexInput {
    /// `IndexName`.
    pub index_name: Option<String>,
    /// `KeySchema`.
    pub key_schema: Option<Vec<KeySchemaElement>>,
    /// `Projection`.
    pub projection: Option<Projection>,
    /// `ProvisionedThroughput`.
    pub provisioned_throughput: Option<ThroughputInput>,
    /// `OnDemandThroughput`.
    pub on_demand_throughput: Option<OnDemandThroughput>,
    /// `WarmThroughput`.
    pub warm_throughput: Option<WarmThroughputInput>,
}

/// An element of `GlobalSecondaryIndexUpdates`. Of the index that is dropped only the name is asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IndexUpdateInput {
    /// `Update`.
    pub update: Option<IndexInput>,
    /// `Create`.
    pub create: Option<IndexInput>,
    /// `Delete`.
    pub delete: Option<IndexInput>,
}

/// An element of `LocalSecondaryIndexes` or `GlobalSecondaryIndexes` of a description.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IndexDescription {
    /// `IndexName`.
    pub index_name: String,
    /// `KeySchema`.
    pub key_schema: Vec<KeySchemaElement>,
    /// `Projection`.
    pub projection: Projection,
    /// `IndexStatus`; of a global index.
    pub index_status: Option<IndexStatus>,
    /// `Backfilling`; of a global index that was added to its table and is being created.
    pub backfilling: Option<bool>,
    /// `ProvisionedThroughput`; of a global index.
    pub provisioned_throughput: Option<ThroughputDescription>,
    /// `IndexSizeBytes`.
    pub index_size_bytes: u64,
    /// `ItemCount`.
    pub item_count: u64,
    /// `IndexArn`.
    pub index_arn: String,
    /// `OnDemandThroughput`.
    pub on_demand_throughput: Option<OnDemandThroughput>,
    /// `WarmThroughput`; of a global index.
    pub warm_throughput: Option<WarmThroughputDescription>,
}

/// A vector index of a request: an element of `VectorIndexes`, or what `Create` of an update says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VectorIndexInput {
    /// `IndexName`.
    pub index_name: Option<String>,
    /// `VectorAttribute`.
    pub vector_attribute: Option<VectorAttribute>,
    /// `SearchSchema`.
    pub search_schema: Option<Vec<SearchSchemaElement>>,
    /// `Projection`.
    pub projection: Option<Projection>,
    /// `Dimensions`.
    pub dimensions: Option<i64>,
    /// `DistanceFunction`: `COSINE`, `DOT_PRODUCT` or `EUCLIDEAN`.
    pub distance_function: Option<String>,
}

/// `VectorAttribute`, in and out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VectorAttribute {
    /// `AttributeName`.
    pub attribute_name: Option<String>,
}

/// An element of `SearchSchema`, in and out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SearchSchemaElement {
    /// `AttributeName`.
    pub attribute_name: Option<String>,
    /// `SearchSchemaElementType`: `HASH` or `INLINE_FILTER`.
    pub search_schema_element_type: Option<String>,
}

/// An element of `VectorIndexUpdates`. Of the index that is dropped only the name is asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VectorIndexUpdateInput {
    /// `Create`.
    pub create: Option<VectorIndexInput>,
    /// `Delete`.
    pub delete: Option<VectorIndexInput>,
}

/// An element of `VectorIndexes` of a description.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VectorIndexDescription {
    /// `IndexName`.
    pub index_name: String,
    /// `SearchSchema`; left out where there is none.
    pub search_schema: Option<Vec<SearchSchemaElement>>,
    /// `Projection`.
    pub projection: Projection,
    /// `VectorAttribute`.
    pub vector_attribute: VectorAttribute,
    /// `Dimensions`.
    pub dimensions: u32,
    /// `DistanceFunction`.
    pub distance_function: &'static str,
    /// `IndexStatus`.
    pub index_status: IndexStatus,
    /// `Backfilling`; of an index that was added to its table and is being created.
    pub backfilling: Option<bool>,
    /// `IndexSizeBytes`.
    pub index_size_bytes: u64,
    /// `ItemCount`.
    pub item_count: u64,
    /// `IndexArn`.
    pub index_arn: String,
}

/// `ItemCollectionMetrics`.
#[derive(Clone, Debug, PartialEq)]
pub struct ItemCollectionMetrics {
    /// `ItemCollectionKey`: the partition key.
    pub item_collection_key: Item,
    /// `SizeEstimateRangeGB`: from so many gigabytes to one more.
    pub size_from_gb: u64,
}

/// `ProvisionedThroughput` of a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ThroughputInput {
    /// `ReadCapacityUnits`.
    pub read_capacity_units: Option<i64>,
    /// `WriteCapacityUnits`.
    pub write_capacity_units: Option<i64>,
}

/// `OnDemandThroughput`, in and out. -1 stands for "no maximum".
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OnDemandThroughput {
    /// `MaxReadRequestUnits`.
    pub max_read_request_units: Option<i64>,
    /// `MaxWriteRequestUnits`.
    pub max_write_request_units: Option<i64>,
}

/// `WarmThroughput` of a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WarmThroughputInput {
    /// `ReadUnitsPerSecond`.
    pub read_units_per_second: Option<i64>,
    /// `WriteUnitsPerSecond`.
    pub write_units_per_second: Option<i64>,
}

/// A tag, in and out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tag {
    /// `Key`.
    pub key: Option<String>,
    /// `Value`.
    pub value: Option<String>,
}

/// The input of operations whose only member is the table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TableInput {
    /// `TableName`: a name, or an ARN where the operation takes one.
    pub table_name: Option<String>,
}

/// Capacity in halves of a unit, the smallest amount the service charges (an eventually consistent read of up to
/// 4 KB). An integer, so that sums are exact and alike everywhere; front ends show it as a double.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HalfUnits(pub u64);

impl HalfUnits {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// Whole units.
    pub const fn whole(units: u64) -> Self {
        Self(units * 2)
    }

    /// For display: exact below 2^53 halves.
    pub fn as_f64(self) -> f64 {
        self.0 as f64 / 2.0
    }
}

impl std::ops::Add for HalfUnits {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl std::iter::Sum for HalfUnits {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self::ZERO, |sum, one| sum + one)
    }
}

/// `ConsumedCapacity`: what one table was charged for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConsumedCapacity {
    /// `TableName`, as the request named it (an ARN stays an ARN).
    pub table_name: String,
    /// `CapacityUnits`: the total, indexes included.
    pub capacity_units: HalfUnits,
    /// `Table.CapacityUnits`: the table's own part; present for `INDEXES` only.
    pub table: Option<HalfUnits>,
    /// `LocalSecondaryIndexes`: parts of local indexes that were touched, by name; for `INDEXES` only.
    pub local: BTreeMap<String, HalfUnits>,
    /// `GlobalSecondaryIndexes`, likewise.
    pub global: BTreeMap<String, HalfUnits>,
    /// `VectorIndexes`, likewise: `VectorWriteRequestBytes`.
    pub vector: BTreeMap<String, u64>,
    /// Transactions show each figure a second time, under the name of its kind.
    pub kind: Option<UnitKind>,
}

/// Which kind of unit a figure counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnitKind {
    /// `ReadCapacityUnits`.
    Read,
    /// `WriteCapacityUnits`.
    Write,
}

impl ConsumedCapacity {
    /// Adds what another operation on the same table was charged for.
    pub(crate) fn add(&mut self, other: Self) {
        self.capacity_units = self.capacity_units + other.capacity_units;
        self.table = match (self.table, other.table) {
            (Some(one), Some(two)) => Some(one + two),
            (one, two) => one.or(two),
        };
        for (index, bytes) in other.vector {
            *self.vector.entry(index).or_default() += bytes;
        }
        for (all, more) in [(&mut self.local, other.local), (&mut self.global, other.global)] {
            for (index, units) in more {
                let sum = all.entry(index).or_default();
                *sum = *sum + units;
            }
        }
    }
}

/// `ReturnConsumedCapacity`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ReturnConsumed {
    /// `NONE`: the member is left out.
    #[default]
    None,
    /// `TOTAL`.
    Total,
    /// `INDEXES`.
    Indexes,
}

/// What PutItem, UpdateItem and DeleteItem answer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct WriteOutput {
    /// `Attributes`; left out where there is nothing to return.
    pub attributes: Option<Item>,
    /// `ConsumedCapacity`.
    pub consumed_capacity: Option<ConsumedCapacity>,
    /// `ItemCollectionMetrics`; of a table with local indexes.
    pub item_collection_metrics: Option<ItemCollectionMetrics>,
}

/// What Query and Scan answer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PageOutput {
    /// `Items`; `None` (left out) for `Select: COUNT`, else present even when empty.
    pub items: Option<Vec<Item>>,
    /// `Count`.
    pub count: u64,
    /// `ScannedCount`.
    pub scanned_count: u64,
    /// `LastEvaluatedKey`.
    pub last_evaluated_key: Option<Item>,
    /// `ConsumedCapacity`.
    pub consumed_capacity: Option<ConsumedCapacity>,
}

/// `ProvisionedThroughputDescription`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ThroughputDescription {
    /// `LastIncreaseDateTime`.
    pub last_increase: Option<Stamp>,
    /// `LastDecreaseDateTime`.
    pub last_decrease: Option<Stamp>,
    /// `NumberOfDecreasesToday`.
    pub decreases_today: u64,
    /// `ReadCapacityUnits`.
    pub read_capacity_units: i64,
    /// `WriteCapacityUnits`.
    pub write_capacity_units: i64,
}

/// `BillingModeSummary`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BillingModeSummary {
    /// `BillingMode`.
    pub billing_mode: BillingMode,
    /// `LastUpdateToPayPerRequestDateTime`.
    pub last_update_to_pay_per_request: Option<Stamp>,
}

/// `TableClassSummary`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableClassSummary {
    /// `TableClass`.
    pub table_class: TableClass,
    /// `LastUpdateDateTime`.
    pub last_update: Option<Stamp>,
}

/// `TableWarmThroughputDescription`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WarmThroughputDescription {
    /// `ReadUnitsPerSecond`.
    pub read_units_per_second: i64,
    /// `WriteUnitsPerSecond`.
    pub write_units_per_second: i64,
    /// `Status`.
    pub status: TableStatus,
}

/// `TableDescription`. Stamps are shown as epoch seconds with a fraction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableDescription {
    /// `AttributeDefinitions`; left out while the table is deleted.
    pub attribute_definitions: Option<Vec<AttributeDefinition>>,
    /// `TableName`.
    pub table_name: String,
    /// `KeySchema`; left out while the table is deleted.
    pub key_schema: Option<Vec<KeySchemaElement>>,
    /// `TableStatus`.
    pub table_status: TableStatus,
    /// `CreationDateTime`; left out while the table is deleted.
    pub creation_date_time: Option<Stamp>,
    /// `ProvisionedThroughput`.
    pub provisioned_throughput: ThroughputDescription,
    /// `TableSizeBytes`.
    pub table_size_bytes: u64,
    /// `ItemCount`.
    pub item_count: u64,
    /// `TableArn`.
    pub table_arn: String,
    /// `TableId`, a lower-case UUID.
    pub table_id: String,
    /// `LocalSecondaryIndexes`; left out where there are none.
    pub local_secondary_indexes: Option<Vec<IndexDescription>>,
    /// `GlobalSecondaryIndexes`, likewise.
    pub global_secondary_indexes: Option<Vec<IndexDescription>>,
    /// `VectorIndexes`, likewise.
    pub vector_indexes: Option<Vec<VectorIndexDescription>>,
    /// `BillingModeSummary`.
    pub billing_mode_summary: Option<BillingModeSummary>,
    /// `TableClassSummary`.
    pub table_class_summary: Option<TableClassSummary>,
    /// `DeletionProtectionEnabled`.
    pub deletion_protection_enabled: bool,
    /// `OnDemandThroughput`.
    pub on_demand_throughput: Option<OnDemandThroughput>,
    /// `WarmThroughput`.
    pub warm_throughput: Option<WarmThroughputDescription>,
}

/// The keys of one table that a BatchGetItem asks for, in and out.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct KeysAndAttributes {
    /// `Keys`.
    pub keys: Option<Vec<Item>>,
    /// `ConsistentRead`.
    pub consistent_read: Option<bool>,
    /// `ProjectionExpression`.
    pub projection_expression: Option<String>,
    /// `ExpressionAttributeNames`.
    pub expression_attribute_names: Option<Names>,
    /// `AttributesToGet`.
    pub attributes_to_get: Option<Vec<String>>,
}

/// A value of `Expected`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Expectation {
    /// `Value`.
    pub value: Option<AttributeValue>,
    /// `Exists`.
    pub exists: Option<bool>,
    /// `ComparisonOperator`.
    pub comparison_operator: Option<String>,
    /// `AttributeValueList`.
    pub attribute_value_list: Option<Vec<AttributeValue>>,
}

/// A value of `KeyConditions`, `QueryFilter` and `ScanFilter`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ConditionInput {
    /// `ComparisonOperator`.
    pub comparison_operator: Option<String>,
    /// `AttributeValueList`.
    pub attribute_value_list: Option<Vec<AttributeValue>>,
}

/// A value of `AttributeUpdates`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AttributeUpdate {
    /// `Action`.
    pub action: Option<String>,
    /// `Value`.
    pub value: Option<AttributeValue>,
}

/// One request of a BatchWriteItem, as it was sent.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct WriteRequestInput {
    /// `PutRequest`, where present: its `Item`.
    pub put: Option<Option<Item>>,
    /// `DeleteRequest`, where present: its `Key`.
    pub delete: Option<Option<Item>>,
}

/// One request of a BatchWriteItem that was not done.
#[derive(Clone, Debug, PartialEq)]
pub enum WriteRequest {
    /// `PutRequest` with its `Item`.
    Put(Item),
    /// `DeleteRequest` with its `Key`.
    Delete(Item),
}

impl BillingMode {
    /// The name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Provisioned => "PROVISIONED",
            Self::PayPerRequest => "PAY_PER_REQUEST",
        }
    }
}

impl TableClass {
    /// The name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Standard => "STANDARD",
            Self::StandardInfrequentAccess => "STANDARD_INFREQUENT_ACCESS",
        }
    }
}

impl IndexStatus {
    /// The name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Creating => "CREATING",
            Self::Active => "ACTIVE",
            Self::Deleting => "DELETING",
        }
    }
}

impl TableStatus {
    /// The name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Creating => "CREATING",
            Self::Active => "ACTIVE",
            Self::Updating => "UPDATING",
            Self::Deleting => "DELETING",
        }
    }
}
