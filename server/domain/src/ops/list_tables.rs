//! ListTables: names in lexical order, a page at a time.

use crate::error::OpError;
use crate::limits;
use crate::validate::Constraints;

/// What ListTables is asked. See [`super::types`] on how members arrive.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ListTablesInput {
    /// `ExclusiveStartTableName`.
    pub exclusive_start_table_name: Option<String>,
    /// `Limit`.
    pub limit: Option<i64>,
}

/// ListTables, parsed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListTables {
    /// Names after this one, which need not exist.
    pub start_after: Option<String>,
    /// Names in the page, 1 to 100.
    pub limit: usize,
}

/// What ListTables answers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListTablesOutput {
    /// `TableNames`, in lexical order.
    pub table_names: Vec<String>,
    /// `LastEvaluatedTableName`, where there are more.
    pub last_evaluated_table_name: Option<String>,
}

impl ListTables {
    /// Checks the page's members.
    pub fn parse(input: ListTablesInput) -> Result<Self, OpError> {
        let mut check = Constraints::new();
        check.name("exclusiveStartTableName", input.exclusive_start_table_name.as_deref());
        check.range("limit", input.limit, 1, limits::LIST_TABLES_MAX);
        check.finish()?;
        let limit = input.limit.unwrap_or(limits::LIST_TABLES_MAX).unsigned_abs() as usize;
        Ok(Self { start_after: input.exclusive_start_table_name, limit })
    }

    /// The page, from all names of the account in lexical (byte) order.
    pub fn answer<'n>(&self, names: impl Iterator<Item = &'n str>) -> ListTablesOutput {
        let mut rest =
            names.skip_while(|name| self.start_after.as_deref().is_some_and(|start| *name <= start));
        let table_names: Vec<String> = rest.by_ref().take(self.limit).map(str::to_owned).collect();
        let more = rest.next().is_some();
        let last_evaluated_table_name = table_names.last().filter(|_| more).cloned();
        ListTablesOutput { table_names, last_evaluated_table_name }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(start: Option<&str>, limit: Option<i64>) -> ListTablesOutput {
        let input = ListTablesInput { exclusive_start_table_name: start.map(str::to_owned), limit };
        ListTables::parse(input).expect("valid").answer(["aaa", "bbb", "ccc"].into_iter())
    }

    #[test]
    fn pages_follow_each_other() {
        let first = page(None, Some(2));
        assert_eq!(first.table_names, ["aaa", "bbb"]);
        assert_eq!(first.last_evaluated_table_name.as_deref(), Some("bbb"));
        let second = page(Some("bbb"), Some(2));
        assert_eq!((second.table_names, second.last_evaluated_table_name), (vec!["ccc".to_owned()], None));
    }

    #[test]
    fn a_page_that_just_fits_is_the_last() {
        assert_eq!(page(None, Some(3)).last_evaluated_table_name, None);
        assert_eq!(page(None, None).table_names.len(), 3);
    }

    #[test]
    fn the_start_need_not_exist() {
        assert_eq!(page(Some("abc"), None).table_names, ["bbb", "ccc"]);
        assert_eq!(page(Some("zzz"), None).table_names, Vec::<String>::new());
    }
}
