//! The tree of a statement: what was written, with no table and no parameters in mind.
//!
//! One kind of expression serves conditions, values and updates alike, as the language has it. Which of them may stand where
//! is decided when the statement is lowered: the service tells a misplaced expression from a malformed statement.

use super::token::Position;
use crate::expr::{Comparator, Path, ValueType};

/// One statement.
#[derive(Clone, Debug, PartialEq)]
pub enum Statement {
    /// `SELECT … FROM … [WHERE …] [ORDER BY …]`
    Select(Select),
    /// `EXISTS(SELECT …)`: a condition of a transaction.
    Exists(Select),
    /// `INSERT INTO … VALUE …`
    Insert(Insert),
    /// `UPDATE … SET … REMOVE … WHERE … [RETURNING …]`
    Update(Update),
    /// `DELETE FROM … WHERE … [RETURNING …]`
    Delete(Delete),
}

/// A table, or one of its indexes.
#[derive(Clone, Debug, PartialEq)]
pub struct Source {
    /// The table's name, or its ARN.
    pub table: String,
    /// The index's name.
    pub index: Option<String>,
}

/// A read.
#[derive(Clone, Debug, PartialEq)]
pub struct Select {
    /// What of each item; `None` is `*`.
    pub columns: Option<Vec<Path>>,
    /// Of what.
    pub source: Source,
    /// Which items.
    pub filter: Option<Expression>,
    /// In which order.
    pub order: Vec<Order>,
}

/// One part of `ORDER BY`.
#[derive(Clone, Debug, PartialEq)]
pub struct Order {
    /// The attribute.
    pub attribute: String,
    /// `DESC`.
    pub descending: bool,
}

/// A new item.
#[derive(Clone, Debug, PartialEq)]
pub struct Insert {
    /// Where to.
    pub source: Source,
    /// The item: a map, or a parameter that is one.
    pub value: Expression,
}

/// Changes of one item.
#[derive(Clone, Debug, PartialEq)]
pub struct Update {
    /// Of what.
    pub source: Source,
    /// In the order of the text.
    pub changes: Vec<Change>,
    /// Which item, and under what condition.
    pub filter: Option<Expression>,
    /// What to answer.
    pub returning: Option<Returning>,
}

/// One change of an item.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// `SET path = expression`
    Set(Path, Expression),
    /// `REMOVE path`
    Remove(Path),
}

/// The end of one item.
#[derive(Clone, Debug, PartialEq)]
pub struct Delete {
    /// Of what.
    pub source: Source,
    /// Which item, and under what condition.
    pub filter: Option<Expression>,
    /// What to answer.
    pub returning: Option<Returning>,
}

/// `RETURNING (ALL | MODIFIED) (OLD | NEW) *`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Returning {
    /// `MODIFIED`: what the update touched; otherwise the whole item.
    pub modified: bool,
    /// `NEW`: the item after; otherwise before.
    pub new: bool,
}

/// Anything that has a value.
#[derive(Clone, Debug, PartialEq)]
pub enum Expression {
    /// A place in the item.
    Path(Path),
    /// `'text'`
    Text(String),
    /// A number as it is written, its sign included.
    Number(String),
    /// `true`, `false`
    Boolean(bool),
    /// `NULL`
    Null,
    /// `MISSING`
    Missing,
    /// `?`: the number of the parameter, from 0.
    Parameter(usize, Position),
    /// `[a, b]`
    List(Vec<Expression>),
    /// `<<a, b>>`
    Set(Vec<Expression>),
    /// `{'a': b}`
    Map(Vec<(String, Expression)>),
    /// `name(a, b)`
    Call(Call),
    /// `NOT a`
    Not(Box<Expression>),
    /// `a AND b AND c`: two or more, none of which is a conjunction itself.
    And(Vec<Expression>),
    /// `a OR b OR c`: two or more, none of which is a disjunction itself.
    Or(Vec<Expression>),
    /// `a = b` and its like.
    Compare(Comparator, Box<Expression>, Box<Expression>),
    /// `a BETWEEN b AND c`
    Between(Box<Expression>, Box<Expression>, Box<Expression>),
    /// `a IN [b, c]`
    In(Box<Expression>, Vec<Expression>),
    /// `a IS MISSING`
    IsMissing(Box<Expression>),
    /// `a IS NULL`, `a IS STRING` and their like.
    IsType(Box<Expression>, ValueType),
    /// `a + b`
    Plus(Box<Expression>, Box<Expression>),
    /// `a - b`
    Minus(Box<Expression>, Box<Expression>),
}

/// A call of a function.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    /// The function's name in lower case: it has none of its own.
    pub name: String,
    /// What it is given.
    pub operands: Vec<Expression>,
    /// Where its name stands.
    pub at: Position,
    /// Where its first operand begins.
    pub first_at: Position,
}

impl Statement {
    /// The table that the statement is about, and the index.
    pub fn source(&self) -> &Source {
        match self {
            Self::Select(select) | Self::Exists(select) => &select.source,
            Self::Insert(insert) => &insert.source,
            Self::Update(update) => &update.source,
            Self::Delete(delete) => &delete.source,
        }
    }

    /// What it does, as policies name it (contract 16.2).
    pub fn action(&self) -> &'static str {
        match self {
            Self::Select(_) | Self::Exists(_) => "PartiQLSelect",
            Self::Insert(_) => "PartiQLInsert",
            Self::Update(_) => "PartiQLUpdate",
            Self::Delete(_) => "PartiQLDelete",
        }
    }

    /// Whether it reads only: `EXISTS` stands among writes and does not count.
    pub fn is_read(&self) -> bool {
        matches!(self, Self::Select(_))
    }
}

impl Returning {
    /// As it is written.
    pub fn text(self) -> String {
        let what = if self.modified { "MODIFIED" } else { "ALL" };
        let when = if self.new { "NEW" } else { "OLD" };
        format!("RETURNING {what} {when} *")
    }
}
