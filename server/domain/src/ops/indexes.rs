//! Indexes in CreateTable, UpdateTable and descriptions: their members, their checks, and what is told of them.
//!
//! Texts are those of contract 14.2 and, where it is silent, those that well-kept emulators agree on.

use std::collections::{BTreeMap, BTreeSet};

use trilith_values::TableId;

use super::create_table::{check_key_schema_elements, define_in};
use super::describe_table::{Counts, KEY_TYPES, warm_base};
use super::types::{
    AttributeDefinition, IndexDescription, IndexInput, IndexUpdateInput, KeySchemaElement,
    OnDemandThroughput, Projection, ThroughputDescription, WarmThroughputDescription,
};
use super::{settings, vector_indexes};
use crate::arn;
use crate::catalog::indexes::ONE_AT_A_TIME;
use crate::catalog::{
    BillingMode, IndexChange, IndexRecord, IndexStatus, TableDefinition, TableRecord, TableStatus, Units,
};
use crate::error::OpError;
use crate::limits::{
    GLOBAL_INDEXES_MAX, INDEX_KEY_ATTRIBUTES_MAX, KEY_ATTRIBUTE_NAME_MAX, LOCAL_INDEXES_MAX,
    NON_KEY_ATTRIBUTES_MAX, NON_KEY_ATTRIBUTES_TOTAL_MAX,
};
use crate::schema::{IndexKind, IndexProjection, IndexSchema, IndexScope, KeyAttribute};
use crate::validate::Constraints;

const INVALID: &str = "One or more parameter values were invalid";

/// `ProjectionType`.
const PROJECTION_TYPES: [(&str, ()); 3] = [("ALL", ()), ("KEYS_ONLY", ()), ("INCLUDE", ())];

/// What the model says of the members of an index.
pub(super) fn check_index(check: &mut Constraints, path: &str, index: &IndexInput, elements_max: usize) {
    check.required(&format!("{path}.indexName"), index.index_name.as_ref());
    check.name(&format!("{path}.indexName"), index.index_name.as_deref());
    check.required(&format!("{path}.keySchema"), index.key_schema.as_ref());
    let keys = format!("{path}.keySchema");
    check_key_schema_elements(check, &keys, index.key_schema.as_deref(), elements_max);
    check.required(&format!("{path}.projection"), index.projection.as_ref());
    check_projection(check, path, index.projection.as_ref());
    check.throughput_at(&format!("{path}.provisionedThroughput"), index.provisioned_throughput.as_ref());
}

/// What the model says of the projection of the index at `path`.
pub(super) fn check_projection(check: &mut Constraints, path: &str, projection: Option<&Projection>) {
    if let Some(projection) = projection {
        let path = format!("{path}.projection");
        check.one_of(
            &format!("{path}.projectionType"),
            projection.projection_type.as_deref(),
            &PROJECTION_TYPES,
        );
        if let Some(names) = &projection.non_key_attributes {
            let path = format!("{path}.nonKeyAttributes");
            check.count(&path, names.len(), 1, NON_KEY_ATTRIBUTES_MAX);
            for (i, name) in names.iter().take(NON_KEY_ATTRIBUTES_MAX).enumerate() {
                let path = format!("{path}.{}.member", i + 1);
                check.length(&path, Some(name), 1, KEY_ATTRIBUTE_NAME_MAX);
            }
        }
    }
}

/// What the model says of lists of indexes.
pub(super) fn check_lists(
    check: &mut Constraints,
    local: Option<&[IndexInput]>,
    global: Option<&[IndexInput]>,
) {
    let lists = [
        ("localSecondaryIndexes", local, 2),
        ("globalSecondaryIndexes", global, 2 * INDEX_KEY_ATTRIBUTES_MAX),
    ];
    for (path, list, elements_max) in lists {
        for (i, index) in list.unwrap_or_default().iter().enumerate() {
            if check.is_full() {
                break;
            }
            check_index(check, &format!("{path}.{}.member", i + 1), index, elements_max);
        }
    }
}

/// The indexes of a table that is to be made, local ones first. Their attributes are among `definitions`.
pub(super) fn resolve(
    local: Option<&[IndexInput]>,
    global: Option<&[IndexInput]>,
    (hash, range): (&KeyAttribute, Option<&KeyAttribute>),
    definitions: &[AttributeDefinition],
    billing: BillingMode,
) -> Result<Vec<IndexRecord>, OpError> {
    for (name, list) in [("LocalSecondaryIndexes", local), ("GlobalSecondaryIndexes", global)] {
        if list.is_some_and(<[IndexInput]>::is_empty) {
            return Err(OpError::Validation(format!("{INVALID}: List of {name} is empty")));
        }
    }
    let (local, global) = (local.unwrap_or_default(), global.unwrap_or_default());
    if !local.is_empty() && range.is_none() {
        return Err(OpError::Validation(format!(
            "{INVALID}: Table KeySchema does not have a range key, which is required when specifying a \
             LocalSecondaryIndex"
        )));
    }
    let mut indexes = Vec::new();
    for index in local {
        indexes.push(local_index(index, hash, definitions)?);
    }
    for index in global {
        indexes.push(global_index(index, definitions, billing)?);
    }
    Ok(indexes)
}

/// What holds over all indexes of a table: distinct names, and the limits of their numbers.
pub(super) fn check_all(indexes: &[IndexRecord]) -> Result<(), OpError> {
    let mut names = BTreeSet::new();
    for index in indexes {
        if !names.insert(&index.schema.name) {
            let name = &index.schema.name;
            return Err(OpError::Validation(format!("{INVALID}: Duplicate index name: {name}")));
        }
    }
    let count = |kind| indexes.iter().filter(|index| index.schema.kind() == kind).count();
    let local = count(IndexKind::Local);
    if local > LOCAL_INDEXES_MAX {
        return Err(OpError::Validation(format!(
            "{INVALID}: Number of LocalSecondaryIndexes exceeds per-table limit of {LOCAL_INDEXES_MAX}"
        )));
    }
    if count(IndexKind::Global) > GLOBAL_INDEXES_MAX {
        return Err(OpError::Validation(format!(
            "{INVALID}: GlobalSecondaryIndex count exceeds the per-table limit of {GLOBAL_INDEXES_MAX}"
        )));
    }
    let secondary = indexes.iter().filter(|index| index.schema.kind() != IndexKind::Vector);
    let named = secondary.map(|index| match &index.schema.projection {
        IndexProjection::Include(names) => names.len(),
        IndexProjection::KeysOnly | IndexProjection::All => 0,
    });
    if named.sum::<usize>() > NON_KEY_ATTRIBUTES_TOTAL_MAX {
        return Err(OpError::Validation(format!(
            "{INVALID}: Total number of NonKeyAttributes over all secondary indexes exceeds the limit of \
             {NON_KEY_ATTRIBUTES_TOTAL_MAX}"
        )));
    }
    vector_indexes::check_all(indexes)
}

fn local_index(
    input: &IndexInput,
    table_hash: &KeyAttribute,
    definitions: &[AttributeDefinition],
) -> Result<IndexRecord, OpError> {
    let (hash, range) = keys(input, definitions)?;
    let name = input.index_name.clone().unwrap_or_default();
    let hash = <[KeyAttribute; 1]>::try_from(hash).map_err(|_| second_not_range())?;
    if range.is_empty() {
        return Err(OpError::Validation(format!(
            "{INVALID}: Index KeySchema does not have a range key for index: {name}"
        )));
    }
    if hash[0].name != table_hash.name {
        return Err(OpError::Validation(format!(
            "{INVALID}: Index KeySchema does not have the same leading hash key as table KeySchema for index: {name}. \
             index hash key: {}, table hash key: {}",
            hash[0].name, table_hash.name
        )));
    }
    record(input, IndexScope::Local, hash.into(), range, Units::default())
}

/// A global index in a table that is charged so. Its id, seed and spans are the catalog's to give.
pub(super) fn global_index(
    input: &IndexInput,
    definitions: &[AttributeDefinition],
    billing: BillingMode,
) -> Result<IndexRecord, OpError> {
    let (hash, range) = keys(input, definitions)?;
    let name = input.index_name.as_deref().unwrap_or_default();
    let units = input.provisioned_throughput.as_ref().and_then(settings::units);
    let throughput = match (billing, units) {
        (BillingMode::Provisioned, None) => {
            return Err(OpError::Validation(format!(
                "{INVALID}: ProvisionedThroughput is not specified for index: {name}"
            )));
        }
        (BillingMode::PayPerRequest, Some(_)) => {
            return Err(OpError::Validation(format!(
                "{INVALID}: ProvisionedThroughput should not be specified for index: {name} when BillingMode is \
                 PAY_PER_REQUEST"
            )));
        }
        (BillingMode::Provisioned, Some(units)) => {
            settings::check_throughput(units)?;
            units
        }
        (BillingMode::PayPerRequest, None) => Units::default(),
    };
    let mut record = record(input, IndexScope::Global { seed: 0 }, hash, range, throughput)?;
    record.on_demand_maximum = settings::on_demand_maximum(input.on_demand_throughput.as_ref())
        .map(|asked| settings::check_on_demand_maximum(billing, None, asked))
        .transpose()?
        .filter(|maximum| maximum.read > 0 || maximum.write > 0);
    record.warm = settings::warm(input.warm_throughput.as_ref())
        .map(|asked| settings::check_warm(billing, throughput, None, asked))
        .transpose()?;
    Ok(record)
}

fn record(
    input: &IndexInput,
    scope: IndexScope,
    hash: Vec<KeyAttribute>,
    range: Vec<KeyAttribute>,
    throughput: Units,
) -> Result<IndexRecord, OpError> {
    let projection = projection(input.projection.as_ref())?;
    let name = input.index_name.clone().unwrap_or_default();
    Ok(IndexRecord {
        schema: IndexSchema { id: TableId(0), name, scope, hash, range, projection, vector: None },
        status: if scope == IndexScope::Local { IndexStatus::Active } else { IndexStatus::Creating },
        backfilling: None,
        throughput,
        on_demand_maximum: None,
        warm: None,
        spans: Vec::new(),
    })
}

/// HASH and RANGE attributes of an index, with their types.
fn keys(
    input: &IndexInput,
    definitions: &[AttributeDefinition],
) -> Result<(Vec<KeyAttribute>, Vec<KeyAttribute>), OpError> {
    let elements = input.key_schema.as_deref().unwrap_or_default();
    let is_hash = |element: &KeySchemaElement| element.key_type.as_deref() == Some("HASH");
    let hashes = elements.iter().take_while(|element| is_hash(element)).count();
    if hashes == 0 {
        return Err(OpError::validation(
            "Invalid KeySchema: The first KeySchemaElement is not a HASH key type",
        ));
    }
    if elements[hashes..].iter().any(is_hash) {
        return Err(second_not_range());
    }
    if hashes > INDEX_KEY_ATTRIBUTES_MAX || elements.len() - hashes > INDEX_KEY_ATTRIBUTES_MAX {
        return Err(OpError::Validation(format!(
            "Invalid KeySchema: An index key has at most {INDEX_KEY_ATTRIBUTES_MAX} HASH and \
             {INDEX_KEY_ATTRIBUTES_MAX} RANGE elements"
        )));
    }
    let names: Vec<&str> = elements.iter().filter_map(|element| element.attribute_name.as_deref()).collect();
    if names.iter().collect::<BTreeSet<_>>().len() != names.len() {
        return Err(OpError::validation(
            "Both the Hash Key and the Range Key element in the KeySchema have the same name",
        ));
    }
    let found: Vec<Option<KeyAttribute>> = names.iter().map(|name| define_in(name, definitions)).collect();
    let Some(mut hash) = found.into_iter().collect::<Option<Vec<_>>>() else {
        let defined: Vec<&str> = definitions.iter().filter_map(|d| d.attribute_name.as_deref()).collect();
        return Err(OpError::Validation(format!(
            "{INVALID}: Some index key attributes are not defined in AttributeDefinitions. Keys: [{}], \
             AttributeDefinitions: [{}]",
            names.join(", "),
            defined.join(", ")
        )));
    };
    let range = hash.split_off(hashes);
    Ok((hash, range))
}

fn second_not_range() -> OpError {
    OpError::validation("Invalid KeySchema: The second KeySchemaElement is not a RANGE key type")
}

/// What an index is to keep.
pub(super) fn projection(input: Option<&Projection>) -> Result<IndexProjection, OpError> {
    let kind = input.and_then(|input| input.projection_type.as_deref());
    let names = input.and_then(|input| input.non_key_attributes.as_ref());
    match (kind, names) {
        (Some("ALL"), None) => Ok(IndexProjection::All),
        (Some("KEYS_ONLY"), None) => Ok(IndexProjection::KeysOnly),
        (Some("INCLUDE"), Some(names)) => Ok(IndexProjection::Include(names.clone())),
        (Some("INCLUDE"), None) => Err(OpError::Validation(format!(
            "{INVALID}: ProjectionType is INCLUDE, but NonKeyAttributes is not specified"
        ))),
        (Some(kind), Some(_)) => Err(OpError::Validation(format!(
            "{INVALID}: ProjectionType is {kind}, but NonKeyAttributes is specified"
        ))),
        (kind, _) => {
            Err(OpError::Validation(format!("{INVALID}: Unknown ProjectionType: {}", kind.unwrap_or("null"))))
        }
    }
}

/// Every attribute that is defined must be of some key, of the table's or of an index's.
pub(super) fn check_all_used(
    table: &[&str],
    indexes: &[IndexRecord],
    definitions: &[AttributeDefinition],
) -> Result<(), OpError> {
    let mut used: Vec<&str> = table.to_vec();
    for attribute in indexes.iter().flat_map(|index| index.schema.declared()) {
        if !used.contains(&attribute.name.as_str()) {
            used.push(&attribute.name);
        }
    }
    let defined: Vec<&str> = definitions.iter().filter_map(|d| d.attribute_name.as_deref()).collect();
    if defined.len() == used.len() && defined.iter().all(|name| used.contains(name)) {
        return Ok(());
    }
    Err(OpError::Validation(format!(
        "{INVALID}: Some AttributeDefinitions are not used. AttributeDefinitions: [{}], keys used: [{}]",
        defined.join(", "),
        used.join(", ")
    )))
}

/// What the model says of `GlobalSecondaryIndexUpdates`.
pub(super) fn check_updates(check: &mut Constraints, updates: &[IndexUpdateInput]) {
    for (i, update) in updates.iter().enumerate() {
        if check.is_full() {
            break;
        }
        let path = format!("globalSecondaryIndexUpdates.{}.member", i + 1);
        if let Some(create) = &update.create {
            check_index(check, &format!("{path}.create"), create, 2 * INDEX_KEY_ATTRIBUTES_MAX);
        }
        for (kind, index) in [("update", &update.update), ("delete", &update.delete)] {
            let Some(index) = index else { continue };
            let path = format!("{path}.{kind}");
            check.required(&format!("{path}.indexName"), index.index_name.as_ref());
            check.name(&format!("{path}.indexName"), index.index_name.as_deref());
            let units = index.provisioned_throughput.as_ref();
            check.throughput_at(&format!("{path}.provisionedThroughput"), units);
        }
    }
}

/// Each update is exactly one of three, and one index at the most is made or dropped.
pub(super) fn check_one_at_a_time(updates: &[IndexUpdateInput]) -> Result<(), OpError> {
    let given = |update: &IndexUpdateInput| {
        [&update.update, &update.create, &update.delete].into_iter().flatten().count()
    };
    if updates.iter().any(|update| given(update) != 1) {
        return Err(OpError::Validation(format!(
            "{INVALID}: One of GlobalSecondaryIndexUpdate.Update, GlobalSecondaryIndexUpdate.Create, \
             GlobalSecondaryIndexUpdate.Delete must not be null"
        )));
    }
    if updates.iter().filter(|update| update.update.is_none()).count() > 1 {
        return Err(OpError::LimitExceeded(ONE_AT_A_TIME.to_owned()));
    }
    Ok(())
}

/// The changes of a table's global indexes. Attributes of a new key are defined in the request, or known of the table.
pub(super) fn resolve_updates(
    record: &TableRecord,
    billing: BillingMode,
    updates: &[IndexUpdateInput],
    definitions: &[AttributeDefinition],
) -> Result<Vec<IndexChange>, OpError> {
    let known = known_definitions(&record.definition, definitions);
    let change = |update: &IndexUpdateInput| {
        if let Some(create) = &update.create {
            let index = global_index(create, &known, billing)?;
            let mut all: Vec<IndexRecord> = record.definition.indexes.clone();
            if !all.iter().any(|other| other.schema.name == index.schema.name) {
                all.push(index.clone());
            }
            check_all(&all)?;
            return Ok(IndexChange::Create(Box::new(index)));
        }
        let name = |index: &IndexInput| index.index_name.clone().unwrap_or_default();
        if let Some(delete) = &update.delete {
            return Ok(IndexChange::Delete(name(delete)));
        }
        let update = update.update.clone().unwrap_or_default();
        settings_of(record, billing, name(&update), &update)
    };
    updates.iter().map(change).collect()
}

/// What a request defines, and what is known of a table's attributes.
pub(super) fn known_definitions(
    definition: &TableDefinition,
    definitions: &[AttributeDefinition],
) -> Vec<AttributeDefinition> {
    let mut known = definitions.to_vec();
    for attribute in key_attributes(definition) {
        let named = |definition: &AttributeDefinition| {
            definition.attribute_name.as_deref() == Some(attribute.name.as_str())
        };
        if !known.iter().any(named) {
            known.push(AttributeDefinition {
                attribute_name: Some(attribute.name.clone()),
                attribute_type: Some(attribute.kind.as_str().to_owned()),
            });
        }
    }
    known
}

/// New settings of an index, in a table that is charged so from then on.
fn settings_of(
    record: &TableRecord,
    billing: BillingMode,
    name: String,
    update: &IndexInput,
) -> Result<IndexChange, OpError> {
    let throughput = update.provisioned_throughput.as_ref().and_then(settings::units);
    if let Some(units) = throughput {
        if billing == BillingMode::PayPerRequest {
            // The service's words to UpdateTable; CreateTable has others.
            return Err(OpError::Validation(format!(
                "{INVALID}: Neither ReadCapacityUnits nor WriteCapacityUnits can be specified for index: {name} when \
                 BillingMode is PAY_PER_REQUEST"
            )));
        }
        settings::check_throughput(units)?;
    }
    let held = record.definition.index(&name);
    let units = throughput.or(held.map(|index| index.throughput)).unwrap_or_default();
    let on_demand_maximum = settings::on_demand_maximum(update.on_demand_throughput.as_ref())
        .map(|asked| {
            let current = held.and_then(|index| index.on_demand_maximum);
            settings::check_on_demand_maximum(billing, current, asked)
        })
        .transpose()?;
    let warm = settings::warm(update.warm_throughput.as_ref())
        .map(|asked| settings::check_warm(billing, units, held.and_then(|index| index.warm), asked))
        .transpose()?;
    Ok(IndexChange::Update { name, throughput, on_demand_maximum, warm })
}

/// All attributes whose types are declared, by the keys of table and indexes and by filters, each once.
pub(super) fn key_attributes(definition: &TableDefinition) -> Vec<&KeyAttribute> {
    let mut all: Vec<&KeyAttribute> = std::iter::once(&definition.hash).chain(&definition.range).collect();
    let live = definition.indexes.iter().filter(|index| index.status != IndexStatus::Deleting);
    for attribute in live.flat_map(|index| index.schema.declared()) {
        if !all.iter().any(|known| known.name == attribute.name) {
            all.push(attribute);
        }
    }
    all
}

/// The descriptions of a table's local, or global, indexes; `None` where it has none. While a table is deleted nothing
/// is told of its indexes.
pub(super) fn describe(
    record: &TableRecord,
    kind: IndexKind,
    counts: &BTreeMap<TableId, Counts>,
    region: &str,
) -> Option<Vec<IndexDescription>> {
    if record.status == TableStatus::Deleting {
        return None;
    }
    let of_kind = record.definition.indexes.iter().filter(|index| index.schema.kind() == kind);
    let described: Vec<_> = of_kind
        .map(|index| {
            let counts = counts.get(&index.schema.id).copied().unwrap_or_default();
            describe_one(record, index, counts, region)
        })
        .collect();
    (!described.is_empty()).then_some(described)
}

fn describe_one(record: &TableRecord, index: &IndexRecord, counts: Counts, region: &str) -> IndexDescription {
    let schema = &index.schema;
    let global = !schema.is_local();
    let element = |attribute: &KeyAttribute, kind: &str| KeySchemaElement {
        attribute_name: Some(attribute.name.clone()),
        key_type: Some(kind.to_owned()),
    };
    let hash = schema.hash.iter().map(|attribute| element(attribute, "HASH"));
    let range = schema.range.iter().map(|attribute| element(attribute, "RANGE"));
    let base = warm_base(record.definition.billing, index.throughput);
    let warm = index.warm.unwrap_or(base);
    IndexDescription {
        index_name: schema.name.clone(),
        key_schema: hash.chain(range).collect(),
        projection: describe_projection(&schema.projection),
        index_status: global.then_some(index.status),
        backfilling: index.backfilling.filter(|_| index.status == IndexStatus::Creating),
        provisioned_throughput: global.then(|| ThroughputDescription {
            read_capacity_units: index.throughput.read,
            write_capacity_units: index.throughput.write,
            ..ThroughputDescription::default()
        }),
        index_size_bytes: counts.bytes,
        item_count: counts.items,
        index_arn: arn::index_arn(region, record.account, &record.name, &schema.name),
        on_demand_throughput: index.on_demand_maximum.map(|maximum| OnDemandThroughput {
            max_read_request_units: Some(maximum.read),
            max_write_request_units: Some(maximum.write),
        }),
        warm_throughput: global.then_some(WarmThroughputDescription {
            read_units_per_second: warm.read.max(base.read),
            write_units_per_second: warm.write.max(base.write),
            status: record.status,
        }),
    }
}

/// What an index keeps, as descriptions tell it.
pub(super) fn describe_projection(projection: &IndexProjection) -> Projection {
    let (kind, names) = match projection {
        IndexProjection::All => ("ALL", None),
        IndexProjection::KeysOnly => ("KEYS_ONLY", None),
        IndexProjection::Include(names) => ("INCLUDE", Some(names.clone())),
    };
    Projection { projection_type: Some(kind.to_owned()), non_key_attributes: names }
}

/// The type that a definition gives an attribute.
pub(super) fn kind_of(definition: &AttributeDefinition) -> Option<trilith_values::key::KeyType> {
    let kind = definition.attribute_type.as_deref()?;
    KEY_TYPES.iter().find(|(name, _)| *name == kind).map(|(_, kind)| *kind)
}
