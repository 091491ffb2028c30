//! Vector indexes in CreateTable, UpdateTable and descriptions: their members, their checks, and what is told of them.
//!
//! Texts are those of contract 14.5 and 14.2; where both are silent they are ours, after those of global indexes.

use std::collections::{BTreeMap, BTreeSet};

use trilith_values::TableId;

use super::create_table::define_in;
use super::describe_table::Counts;
use super::indexes;
use super::types::{
    AttributeDefinition, SearchSchemaElement, VectorAttribute, VectorIndexDescription, VectorIndexInput,
    VectorIndexUpdateInput,
};
use crate::arn;
use crate::catalog::indexes::{ONE_AT_A_TIME, VECTORS_ON_DEMAND, different_dimensions};
use crate::catalog::{BillingMode, IndexChange, IndexRecord, IndexStatus, TableRecord, TableStatus, Units};
use crate::error::OpError;
use crate::limits::{
    ATTRIBUTE_NAME_MAX, DIMENSIONS_MAX, INLINE_FILTERS_MAX, KEY_ATTRIBUTE_NAME_MAX, VECTOR_INDEXES_MAX,
};
use crate::schema::vector::DISTANCE_FUNCTIONS;
use crate::schema::{IndexKind, IndexSchema, IndexScope, KeyAttribute, VectorSchema};
use crate::validate::{CHECKED, Constraints};

const INVALID: &str = "One or more parameter values were invalid";

/// `SearchSchemaElementType`.
const ELEMENT_TYPES: [(&str, ()); 2] = [("HASH", ()), ("INLINE_FILTER", ())];

/// What the model says of `VectorIndexes`.
pub(super) fn check_list(check: &mut Constraints, list: Option<&[VectorIndexInput]>) {
    for (i, index) in list.unwrap_or_default().iter().enumerate() {
        if check.is_full() {
            break;
        }
        check_index(check, &format!("vectorIndexes.{}.member", i + 1), index);
    }
}

/// What the model says of `VectorIndexUpdates`.
pub(super) fn check_updates(check: &mut Constraints, updates: &[VectorIndexUpdateInput]) {
    for (i, update) in updates.iter().enumerate() {
        if check.is_full() {
            break;
        }
        let path = format!("vectorIndexUpdates.{}.member", i + 1);
        if let Some(create) = &update.create {
            check_index(check, &format!("{path}.create"), create);
        }
        if let Some(delete) = &update.delete {
            check_name(check, &format!("{path}.delete"), delete);
        }
    }
}

fn check_name(check: &mut Constraints, path: &str, index: &VectorIndexInput) {
    let path = format!("{path}.indexName");
    check.required(&path, index.index_name.as_ref());
    check.name(&path, index.index_name.as_deref());
}

fn check_index(check: &mut Constraints, path: &str, index: &VectorIndexInput) {
    check_name(check, path, index);
    check.required(&format!("{path}.vectorAttribute"), index.vector_attribute.as_ref());
    if let Some(attribute) = &index.vector_attribute {
        let path = format!("{path}.vectorAttribute.attributeName");
        check.required(&path, attribute.attribute_name.as_ref());
        check.length(&path, attribute.attribute_name.as_deref(), 1, KEY_ATTRIBUTE_NAME_MAX);
    }
    if let Some(elements) = &index.search_schema {
        let path = format!("{path}.searchSchema");
        // The model has no upper bound; more than the service takes is told by `elements_of`.
        check.count(&path, elements.len(), 1, usize::MAX);
        for (i, element) in elements.iter().enumerate() {
            if check.is_full() {
                break;
            }
            let path = format!("{path}.{}.member", i + 1);
            let name = format!("{path}.attributeName");
            check.required(&name, element.attribute_name.as_ref());
            check.length(&name, element.attribute_name.as_deref(), 0, ATTRIBUTE_NAME_MAX);
            let path = format!("{path}.searchSchemaElementType");
            check.required(&path, element.search_schema_element_type.as_ref());
            check.one_of(&path, element.search_schema_element_type.as_deref(), &ELEMENT_TYPES);
        }
    }
    check.required(&format!("{path}.projection"), index.projection.as_ref());
    indexes::check_projection(check, path, index.projection.as_ref());
    check.required(&format!("{path}.dimensions"), index.dimensions.as_ref());
    check.at_least(&format!("{path}.dimensions"), index.dimensions, 1);
    let path = format!("{path}.distanceFunction");
    check.required(&path, index.distance_function.as_ref());
    check.one_of(&path, index.distance_function.as_deref(), &DISTANCE_FUNCTIONS);
}

/// The vector indexes of a table that is to be made, in the order of the request.
pub(super) fn resolve(
    list: Option<&[VectorIndexInput]>,
    table: &[&str],
    definitions: &[AttributeDefinition],
    billing: BillingMode,
) -> Result<Vec<IndexRecord>, OpError> {
    if list.is_some_and(<[VectorIndexInput]>::is_empty) {
        return Err(OpError::Validation(format!("{INVALID}: List of VectorIndexes is empty")));
    }
    list.unwrap_or_default().iter().map(|index| record(index, table, definitions, billing)).collect()
}

/// What holds over all indexes of a table.
pub(super) fn check_all(indexes: &[IndexRecord]) -> Result<(), OpError> {
    let vectors = indexes.iter().filter(|index| index.schema.kind() == IndexKind::Vector).count();
    if vectors > VECTOR_INDEXES_MAX {
        return Err(OpError::Validation(format!(
            "{INVALID}: VectorIndex count exceeds the per-table limit of {VECTOR_INDEXES_MAX}"
        )));
    }
    different_dimensions(indexes.iter()).map_or(Ok(()), |refused| Err(OpError::Validation(refused)))
}

/// A vector index. Its id, seed and spans are the catalog's to give. `table` are the attributes of the table's key.
fn record(
    input: &VectorIndexInput,
    table: &[&str],
    definitions: &[AttributeDefinition],
    billing: BillingMode,
) -> Result<IndexRecord, OpError> {
    if billing == BillingMode::Provisioned {
        return Err(OpError::validation(VECTORS_ON_DEMAND));
    }
    let name = input.index_name.clone().expect(CHECKED);
    let attribute = input.vector_attribute.as_ref().and_then(|named| named.attribute_name.clone());
    let attribute = attribute.expect(CHECKED);
    let dimensions = u32::try_from(input.dimensions.expect(CHECKED)).unwrap_or(u32::MAX);
    if dimensions as usize > DIMENSIONS_MAX {
        return Err(OpError::Validation(format!(
            "{INVALID}: Dimensions of index {name} must be between 1 and {DIMENSIONS_MAX} inclusive"
        )));
    }
    let elements = input.search_schema.as_deref().unwrap_or_default();
    let (hash, filters) = elements_of(&name, elements, definitions)?;
    let mut declared = table.iter().copied().chain(hash.iter().chain(&filters).map(|key| key.name.as_str()));
    if declared.any(|declared| declared == attribute) {
        return Err(OpError::Validation(format!(
            "{INVALID}: The vector attribute {attribute} of index {name} can be neither a key attribute nor in SearchSchema"
        )));
    }
    let distance = input.distance_function.as_deref();
    let distance = DISTANCE_FUNCTIONS.iter().find(|(name, _)| Some(*name) == distance).expect(CHECKED).1;
    let schema = IndexSchema {
        id: TableId(0),
        name,
        scope: IndexScope::Global { seed: 0 },
        hash,
        range: Vec::new(),
        projection: indexes::projection(input.projection.as_ref())?,
        vector: Some(VectorSchema { attribute, dimensions, distance, filters }),
    };
    Ok(IndexRecord {
        schema,
        status: IndexStatus::Creating,
        backfilling: None,
        throughput: Units::default(),
        on_demand_maximum: None,
        warm: None,
        spans: Vec::new(),
    })
}

/// HASH and INLINE_FILTER attributes of a search schema, with their types.
fn elements_of(
    index: &str,
    elements: &[SearchSchemaElement],
    definitions: &[AttributeDefinition],
) -> Result<(Vec<KeyAttribute>, Vec<KeyAttribute>), OpError> {
    let (mut hash, mut filters, mut seen) = (Vec::new(), Vec::new(), BTreeSet::new());
    for element in elements {
        let name = element.attribute_name.as_deref().expect(CHECKED);
        let Some(attribute) = define_in(name, definitions) else {
            return Err(OpError::Validation(format!(
                "{INVALID}: One element in SearchSchema is not defined in attribute definitions"
            )));
        };
        if !seen.insert(name) {
            return Err(OpError::Validation(format!(
                "{INVALID}: The attribute {name} is more than once in the SearchSchema of index {index}"
            )));
        }
        let is_hash = element.search_schema_element_type.as_deref() == Some("HASH");
        if is_hash { hash.push(attribute) } else { filters.push(attribute) }
    }
    if hash.len() > 1 || filters.len() > INLINE_FILTERS_MAX {
        return Err(OpError::Validation(format!(
            "{INVALID}: The SearchSchema of index {index} has at most one HASH and {INLINE_FILTERS_MAX} INLINE_FILTER \
             elements"
        )));
    }
    Ok((hash, filters))
}

/// Each update is one of two, and one index at the most is made or dropped; `others` are those of global indexes.
pub(super) fn check_one_at_a_time(updates: &[VectorIndexUpdateInput], others: usize) -> Result<(), OpError> {
    if updates.iter().any(|update| update.create.is_some() == update.delete.is_some()) {
        return Err(OpError::Validation(format!(
            "{INVALID}: One of VectorIndexUpdate.Create, VectorIndexUpdate.Delete must not be null"
        )));
    }
    if !updates.is_empty() && updates.len() + others > 1 {
        return Err(OpError::LimitExceeded(ONE_AT_A_TIME.to_owned()));
    }
    Ok(())
}

/// The changes of a table's vector indexes. Attributes of a search schema are defined in the request, or known of the
/// table.
pub(super) fn resolve_updates(
    record_of: &TableRecord,
    updates: &[VectorIndexUpdateInput],
    definitions: &[AttributeDefinition],
) -> Result<Vec<IndexChange>, OpError> {
    let definition = &record_of.definition;
    let known = indexes::known_definitions(definition, definitions);
    let table: Vec<&str> =
        std::iter::once(&definition.hash).chain(&definition.range).map(|key| key.name.as_str()).collect();
    let change = |update: &VectorIndexUpdateInput| {
        if let Some(delete) = &update.delete {
            return Ok(IndexChange::DeleteVector(delete.index_name.clone().expect(CHECKED)));
        }
        let create = update.create.as_ref().expect("one of both, checked before");
        let index = record(create, &table, &known, definition.billing)?;
        Ok(IndexChange::Create(Box::new(index)))
    };
    updates.iter().map(change).collect()
}

/// The descriptions of a table's vector indexes; `None` where it has none. While a table is deleted nothing is told of
/// its indexes.
pub(super) fn describe(
    record: &TableRecord,
    counts: &BTreeMap<TableId, Counts>,
    region: &str,
) -> Option<Vec<VectorIndexDescription>> {
    if record.status == TableStatus::Deleting {
        return None;
    }
    let describe = |index: &IndexRecord| {
        let vector = index.schema.vector.as_ref()?;
        let counts = counts.get(&index.schema.id).copied().unwrap_or_default();
        Some(describe_one(record, index, vector, counts, region))
    };
    let described: Vec<_> = record.definition.indexes.iter().filter_map(describe).collect();
    (!described.is_empty()).then_some(described)
}

fn describe_one(
    record: &TableRecord,
    index: &IndexRecord,
    vector: &VectorSchema,
    counts: Counts,
    region: &str,
) -> VectorIndexDescription {
    let element = |attribute: &KeyAttribute, kind: &str| SearchSchemaElement {
        attribute_name: Some(attribute.name.clone()),
        search_schema_element_type: Some(kind.to_owned()),
    };
    let hash = index.schema.hash.iter().map(|attribute| element(attribute, "HASH"));
    let filters = vector.filters.iter().map(|attribute| element(attribute, "INLINE_FILTER"));
    let elements: Vec<_> = hash.chain(filters).collect();
    VectorIndexDescription {
        index_name: index.schema.name.clone(),
        search_schema: (!elements.is_empty()).then_some(elements),
        projection: indexes::describe_projection(&index.schema.projection),
        vector_attribute: VectorAttribute { attribute_name: Some(vector.attribute.clone()) },
        dimensions: vector.dimensions,
        distance_function: vector.distance.as_str(),
        index_status: index.status,
        backfilling: index.backfilling.filter(|_| index.status == IndexStatus::Creating),
        index_size_bytes: counts.bytes,
        item_count: counts.items,
        index_arn: arn::index_arn(region, record.account, &record.name, &index.schema.name),
    }
}
