//! The changes of an `UPDATE`, as the actions of [`crate::expr`].
//!
//! `set_add` and `set_delete` are the `ADD` and `DELETE` of update expressions; everything else is a `SET` or a `REMOVE`.

use trilith_values::AttributeValue;

use super::ast::{Call, Change, Expression};
use super::value::{is_value, value};
use super::{arity, operand_type};
use crate::error::OpError;
use crate::expr::{Action, Path, SetValue, Update, path_clash};

struct Changes<'s> {
    parameters: &'s [AttributeValue],
    literals: Vec<AttributeValue>,
}

/// The update of these changes.
pub(super) fn update(changes: &[Change], parameters: &[AttributeValue]) -> Result<Update, OpError> {
    let mut made = Changes { parameters, literals: Vec::new() };
    let mut actions: Vec<Action> = Vec::with_capacity(changes.len());
    for change in changes {
        let action = match change {
            Change::Remove(path) => Action::Remove(path.clone()),
            Change::Set(path, expression) => made.set(path, expression)?,
        };
        if let Some(fault) = actions.iter().find_map(|earlier| path_clash(earlier.target(), action.target()))
        {
            return Err(OpError::Validation(fault));
        }
        actions.push(action);
    }
    Ok(Update { literals: made.literals, actions })
}

impl Changes<'_> {
    fn set(&mut self, path: &Path, expression: &Expression) -> Result<Action, OpError> {
        match expression {
            Expression::Call(call) if call.name == "set_add" => {
                let set = self.set_operand(path, call, "SET_ADD")?;
                Ok(Action::Add(path.clone(), set))
            }
            Expression::Call(call) if call.name == "set_delete" => {
                let set = self.set_operand(path, call, "SET_DELETE")?;
                Ok(Action::Delete(path.clone(), set))
            }
            other => Ok(Action::Set(path.clone(), self.value(other)?)),
        }
    }

    /// The elements that `set_add` or `set_delete` is given, for the set at `path`.
    fn set_operand(&mut self, path: &Path, call: &Call, name: &str) -> Result<u16, OpError> {
        let [first, second] = call.operands.as_slice() else {
            return Err(OpError::Validation(format!(
                "{name} must have exactly two arguments at {}",
                call.at
            )));
        };
        if !matches!(first, Expression::Path(first) if first == path) {
            return Err(OpError::Validation(format!(
                "The first argument to {name} must equal the assignment value at {}",
                call.at
            )));
        }
        let not_a_set = || {
            OpError::Validation(format!(
                "The second argument to {name} must be a value with type SET at {}",
                call.first_at
            ))
        };
        if !is_value(second) {
            return Err(not_a_set());
        }
        let set = value(second, self.parameters)?;
        if !set.is_set() {
            return Err(not_a_set());
        }
        Ok(self.literal(set))
    }

    fn value(&mut self, expression: &Expression) -> Result<SetValue, OpError> {
        Ok(match expression {
            Expression::Plus(left, right) => {
                let [left, right] = self.operands("+", left, right, "N")?;
                SetValue::Plus(left, right)
            }
            Expression::Minus(left, right) => {
                let [left, right] = self.operands("-", left, right, "N")?;
                SetValue::Minus(left, right)
            }
            Expression::Call(call) if call.name == "list_append" => {
                let [left, right] = call.operands.as_slice() else {
                    return Err(arity("list_append", call.operands.len()));
                };
                let [left, right] = self.operands("list_append", left, right, "L")?;
                SetValue::ListAppend(left, right)
            }
            Expression::Call(call) => {
                return Err(OpError::Validation(format!(
                    "Unrecognized function: {} at {}",
                    call.name, call.at
                )));
            }
            Expression::Path(path) => SetValue::Path(path.clone()),
            Expression::IsMissing(_) | Expression::IsType(..) => {
                return Err(OpError::validation("IS operator is not supported in update expressions"));
            }
            other => {
                let value = value(other, self.parameters)?;
                SetValue::Literal(self.literal(value))
            }
        })
    }

    /// Two operands, of which a literal must be of the type `wanted`.
    fn operands(
        &mut self,
        operator: &str,
        left: &Expression,
        right: &Expression,
        wanted: &str,
    ) -> Result<[Box<SetValue>; 2], OpError> {
        let made = [self.value(left)?, self.value(right)?];
        for operand in &made {
            if let SetValue::Literal(number) = operand
                && let Some(literal) = self.literals.get(usize::from(*number))
                && literal.type_name() != wanted
            {
                return Err(operand_type(operator, literal.type_name()));
            }
        }
        Ok(made.map(Box::new))
    }

    fn literal(&mut self, value: AttributeValue) -> u16 {
        // A statement of 8192 characters has fewer values than this.
        let number = u16::try_from(self.literals.len()).unwrap_or(u16::MAX);
        self.literals.push(value);
        number
    }
}
