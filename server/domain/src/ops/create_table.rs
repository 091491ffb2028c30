//! CreateTable: a name, a key of one or two attributes, indexes, settings. Streams and keys of one's own come later.

use std::collections::{BTreeMap, BTreeSet};

use super::describe_table::KEY_TYPES;
use super::settings::{self, Capacity};
use super::types::{
    AttributeDefinition, IndexInput, KeySchemaElement, NotBuilt, OnDemandThroughput, Tag, ThroughputInput,
    VectorIndexInput, WarmThroughputInput,
};
use super::{TableRef, indexes, tags, vector_indexes};
use crate::catalog::{BillingMode, CatalogCommand, TableDefinition, Units};
use crate::error::OpError;
use crate::limits::KEY_ATTRIBUTE_NAME_MAX;
use crate::schema::KeyAttribute;
use crate::validate::{self, CHECKED, Constraints};

/// What CreateTable is asked. See [`super::types`] on how members arrive.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CreateTableInput {
    /// `AttributeDefinitions`.
    pub attribute_definitions: Option<Vec<AttributeDefinition>>,
    /// `TableName`.
    pub table_name: Option<String>,
    /// `KeySchema`.
    pub key_schema: Option<Vec<KeySchemaElement>>,
    /// `BillingMode`.
    pub billing_mode: Option<String>,
    /// `ProvisionedThroughput`.
    pub provisioned_throughput: Option<ThroughputInput>,
    /// `Tags`.
    pub tags: Option<Vec<Tag>>,
    /// `TableClass`.
    pub table_class: Option<String>,
    /// `DeletionProtectionEnabled`.
    pub deletion_protection_enabled: Option<bool>,
    /// `WarmThroughput`.
    pub warm_throughput: Option<WarmThroughputInput>,
    /// `OnDemandThroughput`.
    pub on_demand_throughput: Option<OnDemandThroughput>,
    /// `LocalSecondaryIndexes`.
    pub local_secondary_indexes: Option<Vec<IndexInput>>,
    /// `GlobalSecondaryIndexes`.
    pub global_secondary_indexes: Option<Vec<IndexInput>>,
    /// `VectorIndexes`.
    pub vector_indexes: Option<Vec<VectorIndexInput>>,
    /// Members that were sent and are not built.
    pub not_built: NotBuilt,
}

/// CreateTable, parsed.
#[derive(Clone, Debug, PartialEq)]
pub struct CreateTable {
    /// The name; the caller's account owns the table.
    pub table: TableRef,
    /// What it shall be.
    pub definition: TableDefinition,
    /// First tags.
    pub tags: BTreeMap<String, String>,
}

impl CreateTable {
    /// All checks but whether the name is taken.
    pub fn parse(input: CreateTableInput) -> Result<Self, OpError> {
        let mut check = Constraints::new();
        check.required("attributeDefinitions", input.attribute_definitions.as_ref());
        check_attribute_definitions(&mut check, input.attribute_definitions.as_deref());
        let table = check.bare_table("tableName", input.table_name.as_deref());
        check.required("keySchema", input.key_schema.as_ref());
        check_key_schema_elements(&mut check, "keySchema", input.key_schema.as_deref(), 2);
        let local = input.local_secondary_indexes.as_deref();
        let global = input.global_secondary_indexes.as_deref();
        let vectors = input.vector_indexes.as_deref();
        indexes::check_lists(&mut check, local, global);
        let billing = check.billing_mode(input.billing_mode.as_deref());
        let throughput = check.throughput(input.provisioned_throughput.as_ref());
        tags::check(&mut check, input.tags.as_deref());
        let class = check.table_class(input.table_class.as_deref());
        vector_indexes::check_list(&mut check, vectors);
        check.finish()?;
        validate::refuse_not_built(&input.not_built)?;

        let capacity = Capacity {
            billing,
            throughput,
            on_demand_maximum: settings::on_demand_maximum(input.on_demand_throughput.as_ref()),
            warm: settings::warm(input.warm_throughput.as_ref()),
        };
        let (billing, throughput) = resolve_billing(&capacity)?;
        let elements = input.key_schema.expect(CHECKED);
        let definitions = input.attribute_definitions.expect(CHECKED);
        let (hash, range) = resolve_keys(&elements, &definitions)?;
        let keys = (&hash, range.as_ref());
        let names: Vec<&str> =
            elements.iter().filter_map(|element| element.attribute_name.as_deref()).collect();
        let mut indexes = indexes::resolve(local, global, keys, &definitions, billing)?;
        indexes.extend(vector_indexes::resolve(vectors, &names, &definitions, billing)?);
        indexes::check_all(&indexes)?;
        if indexes.is_empty() {
            check_all_used(&names, &definitions)?;
        } else {
            indexes::check_all_used(&names, &indexes, &definitions)?;
        }
        let on_demand_maximum = capacity
            .on_demand_maximum
            .map(|asked| settings::check_on_demand_maximum(billing, None, asked))
            .transpose()?
            .filter(|maximum| maximum.read > 0 || maximum.write > 0);
        let warm =
            capacity.warm.map(|asked| settings::check_warm(billing, throughput, None, asked)).transpose()?;
        let tags = tags::resolve(input.tags.unwrap_or_default())?;
        tags::check_total(&tags)?;
        let definition = TableDefinition {
            hash,
            range,
            billing,
            throughput,
            on_demand_maximum,
            warm,
            class,
            deletion_protection: input.deletion_protection_enabled.unwrap_or(false),
            indexes,
        };
        Ok(Self { table: table.expect(CHECKED), definition, tags })
    }

    /// The catalog command, with the random parts that its proposer drew. Its reply goes to
    /// [`super::catalog_answer::table`].
    pub fn bind(&self, account: u64, uuid: u128, seed: u64) -> CatalogCommand {
        CatalogCommand::CreateTable {
            account,
            name: self.table.name().to_owned(),
            uuid,
            seed,
            definition: self.definition.clone(),
            tags: self.tags.clone(),
        }
    }
}

/// The members of each definition.
pub(super) fn check_attribute_definitions(
    check: &mut Constraints,
    definitions: Option<&[AttributeDefinition]>,
) {
    for (i, definition) in definitions.unwrap_or_default().iter().enumerate() {
        if check.is_full() {
            break;
        }
        let path = format!("attributeDefinitions.{}.member", i + 1);
        check_attribute_name(check, &format!("{path}.attributeName"), definition.attribute_name.as_deref());
        check.required(&format!("{path}.attributeType"), definition.attribute_type.as_ref());
        check.one_of(&format!("{path}.attributeType"), definition.attribute_type.as_deref(), &KEY_TYPES);
    }
}

pub(super) fn check_key_schema_elements(
    check: &mut Constraints,
    key_schema: &str,
    elements: Option<&[KeySchemaElement]>,
    max: usize,
) {
    if let Some(elements) = elements {
        check.count(key_schema, elements.len(), 1, max);
    }
    for (i, element) in elements.unwrap_or_default().iter().enumerate() {
        if check.is_full() {
            break;
        }
        let path = format!("{key_schema}.{}.member", i + 1);
        check_attribute_name(check, &format!("{path}.attributeName"), element.attribute_name.as_deref());
        check.required(&format!("{path}.keyType"), element.key_type.as_ref());
        check.one_of(&format!("{path}.keyType"), element.key_type.as_deref(), &[("HASH", ()), ("RANGE", ())]);
    }
}

/// Key attribute names count in bytes, which the model's characters never exceed.
fn check_attribute_name(check: &mut Constraints, path: &str, name: Option<&str>) {
    check.required(path, name.as_ref());
    check.length(path, name, 1, KEY_ATTRIBUTE_NAME_MAX);
}

/// `PROVISIONED` (the default) needs units, `PAY_PER_REQUEST` forbids them.
fn resolve_billing(capacity: &Capacity) -> Result<(BillingMode, Units), OpError> {
    match (capacity.billing.unwrap_or(BillingMode::Provisioned), capacity.throughput) {
        (BillingMode::PayPerRequest, Some(_)) => Err(settings::no_throughput_on_demand()),
        (BillingMode::PayPerRequest, None) => Ok((BillingMode::PayPerRequest, Units::default())),
        (BillingMode::Provisioned, None) => Err(settings::throughput_needed()),
        (BillingMode::Provisioned, Some(units)) => {
            settings::check_throughput(units)?;
            Ok((BillingMode::Provisioned, units))
        }
    }
}

/// The key: a HASH, then perhaps a RANGE of another name, both defined, and nothing else defined.
fn resolve_keys(
    elements: &[KeySchemaElement],
    definitions: &[AttributeDefinition],
) -> Result<(KeyAttribute, Option<KeyAttribute>), OpError> {
    let is =
        |i: usize, key_type: &str| elements.get(i).is_none_or(|e| e.key_type.as_deref() == Some(key_type));
    if !is(0, "HASH") {
        return Err(OpError::validation(
            "Invalid KeySchema: The first KeySchemaElement is not a HASH key type",
        ));
    }
    if !is(1, "RANGE") {
        return Err(OpError::validation(
            "Invalid KeySchema: The second KeySchemaElement is not a RANGE key type",
        ));
    }
    let names: Vec<&str> = elements.iter().filter_map(|element| element.attribute_name.as_deref()).collect();
    if names.len() == 2 && names[0] == names[1] {
        return Err(OpError::validation(
            "Both the Hash Key and the Range Key element in the KeySchema have the same name",
        ));
    }
    let mut keys =
        names.iter().map(|name| define(name, definitions)).collect::<Result<Vec<_>, _>>()?.into_iter();
    let hash = keys.next().expect("a key schema has at least one element");
    Ok((hash, keys.next()))
}

/// A key attribute with the type that its definition gives it.
fn define(name: &str, definitions: &[AttributeDefinition]) -> Result<KeyAttribute, OpError> {
    define_in(name, definitions)
        .ok_or_else(|| OpError::validation("Invalid KeySchema: Some index key attribute have no definition"))
}

/// A key attribute with the type that its definition gives it, where it is defined.
pub(super) fn define_in(name: &str, definitions: &[AttributeDefinition]) -> Option<KeyAttribute> {
    let named = |definition: &&AttributeDefinition| definition.attribute_name.as_deref() == Some(name);
    let kind = indexes::kind_of(definitions.iter().find(named)?)?;
    Some(KeyAttribute { name: name.to_owned(), kind })
}

fn check_all_used(names: &[&str], definitions: &[AttributeDefinition]) -> Result<(), OpError> {
    let defined: BTreeSet<&str> = definitions.iter().filter_map(|d| d.attribute_name.as_deref()).collect();
    if defined.len() == names.len() && definitions.len() == names.len() {
        return Ok(());
    }
    Err(OpError::validation(
        "One or more parameter values were invalid: Number of attributes in KeySchema does not exactly match number of \
         attributes defined in AttributeDefinitions",
    ))
}
