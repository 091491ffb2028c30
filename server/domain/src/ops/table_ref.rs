//! Which table a request means: a bare name, or an ARN that also says whose and where.

use crate::arn::TableArn;
use crate::error::OpError;
use crate::limits::{NAME_MAX, NAME_MIN};

/// A table as a request named it. Its name has been checked; whether it exists has not.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TableRef {
    /// Name or ARN, as it was sent.
    given: String,
    /// Where the name lies in `given`.
    name_start: usize,
    /// Region and account, where it was an ARN.
    home: Option<(String, u64)>,
}

impl TableRef {
    /// From a checked bare name.
    pub(crate) fn of_name(name: &str) -> Self {
        Self { given: name.to_owned(), name_start: 0, home: None }
    }

    /// From the ARN of a table; `None` where it is none, or names something below a table.
    pub(crate) fn of_arn(text: &str) -> Option<Self> {
        let arn = TableArn::parse(text)?;
        if arn.below.is_some() || !is_name(arn.table) {
            return None;
        }
        let home = Some((arn.region.to_owned(), arn.account.0));
        Some(Self { given: text.to_owned(), name_start: text.len() - arn.table.len(), home })
    }

    /// From a `ResourceArn` that must be a table's (streams cannot be tagged before they exist).
    pub(crate) fn of_resource(arn: &str) -> Result<Self, OpError> {
        Self::of_arn(arn).ok_or_else(|| {
            OpError::validation(format!("Invalid TableArn: Invalid ResourceArn provided as input {arn}"))
        })
    }

    /// The bare name.
    pub fn name(&self) -> &str {
        &self.given[self.name_start..]
    }

    /// Name or ARN, as it was sent: answers echo it.
    pub fn given(&self) -> &str {
        &self.given
    }

    /// Whose table it is, for a caller of `account` in a cluster of `region`. `None` where an ARN names another
    /// region: no such table is here.
    pub fn owner(&self, region: &str, account: u64) -> Option<u64> {
        match &self.home {
            None => Some(account),
            Some((named, owner)) => (named == region).then_some(*owner),
        }
    }
}

/// Whether `text` can be the name of a table or index.
pub(crate) fn is_name(text: &str) -> bool {
    (NAME_MIN..=NAME_MAX).contains(&text.len()) && has_name_characters(text)
}

/// Whether `text` matches `[a-zA-Z0-9_.-]+`.
pub(crate) fn has_name_characters(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|c| c.is_ascii_alphanumeric() || matches!(c, b'_' | b'.' | b'-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_arn_bears_its_owner() {
        let arn = "arn:aws:dynamodb:eu-west-1:000000000042:table/orders";
        let table = TableRef::of_arn(arn).expect("an ARN");
        assert_eq!((table.name(), table.given()), ("orders", arn));
        assert_eq!(table.owner("eu-west-1", 1), Some(42));
        assert_eq!(table.owner("us-east-1", 1), None);
        assert_eq!(TableRef::of_name("orders").owner("us-east-1", 1), Some(1));
    }

    #[test]
    fn an_arn_must_be_a_tables() {
        for bad in [
            "arn:aws:dynamodb:r:000000000042:table/ab",
            "arn:aws:dynamodb:r:000000000042:table/abc/index/def",
        ] {
            assert_eq!(TableRef::of_arn(bad), None, "{bad}");
        }
    }
}
