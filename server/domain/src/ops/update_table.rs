//! UpdateTable: billing mode, throughput, class, deletion protection, global and vector indexes. Streams and replicas come later.

use super::create_table::check_attribute_definitions;
use super::settings::{self, Capacity};
use super::types::{
    AttributeDefinition, IndexUpdateInput, NotBuilt, OnDemandThroughput, ThroughputInput,
    VectorIndexUpdateInput, WarmThroughputInput,
};
use super::{TableRef, catalog_answer, indexes, vector_indexes};
use crate::catalog::{
    BillingMode, CatalogCommand, TableClass, TableRecord, TableSettings, TableStatus, Units,
};
use crate::error::OpError;
use crate::validate::{self, CHECKED, Constraints};

/// What UpdateTable is asked. See [`super::types`] on how members arrive.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct UpdateTableInput {
    /// `TableName`.
    pub table_name: Option<String>,
    /// `AttributeDefinitions`.
    pub attribute_definitions: Option<Vec<AttributeDefinition>>,
    /// `BillingMode`.
    pub billing_mode: Option<String>,
    /// `ProvisionedThroughput`.
    pub provisioned_throughput: Option<ThroughputInput>,
    /// `TableClass`.
    pub table_class: Option<String>,
    /// `DeletionProtectionEnabled`.
    pub deletion_protection_enabled: Option<bool>,
    /// `WarmThroughput`.
    pub warm_throughput: Option<WarmThroughputInput>,
    /// `OnDemandThroughput`.
    pub on_demand_throughput: Option<OnDemandThroughput>,
    /// `GlobalSecondaryIndexUpdates`.
    pub global_secondary_index_updates: Option<Vec<IndexUpdateInput>>,
    /// `VectorIndexUpdates`.
    pub vector_index_updates: Option<Vec<VectorIndexUpdateInput>>,
    /// Members that were sent and are not built.
    pub not_built: NotBuilt,
}

/// UpdateTable, parsed.
#[derive(Clone, Debug, PartialEq)]
pub struct UpdateTable {
    /// The table.
    pub table: TableRef,
    /// What is said of its capacity.
    pub capacity: Capacity,
    /// New class.
    pub class: Option<TableClass>,
    /// Deletion protection.
    pub deletion_protection: Option<bool>,
    /// Changes of global indexes.
    pub indexes: Vec<IndexUpdateInput>,
    /// Changes of vector indexes, likewise.
    pub vectors: Vec<VectorIndexUpdateInput>,
    /// `AttributeDefinitions`, which a new index's key is looked up in.
    definitions: Vec<AttributeDefinition>,
}

impl UpdateTable {
    /// All checks that need no table.
    pub fn parse(input: UpdateTableInput) -> Result<Self, OpError> {
        let mut check = Constraints::new();
        check_attribute_definitions(&mut check, input.attribute_definitions.as_deref());
        let table = check.table("tableName", input.table_name.as_deref());
        let billing = check.billing_mode(input.billing_mode.as_deref());
        let throughput = check.throughput(input.provisioned_throughput.as_ref());
        let indexes = input.global_secondary_index_updates.unwrap_or_default();
        indexes::check_updates(&mut check, &indexes);
        let class = check.table_class(input.table_class.as_deref());
        let vectors = input.vector_index_updates.unwrap_or_default();
        vector_indexes::check_updates(&mut check, &vectors);
        check.finish()?;
        validate::refuse_not_built(&input.not_built)?;

        let capacity = Capacity {
            billing,
            throughput,
            on_demand_maximum: settings::on_demand_maximum(input.on_demand_throughput.as_ref()),
            warm: settings::warm(input.warm_throughput.as_ref()),
        };
        let deletion_protection = input.deletion_protection_enabled;
        let settings = capacity != Capacity::default() || class.is_some() || deletion_protection.is_some();
        indexes::check_one_at_a_time(&indexes)?;
        let others = indexes.iter().filter(|update| update.update.is_none()).count();
        vector_indexes::check_one_at_a_time(&vectors, others)?;
        if (billing.is_some() || throughput.is_some()) && (others > 0 || !vectors.is_empty()) {
            // The service changes a table's throughput, makes an index or drops one, one of them at a time (API reference
            // of UpdateTable); new throughput of table and indexes goes together. Its text is not known.
            return Err(OpError::validation(
                "One or more parameter values were invalid: An index cannot be created or deleted together with a change \
                 of the table's throughput",
            ));
        }
        if !settings && indexes.is_empty() && vectors.is_empty() {
            return Err(OpError::validation(
                "At least one of ProvisionedThroughput, BillingMode, UpdateStreamEnabled, GlobalSecondaryIndexUpdates or \
                 SSESpecification or ReplicaUpdates is required",
            ));
        }
        match (billing, throughput) {
            (Some(BillingMode::PayPerRequest), Some(_)) => {
                return Err(settings::no_throughput_on_demand());
            }
            (_, Some(units)) => settings::check_throughput(units)?,
            (_, None) => {}
        }
        let definitions = input.attribute_definitions.unwrap_or_default();
        let table = table.expect(CHECKED);
        Ok(Self { table, capacity, class, deletion_protection, indexes, vectors, definitions })
    }

    /// The catalog command for this table. Its reply goes to [`catalog_answer::table`].
    pub fn bind(&self, record: &TableRecord) -> Result<CatalogCommand, OpError> {
        if record.status != TableStatus::Active {
            return Err(catalog_answer::in_use(record));
        }
        let (account, name) = (record.account, record.name.clone());
        let settings = self.settings(record)?;
        if self.indexes.is_empty() && self.vectors.is_empty() {
            return Ok(CatalogCommand::AlterTable { account, name, settings });
        }
        let billing = settings.billing.unwrap_or(record.definition.billing);
        let mut changes = indexes::resolve_updates(record, billing, &self.indexes, &self.definitions)?;
        changes.extend(vector_indexes::resolve_updates(record, &self.vectors, &self.definitions)?);
        Ok(CatalogCommand::AlterIndexes { account, name, settings, changes })
    }

    /// What changes of the table itself.
    fn settings(&self, record: &TableRecord) -> Result<TableSettings, OpError> {
        let (billing, throughput) = self.resolve_billing(record)?;
        let held = record.definition.on_demand_maximum;
        let on_demand_maximum = self
            .capacity
            .on_demand_maximum
            .map(|asked| settings::check_on_demand_maximum(billing, held, asked))
            .transpose()?;
        let held = record.definition.warm;
        let warm = self
            .capacity
            .warm
            .map(|asked| settings::check_warm(billing, throughput, held, asked))
            .transpose()?;
        Ok(TableSettings {
            billing: self.capacity.billing,
            throughput: self.capacity.throughput,
            on_demand_maximum,
            warm,
            class: self.class,
            deletion_protection: self.deletion_protection,
        })
    }

    /// Billing and units as they will be.
    fn resolve_billing(&self, record: &TableRecord) -> Result<(BillingMode, Units), OpError> {
        let billing = self.capacity.billing.unwrap_or(record.definition.billing);
        let current = record.definition.throughput;
        match (billing, self.capacity.throughput) {
            (BillingMode::PayPerRequest, Some(_)) => Err(settings::no_throughput_on_demand()),
            (BillingMode::PayPerRequest, None) => Ok((billing, Units::default())),
            (BillingMode::Provisioned, None) if record.definition.billing == BillingMode::PayPerRequest => {
                Err(settings::throughput_needed())
            }
            (BillingMode::Provisioned, None) => Ok((billing, current)),
            (BillingMode::Provisioned, Some(units)) if self.changes_nothing_but(record, units) => {
                Err(unchanged(units))
            }
            (BillingMode::Provisioned, Some(units)) => Ok((billing, units)),
        }
    }

    /// Whether `units` are all that is asked for, and the table has them already.
    fn changes_nothing_but(&self, record: &TableRecord, units: Units) -> bool {
        let only =
            Capacity { throughput: Some(units), billing: self.capacity.billing, ..Capacity::default() };
        record.definition.billing == BillingMode::Provisioned
            && record.definition.throughput == units
            && self.capacity == only
            && self.class.is_none()
            && self.deletion_protection.is_none()
            && self.indexes.is_empty()
            && self.vectors.is_empty()
    }
}

fn unchanged(units: Units) -> OpError {
    let Units { read, write } = units;
    OpError::Validation(format!(
        "The provisioned throughput for the table will not change. The requested value equals the current value. Current \
         ReadCapacityUnits provisioned for the table: {read}. Requested ReadCapacityUnits: {read}. Current \
         WriteCapacityUnits provisioned for the table: {write}. Requested WriteCapacityUnits: {write}. Refer to the Amazon \
         DynamoDB Developer Guide for current limits and how to request higher limits."
    ))
}
