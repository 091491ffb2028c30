//! Enum members that several operations share: their values in the model's order, and what they stand for.

use super::types::ReturnConsumed;
use crate::catalog::{BillingMode, TableClass};
use crate::machine::ReturnValues;
use crate::validate::Constraints;

/// `ReturnValue`.
const RETURN_VALUES: [(&str, ReturnValues); 5] = [
    ("NONE", ReturnValues::None),
    ("ALL_OLD", ReturnValues::AllOld),
    ("UPDATED_OLD", ReturnValues::UpdatedOld),
    ("ALL_NEW", ReturnValues::AllNew),
    ("UPDATED_NEW", ReturnValues::UpdatedNew),
];

/// `ReturnConsumedCapacity`.
const RETURN_CONSUMED: [(&str, ReturnConsumed); 3] =
    [("INDEXES", ReturnConsumed::Indexes), ("TOTAL", ReturnConsumed::Total), ("NONE", ReturnConsumed::None)];

/// `ReturnItemCollectionMetrics`: whether sizes are asked for. Both mean nothing to a table without local indexes.
const RETURN_METRICS: [(&str, bool); 2] = [("SIZE", true), ("NONE", false)];

/// `ReturnValuesOnConditionCheckFailure`: whether the item is asked for.
const ON_FAILURE: [(&str, bool); 2] = [("ALL_OLD", true), ("NONE", false)];

/// `BillingMode`.
const BILLING_MODES: [(&str, BillingMode); 2] =
    [("PROVISIONED", BillingMode::Provisioned), ("PAY_PER_REQUEST", BillingMode::PayPerRequest)];

/// `TableClass`.
const TABLE_CLASSES: [(&str, TableClass); 2] = [
    ("STANDARD", TableClass::Standard),
    ("STANDARD_INFREQUENT_ACCESS", TableClass::StandardInfrequentAccess),
];

/// `Select`.
const SELECTS: [(&str, Select); 4] = [
    ("ALL_ATTRIBUTES", Select::AllAttributes),
    ("ALL_PROJECTED_ATTRIBUTES", Select::AllProjectedAttributes),
    ("SPECIFIC_ATTRIBUTES", Select::SpecificAttributes),
    ("COUNT", Select::Count),
];

/// `Select`: what a page shows of its items.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Select {
    /// Whole items: the default of a table without a projection.
    AllAttributes,
    /// What the index holds: only with an index.
    AllProjectedAttributes,
    /// What the projection names.
    SpecificAttributes,
    /// No items, only how many.
    Count,
}

impl Select {
    /// The name on the wire.
    pub fn as_str(self) -> &'static str {
        SELECTS.iter().find(|(_, select)| *select == self).map_or("", |(name, _)| name)
    }
}

impl Constraints {
    /// `ReturnValues`, with its default.
    pub(super) fn return_values(&mut self, value: Option<&str>) -> ReturnValues {
        self.one_of("returnValues", value, &RETURN_VALUES).unwrap_or_default()
    }

    /// `ReturnConsumedCapacity`, with its default.
    pub(super) fn return_consumed(&mut self, value: Option<&str>) -> ReturnConsumed {
        self.one_of("returnConsumedCapacity", value, &RETURN_CONSUMED).unwrap_or_default()
    }

    /// `ReturnItemCollectionMetrics`: whether sizes are asked for.
    pub(super) fn return_metrics(&mut self, value: Option<&str>) -> bool {
        self.one_of("returnItemCollectionMetrics", value, &RETURN_METRICS).unwrap_or(false)
    }

    /// `ReturnValuesOnConditionCheckFailure`: whether the item is asked for.
    pub(super) fn old_on_failure(&mut self, value: Option<&str>) -> bool {
        self.old_on_failure_at("returnValuesOnConditionCheckFailure", value)
    }

    /// The same of a member elsewhere in the request.
    pub(super) fn old_on_failure_at(&mut self, path: &str, value: Option<&str>) -> bool {
        self.one_of(path, value, &ON_FAILURE).unwrap_or(false)
    }

    /// `BillingMode`.
    pub(super) fn billing_mode(&mut self, value: Option<&str>) -> Option<BillingMode> {
        self.one_of("billingMode", value, &BILLING_MODES)
    }

    /// `TableClass`.
    pub(super) fn table_class(&mut self, value: Option<&str>) -> Option<TableClass> {
        self.one_of("tableClass", value, &TABLE_CLASSES)
    }

    /// `Select`.
    pub(super) fn select(&mut self, value: Option<&str>) -> Option<Select> {
        self.one_of("select", value, &SELECTS)
    }
}
