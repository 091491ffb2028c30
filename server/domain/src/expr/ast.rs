//! The trees that expressions become, and their binary form.
//!
//! A tree holds real attribute names. Values lie in a table beside the tree, one entry for each placeholder, and leaves refer to
//! them by number: a value of a megabyte that is used a hundred times is stored and sent once.
//!
//! Borsh form: derived field by field for what does not nest. For the two types that do, reading is written out with a budget of
//! levels, because a derived reader recurses as deep as the bytes ask for. A number without an entry in the table (which no
//! parser makes, but bytes may) is a value that does not exist: comparisons with it are false, updates with it fail.

use std::io::{Error, ErrorKind, Read, Result};

use borsh::{BorshDeserialize, BorshSerialize};
use trilith_values::AttributeValue;

use super::limits::{MAX_OPEN_GROUPS, MAX_OPERATORS};
use super::path::Path;

/// Levels of a tree that a reader follows. A tree from a parser nests once for each operator and each pair of parentheses.
pub(super) const MAX_DEPTH: u32 = MAX_OPERATORS + MAX_OPEN_GROUPS;

/// Number of a value in its tree's table.
pub type Literal = u16;

/// A condition or filter: a boolean question about one item.
#[derive(Clone, Debug, PartialEq, BorshSerialize, BorshDeserialize)]
pub struct Condition {
    pub(crate) literals: Vec<AttributeValue>,
    pub(crate) test: Test,
}

/// What a condition asks.
#[derive(Clone, Debug, PartialEq, BorshSerialize)]
pub enum Test {
    /// All hold; true when there are none.
    And(Vec<Test>),
    /// At least one holds; false when there are none.
    Or(Vec<Test>),
    /// The other does not hold.
    Not(Box<Test>),
    /// `left comparator right`.
    Compare(Comparator, Operand, Operand),
    /// `operand BETWEEN low AND high`, bounds included.
    Between(Operand, Operand, Operand),
    /// `operand IN (list)`.
    In(Operand, Vec<Operand>),
    /// `attribute_exists(path)`.
    Exists(Path),
    /// `attribute_not_exists(path)`.
    NotExists(Path),
    /// `attribute_type(path, type)`.
    HasType(Path, ValueType),
    /// `begins_with(operand, prefix)`.
    BeginsWith(Operand, Operand),
    /// `contains(operand, element)`.
    Contains(Operand, Operand),
}

/// One of the six comparisons.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum Comparator {
    /// `=`
    Equal,
    /// `<>`
    NotEqual,
    /// `<`
    Less,
    /// `<=`
    LessEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterEqual,
}

/// What a comparison looks at.
#[derive(Clone, Debug, PartialEq, BorshSerialize, BorshDeserialize)]
pub enum Operand {
    /// A place in the item.
    Path(Path),
    /// A value of the request.
    Literal(Literal),
    /// `size(path)`.
    Size(Path),
    /// `size(:value)`.
    LiteralSize(Literal),
}

/// The second argument of `attribute_type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum ValueType {
    /// String.
    S,
    /// Number.
    N,
    /// Binary.
    B,
    /// Boolean.
    Bool,
    /// Null.
    Null,
    /// List.
    L,
    /// Map.
    M,
    /// String set.
    Ss,
    /// Number set.
    Ns,
    /// Binary set.
    Bs,
}

/// How an item changes: its actions, in the order of the text. No two of their targets clash.
#[derive(Clone, Debug, PartialEq, BorshSerialize, BorshDeserialize)]
pub struct Update {
    pub(crate) literals: Vec<AttributeValue>,
    pub(crate) actions: Vec<Action>,
}

impl Update {
    /// Size of the values that the request brought, in the service's accounting (bytes).
    pub fn literal_bytes(&self) -> usize {
        self.literals.iter().map(trilith_values::size::value_size).sum()
    }
}

/// One change at one place.
#[derive(Clone, Debug, PartialEq, BorshSerialize, BorshDeserialize)]
pub enum Action {
    /// `SET path = value`.
    Set(Path, SetValue),
    /// `REMOVE path`.
    Remove(Path),
    /// `ADD path :value`: to a number, or into a set.
    Add(Path, Literal),
    /// `DELETE path :value`: elements out of a set.
    Delete(Path, Literal),
}

/// The right-hand side of a `SET`.
#[derive(Clone, Debug, PartialEq, BorshSerialize)]
pub enum SetValue {
    /// The value at a place of the item as it was.
    Path(Path),
    /// A value of the request.
    Literal(Literal),
    /// The place's value if it has one, else the other.
    IfNotExists(Path, Box<SetValue>),
    /// Two lists, one behind the other.
    ListAppend(Box<SetValue>, Box<SetValue>),
    /// A sum.
    Plus(Box<SetValue>, Box<SetValue>),
    /// A difference.
    Minus(Box<SetValue>, Box<SetValue>),
}

impl ValueType {
    /// The type with this descriptor (`S`, `BOOL`, …).
    pub fn named(name: &str) -> Option<Self> {
        Some(match name {
            "S" => Self::S,
            "N" => Self::N,
            "B" => Self::B,
            "BOOL" => Self::Bool,
            "NULL" => Self::Null,
            "L" => Self::L,
            "M" => Self::M,
            "SS" => Self::Ss,
            "NS" => Self::Ns,
            "BS" => Self::Bs,
            _ => return None,
        })
    }

    /// Whether `value` is of this type.
    pub fn matches(self, value: &AttributeValue) -> bool {
        Self::named(value.type_name()) == Some(self)
    }
}

impl Comparator {
    /// As it is written.
    pub fn symbol(self) -> &'static str {
        match self {
            Self::Equal => "=",
            Self::NotEqual => "<>",
            Self::Less => "<",
            Self::LessEqual => "<=",
            Self::Greater => ">",
            Self::GreaterEqual => ">=",
        }
    }

    /// Whether it asks for an order, which only strings, numbers and binaries have.
    pub fn is_ordering(self) -> bool {
        !matches!(self, Self::Equal | Self::NotEqual)
    }

    /// The comparator that says the same with its sides exchanged.
    pub fn flipped(self) -> Self {
        match self {
            Self::Equal | Self::NotEqual => self,
            Self::Less => Self::Greater,
            Self::LessEqual => Self::GreaterEqual,
            Self::Greater => Self::Less,
            Self::GreaterEqual => Self::LessEqual,
        }
    }
}

impl BorshDeserialize for Test {
    fn deserialize_reader<R: Read>(reader: &mut R) -> Result<Self> {
        read_test(reader, MAX_DEPTH)
    }
}

impl BorshDeserialize for SetValue {
    fn deserialize_reader<R: Read>(reader: &mut R) -> Result<Self> {
        read_set_value(reader, MAX_DEPTH)
    }
}

/// Reads `T`, named by where it stands.
fn read<T: BorshDeserialize, R: Read>(reader: &mut R) -> Result<T> {
    T::deserialize_reader(reader)
}

fn deeper(levels: u32) -> Result<u32> {
    levels.checked_sub(1).ok_or_else(|| Error::new(ErrorKind::InvalidData, "expression nests too deep"))
}

fn read_test<R: Read>(reader: &mut R, levels: u32) -> Result<Test> {
    let levels = deeper(levels)?;
    Ok(match read::<u8, R>(reader)? {
        0 => Test::And(read_tests(reader, levels)?),
        1 => Test::Or(read_tests(reader, levels)?),
        2 => Test::Not(Box::new(read_test(reader, levels)?)),
        3 => Test::Compare(read(reader)?, read(reader)?, read(reader)?),
        4 => Test::Between(read(reader)?, read(reader)?, read(reader)?),
        5 => Test::In(read(reader)?, read(reader)?),
        6 => Test::Exists(read(reader)?),
        7 => Test::NotExists(read(reader)?),
        8 => Test::HasType(read(reader)?, read(reader)?),
        9 => Test::BeginsWith(read(reader)?, read(reader)?),
        10 => Test::Contains(read(reader)?, read(reader)?),
        tag => return Err(unknown_tag("condition", tag)),
    })
}

fn read_tests<R: Read>(reader: &mut R, levels: u32) -> Result<Vec<Test>> {
    let count: u32 = read(reader)?;
    let mut tests = Vec::new(); // Grows with what is really there, not with what the count claims.
    for _ in 0..count {
        tests.push(read_test(reader, levels)?);
    }
    Ok(tests)
}

fn read_set_value<R: Read>(reader: &mut R, levels: u32) -> Result<SetValue> {
    let levels = deeper(levels)?;
    let inner = |reader: &mut R| read_set_value(reader, levels).map(Box::new);
    Ok(match read::<u8, R>(reader)? {
        0 => SetValue::Path(read(reader)?),
        1 => SetValue::Literal(read(reader)?),
        2 => SetValue::IfNotExists(read(reader)?, inner(reader)?),
        3 => SetValue::ListAppend(inner(reader)?, inner(reader)?),
        4 => SetValue::Plus(inner(reader)?, inner(reader)?),
        5 => SetValue::Minus(inner(reader)?, inner(reader)?),
        tag => return Err(unknown_tag("update value", tag)),
    })
}

fn unknown_tag(what: &str, tag: u8) -> Error {
    Error::new(ErrorKind::InvalidData, format!("unknown {what} tag {tag}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reading_is_bounded_in_depth() {
        let not = 2u8;
        let bytes = vec![not; 1_000_000];
        let error = Test::try_from_slice(&bytes).expect_err("too deep");
        assert_eq!(error.to_string(), "expression nests too deep");

        let mut fits = vec![not; MAX_DEPTH as usize - 1];
        fits.extend([0, 0, 0, 0, 0]); // And, of none
        assert!(Test::try_from_slice(&fits).is_ok());
        fits.insert(0, not);
        assert!(Test::try_from_slice(&fits).is_err());
    }

    #[test]
    fn a_claimed_length_is_not_believed() {
        assert!(Test::try_from_slice(&[0, 0xff, 0xff, 0xff, 0xff]).is_err());
        assert!(Test::try_from_slice(&[11]).is_err());
        assert!(SetValue::try_from_slice(&[6]).is_err());
        assert!(SetValue::try_from_slice(&[4; 100_000]).is_err());
    }
}
