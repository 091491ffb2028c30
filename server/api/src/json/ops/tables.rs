//! CreateTable, DescribeTable, ListTables, DeleteTable, UpdateTable, DescribeLimits, DescribeEndpoints.

use trilith_domain::catalog::TableStatus;
use trilith_domain::ops::types::{
    AttributeDefinition, BillingModeSummary, IndexDescription, IndexInput, IndexUpdateInput,
    KeySchemaElement, OnDemandThroughput, Projection, TableClassSummary, TableInput, ThroughputDescription,
    ThroughputInput, WarmThroughputDescription, WarmThroughputInput,
};
use trilith_domain::ops::{
    CreateTableInput, DescribeEndpointsOutput, DescribeLimitsOutput, ListTablesInput, ListTablesOutput,
    TableDescription, UpdateTableInput,
};

use crate::json::shape::structure;
use crate::json::write::{ToJson, Writer};

structure!(TableInput { "TableName" => table_name });

structure!(CreateTableInput {
    "AttributeDefinitions" => attribute_definitions,
    "TableName" => table_name,
    "KeySchema" => key_schema,
    "BillingMode" => billing_mode,
    "ProvisionedThroughput" => provisioned_throughput,
    "Tags" => tags,
    "TableClass" => table_class,
    "DeletionProtectionEnabled" => deletion_protection_enabled,
    "WarmThroughput" => warm_throughput,
    "OnDemandThroughput" => on_demand_throughput,
    "LocalSecondaryIndexes" => local_secondary_indexes,
    "GlobalSecondaryIndexes" => global_secondary_indexes,
    "VectorIndexes" => vector_indexes,
} not built {
    "StreamSpecification", "SSESpecification", "ResourcePolicy", "GlobalTableSourceArn",
    "GlobalTableSettingsReplicationMode",
});

structure!(UpdateTableInput {
    "TableName" => table_name,
    "AttributeDefinitions" => attribute_definitions,
    "BillingMode" => billing_mode,
    "ProvisionedThroughput" => provisioned_throughput,
    "TableClass" => table_class,
    "DeletionProtectionEnabled" => deletion_protection_enabled,
    "WarmThroughput" => warm_throughput,
    "OnDemandThroughput" => on_demand_throughput,
    "GlobalSecondaryIndexUpdates" => global_secondary_index_updates,
    "VectorIndexUpdates" => vector_index_updates,
} not built {
    "StreamSpecification", "SSESpecification", "ReplicaUpdates",
    "MultiRegionConsistency", "GlobalTableWitnessUpdates", "GlobalTableSettingsReplicationMode",
    "DisassociationProtectionEnabled",
});

structure!(IndexInput {
    "IndexName" => index_name,
    "KeySchema" => key_schema,
    "Projection" => projection,
    "ProvisionedThroughput" => provisioned_throughput,
    "OnDemandThroughput" => on_demand_throughput,
    "WarmThroughput" => warm_throughput,
});

structure!(IndexUpdateInput { "Update" => update, "Create" => create, "Delete" => delete });

structure!(Projection {
    "ProjectionType" => projection_type,
    "NonKeyAttributes" => non_key_attributes,
});

structure!(ListTablesInput {
    "ExclusiveStartTableName" => exclusive_start_table_name,
    "Limit" => limit,
});

structure!(KeySchemaElement { "AttributeName" => attribute_name, "KeyType" => key_type });

structure!(AttributeDefinition { "AttributeName" => attribute_name, "AttributeType" => attribute_type });

structure!(ThroughputInput {
    "ReadCapacityUnits" => read_capacity_units,
    "WriteCapacityUnits" => write_capacity_units,
});

structure!(OnDemandThroughput {
    "MaxReadRequestUnits" => max_read_request_units,
    "MaxWriteRequestUnits" => max_write_request_units,
});

structure!(WarmThroughputInput {
    "ReadUnitsPerSecond" => read_units_per_second,
    "WriteUnitsPerSecond" => write_units_per_second,
});

impl ToJson for TableDescription {
    fn to_json(&self, out: &mut Writer) {
        out.object(|out| {
            out.optional("AttributeDefinitions", self.attribute_definitions.as_ref());
            out.member("TableName", &self.table_name);
            out.optional("KeySchema", self.key_schema.as_ref());
            out.member("TableStatus", &self.table_status);
            out.optional("CreationDateTime", self.creation_date_time.as_ref());
            out.member("ProvisionedThroughput", &self.provisioned_throughput);
            out.member("TableSizeBytes", &self.table_size_bytes);
            out.member("ItemCount", &self.item_count);
            out.member("TableArn", &self.table_arn);
            out.member("TableId", &self.table_id);
            out.optional("LocalSecondaryIndexes", self.local_secondary_indexes.as_ref());
            out.optional("GlobalSecondaryIndexes", self.global_secondary_indexes.as_ref());
            out.optional("VectorIndexes", self.vector_indexes.as_ref());
            out.optional("BillingModeSummary", self.billing_mode_summary.as_ref());
            out.optional("TableClassSummary", self.table_class_summary.as_ref());
            out.member("DeletionProtectionEnabled", &self.deletion_protection_enabled);
            out.optional("OnDemandThroughput", self.on_demand_throughput.as_ref());
            out.optional("WarmThroughput", self.warm_throughput.as_ref());
        });
    }
}

impl ToJson for IndexDescription {
    fn to_json(&self, out: &mut Writer) {
        out.object(|out| {
            out.member("IndexName", &self.index_name);
            out.member("KeySchema", &self.key_schema);
            out.member("Projection", &self.projection);
            if let Some(status) = self.index_status {
                out.member("IndexStatus", status.as_str());
            }
            out.optional("Backfilling", self.backfilling.as_ref());
            out.optional("ProvisionedThroughput", self.provisioned_throughput.as_ref());
            out.member("IndexSizeBytes", &self.index_size_bytes);
            out.member("ItemCount", &self.item_count);
            out.member("IndexArn", &self.index_arn);
            out.optional("OnDemandThroughput", self.on_demand_throughput.as_ref());
            out.optional("WarmThroughput", self.warm_throughput.as_ref());
        });
    }
}

impl ToJson for Projection {
    fn to_json(&self, out: &mut Writer) {
        out.object(|out| {
            out.optional("ProjectionType", self.projection_type.as_ref());
            out.optional("NonKeyAttributes", self.non_key_attributes.as_ref());
        });
    }
}

impl ToJson for TableStatus {
    fn to_json(&self, out: &mut Writer) {
        out.text(self.as_str());
    }
}

impl ToJson for KeySchemaElement {
    fn to_json(&self, out: &mut Writer) {
        out.object(|out| {
            out.optional("AttributeName", self.attribute_name.as_ref());
            out.optional("KeyType", self.key_type.as_ref());
        });
    }
}

impl ToJson for AttributeDefinition {
    fn to_json(&self, out: &mut Writer) {
        out.object(|out| {
            out.optional("AttributeName", self.attribute_name.as_ref());
            out.optional("AttributeType", self.attribute_type.as_ref());
        });
    }
}

impl ToJson for ThroughputDescription {
    fn to_json(&self, out: &mut Writer) {
        out.object(|out| {
            out.optional("LastIncreaseDateTime", self.last_increase.as_ref());
            out.optional("LastDecreaseDateTime", self.last_decrease.as_ref());
            out.member("NumberOfDecreasesToday", &self.decreases_today);
            out.member("ReadCapacityUnits", &self.read_capacity_units);
            out.member("WriteCapacityUnits", &self.write_capacity_units);
        });
    }
}

impl ToJson for BillingModeSummary {
    fn to_json(&self, out: &mut Writer) {
        out.object(|out| {
            out.member("BillingMode", self.billing_mode.as_str());
            out.optional("LastUpdateToPayPerRequestDateTime", self.last_update_to_pay_per_request.as_ref());
        });
    }
}

impl ToJson for TableClassSummary {
    fn to_json(&self, out: &mut Writer) {
        out.object(|out| {
            out.member("TableClass", self.table_class.as_str());
            out.optional("LastUpdateDateTime", self.last_update.as_ref());
        });
    }
}

impl ToJson for OnDemandThroughput {
    fn to_json(&self, out: &mut Writer) {
        out.object(|out| {
            out.optional("MaxReadRequestUnits", self.max_read_request_units.as_ref());
            out.optional("MaxWriteRequestUnits", self.max_write_request_units.as_ref());
        });
    }
}

impl ToJson for WarmThroughputDescription {
    fn to_json(&self, out: &mut Writer) {
        out.object(|out| {
            out.member("ReadUnitsPerSecond", &self.read_units_per_second);
            out.member("WriteUnitsPerSecond", &self.write_units_per_second);
            out.member("Status", &self.status);
        });
    }
}

pub(super) fn list_members(list: &ListTablesOutput, out: &mut Writer) {
    out.member("TableNames", &list.table_names);
    out.optional("LastEvaluatedTableName", list.last_evaluated_table_name.as_ref());
}

pub(super) fn limits_members(limits: &DescribeLimitsOutput, out: &mut Writer) {
    out.member("AccountMaxReadCapacityUnits", &limits.account_max_read_capacity_units);
    out.member("AccountMaxWriteCapacityUnits", &limits.account_max_write_capacity_units);
    out.member("TableMaxReadCapacityUnits", &limits.table_max_read_capacity_units);
    out.member("TableMaxWriteCapacityUnits", &limits.table_max_write_capacity_units);
}

pub(super) fn endpoints_members(answer: &DescribeEndpointsOutput, out: &mut Writer) {
    out.name("Endpoints");
    out.array(&answer.endpoints, |out, endpoint| {
        out.object(|out| {
            out.member("Address", &endpoint.address);
            out.member("CachePeriodInMinutes", &endpoint.cache_period_in_minutes);
        });
    });
}
