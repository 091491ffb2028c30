//! Requests: from a message, through the operation's wire-neutral input, to a checked op.
//!
//! Nothing is decided here. What protobuf cannot express (an absent required text, an empty list) becomes `None`, and
//! the operation's `parse` refuses it in the service's words. Members of features that are not built are named to
//! `parse` by the service's names.

use std::collections::BTreeMap;

use trilith_domain::OpError;
use trilith_domain::ops::statement::StatementInput;
use trilith_domain::ops::transact_get_items::{GetInput, TransactGetItemInput};
use trilith_domain::ops::transact_write_items::{ActionInput, TransactWriteItemInput};
use trilith_domain::ops::types::{
    AttributeDefinition, IndexInput, IndexUpdateInput, KeySchemaElement, KeysAndAttributes, NotBuilt,
    OnDemandThroughput, Projection, SearchSchemaElement, TableInput, Tag, ThroughputInput, ValueFault,
    VectorAttribute, VectorIndexInput, VectorIndexUpdateInput, WarmThroughputInput, WriteRequestInput,
};
use trilith_domain::ops::{
    BatchExecuteStatement, BatchExecuteStatementInput, BatchGetItem, BatchGetItemInput, BatchWriteItem,
    BatchWriteItemInput, CreateTable, CreateTableInput, DeleteItem, DeleteItemInput, DeleteTable,
    DescribeBackup, DescribeBackupInput, DescribeBulkOperation, DescribeBulkOperationInput,
    DescribeContinuousBackups, DescribeContributorInsights, DescribeContributorInsightsInput,
    DescribeEndpoints, DescribeEndpointsInput, DescribeExport, DescribeExportInput, DescribeGlobalTable,
    DescribeGlobalTableSettings, DescribeImport, DescribeImportInput, DescribeKinesisStreamingDestination,
    DescribeLimits, DescribeStream, DescribeStreamInput, DescribeTable, DescribeTableReplicaAutoScaling,
    DescribeTimeToLive, ExecuteStatement, ExecuteStatementInput, ExecuteTransaction, ExecuteTransactionInput,
    GetItem, GetItemInput, GetResourcePolicy, GetResourcePolicyInput, GlobalTableInput, ListBackups,
    ListBackupsInput, ListBulkOperations, ListBulkOperationsInput, ListContributorInsights,
    ListContributorInsightsInput, ListExports, ListExportsInput, ListGlobalTables, ListGlobalTablesInput,
    ListImports, ListImportsInput, ListStreams, ListStreamsInput, ListTables, ListTablesInput,
    ListTagsOfResource, ListTagsOfResourceInput, Op, PutItem, PutItemInput, Query, QueryInput, Scan,
    ScanInput, SearchVectors, SearchVectorsInput, ShardFilterInput, TagResource, TagResourceInput,
    TransactGetItems, TransactGetItemsInput, TransactWriteItems, TransactWriteItemsInput, UntagResource,
    UntagResourceInput, UpdateItem, UpdateItemInput, UpdateTable, UpdateTableInput,
};
use trilith_proto::data::v1 as proto;
use trilith_values::AttributeValue;

use super::convert::{Values, list, map, name_of, required};

/// A message that asks for an operation.
pub trait Ask {
    /// The op, after all checks that need no table. `host` is the address that the client used.
    fn op(self, host: Option<&str>) -> Result<Op, OpError>;
}

// ------------------------------------------------------------------------------------------------------------- shapes

/// Collects the names of members that were sent and are not built.
fn not_built<const N: usize>(sent: [(bool, &'static str); N]) -> NotBuilt {
    sent.into_iter().filter_map(|(sent, name)| sent.then_some(name)).collect()
}

fn key_schema(elements: Vec<proto::KeySchemaElement>) -> Option<Vec<KeySchemaElement>> {
    list(elements).map(|elements| {
        let element = |element: proto::KeySchemaElement| KeySchemaElement {
            attribute_name: required(element.attribute_name),
            key_type: name_of::<proto::KeyType>(element.key_type),
        };
        elements.into_iter().map(element).collect()
    })
}

fn attribute_definitions(definitions: Vec<proto::AttributeDefinition>) -> Option<Vec<AttributeDefinition>> {
    list(definitions).map(|definitions| {
        let definition = |definition: proto::AttributeDefinition| AttributeDefinition {
            attribute_name: required(definition.attribute_name),
            attribute_type: name_of::<proto::ScalarAttributeType>(definition.attribute_type),
        };
        definitions.into_iter().map(definition).collect()
    })
}

fn throughput(sent: Option<proto::ProvisionedThroughput>) -> Option<ThroughputInput> {
    sent.map(|sent| ThroughputInput {
        read_capacity_units: sent.read_capacity_units,
        write_capacity_units: sent.write_capacity_units,
    })
}

fn projection(sent: Option<proto::Projection>) -> Option<Projection> {
    sent.map(|projection| Projection {
        projection_type: name_of::<proto::ProjectionType>(projection.projection_type),
        non_key_attributes: list(projection.non_key_attributes),
    })
}

fn vector_index(sent: proto::VectorIndex) -> VectorIndexInput {
    let element = |element: proto::SearchSchemaElement| SearchSchemaElement {
        attribute_name: required(element.attribute_name),
        search_schema_element_type: name_of::<proto::SearchSchemaElementType>(
            element.search_schema_element_type,
        ),
    };
    VectorIndexInput {
        index_name: required(sent.index_name),
        vector_attribute: sent
            .vector_attribute
            .map(|attribute| VectorAttribute { attribute_name: required(attribute.attribute_name) }),
        search_schema: list(sent.search_schema.into_iter().map(element).collect()),
        projection: projection(sent.projection),
        dimensions: sent.dimensions,
        distance_function: name_of::<proto::VectorDistanceFunction>(sent.distance_function),
    }
}

fn vector_index_update(sent: proto::VectorIndexUpdate) -> VectorIndexUpdateInput {
    use proto::vector_index_update::Change;
    let mut update = VectorIndexUpdateInput::default();
    match sent.change {
        Some(Change::Create(sent)) => update.create = Some(vector_index(sent)),
        Some(Change::Delete(name)) => {
            update.delete =
                Some(VectorIndexInput { index_name: required(name), ..VectorIndexInput::default() });
        }
        None => {}
    }
    update
}

fn index(sent: proto::SecondaryIndex) -> IndexInput {
    IndexInput {
        index_name: required(sent.index_name),
        key_schema: key_schema(sent.key_schema),
        projection: projection(sent.projection),
        provisioned_throughput: throughput(sent.provisioned_throughput),
        on_demand_throughput: on_demand(sent.on_demand_throughput),
        warm_throughput: warm(sent.warm_throughput),
    }
}

fn index_update(sent: proto::SecondaryIndexUpdate) -> IndexUpdateInput {
    use proto::secondary_index_update::Change;
    let mut update = IndexUpdateInput::default();
    match sent.change {
        Some(Change::Create(sent)) => update.create = Some(index(sent)),
        Some(Change::Update(sent)) => update.update = Some(index(sent)),
        Some(Change::Delete(name)) => {
            update.delete = Some(IndexInput { index_name: required(name), ..IndexInput::default() });
        }
        None => {}
    }
    update
}

fn indexes(sent: Vec<proto::SecondaryIndex>) -> Option<Vec<IndexInput>> {
    list(sent).map(|indexes| indexes.into_iter().map(index).collect())
}

fn on_demand(sent: Option<proto::OnDemandThroughput>) -> Option<OnDemandThroughput> {
    sent.map(|sent| OnDemandThroughput {
        max_read_request_units: sent.max_read_request_units,
        max_write_request_units: sent.max_write_request_units,
    })
}

fn warm(sent: Option<proto::WarmThroughput>) -> Option<WarmThroughputInput> {
    sent.map(|sent| WarmThroughputInput {
        read_units_per_second: sent.read_units_per_second,
        write_units_per_second: sent.write_units_per_second,
    })
}

fn tags(sent: Vec<proto::Tag>) -> Option<Vec<Tag>> {
    list(sent).map(|tags| tags.into_iter().map(|tag| Tag { key: tag.key, value: tag.value }).collect())
}

fn streams(sent: Option<&proto::StreamSpecification>) -> bool {
    sent.is_some_and(|sent| sent.stream_enabled)
}

fn encrypts(sent: Option<&proto::SseSpecification>) -> bool {
    sent.is_some_and(|sent| sent.enabled)
}

fn consumed(value: i32) -> Option<String> {
    name_of::<proto::ReturnConsumedCapacity>(value)
}

fn metrics(value: i32) -> Option<String> {
    name_of::<proto::ReturnItemCollectionMetrics>(value)
}

fn on_failure(value: i32) -> Option<String> {
    name_of::<proto::ReturnValuesOnConditionCheckFailure>(value)
}

// ------------------------------------------------------------------------------------------------------------- tables

impl Ask for proto::CreateTableRequest {
    fn op(self, _: Option<&str>) -> Result<Op, OpError> {
        let not_built = not_built([
            (streams(self.stream_specification.as_ref()), "StreamSpecification"),
            (encrypts(self.sse_specification.as_ref()), "SSESpecification"),
            (self.resource_policy.is_some(), "ResourcePolicy"),
        ]);
        let input = CreateTableInput {
            attribute_definitions: attribute_definitions(self.attribute_definitions),
            table_name: required(self.table_name),
            key_schema: key_schema(self.key_schema),
            billing_mode: name_of::<proto::BillingMode>(self.billing_mode),
            provisioned_throughput: throughput(self.provisioned_throughput),
            tags: tags(self.tags),
            table_class: name_of::<proto::TableClass>(self.table_class),
            deletion_protection_enabled: self.deletion_protection_enabled,
            warm_throughput: warm(self.warm_throughput),
            on_demand_throughput: on_demand(self.on_demand_throughput),
            local_secondary_indexes: indexes(self.local_secondary_indexes),
            global_secondary_indexes: indexes(self.global_secondary_indexes),
            vector_indexes: list(self.vector_indexes.into_iter().map(vector_index).collect()),
            not_built,
        };
        CreateTable::parse(input).map(|op| Op::CreateTable(Box::new(op)))
    }
}

impl Ask for proto::UpdateTableRequest {
    fn op(self, _: Option<&str>) -> Result<Op, OpError> {
        let not_built = not_built([
            (streams(self.stream_specification.as_ref()), "StreamSpecification"),
            (encrypts(self.sse_specification.as_ref()), "SSESpecification"),
        ]);
        let updates = self.global_secondary_index_updates.into_iter().map(index_update).collect();
        let input = UpdateTableInput {
            global_secondary_index_updates: list(updates),
            vector_index_updates: list(
                self.vector_index_updates.into_iter().map(vector_index_update).collect(),
            ),
            table_name: required(self.table_name),
            attribute_definitions: attribute_definitions(self.attribute_definitions),
            billing_mode: name_of::<proto::BillingMode>(self.billing_mode),
            provisioned_throughput: throughput(self.provisioned_throughput),
            table_class: name_of::<proto::TableClass>(self.table_class),
            deletion_protection_enabled: self.deletion_protection_enabled,
            warm_throughput: warm(self.warm_throughput),
            on_demand_throughput: on_demand(self.on_demand_throughput),
            not_built,
        };
        UpdateTable::parse(input).map(Op::UpdateTable)
    }
}

impl Ask for proto::ListTablesRequest {
    fn op(self, _: Option<&str>) -> Result<Op, OpError> {
        let input = ListTablesInput {
            exclusive_start_table_name: self.exclusive_start_table_name,
            limit: self.limit,
        };
        ListTables::parse(input).map(Op::ListTables)
    }
}

/// Requests whose only member is the table.
macro_rules! of_table {
    ($($request:ident => $op:ident),* $(,)?) => {$(
        impl Ask for proto::$request {
            fn op(self, _: Option<&str>) -> Result<Op, OpError> {
                $op::parse(TableInput { table_name: required(self.table_name) }).map(Op::$op)
            }
        }
    )*};
}

of_table! {
    DescribeTableRequest => DescribeTable,
    DeleteTableRequest => DeleteTable,
    DescribeTimeToLiveRequest => DescribeTimeToLive,
    DescribeContinuousBackupsRequest => DescribeContinuousBackups,
    DescribeTableReplicaAutoScalingRequest => DescribeTableReplicaAutoScaling,
    DescribeKinesisStreamingDestinationRequest => DescribeKinesisStreamingDestination,
}

// -------------------------------------------------------------------------------------------------------------- items

impl Ask for proto::PutItemRequest {
    fn op(self, _: Option<&str>) -> Result<Op, OpError> {
        let mut values = Values::default();
        let input = PutItemInput {
            table_name: required(self.table_name),
            item: values.item(self.item),
            return_values: name_of::<proto::ReturnValue>(self.return_values),
            return_consumed_capacity: consumed(self.return_consumed_capacity),
            return_item_collection_metrics: metrics(self.return_item_collection_metrics),
            condition_expression: self.condition_expression,
            expression_attribute_names: map(self.expression_attribute_names),
            expression_attribute_values: values.expression_values(self.expression_attribute_values),
            return_values_on_condition_check_failure: on_failure(
                self.return_values_on_condition_check_failure,
            ),
            value_fault: values.fault(),
            ..PutItemInput::default()
        };
        PutItem::parse(input).map(Op::PutItem)
    }
}

impl Ask for proto::GetItemRequest {
    fn op(self, _: Option<&str>) -> Result<Op, OpError> {
        let mut values = Values::default();
        let input = GetItemInput {
            table_name: required(self.table_name),
            key: values.item(self.key),
            consistent_read: self.consistent_read,
            return_consumed_capacity: consumed(self.return_consumed_capacity),
            projection_expression: self.projection_expression,
            expression_attribute_names: map(self.expression_attribute_names),
            value_fault: values.fault(),
            ..GetItemInput::default()
        };
        GetItem::parse(input).map(Op::GetItem)
    }
}

impl Ask for proto::UpdateItemRequest {
    fn op(self, _: Option<&str>) -> Result<Op, OpError> {
        let mut values = Values::default();
        let input = UpdateItemInput {
            table_name: required(self.table_name),
            key: values.item(self.key),
            return_values: name_of::<proto::ReturnValue>(self.return_values),
            return_consumed_capacity: consumed(self.return_consumed_capacity),
            return_item_collection_metrics: metrics(self.return_item_collection_metrics),
            update_expression: self.update_expression,
            condition_expression: self.condition_expression,
            expression_attribute_names: map(self.expression_attribute_names),
            expression_attribute_values: values.expression_values(self.expression_attribute_values),
            return_values_on_condition_check_failure: on_failure(
                self.return_values_on_condition_check_failure,
            ),
            value_fault: values.fault(),
            ..UpdateItemInput::default()
        };
        UpdateItem::parse(input).map(Op::UpdateItem)
    }
}

impl Ask for proto::DeleteItemRequest {
    fn op(self, _: Option<&str>) -> Result<Op, OpError> {
        let mut values = Values::default();
        let input = DeleteItemInput {
            table_name: required(self.table_name),
            key: values.item(self.key),
            return_values: name_of::<proto::ReturnValue>(self.return_values),
            return_consumed_capacity: consumed(self.return_consumed_capacity),
            return_item_collection_metrics: metrics(self.return_item_collection_metrics),
            condition_expression: self.condition_expression,
            expression_attribute_names: map(self.expression_attribute_names),
            expression_attribute_values: values.expression_values(self.expression_attribute_values),
            return_values_on_condition_check_failure: on_failure(
                self.return_values_on_condition_check_failure,
            ),
            value_fault: values.fault(),
            ..DeleteItemInput::default()
        };
        DeleteItem::parse(input).map(Op::DeleteItem)
    }
}

// -------------------------------------------------------------------------------------------------------------- pages

impl Ask for proto::QueryRequest {
    fn op(self, _: Option<&str>) -> Result<Op, OpError> {
        let mut values = Values::default();
        let input = QueryInput {
            table_name: required(self.table_name),
            select: name_of::<proto::Select>(self.select),
            limit: self.limit,
            consistent_read: self.consistent_read,
            scan_index_forward: self.scan_index_forward,
            exclusive_start_key: values.item(self.exclusive_start_key),
            return_consumed_capacity: consumed(self.return_consumed_capacity),
            projection_expression: self.projection_expression,
            filter_expression: self.filter_expression,
            key_condition_expression: self.key_condition_expression,
            expression_attribute_names: map(self.expression_attribute_names),
            expression_attribute_values: values.expression_values(self.expression_attribute_values),
            index_name: self.index_name,
            value_fault: values.fault(),
            ..QueryInput::default()
        };
        Query::parse(input).map(|op| Op::Query(Box::new(op)))
    }
}

impl Ask for proto::ScanRequest {
    fn op(self, _: Option<&str>) -> Result<Op, OpError> {
        let mut values = Values::default();
        let input = ScanInput {
            table_name: required(self.table_name),
            select: name_of::<proto::Select>(self.select),
            limit: self.limit,
            consistent_read: self.consistent_read,
            exclusive_start_key: values.item(self.exclusive_start_key),
            return_consumed_capacity: consumed(self.return_consumed_capacity),
            total_segments: self.total_segments,
            segment: self.segment,
            projection_expression: self.projection_expression,
            filter_expression: self.filter_expression,
            expression_attribute_names: map(self.expression_attribute_names),
            expression_attribute_values: values.expression_values(self.expression_attribute_values),
            index_name: self.index_name,
            value_fault: values.fault(),
            ..ScanInput::default()
        };
        Scan::parse(input).map(Op::Scan)
    }
}

impl Ask for proto::SearchVectorsRequest {
    fn op(self, _: Option<&str>) -> Result<Op, OpError> {
        let mut values = Values::default();
        let search_vector = self.search_vector.into_iter().map(|value| values.value(value, 0)).collect();
        let input = SearchVectorsInput {
            table_name: required(self.table_name),
            index_name: required(self.index_name),
            return_consumed_capacity: consumed(self.return_consumed_capacity),
            expression_attribute_names: map(self.expression_attribute_names),
            expression_attribute_values: values.expression_values(self.expression_attribute_values),
            projection_expression: self.projection_expression,
            search_vector: list(search_vector),
            search_condition_expression: self.search_condition_expression,
            top_k: self.top_k,
            value_fault: values.fault(),
        };
        SearchVectors::parse(input).map(|op| Op::SearchVectors(Box::new(op)))
    }
}

// ------------------------------------------------------------------------------------------------------------ batches

impl Ask for proto::BatchGetItemRequest {
    fn op(self, _: Option<&str>) -> Result<Op, OpError> {
        let mut values = Values::default();
        let mut of_table = |sent: proto::KeysAndAttributes| KeysAndAttributes {
            keys: list(sent.keys.into_iter().filter_map(|key| values.item(Some(key))).collect()),
            consistent_read: sent.consistent_read,
            projection_expression: sent.projection_expression,
            expression_attribute_names: map(sent.expression_attribute_names),
            attributes_to_get: None,
        };
        let request_items = self
            .request_items
            .into_iter()
            .map(|(table, sent)| (table, of_table(sent)))
            .collect::<BTreeMap<_, _>>();
        let input = BatchGetItemInput {
            request_items: map(request_items),
            return_consumed_capacity: consumed(self.return_consumed_capacity),
            value_fault: values.fault(),
        };
        BatchGetItem::parse(input).map(Op::BatchGetItem)
    }
}

impl Ask for proto::BatchWriteItemRequest {
    fn op(self, _: Option<&str>) -> Result<Op, OpError> {
        use proto::write_request::Request;
        let mut values = Values::default();
        let mut request_items = BTreeMap::<String, Vec<WriteRequestInput>>::new();
        for proto::WriteRequest { table_name, request } in self.requests {
            let input = match request {
                Some(Request::PutItem(item)) => {
                    WriteRequestInput { put: Some(values.item(Some(item))), delete: None }
                }
                Some(Request::DeleteKey(key)) => {
                    WriteRequestInput { put: None, delete: Some(values.item(Some(key))) }
                }
                None => WriteRequestInput::default(),
            };
            request_items.entry(table_name).or_default().push(input);
        }
        let input = BatchWriteItemInput {
            request_items: map(request_items),
            return_consumed_capacity: consumed(self.return_consumed_capacity),
            return_item_collection_metrics: metrics(self.return_item_collection_metrics),
            value_fault: values.fault(),
        };
        BatchWriteItem::parse(input).map(Op::BatchWriteItem)
    }
}

// --------------------------------------------------------------------------------------------------------- statements

/// The parameters of a statement, and the first fault met in them.
fn parameters(sent: Vec<proto::AttributeValue>) -> (Option<Vec<AttributeValue>>, ValueFault) {
    let mut values = Values::default();
    let made = sent.into_iter().map(|value| values.value(value, 0)).collect();
    (list(made), values.fault())
}

impl Ask for proto::ExecuteStatementRequest {
    fn op(self, _: Option<&str>) -> Result<Op, OpError> {
        let (parameters, value_fault) = parameters(self.parameters);
        let input = ExecuteStatementInput {
            statement: required(self.statement),
            parameters,
            consistent_read: self.consistent_read,
            next_token: self.next_token,
            return_consumed_capacity: consumed(self.return_consumed_capacity),
            limit: self.limit,
            return_values_on_condition_check_failure: on_failure(
                self.return_values_on_condition_check_failure,
            ),
            value_fault,
        };
        ExecuteStatement::parse(input).map(|op| Op::ExecuteStatement(Box::new(op)))
    }
}

/// One statement of several.
fn statement(
    text: String,
    sent: Vec<proto::AttributeValue>,
    consistent_read: Option<bool>,
    failure: i32,
) -> StatementInput {
    let (parameters, value_fault) = parameters(sent);
    StatementInput {
        statement: required(text),
        parameters,
        consistent_read,
        return_values_on_condition_check_failure: on_failure(failure),
        value_fault,
    }
}

impl Ask for proto::ExecuteTransactionRequest {
    fn op(self, _: Option<&str>) -> Result<Op, OpError> {
        let statement = |sent: proto::ParameterizedStatement| {
            let failure = sent.return_values_on_condition_check_failure;
            statement(sent.statement, sent.parameters, None, failure)
        };
        let input = ExecuteTransactionInput {
            transact_statements: list(self.transact_statements.into_iter().map(statement).collect()),
            client_request_token: self.client_request_token,
            return_consumed_capacity: consumed(self.return_consumed_capacity),
        };
        ExecuteTransaction::parse(input).map(Op::ExecuteTransaction)
    }
}

impl Ask for proto::BatchExecuteStatementRequest {
    fn op(self, _: Option<&str>) -> Result<Op, OpError> {
        let statement = |sent: proto::BatchStatementRequest| {
            let failure = sent.return_values_on_condition_check_failure;
            statement(sent.statement, sent.parameters, sent.consistent_read, failure)
        };
        let input = BatchExecuteStatementInput {
            statements: list(self.statements.into_iter().map(statement).collect()),
            return_consumed_capacity: consumed(self.return_consumed_capacity),
        };
        BatchExecuteStatement::parse(input).map(Op::BatchExecuteStatement)
    }
}

// ------------------------------------------------------------------------------------------------------- transactions

/// One element of `TransactItems`. An element without an action is the service's to refuse.
fn transact_write(values: &mut Values, sent: proto::TransactWriteItem) -> TransactWriteItemInput {
    use proto::transact_write_item::Action;
    let mut input = ActionInput {
        table_name: required(sent.table_name),
        update_expression: sent.update_expression,
        condition_expression: sent.condition_expression,
        expression_attribute_names: map(sent.expression_attribute_names),
        expression_attribute_values: values.expression_values(sent.expression_attribute_values),
        return_values_on_condition_check_failure: on_failure(sent.return_values_on_condition_check_failure),
        ..ActionInput::default()
    };
    let item = TransactWriteItemInput::default();
    match sent.action {
        Some(Action::PutItem(whole)) => {
            input.item = values.item(Some(whole));
            TransactWriteItemInput { put: Some(input), ..item }
        }
        Some(Action::UpdateKey(key)) => {
            input.key = values.item(Some(key));
            TransactWriteItemInput { update: Some(input), ..item }
        }
        Some(Action::DeleteKey(key)) => {
            input.key = values.item(Some(key));
            TransactWriteItemInput { delete: Some(input), ..item }
        }
        Some(Action::CheckKey(key)) => {
            input.key = values.item(Some(key));
            TransactWriteItemInput { condition_check: Some(input), ..item }
        }
        None => item,
    }
}

impl Ask for proto::TransactGetItemsRequest {
    fn op(self, _: Option<&str>) -> Result<Op, OpError> {
        let mut values = Values::default();
        let items = self.transact_items.into_iter().map(|sent| {
            let get = GetInput {
                table_name: required(sent.table_name),
                key: values.item(sent.key),
                projection_expression: sent.projection_expression,
                expression_attribute_names: map(sent.expression_attribute_names),
            };
            TransactGetItemInput { get: Some(get) }
        });
        let input = TransactGetItemsInput {
            transact_items: list(items.collect()),
            return_consumed_capacity: consumed(self.return_consumed_capacity),
            value_fault: values.fault(),
        };
        TransactGetItems::parse(input).map(Op::TransactGetItems)
    }
}

impl Ask for proto::TransactWriteItemsRequest {
    fn op(self, _: Option<&str>) -> Result<Op, OpError> {
        let mut values = Values::default();
        let items = self.transact_items.into_iter().map(|item| transact_write(&mut values, item)).collect();
        let input = TransactWriteItemsInput {
            transact_items: list(items),
            return_consumed_capacity: consumed(self.return_consumed_capacity),
            return_item_collection_metrics: metrics(self.return_item_collection_metrics),
            client_request_token: self.client_request_token,
            value_fault: values.fault(),
        };
        TransactWriteItems::parse(input).map(Op::TransactWriteItems)
    }
}

// --------------------------------------------------------------------------------------------------------------- tags

impl Ask for proto::TagResourceRequest {
    fn op(self, _: Option<&str>) -> Result<Op, OpError> {
        let input = TagResourceInput { resource_arn: required(self.resource_arn), tags: tags(self.tags) };
        TagResource::parse(input).map(Op::TagResource)
    }
}

impl Ask for proto::UntagResourceRequest {
    fn op(self, _: Option<&str>) -> Result<Op, OpError> {
        let input =
            UntagResourceInput { resource_arn: required(self.resource_arn), tag_keys: list(self.tag_keys) };
        UntagResource::parse(input).map(Op::UntagResource)
    }
}

impl Ask for proto::ListTagsOfResourceRequest {
    fn op(self, _: Option<&str>) -> Result<Op, OpError> {
        let input = ListTagsOfResourceInput {
            resource_arn: required(self.resource_arn),
            next_token: self.next_token,
        };
        ListTagsOfResource::parse(input).map(Op::ListTagsOfResource)
    }
}

// ------------------------------------------------------------------------------------------------------------ service

impl Ask for proto::DescribeLimitsRequest {
    fn op(self, _: Option<&str>) -> Result<Op, OpError> {
        Ok(Op::DescribeLimits(DescribeLimits))
    }
}

impl Ask for proto::DescribeEndpointsRequest {
    fn op(self, host: Option<&str>) -> Result<Op, OpError> {
        let input = DescribeEndpointsInput { host: host.map(str::to_owned) };
        Ok(Op::DescribeEndpoints(DescribeEndpoints::parse(input)))
    }
}

// -------------------------------------------------------------------------------------------------- features to come

impl Ask for proto::ListBackupsRequest {
    fn op(self, _: Option<&str>) -> Result<Op, OpError> {
        let input = ListBackupsInput {
            table_name: self.table_name,
            limit: self.limit,
            exclusive_start_backup_arn: self.exclusive_start_backup_arn,
            backup_type: self.backup_type,
        };
        ListBackups::parse(input).map(Op::ListBackups)
    }
}

impl Ask for proto::ListGlobalTablesRequest {
    fn op(self, _: Option<&str>) -> Result<Op, OpError> {
        let input = ListGlobalTablesInput {
            exclusive_start_global_table_name: self.exclusive_start_global_table_name,
            limit: self.limit,
            region_name: self.region_name,
        };
        ListGlobalTables::parse(input).map(Op::ListGlobalTables)
    }
}

impl Ask for proto::DescribeContributorInsightsRequest {
    fn op(self, _: Option<&str>) -> Result<Op, OpError> {
        let input = DescribeContributorInsightsInput {
            table_name: required(self.table_name),
            index_name: self.index_name,
        };
        DescribeContributorInsights::parse(input).map(Op::DescribeContributorInsights)
    }
}

impl Ask for proto::ListContributorInsightsRequest {
    fn op(self, _: Option<&str>) -> Result<Op, OpError> {
        let input = ListContributorInsightsInput {
            table_name: self.table_name,
            next_token: self.next_token,
            max_results: self.max_results,
        };
        ListContributorInsights::parse(input).map(Op::ListContributorInsights)
    }
}

impl Ask for proto::ListExportsRequest {
    fn op(self, _: Option<&str>) -> Result<Op, OpError> {
        let input = ListExportsInput {
            table_arn: self.table_arn,
            max_results: self.max_results,
            next_token: self.next_token,
        };
        ListExports::parse(input).map(Op::ListExports)
    }
}

impl Ask for proto::ListImportsRequest {
    fn op(self, _: Option<&str>) -> Result<Op, OpError> {
        let input = ListImportsInput {
            table_arn: self.table_arn,
            page_size: self.page_size,
            next_token: self.next_token,
        };
        ListImports::parse(input).map(Op::ListImports)
    }
}

impl Ask for proto::ListBulkOperationsRequest {
    fn op(self, _: Option<&str>) -> Result<Op, OpError> {
        let input = ListBulkOperationsInput { max_results: self.max_results, next_token: self.next_token };
        ListBulkOperations::parse(input).map(Op::ListBulkOperations)
    }
}

impl Ask for proto::GetResourcePolicyRequest {
    fn op(self, _: Option<&str>) -> Result<Op, OpError> {
        let input = GetResourcePolicyInput { resource_arn: required(self.resource_arn) };
        GetResourcePolicy::parse(input).map(Op::GetResourcePolicy)
    }
}

impl Ask for proto::ListStreamsRequest {
    fn op(self, _: Option<&str>) -> Result<Op, OpError> {
        let input = ListStreamsInput {
            table_name: self.table_name,
            limit: self.limit,
            exclusive_start_stream_arn: self.exclusive_start_stream_arn,
        };
        ListStreams::parse(input).map(Op::ListStreams)
    }
}

impl Ask for proto::DescribeBackupRequest {
    fn op(self, _: Option<&str>) -> Result<Op, OpError> {
        let input = DescribeBackupInput { backup_arn: required(self.backup_arn) };
        DescribeBackup::parse(input).map(Op::DescribeBackup)
    }
}

impl Ask for proto::DescribeExportRequest {
    fn op(self, _: Option<&str>) -> Result<Op, OpError> {
        let input = DescribeExportInput { export_arn: required(self.export_arn) };
        DescribeExport::parse(input).map(Op::DescribeExport)
    }
}

impl Ask for proto::DescribeImportRequest {
    fn op(self, _: Option<&str>) -> Result<Op, OpError> {
        let input = DescribeImportInput { import_arn: required(self.import_arn) };
        DescribeImport::parse(input).map(Op::DescribeImport)
    }
}

impl Ask for proto::DescribeBulkOperationRequest {
    fn op(self, _: Option<&str>) -> Result<Op, OpError> {
        let input = DescribeBulkOperationInput { bulk_operation_arn: required(self.bulk_operation_arn) };
        DescribeBulkOperation::parse(input).map(Op::DescribeBulkOperation)
    }
}

impl Ask for proto::DescribeGlobalTableRequest {
    fn op(self, _: Option<&str>) -> Result<Op, OpError> {
        let input = GlobalTableInput { global_table_name: required(self.global_table_name) };
        DescribeGlobalTable::parse(input).map(Op::DescribeGlobalTable)
    }
}

impl Ask for proto::DescribeGlobalTableSettingsRequest {
    fn op(self, _: Option<&str>) -> Result<Op, OpError> {
        let input = GlobalTableInput { global_table_name: required(self.global_table_name) };
        DescribeGlobalTableSettings::parse(input).map(Op::DescribeGlobalTableSettings)
    }
}

impl Ask for proto::DescribeStreamRequest {
    fn op(self, _: Option<&str>) -> Result<Op, OpError> {
        let filter = |filter: proto::ShardFilter| ShardFilterInput {
            filter_type: filter.r#type,
            shard_id: filter.shard_id,
        };
        let input = DescribeStreamInput {
            stream_arn: required(self.stream_arn),
            limit: self.limit,
            exclusive_start_shard_id: self.exclusive_start_shard_id,
            shard_filter: self.shard_filter.map(filter),
        };
        DescribeStream::parse(input).map(Op::DescribeStream)
    }
}
