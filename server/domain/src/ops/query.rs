//! Query: a page of one partition in the order of its sort keys. One partition lies in one shard, so one plan does it.

use std::collections::BTreeMap;

use trilith_values::Item;

use super::legacy::{self, LegacyFilter};
use super::page::{self, PageOptions};
use super::types::{ConditionInput, Names, PageOutput, ValueFault, Values};
use super::{TableRef, index_read, keys, write};
use crate::catalog::TableRecord;
use crate::error::OpError;
use crate::expr::{BoundKeyCondition, Condition, ExpressionKind, KeyCondition};
use crate::item::ItemKey;
use crate::read::{IndexPage, Plan, QueryPlan};
use crate::validate::{CHECKED, Constraints};

/// What Query is asked. See [`super::types`] on how members arrive.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct QueryInput {
    /// `TableName`.
    pub table_name: Option<String>,
    /// `IndexName`.
    pub index_name: Option<String>,
    /// `Select`.
    pub select: Option<String>,
    /// `Limit`.
    pub limit: Option<i64>,
    /// `ConsistentRead`.
    pub consistent_read: Option<bool>,
    /// `ScanIndexForward`.
    pub scan_index_forward: Option<bool>,
    /// `ExclusiveStartKey`.
    pub exclusive_start_key: Option<Item>,
    /// `ReturnConsumedCapacity`.
    pub return_consumed_capacity: Option<String>,
    /// `ProjectionExpression`.
    pub projection_expression: Option<String>,
    /// `FilterExpression`.
    pub filter_expression: Option<String>,
    /// `KeyConditionExpression`.
    pub key_condition_expression: Option<String>,
    /// `ExpressionAttributeNames`.
    pub expression_attribute_names: Option<Names>,
    /// `ExpressionAttributeValues`.
    pub expression_attribute_values: Option<Values>,
    /// `AttributesToGet`.
    pub attributes_to_get: Option<Vec<String>>,
    /// `KeyConditions`.
    pub key_conditions: Option<BTreeMap<String, ConditionInput>>,
    /// `QueryFilter`.
    pub query_filter: Option<BTreeMap<String, ConditionInput>>,
    /// `ConditionalOperator`.
    pub conditional_operator: Option<String>,
    /// First fault met while decoding attribute values.
    pub value_fault: ValueFault,
}

/// How a query's filter came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum FilterForm {
    /// As `FilterExpression`.
    Expression,
    /// As `QueryFilter`, of which one message speaks in other words.
    Legacy,
    /// In a statement, whose one clause holds conditions on the key too.
    Statement,
}

/// Query, parsed.
#[derive(Clone, Debug, PartialEq)]
pub struct Query {
    /// The table.
    pub table: TableRef,
    /// Which partition and sort keys, with no table in mind yet.
    pub key_condition: KeyCondition,
    /// Ascending.
    pub forward: bool,
    /// How the filter came, which decides whether it may speak of the key.
    filter_form: FilterForm,
    /// What the page shows.
    pub options: PageOptions,
}

impl Query {
    /// All checks that need no table.
    pub fn parse(input: QueryInput) -> Result<Self, OpError> {
        let mut check = Constraints::new();
        let table = check.table("tableName", input.table_name.as_deref());
        check.name("indexName", input.index_name.as_deref());
        let select = check.select(input.select.as_deref());
        check.at_least("limit", input.limit, 1);
        let consumed = check.return_consumed(input.return_consumed_capacity.as_deref());
        let attributes = input.attributes_to_get.as_ref();
        legacy::check_attributes(&mut check, "attributesToGet", attributes);
        let key_conditions = legacy::check_key_conditions(&mut check, input.key_conditions);
        let operator = input.conditional_operator.as_deref();
        let older = LegacyFilter::of_page(&mut check, "queryFilter", input.query_filter, operator);
        check.finish()?;

        let key_text = input.key_condition_expression.as_deref();
        let filter = input.filter_expression.as_deref();
        let projection = input.projection_expression.as_deref();
        legacy::check_not_mixed(
            &[
                ("AttributesToGet", attributes.is_some()),
                ("QueryFilter", older.is_present()),
                ("ConditionalOperator", older.has_operator()),
                ("KeyConditions", key_conditions.is_some()),
            ],
            &[
                ("ProjectionExpression", projection.is_some()),
                ("FilterExpression", filter.is_some()),
                ("KeyConditionExpression", key_text.is_some()),
            ],
        )?;
        let mut placeholders = write::placeholders(
            input.expression_attribute_names.as_ref(),
            input.expression_attribute_values.as_ref(),
            input.value_fault,
            &[
                (ExpressionKind::Filter, filter.is_some()),
                (ExpressionKind::KeyCondition, key_text.is_some()),
                (ExpressionKind::Projection, projection.is_some()),
            ],
        )?;
        let filter_form = if older.is_present() { FilterForm::Legacy } else { FilterForm::Expression };
        if key_text.is_none() && key_conditions.is_none() {
            return Err(no_key_condition());
        }
        let filter = page::read_filter(&mut placeholders, filter, older)?;
        let projection_shown = write::read_projection(&mut placeholders, projection, attributes)?;
        let key_condition = key_text.map(|text| placeholders.key_condition(text)).transpose()?;
        placeholders.finish()?;
        let key_condition = match (key_condition, key_conditions) {
            (Some(condition), _) => KeyCondition::of(condition)?,
            (None, conditions) => legacy::key_condition(conditions.unwrap_or_default())?,
        };
        let shown = page::check_select(select, projection, attributes, input.index_name.is_some())?;
        let options = PageOptions {
            limit: page::limit(input.limit),
            consistent: input.consistent_read.unwrap_or(false),
            start: input.exclusive_start_key,
            filter,
            projection: projection_shown,
            shown,
            index: input.index_name,
            consumed,
        };
        let forward = input.scan_index_forward.unwrap_or(true);
        Ok(Self { table: table.expect(CHECKED), key_condition, forward, filter_form, options })
    }

    /// As a statement means it.
    pub(crate) fn of_statement(
        table: TableRef,
        key_condition: KeyCondition,
        forward: bool,
        options: PageOptions,
    ) -> Self {
        Self { table, key_condition, forward, filter_form: FilterForm::Statement, options }
    }

    /// The plan for this table.
    pub fn bind(&self, record: &TableRecord) -> Result<Plan, OpError> {
        keys::check_usable(record)?;
        if let Some(name) = &self.options.index {
            return self.bind_index(record, name);
        }
        let hash = &record.definition.hash;
        let range = record.definition.range.as_ref().map(|range| (range.name.as_str(), range.kind));
        let bound = self.key_condition.bind(&hash.name, hash.kind, range)?;
        let start_after = self.options.start_key(record, "The provided starting key is invalid")?;
        if let Some(start) = &start_after {
            check_start(&bound, start)?;
        }
        self.options.check_projection(record)?;
        if let Some(filter) = &self.options.filter {
            self.check_filter(record, filter)?;
        }
        Ok(Plan::Query(QueryPlan {
            table: record.id,
            schema: record.version,
            hash: trilith_values::key::partition_hash(record.seed, &bound.hash),
            partition: bound.hash,
            range: bound.range,
            forward: self.forward,
            start_after,
            shape: self.options.shape(),
        }))
    }

    fn bind_index(&self, record: &TableRecord, name: &str) -> Result<Plan, OpError> {
        let index = index_read::find(record, "Query", name, &self.options)?;
        if let Some(filter) = &self.options.filter {
            let mut names = filter.paths().map(|path| path.root());
            self.refuse_key(index_read::key_in_filter(&index.schema, &mut names))?;
        }
        let plan = index_read::query(record, index, &self.key_condition, self.forward, &self.options)?;
        Ok(Plan::Index(plan))
    }

    /// A query's filter speaks of what is not in the key: the key condition is there for the rest.
    fn check_filter(&self, record: &TableRecord, filter: &Condition) -> Result<(), OpError> {
        self.refuse_key(
            filter.paths().map(|path| path.root()).find(|name| keys::is_key_attribute(record, name)),
        )
    }

    fn refuse_key(&self, key: Option<&str>) -> Result<(), OpError> {
        let Some(name) = key else { return Ok(()) };
        let what = match self.filter_form {
            FilterForm::Expression => "Filter Expression",
            FilterForm::Legacy => "QueryFilter",
            FilterForm::Statement => return Ok(()),
        };
        Err(OpError::Validation(format!(
            "{what} can only contain non-primary key attributes: Primary key attribute: {name}"
        )))
    }

    /// The answer, from the page that was read.
    pub fn shape(&self, record: &TableRecord, page: IndexPage) -> PageOutput {
        self.options.output(&self.table, record, page)
    }
}

fn no_key_condition() -> OpError {
    OpError::validation(
        "Either the KeyConditions or KeyConditionExpression parameter must be specified in the request.",
    )
}

/// A page starts inside what the query covers. The texts are those that both dynalite and dynoxide have from the
/// service: the condition on the sort key speaks first, and where there is one, a start in another partition is taken
/// for the start behind a single item.
fn check_start(bound: &BoundKeyCondition, start: &ItemKey) -> Result<(), OpError> {
    let inside = start.partition == bound.hash;
    let text = match (&bound.range, &start.sort) {
        (Some(range), Some(sort)) if !range.matches(sort) => {
            "The provided starting key does not match the range key predicate"
        }
        _ if inside => return Ok(()),
        (Some(_), _) => "The query can return at most one row and cannot be restarted",
        (None, _) => "The provided starting key is outside query boundaries based on provided conditions",
    };
    Err(OpError::validation(text))
}
