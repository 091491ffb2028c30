//! Settings of a table that CreateTable and UpdateTable share: billing, throughput, warm and on-demand throughput.

use super::describe_table::warm_base;
use super::types::{OnDemandThroughput, ThroughputInput, WarmThroughputInput};
use crate::catalog::{BillingMode, Units};
use crate::error::OpError;
use crate::validate::Constraints;

/// The most units that can be written down; a number above it is a typing error, whatever the quota.
const UNITS_MAX: i64 = 1_000_000_000_000;

/// What an on-demand maximum is when there is none.
const NO_MAXIMUM: i64 = -1;

/// Read and write units, each where given.
pub type Sides = (Option<i64>, Option<i64>);

/// What a request says of a table's capacity, before it is known what it means.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Capacity {
    /// `BillingMode`.
    pub billing: Option<BillingMode>,
    /// `ProvisionedThroughput`.
    pub throughput: Option<Units>,
    /// `OnDemandThroughput`: maxima of read and write units, each where given; -1 for "no maximum".
    pub on_demand_maximum: Option<Sides>,
    /// `WarmThroughput`: read and write units, each where given.
    pub warm: Option<Sides>,
}

impl Constraints {
    /// `ProvisionedThroughput`: both units, 1 at least.
    pub(super) fn throughput(&mut self, input: Option<&ThroughputInput>) -> Option<Units> {
        self.throughput_at("provisionedThroughput", input)
    }

    /// The same, of the member at `path`.
    pub(super) fn throughput_at(&mut self, path: &str, input: Option<&ThroughputInput>) -> Option<Units> {
        let input = input?;
        let sides = [
            ("readCapacityUnits", input.read_capacity_units),
            ("writeCapacityUnits", input.write_capacity_units),
        ];
        for (side, value) in sides {
            let path = format!("{path}.{side}");
            self.required(&path, value.as_ref());
            self.at_least(&path, value, 1);
        }
        units(input)
    }
}

/// `ProvisionedThroughput`, where both units are given.
pub(super) fn units(input: &ThroughputInput) -> Option<Units> {
    Some(Units { read: input.read_capacity_units?, write: input.write_capacity_units? })
}

/// `OnDemandThroughput`, as it was given.
pub(super) fn on_demand_maximum(input: Option<&OnDemandThroughput>) -> Option<Sides> {
    input.map(|input| (input.max_read_request_units, input.max_write_request_units))
}

/// `WarmThroughput`, as it was given.
pub(super) fn warm(input: Option<&WarmThroughputInput>) -> Option<Sides> {
    input.map(|input| (input.read_units_per_second, input.write_units_per_second))
}

/// `PAY_PER_REQUEST` takes no provisioned units.
pub(super) fn no_throughput_on_demand() -> OpError {
    OpError::validation("ProvisionedThroughput cannot be specified when BillingMode is PAY_PER_REQUEST")
}

/// `PROVISIONED` needs them.
pub(super) fn throughput_needed() -> OpError {
    OpError::validation(
        "One or more parameter values were invalid: ReadCapacityUnits and WriteCapacityUnits must both be specified when \
         BillingMode is PROVISIONED",
    )
}

/// Units within reason.
pub(super) fn check_throughput(units: Units) -> Result<(), OpError> {
    for (name, value) in [("ReadCapacityUnits", units.read), ("WriteCapacityUnits", units.write)] {
        if value > UNITS_MAX {
            return Err(OpError::Validation(format!("Given value {value} for {name} is out of bounds")));
        }
    }
    Ok(())
}

/// Maxima of an on-demand table: 1 or more, or -1. A side that is not given stays as it is. The texts are not the
/// service's, which are not known.
pub(super) fn check_on_demand_maximum(
    billing: BillingMode,
    current: Option<Units>,
    asked: Sides,
) -> Result<Units, OpError> {
    let current = current.unwrap_or(Units { read: NO_MAXIMUM, write: NO_MAXIMUM });
    let maximum = Units { read: asked.0.unwrap_or(current.read), write: asked.1.unwrap_or(current.write) };
    if billing == BillingMode::Provisioned {
        return Err(OpError::validation(
            "One or more parameter values were invalid: OnDemandThroughput cannot be specified when BillingMode is \
             PROVISIONED",
        ));
    }
    for (name, value) in [("MaxReadRequestUnits", maximum.read), ("MaxWriteRequestUnits", maximum.write)] {
        if value != NO_MAXIMUM && !(1..=UNITS_MAX).contains(&value) {
            return Err(OpError::Validation(format!(
                "One or more parameter values were invalid: {name} for OnDemandThroughput must be greater than 0, or -1"
            )));
        }
    }
    Ok(maximum)
}

/// Warm throughput of a table billed so: not below what such a table has anyway, nor below what it has been raised to.
/// A side that is not given stays as it is.
pub(super) fn check_warm(
    billing: BillingMode,
    throughput: Units,
    current: Option<Units>,
    asked: Sides,
) -> Result<Units, OpError> {
    let base = warm_base(billing, throughput);
    let held = current
        .map_or(base, |held| Units { read: held.read.max(base.read), write: held.write.max(base.write) });
    let asked = Units { read: asked.0.unwrap_or(held.read), write: asked.1.unwrap_or(held.write) };
    let of = match billing {
        BillingMode::Provisioned => "ProvisionedThroughput",
        BillingMode::PayPerRequest => "initial throughput for OnDemand",
    };
    for (side, asked, base) in [("Read", asked.read, base.read), ("Write", asked.write, base.write)] {
        if asked < base {
            return Err(OpError::Validation(format!(
                "One or more parameter values were invalid: Requested {side}UnitsPerSecond for WarmThroughput for table is \
                 lower than {side}CapacityUnits of {of}"
            )));
        }
        if asked > UNITS_MAX {
            return Err(OpError::Validation(format!(
                "Given value {asked} for {side}UnitsPerSecond is out of bounds"
            )));
        }
    }
    if asked.read < held.read || asked.write < held.write {
        // The service's text is not known.
        return Err(OpError::validation(
            "One or more parameter values were invalid: WarmThroughput cannot be decreased",
        ));
    }
    Ok(asked)
}
