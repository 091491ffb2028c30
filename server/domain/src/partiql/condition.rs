//! Expressions that are true or false, as the tests of [`crate::expr`].
//!
//! The language lets a condition stand where a value may (`attribute_exists(a) = false`); a test has no such operand, so those
//! comparisons become connectives of the test itself. `NULL` and `MISSING` follow the service: an attribute that is not there
//! is not null.

use trilith_values::AttributeValue;

use super::ast::{Call, Expression};
use super::value::{is_value, value};
use super::{arity, operand_type};
use crate::error::OpError;
use crate::expr::limits::MAX_IN_VALUES;
use crate::expr::{Comparator, Condition, Operand, Path, Test, ValueType, bounds_fault};

/// Comparisons of a condition with something that is no literal. Each repeats its condition twice. Ours.
const TWICE_MAX: u32 = 3;

/// Tests made for one statement: more come only of conditions that are compared with many values. Ours.
const TESTS_MAX: u32 = 4096;

/// Makes the tests of one condition, and the table of their values.
pub(super) struct Conditions<'s> {
    parameters: &'s [AttributeValue],
    literals: Vec<AttributeValue>,
    twice: u32,
    tests: u32,
}

/// The condition that all of `expressions` hold, and `also`; `None` where there is none of either.
pub(super) fn all<'e>(
    also: Option<Test>,
    expressions: impl IntoIterator<Item = &'e Expression>,
    parameters: &[AttributeValue],
) -> Result<Option<Condition>, OpError> {
    let mut conditions = Conditions { parameters, literals: Vec::new(), twice: 0, tests: 0 };
    let mut tests: Vec<Test> = also.into_iter().collect();
    for expression in expressions {
        tests.push(conditions.test(expression)?);
    }
    Ok(joined(tests).map(|test| Condition { literals: conditions.literals, test }))
}

/// The condition that `unless` holds, or all of `expressions` do; `None` where there are no expressions.
pub(super) fn all_unless<'e>(
    unless: Test,
    expressions: impl IntoIterator<Item = &'e Expression>,
    parameters: &[AttributeValue],
) -> Result<Option<Condition>, OpError> {
    let condition = all(None, expressions, parameters)?;
    Ok(condition.map(|condition| Condition {
        test: Test::Or(vec![unless, condition.test]),
        literals: condition.literals,
    }))
}

fn joined(mut tests: Vec<Test>) -> Option<Test> {
    match tests.len() {
        0 | 1 => tests.pop(),
        _ => Some(Test::And(tests)),
    }
}

/// Whether `expression` is true or false by its form. A call is, unless it is one of `size`.
fn is_condition(expression: &Expression) -> bool {
    match expression {
        Expression::Not(_)
        | Expression::And(_)
        | Expression::Or(_)
        | Expression::Compare(..)
        | Expression::Between(..)
        | Expression::In(..)
        | Expression::IsMissing(_)
        | Expression::IsType(..) => true,
        Expression::Call(call) => call.name != "size",
        _ => false,
    }
}

/// A test that holds for every item, or for none.
fn constant(holds: bool) -> Test {
    if holds { Test::And(Vec::new()) } else { Test::Or(Vec::new()) }
}

fn not(test: Test) -> Test {
    Test::Not(Box::new(test))
}

impl Conditions<'_> {
    fn test(&mut self, expression: &Expression) -> Result<Test, OpError> {
        self.tests += 1;
        if self.tests > TESTS_MAX {
            return Err(OpError::validation("Too many conditions are compared with each other"));
        }
        Ok(match expression {
            Expression::And(all) => Test::And(self.tests(all)?),
            Expression::Or(any) => Test::Or(self.tests(any)?),
            Expression::Not(negated) => not(self.test(negated)?),
            Expression::Compare(comparator, left, right) => self.comparison(*comparator, left, right)?,
            Expression::Between(value, low, high) => self.between(value, low, high)?,
            Expression::In(value, list) => self.membership(value, list)?,
            Expression::IsMissing(place) => Test::NotExists(place_of("IS", place)?),
            Expression::IsType(place, kind) => Test::HasType(place_of("IS", place)?, *kind),
            Expression::Call(call) => self.call(call)?,
            _ => {
                return Err(OpError::validation(
                    "WHERE clause must contain an expression that resolves to a boolean",
                ));
            }
        })
    }

    fn tests(&mut self, expressions: &[Expression]) -> Result<Vec<Test>, OpError> {
        expressions.iter().map(|expression| self.test(expression)).collect()
    }

    fn comparison(
        &mut self,
        comparator: Comparator,
        left: &Expression,
        right: &Expression,
    ) -> Result<Test, OpError> {
        match (is_condition(left), is_condition(right)) {
            (false, false) => {}
            _ if comparator.is_ordering() => return Err(operand_type(comparator.symbol(), "BOOL")),
            (true, _) => return self.comparison_of_condition(comparator, left, right),
            (false, true) => return self.comparison_of_condition(comparator, right, left),
        }
        if let (Expression::Path(a), Expression::Path(b)) = (left, right)
            && a == b
        {
            return Err(same_operand(comparator.symbol(), a));
        }
        let operands = [self.operand(left)?, self.operand(right)?];
        if comparator.is_ordering() {
            self.check_ordered(comparator.symbol(), &operands)?;
        }
        let [left, right] = operands;
        Ok(Test::Compare(comparator, left, right))
    }

    /// `condition = other` or `condition <> other`.
    fn comparison_of_condition(
        &mut self,
        comparator: Comparator,
        condition: &Expression,
        other: &Expression,
    ) -> Result<Test, OpError> {
        let test = self.test(condition)?;
        let equal = if is_value(other) {
            match value(other, self.parameters)? {
                AttributeValue::Bool(true) => test,
                AttributeValue::Bool(false) => not(test),
                _ => constant(false),
            }
        } else {
            self.twice += 1;
            if self.twice > TWICE_MAX {
                return Err(OpError::validation("Too many conditions are compared with each other"));
            }
            let (holds, fails) = if is_condition(other) {
                let other = self.test(other)?;
                (other.clone(), not(other))
            } else {
                let operand = self.operand(other)?;
                let mut is = |flag| {
                    let literal = self.literal(AttributeValue::Bool(flag));
                    Test::Compare(Comparator::Equal, operand.clone(), literal)
                };
                (is(true), is(false))
            };
            Test::Or(vec![Test::And(vec![test.clone(), holds]), Test::And(vec![not(test), fails])])
        };
        Ok(if comparator == Comparator::Equal { equal } else { not(equal) })
    }

    fn between(&mut self, value: &Expression, low: &Expression, high: &Expression) -> Result<Test, OpError> {
        let operands = [self.operand(value)?, self.operand(low)?, self.operand(high)?];
        self.check_ordered("BETWEEN", &operands)?;
        if let (Some(low), Some(high)) = (self.known(&operands[1]), self.known(&operands[2]))
            && let Some(fault) = bounds_fault(low, high)
        {
            return Err(OpError::Validation(fault));
        }
        let [value, low, high] = operands;
        Ok(Test::Between(value, low, high))
    }

    fn membership(&mut self, value: &Expression, list: &[Expression]) -> Result<Test, OpError> {
        if list.len() > MAX_IN_VALUES {
            return Err(too_many_operands(list.len()));
        }
        if is_condition(value) || list.iter().any(is_condition) {
            let one = |element| self.comparison(Comparator::Equal, value, element);
            return Ok(Test::Or(list.iter().map(one).collect::<Result<_, _>>()?));
        }
        let operand = self.operand(value)?;
        let list = list.iter().map(|element| self.operand(element)).collect::<Result<_, _>>()?;
        Ok(Test::In(operand, list))
    }

    fn call(&mut self, call: &Call) -> Result<Test, OpError> {
        let expected = match call.name.as_str() {
            "attribute_exists" | "attribute_not_exists" => 1,
            "attribute_type" | "begins_with" | "contains" => 2,
            "size" => {
                return Err(OpError::validation(
                    "The function is not allowed to be used this way in an expression; function: size",
                ));
            }
            other => {
                return Err(OpError::Validation(format!("Unrecognized function: {other} at {}", call.at)));
            }
        };
        let name = call.name.as_str();
        if call.operands.len() != expected {
            return Err(arity(name, call.operands.len()));
        }
        let first = &call.operands[0];
        match name {
            "attribute_exists" => Ok(Test::Exists(place_of(name, first)?)),
            "attribute_not_exists" => Ok(Test::NotExists(place_of(name, first)?)),
            "attribute_type" => {
                let wanted = self.wanted_type(&call.operands[1])?;
                Ok(Test::HasType(place_of(name, first)?, wanted))
            }
            _ => self.search(name, first, &call.operands[1]),
        }
    }

    /// `begins_with` and `contains`.
    fn search(&mut self, name: &str, place: &Expression, part: &Expression) -> Result<Test, OpError> {
        if let (Expression::Path(a), Expression::Path(b)) = (place, part)
            && a == b
        {
            return Err(same_operand(name, a));
        }
        let (left, right) = (self.operand(place)?, self.operand(part)?);
        if name == "contains" {
            return Ok(Test::Contains(left, right));
        }
        for operand in [&left, &right] {
            if let Some(other) = self.static_type(operand).filter(|kind| !matches!(*kind, "S" | "B")) {
                return Err(operand_type(name, other));
            }
        }
        Ok(Test::BeginsWith(left, right))
    }

    /// The second operand of `attribute_type`.
    fn wanted_type(&mut self, expression: &Expression) -> Result<ValueType, OpError> {
        if !is_value(expression) {
            return Err(operand_type("attribute_type", "{NS,SS,L,BS,N,M,B,BOOL,NULL,S}"));
        }
        match value(expression, self.parameters)? {
            AttributeValue::S(name) => ValueType::named(&name).ok_or_else(|| {
                OpError::Validation(format!(
                    "Invalid attribute type name found; type: {name}, valid types: {{N,BS,L,B,NULL,M,S,SS,NS,BOOL}}"
                ))
            }),
            other => Err(operand_type("attribute_type", other.type_name())),
        }
    }

    fn operand(&mut self, expression: &Expression) -> Result<Operand, OpError> {
        match expression {
            Expression::Missing => Err(OpError::validation("MISSING must be compared using IS operator")),
            Expression::Path(path) => Ok(Operand::Path(path.clone())),
            Expression::Call(call) if call.name == "size" => {
                if call.operands.len() != 1 {
                    return Err(arity("size", call.operands.len()));
                }
                match self.operand(&call.operands[0])? {
                    Operand::Path(path) => Ok(Operand::Size(path)),
                    Operand::Literal(number) => {
                        let kind = self.literals[usize::from(number)].type_name();
                        if matches!(kind, "N" | "BOOL" | "NULL") {
                            return Err(operand_type("size", kind));
                        }
                        Ok(Operand::LiteralSize(number))
                    }
                    Operand::Size(_) | Operand::LiteralSize(_) => Err(operand_type("size", "N")),
                }
            }
            Expression::Call(call) => {
                Err(OpError::Validation(format!("Unrecognized function: {} at {}", call.name, call.at)))
            }
            other => {
                let value = value(other, self.parameters)?;
                Ok(self.literal(value))
            }
        }
    }

    fn literal(&mut self, value: AttributeValue) -> Operand {
        // A statement of 8192 characters has fewer values than this, each used at most once for each of its comparisons.
        let number = u16::try_from(self.literals.len()).unwrap_or(u16::MAX);
        self.literals.push(value);
        Operand::Literal(number)
    }

    fn known(&self, operand: &Operand) -> Option<&AttributeValue> {
        match operand {
            Operand::Literal(number) => self.literals.get(usize::from(*number)),
            Operand::Path(_) | Operand::Size(_) | Operand::LiteralSize(_) => None,
        }
    }

    /// The type, where the text alone says it.
    fn static_type(&self, operand: &Operand) -> Option<&'static str> {
        match operand {
            Operand::Path(_) => None,
            Operand::Literal(_) => self.known(operand).map(AttributeValue::type_name),
            Operand::Size(_) | Operand::LiteralSize(_) => Some("N"),
        }
    }

    /// Only strings, numbers and binaries have an order.
    fn check_ordered(&self, operator: &str, operands: &[Operand]) -> Result<(), OpError> {
        for operand in operands {
            if let Some(other) = self.static_type(operand).filter(|kind| !matches!(*kind, "S" | "N" | "B")) {
                return Err(operand_type(operator, other));
            }
        }
        Ok(())
    }
}

fn place_of(function: &str, expression: &Expression) -> Result<Path, OpError> {
    match expression {
        Expression::Path(path) => Ok(path.clone()),
        _ if function == "IS" => Err(OpError::validation(
            "The left hand side argument to IS must be a Variable Reference, Literal, or Path",
        )),
        _ => Err(OpError::Validation(format!(
            "Operator or function requires a document path; operator or function: {function}"
        ))),
    }
}

fn same_operand(operator: &str, path: &Path) -> OpError {
    OpError::Validation(format!(
        "The first operand must be distinct from the remaining operands for this operator or function; operator: \
         {operator}, first operand: {path}"
    ))
}

/// The service's text for a list that is too long.
pub(super) fn too_many_operands(operands: usize) -> OpError {
    OpError::Validation(format!(
        "The IN operator is provided with too many operands; number of operands: {operands}"
    ))
}
