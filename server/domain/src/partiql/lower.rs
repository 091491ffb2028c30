//! From statements to operations.
//!
//! [`Prepared::new`] makes every check that needs no table; [`Prepared::lower`] brings in the key schema and answers with the
//! operations, which are bound and executed like any other.

use trilith_values::{AttributeValue, Item};

use super::ast::{Expression, Returning, Select, Statement};
use super::branch::{self, Branch, Keys, Misfit};
use super::reads::{Read, Reads};
use super::value::{duplicate, parameters_differ, value};
use super::{change, condition, parse};
use crate::catalog::{IndexRecord, TableRecord};
use crate::error::OpError;
use crate::expr::{Condition, KeyCondition, Path, Projection, RangeTest, Test};
use crate::machine::ReturnValues;
use crate::ops::page::{PageOptions, Shown};
use crate::ops::table_ref::is_name;
use crate::ops::types::ReturnConsumed;
use crate::ops::write::WriteOptions;
use crate::ops::{Access, DeleteItem, GetItem, PutItem, Query, Resource, Scan, TableRef, UpdateItem};
use crate::schema::{IndexKind, IndexSchema};

/// A statement with its parameters, checked as far as that goes without its table.
#[derive(Clone, Debug, PartialEq)]
pub struct Prepared {
    /// The table.
    pub table: TableRef,
    /// What it says.
    pub statement: Statement,
    /// How it was written.
    pub text: String,
    /// The values of its question marks.
    pub parameters: Vec<AttributeValue>,
    /// `ConsistentRead`.
    pub consistent: bool,
    /// `ReturnValuesOnConditionCheckFailure`.
    pub old_on_failure: bool,
    /// `ReturnConsumedCapacity`.
    pub consumed: ReturnConsumed,
}

/// The operations that a statement stands for.
#[derive(Clone, Debug, PartialEq)]
pub enum Lowered {
    /// `INSERT`.
    Put(PutItem),
    /// `UPDATE`.
    Update(UpdateItem),
    /// `DELETE`.
    Delete(DeleteItem),
    /// `EXISTS`: a condition of the item with this key, unchecked.
    Check(Item, Condition),
    /// `SELECT`.
    Reads(Reads),
}

/// Where a statement stands, which decides what a `SELECT` may ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Alone.
    Alone,
    /// In a batch: one item by its key.
    Batch,
    /// In a transaction: the same.
    Transaction,
}

/// The keys of a table.
fn keys(record: &TableRecord) -> Keys<'_> {
    Keys { hash: &record.definition.hash, range: record.definition.range.as_ref() }
}

/// Holds where the item is there.
fn is_there(record: &TableRecord) -> Test {
    Test::Exists(Path::attribute(record.definition.hash.name.as_str()))
}

/// Holds where the item is not there.
fn is_absent(record: &TableRecord) -> Test {
    Test::NotExists(Path::attribute(record.definition.hash.name.as_str()))
}

impl Prepared {
    /// Reads a statement and checks what can be known of it alone.
    ///
    /// # Errors
    /// `ValidationException`, in the service's words.
    pub fn new(
        text: String,
        parameters: Vec<AttributeValue>,
        consistent: bool,
        old_on_failure: bool,
        consumed: ReturnConsumed,
    ) -> Result<Self, OpError> {
        let parsed = parse(&text)?;
        if parsed.parameters != parameters.len() {
            return Err(parameters_differ());
        }
        let statement = parsed.statement;
        if let Statement::Delete(delete) = &statement
            && let Some(returning) = delete.returning
            && (returning.modified || returning.new)
        {
            return Err(OpError::Validation(format!(
                "Invalid returning clause: {}. Only RETURNING ALL OLD * is allowed in DELETE statements.",
                returning.text()
            )));
        }
        let source = statement.source();
        if source.index.is_some() && !matches!(statement, Statement::Select(_) | Statement::Exists(_)) {
            return Err(OpError::validation("This operation is not supported on an index"));
        }
        let table = table(&source.table)?;
        Ok(Self { table, statement, text, parameters, consistent, old_on_failure, consumed })
    }

    /// The operations for this table.
    ///
    /// # Errors
    /// `ValidationException`, for what does not fit the table.
    pub fn lower(&self, record: &TableRecord, limit: Option<u64>, place: Place) -> Result<Lowered, Misfit> {
        match &self.statement {
            Statement::Select(select) if place == Place::Alone => {
                Ok(Lowered::Reads(Reads::new(self.select(record, select, limit)?, limit)))
            }
            Statement::Select(select) => {
                let get = Read::Get(self.one_get(record, select, place)?);
                Ok(Lowered::Reads(Reads::new(vec![get], limit)))
            }
            Statement::Exists(select) => self.check(record, select).map_err(Misfit::from),
            Statement::Insert(insert) => {
                let item = self.inserted(&insert.value)?;
                let condition = Condition { literals: Vec::new(), test: is_absent(record) };
                let options = self.options(Some(condition), ReturnValues::None);
                Ok(Lowered::Put(PutItem::of_statement(self.table.clone(), item, options)?))
            }
            Statement::Update(update) => {
                let (key, rest) = branch::one_item(update.filter.as_ref(), keys(record), &self.parameters)?;
                let condition = condition::all(Some(is_there(record)), rest, &self.parameters)?;
                let changes = change::update(&update.changes, &self.parameters)?;
                let options = self.options(condition, returns(update.returning));
                Ok(Lowered::Update(UpdateItem::of_statement(self.table.clone(), key, changes, options)))
            }
            Statement::Delete(delete) => {
                let (key, rest) = branch::one_item(delete.filter.as_ref(), keys(record), &self.parameters)?;
                // An item that is not there is deleted with success, whatever is asked of it.
                let condition = condition::all_unless(is_absent(record), rest, &self.parameters)?;
                let options = self.options(condition, returns(delete.returning));
                Ok(Lowered::Delete(DeleteItem { table: self.table.clone(), key, options }))
            }
        }
    }

    /// What is wrong with it whatever its table is: told before the table is missed.
    pub fn fault(&self) -> Option<OpError> {
        let filter = |filter: &Option<Expression>| condition::all(None, filter, &self.parameters).err();
        match &self.statement {
            Statement::Select(select) | Statement::Exists(select) => filter(&select.filter),
            Statement::Insert(insert) => self.inserted(&insert.value).err(),
            Statement::Update(update) => {
                filter(&update.filter).or_else(|| change::update(&update.changes, &self.parameters).err())
            }
            Statement::Delete(delete) => filter(&delete.filter),
        }
    }

    /// What it does to what, for policies.
    pub fn access(&self) -> Access<'_> {
        Access { action: self.statement.action(), resource: Resource::Table(&self.table) }
    }

    fn options(&self, condition: Option<Condition>, returns: ReturnValues) -> WriteOptions {
        WriteOptions {
            condition,
            returns,
            old_on_failure: self.old_on_failure,
            consumed: self.consumed,
            metrics: false,
        }
    }

    /// The item of an `INSERT`. Each attribute is a value of its own, so a parameter may stand for one.
    fn inserted(&self, expression: &Expression) -> Result<Item, OpError> {
        let not_an_item = || {
            OpError::validation(
                "Unsupported format in item expression. Please use struct format {...} to express item values for insert \
                 statement.",
            )
        };
        let Expression::Map(members) = expression else {
            return match expression {
                Expression::Parameter(..) => match value(expression, &self.parameters)? {
                    AttributeValue::M(item) => Ok(item),
                    _ => Err(not_an_item()),
                },
                _ => Err(not_an_item()),
            };
        };
        let mut item = Item::new();
        for (name, member) in members {
            if item.insert(name.clone(), value(member, &self.parameters)?).is_some() {
                return Err(duplicate(name, "root"));
            }
        }
        Ok(item)
    }

    /// The condition that an `EXISTS` is. It says that the read finds something, so the item must be there.
    fn check(&self, record: &TableRecord, select: &Select) -> Result<Lowered, OpError> {
        let refusal =
            || OpError::validation("EXISTS() must contain a single item read with additional condition");
        if select.source.index.is_some() {
            return Err(OpError::validation("Operations on indices are not supported in transactions"));
        }
        let filter = select.filter.as_ref().ok_or_else(refusal)?;
        let found = branch::first_item(filter, keys(record), &self.parameters)?;
        let (key, rest) = found.filter(|(_, rest)| !rest.is_empty()).ok_or_else(refusal)?;
        let condition = condition::all(Some(is_there(record)), rest, &self.parameters)?;
        Ok(Lowered::Check(key, condition.ok_or_else(refusal)?))
    }

    /// The read of a `SELECT` that must name one item by its key.
    ///
    /// # Errors
    /// `ValidationException` where it does not.
    pub fn one_get(&self, record: &TableRecord, select: &Select, place: Place) -> Result<GetItem, OpError> {
        let operation = match place {
            Place::Transaction if select.source.index.is_some() => {
                return Err(OpError::validation("Reads on indices are not supported within transactions."));
            }
            Place::Transaction => "ExecuteTransaction",
            Place::Batch | Place::Alone => "BatchExecuteStatement",
        };
        let refusal = || {
            OpError::Validation(format!(
                "Select statements within {operation} must specify the primary key in the where clause."
            ))
        };
        if let Some(name) = &select.source.index {
            record.definition.index(name).map_or(Ok(()), |index| check_simple(&index.schema))?;
            return Err(refusal());
        }
        if let Some(key) = branch::point(select.filter.as_ref(), keys(record), &self.parameters)? {
            return Ok(self.get(key, select));
        }
        let mut branches =
            branch::branches(select.filter.as_ref(), keys(record), &self.parameters)?.unwrap_or_default();
        let only = branches.pop().filter(|_| branches.is_empty()).ok_or_else(refusal)?;
        let key = key_of(record, &only).filter(|_| only.rest.is_empty()).ok_or_else(refusal)?;
        Ok(self.get(key, select))
    }

    /// The reads of a `SELECT`.
    fn select(
        &self,
        record: &TableRecord,
        select: &Select,
        limit: Option<u64>,
    ) -> Result<Vec<Read>, OpError> {
        let filter = select.filter.as_ref();
        let index = self.index(record, select)?;
        let keys = index.map_or_else(
            || keys(record),
            |index| Keys { hash: &index.schema.hash[0], range: index.schema.range.first() },
        );
        if select.order.is_empty()
            && index.is_none()
            && let Some(key) = branch::point(filter, keys, &self.parameters)?
        {
            return Ok(vec![Read::Get(self.get(key, select))]);
        }
        let branches = branch::branches(filter, keys, &self.parameters)?;
        let forward = check_order(select, keys, branches.as_deref())?;
        let Some(mut branches) = branches else {
            let filter = condition::all(None, filter, &self.parameters)?;
            let options = self.page(select, filter, limit);
            return Ok(vec![Read::Scan(Scan { table: self.table.clone(), segment: None, options })]);
        };
        if !select.order.is_empty() {
            let hash = select.order.iter().find(|order| order.attribute == keys.hash.name);
            branch::sort(&mut branches, hash.is_some_and(|order| order.descending), !forward);
        }
        let mut reads = Vec::with_capacity(branches.len());
        for branch in branches {
            let query = self.query(keys, branch, select, forward, limit)?;
            if let Some(index) = index {
                check_held(record, &index.schema, query.options.filter.as_ref())?;
            }
            reads.push(Read::Query(Box::new(query)));
        }
        Ok(reads)
    }

    /// The index that a `SELECT` names, where it can be read so.
    fn index<'r>(
        &self,
        record: &'r TableRecord,
        select: &Select,
    ) -> Result<Option<&'r IndexRecord>, OpError> {
        let Some(name) = &select.source.index else {
            return Ok(None);
        };
        let index = record
            .definition
            .index(name)
            .ok_or_else(|| OpError::validation("The table does not have the specified index"))?;
        if index.schema.kind() == IndexKind::Vector {
            // A statement reads as a query does; the service's own text is not on record.
            return Err(OpError::validation("Query operation not supported on this index type."));
        }
        check_simple(&index.schema)?;
        if self.consistent && !index.schema.is_local() {
            return Err(OpError::validation(
                "Strongly consistent read is not supported on Global Secondary Indexes",
            ));
        }
        Ok(Some(index))
    }

    fn query(
        &self,
        keys: Keys<'_>,
        branch: Branch,
        select: &Select,
        forward: bool,
        limit: Option<u64>,
    ) -> Result<Query, OpError> {
        let filter = condition::all(None, &branch.rest, &self.parameters)?;
        let mut key_condition = KeyCondition { hash: Vec::new(), range: None, rest: Vec::new() };
        if let Some(hash) = branch.hash {
            key_condition.hash.push((keys.hash.name.clone(), hash));
        }
        if let (Some(range), Some((test, _))) = (keys.range, branch.range) {
            match test {
                RangeTest::Eq(value) => key_condition.hash.push((range.name.clone(), value)),
                other => key_condition.range = Some((range.name.clone(), other)),
            }
        }
        let options = self.page(select, filter, limit);
        Ok(Query::of_statement(self.table.clone(), key_condition, forward, options))
    }

    fn page(&self, select: &Select, filter: Option<Condition>, limit: Option<u64>) -> PageOptions {
        PageOptions {
            limit,
            consistent: self.consistent,
            start: None,
            filter,
            projection: projection(select),
            shown: if select.columns.is_some() { Shown::Specific } else { Shown::Held },
            index: select.source.index.clone(),
            consumed: self.consumed,
        }
    }

    fn get(&self, key: Item, select: &Select) -> GetItem {
        GetItem {
            table: self.table.clone(),
            key,
            consistent: self.consistent,
            projection: projection(select),
            consumed: self.consumed,
        }
    }
}

/// A Query of an index sees only what the index holds in its conditions, of local ones too.
fn check_held(record: &TableRecord, index: &IndexSchema, filter: Option<&Condition>) -> Result<(), OpError> {
    let table = record.schema();
    let mut absent: Vec<&str> = Vec::new();
    for path in filter.into_iter().flat_map(Condition::paths) {
        if !index.projects(&table, path.root()) && !absent.contains(&path.root()) {
            absent.push(path.root());
        }
    }
    if absent.is_empty() {
        return Ok(());
    }
    Err(OpError::Validation(format!(
        "One or more parameter values were invalid: Secondary index {} does not project one or more filter attributes: [{}]",
        index.name,
        absent.join(", ")
    )))
}

/// Statements do not read an index whose key has several attributes of a kind.
fn check_simple(index: &IndexSchema) -> Result<(), OpError> {
    if index.hash.len() <= 1 && index.range.len() <= 1 {
        return Ok(());
    }
    Err(OpError::validation(
        "PartiQL statements cannot be executed on tables with multi-attribute HASH keys or multi-attribute RANGE keys.",
    ))
}

/// The table that a source names.
fn table(given: &str) -> Result<TableRef, OpError> {
    if is_name(given) {
        return Ok(TableRef::of_name(given));
    }
    TableRef::of_arn(given).ok_or_else(|| {
        OpError::validation(
            "Table name should be within the length [3, 255] and only contain 'a-z', 'A-Z', '0-9', '-', '_', '.'.",
        )
    })
}

/// The attributes that the columns lie in; what is within them is taken from the answer.
fn projection(select: &Select) -> Option<Projection> {
    let columns = select.columns.as_ref()?;
    let mut roots: Vec<&str> = Vec::with_capacity(columns.len());
    for column in columns {
        if !roots.contains(&column.root()) {
            roots.push(column.root());
        }
    }
    Some(Projection::new(roots.into_iter().map(Path::attribute).collect()))
}

/// The key of a branch that names one item.
fn key_of(record: &TableRecord, branch: &Branch) -> Option<Item> {
    let mut key = Item::from([(record.definition.hash.name.clone(), branch.hash.clone()?)]);
    match (&record.definition.range, &branch.range) {
        (None, None) => {}
        (Some(range), Some((RangeTest::Eq(value), _))) => {
            key.insert(range.name.clone(), value.clone());
        }
        _ => return None,
    }
    Some(key)
}

/// `ORDER BY` against the keys; answers whether sort keys ascend. As the service has it, they descend where the clause names
/// the partition key alone.
fn check_order(select: &Select, keys: Keys<'_>, branches: Option<&[Branch]>) -> Result<bool, OpError> {
    if select.order.is_empty() {
        return Ok(true);
    }
    if select.filter.is_none() {
        return Err(OpError::validation(
            "Must have WHERE clause in the statement when using ORDER BY clause.",
        ));
    }
    let is_range = |name: &str| keys.range.is_some_and(|range| range.name == name);
    for order in &select.order {
        if order.attribute != keys.hash.name && !is_range(&order.attribute) {
            return Err(OpError::Validation(format!(
                "Attribute {} in ORDER BY clause must be part of the primary key",
                order.attribute
            )));
        }
    }
    let Some(branches) = branches else {
        return Err(OpError::validation(
            "Must have at least one non-optional hash key condition in WHERE clause when using ORDER BY clause.",
        ));
    };
    let several = branches.iter().any(|branch| branch.hash != branches[0].hash);
    if several && !select.order.iter().any(|order| order.attribute == keys.hash.name) {
        return Err(OpError::validation(
            "Must have hash key in ORDER BY clause when more than one hash key condition specified in WHERE clause.",
        ));
    }
    let range = select.order.iter().find(|order| is_range(&order.attribute));
    Ok(range.is_some_and(|order| !order.descending))
}

fn returns(returning: Option<Returning>) -> ReturnValues {
    match returning {
        None => ReturnValues::None,
        Some(Returning { modified: false, new: false }) => ReturnValues::AllOld,
        Some(Returning { modified: false, new: true }) => ReturnValues::AllNew,
        Some(Returning { modified: true, new: false }) => ReturnValues::UpdatedOld,
        Some(Returning { modified: true, new: true }) => ReturnValues::UpdatedNew,
    }
}
