//! GetResourcePolicy. No policy can be attached yet, so none is ever found.

use super::TableRef;
use crate::error::OpError;
use crate::validate::{CHECKED, Constraints};

/// What GetResourcePolicy is asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GetResourcePolicyInput {
    /// `ResourceArn`.
    pub resource_arn: Option<String>,
}

/// GetResourcePolicy, parsed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GetResourcePolicy {
    /// The table.
    pub table: TableRef,
}

impl GetResourcePolicy {
    /// Checks the ARN.
    pub fn parse(input: GetResourcePolicyInput) -> Result<Self, OpError> {
        let mut check = Constraints::new();
        check.resource_arn(input.resource_arn.as_deref());
        check.finish()?;
        Ok(Self { table: TableRef::of_resource(&input.resource_arn.expect(CHECKED))? })
    }

    /// The answer for a table that exists: `PolicyNotFoundException`.
    pub fn answer(&self) -> OpError {
        let arn = self.table.given();
        OpError::PolicyNotFound(format!(
            "Resource-based policy not found for the provided ResourceArn: {arn}"
        ))
    }
}
