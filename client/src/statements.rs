//! PartiQL statements.

use trilith_proto::data::v1 as proto;
use trilith_values::{AttributeValue, Item};

use crate::convert::{item_in, items_in, value_out};
use crate::error::Result;
use crate::items::Capacity;

/// One PartiQL statement, such as `SELECT * FROM "orders" WHERE customer = ?`.
#[derive(Clone, Debug, PartialEq)]
pub struct Statement {
    text: String,
    parameters: Vec<AttributeValue>,
    consistent: bool,
    limit: Option<i64>,
    next: Option<String>,
    capacity: bool,
}

impl Statement {
    /// As it is written.
    pub fn new(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            parameters: Vec::new(),
            consistent: false,
            limit: None,
            next: None,
            capacity: false,
        }
    }

    /// What the next `?` stands for.
    pub fn parameter(mut self, value: impl Into<AttributeValue>) -> Self {
        self.parameters.push(value.into());
        self
    }

    /// A `SELECT` sees every write that was acknowledged before it began.
    pub fn consistent(mut self) -> Self {
        self.consistent = true;
        self
    }

    /// A `SELECT` evaluates so many items at the most.
    pub fn limit(mut self, items: u32) -> Self {
        self.limit = Some(items.into());
        self
    }

    /// Goes on where a page of the same statement ended: see [`Rows::next`].
    pub fn next(mut self, token: impl Into<String>) -> Self {
        self.next = Some(token.into());
        self
    }

    /// Reports the capacity used.
    pub fn capacity(mut self) -> Self {
        self.capacity = true;
        self
    }

    pub(crate) fn of_transaction(self) -> proto::ParameterizedStatement {
        proto::ParameterizedStatement {
            statement: self.text,
            parameters: self.parameters.into_iter().map(value_out).collect(),
            ..Default::default()
        }
    }

    pub(crate) fn message(self) -> proto::ExecuteStatementRequest {
        let asked = if self.capacity {
            proto::ReturnConsumedCapacity::Total
        } else {
            proto::ReturnConsumedCapacity::Unspecified
        };
        proto::ExecuteStatementRequest {
            statement: self.text,
            parameters: self.parameters.into_iter().map(value_out).collect(),
            consistent_read: Some(self.consistent),
            next_token: self.next,
            return_consumed_capacity: asked.into(),
            limit: self.limit,
            ..Default::default()
        }
    }
}

/// What a statement answers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rows {
    /// What a `SELECT` read or a `RETURNING` clause shows; empty for other writes.
    pub items: Vec<Item>,
    /// There is more: hand it to [`Statement::next`] with the same statement.
    pub next: Option<String>,
    /// Where a `SELECT` stopped.
    pub last_key: Option<Item>,
    /// Capacity, where asked for.
    pub capacity: Option<Capacity>,
}

impl Rows {
    pub(crate) fn of(answer: proto::ExecuteStatementResponse) -> Result<Self> {
        Ok(Self {
            items: items_in(answer.items)?,
            next: answer.next_token,
            last_key: answer.last_evaluated_key.map(item_in).transpose()?,
            capacity: answer.consumed_capacity.map(Capacity::of),
        })
    }
}
