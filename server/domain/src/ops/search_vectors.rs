//! SearchVectors: the nearest entries of a vector index, all of it or one partition, of those that pass the filters.
//!
//! The condition may say much less than others: equalities of attributes of the index's SearchSchema, joined by `AND`
//! (contract 4.7). Where the schema has a HASH attribute, one of them must be its, and one shard has the answer; else
//! every shard answers its nearest, and the nearest of these are the answer.
//!
//! Shown is what the index projects. The vector itself is shown where it is asked for by name: by a projection
//! expression, or by the index's own INCLUDE. Names that the index does not project are passed over.

use trilith_values::key::KeyValue;
use trilith_values::size::item_size;
use trilith_values::{AttributeValue, Item};

use super::types::{Names, ReturnConsumed, ValueFault, Values};
use super::{TableRef, keys, write};
use crate::capacity;
use crate::catalog::{IndexRecord, IndexStatus, TableRecord};
use crate::error::OpError;
use crate::expr::{Comparator, Condition, ExpressionKind, Operand, Projection, Test};
use crate::keyspace;
use crate::limits::{DIMENSIONS_MAX, SEARCH_BYTES_MAX, TOP_K_MAX};
use crate::read::{IndexRun, Nearest, Neighbour, Plan, VectorPlan};
use crate::schema::vector::{self, Fault};
use crate::schema::{IndexProjection, IndexSchema, IndexScope, KeyAttribute, VectorSchema};
use crate::validate::{CHECKED, Constraints};

/// What SearchVectors is asked. See [`super::types`] on how members arrive.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SearchVectorsInput {
    /// `TableName`.
    pub table_name: Option<String>,
    /// `IndexName`.
    pub index_name: Option<String>,
    /// `ReturnConsumedCapacity`.
    pub return_consumed_capacity: Option<String>,
    /// `ExpressionAttributeNames`.
    pub expression_attribute_names: Option<Names>,
    /// `ExpressionAttributeValues`.
    pub expression_attribute_values: Option<Values>,
    /// `ProjectionExpression`.
    pub projection_expression: Option<String>,
    /// `SearchVector`.
    pub search_vector: Option<Vec<AttributeValue>>,
    /// `SearchConditionExpression`.
    pub search_condition_expression: Option<String>,
    /// `TopK`.
    pub top_k: Option<i64>,
    /// First fault met while decoding attribute values.
    pub value_fault: ValueFault,
}

/// SearchVectors, parsed.
#[derive(Clone, Debug, PartialEq)]
pub struct SearchVectors {
    /// The table.
    pub table: TableRef,
    /// The index.
    pub index: String,
    /// What is searched for; finite.
    pub vector: Vec<f32>,
    /// How many at the most.
    pub top: u32,
    /// What the condition asks of attributes: each once.
    pub equal: Vec<(String, AttributeValue)>,
    /// What of each entry; `None` is all that the index shows.
    pub projection: Option<Projection>,
    /// `ReturnConsumedCapacity`.
    pub consumed: ReturnConsumed,
}

/// What SearchVectors answers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SearchVectorsOutput {
    /// `SearchResults`, the best first.
    pub search_results: Vec<SearchResult>,
    /// `ConsumedCapacity.VectorSearchRequestBytes`.
    pub search_bytes: Option<u64>,
}

/// An element of `SearchResults`.
#[derive(Clone, Debug, PartialEq)]
pub struct SearchResult {
    /// `Item`.
    pub item: Item,
    /// `Score`.
    pub score: f64,
}

impl SearchVectors {
    /// All checks that need no table.
    pub fn parse(input: SearchVectorsInput) -> Result<Self, OpError> {
        let mut check = Constraints::new();
        let table = check.table("tableName", input.table_name.as_deref());
        check.required("indexName", input.index_name.as_ref());
        check.name("indexName", input.index_name.as_deref());
        let consumed = check.return_consumed(input.return_consumed_capacity.as_deref());
        check.required("searchVector", input.search_vector.as_ref());
        if let Some(vector) = &input.search_vector {
            check.count("searchVector", vector.len(), 1, DIMENSIONS_MAX);
        }
        check.required("topK", input.top_k.as_ref());
        check.at_least("topK", input.top_k, 1);
        check.finish()?;

        let condition = input.search_condition_expression.as_deref();
        let projection = input.projection_expression.as_deref();
        let mut placeholders = write::placeholders(
            input.expression_attribute_names.as_ref(),
            input.expression_attribute_values.as_ref(),
            input.value_fault,
            &[
                (ExpressionKind::SearchCondition, condition.is_some()),
                (ExpressionKind::Projection, projection.is_some()),
            ],
        )?;
        let condition = condition
            .map(|text| placeholders.condition(ExpressionKind::SearchCondition, text))
            .transpose()?;
        let projection = write::read_projection(&mut placeholders, projection, None)?;
        placeholders.finish()?;
        let equal = condition.as_ref().map(equalities).transpose()?.unwrap_or_default();
        let top = input.top_k.expect(CHECKED);
        if top > TOP_K_MAX {
            return Err(OpError::Validation(format!(
                "Provided TopK value '{top}' is out of valid range. The value must be between 1 and {TOP_K_MAX} inclusive"
            )));
        }
        Ok(Self {
            table: table.expect(CHECKED),
            index: input.index_name.expect(CHECKED),
            vector: vector::floats(&input.search_vector.expect(CHECKED)).map_err(no_vector)?,
            top: u32::try_from(top).expect("1 to 100"),
            equal,
            projection,
            consumed,
        })
    }

    /// The searches of the shards that have the entries.
    pub fn bind(&self, record: &TableRecord) -> Result<Vec<Plan>, OpError> {
        keys::check_usable(record)?;
        let (index, vector) = find(record, &self.index)?;
        let asked = self.vector.len();
        if asked != vector.dimensions as usize {
            return Err(OpError::Validation(format!(
                "Input search vector dimension {asked} does not match vector index dimension {}",
                vector.dimensions
            )));
        }
        keys::check_scalar(record, self.projection.iter().flat_map(Projection::paths))?;
        let BoundCondition { hash, filters } = self.bind_condition(&index.schema, vector)?;
        let runs = match hash {
            Some(value) => vec![partition(&index.schema, value)],
            None => index.spans.iter().map(|span| IndexRun::Interval(span.interval)).collect(),
        };
        let plan = |run| VectorPlan {
            index: index.schema.id,
            schema: index.schema.span_schema(record.id).version,
            run,
            distance: vector.distance,
            vector: self.vector.clone(),
            top: self.top,
            filters: filters.clone(),
            shown: self.shows_vector(&index.schema, vector).then(|| vector.attribute.clone()),
            projection: self.projection.clone(),
        };
        Ok(runs.into_iter().map(|run| Plan::Vectors(Box::new(plan(run)))).collect())
    }

    /// The condition against the index: the value of its HASH attribute, where it has one, and what filters must be.
    fn bind_condition(&self, schema: &IndexSchema, vector: &VectorSchema) -> Result<BoundCondition, OpError> {
        let (mut hash, mut filters) = (None, Vec::new());
        for (name, value) in &self.equal {
            let named = |attribute: &&KeyAttribute| attribute.name == *name;
            let of_hash = schema.hash.iter().find(named);
            let Some(attribute) = of_hash.or_else(|| vector.filters.iter().find(named)) else {
                return Err(invalid(&format!(
                    "The attribute {name} is not in the SearchSchema of the index"
                )));
            };
            let key = KeyValue::try_from(value).ok().filter(|key| key.key_type() == attribute.kind);
            let Some(key) = key else {
                return Err(OpError::validation(
                    "One or more parameter values were invalid: Condition parameter type does not match schema type",
                ));
            };
            match of_hash {
                Some(_) => hash = Some(key),
                None => filters.push((name.clone(), value.clone())),
            }
        }
        if hash.is_none() && !schema.hash.is_empty() {
            return Err(OpError::validation(
                "SearchConditionExpression must be provided when SearchSchema has a HASH key",
            ));
        }
        Ok(BoundCondition { hash, filters })
    }

    fn shows_vector(&self, schema: &IndexSchema, vector: &VectorSchema) -> bool {
        match (&self.projection, &schema.projection) {
            (Some(asked), _) => asked.paths().any(|path| path.root() == vector.attribute),
            (None, IndexProjection::Include(names)) => names.contains(&vector.attribute),
            (None, IndexProjection::All | IndexProjection::KeysOnly) => false,
        }
    }

    /// The answer, from those of all shards.
    pub fn shape(&self, record: &TableRecord, parts: Vec<Nearest>) -> SearchVectorsOutput {
        let Ok((_, vector)) = find(record, &self.index) else {
            unreachable!("the record is the one that the plans were bound to");
        };
        let vectors = parts.iter().map(|part| part.vectors).sum();
        let mut found: Vec<Neighbour> = parts.into_iter().flat_map(|part| part.found).collect();
        found.sort_by(|one, other| {
            one.distance.total_cmp(&other.distance).then_with(|| one.key.cmp(&other.key))
        });
        found.truncate(self.top as usize);
        let mut returned = 0;
        let fits = |neighbour: &Neighbour| {
            let bytes = item_size(&neighbour.item) as u64;
            let fits = returned + bytes <= SEARCH_BYTES_MAX;
            returned += if fits { bytes } else { 0 };
            fits
        };
        let result = |neighbour: Neighbour| SearchResult {
            item: neighbour.item,
            score: vector.distance.score(neighbour.distance),
        };
        let search_results = found.into_iter().take_while(fits).map(result).collect();
        let of_vector = 4 * u64::from(vector.dimensions);
        let bytes = capacity::vector_search_bytes(vectors, of_vector, u64::from(self.top), returned);
        let search_bytes = (self.consumed != ReturnConsumed::None).then_some(bytes);
        SearchVectorsOutput { search_results, search_bytes }
    }
}

/// A condition that fits an index.
struct BoundCondition {
    /// The value of the HASH attribute.
    hash: Option<KeyValue>,
    /// Those of others.
    filters: Vec<(String, AttributeValue)>,
}

/// The vector index of this name, where it can be searched.
fn find<'r>(record: &'r TableRecord, name: &str) -> Result<(&'r IndexRecord, &'r VectorSchema), OpError> {
    let absent = || OpError::Validation(format!("The table does not have the specified index: {name}"));
    let index = record.definition.index(name).ok_or_else(absent)?;
    let Some(vector) = &index.schema.vector else {
        // After the text for Query; the service's own is not on record.
        return Err(OpError::validation("SearchVectors operation not supported on this index type."));
    };
    match (index.status, index.backfilling) {
        (IndexStatus::Creating, Some(true)) => {
            Err(OpError::Validation(format!("Cannot search backfilling vector index: {name}")))
        }
        // The service's documentation: before its backfill begins, and while it goes, it is as if it were not there.
        (IndexStatus::Creating, Some(false)) | (IndexStatus::Deleting, _) => Err(absent()),
        (IndexStatus::Creating, None) | (IndexStatus::Active, _) => Ok((index, vector)),
    }
}

/// The entries of one partition.
fn partition(schema: &IndexSchema, value: KeyValue) -> IndexRun {
    let seed = match schema.scope {
        IndexScope::Global { seed } => seed,
        IndexScope::Local => unreachable!("a vector index has spans of its own"),
    };
    let values = [value];
    let hash = IndexSchema::hash_of(seed, &values);
    let prefix = keyspace::global_index_prefix(schema.id, hash, values.iter());
    IndexRun::Partition { hash, prefix, range: None, forward: true }
}

/// The equalities that a condition consists of, each attribute once.
fn equalities(condition: &Condition) -> Result<Vec<(String, AttributeValue)>, OpError> {
    let mut equal: Vec<(String, AttributeValue)> = Vec::new();
    let mut rest = vec![&condition.test];
    while let Some(test) = rest.pop() {
        let (path, value) = match test {
            Test::And(tests) => {
                rest.extend(tests.iter().rev());
                continue;
            }
            Test::Compare(Comparator::Equal, Operand::Path(path), Operand::Literal(value))
            | Test::Compare(Comparator::Equal, Operand::Literal(value), Operand::Path(path)) => (path, value),
            Test::Compare(Comparator::Equal, ..) => {
                return Err(invalid("An equality is between an attribute and a value"));
            }
            _ => return Err(invalid("Invalid comparator used in SearchConditionExpression")),
        };
        if path.is_nested() {
            return Err(invalid("Only top-level attributes can be used"));
        }
        let name = path.root().to_owned();
        if equal.iter().any(|(other, _)| *other == name) {
            return Err(invalid(&format!("The attribute {name} is used more than once")));
        }
        let value = condition.literals.get(usize::from(*value)).cloned();
        equal.push((name, value.expect("the parser gives every literal a value")));
    }
    Ok(equal)
}

fn invalid(what: &str) -> OpError {
    OpError::Validation(format!("Invalid SearchConditionExpression: {what}"))
}

/// A search vector that is none. Texts after those of writes; the service's own are not on record.
fn no_vector(fault: Fault) -> OpError {
    const INVALID: &str = "One or more parameter values were invalid";
    OpError::Validation(match fault {
        Fault::NoNumber(at, found) => {
            format!("{INVALID}: Invalid type for parameter SearchVector[{at}], Expected: N, Actual: {found}")
        }
        Fault::Range(at) => format!(
            "{INVALID}: Invalid value for parameter SearchVector[{at}], Expected: a number that a 32-bit float can hold"
        ),
        Fault::NoList(_) | Fault::Length(_) => unreachable!("a list of any length was asked for"),
    })
}
