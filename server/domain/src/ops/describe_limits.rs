//! DescribeLimits: the account's and a table's default quotas.

use crate::limits;

/// DescribeLimits; it is asked nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DescribeLimits;

/// What DescribeLimits answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DescribeLimitsOutput {
    /// `AccountMaxReadCapacityUnits`.
    pub account_max_read_capacity_units: i64,
    /// `AccountMaxWriteCapacityUnits`.
    pub account_max_write_capacity_units: i64,
    /// `TableMaxReadCapacityUnits`.
    pub table_max_read_capacity_units: i64,
    /// `TableMaxWriteCapacityUnits`.
    pub table_max_write_capacity_units: i64,
}

impl DescribeLimits {
    /// The service's default quotas. Nothing holds anyone to them yet: this server's own limits are its machines'.
    pub fn answer(&self) -> DescribeLimitsOutput {
        DescribeLimitsOutput {
            account_max_read_capacity_units: limits::ACCOUNT_UNITS_MAX,
            account_max_write_capacity_units: limits::ACCOUNT_UNITS_MAX,
            table_max_read_capacity_units: limits::TABLE_UNITS_MAX,
            table_max_write_capacity_units: limits::TABLE_UNITS_MAX,
        }
    }
}
