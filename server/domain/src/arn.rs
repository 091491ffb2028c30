//! ARNs of tables: `arn:<partition>:dynamodb:<region>:<account>:table/<name>[/<kind>/<id>]`.

use trilith_values::ids::AccountId;

/// The parts of an ARN that begins with a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TableArn<'a> {
    /// Such as `aws`.
    pub partition: &'a str,
    /// Such as `us-east-1`.
    pub region: &'a str,
    /// Whose table.
    pub account: AccountId,
    /// The table's name, unchecked.
    pub table: &'a str,
    /// What follows the table and a slash (`index/I`, `stream/…`), where something does.
    pub below: Option<&'a str>,
}

impl<'a> TableArn<'a> {
    /// Takes an ARN apart; `None` where it is not one of a table or of something below a table.
    pub fn parse(text: &'a str) -> Option<Self> {
        let mut parts = text.splitn(6, ':');
        let mut next = || parts.next();
        let (scheme, partition, service) = (next()?, next()?, next()?);
        let (region, account, resource) = (next()?, next()?, next()?);
        if scheme != "arn" || partition.is_empty() || service != "dynamodb" || region.is_empty() {
            return None;
        }
        let account = account.parse().ok()?;
        let path = resource.strip_prefix("table/")?;
        let (table, below) = match path.split_once('/') {
            Some((table, below)) => (table, Some(below)),
            None => (path, None),
        };
        (!table.is_empty()).then_some(Self { partition, region, account, table, below })
    }
}

/// The ARN of a table of this cluster.
pub fn table_arn(region: &str, account: u64, name: &str) -> String {
    format!("arn:aws:dynamodb:{region}:{}:table/{name}", AccountId(account))
}

/// The ARN of an index of such a table.
pub fn index_arn(region: &str, account: u64, table: &str, index: &str) -> String {
    format!("{}/index/{index}", table_arn(region, account, table))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_arn_reads_back() {
        let text = table_arn("us-east-1", 7, "orders");
        assert_eq!(text, "arn:aws:dynamodb:us-east-1:000000000007:table/orders");
        let arn = TableArn::parse(&text).expect("made by us");
        assert_eq!(
            (arn.region, arn.account, arn.table, arn.below),
            ("us-east-1", AccountId(7), "orders", None)
        );
    }

    #[test]
    fn what_is_below_a_table_is_told_apart() {
        let stream = "arn:aws:dynamodb:r:000000000000:table/t/stream/2026-01-01T00:00:00.000";
        let arn = TableArn::parse(stream).expect("an ARN");
        assert_eq!((arn.table, arn.below), ("t", Some("stream/2026-01-01T00:00:00.000")));
    }

    #[test]
    fn other_texts_are_no_table_arns() {
        for text in [
            "",
            "orders",
            "arn:aws:dynamodb:r:000000000000:table/",
            "arn:aws:dynamodb:r:0:table/t",
            "arn:aws:s3:r:000000000000:table/t",
            "arn:aws:dynamodb::000000000000:table/t",
            "arn:aws:dynamodb:r:000000000000:global-table/t",
            "arn:aws:dynamodb:r:000000000000",
        ] {
            assert_eq!(TableArn::parse(text), None, "{text}");
        }
    }
}
